"""fnmath.losses, of contrast: against their definitions in double precision, and optax."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnmath.losses import barlow_twins_loss, info_nce, ntxent, vicreg_loss
from tests.helpers import Mistake, assert_transforms, assert_within_ulp
from tests.losses.slopes import assert_slope

pytestmark = pytest.mark.slow  # most of it is spent in compiling

x, y = jnp.ones((4, 3)), jnp.array([0, 0, 1, 1])
OF_VIEWS = [barlow_twins_loss, vicreg_loss]


def mistakes_of_views(loss, option):
    name = loss.__name__
    return [
        Mistake(
            loss,
            (x, x.astype(int)),
            {},
            TypeError,
            f"{name}: second has dtype int32; wanted a floating dtype; "
            "did you mean second.astype(jnp.float32)?",
        ),
        Mistake(
            loss,
            (x, x[:3]),
            {},
            ValueError,
            f"{name}: first (4, 3) and second (3, 3) must have one shape",
        ),
        Mistake(
            loss,
            (x[:1], x[:1]),
            {},
            ValueError,
            f"{name}: first has shape (1, 3); wanted at least 2 examples",
        ),
        Mistake(
            loss,
            (x, x),
            {option: -1.0},
            ValueError,
            f"{name}: {option} is -1.0; wanted a number in [0, inf)",
        ),
    ]


MISTAKES = [
    *mistakes_of_views(barlow_twins_loss, "redundancy_weight"),
    *mistakes_of_views(vicreg_loss, "covariance_weight"),
    Mistake(
        ntxent,
        (x, x[:, 0]),
        {},
        TypeError,
        "ntxent: labels has dtype float32; wanted an integer dtype; "
        "did you mean labels.astype(jnp.int32)?",
    ),
    Mistake(
        ntxent,
        (x, y[:3]),
        {},
        ValueError,
        "ntxent: labels (3,) do not fit embeddings (4, 3); wanted (4,)",
    ),
    Mistake(
        ntxent,
        (x, y, 0.0),
        {},
        ValueError,
        "ntxent: temperature is 0.0; wanted a number in (0, inf)",
    ),
    Mistake(
        info_nce,
        (y, x),
        {},
        TypeError,
        "info_nce: queries has dtype int32; wanted a floating dtype; "
        "did you mean queries.astype(jnp.float32)?",
    ),
    Mistake(
        info_nce,
        (x, x[:3]),
        {},
        ValueError,
        "info_nce: candidates (3, 3) do not fit queries (4, 3); wanted (4, 3), or more rows",
    ),
]

KEYS = jax.random.split(jax.random.key(0), 3)
X = jax.random.normal(KEYS[0], (6, 4))
OTHER = X + jax.random.normal(KEYS[1], (6, 4))
LABELS = jnp.array([0, 0, 0, 1, 1, 2])


def units(a, axis=-1):
    return a / np.sqrt((a * a).sum(axis, keepdims=True))


def turned(slope, u, v, length):
    """Σⱼ slopeᵢⱼ ∂cos/∂xᵢ from unit vectors, by ∂cos/∂x = (v − (u·v) u)/‖x‖."""
    return (slope @ v - (slope * (u @ v.T)).sum(-1, keepdims=True) * u) / length


class TestNtxent:
    def exact(self, x, labels, temperature):
        """Losses and the gradient of their sum, in double precision, pair by pair."""
        x, labels = np.float64(x), np.asarray(labels)
        u, n = units(x), len(labels)
        s = u @ u.T / temperature
        losses, slope = np.zeros(n), np.zeros((n, n))
        for i in range(n):
            likes = [j for j in range(n) if j != i and labels[j] == labels[i]]
            others = labels != labels[i]
            against = np.exp(s[i]) * others
            for j in likes:
                total = np.exp(s[i, j]) + against.sum()
                losses[i] += np.log(total / np.exp(s[i, j])) / len(likes)
                slope[i, j] -= against.sum() / total / len(likes)
                slope[i] += against / total / len(likes)
        slope = (slope + slope.T) / temperature
        return losses, turned(slope, u, u, np.sqrt((x * x).sum(-1, keepdims=True)))

    @pytest.mark.parametrize("temperature", [0.07, 0.5])
    def test_reference(self, temperature):
        """To a few units in the last place of 1/T: that is what a cosine, rounded, comes to."""
        losses, gradient = self.exact(X, LABELS, temperature)
        f = functools.partial(ntxent, temperature=temperature)
        bound = 4e-7 / temperature
        np.testing.assert_allclose(jax.jit(f)(X, LABELS), losses, rtol=4e-7, atol=bound)
        for derivative in [jax.grad, jax.jacfwd]:
            ours = jax.jit(derivative(lambda x: f(x, LABELS).sum()))(X)
            np.testing.assert_allclose(ours, gradient, atol=bound * np.abs(gradient).max())

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        f = jax.jit(functools.partial(ntxent, temperature=0.5))
        assert_slope(f, lambda x, y: self.exact(x, y, 0.5)[1], np.float64(X), LABELS)

    def test_agrees_with_optax(self):
        labels = jnp.array([0, 1, 2, 0, 1, 2])
        theirs = jax.jit(optax.losses.ntxent)(X, labels)
        np.testing.assert_allclose(ntxent(X, labels).mean(), theirs, rtol=1e-5)

    def test_neither_like_nor_unlike(self):
        assert ntxent(X, LABELS)[5] == 0
        assert ntxent(X, jnp.zeros(6, int)).tolist() == [0] * 6
        for labels in [jnp.arange(6), jnp.zeros(6, int)]:
            assert (jax.grad(lambda x, y=labels: ntxent(x, y).sum())(X) == 0).all()

    def test_a_confident_example_still_has_a_loss(self):
        """Whose gradient goes on to turn it; optax gives 0."""
        e = jnp.eye(2)[jnp.array([0, 0, 1, 1])] + jnp.array([[0.0, 0.1]] * 4)
        s = units(np.float64(e)) @ units(np.float64(e)).T / 0.04
        losses = ntxent(e, jnp.array([0, 0, 1, 1]), 0.04)
        expected = np.log1p(2 * np.exp(s[0, 2] - s[0, 1]))
        assert 0 < expected < 1e-8
        np.testing.assert_allclose(losses, expected, rtol=1e-4)

    def test_transforms_and_edges(self):
        assert_transforms(ntxent, X, LABELS)
        assert ntxent(jnp.zeros((0, 3)), jnp.zeros(0, int)).shape == (0,)
        at_zero = jax.value_and_grad(lambda x: ntxent(x, LABELS).sum())(X.at[0].set(0))
        assert jnp.isfinite(jnp.concatenate([a.ravel() for a in at_zero])).all()
        assert jnp.isnan(ntxent(X.at[0].set(jnp.nan), LABELS)[:5]).all()
        assert ntxent(X.astype(jnp.bfloat16), LABELS).dtype == jnp.bfloat16


class TestInfoNce:
    def exact(self, q, k, temperature=0.07):
        q, k = np.float64(q), np.float64(k)
        u, v = units(q), units(k)
        s = u @ v.T / temperature
        top = s.max(-1, keepdims=True)
        p = np.exp(s - top) / np.exp(s - top).sum(-1, keepdims=True)
        slope = (p - np.eye(*p.shape)) / temperature
        gradient = turned(slope, u, v, np.sqrt((q * q).sum(-1, keepdims=True)))
        return -np.log(np.diag(p)), gradient

    def test_reference(self):
        """With more candidates than queries."""
        losses, gradient = self.exact(X[:4], OTHER)
        f = jax.jit(info_nce)
        np.testing.assert_allclose(f(X[:4], OTHER), losses, rtol=4e-7, atol=6e-6)
        for derivative in [jax.grad, jax.jacfwd]:
            ours = jax.jit(derivative(lambda q: f(q, OTHER).sum()))(X[:4])
            np.testing.assert_allclose(ours, gradient, atol=6e-6 * np.abs(gradient).max())

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        q, k = np.float64(X[:3]), np.float64(OTHER[:4])
        assert_slope(jax.jit(info_nce), lambda q, k: self.exact(q, k)[1], q, k)

    @pytest.mark.last_digits
    def test_law_of_chance(self):
        """Candidates that are all alike give log n, whatever the queries."""
        assert_within_ulp(info_nce(X, jnp.ones((6, 4))), np.full(6, np.log(6)), 2)

    def test_transforms_and_edges(self):
        assert_transforms(info_nce, X, OTHER)
        assert info_nce(jnp.zeros((0, 3)), jnp.ones((2, 3))).shape == (0,)
        assert info_nce(jnp.ones((2, 1, 3)), jnp.ones((2, 1, 3))).tolist() == [[0.0], [0.0]]
        zero = jax.grad(lambda q: info_nce(q, OTHER).sum())(X.at[0].set(0))
        assert (zero[0] == 0).all()
        assert jnp.isnan(info_nce(X.at[0].set(jnp.nan), OTHER)).tolist() == [True] + [False] * 5
        assert info_nce(X.astype(jnp.float16), OTHER.astype(jnp.float16)).dtype == jnp.float16


class TestBarlowTwinsLoss:
    def exact(self, x, y, weight=5e-3):
        a, b = (np.float64(z) - np.float64(z).mean(0) for z in (x, y))
        u, v = units(a, 0).T, units(b, 0).T
        c = u @ v.T
        off = np.where(np.eye(len(c)), 0, c)
        slope = 2 * weight * off - 2 * np.diag(1 - np.diag(c))
        length = np.sqrt((a * a).sum(0))[:, None]
        return ((1 - np.diag(c)) ** 2).sum() + weight * (off**2).sum(), turned(
            slope, u, v, length
        ).T

    @pytest.mark.last_digits
    def test_reference(self):
        value, gradient = self.exact(X, OTHER)
        f = jax.jit(barlow_twins_loss)
        assert_within_ulp(f(X, OTHER), value, 6)
        for derivative in [jax.grad, jax.jacfwd]:
            ours = jax.jit(derivative(f))(X, OTHER)
            np.testing.assert_allclose(ours, gradient, atol=1e-6 * np.abs(gradient).max())

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        x, y = np.float64(X), np.float64(OTHER)
        assert_slope(jax.jit(barlow_twins_loss), lambda x, y: self.exact(x, y)[1], x, y)

    def test_views_that_nearly_agree(self):
        """(1 − C)² of a C that is 1 within rounding: 1 − C² is formed, not 1 − C."""
        y = X * (1 + 1e-4 * OTHER)
        ours = barlow_twins_loss(X, y, redundancy_weight=0.0)
        np.testing.assert_allclose(ours, self.exact(X, y, 0)[0], rtol=1e-2)

    def test_transforms_and_edges(self):
        f = barlow_twins_loss
        assert_transforms(f, X, OTHER)
        assert f(jnp.stack([X, X]), jnp.stack([X, OTHER])).shape == (2,)
        constant = X.at[:, 0].set(3.0)
        value, gradient = jax.value_and_grad(f)(constant, OTHER)
        assert value >= 1
        assert jnp.isfinite(gradient).all()
        assert (gradient[:, 0] == 0).all()
        assert jnp.isnan(f(X.at[0, 0].set(jnp.nan), OTHER))
        assert f(X.astype(jnp.bfloat16), OTHER.astype(jnp.bfloat16)).dtype == jnp.bfloat16


class TestVicregLoss:
    def exact(self, x, y, gamma=1.0, eps=1e-4):
        """Value and gradient by x of λ = μ = 25, ν = 1, in double precision."""
        x, y = np.float64(x), np.float64(y)
        n, d = x.shape
        value, gradient = 25 * ((x - y) ** 2).sum() / n, 50 / n * (x - y)
        for z in (x, y):
            centred = z - z.mean(0)
            c = np.cov(z.T)
            deviation = np.sqrt(np.diag(c) + eps)
            off = np.where(np.eye(d), 0, c)
            value += (25 * np.clip(gamma - deviation, 0, None).sum() + (off**2).sum()) / d
            if z is x:
                lacking = 25 * centred / deviation * (deviation < gamma)
                gradient = gradient + (4 * centred @ off - lacking) / d / (n - 1)
        return value, gradient

    @pytest.mark.last_digits
    def test_reference(self):
        f = jax.jit(functools.partial(vicreg_loss, deviation=1.2))
        value, gradient = self.exact(X, OTHER, 1.2)
        assert_within_ulp(f(X, OTHER), value, 4)
        for derivative in [jax.grad, jax.jacfwd]:
            ours = jax.jit(derivative(f))(X, OTHER)
            np.testing.assert_allclose(ours, gradient, atol=1e-6 * np.abs(gradient).max())

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        x, y = np.float64(X), np.float64(OTHER)
        assert_slope(jax.jit(vicreg_loss), lambda x, y: self.exact(x, y)[1], x, y)

    def test_transforms_and_edges(self):
        f = vicreg_loss
        assert_transforms(f, X, OTHER)
        assert f(jnp.stack([X, X]), jnp.stack([X, OTHER])).shape == (2,)
        constant = jnp.ones((3, 2))
        for epsilon in [0.0, 1e-4]:
            value, gradient = jax.value_and_grad(f)(constant, constant, epsilon=epsilon)
            np.testing.assert_allclose(value, 50 * (1 - epsilon**0.5), rtol=1e-6)
            assert (gradient == 0).all()
        assert jnp.isnan(f(X.at[0, 0].set(jnp.nan), OTHER))
        assert f(X.astype(jnp.bfloat16), OTHER.astype(jnp.bfloat16)).dtype == jnp.bfloat16


@pytest.mark.parametrize("examples", [3, 10, 11])
def test_a_feature_that_does_not_vary_correlates_with_none(examples):
    """Its mean may be rounded; what is left of it is still exactly nothing."""
    first, second = jnp.full((examples, 1), 0.1), jnp.full((examples, 1), 0.3)
    assert barlow_twins_loss(first, second) == 1
    slope = jax.grad(lambda x: vicreg_loss(x, x, epsilon=0.0, invariance_weight=0.0))
    np.testing.assert_array_equal(slope(first), jnp.zeros_like(first))
