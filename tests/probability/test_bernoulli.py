"""fnmath.probability.bernoulli: against SciPy, and where p is 0, 1, or nearly another's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import bernoulli
from tests.helpers import Mistake, assert_within_ulp
from tests.probability import laws

P = [1e-6, 0.3, 0.5, 0.9999, 1.0]

MISTAKES = [
    Mistake(bernoulli.pmf, (0, "a"), {}, TypeError, "pmf: p is a str; wanted an array"),
    Mistake(
        bernoulli.pmf,
        (jnp.zeros(2), jnp.ones(3)),
        {},
        ValueError,
        "pmf: k (2,) and p (3,) must have shapes that broadcast",
    ),
    Mistake(bernoulli.logpmf, (0, "a"), {}, TypeError, "logpmf: p is a str; wanted an array"),
    Mistake(
        bernoulli.logpmf,
        (jnp.zeros(2), jnp.ones(3)),
        {},
        ValueError,
        "logpmf: k (2,) and p (3,) must have shapes that broadcast",
    ),
]


def test_equals_scipy():
    laws.assert_discrete(bernoulli, scipy.stats.bernoulli, P, np.array([-1, 0, 0.5, 1, 2]))


@pytest.mark.usefixtures("x64")
def test_laws():
    laws.assert_discrete_laws(bernoulli, [0.2, 0.5, 0.999], np.arange(2.0))


def test_invalid_is_nan():
    laws.assert_discrete_invalid(bernoulli, [-0.1, 1.1, np.nan])


def test_samples_and_estimates():
    laws.assert_discrete_samples(bernoulli, scipy.stats.bernoulli, [0.03, 0.5, 0.9])
    k = jnp.array([1.0, 0.0, 0.0])
    np.testing.assert_allclose(bernoulli.fit(k, weights=jnp.array([3, 1, 0]))[0], 0.75)


def test_what_cannot_succeed_is_0_even_as_the_last_quantile():
    """The smallest k with F(k) ≥ 1; SciPy says 1, where the probability is 0."""
    assert bernoulli.ppf(1.0, 0.0) == 0
    np.testing.assert_array_equal(bernoulli.logpmf(jnp.array([0, 1]), 0.0), [0, -np.inf])


def test_certain_trials_have_no_entropy_and_may_diverge():
    p, q = jnp.array([0.0, 1.0, 0.5, 1.0]), jnp.array([0.0, 1.0, 0.0, 0.5])
    np.testing.assert_array_equal(jax.jit(bernoulli.entropy)(p[:2]), 0)
    np.testing.assert_allclose(jax.jit(bernoulli.kl)(p, q), [0, 0, np.inf, np.log(2)], rtol=1e-6)


@pytest.mark.last_digits
def test_divergence_of_what_is_nearly_the_same():
    p, q = np.float32(0.3), np.float32(0.3000001)
    d, P = np.float64(q) - np.float64(p), np.float64(p)
    wanted = d * d / (2 * P * (1 - P))  # and 10⁻⁷ of it more
    assert_within_ulp(jax.jit(bernoulli.kl)(p, q), wanted, 4)
