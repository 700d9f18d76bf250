"""Exponents in two parts: what a probability of 10⁻³⁰ needs to be right to its last digit.

Notation: a pair is head + tail, as in ``fnmath.numerics._pairs``; (x, x̃) is the pair of a number x
whose rounding is x̃.

The exponential of −69, wrong by one unit in its last place, is wrong by 32. So exponents are summed
as pairs, of products a log x whose logarithm is a pair too. None of this is differentiable.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from fnmath.numerics._once import once
from fnmath.numerics._pairs import Pair, log_pair, product, quotient, two_sum
from fnmath.numerics._sharing import shared

HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)
_HALF_LOG_2_PI_TAIL = -3.8782941580672414e-17


def constant(x: float, like: jax.Array, tail: float = 0.0) -> list[jax.Array]:
    """A constant of double precision, in two parts of the precision of an array."""
    head = np.asarray(x, like.dtype)
    return [jnp.full_like(like, head), jnp.full_like(like, (x - float(head)) + tail)]


def half_log_2_pi(like: jax.Array) -> list[jax.Array]:
    """The constant ½ log 2π in two parts."""
    return constant(HALF_LOG_2_PI, like, _HALF_LOG_2_PI_TAIL)


def summed(*terms: jax.Array) -> Pair:
    """The sum of the terms as a pair; the largest should come first."""

    def add(pair: Pair, term: jax.Array) -> Pair:
        head, error = two_sum(pair[0], term)
        return head, pair[1] + error

    first, *others = terms
    head, tail = functools.reduce(add, others, (first, jnp.zeros_like(first)))
    finite = jnp.isfinite(head)
    s = jnp.where(finite, head + tail, head)
    s, rest = once(s, jnp.where(finite, (head - s) + tail, 0))
    return s, rest


def times(k: jax.Array, pair: Pair) -> list[jax.Array]:
    """The product k (x + x̃), in parts to be summed."""
    exact, rest = product(k, pair[0])
    return [exact, rest + jnp.where(jnp.isfinite(exact), k * pair[1], 0)]


def negative(parts: list[jax.Array] | Pair) -> list[jax.Array]:
    return [-part for part in parts]


def ratio(x: Pair, y: Pair) -> Pair:
    """The quotient (x + x̃)/(y + ỹ)."""
    q, tail = quotient(x[0], y[0], y[1])
    q, rest = once(q, tail + x[1] / y[0])
    return q, rest


@shared
def log_of(x: Pair) -> Pair:
    """The logarithm of x + x̃."""
    head, tail = log_pair(x[0])
    rest = tail + jnp.where(x[0] == 0, 0, x[1] / jnp.where(x[0] == 0, 1, x[0]))
    head, rest = once(head, rest)
    return head, rest


def exp_of(x: Pair) -> jax.Array:
    """The exponential of x + x̃."""
    exp = jnp.exp(x[0])
    return exp + exp * x[1]


def multiplied(x: Pair, y: Pair) -> Pair:
    """The product (x + x̃)(y + ỹ)."""
    exact, rest = product(x[0], y[0])
    return two_sum(exact, rest + (x[0] * y[1] + x[1] * y[0]))


def added(x: Pair, y: Pair) -> Pair:
    """The sum of two pairs."""
    s, rest = two_sum(x[0], y[0])
    return two_sum(s, rest + (x[1] + y[1]))
