"""Arrays under names: the walk through a pytree of parameters, and back by transposition.

Notation: that of the chapter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from fnmath import _checks

Named = dict[str, Any]
Layouts = Mapping[type, Callable[[Any], Named]]
Lookup = Callable[[Any], Callable[[Any], Named] | None]


def arrays_of_tree(function: str, argument: str, tree: Any) -> PyTree:
    """The tree with arrays as leaves; raise unless they hold floating-point numbers."""
    leaves = jax.tree.leaves_with_path(tree)
    if not leaves:
        _checks.fail(function, f"{argument} holds no array")
    for path, leaf in leaves:
        _checks.floating(function, **{f"{argument}{jax.tree_util.keystr(path)}": leaf})
    return jax.tree.map(jnp.asarray, tree)


def check_names(function: str, names: Any, stacked: Any) -> None:
    """Raise unless ``names`` maps paths to paths and ``stacked`` is a tuple of paths."""
    if names is not None:
        _checks.instance(function, "names", names, Mapping)
        for pair in names.items():
            if not all(isinstance(path, str) for path in pair):
                problem = f"names holds {pair!r}; wanted a path for a path, both strings"
                _checks.fail(function, problem, error=TypeError)
    if not isinstance(stacked, tuple) or not all(isinstance(path, str) for path in stacked):
        cure = f"({stacked!r},)" if isinstance(stacked, str) else ""
        problem = f"stacked is {stacked!r}; wanted a tuple of paths"
        _checks.fail(function, problem, cure, error=TypeError)


def joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name


def children(tree: Any) -> list[tuple[str, Any]] | None:
    """The parts of a container under their names; None for what is an array."""
    if hasattr(tree, "_fields"):
        return list(tree._asdict().items())
    if isinstance(tree, tuple | list):
        return [(str(i), part) for i, part in enumerate(tree)]
    if isinstance(tree, Mapping):
        return [(str(name), part) for name, part in tree.items()]
    return None


def _layers(function: str, path: str, tree: PyTree) -> list[PyTree]:
    """The layers that are stacked along the first axis of every array."""
    lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(tree)}
    if len(lengths) != 1 or lengths == {()}:
        problem = f"{path} is stacked, but its arrays have first axes {sorted(lengths)}"
        _checks.fail(function, f"{problem}; wanted one length")
    ((length,),) = lengths
    return [jax.tree.map(lambda a, i=i: a[i], tree) for i in range(length)]


def _laid_out(
    function: str, path: str, layer: Any, layout: Callable[[Any], Named]
) -> Iterator[tuple[str, Any]]:
    try:
        arrays = layout(layer)
        if odd := [a for a in arrays.values() if not hasattr(a, "shape")]:
            raise TypeError(f"{odd[0]!r} is no array")
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        what = f"{path or 'the tree'} is a {type(layer).__name__} of parts that do not fit"
        problem = f"{what}; wanted arrays as its _init makes them ({error})"
        raise TypeError(f"{function}: {problem}") from error
    return ((joined(path, name), a) for name, a in arrays.items())


def _walk(
    function: str, tree: PyTree, path: str, layout_of: Lookup, stacked: Collection[str]
) -> Iterator[tuple[str, Any]]:
    """Every array in its layout over there, under its path."""
    if tree is None:
        return
    if path in stacked:
        for i, layer in enumerate(_layers(function, path, tree)):
            yield from _walk(function, layer, joined(path, str(i)), layout_of, ())
    elif layout := layout_of(tree):
        yield from _laid_out(function, path, tree, layout)
    elif (parts := children(tree)) is not None:
        for name, part in parts:
            yield from _walk(function, part, joined(path, name), layout_of, stacked)
    else:
        yield path, tree


def _translated(path: str, names: Mapping[str, str]) -> str:
    """The path with the longest part of its beginning that has another name over there renamed."""
    for i in range(len(parts := path.split(".")), 0, -1):
        beginning = ".".join(parts[:i])
        if beginning in names:
            return joined(names[beginning], ".".join(parts[i:]))
    return path


def named_arrays(
    function: str,
    tree: PyTree,
    layout_of: Lookup,
    names: Mapping[str, str] | None,
    stacked: Collection[str],
) -> Named:
    """P θ: what the other library keeps, each array under its name."""
    found: Named = {}
    for path, a in _walk(function, tree, "", layout_of, stacked):
        name = _translated(path, names or {})
        if name in found:
            _checks.fail(function, f"two arrays have the name {name!r}; wanted names that differ")
        found[name] = a
    return found


def loaded(
    function: str,
    given: Mapping[str, Any],
    like: PyTree,
    arrays_of: Callable[[PyTree], Named],
    statistics: Collection[str],
) -> PyTree:
    """Pᵀ τ, in the structure, shapes and dtypes of ``like``.

    Statistics are left out of account where ``like`` has none, and parameters where it has nothing
    else: they stand in one state dict, and in two trees here.
    """
    wanted = jax.eval_shape(arrays_of, like)
    kinds = {_last(name) in statistics for name in wanted}
    counts = {name for name in given if _last(name) == "num_batches_tracked"}
    others = [name for name in given if name not in wanted and name not in counts]
    spare = [name for name in others if (_last(name) in statistics) in kinds]
    missing = [name for name in wanted if name not in given]
    for problem, found in (("lacks", missing), ("has, with no place for it,", spare)):
        if found:
            listed = ", ".join(map(repr, found[:3])) + (", …" if len(found) > 3 else "")
            _checks.fail(function, f"the state {problem} {listed}; wanted the arrays of like")
    arrays = {name: _array(function, name, given[name], a) for name, a in wanted.items()}
    (tree,) = jax.linear_transpose(arrays_of, like)(arrays)
    return tree


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _array(function: str, name: str, x: Any, wanted: jax.ShapeDtypeStruct) -> jax.Array:
    """The array in the wanted dtype; raise where its shape is another one."""
    a = x if isinstance(x, jax.Array) else np.asarray(x)
    _checks.floating(function, **{name: a})
    if a.shape != wanted.shape:
        _checks.fail(function, f"{name} has shape {a.shape}; wanted {wanted.shape}")
    return jnp.asarray(a, wanted.dtype)
