"""fnmath.networks: ConvNeXt and its block."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.networks import convnext, convnext_block, convnext_block_init, convnext_init
from tests.helpers import Mistake, assert_transforms
from tests.networks.torch_forms import (
    assert_equals_torch,
    assert_second_order,
    conv2d,
    linear,
    randomized,
)

KEY = jax.random.key(0)
BLOCK = convnext_block_init(KEY, 4, layer_scale=1.0)
SMALL = {"depths": (2, 1), "channels": (4, 6), "classes": 3, "patch": 2}
PARAMS = convnext_init(KEY, **SMALL, layer_scale=1.0)
h, x = jnp.ones((2, 5, 6, 4)), jax.random.normal(jax.random.key(1), (2, 8, 12, 3))
SHORT = PARAMS._replace(stages=PARAMS.stages[:1])

MISTAKES = [
    Mistake(
        convnext_block_init, (KEY, 0), {}, ValueError,
        "convnext_block_init: channels is 0; wanted an integer of at least 1",
    ),
    Mistake(
        convnext_block_init, (KEY, 4), {"layer_scale": "small"}, TypeError,
        "convnext_block_init: layer_scale is 'small' (str); wanted a number",
    ),
    Mistake(
        convnext_block, (tuple(BLOCK), h), {}, TypeError,
        "convnext_block: params is a tuple; wanted a ConvnextBlockParams; "
        "did you mean convnext_block_init(key, …)?",
    ),
    Mistake(
        convnext_block, (BLOCK, h), {"dropout_key": 3}, TypeError,
        "convnext_block: dropout_key is a int; wanted a random key; "
        "did you mean jax.random.key(3)?",
    ),
    Mistake(
        convnext_block, (BLOCK, h), {"drop_path_rate": 1.0}, ValueError,
        "convnext_block: drop_path_rate is 1.0; wanted a number in [0, 1)",
    ),
    Mistake(
        convnext_block, (BLOCK, h[..., :3]), {}, ValueError,
        "depthwise_conv: the kernel gives 4 channels; wanted a multiple of groups, 3",
    ),
    Mistake(
        convnext_init, (KEY,), {"depths": (2, 2)}, ValueError,
        "convnext_init: the number of stages must agree: depths has 2 and channels has 4",
    ),
    Mistake(
        convnext_init, (KEY,), {"depths": 3}, TypeError,
        "convnext_init: depths is a int; wanted a tuple of integers",
    ),
    Mistake(
        convnext, (BLOCK, x), {}, TypeError,
        "convnext: params is a ConvnextBlockParams; wanted a ConvnextParams; "
        "did you mean convnext_init(key, …)?",
    ),
    Mistake(
        convnext, (SHORT, x), {}, ValueError,
        "convnext: the number of stages must agree: downsample_layers has 2 and stages has 1",
    ),
    Mistake(
        convnext, (PARAMS, x), {"drop_path_rate": jnp.array(0.1)}, TypeError,
        "convnext: drop_path_rate is an array; wanted a number; "
        "did you mean float(drop_path_rate)?",
    ),
]  # fmt: skip


def in_torch(torch):
    F = torch.nn.functional

    def norm(params, x):
        return F.layer_norm(x, x.shape[-1:], params.scale, params.bias, 1e-6)

    def block(params, x):
        h = conv2d(params.dwconv, x, padding=3, groups=x.shape[-1])
        h = linear(params.pwconv1, norm(params.norm, h))
        h = linear(params.pwconv2, F.gelu(h))
        return x + (h if params.gamma is None else params.gamma * h)

    def network(params, h):
        for i, (down, stage) in enumerate(zip(*params[:2], strict=True)):
            h = norm(down.norm, h) if i else h
            h = conv2d(down.conv, h, stride=down.conv.kernel.shape[0])
            h = h if i else norm(down.norm, h)
            for j in range(len(stage.dwconv.kernel)):
                h = block(jax.tree.map(lambda a, j=j: a[j], stage), h)
        return linear(params.head, norm(params.norm, h.mean((1, 2))))

    return block, network


@pytest.mark.usefixtures("x64")
class TestConvnextBlock:
    @pytest.mark.parametrize("layer_scale", [0.5, None])
    def test_equals_torch(self, torch, layer_scale):
        params = convnext_block_init(KEY, 4, layer_scale=layer_scale, dtype=jnp.float64)
        x = jax.random.normal(KEY, (3, 5, 6, 4), jnp.float64)
        assert_equals_torch(convnext_block, in_torch(torch)[0], randomized(params), x)

    def test_begins_as_nearly_the_identity(self):
        params = convnext_block_init(KEY, 4, dtype=jnp.float64)
        x = jax.random.normal(KEY, (3, 5, 6, 4), jnp.float64)
        np.testing.assert_allclose(convnext_block(params, x), x, atol=1e-6)
        still = params._replace(gamma=jnp.zeros(4))
        np.testing.assert_array_equal(convnext_block(still, x), x)

    def test_drop_path_drops_whole_images_and_keeps_the_mean(self):
        params = randomized(convnext_block_init(KEY, 4, dtype=jnp.float64))
        x = jax.random.normal(KEY, (400, 2, 3, 3, 4), jnp.float64)
        branch = convnext_block(params, x) - x
        y = convnext_block(params, x, dropout_key=KEY, drop_path_rate=0.25)
        kept = jnp.abs(y - x).sum(axis=(2, 3, 4)) > 0
        expected = jnp.where(kept[..., None, None, None], branch / 0.75, 0)
        np.testing.assert_allclose(y - x, expected, atol=1e-12)
        assert abs(kept.mean() - 0.75) < 4.5 * np.sqrt(0.75 * 0.25 / kept.size)

    def test_second_order(self):
        params = randomized(convnext_block_init(KEY, 2, dtype=jnp.float64))
        x = jax.random.normal(KEY, (2, 3, 3, 2), jnp.float64)
        assert_second_order(lambda p: jnp.sum(convnext_block(p, x) ** 2), params)


@pytest.mark.usefixtures("x64")
class TestConvnext:
    @pytest.mark.slow
    def test_equals_torch(self, torch):
        params = randomized(convnext_init(KEY, **SMALL, layer_scale=1.0, dtype=jnp.float64))
        x = jax.random.normal(KEY, (3, 9, 12, 3), jnp.float64)  # a row is left over
        assert_equals_torch(convnext, in_torch(torch)[1], params, x)

    def test_rates_of_dropping_rise_from_nothing(self):
        """Of three blocks the first is never dropped, and the last with the whole rate."""
        params = randomized(convnext_init(KEY, **SMALL, dtype=jnp.float64))
        x = jnp.broadcast_to(jax.random.normal(KEY, (8, 8, 3), jnp.float64), (1000, 8, 8, 3))
        apply = jax.jit(convnext, static_argnames="drop_path_rate")
        y = apply(params, x, dropout_key=KEY, drop_path_rate=0.4)
        _, counts = np.unique(np.asarray(y).round(9), axis=0, return_counts=True)
        shares = np.outer([0.8, 0.2], [0.6, 0.4]).ravel()
        np.testing.assert_allclose(np.sort(counts), np.sort(1000 * shares), atol=4.5 * 16)
        quiet = apply(params, x, drop_path_rate=0.4)
        np.testing.assert_allclose(quiet, apply(params, x), rtol=1e-12)

    @pytest.mark.slow
    def test_second_order(self):
        params = convnext_init(
            KEY, depths=(2,), channels=(3,), classes=2, patch=2, layer_scale=1.0, dtype=jnp.float64
        )
        x = jax.random.normal(KEY, (2, 4, 4, 3), jnp.float64)
        f = lambda p: jnp.sum(convnext(p, x) ** 2)  # noqa: E731
        # XLA's emitters for quick compilation make NaN of forward over reverse here.
        assert_second_order(f, randomized(params), forward=False)


def test_the_authors_count_their_parameters():
    """ConvNeXt-T: 28,589,128."""
    shapes = jax.eval_shape(convnext_init, KEY)
    assert sum(p.size for p in jax.tree.leaves(shapes)) == 28_589_128


def test_transforms():
    assert_transforms(convnext_block, BLOCK, jax.random.normal(KEY, h.shape), rtol=1e-5)
    assert_transforms(convnext, PARAMS, x, rtol=1e-4)


def test_edges():
    assert convnext(PARAMS, x[:0]).shape == (0, 3)
    assert convnext(PARAMS, x[0]).shape == (3,)
    assert convnext_block(BLOCK, h[:, :1, :1]).shape == (2, 1, 1, 4)
    half = convnext_init(KEY, **SMALL, dtype=jnp.bfloat16)
    noisy = convnext(half, x.astype(jnp.bfloat16), dropout_key=KEY, drop_path_rate=0.1)
    assert noisy.dtype == jnp.bfloat16
