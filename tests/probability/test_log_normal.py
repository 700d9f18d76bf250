"""fnmath.probability.log_normal: against SciPy, by its laws, and at 0."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import log_normal
from tests.helpers import assert_within_ulp
from tests.probability import laws

FAMILY = laws.Family(
    log_normal,
    [(0.0, 1.0), (1.5, 0.3), (-3.0, 2.0)],
    lambda mu, sigma: scipy.stats.lognorm(sigma, 0, np.exp(mu)),
    [(0.0, 0.0), (0.0, -1.0), (0.0, np.inf), (np.inf, 1.0)],
    low=lambda mu, sigma: 0,
)


class TestLaws(laws.Continuous):
    family = FAMILY
    pairs = (
        ((0.0, 1.0), (1.0, 2.0)),
        ((1.0, 0.5), (1.0, 0.5001)),
    )
    estimated = ((1.5, 0.5), (0, 1))


def test_estimates_are_the_likeliest():
    x = jnp.asarray(np.random.default_rng(0).lognormal(0.5, 0.8, 60), jnp.float32)
    score = jax.jit(lambda x: log_normal.score(x, *log_normal.fit(x)).mean(0))(x)
    assert abs(score).max() < 1e-6


@pytest.mark.last_digits
def test_a_tail_to_the_last_place():
    x = np.float32([1e-30, 1e-5, 0.7, 30])
    wanted = scipy.stats.norm.logcdf(np.log(np.float64(x)))
    assert_within_ulp(jax.jit(log_normal.logcdf)(x), wanted, 1)
