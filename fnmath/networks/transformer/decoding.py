"""Decoding: a token at a time, with the keys and values of those before kept in a cache."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer, PRNGKeyArray

from fnmath import _checks
from fnmath.activations import gelu
from fnmath.layers import (
    DenseParams,
    KeyValueCache,
    MultiHeadAttentionParams,
    PositionEmbeddingParams,
    key_value_cache_init,
    layer_norm,
    multi_head_attention_decode,
    stack_with_outputs,
)
from fnmath.layers._arguments import unpacked
from fnmath.networks.transformer.blocks import _check_context, _through_block
from fnmath.networks.transformer.decoder import (
    TransformerDecoderParams,
    _checked_decoder,
    _embedded,
    _scores,
)


def transformer_decoder_cache_init(
    params: TransformerDecoderParams, batch_shape: tuple[int, ...], size: int, *, heads: int
) -> KeyValueCache:
    """Empty cache of the keys and values of all blocks of a decoder.

    Args:
        params: The parameters of the decoder; the cache has their dtype.
        batch_shape: The batch axes of the sequences, a tuple; ``()`` for a single one.
        size: The most tokens that it can hold.
        heads: The number of heads of each block.

    Returns:
        The cache, each array with a first axis that counts the blocks.

    Raises:
        TypeError: If params are not those of a decoder, the batch shape is no tuple of integers,
            or a size not an integer.
        ValueError: If a size is below 1, a batch axis below 0, or the kernels are not of heads.

    Example:
        >>> from fnmath.networks import transformer_decoder_init
        >>> params = transformer_decoder_init(
        ...     jax.random.key(0), 65, 128, length=64, depth=4, heads=4
        ... )
        >>> cache = transformer_decoder_cache_init(params, (2,), 64, heads=4)
        >>> print(cache.key.shape)
        (4, 2, 64, 4, 32)

    Source:
        Pope et al., Efficiently scaling transformer inference (2022), §2.
    """
    name = "transformer_decoder_cache_init"
    params = _checked_decoder(name, params, np.zeros(0, int))
    _checks.size(name, heads=heads)
    query, key, _, _ = unpacked(name, params.layers.self_attention, MultiHeadAttentionParams)
    depth, head_features, groups = _heads(name, query, key, heads)
    cache = key_value_cache_init(
        batch_shape, size, heads=groups, head_features=head_features, dtype=key.kernel.dtype
    )
    return jax.tree.map(lambda a: jnp.repeat(a[None], depth, axis=0), cache)


def _heads(function: str, query: Any, key: Any, heads: int) -> tuple[int, int, int]:
    """The number of blocks, the features of a head, and how many heads keys and values have."""
    widths = []
    for field, layer in (("query", query), ("key", key)):
        (kernel, _), argument = unpacked(function, layer, DenseParams), f"params.layers.{field}"
        _checks.floating(function, **{argument: kernel})
        _checks.rank(function, argument, kernel, "blocks in out", exact=True)
        widths.append(kernel.shape[-1])
    columns, shared = widths
    size = columns // heads
    if not size or columns % heads or not shared or shared % size:
        problem = f"the {columns} columns of the queries do not fall into {heads} heads"
        _checks.fail(function, problem)
    return len(kernel), size, shared // size


def transformer_decoder_decode(
    params: TransformerDecoderParams,
    cache: KeyValueCache,
    ids: Integer[Array, "*batch time"],
    *,
    heads: int,
    context: Float[Array, "*batch keys context_features"] | None = None,
    context_mask: Bool[Array, "*batch keys"] | None = None,
    rotate: Callable[[Any, Any], Any] | None = None,
    activation: Callable[[jax.Array], jax.Array] = gelu,
    epsilon: float = 1e-5,
) -> tuple[Float[Array, "*batch time vocabulary"], KeyValueCache]:
    """Scores after each of some new tokens, one or more, that follow those in the cache.

        z, cache ← decode(cache, ids)        = the last rows of transformer_decoder(all ids so far)

    A token costs as much as the room of the cache, full or not, and not as much as all the tokens
    before it together. (The keys and values of a context are formed anew in each call.)

    Gradient:
        That of ``transformer_decoder``; what the cache holds has gradients as well

    Args:
        params: The parameters of the decoder.
        cache: The keys and values of the tokens before, as ``transformer_decoder_cache_init`` and
            this function make them.
        ids: The new tokens, integers in [0, vocabulary).
        heads: The number of heads of each block.
        context: The sequence that the blocks ask, if they do.
        context_mask: True for the entries of the context that are seen at all.
        rotate: Applied to queries and keys, in heads, as ``rotate(heads, positions)``.
        activation: The function between the two layers of each perceptron.
        epsilon: What the normalisations add to the variance.

    Returns:
        The scores after each new token, and the cache with these tokens in it. Where the cache has
        no room for them, or there are no positions for them, the scores are nan.

    Raises:
        TypeError: If params are not those of a decoder, the cache is none, an array does not hold
            numbers of its kind, or an option is none of its kind.
        ValueError: If the shapes do not fit, there are more new tokens than the cache has room for
            at all, there is a context and no attention that asks it or the other way round, or an
            option is out of its range.

    Example:
        >>> from fnmath.networks import transformer_decoder_init
        >>> params = transformer_decoder_init(
        ...     jax.random.key(0), 65, 128, length=64, depth=4, heads=4
        ... )
        >>> cache = transformer_decoder_cache_init(params, (), 64, heads=4)
        >>> z, cache = transformer_decoder_decode(params, cache, jnp.zeros(5, int), heads=4)
        >>> print(z.shape, cache.length)
        (5, 65) [5 5 5 5]

    Source:
        Pope et al., Efficiently scaling transformer inference (2022), §2.
    """
    name = "transformer_decoder_decode"
    params = _checked_decoder(name, params, ids)
    _check_context(name, params.layers, context, context_mask)
    start = _start(name, cache)
    options = {"heads": heads, "activation": activation, "epsilon": epsilon}
    options |= {"context": context, "context_mask": context_mask}

    def block(params: Any, h: jax.Array, cache: Any) -> tuple[jax.Array, Any]:
        def attend(attention: Any, h: jax.Array, _: None) -> tuple[jax.Array, Any]:
            return multi_head_attention_decode(attention, cache, h, heads=heads, rotate=rotate)

        return _through_block(name, params, h, attend, **options)

    h = _embedded(params, ids, start + jnp.arange(jnp.shape(ids)[-1]))
    h, cache = stack_with_outputs(block, params.layers, h, extras=cache)
    return _scores(params, layer_norm(params.ln, h, epsilon=epsilon)), cache


def _start(function: str, cache: Any) -> Integer[Array, ""]:
    """How many tokens the cache holds; raise unless it is one, of each block."""
    if not (isinstance(cache, tuple) and len(cache) == 3):
        problem = f"cache is a {type(cache).__name__}; wanted KeyValueCache(key, value, length)"
        _checks.fail(function, problem, error=TypeError)
    length = cache[2]
    _checks.integer(function, **{"cache.length": length})
    _checks.rank(function, "cache.length", length, "blocks", exact=True)
    if not jnp.size(length):
        _checks.fail(function, "cache.length is empty; wanted one for each block")
    return jnp.asarray(length)[0]


def transformer_decoder_generate(
    key: PRNGKeyArray,
    params: TransformerDecoderParams,
    prompt: Integer[Array, "*batch time"],
    *,
    length: int,
    heads: int,
    temperature: float | Float[Array, ""] = 1.0,
    context: Float[Array, "*batch keys context_features"] | None = None,
    context_mask: Bool[Array, "*batch keys"] | None = None,
    rotate: Callable[[Any, Any], Any] | None = None,
    activation: Callable[[jax.Array], jax.Array] = gelu,
    epsilon: float = 1e-5,
) -> Integer[Array, "*batch {length}"]:
    """Tokens drawn one after another, each from the distribution that those before it give.

        id_t ~ softmax(z_t₋₁ / τ),    z = transformer_decoder(prompt, id₁, …, id_t₋₁)

    by the cache: the prompt in one piece, and then one loop over the tokens.

    Args:
        key: The random key, of which each token gets one of its own.
        params: The parameters of the decoder.
        prompt: The tokens to go on from, at least one.
        length: The number of tokens to draw.
        heads: The number of heads of each block.
        temperature: The temperature τ: 1 draws from the model's own distribution, less prefers the
            likely tokens, and 0 takes the likeliest, the first of several.
        context: The sequence that the blocks ask, if they do.
        context_mask: True for the entries of the context that are seen at all.
        rotate: Applied to queries and keys, in heads, as ``rotate(heads, positions)``.
        activation: The function between the two layers of each perceptron.
        epsilon: What the normalisations add to the variance.

    Returns:
        The tokens that follow the prompt. Where there is no distribution, since a token of the
        prompt is none of the vocabulary or the temperature is an array below 0, they are −1.

    Raises:
        TypeError: If the key is not a random key, params are not those of a decoder, an array does
            not hold numbers of its kind, or an option is none of its kind.
        ValueError: If the shapes do not fit, the prompt is empty, the positions are too few for
            prompt and tokens, or an option is out of its range.

    Example:
        >>> from fnmath.networks import transformer_decoder_init
        >>> params = transformer_decoder_init(
        ...     jax.random.key(0), 65, 128, length=64, depth=4, heads=4
        ... )
        >>> prompt = jnp.array([7])  # an untrained model of tied weights repeats itself
        >>> options = {"length": 5, "heads": 4, "temperature": 0}
        >>> print(transformer_decoder_generate(jax.random.key(1), params, prompt, **options))
        [7 7 7 7 7]

    Source:
        Radford et al., Language models are unsupervised multitask learners (2019), §3; Ackley,
        Hinton and Sejnowski, A learning algorithm for Boltzmann machines (1985), §2 (temperature).
    """
    name = "transformer_decoder_generate"
    _checks.key(name, key)
    params = _checked_decoder(name, params, prompt)
    _checks.size(name, length=length)
    _checks.scalar(name, "temperature", temperature, above=0, closed="[")
    *batch, start = jnp.shape(prompt)
    _check_room(name, params, start, length)
    cache = transformer_decoder_cache_init(params, tuple(batch), start + length - 1, heads=heads)
    options = {"heads": heads, "context": context, "context_mask": context_mask}
    options |= {"rotate": rotate, "activation": activation, "epsilon": epsilon}
    decode = partial(transformer_decoder_decode, params, **options)
    keys = jax.random.split(key, length)
    z, cache = decode(cache, prompt)
    first = _drawn(keys[0], z[..., -1, :], temperature)

    def step(carry: tuple[Any, Any], key: Any) -> tuple[tuple[Any, Any], Any]:
        ids, cache = carry
        z, cache = decode(cache, ids[..., None])
        ids = _drawn(key, z[..., -1, :], temperature)
        return (ids, cache), ids

    _, rest = jax.lax.scan(step, (first, cache), keys[1:])
    return jnp.concatenate([first[..., None], jnp.moveaxis(rest, 0, -1)], axis=-1)


def _check_room(function: str, params: Any, prompt: int, length: int) -> None:
    """Raise unless there is a token to go on from, and a position for each but the last drawn."""
    if not prompt:
        _checks.fail(function, "prompt has no token; wanted at least one to go on from")
    if params.pos_embedding is None:
        return
    (positions,) = unpacked(function, params.pos_embedding, PositionEmbeddingParams)
    _checks.rank(function, "params.pos_embedding", positions, "length features", exact=True)
    if prompt + length - 1 > len(positions):
        problem = f"{prompt} tokens of the prompt and {length} to draw, and {len(positions)}"
        _checks.fail(function, f"{problem} positions; wanted at least {prompt + length - 1}")


def _drawn(key: PRNGKeyArray, z: jax.Array, temperature: Any) -> Integer[Array, "..."]:
    """A token for each row of scores, −1 where one of them or the temperature gives none."""
    wide = z.astype(jnp.promote_types(z.dtype, jnp.float32))
    τ = jnp.asarray(temperature, wide.dtype)
    drawn = jax.random.categorical(key, wide / jnp.where(τ > 0, τ, 1))
    ids = jnp.where(τ > 0, drawn, jnp.argmax(wide, axis=-1))
    known = (τ >= 0) & ~jnp.isnan(wide).any(axis=-1)
    return jnp.where(known, ids, -1).astype(jnp.int32)
