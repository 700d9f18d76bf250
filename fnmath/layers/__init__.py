"""Layers: the maps a network is composed of, each a pure function of its parameters and its input.

Every layer is a pair: ``thing_init(key, sizes…)`` draws the parameters, ``thing(params, x)``
applies them. Parameters are NamedTuples of arrays; a layer without parameters takes none.

    attention        o = Σₛ softmax(⟨q, kₛ⟩)ₛ vₛ, plain, in blocks, of several heads
    batch_norm            the same of each channel of a batch, with running statistics
    bilinear         zₖ = xᵀ Wₖ y + bₖ
    conv, depthwise_conv, separable_conv    one kernel for every window of an image
    conv_transpose                          its adjoint
    dense            y = x W + b
    dropout          y = m ⊙ x / q;         channel_dropout, drop_path, alpha_dropout and
                                            channel_alpha_dropout drop other parts, or otherwise
    einsum_dense     y = Σ_contracted x W + b, between any axes
    embedding        y = Eᵢ;                embedding_decode  z = x Eᵀ
    group_norm            the same of groups of channels of an image
    instance_norm         the same of each channel of an image
    layer_norm            y = γ z + β, z the features of an example at mean 0 and variance 1
    pixel_shuffle         channels as pixels, and ``pixel_unshuffle`` back
    pooling          y = what each window over an image sees, summed up in one number
    positions        rotations, sines, learned vectors and biases that tell the order
    recurrent        h_t = a step from h_t₋₁ and x_t, along a sequence
    residual         y = x + f(θ, x)
    resize, upsample      images interpolated to another size
    rms_norm              the same of features over their root mean square
    sequential       y = f_L(θ_L, … f₁(θ₁, x) …)
    spectral_norm         a kernel over its largest singular value
    squeeze_excitation    channels of an image, gated by all of them together
    stack            hₗ = f(θₗ, hₗ₋₁) by one scan; stack_with_outputs also gives each layer's own
    state_space      h_t = a linear step from h_t₋₁, with coefficients that depend on x_t
    unfold, fold, pad                       the windows, and what stands beyond the edges
    weight_norm           a kernel by the directions and the lengths of its columns
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
from fnmath.layers.bilinear import (
    BilinearParams,
    bilinear,
    bilinear_init,
)
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
from fnmath.layers.dense import (
    DenseParams,
    dense,
    dense_init,
)
from fnmath.layers.dropout import (
    alpha_dropout,
    channel_alpha_dropout,
    channel_dropout,
    drop_path,
    dropout,
)
from fnmath.layers.einsum_dense import (
    EinsumDenseParams,
    einsum_dense,
    einsum_dense_init,
)
from fnmath.layers.embedding import (
    EmbeddingParams,
    embedding,
    embedding_decode,
    embedding_init,
)
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
from fnmath.layers.resizing import (
    pixel_shuffle,
    pixel_unshuffle,
    resize,
    upsample,
)
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
