"""The recurrences themselves: the next state from this one and z, what comes from the input.

Notation: u = h U + d is what comes from the state, a what the activations see of z and u.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath.activations import sigmoid, tanh
from fnmath.layers.recurrent._parts import from_state


class LSTMState(NamedTuple):
    """The state of an LSTM: ``hidden`` h, which also is its output, and ``cell`` c."""

    hidden: Float[Array, "*batch hidden"]
    cell: Float[Array, "*batch hidden"]


class Recurrence(NamedTuple):
    """A step in two parts: ``joined(z, u)`` is a, linear in both; ``gates(state, a)`` the rest."""

    joined: Callable[[jax.Array, jax.Array], Any]
    gates: Callable[[Any, Any], Any]

    def __call__(self, params: Any, state: Any, z: jax.Array) -> Any:
        """The next state."""
        return self.gates(state, self.joined(z, from_state(params, hidden(state))))


def hidden(state: Any) -> jax.Array:
    """What of the state the step multiplies with U, and the layer puts out."""
    return jax.tree.leaves(state)[0]


def rnn_step(activation: Callable[[jax.Array], jax.Array]) -> Recurrence:
    """The step of the simple recurrent layer with that activation."""
    return Recurrence(jnp.add, lambda _, a: activation(a))


def _gru_joined(z: jax.Array, u: jax.Array) -> tuple[jax.Array, ...]:
    (zr, zz, zn), (ur, uz, un) = (jnp.split(a, 3, axis=-1) for a in (z, u))
    return zr + ur, zz + uz, zn, un


def _gru_gates(h: jax.Array, a: tuple[jax.Array, ...]) -> jax.Array:
    r, z, zn, un = a
    return sigmoid(-z) * tanh(zn + sigmoid(r) * un) + sigmoid(z) * h


def _lstm_gates(state: LSTMState, a: jax.Array) -> LSTMState:
    i, f, g, o = jnp.split(a, 4, axis=-1)
    c = sigmoid(f) * state.cell + sigmoid(i) * tanh(g)
    return LSTMState(sigmoid(o) * tanh(c), c)


gru_step = Recurrence(_gru_joined, _gru_gates)
lstm_step = Recurrence(jnp.add, _lstm_gates)
