"""Activations: what a layer does to each number, and to a row of scores, between its linear maps.

Notation: x is the argument, taken elementwise but for ``softmax`` and ``log_softmax``; σ is the
sigmoid; φ and Φ are the density and the distribution function of the standard normal;
e = exp(−|x|), which is at most 1.

How the derivatives are written
-------------------------------
The tails of a smooth activation are exponentials, and so are those of its derivatives. Written
through the value they cancel: 1 − σ(20) is 2·10⁻⁹, and 0 in float32. So each function has its first
two derivatives as closed forms in e, in which nothing large is subtracted from anything large. The
exponential is the one that the value needs anyway. Where a product with e is representable but e is
not, it is taken in two factors: silu(−90) = −90 exp(−64) · exp(−26) is −7·10⁻³⁸, while
e = 8·10⁻⁴⁰ is flushed to 0.
"""

from collections.abc import Callable

import jax

from fnmath.activations.gated import gelu, silu
from fnmath.activations.piecewise import elu, identity, leaky_relu, relu
from fnmath.activations.sigmoidal import log_sigmoid, sigmoid, softplus, tanh
from fnmath.activations.simplex import log_softmax, softmax

__all__ = [
    "ACTIVATIONS",
    "elu",
    "gelu",
    "identity",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]

# The elementwise ones by name, for command lines.
ACTIVATIONS: dict[str, Callable[..., jax.Array]] = {
    "identity": identity,
    "relu": relu,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "log_sigmoid": log_sigmoid,
    "tanh": tanh,
    "silu": silu,
    "gelu": gelu,
}
