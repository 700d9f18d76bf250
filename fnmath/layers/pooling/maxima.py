"""The largest number that each window sees, its place, and the way back to that place."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from fnmath import _checks
from fnmath.layers.pooling._windows import (
    Padding,
    Sizes,
    Windows,
    image,
    spatial_sizes,
    spatial_windows,
)


def max_pool(
    x: Float[Array, "*image channels"],
    *,
    window: tuple[int, ...],
    strides: Sizes | None = None,
    padding: Padding = "VALID",
    dilation: Sizes = 1,
    ceil: bool = False,
) -> Float[Array, "*pooled channels"]:
    """Maximum over each window.

        y[o] = maxⱼ x[o s + j d − l]        (j over the window; only pixels of the image count)

    The windows tile the image unless ``strides`` are given, as in PyTorch; Flax's are 1 then.

    Gradient:
        x̄[i] = Σₒ ȳ[o] over the windows o whose first maximum is x[i]

    The maximum is not differentiable at a tie. The whole cotangent then goes to the first of the
    equals in the order of reading, as in PyTorch; ``jnp.maximum`` would share it.

    Args:
        x: The images, channels last, with as many spatial axes as the window has sizes.
        window: The size of a window along each spatial axis, a tuple: ``(2, 2)`` for images.
        strides: The steps from one window to the next; the sizes of the window if None.
        padding: "VALID" for none; "SAME" for as much as gives ⌈n/s⌉ windows, the odd pixel at the
            end; "CAUSAL" for all of it before the first pixel; or numbers of pixels: one for all
            ends, or a tuple with, for each axis, one for both ends or a pair.
        dilation: The steps between the pixels that a window sees.
        ceil: Whether a last window that passes the end of the padded image counts, if it begins
            inside of the image or the padding before it (PyTorch's ``ceil_mode``).

    Returns:
        The maxima: nan where the window sees a nan, −∞ where it sees nothing else.

    Raises:
        TypeError: If x does not hold floating-point numbers, or an option is of another type.
        ValueError: If x has too few axes or no pixels, an option does not fit the window, the
            window is larger than the padded image, or one sees nothing but padding.

    Example:
        >>> x = jnp.arange(16.0).reshape(4, 4, 1)
        >>> print(max_pool(x, window=(2, 2))[..., 0])
        [[ 5.  7.]
         [13. 15.]]

    Source:
        Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016), §3 and §5.1;
        ``torch.nn.functional.max_pool2d``.
    """
    windows = spatial_windows(
        "max_pool",
        x,
        window=window,
        strides=strides,
        padding=padding,
        dilation=dilation,
        ceil=ceil,
    )
    return _maxima(jnp.asarray(x), windows)


def max_pool_with_indices(
    x: Float[Array, "*image channels"],
    *,
    window: tuple[int, ...],
    strides: Sizes | None = None,
    padding: Padding = "VALID",
    dilation: Sizes = 1,
    ceil: bool = False,
) -> tuple[Float[Array, "*pooled channels"], Int[Array, "*pooled channels"]]:
    """Maximum over each window, and the place in the image where it stands.

        y[o] = x[m[o]],    m[o] = argmaxⱼ x[o s + j d − l]

    Places are counted over the spatial axes together, in the order of reading, without padding:
    row · width + column in an image. Of equals the first counts, of several nan the last.

    Gradient:
        x̄[i] = Σₒ ȳ[o] over the windows o with m[o] = i

    Args:
        x: The images, channels last, with as many spatial axes as the window has sizes.
        window: The size of a window along each spatial axis, a tuple: ``(2, 2)`` for images.
        strides: The steps from one window to the next; the sizes of the window if None.
        padding: "VALID", "SAME", "CAUSAL", or numbers of pixels, as in ``max_pool``.
        dilation: The steps between the pixels that a window sees.
        ceil: Whether a last window that passes the end of the padded image counts.

    Returns:
        The maxima, and their places as int32 in the same shape: what ``max_unpool`` takes.

    Raises:
        TypeError: If x does not hold floating-point numbers, or an option is of another type.
        ValueError: If x has too few axes or no pixels, an option does not fit the window, the
            window is larger than the padded image, or one sees nothing but padding.

    Example:
        >>> x = jnp.array([1.0, 3.0, 2.0, 0.0])[:, None]
        >>> maxima, places = max_pool_with_indices(x, window=(2,))
        >>> print(maxima[:, 0], places[:, 0])
        [3. 2.] [1 2]

    Source:
        ``torch.nn.functional.max_pool2d`` with ``return_indices=True``; Zeiler and Fergus,
        Visualizing and understanding convolutional networks (2014), §2.1 (the switches).
    """
    windows = spatial_windows(
        "max_pool_with_indices",
        x,
        window=window,
        strides=strides,
        padding=padding,
        dilation=dilation,
        ceil=ceil,
    )
    shape = x.shape[-len(windows) - 1 : -1]
    places = jnp.arange(math.prod(shape), dtype=jnp.int32).reshape(*shape, 1)
    x = jnp.asarray(x)
    places = jnp.broadcast_to(places, x.shape)
    (_, indices), _ = _first_maxima((lax.stop_gradient(x), places), windows)
    return _maxima(x, windows), indices


def max_unpool(
    x: Float[Array, "*pooled channels"],
    indices: Int[Array, "*pooled channels"],
    *,
    sizes: tuple[int, ...],
) -> Float[Array, "*image channels"]:
    """Images with the maxima back in their places, and 0 elsewhere.

        y[i] = x[o] where m[o] = i,    0 where no window has its maximum

    The one-sided inverse of ``max_pool_with_indices``: pooling y again gives x where the windows do
    not overlap and x ≥ 0. Where windows share a place, the last of them counts; what is pooled has
    the same number in all of them.

    Gradient:
        x̄[o] = ȳ[m[o]],    and 0 where a later window has the same place

    PyTorch, whose forward pass leaves open which of the windows counts, gives all of them ȳ.

    Args:
        x: What was pooled, channels last.
        indices: The places m, in the shape of x, counted as by ``max_pool_with_indices``.
        sizes: The sizes of the images along each spatial axis, a tuple.

    Returns:
        The images. Those of a channel with a place outside of [0, ∏ sizes) are nan.

    Raises:
        TypeError: If x does not hold floating-point numbers, the places are not integers, or the
            sizes no tuple of integers.
        ValueError: If x has too few axes or no pixels, the places another shape, or a size is
            below 1.

    Example:
        >>> x = jnp.array([1.0, 3.0, 2.0, 0.0])[:, None]
        >>> print(max_unpool(*max_pool_with_indices(x, window=(2,)), sizes=(4,))[:, 0])
        [0. 3. 2. 0.]

    Source:
        ``torch.nn.functional.max_unpool2d``; Zeiler and Fergus, Visualizing and understanding
        convolutional networks (2014), §2.1.
    """
    grid = spatial_sizes("max_unpool", "sizes", sizes)
    image("max_unpool", x, len(grid))
    _checks.integer("max_unpool", indices=indices)
    _checks.same_shape("max_unpool", x=x, indices=indices)
    rank = len(grid)
    *batch, channels = *x.shape[: -1 - rank], x.shape[-1]
    windows, cells = math.prod(x.shape[-1 - rank : -1]), math.prod(grid)

    def laid_out(x: jax.Array, m: jax.Array) -> jax.Array:
        known = _checks.is_label(m, cells)
        place = jnp.where(known, jnp.where(known, m, 0).astype(jnp.int32), cells)
        order = jnp.arange(windows, dtype=jnp.int32)
        last = jnp.full(cells, -1, jnp.int32).at[place].max(order, mode="drop")
        return jnp.where(known.all(), jnp.where(last >= 0, x[last], 0), jnp.nan)

    flat = (jnp.reshape(a, (math.prod(batch), windows, channels)) for a in (x, indices))
    y = jax.vmap(jax.vmap(laid_out, -1, -1))(*flat)
    return y.reshape(*batch, *grid, channels)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _maxima(x: jax.Array, windows: tuple[Windows, ...]) -> jax.Array:
    """The maximum of each window, along one axis after the other."""

    def largest(start: int, taps: list) -> jax.Array:
        return functools.reduce(lax.max, [tap for (tap,) in taps])

    for axis in windows:
        x = axis.taps(largest, (-jnp.inf,), x)
    return x


@_maxima.defjvp
def _maxima_jvp(windows: tuple[Windows, ...], primals: tuple, tangents: tuple) -> tuple:
    """The tangents of the winners: the adjoint of the way back, on which cotangents are gathered.

    So the transpose of it is that way again. That of picking the winners, in terms of the image,
    would be ``select_and_scatter``, or one padded image for each tap. Both are many times slower.
    """
    (x,), (tangent,) = primals, tangents
    (y,), winners = _first_maxima((x,), windows)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    back = functools.partial(_to_the_winners, winners=winners, windows=windows)
    adjoint = jax.linear_transpose(back, jax.ShapeDtypeStruct(y.shape, wide))
    return y, adjoint(tangent.astype(wide))[0].astype(y.dtype)


def _first_maxima(
    arrays: tuple[jax.Array, ...], windows: tuple[Windows, ...]
) -> tuple[tuple[jax.Array, ...], list[jax.Array]]:
    """The first maximum of each window, along one axis after the other, and which taps won.

    Whatever else ``arrays`` holds is taken where the maximum of the first of them stands. Along the
    last axis first: among equals that leaves the first one in the order of reading.
    """
    winners = []
    for axis in windows:
        fills = (-jnp.inf, *(0,) * (len(arrays) - 1))
        *found, winner = axis.taps(functools.partial(_first_maximum, axis), fills, *arrays)
        arrays = tuple(found)
        winners.append(_kept(winner))
    return arrays, winners


def _first_maximum(axis: Windows, start: int, taps: list) -> list[jax.Array]:
    """What stands, in each array, at the first tap with the maximum, or the last nan; its number.

    XLA makes vector instructions of this. Of one that keeps the better of two, tap by tap, it does
    not inside of a loop such as ``lax.scan``.
    """
    values, *others = zip(*taps, strict=True)
    y = functools.reduce(lax.max, values)
    known = axis.in_image()[start:][: y.shape[axis.axis]]
    winner = jnp.zeros(y.shape, axis.counter)
    for j, x in enumerate(values):
        winner = jnp.where(jnp.isnan(x), jnp.asarray(j, winner.dtype), winner)
    for j, x in reversed(list(enumerate(values))):
        here = x == y
        here = here if known[:, j].all() else here & axis.along(known[:, j])
        winner = jnp.where(here, jnp.asarray(j, winner.dtype), winner)
    there = []
    for entries in others:
        entry = entries[0]
        for j, other in enumerate(entries[1:], 1):
            entry = jnp.where(winner == j, other, entry)
        there.append(entry)
    return [y, *there, winner]


def _kept(winner: jax.Array) -> jax.Array:
    """The same numbers, behind a division, which XLA computes once and not again at every use."""
    return lax.rem(winner, jnp.full_like(winner, jnp.iinfo(winner.dtype).max))


def _to_the_winners(
    ybar: jax.Array, winners: list[jax.Array], windows: tuple[Windows, ...]
) -> jax.Array:
    """What each pixel has won in all windows that see it."""

    def won(taps: list, _: None) -> jax.Array:
        return functools.reduce(jnp.add, [jnp.where(m == j, ybar, 0) for j, ybar, m in taps])

    for axis, winner in reversed(list(zip(windows, winners, strict=True))):
        ybar = axis.gathered(won, (0, -1), ybar, winner)
    return ybar
