"""fnmath.probability.exponential: against SciPy, by its laws, and by its rate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import exponential
from tests.helpers import assert_within_ulp
from tests.probability import laws

FAMILY = laws.Family(
    exponential,
    [(0.0, 1.0), (1.5, 2.5), (-3.0, 0.01)],
    scipy.stats.expon,
    [(0.0, 0.0), (0.0, -1.0), (0.0, np.inf), (np.inf, 1.0)],
    low=lambda loc, scale: loc,
)


class TestLaws(laws.Continuous):
    family = FAMILY
    pairs = (
        ((0.0, 1.0), (-1.0, 2.0)),
        ((1.0, 0.5), (1.0, 0.5001)),
    )
    estimated = ((0.0, 2.5), (0, 1))


def test_a_rate_is_the_inverse_of_a_scale():
    x, q = jnp.array([-1.0, 0.3, 2.0]), jnp.array([0.1, 0.5, 0.9])
    for name, at in (*((n, x) for n in laws.OF_X), *((n, q) for n in laws.OF_Q)):
        f = getattr(exponential, name)
        by_scale, by_rate = jax.jit(lambda at, f=f: (f(at, 0.0, 0.25), f(at, rate=4.0)))(at)
        np.testing.assert_allclose(by_rate, by_scale, rtol=1e-6, err_msg=name)
        slope = jax.jit(jax.jacfwd(lambda r, f=f, at=at: f(at, rate=r)))(4.0)
        chain = jax.jit(jax.jacfwd(lambda r, f=f, at=at: f(at, 0.0, 1 / r)))(4.0)
        np.testing.assert_allclose(slope, chain, rtol=2e-6, atol=1e-7, err_msg=name)
    for f in (exponential.mean, exponential.variance, exponential.mode, exponential.entropy):
        np.testing.assert_allclose(f(rate=4.0), f(scale=0.25), rtol=1e-6)
    sample = jax.jit(lambda: exponential.sample(jax.random.key(0), rate=4.0, shape=(500,)))()
    np.testing.assert_allclose(sample.mean(), 0.25, rtol=0.15)
    assert jnp.isnan(exponential.pdf(0.5, rate=-1.0))


def test_a_support_that_is_not_covered_diverges():
    assert exponential.kl(0.0, 1.0, 0.5, 1.0) == jnp.inf


@pytest.mark.last_digits
def test_a_rate_keeps_its_digits():
    x, rate = np.float32(80), np.float32(1.1)
    sf = jax.jit(lambda x, rate: exponential.sf(x, rate=rate))(x, rate)
    assert_within_ulp(sf, np.exp(-np.float64(x) * np.float64(rate)), 1)
