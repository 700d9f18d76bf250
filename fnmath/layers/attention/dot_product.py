"""Scaled dot-product attention: averages of values, weighted by how well keys answer a query.

Notation: q_t is the query at time t, k_s and v_s are key and value at time s, b the bias, c the
scale; s_ts are the scores, p_ts the weights, o_t the outputs. A bar is a cotangent.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer, PRNGKeyArray

from fnmath.activations import softmax
from fnmath.layers.attention._offsets import Window
from fnmath.layers.attention._scores import dropped, heads_last, operands, scores


def dot_product_attention(
    query: Float[Array, "*batch queries heads features"],
    key: Float[Array, "*batch keys key_value_heads features"],
    value: Float[Array, "*batch keys key_value_heads value_features"],
    bias: Float[Array, "..."] | None = None,
    mask: Bool[Array, "..."] | None = None,
    *,
    scale: float | Float[Array, ""] | None = None,
    is_causal: bool = False,
    query_seq_lengths: Integer[Array, "*batch"] | None = None,
    key_value_seq_lengths: Integer[Array, "*batch"] | None = None,
    local_window_size: Window | None = None,
    dropout_key: PRNGKeyArray | None = None,
    dropout_rate: float = 0.0,
) -> Float[Array, "*batch queries heads value_features"]:
    """Average of the values for each query, weighted by the softmax of the scores of the keys.

        o_t = Σₛ p_ts vₛ,    p_t = softmax(s_t),    s_ts = c ⟨q_t, kₛ⟩ + b_ts

    for each head apart; where there are fewer key heads, each serves as many heads of the query in
    a row. Products and sums are carried in float32 at least. A query that sees no key has the
    output 0, and what it does not see bears on it neither in value nor in gradient, not even by
    nan. A query, key or value that is not finite makes nan of the outputs of all that see it, and
    of the gradients that these have a part in.

    Gradient:
        v̄ₛ = Σ_t p_ts ō_t,    s̄_ts = p_ts ⟨vₛ − o_t, ō_t⟩,    b̄ = s̄
        q̄_t = c Σₛ s̄_ts kₛ,    k̄ₛ = c Σ_t s̄_ts q_t

    Args:
        query: The queries of each head.
        key: The keys, an array: what a query is compared with.
        value: What is averaged, one for each key.
        bias: What is added to the scores, in nats, in a shape that broadcasts to (*batch heads
            queries keys). −∞ masks.
        mask: True where a query sees a key, in a shape that broadcasts like that of the bias.
        scale: The scale c of the scores; 1 / √features if None.
        is_causal: Whether a query sees keys up to its own position only, both counted from the
            start.
        query_seq_lengths: How many queries of each sequence there are; all if None. The others
            have outputs 0.
        key_value_seq_lengths: How many keys of each sequence there are; all if None.
        local_window_size: How many keys ``(before, behind)`` its own position a query sees, or one
            number for both; all if None.
        dropout_key: The random key of the dropout of weights; without one, nothing is dropped.
        dropout_rate: The probability that a weight is set to 0, in [0, 1); the others are divided
            by 1 − rate.

    Returns:
        The outputs, in the layout of the queries.

    Raises:
        TypeError: If an array does not hold numbers of its kind, or an option is none of its kind.
        ValueError: If the shapes do not fit, or an option is out of its range.

    Example:
        >>> query = jnp.zeros((2, 1, 3))  # two queries of one head, which prefer no key
        >>> value = jnp.array([[[1.0]], [[3.0]]])
        >>> print(dot_product_attention(query, query, value, is_causal=True)[:, 0, 0])
        [1. 2.]

    Source:
        Vaswani et al., Attention is all you need (2017), §3.2.1; Ainslie et al., GQA (2023), §2.2
        (shared keys and values); Dao et al., FlashAttention (2022), appendix B.2 (the gradient);
        ``jax.nn.dot_product_attention`` (arguments and their layout).
    """
    x, pattern = operands(
        "dot_product_attention",
        query,
        key,
        value,
        bias,
        mask,
        scale=scale,
        is_causal=is_causal,
        query_seq_lengths=query_seq_lengths,
        key_value_seq_lengths=key_value_seq_lengths,
        local_window_size=local_window_size,
    )
    rows, columns = jnp.arange(x.query.shape[-2])[:, None], jnp.arange(x.key.shape[-2])
    z, seen = scores(x, pattern, rows, columns)
    p = softmax(z, where=seen)
    p = dropped("dot_product_attention", p, dropout_key, dropout_rate)
    o = jnp.einsum("...gts,...se->...gte", p, x.value)
    return heads_last(o, jnp.result_type(query, key, value))
