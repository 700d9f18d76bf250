"""Multi-head attention: attention between projections of one sequence, or from one to another.

Notation: x is the sequence that asks, c the context that answers (x itself in self-attention);
W_Q, W_K, W_V, W_O are the kernels of the four dense layers; head i has the i-th block of columns of
each of the first three, and of the rows of the last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer, PRNGKeyArray

from fnmath import _checks
from fnmath.initializers import zeros
from fnmath.layers._arguments import Initializer
from fnmath.layers.attention._scores import check_rate
from fnmath.layers.attention.dot_product import dot_product_attention
from fnmath.layers.attention.masks import Window
from fnmath.layers.dense import DenseParams, dense, dense_init


class MultiHeadAttentionParams(NamedTuple):
    """The parameters of multi-head attention: four dense layers.

    ``query`` (features, heads · head_features), ``key`` and ``value`` (context_features,
    key_value_heads · head_features), ``out`` (heads · head_features, out_features).
    """

    query: DenseParams
    key: DenseParams
    value: DenseParams
    out: DenseParams


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
    _checks.size(name, context_features=context_features, out_features=out_features)
    if heads % groups:
        _checks.fail(name, f"heads is {heads} and key_value_heads {groups}; wanted a divisor of it")
    if head_features is None and features % heads:
        problem = f"the {heads} heads do not divide the {features} features"
        _checks.fail(name, problem, "head_features=…")
    head_features = features // heads if head_features is None else head_features
    _checks.size(name, head_features=head_features)
    inits = {"use_bias": use_bias, "bias_init": bias_init, "dtype": dtype}
    inner, shared = heads * head_features, groups * head_features
    sizes = ((features, inner), (context_features, shared), (context_features, shared))
    *first, last = jax.random.split(key, 4)
    layers = [
        dense_init(k, m, n, kernel_init=kernel_init, **inits)
        for k, (m, n) in zip(first, sizes, strict=True)
    ]
    init = kernel_init if out_kernel_init is None else out_kernel_init
    layers.append(dense_init(last, inner, out_features, kernel_init=init, **inits))
    return MultiHeadAttentionParams(*layers)


def check_params(function: str, params: Any, heads: Any) -> tuple[int, int]:
    """The heads of keys and values, and their features; raise unless the kernels are of heads."""
    if not (isinstance(params, tuple) and len(params) == 4):
        problem = f"params is a {type(params).__name__}; wanted MultiHeadAttentionParams("
        _checks.fail(function, problem + "query, key, value, out)", error=TypeError)
    _checks.size(function, heads=heads)
    widths = {}
    for name, layer in zip(MultiHeadAttentionParams._fields, params, strict=True):
        if not (isinstance(layer, tuple) and len(layer) == 2):
            problem = f"params.{name} is a {type(layer).__name__}; wanted DenseParams(kernel, bias)"
            _checks.fail(function, problem, error=TypeError)
        kernel, bias = layer
        _checks.floating(function, **{f"params.{name}.kernel": kernel})
        _checks.rank(function, f"params.{name}.kernel", kernel, "in out", exact=True)
        rows, widths[name] = jnp.shape(kernel)
        if bias is not None:
            _checks.floating(function, **{f"params.{name}.bias": bias})
            _checks.rank(function, f"params.{name}.bias", bias, "out", exact=True)
            if len(bias) != widths[name]:
                problem = f"params.{name} has {widths[name]} columns and {len(bias)} biases"
                _checks.fail(function, f"{problem}; wanted one for each")
    _check_heads(function, heads, widths, rows)
    head_features = widths["query"] // heads
    return widths["key"] // head_features, head_features


def _check_heads(function: str, heads: int, widths: dict[str, int], out_rows: int) -> None:
    q, k, v = widths["query"], widths["key"], widths["value"]
    if not q or q % heads:
        _checks.fail(function, f"the {q} columns of params.query do not fall into {heads} heads")
    size = q // heads
    if not k or k % size or heads % (k // size):
        problem = f"the {k} columns of params.key are not heads of {size} features whose number"
        _checks.fail(function, f"{problem} divides {heads}")
    groups = k // size
    if v % groups or v // groups * heads != out_rows:
        problem = f"the {v} columns of params.value do not fall into {groups} heads that give"
        _checks.fail(function, f"{problem} params.out its {out_rows} rows")


def in_heads(x: Float[Array, "*batch time columns"], heads: int) -> Array:
    """The columns as heads, each of as many features."""
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads)


def check_sequence(function: str, argument: str, x: Any, kernel: Any) -> None:
    """Raise unless ``x`` is a sequence of as many features as the kernel has rows."""
    _checks.floating(function, **{argument: x})
    _checks.rank(function, argument, x, "time features")
    sizes = {argument: jnp.shape(x)[-1], "kernel": jnp.shape(kernel)[0]}
    _checks.same_size(function, "features", **sizes)


def rotated(function: str, rotate: Any, x: Array, positions: Any) -> Array:
    """What ``rotate`` makes of queries or keys; raise where that has another shape."""
    if rotate is None:
        return x
    _checks.function(function, "rotate", rotate)
    y = rotate(x, positions)
    _checks.array(function, "what rotate gave", y)
    if jnp.shape(y) != x.shape:
        _checks.fail(function, f"rotate gave the shape {jnp.shape(y)}; wanted {x.shape}")
    return y


def _with_keys(function: str, mask: Any, key_mask: Any, context: Array) -> Any:
    """The mask, with the keys hidden that ``key_mask`` hides from every query."""
    if key_mask is None:
        return mask
    _checks.mask(function, "key_mask", key_mask, keys=context[..., 0])
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
    key_mask: Bool[Array, "*batch keys"] | None = None,
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
        key_mask: True for the keys of each sequence that are seen at all, such as
            ``padding_mask(lengths, keys)``: the opposite of PyTorch's ``key_padding_mask``.
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
    groups, _ = check_params(name, params, heads)
    c = x if context is None else context
    check_sequence(name, "x", x, params.query.kernel)
    check_sequence(name, "x" if context is None else "context", c, params.key.kernel)
    check_sequence(name, "x" if context is None else "context", c, params.value.kernel)
    if jnp.shape(c)[:-2] != jnp.shape(x)[:-2]:
        problem = f"x {jnp.shape(x)} and context {jnp.shape(c)} must have the same batch axes"
        _checks.fail(name, problem)
    _checks.function(name, "attention", attention)
    check_rate(name, dropout_rate)
    q = in_heads(dense(params.query, x), heads)
    k, v = (in_heads(dense(layer, c), groups) for layer in (params.key, params.value))
    own = jnp.arange(q.shape[-3]) if positions is None else positions
    _checks.integer(name, positions=own)
    _checks.broadcasts_to(name, "positions", own, "the queries", q[..., 0, 0])
    q = rotated(name, rotate, q, own)
    k = rotated(name, rotate, k, own if context is None else jnp.arange(k.shape[-3]))
    options = {"is_causal": is_causal, "local_window_size": local_window_size}
    if dropout_key is not None:
        options |= {"dropout_key": dropout_key, "dropout_rate": dropout_rate}
    o = attention(q, k, v, bias, _with_keys(name, mask, key_mask, c), **options)
    return dense(params.out, o.reshape(*o.shape[:-2], -1))
