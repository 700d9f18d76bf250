"""What holds of every elementwise activation: its value, its derivatives, its tails, its limits."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from fnmath import activations as fn
from fnmath.activations import ACTIVATIONS
from fnmath.calculus import derivative
from tests.activations.table import TABLE
from tests.draws import drawn_arrays
from tests.helpers import assert_transforms, assert_within_ulp

NAMES = pytest.mark.parametrize("name", TABLE, scope="module")  # all of one name, then the next

# The tails, the neighbourhood of 0, and what lies between.
POINTS = np.concatenate(
    [
        [-1e4, -104.0, -90.0, -87.5, -60.0, -44.4, -20.5, -17.0, -12.0, -9.3, -8.0, -6.0],
        [-5.0, -4.0, -3.0, -2.0, -1.0, -0.5, -0.25, -0.01, -1e-5, -1e-20],
        [1e-20, 1e-5, 0.01, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 9.3, 12.0],
        [17.0, 20.5, 44.4, 60.0, 87.5, 90.0, 104.0, 1e4],
        [-2.3993573, -2.2563764, -1.418504, -1.2784645, -1.1924312, -0.7524614, -0.7517915],
        np.linspace(-11, 11, 97),
    ]
).astype(np.float32)
# One float32 in 2¹⁶: every sign and exponent, 128 mantissas each; 256 of them are no number.
SWEEP = ((np.arange(2**16, dtype=np.uint32) << 16) | 0x1234).view(np.float32)
SWEEP = SWEEP[np.isfinite(SWEEP)]
EDGES = np.array([-np.inf, np.inf, -0.0, 0.0, np.nan], np.float32)


def orders(f):
    """The function, f′ in reverse and forward mode, f″ in reverse, mixed and forward mode.

    Forward mode is ``fnmath.calculus.derivative``, the f′ and f″ that users call on an array.
    """
    slope = jax.vmap(jax.grad(f))
    curvature = jax.vmap(jax.grad(jax.grad(f)))
    return (f, slope, derivative(f), curvature, derivative(slope), derivative(derivative(f)))


@functools.cache
def everywhere(name):
    """In float32 at POINTS, over the SWEEP, at the EDGES and at what is drawn: one program."""
    parts = [POINTS, SWEEP, EDGES, drawn_arrays().ravel()]
    in_all_orders = jax.jit(lambda x: [g(x) for g in orders(TABLE[name].f)])
    results = np.array(in_all_orders(np.concatenate(parts)))
    return np.split(results, np.cumsum([len(part) for part in parts])[:-1], axis=1)


@functools.cache
def exact(name):
    """The value, f′ and f″ at POINTS, from the formula alone; nan at a kink."""
    row = TABLE[name]
    with mpmath.workdps(110):  # f″ may be 10⁻⁷⁰ where f is 1

        def three(x):
            if any(abs(x - kink) < 1e-30 for kink in row.kinks):
                return [np.nan] * 3
            x = mpmath.mpf(float(x))
            return [float(mpmath.diff(row.formula, x, n)) for n in range(3)]

        return np.array([three(p) for p in POINTS]).T


@NAMES
class TestEach:
    def test_reference(self, name):
        """Also at the roots of f′ and f″, to the float32 nearest to them."""
        ours, *_ = everywhere(name)
        for result, order in zip(ours, (0, 1, 1, 2, 2, 2), strict=True):
            expected = exact(name)[order]
            known = ~np.isnan(expected)
            assert_within_ulp(result[known], expected[known], TABLE[name].ulps[order])

    @pytest.mark.usefixtures("x64")
    def test_double_precision_and_gradient_lines(self, name):
        points, functions = POINTS.astype(np.float64), orders(TABLE[name].f) + TABLE[name].lines
        *ours, slope, curvature = np.array(jax.jit(lambda x: [g(x) for g in functions])(points))
        for result, order in zip(ours, (0, 1, 1, 2, 2, 2), strict=True):
            expected = exact(name)[order]
            known = ~np.isnan(expected)
            told = np.abs(expected) > 1e-70  # as far as the digits of ``exact`` go
            assert_within_ulp(result[told], expected[told], TABLE[name].ulps[order] + 2)
            assert (np.abs(result[known & ~told]) < 1e-60).all()
            if order:
                line = (slope, curvature)[order - 1]
                plain = known & np.isfinite(line) & (np.abs(points) < 30)
                assert plain.sum() > 100
                np.testing.assert_allclose(result[plain], line[plain], rtol=1e-9, atol=1e-13)

    def test_no_nan_but_from_nan(self, name):
        _, sweep, edges, _ = everywhere(name)
        assert not np.isnan(sweep).any()
        assert not np.isnan(edges[:, 2:4]).any()
        assert np.isnan(edges[0, -1])

    def test_arrays_drawn_at_random_give_no_nan(self, name):
        assert not np.isnan(everywhere(name)[3]).any()

    def test_limits(self, name):
        edges = everywhere(name)[2]
        for end, limits in zip(edges[:, :2].T, TABLE[name].ends, strict=True):
            expected = np.array(limits, np.float32)[[0, 1, 1, 2, 2, 2]]
            np.testing.assert_array_equal(end, expected)

    def test_half_precision_is_the_rounded_float32(self, name):
        """All 2¹⁶ numbers of either kind, value and slope."""
        f = TABLE[name].f

        @jax.jit
        def both(x):
            narrow = jax.vmap(jax.value_and_grad(f))(x)
            wide = jax.vmap(jax.value_and_grad(f))(x.astype(jnp.float32))
            return narrow, [y.astype(x.dtype) for y in wide]

        bits = jnp.arange(2**16, dtype=jnp.uint16)
        for dtype in (jnp.float16, jnp.bfloat16):
            narrow, wide = both(jax.lax.bitcast_convert_type(bits, dtype))
            for ours, expected in zip(narrow, wide, strict=True):
                assert ours.dtype == dtype
                same = (ours == expected) | (jnp.isnan(ours) & jnp.isnan(expected))
                assert same.all()

    def test_shapes(self, name):
        f = TABLE[name].f
        for shape in ((), (0, 3), (2, 2)):
            assert jax.eval_shape(f, jnp.zeros(shape)).shape == shape


def test_names():
    assert all(f.__name__ == name for name, f in ACTIVATIONS.items())
    assert {row.f.__name__ for row in TABLE.values() if hasattr(row.f, "__name__")} | {
        row.f.func.__name__ for row in TABLE.values() if hasattr(row.f, "func")
    } == set(ACTIVATIONS) | {"threshold"}
    assert fn.swish is fn.silu
    assert fn.hard_swish is fn.hard_silu


@pytest.mark.slow
def test_options_are_kept_by_the_derivative():
    x = jnp.array([[-2.0, -0.5], [0.5, 2.0]])
    below = jnp.exp(jnp.minimum(x, 0))
    np.testing.assert_allclose(derivative(fn.elu)(x, alpha=2.0), jnp.where(x > 0, 1, 2 * below))
    expected = jnp.where(x > 0, 0, 2 * below)
    np.testing.assert_allclose(derivative(derivative(fn.elu))(x, alpha=2.0), expected)
    erf = derivative(fn.gelu)(x, approximate=False)
    np.testing.assert_allclose(erf, derivative(functools.partial(fn.gelu, approximate=False))(x))
    assert (erf != derivative(fn.gelu)(x)).all()


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_references_of_the_same_name():
    """JAX's, with all defaults, at numbers where it has no tail to lose."""
    x = jnp.linspace(-5.0, 5.0, 41) + 0.01
    shared = [name for name in ACTIVATIONS if hasattr(jax.nn, name)]
    assert len(shared) > 19

    @jax.jit
    def values_and_slopes(x):
        ours, theirs = ([getattr(n, name) for name in shared] for n in (fn, jax.nn))
        return [[jax.vmap(jax.value_and_grad(f))(x) for f in fs] for fs in (ours, theirs)]

    for name, *pair in zip(shared, *values_and_slopes(x), strict=True):
        np.testing.assert_allclose(*pair, rtol=1e-9, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("f", [fn.mish, fn.hard_silu, fn.squareplus])
def test_transforms(f):
    """The tests above show as much of the others: they are compiled, and mapped by vmap."""
    assert_transforms(f, jnp.linspace(-3.0, 3.0, 4))


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_third_order_stays_available():
    points = jnp.array([-2.0, -0.3, 0.4, 3.0])

    def third(f):
        return jax.jit(jax.vmap(jax.jacfwd(jax.grad(jax.grad(f)))))(points)

    density = jax.scipy.stats.norm.pdf(points)
    erf = functools.partial(fn.gelu, approximate=False)
    expected = (points**3 - 4 * points) * density
    np.testing.assert_allclose(third(erf), expected, rtol=1e-12, atol=1e-15)
    for ours, theirs in ((fn.gelu, jax.nn.gelu), (fn.mish, jax.nn.mish)):
        np.testing.assert_allclose(third(ours), third(theirs), rtol=1e-9)
