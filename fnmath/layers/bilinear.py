"""The bilinear layer: a form of two inputs for each output.

Notation: x is a row of m features, y one of n; W is the (m, n, p) kernel, whose slice Wₖ is the
matrix of the k-th form; b are the p biases, z is the row of p outputs.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.initializers import variance_scaling, zeros
from fnmath.layers._arguments import Initializer, bias_fits, bias_or_none, drawn, unpacked


class BilinearParams(NamedTuple):
    """The parameters of a bilinear layer: ``kernel`` (first, second, out), ``bias`` or None."""

    kernel: Float[Array, "first second out"]
    bias: Float[Array, " out"] | None = None


def bilinear_init(
    key: PRNGKeyArray,
    first_features: int,
    second_features: int,
    out_features: int,
    *,
    use_bias: bool = True,
    kernel_init: Initializer | None = None,
    bias_init: Initializer = zeros,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> BilinearParams:
    """Random parameters of a bilinear layer.

        Wᵢⱼₖ ~ 𝒩(0, 1/(m n)), truncated,    b = 0        (unless others are given)

    Each output is a sum of m n products, so that independent inputs of variance 1 give outputs of
    variance m n · 1/(m n) = 1. (PyTorch draws kernel and bias from 𝒰(−1/√m, 1/√m) instead, with
    which the variance grows with n.)

    Args:
        key: The random key, consumed by the kernel (and by a random bias initialiser).
        first_features: The number m of features of the first input.
        second_features: The number n of features of the second.
        out_features: The number p of output features.
        use_bias: Whether there is a bias; without one it is None.
        kernel_init: Draws the kernel, as ``kernel_init(key, (m, n, p), dtype)``; the truncated
            normal above when None.
        bias_init: Draws the bias, as ``bias_init(key, (p,), dtype)``.
        dtype: The dtype of both.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, ``use_bias`` not a
            boolean, an initialiser not a function or what it draws not an array, or the dtype not a
            floating one.
        ValueError: If a size is below 1, or an initialiser draws another shape than asked for.

    Example:
        >>> params = bilinear_init(jax.random.key(0), 3, 4, 2)
        >>> print(params.kernel.shape, params.bias.shape)
        (3, 4, 2) (2,)

    Source:
        LeCun, Bottou, Orr and Müller, Efficient BackProp (1998), §4.6, for a sum of m n products.
    """
    name = "bilinear_init"
    _checks.key(name, key)
    _checks.size(name, first_features=first_features, second_features=second_features)
    _checks.size(name, out_features=out_features)
    _checks.dtype(name, "dtype", dtype, jnp.floating, "a floating dtype")
    kernel_key, bias_key = jax.random.split(key)
    if kernel_init is None:
        kernel_init = variance_scaling(1.0, "fan_in", "truncated_normal", in_axis=(0, 1))
    shape = (first_features, second_features, out_features)
    kernel = drawn(name, "kernel_init", kernel_init, kernel_key, shape, dtype)
    return BilinearParams(
        kernel, bias_or_none(name, use_bias, bias_init, bias_key, shape[2:], dtype)
    )


def bilinear(
    params: BilinearParams, x: Float[Array, "*batch first"], y: Float[Array, "*batch second"]
) -> Float[Array, "*batch out"]:
    """Bilinear form of two inputs for each output, plus the bias.

        zₖ = xᵀ Wₖ y + bₖ = Σᵢⱼ xᵢ Wᵢⱼₖ yⱼ + bₖ

    The sums are taken one after the other, in the order that takes fewer multiplications; half
    precision keeps what stands between them in float32.

    Gradient:
        x̄ = Σₖ z̄ₖ Wₖ y,    ȳ = Σₖ z̄ₖ Wₖᵀ x,    W̄ᵢⱼₖ = Σ_batch xᵢ yⱼ z̄ₖ,    b̄ = Σ_batch z̄

    Args:
        params: The kernel (first, second, out) and the bias (out,), which may be None.
        x: The first input, features last.
        y: The second, of the same batch shape.

    Returns:
        The outputs, of that batch shape.

    Raises:
        TypeError: If params is not a pair, or an array does not hold floating-point numbers.
        ValueError: If the features do not fit the kernel, the batch shapes differ, or the bias does
            not fit.

    Example:
        >>> params = BilinearParams(kernel=jnp.eye(2)[..., None])  # the scalar product
        >>> print(bilinear(params, jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])))
        [11.]

    Source:
        Tenenbaum and Freeman, Separating style and content with bilinear models (2000), §2.1;
        ``torch.nn.functional.bilinear``.
    """
    kernel, bias = unpacked("bilinear", params, BilinearParams)
    _checks.floating("bilinear", x=x, y=y, kernel=kernel)
    _checks.rank("bilinear", "x", x, "first")
    _checks.rank("bilinear", "y", y, "second")
    _checks.rank("bilinear", "kernel", kernel, "first second out", exact=True)
    first, second, outputs = kernel.shape
    _checks.same_size("bilinear", "first features", x=x.shape[-1], kernel=first)
    _checks.same_size("bilinear", "second features", y=y.shape[-1], kernel=second)
    if x.shape[:-1] != y.shape[:-1]:
        _checks.fail("bilinear", f"x {x.shape} and y {y.shape} must have one batch shape")
    bias_fits("bilinear", bias, outputs)
    dtype = jnp.result_type(x, y, kernel)
    wide = jnp.promote_types(dtype, jnp.float32)
    form = "...i,ijk,...j->...k"
    z = jnp.einsum(form, x, kernel, y, preferred_element_type=wide).astype(dtype)
    return z if bias is None else z + bias
