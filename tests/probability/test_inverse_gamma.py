"""The inverse gamma law: against SciPy and 40 digits, and what every law promises."""

import mpmath
import numpy as np
import pytest
from scipy import stats

from fnmath.probability import inverse_gamma
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
MISTAKES = laws.mistakes(inverse_gamma, ARGUMENTS)
AT_0 = laws.without_location(inverse_gamma)


class TestLaws(laws.Shapes):
    family = AT_0
    peer = staticmethod(lambda a, scale: stats.invgamma(a, 0, scale))
    parameters = (3.5, 1.5)
    bad = (
        (0, (0.0, -1.0)),
        (1, (0.0, -2.0)),
    )
    pairs = (((2.5, 1.5), (3.0, 1.0)),)
    entropies = ((2.5, 1.5), (300.0, 0.1))
    fitted = ((3.0, 2.0), 1e-2)
    ends = (
        ("cdf", (-1.0, 3.5, 1.5), 0),
        ("sf", (-1.0, 3.5, 1.5), 1),
        ("pdf", (-1.0, 3.5, 1.5), 0),
        ("logpdf", (-1.0, 3.5, 1.5), -np.inf),
        ("cdf", (np.inf, 3.5, 1.5), 1),
        ("logsf", (np.inf, 3.5, 1.5), -np.inf),
        ("ppf", (0.0, 3.5, 1.5), 0),
        ("ppf", (1.0, 3.5, 1.5), np.inf),
        ("isf", (0.0, 3.5, 1.5), np.inf),
        ("ppf", (1.5, 3.5, 1.5), np.nan),
    )

    @staticmethod
    def drawn(rng):
        a, scale = np.exp(rng.uniform(-1, 5, 64)), np.exp(rng.uniform(-2, 2, 64))
        return stats.invgamma.rvs(a, 0, scale, random_state=rng), a, scale


@pytest.mark.usefixtures("x64")
def test_slopes_in_all_arguments():
    def lower(x, a, s):
        return mpmath.gammainc(a, s / x, mpmath.inf, regularized=True)

    points = [(0.7, 0.5, 3.5, 1.5), (40.0, 0.5, 0.5, 1.0), (0.1, 0.5, 30.0, 2.0)]
    laws.assert_slopes({AT_0.cdf: ("x", lower)}, points, (0, 1, 2))


class TestLocation(laws.Located):
    family, at_0, peer = inverse_gamma, AT_0, stats.invgamma
