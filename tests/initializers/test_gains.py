"""fnmath.initializers.gains: torch's table, and the quadrature against SciPy's."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from fnmath.initializers import calculate_gain
from tests.helpers import Mistake

NAMES = "'linear', 'conv1d', 'conv2d', 'conv3d', 'conv_transpose1d', 'conv_transpose2d', "
NAMES += "'conv_transpose3d', 'sigmoid', 'tanh', 'relu', 'leaky_relu', 'selu'"
MISTAKES = [
    Mistake(
        calculate_gain, ("gelu",), {}, ValueError,
        f"calculate_gain: activation is 'gelu'; wanted one of {NAMES}; "
        "did you mean the function itself?",
    ),
    Mistake(
        calculate_gain, (None,), {}, TypeError,
        f"calculate_gain: activation is None; wanted a function or one of {NAMES}",
    ),
    Mistake(
        calculate_gain, ("relu", 0.2), {}, ValueError,
        "calculate_gain: param is 0.2; wanted None but for 'leaky_relu'",
    ),
    Mistake(
        calculate_gain, ("leaky_relu", "0.2"), {}, TypeError,
        "calculate_gain: param is '0.2' (str); wanted a number",
    ),
    Mistake(
        calculate_gain, (lambda x: x.sum(),), {}, ValueError,
        "calculate_gain: activation(x) has shape () for x of shape (768,); "
        "wanted an elementwise function",
    ),
    Mistake(
        calculate_gain, (lambda x: x > 0,), {}, TypeError,
        "calculate_gain: activation(x) has dtype bool; wanted a floating dtype; "
        "did you mean activation(x).astype(jnp.float32)?",
    ),
]  # fmt: skip


def second_moment(f, kinks=()):
    """E f(z)² by adaptive quadrature, in double precision."""
    return scipy.integrate.quad(
        lambda z: f(z) ** 2 * scipy.stats.norm.pdf(z), -12, 12, points=(0, *kinks), epsabs=1e-15
    )[0]


class TestTable:
    @pytest.mark.slow
    def test_equals_torch(self, torch):
        for name in ("linear", "conv2d", "conv_transpose3d", "sigmoid", "tanh", "relu", "selu"):
            assert calculate_gain(name) == torch.nn.init.calculate_gain(name)
        for slope in (None, 0, 0.2, 1.5):
            theirs = torch.nn.init.calculate_gain("leaky_relu", slope)
            assert calculate_gain("leaky_relu", slope) == theirs

    def test_exact_values(self):
        assert calculate_gain("relu") == math.sqrt(2)
        assert calculate_gain("tanh") == 5 / 3


class TestQuadrature:
    def test_reference_scipy(self):
        """Twelve digits, kinks at multiples of ½ included."""
        erf = scipy.special.erf
        pairs = {
            jnp.tanh: (np.tanh, ()),
            jax.nn.sigmoid: (lambda z: 1 / (1 + np.exp(-z)), ()),
            jax.nn.silu: (lambda z: z / (1 + np.exp(-z)), ()),
            jax.nn.elu: (lambda z: z if z > 0 else np.expm1(z), ()),
            jax.nn.hard_tanh: (lambda z: np.clip(z, -1, 1), (-1, 1)),
            jax.nn.relu6: (lambda z: np.clip(z, 0, 6), (6,)),
            jnp.sin: (np.sin, ()),
        }
        for ours, (theirs, kinks) in pairs.items():
            expected = 1 / math.sqrt(second_moment(theirs, kinks))
            assert math.isclose(calculate_gain(ours), expected, rel_tol=1e-12), ours
        exact = 1 / math.sqrt(second_moment(lambda z: z * 0.5 * (1 + erf(z / math.sqrt(2)))))
        gelu = calculate_gain(lambda x: jax.nn.gelu(x, approximate=False))
        assert math.isclose(gelu, exact, rel_tol=1e-12)

    def test_equals_gauss_hermite_where_that_converges(self):
        z, weights = np.polynomial.hermite_e.hermegauss(64)
        expected = math.sqrt(math.sqrt(2 * math.pi) / np.sum(weights * np.cos(z) ** 2))
        assert math.isclose(calculate_gain(jnp.cos), expected, rel_tol=1e-13)

    def test_laws(self):
        """Second moments known in closed form, and the rule g(c f) = g(f)/c."""
        known = {
            (lambda x: x): 1.0,
            jax.nn.relu: 2**-0.5,
            (lambda x: jnp.where(x > 0, x, 0.2 * x)): math.sqrt((1 + 0.2**2) / 2),
            jnp.exp: math.e,  # E exp(2 z) = e²
            jnp.square: math.sqrt(3),
            (lambda x: 3 * jax.nn.relu(x)): 3 * 2**-0.5,
        }
        for f, root in known.items():
            assert math.isclose(calculate_gain(f), 1 / root, rel_tol=1e-13)

    def test_where_torch_s_table_is_another_number(self):
        """The three of the docstring."""
        by_function = [calculate_gain(f) for f in (jnp.tanh, jax.nn.sigmoid, jax.nn.selu)]
        np.testing.assert_allclose(by_function, [1.592537, 1.846229, 1.0], atol=5e-7)

    def test_double_precision_under_jit_too(self):
        gain = calculate_gain(jnp.tanh)
        assert isinstance(gain, float)
        traced = jax.jit(lambda: jnp.float32(calculate_gain(jnp.tanh)))()
        assert traced == np.float32(gain)

    def test_traced_values_are_refused(self):
        with pytest.raises(ValueError, match="calculate_gain: activation depends on traced"):
            jax.jit(lambda a: calculate_gain(lambda x: a * x))(2.0)

    def test_edges(self):
        assert calculate_gain(jnp.zeros_like) == math.inf
        assert calculate_gain(lambda x: jnp.full_like(x, jnp.inf)) == 0
        assert math.isnan(calculate_gain(jnp.log))
