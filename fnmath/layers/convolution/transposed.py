"""The transposed convolution: the adjoint of a convolution, which makes large images of small ones.

Notation: that of the convolution. x is the small image, ``*batch *grid in``, and y the large one.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.initializers import variance_scaling, zeros
from fnmath.layers._arguments import Initializer, bias_fits
from fnmath.layers.convolution._geometry import (
    Padding,
    Sizes,
    image_axes,
    named_axes,
    transposed_grid,
)
from fnmath.layers.convolution._operations import convolve_adjoint, method_known
from fnmath.layers.convolution._params import (
    ConvTransposeParams,
    biased,
    divides,
    drawn_params,
    kernel_and_bias,
)


def conv_transpose_init(
    key: PRNGKeyArray,
    window: Sizes,
    in_channels: int,
    out_channels: int,
    *,
    groups: int = 1,
    use_bias: bool = True,
    kernel_init: Initializer | None = None,
    bias_init: Initializer = zeros,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> ConvTransposeParams:
    """Random parameters of a transposed convolution.

        K ~ 𝒩(0, 1/n_in), truncated,    b = 0,    n_in = |window| · in/groups

    At stride 1 an output away from the edges sums over n_in inputs, so that inputs of variance 1
    give outputs of variance 1. At strides s only one in ∏ s taps meets an input, and the variance
    is 1/∏ s; ``variance_scaling(groups * prod(s), "fan_in", "truncated_normal")`` makes up for it.
    Flax's default is the same at one group.

    Args:
        key: The random key, consumed by the kernel (and by a random bias initialiser).
        window: The size of the window on each axis of space; an integer means one axis.
        in_channels: The number of input channels.
        out_channels: The number of output channels.
        groups: Into how many groups the channels fall, which do not see each other.
        use_bias: Whether there is a bias; without one it is None.
        kernel_init: Draws the kernel, as ``kernel_init(key, (*window, in, out/groups), dtype)``;
            the truncated normal above when None.
        bias_init: Draws the bias, as ``bias_init(key, (out,), dtype)``.
        dtype: The dtype of both.

    Returns:
        The parameters, the kernel with its axes as PyTorch names them: (*window, in, out/groups).

    Raises:
        TypeError: If the key is not a random key, a size not an integer, ``use_bias`` not a
            boolean, an initialiser not a function or what it draws not an array, or the dtype not a
            floating one.
        ValueError: If a size is below 1, the groups do not divide both numbers of channels, or an
            initialiser draws another shape than asked for.

    Example:
        >>> params = conv_transpose_init(jax.random.key(0), (2, 2), 32, 16)
        >>> print(params.kernel.shape, params.bias.shape)
        (2, 2, 32, 16) (16,)

    Source:
        LeCun, Bottou, Orr and Müller, Efficient BackProp (1998), §4.6.
    """
    name = "conv_transpose_init"
    _checks.key(name, key)
    shape = named_axes(name, "window", window)
    _checks.size(name, in_channels=in_channels, out_channels=out_channels)
    divides(name, groups, in_channels=in_channels, out_channels=out_channels)
    shape = (*shape, in_channels, out_channels // groups)
    default = variance_scaling(groups, "fan_in", "truncated_normal")
    kernel_init = default if kernel_init is None else kernel_init
    given = {"use_bias": use_bias, "kernel_init": kernel_init, "bias_init": bias_init}
    drawn = drawn_params(name, key, shape, out_channels, **given, dtype=dtype)
    return ConvTransposeParams(*drawn)


def conv_transpose(
    params: ConvTransposeParams,
    x: Float[Array, "... in"],
    *,
    strides: Sizes = 1,
    padding: Padding = "SAME",
    output_padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    method: str | None = None,
) -> Float[Array, "... out"]:
    """Transposed convolution: every input adds its multiple of the kernel to the output.

        y[j, o] = b[o] + Σ {x[i, c] K[a, c, o] : s i + d a − low = j}

    It is the adjoint of ``conv`` at the same strides, padding, dilation and groups, and not its
    inverse: with K* for K with its last two axes swapped, and no bias,

        ⟨conv(K*, y), x⟩ = ⟨y, conv_transpose(K, x)⟩    for all images y of the output's size

    for every padding. Images of several sizes have the same number n of windows of span k. Padding
    by amounts gives the smallest of them, as PyTorch does, and ``output_padding`` adds to it:

        amounts      (n − 1) s + k − low − high + output_padding
        "VALID"      n s + max(k − s, 0)
        the others   n s

    where the named ones are the sizes of ``lax.conv_transpose`` and of Flax.

    The axes of the kernel are those of ``torch.nn.ConvTranspose2d``, the window first. Flax's
    ``ConvTranspose`` does not turn the kernel round: its kernel K′ is ours with the window turned
    round, K = flip(K′) on the axes of the window; with ``transpose_kernel=True`` it is K*.

    Gradient:
        x̄ = conv(K*, ȳ) at the same options
        K̄[a, c, o] = Σ_batch Σᵢ x[i, c] ȳ[s i + d a − low, o],    b̄ = Σ_batch Σⱼ ȳ[j]

    Args:
        params: The kernel (*window, in, out/groups), whose window says how many axes of space there
            are, and the bias (out,), which may be None.
        x: Images ``*batch *space in``.
        strides: The strides of the convolution, by which this one enlarges.
        padding: The padding of the convolution, as for ``conv``: what it adds around the image is
            here taken off (``"CAUSAL"`` before, amounts on both sides) or, where it copies entries
            of the image, added back to these.
        output_padding: How many outputs more behind, for all axes or for each; less than the stride
            or the dilation, and 0 with a named padding.
        dilation: How many entries lie between the taps of a window, for all axes or for each.
        groups: Into how many groups the channels fall.
        method: How it is computed, as for ``conv``.

    Returns:
        The outputs ``*batch *space out``, in the dtype of the operands; half precision is summed in
        float32. An axis without inputs gives one without outputs.

    Raises:
        TypeError: If params is not a pair, an array does not hold floating-point numbers, an option
            not an integer, or the method not a string.
        ValueError: If the kernel has no window or does not fit the channels of x and the groups,
            the bias does not fit, an option is out of range or not one for each axis, or the
            padding takes off everything.

    Example:
        >>> params = ConvTransposeParams(jnp.array([1.0, 2.0, 3.0]).reshape(3, 1, 1))
        >>> x = jnp.array([1.0, 10.0])[:, None]  # one channel
        >>> print(conv_transpose(params, x, strides=2, padding=0)[:, 0])
        [ 1.  2. 13. 20. 30.]
        >>> print(conv_transpose(params, x, strides=2)[:, 0])
        [ 1.  2. 13. 20.]

    Source:
        Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016), §4.
    """
    name = "conv_transpose"
    method_known(name, method)
    kernel, bias = kernel_and_bias(name, params, x, ConvTransposeParams)
    number = image_axes(name, x, kernel.ndim - 2)
    _checks.same_size(name, "input channels", x=x.shape[-1], kernel=kernel.shape[-2])
    divides(name, groups, **{"the number of input channels": kernel.shape[-2]})
    bias_fits(name, bias, groups * kernel.shape[-1])
    options = {"strides": strides, "padding": padding, "dilation": dilation}
    window = kernel.shape[:-2]
    windows = transposed_grid(name, number, window, output_padding=output_padding, **options)
    y = convolve_adjoint(jnp.asarray(x), kernel, windows, groups=groups, method=method)
    return biased(y, bias, x, kernel)
