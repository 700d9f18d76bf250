"""What does each form of a convolution cost on this machine, and is the fastest one chosen?

Run      python -m experiments.benchmarks.convolution_costs
Cost     30 minutes on two CPU cores
Expect   the chosen form takes 1.0 to 1.1 × the fastest one's time in the median

Those of networks that ``layers.py`` times, and others drawn at random: one to three axes, windows,
strides, dilations, groups, channels from 1 to 256. Each of their contractions (output, image,
kernel) is timed in each form. The time of a form is fitted by costs, above 0, of what it does, so
that its logarithm errs least; those of networks count twice. Every fifth drawn one is left out of
the fit, and says how good the choice is.

With ``--write`` the costs replace those in fnmath/layers/convolution/_costs.py. ``--also PATH``
fits what an earlier run has measured, its results.json, together with the new.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import random
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import optimize

from experiments import command
from experiments.benchmarks.layers import CASES
from experiments.benchmarks.train_step import machine
from fnmath.layers.convolution import _choice, _correlation, _costs, _forms
from fnmath.layers.convolution._geometry import Grid, grid

NAME = "benchmarks.convolution_costs"
FORMS = ("blocks", "surplus", "taps", "rows", "patches", "spread", "winograd")
ROLES = (_forms.OUTPUT, _forms.IMAGE, _forms.KERNEL)


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    number: int = 100
    """How many convolutions are drawn."""
    rounds: int = 7
    """How often each form is timed."""
    seed: int = 0
    """Decides the convolutions."""
    write: bool = False
    """Whether the library's costs are replaced."""
    also: Path | None = None
    """The results.json of a run on the same machine, whose samples are fitted, too."""
    output: Path = Path("runs")
    """Where the results go."""


class Shape(NamedTuple):
    """A convolution."""

    grid: Grid
    batch: int
    inputs: int
    outputs: int
    groups: int


class Sample(NamedTuple):
    """A contraction, and the seconds of its forms."""

    role: str
    shape: Shape
    seconds: Mapping[str, float]


def draw(generator: random.Random) -> Shape:
    """A convolution of 10⁶ to 3·10⁸ products whose arrays have no more than 10⁷ entries."""
    while True:
        axes = generator.choice((1, 1, 2, 2, 2, 2, 3))
        groups = generator.choice((1, 1, 1, 1, 2, 8, 32))
        widest = max(8, 256 // groups)
        inputs, outputs = (
            generator.choice([n for n in (1, 3, 4, 6, 16, 32, 64, 128, 256) if n <= widest])
            for _ in range(2)
        )
        window = (
            generator.choice((1, 2, 3, 3, 3, 4, 5, 7, *((9, 31) if axes == 1 else ()))),
        ) * axes
        size = generator.choice({1: (128, 512, 2048), 2: (8, 14, 28, 56, 112), 3: (8, 16)}[axes])
        options = {
            "strides": generator.choice((1, 1, 1, 2, 2, window[0])),
            "dilation": generator.choice((1, 1, 1, 1, 2)),
            "padding": generator.choice(("SAME", "VALID")),
        }
        try:
            windows = grid("conv", (size,) * axes, window, **options)
        except ValueError:
            continue
        shape = Shape(windows, generator.choice((1, 4, 8, 16, 32, 64)), inputs, outputs, groups)
        work = _choice.work("patches", _forms.OUTPUT, *shape)
        largest = max(math.prod(a) for a in arrays(shape).values())
        depthwise = _forms.by_entries(inputs, outputs * groups, groups)
        if 1e6 < work.products < 3e8 and work.copied < 3e7 and largest < 1e7 and not depthwise:
            return shape


def of_networks() -> list[Shape]:
    """The convolutions that ``layers.py`` times, but for the depthwise ones."""
    shapes = []
    for case in CASES:
        large = tuple(n * case.strides if case.transposed else n for n in case.sizes)
        options = {"strides": case.strides, "dilation": case.dilation, "padding": case.padding}
        channels = (case.inputs // case.groups, case.outputs // case.groups)
        inputs, outputs = reversed(channels) if case.transposed else channels
        windows = grid("conv", large, case.window, **options)
        if not _forms.by_entries(inputs, outputs * case.groups, case.groups):
            shapes.append(Shape(windows, case.batch, inputs, outputs, case.groups))
    return shapes


def arrays(shape: Shape) -> dict[str, tuple[int, ...]]:
    """The shapes of image, kernel and output."""
    windows, batch, inputs, outputs, groups = shape
    return {
        _forms.IMAGE: (batch, *windows.sizes, groups * inputs),
        _forms.KERNEL: (*windows.window, inputs, groups * outputs),
        _forms.OUTPUT: (batch, *windows.counts, groups * outputs),
    }


def measure(shape: Shape, role: str, rounds: int) -> Sample:
    """The median seconds of each form that answers as the first one does."""
    keys = jax.random.split(jax.random.key(0), 2)
    shapes = [arrays(shape)[name] for name in _correlation.OPERANDS[role]]
    a, b = (jax.random.normal(key, s) for key, s in zip(keys, shapes, strict=True))
    calls, expected = {}, None
    for name in FORMS:
        if name not in allowed(role, shape):
            continue
        options = {"grid": shape.grid, "groups": shape.groups}
        size = _choice.chunk(_choice.work(name, role, *shape), shape.batch)
        form = functools.partial(_forms.FORMS[name][role], **options)
        calls[name] = jax.jit(_correlation.in_chunks(form, role, size))
        answer = np.asarray(calls[name](a, b))
        expected = answer if expected is None else expected
        np.testing.assert_allclose(answer, expected, atol=1e-4 * np.abs(expected).max())
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        best = min((min(s) for s in samples.values() if s), default=math.inf)
        for name, call in calls.items():
            if samples[name] and min(samples[name]) > 5 * best:
                continue
            start = time.perf_counter()
            jax.block_until_ready(call(a, b))
            samples[name].append(time.perf_counter() - start)
    return Sample(role, shape, {name: float(np.median(s)) for name, s in samples.items()})


def allowed(role: str, shape: Shape) -> list[str]:
    """Of the forms that can be chosen those worth a measurement: of no more calls than ``MANY``."""
    window, phases = math.prod(shape.grid.window), math.prod(shape.grid.strides)
    many = {"taps": window > _choice.MANY, "spread": window > _choice.MANY or role == _forms.KERNEL}
    many["patches"] = role == _forms.IMAGE and phases > 64
    least = min(shape.inputs, shape.outputs)
    fits = _choice.fitting(FORMS, role, shape.grid, least)
    return [name for name in fits if not many.get(name, False)]


def read(path: Path) -> list[Sample]:
    """The samples of an earlier run."""

    def tuples(x: Any) -> Any:
        return tuple(map(tuples, x)) if isinstance(x, list) else x

    try:
        saved = json.loads(path.read_text())["samples"]
    except (OSError, ValueError, KeyError) as error:
        raise command.OptionError(f"--also: no samples in {path}: {error}") from None
    return [
        Sample(
            s["role"],
            Shape(**{**s["shape"], "grid": Grid(*tuples(s["shape"]["grid"]))}),
            s["seconds"],
        )
        for s in saved
    ]


def fit(samples: Sequence[Sample]) -> dict[str, dict[str, tuple[float, ...]]]:
    """Nanoseconds for each unit of work, of each form and role."""
    costs: dict[str, dict[str, tuple[float, ...]]] = {}
    for role in ROLES:
        costs[role] = {}
        for name in FORMS:
            those = [s for s in samples if s.role == role and name in s.seconds]
            if those:
                works = np.array([_choice.work(name, role, *s.shape)[:-1] for s in those])
                taken = 1e9 * np.array([s.seconds[name] for s in those])
                fastest = 1e9 * np.array([min(s.seconds.values()) for s in those])
                costs[role][name] = _fitted(works, taken, np.sqrt(fastest / taken))
    return costs


def _fitted(works: np.ndarray, taken: np.ndarray, weights: np.ndarray) -> tuple[float, ...]:
    """Costs above 0 for which the logarithm of the time errs least, outliers counting less."""
    start, _ = optimize.nnls(works / taken[:, None], np.ones(len(taken)))
    small = 1e-3 * taken.mean() / works.mean(axis=0).clip(1e-9)

    def errors(logarithms: np.ndarray) -> np.ndarray:
        return weights * (np.log(works @ np.exp(logarithms)) - np.log(taken))

    first = np.log(np.maximum(start, small)).clip(-20, 20)
    best = optimize.least_squares(errors, first, bounds=(-21, 21), loss="soft_l1")
    found = np.where(works.any(axis=0), np.exp(best.x), 0.0)
    return tuple(float(f"{c:.3g}") if c > 1e-6 else 0.0 for c in found)


def regret(samples: Sequence[Sample], costs: Mapping[str, Any]) -> np.ndarray:
    """How many times as long as the fastest form the chosen one takes."""
    ratios = []
    for sample in samples:
        expected = {
            name: _choice.expected(
                name,
                sample.role,
                _choice.work(name, sample.role, *sample.shape),
                costs[sample.role],
            )
            for name in sample.seconds
        }
        chosen = min(expected, key=expected.__getitem__)
        ratios.append(sample.seconds[chosen] / min(sample.seconds.values()))
    return np.array(ratios)


def source(costs: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """The module that holds the costs."""
    lines = [f'"""{_costs.__doc__}"""', "", "COSTS = {"]
    for role, forms in costs.items():
        lines.append(f'    "{role}": {{')
        lines += [f'        "{name}": {tuple(c)},' for name, c in forms.items()]
        lines.append("    },")
    return "\n".join([*lines, "}", ""])


def main(arguments: Sequence[str] | None = None) -> None:
    with command.plain_errors(NAME):
        config = command.parse(Config, arguments, doc=__doc__ or "", name=NAME)
        if config.number < 10 or config.rounds < 1:
            raise command.OptionError("--number must be at least 10, --rounds at least 1")
        earlier = read(config.also) if config.also else []
        folder = command.make_folder(config.output, NAME.replace(".", "/"))
        generator, networks = random.Random(config.seed), of_networks()
        samples, kept = [], []
        for shape in networks:
            samples.extend(measure(shape, role, config.rounds) for role in ROLES)
        for i in range(config.number):
            those = kept if i % 5 == 4 else samples
            shape = draw(generator)
            those.extend(measure(shape, role, config.rounds) for role in ROLES)
        fitted = samples + earlier
        costs = fit([*fitted, *(s for s in fitted if s.shape in networks)])
        for title, those in {"fitted": samples, "left out": kept}.items():
            for role in ROLES:
                ratios = regret([s for s in those if s.role == role], costs)
                quartiles = np.quantile(ratios, [0.5, 0.9, 1.0]).round(2)
                print(f"{title}, {role}: chosen / fastest {quartiles} (median, 90 %, worst)")
        command.save_json(
            folder / "results.json",
            {
                "config": dataclasses.asdict(config),
                "machine": machine(),
                "costs": costs,
                "samples": [
                    {"role": s.role, "shape": s.shape._asdict(), "seconds": dict(s.seconds)}
                    for s in samples + kept
                ],
            },
        )
        print(source(costs))
        if config.write:
            Path(_costs.__file__).write_text(source(costs))
        print(f"Saved to {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
