"""A convolution and its adjoint, of images with any batch and any padding.

Notation: x is an image ``*batch *space in``, K a kernel ``*window in/groups out``, y the result
``*batch *grid out``, without a bias, in float32 at least.
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.layers.convolution._correlation import correlate
from fnmath.layers.convolution._forms import FORMS, IMAGE, OUTPUT
from fnmath.layers.convolution._geometry import Grid
from fnmath.layers.convolution._margins import extended, extended_adjoint, wrapped_margins


def convolve(
    x: Float[Array, "..."],
    kernel: Float[Array, "..."],
    grid: Grid,
    *,
    groups: int,
    method: str | None = None,
) -> Float[Array, "..."]:
    """The cross-correlation y of an image with a kernel, by the form that ``method`` names."""
    axes = len(grid.window)
    x = extended(x, wrapped_margins(grid), grid.modes)
    batch, image = x.shape[: -axes - 1], x.shape[-axes - 1 :]
    options = {"role": OUTPUT, "groups": groups, "method": method}
    y = correlate(x.reshape(math.prod(batch), *image), kernel, _with_copies(grid), **options)
    return y.reshape(*batch, *y.shape[1:])


def convolve_adjoint(
    y: Float[Array, "..."],
    kernel: Float[Array, "..."],
    grid: Grid,
    *,
    groups: int,
    method: str | None = None,
) -> Float[Array, "..."]:
    """The image x of ⟨convolve(·), y⟩ = ⟨·, x⟩, for the kernel ``*window out in/groups``.

    The kernel's axes are named as those of the adjoint: it takes what ``convolve`` gives.
    """
    axes = len(grid.window)
    batch, outputs = y.shape[: -axes - 1], y.shape[-axes - 1 :]
    options = {"role": IMAGE, "groups": groups, "method": method}
    kernel = jnp.swapaxes(kernel, -1, -2)
    x = correlate(kernel, y.reshape(math.prod(batch), *outputs), _with_copies(grid), **options)
    return extended_adjoint(x.reshape(*batch, *x.shape[1:]), grid, wrapped_margins(grid))


def _with_copies(grid: Grid) -> Grid:
    """The windows over an image that holds its copied margins."""
    wrapped = wrapped_margins(grid)
    margins = ((0, 0) if any(w) else m for m, w in zip(grid.margins, wrapped, strict=True))
    return grid._replace(
        sizes=tuple(n + sum(w) for n, w in zip(grid.sizes, wrapped, strict=True)),
        margins=tuple(margins),
        modes=("CONSTANT",) * len(grid.window),
    )


def method_known(function: str, method: Any) -> None:
    """Raise unless ``method`` is None or names a form."""
    if method is not None:
        _checks.option(function, "method", method, FORMS)
