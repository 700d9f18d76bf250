"""The autoencoder: a network that describes its input by few numbers, and makes it anew of them.

Notation: f is the encoder and g the decoder, both multilayer perceptrons; z = f(x) is the code, of
fewer entries than x has, and g(z) the reconstruction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.activations import relu
from fnmath.layers import DenseParams
from fnmath.networks._arguments import layers
from fnmath.networks._arguments import sizes as checked_sizes
from fnmath.networks.mlp import mlp, mlp_init


class AutoencoderParams(NamedTuple):
    """The parameters of an autoencoder: those of two multilayer perceptrons."""

    encoder: tuple[DenseParams, ...]
    decoder: tuple[DenseParams, ...]


def autoencoder_init(
    key: PRNGKeyArray, sizes: Sequence[int], *, dtype: jax.typing.DTypeLike = jnp.float32
) -> AutoencoderParams:
    """Random parameters of an autoencoder, its decoder the mirror image of its encoder.

        encoder n₀ → n₁ → … → n_L,    decoder n_L → … → n₁ → n₀,    each drawn by ``mlp_init``

    Args:
        key: The random key.
        sizes: n₀, n₁, …, n_L: the features of the input, of each hidden layer, and of the code.
        dtype: The dtype of the parameters.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, or the dtype not a
            floating one.
        ValueError: If there are fewer than two sizes, or one is below 1.

    Example:
        >>> params = autoencoder_init(jax.random.key(0), (784, 128, 32))
        >>> print([layer.kernel.shape for layer in params.encoder + params.decoder])
        [(784, 128), (128, 32), (32, 128), (128, 784)]

    Source:
        Hinton and Salakhutdinov, Reducing the dimensionality of data with neural networks (2006).
    """
    _checks.key("autoencoder_init", key)
    sizes = checked_sizes("autoencoder_init", "sizes", sizes, minimum=2)
    _checks.dtype("autoencoder_init", "dtype", dtype, jnp.floating, "a floating dtype")
    encoder_key, decoder_key = jax.random.split(key)
    encoder = mlp_init(encoder_key, sizes, dtype=dtype)
    return AutoencoderParams(encoder, mlp_init(decoder_key, sizes[::-1], dtype=dtype))


def autoencoder(
    params: AutoencoderParams,
    x: Float[Array, "*batch features"],
    *,
    activation: Callable[[jax.Array], jax.Array] = relu,
) -> Float[Array, "*batch features"]:
    """Autoencoder: the reconstruction of the input from its code.

        y = g(f(x))

    The code is ``mlp(params.encoder, x)``, and what a code stands for ``mlp(params.decoder, z)``.
    Both end without an activation: the code may be any point, and y are logits or values, as the
    loss takes them. With one linear layer each and the squared error, the best code spans what the
    first principal components span.

    Gradient:
        z̄ = (∂g/∂z)ᵀ ȳ,    x̄ = (∂f/∂x)ᵀ z̄,    and the parameters as in ``mlp``

    Args:
        params: The parameters, as ``autoencoder_init`` makes them.
        x: The inputs, features last.
        activation: The function after every layer but the last of each half.

    Returns:
        The reconstructions, in the shape of x.

    Raises:
        TypeError: If params are no ``AutoencoderParams``, the activation is not a function, or an
            array does not hold floating-point numbers.
        ValueError: If a half has no layer, or a layer does not fit what it is given.

    Example:
        >>> params = autoencoder_init(jax.random.key(0), (6, 4, 2))
        >>> print(autoencoder(params, jnp.ones((5, 6))).shape)
        (5, 6)

    Source:
        Hinton and Salakhutdinov, Reducing the dimensionality of data with neural networks (2006);
        Baldi and Hornik, Neural networks and principal component analysis (1989), for the linear
        one.
    """
    _checks.instance("autoencoder", "params", params, AutoencoderParams, "autoencoder_init(key, …)")
    _checks.function("autoencoder", "activation", activation)
    for half in AutoencoderParams._fields:
        layers("autoencoder", f"params.{half}", getattr(params, half), DenseParams)
        if not getattr(params, half):
            _checks.fail("autoencoder", f"params.{half} is empty; wanted at least one layer")
    code = mlp(params.encoder, x, activation=activation)
    return mlp(params.decoder, code, activation=activation)
