"""Losses of classes: cross-entropies of logits.

Notation: z are logits, p = softmax(z) the probabilities they stand for, m = max z; σ is the
logistic sigmoid; t are label probabilities, y is an integer label; ż and ṫ are tangents.

Why no cross-entropy is ever 0
------------------------------
A classifier that is sure and right still has a loss and a gradient, both of the size of 1 − p. They
vanish if they are formed by subtracting from 1: in float32 the logits 17, 0, 0 already have p₀ = 1.
So the derivatives here are closed forms, of which none subtracts a probability from 1 where that
cancels: 1 − pⱼ is the sum of the others, and log pⱼ is zⱼ − m less log1p of the odds of all those
behind the leader. Each is linear in the tangent, so that JAX transposes it for reverse mode, and is
built of functions that have closed forms of their own, so that higher orders are as good.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Bool, Float, Integer

from fnmath import _checks
from fnmath.activations import sigmoid
from fnmath.numerics._shifted import (
    centred,
    largest,
    odds,
    rest,
    shifted_log_softmax,
    shifted_softmax,
)

LAST = (-1,)


def _computed_wide(loss: Callable[..., Array], *arrays: Array) -> Array:
    """The loss in single precision at least, rounded once to the precision of its arguments."""
    dtype = jnp.result_type(*arrays)
    wide = jnp.promote_types(dtype, jnp.float32)
    return loss(*(jnp.asarray(x, wide) for x in arrays)).astype(dtype)


def _slope(weight: Callable[[], Array], tangent: Array | SymbolicZero) -> Any:
    """The tangent times its weight; 0 where nothing was moved, even under a weight of ∞."""
    return 0.0 if isinstance(tangent, SymbolicZero) else weight() * tangent


@jax.custom_jvp
def _binary_cross_entropy(
    z: Float[Array, "*batch"], t: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    against = jnp.where(z > 0, 1 - t, t)
    certain = jnp.where(against == 0, 0, against * jnp.abs(z))
    return certain + jnp.log1p(jnp.exp(-jnp.abs(z)))


@functools.partial(_binary_cross_entropy.defjvp, symbolic_zeros=True)
def _binary_cross_entropy_jvp(primals: tuple, tangents: tuple) -> tuple:
    (z, t), (z_dot, t_dot) = primals, tangents
    by_logit = _slope(lambda: (1 - t) * sigmoid(z) - t * sigmoid(-z), z_dot)
    return _binary_cross_entropy(z, t), by_logit + _slope(lambda: -z, t_dot)


def sigmoid_binary_cross_entropy(
    logits: Float[Array, "*batch"], labels: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Cross-entropy, in nats, of a yes-or-no event with log-odds z under the probability t.

        ℓ(z, t) = −t log σ(z) − (1 − t) log σ(−z) = w |z| + log(1 + e⁻ˡᶻˡ)

    with w the weight of the outcome that z speaks against: 1 − t where z > 0, t elsewhere. Both
    terms of the last form are at least 0, so that neither takes digits from the other.

    Gradient:
        ∂ℓ/∂z = (1 − t) σ(z) − t σ(−z) = σ(z) − t
        ∂ℓ/∂t = −z

    A logit of ±∞ is a certainty: the loss is 0 where it is right, ∞ where it is wrong.

    Args:
        logits: The log-odds z of the event, in nats.
        labels: The probability t of the event, of the same shape; 1 and 0 for yes and no.

    Returns:
        One loss per entry, in nats. Events of one example are for the caller to sum.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ.

    Example:
        >>> loss = sigmoid_binary_cross_entropy(jnp.array([40.0, 40.0]), jnp.array([0.0, 1.0]))
        >>> print(f"{loss[0]:.4g} {loss[1]:.4g}")  # log(1 + e⁴⁰) and log(1 + e⁻⁴⁰)
        40 4.248e-18

    Source:
        Bishop, Pattern Recognition and Machine Learning (2006), §4.3.2, equation (4.90).
    """
    _checks.floating("sigmoid_binary_cross_entropy", logits=logits, labels=labels)
    _checks.same_shape("sigmoid_binary_cross_entropy", logits=logits, labels=labels)
    return _computed_wide(_binary_cross_entropy, logits, labels)


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
    ahead, behind = odds(z, m), jnp.maximum(rest(z, m, LAST), 0)
    return ahead, jnp.where(z == m, behind, 1 + (behind - ahead)), 1 + behind


def _classes_last(function: str, logits: Array, axis: int, where: Array | None) -> Array:
    """The logits with their classes on the last axis, those left out at −∞."""
    _checks.classes(function, logits, axis)
    if where is not None:
        _checks.mask(function, "where", where, logits=logits)
        logits = jnp.where(where, logits, -jnp.inf)
    return jnp.moveaxis(jnp.asarray(logits), axis, -1)


@jax.custom_jvp
def _cross_entropy(
    z: Float[Array, "*batch classes"], t: Float[Array, "*batch classes"]
) -> Float[Array, "*batch"]:
    return jnp.sum(jnp.where(t == 0, 0, -t * shifted_log_softmax(z, LAST)), -1)


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
    axis: int = -1,
    *,
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
        axis: The axis of the classes.
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
    z, t = _classes_last(name, logits, axis, where), jnp.moveaxis(labels, axis, -1)
    if where is not None:
        t = jnp.where(jnp.moveaxis(jnp.broadcast_to(where, logits.shape), axis, -1), t, 0)
    return _computed_wide(_cross_entropy, z, t)


def _is_class(z: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"]) -> Array:
    return ((labels >= 0) & (labels < np.int32(z.shape[-1])))[..., None]


@jax.custom_jvp
def _surprise(
    z: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """−log p at the label; nan where there is no such class."""
    m = largest(z, LAST)
    z_y = jnp.take_along_axis(z, labels[..., None], -1, mode="clip")
    surprise = jnp.where(z_y == m, 0, m - z_y) + jnp.log1p(jnp.maximum(rest(z, m, LAST), 0))
    return jnp.where(_is_class(z, labels), surprise, jnp.nan)[..., 0]


@_surprise.defjvp
def _surprise_jvp(primals: tuple, tangents: tuple) -> tuple:
    return _surprise(*primals), jnp.sum(_surprise_residual(*primals) * tangents[0], -1)


@jax.custom_jvp
def _surprise_residual(
    z: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"]
) -> Float[Array, "*batch classes"]:
    """The probabilities p, with −Σ_{k≠y} pₖ at the label y; nan where there is no such class."""
    ahead, others, total = _odds_and_others(z)
    at_label = labels[..., None] == jnp.arange(z.shape[-1])
    return jnp.where(_is_class(z, labels), jnp.where(at_label, -others, ahead) / total, jnp.nan)


@_surprise_residual.defjvp
def _surprise_residual_jvp(primals: tuple, tangents: tuple) -> tuple:
    (z, labels), (z_dot, _) = primals, tangents
    p, defined = shifted_softmax(z, LAST), jnp.where(_is_class(z, labels), 1, jnp.nan)
    return _surprise_residual(z, labels), defined * p * centred(z_dot, p, LAST)


def softmax_cross_entropy_with_integer_labels(
    logits: Float[Array, "*shape"],
    labels: Integer[Array, "*batch"],
    axis: int = -1,
    *,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "*batch"]:
    """Cross-entropy, in nats, of the softmax of the logits at the class that occurred.

        ℓ(z, y) = −log p_y = (m − z_y) + log(1 + Σ_{j≠argmax} exp(zⱼ − m))

    What ``softmax_cross_entropy`` gives for one-hot labels, of which none is formed.

    Gradient:
        ∂ℓ/∂zⱼ = pⱼ for j ≠ y,    ∂ℓ/∂z_y = −Σ_{j≠y} pⱼ

    Logits of ±∞ mean what they mean there; a label at −∞, or at a class left out, has the loss ∞. A
    label outside [0, classes) makes the loss of its example nan, and the gradient, even where that
    loss is masked afterwards: to leave an example out, leave out all of its classes by ``where``.

    Args:
        logits: Scores z of the classes, in nats up to a constant per example.
        labels: The class y of each example, of the shape of the logits without ``axis``.
        axis: The axis of the classes.
        where: The classes that count, in a shape that broadcasts to that of the logits; whatever
            stands in the others, nan included, does not matter. An example with none has loss 0.

    Returns:
        One loss per example, of the shape of the labels, in nats.

    Raises:
        TypeError: If the logits are not floating-point, the labels no integers, ``where`` no bool.
        ValueError: If the shapes do not fit, the axis does not exist, or there are no classes.

    Example:
        >>> z = jnp.array([[17.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        >>> loss = softmax_cross_entropy_with_integer_labels(z, jnp.array([0, 3]))
        >>> print(f"{loss[0]:.3e} {loss[1]}")  # log(1 + 2 e⁻¹⁷), and there is no class 3
        8.280e-08 nan

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §6.2.2.3.
    """
    name = "softmax_cross_entropy_with_integer_labels"
    _checks.floating(name, logits=logits)
    z = _classes_last(name, logits, axis, where)
    _checks.class_labels(name, logits, labels, axis, "softmax_cross_entropy")
    counts = True if where is None else jnp.any(jnp.broadcast_to(where, jnp.shape(logits)), axis)
    _checks.labels_known(name, labels, z.shape[-1], where=counts)
    loss = _computed_wide(lambda z: _surprise(z, jnp.asarray(labels)), z)
    return loss if where is None else jnp.where(counts, loss, 0)
