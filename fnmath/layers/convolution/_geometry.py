"""Where the windows of a convolution stand: strides, dilations and margins, axis by axis.

Notation, for each axis by itself: n entries; a window of w taps, d entries apart, spans
k = d (w − 1) + 1 of them; ``low`` and ``high`` entries are added before the first and behind the
last. Window i begins at entry s i − low; there are ⌊(n + low + high − k)/s⌋ + 1 of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fnmath import _checks
from fnmath.linear_algebra._grids import counts, span

Sizes = int | Sequence[int]
Pair = tuple[int, int]
Padding = str | int | Sequence[str | int | Sequence[int]]

# What stands beyond the edge of an image, and what ``jnp.pad`` calls it.
MODES = {"CONSTANT": "constant", "REFLECT": "reflect", "REPLICATE": "edge", "CIRCULAR": "wrap"}
# Paddings that leave as many windows as there are entries, at stride 1.
SAME_SIZE = ("SAME", "CAUSAL", "REFLECT", "REPLICATE", "CIRCULAR")
NAMED = ("SAME", "VALID", *SAME_SIZE[1:])


class Grid(NamedTuple):
    """Windows over an image: a tuple with an entry for each axis of the window, in each field."""

    sizes: tuple[int, ...]
    counts: tuple[int, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    margins: tuple[Pair, ...]
    modes: tuple[str, ...]


def per_axis(
    function: str, argument: str, value: Any, axes: int, *, minimum: int = 1
) -> tuple[int, ...]:
    """One integer for each axis: the one given, or those given."""
    if not isinstance(value, tuple | list):
        _checks.size(function, minimum=minimum, **{argument: value})
        return (int(value),) * axes
    if len(value) != axes:
        axis = "axis" if axes == 1 else "axes"
        _checks.fail(function, f"{argument} is {value}; wanted {axes}, for the window's {axis}")
    named = {f"{argument}[{i}]": n for i, n in enumerate(value)}
    _checks.size(function, minimum=minimum, **named)
    return tuple(int(n) for n in value)


def named_axes(function: str, argument: str, value: Any, *, minimum: int = 1) -> tuple[int, ...]:
    """The sizes of as many axes as are given; an integer is the size of one axis."""
    axes = len(value) if isinstance(value, tuple | list) else 1
    if not axes:
        _checks.fail(function, f"{argument} is {value}; wanted at least one axis")
    return per_axis(function, argument, value, axes, minimum=minimum)


def image_axes(function: str, x: Any, axes: int) -> tuple[int, ...]:
    """The sizes of the axes that windows move along, those before the channels."""
    names = {1: "time", 2: "height width", 3: "depth height width"}
    space = names.get(axes, " ".join(f"n{i + 1}" for i in range(axes)))
    _checks.rank(function, "x", x, f"{space} channels")
    return tuple(x.shape[-axes - 1 : -1])


def pair(function: str, argument: str, value: Any, wanted: str) -> Pair:
    """How much is added before and behind: the pair given, or twice the integer given."""
    if isinstance(value, tuple | list):
        if len(value) != 2:
            _checks.fail(function, f"{argument} is {value}; wanted a pair (low, high)")
        low, high = per_axis(function, argument, value, 2, minimum=0)
        return low, high
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        came = repr(value) if isinstance(value, int | float | None) else f"a {type(value).__name__}"
        _checks.fail(function, f"{argument} is {came}; wanted {wanted}", error=TypeError)
    _checks.size(function, minimum=0, **{argument: value})
    return int(value), int(value)


def rules(function: str, padding: Any, axes: int) -> tuple[str | Pair, ...]:
    """The padding of each axis: a named one, or a pair of amounts."""
    if not isinstance(padding, tuple | list):
        return (_rule(function, "padding", padding),) * axes
    if len(padding) != axes:
        problem = f"padding is {padding}; wanted {axes}, for the window's axes, or one for all"
        pairs = len(padding) == 2 and all(isinstance(n, int) for n in padding)
        _checks.fail(function, problem, f"padding=({padding},)" if pairs and axes == 1 else "")
    return tuple(_rule(function, f"padding[{i}]", p) for i, p in enumerate(padding))


def _rule(function: str, argument: str, value: Any) -> str | Pair:
    if not isinstance(value, str):
        return pair(function, argument, value, f"an integer, a pair or one of {', '.join(NAMED)}")
    if value not in NAMED:
        problem = f"{argument} is {value!r}; wanted one of {', '.join(NAMED)}"
        _checks.fail(function, problem, repr(value.upper()) if value.upper() in NAMED else "")
    return value


def margin(rule: str | Pair, n: int, k: int, s: int) -> Pair:
    """How many entries are added before the first and behind the last of n."""
    if not isinstance(rule, str):
        return rule
    if rule == "VALID" or not n:
        return 0, 0
    if rule == "SAME":
        # XLA's: no more than the last of ⌈n/s⌉ windows needs, the odd one behind.
        total = max((-(-n // s) - 1) * s + k - n, 0)
        return total // 2, total - total // 2
    return (k - 1, 0) if rule == "CAUSAL" else ((k - 1) // 2, k // 2)


def mode(rule: str | Pair) -> str:
    """What the added entries are: 0, unless a rule names something else."""
    return rule if isinstance(rule, str) and rule in MODES else "CONSTANT"


def grid(
    function: str,
    sizes: tuple[int, ...],
    window: tuple[int, ...],
    *,
    strides: Any,
    padding: Any,
    dilation: Any,
) -> Grid:
    """The windows that stand on an image; raise where not even one does.

    No window stands on an empty axis. That is as it should be where the padding promises as many
    windows as entries.
    """
    axes = len(window)
    strides = per_axis(function, "strides", strides, axes)
    dilation = per_axis(function, "dilation", dilation, axes)
    by_axis = rules(function, padding, axes)
    spans = span(window, dilation)
    margins = tuple(map(margin, by_axis, sizes, spans, strides))
    padded = tuple(n + low + high for n, (low, high) in zip(sizes, margins, strict=True))
    empty = tuple(not n and rule in SAME_SIZE for n, rule in zip(sizes, by_axis, strict=True))
    if any(k > n and not none for k, n, none in zip(spans, padded, empty, strict=True)):
        problem = f"the window spans {spans} entries and the padded image has {padded}"
        _checks.fail(function, f"{problem}; wanted no fewer", "padding='SAME'")
    number = counts(padded, spans, strides)
    number = tuple(0 if none else c for c, none in zip(number, empty, strict=True))
    return Grid(sizes, number, window, strides, dilation, margins, tuple(map(mode, by_axis)))


def transposed_grid(
    function: str,
    number: tuple[int, ...],
    window: tuple[int, ...],
    *,
    strides: Any,
    padding: Any,
    output_padding: Any,
    dilation: Any,
) -> Grid:
    """The windows of the convolution whose adjoint makes an image of ``number`` windows.

    Several sizes of image have as many windows. Padding by amounts takes the smallest, and
    ``output_padding`` adds to it; a named padding takes XLA's.
    """
    axes = len(window)
    strides = per_axis(function, "strides", strides, axes)
    dilation = per_axis(function, "dilation", dilation, axes)
    extra = per_axis(function, "output_padding", output_padding, axes, minimum=0)
    by_axis = rules(function, padding, axes)
    spans = span(window, dilation)
    for rule, more, s, d in zip(by_axis, extra, strides, dilation, strict=True):
        if more and isinstance(rule, str):
            problem = f"output_padding is {output_padding}; wanted 0 with the padding {rule!r}"
            _checks.fail(function, f"{problem}, which fixes the size")
        if more >= max(s, d):
            problem = f"output_padding is {output_padding}; wanted less than the strides {strides}"
            _checks.fail(function, f"{problem} or the dilation {dilation}")
    sizes = tuple(map(_transposed_size, by_axis, number, spans, strides, extra))
    if any(m < 1 and n for m, n in zip(sizes, number, strict=True)):
        problem = f"padding {padding} leaves nothing of the output, whose size would be {sizes}"
        _checks.fail(function, f"{problem}; wanted less of it")
    margins = tuple(map(margin, by_axis, sizes, spans, strides))
    return Grid(sizes, number, window, strides, dilation, margins, tuple(map(mode, by_axis)))


def _transposed_size(rule: str | Pair, n: int, k: int, s: int, extra: int) -> int:
    if not n:
        return 0
    if isinstance(rule, str):
        return n * s + (max(k - s, 0) if rule == "VALID" else 0)
    return (n - 1) * s + k - sum(rule) + extra
