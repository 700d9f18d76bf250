"""The encoder: a whole sequence, each entry of which sees all the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.activations import gelu
from fnmath.initializers import normal, zeros
from fnmath.layers import (
    NormParams,
    PositionEmbeddingParams,
    dropout,
    layer_norm,
    layer_norm_init,
    position_embedding,
    position_embedding_init,
    stack_init,
)
from fnmath.layers._arguments import Initializer, unpacked
from fnmath.networks.transformer.blocks import (
    TransformerBlockParams,
    _check_noise,
    _through_blocks,
    transformer_block_init,
)


class TransformerEncoderParams(NamedTuple):
    """The parameters of an encoder.

    ``pos_embedding`` is None where no positions are learned. The arrays of ``layers``, the blocks,
    have a first axis that counts them.
    """

    pos_embedding: PositionEmbeddingParams | None
    layers: TransformerBlockParams
    ln: NormParams


def transformer_encoder_init(
    key: PRNGKeyArray,
    features: int,
    *,
    length: int | None,
    depth: int,
    heads: int,
    hidden: int | None = None,
    use_bias: bool = True,
    kernel_init: Initializer | None = None,
    bias_init: Initializer = zeros,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> TransformerEncoderParams:
    """Random parameters of an encoder, as GPT-2 and BERT draw them.

        Wᵢⱼ ~ 𝒩(0, 0.02²),    the last kernel of each branch ~ 𝒩(0, 0.02²/2n),    b = 0

    Args:
        key: The random key.
        features: The features of the sequence.
        length: The number of positions that are learned, the most entries of a sequence; None for
            none, where a rotation tells the order, or nothing does.
        depth: The number n of blocks.
        heads: The number of heads of each, a divisor of the features.
        hidden: The hidden units of each perceptron; four times the features if None.
        use_bias: Whether there are biases, in dense layers and normalisations alike.
        kernel_init: Draws all kernels alike, as ``kernel_init(key, (in, out), dtype)``.
        bias_init: Draws the biases of the dense layers, as ``bias_init(key, (out,), dtype)``.
        dtype: The dtype of the parameters.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, an initialiser not a
            function or what it draws not an array, or the dtype not a floating one.
        ValueError: If a size is below 1, the heads do not divide the features, or an initialiser
            draws another shape than asked for.

    Example:
        >>> params = transformer_encoder_init(jax.random.key(0), 64, length=32, depth=6, heads=4)
        >>> print(params.pos_embedding.embedding.shape, params.layers.mlp[0].kernel.shape)
        (32, 64) (6, 64, 256)

    Source:
        Devlin et al., BERT (2019), §3 and appendix A.2; Radford et al., Language models are
        unsupervised multitask learners (2019), §2.3 (the scale of the last kernels).
    """
    name = "transformer_encoder_init"
    _checks.key(name, key)
    _checks.size(name, features=features, depth=depth, heads=heads)
    options = {"use_bias": use_bias, "kernel_init": kernel_init, "bias_init": bias_init}
    options |= {"heads": heads, "hidden": hidden, "depth": depth, "dtype": dtype}
    position_key, layers_key = jax.random.split(key)
    return TransformerEncoderParams(
        _learned_positions(name, position_key, length, features, dtype),
        stack_init(layers_key, lambda k: transformer_block_init(k, features, **options), depth),
        layer_norm_init(features, use_bias=use_bias, dtype=dtype),
    )


def _learned_positions(
    function: str, key: PRNGKeyArray, length: Any, features: int, dtype: jax.typing.DTypeLike
) -> PositionEmbeddingParams | None:
    """A vector for each of so many positions; None for none."""
    if length is None:
        return None
    _checks.size(function, length=length)
    _checks.dtype(function, "dtype", dtype, jnp.floating, "a floating dtype")
    init = normal(0.02)
    return position_embedding_init(key, length, features, embedding_init=init, dtype=dtype)


def transformer_encoder(
    params: TransformerEncoderParams,
    x: Float[Array, "*batch time features"],
    *,
    heads: int,
    key_mask: Bool[Array, "*batch time"] | None = None,
    rotate: Callable[[Any, Any], Any] | None = None,
    activation: Callable[[jax.Array], jax.Array] = gelu,
    epsilon: float = 1e-5,
    checkpoint: bool = False,
    dropout_key: PRNGKeyArray | None = None,
    dropout_rate: float = 0.0,
) -> Float[Array, "*batch time features"]:
    """Transformer encoder: blocks in which each entry of a sequence sees all the others.

        h₀ = x + P,    hₗ = blockₗ(hₗ₋₁),    y = LN hₙ

    x may be anything that has features: patches of an image, or tokens,
    ``transformer_encoder(params, embedding(tokens, ids), heads=…)``. Without positions, P = 0 and
    no rotation, y is permuted as x is.

    Gradient:
        That of its layers, from the last to the first; with ``checkpoint`` the inside of each
        block is computed again for it, and only the hₗ are kept

    Args:
        params: The positions, the stacked blocks and the last normalisation, as
            ``transformer_encoder_init`` makes them.
        x: The sequence, features last.
        heads: The number of heads of each block.
        key_mask: True for the entries that are seen at all, such as
            ``padding_mask(lengths, time)``: the others bear on no output but their own, and may
            hold anything: where that is nan or ±∞, it counts as 0.
        rotate: Applied to queries and keys, in heads, as ``rotate(heads, positions)``; ``rotary``
            for example. None rotates nothing.
        activation: The function between the two layers of each perceptron.
        epsilon: What the normalisations add to the variance.
        checkpoint: Whether the backward pass computes the inside of each block again.
        dropout_key: The random key of the dropout; without one, nothing is dropped.
        dropout_rate: The probability that an entry of h₀, a weight of an attention, or an entry of
            what a branch adds is set to 0.

    Returns:
        Features of each entry that know of the whole sequence, in the shape of x.

    Raises:
        TypeError: If params are not those of an encoder, an array does not hold numbers of its
            kind, or an option is none of its kind.
        ValueError: If the shapes do not fit, or an option is out of its range.

    Example:
        >>> params = transformer_encoder_init(jax.random.key(0), 64, length=32, depth=6, heads=4)
        >>> print(transformer_encoder(params, jnp.ones((2, 5, 64)), heads=4).shape)
        (2, 5, 64)

    Source:
        Vaswani et al., Attention is all you need (2017), §3.1; Xiong et al., On layer
        normalization in the transformer architecture (2020), §3 (pre-norm).
    """
    name = "transformer_encoder"
    params = TransformerEncoderParams(*unpacked(name, params, TransformerEncoderParams))
    _checks.floating(name, x=x)
    _checks.rank(name, "x", x, "time features")
    _check_noise(name, dropout_key, dropout_rate)
    if key_mask is not None:
        _checks.mask(name, "key_mask", key_mask, entries=np.broadcast_to(False, jnp.shape(x)[:-1]))
        x = jnp.where(jnp.isfinite(x) | jnp.asarray(key_mask)[..., None], x, 0)
    options = {"heads": heads, "key_mask": key_mask, "rotate": rotate}
    options |= {"activation": activation, "epsilon": epsilon, "dropout_rate": dropout_rate}
    first, rest = (None, None) if dropout_key is None else jax.random.split(dropout_key)
    h = x if params.pos_embedding is None else position_embedding(params.pos_embedding, x)
    h = dropout(first, h, rate=dropout_rate)
    h = _through_blocks(name, params.layers, h, checkpoint=checkpoint, dropout_key=rest, **options)
    return layer_norm(params.ln, h, epsilon=epsilon)
