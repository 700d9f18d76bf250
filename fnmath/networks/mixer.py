"""The mixer: perceptrons across the patches of an image, and across their features, in turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.activations import gelu
from fnmath.initializers import zeros
from fnmath.layers import (
    ConvParams,
    DenseParams,
    NormParams,
    conv_init,
    dense,
    dense_init,
    drop_path,
    layer_norm,
    layer_norm_init,
    residual,
    stack,
    stack_init,
)
from fnmath.layers._arguments import unpacked
from fnmath.networks._patches import patch_counts, patches
from fnmath.networks.mlp import mlp


class MixerBlockParams(NamedTuple):
    """The parameters of a block of the mixer: a perceptron across patches, one across features."""

    ln_1: NormParams
    token_mixing: tuple[DenseParams, ...]
    ln_2: NormParams
    channel_mixing: tuple[DenseParams, ...]


class MixerParams(NamedTuple):
    """The parameters of a mixer; the arrays of ``layers`` have a first axis that counts them."""

    stem: ConvParams
    layers: MixerBlockParams
    ln: NormParams
    head: DenseParams


def mixer_init(
    key: PRNGKeyArray,
    image_shape: tuple[int, int, int],
    outputs: int,
    *,
    patch: int | tuple[int, int] = 16,
    features: int = 768,
    depth: int = 12,
    token_hidden: int = 384,
    channel_hidden: int = 3072,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> MixerParams:
    """Random parameters of a mixer; by default Mixer-B/16.

        Wᵢⱼ ~ 𝒩(0, 1/m), truncated,    head and biases 0

    These are Flax's defaults, as in the authors' code. The head of zeros gives all classes one
    score at first.

    Args:
        key: The random key.
        image_shape: The height, width and channels of an image.
        outputs: The number of outputs, such as classes.
        patch: The sides of a patch, (height, width) or one number for both, divisors of those of
            the image.
        features: The features of each patch within the network.
        depth: The number of blocks.
        token_hidden: The hidden units of the perceptrons across patches.
        channel_hidden: The hidden units of the perceptrons across features.
        dtype: The dtype of the parameters.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, the image's shape no
            three, or the dtype not a floating one.
        ValueError: If a size is below 1, or the patches do not fill the image.

    Example:
        >>> params = mixer_init(
        ...     jax.random.key(0), (32, 32, 3), 10, patch=4, features=64, depth=6,
        ...     token_hidden=32, channel_hidden=256,
        ... )
        >>> print(params.layers.token_mixing[0].kernel.shape)  # 6 blocks, 8 × 8 patches
        (6, 64, 32)

    Source:
        Tolstikhin et al., MLP-Mixer: an all-MLP architecture for vision (2021), §2 and table 1.
    """
    name = "mixer_init"
    _checks.key(name, key)
    sides, count = patch_counts(name, image_shape, patch)
    _checks.size(name, outputs=outputs, features=features, depth=depth)
    _checks.size(name, token_hidden=token_hidden, channel_hidden=channel_hidden)
    _checks.dtype(name, "dtype", dtype, jnp.floating, "a floating dtype")
    stem_key, layers_key, head_key = jax.random.split(key, 3)
    norm = layer_norm_init(features, dtype=dtype)

    def perceptron(key: PRNGKeyArray, n: int, hidden: int) -> tuple[DenseParams, ...]:
        first, last = jax.random.split(key)
        return dense_init(first, n, hidden, dtype=dtype), dense_init(last, hidden, n, dtype=dtype)

    def block(key: PRNGKeyArray) -> MixerBlockParams:
        tokens, channels = jax.random.split(key)
        across_tokens = perceptron(tokens, count, token_hidden)
        across_channels = perceptron(channels, features, channel_hidden)
        return MixerBlockParams(norm, across_tokens, norm, across_channels)

    return MixerParams(
        conv_init(stem_key, sides, image_shape[2], features, dtype=dtype),
        stack_init(layers_key, block, depth),
        norm,
        dense_init(head_key, features, outputs, kernel_init=zeros, dtype=dtype),
    )


def mixer(
    params: MixerParams,
    x: Float[Array, "*batch height width channels"],
    *,
    activation: Callable[[jax.Array], jax.Array] = gelu,
    epsilon: float = 1e-6,
    dropout_key: PRNGKeyArray | None = None,
    drop_path_rate: float = 0.0,
) -> Float[Array, "*batch outputs"]:
    """Mixer: in each block a perceptron across the patches, then one across their features.

        h ← h + M₁((LN h)ᵀ)ᵀ,    h ← h + M₂(LN h),    z = head(mean LN h)

    where h is a table of patches and features: M₁ works on each column of it, all columns alike,
    and M₂ on each row.

    Gradient:
        That of its layers, from the last to the first

    Args:
        params: The embedding of the patches, the stacked blocks, the last normalisation and the
            head, as ``mixer_init`` makes them.
        x: Images of the size that the perceptrons across patches were made for.
        activation: The function between the two layers of each perceptron.
        epsilon: What the normalisations add to the variance; Flax's default.
        dropout_key: The random key of stochastic depth; without one, nothing is dropped.
        drop_path_rate: The probability that the branches of the last block are dropped, for each
            example and branch apart; it rises from 0 at the first block in equal steps.

    Returns:
        The outputs: scores of classes, for example.

    Raises:
        TypeError: If params are not those of a mixer, an array does not hold numbers of its kind,
            or an option is none of its kind.
        ValueError: If the patches do not fill the images, the shapes do not fit otherwise, or an
            option is out of its range.

    Example:
        >>> params = mixer_init(
        ...     jax.random.key(0), (32, 32, 3), 10, patch=4, features=64, depth=6,
        ...     token_hidden=32, channel_hidden=256,
        ... )
        >>> print(mixer(params, jnp.ones((5, 32, 32, 3))).shape)
        (5, 10)

    Source:
        Tolstikhin et al., MLP-Mixer: an all-MLP architecture for vision (2021), §2, and its code
        (stochastic depth).
    """
    name = "mixer"
    stem, layers, ln, head = unpacked(name, params, MixerParams)
    layers = MixerBlockParams(*unpacked(name, layers, MixerBlockParams))
    _checks.number(name, "drop_path_rate", drop_path_rate, above=0, below=1, closed="[")
    h = patches(name, stem, x)
    noise = None if dropout_key is None else _noise(name, dropout_key, drop_path_rate, layers)

    def block(params: MixerBlockParams, h: jax.Array, noise: Any = None) -> jax.Array:
        keys, rate = ((None, None), 0.0) if noise is None else noise

        def tokens(params: MixerBlockParams, h: jax.Array) -> jax.Array:
            y = jnp.swapaxes(layer_norm(params.ln_1, h, epsilon=epsilon), -1, -2)
            y = jnp.swapaxes(mlp(params.token_mixing, y, activation=activation), -1, -2)
            return drop_path(keys[0], y, rate=rate, example_axes=y.ndim - 2)

        def channels(params: MixerBlockParams, h: jax.Array) -> jax.Array:
            y = layer_norm(params.ln_2, h, epsilon=epsilon)
            y = mlp(params.channel_mixing, y, activation=activation)
            return drop_path(keys[1], y, rate=rate, example_axes=y.ndim - 2)

        return residual(channels)(params, residual(tokens)(params, h))

    h = layer_norm(ln, stack(block, layers, h, extras=noise), epsilon=epsilon)
    return dense(head, h.mean(axis=-2))


def _noise(function: str, key: Any, rate: Any, layers: Any) -> tuple[jax.Array, jax.Array]:
    """Two keys for each block, and its rate of dropping: from 0 to ``rate`` in equal steps."""
    _checks.key(function, key, "dropout_key")
    shapes = [jnp.shape(a) for a in jax.tree.leaves(layers) if hasattr(a, "shape")]
    depth = next((s[0] for s in shapes if s), 1)
    keys = jax.vmap(jax.random.split)(jax.random.split(key, depth))
    return keys, rate * jnp.arange(depth) / max(depth - 1, 1)
