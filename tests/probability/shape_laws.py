"""What every family promises, asked of each in the same words."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
from scipy import stats

from tests.helpers import Mistake

NUMBERS = ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf", "ppf", "isf")
COUNTS = ("pmf", "logpmf", "cdf", "logcdf", "sf", "logsf", "ppf", "isf")
MOMENTS = ("mean", "variance", "entropy")


@functools.cache
def jitted(function):
    return jax.jit(function)


def call(function, *args):
    """The function, compiled, of arrays in double precision."""
    with jax.enable_x64(True):
        args = [jnp.asarray(a, jnp.float64) for a in np.broadcast_arrays(*args)]
        return np.asarray(jitted(function)(*args))


def mistakes(family, arguments):
    """A row for the TypeError and one for the ValueError of each function of arguments alone."""
    name = family.__name__.rpartition(".")[2]
    rows = []
    for function, names in arguments.items():
        values = [jnp.ones(2)] * len(names)
        of_type = (1j * jnp.ones(2), *values[1:])
        first = f"{name}.{function}: {names[0]} has dtype complex64; wanted real numbers"
        rows.append(Mistake(getattr(family, function), of_type, {}, TypeError, first))
        if len(names) > 1:
            of_shape = (jnp.ones(3), *values[1:])
            came = " and ".join(f"{n} {(3,) if n == names[0] else (2,)}" for n in names)
            text = f"{name}.{function}: {came} must have shapes that broadcast"
            rows.append(Mistake(getattr(family, function), of_shape, {}, ValueError, text))
    return rows


def assert_equals_scipy(family, law, names, x, parameters, rtol=1e-10):
    """Equality in double precision, where SciPy is itself right to these digits."""
    for name in names:
        wanted = getattr(law, name)(x, *parameters)
        came = call(getattr(family, name), x, *parameters)
        usual = np.isfinite(wanted) & (np.abs(wanted) > 1e-250)
        np.testing.assert_allclose(came[usual], wanted[usual], rtol, 1e-12, err_msg=name)


def assert_quantiles_invert(family, parameters, is_count=False):
    q = np.array([1e-12, 1e-3, 0.2, 0.5, 0.9, 1 - 1e-9])
    x = call(family.ppf, q, *parameters)
    reached = call(family.cdf, x, *parameters)
    if is_count:
        assert np.all(reached >= q * (1 - 1e-12))
        before = call(family.cdf, x - 1, *parameters)
        assert np.all((before < q) | (x == 0))
    else:
        np.testing.assert_allclose(reached, q, 1e-11)
    if not is_count:
        reached = call(family.sf, call(family.isf, q, *parameters), *parameters)
        np.testing.assert_allclose(reached, q, 1e-11)


def assert_density_integrates(family, parameters):
    """Between two quantiles lies what is between their probabilities, by Gauss's rule in panels."""
    q = np.array([0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
    edges = call(family.ppf, q, *parameters)
    u, w = np.polynomial.legendre.leggauss(20)
    a, b = edges[:-1, None], edges[1:, None]
    x = a + (b - a) * (0.5 + 0.5 * u)
    area = np.sum(call(family.pdf, x, *parameters) * 0.5 * w * (b - a), -1)
    np.testing.assert_allclose(area, np.diff(q), 1e-8)


def assert_probabilities_sum(family, parameters):
    k = np.arange(60.0)
    p = call(family.pmf, k, *parameters)
    np.testing.assert_allclose(np.cumsum(p), call(family.cdf, k, *parameters), 1e-12)
    np.testing.assert_allclose(1 - np.cumsum(p), call(family.sf, k, *parameters), 1e-8, atol=1e-14)


def assert_score_has_information(family, parameters, law, **tolerance):
    """E[score] = 0 and Var[score] = Fisher's information, by quadrature against the density."""
    x, w = law_points(law, parameters)
    score = call(lambda *a: jnp.stack(family.score(*a), -1), x, *parameters)
    np.testing.assert_allclose(np.sum(w[:, None] * score, 0), 0, atol=1e-6, **tolerance)
    if hasattr(family, "fisher_information"):
        information = call(family.fisher_information, *parameters)
        np.testing.assert_allclose(np.einsum("x,xi,xj", w, score, score), information, 1e-5)


def law_points(law, parameters):
    """Points and weights of expectations: all counts, or tanh-sinh in the probability."""
    if hasattr(law, "pmf"):
        k = np.arange(0.0, 400.0)
        return k, law.pmf(k, *parameters)
    t = np.linspace(-3.2, 3.2, 1201)
    v = 0.5 * np.pi * np.sinh(t)
    p, q = 1 / (1 + np.exp(-2 * v)), 1 / (1 + np.exp(2 * v))
    w = np.pi * np.cosh(t) * p * q * (t[1] - t[0])
    x = np.where(p < 0.5, law.ppf(p, *parameters), law.isf(q, *parameters))
    keep = np.isfinite(x) & (w > 1e-17)
    return x[keep], w[keep]


def assert_kl(family, law, p, q):
    """KL ≥ 0, 0 for equals, and the expectation of the difference of the logarithms."""
    x, w = law_points(law, p)
    log = law.logpmf if hasattr(law, "pmf") else law.logpdf
    difference = log(x, *p) - log(x, *q)
    expected = np.sum(np.where(w > 0, w * np.where(w > 0, difference, 0), 0))
    came = call(family.kl, *p, *q)
    np.testing.assert_allclose(came, expected, 1e-7)
    assert came >= 0
    np.testing.assert_allclose(call(family.kl, *p, *p), 0, atol=1e-14)


def assert_samples_fit(family, parameters, law, size=4000):
    """Kolmogorov and Smirnov's test for numbers, Pearson's χ² for counts, at one key."""
    draws = np.asarray(family.sample(jax.random.key(7), *parameters, shape=(size,)))
    if not hasattr(law, "pmf"):
        assert draws.dtype == np.float32
        assert stats.kstest(draws, law(*parameters).cdf).pvalue > 1e-3
        return
    assert draws.dtype == np.int32
    edges = np.unique(law.ppf([0.05, 0.2, 0.4, 0.6, 0.8, 0.95], *parameters))
    expected = np.diff(np.concatenate([[0], law.cdf(edges, *parameters), [1]])) * size
    came = np.histogram(draws, np.concatenate([[-1], edges, [np.inf]]) + 0.5)[0]
    keep = expected > 5
    expected = expected[keep] * (came[keep].sum() / expected[keep].sum())
    assert stats.chisquare(came[keep], expected).pvalue > 1e-3


def assert_invalid_gives_nan(family, names, parameters, wrong, at=1.0):
    """A parameter outside of its domain gives nan from every function."""
    rows = [
        [value if i == j else p for j, p in enumerate(parameters)]
        for i, values in wrong.items()
        for value in values
    ]
    bad = [jnp.array(column, jnp.float32) for column in zip(*rows, strict=True)]
    for name in names:
        x = [] if name in MOMENTS else [jnp.full(len(rows), 0.5 if name in {"ppf", "isf"} else at)]
        assert jnp.isnan(jitted(getattr(family, name))(*x, *bad)).all(), name


def assert_nan_gives_nan(family, names, parameters):
    x = jnp.array([jnp.nan, 0.5])
    same = [jnp.full(2, p, jnp.float32) for p in parameters]
    for name in names:
        came = jitted(getattr(family, name))(x, *same)
        assert jnp.isnan(came[0]), name
        assert not jnp.isnan(came[1]), name


def assert_same_batched(family, names, x, parameters):
    """Vectors, scalars under vmap and under jit give the same, in the dtype that was given."""
    for name in names:
        function = getattr(family, name)
        of_vector = jitted(function)(x, *parameters)
        assert of_vector.dtype == x.dtype
        one_by_one = jax.jit(jax.vmap(lambda x, f=function: f(x, *parameters)))(x)
        np.testing.assert_allclose(of_vector, one_by_one, 2e-6, 1e-6)


def exact_slope(f, args, i, digits=40):
    """The derivative of a formula of mpmath by one argument."""
    with mpmath.workdps(digits):
        args = [mpmath.mpf(float(a)) for a in args]
        h = mpmath.mpf(10) ** (-digits // 3) * args[i]
        up, down = ([*args[:i], args[i] + s * h, *args[i + 1 :]] for s in (1, -1))
        return float((f(*up) - f(*down)) / (2 * h))


def assert_slopes(function, exact, points, by, rtol=1e-11):
    """The derivative in both modes against that of the formula, in double precision."""
    with jax.enable_x64(True):
        args = [jnp.asarray(a) for a in np.array(points, np.float64).T]
        for i in by:
            backward = jax.jit(jax.vmap(jax.grad(function, i)))(*args)
            forward = jax.jit(jax.vmap(jax.jacfwd(function, i)))(*args)
            wanted = [exact_slope(exact, p, i) for p in points]
            np.testing.assert_allclose(backward, wanted, rtol)
            np.testing.assert_allclose(forward, backward, 1e-13)
