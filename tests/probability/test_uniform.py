"""fnmath.probability.uniform: against SciPy, by its laws, and by its upper end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import uniform
from tests.helpers import assert_within_ulp
from tests.probability import laws

FAMILY = laws.Family(
    uniform,
    [(0.0, 1.0), (1.5, 2.5), (-3.0, 0.01)],
    scipy.stats.uniform,
    [(0.0, 0.0), (0.0, -1.0), (0.0, np.inf), (np.inf, 1.0)],
    low=lambda loc, scale: loc,
    high=lambda loc, scale: loc + scale,
)


class TestLaws(laws.Continuous):
    family = FAMILY
    pairs = (((0.0, 1.0), (-1.0, 3.0)),)
    estimated = ((1.5, 2.5), (0, 1))


def test_an_upper_end_stands_for_a_width():
    x, q = jnp.array([-1.0, 2.3, 3.9, 6.0]), jnp.array([0.1, 0.5, 0.9, 1.0])
    for name, at in (*((n, x) for n in laws.OF_X), *((n, q) for n in laws.OF_Q)):
        f = getattr(uniform, name)
        by_width, by_high = jax.jit(lambda at, f=f: (f(at, 2.0, 2.0), f(at, 2.0, high=4.0)))(at)
        np.testing.assert_allclose(by_high, by_width, rtol=1e-6, err_msg=name)
    for f in (uniform.mean, uniform.variance, uniform.mode, uniform.entropy):
        np.testing.assert_allclose(f(2.0, high=4.0), f(2.0, 2.0), rtol=1e-6)
    sample = jax.jit(lambda: uniform.sample(jax.random.key(0), 2.0, high=4.0, shape=(500,)))()
    np.testing.assert_allclose(sample.mean(), 3, rtol=0.05)
    assert jnp.isnan(uniform.pdf(0.5, 1.0, high=0.0))


def test_a_support_that_is_not_covered_diverges():
    assert uniform.kl(0.0, 1.0, 0.5, 1.5) == jnp.inf


@pytest.mark.last_digits
def test_next_to_the_upper_end_the_derivative_by_the_lower_keeps_its_digits():
    x = jnp.float32(4.9999995)
    by_low = jax.jit(jax.grad(lambda low: uniform.cdf(x, low, high=jnp.float32(5))))(
        jnp.float32(-2)
    )
    assert_within_ulp(by_low, -(5 - np.float64(x)) / 49, 1)
