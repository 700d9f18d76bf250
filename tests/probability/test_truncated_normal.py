"""fnmath.probability.truncated_normal: against SciPy, by its laws, and far from the mean."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import truncated_normal
from tests.helpers import assert_within_ulp
from tests.probability import laws

FAMILY = laws.Family(
    truncated_normal,
    [(-1.0, 2.0, 0.0, 1.0), (-3.0, -0.5, 1.5, 2.5), (0.3, 1.0, 0.0, 3.0)],
    scipy.stats.truncnorm,
    [(1.0, 1.0, 0.0, 1.0), (0.0, 1.0, 0.0, -1.0), (2.0, 1.0, 0.0, 1.0), (0.0, 1.0, np.inf, 1.0)],
    low=lambda a, b, loc, scale: loc + scale * a,
    high=lambda a, b, loc, scale: loc + scale * b,
    location=lambda a, b, loc, scale: loc,
    rounding=1e-15,
    drawn_by=slice(2, 4),  # by the ends they move as the quantiles do
    moved=("logpdf", "cdf", "logsf", "ppf"),  # the others are these of the other tail
)


class TestLaws(laws.Continuous):
    family = FAMILY
    pairs: ClassVar = [((-1.0, 1.0, 0.0, 1.0), (-2.0, 2.0, 0.1, 1.5))]


@pytest.mark.usefixtures("x64")
def test_without_ends_it_is_normal():
    x, q = np.linspace(-5, 5, 7)[None], np.linspace(0.01, 0.99, 7)[None]
    found = laws.evaluate(FAMILY, x, np.array([[-np.inf, np.inf, 0.5, 2.0]]), q=q)
    for name in laws.OF_X + laws.OF_Q:
        wanted = getattr(scipy.stats.norm(0.5, 2.0), name)(x if name in laws.OF_X else q)
        np.testing.assert_allclose(found[name], wanted, rtol=1e-12, atol=1e-15, err_msg=name)
    np.testing.assert_allclose(found["mean"], 0.5, 1e-14)
    np.testing.assert_allclose(found["variance"], 4, 1e-14)


def test_a_support_that_is_not_covered_diverges():
    assert truncated_normal.kl(-1.0, 1.0, 0.0, 1.0, -0.5, 2.0, 0.0, 1.0) == jnp.inf


@pytest.mark.last_digits
def test_far_from_the_mean():
    """Beyond a = 40, whose tail no float32 holds, x − a is exponential to the first order."""
    q = np.float32([0.1, 0.5, 0.999])
    wanted = scipy.stats.truncnorm.ppf(np.float64(q), 40, np.inf)
    args = jnp.float32(40), jnp.float32(jnp.inf)
    assert_within_ulp(jax.jit(truncated_normal.ppf)(q, *args), wanted, 1)
    logpdf = jax.jit(truncated_normal.logpdf)(np.float32(40.05), *args)
    assert_within_ulp(
        logpdf, scipy.stats.truncnorm.logpdf(np.float64(np.float32(40.05)), 40, np.inf), 2
    )
