"""fnmath.expectation, gradients: no bias, the errors they say, and which of two varies less."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.expectation import reparameterised_gradient, score_function_gradient
from tests.helpers import Mistake

key = jax.random.key(0)
theta = {"mean": jnp.array([0.5, -1.0]), "log_deviation": jnp.array([0.1, -0.3])}


def sampler(key, p):
    return p["mean"] + jnp.exp(p["log_deviation"]) * jax.random.normal(key, (2,))


def log_density(p, x):
    z = (x - p["mean"]) * jnp.exp(-p["log_deviation"])
    return jnp.sum(-0.5 * z * z - p["log_deviation"]) - jnp.log(2 * jnp.pi)


def f(x):
    """Of the mean 10 + Σ (m² + σ²)."""
    return 10 + x @ x


TRUTH = {
    "mean": 2 * theta["mean"],
    "log_deviation": 2 * jnp.exp(2 * theta["log_deviation"]),
}
score = functools.partial(score_function_gradient, log_density=log_density)
METHODS = {
    "reparameterised": reparameterised_gradient,
    **{b: functools.partial(score, baseline=b) for b in ("none", "leave_one_out", "optimal")},
}
EACH = pytest.mark.parametrize("name", list(METHODS))
MISTAKES = []
for method, extra in [
    (reparameterised_gradient, {}),
    (score_function_gradient, {"log_density": log_density}),
]:
    options, name = {"samples": 4, **extra}, method.__name__
    MISTAKES += [
        Mistake(
            method,
            (0, f, theta, sampler),
            options,
            TypeError,
            f"{name}: key is a int; wanted a random key; did you mean jax.random.key(0)?",
        ),
        Mistake(
            method,
            (key, f, theta, None),
            options,
            TypeError,
            f"{name}: sampler is a NoneType; wanted a function",
        ),
        Mistake(
            method,
            (key, f, theta, sampler),
            {**options, "samples": 2},
            ValueError,
            f"{name}: samples is 2; wanted an integer of at least 3",
        ),
        Mistake(
            method,
            (key, lambda x: x, theta, sampler),
            options,
            ValueError,
            f"{name}: f gives shape (2,); wanted one number",
        ),
    ]
MISTAKES += [
    Mistake(
        score_function_gradient,
        (key, f, theta, sampler),
        {"samples": 4, "log_density": log_density, "baseline": "mean"},
        ValueError,
        "score_function_gradient: baseline is 'mean'; wanted one of 'none', 'leave_one_out', "
        "'optimal'",
    )
]


@functools.cache
def many(name, samples=200, repeats=400):
    keys = jax.random.split(jax.random.key(3), repeats)
    once = functools.partial(METHODS[name], samples=samples)
    found = jax.jit(jax.vmap(lambda key: once(key, f, theta, sampler)))(keys)
    return jax.tree.map(np.asarray, found)


@EACH
def test_law_no_bias_and_the_error_that_it_says(name):
    found = many(name)
    for part, truth in TRUTH.items():
        ours, error = found.gradient[part], found.standard_error[part]
        spread = ours.std(0, ddof=1)
        slack = 0.03 if name == "optimal" else 0
        assert (np.abs(ours.mean(0) - truth) < 4 * spread / 400**0.5 + slack).all()
        ratio = np.sqrt(np.mean(error**2, 0)) / spread
        assert ((ratio > 0.85) & (ratio < 1.15)).all(), ratio
    expected = 10 + np.sum(theta["mean"] ** 2 + np.exp(2 * theta["log_deviation"]))
    np.testing.assert_allclose(found.expectation.value.mean(), expected, rtol=0.01)


def test_reference_of_few_draws():
    """The formulas, draw by draw in NumPy."""
    n = 6
    x = np.float64(jax.vmap(sampler, (0, None))(jax.random.split(key, n), theta))
    z = (x - theta["mean"]) * np.exp(-theta["log_deviation"])
    y = 10 + np.sum(x * x, 1)
    scores = {"mean": z * np.exp(-theta["log_deviation"]), "log_deviation": z * z - 1}
    others = (y.sum() - y) / (n - 1)
    for name in ("none", "leave_one_out", "optimal"):
        once = jax.jit(lambda name=name: METHODS[name](key, f, theta, sampler, samples=n))()
        for part, s in scores.items():
            optimal = (y @ s**2) / np.sum(s**2, 0)
            b = {"none": 0 * s, "leave_one_out": others[:, None] + 0 * s, "optimal": optimal}[name]
            each = (y[:, None] - b) * s
            np.testing.assert_allclose(once.gradient[part], each.mean(0), rtol=2e-4)
            freedom = n - 1 if name == "none" else n - 2
            error = np.sqrt(np.sum((each - each.mean(0)) ** 2, 0) / freedom / n)
            np.testing.assert_allclose(once.standard_error[part], error, rtol=2e-4)
        np.testing.assert_allclose(once.expectation.value, y.mean(), rtol=1e-6)
        np.testing.assert_allclose(once.expectation.standard_error, y.std(ddof=1) / n**0.5, 1e-5)


def test_law_the_order_of_their_variances():
    """Reparameterised below score functions, these with a baseline far below those without."""
    spread = {name: many(name).gradient["mean"].std(0).sum() for name in METHODS}
    assert spread["reparameterised"] < 0.7 * spread["leave_one_out"]
    assert spread["leave_one_out"] < 0.4 * spread["none"]
    assert spread["optimal"] < 1.05 * spread["leave_one_out"]


def test_reference_of_a_discrete_variable():
    """d/dz of E f = p f(1) + (1 − p) f(0), p = sigmoid z, which no draw is differentiable by."""
    z = jnp.array(0.4)
    p = jax.nn.sigmoid(z)
    ours = score_function_gradient(
        key,
        lambda x: jnp.where(x, 5.0, 3.0),
        z,
        lambda key, z: jax.random.bernoulli(key, jax.nn.sigmoid(z)),
        log_density=lambda z, x: jnp.where(x, jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)),
        samples=20_000,
    )
    assert abs(ours.gradient - 2 * p * (1 - p)) < 4 * ours.standard_error
    assert ours.standard_error < 0.01


@EACH
def test_transforms_and_edges(name):
    """By ``vmap`` as one by one; of what is constant nothing is left but without a baseline."""
    once = functools.partial(METHODS[name], key, samples=5)

    @jax.jit
    def found(p):
        both = jax.vmap(lambda p: once(f, p, sampler))(jax.tree.map(lambda a: jnp.stack([a, a]), p))
        return once(f, p, sampler), both, once(lambda x: 0 * x[0] + 2.0, p, sampler)

    one, both, constant = found(theta)
    jax.tree.map(lambda a, b: np.testing.assert_allclose([a, a], b, 1e-4, 1e-4), one, both)
    if name != "none":
        for leaf in jax.tree.leaves((constant.gradient, constant.standard_error)):
            np.testing.assert_allclose(leaf, 0, atol=1e-5)
    assert constant.expectation.value == 2
