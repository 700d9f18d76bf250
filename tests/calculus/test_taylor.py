"""fnmath.calculus.taylor: the coefficients and the polynomials of known series."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.calculus import hessian, taylor_expansion, taylor_polynomial
from tests.helpers import Mistake, assert_transforms, assert_within_ulp

x = jnp.array([0.5, -1.0])
MISTAKES = [
    Mistake(
        taylor_expansion,
        (jnp.sum, x, x),
        {"order": -1},
        ValueError,
        "taylor_expansion: order is -1; wanted an integer of at least 0",
    ),
    Mistake(
        taylor_expansion,
        (jnp.sum, x, x),
        {"order": 1.5},
        TypeError,
        "taylor_expansion: order is 1.5 (float); wanted an integer",
    ),
    Mistake(
        taylor_expansion,
        (jnp.sum, x, 1.0),
        {"order": 1},
        ValueError,
        "taylor_expansion: direction has shape (); wanted (2,), that of x",
    ),
    Mistake(
        taylor_expansion,
        (None, x, x),
        {"order": 1},
        TypeError,
        "taylor_expansion: f is a NoneType; wanted a function",
    ),
    Mistake(
        taylor_expansion,
        (jnp.argmax, x, x),
        {"order": 1},
        TypeError,
        "taylor_expansion: argmax returned dtype int32; wanted a floating dtype",
    ),
    Mistake(
        taylor_polynomial,
        (jnp.exp, 0),
        {"order": 1},
        TypeError,
        "taylor_polynomial: center is the integer 0; wanted a floating-point number; "
        "did you mean 0.0?",
    ),
    Mistake(
        taylor_polynomial,
        (jnp.exp, 0.0),
        {"order": -1},
        ValueError,
        "taylor_polynomial: order is -1; wanted an integer of at least 0",
    ),
    Mistake(
        taylor_polynomial,
        (3.0, 0.0),
        {"order": 1},
        TypeError,
        "taylor_polynomial: f is a float; wanted a function",
    ),
    Mistake(
        taylor_polynomial(jnp.sum, x, order=1),
        (jnp.ones(3),),
        {},
        ValueError,
        "taylor_polynomial: x has shape (3,); wanted (2,), that of center",
    ),
    Mistake(
        taylor_polynomial(jnp.sum, x, order=1),
        (x.astype(jnp.float16),),
        {},
        TypeError,
        "taylor_polynomial: x has dtype float16; wanted float32, that of center; "
        "did you mean x.astype(jnp.float32)?",
    ),
]


class TestTaylorExpansion:
    @pytest.mark.last_digits
    def test_reference(self):
        terms = np.array([1 / math.factorial(k) for k in range(7)])
        assert_within_ulp(taylor_expansion(jnp.exp, 0.0, 1.0, order=6), terms, 1)
        signs = np.array([0, 1, 0, -1, 0, 1, 0])
        assert_within_ulp(taylor_expansion(jnp.sin, 0.0, 1.0, order=6), signs * terms, 1)
        logarithm = np.array([0, 1, -1 / 2, 1 / 3, -1 / 4, 1 / 5])
        assert_within_ulp(taylor_expansion(jnp.log1p, 0.0, 1.0, order=5), logarithm, 1)

    def test_polynomials_are_exact(self):
        def f(t):
            return 3 - 2 * t + 5 * t**4

        c = taylor_expansion(f, 0.0, 2.0, order=5)
        np.testing.assert_array_equal(c, [3.0, -4.0, 0.0, 0.0, 80.0, 0.0])

    @pytest.mark.usefixtures("x64")
    def test_law_of_the_second_order(self):
        f, p, v = jax.nn.logsumexp, jnp.array([0.3, -0.8, 1.1]), jnp.array([1.0, 2.0, -1.0])
        c = taylor_expansion(f, p, v, order=2)
        expected = [f(p), jax.grad(f)(p) @ v, v @ hessian(f)(p) @ v / 2]
        np.testing.assert_allclose(c, expected, rtol=1e-13)

    def test_of_trees(self):
        c = taylor_expansion(
            lambda t: {"product": t["a"] * t["b"]},
            {"a": jnp.ones(2), "b": 2.0},
            {"a": jnp.array([1.0, 0.0]), "b": 3.0},
            order=3,
        )
        np.testing.assert_array_equal(c["product"].T, [[2, 5, 3, 0], [2, 3, 0, 0]])

    def test_transforms(self):
        assert_transforms(lambda x, v: taylor_expansion(jnp.tanh, x, v, order=3), x, x)

    def test_edges(self):
        np.testing.assert_array_equal(taylor_expansion(jnp.sin, x, x, order=0), jnp.sin(x)[None])
        half = x.astype(jnp.bfloat16)
        assert taylor_expansion(jnp.sin, half, half, order=2).dtype == jnp.bfloat16
        assert jnp.isnan(taylor_expansion(jnp.sin, jnp.nan, 1.0, order=2)).all()


class TestTaylorPolynomial:
    @pytest.mark.usefixtures("x64")
    def test_reproduces_a_polynomial_of_its_degree(self):
        def f(p):
            a, b = p["a"], p["b"]
            return 2 + a.sum() - 3 * a[0] * a[1] * b + b**3

        center = {"a": jnp.array([1.0, 2.0]), "b": jnp.array(-1.0)}
        point = {"a": jnp.array([0.3, -4.0]), "b": jnp.array(2.5)}
        cubic = taylor_polynomial(f, center, order=3)(point)
        np.testing.assert_allclose(cubic, f(point), rtol=1e-13)
        assert abs(taylor_polynomial(f, center, order=2)(point) - f(point)) > 1

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("order", [0, 1, 3])
    def test_law_of_the_remainder(self, order):
        """The error is O(|x − a|ⁿ⁺¹): halving the distance divides it by 2ⁿ⁺¹."""
        p = taylor_polynomial(lambda t: jnp.exp(jnp.sin(t)), jnp.array(0.4), order=order)
        t = 0.4 + jnp.array([1 / 32, 1 / 64])
        far, near = jnp.abs(jax.vmap(p)(t) - jnp.exp(jnp.sin(t)))
        assert abs(jnp.log2(far / near) - (order + 1)) < 0.1

    def test_transforms(self):
        assert_transforms(taylor_polynomial(jax.nn.logsumexp, x, order=2), x + 0.5)
        slope = jax.grad(taylor_polynomial(jnp.exp, 0.0, order=3))(2.0)
        np.testing.assert_allclose(slope, 1 + 2 + 2, rtol=1e-6)
