"""fnmath.networks: LeNet-5."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.activations import relu, tanh
from fnmath.layers import avg_pool, max_pool
from fnmath.networks import lenet, lenet_init
from tests.helpers import Mistake, assert_transforms
from tests.networks.torch_forms import (
    assert_equals_torch,
    assert_second_order,
    conv2d,
    linear,
    randomized,
)

KEY = jax.random.key(0)
PARAMS = lenet_init(KEY)
x = jax.random.normal(jax.random.key(1), (2, 28, 28, 1))

MISTAKES = [
    Mistake(
        lenet_init, (0,), {}, TypeError,
        "lenet_init: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        lenet_init, (KEY,), {"classes": 0}, ValueError,
        "lenet_init: classes is 0; wanted an integer of at least 1",
    ),
    Mistake(
        lenet_init, (KEY,), {"dtype": "abc"}, TypeError,
        "lenet_init: dtype is 'abc'; wanted a floating dtype; did you mean jnp.float32?",
    ),
    Mistake(
        lenet, (tuple(PARAMS), x), {}, TypeError,
        "lenet: params is a tuple; wanted a LenetParams; did you mean lenet_init(key)?",
    ),
    Mistake(
        lenet, (PARAMS, x), {"pool": "max"}, TypeError,
        "lenet: pool is a str; wanted a function",
    ),
    Mistake(
        lenet, (PARAMS, x), {"activation": None}, TypeError,
        "lenet: activation is a NoneType; wanted a function",
    ),
    Mistake(
        lenet, (PARAMS, x[..., 0, :]), {}, ValueError,
        "lenet: x has images of 2 × 28 pixels; wanted 28 × 28 or 32 × 32",
    ),
    Mistake(
        lenet, (PARAMS, x[0, ..., 0]), {}, ValueError,
        "lenet: x has shape (28, 28); wanted at least 3 axes, (*batch height width channels); "
        "did you mean x[None]?",
    ),
    Mistake(
        lenet, (PARAMS, x.astype(int)), {}, TypeError,
        "lenet: x has dtype int32; wanted a floating dtype; did you mean x.astype(jnp.float32)?",
    ),
]  # fmt: skip


def in_torch(torch, size, activation, pool):
    def network(params, x):
        margin = (32 - size) // 2
        h = x
        for layer, padding in ((params.conv1, margin), (params.conv2, 0)):
            h = activation(conv2d(layer, h, padding=padding))
            h = pool(h.movedim(-1, 1), 2).movedim(1, -1)
        h = h.flatten(1)
        for layer in (params.fc1, params.fc2):
            h = activation(linear(layer, h))
        return linear(params.fc3, h)

    return network


@pytest.mark.usefixtures("x64")
class TestLenet:
    @pytest.mark.parametrize("size", [28, 32])
    def test_equals_torch(self, torch, size):
        params = randomized(lenet_init(KEY, dtype=jnp.float64), 0.05)
        x = jax.random.normal(KEY, (3, size, size, 1), jnp.float64)
        F = torch.nn.functional
        if size == 28:
            ours, theirs = (relu, max_pool), (F.relu, F.max_pool2d)
        else:
            ours, theirs = (tanh, avg_pool), (F.tanh, F.avg_pool2d)
        options = dict(zip(("activation", "pool"), ours, strict=True))
        assert_equals_torch(
            lambda p, x: lenet(p, x, **options),
            in_torch(torch, size, *theirs),
            params,
            x,
        )

    def test_a_digit_stands_in_a_margin_of_zeros(self):
        x = jax.random.normal(KEY, (2, 28, 28, 1))
        framed = jnp.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
        np.testing.assert_allclose(lenet(PARAMS, x), lenet(PARAMS, framed), rtol=1e-12)

    @pytest.mark.slow
    def test_second_order(self):
        params = lenet_init(KEY, dtype=jnp.float64)
        x = jax.random.normal(KEY, (2, 28, 28, 1), jnp.float64)
        assert_second_order(
            lambda p: jnp.sum(lenet(p, x, activation=tanh, pool=avg_pool) ** 2), params
        )


def test_sizes():
    assert sum(p.size for p in jax.tree.leaves(PARAMS)) == 61_706
    colour = lenet_init(KEY, classes=3, in_channels=3)
    assert lenet(colour, jnp.ones((32, 32, 3))).shape == (3,)


def test_transforms():
    assert_transforms(lenet, PARAMS, x, rtol=1e-5)


def test_edges():
    assert lenet(PARAMS, x[:0]).shape == (0, 10)
    assert lenet(PARAMS, x.reshape(1, 2, 28, 28, 1)).shape == (1, 2, 10)
    np.testing.assert_allclose(lenet(PARAMS, x[0]), lenet(PARAMS, x)[0], rtol=1e-4, atol=1e-5)
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), PARAMS)
    assert lenet(half, x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    assert np.isnan(lenet(PARAMS, x.at[0, 5, 5].set(jnp.nan))[0]).all()
