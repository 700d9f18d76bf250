"""fnmath.calculus.finite_differences: orders of convergence, honest errors, edges and mistakes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.calculus import (
    central_difference,
    complex_step,
    finite_difference_gradient,
    gradient,
    richardson_extrapolation,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms

pytestmark = pytest.mark.slow

x = jnp.array([0.5, -1.0, 2.0])
v = jnp.array([1.0, 0.5, -0.25])
TREE = {"a": x, "b": (jnp.array(0.7), jnp.ones((2, 2)))}


def wave(t):
    return jnp.sum(jnp.exp(jnp.sin(t)))


def bowl(tree):
    a, (b, c) = tree["a"], tree["b"]
    return jnp.sum(jnp.sin(a) * b) + jnp.sum(jnp.exp(b * c))


def rough(t):
    return jnp.sum(jnp.abs(t))


def shared_mistakes(function, **options):
    """What the functions of (f, x, direction) have in common."""
    name = function.__name__
    return [
        Mistake(
            function, (1.0, x, v), options, TypeError, f"{name}: f is a float; wanted a function"
        ),
        Mistake(
            function,
            (wave, x.astype(int), v),
            options,
            TypeError,
            f"{name}: x has dtype int32; wanted a floating dtype; "
            "did you mean x.astype(jnp.float32)?",
        ),
        Mistake(
            function,
            (wave, x, v[:2]),
            options,
            ValueError,
            f"{name}: direction has shape (2,); wanted (3,), that of x",
        ),
        Mistake(
            function,
            (wave, x, v.astype(jnp.bfloat16)),
            options,
            TypeError,
            f"{name}: direction has dtype bfloat16; wanted float32, that of x; "
            "did you mean direction.astype(jnp.float32)?",
        ),
        Mistake(
            function,
            (wave, x, v),
            options | {"step": 0.0},
            ValueError,
            f"{name}: step is 0.0; wanted a number in (0, inf)",
        ),
        Mistake(
            function,
            (wave, x, v),
            options | {"step": jnp.ones(2)},
            ValueError,
            f"{name}: step has shape (2,); wanted one number",
        ),
    ]


MISTAKES = [
    *shared_mistakes(central_difference),
    *shared_mistakes(richardson_extrapolation),
    *shared_mistakes(complex_step),
    Mistake(
        central_difference,
        (jnp.argmax, x, v),
        {},
        TypeError,
        "central_difference: argmax returned dtype int32; wanted a floating dtype",
    ),
    Mistake(
        richardson_extrapolation,
        (wave, x, v),
        {"levels": 2},
        ValueError,
        "richardson_extrapolation: levels is 2; wanted an integer of at least 3",
    ),
    Mistake(
        richardson_extrapolation,
        (wave, x, v),
        {"levels": 4.0},
        TypeError,
        "richardson_extrapolation: levels is 4.0 (float); wanted an integer",
    ),
    Mistake(
        complex_step,
        (rough, x, v),
        {},
        TypeError,
        "complex_step: rough returned float32 for a complex argument; wanted a complex number, "
        "from a holomorphic function (no abs, no norm); did you mean central_difference?",
    ),
    Mistake(
        complex_step,
        (wave, x.astype(jnp.float16), v.astype(jnp.float16)),
        {},
        TypeError,
        "complex_step: x has dtype float16; wanted float32 or float64; "
        "did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        finite_difference_gradient,
        (wave, x),
        {"method": "forward"},
        ValueError,
        "finite_difference_gradient: method is 'forward'; "
        "wanted one of 'central', 'richardson', 'complex'",
    ),
    Mistake(
        finite_difference_gradient,
        (wave, x),
        {"chunk": 0},
        ValueError,
        "finite_difference_gradient: chunk is 0; wanted an integer of at least 1",
    ),
    Mistake(
        finite_difference_gradient,
        (wave, x),
        {"step": -1.0},
        ValueError,
        "finite_difference_gradient: step is -1.0; wanted a number in (0, inf)",
    ),
    Mistake(
        finite_difference_gradient,
        (jnp.sin, x),
        {},
        ValueError,
        "finite_difference_gradient: sin returned shape (3,); wanted a scalar; "
        "did you mean sin(...).mean(), or jacobian(sin)?",
    ),
    Mistake(
        finite_difference_gradient,
        (wave, [1, x]),
        {},
        TypeError,
        "finite_difference_gradient: x[0] is the integer 1; wanted a floating-point number; "
        "did you mean 1.0?",
    ),
    Mistake(
        finite_difference_gradient,
        ("f", x),
        {},
        TypeError,
        "finite_difference_gradient: f is a str; wanted a function",
    ),
]

# A function, its derivative, and where to look; all of size about 1 in value and derivatives.
KNOWN = [
    (jnp.sin, np.cos, 0.9),
    (jnp.exp, np.exp, -0.3),
    (jnp.tanh, lambda t: 1 / np.cosh(t) ** 2, 0.4),
    (jnp.log, lambda t: 1 / t, 1.7),
    (jnp.sqrt, lambda t: 0.5 / np.sqrt(t), 3.0),
    (lambda t: 1 / (1 + t * t), lambda t: -2 * t / (1 + t * t) ** 2, 1.1),
    (lambda t: t**4 / 4 - t, lambda t: t**3 - 1, -0.8),
]


def known(t):
    return jnp.stack([f(t[i]) for i, (f, _, _) in enumerate(KNOWN)])


def relative_errors(estimate):
    """Of the known derivatives, all found at once by one estimate(f, x, v)."""
    points = jnp.array([t for _, _, t in KNOWN])
    exact = np.array([d(np.float64(t)) for (_, d, _), t in zip(KNOWN, points, strict=True)])
    return np.abs(np.asarray(estimate(known, points, jnp.ones_like(points)), float) / exact - 1)


def order_of(error, steps):
    """The slope of log error against log step."""
    errors = jax.vmap(error)(jnp.asarray(steps))
    return np.polyfit(np.log(steps), np.log(errors), 1)[0]


class TestCentralDifference:
    def test_reference(self):
        errors = relative_errors(central_difference)
        assert errors.max() < 10 * 2 ** (-23 * 2 / 3)

    @pytest.mark.usefixtures("x64")
    def test_reference_in_float64(self):
        errors = relative_errors(central_difference)
        assert errors.max() < 10 * 2 ** (-52 * 2 / 3)

    @pytest.mark.usefixtures("x64")
    def test_law_of_second_order(self):
        def error(h):
            return abs(central_difference(jnp.exp, 0.3, 1.0, step=h) - np.exp(0.3))

        assert abs(order_of(error, 2.0 ** -np.arange(3, 9)) - 2) < 0.01
        balanced = abs(central_difference(jnp.exp, 0.3, 1.0) - np.exp(0.3))
        assert balanced < min(error(2.0**-10), error(2.0**-26))

    def test_is_exact_on_parabolas(self):
        estimate = central_difference(lambda t: 3 * t**2 - t, 5.0, 2.0, step=0.25)
        assert estimate == 2 * 29

    @pytest.mark.usefixtures("x64")
    def test_step_follows_the_size_of_x_and_v(self):
        p, u = jnp.asarray(x, float), jnp.asarray(v, float)
        for scale in (1e-8, 1e8):
            along = central_difference(wave, p, scale * u)
            np.testing.assert_allclose(along, scale * (gradient(wave)(p) @ u), rtol=1e-8)
        far = central_difference(jnp.log, 1e10, 1.0)
        np.testing.assert_allclose(far, 1e-10, rtol=1e-9)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        h = 0.5
        p, u = jnp.asarray(x, float), jnp.asarray(v, float)
        assert_gradient(
            lambda p: central_difference(wave, p, u, step=h),
            lambda p: (gradient(wave)(p + h * u) - gradient(wave)(p - h * u)) / (2 * h),
            p,
        )
        curvature = jax.grad(lambda p: central_difference(wave, p, u))(p)
        np.testing.assert_allclose(curvature, jax.hessian(wave)(p) @ u, rtol=1e-8)

    def test_transforms(self):
        assert_transforms(lambda x, v: central_difference(bowl, x, v, step=0.25), TREE, TREE)

    def test_edges(self):
        for dtype in (jnp.bfloat16, jnp.float16):
            estimate = central_difference(wave, x.astype(dtype), v.astype(dtype))
            assert estimate.dtype == dtype
            assert abs(float(estimate) - float(gradient(wave)(x) @ v)) < 0.1
        assert central_difference(wave, x, 0 * v) == 0
        assert jnp.isnan(central_difference(jnp.sin, jnp.nan, 1.0))
        assert central_difference(jnp.sin, jnp.zeros(0), jnp.zeros(0)).shape == (0,)


class TestRichardsonExtrapolation:
    def test_reference(self):
        errors = relative_errors(lambda *a: richardson_extrapolation(*a).value)
        assert errors.max() < 16 * 2.0**-23

    @pytest.mark.usefixtures("x64")
    def test_reference_in_float64(self):
        """ε |f / f′| / h, where |f / f′| is 6 at most and h about 1/8; measured: 72 ε."""
        errors = relative_errors(lambda *a: richardson_extrapolation(*a).value)
        assert errors.max() < 256 * 2.0**-52

    @pytest.mark.usefixtures("x64")
    def test_law_of_fourth_order(self):
        """Of three levels the one entry that a fourth confirms is T₁₁, free of h²."""

        def error(h):
            estimate = richardson_extrapolation(jnp.exp, 0.3, 1.0, step=h, levels=3)
            return abs(estimate.value - np.exp(0.3))

        assert abs(order_of(error, 2.0 ** -np.arange(1, 6)) - 4) < 0.05

    @pytest.mark.usefixtures("x64")
    def test_its_error_is_not_less_than_claimed(self):
        """Where differences deceive: beside kinks, past a domain, in step with a period."""
        t = jnp.linspace(0.011, 2.3, 40)
        cases = [
            (lambda t: jnp.abs(t - 1), jnp.sign(t - 1)),
            (jnp.log, 1 / t),
            (lambda t: jnp.sin(2 * jnp.pi * 64 * t), 128 * jnp.pi * jnp.cos(128 * jnp.pi * t)),
            (lambda t: jnp.sqrt(t) * t, 1.5 * jnp.sqrt(t)),
            (lambda t: 1e9 + jnp.exp(t), jnp.exp(t)),
            (lambda t: jnp.exp(-((t / 0.01) ** 2)), -2e4 * t * jnp.exp(-((t / 0.01) ** 2))),
        ]
        exact = jnp.stack([slope for _, slope in cases], axis=1)
        value, error, _ = jax.vmap(
            lambda t: richardson_extrapolation(
                lambda t: jnp.stack([f(t) for f, _ in cases]), t, 1.0
            )
        )(t)
        assert (jnp.abs(value - exact) <= 4 * error + 1e-14).all()
        assert (error < 1e-4 * (1 + jnp.abs(exact))).all()

    def test_admits_that_nothing_is_left(self):
        """10⁸ + t does not change in float32 within the steps; the slope is 1."""
        estimate = richardson_extrapolation(lambda t: 1e8 + t, 0.5, 1.0)
        assert estimate.error >= abs(estimate.value - 1)

    def test_shapes(self):
        both = richardson_extrapolation(
            lambda t: {"s": jnp.sin(t), "b": bowl({**TREE, "a": t})}, x, v
        )
        for field in both:
            assert (field["s"].shape, field["b"].shape) == ((3,), ())
        np.testing.assert_allclose(both.value["s"], jnp.cos(x) * v, rtol=1e-5)

    def test_transforms(self):
        def estimate(t):
            return richardson_extrapolation(wave, t, v).value

        # Another compilation rounds otherwise, by an ULP of f over the step.
        assert_transforms(estimate, x, rtol=1e-4)
        slope = jax.grad(estimate)(x)
        np.testing.assert_allclose(slope, jax.hessian(wave)(x) @ v, rtol=1e-3, atol=1e-4)

    def test_edges(self):
        lost = richardson_extrapolation(jnp.sin, jnp.nan, 1.0)
        assert jnp.isnan(lost.value)
        assert lost.error == jnp.inf
        half = richardson_extrapolation(wave, x.astype(jnp.bfloat16), v.astype(jnp.bfloat16))
        assert {field.dtype for field in half} == {jnp.dtype(jnp.bfloat16)}
        assert abs(float(half.value) - float(gradient(wave)(x) @ v)) < 0.1
        assert richardson_extrapolation(jnp.sin, jnp.zeros(0), jnp.zeros(0)).value.shape == (0,)


class TestComplexStep:
    def test_reference(self):
        errors = relative_errors(complex_step)
        assert errors.max() < 8 * 2.0**-23

    @pytest.mark.usefixtures("x64")
    def test_reference_in_float64(self):
        errors = relative_errors(complex_step)
        assert errors.max() < 8 * 2.0**-52

    @pytest.mark.usefixtures("x64")
    def test_law_of_second_order_without_a_smallest_step(self):
        def error(h):
            return abs(complex_step(jnp.exp, 0.3, 1.0, step=h) - np.exp(0.3))

        assert abs(order_of(error, 2.0 ** -np.arange(3, 9)) - 2) < 0.01
        assert jax.vmap(error)(10.0 ** -jnp.array([9.0, 50.0, 200.0, 300.0])).max() < 1e-15

    def test_where_the_difference_cancels(self):
        """exp(x)/(sin³x + cos³x) at 1.5, the example of Squire and Trapp."""

        def f(t):
            return jnp.exp(t) / (jnp.sin(t) ** 3 + jnp.cos(t) ** 3)

        t = 1.5
        s, c = np.sin(t), np.cos(t)
        exact = np.exp(t) / (s**3 + c**3) * (1 - 3 * s * c * (s - c) / (s**3 + c**3))
        assert abs(complex_step(f, t, 1.0) / exact - 1) < 4e-7
        assert abs(central_difference(f, t, 1.0, step=1e-5) / exact - 1) > 1e-3

    def test_transforms(self):
        assert_transforms(lambda x, v: complex_step(bowl, x, v), TREE, TREE)
        slope = jax.grad(lambda t: complex_step(wave, t, v))(x)
        np.testing.assert_allclose(slope, jax.hessian(wave)(x) @ v, rtol=1e-5, atol=1e-6)

    def test_edges(self):
        assert jnp.isnan(complex_step(jnp.sin, jnp.nan, 1.0))
        assert complex_step(wave, x, 0 * v) == 0
        assert complex_step(lambda t: t / 1e20, 1.0, 1.0) == np.float32(1e-20)


class TestFiniteDifferenceGradient:
    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize(
        ("method", "error"), [("central", 1e-9), ("richardson", 1e-12), ("complex", 1e-15)]
    )
    def test_reference(self, method, error):
        tree = jax.tree.map(lambda a: a.astype(jnp.float64), TREE)
        estimate = finite_difference_gradient(bowl, tree, method=method, chunk=3)
        exact = gradient(bowl)(tree)
        assert jax.tree.structure(estimate) == jax.tree.structure(exact)
        for ours, theirs in zip(jax.tree.leaves(estimate), jax.tree.leaves(exact), strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_allclose(ours, theirs, rtol=error, atol=error)

    def test_law_that_chunks_do_not_matter(self):
        whole = finite_difference_gradient(wave, x, step=0.25, chunk=64)
        np.testing.assert_array_equal(
            whole, finite_difference_gradient(wave, x, step=0.25, chunk=2)
        )
        exact = [central_difference(wave, x, e, step=0.25) for e in jnp.eye(3)]
        np.testing.assert_allclose(whole, exact, rtol=1e-6)

    def test_keeps_dtypes(self):
        mixed = {"half": x.astype(jnp.bfloat16), "single": x}
        slope = finite_difference_gradient(
            lambda t: wave(t["half"]) + wave(t["single"]), mixed, step=2.0**-6
        )
        assert slope["half"].dtype == jnp.bfloat16
        assert slope["single"].dtype == jnp.float32
        np.testing.assert_allclose(slope["single"], gradient(wave)(x), atol=1e-3)

    def test_transforms(self):
        assert_transforms(lambda t: finite_difference_gradient(bowl, t, step=0.25), TREE)

    def test_edges(self):
        empty = finite_difference_gradient(lambda t: jnp.sum(t), jnp.zeros((0, 2)))
        assert empty.shape == (0, 2)
        lost = finite_difference_gradient(wave, x.at[1].set(jnp.nan))
        assert jnp.isnan(lost).all()
