"""What the taps of windows see of an image, where its margins are, and sums over all windows.

Notation: x is an image ``batch *sizes channels``; a tap is a place in the window.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from fnmath.layers.convolution._geometry import Grid
from fnmath.linear_algebra._grids import span

Taps = tuple[int, ...]

# So few channels take longer to copy than as many entries of others.
SHORT = 4


def taps(window: Sequence[int]) -> Iterator[Taps]:
    """The taps of a window, in the order of its entries."""
    return itertools.product(*map(range, window))


def lows(grid: Grid) -> tuple[int, ...]:
    return tuple(low for low, _ in grid.margins)


def ends(grid: Grid) -> list[tuple[int, int]]:
    """How many entries the windows see before the first and behind the last, or leave (below 0)."""
    spans = span(grid.window, grid.dilation)
    each = zip(grid.sizes, grid.counts, grid.strides, spans, lows(grid), strict=True)
    return [(low, (c - 1) * s + k - low - n) for n, c, s, k, low in each]


def with_margins(x: jax.Array, margins: Sequence[tuple[int, int]]) -> jax.Array:
    """The image with so many zeros before and behind each axis, or cropped by them (below 0)."""
    widths = [(0, 0, 0), *((low, high, 0) for low, high in margins), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), widths)


def seen_by(padded: jax.Array, grid: Grid, tap: Taps) -> jax.Array:
    """What that tap sees in all windows, as ``batch *counts in``."""
    starts = [a * d for a, d in zip(tap, grid.dilation, strict=True)]
    steps = zip(starts, grid.counts, grid.strides, strict=True)
    stops = [start + (c - 1) * s + 1 for start, c, s in steps]
    first, last = padded.shape[0], padded.shape[-1]
    return lax.slice(padded, (0, *starts, 0), (first, *stops, last), (1, *grid.strides, 1))


def row_of(padded: jax.Array, grid: Grid, lead: Taps) -> jax.Array:
    """What the last taps of the window see, those that begin with ``lead``, beside each other.

    Few channels are slow to copy: those are put beside each other along one axis after the other,
    so that all copies but the first are of longer pieces. Windows that lie apart gain nothing.
    """
    apart = any(s >= w for s, w in zip(grid.strides, grid.window, strict=True))
    if padded.shape[-1] > SHORT or apart:
        rest = taps(grid.window[len(lead) :])
        return jnp.concatenate([seen_by(padded, grid, lead + tap) for tap in rest], axis=-1)
    for axis in (*range(len(lead)), *reversed(range(len(lead), len(grid.window)))):
        those = lead[axis : axis + 1] or range(grid.window[axis])
        step, starts = grid.strides[axis], [a * grid.dilation[axis] for a in those]
        span = (grid.counts[axis] - 1) * step + 1
        seen = [lax.slice_in_dim(padded, n, n + span, step, 1 + axis) for n in starts]
        padded = jnp.concatenate(seen, axis=-1)
    return padded


def first(x: jax.Array, sizes: Sequence[int]) -> jax.Array:
    """The corner of these sizes."""
    return x[(slice(None), *(slice(n) for n in sizes))]


def inner(a: jax.Array, b: jax.Array) -> jax.Array:
    """aᵀ b, summed over all axes but the last."""
    a, b = (z.reshape(-1, z.shape[-1]) for z in (a, b))
    return lax.dot_general(a, b, (((0,), (0,)), ((), ())))
