"""Losses of margins: how far a score stands on the right side, and nothing beyond far enough.

Notation: y is a score and t = ±1 the side it should stand on, so that m = y t is its margin;
(x)₊ = max(x, 0).

Most of these losses have kinks. There the derivative is that of the flat side, 0, as it is for
``relu``. The formulas are taken as they stand for a t other than ±1, unless it is said otherwise.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Real

from fnmath import _checks
from fnmath.activations import sigmoid
from fnmath.losses._compensated import positive_part, sum_of_three
from fnmath.numerics import with_derivatives
from fnmath.numerics._wide import computed_wide


def _real(function: str, **arrays: Any) -> None:
    """Raise ``TypeError`` unless every array holds real numbers, integers or not."""
    for argument, x in arrays.items():
        _checks.array(function, argument, x)
        dtype = jnp.result_type(x)
        if not (jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)):
            problem = f"{argument} has dtype {dtype}; wanted real numbers"
            _checks.fail(function, problem, error=TypeError)


def _of_sides(function: str, loss: Any, scores: Any, targets: Any, name: str) -> Array:
    """The loss of checked scores and sides, in the precision of the scores."""
    _checks.floating(function, **{name: scores})
    _real(function, targets=targets)
    _checks.same_shape(function, **{name: scores, "targets": targets})
    scores = jnp.asarray(scores)
    return computed_wide(loss, scores, jnp.asarray(targets, scores.dtype))


def _flat_or(slope: Array, factor: Array) -> Array:
    """The product of the two, and 0 where the slope is, even if the factor is infinite."""
    return jnp.where(slope == 0, 0, slope * factor)


def _below(m: Array, kink: float) -> Array:
    """The slope of (kink − m)₊: −1 below the kink, else 0."""
    return jnp.where(jnp.isnan(m), m, jnp.where(m < kink, -1, 0).astype(m.dtype))


@with_derivatives(lambda y, t: _below(y * t, 1) * t, lambda y, t: _flat_or(_below(y * t, 1), y))
def _hinge(y: Array, t: Array) -> Array:
    return jnp.maximum(1 - y * t, 0)


def hinge_loss(
    predictor_outputs: Float[Array, "*batch"], targets: Real[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Hinge loss of a score, which asks for a margin of 1: the loss of support vector machines.

        ℓ(y, t) = (1 − y t)₊

    Gradient:
        ∂ℓ/∂y = −t where y t < 1, else 0

    Args:
        predictor_outputs: The scores y.
        targets: The sides t, each 1 or −1, of the same shape.

    Returns:
        One loss per score, in the units of the scores.

    Raises:
        TypeError: If the scores are not floating-point numbers, or the sides no real numbers.
        ValueError: If the shapes differ.

    Example:
        >>> print(hinge_loss(jnp.array([2.0, 0.5, -1.0]), jnp.ones(3)))
        [0.  0.5 2. ]

    Source:
        Hastie, Tibshirani and Friedman, The Elements of Statistical Learning (2009), §12.3.2.
    """
    return _of_sides("hinge_loss", _hinge, predictor_outputs, targets, "predictor_outputs")


@with_derivatives(lambda y, t: _below(y * t, 0) * t, lambda y, t: _flat_or(_below(y * t, 0), y))
def _perceptron(y: Array, t: Array) -> Array:
    return jnp.maximum(-y * t, 0)


def perceptron_loss(
    predictor_outputs: Float[Array, "*batch"], targets: Real[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Perceptron loss of a score, which asks for the right side and for no margin.

        ℓ(y, t) = (−y t)₊

    Gradient:
        ∂ℓ/∂y = −t where y t < 0, else 0

    Args:
        predictor_outputs: The scores y.
        targets: The sides t, each 1 or −1, of the same shape.

    Returns:
        One loss per score, in the units of the scores.

    Raises:
        TypeError: If the scores are not floating-point numbers, or the sides no real numbers.
        ValueError: If the shapes differ.

    Example:
        >>> print(perceptron_loss(jnp.array([2.0, 0.5, -1.0]), jnp.ones(3)))
        [0. 0. 1.]

    Source:
        Bishop, Pattern Recognition and Machine Learning (2006), §4.1.7, equation (4.54).
    """
    name = "perceptron_loss"
    return _of_sides(name, _perceptron, predictor_outputs, targets, "predictor_outputs")


@with_derivatives(lambda y, t: -sigmoid(-y * t) * t, lambda y, t: _flat_or(-sigmoid(-y * t), y))
def _soft_margin(y: Array, t: Array) -> Array:
    m = y * t
    return jnp.maximum(-m, 0) + jnp.log1p(jnp.exp(-jnp.abs(m)))


def soft_margin_loss(
    predictions: Float[Array, "*batch"], targets: Real[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Logistic loss of a score, in nats: the hinge made smooth, which never ends.

        ℓ(y, t) = log(1 + exp(−y t)) = (−y t)₊ + log(1 + exp(−|y t|))

    ``sigmoid_binary_cross_entropy`` with the labels written ±1.

    Gradient:
        ∂ℓ/∂y = −t σ(−y t)

    Args:
        predictions: The scores y, in nats.
        targets: The sides t, each 1 or −1, of the same shape.

    Returns:
        One loss per score, in nats.

    Raises:
        TypeError: If the scores are not floating-point numbers, or the sides no real numbers.
        ValueError: If the shapes differ.

    Example:
        >>> loss = soft_margin_loss(jnp.array([40.0, -40.0]), jnp.ones(2))
        >>> print(f"{loss[0]:.4g} {loss[1]:.4g}")  # log(1 + e⁻⁴⁰) and log(1 + e⁴⁰)
        4.248e-18 40

    Source:
        Hastie, Tibshirani and Friedman, The Elements of Statistical Learning (2009), §10.5.
    """
    return _of_sides("soft_margin_loss", _soft_margin, predictions, targets, "predictions")


def hinge_embedding_loss(
    predictions: Float[Array, "*batch"],
    targets: Real[Array, "*batch"],
    *,
    margin: float | Float[Array, "..."] = 1.0,
) -> Float[Array, "*batch"]:
    """Loss of a distance that should be small between likes, and at least a margin otherwise.

        ℓ(y, t) = y              where t = 1
                  (margin − y)₊  where t = −1

    Gradient:
        ∂ℓ/∂y = 1 where t = 1;  −1 where t = −1 and y < margin;  else 0

    Args:
        predictions: The distances y.
        targets: 1 for likes and −1 for others, of the same shape; any other number gives nan.
        margin: The distance that is far enough, in the units of y; an array broadcasts to y.

    Returns:
        One loss per distance, in its units.

    Raises:
        TypeError: If the distances are not floating-point numbers, the targets no real numbers or
            the margin no number.
        ValueError: If the shapes differ, or the margin does not broadcast to them.

    Example:
        >>> print(hinge_embedding_loss(jnp.array([0.2, 0.2]), jnp.array([1, -1])))
        [0.2 0.8]

    Source:
        The documentation of ``torch.nn.HingeEmbeddingLoss``; Hadsell, Chopra and LeCun,
        Dimensionality reduction by learning an invariant mapping (2006), §2.1 (its square).
    """

    def loss(y: Array, t: Array) -> Array:
        y = y * jnp.where(jnp.abs(t) == 1, 1, jnp.nan)
        return jnp.where(t == -1, positive_part(jnp.asarray(margin, y.dtype) - y), y)

    name = "hinge_embedding_loss"
    _checks.floating(name, predictions=predictions)
    _checks.number(name, "margin", margin)
    _checks.broadcasts_to(name, "margin", margin, "predictions", predictions)
    return _of_sides(name, loss, predictions, targets, "predictions")


def margin_ranking_loss(
    first: Float[Array, "*batch"],
    second: Float[Array, "*batch"],
    targets: Real[Array, "*batch"],
    *,
    margin: float | Float[Array, "..."] = 0.0,
) -> Float[Array, "*batch"]:
    """Hinge loss of the order of two scores.

        ℓ(y₁, y₂, t) = (margin − t (y₁ − y₂))₊

    Gradient:
        ∂ℓ/∂y₁ = −t where t (y₁ − y₂) < margin, else 0;    ∂ℓ/∂y₂ = −∂ℓ/∂y₁

    Args:
        first: The scores y₁.
        second: The scores y₂, of the same shape.
        targets: 1 where the first should be the larger, −1 where the second should.
        margin: By how much, in the units of the scores; an array broadcasts to them.

    Returns:
        One loss per pair, in the units of the scores.

    Raises:
        TypeError: If the scores are not floating-point numbers, the targets no real numbers or
            the margin no number.
        ValueError: If the shapes differ, or the margin does not broadcast to them.

    Example:
        >>> print(margin_ranking_loss(jnp.array([3.0, 1.0]), jnp.array([1.0, 3.0]), jnp.ones(2)))
        [0. 2.]

    Source:
        The documentation of ``torch.nn.MarginRankingLoss``; Herbrich, Graepel and Obermayer, Large
        margin rank boundaries for ordinal regression (2000).
    """
    name = "margin_ranking_loss"
    _checks.floating(name, first=first, second=second)
    _real(name, targets=targets)
    _checks.same_shape(name, first=first, second=second, targets=targets)
    _checks.number(name, "margin", margin)
    _checks.broadcasts_to(name, "margin", margin, "first", first)
    dtype = jnp.result_type(first, second)

    def loss(y_1: Array, y_2: Array, t: Array) -> Array:
        return positive_part(sum_of_three(-t * y_1, t * y_2, jnp.asarray(margin, y_1.dtype)))

    return computed_wide(
        loss, jnp.asarray(first, dtype), jnp.asarray(second, dtype), jnp.asarray(targets, dtype)
    )


def _sparse_slope(x: Array) -> Array:
    return jnp.clip(0.5 * (x + 1), 0, 1)


@with_derivatives(
    with_derivatives(
        lambda x: jnp.where(jnp.isnan(x), x, 0.5 * ((x > -1) & (x < 1)).astype(x.dtype))
    )(_sparse_slope)
)
def _sparse_plus(x: Array) -> Array:
    """The integral of clip(½ (x + 1), 0, 1)."""
    inside = jnp.square(0.5 * (x + 1))
    return jnp.where(x <= -1, 0, jnp.where(x >= 1, x, inside))


def sparsemax_loss(
    logits: Float[Array, "*batch"], labels: Real[Array, "*batch"] | Bool[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Loss of two classes that is 0 where the score is 1 or more on the right side.

        ℓ(z, t) = 0 where x ≤ −1,    ¼ (x + 1)² between,    x where x ≥ 1
        x = −z where t = 1,    z where t = 0

    Gradient:
        ∂ℓ/∂z = ∓clip(½ (x + 1), 0, 1), with − where t = 1

    Args:
        logits: The scores z.
        labels: 1 or True where the event occurred, 0 or False where it did not, of the same shape;
            any other number gives nan.

    Returns:
        One loss per score.

    Raises:
        TypeError: If the logits are not floating-point numbers, or the labels neither real numbers
            nor booleans.
        ValueError: If the shapes differ.

    Example:
        >>> print(sparsemax_loss(jnp.array([2.0, 0.0, -3.0]), jnp.ones(3, int)))
        [0.   0.25 3.  ]

    Source:
        Blondel, Martins and Niculae, Learning with Fenchel–Young losses (2020), §4.4.
    """
    name = "sparsemax_loss"
    _checks.floating(name, logits=logits)
    _checks.array(name, "labels", labels)
    if jnp.result_type(labels) != jnp.bool_:
        _real(name, labels=labels)
    _checks.same_shape(name, logits=logits, labels=labels)
    yes, no = jnp.asarray(labels) == 1, jnp.asarray(labels) == 0
    side = jnp.where(yes, -1, jnp.where(no, 1, jnp.nan))
    return computed_wide(lambda z: _sparse_plus(z * side.astype(z.dtype)), jnp.asarray(logits))
