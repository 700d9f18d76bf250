"""What operations cost, from the shapes alone: floating-point operations and bytes moved."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp

_FREE = frozenset(
    (
        "abs",
        "broadcast_in_dim",
        "broadcast",
        "concatenate",
        "convert_element_type",
        "copy",
        "copy_p",
        "device_put",
        "dynamic_slice",
        "dynamic_update_slice",
        "gather",
        "iota",
        "mark",
        "pad",
        "reshape",
        "rev",
        "scatter",
        "select_n",
        "slice",
        "squeeze",
        "split",
        "stop_gradient",
        "transpose",
        "bitcast_convert_type",
        "expand_dims",
        "index",
        "stack",
        "random_wrap",
        "random_unwrap",
        "random_seed",
        "optimization_barrier",
        "real",
        "imag",
        "complex",
        "reduce_precision",
        "and",
        "or",
        "not",
        "xor",
        "shift_left",
        "shift_right_logical",
        "shift_right_arithmetic",
    )
)
"""What moves or relabels numbers, or works on their bits, is no arithmetic."""

_CUBIC = {
    "cholesky": 1 / 3,
    "lu": 2 / 3,
    "householder_product": 4 / 3,
    "geqrf": 4 / 3,
    "geqp3": 4 / 3,
    "qr": 4 / 3,
    "eigh": 9.0,
    "svd": 22.0,
    "eig": 25.0,
    "schur": 25.0,
    "hessenberg": 10 / 3,
    "tridiagonal": 4 / 3,
}
"""Golub and Van Loan, Matrix Computations (2013): operations of the factorisations over n³."""


def size(aval: Any) -> int:
    """How many entries."""
    return math.prod(getattr(aval, "shape", ()))


def bytes_of(avals: Iterable[Any]) -> float:
    """How many bytes the arrays take."""
    return float(sum(size(a) * getattr(a.dtype, "itemsize", 4) for a in avals))


def flops(operation: str, params: Any, inputs: list[Any], outputs: list[Any]) -> float:
    """Floating-point operations of one primitive operation: one for each entry and function."""
    if operation in _FREE or not any(_is_floating(a) for a in (*inputs, *outputs)):
        return 0.0
    made = float(sum(map(size, outputs)))
    if operation == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        return 2 * made * math.prod(inputs[0].shape[i] for i in contracted)
    if operation == "conv_general_dilated":
        _, features, *window = params["dimension_numbers"].rhs_spec
        return 2 * made * math.prod(inputs[1].shape[i] for i in (features, *window))
    if operation == "triangular_solve":
        return size(inputs[1]) * inputs[0].shape[-1]
    if operation in _CUBIC and len(inputs[0].shape) >= 2:
        *batch, m, n = inputs[0].shape
        return _CUBIC[operation] * math.prod(batch) * max(m, n) * min(m, n) ** 2
    if operation == "custom_linear_solve":
        n = outputs[0].shape[-1] if outputs[0].shape else 1
        return 2.0 * n * made
    if operation == "fft":
        lengths = math.prod(params["fft_lengths"])
        return 5 * max(map(size, (*inputs, *outputs))) * math.log2(max(lengths, 2))
    if operation == "sort":
        n = inputs[0].shape[params["dimension"]] if inputs[0].shape else 1
        return size(inputs[0]) * math.log2(max(n, 2))
    if operation.startswith(("reduce_window", "select_and", "scatter", "cum")):
        window = math.prod(params.get("window_dimensions", (1,)))
        return max(made * window, float(size(inputs[0])) if "scatter" not in operation else made)
    if operation.startswith(("reduce_", "argm")):
        return float(max((size(a) for a in inputs), default=0))
    if operation == "integer_pow":
        return made * max(1, abs(params["y"]).bit_length() + abs(params["y"]).bit_count() - 2)
    return made


def _is_floating(aval: Any) -> bool:
    return hasattr(aval, "dtype") and bool(jnp.issubdtype(aval.dtype, jnp.inexact))


def jaxpr_flops(jaxpr: Any) -> float:
    """Floating-point operations of a jaxpr; of a loop without a known length, one iteration."""
    total = 0.0
    for equation in jaxpr.eqns:
        inner = list(_inner(equation))
        if equation.primitive.name == "cond":
            total += max(map(jaxpr_flops, inner))
        elif inner:
            total += equation.params.get("length", 1) * sum(map(jaxpr_flops, inner))
        else:
            total += flops(
                equation.primitive.name,
                equation.params,
                [v.aval for v in equation.invars],
                [v.aval for v in equation.outvars],
            )
    return total


def _inner(equation: Any) -> Iterable[Any]:
    """The jaxprs that an equation runs."""
    if equation.primitive.name.startswith(("scatter", "reduce", "select_and", "custom_linear")):
        return
    for value in equation.params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            inner = getattr(item, "jaxpr", item)
            if hasattr(inner, "eqns"):
                yield inner


def dependences(jaxpr: Any, sources: set[Any]) -> set[Any]:
    """The variables of a jaxpr that depend on any of the sources."""
    known = set(sources)
    for equation in jaxpr.eqns:
        used = [not hasattr(v, "val") and v in known for v in equation.invars]
        if not any(used):
            continue
        inner = list(_inner(equation))
        if equation.primitive.name in ("jit", "pjit", "closed_call") and len(inner) == 1:
            within = dependences(
                inner[0], {v for v, u in zip(inner[0].invars, used, strict=True) if u}
            )
            known |= {
                outside
                for outside, v in zip(equation.outvars, inner[0].outvars, strict=True)
                if not hasattr(v, "val") and v in within
            }
        else:
            known |= set(equation.outvars)
    return known
