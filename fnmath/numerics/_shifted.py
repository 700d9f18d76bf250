"""Exponentials of differences to the largest entry: the core of logsumexp and of softmax.

Notation: m is the largest entry along the axes; a leader is an entry equal to it.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp


def largest(x: jax.Array, axis: tuple[int, ...]) -> jax.Array:
    """The largest entry along the axes, which are kept; 0 where every entry is −∞."""
    m = jnp.max(x, axis, keepdims=True, initial=-jnp.inf)
    return jnp.where(m == -jnp.inf, 0, m)


def _difference(x: jax.Array, m: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The difference x − m as d + e: d rounded, e what rounding took; e is nan beside an infinity.

    Of an entry 50 nats behind, rounding may take 2·10⁻⁶ nats: 28 ULP of its exponential.
    """
    d = x - m
    shift = d - x
    return d, (x - (d - shift)) - (m + shift)


def _behind(x: jax.Array, m: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The same difference with d = 0 for a leader, and e = 0 beside an infinity."""
    d, e = _difference(x, m)
    return jnp.where(x == m, 0, d), jnp.where(jnp.isfinite(d), e, 0)


def _exp(d: jax.Array, e: jax.Array) -> jax.Array:
    """exp(d + e) for an e so small that its square is nothing."""
    exp_d = jnp.exp(d)
    return exp_d + exp_d * e


def odds(x: jax.Array, m: jax.Array) -> jax.Array:
    """exp(xᵢ − m), right to the last place; 1 for a leader."""
    d, e = _difference(x, m)
    exp_d = jnp.exp(d)
    return jnp.where(x == m, 1, jnp.where(exp_d == 0, 0, exp_d + exp_d * e))


def rest(x: jax.Array, m: jax.Array, axis: tuple[int, ...]) -> jax.Array:
    """Σ exp(xᵢ − m) over all but one of the leaders xᵢ = m; −1 where there is no leader."""
    others = jnp.sum(jnp.where(x == m, 0, odds(x, m)), axis, keepdims=True)
    # Not the sum of x == m itself: XLA makes numbers of booleans by way of integers.
    leaders = jnp.sum(jnp.where(x == m, jnp.ones_like(x), 0), axis, keepdims=True)
    return others + (leaders - 1)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def shifted_softmax(x: jax.Array, axis: tuple[int, ...]) -> jax.Array:
    """Weights pᵢ = exp(xᵢ) / Σⱼ exp(xⱼ); all 0 where every xᵢ is −∞."""
    m = largest(x, axis)
    weights = odds(x, m)
    total = jnp.sum(weights, axis, keepdims=True)
    return weights / jnp.where(total == 0, 1, total)


def centred(tangent: jax.Array, p: jax.Array, axis: tuple[int, ...]) -> jax.Array:
    """The tangent less its mean under p: ẋᵢ − Σⱼ pⱼ ẋⱼ.

    I − 1pᵀ is a projection, so a second application changes nothing but the rounding: of a leader
    with p = 1 − 10⁻⁹ the first leaves 1 − p = 0, and the second adds the 10⁻⁹ of the others.
    """
    for _ in range(2):
        tangent = tangent - jnp.sum(p * tangent, axis, keepdims=True)
    return tangent


@shifted_softmax.defjvp
def _softmax_jvp(axis: tuple[int, ...], primals: tuple, tangents: tuple) -> tuple:
    (x,), (tangent,) = primals, tangents
    p = shifted_softmax(x, axis)
    return p, p * centred(tangent, p, axis)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def shifted_log_softmax(x: jax.Array, axis: tuple[int, ...]) -> jax.Array:
    """Logarithms xᵢ − logsumexp(x) of the weights; −∞ where every xᵢ is −∞."""
    m = largest(x, axis)
    return jnp.where(x == m, 0, x - m) - jnp.log1p(jnp.maximum(rest(x, m, axis), 0))


@shifted_log_softmax.defjvp
def _log_softmax_jvp(axis: tuple[int, ...], primals: tuple, tangents: tuple) -> tuple:
    (x,), (tangent,) = primals, tangents
    return shifted_log_softmax(x, axis), centred(tangent, shifted_softmax(x, axis), axis)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def shifted_logsumexp(x: jax.Array, axis: tuple[int, ...]) -> jax.Array:
    m = largest(x, axis)
    return m + jnp.log1p(rest(x, m, axis))


@shifted_logsumexp.defjvp
def _logsumexp_jvp(axis: tuple[int, ...], primals: tuple, tangents: tuple) -> tuple:
    (x,), (tangent,) = primals, tangents
    return shifted_logsumexp(x, axis), jnp.sum(
        shifted_softmax(x, axis) * tangent, axis, keepdims=True
    )


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def shifted_logmeanexp(x: jax.Array, axis: tuple[int, ...], entries: jax.Array) -> jax.Array:
    """The logarithm of the mean of exp(xᵢ) over the entries; the others have xᵢ = −∞."""
    m = largest(x, axis)
    d, e = _behind(x, m)
    n = jnp.sum(entries, axis, dtype=x.dtype, keepdims=True)
    below = jnp.where(entries, jnp.expm1(d) + jnp.exp(d) * e, 0)
    mean_below = jnp.sum(below, axis, keepdims=True) / n
    mean = jnp.sum(_exp(d, e), axis, keepdims=True) / n
    return m + jnp.where(mean_below > -0.5, jnp.log1p(mean_below), jnp.log(mean))


@shifted_logmeanexp.defjvp
def _logmeanexp_jvp(axis: tuple[int, ...], primals: tuple, tangents: tuple) -> tuple:
    (x, entries), (tangent, _) = primals, tangents
    mean = shifted_logmeanexp(x, axis, entries)
    return mean, jnp.sum(shifted_softmax(x, axis) * tangent, axis, keepdims=True)
