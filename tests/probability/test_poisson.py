"""Poisson's law: against SciPy and 40 digits, and what every law promises."""

import mpmath
import numpy as np
import pytest
from scipy import stats

from fnmath.probability import poisson
from tests.probability import shape_laws as laws

ARGUMENTS = {
    "pmf": ("k", "mu"),
    "logpmf": ("k", "mu"),
    "cdf": ("k", "mu"),
    "logcdf": ("k", "mu"),
    "sf": ("k", "mu"),
    "logsf": ("k", "mu"),
    "ppf": ("q", "mu"),
    "isf": ("q", "mu"),
    "mean": ("mu",),
    "variance": ("mu",),
    "mode": ("mu",),
    "entropy": ("mu",),
    "score": ("k", "mu"),
    "fisher_information": ("mu",),
    "kl": ("mu_p", "mu_q"),
}
MISTAKES = laws.mistakes(poisson, ARGUMENTS)


class TestLaws(laws.Shapes):
    family = poisson
    peer = staticmethod(stats.poisson)
    are_counts = True
    parameters = (4.5,)
    bad = ((0, (-1.0,)),)
    pairs = (((4.5,), (5.5,)),)
    entropies = ((0.01,), (63.0,), (65.0,), (1000.0,))
    fitted = ((4.5,), 1e-2)
    ends = (
        ("pmf", (-1.0, 2.0), 0),
        ("pmf", (1.5, 2.0), 0),
        ("cdf", (-1.0, 2.0), 0),
        ("sf", (-1.0, 2.0), 1),
        ("pmf", (0.0, 0.0), 1),
        ("logpmf", (3.0, 0.0), -np.inf),
        ("ppf", (0.0, 2.0), -1),
        ("ppf", (1.0, 2.0), np.inf),
    )

    @staticmethod
    def drawn(rng):
        mu = np.exp(rng.uniform(-3, 6, 64))
        return rng.poisson(mu).astype(float), mu

    @classmethod
    def entropy(cls, mu):
        log_p = stats.poisson.logpmf(np.arange(0.0, 3000.0), mu)
        return -np.sum(np.exp(log_p) * np.where(log_p > -700, log_p, 0))


@pytest.mark.usefixtures("x64")
def test_slopes_in_the_mean():
    def lower(k, mu):
        return mpmath.gammainc(k + 1, mu, mpmath.inf, regularized=True)

    points = [(3.0, 0.5, 4.5), (0.0, 0.5, 0.01), (130.0, 0.5, 100.0)]
    exact = {poisson.cdf: ("x", lower), poisson.logsf: ("x", lambda *p: mpmath.log(1 - lower(*p)))}
    laws.assert_slopes(exact, points, (1,))
