"""The gamma law: against SciPy and 40 digits, and what every law promises."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import stats

from fnmath.probability import gamma
from tests.helpers import assert_within_ulp
from tests.probability import shape_laws as laws

ARGUMENTS = {
    "pdf": ("x", "a", "loc", "scale"),
    "logpdf": ("x", "a", "loc", "scale"),
    "cdf": ("x", "a", "loc", "scale"),
    "logcdf": ("x", "a", "loc", "scale"),
    "sf": ("x", "a", "loc", "scale"),
    "logsf": ("x", "a", "loc", "scale"),
    "ppf": ("q", "a", "loc", "scale"),
    "isf": ("q", "a", "loc", "scale"),
    "mean": ("a", "loc", "scale"),
    "variance": ("a", "loc", "scale"),
    "mode": ("a", "loc", "scale"),
    "entropy": ("a", "loc", "scale"),
    "score": ("x", "a", "loc", "scale"),
    "fisher_information": ("a", "loc", "scale"),
    "kl": ("a_p", "scale_p", "a_q", "scale_q"),
}
MISTAKES = laws.mistakes(gamma, ARGUMENTS)
AT_0 = laws.without_location(gamma)


class TestLaws(laws.Shapes):
    family = AT_0
    peer = staticmethod(lambda a, scale: stats.gamma(a, 0, scale))
    parameters = (2.5, 1.5)
    bad = (
        (0, (0.0, -1.0)),
        (1, (0.0, -2.0)),
    )
    pairs = (
        ((2.5, 1.5), (3.0, 1.0)),
        ((0.7, 1.0), (0.71, 1.0)),
        ((0.7, 1.0), (5.0, 2.0)),
    )
    entropies = ((0.01, 1.0), (300.0, 0.1))
    fitted = ((3.0, 2.0), 1e-3)
    ends = (
        ("cdf", (-1.0, 2.5, 1.5), 0),
        ("sf", (-1.0, 2.5, 1.5), 1),
        ("pdf", (-1.0, 2.5, 1.5), 0),
        ("logpdf", (-1.0, 2.5, 1.5), -np.inf),
        ("cdf", (np.inf, 2.5, 1.5), 1),
        ("logsf", (np.inf, 2.5, 1.5), -np.inf),
        ("ppf", (0.0, 2.5, 1.5), 0),
        ("ppf", (1.0, 2.5, 1.5), np.inf),
        ("isf", (0.0, 2.5, 1.5), np.inf),
        ("ppf", (1.5, 2.5, 1.5), np.nan),
    )

    @staticmethod
    def drawn(rng):
        a, scale = np.exp(rng.uniform(-3, 6, 64)), np.exp(rng.uniform(-2, 2, 64))
        x = rng.gamma(a, scale) * np.exp(rng.normal(0, 0.2, 64))
        return np.maximum(x, 1e-100), a, scale


def lower(x, a, s):
    return mpmath.gammainc(a, 0, x / s, regularized=True)


def log_upper(x, a, s):
    return mpmath.log(mpmath.gammainc(a, x / s, mpmath.inf, regularized=True))


def quantile(q, a, s):
    start = stats.gamma.ppf(float(q), float(a), 0, float(s))
    return mpmath.findroot(lambda x: lower(x, a, s) - q, mpmath.mpf(float(start)))


@pytest.mark.usefixtures("x64")
def test_slopes_in_all_arguments():
    points = [
        (1.0, 0.2, 0.5, 2.0),
        (0.01, 0.4, 0.3, 1.0),
        (20.0, 0.9, 30.0, 1.1),
        (45.0, 1e-3, 30.0, 1.0),
    ]
    exact = {AT_0.cdf: ("x", lower), AT_0.logsf: ("x", log_upper), AT_0.ppf: ("q", quantile)}
    laws.assert_slopes(exact, points, (0, 1, 2), 1e-10)


class TestLocation(laws.Located):
    family, at_0, peer = gamma, AT_0, stats.gamma


@pytest.mark.last_digits
def test_a_rate_is_the_inverse_of_a_scale():
    x, a, loc, rate = laws.LOCATED
    of_x = ("logpdf", "cdf")
    program = jax.jit(lambda *of: [getattr(gamma, n)(*of, rate=rate) for n in of_x])
    for name, found in zip(of_x, program(x, a, loc), strict=True):
        exact = [np.float64(value) for value in laws.LOCATED]
        wanted = getattr(stats.gamma, name)(*exact[:3], 1 / exact[3])
        assert_within_ulp(found, wanted, 4)

    def both(rate):
        of_scale = [getattr(gamma, n)(a, scale=1 / rate) for n in laws.MOMENTS]
        of_rate = [getattr(gamma, n)(a, rate=rate) for n in laws.MOMENTS]
        quantiles = gamma.ppf(0.3, a, scale=1 / rate), gamma.ppf(0.3, a, rate=rate)
        return [*of_scale, quantiles[0]], [*of_rate, quantiles[1]]

    for of_scale, of_rate in jax.jit(lambda r: jax.jvp(both, (r,), (jnp.ones_like(r),)))(rate):
        np.testing.assert_allclose(np.array(of_rate), np.array(of_scale), 2e-6)
    draws = gamma.sample(jax.random.key(0), 2.0, rate=4.0, shape=(2000,))
    np.testing.assert_allclose(draws.mean(), 0.5, rtol=0.1)
    assert jnp.isnan(gamma.pdf(0.5, 2.0, rate=-1.0))


def test_second_derivatives_of_log_tails():
    of = TestLaws.parameters, TestLaws.peer
    laws.assert_second_derivatives_of_log_tails(AT_0, *of)
