"""Quantiles of the gamma law, with their derivatives by the inverse function theorem.

Notation: z is the quantile at scale 1, λ = log z; W is the wanted tail, T its target.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp

from fnmath.numerics._pairs import log_pair
from fnmath.numerics._sharing import shared
from fnmath.probability import _gamma_tails as tails
from fnmath.probability._log_gammas import log_gamma
from fnmath.probability._roots_of_tails import (
    Local,
    normal_quantile,
    residual,
    root,
    slope,
    with_derivatives_at,
)


def _start(target: jax.Array, wanted_lower: jax.Array, a: jax.Array) -> jax.Array:
    """Wilson and Hilferty's cube for a ≥ 1, or P ≤ zᵃ/Γ(a + 1) as an equality, if that is more."""
    log_p = jnp.where(wanted_lower, jnp.log(target), jnp.log1p(-target))
    at_0 = (log_p + log_gamma(a + 1)) / a
    normal = jnp.where(wanted_lower, 1, -1) * normal_quantile(target)
    cube = 1 - 1 / (9 * a) + normal / (3 * jnp.sqrt(a))
    middle = jnp.log(a) + 3 * jnp.log(jnp.maximum(cube, 1e-3))
    return jnp.where((a >= 1) & (cube > 0.1), jnp.maximum(middle, at_0), at_0)


def _bounds(like: jax.Array) -> tuple[float, float]:
    finfo = jnp.finfo(like.dtype)
    return math.log(finfo.tiny), math.log(finfo.max) - 1


def _solved(target: jax.Array, wanted_lower: jax.Array, a: jax.Array) -> jax.Array:
    """The z of that tail, for 0 < T ≤ ½; 0 where it is below the normal numbers."""
    log_target = log_pair(target)
    low, high = _bounds(a)

    def at(z: jax.Array) -> Local:
        pair = (z, jnp.zeros_like(z))
        tail = tails.tail(a, pair)
        s = slope(tail, tails.hazard(a, pair), wanted_lower)
        return Local(residual(tail, wanted_lower, log_target, target), s, a - z)

    start = _start(target, wanted_lower, a)
    log_z = root(lambda log_z: at(jnp.exp(log_z)), start, low, high)
    z = jnp.exp(log_z)
    last = at(z)
    z = z - z * (last.residual / last.slope)
    return jnp.where(log_z > low + 1e-3, z, 0)


def _target(kind: str, q: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The smaller tail, at most ½, and whether it is the lower one."""
    small = q <= 0.5
    return jnp.where(small, q, 1 - q), small if kind == "lower" else ~small


@shared
def _inside(q: jax.Array, a: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    inside = (q > 0) & (q < 1) & (a > 0) & (a < jnp.inf)
    return inside, jnp.where(inside, q, 0.5), jnp.where(inside, a, 1)


def _valid(q: jax.Array, a: jax.Array) -> jax.Array:
    return (q >= 0) & (q <= 1) & (a > 0)


@functools.cache
def quantile(kind: str):
    """The z of which the tail, ``"lower"`` or ``"upper"``, is q, as a function of q and a."""
    sign = 1 if kind == "lower" else -1

    def by_q(z: jax.Array, q: jax.Array, a: jax.Array) -> jax.Array:
        inside, _, a_ = _inside(q, a)
        z = jnp.where(inside, z, 1)
        density = tails.density(z, a_, jnp.ones_like(z))
        at_0 = jnp.where(a < 1, 0, jnp.where(a == 1, 1, jnp.inf))
        ends = jnp.where(q == (0 if kind == "lower" else 1), at_0, jnp.inf)
        ends = jnp.where(_valid(q, a), ends, jnp.nan)
        return sign * jnp.where(inside, 1 / density, ends)

    def by_shape(z: jax.Array, q: jax.Array, a: jax.Array) -> jax.Array:
        inside, _, a_ = _inside(q, a)
        z = jnp.where(inside, z, 1)
        some = jnp.where(z > 0, z, 1)
        one = jnp.ones_like(z)
        is_lower = tails._is_lower(a_, some)
        pair = (some, jnp.zeros_like(some))
        change = tails.slope_by_shape(a_, pair) / tails.hazard(a_, pair)
        slope = -jnp.where(is_lower, one, -one) * z * change
        return jnp.where(inside, slope, jnp.where(_valid(q, a), 0, jnp.nan))

    @with_derivatives_at(by_q, by_shape)
    def function(q: jax.Array, a: jax.Array) -> jax.Array:
        inside, q_, a_ = _inside(q, a)
        z = _solved(*_target(kind, q_), a_)
        ends = jnp.where(q == (0 if kind == "lower" else 1), 0, jnp.inf)
        return jnp.where(inside, z, jnp.where(_valid(q, a), ends, jnp.nan))

    return function
