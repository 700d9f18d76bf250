"""Images at another size: interpolation between pixels, and pixels folded into channels and back.

Notation: x is an image, y the resized one; along each axis n and m are their sizes, i counts the
pixels of y and j those of x. A, B are the interpolation matrices (m n) of the axes.

A pixel is a small square whose middle is its position: pixel j stands at j + ½, and the image
reaches from 0 to n. So a pixel i of y stands at (i + ½) n/m of x, which is between the pixels
⌊s⌋ and ⌊s⌋ + 1 for s = (i + ½) n/m − ½. With ``align_corners=True`` the middles of the first and of
the last pixels are laid on each other instead, s = i (n − 1)/(m − 1).

The same in torch, and in JAX where it has a counterpart:

    here                              torch.nn.functional.interpolate    jax.image.resize
    "nearest"                         mode="nearest"                     none
    "nearest-exact"                   mode="nearest-exact"               "nearest"
    "bilinear"                        mode="bilinear"                    "bilinear", antialias=False
    "bilinear", antialias=True        …, antialias=True                  "bilinear"
    "bicubic" (Keys's a = −¾)         mode="bicubic"                     none: a = −½ there
    "bicubic", antialias=True (a = −½)    …, antialias=True              "bicubic"
    align_corners=True                align_corners=True                 none
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int64, Shaped

from fnmath import _checks
from fnmath.layers._axes import spatial_axes

METHODS = ("nearest", "nearest-exact", "bilinear", "bicubic")


def resize(
    images: Shaped[Array, "*batch_and_spatial channels"],
    shape: tuple[int, ...],
    *,
    method: str,
    align_corners: bool = False,
    antialias: bool = False,
) -> Shaped[Array, "*batch_and_resized channels"]:
    """Images at the size asked for, interpolated along each axis in turn.

        Y = A X Bᵀ for each channel,    y[i] = Σⱼ A[i, j] x[j] along an axis

    The matrices have a few entries in each row, which sum to 1:

        "nearest"          1 at the pixel ⌊i n/m⌋
        "nearest-exact"    1 at the pixel ⌊(i + ½) n/m⌋, in whose square the middle of i lies
        "bilinear"         k(s − j) = 1 − |s − j| at the two pixels around s
        "bicubic"          Keys's k(s − j) at the four pixels around s, with a = −¾

    where s is the position of i among the pixels of x, and what lies outside of the image is the
    pixel at its edge. Only these pixels are read: one that is nan or infinite spoils its neighbours
    alone.

    An image made smaller by a factor c = n/m > 1 skips pixels, and fine patterns come out as coarse
    ones. ``antialias=True`` averages instead: k((s − j)/c), over all pixels of the image that it
    reaches, made to sum to 1; with a = −½ in Keys's k.

    Gradient:
        X̄ = Aᵀ Ȳ B, the adjoint: each pixel of y hands its cotangent back to those it was made of

    Args:
        images: Images, channels-last, with as many axes before the channels as ``shape`` has;
            floating-point, or of any dtype for the two nearest methods.
        shape: The new size of each spatial axis: (time,) for sequences, (height, width) for images,
            (frames, height, width) for video.
        method: One of ``"nearest"``, ``"nearest-exact"``, ``"bilinear"``, ``"bicubic"``; the last
            two interpolate along each axis, however many there are.
        align_corners: Whether the middles of the outermost pixels, and not their outer edges, are
            laid on each other. Only without ``antialias``, and not for the nearest methods.
        antialias: Whether to average over all pixels when made smaller; not for the nearest
            methods.

    Returns:
        The images, of the dtype given; half precision is computed in float32 and rounded once.

    Raises:
        TypeError: If ``images`` is not an array, or not of a floating dtype for a method that
            interpolates; ``shape`` is not a tuple of integers, ``method`` not a string, or an
            option not a boolean.
        ValueError: If ``images`` has not the axes of ``shape`` and channels, a size is 0, the
            method is unknown, or the options exclude each other.

    Example:
        >>> image = jnp.array([[0.0, 3.0]])[..., None]
        >>> print(resize(image, (1, 4), method="bilinear")[0, :, 0])
        [0.   0.75 2.25 3.  ]
        >>> print(resize(image, (1, 4), method="bilinear", align_corners=True)[0, :, 0])
        [0. 1. 2. 3.]

    Source:
        Keys, Cubic convolution interpolation for digital image processing (1981), equation (4) and
        appendix; ``torch.nn.functional.interpolate``. (PyTorch finds the nearest pixels in float32,
        and so of 2 pixels made 82 it takes the first one 42 times; here it is in integers.)
    """
    _checks.array("resize", "images", images)
    _sizes("resize", "shape", shape)
    _options("resize", images, method, align_corners, antialias)
    _checks.rank("resize", "images", images, spatial_axes(len(shape)))
    return _resized("resize", images, shape, method, align_corners, antialias)


def upsample(
    images: Shaped[Array, "*batch_and_spatial channels"],
    factor: int | tuple[int, ...],
    *,
    method: str,
    align_corners: bool = False,
    spatial: int = 2,
) -> Shaped[Array, "*batch_and_resized channels"]:
    """Images enlarged by a whole factor, interpolated along each axis in turn.

        upsample(x, r) = resize(x, (r · height, r · width))

    Gradient:
        X̄ = Aᵀ Ȳ B with the matrices of ``resize``; for ``"nearest"`` the sum over each r × r block

    Args:
        images: Images, channels-last; floating-point, or of any dtype for the nearest methods.
        factor: The factor r, or one for each spatial axis.
        method: One of ``"nearest"``, ``"nearest-exact"`` (the same, for whole factors),
            ``"bilinear"``, ``"bicubic"``, as for ``resize``.
        align_corners: Whether the middles of the outermost pixels are laid on each other, and not
            their outer edges; not for the nearest methods.
        spatial: How many axes before the channels belong to one example: 1 for sequences (time), 2
            for images, 3 for video (frames, height, width).

    Returns:
        The images, of the dtype given.

    Raises:
        TypeError: If ``images`` is not an array, or not of a floating dtype for a method that
            interpolates; a factor or ``spatial`` is not an integer, ``method`` not a string, or an
            option not a boolean.
        ValueError: If ``images`` has no more than ``spatial`` axes, or one of size 0; a factor or
            ``spatial`` is below 1, there is not one factor for each axis, the method is unknown, or
            is a nearest one with ``align_corners``.

    Example:
        >>> image = jnp.array([[1, 2]])[..., None]
        >>> print(upsample(image, 2, method="nearest")[:, :, 0])
        [[1 1 2 2]
         [1 1 2 2]]

    Source:
        Odena, Dumoulin and Olah, Deconvolution and checkerboard artifacts (2016);
        ``torch.nn.Upsample``.
    """
    _checks.size("upsample", spatial=spatial)
    if not isinstance(factor, tuple):
        _checks.size("upsample", factor=factor)
    factors = factor if isinstance(factor, tuple) else (factor,) * spatial
    _sizes("upsample", "factor", factors)
    if len(factors) != spatial:
        _checks.fail("upsample", f"factor is {factor}; wanted {spatial} factors, one for each axis")
    _options("upsample", images, method, align_corners, antialias=False)
    _checks.rank("upsample", "images", images, spatial_axes(spatial))
    before = images.shape[-1 - spatial : -1]
    shape = tuple(r * n for r, n in zip(factors, before, strict=True))
    return _resized("upsample", images, shape, method, align_corners, antialias=False)


def pixel_shuffle(
    images: Shaped[Array, "*batch height width channels"], factor: int
) -> Shaped[Array, "*batch new_height new_width fewer_channels"]:
    """Images r times as large, made of r² channels for each of theirs: depth to space.

        y[r·h + i, r·w + j, c] = x[h, w, c r² + i r + j]

    The r² channels of one are neighbours, as in PyTorch (the same numbers, moved from channels
    first to last). In TensorFlow's ``depth_to_space`` those of one place (i, j) are.

    Gradient:
        x̄ = pixel_unshuffle(ȳ), the inverse and the adjoint: entries only change places

    Args:
        images: Images, channels-last, of any dtype.
        factor: The factor r of height and width.

    Returns:
        The larger images, with one channel for each r² of x.

    Raises:
        TypeError: If ``images`` is not an array, or ``factor`` not an integer.
        ValueError: If ``images`` has fewer than three axes, ``factor`` is below 1, or its square
            does not divide the channels.

    Example:
        >>> pixel = jnp.array([[[1, 2, 3, 4]]])
        >>> print(pixel_shuffle(pixel, 2)[:, :, 0])
        [[1 2]
         [3 4]]

    Source:
        Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel
        convolutional neural network (2016), §3.2, equation (4);
        ``torch.nn.functional.pixel_shuffle``.
    """
    _checks.rank("pixel_shuffle", "images", images, "height width channels")
    _checks.size("pixel_shuffle", factor=factor)
    *batch, height, width, channels = images.shape
    if channels % factor**2:
        problem = f"the {channels} channels are not divisible by factor² {factor**2}"
        _checks.fail("pixel_shuffle", problem)
    split = (*batch, height, width, channels // factor**2, factor, factor)
    blocks = jnp.einsum("...hwcij->...hiwjc", jnp.reshape(images, split))
    return jnp.reshape(blocks, (*batch, factor * height, factor * width, channels // factor**2))


def pixel_unshuffle(
    images: Shaped[Array, "*batch height width channels"], factor: int
) -> Shaped[Array, "*batch new_height new_width more_channels"]:
    """Images a whole factor smaller, with the pixels of each block as channels: space to depth.

        y[h, w, c r² + i r + j] = x[r·h + i, r·w + j, c]

    The inverse of ``pixel_shuffle``, in PyTorch's order of the channels: a way to make an image
    smaller that loses nothing.

    Gradient:
        x̄ = pixel_shuffle(ȳ), the inverse and the adjoint: entries only change places

    Args:
        images: Images, channels-last, of any dtype.
        factor: The factor r by which height and width become smaller.

    Returns:
        The smaller images, with r² channels for each of x.

    Raises:
        TypeError: If ``images`` is not an array, or ``factor`` not an integer.
        ValueError: If ``images`` has fewer than three axes, ``factor`` is below 1, or does not
            divide height and width.

    Example:
        >>> image = jnp.array([[1, 2], [3, 4]])[..., None]
        >>> print(pixel_unshuffle(image, 2))
        [[[1 2 3 4]]]

    Source:
        Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel
        convolutional neural network (2016), §3.2; ``torch.nn.functional.pixel_unshuffle``.
    """
    _checks.rank("pixel_unshuffle", "images", images, "height width channels")
    _checks.size("pixel_unshuffle", factor=factor)
    *batch, height, width, channels = images.shape
    if height % factor or width % factor:
        problem = f"an image of {height} × {width} pixels is not divisible by factor {factor}"
        _checks.fail("pixel_unshuffle", problem)
    split = (*batch, height // factor, factor, width // factor, factor, channels)
    blocks = jnp.einsum("...hiwjc->...hwcij", jnp.reshape(images, split))
    return jnp.reshape(blocks, (*split[: len(batch) + 1], width // factor, channels * factor**2))


class _Rows(NamedTuple):
    """A matrix with few entries in each row: ``weights`` (row entry) in those ``columns``."""

    columns: Int64[np.ndarray, "row entry"]
    weights: Float[np.ndarray, "row entry"]


def _nearest(n: int, m: int, twice_offset: int) -> np.ndarray:
    """The pixels ⌊(i + offset) n/m⌋, in integers."""
    return (2 * np.arange(m) + twice_offset) * n // (2 * m)


def _middles(n: int, m: int) -> np.ndarray:
    """The positions s = (i + ½) n/m − ½, rounded once."""
    return ((2 * np.arange(m) + 1) * n - m) / (2 * m)


def _keys(a: float) -> Callable[[np.ndarray], np.ndarray]:
    """Keys's cubic, 1 at 0, 0 at all other integers, and smooth; the slope at 1 is a."""

    def k(t: np.ndarray) -> np.ndarray:
        t = np.abs(t)
        near = ((a + 2) * t - (a + 3)) * t * t + 1
        far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
        return np.where(t <= 1, near, np.where(t < 2, far, 0))

    return k


def _triangle(t: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(t), 0)


def _interpolation(n: int, m: int, method: str, align_corners: bool) -> _Rows:
    """The two or four pixels around each position, those outside being the pixel at the edge."""
    s = np.arange(m) * (n - 1) / max(m - 1, 1) if align_corners else _middles(n, m)
    reach, k = (1, _triangle) if method == "bilinear" else (2, _keys(-0.75))
    j = np.floor(s).astype(np.int64)[:, None] + np.arange(1 - reach, 1 + reach)
    return _Rows(np.clip(j, 0, n - 1), k(s[:, None] - j))


def _average(n: int, m: int, method: str) -> _Rows:
    """All pixels in reach of each position, stretched by n/m where the image becomes smaller."""
    stretch = max(n / m, 1)
    reach, k = (1, _triangle) if method == "bilinear" else (2, _keys(-0.5))
    s = _middles(n, m)
    first = np.ceil(s - reach * stretch).astype(np.int64)[:, None]
    j = first + np.arange(math.floor(2 * reach * stretch) + 1)
    weights = np.where((j >= 0) & (j < n), k((s[:, None] - j) / stretch), 0)
    return _Rows(np.clip(j, 0, n - 1), weights / weights.sum(axis=1, keepdims=True))


def _along(x: Array, axis: int, rows: _Rows) -> Array:
    """Σⱼ A[i, j] x[j] along the axis, entry by entry of the rows."""
    shape = [len(rows.columns) if k == axis else 1 for k in range(x.ndim)]

    def add(y: Array, entry: tuple[Array, Array]) -> tuple[Array, None]:
        index, weights = entry
        weights = jnp.reshape(weights, shape)
        taken = jnp.take(x, index, axis, mode="clip", indices_are_sorted=True)
        # Where the weight is 0 the pixel does not count, not even an infinite one.
        return y + jnp.where(weights == 0, 0, weights * taken), None

    entries = (jnp.asarray(rows.columns.T), jnp.asarray(rows.weights.T, x.dtype))
    size = tuple(shape[k] if k == axis else x.shape[k] for k in range(x.ndim))
    few = min(len(entries[0]), 8)
    return jax.lax.scan(add, jnp.zeros(size, x.dtype), entries, unroll=few)[0]


def _resized(
    function: str, images: Any, shape: Any, method: str, align_corners: bool, antialias: bool
) -> Array:
    """Each axis in turn, those first that become smaller."""
    images = jnp.asarray(images)
    axes = range(images.ndim - 1 - len(shape), images.ndim - 1)
    if any(images.shape[axis] == 0 for axis in axes):
        _checks.fail(function, f"images has shape {images.shape}; wanted at least one pixel")
    if method.startswith("nearest"):
        for axis, m in zip(axes, shape, strict=True):
            index = _nearest(images.shape[axis], m, method == "nearest-exact")
            images = jnp.take(images, index, axis, mode="clip", indices_are_sorted=True)
        return images
    x = images.astype(jnp.promote_types(images.dtype, jnp.float32))
    for axis, m in sorted(zip(axes, shape, strict=True), key=lambda a: a[1] / x.shape[a[0]]):
        n = x.shape[axis]
        average = _average(n, m, method) if antialias else None
        x = _along(x, axis, average or _interpolation(n, m, method, align_corners))
    return x.astype(images.dtype)


def _sizes(function: str, argument: str, sizes: Any) -> None:
    """Raise unless ``sizes`` is a tuple of integers, each at least 1."""
    if not isinstance(sizes, tuple):
        problem = f"{argument} is a {type(sizes).__name__}; wanted a tuple of integers"
        _checks.fail(function, problem, error=TypeError)
    if not sizes:
        _checks.fail(function, f"{argument} is (); wanted one size for each spatial axis")
    _checks.size(function, **{f"{argument}[{i}]": n for i, n in enumerate(sizes)})


def _options(function: str, images: Any, method: Any, align_corners: Any, antialias: Any) -> None:
    """Raise unless the method is known, and what it is given fits it."""
    _checks.array(function, "images", images)
    _checks.option(function, "method", method, METHODS)
    _checks.boolean(function, "align_corners", align_corners)
    _checks.boolean(function, "antialias", antialias)
    nearest = method.startswith("nearest")
    if not nearest:
        _checks.floating(function, images=images)
    if nearest and (align_corners or antialias):
        option = "align_corners" if align_corners else "antialias"
        _checks.fail(function, f"{option} is True; wanted False for the method {method!r}")
    if align_corners and antialias:
        _checks.fail(function, "align_corners and antialias are both True; wanted one at most")
