"""fnmath.probability.multivariate_normal: against SciPy, by its laws, in its four forms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import multivariate_normal as normal
from tests.helpers import Mistake, assert_derivatives, assert_within_ulp

random = np.random.default_rng(0)
N = 4
X = random.standard_normal((5, N))
MEAN, OTHER = random.standard_normal((2, N))
W = random.standard_normal((N, 2))
V = random.uniform(0.2, 2, N)
L = np.tril(random.standard_normal((N, N)), -1) + np.diag(V)
S = L @ L.T
S_OF_TWO = np.array([[2.0, 1.2], [1.2, 1.0]])
FORMS = {  # name: the covariance in its form, and as a function of its parts
    "dense": (S, lambda S: 0.5 * (S + S.T)),
    "cholesky": (normal.Cholesky(L), lambda L: jnp.tril(L) @ jnp.tril(L).T),
    "diagonal": (normal.Diagonal(V), jnp.diag),
    "low rank": (normal.LowRank(W, V), lambda W, v: W @ W.T + jnp.diag(v)),
}
BAD = {
    "dense": S - 9 * np.eye(N),
    "cholesky": normal.Cholesky(L * np.array([1, 1, -1, 1.0])),
    "diagonal": normal.Diagonal(V * np.array([1, 0, 1, 1.0])),
    "low rank": normal.LowRank(W, V * np.array([1, 1, -1, 1.0])),
}
EACH = pytest.mark.parametrize("form", FORMS)

MISTAKES = [
    Mistake(
        normal.logpdf,
        (jnp.zeros(3), jnp.zeros(3), jnp.eye(2)),
        {},
        ValueError,
        "logpdf: cov has shape (2, 2); wanted (*batch 3 3)",
    ),
    Mistake(
        normal.logpdf,
        (jnp.zeros(3), jnp.zeros(2), jnp.eye(2)),
        {},
        ValueError,
        "logpdf: the number of components must agree: x has 3 and mean has 2",
    ),
    Mistake(
        normal.logpdf,
        (jnp.zeros((4, 2)), jnp.zeros((3, 2)), jnp.eye(2)),
        {},
        ValueError,
        "logpdf: x (4,) and mean (3,) and cov () must have shapes that broadcast",
    ),
    Mistake(
        normal.entropy,
        (jnp.zeros(3), normal.LowRank(jnp.zeros((2, 1)), jnp.ones(3))),
        {},
        ValueError,
        "entropy: cov.factor has shape (2, 1); wanted (*batch 3 rank)",
    ),
    Mistake(
        normal.pdf,
        (jnp.zeros(2), jnp.zeros(2), jnp.eye(2, dtype=int)),
        {},
        TypeError,
        "pdf: cov has dtype int32; wanted a floating dtype; did you mean cov.astype(jnp.float32)?",
    ),
    Mistake(
        normal.mean,
        (jnp.zeros(2), None),
        {},
        TypeError,
        "mean: cov is a NoneType; wanted an array",
    ),
]


def parts_of(cov):
    return tuple(cov) if isinstance(cov, tuple) else (cov,)


def rebuilt(cov, parts):
    return type(cov)(*parts) if isinstance(cov, tuple) else parts[0]


def reference(x, mean, S):
    """The density by solution and determinant, as JAX has them."""
    d = x - mean
    log_det = jnp.linalg.slogdet(2 * jnp.pi * S)[1]
    return -0.5 * (d @ jnp.linalg.solve(S, d) + log_det)


@functools.cache
def program(form):
    """All there is to compare of one form, ours and by the plain formula, compiled once."""
    cov, dense = FORMS[form]

    def ours(x, mean, *parts):
        return normal.logpdf(x, mean, rebuilt(cov, parts))

    def theirs(x, mean, *parts):
        return reference(x, mean, dense(*parts))

    def divergence(mean, other, parts, others):
        return normal.kl(mean, rebuilt(cov, parts), other, rebuilt(cov, others))

    def its_reference(mean, other, parts, others):
        S, R, d = dense(*parts), dense(*others), mean - other
        traces = jnp.trace(jnp.linalg.solve(R, S)) + d @ jnp.linalg.solve(R, d)
        return 0.5 * (traces - jnp.linalg.slogdet(S)[1] + jnp.linalg.slogdet(R)[1])

    def everything(X, mean, other, parts, others):
        args = (X[0], mean, *parts)
        by, of_kl = tuple(range(len(args))), (mean, other, parts, others)
        c = rebuilt(cov, parts)
        entropy, entropy_by = jax.value_and_grad(
            lambda *p: normal.entropy(mean, rebuilt(cov, p)), by[:-2]
        )(*parts)
        kl, kl_by = jax.value_and_grad(divergence, (0, 1, 2, 3))(*of_kl)
        return {
            "logpdf": normal.logpdf(X, mean, c),
            "pdf": normal.pdf(X[0], mean, c),
            "entropy": entropy,
            "mean": normal.mean(mean, c),
            "variance": normal.variance(mean, c),
            "kl": kl,
            "score": normal.score(X[0], mean, c),
            "sample": normal.sample(jax.random.key(0), mean, c),
            "reverse": jax.grad(ours, by)(*args),
            "forward": jax.jvp(ours, args, args)[1],
            "wanted": jax.grad(theirs, by)(*args),
            "entropy by": entropy_by,
            "entropy by, wanted": jax.grad(
                lambda *p: 0.5 * jnp.linalg.slogdet(dense(*p))[1], by[:-2]
            )(*parts),
            "kl by": kl_by,
            "kl by, wanted": jax.grad(its_reference, (0, 1, 2, 3))(*of_kl),
        }

    return jax.jit(everything)


def evaluate(form, cov=None, other=None):
    """All of it, at a covariance of that form; ``other`` is what a divergence is from."""
    parts = parts_of(FORMS[form][0])
    others = tuple(1.5 * np.asarray(a) for a in parts)
    cov, other = (d if c is None else parts_of(c) for c, d in ((cov, parts), (other, others)))
    args = jax.tree.map(jnp.asarray, (X, MEAN, OTHER, cov, other))
    return jax.tree.map(np.asarray, program(form)(*args))


@pytest.mark.usefixtures("x64")
@EACH
def test_equals_scipy(form):
    cov, dense = FORMS[form]
    found = evaluate(form)
    S = np.asarray(dense(*parts_of(cov)))
    peer = scipy.stats.multivariate_normal(MEAN, S)
    np.testing.assert_allclose(found["variance"], S, rtol=1e-14)
    np.testing.assert_allclose(found["logpdf"], peer.logpdf(X), rtol=1e-12)
    np.testing.assert_allclose(found["pdf"], peer.pdf(X[0]), rtol=1e-12)
    np.testing.assert_allclose(found["entropy"], peer.entropy(), rtol=1e-12)
    R = np.asarray(dense(*(1.5 * np.asarray(a) for a in parts_of(cov))))
    P, d = np.linalg.inv(R), MEAN - OTHER
    apart = np.linalg.slogdet(R)[1] - np.linalg.slogdet(S)[1]
    np.testing.assert_allclose(
        found["kl"], 0.5 * (np.trace(P @ S) - N + apart + d @ P @ d), rtol=1e-12
    )


@pytest.mark.usefixtures("x64")
@EACH
def test_gradients(form):
    found = evaluate(form)
    by_mean, by_cov = found["score"]
    score = (-by_mean, by_mean, *parts_of(by_cov))
    for i, wanted in enumerate(found["wanted"]):
        for ours in (found["reverse"][i], score[i]):
            np.testing.assert_allclose(ours, wanted, rtol=1e-10, atol=1e-12)
    along = zip(found["wanted"], (X[0], MEAN, *parts_of(FORMS[form][0])), strict=True)
    wanted = sum((slope * np.asarray(part)).sum() for slope, part in along)
    np.testing.assert_allclose(found["forward"], wanted, rtol=1e-10)
    for ours, wanted in zip(found["entropy by"], found["entropy by, wanted"], strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-10, atol=1e-12)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-11)
    jax.tree.map(close, found["kl by"], found["kl by, wanted"])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("form", ["dense", "low rank"])
def test_second_derivatives(form):
    cov, _ = FORMS[form]
    assert_derivatives(
        lambda x, mean, *p: normal.logpdf(x, mean, rebuilt(cov, p)),
        X[0],
        MEAN,
        *parts_of(cov),
        tolerance=1e-4,
    )


@pytest.mark.usefixtures("x64")
@EACH
def test_samples_have_the_moments_the_entropy_and_the_divergence(form):
    cov, dense = FORMS[form]
    S = np.asarray(dense(*parts_of(cov)))
    far, count = normal.Diagonal(jnp.asarray(2 * V)), 40_000

    @jax.jit
    def drawn(key, mean, other, cov):
        x = normal.sample(key, mean, cov, shape=(count,))
        return x, normal.entropy(mean, cov), normal.kl(mean, cov, other, far)

    of = jax.tree.map(jnp.asarray, (MEAN, OTHER, cov))
    x, entropy, kl = map(np.asarray, drawn(jax.random.key(1), *of))
    logarithms = scipy.stats.multivariate_normal(MEAN, S).logpdf(x)
    ratio = logarithms - scipy.stats.multivariate_normal(OTHER, np.diag(2 * V)).logpdf(x)
    size = np.sqrt(np.diag(S) / count)
    assert (np.abs(x.mean(0) - MEAN) < 4.5 * size).all()
    assert (np.abs(np.cov(x.T) - S) < 6 * np.outer(size, size) * np.sqrt(count)).all()
    z = np.linalg.solve(np.linalg.cholesky(S), (x - MEAN).T)
    assert min(scipy.stats.kstest(row, "norm").pvalue for row in z) > 1e-4
    for y, of in ((-logarithms, entropy), (ratio, kl)):
        np.testing.assert_allclose(y.mean(), of, atol=5 * y.std() / count**0.5)


@pytest.mark.usefixtures("x64")
def test_the_score_has_the_mean_zero_and_the_information_for_covariance():
    mean, S, count = jnp.asarray(MEAN), jnp.asarray(S_OF_TWO), 40_000
    mean = mean[:2]

    @jax.jit
    def drawn(key):
        x = normal.sample(key, mean, S, shape=(count,))
        return normal.score(x, mean, S), normal.fisher_information(mean, S)

    for s, information in zip(*jax.tree.map(np.asarray, drawn(jax.random.key(1))), strict=True):
        rows, n = s.reshape(count, -1), s[0].size
        wanted = information.reshape(n, n)
        deviation = np.sqrt(np.diag(wanted))
        assert (np.abs(rows.mean(0)) < 5 * deviation / count**0.5).all()
        gap = np.abs(np.cov(rows.T) - wanted)
        assert (gap < 0.05 * np.outer(deviation, deviation)).all()


@pytest.mark.usefixtures("x64")
def test_samples_are_differentiable():
    key = jax.random.key(0)

    def moment(mean, S):
        return (normal.sample(key, mean, S, shape=(20_000,)) ** 2).mean(0)

    by_mean, by_S = jax.jit(jax.jacfwd(moment, (0, 1)))(jnp.asarray(MEAN), jnp.asarray(S))
    np.testing.assert_allclose(by_mean, np.diag(2 * MEAN), atol=0.1)
    wanted = np.zeros((N, N, N))
    wanted[range(N), range(N), range(N)] = 1
    np.testing.assert_allclose(by_S, wanted, atol=0.2)


def test_fit_and_its_weights():
    x = jnp.asarray(X, jnp.float32)
    mean, S = normal.fit(x)
    np.testing.assert_allclose(mean, X.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(S, np.cov(X.T, ddof=0), rtol=1e-4, atol=1e-6)
    twice = normal.fit(jnp.concatenate([x, x[:2]]))
    weighted = normal.fit(x, weights=jnp.array([2.0, 2, 1, 1, 1]))
    for a, b in zip(twice, weighted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert normal.fit(jnp.stack([x, x]))[1].shape == (2, N, N)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("form", BAD)
def test_what_is_not_positive_definite_is_nan(form):
    found = evaluate(form, BAD[form])
    for name in ("logpdf", "pdf", "entropy", "mean", "variance", "kl"):
        assert np.isnan(found[name]).all(), name
    assert np.isnan(found["sample"].sum())
    assert np.isnan(evaluate(form, other=BAD[form])["kl"])


def test_all_functions_are_nan_of_no_covariance():
    x, bad = jnp.zeros(2), jnp.array([[1.0, 2.0], [2.0, 1.0]])

    @jax.jit
    def everything(bad):
        density = normal.pdf(x, x, bad)
        information, score = normal.fisher_information(x, bad), normal.score(x, x, bad)
        return density, information, score, normal.mode(x, bad), normal.variance(x, bad)

    for y in jax.tree.leaves(everything(bad)):
        assert jnp.isnan(y).all()


def test_edges():
    mean, S = jnp.zeros(2), jnp.array([[2.0, 1.0], [1.0, 2.0]])
    x = jnp.array([[jnp.inf, 0.0], [0.0, -jnp.inf], [jnp.nan, 0.0], [1e30, 1e30]])
    both = jax.jit(lambda x, S: (normal.logpdf(x, mean, S), normal.pdf(x, mean, S)))
    logarithm, density = both(x, S)
    np.testing.assert_array_equal(logarithm, [-np.inf, -np.inf, np.nan, -np.inf])
    np.testing.assert_array_equal(density, [0, 0, np.nan, 0])
    # The symmetric part counts, and of a factor what is not above its diagonal.
    np.testing.assert_array_equal(both(x, S + jnp.array([[0.0, 0.5], [-0.5, 0]]))[1], density)
    L = jnp.linalg.cholesky(S)
    factors = jnp.stack([L, L.at[0, 1].set(jnp.nan)])
    a, b = jax.jit(lambda L: normal.logpdf(mean, mean, normal.Cholesky(L)))(factors)
    assert a == b
    for scale in (1e-30, 1e30):
        scaled = both(jnp.sqrt(scale) * jnp.ones((4, 2)), scale * S)[0]
        np.testing.assert_allclose(scaled, both(jnp.ones((4, 2)), S)[0] - np.log(scale), rtol=1e-6)


def test_shapes_and_dtypes():
    x, mean = jnp.zeros((5, 1, 2)), jnp.zeros((3, 2))
    assert jax.eval_shape(normal.logpdf, x, mean, jnp.eye(2)).shape == (5, 3)
    cov = normal.LowRank(jnp.zeros((3, 2, 1)), jnp.ones(2))
    by_mean, by_cov = jax.eval_shape(normal.score, x, mean, cov)
    assert by_mean.shape == (5, 3, 2)
    assert [a.shape for a in by_cov] == [(5, 3, 2, 1), (5, 3, 2)]
    assert jax.eval_shape(normal.entropy, x, cov).shape == (5, 3)
    assert jax.eval_shape(normal.sample, jax.random.key(0), mean, cov).shape == (3, 2)
    half = jnp.zeros(2, jnp.bfloat16)
    for y in (
        jax.eval_shape(normal.logpdf, half, half, normal.Diagonal(half)),
        jax.eval_shape(normal.kl, half, normal.Diagonal(half), half, normal.Diagonal(half)),
        jax.eval_shape(normal.sample, jax.random.key(0), half, normal.Diagonal(half)),
    ):
        assert y.dtype == jnp.bfloat16


def rotated(condition, dtype):
    """A covariance of that condition, its entries taken for exact."""
    Q, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((6, 6)))
    S = Q @ np.diag(np.geomspace(1, 1 / condition, 6)) @ Q.T
    return np.asarray(S + S.T, dtype)


@pytest.mark.last_digits
def test_a_condition_of_a_million_costs_no_digits():
    S = rotated(1e6, np.float32)
    x, mean = np.float32(random.standard_normal((2, 6)))

    @jax.jit
    def ours(x, mean, S):
        by_x, by_S = jax.grad(normal.logpdf, (0, 2))(x, mean, S)
        return normal.logpdf(x, mean, S), normal.entropy(mean, S), by_x, by_S

    value, entropy, by_x, by_S = ours(x, mean, S)
    T, d = np.float64(S), np.float64(x) - np.float64(mean)
    P, log_det = np.linalg.inv(T), np.linalg.slogdet(2 * np.pi * T)[1]
    assert_within_ulp(value, -0.5 * (d @ P @ d + log_det), 1)
    assert_within_ulp(entropy, 3 + 0.5 * log_det, 1)
    assert_within_ulp(by_x, -P @ d, 1)
    assert_within_ulp(by_S, 0.5 * (np.outer(P @ d, P @ d) - P), 1)


@pytest.mark.last_digits
def test_divergence_of_what_is_nearly_the_same():
    """KL = ¼ tr (P Δ)² − ⅙ tr (P Δ)³ for a Σ₂ = Σ₁ + Δ, P = Σ₂⁻¹, to first order in Δ beyond."""
    S = rotated(10, np.float32)
    near = S * np.float32(1 + 2.0**-20)
    mean = jnp.zeros(6)
    kl = jax.jit(lambda S, R: normal.kl(mean, S, mean, R))
    B = np.linalg.solve(np.float64(near), np.float64(S) - np.float64(near))
    assert_within_ulp(kl(S, near), np.trace(B @ B) / 4 - np.trace(B @ B @ B) / 6, 4)
    assert kl(S, S) == 0
