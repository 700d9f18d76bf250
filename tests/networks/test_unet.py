"""fnmath.networks: the U-Net."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.activations import tanh
from fnmath.networks import unet, unet_init
from tests.helpers import Mistake, assert_transforms
from tests.networks.torch_forms import (
    assert_equals_torch,
    assert_second_order,
    conv2d,
    randomized,
)

KEY = jax.random.key(0)
PARAMS = unet_init(KEY, 3, 2, channels=(4, 6, 8))
x = jax.random.normal(jax.random.key(1), (2, 8, 12, 3))

MISTAKES = [
    Mistake(
        unet_init, (KEY, 3, 0), {}, ValueError,
        "unet_init: out_channels is 0; wanted an integer of at least 1",
    ),
    Mistake(
        unet_init, (KEY, 3, 1), {"channels": ()}, ValueError,
        "unet_init: channels is (); wanted at least 1 sizes",
    ),
    Mistake(
        unet_init, (KEY, 3, 1), {"channels": 8}, TypeError,
        "unet_init: channels is a int; wanted a tuple of integers",
    ),
    Mistake(
        unet, (PARAMS, x[:, :6]), {}, ValueError,
        "unet: x has images of 6 × 12 pixels; wanted multiples of 4",
    ),
    Mistake(
        unet, (PARAMS._replace(up=PARAMS.up[:1]), x), {}, ValueError,
        "unet: params has 3 levels down and 1 up; wanted one more down than up",
    ),
    Mistake(
        unet, (PARAMS, x), {"dropout_rate": 1.5}, ValueError,
        "unet: dropout_rate is 1.5; wanted a number in [0, 1)",
    ),
    Mistake(
        unet, (tuple(PARAMS), x), {}, TypeError,
        "unet: params is a tuple; wanted a UnetParams; did you mean unet_init(key, …)?",
    ),
    Mistake(
        unet, (PARAMS, x), {"dropout_key": 1}, TypeError,
        "unet: key is a int; wanted a random key; did you mean jax.random.key(1)?",
    ),
]  # fmt: skip


def in_torch(torch):
    F = torch.nn.functional

    def pair(params, x):
        x = F.relu(conv2d(params.conv1, x, padding=1))
        return F.relu(conv2d(params.conv2, x, padding=1))

    def up(params, x):
        weight = params.kernel.permute(2, 3, 0, 1)  # (in, out, height, width)
        return F.conv_transpose2d(x.movedim(-1, 1), weight, params.bias, stride=2).movedim(1, -1)

    def network(params, x):
        h, skips = pair(params.down[0], x), []
        for level in params.down[1:]:
            skips.append(h)
            h = pair(level, F.max_pool2d(h.movedim(-1, 1), 2).movedim(1, -1))
        for level in params.up:
            h = pair(level, torch.cat([skips.pop(), up(level.up, h)], -1))
        return conv2d(params.out, h)

    return network


@pytest.mark.usefixtures("x64")
class TestUnet:
    @pytest.mark.slow
    @pytest.mark.parametrize("channels", [(4, 6, 8), (5,)])
    def test_equals_torch(self, torch, channels):
        params = randomized(unet_init(KEY, 3, 2, channels=channels, dtype=jnp.float64))
        x = jax.random.normal(KEY, (2, 8, 12, 3), jnp.float64)
        assert_equals_torch(unet, in_torch(torch), params, x)

    def test_the_fine_level_does_not_need_the_coarse_ones(self):
        """With the last way up silent, nothing below full size matters."""
        params = randomized(unet_init(KEY, 3, 2, channels=(4, 6, 8), dtype=jnp.float64))
        silent = jax.tree.map(jnp.zeros_like, params.up[-1].up)
        params = params._replace(up=(params.up[0], params.up[-1]._replace(up=silent)))
        bar = jax.jit(jax.grad(lambda p: jnp.sum(unet(p, x.astype(jnp.float64)) ** 2)))(params)
        below = jax.tree.leaves((bar.down[1:], bar.up[0]))
        assert all((leaf == 0).all() for leaf in below)
        assert all((leaf != 0).any() for leaf in jax.tree.leaves(bar.down[0]))

    def test_a_shift_by_the_coarsest_pixel_shifts_the_output(self):
        """Away from the edges, where the zeros are seen."""
        params = randomized(unet_init(KEY, 1, 1, channels=(3, 4, 5), dtype=jnp.float64))
        image = jax.random.normal(KEY, (1, 64, 64, 1), jnp.float64)
        apply = jax.jit(unet)
        y, shifted = apply(params, image), apply(params, jnp.roll(image, 4, axis=1))
        np.testing.assert_allclose(shifted[:, 28:36], y[:, 24:32], rtol=1e-9, atol=1e-9)

    def test_dropout_is_at_the_end_of_the_encoder(self):
        params = randomized(unet_init(KEY, 3, 2, channels=(4, 6), dtype=jnp.float64))
        noisy = unet(params, x.astype(jnp.float64), dropout_key=KEY, dropout_rate=0.5)
        quiet = unet(params, x.astype(jnp.float64), dropout_rate=0.5)
        assert (noisy != quiet).any()
        silent = jax.tree.map(jnp.zeros_like, params.up[0].up)
        params = params._replace(up=(params.up[0]._replace(up=silent),))
        noisy = unet(params, x.astype(jnp.float64), dropout_key=KEY, dropout_rate=0.5)
        np.testing.assert_array_equal(noisy, unet(params, x.astype(jnp.float64)))

    @pytest.mark.slow
    def test_second_order(self):
        params = unet_init(KEY, 1, 1, channels=(2, 3), dtype=jnp.float64)
        x = jax.random.normal(KEY, (1, 4, 4, 1), jnp.float64)
        assert_second_order(lambda p: jnp.sum(unet(p, x, activation=tanh) ** 2), params)


def test_a_random_network_keeps_the_size_of_its_input():
    params = unet_init(KEY, 3, 2, channels=(32, 64, 128))
    y = unet(params, jax.random.normal(KEY, (2, 32, 32, 3)))
    assert 0.2 < float(jnp.mean(y**2)) < 5


def test_transforms():
    assert_transforms(unet, PARAMS, x, rtol=1e-5)


def test_edges():
    assert unet(PARAMS, x[:0]).shape == (0, 8, 12, 2)
    assert unet(PARAMS, x[0]).shape == (8, 12, 2)
    half = unet_init(KEY, 3, 2, channels=(2, 3), dtype=jnp.bfloat16)
    assert unet(half, x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
