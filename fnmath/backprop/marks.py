"""Values inside a function, and their cotangents, read out of compiled code.

Notation: L is what the function f returns, h a value on the way to it that ``name`` has marked, and
h̄ = ∂L/∂h its cotangent. Let z be added to h wherever it is used: then h̄ = ∂L/∂z at z = 0, and so
the cotangents of all marks are the gradient of one function of arguments and perturbations (θ, z),
for one backward pass. ``intermediates`` rewrites the program of f to be that function. z itself is
never added: it has the derivatives of an addition, and no effect on any number.

    name("hidden", h)                 marks a value; otherwise the identity
    intermediates(f)(*args)           value and gradients of f, and of each mark value and cotangent
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.extend.core
import jax.numpy as jnp
from jax.interpreters import ad, batching, mlir
from jaxtyping import PyTree

from fnmath import _checks
from fnmath.calculus import _trees

mark_p = jax.extend.core.Primitive("mark")
mark_p.multiple_results = True


class Mark(NamedTuple):
    """What a function held at a mark."""

    value: PyTree
    """The value; with a leading axis for each ``vmap`` and ``scan`` around the mark."""
    cotangent: PyTree
    """Its cotangent, of the same tree; None in place of arrays that are not inexact."""


class Intermediates(NamedTuple):
    """A function's value and gradients, and what it held at its marks."""

    value: PyTree
    """What the function returned: with ``has_aux``, the pair of its value and the rest."""
    gradients: PyTree
    """As those of ``jax.grad``."""
    marks: dict[str, Mark]
    """Each mark by its label, behind the named scopes it stands in: ``layer_1/hidden``."""


def name(label: str, x: PyTree) -> PyTree:
    """A value marked for ``intermediates`` to read; the identity otherwise.

        name(label, x) = x

    An operation of its own that compiles to nothing: a function runs as the same program with its
    marks and without. It is batched by ``vmap`` and differentiated as the identity. (The marks of
    ``jax.ad_checkpoint.checkpoint_name`` would not do: they decide what a policy of
    ``jax.checkpoint`` saves, so that to look would be to change what is computed again; they know
    neither trees nor which axes are those of a ``vmap``.)

    What is used must be what ``name`` returns: the cotangent is that of the uses behind it.

    Args:
        label: What to call it. Where one piece of code runs for several layers, let each call
            stand in a ``jax.named_scope``, which goes before the label.
        x: An array, or a pytree of arrays.

    Returns:
        x.

    Raises:
        TypeError: If label is no text, or a leaf of x no array.
        ValueError: If label is empty or x holds no array.

    Example:
        >>> f = lambda x: jnp.sin(name("square", x**2))
        >>> print(f"{f(0.5):.4f}", sorted(intermediates(f)(0.5).marks))
        0.2474 ['square']

    Source:
        Cotangents as derivatives by perturbations: Griewank and Walther, Evaluating Derivatives
        (2008), §3.2 (reverse propagation of gradients).
    """
    _checks.instance("name", "label", label, str, f"name({x!r}, …)" if isinstance(x, str) else "")
    if not label:
        _checks.fail("name", "label is empty; wanted a text that says what is marked")
    leaves, tree = jax.tree.flatten(x)
    if not leaves:
        _checks.fail("name", f"x ({type(x).__name__}) holds no array")
    for path, leaf in _trees.named_leaves("x", x):
        if not _is_key(leaf):
            _checks.array("name", path, leaf)
    axes = ((),) * len(leaves)
    return jax.tree.unflatten(tree, mark_p.bind(*leaves, label=label, tree=tree, axes=axes))


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def intermediates(
    f: Callable[..., Any], *, argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Intermediates]:
    """The function that gives f's value, its gradients, and each mark's value with its cotangent.

        L = f(θ),    ∂L/∂θ,    h and h̄ = ∂L/∂h for each h that is marked by ``name``

    A pure function like ``jax.value_and_grad(f)``, for ``jit``, ``vmap``, ``grad`` and ``scan``,
    and at its cost: all cotangents are formed by the one backward pass. A mark in a ``scan`` (a
    ``fori_loop`` of known length is one) has a leading axis of iterations, one in a ``vmap`` of
    examples. In a ``cond`` it holds the value of the branch that was taken; a mark of a branch that
    was not has nan as its value, 0 where it is no floating-point array, and the cotangent 0.
    In ``jax.checkpoint`` a mark's value is kept, since it is returned.

    f is traced, as by ``jit``: by its differentiated arguments, the others being handed on as they
    are. Compile the whole, ``jax.jit(intermediates(f))``; without that, loops in f are compiled
    anew by each call.

    Args:
        f: A function of a scalar value, marked by ``name``.
        argnums: Which positional arguments, pytrees of floating-point arrays, to differentiate by:
            a number, or several.
        has_aux: Whether f returns a pair of its value and of other arrays.

    Returns:
        A function of f's arguments.

    Raises:
        TypeError: If f is no function, argnums no integers, or, when called, if an argument to
            differentiate by is not of floating-point arrays, or f's value not one real number.
        ValueError: When called, if argnums points past the arguments, f's value is no scalar, two
            marks have one label, or a mark stands where it has no cotangent: in a loop of unknown
            length, or in a function whose derivative is given by a rule of its author.

    Example:
        >>> f = lambda w, x: jnp.tanh(name("pre-activation", w * x)) ** 2
        >>> y = intermediates(f)(0.5, 2.0)
        >>> h = y.marks["pre-activation"]
        >>> print(f"{h.value:.1f} {h.cotangent:.4f} {y.gradients:.4f}")  # ∂L/∂w = h̄ x
        1.0 0.6397 1.2794

    Source:
        Griewank and Walther, Evaluating Derivatives (2008), §3.2; Bradbury et al., JAX: composable
        transformations of Python+NumPy programs (2018).
    """
    _checks.function("intermediates", "f", f)
    numbers = tuple(argnums) if isinstance(argnums, Sequence) else (argnums,)
    for i in numbers:
        if isinstance(i, bool) or not isinstance(i, int):
            problem = f"argnums is {argnums!r}; wanted an integer, or several"
            _checks.fail("intermediates", problem, error=TypeError)

    def evaluated(*args: Any, **kwargs: Any) -> Intermediates:
        moving = _moving(f, numbers, args)
        program, shape = _traced(f, numbers, args, kwargs, moving)
        _trees.scalar_output("intermediates", f, _loss(f, shape) if has_aux else shape)
        spots = _spots(program.jaxpr, "")

        def perturbed(moving: PyTree, zs: _Arrays) -> tuple[Any, Any]:
            leaves = jax.tree.leaves(moving)
            made, values = _run(program.jaxpr, program.consts, leaves, zs, "")
            y = jax.tree.unflatten(jax.tree.structure(shape), made)
            return (y[0] if has_aux else y), (y, values)

        loss, back, (y, values) = jax.vjp(perturbed, moving, _zeros(spots), has_aux=True)
        gradients, cotangents = back(jnp.ones_like(loss))
        marks = {label: _mark(spots[label], values[label], cotangents[label]) for label in spots}
        return Intermediates(y, gradients if isinstance(argnums, Sequence) else gradients[0], marks)

    return evaluated


# By mark, one array for each leaf of its tree.
_Arrays = dict[str, list[Any]]


class _Spot(NamedTuple):
    """A mark in a program."""

    tree: Any
    leaves: tuple[jax.ShapeDtypeStruct, ...]


def _moving(f: Callable[..., Any], numbers: Sequence[int], args: tuple) -> tuple[PyTree, ...]:
    """The arguments to differentiate by, as arrays."""
    names = _trees.positional_parameters(f)
    moving = []
    for i in numbers:
        if not -len(args) <= i < len(args):
            problem = f"argnums is {i}, and {_trees.name_of(f)} was given {len(args)} arguments"
            _checks.fail("intermediates", f"{problem} by position")
        place = i % len(args)
        if [j % len(args) for j in numbers if -len(args) <= j < len(args)].count(place) > 1:
            _checks.fail("intermediates", f"argnums is {tuple(numbers)}, one argument twice")
        argument = names[place] if place < len(names) else f"args[{place}]"
        empty = not jax.tree.leaves(args[i])
        moving += [args[i] if empty else _trees.real("intermediates", argument, args[i])]
    return tuple(moving)


def _traced(
    f: Callable[..., Any], numbers: Sequence[int], args: tuple, kwargs: dict, moving: tuple
) -> tuple[Any, PyTree]:
    """The program of f as a function of the arguments that move, and the shape of its result."""

    def alone(*moving: Any) -> Any:
        all_of_them = list(args)
        for i, x in zip(numbers, moving, strict=True):
            all_of_them[i] = x
        return f(*all_of_them, **kwargs)

    return jax.make_jaxpr(alone, return_shape=True)(*moving)


def _loss(f: Callable[..., Any], shape: PyTree) -> PyTree:
    """The first of the pair that f returns."""
    if not (isinstance(shape, tuple) and len(shape) == 2):
        came = f"{_trees.name_of(f)} returned a {type(shape).__name__}"
        problem = f"{came}; with has_aux=True, wanted a pair (value, the rest)"
        _checks.fail("intermediates", problem, error=TypeError)
    return shape[0]


def _zeros(spots: Mapping[str, _Spot]) -> _Arrays:
    """The perturbations of all marks, z = 0; None for leaves that have no cotangent."""
    return {
        label: [jnp.zeros(a.shape, a.dtype) if _has_cotangent(a) else None for a in spot.leaves]
        for label, spot in spots.items()
    }


def _has_cotangent(a: Any) -> bool:
    return jnp.issubdtype(a.dtype, jnp.inexact)


def _mark(spot: _Spot, values: list[Any], cotangents: list[Any]) -> Mark:
    return Mark(*(jax.tree.unflatten(spot.tree, leaves) for leaves in (values, cotangents)))


@jax.custom_jvp
def _perturbed(x: Any, z: Any) -> Any:
    """The value x, where z is 0, with the derivatives of x + z."""
    return x


@_perturbed.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    return primals[0], tangents[0] + tangents[1]


# What marks are to JAX: nothing but their batch axes, which vmap puts anywhere. ``axes`` has, for
# each leaf, the axis of each vmap around the mark, the outermost first, of what the outer ones
# leave.
mark_p.def_impl(lambda *xs, **_: list(xs))
mark_p.def_abstract_eval(lambda *avals, **_: list(avals))
mlir.register_lowering(mark_p, lambda context, *xs, **_: list(xs))


def _mark_jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    return mark_p.bind(*primals, **params), list(tangents)


def _mark_batched(xs: Sequence[Any], at: Sequence[Any], **params: Any) -> tuple[Any, Any]:
    leaves = zip(at, params["axes"], strict=True)
    axes = tuple(inner if d is None else (d, *inner) for d, inner in leaves)
    return mark_p.bind(*xs, **{**params, "axes": axes}), at


ad.primitive_jvps[mark_p] = _mark_jvp
ad.primitive_transposes[mark_p] = lambda cotangents, *_, **__: list(cotangents)
batching.primitive_batchers[mark_p] = _mark_batched


def _to_front(x: Any, axes: Sequence[int]) -> Any:
    """An array with its batch axes in front, the outermost first."""
    for i, d in enumerate(axes):
        x = jnp.moveaxis(x, i + d, i)
    return x


def _from_front(x: Any, axes: Sequence[int]) -> Any:
    """The inverse of ``_to_front``."""
    for i, d in reversed(list(enumerate(axes))):
        x = jnp.moveaxis(x, i, i + d)
    return x


def _scope(outer: str, equation: Any) -> str:
    """The named scopes of an equation, those of the program it stands in before its own."""
    own = [s.name for s in equation.source_info.name_stack.stack if type(s).__name__ == "Scope"]
    return "/".join([*([outer] if outer else []), *own])


def _spots(program: Any, scope: str) -> dict[str, _Spot]:
    """The marks of a program, by label."""
    found: dict[str, _Spot] = {}
    for equation in program.eqns:
        for label, spot in _spots_of(equation, _scope(scope, equation)).items():
            if label in found:
                problem = f"two values are marked {label!r}"
                cure = 'with jax.named_scope("layer_1"), around one of them'
                _checks.fail("intermediates", problem, cure)
            found[label] = spot
    return found


def _spots_of(equation: Any, scope: str) -> dict[str, _Spot]:
    """The marks of one equation."""
    params = equation.params
    if equation.primitive is mark_p:
        label = "/".join([*([scope] if scope else []), params["label"]])
        avals = [v.aval for v in equation.invars]
        shapes = [
            jax.eval_shape(functools.partial(_to_front, axes=axes), _shaped(a))
            for a, axes in zip(avals, params["axes"], strict=True)
        ]
        return {label: _Spot(params["tree"], tuple(shapes))}
    inner = [_spots(p, scope) for p in jax.extend.core.jaxprs_in_params(params)]
    if any(inner) and equation.primitive.name not in _WITHIN:
        _refuse(equation, next(label for spots in inner for label in spots))
    if equation.primitive.name == "scan":
        lead = (params["length"],)
        return {
            label: _Spot(spot.tree, tuple(a.update(shape=(*lead, *a.shape)) for a in spot.leaves))
            for label, spot in inner[0].items()
        }
    return _union(inner)


def _shaped(aval: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype)


def _union(branches: Sequence[dict[str, _Spot]]) -> dict[str, _Spot]:
    """The marks of all branches, of which one runs: two may have one label if they are alike."""
    found: dict[str, _Spot] = {}
    for label, spot in (pair for spots in branches for pair in spots.items()):
        if found.setdefault(label, spot) != spot:
            problem = f"two branches mark values of other shapes {label!r}"
            _checks.fail("intermediates", f"{problem}; wanted a label for each")
    return found


def _refuse(equation: Any, label: str) -> None:
    """Say why a mark in this equation has no cotangent, and what to do."""
    operation = equation.primitive.name
    if operation == "while":
        problem = f"{label!r} is marked in a loop of unknown length, which has no reverse mode"
        cure = "jax.lax.scan, or a fori_loop between two Python integers"
    elif operation.startswith("custom_"):
        problem = f"{label!r} is marked in a function whose own rule ({operation}) says how it is"
        problem += " derived or mapped, and that knows no marks"
        cure = "to mark what goes into it or comes out of it"
    else:
        problem = f"{label!r} is marked in {operation}, which is not looked into"
        cure = "to mark what goes into it or comes out of it"
    _checks.fail("intermediates", problem, cure)


def _run(
    program: Any, constants: Sequence[Any], arguments: Sequence[Any], zs: _Arrays, scope: str
) -> tuple[list[Any], _Arrays]:
    """What a program makes of its arguments and of the perturbations of its marks.

    Its results, and for each mark the values of its leaves.
    """
    known = dict(zip(program.constvars, constants, strict=True))
    known |= dict(zip(program.invars, arguments, strict=True))
    values: _Arrays = {}
    for equation in program.eqns:
        inputs = [_read(known, v) for v in equation.invars]
        inside = _scope(scope, equation)
        spots = _spots_of(equation, inside)
        here = _scope("", equation)
        with equation.ctx.manager, jax.named_scope(here) if here else contextlib.nullcontext():
            if spots:
                within = _WITHIN[equation.primitive.name]
                made, new = within(equation, inputs, {label: zs[label] for label in spots}, inside)
                values |= new
            else:
                params = equation.primitive.get_bind_params(equation.params)
                made = equation.primitive.bind(*inputs, **params)
        several = spots or equation.primitive.multiple_results
        known |= dict(zip(equation.outvars, made if several else [made], strict=True))
    return [_read(known, v) for v in program.outvars], values


def _read(known: Mapping[Any, Any], v: Any) -> Any:
    return v.val if isinstance(v, jax.extend.core.Literal) else known[v]


def _at_mark(
    equation: Any, inputs: Sequence[Any], zs: _Arrays, scope: str
) -> tuple[list[Any], _Arrays]:
    """The mark itself: its leaves, each perturbed by its z."""
    [(label, perturbations)] = zs.items()
    made, values = [], []
    for x, v, z, axes in zip(
        inputs, equation.invars, perturbations, equation.params["axes"], strict=True
    ):
        x = x if _is_key(x) else jnp.asarray(x, v.aval.dtype)
        made += [x if z is None else _perturbed(x, _from_front(z, axes))]
        values += [_to_front(x, axes)]
    return made, {label: values}


def _in_jit(equation: Any, inputs: Sequence[Any], zs: _Arrays, scope: str) -> tuple[Any, _Arrays]:
    """A compiled function: one that takes and returns more, all else as it was asked for."""
    params = equation.params
    within = functools.partial(_run, params["jaxpr"].jaxpr, params["jaxpr"].consts, scope=scope)
    program, shape = jax.make_jaxpr(lambda xs, zs: within(xs, zs), return_shape=True)(inputs, zs)
    free = jax.make_jaxpr(jax.jit(lambda x: x))(0.0).eqns[0].params
    params = {**params, "jaxpr": program}
    for field, now in {
        **dict.fromkeys(("in_shardings", "in_layouts", "donated_invars"), program.in_avals),
        **dict.fromkeys(("out_shardings", "out_layouts"), program.out_avals),
    }.items():
        params[field] += free[field] * (len(now) - len(params[field]))
    made = equation.primitive.bind(*inputs, *jax.tree.leaves(zs), **params)
    return jax.tree.unflatten(jax.tree.structure(shape), made)


def _in_scan(equation: Any, inputs: Sequence[Any], zs: _Arrays, scope: str) -> tuple[Any, _Arrays]:
    """A loop: it takes a z and stacks a value in each iteration."""
    params = equation.params
    first = params["num_consts"]
    last = first + params["num_carry"]

    def body(carry: list[Any], now: tuple[Any, _Arrays]) -> tuple[list[Any], Any]:
        xs, zs = now
        program = params["jaxpr"]
        arguments = [*inputs[:first], *carry, *xs]
        made, values = _run(program.jaxpr, program.consts, arguments, zs, scope)
        return made[: len(carry)], (made[len(carry) :], values)

    options = {option: params[option] for option in ("length", "reverse", "unroll")}
    start, xs = list(inputs[first:last]), list(inputs[last:])
    carry, (ys, values) = jax.lax.scan(body, start, (xs, zs), **options)
    return [*carry, *ys], values


def _in_cond(equation: Any, inputs: Sequence[Any], zs: _Arrays, scope: str) -> tuple[Any, _Arrays]:
    """A choice: a branch without one of the marks has no value there."""
    spots = _spots_of(equation, scope)
    absent = {label: [_nothing(a) for a in spot.leaves] for label, spot in spots.items()}

    def branch(program: Any) -> Callable[..., Any]:
        own = _spots(program.jaxpr, scope)

        def chosen(xs: list[Any], zs: _Arrays) -> tuple[Any, _Arrays]:
            some = {label: zs[label] for label in own}
            made, values = _run(program.jaxpr, program.consts, xs, some, scope)
            return made, absent | values

        return chosen

    branches = [branch(program) for program in equation.params["branches"]]
    return jax.lax.switch(inputs[0], branches, list(inputs[1:]), zs)


def _nothing(a: jax.ShapeDtypeStruct) -> Any:
    """The value of a mark that was not reached."""
    return jnp.full(a.shape, jnp.nan if _has_cotangent(a) else 0, a.dtype)


def _in_checkpoint(
    equation: Any, inputs: Sequence[Any], zs: _Arrays, scope: str
) -> tuple[Any, _Arrays]:
    """What is computed again on the way back, by the same policy."""
    program = equation.params["jaxpr"]
    options = {option: equation.params[option] for option in ("policy", "prevent_cse")}
    within = jax.checkpoint(functools.partial(_run, program, (), scope=scope), **options)
    return within(list(inputs), zs)


# Where marks may stand, by the name of the primitive.
_WITHIN = {
    "mark": _at_mark,
    "jit": _in_jit,
    "scan": _in_scan,
    "cond": _in_cond,
    "remat2": _in_checkpoint,
}
