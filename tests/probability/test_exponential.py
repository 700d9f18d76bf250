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
    moments = ("mean", "variance", "mode", "entropy")

    def everything(**options):
        of_x = [getattr(exponential, name)(x, **options) for name in laws.OF_X]
        of_q = [getattr(exponential, name)(q, **options) for name in laws.OF_Q]
        return of_x, of_q, [getattr(exponential, name)(**options) for name in moments]

    @jax.jit
    def both(rate):
        one = (jnp.ones_like(rate),)
        by_rate = jax.jvp(lambda r: everything(rate=r), (rate,), one)
        by_scale = jax.jvp(lambda r: everything(loc=0.0, scale=1 / r), (rate,), one)
        sample = exponential.sample(jax.random.key(0), rate=rate, shape=(500,))
        return by_rate, by_scale, sample, exponential.pdf(0.5, rate=-rate)

    by_rate, by_scale, sample, of_none = both(4.0)
    for ours, theirs in zip(jax.tree.leaves(by_rate), jax.tree.leaves(by_scale), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(sample.mean(), 0.25, rtol=0.15)
    assert jnp.isnan(of_none)


def test_a_support_that_is_not_covered_diverges():
    assert exponential.kl(0.0, 1.0, 0.5, 1.0) == jnp.inf


@pytest.mark.last_digits
def test_a_rate_keeps_its_digits():
    x, rate = np.float32(80), np.float32(1.1)
    sf = jax.jit(lambda x, rate: exponential.sf(x, rate=rate))(x, rate)
    assert_within_ulp(sf, np.exp(-np.float64(x) * np.float64(rate)), 1)


@pytest.mark.last_digits
def test_parameters_that_are_constants_lose_nothing():
    """XLA would take (μ + t) − μ for t where it knew μ, and what rounding took from it for 0."""
    q = np.float32([1e-30, 1e-12, 1e-11, 1e-6])

    def slopes(q, *of):
        return jax.vmap(jax.grad(exponential.ppf, (0, 1, 2)), (0, None, None))(q, *of)

    wanted = jax.jit(slopes)(q, np.float32(0.3), np.float32(1.7))
    for found in (jax.jit(lambda q: slopes(q, np.float32(0.3), np.float32(1.7)))(q),
                  jax.jit(lambda q: slopes(q, 0.3, 1.7))(q)):  # fmt: skip
        np.testing.assert_allclose(found, wanted, rtol=3e-7)
