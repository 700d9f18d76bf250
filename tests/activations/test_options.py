"""The options and kinks of the elementwise activations, their laws, and the mistakes they name."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath import activations
from fnmath.activations import (
    ACTIVATIONS,
    celu,
    elu,
    gelu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    prelu,
    relu,
    relu6,
    sigmoid,
    silu,
    sinusoid,
    soft_shrink,
    soft_sign,
    softplus,
    squareplus,
    tanh,
    threshold,
)
from tests.helpers import Mistake, assert_within_ulp

x = jnp.linspace(-3.0, 3.0, 4)
wrong = jnp.ones(3)


def integers(f, *args):
    message = f"{f.__name__}: x has dtype int32; wanted a floating dtype"
    cure = "; did you mean x.astype(jnp.float32)?"
    return Mistake(f, (x.astype(int), *args), {}, TypeError, message + cure)


def bad(f, argument, given, message, error=ValueError, **others):
    text = f"{f.__name__}: {argument} {message}"
    return Mistake(f, (x,), others | {argument: given}, error, text)


MISTAKES = [
    *map(integers, ACTIVATIONS.values()),
    integers(prelu, 0.1),
    integers(threshold, 0.0, 0.0),
    Mistake(
        sigmoid,
        ([1.0],),
        {},
        TypeError,
        "sigmoid: x is a list; wanted an array; did you mean jnp.asarray(x)?",
    ),
    bad(leaky_relu, "negative_slope", "0.1", "is '0.1' (str); wanted a number", TypeError),
    bad(leaky_relu, "negative_slope", wrong, "(3,) must broadcast to x (4,)"),
    bad(prelu, "slope", wrong, "(3,) must broadcast to x (4,)"),
    bad(prelu, "slope", np.inf, "is inf; wanted a number in (-inf, inf)"),
    bad(elu, "alpha", -1.0, "is -1.0; wanted a number in [0, inf)"),
    bad(celu, "alpha", 0.0, "is 0.0; wanted a number in (0, inf)"),
    bad(celu, "alpha", None, "is None (NoneType); wanted a number", TypeError),
    bad(squareplus, "b", -4, "is -4; wanted a number in [0, inf)"),
    bad(hard_shrink, "lambd", -0.5, "is -0.5; wanted a number in [0, inf)"),
    bad(soft_shrink, "lambd", -0.5, "is -0.5; wanted a number in [0, inf)"),
    bad(threshold, "threshold", np.nan, "is nan; wanted a number in (-inf, inf)", value=0.0),
    bad(threshold, "value", wrong, "(3,) must broadcast to x (4,)", threshold=0.0),
    bad(sinusoid, "omega", np.inf, "is inf; wanted a number in (-inf, inf)"),
    bad(gelu, "approximate", "tanh", "is 'tanh' (str); wanted True or False", TypeError),
]

gelu_erf = functools.partial(gelu, approximate=False)


class TestKinks:
    @pytest.mark.parametrize(
        ("f", "kink", "slope"),
        [
            (relu, 0.0, 0.0),
            (relu6, 0.0, 0.0),
            (relu6, 6.0, 0.0),
            (leaky_relu, 0.0, 1.0),
            (hard_tanh, 1.0, 1.0),
            (hard_tanh, -1.0, 1.0),
            (hard_sigmoid, 3.0, 0.0),
            (hard_silu, -3.0, 0.0),
            (hard_silu, 3.0, 1.0),
            (hard_shrink, 0.5, 0.0),
            (soft_shrink, -0.5, 0.0),
            (elu, 0.0, 1.0),
        ],
        ids=lambda v: getattr(v, "__name__", v),
    )
    def test_the_slope_that_is_documented(self, f, kink, slope):
        for derivative in (jax.grad(f), jax.jacfwd(f)):
            assert derivative(jnp.array(kink)) == slope

    def test_a_unit_that_is_off_passes_nothing_on(self):
        _, pull_back = jax.vjp(relu, jnp.array([-1.0, 1.0]))
        np.testing.assert_array_equal(pull_back(jnp.array([jnp.inf, 2.0]))[0], [0, 2])

    def test_squareplus_of_no_width_is_relu(self):
        ends = jnp.array([-jnp.inf, -2.0, 0.0, 2.0, jnp.inf])
        value, slope = jax.vmap(jax.value_and_grad(functools.partial(squareplus, b=0.0)))(ends)
        np.testing.assert_array_equal(value, relu(ends))
        np.testing.assert_array_equal(slope, [0, 0, 0.5, 1, 1])


class TestOptions:
    @pytest.mark.usefixtures("x64")
    def test_derivatives_by_the_options(self):
        """The lines ∂f/∂a, ∂f/∂α, ∂f/∂b and ∂f/∂ω."""
        x = jnp.array([-3.0, -0.5, 0.25, 2.0])
        below = jnp.minimum(x, 0)

        def by_option(f):
            return lambda a: f(x, a)

        a = jnp.array([0.5, 1.25, 0.75, 2.0])
        expected = {
            leaky_relu: below,
            prelu: below,
            elu: jnp.expm1(below),
            celu: jnp.where(x > 0, 0, jnp.exp(below / a) * (1 - below / a) - 1),
            squareplus: 0.25 / jnp.sqrt(x**2 + a),
        }
        fs = {f: by_option(f) for f in expected}
        fs[sinusoid] = lambda w: sinusoid(x, omega=w)
        expected[sinusoid] = x * jnp.cos(a * x)

        @jax.jit
        def both_modes(a):
            one = jnp.ones_like(a)
            return [(jax.vjp(f, a)[1](one)[0], jax.jvp(f, (a,), (one,))[1]) for f in fs.values()]

        for (f, line), modes in zip(expected.items(), both_modes(a), strict=True):
            for slope in modes:
                np.testing.assert_allclose(slope, line, rtol=1e-13, err_msg=f.__name__)

    def test_one_slope_for_each_feature(self):
        rows = -jnp.ones((2, 3))
        slopes = jnp.array([0.1, 0.2, 0.0])
        np.testing.assert_array_equal(prelu(rows, slopes), jnp.stack([-slopes, -slopes]))
        gradient = jax.grad(lambda a: prelu(rows, a).sum())(slopes)
        np.testing.assert_array_equal(gradient, [-2, -2, -2])

    def test_a_slope_of_0_at_minus_infinity(self):
        for slope in (0.0, jnp.zeros(())):
            value, by_x = jax.value_and_grad(leaky_relu)(jnp.array(-jnp.inf), slope)
            assert value == by_x == 0

    def test_the_exponent_of_celu_is_right_far_out(self):
        """−47 / 0.7 is rounded by 3·10⁻⁶, which would be 20 ULP of exp(−67)."""
        alpha = np.float32(0.7)
        numbers = np.linspace(-60, -1, 400, dtype=np.float32)
        slopes = jax.jit(jax.vmap(jax.grad(functools.partial(celu, alpha=float(alpha)))))(numbers)
        assert_within_ulp(slopes, np.exp(np.float64(numbers) / np.float64(alpha)), 3)

    def test_the_phase_of_a_wave_is_right_far_out(self):
        numbers = np.linspace(1, 3e4, 5000, dtype=np.float32)
        waves = jax.jit(sinusoid)(numbers)
        exact = np.sin(30 * np.float64(numbers))
        np.testing.assert_allclose(waves, exact, rtol=2e-7, atol=4e-9)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_tails_in_double_precision(self):
        """Products are normal numbers where their exponential is not: e⁻⁷¹⁰ = 4.5·10⁻³⁰⁹."""
        assert_within_ulp(silu(jnp.array([-710.0])), -710 * np.exp(-300.0) * np.exp(-410.0), 8)
        slope = jax.grad(functools.partial(elu, alpha=100.0))(jnp.array(-710.0))
        assert_within_ulp(slope, 100 * np.exp(-300.0) * np.exp(-410.0), 8)


class TestWidth:
    @pytest.mark.slow
    def test_a_wide_bend(self):
        """Of any b > 0: at b = 10³⁶ its root is as large as the numbers whose squares overflow."""
        b = np.float32([1e-30, 1e-3, 4, 1e20, 1e26, 1e30, 1e36, 3e38])[:, None]
        x = np.sqrt(b) * np.float32([-1e4, -100, -3, -1, -0.1, 0, 1e-5, 0.1, 1, 3, 100, 1e10])
        x, b = (a[np.isfinite(x)] for a in np.broadcast_arrays(x, b))
        wide, width = np.float64(x), np.float64(b)
        r = np.sqrt(np.square(wide) + width)
        value = np.where(x < 0, width / 2 / (r + np.abs(wide)), (wide + r) / 2)
        assert_within_ulp(jax.jit(squareplus)(x, b), value, 4)
        for mode in (jax.grad, jax.jacfwd):
            by_x, by_b = jax.jit(jax.vmap(mode(squareplus, (0, 1))))(x, b)
            assert_within_ulp(by_x, value / r, 4)
            assert_within_ulp(by_b, 0.25 / r, 4)
            bend, twist = jax.jit(jax.vmap(mode(jax.grad(squareplus), (0, 1))))(x, b)
            assert_within_ulp(bend, width / 2 / r / r / r, 5)
            assert_within_ulp(twist, -wide / 4 / r / r / r, 5)


class TestLaws:
    numbers = jnp.linspace(-20.0, 20.0, 201)

    def test_sigmoid_of_the_opposite(self):
        np.testing.assert_allclose(sigmoid(self.numbers) + sigmoid(-self.numbers), 1, rtol=2e-7)

    def test_tanh_is_a_stretched_sigmoid(self):
        np.testing.assert_allclose(tanh(self.numbers), 2 * sigmoid(2 * self.numbers) - 1, atol=3e-7)

    @pytest.mark.parametrize("f", [silu, gelu, gelu_erf, relu, softplus, squareplus, hard_silu])
    def test_what_comes_from_either_side_is_x(self, f):
        """F(x) − f(−x) = x, for the gates and for the smooth forms of relu."""
        difference = f(self.numbers) - f(-self.numbers)
        np.testing.assert_allclose(difference, self.numbers, rtol=5e-7, atol=2e-7)

    def test_the_two_forms_of_gelu(self):
        assert jnp.abs(gelu(self.numbers) - gelu_erf(self.numbers)).max() < 5e-4

    def test_softplus_lies_above_relu_by_at_most_log_2(self):
        excess = softplus(self.numbers) - relu(self.numbers)
        assert (excess >= 0).all()
        assert_within_ulp(softplus(jnp.zeros(1)), np.log(2), 1)
        assert excess.max() <= np.float32(np.log(2))

    def test_odd_functions_are_odd(self):
        for f in (tanh, soft_sign, soft_shrink, hard_tanh, sinusoid):
            np.testing.assert_array_equal(f(-self.numbers), -f(self.numbers))

    def test_hard_shrink_and_soft_shrink_are_proximal_operators(self):
        """Each the least, over a fine grid of y, of ½ (y − x)² plus its penalty."""
        x, y = np.linspace(-2, 2, 80)[:, None], np.linspace(-2, 2, 4001)
        half = (y - x) ** 2 / 2
        soft = y[np.argmin(half + 0.5 * np.abs(y), axis=1)]
        np.testing.assert_allclose(soft_shrink(jnp.asarray(x[:, 0])), soft, atol=1e-3)
        hard = y[np.argmin(half + 0.125 * (np.abs(y) > 1e-6), axis=1)]  # λ²/2 for each y ≠ 0
        np.testing.assert_allclose(hard_shrink(jnp.asarray(x[:, 0])), hard, atol=1e-3)


class TestOutsideTheDomain:
    @pytest.mark.slow
    def test_an_array_of_parameters_gives_nan(self):
        x, wrong = jnp.array([-1.0, 3.0]), jnp.array(-4.0)
        for f in (activations.elu, activations.celu, activations.squareplus):
            assert np.isnan(f(x, wrong)).all(), f.__name__
            assert np.isnan(jax.vmap(jax.grad(f), (0, None))(x, wrong)).all(), f.__name__
        for f in (activations.hard_shrink, activations.soft_shrink):
            assert np.isnan(f(x, wrong)).all(), f.__name__


class TestLevelOfCelu:
    @pytest.mark.slow
    def test_derivative_by_the_level_does_not_cancel(self):
        """(1 − q) e^q − 1 = −½ q² − … at a small q = x/α, and −1 and 0 far out."""
        by_level = jax.grad(activations.celu, 1)
        at = jnp.float32
        np.testing.assert_allclose(by_level(at(-1e-4), at(1.0)), -4.9996667e-9, rtol=3e-7)
        assert by_level(at(-1e38), at(0.1)) == -1
        numbers = np.random.default_rng(0).uniform(-80, 0, 400).astype(np.float32)
        levels = np.exp(np.linspace(-3, 3, 400, dtype=np.float32))
        numbers = numbers * levels
        q, a = np.float64(numbers) / np.float64(levels), np.float64(levels)
        exact = {
            (1,): np.exp(q) * (1 - q) - 1,
            (1, 0): -q / a * np.exp(q),
            (1, 1): q**2 / a * np.exp(q),
        }
        for mode in (jax.grad, jax.jacfwd):
            for order, expected in exact.items():
                f = activations.celu
                for argument in order:
                    f = mode(f, argument)
                assert_within_ulp(jax.jit(jax.vmap(f))(numbers, levels), expected, 4)
        hessian = jax.hessian(activations.celu, (0, 1))(at(-1e20), at(1.0))
        np.testing.assert_array_equal(jax.tree.leaves(hessian), np.zeros(4))
