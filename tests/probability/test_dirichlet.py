"""fnmath.probability.dirichlet: against SciPy and 40 digits, by its laws, at its edges."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import dirichlet
from tests.helpers import Mistake, assert_within_ulp

ALPHA = np.array([[1.0, 1, 1], [0.1, 0.2, 0.3], [50, 20, 1], [2e5, 3e5, 1e5], [1e-3, 7, 2]])
X = np.array([[0.2, 0.3, 0.5], [0.9, 0.05, 0.05], [1e-6, 0.5 - 1e-6, 0.5]])

MISTAKES = [
    Mistake(
        dirichlet.logpdf,
        (jnp.ones(3), jnp.ones(2)),
        {},
        ValueError,
        "logpdf: the number of classes must agree: x has 3 and alpha has 2",
    ),
    Mistake(
        dirichlet.entropy,
        (jnp.ones(2, int),),
        {},
        TypeError,
        "entropy: alpha has dtype int32; wanted a floating dtype; did you mean "
        "alpha.astype(jnp.float32)?",
    ),
    Mistake(
        dirichlet.mode,
        (jnp.ones(()),),
        {},
        ValueError,
        "mode: alpha has shape (); wanted at least 1 axis, (*batch classes); did you mean "
        "alpha[None]?",
    ),
    Mistake(
        dirichlet.mean,
        (jnp.ones((2, 0)),),
        {},
        ValueError,
        "mean: the last axis of alpha is 0; wanted an integer of at least 1",
    ),
]


def everything(x, alpha, other):
    logpdf, logpdf_by = jax.value_and_grad(dirichlet.logpdf, (0, 1))(x, alpha)
    entropy, entropy_by = jax.value_and_grad(dirichlet.entropy)(alpha)
    kl, kl_by = jax.value_and_grad(dirichlet.kl, (0, 1))(alpha, other)
    return {
        "logpdf": logpdf,
        "pdf": dirichlet.pdf(x, alpha),
        "entropy": entropy,
        "mean": dirichlet.mean(alpha),
        "variance": dirichlet.variance(alpha),
        "kl": kl,
        "score": dirichlet.score(x, alpha),
        "information": dirichlet.fisher_information(alpha),
        "logpdf by": logpdf_by,
        "entropy by": entropy_by,
        "kl by": kl_by,
        "mode": dirichlet.mode(alpha),
        "sample": dirichlet.sample(jax.random.key(0), alpha),
    }


EVERYTHING = jax.jit(jax.vmap(everything))


def evaluated(x, a, b):
    """In single precision, for any number of rows by the one program for fifteen."""
    rows = (jnp.asarray(np.resize(v, (15, 3)), jnp.float32) for v in (x, a, b))
    return jax.tree.map(lambda y: np.asarray(y)[: len(x)], EVERYTHING(*rows))


def wanted(x, a, b):
    """The formulas as they are written, in 40 digits."""
    with mpmath.workdps(40):
        x, a, b = (np.array([mpmath.mpf(float(v)) for v in row]) for row in (x, a, b))
        log, lgamma = np.frompyfunc(mpmath.log, 1, 1), np.frompyfunc(mpmath.loggamma, 1, 1)
        psi = np.frompyfunc(mpmath.psi, 2, 1)
        A, B, n = a.sum(), b.sum(), len(a)
        log_beta = lgamma(a).sum() - lgamma(A)
        of_b = lgamma(b).sum() - lgamma(B)
        score = log(x) - psi(0, a) + psi(0, A)
        found = {
            "logpdf": ((a - 1) * log(x)).sum() - log_beta,
            "entropy": log_beta + (A - n) * psi(0, A) - ((a - 1) * psi(0, a)).sum(),
            "kl": of_b - log_beta + ((a - b) * (psi(0, a) - psi(0, A))).sum(),
            "score": score,
            "entropy by": (A - n) * psi(1, A) - (a - 1) * psi(1, a),
            "logpdf by": ((a - 1) / x, score),
            "kl by": (
                (a - b) * psi(1, a) - (A - B) * psi(1, A),
                psi(0, b) - psi(0, B) - psi(0, a) + psi(0, A),
            ),
        }
        return jax.tree.map(lambda v: np.asarray(v, float), found)


def cases(dtype):
    """Each α with each x, and β in turn the next α, far away, near, and very near."""
    a, x = np.repeat(ALPHA, 3, 0), np.tile(X, (5, 1))
    factors = np.tile([[1.7, 0.6, 1.1], [1.01, 1, 0.99], [1 + 1e-4, 1, 1]], (5, 1))
    b = a * factors
    b[::3] = np.roll(ALPHA, 1, 0)
    return [jnp.asarray(v, dtype) for v in (x, a, b)]


@pytest.mark.last_digits
def test_last_digits():
    args = cases(jnp.float32)
    found = EVERYTHING(*args)
    for i, row in enumerate(zip(*map(np.asarray, args), strict=True)):
        for name, value in wanted(*row).items():
            ours = jax.tree.map(lambda a, i=i: a[i], found[name])
            for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(value), strict=True):
                assert_within_ulp(a, b, 2)


@pytest.mark.usefixtures("x64")
def test_double_precision():
    args = cases(jnp.float64)
    found = EVERYTHING(*args)
    for i, row in enumerate(zip(*map(np.asarray, args), strict=True)):
        for name, value in wanted(*row).items():
            ours = jax.tree.map(lambda a, i=i: a[i], found[name])
            for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(value), strict=True):
                # Where the answer is 0, forty digits leave something of 10⁻⁴⁰.
                np.testing.assert_allclose(a, b, 1e-13, 1e-36, err_msg=f"{name} of {row}")
        peer = scipy.stats.dirichlet(row[1])
        for name, theirs in (("pdf", peer.pdf(row[0] / row[0].sum())), ("variance", peer.cov())):
            np.testing.assert_allclose(found[name][i], theirs, rtol=1e-8, atol=1e-300)
        np.testing.assert_allclose(found["mean"][i], peer.mean(), rtol=1e-14)
        np.testing.assert_allclose(found["variance"][i].sum(0), 0, atol=1e-14)
    assert (found["kl"] >= 0).all()


@pytest.mark.usefixtures("x64")
def test_the_density_integrates_to_one():
    alpha = jnp.array([1.5, 2.5, 3.0])
    nodes, weights = np.polynomial.legendre.leggauss(60)
    t, w = 0.5 + 0.5 * nodes, 0.5 * weights
    first, second = t[:, None] + 0 * t, (1 - t[:, None]) * t
    x = jnp.asarray(np.stack([first, second, 1 - first - second], -1))
    area = np.outer(w * (1 - t), w)
    density = np.asarray(jax.jit(dirichlet.pdf)(x, alpha))
    np.testing.assert_allclose((density * area).sum(), 1, rtol=1e-5)


@pytest.mark.usefixtures("x64")
def test_samples_have_the_moments_and_the_score_its_laws():
    alpha, other, count = jnp.array([0.5, 2.0, 4.0]), jnp.array([1.0, 1.5, 6.0]), 40_000

    @jax.jit
    def drawn(key):
        x = dirichlet.sample(key, alpha, shape=(count,))
        logarithm = dirichlet.logpdf(x, alpha)
        ratio = logarithm - dirichlet.logpdf(x, other)
        slope = jax.grad(lambda a: dirichlet.sample(key, a, shape=(count,))[:, 0].mean())(alpha)
        of = {
            "variance": dirichlet.variance(alpha),
            "information": dirichlet.fisher_information(alpha),
            "entropy": dirichlet.entropy(alpha),
            "kl": dirichlet.kl(alpha, other),
            "slope of the mean": jax.jacobian(dirichlet.mean)(alpha)[0],
            "fit": dirichlet.fit(x)[0],
        }
        return x, dirichlet.score(x, alpha), logarithm, ratio, slope, of

    x, score, logarithm, ratio, slope, of = jax.tree.map(np.asarray, drawn(jax.random.key(2)))
    np.testing.assert_allclose(x.sum(1), 1, rtol=1e-12)
    for i, a in enumerate(np.asarray(alpha)):
        law = scipy.stats.beta(a, float(alpha.sum()) - a)
        assert scipy.stats.kstest(x[:, i], law.cdf).pvalue > 1e-3
    np.testing.assert_allclose(np.cov(x.T), of["variance"], atol=1e-3)
    information = of["information"]
    deviation = np.sqrt(np.diag(information))
    assert (np.abs(score.mean(0)) < 4.5 * deviation / count**0.5).all()
    np.testing.assert_allclose(np.cov(score.T), information, rtol=0.05, atol=0.01)
    for y, mean in ((-logarithm, of["entropy"]), (ratio, of["kl"])):
        np.testing.assert_allclose(y.mean(), mean, atol=5 * y.std() / count**0.5)
    np.testing.assert_allclose(slope, of["slope of the mean"], rtol=0.05, atol=2e-3)
    np.testing.assert_allclose(of["fit"], alpha, rtol=0.03)


@pytest.mark.usefixtures("x64")
def test_fit_makes_the_samples_most_likely():
    x = jnp.asarray(np.random.default_rng(0).dirichlet([0.3, 40, 5], 30))
    weights = jnp.arange(30.0)

    @jax.jit
    def fitted(x, weights):
        (alpha,) = dirichlet.fit(x, weights=weights)
        return alpha, (weights[:, None] * dirichlet.score(x, alpha)).sum(0)

    alpha, slope = fitted(x, weights)
    np.testing.assert_allclose(slope, 0, atol=1e-8)
    assert (alpha > 0).all()


@pytest.mark.last_digits  # as is the program that it shares
def test_edges():
    x = np.array([[0.0, 0.4, 0.6], [0.5, 0.6, 0.5], [-0.1, 0.5, 0.6], [np.nan, 0.5, 0.5]])
    alpha = np.array([[2.0, 1, 1], [0.5, 1, 1], [1, 3, 1]])
    pairs = np.repeat(x, 3, 0), np.tile(alpha, (4, 1))
    found = evaluated(*pairs, pairs[1])
    logarithm, density = (found[name].reshape(4, 3) for name in ("logpdf", "pdf"))
    np.testing.assert_array_equal(logarithm[0, :2], [-np.inf, np.inf])
    np.testing.assert_allclose(logarithm[0, 2], np.log(12 * 0.16), rtol=1e-6)
    np.testing.assert_array_equal(density[0, :2], [0, np.inf])
    np.testing.assert_array_equal(logarithm[1:3], -np.inf)
    assert np.isnan(logarithm[3]).all()
    bad = np.array([[0.0, 1, 1], [-1, 1, 1], [np.inf, 1, 1], [np.nan, 1, 1]])
    found = evaluated(np.tile([0.2, 0.3, 0.5], (4, 1)), bad, np.ones((4, 3)))
    values = ("logpdf", "pdf", "entropy", "mean", "variance", "kl", "score", "information")
    for name in (*values, "mode", "sample"):
        assert np.isnan(found[name]).all(), name
    modes = evaluated(x[:2], np.array([[2.0, 4.0, 3.0], [1.0, 1.0, 1.0]]), np.ones((2, 3)))["mode"]
    np.testing.assert_allclose(modes[0], [1 / 6, 1 / 2, 1 / 3], 1e-6)
    assert np.isnan(modes[1]).all()


def test_shapes_and_dtypes():
    x, alpha = jnp.ones((5, 1, 3)), jnp.ones((4, 3), jnp.float16)
    assert jax.eval_shape(dirichlet.logpdf, x, alpha).shape == (5, 4)
    assert jax.eval_shape(dirichlet.entropy, alpha).dtype == jnp.float16
    drawn = jax.eval_shape(lambda k: dirichlet.sample(k, alpha, shape=(2, 4)), jax.random.key(0))
    assert drawn.shape == (2, 4, 3)
    assert drawn.dtype == jnp.float16
