"""Images as sequences of patches, each a row of features: what vit and mixer begin with."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.layers import ConvParams, conv
from fnmath.layers._arguments import unpacked


def patch_counts(function: str, image_shape: Any, patch: Any) -> tuple[tuple[int, int], int]:
    """The sides of a patch, and how many there are; raise unless they fill the image."""
    if not isinstance(image_shape, tuple | list) or len(image_shape) != 3:
        problem = f"image_shape is {image_shape!r}; wanted (height, width, channels)"
        _checks.fail(function, problem, error=TypeError)
    for i, n in enumerate(image_shape):
        _checks.size(function, **{f"image_shape[{i}]": n})
    several = isinstance(patch, tuple)
    sides = patch if several else (patch, patch)
    if len(sides) != 2:
        _checks.fail(function, f"patch is {patch}; wanted an integer or (height, width)")
    _checks.size(
        function, **{f"patch[{i}]" if several else "patch": n for i, n in enumerate(sides)}
    )
    _check_divides(function, "image_shape", tuple(image_shape), sides)
    return sides, (image_shape[0] // sides[0]) * (image_shape[1] // sides[1])


def _check_divides(function: str, argument: str, shape: Any, sides: tuple[int, ...]) -> None:
    if shape[-3] % sides[0] or shape[-2] % sides[1]:
        height, width = sides
        problem = f"{argument} is {shape[-3]} × {shape[-2]}; wanted multiples of the patch,"
        _checks.fail(function, f"{problem} {height} × {width}")


def patches(function: str, params: Any, x: Any) -> Float[Array, "*batch patches features"]:
    """The features of each patch of an image, rows of patches one after another."""
    params = ConvParams(*unpacked(function, params, ConvParams))
    _checks.floating(function, x=x, kernel=params.kernel)
    _checks.rank(function, "x", x, "height width channels")
    _checks.rank(function, "kernel", params.kernel, "height width in out", exact=True)
    sides = jnp.shape(params.kernel)[:2]
    if not all(sides):
        _checks.fail(
            function, f"kernel has shape {jnp.shape(params.kernel)}; wanted no empty patch"
        )
    _check_divides(function, "x", jnp.shape(x), sides)
    y = conv(params, x, strides=sides, padding="VALID")
    return y.reshape(*y.shape[:-3], y.shape[-3] * y.shape[-2], y.shape[-1])
