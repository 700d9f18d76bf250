"""Activations that come back: a wave and a bell."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.activations._exponentials import (
    SHIFT,
    check_parameter,
    compensated_exp,
    computed_wide,
    head,
    square,
)
from fnmath.numerics import with_derivatives


def _phase(x: jax.Array, omega: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The phase ω x as its rounded product, finite for a finite x, and what rounding took.

    Of a product above 10⁶ the rest is left out: there x itself is known to a part of a period only.
    """
    bits = (jnp.finfo(x.dtype).nmant + 1) // 2
    x_head, omega_head = head(x, bits), head(omega, bits)
    largest = float(jnp.finfo(x.dtype).max)
    product = jnp.where(jnp.isinf(x), x, jnp.clip(x * omega, -largest, largest))
    small = (x - x_head) * omega_head + x * (omega - omega_head)
    rest = (x_head * omega_head - product) + small
    return product, jnp.where(jnp.abs(rest) < 2**-4, rest, 0)


def _turned(x: jax.Array, omega: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The cosine and the sine of ω x, from those of its two parts by the addition theorem."""
    phase, r = _phase(x, omega)
    cos, sin = jnp.cos(phase), jnp.sin(phase)
    small_sin = r - r**3 / 6 * (1 - r * r / 20)
    less_cos = r * r / 2 * (1 - r * r / 12)
    return cos - (sin * small_sin + cos * less_cos), sin + (cos * small_sin - sin * less_cos)


def _cosine_by_x(x: jax.Array, omega: jax.Array) -> jax.Array:
    return -omega * _sine(x, omega)


def _cosine_by_omega(x: jax.Array, omega: jax.Array) -> jax.Array:
    return -x * _sine(x, omega)


@with_derivatives(_cosine_by_x, _cosine_by_omega)
def _cosine(x: jax.Array, omega: jax.Array) -> jax.Array:
    return _turned(x, omega)[0]


@with_derivatives(lambda x, w: w * _cosine(x, w), lambda x, w: x * _cosine(x, w))
def _sine(x: jax.Array, omega: jax.Array) -> jax.Array:
    return _turned(x, omega)[1]


def sinusoid(
    x: Float[Array, "..."], *, omega: float | Float[Array, "..."] = 30.0
) -> Float[Array, "..."]:
    """Sine wave, the activation of networks that represent signals with their derivatives.

        f(x) = sin(ω x)

    Rounding the phase ω x = 100 costs 4·10⁻⁶ of the sine, so what rounding took is put back:
    sin(a + r) = sin a cos r + cos a sin r.

    Gradient:
        f′(x) = ω cos(ω x),    f″(x) = −ω² sin(ω x)
        ∂f/∂ω = x cos(ω x)

    Args:
        x: The argument.
        omega: The frequency ω, in radians per unit of x; an array broadcasts to x.

    Returns:
        Numbers from −1 to 1 in the shape of x; nan at ±∞, where a wave has no limit.

    Raises:
        TypeError: If x is not a floating-point array, or ω not a number.
        ValueError: If ω is not finite, or its shape does not broadcast to that of x.

    Example:
        >>> print(sinusoid(jnp.array([0.0, 0.25]), omega=jnp.pi * 2).round(6))  # a quarter turn
        [0. 1.]

    Source:
        Sitzmann, Martel, Bergman, Lindell and Wetzstein, Implicit neural representations with
        periodic activation functions (2020), §3.2 (ω = 30).
    """
    _checks.floating("sinusoid", x=x)
    check_parameter("sinusoid", "omega", omega, x)
    return computed_wide(_sine, x, omega)


def _bell(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """E and k of exp(−x²), which is 0 long before |x| = 64."""
    exact, small = square(jnp.minimum(jnp.abs(x), 64))
    s, far = exact + small, jnp.abs(x) > 8
    E = compensated_exp(s, (exact - s) + small, far)
    return E, jnp.where(far, math.exp(-SHIFT), 1).astype(x.dtype)


def _gaussian_curvature(x: jax.Array) -> jax.Array:
    E, k = _bell(x)
    exact, small = square(jnp.clip(x, -64, 64))
    return ((4 * exact - 2) + 4 * small) * k * E


@with_derivatives(_gaussian_curvature)
def _gaussian_slope(x: jax.Array) -> jax.Array:
    E, k = _bell(x)
    return -2 * jnp.clip(x, -64, 64) * k * E


@with_derivatives(_gaussian_slope)
def _gaussian(x: jax.Array) -> jax.Array:
    E, k = _bell(x)
    return k * E


def gaussian(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Bell curve of height 1, the activation of radial basis functions.

        f(x) = exp(−x²)

    Computed with x² carried to more than working precision.

    Gradient:
        f′(x) = −2x f(x),    f″(x) = (4x² − 2) f(x)

    Args:
        x: The argument, a distance in widths √2 σ of a normal density.

    Returns:
        Numbers from 0 to 1 in the shape of x.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(gaussian(jnp.array([-jnp.inf, 0.0, jnp.sqrt(jnp.log(2.0))])).round(6))
        [0.  1.  0.5]

    Source:
        Bishop, Pattern Recognition and Machine Learning (2006), §6.3 (radial basis functions).
    """
    _checks.floating("gaussian", x=x)
    return computed_wide(_gaussian, x)
