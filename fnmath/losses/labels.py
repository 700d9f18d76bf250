"""Losses of class labels beyond the cross-entropy, and labels made softer.

Notation: z are logits, p = softmax(z), q = 1 − p_y the probability given to all classes but the
label y, as a sum of theirs; s = −log p_y; t are label probabilities; K is the number of classes.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from fnmath import _checks
from fnmath.losses.classification import (
    LAST,
    Axis,
    _at_label,
    _check_class_weights,
    _dominant,
    _examples,
    _is_class,
    _logits_and_labels,
    _of_others,
    _slope,
    _softmax_and_others,
    _surprise,
    _weighted,
)
from fnmath.numerics import with_derivatives
from fnmath.numerics._series import above_tangent, expm1
from fnmath.numerics._shifted import shifted_log_softmax
from fnmath.numerics._wide import computed_wide


def smooth_labels(
    labels: Float[Array, "*shape"],
    alpha: float | Float[Array, ""],
    *,
    axis: Axis = -1,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "*shape"]:
    """Label probabilities of which a share is spread evenly over the classes.

        t ↦ (1 − α) t + α/K

    Gradient:
        ∂/∂t = 1 − α,    ∂/∂α = 1/K − t

    Args:
        labels: The label probabilities t; one-hot for hard labels.
        alpha: The share α, from 0 to 1, to spread.
        axis: The axis of the classes, or several axes that count them together, or None for all.
        where: The classes that count, K of them, in a shape that broadcasts to that of the labels;
            the others get 0.

    Returns:
        Label probabilities of the shape of the labels.

    Raises:
        TypeError: If the labels are not a floating-point array, α is no number, or ``where`` no
            bool.
        ValueError: If α is a number outside [0, 1] or has axes, the axis does not exist, or
            ``where`` does not broadcast.

    Example:
        >>> print(smooth_labels(jnp.array([1.0, 0.0, 0.0, 0.0]), 0.25))
        [0.8125 0.0625 0.0625 0.0625]

    Source:
        Szegedy et al., Rethinking the inception architecture for computer vision (2016), §7.
    """
    name = "smooth_labels"
    _checks.floating(name, labels=labels)
    axes = _checks.axes(name, axis, labels)
    _checks.number(name, "alpha", alpha, above=0, below=1, closed="[]")
    _checks.broadcasts_to(name, "alpha", alpha, "one number", 0)
    if where is not None:
        _checks.mask(name, "where", where, labels=labels)

    def smoothed(t: jax.Array) -> jax.Array:
        share = jnp.asarray(alpha, t.dtype)
        share = jnp.where((share >= 0) & (share <= 1), share, jnp.nan)
        if where is None:
            return (1 - share) * t + share / math.prod(t.shape[i] for i in axes)
        counting = jnp.broadcast_to(where, t.shape)
        K = jnp.maximum(jnp.sum(counting, axes, dtype=t.dtype, keepdims=True), 1)
        return jnp.where(counting, (1 - share) * jnp.where(counting, t, 0) + share / K, 0)

    return computed_wide(smoothed, jnp.asarray(labels))


@jax.custom_jvp
def _minus_at_label(
    log_p: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"]
) -> Float[Array, "*batch"]:
    known = _is_class(log_p, labels)
    return jnp.where(known, -_at_label(log_p, labels), jnp.nan)[..., 0]


@_minus_at_label.defjvp
def _minus_at_label_jvp(primals: tuple, tangents: tuple) -> tuple:
    log_p, labels = primals
    at_label = (labels[..., None] == jnp.arange(log_p.shape[-1])).astype(log_p.dtype)
    slope = jnp.where(_is_class(log_p, labels), -at_label, jnp.nan)
    return _minus_at_label(log_p, labels), jnp.sum(slope * tangents[0], -1)


def nll_loss(
    log_probabilities: Float[Array, "*batch classes"],
    labels: Integer[Array, "*batch"],
    *,
    class_weights: Float[Array, " classes"] | None = None,
    ignore_label: int | None = None,
) -> Float[Array, "*batch"]:
    """Negative log-likelihood, in nats, of the class that occurred, from the log-probabilities.

        ℓ(log p, y) = −w_y log p_y

    Gradient:
        ∂ℓ/∂log p_y = −w_y, and 0 for the other classes

    Args:
        log_probabilities: The logarithms log p of the probabilities of the classes, on the last
            axis, in nats.
        labels: The class y of each example. One outside [0, classes) gives nan, in the gradient
            too.
        class_weights: The weight of each class; what has the weight 0 adds nothing. None for all 1.
        ignore_label: A label, within the classes or not, whose examples have the loss and the
            gradient 0; None for none. PyTorch ignores −100 by default.

    Returns:
        One loss per example, in nats.

    Raises:
        TypeError: If the log-probabilities or the weights are not floating-point, the labels or
            ``ignore_label`` no integers.
        ValueError: If the shapes do not fit, or there are no classes.

    Example:
        >>> log_p = jnp.log(jnp.array([[0.5, 0.25, 0.25]]))
        >>> print(nll_loss(log_p, jnp.array([1])))  # log 4
        [1.3862944]

    Source:
        Bishop, Pattern Recognition and Machine Learning (2006), §4.3.4.
    """
    name = "nll_loss"
    _checks.floating(name, log_probabilities=log_probabilities)
    log_p, y, counts = _examples(name, log_probabilities, labels, -1, None, ignore_label)
    if class_weights is not None:
        _check_class_weights(name, class_weights, log_p.shape[-1])
    loss = computed_wide(lambda a: _weighted(_minus_at_label(a, y), y, class_weights), log_p)
    return loss if counts is None else jnp.where(counts, loss, 0)


def _odds_of_surprise(s: jax.Array) -> jax.Array:
    """The factor s / (exp(s) − 1) = s p/(1 − p): 1 at s = 0 and 0 at ∞."""
    usual = (s > 0) & (s < jnp.inf)
    inside = jnp.where(usual, s, 1)
    ratio = inside * jnp.exp(-inside) / -expm1(-inside)
    return jnp.where(usual, ratio, jnp.where(s == 0, 1, jnp.where(s > 0, 0, s)))


def _focal_by_surprise(s: jax.Array, gamma: jax.Array) -> jax.Array:
    return jnp.power(-expm1(-s), gamma) * (1 + gamma * _odds_of_surprise(s))


def _focal_by_exponent(s: jax.Array, gamma: jax.Array) -> jax.Array:
    near = s < 1
    q = -expm1(-jnp.where(near, s, 1))
    log_q = jnp.where(near, jnp.log(jnp.where(q == 0, 1, q)), jnp.log1p(-jnp.exp(-s)))
    return jnp.where((s == jnp.inf) | (s == 0), 0, _focal_of_surprise(s, gamma) * log_q)


@with_derivatives(_focal_by_surprise, _focal_by_exponent)
def _focal_of_surprise(s: jax.Array, gamma: jax.Array) -> jax.Array:
    return jnp.power(-expm1(-s), gamma) * s


def softmax_focal_loss(
    logits: Float[Array, "*shape"],
    labels: Integer[Array, "*batch"],
    *,
    gamma: float | Float[Array, "..."] = 2.0,
    class_weights: Float[Array, " classes"] | None = None,
    ignore_label: int | None = None,
    axis: Axis = -1,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "*batch"]:
    """Focal loss of many classes: the cross-entropy, less the more easily an example is got right.

        ℓ(z, y) = −w_y (1 − p_y)^γ log p_y = w_y q^γ s,    q = 1 − e⁻ˢ

    A function of the cross-entropy s alone, which never loses what a confident example has left.

    Gradient:
        ∂ℓ/∂zⱼ = w_y q^γ (1 + γ p_y s / q) pⱼ for j ≠ y,    −q in the place of pⱼ for j = y
        ∂ℓ/∂γ = ℓ log q

    Args:
        logits: Scores z of the classes, in nats up to a constant per example.
        labels: The class y of each example, of the shape of the logits without ``axis``. One
            outside [0, classes) gives nan, in the gradient too.
        gamma: The exponent γ ≥ 0; 0 gives the cross-entropy. An array may hold one per example, and
            gives nan where it is below 0.
        class_weights: The weight w of each class, called α by Lin et al.; what has the weight 0
            adds nothing. None for all 1.
        ignore_label: A label, within the classes or not, whose examples have the loss and the
            gradient 0; None for none.
        axis: The axis of the classes, or several axes that count them together, or None for all.
        where: The classes that count, in a shape that broadcasts to that of the logits.

    Returns:
        One loss per example, of the shape of the labels, in nats.

    Raises:
        TypeError: If the logits or the weights are not floating-point, the labels or
            ``ignore_label`` no integers, ``where`` no bool.
        ValueError: If the shapes do not fit, the axis does not exist, there are no classes, or γ is
            a number below 0.

    Example:
        >>> z = jnp.array([[0.0, 0.0], [17.0, 0.0]])
        >>> loss = softmax_focal_loss(z, jnp.array([0, 0]))
        >>> print(f"{loss[0]:.4f} {loss[1]:.3e}")  # ¼ log 2, and about e⁻⁵¹
        0.1733 7.095e-23

    Source:
        Lin, Goyal, Girshick, He and Dollár, Focal loss for dense object detection (2017), §3, there
        for two classes.
    """
    name = "softmax_focal_loss"
    z, y, counts = _examples(name, logits, labels, axis, where, ignore_label)
    _checks.number(name, "gamma", gamma, above=0, closed="[")
    _checks.broadcasts_to(name, "gamma", gamma, "labels", labels)
    if class_weights is not None:
        _check_class_weights(name, class_weights, z.shape[-1])

    def focal(z: jax.Array) -> jax.Array:
        exponent = jnp.asarray(gamma, z.dtype)
        exponent = jnp.where(exponent >= 0, exponent, jnp.nan)
        loss = _focal_of_surprise(_surprise(z, y), exponent)
        return _weighted(loss, y, class_weights)

    loss = computed_wide(focal, z)
    return loss if counts is None else jnp.where(counts, loss, 0)


def _poly_parts(z: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """pₖ, 1 − pₖ and −log pₖ of each class."""
    return *_softmax_and_others(z), -shifted_log_softmax(z, LAST)


@jax.custom_jvp
def _poly(z: jax.Array, t: jax.Array, epsilon: jax.Array) -> jax.Array:
    """Σₖ tₖ (sₖ + ε (1 − pₖ)), of which s − (1 − p) ≥ 0 is taken together."""
    _, others, s = _poly_parts(z)
    term = above_tangent(s) + (1 + epsilon) * others
    return jnp.sum(jnp.where(t == 0, 0, t * jnp.where(t == 0, 0, term)), -1)


def _poly_by_logit(z: jax.Array, t: jax.Array, epsilon: jax.Array) -> jax.Array:
    """pⱼ Σ_{k≠j} tₖ cₖ − tⱼ cⱼ (1 − pⱼ), with cₖ = 1 + ε pₖ as (1 − pₖ) + (1 + ε) pₖ."""
    p, others, _ = _poly_parts(z)
    weights = t * (others + (1 + epsilon) * p)
    return p * _of_others(weights, _dominant(weights)) - weights * others


@functools.partial(_poly.defjvp, symbolic_zeros=True)
def _poly_jvp(primals: tuple, tangents: tuple) -> tuple:
    (z, t, epsilon), (z_dot, t_dot, epsilon_dot) = primals, tangents

    def by_label() -> jax.Array:
        _, others, s = _poly_parts(z)
        impossible = (t == 0) & (z == -jnp.inf)
        return jnp.where(impossible, 0, above_tangent(s) + (1 + epsilon) * others)

    by_epsilon = _slope(lambda: t * _poly_parts(z)[1], epsilon_dot)
    slopes = _slope(lambda: _poly_by_logit(z, t, epsilon), z_dot) + _slope(by_label, t_dot)
    return _poly(z, t, epsilon), jnp.sum(slopes + by_epsilon, -1)


def poly_loss_cross_entropy(
    logits: Float[Array, "*shape"],
    labels: Float[Array, "*shape"],
    *,
    epsilon: float | Float[Array, ""] = 2.0,
    axis: Axis = -1,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "*batch"]:
    """Cross-entropy whose first power of the probability missed has a weight of its own.

        ℓ(z, t) = Σₖ tₖ [−log pₖ + ε (1 − pₖ)] = Σₖ tₖ [(1 + ε) (1 − pₖ) + ½ (1 − pₖ)² + …]

    Computed as (1 + ε)(1 − p) plus what −log p exceeds 1 − p by, so that ε = −1, which leaves the
    square as the first term, costs no digits.

    Gradient:
        ∂ℓ/∂zⱼ = pⱼ Σ_{k≠j} tₖ cₖ − tⱼ cⱼ (1 − pⱼ),    cₖ = 1 + ε pₖ
        ∂ℓ/∂tⱼ = −log pⱼ + ε (1 − pⱼ),    ∂ℓ/∂ε = Σₖ tₖ (1 − pₖ)

    Args:
        logits: Scores z of the classes, in nats up to a constant per example.
        labels: Probabilities t of the classes, of the same shape; one-hot for hard labels.
        epsilon: The weight ε that is added to that of the first power; below −1 the loss has a
            minimum elsewhere than at p = t.
        axis: The axis of the classes, or several axes that count them together, or None for all.
        where: The classes that count, in a shape that broadcasts to that of the logits; neither
            value nor gradient depends on what stands in the others.

    Returns:
        One loss per example, of the shape of the logits without ``axis``, in nats.

    Raises:
        TypeError: If the logits or the labels are not floating-point arrays, ε is no number, or
            ``where`` no bool.
        ValueError: If the shapes differ, the axis does not exist, there are no classes, or ε has
            axes.

    Example:
        >>> z, t = jnp.array([17.0, 0.0, 0.0]), jnp.array([1.0, 0.0, 0.0])
        >>> print(f"{poly_loss_cross_entropy(z, t):.3e}")  # 3 · 2 e⁻¹⁷
        2.484e-07

    Source:
        Leng et al., PolyLoss: a polynomial expansion perspective of classification loss functions
        (2022), §4 (Poly-1).
    """
    name = "poly_loss_cross_entropy"
    _checks.floating(name, logits=logits, labels=labels)
    _checks.same_shape(name, logits=logits, labels=labels)
    _checks.number(name, "epsilon", epsilon)
    _checks.broadcasts_to(name, "epsilon", epsilon, "one number", 0)
    z, t = _logits_and_labels(name, logits, labels, axis, where)
    return computed_wide(lambda z, t: _poly(z, t, jnp.asarray(epsilon, z.dtype)), z, t)


def _missed_squares(z: jax.Array, labels: jax.Array) -> tuple[Array, ...]:
    """p, 1 − p, which class is the label, and pₖ² of the others with 0 at the label."""
    p, others = _softmax_and_others(z)
    at_label = labels[..., None] == jnp.arange(z.shape[-1])
    return p, others, at_label, jnp.where(at_label, 0, jnp.square(p))


def _brier_by_logit(z: jax.Array, labels: jax.Array) -> jax.Array:
    p, others, at_label, squares = _missed_squares(z, labels)
    p_y, q = (jnp.sum(jnp.where(at_label, a, 0), -1, keepdims=True) for a in (p, others))
    against = jnp.square(q) + jnp.sum(squares, -1, keepdims=True)
    elsewhere = p * others + p_y * q - _of_others(squares, _dominant(squares))
    slope = 2 * p * jnp.where(at_label, -against, elsewhere)
    return jnp.where(_is_class(z, labels), slope, jnp.nan)


@jax.custom_jvp
def _brier(z: jax.Array, labels: jax.Array) -> jax.Array:
    _, others, at_label, squares = _missed_squares(z, labels)
    score = jnp.sum(jnp.where(at_label, jnp.square(others), squares), -1)
    return jnp.where(_is_class(z, labels)[..., 0], score, jnp.nan)


@_brier.defjvp
def _brier_jvp(primals: tuple, tangents: tuple) -> tuple:
    return _brier(*primals), jnp.sum(_brier_by_logit(*primals) * tangents[0], -1)


def brier_score(
    logits: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Brier's score of the softmax of the logits: its squared distance from what occurred.

        ℓ(z, y) = Σₖ (pₖ − [k = y])² = q² + Σ_{k≠y} pₖ²

    Brier's own form, from 0 to 2; of two classes it is twice the squared error of one probability.
    It is proper, as the cross-entropy is: the expected score is least where p is the truth. Unlike
    that, it is bounded.

    Gradient:
        ∂ℓ/∂z_y = −2 p_y (q² + Σ_{k≠y} pₖ²)
        ∂ℓ/∂zⱼ = 2 pⱼ (pⱼ (1 − pⱼ) + p_y q − Σ_{k≠y,j} pₖ²)

    Args:
        logits: Scores z of the classes, on the last axis, in nats up to a constant per example;
            log-probabilities are such scores.
        labels: The class y of each example. One outside [0, classes) gives nan, in the gradient
            too.

    Returns:
        One score per example, without a unit.

    Raises:
        TypeError: If the logits are not floating-point, or the labels no integers.
        ValueError: If the shapes do not fit, or there are no classes.

    Example:
        >>> print(brier_score(jnp.zeros((1, 4)), jnp.array([0])))  # (¾)² + 3 (¼)²
        [0.75]

    Source:
        Brier, Verification of forecasts expressed in terms of probability (1950); Gneiting and
        Raftery, Strictly proper scoring rules, prediction, and estimation (2007), §3.1.
    """
    z, y, _ = _examples("brier_score", logits, labels, -1, None, None)
    return computed_wide(lambda z: _brier(z, y), z)
