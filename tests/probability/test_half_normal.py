"""fnmath.probability.half_normal: against SciPy, by its laws, and next to its end."""

import jax
import numpy as np
import pytest
import scipy.special
import scipy.stats

from fnmath.probability import half_normal
from tests.helpers import assert_within_ulp
from tests.probability import laws

FAMILY = laws.Family(
    half_normal,
    [(0.0, 1.0), (1.5, 2.5), (-3.0, 0.01)],
    scipy.stats.halfnorm,
    [(0.0, 0.0), (0.0, -1.0), (0.0, np.inf), (np.inf, 1.0)],
    low=lambda loc, scale: loc,
)


class TestLaws(laws.Continuous):
    family = FAMILY
    inexact = ("ppf",)  # SciPy's, of which 1 + q takes the digits
    pairs = (
        ((0.0, 1.0), (0.0, 2.0)),
        ((0.0, 0.5), (0.0, 0.5001)),
    )
    estimated = ((0.0, 2.5), (0, 1))
    of_kl = staticmethod(lambda loc, scale: (scale,))


@pytest.mark.last_digits
def test_next_to_the_end():
    z = np.float32([1e-30, 1e-3, 0.9])
    assert_within_ulp(jax.jit(half_normal.cdf)(z), scipy.special.erf(np.float64(z) / np.sqrt(2)), 1)
    q = np.float32([1e-30, 0.3])
    wanted = np.sqrt(2) * scipy.special.erfinv(np.float64(q))
    assert_within_ulp(jax.jit(half_normal.ppf)(q), wanted, 1)


@pytest.mark.last_digits
def test_logarithm_of_nearly_all():
    """Next to the end log S is about −z √(2/π), of which log 2 + log Φ(−z) keeps few digits."""
    x = np.float32([0.50000006, 0.5000002, 0.51, 1.9, 2.1])
    wanted = scipy.stats.halfnorm.logsf(np.float64(x), 0.5, 1.5)
    assert_within_ulp(jax.jit(half_normal.logsf)(x, np.float32(0.5), np.float32(1.5)), wanted, 1)
