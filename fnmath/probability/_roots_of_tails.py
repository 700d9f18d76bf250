"""Quantiles: where a tail, in logarithms, is what it should be.

Notation: W is the wanted tail and T its target; λ is the variable in which the density is
log-concave, g the derivative of the logarithm of that density; s = ∂ log W/∂λ.

log W is concave in λ, so that Newton's steps for log W = log T come from one side after the first.
With the second derivative s (g − s) they are Halley's, and three or four of them do; a bracket
keeps them from running away. The root is then corrected once, at the rounded number, by a
difference of logarithms in two parts.

Source: Press, Teukolsky, Vetterling and Flannery, Numerical Recipes (2007), §6.2.1 and §9.4.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from fnmath.numerics._pairs import Pair
from fnmath.numerics._sharing import apart, side_by_side
from fnmath.probability._tails import Tail
from fnmath.probability._two_part import negative, summed

MOST = 60  # steps, of which a bracket that starts as wide as the numbers needs some tens


Elementwise = Callable[..., jax.Array]


def with_derivatives_at(*partials: Elementwise) -> Callable[[Elementwise], Elementwise]:
    """As ``with_derivatives``, of partials that take the value first, and need not find it again.

    ḟ = Σᵢ ∂ᵢf(f(x), x₁, …, xₙ) · ẋᵢ
    """

    def decorate(f: Elementwise) -> Elementwise:
        wrapped = jax.custom_jvp(apart(f))

        def rule(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, jax.Array]:
            value = wrapped(*primals)
            with side_by_side():
                terms = [
                    partial(value, *primals) * tangent
                    for partial, tangent in zip(partials, tangents, strict=True)
                    if not isinstance(tangent, SymbolicZero)
                ]
            return value, functools.reduce(jnp.add, terms, jnp.zeros_like(value))

        wrapped.defjvp(rule, symbolic_zeros=True)
        return functools.wraps(f)(lambda *arguments: wrapped(*arguments))

    return decorate


class Local(NamedTuple):
    """At a λ: log W − log T, its derivative s, and the derivative g of the log-density."""

    residual: jax.Array
    slope: jax.Array
    log_density_slope: jax.Array


class _State(NamedTuple):
    at: jax.Array
    low: jax.Array
    high: jax.Array
    step: jax.Array
    steps: jax.Array


def residual(tail: Tail, wanted_lower: jax.Array, log_target: Pair, target: jax.Array) -> jax.Array:
    """The difference log W − log T, of a W that is computed itself or as a complement."""
    direct = summed(*tail.log[:1], *negative(log_target), tail.log[1])[0]
    beside = jnp.log(tail.complement) - (log_target[0] + log_target[1])
    near = jnp.abs(tail.complement - target) < 0.25 * target
    close = jnp.where(
        near, jnp.log1p(jnp.where(near, (tail.complement - target) / target, 0)), beside
    )
    return jnp.where(tail.is_lower == wanted_lower, direct, close)


def slope(tail: Tail, hazard: jax.Array, wanted_lower: jax.Array) -> jax.Array:
    """The derivative of log W by λ, of the hazard of the tail that is computed."""
    own = tail.is_lower == wanted_lower
    size = jnp.where(own, hazard, hazard * (tail.value / tail.complement))
    return jnp.where(wanted_lower, size, -size)


def _halley(local: Local) -> jax.Array:
    step = -local.residual / local.slope
    bend = 1 + 0.5 * step * (local.log_density_slope - local.slope)
    return step / jnp.clip(bend, 0.5, 2)


def root(
    local: Callable[[jax.Array], Local],
    start: jax.Array,
    low: float | jax.Array,
    high: float | jax.Array,
) -> jax.Array:
    """The λ where the residual is 0, between ``low`` and ``high``."""
    near = 1e-4 if start.dtype == jnp.float64 else 2e-3

    @apart
    def advance(state: _State) -> _State:
        here = local(state.at)
        beyond = (here.residual > 0) == (here.slope > 0)
        lower = jnp.where(beyond, state.low, state.at)
        upper = jnp.where(beyond, state.at, state.high)
        new = state.at + _halley(here)
        inside = (new >= lower) & (new <= upper)
        new = jnp.where(inside, new, 0.5 * (lower + upper))
        done = jnp.abs(state.step) < near
        kept = jnp.where(done, state.at, new)
        return _State(kept, lower, upper, jnp.where(done, 0, new - state.at), state.steps + 1)

    def unfinished(state: _State) -> jax.Array:
        return jnp.any(jnp.abs(state.step) >= near) & (state.steps < MOST)

    full = jnp.full_like(start, jnp.inf)
    state = _State(
        jnp.clip(start, low, high),
        jnp.full_like(start, low),
        jnp.full_like(start, high),
        full,
        jnp.zeros((), jnp.int32),
    )
    return jax.lax.while_loop(unfinished, advance, state).at


def normal_quantile(p: jax.Array) -> jax.Array:
    """The quantile of a standard normal for p ≤ ½, to three digits: only where to start.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.2.22.
    """
    t = jnp.sqrt(-2 * jnp.log(p))
    return (2.30753 + 0.27061 * t) / (1 + t * (0.99229 + 0.04481 * t)) - t
