"""Quantiles of counts, and sums over them.

Notation: k is a count; μ and σ are the mean and the standard deviation of its law.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from fnmath.probability._roots_of_tails import normal_quantile
from fnmath.probability._tails import nodes

MOST = 80  # steps of the search, more than a bracket of any counts needs
NODES = 192


def is_count(k: jax.Array) -> jax.Array:
    """Whether k is a whole number."""
    return k == jnp.floor(k)


def count_quantile(
    q: jax.Array,
    reaches: Callable[[jax.Array], jax.Array],
    mean: jax.Array,
    deviation: jax.Array,
    last: jax.Array,
) -> jax.Array:
    """The least count that ``reaches`` q: from the mean ± a few σ outwards, then by halves."""
    mean, deviation, last, q = map(jax.lax.stop_gradient, (mean, deviation, last, q))
    tail = jnp.clip(jnp.where(q <= 0.5, q, 1 - q), jnp.finfo(q.dtype).tiny, 0.5)
    guess = mean + jnp.where(q <= 0.5, 1, -1) * normal_quantile(tail) * deviation
    width = jnp.ceil(0.5 * deviation + 2)
    low = jnp.clip(jnp.floor(guess) - width, -1, last)
    high = jnp.clip(jnp.ceil(guess) + width, 0, last)

    def outwards(state: tuple) -> tuple:
        low, high, width, _, count = state
        too_low, too_high = ~reaches(high) & (high < last), reaches(low) & (low > -1)
        new_low = jnp.where(too_low, high, jnp.where(too_high, jnp.maximum(low - width, -1), low))
        new_high = jnp.where(
            too_high, low, jnp.where(too_low, jnp.minimum(high + width, last), high)
        )
        return new_low, new_high, 2 * width, too_low | too_high, count + 1

    def inwards(state: tuple) -> tuple:
        low, high, count = state
        middle = jnp.floor(low + 0.5 * (high - low))
        found = reaches(middle)
        return jnp.where(found, low, middle), jnp.where(found, middle, high), count + 1

    zero = jnp.zeros((), jnp.int32)
    state = (low, high, width, low < high + 1, zero)
    low, high, *_ = jax.lax.while_loop(lambda s: jnp.any(s[3]) & (s[4] < MOST), outwards, state)
    state = (low, high, zero)
    return jax.lax.while_loop(lambda s: jnp.any(s[0] + 1 < s[1]) & (s[2] < MOST), inwards, state)[1]


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
    return jnp.sum(terms, 0) * step


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
    rest = jnp.sum(term(points.reshape(flat)) * weights.reshape(flat), 0)
    edge = jnp.full((1, *like.shape), first - 0.5, like.dtype)
    step = 0.5
    slope = (term(edge + step) - term(edge - step))[0] / (2 * step)
    return jnp.sum(term(counts), 0) + rest + slope / 24
