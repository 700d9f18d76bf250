"""Layers: the maps a network is composed of, each a pure function of its parameters and its input.

Every layer is a pair: ``thing_init(key, sizes…)`` draws the parameters, ``thing(params, x)``
applies them. Parameters are NamedTuples of arrays; a layer without parameters takes none.

    dense            y = x W + b
"""

from fnmath.layers.dense import DenseParams, dense, dense_init

__all__ = ["DenseParams", "dense", "dense_init"]
