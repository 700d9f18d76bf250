"""Attention one step at a time: keys and values of past tokens are kept, not formed anew.

Notation: n new tokens follow the L that the cache holds, of the S that it has room for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from fnmath import _checks
from fnmath.layers.attention._heads import (
    MultiHeadAttentionParams,
    check_sequence,
    checked_params,
    in_heads,
    projected,
    rotated,
)
from fnmath.layers.attention._offsets import Window
from fnmath.layers.attention._scores import empty
from fnmath.layers.attention.dot_product import dot_product_attention
from fnmath.layers.attention.masks import causal_mask, window_mask
from fnmath.layers.dense import dense


class KeyValueCache(NamedTuple):
    """The keys and the values of the first ``length`` tokens, with room for more.

    ``key`` and ``value`` are (*batch, size, heads, head_features), the keys rotated already where
    they are; ``length`` is one integer. Sequences of various lengths have a cache each, by vmap.
    """

    key: Float[Array, "*batch size heads head_features"]
    value: Float[Array, "*batch size heads head_features"]
    length: Integer[Array, ""]


def key_value_cache_init(
    batch_shape: tuple[int, ...],
    size: int,
    *,
    heads: int,
    head_features: int,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> KeyValueCache:
    """Empty cache of keys and values.

    Args:
        batch_shape: The batch axes, a tuple; ``()`` for a single sequence.
        size: The most tokens that it can hold.
        heads: The number of heads of keys and values.
        head_features: The features of each.
        dtype: The dtype of keys and values.

    Returns:
        The cache, of length 0.

    Raises:
        TypeError: If the batch shape is no tuple of integers, a size not an integer, or the dtype
            not a floating one.
        ValueError: If a size is below 1, or a batch axis below 0.

    Example:
        >>> cache = key_value_cache_init((2,), 128, heads=4, head_features=16)
        >>> print(cache.key.shape, cache.length)
        (2, 128, 4, 16) 0

    Source:
        Shazeer, Fast transformer decoding: one write-head is all you need (2019), §2.4.
    """
    name = "key_value_cache_init"
    if not isinstance(batch_shape, tuple | list):
        problem = f"batch_shape is a {type(batch_shape).__name__}; wanted a tuple of integers"
        cure = f"({batch_shape},)" if isinstance(batch_shape, int | np.integer) else ""
        _checks.fail(name, problem, cure, error=TypeError)
    for i, n in enumerate(batch_shape):
        _checks.size(name, minimum=0, **{f"batch_shape[{i}]": n})
    _checks.size(name, size=size, heads=heads, head_features=head_features)
    _checks.dtype(name, "dtype", dtype, jnp.floating, "a floating dtype")
    empty = jnp.zeros((*batch_shape, size, heads, head_features), dtype)
    return KeyValueCache(empty, empty, jnp.zeros((), jnp.int32))


def multi_head_attention_decode(
    params: MultiHeadAttentionParams,
    cache: KeyValueCache,
    x: Float[Array, "*batch queries features"],
    *,
    heads: int,
    bias: Float[Array, "..."] | None = None,
    mask: Bool[Array, "..."] | None = None,
    local_window_size: Window | None = None,
    rotate: Callable[[Any, Any], Any] | None = None,
) -> tuple[Float[Array, "*batch queries out_features"], KeyValueCache]:
    """Causal self-attention of new tokens, one or more, to those in the cache and to themselves.

        K ← [K, x W_K + b_K],    V ← [V, x W_V + b_V],    y = attention(x W_Q + b_Q, K, V) W_O + b_O

    Token by token it gives what ``multi_head_attention(…, is_causal=True)`` gives for the whole
    sequence. Each call costs as much as the room of the cache, full or not.

    Gradient:
        That of ``multi_head_attention``; what the cache holds has gradients as well.

    Args:
        params: The four dense layers, as ``multi_head_attention_init`` makes them.
        cache: The keys and values of the tokens before, L of them.
        x: The new tokens, features last; the first is at position L.
        heads: The number of heads of the queries.
        bias: What is added to the scores, in nats, in a shape that broadcasts to (*batch heads
            queries size), such as ``alibi_bias(heads, queries, size, offset=cache.length)``.
        mask: True where a new token sees an entry of the cache, in a shape that broadcasts like
            that of the bias; none sees those after its own.
        local_window_size: How many positions ``(before, behind)`` its own a token sees, or one
            number for both; all if None.
        rotate: Applied to queries and keys, in heads, as ``rotate(heads, positions)``; ``rotary``
            for example. None rotates nothing.

    Returns:
        The outputs, one for each new token, and the cache with their keys and values. Where the
        cache has no room for them the outputs are nan, as are all that follow.

    Raises:
        TypeError: If params are not four dense layers, the cache is none, an array does not hold
            numbers of its kind, or an option is none of its kind.
        ValueError: If the shapes do not fit, there are more new tokens than the cache has room for
            at all, or an option is out of its range.

    Example:
        >>> from fnmath.layers import multi_head_attention_init
        >>> params = multi_head_attention_init(jax.random.key(0), 64, heads=8)
        >>> cache = key_value_cache_init((), 10, heads=8, head_features=8)
        >>> y, cache = multi_head_attention_decode(params, cache, jnp.ones((3, 64)), heads=8)
        >>> print(y.shape, cache.length)
        (3, 64) 3

    Source:
        Shazeer, Fast transformer decoding: one write-head is all you need (2019), §2.4; Pope et
        al., Efficiently scaling transformer inference (2022), §2.
    """
    name = "multi_head_attention_decode"
    params, groups = checked_params(name, params, heads)
    check_sequence(name, "x", x, query=params.query, key=params.key, value=params.value)
    _checks.instance(name, "cache", cache, KeyValueCache, "key_value_cache_init(…)")
    _checks.integer(name, **{"cache.length": cache.length})
    _checks.rank(name, "cache.length", cache.length, "", exact=True)
    n, start = jnp.shape(x)[-2], jnp.asarray(cache.length)
    q = in_heads(dense(params.query, x), heads)
    k, v = (in_heads(dense(layer, x), groups) for layer in (params.key, params.value))
    size = _check_cache(name, cache, k, v)
    positions = start + jnp.arange(n)
    q, k = (rotated(name, rotate, array, positions) for array in (q, k))
    keys, values = (
        jax.lax.dynamic_update_slice_in_dim(old, new.astype(old.dtype), start, axis=-3)
        for old, new in ((cache.key, k), (cache.value, v))
    )
    seen = causal_mask(n, size, offset=start)
    if local_window_size is not None:
        seen = seen & window_mask(n, size, window=local_window_size, offset=start)
    if mask is not None:
        _checks.mask(name, "mask", mask, scores=empty((*q.shape[:-3], heads, n, size)))
        seen = seen & mask
    o = dot_product_attention(q, keys, values, bias, seen)
    fits = (start >= 0) & (start + n <= size)
    y = jnp.where(fits, projected(name, params.out, o, q), jnp.nan)
    return y, KeyValueCache(keys, values, start + n)


def _check_cache(function: str, cache: Any, k: Array, v: Array) -> int:
    """The room of the cache; raise unless it holds such keys and values, and new ones as many."""
    for field, new in (("key", k), ("value", v)):
        old = getattr(cache, field)
        _checks.floating(function, **{f"cache.{field}": old})
        batch, (heads, features) = new.shape[:-3], new.shape[-2:]
        came, wanted = jnp.shape(old), (*batch, "size", heads, features)
        if len(came) != new.ndim or came[:-3] != batch or came[-2:] != (heads, features):
            form = ", ".join(str(d) for d in wanted)
            _checks.fail(function, f"cache.{field} has shape {came}; wanted ({form})")
    size = cache.key.shape[-3]
    if cache.value.shape[-3] != size:
        problem = (
            f"cache.key has room for {size} tokens and cache.value for {cache.value.shape[-3]}"
        )
        _checks.fail(function, problem)
    if k.shape[-3] > size:
        _checks.fail(function, f"x has {k.shape[-3]} tokens; the cache has room for {size}")
    return size
