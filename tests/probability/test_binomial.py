"""The binomial law: against SciPy, and what every law promises."""

import jax.numpy as jnp
import numpy as np
from scipy import stats

from fnmath.probability import binomial
from tests.probability import shape_laws as laws

PARAMETERS = (12.0, 0.3)
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
    "fisher_information": ("n", "p"),
    "kl": ("p_n", "p_p", "q_n", "q_p"),
}
MISTAKES = laws.mistakes(binomial, ARGUMENTS)


class LAW:
    """SciPy's law, in the arguments of fnmath."""

    def __new__(cls, n, p):
        return stats.binom(n, p)

    @staticmethod
    def pmf(x, n, p):
        return stats.binom(n, p).pmf(x)

    @staticmethod
    def logpmf(x, n, p):
        return stats.binom(n, p).logpmf(x)

    @staticmethod
    def cdf(x, n, p):
        return stats.binom(n, p).cdf(x)

    @staticmethod
    def logcdf(x, n, p):
        return stats.binom(n, p).logcdf(x)

    @staticmethod
    def sf(x, n, p):
        return stats.binom(n, p).sf(x)

    @staticmethod
    def logsf(x, n, p):
        return stats.binom(n, p).logsf(x)

    @staticmethod
    def ppf(x, n, p):
        return stats.binom(n, p).ppf(x)

    @staticmethod
    def isf(x, n, p):
        return stats.binom(n, p).isf(x)


def test_equals_scipy_over_drawn_parameters():
    rng = np.random.default_rng(3)
    parameters = np.floor(np.exp(rng.uniform(0, 6, 60))), rng.uniform(0.01, 0.99, 60)
    x = rng.binomial(parameters[0].astype(int), parameters[1]).astype(float)
    laws.assert_equals_scipy(binomial, LAW, laws.COUNTS, x, parameters)


def test_probabilities_sum():
    laws.assert_probabilities_sum(binomial, PARAMETERS)


def test_kl_is_the_expected_difference():
    laws.assert_kl(binomial, LAW, (12.0, 0.3), (12.0, 0.4))


def test_entropy_is_scipys():
    for parameters in [(10.0, 0.3), (50.0, 0.01), (1000.0, 0.5)]:
        wanted = LAW(*parameters).entropy()
        np.testing.assert_allclose(laws.call(binomial.entropy, *parameters), wanted, 1e-10)


def test_edges_of_the_support():
    assert binomial.pmf(-1, 5, 0.5) == 0
    assert binomial.pmf(6, 5, 0.5) == 0
    assert binomial.cdf(5, 5, 0.5) == 1
    assert binomial.sf(-1, 5, 0.5) == 1
    assert binomial.pmf(0, 5, 0.0) == 1
    assert binomial.pmf(5, 5, 1.0) == 1
    assert jnp.isnan(binomial.pmf(1, 2.5, 0.5))


def test_score_is_the_slope():
    (score,) = binomial.score(3, 10, 0.3)
    np.testing.assert_allclose(score, 0, atol=1e-5)
    np.testing.assert_allclose(binomial.fisher_information(10, 0.3), [[10 / 0.21]], 1e-6)


def test_fit_is_the_share():
    np.testing.assert_allclose(binomial.fit(jnp.array([1, 2, 6]), 10), 0.3, 1e-6)


def test_samples_follow_the_law():
    laws.assert_samples_fit(binomial, PARAMETERS, LAW)


def test_quantiles_invert():
    laws.assert_quantiles_invert(binomial, PARAMETERS, is_count=True)


def test_invalid_parameters_give_nan():
    laws.assert_invalid_gives_nan(
        binomial, laws.COUNTS + laws.MOMENTS, PARAMETERS, {0: [-1.0], 1: [-0.1, 1.1]}
    )


def test_nan_gives_nan():
    laws.assert_nan_gives_nan(binomial, laws.COUNTS, PARAMETERS)


def test_same_compiled_and_batched():
    x = jnp.array([0.0, 3.0, 12.0], jnp.float32)
    laws.assert_same_batched(binomial, laws.COUNTS[:6], x, PARAMETERS)
