"""The recurrences themselves: the next state from this one and z, what comes from the input."""

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


def rnn_step(activation: Callable[[jax.Array], jax.Array]) -> Callable[..., jax.Array]:
    """The step of the simple recurrent layer with that activation."""
    return lambda params, h, z: activation(z + from_state(params, h))


def gru_step(params: Any, h: jax.Array, z: jax.Array) -> jax.Array:
    """The step of the GRU."""
    u = from_state(params, h)
    (zr, zz, zn), (ur, uz, un) = (jnp.split(a, 3, axis=-1) for a in (z, u))
    keep = sigmoid(zz + uz)
    n = tanh(zn + sigmoid(zr + ur) * un)
    return sigmoid(-zz - uz) * n + keep * h


def lstm_step(params: Any, state: LSTMState, z: jax.Array) -> LSTMState:
    """The step of the LSTM."""
    i, f, g, o = jnp.split(z + from_state(params, state.hidden), 4, axis=-1)
    c = sigmoid(f) * state.cell + sigmoid(i) * tanh(g)
    return LSTMState(sigmoid(o) * tanh(c), c)
