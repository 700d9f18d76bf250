"""Losses of numbers: functions of the residual alone, and of differences between neighbours.

Notation: y is a prediction, t its target, r = y − t their difference (the residual).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.activations import tanh
from fnmath.numerics import safe_norm, with_derivatives
from fnmath.numerics._wide import computed_wide


def _of_residual(
    function: str, loss: Callable[..., Array], predictions: Any, targets: Any, **options: Any
) -> Array:
    """The loss of the residual, with what every loss here asks of its two arrays."""
    _checks.floating(function, predictions=predictions, targets=targets)
    _checks.same_shape(function, predictions=predictions, targets=targets)

    def of_both(y: Array, t: Array) -> Array:
        return loss(y - t, *(jnp.asarray(option, y.dtype) for option in options.values()))

    return computed_wide(of_both, predictions, targets)


def _check_option(function: str, argument: str, x: Any, predictions: Any, **interval: Any) -> None:
    """Raise unless the option is a number in the interval, or an array that fits."""
    _checks.number(function, argument, x, **interval)
    _checks.broadcasts_to(function, argument, x, "predictions", predictions)


def squared_error(
    predictions: Float[Array, "*batch"], targets: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Squared error, the loss whose best constant prediction is the mean of the targets.

        ℓ(y, t) = r²,    r = y − t

    Gradient:
        ∂ℓ/∂y = 2 r = −∂ℓ/∂t

    Args:
        predictions: The predictions y.
        targets: The targets t, of the same shape.

    Returns:
        One loss per entry, in the square of the units of y.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ.

    Example:
        >>> print(squared_error(jnp.array([0.5, 3.0]), jnp.zeros(2)))
        [0.25 9.  ]

    Source:
        Bishop, Pattern Recognition and Machine Learning (2006), §1.5.5.
    """
    return _of_residual("squared_error", jnp.square, predictions, targets)


def l2_loss(
    predictions: Float[Array, "*batch"], targets: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Half the squared error, whose gradient is the residual itself.

        ℓ(y, t) = ½ r²,    r = y − t

    The half is taken before the product, which then overflows only where the loss does.

    Gradient:
        ∂ℓ/∂y = r = −∂ℓ/∂t

    Args:
        predictions: The predictions y.
        targets: The targets t, of the same shape.

    Returns:
        One loss per entry, in the square of the units of y.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ.

    Example:
        >>> print(l2_loss(jnp.array([0.5, 3.0]), jnp.zeros(2)))
        [0.125 4.5  ]

    Source:
        Bishop, Pattern Recognition and Machine Learning (2006), §3.1.1, equation (3.12).
    """
    return _of_residual("l2_loss", lambda r: (0.5 * r) * r, predictions, targets)


@with_derivatives(jnp.sign)  # autodiff of jnp.abs is 1 at 0, and −1 at nan
def _distance(residual: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    return jnp.abs(residual)


def absolute_error(
    predictions: Float[Array, "*batch"], targets: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Absolute error, the loss whose best constant prediction is the median of the targets.

        ℓ(y, t) = |r|,    r = y − t

    Gradient:
        ∂ℓ/∂y = sign(r) = −∂ℓ/∂t        (0 at the kink r = 0, as in PyTorch's ``l1_loss``)

    Args:
        predictions: The predictions y.
        targets: The targets t, of the same shape.

    Returns:
        One loss per entry, in the units of y.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ.

    Example:
        >>> print(absolute_error(jnp.array([0.5, -3.0]), jnp.zeros(2)))
        [0.5 3. ]

    Source:
        Bishop, Pattern Recognition and Machine Learning (2006), §1.5.5.
    """
    return _of_residual("absolute_error", _distance, predictions, targets)


l1_loss = absolute_error  # the name that PyTorch has for it


def _huber_slope(r: jax.Array, delta: jax.Array) -> jax.Array:
    return jnp.where(delta > 0, jnp.clip(r, -delta, delta), jnp.nan)


@with_derivatives(_huber_slope, lambda r, delta: jnp.maximum(jnp.abs(r) - delta, 0))
def _huber(r: jax.Array, delta: jax.Array) -> jax.Array:
    capped = jnp.minimum(jnp.abs(r), delta)
    return jnp.where(delta > 0, capped * (jnp.abs(r) - 0.5 * capped), jnp.nan)


def huber_loss(
    predictions: Float[Array, "*batch"],
    targets: Float[Array, "*batch"],
    delta: float | Float[Array, "..."] = 1.0,
) -> Float[Array, "*batch"]:
    """Huber's loss: squared error near the target, absolute error far from it.

        ℓ(y, t) = ½ r²             where |r| ≤ δ,    r = y − t
                  δ (|r| − ½ δ)    elsewhere

    Computed as c (|r| − ½ c) with c = min(|r|, δ), one formula for both branches, so that no
    branch overflows where the other is taken.

    Gradient:
        ∂ℓ/∂y = clip(r, −δ, δ) = −∂ℓ/∂t,    ∂ℓ/∂δ = max(|r| − δ, 0)

    Args:
        predictions: The predictions y.
        targets: The targets t, of the same shape.
        delta: The residual δ > 0 at which the parabola becomes a line, in the units of y; an array
            may hold one per entry, and gives nan where it is not above 0.

    Returns:
        One loss per entry, in the square of the units of y.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ, δ is a number and not above 0, or does not broadcast to y.

    Example:
        >>> print(huber_loss(jnp.array([0.5, 3.0]), jnp.zeros(2)))
        [0.125 2.5  ]

    Source:
        Huber, Robust estimation of a location parameter (1964), §2.
    """
    _checks.floating("huber_loss", predictions=predictions, targets=targets)
    _check_option("huber_loss", "delta", delta, predictions, above=0)
    return _of_residual("huber_loss", _huber, predictions, targets, delta=delta)


def _smooth_l1_slope(r: jax.Array, beta: jax.Array) -> jax.Array:
    inside = jnp.clip(r / jnp.where(beta == 0, 1, beta), -1, 1)
    return jnp.where(beta >= 0, jnp.where(beta == 0, jnp.sign(r), inside), jnp.nan)


def _smooth_l1_by_beta(r: jax.Array, beta: jax.Array) -> jax.Array:
    return -0.5 * jnp.square(_smooth_l1_slope(r, beta))


@with_derivatives(_smooth_l1_slope, _smooth_l1_by_beta)
def _smooth_l1(r: jax.Array, beta: jax.Array) -> jax.Array:
    capped = jnp.minimum(jnp.abs(r), beta)
    share = jnp.where(beta == 0, 1, capped / jnp.where(beta == 0, 1, beta))
    return jnp.where(beta >= 0, share * (jnp.abs(r) - 0.5 * capped), jnp.nan)


def smooth_l1_loss(
    predictions: Float[Array, "*batch"],
    targets: Float[Array, "*batch"],
    *,
    beta: float | Float[Array, "..."] = 1.0,
) -> Float[Array, "*batch"]:
    """Absolute error with its kink smoothed by a parabola: Huber's loss divided by its width.

        ℓ(y, t) = ½ r²/β       where |r| < β,    r = y − t
                  |r| − ½ β    elsewhere

    With β = 0 it is ``absolute_error``. Huber's loss with δ = β is β times this one, so that only
    here the slope far from the target stays 1.

    Gradient:
        ∂ℓ/∂y = clip(r/β, −1, 1) = −∂ℓ/∂t,    ∂ℓ/∂β = −½ min(|r|/β, 1)²

    Args:
        predictions: The predictions y.
        targets: The targets t, of the same shape.
        beta: The residual β ≥ 0 at which the parabola becomes a line, in the units of y; an array
            may hold one per entry, and gives nan where it is below 0.

    Returns:
        One loss per entry, in the units of y.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ, β is a number below 0, or does not broadcast to y.

    Example:
        >>> print(smooth_l1_loss(jnp.array([0.5, 3.0]), jnp.zeros(2), beta=2.0))
        [0.0625 2.    ]

    Source:
        Girshick, Fast R-CNN (2015), §2.3, equation (3), where β = 1; ``smooth_l1_loss`` of PyTorch.
    """
    _checks.floating("smooth_l1_loss", predictions=predictions, targets=targets)
    _check_option("smooth_l1_loss", "beta", beta, predictions, above=0, closed="[")
    return _of_residual("smooth_l1_loss", _smooth_l1, predictions, targets, beta=beta)


def _cosh_less_one(a: jax.Array) -> jax.Array:
    """The Taylor series of cosh a − 1 for |a| ≤ 1."""
    terms = 10 if a.dtype == jnp.float64 else 6
    w, total = a * a, jnp.ones_like(a)
    for k in reversed(range(1, terms)):
        total = 1 + total * w / ((2 * k + 1) * (2 * k + 2))
    return 0.5 * w * total


@with_derivatives(tanh)
def _log_cosh(r: jax.Array) -> jax.Array:
    a = jnp.abs(r)
    near = a < 1
    beyond = jnp.log1p(jnp.where(near, _cosh_less_one(jnp.minimum(a, 1)), jnp.exp(-2 * a)))
    return jnp.where(near, beyond, (a - math.log(2)) + beyond)


def log_cosh(
    predictions: Float[Array, "*batch"], targets: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Logarithm of the hyperbolic cosine of the residual, a Huber loss without a seam.

        ℓ(y, t) = log cosh r = log(1 + (½ r² + r⁴/4! + …))           where |r| < 1,    r = y − t
                             = |r| − log 2 + log(1 + exp(−2|r|))     elsewhere

    It is ½ r² for small r and |r| − log 2 for large. The first form keeps the digits of the small,
    where the second subtracts log 2 from itself; the cosine, which overflows at |r| = 89 in
    float32, is never formed.

    Gradient:
        ∂ℓ/∂y = tanh r = −∂ℓ/∂t

    Args:
        predictions: The predictions y.
        targets: The targets t, of the same shape.

    Returns:
        One loss per entry; y has no units here, the parabola becoming a line near |r| = 1.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ.

    Example:
        >>> loss = log_cosh(jnp.array([1e-8, 1e4]), jnp.zeros(2))
        >>> print(f"{loss[0]:.3g} {loss[1]:.3f}")  # ½ r² and r − log 2
        5e-17 9999.307

    Source:
        ``optax.losses.log_cosh``; Green, Bayesian reconstructions from emission tomography data
        using a modified EM algorithm (1990), where it is a potential of differences.
    """
    return _of_residual("log_cosh", _log_cosh, predictions, targets)


def _sides(function: str, argument: str, level: Any, predictions: Any) -> dict[str, Any]:
    """The level and 1 − level, nan where it is outside (0, 1).

    The complement of a Python number is taken before rounding it to float32: of 0.999 it would lose
    four digits afterwards.
    """
    _check_option(function, argument, level, predictions, above=0, below=1)
    if jnp.ndim(level) or isinstance(level, jax.Array):
        level = jnp.asarray(level)
        level = level.astype(jnp.promote_types(level.dtype, jnp.float32))
        level = level * jnp.where((level > 0) & (level < 1), 1, jnp.nan)
    return {argument: level, "complement": 1 - level}


def _pinball_slope(r: jax.Array, level: jax.Array, complement: jax.Array) -> jax.Array:
    return jnp.where(r < 0, -level, jnp.where(r > 0, complement, 0 * (r + level)))


@with_derivatives(
    _pinball_slope,
    lambda r, level, complement: jnp.maximum(-r, 0),
    lambda r, level, complement: jnp.maximum(r, 0),
)
def _pinball(r: jax.Array, level: jax.Array, complement: jax.Array) -> jax.Array:
    return jnp.where(r < 0, -level, complement) * r


def pinball_loss(
    predictions: Float[Array, "*batch"],
    targets: Float[Array, "*batch"],
    *,
    quantile: float | Float[Array, "..."] = 0.5,
) -> Float[Array, "*batch"]:
    """Pinball loss, the loss whose best constant prediction is a quantile of the targets.

        ℓ(y, t) = q (t − y)          where t ≥ y
                  (1 − q) (y − t)    elsewhere

    Gradient:
        ∂ℓ/∂y = −q where t > y, 1 − q where t < y, 0 at the kink;    ∂ℓ/∂q = t − y

    Args:
        predictions: The predictions y of the quantile.
        targets: The targets t, of the same shape.
        quantile: The probability q in (0, 1) that a target shall lie below its prediction; an array
            may hold one per entry, such as one for each column of y, and gives nan outside (0, 1).

    Returns:
        One loss per entry, in the units of y; at q = ½ half the absolute error.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ, q is a number outside (0, 1), or does not broadcast to y.

    Example:
        >>> print(pinball_loss(jnp.array([1.0, -1.0]), jnp.zeros(2), quantile=0.75))
        [0.25 0.75]

    Source:
        Koenker and Bassett, Regression quantiles (1978), §3; Koenker, Quantile Regression (2005),
        §1.3.
    """
    _checks.floating("pinball_loss", predictions=predictions, targets=targets)
    sides = _sides("pinball_loss", "quantile", quantile, predictions)
    return _of_residual("pinball_loss", _pinball, predictions, targets, **sides)


def _expectile(r: jax.Array, level: jax.Array, complement: jax.Array) -> jax.Array:
    return (jnp.where(r < 0, level, complement) * r) * r


def expectile_loss(
    predictions: Float[Array, "*batch"],
    targets: Float[Array, "*batch"],
    *,
    expectile: float | Float[Array, "..."] = 0.5,
) -> Float[Array, "*batch"]:
    """Squared error that weighs the two sides differently, as the pinball loss does the absolute.

        ℓ(y, t) = τ (t − y)²          where t > y
                  (1 − τ) (t − y)²    elsewhere

    Its best constant prediction is an expectile: smooth in the targets, and moved by how far the
    far ones lie, where a quantile only counts them.

    Gradient:
        ∂ℓ/∂y = 2 w (y − t) = −∂ℓ/∂t,    w = τ where t > y, else 1 − τ;    ∂ℓ/∂τ = ±(t − y)², its
        sign that of t − y

    Args:
        predictions: The predictions y of the expectile.
        targets: The targets t, of the same shape.
        expectile: The weight τ in (0, 1) of targets above their prediction; an array may hold one
            per entry, and gives nan outside (0, 1).

    Returns:
        One loss per entry, in the square of the units of y; at τ = ½ the ``l2_loss``.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ, τ is a number outside (0, 1), or does not broadcast to y.

    Example:
        >>> print(expectile_loss(jnp.array([1.0, -1.0]), jnp.zeros(2), expectile=0.75))
        [0.25 0.75]

    Source:
        Newey and Powell, Asymmetric least squares estimation and testing (1987), §2.
    """
    _checks.floating("expectile_loss", predictions=predictions, targets=targets)
    sides = _sides("expectile_loss", "expectile", expectile, predictions)
    return _of_residual("expectile_loss", _expectile, predictions, targets, **sides)


def _step(x: Array, axis: int) -> Array:
    """The difference to the next entry along the axis, 0 for the last one."""
    after = (slice(None),) * (-1 - axis)
    rest, last = (x[(..., part, *after)] for part in (slice(1, None), slice(-1, None)))
    return jnp.concatenate([rest, last], axis) - x


def total_variation(
    x: Float[Array, "..."], *, isotropic: bool = False, spatial: int = 2
) -> Float[Array, "*batch"]:
    """Sum of the steps between neighbouring pixels, which noise raises and clean edges do not.

        V(x) = Σᵢ (|∂₁x|ᵢ + |∂₂x|ᵢ)          (anisotropic)
               Σᵢ √((∂₁x)ᵢ² + (∂₂x)ᵢ²)       (isotropic)

    with ∂ₖx the difference to the next pixel along axis k, 0 at the last one. Channels are summed.

    Gradient:
        ∂V/∂xᵢ = Σₖ (sign (∂ₖx)ᵢ₋₁ − sign (∂ₖx)ᵢ)    (anisotropic; sign 0 = 0, so a flat image is
        at rest). Isotropic, each sign is ∂ₖx over the square root, and 0 where that is 0.

    Args:
        x: Images, ``*batch height width channels``; with ``spatial=1`` signals, ``*batch time
            features``, with 3 volumes.
        isotropic: Whether a step is measured by its Euclidean length, the same in all directions,
            or along the axes.
        spatial: How many axes hold pixels, before the one of the channels.

    Returns:
        One number per image, in the units of x.

    Raises:
        TypeError: If x is not a floating-point array, or an option not of its type.
        ValueError: If x has too few axes, or ``spatial`` is below 1.

    Example:
        >>> step = jnp.array([[0.0, 0.0], [0.0, 1.0]])[..., None]
        >>> print(total_variation(step), total_variation(step, isotropic=True))
        2.0 2.0

    Source:
        Rudin, Osher and Fatemi, Nonlinear total variation based noise removal algorithms (1992),
        §2; Chambolle, An algorithm for total variation minimization and applications (2004), §2.
    """
    _checks.floating("total_variation", x=x)
    _checks.boolean("total_variation", "isotropic", isotropic)
    _checks.size("total_variation", spatial=spatial)
    names = "height width" if spatial == 2 else " ".join(f"axis{k}" for k in range(spatial))
    _checks.rank("total_variation", "x", x, f"{names} channels")

    def variation(x: Array) -> Array:
        steps = [_step(x, axis) for axis in range(-1 - spatial, -1)]
        if isotropic:
            lengths = safe_norm(jnp.stack(steps, -1), axis=-1)
        else:
            lengths = functools.reduce(jnp.add, map(_distance, steps))
        return jnp.sum(lengths, tuple(range(-1 - spatial, 0)))

    return computed_wide(variation, jnp.asarray(x))
