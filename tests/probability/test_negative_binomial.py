"""The negative binomial law: against SciPy, and what every law promises."""

import jax.numpy as jnp
import mpmath
import numpy as np
from scipy import stats

from fnmath.probability import negative_binomial
from tests.probability import shape_laws as laws

PARAMETERS = (5.0, 0.4)
ARGUMENTS = {
    "pmf": ("k", "n", "p"),
    "logpmf": ("k", "n", "p"),
    "cdf": ("k", "n", "p"),
    "logcdf": ("k", "n", "p"),
    "sf": ("k", "n", "p"),
    "logsf": ("k", "n", "p"),
    "ppf": ("q", "n", "p"),
    "isf": ("q", "n", "p"),
    "mean": ("n", "p"),
    "variance": ("n", "p"),
    "mode": ("n", "p"),
    "entropy": ("n", "p"),
    "score": ("k", "n", "p"),
    "kl": ("p_n", "p_p", "q_n", "q_p"),
}
MISTAKES = laws.mistakes(negative_binomial, ARGUMENTS)


class LAW:
    """SciPy's law, in the arguments of fnmath."""

    def __new__(cls, n, p):
        return stats.nbinom(n, p)

    @staticmethod
    def pmf(x, n, p):
        return stats.nbinom(n, p).pmf(x)

    @staticmethod
    def logpmf(x, n, p):
        return stats.nbinom(n, p).logpmf(x)

    @staticmethod
    def cdf(x, n, p):
        return stats.nbinom(n, p).cdf(x)

    @staticmethod
    def logcdf(x, n, p):
        return stats.nbinom(n, p).logcdf(x)

    @staticmethod
    def sf(x, n, p):
        return stats.nbinom(n, p).sf(x)

    @staticmethod
    def logsf(x, n, p):
        return stats.nbinom(n, p).logsf(x)

    @staticmethod
    def ppf(x, n, p):
        return stats.nbinom(n, p).ppf(x)

    @staticmethod
    def isf(x, n, p):
        return stats.nbinom(n, p).isf(x)


def test_equals_scipy_over_drawn_parameters():
    rng = np.random.default_rng(3)
    parameters = np.exp(rng.uniform(-1, 4, 60)), rng.uniform(0.05, 0.95, 60)
    x = rng.negative_binomial(*parameters).astype(float)
    laws.assert_equals_scipy(negative_binomial, LAW, laws.COUNTS, x, parameters)


def test_probabilities_sum():
    laws.assert_probabilities_sum(negative_binomial, PARAMETERS)


def test_kl_is_the_expected_difference():
    laws.assert_kl(negative_binomial, LAW, (5.0, 0.4), (5.0, 0.5))


def test_score_has_mean_0_and_the_information_as_variance():
    laws.assert_score_has_information(negative_binomial, (5.0, 0.4), LAW)


def test_entropy_is_scipys():
    for parameters in [(1.0, 0.1), (5.0, 0.5), (20.0, 0.9)]:
        wanted = LAW(*parameters).entropy()
        np.testing.assert_allclose(laws.call(negative_binomial.entropy, *parameters), wanted, 1e-10)


def test_edges_of_the_support():
    assert negative_binomial.pmf(-1, 5.0, 0.5) == 0
    assert negative_binomial.cdf(-1, 5.0, 0.5) == 0
    assert negative_binomial.pmf(0, 5.0, 1.0) == 1


def test_slopes_in_both_parameters():
    def lower(k, n, p):
        return mpmath.betainc(n, k + 1, 0, p, regularized=True)

    laws.assert_slopes(negative_binomial.cdf, lower, [(3.0, 5.0, 0.5), (40.0, 2.5, 0.1)], (1, 2))


def test_fit_finds_the_parameters():
    k = stats.nbinom.ppf((np.arange(8000) + 0.5) / 8000, 5.0, 0.4)
    np.testing.assert_allclose(negative_binomial.fit(jnp.asarray(k)), [5.0, 0.4], 2e-2)
    assert negative_binomial.fit(jnp.array([2.0, 2.0, 2.0]))[0] == jnp.inf


def test_samples_follow_the_law():
    laws.assert_samples_fit(negative_binomial, PARAMETERS, LAW)


def test_quantiles_invert():
    laws.assert_quantiles_invert(negative_binomial, PARAMETERS, is_count=True)


def test_invalid_parameters_give_nan():
    laws.assert_invalid_gives_nan(
        negative_binomial, laws.COUNTS + laws.MOMENTS, PARAMETERS, {0: [0.0, -1.0], 1: [0.0, 1.1]}
    )


def test_nan_gives_nan():
    laws.assert_nan_gives_nan(negative_binomial, laws.COUNTS, PARAMETERS)


def test_same_compiled_and_batched():
    x = jnp.array([0.0, 3.0, 12.0], jnp.float32)
    laws.assert_same_batched(negative_binomial, laws.COUNTS[:6], x, PARAMETERS)
