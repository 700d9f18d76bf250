"""Recurrent layers: a state carried along a sequence by one step, the same at all times.

Notation: x is the sequence, ``*batch time in``, x_t what it holds at time t; h is the hidden state,
``*batch hidden``, which also is the output; c the cell state of an LSTM. W and U are the kernels
from the input and from the hidden state, b and d their biases; σ is the sigmoid, ⊙ the product
elementwise.

    rnn_cell     h' = φ(x W + b + h U + d)
    gru_cell     a step with two gates, between keeping the state and replacing it
    lstm_cell    a step with three gates, and a second state for them to guard
    rnn, gru, lstm        the steps over a whole sequence
    bidirectional         one layer forwards and one backwards
    recurrent_stack       layers over each other

The columns of W and U, and the entries of b and d, are those of the gates side by side, in the
order of PyTorch: r, z, n for a GRU and i, f, g, o for an LSTM. With PyTorch's names
``kernel = weight_ih.T``, ``recurrent_kernel = weight_hh.T``, ``bias = bias_ih`` and
``recurrent_bias = bias_hh``. Either bias may be None. But for the candidate n of a GRU, b and d
occur as the sum b + d only, so that one of them is enough; training both moves the sum twice as
fast.

Sequences of different lengths stand in one array, padded at the end, with ``lengths`` beside it.
What is past the end of a sequence changes nothing, not even if it is nan: the outputs there are 0,
and the final state is that at the end, as of PyTorch's packed sequences.

Half-precision states are carried in float32 over a sequence, and rounded for each product and each
output.
"""

from fnmath.layers.recurrent._steps import LSTMState
from fnmath.layers.recurrent.cells import gru_cell, lstm_cell, rnn_cell
from fnmath.layers.recurrent.composition import (
    BidirectionalParams,
    BidirectionalState,
    bidirectional,
    bidirectional_init,
    recurrent_stack,
    recurrent_stack_init,
)
from fnmath.layers.recurrent.parameters import (
    GRUParams,
    LSTMParams,
    RNNParams,
    gru_init,
    lstm_init,
    rnn_init,
)
from fnmath.layers.recurrent.sequences import gru, lstm, rnn

__all__ = [
    "BidirectionalParams",
    "BidirectionalState",
    "GRUParams",
    "LSTMParams",
    "LSTMState",
    "RNNParams",
    "bidirectional",
    "bidirectional_init",
    "gru",
    "gru_cell",
    "gru_init",
    "lstm",
    "lstm_cell",
    "lstm_init",
    "recurrent_stack",
    "recurrent_stack_init",
    "rnn",
    "rnn_cell",
    "rnn_init",
]
