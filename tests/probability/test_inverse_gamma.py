"""The inverse gamma law: against SciPy and 40 digits, and what every law promises."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import stats

from fnmath.probability import inverse_gamma
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


LOC = (np.float32([0.1, 1.7, 40.0, -3.3]), np.float32([0.4, 2.5, 30.0, 7.0]),
       np.float32([-0.3, 0.7, 17.1, -4.1]), np.float32([1.3, 0.6, 0.9, 2.2]))  # fmt: skip


@pytest.mark.last_digits
def test_a_location_keeps_the_digits():
    """Moved by a location that is no multiple of the spacing, x − μ is not rounded."""
    of_x = ("logpdf", "cdf")
    program = jax.jit(lambda *of: [getattr(inverse_gamma, name)(*of) for name in of_x])
    for name, found in zip(of_x, program(*LOC), strict=True):
        wanted = getattr(stats.invgamma, name)(*map(np.float64, LOC))
        assert_within_ulp(found, wanted, 4)


def test_what_follows_a_location():
    _, *of = LOC
    moved = jax.jit(lambda *of: [getattr(inverse_gamma, n)(*of) for n in laws.MOMENTS])(*of)
    at_0 = jax.jit(lambda *of: [getattr(AT_0, n)(*of) for n in laws.MOMENTS])(of[0], of[2])
    for name, found, still in zip(laws.MOMENTS, moved, at_0, strict=True):
        wanted = still + of[1] if name in ("mean", "mode") else still
        np.testing.assert_allclose(found, wanted, 1e-6, err_msg=name)
    found = jax.jit(inverse_gamma.ppf)(np.float32(0.3), *of)
    np.testing.assert_allclose(found, stats.invgamma.ppf(0.3, *of), 2e-6)
    draws = [inverse_gamma.sample(jax.random.key(0), 2.0, loc, shape=(5,)) for loc in (0.0, 10.0)]
    np.testing.assert_allclose(draws[1] - 10, draws[0], atol=2e-6)
    by_x, by_loc = jax.jit(jax.vmap(jax.grad(inverse_gamma.logpdf, (0, 2))))(*LOC)
    np.testing.assert_array_equal(by_x, -by_loc)
    ends = inverse_gamma.cdf(jnp.array([-1.0, 1.0, 2.0]), 2.0, jnp.array([0.0, jnp.inf, jnp.nan]))
    np.testing.assert_array_equal(ends, [0, np.nan, np.nan])
    assert jnp.isnan(inverse_gamma.variance(3.0, jnp.inf))
