"""What the operands of a product must share: dtype, batch axes and the axis summed over."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from fnmath import _checks


def one_dtype(function: str, **arrays: Any) -> None:
    """Raise ``TypeError`` unless the arrays are inexact and all of one dtype."""
    _checks.inexact(function, **arrays)
    (first, x), *rest = arrays.items()
    for second, y in rest:
        a, b = jnp.result_type(x), jnp.result_type(y)
        if a != b:
            problem = f"{first} has dtype {a} and {second} has dtype {b}; wanted one dtype"
            cure = f"{second}.astype({first}.dtype)"
            _checks.fail(function, problem, cure, error=TypeError)


def one_batch(function: str, **operands: tuple[Any, int]) -> None:
    """Raise unless two operands, each given with its number of own axes, have equal batch axes."""
    (first, (x, n)), (second, (y, m)) = operands.items()
    shapes = jnp.shape(x), jnp.shape(y)
    a, b = (shape[: len(shape) - own] for shape, own in zip(shapes, (n, m), strict=True))
    if a == b:
        return
    cure = ""
    if len(b) == len(a) + 1 and m == 1 and shapes[1][-1] == 1:
        cure = f"{second}[..., 0]"
    elif len(a) == len(b) + 1 and n == 1 and shapes[0][-1] == 1:
        cure = f"{first}[..., 0]"
    elif len(a) + len(b) == 1:
        cure = f"jax.vmap({function}, in_axes={(0, None) if a else (None, 0)})"
    elif not a or not b:
        short, shape = (second, a + shapes[1]) if a else (first, b + shapes[0])
        cure = f"jnp.broadcast_to({short}, {shape})"
    problem = f"{first} {shapes[0]} and {second} {shapes[1]} have batch axes {a} and {b}"
    _checks.fail(function, f"{problem}; wanted equal ones, since nothing broadcasts", cure)


def one_inner_size(function: str, A: Any, argument: str, y: Any, axis: int) -> None:
    """Raise unless A has as many columns as ``y`` has entries along its ``axis``."""
    columns, entries = jnp.shape(A)[-1], jnp.shape(y)[axis]
    if columns != entries:
        noun = "rows" if axis == -2 else "entries"
        cure = ""
        if axis == -2 and jnp.shape(y)[-1] == columns:
            cure = f"transpose({argument})"
        elif jnp.shape(A)[-2] == entries:
            cure = "transpose(A)"
        problem = f"A {jnp.shape(A)} has {columns} columns and {argument} {jnp.shape(y)}"
        _checks.fail(function, f"{problem} has {entries} {noun}; wanted as many", cure)
