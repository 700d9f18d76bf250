"""Layers: the maps a network is composed of, each a pure function of its parameters and its input.

Every layer is a pair: ``thing_init(key, sizes…)`` draws the parameters, ``thing(params, x)``
applies them. Parameters are NamedTuples of arrays; a layer without parameters takes none.

    dense                 y = x W + b
    layer_norm            y = γ z + β, z the features of an example at mean 0 and variance 1
    rms_norm              the same of features over their root mean square
    group_norm            the same of groups of channels of an image
    instance_norm         the same of each channel of an image
    batch_norm            the same of each channel of a batch, with running statistics
    weight_norm           a kernel by the directions and the lengths of its columns
    spectral_norm         a kernel over its largest singular value
    resize, upsample      images interpolated to another size
    pixel_shuffle         channels as pixels, and ``pixel_unshuffle`` back
    squeeze_excitation    channels of an image, gated by all of them together
"""

from fnmath.layers.dense import DenseParams, dense, dense_init
from fnmath.layers.normalization import (
    BatchStats,
    NormParams,
    SpectralStats,
    WeightNormParams,
    batch_norm,
    batch_norm_init,
    batch_norm_train,
    group_norm,
    group_norm_init,
    instance_norm,
    instance_norm_init,
    layer_norm,
    layer_norm_init,
    rms_norm,
    rms_norm_init,
    spectral_norm,
    spectral_norm_init,
    spectral_norm_train,
    weight_norm,
    weight_norm_init,
)
from fnmath.layers.resizing import pixel_shuffle, pixel_unshuffle, resize, upsample
from fnmath.layers.squeeze_excitation import (
    SqueezeExcitationParams,
    squeeze_excitation,
    squeeze_excitation_init,
)

__all__ = [
    "BatchStats",
    "DenseParams",
    "NormParams",
    "SpectralStats",
    "SqueezeExcitationParams",
    "WeightNormParams",
    "batch_norm",
    "batch_norm_init",
    "batch_norm_train",
    "dense",
    "dense_init",
    "group_norm",
    "group_norm_init",
    "instance_norm",
    "instance_norm_init",
    "layer_norm",
    "layer_norm_init",
    "pixel_shuffle",
    "pixel_unshuffle",
    "resize",
    "rms_norm",
    "rms_norm_init",
    "spectral_norm",
    "spectral_norm_init",
    "spectral_norm_train",
    "squeeze_excitation",
    "squeeze_excitation_init",
    "upsample",
    "weight_norm",
    "weight_norm_init",
]
