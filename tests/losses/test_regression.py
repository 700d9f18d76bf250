"""fnmath.losses, of numbers: values, laws, gradients and edges of each loss."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest

from fnmath.losses import (
    absolute_error,
    expectile_loss,
    huber_loss,
    l1_loss,
    l2_loss,
    log_cosh,
    pinball_loss,
    smooth_l1_loss,
    squared_error,
    total_variation,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

x = jnp.linspace(-3.0, 3.0, 4)
RESIDUALS = jnp.array([-1e30, -3.0, -1.0, -0.3, -1e-8, 0.0, 1e-8, 0.3, 1.0, 3.0, 1e30])
LOSSES = [
    squared_error,
    l2_loss,
    absolute_error,
    huber_loss,
    smooth_l1_loss,
    log_cosh,
    pinball_loss,
    expectile_loss,
]


def mistakes_of(loss):
    """What every loss of two arrays of one shape refuses."""
    name = loss.__name__
    return [
        Mistake(
            loss,
            (x, x[:, None]),
            {},
            ValueError,
            f"{name}: predictions (4,) and targets (4, 1) must have one shape; "
            "did you mean targets[:, 0]?",
        ),
        Mistake(
            loss,
            (x, x.astype(int)),
            {},
            TypeError,
            f"{name}: targets has dtype int32; wanted a floating dtype; "
            "did you mean targets.astype(jnp.float32)?",
        ),
        Mistake(
            loss,
            ([1.0], x),
            {},
            TypeError,
            f"{name}: predictions is a list; wanted an array; "
            "did you mean jnp.asarray(predictions)?",
        ),
    ]


MISTAKES = [
    *(mistake for loss in LOSSES for mistake in mistakes_of(loss)),
    Mistake(
        huber_loss,
        (x, x),
        {"delta": 0},
        ValueError,
        "huber_loss: delta is 0; wanted a number in (0, inf)",
    ),
    Mistake(
        smooth_l1_loss,
        (x, x),
        {"beta": -1.0},
        ValueError,
        "smooth_l1_loss: beta is -1.0; wanted a number in [0, inf)",
    ),
    Mistake(
        pinball_loss,
        (x, x),
        {"quantile": 1},
        ValueError,
        "pinball_loss: quantile is 1; wanted a number in (0, 1)",
    ),
    Mistake(
        expectile_loss,
        (x, x),
        {"expectile": jnp.full(3, 0.5)},
        ValueError,
        "expectile_loss: expectile (3,) must broadcast to predictions (4,)",
    ),
    Mistake(
        total_variation,
        (x,),
        {},
        ValueError,
        "total_variation: x has shape (4,); wanted at least 3 axes, (*batch height width channels)",
    ),
    Mistake(
        total_variation,
        (jnp.ones((2, 2, 1)),),
        {"isotropic": 1},
        TypeError,
        "total_variation: isotropic is 1 (int); wanted True or False",
    ),
]


def assert_slope(loss, slope, y, t):
    """∂ℓ/∂y = slope(r) = −∂ℓ/∂t."""
    loss = jax.jit(loss)
    assert_gradient(lambda pair: loss(*pair), lambda pair: (slope(y - t), -slope(y - t)), (y, t))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
class TestEveryLossOfTheResidual:
    def test_depends_on_the_residual_alone(self, loss):
        y, t = jnp.arange(-4.0, 4.0), jnp.full(8, 2.0)
        np.testing.assert_array_equal(loss(y, t), loss(y - t, jnp.zeros(8)))
        np.testing.assert_array_equal(loss(y, t), loss(t, y))

    def test_transforms(self, loss):
        assert_transforms(loss, RESIDUALS, jnp.ones_like(RESIDUALS))

    def test_edges(self, loss):
        assert loss(jnp.zeros((0,)), jnp.zeros((0,))).shape == (0,)
        assert loss(jnp.zeros((2, 3)), jnp.zeros((2, 3))).shape == (2, 3)
        assert loss(jnp.array(jnp.inf), jnp.zeros(())) == jnp.inf
        assert jnp.isnan(loss(jnp.array(jnp.nan), jnp.zeros(())))
        assert jnp.isnan(jax.grad(loss)(jnp.array(jnp.nan), jnp.zeros(())))
        for dtype in [jnp.bfloat16, jnp.float16]:
            half = jnp.ones(2, dtype)
            assert loss(half, half).dtype == dtype
        assert loss(jnp.full(1, 300, jnp.float16), jnp.zeros(1, jnp.float16)) > 100  # r² overflows

    @pytest.mark.usefixtures("annotations_unproved")
    def test_numpy_and_numbers_give_arrays_of_jax(self, loss):
        for one in (1.0, np.float32(1), np.ones(2, np.float32)):
            assert isinstance(loss(one, 0 * one), jax.Array)

    def test_gradient_at_a_tiny_residual(self, loss):
        """Twice, once or sign of it, and not 0; optax's Huber loss gives 0 in reverse mode."""
        others = {squared_error: 2e-8, absolute_error: 1.0, pinball_loss: 0.5}
        slope = others.get(loss, 1e-8)
        for derivative in [jax.grad, jax.jacfwd]:
            assert derivative(loss)(jnp.float32(1e-8), jnp.float32(0)) == np.float32(slope)


class TestSquaredError:
    @pytest.mark.last_digits
    def test_reference(self):
        ours = squared_error(RESIDUALS, jnp.ones_like(RESIDUALS))
        assert_within_ulp(ours, (np.float64(RESIDUALS) - 1) ** 2, 2)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        y, t = jnp.array([-3.0, 1e-8, 0.1, 3.0]), jnp.full(4, 0.1)
        assert_slope(squared_error, lambda r: 2 * r, y, t)


class TestL2Loss:
    @pytest.mark.last_digits
    def test_reference(self):
        ours = l2_loss(RESIDUALS, jnp.ones_like(RESIDUALS))
        assert_within_ulp(ours, (np.float64(RESIDUALS) - 1) ** 2 / 2, 2)

    @pytest.mark.last_digits
    def test_overflows_only_where_the_loss_does(self):
        """Here r² is past the largest float32, half of it is not."""
        assert_within_ulp(l2_loss(jnp.float32(2.5e19), jnp.float32(0)), 3.125e38, 2)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        y, t = jnp.array([-3.0, 1e-8, 0.1, 3.0]), jnp.full(4, 0.1)
        assert_slope(l2_loss, lambda r: r, y, t)


class TestAbsoluteError:
    @pytest.mark.last_digits
    def test_reference(self):
        ours = absolute_error(RESIDUALS, jnp.ones_like(RESIDUALS))
        assert_within_ulp(ours, np.abs(np.float64(RESIDUALS) - 1), 1)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        y, t = jnp.array([-3.0, 1e-3, 3.0]), jnp.full(3, 0.1)
        assert_slope(absolute_error, jnp.sign, y, t)

    def test_gradient_at_the_kink(self):
        one = jnp.array(1.0)
        assert jax.grad(absolute_error)(one, one) == 0
        assert jax.jacfwd(absolute_error)(one, one) == 0


class TestHuberLoss:
    @pytest.mark.last_digits
    def test_reference(self):
        ours = huber_loss(RESIDUALS, jnp.zeros_like(RESIDUALS), 0.5)
        assert_within_ulp(ours, optax.losses.huber_loss(np.float64(RESIDUALS), delta=0.5), 2)

    def test_law_between_its_two_pieces(self):
        loss = huber_loss(RESIDUALS, jnp.zeros_like(RESIDUALS))
        assert (loss >= 0).all()
        assert (loss <= jnp.abs(RESIDUALS)).all()

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        y, t = jnp.array([-3.0, -0.3, 1e-8, 0.3, 3.0]), jnp.full(5, 0.1)
        loss = functools.partial(huber_loss, delta=0.5)
        assert_slope(loss, lambda r: jnp.clip(r, -0.5, 0.5), y, t)


class TestHuberLossAtItsEdges:
    def test_gradient_of_an_infinite_residual_is_delta(self):
        for r, slope in ((jnp.inf, 0.5), (-jnp.inf, -0.5)):
            assert jax.grad(huber_loss)(jnp.float32(r), jnp.float32(0), 0.5) == slope

    def test_delta_of_an_array(self):
        """Its gradient is max(|r| − δ, 0); it gives nan where it is not above 0."""
        r, delta = jnp.array([3.0, 0.1, 3.0]), jnp.array([1.0, 1.0, -1.0])
        loss = huber_loss(r, jnp.zeros(3), delta)
        np.testing.assert_allclose(loss[:2], [2.5, 0.005], rtol=1e-6)
        assert jnp.isnan(loss[2])
        slope = jax.grad(lambda d: huber_loss(r, jnp.zeros(3), d)[:2].sum())(delta)
        np.testing.assert_allclose(slope[:2], [2.0, 0.0])

    def test_delta_of_numpy_and_a_wide_one_are_refused(self):
        with pytest.raises(ValueError, match=r"huber_loss: delta is -1.0; wanted a number in"):
            huber_loss(jnp.ones(3), jnp.zeros(3), np.float64(-1))
        with pytest.raises(ValueError, match=r"delta \(3, 1\) must broadcast to predictions"):
            huber_loss(jnp.ones(3), jnp.zeros(3), jnp.ones((3, 1)))

    def test_gradient_of_delta(self):
        r = jnp.array([3.0, 0.1])
        slope = jax.grad(lambda delta: huber_loss(r, jnp.zeros(2), delta).sum())(jnp.float32(1))
        assert slope == 2


class TestSmoothL1Loss:
    @pytest.mark.last_digits
    def test_is_huber_over_its_width(self):
        ours = smooth_l1_loss(RESIDUALS, jnp.zeros_like(RESIDUALS), beta=0.25)
        huber = optax.losses.huber_loss(np.float64(RESIDUALS), delta=0.25)
        assert_within_ulp(ours, huber / 0.25, 1)

    def test_without_a_parabola_is_the_absolute_error(self):
        zeros = jnp.zeros_like(RESIDUALS)
        for beta in (0, jnp.zeros(())):
            loss = functools.partial(smooth_l1_loss, beta=beta)
            np.testing.assert_array_equal(loss(RESIDUALS, zeros), l1_loss(RESIDUALS, zeros))
            slope = jax.grad(lambda y, loss=loss: loss(y, zeros).sum())(RESIDUALS)
            np.testing.assert_array_equal(slope, jnp.sign(RESIDUALS))

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        y, t = jnp.array([-3.0, -0.3, 1e-8, 0.3, 3.0]), jnp.full(5, 0.1)
        loss = functools.partial(smooth_l1_loss, beta=0.5)
        assert_slope(loss, lambda r: jnp.clip(r / 0.5, -1, 1), y, t)
        by_beta = lambda beta: -0.5 * jnp.minimum(jnp.abs(y - t) / beta, 1) ** 2  # noqa: E731
        of_beta = jax.jit(lambda beta: smooth_l1_loss(y, t, beta=beta))
        assert_gradient(of_beta, by_beta, jnp.full(5, 0.5))

    def test_negative_widths_of_an_array_give_nan(self):
        assert jnp.isnan(smooth_l1_loss(x, x, beta=jnp.full(4, -1.0))).all()


def exact_log_cosh(r):
    with mpmath.workdps(60):
        return float(mpmath.log(mpmath.cosh(mpmath.mpf(float(r)))))


@pytest.mark.last_digits
class TestLogCosh:
    RESIDUALS = np.float32(
        [1e-18, 1e-8, 3e-4, 0.015, 0.3, 0.5, 0.99, 1, 1.01, 2, 5, 20, 88, 90, 1e4, 1e30]
    )

    @pytest.mark.slow
    def test_reference(self):
        ours = log_cosh(jnp.asarray(self.RESIDUALS), jnp.zeros(16))
        assert_within_ulp(ours, [exact_log_cosh(r) for r in self.RESIDUALS], 2)
        slope = jax.vmap(jax.grad(log_cosh))(self.RESIDUALS, jnp.zeros(16))
        assert_within_ulp(slope, np.tanh(np.float64(self.RESIDUALS)), 4)

    def test_second_derivative_in_the_tail(self):
        """4 exp(−2r) at r = 20, where 1 − tanh² r is 0."""
        bend = jax.grad(jax.grad(log_cosh))(jnp.float32(20), jnp.float32(0))
        assert_within_ulp(bend, 1 / np.cosh(20.0) ** 2, 4)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        y, t = jnp.array([-30.0, -3.0, -0.3, 1e-8, 0.9, 3.0]), jnp.full(6, 0.1)
        assert_slope(log_cosh, jnp.tanh, y, t)
        r = jnp.linspace(-2, 2, 41)
        assert_within_ulp(log_cosh(r, 0 * r), [exact_log_cosh(a) for a in r], 2)


class TestPinballLoss:
    @pytest.mark.last_digits
    def test_reference(self):
        r = np.float64(RESIDUALS)
        ours = pinball_loss(RESIDUALS, jnp.zeros_like(RESIDUALS), quantile=0.999)
        assert_within_ulp(ours, np.maximum(-0.999 * r, (1 - 0.999) * r), 2)  # the level is rounded

    def test_law_of_the_best_constant(self):
        """It is least at the quantile of the targets: 0.7 of them lie below."""
        targets = jnp.linspace(0.0, 1.0, 101)
        losses = jax.vmap(lambda y: pinball_loss(y + 0 * targets, targets, quantile=0.7).sum())
        assert jnp.isclose(targets[jnp.argmin(losses(targets))], 0.7)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        y, t = jnp.array([-3.0, -0.3, 0.3, 3.0]), jnp.full(4, 0.1)
        loss = functools.partial(pinball_loss, quantile=0.9)
        assert_slope(loss, lambda r: jnp.where(r < 0, -0.9, 0.1), y, t)
        at = jnp.full(4, 0.9)
        assert_gradient(jax.jit(lambda q: pinball_loss(y, t, quantile=q)), lambda q: t - y, at)

    def test_edges(self):
        assert jax.grad(pinball_loss)(jnp.array(1.0), jnp.array(1.0)) == 0
        outside = pinball_loss(x, -x, quantile=jnp.array([0.0, 1.0, -1.0, jnp.nan]))
        assert jnp.isnan(outside).all()


class TestExpectileLoss:
    @pytest.mark.last_digits
    def test_reference(self):
        r = np.float64(RESIDUALS)
        ours = expectile_loss(RESIDUALS, jnp.zeros_like(RESIDUALS), expectile=0.999)
        assert_within_ulp(ours, np.where(r < 0, 0.999, 1 - 0.999) * r**2, 2)

    def test_law_of_the_best_constant(self):
        """At τ = ½ it is the mean; above, the two sides balance at odds τ : 1 − τ."""
        targets = jnp.array([0.0, 0.0, 0.0, 4.0])
        slope = jax.grad(lambda y: expectile_loss(y + 0 * targets, targets, expectile=0.75).sum())
        assert slope(jnp.float32(2)) == 0
        np.testing.assert_array_equal(expectile_loss(x, -x), l2_loss(x, -x))

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        y, t = jnp.array([-3.0, -0.3, 0.3, 3.0]), jnp.full(4, 0.1)
        loss = functools.partial(expectile_loss, expectile=0.9)
        assert_slope(loss, lambda r: 2 * jnp.where(r < 0, 0.9, 0.1) * r, y, t)
        by_level = lambda q: jnp.sign(t - y) * (t - y) ** 2  # noqa: E731
        at = jnp.full(4, 0.9)
        assert_gradient(jax.jit(lambda q: expectile_loss(y, t, expectile=q)), by_level, at)

    def test_levels_of_an_array_outside_give_nan(self):
        assert jnp.isnan(expectile_loss(x, -x, expectile=jnp.array([0.0, 1.0, -1.0, 2.0]))).all()


def steps_of(image):
    """The differences to the next pixel, 0 at the last one, by numpy."""
    down, right = (np.zeros_like(image) for _ in range(2))
    down[..., :-1, :, :] = np.diff(image, axis=-3)
    right[..., :, :-1, :] = np.diff(image, axis=-2)
    return down, right


class TestTotalVariation:
    IMAGE = jax.random.normal(jax.random.key(0), (2, 5, 4, 3))

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_reference(self):
        down, right = steps_of(np.float64(self.IMAGE))
        plain = (np.abs(down) + np.abs(right)).sum((1, 2, 3))
        assert_within_ulp(total_variation(self.IMAGE), plain, 8)
        round_ = np.hypot(down, right).sum((1, 2, 3))
        assert_within_ulp(total_variation(self.IMAGE, isotropic=True), round_, 8)

    def test_law_of_a_signal(self):
        """A rising signal varies by its rise; of one axis both kinds are the same."""
        signal = jnp.cumsum(jnp.ones((6, 2)), 0)
        for isotropic in (False, True):
            assert total_variation(signal, spatial=1, isotropic=isotropic) == 10

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        image = np.float64(self.IMAGE)

        def slope(image, isotropic):
            down, right = steps_of(image)
            length = np.hypot(down, right) if isotropic else 1
            d, r = (
                np.where(s == 0, 0, (s if isotropic else np.sign(s)) / np.where(s == 0, 1, length))
                for s in (down, right)
            )
            before = (np.roll(d, 1, -3), np.roll(r, 1, -2))  # the last step of all is 0
            return (before[0] - d) + (before[1] - r)

        for isotropic in (False, True):
            f = jax.jit(functools.partial(total_variation, isotropic=isotropic))
            assert_gradient(f, functools.partial(slope, isotropic=isotropic), image)

    def test_a_flat_image_is_at_rest(self):
        for isotropic in (False, True):
            f = jax.jit(functools.partial(total_variation, isotropic=isotropic))
            for derivative in (jax.grad, jax.jacfwd):
                np.testing.assert_array_equal(derivative(f)(jnp.ones((3, 3, 1))), 0)

    @pytest.mark.slow
    def test_transforms_and_edges(self):
        assert_transforms(lambda x: total_variation(x, isotropic=True), self.IMAGE)
        for shape in ((0, 3, 3, 1), (2, 0, 3, 1), (2, 1, 1, 1)):
            assert (total_variation(jnp.ones(shape)) == jnp.zeros(shape[0])).all()
        assert jnp.isnan(total_variation(jnp.full((2, 2, 1), jnp.nan)))
        ones = jnp.zeros((300, 300, 1), jnp.bfloat16).at[::2].set(1)
        assert total_variation(ones) == jnp.bfloat16(299 * 300)
