"""The summands of divergences between probabilities p and q, and where their logarithms are.

An outcome that cannot occur under either, p = q = 0, adds nothing to a value or a derivative. Where
a derivative is infinite for a value that is not, the largest number takes its place, whose product
with a tangent 0 is 0 and not nan.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from fnmath.numerics import with_derivatives


def most(x: jax.Array) -> jax.Array:
    """What stands for ∞ in derivatives."""
    return jnp.asarray(jnp.finfo(x.dtype).max, x.dtype)


def some(p: jax.Array) -> jax.Array:
    """The number, and 1 in place of 0."""
    return jnp.where(p == 0, 1, p)


@with_derivatives(lambda p, q: 1 / p, lambda p, q: -1 / q)
def log_ratio(p: jax.Array, q: jax.Array) -> jax.Array:
    """The logarithm of p/q for p, q > 0: from their difference where they are near each other."""
    gap = p - q
    close = jnp.abs(gap) < 0.5 * q
    ratio = p / q
    finfo = jnp.finfo(p.dtype)
    usual = (ratio > float(finfo.tiny)) & (ratio < float(finfo.max))
    far = jnp.where(usual, jnp.log(jnp.where(usual, ratio, 1)), jnp.log(p) - jnp.log(q))
    return jnp.where(close, jnp.log1p(jnp.where(close, gap / q, 0)), far)


def surprise(p: jax.Array) -> jax.Array:
    """The term −p log p of an entropy."""
    return jnp.where(p == 0, most(p) * p, -p * jnp.log(some(p)))


def cross(p: jax.Array, q: jax.Array) -> jax.Array:
    """The term −p log q."""
    term = -p * jnp.log(some(q))
    return jnp.where(q == 0, jnp.where(p == 0, 0, jnp.where(p > 0, jnp.inf, jnp.nan)), term)


def relative(p: jax.Array, q: jax.Array) -> jax.Array:
    """The term p log(p/q)."""
    term = p * log_ratio(some(p), some(q))
    impossible = jnp.where(p > 0, jnp.inf, jnp.nan)
    nothing = jnp.where((q == 0) | jnp.isnan(q), 0 * q, -most(p) * p)
    return jnp.where(p == 0, nothing, jnp.where(q == 0, impossible, term))


def half_log(s: jax.Array, one_and_s: jax.Array) -> jax.Array:
    """½ log(1 + s), from s where that is small and from 1 + s where it is not."""
    near = jnp.abs(s) < 0.5
    return 0.5 * jnp.where(near, jnp.log1p(jnp.where(near, s, 0)), jnp.log(one_and_s))


def jensen_shannon_of_tilt(
    total: jax.Array, s: jax.Array, more: jax.Array, less: jax.Array
) -> jax.Array:
    """¼ (p + q) [(1 + s) log(1 + s) + (1 − s) log(1 − s)], which is s² + s⁴/6 + … times that.

    Here s = (p − q)/(p + q) is the tilt, more = 1 + s and less = 1 − s.
    """
    near = jnp.abs(s) < 0.5
    small = jnp.where(near, s, 0)
    close = small * jnp.arctanh(small) + 0.5 * jnp.log1p(-jnp.square(small))
    apart = [jnp.where(a == 0, 0, a * jnp.log(jnp.where(a == 0, 1, a))) for a in (more, less)]
    return 0.5 * total * jnp.where(near, close, 0.5 * (apart[0] + apart[1]))


def _tilt(p: jax.Array, q: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The tilt s = (p − q)/(p + q), with 1 + s and 1 − s; 0, 1, 1 where both are 0."""
    empty = p + q == 0
    total = jnp.where(empty, 1, p + q)
    more, less = (jnp.where(empty, 1, 2 * a / total) for a in (p, q))
    return (p - q) / total, more, less


def _jensen_shannon_slope(p: jax.Array, q: jax.Array) -> jax.Array:
    """½ log(2p/(p + q))."""
    s, more, _ = _tilt(p, q)
    slope = half_log(s, jnp.where(p == 0, 1, more))
    return jnp.where(p == 0, jnp.where(q == 0, 0, -most(p)), slope)


@with_derivatives(_jensen_shannon_slope, lambda p, q: _jensen_shannon_slope(q, p))
def jensen_shannon(p: jax.Array, q: jax.Array) -> jax.Array:
    """The term ½ (p log(p/m) + q log(q/m)) with m = ½ (p + q)."""
    return jensen_shannon_of_tilt(p + q, *_tilt(p, q))


def _root(p: jax.Array) -> jax.Array:
    """The square root, with the derivative that stands for ∞ at 0."""
    return jnp.where(p == 0, most(p) * p, jnp.sqrt(some(p)))


def _squared_hellinger_slope(p: jax.Array, q: jax.Array) -> jax.Array:
    """1 − √(q/p)."""
    never = jnp.where(q == 0, 1, -most(p))
    gap = (p - q) / (some(_root(p)) + _root(q))
    return jnp.where(p == 0, never, gap / some(_root(p)))


@with_derivatives(_squared_hellinger_slope, lambda p, q: _squared_hellinger_slope(q, p))
def squared_hellinger(p: jax.Array, q: jax.Array) -> jax.Array:
    """The term (√p − √q)², from the difference of p and q."""
    roots = jnp.sqrt(p) + jnp.sqrt(q)
    return jnp.square((p - q) / some(roots))
