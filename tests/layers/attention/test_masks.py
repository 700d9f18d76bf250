"""fnmath.layers.attention.masks: which query sees which key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.layers import causal_mask, padding_mask, window_mask
from tests.helpers import Mistake

KEY = jax.random.key(0)
INTEGERS = jnp.array([1, 2])

MISTAKES = [
    Mistake(
        causal_mask, (3.0, 3), {}, TypeError,
        "causal_mask: queries is 3.0 (float); wanted an integer",
    ),
    Mistake(
        causal_mask, (3, 3), {"window": -1}, ValueError,
        "causal_mask: window is -1; wanted an integer of at least 0",
    ),
    Mistake(
        causal_mask, (3, 3), {"offset": INTEGERS}, ValueError,
        "causal_mask: offset has shape (2,); wanted exactly 0 axes, ()",
    ),
    Mistake(
        window_mask, (3, 3), {"window": 1.5}, TypeError,
        "window_mask: window is 1.5 (float); wanted an integer",
    ),
    Mistake(
        window_mask, (3, 3), {"window": (1, 2, 3)}, ValueError,
        "window_mask: window is (1, 2, 3); wanted (before, behind)",
    ),
    Mistake(
        window_mask, (3, 3), {"window": (1, -2)}, ValueError,
        "window_mask: window[1] is -2; wanted an integer of at least 0",
    ),
    Mistake(
        padding_mask, (jnp.ones(2), 3), {}, TypeError,
        "padding_mask: lengths has dtype float32; wanted an integer dtype; "
        "did you mean lengths.astype(jnp.int32)?",
    ),
    Mistake(
        padding_mask, (INTEGERS, -3), {}, ValueError,
        "padding_mask: size is -3; wanted an integer of at least 0",
    ),
]  # fmt: skip


@pytest.mark.parametrize("offset", [-2, 0, 3])
@pytest.mark.parametrize("window", [None, 0, 2])
def test_causal_mask(offset, window):
    mask = np.asarray(causal_mask(4, 6, window=window, offset=offset))
    for t in range(4):
        for s in range(6):
            back = t + offset - s
            assert mask[t, s] == (back >= 0 and (window is None or back <= window))


@pytest.mark.parametrize("window", [0, 2, (1, 0), (0, 9)])
def test_window_mask(window):
    mask = np.asarray(window_mask(5, 4, window=window, offset=1))
    before, behind = window if isinstance(window, tuple) else (window, window)
    for t in range(5):
        for s in range(4):
            assert mask[t, s] == (-before <= s - (t + 1) <= behind)


def test_equals_the_windows_of_jax_nn():
    from jax._src.nn.functions import _get_window_mask

    theirs = _get_window_mask(7, 5, (2, 1))[0, 0]
    np.testing.assert_array_equal(window_mask(7, 5, window=(2, 1)), theirs)


def test_masks_combine():
    both = causal_mask(5, 5) & window_mask(5, 5, window=(2, 4))
    np.testing.assert_array_equal(both, causal_mask(5, 5, window=2))


def test_padding_mask():
    mask = padding_mask(jnp.array([[0, 2], [9, -1]]), 3)
    expected = [[[0, 0, 0], [1, 1, 0]], [[1, 1, 1], [0, 0, 0]]]
    np.testing.assert_array_equal(mask, np.array(expected, bool))
    np.testing.assert_array_equal(padding_mask(np.array(2), 3), [True, True, False])


def test_an_offset_may_be_known_at_run_time_only():
    mask = jax.jit(lambda n: causal_mask(2, 6, offset=n) & window_mask(2, 6, window=3, offset=n))
    np.testing.assert_array_equal(mask(3), causal_mask(2, 6, window=3, offset=3))
    many = jax.vmap(lambda n: causal_mask(2, 6, offset=n))(jnp.arange(3))
    np.testing.assert_array_equal(many[2], causal_mask(2, 6, offset=2))


def test_edges():
    assert causal_mask(0, 3).shape == (0, 3)
    assert window_mask(3, 0, window=1).shape == (3, 0)
    assert padding_mask(jnp.zeros((0,), int), 4).shape == (0, 4)
