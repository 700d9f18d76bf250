"""The chi-squared law: against SciPy and 40 digits, and what every law promises."""

import jax.numpy as jnp
import mpmath
import numpy as np
from scipy import stats

from fnmath.probability import chi_squared
from tests.probability import shape_laws as laws

PARAMETERS = (3.0,)
ARGUMENTS = {
    "pdf": ("x", "df"),
    "logpdf": ("x", "df"),
    "cdf": ("x", "df"),
    "logcdf": ("x", "df"),
    "sf": ("x", "df"),
    "logsf": ("x", "df"),
    "ppf": ("q", "df"),
    "isf": ("q", "df"),
    "mean": ("df",),
    "variance": ("df",),
    "mode": ("df",),
    "entropy": ("df",),
    "score": ("x", "df"),
    "fisher_information": ("df",),
    "kl": ("p_df", "q_df"),
}
MISTAKES = laws.mistakes(chi_squared, ARGUMENTS)


class LAW:
    """SciPy's law, in the arguments of fnmath."""

    def __new__(cls, df):
        return stats.chi2(df)

    @staticmethod
    def pdf(x, df):
        return stats.chi2(df).pdf(x)

    @staticmethod
    def logpdf(x, df):
        return stats.chi2(df).logpdf(x)

    @staticmethod
    def cdf(x, df):
        return stats.chi2(df).cdf(x)

    @staticmethod
    def logcdf(x, df):
        return stats.chi2(df).logcdf(x)

    @staticmethod
    def sf(x, df):
        return stats.chi2(df).sf(x)

    @staticmethod
    def logsf(x, df):
        return stats.chi2(df).logsf(x)

    @staticmethod
    def ppf(x, df):
        return stats.chi2(df).ppf(x)

    @staticmethod
    def isf(x, df):
        return stats.chi2(df).isf(x)


def test_equals_scipy_over_drawn_parameters():
    rng = np.random.default_rng(3)
    parameters = (np.exp(rng.uniform(-2, 6, 60)),)
    x = parameters[0] * np.exp(rng.normal(0, 0.5, 60))
    laws.assert_equals_scipy(chi_squared, LAW, laws.NUMBERS, x, parameters)


def test_density_integrates():
    laws.assert_density_integrates(chi_squared, PARAMETERS)


def test_kl_is_the_expected_difference():
    laws.assert_kl(chi_squared, LAW, (3.0,), (5.0,))


def test_score_has_mean_0_and_the_information_as_variance():
    laws.assert_score_has_information(chi_squared, (3.0,), LAW)


def test_entropy_is_scipys():
    for parameters in [(1.0,), (100.0,)]:
        wanted = LAW(*parameters).entropy()
        np.testing.assert_allclose(laws.call(chi_squared.entropy, *parameters), wanted, 1e-10)


def test_edges_of_the_support():
    assert chi_squared.cdf(-1.0, *PARAMETERS) == 0
    assert chi_squared.sf(-1.0, *PARAMETERS) == 1
    assert chi_squared.logpdf(-1.0, *PARAMETERS) == -jnp.inf
    assert chi_squared.cdf(jnp.inf, *PARAMETERS) == 1
    assert chi_squared.logsf(jnp.inf, *PARAMETERS) == -jnp.inf


def test_slopes_in_both_arguments():
    def lower(x, df):
        return mpmath.gammainc(df / 2, 0, x / 2, regularized=True)

    laws.assert_slopes(chi_squared.cdf, lower, [(1.0, 3.0), (0.01, 1.0), (120.0, 100.0)], (0, 1))


def test_fit_finds_the_parameter():
    x = stats.chi2.ppf((np.arange(4000) + 0.5) / 4000, 7.0)
    np.testing.assert_allclose(chi_squared.fit(jnp.asarray(x)), 7.0, 1e-3)


def test_samples_follow_the_law():
    laws.assert_samples_fit(chi_squared, PARAMETERS, LAW)


def test_quantiles_invert():
    laws.assert_quantiles_invert(chi_squared, PARAMETERS)


def test_invalid_parameters_give_nan():
    laws.assert_invalid_gives_nan(
        chi_squared, laws.NUMBERS + laws.MOMENTS, PARAMETERS, {0: [0.0, -1.0]}
    )


def test_nan_gives_nan():
    laws.assert_nan_gives_nan(chi_squared, laws.NUMBERS, PARAMETERS)


def test_same_compiled_and_batched():
    x = jnp.array([0.1, 2.0, 30.0], jnp.float32)
    laws.assert_same_batched(chi_squared, laws.NUMBERS[:6], x, PARAMETERS)
