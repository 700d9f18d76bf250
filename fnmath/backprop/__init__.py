"""Backpropagation: the chain rule from the loss back to every parameter.

one_hidden_layer_forward, …_backward       the whole pass of one network, derived by hand
dense_backward, activation_backward, …     its links, each beside its forward function
"""

from fnmath.backprop.one_hidden_layer import (
    Cotangents,
    ForwardPass,
    activation_backward,
    dense_backward,
    mean_backward,
    one_hidden_layer_backward,
    one_hidden_layer_forward,
    softmax_cross_entropy_backward,
)

__all__ = [
    "Cotangents",
    "ForwardPass",
    "activation_backward",
    "dense_backward",
    "mean_backward",
    "one_hidden_layer_backward",
    "one_hidden_layer_forward",
    "softmax_cross_entropy_backward",
]
