"""fnmath.losses: values, laws, gradients and edges of each loss."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnmath.losses import huber_loss
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

x = jnp.linspace(-3.0, 3.0, 4)
MISTAKES = [
    Mistake(
        huber_loss,
        (x, x[:, None]),
        {},
        ValueError,
        "huber_loss: predictions (4,) and targets (4, 1) must have one shape; "
        "did you mean targets[:, 0]?",
    ),
    Mistake(
        huber_loss,
        (x, x),
        {"delta": 0},
        ValueError,
        "huber_loss: delta is 0; wanted a number in (0, inf)",
    ),
    Mistake(
        huber_loss,
        (x, x.astype(int)),
        {},
        TypeError,
        "huber_loss: targets has dtype int32; wanted a floating dtype; "
        "did you mean targets.astype(jnp.float32)?",
    ),
    Mistake(
        huber_loss,
        ([1.0], x),
        {},
        TypeError,
        "huber_loss: predictions is a list; wanted an array; "
        "did you mean jnp.asarray(predictions)?",
    ),
]


class TestHuberLoss:
    residuals = jnp.array([-1e30, -3.0, -1.0, -0.3, -1e-8, 0.0, 1e-8, 0.3, 1.0, 3.0, 1e30])

    def test_reference(self):
        ours = huber_loss(self.residuals, jnp.zeros_like(self.residuals), 0.5)
        assert_within_ulp(ours, optax.losses.huber_loss(np.float64(self.residuals), delta=0.5), 2)

    def test_law_between_its_two_pieces(self):
        r = self.residuals
        loss = huber_loss(r, jnp.zeros_like(r))
        assert (loss >= 0).all()
        assert (loss <= jnp.abs(r)).all()
        np.testing.assert_array_equal(loss, huber_loss(-r, jnp.zeros_like(r)))

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        y, t = jnp.array([-3.0, -0.3, 1e-8, 0.3, 3.0]), jnp.full(5, 0.1)
        assert_gradient(
            lambda y, t: huber_loss(y, t, 0.5), lambda y, t: jnp.clip(y - t, -0.5, 0.5), y, t
        )
        assert_gradient(
            lambda t, y: huber_loss(y, t, 0.5), lambda t, y: -jnp.clip(y - t, -0.5, 0.5), t, y
        )

    def test_gradient_at_a_tiny_residual(self):
        """optax's is 0 here in reverse mode."""
        assert jax.grad(huber_loss)(jnp.float32(1e-8), jnp.float32(0)) == np.float32(1e-8)

    def test_transforms(self):
        assert_transforms(huber_loss, self.residuals, jnp.ones_like(self.residuals))

    def test_edges(self):
        assert huber_loss(jnp.zeros((0,)), jnp.zeros((0,))).shape == (0,)
        assert huber_loss(jnp.array(jnp.inf), jnp.zeros(())) == jnp.inf
        assert jnp.isnan(huber_loss(jnp.array(jnp.nan), jnp.zeros(())))
        half = jnp.ones(2, jnp.bfloat16)
        assert huber_loss(half, half).dtype == jnp.bfloat16
