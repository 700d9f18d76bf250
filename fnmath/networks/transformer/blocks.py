"""The block of a transformer: attention and a multilayer perceptron, each beside the identity."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.activations import gelu
from fnmath.initializers import normal, zeros
from fnmath.layers import (
    DenseParams,
    MultiHeadAttentionParams,
    NormParams,
    dense_init,
    dropout,
    layer_norm,
    layer_norm_init,
    multi_head_attention,
    multi_head_attention_init,
    stack,
)
from fnmath.layers._arguments import Initializer, unpacked
from fnmath.networks.mlp import mlp


class TransformerBlockParams(NamedTuple):
    """The parameters of a block, by the order in which it uses them but for the last two.

    ``ln_cross`` and ``cross_attention``, between the first attention and ``ln_2``, are None where
    the block asks no context.
    """

    ln_1: NormParams
    self_attention: MultiHeadAttentionParams
    ln_2: NormParams
    mlp: tuple[DenseParams, ...]
    ln_cross: NormParams | None = None
    cross_attention: MultiHeadAttentionParams | None = None


def transformer_block_init(
    key: PRNGKeyArray,
    features: int,
    *,
    heads: int,
    hidden: int | None = None,
    context_features: int | None = None,
    depth: int = 1,
    use_bias: bool = True,
    kernel_init: Initializer | None = None,
    bias_init: Initializer = zeros,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> TransformerBlockParams:
    """Random parameters of a block, as GPT-2 draws them.

        Wᵢⱼ ~ 𝒩(0, 0.02²),    the last kernel of each branch ~ 𝒩(0, 0.02²/N),    b = 0

    N is the number of branches of the whole network, two for each of its blocks and three with
    cross-attention: so much is added to x along the way, and its variance does not grow with depth.

    Args:
        key: The random key.
        features: The features of the sequence.
        heads: The number of heads, a divisor of the features.
        hidden: The hidden units of the perceptron; four times the features if None.
        context_features: The features of the context; None for a block that asks none.
        depth: The number of blocks of the network that this one is a part of.
        use_bias: Whether there are biases, in dense layers and normalisations alike.
        kernel_init: Draws all kernels alike, as ``kernel_init(key, (in, out), dtype)``, in place of
            GPT-2's.
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
        >>> params = transformer_block_init(jax.random.key(0), 64, heads=4)
        >>> print(params.self_attention.out.kernel.shape, [m.kernel.shape for m in params.mlp])
        (64, 64) [(64, 256), (256, 64)]

    Source:
        Radford et al., Language models are unsupervised multitask learners (2019), §2.3, and its
        code.
    """
    name = "transformer_block_init"
    _checks.key(name, key)
    _checks.size(name, features=features, heads=heads, depth=depth)
    hidden = 4 * features if hidden is None else hidden
    _checks.size(name, hidden=hidden)
    branches = depth * (2 if context_features is None else 3)
    first = normal(0.02) if kernel_init is None else kernel_init
    last = normal(0.02 / math.sqrt(branches)) if kernel_init is None else kernel_init
    rest = {"use_bias": use_bias, "bias_init": bias_init, "dtype": dtype}
    keys = jax.random.split(key, 4)
    attention_init = partial(
        multi_head_attention_init, heads=heads, kernel_init=first, out_kernel_init=last, **rest
    )
    norm = layer_norm_init(features, use_bias=use_bias, dtype=dtype)
    perceptron = (
        dense_init(keys[1], features, hidden, kernel_init=first, **rest),
        dense_init(keys[2], hidden, features, kernel_init=last, **rest),
    )
    params = TransformerBlockParams(norm, attention_init(keys[0], features), norm, perceptron)
    if context_features is None:
        return params
    cross = attention_init(keys[3], features, context_features=context_features)
    return params._replace(ln_cross=norm, cross_attention=cross)


def transformer_block(
    params: TransformerBlockParams,
    x: Float[Array, "*batch time features"],
    *,
    heads: int,
    context: Float[Array, "*batch keys context_features"] | None = None,
    key_mask: Bool[Array, "*batch time"] | None = None,
    context_mask: Bool[Array, "*batch keys"] | None = None,
    is_causal: bool = False,
    rotate: Callable[[Any, Any], Any] | None = None,
    activation: Callable[[jax.Array], jax.Array] = gelu,
    epsilon: float = 1e-5,
    dropout_key: PRNGKeyArray | None = None,
    dropout_rate: float = 0.0,
) -> Float[Array, "*batch time features"]:
    """Block of a transformer: attention, then a multilayer perceptron, each beside the identity.

        x ← x + A(LN₁ x),    [x ← x + A(LN₃ x, context),]    y = x + M(LN₂ x)

    Gradient:
        x̄ = ȳ + (∂(M ∘ LN₂)/∂x)ᵀ ȳ, and likewise through each branch before it: the cotangent
        passes every one of them unchanged, and gains what the branch adds

    Args:
        params: The normalisations, attentions and dense layers, as ``transformer_block_init``
            makes them.
        x: The sequence, features last.
        heads: The number of heads.
        context: The sequence that the second attention asks, if the block has one.
        key_mask: True for the entries of x that are seen at all, such as
            ``padding_mask(lengths, time)``.
        context_mask: The same for the entries of the context.
        is_causal: Whether an entry of x sees itself and those before it only.
        rotate: Applied to queries and keys of x, in heads, as ``rotate(heads, positions)``;
            ``rotary`` for example. None rotates nothing.
        activation: The function between the two layers of the perceptron.
        epsilon: What the normalisations add to the variance.
        dropout_key: The random key of the dropout; without one, nothing is dropped.
        dropout_rate: The probability that a weight of an attention, or an entry of what a branch
            adds, is set to 0.

    Returns:
        The sequence after the block, in the shape of x.

    Raises:
        TypeError: If params are not those of a block, an array does not hold numbers of its kind,
            or an option is none of its kind.
        ValueError: If the shapes do not fit, there is a context and no attention that asks it or
            the other way round, or an option is out of its range.

    Example:
        >>> params = transformer_block_init(jax.random.key(0), 64, heads=4)
        >>> print(transformer_block(params, jnp.ones((2, 5, 64)), heads=4).shape)
        (2, 5, 64)

    Source:
        Vaswani et al., Attention is all you need (2017), §3.1; Radford et al., Language models are
        unsupervised multitask learners (2019), §2.3 (normalisation before each branch).
    """

    def attend(attention: Any, h: jax.Array, key: Any) -> tuple[jax.Array, None]:
        options = {"key_mask": key_mask, "is_causal": is_causal, "rotate": rotate}
        noise = {"dropout_key": key, "dropout_rate": dropout_rate}
        return multi_head_attention(attention, h, heads=heads, **options, **noise), None

    return _through_block(
        "transformer_block",
        params,
        x,
        attend,
        heads=heads,
        context=context,
        context_mask=context_mask,
        activation=activation,
        epsilon=epsilon,
        dropout_key=dropout_key,
        dropout_rate=dropout_rate,
    )[0]


def _through_block(
    function: str,
    params: Any,
    x: Any,
    attend: Callable[..., tuple[Any, Any]],
    *,
    heads: int,
    context: Any,
    context_mask: Any,
    activation: Callable[[jax.Array], jax.Array],
    epsilon: float,
    dropout_key: Any = None,
    dropout_rate: float = 0.0,
) -> tuple[Any, Any]:
    """What a block gives, and what its self-attention gives beside it, such as a cache.

    ``attend(params.self_attention, h, key)`` is that attention, of the normalised sequence h.
    """
    params = TransformerBlockParams(*unpacked(function, params, TransformerBlockParams))
    _check_context(function, params, context, context_mask)
    _check_noise(function, dropout_key, dropout_rate)
    keys = [None] * 5 if dropout_key is None else jax.random.split(dropout_key, 5)
    norm = partial(layer_norm, epsilon=epsilon)
    add = partial(_added, function, rate=dropout_rate)
    h, beside = attend(params.self_attention, norm(params.ln_1, x), keys[0])
    x = add(x, h, keys[1])
    if params.cross_attention is not None:
        h = norm(params.ln_cross, x)
        options = {"context": context, "key_mask": context_mask, "dropout_rate": dropout_rate}
        h = multi_head_attention(
            params.cross_attention, h, heads=heads, dropout_key=keys[2], **options
        )
        x = add(x, h, keys[3])
    return add(x, mlp(params.mlp, norm(params.ln_2, x), activation=activation), keys[4]), beside


def _added(function: str, x: Any, branch: Any, key: Any, *, rate: float) -> Any:
    """The sum of x and what a branch gives, in which nothing broadcasts."""
    _checks.same_shape(function, x=x, **{"what a branch gave": branch})
    return x + dropout(key, branch, rate=rate)


def _check_context(function: str, params: TransformerBlockParams, context: Any, mask: Any) -> None:
    """Raise unless there is a context exactly where there is an attention that asks it."""
    if context is None and params.cross_attention is not None:
        _checks.fail(function, "context is None; wanted what the cross-attention asks")
    if context is not None and params.cross_attention is None:
        _checks.fail(function, "context is given and params.cross_attention is None")
    if context is None and mask is not None:
        _checks.fail(function, "context_mask is given and context is None")


def _check_noise(function: str, key: Any, rate: Any) -> None:
    """Raise unless the key of the dropout is a random key or None, and its rate a number."""
    if key is not None:
        _checks.key(function, key, "dropout_key")
    _checks.number(function, "dropout_rate", rate, above=0, below=1, closed="[")


def _through_blocks(
    function: str,
    layers: Any,
    x: Any,
    *,
    checkpoint: bool,
    dropout_key: Any,
    **options: Any,
) -> Any:
    """What the stacked blocks give, each with a key of its own if there is one."""
    layers = TransformerBlockParams(*unpacked(function, layers, TransformerBlockParams))
    keys = None
    if dropout_key is not None:
        shapes = [jnp.shape(a) for a in jax.tree.leaves(layers) if hasattr(a, "shape")]
        keys = jax.random.split(dropout_key, next((s[0] for s in shapes if s), 1))

    def block(params: Any, x: Any, key: Any = None) -> Any:
        return transformer_block(params, x, dropout_key=key, **options)

    return stack(block, layers, x, extras=keys, checkpoint=checkpoint)
