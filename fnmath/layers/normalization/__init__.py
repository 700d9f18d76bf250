"""Normalisation: of features by their own mean and deviation, and of kernels by their size.

Notation: x are entries, μ their mean and v their variance, taken over a population that differs
from one normalisation to the next, ε > 0 is added to v; σ = √(v + ε), z = (x − μ)/σ; γ is the scale
and β the bias of the affine map after it, y = γ z + β; x̄ is the cotangent of x.

    layer_norm       the features of one example
    rms_norm         the same, by their root mean square
    group_norm       the pixels of one image, in groups of channels
    instance_norm    the pixels of one image, each channel apart
    batch_norm       the entries of one channel, over all examples, as remembered from training
    weight_norm      a kernel by the lengths of its columns
    spectral_norm    a kernel by its largest singular value

All but the kernels' share one computation and one derivative: x̄ = (z̄ − ⟨z̄⟩ − z ⟨z z̄⟩)/σ.
"""

from fnmath.layers.normalization._arguments import NormParams
from fnmath.layers.normalization.batches import (
    BatchStats,
    batch_norm,
    batch_norm_init,
    batch_norm_train,
)
from fnmath.layers.normalization.channels import (
    group_norm,
    group_norm_init,
    instance_norm,
    instance_norm_init,
)
from fnmath.layers.normalization.rows import (
    layer_norm,
    layer_norm_init,
    rms_norm,
    rms_norm_init,
)
from fnmath.layers.normalization.weights import (
    SpectralStats,
    WeightNormParams,
    spectral_norm,
    spectral_norm_init,
    spectral_norm_train,
    weight_norm,
    weight_norm_init,
)

__all__ = [
    "BatchStats",
    "NormParams",
    "SpectralStats",
    "WeightNormParams",
    "batch_norm",
    "batch_norm_init",
    "batch_norm_train",
    "group_norm",
    "group_norm_init",
    "instance_norm",
    "instance_norm_init",
    "layer_norm",
    "layer_norm_init",
    "rms_norm",
    "rms_norm_init",
    "spectral_norm",
    "spectral_norm_init",
    "spectral_norm_train",
    "weight_norm",
    "weight_norm_init",
]
