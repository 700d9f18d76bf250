"""Recurrent layers composed: in both directions, and over each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from fnmath import _checks

Layer = Callable[..., tuple[jax.Array, Any]]


class BidirectionalParams(NamedTuple):
    """The parameters of a layer in each direction."""

    forward: Any
    backward: Any


class BidirectionalState(NamedTuple):
    """The state of a layer in each direction."""

    forward: Any
    backward: Any


def bidirectional_init(
    key: PRNGKeyArray,
    in_features: int,
    hidden: int,
    *,
    init: Callable[..., Any],
) -> BidirectionalParams:
    """Random parameters of a layer in both directions, drawn independently.

        (forward, backward) = (init(k₁, in, hidden), init(k₂, in, hidden))

    Args:
        key: The random key.
        in_features: The number of input features.
        hidden: The number of hidden units in each direction; there are twice as many outputs.
        init: Draws the parameters of one direction, such as ``lstm_init``; with options,
            ``functools.partial(lstm_init, dtype=…)``.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, or ``init`` no function.
        ValueError: If a size is below 1.

    Example:
        >>> from fnmath.layers import gru_init
        >>> params = bidirectional_init(jax.random.key(0), 3, 4, init=gru_init)
        >>> print(params.backward.kernel.shape)
        (3, 12)

    Source:
        Schuster and Paliwal, Bidirectional recurrent neural networks (1997), §II.C.
    """
    _checks.key("bidirectional_init", key)
    _checks.size("bidirectional_init", in_features=in_features, hidden=hidden)
    _checks.function("bidirectional_init", "init", init)
    forward, backward = jax.random.split(key)
    return BidirectionalParams(
        init(forward, in_features, hidden), init(backward, in_features, hidden)
    )


def bidirectional(
    layer: Layer,
    params: BidirectionalParams,
    x: Float[Array, "*batch time in"],
    *,
    initial_state: BidirectionalState | None = None,
    lengths: Int[Array, "*batch"] | None = None,
) -> tuple[Float[Array, "*batch time out"], BidirectionalState]:
    """Recurrent layer in both directions, so that each output depends on the whole sequence.

        y_t = [h→_t, h←_t],    h→ = layer(forward, x),    h← = layer(backward, x, reverse=True)

    Backwards, each sequence begins at its own end, whatever is padded after it.

    Gradient:
        x̄ = x̄→ + x̄←, of the two layers, each with its half of ȳ

    Args:
        layer: The layer, such as ``lstm``; with options, ``functools.partial(rnn, activation=…)``.
        params: The layer's parameters in each direction.
        x: The sequences, features last and time before them.
        initial_state: The layer's initial state in each direction; zeros if None.
        lengths: How long each sequence is, from 0 to T; all of them T if None.

    Returns:
        The outputs, those of the forward direction first, and the final states: the forward one
        is that at the end, and the backward one that at the beginning.

    Raises:
        TypeError: If the layer is not a function, or params or the initial state not two.
        ValueError: If x has too few axes.

    Example:
        >>> from fnmath.layers import RNNParams, rnn
        >>> one = RNNParams(jnp.ones((1, 1)), jnp.ones((1, 1)))
        >>> add_up = lambda *args, **options: rnn(*args, activation=lambda z: z, **options)
        >>> y, final = bidirectional(add_up, BidirectionalParams(one, one), jnp.ones((3, 1)))
        >>> print(y.T)
        [[1. 2. 3.]
         [3. 2. 1.]]

    Source:
        Schuster and Paliwal, Bidirectional recurrent neural networks (1997), §II.C;
        ``torch.nn.LSTM`` with ``bidirectional=True``.
    """
    _checks.function("bidirectional", "layer", layer)
    _checks.floating("bidirectional", x=x)
    _checks.rank("bidirectional", "x", x, "time in")
    forward, backward = _both("params", params, BidirectionalParams)
    initial = (None, None)
    if initial_state is not None:
        initial = _both("initial_state", initial_state, BidirectionalState)
    there, end = layer(forward, x, initial_state=initial[0], lengths=lengths)
    back, start = layer(backward, x, initial_state=initial[1], lengths=lengths, reverse=True)
    return jnp.concatenate([there, back], axis=-1), BidirectionalState(end, start)


def _both(argument: str, pair: Any, kind: type) -> tuple[Any, Any]:
    """The two directions; raise unless there are two."""
    if not (isinstance(pair, tuple) and len(pair) == 2):
        problem = (
            f"{argument} is a {type(pair).__name__}; wanted {kind.__name__}(forward, backward)"
        )
        _checks.fail("bidirectional", problem, error=TypeError)
    return pair[0], pair[1]


def recurrent_stack_init(
    key: PRNGKeyArray,
    in_features: int,
    hidden: int,
    *,
    init: Callable[..., Any],
    depth: int,
) -> tuple[Any, ...]:
    """Random parameters of recurrent layers over each other.

        params = (init(k₁, in, hidden), init(k₂, hidden, hidden), …)

    Each layer is given the outputs of the one below, twice ``hidden`` of them if that runs in both
    directions.

    Args:
        key: The random key.
        in_features: The number of input features of the first layer.
        hidden: The number of hidden units of each layer (in each direction).
        init: Draws the parameters of one layer, such as ``lstm_init``, or
            ``functools.partial(bidirectional_init, init=lstm_init)``.
        depth: The number of layers.

    Returns:
        The parameters of each layer, a tuple.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, or ``init`` no function.
        ValueError: If a size is below 1.

    Example:
        >>> from fnmath.layers import lstm_init
        >>> params = recurrent_stack_init(jax.random.key(0), 3, 4, init=lstm_init, depth=2)
        >>> print([layer.kernel.shape for layer in params])
        [(3, 16), (4, 16)]

    Source:
        Graves, Generating sequences with recurrent neural networks (2013), §2.
    """
    _checks.key("recurrent_stack_init", key)
    _checks.size("recurrent_stack_init", in_features=in_features, hidden=hidden, depth=depth)
    _checks.function("recurrent_stack_init", "init", init)
    params = []
    for layer_key in jax.random.split(key, depth):
        params.append(init(layer_key, in_features, hidden))
        in_features = hidden * (2 if isinstance(params[-1], BidirectionalParams) else 1)
    return tuple(params)


def recurrent_stack(
    layer: Layer,
    params: tuple[Any, ...],
    x: Float[Array, "*batch time in"],
    *,
    initial_state: tuple[Any, ...] | None = None,
    lengths: Int[Array, "*batch"] | None = None,
    rate: float = 0.0,
    dropout_key: PRNGKeyArray | None = None,
) -> tuple[Float[Array, "*batch time out"], tuple[Any, ...]]:
    """Recurrent layers over each other, each reading the outputs of the one below.

        y⁽⁰⁾ = x,    y⁽ˡ⁾ = layer(params⁽ˡ⁾, y⁽ˡ⁻¹⁾),    y = y⁽ᴸ⁾

    With a key, the outputs of every layer but the last are dropped at the rate p, and what stays is
    divided by 1 − p; without one there is no noise.

    Gradient:
        that of the layers, from the last to the first

    Args:
        layer: The layer, such as ``lstm``, or ``functools.partial(bidirectional, lstm)``.
        params: The layer's parameters, once for each of the L layers.
        x: The sequences, features last and time before them.
        initial_state: The initial state of each layer, a tuple; zeros if None.
        lengths: How long each sequence is, from 0 to T; all of them T if None.
        rate: The probability p of dropping, 0 ≤ p < 1.
        dropout_key: The random key of the dropping; none is done if None.

    Returns:
        The outputs of the last layer, and the final state of each layer, a tuple.

    Raises:
        TypeError: If the layer is not a function, params or the initial state not a tuple, the rate
            no number, or the key no random key.
        ValueError: If there is no layer, not as many initial states as layers, x has too few axes,
            or the rate lies outside of [0, 1).

    Example:
        >>> from fnmath.layers import RNNParams, rnn
        >>> one = RNNParams(jnp.ones((1, 1)), jnp.ones((1, 1)))
        >>> add_up = lambda *args, **options: rnn(*args, activation=lambda z: z, **options)
        >>> y, final = recurrent_stack(add_up, (one, one), jnp.ones((4, 1)))
        >>> print(y[:, 0], len(final))
        [ 1.  3.  6. 10.] 2

    Source:
        Graves, Generating sequences with recurrent neural networks (2013), §2; Zaremba, Sutskever
        and Vinyals, Recurrent neural network regularization (2014), §3.1 (the dropout).
    """
    _checks.function("recurrent_stack", "layer", layer)
    _checks.floating("recurrent_stack", x=x)
    _checks.rank("recurrent_stack", "x", x, "time in")
    _checks.scalar("recurrent_stack", "rate", rate)
    _checks.number("recurrent_stack", "rate", rate, above=0, below=1, closed="[")
    _one_each("params", params)
    states = (None,) * len(params) if initial_state is None else initial_state
    _one_each("initial_state", states, len(params))
    keys = (None,) * len(params)
    if dropout_key is not None:
        _checks.key("recurrent_stack", dropout_key)
        keys = (None, *jax.random.split(dropout_key, len(params))[1:])
    y, final = x, []
    for layer_params, state, key in zip(params, states, keys, strict=True):
        y = y if key is None else _dropped(key, y, rate)
        y, last = layer(layer_params, y, initial_state=state, lengths=lengths)
        final.append(last)
    return y, tuple(final)


def _one_each(argument: str, values: Any, count: int | None = None) -> None:
    """Raise unless there is one of them for each layer."""
    if not isinstance(values, tuple | list) or hasattr(values, "_fields"):
        problem = f"{argument} is a {type(values).__name__}; wanted a tuple, one for each layer"
        cure = f"({argument},)" if isinstance(values, tuple) else ""
        _checks.fail("recurrent_stack", problem, cure, error=TypeError)
    if not values:
        _checks.fail("recurrent_stack", f"{argument} is empty; wanted one for each layer")
    if count is not None and len(values) != count:
        problem = f"{argument} has {len(values)} entries; wanted {count}, one for each layer"
        _checks.fail("recurrent_stack", problem)


def _dropped(key: PRNGKeyArray, x: jax.Array, rate: float) -> jax.Array:
    """Every entry 0 with the probability ``rate``, else over 1 − rate."""
    stays = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(stays, x / (1 - rate), 0).astype(x.dtype)
