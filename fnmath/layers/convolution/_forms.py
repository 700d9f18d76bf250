"""How a contraction is computed: every form that ``method`` can name.

Notation: that of the contractions, for one set. A form is three functions of two operands and the
grid, one for each role. All of them but XLA's know a single group: the groups of a convolution are
put together into blocks, each with a kernel of its own (zero between its groups), so that products
of matrices are neither many nor small; where each group has one input, the products are of entries.

The image of a contraction is a contraction of its own: at stride 1 with the kernel turned round, at
strides s with one kernel, of every s-th tap, for each of the s phases of the image, or with all of
them side by side for the phases as channels, which then are laid out as an image (Shi et al.,
Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
network, 2016, §3.2).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnmath.layers.convolution._geometry import Grid
from fnmath.linear_algebra._grids import span

IMAGE, KERNEL, OUTPUT = "image", "kernel", "output"
# All phases of an image are found together where that takes no more than so many times the taps.
SPARE = 1.4
Taps = tuple[int, ...]


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


def _padded(x: jax.Array, margins: Sequence[tuple[int, int]]) -> jax.Array:
    widths = [(0, 0, 0), *((low, high, 0) for low, high in margins), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), widths)


def _seen(padded: jax.Array, grid: Grid, tap: Taps) -> jax.Array:
    """What that tap sees in all windows, as ``batch *counts in``."""
    starts = [a * d for a, d in zip(tap, grid.dilation, strict=True)]
    steps = zip(starts, grid.counts, grid.strides, strict=True)
    stops = [start + (c - 1) * s + 1 for start, c, s in steps]
    first, last = padded.shape[0], padded.shape[-1]
    return lax.slice(padded, (0, *starts, 0), (first, *stops, last), (1, *grid.strides, 1))


def _row(padded: jax.Array, grid: Grid, lead: Taps) -> jax.Array:
    """What the last taps of the window see, those that begin with ``lead``, beside each other."""
    rest = taps(grid.window[len(lead) :])
    return jnp.concatenate([_seen(padded, grid, lead + tap) for tap in rest], axis=-1)


def _inner(a: jax.Array, b: jax.Array) -> jax.Array:
    """aᵀ b, summed over all axes but the last."""
    a, b = (z.reshape(-1, z.shape[-1]) for z in (a, b))
    return lax.dot_general(a, b, (((0,), (0,)), ((), ())))


def _swapped(kernel: jax.Array, groups: int) -> jax.Array:
    """The kernel with the inputs and outputs of each group in each other's place."""
    *window, inputs, outputs = kernel.shape
    split = kernel.reshape(*window, inputs, groups, outputs // groups)
    return jnp.swapaxes(split, -3, -1).reshape(*window, outputs // groups, groups * inputs)


# --------------------------------------------------------------------------- XLA's own convolution


def _lax_output(x: jax.Array, kernel: jax.Array, grid: Grid, groups: int) -> jax.Array:
    return _by_lax(x, kernel, grid.strides, ends(grid), grid.dilation, groups)


def _lax_image(kernel: jax.Array, y: jax.Array, grid: Grid, groups: int) -> jax.Array:
    return _image_of_swapped(_swapped(kernel, groups), y, grid, groups)


def _image_of_swapped(swapped: jax.Array, y: jax.Array, grid: Grid, groups: int) -> jax.Array:
    axes = len(grid.window)
    spans = span(grid.window, grid.dilation)
    # Where the margins are wider than the window, what y lies on is cropped: padded by less than 0.
    pads = [
        (k - 1 - low, n + low - 1 - (c - 1) * s)
        for n, c, k, s, low in zip(
            grid.sizes, grid.counts, spans, grid.strides, lows(grid), strict=True
        )
    ]
    turned = jnp.flip(swapped, tuple(range(axes)))
    return _by_lax(y, turned, (1,) * axes, pads, grid.dilation, groups, spread=grid.strides)


def _lax_kernel(x: jax.Array, y: jax.Array, grid: Grid, groups: int) -> jax.Array:
    shape = (*grid.window, x.shape[-1] // groups, y.shape[-1])
    output = functools.partial(_lax_output, x, grid=grid, groups=groups)
    y = y.astype(jnp.promote_types(y.dtype, jnp.float32))
    (kernel,) = jax.linear_transpose(output, jax.ShapeDtypeStruct(shape, x.dtype))(y)
    return kernel.astype(y.dtype)


def _blocks_kernel(x: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    """A convolution of its own: x's channels are the batch, and its batch is summed over.

    The operands are laid out as XLA's fast kernels want them. Where dimension numbers say the same,
    it finds these kernels outside of loops only, and is up to 80 times slower inside of one.
    """
    images, windows = jnp.swapaxes(x, 0, -1), jnp.moveaxis(y, 0, -2)
    kernel = _by_lax(images, windows, grid.dilation, ends(grid), grid.strides, 1)
    return jnp.moveaxis(kernel, 0, -2)


def _by_lax(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    margins: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int,
    *,
    spread: Sequence[int] | None = None,
) -> jax.Array:
    axes = kernel.ndim - 2
    images = (0, axes + 1, *range(1, axes + 1))
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=strides,
        padding=margins,
        lhs_dilation=spread,
        rhs_dilation=dilation,
        dimension_numbers=lax.ConvDimensionNumbers(images, (axes + 1, axes, *range(axes)), images),
        feature_group_count=groups,
        preferred_element_type=jnp.promote_types(x.dtype, jnp.float32),
    )


def _in_planes(output: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """That form of the output, of no more than two axes of space.

    What the taps along the axes before those see stands beside each other, as channels.
    """

    def by_planes(x: jax.Array, kernel: jax.Array, grid: Grid) -> jax.Array:
        if len(grid.window) < 3:
            return output(x, kernel, grid)
        planes, plane = _planes(x, grid)
        y = output(planes, _plane_kernel(kernel), plane)
        return y.reshape(x.shape[0], *grid.counts, y.shape[-1])

    return by_planes


def _planes(x: jax.Array, grid: Grid) -> tuple[jax.Array, Grid]:
    """The images of two axes, a batch of them for each place on the others, and their windows."""
    lead = len(grid.window) - 2
    plane = last_two(grid)
    padded = _padded(x, [*ends(grid)[:lead], (0, 0), (0, 0)])
    counts, strides = grid.counts[:lead], grid.strides[:lead]
    whole = grid._replace(counts=(*counts, *plane.sizes), strides=(*strides, 1, 1))
    seen = [_seen(padded, whole, (*tap, 0, 0)) for tap in taps(grid.window[:lead])]
    beside = jnp.concatenate(seen, axis=-1)
    return beside.reshape(-1, *plane.sizes, beside.shape[-1]), plane


def last_two(grid: Grid) -> Grid:
    """The windows along the last two axes."""
    sizes, counts, window, strides, dilation, margins, modes = grid
    return Grid(
        sizes[-2:], counts[-2:], window[-2:], strides[-2:], dilation[-2:], margins[-2:], modes[-2:]
    )


def _plane_kernel(kernel: jax.Array) -> jax.Array:
    """The kernel whose taps along the first axes are channels, in the order of ``_planes``."""
    lead = kernel.ndim - 4
    kernel = jnp.moveaxis(kernel, range(lead), range(2, 2 + lead))
    return kernel.reshape(*kernel.shape[:2], -1, kernel.shape[-1])


_blocks_output = _in_planes(functools.partial(_lax_output, groups=1))


def _blocks_image(swapped: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    if len(grid.window) > 2 or merged(grid):
        return _image_by(_blocks_output)(swapped, y, grid)
    return _image_of_swapped(swapped, y, grid, 1)


def surplus(sizes: Sequence[int], counts: Sequence[int]) -> tuple[int, ...]:
    """As many windows as there are, but along one axis more than the image has entries."""
    axes = range(len(sizes))
    axis = min(axes, key=lambda i: max(sizes[i] + 1, counts[i]) / max(counts[i], 1))
    return tuple(max(sizes[i] + 1, c) if i == axis else c for i, c in enumerate(counts))


def bare(grid: Grid) -> bool:
    """Whether no window reaches beyond the image."""
    return all(low <= 0 and high <= 0 for low, high in ends(grid))


def _surplus_output(x: jax.Array, kernel: jax.Array, grid: Grid) -> jax.Array:
    """XLA's own, of some windows more, which are dropped.

    With more windows than entries along one of two axes XLA takes Eigen's kernels, else YNNPACK's.
    Those leave all cores but one idle up to 128 channels, and are slow without margins.
    """
    counts = surplus(grid.sizes, grid.counts)
    return _first(_lax_output(x, kernel, grid._replace(counts=counts), 1), grid.counts)


def _surplus_image(swapped: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    if len(grid.window) > 2 or set(grid.strides) != {1}:
        return _image_by(_in_planes(_surplus_output), math.inf)(swapped, y, grid)
    sizes = surplus(grid.counts, grid.sizes)
    return _first(_image_of_swapped(swapped, y, grid._replace(sizes=sizes), 1), grid.sizes)


def _surplus_kernel(x: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    """With one tap more, so that there is a margin."""
    window = (grid.window[0] + 1, *grid.window[1:])
    wider = grid._replace(window=window) if bare(grid) else grid
    return _blocks_kernel(x, y, wider)[: grid.window[0]]


def _first(x: jax.Array, sizes: Sequence[int]) -> jax.Array:
    return x[(slice(None), *(slice(n) for n in sizes))]


# ------------------------------------------------------------------- the output, for a single group


def _taps_output(x: jax.Array, kernel: jax.Array, grid: Grid) -> jax.Array:
    """One product for each tap."""
    padded = _padded(x, ends(grid))
    return _total(_seen(padded, grid, tap) @ kernel[tap] for tap in taps(grid.window))


def _rows_output(x: jax.Array, kernel: jax.Array, grid: Grid) -> jax.Array:
    """One product for each row of taps, along the last axis of the window."""
    padded = _padded(x, ends(grid))
    matrices = kernel.reshape(*grid.window[:-1], -1, kernel.shape[-1])
    return _total(_row(padded, grid, lead) @ matrices[lead] for lead in taps(grid.window[:-1]))


def _patches_output(x: jax.Array, kernel: jax.Array, grid: Grid) -> jax.Array:
    """One product for all taps."""
    return _row(_padded(x, ends(grid)), grid, ()) @ kernel.reshape(-1, kernel.shape[-1])


def _spread_output(x: jax.Array, kernel: jax.Array, grid: Grid) -> jax.Array:
    """The products of all entries with all taps, of which each window picks its own."""
    matrix = jnp.moveaxis(kernel, -2, 0).reshape(kernel.shape[-2], -1)
    products = _padded(x, ends(grid)) @ matrix
    each = jnp.split(products, math.prod(grid.window), axis=-1)
    return _total(_seen(z, grid, tap) for z, tap in zip(each, taps(grid.window), strict=True))


def _total(terms: Iterator[jax.Array]) -> jax.Array:
    return functools.reduce(jnp.add, terms)


# -------------------------------------------------------------------- the image, for a single group


def _image_by(output: Callable[..., jax.Array], spare: float = SPARE) -> Callable[..., jax.Array]:
    """The image by that form of the output, of a kernel whose inputs and outputs are swapped."""

    def image(kernel: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
        whole = _all_phases if merged(grid, spare) else _each_phase
        return whole(output, kernel, y, grid)

    return image


def merged(grid: Grid, spare: float = SPARE) -> bool:
    """Whether the phases of the image are best found together, as channels of one.

    They all see windows of ⌈w/s⌉ taps; no more than so many times the kernel's taps may be needed.
    """
    needed = math.prod(-(-w // s) * s for w, s in zip(grid.window, grid.strides, strict=True))
    few = needed <= spare * math.prod(grid.window)
    return few and set(grid.strides) != {1} and set(grid.dilation) == {1}


def _all_phases(
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
    x = _tiled(output(y, kernel, together(grid)), grid.strides)
    begin = [low % s for low, s in zip(lows(grid), grid.strides, strict=True)]
    widths = [(-a, a + n - m) for a, n, m in zip(begin, grid.sizes, x.shape[1:], strict=False)]
    return _padded(x, widths)


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


def _each_phase(
    output: Callable[..., jax.Array], kernel: jax.Array, y: jax.Array, grid: Grid
) -> jax.Array:
    """A convolution of y for each phase of the image."""
    phases = [_phases(*axis) for axis in zip(*_axes(grid), strict=True)]
    sizes = tuple(-(-n // s) for n, s in zip(grid.sizes, grid.strides, strict=True))
    parts = []
    for phase in itertools.product(*phases):
        if not all(p.number for p in phase):
            parts.append(jnp.zeros((y.shape[0], *sizes, kernel.shape[-1]), y.dtype))
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


def _interleaved(parts: list[jax.Array], grid: Grid) -> jax.Array:
    """The image of its phases."""
    if len(parts) == 1:
        return parts[0]
    return _first(_tiled(jnp.concatenate(parts, axis=-1), grid.strides), grid.sizes)


def _tiled(z: jax.Array, tile: tuple[int, ...]) -> jax.Array:
    """The image whose tiles stand along the channels of z, tap by tap."""
    axes = len(tile)
    batch, *sizes, channels = z.shape
    z = z.reshape(batch, *sizes, *tile, channels // math.prod(tile))
    order = [i for axis in range(axes) for i in (1 + axis, 1 + axes + axis)]
    whole = (n * s for n, s in zip(sizes, tile, strict=True))
    return z.transpose(0, *order, 1 + 2 * axes).reshape(batch, *whole, -1)


def _laid_image(kernel: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    """The products of y with all taps, each laid where its tap has seen it: patches transposed."""
    products = y @ jnp.moveaxis(kernel, -2, 0).reshape(kernel.shape[-2], -1)
    if grid.strides == grid.window and set(grid.dilation) == {1}:
        x = _tiled(products, grid.window)
        widths = [
            (-low, n + low - m)
            for low, n, m in zip(lows(grid), grid.sizes, x.shape[1:], strict=False)
        ]
        return _padded(x, widths)
    each = jnp.split(products, math.prod(grid.window), axis=-1)
    return _total(_laid(z, grid, tap) for z, tap in zip(each, taps(grid.window), strict=True))


def _laid(z: jax.Array, grid: Grid, tap: Taps) -> jax.Array:
    """The adjoint of ``_seen`` of the padded image."""
    widths = [(0, 0, 0)]
    for a, n, c, s, d, low in zip(
        tap, grid.sizes, grid.counts, grid.strides, grid.dilation, lows(grid), strict=True
    ):
        first = a * d - low
        widths.append((first, n - (first + (c - 1) * s + 1), s - 1))
    return lax.pad(z, jnp.zeros((), z.dtype), [*widths, (0, 0, 0)])


# ------------------------------------------------------------------- the kernel, for a single group


def _taps_kernel(x: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    padded = _padded(x, ends(grid))
    each = [_inner(_seen(padded, grid, tap), y) for tap in taps(grid.window)]
    return jnp.stack(each).reshape(*grid.window, x.shape[-1], y.shape[-1])


def _rows_kernel(x: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    padded = _padded(x, ends(grid))
    each = [_inner(_row(padded, grid, lead), y) for lead in taps(grid.window[:-1])]
    return jnp.stack(each).reshape(*grid.window, x.shape[-1], y.shape[-1])


def _patches_kernel(x: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    kernel = _inner(_row(_padded(x, ends(grid)), grid, ()), y)
    return kernel.reshape(*grid.window, x.shape[-1], y.shape[-1])


# ------------------------------------------------------------------------- one input for each group


def _entries_output(x: jax.Array, kernel: jax.Array, grid: Grid) -> jax.Array:
    """One loop over the entries; the image with its margins is written out where taps are many."""
    x = jnp.repeat(x, kernel.shape[-1] // x.shape[-1], -1)
    if len(grid.window) == 1 and grid.window[0] <= 8 and set(grid.strides) == {1}:
        seen = functools.partial(_moved, x)
    else:
        seen = functools.partial(_seen, _padded(x, ends(grid)))
    return _total(seen(grid, tap) * kernel[tap][0] for tap in taps(grid.window))


def _moved(x: jax.Array, grid: Grid, tap: Taps) -> jax.Array:
    """What that tap sees at stride 1: the image itself, moved."""
    starts = [a * d - low for a, d, low in zip(tap, grid.dilation, lows(grid), strict=True)]
    each = zip(starts, grid.sizes, grid.counts, strict=True)
    return _padded(x, [(-start, start + count - size) for start, size, count in each])


def _entries_image(kernel: jax.Array, y: jax.Array, grid: Grid, groups: int) -> jax.Array:
    x = _each_phase(_entries_output, kernel, y, grid)
    return x.reshape(*x.shape[:-1], groups, -1).sum(-1)


def _entries_kernel(x: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    """Added up row by row of the windows, so that no product of x and y ever leaves the cache."""
    x = _padded(jnp.repeat(x, y.shape[-1] // x.shape[-1], -1), ends(grid))
    channels, block = y.shape[-1], _divided(grid.counts[-1], 32)
    *lead, count = grid.counts
    blocks = -(-count // block)
    spare = blocks * block - count
    if spare:
        none = [(0, 0)] * (y.ndim - 2)
        y = jnp.pad(y, [*none, (0, spare), (0, 0)])
        x = jnp.pad(x, [*none, (0, spare * grid.strides[-1]), (0, 0)])
    spans = span(grid.window, grid.dilation)
    width = (block - 1) * grid.strides[-1] + spans[-1]
    few = grid._replace(counts=(*(1 for _ in lead), block))

    def add(i: jax.Array, total: jax.Array) -> jax.Array:
        place = jnp.unravel_index(i, (y.shape[0], *lead, blocks))
        batch, *rows, j = place
        ours = lax.dynamic_slice(
            y, (batch, *rows, j * block, 0), (1, *(1 for _ in lead), block, channels)
        )
        starts = [row * s for row, s in zip(rows, grid.strides, strict=False)]
        seen = lax.dynamic_slice(
            x,
            (batch, *starts, j * block * grid.strides[-1], 0),
            (1, *spans[:-1], width, channels),
        )
        each = [(_seen(seen, few, tap) * ours).reshape(-1, channels) for tap in taps(grid.window)]
        return total + jnp.stack([z.sum(0) for z in each])

    zeros = jnp.zeros((math.prod(grid.window), channels), y.dtype)
    total = lax.fori_loop(0, y.shape[0] * math.prod(lead) * blocks, add, zeros)
    return total.reshape(*grid.window, 1, channels)


def _divided(n: int, most: int) -> int:
    """The size of equal parts of n, none above ``most``."""
    return -(-n // -(-n // most))


# --------------------------------------------------------------------------------- groups in blocks


def block_of(groups: int, inputs: int, outputs: int) -> int:
    """How many groups a block has: as many as give it 16 inputs and outputs, and 32 blocks."""
    enough = [
        q
        for q in range(1, groups + 1)
        if not groups % q and (q * min(inputs, outputs) >= 16 and groups // q <= 32)
    ]
    return enough[0] if enough else groups


def _block_kernels(kernel: jax.Array, groups: int, each: int) -> list[jax.Array]:
    """The kernels of all blocks, which are zero where an output does not see an input."""
    *window, inputs, outputs = kernel.shape
    split = kernel.reshape(*window, 1, inputs, groups // each, each, outputs // groups)
    seen = jnp.eye(each, dtype=kernel.dtype)[:, None, None, :, None]
    whole = (split * seen).reshape(*window, each * inputs, groups // each, -1)
    return [whole[..., i, :] for i in range(groups // each)]


def _grouped(form: dict[str, Callable[..., jax.Array]]) -> dict[str, Callable[..., jax.Array]]:
    """The form for any number of groups."""

    def output(x: jax.Array, kernel: jax.Array, grid: Grid, groups: int) -> jax.Array:
        if by_entries(kernel.shape[-2], kernel.shape[-1], groups):
            return _entries_output(x, kernel, grid)
        each = block_of(groups, kernel.shape[-2], kernel.shape[-1] // groups)
        parts = zip(
            jnp.split(x, groups // each, -1), _block_kernels(kernel, groups, each), strict=True
        )
        return jnp.concatenate([form[OUTPUT](*part, grid) for part in parts], -1)

    def image(kernel: jax.Array, y: jax.Array, grid: Grid, groups: int) -> jax.Array:
        if by_entries(kernel.shape[-2], kernel.shape[-1], groups):
            return _entries_image(kernel, y, grid, groups)
        each = block_of(groups, kernel.shape[-2], kernel.shape[-1] // groups)
        kernels = _block_kernels(_swapped(kernel, groups), groups, each)
        parts = zip(kernels, jnp.split(y, groups // each, -1), strict=True)
        return jnp.concatenate([form[IMAGE](*part, grid) for part in parts], -1)

    def kernel(x: jax.Array, y: jax.Array, grid: Grid, groups: int) -> jax.Array:
        inputs, outputs = x.shape[-1] // groups, y.shape[-1] // groups
        if by_entries(inputs, y.shape[-1], groups):
            return _entries_kernel(x, y, grid)
        each = block_of(groups, inputs, outputs)
        halves = (jnp.split(z, groups // each, -1) for z in (x, y))
        whole = [form[KERNEL](*part, grid) for part in zip(*halves, strict=True)]
        split = [z.reshape(*grid.window, each, inputs, each, outputs) for z in whole]
        own = [jnp.moveaxis(jnp.diagonal(z, 0, -4, -2), -1, -2) for z in split]
        return jnp.concatenate([z.reshape(*grid.window, inputs, -1) for z in own], -1)

    return {OUTPUT: output, IMAGE: image, KERNEL: kernel}


def by_entries(inputs: int, outputs: int, groups: int) -> bool:
    """Whether entries are multiplied, not matrices: each group has one input and few outputs."""
    return groups > 1 and inputs == 1 and outputs // groups <= 4


def _form(output: Callable, kernel: Callable, image: Callable | None = None) -> dict[str, Callable]:
    return _grouped({OUTPUT: output, KERNEL: kernel, IMAGE: image or _image_by(output)})


FORMS: dict[str, dict[str, Callable[..., jax.Array]]] = {
    "lax": {OUTPUT: _lax_output, IMAGE: _lax_image, KERNEL: _lax_kernel},
    "blocks": _form(_blocks_output, _blocks_kernel, _blocks_image),
    "surplus": _form(_in_planes(_surplus_output), _surplus_kernel, _surplus_image),
    "taps": _form(_taps_output, _taps_kernel),
    "rows": _form(_rows_output, _rows_kernel),
    "patches": _form(_patches_output, _patches_kernel),
    "spread": _form(_spread_output, _taps_kernel, _laid_image),
}
