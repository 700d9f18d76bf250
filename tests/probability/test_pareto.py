"""fnmath.probability.pareto: against SciPy, by its laws, and next to its end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import pareto
from tests.helpers import assert_within_ulp
from tests.probability import laws

FAMILY = laws.Family(
    pareto,
    [(2.5, 0.0, 1.0), (0.7, 1.5, 2.5), (3.5, -3.0, 0.5)],
    scipy.stats.pareto,
    [(0.0, 0.0, 1.0), (-1.0, 0.0, 1.0), (1.0, 0.0, 0.0), (1.0, np.inf, 1.0)],
    low=lambda b, loc, scale: loc + scale,
)


class TestLaws(laws.Continuous):
    family = FAMILY
    pairs = (
        ((3.0, 0.0, 2.0), (1.0, 0.0, 1.5)),
        ((2.0, 0.0, 1.0), (2.0001, 0.0, 1.0)),
    )
    estimated = ((2.5, 0.0, 1.5), (0, 2))
    of_kl = staticmethod(lambda b, loc, scale: (b, scale))


def test_moments_that_do_not_exist_are_infinite():
    np.testing.assert_array_equal(jax.jit(pareto.mean)(jnp.array([0.5, 1.0])), np.inf)
    np.testing.assert_array_equal(jax.jit(pareto.variance)(jnp.array([1.5, 2.0])), np.inf)


def test_a_support_that_is_not_covered_diverges():
    assert pareto.kl(1.0, 1.0, 1.0, 2.0) == jnp.inf


@pytest.mark.last_digits
def test_next_to_the_end():
    x = np.float32(2.0000002)
    wanted = -3 * np.log(np.float64(x) / 2)
    assert_within_ulp(
        jax.jit(pareto.logsf)(x, jnp.float32(3), jnp.float32(0), jnp.float32(2)), wanted, 1
    )
