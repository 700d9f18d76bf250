"""One step of each recurrent layer: the cells."""

from __future__ import annotations

from collections.abc import Callable

import jax
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.activations import tanh
from fnmath.layers.recurrent._parts import (
    empty_state,
    fitting,
    from_input,
    rounded_as,
    same_state,
)
from fnmath.layers.recurrent._steps import LSTMState, gru_step, lstm_step, rnn_step
from fnmath.layers.recurrent.parameters import GRUParams, LSTMParams, RNNParams


def rnn_cell(
    params: RNNParams,
    state: Float[Array, "*batch hidden"],
    x: Float[Array, "*batch in"],
    *,
    activation: Callable[[jax.Array], jax.Array] = tanh,
) -> Float[Array, "*batch hidden"]:
    """Step of the simple recurrent layer.

        h' = φ(x W + b + h U + d)

    Gradient:
        z̄ = φ′(z) ⊙ h̄',    x̄ = z̄ Wᵀ,    h̄ = z̄ Uᵀ,    W̄ = Σ xᵀ z̄,    Ū = Σ hᵀ z̄,    b̄ = d̄ = Σ z̄

    with z the argument of φ and the sums over the batch.

    Args:
        params: The kernels W and U, and the biases b and d, which may be None.
        state: The hidden state h.
        x: The inputs of this step, features last.
        activation: The function φ, applied elementwise: tanh, or relu.

    Returns:
        The next hidden state h', which is the output too, in the dtype of the state.

    Raises:
        TypeError: If params are not four, the activation not a function, or an array not of
            floating point.
        ValueError: If the parameters do not fit each other and x, or the state the two.

    Example:
        >>> params = RNNParams(jnp.eye(2), 0.5 * jnp.eye(2))
        >>> print(rnn_cell(params, jnp.array([4.0, 0.0]), jnp.array([-2.0, 0.0])))
        [0. 0.]

    Source:
        Elman, Finding structure in time (1990), figure 2; ``torch.nn.RNNCell``.
    """
    _checks.function("rnn_cell", "activation", activation)
    params = fitting("rnn_cell", params, RNNParams, 1, x, "in")
    state = same_state("rnn_cell", "state", state, empty_state(params, x.shape[:-1]))
    return rounded_as(rnn_step(activation)(params, state, from_input(params, x)), state)


def gru_cell(
    params: GRUParams,
    state: Float[Array, "*batch hidden"],
    x: Float[Array, "*batch in"],
) -> Float[Array, "*batch hidden"]:
    """Step of the GRU, which mixes the state with a candidate for a new one.

        r = σ(x Wᵣ + bᵣ + h Uᵣ + dᵣ)
        z = σ(x W_z + b_z + h U_z + d_z)
        n = tanh(x Wₙ + bₙ + r ⊙ (h Uₙ + dₙ))
        h' = (1 − z) ⊙ n + z ⊙ h

    The reset gate r comes after the product with Uₙ, as in PyTorch and Flax; in the paper it comes
    before. Flax's cell has the same formula with dᵣ = d_z = 0: its kernels ``ir``, ``iz``, ``in``
    side by side are W, ``hr``, ``hz``, ``hn`` are U, the biases of the first three are b, and that
    of ``hn`` is dₙ.

    Gradient:
        n̄ = (1 − z) h̄',    z̄ = (h − n) h̄',    s̄ₙ = (1 − n²) n̄,    r̄ = (h Uₙ + dₙ) s̄ₙ,
        s̄_z = z (1 − z) z̄,    s̄ᵣ = r (1 − r) r̄,    x̄ = Σ_g s̄_g W_gᵀ,
        h̄ = z h̄' + s̄ᵣ Uᵣᵀ + s̄_z U_zᵀ + (r s̄ₙ) Uₙᵀ

    elementwise but for the products with kernels, s being the arguments of σ and tanh.

    Args:
        params: The kernels W and U, and the biases b and d, which may be None.
        state: The hidden state h.
        x: The inputs of this step, features last.

    Returns:
        The next hidden state h', which is the output too, in the dtype of the state.

    Raises:
        TypeError: If params are not four, or an array not of floating point.
        ValueError: If the parameters do not fit each other and x, or the state the two.

    Example:
        >>> params = GRUParams(jnp.zeros((1, 3)), jnp.zeros((1, 3)))
        >>> print(gru_cell(params, jnp.array([4.0]), jnp.array([1.0])))  # both gates half open
        [2.]

    Source:
        Cho and others, Learning phrase representations using RNN encoder-decoder for statistical
        machine translation (2014), §2.3; ``torch.nn.GRUCell``.
    """
    params = fitting("gru_cell", params, GRUParams, 3, x, "in")
    state = same_state("gru_cell", "state", state, empty_state(params, x.shape[:-1]))
    return rounded_as(gru_step(params, state, from_input(params, x)), state)


def lstm_cell(
    params: LSTMParams,
    state: LSTMState,
    x: Float[Array, "*batch in"],
) -> LSTMState:
    """Step of the LSTM, whose cell state is only scaled and added to.

        i, f, o = σ(x W + b + h U + d),    g = tanh(x W_g + b_g + h U_g + d_g)
        c' = f ⊙ c + i ⊙ g
        h' = o ⊙ tanh c'

    each gate with its own columns of W and U. A forget gate f = 1 passes c̄ on as it is, over any
    number of steps.

    Flax's ``OptimizedLSTMCell`` has the same formula without b: its kernels ``ii``, ``if``, ``ig``,
    ``io`` side by side are W, ``hi``, ``hf``, ``hg``, ``ho`` are U, and their biases d.

    Gradient:
        ō = h̄' tanh c',    c̃ = c̄' + h̄' o (1 − tanh² c'),    f̄ = c c̃,    ī = g c̃,    ḡ = i c̃,
        c̄ = f c̃,    s̄_k = k (1 − k) k̄ for k = i, f, o,    s̄_g = (1 − g²) ḡ,
        x̄ = s̄ Wᵀ,    h̄ = s̄ Uᵀ

    Args:
        params: The kernels W and U, and the biases b and d, which may be None.
        state: The hidden state h and the cell state c.
        x: The inputs of this step, features last.

    Returns:
        The next state, h' being the output too, in the dtypes of the state.

    Raises:
        TypeError: If params are not four or the state not two, or an array not of floating point.
        ValueError: If the parameters do not fit each other and x, or the state the two.

    Example:
        >>> params = LSTMParams(jnp.zeros((1, 4)), jnp.zeros((1, 4)))
        >>> state = LSTMState(hidden=jnp.zeros(1), cell=jnp.array([4.0]))
        >>> print(lstm_cell(params, state, jnp.array([1.0])).cell)  # all gates half open
        [2.]

    Source:
        Hochreiter and Schmidhuber, Long short-term memory (1997), §4; Gers, Schmidhuber and
        Cummins, Learning to forget (2000), §3 (the forget gate); ``torch.nn.LSTMCell``.
    """
    params = fitting("lstm_cell", params, LSTMParams, 4, x, "in")
    empty = empty_state(params, x.shape[:-1])
    state = same_state("lstm_cell", "state", state, LSTMState(empty, empty))
    return rounded_as(lstm_step(params, state, from_input(params, x)), state)
