"""fnmath.bayes, Laplace's approximation: exact where it must be, near where it may be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from fnmath.bayes import (
    LaplaceApproximation,
    laplace_approximation,
    laplace_sample,
)
from tests.helpers import Mistake

random = np.random.default_rng(0)


def bowl(x):
    return -0.5 * x @ x


found = LaplaceApproximation(jnp.zeros(2), jnp.eye(2), jnp.zeros(()), jnp.zeros(()))
key = jax.random.key(0)
MISTAKES = [
    Mistake(
        laplace_approximation,
        ("bowl", jnp.ones(2)),
        {},
        TypeError,
        "laplace_approximation: log_posterior is a str; wanted a function",
    ),
    Mistake(
        laplace_approximation,
        (bowl, jnp.ones(2, int)),
        {},
        TypeError,
        "laplace_approximation: start has dtype int32; wanted a floating dtype; "
        "did you mean start.astype(jnp.float32)?",
    ),
    Mistake(
        laplace_approximation,
        (bowl, {}),
        {},
        ValueError,
        "laplace_approximation: start holds no arrays",
    ),
    Mistake(
        laplace_approximation,
        (bowl, jnp.ones(0)),
        {},
        ValueError,
        "laplace_approximation: start holds no numbers",
    ),
    Mistake(
        laplace_approximation,
        (lambda x: x, jnp.ones(2)),
        {},
        ValueError,
        "laplace_approximation: log_posterior gives (2,); wanted one number",
    ),
    Mistake(
        laplace_approximation,
        (bowl, jnp.ones(2)),
        {"steps": -1},
        ValueError,
        "laplace_approximation: steps is -1; wanted an integer of at least 0",
    ),
    Mistake(
        laplace_sample,
        (0, found),
        {"samples": 1},
        TypeError,
        "laplace_sample: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        laplace_sample,
        (key, bowl),
        {"samples": 1},
        TypeError,
        "laplace_sample: approximation is a function; wanted a LaplaceApproximation; "
        "did you mean laplace_approximation(f, start)?",
    ),
    Mistake(
        laplace_sample,
        (key, found),
        {"samples": 0},
        ValueError,
        "laplace_sample: samples is 0; wanted an integer of at least 1",
    ),
    Mistake(
        laplace_sample,
        (key, found._replace(precision_factor=jnp.eye(3))),
        {"samples": 1},
        ValueError,
        "laplace_sample: precision_factor has shape (3, 3); wanted (2, 2)",
    ),
]


@pytest.mark.usefixtures("x64")
def test_reference_of_a_normal_posterior_on_a_tree():
    """Exact there: a regression of known noise, its weights in two arrays of a tree."""
    X, noise = random.standard_normal((20, 3)), 0.5
    y = X @ [1.0, -2.0, 0.5] + noise * random.standard_normal(20)

    def log_posterior(theta):
        w = jnp.concatenate([theta["a"], theta["b"][0]])
        each = -0.5 * jnp.square((y - X @ w) / noise) - 0.5 * jnp.log(2 * jnp.pi * noise**2)
        return each.sum() - 0.5 * w @ w - 1.5 * jnp.log(2 * jnp.pi)

    start = {"a": jnp.zeros(2), "b": jnp.zeros((1, 1))}
    ours = jax.jit(lambda s: laplace_approximation(log_posterior, s, steps=2))(start)
    precision = np.eye(3) + X.T @ X / noise**2
    mode = np.concatenate([ours.mode["a"], ours.mode["b"][0]])
    np.testing.assert_allclose(mode, np.linalg.solve(precision, X.T @ y / noise**2), rtol=1e-10)
    L = np.asarray(ours.precision_factor)
    np.testing.assert_allclose(L @ L.T, precision, rtol=1e-10, atol=1e-10)
    C = X @ X.T + noise**2 * np.eye(20)
    expected = scipy.stats.multivariate_normal(np.zeros(20), C).logpdf(y)
    np.testing.assert_allclose(ours.log_evidence, expected, rtol=1e-10)
    assert ours.gradient < 1e-9


@pytest.mark.usefixtures("x64")
def test_reference_is_stirlings_formula():
    """∫ exp(n θ − exp θ) dθ = Γ(n): Laplace's is Stirling's, and its error falls as 1/(12 n).

    By n the evidence has the slope of (n − ½) log n − n + ½ log 2π, since the mode, log n, moves.
    """

    def f(n):
        found = laplace_approximation(lambda t: n * t - jnp.exp(t), jnp.array(0.0))
        return found.mode, found.log_evidence

    n = np.array([5.0, 50.0])
    derivatives = (f, jax.jacfwd(f), jax.jacrev(f))
    value, *slopes = jax.jit(jax.vmap(lambda n: [g(n) for g in derivatives]))(n)
    np.testing.assert_allclose(np.exp(value[0]), n, rtol=1e-10)
    np.testing.assert_allclose(scipy.special.gammaln(n) - value[1], 1 / (12 * n), rtol=0.01)
    for mode, log_evidence in slopes:
        np.testing.assert_allclose(mode, 1 / n, rtol=1e-9)
        np.testing.assert_allclose(log_evidence, np.log(n) - 0.5 / n, rtol=1e-9)


def test_law_logistic_regression_from_far_away():
    """Newton's steps alone diverge from there; the damped ones do not."""
    X = np.float32(random.standard_normal((50, 2)))
    labels = np.float32(random.uniform(size=50) < scipy.special.expit(X @ [2.0, -1.0]))

    def log_posterior(w):
        z = X @ w
        return jnp.sum(labels * z - jax.nn.softplus(z)) - 0.05 * w @ w

    @jax.jit
    def drawn(start):
        found = laplace_approximation(log_posterior, start)
        return found, laplace_sample(key, found, samples=50_000)

    (near, draws), (far, _) = (drawn(np.full(2, s, np.float32)) for s in (0.0, 12.0))
    np.testing.assert_allclose(near.mode, far.mode, rtol=1e-3)
    assert near.gradient < 1e-4
    assert far.gradient < 1e-4
    L = np.asarray(near.precision_factor)
    np.testing.assert_allclose(np.mean(draws, 0), near.mode, atol=0.02)
    np.testing.assert_allclose(np.cov(np.transpose(draws)), np.linalg.inv(L @ L.T), 0.03, 0.01)


def test_transforms_and_edges():
    def f(scale):
        ours = laplace_approximation(lambda x: scale * bowl(x), jnp.ones(2))
        return ours, laplace_sample(key, ours, samples=3)

    once, both = jax.jit(f)(2.0), jax.jit(jax.vmap(f))(np.float32([2, 3]))
    np.testing.assert_allclose(both[0].log_evidence[0], once[0].log_evidence, rtol=1e-6)
    np.testing.assert_allclose(once[0].log_evidence, np.log(np.pi), rtol=1e-6)
    assert once[1].shape == (3, 2)

    @jax.jit
    def edges():
        flat = laplace_approximation(jnp.sum, jnp.ones(2), steps=3)
        saddle = laplace_approximation(lambda x: x[0] ** 2 - x[1] ** 2, jnp.zeros(2), steps=3)
        return flat, saddle, laplace_approximation(bowl, jnp.ones(2), steps=0)

    flat, saddle, untouched = edges()
    assert not np.isfinite(flat.log_evidence)
    assert np.isnan(saddle.log_evidence)
    assert (untouched.mode == 1).all()
    assert untouched.gradient == 1
