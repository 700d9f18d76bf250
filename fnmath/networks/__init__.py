"""Networks: layers and activations composed into one function of the parameters and the input.

Every network is a pair: ``thing_init(key, sizes…)`` draws the parameters, ``thing(params, x)``
applies them. Parameters are tuples or NamedTuples with the parameters of each layer: plain Python,
which ``jax.grad`` and optax take as they are.

    lenet            two convolutions with pooling, three dense layers
    mlp              dense layers with an activation between each two
"""

from fnmath.networks.lenet import LenetParams, lenet, lenet_init
from fnmath.networks.mlp import mlp, mlp_init

__all__ = ["LenetParams", "lenet", "lenet_init", "mlp", "mlp_init"]
