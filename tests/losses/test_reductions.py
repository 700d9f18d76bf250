"""fnmath.losses.mean: weighted and masked, right where nothing counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.losses import mean
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

losses = jnp.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
weights = jnp.array([[0.5, 0.0, 2.0], [1.0, 1.0, 3.0]])

MISTAKES = [
    Mistake(
        mean,
        (jnp.arange(3),),
        {},
        TypeError,
        "mean: losses has dtype int32; wanted a floating dtype; "
        "did you mean losses.astype(jnp.float32)?",
    ),
    Mistake(
        mean,
        (losses,),
        {"where": weights},
        TypeError,
        "mean: where has dtype float32; wanted bool; did you mean where != 0?",
    ),
    Mistake(
        mean,
        (losses,),
        {"weights": -1.0},
        ValueError,
        "mean: weights is -1.0; wanted a number in [0, inf)",
    ),
    Mistake(
        mean,
        (losses,),
        {"weights": jnp.ones((2, 1, 1))},
        ValueError,
        "mean: weights (2, 1, 1) must broadcast to losses (2, 3)",
    ),
    Mistake(
        mean,
        (losses,),
        {"axis": 2},
        ValueError,
        "mean: axis is 2; wanted an axis of the shape (2, 3)",
    ),
]


@pytest.mark.slow
@pytest.mark.last_digits
def test_reference():
    for axis in (None, 0, -1, (0, 1)):
        ours = mean(losses, weights=weights + 0.25, axis=axis)
        theirs = np.average(np.float64(losses), axis, np.float64(weights) + 0.25)
        assert_within_ulp(ours, theirs, 2)
        assert_within_ulp(mean(losses, axis=axis), np.mean(np.float64(losses), axis), 1)


@pytest.mark.slow
@pytest.mark.last_digits
def test_a_mask_leaves_out_whatever_stands_there():
    strange = losses.at[:, 1].set(jnp.array([jnp.nan, jnp.inf]))
    where = jnp.array([True, False, True])
    f = jax.jit(lambda losses, weights: mean(losses, where=where, weights=weights))
    assert_within_ulp(f(strange, weights), np.average(losses[:, ::2], None, weights[:, ::2]), 1)
    for mode in (jax.grad, jax.jacfwd):
        for i in (0, 1):
            slope = mode(f, i)(strange, weights)
            assert (slope[:, 1] == 0).all()
            assert jnp.isfinite(slope).all()


@pytest.mark.slow
@pytest.mark.last_digits
@pytest.mark.parametrize("nothing", [{"where": False}, {"weights": 0.0}])
def test_where_nothing_counts_value_and_gradient_are_zero(nothing):
    options = {name: jnp.full(3, value) for name, value in nothing.items()}
    f = lambda losses: mean(losses, **options)  # noqa: E731
    for mode in (jax.grad, jax.jacfwd):
        assert f(jnp.ones(3)) == 0
        np.testing.assert_array_equal(mode(f)(jnp.ones(3)), 0)
    assert mean(jnp.zeros((0,))) == 0
    np.testing.assert_array_equal(mean(jnp.zeros((2, 0)), axis=1), 0)
    by_row = mean(losses, where=jnp.array([[True], [False]]), axis=1)
    assert_within_ulp(by_row, [7 / 3, 0], 1)


@pytest.mark.usefixtures("x64")
def test_gradient():
    pair = jnp.asarray(losses, float), jnp.asarray(weights, float) + 0.5

    def gradient(pair):
        values, w = pair
        m = np.average(values, None, w)
        return w / w.sum(), (values - m) / w.sum()

    assert_gradient(jax.jit(lambda pair: mean(pair[0], weights=pair[1])), gradient, pair)


@pytest.mark.slow
@pytest.mark.last_digits
def test_gradient_of_the_weights_does_not_cancel():
    """Of losses that are alike it is their difference to the mean, to the last place."""
    alike = jnp.float32([1000.0, 1000.001])
    slope = jax.grad(lambda w: mean(alike, weights=w))(jnp.ones(2))
    assert_within_ulp(slope, (np.float64(alike) - np.float64(alike).mean()) / 2, 1)


def test_edges():
    assert jnp.isnan(mean(losses, weights=jnp.array([1.0, 1.0, -1.0])))
    assert mean(losses, where=jnp.array([True, True, False]), weights=jnp.array([1, 1, -1.0])) > 0
    assert jnp.isnan(mean(jnp.array([1.0, jnp.nan])))
    assert mean(jnp.array(3.0)) == 3
    for dtype in (jnp.float16, jnp.bfloat16):
        many = jnp.full(70_000, 2, dtype)  # their sum is above the largest float16
        assert mean(many) == 2
        assert mean(many).dtype == dtype


def test_transforms():
    assert_transforms(lambda losses, w: mean(losses, weights=w, axis=-1), losses, weights)


def test_both_modes_agree_beside_an_infinite_loss():
    losses = jnp.array([1.0, jnp.inf])
    value, slope = jax.jvp(mean, (losses,), (jnp.array([1.0, 0.0]),))
    assert value == jnp.inf
    assert slope == 0.5
    np.testing.assert_array_equal(jax.grad(mean)(losses), [0.5, 0.5])
