"""fnmath.probability.truncated_normal: against SciPy, by its laws, and far from the mean."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import normal, truncated_normal
from tests.helpers import assert_within_ulp
from tests.probability import laws

FAMILY = laws.Family(
    truncated_normal,
    [(-1.0, 2.0, 0.0, 1.0), (-3.0, -0.5, 1.5, 2.5), (0.3, 1.0, 0.0, 3.0)],
    scipy.stats.truncnorm,
    [(1.0, 1.0, 0.0, 1.0), (0.0, 1.0, 0.0, -1.0), (2.0, 1.0, 0.0, 1.0), (0.0, 1.0, np.inf, 1.0)],
    low=lambda a, b, loc, scale: loc + scale * a,
    high=lambda a, b, loc, scale: loc + scale * b,
    moved=("logpdf", "cdf", "logsf", "ppf"),  # the others are these of the other tail
)


class TestLaws(laws.Continuous):
    family = FAMILY
    pairs: ClassVar = [((-1.0, 1.0, 0.0, 1.0), (-2.0, 2.0, 0.1, 1.5))]


def test_without_ends_it_is_normal():
    x = jnp.linspace(-5.0, 5.0, 7)
    for name in laws.OF_X:
        ours, wanted = jax.jit(
            lambda x, name=name: (
                getattr(truncated_normal, name)(x, -jnp.inf, jnp.inf, 0.5, 2.0),
                getattr(normal, name)(x, 0.5, 2.0),
            )
        )(x)
        np.testing.assert_allclose(ours, wanted, rtol=1e-6, err_msg=name)


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
