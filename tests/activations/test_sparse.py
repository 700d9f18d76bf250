"""Sparsemax and entmax: exact values and supports, Jacobians, masks, extremes."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from fnmath.activations import entmax15, softmax, sparsemax
from tests.helpers import Mistake, assert_transforms, assert_within_ulp

x = jnp.linspace(-3.0, 3.0, 4)
BOTH = pytest.mark.parametrize("f", [sparsemax, entmax15], ids=lambda f: f.__name__)

MISTAKES = [
    mistake
    for f in (sparsemax, entmax15)
    for mistake in (
        Mistake(
            f,
            (x.astype(int),),
            {},
            TypeError,
            f"{f.__name__}: x has dtype int32; wanted a floating dtype; "
            "did you mean x.astype(jnp.float32)?",
        ),
        Mistake(
            f,
            (x,),
            {"axis": 1},
            ValueError,
            f"{f.__name__}: axis is 1; wanted an axis of the shape (4,)",
        ),
        Mistake(
            f,
            (x,),
            {"where": jnp.ones(4)},
            TypeError,
            f"{f.__name__}: where has dtype float32; wanted bool; did you mean where != 0?",
        ),
    )
]


def exact(f, row):
    """P and its Jacobian in 50 digits, by a search over the supports of k = 1, 2, … scores."""
    with mpmath.workdps(50):
        z = [mpmath.mpf(float(v)) / (1 if f is sparsemax else 2) for v in row]
        falling = sorted(z, reverse=True)
        for k in range(len(z), 0, -1):
            mean = sum(falling[:k]) / k
            spread = sum((v - mean) ** 2 for v in falling[:k])
            if f is entmax15 and spread > 1:
                continue
            below = 1 / mpmath.mpf(k) if f is sparsemax else mpmath.sqrt((1 - spread) / k)
            threshold = mean - below
            if falling[k - 1] > threshold:
                break
        u = [max(v - threshold, 0) for v in z]
        s = [mpmath.sign(v) for v in u] if f is sparsemax else u
        p = u if f is sparsemax else [v**2 for v in u]
        total = sum(s)
        return (
            np.array([float(v) for v in p]),
            np.array(
                [
                    [float(a * (i == j) - a * b / total) for j, b in enumerate(s)]
                    for i, a in enumerate(s)
                ]
            ),
        )


@BOTH
class TestBoth:
    @pytest.mark.slow
    def test_reference(self, f):
        """Rows alike, apart, large, and of few and many entries; the supports too."""
        keys = jax.random.split(jax.random.key(0), 5)
        for key, size, (scale, shift) in zip(
            keys, (2, 3, 7, 7, 30), ((1, 0), (0.3, 0), (1, 100), (0.01, 0), (0.5, -3)), strict=True
        ):
            rows = scale * jax.random.normal(key, (8, size)) + shift
            p, jacobian = map(np.array, zip(*(exact(f, row) for row in rows), strict=True))
            ours, reverse, forward = jax.jit(
                jax.vmap(lambda row: (f(row), jax.jacrev(f)(row), jax.jacfwd(f)(row)))
            )(rows)
            assert_within_ulp(ours, p, 3)
            np.testing.assert_array_equal(ours > 0, p > 0)
            for result in (reverse, forward):
                assert_within_ulp(result, jacobian, 5)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_double_precision_and_gradient_lines(self, f):
        row, v = jnp.array([0.3, -0.2, 0.25, -4.0]), jnp.array([1.0, 2.0, -0.5, 3.0])
        p, _ = exact(f, row)
        np.testing.assert_allclose(f(row), p, rtol=1e-15)
        s = jnp.sign(p) if f is sparsemax else jnp.sqrt(p)
        line = s * (v - s @ v / s.sum())
        np.testing.assert_allclose(jax.jvp(f, (row,), (v,))[1], line, rtol=1e-14)
        np.testing.assert_allclose(jax.vjp(f, row)[1](v)[0], line, rtol=1e-14)
        for second in (jax.jacfwd(jax.jacrev(f)), jax.jacrev(jax.jacfwd(f))):
            h = 1e-6 * v
            slope = (jax.jacrev(f)(row + h) - jax.jacrev(f)(row - h)) / 2e-6
            np.testing.assert_allclose(second(row) @ v, slope, atol=1e-8)

    @pytest.mark.slow
    def test_law(self, f):
        """Sums are 1; a shift that is exact changes nothing; order is kept."""
        scores = jax.random.randint(jax.random.key(1), (50, 6), -64, 64).astype(jnp.float32) / 32
        p = jax.jit(f)(scores)
        np.testing.assert_allclose(p.sum(-1), 1, rtol=3e-7)
        np.testing.assert_array_equal(jax.jit(f)(scores + 1024), p)
        np.testing.assert_array_equal(jnp.argmax(p, -1), jnp.argmax(scores, -1))
        np.testing.assert_allclose(f(scores.T, 0).T, p, rtol=1e-6)
        assert (p == 0).any()
        assert (p < softmax(scores)).any()

    @pytest.mark.slow
    def test_masked_entries_do_not_matter(self, f):
        where = jnp.array([[True, True, False], [False, False, False]])
        masked = jax.jit(functools.partial(f, where=where))
        jacobians = jax.jit(jax.jacrev(masked)), jax.jit(jax.jacfwd(masked))
        for junk in (jnp.nan, jnp.inf, -jnp.inf):
            scores = jnp.array([[0.5, 0.25, junk], [junk, 0.0, junk]])
            result = masked(scores)
            np.testing.assert_array_equal(result[0, :2], f(scores[0, :2]))
            np.testing.assert_array_equal(result[~where], 0)
            for jacobian in (j(scores) for j in jacobians):
                assert jnp.isfinite(jacobian).all()
                np.testing.assert_array_equal(jacobian[..., ~where], 0)
                np.testing.assert_array_equal(jacobian[~where], 0)

    @pytest.mark.slow
    def test_infinite_scores(self, f):
        inf, nan = np.inf, np.nan
        rows = jnp.array([[inf, 1.0], [-inf, -inf], [-inf, 3.0], [nan, 1.0], [3e38, -3e38]])
        value, *jacobians = jax.jit(
            jax.vmap(lambda row: (f(row), jax.jacrev(f)(row), jax.jacfwd(f)(row)))
        )(rows)
        np.testing.assert_array_equal(value, [[1, 0], [0, 0], [0, 1], [nan, nan], [1, 0]])
        for jacobian in jacobians:
            np.testing.assert_array_equal(jacobian[jnp.array([0, 1, 2, 4])], 0)
        np.testing.assert_allclose(f(jnp.array([inf, inf])), 0.5, rtol=1e-6)

    @pytest.mark.slow
    def test_edges(self, f):
        assert f(jnp.zeros((0, 3))).shape == (0, 3)
        assert f(jnp.zeros((3, 0))).shape == (3, 0)
        rows = jnp.linspace(-1, 1, 12).reshape(3, 4)
        for dtype in (jnp.bfloat16, jnp.float16):
            narrow = rows.astype(dtype)
            assert f(narrow).dtype == dtype
            expected = f(narrow.astype(jnp.float32)).astype(dtype)
            np.testing.assert_array_equal(f(narrow), expected)
        assert_transforms(f, rows)

    @pytest.mark.slow
    def test_many_entries(self, f):
        """A row of a thousand alike, where sums in working precision would be off."""
        row = 0.01 * jax.random.normal(jax.random.key(2), (1000,))
        np.testing.assert_allclose(np.float64(f(row)).sum(), 1, rtol=1e-7)
