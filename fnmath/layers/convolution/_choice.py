"""Which form computes a contraction on a CPU, and in how many chunks.

The time of a form is taken to be linear in what it does:

    seconds = Σ cost × (products, entries copied, entries added up, operations called)

with costs that were measured, for each form and each contraction. ``convolution_costs.py`` among
the benchmarks measures them anew, and says how much slower the chosen form is than the fastest one.

Of XLA's own convolutions some products cost more. It computes those of two axes of space by
YNNPACK, which uses one core where the outputs are narrow, and is slow where the image is bare of
margins; and all others by Eigen, which visits each tap of each window apart, and copies entries one
by one where the depth, its number of inputs, is no multiple of 4.
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
    scattered: float
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
    works = {form: work(form, role, *sizes) for form in fitting(COSTS[role], role, grid)}
    least = max(CHUNK, min(w.held for w in works.values()) / batch)
    fits = [form for form, w in works.items() if w.held / batch <= least]
    form = min(fits, key=lambda form: expected(form, role, works[form], COSTS[role]))
    return Choice(form, chunk(works[form], batch))


def fitting(forms: Iterable[str], role: str, grid: Grid) -> list[str]:
    """Those that can be chosen: XLA finds kernels of one or two axes of space well, not of more."""
    axes = len(grid.window)
    volume = role == KERNEL and axes > 2
    spread = role == IMAGE and set(grid.strides) != {1} and not merged(grid, math.inf)
    unfit = {"blocks": volume, "surplus": axes < 2 or spread or volume, "rows": axes == 1}
    return [form for form in forms if not unfit.get(form, False)]


def chunk(work: Work, batch: int) -> int:
    """How many entries of the batch a form takes at once."""
    return max(1, int(batch / max(1, work.held / CHUNK)))


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
    around, lead = grid.sizes if role == IMAGE else grid.counts, len(grid.window) - 2
    if form in ("blocks", "surplus") and lead > 0:
        batch, seen = batch * math.prod(around[:lead]), seen * math.prod(grid.window[:lead])
        grid = last_two(grid)
        beside = batch * math.prod(grid.counts if role == IMAGE else grid.sizes) * seen
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
    tiled = grid.strides == grid.window and set(grid.dilation) == {1}
    if form == "spread" and role == IMAGE and not tiled:  # each tap's on all of the image
        added *= math.prod(grid.sizes) / max(1, math.prod(grid.counts))
    narrow, naked, scattered, visited = 0.0, 0.0, 0.0, 0.0
    if form in ("blocks", "surplus"):
        depth = batch if role == KERNEL else seen
        if _by_ynnpack(form, role, grid, max(depth, given)):
            narrow = products if given <= NARROW else 0
            naked = products if form == "blocks" and role != IMAGE and bare(grid) else 0
            copied = 0
        else:
            visited = places * window
            scattered, copied = (copied, 0) if depth % 4 else (0, copied)
    copied, held = copied + beside, places * held + beside + laid
    each = (products, copied, places * added + laid, calls, narrow, naked, scattered, visited)
    return Work(*(groups // block * n for n in (*each, held)))  # all blocks at once


def _products(form: str, role: str, window: int, seen: int, given: int) -> float:
    """The products of a window, where matrices are multiplied for several outputs at once."""
    if form == "taps" and role != KERNEL and seen == 1:
        return 3 * window * given
    if form == "spread":
        return seen * -(-window * given // VECTOR) * VECTOR
    return window * seen * -(-given // VECTOR) * VECTOR


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
