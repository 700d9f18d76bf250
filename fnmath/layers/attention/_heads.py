"""The parameters of multi-head attention, and the ways into its heads and out of them.

Notation: that of multi-head attention.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.layers.dense import DenseParams, dense


class MultiHeadAttentionParams(NamedTuple):
    """The parameters of multi-head attention: four dense layers.

    ``query`` (features, heads · head_features), ``key`` and ``value`` (context_features,
    key_value_heads · head_features), ``out`` (heads · head_features, out_features).
    """

    query: DenseParams
    key: DenseParams
    value: DenseParams
    out: DenseParams


def checked_params(function: str, params: Any, heads: Any) -> tuple[MultiHeadAttentionParams, int]:
    """The parameters and the number of heads of keys; raise unless the kernels are of heads."""
    if not (isinstance(params, tuple) and len(params) == 4):
        problem = f"params is a {type(params).__name__}; wanted MultiHeadAttentionParams("
        _checks.fail(function, problem + "query, key, value, out)", error=TypeError)
    _checks.size(function, heads=heads)
    widths, rows = {}, 0
    for name, layer in zip(MultiHeadAttentionParams._fields, params, strict=True):
        if not (isinstance(layer, tuple) and len(layer) == 2):
            problem = f"params.{name} is a {type(layer).__name__}; wanted DenseParams(kernel, bias)"
            _checks.fail(function, problem, error=TypeError)
        kernel, bias = layer
        _checks.floating(function, **{f"params.{name}.kernel": kernel})
        _checks.rank(function, f"params.{name}.kernel", kernel, "in out", exact=True)
        rows, widths[name] = jnp.shape(kernel)
        if bias is not None:
            _checks.floating(function, **{f"params.{name}.bias": bias})
            _checks.rank(function, f"params.{name}.bias", bias, "out", exact=True)
            if len(bias) != widths[name]:
                problem = f"params.{name} has {widths[name]} columns and {len(bias)} biases"
                _checks.fail(function, f"{problem}; wanted one for each")
    _check_heads(function, heads, widths, rows)
    groups = widths["key"] // (widths["query"] // heads)
    return MultiHeadAttentionParams(*params), groups


def _check_heads(function: str, heads: int, widths: dict[str, int], out_rows: int) -> None:
    q, k, v = widths["query"], widths["key"], widths["value"]
    if not q or q % heads:
        _checks.fail(function, f"the {q} columns of params.query do not fall into {heads} heads")
    size = q // heads
    if not k or k % size or heads % (k // size):
        problem = f"the {k} columns of params.key are not heads of {size} features whose number"
        _checks.fail(function, f"{problem} divides {heads}")
    groups = k // size
    if v % groups or v // groups * heads != out_rows:
        problem = f"the {v} columns of params.value do not fall into {groups} heads that give"
        _checks.fail(function, f"{problem} params.out its {out_rows} rows")


def in_heads(x: Float[Array, "*batch time columns"], heads: int) -> Array:
    """The columns as heads, each of as many features."""
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads)


def check_sequence(function: str, argument: str, x: Any, **layers: DenseParams) -> None:
    """Raise unless ``x`` is a sequence of as many features as the layers take."""
    _checks.floating(function, **{argument: x})
    _checks.rank(function, argument, x, "time features")
    for name, (kernel, _) in layers.items():
        sizes = {argument: jnp.shape(x)[-1], f"params.{name}": jnp.shape(kernel)[0]}
        _checks.same_size(function, "features", **sizes)


def rotated(function: str, rotate: Any, x: Array, positions: Any) -> Array:
    """What ``rotate`` makes of queries or keys; raise where that has another shape."""
    if rotate is None:
        return x
    _checks.function(function, "rotate", rotate)
    y = rotate(x, positions)
    _checks.array(function, "what rotate gave", y)
    if jnp.shape(y) != x.shape:
        _checks.fail(function, f"rotate gave the shape {jnp.shape(y)}; wanted {x.shape}")
    return y


def projected(function: str, out: DenseParams, o: Array, q: Array) -> Array:
    """The last layer of the heads side by side; raise unless there is an output for each query."""
    _checks.array(function, "what attention gave", o)
    wanted = (*q.shape[:-1], len(out[0]) // q.shape[-2])
    if jnp.shape(o) != wanted:
        _checks.fail(function, f"attention gave the shape {jnp.shape(o)}; wanted {wanted}")
    return dense(out, o.reshape(*q.shape[:-2], len(out[0])))
