"""fnmath.losses, of numbers: values, laws, gradients and edges of each loss."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnmath.losses import absolute_error, huber_loss, l2_loss, squared_error
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

x = jnp.linspace(-3.0, 3.0, 4)
RESIDUALS = jnp.array([-1e30, -3.0, -1.0, -0.3, -1e-8, 0.0, 1e-8, 0.3, 1.0, 3.0, 1e30])
LOSSES = [squared_error, l2_loss, absolute_error, huber_loss]


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

    def test_gradient_at_a_tiny_residual(self, loss):
        """Twice, once or sign of it, and not 0; optax's Huber loss gives 0 in reverse mode."""
        slope = {squared_error: 2e-8, absolute_error: 1.0}.get(loss, 1e-8)
        for derivative in [jax.grad, jax.jacfwd]:
            assert derivative(loss)(jnp.float32(1e-8), jnp.float32(0)) == np.float32(slope)


class TestSquaredError:
    def test_reference(self):
        ours = squared_error(RESIDUALS, jnp.ones_like(RESIDUALS))
        assert_within_ulp(ours, (np.float64(RESIDUALS) - 1) ** 2, 2)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        y, t = jnp.array([-3.0, 1e-8, 0.1, 3.0]), jnp.full(4, 0.1)
        assert_slope(squared_error, lambda r: 2 * r, y, t)


class TestL2Loss:
    def test_reference(self):
        ours = l2_loss(RESIDUALS, jnp.ones_like(RESIDUALS))
        assert_within_ulp(ours, (np.float64(RESIDUALS) - 1) ** 2 / 2, 2)

    def test_overflows_only_where_the_loss_does(self):
        """Here r² is past the largest float32, half of it is not."""
        assert_within_ulp(l2_loss(jnp.float32(2.5e19), jnp.float32(0)), 3.125e38, 2)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        y, t = jnp.array([-3.0, 1e-8, 0.1, 3.0]), jnp.full(4, 0.1)
        assert_slope(l2_loss, lambda r: r, y, t)


class TestAbsoluteError:
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
