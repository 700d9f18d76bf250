"""The dense layer: an affine map of the features.

Notation: x is a row of m features, W the (m, n) kernel, b the n biases, y the row of n outputs.
Rows, not columns: y = x W + b, so that a batch of rows is a matrix and its image is X W + b.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.initializers import lecun_normal, zeros
from fnmath.layers._arguments import Initializer, bias_or_none, drawn


class DenseParams(NamedTuple):
    """The parameters of a dense layer: ``kernel`` W (in, out) and ``bias`` b (out,), or None."""

    kernel: Float[Array, "in out"]
    bias: Float[Array, " out"] | None = None


def dense_init(
    key: PRNGKeyArray,
    in_features: int,
    out_features: int,
    *,
    use_bias: bool = True,
    kernel_init: Initializer | None = None,
    bias_init: Initializer = zeros,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> DenseParams:
    """Random parameters of a dense layer.

        Wᵢⱼ ~ 𝒩(0, 1/m), truncated,    b = 0        (LeCun's initialiser, unless another is given)

    With inputs of variance 1, each of the n outputs, a sum of m independent products, then has
    variance m · 1/m = 1.

    Args:
        key: The random key, consumed by the kernel (and by a random bias initialiser).
        in_features: The number m of input features.
        out_features: The number n of output features.
        use_bias: Whether there is a bias; without one it is None, and y = x W.
        kernel_init: Draws the kernel, as ``kernel_init(key, (m, n), dtype)``; LeCun's truncated
            normal when None.
        bias_init: Draws the bias, as ``bias_init(key, (n,), dtype)``.
        dtype: The dtype of both.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, ``use_bias`` not a
            boolean, an initialiser not a function or what it draws not an array, or the dtype not a
            floating one.
        ValueError: If a size is below 1: a layer of zero width passes nothing on; or if an
            initialiser draws another shape than asked for.

    Example:
        >>> params = dense_init(jax.random.key(0), 784, 128)
        >>> print(params.kernel.shape, params.bias.shape)
        (784, 128) (128,)

    Source:
        LeCun, Bottou, Orr and Müller, Efficient BackProp (1998), §4.6.
    """
    _checks.key("dense_init", key)
    _checks.size("dense_init", in_features=in_features, out_features=out_features)
    _checks.dtype("dense_init", "dtype", dtype, jnp.floating, "a floating dtype")
    kernel_key, bias_key = jax.random.split(key)
    kernel_init = lecun_normal() if kernel_init is None else kernel_init
    shape = (in_features, out_features)
    kernel = drawn("dense_init", "kernel_init", kernel_init, kernel_key, shape, dtype)
    bias = bias_or_none("dense_init", use_bias, bias_init, bias_key, shape[1:], dtype)
    return DenseParams(kernel, bias)


def dense(params: DenseParams, x: Float[Array, "*batch in"]) -> Float[Array, "*batch out"]:
    """Affine map of the features: matrix product with the kernel, plus the bias.

        y = x W + b

    Gradient:
        x̄ = ȳ Wᵀ,    W̄ = Xᵀ Ȳ = Σ_batch xᵀ ȳ,    b̄ = Σ_batch ȳ

    The gradient of the kernel is an outer product for each example, summed over the batch.

    Args:
        params: The kernel (in, out) and the bias (out,), which may be None.
        x: The inputs, features last.

    Returns:
        The outputs, of the same batch shape.

    Raises:
        TypeError: If params is not a pair, or an array does not hold floating-point numbers.
        ValueError: If the features of x are not the rows of the kernel, or the bias does not fit.

    Example:
        >>> params = DenseParams(kernel=jnp.array([[1.0], [2.0]]), bias=jnp.array([0.5]))
        >>> print(dense(params, jnp.array([[3.0, 4.0]])))
        [[11.5]]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §6.1 and §6.5.
    """
    _checks.dense_params("dense", params, x)
    kernel, bias = params
    y = x @ kernel
    return y if bias is None else y + bias
