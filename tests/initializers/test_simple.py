"""fnmath.initializers.simple: constants, and the moments of independent draws."""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath import initializers
from fnmath.initializers import (
    Initializer,
    constant,
    normal,
    ones,
    truncated_normal,
    uniform,
    zeros,
)
from tests.helpers import Mistake
from tests.initializers.arguments import KEY, of_the_factory, of_the_initialiser

MISTAKES = [
    *of_the_initialiser("zeros", zeros),
    *of_the_initialiser("ones", ones),
    *of_the_initialiser("constant", constant(1.0)),
    *of_the_initialiser("normal", normal()),
    *of_the_initialiser("truncated_normal", truncated_normal()),
    *of_the_initialiser("uniform", uniform()),
    *of_the_factory(constant, 1.0, argument="value"),
    *of_the_factory(normal, argument="stddev"),
    *of_the_factory(truncated_normal, argument="stddev"),
    *of_the_factory(uniform, argument="scale"),
    Mistake(constant, ("0",), {}, TypeError, "constant: value is '0' (str); wanted a number"),
    Mistake(
        constant, (math.nan,), {}, ValueError,
        "constant: value is nan; wanted a number in (-inf, inf)",
    ),
    Mistake(
        constant(jnp.ones(3)), (KEY, (3, 2)), {}, ValueError,
        "constant: value (3,) must broadcast to the shape (3, 2)",
    ),
    Mistake(normal, (-1.0,), {}, ValueError, "normal: stddev is -1.0; wanted a number in (0, inf)"),
    Mistake(normal, ("1",), {}, TypeError, "normal: stddev is '1' (str); wanted a number"),
    Mistake(
        normal, (jnp.ones(3),), {}, ValueError, "normal: stddev has shape (3,); wanted one number"
    ),
    Mistake(uniform, (0,), {}, ValueError, "uniform: scale is 0; wanted a number in (0, inf)"),
    Mistake(uniform, (None,), {}, TypeError, "uniform: scale is None (NoneType); wanted a number"),
    Mistake(
        uniform, (jnp.ones((2, 2)),), {}, ValueError,
        "uniform: scale has shape (2, 2); wanted one number",
    ),
    Mistake(
        truncated_normal, (0.0,), {}, ValueError,
        "truncated_normal: stddev is 0.0; wanted a number in (0, inf)",
    ),
    Mistake(
        truncated_normal, ([],), {}, TypeError,
        "truncated_normal: stddev is [] (list); wanted a number",
    ),
    Mistake(
        truncated_normal, (1.0,), {"lower": 1, "upper": 1}, ValueError,
        "truncated_normal: lower is 1 and upper 1; wanted lower < upper",
    ),
    Mistake(
        truncated_normal, (1.0,), {"lower": 5.0, "upper": 6.0}, ValueError,
        "truncated_normal: lower is 5.0; wanted a number in [-inf, 4]",
    ),
    Mistake(
        truncated_normal, (1.0,), {"upper": jnp.ones(())}, TypeError,
        "truncated_normal: upper is an array; wanted a Python number",
    ),
]  # fmt: skip

SHARED = sorted(name for name in vars(jax.nn.initializers) if not name.startswith("_"))


class TestNames:
    def test_all_of_jax_are_here(self):
        assert set(SHARED) <= set(initializers.__all__)

    @pytest.mark.parametrize("name", [name for name in SHARED if name != "Initializer"])
    def test_arguments_and_defaults_are_those_of_jax(self, name):
        """In jax's order, with jax's defaults; ``out_sharding`` is left to ``jax.jit``."""
        ours, theirs = (
            [
                (p.name, p.default)
                for p in inspect.signature(getattr(module, name)).parameters.values()
                if p.name != "out_sharding"
            ]
            for module in (initializers, jax.nn.initializers)
        )
        assert ours == theirs

    def test_type(self):
        for init in (zeros, normal(), jax.nn.initializers.he_normal()):
            assert isinstance(init, Initializer)


class TestConstants:
    def test_one_number(self):
        np.testing.assert_array_equal(zeros(KEY, (2, 3)), np.zeros((2, 3)))
        np.testing.assert_array_equal(ones(KEY, (2, 3)), np.ones((2, 3)))
        np.testing.assert_array_equal(constant(0.5)(KEY, (2, 3)), np.full((2, 3), 0.5))

    def test_array_broadcasts(self):
        rows = constant(jnp.arange(3.0))(KEY, (2, 3))
        np.testing.assert_array_equal(rows, [[0, 1, 2], [0, 1, 2]])


class TestDraws:
    """Moments within five standard errors of 40,000 draws."""

    def test_moments(self):
        draw = normal(0.02)(KEY, (200, 200))
        assert abs(draw.mean()) < 5 * 0.02 / 200
        np.testing.assert_allclose(draw.std(), 0.02, rtol=5 / 200)
        draw = uniform(0.2)(KEY, (200, 200))
        assert (draw >= 0).all()
        assert (draw < 0.2).all()
        np.testing.assert_allclose(draw.mean(), 0.1, rtol=5 / 200)
        np.testing.assert_allclose(draw.var(), 0.2**2 / 12, rtol=5 / 200)

    @pytest.mark.parametrize(("lower", "upper"), [(-2.0, 2.0), (-1.0, 3.0), (0.5, np.inf)])
    def test_moments_of_truncated_draws(self, lower, upper):
        draw = truncated_normal(0.1, lower=lower, upper=upper)(KEY, (200, 200)) / 0.1
        assert lower - 1e-6 <= draw.min() <= draw.max() <= upper + 1e-6
        mean, variance = scipy.stats.truncnorm.stats(lower, upper)
        assert abs(draw.mean() - mean) < 5 * np.sqrt(variance) / 200
        np.testing.assert_allclose(draw.var(), variance, rtol=5 * np.sqrt(2) / 200)

    @pytest.mark.slow
    def test_reference_of_the_same_name(self):
        """The same numbers as jax's from the same key."""
        for name, args in {"normal": [0.1], "uniform": [0.1], "truncated_normal": [0.1]}.items():
            theirs = getattr(jax.nn.initializers, name)
            for dtype in (jnp.float32, jnp.bfloat16):
                ours = getattr(initializers, name)(*args)(KEY, (5, 6), dtype)
                np.testing.assert_array_equal(ours, theirs(*args)(KEY, (5, 6), dtype))
            ours = getattr(initializers, name)()(KEY, (5, 6))
            np.testing.assert_array_equal(ours, theirs()(KEY, (5, 6)))
        ours = truncated_normal(1.0, jnp.float16, -1, 3)(KEY, (9,))  # drawn in float32 from 2 on
        theirs = jax.nn.initializers.truncated_normal(1.0, jnp.float32, -1, 3)(KEY, (9,))
        np.testing.assert_array_equal(ours, theirs.astype(jnp.float16))

    def test_spread_may_be_traced(self):
        """Several spreads at once by vmap; one that is not above 0 gives nan."""
        spreads = jnp.array([0.5, 2.0, 0.0, -1.0])
        for factory in (normal, uniform, truncated_normal):
            draws = jax.vmap(lambda s, f=factory: f(s)(KEY, (7,)))(spreads)
            np.testing.assert_array_equal(draws[1], 4 * draws[0])
            assert jnp.isnan(draws[2:]).all()


class TestEdges:
    @pytest.mark.slow
    def test_shapes_and_dtypes(self):
        for init in (zeros, ones, constant(1.0), normal(1.0), truncated_normal(1.0), uniform(1.0)):
            assert init(KEY, (0, 3)).shape == (0, 3)
            assert init(KEY, ()).shape == ()
            assert init(KEY, [2, 3]).shape == (2, 3)
            assert init(KEY, (2,), jnp.float16).dtype == jnp.float16
            assert init(KEY, (2,), "bfloat16").dtype == jnp.bfloat16

    def test_dtype_of_the_factory(self):
        for factory in (normal, truncated_normal, uniform):
            assert factory(1.0, jnp.float16)(KEY, (2,)).dtype == jnp.float16
            assert factory(1.0, jnp.float16)(KEY, (2,), jnp.float32).dtype == jnp.float32

    @pytest.mark.usefixtures("x64")
    def test_default_dtype_is_jax_s(self):
        for init in (zeros, ones, constant(1.0), normal(1.0), truncated_normal(1.0), uniform(1.0)):
            assert init(KEY, (2,)).dtype == init(KEY, (2,), None).dtype == jnp.float64


def test_half_precision_draws_of_long_tails_are_normal():
    """Their distribution function is evaluated in float32: in bfloat16 it is 1 from 3 on."""
    W = truncated_normal(1.0, jnp.bfloat16, -jnp.inf, jnp.inf)(jax.random.key(0), (20_000,))
    assert W.dtype == jnp.bfloat16
    np.testing.assert_allclose(W.astype(float).std(), 1, atol=0.03)
