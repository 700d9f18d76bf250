"""fnmath.losses, of margins: values, laws, gradients and edges of each loss."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special

from fnmath.losses import (
    hinge_embedding_loss,
    hinge_loss,
    margin_ranking_loss,
    perceptron_loss,
    soft_margin_loss,
    sparsemax_loss,
)
from tests.helpers import Mistake, assert_transforms, assert_within_ulp
from tests.losses.slopes import assert_slope

x = jnp.linspace(-3.0, 3.0, 4)
integers = jnp.arange(4)
# Each loss with the name of its scores.
SIDED = {
    hinge_loss: "predictor_outputs",
    perceptron_loss: "predictor_outputs",
    soft_margin_loss: "predictions",
    hinge_embedding_loss: "predictions",
    sparsemax_loss: "logits",
}
THEIRS = {
    hinge_loss: optax.losses.hinge_loss,
    perceptron_loss: optax.losses.perceptron_loss,
    sparsemax_loss: optax.losses.sparsemax_loss,
}


def mistakes_of(loss, scores):
    name, sides = loss.__name__, "labels" if loss is sparsemax_loss else "targets"
    return [
        Mistake(
            loss,
            (integers, x),
            {},
            TypeError,
            f"{name}: {scores} has dtype int32; wanted a floating dtype; "
            f"did you mean {scores}.astype(jnp.float32)?",
        ),
        Mistake(
            loss,
            (x, x + 0j),
            {},
            TypeError,
            f"{name}: {sides} has dtype complex64; wanted real numbers",
        ),
        Mistake(
            loss,
            (x, x[:, None]),
            {},
            ValueError,
            f"{name}: {scores} (4,) and {sides} (4, 1) must have one shape; "
            f"did you mean {sides}[:, 0]?",
        ),
    ]


MISTAKES = [
    *(mistake for loss, scores in SIDED.items() for mistake in mistakes_of(loss, scores)),
    Mistake(
        hinge_embedding_loss,
        (x, x),
        {"margin": "far"},
        TypeError,
        "hinge_embedding_loss: margin is 'far' (str); wanted a number",
    ),
    Mistake(
        hinge_embedding_loss,
        (x, x),
        {"margin": jnp.ones(3)},
        ValueError,
        "hinge_embedding_loss: margin (3,) must broadcast to predictions (4,)",
    ),
    Mistake(
        margin_ranking_loss,
        (x, integers, x),
        {},
        TypeError,
        "margin_ranking_loss: second has dtype int32; wanted a floating dtype; "
        "did you mean second.astype(jnp.float32)?",
    ),
    Mistake(
        margin_ranking_loss,
        (x, x, x > 0),
        {},
        TypeError,
        "margin_ranking_loss: targets has dtype bool; wanted real numbers",
    ),
    Mistake(
        margin_ranking_loss,
        (x, x, jnp.ones(())),
        {},
        ValueError,
        "margin_ranking_loss: first (4,) and targets () must have one shape",
    ),
]

SCORES = [0.0, 1e-8, 0.3, 0.999, 1.0, 1.001, 3.0, 17.0, 90.0, 1e4, 1e38]
Y, T = (
    jnp.asarray(a, jnp.float32).ravel()
    for a in np.meshgrid(np.float32([*SCORES, *(-s for s in SCORES)]), [1.0, -1.0])
)
LOSSES = list(SIDED)


def targets_of(loss, t):
    """The sides as the loss wants them: sparsemax_loss has 0 and 1."""
    return (t > 0).astype(int) if loss is sparsemax_loss else t


def exact(loss, y, t):
    """Value and ∂ℓ/∂y in double precision, by another way."""
    y, t = np.float64(y), np.float64(t)
    m = y * t
    with np.errstate(over="ignore"):
        return {
            hinge_loss: (np.clip(1 - m, 0, None), -t * (m < 1)),
            perceptron_loss: (np.clip(-m, 0, None), -t * (m < 0)),
            soft_margin_loss: (np.logaddexp(0, -m), -t * scipy.special.expit(-m)),
            hinge_embedding_loss: (
                np.where(t > 0, y, np.clip(1 - y, 0, None)),
                np.where(t > 0, 1.0, -1.0 * (y < 1)),
            ),
            sparsemax_loss: (
                np.where(m >= 1, 0, np.where(m <= -1, -m, (1 - m) ** 2 / 4)),
                -t * np.clip((1 - m) / 2, 0, 1),
            ),
        }[loss]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
class TestEveryLossOfAScoreAndASide:
    @pytest.mark.last_digits
    def test_reference(self, loss):
        value, _ = exact(loss, Y, T)
        assert_within_ulp(jax.jit(loss)(Y, targets_of(loss, T)), value, 2)

    @pytest.mark.last_digits
    def test_reference_gradient_in_both_modes(self, loss):
        _, gradient = exact(loss, Y, T)
        for derivative in [jax.grad, jax.jacfwd]:
            ours = jax.jit(jax.vmap(derivative(loss)))(Y, targets_of(loss, T))
            assert_within_ulp(ours, gradient, 2)

    @pytest.mark.last_digits
    @pytest.mark.usefixtures("x64")
    def test_gradient(self, loss):
        """The line Gradient, away from the kinks; and in double precision."""
        y, t = jnp.array([-3.0, -0.4, 0.3, 1.7, 20.0]), jnp.array([1.0, -1.0, 1.0, -1.0, 1.0])
        f = jax.jit(loss)
        assert_slope(f, lambda y, t: exact(loss, y, t_of(t))[1], y, targets_of(loss, t))
        assert_within_ulp(f(y, targets_of(loss, t)), exact(loss, y, t)[0], 4)

    def test_transforms(self, loss):
        assert_transforms(loss, Y, targets_of(loss, T))

    def test_edges(self, loss):
        one = targets_of(loss, jnp.array(1.0))
        assert loss(jnp.zeros((0, 3)), targets_of(loss, jnp.zeros((0, 3)))).shape == (0, 3)
        assert jnp.isnan(loss(jnp.array(jnp.nan), one))
        if loss is not hinge_embedding_loss:  # whose slope for likes is 1 whatever comes
            assert jnp.isnan(jax.grad(loss)(jnp.array(jnp.nan), one))
        for dtype in [jnp.bfloat16, jnp.float16]:
            half = jnp.ones(2, dtype)
            assert loss(half, targets_of(loss, half)).dtype == dtype
            assert loss(half, jnp.ones(2, int)).dtype == dtype

    def test_infinite_scores(self, loss):
        """The limits: 0 or ∞ on either side, with the slopes there."""
        y, t = jnp.array([jnp.inf, -jnp.inf] * 2), jnp.array([1.0, 1.0, -1.0, -1.0])
        value, slope = (0, jnp.inf, jnp.inf, 0), (0, -1, 1, 0)
        if loss is hinge_embedding_loss:
            value, slope = (jnp.inf, -jnp.inf, 0, jnp.inf), (1, 1, 0, -1)
        assert loss(y, targets_of(loss, t)).tolist() == list(value)
        assert jax.vmap(jax.grad(loss))(y, targets_of(loss, t)).tolist() == list(slope)

    def test_sides_may_be_integers(self, loss):
        np.testing.assert_array_equal(
            loss(Y, targets_of(loss, T).astype(int)), loss(Y, targets_of(loss, T))
        )

    def test_agrees_with_its_namesake(self, loss, torch):
        y, t = Y[jnp.abs(Y) < 80], T[jnp.abs(Y) < 80]  # PyTorch's exponential overflows at 90
        ours = loss(y, targets_of(loss, t))
        if loss in THEIRS:
            theirs = THEIRS[loss](y, targets_of(loss, t))
        else:
            name = loss.__name__
            theirs = getattr(torch.nn.functional, name)(
                torch.tensor(np.array(y)), torch.tensor(np.array(t)), reduction="none"
            ).numpy()
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def t_of(sides):
    """±1 from either way to write a side."""
    return jnp.where(sides > 0, 1.0, -1.0)


def test_laws():
    """The hinge bounds the perceptron's loss, and a soft margin is softer than either."""
    assert (hinge_loss(Y, T) >= perceptron_loss(Y, T)).all()
    assert (soft_margin_loss(Y, T) >= perceptron_loss(Y, T)).all()
    np.testing.assert_array_equal(hinge_loss(Y, T), hinge_loss(-Y, -T))
    np.testing.assert_array_equal(sparsemax_loss(Y, Y > 0), sparsemax_loss(-Y, Y <= 0))


@pytest.mark.parametrize("loss", [hinge_loss, perceptron_loss, soft_margin_loss])
def test_gradient_by_the_side(loss):
    """∂ℓ/∂t = y/t ∂ℓ/∂y, and 0 where the loss is flat, however large the score."""
    gradient = jax.vmap(jax.grad(loss, 1))
    y, t = Y[jnp.abs(Y) < 1e4], T[jnp.abs(Y) < 1e4]
    _, by_score = exact(loss, y, t)
    np.testing.assert_allclose(gradient(y, t), by_score * t * y, rtol=1e-6, atol=1e-37)
    assert gradient(jnp.array([jnp.inf]), jnp.ones(1)) == 0


def test_what_is_no_side():
    """Neither silently a like nor an other: nan, in the gradient too."""
    one = jnp.ones(())
    for loss, sides in [(hinge_embedding_loss, [0, 2]), (sparsemax_loss, [-1, 2])]:
        for side in sides:
            assert jnp.isnan(loss(one, jnp.array(side)))
            assert jnp.isnan(jax.grad(loss)(one, jnp.array(side)))


@pytest.mark.slow
def test_sparsemax_loss_to_second_order():
    z = jnp.array([-2.0, -0.5, 0.0, 0.9, 2.0])
    for outer in [jax.grad, jax.jacfwd]:
        second = jax.vmap(outer(jax.grad(sparsemax_loss)))(z, jnp.ones(5, bool))
        assert second.tolist() == [0, 0.5, 0.5, 0.5, 0]


def test_hinge_embedding_loss_with_a_margin_for_each():
    y, margin = jnp.array([0.5, 0.5]), jnp.array([1.0, 0.25])
    loss = hinge_embedding_loss(y, jnp.array([-1, -1]), margin=margin)
    assert loss.tolist() == [0.5, 0]


class TestMarginRankingLoss:
    first, second = jnp.array([1.0, 2.0, 1e4, -0.25, 0.3]), jnp.array([2.0, 1.0, -1e4, 0.5, 1.2999])
    t = jnp.array([1.0, 1.0, -1.0, -1.0, -1.0])

    @pytest.mark.last_digits
    @pytest.mark.parametrize("margin", [0.0, 0.25, 1.0])
    def test_reference(self, margin, torch):
        """The last pair differs by 1 within 10⁻⁴: what rounding took is a thousand ULP of that."""
        a, b, t = (np.float64(v) for v in (self.first, self.second, self.t))
        ours = margin_ranking_loss(self.first, self.second, self.t, margin=margin)
        assert_within_ulp(ours, np.clip(margin - t * (a - b), 0, None), 1)
        theirs = torch.nn.functional.margin_ranking_loss(
            *(torch.tensor(v) for v in (a, b, t)), margin=margin, reduction="none"
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        a, b, t = (jnp.asarray(v, jnp.float64)[:4] for v in (self.first, self.second, self.t))

        def gradient(pair):
            slope = jnp.where(t * (pair[0] - pair[1]) < 0.25, -t, 0)
            return slope, -slope

        loss = functools.partial(margin_ranking_loss, margin=0.25)
        assert_slope(lambda pair: loss(*pair, t), gradient, (a, b))

    def test_transforms_and_edges(self):
        f = margin_ranking_loss
        assert_transforms(f, self.first, self.second, self.t)
        assert f(jnp.zeros(0), jnp.zeros(0), jnp.zeros(0)).shape == (0,)
        assert jnp.isnan(f(jnp.array(jnp.nan), jnp.zeros(()), jnp.ones(())))
        assert f(jnp.array(-jnp.inf), jnp.zeros(()), jnp.ones(())) == jnp.inf
        assert jax.grad(f)(jnp.ones(()), jnp.ones(()), jnp.ones(())) == 0
        half = jnp.ones(2, jnp.bfloat16)
        assert f(half, half, jnp.ones(2, int)).dtype == jnp.bfloat16
