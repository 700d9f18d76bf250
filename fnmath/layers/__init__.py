"""Layers: the maps a network is composed of, each a pure function of its parameters and its input.

Every layer is a pair: ``thing_init(key, sizes…)`` draws the parameters, ``thing(params, x)``
applies them. Parameters are NamedTuples of arrays, in which a bias may be None; a layer without
parameters takes none. Images are ``*batch height width channels``, sequences ``*batch time
features``, and any number of axes may be batch.

Affine maps
    dense                 y = x W + b
    bilinear              zₖ = xᵀ Wₖ y + bₖ
    einsum_dense          y = Σ_contracted x W + b, between any axes
    embedding             y = Eᵢ, the row of a token; embedding_decode gives z = x Eᵀ
Windows over images and sequences
    conv                  one kernel for every window, in one, two or three dimensions;
                          depthwise_conv and separable_conv keep the channels apart
    conv_transpose        the adjoint of conv
    unfold, fold, pad     the windows, their adjoint, and what stands beyond the edges
    max_pool, avg_pool, lp_pool    each window summed up in one number; also global and adaptive
    resize, upsample      images interpolated to another size
    pixel_shuffle         channels as pixels, and pixel_unshuffle back
    squeeze_excitation    channels of an image, gated by all of them together
Along sequences
    rnn, gru, lstm        a step from h_t₋₁ and x_t, along a sequence; bidirectional, stacked
    mamba                 a state space whose steps the input selects; selective_scan is its core
    dot_product_attention, multi_head_attention    a mean of values, weighted by a softmax of scores
    blockwise_attention   the same in memory linear in the length
    rotary, alibi_bias, sinusoidal_positions, position_embedding    where in a sequence things are
Scale and noise
    layer_norm, rms_norm, group_norm, instance_norm, batch_norm    mean 0 and variance 1, of what
    weight_norm, spectral_norm    kernels of a length or a largest singular value that is given
    dropout               y = m ⊙ x / q; channel_dropout, drop_path, alpha_dropout and
                          channel_alpha_dropout drop other parts, or otherwise
Layers of layers
    sequential            y = f_L(θ_L, … f₁(θ₁, x) …)
    residual              y = x + f(θ, x)
    stack                 hₗ = f(θₗ, hₗ₋₁) by one scan; or stack_with_outputs
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
from fnmath.layers.bilinear import BilinearParams, bilinear, bilinear_init
from fnmath.layers.composition import (
    residual,
    sequential,
    sequential_init,
    stack,
    stack_init,
    stack_with_outputs,
)
from fnmath.layers.convolution import (
    ConvParams,
    ConvTransposeParams,
    SeparableConvParams,
    conv,
    conv_init,
    conv_transpose,
    conv_transpose_init,
    depthwise_conv,
    depthwise_conv_init,
    fold,
    pad,
    separable_conv,
    separable_conv_init,
    unfold,
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
from fnmath.layers.embedding import EmbeddingParams, embedding, embedding_decode, embedding_init
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
from fnmath.layers.pooling import (
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    global_avg_pool,
    global_max_pool,
    lp_pool,
    max_pool,
    max_pool_with_indices,
    max_unpool,
)
from fnmath.layers.positions import (
    PositionEmbeddingParams,
    alibi_bias,
    position_embedding,
    position_embedding_init,
    rotary,
    sinusoidal_positions,
)
from fnmath.layers.recurrent import (
    BidirectionalParams,
    BidirectionalState,
    GRUParams,
    LSTMParams,
    LSTMState,
    RNNParams,
    bidirectional,
    bidirectional_init,
    gru,
    gru_cell,
    gru_init,
    lstm,
    lstm_cell,
    lstm_init,
    recurrent_stack,
    recurrent_stack_init,
    rnn,
    rnn_cell,
    rnn_init,
)
from fnmath.layers.resizing import pixel_shuffle, pixel_unshuffle, resize, upsample
from fnmath.layers.squeeze_excitation import (
    SqueezeExcitationParams,
    squeeze_excitation,
    squeeze_excitation_init,
)
from fnmath.layers.state_space import (
    MambaParams,
    MambaState,
    mamba,
    mamba_init,
    mamba_state_init,
    mamba_step,
    selective_scan,
    selective_scan_step,
)

__all__ = [
    "BatchStats",
    "BidirectionalParams",
    "BidirectionalState",
    "BilinearParams",
    "ConvParams",
    "ConvTransposeParams",
    "DenseParams",
    "EinsumDenseParams",
    "EmbeddingParams",
    "GRUParams",
    "KeyValueCache",
    "LSTMParams",
    "LSTMState",
    "MambaParams",
    "MambaState",
    "MultiHeadAttentionParams",
    "NormParams",
    "PositionEmbeddingParams",
    "RNNParams",
    "SeparableConvParams",
    "SpectralStats",
    "SqueezeExcitationParams",
    "WeightNormParams",
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "alibi_bias",
    "alpha_dropout",
    "avg_pool",
    "batch_norm",
    "batch_norm_init",
    "batch_norm_train",
    "bidirectional",
    "bidirectional_init",
    "bilinear",
    "bilinear_init",
    "blockwise_attention",
    "causal_mask",
    "channel_alpha_dropout",
    "channel_dropout",
    "conv",
    "conv_init",
    "conv_transpose",
    "conv_transpose_init",
    "dense",
    "dense_init",
    "depthwise_conv",
    "depthwise_conv_init",
    "dot_product_attention",
    "drop_path",
    "dropout",
    "einsum_dense",
    "einsum_dense_init",
    "embedding",
    "embedding_decode",
    "embedding_init",
    "fold",
    "global_avg_pool",
    "global_max_pool",
    "group_norm",
    "group_norm_init",
    "gru",
    "gru_cell",
    "gru_init",
    "instance_norm",
    "instance_norm_init",
    "key_value_cache_init",
    "layer_norm",
    "layer_norm_init",
    "lp_pool",
    "lstm",
    "lstm_cell",
    "lstm_init",
    "mamba",
    "mamba_init",
    "mamba_state_init",
    "mamba_step",
    "max_pool",
    "max_pool_with_indices",
    "max_unpool",
    "multi_head_attention",
    "multi_head_attention_decode",
    "multi_head_attention_init",
    "pad",
    "padding_mask",
    "pixel_shuffle",
    "pixel_unshuffle",
    "position_embedding",
    "position_embedding_init",
    "recurrent_stack",
    "recurrent_stack_init",
    "residual",
    "resize",
    "rms_norm",
    "rms_norm_init",
    "rnn",
    "rnn_cell",
    "rnn_init",
    "rotary",
    "selective_scan",
    "selective_scan_step",
    "separable_conv",
    "separable_conv_init",
    "sequential",
    "sequential_init",
    "sinusoidal_positions",
    "spectral_norm",
    "spectral_norm_init",
    "spectral_norm_train",
    "squeeze_excitation",
    "squeeze_excitation_init",
    "stack",
    "stack_init",
    "stack_with_outputs",
    "unfold",
    "upsample",
    "weight_norm",
    "weight_norm_init",
    "window_mask",
]
