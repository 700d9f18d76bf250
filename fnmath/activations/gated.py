"""Activations x g(x) that let x through as far as a gate g between 0 and 1 says."""

from __future__ import annotations

import functools
import math
from decimal import Decimal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.numerics import with_derivatives


def _finite(x: jax.Array) -> jax.Array:
    """The argument, ±∞ replaced by numbers: their products with 0 are to be 0."""
    return jnp.where(jnp.isinf(x), jnp.sign(x), x)


def _wide(x: jax.Array) -> jax.Array:
    """The argument in float32 at least: 8 or 11 bits bear few roundings."""
    return jnp.asarray(x).astype(jnp.promote_types(jnp.result_type(x), jnp.float32))


# An exponential exp(−a) is carried as k E: where it might be flushed to 0 though a multiple of it
# is a normal number, k = exp(−64) and E = exp(64 − a), and its product with y is taken as y k E.
_SHIFT = 64.0


def _factor(far: jax.Array, x: jax.Array) -> jax.Array:
    """k, by which E has to be multiplied."""
    return jnp.where(far, math.exp(-_SHIFT), 1).astype(x.dtype)


def _gated(x: jax.Array, E: jax.Array, k: jax.Array) -> jax.Array:
    """Value x σ(a) for an odd increasing a(x), given k E = exp(−|a|)."""
    return jnp.where(x >= 0, x, _finite(x) * k * E) / (1 + k * E)


def _gated_slope(x: jax.Array, E: jax.Array, k: jax.Array, p: jax.Array) -> jax.Array:
    """Slope [x σ(a)]′ = σ(a) (1 + p σ(−a)),    p = x a′."""
    e = k * E
    right, left = 1 + (1 + p) * k * E, (1 + p + e) * k * E
    return jnp.where(x >= 0, right, left) / jnp.square(1 + e)


def _gated_curvature(E: jax.Array, k: jax.Array, q: jax.Array, r: jax.Array) -> jax.Array:
    """Curvature [x σ(a)]″ = σ(a) σ(−a) (q − r tanh(½|a|)),    q = 2a′ + x a″,    r = |x| a′²."""
    e = k * E
    return ((q - r) + (q + r) * e) * k * E / (1 + e) ** 3


def _silu_exponential(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    size = jnp.abs(x)
    far = size > _SHIFT
    return jnp.exp(jnp.where(far, _SHIFT - size, -size)), _factor(far, x)


def _silu_curvature(x: jax.Array) -> jax.Array:
    return _gated_curvature(*_silu_exponential(x), jnp.full_like(x, 2), jnp.abs(_finite(x)))


@with_derivatives(_silu_curvature)
def _silu_slope(x: jax.Array) -> jax.Array:
    return _gated_slope(x, *_silu_exponential(x), _finite(x))


@with_derivatives(_silu_slope)
def _silu(x: jax.Array) -> jax.Array:
    return _gated(x, *_silu_exponential(x))


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
    return _silu(_wide(x)).astype(jnp.result_type(x))


def _head_and_tail(c: Decimal, bits: int) -> tuple[float, float]:
    """The number c as the sum of a number of so many bits and what is left."""
    mantissa, exponent = math.frexp(c)
    head = math.ldexp(round(math.ldexp(mantissa, bits)), exponent - bits)
    return head, float(c - Decimal(head))


def _head(x: jax.Array, bits: int) -> jax.Array:
    """The argument rounded to so many bits: products of heads are exact while their bits fit."""
    finfo = jnp.finfo(x.dtype)
    unsigned = jnp.uint64 if finfo.bits == 64 else jnp.uint32
    last = 2 ** (finfo.nmant + 1 - bits)
    mask, half = unsigned(2**finfo.bits - last), unsigned(last // 2)
    x_bits = jax.lax.bitcast_convert_type(x, unsigned)
    return jax.lax.bitcast_convert_type((x_bits + half) & mask, x.dtype)


def _compensated_exp(s: jax.Array, rest: jax.Array, far: jax.Array) -> jax.Array:
    """E of exp(−(s + rest)), for a rest whose square is nothing.

    The relative error of exp(−s) is the absolute one of s: rounding s = 40 costs 16 ULP. So s is
    the rounded sum of terms that are exact, or small; what rounding took is the rest.
    """
    E = jnp.exp(jnp.where(far, _SHIFT - s, -s))
    return E - E * rest


# gelu's argument, a(x) = G₁ x + G₃ x³ with G₁ = 2 √(2/π), to 28 digits; with y = C x it is
# G y + y³, whose cube has no factor to round.
_G1 = (8 / Decimal("3.14159265358979323846264338327950288")).sqrt()
_G3 = _G1 * Decimal("0.044715")
_C = _G3 ** (Decimal(1) / 3)
_G = _G1 / _C


def _gelu_argument_slope(x: jax.Array) -> jax.Array:
    return float(_G1) + 3 * float(_G3) * x * x


def _gelu_exponential_slope(x: jax.Array) -> jax.Array:
    return -jnp.sign(x) * _gelu_argument_slope(x) * _gelu_exponential(x)


@with_derivatives(_gelu_exponential_slope)
def _gelu_exponential(x: jax.Array) -> jax.Array:
    """E of exp(−|a(x)|), which is 0 long before |x| = 32."""
    b = jnp.where(jnp.abs(x) < 32, jnp.abs(x), 32)
    bits = jnp.finfo(x.dtype).nmant + 1
    c_head, c_tail = _head_and_tail(_C, bits // 2)
    g_head, g_tail = _head_and_tail(_G, bits - bits // 3)
    y, b_head = float(_C) * b, _head(b, bits // 2)
    head = _head(y, bits // 3)
    tail = ((c_head * b_head - head) + c_head * (b - b_head)) + c_tail * b
    linear, cubic = g_head * head, head**3
    small = tail * (float(_G) + (y * y + y * head + head * head)) + g_tail * head
    s = (linear + cubic) + small
    bent = b > 4.73  # there the cubic term is the larger, from which s is subtracted exactly
    rest = ((jnp.where(bent, cubic, linear) - s) + jnp.where(bent, linear, cubic)) + small
    return _compensated_exp(s, rest, b > 8)


def _gelu_factor(x: jax.Array) -> jax.Array:
    return _factor(jnp.abs(x) > 8, x)


def _gelu_tanh_curvature(x: jax.Array) -> jax.Array:
    E, k = _gelu_exponential(x), _gelu_factor(x)
    x = jnp.clip(x, -32, 32)
    slope = _gelu_argument_slope(x)
    return _gated_curvature(E, k, 2 * slope + 6 * float(_G3) * x * x, jnp.abs(x) * slope**2)


@with_derivatives(_gelu_tanh_curvature)
def _gelu_tanh_slope(x: jax.Array) -> jax.Array:
    b = jnp.clip(x, -32, 32)
    p = b * _gelu_argument_slope(b)
    return _gated_slope(x, _gelu_exponential(x), _gelu_factor(x), p)


@with_derivatives(_gelu_tanh_slope)
def _gelu_tanh(x: jax.Array) -> jax.Array:
    return _gated(x, _gelu_exponential(x), _gelu_factor(x))


def _normal_exponential_slope(x: jax.Array) -> jax.Array:
    return -x * _normal_exponential(x)


@with_derivatives(_normal_exponential_slope)
def _normal_exponential(x: jax.Array) -> jax.Array:
    """E of exp(−½ x²) = √(2π) φ(x), which is 0 long before |x| = 64."""
    b = jnp.minimum(jnp.abs(x), 64)
    bits = jnp.finfo(x.dtype).nmant + 1
    head = _head(b, bits // 2)
    exact, small = head * head / 2, (b - head) * (b + head) / 2
    s = exact + small
    return _compensated_exp(s, (exact - s) + small, b > 8)


def _times_density(y: jax.Array, x: jax.Array) -> jax.Array:
    """The product y φ(x)."""
    near = 1 / math.sqrt(2 * math.pi)
    k = jnp.where(jnp.abs(x) > 8, near * math.exp(-_SHIFT), near).astype(x.dtype)
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
    return _polynomial(above, b) / _polynomial(below, b)


def _polynomial(coefficients: tuple[float, ...], x: jax.Array) -> jax.Array:
    first, *others = coefficients
    return functools.reduce(lambda value, c: value * x + c, others, first * jnp.ones_like(x))


def _gelu_erf_curvature(x: jax.Array) -> jax.Array:
    x = jnp.clip(x, -64, 64)
    return _times_density(2 - x * x, x)


@with_derivatives(_gelu_erf_curvature)
def _gelu_erf_slope(x: jax.Array) -> jax.Array:
    b = jnp.minimum(jnp.abs(x), 64)
    beyond = _times_density(b - _mills_ratio(b), x)
    return jnp.where(x >= 0, 1 + beyond, -beyond)


@with_derivatives(_gelu_erf_slope)
def _gelu_erf(x: jax.Array) -> jax.Array:
    R = _mills_ratio(jnp.abs(x))
    return jnp.where(x >= 0, x * (1 - _times_density(R, x)), _times_density(_finite(x) * R, x))


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
    f = _gelu_tanh if approximate else _gelu_erf
    return f(_wide(x)).astype(jnp.result_type(x))
