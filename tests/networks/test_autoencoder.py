"""fnmath.networks: the autoencoder."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.activations import tanh
from fnmath.layers import DenseParams
from fnmath.networks import AutoencoderParams, autoencoder, autoencoder_init, mlp
from tests.helpers import Mistake, assert_transforms
from tests.networks.torch_forms import assert_equals_torch, assert_second_order, linear, randomized

KEY = jax.random.key(0)
PARAMS = autoencoder_init(KEY, (6, 4, 2))
x = jnp.ones((5, 6))

MISTAKES = [
    Mistake(
        autoencoder_init, (KEY, (6,)), {}, ValueError,
        "autoencoder_init: sizes is (6,); wanted at least 2 sizes",
    ),
    Mistake(
        autoencoder_init, (KEY, (6, 0)), {}, ValueError,
        "autoencoder_init: sizes[1] is 0; wanted an integer of at least 1",
    ),
    Mistake(
        autoencoder_init, (KEY, 6), {}, TypeError,
        "autoencoder_init: sizes is a int; wanted a tuple of integers",
    ),
    Mistake(
        autoencoder_init, (7, (6, 2)), {}, TypeError,
        "autoencoder_init: key is a int; wanted a random key; did you mean jax.random.key(7)?",
    ),
    Mistake(
        autoencoder_init, (KEY, (6, 2)), {"dtype": jnp.int32}, TypeError,
        "autoencoder_init: dtype is int32; wanted a floating dtype; did you mean jnp.float32?",
    ),
    Mistake(
        autoencoder, (PARAMS.encoder, x), {}, TypeError,
        "autoencoder: params is a tuple; wanted a AutoencoderParams; "
        "did you mean autoencoder_init(key, …)?",
    ),
    Mistake(
        autoencoder, (PARAMS._replace(decoder=PARAMS.decoder[0]), x), {}, TypeError,
        "autoencoder: params.decoder is a DenseParams; wanted a tuple of DenseParams; "
        "did you mean (params.decoder,)?",
    ),
    Mistake(
        autoencoder, (PARAMS._replace(encoder=()), x), {}, ValueError,
        "autoencoder: params.encoder is empty; wanted at least one layer",
    ),
    Mistake(
        autoencoder, (PARAMS, x), {"activation": "relu"}, TypeError,
        "autoencoder: activation is a str; wanted a function",
    ),
    Mistake(
        autoencoder, (PARAMS, x[:, :5]), {}, ValueError,
        "dense: the number of input features must agree: x has 5 and kernel has 6",
    ),
]  # fmt: skip


@pytest.mark.usefixtures("x64")
class TestAutoencoder:
    def test_equals_torch(self, torch):
        params = randomized(autoencoder_init(KEY, (6, 5, 3, 2), dtype=jnp.float64))
        x = jax.random.normal(KEY, (7, 6), jnp.float64)

        def theirs(params, x):
            for half in params:
                for i, layer in enumerate(half):
                    x = linear(layer, x)
                    x = torch.relu(x) if i < len(half) - 1 else x
            return x

        assert_equals_torch(autoencoder, theirs, params, x)

    def test_the_best_linear_code_is_that_of_the_principal_components(self):
        """There the squared error is least: its gradient is 0, and no step makes it smaller."""
        scales = jnp.array([3.0, 2.0, 1.0, 0.5, 0.1])
        x = scales * jax.random.normal(KEY, (200, 5), jnp.float64)
        mean = x.mean(axis=0)
        components = jnp.linalg.svd(x - mean, full_matrices=False)[2][:2]
        encoder = DenseParams(components.T, -mean @ components.T)
        best = AutoencoderParams((encoder,), (DenseParams(components, mean),))

        @jax.jit
        def error(params):
            return jnp.sum((autoencoder(params, x) - x) ** 2)

        singular = jnp.linalg.svd(x - mean, compute_uv=False)
        np.testing.assert_allclose(error(best), jnp.sum(singular[2:] ** 2), rtol=1e-10)
        for bar in jax.tree.leaves(jax.grad(error)(best)):
            np.testing.assert_allclose(bar, 0, atol=1e-9)
        for seed in range(10):
            step = randomized(jax.tree.map(jnp.zeros_like, best), 10.0 ** -(seed % 5))
            assert error(jax.tree.map(jnp.add, best, step)) > error(best)

    def test_halves(self):
        x = jax.random.normal(KEY, (5, 6))
        code = mlp(PARAMS.encoder, x)
        assert code.shape == (5, 2)
        np.testing.assert_array_equal(autoencoder(PARAMS, x), mlp(PARAMS.decoder, code))

    def test_second_order(self):
        params = autoencoder_init(KEY, (4, 3, 2), dtype=jnp.float64)
        x = jax.random.normal(KEY, (5, 4), jnp.float64)
        assert_second_order(
            lambda p: jnp.sum((autoencoder(p, x, activation=tanh) - x) ** 2), params
        )


def test_transforms():
    assert_transforms(autoencoder, PARAMS, jax.random.normal(KEY, (5, 6)))


def test_edges():
    assert autoencoder(PARAMS, x[:0]).shape == (0, 6)
    assert autoencoder(PARAMS, x[0]).shape == (6,)
    half = autoencoder_init(KEY, (6, 2), dtype=jnp.bfloat16)
    assert autoencoder(half, x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
