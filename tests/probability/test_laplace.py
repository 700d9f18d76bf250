"""fnmath.probability.laplace: against SciPy, by its laws, and at its kink."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import laplace
from tests.helpers import assert_within_ulp
from tests.probability import laws

FAMILY = laws.Family(
    laplace,
    [(0.0, 1.0), (1.5, 2.5), (-3.0, 0.01)],
    scipy.stats.laplace,
    [(0.0, 0.0), (0.0, -1.0), (0.0, np.inf), (np.inf, 1.0)],
    kinks=lambda loc, scale: loc,
)


class TestLaws(laws.Continuous):
    family = FAMILY
    pairs = (
        ((0.0, 1.0), (1.0, 2.0)),
        ((1.0, 0.5), (1.0, 0.5001)),
        ((0.0, 3.0), (2.0, 1.0)),
    )
    estimated = ((1.5, 2.5), (0, 1))


def test_the_median_of_even_and_of_weighted_samples():
    x = jnp.array([5.0, 1.0, 2.0, 10.0])
    assert laplace.fit(x)[0] == 3.5
    assert laplace.fit(x, weights=jnp.array([0.0, 1.0, 1.0, 1.0]))[0] == 2
    assert laplace.fit(x)[1] == 3


def test_at_the_kink_the_slope_is_zero():
    slopes = jax.jit(jax.grad(laplace.logpdf, (0, 1, 2)))(1.0, 1.0, 2.0)
    np.testing.assert_array_equal(slopes, [0, 0, -0.5])


@pytest.mark.last_digits
def test_where_the_density_is_one_its_logarithm_is_zero():
    assert jax.jit(laplace.logpdf)(jnp.float32(2), jnp.float32(2), jnp.float32(0.5)) == 0
    x = np.float32([-80, -1e-3])
    assert_within_ulp(jax.jit(laplace.sf)(-x), 0.5 * np.exp(np.float64(x)), 1)
