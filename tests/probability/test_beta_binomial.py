"""The beta-binomial law: against SciPy and 40 digits, and what every law promises."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import stats

from fnmath.probability import beta_binomial, binomial
from tests.helpers import Mistake, assert_within_ulp
from tests.probability import shape_laws as laws
from tests.probability.laws import both_modes

OF_K = ("pmf", "logpmf", "cdf", "logcdf", "sf", "logsf")
OF_Q = ("ppf", "isf")
MOMENTS = ("mean", "variance", "mode", "entropy")


def mistakes():
    two, three = jnp.ones(2), jnp.ones(3)
    for name in (*OF_K, *OF_Q, "score"):
        at, g = "q" if name in OF_Q else "k", getattr(beta_binomial, name)
        came = f"{name}: {at} has dtype complex64; wanted real numbers"
        yield Mistake(g, (1j * two, two, two, two), {}, TypeError, came)
        came = f"{name}: {at} (3,) and n (2,) and a (2,) and b (2,) must have shapes that broadcast"
        yield Mistake(g, (three, two, two, two), {}, ValueError, came)
    for name in (*MOMENTS, "fisher_information", "sample"):
        at, g = (jax.random.key(0),) * (name == "sample"), getattr(beta_binomial, name)
        came = f"{name}: n has dtype complex64; wanted real numbers"
        yield Mistake(g, (*at, 1j * two, two, two), {}, TypeError, came)
        came = f"{name}: n (3,) and a (2,) and b (2,) must have shapes that broadcast"
        yield Mistake(g, (*at, three, two, two), {}, ValueError, came)
    came = "fit: k has dtype complex64; wanted real numbers"
    yield Mistake(beta_binomial.fit, (1j * two, two), {}, TypeError, came)
    came = "fit: k (3,) and n (2,) must have shapes that broadcast"
    yield Mistake(beta_binomial.fit, (three, two), {}, ValueError, came)

    names = ("n_p", "a_p", "b_p", "n_q", "a_q", "b_q")
    came = "kl: n_p has dtype complex64; wanted real numbers"
    yield Mistake(beta_binomial.kl, (1j * two, *[two] * 5), {}, TypeError, came)
    shapes = " and ".join(f"{name} ({3 if name == 'n_p' else 2},)" for name in names)
    came = f"kl: {shapes} must have shapes that broadcast"
    yield Mistake(beta_binomial.kl, (three, *[two] * 5), {}, ValueError, came)


MISTAKES = list(mistakes())


@functools.cache
def program():
    """All functions with their derivatives by a and b in both modes."""

    def everything(k, q, *of):
        found = {}
        for name in OF_K:
            g = functools.partial(getattr(beta_binomial, name), k, of[0])
            value, *slopes = both_modes(g, of[1:])
            found |= {name: value, f"{name}, forward": slopes[0], f"{name}, reverse": slopes[1]}
        return found | {name: getattr(beta_binomial, name)(q, *of) for name in OF_Q}

    return jax.jit(everything)


def evaluate(k, q, *of):
    """Sixty at a time."""
    with jax.enable_x64(True):
        args = np.broadcast_arrays(k, q, *of)
        found = program()(*(jnp.asarray(np.resize(a, 60), float) for a in args))
        return jax.tree.map(lambda y: np.asarray(y)[: args[0].size], found)


def test_equals_scipy_over_drawn_parameters():
    rng = np.random.default_rng(3)
    n, (a, b) = rng.integers(1, 200, 60), np.exp(rng.uniform(-2, 4, (2, 60)))
    k, q = rng.integers(0, n + 1), rng.uniform(0, 1, 60)
    found, law = evaluate(k, q, n, a, b), stats.betabinom(n, a, b)
    for name in OF_K:
        wanted = getattr(law, name)(k)
        # SciPy takes sums from 1, of which the logarithms are no better.
        usual = np.isfinite(wanted) & (np.abs(wanted) > 1e-9)
        usual &= (wanted > np.log(1e-9)) | ("pmf" in name)
        error = 1e-11 if "pmf" in name else 1e-6
        np.testing.assert_allclose(found[name][usual], wanted[usual], error, 1e-12, err_msg=name)
    np.testing.assert_array_equal(found["ppf"], law.ppf(q))
    np.testing.assert_array_equal(
        found["isf"], [_isf(*row) for row in zip(q, n, a, b, strict=True)]
    )


def _isf(q, n, a, b):
    """The least count of which no more than q is above."""
    k = np.arange(n + 1)
    above = np.cumsum(stats.betabinom(n, a, b).pmf(k)[::-1])[::-1]
    return np.argmax(np.append(above[1:], 0) <= q)


def exact(name, k, n, a, b):
    """A function of mpmath's numbers, k and n whole."""

    def mass(j):
        return mpmath.binomial(n, j) * mpmath.beta(j + a, n - j + b) / mpmath.beta(a, b)

    counts = range(int(k) + 1) if name.endswith("cdf") else range(int(k) + 1, int(n) + 1)
    value = mass(k) if name.endswith("pmf") else mpmath.fsum(mass(j) for j in counts)
    return mpmath.log(value) if name.startswith("log") else value


POINTS = [
    (2, 5, 0.3, 4.0),
    (0, 30, 2.0, 0.5),
    (40, 60, 20.0, 30.0),
    (3, 9, 0.01, 0.02),
    (7, 9, 1.0, 1.0),
]


def test_tails_and_derivatives_have_all_digits():
    found = evaluate(
        *(np.array(c) for c in zip(*((k, 0.5, *of) for k, *of in POINTS), strict=True))
    )
    for name in OF_K:
        with mpmath.workdps(40):
            wanted = [float(exact(name, *map(mpmath.mpf, p))) for p in POINTS]
        np.testing.assert_allclose(found[name], wanted, 1e-13, err_msg=name)
        by = found[f"{name}, reverse"]
        np.testing.assert_allclose(by, found[f"{name}, forward"], 1e-12, err_msg=name)
        for i in (0, 1):
            slopes = [
                laws.exact_slope(lambda *of, p=p, m=name: exact(m, *p[:2], *of), p[2:], i)
                for p in POINTS
            ]
            np.testing.assert_allclose(by[:, i], slopes, 1e-11, 1e-15, err_msg=f"{name} {i}")


@pytest.mark.usefixtures("x64")
def test_second_derivatives():
    """Of sums that a loop takes: reverse over reverse is forward over reverse, and right."""

    def log_tail(a, b):
        return beta_binomial.logcdf(2.0, 9.0, a, b)

    @jax.jit
    def twice(a, b):
        f, point = lambda *of: jnp.stack(jax.grad(log_tail, (0, 1))(*of)), (a, b)
        return jnp.stack(jax.jacrev(f, (0, 1))(*point)), jnp.stack(jax.jacfwd(f, (0, 1))(*point))

    reverse, forward = map(np.array, twice(1.5, 2.5))
    np.testing.assert_allclose(reverse, forward, 1e-11)
    with mpmath.workdps(40):
        for i, order in enumerate([(2, 0), (0, 2)]):
            bend = mpmath.diff(lambda a, b: exact("logcdf", 2, 9, a, b), (1.5, 2.5), order)
            np.testing.assert_allclose(reverse[i, i], float(bend), 1e-10)


def test_many_trials_are_nearly_binomial():
    """Shapes of 10⁶ and the chance they have; n in the thousands."""
    k = np.array([900.0, 1000.0, 1100.0])
    ours = evaluate(k, 0.5, 5000.0, 2e9, 8e9)
    with jax.enable_x64(True):
        theirs = jax.jit(lambda k: (binomial.pmf(k, 5000.0, 0.2), binomial.sf(k, 5000.0, 0.2)))(k)
    np.testing.assert_allclose(ours["pmf"], theirs[0], 1e-4)
    np.testing.assert_allclose(ours["sf"], theirs[1], 1e-4)


@pytest.mark.last_digits
def test_last_digits():
    of = np.float32(POINTS)
    with mpmath.workdps(40):
        points = [tuple(mpmath.mpf(float(p)) for p in row) for row in of]
        wanted = {name: [float(exact(name, *p)) for p in points] for name in OF_K}
    found = jax.jit(lambda *of: {name: getattr(beta_binomial, name)(*of) for name in OF_K})(*of.T)
    for name, y in wanted.items():
        assert_within_ulp(found[name], y, 6)


def test_edges():
    inf, nan = np.inf, np.nan
    k = np.array([-1.0, 10.0, 11.0, 2.5, nan, 3.0, 3.0, 3.0])
    n = np.array([10.0, 10.0, 10.0, 10.0, 10.0, 2.5, 10.0, -1.0])
    a = np.array([2.0, 2.0, 2.0, 2.0, 2.0, 2.0, -1.0, 2.0])
    found = evaluate(k, np.array([0.0, 1.0, 0.5, -1.0, nan, 0.5, 0.5, 0.5]), n, a, 3.0)
    np.testing.assert_allclose(found["pmf"][:4], [0, 11 / 1001, 0, 0], 1e-12)
    np.testing.assert_array_equal(found["logpmf"][[0, 2, 3]], -inf)
    np.testing.assert_array_equal(found["cdf"][:3], [0, 1, 1])
    np.testing.assert_array_equal(found["logsf"][:3], [0, -inf, -inf])
    np.testing.assert_array_equal(found["ppf"][:2], [-1, 10])
    np.testing.assert_array_equal(found["isf"][:2], [10, -1])
    for name, y in found.items():
        usual = 3 if name in OF_Q else 4
        assert np.isnan(y[usual if usual == 3 else 4 :]).all(), name


@pytest.mark.usefixtures("x64")
def test_score_has_mean_0_and_the_information_as_covariance():
    """Of probabilities that sum to 1; more counts than a block has, and none at all."""
    k = np.arange(76.0)
    of = np.array([(75.0, 0.7, 2.5), (30.0, 40.0, 20.0), (0.0, 1.0, 3.0)])

    @jax.jit
    def everything(k, n, a, b):
        by = beta_binomial.score(k, n, a, b)
        return beta_binomial.pmf(k, n, a, b), by, beta_binomial.fisher_information(n, a, b)[:, 0]

    p, score, information = map(np.array, everything(k, *of.T[..., None]))
    np.testing.assert_allclose(p.sum(1), 1, 1e-13)
    score = np.where(p[..., None] > 0, score, 0)
    np.testing.assert_allclose(np.einsum("bk,bki->bi", p, score), 0, atol=1e-13)
    wanted = np.einsum("bk,bki,bkj->bij", p, score, score)
    np.testing.assert_allclose(information, wanted, 1e-12, 1e-30)


@pytest.mark.usefixtures("x64")
def test_fit_is_where_the_mean_score_is_0():
    """Of drawn counts, many trials or few, alike or not; weights count as repetitions."""
    rng = np.random.default_rng(1)
    n = np.stack([np.full(300, m) for m in (10, 100, 50, 2000)] + [rng.integers(0, 40, 300)])
    a, b = np.array([(2, 3), (0.1, 0.1), (0.05, 5), (30, 2), (4, 1)]).T[..., None]
    k, w = stats.betabinom.rvs(n, a, b, random_state=rng), rng.integers(0, 3, 300)

    @jax.jit
    def found(k, n, w):
        fits = [beta_binomial.fit(k, n), beta_binomial.fit(k, n, weights=w)]
        of = [(k, n, a[:, None], b[:, None]) for a, b in fits]
        return fits, [beta_binomial.score(*args) for args in of]

    fits, scores = found(k, n, w)
    for score, weights in zip(scores, (np.ones(300), w), strict=True):
        by = np.array(score)
        mean = np.einsum("bki,k->bi", by, weights / weights.sum())
        np.testing.assert_allclose(mean / by.std(1), 0, atol=1e-10)
    near = np.abs(np.log(np.array(fits[0]) / [a[:, 0], b[:, 0]]))
    assert (near < 0.6).all(), near


def test_fit_of_counts_that_vary_no_more_than_binomial_ones():
    """A law as good as binomial, which has the mean of the counts."""
    k = jnp.array([[0.0, 0.0, 0.0], [3.0, 3.0, 3.0], [5.0, 5.0, 5.0], [2.0, 3.0, 4.0]])
    a, b = jax.jit(beta_binomial.fit)(k, 5)
    np.testing.assert_allclose(a, [1, 6e5, 1e6, 6e5], 1e-5)
    np.testing.assert_allclose(b, [1e6, 4e5, 1, 4e5], 1e-5)


def test_moments():
    n, a, b = (
        np.array([10.0, 100.0, 7.0, 9.0]),
        np.array([2.0, 0.5, 1.0, 5.0]),
        np.array([3.0, 0.5, 1.0, 1.5]),
    )
    with jax.enable_x64(True):
        ours = jax.jit(lambda *of: [getattr(beta_binomial, name)(*of) for name in MOMENTS])(n, a, b)
        slope = jax.jit(jax.grad(beta_binomial.entropy, 1))(10.0, 2.0, 3.0)
    law = stats.betabinom(n, a, b)
    np.testing.assert_allclose(ours[0], law.mean(), 1e-12)
    np.testing.assert_allclose(ours[1], law.var(), 1e-12)
    np.testing.assert_allclose(ours[3], law.entropy(), 1e-11)
    masses = [stats.betabinom(*of).pmf(np.arange(of[0] + 1)) for of in zip(n, a, b, strict=True)]
    for mode, p in zip(ours[2], masses, strict=True):
        np.testing.assert_allclose(p[int(mode)], p.max(), 1e-12)
    entropies = [float(stats.betabinom(10, 2 + h, 3).entropy()) for h in (1e-5, -1e-5)]
    np.testing.assert_allclose(slope, (entropies[0] - entropies[1]) / 2e-5, 1e-7)


def test_samples_follow_the_law():
    laws.assert_samples_fit(beta_binomial, (20, 0.8, 2.0), stats.betabinom)
    assert beta_binomial.sample(jax.random.key(0), 5, -1.0, 2.0) == -1


def test_batches_and_dtypes():
    k = jnp.array([0.0, 3.0, 9.0])
    f = functools.partial(beta_binomial.logpmf, n=10, a=3.0, b=4.0)
    of_vector, one_by_one = jax.jit(lambda k: (f(k), jax.vmap(f)(k)))(k)
    np.testing.assert_allclose(of_vector, one_by_one, 1e-6)
    a = jnp.ones((4, 1), jnp.bfloat16)
    y = jax.eval_shape(beta_binomial.pmf, jnp.ones(3, jnp.int32), 5, a, a)
    assert y.dtype == jnp.bfloat16
    assert y.shape == (4, 3)


@pytest.mark.usefixtures("x64")
def test_divergence_is_the_sum():
    """Of equal and of fewer trials; 0 of equals; ∞ of more; alike in both modes."""
    p = np.array(
        [(10, 2, 3), (10, 2, 3), (7, 0.3, 0.4), (40, 30, 0.5), (5, 1, 1), (3, 2, 2)], float
    )
    q = np.array([(10, 3, 3), (10, 2, 3), (9, 2, 0.1), (40, 0.2, 30), (60, 2, 2), (2, 2, 2)], float)
    program = jax.jit(lambda *of: both_modes(beta_binomial.kl, of))
    found, forward, reverse = program(*p.T, *q.T)
    k = np.arange(61.0)[:, None]
    log_p, log_q = (stats.betabinom.logpmf(k, *of.T) for of in (p, q))
    with np.errstate(invalid="ignore"):
        terms = np.where(np.isfinite(log_p), np.exp(log_p) * (log_p - log_q), 0)
    wanted = np.where(p[:, 0] > q[:, 0], np.inf, terms.sum(0))
    np.testing.assert_allclose(found, wanted, 1e-10, 1e-13)
    assert found[1] == 0
    np.testing.assert_allclose(forward, reverse, 1e-12, 1e-14)


@pytest.mark.last_digits
def test_divergence_of_what_is_nearly_the_same():
    """In float32 it keeps its digits where the logarithms agree in nearly all of theirs."""
    p, q = (10, 2.0, 3.0), (10, np.float32(2.001), 3.0)
    k = np.arange(11.0)
    with mpmath.workdps(40):

        def log_pmf(k, n, a, b):
            return mpmath.log(mpmath.binomial(n, k)) + mpmath.log(
                mpmath.beta(k + a, n - k + b) / mpmath.beta(a, b)
            )

        each = [[log_pmf(int(j), 10, mpmath.mpf(float(of[1])), 3) for of in (p, q)] for j in k]
        wanted = float(sum(mpmath.exp(a) * (a - b) for a, b in each))
    np.testing.assert_allclose(jax.jit(beta_binomial.kl)(*p, *q), wanted, 1e-4)
