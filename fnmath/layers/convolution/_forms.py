"""How a convolution is computed: every form that ``method`` can name, and the one chosen if None.

Notation: x is an image ``*batch *space in``, K a kernel ``*window in/groups out``, y the result
``*batch *grid out``, without a bias, in float32 at least.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Inexact, Shaped

from fnmath import _checks
from fnmath.layers.convolution._geometry import MODES, Grid, Pair
from fnmath.linear_algebra._grids import span


def extended(
    x: Shaped[Array, "..."], margins: tuple[Pair, ...], modes: tuple[str, ...], value: Any = 0
) -> Shaped[Array, "..."]:
    """The image with its margins: beyond each edge what the mode of that axis says.

    The cotangents of copies are added up in float32 at least.
    """
    dtype = x.dtype
    for mode, name in MODES.items():
        amounts = [m if mode == own else (0, 0) for m, own in zip(margins, modes, strict=True)]
        if not any(map(any, amounts)):
            continue
        widths = [(0, 0)] * (x.ndim - len(margins) - 1) + amounts + [(0, 0)]
        if mode == "CONSTANT":
            x = jnp.pad(x, widths, constant_values=jnp.asarray(value, dtype))
        else:
            half = jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).bits < 32
            x = jnp.pad(x.astype(jnp.float32) if half else x, widths, mode=name).astype(dtype)
    return x


def wrapped_margins(grid: Grid) -> tuple[Pair, ...]:
    """The margins that copy entries of the image, and (0, 0) where they are zeros."""
    pairs = zip(grid.margins, grid.modes, strict=True)
    return tuple((0, 0) if mode == "CONSTANT" else m for m, mode in pairs)


def convolve(
    x: Float[Array, "..."],
    kernel: Float[Array, "..."],
    grid: Grid,
    *,
    groups: int,
    method: str | None = None,
) -> Float[Array, "..."]:
    """The cross-correlation y of an image with a kernel, by the form that ``method`` names."""
    wrapped = wrapped_margins(grid)
    x = extended(x, wrapped, grid.modes)
    zeros = tuple((0, 0) if any(w) else m for m, w in zip(grid.margins, wrapped, strict=True))
    return FORMS[method or "lax"](x, kernel, grid, zeros, groups)


def convolve_adjoint(
    y: Float[Array, "..."], kernel: Float[Array, "..."], grid: Grid, *, groups: int
) -> Float[Array, "..."]:
    """The image x of ⟨convolve(·), y⟩ = ⟨·, x⟩, for the kernel ``*window out in/groups``.

    The kernel's axes are named as those of the adjoint: it takes what ``convolve`` gives.
    """
    axes, outputs = len(grid.window), groups * kernel.shape[-1]
    wrapped = wrapped_margins(grid)
    if 0 in grid.counts:
        wide = jnp.promote_types(jnp.result_type(y, kernel), jnp.float32)
        return jnp.zeros((*y.shape[: y.ndim - axes - 1], *grid.sizes, outputs), wide)
    # Of each group: (in/groups, out) in the kernel's place of (in, out/groups).
    split = kernel.reshape(*grid.window, groups, kernel.shape[-2] // groups, kernel.shape[-1])
    kernel = jnp.moveaxis(split, -3, -2).reshape(*grid.window, kernel.shape[-2] // groups, outputs)
    spans = span(grid.window, grid.dilation)
    sizes = tuple(n + sum(w) for n, w in zip(grid.sizes, wrapped, strict=True))
    margins = [(0, 0) if any(w) else m for m, w in zip(grid.margins, wrapped, strict=True)]
    # A cross-correlation of y, its entries s apart, with the kernel turned round. Where the margins
    # of the image are wider than the window, what y lies on is cropped: lax pads by less than 0.
    pads = tuple(
        (k - 1 - low, n + low - 1 - (c - 1) * s)
        for n, c, k, s, (low, _) in zip(
            sizes, grid.counts, spans, grid.strides, margins, strict=True
        )
    )
    ones = (1,) * axes
    turned = jnp.flip(kernel, tuple(range(axes)))
    x = by_lax(y, turned, ones, pads, grid.dilation, groups, spread=grid.strides)
    return extended_adjoint(x, grid, wrapped)


def extended_adjoint(
    x: Inexact[Array, "..."], grid: Grid, margins: tuple[Pair, ...]
) -> Inexact[Array, "..."]:
    """The adjoint of ``extended``: zeros taken off, copies added to the entries they copy."""
    if not any(map(any, margins)):
        return x
    shape = (*x.shape[: x.ndim - len(grid.sizes) - 1], *grid.sizes, x.shape[-1])
    extend = functools.partial(extended, margins=margins, modes=grid.modes)
    (image,) = jax.linear_transpose(extend, jax.ShapeDtypeStruct(shape, x.dtype))(x)
    return image


def by_lax(
    x: Float[Array, "..."],
    kernel: Float[Array, "..."],
    strides: tuple[int, ...],
    margins: tuple[Pair, ...],
    dilation: tuple[int, ...],
    groups: int,
    *,
    spread: tuple[int, ...] | None = None,
) -> Float[Array, "..."]:
    """``lax.conv_general_dilated`` with any number of batch axes, summing in float32 at least."""
    axes = kernel.ndim - 2
    batch, image = x.shape[: x.ndim - axes - 1], x.shape[x.ndim - axes - 1 :]
    dtype = jnp.result_type(x, kernel)
    images = (0, axes + 1, *range(1, axes + 1))
    y = lax.conv_general_dilated(
        x.reshape(math.prod(batch), *image).astype(dtype),
        kernel.astype(dtype),
        window_strides=strides,
        padding=margins,
        lhs_dilation=spread,
        rhs_dilation=dilation,
        dimension_numbers=lax.ConvDimensionNumbers(images, (axes + 1, axes, *range(axes)), images),
        feature_group_count=groups,
        preferred_element_type=jnp.promote_types(dtype, jnp.float32),
    )
    return y.reshape(*batch, *y.shape[1:])


def _lax_form(
    x: Float[Array, "..."],
    kernel: Float[Array, "..."],
    grid: Grid,
    margins: tuple[Pair, ...],
    groups: int,
) -> Float[Array, "..."]:
    return by_lax(x, kernel, grid.strides, margins, grid.dilation, groups)


FORMS: dict[str, Callable[..., jax.Array]] = {"lax": _lax_form}


def method_known(function: str, method: Any) -> None:
    """Raise unless ``method`` is None or names a form."""
    if method is not None:
        _checks.option(function, "method", method, FORMS)
