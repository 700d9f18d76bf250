"""fnmath.statistics, tests of significance: against SciPy and mpmath, far into the tails."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
import scipy.stats

from fnmath.statistics import (
    one_sample_ks_test,
    one_sample_t_test,
    paired_t_test,
    two_sample_ks_test,
    two_sample_t_test,
    welch_t_test,
)
from fnmath.statistics._student import two_sided_tail, upper_tail
from fnmath.statistics.significance import _kolmogorov_tail
from tests.helpers import Mistake, assert_derivatives, assert_gradient, assert_transforms

random = np.random.default_rng(3)
ALTERNATIVES = ["two-sided", "less", "greater"]
x = jnp.ones((4, 3))
MISTAKES = [
    mistake
    for f in [two_sample_t_test, welch_t_test, two_sample_ks_test]
    for mistake in [
        Mistake(
            f,
            (x, x.astype(int)),
            {},
            TypeError,
            f"{f.__name__}: y has dtype int32; wanted a floating dtype; "
            "did you mean y.astype(jnp.float32)?",
        ),
        Mistake(
            f,
            (x, x[0]),
            {},
            ValueError,
            f"{f.__name__}: x (4, 3) and y (3,) must have one batch shape",
        ),
        Mistake(
            f,
            (x, jnp.ones(())),
            {},
            ValueError,
            f"{f.__name__}: y has shape (); wanted at least 1 axis, (*batch n); "
            "did you mean y[None]?",
        ),
    ]
]
MISTAKES += [
    Mistake(
        f,
        (x[0], x[0]) if f is not one_sample_t_test else (x[0], 0.0),
        {"alternative": "more"},
        ValueError,
        f"{f.__name__}: alternative is 'more'; wanted one of 'two-sided', 'less', 'greater'",
    )
    for f in [one_sample_t_test, paired_t_test, two_sample_t_test, welch_t_test]
]
MISTAKES += [
    Mistake(
        one_sample_t_test,
        (jnp.ones(1), 0.0),
        {},
        ValueError,
        "one_sample_t_test: x (1,) has 1 number; wanted at least 2",
    ),
    Mistake(
        one_sample_t_test,
        (jnp.ones(3), "0"),
        {},
        TypeError,
        "one_sample_t_test: mean is '0' (str); wanted a number",
    ),
    Mistake(
        one_sample_t_test,
        (x, jnp.ones(3)),
        {},
        ValueError,
        "one_sample_t_test: mean (3,) and x (4, 3) must have one batch shape",
    ),
    Mistake(
        paired_t_test,
        (x, x[:, :2]),
        {},
        ValueError,
        "paired_t_test: x (4, 3) and y (4, 2) must have one shape",
    ),
    Mistake(
        paired_t_test,
        (x.astype(int), x.astype(int)),
        {},
        TypeError,
        "paired_t_test: x has dtype int32; wanted a floating dtype; "
        "did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        one_sample_ks_test,
        (jnp.ones(0), jnp.sin),
        {},
        ValueError,
        "one_sample_ks_test: x (0,) has 0 numbers; wanted at least 1",
    ),
    Mistake(
        one_sample_ks_test,
        (x, "norm"),
        {},
        TypeError,
        "one_sample_ks_test: cdf is a str; wanted a function",
    ),
    Mistake(
        one_sample_ks_test,
        (x, jnp.sum),
        {},
        ValueError,
        "one_sample_ks_test: cdf returns () for x (4, 3); wanted one shape",
    ),
]


def exact_tail(t, nu):
    """P(|T| > t) at 40 digits; by SciPy, in double precision, where the series is too long."""
    if nu > 1e4:
        return 2 * scipy.special.stdtr(float(nu), -float(t))
    with mpmath.workdps(40):
        t, nu = mpmath.mpf(float(t)), mpmath.mpf(float(nu))
        z = nu / (nu + t * t)
        return float(mpmath.betainc(nu / 2, mpmath.mpf(1) / 2, 0, z, regularized=True))


class TestStudentsTail:
    T = np.array([0.0, 1e-4, 0.1, 0.9, 1.1, 3.0, 8.0, 20.0, 300.0])
    NU = np.array([0.5, 1.0, 2.0, 4.5, 30.0, 1e3, 1e6])

    @pytest.mark.usefixtures("x64")
    def test_reference_in_double_precision(self):
        t, nu = (a.ravel() for a in np.meshgrid(self.T, self.NU))
        expected = np.array([exact_tail(*pair) for pair in zip(t, nu, strict=True)])
        known = expected > 1e-300
        ours = two_sided_tail(jnp.asarray(t), jnp.asarray(nu))[known]
        np.testing.assert_allclose(ours, expected[known], rtol=4e-13)

    @pytest.mark.last_digits
    def test_reference_in_single_precision(self):
        """Within ε (1 + |log p|), as it is conditioned."""
        t, nu = (np.float32(a.ravel()) for a in np.meshgrid(self.T, self.NU))
        expected = np.array([exact_tail(*pair) for pair in zip(t, nu, strict=True)])
        known = expected > 1e-36
        ours = np.asarray(jax.jit(two_sided_tail)(t, nu))[known]
        error = np.abs(ours / expected[known] - 1) / (1 - np.log(expected[known]))
        assert error.max() < 4 * np.finfo(np.float32).eps

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_derivatives(self):
        t, nu = jnp.asarray([0.2, -1.5, 4.0]), jnp.asarray([1.3, 7.0, 2.0])
        assert_derivatives(two_sided_tail, t, nu)
        assert_derivatives(upper_tail, t, nu)
        density = jax.scipy.stats.t.pdf
        slope = jax.vmap(jax.grad(upper_tail))
        every = jnp.asarray([-3.0, 0.0, 1.0]), jnp.full(3, 2.5)
        np.testing.assert_allclose(slope(*every), -density(*every), rtol=1e-12)

    @pytest.mark.usefixtures("x64")
    def test_reference_of_the_derivative_by_the_degrees(self):
        t, nu = np.array([0.5, 3.0, 12.0]), np.array([2.0, 5.0, 3.3])
        h = 1e-4
        above, below = (
            np.array([exact_tail(a, b + s) for a, b in zip(t, nu, strict=True)]) for s in (h, -h)
        )
        ours = jax.vmap(jax.grad(two_sided_tail, 1))(jnp.asarray(t), jnp.asarray(nu))
        np.testing.assert_allclose(ours, (above - below) / (2 * h), rtol=1e-6)

    def test_edges(self):
        inf, nan = jnp.inf, jnp.nan
        assert two_sided_tail(jnp.asarray(0.0), jnp.asarray(3.0)) == 1
        assert two_sided_tail(jnp.asarray(-inf), jnp.asarray(1.0)) == 0
        assert upper_tail(jnp.asarray(-inf), jnp.asarray(3.0)) == 1
        assert jnp.isnan(two_sided_tail(jnp.asarray(nan), jnp.asarray(3.0)))
        assert jnp.isnan(two_sided_tail(jnp.asarray(1.0), jnp.asarray(0.0)))
        far = two_sided_tail(jnp.asarray(1e30), jnp.asarray(1.0))  # whose square overflows
        np.testing.assert_allclose(far, 2 / np.pi * 1e-30, rtol=1e-5)


class TestOfMeans:
    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("alternative", ALTERNATIVES)
    def test_agrees_with_scipy(self, alternative):
        x, y = random.standard_normal((3, 8)), 0.7 + 2 * random.standard_normal((3, 11))
        X, Y = jnp.asarray(x), jnp.asarray(y)
        options = {"alternative": alternative}
        for ours, theirs in [
            (
                one_sample_t_test(X, 0.3, **options),
                scipy.stats.ttest_1samp(x, 0.3, axis=-1, **options),
            ),
            (
                one_sample_t_test(X, Y[:, 0], **options),
                scipy.stats.ttest_1samp(x, y[:, :1], axis=-1, **options),
            ),
            (
                paired_t_test(X, Y[:, :8], **options),
                scipy.stats.ttest_rel(x, y[:, :8], axis=-1, **options),
            ),
            (
                two_sample_t_test(X, Y, **options),
                scipy.stats.ttest_ind(x, y, axis=-1, **options),
            ),
            (
                welch_t_test(X, Y, **options),
                scipy.stats.ttest_ind(x, y, axis=-1, equal_var=False, **options),
            ),
        ]:
            np.testing.assert_allclose(ours.statistic, theirs.statistic, rtol=1e-11)
            np.testing.assert_allclose(ours.p_value, theirs.pvalue, rtol=1e-10)
            np.testing.assert_allclose(ours.degrees, theirs.df, rtol=1e-12)

    def test_means_far_from_zero_keep_their_difference(self):
        x, y = jnp.float32(random.standard_normal((2, 50)) + 1e4)
        for ours, theirs in [
            (two_sample_t_test(x, y), scipy.stats.ttest_ind(np.float64(x), np.float64(y))),
            (one_sample_t_test(x, 1e4), scipy.stats.ttest_1samp(np.float64(x), 1e4)),
        ]:
            np.testing.assert_allclose(ours.statistic, theirs.statistic, rtol=1e-5)
            np.testing.assert_allclose(ours.p_value, theirs.pvalue, rtol=1e-5)

    def test_p_values_far_in_the_tail(self):
        x = jnp.float32(random.standard_normal(40) + 6)
        theirs = scipy.stats.ttest_1samp(np.float64(x), 0.0)
        assert theirs.pvalue < 1e-25
        np.testing.assert_allclose(one_sample_t_test(x, 0.0).p_value, theirs.pvalue, rtol=3e-5)

    @pytest.mark.slow
    def test_law_p_values_are_uniform_where_nothing_is_there(self):
        x, y = jax.random.normal(jax.random.key(0), (2, 4000, 5))
        for test in (paired_t_test, two_sample_t_test):
            p = test(x, y).p_value
            assert scipy.stats.kstest(np.asarray(p), "uniform").pvalue > 0.01

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        x = jnp.asarray(random.standard_normal(6) + 0.4)

        def gradient(x):
            n, d = len(x), x - x.mean()
            s = np.sqrt((d**2).sum() / (n - 1))
            t = np.sqrt(n) * x.mean() / s
            by_x = np.sqrt(n) / s * (1 / n - x.mean() * d / ((n - 1) * s**2))
            return -2 * scipy.stats.t.pdf(t, n - 1) * np.sign(t) * by_x

        assert_gradient(lambda x: one_sample_t_test(x, 0.0).p_value, gradient, x, rtol=1e-10)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("test", [two_sample_t_test, welch_t_test])
    def test_derivatives(self, test):
        x, y = jnp.asarray(random.standard_normal(5)), jnp.asarray(1 + random.standard_normal(7))
        assert_derivatives(lambda x, y: test(x, y).p_value, x, y)

    @pytest.mark.parametrize("test", [paired_t_test, two_sample_t_test, welch_t_test])
    def test_transforms(self, test):
        x, y = jnp.float32(random.standard_normal((2, 3, 6)))
        assert_transforms(lambda x, y: tuple(test(x, y)), x, y, rtol=1e-5)

    def test_edges(self):
        constant = jnp.full(4, 0.1)
        assert one_sample_t_test(constant, 0.0).statistic == jnp.inf
        assert one_sample_t_test(constant, 0.0).p_value == 0
        assert jnp.isnan(one_sample_t_test(constant, jnp.asarray(constant[0])).p_value)
        half = jnp.array([1.0, 2.0, 4.0], jnp.bfloat16)
        for result in (one_sample_t_test(half, 0.0), welch_t_test(half, half)):
            assert result.p_value.dtype == jnp.bfloat16
        assert one_sample_t_test(jnp.ones((0, 3)), 0.0).p_value.shape == (0,)
        for size in (1e-30, 1e30):
            x = size * jnp.array([1.0, 2.0, 4.0])
            ours = two_sample_t_test(x, 3 * x)
            theirs = scipy.stats.ttest_ind(np.float64(x), 3 * np.float64(x))
            np.testing.assert_allclose(ours.statistic, theirs.statistic, rtol=1e-5)


class TestOfDistributions:
    @pytest.mark.usefixtures("x64")
    def test_reference_of_kolmogorovs_tail(self):
        z = np.concatenate([np.linspace(0, 4, 81), [8.0, 15.0]])
        ours = _kolmogorov_tail(jnp.asarray(z))
        np.testing.assert_allclose(ours, scipy.special.kolmogorov(z), rtol=1e-12, atol=1e-300)

    @pytest.mark.last_digits
    def test_reference_of_kolmogorovs_tail_in_single_precision(self):
        z = np.float32(np.linspace(0.05, 6, 120))
        ours = np.asarray(jax.jit(_kolmogorov_tail)(z))
        expected = scipy.special.kolmogorov(np.float64(z))
        error = np.abs(ours / expected - 1) / (1 - np.log(expected))
        assert error.max() < 4 * np.finfo(np.float32).eps

    @pytest.mark.usefixtures("x64")
    def test_agrees_with_scipy(self):
        x, y = random.standard_normal((3, 20)), 0.5 + random.standard_normal((3, 31))
        cdf = jax.scipy.stats.norm.cdf
        ours = one_sample_ks_test(jnp.asarray(x), cdf)
        both = two_sample_ks_test(jnp.asarray(x), jnp.asarray(y))
        for i in range(3):
            theirs = scipy.stats.ks_1samp(x[i], scipy.stats.norm.cdf, method="asymp")
            np.testing.assert_allclose(ours.statistic[i], theirs.statistic, rtol=1e-12)
            np.testing.assert_allclose(ours.p_value[i], theirs.pvalue, rtol=1e-10)
            statistic = scipy.stats.ks_2samp(x[i], y[i]).statistic
            np.testing.assert_allclose(both.statistic[i], statistic, rtol=1e-12)
            p = scipy.special.kolmogorov(np.sqrt(20 * 31 / 51) * statistic)
            np.testing.assert_allclose(both.p_value[i], p, rtol=1e-12)

    def test_ties_are_counted_together(self):
        x, y = jnp.array([1.0, 1.0, 2.0]), jnp.array([1.0, 2.0, 2.0, 3.0])
        theirs = scipy.stats.ks_2samp(np.asarray(x), np.asarray(y))
        np.testing.assert_allclose(two_sample_ks_test(x, y).statistic, theirs.statistic, rtol=1e-6)
        assert two_sample_ks_test(x, x).p_value == 1

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        """One number decides; the p-value follows it."""
        x = jnp.asarray([0.1, 0.25, 0.3, 0.9])  # D = 3/4 − 0.3

        def gradient(x):
            k = np.arange(1, 40)
            terms = (-1.0) ** (k - 1) * k**2 * np.exp(-2 * k**2 * 4 * 0.45**2)
            by_D = -8 * 4 * 0.45 * terms.sum()
            return np.array([0, 0, -by_D, 0])

        assert_gradient(lambda x: one_sample_ks_test(x, lambda x: x).p_value, gradient, x)
        y = jnp.asarray([0.2, 0.5])
        for derivative in (jax.grad, jax.jacfwd):
            slopes = derivative(lambda x, y: two_sample_ks_test(x, y).p_value, (0, 1))(x, y)
            assert all((slope == 0).all() for slope in slopes)

    def test_transforms_and_edges(self):
        x, y = jnp.float32(random.standard_normal((2, 3, 6)))
        assert_transforms(lambda x, y: tuple(two_sample_ks_test(x, y)), x, y)
        one = functools.partial(one_sample_ks_test, cdf=jax.scipy.stats.norm.cdf)
        assert_transforms(lambda x: tuple(one(x)), x)
        missing = jnp.array([1.0, jnp.nan])
        assert jnp.isnan(two_sample_ks_test(missing, jnp.ones(3)).p_value)
        assert jnp.isnan(one(missing).p_value)
        assert one(jnp.ones(3, jnp.bfloat16)).p_value.dtype == jnp.bfloat16
        assert two_sample_ks_test(jnp.ones((0, 3)), jnp.ones((0, 2))).statistic.shape == (0,)
