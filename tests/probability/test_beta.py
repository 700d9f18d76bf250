"""The beta law: against SciPy and 40 digits, and what every law promises."""

import jax.numpy as jnp
import mpmath
import numpy as np
from scipy import stats

from fnmath.probability import beta
from tests.probability import shape_laws as laws

PARAMETERS = (2.0, 3.5)
ARGUMENTS = {
    "pdf": ("x", "a", "b"),
    "logpdf": ("x", "a", "b"),
    "cdf": ("x", "a", "b"),
    "logcdf": ("x", "a", "b"),
    "sf": ("x", "a", "b"),
    "logsf": ("x", "a", "b"),
    "ppf": ("q", "a", "b"),
    "isf": ("q", "a", "b"),
    "mean": ("a", "b"),
    "variance": ("a", "b"),
    "mode": ("a", "b"),
    "entropy": ("a", "b"),
    "score": ("x", "a", "b"),
    "fisher_information": ("a", "b"),
    "kl": ("p_a", "p_b", "q_a", "q_b"),
}
MISTAKES = laws.mistakes(beta, ARGUMENTS)


class LAW:
    """SciPy's law, in the arguments of fnmath."""

    def __new__(cls, a, b):
        return stats.beta(a, b)

    @staticmethod
    def pdf(x, a, b):
        return stats.beta(a, b).pdf(x)

    @staticmethod
    def logpdf(x, a, b):
        return stats.beta(a, b).logpdf(x)

    @staticmethod
    def cdf(x, a, b):
        return stats.beta(a, b).cdf(x)

    @staticmethod
    def logcdf(x, a, b):
        return stats.beta(a, b).logcdf(x)

    @staticmethod
    def sf(x, a, b):
        return stats.beta(a, b).sf(x)

    @staticmethod
    def logsf(x, a, b):
        return stats.beta(a, b).logsf(x)

    @staticmethod
    def ppf(x, a, b):
        return stats.beta(a, b).ppf(x)

    @staticmethod
    def isf(x, a, b):
        return stats.beta(a, b).isf(x)


def test_equals_scipy_over_drawn_parameters():
    rng = np.random.default_rng(3)
    parameters = np.exp(rng.uniform(-2, 5, (2, 60)))
    x = np.clip(stats.beta.rvs(*parameters, random_state=rng), 1e-6, 1 - 1e-6)
    laws.assert_equals_scipy(beta, LAW, laws.NUMBERS, x, parameters)


def test_density_integrates():
    laws.assert_density_integrates(beta, PARAMETERS)


def test_kl_is_the_expected_difference():
    laws.assert_kl(beta, LAW, (2.0, 3.5), (2.5, 3.0))
    laws.assert_kl(beta, LAW, (2.0, 3.5), (0.5, 9.0))


def test_score_has_mean_0_and_the_information_as_variance():
    laws.assert_score_has_information(beta, (2.0, 3.5), LAW)


def test_entropy_is_scipys():
    for parameters in [(0.5, 0.5), (2.0, 3.5), (30.0, 2.0)]:
        wanted = LAW(*parameters).entropy()
        np.testing.assert_allclose(laws.call(beta.entropy, *parameters), wanted, 1e-10)


def test_edges_of_the_support():
    assert beta.cdf(-0.1, *PARAMETERS) == 0
    assert beta.sf(1.5, *PARAMETERS) == 0
    assert beta.logpdf(1.5, *PARAMETERS) == -jnp.inf
    assert beta.pdf(0.0, 1.0, 3.0) == 3
    assert beta.pdf(1.0, 3.0, 0.5) == jnp.inf


def test_slopes_in_all_arguments():
    def lower(x, a, b):
        return mpmath.betainc(a, b, 0, x, regularized=True)

    points = [(0.3, 2.0, 3.5), (0.01, 0.05, 5.0), (0.9, 30.0, 2.0), (0.2, 0.5, 0.5)]
    laws.assert_slopes(beta.cdf, lower, points, (0, 1, 2))
    laws.assert_slopes(beta.logcdf, lambda *p: mpmath.log(lower(*p)), points, (0, 1, 2))


def test_fit_finds_the_parameters():
    x = stats.beta.ppf((np.arange(4000) + 0.5) / 4000, 2.0, 5.0)
    np.testing.assert_allclose(beta.fit(jnp.asarray(x)), [2.0, 5.0], 2e-3)


def test_samples_follow_the_law():
    laws.assert_samples_fit(beta, PARAMETERS, LAW)


def test_quantiles_invert():
    laws.assert_quantiles_invert(beta, PARAMETERS)


def test_invalid_parameters_give_nan():
    laws.assert_invalid_gives_nan(
        beta, laws.NUMBERS + laws.MOMENTS, PARAMETERS, {0: [0.0, -1.0], 1: [-2.0]}
    )


def test_nan_gives_nan():
    laws.assert_nan_gives_nan(beta, laws.NUMBERS, PARAMETERS)


def test_same_compiled_and_batched():
    x = jnp.array([0.1, 0.5, 0.9], jnp.float32)
    laws.assert_same_batched(beta, laws.NUMBERS[:6], x, PARAMETERS)
