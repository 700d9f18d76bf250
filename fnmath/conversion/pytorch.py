"""Parameters from and to the state dicts of PyTorch.

Notation: that of the chapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
from jaxtyping import PyTree

from fnmath import _checks
from fnmath.conversion import _trees
from fnmath.conversion._layouts import torch_layout

STATISTICS = ("running_mean", "running_var", "_u", "_v")


def to_torch(
    params: PyTree, *, names: Mapping[str, str] | None = None, stacked: tuple[str, ...] = ()
) -> dict[str, jax.Array]:
    """The state dict of a PyTorch module with these parameters.

        τ = P θ:    weight = Wᵀ of a dense layer, (out, in, *window) of a convolution, …

    Of running statistics it makes ``running_mean`` and ``running_var``, of attention
    ``in_proj_weight`` and so on, of one recurrent layer or a tuple of them ``weight_ih_l0`` and so
    on, of a Mamba block the names of its authors' implementation.

    A layer whose kernel is a ``WeightNormParams`` becomes one of
    ``torch.nn.utils.parametrizations.weight_norm``, with ``dim=1`` for a transposed convolution;
    ``SpectralStats`` become the buffers of its ``spectral_norm`` of a dense layer or a convolution.
    The kernel itself is a plain one here and has another name there, which ``names`` must say:
    ``{"fc.weight": "fc.parametrizations.weight.original"}``.

    ``{name: torch.tensor(np.asarray(a)) for name, a in to_torch(params).items()}`` is what
    ``module.load_state_dict`` takes.

    Gradient:
        θ̄ = Pᵀ τ̄

    Args:
        params: A pytree of parameters, or of running statistics.
        names: Paths here, and what they are called there; the longest beginning of a path counts.
        stacked: Paths where layers are stacked along a first axis, which have names of their own
            there, with a number after the path.

    Returns:
        An array under each name.

    Raises:
        TypeError: If a leaf holds no floating-point numbers, the parts of a layer do not fit,
            ``names`` is no mapping of strings, or ``stacked`` no tuple of strings.
        ValueError: If there is no array, two have one name, or stacked arrays differ in length.

    Example:
        >>> from fnmath.layers import DenseParams
        >>> hidden = DenseParams(jnp.ones((3, 4)), jnp.ones(4))
        >>> params = (hidden, None, DenseParams(jnp.ones((4, 2))))
        >>> for name, a in to_torch(params, names={"2": "head"}).items():
        ...     print(name, a.shape)
        0.weight (4, 3)
        0.bias (4,)
        head.weight (2, 4)

    Source:
        The documentation of ``torch.nn.Module.state_dict`` and of the modules of ``torch.nn``.
    """
    _trees.check_names("to_torch", names, stacked)
    params = _trees.arrays_of_tree("to_torch", "params", params)
    return _trees.named_arrays("to_torch", params, torch_layout, names, stacked)


def from_torch(
    state_dict: Mapping[str, Any],
    like: PyTree,
    *,
    names: Mapping[str, str] | None = None,
    stacked: tuple[str, ...] = (),
) -> PyTree:
    """Parameters from the state dict of a PyTorch module.

        θ = P⁻¹ τ = Pᵀ τ

    Args:
        state_dict: Arrays under names; tensors on the CPU will do as they are. Running statistics
            are left out where ``like`` has none, and the parameters where it has nothing else.
        like: Parameters of the structure, shapes and dtypes wanted, such as the layer's ``_init``
            makes; or running statistics.
        names: Paths here, and what they are called there; the longest beginning of a path counts.
        stacked: Paths where layers are stacked along a first axis here.

    Returns:
        A pytree like ``like``, with the numbers of the state dict.

    Raises:
        TypeError: If ``state_dict`` is no mapping, an array does not hold floating-point numbers,
            the parts of a layer do not fit, ``names`` is no mapping of strings, or ``stacked`` no
            tuple of strings.
        ValueError: If the state dict lacks an array or has one too many, or a shape does not fit.

    Example:
        >>> from fnmath.layers import dense, dense_init
        >>> like = dense_init(jax.random.key(0), 2, 1)
        >>> state = {"weight": jnp.array([[1.0, 2.0]]), "bias": jnp.array([0.5])}
        >>> print(dense(from_torch(state, like), jnp.array([3.0, 4.0])))
        [11.5]

    Source:
        The documentation of ``torch.nn.Module.load_state_dict``.
    """
    _checks.instance("from_torch", "state_dict", state_dict, Mapping)
    _trees.check_names("from_torch", names, stacked)
    like = _trees.arrays_of_tree("from_torch", "like", like)

    def arrays_of(tree: PyTree) -> dict[str, jax.Array]:
        return _trees.named_arrays("from_torch", tree, torch_layout, names, stacked)

    return _trees.loaded("from_torch", state_dict, like, arrays_of, STATISTICS)
