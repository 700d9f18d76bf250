"""U-Net: an encoder that halves an image level by level, and a decoder that brings it back.

Notation: C² is two convolutions of 3 × 3, each followed by the activation φ; ↓ the maximum of
windows of 2 × 2, ↑ a transposed convolution of 2 × 2 with stride 2; [a, b] joins channels.

    x ─ C² ───────── e₁ ─────────→ [e₁, ↑ d₂] ─ C² ─ d₁ ─ 1 × 1 → y        full size
         ↓                              ↑
         C² ──────── e₂ ─────────→ [e₂, ↑ d₃] ─ C² ─ d₂                    half
         ↓                              ↑
         C² ──────── d₃ ────────────────┘                                  a quarter
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.activations import relu
from fnmath.initializers import he_normal, variance_scaling
from fnmath.layers import (
    ConvParams,
    ConvTransposeParams,
    conv,
    conv_init,
    conv_transpose,
    conv_transpose_init,
    dropout,
    max_pool,
)
from fnmath.networks._arguments import images, layers, sizes

Activation = Callable[[jax.Array], jax.Array]


class UnetDownParams(NamedTuple):
    """A level of the encoder: its two convolutions."""

    conv1: ConvParams
    conv2: ConvParams


class UnetUpParams(NamedTuple):
    """A level of the decoder: the transposed convolution, and two convolutions after joining."""

    up: ConvTransposeParams
    conv1: ConvParams
    conv2: ConvParams


class UnetParams(NamedTuple):
    """The levels of the encoder, from full size down; those of the decoder, up; the last map."""

    down: tuple[UnetDownParams, ...]
    up: tuple[UnetUpParams, ...]
    out: ConvParams


def unet_init(
    key: PRNGKeyArray,
    in_channels: int,
    out_channels: int,
    *,
    channels: tuple[int, ...] = (64, 128, 256, 512, 1024),
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> UnetParams:
    """Random parameters of a U-Net.

        K ~ 𝒩(0, 2/n_in)  before a φ,    𝒩(0, 1/n_in)  else,    all truncated;    b = 0

    n_in is what one output sums over: of a transposed convolution with windows of 2 × 2 at stride 2
    as many as there are input channels.

    Args:
        key: The random key.
        in_channels: The number of channels of an image.
        out_channels: The number of channels of the output: classes, or what is regressed.
        channels: The channels of each level, from full size down; the default is the paper's.
        dtype: The dtype of the parameters.

    Returns:
        The parameters: as many levels of the encoder as there are ``channels``, and one less of the
        decoder.

    Raises:
        TypeError: If the key is not a random key, a number not an integer, or the dtype not a
            floating one.
        ValueError: If there is no level, or a number is below 1.

    Example:
        >>> params = unet_init(jax.random.key(0), 3, 1, channels=(8, 16, 32))
        >>> print([level.conv1.kernel.shape for level in params.down])
        [(3, 3, 3, 8), (3, 3, 8, 16), (3, 3, 16, 32)]
        >>> print([level.conv1.kernel.shape for level in params.up])  # joined: twice the channels
        [(3, 3, 32, 16), (3, 3, 16, 8)]

    Source:
        Ronneberger, Fischer and Brox, U-Net: convolutional networks for biomedical image
        segmentation (2015), §2 and, for the variances, §3.
    """
    name = "unet_init"
    _checks.key(name, key)
    _checks.size(name, in_channels=in_channels, out_channels=out_channels)
    channels = sizes(name, "channels", channels)
    _checks.dtype(name, "dtype", dtype, jnp.floating, "a floating dtype")
    down_keys, up_keys = jax.random.split(key, (2, len(channels)))
    widths = list(itertools.pairwise((in_channels, *channels)))
    down = [
        UnetDownParams(*_pair_init(k, *width, dtype))
        for k, width in zip(down_keys, widths, strict=True)
    ]
    up = [_up_init(k, *width, dtype) for k, width in zip(up_keys[1:], widths[:0:-1], strict=True)]
    out = conv_init(up_keys[0], (1, 1), channels[0], out_channels, dtype=dtype)
    return UnetParams(tuple(down), tuple(up), out)


def unet(
    params: UnetParams,
    x: Float[Array, "*batch height width channels"],
    *,
    activation: Activation = relu,
    dropout_key: PRNGKeyArray | None = None,
    dropout_rate: float | Float[Array, ""] = 0.0,
) -> Float[Array, "*batch height width outputs"]:
    """U-Net: an image for an image, made from its coarse and its fine features together.

        e₁ = C² x,    eₗ₊₁ = C² ↓ eₗ;    d_L = e_L,    dₗ = C² [eₗ, ↑ dₗ₊₁];    y = K d₁ + b

    The output has the size of the image: the convolutions add zeros at the edges. (The paper's keep
    whole windows only and crop eₗ, so that its output is smaller.)

    Gradient:
        d̄ₗ₊₁ = ↑ᵀ of the second half of the cotangent of [eₗ, ↑ dₗ₊₁]; its first half is added to ēₗ

    so that the fine levels learn without the way through the coarse ones.

    Args:
        params: The parameters, as ``unet_init`` makes them, L levels deep.
        x: Images whose height and width are multiples of 2ᴸ⁻¹, channels last.
        activation: The function φ.
        dropout_key: The random key of the noise; None for no noise.
        dropout_rate: The probability of dropping an entry of e_L, in [0, 1).

    Returns:
        Images of the same height and width: logits or predictions, as the loss takes them.

    Raises:
        TypeError: If params are no ``UnetParams``, the activation is not a function, the key
            neither a random key nor None, or an array does not hold floating-point numbers.
        ValueError: If there is no level, height or width is not such a multiple, a layer does not
            fit what it is given, or the rate is outside [0, 1).

    Example:
        >>> params = unet_init(jax.random.key(0), 3, 1, channels=(8, 16, 32))
        >>> print(unet(params, jnp.ones((2, 20, 28, 3))).shape)
        (2, 20, 28, 1)

    Source:
        Ronneberger, Fischer and Brox, U-Net: convolutional networks for biomedical image
        segmentation (2015), §2 and figure 1; §3.1 for the dropout at the end of the encoder.
    """
    _check("unet", params, x, activation, dropout_key, dropout_rate)
    first, *others = params.down
    h = _pair(first.conv1, first.conv2, jnp.asarray(x), activation)
    skips = []
    for level in others:
        skips.append(h)
        h = _pair(level.conv1, level.conv2, max_pool(h, window=(2, 2)), activation)
    h = dropout(dropout_key, h, rate=dropout_rate)
    for level, skip in zip(params.up, reversed(skips), strict=True):
        larger = conv_transpose(level.up, h, strides=2, padding="VALID")
        _joins("unet", skip, larger)
        joined = jnp.concatenate([skip, larger], axis=-1)
        h = _pair(level.conv1, level.conv2, joined, activation)
    return conv(params.out, h)


def _pair(conv1: ConvParams, conv2: ConvParams, x: Array, φ: Activation) -> Array:
    return φ(conv(conv2, φ(conv(conv1, x))))


def _pair_init(
    key: PRNGKeyArray, inputs: int, outputs: int, dtype: Any
) -> tuple[ConvParams, ConvParams]:
    key1, key2 = jax.random.split(key)
    he = {"kernel_init": he_normal(), "dtype": dtype}
    conv1 = conv_init(key1, (3, 3), inputs, outputs, **he)
    return conv1, conv_init(key2, (3, 3), outputs, outputs, **he)


def _up_init(key: PRNGKeyArray, fine: int, coarse: int, dtype: Any) -> UnetUpParams:
    up_key, pair_key = jax.random.split(key)
    # Of the 4 taps of a window one meets each output.
    init = variance_scaling(4, "fan_in", "truncated_normal")
    up = conv_transpose_init(up_key, (2, 2), coarse, fine, kernel_init=init, dtype=dtype)
    return UnetUpParams(up, *_pair_init(pair_key, 2 * fine, fine, dtype))


def _joins(name: str, skip: Array, larger: Array) -> None:
    """Raise unless two images can be joined channel to channel."""
    if skip.shape[:-1] != larger.shape[:-1]:
        problem = f"a level of the decoder gives images {larger.shape[:-1]}"
        _checks.fail(name, f"{problem}; wanted those of the encoder, {skip.shape[:-1]}")


def _check(name: str, params: Any, x: Any, activation: Any, key: Any, rate: Any) -> None:
    """Raise unless the arguments are those of a U-Net."""
    _checks.instance(name, "params", params, UnetParams, "unet_init(key, …)")
    _checks.function(name, "activation", activation)
    if key is not None:
        _checks.key(name, key)
    _checks.scalar(name, "dropout_rate", rate)
    _checks.number(name, "dropout_rate", rate, above=0, below=1, closed="[")
    layers(name, "params.down", params.down, UnetDownParams)
    layers(name, "params.up", params.up, UnetUpParams)
    if len(params.down) != len(params.up) + 1:
        problem = f"params has {len(params.down)} levels down and {len(params.up)} up"
        _checks.fail(name, f"{problem}; wanted one more down than up")
    images(name, x, multiple=2 ** len(params.up))
