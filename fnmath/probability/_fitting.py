"""Weighted samples, from which parameters are estimated.

Notation: the samples xᵢ lie on the last axis, wᵢ ≥ 0 are their weights, whose scale is of no
account; a mean is Σ wᵢ xᵢ / Σ wᵢ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnmath import _checks


def samples(function: str, x: Any, weights: Any) -> tuple[jax.Array, jax.Array]:
    """The samples and weights of their shape that add up to 1, both in float32 at least."""
    _checks.floating(function, x=x)
    _checks.rank(function, "x", x, "samples")
    wide = jnp.promote_types(jnp.result_type(x), jnp.float32)
    x = jnp.asarray(x, wide)
    if weights is None:
        return x, jnp.full_like(x, 1 / max(x.shape[-1], 1))
    _checks.real(function, weights=weights)
    _checks.broadcasts_to(function, "weights", weights, "x", x)
    w = jnp.broadcast_to(jnp.asarray(weights, wide), x.shape)
    return x, w / jnp.sum(w, -1, keepdims=True)


def vectors(function: str, x: Any, weights: Any) -> tuple[jax.Array, jax.Array]:
    """Of samples that are vectors, on the last axis but one: components by samples, and weights."""
    if weights is not None:
        _checks.real(function, weights=weights)
        weights = weights[..., None, :] if jnp.ndim(weights) else weights
    return samples(function, jnp.swapaxes(jnp.asarray(x), -1, -2), weights)


def of_dtype(x: Any, *parameters: jax.Array) -> Any:
    """The estimates in the dtype of the samples."""
    return tuple(jnp.asarray(p, jnp.result_type(x)) for p in parameters)


def mean(x: jax.Array, w: jax.Array) -> jax.Array:
    """The mean of the samples, which keeps the axis; what weighs nothing counts for nothing."""
    return jnp.sum(jnp.where(w == 0, 0, w * x), -1, keepdims=True)


def root(x: jax.Array) -> jax.Array:
    """The square root, with the derivative 0 at 0."""
    return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1)), 0 * x)


def log_mean_exp(x: jax.Array, w: jax.Array) -> jax.Array:
    """Log Σ wᵢ exp(xᵢ), which keeps the axis."""
    m = jax.lax.stop_gradient(jnp.max(x, -1, keepdims=True))
    return m + jnp.log(mean(jnp.exp(x - m), w))


def smallest(x: jax.Array, w: jax.Array) -> jax.Array:
    """The smallest sample of a weight above 0."""
    return jnp.min(jnp.where(w == 0, jnp.inf, x), -1)


def largest(x: jax.Array, w: jax.Array) -> jax.Array:
    """The largest sample of a weight above 0."""
    return -smallest(-x, w)


def median(x: jax.Array, w: jax.Array) -> jax.Array:
    """A number with half the weight on either side, the middle of them where there are many."""
    order = jnp.argsort(x, -1)
    x, w = jnp.take_along_axis(x, order, -1), jnp.take_along_axis(w, order, -1)
    below = jnp.cumsum(w, -1)
    near = 4 * jnp.finfo(x.dtype).eps * x.shape[-1]
    low, high = (jnp.argmax(below >= 0.5 + side, -1, keepdims=True) for side in (-near, near))
    ends = [jnp.take_along_axis(x, i, -1)[..., 0] for i in (low, high)]
    return 0.5 * (ends[0] + ends[1])


def repeated(
    step: Callable[[tuple[jax.Array, ...]], tuple[jax.Array, ...]],
    start: tuple[jax.Array, ...],
    times: int,
) -> tuple[jax.Array, ...]:
    """The step taken so many times, as a loop that can be differentiated in both modes."""
    return jax.lax.fori_loop(0, times, lambda _, state: step(state), start)


def gumbel_scale(x: jax.Array, w: jax.Array) -> jax.Array:
    """The β that solves β = x̄ − Σ wᵢ xᵢ exp(−xᵢ/β) / Σ wᵢ exp(−xᵢ/β), by Newton in log β."""
    centred = x - mean(x, w)
    start = jnp.log(jnp.sqrt(6 * mean(centred * centred, w)) / jnp.pi)

    def step(state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        (log_scale,) = state
        scale = jnp.exp(log_scale)
        e = -centred / scale
        tilted = w * jnp.exp(e - jnp.max(e, -1, keepdims=True))
        tilted = tilted / jnp.sum(tilted, -1, keepdims=True)
        first = mean(centred, tilted)
        spread = mean(jnp.square(centred - first), tilted)
        change = (scale + first) / (scale + spread / scale)
        return (log_scale - jnp.clip(change, -1, 1),)

    (log_scale,) = repeated(step, (start,), 30)
    return jnp.exp(log_scale)
