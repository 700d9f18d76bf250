"""Quantiles of the beta law, with their derivatives by the inverse function theorem.

Notation: x is the quantile, y = 1 − x, λ = log(x/y); W is the wanted tail, T its target.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp

from fnmath.numerics._pairs import log_pair
from fnmath.numerics._sharing import in_one_go, shared
from fnmath.probability import _beta_tails as tails
from fnmath.probability._beta_density import density, point
from fnmath.probability._beta_tails import Point
from fnmath.probability._log_gammas import log_gamma
from fnmath.probability._roots_of_tails import (
    Local,
    normal_quantile,
    residual,
    root,
    slope,
    with_derivatives_at,
)


def _from_0(log_p: jax.Array, log_b: jax.Array, a: jax.Array) -> jax.Array:
    """The λ of P = xᵃ/(a B(a, b)), up to x = ¾."""
    log_x = jnp.minimum((log_p + log_b) / a, math.log(0.75))
    return log_x - jnp.log1p(-jnp.exp(log_x))


def _middle(normal: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """Carter's approximation, for a, b ≥ 1 (Abramowitz and Stegun, 26.5.22)."""
    s, t = 1 / jnp.maximum(2 * a - 1, 1), 1 / jnp.maximum(2 * b - 1, 1)
    h, c = 2 / (s + t), (normal * normal - 3) / 6
    w = normal * jnp.sqrt(jnp.maximum(h + c, 0.1)) / h - (t - s) * (c + 5 / 6 - 2 / (3 * h))
    return jnp.log(a / b) + 2 * w


def _start(target: jax.Array, wanted_lower: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    small, large = jnp.log(target), jnp.log1p(-target)
    of_a, of_b, of_n = in_one_go(log_gamma, (a,), (b,), (a + b,))
    log_b = of_a + of_b - of_n
    at_0 = _from_0(jnp.where(wanted_lower, small, large), log_b + jnp.log(a), a)
    at_1 = -_from_0(jnp.where(wanted_lower, large, small), log_b + jnp.log(b), b)
    ends = jnp.where((a < 1) & (a <= b), at_0, at_1)
    normal = jnp.where(wanted_lower, 1, -1) * normal_quantile(target)
    middle = _middle(normal, a, b)
    middle = jnp.where(wanted_lower, jnp.maximum(middle, at_0), jnp.minimum(middle, at_1))
    return jnp.where((a >= 1) & (b >= 1), middle, ends)


def solved(target: jax.Array, wanted_lower: jax.Array, a: jax.Array, b: jax.Array) -> Point:
    """The point of that tail, for 0 < T ≤ ½, x and y both right to the last place."""
    log_target = log_pair(target)
    limit = -math.log(jnp.finfo(a.dtype).tiny)

    def at(p: Point) -> Local:
        tail = tails.tail(p)
        s = slope(tail, tails.hazard(p), wanted_lower)
        return Local(residual(tail, wanted_lower, log_target, target), s, p.a * p.y - p.b * p.x)

    def of_logit(logit: jax.Array) -> Point:
        zero = jnp.zeros_like(logit)
        return Point(jax.nn.sigmoid(logit), jax.nn.sigmoid(-logit), a, b, zero, zero)

    start = _start(target, wanted_lower, a, b)
    logit = root(lambda logit: at(of_logit(logit)), start, -limit, limit)
    return _corrected(of_logit(logit), at)


def _corrected(p: Point, at) -> Point:
    """One step more from the smaller of x and y, rounded, and the other one in two parts."""
    is_small = p.x < 0.5
    small = jnp.where(is_small, p.x, p.y)
    large, tail = tails.complement(small)
    zero = jnp.zeros_like(small)
    here = Point(
        jnp.where(is_small, small, large),
        jnp.where(is_small, large, small),
        p.a,
        p.b,
        jnp.where(is_small, zero, tail),
        jnp.where(is_small, tail, zero),
    )
    local = at(here)
    step = -local.residual / local.slope * here.x * here.y
    moved = jnp.maximum(jnp.where(is_small, small + step, small - step), 0)
    rest = 1 - moved
    return p._replace(x=jnp.where(is_small, moved, rest), y=jnp.where(is_small, rest, moved))


def target_of(kind: str, q: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The smaller tail, at most ½, and whether it is the lower one."""
    small = q <= 0.5
    return jnp.where(small, q, 1 - q), small if kind == "lower" else ~small


@shared
def _inside(q: jax.Array, a: jax.Array, b: jax.Array) -> tuple[jax.Array, ...]:
    inside = (q > 0) & (q < 1) & (a > 0) & (a < jnp.inf) & (b > 0) & (b < jnp.inf)
    some = zip((q, a, b), (0.5, 1, 1), strict=True)
    return inside, *(jnp.where(inside, t, s) for t, s in some)


@shared
def _there(x: jax.Array, a: jax.Array, b: jax.Array) -> Point:
    return point(jnp.where((x > 0) & (x < 1), x, 0.5), a, b)


def _valid(q: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    return (q >= 0) & (q <= 1) & (a > 0) & (b > 0)


@functools.cache
def quantile(kind: str):
    """The x of which the tail, ``"lower"`` or ``"upper"``, is q, as a function of q, a and b."""
    sign = 1 if kind == "lower" else -1

    def by_q(x: jax.Array, q: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
        slope = 1 / density(jnp.where(_valid(q, a, b), x, 0.5), a, b)
        return sign * jnp.where(_valid(q, a, b), slope, jnp.nan)

    def by_shape(which: int):
        def slope(x: jax.Array, q: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
            inside, _, a_, b_ = _inside(q, a, b)
            p = _there(x, a_, b_)
            change = tails.slopes(p)[which] / tails.hazard(p) * (p.x * p.y)
            change = jnp.where(tails._is_lower(p), -change, change)
            at_ends = jnp.where(_valid(q, a, b), 0, jnp.nan)
            return jnp.where(inside, jnp.where((x > 0) & (x < 1), change, 0), at_ends)

        return slope

    @with_derivatives_at(by_q, by_shape(0), by_shape(1))
    def function(q: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
        inside, q_, a_, b_ = _inside(q, a, b)
        x = solved(*target_of(kind, q_), a_, b_).x
        ends = jnp.where(q == (0 if kind == "lower" else 1), 0, 1)
        return jnp.where(inside, x, jnp.where(_valid(q, a, b), ends, jnp.nan))

    return function
