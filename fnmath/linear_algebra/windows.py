"""Windows: images cut into patches, and patches added up into images again.

Notation: x is an image, p its patches; r, c count the windows down and across, i, j the pixels in
a window; sₕ, s_w are the strides, the steps from one window to the next.

A convolution is a matrix product with patches, ``flatten(patches(x, …), axes=3) @ kernel``, and its
gradient is the adjoint; a vision transformer's tokens are patches that do not overlap.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Inexact, Shaped

from fnmath import _checks
from fnmath.linear_algebra import _grids

Size = int | tuple[int, int]


def patches(
    images: Shaped[Array, "*batch height width channels"],
    *,
    window: Size,
    stride: Size | None = None,
) -> Shaped[Array, "*batch rows columns window_height window_width channels"]:
    """Patches of an image, everything that a window sees on its way across.

        p[r, c, i, j] = x[r sₕ + i, c s_w + j],   rows = ⌊(height − window_height)/sₕ⌋ + 1

    Only whole windows count: pixels past the last one belong to no patch, and nothing is padded.
    ``flatten(…, axes=3)`` makes vectors of them, in the order of a kernel ``*window in out``.

    Gradient:
        x̄ = patches_adjoint(p̄)

    Args:
        images: Images, channels-last, of any dtype.
        window: The window's height and width in pixels, or one number for both.
        stride: The steps down and across in pixels, or one number for both; the window itself if
            None, so that the patches tile the image.

    Returns:
        A grid of patches per image, each a small image.

    Raises:
        TypeError: If ``images`` is not an array, or a size not an integer.
        ValueError: If ``images`` has fewer than three axes, a size is less than 1, or the window is
            larger than the image.

    Example:
        >>> image = jnp.arange(16).reshape(4, 4, 1)
        >>> p = patches(image, window=2)
        >>> print(p.shape)
        (2, 2, 2, 2, 1)
        >>> print(p[0, 1, :, :, 0])
        [[2 3]
         [6 7]]

    Source:
        Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016), §2 and §4.1;
        for tokens: Dosovitskiy et al., An image is worth 16x16 words (2021), §3.1.
    """
    _checks.rank("patches", "images", images, "height width channels")
    window = _height_width("patches", "window", window)
    stride = window if stride is None else _height_width("patches", "stride", stride)
    _window_fits("patches", window, images.shape[-3:-1])
    grid = _grids.counts(images.shape[-3:-1], window, stride)
    return _grids.cut(jnp.asarray(images), grid, window, stride, (1, 1))


def patches_adjoint(
    p: Inexact[Array, "*batch rows columns window_height window_width channels"],
    *,
    height: int,
    width: int,
    stride: Size | None = None,
) -> Inexact[Array, "*batch {height} {width} channels"]:
    """Images from patches laid back where they were cut and added up where they overlap.

        ⟨patches(x), p⟩ = ⟨x, patches_adjoint(p)⟩    for all x and p

    It is the adjoint of ``patches``, not its inverse: a pixel that k windows see comes back k
    times, and one that no window sees comes back 0. Divided by ``patches_adjoint`` of ones, it is
    the average of overlapping predictions. Half-precision sums are carried in float32.

    Gradient:
        p̄ = patches(x̄)

    Args:
        p: A grid of patches per image.
        height: The height of the images in pixels.
        width: Their width in pixels.
        stride: The steps between windows, as they were given to ``patches``; the window if None.

    Returns:
        Images, channels-last.

    Raises:
        TypeError: If p is not a floating or complex array, or a size not an integer.
        ValueError: If p has fewer than five axes, a size is less than 1, the window is larger than
            the image, or the grid is not the one that ``patches`` cuts from such an image.

    Example:
        >>> overlapping = patches(jnp.ones((3, 3, 1)), window=2, stride=1)
        >>> print(patches_adjoint(overlapping, height=3, width=3, stride=1)[:, :, 0])
        [[1. 2. 1.]
         [2. 4. 2.]
         [1. 2. 1.]]

    Source:
        Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016), §4.1.
    """
    _checks.inexact("patches_adjoint", p=p)
    _checks.rank("patches_adjoint", "p", p, "rows columns window_height window_width channels")
    _checks.size("patches_adjoint", height=height, width=width)
    rows, columns, window_height, window_width = p.shape[-5:-1]
    image, window = (height, width), (window_height, window_width)
    stride = window if stride is None else _height_width("patches_adjoint", "stride", stride)
    _window_fits("patches_adjoint", window, image)
    grid = _grids.counts(image, window, stride)
    if grid != (rows, columns):
        problem = f"p has a grid of {(rows, columns)} patches; wanted {grid}, what {window} windows"
        _checks.fail("patches_adjoint", f"{problem} at stride {stride} cut from {image} pixels")
    return _grids.lay_back(jnp.asarray(p), image, window, stride, (1, 1)).astype(p.dtype)


def _height_width(function: str, argument: str, size: Size) -> tuple[int, int]:
    """Both sizes, each an integer of at least 1."""
    if isinstance(size, tuple):
        if len(size) != 2:
            _checks.fail(function, f"{argument} is {size}; wanted (height, width)")
        _checks.size(function, **{f"{argument}[{i}]": n for i, n in enumerate(size)})
        return size
    _checks.size(function, **{argument: size})
    return size, size


def _window_fits(function: str, window: tuple[int, int], image: tuple[int, ...]) -> None:
    """Raise where the window is larger than the image."""
    if window[0] > image[0] or window[1] > image[1]:
        problem = f"window {window} is larger than the image, {tuple(image)} pixels"
        _checks.fail(function, problem, "jnp.pad of the image first")
