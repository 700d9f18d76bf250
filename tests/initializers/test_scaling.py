"""fnmath.initializers.scaling: the moments of each, and that they keep the variance of a signal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath import initializers
from fnmath.activations import relu
from fnmath.initializers import (
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    variance_scaling,
)
from tests.helpers import Mistake
from tests.initializers.arguments import KEY, of_the_factory, of_the_initialiser

NAMED = [lecun_normal, lecun_uniform, glorot_normal, glorot_uniform, he_normal, he_uniform]
GENERAL = (2.0, "fan_in", "normal")
MISTAKES = [
    *(row for f in NAMED for row in of_the_factory(f, argument="in_axis")),
    *(row for f in NAMED for row in of_the_initialiser(f.__name__, f())),
    *of_the_factory(variance_scaling, *GENERAL),
    *of_the_initialiser("variance_scaling", variance_scaling(*GENERAL)),
    Mistake(
        variance_scaling, (-2.0, "fan_in", "normal"), {}, ValueError,
        "variance_scaling: scale is -2.0; wanted a number in (0, inf)",
    ),
    Mistake(
        variance_scaling, (jnp.ones(2), "fan_in", "normal"), {}, ValueError,
        "variance_scaling: scale has shape (2,); wanted one number",
    ),
    Mistake(
        variance_scaling, ("2", "fan_in", "normal"), {}, TypeError,
        "variance_scaling: scale is '2' (str); wanted a number",
    ),
    Mistake(
        variance_scaling, (2.0, "in", "normal"), {}, ValueError,
        "variance_scaling: mode is 'in'; "
        "wanted one of 'fan_in', 'fan_out', 'fan_avg', 'fan_geo_avg'",
    ),
    Mistake(
        variance_scaling, (2.0, "fan_in", "gauss"), {}, ValueError,
        "variance_scaling: distribution is 'gauss'; "
        "wanted one of 'truncated_normal', 'normal', 'uniform'",
    ),
    Mistake(
        he_uniform, (1.0,), {}, TypeError,
        "he_uniform: in_axis is 1.0; wanted an integer or several",
    ),
    Mistake(
        he_normal, ((0, "1"),), {}, TypeError,
        "he_normal: in_axis is '1'; wanted an integer or several",
    ),
    Mistake(
        glorot_uniform(), (KEY, (128,)), {}, ValueError,
        "glorot_uniform: shape is (128,); wanted at least 2 axes, (*window in out); "
        "did you mean zeros, for a bias?",
    ),
    Mistake(
        lecun_normal(), (KEY, (0, 8)), {}, ValueError,
        "lecun_normal: shape is (0, 8); wanted no axis of size 0, whose fan has no inverse",
    ),
    Mistake(
        lecun_normal(in_axis=2), (KEY, (4, 8)), {}, ValueError,
        "lecun_normal: in_axis is 2; wanted an axis of the shape (4, 8)",
    ),
    Mistake(
        he_normal(in_axis=-1), (KEY, (4, 8)), {}, ValueError,
        "he_normal: in_axis (-1,), out_axis (-1,), batch_axis () of the shape (4, 8); "
        "wanted each axis once at most",
    ),
]  # fmt: skip

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
        kernel = factory()(KEY, self.shape)
        variance = KERNELS[factory](360, 810)
        error = 5 / np.sqrt(kernel.size)
        assert abs(kernel.mean()) < error * np.sqrt(variance)
        # Var(W²) ≤ 2 Var(W)² for each of the three distributions.
        assert abs(kernel.var() / variance - 1) < error * np.sqrt(2)

    @OF_KERNELS
    def test_range(self, factory):
        widest = jnp.abs(factory()(KEY, self.shape)).max() / np.sqrt(KERNELS[factory](360, 810))
        bound = np.sqrt(3) if factory.__name__.endswith("uniform") else 2 / 0.87962566
        assert 0.99 * bound < widest < bound * (1 + 1e-6)

    @OF_KERNELS
    def test_reference_of_the_same_name(self, factory):
        """The same numbers as jax's from the same key, but for the order of roundings."""
        for dtype in (jnp.float32, jnp.bfloat16):
            ours = factory()(KEY, (3, 4, 5), dtype)
            theirs = getattr(jax.nn.initializers, factory.__name__)()(KEY, (3, 4, 5), dtype)
            assert ours.dtype == dtype
            eps = float(jnp.finfo(dtype).eps)
            np.testing.assert_allclose(np.float32(ours), np.float32(theirs), rtol=4 * eps)

    def test_variance_scaling_of_every_kind(self):
        geometric = np.sqrt(360 * 810)
        modes = {"fan_in": 360, "fan_out": 810, "fan_avg": 585, "fan_geo_avg": geometric}
        for mode, n in modes.items():
            for distribution in ("truncated_normal", "normal", "uniform"):
                kernel = variance_scaling(3.0, mode, distribution)(KEY, self.shape)
                np.testing.assert_allclose(kernel.var() * n, 3, rtol=0.04)

    def test_axes_reference(self):
        """Fans over any axes, stacked kernels left out of them, are those of jax."""
        for along in [(0, 3, ()), ((0, 1), 2, 3), (-1, (0, 2), ()), ([1], (2,), [0]), (1, (), 0)]:
            for mode in ("fan_in", "fan_out", "fan_geo_avg"):
                args = (3.0, mode, "uniform", *along)
                ours = variance_scaling(*args)(KEY, (3, 4, 5, 6))
                theirs = jax.nn.initializers.variance_scaling(*args)(KEY, (3, 4, 5, 6))
                np.testing.assert_allclose(ours, theirs, rtol=1e-6)

    def test_other_names(self):
        assert initializers.xavier_normal is glorot_normal
        assert initializers.xavier_uniform is glorot_uniform
        assert initializers.kaiming_normal is he_normal
        assert initializers.kaiming_uniform is he_uniform

    def test_scale_may_be_traced(self):
        many = jax.vmap(lambda s: variance_scaling(s, "fan_in", "normal")(KEY, (4, 5)))
        kernels = many(jnp.array([1.0, 4.0, -1.0]))
        np.testing.assert_allclose(kernels[1], 2 * kernels[0], rtol=1e-6)
        assert jnp.isnan(kernels[2]).all()

    @pytest.mark.usefixtures("x64")
    def test_default_dtype(self):
        assert he_normal()(KEY, (2, 2)).dtype == jnp.float64
        assert he_normal(dtype=jnp.float16)(KEY, (2, 2)).dtype == jnp.float16

    def test_transforms(self):
        init, keys = he_normal(), jax.random.split(KEY, 2)
        many = jax.jit(jax.vmap(lambda k: init(k, (4, 5))))(keys)
        np.testing.assert_allclose(many[1], init(keys[1], (4, 5)), rtol=1e-6)
        assert (many[0] != many[1]).any()

    def test_older_keys_and_lists_will_do(self):
        kernel = he_normal()(jax.random.PRNGKey(0), [4, 5])
        np.testing.assert_array_equal(kernel, he_normal()(KEY, (4, 5)))


def through(init, gate, layers, width=512):
    """E x² of a batch that has passed so many layers, started at 1."""
    x = jax.random.normal(KEY, (256, width))
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
        kernel = glorot_uniform()(KEY, (m, n))
        key_x, key_y = jax.random.split(jax.random.key(1))
        x, cotangent = jax.random.normal(key_x, (400, m)), jax.random.normal(key_y, (400, n))
        y, pull_back = jax.vjp(lambda x: x @ kernel, x)
        np.testing.assert_allclose(y.var(), 2 * m / (m + n), rtol=0.05)
        np.testing.assert_allclose(pull_back(cotangent)[0].var(), 2 * n / (m + n), rtol=0.05)
