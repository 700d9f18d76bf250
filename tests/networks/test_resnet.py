"""fnmath.networks: the residual network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.activations import tanh
from fnmath.networks import ResnetStats, resnet, resnet_init, resnet_train
from tests.helpers import Mistake, assert_transforms
from tests.networks.torch_forms import (
    assert_equals_torch,
    assert_near,
    assert_second_order,
    conv2d,
    linear,
    randomized,
)

KEY = jax.random.key(0)
PARAMS, STATS = resnet_init(KEY, 8, width=4)
LONGER = resnet_init(KEY, 14, width=4)
x = jax.random.normal(jax.random.key(1), (2, 8, 8, 3))

MISTAKES = [
    Mistake(
        resnet_init, (KEY, 18), {}, ValueError,
        "resnet_init: depth is 18; wanted 6n + 2 with n of at least 1; did you mean 20?",
    ),
    Mistake(
        resnet_init, (KEY, 2), {}, ValueError,
        "resnet_init: depth is 2; wanted 6n + 2 with n of at least 1; did you mean 8?",
    ),
    Mistake(
        resnet_init, (KEY, 8), {"shortcut": "A"}, ValueError,
        "resnet_init: shortcut is 'A'; wanted one of 'identity', 'projection'",
    ),
    Mistake(
        resnet_init, (KEY, 20.0), {}, TypeError,
        "resnet_init: depth is 20.0 (float); wanted an integer",
    ),
    Mistake(
        resnet, (PARAMS, PARAMS, x), {}, TypeError,
        "resnet: stats is a ResnetParams; wanted a ResnetStats; did you mean resnet_init?",
    ),
    Mistake(
        resnet, (PARAMS, LONGER[1], x), {}, TypeError,
        "resnet: params.layer1.rest is a NoneType; wanted a ResnetBlockParams",
    ),
    Mistake(
        resnet, (PARAMS, STATS, x[0, 0]), {}, ValueError,
        "resnet: x has shape (8, 3); wanted at least 3 axes, (*batch height width channels); "
        "did you mean x[None]?",
    ),
    Mistake(
        resnet, (PARAMS, STATS, x[:, :0]), {}, ValueError,
        "resnet: x has images of 0 × 8 pixels; wanted at least one pixel",
    ),
    Mistake(
        resnet,
        (PARAMS._replace(layer2=PARAMS.layer3, layer3=PARAMS.layer2),
         STATS._replace(layer2=STATS.layer3, layer3=STATS.layer2), x), {},
        ValueError,
        "conv: x has 4 channels and the kernel takes 8; wanted as many; "
        "did you mean jnp.moveaxis(x, -3, -1)?",
    ),
    Mistake(
        resnet_train, (PARAMS, STATS, x.astype(int)), {}, TypeError,
        "resnet_train: x has dtype int32; wanted a floating dtype; "
        "did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        resnet_train, (PARAMS, STATS, x[..., 0, 0, 0]), {}, ValueError,
        "resnet_train: x has shape (2,); wanted at least 3 axes, (*batch height width channels)",
    ),
    Mistake(
        resnet_train, (PARAMS, STATS, x), {"activation": "relu"}, TypeError,
        "resnet_train: activation is a str; wanted a function",
    ),
    Mistake(
        resnet_train, (PARAMS, STATS, x), {"momentum": 2.0}, ValueError,
        "batch_norm_train: momentum is 2.0; wanted a number in [0, 1]",
    ),
]  # fmt: skip


def drawn(depth, **options):
    """Parameters and statistics without a special value, in float64."""
    params, stats = resnet_init(KEY, depth, width=4, dtype=jnp.float64, **options)
    return randomized(params), jax.tree.map(lambda a: a + jnp.abs(a) / 3, randomized(stats, 0.2))


def blocks(stage):
    """The blocks of a stage one by one."""
    if stage.rest is None:
        return [stage.first]
    count = len(jax.tree.leaves(stage.rest)[0])
    return [stage.first, *(jax.tree.map(lambda a, i=i: a[i], stage.rest) for i in range(count))]


def in_torch(torch, stats, moved=None):
    """The network by torch; with a list ``moved`` it learns and puts the statistics there."""
    F = torch.nn.functional

    def norm(params, stats, x):
        running = [torch.tensor(np.asarray(a)) for a in stats]
        options = {"training": moved is not None, "momentum": 0.1, "eps": 1e-5}
        y = F.batch_norm(x.movedim(-1, 1), *running, params.scale, params.bias, **options)
        if moved is not None:
            moved.extend(a.numpy() for a in running)
        return y.movedim(1, -1)

    def block(params, stats, x, stride):
        h = norm(params.bn1, stats.bn1, conv2d(params.conv1, x, stride=stride, padding=1))
        h = norm(params.bn2, stats.bn2, conv2d(params.conv2, F.relu(h), padding=1))
        if params.downsample is not None:
            z = conv2d(params.downsample.conv, x, stride=stride)
            z = norm(params.downsample.bn, stats.downsample.bn, z)
        else:
            z = F.pad(x[:, ::stride, ::stride], (0, h.shape[-1] - x.shape[-1]))
        return F.relu(z + h)

    def network(params, x):
        h = F.relu(norm(params.bn1, stats.bn1, conv2d(params.conv1, x, padding=1)))
        for i, stage in enumerate(("layer1", "layer2", "layer3")):
            ours, theirs = blocks(getattr(params, stage)), blocks(getattr(stats, stage))
            for j, (p, s) in enumerate(zip(ours, theirs, strict=True)):
                h = block(p, s, h, 2 if i and not j else 1)
        return linear(params.fc, h.mean((1, 2)))

    return network


@pytest.mark.usefixtures("x64")
@pytest.mark.slow
class TestAgainstTorch:
    @pytest.mark.parametrize("shortcut", ["identity", "projection"])
    def test_evaluated(self, torch, shortcut):
        params, stats = drawn(14, shortcut=shortcut)
        x = jax.random.normal(KEY, (3, 9, 8, 3), jnp.float64)
        assert_equals_torch(lambda p, x: resnet(p, stats, x), in_torch(torch, stats), params, x)

    @pytest.mark.parametrize("shortcut", ["identity", "projection"])
    def test_learning(self, torch, shortcut):
        """Output, gradients and the statistics after the batch."""
        params, stats = drawn(14, shortcut=shortcut)
        x = jax.random.normal(KEY, (3, 9, 8, 3), jnp.float64)
        moved = []
        assert_equals_torch(
            lambda p, x: resnet_train(p, stats, x)[0],
            in_torch(torch, stats, moved),
            params,
            x,
        )
        after = jax.jit(resnet_train)(params, stats, x)[1]
        in_order = [after.bn1]
        for stage in after[1:]:
            for block in blocks(stage):
                in_order += [block.bn1, block.bn2]
                in_order += [] if block.downsample is None else [block.downsample.bn]
        for ours, theirs in zip(jax.tree.leaves(in_order), moved, strict=True):
            assert_near(ours, theirs, 1e-9)


@pytest.mark.usefixtures("x64")
class TestLaws:
    def test_without_branches_the_identity_is_left(self):
        """All kernels of the blocks 0: the stem, every fourth pixel, zeros in the new channels."""
        params, stats = drawn(14)
        silent = {
            name: jax.tree.map(jnp.zeros_like, getattr(params, name))
            for name in ("layer1", "layer2", "layer3")
        }
        x = jax.random.normal(KEY, (3, 9, 8, 3), jnp.float64)
        y = resnet(params._replace(**silent), stats, x, activation=lambda z: z)
        stem_only = params._replace(fc=params.fc._replace(kernel=params.fc.kernel[:4]))
        from fnmath.layers import batch_norm, conv, dense

        h = batch_norm(params.bn1, stats.bn1, conv(params.conv1, x, padding=1))
        expected = dense(stem_only.fc, h[:, ::4, ::4].mean(axis=(1, 2)))
        np.testing.assert_allclose(y, expected, rtol=1e-10)

    def test_an_example_is_evaluated_alone_and_learns_with_the_others(self):
        params, stats = drawn(8)
        x = jax.random.normal(KEY, (3, 8, 8, 3), jnp.float64)
        alone, together = resnet(params, stats, x[0]), resnet(params, stats, x)[0]
        np.testing.assert_allclose(alone, together, rtol=1e-10)
        first = resnet_train(params, stats, x)[0][0]
        assert np.abs(resnet_train(params, stats, x[:2])[0][0] - first).max() > 1e-3

    def test_a_batch_over_devices_is_the_whole_batch(self):
        params, stats = drawn(8)
        x = jax.random.normal(KEY, (2, 3, 8, 8, 3), jnp.float64)
        whole, after = resnet_train(params, stats, x.reshape(6, 8, 8, 3))

        def part(x):
            return resnet_train(params, stats, x, axis_name="devices")

        parts, stats_of_parts = jax.vmap(part, axis_name="devices")(x)
        assert_near(parts.reshape(6, 10), whole, 1e-9)
        for ours, theirs in zip(*map(jax.tree.leaves, (stats_of_parts, after)), strict=True):
            assert_near(ours[0], theirs, 1e-9)

    @pytest.mark.slow
    def test_second_order(self):
        params, stats = drawn(8)
        x = jax.random.normal(KEY, (2, 4, 4, 3), jnp.float64)
        assert_second_order(
            lambda p: jnp.sum(resnet_train(p, stats, x, activation=tanh)[0] ** 2), params
        )


def test_the_paper_counts_its_parameters():
    """0.27, 0.46, 0.66, 0.85 and 1.7 million."""
    for depth, millions in ((20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)):
        shapes = jax.eval_shape(lambda key, n=depth: resnet_init(key, n)[0], KEY)
        count = sum(p.size for p in jax.tree.leaves(shapes))
        assert abs(count / 1e6 - millions) < 0.05 * millions


def test_the_program_does_not_grow_with_the_depth():
    def equations(depth):
        params, stats = jax.eval_shape(lambda key: resnet_init(key, depth, width=4), KEY)
        return len(str(jax.make_jaxpr(resnet)(params, stats, x)).splitlines())

    assert equations(110) == equations(14)


def test_transforms():
    assert_transforms(resnet, PARAMS, STATS, x, rtol=1e-4)
    assert_transforms(resnet_train, PARAMS, STATS, x, rtol=1e-4)


def test_edges():
    assert resnet(PARAMS, STATS, x[:0]).shape == (0, 10)
    y, stats = resnet_train(PARAMS, STATS, x[:0])
    assert y.shape == (0, 10)
    jax.tree.map(np.testing.assert_array_equal, stats, STATS)
    assert isinstance(stats, ResnetStats)
    assert resnet(PARAMS, STATS, jnp.ones((2, 2, 1, 1, 3))).shape == (2, 2, 10)
    params, stats = resnet_init(KEY, 8, width=2, dtype=jnp.bfloat16)
    y, stats = resnet_train(params, stats, x.astype(jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    assert {a.dtype for a in jax.tree.leaves(stats)} == {jnp.dtype("float32")}
