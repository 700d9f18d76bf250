"""Exponentials and logarithms to more digits than those of XLA, where a difference needs them."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from fnmath.numerics.derivatives import with_derivatives

TERMS = 19  # of the Taylor series, enough for |x| ≤ 1 in double precision


def _less_two_terms(x: jax.Array) -> jax.Array:
    """(exp(x) − 1 − x) / x² for |x| ≤ 1, by its Taylor series."""
    terms = TERMS if x.dtype == jnp.float64 else 11
    total = jnp.zeros_like(x)
    for k in reversed(range(2, terms + 2)):
        total = total * x + 1 / math.factorial(k)
    return total


@with_derivatives(jnp.exp)
def expm1(x: jax.Array) -> jax.Array:
    """exp(x) − 1, right to a unit or two, where XLA's own is wrong by five near 0."""
    near = jnp.clip(x, -1, 1)
    series = near + jnp.square(near) * _less_two_terms(near)
    return jnp.where(jnp.abs(x) < 1, series, jnp.exp(x) - 1)


@with_derivatives(lambda x: -expm1(-x))
def above_tangent(x: jax.Array) -> jax.Array:
    """exp(−x) − 1 + x ≥ 0, by how much exp(−x) exceeds its tangent at 0; ∞ at ∞."""
    near = jnp.clip(x, -1, 1)
    series = jnp.square(near) * _less_two_terms(-near)
    return jnp.where(jnp.abs(x) < 1, series, jnp.exp(-x) - 1 + x)


# The logarithm of 2 in two parts, of which the first has so few bits that k of it are exact.
LOG_2 = {
    jnp.dtype(jnp.float32): (0.693359375, -2.1219444005469057e-4),
    jnp.dtype(jnp.float64): (0.6931471803691238, 1.9082149292705877e-10),
}


def two_sum(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The rounded sum and what rounding took; 0 where the sum is not finite."""
    s = x + y
    of_y = s - x
    e = (x - (s - of_y)) + (y - of_y)
    return s, jnp.where(jnp.isfinite(s), e, 0)


def _halves(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A number as a sum of two with half the digits each, whose products are exact."""
    bits = 25 if x.dtype == jnp.float64 else 11
    head = jax.lax.reduce_precision(x, jnp.finfo(x.dtype).nexp, bits)
    return head, x - head


def _quotient(x: jax.Array, y: jax.Array, more_y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The quotient x / (y + more_y) and what rounding took of it."""
    s = x / y
    (s_head, s_tail), (y_head, y_tail) = _halves(s), _halves(y)
    left = ((x - s_head * y_head) - s_head * y_tail) - s_tail * y_head - s_tail * y_tail
    return s, (left - s * more_y) / y


@with_derivatives(lambda x, y, c: 1 / x, lambda x, y, c: -jnp.ones_like(y), None)
def log_minus(x: jax.Array, y: jax.Array, c: jax.Array | float) -> jax.Array:
    """The sum log x − y + c to its last digits, though the terms be nearly the same.

    With x = 2ᵏ f it is k log 2 + 2 artanh s − y + c, s = (f − 1)/(f + 1), of which the large parts
    are summed without rounding.
    """
    plain = jnp.log(x)
    usual = (x >= jnp.finfo(x.dtype).tiny) & (x < jnp.inf)
    k = jnp.round(jnp.where(usual, plain, 0) / math.log(2))
    f = jnp.ldexp(jnp.where(usual, x, 1), -k.astype(jnp.int32))
    s, s_rest = _quotient(f - 1, *two_sum(f, jnp.ones_like(f)))
    square = jnp.square(s)
    series = jnp.zeros_like(s)
    for j in reversed(range(3, 27 if x.dtype == jnp.float64 else 13, 2)):
        series = series * square + 2 / j
    of_two, rest_of_two = LOG_2[x.dtype]
    total, e = two_sum(k * of_two, -y)
    total, more = two_sum(total, 2 * s)
    total, last = two_sum(total, jnp.asarray(c, total.dtype))
    small = (2 * s_rest + s * square * series) + k * rest_of_two
    return jnp.where(usual, total + ((e + more + last) + small), plain - y + c)
