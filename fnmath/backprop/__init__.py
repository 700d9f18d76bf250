"""Backpropagation: the chain rule from the loss back to every parameter.

one_hidden_layer_forward, …_backward       the whole pass of one network, derived by hand
trace                                      the pass of any function, every step of it, as data
name, intermediates                        values and cotangents of marked places, in compiled code
dense_backward, activation_backward, …     its links, each beside its forward function
pictures                                   a trace as a page to play, as SVG, for Graphviz
"""

from fnmath.backprop._tables import Cost, Nonfinite, NormRow, Norms
from fnmath.backprop.marks import Intermediates, Mark, intermediates, name
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
from fnmath.backprop.record import Rule, Site, Step, Tensor, Trace, Variable
from fnmath.backprop.tracing import trace

__all__ = [
    "Cost",
    "Cotangents",
    "ForwardPass",
    "Intermediates",
    "Mark",
    "Nonfinite",
    "NormRow",
    "Norms",
    "Rule",
    "Site",
    "Step",
    "Tensor",
    "Trace",
    "Variable",
    "activation_backward",
    "dense_backward",
    "intermediates",
    "mean_backward",
    "name",
    "one_hidden_layer_backward",
    "one_hidden_layer_forward",
    "softmax_cross_entropy_backward",
    "trace",
]
