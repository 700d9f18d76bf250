"""The beta law: against SciPy and 40 digits, and what every law promises."""

import jax
import mpmath
import numpy as np
import pytest
from scipy import stats

from fnmath.probability import beta
from tests.probability import shape_laws as laws

ARGUMENTS = {
    "pdf": ("x", "a", "b"),
    "logpdf": ("x", "a", "b"),
    "cdf": ("x", "a", "b"),
    "logcdf": ("x", "a", "b"),
    "sf": ("x", "a", "b"),
    "logsf": ("x", "a", "b"),
    "ppf": ("q", "a", "b"),
    "isf": ("q", "a", "b"),
    "mean": ("a", "b"),
    "variance": ("a", "b"),
    "mode": ("a", "b"),
    "entropy": ("a", "b"),
    "score": ("x", "a", "b"),
    "fisher_information": ("a", "b"),
    "kl": ("a_p", "b_p", "a_q", "b_q"),
}
MISTAKES = laws.mistakes(beta, ARGUMENTS)


class TestLaws(laws.Shapes):
    family = beta
    peer = staticmethod(stats.beta)
    parameters = (2.0, 3.5)
    bad = (
        (0, (0.0, -1.0)),
        (1, (-2.0,)),
    )
    pairs = (((2.0, 3.5), (2.5, 3.0)), ((2.0, 3.5), (0.5, 9.0)))
    entropies = ((0.5, 0.5), (30.0, 2.0))
    fitted = ((2.0, 5.0), 2e-3)
    ends = (
        ("cdf", (-0.1, 2.0, 3.5), 0),
        ("sf", (1.5, 2.0, 3.5), 0),
        ("logpdf", (1.5, 2.0, 3.5), -np.inf),
        ("pdf", (0.0, 1.0, 3.0), 3),
        ("pdf", (1.0, 3.0, 0.5), np.inf),
        ("ppf", (0.0, 2.0, 3.5), 0),
        ("isf", (0.0, 2.0, 3.5), 1),
        ("ppf", (-0.5, 2.0, 3.5), np.nan),
    )

    @staticmethod
    def drawn(rng):
        a, b = np.exp(rng.uniform(-2, 5, (2, 64)))
        return np.clip(rng.beta(a, b), 1e-6, 1 - 1e-6), a, b


def lower(x, a, b):
    return mpmath.betainc(a, b, 0, x, regularized=True)


@pytest.mark.usefixtures("x64")
def test_slopes_in_all_arguments():
    points = [(0.3, 0.5, 2.0, 3.5), (0.01, 0.5, 0.05, 5.0), (0.9, 0.5, 30.0, 2.0)]
    exact = {beta.logcdf: ("x", lambda *p: mpmath.log(lower(*p)))}
    laws.assert_slopes(exact, points, (0, 1, 2))


@pytest.mark.usefixtures("x64")
def test_shapes_about_one_keep_all_digits():
    """In double precision, where the tail of few shapes rests on log Γ(a + b) − log Γ(b)."""
    x = 0.3
    a, b = np.array([(1, 1), (1, 0.5), (0.5, 1), (1, 2), (0.9, 1.1), (0.5, 0.5), (1, 1.0001)]).T
    found = jax.jit(beta.cdf)(x, a, b)
    with mpmath.workdps(40):
        of = [tuple(map(mpmath.mpf, row)) for row in zip(a.tolist(), b.tolist(), strict=True)]
        wanted = [float(mpmath.betainc(p, q, 0, x, regularized=True)) for p, q in of]
    np.testing.assert_allclose(found, wanted, rtol=1e-15)


def test_second_derivatives_of_log_tails():
    of = TestLaws.parameters, TestLaws.peer
    laws.assert_second_derivatives_of_log_tails(beta, *of)
