"""The trilinear form of an image, a kernel and an output, and its three contractions.

    T(x, K, y) = Σ_batch Σᵢ Σₐ Σ_c Σ_o x[s i + d a − low, c] K[a, c, o] y[i, o]

over the windows i and the taps a of a grid, with zeros outside of the image. To contract two of the
three is to differentiate T by the third:

    OUTPUT  ∂T/∂y   of x and K: the convolution
    IMAGE   ∂T/∂x   of K and y: the transposed convolution, and what x gets in backpropagation
    KERNEL  ∂T/∂K   of x and y: what K gets in backpropagation

Each is bilinear, and transposed by an operand it is the contraction that gives this operand: every
derivative of every order is one of these three operations. They are one JAX primitive, so that each
of them, wherever it comes up, is computed by the form expected to be fastest for its shapes.

Arrays: x is ``batch *space in``, K ``*window in/groups out`` and y ``batch *counts out``, behind
``sets`` axes that all three have in common and over which nothing is summed. What comes out is
float32 at least.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp
from jax import core, lax
from jax.interpreters import ad, batching, mlir

from fnmath.layers.convolution._choice import chosen
from fnmath.layers.convolution._forms import FORMS, IMAGE, KERNEL, OUTPUT
from fnmath.layers.convolution._geometry import Grid

# What the operands of a contraction are, in their order.
OPERANDS = {OUTPUT: (IMAGE, KERNEL), IMAGE: (KERNEL, OUTPUT), KERNEL: (IMAGE, OUTPUT)}

# Forms that read their operands more than once, or end in a sum of entries.
LOOSE = ("taps", "rows", "patches", "spread", "winograd")

correlate_p = jax.extend.core.Primitive("correlate")


def correlate(
    a: jax.Array, b: jax.Array, grid: Grid, *, role: str, groups: int, method: str | None = None
) -> jax.Array:
    """The contraction of two of the three, in the order of ``OPERANDS``, that gives ``role``."""
    dtype = jnp.result_type(a, b)
    static = {"grid": grid, "role": role, "groups": groups, "method": method, "sets": 0}
    return correlate_p.bind(a.astype(dtype), b.astype(dtype), **static)


def _wide(dtype: Any) -> Any:
    return jnp.promote_types(dtype, jnp.float32)


def _shape(a: Any, b: Any, grid: Grid, role: str, groups: int, sets: int) -> tuple[int, ...]:
    if role == OUTPUT:
        return (*a.shape[: sets + 1], *grid.counts, b.shape[-1])
    if role == IMAGE:
        return (*b.shape[: sets + 1], *grid.sizes, a.shape[-2] * groups)
    return (*a.shape[:sets], *grid.window, a.shape[-1] // groups, b.shape[-1])


def _result(
    a: Any, b: Any, *, grid: Grid, role: str, groups: int, method: str | None, sets: int
) -> Any:
    varying = getattr(a, "vma", frozenset()) | getattr(b, "vma", frozenset())
    options: dict[str, Any] = {"vma": varying} if varying else {}
    shape = _shape(a, b, grid, role, groups, sets)
    return core.ShapedArray(shape, _wide(a.dtype), **options)


def _computed(
    a: jax.Array,
    b: jax.Array,
    *,
    default: str | None = None,
    grid: Grid,
    role: str,
    groups: int,
    method: str | None,
    sets: int,
) -> jax.Array:
    """The contraction by the form that is named, by default, or chosen for its shapes."""
    shape = _shape(a, b, grid, role, groups, sets)
    if 0 in (*a.shape, *b.shape, *shape):
        return jnp.zeros(shape, _wide(a.dtype))
    first, second = (jax.ShapeDtypeStruct(z.shape[sets:], z.dtype) for z in (a, b))
    name, batch = method or default, (second if role == IMAGE else first).shape[0]
    if name is None:
        name, batch = chosen(first, second, grid, role=role, groups=groups)
    if name != "lax":
        a, b = (z.astype(_wide(z.dtype)) for z in (a, b))
    form = functools.partial(FORMS[name][role], grid=grid, groups=groups)
    form = in_chunks(form, role, batch)
    for _ in range(sets):
        form = jax.vmap(form)
    return held(form, a, b) if name in LOOSE else form(a, b)


def held(f: Callable[[jax.Array, jax.Array], jax.Array], a: jax.Array, b: jax.Array) -> jax.Array:
    """The answer, with all that goes in and comes out written to memory once.

    XLA forms entries anew wherever they are used: a sum of taps at each entry of a pooling window,
    what was pooled for each tap. What goes into a branch, and comes out, it takes as it is. This
    one is always taken, which XLA cannot know.
    """
    one = jnp.ravel(a)[0] * jnp.ravel(b)[0]
    answer = jax.eval_shape(f, a, b)
    return lax.cond(
        one * 0 != 1,
        f,
        lambda a, b: jnp.full(answer.shape, one.astype(answer.dtype)),
        a,
        b,
    )


def in_chunks(
    form: Callable[[jax.Array, jax.Array], jax.Array], role: str, size: int
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """The same contraction, of so many entries of the batch at a time."""

    def by_chunks(a: jax.Array, b: jax.Array) -> jax.Array:
        batched = [z for z, name in zip((a, b), OPERANDS[role], strict=True) if name != KERNEL]
        parts = batched[0].shape[0] // size
        if parts < 2:
            return form(a, b)

        def of(*chunk: jax.Array) -> jax.Array:
            return (
                form(*chunk)
                if role == KERNEL
                else form(*((a, *chunk) if role == IMAGE else (*chunk, b)))
            )

        whole = [z[: parts * size].reshape(parts, size, *z.shape[1:]) for z in batched]
        rest = [z[parts * size :] for z in batched]
        if role == KERNEL:
            none = jnp.zeros_like(jax.eval_shape(of, *(z[0] for z in whole)))
            answer, _ = lax.scan(lambda total, z: (total + of(*z), None), none, tuple(whole))
            return answer + of(*rest) if rest[0].shape[0] else answer
        answer = lax.map(lambda z: of(*z), tuple(whole))
        answer = answer.reshape(-1, *answer.shape[2:])
        return jnp.concatenate([answer, of(*rest)]) if rest[0].shape[0] else answer

    return by_chunks


def _transposed(place: int, cotangent: Any, *operands: Any, role: str, **static: Any) -> Any:
    """The cotangent of the operand in that place, given the other one."""
    to, other = OPERANDS[role][place], OPERANDS[role][1 - place]
    known = operands[1 - place]
    # A cotangent wider than what it belongs to was widened for a sum: narrow again, it is the same.
    arrays = {role: cotangent.astype(known.dtype), other: known}
    answer = correlate_p.bind(*(arrays[name] for name in OPERANDS[to]), role=to, **static)
    return answer.astype(operands[place].aval.dtype)


# An axis of a batch that only one operand has becomes part of an axis that the other one lacks.
_LACKING = {KERNEL: "batch", OUTPUT: "in", IMAGE: "out"}


def _folded(z: jax.Array, name: str, axis: str, sets: int, groups: int) -> jax.Array:
    """``z`` with its first axis made part of that axis."""
    if axis == "batch":
        z = jnp.moveaxis(z, 0, sets)
        return z.reshape(*z.shape[:sets], -1, *z.shape[sets + 2 :])
    if (name, axis) == (KERNEL, "in"):
        z = jnp.moveaxis(z, 0, -3)
        return z.reshape(*z.shape[:-3], -1, z.shape[-1])
    z = jnp.moveaxis(z.reshape(*z.shape[:-1], groups, z.shape[-1] // groups), 0, -2)
    return z.reshape(*z.shape[:-3], -1)


def _unfolded(z: jax.Array, name: str, axis: str, sets: int, groups: int, size: int) -> jax.Array:
    """The inverse of ``_folded``."""
    if axis == "batch":
        z = z.reshape(*z.shape[:sets], size, z.shape[sets] // size, *z.shape[sets + 1 :])
        return jnp.moveaxis(z, sets, 0)
    if (name, axis) == (KERNEL, "in"):
        z = z.reshape(*z.shape[:-2], size, z.shape[-2] // size, z.shape[-1])
        return jnp.moveaxis(z, -3, 0)
    z = z.reshape(*z.shape[:-1], groups, size, z.shape[-1] // groups // size)
    z = jnp.moveaxis(z, -2, 0)
    return z.reshape(*z.shape[:-2], -1)


def _batched(operands: Any, axes: Any, *, role: str, sets: int, **static: Any) -> Any:
    """One set more where both operands have a batch; else the same contraction, made larger."""
    batched = [axis is not None for axis in axes]
    operands = [
        jnp.moveaxis(z, axis, 0) if b else z
        for z, axis, b in zip(operands, axes, batched, strict=True)
    ]
    if all(batched):
        return correlate_p.bind(*operands, role=role, sets=sets + 1, **static), 0
    place = batched.index(True)
    name, other = OPERANDS[role][place], OPERANDS[role][1 - place]
    size, axis = operands[place].shape[0], _LACKING[other]
    where = {"sets": sets, "groups": static["groups"]}
    operands[place] = _folded(operands[place], name, axis, **where)
    answer = correlate_p.bind(*operands, role=role, sets=sets, **static)
    return _unfolded(answer, role, axis, **where, size=size), 0


_compiled = jax.jit(
    _computed, static_argnames=("default", "grid", "role", "groups", "method", "sets")
)


def _run(a: jax.Array, b: jax.Array, **static: Any) -> jax.Array:
    """By itself it is compiled, unless that is forbidden: ``jax.disable_jit``."""
    platforms = {device.platform for device in a.devices()}
    return _compiled(a, b, default=None if platforms == {"cpu"} else "lax", **static)


correlate_p.def_abstract_eval(_result)
correlate_p.def_impl(_run)
ad.defbilinear(correlate_p, functools.partial(_transposed, 0), functools.partial(_transposed, 1))
batching.primitive_batchers[correlate_p] = _batched
mlir.register_lowering(
    correlate_p, mlir.lower_fun(functools.partial(_computed, default="lax"), multiple_results=False)
)
mlir.register_lowering(
    correlate_p, mlir.lower_fun(_computed, multiple_results=False), platform="cpu"
)
