"""Backpropagation through any function, step by step, as data.

    forward      v₁ → v₂ → … → vₙ = L           each step by one operation: vₖ = φₖ(v₍ᵢ₎, v₍ⱼ₎, …)
    backward     v̄ₙ = 1                          v̄ = ∂L/∂v, of v's own shape
                 v̄ᵢ += (∂φₖ/∂vᵢ)ᵀ v̄ₖ              for each input vᵢ of step k, last step first

A value that is used twice gets a cotangent from each use, and they are added. Every operation needs
to know only its own inputs and its output's cotangent: that is all there is to the chain rule.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnmath import _checks
from fnmath.backprop import _sources
from fnmath.backprop._operations import is_inexact
from fnmath.backprop._recorder import Context, Recorder
from fnmath.backprop.record import Trace
from fnmath.calculus import _trees


def trace(
    f: Callable[..., Any], *args: Any, cotangent: Any = None, keep: float = 4096, **kwargs: Any
) -> Trace:
    """Backward pass of f at its arguments, as a record of every step, value and cotangent.

        v̄ = ∂L/∂v    for L = f(args), and every value v on the way

    The function is run twice: once by JAX, without numbers, to learn of which operations it
    consists, and once operation by operation with its numbers, forward and then back. Compiled
    functions, loops, branches and functions with derivatives of their own are opened up; the steps
    they consist of are children of their step. A loop has a step for each iteration.

    The numbers are those that JAX computes when it runs the same operations one by one
    (``jax.disable_jit``). A compiler that fuses operations may round otherwise; and where a value
    is used by several operations, one of which has a derivative of several terms (tanh), JAX may
    add the cotangents in another order: the last digit may differ.

    Args:
        f: The function. Its result is one floating-point number, unless a cotangent is given.
        args: Its arguments, trees of arrays. Gradients are taken with respect to all that hold
            floating-point numbers; integers, booleans and random keys are carried along.
        cotangent: L̄ for a result that is not one number: a tree of the result's shapes.
        keep: The size up to which arrays are kept whole; of larger ones there is a summary (norm,
            extremes, histogram, a small image). ``math.inf`` keeps all.
        kwargs: Further arguments of f, passed on as they are and without a gradient.

    Returns:
        The record. Print it for the source with its values and gradients on each line.

    Raises:
        TypeError: If f is no function; if an argument is not an array, or all are integers; if it
            is called under ``jit``, ``grad`` or ``vmap``, where there are no numbers; if f decides
            by ``if`` or ``while`` on an array, or returns something else than floating-point
            numbers.
        ValueError: If the result is not one number and no cotangent is given, the cotangent does
            not fit, ``keep`` is negative, or a gradient has to pass a ``while_loop``.

    Example:
        >>> def loss(w, x):
        ...     h = jnp.tanh(w @ x)
        ...     return h @ h
        >>> record = trace(loss, jnp.eye(2), jnp.array([1.0, 2.0]))
        >>> [step.operation for step in record.steps]
        ['dot_general', 'tanh', 'dot_general']
        >>> print(*record.steps[1].rule.backward)
        x̄ = (1 − y²) ȳ
        >>> h = record.variables[record.steps[1].outputs[0]]
        >>> print(f"{h.cotangent.norm / h.value.norm:.1f}")  # h̄ = 2 h
        2.0

    Source:
        Griewank and Walther, Evaluating Derivatives (2008), §3.2; Baydin et al., Automatic
        Differentiation in Machine Learning: a Survey (2018), §3.2.
    """
    _checks.function("trace", "f", f)
    _checks.scalar("trace", "keep", keep, above=0, closed="[]")
    leaves, tree = jax.tree.flatten(args)
    names = _argument_names(f, args)
    arrays = [_checked_array(name, x) for name, x in zip(names, leaves, strict=True)]
    _check_differentiable(names, arrays)
    jaxpr, result_tree = _jaxpr(f, jax.tree.unflatten(tree, arrays), kwargs)
    seeds = _seeds(f, jaxpr.out_avals, result_tree, cotangent)
    _check_numbers([*names, "keep"], [*arrays, keep], jaxpr.consts)
    recorder = Recorder(keep, _ROOT)
    inputs = [
        recorder.value(x, name, "argument", None, active=is_inexact(x))
        for name, x in zip(names, arrays, strict=True)
    ]
    known = _closure_names(f, kwargs)
    constants = [recorder.value(c, known.get(id(c), ""), "constant", None) for c in jaxpr.consts]
    results = recorder.run(jaxpr.jaxpr, constants, inputs, Context(None, (), (), False))
    gradients = jax.tree.unflatten(tree, recorder.backward(results, seeds, inputs))
    value = jax.tree.unflatten(result_tree, [jnp.asarray(v.array) for v in results])
    return recorder.trace(value, gradients, inputs, results)


def _check_differentiable(names: list[str], arrays: list[jax.Array]) -> None:
    if not any(map(is_inexact, arrays)):
        held = ", ".join(f"{n} {x.dtype}" for n, x in zip(names, arrays, strict=True)) or "none"
        problem = f"no argument holds floating-point numbers ({held}); wanted one to differentiate"
        cure = "x.astype(jnp.float32)" if names else "trace(f, x), by its place"
        _checks.fail("trace", problem, cure, error=TypeError)


def _opened(f: Callable[..., Any], kwargs: dict[str, Any]) -> Callable[..., Any]:
    """The function as JAX traces it; every call that is open within is the user's."""

    def opened(*args: Any) -> Any:
        result = f(*args, **kwargs)
        for leaf in jax.tree.leaves(result):
            if not isinstance(leaf, jax.Array | np.ndarray | np.generic | complex | float | int):
                problem = f"f returned a {type(leaf).__name__}; wanted arrays"
                _checks.fail("trace", problem, error=TypeError)
        return result

    return opened


_ROOT = inspect.unwrap(_opened(lambda: None, {})).__code__


_UNKNOWN_VALUES = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)
"""What JAX raises where a function asks for numbers that are not there yet."""


def _jaxpr(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The operations of f as a jaxpr, and the tree of its result."""
    try:
        jaxpr, shapes = jax.make_jaxpr(_opened(f, kwargs), return_shape=True)(*args)
    except _UNKNOWN_VALUES as error:
        raise TypeError(_control_flow(error, args)) from error
    except (TypeError, IndexError) as error:  # of shapes and slices, which JAX names otherwise
        if "JitTracer(" not in str(error):
            raise
        raise TypeError(_control_flow(error, args)) from error
    if any(e.primitive.name == "new_ref" for e in jaxpr.eqns):
        problem = "f changes a reference (jax.new_ref), whose values before are gone"
        _checks.fail("trace", problem, "values carried by lax.scan", error=TypeError)
    return jaxpr, jax.tree.structure(shapes)


def _control_flow(error: Exception, args: tuple[Any, ...]) -> str:
    """What to do about a function that wants to see numbers before there are any."""
    place = ""
    for frame in inspect.getinnerframes(error.__traceback__) if error.__traceback__ else ():
        if not _sources.is_foreign(frame.filename) and frame.filename != __file__:
            line = (frame.code_context or [""])[0].strip()
            place = f"{frame.filename}:{frame.lineno}: `{line}` "
    if isinstance(error, jax.errors.TracerArrayConversionError):
        cure = "jax.numpy instead of numpy"
        problem = "makes a NumPy array"
    elif isinstance(error, jax.errors.NonConcreteBooleanIndexError):
        cure = "jnp.where(mask, x, 0), which keeps the shape"
        problem = "picks a number of entries"
    elif isinstance(error, jax.errors.TracerBoolConversionError):
        cure = "jnp.where or lax.cond for if, lax.scan for while"
        problem = "decides"
    else:
        cure = "a Python number from shapes, or lax.switch, lax.scan"
        problem = "takes a Python number"
    if any(not x.shape and not is_inexact(x) for x in jax.tree.leaves(args)):
        cure += "; or to pass a number that decides by its name, trace(f, x, n=3)"
    return (
        f"trace: {place}{problem} by the values of an array, and f is traced without values; "
        f"wanted operations of JAX; did you mean {cure}?"
    )


def _argument_names(f: Callable[..., Any], args: tuple[Any, ...]) -> list[str]:
    """The Python expression that picks out each leaf: ``params[0].kernel``."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in parameters if p.kind in kinds]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "args")
    names += [f"{rest}[{i}]" for i in range(len(args) - len(names))]
    return [
        name + jax.tree_util.keystr(path)
        for name, x in zip(names, args, strict=False)
        for path, _ in jax.tree_util.tree_leaves_with_path(x)
    ]


def _checked_array(name: str, x: Any) -> jax.Array:
    """A leaf of the arguments as an array of numbers, booleans or keys."""
    is_key = isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    if not is_key:
        if callable(x) or isinstance(x, str):
            problem = f"{name} is a {type(x).__name__}; wanted an array"
            cure = "a keyword argument, which is passed on as it is, or functools.partial"
            _checks.fail("trace", problem, cure, error=TypeError)
        _checks.array("trace", name, x)
    return jnp.asarray(x)


def _check_numbers(names: list[str], arrays: list[Any], constants: list[Any]) -> None:
    """Raise if a record is asked for where there are no numbers."""
    for name, x in zip(
        [*names, *["a constant of f"] * len(constants)], [*arrays, *constants], strict=True
    ):
        if isinstance(x, Tracer):
            problem = f"{name} is a tracer, and a record needs numbers; call trace outside of jit, "
            problem += "grad and vmap, and the transformed function within"
            _checks.fail("trace", problem, "trace(jax.vmap(f), ...)", error=TypeError)


def _closure_names(f: Callable[..., Any], kwargs: dict[str, Any]) -> dict[int, str]:
    """What f calls the arrays that it did not get as arguments, by their identity."""
    while isinstance(f, functools.partial):
        kwargs = {**f.keywords, **kwargs}
        f = f.func
    f = inspect.unwrap(f)
    trees = dict(kwargs)
    with contextlib.suppress(ValueError):  # a variable that f closes over has no value yet
        if inspect.isfunction(f):
            trees |= inspect.getclosurevars(f).nonlocals
            trees |= {k: v for k, v in inspect.getclosurevars(f).globals.items() if _is_data(v)}
    return {
        id(leaf): name + jax.tree_util.keystr(path)
        for name, tree in trees.items()
        if _is_data(tree)
        for path, leaf in _leaves(tree)
    }


def _leaves(tree: Any) -> list[tuple[Any, Any]]:
    """The leaves of a tree with their paths; none of what JAX cannot sort, which has no names."""
    try:
        return jax.tree_util.tree_leaves_with_path(tree)
    except ValueError:
        return []


def _is_data(x: Any) -> bool:
    return not (callable(x) or inspect.ismodule(x))


def _seeds(
    f: Callable[..., Any], results: Sequence[Any], tree: Any, cotangent: Any
) -> list[Any | None]:
    """The cotangents of the results: 1 for a single number, or those that were given."""
    name = _trees.name_of(f)
    shapes, dtypes = [a.shape for a in results], [a.dtype for a in results]
    if cotangent is None:
        if len(results) != 1 or shapes[0]:
            came = f"shape {shapes[0]}" if len(results) == 1 else f"{len(results)} arrays"
            problem = f"{name} returned {came}; wanted a scalar, or its cotangent"
            _checks.fail("trace", problem, f"{name}(...).mean(), or trace(..., cotangent=...)")
        if not jnp.issubdtype(dtypes[0], jnp.floating):
            problem = f"{name} returned dtype {dtypes[0]}; wanted a floating dtype"
            _checks.fail("trace", problem, error=TypeError)
        return [jnp.ones((), dtypes[0])]
    leaves: list[Any]
    try:
        leaves = tree.flatten_up_to(cotangent)  # in which None, for none, is a leaf
    except ValueError:
        leaves = [()]  # of another tree, as a leaf that is a tree of its own is
    if not jax.tree_util.all_leaves(leaf for leaf in leaves if leaf is not None):
        given = jax.tree.structure(cotangent)
        _checks.fail("trace", f"cotangent has the tree {given}; wanted {tree}, that of the result")
    for leaf, shape, dtype in zip(leaves, shapes, dtypes, strict=True):
        if leaf is None or not jnp.issubdtype(dtype, jnp.inexact):
            continue
        real = jnp.issubdtype(dtype, jnp.floating)
        (_checks.floating if real else _checks.inexact)("trace", cotangent=leaf)
        if isinstance(leaf, Tracer):
            _check_numbers(["cotangent"], [leaf], [])
        if jnp.shape(leaf) != shape:
            problem = f"cotangent has shape {jnp.shape(leaf)}; wanted {shape}, that of the result"
            _checks.fail("trace", problem)
    return [
        jnp.asarray(leaf, dtype)
        if leaf is not None and jnp.issubdtype(dtype, jnp.inexact)
        else None
        for leaf, dtype in zip(leaves, dtypes, strict=True)
    ]
