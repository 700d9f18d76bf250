"""The recurrences themselves: the next state from this one and z, what comes from the input.

Notation: u = h U + d is what comes from the state, a what the activations see of z and u; a dot is
a tangent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from fnmath.activations import sigmoid, tanh
from fnmath.layers.recurrent._parts import from_state


class LSTMState(NamedTuple):
    """The state of an LSTM: ``hidden`` h, which also is its output, and ``cell`` c."""

    hidden: Float[Array, "*batch hidden"]
    cell: Float[Array, "*batch hidden"]


class Recurrence(NamedTuple):
    """A step in parts, and its derivative in parts.

    ``joined(z, u)`` is a, linear in both, and ``gates(state, a)`` the next state. Its tangent is
    ``tangent(slopes(state, a), state_dot, a_dot)``, where the slopes depend on no other step; both
    are None where the derivative is left to JAX.
    """

    joined: Callable[[Array, Array], Any]
    gates: Callable[[Any, Any], Any]
    slopes: Any = None
    tangent: Any = None

    def __call__(self, params: Any, state: Any, z: Array) -> Any:
        """The next state."""
        return self.gates(state, self.joined(z, from_state(params, hidden(state))))


def hidden(state: Any) -> Array:
    """What of the state the step multiplies with U, and the layer puts out."""
    return jax.tree.leaves(state)[0]


def _sigmoid(a: Array) -> Array:
    """All the gates at once: XLA would otherwise form each by itself out of slices of the sum."""
    return lax.optimization_barrier(sigmoid(lax.optimization_barrier(a)))


def _slope(f: Callable[[Array], Array], x: Array) -> Array:
    return jax.jvp(f, (x,), (jnp.ones_like(x),))[1]


def rnn_step(activation: Callable[[Array], Array]) -> Recurrence:
    """The step of the simple recurrent layer with that activation."""
    return Recurrence(jnp.add, lambda _, a: activation(a))


def _gru_joined(z: Array, u: Array) -> tuple[Array, ...]:
    n = z.shape[-1] // 3
    (z, zn), (u, un) = (jnp.split(a, [2 * n], axis=-1) for a in (z, u))
    return z + u, zn, un


def _gru_gates(h: Array, a: tuple[Array, ...]) -> Array:
    gates, zn, un = a
    both_ways = jnp.concatenate([gates, -jnp.split(gates, 2, axis=-1)[1]], axis=-1)
    r, keep, change = jnp.split(_sigmoid(both_ways), 3, axis=-1)
    return change * tanh(zn + r * un) + keep * h


def _gru_slopes(h: Array, a: tuple[Array, ...]) -> tuple[Array, ...]:
    (r, z), zn, un = jnp.split(a[0], 2, axis=-1), *a[1:]
    by_n = sigmoid(-z) * _slope(tanh, zn + sigmoid(r) * un)
    by_r = by_n * un * _slope(sigmoid, r)
    by_z = (h - tanh(zn + sigmoid(r) * un)) * _slope(sigmoid, z)
    return by_r, by_z, by_n, by_n * sigmoid(r), sigmoid(z)


def _gru_tangent(slopes: tuple[Array, ...], h_dot: Array, a_dot: tuple[Array, ...]) -> Array:
    parts = *jnp.split(a_dot[0], 2, axis=-1), *a_dot[1:], h_dot
    return functools.reduce(jnp.add, map(jnp.multiply, slopes, parts))


def _lstm_gates(state: LSTMState, a: Array) -> LSTMState:
    i, f, _, o = jnp.split(_sigmoid(a), 4, axis=-1)
    c = f * state.cell + i * tanh(jnp.split(a, 4, axis=-1)[2])
    return LSTMState(o * tanh(c), c)


def _lstm_slopes(state: LSTMState, a: Array) -> tuple[Array, Array, Array]:
    i, f, g, o = jnp.split(a, 4, axis=-1)
    c = sigmoid(f) * state.cell + sigmoid(i) * tanh(g)
    by_a = (
        tanh(g) * _slope(sigmoid, i),
        state.cell * _slope(sigmoid, f),
        sigmoid(i) * _slope(tanh, g),
        tanh(c) * _slope(sigmoid, o),
    )
    return jnp.concatenate(by_a, axis=-1), sigmoid(f), sigmoid(o) * _slope(tanh, c)


def _lstm_tangent(
    slopes: tuple[Array, Array, Array], state_dot: LSTMState, a_dot: Array
) -> LSTMState:
    by_a, by_cell, by_new_cell = slopes
    i, f, g, o = jnp.split(by_a * a_dot, 4, axis=-1)
    c = by_cell * state_dot.cell + (i + f + g)
    return LSTMState(by_new_cell * c + o, c)


gru_step = Recurrence(_gru_joined, _gru_gates, _gru_slopes, _gru_tangent)
lstm_step = Recurrence(jnp.add, _lstm_gates, _lstm_slopes, _lstm_tangent)
