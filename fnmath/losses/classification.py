"""Losses of classes: cross-entropies of logits.

Notation: z are logits, p = softmax(z) the probabilities they stand for, m = max z; t are label
probabilities, y is an integer label; K is the number of classes; ż and ṫ are tangents.

Why no cross-entropy is ever 0
------------------------------
A classifier that is sure and right still has a loss and a gradient, both of the size of 1 − p. They
vanish if they are formed by subtracting from 1: in float32 the logits 17, 0, 0 already have p₀ = 1.
So the derivatives here are closed forms, of which none subtracts a probability from 1 where that
cancels: 1 − pⱼ is the sum of the others, and log pⱼ is zⱼ − m less log1p of the odds of all the
others. Each is linear in the tangent, so that JAX transposes it for reverse mode, and is
built of functions that have closed forms of their own, so that higher orders are as good.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Bool, Float, Integer

from fnmath import _checks
from fnmath.numerics._shifted import (
    centred,
    largest,
    odds,
    rest,
    shifted_log_softmax,
    shifted_softmax,
)
from fnmath.numerics._wide import computed_wide

LAST = (-1,)
Axis = int | tuple[int, ...] | None


def _slope(weight: Callable[[], Array], tangent: Array | SymbolicZero) -> Any:
    """The tangent times its weight; 0 where nothing was moved, even under a weight of ∞."""
    return 0.0 if isinstance(tangent, SymbolicZero) else weight() * tangent


def _dominant(w: Float[Array, "*batch classes"]) -> Bool[Array, "*batch classes"]:
    """The class, if any, with more than half of the weight."""
    return w > 0.5 * jnp.sum(w, -1, keepdims=True)


def _of_others(
    w: Float[Array, "*batch classes"], dominant: Bool[Array, "*batch classes"]
) -> Float[Array, "*batch classes"]:
    """Σ_{k≠j} wₖ for each class j. Only for the dominant one would total − wⱼ cancel."""
    rest = jnp.sum(jnp.where(dominant, 0, w), -1, keepdims=True)
    return jnp.where(dominant, rest, jnp.sum(w, -1, keepdims=True) - w)


def _odds_and_others(z: Float[Array, "*batch classes"]) -> tuple[Array, Array, Array]:
    """Odds of each class against the leader, of all others together, and the total of the two."""
    m = largest(z, LAST)
    ahead, behind = odds(z, m), rest(z, m, LAST)
    none, behind = behind < 0, jnp.maximum(behind, 0)  # no class can occur: all odds are 0
    others = jnp.where(z == m, behind, 1 + (behind - ahead))
    return ahead, jnp.where(none, 0, others), 1 + behind


def _on_last_axis(x: Array, axes: tuple[int, ...]) -> Array:
    """The array with those axes last, several of them made one, in the order they are named in."""
    x = jnp.moveaxis(jnp.asarray(x), axes, range(-len(axes), 0))
    batch, classes = x.shape[: -len(axes)], x.shape[-len(axes) :]
    return x if len(axes) == 1 else x.reshape((*batch, math.prod(classes)))


@jax.custom_jvp
def _softmax_and_others(z: Array) -> tuple[Array, Array]:
    """The probabilities p = softmax(z) and 1 − p, the second as a sum of the first."""
    ahead, others, total = _odds_and_others(z)
    return ahead / total, others / total


@_softmax_and_others.defjvp
def _softmax_and_others_jvp(primals: tuple, tangents: tuple) -> tuple:
    (z,), (z_dot,) = primals, tangents
    p = shifted_softmax(z, LAST)
    p_dot = p * centred(z_dot, p, LAST)
    return _softmax_and_others(z), (p_dot, -p_dot)


def _classes_last(function: str, logits: Array, axis: Axis, where: Array | None) -> Array:
    """The logits with their classes on the last axis, those left out at −∞."""
    _checks.classes(function, logits, axis)
    if where is not None:
        _checks.mask(function, "where", where, logits=logits)
        logits = jnp.where(where, logits, -jnp.inf)
    return _on_last_axis(logits, _checks.axes(function, axis, logits))


def _counting(function: str, logits: Array, axis: Axis, where: Array) -> Array:
    """The classes that count, in the shape that ``_classes_last`` gives the logits."""
    axes = _checks.axes(function, axis, logits)
    return _on_last_axis(jnp.broadcast_to(where, jnp.shape(logits)), axes)


def _logits_and_labels(
    function: str, logits: Array, labels: Array, axis: Axis, where: Array | None
) -> tuple[Array, Array]:
    """Logits and label probabilities with the classes last; those left out have −∞ and 0."""
    z, axes = _classes_last(function, logits, axis, where), _checks.axes(function, axis, logits)
    t = _on_last_axis(labels, axes)
    return z, t if where is None else jnp.where(_counting(function, logits, axis, where), t, 0)


@jax.custom_jvp
def _cross_entropy(
    z: Float[Array, "*batch classes"], t: Float[Array, "*batch classes"]
) -> Float[Array, "*batch"]:
    m = largest(z, LAST)
    leader = jnp.log1p(jnp.maximum(rest(z, m, LAST), 0))
    return jnp.sum(jnp.where(t == 0, 0, t * (jnp.where(z == m, 0, m - z) + leader)), -1)


@functools.partial(_cross_entropy.defjvp, symbolic_zeros=True)
def _cross_entropy_jvp(primals: tuple, tangents: tuple) -> tuple:
    (z, t), (z_dot, t_dot) = primals, tangents
    impossible = (t == 0) & (z == -jnp.inf)
    by_logit = _slope(lambda: _residual(z, t), z_dot)
    by_label = _slope(lambda: jnp.where(impossible, 0, -shifted_log_softmax(z, LAST)), t_dot)
    return _cross_entropy(z, t), jnp.sum(by_logit + by_label, -1)


@jax.custom_jvp
def _residual(
    z: Float[Array, "*batch classes"], t: Float[Array, "*batch classes"]
) -> Float[Array, "*batch classes"]:
    """pⱼ Σ_{k≠j} tₖ − tⱼ Σ_{k≠j} pₖ for each class j, over a common denominator."""
    ahead, others, total = _odds_and_others(z)
    return (ahead * _of_others(t, _dominant(t)) - t * others) / total


@_residual.defjvp
def _residual_jvp(primals: tuple, tangents: tuple) -> tuple:
    (z, t), (z_dot, t_dot) = primals, tangents
    p = shifted_softmax(z, LAST)
    dominant = _dominant(p)
    by_label = p * _of_others(t_dot, dominant) - _of_others(p, dominant) * t_dot
    by_logit = p * centred(z_dot, p, LAST) * jnp.sum(t, -1, keepdims=True)
    return _residual(z, t), by_logit + by_label


def softmax_cross_entropy(
    logits: Float[Array, "*shape"],
    labels: Float[Array, "*shape"],
    axis: Axis = -1,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "*batch"]:
    """Cross-entropy, in nats, of the softmax of the logits under the label probabilities.

        ℓ(z, t) = −Σₖ tₖ log pₖ,    −log pₖ = (m − zₖ) + log(1 + Σ_{j≠argmax} exp(zⱼ − m))

    Gradient:
        ∂ℓ/∂zⱼ = pⱼ Σ_{k≠j} tₖ − tⱼ Σ_{k≠j} pₖ        (= pⱼ − tⱼ when Σₖ tₖ = 1)
        ∂ℓ/∂tⱼ = −log pⱼ

    A logit of −∞ marks a class that cannot occur: with t = 0 it adds nothing to the value or to any
    derivative, with t > 0 the loss is ∞. A logit of +∞ is a certainty, p = 1; several share it.

    Args:
        logits: Scores z of the classes, in nats up to a constant per example.
        labels: Probabilities t of the classes, of the same shape; one-hot for hard labels.
        axis: The axis of the classes, or several axes that count them together, or None for all.
        where: The classes that count, in a shape that broadcasts to that of the logits; the others
            are left out of both sums, and whatever stands there, nan included, does not matter. An
            example with none has loss 0.

    Returns:
        One loss per example, of the shape of the logits without ``axis``, in nats.

    Raises:
        TypeError: If the logits or the labels are not floating-point arrays, or ``where`` not bool.
        ValueError: If the shapes differ, the axis does not exist, or there are no classes.

    Example:
        >>> z, t = jnp.array([17.0, 0.0, 0.0]), jnp.array([1.0, 0.0, 0.0])
        >>> print(f"{softmax_cross_entropy(z, t):.3e}")  # log(1 + 2 e⁻¹⁷)
        8.280e-08

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §6.2.2.3.
    """
    name = "softmax_cross_entropy"
    _checks.floating(name, logits=logits)
    _checks.array(name, "labels", labels)
    if jnp.issubdtype(jnp.result_type(labels), jnp.integer) and jnp.ndim(labels) < jnp.ndim(logits):
        cure = "softmax_cross_entropy_with_integer_labels"
        _checks.fail(name, "labels are integers; wanted a probability for each class", cure)
    _checks.floating(name, labels=labels)
    _checks.same_shape(name, logits=logits, labels=labels)
    z, t = _logits_and_labels(name, logits, labels, axis, where)
    return computed_wide(_cross_entropy, z, t)


def safe_softmax_cross_entropy(
    logits: Float[Array, "*batch classes"], labels: Float[Array, "*batch classes"]
) -> Float[Array, "*batch"]:
    """Cross-entropy that takes 0 · log 0 as 0: another name of ``softmax_cross_entropy``.

        ℓ(z, t) = −Σₖ tₖ log pₖ,    where tₖ = 0 adds nothing

    Optax has the two apart, one that gives nan at a logit of −∞ and one that does not; here both
    are right there.

    Gradient:
        ∂ℓ/∂zⱼ = pⱼ Σ_{k≠j} tₖ − tⱼ Σ_{k≠j} pₖ
        ∂ℓ/∂tⱼ = −log pⱼ

    Args:
        logits: Scores z of the classes, on the last axis, in nats up to a constant per example.
        labels: Probabilities t of the classes, of the same shape.

    Returns:
        One loss per example, in nats.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ, or there are no classes.

    Example:
        >>> z, t = jnp.array([-jnp.inf, 0.0, 0.0]), jnp.array([0.0, 0.0, 1.0])
        >>> print(f"{safe_softmax_cross_entropy(z, t):.4f}")  # log 2
        0.6931

    Source:
        Cover and Thomas, Elements of Information Theory (2006), §2.1 (the convention 0 log 0 = 0).
    """
    name = "safe_softmax_cross_entropy"
    _checks.floating(name, logits=logits, labels=labels)
    _checks.same_shape(name, logits=logits, labels=labels)
    z, t = _logits_and_labels(name, logits, labels, -1, None)
    return computed_wide(_cross_entropy, z, t)


def _at_label(x: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"]) -> Array:
    return jnp.take_along_axis(x, labels[..., None], -1, mode="clip")


def _is_class(z: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"]) -> Array:
    return _checks.is_label(labels, z.shape[-1])[..., None]


def _sum_over_classes(w: Float[Array, "*batch classes"]) -> Float[Array, "*batch 1"]:
    """The sum, as a matrix product: in the same order wherever it stands.

    A plain sum XLA fuses with what is summed, and then adds in another order in a loop of training
    steps than outside of one. It turns a product with a single vector back into a sum, so there are
    two.
    """
    return jnp.matmul(w, jnp.ones((w.shape[-1], 2), w.dtype), precision="highest")[..., :1]


def _against_label(
    z: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"]
) -> tuple[Array, Array, Array, Array]:
    """Odds against the leader: of each class, of that at the label, of all the others together.

    The last is which class is that at the label. All others together, where the label leads, are
    the odds against it: one sum over the classes, in which nothing is counted twice.
    """
    m, at_label = largest(z, LAST), labels[..., None] == jnp.arange(z.shape[-1])
    ahead = odds(z, m)
    others = _sum_over_classes(jnp.where(at_label, 0, ahead))
    return ahead, odds(_at_label(z, labels), m), others, at_label


@jax.custom_jvp
def _surprise(
    z: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """−log p at the label; nan where there is no such class.

    Behind the leader by d, the label adds exp(−d) − 1 to the odds 1 + … of the others.
    """
    m, z_y = largest(z, LAST), _at_label(z, labels)
    _, ahead_y, others, _ = _against_label(z, labels)
    behind = jnp.maximum(others + (ahead_y - 1), 0)
    surprise = jnp.where(z_y == m, 0, m - z_y) + jnp.log1p(behind)
    return jnp.where(_is_class(z, labels), surprise, jnp.nan)[..., 0]


@_surprise.defjvp
def _surprise_jvp(primals: tuple, tangents: tuple) -> tuple:
    return _surprise(*primals), jnp.sum(_surprise_residual(*primals) * tangents[0], -1)


@jax.custom_jvp
def _surprise_residual(
    z: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"]
) -> Float[Array, "*batch classes"]:
    """The probabilities p, with −Σ_{k≠y} pₖ at the label y; nan where there is no such class."""
    ahead, ahead_y, others, at_label = _against_label(z, labels)
    total = jnp.where(_is_class(z, labels), others + ahead_y, jnp.nan)
    return jnp.where(at_label, -others, ahead) / jnp.where(total == 0, 1, total)


@_surprise_residual.defjvp
def _surprise_residual_jvp(primals: tuple, tangents: tuple) -> tuple:
    (z, labels), (z_dot, _) = primals, tangents
    p, defined = shifted_softmax(z, LAST), jnp.where(_is_class(z, labels), 1, jnp.nan)
    return _surprise_residual(z, labels), defined * p * centred(z_dot, p, LAST)


def _ignored(function: str, labels: Array, ignore_label: int | None) -> Array | None:
    """Which examples have the label that is to be ignored; None where no label is."""
    if ignore_label is None:
        return None
    limits = jnp.iinfo(jnp.int32)
    _checks.size(function, minimum=int(limits.min), ignore_label=ignore_label)
    limits = jnp.iinfo(jnp.result_type(labels))
    possible = int(limits.min) <= ignore_label <= int(limits.max)
    return jnp.asarray(labels) == ignore_label if possible else jnp.zeros(jnp.shape(labels), bool)


def _check_class_weights(function: str, class_weights: Any, classes: int) -> None:
    _checks.floating(function, class_weights=class_weights)
    if jnp.shape(class_weights) != (classes,):
        problem = f"class_weights {jnp.shape(class_weights)}; wanted one for each of {classes}"
        _checks.fail(function, f"{problem} classes, ({classes},)")


def _weighted(
    loss: Float[Array, "*batch"], labels: Integer[Array, "*batch"], weights: Array | None
) -> Float[Array, "*batch"]:
    """The loss times the weight of the label, where a weight of 0 makes even ∞ nothing."""
    if weights is None:
        return loss
    of_label = jnp.take(jnp.asarray(weights, loss.dtype), labels, mode="clip")
    counts = (of_label != 0) | jnp.isfinite(loss) | ~_checks.is_label(labels, weights.shape[0])
    return of_label * jnp.where(counts, loss, 0)


def _smoothed(
    z: Float[Array, "*batch classes"],
    labels: Integer[Array, "*batch"],
    smoothing: Any,
    weights: Array | None,
    counting: Array | None,
) -> Float[Array, "*batch classes"]:
    """Label probabilities (1 − ε) w_y at the label y, and ε wₖ/K at each of the K classes."""
    counting = jnp.ones_like(z, bool) if counting is None else counting
    weights = jnp.ones(z.shape[-1], z.dtype) if weights is None else jnp.asarray(weights, z.dtype)
    eps = jnp.asarray(smoothing, z.dtype)
    eps = jnp.where((eps >= 0) & (eps <= 1), eps, jnp.nan)[..., None]
    K = jnp.maximum(jnp.sum(counting, -1, dtype=z.dtype, keepdims=True), 1)
    at_label = labels[..., None] == jnp.arange(z.shape[-1])
    t = jnp.where(counting, eps / K, 0) + jnp.where(at_label, 1 - eps, 0)
    return jnp.where(_is_class(z, labels), t * weights, jnp.nan)


def _examples(
    function: str,
    logits: Array,
    labels: Array,
    axis: Axis,
    where: Array | None,
    ignore_label: int | None,
    *,
    cure: str = "",
) -> tuple[Array, Array, Array | None]:
    """Logits with the classes last, labels, and which examples count (None where all do).

    An example whose label is ignored has logits and label 0 here.
    """
    _checks.floating(function, logits=logits)
    z = _classes_last(function, logits, axis, where)
    _checks.class_labels(function, logits, labels, axis, cure)
    y, ignored = jnp.asarray(labels), _ignored(function, labels, ignore_label)
    counts = None if where is None else _counting(function, logits, axis, where).any(-1)
    if ignored is not None:
        counts = ~ignored if counts is None else counts & ~ignored
        z, y = jnp.where(ignored[..., None], 0, z), jnp.where(ignored, 0, y)
    _checks.labels_known(function, y, z.shape[-1], where=True if counts is None else counts)
    return z, y, counts


def softmax_cross_entropy_with_integer_labels(
    logits: Float[Array, "*shape"],
    labels: Integer[Array, "*batch"],
    axis: Axis = -1,
    where: Bool[Array, "..."] | None = None,
    *,
    label_smoothing: float | Float[Array, "..."] = 0.0,
    class_weights: Float[Array, " classes"] | None = None,
    ignore_label: int | None = None,
) -> Float[Array, "*batch"]:
    """Cross-entropy, in nats, of the softmax of the logits at the class that occurred.

        ℓ(z, y) = −(1 − ε) w_y log p_y − ε/K Σₖ wₖ log pₖ,    by default −log p_y
        −log p_y = (m − z_y) + log(1 + Σ_{j≠y} exp(zⱼ − m) + (exp(z_y − m) − 1))

    What ``softmax_cross_entropy`` gives for one-hot labels, of which none is formed unless they are
    smoothed.

    Gradient:
        ∂ℓ/∂zⱼ = pⱼ for j ≠ y,    ∂ℓ/∂z_y = −Σ_{j≠y} pⱼ        (w = 1, ε = 0)
        ∂ℓ/∂zⱼ = pⱼ Σ_{k≠j} tₖ − tⱼ Σ_{k≠j} pₖ,    tₖ = (1 − ε) w_y [k = y] + ε wₖ/K

    Logits of ±∞ mean what they mean there; a label at −∞, or at a class left out, has the loss ∞. A
    label outside [0, classes) makes the loss of its example nan, and the gradient, even where that
    loss is masked afterwards: to leave an example out, give it the label ``ignore_label``.

    Args:
        logits: Scores z of the classes, in nats up to a constant per example.
        labels: The class y of each example, of the shape of the logits without ``axis``.
        axis: The axis of the classes, or several axes that count them together, or None for all.
        where: The classes that count, in a shape that broadcasts to that of the logits; whatever
            stands in the others, nan included, does not matter. An example with none has loss 0.
        label_smoothing: The share ε from 0 to 1 of each label that is spread evenly over the K
            classes that count; an array may hold one per example.
        class_weights: The weight wₖ of each class, which the smoothed share has as well; what has
            the weight 0 adds nothing. None for all 1. The mean that PyTorch takes by default is the
            sum of the losses over that of the weights w_y.
        ignore_label: A label, within the classes or not, whose examples have the loss and the
            gradient 0, whatever their logits; None for none. PyTorch ignores −100 by default.

    Returns:
        One loss per example, of the shape of the labels, in nats.

    Raises:
        TypeError: If the logits or the weights are not floating-point, the labels or
            ``ignore_label`` no integers, ``where`` no bool.
        ValueError: If the shapes do not fit, the axis does not exist, there are no classes, or ε
            lies outside [0, 1].

    Example:
        >>> z = jnp.array([[17.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        >>> loss = softmax_cross_entropy_with_integer_labels(z, jnp.array([0, 3]))
        >>> print(f"{loss[0]:.3e} {loss[1]}")  # log(1 + 2 e⁻¹⁷), and there is no class 3
        8.280e-08 nan

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §6.2.2.3; Szegedy et al., Rethinking
        the inception architecture for computer vision (2016), §7 (label smoothing).
    """
    name = "softmax_cross_entropy_with_integer_labels"
    z, y, counts = _examples(
        name, logits, labels, axis, where, ignore_label, cure="softmax_cross_entropy"
    )
    _checks.number(name, "label_smoothing", label_smoothing, above=0, below=1, closed="[]")
    _checks.broadcasts_to(name, "label_smoothing", label_smoothing, "labels", labels)
    if class_weights is not None:
        _check_class_weights(name, class_weights, z.shape[-1])
    if isinstance(label_smoothing, float | int) and label_smoothing == 0:
        loss = computed_wide(lambda z: _weighted(_surprise(z, y), y, class_weights), z)
    else:
        among = None if where is None else _counting(name, logits, axis, where)
        loss = computed_wide(
            lambda z: _cross_entropy(z, _smoothed(z, y, label_smoothing, class_weights, among)), z
        )
    return loss if counts is None else jnp.where(counts, loss, 0)
