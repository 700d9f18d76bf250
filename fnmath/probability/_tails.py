"""What the two tails of a law are made of: the smaller one, in logarithms, and its complement.

Notation: P and Q = 1 − P are the lower and the upper tail; S is the one of them that is computed,
with log S as a pair and its complement 1 − S; λ is the variable in which the density is
log-concave, and h = |∂ log S/∂λ|.

A tail is the density at its edge times the integral of how the density falls off from there:

    S = F · M,    M = ∫₀^∞ exp(−G(y)) dy times a number,    G convex, G(0) = 0

All of M is positive, so Gauss's quadrature up to where G = 20 or 40 gives it to the last place, for
all parameters alike, and its derivatives by them as well: they are means of ∂G. F is small where S
is, and its logarithm is summed in two parts.
"""

from __future__ import annotations

import functools
from decimal import Decimal, localcontext
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnmath.numerics._pairs import Pair
from fnmath.probability._two_part import exp_of, summed


class Tail(NamedTuple):
    """The tail S that is computed, and 1 − S."""

    is_lower: jax.Array
    value: jax.Array
    complement: jax.Array
    log: Pair


def depth(like: jax.Array) -> float:
    """The G beyond which exp(−G) is nothing beside 1."""
    return 40.0 if like.dtype == jnp.float64 else 20.0


def _polynomials(count: int, x: Decimal) -> tuple[Decimal, Decimal]:
    """Legendre's polynomial of that degree, and its derivative."""
    before, p = Decimal(1), x
    for k in range(2, count + 1):
        before, p = p, ((2 * k - 1) * x * p - (k - 1) * before) / k
    return p, count * (x * p - before) / (x * x - 1)


def _refined(count: int, x: Decimal) -> tuple[float, float]:
    """A node and its weight to the last place; NumPy's weights lack three digits."""
    for _ in range(2):
        p, slope = _polynomials(count, x)
        x -= p / slope
    slope = _polynomials(count, x)[1]
    return float((1 + x) / 2), float(1 / ((1 - x * x) * slope * slope))


@functools.cache
def _legendre(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss's nodes in [0, 1] and their weights."""
    with localcontext() as context:
        context.prec = 32
        start = np.polynomial.legendre.leggauss(count)[0]
        found = [_refined(count, Decimal(float(x))) for x in start]
    return np.array([x for x, _ in found]), np.array([w for _, w in found])


def nodes(like: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Gauss's nodes in [0, 1] and their weights, on a new first axis."""
    u, w = _legendre(44 if like.dtype == jnp.float64 else 22)
    shape = (-1, *(1,) * like.ndim)
    return jnp.asarray(u, like.dtype).reshape(shape), jnp.asarray(w, like.dtype).reshape(shape)


def descend(slope: jax.Array, curvature: jax.Array, bound: jax.Array) -> jax.Array:
    """A bound of the y with G(y) = depth, where G ≥ slope · y and G ≥ curvature · y²/(2 + y)."""
    deep = depth(bound)
    c = deep / curvature
    root = jnp.where(c > 1e6, c + 2, 0.5 * (c + jnp.sqrt(c * c + 8 * c)))
    return jnp.minimum(jnp.minimum(bound, root), deep / jnp.maximum(slope, deep / bound))


def combined(
    is_lower: jax.Array,
    log_f: Pair,
    excess: jax.Array,
    *,
    mills: jax.Array | None = None,
    complement: jax.Array | None = None,
    known: jax.Array | None = None,
) -> Tail:
    """The tail F · M of M − 1; its complement is 1 − S but where it is known better.

    M is given too where it may be small, and M − 1 not tell it.
    """
    mills = 1 + excess if mills is None else mills
    small = jnp.abs(excess) < 0.25
    log_m = jnp.where(small, jnp.log1p(jnp.where(small, excess, 0)), jnp.log(mills))
    log_s = summed(log_f[0], log_m, log_f[1])
    value = exp_of(log_f) * mills
    rest = 1 - value
    if complement is not None and known is not None:
        rest = jnp.where(known, complement, rest)
    return Tail(is_lower, value, rest, log_s)


def _log(tail: Tail, wanted: jax.Array) -> jax.Array:
    """The logarithm of S where it is wanted, else that of 1 − S.

    XLA's log1p is right for |v| < ¼ alone: in double precision it is wrong by 126 units near −½.
    """
    S, rest = tail.value, tail.complement
    of_s = jnp.where(S > 0.25, jnp.log(S), tail.log[0] + tail.log[1])
    of_s = jnp.where(rest < 0.25, jnp.log1p(-rest), of_s)
    return jnp.where(wanted, of_s, jnp.where(S < 0.25, jnp.log1p(-S), jnp.log(rest)))


def outcome(kind: str, tail: Tail) -> jax.Array:
    """What is asked of the two tails: ``"lower"``, ``"upper"``, or either one's logarithm."""
    wanted = tail.is_lower if kind.endswith("lower") else ~tail.is_lower
    if kind.startswith("log"):
        return _log(tail, wanted)
    return jnp.where(wanted, tail.value, tail.complement)


def factor(kind: str, is_lower: jax.Array, value: jax.Array, complement: jax.Array) -> jax.Array:
    """The derivative of what is asked by log S."""
    wanted = is_lower if kind.endswith("lower") else ~is_lower
    if kind.startswith("log"):
        return jnp.where(wanted, 1, -value / complement)
    return jnp.where(wanted, value, -value)
