"""What does one step of training cost in fnmath, and what in its peers?

Run      python -m experiments.benchmarks.train_step
Cost     2 minutes on two CPU cores
Expect   a step of fnmath within 3 % of hand-written JAX in the median; an epoch by fit faster than
         the same steps one by one
Finding  784-128-10, batch 128: a step 1.00 × hand-written JAX; by fit 0.79 × its steps on batches
         cut before in one epoch, 0.70 × in ten, and 0.64 × steps that gather their own; 64-32-10,
         batch 32: 1.05 ×; 0.60 ×, 0.52 × and 0.45 ×

One hidden layer, relu, softmax cross-entropy, Adam, float32. All begin with the same weights and
see the same batches; the loss of every step of the first run, and the weights after it, are
compared before any time is taken. A time is that of a run of consecutive steps on batches cut
before, waited for at its end, over their number. All take turns in one process. The run of ten
epochs is held to the same losses in its first, and to the weights after ten runs of one.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import optax

from experiments import command
from experiments.benchmarks import peers
from experiments.benchmarks.peers import BASELINE, MAKERS, Case, Peer
from fnmath.benchmark import Comparison, JitTimes, Peak, interleave, measured_peak, time_jit

NETWORKS = {"large": ((784, 128, 10), 128), "small": ((64, 32, 10), 32)}
LOSS_TOLERANCE = 1e-4  # of 1 + the loss, in every step
WEIGHT_TOLERANCE = 1e-3  # a step moves a weight by up to the learning rate, also 1e-3


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    rounds: int = 40
    """How often each contestant is timed."""
    steps: int = 100
    """Steps in one time; also the length of the epoch."""
    seed: int = 0
    """Decides weights and data."""
    networks: tuple[Literal["large", "small"], ...] = ("large", "small")
    """Which of the two networks."""
    peers: tuple[Literal["fnmath", "JAX", "Flax", "Equinox", "PyTorch"], ...] = (
        "fnmath",
        "JAX",
        "Flax",
        "Equinox",
        "PyTorch",
    )
    """Who takes part; JAX is the row not donated, the baseline always does."""
    output: Path = Path("runs")
    """Where the results go."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What was measured of one network."""

    case: Case
    differences: Mapping[str, tuple[float, float]]
    comparison: Comparison
    stages: Sequence[JitTimes]
    absent: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """Everything measured, for JSON."""
        return {
            "flops_of_products": self.case.flops,
            "differences": self.differences,
            "seconds_per_step": self.comparison.to_dict(),
            "stages": [times.to_dict() for times in self.stages],
            "absent": self.absent,
        }


class Runner:
    """A run of steps that goes on, with each call, where the last one stopped."""

    def __init__(self, peer: Peer):
        self.peer, self.state = peer, peer.state

    def __call__(self) -> tuple[Any, list[Any]]:
        """Make a step on each batch; return the state and the losses."""
        losses = []
        for batch in self.peer.batches:
            self.state, loss = self.peer.step(self.state, batch)
            losses.append(loss)
        return self.state, losses


def make_runners(case: Case, config: Config) -> tuple[dict[str, Runner], list[str]]:
    """Those who take part, the baseline first, and the names of those that are not installed."""
    runners, absent = {}, []
    for name, make in MAKERS.items():
        if name != BASELINE and not any(word in name for word in config.peers):
            continue
        try:
            runners[name] = Runner(make(case))
        except ImportError:
            absent.append(name)
    return runners, absent


def differences(case: Case, runners: Mapping[str, Runner]) -> dict[str, tuple[float, float]]:
    """Largest differences from the baseline after the first run: of the losses, of the weights.

    Of a longer run the losses of the first epoch are compared with the baseline's, and the weights
    with those after as many runs of one epoch.
    """
    trained = {}
    for name, runner in runners.items():
        state, losses = runner()
        trained[name] = joined(losses), joined(runner.peer.weights(state))
    expected_losses, expected_weights = trained[BASELINE]
    found = {}
    for name, (losses, weights) in trained.items():
        wanted = expected_weights
        if (epochs := runners[name].peer.epochs) > 1:
            single = Runner(peers.fnmath_fit_peer(case, epochs=1))
            wanted = joined(single.peer.weights([single()[0] for _ in range(epochs)][-1]))
        first = losses[: expected_losses.size]
        of_losses = np.max(np.abs(first - expected_losses) / (1 + expected_losses))
        of_weights = np.max(np.abs(weights - wanted))
        if not (of_losses <= LOSS_TOLERANCE and of_weights <= WEIGHT_TOLERANCE):
            problem = f"losses by {of_losses:.2g}, weights by {of_weights:.2g}"
            raise ValueError(f"{name} does not train as {BASELINE} does: it differs in {problem}")
        found[name] = (float(of_losses), float(of_weights))
    return found


def joined(arrays: Sequence[Any]) -> np.ndarray:
    """All entries of all arrays, in a row."""
    return np.concatenate([np.ravel(np.asarray(a)) for a in arrays])


def measure_stages(case: Case, peak: Peak) -> tuple[JitTimes, JitTimes]:
    """Compilation and counted work of the step, by hand and in fnmath."""
    optimizer = optax.adam(peers.LEARNING_RATE)
    by_hand = jax.jit(peers.hand_written_step(optimizer), donate_argnums=0)
    ours = jax.jit(peers.fnmath_step(optimizer), donate_argnums=0)
    state, batch = peers.hand_written_state(case, optimizer), case.batches[0]
    first = time_jit(by_hand, state, batch, peak=peak)
    second = time_jit(ours, peers.fnmath_state(case, optimizer), batch, peak=peak)
    return dataclasses.replace(first, name=BASELINE), dataclasses.replace(second, name="fnmath")


def run(config: Config, network: str, peak: Peak) -> Result:
    """Check that all train alike, then time them in turns."""
    case = peers.make_case(*NETWORKS[network], steps=config.steps, seed=config.seed)
    stages = measure_stages(case, peak)
    runners, absent = make_runners(case, config)
    found = differences(case, runners)
    steps = {name: config.steps * runner.peer.epochs for name, runner in runners.items()}
    comparison = interleave(runners, rounds=config.rounds).per(steps)
    return Result(case, found, comparison, stages, absent)


def report(result: Result, peak: Peak) -> str:
    """Tables to read: the times, the epoch against the single steps, the stages, the work."""
    case, comparison = result.case, result.comparison
    lines = [f"\n{case.name}: seconds per step", str(comparison)]
    steps = {name: ts for name, ts in comparison.samples.items() if name.startswith("fnmath")}
    if steps:
        lines += ["\nfnmath: the epoch against its steps one by one"]
        lines += [str(Comparison(steps, "fnmath"))]
    lines += [f"absent: {name} (not installed)" for name in result.absent]
    lines += ["\nStages of one step, each call waited for", *map(str, result.stages)]
    xla, median = result.stages[0].flops, comparison.quartiles(BASELINE)[1]
    rate = case.flops / median
    lines += [
        f"\nMatrix products, by hand: {case.flops / 1e6:.4g} MFLOP a step; "
        f"all operations, by XLA: {'unknown' if xla is None else f'{xla / 1e6:.4g} MFLOP'}",
        f"{BASELINE}: {rate / 1e9:.3g} GFLOP/s, {rate / peak.flops_per_second:.0%} of the peak",
        "Largest differences from it, in the losses and in the weights:",
        *(f"  {name}: {a:.1e}, {b:.1e}" for name, (a, b) in result.differences.items()),
    ]
    return "\n".join(lines)


def markdown(results: Sequence[Result]) -> str:
    """A table for the README: ratios to the baseline with quartiles, one column per network."""
    names = list(dict.fromkeys(name for result in results for name in result.comparison.samples))
    lines = ["| " + " | ".join(["", *(result.case.name for result in results)]) + " |"]
    lines += ["|---|" + "--:|" * len(results)]
    for name in names:
        cells = [name]
        for comparison in (result.comparison for result in results):
            low, middle, high = comparison.ratio(name)
            spread = "1" if name == BASELINE else f"{middle:.2f} [{low:.2f}, {high:.2f}]"
            cells += [f"{comparison.quartiles(name)[1] * 1e6:,.0f} µs: {spread}"]
        lines += ["| " + " | ".join(cells) + " |"]
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """What the times depend on."""
    versions = {}
    for package in ("jax", "optax", "flax", "equinox", "torch"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    device = jax.devices()[0]
    return {
        "backend": device.platform,
        "device": device.device_kind,
        "cpus": os.cpu_count(),
        "versions": versions,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    name = "benchmarks.train_step"
    config = command.parse(Config, arguments, doc=__doc__ or "", name=name)
    with command.plain_errors(name):
        if min(config.rounds, config.steps) < 1:
            raise command.OptionError("--rounds and --steps must be at least 1")
        folder = command.make_folder(config.output, name.replace(".", "/"))
        peak = measured_peak("float32")
        print(peak)
        results = [run(config, network, peak) for network in config.networks]
    for result in results:
        print(report(result, peak))
    table = markdown(results)
    (folder / "table.md").write_text(table + "\n")
    measured = {result.case.name: result.to_dict() for result in results}
    everything = {
        "config": dataclasses.asdict(config),
        "machine": machine(),
        "peak": peak._asdict(),
    }
    command.save_json(folder / "results.json", {**everything, "results": measured})
    print(f"\n{table}\n\nSaved to {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
