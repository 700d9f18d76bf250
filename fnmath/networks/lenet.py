"""LeNet-5: two convolutions, each followed by pooling, and three dense layers.

Notation: φ is the activation, ↓ the pooling of windows of 2 × 2. The images on the way have

    32 × 32 × in  →  28 × 28 × 6  →  14 × 14 × 6  →  10 × 10 × 16  →  5 × 5 × 16 = 400 features

and the dense layers 120, 84 and as many units as there are classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.activations import relu
from fnmath.initializers import he_normal, lecun_normal
from fnmath.layers import ConvParams, DenseParams, conv, conv_init, dense, dense_init, max_pool


class LenetParams(NamedTuple):
    """The parameters of LeNet-5, layer by layer, under the names of PyTorch's tutorial."""

    conv1: ConvParams
    conv2: ConvParams
    fc1: DenseParams
    fc2: DenseParams
    fc3: DenseParams


def lenet_init(
    key: PRNGKeyArray,
    *,
    classes: int = 10,
    in_channels: int = 1,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> LenetParams:
    """Random parameters of LeNet-5.

        K, W ~ 𝒩(0, 2/n_in)  for the hidden layers,    W₅ ~ 𝒩(0, 1/84)  for the last,

    all truncated at two standard deviations, n_in being what one output sums over, and all biases
    0. That is He's variance, made for relu; with one input channel and ten classes there are 61,706
    parameters. (The paper's third layer joins each output to some of the inputs only; here, as in
    all later versions, it is joined to all.)

    Args:
        key: The random key.
        classes: The number of outputs.
        in_channels: The number of channels of an image: 1 for grey values.
        dtype: The dtype of the parameters.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a number not an integer, or the dtype not a
            floating one.
        ValueError: If a number is below 1.

    Example:
        >>> params = lenet_init(jax.random.key(0))
        >>> print([layer.kernel.shape for layer in params])
        [(5, 5, 1, 6), (5, 5, 6, 16), (400, 120), (120, 84), (84, 10)]
        >>> print(sum(p.size for p in jax.tree.leaves(params)))
        61706

    Source:
        LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition
        (1998), §II.B; He, Zhang, Ren and Sun, Delving deep into rectifiers (2015), §2.2.
    """
    _checks.key("lenet_init", key)
    _checks.size("lenet_init", classes=classes, in_channels=in_channels)
    _checks.dtype("lenet_init", "dtype", dtype, jnp.floating, "a floating dtype")
    keys = jax.random.split(key, 5)
    he = {"kernel_init": he_normal(), "dtype": dtype}
    return LenetParams(
        conv1=conv_init(keys[0], (5, 5), in_channels, 6, **he),
        conv2=conv_init(keys[1], (5, 5), 6, 16, **he),
        fc1=dense_init(keys[2], 5 * 5 * 16, 120, **he),
        fc2=dense_init(keys[3], 120, 84, **he),
        fc3=dense_init(keys[4], 84, classes, kernel_init=lecun_normal(), dtype=dtype),
    )


def lenet(
    params: LenetParams,
    x: Float[Array, "*batch height width channels"],
    *,
    activation: Callable[[jax.Array], jax.Array] = relu,
    pool: Callable[..., jax.Array] = max_pool,
) -> Float[Array, "*batch classes"]:
    """LeNet-5, the convolutional network that read cheques.

        h₁ = ↓ φ(K₁ ∗ x + b₁),    h₂ = ↓ φ(K₂ ∗ h₁ + b₂)
        h₃ = φ(h₂ W₃ + b₃),    h₄ = φ(h₃ W₄ + b₄),    y = h₄ W₅ + b₅

    The convolutions keep whole windows only. An image of 28 × 28 is first set in a margin of two
    zeros, as the paper sets MNIST's digits in 32 × 32.

    The paper has φ(z) = 1.7159 tanh(⅔ z) and averages, scaled by trainable coefficients, for the
    pooling; its outputs are distances to fixed codes. Here they are logits, and relu and maxima are
    the defaults.

    Gradient:
        from the last layer to the first, that of each: see ``dense``, ``max_pool`` and ``conv``

    Args:
        params: The parameters, as ``lenet_init`` makes them.
        x: Images of 28 × 28 or 32 × 32 pixels, channels last.
        activation: The function φ.
        pool: The pooling ↓, called as ``pool(images, window=(2, 2))``, such as ``avg_pool``.

    Returns:
        One logit per class.

    Raises:
        TypeError: If params are no ``LenetParams``, an option is not a function, or an array does
            not hold floating-point numbers.
        ValueError: If the images have another size, or a layer does not fit what it is given.

    Example:
        >>> params = lenet_init(jax.random.key(0))
        >>> print(lenet(params, jnp.ones((2, 28, 28, 1))).shape)
        (2, 10)

    Source:
        LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition
        (1998), §II.B and figure 2.
    """
    _checks.instance("lenet", "params", params, LenetParams, "lenet_init(key)")
    _checks.function("lenet", "activation", activation)
    _checks.function("lenet", "pool", pool)
    _checks.floating("lenet", x=x)
    _checks.rank("lenet", "x", x, "height width channels")
    size = x.shape[-3:-1]
    if size not in {(28, 28), (32, 32)}:
        problem = f"x has images of {size[0]} × {size[1]} pixels; wanted 28 × 28 or 32 × 32"
        _checks.fail("lenet", problem)
    margin = (32 - size[0]) // 2
    h = pool(activation(conv(params.conv1, x, padding=margin)), window=(2, 2))
    h = pool(activation(conv(params.conv2, h, padding="VALID")), window=(2, 2))
    h = jnp.reshape(h, (*h.shape[:-3], h.shape[-3] * h.shape[-2] * h.shape[-1]))
    h = activation(dense(params.fc1, h))
    h = activation(dense(params.fc2, h))
    return dense(params.fc3, h)
