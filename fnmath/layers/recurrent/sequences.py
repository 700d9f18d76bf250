"""Recurrent layers over whole sequences: the steps by ``lax.scan``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from fnmath import _checks
from fnmath.activations import tanh
from fnmath.layers.recurrent._parts import (
    empty_state,
    fitting,
    from_input,
    rounded_as,
    same_state,
)
from fnmath.layers.recurrent._scan import steps
from fnmath.layers.recurrent._steps import LSTMState, Recurrence, gru_step, lstm_step, rnn_step
from fnmath.layers.recurrent.parameters import GRUParams, LSTMParams, RNNParams


def rnn(
    params: RNNParams,
    x: Float[Array, "*batch time in"],
    *,
    initial_state: Float[Array, "*batch hidden"] | None = None,
    lengths: Int[Array, "*batch"] | None = None,
    reverse: bool = False,
    activation: Callable[[jax.Array], jax.Array] = tanh,
) -> tuple[Float[Array, "*batch time hidden"], Float[Array, "*batch hidden"]]:
    """Simple recurrent layer over a sequence.

        h_t = φ(x_t W + b + h_t₋₁ U + d),    t = 1, …, T

    The products x_t W of all times are one matrix product; only those with U wait for each other.

    Gradient:
        z̄_t = φ′(z_t) ⊙ (ȳ_t + z̄_t₊₁ Uᵀ),    x̄_t = z̄_t Wᵀ,
        W̄ = Σ_t x_tᵀ z̄_t,    Ū = Σ_t h_t₋₁ᵀ z̄_t,    b̄ = d̄ = Σ_t z̄_t

    from the last step to the first, with z_t the argument of φ.

    Args:
        params: The kernels W and U, and the biases b and d, which may be None.
        x: The sequences, features last and time before them.
        initial_state: The state h₀; zeros if None.
        lengths: How long each sequence is, from 0 to T; all of them T if None.
        reverse: Whether to step from the end of each sequence to its beginning.
        activation: The function φ, applied elementwise: tanh, or relu.

    Returns:
        The outputs h_t at all times, 0 past the end of a sequence, and the state after its last
        step: the initial one for a sequence of length 0. Both are nan for a length outside of
        [0, T].

    Raises:
        TypeError: If params are not four, an array not of floating point, the lengths not integers,
            ``reverse`` not a boolean, or the activation not a function.
        ValueError: If the parameters do not fit each other and x, or the initial state or the
            lengths do not fit those.

    Example:
        >>> params = RNNParams(jnp.ones((1, 1)), jnp.ones((1, 1)))  # adds up, without a tanh
        >>> outputs, final = rnn(params, jnp.ones((3, 1)), activation=lambda z: z)
        >>> print(outputs[:, 0], final)
        [1. 2. 3.] [3.]

    Source:
        Elman, Finding structure in time (1990), figure 2; ``torch.nn.RNN``.
    """
    _checks.function("rnn", "activation", activation)
    params = fitting("rnn", params, RNNParams, 1, x, "time in")
    empty = empty_state(params, x.shape[:-2])
    state = empty if initial_state is None else initial_state
    state = same_state("rnn", "initial_state", state, empty)
    return _over_time("rnn", rnn_step(activation), params, x, state, lengths, reverse)


def gru(
    params: GRUParams,
    x: Float[Array, "*batch time in"],
    *,
    initial_state: Float[Array, "*batch hidden"] | None = None,
    lengths: Int[Array, "*batch"] | None = None,
    reverse: bool = False,
) -> tuple[Float[Array, "*batch time hidden"], Float[Array, "*batch hidden"]]:
    """Gated recurrent unit over a sequence.

        h_t = gru_cell(params, h_t₋₁, x_t),    t = 1, …, T

    The products x_t W of all times are one matrix product; only those with U wait for each other.

    Gradient:
        that of ``gru_cell``, from the last step to the first: h̄_t is ȳ_t and what step t + 1
        passes back

    Args:
        params: The kernels W and U, and the biases b and d, which may be None; gates r, z, n.
        x: The sequences, features last and time before them.
        initial_state: The state h₀; zeros if None.
        lengths: How long each sequence is, from 0 to T; all of them T if None.
        reverse: Whether to step from the end of each sequence to its beginning.

    Returns:
        The outputs h_t at all times, 0 past the end of a sequence, and the state after its last
        step: the initial one for a sequence of length 0. Both are nan for a length outside of
        [0, T].

    Raises:
        TypeError: If params are not four, an array not of floating point, the lengths not integers,
            or ``reverse`` not a boolean.
        ValueError: If the parameters do not fit each other and x, or the initial state or the
            lengths do not fit those.

    Example:
        >>> params = GRUParams(jnp.zeros((1, 3)), jnp.zeros((1, 3)))  # halves its state
        >>> outputs, final = gru(params, jnp.ones((3, 1)), initial_state=jnp.array([8.0]))
        >>> print(outputs[:, 0], final)
        [4. 2. 1.] [1.]

    Source:
        Cho and others, Learning phrase representations using RNN encoder-decoder for statistical
        machine translation (2014), §2.3; ``torch.nn.GRU``.
    """
    params = fitting("gru", params, GRUParams, 3, x, "time in")
    empty = empty_state(params, x.shape[:-2])
    state = empty if initial_state is None else initial_state
    state = same_state("gru", "initial_state", state, empty)
    return _over_time("gru", gru_step, params, x, state, lengths, reverse)


def lstm(
    params: LSTMParams,
    x: Float[Array, "*batch time in"],
    *,
    initial_state: LSTMState | None = None,
    lengths: Int[Array, "*batch"] | None = None,
    reverse: bool = False,
) -> tuple[Float[Array, "*batch time hidden"], LSTMState]:
    """Long short-term memory over a sequence.

        h_t, c_t = lstm_cell(params, (h_t₋₁, c_t₋₁), x_t),    t = 1, …, T

    The products x_t W of all times are one matrix product; only those with U wait for each other.

    Gradient:
        that of ``lstm_cell``, from the last step to the first: h̄_t is ȳ_t and what step t + 1
        passes back

    Args:
        params: The kernels W and U, and the biases b and d, which may be None; gates i, f, g, o.
        x: The sequences, features last and time before them.
        initial_state: The states h₀ and c₀; zeros if None.
        lengths: How long each sequence is, from 0 to T; all of them T if None.
        reverse: Whether to step from the end of each sequence to its beginning.

    Returns:
        The outputs h_t at all times, 0 past the end of a sequence, and the state after its last
        step: the initial one for a sequence of length 0. Both are nan for a length outside of
        [0, T].

    Raises:
        TypeError: If params are not four or the state not two, an array not of floating point, the
            lengths not integers, or ``reverse`` not a boolean.
        ValueError: If the parameters do not fit each other and x, or the initial state or the
            lengths do not fit those.

    Example:
        >>> params = LSTMParams(jnp.zeros((1, 4)), jnp.zeros((1, 4)))  # halves its cell
        >>> state = LSTMState(hidden=jnp.zeros((2, 1)), cell=8 * jnp.ones((2, 1)))
        >>> x = jnp.ones((2, 3, 1))
        >>> outputs, final = lstm(params, x, initial_state=state, lengths=jnp.array([3, 1]))
        >>> print(final.cell[:, 0])
        [1. 4.]

    Source:
        Hochreiter and Schmidhuber, Long short-term memory (1997), §4; Gers, Schmidhuber and
        Cummins, Learning to forget (2000), §3 (the forget gate); ``torch.nn.LSTM``.
    """
    params = fitting("lstm", params, LSTMParams, 4, x, "time in")
    empty = empty_state(params, x.shape[:-2])
    state = LSTMState(empty, empty) if initial_state is None else initial_state
    state = same_state("lstm", "initial_state", state, LSTMState(empty, empty))
    return _over_time("lstm", lstm_step, params, x, state, lengths, reverse)


def _over_time(
    function: str,
    step: Recurrence,
    params: Any,
    x: jax.Array,
    state: Any,
    lengths: Any,
    reverse: bool,
) -> tuple[jax.Array, Any]:
    """The outputs at all times, and the final state.

    Past the end of a sequence the state stays as it is. Backwards, it therefore is the initial one
    until the sequence's last entry is reached.
    """
    _checks.boolean(function, "reverse", reverse)
    x, known, live = jnp.asarray(x), None, None
    if lengths is not None:
        known, live = _live(function, lengths, x)
        x = jnp.where(live, x, 0)
        live = jnp.moveaxis(live, -2, 0)
    z = from_input(params._replace(bias=None), jnp.moveaxis(x, -2, 0))
    dtype = jnp.promote_types(jnp.result_type(*jax.tree.leaves(state)), z.dtype)
    carry = jax.tree.map(lambda s: s.astype(dtype), state)
    outputs, final = steps(step, reverse, params, z, live, carry)
    outputs, final = jnp.moveaxis(outputs, 0, -2), rounded_as(final, state)
    if known is not None:
        outputs = jnp.where(known[..., None, None], outputs, jnp.nan)
        final = jax.tree.map(lambda s: jnp.where(known[..., None], s, jnp.nan), final)
    return outputs, final


def _live(function: str, lengths: Any, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Which lengths are possible, and which times lie within them, ``*batch time 1``."""
    _checks.integer(function, lengths=lengths)
    batch, time = x.shape[:-2], x.shape[-2]
    if jnp.shape(lengths) != batch:
        problem = f"lengths has shape {jnp.shape(lengths)}; wanted {batch}, one for each sequence"
        _checks.fail(function, problem)
    known = _checks.is_label(lengths, time + 1)
    _checks.value(known, f"{function}: a length outside [0, {time}]")
    # A length that is not possible is masked as a whole: no step depends on it.
    lengths = jnp.where(known, jnp.asarray(lengths), 0)
    return known, (jnp.arange(time) < lengths[..., None])[..., None]
