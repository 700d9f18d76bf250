"""Activations that make the small smaller: shrinkage operators, and a threshold."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.activations._exponentials import check_parameter, computed_wide, decaying, nan_unless
from fnmath.numerics import with_derivatives


def _threshold(x: jax.Array, edge: jax.Array, value: jax.Array) -> jax.Array:
    return jnp.where(x <= edge, value, x)


def threshold(
    x: Float[Array, "..."],
    threshold: float | Float[Array, "..."],
    value: float | Float[Array, "..."],
) -> Float[Array, "..."]:
    """The identity above a threshold, and one value below.

        f(x) = x where x > θ,    v elsewhere

    Gradient:
        f′(x) = 1 where x > θ, else 0,    f″(x) = 0

    Args:
        x: The argument.
        threshold: The threshold θ; an array broadcasts to x.
        value: The value v at and below it, such as −∞; an array broadcasts to x.

    Returns:
        f(x) in the shape and units of x.

    Raises:
        TypeError: If x is not a floating-point array, or θ or v not a number.
        ValueError: If θ is not finite, or a shape does not broadcast to that of x.

    Example:
        >>> print(threshold(jnp.array([-1.0, 0.5, 1.0, 2.0]), 1.0, -3.0))
        [-3. -3. -3.  2.]

    Source:
        ``torch.nn.functional.threshold``.
    """
    _checks.floating("threshold", x=x)
    check_parameter("threshold", "threshold", threshold, x)
    check_parameter("threshold", "value", value, x, closed="[]")
    return computed_wide(_threshold, x, threshold, value)


def _hard_shrink(x: jax.Array, edge: jax.Array) -> jax.Array:
    return jnp.where(jnp.abs(x) <= edge, 0, x)


def hard_shrink(
    x: Float[Array, "..."], lambd: float | Float[Array, "..."] = 0.5
) -> Float[Array, "..."]:
    """The identity, but 0 for all that is small: the proximal operator of the count of entries ≠ 0.

        f(x) = x where |x| > λ,    0 elsewhere

    Gradient:
        f′(x) = 1 where |x| > λ, else 0,    f″(x) = 0

    Args:
        x: The argument.
        lambd: The edge λ ≥ 0; an array broadcasts to x.

    Returns:
        f(x) in the shape and units of x.

    Raises:
        TypeError: If x is not a floating-point array, or λ not a number.
        ValueError: If λ < 0, or its shape does not broadcast to that of x.

    Example:
        >>> print(hard_shrink(jnp.array([-2.0, 0.25, 2.0])))
        [-2.  0.  2.]

    Source:
        Donoho and Johnstone, Ideal spatial adaptation by wavelet shrinkage (1994), §1.2 (hard and
        soft thresholding); ``torch.nn.functional.hardshrink``.
    """
    _checks.floating("hard_shrink", x=x)
    check_parameter("hard_shrink", "lambd", lambd, x, above=0, closed="[")
    return nan_unless(lambd >= 0, computed_wide(_hard_shrink, x, lambd))


def _soft_shrink(x: jax.Array, edge: jax.Array) -> jax.Array:
    return jnp.where(jnp.abs(x) <= edge, 0, jnp.where(x > 0, x - edge, x + edge))


def soft_shrink(
    x: Float[Array, "..."], lambd: float | Float[Array, "..."] = 0.5
) -> Float[Array, "..."]:
    """Every number moved towards 0 by as much as it can, up to λ: the proximal operator of λ|x|.

        f(x) = sign(x) max(|x| − λ, 0) = argmin ½ (y − x)² + λ |y| over y

    Gradient:
        f′(x) = 1 where |x| > λ, else 0,    f″(x) = 0

    Args:
        x: The argument.
        lambd: The step λ ≥ 0, in the units of x; an array
            broadcasts to x, and gives nan where it is below 0.

    Returns:
        f(x) in the shape and units of x.

    Raises:
        TypeError: If x is not a floating-point array, or λ not a number.
        ValueError: If λ < 0, or its shape does not broadcast to that of x.

    Example:
        >>> print(soft_shrink(jnp.array([-2.0, 0.25, 2.0])))
        [-1.5  0.   1.5]

    Source:
        Parikh and Boyd, Proximal Algorithms (2014), §6.5.2; ``torch.nn.functional.softshrink``.
    """
    _checks.floating("soft_shrink", x=x)
    check_parameter("soft_shrink", "lambd", lambd, x, above=0, closed="[")
    return nan_unless(lambd >= 0, computed_wide(_soft_shrink, x, lambd))


def _lambert(x: jax.Array) -> jax.Array:
    """Lambert's fraction c of tanh x = x / (1 + c) for |x| ≤ 1, in which nothing cancels.

    c = x² / (3 + x² / (5 + x² / (7 + …)))
    """
    last = 19 if x.dtype == jnp.float64 else 11
    return functools.reduce(lambda c, odd: x * x / (odd + c), range(last, 1, -2), jnp.zeros_like(x))


def _near_and_far(x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Clipped x, with its c, and e = exp(−2|x|)."""
    near = jnp.clip(x, -1, 1)
    return near, _lambert(near), jnp.exp(-2 * jnp.abs(x))


def _tanh_shrink_curvature(x: jax.Array) -> jax.Array:
    """f″(x) = 2 tanh(x) (1 − tanh²(x)) = 8 tanh(x) e / (1 + e)²."""
    E, k = decaying(2 * jnp.abs(x))
    near, c, e = _near_and_far(x)
    tanh = jnp.where(jnp.abs(x) < 1, near / (1 + c), jnp.sign(x) * (1 - e) / (1 + e))
    return 8 * tanh * k * E / jnp.square(1 + e)


@with_derivatives(_tanh_shrink_curvature)
def _tanh_shrink_slope(x: jax.Array) -> jax.Array:
    near, c, e = _near_and_far(x)
    return jnp.square(jnp.where(jnp.abs(x) < 1, near / (1 + c), (1 - e) / (1 + e)))


@with_derivatives(_tanh_shrink_slope)
def _tanh_shrink(x: jax.Array) -> jax.Array:
    near, c, e = _near_and_far(x)
    far = jnp.sign(x) * ((jnp.abs(x) - 1) + 2 * e / (1 + e))
    return jnp.where(jnp.abs(x) < 1, near * (c / (1 + c)), far)


def tanh_shrink(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """What ``tanh`` takes away: cubic near 0, the identity less 1 further out.

        f(x) = x − tanh x
             = x c / (1 + c),    c = x²/(3 + x²/(5 + x²/(7 + …)))        where |x| < 1
             = sign(x) (|x| − 1 + 2e / (1 + e)),    e = exp(−2|x|)        elsewhere

    The difference itself has no digit left at |x| = 10⁻³, where f(x) = x³/3 is 3·10⁻¹⁰.

    Gradient:
        f′(x) = tanh² x,    f″(x) = 2 tanh(x) sech²(x)

    Args:
        x: The argument.

    Returns:
        f(x) in the shape of x.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(tanh_shrink(jnp.array([-jnp.inf, 0.001, 20.0])))
        [         -inf 3.3333322e-10 1.9000000e+01]

    Source:
        ``torch.nn.functional.tanhshrink``; for the continued fraction Abramowitz and Stegun,
        Handbook of Mathematical Functions (1964), 4.5.70.
    """
    _checks.floating("tanh_shrink", x=x)
    return computed_wide(_tanh_shrink, x)
