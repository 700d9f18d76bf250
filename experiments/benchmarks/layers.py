"""How long do fnmath's convolutions take beside XLA's, Flax's and PyTorch's?

Run      python -m experiments.benchmarks.layers
Cost     3 to 6 minutes on two CPU cores
Expect   both passes: XLA takes 5 × fnmath's time in the geometric mean, PyTorch 1.03 to 1.1 ×

Thirty-two convolutions as networks have them, in float32. Forward is the compiled function, both is
the output and the gradients of image and kernel. Answers are compared before times; all take turns
in one process. PyTorch runs eagerly on all cores, with channels first and channels last, and the
faster of the two counts. Flax calls XLA's convolution; it has no grouped or dilated transposed one.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from jax import lax
from matplotlib.figure import Figure

from experiments import command
from experiments.benchmarks.train_step import machine
from experiments.figures import BLUE, GREY, ORANGE
from fnmath.benchmark import Comparison, interleave
from fnmath.layers import ConvParams, ConvTransposeParams, conv, conv_transpose

NAME = "benchmarks.layers"
OURS, XLA, FLAX, TORCH, TORCH_LAST = "fnmath", "lax", "Flax", "PyTorch", "PyTorch, channels last"
# Seconds before each call: PyTorch's threads look for work that long when theirs is done, and what
# came next took up to 1.7 times as long.
REST = 0.01
TOLERANCE = 5e-5  # of the largest entry; sums of a hundred thousand float32 numbers round


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    rounds: int = 15
    """How often each contestant is timed; one slower than half a second, three times."""
    only: str = ""
    """Part of the names of the cases to time; all of them if empty."""
    output: Path = Path("runs")
    """Where the results go."""


class Case(NamedTuple):
    """A convolution, or a transposed one, of images with their channels last."""

    name: str
    batch: int
    sizes: tuple[int, ...]
    inputs: int
    outputs: int
    window: tuple[int, ...]
    strides: int = 1
    dilation: int = 1
    groups: int = 1
    padding: str = "SAME"
    transposed: bool = False

    @property
    def axes(self) -> int:
        """How many axes of space there are."""
        return len(self.sizes)

    @property
    def options(self) -> dict[str, Any]:
        """What the layers take by name."""
        named = ("strides", "dilation", "groups", "padding")
        return {name: getattr(self, name) for name in named}

    @property
    def margins(self) -> list[tuple[int, int]]:
        """The zeros before and behind each axis of the large image."""
        if self.padding == "VALID":
            return [(0, 0)] * self.axes
        spans = [self.dilation * (w - 1) + 1 for w in self.window]
        if self.padding == "CAUSAL":
            return [(k - 1, 0) for k in spans]
        large = [n * (self.strides if self.transposed else 1) for n in self.sizes]
        totals = [
            max((math.ceil(n / self.strides) - 1) * self.strides + k - n, 0)
            for n, k in zip(large, spans, strict=True)
        ]
        return [(t // 2, t - t // 2) for t in totals]


def square(n: int, axes: int = 2) -> tuple[int, ...]:
    return (n,) * axes


CASES = (
    Case("28×28×1→32, 3×3", 32, square(28), 1, 32, square(3)),
    Case("28×28×1→6, 5×5 (LeNet)", 64, square(28), 1, 6, square(5)),
    Case("12×12×6→16, 5×5 (LeNet)", 64, square(12), 6, 16, square(5), padding="VALID"),
    Case("32×32×3→64, 3×3", 32, square(32), 3, 64, square(3)),
    Case("14×14×32→64, 3×3", 32, square(14), 32, 64, square(3)),
    Case("56×56×64→64, 3×3", 8, square(56), 64, 64, square(3)),
    Case("8×8×256→256, 3×3", 16, square(8), 256, 256, square(3)),
    Case("28×28×128→128, 1×1", 16, square(28), 128, 128, square(1)),
    Case("56×56×64→128, 3×3, stride 2", 8, square(56), 64, 128, square(3), 2),
    Case("28×28×64→128, 1×1, stride 2", 16, square(28), 64, 128, square(1), 2),
    Case("112×112×3→64, 7×7, stride 2 (stem)", 8, square(112), 3, 64, square(7), 2),
    Case("64×64×3→192, 16×16, stride 16 (patches)", 16, square(64), 3, 192, square(16), 16),
    Case("28×28×64→64, 3×3, dilation 2", 8, square(28), 64, 64, square(3), dilation=2),
    Case("28×28×64, depthwise 3×3", 16, square(28), 64, 64, square(3), groups=64),
    Case("14×14×256, depthwise 3×3", 16, square(14), 256, 256, square(3), groups=256),
    Case("28×28×96, depthwise 7×7 (ConvNeXt)", 8, square(28), 96, 96, square(7), groups=96),
    Case("28×28×64, depthwise 3×3, stride 2", 16, square(28), 64, 64, square(3), 2, groups=64),
    Case("28×28×64→64, 3×3, 4 groups", 16, square(28), 64, 64, square(3), groups=4),
    Case("14×14×128→128, 3×3, 32 groups (ResNeXt)", 16, square(14), 128, 128, square(3), groups=32),
    Case("512×64→64, 5", 32, (512,), 64, 64, (5,)),
    Case("4096×16→32, 9", 16, (4096,), 16, 32, (9,)),
    Case("512×64→64, 3, dilation 8", 32, (512,), 64, 64, (3,), dilation=8),
    Case("512×64→128, 5, stride 2", 32, (512,), 64, 128, (5,), 2),
    Case("2048×256, depthwise causal 4 (Mamba)", 8, (2048,), 256, 256, (4,), groups=256,
         padding="CAUSAL"),
    Case("4096×1→16, 64", 16, (4096,), 1, 16, (64,)),
    Case("16³×16→32, 3³", 4, square(16, 3), 16, 32, square(3, 3)),
    Case("16³×16→32, 3³, stride 2", 4, square(16, 3), 16, 32, square(3, 3), 2),
    Case("14×14×64→32, transposed 4×4, stride 2", 16, square(14), 64, 32, square(4), 2,
         transposed=True),
    Case("28×28×32→16, transposed 3×3, stride 2", 16, square(28), 32, 16, square(3), 2,
         transposed=True),
    Case("28×28×32→16, transposed 2×2, stride 2 (U-Net)", 16, square(28), 32, 16, square(2), 2,
         transposed=True),
    Case("256×64→32, transposed 8, stride 4", 16, (256,), 64, 32, (8,), 4,
         transposed=True),
    Case("8³×32→16, transposed 4³, stride 2", 4, square(8, 3), 32, 16, square(4, 3), 2,
         transposed=True),
)  # fmt: skip


def our_layer(case: Case, x: jax.Array, kernel: jax.Array) -> jax.Array:
    if case.transposed:
        return conv_transpose(ConvTransposeParams(kernel), x, **case.options)
    return conv(ConvParams(kernel), x, **case.options)


def lax_layer(case: Case, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """XLA's; a transposed convolution as ``lax.conv_transpose`` writes it, of a spread image."""
    axes = case.axes
    images = (0, axes + 1, *range(1, axes + 1))
    spans = [case.dilation * (w - 1) + 1 for w in case.window]
    margins, strides, spread = case.margins, (case.strides,) * axes, (1,) * axes
    if case.transposed:
        kernel = jnp.flip(kernel, tuple(range(axes)))
        ends = [
            s * n + low - 1 - (n - 1) * s
            for s, n, (low, _) in zip(strides, case.sizes, margins, strict=True)
        ]
        margins = [
            (k - 1 - low, end) for k, (low, _), end in zip(spans, margins, ends, strict=True)
        ]
        strides, spread = spread, strides
    return lax.conv_general_dilated(
        x, kernel, strides, margins, spread, (case.dilation,) * axes,
        lax.ConvDimensionNumbers(images, (axes + 1, axes, *range(axes)), images),
        feature_group_count=case.groups,
    )  # fmt: skip


def flax_layer(case: Case, x: jax.Array, kernel: jax.Array) -> jax.Array:
    from flax import linen

    options: dict[str, Any] = {
        "use_bias": False,
        "strides": (case.strides,) * case.axes,
        "padding": case.padding,
    }
    if case.transposed:
        layer = linen.ConvTranspose(case.outputs, case.window, **options)
        kernel = jnp.flip(kernel, tuple(range(case.axes)))
    else:
        more: dict[str, Any] = {
            "kernel_dilation": case.dilation,
            "feature_group_count": case.groups,
        }
        layer = linen.Conv(case.outputs, case.window, **options, **more)
    return jnp.asarray(layer.apply({"params": {"kernel": kernel}}, x))


def arrays(case: Case) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Image, kernel and a cotangent."""
    keys = jax.random.split(jax.random.key(0), 3)
    inner = case.inputs // (1 if case.transposed else case.groups)
    x = jax.random.normal(keys[0], (case.batch, *case.sizes, case.inputs))
    kernel = jax.random.normal(keys[1], (*case.window, inner, case.outputs))
    y = jax.eval_shape(functools.partial(our_layer, case), x, kernel)
    return x, kernel, jax.random.normal(keys[2], y.shape)


Passes = tuple[Callable[[], Any], Callable[[], Any]]


def jax_passes(layer: Callable[..., jax.Array], case: Case) -> Passes:
    """The forward pass, and both."""
    x, kernel, cotangent = arrays(case)
    f = functools.partial(layer, case)

    def value_and_gradients(
        x: jax.Array, kernel: jax.Array, cotangent: jax.Array
    ) -> tuple[jax.Array, ...]:
        y, back = jax.vjp(f, x, kernel)
        return y, *back(cotangent)

    forward = jax.jit(f).lower(x, kernel).compile()
    both = jax.jit(value_and_gradients).lower(x, kernel, cotangent).compile()
    return lambda: forward(x, kernel), lambda: both(x, kernel, cotangent)


def torch_passes(case: Case, *, last: bool) -> Passes:
    """The same in PyTorch, with channels first, or last in memory."""
    import torch
    from torch.nn import functional

    axes, margins = case.axes, case.margins
    x, kernel, cotangent = (np.asarray(a) for a in arrays(case))
    order = (-2, -1) if case.transposed else (-1, -2)
    tensors = [np.moveaxis(x, -1, 1), np.moveaxis(kernel, order, (0, 1))]
    layout = {"memory_format": torch.channels_last} if last else {}
    x, kernel = (torch.tensor(a.copy()).contiguous(**layout).requires_grad_() for a in tensors)
    cotangent = torch.tensor(np.moveaxis(cotangent, -1, 1).copy()).contiguous(**layout)
    name = f"conv_transpose{axes}d" if case.transposed else f"conv{axes}d"
    layer = getattr(functional, name)
    lows = [low for low, _ in margins]
    options: dict[str, Any] = {
        "stride": case.strides,
        "dilation": case.dilation,
        "groups": case.groups,
    }
    extra = [0] * axes  # entries behind those that PyTorch gives, or too many below 0
    if case.transposed:
        spans = [case.dilation * (w - 1) + 1 for w in case.window]
        extra = [case.strides - k + 2 * low for k, low in zip(spans, lows, strict=True)]
        options |= {"padding": lows, "output_padding": [max(n, 0) for n in extra]}
    elif all(low == high for low, high in margins):
        options["padding"] = lows
    widths = [] if "padding" in options else [n for pair in reversed(margins) for n in pair]

    cropped = (slice(None), slice(None), *(slice(n if n < 0 else None) for n in extra))

    def call() -> Any:
        return layer(functional.pad(x, widths) if widths else x, kernel, **options)[cropped]

    def forward() -> np.ndarray:
        with torch.no_grad():
            return np.moveaxis(call().numpy(), 1, -1)

    def both() -> tuple[np.ndarray, ...]:
        y = call()
        back = torch.autograd.grad(y, (x, kernel), cotangent)
        images = (np.moveaxis(a.detach().numpy(), 1, -1) for a in (y, back[0]))
        return *images, np.moveaxis(back[1].numpy(), (0, 1), order)

    return forward, both


def contestants(case: Case) -> dict[str, Passes]:
    """Of each library that is installed and has this convolution."""
    found = {XLA: jax_passes(lax_layer, case), OURS: jax_passes(our_layer, case)}
    if importlib.util.find_spec("flax"):
        found[FLAX] = jax_passes(flax_layer, case)
    if importlib.util.find_spec("torch"):
        found[TORCH] = torch_passes(case, last=False)
        if case.axes == 2:
            found[TORCH_LAST] = torch_passes(case, last=True)
    return found


def compare(
    passes: Mapping[str, Passes], rounds: int, *, baseline: str
) -> tuple[Comparison, Comparison]:
    """Times of the forward pass and of both; the answers agree."""
    expected = passes[baseline][1]()
    seconds = {}
    for name, (_, both) in passes.items():
        jax.block_until_ready(both())
        start = time.perf_counter()
        answer = jax.block_until_ready(both())
        seconds[name] = time.perf_counter() - start
        for a, b in zip(answer, expected, strict=True):
            scale = float(np.abs(b).max())
            np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE * scale, err_msg=name)
    rounds = min(rounds, 3) if max(seconds.values()) > 0.5 else rounds
    forward, both = (
        interleave(
            {name: p[i] for name, p in passes.items()}, rounds=rounds, baseline=baseline, rest=REST
        )
        for i in range(2)
    )
    return forward, both


def milliseconds(comparison: Comparison, name: str) -> float:
    """The median; of PyTorch's two layouts that of the faster."""
    names = [n for n in (name, TORCH_LAST) if n in comparison.samples] if name == TORCH else [name]
    return min(1e3 * comparison.quartiles(n)[1] for n in names)


def ratios(both: Mapping[str, Comparison], name: str) -> np.ndarray:
    """The other's time over ours, case by case."""
    those = [c for c in both.values() if name in c.samples]
    return np.array([milliseconds(c, name) / milliseconds(c, OURS) for c in those])


def peers(results: Mapping[str, tuple[Comparison, Comparison]]) -> list[str]:
    """The contestants, ours first."""
    found = dict.fromkeys(n for forward, _ in results.values() for n in forward.samples)
    return [OURS, *(n for n in found if n not in (OURS, TORCH_LAST))]


def markdown(results: Mapping[str, tuple[Comparison, Comparison]]) -> str:
    """Medians in milliseconds, forward / both, and how many times as long the others take."""
    names = peers(results)
    lines = ["| " + " | ".join(["", *names, *(f"{n} ÷ fnmath" for n in names[1:])]) + " |"]
    lines += ["|---" + "|--:" * (2 * len(names) - 1) + "|"]
    for case, (forward, both) in results.items():
        cells = [case]
        for n in names:
            there = n in both.samples
            one, two = (milliseconds(c, n) if there else 0 for c in (forward, both))
            cells += [f"{one:.2f} / {two:.2f}" if there else ""]
        for n in names[1:]:
            there = n in both.samples
            cells += [f"{milliseconds(both, n) / milliseconds(both, OURS):.2f}" if there else ""]
        lines += ["| " + " | ".join(cells) + " |"]
    return "\n".join(lines)


def summary(results: Mapping[str, tuple[Comparison, Comparison]]) -> str:
    lines = []
    for i, title in enumerate(("forward", "forward and backward")):
        comparisons = {name: pair[i] for name, pair in results.items()}
        for other in peers(results)[1:]:
            found = ratios(comparisons, other)
            mean = math.exp(np.log(found).mean())
            lines.append(
                f"{title}: {other} takes {mean:.2f} × fnmath's time (geometric mean of "
                f"{len(found)}; {found.min():.2f} to {found.max():.2f})"
            )
    return "\n".join(lines)


def plot(results: Mapping[str, tuple[Comparison, Comparison]], path: Path) -> None:
    """How many times as long the others take for both passes, sorted."""
    both = {name: pair[1] for name, pair in results.items()}
    others = [n for n in peers(results)[1:] if n != FLAX]
    order = sorted(both, key=lambda n: ratios({n: both[n]}, others[0])[0])
    with matplotlib.rc_context(
        {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}
    ):
        figure = Figure(figsize=(8, 0.24 * len(order) + 1.2), dpi=130, layout="constrained")
        axes = figure.subplots()
        for other, colour, marker in zip(others, (BLUE, ORANGE), ("o", "D"), strict=False):
            places = [i for i, n in enumerate(order) if other in both[n].samples]
            x = [ratios({n: both[n]}, other)[0] for n in (order[i] for i in places)]
            axes.plot(x, places, marker, color=colour, ms=5, label=other, clip_on=False)
        axes.axvline(1, color=GREY, lw=1)
        axes.set(xscale="log", yticks=range(len(order)), yticklabels=order)
        axes.set_xlabel(
            "time ÷ fnmath's, output and both gradients (right of the line: fnmath is faster)"
        )
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.grid(axis="y", lw=0.3)
        axes.legend(loc="lower right", frameon=False)
        figure.savefig(path)


def save(
    folder: Path,
    results: Mapping[str, tuple[Comparison, Comparison]],
    table: str,
    config: Mapping[str, Any],
) -> None:
    """The table, and all that was measured."""
    (folder / "table.md").write_text(table + "\n")
    times = {
        name: {"forward": forward.to_dict(), "forward + backward": both.to_dict()}
        for name, (forward, both) in results.items()
    }
    command.save_json(
        folder / "results.json", {"config": config, "machine": machine(), "seconds": times}
    )


def main(arguments: Sequence[str] | None = None) -> None:
    with command.plain_errors(NAME):
        config = command.parse(Config, arguments, doc=__doc__ or "", name=NAME)
        if config.rounds < 1:
            raise command.OptionError("--rounds must be at least 1")
        chosen = [case for case in CASES if config.only in case.name]
        if not chosen:
            raise command.OptionError(f"--only: no name of {', '.join(c.name for c in CASES)}")
        folder = command.make_folder(config.output, NAME.replace(".", "/"))
        results = {}
        for case in chosen:
            results[case.name] = compare(contestants(case), config.rounds, baseline=XLA)
            print(markdown({case.name: results[case.name]}).splitlines()[-1], flush=True)
        table = f"{markdown(results)}\n\n{summary(results)}"
        save(folder, results, table, dataclasses.asdict(config))
        plot(results, folder / "layers.png")
        print(f"\n{table}\n\nSaved to {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
