"""The variational autoencoder: a code that is a distribution, and a decoder that learns from draws.

Notation: x is an input and z its latent vector, of d entries, with the prior 𝒩(0, I). The encoder
gives the mean μ and the log-variance λ of the approximate posterior q(z | x) = 𝒩(μ, exp λ), entry
by entry; the decoder gives the parameters of p(x | z); ε ~ 𝒩(0, I) is the noise.

The evidence lower bound of log p(x), of which this network gives an estimate from one draw,

    E_q log p(x | z) − KL(q(z | x) ‖ 𝒩(0, I))

is minus the sum of two losses: that of the reconstruction, and ``kl_standard_normal``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.activations import relu
from fnmath.layers import DenseParams, dense, dense_init
from fnmath.networks._arguments import layers
from fnmath.networks._arguments import sizes as checked_sizes
from fnmath.networks.mlp import mlp, mlp_init

Activation = Callable[[jax.Array], jax.Array]


class VaeParams(NamedTuple):
    """The parameters: hidden layers of the encoder, its two heads, and the decoder."""

    encoder: tuple[DenseParams, ...]
    mean: DenseParams
    log_variance: DenseParams
    decoder: tuple[DenseParams, ...]


class VaeOutput(NamedTuple):
    """What a variational autoencoder gives: the reconstruction, and the posterior it drew from."""

    reconstruction: Float[Array, "*batch features"]
    mean: Float[Array, "*batch latents"]
    log_variance: Float[Array, "*batch latents"]


def vae_init(
    key: PRNGKeyArray, sizes: Sequence[int], *, dtype: jax.typing.DTypeLike = jnp.float32
) -> VaeParams:
    """Random parameters of a variational autoencoder, its decoder the encoder's mirror image.

        encoder n₀ → n₁ → … → (μ, λ) of n_L each,    decoder n_L → … → n₁ → n₀

    each layer drawn as in ``mlp_init``.

    Args:
        key: The random key.
        sizes: n₀, n₁, …, n_L: the features of the input, of each hidden layer, and the latents d.
        dtype: The dtype of the parameters.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, or the dtype not a
            floating one.
        ValueError: If there are fewer than two sizes, or one is below 1.

    Example:
        >>> params = vae_init(jax.random.key(0), (784, 400, 20))
        >>> print(params.encoder[0].kernel.shape, params.mean.kernel.shape)
        (784, 400) (400, 20)

    Source:
        Kingma and Welling, Auto-encoding variational Bayes (2014), §3 and appendix C.
    """
    _checks.key("vae_init", key)
    sizes = checked_sizes("vae_init", "sizes", sizes, minimum=2)
    _checks.dtype("vae_init", "dtype", dtype, jnp.floating, "a floating dtype")
    encoder_key, head_key, decoder_key = jax.random.split(key, 3)
    *encoder, mean = mlp_init(encoder_key, sizes, dtype=dtype)
    log_variance = dense_init(head_key, sizes[-2], sizes[-1], dtype=dtype)
    decoder = mlp_init(decoder_key, sizes[::-1], dtype=dtype)
    return VaeParams(tuple(encoder), mean, log_variance, decoder)


def vae(
    key: PRNGKeyArray,
    params: VaeParams,
    x: Float[Array, "*batch features"],
    *,
    activation: Activation = relu,
) -> VaeOutput:
    """Variational autoencoder: the reconstruction from a draw of the approximate posterior.

        (μ, λ) = encoder(x),    z = μ + exp(½ λ) ⊙ ε,    ε ~ 𝒩(0, I),    y = decoder(z)

    Because ε does not depend on the parameters, the gradient of a loss of y is an unbiased estimate
    of the gradient of its mean over z.

    Gradient:
        z̄ = (∂ decoder/∂z)ᵀ ȳ,    μ̄ ← z̄,    λ̄ ← ½ exp(½ λ) ⊙ ε ⊙ z̄

    to which is added what flows into μ and λ from their divergence from the prior.

    Args:
        key: The random key, which draws ε.
        params: The parameters, as ``vae_init`` makes them.
        x: The inputs, features last.
        activation: The function after every layer but the last of each half.

    Returns:
        The reconstruction (logits or values, as the loss takes them), and μ and λ.

    Raises:
        TypeError: If the key is not a random key, params are no ``VaeParams``, the activation is
            not a function, or an array does not hold floating-point numbers.
        ValueError: If the decoder has no layer, or a layer does not fit what it is given.

    Example:
        >>> from fnmath.losses import kl_standard_normal, sigmoid_binary_cross_entropy
        >>> key, x = jax.random.key(0), jnp.ones((5, 6))
        >>> y, mean, log_variance = vae(key, vae_init(key, (6, 4, 2)), x)
        >>> reconstruction = sigmoid_binary_cross_entropy(y, x).sum(axis=-1)
        >>> losses = reconstruction + kl_standard_normal(mean, log_variance).sum(axis=-1)
        >>> print(losses.shape)  # minus the evidence lower bound, one estimate per example
        (5,)

    Source:
        Kingma and Welling, Auto-encoding variational Bayes (2014), §2.3–2.4 and §3.
    """
    _checks.key("vae", key)
    mean, log_variance = _posterior("vae", params, x, activation)
    z = _draw(key, mean, log_variance)
    return VaeOutput(_decoded("vae", params, z, activation), mean, log_variance)


def vae_encode(
    params: VaeParams, x: Float[Array, "*batch features"], *, activation: Activation = relu
) -> tuple[Float[Array, "*batch latents"], Float[Array, "*batch latents"]]:
    """Approximate posterior of the latent vectors: its mean and its log-variance.

        h = φ(… φ(x W₁ + b₁) …),    μ = h W_μ + b_μ,    λ = h W_λ + b_λ

    Gradient:
        h̄ = μ̄ W_μᵀ + λ̄ W_λᵀ,    and from there as in ``mlp``

    Args:
        params: The parameters, as ``vae_init`` makes them.
        x: The inputs, features last.
        activation: The function φ after every hidden layer.

    Returns:
        The means μ and the logarithms λ of the variances, in nats.

    Raises:
        TypeError: If params are no ``VaeParams``, the activation is not a function, or an array
            does not hold floating-point numbers.
        ValueError: If a layer does not fit what it is given.

    Example:
        >>> params = vae_init(jax.random.key(0), (6, 4, 2))
        >>> mean, log_variance = vae_encode(params, jnp.ones((5, 6)))
        >>> print(mean.shape, log_variance.shape)
        (5, 2) (5, 2)

    Source:
        Kingma and Welling, Auto-encoding variational Bayes (2014), appendix C.2.
    """
    return _posterior("vae_encode", params, x, activation)


def vae_decode(
    params: VaeParams, z: Float[Array, "*batch latents"], *, activation: Activation = relu
) -> Float[Array, "*batch features"]:
    """What latent vectors stand for: the parameters of p(x | z).

        y = decoder(z),    and new examples from  z ~ 𝒩(0, I)

    Gradient:
        that of ``mlp``

    Args:
        params: The parameters, as ``vae_init`` makes them.
        z: Latent vectors.
        activation: The function after every layer but the last.

    Returns:
        Logits or values, as the loss of the reconstruction takes them.

    Raises:
        TypeError: If params are no ``VaeParams``, the activation is not a function, or an array
            does not hold floating-point numbers.
        ValueError: If the decoder has no layer, or a layer does not fit what it is given.

    Example:
        >>> params = vae_init(jax.random.key(0), (6, 4, 2))
        >>> print(vae_decode(params, jax.random.normal(jax.random.key(1), (3, 2))).shape)
        (3, 6)

    Source:
        Kingma and Welling, Auto-encoding variational Bayes (2014), appendix C.
    """
    _check("vae_decode", params, activation)
    _checks.floating("vae_decode", z=z)
    return _decoded("vae_decode", params, z, activation)


def _posterior(name: str, params: Any, x: Any, φ: Any) -> tuple[Array, Array]:
    """The mean and the log-variance of q(z | x)."""
    _check(name, params, φ)
    _checks.floating(name, x=x)
    h = jnp.asarray(x)
    for layer in params.encoder:
        h = φ(dense(layer, h))
    mean, log_variance = dense(params.mean, h), dense(params.log_variance, h)
    _checks.same_shape(name, mean=mean, log_variance=log_variance)
    return mean, log_variance


def _draw(key: PRNGKeyArray, mean: Array, log_variance: Array) -> Array:
    """Μ + exp(½ λ) ε: a draw that is a differentiable function of μ and λ."""
    return mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape, mean.dtype)


def _decoded(name: str, params: VaeParams, z: Any, φ: Activation) -> Array:
    if not params.decoder:
        _checks.fail(name, "params.decoder is empty; wanted at least one layer")
    return mlp(params.decoder, z, activation=φ)


def _check(name: str, params: Any, activation: Any) -> None:
    """Raise unless the parameters are those of a variational autoencoder."""
    _checks.instance(name, "params", params, VaeParams, "vae_init(key, …)")
    _checks.function(name, "activation", activation)
    layers(name, "params.encoder", params.encoder, DenseParams)
    layers(name, "params.decoder", params.decoder, DenseParams)
