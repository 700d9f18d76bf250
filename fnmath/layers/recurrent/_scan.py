"""Steps one after another, and a derivative of which only what must wait is in the loop.

Notation: as for the steps; w_t is the part of u̇_t that depends on no other step.

The tangent of u_t = h_t₋₁ U + d is ḣ_t₋₁ U + w_t with w_t = h_t₋₁ U̇ + ḋ. Once the states are known,
the w_t of all times are one matrix product, the slopes of all steps are formed together, and only
ḣ_t₋₁ U and sums of products are left to the loop. Transposed, that is the backward pass by hand:
the loop hands back the cotangents of all a_t, and Ū is one product of these with the states, where
JAX by itself adds to Ū at every step.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array

from fnmath.layers.recurrent._parts import from_state, rounded_as
from fnmath.layers.recurrent._steps import Recurrence, hidden


def steps(
    step: Recurrence, reverse: bool, params: Any, z: Array, live: Array | None, state: Any
) -> tuple[Array, Any]:
    """The outputs at all times, and the last state; z = x W and ``live`` have time first.

    Where it is not ``live`` the state stays as it is, and the output is 0.
    """
    return (_steps if step.tangent is None else _steps_by_hand)(
        step, reverse, params, z, live, state
    )


def _steps(
    step: Recurrence, reverse: bool, params: Any, z: Array, live: Array | None, state: Any
) -> tuple[Array, Any]:
    return _run(step, reverse, params, z, live, state)[0]


_steps_by_hand = jax.custom_jvp(_steps, nondiff_argnums=(0, 1))


@functools.partial(_steps_by_hand.defjvp, symbolic_zeros=True)
def _steps_jvp(step: Recurrence, reverse: bool, primals: tuple, tangents: tuple) -> tuple:
    params, z, live, state = primals
    found, (states, a) = _run(step, reverse, params, z, live, state, traced=True)
    params_dot, z_dot, _, _ = jax.tree.map(
        lambda x: None if _is_zero(x) else x, tangents, is_leaf=_is_zero
    )
    linear = params._replace(recurrent_bias=None)
    w = jnp.zeros((), z.dtype)
    if params_dot.recurrent_kernel is not None:
        w = from_state(params_dot._replace(recurrent_bias=None), hidden(states))
    if params_dot.recurrent_bias is not None:
        w = w + params_dot.recurrent_bias
    z_dot = jnp.zeros_like(z) if z_dot is None else z_dot
    z_dot = z_dot if params_dot.bias is None else z_dot + params_dot.bias
    a_dot = step.joined(z_dot, jnp.broadcast_to(w, z.shape))
    state_dot = jax.tree.map(
        lambda s, t: jnp.zeros_like(s) if _is_zero(t) else t, state, tangents[3]
    )

    def next_tangent(state_dot: Any, now: tuple) -> tuple[Any, Array]:
        slopes, a_dot, live = now
        u_dot = from_state(linear, hidden(state_dot))
        a_dot = jax.tree.map(jnp.add, a_dot, step.joined(jnp.zeros_like(u_dot), u_dot))
        new = rounded_as(step.tangent(slopes, state_dot, a_dot), state_dot)
        return _where_live(params, live, new, state_dot)

    last_dot, outputs_dot = lax.scan(
        next_tangent, state_dot, (step.slopes(states, a), a_dot, live), reverse=reverse
    )
    return found, (outputs_dot, last_dot)


def _is_zero(x: Any) -> bool:
    return isinstance(x, SymbolicZero)


def _where_live(params: Any, live: Array | None, new: Any, old: Any) -> tuple[Any, Array]:
    """The state after a step and its output, or the state before it and 0."""
    output = hidden(new).astype(params.kernel.dtype)
    if live is None:
        return new, output
    return jax.tree.map(lambda n, o: jnp.where(live, n, o), new, old), jnp.where(live, output, 0)


def _run(
    step: Recurrence,
    reverse: bool,
    params: Any,
    z: Array,
    live: Array | None,
    state: Any,
    *,
    traced: bool = False,
) -> tuple[tuple[Array, Any], Any]:
    """What ``steps`` returns; and the state before each step and a at each, where it is traced."""

    def next_state(state: Any, now: tuple[Array, Array | None]) -> tuple[Any, Any]:
        z, live = now
        z = z if params.bias is None else z + params.bias
        a = step.joined(z, from_state(params, hidden(state)))
        new, output = _where_live(params, live, rounded_as(step.gates(state, a), state), state)
        return new, (output, (state, a) if traced else None)

    last, (outputs, trace) = lax.scan(next_state, state, (z, live), reverse=reverse)
    return (outputs, last), trace
