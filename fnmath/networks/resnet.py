"""Residual network for small images: convolutions and batch normalisation beside the identity.

Notation: C is a convolution of 3 × 3 without a bias, N a batch normalisation with its parameters,
φ the activation, n the number of blocks in each of three stages; w, 2w and 4w are the channels in
the stages.

    stem                       images              →  φ N C (x),   w channels
    layer1                     n blocks, stride 1  →  w channels
    layer2, layer3             n blocks, the first with stride 2  →  2w, 4w channels
    average over all pixels, and a dense layer to the classes

That makes 6n + 2 layers with weights. The parameters have the names of torchvision's ResNet, and a
stage of several blocks holds its first one apart from the rest: these are equal to each other, and
are stacked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.activations import relu
from fnmath.initializers import he_normal
from fnmath.layers import (
    BatchStats,
    ConvParams,
    DenseParams,
    NormParams,
    batch_norm,
    batch_norm_init,
    batch_norm_train,
    conv,
    conv_init,
    dense,
    dense_init,
    global_avg_pool,
    stack_with_outputs,
)
from fnmath.networks._arguments import images

# A normalisation: (params, stats, x) ↦ (y, stats), the running statistics moved or not.
Norm = Callable[[NormParams, BatchStats, jax.Array], tuple[jax.Array, BatchStats]]
Activation = Callable[[jax.Array], jax.Array]


class ShortcutParams(NamedTuple):
    """A shortcut that projects: a convolution of 1 × 1 and its normalisation."""

    conv: ConvParams
    bn: NormParams


class ShortcutStats(NamedTuple):
    """The running statistics of a shortcut that projects."""

    bn: BatchStats


class ResnetBlockParams(NamedTuple):
    """A block: two convolutions, their normalisations, and the shortcut; None for the identity."""

    conv1: ConvParams
    bn1: NormParams
    conv2: ConvParams
    bn2: NormParams
    downsample: ShortcutParams | None


class ResnetBlockStats(NamedTuple):
    """The running statistics of a block."""

    bn1: BatchStats
    bn2: BatchStats
    downsample: ShortcutStats | None


class ResnetStageParams(NamedTuple):
    """A stage: its first block, and the others stacked along a new first axis, or None."""

    first: ResnetBlockParams
    rest: ResnetBlockParams | None


class ResnetStageStats(NamedTuple):
    """The running statistics of a stage."""

    first: ResnetBlockStats
    rest: ResnetBlockStats | None


class ResnetParams(NamedTuple):
    """The parameters of a residual network."""

    conv1: ConvParams
    bn1: NormParams
    layer1: ResnetStageParams
    layer2: ResnetStageParams
    layer3: ResnetStageParams
    fc: DenseParams


class ResnetStats(NamedTuple):
    """The running statistics of a residual network, which are carried and not trained."""

    bn1: BatchStats
    layer1: ResnetStageStats
    layer2: ResnetStageStats
    layer3: ResnetStageStats


def resnet_init(
    key: PRNGKeyArray,
    depth: int,
    *,
    classes: int = 10,
    in_channels: int = 3,
    width: int = 16,
    shortcut: str = "identity",
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> tuple[ResnetParams, ResnetStats]:
    """Random parameters of a residual network, and its running statistics before the first batch.

        K ~ 𝒩(0, 2/n_in), truncated,    W ~ 𝒩(0, 1/4w), truncated;    γ = 1,    β = b = 0

    Args:
        key: The random key.
        depth: The number of layers with weights, 6n + 2: 8, 14, 20, 32, 44, 56 or 110.
        classes: The number of outputs.
        in_channels: The number of channels of an image.
        width: The number w of channels in the first stage.
        shortcut: What stands beside a block that halves the image and doubles the channels:
            ``"identity"`` for every other pixel and zeros in the new channels (option A of the
            paper, its choice for CIFAR), ``"projection"`` for a convolution of 1 × 1 with a
            normalisation (option B, torchvision's).
        dtype: The dtype of the parameters.

    Returns:
        The parameters, which are trained, and the statistics, which are carried along.

    Raises:
        TypeError: If the key is not a random key, a number not an integer, the shortcut not a
            string, or the dtype not a floating one.
        ValueError: If the depth is not 6n + 2 with n ≥ 1, a number is below 1, or the shortcut
            neither of the two.

    Example:
        >>> params, stats = resnet_init(jax.random.key(0), 20)
        >>> print(sum(p.size for p in jax.tree.leaves(params)))  # the paper's 0.27 million
        269722
        >>> print(params.layer2.first.conv1.kernel.shape, params.layer2.rest.conv1.kernel.shape)
        (3, 3, 16, 32) (2, 3, 3, 32, 32)

    Source:
        He, Zhang, Ren and Sun, Deep residual learning for image recognition (2016), §4.2.
    """
    name = "resnet_init"
    _checks.key(name, key)
    _checks.size(name, depth=depth, classes=classes, in_channels=in_channels, width=width)
    _checks.option(name, "shortcut", shortcut, ("identity", "projection"))
    _checks.dtype(name, "dtype", dtype, jnp.floating, "a floating dtype")
    n, rest = divmod(depth - 2, 6)
    if rest or n < 1:
        near = max(round((depth - 2) / 6), 1) * 6 + 2
        _checks.fail(name, f"depth is {depth}; wanted 6n + 2 with n of at least 1", f"{near}")
    stem_key, *stage_keys, fc_key = jax.random.split(key, 5)
    bn1, bn1_stats = batch_norm_init(width, dtype=dtype)
    channels = [(width, width), (width, 2 * width), (2 * width, 4 * width)]
    stages = [
        _stage_init(k, n, *pair, projects=shortcut == "projection", dtype=dtype)
        for k, pair in zip(stage_keys, channels, strict=True)
    ]
    conv1 = _conv_init(stem_key, (3, 3), in_channels, width, dtype)
    fc = dense_init(fc_key, 4 * width, classes, dtype=dtype)
    (layer1, stats1), (layer2, stats2), (layer3, stats3) = stages
    params = ResnetParams(conv1, bn1, layer1, layer2, layer3, fc)
    return params, ResnetStats(bn1_stats, stats1, stats2, stats3)


def resnet(
    params: ResnetParams,
    stats: ResnetStats,
    x: Float[Array, "*batch height width channels"],
    *,
    activation: Activation = relu,
    epsilon: float | Float[Array, ""] = 1e-5,
) -> Float[Array, "*batch classes"]:
    """Residual network, evaluated with the running statistics of its normalisations.

        h ← φ(N C (x)),    for each block:  h ← φ(s(h) + N C φ(N C (h))),    y = ⟨h⟩ W + b

    where s is the identity, but in the first block of the second and the third stage, where the
    stride is 2: every other pixel with zeros in the new channels, or a projection if the parameters
    hold one. ⟨·⟩ is the mean over the pixels, so that images may have any size.

    Blocks that are equal to each other run as one loop: the time to compile does not grow with the
    depth.

    Gradient:
        h̄ = (∂s/∂h)ᵀ g + (∂F/∂h)ᵀ g,    g = φ′ ⊙ h̄⁺    through each block, the last one first

    with F the branch N C φ(N C (h)), and h̄⁺ the cotangent of what the block gives.

    Args:
        params: The parameters, as ``resnet_init`` makes them.
        stats: The running statistics, as the training left them.
        x: Images, channels last.
        activation: The function φ.
        epsilon: What the normalisations add to a variance, ε ≥ 0.

    Returns:
        One logit per class.

    Raises:
        TypeError: If params or stats are of another type, the activation is not a function, or an
            array does not hold floating-point numbers.
        ValueError: If x has too few axes or no pixels, stats are those of another network, or a
            layer does not fit what it is given.

    Example:
        >>> params, stats = resnet_init(jax.random.key(0), 8, width=4)
        >>> print(resnet(params, stats, jnp.ones((2, 32, 32, 3))).shape)
        (2, 10)

    Source:
        He, Zhang, Ren and Sun, Deep residual learning for image recognition (2016), §3.3 and §4.2.
    """
    _check("resnet", params, stats, x, activation)

    def norm(params: NormParams, stats: BatchStats, x: Array) -> tuple[Array, BatchStats]:
        return batch_norm(params, stats, x, epsilon=epsilon), stats

    return _network(params, stats, jnp.asarray(x), norm, activation)[0]


def resnet_train(
    params: ResnetParams,
    stats: ResnetStats,
    x: Float[Array, "*batch height width channels"],
    *,
    activation: Activation = relu,
    momentum: float | Float[Array, ""] = 0.9,
    epsilon: float | Float[Array, ""] = 1e-5,
    axis_name: str | tuple[str, ...] | None = None,
) -> tuple[Float[Array, "*batch classes"], ResnetStats]:
    """Residual network as it learns: normalised by the batch, with the statistics after it.

        as ``resnet``, with  N = batch_norm_train  for each normalisation

    Gradient:
        as that of ``resnet``, through the means and the deviations of the batch as well

    Args:
        params: The parameters, as ``resnet_init`` makes them.
        stats: The running statistics before this batch.
        x: Images, channels last. All axes before the channels are the batch of a normalisation.
        activation: The function φ.
        momentum: The weight of the old statistics, in [0, 1] (PyTorch's is one less this).
        epsilon: What the normalisations add to a variance, ε ≥ 0.
        axis_name: The name of a mapped axis, or several, over which the batch is spread.

    Returns:
        One logit per class, and the statistics after this batch.

    Raises:
        TypeError: If params or stats are of another type, the activation is not a function, or an
            array does not hold floating-point numbers.
        ValueError: If x has too few axes or no pixels, stats are those of another network, or a
            layer does not fit what it is given.

    Example:
        >>> params, stats = resnet_init(jax.random.key(0), 8, width=4)
        >>> y, stats = resnet_train(params, stats, jnp.ones((2, 32, 32, 3)))
        >>> print(y.shape, jax.tree.structure(stats).num_leaves)
        (2, 10) 14

    Source:
        He, Zhang, Ren and Sun, Deep residual learning for image recognition (2016), §4.2; Ioffe and
        Szegedy, Batch normalization (2015), §3, algorithm 1.
    """
    _check("resnet_train", params, stats, x, activation)
    options = {"momentum": momentum, "epsilon": epsilon, "axis_name": axis_name}
    norm = partial(batch_norm_train, **options)
    return _network(params, stats, jnp.asarray(x), norm, activation)


def _network(
    params: ResnetParams, stats: ResnetStats, x: Array, norm: Norm, φ: Activation
) -> tuple[Array, ResnetStats]:
    """The logits, and the statistics that the normalisations hand on."""
    h, bn1 = norm(params.bn1, stats.bn1, conv(params.conv1, x, padding=1))
    h = φ(h)
    h, layer1 = _stage(params.layer1, stats.layer1, h, norm, φ, strides=1)
    h, layer2 = _stage(params.layer2, stats.layer2, h, norm, φ, strides=2)
    h, layer3 = _stage(params.layer3, stats.layer3, h, norm, φ, strides=2)
    return dense(params.fc, global_avg_pool(h)), ResnetStats(bn1, layer1, layer2, layer3)


def _stage(
    params: ResnetStageParams,
    stats: ResnetStageStats,
    h: Array,
    norm: Norm,
    φ: Activation,
    *,
    strides: int,
) -> tuple[Array, ResnetStageStats]:
    """The first block, and the others by one scan."""
    h, first = _block(params.first, h, stats.first, norm=norm, φ=φ, strides=strides)
    if params.rest is None:
        return h, ResnetStageStats(first, None)
    block = partial(_block, norm=norm, φ=φ, strides=1)
    h, rest = stack_with_outputs(block, params.rest, h, extras=stats.rest)
    return h, ResnetStageStats(first, rest)


def _block(
    params: ResnetBlockParams,
    x: Array,
    stats: ResnetBlockStats,
    *,
    norm: Norm,
    φ: Activation,
    strides: int,
) -> tuple[Array, ResnetBlockStats]:
    """Φ(s(x) + N C φ(N C (x))), the first convolution with the strides."""
    h, bn1 = norm(params.bn1, stats.bn1, conv(params.conv1, x, strides=strides, padding=1))
    h, bn2 = norm(params.bn2, stats.bn2, conv(params.conv2, φ(h), padding=1))
    if params.downsample is None or stats.downsample is None:
        z = _identity(x, strides, h.shape[-1])
        return φ(_sum(z, h)), ResnetBlockStats(bn1, bn2, None)
    z = conv(params.downsample.conv, x, strides=strides, padding="VALID")
    z, bn = norm(params.downsample.bn, stats.downsample.bn, z)
    return φ(_sum(z, h)), ResnetBlockStats(bn1, bn2, ShortcutStats(bn))


def _sum(shortcut: Array, branch: Array) -> Array:
    _checks.same_shape("resnet", shortcut=shortcut, branch=branch)
    return shortcut + branch


def _identity(x: Array, strides: int, channels: int) -> Array:
    """Every pixel that the strides keep, with zeros in the channels that are new."""
    if channels < x.shape[-1]:
        problem = f"a block turns {x.shape[-1]} channels into {channels}; wanted at least as many"
        _checks.fail("resnet", problem)
    kept = x[..., ::strides, ::strides, :]
    return jnp.pad(kept, [(0, 0)] * (x.ndim - 1) + [(0, channels - x.shape[-1])])


def _conv_init(
    key: PRNGKeyArray, window: tuple[int, int], inputs: int, outputs: int, dtype: Any
) -> ConvParams:
    return conv_init(
        key, window, inputs, outputs, use_bias=False, kernel_init=he_normal(), dtype=dtype
    )


def _block_init(
    key: PRNGKeyArray, inputs: int, outputs: int, *, projects: bool, dtype: Any
) -> tuple[ResnetBlockParams, ResnetBlockStats]:
    keys = jax.random.split(key, 3)
    bn, stats = batch_norm_init(outputs, dtype=dtype)
    conv1 = _conv_init(keys[0], (3, 3), inputs, outputs, dtype)
    conv2 = _conv_init(keys[1], (3, 3), outputs, outputs, dtype)
    shortcut = ShortcutParams(_conv_init(keys[2], (1, 1), inputs, outputs, dtype), bn)
    params = ResnetBlockParams(conv1, bn, conv2, bn, shortcut if projects else None)
    return params, ResnetBlockStats(stats, stats, ShortcutStats(stats) if projects else None)


def _stage_init(
    key: PRNGKeyArray, n: int, inputs: int, outputs: int, *, projects: bool, dtype: Any
) -> tuple[ResnetStageParams, ResnetStageStats]:
    first_key, rest_key = jax.random.split(key)
    projects = projects and inputs != outputs
    params, stats = _block_init(first_key, inputs, outputs, projects=projects, dtype=dtype)
    if n == 1:
        return ResnetStageParams(params, None), ResnetStageStats(stats, None)
    equal = partial(_block_init, inputs=outputs, outputs=outputs, projects=False, dtype=dtype)
    rest, rest_stats = jax.vmap(equal)(jax.random.split(rest_key, n - 1))
    return ResnetStageParams(params, rest), ResnetStageStats(stats, rest_stats)


def _check(name: str, params: Any, stats: Any, x: Any, activation: Any) -> None:
    """Raise unless the parameters and the statistics are those of one network."""
    _checks.function(name, "activation", activation)
    images(name, x)
    _checks.instance(name, "params", params, ResnetParams, "resnet_init")
    _checks.instance(name, "stats", stats, ResnetStats, "resnet_init")
    for stage in ("layer1", "layer2", "layer3"):
        _check_stage(name, stage, getattr(params, stage), getattr(stats, stage))


def _check_stage(name: str, stage: str, params: Any, stats: Any) -> None:
    """Raise unless both hold the same blocks, and both or neither of them a shortcut."""
    _checks.instance(name, f"params.{stage}", params, ResnetStageParams)
    _checks.instance(name, f"stats.{stage}", stats, ResnetStageStats)
    for blocks in ("first", "rest"):
        ours, theirs = getattr(params, blocks), getattr(stats, blocks)
        place = f"{stage}.{blocks}"
        if blocks == "rest" and all(part is None for part in (ours, theirs)):
            continue
        _checks.instance(name, f"params.{place}", ours, ResnetBlockParams)
        _checks.instance(name, f"stats.{place}", theirs, ResnetBlockStats)
        if blocks == "first" and not (ours.downsample is None and theirs.downsample is None):
            place = f"{place}.downsample"
            _checks.instance(name, f"params.{place}", ours.downsample, ShortcutParams)
            _checks.instance(name, f"stats.{place}", theirs.downsample, ShortcutStats)
