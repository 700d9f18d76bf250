"""Transformed distributions: against SciPy and mpmath, by laws, and where they are saturated."""

import functools
import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.stats

from fnmath.probability import laplace, log_normal, logistic, mixtures, normal, transformed
from fnmath.probability.transformed import affine, composed, exp, tanh
from tests.helpers import Mistake, assert_within_ulp
from tests.probability.laws import both_modes

OF_X = ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf")
OF_Q = ("ppf", "isf")
STANDARD = (0.0, 1.0)


def mistakes():
    """Of each function: a transform that is none, and shapes that do not broadcast."""
    key = jax.random.key(0)
    for name in (*OF_X, *OF_Q, "logpdf_at", "sample", "sample_with_logpdf"):
        f, at = getattr(transformed, name), key if name.startswith("sample") else jnp.ones(3)
        came = f"{name}: transform is a str; wanted a Transform"
        yield Mistake(f, (at, "tanh", normal, STANDARD), {}, TypeError, came)
        came = f"{name}: parameters is a list; wanted a tuple"
        yield Mistake(f, (at, tanh(), normal, [0.0, 1.0]), {}, TypeError, came)
    came = "logpdf: family is a str, which has no function logpdf; wanted one such as"
    none = (0.5, tanh(), "normal", STANDARD)
    yield Mistake(transformed.logpdf, none, {}, TypeError, f"{came} fnmath.probability.normal")
    came = "logpdf: transform.inverse is a NoneType; wanted a function"
    broken = tanh()._replace(inverse=None)
    yield Mistake(transformed.logpdf, (0.5, broken, normal, STANDARD), {}, TypeError, came)
    came = "affine: loc has dtype complex64; wanted real numbers"
    yield Mistake(affine, (1j * jnp.ones(2), 1.0), {}, TypeError, came)
    came = "affine: loc (2,) and scale (3,) must have shapes that broadcast"
    yield Mistake(affine, (jnp.ones(2), jnp.ones(3)), {}, ValueError, came)
    came = "composed: transforms[0] is a str; wanted a Transform"
    yield Mistake(composed, ("exp",), {}, TypeError, came)
    came = "of: transform is a str; wanted a Transform"
    yield Mistake(transformed.of, (normal, "exp"), {}, TypeError, came)


MISTAKES = list(mistakes())


def functions(transform, family):
    """All functions with their gradients in both modes, of x, q and two parameters."""

    def everything(x, q, *of):
        found = {}
        for name in OF_X + OF_Q:

            def f(t, *of, name=name):
                return getattr(transformed, name)(t, transform(of), family, of)

            value, *slopes = both_modes(f, (x if name in OF_X else q, *of))
            forward, reverse = (jnp.moveaxis(slope, -1, 0) for slope in slopes)
            found |= {name: value, f"{name}, forward": forward, f"{name}, reverse": reverse}
        return found

    program = jax.jit(everything)

    def evaluate(*args):
        with jax.enable_x64(True):
            arrays = (jnp.asarray(a, float) for a in np.broadcast_arrays(*args))
            return jax.tree.map(np.asarray, program(*arrays))

    return evaluate


@functools.cache
def programs():
    """Log-logistic, squashed logistic, and what a negative scale turns around."""
    return {
        "exp": functions(lambda of: exp(), logistic),
        "tanh": functions(lambda of: tanh(), logistic),
        "turned": functions(lambda of: composed(affine(1.0, -2.0), exp()), logistic),
    }


X = {
    "exp": np.array([1e-300, 1e-3, 0.7, 5.0, 1e200, 2.0]),
    "tanh": np.array([-0.999, -0.3, 1e-9, 0.2, 0.9, 1 - 1e-12]),
    "turned": np.array([1e-30, 1e-3, 0.7, 5.0, 1e30, 2.0]),
}
Q = np.array([1e-30, 1e-3, 0.2, 0.5, 0.9, 1 - 1e-9])
LOC, SCALE = 0.3, 1.7


@functools.cache
def found(name):
    return programs()[name](X[name], Q, LOC, SCALE)


def squashed(x, loc, scale):
    """The squashed logistic distribution in mpmath: density, lower and upper tail."""
    x, loc, scale = (mpmath.mpf(float(a)) for a in (x, loc, scale))
    z = (mpmath.atanh(x) - loc) / scale
    lower, upper = 1 / (1 + mpmath.exp(-z)), 1 / (1 + mpmath.exp(z))
    return lower * upper / scale / (1 - x * x), lower, upper


def of_exp(name, at, loc, scale):
    """A function of exp(u) for SciPy's logistic u, at x or q."""
    law = scipy.stats.logistic(loc, scale)
    if name in OF_Q:
        return np.exp(getattr(law, name)(at))
    u = np.log(at)
    value = getattr(law, name)(u)
    return {"pdf": value / at, "logpdf": value - u}.get(name, value)


def test_exp_of_logistic_is_log_logistic():
    y = found("exp")
    for name in OF_X + OF_Q:
        wanted = of_exp(name, Q if name in OF_Q else X["exp"], LOC, SCALE)
        np.testing.assert_allclose(y[name], wanted, 1e-11, 1e-15, err_msg=name)


def test_tanh_of_logistic_has_all_digits():
    y = found("tanh")
    with mpmath.workdps(50):
        wanted = [squashed(x, LOC, SCALE) for x in X["tanh"]]
        density, lower, upper = (np.array([float(w[i]) for w in wanted]) for i in range(3))
        logs = np.array([[float(mpmath.log(v)) for v in w] for w in wanted]).T
    for name, exact in zip(("pdf", "cdf", "sf"), (density, lower, upper), strict=True):
        np.testing.assert_allclose(y[name], exact, 1e-13, err_msg=name)
    for name, exact in zip(("logpdf", "logcdf", "logsf"), logs, strict=True):
        np.testing.assert_allclose(y[name], exact, 1e-13, 1e-15, err_msg=name)


def test_a_negative_scale_turns_the_tails_around():
    """exp(1 − 2u) of a logistic u is log-logistic."""
    y = found("turned")
    for name in OF_X + OF_Q:
        wanted = of_exp(name, Q if name in OF_Q else X["turned"], 1 - 2 * LOC, 2 * SCALE)
        np.testing.assert_allclose(y[name], wanted, 1e-11, 1e-15, err_msg=name)


@pytest.mark.parametrize("case", ["exp", "tanh", "turned"])
def test_derivatives(case):
    """Both modes agree, and are central differences; ∂F/∂x is the density."""
    y, x = found(case), X[case]
    for name in OF_X + OF_Q:
        for one, other in zip(y[f"{name}, reverse"], y[f"{name}, forward"], strict=True):
            np.testing.assert_allclose(one, other, 1e-12, 1e-300, err_msg=name)
    np.testing.assert_allclose(y["cdf, reverse"][0], y["pdf"], 1e-12)
    np.testing.assert_allclose(y["sf, reverse"][0], -y["pdf"], 1e-12)
    middle = slice(1, 4)
    for i in range(3):
        h = 1e-6 * np.abs(np.array([x, 0 * x + LOC, 0 * x + SCALE][i]))
        above, below = (
            programs()[case](
                x + s * h * (i == 0), Q, LOC + s * h * (i == 1), SCALE + s * h * (i == 2)
            )
            for s in (1, -1)
        )
        for name in OF_X if i == 0 else OF_X + OF_Q:
            with np.errstate(over="ignore", invalid="ignore"):  # beside the middle
                slope = (above[name] - below[name]) / (2 * h)
                rounding = 1e-9 * (1 + np.abs(y[name])) / np.maximum(h * 1e6, 1e-9)
            ours = y[f"{name}, reverse"][i]
            error = np.abs(slope - ours)[middle]
            assert (error <= (1e-6 * np.abs(ours) + rounding)[middle]).all(), (name, i)


def test_ends_and_outside():
    @jax.jit
    @jax.vmap
    def values(x, y):
        of = normal, STANDARD
        squash = [getattr(transformed, name)(x, tanh(), *of) for name in OF_X]
        positive = [getattr(transformed, name)(y, exp(), *of) for name in OF_X]
        slope = jax.grad(lambda t: transformed.logpdf(t, tanh(), *of))(x)
        return jnp.stack(squash), jnp.stack(positive), slope

    x, y = (
        jnp.array([-1.0, 1.0, -2.0, jnp.inf, jnp.nan]),
        jnp.array([0.0, jnp.inf, -1, -3, jnp.nan]),
    )
    squash, positive, slope = values(x, y)
    inf = jnp.inf
    low, high = [0, -inf, 0, -inf, 1, 0], [0, -inf, 1, 0, 0, -inf]
    np.testing.assert_array_equal(squash, [low, high, low, high, [np.nan] * 6])
    np.testing.assert_array_equal(positive, [low, high, low, low, [np.nan] * 6])
    np.testing.assert_array_equal(slope, [0, 0, 0, 0, 0])


@pytest.mark.last_digits
def test_saturated_and_beside_zero():
    """log(1 − tanh²(u)) to two units in the last place where 1 − tanh² itself is 0, and near 0."""
    u = np.float32([1e-20, -1e-4, 0.01, 0.3, -0.999, 1.0, 3.0, -9.5, 40.0, 3e4])
    log_slope = jax.jit(tanh().log_slope)
    with mpmath.workdps(80):
        wanted = [float(-2 * mpmath.log(mpmath.cosh(float(v)))) for v in u[1:-1]]
    assert_within_ulp(log_slope(u)[1:-1], wanted, 2)
    by_u = jax.jit(jax.vmap(jax.grad(tanh().log_slope)))(u)
    np.testing.assert_allclose(by_u, -2 * np.tanh(np.float64(u)), 1e-6)
    assert_within_ulp(log_slope(jnp.float32(3e4)), -6e4 + 2 * math.log(2), 1)


def test_by_the_number_of_the_base():
    """Where tanh(u) is 1 the density of the sample and its three derivatives are right."""
    of = jnp.float32(0.5), jnp.float32(2.0)

    def log_density(u, loc, scale):
        return transformed.logpdf_at(u, tanh(), normal, (loc, scale))

    @jax.jit
    @jax.vmap
    def found(u):
        gradient = jax.grad(log_density, (0, 1, 2))(u, *of)
        return log_density(u, *of), gradient, jax.hessian(log_density)(u, *of)

    u = np.float32([0.1, 30.0, -1e4, np.inf])
    value, (by_u, by_loc, by_scale), bend = found(u)
    z = (np.float64(u) - 0.5) / 2
    log_cosh = np.abs(np.float64(u)) + np.log1p(np.exp(-2 * np.abs(np.float64(u)))) - np.log(2)
    wanted = scipy.stats.norm(0.5, 2).logpdf(np.float64(u[:3])) + 2 * log_cosh[:3]
    np.testing.assert_allclose(value[:3], wanted, 1e-6)
    assert value[3] == -np.inf
    np.testing.assert_allclose(by_u[:3], -z[:3] / 2 + 2 * np.tanh(u[:3]), 1e-6)
    np.testing.assert_allclose(by_loc[:3], z[:3] / 2, 1e-6)
    np.testing.assert_allclose(by_scale[:3], (z[:3] ** 2 - 1) / 2, 1e-6)
    slope = 4 / (np.exp(np.float64(u[:2])) + np.exp(-np.float64(u[:2]))) ** 2  # 0 at the third
    np.testing.assert_allclose(bend[:3], -0.25 + 2 * np.append(slope, 0), 1e-5)


def test_samples_and_their_densities():
    @jax.jit
    def drawn(loc):
        def moved(loc):
            of = tanh(), normal, (loc, 1.5)
            x, log_f = transformed.sample_with_logpdf(jax.random.key(1), *of, shape=(5_000,))
            return x, log_f, transformed.sample(jax.random.key(1), *of, shape=(5_000,))

        return moved(loc), jax.jvp(moved, (loc,), (jnp.ones_like(loc),))[1]

    (x, log_f, same), (slope, _, _) = drawn(jnp.float32(0.4))
    np.testing.assert_array_equal(x, same)
    u = np.arctanh(np.float64(x))
    assert scipy.stats.kstest(u, scipy.stats.norm(0.4, 1.5).cdf).pvalue > 1e-3
    exact = scipy.stats.norm(0.4, 1.5).logpdf(u) - np.log1p(-(np.float64(x) ** 2))
    inner = np.abs(u) < 3
    np.testing.assert_allclose(log_f[inner], exact[inner], 1e-3, 1e-4)
    np.testing.assert_allclose(slope[inner], 1 - np.float64(x[inner]) ** 2, 1e-4, 1e-6)


def test_of_makes_families_for_each_other():
    """Transformed mixtures, mixtures of transformed, and a transform of what is transformed."""
    log_weights, loc = jnp.log(jnp.array([0.3, 0.7])), jnp.array([-1.0, 0.5])
    squash = transformed.of(normal, tanh())

    @jax.jit
    def found(x):
        mixture = transformed.of(mixtures.of(normal), tanh())
        twice = transformed.of(transformed.of(laplace, affine(1.0, 2.0)), exp())
        once = transformed.logpdf(x, composed(affine(1.0, 2.0), exp()), laplace, STANDARD)
        return (
            mixture.logpdf(x, log_weights, loc, 0.5),
            mixtures.logpdf(x, log_weights, squash, (loc, 0.5)),
            mixture.cdf(x, log_weights, loc, 0.5),
            mixtures.cdf(x, log_weights, squash, (loc, 0.5)),
            twice.logpdf(x, *STANDARD),
            once,
        )

    pairs = found(jnp.array([0.2, 0.9, 0.5]))
    for one, other in zip(pairs[::2], pairs[1::2], strict=True):
        np.testing.assert_allclose(one, other, 1e-5)


def test_density_integrates_to_1():
    nodes, weights = np.polynomial.legendre.leggauss(400)

    @jax.jit
    def mass(x):
        return transformed.pdf(x, tanh(), normal, (0.2, 0.4))

    with jax.enable_x64(True):
        np.testing.assert_allclose(mass(jnp.asarray(nodes)) @ weights, 1, 1e-9)


def test_equals_the_family_of_its_own_and_dtypes_stay():
    @jax.jit
    def both(x):
        of = (0.5, 2.0)
        ours = [getattr(transformed, name)(x, exp(), normal, of) for name in OF_X]
        return jnp.stack(ours), jnp.stack([getattr(log_normal, name)(x, *of) for name in OF_X])

    ours, theirs = both(jnp.array([0.3, 4.0]))
    assert ours.dtype == jnp.float32
    np.testing.assert_allclose(ours, theirs, 2e-6)
    for dtype in (jnp.bfloat16, jnp.float16):
        of = tuple(jnp.ones((), dtype) for _ in range(2))
        f = functools.partial(transformed.logpdf, transform=tanh(), family=normal, parameters=of)
        assert jax.eval_shape(f, jnp.zeros((), dtype)).dtype == dtype


def test_what_has_no_meaning_is_nan():
    @jax.jit
    @jax.vmap
    def found(scale, stretch):
        of = composed(affine(0.0, stretch), tanh()), normal, (0.0, scale)
        return jnp.stack([getattr(transformed, name)(0.5, *of) for name in OF_X + OF_Q])

    assert jnp.isnan(found(jnp.array([-1.0, 1.0]), jnp.array([1.0, 0.0]))).all()
