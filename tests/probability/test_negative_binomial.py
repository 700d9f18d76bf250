"""The negative binomial law: against SciPy and 40 digits, and what every law promises."""

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import stats

from fnmath.probability import negative_binomial
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
    "kl": ("n_p", "p_p", "n_q", "p_q"),
}
MISTAKES = laws.mistakes(negative_binomial, ARGUMENTS)


class TestLaws(laws.Shapes):
    family = negative_binomial
    peer = staticmethod(stats.nbinom)
    are_counts = True
    parameters = (5.0, 0.4)
    bad = (
        (0, (0.0, -1.0)),
        (1, (0.0, 1.1)),
    )
    pairs = (((5.0, 0.4), (5.0, 0.5)),)
    entropies = ((1.0, 0.1), (20.0, 0.9))
    fitted = ((5.0, 0.4), 2e-2)
    ends = (
        ("pmf", (-1.0, 5.0, 0.5), 0),
        ("cdf", (-1.0, 5.0, 0.5), 0),
        ("sf", (-1.0, 5.0, 0.5), 1),
        ("pmf", (0.0, 5.0, 1.0), 1),
    )

    @staticmethod
    def drawn(rng):
        n, p = np.exp(rng.uniform(-1, 4, 64)), rng.uniform(0.05, 0.95, 64)
        return rng.negative_binomial(n, p).astype(float), n, p


@pytest.mark.usefixtures("x64")
def test_slopes_in_both_parameters():
    def lower(k, n, p):
        return mpmath.betainc(n, k + 1, 0, p, regularized=True)

    points = [(3.0, 0.5, 5.0, 0.5), (40.0, 0.5, 2.5, 0.1)]
    laws.assert_slopes({negative_binomial.cdf: ("x", lower)}, points, (1, 2))


def test_fit_of_counts_that_do_not_spread():
    assert negative_binomial.fit(jnp.array([2.0, 2.0, 2.0]))[0] == jnp.inf
