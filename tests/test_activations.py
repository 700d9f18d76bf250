"""fnmath.activations: values, derivatives, tails and limits of each activation."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from fnmath.activations import (
    ACTIVATIONS,
    elu,
    gelu,
    identity,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

x = jnp.linspace(-3.0, 3.0, 4)


def integers(f):
    message = (
        f"{f.__name__}: x has dtype int32; wanted a floating dtype; "
        "did you mean x.astype(jnp.float32)?"
    )
    return Mistake(f, (x.astype(int),), {}, TypeError, message)


MISTAKES = [
    *map(integers, [*ACTIVATIONS.values(), softmax, log_softmax]),
    Mistake(
        elu, (x,), {"alpha": -1.0}, ValueError, "elu: alpha is -1.0; wanted a number in [0, inf)"
    ),
    Mistake(
        leaky_relu,
        (x, "0.1"),
        {},
        TypeError,
        "leaky_relu: negative_slope is '0.1' (str); wanted a number",
    ),
    Mistake(
        sigmoid,
        ([1.0],),
        {},
        TypeError,
        "sigmoid: x is a list; wanted an array; did you mean jnp.asarray(x)?",
    ),
    Mistake(
        softmax,
        (x,),
        {"axis": 1},
        ValueError,
        "softmax: axis is 1; wanted an axis of the shape (4,)",
    ),
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
    Mistake(
        softmax,
        (x,),
        {"where": jnp.ones(4)},
        TypeError,
        "softmax: where has dtype float32; wanted bool; did you mean where != 0?",
    ),
]


def gelu_erf(x):
    return gelu(x, approximate=False)


SMOOTH = {
    "sigmoid": sigmoid,
    "softplus": softplus,
    "log_sigmoid": log_sigmoid,
    "tanh": tanh,
    "silu": silu,
    "gelu": gelu,
    "gelu_erf": gelu_erf,
    "elu": elu,
}
ELEMENTWISE = ACTIVATIONS | SMOOTH


def exact_gate(x, a, slope, curvature):
    """The product x σ(a) and two derivatives, from those of a, by the product rule."""
    s, opposite = 1 / (1 + mpmath.exp(-a)), 1 / (1 + mpmath.exp(a))
    first = s + x * s * opposite * slope
    second = s * opposite * (2 * slope + x * curvature + x * slope**2 * (opposite - s))
    return x * s, first, second


def exact(name, x):
    """The value and two derivatives in 60 digits, by the textbook's formulas, rounded once."""
    with mpmath.workdps(60):
        x = mpmath.mpf(float(x))
        s, opposite = 1 / (1 + mpmath.exp(-x)), 1 / (1 + mpmath.exp(x))
        bell, sech = s * opposite, mpmath.sech(x)
        c, root = mpmath.mpf("0.044715"), mpmath.sqrt(8 / mpmath.pi)
        density, cdf = mpmath.npdf(x), mpmath.erfc(-x / mpmath.sqrt(2)) / 2
        cubic = (root * (x + c * x**3), root * (1 + 3 * c * x**2), root * 6 * c * x)
        three = {
            "sigmoid": lambda: (s, bell, bell * (opposite - s)),
            "softplus": lambda: (mpmath.log1p(mpmath.exp(x)), s, bell),
            "log_sigmoid": lambda: (-mpmath.log1p(mpmath.exp(-x)), opposite, -bell),
            "tanh": lambda: (mpmath.tanh(x), sech**2, -2 * mpmath.tanh(x) * sech**2),
            "silu": lambda: exact_gate(x, x, 1, 0),
            "gelu": lambda: exact_gate(x, *cubic),
            "gelu_erf": lambda: (x * cdf, cdf + x * density, (2 - x**2) * density),
            "elu": lambda: (x, 1, 0) if x > 0 else (mpmath.expm1(x), mpmath.exp(x), mpmath.exp(x)),
        }
        return [float(v) for v in three[name]()]


# The tails, the neighbourhood of 0, and what lies between; beside the roots of the derivatives,
# where a relative error means little, the tests that use ROOTS say so.
POINTS = np.concatenate(
    [
        [-1e4, -104.0, -90.0, -87.0, -60.0, -40.0, -20.5, -17.0, -12.0, -10.1, -9.3, -8.0, -6.0],
        [-5.0, -4.0, -3.0, -2.0, -1.0, -0.5, -0.25, -0.01, -1e-5, -1e-20],
        [1e-20, 1e-5, 0.01, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 9.3, 10.1, 12.0],
        [17.0, 20.5, 40.0, 60.0, 87.0, 90.0, 104.0, 1e4],
        np.linspace(-11, 11, 97),
    ]
).astype(np.float32)
ROOTS = {
    "silu": ([-1.278], [-2.4, 2.4]),
    "gelu": ([-0.7518], [-1.41, 1.41]),
    "gelu_erf": ([-0.7518], [-1.4142, 1.4142]),
}
EXPECTED = {
    name: np.array([exact(name, p) for p in POINTS]).T for name in SMOOTH
}  # (3, points) each
# Of the value, f′ and f″. XLA's own tanh and expm1 are good to 5 on a CPU, its exp to 1.
ULPS = {
    "sigmoid": (2, 4, 6),
    "softplus": (3, 2, 4),
    "log_sigmoid": (3, 2, 4),
    "tanh": (5, 4, 6),
    "silu": (3, 4, 6),
    "gelu": (3, 5, 6),
    "gelu_erf": (6, 4, 4),
    "elu": (5, 1, 1),
}
MODES = {
    "reverse": (jax.grad, jax.grad),
    "forward": (jax.jacfwd, jax.jacfwd),
    "forward over reverse": (jax.grad, jax.jacfwd),
}


# One float32 in 2¹⁸: every sign and exponent, 32 mantissas each.
SWEEP = ((np.arange(2**14, dtype=np.uint32) << 18) | 0x1234).view(np.float32)
SWEEP = SWEEP[np.isfinite(SWEEP)]
ENDS = np.array([-np.inf, np.inf], np.float32)


def in_all_orders(f, mode, points):
    """The function and two derivatives at every point, compiled together: (3, points)."""
    inner, outer = MODES[mode]
    three = (f, inner(f), outer(inner(f)))
    return np.array(jax.jit(jax.vmap(lambda x: [g(x) for g in three]))(points))


@functools.cache
def everywhere(name, mode):
    """The same at POINTS, over the SWEEP and at the ENDS, in float32."""
    points = jnp.concatenate([POINTS, SWEEP, ENDS])
    results = in_all_orders(ELEMENTWISE[name], mode, points)
    return np.split(results, [len(POINTS), len(POINTS) + len(SWEEP)], axis=1)


def beside_a_root(name, order):
    roots = ROOTS.get(name, ((), ()))[order - 1]
    return np.any([np.abs(POINTS - root) < 0.3 for root in roots], axis=0) & (order > 0)


@pytest.mark.parametrize("name", SMOOTH)
class TestSmooth:
    """The smooth activations and two derivatives of each, against 60 digits."""

    @pytest.mark.parametrize("mode", MODES)
    def test_reference(self, name, mode):
        for order, ours in enumerate(everywhere(name, mode)[0]):
            away, expected = ~beside_a_root(name, order), EXPECTED[name][order]
            assert_within_ulp(ours[away], expected[away], ULPS[name][order])
            # Beside a root of a derivative the error is a few ε of that derivative's size, 1.
            atol = 4 * np.finfo(np.float32).eps
            np.testing.assert_allclose(ours[~away], expected[~away], rtol=0, atol=atol)

    @pytest.mark.usefixtures("x64")
    def test_double_precision(self, name):
        points = jnp.asarray(POINTS, jnp.float64)
        for order, ours in enumerate(in_all_orders(SMOOTH[name], "reverse", points)):
            away, expected = ~beside_a_root(name, order), EXPECTED[name][order]
            np.testing.assert_allclose(ours[away], expected[away], rtol=2e-15, atol=2.3e-308)


LIMITS = {  # value, f′ and f″ at −∞ and at +∞
    "identity": ((-np.inf, 1, 0), (np.inf, 1, 0)),
    "relu": ((0, 0, 0), (np.inf, 1, 0)),
    "leaky_relu": ((-np.inf, 0.01, 0), (np.inf, 1, 0)),
    "elu": ((-1, 0, 0), (np.inf, 1, 0)),
    "sigmoid": ((0, 0, 0), (1, 0, 0)),
    "softplus": ((0, 0, 0), (np.inf, 1, 0)),
    "log_sigmoid": ((-np.inf, 1, 0), (0, 0, 0)),
    "tanh": ((-1, 0, 0), (1, 0, 0)),
    "silu": ((0, 0, 0), (np.inf, 1, 0)),
    "gelu": ((0, 0, 0), (np.inf, 1, 0)),
    "gelu_erf": ((0, 0, 0), (np.inf, 1, 0)),
}


class TestElementwise:
    """What holds of every elementwise activation."""

    @pytest.mark.parametrize("name", ELEMENTWISE)
    @pytest.mark.parametrize("mode", MODES)
    def test_limits_and_no_nan_between(self, name, mode):
        _, sweep, ends = everywhere(name, mode)
        np.testing.assert_array_equal(ends.T, np.array(LIMITS[name], np.float32))
        assert not np.isnan(sweep).any()

    @pytest.mark.parametrize("name", ELEMENTWISE)
    def test_nan_in_nan_out(self, name):
        assert jnp.isnan(ELEMENTWISE[name](jnp.array(jnp.nan)))

    @pytest.mark.parametrize("name", ELEMENTWISE)
    def test_reference_of_the_same_name(self, name):
        """Float16 and bfloat16 too: the dtype is kept, and so are its digits."""
        theirs = {"gelu_erf": functools.partial(jax.nn.gelu, approximate=False)}
        theirs = theirs.get(name) or getattr(jax.nn, name)
        for dtype in (jnp.float32, jnp.float16, jnp.bfloat16):
            numbers = jnp.linspace(-6, 6, 41, dtype=dtype)
            ours, slope = jax.vmap(jax.value_and_grad(ELEMENTWISE[name]))(numbers)
            assert ours.dtype == slope.dtype == dtype
            exact = theirs(numbers.astype(jnp.float32))
            eps = float(jnp.finfo(dtype).eps)
            np.testing.assert_allclose(
                np.float32(ours), exact, rtol=8 * eps, atol=8 * float(jnp.finfo(jnp.float32).eps)
            )

    @pytest.mark.parametrize("name", ELEMENTWISE)
    def test_transforms(self, name):
        assert_transforms(ELEMENTWISE[name], x.reshape(2, 2))
        assert ELEMENTWISE[name](jnp.zeros((0, 3))).shape == (0, 3)

    def test_names(self):
        assert all(f.__name__ == name for name, f in ACTIVATIONS.items())


def gelu_line(x):
    a = 2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    slope = 2 * np.sqrt(2 / np.pi) * (1 + 0.134145 * x**2)
    return sigmoid(a) * (1 + x * slope * sigmoid(-a))


GRADIENT_LINES = {
    identity: jnp.ones_like,
    relu: lambda x: jnp.where(x > 0, 1.0, 0.0),
    leaky_relu: lambda x: jnp.where(x >= 0, 1, 0.01),
    elu: lambda x: jnp.where(x > 0, 1, jnp.exp(x)),
    sigmoid: lambda x: sigmoid(x) * sigmoid(-x),
    softplus: sigmoid,
    log_sigmoid: lambda x: sigmoid(-x),
    tanh: lambda x: 4 * sigmoid(2 * x) * sigmoid(-2 * x),
    silu: lambda x: sigmoid(x) * (1 + x * sigmoid(-x)),
    gelu: gelu_line,
    gelu_erf: lambda x: jax.scipy.stats.norm.cdf(x) + x * jax.scipy.stats.norm.pdf(x),
}


class TestGradientLines:
    """The ``Gradient:`` line of each docstring, evaluated as it stands, against autodiff."""

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("f", GRADIENT_LINES, ids=lambda f: f.__name__)
    def test_first(self, f):
        assert_gradient(f, GRADIENT_LINES[f], jnp.array([-9.0, -3.0, -0.3, 0.4, 2.0, 9.0]))

    @pytest.mark.usefixtures("x64")
    def test_third_order_stays_available(self):
        points = jnp.array([-2.0, -0.3, 0.4, 3.0])

        def third(f):
            return jax.jit(jax.vmap(jax.jacfwd(jax.grad(jax.grad(f)))))(points)

        density = jax.scipy.stats.norm.pdf(points)
        expected = (points**3 - 4 * points) * density
        np.testing.assert_allclose(third(gelu_erf), expected, rtol=1e-12, atol=1e-15)
        for ours, theirs in ((gelu, jax.nn.gelu), (silu, jax.nn.silu)):
            np.testing.assert_allclose(third(ours), third(theirs), rtol=1e-10)

    def test_slope_and_level_are_differentiated_too(self):
        by_slope = jax.grad(lambda a: leaky_relu(x, a).sum())(0.1)
        np.testing.assert_allclose(by_slope, jnp.minimum(x, 0).sum(), rtol=1e-6)
        by_level = jax.grad(lambda a: elu(x, a).sum())(0.5)
        np.testing.assert_allclose(by_level, jnp.expm1(jnp.minimum(x, 0)).sum(), rtol=1e-6)


class TestKinks:
    def test_relu_at_zero(self):
        for derivative in (jax.grad(relu), jax.jacfwd(relu)):
            assert derivative(jnp.array(0.0)) == 0
        # A unit that is off passes no cotangent on, not even an infinite one.
        _, pull_back = jax.vjp(relu, jnp.array([-1.0, 1.0]))
        np.testing.assert_array_equal(pull_back(jnp.array([jnp.inf, 2.0]))[0], [0, 2])

    def test_leaky_relu_at_zero(self):
        assert jax.grad(leaky_relu)(jnp.array(0.0)) == 1

    def test_elu_of_a_level(self):
        np.testing.assert_array_equal(elu(jnp.array([-jnp.inf, 1.0]), alpha=0.5), [-0.5, 1])
        assert jax.grad(functools.partial(elu, alpha=0.5))(jnp.array(-30.0)) > 0


class TestLaws:
    numbers = jnp.linspace(-20.0, 20.0, 201)

    def test_sigmoid_of_the_opposite(self):
        np.testing.assert_allclose(sigmoid(self.numbers) + sigmoid(-self.numbers), 1, rtol=2e-7)

    def test_tanh_is_a_stretched_sigmoid(self):
        np.testing.assert_allclose(tanh(self.numbers), 2 * sigmoid(2 * self.numbers) - 1, atol=3e-7)

    @pytest.mark.parametrize("f", [silu, gelu, gelu_erf, relu])
    def test_the_two_halves_of_a_gate_are_x(self, f):
        """X g(x) + x g(−x) = x, as f(x) − f(−x)."""
        np.testing.assert_allclose(f(self.numbers) - f(-self.numbers), self.numbers, rtol=4e-7)

    def test_the_two_forms_of_gelu(self):
        assert jnp.abs(gelu(self.numbers) - gelu_erf(self.numbers)).max() < 5e-4

    def test_softplus_lies_above_relu_by_at_most_log_2(self):
        excess = softplus(self.numbers) - relu(self.numbers)
        assert (excess >= 0).all()
        assert_within_ulp(softplus(jnp.zeros(1)), np.log(2), 1)
        assert excess.max() <= np.float32(np.log(2))


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
    def test_reference(self):
        p, log_p, jacobian, log_jacobian = map(
            np.array, zip(*map(exact_softmax, ROWS), strict=True)
        )
        assert_within_ulp(softmax(ROWS), p, 3)
        assert_within_ulp(log_softmax(ROWS), log_p, 3)
        for mode in (jax.jacrev, jax.jacfwd):
            assert_within_ulp(jax.jit(jax.vmap(mode(softmax)))(ROWS), jacobian, 4)
            assert_within_ulp(jax.jit(jax.vmap(mode(log_softmax)))(ROWS), log_jacobian, 4)

    def test_reference_of_the_same_name(self):
        scores = jnp.sin(jnp.arange(60.0)).reshape(3, 4, 5)
        where = scores[:, :1] < 0.7
        for axis in (-1, 0, (0, 2)):
            for ours, theirs in ((softmax, jax.nn.softmax), (log_softmax, jax.nn.log_softmax)):
                expected = theirs(scores, axis)
                np.testing.assert_allclose(ours(scores, axis), expected, rtol=1e-6)
            expected = jax.nn.softmax(scores, (0, 2), where=where)
            np.testing.assert_allclose(softmax(scores, (0, 2), where=where), expected, rtol=1e-6)

    def test_law_shift(self):
        """A shift of integers by an integer is exact, and changes nothing."""
        scores = jax.random.randint(jax.random.key(0), (50, 4), -50, 50).astype(jnp.float32)
        for f in (jax.jit(softmax), jax.jit(log_softmax)):
            np.testing.assert_array_equal(f(scores + 1000), f(scores))
        np.testing.assert_allclose(softmax(scores).sum(-1), 1, rtol=1e-6)

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

    def test_transforms(self):
        assert_transforms(softmax, ROWS[:2])
        assert_transforms(log_softmax, ROWS[:2])

    def test_edges(self):
        for f in (softmax, log_softmax):
            assert jax.eval_shape(f, jnp.zeros((0, 3))).shape == (0, 3)
            assert jax.eval_shape(f, jnp.zeros((3, 0))).shape == (3, 0)
            assert jax.eval_shape(f, jnp.zeros(3, jnp.bfloat16)).dtype == jnp.bfloat16
        np.testing.assert_array_equal(softmax(jnp.zeros((2, 2)), (0, 1)), 0.25)
