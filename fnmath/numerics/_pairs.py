"""Numbers as unevaluated sums of two: what a difference of near equals needs.

Notation: a pair is head + tail, the head a rounded number and the tail what rounding took from it;
ε is the spacing of floating-point numbers just above 1.

A loss like exp(x) − t x is right in each term and wrong in the difference where the two nearly
agree. So each term is carried here to about ε/100: a product as an exact product of half-length
heads and the small remainder, a logarithm and an exponential with what their rounding took.

No rounded product is ever subtracted from another number: a compiler may contract such a pair of
operations into one, which then rounds once, and an error that was computed so would be of no value.
Nor are two constants added one after the other: XLA adds (x + 1) − 1 up beforehand.
None of this is differentiable, heads being cut out of bits: whoever uses it says its derivative.

Source: Ogita, Rump and Oishi, Accurate sum and dot product (2005), algorithms 3.1, 3.3 and 4.4;
Dekker, A floating-point technique for extending the available precision (1971).
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Pair = tuple[jax.Array, jax.Array]

# log 2 as a head whose products with an exponent are exact, and its tail.
_LOG_2_32 = (0.693145751953125, math.log(2) - 0.693145751953125)
LOG_2_64 = (6.93147180369123816490e-01, 1.90821492927058770002e-10)


def halves(x: jax.Array) -> Pair:
    """The number as a head of half its bits and the exact rest, which is 0 where x is infinite."""
    finfo = jnp.finfo(x.dtype)
    unsigned = jnp.uint64 if finfo.bits == 64 else jnp.uint32
    mask = unsigned(2**finfo.bits - 2 ** ((finfo.nmant + 2) // 2))
    head = lax.bitcast_convert_type(lax.bitcast_convert_type(x, unsigned) & mask, x.dtype)
    return head, jnp.where(jnp.isinf(x), 0, x - head)


def product(x: jax.Array, y: jax.Array) -> Pair:
    """The product x y: that of the heads, which is exact, and the rest, at most ε^½ of it."""
    (x_head, x_tail), (y_head, y_tail) = halves(x), halves(y)
    exact = x_head * y_head
    rest = (x_head * y_tail + x_tail * y_head) + x_tail * y_tail
    return exact, jnp.where(jnp.isfinite(exact), rest, 0)


def quotient(x: jax.Array, y: jax.Array, y_tail: jax.Array | float = 0.0) -> Pair:
    """The quotient x / (y + y_tail)."""
    q = x / y
    exact, rest = product(q, y)
    return q, (((x - exact) - rest) - q * y_tail) / y


def two_sum(x: jax.Array, y: jax.Array) -> Pair:
    """The sum x + y, rounded, and what rounding took."""
    s = x + y
    y_in_s = s - x
    return s, (x - (s - y_in_s)) + (y - y_in_s)


def total(*terms: jax.Array) -> jax.Array:
    """The sum of the terms, as if in twice the precision, rounded once."""
    s, *others = terms
    errors = jnp.zeros_like(s)
    for term in others:
        s, error = two_sum(s, term)
        errors = errors + error
    return jnp.where(jnp.isfinite(s), s + errors, s)


def _polynomial(coefficients: list[float], x: jax.Array) -> jax.Array:
    """The polynomial with these coefficients, lowest power first."""
    *others, last = coefficients
    return functools.reduce(lambda p, c: p * x + c, reversed(others), jnp.full_like(x, last))


def _tail_of_atanh(s: jax.Array) -> jax.Array:
    """atanh(s) − s for |s| ≤ 0.172, the first terms of its series."""
    terms = 13 if s.dtype == jnp.float64 else 5
    w = s * s
    return s * w * _polynomial([1 / (2 * k + 3) for k in range(terms)], w)


def _mantissa(x: jax.Array) -> Pair:
    """The m and k with x = 2ᵏ m, ½ < m² ≤ 2, for a positive normal number x, by its bits."""
    finfo = jnp.finfo(x.dtype)
    signed = jnp.int64 if finfo.bits == 64 else jnp.int32
    bits = lax.bitcast_convert_type(x, signed)
    root = np.asarray(math.sqrt(0.5), finfo.dtype).view(np.dtype(signed))
    k = lax.shift_right_arithmetic(bits - root, lax.full_like(bits, finfo.nmant))
    m = lax.bitcast_convert_type(bits - lax.shift_left(k, lax.full_like(k, finfo.nmant)), x.dtype)
    return m, k.astype(x.dtype)


def log_pair(x: jax.Array) -> Pair:
    """The logarithm; −∞ at 0, nan below.

    With x = 2ᵏ m, ½ < m² ≤ 2, it is k log 2 + 2 atanh(s), s = (m − 1)/(m + 1), of which k log 2 and
    2 s, the largest parts, are carried as pairs.
    """
    m, k = _mantissa(x)
    s, s_tail = quotient(m - 1, *two_sum(m, jnp.ones_like(m)))
    high, low = LOG_2_64 if x.dtype == jnp.float64 else _LOG_2_32
    large, error = two_sum(k * high, 2 * s)
    small_part = error + (2 * (s_tail + _tail_of_atanh(s)) + k * low)
    head = large + small_part
    ordinary = (x >= float(jnp.finfo(x.dtype).tiny)) & (x < math.inf)
    return (
        lax.select(ordinary, head, lax.log(x)),
        lax.select(ordinary, (large - head) + small_part, lax.full_like(x, 0)),
    )


def exp_pair(x: jax.Array) -> Pair:
    """The exponential E, and E (x − log E), which is what it lacks."""
    E = jnp.exp(x)
    log_head, log_tail = log_pair(E)
    ordinary = (float(jnp.finfo(x.dtype).tiny) <= E) & (math.inf > E)
    return E, lax.select(ordinary, E * ((x - log_head) - log_tail), lax.full_like(x, 0))
