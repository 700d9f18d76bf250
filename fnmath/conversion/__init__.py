"""Conversion: parameters from and to the names and the layouts of PyTorch and Flax.

Notation: θ are parameters of fnmath, a pytree; τ what another library keeps, arrays under names; P
is the map θ ↦ τ. It renames, transposes, flips and joins arrays, and so is a permutation of all
their numbers: it is linear, and its inverse is its transpose, P⁻¹ = Pᵀ. Only P is written down, one
line for each kind of layer; JAX transposes it for the way back.

    to_torch      τ = P θ, a flat state dict with dotted names
    from_torch    θ = Pᵀ τ
    to_flax       τ = P θ, nested dictionaries
    from_flax     θ = Pᵀ τ

The name of an array is its path in the pytree: fields of NamedTuples, keys of dictionaries, and
positions in tuples, as PyTorch names modules in attributes and in ``nn.Sequential``. So a network
whose fields have another's module names loads its weights as they are; ``names`` translates the
rest, and ``stacked`` says where layers are stacked for ``fnmath.layers.stack`` that stand one by
one over there. Neither library is imported: a state dict is any mapping of names to arrays.
"""

from fnmath.conversion.flax import from_flax, to_flax
from fnmath.conversion.pytorch import from_torch, to_torch

__all__ = ["from_flax", "from_torch", "to_flax", "to_torch"]
