"""What all normalisations compute by: when it is done again with care."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.layers import NormParams, layer_norm
from fnmath.layers.normalization import _standard
from fnmath.layers.normalization._standard import Over

ROWS = Over((1,))


def plain(seed=0):
    return jax.random.normal(jax.random.key(seed), (4, 64))


@pytest.mark.parametrize(
    ("x", "epsilon", "enough"),
    [
        (plain(), 1e-5, True),
        (plain() + 100, 1e-5, True),
        (plain() * 1e15, 0.0, True),
        (plain().at[2].set(1e4), 1e-5, True),  # a row of numbers that are all alike
        (plain() + 1e7, 1e-5, False),  # the mean is as far off as the numbers are apart
        (plain() * 1e30, 1e-5, False),  # squares overflow
        (plain() * 1e-30, 0.0, False),  # they underflow, and nothing is added
        (plain().at[1].mul(1e30), 1e-5, False),
        (plain().at[1, 2].set(jnp.nan), 1e-5, False),
    ],
)
def test_what_is_enough(x, epsilon, enough):
    quick = _standard._quick(ROWS, x, None)
    assert bool(_standard._enough(quick, jnp.asarray(epsilon)).all()) is enough


@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e15])
@pytest.mark.parametrize("middle", [0.0, 1.0, 1e3])
def test_both_ways_agree(spread, middle):
    x, none = (plain() + middle) * spread, jnp.zeros(())
    quick, careful = _standard._quick(ROWS, x, None), _standard._careful(ROWS, x, none, None)
    assert _standard._enough(quick, none).all()
    zs = [(m.distances(x, None) - m.rest) / jnp.sqrt(m.square) for m in (quick, careful)]
    np.testing.assert_allclose(*zs, rtol=0, atol=2e-6)


def test_mapped_examples_choose_together():
    """A choice for each example would be no choice: both ways would be gone."""
    x = plain()
    params = NormParams(jnp.ones(64), jnp.zeros(64))
    mapped = jax.jit(jax.vmap(functools.partial(layer_norm, params)))
    assert " conditional(" in mapped.lower(x).compile().as_text()
    far = x.at[1].mul(1e30)
    np.testing.assert_array_equal(mapped(far)[::2], mapped(x)[::2])  # the others see none of it
    np.testing.assert_allclose(mapped(far)[1], mapped(x)[1], rtol=0, atol=1e-4)
