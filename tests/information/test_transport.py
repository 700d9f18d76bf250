"""fnmath.information, transport: against SciPy, linear programs and mpmath, in both modes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.stats

from fnmath.information import (
    gaussian_wasserstein_distance,
    sinkhorn,
    wasserstein_distance,
)
from fnmath.losses import wasserstein_distance_1d
from tests.helpers import Mistake, assert_derivatives, assert_gradient, assert_transforms

random = np.random.default_rng(1)
x = jnp.ones((2, 3))
eye = jnp.eye(3)
C = jnp.ones((2, 3))
masses = jnp.full(2, 0.5), jnp.full(3, 1 / 3)
MISTAKES = [
    Mistake(
        wasserstein_distance,
        (x, x.astype(int)),
        {},
        TypeError,
        "wasserstein_distance: y has dtype int32; wanted a floating dtype; "
        "did you mean y.astype(jnp.float32)?",
    ),
    Mistake(
        wasserstein_distance,
        (x, x[0]),
        {},
        ValueError,
        "wasserstein_distance: x (2, 3) and y (3,) must have one batch shape",
    ),
    Mistake(
        wasserstein_distance,
        (x, x[:, :0]),
        {},
        ValueError,
        "wasserstein_distance: x (2, 3) and y (2, 0) must not be empty",
    ),
    Mistake(
        wasserstein_distance,
        (x, x),
        {"y_weights": x[0]},
        ValueError,
        "wasserstein_distance: y_weights (3,) and y (2, 3) must have one shape",
    ),
    Mistake(
        wasserstein_distance,
        (x, x),
        {"p": 0.5},
        ValueError,
        "wasserstein_distance: p is 0.5; wanted a number in [1, inf)",
    ),
    Mistake(
        gaussian_wasserstein_distance,
        (x, x, x, x),
        {},
        ValueError,
        "gaussian_wasserstein_distance: covariance_x has shape (2, 3); wanted (2, 3, 3)",
    ),
    Mistake(
        gaussian_wasserstein_distance,
        (x[0], eye, x, eye),
        {},
        ValueError,
        "gaussian_wasserstein_distance: mean_x (3,) and mean_y (2, 3) must have one shape",
    ),
    Mistake(
        gaussian_wasserstein_distance,
        (x[0], eye, x[0], eye),
        {"squared": 1},
        TypeError,
        "gaussian_wasserstein_distance: squared is 1 (int); wanted True or False",
    ),
    Mistake(
        sinkhorn,
        (C, *masses),
        {"epsilon": 0.0},
        ValueError,
        "sinkhorn: epsilon is 0.0; wanted a number in (0, inf)",
    ),
    Mistake(
        sinkhorn,
        (C, masses[1], masses[1]),
        {"epsilon": 1.0},
        ValueError,
        "sinkhorn: p has shape (3,); wanted (2,), not empty",
    ),
    Mistake(
        sinkhorn,
        (C[0], *masses),
        {"epsilon": 1.0},
        ValueError,
        "sinkhorn: cost has shape (3,); wanted exactly 2 axes, (n m); did you mean cost[None]?",
    ),
    Mistake(
        sinkhorn,
        (C, *masses),
        {"epsilon": 1.0, "max_steps": 0},
        ValueError,
        "sinkhorn: max_steps is 0; wanted an integer of at least 1",
    ),
    Mistake(
        sinkhorn,
        (C, *masses),
        {"epsilon": 1.0, "tolerance": "small"},
        TypeError,
        "sinkhorn: tolerance is 'small' (str); wanted a number",
    ),
]


def by_program(x, y, v, w, p):
    """The cost of the best plan, by a linear program."""
    n, m = len(x), len(y)
    cost = np.abs(x[:, None] - y) ** p
    rows = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
    right = np.concatenate([v / v.sum(), w / w.sum()])
    best = scipy.optimize.linprog(cost.ravel(), A_eq=np.concatenate(rows), b_eq=right)
    return best.fun ** (1 / p)


class TestOnTheLine:
    @pytest.mark.usefixtures("x64")
    def test_agrees_with_scipy(self):
        for n, m in [(5, 5), (4, 7), (1, 3)]:
            x, y = random.standard_normal(n), random.standard_normal(m)
            v, w = random.uniform(0, 1, n), random.uniform(0, 1, m)
            X, Y, V, W = map(jnp.asarray, (x, y, v, w))
            ours = wasserstein_distance(X, Y)
            np.testing.assert_allclose(ours, scipy.stats.wasserstein_distance(x, y), rtol=1e-12)
            ours = wasserstein_distance(X, Y, x_weights=V, y_weights=W)
            theirs = scipy.stats.wasserstein_distance(x, y, v, w)
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
            ours = wasserstein_distance(X, Y, y_weights=W)
            theirs = scipy.stats.wasserstein_distance(x, y, v_weights=w)
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("p", [1.0, 2.0, 3.5])
    def test_reference_by_a_linear_program(self, p):
        x, y, v, w = (random.uniform(0, 1, n) for n in (4, 5, 4, 5))
        X, Y, V, W = map(jnp.asarray, (x, y, v, w))
        ours = wasserstein_distance(X, Y, x_weights=V, y_weights=W, p=p)
        np.testing.assert_allclose(ours, by_program(x, y, v, w, p), rtol=1e-8)

    @pytest.mark.parametrize("p", [1.0, 2.0])
    def test_law_without_weights_it_is_the_loss(self, p):
        x, y = jnp.float32(random.standard_normal((3, 6))), jnp.float32(random.uniform(size=(3, 4)))
        ours = wasserstein_distance(x, y, p=p)
        np.testing.assert_array_equal(ours, wasserstein_distance_1d(x, y, p=p))
        alike = wasserstein_distance(x, y, p=p, x_weights=jnp.full((3, 6), 0.3))
        np.testing.assert_allclose(alike, ours, rtol=2e-5)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
    def test_gradient(self, p):
        x, y = jnp.asarray([0.3, -1.0, 2.0]), jnp.asarray([0.1, 0.7])
        v, w = jnp.asarray([0.2, 0.5, 0.3]), jnp.asarray([0.6, 0.4])
        P = np.array([[0.1, 0.1], [0.5, 0.0], [0.0, 0.3]])  # in order: −1, 0.3, 2

        def gradient(x, y):
            d = np.asarray(x)[:, None] - np.asarray(y)
            W = (P * np.abs(d) ** p).sum() ** (1 / p)
            return (P * np.sign(d) * (np.abs(d) / W) ** (p - 1)).sum(1)

        def f(x, y):
            return wasserstein_distance(x, y, x_weights=v, y_weights=w, p=p)

        assert_gradient(f, gradient, x, y)

        def of_weights(v, w):
            return wasserstein_distance(x, y, x_weights=v, y_weights=w, p=p)

        assert_derivatives(of_weights, v, w)

    def test_transforms_and_edges(self):
        x, y = jnp.float32(random.standard_normal((2, 3, 4)))
        w = jnp.float32(random.uniform(0, 1, (3, 4)))
        f = lambda x, y, w: wasserstein_distance(x, y, x_weights=w, p=2)  # noqa: E731
        assert_transforms(f, x, y, w, rtol=1e-5)
        for bad in (-jnp.ones(4), jnp.zeros(4)):
            assert jnp.isnan(jax.jit(f)(x[0], y[0], bad))
        for derivative in (jax.grad, jax.jacfwd):
            assert (derivative(f)(x[0], x[0], jnp.ones(4)) == 0).all()
        assert f(x, y, w).dtype == jnp.float32
        half = x.astype(jnp.bfloat16)
        assert wasserstein_distance(half, half, x_weights=half**2).dtype == jnp.bfloat16
        one = jnp.zeros(3).at[1].set(1)
        places = jnp.arange(3.0)
        assert wasserstein_distance(places, places + 5, x_weights=one, y_weights=one) == 5


def covariances(n, d):
    roots = random.standard_normal((n, d, d))
    return roots @ roots.swapaxes(-1, -2) + 0.1 * np.eye(d)


class TestOfGaussians:
    @pytest.mark.usefixtures("x64")
    def test_reference(self):
        (S, T), (m, n) = covariances(2, 3), random.standard_normal((2, 3))
        R = scipy.linalg.sqrtm(S)
        cross = np.trace(scipy.linalg.sqrtm(R @ T @ R))
        square = ((m - n) ** 2).sum() + np.trace(S) + np.trace(T) - 2 * cross
        args = map(jnp.asarray, (m, S, n, T))
        np.testing.assert_allclose(gaussian_wasserstein_distance(*args), square**0.5, rtol=1e-10)

    def test_nearly_equal_covariances_keep_their_distance(self):
        """Where tr(S + T − 2 …) in float32 is nothing but rounding."""
        S = jnp.diag(jnp.array([1.0, 2.0, 0.5]))
        rotation = scipy.linalg.qr(random.standard_normal((3, 3)))[0].astype(np.float32)
        for gap in (1e-2, 1e-4):
            T = jnp.diag(jnp.array([1.0, 2.0, 0.5]) * (1 + gap))
            a, b = rotation @ S @ rotation.T, rotation @ T @ rotation.T
            zeros = jnp.zeros(3)
            ours = gaussian_wasserstein_distance(zeros, a, zeros, b)
            expected = np.sqrt(3.5) * (np.sqrt(1 + gap) - 1)
            assert abs(ours - expected) < 2e-6

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        (S, T), (m, n) = covariances(2, 3), random.standard_normal((2, 3))
        args = tuple(map(jnp.asarray, (m, S, n, T)))

        def gradient(args):
            m, S, n, T = (np.asarray(a) for a in args)
            R = scipy.linalg.sqrtm(S)
            Z = np.linalg.inv(R)
            A = Z @ scipy.linalg.sqrtm(R @ T @ R) @ Z
            return 2 * (m - n), np.eye(3) - A, 2 * (n - m), np.eye(3) - np.linalg.inv(A)

        def f(args):
            return gaussian_wasserstein_distance(*args, squared=True)

        assert_gradient(f, gradient, args, rtol=1e-9)
        assert_derivatives(lambda *a: gaussian_wasserstein_distance(*a), *args)

    @pytest.mark.usefixtures("x64")
    def test_derivatives_where_eigenvalues_are_alike(self):
        zeros, S = jnp.zeros(2), jnp.eye(2)

        def f(T):
            return gaussian_wasserstein_distance(zeros, S, zeros, T, squared=True)

        assert_derivatives(f, 2 * jnp.eye(2))
        assert_derivatives(f, jnp.diag(jnp.asarray([1.0, 3.0])))

    def test_transforms_and_edges(self):
        (S, T), (m, n) = jnp.float32(covariances(2, 3)), jnp.float32(random.standard_normal((2, 3)))
        assert_transforms(gaussian_wasserstein_distance, m, S, n, T, rtol=1e-5)
        batch = gaussian_wasserstein_distance(*(jnp.stack([a, a]) for a in (m, S, n, T)))
        assert batch.shape == (2,)
        point = jnp.zeros((3, 3))
        ours = gaussian_wasserstein_distance(m, S, m, point)
        np.testing.assert_allclose(ours, jnp.sqrt(jnp.trace(S)), rtol=1e-5)
        assert gaussian_wasserstein_distance(m, point, m, point) == 0
        assert jnp.isnan(gaussian_wasserstein_distance(m, -S, m, T))
        half = (m, S, n, T)
        half = [a.astype(jnp.bfloat16) for a in half]
        assert gaussian_wasserstein_distance(*half).dtype == jnp.bfloat16


@pytest.mark.last_digits  # XLA's older emitters leave the loop too early
class TestSinkhorn:
    def problem(self, n=4, m=5):
        x, y = random.uniform(0, 1, n), random.uniform(0, 1, m)
        p, q = random.dirichlet(np.ones(n)), random.dirichlet(np.ones(m))
        return jnp.asarray((x[:, None] - y) ** 2), jnp.asarray(p), jnp.asarray(q)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("epsilon", [1.0, 0.05])
    def test_law_margins_and_duality(self, epsilon):
        C, p, q = self.problem()
        f = functools.partial(sinkhorn, epsilon=epsilon, tolerance=1e-13)
        ours = jax.jit(f)(C, p, q)
        np.testing.assert_allclose(ours.plan.sum(1), p, rtol=1e-10)
        np.testing.assert_allclose(ours.plan.sum(0), q, rtol=1e-10)
        assert ours.error < 1e-10
        P = np.asarray(ours.plan)
        primal = (P * C).sum() + epsilon * (P * np.log(P / (p[:, None] * q))).sum()
        np.testing.assert_allclose(ours.cost, primal, rtol=1e-9)
        assert abs((q * ours.second_potential).sum()) < 1e-12

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_law_a_small_epsilon_comes_near_the_best_plan(self):
        x, y, p, q = (random.uniform(0, 1, n) for n in (4, 5, 4, 5))
        best = by_program(x, y, p, q, 2) ** 2
        C = jnp.asarray((x[:, None] - y) ** 2)
        p, q = (jnp.asarray(w / w.sum()) for w in (p, q))
        epsilon = 1e-4
        cost = sinkhorn(C, p, q, epsilon=epsilon, max_steps=100_000).cost
        assert best - 1e-9 <= cost <= best + epsilon * np.log(20)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        C, p, q = self.problem(3, 4)
        options = {"epsilon": 0.3, "tolerance": 1e-14}
        transport = jax.jit(functools.partial(sinkhorn, **options))(C, p, q)

        def cost(C, z, w):
            return sinkhorn(C, jax.nn.softmax(z), jax.nn.softmax(w), **options).cost

        z, w = jnp.log(p), jnp.log(q)
        for derivative in (jax.grad, jax.jacfwd):
            gradient = derivative(lambda *a: sinkhorn(*a, **options).cost, (0, 1, 2))
            by_cost, by_p, by_q = jax.jit(gradient)(C, p, q)
            np.testing.assert_allclose(by_cost, transport.plan, rtol=1e-9)
            for ours, potential in (
                (by_p, transport.first_potential),
                (by_q, transport.second_potential),
            ):
                off = np.asarray(ours - potential)
                np.testing.assert_allclose(off, off[0], atol=1e-10)
        assert_derivatives(cost, C, z, w)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_derivatives_of_the_plan_and_by_epsilon(self):
        C, p, q = self.problem(3, 3)

        def plan(C, z, epsilon):
            p = jax.nn.softmax(z)
            transport = sinkhorn(C, p, q, epsilon=epsilon, tolerance=1e-14)
            return transport.plan, transport.cost

        assert_derivatives(plan, C, jnp.log(p), jnp.asarray(0.4))

    def test_transforms(self):
        C, p, q = (jnp.float32(a) for a in self.problem())
        f = functools.partial(sinkhorn, epsilon=0.1)
        assert_transforms(lambda C, p, q: f(C, p, q).plan, C, p, q, rtol=1e-4)

    def test_edges(self):
        C, p, q = (jnp.float32(a) for a in self.problem(3, 3))
        f = jax.jit(functools.partial(sinkhorn, epsilon=0.1))
        for bad in ([0.5, 0.5, 0.5], [1.5, -0.5, 0.0]):
            assert jnp.isnan(f(C, jnp.array(bad), q).cost)
        assert jnp.isnan(jax.jit(sinkhorn)(C, p, q, epsilon=-1.0).cost)
        without = f(C, jnp.array([0.5, 0.5, 0.0]), q)
        assert (without.plan[2] == 0).all()
        np.testing.assert_allclose(without.plan.sum(0), q, atol=1e-5)
        alone = f(C[:2], jnp.array([0.5, 0.5]), q)
        np.testing.assert_allclose(without.cost, alone.cost, rtol=1e-4)
        slope = jax.jit(jax.grad(lambda p: f(C, p, q).cost))(jnp.array([0.5, 0.5, 0.0]))
        assert jnp.isfinite(slope).all()
        assert f(*(a.astype(jnp.bfloat16) for a in (C, p, q))).plan.dtype == jnp.bfloat16
        large = jax.jit(sinkhorn)(1e4 * C, p, q, epsilon=1.0)  # whose exponentials underflow
        assert jnp.isfinite(large.cost)
