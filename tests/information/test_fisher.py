"""fnmath.information, Fisher's information: of densities whose information is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.information import fisher_information
from tests.helpers import Mistake, assert_derivatives, assert_transforms

random = np.random.default_rng(3)
METHODS = ["score", "hessian"]


def normal(theta, x):
    """Of the mean and the logarithm of the deviation; its information is diag(1/σ², 2)."""
    return -0.5 * jnp.square((x - theta[0]) * jnp.exp(-theta[1])) - theta[1]


theta = jnp.array([0.5, 0.2])
x = jnp.float32(random.standard_normal(7))
MISTAKES = [
    Mistake(
        fisher_information,
        ("normal", theta, x),
        {},
        TypeError,
        "fisher_information: log_density is a str; wanted a function",
    ),
    Mistake(
        fisher_information,
        (normal, theta.astype(int), x),
        {},
        TypeError,
        "fisher_information: parameters has dtype int32; wanted a floating dtype; "
        "did you mean parameters.astype(jnp.float32)?",
    ),
    Mistake(
        fisher_information,
        (normal, theta[0], x),
        {},
        ValueError,
        "fisher_information: parameters has shape (); wanted exactly 1 axis, (p); "
        "did you mean parameters[None]?",
    ),
    Mistake(
        fisher_information,
        (normal, theta, x[:0]),
        {},
        ValueError,
        "fisher_information: x has shape (0,); wanted at least one point",
    ),
    Mistake(
        fisher_information,
        (normal, theta, x),
        {"weights": x[:3]},
        ValueError,
        "fisher_information: weights has shape (3,); wanted (7,)",
    ),
    Mistake(
        fisher_information,
        (lambda theta, x: theta * x, theta, x),
        {},
        ValueError,
        "fisher_information: log_density gives (2,) for one point; wanted one number",
    ),
    Mistake(
        fisher_information,
        (normal, theta, x),
        {"method": "exact"},
        ValueError,
        "fisher_information: method is 'exact'; wanted one of 'score', 'hessian'",
    ),
]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("method", METHODS)
def test_reference_of_a_normal_density_by_quadrature(method):
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    theta = jnp.asarray([0.5, 0.2])
    points = jnp.asarray(0.5 + np.exp(0.2) * nodes)
    ours = fisher_information(normal, theta, points, weights=jnp.asarray(weights), method=method)
    np.testing.assert_allclose(ours, np.diag([np.exp(-0.4), 2]), rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("method", METHODS)
def test_reference_of_a_categorical_distribution(method):
    """diag(p) − p pᵀ, by all outcomes with their probabilities."""
    z = jnp.asarray(random.standard_normal(4))
    p = jax.nn.softmax(z)
    ours = fisher_information(
        lambda z, x: jax.nn.log_softmax(z) @ x, z, jnp.eye(4), weights=p, method=method
    )
    np.testing.assert_allclose(ours, jnp.diag(p) - jnp.outer(p, p), rtol=1e-10, atol=1e-13)


def test_law_of_many_samples_both_methods_agree():
    x = 0.5 + np.exp(0.2) * jax.random.normal(jax.random.key(0), (200_000,))
    for method in METHODS:
        ours = fisher_information(normal, theta, x, method=method)
        np.testing.assert_allclose(ours, np.diag([np.exp(-0.4), 2]), atol=0.03)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("method", METHODS)
def test_derivatives(method):
    points = jnp.asarray(random.standard_normal(5))
    f = functools.partial(fisher_information, normal, x=points, method=method)
    assert_derivatives(lambda theta: f(theta), jnp.asarray([0.5, 0.2]))


@pytest.mark.parametrize("method", METHODS)
def test_transforms_and_edges(method):
    f = functools.partial(fisher_information, normal, method=method)
    assert_transforms(lambda theta, x: f(theta, x), theta, x, rtol=1e-5)
    ours = f(theta, x)
    assert (ours == ours.T).all()
    for w in (-jnp.ones(7), jnp.zeros(7)):
        assert jnp.isnan(f(theta, x, weights=w)).all()
    assert f(theta.astype(jnp.bfloat16), x).dtype == jnp.bfloat16
