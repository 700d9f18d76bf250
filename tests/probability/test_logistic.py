"""fnmath.probability.logistic: against SciPy, by its laws, and about its middle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import logistic
from tests.helpers import assert_within_ulp
from tests.probability import laws

FAMILY = laws.Family(
    logistic,
    [(0.0, 1.0), (1.5, 2.5), (-3.0, 0.01)],
    scipy.stats.logistic,
    [(0.0, 0.0), (0.0, -1.0), (0.0, np.inf), (np.inf, 1.0)],
)


class TestLaws(laws.Continuous):
    family = FAMILY
    pairs = ()
    estimated = ((1.5, 2.5), (0, 1))


@pytest.mark.usefixtures("x64")
def test_the_estimates_are_the_likeliest():
    x = jnp.asarray(scipy.stats.logistic.rvs(2.0, 3.0, 60, random_state=0))
    assert abs(jax.jit(lambda x: logistic.score(x, *logistic.fit(x)).mean(0))(x)).max() < 1e-7


@pytest.mark.last_digits
def test_quantiles_next_to_the_middle():
    q = np.float32([0.5000001, 0.49999, 0.3, 1e-30])
    wanted = np.log(np.float64(q)) - np.log1p(-np.float64(q))
    assert_within_ulp(jax.jit(logistic.ppf)(q), wanted, 2)
