"""Pooling over windows that follow from the result: a grid of given sizes, or one number."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.layers.pooling._windows import image, spatial_sizes


def global_avg_pool(
    x: Float[Array, "*image channels"], *, spatial: int = 2
) -> Float[Array, "*batch channels"]:
    """Average over the whole image: one number per channel.

        y = 1/N Σᵢ xᵢ        (i over the N pixels)

    Half-precision sums are carried in float32.

    Gradient:
        x̄ᵢ = ȳ/N

    Args:
        x: The images, channels last.
        spatial: How many axes before the last are spatial: 2 for images, 1 for sequences.

    Returns:
        The averages, without the spatial axes.

    Raises:
        TypeError: If x does not hold floating-point numbers, or ``spatial`` is no integer.
        ValueError: If ``spatial`` is below 1, or x has too few axes or no pixels.

    Example:
        >>> print(global_avg_pool(jnp.arange(8.0).reshape(2, 2, 2)))
        [3. 4.]

    Source:
        Lin, Chen and Yan, Network in network (2014), §3.2.
    """
    _checks.size("global_avg_pool", spatial=spatial)
    image("global_avg_pool", x, spatial)
    axes = tuple(range(-1 - spatial, -1))
    x = jnp.asarray(x)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    return jnp.mean(x, axes, dtype=wide).astype(x.dtype)


def global_max_pool(
    x: Float[Array, "*image channels"], *, spatial: int = 2
) -> Float[Array, "*batch channels"]:
    """Maximum over the whole image: one number per channel.

        y = maxᵢ xᵢ        (i over the pixels)

    Gradient:
        x̄ᵢ = ȳ where xᵢ is the first maximum in the order of reading, else 0

    Args:
        x: The images, channels last.
        spatial: How many axes before the last are spatial: 2 for images, 1 for sequences.

    Returns:
        The maxima, without the spatial axes; nan where a pixel is nan.

    Raises:
        TypeError: If x does not hold floating-point numbers, or ``spatial`` is no integer.
        ValueError: If ``spatial`` is below 1, or x has too few axes or no pixels.

    Example:
        >>> print(global_max_pool(jnp.arange(8.0).reshape(2, 2, 2)))
        [6. 7.]

    Source:
        Oquab, Bottou, Laptev and Sivic, Is object localization for free? (2015), §3.
    """
    _checks.size("global_max_pool", spatial=spatial)
    image("global_max_pool", x, spatial)
    *batch, channels = *x.shape[: -1 - spatial], x.shape[-1]
    pixels = jnp.reshape(x, (*batch, math.prod(x.shape[-1 - spatial : -1]), channels))
    return _first_maximum(pixels, axis=-2)


def adaptive_avg_pool(
    x: Float[Array, "*image channels"], *, sizes: tuple[int, ...]
) -> Float[Array, "*pooled channels"]:
    """Averages over a grid of the given sizes, whatever the size of the image.

        y[o] = mean x[⌊o n/w⌋ : ⌈(o + 1) n/w⌉]        (along each axis, of n pixels, w windows)

    Neighbouring windows share a pixel where w does not divide n. Half-precision sums are carried in
    float32.

    Gradient:
        x̄[i] = Σₒ ȳ[o]/N[o] over the windows o, of N[o] pixels, that see x[i]

    Args:
        x: The images, channels last, with as many spatial axes as there are sizes.
        sizes: The number w of windows along each spatial axis, a tuple.

    Returns:
        The averages, a grid of the sizes.

    Raises:
        TypeError: If x does not hold floating-point numbers, or the sizes are no tuple of integers.
        ValueError: If a size is below 1, or x has too few axes or no pixels.

    Example:
        >>> print(adaptive_avg_pool(jnp.arange(5.0)[:, None], sizes=(2,))[:, 0])
        [1. 3.]

    Source:
        ``torch.nn.functional.adaptive_avg_pool2d``; He, Zhang, Ren and Sun, Spatial pyramid pooling
        in deep convolutional networks (2014), §2.3 (the windows).
    """
    grid = spatial_sizes("adaptive_avg_pool", "sizes", sizes)
    image("adaptive_avg_pool", x, len(grid))
    x = jnp.asarray(x)
    y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    for axis, count in zip(range(-1 - len(grid), -1), grid, strict=True):
        seen, inside = _windows(y, axis, count)
        total = jnp.sum(jnp.where(inside, seen, 0), axis)
        y = total / np.sum(inside, axis).astype(y.dtype)
    return y.astype(x.dtype)


def adaptive_max_pool(
    x: Float[Array, "*image channels"], *, sizes: tuple[int, ...]
) -> Float[Array, "*pooled channels"]:
    """Maxima over a grid of the given sizes, whatever the size of the image.

        y[o] = max x[⌊o n/w⌋ : ⌈(o + 1) n/w⌉]        (along each axis, of n pixels, w windows)

    Neighbouring windows share a pixel where w does not divide n.

    Gradient:
        x̄[i] = Σₒ ȳ[o] over the windows o whose first maximum, in the order of reading, is x[i]

    Args:
        x: The images, channels last, with as many spatial axes as there are sizes.
        sizes: The number w of windows along each spatial axis, a tuple.

    Returns:
        The maxima, a grid of the sizes; nan where the window sees a nan.

    Raises:
        TypeError: If x does not hold floating-point numbers, or the sizes are no tuple of integers.
        ValueError: If a size is below 1, or x has too few axes or no pixels.

    Example:
        >>> print(adaptive_max_pool(jnp.arange(5.0)[:, None], sizes=(2,))[:, 0])
        [2. 4.]

    Source:
        ``torch.nn.functional.adaptive_max_pool2d``; He, Zhang, Ren and Sun, Spatial pyramid pooling
        in deep convolutional networks (2014), §2.3.
    """
    grid = spatial_sizes("adaptive_max_pool", "sizes", sizes)
    image("adaptive_max_pool", x, len(grid))
    x = jnp.asarray(x)
    y = x.astype(jnp.promote_types(x.dtype, jnp.float32))  # where cotangents add up
    # The last axis first: among equals that leaves the first one in the order of reading.
    for axis, count in reversed(list(zip(range(-1 - len(grid), -1), grid, strict=True))):
        seen, inside = _windows(y, axis, count)
        y = _first_maximum(jnp.where(inside, seen, -jnp.inf), axis)
    return y.astype(x.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _first_maximum(x: jax.Array, axis: int) -> jax.Array:
    """The maximum along an axis, whose cotangent goes to the first of equals."""
    return jnp.max(x, axis)


@_first_maximum.defjvp
def _first_maximum_jvp(axis: int, primals: tuple, tangents: tuple) -> tuple:
    """The tangent at the least place with the maximum: ``argmax`` is many times slower."""
    (x,), (tangent,) = primals, tangents
    y = _first_maximum(x, axis)
    places = lax.broadcasted_iota(jnp.int32, x.shape, x.ndim + axis)
    equal = (x == jnp.expand_dims(y, axis)) | jnp.isnan(x)
    first = jnp.min(jnp.where(equal, places, x.shape[axis]), axis, keepdims=True)
    return y, jnp.sum(jnp.where(places == first, tangent, 0), axis)


def _windows(x: jax.Array, axis: int, count: int) -> tuple[jax.Array, np.ndarray]:
    """What each window sees, on a new ``axis`` after that of the windows, and which is its own.

    All windows are given the length of the longest; what the shorter ones see past their end is
    their last pixel again.
    """
    n, window = x.shape[axis], np.arange(count)
    if n % count == 0:
        shape = list(x.shape)
        shape[axis : x.ndim + axis + 1] = count, n // count
        return x.reshape(shape), np.ones((count, n // count, *(1,) * (-axis - 1)), bool)
    start, end = window * n // count, -(-(window + 1) * n // count)
    place = start[:, None] + np.arange(max(end - start))
    inside = place < end[:, None]
    seen = jnp.take(x, np.minimum(place, end[:, None] - 1), axis=x.ndim + axis)
    return seen, inside.reshape(*inside.shape, *(1,) * (-axis - 1))
