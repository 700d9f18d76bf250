"""Student's law: against SciPy and 40 digits, and what every law promises."""

import functools

import jax
import mpmath
import numpy as np
import pytest
from scipy import stats

from fnmath.probability import student_t
from tests.helpers import assert_within_ulp
from tests.probability import shape_laws as laws

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
    "fisher_information": ("df", "loc", "scale"),
}
MISTAKES = laws.mistakes(student_t, ARGUMENTS)


class TestLaws(laws.Shapes):
    family = student_t
    peer = staticmethod(stats.t)
    parameters = (3.0, 0.5, 2.0)
    bad = (
        (0, (0.0, -1.0)),
        (1, (np.inf,)),
        (2, (0.0, -2.0)),
    )
    entropies = ((2.5, 1.0, 2.0), (300.0, 0.0, 1.0))
    fitted = ((4.0, 1.0, 2.0), 1e-2)
    ends = (
        ("cdf", (-np.inf, 3.0, 0.5, 2.0), 0),
        ("sf", (-np.inf, 3.0, 0.5, 2.0), 1),
        ("logpdf", (np.inf, 3.0, 0.5, 2.0), -np.inf),
        ("ppf", (0.0, 3.0, 0.5, 2.0), -np.inf),
        ("isf", (0.0, 3.0, 0.5, 2.0), np.inf),
        ("ppf", (1.5, 3.0, 0.5, 2.0), np.nan),
        ("ppf", (0.5, 3.0, 0.0, 2.0), 0),
        ("isf", (0.5, 3.0, 0.5, 2.0), 0.5),
        ("mean", (0.5, 1.0, 0.5, 2.0), np.nan),
        ("variance", (0.5, 2.0, 0.5, 2.0), np.inf),
    )

    @staticmethod
    def drawn(rng):
        df, loc, scale = (
            np.exp(rng.uniform(-0.5, 5, 64)),
            rng.normal(size=64),
            rng.gamma(2, size=64),
        )
        return loc + scale * rng.standard_t(df), df, loc, scale


def upper(x, df, loc, scale):
    s = (x - loc) / scale
    share = df / (df + s * s)
    tail = mpmath.betainc(df / 2, mpmath.mpf(1) / 2, 0, share, regularized=True) / 2
    return tail if s > 0 else 1 - tail


@pytest.mark.usefixtures("x64")
def test_slopes_in_all_arguments():
    points = [
        (3.0, 0.5, 1.0, 0.0, 1.0),
        (0.7, 0.5, 2.5, 0.0, 1.0),
        (-4.0, 0.5, 30.0, 0.1, 2.0),
        (9.0, 0.5, 400.0, 0.0, 3.0),
    ]
    laws.assert_slopes({student_t.sf: ("x", upper)}, points, (0, 1, 2, 3), 1e-10)


@pytest.mark.last_digits
def test_information_of_the_degrees_of_freedom_to_the_last_digit():
    """Beside every change of form, and where trigammas and fraction cancel to 3.5/ν⁴."""
    df = np.float32([1e-3, 0.3, 3, 7.9, 15.9, 16.1, 31.9, 100, 1e4])
    found = jax.jit(student_t.fisher_information)(df)[:, 0, 0]
    with mpmath.workdps(50):
        by = functools.partial(mpmath.polygamma, 1)
        wanted = [
            float((by(v / 2) - by((v + 1) / 2)) / 4 - (v + 5) / (2 * v * (v + 1) * (v + 3)))
            for v in map(mpmath.mpf, df.tolist())
        ]
    assert_within_ulp(found, wanted, 2)


@pytest.mark.usefixtures("x64")
def test_second_derivatives_of_quantiles():
    """At the median, beside it and in the tails: symmetric, and by ν as by differences."""
    q = np.array([1e-6, 0.1, 0.3, 0.45, 0.5, 0.7, 0.999])
    gradient = jax.grad(student_t.ppf, (0, 1))
    slopes = jax.jit(jax.vmap(gradient, (0, None)))
    curvature = jax.jit(jax.vmap(jax.jacfwd(gradient, (0, 1)), (0, None)))(q, 2.5)
    by_q, by_nu = np.moveaxis(np.array(curvature), 0, 1)
    np.testing.assert_allclose(by_q[1], by_nu[0], rtol=1e-12)
    up, down = (np.array(slopes(q, 2.5 + step)) for step in (1e-5, -1e-5))
    np.testing.assert_allclose(by_nu, (up - down) / 2e-5, rtol=1e-7, atol=1e-8)


def test_second_derivatives_of_log_tails():
    of = TestLaws.parameters, TestLaws.peer
    laws.assert_second_derivatives_of_log_tails(student_t, *of)
