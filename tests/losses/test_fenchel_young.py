"""fnmath.losses, of Fenchel and Young: against the losses that they are, and against optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnmath.losses import (
    make_fenchel_young_loss,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
)
from fnmath.numerics import logsumexp
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

pytestmark = pytest.mark.slow  # most of it is spent in compiling

t = jnp.full((4, 3), 1 / 3)


def half_square(scores):
    """Ω* of all of space, of which the loss is ½ ‖θ‖² − ⟨θ, t⟩."""
    return 0.5 * jnp.sum(jnp.square(scores))


def call_of(max_fun):
    """The loss as a function that a row of MISTAKES can name."""

    def make_fenchel_young_loss(scores, targets):
        return LOSS(scores, targets)

    return make_fenchel_young_loss


LOSS = make_fenchel_young_loss(logsumexp, over_simplex=True)
MISTAKES = [
    Mistake(
        make_fenchel_young_loss,
        (3.0,),
        {},
        TypeError,
        "make_fenchel_young_loss: max_fun is a float; wanted a function",
    ),
    Mistake(
        make_fenchel_young_loss,
        (logsumexp,),
        {"over_simplex": 1},
        TypeError,
        "make_fenchel_young_loss: over_simplex is 1 (int); wanted True or False",
    ),
    Mistake(
        call_of(logsumexp),
        (t, t[0]),
        {},
        ValueError,
        "make_fenchel_young_loss: scores (4, 3) and targets (3,) must have one shape",
    ),
    Mistake(
        call_of(logsumexp),
        (t[0, 0], t[0, 0]),
        {},
        ValueError,
        "make_fenchel_young_loss: scores has shape (); wanted at least 1 axis, (*batch n); "
        "did you mean scores[None]?",
    ),
]
ROWS = jnp.array(
    [
        [17.0, 0.0, 0.0, -3.0],
        [0.0, 40.0, 0.0, -104.0],
        [1.0, 2.0, 3.0, 4.0],
        [88.0, 88.0, -88.0, 87.0],
        [50.1, -3.3, 0.7, 8.9],
        [-jnp.inf, 1.0, 2.0, 0.3],
    ]
)
rows, labels = np.nonzero(np.isfinite(ROWS))
SCORES, LABELS = ROWS[rows], jnp.array(labels)
ONE_HOT = jax.nn.one_hot(LABELS, 4)
BOTH_MODES = pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd], ids=["rev", "fwd"])


class TestMakeFenchelYoungLoss:
    @pytest.mark.last_digits
    def test_of_logsumexp_is_the_cross_entropy(self):
        """Of a score of 17 that is right, optax's loss is 0."""
        expected = softmax_cross_entropy_with_integer_labels(SCORES, LABELS)
        assert_within_ulp(jax.jit(LOSS)(SCORES, ONE_HOT), np.float64(expected), 3)

    @pytest.mark.last_digits
    @BOTH_MODES
    def test_its_gradient_is_that_of_the_cross_entropy(self, derivative):
        expected = jax.grad(lambda z: softmax_cross_entropy(z, ONE_HOT).sum())(SCORES)
        ours = jax.jit(derivative(lambda z: LOSS(z, ONE_HOT).sum()))(SCORES)
        assert_within_ulp(ours, np.float64(expected), 4)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("over_simplex", [False, True])
    def test_gradient(self, over_simplex):
        loss = jax.jit(make_fenchel_young_loss(logsumexp, over_simplex=over_simplex))

        def gradient(scores, t):
            return jax.nn.softmax(scores) - t

        scores = jnp.array([[1.0, 2.0, -0.5], [0.3, 0.3, 2.0]])
        t = jnp.array([[0.2, 0.7, 0.1], [1.0, 0.0, 0.0]])
        assert_gradient(loss, gradient, scores, t)
        by_target = jax.grad(lambda t: loss(scores, t).sum())(t)
        np.testing.assert_allclose(by_target, -scores, rtol=1e-12)
        mixed = jax.jacfwd(jax.grad(lambda z, t: loss(z, t).sum()), 1)(scores, t)
        along = jnp.array([[1.0, -3.0, 2.0], [0.5, 0.5, -1.0]])  # the targets keep their sum
        np.testing.assert_allclose(jnp.tensordot(mixed, along, 2), -along, atol=1e-12)

    @pytest.mark.usefixtures("x64")
    def test_agrees_with_optax(self):
        scores, targets = jax.random.normal(jax.random.key(0), (2, 2, 5, 3))
        for max_fun in [logsumexp, half_square]:
            ours = make_fenchel_young_loss(max_fun)(scores, targets)
            theirs = optax.losses.make_fenchel_young_loss(max_fun)(scores, targets)
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)

    def test_law_is_least_where_the_maximum_is_at_the_target(self):
        """For ½ ‖θ‖² that is θ = t, with the loss −½ ‖t‖²."""
        loss = make_fenchel_young_loss(half_square)
        target = jnp.array([0.5, -1.0])
        assert jax.grad(loss)(target, target).tolist() == [0, 0]
        np.testing.assert_allclose(loss(target, target), -half_square(target))

    def test_what_the_function_takes_besides_is_handed_on(self):
        loss = make_fenchel_young_loss(lambda scores, scale: scale * logsumexp(scores / scale))
        scores, target = jnp.array([1.0, 2.0]), jnp.array([0.0, 1.0])
        cold = loss(scores, target, 0.5)
        np.testing.assert_allclose(cold, 0.5 * np.log1p(np.exp(-2)), rtol=1e-5)
        np.testing.assert_allclose(loss(scores, target, scale=0.5), cold)

    def test_transforms(self):
        assert_transforms(LOSS, SCORES, ONE_HOT)

    def test_edges(self):
        assert LOSS(jnp.zeros((0, 3)), jnp.zeros((0, 3))).shape == (0,)
        never = LOSS(jnp.array([-jnp.inf, 0.0]), jnp.array([0.0, 1.0]))
        assert never == 0
        assert jnp.isnan(LOSS(jnp.array([jnp.nan, 0.0]), jnp.array([0.0, 1.0])))
        half = jnp.ones((2, 3), jnp.bfloat16)
        assert LOSS(half, half).dtype == jnp.bfloat16
