"""fnmath.probability.cauchy: against SciPy, by its laws, and where squares overflow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import cauchy
from tests.helpers import assert_within_ulp
from tests.probability import laws

FAMILY = laws.Family(
    cauchy,
    [(0.0, 1.0), (1.5, 2.5), (-3.0, 0.01)],
    scipy.stats.cauchy,
    [(0.0, 0.0), (0.0, -1.0), (0.0, np.inf), (np.inf, 1.0)],
)


class TestLaws(laws.Continuous):
    family = FAMILY
    pairs = (
        ((0.0, 1.0), (1.0, 2.0)),
        ((0.0, 3.0), (2.0, 1.0)),
    )
    estimated = ((1.5, 2.5), (0, 1))


@pytest.mark.usefixtures("x64")
def test_the_estimates_are_a_maximum():
    x = jnp.asarray(scipy.stats.cauchy.rvs(2.0, 3.0, 200, random_state=0))
    assert abs(jax.jit(lambda x: cauchy.score(x, *cauchy.fit(x)).mean(0))(x)).max() < 1e-7


@pytest.mark.last_digits
def test_where_the_square_would_overflow():
    z = np.float32(1e25)
    assert_within_ulp(jax.jit(cauchy.logpdf)(z), -2 * np.log(np.float64(z)) - np.log(np.pi), 1)
    assert_within_ulp(jax.jit(cauchy.sf)(z), 1 / (np.pi * np.float64(z)), 1)
    by_scale = jax.jit(jax.grad(cauchy.cdf, 2))(z, jnp.float32(0), jnp.float32(1))
    assert_within_ulp(by_scale, -1 / (np.pi * np.float64(z)), 1)
