"""fnmath.probability.matrix_normal: as a vector of all entries, by its laws, at its edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import matrix_normal
from tests.helpers import Mistake, assert_derivatives, assert_within_ulp

random = np.random.default_rng(0)
SHAPE = (2, 3)
X, MEAN, OTHER = random.standard_normal((3, *SHAPE)).astype(np.float32).astype(np.float64)


def drawn(n):
    A = random.standard_normal((n, n))
    return (A @ A.T + 0.5 * np.eye(n)).astype(np.float32).astype(np.float64)


(U, V), (R, S) = ((drawn(2), drawn(3)) for _ in range(2))
zero, two, three = jnp.zeros(SHAPE), jnp.eye(2), jnp.eye(3)

MISTAKES = [
    Mistake(
        matrix_normal.logpdf,
        (zero, zero, three, three),
        {},
        ValueError,
        "logpdf: rowcov has shape (3, 3); wanted (*batch 2 2)",
    ),
    Mistake(
        matrix_normal.pdf,
        (zero, jnp.zeros((2, 2)), two, three),
        {},
        ValueError,
        "pdf: the number of columns must agree: x has 3 and mean has 2",
    ),
    Mistake(
        matrix_normal.entropy,
        (jnp.zeros((4, 2, 3)), jnp.ones((5, 2, 2)), three),
        {},
        ValueError,
        "entropy: mean (4,) and rowcov (5,) and colcov () must have shapes that broadcast",
    ),
    Mistake(
        matrix_normal.mean,
        (zero, two, jnp.eye(3, dtype=int)),
        {},
        TypeError,
        "mean: colcov has dtype int32; wanted a floating dtype; did you mean "
        "colcov.astype(jnp.float32)?",
    ),
]


def symmetric(A):
    return 0.5 * (A + A.T)


def of_vectors(mean, rowcov, colcov):
    """Mean and covariance of all entries, row by row."""
    return mean.ravel(), jnp.kron(symmetric(rowcov), symmetric(colcov))


def log_density(x, *parameters):
    mean, cov = of_vectors(*parameters)
    d = x.ravel() - mean
    return -0.5 * (d @ jnp.linalg.solve(cov, d) + jnp.linalg.slogdet(2 * jnp.pi * cov)[1])


def differential_entropy(*parameters):
    return 0.5 * jnp.linalg.slogdet(2 * jnp.pi * np.e * of_vectors(*parameters)[1])[1]


def divergence(*parameters):
    (m, C), (k, D) = of_vectors(*parameters[:3]), of_vectors(*parameters[3:])
    traces = jnp.trace(jnp.linalg.solve(D, C)) - m.size + (m - k) @ jnp.linalg.solve(D, m - k)
    return 0.5 * (traces + jnp.linalg.slogdet(D)[1] - jnp.linalg.slogdet(C)[1])


def values_and_gradients(logpdf, entropy, kl):
    return jax.jit(
        lambda x, mean, U, V, other, R, S: (
            jax.value_and_grad(logpdf, (0, 1, 2, 3))(x, mean, U, V),
            jax.value_and_grad(entropy, (1, 2))(mean, U, V),
            jax.value_and_grad(kl, tuple(range(6)))(mean, U, V, other, R, S),
        )
    )


ARGUMENTS = (X, MEAN, U, V, OTHER, R, S)
OURS = values_and_gradients(matrix_normal.logpdf, matrix_normal.entropy, matrix_normal.kl)


@pytest.mark.last_digits  # as the next one, which compares with the same program
@pytest.mark.usefixtures("x64")
def test_equals_normal_vectors_and_scipy():
    written = values_and_gradients(log_density, differential_entropy, divergence)(*ARGUMENTS)
    found = OURS(*ARGUMENTS)
    for ours, theirs in zip(*map(jax.tree.leaves, (found, written)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12)
    peer = scipy.stats.matrix_normal(MEAN, U, V)
    np.testing.assert_allclose(found[0][0], peer.logpdf(X), rtol=1e-13)
    np.testing.assert_allclose(found[1][0], peer.entropy(), rtol=1e-13)


@pytest.mark.last_digits
def test_last_digits():
    """In float32 what double precision gives for the same numbers, rounded once."""
    single = OURS(*(a.astype(np.float32) for a in ARGUMENTS))
    with jax.enable_x64(True):
        double = OURS(*ARGUMENTS)
    for ours, exact in zip(*map(jax.tree.leaves, (single, double)), strict=True):
        assert_within_ulp(ours, np.asarray(exact), 2)


@pytest.mark.usefixtures("x64")
def test_second_derivatives():
    assert_derivatives(matrix_normal.logpdf, X, MEAN, U, V, step=1e-5, tolerance=1e-4)


@pytest.mark.usefixtures("x64")
def test_samples_have_the_moments_and_the_score_its_laws():
    count, parameters = 40_000, tuple(map(jnp.asarray, (MEAN, U, V)))

    @jax.jit
    def drawn(key):
        x = matrix_normal.sample(key, *parameters, shape=(count,))
        information = matrix_normal.fisher_information(*parameters)
        moments = matrix_normal.mean(*parameters), matrix_normal.variance(*parameters)
        score = matrix_normal.score(x, *parameters)
        return x, moments, score, information, matrix_normal.fit(x)

    found = jax.tree.map(np.asarray, drawn(jax.random.key(1)))
    x, (mean, variance), score, information, fitted = found
    np.testing.assert_array_equal(mean, MEAN)
    deviation = np.sqrt(variance / count)
    assert (np.abs(x.mean(0) - MEAN) < 4.5 * deviation).all()
    np.testing.assert_allclose(x.var(0), variance, rtol=0.05)
    cov = np.cov(x.reshape(count, -1).T)
    np.testing.assert_allclose(cov, np.kron(U, V), atol=0.05 * np.abs(cov).max())
    law = scipy.stats.norm(MEAN[1, 2], variance[1, 2] ** 0.5)
    assert scipy.stats.kstest(x[:, 1, 2], law.cdf).pvalue > 1e-3
    pairs = ((0, 0), (1, 1), (1, 2), (2, 2))
    for (i, j), wanted in zip(pairs, information, strict=True):
        products = np.einsum("aij,akl->ijkl", score[i], score[j]) / count
        np.testing.assert_allclose(products, wanted, atol=0.06 * np.abs(wanted).max())
    for part in score:
        assert (np.abs(part.mean(0)) < 4.5 * part.std(0) / count**0.5).all()
    factor = np.trace(V) / 3
    for ours, wanted in zip(fitted, (MEAN, U * factor, V / factor), strict=True):
        np.testing.assert_allclose(ours, wanted, atol=0.03 * np.abs(wanted).max())


@pytest.mark.usefixtures("x64")
def test_fit_makes_the_samples_most_likely():
    x = random.standard_normal((12, *SHAPE)) @ np.linalg.cholesky(V).T
    x = np.concatenate([x, np.full((1, *SHAPE), np.nan)])
    weights = np.append(np.arange(1.0, 13), 0)

    @jax.jit
    def slopes(x, weights):
        score = matrix_normal.score(x[:12], *matrix_normal.fit(x, weights=weights))
        return jax.tree.map(lambda s: jnp.tensordot(weights[:12], s, 1), score)

    for slope in slopes(x, weights):
        np.testing.assert_allclose(slope, 0, atol=1e-9)


def test_edges():
    every = jax.jit(
        lambda x, mean, U, V: (
            matrix_normal.logpdf(x, mean, U, V),
            matrix_normal.pdf(x, mean, U, V),
            matrix_normal.entropy(mean, U, V),
            matrix_normal.kl(mean, U, V, mean, 2 * U, 0.5 * V),
            matrix_normal.mean(mean, U, V),
            matrix_normal.variance(mean, U, V),
            matrix_normal.mode(mean, U, V),
            matrix_normal.sample(jax.random.key(0), mean, U, V),
            matrix_normal.fisher_information(mean, U, V),
        )
    )
    far = every(zero.at[1, 2].set(jnp.inf), zero, two, three)
    assert far[0] == -np.inf
    assert far[1] == 0
    assert abs(far[3]) < 1e-10  # the same law in other parameters: what is large has cancelled
    assert np.isnan(every(zero * jnp.nan, zero, two, three)[0])
    bad = jnp.array([[1.0, 2.0], [2.0, 1.0]])
    for U, V in ((bad, three), (two, -three), (two * jnp.nan, three), (two, 0 * three)):
        for a in jax.tree.leaves(every(zero, zero, U, V)):
            assert np.isnan(np.asarray(a)).all()


def test_shapes_and_dtypes():
    x, mean, U = jnp.ones((5, 1, 2, 3)), jnp.ones((4, 2, 3), jnp.float16), two.astype(jnp.float16)
    V = three.astype(jnp.float16)
    assert jax.eval_shape(matrix_normal.logpdf, x, mean, U, V).shape == (5, 4)
    information = jax.eval_shape(matrix_normal.fisher_information, mean, U, V)
    assert [a.shape for a in information] == [
        (4, 2, 3, 2, 3),
        (4, 2, 2, 2, 2),
        (4, 2, 2, 3, 3),
        (4, 3, 3, 3, 3),
    ]
    assert information[0].dtype == jnp.float16
    drawn = jax.eval_shape(
        lambda k: matrix_normal.sample(k, mean, U, V, shape=(3, 4)), jax.random.key(0)
    )
    assert drawn.shape == (3, 4, 2, 3)
    assert drawn.dtype == jnp.float16
    assert jax.eval_shape(matrix_normal.fit, jnp.ones((6, 7, 2, 3)))[1].shape == (6, 2, 2)
