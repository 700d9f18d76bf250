"""Exponentials that lose no digits, and the arithmetic that they need.

Notation: a ≥ 0 is an exponent; k E = exp(−a) in two factors; the head of a number is the number
rounded to few of its bits, its tail what that leaves.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnmath import _checks
from fnmath.numerics import with_derivatives


def computed_wide(f: Callable[..., jax.Array], x: Any, *parameters: Any) -> jax.Array:
    """The function f in float32 at least, rounded once to the dtype of x: 8 bits bear few."""
    dtype = jnp.result_type(x)
    wide = jnp.promote_types(dtype, jnp.float32)
    return f(*(jnp.asarray(a, wide) for a in (x, *parameters))).astype(dtype)


def check_parameter(function: str, argument: str, a: Any, x: Any, **interval: Any) -> None:
    """Raise unless a is a number in the interval, or an array that broadcasts to x."""
    _checks.number(function, argument, a, **interval)
    _checks.broadcasts_to(function, argument, a, "x", x)


def nan_unless(allowed: Any, y: jax.Array) -> jax.Array:
    """The value y, and nan, its derivatives too, where an array of parameters is not allowed."""
    return y * jnp.where(allowed, 1, jnp.nan) if isinstance(allowed, jax.Array) else y


def finite(x: jax.Array) -> jax.Array:
    """The argument, ±∞ replaced by numbers: their products with 0 are to be 0."""
    return jnp.where(jnp.isinf(x), jnp.sign(x), x)


def head(x: jax.Array, bits: int) -> jax.Array:
    """The argument rounded to so many bits: products of heads are exact while their bits fit."""
    finfo = jnp.finfo(x.dtype)
    unsigned = jnp.uint64 if finfo.bits == 64 else jnp.uint32
    last = 2 ** (finfo.nmant + 1 - bits)
    mask, half = unsigned(2**finfo.bits - last), unsigned(last // 2)
    x_bits = jax.lax.bitcast_convert_type(x, unsigned)
    return jax.lax.bitcast_convert_type((x_bits + half) & mask, x.dtype)


def square(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """x² as the sum of an exact square and a small rest."""
    h = head(x, (jnp.finfo(x.dtype).nmant + 1) // 2)
    return h * h, (x - h) * (x + h)


def polynomial(coefficients: tuple[float, ...], x: jax.Array) -> jax.Array:
    """The polynomial with these coefficients, highest power first."""
    first, *others = coefficients
    return functools.reduce(lambda value, c: value * x + c, others, first * jnp.ones_like(x))


# Where exp(−a) might be flushed to 0 though a multiple of it is a normal number, k = exp(−64) and
# E = exp(64 − a), and its product with y is taken as y k E.
SHIFT = 64.0


def factor(far: jax.Array, x: jax.Array) -> jax.Array:
    """k, by which E has to be multiplied."""
    return jnp.where(far, math.exp(-SHIFT), 1).astype(x.dtype)


def decaying(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    """E and k."""
    far = a > SHIFT
    return jnp.exp(jnp.where(far, SHIFT - a, -a)), factor(far, a)


def growing(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    """W and k with w = exp(a) = W / k: where w might overflow, k = exp(−64).

    There W is so large that 1 + W is W, so that k / (1 + W) is 1 / (1 + w) everywhere.
    """
    edge, end = (640, 770) if a.dtype == jnp.float64 else (85, 149)
    far = a > edge
    return jnp.exp(jnp.where(far, jnp.minimum(a, end) - SHIFT, a)), factor(far, a)


def compensated_exp(s: jax.Array, rest: jax.Array, far: jax.Array) -> jax.Array:
    """E of exp(−(s + rest)), for a rest whose square is nothing.

    The relative error of exp(−s) is the absolute one of s: rounding s = 40 costs 16 ULP. So s is
    the rounded sum of terms that are exact, or small; what rounding took is the rest.
    """
    E = jnp.exp(jnp.where(far, SHIFT - s, -s))
    return E - E * rest


def _scaled_exp_by_x(x: jax.Array, w: jax.Array) -> jax.Array:
    return scaled_exp(x, w)


def _scaled_exp_by_w(x: jax.Array, w: jax.Array) -> jax.Array:
    return scaled_exp(x, jnp.ones_like(w))


@with_derivatives(_scaled_exp_by_x, _scaled_exp_by_w)
def scaled_exp(x: jax.Array, w: jax.Array) -> jax.Array:
    """The product w exp(x) for x ≤ 0."""
    E, k = decaying(-x)
    return w * k * E


# 2 B₂ₙ / (2n)!, of which x coth(x/2) − 2 is the power series in x².
_BERNOULLI = (
    (-1 / 604800, 1 / 15120, -1 / 360, 1 / 6, 0.0),
    (-3617 / 5335311421440000, 1 / 37362124800, -691 / 653837184000, 1 / 23950080,
     -1 / 604800, 1 / 15120, -1 / 360, 1 / 6, 0.0),
)  # fmt: skip


@with_derivatives(jnp.exp)
def expm1(x: jax.Array) -> jax.Array:
    """exp(x) − 1 for x ≤ 0, right to 2 ULP; the ready-made one is good to 6.

    For small x the quotient 2x / (x coth(x/2) − x), whose denominator is 2 − x and a bit.
    """
    small = jnp.maximum(x, -math.log(2))
    beyond = polynomial(_BERNOULLI[x.dtype == jnp.float64], small * small)
    near = 2 * small / ((2 - small) + beyond)
    return jnp.where(x > -math.log(2), near, jnp.exp(x) - 1)


@with_derivatives(scaled_exp, lambda x, w: expm1(x))
def scaled_expm1(x: jax.Array, w: jax.Array) -> jax.Array:
    """The product w (exp(x) − 1) for x ≤ 0."""
    return w * expm1(x)
