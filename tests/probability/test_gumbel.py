"""fnmath.probability.gumbel: against SciPy, by its laws, and far out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import gumbel
from tests.helpers import assert_within_ulp
from tests.probability import laws

FAMILY = laws.Family(
    gumbel,
    [(0.0, 1.0), (1.5, 2.5), (-3.0, 0.01)],
    scipy.stats.gumbel_r,
    [(0.0, 0.0), (0.0, -1.0), (0.0, np.inf), (np.inf, 1.0)],
)


class TestLaws(laws.Continuous):
    family = FAMILY
    pairs = (
        ((0.0, 1.0), (1.0, 2.0)),
        ((1.0, 0.5), (1.0, 0.5001)),
        ((0.0, 3.0), (2.0, 1.0)),
    )
    estimated = ((1.5, 2.5), (0, 1))


@pytest.mark.usefixtures("x64")
def test_the_estimates_are_the_likeliest():
    x = jnp.asarray(scipy.stats.gumbel_r.rvs(2.0, 3.0, 60, random_state=0))
    assert abs(jax.jit(lambda x: gumbel.score(x, *gumbel.fit(x)).mean(0))(x)).max() < 1e-7


@pytest.mark.last_digits
def test_the_logarithm_of_a_tail_that_is_too_small_for_a_number():
    assert jax.jit(gumbel.logsf)(jnp.float32(1000)) == -1000
    assert_within_ulp(jax.jit(gumbel.logcdf)(jnp.float32(80)), -np.exp(-80.0), 1)


@pytest.mark.last_digits
def test_divergence_of_what_is_nearly_the_same():
    """KL is half the information times the square of the difference, to the second order."""
    near = np.float32(1 + 2**-12)
    wanted = 0.5 * (np.pi**2 / 6 + (1 - 0.5772156649015329) ** 2) * 2.0**-24
    kl = jax.jit(gumbel.kl)(jnp.float32(0), near, jnp.float32(0), jnp.float32(1))
    np.testing.assert_allclose(kl, wanted, rtol=1e-3)
