"""fnmath.conversion: one residual network in PyTorch, in Flax and here, from the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.conversion import from_flax, from_torch, to_flax, to_torch
from fnmath.networks import resnet, resnet_init

WIDTH, BLOCKS, STAGES = 4, 3, (1, 2, 3)  # 20 layers
STACKED = tuple(f"layer{stage}.rest" for stage in STAGES)


def block_names(name_of, convolution, normalization):
    """What the blocks of the stages, and the two parts of a shortcut, are called over there."""
    names = {}
    for stage in STAGES:
        first = name_of(stage, 0)
        names[f"layer{stage}.first"] = first
        names[f"layer{stage}.first.downsample.conv"] = f"{first}.downsample.{convolution}"
        names[f"layer{stage}.first.downsample.bn"] = f"{first}.downsample.{normalization}"
        for i in range(1, BLOCKS):
            names[f"layer{stage}.rest.{i - 1}"] = name_of(stage, i)
    return names


TORCH = {
    "stacked": STACKED,
    "names": block_names(lambda stage, i: f"layer{stage}.{i}", "0", "1"),
}
FLAX = {
    "stacked": STACKED,
    "names": block_names(lambda stage, i: f"layer{stage}_block{i}", "conv", "bn"),
}


def in_torch(torch):
    """The module, with the names of torchvision's: layer1.0.conv1, layer2.0.downsample.1, fc."""
    nn = torch.nn

    class BasicBlock(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.downsample = None
            if inputs != outputs:
                conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
                self.downsample = nn.Sequential(conv, nn.BatchNorm2d(outputs))

        def forward(self, x):
            h = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
            return (h + (x if self.downsample is None else self.downsample(x))).relu()

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, WIDTH, 3, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(WIDTH)
            channels = [WIDTH, WIDTH, 2 * WIDTH, 4 * WIDTH]
            for stage in STAGES:
                outputs, blocks = channels[stage], []
                for i in range(BLOCKS):
                    inputs = outputs if i else channels[stage - 1]
                    blocks.append(BasicBlock(inputs, outputs, 2 if stage > 1 and not i else 1))
                setattr(self, f"layer{stage}", nn.Sequential(*blocks))
            self.fc = nn.Linear(4 * WIDTH, 10)

        def forward(self, x):
            h = self.bn1(self.conv1(x)).relu()
            return self.fc(self.layer3(self.layer2(self.layer1(h))).mean((-2, -1)))

    torch.manual_seed(0)
    return ResNet().double()


def in_flax(linen):
    """The module of linen; its convolutions pad a side of an even length as PyTorch does."""

    def conv(outputs, size, stride, padding, name):
        options = {"strides": stride, "padding": padding, "use_bias": False, "name": name}
        return linen.Conv(outputs, (size, size), param_dtype=float, **options)

    def norm(name):
        return linen.BatchNorm(use_running_average=True, epsilon=1e-5, name=name, param_dtype=float)

    class Shortcut(linen.Module):
        outputs: int

        @linen.compact
        def __call__(self, x):
            return norm("bn")(conv(self.outputs, 1, 2, 0, "conv")(x))

    class Block(linen.Module):
        outputs: int
        stride: int

        @linen.compact
        def __call__(self, x):
            h = norm("bn1")(conv(self.outputs, 3, self.stride, 1, "conv1")(x))
            h = norm("bn2")(conv(self.outputs, 3, 1, 1, "conv2")(linen.relu(h)))
            if x.shape[-1] != self.outputs:
                x = Shortcut(self.outputs, name="downsample")(x)
            return linen.relu(h + x)

    class ResNet(linen.Module):
        @linen.compact
        def __call__(self, x):
            h = linen.relu(norm("bn1")(conv(WIDTH, 3, 1, 1, "conv1")(x)))
            for stage in STAGES:
                for i in range(BLOCKS):
                    options = {"stride": 2 if stage > 1 and not i else 1}
                    name = f"layer{stage}_block{i}"
                    h = Block(WIDTH * 2 ** (stage - 1), **options, name=name)(h)
            return linen.Dense(10, name="fc", param_dtype=float)(h.mean((-3, -2)))

    return ResNet()


@pytest.fixture
def linen():
    pytest.importorskip("flax", reason="Flax is a peer, not a dependency")
    return pytest.importorskip("flax.linen")


def trained(torch):
    """A module whose running statistics have moved, and images."""
    module, x = in_torch(torch), jax.random.normal(jax.random.key(1), (4, 9, 8, 3), jnp.float64)
    images = torch.tensor(np.moveaxis(np.asarray(x), -1, 1))
    with torch.no_grad():
        for _ in range(20):
            module(images)
        return module.eval(), x, module(images).numpy()


@pytest.mark.usefixtures("x64")
@pytest.mark.slow
class TestResnet:
    def like(self):
        key = jax.random.key(0)
        params, stats = resnet_init(key, 20, width=WIDTH, shortcut="projection", dtype=jnp.float64)
        return params, jax.tree.map(lambda a: a.astype(float), stats)

    def test_a_state_dict_of_torch(self, torch):
        module, x, theirs = trained(torch)
        params, stats = (from_torch(module.state_dict(), like, **TORCH) for like in self.like())
        ours = jax.jit(resnet)(params, stats, x)
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)
        there = {**to_torch(params, **TORCH), **to_torch(stats, **TORCH)}
        state = {name: torch.tensor(np.asarray(a)) for name, a in there.items()}
        again = in_torch(torch)
        again.load_state_dict(state, strict=True)
        for name, a in again.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                np.testing.assert_array_equal(a, module.state_dict()[name])

    def test_a_parameter_tree_of_flax(self, linen):
        module, x = in_flax(linen), jax.random.normal(jax.random.key(1), (4, 9, 8, 3), float)
        variables = jax.eval_shape(module.init, jax.random.key(2), x)
        tree, paths = jax.tree.flatten(variables)
        keys = jax.random.split(jax.random.key(3), len(tree))
        tree = [
            jax.random.uniform(k, a.shape, float, 0.1, 1) for k, a in zip(keys, tree, strict=True)
        ]
        variables = jax.tree.unflatten(paths, tree)
        kinds = zip(("params", "batch_stats"), self.like(), strict=True)
        params, stats = (from_flax(variables[kind], like, **FLAX) for kind, like in kinds)
        theirs = jax.jit(module.apply)(variables, x)
        np.testing.assert_allclose(jax.jit(resnet)(params, stats, x), theirs, rtol=1e-10)
        for given, kind in ((params, "params"), (stats, "batch_stats")):
            back = to_flax(given, **FLAX)
            jax.tree.map(np.testing.assert_array_equal, back, dict(variables[kind]))

    def test_from_torch_to_flax(self, torch, linen):
        """By way of the parameters here: the same logits from all three."""
        module, x, theirs = trained(torch)
        params, stats = (from_torch(module.state_dict(), like, **TORCH) for like in self.like())
        variables = {"params": to_flax(params, **FLAX), "batch_stats": to_flax(stats, **FLAX)}
        in_third = jax.jit(in_flax(linen).apply)(variables, x)
        np.testing.assert_allclose(in_third, theirs, rtol=1e-10, atol=1e-12)
