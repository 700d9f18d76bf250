"""Where the windows lie along each spatial axis, and what each of their taps sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnmath import _checks

Padding = str | int | tuple[int | tuple[int, int], ...]
Sizes = int | tuple[int, ...]

_SPATIAL = {1: "time", 2: "height width", 3: "depth height width"}


class Windows(NamedTuple):
    """The windows along one axis, which is counted from the end of the shape."""

    axis: int
    pixels: int
    size: int
    stride: int
    dilation: int
    low: int
    high: int
    number: int

    def places(self) -> np.ndarray:
        """The pixel that tap j of window o sees, as (windows, taps); outside of the image too."""
        first = self.stride * np.arange(self.number) - self.low
        return first[:, None] + self.dilation * np.arange(self.size)

    def in_image(self) -> np.ndarray:
        """Which taps see a pixel of the image, as (windows, taps)."""
        return (self.places() >= 0) & (self.places() < self.pixels)

    def along(self, per_window: np.ndarray) -> np.ndarray:
        """One entry per window, shaped to broadcast along this axis."""
        return per_window.reshape(-1, *(1,) * (-self.axis - 1))

    def taps(
        self, combine: Callable[..., Any], fills: tuple[float, ...], *arrays: jax.Array
    ) -> Any:
        """What ``combine(start, taps)`` makes of the windows from ``start`` on, for all windows.

        A tap holds what it sees in these windows, of each of the arrays; the fill of that array
        outside of the image.
        """
        offsets = [j * self.dilation - self.low for j in range(self.size)]
        axis = arrays[0].ndim + self.axis
        return _swept(combine, fills, arrays, axis, offsets, self.stride, self.number)

    @property
    def counter(self) -> type:
        """The type for the numbers of taps: a small one, which is quick to read and to write."""
        return jnp.int8 if self.size < 128 else jnp.int32

    def tiles(self) -> bool:
        """Whether the windows lie side by side, so that each pixel is seen by one of them."""
        return self.size == self.stride and self.dilation == 1

    def gathered(
        self,
        combine: Callable[..., Any],
        fills: tuple[float, ...],
        *arrays: jax.Array,
        pixels: jax.Array | None = None,
    ) -> jax.Array:
        """What ``combine(taps, pixels)`` makes of the windows that see a pixel, for all pixels.

        The arrays have one entry for each window. A tap is its number and, of each array, what the
        window whose tap sees the pixel holds; the fill of that array where there is none.
        """
        axis = arrays[0].ndim + self.axis
        if self.tiles():
            return self._laid_out(combine, arrays, pixels)
        length, phases = -(-self.pixels // self.stride), []
        for phase in range(self.stride):
            # Pixels a stride apart are of one phase: the same taps see them.
            places = [phase + self.low - j * self.dilation for j in range(self.size)]
            taps = [j for j, place in enumerate(places) if place % self.stride == 0]

            def here(start: int, seen: list, phase=phase, taps=taps) -> jax.Array:
                x, first = pixels, phase + start * self.stride
                if x is not None:
                    end = first + (seen[0][0].shape[axis] - 1) * self.stride + 1
                    x = _between(x, axis, first, end, 0)
                    x = lax.slice_in_dim(x, 0, None, self.stride, axis)
                return combine([(j, *tap) for j, tap in zip(taps, seen, strict=True)], x)

            offsets = [places[j] // self.stride for j in taps]
            part = jnp.zeros_like(_between(arrays[0], axis, 0, length, 0))
            part = _swept(here, fills, arrays, axis, offsets, 1, length) if taps else part
            phases.append(part)
        if self.stride == 1:
            return phases[0]
        y = jnp.stack(phases, axis + 1)
        y = lax.collapse(y, axis, axis + 2)
        return lax.slice_in_dim(y, 0, self.pixels, axis=axis)

    def _laid_out(self, combine: Callable[..., Any], arrays: Any, pixels: Any) -> jax.Array:
        """``gathered`` where windows tile the image: in one loop over windows and taps."""
        axis = arrays[0].ndim + self.axis
        first, span = -self.low, self.number * self.size
        if pixels is not None:
            x = _between(pixels, axis, first, first + span, 0)
            pixels = x.reshape(*x.shape[:axis], self.number, self.size, *x.shape[axis + 1 :])
        taps = self.along(np.arange(self.size)).astype(self.counter)
        y = combine([(taps, *(jnp.expand_dims(a, axis + 1) for a in arrays))], pixels)
        shape = list(arrays[0].shape)
        shape[axis : axis + 1] = self.number, self.size
        y = lax.collapse(jnp.broadcast_to(y, shape), axis, axis + 2)
        return _between(y, axis, self.low, self.low + self.pixels, 0)


def _between(x: jax.Array, axis: int, begin: int, end: int, fill: float) -> jax.Array:
    """The entries from ``begin`` to ``end`` along an axis, and the fill where there are none."""
    size = x.shape[axis]
    inner = lax.slice_in_dim(x, min(max(begin, 0), size), max(min(end, size), 0), axis=axis)
    pads = [(0, 0, 0)] * x.ndim
    pads[axis] = (max(-begin, 0), max(end - size, 0), 0)
    return lax.pad(inner, jnp.asarray(fill, x.dtype), pads)


def _swept(
    combine: Callable[..., Any],
    fills: tuple[float, ...],
    arrays: tuple[jax.Array, ...],
    axis: int,
    offsets: list[int],
    stride: int,
    number: int,
) -> Any:
    """``combine`` of the entries o · stride + offset of the arrays, for each offset, for all o.

    The o whose entries all exist are taken apart from those before and behind them: XLA's loops
    over a padded array on a CPU ask at every entry whether it is one of the padding.
    """
    size, low, high = arrays[0].shape[axis], min(offsets), max(offsets)
    first = min(max(-(low // stride), 0), number)
    last = max(min((size - 1 - high) // stride + 1, number), first)
    parts = []
    for start, stop in ((0, first), (first, last), (last, number)):
        if start < stop:
            begin, span = start * stride + low, (stop - start - 1) * stride + 1
            end = begin + high - low + span
            part = [
                _between(a, axis, begin, end, fill) for a, fill in zip(arrays, fills, strict=True)
            ]
            places = [offset - low for offset in offsets]
            taps = [[lax.slice_in_dim(a, j, j + span, stride, axis) for a in part] for j in places]
            parts.append(combine(start, taps))
    return jax.tree.map(lambda *parts: lax.concatenate(parts, axis), *parts)


def spatial_windows(
    function: str,
    x: Any,
    *,
    window: Any,
    strides: Any,
    padding: Any,
    dilation: Any = 1,
    ceil: Any = False,
) -> tuple[Windows, ...]:
    """The windows along every spatial axis, the last axis first; raise where they do not fit."""
    window = spatial_sizes(function, "window", window)
    rank = len(window)
    image(function, x, rank)
    strides = window if strides is None else _per_axis(function, "strides", strides, rank)
    dilation = _per_axis(function, "dilation", dilation, rank)
    _checks.boolean(function, "ceil", ceil)
    pads = _pads(function, padding, rank)
    axes = []
    for i in reversed(range(rank)):
        n, span = x.shape[i - rank - 1], (window[i] - 1) * dilation[i] + 1
        low, high = _resolved(pads[i], n, span, strides[i])
        count = _count(n + low, high - span, strides[i], ceil)
        if count < 1:
            problem = f"window {window} spans {span} pixels of axis {i - rank - 1} of x {x.shape}"
            problem += f", which has {n + low + high} with its padding"
            _checks.fail(function, problem, "padding='SAME'")
        axis = Windows(i - rank - 1, n, window[i], strides[i], dilation[i], low, high, count)
        if not axis.in_image().any(axis=1).all():
            problem = f"padding {(low, high)} of axis {axis.axis} of x {x.shape} makes a window of"
            problem += f" {window[i]} that sees nothing but padding; wanted less padding"
            _checks.fail(function, problem)
        axes.append(axis)
    return tuple(axes)


def spatial_sizes(function: str, argument: str, value: Any) -> tuple[int, ...]:
    """The sizes along each spatial axis; raise unless they are a tuple of integers."""
    if not isinstance(value, tuple):
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        came = f"{value} (int)" if whole else f"a {type(value).__name__}"
        problem = f"{argument} is {came}; wanted a tuple of integers, one for each spatial axis"
        cure = f"({value}, {value}), for images" if whole else ""
        _checks.fail(function, problem, cure, error=TypeError)
    if not value:
        _checks.fail(function, f"{argument} is (); wanted one integer for each spatial axis")
    return _per_axis(function, argument, value, len(value))


def image(function: str, x: Any, rank: int, argument: str = "x") -> None:
    """Raise unless ``x`` holds floating-point numbers and has that many spatial axes of pixels."""
    _checks.floating(function, **{argument: x})
    spatial = _SPATIAL.get(rank, " ".join(f"axis{i}" for i in range(rank)))
    _checks.rank(function, argument, x, f"{spatial} channels")
    if 0 in x.shape[-rank - 1 : -1]:
        problem = f"{argument} has shape {x.shape}; wanted no spatial axis of size 0"
        _checks.fail(function, problem)


def _per_axis(
    function: str, argument: str, value: Any, rank: int, minimum: int = 1
) -> tuple[int, ...]:
    """One integer for each spatial axis, where one may stand for all."""
    if not isinstance(value, tuple):
        _checks.size(function, minimum=minimum, **{argument: value})
        return (int(value),) * rank
    if len(value) != rank:
        problem = f"{argument} is {value}; wanted one integer, or {rank}, one for each spatial axis"
        _checks.fail(function, problem)
    named = {f"{argument}[{i}]": n for i, n in enumerate(value)}
    _checks.size(function, minimum=minimum, **named)
    return tuple(int(n) for n in value)


def _pads(function: str, padding: Any, rank: int) -> tuple[str | tuple[int, ...], ...]:
    """The name of the padding, or both numbers of pixels, for each spatial axis."""
    if isinstance(padding, str):
        _checks.option(function, "padding", padding, ("VALID", "SAME", "CAUSAL"))
        return (padding,) * rank
    if not isinstance(padding, tuple):
        return tuple((n, n) for n in _per_axis(function, "padding", padding, rank, 0))
    if len(padding) != rank:
        problem = f"padding is {padding}; wanted a number or a pair for each of {rank} spatial axes"
        cure = f"({padding},)" if rank == 1 and len(padding) == 2 else ""
        _checks.fail(function, problem, cure)
    pairs = enumerate(padding)
    return tuple(_per_axis(function, f"padding[{i}]", pair, 2, 0) for i, pair in pairs)


def _resolved(pad: str | tuple[int, ...], n: int, span: int, stride: int) -> tuple[int, int]:
    """How many pixels of padding stand at the two ends of an axis."""
    if pad == "VALID":
        return 0, 0
    if pad == "CAUSAL":
        return span - 1, 0
    if pad == "SAME":
        total = max((-(-n // stride) - 1) * stride + span - n, 0)
        return total // 2, total - total // 2
    return pad[0], pad[1]  # type: ignore[return-value]


def _count(end: int, rest: int, stride: int, ceil: bool) -> int:
    """How many windows there are; with ``ceil`` the last may pass the end, but not begin there."""
    if not ceil:
        return (end + rest) // stride + 1
    count = -(-(end + rest) // stride) + 1
    return count - 1 if (count - 1) * stride >= end else count
