"""Losses of numbers: functions of the residual alone.

Notation: y is a prediction, t its target, r = y − t their difference (the residual).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.numerics import with_derivatives


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
    _checks.floating("squared_error", predictions=predictions, targets=targets)
    _checks.same_shape("squared_error", predictions=predictions, targets=targets)
    return jnp.square(predictions - targets)


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
    _checks.floating("l2_loss", predictions=predictions, targets=targets)
    _checks.same_shape("l2_loss", predictions=predictions, targets=targets)
    residual = predictions - targets
    return (0.5 * residual) * residual


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
    _checks.floating("absolute_error", predictions=predictions, targets=targets)
    _checks.same_shape("absolute_error", predictions=predictions, targets=targets)
    return _distance(predictions - targets)


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
    _checks.same_shape("huber_loss", predictions=predictions, targets=targets)
    _checks.number("huber_loss", "delta", delta, above=0)
    _checks.broadcasts_to("huber_loss", "delta", delta, "predictions", predictions)
    r = predictions - targets
    return _huber(r, jnp.asarray(delta, jnp.result_type(r)))
