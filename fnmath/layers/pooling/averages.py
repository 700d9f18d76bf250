"""Sums over windows: the average, and the norm."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.layers.pooling._windows import Padding, Sizes, Windows, spatial_windows
from fnmath.numerics import safe_divide


def avg_pool(
    x: Float[Array, "*image channels"],
    *,
    window: tuple[int, ...],
    strides: Sizes | None = None,
    padding: Padding = "VALID",
    dilation: Sizes = 1,
    ceil: bool = False,
    count_padding: bool = True,
) -> Float[Array, "*pooled channels"]:
    """Average over each window.

        y[o] = 1/N[o] Σⱼ x[o s + j d − l]        (j over the window; padding is 0)

    N[o] is how many pixels the window sees: those of the padding among them, as PyTorch and Flax
    count by default, or those of the image alone. What a last window sees past the padding, with
    ``ceil``, is never counted. The windows tile the image unless ``strides`` are given, as in
    PyTorch; Flax's are 1 then. Half-precision sums are carried in float32.

    Gradient:
        x̄[i] = Σₒ ȳ[o]/N[o] over the windows o that see x[i]

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
        count_padding: Whether padding counts (``count_include_pad`` of PyTorch and Flax).

    Returns:
        The averages.

    Raises:
        TypeError: If x does not hold floating-point numbers, or an option is of another type.
        ValueError: If x has too few axes or no pixels, an option does not fit the window, the
            window is larger than the padded image, or one sees nothing but padding.

    Example:
        >>> x = jnp.arange(16.0).reshape(4, 4, 1)
        >>> print(avg_pool(x, window=(2, 2))[..., 0])
        [[ 2.5  4.5]
         [10.5 12.5]]

    Source:
        Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016), §3 and §5.1;
        ``torch.nn.functional.avg_pool2d``.
    """
    _checks.boolean("avg_pool", "count_padding", count_padding)
    windows = spatial_windows(
        "avg_pool",
        x,
        window=window,
        strides=strides,
        padding=padding,
        dilation=dilation,
        ceil=ceil,
    )
    x = jnp.asarray(x)
    y = _sums(x.astype(jnp.promote_types(x.dtype, jnp.float32)), windows)
    counts = np.ones(())
    for axis in windows:
        places, low, high = axis.places(), 0, axis.pixels
        if count_padding:
            low, high = low - axis.low, high + axis.high
        counts = counts * axis.along(((places >= low) & (places < high)).sum(axis=1))
    return (y / counts.astype(y.dtype)).astype(x.dtype)


def lp_pool(
    x: Float[Array, "*image channels"],
    *,
    window: tuple[int, ...],
    p: float,
    strides: Sizes | None = None,
    padding: Padding = "VALID",
    dilation: Sizes = 1,
) -> Float[Array, "*pooled channels"]:
    """Norm of what each window sees: between its sum, p = 1, and its maximum, p → ∞.

        y[o] = (Σⱼ |x[o s + j d − l]|ᵖ)^(1/p)

    PyTorch leaves out the bars: its powers of negative numbers are negative for an odd p, and nan
    for a fractional one. Where x ≥ 0 or p is even, the numbers are PyTorch's. The powers are those
    of x over the largest |x| in its window, so that they neither overflow nor vanish.

    Gradient:
        ∂y/∂xⱼ = sign(xⱼ) (|xⱼ|/y)ᵖ⁻¹,    and 0 where y = 0, a subgradient

    The second derivatives, too, are 0 where y = 0; and those by an xⱼ = 0 where 1 < p < 2, which
    are infinite in one direction.

    Args:
        x: The images, channels last, with as many spatial axes as the window has sizes.
        window: The size of a window along each spatial axis, a tuple: ``(2, 2)`` for images.
        p: The order of the norm, a Python number p ≥ 1.
        strides: The steps from one window to the next; the sizes of the window if None.
        padding: "VALID", "SAME", "CAUSAL", or numbers of pixels, as in ``max_pool``.
        dilation: The steps between the pixels that a window sees.

    Returns:
        The norms.

    Raises:
        TypeError: If x does not hold floating-point numbers, or an option is of another type.
        ValueError: If p is below 1 or not finite, x has too few axes or no pixels, an option does
            not fit the window, the window is larger than the padded image, or one sees nothing but
            padding.

    Example:
        >>> x = jnp.array([3.0, -4.0, 0.0, 0.0])[:, None]
        >>> print(lp_pool(x, window=(2,), p=2)[:, 0])
        [5. 0.]

    Source:
        Gulcehre, Cho, Pascanu and Bengio, Learned-norm pooling for deep feedforward and recurrent
        neural networks (2014), §3; ``torch.nn.functional.lp_pool2d``.
    """
    if isinstance(p, jax.Array | np.ndarray):
        _checks.fail("lp_pool", "p is an array; wanted a Python number", error=TypeError)
    _checks.number("lp_pool", "p", p, above=1, closed="[")
    windows = spatial_windows(
        "lp_pool", x, window=window, strides=strides, padding=padding, dilation=dilation
    )
    x = jnp.asarray(x)
    y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    for axis in windows:
        y = _norms(y, axis, float(p))
    return y.astype(x.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _sums(x: jax.Array, windows: tuple[Windows, ...]) -> jax.Array:
    """The sum of what each window sees, along one axis after the other."""

    def total(start: int, taps: list) -> jax.Array:
        return functools.reduce(jnp.add, [tap for (tap,) in taps])

    for axis in windows:
        x = axis.taps(total, (0,), x)
    return x


@_sums.defjvp
def _sums_jvp(windows: tuple[Windows, ...], primals: tuple, tangents: tuple) -> tuple:
    """The same sums, as the adjoint of the way back, so that their transpose is that way again."""
    (x,), (tangent,) = primals, tangents

    def total(taps: list, _: None) -> jax.Array:
        return functools.reduce(jnp.add, [ybar for _, ybar in taps])

    def back(ybar: jax.Array) -> jax.Array:
        for axis in reversed(windows):
            ybar = axis.gathered(total, (0,), ybar)
        return ybar

    y = _sums(x, windows)
    return y, jax.linear_transpose(back, y)(tangent)[0]


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _norms(x: jax.Array, axis: Windows, p: float) -> jax.Array:
    """The norm of what each window sees along one axis. Norms of norms are those of it all."""

    def norm(start: int, taps: list) -> jax.Array:
        sizes = [jnp.abs(tap) for (tap,) in taps]
        scale = _scale(functools.reduce(jnp.maximum, sizes))
        return scale * sum(_power(size / scale, p) for size in sizes) ** (1 / p)

    return axis.taps(norm, (0,), x)


@_norms.defjvp
def _norms_jvp(axis: Windows, p: float, primals: tuple, tangents: tuple) -> tuple:
    """ẏ = ⟨g, ẋ⟩, as the adjoint of the way back, so that its transpose is that way again."""
    (x,), (tangent,) = primals, tangents
    y = _norms(x, axis, p)

    def total(taps: list, x: jax.Array) -> jax.Array:
        return functools.reduce(jnp.add, [ybar * _slope(x, y, p) for _, ybar, y in taps])

    def back(ybar: jax.Array) -> jax.Array:
        return axis.gathered(total, (0, 0), ybar, y, pixels=x)

    return y, jax.linear_transpose(back, y)(tangent)[0]


def _scale(x: jax.Array) -> jax.Array:
    """|x|, kept where its inverse, which divides, is a normal number too."""
    tiny = float(jnp.finfo(x.dtype).tiny)
    return jnp.clip(x, 4 * tiny, 0.25 / tiny)


def _power(x: jax.Array, q: float) -> jax.Array:
    """|x|^q, and what it tends to at x = 0 there, but 0 where that is infinite."""
    nonzero = x != 0
    return jnp.where(nonzero, jnp.where(nonzero, jnp.abs(x), 1) ** q, 1.0 if q == 0 else 0.0)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _slope(x: jax.Array, y: jax.Array, p: float) -> jax.Array:
    """The derivative g = sign(u) |u|ᵖ⁻¹ of the norm y by x, where u = x/y; 0 where y = 0."""
    u = _ratio(x, y)
    return jnp.sign(u) * _power(u, p - 1)


@_slope.defjvp
def _slope_jvp(p: float, primals: tuple, tangents: tuple) -> tuple:
    """ġ = (p − 1) |u|ᵖ⁻² u̇,    u̇ = (ẋ − u ẏ)/y."""
    (x, y), (xdot, ydot) = primals, tangents
    u = _ratio(x, y)
    udot = safe_divide(xdot - u * ydot, y)
    return _slope(x, y, p), (p - 1) * _power(u, p - 2) * udot


def _ratio(x: jax.Array, y: jax.Array) -> jax.Array:
    scale = _scale(y)
    return safe_divide(x / scale, y / scale)
