"""ConvNeXt: blocks of a wide depthwise convolution and two dense layers, in four stages.

Notation: D is a depthwise convolution of 7 × 7, N a layer normalisation of the channels, W₁ and W₂
dense layers from c to 4c channels and back, γ the layer scale, one number per channel.

    stem                windows of p × p pixels, each a dense map to the channels of the first stage
    stages              equal blocks,    x + γ ⊙ W₂ gelu(W₁ N D x)
    between stages      a normalisation, and windows of 2 × 2 pixels mapped to more channels
    average over all pixels, a normalisation, and a dense layer to the classes

The parameters have the names of the authors' code; the blocks of a stage are stacked.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.activations import gelu
from fnmath.initializers import truncated_normal
from fnmath.layers import (
    ConvParams,
    DenseParams,
    NormParams,
    conv,
    conv_init,
    dense,
    dense_init,
    depthwise_conv,
    depthwise_conv_init,
    drop_path,
    global_avg_pool,
    layer_norm,
    layer_norm_init,
    stack,
    stack_init,
)
from fnmath.networks._arguments import images, layers, sizes


class ConvnextBlockParams(NamedTuple):
    """The parameters of a block; ``gamma`` is the layer scale (channels,), or None for none."""

    dwconv: ConvParams
    norm: NormParams
    pwconv1: DenseParams
    pwconv2: DenseParams
    gamma: Float[Array, "*layers channels"] | None


class DownsampleParams(NamedTuple):
    """What stands before a stage: a convolution of whole windows, and a normalisation."""

    conv: ConvParams
    norm: NormParams


class ConvnextParams(NamedTuple):
    """The parameters of a ConvNeXt: what stands before each stage, the stages, and the head."""

    downsample_layers: tuple[DownsampleParams, ...]
    stages: tuple[ConvnextBlockParams, ...]
    norm: NormParams
    head: DenseParams


def convnext_block_init(
    key: PRNGKeyArray,
    channels: int,
    *,
    expansion: int = 4,
    layer_scale: float | None = 1e-6,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> ConvnextBlockParams:
    """Random parameters of a ConvNeXt block.

        D, W₁, W₂ ~ 𝒩(0, 0.02²), truncated at ±0.04;    γ = layer_scale;    all biases 0

    With so small a γ a block begins as the identity. (The authors' code truncates the same normal
    at ±2, a hundred of its deviations.)

    Args:
        key: The random key.
        channels: The number c of channels.
        expansion: How many times wider the hidden layer is.
        layer_scale: What each entry of γ begins with; None for no layer scale.
        dtype: The dtype of the parameters.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a number not one of its kind, or the dtype not a
            floating one.
        ValueError: If a size is below 1, or the layer scale not finite.

    Example:
        >>> params = convnext_block_init(jax.random.key(0), 96)
        >>> print(params.dwconv.kernel.shape, params.pwconv1.kernel.shape, params.gamma.shape)
        (7, 7, 1, 96) (96, 384) (96,)

    Source:
        Liu, Mao, Wu, Feichtenhofer, Darrell and Xie, A ConvNet for the 2020s (2022), §2.5–2.6 and
        appendix A.1.
    """
    name = "convnext_block_init"
    _checks.key(name, key)
    _checks.size(name, channels=channels, expansion=expansion)
    _checks.dtype(name, "dtype", dtype, jnp.floating, "a floating dtype")
    if layer_scale is not None:
        _checks.scalar(name, "layer_scale", layer_scale)
    keys = jax.random.split(key, 3)
    small = {"kernel_init": truncated_normal(0.02), "dtype": dtype}
    hidden = expansion * channels
    return ConvnextBlockParams(
        dwconv=depthwise_conv_init(keys[0], (7, 7), channels, **small),
        norm=layer_norm_init(channels, dtype=dtype),
        pwconv1=dense_init(keys[1], channels, hidden, **small),
        pwconv2=dense_init(keys[2], hidden, channels, **small),
        gamma=None if layer_scale is None else jnp.full(channels, layer_scale, dtype),
    )


def convnext_block(
    params: ConvnextBlockParams,
    x: Float[Array, "*batch height width channels"],
    *,
    dropout_key: PRNGKeyArray | None = None,
    drop_path_rate: float | Float[Array, ""] = 0.0,
    epsilon: float | Float[Array, ""] = 1e-6,
) -> Float[Array, "*batch height width channels"]:
    """ConvNeXt block: space and channels are mixed apart, beside the identity.

        y = x + γ ⊙ W₂ gelu(W₁ N D x)

    with the depthwise convolution D over 7 × 7 pixels of each channel, the normalisation N over the
    channels of each pixel, and two dense layers over the channels of each pixel with the exact gelu
    between them. While it learns, the branch of a whole image is dropped with the probability p,
    and scaled by 1/(1 − p) else.

    Gradient:
        x̄ = ȳ + Dᵀ N̄ W₁ᵀ (gelu′ ⊙ W₂ᵀ (γ ⊙ ȳ)),    γ̄ = Σ ȳ ⊙ W₂ gelu(W₁ N D x)

    with N̄ the cotangent map of the normalisation, and sums over all axes but the channels.

    Args:
        params: The parameters, as ``convnext_block_init`` makes them.
        x: Images, channels last.
        dropout_key: The random key of the noise; None for no noise.
        drop_path_rate: The probability p in [0, 1) of dropping the branch of an image.
        epsilon: What the normalisation adds to the variance; 10⁻⁶ as in the authors' code.

    Returns:
        Images of the same shape.

    Raises:
        TypeError: If params are no ``ConvnextBlockParams``, the key is neither a random key nor
            None, or an array does not hold floating-point numbers.
        ValueError: If x has too few axes or no pixels, a layer does not fit its channels, or the
            rate is outside [0, 1).

    Example:
        >>> params = convnext_block_init(jax.random.key(0), 8, layer_scale=1.0)
        >>> print(convnext_block(params, jnp.ones((2, 14, 14, 8))).shape)
        (2, 14, 14, 8)

    Source:
        Liu, Mao, Wu, Feichtenhofer, Darrell and Xie, A ConvNet for the 2020s (2022), §2.5–2.6 and
        figure 4; Touvron et al., Going deeper with image transformers (2021), §2, for γ.
    """
    name = "convnext_block"
    _checks.instance(name, "params", params, ConvnextBlockParams, "convnext_block_init(key, …)")
    images(name, x)
    _noise(name, dropout_key, drop_path_rate)
    return _block(params, x, dropout_key, drop_path_rate, epsilon)


def convnext_init(
    key: PRNGKeyArray,
    *,
    depths: tuple[int, ...] = (3, 3, 9, 3),
    channels: tuple[int, ...] = (96, 192, 384, 768),
    classes: int = 1000,
    in_channels: int = 3,
    patch: int = 4,
    layer_scale: float | None = 1e-6,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> ConvnextParams:
    """Random parameters of a ConvNeXt; the defaults are those of ConvNeXt-T.

        every kernel ~ 𝒩(0, 0.02²), truncated at ±0.04;    γ = layer_scale;    all biases 0

    Args:
        key: The random key.
        depths: The number of blocks in each stage.
        channels: The number of channels in each stage.
        classes: The number of outputs.
        in_channels: The number of channels of an image.
        patch: The size p of the stem's windows: 4 for ImageNet; 1 or 2 for small images.
        layer_scale: What each entry of every γ begins with; None for no layer scale.
        dtype: The dtype of the parameters.

    Returns:
        The parameters; those of the blocks of a stage are stacked.

    Raises:
        TypeError: If the key is not a random key, a number not one of its kind, or the dtype not a
            floating one.
        ValueError: If there is no stage, the two tuples differ in length, a size is below 1, or the
            layer scale not finite.

    Example:
        >>> params = convnext_init(jax.random.key(0), depths=(1, 2), channels=(8, 16), classes=10)
        >>> print(params.downsample_layers[1].conv.kernel.shape)
        (2, 2, 8, 16)
        >>> print(params.stages[1].dwconv.kernel.shape)  # two blocks
        (2, 7, 7, 1, 16)

    Source:
        Liu, Mao, Wu, Feichtenhofer, Darrell and Xie, A ConvNet for the 2020s (2022), §3 and
        appendix A.1.
    """
    name = "convnext_init"
    _checks.key(name, key)
    depths, channels = sizes(name, "depths", depths), sizes(name, "channels", channels)
    _checks.same_size(name, "stages", depths=len(depths), channels=len(channels))
    _checks.size(name, classes=classes, in_channels=in_channels, patch=patch)
    _checks.dtype(name, "dtype", dtype, jnp.floating, "a floating dtype")
    if layer_scale is not None:
        _checks.scalar(name, "layer_scale", layer_scale)
    stem_keys, stage_keys = jax.random.split(key, (2, len(depths)))
    windows = [patch] + [2] * (len(depths) - 1)
    widths = itertools.pairwise((in_channels, *channels))
    before = [
        _downsample_init(k, w, c, d, norm_after=i == 0, dtype=dtype)
        for i, (k, w, (c, d)) in enumerate(zip(stem_keys, windows, widths, strict=True))
    ]
    stages = [
        stack_init(k, partial(_equal_block_init, c, layer_scale, dtype), n)
        for k, c, n in zip(stage_keys, channels, depths, strict=True)
    ]
    small = {"kernel_init": truncated_normal(0.02), "dtype": dtype}
    head = dense_init(jax.random.fold_in(key, 2), channels[-1], classes, **small)
    norm = layer_norm_init(channels[-1], dtype=dtype)
    return ConvnextParams(tuple(before), tuple(stages), norm, head)


def convnext(
    params: ConvnextParams,
    x: Float[Array, "*batch height width channels"],
    *,
    dropout_key: PRNGKeyArray | None = None,
    drop_path_rate: float = 0.0,
    epsilon: float | Float[Array, ""] = 1e-6,
) -> Float[Array, "*batch classes"]:
    """ConvNeXt: a convolutional network in the proportions of a hierarchical transformer.

        h ← N (P x),    for each stage:  h ← blocks(h),  and between two  h ← P N h
        y = N ⟨h⟩ W + b

    where P maps windows that tile the image (p × p pixels at the stem, 2 × 2 later; what is left at
    the lower and right edges is dropped) and ⟨·⟩ is the mean over the pixels. Images may have any
    size of which a pixel is left in the last stage.

    The blocks of a stage run as one loop: the time to compile does not grow with their number.

    Gradient:
        from the last layer to the first, that of each: see ``convnext_block`` and ``layer_norm``

    Args:
        params: The parameters, as ``convnext_init`` makes them.
        x: Images, channels last.
        dropout_key: The random key of the noise; None for no noise.
        drop_path_rate: The probability of dropping the branch of the last block, in [0, 1); that of
            the block l of L, counted from 0, is l/(L − 1) times as large.
        epsilon: What the normalisations add to a variance; 10⁻⁶ as in the authors' code.

    Returns:
        One logit per class.

    Raises:
        TypeError: If params are no ``ConvnextParams``, the key is neither a random key nor None,
            the rate not a number, or an array does not hold floating-point numbers.
        ValueError: If x has too few axes or pixels, a layer does not fit what it is given, or the
            rate is outside [0, 1).

    Example:
        >>> params = convnext_init(jax.random.key(0), depths=(1, 2), channels=(8, 16), classes=10)
        >>> print(convnext(params, jnp.ones((2, 32, 32, 3))).shape)
        (2, 10)

    Source:
        Liu, Mao, Wu, Feichtenhofer, Darrell and Xie, A ConvNet for the 2020s (2022), §2 and
        table 9; Huang, Sun, Liu, Sedra and Weinberger, Deep networks with stochastic depth (2016),
        §3, for the rates.
    """
    depths = _check("convnext", params, x, dropout_key, drop_path_rate)
    noises = _noises(depths, dropout_key, drop_path_rate)
    h = jnp.asarray(x)
    stages = zip(params.downsample_layers, params.stages, noises, strict=True)
    for i, (downsample, blocks, noise) in enumerate(stages):
        window = downsample.conv.kernel.shape[:2]
        h = h if i == 0 else layer_norm(downsample.norm, h, epsilon=epsilon)
        h = conv(downsample.conv, h, strides=window, padding="VALID")
        h = h if i > 0 else layer_norm(downsample.norm, h, epsilon=epsilon)

        def block(params: Any, h: Array, noise: tuple[Any, Any] = (None, 0.0)) -> Array:
            key, rate = noise
            return _block(params, h, key, rate, epsilon)

        h = stack(block, blocks, h, extras=noise)
    return dense(params.head, layer_norm(params.norm, global_avg_pool(h), epsilon=epsilon))


def _block(
    params: ConvnextBlockParams, x: Array, key: PRNGKeyArray | None, rate: Any, epsilon: Any
) -> Array:
    """X + γ ⊙ W₂ gelu(W₁ N D x)."""
    h = layer_norm(params.norm, depthwise_conv(params.dwconv, x), epsilon=epsilon)
    h = dense(params.pwconv2, gelu(dense(params.pwconv1, h), approximate=False))
    _checks.same_shape("convnext_block", x=x, **{"what the branch gave": h})
    if params.gamma is not None:
        _checks.floating("convnext_block", **{"params.gamma": params.gamma})
        if jnp.shape(params.gamma) != h.shape[-1:]:
            problem = f"params.gamma has shape {jnp.shape(params.gamma)}; wanted {h.shape[-1:]}"
            _checks.fail("convnext_block", problem)
        h = params.gamma * h
    return x + drop_path(key, h, rate=rate, example_axes=jnp.ndim(x) - 3)


def _equal_block_init(
    channels: int, layer_scale: float | None, dtype: Any, key: PRNGKeyArray
) -> ConvnextBlockParams:
    return convnext_block_init(key, channels, layer_scale=layer_scale, dtype=dtype)


def _downsample_init(
    key: PRNGKeyArray, window: int, inputs: int, outputs: int, *, norm_after: bool, dtype: Any
) -> DownsampleParams:
    small = {"kernel_init": truncated_normal(0.02), "dtype": dtype}
    norm = layer_norm_init(outputs if norm_after else inputs, dtype=dtype)
    return DownsampleParams(conv_init(key, (window, window), inputs, outputs, **small), norm)


def _noises(
    depths: list[int], key: PRNGKeyArray | None, rate: float
) -> list[tuple[Array, Array] | None]:
    """For each stage the keys and the rates of its blocks, which rise from 0; None for none."""
    if key is None:
        return [None] * len(depths)
    ends = list(itertools.accumulate(depths, initial=0))
    rates = jnp.asarray(np.linspace(0, rate, ends[-1]), jnp.float32)
    keys = jax.random.split(key, ends[-1])
    return [(keys[a:b], rates[a:b]) for a, b in itertools.pairwise(ends)]


def _noise(name: str, key: Any, rate: Any) -> None:
    """Raise unless there is a key or None, and a rate of dropping."""
    if key is not None:
        _checks.key(name, key, "dropout_key")
    _checks.scalar(name, "drop_path_rate", rate)
    _checks.number(name, "drop_path_rate", rate, above=0, below=1, closed="[")


def _check(name: str, params: Any, x: Any, key: Any, rate: Any) -> list[int]:
    """Raise unless the arguments are those of a ConvNeXt; the number of blocks in each stage."""
    _checks.instance(name, "params", params, ConvnextParams, "convnext_init(key, …)")
    images(name, x)
    _noise(name, key, rate)
    if isinstance(rate, jax.Array):
        problem = "drop_path_rate is an array; wanted a number"
        _checks.fail(name, problem, "float(drop_path_rate)", error=TypeError)
    layers(name, "params.downsample_layers", params.downsample_layers, DownsampleParams)
    layers(name, "params.stages", params.stages, ConvnextBlockParams)
    before, stages = len(params.downsample_layers), len(params.stages)
    _checks.same_size(name, "stages", downsample_layers=before, stages=stages)
    for i, (downsample, blocks) in enumerate(
        zip(params.downsample_layers, params.stages, strict=True)
    ):
        place = f"params.downsample_layers[{i}].conv"
        _checks.instance(name, place, downsample.conv, ConvParams)
        kernel, axes = downsample.conv.kernel, "height width in out"
        _checks.rank(name, f"{place}.kernel", kernel, axes, exact=True)
        place = f"params.stages[{i}].dwconv"
        _checks.instance(name, place, blocks.dwconv, ConvParams)
        kernel, axes = blocks.dwconv.kernel, "layers height width 1 channels"
        _checks.rank(name, f"{place}.kernel", kernel, axes, exact=True)
    return [blocks.dwconv.kernel.shape[0] for blocks in params.stages]
