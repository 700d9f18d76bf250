"""What stands beyond the edges of an image, and how its cotangents come back."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, Shaped

from fnmath.layers.convolution._geometry import MODES, Grid, Pair


def extended(
    x: Shaped[Array, "..."], margins: tuple[Pair, ...], modes: tuple[str, ...]
) -> Shaped[Array, "..."]:
    """The image with its margins: beyond each edge what the mode of that axis says, or 0.

    The cotangents of copies are added up in float32 at least.
    """
    dtype = x.dtype
    for mode, name in MODES.items():
        amounts = [m if mode == own else (0, 0) for m, own in zip(margins, modes, strict=True)]
        if not any(map(any, amounts)):
            continue
        widths = [(0, 0)] * (x.ndim - len(margins) - 1) + amounts + [(0, 0)]
        if mode == "CONSTANT":
            x = jnp.pad(x, widths)
        else:
            half = jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).bits < 32
            x = jnp.pad(x.astype(jnp.float32) if half else x, widths, mode=name).astype(dtype)
    return x


def wrapped_margins(grid: Grid) -> tuple[Pair, ...]:
    """The margins that copy entries of the image, and (0, 0) where they are zeros."""
    pairs = zip(grid.margins, grid.modes, strict=True)
    return tuple((0, 0) if mode == "CONSTANT" else m for m, mode in pairs)


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
