"""Steps one after another, and a derivative whose products with the inputs do not wait.

Notation: as for the steps; a dot is a tangent.

The tangent of u_t = h_t₋₁ U + d is ḣ_t₋₁ U + w_t with w_t = h_t₋₁ U̇ + ḋ. Once the states are known,
the w_t of all times are one matrix product, and only ḣ_t₋₁ U is left to the loop. Transposed, that
is the backward pass by hand: the loop hands back the cotangents of a_t, and Ū is one product of
these with the states, where JAX alone would add to Ū at every step. The loop keeps the states and
a_t, and forms the gates anew on the way back.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from fnmath.layers.recurrent._parts import from_state, rounded_as
from fnmath.layers.recurrent._steps import Recurrence, hidden


def steps(
    step: Recurrence, reverse: bool, params: Any, z: jax.Array, live: jax.Array | None, state: Any
) -> tuple[jax.Array, Any]:
    """The outputs at all times, and the last state; z and ``live`` have time first.

    Where it is not ``live`` the state stays as it is, and the output is 0.
    """
    return _traced(step, reverse, params, z, live, state)[0]


fast_steps = jax.custom_jvp(steps, nondiff_argnums=(0, 1))


@functools.partial(fast_steps.defjvp, symbolic_zeros=True)
def _steps_jvp(step: Recurrence, reverse: bool, primals: tuple, tangents: tuple) -> tuple:
    params, z, live, state = primals
    params_dot, z_dot, _, state_dot = tangents
    (outputs, last), (states, a) = _traced(step, reverse, params, z, live, state)
    w_dot = jnp.zeros((), z.dtype)
    if not isinstance(params_dot.recurrent_kernel, SymbolicZero):
        product = params_dot._replace(recurrent_bias=None)
        w_dot = from_state(product, hidden(states))
    if params.recurrent_bias is not None and not isinstance(params_dot.recurrent_bias, SymbolicZero):
        w_dot = w_dot + params_dot.recurrent_bias
    z_dot = jnp.zeros_like(z) if isinstance(z_dot, SymbolicZero) else z_dot
    state_dot = jax.tree.map(_dense, state_dot, is_leaf=lambda s: isinstance(s, SymbolicZero))
    linear = params._replace(recurrent_bias=None)

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def next_tangent(state_dot: Any, now: tuple) -> tuple[Any, jax.Array]:
        state, a, live, a_dot = now
        u_dot = from_state(linear, hidden(state_dot))
        a_dot = jax.tree.map(jnp.add, a_dot, step.joined(jnp.zeros_like(u_dot), u_dot))
        advance = functools.partial(_advanced, step, params, live)
        return jax.jvp(advance, (state, a), (state_dot, a_dot))[1]

    a_dot = step.joined(z_dot, jnp.broadcast_to(w_dot, z.shape))
    last_dot, outputs_dot = lax.scan(
        next_tangent, state_dot, (states, a, live, a_dot), reverse=reverse
    )
    return (outputs, last), (outputs_dot, last_dot)


def _dense(x: Any) -> jax.Array:
    return jnp.zeros(x.shape, x.dtype) if isinstance(x, SymbolicZero) else x


def _advanced(
    step: Recurrence, params: Any, live: jax.Array | None, state: Any, a: Any
) -> tuple[Any, jax.Array]:
    """The state after one step, and the output."""
    new = rounded_as(step.gates(state, a), state)
    output = hidden(new).astype(params.kernel.dtype)
    if live is None:
        return new, output
    return jax.tree.map(lambda n, o: jnp.where(live, n, o), new, state), jnp.where(live, output, 0)


def _traced(
    step: Recurrence, reverse: bool, params: Any, z: jax.Array, live: jax.Array | None, state: Any
) -> tuple[tuple[jax.Array, Any], tuple[Any, Any]]:
    """What ``steps`` returns; and the state before each step, and a at each."""

    def next_state(state: Any, now: tuple[jax.Array, jax.Array | None]) -> tuple[Any, Any]:
        z, live = now
        a = step.joined(z, from_state(params, hidden(state)))
        new, output = _advanced(step, params, live, state, a)
        return new, (output, (state, a))

    last, (outputs, trace) = lax.scan(next_state, state, (z, live), reverse=reverse)
    return (outputs, last), trace
