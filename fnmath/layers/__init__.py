"""Layers: the maps a network is composed of, each a pure function of its parameters and its input.

Every layer is a pair: ``thing_init(key, sizes…)`` draws the parameters, ``thing(params, x)``
applies them. Parameters are NamedTuples of arrays; a layer without parameters takes none.

    dense            y = x W + b
    pooling          y = what each window over an image sees, summed up in one number
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

__all__ = [
    "DenseParams",
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "avg_pool",
    "dense",
    "dense_init",
    "global_avg_pool",
    "global_max_pool",
    "lp_pool",
    "max_pool",
    "max_pool_with_indices",
    "max_unpool",
]
