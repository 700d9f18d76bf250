"""Convolutions that take space and channels apart: depthwise, and separable.

Notation: that of the convolution, with m outputs for each channel.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.initializers import zeros
from fnmath.layers._arguments import Initializer, bias_fits, unpacked
from fnmath.layers.convolution._geometry import Padding, Sizes, grid, image_axes, named_axes
from fnmath.layers.convolution._operations import convolve, method_known
from fnmath.layers.convolution._params import (
    ConvParams,
    biased,
    drawn_params,
    fits_groups,
    kernel_and_bias,
)


class SeparableConvParams(NamedTuple):
    """The parameters of a separable convolution: its ``depthwise`` and its ``pointwise`` part."""

    depthwise: ConvParams
    pointwise: ConvParams


def depthwise_conv_init(
    key: PRNGKeyArray,
    window: Sizes,
    channels: int,
    *,
    multiplier: int = 1,
    use_bias: bool = True,
    kernel_init: Initializer | None = None,
    bias_init: Initializer = zeros,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> ConvParams:
    """Random parameters of a depthwise convolution.

        K ~ 𝒩(0, 1/|window|), truncated,    b = 0

    Those of ``conv_init`` with as many groups as channels: an output sums over one window of one
    channel.

    Args:
        key: The random key, consumed by the kernel (and by a random bias initialiser).
        window: The size of the window on each axis of space; an integer means one axis.
        channels: The number of input channels.
        multiplier: The number m of outputs for each channel.
        use_bias: Whether there is a bias; without one it is None.
        kernel_init: Draws the kernel, as ``kernel_init(key, (*window, 1, channels · m), dtype)``;
            LeCun's truncated normal when None.
        bias_init: Draws the bias, as ``bias_init(key, (channels · m,), dtype)``.
        dtype: The dtype of both.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, ``use_bias`` not a
            boolean, an initialiser not a function or what it draws not an array, or the dtype not a
            floating one.
        ValueError: If a size is below 1, or an initialiser draws another shape than asked for.

    Example:
        >>> params = depthwise_conv_init(jax.random.key(0), (3, 3), 16, multiplier=2)
        >>> print(params.kernel.shape, params.bias.shape)
        (3, 3, 1, 32) (32,)

    Source:
        LeCun, Bottou, Orr and Müller, Efficient BackProp (1998), §4.6.
    """
    name = "depthwise_conv_init"
    _checks.key(name, key)
    shape = named_axes(name, "window", window)
    _checks.size(name, channels=channels, multiplier=multiplier)
    shape = (*shape, 1, channels * multiplier)
    given = {"use_bias": use_bias, "kernel_init": kernel_init, "bias_init": bias_init}
    return drawn_params(name, key, shape, shape[-1], **given, dtype=dtype)


def depthwise_conv(
    params: ConvParams,
    x: Float[Array, "... channels"],
    *,
    strides: Sizes = 1,
    padding: Padding = "SAME",
    dilation: Sizes = 1,
    method: str | None = None,
) -> Float[Array, "... out"]:
    """Depthwise convolution: each channel has kernels of its own and sees no other channel.

        y[i, m c + r] = b[m c + r] + Σₐ x̃[s i + d a − low, c] K[a, 0, m c + r],    0 ≤ r < m

    It is ``conv`` with as many groups as channels.

    Gradient:
        that of ``conv`` with as many groups as channels

    Args:
        params: The kernel (*window, 1, channels · m), whose window says how many axes of space
            there are, and the bias (channels · m,), which may be None.
        x: Images ``*batch *space channels``.
        strides: How many entries lie between windows, for all axes or for each.
        padding: What is added around the image, as for ``conv``.
        dilation: How many entries lie between the taps of a window, for all axes or for each.
        method: How it is computed, as for ``conv``.

    Returns:
        The outputs ``*batch *grid channels·m``, in the dtype of the operands.

    Raises:
        TypeError: If params is not a pair, an array does not hold floating-point numbers, an option
            not an integer, or the method not a string.
        ValueError: If the kernel is not one of that shape, the bias does not fit, an option is out
            of range or not one for each axis, or the window spans more than the padded image.

    Example:
        >>> params = ConvParams(kernel=jnp.array([[[1.0, 10.0]], [[1.0, 0.0]]]))  # sums; copies
        >>> x = jnp.array([[1.0, 5.0], [2.0, 6.0], [3.0, 7.0]])
        >>> print(depthwise_conv(params, x, padding="VALID"))
        [[ 3. 50.]
         [ 5. 60.]]

    Source:
        Howard et al., MobileNets (2017), §3.1.
    """
    name = "depthwise_conv"
    method_known(name, method)
    options = {"strides": strides, "padding": padding, "dilation": dilation, "method": method}
    return _depthwise(name, params, x, **options)


def _depthwise(
    name: str,
    params: ConvParams,
    x: Float[Array, "... channels"],
    *,
    strides: Sizes,
    padding: Padding,
    dilation: Sizes,
    method: str | None,
) -> Float[Array, "... out"]:
    """As many groups as channels, in the name of the function that was called."""
    kernel, bias = kernel_and_bias(name, params, x)
    sizes = image_axes(name, x, kernel.ndim - 2)
    if kernel.shape[-2] != 1:
        problem = f"kernel has shape {kernel.shape}; wanted (*window 1 out)"
        _checks.fail(name, problem, "conv" if kernel.shape[-2] == x.shape[-1] else "")
    if not x.shape[-1]:
        _checks.fail(name, f"x has shape {x.shape}; wanted at least one channel")
    fits_groups(name, x, kernel, x.shape[-1])
    bias_fits(name, bias, kernel.shape[-1])
    options = {"strides": strides, "padding": padding, "dilation": dilation}
    windows = grid(name, sizes, kernel.shape[:-2], **options)
    y = convolve(jnp.asarray(x), kernel, windows, groups=x.shape[-1], method=method)
    return biased(y, bias, x, kernel)


def separable_conv_init(
    key: PRNGKeyArray,
    window: Sizes,
    in_channels: int,
    out_channels: int,
    *,
    multiplier: int = 1,
    use_bias: bool = True,
    kernel_init: Initializer | None = None,
    bias_init: Initializer = zeros,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> SeparableConvParams:
    """Random parameters of a separable convolution.

        D ~ 𝒩(0, 1/|window|),    P ~ 𝒩(0, 1/(m · in)),    both truncated,    b = 0

    The depthwise part has no bias: the pointwise one would only turn it into another bias.

    Args:
        key: The random key, consumed by the kernels (and by a random bias initialiser).
        window: The size of the window on each axis of space; an integer means one axis.
        in_channels: The number of input channels.
        out_channels: The number of output channels.
        multiplier: The number m of channels between the two parts for each input channel.
        use_bias: Whether there is a bias; without one it is None.
        kernel_init: Draws both kernels, as ``kernel_init(key, shape, dtype)``: D in the shape
            (*window, 1, in · m) and P in (1, …, 1, in · m, out); LeCun's truncated normal when
            None.
        bias_init: Draws the bias, as ``bias_init(key, (out,), dtype)``.
        dtype: The dtype of all.

    Returns:
        The parameters of the two parts.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, ``use_bias`` not a
            boolean, an initialiser not a function or what it draws not an array, or the dtype not a
            floating one.
        ValueError: If a size is below 1, or an initialiser draws another shape than asked for.

    Example:
        >>> params = separable_conv_init(jax.random.key(0), (3, 3), 16, 32)
        >>> print(params.depthwise.kernel.shape, params.pointwise.kernel.shape)
        (3, 3, 1, 16) (1, 1, 16, 32)

    Source:
        LeCun, Bottou, Orr and Müller, Efficient BackProp (1998), §4.6;
        Chollet, Xception: deep learning with depthwise separable convolutions (2017), §1.
    """
    name = "separable_conv_init"
    _checks.key(name, key)
    window = named_axes(name, "window", window)
    _checks.size(name, in_channels=in_channels, out_channels=out_channels, multiplier=multiplier)
    middle = in_channels * multiplier
    first, second = jax.random.split(key)
    options = {"kernel_init": kernel_init, "bias_init": bias_init, "dtype": dtype}
    depthwise = drawn_params(name, first, (*window, 1, middle), middle, use_bias=False, **options)
    shape = (*(1 for _ in window), middle, out_channels)
    pointwise = drawn_params(name, second, shape, out_channels, use_bias=use_bias, **options)
    return SeparableConvParams(depthwise, pointwise)


def separable_conv(
    params: SeparableConvParams,
    x: Float[Array, "... in"],
    *,
    strides: Sizes = 1,
    padding: Padding = "SAME",
    dilation: Sizes = 1,
    method: str | None = None,
) -> Float[Array, "... out"]:
    """Separable convolution: over space channel by channel, then over channels place by place.

        y = z P + b,    z = depthwise_conv(D, x)

    It is a ``conv`` whose kernel is the product K[a, c, o] = Σᵣ D[a, 0, m c + r] P[m c + r, o], for
    |window| · in · m + in · m · out parameters instead of |window| · in · out.

    Gradient:
        z̄ = ȳ Pᵀ,    P̄ = zᵀ ȳ,    b̄ = Σ ȳ,    and those of ``depthwise_conv`` from z̄

    Args:
        params: The depthwise kernel D (*window, 1, in · m) and the pointwise kernel P
            (1, …, 1, in · m, out), each with its bias, which may be None.
        x: Images ``*batch *space in``.
        strides: How many entries lie between windows, for all axes or for each.
        padding: What is added around the image, as for ``conv``.
        dilation: How many entries lie between the taps of a window, for all axes or for each.
        method: How the depthwise part is computed, as for ``conv``.

    Returns:
        The outputs ``*batch *grid out``, in the dtype of the operands.

    Raises:
        TypeError: If params is not a pair of pairs, an array does not hold floating-point numbers,
            an option not an integer, or the method not a string.
        ValueError: If a kernel is not of those shapes, a bias does not fit, an option is out of
            range or not one for each axis, or the window spans more than the padded image.

    Example:
        >>> params = separable_conv_init(jax.random.key(0), (3, 3), 16, 32)
        >>> print(separable_conv(params, jnp.ones((8, 28, 28, 16)), strides=2).shape)
        (8, 14, 14, 32)

    Source:
        Chollet, Xception: deep learning with depthwise separable convolutions (2017), §1.
    """
    name = "separable_conv"
    method_known(name, method)
    depthwise, pointwise = unpacked(name, params, SeparableConvParams)
    _checks.instance(name, "params.depthwise", depthwise, tuple)
    _checks.instance(name, "params.pointwise", pointwise, tuple)
    options = {"strides": strides, "padding": padding, "dilation": dilation, "method": method}
    z = _depthwise(name, depthwise, x, **options)
    kernel, bias = kernel_and_bias(name, pointwise, z)
    ones = (1,) * (jnp.ndim(depthwise[0]) - 2)
    if kernel.shape[:-2] != ones:
        problem = (
            f"params.pointwise has a kernel of shape {kernel.shape}; wanted (*{ones}, in, out)"
        )
        _checks.fail(name, problem)
    between = {"params.depthwise": z.shape[-1], "params.pointwise": kernel.shape[-2]}
    _checks.same_size(name, "channels between the parts", **between)
    bias_fits(name, bias, kernel.shape[-1])
    wide = jnp.promote_types(jnp.result_type(z, kernel), jnp.float32)
    matrix = kernel.reshape(kernel.shape[-2:])
    return biased(jnp.matmul(z, matrix, preferred_element_type=wide), bias, z, kernel)
