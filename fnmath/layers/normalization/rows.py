"""Normalisation of each example by its own features: layer and RMS normalisation."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.layers.normalization._arguments import (
    NormParams,
    apply_norm,
    checked,
    fits,
    given,
    norm_params,
)
from fnmath.layers.normalization._standard import Over


def layer_norm_init(
    features: int | tuple[int, ...],
    *,
    use_scale: bool = True,
    use_bias: bool = True,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> NormParams:
    """Parameters of a layer normalisation that leaves the normalised features as they are.

        γ = 1,    β = 0

    Args:
        features: The number of features, or the sizes of the last axes normalised together
            (PyTorch's ``normalized_shape``).
        use_scale: Whether there is a scale γ; without one it is None.
        use_bias: Whether there is a bias β; without one it is None.
        dtype: The dtype of both.

    Returns:
        The parameters.

    Raises:
        TypeError: If a size is not an integer, ``use_scale`` or ``use_bias`` not a boolean, or the
            dtype not a floating one.
        ValueError: If there is no size, or one below 1.

    Example:
        >>> params = layer_norm_init(3)
        >>> print(params.scale, params.bias)
        [1. 1. 1.] [0. 0. 0.]

    Source:
        Ba, Kiros and Hinton, Layer normalization (2016), §3.
    """
    return norm_params("layer_norm_init", features, use_scale, use_bias, dtype)


def layer_norm(
    params: NormParams,
    x: Float[Array, "..."],
    *,
    axes: int | None = None,
    epsilon: float | Float[Array, ""] = 1e-5,
) -> Float[Array, "..."]:
    """Features of each example less their mean, over their standard deviation.

        y = γ z + β,    z = (x − μ)/σ,    μ = ⟨x⟩,    σ = √(⟨(x − μ)²⟩ + ε)

    where ⟨·⟩ is the mean over the features of one example. The mean is taken of distances from the
    first feature and the squares in units of the largest one: so features that are all alike give
    z = 0 exactly, a mean 10⁴ deviations away costs no digits, and features of 10³⁰ do not overflow
    (they may be as large as half the largest number of the dtype). Half precision is computed in
    float32.

    Gradient:
        x̄ = (z̄ − ⟨z̄⟩ − z ⟨z z̄⟩)/σ,    z̄ = γ ȳ,    γ̄ = Σ_batch z ȳ,    β̄ = Σ_batch ȳ

    The cotangent loses its mean and, but for ε, its part along z: nothing else about x matters.

    Args:
        params: The scale γ and the bias β, each in the shape of the last axes of x, or None.
        x: The inputs, features last.
        axes: How many of the last axes are normalised together: as many as γ or β has if None, or 1
            where there is neither.
        epsilon: What is added to the variance, ε ≥ 0; PyTorch's default, where Flax has 10⁻⁶. With
            ε = 0, features that are all alike give 0/0 = nan.

    Returns:
        The normalised features, in the shape of x and the dtype that x and the parameters have
        together. An example with a feature that is nan or infinite is nan.

    Raises:
        TypeError: If params is not a pair, an array does not hold floating-point numbers, ``axes``
            is not an integer or ``epsilon`` not a number.
        ValueError: If scale or bias do not have the shape of the last axes of x, ``axes`` is below
            1, or ``epsilon`` below 0.

    Example:
        >>> x = jnp.array([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
        >>> print(layer_norm(layer_norm_init(3), x).round(3))
        [[-1.225  0.     1.225]
         [ 0.     0.     0.   ]]

    Source:
        Ba, Kiros and Hinton, Layer normalization (2016), §3; ``torch.nn.functional.layer_norm``.
    """
    return _rows("layer_norm", params, x, axes, epsilon, centred=True)


def rms_norm_init(
    features: int | tuple[int, ...],
    *,
    use_scale: bool = True,
    use_bias: bool = False,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> NormParams:
    """Parameters of an RMS normalisation that leaves the normalised features as they are.

        γ = 1

    Args:
        features: The number of features, or the sizes of the last axes normalised together.
        use_scale: Whether there is a scale γ; without one it is None.
        use_bias: Whether there is a bias β, which is not usual; without one it is None.
        dtype: The dtype of both.

    Returns:
        The parameters.

    Raises:
        TypeError: If a size is not an integer, ``use_scale`` or ``use_bias`` not a boolean, or the
            dtype not a floating one.
        ValueError: If there is no size, or one below 1.

    Example:
        >>> print(rms_norm_init(3))
        NormParams(scale=Array([1., 1., 1.], dtype=float32), bias=None)

    Source:
        Zhang and Sennrich, Root mean square layer normalization (2019), §4.
    """
    return norm_params("rms_norm_init", features, use_scale, use_bias, dtype)


def rms_norm(
    params: NormParams,
    x: Float[Array, "..."],
    *,
    axes: int | None = None,
    epsilon: float | Float[Array, ""] = 1e-6,
) -> Float[Array, "..."]:
    """Features of each example over their root mean square.

        y = γ z + β,    z = x/σ,    σ = √(⟨x²⟩ + ε)

    where ⟨·⟩ is the mean over the features of one example: a layer normalisation that does not
    centre. The squares are taken in units of the largest feature, and do not overflow.

    Gradient:
        x̄ = (z̄ − z ⟨z z̄⟩)/σ,    z̄ = γ ȳ,    γ̄ = Σ_batch z ȳ,    β̄ = Σ_batch ȳ

    Args:
        params: The scale γ and the bias β, each in the shape of the last axes of x, or None.
        x: The inputs, features last.
        axes: How many of the last axes are normalised together: as many as γ or β has if None, or 1
            where there is neither.
        epsilon: What is added to the mean square, ε ≥ 0; Flax's default, where PyTorch has the
            spacing of the dtype's numbers above 1. With ε = 0, features that are all 0 give nan.

    Returns:
        The normalised features, in the shape of x and the dtype that x and the parameters have
        together. An infinite feature is nan, and takes the others to 0.

    Raises:
        TypeError: If params is not a pair, an array does not hold floating-point numbers, ``axes``
            is not an integer or ``epsilon`` not a number.
        ValueError: If scale or bias do not have the shape of the last axes of x, ``axes`` is below
            1, or ``epsilon`` below 0.

    Example:
        >>> y = rms_norm(rms_norm_init(2), jnp.array([3e30, 4e30]))
        >>> print(y * jnp.sqrt(0.5))  # 3/5 and 4/5
        [0.6 0.8]

    Source:
        Zhang and Sennrich, Root mean square layer normalization (2019), §4, equation (4).
    """
    return _rows("rms_norm", params, x, axes, epsilon, centred=False)


def _rows(
    function: str, params: Any, x: Any, axes: int | None, epsilon: Any, *, centred: bool
) -> Array:
    """The last axes of each example, normalised together."""
    params, wide, ε = checked(function, params, x, epsilon)
    for name, p in given(params).items():
        _checks.rank(function, name, p, "features")
    if axes is None:
        axes = max((jnp.ndim(p) for p in given(params).values()), default=1)
    _checks.size(function, axes=axes)
    _checks.rank(function, "x", x, " ".join(f"n{i + 1}" for i in range(axes)))
    fits(function, params, wide, axes)
    over = Over(tuple(range(wide.ndim - axes, wide.ndim)), centred=centred)
    return apply_norm(params, over, wide, ε, x).entries
