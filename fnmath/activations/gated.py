"""Activations x g(x) that let x through as far as a gate g between 0 and 1 says."""

from __future__ import annotations

import math
from decimal import Decimal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.activations._exponentials import (
    SHIFT,
    compensated_exp,
    computed_wide,
    decaying,
    finite,
    growing,
    polynomial,
    square,
)
from fnmath.activations._roots import (
    GELU_ERF_SLOPE,
    GELU_TANH_CURVATURE,
    GELU_TANH_SLOPE,
    MISH_CURVATURE_LEFT,
    MISH_CURVATURE_RIGHT,
    MISH_SLOPE,
    SILU_CURVATURE,
    SILU_SLOPE,
    beside_root,
)
from fnmath.numerics import with_derivatives


def _silu_curvature(x: jax.Array) -> jax.Array:
    """σ(x) σ(−x) (2 − r tanh(½|x|)),    r = |x|."""
    E, k = decaying(jnp.abs(x))
    e, r = k * E, jnp.abs(finite(x))
    curvature = ((2 - r) + (2 + r) * e) * k * E / (1 + e) ** 3
    return beside_root(jnp.abs(x), SILU_CURVATURE, curvature)


@with_derivatives(_silu_curvature)
def _silu_slope(x: jax.Array) -> jax.Array:
    W, k = growing(-x)
    gate = 1 / (1 + W)
    slope = (1 + jnp.clip(x, -1e4, 1e4) * (W * gate)) * gate * k
    return beside_root(x, SILU_SLOPE, slope)


@with_derivatives(_silu_slope)
def _silu(x: jax.Array) -> jax.Array:
    """The value x / (1 + w),    w = exp(−x) = W / k."""
    W, k = growing(-x)
    return jnp.maximum(x, -1e4) / (1 + W) * k


def silu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Sigmoid linear unit, also called swish: x, let through as far as its own sigmoid says.

        f(x) = x σ(x) = x / (1 + e) where x ≥ 0,    x e / (1 + e) elsewhere,    e = exp(−|x|)

    Gradient:
        f′(x) = σ(x) (1 + x σ(−x)),    f″(x) = σ′(x) (2 − x tanh(x/2))

    Args:
        x: The argument.

    Returns:
        f(x) in the shape of x; the least is −0.278, at x = −1.278.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(silu(jnp.array([-jnp.inf, 0.0, 20.0])))
        [-0.  0. 20.]

    Source:
        Elfwing, Uchibe and Doya, Sigmoid-weighted linear units for neural network function
        approximation in reinforcement learning (2018), §2; Hendrycks and Gimpel (2016).
    """
    _checks.floating("silu", x=x)
    return computed_wide(_silu, x)


def _mish_parts(x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """E, k, e = exp(−|x|) and the denominator D of the gate tanh(softplus(x)) in powers of e."""
    E, k = decaying(jnp.abs(x))
    e = k * E
    return E, k, e, jnp.where(x >= 0, 1 + 2 * e * (1 + e), 2 + e * (2 + e))


def _mish_curvature(x: jax.Array) -> jax.Array:
    E, k, e, D = _mish_parts(x)
    y = jnp.clip(x, -1e4, 1e4)
    right = 2 * (1 + e) * D - y * (2 + e * (3 - 2 * e * (1 + e)))
    left = 2 * (1 + e) * D + y * (2 + e * (2 - e * (3 + 2 * e)))
    curvature = 4 * jnp.where(x >= 0, right * e, left) * k * E / D**3
    curvature = beside_root(x, MISH_CURVATURE_LEFT, curvature)
    return beside_root(x, MISH_CURVATURE_RIGHT, curvature)


@with_derivatives(_mish_curvature)
def _mish_slope(x: jax.Array) -> jax.Array:
    E, k, e, D = _mish_parts(x)
    y = jnp.clip(x, -1e4, 1e4)
    right = (1 + 2 * e) * D + 4 * y * e * e * (1 + e)
    left = ((2 + e) * D + 4 * y * (1 + e)) * k * E
    return beside_root(x, MISH_SLOPE, jnp.where(x >= 0, right, left) / jnp.square(D))


@with_derivatives(_mish_slope)
def _mish(x: jax.Array) -> jax.Array:
    E, k, e, D = _mish_parts(x)
    return jnp.where(x >= 0, x * (1 + 2 * e), jnp.maximum(x, -1e4) * (2 + e) * k * E) / D


def mish(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Self-regularised relative of ``silu``: x, let through as far as tanh(softplus(x)) says.

        f(x) = x tanh(softplus(x)) = x g(x)
        g(x) = (1 + 2e) / D,        D = 1 + 2e + 2e²    where x ≥ 0
             = (2 + e) e / D,       D = 2 + 2e + e²     elsewhere,    e = exp(−|x|)

    Gradient:
        f′(x) = g(x) + x g′(x),    f″(x) = 2 g′(x) + x g″(x),    with w = eˣ
        g′ = 4w (1 + w) / (2 + 2w + w²)²
        g″ = 4w (2 + 2w − 3w² − 2w³) / (2 + 2w + w²)³

    Args:
        x: The argument.

    Returns:
        f(x) in the shape of x; the least is −0.309, at x = −1.192.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(mish(jnp.array([-jnp.inf, 0.0, 20.0])))
        [-0.  0. 20.]

    Source:
        Misra, Mish: a self regularized non-monotonic activation function (2020), §2.
    """
    _checks.floating("mish", x=x)
    return computed_wide(_mish, x)


def _head_and_tail(c: Decimal, bits: int) -> tuple[float, float]:
    """The number c as the sum of a number of so many bits and what is left."""
    mantissa, exponent = math.frexp(c)
    c_head = math.ldexp(round(math.ldexp(mantissa, bits)), exponent - bits)
    return c_head, float(c - Decimal(c_head))


# gelu's argument, a(x) = G₁ x + G₃ x³ with G₁ = 2 √(2/π), to 28 digits; with y = C x it is
# y (G + y²), whose cube has no factor to round.
_G1 = (8 / Decimal("3.14159265358979323846264338327950288")).sqrt()
_G3 = _G1 * Decimal("0.044715")
_C = _G3 ** (Decimal(1) / 3)
_G = _G1 / _C
# exp(−|a|) is taken N = 2²⁴ times too large, by log N in its exponent: so it is a normal number
# wherever a multiple of it is that the value or a derivative of gelu needs.
_N = 2.0**24
_LOG_N = Decimal(2**24).ln()


def _gelu_argument_slope(x: jax.Array) -> jax.Array:
    return float(_G1) + 3 * float(_G3) * x * x


def _gelu_exponential_slope(x: jax.Array) -> jax.Array:
    return -jnp.sign(x) * _gelu_argument_slope(x) * _gelu_exponential(x)


def _on_grid(c: Decimal, bits: int) -> tuple[float, float]:
    """The multiple of 2^−bits next to the number c, and what is left."""
    nearest = round(c * 2**bits) / 2**bits
    return nearest, float(c - Decimal(nearest))


@with_derivatives(_gelu_exponential_slope)
def _gelu_exponential(x: jax.Array) -> jax.Array:
    """N exp(−|a(x)|), to the last place, up to |x| = 32, where it has long been 0.

    Rounding an exponent of 40 costs 16 ULP of the exponential. So y is taken as a multiple h of
    2⁻⁵ and a rest t: h (G + h²) has so few bits that nothing of it is rounded, and the rest is
    small.
    """
    grid, width = (14, 34) if x.dtype == jnp.float64 else (5, 16)
    G, G_rest = _on_grid(_G, 2 * grid)
    log_N, log_N_rest = _on_grid(_LOG_N, 3 * grid)
    D, D_rest = _head_and_tail(1 / _C, width)
    b = jnp.minimum(jnp.abs(x), 32)
    y = float(_C) * b
    h = jnp.round(y * 2.0**grid) / 2.0**grid
    t = float(_C) * ((b - h * D) - h * D_rest)
    exact = log_N - h * (G + h * h)
    small = t * (float(_G) + (h * h + y * (y + h))) + (G_rest * h - log_N_rest)
    s = exact - small
    E = jnp.exp(s)
    return E + E * ((exact - s) - small)


def _gelu_tanh_curvature(x: jax.Array) -> jax.Array:
    """σ(a) σ(−a) (q − r tanh(½|a|)),    q = 2a′ + x a″,    r = |x| a′²."""
    E = _gelu_exponential(x)
    e, b = E / _N, jnp.clip(x, -32, 32)
    slope = _gelu_argument_slope(b)
    q, r = 2 * slope + 6 * float(_G3) * b * b, jnp.abs(b) * slope**2
    curvature = ((q - r) + (q + r) * e) * E / (1 + e) ** 3 / _N
    return beside_root(jnp.abs(x), GELU_TANH_CURVATURE, curvature)


@with_derivatives(_gelu_tanh_curvature)
def _gelu_tanh_slope(x: jax.Array) -> jax.Array:
    E = _gelu_exponential(x)
    e, b = E / _N, jnp.clip(x, -32, 32)
    p, left, inverse = b * _gelu_argument_slope(b), x < 0, 1 / (1 + e)
    slope = (1 + p * (jnp.where(left, 1, e) * inverse)) * (jnp.where(left, E, _N) * inverse) / _N
    return beside_root(x, GELU_TANH_SLOPE, slope)


@with_derivatives(_gelu_tanh_slope)
def _gelu_tanh(x: jax.Array) -> jax.Array:
    E = _gelu_exponential(x)
    return jnp.where(x < 0, jnp.maximum(x, -1e4) * E / _N, x) / (1 + E / _N)


def _normal_exponential_slope(x: jax.Array) -> jax.Array:
    return -x * _normal_exponential(x)


@with_derivatives(_normal_exponential_slope)
def _normal_exponential(x: jax.Array) -> jax.Array:
    """E of exp(−½ x²) = √(2π) φ(x), which is 0 long before |x| = 64."""
    exact, small = square(jnp.minimum(jnp.abs(x), 64))
    s = (exact + small) / 2
    return compensated_exp(s, (exact / 2 - s) + small / 2, jnp.abs(x) > 8)


def _times_density(y: jax.Array, x: jax.Array) -> jax.Array:
    """The product y φ(x)."""
    near = 1 / math.sqrt(2 * math.pi)
    k = jnp.where(jnp.abs(x) > 8, near * math.exp(-SHIFT), near).astype(x.dtype)
    return y * k * _normal_exponential(x)


# Φ(−b) / φ(b) as a quotient of polynomials, highest power first: minimax for the relative error,
# fitted in 80-digit arithmetic. 7·10⁻⁹ on [0, 15], and 6·10⁻¹⁷ on [0, 40], past which φ is 0.
_MILLS_32 = (
    (1.000010798931529062, 9.851768565998294956, 44.35792527034051066, 105.9634384717065499,
     120.6675216014739175),
    (1.0, 9.852360089895200082, 45.34399853415529845, 116.0040656966742335, 161.365962857484283,
     96.27875188275221622),
)  # fmt: skip
_MILLS_64 = (
    (0.9999999999973107435, 26.84718725570626342, 353.0138489397221537, 2940.657156393286607,
     16971.97268763419936, 70136.82338130572492, 207549.1580238111821, 425819.1805118137052,
     555028.7508080184396, 357845.6431542610179),
    (1.0, 26.84718725514226988, 354.0138489929931962, 2967.504340627576379, 17322.98665250771343,
     73023.78294536586116, 223825.1704940688611, 490342.0590973802234, 732104.4378061156235,
     670660.4829590120204, 285519.5138233564503),
)  # fmt: skip


def _mills_ratio(b: jax.Array) -> jax.Array:
    """R(b) = Φ(−b) / φ(b) for b ≥ 0; every coefficient is positive, so nothing cancels."""
    (above, below), end = (_MILLS_64, 40) if b.dtype == jnp.float64 else (_MILLS_32, 15)
    b = jnp.minimum(b, end)
    return polynomial(above, b) / polynomial(below, b)


def _gelu_erf_curvature(x: jax.Array) -> jax.Array:
    exact, small = square(jnp.clip(x, -64, 64))
    return _times_density((2 - exact) - small, x)


@with_derivatives(_gelu_erf_curvature)
def _gelu_erf_slope(x: jax.Array) -> jax.Array:
    b = jnp.minimum(jnp.abs(x), 64)
    beyond = _times_density(b - _mills_ratio(b), x)
    return beside_root(x, GELU_ERF_SLOPE, jnp.where(x >= 0, 1 + beyond, -beyond))


@with_derivatives(_gelu_erf_slope)
def _gelu_erf(x: jax.Array) -> jax.Array:
    R = _mills_ratio(jnp.abs(x))
    return jnp.where(x >= 0, x * (1 - _times_density(R, x)), _times_density(finite(x) * R, x))


def gelu(x: Float[Array, "..."], approximate: bool = True) -> Float[Array, "..."]:
    """Gaussian-error linear unit: x, let through as far as a normal variable stays below it.

        f(x) = x Φ(x)                                         (``approximate=False``)
        f(x) ≈ x σ(a),    a = 2 √(2/π) (x + 0.044715 x³)      (the default, the tanh form)

    The tanh form is ½ x (1 + tanh(½a)), written so that its tail does not cancel; the other is
    computed for x < 0 as x φ(x) R(−x), where R(b) = Φ(−b) / φ(b) is Mills' ratio, which changes
    slowly. In both the exponent is carried to more than working precision.

    Gradient:
        f′(x) = Φ(x) + x φ(x),    f″(x) = (2 − x²) φ(x)
        f′(x) = σ(a) (1 + x a′ σ(−a)),    a′ = 2 √(2/π) (1 + 0.134145 x²)      (the tanh form)

    Args:
        x: The argument.
        approximate: Whether to take the tanh form, which lies within 0.0005 of the other.

    Returns:
        f(x) in the shape of x; the least is −0.170, at x = −0.752.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(gelu(jnp.array([-jnp.inf, 0.0, 20.0])))
        [-0.  0. 20.]
        >>> print(f"{gelu(jnp.array(-1.0), approximate=False):.6f}")  # −Φ(−1)
        -0.158655

    Source:
        Hendrycks and Gimpel, Gaussian error linear units (2016), §2.
    """
    _checks.floating("gelu", x=x)
    _checks.boolean("gelu", "approximate", approximate)
    return computed_wide(_gelu_tanh if approximate else _gelu_erf, x)
