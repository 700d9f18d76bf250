"""Layers: the maps a network is composed of, each a pure function of its parameters and its input.

Every layer is a pair: ``thing_init(key, sizes…)`` draws the parameters, ``thing(params, x)``
applies them. Parameters are NamedTuples of arrays; a layer without parameters takes none.

    bilinear         zₖ = xᵀ Wₖ y + bₖ
    dense            y = x W + b
    einsum_dense     y = Σ_contracted x W + b, between any axes
    embedding        y = Eᵢ;                embedding_decode  z = x Eᵀ
    dropout          y = m ⊙ x / q;         channel_dropout, drop_path, alpha_dropout and
                                            channel_alpha_dropout drop other parts, or otherwise
    residual         y = x + f(θ, x)
    sequential       y = f_L(θ_L, … f₁(θ₁, x) …)
    stack            hₗ = f(θₗ, hₗ₋₁) by one scan; stack_with_outputs also gives each layer's own
"""

from fnmath.layers.bilinear import BilinearParams, bilinear, bilinear_init
from fnmath.layers.composition import (
    residual,
    sequential,
    sequential_init,
    stack,
    stack_init,
    stack_with_outputs,
)
from fnmath.layers.dense import DenseParams, dense, dense_init
from fnmath.layers.dropout import (
    alpha_dropout,
    channel_alpha_dropout,
    channel_dropout,
    drop_path,
    dropout,
)
from fnmath.layers.einsum_dense import EinsumDenseParams, einsum_dense, einsum_dense_init
from fnmath.layers.embedding import (
    EmbeddingParams,
    embedding,
    embedding_decode,
    embedding_init,
)

__all__ = [
    "BilinearParams",
    "DenseParams",
    "EinsumDenseParams",
    "EmbeddingParams",
    "alpha_dropout",
    "bilinear",
    "bilinear_init",
    "channel_alpha_dropout",
    "channel_dropout",
    "dense",
    "dense_init",
    "drop_path",
    "dropout",
    "einsum_dense",
    "einsum_dense_init",
    "embedding",
    "embedding_decode",
    "embedding_init",
    "residual",
    "sequential",
    "sequential_init",
    "stack",
    "stack_init",
    "stack_with_outputs",
]
