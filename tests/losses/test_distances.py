"""fnmath.losses, of samples: against sums over all pairs in float64, and SciPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.losses import (
    crps_ensemble,
    energy_distance,
    maximum_mean_discrepancy,
    wasserstein_distance_1d,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

x, y = jax.random.normal(jax.random.key(0), (6,)), jax.random.normal(jax.random.key(1), (4,)) + 1
X, Y = (jax.random.normal(jax.random.key(i), (n, 3)) for i, n in ((2, 6), (3, 4)))

MISTAKES = [
    Mistake(
        crps_ensemble,
        (X, y),
        {},
        ValueError,
        "crps_ensemble: predictions (6, 3) and targets (4,) must have one batch shape",
    ),
    Mistake(
        crps_ensemble,
        (X[:, :1], x),
        {"fair": True},
        ValueError,
        "crps_ensemble: predictions have 1 members; wanted at least 2",
    ),
    Mistake(
        crps_ensemble,
        (X, x.astype(int)),
        {},
        TypeError,
        "crps_ensemble: targets has dtype int32; wanted a floating dtype; "
        "did you mean targets.astype(jnp.float32)?",
    ),
    Mistake(
        wasserstein_distance_1d,
        (x, X),
        {},
        ValueError,
        "wasserstein_distance_1d: x (6,) and y (6, 3) must have one batch shape",
    ),
    Mistake(
        wasserstein_distance_1d,
        (x, y),
        {"p": 0.5},
        ValueError,
        "wasserstein_distance_1d: p is 0.5; wanted a number in [1, inf)",
    ),
    Mistake(
        wasserstein_distance_1d,
        (x, y),
        {"p": x},
        TypeError,
        f"wasserstein_distance_1d: p is a {type(x).__name__}; wanted a number",
    ),
    Mistake(
        energy_distance,
        (x, y),
        {},
        ValueError,
        "energy_distance: x has shape (6,); wanted at least 2 axes, (*batch n features); "
        "did you mean x[None]?",
    ),
    Mistake(
        energy_distance,
        (X, Y[:0]),
        {},
        ValueError,
        "energy_distance: x (6, 3) and y (0, 3) must not be empty",
    ),
    Mistake(
        energy_distance,
        (X, Y),
        {"squared": 0},
        TypeError,
        "energy_distance: squared is 0 (int); wanted True or False",
    ),
    Mistake(
        maximum_mean_discrepancy,
        (X, Y[:, :2]),
        {},
        ValueError,
        "maximum_mean_discrepancy: the number of features must agree: x has 3 and y has 2",
    ),
    Mistake(
        maximum_mean_discrepancy,
        (X, Y),
        {"bandwidth": 0.0},
        ValueError,
        "maximum_mean_discrepancy: bandwidth is 0.0; wanted a number in (0, inf)",
    ),
    Mistake(
        maximum_mean_discrepancy,
        (X, Y),
        {"kernel": lambda a, b: a * b},
        ValueError,
        "maximum_mean_discrepancy: kernel returns (3,); wanted a scalar",
    ),
    Mistake(
        maximum_mean_discrepancy,
        (X, Y[:1]),
        {"unbiased": True},
        ValueError,
        "maximum_mean_discrepancy: the samples have 6 and 1 vectors; wanted at least 2 of each",
    ),
    Mistake(
        maximum_mean_discrepancy,
        (X, Y),
        {"kernel": "rbf"},
        TypeError,
        "maximum_mean_discrepancy: kernel is a str; wanted a function",
    ),
]


def brute_crps(members, t, fair=False):
    """The definition by all pairs, in float64."""
    members, m = np.float64(members), len(members)
    pairs = np.abs(members[:, None] - members[None]).sum()
    return np.abs(members - t).mean() - pairs / (2 * m * (m - fair))


def assert_first_order(f, gradient, pair):
    """The closed form is the gradient in both modes, of what is linear between its kinks."""
    for mode in (jax.grad, jax.jacfwd):
        for ours, wanted in zip(jax.jit(mode(f))(pair), gradient(pair), strict=True):
            np.testing.assert_allclose(ours, wanted, rtol=1e-10, atol=1e-14)


class TestCRPSEnsemble:
    @pytest.mark.last_digits
    @pytest.mark.parametrize("fair", [False, True])
    def test_reference(self, fair):
        targets = np.float32([-9, -0.3, 0.2, 7, 1e4])
        members = np.float32(np.stack([x, x * 1e-3, 100 + x, x + 7, x]))
        ours = crps_ensemble(jnp.asarray(members), jnp.asarray(targets), fair=fair)
        theirs = [brute_crps(row, t, fair) for row, t in zip(members, targets, strict=True)]
        assert_within_ulp(ours, theirs, 4)

    def test_laws(self):
        """One member scores the absolute error; a fair score has the same mean at any size."""
        assert crps_ensemble(jnp.array([3.0]), jnp.array(1.0)) == 2
        key = jax.random.key(5)
        sample = jax.random.normal(key, (20_000, 12))
        small, large = (
            crps_ensemble(sample[:, :m], jnp.zeros(20_000), fair=True).mean() for m in (2, 12)
        )
        np.testing.assert_allclose(small, large, atol=0.01)
        np.testing.assert_allclose(large, (2**0.5 - 1) / np.pi**0.5, atol=0.01)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("fair", [False, True])
    def test_gradient(self, fair):
        members, t = jnp.asarray(x, float), jnp.array(0.21)
        m = len(members)

        def gradient(pair):
            x, t = pair
            rank = jnp.argsort(jnp.argsort(x)) + 1
            by_members = jnp.sign(x - t) / m - (2 * rank - m - 1) / (m * (m - fair))
            return by_members, jnp.mean(jnp.sign(t - x))

        assert_first_order(lambda pair: crps_ensemble(*pair, fair=fair), gradient, (members, t))

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_gradient_of_members_that_are_alike_is_alike(self):
        slope = jax.grad(crps_ensemble)(jnp.array([1.0, 1.0, 2.0, 1.0]), jnp.array(1.0))
        assert_within_ulp(slope, [0.0625, 0.0625, 0.0625, 0.0625], 1)

    def test_edges(self):
        assert jnp.isnan(crps_ensemble(x.at[0].set(jnp.nan), y[0]))
        assert crps_ensemble(x, jnp.array(jnp.inf)) == jnp.inf
        assert crps_ensemble(jnp.zeros((0, 3)), jnp.zeros(0)).shape == (0,)
        half = jnp.ones((2, 3), jnp.bfloat16)
        assert crps_ensemble(half, half[:, 0]).dtype == jnp.bfloat16
        assert_transforms(crps_ensemble, X, x)


def brute_wasserstein(x, y, p):
    """Every entry as often as the least common multiple says, sorted, and paired."""
    n, m = len(x), len(y)
    a, b = np.sort(np.repeat(np.float64(x), m)), np.sort(np.repeat(np.float64(y), n))
    return np.mean(np.abs(a - b) ** p) ** (1 / p)


class TestWassersteinDistance1D:
    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_reference(self):
        for p in (1, 1.5, 2, 7):
            for other in (y, x[::-1] * 2, y[:1]):
                ours = wasserstein_distance_1d(x, other, p=p)
                assert_within_ulp(ours, brute_wasserstein(x, other, p), 4)
        assert_within_ulp(wasserstein_distance_1d(x, y), scipy.stats.wasserstein_distance(x, y), 4)
        far = wasserstein_distance_1d(1e30 * x, 1e30 * y, p=3)
        assert_within_ulp(far, 1e30 * brute_wasserstein(x, y, 3), 8)  # whose cubes overflow

    def test_law_of_a_distance(self):
        """Symmetric, 0 from itself in any order, and the shift of a shifted sample."""
        assert wasserstein_distance_1d(x, x[::-1], p=2) == 0
        np.testing.assert_allclose(
            wasserstein_distance_1d(x, y, p=2), wasserstein_distance_1d(y, x, p=2), rtol=1e-6
        )
        np.testing.assert_allclose(wasserstein_distance_1d(x, x + 2, p=3), 2, rtol=1e-6)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("p", [1, 2, 2.5])
    def test_gradient(self, p):
        pair = jnp.asarray(x, float), jnp.asarray(y, float)

        def gradient(pair):
            """One entry of each, repeated, is a mass of 1/(nm)."""
            (n, m), (i, j) = map(len, pair), map(np.argsort, pair)
            a, b = np.repeat(i, m), np.repeat(j, n)
            d = pair[0][a] - pair[1][b]
            w = brute_wasserstein(*pair, p)
            flow = np.sign(d) * (np.abs(d) / w) ** (p - 1) / (n * m)
            return np.bincount(a, flow, n), np.bincount(b, -flow, m)

        f = lambda pair: wasserstein_distance_1d(*pair, p=p)  # noqa: E731
        assert_first_order(f, gradient, pair)
        if p == 2.5:
            assert_gradient(jax.jit(f), gradient, pair, rtol=1e-11)

    def test_gradient_of_equal_samples_is_zero(self):
        for p in (1, 1.5, 2):
            for mode in (jax.grad, jax.jacfwd):
                slope = mode(functools.partial(wasserstein_distance_1d, p=p))(x, x)
                np.testing.assert_array_equal(slope, 0)

    def test_edges(self):
        assert jnp.isnan(wasserstein_distance_1d(x, y.at[1].set(jnp.nan)))
        assert wasserstein_distance_1d(X, X + 1).shape == (6,)
        half = x.astype(jnp.float16)
        assert wasserstein_distance_1d(half, half).dtype == jnp.float16
        assert_transforms(wasserstein_distance_1d, x, y)


def brute_energy(x, y):
    """The squared distance by the definition, in float64."""
    mean = lambda a, b: np.linalg.norm(a[:, None] - b[None], axis=-1).mean()  # noqa: E731
    a, b = np.float64(x), np.float64(y)
    return 2 * mean(a, b) - mean(a, a) - mean(b, b)


class TestEnergyDistance:
    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_reference(self):
        assert_within_ulp(energy_distance(X, Y, squared=True), brute_energy(X, Y), 8)
        column = energy_distance(x[:, None], y[:, None])
        assert_within_ulp(column, scipy.stats.energy_distance(np.float64(x), np.float64(y)), 4)

    @pytest.mark.slow
    def test_law_of_one_feature_among_zeros(self):
        """Sorted, or by all pairs: a second feature that is 0 changes nothing."""
        a, b = x[:, None], y[:, None]
        wide = (jnp.concatenate([v, jnp.zeros_like(v)], -1) for v in (a, b))
        np.testing.assert_allclose(energy_distance(a, b), energy_distance(*wide), rtol=1e-6)
        assert energy_distance(a, a[::-1]) == 0
        assert energy_distance(X, X[::-1]) < 1e-3
        near = energy_distance(100 + 1e-3 * a, 100 + 1e-3 * a[:, ::-1], squared=True)
        assert near == 0

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("squared", [False, True])
    def test_gradient(self, squared):
        def gradient(pair):
            a, b = pair

            def pull(a, b):
                v = a[:, None] - b[None]
                length = np.linalg.norm(v, axis=-1, keepdims=True)
                return (v / np.where(length == 0, 1, length)).sum(1) * 2 / len(a)

            scale = 1 if squared else 2 * brute_energy(a, b) ** 0.5
            return tuple(
                (pull(u, v) / len(v) - pull(u, u) / len(u)) / scale for u, v in ((a, b), (b, a))
            )

        for a, b in ((X, Y), (x[:, None], y[:, None])):
            pair = jnp.asarray(a, float), jnp.asarray(b, float)
            assert_first_order(lambda pair: energy_distance(*pair, squared=squared), gradient, pair)
        if not squared:
            small = jnp.asarray(X[:3], float), jnp.asarray(Y[:2], float)
            assert_gradient(
                jax.jit(lambda pair: energy_distance(*pair)), gradient, small, rtol=1e-10
            )

    @pytest.mark.slow
    def test_gradient_of_equal_samples_is_zero(self):
        for sample in (x[:, None], jnp.ones((3, 1))):
            for squared in (False, True):
                f = functools.partial(energy_distance, squared=squared)
                np.testing.assert_array_equal(jax.grad(f)(sample, sample), 0)

    @pytest.mark.slow
    def test_edges(self):
        assert jnp.isnan(energy_distance(X.at[0, 0].set(jnp.nan), Y))
        assert jnp.isnan(energy_distance(x[:, None].at[0].set(jnp.nan), y[:, None]))
        assert energy_distance(X[:1], X[:1] + 1).shape == ()
        half = X.astype(jnp.bfloat16)
        assert energy_distance(half, half[:2]).dtype == jnp.bfloat16
        assert_transforms(energy_distance, X, Y)
        assert_transforms(lambda a, b: energy_distance(a[:, None], b[:, None]), x, y)


def brute_discrepancy(x, y, kernel, unbiased=False):
    a, b = np.float64(x), np.float64(y)
    table = lambda a, b: np.array([[kernel(u, v) for v in b] for u in a])  # noqa: E731

    def within(K):
        n = len(K)
        return (K.sum() - np.trace(K)) / (n * (n - 1)) if unbiased else K.mean()

    return within(table(a, a)) + within(table(b, b)) - 2 * table(a, b).mean()


class TestMaximumMeanDiscrepancy:
    @pytest.mark.parametrize("unbiased", [False, True])
    def test_reference(self, unbiased):
        for h in (0.5, 2.0, 100.0):
            ours = maximum_mean_discrepancy(X, Y, bandwidth=h, unbiased=unbiased)
            kernel = lambda u, v, h=h: np.exp(-0.5 * np.sum((u - v) ** 2) / h**2)  # noqa: E731
            truth = brute_discrepancy(X, Y, kernel, unbiased)
            np.testing.assert_allclose(ours, truth, rtol=3e-5)
        linear = maximum_mean_discrepancy(X, Y, kernel=jnp.dot, unbiased=unbiased)
        np.testing.assert_allclose(linear, brute_discrepancy(X, Y, np.dot, unbiased), rtol=1e-5)

    def test_law_of_the_linear_kernel(self):
        """It sees the means alone."""
        gap = X.mean(0) - Y.mean(0)
        linear = maximum_mean_discrepancy(X, Y, kernel=jnp.dot)
        np.testing.assert_allclose(linear, gap @ gap, rtol=1e-5)
        assert abs(maximum_mean_discrepancy(X, X)) < 1e-6

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        h = 1.5

        def gradient(a):
            b = np.float64(Y)

            def pull(a, b):
                v = a[:, None] - b[None]
                k = np.exp(-0.5 * (v**2).sum(-1, keepdims=True) / h**2)
                return (-k * v / h**2).sum(1) * 2 / len(a)

            return pull(a, a) / len(a) - pull(a, b) / len(b)

        f = jax.jit(lambda a: maximum_mean_discrepancy(a, jnp.asarray(Y, float), bandwidth=h))
        assert_gradient(f, gradient, jnp.asarray(X, float))

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_edges(self):
        assert jnp.isnan(maximum_mean_discrepancy(X, Y, bandwidth=jnp.array(-1.0)))
        assert jnp.isnan(maximum_mean_discrepancy(X.at[0, 0].set(jnp.nan), Y))
        batch = maximum_mean_discrepancy(jnp.stack([X, X + 1]), jnp.stack([Y, Y]))
        assert_within_ulp(batch[0], float(maximum_mean_discrepancy(X, Y)), 16)
        half = X.astype(jnp.float16)
        assert maximum_mean_discrepancy(half, half[:2]).dtype == jnp.float16
        assert_transforms(maximum_mean_discrepancy, X, Y)


def test_crps_of_two_infinite_members_is_infinite():
    assert crps_ensemble(jnp.array([jnp.inf, jnp.inf, 0.0]), jnp.float32(0)) == jnp.inf
