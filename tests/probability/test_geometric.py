"""fnmath.probability.geometric: against SciPy, by its laws, and for waits of millions of trials."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import geometric
from tests.helpers import assert_within_ulp
from tests.probability import laws


def test_equals_scipy():
    k = np.array([-1, 0, 1, 1.5, 2, 10, 300])
    laws.assert_discrete(geometric, scipy.stats.geom, [1e-6, 0.1, 0.7], k)


@pytest.mark.usefixtures("x64")
def test_laws():
    laws.assert_discrete_laws(geometric, [0.2, 0.5, 0.999], np.arange(1.0, 400))


def test_invalid_is_nan():
    laws.assert_discrete_invalid(geometric, [-0.1, 0.0, 1.1, np.nan])


def test_samples_and_estimates():
    laws.assert_discrete_samples(geometric, scipy.stats.geom, [0.03, 0.5, 0.9])
    k = jnp.array([1.0, 3.0, 9.0])
    np.testing.assert_allclose(geometric.fit(k, weights=jnp.array([1, 1, 0]))[0], 0.5)


def test_a_whole_quotient_is_known_as_one():
    q = jnp.array([0.5, 0.75, 0.875, 0.8750001])
    np.testing.assert_array_equal(jax.jit(geometric.ppf)(q, 0.5), [1, 2, 3, 4])
    np.testing.assert_array_equal(
        jax.jit(geometric.isf)(jnp.array([0.25, 0.2, 1.0]), 0.5), [2, 3, 0]
    )


def test_what_succeeds_at_once():
    k = jnp.array([0, 1, 2])
    np.testing.assert_array_equal(jax.jit(geometric.pmf)(k, 1.0), [0, 1, 0])
    np.testing.assert_array_equal(jax.jit(geometric.sf)(k, 1.0), [1, 0, 0])
    assert geometric.ppf(0.5, 1.0) == 1
    assert geometric.entropy(1.0) == 0


@pytest.mark.last_digits
def test_long_waits():
    p, k = np.float32(1e-6), np.float32(3e7)
    wanted = np.float64(k) * np.log1p(-np.float64(p))
    assert_within_ulp(jax.jit(geometric.logsf)(k, p), wanted, 1)
    assert_within_ulp(jax.jit(geometric.sf)(k, p), np.exp(wanted), 1)
    assert_within_ulp(
        jax.jit(geometric.cdf)(np.float32(2), p), -np.expm1(2 * np.log1p(-np.float64(p))), 1
    )


@pytest.mark.last_digits
def test_the_score_next_to_its_root():
    p = np.float32(0.1)
    wanted = (1 - 10 * np.float64(p)) / (np.float64(p) * (1 - np.float64(p)))
    slope = jax.jit(jax.grad(lambda p: geometric.logpmf(10, p)))(p)
    assert_within_ulp(slope, wanted, 1)
