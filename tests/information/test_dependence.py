"""fnmath.information, mutual information: discrete, Gaussian and of samples."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from sklearn.metrics import mutual_info_score

from fnmath.information import (
    entropy,
    gaussian_mutual_information,
    mutual_information,
    mutual_information_of_samples,
)
from tests.helpers import Mistake, assert_derivatives, assert_gradient, assert_transforms

random = np.random.default_rng(2)
joint = jnp.full((2, 3), 1 / 6)
S = jnp.eye(3)
x = jnp.float32(random.standard_normal((10, 2)))
MISTAKES = [
    Mistake(
        mutual_information,
        (joint.astype(int),),
        {},
        TypeError,
        "mutual_information: joint has dtype int32; wanted a floating dtype; "
        "did you mean joint.astype(jnp.float32)?",
    ),
    Mistake(
        mutual_information,
        (joint[:, :0],),
        {},
        ValueError,
        "mutual_information: joint (2, 0) has no outcomes",
    ),
    Mistake(
        mutual_information,
        (joint,),
        {"base": 0.5},
        ValueError,
        "mutual_information: base is 0.5; wanted a number in (1, inf)",
    ),
    Mistake(
        gaussian_mutual_information,
        (joint,),
        {"split": 1},
        ValueError,
        "gaussian_mutual_information: covariance (2, 3) must be square",
    ),
    Mistake(
        gaussian_mutual_information,
        (S,),
        {"split": 3},
        ValueError,
        "gaussian_mutual_information: split is 3; wanted less than the 3 features",
    ),
    Mistake(
        gaussian_mutual_information,
        (S,),
        {"split": 1.5},
        TypeError,
        "gaussian_mutual_information: split is 1.5 (float); wanted an integer",
    ),
    Mistake(
        mutual_information_of_samples,
        (x, x[:5]),
        {},
        ValueError,
        "mutual_information_of_samples: the number of pairs must agree: x has 10 and y has 5",
    ),
    Mistake(
        mutual_information_of_samples,
        (x, x),
        {"neighbours": 10},
        ValueError,
        "mutual_information_of_samples: x and y hold 10 pairs; wanted more than 10 neighbours",
    ),
    Mistake(
        mutual_information_of_samples,
        (x, x[:, 0]),
        {},
        ValueError,
        "mutual_information_of_samples: y has shape (10,); wanted exactly 2 axes, (n second); "
        "did you mean y[None]?",
    ),
    Mistake(
        mutual_information_of_samples,
        (x, x),
        {"neighbours": 1.5},
        TypeError,
        "mutual_information_of_samples: neighbours is 1.5 (float); wanted an integer",
    ),
]


class TestDiscrete:
    def test_agrees_with_scikit_learn(self):
        counts = random.integers(0, 9, (3, 4))
        ours = mutual_information(jnp.float32(counts / counts.sum()))
        theirs = mutual_info_score(None, None, contingency=counts)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)

    @pytest.mark.usefixtures("x64")
    def test_law_it_is_what_the_entropies_share(self):
        p = jnp.asarray(random.dirichlet(np.ones(12)).reshape(3, 4))
        shared = entropy(p.sum(0)) + entropy(p.sum(1)) - entropy(p.ravel())
        np.testing.assert_allclose(mutual_information(p), shared, rtol=1e-11)
        np.testing.assert_allclose(mutual_information(p.T, base=2), shared / np.log(2), rtol=1e-11)
        independent = p.sum(1, keepdims=True) * p.sum(0)
        assert abs(mutual_information(independent)) < 1e-15

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        p = jnp.asarray(random.dirichlet(np.ones(6)).reshape(2, 3))
        expected = np.log(p / p.sum(0) / p.sum(1, keepdims=True)) - 1
        for derivative in (jax.grad, jax.jacfwd):
            np.testing.assert_allclose(derivative(mutual_information)(p), expected, rtol=1e-9)
        z = jnp.log(p)
        assert_derivatives(lambda z: mutual_information(jax.nn.softmax(z, (0, 1))), z)

    def test_transforms_and_edges(self):
        assert_transforms(mutual_information, joint)
        p = jnp.array([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]])
        np.testing.assert_allclose(mutual_information(p), np.log(2), rtol=1e-6)
        for derivative in (jax.grad, jax.jacfwd):
            assert not jnp.isnan(derivative(mutual_information)(p)).any()
        assert jnp.isnan(mutual_information(jnp.full((2, 2), 0.3)))
        assert jnp.isnan(mutual_information(jnp.array([[1.5, -0.5]])))
        tiny = jnp.array([[1e-30, 0.0], [0.0, 1.0]])
        np.testing.assert_allclose(mutual_information(tiny), 69e-30, rtol=0.1)
        assert mutual_information(joint.astype(jnp.bfloat16)).dtype == jnp.bfloat16
        assert mutual_information(jnp.zeros((0, 2, 2))).shape == (0,)


class TestGaussian:
    def covariance(self, d=4):
        root = random.standard_normal((d, d + 2))
        return root @ root.T

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("split", [1, 2, 3])
    def test_reference(self, split):
        S = self.covariance()
        logdet = lambda S: np.linalg.slogdet(S)[1]  # noqa: E731
        expected = (logdet(S[:split, :split]) + logdet(S[split:, split:]) - logdet(S)) / 2
        ours = gaussian_mutual_information(jnp.asarray(S), split=split)
        np.testing.assert_allclose(ours, expected, rtol=1e-11)
        bits = gaussian_mutual_information(jnp.asarray(S), split=split, base=2)
        np.testing.assert_allclose(bits, expected / np.log(2), rtol=1e-11)

    def test_a_small_dependence_keeps_its_digits(self):
        rho = jnp.float32(1e-5)
        S = jnp.array([[1.0, rho], [rho, 1.0]])
        np.testing.assert_allclose(gaussian_mutual_information(S, split=1), 0.5e-10, rtol=1e-5)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("split", [1, 2])
    def test_gradient(self, split):
        S = jnp.asarray(self.covariance())

        def gradient(S):
            S = np.asarray(S)
            blocks = np.zeros_like(S)
            for part in (slice(0, split), slice(split, 4)):
                blocks[part, part] = np.linalg.inv(S[part, part])
            return (blocks - np.linalg.inv(S)) / 2

        f = functools.partial(gaussian_mutual_information, split=split)
        assert_gradient(lambda S: f(S), gradient, S, rtol=1e-8)
        equal = jnp.asarray(np.kron(np.array([[1, 0.5], [0.5, 1]]), np.eye(2)))
        assert_derivatives(lambda S: f(S), equal)  # canonical correlations alike

    def test_transforms_and_edges(self):
        f = functools.partial(gaussian_mutual_information, split=2)
        assert_transforms(lambda S: f(S), jnp.float32(self.covariance()), rtol=1e-4)
        assert f(jnp.eye(4)) == 0
        assert jnp.isnan(f(-jnp.eye(4)))
        same = jnp.ones((2, 2))
        assert gaussian_mutual_information(same, split=1) == jnp.inf
        assert f(jnp.eye(4, dtype=jnp.bfloat16)).dtype == jnp.bfloat16


class TestOfSamples:
    def by_loops(self, x, y, k):
        n, total = len(x), 0.0
        for i in range(n):
            a, b = (np.abs(z - z[i]).max(1) for z in (x, y))
            others = np.arange(n) != i
            radius = np.sort(np.maximum(a, b)[others])[k - 1]
            total += sum(scipy.special.digamma(1 + (d[others] < radius).sum()) for d in (a, b))
        return scipy.special.digamma(k) + scipy.special.digamma(n) - total / n

    @pytest.mark.parametrize("k", [1, 3])
    def test_reference(self, k):
        x, y = (
            np.float32(random.standard_normal((40, 2))),
            np.float32(random.standard_normal((40, 1))),
        )
        y = y + x[:, :1]
        ours = mutual_information_of_samples(jnp.asarray(x), jnp.asarray(y), neighbours=k)
        np.testing.assert_allclose(ours, self.by_loops(x, y, k), rtol=1e-5, atol=1e-6)

    @pytest.mark.slow
    def test_law_it_estimates_that_of_normal_variables(self):
        z = random.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], 2000)
        ours = mutual_information_of_samples(jnp.float32(z[:, :1]), jnp.float32(z[:, 1:]))
        assert abs(ours - -0.5 * np.log(1 - 0.81)) < 0.08
        bits = mutual_information_of_samples(jnp.float32(z[:, :1]), jnp.float32(z[:, 1:]), base=2)
        np.testing.assert_allclose(bits, ours / np.log(2), rtol=1e-5)

    def test_transforms_and_edges(self):
        f = mutual_information_of_samples
        y = x[:, :1] + 0.1 * x[:, 1:]
        assert_transforms(f, x, y, rtol=1e-5)
        for derivative in (jax.grad, jax.jacfwd):
            assert all((s == 0).all() for s in derivative(f, (0, 1))(x, y))
        assert jnp.isnan(f(x.at[0, 0].set(jnp.nan), y))
        assert f(x.astype(jnp.bfloat16), y.astype(jnp.bfloat16)).dtype == jnp.bfloat16
