"""fnmath.expectation, quadrature: exact where it is promised, and near the truth beyond."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

from fnmath.expectation import (
    adaptive_integral,
    discrete_expectation,
    gauss_hermite_expectation,
    gauss_laguerre_expectation,
    gauss_legendre_expectation,
    sparse_grid_expectation,
    unscented_expectation,
)
from tests.helpers import Mistake, assert_derivatives

random = np.random.default_rng(0)
d2, eye = jnp.zeros(2), jnp.eye(2)
LINE = {
    gauss_legendre_expectation: (0.0, 1.0),
    gauss_hermite_expectation: (0.0, 1.0),
    gauss_laguerre_expectation: (1.0,),
    adaptive_integral: (0.0, 1.0),
}
VECTOR = (sparse_grid_expectation, unscented_expectation)
MISTAKES = []
for f, args in [*LINE.items(), *((f, (d2, eye)) for f in VECTOR)]:
    name = f.__name__
    MISTAKES += [
        Mistake(f, (1.0, *args), {}, TypeError, f"{name}: f is a float; wanted a function"),
        Mistake(
            f,
            (lambda x: jnp.sum(x > 0), *args),
            {},
            TypeError,
            f"{name}: f gives dtype int32; wanted a floating-point array",
        ),
    ]
for f, args in LINE.items():
    name, size = f.__name__, "intervals" if f is adaptive_integral else "nodes"
    MISTAKES.append(
        Mistake(
            f,
            (jnp.sin, *args),
            {size: 0},
            ValueError,
            f"{name}: {size} is 0; wanted an integer of at least 1",
        )
    )
for f in VECTOR:
    name = f.__name__
    MISTAKES += [
        Mistake(
            f,
            (jnp.sum, d2, jnp.eye(3)),
            {},
            ValueError,
            f"{name}: factor has shape (3, 3); wanted (2, 2)",
        ),
        Mistake(
            f, (jnp.sum, jnp.zeros(0), eye), {}, ValueError, f"{name}: mean (0,) has no dimensions"
        ),
    ]
MISTAKES += [
    Mistake(
        gauss_hermite_expectation,
        (jnp.sin, 0.0, -1.0),
        {},
        ValueError,
        "gauss_hermite_expectation: deviation is -1.0; wanted a number in (0, inf)",
    ),
    Mistake(
        gauss_laguerre_expectation,
        (jnp.sin, 0.0),
        {},
        ValueError,
        "gauss_laguerre_expectation: rate is 0.0; wanted a number in (0, inf)",
    ),
    Mistake(
        gauss_laguerre_expectation,
        (jnp.sin, 1.0),
        {"nodes": 200},
        ValueError,
        "gauss_laguerre_expectation: nodes is 200; wanted at most 150, whose weights are not 0",
    ),
    Mistake(
        adaptive_integral,
        (jnp.sin, 0.0, 1.0),
        {"tolerance": 0.0},
        ValueError,
        "adaptive_integral: tolerance is 0.0; wanted a number in (0, inf)",
    ),
    Mistake(
        sparse_grid_expectation,
        (jnp.sum, d2, eye),
        {"level": 0},
        ValueError,
        "sparse_grid_expectation: level is 0; wanted an integer of at least 1",
    ),
    Mistake(
        unscented_expectation,
        (jnp.sum, d2, eye),
        {"kappa": -2.0},
        ValueError,
        "unscented_expectation: kappa is -2.0; wanted a number in (-2, inf)",
    ),
    Mistake(
        unscented_expectation,
        (jnp.sum, d2, eye),
        {"kappa": jnp.ones(())},
        TypeError,
        "unscented_expectation: kappa is an array; wanted a number",
    ),
    Mistake(
        discrete_expectation,
        (jnp.sin, d2, jnp.ones(3) / 3),
        {},
        ValueError,
        "discrete_expectation: outcomes [(2,)] and probabilities (3,) must have one first axis, "
        "not of 0",
    ),
    Mistake(
        discrete_expectation,
        (jnp.sin, d2, jnp.ones(2, int)),
        {},
        TypeError,
        "discrete_expectation: probabilities has dtype int32; wanted a floating dtype; "
        "did you mean probabilities.astype(jnp.float32)?",
    ),
]


def double_factorial(n):
    return math.prod(range(n, 0, -2))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("nodes", [1, 3, 8])
def test_law_exact_to_degree_2n_minus_1_and_no_further(nodes):
    """All powers at once, in units of their means; the next power is not exact."""
    powers = np.arange(2 * nodes + 1)
    rules = {
        "legendre": (
            gauss_legendre_expectation(lambda x: x**powers, 0.0, 1.0, nodes=nodes),
            1 / (powers + 1),
        ),
        "laguerre": (
            gauss_laguerre_expectation(lambda x: x**powers, 1.0, nodes=nodes),
            [math.factorial(k) for k in powers],
        ),
        "hermite": (
            gauss_hermite_expectation(lambda x: x**powers, 0.0, 1.0, nodes=nodes),
            [double_factorial(k - 1) * (k % 2 == 0) for k in powers],
        ),
    }
    for name, (ours, means) in rules.items():
        expected = np.array(means, float)
        scale = np.maximum(np.abs(expected), 1)
        scale[1:] = np.maximum(scale[1:], scale[:-1])  # an odd moment by its even neighbour
        np.testing.assert_allclose((ours - expected)[:-1] / scale[:-1], 0, atol=1e-12)
        assert abs(ours[-1] - expected[-1]) / scale[-1] > 1e-10, name


@pytest.mark.usefixtures("x64")
def test_reference_of_means_that_are_known():
    m, s = jnp.asarray(0.3), jnp.asarray(0.7)
    ours = gauss_hermite_expectation(jnp.exp, m, s)
    np.testing.assert_allclose(ours, np.exp(0.3 + 0.245), rtol=1e-13)
    ours = gauss_laguerre_expectation(lambda x: jnp.exp(-x), jnp.asarray(2.0))
    np.testing.assert_allclose(ours, 2 / 3, rtol=1e-12)
    ours = gauss_legendre_expectation(jnp.exp, m, s)
    np.testing.assert_allclose(ours, (np.exp(0.7) - np.exp(0.3)) / 0.4, rtol=1e-13)


@pytest.mark.usefixtures("x64")
def test_reference_of_the_adaptive_integral():
    """A peak of width 1/100, a root, a vector; and their derivatives by ends and parameters."""
    peak = lambda x: 1 / (1e-4 + (x - 0.3) ** 2)  # noqa: E731
    ours = adaptive_integral(peak, 0.0, 1.0, tolerance=1e-9)
    np.testing.assert_allclose(ours.value, scipy.integrate.quad(peak, 0, 1, limit=200)[0], 1e-11)
    assert 8 < ours.intervals < 64
    assert ours.error <= 1e-9
    ours = adaptive_integral(lambda x: jnp.stack([jnp.sqrt(x), x**22]), 0.0, 1.0, tolerance=1e-8)
    np.testing.assert_allclose(ours.value, [2 / 3, 1 / 23], rtol=1e-7)
    one = adaptive_integral(lambda x: x**22, 0.0, 2.0, intervals=1)
    np.testing.assert_allclose(one.value, 2**23 / 23, rtol=1e-13)

    def f(ends, theta):
        return adaptive_integral(lambda x: jnp.exp(-theta * x) / (0.01 + x * x), *ends).value

    ends = jnp.asarray(-0.5), jnp.asarray(1.0)
    assert_derivatives(f, ends, jnp.asarray(0.4), order=1)
    slope = jax.jit(jax.grad(f))(ends, 0.4)
    np.testing.assert_allclose(slope, [-np.exp(0.2) / 0.26, np.exp(-0.4) / 1.01], rtol=1e-6)


def moments(L, degree):
    """E of a product of so many of the entries of L z, by Isserlis' pairings."""
    C = L @ L.T

    def of(indices):
        if not indices:
            return 1.0
        first, *rest = indices
        each = (C[first, j] * of(rest[:i] + rest[i + 1 :]) for i, j in enumerate(rest))
        return sum(each)

    return of(degree)


@pytest.mark.usefixtures("x64")
def test_law_sparse_grids_and_unscented_points_are_exact_for_their_degree():
    L = np.tril(random.standard_normal((3, 3)))
    monomials = {3: [0, 1, 2, 2], 2: [0, 1], 4: [0, 0, 1, 1, 2, 2]}

    def f(x):
        return jnp.stack([jnp.prod(x[jnp.array(i)]) for i in monomials.values()])

    expected = np.array([moments(L, i) for i in monomials.values()])
    m = jnp.array([1.0, -1.0, 0.5])

    @jax.jit
    def both(L):
        grids = [sparse_grid_expectation(f, jnp.zeros(3), L, level=k) for k in (2, 3, 4)]
        cubic = lambda x: jnp.stack([x[0] * x[1], x[2] ** 3])  # noqa: E731
        return grids, [unscented_expectation(cubic, m, L, kappa=k) for k in (None, 0.0, 2.0)]

    ours, unscented = both(L)
    np.testing.assert_allclose(ours[2], expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(ours[1][:2], expected[:2], rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(ours[0][1], expected[1], rtol=1e-11)
    assert abs(ours[1][2] - expected[2]) > 1e-3 * abs(expected[2])
    C = L @ L.T
    for means in unscented:
        np.testing.assert_allclose(means, [C[0, 1] - 1, 0.125 + 1.5 * C[2, 2]], rtol=1e-11)


@pytest.mark.usefixtures("x64")
def test_reference_of_a_sparse_grid_in_ten_dimensions():
    """E exp(aᵀ x) = exp(½ aᵀ a), by some thousand points where a full grid takes a million."""
    a = jnp.full(10, 0.2)
    ours = sparse_grid_expectation(lambda x: jnp.exp(a @ x), jnp.zeros(10), jnp.eye(10), level=4)
    np.testing.assert_allclose(ours, np.exp(0.2), rtol=1e-4)


@pytest.mark.usefixtures("x64")
def test_derivatives_by_parameters():
    m, L = jnp.asarray([0.3, -0.2]), jnp.asarray([[0.5, 0.0], [0.2, 0.4]])

    def f(x):
        return jnp.exp(x[0]) * jnp.sin(x[1])

    def everything(m, L, s):
        return (
            sparse_grid_expectation(f, m, L)
            + unscented_expectation(f, m, L)
            + gauss_hermite_expectation(jnp.sin, m[0], s, nodes=8)
            + gauss_laguerre_expectation(jnp.sin, 1 + s, nodes=8)
            + gauss_legendre_expectation(jnp.sin, m[0], s, nodes=8)
            + discrete_expectation(jnp.sin, m, jnp.array([0.25, 0.75]))
        )

    assert_derivatives(everything, m, L, jnp.asarray(0.8))
    slope = jax.jit(jax.grad(lambda p: discrete_expectation(jnp.exp, m, p)))(np.array([0.25, 0.75]))
    np.testing.assert_allclose(slope, np.exp(m), rtol=1e-12)


def test_transforms_and_dtypes():
    f = functools.partial(gauss_hermite_expectation, jnp.exp, nodes=8)
    m = jnp.array([0.0, 1.0])
    ours = jax.jit(jax.vmap(f, (0, None)))(m, 1.0)
    assert ours.dtype == jnp.float32
    np.testing.assert_allclose(ours, [f(0.0, 1.0), f(1.0, 1.0)], rtol=1e-6)
    both = jax.jit(jax.vmap(lambda b: adaptive_integral(jnp.exp, 0.0, b, tolerance=1e-4).value))
    np.testing.assert_allclose(both(m), [0, math.e - 1], rtol=1e-5)


def test_discrete_expectation_of_trees_and_what_is_none():
    dice = {"first": jnp.arange(6) + 1, "second": jnp.arange(6)}
    even = jnp.full(6, 1 / 6)
    ours = discrete_expectation(lambda x: 1.0 * x["first"] * x["second"], dice, even)
    np.testing.assert_allclose(ours, np.mean(np.arange(1, 7) * np.arange(6)), rtol=1e-6)
    ours = discrete_expectation(jnp.log, jnp.array([0.0, 1.0]), jnp.array([0.0, 1.0]))
    assert ours == 0
    for wrong in ([0.5, 0.6], [1.5, -0.5], [jnp.nan, 1.0]):
        assert jnp.isnan(discrete_expectation(jnp.exp, d2, jnp.array(wrong)))


def test_edges_of_parameters():
    @jax.jit
    def edges(s):
        return (
            gauss_hermite_expectation(jnp.exp, 0.0, s, nodes=4),
            gauss_laguerre_expectation(jnp.exp, s, nodes=4),
            adaptive_integral(jnp.exp, 1.0, 1.0).value,
            unscented_expectation(jnp.sum, jnp.ones(1), jnp.zeros((1, 1))),
        )

    for s in (0.0, -1.0, np.nan):
        hermite, laguerre, nothing, certain = edges(s)
        assert np.isnan(hermite)
        assert np.isnan(laguerre)
        assert nothing == 0
        assert certain == 1
