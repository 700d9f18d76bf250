"""The gamma law: against SciPy and 40 digits, and what every law promises."""

import jax.numpy as jnp
import mpmath
import numpy as np
from scipy import stats

from fnmath.probability import gamma
from tests.probability import shape_laws as laws

PARAMETERS = (2.5, 1.5)
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
MISTAKES = laws.mistakes(gamma, ARGUMENTS)


class LAW:
    """SciPy's law, in the arguments of fnmath."""

    def __new__(cls, a, scale):
        return stats.gamma(a, 0, scale)

    @staticmethod
    def pdf(x, a, scale):
        return stats.gamma(a, 0, scale).pdf(x)

    @staticmethod
    def logpdf(x, a, scale):
        return stats.gamma(a, 0, scale).logpdf(x)

    @staticmethod
    def cdf(x, a, scale):
        return stats.gamma(a, 0, scale).cdf(x)

    @staticmethod
    def logcdf(x, a, scale):
        return stats.gamma(a, 0, scale).logcdf(x)

    @staticmethod
    def sf(x, a, scale):
        return stats.gamma(a, 0, scale).sf(x)

    @staticmethod
    def logsf(x, a, scale):
        return stats.gamma(a, 0, scale).logsf(x)

    @staticmethod
    def ppf(x, a, scale):
        return stats.gamma(a, 0, scale).ppf(x)

    @staticmethod
    def isf(x, a, scale):
        return stats.gamma(a, 0, scale).isf(x)


def test_equals_scipy_over_drawn_parameters():
    rng = np.random.default_rng(3)
    a = np.exp(rng.uniform(-3, 6, 60))
    parameters = a, np.exp(rng.uniform(-2, 2, 60))
    x = stats.gamma.rvs(*parameters[:1], 0, parameters[1], random_state=rng) * np.exp(
        rng.normal(0, 0.2, 60)
    )
    x = np.where(rng.random(60) < 0.5, x, rng.random(60) * 0.98 + 0.01)
    laws.assert_equals_scipy(gamma, LAW, laws.NUMBERS, x, parameters)


def test_density_integrates():
    laws.assert_density_integrates(gamma, PARAMETERS)


def test_kl_is_the_expected_difference():
    laws.assert_kl(gamma, LAW, (2.5, 1.5), (3.0, 1.0))
    laws.assert_kl(gamma, LAW, (0.7, 1.0), (0.71, 1.0))
    laws.assert_kl(gamma, LAW, (0.7, 1.0), (5.0, 2.0))


def test_score_has_mean_0_and_the_information_as_variance():
    laws.assert_score_has_information(gamma, (2.5, 1.5), LAW)


def test_entropy_is_scipys():
    for parameters in [(0.01, 1.0), (2.5, 1.5), (300.0, 0.1)]:
        wanted = LAW(*parameters).entropy()
        np.testing.assert_allclose(laws.call(gamma.entropy, *parameters), wanted, 1e-10)


def test_edges_of_the_support():
    assert gamma.cdf(-1.0, *PARAMETERS) == 0
    assert gamma.sf(-1.0, *PARAMETERS) == 1
    assert gamma.logpdf(-1.0, *PARAMETERS) == -jnp.inf
    assert gamma.cdf(jnp.inf, *PARAMETERS) == 1
    assert gamma.logsf(jnp.inf, *PARAMETERS) == -jnp.inf


POINTS = [
    (1.0, 0.3, 1.0),
    (0.01, 0.01, 1.0),
    (20.0, 30.0, 1.1),
    (45.0, 30.0, 1.0),
    (1e3, 990.0, 1.0),
]


def test_slopes_in_all_arguments():
    def lower(x, a, s):
        return mpmath.gammainc(a, 0, x / s, regularized=True)

    def log_upper(x, a, s):
        return mpmath.log(mpmath.gammainc(a, x / s, mpmath.inf, regularized=True))

    laws.assert_slopes(gamma.cdf, lower, POINTS, (0, 1, 2))
    laws.assert_slopes(gamma.logsf, log_upper, POINTS, (0, 1, 2))


def test_quantile_slopes_are_those_of_the_inverse():
    def implicit(q, a, s):
        guess = laws.call(gamma.ppf, float(q), float(a), float(s))

        def f(x):
            return mpmath.gammainc(a, 0, x / s, regularized=True) - q

        return mpmath.findroot(f, mpmath.mpf(float(guess)))

    laws.assert_slopes(gamma.ppf, implicit, [(0.2, 0.5, 2.0), (0.9, 30.0, 1.0)], (0, 1, 2), 1e-9)


def test_fit_finds_the_parameters():
    x = stats.gamma.ppf((np.arange(4000) + 0.5) / 4000, 3.0, 0, 2.0)
    a, scale = gamma.fit(jnp.asarray(x))
    wanted = stats.gamma.fit(x, floc=0)
    np.testing.assert_allclose([a, scale], [wanted[0], wanted[2]], 1e-4)
    twice = gamma.fit(jnp.asarray(np.concatenate([x, x[:50]])))
    weights = jnp.asarray(np.where(np.arange(4000) < 50, 2.0, 1.0))
    np.testing.assert_allclose(gamma.fit(jnp.asarray(x), weights=weights), twice, 1e-4)


def test_samples_follow_the_law():
    laws.assert_samples_fit(gamma, PARAMETERS, LAW)


def test_quantiles_invert():
    laws.assert_quantiles_invert(gamma, PARAMETERS)


def test_invalid_parameters_give_nan():
    laws.assert_invalid_gives_nan(
        gamma, laws.NUMBERS + laws.MOMENTS, PARAMETERS, {0: [0.0, -1.0], 1: [0.0, -2.0]}
    )


def test_nan_gives_nan():
    laws.assert_nan_gives_nan(gamma, laws.NUMBERS, PARAMETERS)


def test_same_compiled_and_batched():
    x = jnp.array([0.1, 2.0, 30.0], jnp.float32)
    laws.assert_same_batched(gamma, laws.NUMBERS[:6], x, PARAMETERS)
