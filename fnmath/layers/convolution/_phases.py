"""The image of strided windows, of its phases: every s-th entry is seen by the same taps.

Notation: entry p + s q of an axis of the image, at stride s, is number q of phase p; y is what the
windows make, ``batch *counts channels``.

Either each phase is a convolution of y of its own, or all of them are channels of one, which then
are laid out as an image (Shi et al., Real-time single image and video super-resolution using an
efficient sub-pixel convolutional neural network, 2016, §3.2).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnmath.layers.convolution._geometry import Grid
from fnmath.layers.convolution._views import first, lows, with_margins

# All phases of an image are found together where that takes no more than so many times the taps.
SPARE = 1.4


def image_by(output: Callable[..., jax.Array], spare: float = SPARE) -> Callable[..., jax.Array]:
    """The image by that form of the output, of a kernel whose inputs and outputs are swapped."""

    def image(kernel: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
        whole = all_phases if merged(grid, spare) else each_phase
        return whole(output, kernel, y, grid)

    return image


def merged(grid: Grid, spare: float = SPARE) -> bool:
    """Whether the phases of the image are best found together, as channels of one.

    They all see windows of ⌈w/s⌉ taps; no more than so many times the kernel's taps may be needed.
    """
    needed = math.prod(-(-w // s) * s for w, s in zip(grid.window, grid.strides, strict=True))
    few = needed <= spare * math.prod(grid.window)
    return few and set(grid.strides) != {1} and set(grid.dilation) == {1}


def all_phases(
    output: Callable[..., jax.Array], kernel: jax.Array, y: jax.Array, grid: Grid
) -> jax.Array:
    """One convolution of y with all phases, each a channel of its own.

    Entry p + s q − low is seen by tap p + s t of window q − t: p is its phase, t a tap of one
    window for all phases, of ⌈w/s⌉ taps. Taps beyond the kernel's are 0.
    """
    axes, window = len(grid.window), together(grid).window
    spare = [(0, t * s - w) for t, s, w in zip(window, grid.strides, grid.window, strict=True)]
    kernel = jnp.pad(kernel, [*spare, (0, 0), (0, 0)])
    inputs, outputs = kernel.shape[-2:]
    split = [n for pair in zip(window, grid.strides, strict=True) for n in pair]
    kernel = kernel.reshape(*split, inputs, outputs)  # taps and phases of each axis
    order = (*range(0, 2 * axes, 2), 2 * axes, *range(1, 2 * axes, 2), 2 * axes + 1)
    kernel = kernel.transpose(order).reshape(*window, inputs, -1)
    kernel = jnp.flip(kernel, tuple(range(axes)))
    x = tiled(output(y, kernel, together(grid)), grid.strides)
    begin = [low % s for low, s in zip(lows(grid), grid.strides, strict=True)]
    widths = [(-a, a + n - m) for a, n, m in zip(begin, grid.sizes, x.shape[1:], strict=False)]
    return with_margins(x, widths)


def together(grid: Grid) -> Grid:
    """The windows over y that see one entry of each phase."""
    axes = len(grid.window)
    each = list(zip(lows(grid), grid.sizes, grid.strides, grid.window, strict=True))
    first = [low // s for low, _, s, _ in each]
    last = [(low + n - 1) // s for low, n, s, _ in each]
    window = tuple(-(-w // s) for _, _, s, w in each)
    return Grid(
        grid.counts,
        tuple(b - a + 1 for a, b in zip(first, last, strict=True)),
        window,
        (1,) * axes,
        (1,) * axes,
        tuple((t - 1 - a, 0) for t, a in zip(window, first, strict=True)),
        ("CONSTANT",) * axes,
    )


def each_phase(
    output: Callable[..., jax.Array], kernel: jax.Array, y: jax.Array, grid: Grid
) -> jax.Array:
    """A convolution of y for each phase of the image."""
    phases = [_phases(*axis) for axis in zip(*_axes(grid), strict=True)]
    sizes = tuple(-(-n // s) for n, s in zip(grid.sizes, grid.strides, strict=True))
    parts: list[jax.Array | None] = []
    for phase in itertools.product(*phases):
        if not all(p.number for p in phase):
            parts.append(None)
            continue
        part = kernel[tuple(slice(p.first, None, p.step) for p in phase)]
        part = jnp.flip(part, tuple(range(len(phase))))
        parts.append(output(y, part, _phase_grid(grid, sizes, phase)))
    return _interleaved(parts, grid)


class _Phase(NamedTuple):
    """Of the taps of an axis those that see one phase of its entries, and how y lies for them."""

    first: int
    step: int
    number: int
    dilation: int
    low: int


def _axes(grid: Grid) -> tuple[tuple[int, ...], ...]:
    return grid.window, grid.strides, grid.dilation, lows(grid)


def _phases(w: int, s: int, d: int, low: int) -> list[_Phase]:
    """Entry p + s q is seen by tap a of window i where p + s q = s i + d a − low.

    So i = q − (d a − low − p)/s, for every tap for which s divides that.
    """
    step = s // math.gcd(s, d)
    phases = []
    for p in range(s):
        meets = [a for a in range(min(w, step)) if not (d * a - low - p) % s]
        first = meets[0] if meets else 0
        count = len(range(first, w, step)) if meets else 0
        last = first + (count - 1) * step
        phases.append(_Phase(first, step, count, d * step // s, (d * last - low - p) // s))
    return phases


def _phase_grid(grid: Grid, sizes: tuple[int, ...], phase: tuple[_Phase, ...]) -> Grid:
    """The windows over y that make one phase of the image."""
    return Grid(
        grid.counts,
        sizes,
        tuple(p.number for p in phase),
        (1,) * len(phase),
        tuple(p.dilation for p in phase),
        tuple((p.low, 0) for p in phase),
        ("CONSTANT",) * len(phase),
    )


def _interleaved(parts: list[jax.Array | None], grid: Grid) -> jax.Array:
    """The image of its phases, where those that no tap sees are zeros: None."""
    seen = [part for part in parts if part is not None]
    if len(parts) == 1:
        return seen[0]
    if len(seen) == 1:
        place = np.unravel_index([part is not None for part in parts].index(True), grid.strides)
        zeros = [(p, s - 1 - p, s - 1) for p, s in zip(map(int, place), grid.strides, strict=True)]
        whole = lax.pad(seen[0], jnp.zeros((), seen[0].dtype), [(0, 0, 0), *zeros, (0, 0, 0)])
    else:
        each = [jnp.zeros_like(seen[0]) if part is None else part for part in parts]
        whole = tiled(jnp.concatenate(each, axis=-1), grid.strides)
    return first(whole, grid.sizes)


def tiled(z: jax.Array, tile: tuple[int, ...]) -> jax.Array:
    """The image whose tiles stand along the channels of z, tap by tap."""
    axes = len(tile)
    batch, *sizes, channels = z.shape
    z = z.reshape(batch, *sizes, *tile, channels // math.prod(tile))
    order = [i for axis in range(axes) for i in (1 + axis, 1 + axes + axis)]
    whole = (n * s for n, s in zip(sizes, tile, strict=True))
    return z.transpose(0, *order, 1 + 2 * axes).reshape(batch, *whole, -1)
