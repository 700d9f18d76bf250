"""The transformer: an encoder of one sequence, and a decoder of another that asks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer, PRNGKeyArray

from fnmath import _checks
from fnmath.activations import gelu
from fnmath.initializers import normal
from fnmath.layers import EmbeddingParams, embedding, embedding_init
from fnmath.layers._arguments import unpacked
from fnmath.networks.transformer.blocks import _check_noise
from fnmath.networks.transformer.decoder import (
    TransformerDecoderParams,
    transformer_decoder,
    transformer_decoder_init,
)
from fnmath.networks.transformer.encoder import (
    TransformerEncoderParams,
    transformer_encoder,
    transformer_encoder_init,
)


class TransformerParams(NamedTuple):
    """The parameters of a transformer: the vectors of the source's tokens, encoder, decoder."""

    token_embedding: EmbeddingParams
    encoder: TransformerEncoderParams
    decoder: TransformerDecoderParams


def transformer_init(
    key: PRNGKeyArray,
    source_vocabulary_size: int,
    target_vocabulary_size: int,
    features: int,
    *,
    length: int | None,
    depth: int,
    heads: int,
    hidden: int | None = None,
    tied: bool = True,
    use_bias: bool = True,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> TransformerParams:
    """Random parameters of a transformer, with as many blocks in the encoder as in the decoder.

        Eᵢⱼ, Pᵢⱼ, Wᵢⱼ ~ 𝒩(0, 0.02²),    the last kernel of each branch ~ 𝒩(0, 0.02²/N),    b = 0

    with N branches, two for each block of the encoder, and three for each of the decoder. The
    transformer of the paper is of size ``(…, 512, depth=6, heads=8)``; other numbers of blocks are
    ``TransformerParams(embedding_init(…), transformer_encoder_init(…), transformer_decoder_init(…,
    context_features=…))``.

    Args:
        key: The random key.
        source_vocabulary_size: The number of tokens of the sequences that are read.
        target_vocabulary_size: The number of tokens of those that are written.
        features: The features of each.
        length: The number of positions that are learned, of each of the two; None for none, where
            a rotation tells the order.
        depth: The number of blocks of each.
        heads: The number of heads of each block, a divisor of the features.
        hidden: The hidden units of each perceptron; four times the features if None.
        tied: Whether the scores are read with the vectors of the target's tokens.
        use_bias: Whether there are biases, in dense layers and normalisations alike.
        dtype: The dtype of the parameters.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, ``tied`` or ``use_bias``
            not a boolean, or the dtype not a floating one.
        ValueError: If a size is below 1, or the heads do not divide the features.

    Example:
        >>> params = transformer_init(jax.random.key(0), 90, 80, 64, length=32, depth=2, heads=4)
        >>> print(params.decoder.layers.cross_attention.key.kernel.shape)
        (2, 64, 64)

    Source:
        Vaswani et al., Attention is all you need (2017), §3.1 and table 3.
    """
    name = "transformer_init"
    _checks.key(name, key)
    _checks.size(name, source_vocabulary_size=source_vocabulary_size)
    _checks.size(name, target_vocabulary_size=target_vocabulary_size, features=features)
    sizes = {"length": length, "depth": depth, "heads": heads, "hidden": hidden}
    options = {"use_bias": use_bias, "dtype": dtype}
    keys = jax.random.split(key, 3)
    decoder = transformer_decoder_init(
        keys[2], target_vocabulary_size, features,
        context_features=features, tied=tied, **sizes, **options,
    )  # fmt: skip
    init = normal(0.02)
    return TransformerParams(
        embedding_init(keys[0], source_vocabulary_size, features, embedding_init=init, dtype=dtype),
        transformer_encoder_init(keys[1], features, **sizes, **options),
        decoder,
    )


def transformer(
    params: TransformerParams,
    source: Integer[Array, "*batch source_time"],
    target: Integer[Array, "*batch target_time"],
    *,
    heads: int,
    source_mask: Bool[Array, "*batch source_time"] | None = None,
    rotate: Callable[[Any, Any], Any] | None = None,
    activation: Callable[[jax.Array], jax.Array] = gelu,
    epsilon: float = 1e-5,
    checkpoint: bool = False,
    dropout_key: PRNGKeyArray | None = None,
    dropout_rate: float = 0.0,
) -> Float[Array, "*batch target_time vocabulary"]:
    """Transformer of an encoder and a decoder: scores of the next token, given another sequence.

        c = encoder(E[source]),    z = decoder(target; c)

    z_t depends on the whole source, and on the target's tokens up to t. In PyTorch's
    ``nn.Transformer(norm_first=True)`` the two are what stands between the embeddings. To translate
    token by token, encode once and decode with the cache:
    ``transformer_decoder_generate(key, params.decoder, prompt, context=c, …)``.

    Gradient:
        That of its layers, from the last to the first; c̄ sums what all blocks of the decoder send
        back

    Args:
        params: The embedding of the source, the encoder and the decoder, as ``transformer_init``
            makes them.
        source: The tokens of the sequence that is read.
        target: The tokens of the one that is written, after a first that marks its beginning.
        heads: The number of heads of each block.
        source_mask: True for the tokens of the source that are seen at all, such as
            ``padding_mask(lengths, source_time)``.
        rotate: Applied to queries and keys within each sequence, in heads, as
            ``rotate(heads, positions)``; ``rotary`` for example. None rotates nothing.
        activation: The function between the two layers of each perceptron: relu in the paper.
        epsilon: What the normalisations add to the variance.
        checkpoint: Whether the backward pass computes the inside of each block again.
        dropout_key: The random key of the dropout; without one, nothing is dropped.
        dropout_rate: The probability that an entry of an embedding, a weight of an attention, or an
            entry of what a branch adds is set to 0.

    Returns:
        The scores z of the token after each prefix of the target.

    Raises:
        TypeError: If params are not those of a transformer, an array does not hold numbers of its
            kind, or an option is none of its kind.
        ValueError: If the shapes do not fit, there are more tokens than learned positions, or an
            option is out of its range.

    Example:
        >>> params = transformer_init(jax.random.key(0), 90, 80, 64, length=32, depth=2, heads=4)
        >>> source, target = jnp.zeros((2, 7), int), jnp.zeros((2, 5), int)
        >>> print(transformer(params, source, target, heads=4).shape)
        (2, 5, 80)

    Source:
        Vaswani et al., Attention is all you need (2017), §3; Xiong et al., On layer normalization
        in the transformer architecture (2020), §3 (pre-norm).
    """
    name = "transformer"
    token_embedding, encoder, decoder = unpacked(name, params, TransformerParams)
    _check_noise(name, dropout_key, dropout_rate)
    _checks.integer(name, source=source, target=target)
    _checks.rank(name, "source", source, "source_time")
    _checks.rank(name, "target", target, "target_time")
    first, second = (None, None) if dropout_key is None else jax.random.split(dropout_key)
    options = {"heads": heads, "rotate": rotate, "activation": activation, "epsilon": epsilon}
    options |= {"checkpoint": checkpoint, "dropout_rate": dropout_rate}
    h = embedding(token_embedding, source)
    c = transformer_encoder(encoder, h, key_mask=source_mask, dropout_key=first, **options)
    seen = {"context": c, "context_mask": source_mask}
    return transformer_decoder(decoder, target, dropout_key=second, **seen, **options)
