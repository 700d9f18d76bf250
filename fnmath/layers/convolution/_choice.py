"""Which form computes a contraction on a CPU, and in how many chunks.

The time of a form is taken to be linear in what it does:

    seconds = Σ cost × (products, entries copied, entries added up, operations called)

with costs that were measured, for each form and each contraction. ``convolution_costs.py`` among
the benchmarks measures them anew, and says how much slower the chosen form is than the fastest one.

Of XLA's own convolutions some products cost more. It computes those of two axes of space by
YNNPACK, which uses one core where the outputs are narrow, and is slow where the image is bare of
margins; and all others by Eigen, which visits each tap of each window apart, and where the depth,
its number of inputs, is no multiple of 4 copies entries one by one, of one axis run by run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from fnmath.layers.convolution._costs import COSTS
from fnmath.layers.convolution._forms import (
    IMAGE,
    KERNEL,
    OUTPUT,
    bare,
    block_of,
    by_entries,
    last_two,
    surplus,
)
from fnmath.layers.convolution._geometry import Grid
from fnmath.layers.convolution._phases import SPARE, merged, together
from fnmath.layers.convolution._winograd import shared_products

# Entries that a chunk may hold beside its operands and its result: what caches keep. A form that
# holds more for a single image is left out where others hold less.
CHUNK = 2_000_000
# Another form than XLA's own convolutions has to be expected to take less than this share of their
# time: it may be the expectation that is wrong. Of image gradients XLA's are the less predictable.
CAUTION = {OUTPUT: 0.85, IMAGE: 1.0, KERNEL: 0.85}
# Up to so many channels YNNPACK computes a convolution on one core.
NARROW = 128
# Products are formed for so many outputs at once.
VECTOR = 8
# Windows share products (``winograd``) where each adds up so many channels or more: in sums so long
# its error is that of others. Small ones, as filters of images, are left exact where they can be.
LONG = 16
# A form of more products than that is not worth the time that compiling it takes.
MANY = 128


class Choice(NamedTuple):
    """A form, and how many entries of the batch it takes at once."""

    form: str
    batch: int


class Work(NamedTuple):
    """What a form does, the costly products among it, and how many entries it holds meanwhile.

    XLA copies what all taps see before the first product is formed.
    """

    products: float
    copied: float
    added: float
    calls: float
    narrow: float
    bare: float
    runs: float
    visited: float
    held: float


def chosen(a: Any, b: Any, grid: Grid, *, role: str, groups: int) -> Choice:
    """The form of the least expected time, and its chunks, for operands as the primitive takes."""
    if role == IMAGE:
        batch, inputs, outputs = b.shape[0], a.shape[-2], a.shape[-1]
    else:
        batch, inputs, outputs = a.shape[0], a.shape[-1] // groups, b.shape[-1]
    if by_entries(inputs, outputs, groups):
        return Choice("taps", batch)
    sizes = grid, batch, inputs, outputs // groups, groups
    fit = fitting(COSTS[role], role, grid, least=min(inputs, outputs // groups))
    works = {form: work(form, role, *sizes) for form in fit}
    least = max(CHUNK, min(w.held for w in works.values()) / batch)
    fits = [form for form, w in works.items() if w.held / batch <= least]
    form = min(fits, key=lambda form: expected(form, role, works[form], COSTS[role]))
    return Choice(form, chunk(works[form], batch))


def fitting(forms: Iterable[str], role: str, grid: Grid, least: int) -> list[str]:
    """Those that can be chosen, where the least of a group's inputs and outputs are so many.

    XLA finds kernels of one or two axes of space well, not of more. A single tap is a product of
    matrices, and nothing is faster.
    """
    if math.prod(grid.window) == 1:
        return [form for form in forms if form == "taps"]
    axes = len(grid.window)
    volume = role == KERNEL and axes > 2
    spread = role == IMAGE and set(grid.strides) != {1} and not merged(grid, math.inf)
    unfit = {
        "blocks": volume,
        "surplus": axes < 2 or spread or volume,
        "rows": axes == 1,
        "winograd": least < LONG or shared_products(grid, grid.counts)[1] > MANY,
    }
    return [form for form in forms if not unfit.get(form, False)]


def chunk(work: Work, batch: int) -> int:
    """How many entries of the batch a form takes at once: equal parts, unless those are small."""
    most = min(batch, max(1, int(batch * CHUNK / max(CHUNK, work.held))))
    equal = max(n for n in range(1, most + 1) if not batch % n)
    return equal if 2 * equal >= most else most


def expected(form: str, role: str, work: Work, costs: Mapping[str, Sequence[float]]) -> float:
    """The nanoseconds by which forms are compared."""
    time = sum(cost * n for cost, n in zip(costs[form], work, strict=False))
    return time * (CAUTION[role] if form in ("blocks", "surplus") else 1)


def work(
    form: str, role: str, grid: Grid, batch: int, inputs: int, outputs: int, groups: int
) -> Work:
    """What a form does for this contraction, with so many channels in each group."""
    block = block_of(groups, inputs, outputs)
    seen, given = block * inputs, block * outputs
    if role == IMAGE:
        seen, given = given, seen
    laid = beside = 0
    if (
        role == IMAGE
        and form != "spread"
        and merged(grid, math.inf if form == "surplus" else SPARE)
    ):
        laid, role = batch * math.prod(grid.sizes) * given, OUTPUT
        given, grid = given * math.prod(grid.strides), together(grid)
    around, lead = _around(role, grid), len(grid.window) - 2
    if form in ("blocks", "surplus", "winograd") and lead > 0:
        batch, seen = batch * math.prod(around[:lead]), seen * math.prod(grid.window[:lead])
        grid = last_two(grid)
        around = around[lead:]
        beside = batch * math.prod(grid.counts if role == IMAGE else grid.sizes) * seen
    if form == "winograd":
        shared, calls = shared_products(grid, around)
        products, copied, added = (
            batch * shared * n for n in (seen * _vectors(given), seen, given)
        )
        held = (copied + added) / 2 + beside + laid  # each product is done with one after the other
        each = (products, copied + beside, added + laid, calls, 0, 0, 0, 0, held)
        return Work(*(groups // block * n for n in each))
    places, window, row = batch * _places(form, role, grid), math.prod(grid.window), grid.window[-1]
    calls, added, held = {
        "blocks": (1, 0, 0),
        "surplus": (1, 0, 0),
        "taps": (window, window * given, window * seen + 2 * given),
        "rows": (window // row, window // row * given, window * seen + 2 * given),
        "patches": (1, 0, window * seen),
        "spread": (1, window * given, window * given),
    }[form]
    copied = places * window * seen if form != "spread" else 0
    products = places * _products(form, role, window, seen, given)
    if form == "taps" and role != KERNEL and seen == 1:  # all in one loop, of entries
        copied, added, held = 0, 0, 3 * given
    if form == "taps" and window == 1 and set(grid.strides) == {1}:  # a single product
        copied, added, held = 0, 0, 0
    tiled = grid.strides == grid.window and set(grid.dilation) == {1}
    if form == "spread" and role == IMAGE and not tiled:  # each tap's on all of the image
        added *= math.prod(grid.sizes) / max(1, math.prod(grid.counts))
    narrow, naked, runs, visited = 0.0, 0.0, 0.0, 0.0
    if form in ("blocks", "surplus"):
        depth = batch if role == KERNEL else seen
        if _by_ynnpack(form, role, grid, max(depth, given)):
            narrow = products if given <= NARROW else 0
            naked = products if form == "blocks" and role != IMAGE and bare(grid) else 0
            copied = 0
        else:
            visited = copied / depth
            runs, copied = (copied / _run(role, grid, depth), 0) if depth % 4 else (0, copied)
    copied, held = copied + beside, places * held + beside + laid
    each = (products, copied, places * added + laid, calls, narrow, naked, runs, visited)
    return Work(*(groups // block * n for n in (*each, held)))  # all blocks at once


def _products(form: str, role: str, window: int, seen: int, given: int) -> float:
    """The products of a window, where matrices are multiplied for several outputs at once."""
    if form == "taps" and role != KERNEL and seen == 1:
        return 3 * window * given
    if form == "spread":
        return seen * _vectors(window * given)
    return window * seen * _vectors(given)


def _vectors(n: int) -> int:
    """So many rounded up to whole vectors."""
    return -(-n // VECTOR) * VECTOR


def _around(role: str, grid: Grid) -> tuple[int, ...]:
    """How many windows stand along each axis: over the image in each of its phases."""
    if role == IMAGE:
        return tuple(-(-n // s) for n, s in zip(grid.sizes, grid.strides, strict=True))
    return grid.counts


def _run(role: str, grid: Grid, depth: int) -> int:
    """How many of the entries that a window sees are copied at once: all, of one axis without gaps.

    For the kernel the windows' cotangents are the window, and the strides its dilation.
    """
    window, gaps = (grid.counts, grid.strides) if role == KERNEL else (grid.window, grid.dilation)
    return depth * window[0] if len(window) == 1 and gaps == (1,) else 1


def _by_ynnpack(form: str, role: str, grid: Grid, channels: int) -> bool:
    """Whether XLA computes its convolution by YNNPACK and not by Eigen."""
    if len(grid.window) != 2 or channels <= 16 or (form == "surplus" and role != KERNEL):
        return False
    pairs = zip(grid.sizes, grid.counts, strict=True)
    return role != IMAGE or all(size <= count for size, count in pairs)


def _places(form: str, role: str, grid: Grid) -> float:
    """How many windows a form lays over an image."""
    if form == "surplus" and role == KERNEL:
        extra = (grid.window[0] + 1) / grid.window[0] if bare(grid) else 1
        return math.prod(grid.counts) * extra
    if form == "surplus":
        sizes = (grid.counts, grid.sizes) if role == IMAGE else (grid.sizes, grid.counts)
        return math.prod(surplus(*sizes))
    # XLA's windows stand on all of a spread y; all of x is multiplied before windows see it.
    if (form, role) in (("blocks", IMAGE), ("spread", OUTPUT)):
        return math.prod(grid.sizes)
    # Each phase of an image, of as many as there are strides, has its share of the taps.
    by_phases = role == IMAGE and form != "spread"
    return math.prod(grid.sizes) / math.prod(grid.strides) if by_phases else math.prod(grid.counts)
