"""The inverse gamma law: against SciPy, and what every law promises."""

import jax.numpy as jnp
import numpy as np
from scipy import stats

from fnmath.probability import inverse_gamma
from tests.probability import shape_laws as laws

PARAMETERS = (3.5, 1.5)
ARGUMENTS = {
    "pdf": ("x", "a", "scale"),
    "logpdf": ("x", "a", "scale"),
    "cdf": ("x", "a", "scale"),
    "logcdf": ("x", "a", "scale"),
    "sf": ("x", "a", "scale"),
    "logsf": ("x", "a", "scale"),
    "ppf": ("q", "a", "scale"),
    "isf": ("q", "a", "scale"),
    "mean": ("a", "scale"),
    "variance": ("a", "scale"),
    "mode": ("a", "scale"),
    "entropy": ("a", "scale"),
    "score": ("x", "a", "scale"),
    "fisher_information": ("a", "scale"),
    "kl": ("p_a", "p_scale", "q_a", "q_scale"),
}
MISTAKES = laws.mistakes(inverse_gamma, ARGUMENTS)


class LAW:
    """SciPy's law, in the arguments of fnmath."""

    def __new__(cls, a, scale):
        return stats.invgamma(a, 0, scale)

    @staticmethod
    def pdf(x, a, scale):
        return stats.invgamma(a, 0, scale).pdf(x)

    @staticmethod
    def logpdf(x, a, scale):
        return stats.invgamma(a, 0, scale).logpdf(x)

    @staticmethod
    def cdf(x, a, scale):
        return stats.invgamma(a, 0, scale).cdf(x)

    @staticmethod
    def logcdf(x, a, scale):
        return stats.invgamma(a, 0, scale).logcdf(x)

    @staticmethod
    def sf(x, a, scale):
        return stats.invgamma(a, 0, scale).sf(x)

    @staticmethod
    def logsf(x, a, scale):
        return stats.invgamma(a, 0, scale).logsf(x)

    @staticmethod
    def ppf(x, a, scale):
        return stats.invgamma(a, 0, scale).ppf(x)

    @staticmethod
    def isf(x, a, scale):
        return stats.invgamma(a, 0, scale).isf(x)


def test_equals_scipy_over_drawn_parameters():
    rng = np.random.default_rng(3)
    a = np.exp(rng.uniform(-1, 5, 60))
    parameters = a, np.exp(rng.uniform(-2, 2, 60))
    x = stats.invgamma.rvs(a, 0, parameters[1], random_state=rng)
    laws.assert_equals_scipy(inverse_gamma, LAW, laws.NUMBERS, x, parameters)


def test_density_integrates():
    laws.assert_density_integrates(inverse_gamma, PARAMETERS)


def test_kl_is_the_expected_difference():
    laws.assert_kl(inverse_gamma, LAW, (2.5, 1.5), (3.0, 1.0))


def test_score_has_mean_0_and_the_information_as_variance():
    laws.assert_score_has_information(inverse_gamma, (3.5, 1.5), LAW)


def test_entropy_is_scipys():
    for parameters in [(0.5, 1.0), (2.5, 1.5), (300.0, 0.1)]:
        wanted = LAW(*parameters).entropy()
        np.testing.assert_allclose(laws.call(inverse_gamma.entropy, *parameters), wanted, 1e-10)


def test_edges_of_the_support():
    assert inverse_gamma.cdf(-1.0, *PARAMETERS) == 0
    assert inverse_gamma.sf(-1.0, *PARAMETERS) == 1
    assert inverse_gamma.logpdf(-1.0, *PARAMETERS) == -jnp.inf
    assert inverse_gamma.cdf(jnp.inf, *PARAMETERS) == 1
    assert inverse_gamma.logsf(jnp.inf, *PARAMETERS) == -jnp.inf


def test_fit_finds_the_parameters():
    x = stats.invgamma.ppf((np.arange(4000) + 0.5) / 4000, 3.0, 0, 2.0)
    np.testing.assert_allclose(inverse_gamma.fit(jnp.asarray(x)), [3.0, 2.0], 5e-3)


def test_samples_follow_the_law():
    laws.assert_samples_fit(inverse_gamma, PARAMETERS, LAW)


def test_quantiles_invert():
    laws.assert_quantiles_invert(inverse_gamma, PARAMETERS)


def test_invalid_parameters_give_nan():
    laws.assert_invalid_gives_nan(
        inverse_gamma, laws.NUMBERS + laws.MOMENTS, PARAMETERS, {0: [0.0, -1.0], 1: [0.0, -2.0]}
    )


def test_nan_gives_nan():
    laws.assert_nan_gives_nan(inverse_gamma, laws.NUMBERS, PARAMETERS)


def test_same_compiled_and_batched():
    x = jnp.array([0.1, 2.0, 30.0], jnp.float32)
    laws.assert_same_batched(inverse_gamma, laws.NUMBERS[:6], x, PARAMETERS)
