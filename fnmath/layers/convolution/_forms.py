"""How a contraction is computed: every form that ``method`` can name.

Notation: that of the contractions, for one set. A form is three functions of two operands and the
grid, one for each role. All of them but XLA's know a single group: the groups of a convolution are
put together into blocks, each with a kernel of its own (zero between its groups), so that products
of matrices are neither many nor small; where each group has one input, the products are of entries.

The image of a contraction is a contraction of its own: at stride 1 with the kernel turned round, at
other strides phase by phase (``_phases``).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from fnmath.layers.convolution._geometry import Grid
from fnmath.layers.convolution._phases import each_phase, image_by, merged, tiled
from fnmath.layers.convolution._views import (
    Taps,
    ends,
    first,
    inner,
    lows,
    row_of,
    seen_by,
    taps,
    with_margins,
)
from fnmath.layers.convolution._winograd import winograd_kernel, winograd_output
from fnmath.linear_algebra._grids import span

IMAGE, KERNEL, OUTPUT = "image", "kernel", "output"


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
    padded = with_margins(x, [*ends(grid)[:lead], (0, 0), (0, 0)])
    counts, strides = grid.counts[:lead], grid.strides[:lead]
    whole = grid._replace(counts=(*counts, *plane.sizes), strides=(*strides, 1, 1))
    seen = [seen_by(padded, whole, (*tap, 0, 0)) for tap in taps(grid.window[:lead])]
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


def _kernel_in_planes(kernel: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """That form of the kernel, of no more than two axes of space, as ``_in_planes``."""

    def by_planes(x: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
        if len(grid.window) < 3:
            return kernel(x, y, grid)
        planes, plane = _planes(x, grid)
        found = kernel(planes, y.reshape(-1, *plane.counts, y.shape[-1]), plane)
        lead = len(grid.window) - 2
        split = found.reshape(*plane.window, *grid.window[:lead], x.shape[-1], y.shape[-1])
        return jnp.moveaxis(split, range(2, 2 + lead), range(lead))

    return by_planes


_blocks_output = _in_planes(functools.partial(_lax_output, groups=1))


def _blocks_image(swapped: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    if len(grid.window) > 2 or merged(grid):
        return image_by(_blocks_output)(swapped, y, grid)
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
    return first(_lax_output(x, kernel, grid._replace(counts=counts), 1), grid.counts)


def _surplus_image(swapped: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    if len(grid.window) > 2 or set(grid.strides) != {1}:
        return image_by(_in_planes(_surplus_output), math.inf)(swapped, y, grid)
    sizes = surplus(grid.counts, grid.sizes)
    return first(_image_of_swapped(swapped, y, grid._replace(sizes=sizes), 1), grid.sizes)


def _surplus_kernel(x: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    """With one tap more, so that there is a margin."""
    window = (grid.window[0] + 1, *grid.window[1:])
    wider = grid._replace(window=window) if bare(grid) else grid
    return _blocks_kernel(x, y, wider)[: grid.window[0]]


# ------------------------------------------------------------------- the output, for a single group


def _taps_output(x: jax.Array, kernel: jax.Array, grid: Grid) -> jax.Array:
    """One product for each tap."""
    padded = with_margins(x, ends(grid))
    return _total(seen_by(padded, grid, tap) @ kernel[tap] for tap in taps(grid.window))


def _rows_output(x: jax.Array, kernel: jax.Array, grid: Grid) -> jax.Array:
    """One product for each row of taps, along the last axis of the window."""
    padded = with_margins(x, ends(grid))
    matrices = kernel.reshape(*grid.window[:-1], -1, kernel.shape[-1])
    return _total(row_of(padded, grid, lead) @ matrices[lead] for lead in taps(grid.window[:-1]))


def _patches_output(x: jax.Array, kernel: jax.Array, grid: Grid) -> jax.Array:
    """One product for all taps."""
    return row_of(with_margins(x, ends(grid)), grid, ()) @ kernel.reshape(-1, kernel.shape[-1])


def _spread_output(x: jax.Array, kernel: jax.Array, grid: Grid) -> jax.Array:
    """The products of all entries with all taps, of which each window picks its own."""
    matrix = jnp.moveaxis(kernel, -2, 0).reshape(kernel.shape[-2], -1)
    products = with_margins(x, ends(grid)) @ matrix
    each = jnp.split(products, math.prod(grid.window), axis=-1)
    return _total(seen_by(z, grid, tap) for z, tap in zip(each, taps(grid.window), strict=True))


def _total(terms: Iterator[jax.Array]) -> jax.Array:
    return functools.reduce(jnp.add, terms)


# -------------------------------------------------------------------- the image, for a single group


def _laid_image(kernel: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    """The products of y with all taps, each laid where its tap has seen it: patches transposed."""
    products = y @ jnp.moveaxis(kernel, -2, 0).reshape(kernel.shape[-2], -1)
    if grid.strides == grid.window and set(grid.dilation) == {1}:
        x = tiled(products, grid.window)
        widths = [
            (-low, n + low - m)
            for low, n, m in zip(lows(grid), grid.sizes, x.shape[1:], strict=False)
        ]
        return with_margins(x, widths)
    each = jnp.split(products, math.prod(grid.window), axis=-1)
    return _total(_laid(z, grid, tap) for z, tap in zip(each, taps(grid.window), strict=True))


def _laid(z: jax.Array, grid: Grid, tap: Taps) -> jax.Array:
    """The adjoint of ``seen_by`` of the padded image."""
    widths = [(0, 0, 0)]
    for a, n, c, s, d, low in zip(
        tap, grid.sizes, grid.counts, grid.strides, grid.dilation, lows(grid), strict=True
    ):
        first = a * d - low
        widths.append((first, n - (first + (c - 1) * s + 1), s - 1))
    return lax.pad(z, jnp.zeros((), z.dtype), [*widths, (0, 0, 0)])


# ------------------------------------------------------------------- the kernel, for a single group


def _taps_kernel(x: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    padded = with_margins(x, ends(grid))
    each = [inner(seen_by(padded, grid, tap), y) for tap in taps(grid.window)]
    return jnp.stack(each).reshape(*grid.window, x.shape[-1], y.shape[-1])


def _rows_kernel(x: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    padded = with_margins(x, ends(grid))
    each = [inner(row_of(padded, grid, lead), y) for lead in taps(grid.window[:-1])]
    return jnp.stack(each).reshape(*grid.window, x.shape[-1], y.shape[-1])


def _patches_kernel(x: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    kernel = inner(row_of(with_margins(x, ends(grid)), grid, ()), y)
    return kernel.reshape(*grid.window, x.shape[-1], y.shape[-1])


# ------------------------------------------------------------------------- one input for each group


def _entries_output(x: jax.Array, kernel: jax.Array, grid: Grid) -> jax.Array:
    """One loop over the entries; the image with its margins is written out where taps are many."""
    x = jnp.repeat(x, kernel.shape[-1] // x.shape[-1], -1)
    if len(grid.window) == 1 and grid.window[0] <= 8 and set(grid.strides) == {1}:
        seen = functools.partial(_moved, x)
    else:
        seen = functools.partial(seen_by, with_margins(x, ends(grid)))
    return _total(seen(grid, tap) * kernel[tap][0] for tap in taps(grid.window))


def _moved(x: jax.Array, grid: Grid, tap: Taps) -> jax.Array:
    """What that tap sees at stride 1: the image itself, moved."""
    starts = [a * d - low for a, d, low in zip(tap, grid.dilation, lows(grid), strict=True)]
    each = zip(starts, grid.sizes, grid.counts, strict=True)
    return with_margins(x, [(-start, start + count - size) for start, size, count in each])


def _entries_image(kernel: jax.Array, y: jax.Array, grid: Grid, groups: int) -> jax.Array:
    x = each_phase(_entries_output, kernel, y, grid)
    return x.reshape(*x.shape[:-1], groups, -1).sum(-1)


def _entries_kernel(x: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    """Added up row by row of the windows, so that no product of x and y ever leaves the cache."""
    x = with_margins(jnp.repeat(x, y.shape[-1] // x.shape[-1], -1), ends(grid))
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
        each = [(seen_by(seen, few, tap) * ours).reshape(-1, channels) for tap in taps(grid.window)]
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
    return _grouped({OUTPUT: output, KERNEL: kernel, IMAGE: image or image_by(output)})


FORMS: dict[str, dict[str, Callable[..., jax.Array]]] = {
    "lax": {OUTPUT: _lax_output, IMAGE: _lax_image, KERNEL: _lax_kernel},
    "blocks": _form(_blocks_output, _blocks_kernel, _blocks_image),
    "surplus": _form(_in_planes(_surplus_output), _surplus_kernel, _surplus_image),
    "taps": _form(_taps_output, _taps_kernel),
    "rows": _form(_rows_output, _rows_kernel),
    "patches": _form(_patches_output, _patches_kernel),
    "spread": _form(_spread_output, _taps_kernel, _laid_image),
    "winograd": _form(_in_planes(winograd_output), _kernel_in_planes(winograd_kernel)),
}
