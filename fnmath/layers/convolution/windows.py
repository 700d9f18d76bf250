"""Windows of an image as an array of their own, and the adjoint, which adds them up again.

Notation: that of the convolution; p are the windows, ``*batch *grid *window channels``.

``fnmath.linear_algebra.patches`` is the same for images without padding and dilation.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Inexact, Shaped

from fnmath import _checks
from fnmath.layers.convolution._geometry import Padding, Sizes, grid, image_axes, named_axes
from fnmath.layers.convolution._margins import extended, extended_adjoint
from fnmath.linear_algebra import _grids
from fnmath.numerics._wide import computed_wide


def unfold(
    x: Shaped[Array, "..."],
    *,
    window: Sizes,
    strides: Sizes = 1,
    padding: Padding = "VALID",
    dilation: Sizes = 1,
) -> Shaped[Array, "..."]:
    """Windows of an image: all that the taps of each window see.

        p[i, a, c] = x̃[s i + d a − low, c]

    A convolution is a matrix product with it: with n axes of space, ``conv(ConvParams(K), x)`` is
    ``flatten(unfold(x), axes=n + 1) @ K.reshape(-1, out)`` for the same options. The entries are
    those of ``torch.nn.functional.unfold``, whose columns stand in the order ``channels *window``.

    Gradient:
        x̄ = fold(p̄)

    Args:
        x: Images ``*batch *space channels``, of any dtype.
        window: The size of the window on each axis of space; an integer means one axis.
        strides: How many entries lie between windows, for all axes or for each.
        padding: What is added around the image, as for ``conv``; nothing unless it is given, as in
            PyTorch.
        dilation: How many entries lie between the taps of a window, for all axes or for each.

    Returns:
        The windows ``*batch *grid *window channels``, in the dtype of x.

    Raises:
        TypeError: If x is not an array, or an option not an integer.
        ValueError: If x has too few axes, an option is out of range or not one for each axis, or
            the window spans more than the padded image.

    Example:
        >>> x = jnp.arange(1.0, 6.0)[:, None]  # one channel
        >>> print(unfold(x, window=2, strides=2, dilation=2)[..., 0])
        [[1. 3.]
         [3. 5.]]

    Source:
        Chellapilla, Puri and Simard, High performance convolutional neural networks for document
        processing (2006), §2; ``torch.nn.functional.unfold``.
    """
    name = "unfold"
    _checks.array(name, "x", x)
    window = named_axes(name, "window", window)
    sizes = image_axes(name, x, len(window))
    windows = grid(name, sizes, window, strides=strides, padding=padding, dilation=dilation)
    x = jnp.asarray(x)
    if 0 in windows.counts:
        batch = x.shape[: x.ndim - len(window) - 1]
        return jnp.zeros((*batch, *windows.counts, *window, x.shape[-1]), x.dtype)

    def cut(x: Array) -> Array:
        padded = extended(x, windows.margins, windows.modes)
        return _grids.cut(padded, windows.counts, window, windows.strides, windows.dilation)

    # Wide, so that the cotangents of half precision are added up in float32.
    return computed_wide(cut, x) if jnp.issubdtype(x.dtype, jnp.floating) else cut(x)


def fold(
    p: Inexact[Array, "..."],
    *,
    size: Sizes,
    strides: Sizes = 1,
    padding: Padding = "VALID",
    dilation: Sizes = 1,
) -> Inexact[Array, "..."]:
    """Image from windows laid back where they were cut and added up where they overlap.

        x[j, c] = Σ {p[i, a, c] : s i + d a − low = j}

    It is the adjoint of ``unfold`` at the same options, ⟨unfold(x), p⟩ = ⟨x, fold(p)⟩, and not its
    inverse: an entry that k taps see comes back k times. What lies on zeros of the padding is
    dropped; what lies on copies of entries is added to these. Half precision is summed in float32.

    Gradient:
        p̄ = unfold(x̄)

    Args:
        p: Windows ``*batch *grid *window channels``.
        size: The size of the image on each axis of space; an integer means one axis.
        strides: The strides, as they were given to ``unfold``.
        padding: The padding, as it was given to ``unfold``.
        dilation: The dilation, as it was given to ``unfold``.

    Returns:
        Images ``*batch *space channels``, in the dtype of p.

    Raises:
        TypeError: If p is not a floating or complex array, or an option not an integer.
        ValueError: If p has too few axes, an option is out of range or not one for each axis, the
            window spans more than the padded image, or the grid is not the one that ``unfold`` cuts
            from such an image.

    Example:
        >>> p = unfold(jnp.ones((5, 1)), window=3)
        >>> print(fold(p, size=5)[:, 0])
        [1. 2. 3. 2. 1.]

    Source:
        ``torch.nn.functional.fold``; Dumoulin and Visin, A guide to convolution arithmetic for deep
        learning (2016), §4.1.
    """
    name = "fold"
    _checks.inexact(name, p=p)
    size = named_axes(name, "size", size, minimum=0)
    axes = len(size)
    places = [f"{what}{i + 1}" for what in ("grid", "window") for i in range(axes)]
    _checks.rank(name, "p", p, " ".join([*places, "channels"]))
    shape = p.shape[p.ndim - 2 * axes - 1 :]
    window, options = shape[axes:-1], {"strides": strides, "padding": padding, "dilation": dilation}
    if 0 in window:
        _checks.fail(name, f"p has windows of {window}; wanted at least 1 everywhere")
    windows = grid(name, size, window, **options)
    if windows.counts != shape[:axes]:
        problem = f"p has a grid of {shape[:axes]} windows; wanted {windows.counts}"
        _checks.fail(name, f"{problem}, what unfold cuts from the size {size}")
    padded = tuple(n + sum(m) for n, m in zip(size, windows.margins, strict=True))
    steps = windows.strides, windows.dilation
    x = _grids.lay_back(jnp.asarray(p), padded, window, *steps)
    return extended_adjoint(x, windows, windows.margins).astype(p.dtype)
