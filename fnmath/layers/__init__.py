"""Layers: the maps a network is composed of, each a pure function of its parameters and its input.

Every layer is a pair: ``thing_init(key, sizes…)`` draws the parameters, ``thing(params, x)``
applies them. Parameters are NamedTuples of arrays; a layer without parameters takes none.

    dense            y = x W + b
    pooling          y = what each window over an image sees, summed up in one number
    recurrent        h_t = a step from h_t₋₁ and x_t, along a sequence
    state_space      h_t = a linear step from h_t₋₁, with coefficients that depend on x_t
"""

from fnmath.layers.dense import DenseParams, dense, dense_init
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
    "BidirectionalParams",
    "BidirectionalState",
    "DenseParams",
    "GRUParams",
    "LSTMParams",
    "LSTMState",
    "MambaParams",
    "MambaState",
    "RNNParams",
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "avg_pool",
    "bidirectional",
    "bidirectional_init",
    "dense",
    "dense_init",
    "global_avg_pool",
    "global_max_pool",
    "gru",
    "gru_cell",
    "gru_init",
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
    "recurrent_stack",
    "recurrent_stack_init",
    "rnn",
    "rnn_cell",
    "rnn_init",
    "selective_scan",
    "selective_scan_step",
]
