"""Index arithmetic of windows over any number of axes: what ``patches`` and ``unfold`` share.

Notation, for each axis by itself: windows of w taps, d entries apart, begin every s entries; tap a
of window i sees entry s i + d a.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Inexact, Int, Shaped

Sizes = tuple[int, ...]


def span(window: Sizes, dilation: Sizes) -> Sizes:
    """How many entries lie from the first tap of a window to its last, on each axis."""
    return tuple(d * (w - 1) + 1 for w, d in zip(window, dilation, strict=True))


def counts(sizes: Sizes, spans: Sizes, strides: Sizes) -> Sizes:
    """How many whole windows stand on each axis."""
    return tuple((n - k) // s + 1 for n, k, s in zip(sizes, spans, strides, strict=True))


def cut(
    x: Shaped[Array, "..."], grid: Sizes, window: Sizes, strides: Sizes, dilation: Sizes
) -> Shaped[Array, "..."]:
    """What each window sees: ``*batch *space channels`` to ``*batch *grid *window channels``."""
    return x[..., *_entries(grid, window, strides, dilation), :]


def lay_back(
    p: Inexact[Array, "..."], sizes: Sizes, window: Sizes, strides: Sizes, dilation: Sizes
) -> Inexact[Array, "..."]:
    """The adjoint of ``cut``: every tap added up where it was seen, in float32 at least."""
    *batch_and_grid, channels = p.shape[: p.ndim - len(window) - 1] + p.shape[-1:]
    batch = batch_and_grid[: len(batch_and_grid) - len(window)]
    grid = tuple(batch_and_grid[len(batch) :])
    wide = jnp.promote_types(p.dtype, jnp.float32)
    empty = jnp.zeros((*batch, *sizes, channels), wide)
    return empty.at[..., *_entries(grid, window, strides, dilation), :].add(p.astype(wide))


def _entries(
    grid: Sizes, window: Sizes, strides: Sizes, dilation: Sizes
) -> tuple[Int[Array, "..."], ...]:
    """For each axis the entries seen, in the shape ``*grid *window`` broadcast, to index with."""
    n = len(window)
    seen = []
    for axis, (count, w, s, d) in enumerate(zip(grid, window, strides, dilation, strict=True)):
        entries = s * jnp.arange(count)[:, None] + d * jnp.arange(w)
        seen.append(jnp.expand_dims(entries, [i for i in range(2 * n) if i % n != axis]))
    return tuple(seen)
