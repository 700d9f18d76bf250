"""Normalisation of each image by groups of its own channels: group and instance normalisation."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.layers._axes import spatial_axes
from fnmath.layers.normalization._arguments import (
    NormParams,
    apply_norm,
    checked,
    fits,
    norm_params,
)
from fnmath.layers.normalization._standard import Over


def group_norm_init(
    features: int,
    *,
    use_scale: bool = True,
    use_bias: bool = True,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> NormParams:
    """Parameters of a group normalisation that leaves the normalised channels as they are.

        γ = 1,    β = 0

    Args:
        features: The number of channels.
        use_scale: Whether there is a scale γ; without one it is None.
        use_bias: Whether there is a bias β; without one it is None.
        dtype: The dtype of both.

    Returns:
        The parameters, one γ and one β for each channel.

    Raises:
        TypeError: If ``features`` is not an integer, ``use_scale`` or ``use_bias`` not a boolean,
            or the dtype not a floating one.
        ValueError: If ``features`` is below 1.

    Example:
        >>> print(group_norm_init(32).scale.shape)
        (32,)

    Source:
        Wu and He, Group normalization (2018), §3.2.
    """
    _checks.size("group_norm_init", features=features)
    return norm_params("group_norm_init", features, use_scale, use_bias, dtype)


def group_norm(
    params: NormParams,
    x: Float[Array, "*batch_and_spatial channels"],
    *,
    groups: int,
    spatial: int = 2,
    epsilon: float | Float[Array, ""] = 1e-5,
) -> Float[Array, "*batch_and_spatial channels"]:
    """Groups of channels of each image less their mean, over their standard deviation.

        y = γ z + β,    z = (x − μ)/σ,    μ = ⟨x⟩,    σ = √(⟨(x − μ)²⟩ + ε)

    where ⟨·⟩ is the mean over all pixels of one image and the channels of one group, which are
    neighbours. It is computed as a layer normalisation is, no image depends on another, and with
    one group per channel it is the instance normalisation.

    Gradient:
        x̄ = (z̄ − ⟨z̄⟩ − z ⟨z z̄⟩)/σ,    z̄ = γ ȳ,    γ̄ = Σ z ȳ,    β̄ = Σ ȳ

    where the sums run over the images and their pixels.

    Args:
        params: The scale γ and the bias β, one for each channel, or None.
        x: Images, channels-last.
        groups: The number of groups, which divides that of the channels.
        spatial: How many axes before the channels belong to one example: 1 for sequences (time), 2
            for images, 3 for video (frames, height, width), 0 for vectors.
        epsilon: What is added to the variance, ε ≥ 0; PyTorch's default, where Flax has 10⁻⁶. With
            ε = 0, a group that is all alike gives 0/0 = nan.

    Returns:
        The normalised images, in the shape of x and the dtype that x and the parameters have
        together. A group with an entry that is nan or infinite is nan.

    Raises:
        TypeError: If params is not a pair, an array does not hold floating-point numbers,
            ``groups`` or ``spatial`` is not an integer, or ``epsilon`` not a number.
        ValueError: If the groups do not divide the channels, x has no more than ``spatial`` axes,
            scale or bias do not have one entry for each channel, or ``epsilon`` is below 0.

    Example:
        >>> image = jnp.array([[[1.0, 2.0, 10.0, 20.0]]])  # one pixel of four channels
        >>> print(group_norm(group_norm_init(4), image, groups=2).round(3))
        [[[-1.  1. -1.  1.]]]

    Source:
        Wu and He, Group normalization (2018), §3.1, equation (7);
        ``torch.nn.functional.group_norm``.
    """
    params, wide, ε = _images("group_norm", params, x, spatial, epsilon, minimum=0)
    _checks.size("group_norm", groups=groups)
    channels = wide.shape[-1]
    if channels % groups:
        _checks.fail("group_norm", f"the {channels} channels are not divisible by groups {groups}")
    over = Over(_pixels(wide, spatial), groups=groups)
    return apply_norm(params, over, wide, ε, x).entries


def instance_norm_init(
    features: int,
    *,
    use_scale: bool = True,
    use_bias: bool = True,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> NormParams:
    """Parameters of an instance normalisation that leaves the normalised channels as they are.

        γ = 1,    β = 0

    Args:
        features: The number of channels.
        use_scale: Whether there is a scale γ; without one it is None. (PyTorch's ``InstanceNorm2d``
            has neither γ nor β unless asked for.)
        use_bias: Whether there is a bias β; without one it is None.
        dtype: The dtype of both.

    Returns:
        The parameters, one γ and one β for each channel.

    Raises:
        TypeError: If ``features`` is not an integer, ``use_scale`` or ``use_bias`` not a boolean,
            or the dtype not a floating one.
        ValueError: If ``features`` is below 1.

    Example:
        >>> print(instance_norm_init(32, use_bias=False).bias)
        None

    Source:
        Ulyanov, Vedaldi and Lempitsky, Instance normalization: the missing ingredient for fast
        stylization (2016), §2.
    """
    _checks.size("instance_norm_init", features=features)
    return norm_params("instance_norm_init", features, use_scale, use_bias, dtype)


def instance_norm(
    params: NormParams,
    x: Float[Array, "*batch_and_spatial channels"],
    *,
    spatial: int = 2,
    epsilon: float | Float[Array, ""] = 1e-5,
) -> Float[Array, "*batch_and_spatial channels"]:
    """Channels of each image less their mean, over their standard deviation.

        y = γ z + β,    z = (x − μ)/σ,    μ = ⟨x⟩,    σ = √(⟨(x − μ)²⟩ + ε)

    where ⟨·⟩ is the mean over all pixels of one channel of one image: its contrast and brightness,
    which are taken out. It is computed as a layer normalisation is. Of an image of one pixel
    nothing is left but β, and no gradient (PyTorch refuses it).

    Gradient:
        x̄ = (z̄ − ⟨z̄⟩ − z ⟨z z̄⟩)/σ,    z̄ = γ ȳ,    γ̄ = Σ z ȳ,    β̄ = Σ ȳ

    where the sums run over the images and their pixels.

    Args:
        params: The scale γ and the bias β, one for each channel, or None.
        x: Images, channels-last.
        spatial: How many axes before the channels belong to one example: 1 for sequences (time), 2
            for images, 3 for video (frames, height, width).
        epsilon: What is added to the variance, ε ≥ 0; PyTorch's default, where Flax has 10⁻⁶. With
            ε = 0, a channel that is all alike gives 0/0 = nan.

    Returns:
        The normalised images, in the shape of x and the dtype that x and the parameters have
        together. A channel with an entry that is nan or infinite is nan.

    Raises:
        TypeError: If params is not a pair, an array does not hold floating-point numbers,
            ``spatial`` is not an integer, or ``epsilon`` not a number.
        ValueError: If x has no more than ``spatial`` axes, ``spatial`` is below 1, scale or bias do
            not have one entry for each channel, or ``epsilon`` is below 0.

    Example:
        >>> sequence = jnp.array([[1.0, 7.0], [2.0, 7.0], [3.0, 7.0]])  # two channels
        >>> print(instance_norm(instance_norm_init(2), sequence, spatial=1).round(3))
        [[-1.225  0.   ]
         [ 0.     0.   ]
         [ 1.225  0.   ]]

    Source:
        Ulyanov, Vedaldi and Lempitsky, Instance normalization: the missing ingredient for fast
        stylization (2016), §2; ``torch.nn.functional.instance_norm``.
    """
    params, wide, ε = _images("instance_norm", params, x, spatial, epsilon, minimum=1)
    return apply_norm(params, Over(_pixels(wide, spatial)), wide, ε, x).entries


def _pixels(x: Array, spatial: int) -> tuple[int, ...]:
    return tuple(range(x.ndim - 1 - spatial, x.ndim - 1))


def _images(
    function: str, params: Any, x: Any, spatial: int, epsilon: Any, *, minimum: int
) -> tuple[NormParams, Array, Array]:
    """The arguments, checked: x and ε in the dtype to compute in."""
    params, wide, ε = checked(function, params, x, epsilon)
    _checks.size(function, minimum=minimum, spatial=spatial)
    _checks.rank(function, "x", wide, spatial_axes(spatial))
    fits(function, params, wide, 1)
    return params, wide, ε
