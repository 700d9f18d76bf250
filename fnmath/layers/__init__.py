"""Layers: the maps a network is composed of, each a pure function of its parameters and its input.

Every layer is a pair: ``thing_init(key, sizes…)`` draws the parameters, ``thing(params, x)``
applies them. Parameters are NamedTuples of arrays; a layer without parameters takes none.

    attention        o = Σₛ softmax(⟨q, kₛ⟩)ₛ vₛ, plain, in blocks, of several heads
    dense            y = x W + b
    positions        rotations, sines, learned vectors and biases that tell the order
"""

from fnmath.layers.attention import (
    KeyValueCache,
    MultiHeadAttentionParams,
    blockwise_attention,
    causal_mask,
    dot_product_attention,
    key_value_cache_init,
    multi_head_attention,
    multi_head_attention_decode,
    multi_head_attention_init,
    padding_mask,
    window_mask,
)
from fnmath.layers.dense import DenseParams, dense, dense_init
from fnmath.layers.positions import (
    PositionEmbeddingParams,
    alibi_bias,
    position_embedding,
    position_embedding_init,
    rotary,
    sinusoidal_positions,
)

__all__ = [
    "DenseParams",
    "KeyValueCache",
    "MultiHeadAttentionParams",
    "PositionEmbeddingParams",
    "alibi_bias",
    "blockwise_attention",
    "causal_mask",
    "dense",
    "dense_init",
    "dot_product_attention",
    "key_value_cache_init",
    "multi_head_attention",
    "multi_head_attention_decode",
    "multi_head_attention_init",
    "padding_mask",
    "position_embedding",
    "position_embedding_init",
    "rotary",
    "sinusoidal_positions",
    "window_mask",
]
