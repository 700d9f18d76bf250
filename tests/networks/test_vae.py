"""fnmath.networks: the variational autoencoder."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.activations import tanh
from fnmath.layers import DenseParams
from fnmath.losses import kl_standard_normal, sigmoid_binary_cross_entropy
from fnmath.networks import vae, vae_decode, vae_encode, vae_init
from tests.helpers import Mistake, assert_transforms
from tests.networks.torch_forms import assert_equals_torch, assert_second_order, linear, randomized

KEY = jax.random.key(0)
PARAMS = vae_init(KEY, (6, 4, 2))
x, z = jnp.ones((5, 6)), jnp.ones((5, 2))

MISTAKES = [
    Mistake(
        vae_init, (KEY, (6,)), {}, ValueError, "vae_init: sizes is (6,); wanted at least 2 sizes"
    ),
    Mistake(
        vae_init, (KEY, (6, 2.5)), {}, TypeError,
        "vae_init: sizes[1] is 2.5 (float); wanted an integer",
    ),
    Mistake(
        vae_init, ("0", (6, 2)), {}, TypeError, "vae_init: key is a str; wanted a random key"
    ),
    Mistake(
        vae, (0, PARAMS, x), {}, TypeError,
        "vae: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        vae, (KEY, PARAMS.encoder, x), {}, TypeError,
        "vae: params is a tuple; wanted a VaeParams; did you mean vae_init(key, …)?",
    ),
    Mistake(
        vae, (KEY, PARAMS._replace(decoder=()), x), {}, ValueError,
        "vae: params.decoder is empty; wanted at least one layer",
    ),
    Mistake(
        vae, (KEY, PARAMS, x), {"activation": "relu"}, TypeError,
        "vae: activation is a str; wanted a function",
    ),
    Mistake(
        vae, (KEY, PARAMS, x[:, :5]), {}, ValueError,
        "dense: the number of input features must agree: x has 5 and kernel has 6",
    ),
    Mistake(
        vae_encode, (PARAMS._replace(encoder=None), x), {}, TypeError,
        "vae_encode: params.encoder is a NoneType; wanted a tuple of DenseParams",
    ),
    Mistake(
        vae_encode,
        (PARAMS._replace(log_variance=DenseParams(jnp.ones((4, 3)), jnp.ones(3))), x),
        {}, ValueError, "vae_encode: mean (5, 2) and log_variance (5, 3) must have one shape",
    ),
    Mistake(
        vae_decode, (PARAMS, z.astype(int)), {}, TypeError,
        "vae_decode: z has dtype int32; wanted a floating dtype; "
        "did you mean z.astype(jnp.float32)?",
    ),
    Mistake(
        vae_decode, (PARAMS._replace(decoder=()), z), {}, ValueError,
        "vae_decode: params.decoder is empty; wanted at least one layer",
    ),
]  # fmt: skip


def negative_elbo(output, x):
    reconstruction = sigmoid_binary_cross_entropy(output.reconstruction, x).sum(axis=-1)
    return reconstruction + kl_standard_normal(output.mean, output.log_variance).sum(axis=-1)


@pytest.mark.usefixtures("x64")
class TestVae:
    def test_equals_torch(self, torch):
        """The loss of every example, with the same noise."""
        params = randomized(vae_init(KEY, (6, 5, 4, 2), dtype=jnp.float64))
        x = jax.random.uniform(KEY, (7, 6), jnp.float64)
        noise = torch.tensor(np.asarray(jax.random.normal(KEY, (7, 2), jnp.float64)))
        F = torch.nn.functional

        def theirs(params, x):
            h = x
            for layer in params.encoder:
                h = torch.relu(linear(layer, h))
            mean, log_variance = (linear(p, h) for p in (params.mean, params.log_variance))
            h = mean + torch.exp(0.5 * log_variance) * noise
            for i, layer in enumerate(params.decoder):
                h = linear(layer, h)
                h = torch.relu(h) if i < len(params.decoder) - 1 else h
            bce = F.binary_cross_entropy_with_logits(h, x, reduction="none").sum(-1)
            kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(-1)
            return bce + kl

        assert_equals_torch(lambda p, x: negative_elbo(vae(KEY, p, x), x), theirs, params, x)

    def test_elbo_gradient_is_unbiased(self):
        """The mean over 20,000 draws of value and gradient, against a trapezoidal rule.

        The rule's error falls exponentially with its step. That of Gauss and Hermite's 60 nodes is
        larger than what the draws leave open, since tanh has its poles close by.

        Without the way through the draw, the gradient of the heads would be outside of the bound.
        """
        params = randomized(vae_init(KEY, (3, 4, 1), dtype=jnp.float64), 0.5)
        x = jnp.array([0.2, 0.9, 0.5])
        nodes = np.linspace(-12, 12, 2401)
        weights = np.exp(-(nodes**2) / 2)
        weights = weights / weights.sum()

        def exact(params):
            mean, log_variance = vae_encode(params, x, activation=tanh)
            z = mean + jnp.exp(0.5 * log_variance) * nodes[:, None]
            logits = vae_decode(params, z, activation=tanh)
            losses = sigmoid_binary_cross_entropy(logits, jnp.broadcast_to(x, logits.shape))
            kl = kl_standard_normal(mean, log_variance).sum()
            return weights @ losses.sum(axis=-1) + kl

        def drawn(params, key):
            return negative_elbo(vae(key, params, x, activation=tanh), x)

        keys = jax.random.split(KEY, 20_000)
        estimate = jax.jit(jax.vmap(jax.value_and_grad(drawn), in_axes=(None, 0)))
        estimates = estimate(params, keys)
        expected = jax.value_and_grad(exact)(params)
        for draws, truth in zip(*map(jax.tree.leaves, (estimates, expected)), strict=True):
            error = draws.std(axis=0) / np.sqrt(len(keys))
            assert (np.abs(draws.mean(axis=0) - truth) <= 4.5 * error + 1e-12).all()
            assert (error <= 0.02 * (1 + np.abs(truth))).all()

        def cut(params, key):
            heads = jax.lax.stop_gradient((params.mean, params.log_variance))
            fixed = params._replace(mean=heads[0], log_variance=heads[1])
            y = vae(key, fixed, x, activation=tanh).reconstruction
            mean, log_variance = vae_encode(params, x, activation=tanh)
            kl = kl_standard_normal(mean, log_variance).sum()
            return sigmoid_binary_cross_entropy(y, x).sum() + kl

        wrong = jax.jit(jax.vmap(jax.grad(cut), in_axes=(None, 0)))(params, keys[:2000])
        for head in ("mean", "log_variance"):
            draws, truth = getattr(wrong, head).bias, getattr(expected[1], head).bias
            error = getattr(estimates[1], head).bias.std() / np.sqrt(len(keys))
            assert np.abs(draws.mean() - truth) > 4.5 * error

    def test_draws_have_the_mean_and_the_variance_of_the_posterior(self):
        """Of a decoder that hands on its latent vector."""
        params = vae_init(KEY, (2, 2), dtype=jnp.float64)
        params = params._replace(decoder=(DenseParams(jnp.eye(2), jnp.zeros(2)),))
        x = jnp.array([1.0, -2.0])
        draw = jax.jit(jax.vmap(lambda key: vae(key, params, x)))
        z, mean, log_variance = draw(jax.random.split(KEY, 100_000))
        std = np.exp(0.5 * log_variance[0])
        np.testing.assert_array_less(np.abs(z.mean(axis=0) - mean[0]), 4.5 * std / 316)
        np.testing.assert_allclose(z.var(axis=0), std**2, rtol=4.5 * np.sqrt(2) / 316)
        assert abs(np.corrcoef(z.T)[0, 1]) < 4.5 / 316

    def test_a_posterior_without_width_is_an_autoencoder(self):
        narrow = PARAMS.log_variance._replace(bias=jnp.full(2, -jnp.inf, jnp.float32))
        params = PARAMS._replace(log_variance=narrow)
        x = jax.random.normal(KEY, (5, 6), jnp.float32)
        mean, _ = vae_encode(params, x)
        y = vae(KEY, params, x).reconstruction
        np.testing.assert_array_equal(y, vae_decode(params, mean))

    def test_second_order(self):
        params = vae_init(KEY, (4, 3, 2), dtype=jnp.float64)
        x = jax.random.uniform(KEY, (5, 4), jnp.float64)
        assert_second_order(
            lambda p: negative_elbo(vae(KEY, p, x, activation=tanh), x).sum(), params
        )


def test_transforms():
    x = jax.random.normal(KEY, (5, 6))
    assert_transforms(lambda p, x: vae(KEY, p, x), PARAMS, x)
    assert_transforms(vae_encode, PARAMS, x)
    assert_transforms(vae_decode, PARAMS, z)


def test_edges():
    assert vae(KEY, PARAMS, x[:0]).reconstruction.shape == (0, 6)
    assert vae(KEY, PARAMS, x[0]).mean.shape == (2,)
    half = vae_init(KEY, (6, 3, 2), dtype=jnp.bfloat16)
    assert {a.dtype for a in vae(KEY, half, x.astype(jnp.bfloat16))} == {jnp.dtype("bfloat16")}
    other = vae(jax.random.key(1), PARAMS, x)
    assert (other.reconstruction != vae(KEY, PARAMS, x).reconstruction).any()
