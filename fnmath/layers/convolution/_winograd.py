"""Winograd's minimal filtering: windows beside each other share their products.

Notation, on one axis: a tile is m windows beside each other, w the taps of each, g the kernel's
entries, d those of the image that the tile sees, m + w − 1 of them. Then the outputs of the tile,

    y = Aᵀ (G g ⊙ Bᵀ d),

take m + w − 1 products in place of m w. On several axes each is transformed in turn, so that 3 × 3
taps take 16 products in place of 36; with channels, each of them is one of matrices (Winograd,
Arithmetic Complexity of Computations, 1980, §5b; Lavin and Gray, Fast algorithms for convolutional
neural networks, 2016, §4.1).

The sums and differences make errors relative to the largest entries of a tile, not to the products
that a window adds up. Larger tiles have matrices with larger entries than 0, ±½ and ±1, and lose
more; they are not used.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnmath.layers.convolution._geometry import Grid
from fnmath.layers.convolution._views import Taps, first, inner, lows, taps, with_margins

Matrix = Sequence[Sequence[float]]
Parts = Mapping[Taps, jax.Array]


class Axis(NamedTuple):
    """The matrices Aᵀ, Bᵀ and G of an axis, and how many tiles each phase of a dilation has.

    At dilation d the windows of a tile are d apart: every d-th entry is an axis of its own.
    """

    output: Matrix
    image: Matrix
    kernel: Matrix
    tiles: int
    phases: int

    @property
    def windows(self) -> int:
        """How many windows are in a tile."""
        return len(self.output)


# Windows of more taps are sums of windows of so many.
MOST = 3
# Aᵀ, Bᵀ and G by the taps of a window.
FILTERINGS: dict[int, tuple[Matrix, Matrix, Matrix]] = {
    1: (((1,),), ((1,),), ((1,),)),
    2: (((1, 1, 0), (0, 1, 1)), ((1, -1, 0), (0, 1, 0), (0, -1, 1)), ((1, 0), (1, 1), (0, 1))),
    3: (
        ((1, 1, 1, 0), (0, 1, -1, -1)),
        ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
        ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
    ),
}


def winograd_output(x: jax.Array, kernel: jax.Array, grid: Grid) -> jax.Array:
    """The sum of what the pieces of the kernel give."""
    terms = [_output(image, kernel[piece], windows) for image, piece, windows in _pieces(x, grid)]
    return functools.reduce(jnp.add, terms)


def winograd_kernel(x: jax.Array, y: jax.Array, grid: Grid) -> jax.Array:
    """All pieces of the kernel, its taps in their order."""
    number = np.arange(math.prod(grid.window)).reshape(grid.window)
    order, entries = [], []
    for image, piece, windows in _pieces(x, grid):
        order += number[piece].ravel().tolist()
        entries += _kernel(image, y, windows)
    kernel = jnp.stack([entries[place] for place in np.argsort(order)])
    return kernel.reshape(*grid.window, x.shape[-1], y.shape[-1])


def shared_products(grid: Grid, counts: Sequence[int]) -> tuple[int, int]:
    """How many products an image of one channel takes, and how many of matrices those are."""
    products, calls = 1, 1
    for w, s, d, c in zip(grid.window, grid.strides, grid.dilation, counts, strict=True):
        axes = [_axis(piece.window, c, piece.dilation) for piece in _pieces_of(w, s, d, 0)]
        products *= sum(a.tiles * a.phases * len(a.image) for a in axes)
        calls *= sum(len(a.image) for a in axes)
    return products, calls


class Piece(NamedTuple):
    """Some taps of an axis, the entries of the image that they see, and the windows over those.

    Windows of so many taps at stride 1, with this dilation and so many zeros before the image.
    """

    taps: slice
    entries: slice
    window: int
    dilation: int
    low: int


def _pieces_of(w: int, s: int, d: int, low: int) -> Iterator[Piece]:
    """Tap a sees the entries s i + d a − low of the image.

    Taps for which that is the same modulo s see the same entries, every s-th. Three of them at a
    time are a window over these at stride 1.
    """
    step = s // math.gcd(s, d)
    for phase in range(min(w, step)):
        for a in range(phase, w, MOST * step):
            those = range(w)[a : a + MOST * step : step]
            start = d * a - low
            yield Piece(
                slice(those.start, those.stop, step),
                slice(start % s, None, s),
                len(those),
                d * step // s,
                -(start // s),
            )


def _pieces(x: jax.Array, grid: Grid) -> Iterator[tuple[jax.Array, tuple[slice, ...], Grid]]:
    """The convolution as a sum of others: of a part of the image with a piece of the kernel."""
    each = zip(grid.window, grid.strides, grid.dilation, lows(grid), strict=True)
    ones = (1,) * len(grid.window)
    for pieces in itertools.product(*(_pieces_of(*axis) for axis in each)):
        image = x[(slice(None), *(piece.entries for piece in pieces))]
        window, dilation = (tuple(getattr(p, n) for p in pieces) for n in ("window", "dilation"))
        margins = tuple((piece.low, 0) for piece in pieces)
        windows = Grid(image.shape[1:-1], grid.counts, window, ones, dilation, margins, grid.modes)
        yield image, tuple(piece.taps for piece in pieces), windows


def _output(x: jax.Array, kernel: jax.Array, grid: Grid) -> jax.Array:
    """Aᵀ (G g ⊙ Bᵀ d), each product one of matrices, and the tiles laid out as an image."""
    axes = _axes(grid)
    images = _seen(x, axes, grid)
    kernels = _transformed(
        {tap: kernel[tap] for tap in taps(grid.window)}, [a.kernel for a in axes]
    )
    products = {place: images[place] @ kernels[place] for place in images}
    return _laid_out(_transformed(products, [a.output for a in axes]), axes, grid)


def _kernel(x: jax.Array, y: jax.Array, grid: Grid) -> list[jax.Array]:
    """The adjoint: Gᵀ (A y ⊙ Bᵀ d), summed over the tiles. The entries of the kernel."""
    axes = _axes(grid)
    images, windows = _seen(x, axes, grid), _given(y, axes, grid)
    products = {place: inner(images[place], windows[place]) for place in images}
    kernel = _transformed(products, [_adjoint(a.kernel) for a in axes])
    return [kernel[tap] for tap in taps(grid.window)]


def _axes(grid: Grid) -> list[Axis]:
    return [_axis(*each) for each in zip(grid.window, grid.counts, grid.dilation, strict=True)]


def _axis(window: int, count: int, dilation: int) -> Axis:
    output, image, kernel = FILTERINGS[window]
    phases = dilation if window > 1 else 1
    return Axis(output, image, kernel, -(-count // (len(output) * phases)), phases)


def _seen(x: jax.Array, axes: Sequence[Axis], grid: Grid) -> Parts:
    """Bᵀ d, a ``batch *tiles channels`` for each product."""
    blocks = [a.tiles + (len(a.image) - 1) // a.windows for a in axes]
    lengths = [n * a.windows * a.phases for n, a in zip(blocks, axes, strict=True)]
    each = zip(lows(grid), grid.sizes, lengths, strict=True)
    widths = [(low, length - n - low) for low, n, length in each]
    places = taps([len(a.image) for a in axes])
    parts = _parts(with_margins(x, widths), places, axes, blocks)
    return _transformed(parts, [a.image for a in axes])


def _given(y: jax.Array, axes: Sequence[Axis], grid: Grid) -> Parts:
    """A y, a ``batch *tiles channels`` for each product."""
    widths = [
        (0, a.tiles * a.windows * a.phases - c) for a, c in zip(axes, grid.counts, strict=True)
    ]
    places = taps([a.windows for a in axes])
    parts = _parts(with_margins(y, widths), places, axes, [a.tiles for a in axes])
    return _transformed(parts, [_adjoint(a.output) for a in axes])


def _parts(
    z: jax.Array, places: Iterable[Taps], axes: Sequence[Axis], blocks: Sequence[int]
) -> Parts:
    """What stands at each of these places of the tiles, of an image so many blocks long."""
    batch, channels = z.shape[0], z.shape[-1]
    split = [n for a, m in zip(axes, blocks, strict=True) for n in (m, a.windows, a.phases)]
    z = z.reshape(batch, *split, channels)
    parts = {}
    for place in places:
        where: list[slice | int] = [slice(None)]
        for p, a in zip(place, axes, strict=True):
            block, window = divmod(p, a.windows)
            where += [slice(block, block + a.tiles), window, slice(None)]
        parts[place] = z[tuple(where)].reshape(batch, *(a.tiles * a.phases for a in axes), channels)
    return parts


def _transformed(parts: Parts, matrices: Sequence[Matrix]) -> Parts:
    """Every axis multiplied by its matrix."""
    for axis, matrix in enumerate(matrices):
        lines = sorted({(place[:axis], place[axis + 1 :]) for place in parts})
        parts = {
            (*before, i, *behind): _sum(row, [parts[*before, j, *behind] for j in range(len(row))])
            for before, behind in lines
            for i, row in enumerate(matrix)
        }
    return parts


def _sum(factors: Sequence[float], terms: Sequence[jax.Array]) -> jax.Array:
    """Σ factor × term, where no product is formed by 0 or ±1."""
    pairs = zip(factors, terms, strict=True)
    each = [z if f == 1 else -z if f == -1 else f * z for f, z in pairs if f != 0]
    return functools.reduce(jnp.add, each)


def _adjoint(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))


def _laid_out(parts: Parts, axes: Sequence[Axis], grid: Grid) -> jax.Array:
    """The windows of all tiles, each in its place: the inverse of ``_parts``."""
    tiles = [n for a in axes for n in (a.tiles, a.phases)]
    parts = {place: z.reshape(z.shape[0], *tiles, z.shape[-1]) for place, z in parts.items()}
    for axis in reversed(range(len(axes))):  # the windows of a tile stand between tiles and phases
        lines = sorted({place[:axis] for place in parts})
        parts = {
            line: jnp.stack([parts[*line, i] for i in range(axes[axis].windows)], 2 + 2 * axis)
            for line in lines
        }
    whole = parts[()]
    sizes = (a.tiles * a.windows * a.phases for a in axes)
    return first(whole.reshape(whole.shape[0], *sizes, whole.shape[-1]), grid.counts)
