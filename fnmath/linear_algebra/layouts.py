"""Layouts: where the axes of a batch stand. No number changes, only its place.

Notation: the house's own layouts are channels-last, ``*batch height width channels`` for images,
``*batch time features`` for sequences, ``*batch frames height width channels`` for video. Each
layout has its inverse beside it; being permutations, each is also the adjoint of its inverse,
⟨f(x), y⟩ = ⟨x, f⁻¹(y)⟩, and that is the gradient. Any dtype will do.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jaxtyping import Array, Shaped

from fnmath import _checks


def flatten(x: Shaped[Array, "..."], *, axes: int) -> Shaped[Array, "*batch features"]:
    """Flat form of the last axes, all in one, in row-major order.

        y = vec(x),   y[…, i] = x[…, i₁, …, iₖ],   i = (…(i₁ n₂ + i₂) n₃ + …) + iₖ

    In a network: between the last convolution and the first dense layer. ``axes`` counts the axes
    of one example, so the batch axes stay whatever they are; ``x.reshape(-1)`` and
    ``x.reshape(len(x), -1)`` flatten them too, or fail on an empty batch.

    Gradient:
        x̄ = unflatten(ȳ, shape=x.shape[-axes:])

    Args:
        x: An array, of any dtype.
        axes: How many of the last axes to flatten: 3 for images, 2 for matrices.

    Returns:
        The batch axes of x, and one axis of features.

    Raises:
        TypeError: If x is not an array, or ``axes`` not an integer.
        ValueError: If ``axes`` is less than 1, or x has fewer axes.

    Example:
        >>> images = jnp.zeros((32, 28, 28, 3))
        >>> print(flatten(images, axes=3).shape)
        (32, 2352)

    Source:
        Harris et al., Array programming with NumPy (2020); ``numpy.reshape``, order "C".
    """
    _checks.size("flatten", axes=axes)
    _checks.rank("flatten", "x", x, " ".join(f"n{i + 1}" for i in range(axes)))
    batch, example = x.shape[: x.ndim - axes], x.shape[x.ndim - axes :]
    return jnp.reshape(x, (*batch, math.prod(example)))


def unflatten(
    y: Shaped[Array, "*batch features"], *, shape: tuple[int, ...]
) -> Shaped[Array, "..."]:
    """Array of a given shape from its flat form: the inverse of ``flatten``.

        x = vec⁻¹(y),   x[…, i₁, …, iₖ] = y[…, i],   i = (…(i₁ n₂ + i₂) n₃ + …) + iₖ

    In a network: a decoder's last vector becomes an image; a feature axis splits into heads.

    Gradient:
        ȳ = flatten(x̄, axes=len(shape))

    Args:
        y: Flat vectors, of any dtype.
        shape: The shape (n₁, …, nₖ) of one example; every size is given, −1 is not guessed.

    Returns:
        The batch axes of y, then those of ``shape``.

    Raises:
        TypeError: If y is not an array, ``shape`` not a tuple, or a size not an integer.
        ValueError: If y has no axis, a size is negative, or the sizes do not multiply to the number
            of features.

    Example:
        >>> print(unflatten(jnp.zeros((32, 2352)), shape=(28, 28, 3)).shape)
        (32, 28, 28, 3)

    Source:
        Harris et al., Array programming with NumPy (2020); ``numpy.reshape``, order "C".
    """
    _checks.rank("unflatten", "y", y, "features")
    if not isinstance(shape, tuple):
        problem = f"shape is {shape!r} ({type(shape).__name__}); wanted a tuple of integers"
        cure = f"({shape},)" if isinstance(shape, int) else ""
        _checks.fail("unflatten", problem, cure, error=TypeError)
    sizes = {f"shape[{i}]": size for i, size in enumerate(shape)}
    _checks.size("unflatten", minimum=0, **sizes)
    if math.prod(shape) != y.shape[-1]:
        problem = f"shape {shape} has {math.prod(shape)} entries and y {y.shape} has {y.shape[-1]}"
        _checks.fail("unflatten", f"{problem} features; wanted as many")
    return jnp.reshape(y, (*y.shape[:-1], *shape))


def channels_last(x: Shaped[Array, "..."], *, spatial: int = 2) -> Shaped[Array, "..."]:
    """Channels-last form of a channels-first array, from PyTorch's layout to this house's.

        *batch channels height width  ↦  *batch height width channels

    In a network: the features of one pixel lie side by side, so a 1 × 1 convolution is a matrix
    product over the last axis, as it is for sequences and vectors, and the rule that the last axis
    holds the features has no exception.

    Gradient:
        x̄ = channels_first(ȳ)

    Args:
        x: A channels-first array, of any dtype.
        spatial: How many axes follow the channels: 1 for sequences (time), 2 for images, 3 for
            video (frames, height, width).

    Returns:
        The same entries with the channels moved behind the spatial axes.

    Raises:
        TypeError: If x is not an array, or ``spatial`` not an integer.
        ValueError: If ``spatial`` is less than 1, or x has no more than ``spatial`` axes.

    Example:
        >>> print(channels_last(jnp.zeros((32, 3, 28, 26))).shape)
        (32, 28, 26, 3)
        >>> print(channels_last(jnp.zeros((3, 16, 28, 26)), spatial=3).shape)
        (16, 28, 26, 3)

    Source:
        The documentation of PyTorch, "Channels Last Memory Format".
    """
    _checks.size("channels_last", spatial=spatial)
    _checks.rank("channels_last", "x", x, f"channels {_spatial_axes(spatial)}")
    return jnp.moveaxis(x, -1 - spatial, -1)


def channels_first(x: Shaped[Array, "..."], *, spatial: int = 2) -> Shaped[Array, "..."]:
    """Channels-first form of a channels-last array: the inverse of ``channels_last``.

        *batch height width channels  ↦  *batch channels height width

    In a network: at the border, to and from PyTorch's weights, data and reference results.

    Gradient:
        x̄ = channels_last(ȳ)

    Args:
        x: A channels-last array, of any dtype.
        spatial: How many axes stand before the channels and belong to one example: 1 for sequences
            (time), 2 for images, 3 for video (frames, height, width).

    Returns:
        The same entries with the channels moved before the spatial axes.

    Raises:
        TypeError: If x is not an array, or ``spatial`` not an integer.
        ValueError: If ``spatial`` is less than 1, or x has no more than ``spatial`` axes.

    Example:
        >>> print(channels_first(jnp.zeros((32, 28, 26, 3))).shape)
        (32, 3, 28, 26)

    Source:
        The documentation of PyTorch, "Channels Last Memory Format".
    """
    _checks.size("channels_first", spatial=spatial)
    _checks.rank("channels_first", "x", x, f"{_spatial_axes(spatial)} channels")
    return jnp.moveaxis(x, -1, -1 - spatial)


def frames_to_batch(
    video: Shaped[Array, "*outer videos frames height width channels"],
) -> Shaped[Array, "*outer videos*frames height width channels"]:
    """Batch of all frames of a batch of videos, one image after another.

        images[…, v·frames + f, :, :, :] = video[…, v, f, :, :, :]

    In a network: one image network reads every frame, also where it wants a single batch axis.

    Gradient:
        the cotangent of the video is ``batch_to_frames`` of that of the images: x̄ = f⁻¹(ȳ)

    Args:
        video: Videos, of any dtype, with at least one batch axis; the last of those is joined with
            the frames, those before it stay.

    Returns:
        The images; the frames of one video follow one another.

    Raises:
        TypeError: If ``video`` is not an array.
        ValueError: If ``video`` has fewer than five axes.

    Example:
        >>> print(frames_to_batch(jnp.zeros((8, 16, 28, 28, 3))).shape)
        (128, 28, 28, 3)

    Source:
        Donahue et al., Long-term recurrent convolutional networks for visual recognition and
        description (2015), §3.
    """
    _checks.rank("frames_to_batch", "video", video, "videos frames height width channels")
    *outer, videos, frames, height, width, channels = video.shape
    return jnp.reshape(video, (*outer, videos * frames, height, width, channels))


def batch_to_frames(
    images: Shaped[Array, "*outer images height width channels"], *, frames: int
) -> Shaped[Array, "*outer videos {frames} height width channels"]:
    """Batch of videos from the batch of their frames: the inverse of ``frames_to_batch``.

        video[…, v, f, :, :, :] = images[…, v·frames + f, :, :, :]

    In a network: after an image network has read every frame, before a sequence network reads on.

    Gradient:
        the cotangent of the images is ``frames_to_batch`` of that of the video: x̄ = f⁻¹(ȳ)

    Args:
        images: Images, of any dtype, in which the frames of one video follow one another.
        frames: The number of frames of each video.

    Returns:
        The videos.

    Raises:
        TypeError: If ``images`` is not an array, or ``frames`` not an integer.
        ValueError: If ``images`` has fewer than four axes, or ``frames`` is less than 1 or does not
            divide their number.

    Example:
        >>> print(batch_to_frames(jnp.zeros((128, 28, 28, 3)), frames=16).shape)
        (8, 16, 28, 28, 3)

    Source:
        Donahue et al., Long-term recurrent convolutional networks for visual recognition and
        description (2015), §3.
    """
    _checks.size("batch_to_frames", frames=frames)
    _checks.rank("batch_to_frames", "images", images, "images height width channels")
    *outer, n, height, width, channels = images.shape
    if n % frames:
        problem = f"frames is {frames} and images {images.shape} are {n}"
        _checks.fail("batch_to_frames", f"{problem}; wanted a divisor of {n}")
    return jnp.reshape(images, (*outer, n // frames, frames, height, width, channels))


def _spatial_axes(spatial: int) -> str:
    """The names of the axes of one example, for messages."""
    names = {1: "time", 2: "height width", 3: "frames height width"}
    return names.get(spatial) or " ".join(f"n{i + 1}" for i in range(spatial))
