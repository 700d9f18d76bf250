"""Poisson's law: against SciPy, and what every law promises."""

import jax.numpy as jnp
import numpy as np
from scipy import stats

from fnmath.probability import poisson
from tests.probability import shape_laws as laws

PARAMETERS = (4.5,)
ARGUMENTS = {
    "pmf": ("k", "mu"),
    "logpmf": ("k", "mu"),
    "cdf": ("k", "mu"),
    "logcdf": ("k", "mu"),
    "sf": ("k", "mu"),
    "logsf": ("k", "mu"),
    "ppf": ("q", "mu"),
    "isf": ("q", "mu"),
    "mean": ("mu",),
    "variance": ("mu",),
    "mode": ("mu",),
    "entropy": ("mu",),
    "score": ("k", "mu"),
    "fisher_information": ("mu",),
    "kl": ("p_mu", "q_mu"),
}
MISTAKES = laws.mistakes(poisson, ARGUMENTS)


class LAW:
    """SciPy's law, in the arguments of fnmath."""

    def __new__(cls, mu):
        return stats.poisson(mu)

    @staticmethod
    def pmf(x, mu):
        return stats.poisson(mu).pmf(x)

    @staticmethod
    def logpmf(x, mu):
        return stats.poisson(mu).logpmf(x)

    @staticmethod
    def cdf(x, mu):
        return stats.poisson(mu).cdf(x)

    @staticmethod
    def logcdf(x, mu):
        return stats.poisson(mu).logcdf(x)

    @staticmethod
    def sf(x, mu):
        return stats.poisson(mu).sf(x)

    @staticmethod
    def logsf(x, mu):
        return stats.poisson(mu).logsf(x)

    @staticmethod
    def ppf(x, mu):
        return stats.poisson(mu).ppf(x)

    @staticmethod
    def isf(x, mu):
        return stats.poisson(mu).isf(x)


def test_equals_scipy_over_drawn_parameters():
    rng = np.random.default_rng(3)
    parameters = (np.exp(rng.uniform(-3, 6, 60)),)
    x = rng.poisson(parameters[0]).astype(float)

    laws.assert_equals_scipy(poisson, LAW, laws.COUNTS, x, parameters)


def test_probabilities_sum():
    laws.assert_probabilities_sum(poisson, PARAMETERS)


def test_kl_is_the_expected_difference():
    laws.assert_kl(poisson, LAW, (4.5,), (5.5,))


def test_score_has_mean_0_and_the_information_as_variance():
    laws.assert_score_has_information(poisson, (4.5,), LAW)


def test_entropy_is_the_sum():
    for mu in (0.01, 4.5, 63.0, 65.0, 1000.0):
        k = np.arange(0.0, 3000.0)
        log_p = stats.poisson.logpmf(k, mu)
        wanted = -np.sum(np.exp(log_p) * np.where(log_p > -700, log_p, 0))
        np.testing.assert_allclose(laws.call(poisson.entropy, mu), wanted, 1e-11)


def test_edges_of_the_support():
    assert poisson.pmf(-1, 2.0) == 0
    assert poisson.pmf(1.5, 2.0) == 0
    assert poisson.cdf(-1, 2.0) == 0
    assert poisson.sf(-1, 2.0) == 1
    assert poisson.pmf(0, 0.0) == 1
    assert poisson.logpmf(3, 0.0) == -jnp.inf
    assert poisson.ppf(0.0, 2.0) == -1
    assert poisson.ppf(1.0, 2.0) == jnp.inf


def test_fit_is_the_mean():
    np.testing.assert_allclose(poisson.fit(jnp.array([1, 2, 6])), 3.0)


def test_samples_follow_the_law():
    laws.assert_samples_fit(poisson, PARAMETERS, LAW)


def test_quantiles_invert():
    laws.assert_quantiles_invert(poisson, PARAMETERS, is_count=True)


def test_invalid_parameters_give_nan():
    laws.assert_invalid_gives_nan(poisson, laws.COUNTS + laws.MOMENTS, PARAMETERS, {0: [-1.0]})


def test_nan_gives_nan():
    laws.assert_nan_gives_nan(poisson, laws.COUNTS, PARAMETERS)


def test_same_compiled_and_batched():
    x = jnp.array([0.0, 3.0, 30.0], jnp.float32)
    laws.assert_same_batched(poisson, laws.COUNTS[:6], x, PARAMETERS)
