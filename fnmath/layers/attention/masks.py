"""Masks of attention: which query may look at which key.

Notation: t counts queries, s keys; True lets t see s. Masks combine by ``&``, and a mask for each
sequence of a batch gets an axis for the heads: ``padding_mask(lengths, keys)[:, None, None]``.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Integer

from fnmath import _checks
from fnmath.layers.attention._offsets import Window, ahead, checked_offset, sides


def causal_mask(
    queries: int,
    keys: int,
    *,
    window: int | None = None,
    offset: int | Integer[Array, ""] = 0,
) -> Bool[Array, "{queries} {keys}"]:
    """Mask that lets each query see its own position and those before it.

        mask[t, s] = 0 ≤ t + offset − s  (≤ window)

    Args:
        queries: The number of queries.
        keys: The number of keys.
        window: How many positions before its own a query sees at most; all of them if None. It is
            the left side of ``local_window_size``: Mistral's window of W positions, which counts
            the query's own, is W − 1 here.
        offset: The position of the first query among the keys: the number of tokens that a cache
            holds, or ``keys − queries`` where both end together. It may be known only at run time.

    Returns:
        True where a query sees a key.

    Raises:
        TypeError: If a size, the window or the offset is not an integer.
        ValueError: If a size or the window is below 0, or the offset an array of several.

    Example:
        >>> print(causal_mask(3, 3).astype(int))
        [[1 0 0]
         [1 1 0]
         [1 1 1]]

    Source:
        Vaswani et al., Attention is all you need (2017), §3.2.3; Jiang et al., Mistral 7B (2023),
        §2 (the window).
    """
    _checks.size("causal_mask", minimum=0, queries=queries, keys=keys)
    checked_offset("causal_mask", offset)
    distance = ahead(queries, keys, offset)
    if window is None:
        return distance <= 0
    _checks.size("causal_mask", minimum=0, window=window)
    return (distance <= 0) & (distance >= -window)


def window_mask(
    queries: int,
    keys: int,
    *,
    window: Window,
    offset: int | Integer[Array, ""] = 0,
) -> Bool[Array, "{queries} {keys}"]:
    """Mask that lets each query see the positions near its own.

        mask[t, s] = −before ≤ s − (t + offset) ≤ behind

    Args:
        queries: The number of queries.
        keys: The number of keys.
        window: How many positions ``(before, behind)`` its own a query sees, or one number for
            both, as the ``local_window_size`` of ``jax.nn.dot_product_attention``.
        offset: The position of the first query among the keys; it may be known only at run time.

    Returns:
        True where a query sees a key.

    Raises:
        TypeError: If a size, the window or the offset is not an integer.
        ValueError: If a size or the window is below 0, the window not of two sides, or the offset
            an array of several.

    Example:
        >>> print(window_mask(4, 4, window=(1, 0)).astype(int))
        [[1 0 0 0]
         [1 1 0 0]
         [0 1 1 0]
         [0 0 1 1]]

    Source:
        Beltagy, Peters and Cohan, Longformer: the long-document transformer (2020), §3.1.
    """
    _checks.size("window_mask", minimum=0, queries=queries, keys=keys)
    before, behind = sides("window_mask", "window", window)
    checked_offset("window_mask", offset)
    distance = ahead(queries, keys, offset)
    return (distance >= -before) & (distance <= behind)


def padding_mask(lengths: Integer[Array, "*batch"], size: int) -> Bool[Array, "*batch {size}"]:
    """Mask of the entries that sequences of various lengths have, padded to one size.

        mask[…, s] = s < length[…]

    Args:
        lengths: The number of entries of each sequence; one above the size hides nothing, one
            below 0 everything.
        size: The number of entries with the padding.

    Returns:
        True for the entries, False for the padding. With two axes put in before the last, for the
        heads and the queries, it is a mask of the keys.

    Raises:
        TypeError: If the lengths or the size are no integers.
        ValueError: If the size is below 0.

    Example:
        >>> print(padding_mask(jnp.array([2, 3]), 4).astype(int))
        [[1 1 0 0]
         [1 1 1 0]]

    Source:
        Vaswani et al., Attention is all you need (2017), §3.2.3 (masking out by −∞).
    """
    _checks.integer("padding_mask", lengths=lengths)
    _checks.size("padding_mask", minimum=0, size=size)
    return jnp.arange(size) < jnp.asarray(lengths)[..., None]
