"""fnmath.losses, of wider tails: Student's t and the negative binomial, against 60 digits."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
import scipy.stats

from fnmath.losses import gaussian_nll_loss, negative_binomial_nll_loss, student_t_nll_loss
from fnmath.numerics._stirling import lag, stirling_error, student_constant
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp
from tests.losses.test_likelihoods import exact, gradients

pytestmark = pytest.mark.slow  # most of it is spent in compiling

y, ones = jnp.linspace(-1.0, 1.0, 4), jnp.ones(4)

MISTAKES = [
    Mistake(
        student_t_nll_loss,
        (y, y, 0, 1.0),
        {},
        ValueError,
        "student_t_nll_loss: df is 0; wanted a number in (0, inf]",
    ),
    Mistake(
        student_t_nll_loss,
        (y, y, 1.0, ones.astype(int)),
        {},
        TypeError,
        "student_t_nll_loss: scale has dtype int32; wanted a floating dtype; "
        "did you mean scale.astype(jnp.float32)?",
    ),
    Mistake(
        negative_binomial_nll_loss,
        (y, ones, -0.5),
        {},
        ValueError,
        "negative_binomial_nll_loss: dispersion is -0.5; wanted a number in [0, inf)",
    ),
    Mistake(
        negative_binomial_nll_loss,
        (y, ones, 0.5),
        {"log_input": None},
        TypeError,
        "negative_binomial_nll_loss: log_input is None (NoneType); wanted True or False",
    ),
]


@pytest.mark.last_digits
class TestStirling:
    X = np.float32([1e-3, 0.3, 0.99, 1, 2.9, 3, 3.1, 10, 1e4, 1e20])

    def test_what_is_left_of_gamma(self):
        def error(x):
            half = mpmath.mpf(1) / 2
            return (
                mpmath.loggamma(x)
                - (x - half) * mpmath.log(x)
                + x
                - half * mpmath.log(2 * mpmath.pi)
            )

        def constant(a):
            return mpmath.log(mpmath.beta(0.5, a)) + mpmath.log(2 * a) / 2

        for f, truth in ((stirling_error, error), (student_constant, constant)):
            value, (slope,) = exact(truth, self.X)
            assert_within_ulp(f(jnp.asarray(self.X)), value, 4)
            assert_within_ulp(jax.vmap(jax.grad(f))(self.X), slope, 8)
        assert stirling_error(jnp.float32(jnp.inf)) == 0
        assert stirling_error(jnp.float32(0)) == jnp.inf

    def test_lag_of_the_logarithm(self):
        v = np.float32([-0.999, -0.5, -0.3, -1e-5, 1e-9, 0.5, 0.999, 1, 3, 1e6])
        value, _ = exact(lambda v: v - mpmath.log1p(v), v)
        assert_within_ulp(lag(jnp.asarray(v), jnp.log1p(v)), value, 4)


def exact_student(y, t, nu, s):
    constant = mpmath.log(mpmath.beta(0.5, nu / 2)) + mpmath.log(nu) / 2
    return (nu + 1) / 2 * mpmath.log1p(((y - t) / s) ** 2 / nu) + mpmath.log(s) + constant


class TestStudentTNLLLoss:
    Y = np.float32([0, 1, -3, 0.1, 50, 1e15, 1e-3, 2, -1e25])
    DF = np.float32([1, 0.3, 4, 1e3, 2.5, 1, 30, 1e6, 3])
    SCALE = np.float32([1, 2, 0.5, 3, 1, 1, 10, 1.5, 2])
    # y, ν, σ where y/σ leaves the range, or z² or ν does, and the loss does not.
    FAR = np.float32(
        [
            (1e30, 1, 1e-30),
            (-1e20, 3, 1e-25),
            (9e29, 0.3, 1e-37),
            (1e25, 1e30, 1e-3),
            (1e22, 1e30, 1),
            (1e8, 1e20, 1),
            (1e19, 3e38, 1),
            (1e-29, 1e-30, 1e10),
            (1e-30, 1, 1e30),
            (3e9, 1, 1),
        ]
    ).T

    @pytest.mark.last_digits
    def test_reference(self):
        y, df, scale = np.concatenate([[self.Y, self.DF, self.SCALE], self.FAR], axis=1)
        args, near = (y, np.zeros_like(y), df, scale), len(self.Y)
        value, slopes = exact(exact_student, *args, digits=200)
        assert_within_ulp(jax.jit(student_t_nll_loss)(*args), value, 4)
        for ours, wanted in zip(
            gradients(student_t_nll_loss, *args, by=(0, 1, 2, 3)), slopes, strict=True
        ):
            assert_within_ulp(ours[:near], wanted[:near], 16)
            assert_within_ulp(ours[near:], wanted[near:], 4)

    @pytest.mark.last_digits
    def test_second_derivatives_far_out(self):
        """∂²ℓ/∂r² = −(ν + 1)/r², and where it leaves the range it is 0; ∂²ℓ/∂r∂ν = 1/r."""
        y, df, scale = self.FAR[:, np.array([0, 1, 2, -1])]
        for outer, inner in ((jax.jacfwd, jax.grad), (jax.jacrev, jax.grad)):
            by_y = jax.jit(jax.vmap(outer(inner(student_t_nll_loss), (0, 2, 3))))
            twice, by_df, by_scale = by_y(y, 0 * y, df, scale)
            assert_within_ulp(twice, -(df + 1) / np.square(np.float64(y)), 4)
            assert_within_ulp(by_df, 1 / np.float64(y), 4)
            cross = -2 * df * (df + 1.0) * np.float64(scale) / np.float64(y) ** 3
            assert_within_ulp(by_scale, cross, 4)

    @pytest.mark.usefixtures("x64")
    def test_agrees_with_scipy(self):
        args = self.Y, 0 * self.Y, self.DF, self.SCALE
        ours = student_t_nll_loss(*(jnp.asarray(a, float) for a in args))
        theirs = -scipy.stats.t.logpdf(np.float64(self.Y), self.DF, 0, self.SCALE)
        np.testing.assert_allclose(ours[:-1], theirs[:-1], rtol=1e-6)  # SciPy's of 10⁶ degrees

    def test_law_of_its_limit(self):
        """At ν = ∞ it is the normal; a million degrees are nearly there."""
        normal = gaussian_nll_loss(y, 0 * y, 4.0, full=True)
        for df, rtol in ((jnp.inf, 1e-6), (1e6, 1e-5)):
            np.testing.assert_allclose(student_t_nll_loss(y, 0 * y, df, 2.0), normal, rtol=rtol)
        slope = jax.grad(lambda df: student_t_nll_loss(y, 0 * y, df, 2.0).sum())(jnp.inf)
        assert slope == 0

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("second_order", [False, pytest.param(True, marks=pytest.mark.slow)])
    def test_gradient(self, second_order):
        args = tuple(jnp.array(a) for a in ([0.1, -2.0], [0.0, 0.5], [0.7, 5.0], [1.1, 0.7]))

        def gradient(args):
            y, t, nu, s = args
            z, psi = (y - t) / s, scipy.special.digamma
            u = z**2 / nu
            by_y = (1 + 1 / nu) * z / (1 + u) / s
            beyond = psi(nu / 2) - psi(nu / 2 + 0.5) + 1 / nu
            by_df = 0.5 * (jnp.log1p(u) - u / (1 + u) - u / (1 + u) / nu + beyond)
            return by_y, -by_y, by_df, (1 - z**2) / (1 + u) / s

        f = lambda args: student_t_nll_loss(*args).sum()  # noqa: E731
        for mode in (jax.grad, jax.jacfwd):
            for ours, wanted in zip(jax.jit(mode(f))(args), gradient(args), strict=True):
                np.testing.assert_allclose(ours, wanted, rtol=1e-11)
        if second_order:
            assert_gradient(jax.jit(f), gradient, args, rtol=1e-11)

    def test_edges(self):
        loss = student_t_nll_loss(jnp.array([jnp.inf, jnp.nan]), jnp.zeros(2), 1.0, 1.0)
        np.testing.assert_array_equal(loss, [np.inf, np.nan])
        for df, scale in ((-ones, ones), (ones, -ones)):
            total = lambda df, scale: student_t_nll_loss(y, y, df, scale).sum()  # noqa: E731
            assert jnp.isnan(student_t_nll_loss(y, y, df, scale)).all()
            assert all(jnp.isnan(g).all() for g in jax.grad(total, (0, 1))(df, scale))
        half = jnp.ones(2, jnp.bfloat16)
        assert student_t_nll_loss(half, half, 1.0, 1.0).dtype == jnp.bfloat16
        args = self.Y, 0 * self.Y, self.DF, self.SCALE
        assert_transforms(student_t_nll_loss, *map(jnp.asarray, args))


def exact_negative_binomial(x, t, alpha, log_input):
    mu, n = mpmath.exp(x) if log_input else x, 1 / alpha
    ways = mpmath.loggamma(n + t) - mpmath.loggamma(n) - mpmath.loggamma(t + 1)
    return (n + t) * mpmath.log1p(alpha * mu) - t * mpmath.log(alpha * mu) - ways


class TestNegativeBinomialNLLLoss:
    X = np.float32([0, 1, 5, 9.3, -3, 0.69, 20, 2, 13])
    T = np.float32([1, 3, 250, 10_000, 2, 1, 5, 0.5, 1e6])
    ALPHA = np.float32([0.5, 2, 1e-3, 0.1, 10, 1, 1e-5, 0.3, 1e-4])
    # log μ, t, α where μ or α μ leaves the range, or 1/α², and the loss does not.
    FAR = np.float32(
        [
            (46, 3, 1e20),
            (80, 1e10, 1e20),
            (46, 1e19, 1e20),
            (46, 1e25, 1e20),
            (5, 2, 1e37),
            (30, 0, 1e30),
            (-3, 0, 2e38),
            (1, 4, 2e38),
            (100, 3, 0.5),
            (100, 0, 0.5),
            (95, 1e5, 1e-3),
            (200, 2, 1e10),
        ]
    ).T

    @pytest.mark.last_digits
    @pytest.mark.parametrize("log_input", [False, True])
    def test_reference(self, log_input):
        x, t, alpha = np.concatenate([[self.X, self.T, self.ALPHA], self.FAR], axis=1)
        x = x if log_input else np.exp(np.minimum(x, 87)).astype(np.float32)
        loss = functools.partial(negative_binomial_nll_loss, log_input=log_input)
        near = len(self.X)
        truth = functools.partial(exact_negative_binomial, log_input=log_input)
        value, slopes = exact(truth, x, t, alpha, digits=160)
        assert_within_ulp(jax.jit(loss)(x, t, alpha), value, 6)
        ours = gradients(loss, x, t, alpha, by=(0, 1, 2))
        assert_within_ulp(ours[0], slopes[0], 4)
        for slope, wanted in zip(ours[1:], slopes[1:], strict=True):
            np.testing.assert_allclose(slope[:near], wanted[:near], 1e-5)
            assert_within_ulp(slope[near:], wanted[near:], 4)

    @pytest.mark.usefixtures("x64")
    def test_agrees_with_scipy(self):
        x, t, alpha = (jnp.asarray(a, float) for a in (self.X[:6], self.T[:6], self.ALPHA[:6]))
        n = np.float64(1 / alpha)
        theirs = -scipy.stats.nbinom.logpmf(t, n, n / (n + np.exp(x)))
        np.testing.assert_allclose(negative_binomial_nll_loss(x, t, alpha), theirs, rtol=1e-9)

    def test_law_of_its_limit(self):
        """At α = 0 it is Poisson's, in all three derivatives the limit from above."""
        t = jnp.array([0.0, 1.0, 7.0, 300.0])
        x = jnp.array([0.5, 1.0, 2.0, 5.6])
        theirs = -scipy.stats.poisson.logpmf(t, np.exp(np.float64(x)))
        np.testing.assert_allclose(negative_binomial_nll_loss(x, t, 0.0), theirs, rtol=2e-6)
        slopes = jax.vmap(jax.grad(negative_binomial_nll_loss, (0, 1, 2)))
        near, at = (slopes(x, t, jnp.full(4, alpha)) for alpha in (1e-7, 0.0))
        for a, b in zip(near, at, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3)

    @pytest.mark.last_digits
    def test_law_of_the_sum_over_all_counts(self):
        counts = jnp.arange(400.0)
        for alpha in (0.01, 0.5):
            loss = negative_binomial_nll_loss(jnp.full(400, 2.0), counts, alpha)
            assert_within_ulp(jnp.exp(-loss).sum(), 1, 16)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("second_order", [False, pytest.param(True, marks=pytest.mark.slow)])
    def test_gradient(self, second_order):
        args = tuple(jnp.array(a) for a in ([0.1, 2.0, 1.0], [1.0, 2.5, 9.0], [0.5, 0.1, 3.0]))

        def gradient(args, log_input):
            x, t, alpha = args
            mu, n, psi = jnp.exp(x) if log_input else x, 1 / alpha, scipy.special.digamma
            by_x = (mu - t) / (1 + alpha * mu) / (1 if log_input else mu)
            by_t = psi(t + 1) - psi(n + t) + jnp.log(n + mu) - jnp.log(mu)
            spread = jnp.log1p(alpha * mu) + psi(n) - psi(n + t)
            by_alpha = -(n**2) * spread + (mu - t) / (alpha * (1 + alpha * mu))
            return by_x, by_t, by_alpha

        for log_input in (True, False):
            f = lambda args, o=log_input: negative_binomial_nll_loss(*args, log_input=o).sum()  # noqa: E731
            for mode in (jax.grad, jax.jacfwd):
                pairs = zip(jax.jit(mode(f))(args), gradient(args, log_input), strict=True)
                for ours, wanted in pairs:
                    np.testing.assert_allclose(ours, wanted, rtol=1e-10)
        if second_order:
            loss = jax.jit(lambda args: negative_binomial_nll_loss(*args))
            assert_gradient(loss, lambda args: gradient(args, True), args, rtol=1e-10)

    def test_edges(self):
        x = jnp.array([-jnp.inf, -jnp.inf, jnp.inf, jnp.nan])
        loss = negative_binomial_nll_loss(x, jnp.array([0.0, 1.0, 1.0, 1.0]), 0.5)
        np.testing.assert_array_equal(loss, [0, np.inf, np.inf, np.nan])
        slope = jax.grad(lambda x: negative_binomial_nll_loss(x, ones, 0.5).sum())(x[1:3].repeat(2))
        np.testing.assert_array_equal(slope, [-1, -1, 2, 2])
        at_zero = jax.grad(negative_binomial_nll_loss)(
            jnp.array(0.0), jnp.array(0.0), 0.5, log_input=False
        )
        assert at_zero == 1
        for t, alpha in ((-ones, ones), (ones, -ones)):
            assert jnp.isnan(negative_binomial_nll_loss(y, t, alpha)).all()
        assert jnp.isnan(negative_binomial_nll_loss(-ones, ones, 1.0, log_input=False)).all()
        half = jnp.ones(2, jnp.float16)
        assert negative_binomial_nll_loss(half, half, 0.5).dtype == jnp.float16
        args = self.X, self.T, self.ALPHA
        assert_transforms(negative_binomial_nll_loss, *map(jnp.asarray, args), rtol=1e-5)
