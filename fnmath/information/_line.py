"""Optimal transport on the line, where the best plan keeps the order.

Notation: w are shares of mass, d the distances that they move, M = (Σᵢ wᵢ |dᵢ|ᵖ)^(1/p).
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from fnmath.numerics import safe_divide


@functools.lru_cache(maxsize=64)
def _coupling(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which quantiles of n and of m entries meet, and for how long, counted in 1/(n m)."""
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    widths = np.diff(ends, prepend=0)
    return (ends - 1) // m, (ends - 1) // n, widths / (n * m)


def _power_mean_slope(d: jax.Array, w: jax.Array, mean: jax.Array, p: float) -> jax.Array:
    """The slopes wᵢ sign(dᵢ) (|dᵢ|/M)^(p − 1) of the power mean M, 0 where M = 0."""
    if p == 1:
        return w * jnp.sign(d)
    share = safe_divide(d, mean)
    if p == 2:
        return w * share
    size = jnp.where(share == 0, 1, jnp.abs(share))
    return w * jnp.where(share == 0, 0, jnp.sign(share) * size ** (p - 1))


def _slope_by_shares(d: jax.Array, mean: jax.Array, p: float) -> jax.Array:
    """The slopes M (|dᵢ|/M)ᵖ/p by the shares of mass, 0 where M = 0."""
    share = jnp.abs(safe_divide(d, mean))
    return mean * jnp.where(share == 0, 0, jnp.where(share == 0, 1, share) ** p) / p


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def power_mean(d: jax.Array, w: jax.Array, p: float) -> jax.Array:
    """The power mean M over the last axis, which is kept."""
    size = jnp.abs(d)
    if p == 1:
        return jnp.sum(w * size, -1, keepdims=True)
    scale = jnp.max(size, -1, keepdims=True)
    return scale * jnp.sum(w * safe_divide(size, scale) ** p, -1, keepdims=True) ** (1 / p)


@functools.partial(power_mean.defjvp, symbolic_zeros=True)
def _power_mean_jvp(p: float, primals: tuple, tangents: tuple) -> tuple:
    (d, w), (d_dot, w_dot) = primals, tangents
    mean = power_mean(d, w, p)
    terms = []
    if not isinstance(d_dot, jax.custom_derivatives.SymbolicZero):
        terms.append(_power_mean_slope(d, w, mean, p) * d_dot)
    if not isinstance(w_dot, jax.custom_derivatives.SymbolicZero):
        terms.append(_slope_by_shares(d, mean, p) * w_dot)
    slope = sum(terms) if terms else jnp.zeros_like(d)
    return mean, jnp.sum(slope, -1, keepdims=True)


def distance_of_samples(x: jax.Array, y: jax.Array, p: float) -> jax.Array:
    """Wasserstein's distance of two samples, on the last axes, whose numbers count alike."""
    n, m = x.shape[-1], y.shape[-1]
    i, j, w = _coupling(n, m)
    x, y = jnp.sort(x, -1), jnp.sort(y, -1)
    d = x - y if n == m else x[..., i] - y[..., j]
    return power_mean(d, jnp.asarray(w, d.dtype), p)[..., 0]


def _ordered(x: jax.Array, shares: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One sample in order, and the sums of its shares up to each number."""
    order = jnp.argsort(x, -1)
    return x[order], jnp.cumsum(shares[order])


def distance_of_weighted(
    x: jax.Array, y: jax.Array, x_shares: jax.Array, y_shares: jax.Array, p: float
) -> jax.Array:
    """Wasserstein's distance of two weighted samples, all of them vectors."""
    (x, P), (y, Q) = _ordered(x, x_shares), _ordered(y, y_shares)
    ends = jnp.sort(jnp.concatenate([P, Q]))
    i, j = (jnp.searchsorted(upto, ends, method="sort") for upto in (P, Q))
    d = x[jnp.minimum(i, x.size - 1)] - y[jnp.minimum(j, y.size - 1)]
    widths = jnp.diff(ends, prepend=jnp.zeros(1, ends.dtype))
    return power_mean(d, widths, p)[0]
