"""The binomial law: against SciPy and 40 digits, and what every law promises."""

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import stats

from fnmath.probability import binomial
from tests.probability import shape_laws as laws

ARGUMENTS = {
    "pmf": ("k", "n", "p"),
    "logpmf": ("k", "n", "p"),
    "cdf": ("k", "n", "p"),
    "logcdf": ("k", "n", "p"),
    "sf": ("k", "n", "p"),
    "logsf": ("k", "n", "p"),
    "ppf": ("q", "n", "p"),
    "isf": ("q", "n", "p"),
    "mean": ("n", "p"),
    "variance": ("n", "p"),
    "mode": ("n", "p"),
    "entropy": ("n", "p"),
    "score": ("k", "n", "p"),
    "fisher_information": ("n", "p"),
    "kl": ("n_p", "p_p", "n_q", "p_q"),
}
MISTAKES = laws.mistakes(binomial, ARGUMENTS)


class TestLaws(laws.Shapes):
    family = binomial
    peer = staticmethod(stats.binom)
    are_counts = True
    parameters = (12.0, 0.3)
    bad = (
        (0, (-1.0, 2.5)),
        (1, (-0.1, 1.1)),
    )
    pairs = (((12.0, 0.3), (12.0, 0.4)),)
    entropies = ((50.0, 0.01), (1000.0, 0.5))
    ends = (
        ("pmf", (-1.0, 5.0, 0.5), 0),
        ("pmf", (6.0, 5.0, 0.5), 0),
        ("cdf", (5.0, 5.0, 0.5), 1),
        ("sf", (-1.0, 5.0, 0.5), 1),
        ("pmf", (0.0, 5.0, 0.0), 1),
        ("pmf", (5.0, 5.0, 1.0), 1),
        ("pmf", (1.0, 2.5, 0.5), np.nan),
    )

    @staticmethod
    def drawn(rng):
        n, p = np.floor(np.exp(rng.uniform(0, 6, 64))), rng.uniform(0.01, 0.99, 64)
        return rng.binomial(n.astype(int), p).astype(float), n, p

    @pytest.mark.usefixtures("x64")
    def test_fit_finds_the_parameters(self):
        """The share; a weight of 2 is an observation twice."""
        k = jnp.array([1.0, 2.0, 6.0])
        np.testing.assert_allclose(binomial.fit(k, 10.0), 0.3, 1e-12)
        weighted = binomial.fit(k, 10.0, weights=jnp.array([2.0, 1.0, 0.0]))
        np.testing.assert_allclose(weighted, 4 / 30, 1e-12)


@pytest.mark.usefixtures("x64")
def test_slopes_in_the_probability():
    def lower(k, n, p):
        return mpmath.betainc(n - k, k + 1, 0, 1 - p, regularized=True)

    points = [(3.0, 0.5, 12.0, 0.3), (0.0, 0.5, 5.0, 0.01), (130.0, 0.5, 200.0, 0.5)]
    laws.assert_slopes({binomial.cdf: ("x", lower)}, points, (2,))
