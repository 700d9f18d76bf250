"""How long does a training step of a convolutional network take, by itself and inside of a loop?

Run      python -m experiments.benchmarks.networks
Cost     5 minutes on two CPU cores
Expect   a loop's steps cost what single ones do; with XLA's convolutions up to 80 × as much

Float32, channels last, mean squares and gradient descent by steps of one length, from one start.
Contestants: a compiled step by itself; ``lax.scan`` over as many steps; both again with XLA's own
convolutions in place of fnmath's; PyTorch's layers, eagerly on all cores, with channels last in
memory. The losses of all steps are compared before the times.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from experiments import command
from experiments.benchmarks.layers import REST
from experiments.benchmarks.train_step import machine
from fnmath.activations import relu
from fnmath.benchmark import Comparison, interleave
from fnmath.layers import (
    ConvParams,
    NormParams,
    conv,
    conv_init,
    layer_norm,
    layer_norm_init,
    mamba_init,
)
from fnmath.layers import mamba as mamba_layer
from fnmath.layers.convolution import _correlation
from fnmath.layers.convolution._choice import Choice
from fnmath.layers.convolution._forms import IMAGE
from fnmath.networks import (
    convnext_block,
    convnext_block_init,
    lenet,
    lenet_init,
    unet,
    unet_init,
)

NAME = "benchmarks.networks"
STEP, LOOP = "fnmath", "fnmath, in a loop"
XLA_STEP, XLA_LOOP = "XLA's", "XLA's, in a loop"
TORCH = "PyTorch"
LENGTH = 0.05  # of a step in the space of all parameters
TOLERANCE = 1e-5  # of a loss; each step changes it by more than 1e-4


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    rounds: int = 9
    """How often each contestant is timed; one that takes more than four seconds, three times."""
    steps: int = 4
    """How many training steps a loop has."""
    only: str = ""
    """Part of the names of the networks to time; all of them if empty."""
    output: Path = Path("runs")
    """Where the results go."""


class Network(NamedTuple):
    """A network with its parameters and an input; and the same, of tensors, in PyTorch."""

    apply: Callable[[Any, jax.Array], jax.Array]
    params: Any
    x: jax.Array
    in_torch: Callable[[Any, Any], Any]


class ResnextParams(NamedTuple):
    """A ResNeXt block: to half of the channels, a convolution in groups, and back to all."""

    reduce: ConvParams
    grouped: ConvParams
    expand: ConvParams
    norms: tuple[NormParams, NormParams, NormParams]


def resnext_init(key: jax.Array, channels: int, groups: int) -> ResnextParams:
    keys, inner = jax.random.split(key, 3), channels // 2
    norms = (layer_norm_init(inner), layer_norm_init(inner), layer_norm_init(channels))
    return ResnextParams(
        conv_init(keys[0], (1, 1), channels, inner, use_bias=False),
        conv_init(keys[1], (3, 3), inner, inner, groups=groups, use_bias=False),
        conv_init(keys[2], (1, 1), inner, channels, use_bias=False),
        norms,
    )


def resnext(params: ResnextParams, x: jax.Array, groups: int) -> jax.Array:
    """Xie and others (2017), figure 3c; the normalisation is that of layers, which has no state."""
    first, second, third = params.norms
    h = relu(layer_norm(first, conv(params.reduce, x)))
    h = relu(layer_norm(second, conv(params.grouped, h, groups=groups)))
    return relu(x + layer_norm(third, conv(params.expand, h)))


# ------------------------------------------------------- the same networks by PyTorch's functions


def torch_conv(params: Any, x: Any, *, transposed: bool = False, **options: Any) -> Any:
    """A convolution of an image whose channels are last here and in memory."""
    from torch.nn import functional

    weight = params.kernel.permute((2, 3, 0, 1) if transposed else (3, 2, 0, 1))
    f = functional.conv_transpose2d if transposed else functional.conv2d
    return f(x.movedim(-1, 1), weight, params.bias, **options).movedim(1, -1)


def torch_pool(x: Any) -> Any:
    from torch.nn import functional

    return functional.max_pool2d(x.movedim(-1, 1), 2).movedim(1, -1)


def torch_dense(params: Any, x: Any) -> Any:
    from torch.nn import functional

    return functional.linear(x, params.kernel.T, params.bias)


def torch_norm(params: Any, x: Any, epsilon: float) -> Any:
    from torch.nn import functional

    return functional.layer_norm(x, x.shape[-1:], params.scale, params.bias, epsilon)


def torch_lenet(params: Any, x: Any) -> Any:
    h = torch_pool(torch_conv(params.conv1, x, padding=2).relu())
    h = torch_pool(torch_conv(params.conv2, h).relu())
    h = torch_dense(params.fc1, h.flatten(1)).relu()
    return torch_dense(params.fc3, torch_dense(params.fc2, h).relu())


def torch_convnext(params: Any, x: Any) -> Any:
    from torch.nn import functional

    h = torch_conv(params.dwconv, x, padding=3, groups=x.shape[-1])
    h = torch_dense(params.pwconv1, torch_norm(params.norm, h, 1e-6))
    return x + params.gamma * torch_dense(params.pwconv2, functional.gelu(h))


def torch_resnext(params: Any, x: Any, groups: int) -> Any:
    first, second, third = params.norms
    h = torch_norm(first, torch_conv(params.reduce, x), 1e-5).relu()
    h = torch_norm(second, torch_conv(params.grouped, h, padding=1, groups=groups), 1e-5).relu()
    return (x + torch_norm(third, torch_conv(params.expand, h), 1e-5)).relu()


def torch_unet(params: Any, x: Any) -> Any:
    import torch

    def pair(level: Any, x: Any) -> Any:
        x = torch_conv(level.conv1, x, padding=1).relu()
        return torch_conv(level.conv2, x, padding=1).relu()

    h, skips = pair(params.down[0], x), []
    for level in params.down[1:]:
        skips.append(h)
        h = pair(level, torch_pool(h))
    for level in params.up:
        larger = torch_conv(level.up, h, transposed=True, stride=2)
        h = pair(level, torch.cat([skips.pop(), larger], -1))
    return torch_conv(params.out, h)


def torch_mamba(params: Any, x: Any) -> Any:
    """With the recurrence written out: PyTorch has no kernel for it on CPUs."""
    import torch
    from torch.nn import functional

    u, gate = torch_dense(params.in_projection, x).chunk(2, -1)
    width, inner = len(params.conv_kernel), u.shape[-1]
    weight = params.conv_kernel.permute(2, 1, 0)
    u = functional.conv1d(u.mT, weight, params.conv_bias, padding=width - 1, groups=inner)
    u = functional.silu(u.mT[:, : x.shape[1]])
    rank, states = params.step.kernel.shape[0], params.A_log.shape[-1]
    s, B, C = torch_dense(params.selection, u).split([rank, states, states], -1)
    delta = functional.softplus(torch_dense(params.step, s))
    A = -params.A_log.exp()
    decay = (delta[..., None] * A).exp()
    inputs = (delta * u)[..., None] * B[..., None, :]
    h, outputs = torch.zeros_like(inputs[:, 0]), []
    for t in range(x.shape[1]):
        h = decay[:, t] * h + inputs[:, t]
        outputs.append((h * C[:, t, None]).sum(-1))
    y = torch.stack(outputs, 1) + params.D * u
    return torch_dense(params.out_projection, y * functional.silu(gate))


def networks() -> dict[str, Callable[[], Network]]:
    """Each is made when its turn comes."""
    key = jax.random.key(0)

    def x(*shape: int) -> jax.Array:
        return jax.random.normal(jax.random.key(1), shape)

    def of_unet() -> Network:
        params = unet_init(key, 3, 2, channels=(16, 32, 64))
        return Network(unet, params, x(4, 64, 64, 3), torch_unet)

    def of_resnext() -> Network:
        apply, theirs = (functools.partial(f, groups=32) for f in (resnext, torch_resnext))
        return Network(apply, resnext_init(key, 256, 32), x(16, 14, 14, 256), theirs)

    def of_convnext() -> Network:
        params = convnext_block_init(key, 96, layer_scale=1.0)
        return Network(convnext_block, params, x(8, 28, 28, 96), torch_convnext)

    def of_mamba() -> Network:
        def apply(params: Any, x: jax.Array) -> jax.Array:
            return mamba_layer(params, x)[0]

        return Network(apply, mamba_init(key, 128), x(8, 256, 128), torch_mamba)

    def of_lenet() -> Network:
        return Network(lenet, lenet_init(key), x(64, 28, 28, 1), torch_lenet)

    return {
        "LeNet, 64 images of 28×28": of_lenet,
        "ConvNeXt block, 8 of 28×28×96": of_convnext,
        "ResNeXt block, 16 of 14×14×256, 32 groups": of_resnext,
        "U-Net of 3 levels, 4 of 64×64": of_unet,
        "Mamba block, 8 of 256×128": of_mamba,
    }


# -------------------------------------------------------------------------------------- a step


@contextlib.contextmanager
def convolutions_by_xla() -> Iterator[None]:
    """What is compiled in here has XLA's own convolutions wherever no form is named."""

    def choice(a: Any, b: Any, grid: Any, *, role: str, groups: int) -> Choice:
        return Choice("lax", (b if role == IMAGE else a).shape[0])

    with mock.patch.object(_correlation, "chosen", choice):
        yield


def descent(network: Network, target: jax.Array, params: Any) -> tuple[Any, jax.Array]:
    """The parameters after a step, and the loss before it."""

    def loss(params: Any) -> jax.Array:
        return jnp.mean(jnp.square(network.apply(params, network.x) - target))

    value, slopes = jax.value_and_grad(loss)(params)
    rate = LENGTH / optax.tree.norm(slopes)
    return jax.tree.map(lambda p, g: p - rate * g, params, slopes), value


Losses = Callable[[], list[float]]


def our_steps(network: Network, target: jax.Array, steps: int) -> tuple[Losses, Losses]:
    """One step after the other, and all of them as one program; each gives the losses."""
    step = functools.partial(descent, network, target)

    def loop(params: Any) -> tuple[Any, jax.Array]:
        return lax.scan(lambda p, _: step(p), params, length=steps)

    one = jax.jit(step).lower(network.params).compile()
    all_of_them = jax.jit(loop).lower(network.params).compile()

    def by_steps() -> list[float]:
        params, losses = network.params, []
        for _ in range(steps):
            params, loss = one(params)
            losses.append(float(loss))
        return losses

    return by_steps, lambda: np.asarray(all_of_them(network.params)[1]).tolist()


def torch_steps(network: Network, target: jax.Array, steps: int) -> Losses:
    import torch

    x, wanted = (torch.tensor(np.asarray(a)) for a in (network.x, target))

    def by_steps() -> list[float]:
        tree = jax.tree.map(lambda a: torch.tensor(np.asarray(a)).requires_grad_(), network.params)
        leaves, losses = jax.tree.leaves(tree), []
        for _ in range(steps):
            loss = (network.in_torch(tree, x) - wanted).square().mean()
            slopes = torch.autograd.grad(loss, leaves)
            with torch.no_grad():
                rate = LENGTH / torch.stack([g.norm() for g in slopes]).norm()
                for p, g in zip(leaves, slopes, strict=True):
                    p -= rate * g
            losses.append(loss.item())
        return losses

    return by_steps


def contestants(network: Network, steps: int) -> dict[str, Losses]:
    """Of those whose library is installed."""
    shape = jax.eval_shape(network.apply, network.params, network.x)
    target = jax.random.normal(jax.random.key(2), shape.shape)
    by_step, by_loop = our_steps(network, target, steps)
    found = {STEP: by_step, LOOP: by_loop}
    with convolutions_by_xla():
        found[XLA_STEP], found[XLA_LOOP] = our_steps(network, target, steps)
    if importlib.util.find_spec("torch"):
        found[TORCH] = torch_steps(network, target, steps)
    return found


def compare(network: Network, config: Config) -> Comparison:
    """Times of all the steps; the losses agree."""
    found = contestants(network, config.steps)
    losses = {name: np.array(f()) for name, f in found.items()}
    for name, those in losses.items():
        np.testing.assert_allclose(those, losses[STEP], rtol=TOLERANCE, err_msg=name)
    probe = interleave(found, rounds=1, baseline=STEP)
    slowest = max(max(times) for times in probe.samples.values())
    rounds = min(config.rounds, 3 if slowest > 4 else config.rounds)
    return interleave(found, rounds=rounds, baseline=STEP, rest=REST)


def markdown(results: Mapping[str, Comparison], steps: int) -> str:
    """Medians in milliseconds a step, and PyTorch's over our loop's with its quartiles."""
    names = list(dict.fromkeys(n for c in results.values() for n in c.samples))
    lines = ["| " + " | ".join(["ms a step", *names, "PyTorch ÷ loop"]) + " |"]
    lines += ["|---" + "|--:" * (len(names) + 1) + "|"]
    for network, comparison in results.items():
        cells = [network]
        for name in names:
            there = name in comparison.samples
            cells += [f"{1e3 * comparison.quartiles(name)[1] / steps:.1f}" if there else ""]
        if TORCH in comparison.samples:
            ratio = np.divide(comparison.samples[TORCH], comparison.samples[LOOP])
            low, middle, high = np.quantile(ratio, (0.25, 0.5, 0.75))
            cells += [f"{middle:.2f} [{low:.2f}, {high:.2f}]"]
        else:
            cells += [""]
        lines += ["| " + " | ".join(cells) + " |"]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    with command.plain_errors(NAME):
        config = command.parse(Config, arguments, doc=__doc__ or "", name=NAME)
        for option in ("rounds", "steps"):
            if getattr(config, option) < 1:
                raise command.OptionError(f"--{option} must be at least 1")
        chosen = {name: make for name, make in networks().items() if config.only in name}
        if not chosen:
            raise command.OptionError(f"--only: no name of {', '.join(networks())}")
        folder = command.make_folder(config.output, NAME.replace(".", "/"))
        results = {}
        for name, make in chosen.items():
            results[name] = compare(make(), config)
            print(markdown({name: results[name]}, config.steps).splitlines()[-1], flush=True)
        table = markdown(results, config.steps)
        (folder / "table.md").write_text(table + "\n")
        seconds = {name: comparison.to_dict() for name, comparison in results.items()}
        saved = {"config": dataclasses.asdict(config), "machine": machine(), "seconds": seconds}
        command.save_json(folder / "results.json", saved)
        print(f"\n{table}\n\nSaved to {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
