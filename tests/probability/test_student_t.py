"""Student's law: against SciPy and 40 digits, and what every law promises."""

import jax.numpy as jnp
import mpmath
import numpy as np
from scipy import stats

from fnmath.probability import student_t
from tests.probability import shape_laws as laws

PARAMETERS = (3.0, 0.5, 2.0)
ARGUMENTS = {
    "pdf": ("x", "df", "loc", "scale"),
    "logpdf": ("x", "df", "loc", "scale"),
    "cdf": ("x", "df", "loc", "scale"),
    "logcdf": ("x", "df", "loc", "scale"),
    "sf": ("x", "df", "loc", "scale"),
    "logsf": ("x", "df", "loc", "scale"),
    "ppf": ("q", "df", "loc", "scale"),
    "isf": ("q", "df", "loc", "scale"),
    "mean": ("df", "loc", "scale"),
    "variance": ("df", "loc", "scale"),
    "mode": ("df", "loc", "scale"),
    "entropy": ("df", "loc", "scale"),
    "score": ("x", "df", "loc", "scale"),
}
MISTAKES = laws.mistakes(student_t, ARGUMENTS)


class LAW:
    """SciPy's law, in the arguments of fnmath."""

    def __new__(cls, df, loc, scale):
        return stats.t(df, loc, scale)

    @staticmethod
    def pdf(x, df, loc, scale):
        return stats.t(df, loc, scale).pdf(x)

    @staticmethod
    def logpdf(x, df, loc, scale):
        return stats.t(df, loc, scale).logpdf(x)

    @staticmethod
    def cdf(x, df, loc, scale):
        return stats.t(df, loc, scale).cdf(x)

    @staticmethod
    def logcdf(x, df, loc, scale):
        return stats.t(df, loc, scale).logcdf(x)

    @staticmethod
    def sf(x, df, loc, scale):
        return stats.t(df, loc, scale).sf(x)

    @staticmethod
    def logsf(x, df, loc, scale):
        return stats.t(df, loc, scale).logsf(x)

    @staticmethod
    def ppf(x, df, loc, scale):
        return stats.t(df, loc, scale).ppf(x)

    @staticmethod
    def isf(x, df, loc, scale):
        return stats.t(df, loc, scale).isf(x)


def test_equals_scipy_over_drawn_parameters():
    rng = np.random.default_rng(3)
    parameters = np.exp(rng.uniform(-0.5, 5, 60)), rng.normal(size=60), np.exp(rng.normal(size=60))
    x = parameters[1] + parameters[2] * rng.standard_t(parameters[0])
    laws.assert_equals_scipy(student_t, LAW, laws.NUMBERS, x, parameters)


def test_density_integrates():
    laws.assert_density_integrates(student_t, PARAMETERS)


def test_score_has_mean_0_and_the_information_as_variance():
    laws.assert_score_has_information(student_t, (3.0, 0.5, 2.0), LAW)


def test_entropy_is_scipys():
    for parameters in [(1.0, 0.0, 1.0), (2.5, 1.0, 2.0), (300.0, 0.0, 1.0)]:
        wanted = LAW(*parameters).entropy()
        np.testing.assert_allclose(laws.call(student_t.entropy, *parameters), wanted, 1e-10)


def test_edges_of_the_support():
    assert student_t.cdf(-jnp.inf, *PARAMETERS) == 0
    assert student_t.sf(-jnp.inf, *PARAMETERS) == 1
    assert student_t.logpdf(jnp.inf, *PARAMETERS) == -jnp.inf


def test_slopes_in_all_arguments():
    def upper(x, df, loc, scale):
        s = (x - loc) / scale
        share = df / (df + s * s)
        tail = mpmath.betainc(df / 2, mpmath.mpf(1) / 2, 0, share, regularized=True) / 2
        return tail if s > 0 else 1 - tail

    points = [
        (3.0, 1.0, 0.0, 1.0),
        (0.7, 2.5, 0.0, 1.0),
        (-4.0, 30.0, 0.1, 2.0),
        (9.0, 400.0, 0.0, 3.0),
    ]
    laws.assert_slopes(student_t.sf, upper, points, (0, 1, 2, 3), 1e-10)


def test_fit_finds_the_parameters():
    x = stats.t.ppf((np.arange(4000) + 0.5) / 4000, 4.0, 1.0, 2.0)
    np.testing.assert_allclose(student_t.fit(jnp.asarray(x)), [4.0, 1.0, 2.0], 1e-2)


def test_samples_follow_the_law():
    laws.assert_samples_fit(student_t, PARAMETERS, LAW)


def test_quantiles_invert():
    laws.assert_quantiles_invert(student_t, PARAMETERS)


def test_invalid_parameters_give_nan():
    laws.assert_invalid_gives_nan(
        student_t, laws.NUMBERS + laws.MOMENTS, PARAMETERS, {0: [0.0, -1.0], 2: [0.0, -2.0]}
    )


def test_nan_gives_nan():
    laws.assert_nan_gives_nan(student_t, laws.NUMBERS, PARAMETERS)


def test_same_compiled_and_batched():
    x = jnp.array([-3.0, 0.5, 30.0], jnp.float32)
    laws.assert_same_batched(student_t, laws.NUMBERS[:6], x, PARAMETERS)
