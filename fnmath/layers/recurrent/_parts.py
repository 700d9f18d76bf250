"""What the recurrent layers share: the checks, and the two affine maps."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.layers._arguments import unpacked


def fitting(function: str, params: Any, kind: type, gates: int, x: Any, axes: str) -> Any:
    """The parameters in the one dtype of the layer; raise unless they fit each other and x."""
    kernel, recurrent_kernel, *biases = unpacked(function, params, kind)
    _checks.floating(function, x=x, kernel=kernel, recurrent_kernel=recurrent_kernel)
    _checks.rank(function, "x", x, axes)
    _checks.rank(function, "kernel", kernel, "in gates", exact=True)
    _checks.rank(function, "recurrent_kernel", recurrent_kernel, "hidden gates", exact=True)
    _checks.same_size(function, "input features", x=x.shape[-1], kernel=kernel.shape[0])
    hidden, outputs = recurrent_kernel.shape
    if outputs != gates * hidden:
        problem = (
            f"recurrent_kernel has shape {(hidden, outputs)}; wanted {(hidden, gates * hidden)}"
        )
        many = f", {gates} gates of {hidden} units" if gates > 1 else ", a square one"
        _checks.fail(function, problem + many)
    named = {"kernel": kernel.shape[1], "recurrent_kernel": outputs}
    for name, bias in zip(("bias", "recurrent_bias"), biases, strict=True):
        if bias is not None:
            _checks.floating(function, **{name: bias})
            _checks.rank(function, name, bias, "gates", exact=True)
            named[name] = bias.shape[0]
    _checks.same_size(function, "columns of the gates", **named)
    dtype = jnp.result_type(x, *jax.tree.leaves(params))
    return kind(*(None if a is None else jnp.asarray(a, dtype) for a in params))


def same_state(function: str, argument: str, state: Any, wanted: Any) -> Any:
    """The state as arrays; raise unless it has the form and the shapes of the one ``wanted``."""
    if isinstance(wanted, tuple):
        kind = type(wanted)
        fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]
        if not (isinstance(state, tuple) and len(state) == len(fields)):
            form = f"{kind.__name__}({', '.join(fields)})"
            problem = f"{argument} is a {type(state).__name__}; wanted {form}"
            _checks.fail(function, problem, error=TypeError)
        parts = zip(fields, state, wanted, strict=True)
        return kind(*(same_state(function, f"{argument}.{f}", s, w) for f, s, w in parts))
    _checks.floating(function, **{argument: state})
    if jnp.shape(state) != wanted.shape:
        problem = f"{argument} has shape {jnp.shape(state)}; wanted {wanted.shape}"
        _checks.fail(function, problem, _broadcast(argument, state, wanted.shape))
    return jnp.asarray(state)


def _broadcast(argument: str, state: Any, shape: tuple[int, ...]) -> str:
    """The cure for a state that is one for the whole batch."""
    one = jnp.shape(state) == shape[-1:]
    return f"jnp.broadcast_to({argument}, {shape})" if one else ""


def from_input(params: Any, x: jax.Array) -> jax.Array:
    """The affine map x W + b of the inputs, of all times at once; single precision at least."""
    return _affine(x, params.kernel, params.bias)


def from_state(params: Any, h: jax.Array) -> jax.Array:
    """The affine map h U + d of the hidden state; single precision at least."""
    return _affine(h, params.recurrent_kernel, params.recurrent_bias)


def _affine(x: jax.Array, kernel: jax.Array, bias: jax.Array | None) -> jax.Array:
    wide = jnp.promote_types(kernel.dtype, jnp.float32)
    # As a matrix: with several axes of batch, XLA transposes a copy of ȳ for the gradient of W.
    rows = x.astype(kernel.dtype).reshape(math.prod(x.shape[:-1]), x.shape[-1])
    y = jnp.matmul(rows, kernel, preferred_element_type=wide)
    y = y.reshape(*x.shape[:-1], kernel.shape[-1])
    return y if bias is None else y + bias


def rounded_as(state: Any, like: Any) -> Any:
    """The state in the dtypes of another one."""
    return jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), state, like)


def empty_state(params: Any, batch: tuple[int, ...]) -> Float[Array, "*batch hidden"]:
    """Zeros in the shape of the hidden state and the dtype of the layer."""
    return jnp.zeros((*batch, params.recurrent_kernel.shape[0]), params.kernel.dtype)
