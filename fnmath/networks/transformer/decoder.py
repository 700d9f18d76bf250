"""The decoder: a language model, in which each token sees those before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer, PRNGKeyArray

from fnmath import _checks
from fnmath.activations import gelu
from fnmath.initializers import normal, zeros
from fnmath.layers import (
    DenseParams,
    EmbeddingParams,
    NormParams,
    PositionEmbeddingParams,
    dense,
    dense_init,
    dropout,
    embedding,
    embedding_decode,
    embedding_init,
    layer_norm,
    layer_norm_init,
    position_embedding,
    stack_init,
)
from fnmath.layers._arguments import Initializer, unpacked
from fnmath.networks.transformer.blocks import (
    TransformerBlockParams,
    _check_context,
    _check_noise,
    _through_blocks,
    transformer_block_init,
)
from fnmath.networks.transformer.encoder import _learned_positions


class TransformerDecoderParams(NamedTuple):
    """The parameters of a decoder.

    ``pos_embedding`` is None where no positions are learned, ``head`` where the scores are read
    with the vectors of the tokens. The arrays of ``layers``, the blocks, have a first axis that
    counts them.
    """

    token_embedding: EmbeddingParams
    pos_embedding: PositionEmbeddingParams | None
    layers: TransformerBlockParams
    ln: NormParams
    head: DenseParams | None = None


def transformer_decoder_init(
    key: PRNGKeyArray,
    vocabulary_size: int,
    features: int,
    *,
    length: int | None,
    depth: int,
    heads: int,
    hidden: int | None = None,
    context_features: int | None = None,
    tied: bool = True,
    use_bias: bool = True,
    kernel_init: Initializer | None = None,
    bias_init: Initializer = zeros,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> TransformerDecoderParams:
    """Random parameters of a decoder, as GPT-2 draws them.

        Eᵢⱼ, Pᵢⱼ, Wᵢⱼ ~ 𝒩(0, 0.02²),    the last kernel of each branch ~ 𝒩(0, 0.02²/N),    b = 0

    with N branches, two for each block and three with cross-attention. GPT-2 itself is
    ``transformer_decoder_init(key, 50257, 768, length=1024, depth=12, heads=12)``.

    Args:
        key: The random key.
        vocabulary_size: The number of tokens there are.
        features: The features of each.
        length: The number of positions that are learned, the most tokens of a sequence; None for
            none, where a rotation tells the order.
        depth: The number of blocks.
        heads: The number of heads of each, a divisor of the features.
        hidden: The hidden units of each perceptron; four times the features if None.
        context_features: The features of the context that each block asks; None for none.
        tied: Whether the scores are read with the vectors of the tokens; if not, there is a dense
            layer for them, without a bias.
        use_bias: Whether there are biases, in dense layers and normalisations alike.
        kernel_init: Draws all kernels of the blocks alike, as
            ``kernel_init(key, (in, out), dtype)``.
        bias_init: Draws the biases of the dense layers, as ``bias_init(key, (out,), dtype)``.
        dtype: The dtype of the parameters.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, ``tied`` or ``use_bias``
            not a boolean, an initialiser not a function or what it draws not an array, or the
            dtype not a floating one.
        ValueError: If a size is below 1, the heads do not divide the features, or an initialiser
            draws another shape than asked for.

    Example:
        >>> params = transformer_decoder_init(
        ...     jax.random.key(0), 65, 128, length=64, depth=4, heads=4
        ... )
        >>> print(f"{sum(p.size for p in jax.tree.leaves(params)):,}")
        809,856

    Source:
        Radford et al., Language models are unsupervised multitask learners (2019), §2.3, and its
        code.
    """
    name = "transformer_decoder_init"
    _checks.key(name, key)
    _checks.size(name, vocabulary_size=vocabulary_size, features=features)
    _checks.size(name, depth=depth, heads=heads)
    _checks.boolean(name, "tied", tied)
    options = {"use_bias": use_bias, "kernel_init": kernel_init, "bias_init": bias_init}
    options |= {"heads": heads, "hidden": hidden, "depth": depth, "dtype": dtype}
    options |= {"context_features": context_features}
    token_key, position_key, layers_key, head_key = jax.random.split(key, 4)
    head_options = {"use_bias": False, "kernel_init": normal(0.02), "dtype": dtype}
    return TransformerDecoderParams(
        embedding_init(
            token_key, vocabulary_size, features, embedding_init=normal(0.02), dtype=dtype
        ),
        _learned_positions(name, position_key, length, features, dtype),
        stack_init(layers_key, lambda k: transformer_block_init(k, features, **options), depth),
        layer_norm_init(features, use_bias=use_bias, dtype=dtype),
        None if tied else dense_init(head_key, features, vocabulary_size, **head_options),
    )


def transformer_decoder(
    params: TransformerDecoderParams,
    ids: Integer[Array, "*batch time"],
    *,
    heads: int,
    context: Float[Array, "*batch keys context_features"] | None = None,
    context_mask: Bool[Array, "*batch keys"] | None = None,
    rotate: Callable[[Any, Any], Any] | None = None,
    activation: Callable[[jax.Array], jax.Array] = gelu,
    epsilon: float = 1e-5,
    checkpoint: bool = False,
    dropout_key: PRNGKeyArray | None = None,
    dropout_rate: float = 0.0,
) -> Float[Array, "*batch time vocabulary"]:
    """Transformer decoder, a causal language model: scores of the token after each prefix.

        h₀ = E[ids] + P,    hₗ = blockₗ(hₗ₋₁),    z = LN hₙ Eᵀ        (or LN hₙ W, untied)

    z_t depends on the tokens up to t alone, and softmax(z_t) is a distribution over the one after
    them: ``softmax_cross_entropy_with_integer_labels(z[..., :-1, :], ids[..., 1:])`` is the loss.

    Gradient:
        That of its layers, from the last to the first; with ``checkpoint`` the inside of each
        block is computed again for it, and only the hₗ are kept. A tied E has two: of what it
        gives and of what it reads

    Args:
        params: The embeddings, the stacked blocks, the last normalisation and the head, as
            ``transformer_decoder_init`` makes them.
        ids: The tokens, integers in [0, vocabulary). One outside of it, a negative one too, makes
            nan of its own scores and of all after them.
        heads: The number of heads of each block.
        context: The sequence that the blocks ask, if they do.
        context_mask: True for the entries of the context that are seen at all.
        rotate: Applied to queries and keys, in heads, as ``rotate(heads, positions)``; ``rotary``
            for example. None rotates nothing.
        activation: The function between the two layers of each perceptron.
        epsilon: What the normalisations add to the variance.
        checkpoint: Whether the backward pass computes the inside of each block again.
        dropout_key: The random key of the dropout; without one, nothing is dropped.
        dropout_rate: The probability that an entry of h₀, a weight of an attention, or an entry of
            what a branch adds is set to 0.

    Returns:
        The scores z, the logits of a softmax over the vocabulary.

    Raises:
        TypeError: If params are not those of a decoder, an array does not hold numbers of its
            kind, or an option is none of its kind.
        ValueError: If the shapes do not fit, there are more tokens than learned positions, there
            is a context and no attention that asks it or the other way round, or an option is out
            of its range.

    Example:
        >>> params = transformer_decoder_init(
        ...     jax.random.key(0), 65, 128, length=64, depth=4, heads=4
        ... )
        >>> print(transformer_decoder(params, jnp.zeros((2, 5), int), heads=4).shape)
        (2, 5, 65)

    Source:
        Radford et al., Language models are unsupervised multitask learners (2019), §2.3; Press and
        Wolf, Using the output embedding to improve language models (2017), §3 (tied weights).
    """
    name = "transformer_decoder"
    params = _checked_decoder(name, params, ids)
    _check_context(name, params.layers, context, context_mask)
    _check_noise(name, dropout_key, dropout_rate)
    options = {"heads": heads, "rotate": rotate, "activation": activation, "epsilon": epsilon}
    options |= {"context": context, "context_mask": context_mask, "dropout_rate": dropout_rate}
    first, rest = (None, None) if dropout_key is None else jax.random.split(dropout_key)
    h = dropout(first, _embedded(params, ids), rate=dropout_rate)
    h = _through_blocks(
        name,
        params.layers,
        h,
        checkpoint=checkpoint,
        dropout_key=rest,
        is_causal=True,
        **options,
    )
    return _scores(params, layer_norm(params.ln, h, epsilon=epsilon))


def _checked_decoder(function: str, params: Any, ids: Any) -> TransformerDecoderParams:
    """The parameters with their names; raise unless they are those of a decoder, and ids tokens."""
    params = TransformerDecoderParams(*unpacked(function, params, TransformerDecoderParams))
    layers = TransformerBlockParams(*unpacked(function, params.layers, TransformerBlockParams))
    _checks.integer(function, ids=ids)
    _checks.rank(function, "ids", ids, "time")
    return params._replace(layers=layers)


def _embedded(params: TransformerDecoderParams, ids: Any, positions: Any = None) -> jax.Array:
    """The tokens' vectors, with those of their positions if they are learned."""
    h = embedding(params.token_embedding, ids)
    if params.pos_embedding is None:
        return h
    return position_embedding(params.pos_embedding, h, positions=positions)


def _scores(params: TransformerDecoderParams, h: jax.Array) -> jax.Array:
    """The scores of all tokens, by the head, or tied to their vectors."""
    if params.head is None:
        return embedding_decode(params.token_embedding, h)
    return dense(params.head, h)
