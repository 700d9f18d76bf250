"""Convolutions, in one, two and three dimensions by one function.

The number of axes of space is read off the kernel, ``*window in/groups out``; images are
``*batch *space channels`` with any number of batch axes.

    conv                 every output sees one window of the inputs
    depthwise_conv       in one channel alone
    separable_conv       depthwise, then across the channels
    conv_transpose       the adjoint of conv
    unfold, fold         the windows as an array, and their adjoint
    pad                  margins of zeros, reflections, copies of the edge, or the far side

They are bound by two laws: conv(K, x) = unfold(x) K as a product of matrices, and conv_transpose is
to conv what fold is to unfold, ⟨conv(x), y⟩ = ⟨x, conv_transpose(y)⟩.
"""

from fnmath.layers.convolution._params import ConvParams
from fnmath.layers.convolution.depthwise import (
    SeparableConvParams,
    depthwise_conv,
    depthwise_conv_init,
    separable_conv,
    separable_conv_init,
)
from fnmath.layers.convolution.padding import pad
from fnmath.layers.convolution.plain import conv, conv_init
from fnmath.layers.convolution.transposed import conv_transpose, conv_transpose_init
from fnmath.layers.convolution.windows import fold, unfold

__all__ = [
    "ConvParams",
    "SeparableConvParams",
    "conv",
    "conv_init",
    "conv_transpose",
    "conv_transpose_init",
    "depthwise_conv",
    "depthwise_conv_init",
    "fold",
    "pad",
    "separable_conv",
    "separable_conv_init",
    "unfold",
]
