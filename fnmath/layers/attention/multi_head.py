"""Multi-head attention: attention between projections of one sequence, or from one to another.

Notation: x is the sequence that asks, c the context that answers (x itself in self-attention);
W_Q, W_K, W_V, W_O are the kernels of the four dense layers; head i has the i-th block of columns of
each of the first three, and of the rows of the last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer, PRNGKeyArray

from fnmath import _checks
from fnmath.initializers import lecun_normal, zeros
from fnmath.layers._arguments import Initializer, bias_or_none, drawn
from fnmath.layers.attention._heads import (
    MultiHeadAttentionParams,
    check_sequence,
    checked_params,
    in_heads,
    projected,
    rotated,
)
from fnmath.layers.attention._offsets import Window
from fnmath.layers.attention._scores import check_rate, empty
from fnmath.layers.attention.dot_product import dot_product_attention
from fnmath.layers.dense import DenseParams, dense


def multi_head_attention_init(
    key: PRNGKeyArray,
    features: int,
    *,
    heads: int,
    key_value_heads: int | None = None,
    head_features: int | None = None,
    context_features: int | None = None,
    out_features: int | None = None,
    use_bias: bool = True,
    kernel_init: Initializer | None = None,
    out_kernel_init: Initializer | None = None,
    bias_init: Initializer = zeros,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> MultiHeadAttentionParams:
    """Random parameters of multi-head attention.

        Wᵢⱼ ~ 𝒩(0, 1/m), truncated,    b = 0        (LeCun's initialiser, unless another is given)

    with m the number of rows of each kernel, as in Flax. (PyTorch draws the first three kernels by
    Glorot's uniform initialiser, with the fans of all three side by side.)

    Args:
        key: The random key.
        features: The features of the sequence that asks.
        heads: The number of heads.
        key_value_heads: The number of heads of keys and values, a divisor of ``heads``, if they are
            fewer: grouped-query attention; 1 is multi-query attention.
        head_features: The features of each head; features / heads if None.
        context_features: The features of the context; those of the sequence if None.
        out_features: The features of the outputs; those of the sequence if None.
        use_bias: Whether the dense layers have biases.
        kernel_init: Draws the kernels, as ``kernel_init(key, (in, out), dtype)``; LeCun's truncated
            normal when None.
        out_kernel_init: Draws the kernel of the last layer, if it is another.
        bias_init: Draws the biases, as ``bias_init(key, (out,), dtype)``.
        dtype: The dtype of the parameters.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, an initialiser not a
            function or what it draws not an array, or the dtype not a floating one.
        ValueError: If a size is below 1, the heads do not divide the features or fall into
            groups, or an initialiser draws another shape than asked for.

    Example:
        >>> params = multi_head_attention_init(jax.random.key(0), 64, heads=8, key_value_heads=2)
        >>> print(params.query.kernel.shape, params.key.kernel.shape, params.out.kernel.shape)
        (64, 64) (64, 16) (64, 64)

    Source:
        Vaswani et al., Attention is all you need (2017), §3.2.2; Ainslie et al., GQA (2023), §2.2.
    """
    name = "multi_head_attention_init"
    _checks.key(name, key)
    _checks.size(name, features=features, heads=heads)
    groups = heads if key_value_heads is None else key_value_heads
    context_features = features if context_features is None else context_features
    out_features = features if out_features is None else out_features
    _checks.size(name, key_value_heads=groups)
    _checks.dtype(name, "dtype", dtype, jnp.floating, "a floating dtype")
    _checks.size(name, context_features=context_features, out_features=out_features)
    if heads % groups:
        _checks.fail(name, f"heads is {heads} and key_value_heads {groups}; wanted a divisor of it")
    if head_features is None and features % heads:
        problem = f"the {heads} heads do not divide the {features} features"
        _checks.fail(name, problem, "head_features=…")
    head_features = features // heads if head_features is None else head_features
    _checks.size(name, head_features=head_features)
    inner, shared = heads * head_features, groups * head_features
    context_size = (context_features, shared)
    sizes = [(features, inner), context_size, context_size, (inner, out_features)]
    kernel_init = lecun_normal() if kernel_init is None else kernel_init
    inits = [("kernel_init", kernel_init)] * 3
    inits += inits[:1] if out_kernel_init is None else [("out_kernel_init", out_kernel_init)]
    layers = []
    for key_of, init, shape in zip(jax.random.split(key, 4), inits, sizes, strict=True):
        kernel_key, bias_key = jax.random.split(key_of)
        kernel = drawn(name, *init, kernel_key, shape, dtype)
        bias = bias_or_none(name, use_bias, bias_init, bias_key, shape[1:], dtype)
        layers.append(DenseParams(kernel, bias))
    return MultiHeadAttentionParams(*layers)


def _with_keys(function: str, mask: Any, key_mask: Any, context: Array) -> Any:
    """The mask, with the keys hidden that ``key_mask`` hides from every query."""
    if key_mask is None:
        return mask
    _checks.mask(function, "key_mask", key_mask, **{"the keys": empty(context.shape[:-1])})
    key_mask = jnp.broadcast_to(key_mask, context.shape[:-1])[..., None, None, :]
    if mask is None:
        return key_mask
    _checks.array(function, "mask", mask)
    _checks.broadcastable(function, mask=mask, key_mask=key_mask)
    return jnp.asarray(mask) & key_mask


def multi_head_attention(
    params: MultiHeadAttentionParams,
    x: Float[Array, "*batch queries features"],
    *,
    heads: int,
    context: Float[Array, "*batch keys context_features"] | None = None,
    bias: Float[Array, "..."] | None = None,
    mask: Bool[Array, "..."] | None = None,
    key_mask: Bool[Array, "..."] | None = None,
    is_causal: bool = False,
    local_window_size: Window | None = None,
    rotate: Callable[[Any, Any], Any] | None = None,
    positions: Integer[Array, "..."] | None = None,
    attention: Callable[..., Any] = dot_product_attention,
    dropout_key: PRNGKeyArray | None = None,
    dropout_rate: float = 0.0,
) -> Float[Array, "*batch queries out_features"]:
    """Attention of several heads, between dense layers.

        y = [o₁ … o_N] W_O + b_O,    oᵢ = attention(x W_Qᵢ + b_Qᵢ, c W_Kᵢ + b_Kᵢ, c W_Vᵢ + b_Vᵢ)

    with c = x, self-attention, unless there is a context: cross-attention. How many heads share
    keys and values is read off the kernels. A query that sees no key has the output b_O.

    Gradient:
        ō = ȳ W_Oᵀ,    x̄ = q̄ W_Qᵀ,    c̄ = k̄ W_Kᵀ + v̄ W_Vᵀ,    W̄_Q = Xᵀ Q̄, and so on

    with q̄, k̄ and v̄ those of ``dot_product_attention``; in self-attention x̄ + c̄.

    Args:
        params: The four dense layers, as ``multi_head_attention_init`` makes them.
        x: The sequence that asks, features last.
        heads: The number of heads N.
        context: The sequence that answers; x if None.
        bias: What is added to the scores, in nats, in a shape that broadcasts to (*batch heads
            queries keys), such as ``alibi_bias(heads, queries, keys)``. −∞ masks.
        mask: True where a query sees a key, in a shape that broadcasts like that of the bias.
        key_mask: True for the keys that are seen at all, such as ``padding_mask(lengths, keys)``,
            in a shape that broadcasts to (*batch keys): the opposite of PyTorch's
            ``key_padding_mask``.
        is_causal: Whether a query sees keys up to its own position only.
        local_window_size: How many keys ``(before, behind)`` its own position a query sees, or one
            number for both; all if None.
        rotate: Applied to queries and keys, in heads, as ``rotate(heads, positions)``; ``rotary``
            for example. None rotates nothing.
        positions: The positions of x for ``rotate``, in a shape that broadcasts to (*batch
            queries); from 0 on if None, as are those of a context always.
        attention: The attention of queries, keys and values: ``dot_product_attention``, or
            ``blockwise_attention``, which has no dropout.
        dropout_key: The random key of the dropout of weights; without one, nothing is dropped.
        dropout_rate: The probability that a weight is set to 0.

    Returns:
        The outputs, one for each query.

    Raises:
        TypeError: If params are not four dense layers, an array does not hold numbers of its kind,
            or an option is none of its kind.
        ValueError: If the shapes do not fit, or an option is out of its range.

    Example:
        >>> params = multi_head_attention_init(jax.random.key(0), 64, heads=8)
        >>> print(multi_head_attention(params, jnp.ones((2, 5, 64)), heads=8).shape)
        (2, 5, 64)

    Source:
        Vaswani et al., Attention is all you need (2017), §3.2.2 and §3.2.3.
    """
    name = "multi_head_attention"
    params, groups = checked_params(name, params, heads)
    c = x if context is None else context
    answers = "x" if context is None else "context"
    check_sequence(name, "x", x, query=params.query)
    check_sequence(name, answers, c, key=params.key, value=params.value)
    if jnp.shape(c)[:-2] != jnp.shape(x)[:-2]:
        problem = f"x {jnp.shape(x)} and context {jnp.shape(c)} must have the same batch axes"
        _checks.fail(name, problem)
    _checks.function(name, "attention", attention)
    check_rate(name, dropout_rate)
    q = in_heads(dense(params.query, x), heads)
    k, v = (in_heads(dense(layer, c), groups) for layer in (params.key, params.value))
    own = jnp.arange(q.shape[-3]) if positions is None else positions
    _checks.integer(name, positions=own)
    _checks.broadcasts_to(name, "positions", own, "the queries", empty(q.shape[:-2]))
    q = rotated(name, rotate, q, own)
    k = rotated(name, rotate, k, own if context is None else jnp.arange(k.shape[-3]))
    options = {"is_causal": is_causal, "local_window_size": local_window_size}
    if dropout_key is not None:
        options |= {"dropout_key": dropout_key, "dropout_rate": dropout_rate}
    o = attention(q, k, v, bias, _with_keys(name, mask, key_mask, c), **options)
    return projected(name, params.out, o, q)
