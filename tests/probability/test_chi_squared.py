"""The chi-squared law: against SciPy and 40 digits, and what every law promises."""

import mpmath
import numpy as np
import pytest
from scipy import stats

from fnmath.probability import chi_squared
from tests.probability import shape_laws as laws

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
    "kl": ("df_p", "df_q"),
}
MISTAKES = laws.mistakes(chi_squared, ARGUMENTS)


class TestLaws(laws.Shapes):
    family = chi_squared
    peer = staticmethod(stats.chi2)
    parameters = (3.0,)
    bad = ((0, (0.0, -1.0)),)
    pairs = (((3.0,), (5.0,)),)
    entropies = ((1.0,), (100.0,))
    fitted = ((7.0,), 1e-3)
    ends = (
        ("cdf", (-1.0, 3.0), 0),
        ("sf", (-1.0, 3.0), 1),
        ("pdf", (-1.0, 3.0), 0),
        ("logpdf", (-1.0, 3.0), -np.inf),
        ("cdf", (np.inf, 3.0), 1),
        ("logsf", (np.inf, 3.0), -np.inf),
        ("ppf", (0.0, 3.0), 0),
        ("ppf", (1.0, 3.0), np.inf),
        ("isf", (0.0, 3.0), np.inf),
        ("ppf", (1.5, 3.0), np.nan),
    )

    @staticmethod
    def drawn(rng):
        df = np.exp(rng.uniform(-2, 6, 64))
        return df * np.exp(rng.normal(0, 0.5, 64)), df


@pytest.mark.usefixtures("x64")
def test_slopes_in_both_arguments():
    def lower(x, df):
        return mpmath.gammainc(df / 2, 0, x / 2, regularized=True)

    points = [(1.0, 0.5, 3.0), (0.01, 0.5, 1.0), (120.0, 0.5, 100.0)]
    laws.assert_slopes({chi_squared.cdf: ("x", lower)}, points, (0, 1))
