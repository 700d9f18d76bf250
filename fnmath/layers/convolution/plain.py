"""The convolution: one small kernel applied to every window of an image.

Notation: x is an image ``*batch *space in``, K the kernel ``*window in/groups out``, b the biases,
y the outputs; i counts the windows and a the taps of a window, both with one index for each axis of
space; s are the strides, d the dilations.

The number of axes of space is that of the kernel's window: 1 for sequences, 2 for images, 3 for
volumes and video. All axes before them are batch, of whatever number.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.initializers import zeros
from fnmath.layers._arguments import Initializer, bias_fits
from fnmath.layers.convolution._geometry import Padding, Sizes, grid, image_axes, named_axes
from fnmath.layers.convolution._operations import convolve, method_known
from fnmath.layers.convolution._params import (
    ConvParams,
    biased,
    divides,
    drawn_params,
    fits_groups,
    kernel_and_bias,
)


def conv_init(
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
) -> ConvParams:
    """Random parameters of a convolution.

        K ~ 𝒩(0, 1/n_in), truncated,    b = 0,    n_in = |window| · in/groups

    n_in counts the inputs that one output sums over, so that inputs of variance 1 give outputs of
    variance 1. That is LeCun's initialiser and Flax's default; PyTorch's is
    ``variance_scaling(1/3, "fan_in", "uniform")``, for the kernel and, with the kernel's fan, for
    the bias.

    Args:
        key: The random key, consumed by the kernel (and by a random bias initialiser).
        window: The size of the window on each axis of space; an integer means one axis.
        in_channels: The number of input channels.
        out_channels: The number of output channels.
        groups: Into how many groups the channels fall, which do not see each other.
        use_bias: Whether there is a bias; without one it is None.
        kernel_init: Draws the kernel, as ``kernel_init(key, (*window, in/groups, out), dtype)``;
            LeCun's truncated normal when None.
        bias_init: Draws the bias, as ``bias_init(key, (out,), dtype)``.
        dtype: The dtype of both.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, ``use_bias`` not a
            boolean, an initialiser not a function or what it draws not an array, or the dtype not a
            floating one.
        ValueError: If a size is below 1, the groups do not divide both numbers of channels, or an
            initialiser draws another shape than asked for.

    Example:
        >>> params = conv_init(jax.random.key(0), (3, 3), 16, 32)
        >>> print(params.kernel.shape, params.bias.shape)
        (3, 3, 16, 32) (32,)

    Source:
        LeCun, Bottou, Orr and Müller, Efficient BackProp (1998), §4.6.
    """
    name = "conv_init"
    _checks.key(name, key)
    shape = named_axes(name, "window", window)
    _checks.size(name, in_channels=in_channels, out_channels=out_channels)
    divides(name, groups, in_channels=in_channels, out_channels=out_channels)
    shape = (*shape, in_channels // groups, out_channels)
    given = {"use_bias": use_bias, "kernel_init": kernel_init, "bias_init": bias_init}
    return drawn_params(name, key, shape, out_channels, **given, dtype=dtype)


def conv(
    params: ConvParams,
    x: Float[Array, "... in"],
    *,
    strides: Sizes = 1,
    padding: Padding = "SAME",
    dilation: Sizes = 1,
    groups: int = 1,
    method: str | None = None,
) -> Float[Array, "... out"]:
    """Convolution: the same affine map of every window of an image.

        y[i, o] = b[o] + Σₐ Σ_c x̃[s i + d a − low, c] K[a, c, o]

    x̃ is x with its margins. As everywhere in this field it is a cross-correlation: the kernel is
    not turned round. With g groups, the outputs fall into g equal parts of which each sees its part
    of the inputs alone.

    The padding says what is added before (low) and behind the image, with k = d (w − 1) + 1 for
    what a window of w taps spans of an axis:

        "VALID"      nothing: whole windows only, ⌊(n − k)/s⌋ + 1 of them
        "SAME"       zeros, k − 1 in all at stride 1, the odd one behind: ⌈n/s⌉ windows; at larger
                     strides no more than the last window needs (XLA's rule)
        "CAUSAL"     k − 1 zeros before: an output sees nothing behind its own place
        "REFLECT", "REPLICATE", "CIRCULAR"
                     ⌊(k − 1)/2⌋ before and ⌊k/2⌋ behind at any stride, copied as by ``pad``:
                     PyTorch's ``padding_mode`` with ``padding="same"``, and Flax's names
        p            p zeros on both sides, as in PyTorch
        (low, high)  so many zeros

    one for all axes, or a sequence with one for each: ``padding=("CAUSAL", "SAME", "SAME")`` is
    causal in time only. ``conv(params, pad(x, …, mode=…), padding="VALID")`` copies other amounts.

    Gradient:
        x̄ = conv_transpose of ȳ with the channels of K swapped, at the same options
        K̄[a, c, o] = Σ_batch Σᵢ x̃[s i + d a − low, c] ȳ[i, o],    b̄ = Σ_batch Σᵢ ȳ[i]

    Args:
        params: The kernel (*window, in/groups, out), whose window says how many axes of space there
            are, and the bias (out,), which may be None.
        x: Images ``*batch *space in``.
        strides: How many entries lie between windows, for all axes or for each.
        padding: What is added around the image. An axis without entries gives an axis without
            outputs where the padding is a named one but ``"VALID"``.
        dilation: How many entries lie between the taps of a window, for all axes or for each.
        groups: Into how many groups the channels fall.
        method: How it is computed, forwards and in every derivative. None is ``"lax"`` on
            accelerators; on CPUs it chooses the form expected to be fastest for the shapes of each.

            "lax"        XLA's convolution and the gradients that JAX gives it
            "blocks"     XLA's convolution of a few groups at a time, its gradients as convolutions
            "surplus"    the same with windows beyond the image, which make XLA take other kernels
            "taps"       a product of matrices for each tap of the window
            "rows"       one for each row of taps
            "patches"    one for all taps, of the image unfolded
            "spread"     one of all entries with all taps, of which windows pick their own
            "winograd"   products that windows beside each other share: fewer, but of sums and
                         differences of entries, so that the error is relative to the largest
                         entries nearby. Chosen for no group of fewer than 16 inputs or outputs

    Returns:
        The outputs ``*batch *grid out``, in the dtype of the operands; half precision is summed in
        float32.

    Raises:
        TypeError: If params is not a pair, an array does not hold floating-point numbers, an option
            not an integer, or the method not a string.
        ValueError: If the kernel has no window or does not fit the channels of x and the groups,
            the bias does not fit, an option is out of range or not one for each axis, or the window
            spans more than the padded image.

    Example:
        >>> params = ConvParams(kernel=jnp.array([1.0, 0.0, -1.0]).reshape(3, 1, 1))
        >>> x = jnp.array([1.0, 2.0, 4.0, 8.0])[:, None]  # one channel
        >>> print(conv(params, x, padding="VALID")[:, 0])  # x[i] − x[i + 2]
        [-3. -6.]
        >>> print(conv(params, x)[:, 0])
        [-2. -3. -6.  4.]

    Source:
        Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016), §2 and §5.1;
        Goodfellow, Bengio and Courville, Deep Learning (2016), §9.1 and §9.5.
    """
    name = "conv"
    method_known(name, method)
    kernel, bias = kernel_and_bias(name, params, x)
    sizes = image_axes(name, x, kernel.ndim - 2)
    fits_groups(name, x, kernel, groups)
    bias_fits(name, bias, kernel.shape[-1])
    options = {"strides": strides, "padding": padding, "dilation": dilation}
    windows = grid(name, sizes, kernel.shape[:-2], **options)
    y = convolve(jnp.asarray(x), kernel, windows, groups=groups, method=method)
    return biased(y, bias, x, kernel)
