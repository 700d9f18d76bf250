"""Squeeze and excitation: each channel of an image is let through as far as all channels say.

Notation: x is an image, s its channels averaged over the pixels, h the hidden features, a the gates
of the channels; W, b and V, c are the kernels and biases of the two dense layers; f is the
activation and g the gate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.activations import relu, sigmoid
from fnmath.initializers import zeros
from fnmath.layers._arguments import Initializer, unpacked
from fnmath.layers._axes import spatial_axes
from fnmath.layers.dense import DenseParams, dense, dense_init


class SqueezeExcitationParams(NamedTuple):
    """Two dense layers: ``reduce`` (channels, hidden) and ``expand`` (hidden, channels)."""

    reduce: DenseParams
    expand: DenseParams


def squeeze_excitation_init(
    key: PRNGKeyArray,
    channels: int,
    hidden: int,
    *,
    use_bias: bool = True,
    kernel_init: Initializer | None = None,
    bias_init: Initializer = zeros,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> SqueezeExcitationParams:
    """Random parameters of a squeeze and excitation.

        W, V ~ LeCun's initialiser, unless another is given,    b, c = 0

    Args:
        key: The random key, split between the two layers.
        channels: The number of channels of the image.
        hidden: The number of hidden features, a sixteenth of the channels in the source.
        use_bias: Whether the two layers have biases; without they are None.
        kernel_init: Draws both kernels, as ``kernel_init(key, shape, dtype)``; LeCun's truncated
            normal when None.
        bias_init: Draws both biases, as ``bias_init(key, shape, dtype)``.
        dtype: The dtype of all.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, ``use_bias`` not a
            boolean, an initialiser not a function or what it draws not an array, or the dtype not a
            floating one.
        ValueError: If a size is below 1, or an initialiser draws another shape than asked for.

    Example:
        >>> params = squeeze_excitation_init(jax.random.key(0), 64, 4)
        >>> print(params.reduce.kernel.shape, params.expand.kernel.shape)
        (64, 4) (4, 64)

    Source:
        Hu, Shen and Sun, Squeeze-and-excitation networks (2018), §3.2 and §6.1 (the sixteenth).
    """
    _checks.key("squeeze_excitation_init", key)
    _checks.size("squeeze_excitation_init", channels=channels, hidden=hidden)
    _checks.dtype("squeeze_excitation_init", "dtype", dtype, jnp.floating, "a floating dtype")
    keys = jax.random.split(key)
    sizes = ((channels, hidden), (hidden, channels))
    options = {"use_bias": use_bias, "kernel_init": kernel_init, "bias_init": bias_init}
    layers = (dense_init(k, *s, **options, dtype=dtype) for k, s in zip(keys, sizes, strict=True))
    return SqueezeExcitationParams(*layers)


def squeeze_excitation(
    params: SqueezeExcitationParams,
    x: Float[Array, "*batch_and_spatial channels"],
    *,
    activation: Callable[[Array], Array] = relu,
    gate: Callable[[Array], Array] = sigmoid,
    spatial: int = 2,
) -> Float[Array, "*batch_and_spatial channels"]:
    """Image whose channels are each multiplied by a gate, which all of them decide together.

        y = x a,    a = g(h V + c),    h = f(s W + b),    s = mean of x over the pixels

    The mean of half precision is taken in float32.

    Gradient:
        x̄ = a ȳ + s̄/n for n pixels,    ā = Σ_pixels x ȳ
        h̄ = (ā g′(h V + c)) Vᵀ,    s̄ = (h̄ f′(s W + b)) Wᵀ

    Args:
        params: The two dense layers W, b and V, c.
        x: Images, channels-last.
        activation: The activation f between the two layers.
        gate: The gate g after them, with values in [0, 1].
        spatial: How many axes before the channels belong to one example: 1 for sequences (time), 2
            for images, 3 for video (frames, height, width).

    Returns:
        The image with its channels weighted, of the same shape.

    Raises:
        TypeError: If params is not a pair of dense layers, an array does not hold floating-point
            numbers, ``activation`` or ``gate`` is not a function or ``spatial`` not an integer.
        ValueError: If x has no more than ``spatial`` axes, ``spatial`` is below 1, or the layers do
            not fit the channels or each other.

    Example:
        >>> reduce = DenseParams(jnp.array([[1.0], [1.0]]), jnp.array([0.0]))
        >>> expand = DenseParams(jnp.array([[100.0, -100.0]]), jnp.array([0.0, 0.0]))
        >>> image = jnp.ones((1, 1, 2))  # the first channel is let through, the second is not
        >>> print(squeeze_excitation(SqueezeExcitationParams(reduce, expand), image))
        [[[1. 0.]]]

    Source:
        Hu, Shen and Sun, Squeeze-and-excitation networks (2018), §3.1 and §3.2, equations (2) to
        (4).
    """
    name = "squeeze_excitation"
    reduce, expand = unpacked(name, params, SqueezeExcitationParams)
    _checks.floating(name, x=x)
    _checks.size(name, spatial=spatial)
    _checks.rank(name, "x", x, spatial_axes(spatial))
    _checks.function(name, "activation", activation)
    _checks.function(name, "gate", gate)
    x = jnp.asarray(x)
    s = _pixel_mean(x, spatial)
    _checks.dense_params(name, reduce, s)
    h = activation(dense(DenseParams(*reduce), s))
    _gave(name, "activation", h, (*s.shape[:-1], reduce[0].shape[1]))
    _checks.dense_params(name, expand, h)
    _checks.same_size(name, "channels", x=x.shape[-1], gates=expand[0].shape[1])
    a = gate(dense(DenseParams(*expand), h))
    _gave(name, "gate", a, s.shape)
    return x * jnp.expand_dims(a, tuple(range(-1 - spatial, -1)))


def _pixel_mean(x: Array, spatial: int) -> Array:
    """The mean over the pixels, rounded once; 0 where there are none."""
    axes = tuple(range(x.ndim - 1 - spatial, x.ndim - 1))
    pixels = math.prod(x.shape[i] for i in axes)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    return (jnp.sum(x, axes, dtype=wide) / max(pixels, 1)).astype(x.dtype)


def _gave(function: str, argument: str, y: Any, shape: tuple[int, ...]) -> None:
    """Raise unless what a function of the user gave is an array of that shape."""
    _checks.floating(function, **{f"what {argument} gave": y})
    if jnp.shape(y) != shape:
        _checks.fail(function, f"{argument} gave the shape {jnp.shape(y)}; wanted {shape}")
