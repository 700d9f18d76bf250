"""Attention: sequences whose entries look at each other.

Notation: T queries and S keys of D features, values of E features, in N heads, laid out as
(*batch time heads features); s are the scores of keys for a query, p = softmax(s) the weights.

    dot_product_attention     o = Σₛ pₛ vₛ
    blockwise_attention       the same, in memory that grows with the length alone
    multi_head_attention      the same, between dense layers; ``…_decode`` with a cache
    causal_mask, …            which query sees which key
"""

from fnmath.layers.attention.blockwise import blockwise_attention
from fnmath.layers.attention.decoding import (
    KeyValueCache,
    key_value_cache_init,
    multi_head_attention_decode,
)
from fnmath.layers.attention.dot_product import dot_product_attention
from fnmath.layers.attention.masks import causal_mask, padding_mask, window_mask
from fnmath.layers.attention.multi_head import (
    MultiHeadAttentionParams,
    multi_head_attention,
    multi_head_attention_init,
)

__all__ = [
    "KeyValueCache",
    "MultiHeadAttentionParams",
    "blockwise_attention",
    "causal_mask",
    "dot_product_attention",
    "key_value_cache_init",
    "multi_head_attention",
    "multi_head_attention_decode",
    "multi_head_attention_init",
    "padding_mask",
    "window_mask",
]
