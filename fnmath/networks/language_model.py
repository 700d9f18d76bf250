"""The recurrent language model: embedded tokens through LSTMs over each other."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, PRNGKeyArray

from fnmath import _checks
from fnmath.layers import (
    DenseParams,
    EmbeddingParams,
    LSTMParams,
    LSTMState,
    dense,
    dense_init,
    dropout,
    embedding,
    embedding_decode,
    embedding_init,
    lstm,
    lstm_init,
    recurrent_stack,
    recurrent_stack_init,
)
from fnmath.layers._arguments import unpacked


class LSTMLanguageModelParams(NamedTuple):
    """The parameters of a recurrent language model; ``head`` is None if it reads with the table."""

    token_embedding: EmbeddingParams
    layers: tuple[LSTMParams, ...]
    head: DenseParams | None = None


def lstm_language_model_init(
    key: PRNGKeyArray,
    vocabulary_size: int,
    features: int,
    *,
    hidden: int | None = None,
    depth: int = 2,
    tied: bool = False,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> LSTMLanguageModelParams:
    """Random parameters of a language model of LSTMs.

        the table, each layer and the head as ``embedding_init``, ``lstm_init`` and ``dense_init``

    Args:
        key: The random key.
        vocabulary_size: The number of tokens there are.
        features: The features of each.
        hidden: The hidden units of each layer; as many as features if None.
        depth: The number of layers.
        tied: Whether the scores are read with the vectors of the tokens, without biases; if not,
            there is a dense layer for them.
        dtype: The dtype of the parameters.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, ``tied`` not a boolean, or
            the dtype not a floating one.
        ValueError: If a size is below 1, or tied weights are asked for and the hidden units are not
            as many as the features.

    Example:
        >>> params = lstm_language_model_init(jax.random.key(0), 65, 32, hidden=64)
        >>> print([layer.kernel.shape for layer in params.layers], params.head.kernel.shape)
        [(32, 256), (64, 256)] (64, 65)

    Source:
        Zaremba, Sutskever and Vinyals, Recurrent neural network regularization (2014), §4.1.
    """
    name = "lstm_language_model_init"
    _checks.key(name, key)
    _checks.size(name, vocabulary_size=vocabulary_size, features=features, depth=depth)
    hidden = features if hidden is None else hidden
    _checks.size(name, hidden=hidden)
    _checks.boolean(name, "tied", tied)
    _checks.dtype(name, "dtype", dtype, jnp.floating, "a floating dtype")
    if tied and hidden != features:
        problem = f"tied is True with {features} features and {hidden} hidden units"
        _checks.fail(name, f"{problem}; wanted as many of each")
    table_key, layers_key, head_key = jax.random.split(key, 3)

    def init(key: PRNGKeyArray, m: int, n: int) -> LSTMParams:
        return lstm_init(key, m, n, dtype=dtype)

    return LSTMLanguageModelParams(
        embedding_init(table_key, vocabulary_size, features, dtype=dtype),
        recurrent_stack_init(layers_key, features, hidden, init=init, depth=depth),
        None if tied else dense_init(head_key, hidden, vocabulary_size, dtype=dtype),
    )


def lstm_language_model(
    params: LSTMLanguageModelParams,
    ids: Integer[Array, "*batch time"],
    *,
    initial_state: tuple[LSTMState, ...] | None = None,
    lengths: Integer[Array, "*batch"] | None = None,
    dropout_key: PRNGKeyArray | None = None,
    dropout_rate: float = 0.0,
) -> tuple[Float[Array, "*batch time vocabulary"], tuple[LSTMState, ...]]:
    """Recurrent language model: scores of the token after each prefix, and the state at the end.

        h⁽⁰⁾ = E[ids],    h⁽ˡ⁾, state⁽ˡ⁾ = lstm(h⁽ˡ⁻¹⁾, state⁽ˡ⁾),    z = h⁽ᴸ⁾ W + b

    or, tied, z = h⁽ᴸ⁾ Eᵀ.

    The state goes in and comes out: a text in pieces, each given the state after the one before,
    has the scores of the whole text. Where the gradient is to end with the piece, as in truncated
    backpropagation through time, the state goes through ``jax.lax.stop_gradient``.

    Gradient:
        That of its layers, from the last to the first, and in each from the last token to the
        first

    Args:
        params: The table, the layers and the head, as ``lstm_language_model_init`` makes them.
        ids: The tokens, integers in [0, vocabulary). One outside of it, a negative one too, makes
            nan of its own scores and of all after them.
        initial_state: The state of each layer to begin with; zeros if None.
        lengths: How many tokens of each sequence there are; all of them if None. The scores after
            its end are the head's biases.
        dropout_key: The random key of the dropout; without one, nothing is dropped.
        dropout_rate: The probability that an entry of what goes from layer to layer, in and out of
            them all, is set to 0; what goes from token to token is let be.

    Returns:
        The scores z, the logits of a softmax over the vocabulary, and the final states.

    Raises:
        TypeError: If params are not those of such a model, an array does not hold numbers of its
            kind, or an option is none of its kind.
        ValueError: If the shapes do not fit, or an option is out of its range.

    Example:
        >>> params = lstm_language_model_init(jax.random.key(0), 65, 32, hidden=64)
        >>> z, state = lstm_language_model(params, jnp.zeros((2, 5), int))
        >>> print(z.shape, state[0].hidden.shape)
        (2, 5, 65) (2, 64)

    Source:
        Zaremba, Sutskever and Vinyals, Recurrent neural network regularization (2014), §3 and
        figure 2 (where dropout is); Press and Wolf, Using the output embedding to improve language
        models (2017), §3 (tied weights).
    """
    name = "lstm_language_model"
    table, layers, head = unpacked(name, params, LSTMLanguageModelParams)
    _checks.integer(name, ids=ids)
    _checks.rank(name, "ids", ids, "time")
    _checks.number(name, "dropout_rate", dropout_rate, above=0, below=1, closed="[")
    if dropout_key is not None:
        _checks.key(name, dropout_key, "dropout_key")
    keys = (None, None, None) if dropout_key is None else jax.random.split(dropout_key, 3)
    h = dropout(keys[0], embedding(table, ids), rate=dropout_rate)
    h, state = recurrent_stack(
        lstm,
        layers,
        h,
        initial_state=initial_state,
        lengths=lengths,
        rate=dropout_rate,
        dropout_key=keys[1],
    )
    h = dropout(keys[2], h, rate=dropout_rate)
    return (embedding_decode(table, h) if head is None else dense(head, h)), state
