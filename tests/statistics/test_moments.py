"""fnmath.statistics, moments: against NumPy and SciPy, far from zero, weighted, in both modes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fnmath.statistics import (
    correlation,
    covariance,
    kurtosis,
    mean,
    skewness,
    standard_deviation,
    variance,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

random = np.random.default_rng(0)
SCALARS = {
    "mean": mean,
    "variance": variance,
    "standard_deviation": standard_deviation,
    "skewness": skewness,
    "kurtosis": kurtosis,
}
MATRICES = {"covariance": covariance, "correlation": correlation}
ALL = SCALARS | MATRICES
EACH = pytest.mark.parametrize("name", list(ALL))
x = jnp.ones((4, 3))
MISTAKES = [
    mistake
    for name, f in ALL.items()
    for mistake in [
        Mistake(
            f,
            (x.astype(int),),
            {},
            TypeError,
            f"{name}: x has dtype int32; wanted a floating dtype; "
            "did you mean x.astype(jnp.float32)?",
        ),
        Mistake(
            f,
            (x,),
            {"axis": 2},
            ValueError,
            f"{name}: axis is 2; wanted an axis of the shape (4, 3)",
        ),
        Mistake(
            f,
            (x,),
            {"weights": jnp.ones(4, int), "axis": 0},
            TypeError,
            f"{name}: weights has dtype int32; wanted a floating dtype; "
            "did you mean weights.astype(jnp.float32)?",
        ),
    ]
] + [
    Mistake(
        f,
        (x,),
        {"axis": 0, "weights": jnp.ones(4)},
        ValueError,
        f"{name}: weights (4,) must broadcast to x (4, 3); did you mean weights[:, None]?",
    )
    for name, f in SCALARS.items()
]
MISTAKES += [
    mistake
    for name in ["variance", "standard_deviation", "covariance"]
    for mistake in [
        Mistake(
            ALL[name],
            (x,),
            {"ddof": -1},
            ValueError,
            f"{name}: ddof is -1; wanted a number in [0, inf)",
        ),
        Mistake(
            ALL[name],
            (x,),
            {"ddof": "1"},
            TypeError,
            f"{name}: ddof is '1' (str); wanted a number",
        ),
    ]
]
MISTAKES += [
    Mistake(
        mean,
        (jnp.zeros((2, 0)),),
        {"axis": 1},
        ValueError,
        "mean: x (2, 0) has 0 entries along axis 1; wanted at least 1",
    ),
    Mistake(
        variance,
        (jnp.zeros((2, 1)),),
        {"axis": 1, "ddof": 1},
        ValueError,
        "variance: x (2, 1) has 1 entry along axis 1; wanted at least 2",
    ),
    Mistake(
        standard_deviation,
        (jnp.zeros((2, 2)),),
        {"axis": 1, "ddof": 2.5},
        ValueError,
        "standard_deviation: x (2, 2) has 2 entries along axis 1; wanted at least 3",
    ),
    Mistake(
        skewness,
        (jnp.zeros(2),),
        {"bias": False},
        ValueError,
        "skewness: x (2,) has 2 entries along axis None; wanted at least 3",
    ),
    Mistake(
        kurtosis,
        (jnp.zeros(3),),
        {"bias": False},
        ValueError,
        "kurtosis: x (3,) has 3 entries along axis None; wanted at least 4",
    ),
    Mistake(
        skewness,
        (x,),
        {"bias": False, "weights": x},
        ValueError,
        "skewness: bias is False beside weights; wanted True, or no weights",
    ),
    Mistake(
        kurtosis,
        (x,),
        {"bias": False, "weights": x},
        ValueError,
        "kurtosis: bias is False beside weights; wanted True, or no weights",
    ),
    Mistake(
        skewness, (x,), {"bias": 1}, TypeError, "skewness: bias is 1 (int); wanted True or False"
    ),
    Mistake(
        kurtosis,
        (x,),
        {"fisher": 0},
        TypeError,
        "kurtosis: fisher is 0 (int); wanted True or False",
    ),
    Mistake(
        covariance,
        (jnp.zeros((1, 3)),),
        {},
        ValueError,
        "covariance: x (1, 3) has 1 observation along axis -2; wanted at least 2",
    ),
    Mistake(
        covariance,
        (jnp.zeros(3),),
        {},
        ValueError,
        "covariance: x has shape (3,); wanted at least 2 axes, (*batch observations features); "
        "did you mean x[None]?",
    ),
    Mistake(
        correlation,
        (jnp.zeros((0, 3)),),
        {},
        ValueError,
        "correlation: x (0, 3) has 0 observations along axis -2; wanted at least 1",
    ),
    Mistake(
        correlation,
        (x,),
        {"weights": jnp.ones(3)},
        ValueError,
        "correlation: weights (3,) must broadcast to the observations (4,)",
    ),
]


def numpys(name, x, w=None, axis=None, ddof=None):
    """The same in NumPy and double precision."""
    x = np.asarray(x, np.float64)
    w = np.ones_like(x) if w is None else np.broadcast_to(np.float64(w), x.shape)
    p = w / w.sum(axis, keepdims=True)
    m = (p * x).sum(axis, keepdims=True)
    moment = lambda k: (p * (x - m) ** k).sum(axis)  # noqa: E731
    if name == "mean":
        return np.squeeze(m, axis)
    if name in ("variance", "standard_deviation"):
        v = moment(2) / (1 - (ddof or 0) * (p**2).sum(axis))
        return v if name == "variance" else np.sqrt(v)
    k = 3 if name == "skewness" else 4
    return moment(k) / moment(2) ** (k / 2) - (3 if k == 4 else 0)


def of_matrix(name, x, w=None, ddof=1):
    x = np.asarray(x, np.float64)
    C = np.cov(x, rowvar=False, aweights=w, ddof=ddof)
    s = np.sqrt(np.diag(C))
    return C if name == "covariance" else C / s[:, None] / s


class TestScalars:
    @pytest.mark.last_digits
    @pytest.mark.parametrize("name", list(SCALARS))
    @pytest.mark.parametrize("far", [0.0, 1.0, 1e4, -1e6])
    def test_reference_to_the_last_digits(self, name, far):
        """However far from zero: the deviations are those of the float32 numbers."""
        x = jnp.float32(random.gamma(2.0, size=(5, 1000)) + far)
        w = jnp.float32(random.uniform(0.5, 2, size=(5, 1000)))
        f = jax.jit(functools.partial(SCALARS[name], axis=1))
        for weights in (None, w):
            expected = numpys(name, x, weights, 1)
            # Third and fourth powers, and a subtracted 3, leave less of the digits.
            ulps = {"skewness": 12, "kurtosis": 24}.get(name, 4)
            assert_within_ulp(f(x, weights=weights), expected, ulps)

    @pytest.mark.last_digits
    def test_ten_million_numbers_far_from_zero(self):
        """At mean 10⁴ and variance 1, where E[x²] − E[x]² in float32 has no digit left."""
        x = np.float32(random.standard_normal(10**7) + 1e4)
        expected = np.var(np.float64(x))
        ours = jax.jit(variance)(x)
        assert abs(float(ours) / expected - 1) < 1e-6
        naive = jnp.mean(jnp.square(x)) - jnp.square(jnp.mean(x))
        assert abs(float(naive) / expected - 1) > 0.1
        assert_within_ulp(jax.jit(mean)(x), np.mean(np.float64(x)), 1)

    @pytest.mark.last_digits
    @pytest.mark.parametrize("size", [1e-37, 1e-20, 1e18, 1e38])
    def test_over_the_range_of_the_dtype(self, size):
        x = jnp.float32(size) * jnp.float32([0.5, 1.0, 3.0, 1.25])
        w = jnp.float32([1e38, 2e38, 1e38, 3e38])
        for weights in (None, w):
            assert_within_ulp(mean(x, weights=weights), numpys("mean", x, weights), 2)
            for name in ["standard_deviation", "skewness", "kurtosis"]:
                expected = numpys(name, x, weights)
                ulps = {"kurtosis": 24}.get(name, 8)  # a 3 is subtracted
                assert_within_ulp(SCALARS[name](x, weights=weights), expected, ulps)
            slope = jax.grad(standard_deviation)(x, weights=weights)
            assert jnp.isfinite(slope).all()
            assert (slope != 0).all()

    def test_agrees_with_numpy_and_scipy(self):
        x = random.standard_normal((4, 6, 5))
        with jax.enable_x64(True):
            for axis in [0, -1, (0, 2), None]:
                np.testing.assert_allclose(mean(jnp.asarray(x), axis=axis), x.mean(axis), 1e-13)
                for ddof in (0, 1, 2.5):
                    options = {"axis": axis, "ddof": ddof}
                    ours = variance(jnp.asarray(x), **options)
                    np.testing.assert_allclose(ours, x.var(**options), 1e-12)
                    ours = standard_deviation(jnp.asarray(x), **options)
                    np.testing.assert_allclose(ours, x.std(**options), 1e-12)
            for axis in [0, -1, None]:
                for bias in (True, False):
                    options = {"axis": axis, "bias": bias}
                    ours = skewness(jnp.asarray(x), **options)
                    np.testing.assert_allclose(ours, scipy.stats.skew(x, **options), 1e-11)
                    for fisher in (True, False):
                        ours = kurtosis(jnp.asarray(x), fisher=fisher, **options)
                        theirs = scipy.stats.kurtosis(x, fisher=fisher, **options)
                        np.testing.assert_allclose(ours, theirs, 1e-11)
            w = random.uniform(0, 1, 6)[:, None]
            ours = mean(jnp.asarray(x), axis=1, weights=jnp.asarray(w))
            np.testing.assert_allclose(ours, np.average(x, 1, w[:, 0]), 1e-12)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("name", list(SCALARS))
    def test_gradient(self, name):
        x, w = random.standard_normal((2, 3, 5))
        w = jnp.asarray(np.abs(w))
        ddof = {"ddof": 1} if name in ("variance", "standard_deviation") else {}

        def gradient(x, w):
            x, w = np.asarray(x), np.asarray(w)
            p = w / w.sum(1, keepdims=True)
            d = x - (p * x).sum(1, keepdims=True)
            moment = lambda k: (p * d**k).sum(1, keepdims=True)  # noqa: E731
            f, s = 1 - (p**2).sum(1, keepdims=True), np.sqrt(moment(2))
            z, g1, g2 = d / s, moment(3) / s**3, moment(4) / s**4 - 3
            return {
                "mean": p,
                "variance": 2 * p * d / f,
                "standard_deviation": p * d / (f * np.sqrt(s**2 / f)),
                "skewness": 3 * p * (z**2 - 1 - g1 * z) / s,
                "kurtosis": 4 * p * (z**3 - g1 - (g2 + 3) * z) / s,
            }[name]

        def f(x, w):
            return SCALARS[name](x, axis=1, weights=w, **ddof)

        assert_gradient(f, gradient, jnp.asarray(x), w, rtol=1e-11)

    @pytest.mark.usefixtures("x64")
    def test_gradient_by_the_weights(self):
        x, w = jnp.asarray([1.0, 2.0, 6.0]), jnp.asarray([0.5, 2.0, 1.0])

        def gradient(w, x):
            return (x - np.average(x, weights=w)) / np.sum(w)

        assert_gradient(lambda w, x: mean(x, weights=w), gradient, w, x)

    @pytest.mark.parametrize("name", list(SCALARS))
    def test_transforms(self, name):
        x = jnp.float32(random.standard_normal((3, 5)))
        assert_transforms(lambda x: SCALARS[name](x, axis=1), x, rtol=2e-6)

    @settings(max_examples=50, deadline=None, derandomize=True)
    @given(arrays(np.float32, 6, elements=st.floats(-100, 100, width=32)))
    def test_law_a_weight_of_two_is_a_number_twice(self, x):
        w = jnp.float32([1, 2, 1, 1, 1, 1])
        twice, x = jnp.asarray(np.insert(x, 1, x[1])), jnp.asarray(x)
        scale = np.abs(twice).max() + 1e-20
        np.testing.assert_allclose(mean(x, weights=w), mean(twice), atol=1e-6 * scale)
        np.testing.assert_allclose(variance(x, weights=w), variance(twice), atol=2e-6 * scale**2)

    def test_law_variance_ignores_a_shift_and_squares_a_scale(self):
        x = jnp.float32(random.integers(-50, 50, 100))  # sums of which are exact
        assert variance(x + 1024) == variance(x)
        assert variance(x * 8) == 64 * variance(x)
        assert kurtosis(x * 8 + 1024) == kurtosis(x)

    @pytest.mark.parametrize("name", list(SCALARS))
    def test_edges(self, name):
        f = SCALARS[name]
        x = jnp.ones((2, 3))
        for w in ([1.0, -1.0, 1.0], [0.0, 0.0, 0.0], [jnp.nan, 1.0, 1.0]):
            assert jnp.isnan(jax.jit(f)(x, weights=jnp.array(w))).all()
        assert f(jnp.zeros((0, 3)), axis=1).shape == (0,)
        half = jnp.array([1.0, 2.0, 4.0], jnp.bfloat16)
        assert f(half).dtype == jnp.bfloat16
        assert f(half, weights=half).dtype == jnp.bfloat16
        assert jnp.isnan(f(jnp.array([1.0, jnp.nan])))

    def test_edges_of_samples_that_are_constant(self):
        x = jnp.full(5, 0.1)
        assert mean(x) == x[0]
        assert variance(x) == standard_deviation(x) == 0
        for derivative in (jax.grad, jax.jacfwd):
            assert (derivative(standard_deviation)(x) == 0).all()
        assert (jax.hessian(standard_deviation)(x) == 0).all()
        assert jnp.isnan(skewness(x))
        assert jnp.isnan(kurtosis(x))
        assert variance(jnp.ones(1)) == 0

    def test_edges_of_infinities(self):
        assert mean(jnp.array([1.0, jnp.inf])) == jnp.inf
        assert jnp.isnan(mean(jnp.array([-jnp.inf, jnp.inf])))
        assert jnp.isnan(variance(jnp.array([1.0, jnp.inf])))
        assert jnp.isnan(variance(jnp.ones(3), weights=jnp.array([1.0, 0.0, 0.0]), ddof=1))


class TestMatrices:
    @pytest.mark.parametrize("name", list(MATRICES))
    @pytest.mark.parametrize("far", [0.0, 1e4])
    def test_reference(self, name, far):
        x = jnp.float32(random.standard_normal((200, 4)) @ random.standard_normal((4, 4)) + far)
        w = jnp.float32(random.uniform(0.5, 2, 200))
        for weights in (None, w):
            ours = MATRICES[name](x, weights=weights)
            expected = of_matrix(name, x, None if weights is None else np.float64(w))
            np.testing.assert_allclose(ours, expected, rtol=2e-6, atol=2e-6)
            assert (ours == ours.T).all()

    @pytest.mark.usefixtures("x64")
    def test_agrees_with_numpy(self):
        x, w = random.standard_normal((7, 3)), random.uniform(0, 1, 7)
        for ddof in (0, 1, 2):
            theirs = np.cov(x, rowvar=False, ddof=ddof)
            np.testing.assert_allclose(covariance(jnp.asarray(x), ddof=ddof), theirs, 1e-12)
            np.testing.assert_allclose(covariance(jnp.asarray(x.T), axis=-1, ddof=ddof), theirs)
        theirs = np.cov(x, rowvar=False, aweights=w)
        ours = covariance(jnp.asarray(x), weights=jnp.asarray(w))
        np.testing.assert_allclose(ours, theirs, 1e-12)
        np.testing.assert_allclose(correlation(jnp.asarray(x)), np.corrcoef(x, rowvar=False), 1e-12)
        batch = covariance(jnp.asarray(np.stack([x, 2 * x])))
        np.testing.assert_allclose(batch[1], 4 * batch[0])

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("name", list(MATRICES))
    def test_gradient(self, name):
        x, w = jnp.asarray(random.standard_normal((6, 3))), jnp.asarray(random.uniform(1, 2, 6))
        A = jnp.asarray(random.standard_normal((3, 3)))

        def gradient(x, w, A):
            p = (w / w.sum())[:, None]
            d = x - (p * x).sum(0)
            s = np.sqrt((p * d**2).sum(0))
            if name == "covariance":
                return p * (d @ (A + A.T)) / (1 - (p**2).sum())
            z = d / s
            R = z.T @ (p * z)
            both = (A + A.T) * (1 - np.eye(3))
            return p * (z @ both - z * (both * R).sum(1)) / s

        def f(x, w, A):
            return (A * MATRICES[name](x, weights=w)).sum()

        assert_gradient(f, gradient, x, w, A, rtol=1e-11)

    @pytest.mark.parametrize("name", list(MATRICES))
    def test_transforms(self, name):
        assert_transforms(MATRICES[name], jnp.float32(random.standard_normal((5, 3))), rtol=2e-6)

    @pytest.mark.parametrize("size", [1e-30, 1e30])
    def test_correlation_over_the_range_of_the_dtype(self, size):
        x = jnp.float32(random.standard_normal((20, 3)))
        scaled = x * jnp.float32([size, 1, 1 / size])
        np.testing.assert_allclose(correlation(scaled), correlation(x), atol=5e-7)

    def test_edges(self):
        x = jnp.float32(random.standard_normal((5, 2)))
        constant = correlation(jnp.concatenate([x, jnp.ones((5, 1))], 1))
        assert jnp.isnan(constant[2]).all()
        assert jnp.isnan(constant[:, 2]).all()
        assert jnp.isfinite(constant[:2, :2]).all()
        assert (jnp.diagonal(constant)[:2] == 1).all()
        many = correlation(jnp.float32(random.standard_normal((2, 50))))
        assert (jnp.abs(many) <= 1).all()
        for f in MATRICES.values():
            assert jnp.isnan(f(x, weights=jnp.array([1.0, 1, 1, 1, -1]))).all()
            assert f(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
            assert f(jnp.zeros((0, 5, 2))).shape == (0, 2, 2)
