"""fnmath.losses, of normals: against 60 digits, where two of them nearly agree and far apart."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats

from fnmath.losses import crps_ensemble, crps_normal, kl_normal, kl_standard_normal
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp
from tests.losses.test_likelihoods import exact, gradients

m, ones = jnp.linspace(-1.0, 1.0, 4), jnp.ones(4)

MISTAKES = [
    Mistake(
        kl_standard_normal,
        (m, m[:, None]),
        {},
        ValueError,
        "kl_standard_normal: mean (4,) and log_variance (4, 1) must have one shape; "
        "did you mean log_variance[:, 0]?",
    ),
    Mistake(
        kl_standard_normal,
        (m, None),
        {},
        TypeError,
        "kl_standard_normal: log_variance is a NoneType; wanted an array",
    ),
    Mistake(
        kl_normal,
        (m, ones, m, 0.0),
        {},
        ValueError,
        "kl_normal: std_q is 0.0; wanted a number in (0, inf)",
    ),
    Mistake(
        kl_normal,
        (m, "wide", m, ones),
        {},
        TypeError,
        "kl_normal: std_p is 'wide' (str); wanted a number",
    ),
    Mistake(
        crps_normal,
        (m, jnp.ones(3), m),
        {},
        ValueError,
        "crps_normal: std (3,) must broadcast to mean (4,)",
    ),
    Mistake(
        crps_normal,
        (m, ones, m.astype(int)),
        {},
        TypeError,
        "crps_normal: targets has dtype int32; wanted a floating dtype; "
        "did you mean targets.astype(jnp.float32)?",
    ),
]


def assert_exact(loss, truth, args, *, value, slopes):
    """Values and gradients by every argument, within so many ULP."""
    expected, by_argument = exact(truth, *args)
    assert_within_ulp(jax.jit(loss)(*args), expected, value)
    ours = gradients(loss, *args, by=tuple(range(len(args))))
    for slope, wanted in zip(ours, by_argument, strict=True):
        assert_within_ulp(slope, wanted, slopes)


class TestKLStandardNormal:
    MEAN = np.float32([0, 1e-9, 0.01, 1, 100, 0, -3, 0.5])
    LOG = np.float32([1e-6, -1e-4, 0.3, -0.9, 1.1, 80, -80, -3])

    @pytest.mark.last_digits
    def test_reference(self):
        truth = lambda m, l: (m * m + mpmath.expm1(l) - l) / 2  # noqa: E731, E741
        assert_exact(kl_standard_normal, truth, (self.MEAN, self.LOG), value=3, slopes=3)

    def test_law_that_it_is_the_divergence_from_the_standard_normal(self):
        ours = kl_standard_normal(jnp.asarray(self.MEAN), jnp.asarray(self.LOG))
        other = kl_normal(jnp.asarray(self.MEAN), jnp.exp(self.LOG / 2), 0.0, 1.0)
        np.testing.assert_allclose(ours, other, rtol=1e-5, atol=1e-9)
        assert (ours > 0).all()

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        pair = jnp.array([1.0, -2.0, 0.1]), jnp.array([1e-3, 1.5, -2.0])
        gradient = lambda pair: (pair[0], 0.5 * jnp.expm1(pair[1]))  # noqa: E731
        assert_gradient(jax.jit(lambda pair: kl_standard_normal(*pair)), gradient, pair)

    def test_edges(self):
        edge = jnp.array([0.0, jnp.inf, -jnp.inf, jnp.nan])
        kl = kl_standard_normal(jnp.zeros(4), edge)
        np.testing.assert_array_equal(kl, [0, np.inf, np.inf, np.nan])
        half = jnp.ones(2, jnp.bfloat16)
        assert kl_standard_normal(half, half).dtype == jnp.bfloat16
        assert kl_standard_normal(jnp.zeros(0), jnp.zeros(0)).shape == (0,)
        assert_transforms(kl_standard_normal, jnp.asarray(self.MEAN), jnp.asarray(self.LOG))


class TestKLNormal:
    P = np.float32([0, 1, 0.5, -3, 10, 0]), np.float32([1, 1.0001, 2, 63.1, 1e-3, 1e-20])
    Q = np.float32([1e-4, 1, 0.25, 5, 9.999, 0.1]), np.float32([1, 1, 3, 100.5, 2e-3, 1e5])

    @pytest.mark.last_digits
    def test_reference(self):
        def truth(m, s, n, r):
            return mpmath.log(r / s) + (s * s + (m - n) ** 2) / (2 * r * r) - mpmath.mpf(1) / 2

        assert_exact(kl_normal, truth, (*self.P, *self.Q), value=3, slopes=4)

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_law_that_it_is_zero_for_equals_alone(self):
        np.testing.assert_array_equal(kl_normal(m, ones, m, ones), 0)
        off = kl_normal(m, ones, m, 1 + 2.0**-20)
        assert_within_ulp(off, np.full(4, 2.0**-40), 16)  # (δσ/σ)², less a third order

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        args = tuple(jnp.array(a) for a in ([0.1, -2.0], [1.0, 2.5], [0.3, 1.0], [1.1, 0.7]))

        def gradient(args):
            m, s, n, r = args
            v, d = s**2 / r**2 - 1, (m - n) / r
            return d / r, v / s, -d / r, -(v + d**2) / r

        assert_gradient(jax.jit(lambda args: kl_normal(*args)), gradient, args)

    def test_edges(self):
        assert jnp.isnan(kl_normal(m, -ones, m, ones)).all()
        assert jnp.isnan(kl_normal(m, ones, m, 0 * ones)).all()
        half = jnp.ones(2, jnp.float16)
        assert kl_normal(half, 1.0, 0.0, 1.0).dtype == jnp.float16
        assert_transforms(kl_normal, *map(jnp.asarray, (*self.P, *self.Q)))


class TestCRPSNormal:
    MEAN = np.float32([0, 1e-4, 0.3, -0.9, 1.01, 3, -20, 100, 5])
    STD = np.float32([1, 1, 2, 1, 1, 1, 1, 0.01, 1e4])

    @pytest.mark.last_digits
    def test_reference(self):
        def truth(m, s, t):
            z = (t - m) / s
            density = mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)
            bulk = z * mpmath.erf(z / mpmath.sqrt(2)) + 2 * density
            return s * (bulk - 1 / mpmath.sqrt(mpmath.pi))

        args = self.MEAN, self.STD, np.zeros_like(self.MEAN)
        assert_exact(crps_normal, truth, args, value=3, slopes=4)

    def test_law_that_a_large_sample_of_the_forecast_scores_the_same(self):
        sample = scipy.stats.norm(1, 2).ppf((np.arange(2000) + 0.5) / 2000)
        for t in (0.5, 4.0):
            ours = crps_normal(jnp.array(1.0), 2.0, jnp.array(t))
            of_sample = crps_ensemble(jnp.asarray(sample, jnp.float32), jnp.array(t))
            np.testing.assert_allclose(ours, of_sample, rtol=2e-3)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        args = tuple(jnp.array(a) for a in ([0.1, -2.0, 3.0], [1.0, 2.5, 0.5], [0.3, 1.0, 0.1]))

        def gradient(args):
            m, s, t = args
            by_mean = 1 - 2 * scipy.stats.norm.cdf(t, m, s)
            return by_mean, 2 * s * scipy.stats.norm.pdf(t, m, s) - np.pi**-0.5, -by_mean

        assert_gradient(jax.jit(lambda args: crps_normal(*args)), gradient, args)

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_second_derivative_in_the_tail(self):
        """2φ(10) is 1.5·10⁻²², to the last places, though Φ is 1 there."""
        bend = jax.grad(jax.grad(crps_normal))(jnp.float32(10), 1.0, jnp.float32(0))
        assert_within_ulp(bend, 2 * scipy.stats.norm.pdf(10), 4)

    @pytest.mark.slow
    def test_edges(self):
        score = crps_normal(jnp.array([jnp.inf, jnp.nan, 1e30]), 1.0, jnp.zeros(3))
        np.testing.assert_array_equal(score, np.float32([np.inf, np.nan, 1e30]))
        assert jnp.isnan(crps_normal(m, 0 * ones, m)).all()
        half = jnp.ones(2, jnp.bfloat16)
        assert crps_normal(half, 1.0, half).dtype == jnp.bfloat16
        args = map(jnp.asarray, (self.MEAN, self.STD, 0 * self.MEAN))
        assert_transforms(crps_normal, *args)
