"""What this chapter asks of functions and of their arguments, which are pytrees of real arrays."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from fnmath import _checks


def name_of(f: Callable[..., Any]) -> str:
    """What a message calls ``f``: its own name, or f where it has none."""
    while isinstance(f, functools.partial):
        f = f.func
    name = getattr(f, "__name__", "") or type(f).__name__
    return "f" if name == "<lambda>" else name


def positional_parameters(f: Callable[..., Any]) -> list[str]:
    """What ``f`` calls its positional arguments; empty where it does not say."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in kinds]


def first_parameter(f: Callable[..., Any]) -> str:
    """What ``f`` calls its first argument; x where it does not say."""
    return next(iter(positional_parameters(f)), "x")


def named_leaves(argument: str, x: PyTree) -> list[tuple[str, Any]]:
    """The leaves of ``x``, each with the Python expression that picks it out."""
    leaves = jax.tree_util.tree_leaves_with_path(x)
    return [(argument + jax.tree_util.keystr(path), leaf) for path, leaf in leaves]


def real(function: str, argument: str, x: PyTree) -> PyTree:
    """``x`` with its leaves as arrays; raises unless there are some, all of them floating."""
    leaves = named_leaves(argument, x)
    if not leaves:
        came = type(x).__name__
        _checks.fail(function, f"{argument} ({came}) holds no array", error=TypeError)
    for name, leaf in leaves:
        if isinstance(leaf, int) and not isinstance(leaf, bool):
            problem = f"{name} is the integer {leaf}; wanted a floating-point number"
            _checks.fail(function, problem, f"{leaf}.0", error=TypeError)
        _checks.floating(function, **{name: leaf})
    return jax.tree.map(jnp.asarray, x)


def like(function: str, argument: str, v: PyTree, of: str, x: PyTree) -> PyTree:
    """``v`` as arrays in the dtypes of ``x``; raises unless its tree, shapes and dtypes agree."""
    trees = jax.tree.structure(v), jax.tree.structure(x)
    if trees[0] != trees[1]:
        problem = f"{argument} has the tree {trees[0]}; wanted {trees[1]}, that of {of}"
        _checks.fail(function, problem)
    real(function, argument, v)
    for (name, a), (of_name, b) in zip(named_leaves(argument, v), named_leaves(of, x), strict=True):
        if jnp.shape(a) != jnp.shape(b):
            problem = f"{name} has shape {jnp.shape(a)}; wanted {jnp.shape(b)}, that of {of_name}"
            _checks.fail(function, problem)
        if not isinstance(a, float) and jnp.result_type(a) != b.dtype:
            problem = f"{name} has dtype {jnp.result_type(a)}; wanted {b.dtype}, that of {of_name}"
            cure = f"{name}.astype(jnp.{b.dtype})"
            _checks.fail(function, problem, cure, error=TypeError)
    return jax.tree.map(lambda a, b: jnp.asarray(a, b.dtype), v, x)


def real_output(function: str, f: Callable[..., Any], y: PyTree) -> None:
    """Raise unless ``y``, which ``f`` returned, is a pytree of floating-point arrays."""
    leaves = jax.tree.leaves(y)
    if not leaves:
        problem = f"{name_of(f)} returned a {type(y).__name__}; wanted an array"
        _checks.fail(function, problem, error=TypeError)
    for leaf in leaves:
        if not hasattr(leaf, "dtype") and not isinstance(leaf, int | float | complex):
            problem = f"{name_of(f)} returned a {type(leaf).__name__}; wanted an array"
            _checks.fail(function, problem, error=TypeError)
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            dtype = jnp.result_type(leaf)
            problem = f"{name_of(f)} returned dtype {dtype}; wanted a floating dtype"
            _checks.fail(function, problem, error=TypeError)


def scalar_output(function: str, f: Callable[..., Any], y: PyTree) -> None:
    """Raise unless ``y``, which ``f`` returned, is one real number."""
    name = name_of(f)
    if not jax.tree_util.treedef_is_leaf(jax.tree.structure(y)):
        cure = f"{name}(...)[0]" if isinstance(y, tuple | list) else ""
        problem = f"{name} returned a {type(y).__name__}; wanted a scalar"
        _checks.fail(function, problem, cure, error=TypeError)
    real_output(function, f, y)
    if jnp.ndim(y):
        one = f"{name}(...).squeeze()"
        cure = one if math.prod(jnp.shape(y)) == 1 else f"{name}(...).mean(), or jacobian({name})"
        _checks.fail(function, f"{name} returned shape {jnp.shape(y)}; wanted a scalar", cure)


def moved(x: PyTree, v: PyTree, t: jax.Array) -> PyTree:
    """The point x + t v, in the dtypes of ``x``."""
    return jax.tree.map(lambda a, b: a + t.astype(a.dtype) * b, x, v)
