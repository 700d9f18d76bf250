"""Quantiles of counts, and sums over them.

Notation: k is a count; μ and σ are the mean and the standard deviation of its law.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fnmath.numerics._once import sum_of_rows
from fnmath.numerics._sharing import apart
from fnmath.probability._roots_of_tails import normal_quantile
from fnmath.probability._tails import nodes

MOST = 80  # steps of the search, more than a bracket of any counts needs
NODES = 192


def is_count(k: jax.Array) -> jax.Array:
    """Whether k is a whole number."""
    return k == jnp.floor(k)


class _Search(NamedTuple):
    low: jax.Array  # the largest count that is known not to reach q, or −1
    high: jax.Array  # the least one that is known to, or the last
    at: jax.Array
    width: jax.Array
    steps: jax.Array


def _middle(search: _Search) -> jax.Array:
    return jnp.floor(search.low + 0.5 * (search.high - search.low))


def count_quantile(
    q: jax.Array,
    reaches: Callable[[jax.Array], jax.Array],
    mean: jax.Array,
    deviation: jax.Array,
    last: jax.Array,
) -> jax.Array:
    """The least count that ``reaches`` q: from a normal's away by doubled steps, then by halves."""
    tail = jnp.clip(jnp.where(q <= 0.5, q, 1 - q), jnp.finfo(q.dtype).tiny, 0.5)
    guess = mean + jnp.where(q <= 0.5, 1, -1) * normal_quantile(tail) * deviation

    @apart
    def advance(search: _Search) -> _Search:
        found = reaches(search.at)
        low = jnp.where(found, search.low, search.at)
        high = jnp.where(found, search.at, search.high)
        away = jnp.where(found, search.at - search.width, search.at + search.width)
        is_open = jnp.where(found, low == -1, high == last)
        middle = _middle(search._replace(low=low, high=high))
        at = jnp.where(is_open & (away > low) & (away < high), away, middle)
        kept = _middle(search) <= search.low
        new = _Search(low, high, at, 2 * search.width, search.steps + 1)
        return _Search(*(jnp.where(kept, old, to) for old, to in zip(search, new, strict=True)))

    def unfinished(search: _Search) -> jax.Array:
        return jnp.any(_middle(search) > search.low) & jnp.all(search.steps < MOST)

    start = jnp.clip(jnp.floor(guess), 0, jnp.maximum(last - 1, 0))
    zero = jnp.zeros_like(mean, jnp.int32)
    width = jnp.ceil(0.25 * deviation + 1)
    search = _Search(jnp.full_like(mean, -1), last, start, width, zero)
    return jax.lax.while_loop(unfinished, advance, search).high


def entropy_of_counts(
    log_pmf: Callable[[jax.Array], jax.Array],
    mean: jax.Array,
    deviation: jax.Array,
    last: jax.Array,
) -> jax.Array:
    """−Σ p log p by the trapezoidal rule, of steps of 1 up to σ = 8 and of σ/8 beyond.

    It is the sum itself up to there, and beyond, the probabilities being smooth in k and nothing at
    the ends, the rule errs by exp(−2π² 8²) of the sum.
    """
    step = jax.lax.stop_gradient(jnp.maximum(1, deviation / 8))
    centre = jax.lax.stop_gradient(jnp.floor(mean))
    j = jnp.arange(NODES, dtype=mean.dtype).reshape(-1, *(1,) * mean.ndim) - 88
    k = centre + step * j
    inside = (k >= 0) & (k <= last)
    log_p = log_pmf(jnp.where(inside, k, jnp.clip(centre, 0, last)))
    p = jnp.exp(log_p)
    terms = jnp.where(inside & (p > 0), -p * jnp.where(p > 0, log_p, 0), 0)
    return sum_of_rows(terms) * step


def entropy_of_waiting(log_pmf: Callable[[jax.Array], jax.Array], like: jax.Array) -> jax.Array:
    """−Σ p log p over all counts: the first ones summed, the rest integrated from ½ before.

    What the integral of the rest lacks is 1/24 of the slope there, and higher derivatives.
    """
    first = 512 if like.dtype == jnp.float64 else NODES
    shape = (-1, *(1,) * like.ndim)

    def term(k: jax.Array) -> jax.Array:
        log_p = log_pmf(jnp.broadcast_to(k, jnp.broadcast_shapes(k.shape, like.shape)))
        p = jnp.exp(log_p)
        return jnp.where(p > 0, -p * jnp.where(p > 0, log_p, 0), 0)

    counts = jnp.arange(first, dtype=like.dtype).reshape(shape)
    u, w = nodes(like)
    # Each panel is as long as all before it, up to a million times as far as the first.
    edges = (first - 0.5) * 2.0 ** jnp.arange(20, dtype=like.dtype).reshape(-1, *(1,) * u.ndim)
    points, weights = edges * (1 + u), edges * w
    flat = (-1, *(1,) * like.ndim)
    rest = sum_of_rows(term(points.reshape(flat)) * weights.reshape(flat))
    edge = jnp.full((1, *like.shape), first - 0.5, like.dtype)
    step = 0.5
    slope = (term(edge + step) - term(edge - step))[0] / (2 * step)
    return sum_of_rows(term(counts)) + rest + slope / 24
