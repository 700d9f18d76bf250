"""fnmath.initializers: the moments of each, and that they keep the variance of a signal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath import initializers
from fnmath.activations import relu
from fnmath.initializers import (
    constant,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    ones,
    uniform,
    variance_scaling,
    zeros,
)
from tests.helpers import Mistake

key = jax.random.key(0)
MISTAKES = [
    Mistake(
        zeros,
        (0, (3,)),
        {},
        TypeError,
        "zeros: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        ones,
        (key, 3),
        {},
        TypeError,
        "ones: shape is 3; wanted a tuple of integers; did you mean (3,)?",
    ),
    Mistake(
        zeros,
        (key, (2, -1)),
        {},
        ValueError,
        "zeros: shape[1] is -1; wanted an integer of at least 0",
    ),
    Mistake(
        he_normal(),
        (key, (2, 2.0)),
        {},
        TypeError,
        "he_normal: shape[1] is 2.0 (float); wanted an integer",
    ),
    Mistake(
        zeros,
        (key, (2,), jnp.int32),
        {},
        TypeError,
        "zeros: dtype is int32; wanted a floating dtype; did you mean jnp.float32?",
    ),
    Mistake(constant, ("0",), {}, TypeError, "constant: value is '0' (str); wanted a number"),
    Mistake(normal, (-1.0,), {}, ValueError, "normal: stddev is -1.0; wanted a number in (0, inf)"),
    Mistake(uniform, (0,), {}, ValueError, "uniform: scale is 0; wanted a number in (0, inf)"),
    Mistake(
        variance_scaling,
        (-2.0, "fan_in", "normal"),
        {},
        ValueError,
        "variance_scaling: scale is -2.0; wanted a number in (0, inf)",
    ),
    Mistake(
        variance_scaling,
        (2.0, "in", "normal"),
        {},
        ValueError,
        "variance_scaling: mode is 'in'; wanted one of 'fan_in', 'fan_out', 'fan_avg'",
    ),
    Mistake(
        variance_scaling,
        (2.0, "fan_in", "gauss"),
        {},
        ValueError,
        "variance_scaling: distribution is 'gauss'; "
        "wanted one of 'truncated_normal', 'normal', 'uniform'",
    ),
    Mistake(
        glorot_uniform(),
        (key, (128,)),
        {},
        ValueError,
        "glorot_uniform: shape is (128,); wanted at least 2 axes, (*window in out); "
        "did you mean zeros, for a bias?",
    ),
    Mistake(
        lecun_normal(),
        (key, (0, 8)),
        {},
        ValueError,
        "lecun_normal: shape is (0, 8); wanted no axis of size 0, whose fan has no inverse",
    ),
]

KERNELS = {  # s and n of Var W = s/n, by the fan-in and the fan-out
    lecun_normal: lambda fan_in, fan_out: 1 / fan_in,
    lecun_uniform: lambda fan_in, fan_out: 1 / fan_in,
    glorot_normal: lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    glorot_uniform: lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    he_normal: lambda fan_in, fan_out: 2 / fan_in,
    he_uniform: lambda fan_in, fan_out: 2 / fan_in,
}
OF_KERNELS = pytest.mark.parametrize("factory", KERNELS, ids=lambda f: f.__name__)


class TestKernels:
    shape = (3, 3, 40, 90)  # fan-in 360, fan-out 810; 32,400 weights

    @OF_KERNELS
    def test_moments(self, factory):
        """Mean and variance within five standard errors of what the docstring says."""
        kernel = factory()(key, self.shape)
        variance = KERNELS[factory](360, 810)
        error = 5 / np.sqrt(kernel.size)
        assert abs(kernel.mean()) < error * np.sqrt(variance)
        # Var(W²) ≤ 2 Var(W)² for each of the three distributions.
        assert abs(kernel.var() / variance - 1) < error * np.sqrt(2)

    @OF_KERNELS
    def test_range(self, factory):
        widest = jnp.abs(factory()(key, self.shape)).max() / np.sqrt(KERNELS[factory](360, 810))
        bound = np.sqrt(3) if factory.__name__.endswith("uniform") else 2 / 0.87962566
        assert 0.99 * bound < widest < bound * (1 + 1e-6)

    @OF_KERNELS
    def test_reference_of_the_same_name(self, factory):
        """The same numbers as jax's from the same key, but for the order of roundings."""
        for dtype in (jnp.float32, jnp.bfloat16):
            ours = factory()(key, (3, 4, 5), dtype)
            theirs = getattr(jax.nn.initializers, factory.__name__)()(key, (3, 4, 5), dtype)
            assert ours.dtype == dtype
            eps = float(jnp.finfo(dtype).eps)
            np.testing.assert_allclose(np.float32(ours), np.float32(theirs), rtol=4 * eps)

    def test_variance_scaling_of_every_kind(self):
        for mode, n in {"fan_in": 360, "fan_out": 810, "fan_avg": 585}.items():
            for distribution in ("truncated_normal", "normal", "uniform"):
                kernel = variance_scaling(3.0, mode, distribution)(key, self.shape)
                np.testing.assert_allclose(kernel.var() * n, 3, rtol=0.04)

    def test_transforms(self):
        init, keys = he_normal(), jax.random.split(key, 2)
        many = jax.jit(jax.vmap(lambda k: init(k, (4, 5))))(keys)
        np.testing.assert_allclose(many[1], init(keys[1], (4, 5)), rtol=1e-6)
        assert (many[0] != many[1]).any()

    def test_older_keys_and_lists_will_do(self):
        kernel = he_normal()(jax.random.PRNGKey(0), [4, 5])
        np.testing.assert_array_equal(kernel, he_normal()(key, (4, 5)))


def through(init, gate, layers, width=512):
    """E x² of a batch that has passed so many layers, started at 1."""
    x = jax.random.normal(key, (256, width))
    keys = jax.random.split(jax.random.key(1), layers)
    x, _ = jax.lax.scan(lambda x, k: (gate(x @ init(k, (width, width))), None), x, keys)
    return jnp.square(x).mean()


class TestLaws:
    """The signal neither grows nor vanishes under the initialiser made for the gate."""

    def test_he_keeps_the_signal_through_relus(self):
        for factory in (he_normal, he_uniform):
            # E relu(y)² = ½ Var y: after ten layers half of 2 · 1, but for the sampling error.
            assert 0.7 < through(factory(), relu, 10) < 1.4

    def test_lecun_keeps_it_through_linear_layers_only(self):
        assert 0.7 < through(lecun_normal(), lambda y: y, 10) < 1.4
        np.testing.assert_allclose(through(lecun_normal(), relu, 10), 2.0**-10, rtol=0.4)

    def test_glorot_shares_between_signal_and_gradient(self):
        """Forward the variance changes by 2m/(m + n), backward by 2n/(m + n)."""
        m, n = 900, 300
        kernel = glorot_uniform()(key, (m, n))
        key_x, key_y = jax.random.split(jax.random.key(1))
        x, cotangent = jax.random.normal(key_x, (400, m)), jax.random.normal(key_y, (400, n))
        y, pull_back = jax.vjp(lambda x: x @ kernel, x)
        np.testing.assert_allclose(y.var(), 2 * m / (m + n), rtol=0.05)
        np.testing.assert_allclose(pull_back(cotangent)[0].var(), 2 * n / (m + n), rtol=0.05)


class TestSimple:
    def test_constants(self):
        np.testing.assert_array_equal(zeros(key, (2, 3)), np.zeros((2, 3)))
        np.testing.assert_array_equal(ones(key, (2, 3)), np.ones((2, 3)))
        np.testing.assert_array_equal(constant(0.5)(key, (2, 3)), np.full((2, 3), 0.5))

    def test_moments(self):
        draw = normal(0.02)(key, (200, 200))
        assert abs(draw.mean()) < 5 * 0.02 / 200
        np.testing.assert_allclose(draw.std(), 0.02, rtol=5 / 200)
        draw = uniform(0.2)(key, (200, 200))
        assert (draw >= 0).all()
        assert (draw < 0.2).all()
        np.testing.assert_allclose(draw.mean(), 0.1, rtol=5 / 200)
        np.testing.assert_allclose(draw.var(), 0.2**2 / 12, rtol=5 / 200)

    @pytest.mark.parametrize("name", ["normal", "uniform"])
    def test_reference_of_the_same_name(self, name):
        ours = getattr(initializers, name)(0.1)(key, (5, 6))
        np.testing.assert_array_equal(ours, getattr(jax.nn.initializers, name)(0.1)(key, (5, 6)))

    def test_edges(self):
        for init in (zeros, ones, constant(1.0), normal(1.0), uniform(1.0)):
            assert init(key, (0, 3)).shape == (0, 3)
            assert init(key, ()).shape == ()
            assert init(key, (2,), jnp.float16).dtype == jnp.float16

    @pytest.mark.usefixtures("x64")
    def test_default_dtype_is_jax_s(self):
        assert zeros(key, (2,)).dtype == normal(1.0)(key, (2,)).dtype == jnp.float64
        assert he_normal()(key, (2, 2)).dtype == jnp.float64
