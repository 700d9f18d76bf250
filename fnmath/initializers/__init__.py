"""Initialisers: what the parameters of a layer are before the first step.

Notation: W is a kernel of shape (*window, in, out); w is the number of positions in its window (1
for a dense layer); n_in = w·in is its fan-in, how many inputs one output sums over; n_out = w·out
its fan-out, how many outputs one input reaches.

An initialiser is a function ``init(key, shape, dtype) -> array``; most are made by a factory:
``init = he_normal()``. Names, arguments and defaults are those of ``jax.nn.initializers``, and so
are the numbers drawn from a key.

    zeros, ones, constant                            one number
    normal, truncated_normal, uniform                one spread, whatever the shape
    lecun_*, glorot_*, he_*, variance_scaling        a spread that follows from the fans
    orthogonal, delta_orthogonal                     rotations
    identity, dirac                                  layers that change nothing
    sparse                                           few connections
    lsuv                                             a spread that follows from a batch of data

Xavier is Glorot's first name and Kaiming He's: ``xavier_*`` and ``kaiming_*`` are theirs.

Why the variance matters
------------------------
An output of a layer is a sum of n_in products, y = Σ Wᵢ xᵢ. With independent weights of mean 0,

    Var y = n_in · Var W · E x²        (the signal, forward)
    Var x̄ = n_out · Var W · E ȳ²       (its cotangent, backward)

so that over many layers both grow or vanish geometrically unless n · Var W = 1. LeCun's choice is
Var W = 1/n_in. A relu sets half of its inputs to 0, and with them half of E x²: He's choice is
2/n_in. Glorot's, 2/(n_in + n_out), is the compromise between forward and backward. For other
activations ``calculate_gain`` says what is lost, ``predict_variances`` what becomes of both through
a deep stack, and ``measure_variances`` what did.
"""

from fnmath.initializers._arguments import Initializer
from fnmath.initializers.depth import Variances, lsuv, measure_variances, predict_variances
from fnmath.initializers.gains import calculate_gain
from fnmath.initializers.matrices import (
    delta_orthogonal,
    dirac,
    identity,
    orthogonal,
    sparse,
)
from fnmath.initializers.scaling import (
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    variance_scaling,
)
from fnmath.initializers.simple import constant, normal, ones, truncated_normal, uniform, zeros

xavier_normal, xavier_uniform = glorot_normal, glorot_uniform
kaiming_normal, kaiming_uniform = he_normal, he_uniform

__all__ = [
    "Initializer",
    "Variances",
    "calculate_gain",
    "constant",
    "delta_orthogonal",
    "dirac",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "lsuv",
    "measure_variances",
    "normal",
    "ones",
    "orthogonal",
    "predict_variances",
    "sparse",
    "truncated_normal",
    "uniform",
    "variance_scaling",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]
