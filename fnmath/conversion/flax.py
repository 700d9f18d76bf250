"""Parameters from and to the variables of Flax.

Notation: that of the chapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
from jaxtyping import PyTree

from fnmath import _checks
from fnmath.conversion import _layouts, _trees
from fnmath.layers import MultiHeadAttentionParams

STATISTICS = ("mean", "var")


def to_flax(
    params: PyTree,
    *,
    heads: int | None = None,
    names: Mapping[str, str] | None = None,
    stacked: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The nested dictionary of a Flax module with these parameters.

        τ = P θ:    kernels have fnmath's layout already; attention has an axis for the heads,
                    transposed convolutions have their windows the other way round

    Recurrent cells are those of ``flax.linen``: each gate's arrays under a name of its own. Where
    two biases occur as their sum alone, Flax keeps one, and the sum is put there.

    What Flax has no module for keeps the names of its fields, and so does a normalised kernel:
    Flax's ``WeightNorm`` adds an ε to the squares of lengths, and its ``SpectralNorm`` keeps u and
    σ, but no v, so that the same arrays would not give the same kernel.

    Gradient:
        θ̄ = Pᵀ τ̄

    Args:
        params: A pytree of parameters, or of running statistics.
        heads: The number of heads of multi-head attention, if there is some.
        names: Paths here, and what they are called there, such as ``{"0": "Dense_0"}``; the longest
            beginning of a path counts.
        stacked: Paths where layers are stacked along a first axis, which have names of their own
            there, with a number after the path.

    Returns:
        Nested dictionaries with an array under each name.

    Raises:
        TypeError: If a leaf holds no floating-point numbers, ``heads`` is no integer, ``names`` no
            mapping of strings, or ``stacked`` no tuple of strings.
        ValueError: If there is no array, two have one name, or ``heads`` is missing or below 1.

    Example:
        >>> from fnmath.layers import DenseParams
        >>> print(to_flax((DenseParams(jnp.ones((1, 2))),), names={"0": "Dense_0"}))
        {'Dense_0': {'kernel': Array([[1., 1.]], dtype=float32)}}

    Source:
        The documentation of ``flax.linen`` and ``flax.nnx``.
    """
    _trees.check_names("to_flax", names, stacked)
    params = _trees.arrays_of_tree("to_flax", "params", params)
    _check_heads("to_flax", heads, params)
    whole = jax.tree.map(_layouts.summed_biases, params, is_leaf=_is_recurrent)
    arrays = _arrays("to_flax", whole, heads, names, stacked)
    nested: dict[str, Any] = {}
    for name, a in arrays.items():
        *parents, last = name.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = a
    return nested


def from_flax(
    variables: Mapping[str, Any],
    like: PyTree,
    *,
    heads: int | None = None,
    names: Mapping[str, str] | None = None,
    stacked: tuple[str, ...] = (),
) -> PyTree:
    """Parameters from the nested dictionary of a Flax module.

        θ = P⁻¹ τ = Pᵀ τ

    Args:
        variables: One collection, such as ``variables["params"]`` of ``flax.linen``, or
            ``nnx.to_pure_dict(nnx.state(module))``. Running statistics are left out where ``like``
            has none, and the parameters where it has nothing else.
        like: Parameters of the structure, shapes and dtypes wanted; or running statistics.
        heads: The number of heads of multi-head attention, if there is some.
        names: Paths here, and what they are called there; the longest beginning of a path counts.
        stacked: Paths where layers are stacked along a first axis here.

    Returns:
        A pytree like ``like``, with the numbers of the variables. Of two biases of a recurrent
        layer where Flax has one, the other is 0.

    Raises:
        TypeError: If ``variables`` is no mapping, an array does not hold floating-point numbers,
            ``heads`` is no integer, ``names`` no mapping of strings, or ``stacked`` no tuple of
            strings.
        ValueError: If the variables lack an array or have one too many, a shape does not fit, or
            ``heads`` is missing or below 1.

    Example:
        >>> from fnmath.layers import dense, dense_init
        >>> like = dense_init(jax.random.key(0), 2, 1)
        >>> variables = {"kernel": jnp.array([[1.0], [2.0]]), "bias": jnp.array([0.5])}
        >>> print(dense(from_flax(variables, like), jnp.array([3.0, 4.0])))
        [11.5]

    Source:
        The documentation of ``flax.linen`` and ``flax.nnx``.
    """
    _checks.instance("from_flax", "variables", variables, Mapping)
    _trees.check_names("from_flax", names, stacked)
    like = _trees.arrays_of_tree("from_flax", "like", like)
    _check_heads("from_flax", heads, like)

    def arrays_of(tree: PyTree) -> dict[str, jax.Array]:
        return _arrays("from_flax", tree, heads, names, stacked)

    return _trees.loaded("from_flax", dict(_flat(variables)), like, arrays_of, STATISTICS)


def _check_heads(function: str, heads: Any, tree: PyTree) -> None:
    """Raise unless the heads are a number of at least 1, or there is no attention."""
    if heads is not None:
        _checks.size(function, heads=heads)
    elif any(map(_is_attention, jax.tree.leaves(tree, is_leaf=_is_attention))):
        _checks.fail(function, "heads is None; wanted their number, for there is attention")


def _is_attention(tree: Any) -> bool:
    return isinstance(tree, MultiHeadAttentionParams)


def _is_recurrent(tree: Any) -> bool:
    return isinstance(tree, _layouts.RECURRENT)


def _arrays(
    function: str,
    tree: PyTree,
    heads: int | None,
    names: Mapping[str, str] | None,
    stacked: tuple[str, ...],
) -> dict[str, jax.Array]:
    layouts = _layouts.flax_layouts(heads or 1)
    return _trees.named_arrays(function, tree, lambda t: layouts.get(type(t)), names, stacked)


def _flat(variables: Mapping[str, Any], path: str = "") -> Any:
    """Every array under its dotted name."""
    for name, part in variables.items():
        inner = _trees.joined(path, str(name))
        if isinstance(part, Mapping):
            yield from _flat(part, inner)
        else:
            yield inner, part
