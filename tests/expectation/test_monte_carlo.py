"""fnmath.expectation, draws and points: the errors they say are theirs, at the rates foretold."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from fnmath.expectation import (
    antithetic_expectation,
    control_variate_expectation,
    halton_points,
    importance_expectation,
    monte_carlo_expectation,
    quasi_monte_carlo_expectation,
    sobol_points,
    stratified_expectation,
)
from tests.helpers import Mistake

key = jax.random.key(0)
uniform = functools.partial(jax.random.uniform, shape=(2,))


def f(u):
    """Smooth, of mean 1."""
    return jnp.prod(jnp.exp(u)) / (jnp.e - 1) ** 2


def plain(key, f, samples):
    return monte_carlo_expectation(key, f, uniform, samples=samples)


def importance(key, f, samples, normalised=False):
    """Uniform points by draws of the density 2u in each dimension."""
    return importance_expectation(
        key,
        f,
        lambda key: jnp.sqrt(uniform(key) + 1e-30),
        lambda u: -jnp.log(2 * u).sum(),
        samples=samples,
        normalised=normalised,
    )


def controlled(key, f, samples):
    return control_variate_expectation(
        key, f, uniform, lambda u: u, control_mean=jnp.full(2, 0.5), samples=samples
    )


def cube(method, **options):
    return lambda key, f, samples: method(key, f, dimension=2, samples=samples, **options)


def stratified(key, f, samples):
    return stratified_expectation(key, f, dimension=2, strata=round((samples / 2) ** 0.5))


METHODS = {
    "plain": plain,
    "antithetic": cube(antithetic_expectation),
    "stratified": stratified,
    "sobol": cube(quasi_monte_carlo_expectation),
    "halton": cube(quasi_monte_carlo_expectation, points="halton"),
    "importance": importance,
    "self-normalised": functools.partial(importance, normalised=True),
    "controlled": controlled,
}
EACH = pytest.mark.parametrize("name", list(METHODS))
SIMPLE = {
    monte_carlo_expectation: ((f, uniform), {"samples": 8}),
    antithetic_expectation: ((f,), {"dimension": 2, "samples": 8}),
    stratified_expectation: ((f,), {"dimension": 2, "strata": 2}),
    quasi_monte_carlo_expectation: ((f,), {"dimension": 2, "samples": 8}),
    importance_expectation: ((f, uniform, lambda u: 0.0 * u[0]), {"samples": 8}),
    control_variate_expectation: (
        (f, uniform, lambda u: u[0]),
        {"samples": 8, "control_mean": 0.5},
    ),
}
MISTAKES = []
for method, (args, options) in SIMPLE.items():
    name, size = method.__name__, "strata" if "strata" in options else "samples"
    least = {antithetic_expectation: 4, stratified_expectation: 1, quasi_monte_carlo_expectation: 1}
    MISTAKES += [
        Mistake(
            method,
            (0, *args),
            options,
            TypeError,
            f"{name}: key is a int; wanted a random key; did you mean jax.random.key(0)?",
        ),
        Mistake(
            method,
            (key, None, *args[1:]),
            options,
            TypeError,
            f"{name}: f is a NoneType; wanted a function",
        ),
        Mistake(
            method,
            (key, lambda u: jnp.sum(u > 0), *args[1:]),
            options,
            TypeError,
            f"{name}: f gives dtype int32; wanted a floating-point array",
        ),
        Mistake(
            method,
            (key, *args),
            {**options, size: 0},
            ValueError,
            f"{name}: {size} is 0; wanted an integer of at least {least.get(method, 2)}",
        ),
    ]
MISTAKES += [
    Mistake(
        antithetic_expectation,
        (key, f),
        {"dimension": 2, "samples": 5},
        ValueError,
        "antithetic_expectation: samples is 5; wanted an even number; did you mean 6?",
    ),
    Mistake(
        quasi_monte_carlo_expectation,
        (key, f),
        {"dimension": 11, "samples": 8},
        ValueError,
        "quasi_monte_carlo_expectation: dimension is 11; wanted at most 10 for Sobol's points; "
        "did you mean Halton's?",
    ),
    Mistake(
        quasi_monte_carlo_expectation,
        (key, f),
        {"dimension": 2, "samples": 8, "points": "grid"},
        ValueError,
        "quasi_monte_carlo_expectation: points is 'grid'; wanted one of 'sobol', 'halton'",
    ),
    Mistake(
        importance_expectation,
        (key, f, uniform, lambda u: u),
        {"samples": 8},
        ValueError,
        "importance_expectation: log_weight gives shape (2,); wanted one number",
    ),
    Mistake(
        control_variate_expectation,
        (key, f, uniform, lambda u: u),
        {"samples": 8, "control_mean": 0.5},
        ValueError,
        "control_variate_expectation: control gives shape (2,) and control_mean has (); "
        "wanted a number or a vector, and one shape",
    ),
    Mistake(
        sobol_points,
        (),
        {"samples": 8, "dimension": 11},
        ValueError,
        "sobol_points: dimension is 11; wanted at most 10 for Sobol's points; "
        "did you mean Halton's?",
    ),
    Mistake(
        sobol_points,
        (),
        {"samples": 2.5, "dimension": 1},
        TypeError,
        "sobol_points: samples is 2.5 (float); wanted an integer",
    ),
    Mistake(
        halton_points,
        (),
        {"samples": 0, "dimension": 1},
        ValueError,
        "halton_points: samples is 0; wanted an integer of at least 1",
    ),
    Mistake(
        halton_points,
        (),
        {"samples": 2.5, "dimension": 1},
        TypeError,
        "halton_points: samples is 2.5 (float); wanted an integer",
    ),
]


@functools.cache
def many(name, samples, repeats=200):
    """So many independent estimates."""
    keys = jax.random.split(jax.random.key(7), repeats)
    found = jax.jit(jax.vmap(lambda key: METHODS[name](key, f, samples)))(keys)
    return np.asarray(found.value), np.asarray(found.standard_error)


@EACH
def test_law_no_bias_and_the_error_that_it_says(name):
    """200 times: the mean is 1, and the standard errors are the spread of the estimates."""
    value, error = many(name, 512)
    spread = value.std(ddof=1)
    assert abs(value.mean() - 1) < 4 * spread / 200**0.5 + 3e-4 * (name == "self-normalised")
    # Of 8 shifts a standard error has itself a spread of 27 %; 200 of them average it.
    assert 0.75 < np.sqrt(np.mean(error**2)) / spread < 1.3


@pytest.mark.parametrize(
    ("name", "rate"), [("plain", 0.5), ("antithetic", 0.5), ("stratified", 1.0), ("sobol", 1.0),
                       ("halton", 0.95)]
)  # fmt: skip
def test_law_rates(name, rate):
    """The slope of log error by log n, over 16 times the points."""
    few, more = (many(name, n)[0].std() for n in (128, 2048))
    slope = np.log(few / more) / np.log(16)
    assert slope > rate - 0.12
    assert rate > 0.6 or slope < rate + 0.12


def test_law_each_method_is_better_than_draws():
    spread = {name: many(name, 512)[0].std() for name in METHODS}
    for name in set(METHODS) - {"plain", "self-normalised", "importance"}:
        assert spread[name] < 0.45 * spread["plain"], name
    assert spread["sobol"] < 0.05 * spread["plain"]


def test_reference_of_the_points_by_scipy():
    expected = scipy.stats.qmc.Sobol(10, scramble=False).random(1024)
    np.testing.assert_array_equal(sobol_points(samples=1024, dimension=10), np.float32(expected))
    expected = scipy.stats.qmc.Halton(5, scramble=False).random(1000)
    np.testing.assert_allclose(halton_points(samples=1000, dimension=5), expected, atol=3e-7)


def test_law_one_point_in_each_part():
    for u, base in [(sobol_points(samples=64, dimension=3)[:, 2], 64),
                    (halton_points(samples=81, dimension=2)[:, 1], 81)]:  # fmt: skip
        places = np.floor(np.asarray(u) * base + 1e-3).astype(int)
        assert sorted(places.tolist()) == list(range(base))


def test_reference_of_a_rare_event():
    """P(z > 5), which no draw of a million sees, by draws about 5; and how many they are worth."""
    ours = jax.jit(importance_expectation, static_argnums=(1, 2, 3), static_argnames="samples")(
        key,
        lambda z: (z > 5).astype(jnp.float32),
        lambda key: 5 + jax.random.normal(key),
        lambda z: 12.5 - 5 * z,
        samples=50_000,
    )
    expected = scipy.stats.norm.sf(5)
    assert abs(ours.value - expected) < 4 * ours.standard_error
    assert ours.standard_error < 0.02 * expected
    even = importance_expectation(key, f, uniform, lambda u: 0.0 * u[0] + 300, samples=100)
    np.testing.assert_allclose(even.effective_sample_size, 100, rtol=1e-5)


def test_reference_of_few_draws():
    """The formulas of means, errors, weights and controls, draw by draw in NumPy."""
    n = 12
    u = np.float64(jax.vmap(uniform)(jax.random.split(key, n)))
    y = np.exp(u.sum(1)) / (np.e - 1) ** 2
    names = ("plain", "controlled", "importance", "self-normalised")
    ours = jax.jit(lambda: {name: METHODS[name](key, f, n) for name in names})()
    np.testing.assert_allclose(ours["plain"], (y.mean(), y.std(ddof=1) / n**0.5), rtol=1e-5)
    A = np.column_stack([np.ones(n), u - 0.5])
    c, (squares,), *_ = np.linalg.lstsq(A, y)
    np.testing.assert_allclose(ours["controlled"].value, c[0], rtol=1e-5)
    # What is left of y − βᵀ(g − E g) about its mean, with two slopes and the mean fitted.
    np.testing.assert_allclose(
        ours["controlled"].standard_error, np.sqrt(squares / (n - 3) / n), rtol=1e-4
    )
    x = np.sqrt(u)
    w = 1 / np.prod(2 * x, 1)
    y = np.exp(x.sum(1)) / (np.e - 1) ** 2
    effective = w.sum() ** 2 / np.sum(w**2)
    expected = (np.mean(w * y), np.std(w * y, ddof=1) / n**0.5, effective)
    np.testing.assert_allclose(ours["importance"], expected, rtol=1e-5)
    share = w / w.sum()
    mean = share @ y
    expected = (mean, np.sqrt(np.sum((share * (y - mean)) ** 2)), effective)
    np.testing.assert_allclose(ours["self-normalised"], expected, rtol=1e-5)


def test_law_a_perfect_control_leaves_nothing():
    ours = control_variate_expectation(
        key, lambda u: 3 * u + 1, jax.random.uniform, lambda u: u, control_mean=0.5, samples=50
    )
    np.testing.assert_allclose(ours.value, 2.5, rtol=1e-6)
    assert ours.standard_error < 1e-6


@functools.cache
def program(name):
    """Of E θ f the value, by vmap too, and the slope in both modes; and the edges."""
    once = METHODS[name]

    def estimate(theta):
        return once(key, lambda u: theta * f(u), 128).value

    def error(theta):
        return once(key, lambda u: theta + 0 * u[0], 32).standard_error

    @jax.jit
    def everything(theta):
        return {
            "value": estimate(theta),
            "rows": jax.vmap(estimate)(jnp.stack([theta, 2 * theta])),
            "slopes": [mode(estimate)(theta) for mode in (jax.grad, jax.jacfwd)],
            "constant": once(key, lambda u: 0 * u + theta, 32)[:2],
            "slope of error": jax.grad(error)(theta),
            "missing": once(key, lambda u: jnp.where(u[0] > 0.5, jnp.nan, 1.0), 32).value,
        }

    return jax.tree.map(np.asarray, everything(3.0))


@EACH
def test_gradient_and_transforms(name):
    """The estimate's gradient is the mean of the gradients, in both modes."""
    found = program(name)
    np.testing.assert_allclose(found["rows"], found["value"] * np.array([1, 2]), rtol=1e-6)
    np.testing.assert_allclose(found["slopes"], found["value"] / np.array([3, 3]), rtol=1e-5)


@EACH
def test_edges(name):
    """A constant has no error, nor a gradient of it that is nan; a vector gives vectors."""
    found = program(name)
    value, error = found["constant"]
    assert value.shape == error.shape == (2,)
    if name != "importance":  # whose weights are none of f's
        np.testing.assert_allclose(value, [3, 3], rtol=1e-6)
        np.testing.assert_allclose(error, [0, 0], atol=1e-6)
        assert np.isfinite(found["slope of error"])
    assert np.isnan(found["missing"])


def test_edges_of_weights_and_controls():
    none = importance_expectation(key, f, uniform, lambda u: -jnp.inf * (1 + u[0]), samples=8)
    assert none.value == 0
    assert jnp.isnan(none.effective_sample_size)
    twice = control_variate_expectation(
        key, f, uniform, lambda u: 0 * u[0], control_mean=0.0, samples=8
    )
    assert not jnp.isfinite(twice.value)
