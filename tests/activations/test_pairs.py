"""Gated linear units and maxout: values, derivatives, axes, mistakes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.activations import geglu, gelu, glu, maxout, reglu, relu, sigmoid, silu, swiglu
from fnmath.calculus import derivative
from tests.helpers import Mistake, assert_gradient, assert_transforms

x = jnp.linspace(-3.0, 3.0, 4)
GATES = {glu: sigmoid, reglu: relu, geglu: gelu, swiglu: silu}


def integers(f, *args):
    message = f"{f.__name__}: x has dtype int32; wanted a floating dtype"
    cure = "; did you mean x.astype(jnp.float32)?"
    return Mistake(f, (x.astype(int), *args), {}, TypeError, message + cure)


MISTAKES = [
    *map(integers, GATES),
    integers(maxout, 2),
    *(
        Mistake(
            f,
            (jnp.ones((2, 3)),),
            {},
            ValueError,
            f"{f.__name__}: x (2, 3) has 3 entries on axis -1; wanted an even number",
        )
        for f in GATES
    ),
    Mistake(glu, (x,), {"axis": 1}, ValueError, "glu: axis is 1; wanted an axis of the shape (4,)"),
    Mistake(
        geglu,
        (x,),
        {"approximate": 1},
        TypeError,
        "geglu: approximate is 1 (int); wanted True or False",
    ),
    Mistake(
        maxout,
        (x, 3),
        {},
        ValueError,
        "maxout: x (4,) has 4 entries on axis 0; wanted a multiple of 3",
    ),
    Mistake(maxout, (x, 0), {}, ValueError, "maxout: pieces is 0; wanted an integer of at least 1"),
    Mistake(maxout, (x, 2.0), {}, TypeError, "maxout: pieces is 2.0 (float); wanted an integer"),
]


@pytest.mark.parametrize("f", GATES, ids=lambda f: f.__name__)
class TestGates:
    @pytest.mark.slow
    def test_reference(self, f):
        """The product with the gate, on either axis."""
        rows = jnp.linspace(-4.0, 4.0, 24).reshape(4, 6)
        gate = GATES[f]
        np.testing.assert_array_equal(f(rows), rows[:, :3] * gate(rows[:, 3:]))
        np.testing.assert_array_equal(f(rows, 0), rows[:2] * gate(rows[2:]))
        if f is glu:
            np.testing.assert_allclose(f(rows, 0), jax.nn.glu(rows, 0), rtol=1e-6)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self, f):
        def line(x):
            a, b = x
            return jnp.stack([GATES[f](b), a * derivative(GATES[f])(b)])

        pair = jnp.array([[1.5, -2.0, 0.5], [0.3, -1.0, 2.0]])
        assert_gradient(
            functools.partial(f, axis=0), lambda x: line(x)[:, None].reshape(2, 3), pair
        )

    @pytest.mark.slow
    def test_edges(self, f):
        assert f(jnp.zeros((0, 6))).shape == (0, 3)
        assert f(jnp.zeros((6, 0)), 0).shape == (3, 0)
        narrow = jnp.linspace(-3, 3, 8, dtype=jnp.bfloat16)
        expected = f(narrow.astype(jnp.float32)).astype(jnp.bfloat16)
        np.testing.assert_array_equal(f(narrow), expected)
        assert jnp.isnan(f(jnp.array([jnp.nan, 1.0]))).all()
        assert f(jnp.array([3.0, -jnp.inf])) == 0
        assert_transforms(f, x)


@pytest.mark.slow
def test_both_forms_of_geglu():
    rows = jnp.linspace(-4.0, 4.0, 24).reshape(4, 6)
    expected = rows[:, :3] * gelu(rows[:, 3:], approximate=False)
    np.testing.assert_array_equal(geglu(rows, approximate=False), expected)


class TestMaxout:
    def test_reference(self):
        rows = jnp.sin(jnp.arange(24.0)).reshape(4, 6)
        np.testing.assert_array_equal(maxout(rows, 3), rows.reshape(4, 2, 3).max(-1))
        np.testing.assert_array_equal(maxout(rows, 2, axis=0), rows.reshape(2, 2, 6).max(1))
        np.testing.assert_array_equal(maxout(rows, 1), rows)

    @pytest.mark.slow
    def test_gradient(self):
        """All of it to the largest; equal shares to those that tie, in both modes."""
        row = jnp.array([1.0, 3.0, -2.0, 5.0, 5.0, 0.0])
        for mode in (jax.jacrev, jax.jacfwd):
            jacobian = mode(functools.partial(maxout, pieces=3))(row)
            np.testing.assert_array_equal(jacobian, [[0, 1, 0, 0, 0, 0], [0, 0, 0, 0.5, 0.5, 0]])

    def test_relu_is_a_maxout_with_0(self):
        pairs = jnp.stack([x, jnp.zeros_like(x)], -1)
        np.testing.assert_array_equal(maxout(pairs, 2)[:, 0], relu(x))

    def test_edges(self):
        np.testing.assert_array_equal(maxout(jnp.array([-jnp.inf, -jnp.inf]), 2), [-jnp.inf])
        assert jnp.isnan(maxout(jnp.array([jnp.nan, 1.0]), 2)).all()
        assert maxout(jnp.zeros((0, 4)), 2).shape == (0, 2)
        assert maxout(jnp.zeros((3, 0)), 2).shape == (3, 0)
        assert maxout(x.astype(jnp.float16), 2).dtype == jnp.float16
        assert_transforms(lambda x: maxout(x, 2), x)
