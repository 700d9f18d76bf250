"""Metrics of numbers: how much of the targets' variation a prediction explains.

Notation: y are predictions, t their targets, t̄ the mean of the targets.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fnmath import _checks
from fnmath.metrics._rows import counted, wide


def r2_score(
    predictions: Float[Array, "*batch examples"],
    targets: Float[Array, "*batch examples"],
    *,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "*batch"]:
    """Coefficient of determination R²: the share of the targets' variation that is explained.

        R² = 1 − A/S,    A = Σᵢ (tᵢ − yᵢ)²,    S = Σᵢ (tᵢ − t̄)²

    1 is perfect, 0 as good as the constant prediction t̄, and there is no lower bound. Both sums are
    taken of differences, S from the first target, each in units of the largest: so targets that are
    all alike have S = 0 and not a remainder of rounding, and squares neither overflow nor vanish.

    Gradient:
        ∂R²/∂yᵢ = 2 (tᵢ − yᵢ)/S
        ∂R²/∂tᵢ = 2 (tᵢ − t̄) A/S² − 2 (tᵢ − yᵢ)/S

    Args:
        predictions: The predictions y, examples last.
        targets: The targets t, of the same shape.
        where: False for the examples to leave out, in a shape that broadcasts to that of the
            targets; neither value nor gradient depends on what stands there, nan included.

    Returns:
        One score, at most 1, per set of examples. Where all targets are alike it is −∞, and nan if
        they were predicted perfectly (scikit-learn says 0 and 1 unless ``force_finite=False``); nan
        for less than two examples.

    Raises:
        TypeError: If an argument is not floating-point, or ``where`` not booleans.
        ValueError: If the shapes do not fit.

    Example:
        >>> y, t = jnp.array([1.0, 2.0, 4.0]), jnp.array([1.0, 2.0, 3.0])
        >>> print(r2_score(y, t))  # 1 − 1/2
        0.5

    Source:
        Draper and Smith, Applied Regression Analysis (1998), chapter 1;
        ``sklearn.metrics.r2_score``.
    """
    name = "r2_score"
    _checks.floating(name, predictions=predictions, targets=targets)
    _checks.rank(name, "predictions", predictions, "examples")
    _checks.same_shape(name, predictions=predictions, targets=targets)
    counts = counted(name, "targets", targets, where)
    y, t = (jnp.where(counts, wide(a), 0) for a in (predictions, targets))
    n = jnp.sum(counts, -1, keepdims=True)
    first = jnp.argmax(counts, -1, keepdims=True) if counts.shape[-1] else jnp.zeros_like(t, int)
    origin = jax.lax.stop_gradient(jnp.take_along_axis(t, first, -1))
    variation = jnp.where(counts, t - origin, 0)
    unit_of_error, unit = _unit(t - y), _unit(variation)
    variation = variation / unit
    variation = jnp.where(counts, variation - jnp.sum(variation, -1, keepdims=True) / n, 0)
    unexplained, total = (jnp.sum(jnp.square(a), -1) for a in ((t - y) / unit_of_error, variation))
    ratio = jnp.squeeze(unit_of_error / unit, -1)
    score = jnp.where(jnp.squeeze(n, -1) > 1, 1 - unexplained / total * ratio * ratio, jnp.nan)
    return score.astype(jnp.result_type(predictions, targets))


def _unit(differences: Array) -> Array:
    """The largest of them, as a scale that R² does not depend on; 1 where that is 0 or ∞."""
    unit = jnp.max(jnp.abs(jax.lax.stop_gradient(differences)), -1, keepdims=True, initial=0)
    return jnp.where((unit > 0) & (unit < jnp.inf), unit, 1)
