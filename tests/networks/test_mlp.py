"""fnmath.networks: the multilayer perceptron."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.activations import relu, tanh
from fnmath.initializers import constant, he_normal, lecun_normal
from fnmath.layers import DenseParams
from fnmath.networks import mlp, mlp_init
from tests.helpers import Mistake, assert_gradient, assert_transforms

KEY = jax.random.key(0)
x = jnp.ones((2, 3))
PARAMS = (DenseParams(jnp.ones((3, 4)), jnp.zeros(4)), DenseParams(jnp.ones((5, 2)), jnp.zeros(2)))

MISTAKES = [
    Mistake(
        mlp_init, (KEY, (3,)), {}, ValueError,
        "mlp_init: sizes is (3,); wanted at least (in_features, outputs)",
    ),
    Mistake(
        mlp_init, (KEY, (3, 0, 2)), {}, ValueError,
        "mlp_init: sizes[1] is 0; wanted an integer of at least 1",
    ),
    Mistake(
        mlp_init, (KEY, (3, "4")), {}, TypeError,
        "mlp_init: sizes[1] is '4' (str); wanted an integer",
    ),
    Mistake(
        mlp_init, (7, (3, 2)), {}, TypeError,
        "mlp_init: key is a int; wanted a random key; did you mean jax.random.key(7)?",
    ),
    Mistake(
        mlp_init, (KEY, 3), {}, TypeError,
        "mlp_init: sizes is a int; wanted a tuple of integers",
    ),
    Mistake(
        mlp_init, (KEY, (3, 2)), {"kernel_init": 1.0}, TypeError,
        "mlp_init: kernel_init is a float; wanted a function",
    ),
    Mistake(
        mlp_init, (KEY, (3, 2)), {"kernel_init": he_normal}, TypeError,
        "he_normal: in_axis is a random key; he_normal makes an initialiser, which takes it; "
        "did you mean he_normal(…)(key, shape)?",
    ),
    Mistake(
        mlp_init, (KEY, (3, 2)), {"bias_init": None}, TypeError,
        "mlp_init: bias_init is a NoneType; wanted a function",
    ),
    Mistake(
        mlp_init, (KEY, (3, 2)), {"dtype": "abc"}, TypeError,
        "mlp_init: dtype is 'abc'; wanted a floating dtype; did you mean jnp.float32?",
    ),
    Mistake(
        mlp, (PARAMS[0], x), {}, TypeError,
        "mlp: params is a DenseParams; wanted a tuple of DenseParams; did you mean (params,)?",
    ),
    Mistake(mlp, ((), x), {}, ValueError, "mlp: params is empty; wanted one DenseParams per layer"),
    Mistake(
        mlp, (PARAMS, x), {"activation": "relu"}, TypeError,
        "mlp: activation is a str; wanted a function",
    ),
    Mistake(
        mlp, (PARAMS, x), {}, ValueError,
        "dense: the number of input features must agree: x has 4 and kernel has 5",
    ),
]  # fmt: skip


@pytest.mark.usefixtures("x64")
class TestMlp:
    def test_reference(self):
        params = mlp_init(KEY, (4, 6, 5, 3), dtype=jnp.float64)
        x = jax.random.normal(KEY, (7, 4))
        h = np.asarray(x)
        for kernel, bias in params[:-1]:
            h = np.maximum(h @ np.asarray(kernel) + np.asarray(bias), 0)
        expected = h @ np.asarray(params[-1].kernel) + np.asarray(params[-1].bias)
        np.testing.assert_allclose(mlp(params, x), expected, rtol=1e-13)

    @pytest.mark.slow
    def test_gradient(self):
        """The recurrence of the docstring, from the last layer to the first."""
        params = mlp_init(KEY, (4, 6, 5, 3), dtype=jnp.float64)
        x = jax.random.normal(KEY, (7, 4))

        def backward(params):
            inputs, h = [], x
            for kernel, bias in params:
                inputs.append(h)
                h = jnp.tanh(h @ kernel + bias)
            z_bar, bars = jnp.ones((7, 3)), []
            for h, (kernel, _) in zip(inputs[::-1], params[::-1], strict=True):
                bars.append(DenseParams(h.T @ z_bar, z_bar.sum(0)))
                z_bar = (1 - h**2) * (z_bar @ kernel.T)  # tanh′(z) in terms of h = tanh z
            return tuple(bars[::-1])

        assert_gradient(
            lambda params: mlp(params, x, activation=tanh), backward, params, rtol=1e-11
        )

    def test_law_relu_network_is_positively_homogeneous(self):
        """Without biases, relu(λz) = λ relu(z) for λ > 0 makes f(λx) = λ f(x)."""
        params, x = mlp_init(KEY, (4, 6, 3), dtype=jnp.float64), jax.random.normal(KEY, (7, 4))
        np.testing.assert_allclose(mlp(params, 3 * x), 3 * mlp(params, x), rtol=1e-13)


def test_transforms():
    params = mlp_init(KEY, (4, 6, 3))
    assert_transforms(mlp, params, jax.random.normal(KEY, (7, 4)))


def test_he_keeps_the_variance_of_a_deep_relu_stack():
    params = mlp_init(KEY, (512,) * 21)
    x = jax.random.normal(jax.random.key(1), (256, 512))
    assert 0.5 < float((mlp(params, x, activation=relu) ** 2).mean()) < 2
    lost = mlp_init(KEY, (512,) * 21, kernel_init=lecun_normal())
    assert float((mlp(lost, x, activation=relu) ** 2).mean()) < 1e-4  # halved 19 times: 2e-6


def test_one_layer_is_dense():
    params = mlp_init(KEY, (3, 2))
    np.testing.assert_array_equal(mlp(params, x), x @ params[0].kernel + params[0].bias)


def test_initialisers_are_used():
    params = mlp_init(KEY, (3, 4, 2), kernel_init=constant(2.0), bias_init=constant(0.5))
    assert all((kernel == 2).all() and (bias == 0.5).all() for kernel, bias in params)


def test_edges():
    params = mlp_init(KEY, (3, 4, 2), dtype=jnp.bfloat16)
    assert mlp(params, jnp.ones((0, 3), jnp.bfloat16)).shape == (0, 2)
    assert mlp(params, jnp.ones((2, 3), jnp.bfloat16)).dtype == jnp.bfloat16
