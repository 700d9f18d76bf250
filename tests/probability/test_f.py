"""The F distribution: against SciPy and 40 digits, and what every law promises."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
from scipy import stats

from fnmath.probability import f
from tests.helpers import Mistake, assert_within_ulp
from tests.probability import shape_laws as laws
from tests.probability.laws import both_modes

OF_X = ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf")
OF_Q = ("ppf", "isf")
MOMENTS = ("mean", "variance", "mode", "entropy")
MOVED = ("pdf", "logpdf", "cdf", "logsf", "ppf")  # the others are these of the other tail


def mistakes():
    two, three = jnp.ones(2), jnp.ones(3)
    for name in (*OF_X, *OF_Q, "score"):
        at, g = "q" if name in OF_Q else "x", getattr(f, name)
        came = f"{name}: {at} has dtype complex64; wanted real numbers"
        yield Mistake(g, (1j * two, two, two), {}, TypeError, came)
        came = f"{name}: {at} (3,) and dfn (2,) and dfd (2,) and loc () and scale ()"
        came += " must have shapes that broadcast"
        yield Mistake(g, (three, two, two), {}, ValueError, came)
    for name in (*MOMENTS, "fisher_information", "sample"):
        at, g = (jax.random.key(0),) * (name == "sample"), getattr(f, name)
        came = f"{name}: dfn has dtype complex64; wanted real numbers"
        yield Mistake(g, (*at, 1j * two, two), {}, TypeError, came)
        came = f"{name}: dfn (3,) and dfd (2,) and loc () and scale () must have shapes"
        yield Mistake(g, (*at, three, two), {}, ValueError, f"{came} that broadcast")
    came = "fit: x has dtype int32; wanted a floating dtype; did you mean x.astype(jnp.float32)?"
    yield Mistake(f.fit, (jnp.ones(3, int),), {}, TypeError, came)


MISTAKES = list(mistakes())


@functools.cache
def program():
    """All functions of x, q and four parameters, most with their gradients in both modes."""

    def everything(x, q, *of):
        found = {n: getattr(f, n)(q if n in OF_Q else x, *of) for n in ("sf", "logcdf", "isf")}
        for name in MOVED:
            value, *slopes = both_modes(getattr(f, name), (x if name in OF_X else q, *of))
            found |= {name: value, f"{name}, forward": slopes[0], f"{name}, reverse": slopes[1]}
        return found

    return jax.jit(everything)


def evaluate(x, q, *of):
    with jax.enable_x64(True):
        args = np.broadcast_arrays(x, q, *of)
        return jax.tree.map(np.asarray, program()(*(jnp.asarray(a, float) for a in args)))


def drawn():
    rng = np.random.default_rng(5)
    m, n = np.exp(rng.uniform(-1, 6, (2, 48)))
    q = rng.uniform(1e-3, 1 - 1e-3, 48)
    return stats.f.ppf(q, m, n, 0.5, 2.0), q, m, n


def test_equals_scipy_over_drawn_parameters():
    x, q, m, n = drawn()
    found = evaluate(x, q, m, n, 0.5, 2.0)
    for name in OF_X + OF_Q:
        wanted = getattr(stats.f, name)(x if name in OF_X else q, m, n, 0.5, 2.0)
        np.testing.assert_allclose(found[name], wanted, 1e-9, 1e-12, err_msg=name)


def exact(name, x, m, n):
    """A function of mpmath's numbers at μ = 0, σ = 1."""
    a, b, t = m / 2, n / 2, m * x / n
    if name.endswith("pdf"):
        log = a * mpmath.log(t) - (a + b) * mpmath.log1p(t) - mpmath.log(x)
        log = log - mpmath.log(mpmath.beta(a, b))
        return log if name == "logpdf" else mpmath.exp(log)
    lower = name.endswith("cdf")
    of = (a, b, 0, t / (1 + t)) if lower else (b, a, 0, 1 / (1 + t))
    tail = mpmath.betainc(*of, regularized=True)
    return mpmath.log(tail) if name.startswith("log") else tail


POINTS = np.array(
    [(1.3, 3.0, 4.0), (0.01, 0.5, 7.0), (40.0, 12.0, 3.0), (0.7, 1.0, 1.0), (1.1, 50.0, 400.0)]
)


def test_derivatives():
    """Both modes, against 40 digits; quantiles by the inverse function; μ and σ by those of x."""
    x, m, n = np.resize(POINTS, (48, 3)).T
    q = evaluate(x, 0.5, m, n, 0.0, 1.0)["cdf"]
    found = evaluate(x, q, m, n, 0.0, 1.0)
    for name in MOVED:
        reverse, forward = found[f"{name}, reverse"], found[f"{name}, forward"]
        np.testing.assert_allclose(reverse, forward, 1e-12, err_msg=name)
    for name in set(MOVED) & set(OF_X):
        slopes = found[f"{name}, reverse"][: len(POINTS)]
        for i in range(3):
            wanted = [laws.exact_slope(functools.partial(exact, name), p, i) for p in POINTS]
            np.testing.assert_allclose(slopes[:, i], wanted, 1e-10, 1e-14, err_msg=f"{name} {i}")
        np.testing.assert_allclose(slopes[:, 3], -slopes[:, 0], 1e-13)
    density, lower = found["pdf"], found["cdf, reverse"]
    np.testing.assert_allclose(found["ppf"], x, 1e-9)
    np.testing.assert_allclose(found["ppf, reverse"][:, 0], 1 / density, 1e-7)
    for i in (1, 2):
        wanted = -lower[:, i] / density
        np.testing.assert_allclose(found["ppf, reverse"][:, i], wanted, 1e-6, 1e-9)


def test_ends_and_what_has_no_meaning():
    inf, nan = np.inf, np.nan
    x = np.array([0.0, 0.0, 0.0, -1.0, inf, nan, 1.0, 1.0, 1.0])
    m = np.array([1.0, 2.0, 3.0, 3.0, 3.0, 3.0, -1.0, 3.0, 3.0])
    scale = np.array([1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0])
    loc = np.array([0.0] * 8 + [nan])
    q = np.array([0.0, 1.0, 0.5, -0.1, 1.1, nan, 0.5, 0.5, 0.5])
    args = (np.resize(a, 48) for a in (x, q, m, np.array([4.0]), loc, scale))
    found = {k: y[:9] for k, y in evaluate(*args).items()}
    wanted = {"pdf": [inf, 0.5, 0, 0, 0], "cdf": [0, 0, 0, 0, 1], "sf": [1, 1, 1, 1, 0]}
    wanted |= {"logcdf": [-inf, -inf, -inf, -inf, 0], "logsf": [0, 0, 0, 0, -inf]}
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name][:5], values, name)
    np.testing.assert_array_equal(found["ppf"][:2], [0, inf])
    np.testing.assert_array_equal(found["isf"][:2], [inf, 0])
    assert np.isnan(found["ppf"][3:]).all()
    for name, y in found.items():
        assert np.isnan(y[6:]).all(), name
        # Forward, an infinite slope by x meets the 0 by which x moves with another argument.
        usual = y[[1, 3, 4]] if name.endswith("forward") else y[:5]
        assert name.startswith(("ppf", "isf")) or not np.isnan(usual).any(), name


@pytest.mark.last_digits
def test_last_digits():
    """Values and log-derivatives in single precision, to a few units in the last place."""
    x, m, n = np.float32([(1.3, 3, 4), (1e-6, 0.5, 7), (3e4, 12, 3), (0.9, 5000, 4000)]).T
    with mpmath.workdps(40):
        points = [tuple(map(float, p)) for p in np.stack([x, m, n], 1)]
        wanted = {
            name: [float(exact(name, *map(mpmath.mpf, p))) for p in points]
            for name in ("pdf", "logpdf", "cdf", "sf", "logcdf", "logsf")
        }
        slopes = {
            i: [laws.exact_slope(functools.partial(exact, "logpdf"), p, i) for p in points]
            for i in (1, 2)
        }

    @jax.jit
    def found(*of):
        return {name: getattr(f, name)(*of) for name in wanted}, f.score(*of)

    values, score = found(x, m, n)
    for name, y in wanted.items():
        assert_within_ulp(values[name], y, 6)
    for i in (1, 2):
        np.testing.assert_allclose(score[..., i - 1], slopes[i], 2e-5)


def test_moments_are_scipys():
    m, n = np.array([3.0, 5.0, 0.7, 40.0]), np.array([6.0, 2.5, 1.0, 30.0])
    with jax.enable_x64(True):
        ours = jax.jit(lambda *of: [getattr(f, name)(*of) for name in MOMENTS])(m, n)
    for y, theirs in zip(ours[:2], ("mean", "var"), strict=True):
        np.testing.assert_allclose(y, getattr(stats.f(m, n), theirs)(), 1e-12)
    np.testing.assert_allclose(ours[3], stats.f(m, n).entropy(), 1e-8)
    for mode, p, q in zip(ours[2], m, n, strict=True):
        around = stats.f(p, q).pdf(np.maximum(np.asarray(mode) + np.array([-1e-3, 0, 1e-3]), 1e-9))
        assert p <= 2 or around.argmax() == 1


def test_samples_follow_the_law():
    laws.assert_samples_fit(f, (3.0, 5.0), stats.f)
    draw, of = functools.partial(f.sample, jax.random.key(0), shape=(3,)), (3.0, 5.0, 0.0, 1.0)
    moved = jax.jit(lambda *of: jax.jvp(draw, of, (1.0, 1.0, 1.0, 1.0)))(*of)
    assert np.isfinite(np.stack(moved)).all()


def test_batches_and_dtypes():
    x = jnp.array([0.3, 1.0, 4.0])
    g = functools.partial(f.logpdf, dfn=3.0, dfd=4.0)
    of_vector, one_by_one = jax.jit(lambda x: (g(x), jax.vmap(g)(x)))(x)
    np.testing.assert_allclose(of_vector, one_by_one, 1e-6)
    of = jnp.ones((4, 1), jnp.bfloat16)
    y = jax.eval_shape(f.cdf, jnp.ones(3, jnp.bfloat16), of, of)
    assert y.dtype == jnp.bfloat16
    assert y.shape == (4, 3)


@pytest.mark.usefixtures("x64")
def test_information_is_the_mean_of_products_of_scores():
    """By the trapezoid rule over log(u/v), where the integrand is smooth and falls off."""
    t, step = np.linspace(-100, 100, 20_001, retstep=True)
    rows = np.array([(5.0, 3.0, 2.0), (9.0, 40.0, 0.5), (200.0, 300.0, 1.0), (1.5, 0.7, 3.0)])
    score, information = jax.jit(f.score), jax.jit(f.fisher_information)
    matrices = np.array(information(rows[:, 0], rows[:, 1], 0.0, rows[:, 2]))
    for (m, n, scale), found in zip(rows, matrices, strict=True):
        log_u, log_v = -np.logaddexp(0, -t), -np.logaddexp(0, t)
        mass = np.exp(0.5 * (m * log_u + n * log_v) - scipy.special.betaln(m / 2, n / 2)) * step
        by = np.array(score(scale * np.exp(t) * n / m, m, n, 0.0, scale))
        by = by[:, [0, 1, 2, 3] if m > 4 else [0, 1, 3]]
        wanted = np.einsum("n,ni,nj->ij", mass, by, by)
        assert np.isnan(found[2]).all() == (m <= 4)
        known = found if m > 4 else np.delete(np.delete(found, 2, 0), 2, 1)
        np.testing.assert_allclose(known, wanted, 1e-8)


@pytest.mark.last_digits
def test_information_in_single_precision():
    """Where the trigammas cancel: of many degrees of freedom, and of few beside many."""
    m, n = np.float32([(2e5, 1e5), (1e-3, 50.0), (3e4, 2.0), (6.0, 8.0)]).T
    found = jax.jit(f.fisher_information)(m, n)

    def exact(m, n):
        a, b = m / 2, n / 2
        s, by = a + b, functools.partial(mpmath.polygamma, 1)
        twice = 2 / s - 1 / (s + 1)
        return (by(a) - by(s) - b / a * twice) / 4, (twice - by(s)) / 4

    with mpmath.workdps(40):
        of = zip(m.tolist(), n.tolist(), strict=True)
        wanted = [exact(mpmath.mpf(p), mpmath.mpf(q)) for p, q in of]
    assert_within_ulp(found[:, 0, 0], [float(w[0]) for w in wanted], 4)
    assert_within_ulp(found[:, 0, 1], [float(w[1]) for w in wanted], 4)
    assert np.isnan(jax.jit(f.fisher_information)(-1.0, 3.0)).all()


@pytest.mark.usefixtures("x64")
def test_fit_is_where_the_mean_score_is_0():
    """Of drawn samples, in all sizes of degrees of freedom; weights count as repetitions."""
    rng = np.random.default_rng(4)
    laws_of = [(3, 4), (0.3, 9), (40, 100), (0.05, 0.1), (12, 1)]
    x = np.stack([stats.f.rvs(m, n, size=400, random_state=rng) for m, n in laws_of])
    w = rng.integers(0, 3, 400)
    found = jax.jit(lambda x, w: (f.fit(x), f.fit(x, weights=w)))(x, w)
    score, information = jax.jit(f.score), jax.jit(f.fisher_information)
    for (m, n), weights in zip(found, (np.ones(400), w), strict=True):
        by = score(x, m[:, None], n[:, None])[..., :2]
        mean = np.einsum("bni,n->bi", by, weights / weights.sum())
        spread = np.sqrt(np.diagonal(information(m, n)[:, :2, :2], 0, 1, 2))
        np.testing.assert_allclose(mean / spread, 0, atol=1e-10)
    near = np.abs(np.log(np.transpose(found[0]) / laws_of))
    assert (near < 0.5).all(), near  # three standard errors, or less


def test_fit_without_a_bound():
    """Samples that are all but one number: as sure as the fit can be."""
    m, n = f.fit(jnp.array([0.99999, 1.0, 1.00001]))
    assert min(m, n) > 1e5
