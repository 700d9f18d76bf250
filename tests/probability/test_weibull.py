"""fnmath.probability.weibull: against SciPy, by its laws, and at its lower end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import weibull
from tests.helpers import assert_within_ulp
from tests.probability import laws

FAMILY = laws.Family(
    weibull,
    [(1.0, 0.0, 1.0), (0.7, 0.0, 2.5), (3.5, 0.0, 0.5)],
    scipy.stats.weibull_min,
    [(0.0, 0.0, 1.0), (-1.0, 0.0, 1.0), (1.0, 0.0, 0.0), (1.0, np.inf, 1.0)],
    low=lambda c, loc, scale: loc,
)


class TestLaws(laws.TwiceDifferentiable):
    family = FAMILY
    pairs = (
        ((1.0, 0.0, 1.0), (2.0, 0.0, 1.5)),
        ((1.5, 0.0, 1.0), (1.5, 0.0, 1.0001)),
    )
    estimated = ((1.7, 0.0, 2.5), (0, 2))
    of_kl = staticmethod(lambda c, loc, scale: (c, scale))


@pytest.mark.usefixtures("x64")
def test_the_estimates_are_the_likeliest():
    x = jnp.asarray(scipy.stats.weibull_min.rvs(1.7, 0.0, 3.0, 60, random_state=0))

    def mean_score(x):
        c, scale = weibull.fit(x)
        return weibull.score(x, c, 0.0, scale).mean(0)

    assert abs(jax.jit(mean_score)(x)).max() < 1e-7


def test_at_the_lower_end():
    density = jax.jit(weibull.pdf)(jnp.zeros(3), jnp.array([0.5, 1.0, 2.0]), 0.0, 2.0)
    np.testing.assert_array_equal(density, [np.inf, 0.5, 0])


def test_the_variance_of_a_narrow_one_does_not_cancel():
    c = 1e4
    wanted = np.pi**2 / 6 / c**2
    np.testing.assert_allclose(jax.jit(weibull.variance)(c), wanted, rtol=1e-3)


@pytest.mark.last_digits
def test_a_power_that_is_too_small_for_a_number():
    logcdf = jax.jit(weibull.logcdf)(jnp.float32(1e-30), jnp.float32(3))
    assert_within_ulp(logcdf, 3 * np.log(np.float64(np.float32(1e-30))), 1)
