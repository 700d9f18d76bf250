"""Losses: how far a prediction lies from its target, one number per example.

Every loss takes the prediction first, returns one value per example and never averages: ``.mean()``
is for the caller to say. Nothing broadcasts between predictions and targets.

Numbers, of the residual r = y − t:

    squared_error                                r²
    l2_loss                                      ½ r²
    absolute_error                               |r|
    huber_loss                                   ½ r² near 0, a line beyond

Classes, of logits z:

    sigmoid_binary_cross_entropy                 −t log σ(z) − (1 − t) log σ(−z)
    softmax_cross_entropy                        −Σₖ tₖ log softmax(z)ₖ
    softmax_cross_entropy_with_integer_labels    −log softmax(z)_y
"""

from fnmath.losses.classification import (
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
)
from fnmath.losses.regression import absolute_error, huber_loss, l2_loss, squared_error

__all__ = [
    "absolute_error",
    "huber_loss",
    "l2_loss",
    "sigmoid_binary_cross_entropy",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
    "squared_error",
]
