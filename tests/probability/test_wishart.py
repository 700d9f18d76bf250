"""fnmath.probability.wishart: against SciPy, against its formulas as written, by its laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.scipy.special import digamma, multigammaln

from fnmath.probability import wishart
from tests.helpers import Mistake, assert_derivatives, assert_within_ulp

random = np.random.default_rng(0)
N = 3


def drawn(count):
    A = random.standard_normal((count, N, N))
    S = A @ A.swapaxes(-1, -2) + 0.5 * np.eye(N)
    return S.astype(np.float32).astype(np.float64)


V, W = SCALES = drawn(2)
DF = np.array([2.5, 4.0, 17.25, 1e5])  # X is near νV, as samples are
X = (DF[:, None, None] * V + np.sqrt(DF)[:, None, None] * 0.3 * drawn(4)).astype(np.float32)
X = X.astype(np.float64)

MISTAKES = [
    Mistake(
        wishart.logpdf,
        (jnp.eye(2), 3.0, jnp.eye(3)),
        {},
        ValueError,
        "logpdf: the number of rows must agree: x has 2 and scale has 3",
    ),
    Mistake(
        wishart.mean,
        (3.0, jnp.ones((3, 2))),
        {},
        ValueError,
        "mean: scale has shape (3, 2); wanted (*batch n n)",
    ),
    Mistake(
        wishart.entropy,
        (jnp.ones((4,)), jnp.ones((3, 2, 2))),
        {},
        ValueError,
        "entropy: df (4,) and scale (3,) must have shapes that broadcast",
    ),
    Mistake(
        wishart.pdf,
        (jnp.eye(2), 3, jnp.eye(2)),
        {},
        TypeError,
        "pdf: df has dtype int32; wanted a floating dtype; did you mean df.astype(jnp.float32)?",
    ),
    Mistake(
        wishart.fit,
        (jnp.eye(2),),
        {},
        ValueError,
        "fit: x has shape (2, 2); wanted at least 3 axes, (*batch samples n n); did you mean "
        "x[None]?",
    ),
]


def symmetric(S):
    return 0.5 * (S + S.T)


def psi(a):
    return jnp.sum(digamma(a - 0.5 * jnp.arange(N)))


def log_density(x, df, scale):
    x, scale = symmetric(x), symmetric(scale)
    log_dets = 0.5 * (df - N - 1) * jnp.linalg.slogdet(x)[1]
    log_dets = log_dets - 0.5 * df * jnp.linalg.slogdet(2 * scale)[1]
    return log_dets - 0.5 * jnp.trace(jnp.linalg.solve(scale, x)) - multigammaln(df / 2, N)


def differential_entropy(df, scale):
    log_det = jnp.linalg.slogdet(symmetric(2 * scale))[1]
    by_gammas = multigammaln(df / 2, N) - 0.5 * (df - N - 1) * psi(df / 2)
    return 0.5 * (N + 1) * log_det + by_gammas + 0.5 * df * N


def divergence(p, S, q, R):
    S, R = symmetric(S), symmetric(R)
    log_dets = 0.5 * q * (jnp.linalg.slogdet(R)[1] - jnp.linalg.slogdet(S)[1])
    traces = 0.5 * p * (jnp.trace(jnp.linalg.solve(R, S)) - N)
    gammas = multigammaln(q / 2, N) - multigammaln(p / 2, N)
    return traces + log_dets + 0.5 * (p - q) * psi(p / 2) + gammas


def values_and_gradients(logpdf, entropy, kl):
    def of_one(x, df):
        return (
            jax.value_and_grad(logpdf, (0, 1, 2))(x, df, V.astype(x.dtype)),
            jax.value_and_grad(entropy, (0, 1))(df, V.astype(x.dtype)),
            jax.value_and_grad(kl, (0, 1, 2, 3))(
                df, V.astype(x.dtype), 1.5 * df, W.astype(x.dtype)
            ),
        )

    return jax.jit(jax.vmap(of_one))


OURS = values_and_gradients(wishart.logpdf, wishart.entropy, wishart.kl)
WRITTEN = values_and_gradients(log_density, differential_entropy, divergence)


@pytest.mark.last_digits  # as the next one, which compares with the same program
@pytest.mark.usefixtures("x64")
def test_equals_the_formulas_and_scipy():
    found, written = (f(X, DF) for f in (OURS, WRITTEN))
    for ours, theirs in zip(*map(jax.tree.leaves, (found, written)), strict=True):
        scale = np.abs(theirs).max(tuple(range(1, theirs.ndim)), keepdims=True)
        np.testing.assert_allclose(ours[:3] / scale[:3], theirs[:3] / scale[:3], atol=1e-12)
        np.testing.assert_allclose(ours / scale, theirs / scale, atol=1e-7)
    for i, df in enumerate(DF):
        peer = scipy.stats.wishart(df, V)
        np.testing.assert_allclose(found[0][0][i], peer.logpdf(X[i]), rtol=1e-9)
        np.testing.assert_allclose(found[1][0][i], peer.entropy(), rtol=1e-9)
    of_all = jax.jit(lambda *p: (wishart.mean(*p), wishart.variance(*p), wishart.mode(*p)))
    for df in (2.5, 7.0):
        mean, variance, mode = of_all(df, V)
        peer = scipy.stats.wishart(df, V)
        np.testing.assert_allclose(mean, peer.mean(), rtol=1e-14)
        np.testing.assert_allclose(variance, peer.var(), rtol=1e-14)
        np.testing.assert_allclose(mode, np.nan if peer.mode() is None else peer.mode())


@pytest.mark.last_digits
def test_last_digits():
    """In float32 what double precision gives for the same numbers, rounded once."""
    single = OURS(X.astype(np.float32), DF.astype(np.float32))
    with jax.enable_x64(True):
        double = OURS(X, DF)
    for ours, exact in zip(*map(jax.tree.leaves, (single, double)), strict=True):
        assert_within_ulp(ours, np.asarray(exact), 2)


@pytest.mark.usefixtures("x64")
def test_second_derivatives():
    assert_derivatives(wishart.logpdf, X[1], 4.0, V, step=1e-5, tolerance=1e-4)


@pytest.mark.usefixtures("x64")
def test_the_law_of_the_divergence():
    """It is 0 of the same, of nearly the same about half the information of the difference."""
    df, h, D = 6.0, 1e-5, np.diag([1.0, -2.0, 0.5])
    of_df, between, of_scale = map(np.asarray, wishart.fisher_information(df, jnp.asarray(V)))
    half = 0.5 * (of_df + 2 * (between * D).sum() + np.einsum("ij,ijkl,kl", D, of_scale, D))
    kl = jax.jit(jax.vmap(lambda h: wishart.kl(df, jnp.asarray(V), df + h, V + h * D)))
    none, near = np.asarray(kl(jnp.array([0, h])))
    assert 0 <= none < 1e-40
    np.testing.assert_allclose(near / h**2, half, rtol=1e-3)


@pytest.mark.usefixtures("x64")
def test_samples_have_the_moments_and_the_score_its_laws():
    df, count, V = 5.5, 40_000, jnp.asarray(SCALES[0])

    @jax.jit
    def drawn(key):
        x = wishart.sample(key, df, V, shape=(count,))
        slope = jax.grad(lambda n: wishart.sample(key, n, V, shape=(count,))[:, 0, 1].mean())(df)
        information = wishart.fisher_information(df, V)
        return x, wishart.score(x, df, V), slope, wishart.fit(x), information

    found = jax.tree.map(np.asarray, drawn(jax.random.key(1)))
    x, score, slope, fitted, (of_df, between, of_scale) = found
    np.testing.assert_array_equal(x, x.swapaxes(1, 2))
    V = SCALES[0]
    law = scipy.stats.chi2(df, scale=V[0, 0])  # of an entry of the diagonal
    assert scipy.stats.kstest(x[:, 0, 0], law.cdf).pvalue > 1e-3
    deviation = np.sqrt(df * (V * V + np.outer(np.diag(V), np.diag(V))))
    assert (np.abs(x.mean(0) - df * V) < 4.5 * deviation / count**0.5).all()
    np.testing.assert_allclose(x.var(0), deviation**2, rtol=0.05)
    np.testing.assert_allclose(slope, V[0, 1], rtol=0.05)
    flat = np.concatenate([score[0][:, None], score[1].reshape(count, -1)], 1)
    rows = np.concatenate([np.asarray(of_df).reshape(1, 1), np.reshape(between, (1, -1))], 1)
    rest = np.concatenate([np.reshape(between, (-1, 1)), np.reshape(of_scale, (9, 9))], 1)
    information = np.concatenate([rows, rest])
    assert (np.abs(flat.mean(0)) < 4.5 * np.sqrt(np.diag(information) / count)).all()
    largest = np.abs(information).max()
    np.testing.assert_allclose(np.cov(flat.T), information, atol=0.05 * largest)
    np.testing.assert_allclose(fitted[0], df, rtol=0.03)
    np.testing.assert_allclose(fitted[1], V, atol=0.03 * V.max())


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("df", [3.1, 1e4])
def test_fit_makes_the_samples_most_likely(df):
    x = scipy.stats.wishart(df, V).rvs(30, random_state=0)
    x = np.concatenate([x, np.full((1, N, N), np.nan)])
    weights = np.append(np.arange(1.0, 31), 0)

    @jax.jit
    def slopes(x, weights):
        found = wishart.fit(x, weights=weights)
        by = jax.tree.map(
            lambda s: jnp.tensordot(weights[:30], s, 1), wishart.score(x[:30], *found)
        )
        return found, by

    (found, scale), by = slopes(x, weights)
    assert found > 2
    np.testing.assert_allclose(by[0] * found, 0, atol=1e-6)
    np.testing.assert_allclose(by[1] * scale, 0, atol=1e-6 * found)


def test_edges():
    every = jax.jit(
        lambda x, df, scale: (
            wishart.logpdf(x, df, scale),
            wishart.pdf(x, df, scale),
            wishart.score(x, df, scale),
            wishart.entropy(df, scale),
            wishart.kl(df, scale, 4.0, jnp.eye(2)),
            wishart.mean(df, scale),
            wishart.sample(jax.random.key(0), df, scale),
            wishart.fisher_information(df, scale),
        )
    )
    one, bad = np.eye(2, dtype=np.float32), np.array([[1.0, 2.0], [2.0, 1.0]], np.float32)
    outside = every(bad, 3.0, one)
    assert outside[0] == -np.inf
    assert outside[1] == 0
    for a in jax.tree.leaves(outside[2]):
        np.testing.assert_array_equal(a, 0)
    assert np.isnan(every(one * np.nan, 3.0, one)[0])
    for df, scale in ((1.0, one), (-1.0, one), (np.inf, one), (np.nan, one), (3.0, bad)):
        for a in jax.tree.leaves(every(one, df, scale)):
            assert np.isnan(np.asarray(a)).all(), (df, scale)


def test_shapes_and_dtypes():
    x, df, scale = jnp.ones((5, 1, 2, 2)), jnp.ones(4, jnp.float16), jnp.ones((2, 2), jnp.float16)
    assert jax.eval_shape(wishart.logpdf, x, df, scale).shape == (5, 4)
    of_scale = jax.eval_shape(wishart.fisher_information, df, scale)[2]
    assert of_scale.shape == (4, 2, 2, 2, 2)
    assert of_scale.dtype == jnp.float16
    drawn = jax.eval_shape(lambda k: wishart.sample(k, df, scale, shape=(3, 4)), jax.random.key(0))
    assert drawn.shape == (3, 4, 2, 2)
    assert drawn.dtype == jnp.float16
    assert jax.eval_shape(wishart.fit, jnp.ones((3, 7, 2, 2)))[0].shape == (3,)
