"""Softmax and its family: probabilities, their logarithms, their Jacobians, draws of them."""

import functools
from functools import partial

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from fnmath.activations import gumbel_softmax, log_softmax, softmax, softmin
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

x = jnp.linspace(-3.0, 3.0, 4)
key = jax.random.key(0)


def integers(f, *args):
    message = f"{f.__name__}: x has dtype int32; wanted a floating dtype"
    cure = "; did you mean x.astype(jnp.float32)?"
    return Mistake(f, (*args, x.astype(int)), {}, TypeError, message + cure)


def no_axis(f, *args):
    message = f"{f.__name__}: axis is 1; wanted an axis of the shape (4,)"
    return Mistake(f, (*args, x), {"axis": 1}, ValueError, message)


MISTAKES = [
    *map(integers, [softmax, log_softmax, softmin]),
    integers(gumbel_softmax, key),
    *map(no_axis, [softmax, log_softmax, softmin]),
    no_axis(gumbel_softmax, key),
    Mistake(
        log_softmax,
        (x,),
        {"axis": (0, -1)},
        ValueError,
        "log_softmax: axis is (0, -1); wanted each axis of the shape (4,) once at most",
    ),
    Mistake(
        log_softmax,
        (jnp.ones((4, 3)),),
        {"where": jnp.ones(4, bool)},
        ValueError,
        "log_softmax: where (4,) must broadcast to x (4, 3); did you mean where[..., None]?",
    ),
    *(
        Mistake(
            f,
            (x,),
            {"where": jnp.ones(4)},
            TypeError,
            f"{f.__name__}: where has dtype float32; wanted bool; did you mean where != 0?",
        )
        for f in (softmax, softmin)
    ),
    Mistake(
        gumbel_softmax,
        (0, x),
        {},
        TypeError,
        "gumbel_softmax: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        gumbel_softmax,
        (key, x),
        {"temperature": 0.0},
        ValueError,
        "gumbel_softmax: temperature is 0.0; wanted a number in (0, inf)",
    ),
    Mistake(
        gumbel_softmax,
        (key, x),
        {"hard": 1},
        TypeError,
        "gumbel_softmax: hard is 1 (int); wanted True or False",
    ),
]


ROWS = jnp.array(
    [
        [0.0, 0.0, 0.0],
        [1.0, 2.0, 3.0],
        [20.0, 0.0, -1.0],
        [17.0, 17.0, -17.0],
        [1e4, -1e4, 0.0],
        [-1.2724429, -19.953625, 39.90588],
        [0.3, -jnp.inf, 0.1],
        [88.0, 88.5, -88.0],
    ]
)


def exact_softmax(row):
    """P, log p and the Jacobian of p, in 60 digits."""
    with mpmath.workdps(60):
        weights = [mpmath.exp(mpmath.mpf(float(v))) if np.isfinite(v) else 0 for v in row]
        p = [w / sum(weights) for w in weights]
        rest = [sum(q for j, q in enumerate(p) if j != i) for i in range(len(p))]
        log_p = [mpmath.log(q) if q else mpmath.mpf("-inf") for q in p]
        log_p = [mpmath.log1p(-r) if r < 0.5 else v for r, v in zip(rest, log_p, strict=True)]
        jacobian = [
            [p[i] * rest[i] if i == j else -p[i] * p[j] for j in range(len(p))]
            for i in range(len(p))
        ]
        log_jacobian = [
            [rest[i] if i == j else -p[j] for j in range(len(p))] for i in range(len(p))
        ]
        return [np.array(a, np.float64) for a in (p, log_p, jacobian, log_jacobian)]


class TestSoftmax:
    @pytest.mark.slow
    def test_reference(self):
        p, log_p, jacobian, log_jacobian = map(
            np.array, zip(*map(exact_softmax, ROWS), strict=True)
        )
        assert_within_ulp(softmax(ROWS), p, 3)
        assert_within_ulp(log_softmax(ROWS), log_p, 3)
        for mode in (jax.jacrev, jax.jacfwd):
            assert_within_ulp(jax.jit(jax.vmap(mode(softmax)))(ROWS), jacobian, 4)
            assert_within_ulp(jax.jit(jax.vmap(mode(log_softmax)))(ROWS), log_jacobian, 4)

    @pytest.mark.slow
    def test_reference_of_the_same_name(self):
        scores = jnp.sin(jnp.arange(60.0)).reshape(3, 4, 5)
        where = scores[:, :1] < 0.7
        for axis in (-1, 0, (0, 2)):
            for ours, theirs in ((softmax, jax.nn.softmax), (log_softmax, jax.nn.log_softmax)):
                expected = theirs(scores, axis)
                np.testing.assert_allclose(ours(scores, axis), expected, rtol=1e-6)
            expected = jax.nn.softmax(scores, (0, 2), where=where)
            np.testing.assert_allclose(softmax(scores, (0, 2), where=where), expected, rtol=1e-6)

    @pytest.mark.slow
    def test_law_shift(self):
        """A shift of integers by an integer is exact, and changes nothing."""
        scores = jax.random.randint(jax.random.key(0), (50, 4), -50, 50).astype(jnp.float32)
        for f in (jax.jit(softmax), jax.jit(log_softmax)):
            np.testing.assert_array_equal(f(scores + 1000), f(scores))
        np.testing.assert_allclose(softmax(scores).sum(-1), 1, rtol=1e-6)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        z, c = jnp.array([0.3, -1.0, 2.0]), jnp.array([1.0, 2.0, -0.5])
        p = jax.jit(softmax)(z)
        assert_gradient(lambda z: c * softmax(z), lambda z: p * (c - p @ c), z)
        assert_gradient(lambda z: c * log_softmax(z), lambda z: c - p * c.sum(), z)

    def test_gradient_at_a_confident_leader(self):
        """A label 20 nats ahead still has a gradient; log p's derivative is that of the others."""
        scores = jnp.array([0.0, -20.0])
        gradient = jax.jit(jax.grad(lambda z: log_softmax(z)[0]))(scores)
        assert_within_ulp(gradient, np.array([1, -1]) / (1 + np.exp(20.0)), 2)
        second = jax.jit(jax.hessian(lambda z: log_softmax(z)[0]))(scores)
        assert_within_ulp(second[0, 0], -np.exp(-20.0) / (1 + np.exp(-20.0)) ** 2, 4)

    @pytest.mark.slow
    @pytest.mark.parametrize("f", [softmax, log_softmax])
    def test_masked_entries_do_not_matter(self, f):
        where = jnp.array([[True, True, False], [False, False, False]])
        masked = jax.jit(functools.partial(f, where=where))
        reverse, forward = jax.jit(jax.jacrev(masked)), jax.jit(jax.jacfwd(masked))
        for junk in (jnp.nan, jnp.inf, -jnp.inf):
            scores = jnp.array([[1.0, 2.0, junk], [junk, 0.0, junk]])
            result = masked(scores)
            np.testing.assert_allclose(result[0, :2], f(scores[0, :2]), rtol=1e-6)
            np.testing.assert_array_equal(result[~where], 0 if f is softmax else -np.inf)
            for jacobian in (reverse(scores), forward(scores)):
                assert jnp.isfinite(jacobian).all()
                np.testing.assert_array_equal(jacobian[..., ~where], 0)
                np.testing.assert_array_equal(jacobian[~where], 0)

    def test_infinite_scores(self):
        inf, nan = np.inf, np.nan
        rows = jnp.array([[-inf, -inf], [inf, 1.0], [nan, 1.0]])
        np.testing.assert_array_equal(jax.jit(softmax)(rows), [[0, 0], [1, 0], [nan, nan]])
        expected = [[-inf, -inf], [0, -inf], [nan, nan]]
        np.testing.assert_array_equal(jax.jit(log_softmax)(rows), expected)
        np.testing.assert_array_equal(jax.jit(jax.jacrev(softmax))(rows[0]), 0)

    @pytest.mark.slow
    def test_transforms(self):
        assert_transforms(softmax, ROWS[:2])
        assert_transforms(log_softmax, ROWS[:2])

    def test_edges(self):
        for f in (softmax, log_softmax):
            assert jax.eval_shape(f, jnp.zeros((0, 3))).shape == (0, 3)
            assert jax.eval_shape(f, jnp.zeros((3, 0))).shape == (3, 0)
            assert jax.eval_shape(f, jnp.zeros(3, jnp.bfloat16)).dtype == jnp.bfloat16
        np.testing.assert_array_equal(softmax(jnp.zeros((2, 2)), (0, 1)), 0.25)


class TestSoftmin:
    @pytest.mark.slow
    def test_is_softmax_of_the_opposite(self):
        np.testing.assert_array_equal(softmin(-ROWS), softmax(ROWS))
        where = ROWS > -50
        masked = jax.jit(softmin)(-ROWS, where=where)
        np.testing.assert_array_equal(masked, jax.jit(softmax)(ROWS, where=where))

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_products_with_the_jacobian(self):
        """The lines of all four docstrings, in both modes."""
        z, v = jnp.array([0.3, -1.0, 2.0]), jnp.array([1.0, 2.0, -0.5])
        p, m = softmax(z), softmin(z)
        lines = {
            softmax: (p * (v - p @ v), p * (v - p @ v)),
            softmin: (-m * (v - m @ v), -m * (v - m @ v)),
            log_softmax: (v - p @ v, v - p * v.sum()),
        }
        for f, (forward, reverse) in lines.items():
            np.testing.assert_allclose(jax.jvp(f, (z,), (v,))[1], forward, rtol=1e-13)
            np.testing.assert_allclose(jax.vjp(f, z)[1](v)[0], reverse, rtol=1e-13)


class TestGumbelSoftmax:
    scores = jnp.log(jnp.array([0.1, 0.2, 0.7]))

    @pytest.mark.slow
    def test_law_draws_have_the_probabilities_of_softmax(self):
        keys = jax.random.split(key, 20_000)
        draws = jax.jit(jax.vmap(lambda k: gumbel_softmax(k, self.scores, hard=True)))(keys)
        np.testing.assert_array_equal(jnp.unique(draws), [0, 1])
        np.testing.assert_array_equal(draws.sum(-1), 1)
        np.testing.assert_allclose(draws.mean(0), softmax(self.scores), atol=0.012)  # 3.7 σ

    @pytest.mark.slow
    def test_straight_through(self):
        """The value is a corner, exactly; the derivative is that of the soft point."""
        v, options = jnp.array([1.0, -2.0, 0.5]), {"temperature": 0.5}
        soft = functools.partial(gumbel_softmax, key, **options)
        hard = functools.partial(gumbel_softmax, key, hard=True, **options)
        y, forward = jax.jvp(soft, (self.scores,), (v,))
        corner, forward_too = jax.jvp(hard, (self.scores,), (v,))
        np.testing.assert_array_equal(corner, (y == y.max()).astype(jnp.float32))
        for slope in (forward, forward_too, jax.vjp(hard, self.scores)[1](v)[0]):
            np.testing.assert_allclose(slope, y * (v - y @ v) / 0.5, rtol=2e-6, atol=1e-7)

    def test_limit_of_no_temperature(self):
        cold = gumbel_softmax(key, self.scores, temperature=1e-3)
        np.testing.assert_array_equal(cold.round(), gumbel_softmax(key, self.scores, hard=True))

    @pytest.mark.slow
    def test_edges(self):
        scores = jnp.array([[0.0, -jnp.inf], [-jnp.inf, 3.0]])
        np.testing.assert_array_equal(gumbel_softmax(key, scores), jnp.eye(2))
        np.testing.assert_array_equal(gumbel_softmax(key, scores, 0, hard=True), jnp.eye(2))
        assert gumbel_softmax(key, jnp.zeros((0, 3)), hard=True).shape == (0, 3)
        assert gumbel_softmax(key, jnp.zeros((3, 0)), hard=True).shape == (3, 0)
        narrow = gumbel_softmax(key, jnp.zeros(3, jnp.bfloat16), temperature=0.5)
        assert narrow.dtype == jnp.bfloat16
        assert not jnp.isnan(jax.grad(lambda z: gumbel_softmax(key, z)[0])(scores[0])).any()
        assert_transforms(lambda z: gumbel_softmax(key, z), self.scores)


class TestHardGumbelDraws:
    @pytest.mark.slow
    def test_follow_the_scores_at_any_temperature(self):
        """Where the soft draw is the same for all, the hard one is still distributed as softmax."""
        scores = jnp.array([0.0, 0.0, 3.0])
        keys = jax.random.split(jax.random.key(0), 2000)
        draw = partial(gumbel_softmax, x=scores, temperature=1e9, hard=True)
        shares = jax.vmap(lambda key: draw(key))(keys).mean(0)
        np.testing.assert_allclose(shares, jax.nn.softmax(scores), atol=0.03)

    def test_of_nothing_possible_are_nothing(self):
        y = gumbel_softmax(jax.random.key(0), jnp.full(2, -jnp.inf), hard=True)
        np.testing.assert_array_equal(y, [0, 0])
