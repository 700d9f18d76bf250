"""The gamma law: against SciPy and 40 digits, and what every law promises."""

import mpmath
import numpy as np
import pytest
from scipy import stats

from fnmath.probability import gamma
from tests.probability import shape_laws as laws

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
    "kl": ("a_p", "scale_p", "a_q", "scale_q"),
}
MISTAKES = laws.mistakes(gamma, ARGUMENTS)


class TestLaws(laws.Shapes):
    family = gamma
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
    exact = {gamma.cdf: ("x", lower), gamma.logsf: ("x", log_upper), gamma.ppf: ("q", quantile)}
    laws.assert_slopes(exact, points, (0, 1, 2), 1e-10)
