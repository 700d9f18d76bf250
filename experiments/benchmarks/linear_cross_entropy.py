"""What does a cross-entropy over a large vocabulary cost when it never holds all the logits?

Run      python -m experiments.benchmarks.linear_cross_entropy
Cost     2 minutes on two CPU cores, 3 GB of memory
Expect   forward and backward: the sum in at most 1.1 × the time of the plain form, both in at most
         1/8 of its temporary memory
Finding  4096 tokens × 512 × 32,768 classes, forward and backward: the sum takes 1.00 × the time of
         the plain form and 123 MiB of temporary memory beside 1,024; one loss per token 1.27 ×
         and 123 MiB; forward alone 0.88 ×

The plain form is a matrix product and optax's softmax cross-entropy with integer labels, averaged.
The sum forms its gradients on the way forward, three products as in the plain form; the function
that gives one loss per token forms its logits twice, four products. Float32. The losses and both
gradients are compared before any time is taken. Temporary memory is what XLA plans for the
compiled program, arguments and results aside.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from experiments import command
from experiments.benchmarks.train_step import machine
from fnmath.benchmark import Comparison, interleave
from fnmath.losses import linear_softmax_cross_entropy, linear_softmax_cross_entropy_sum

PLAIN = "plain"
TOLERANCE = 1e-5  # of the largest entry of the loss, or of the gradient


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    tokens: int = 4096
    """How many tokens."""
    features: int = 512
    """How many features a hidden state has."""
    classes: int = 32768
    """How many classes the vocabulary has."""
    chunk: int = 352
    """Of how many tokens the logits are held at a time."""
    rounds: int = 5
    """How often each contestant is timed."""
    seed: int = 0
    """Decides hidden states, kernel and labels."""
    output: Path = Path("runs")
    """Where the results go."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What was measured of one task, forward or forward and backward."""

    task: str
    differences: Mapping[str, float]
    temporary_bytes: Mapping[str, int]
    comparison: Comparison

    def to_dict(self) -> dict[str, Any]:
        """Everything measured, for JSON."""
        return {
            "differences": self.differences,
            "temporary_bytes": self.temporary_bytes,
            "seconds": self.comparison.to_dict(),
        }


def objectives(config: Config) -> dict[str, Callable[..., jax.Array]]:
    """The mean loss of hidden states, kernel and labels, by each of the forms."""

    def plain(hidden: jax.Array, kernel: jax.Array, labels: jax.Array) -> jax.Array:
        logits = hidden @ kernel
        return optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    def each(hidden: jax.Array, kernel: jax.Array, labels: jax.Array) -> jax.Array:
        return linear_softmax_cross_entropy(hidden, kernel, labels, chunk=config.chunk).mean()

    def total(hidden: jax.Array, kernel: jax.Array, labels: jax.Array) -> jax.Array:
        chunk, tokens = config.chunk, len(labels)
        return linear_softmax_cross_entropy_sum(hidden, kernel, labels, chunk=chunk) / tokens

    return {PLAIN: plain, "fnmath, the sum": total, "fnmath, one per token": each}


def make_arguments(config: Config) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Hidden states of unit variance, a kernel that keeps it, labels drawn evenly."""
    keys = jax.random.split(jax.random.key(config.seed), 3)
    hidden = jax.random.normal(keys[0], (config.tokens, config.features))
    kernel = jax.random.normal(keys[1], (config.features, config.classes)) / config.features**0.5
    return hidden, kernel, jax.random.randint(keys[2], (config.tokens,), 0, config.classes)


def difference(expected: Any, answer: Any) -> float:
    """The largest over all arrays: of an array, the largest in units of its largest entry."""
    pairs = zip(jax.tree.leaves(expected), jax.tree.leaves(answer), strict=True)
    return max(float(np.abs(b - a).max() / np.abs(a).max()) for a, b in pairs)


def temporary_bytes(compiled: jax.stages.Compiled) -> int:
    """What XLA plans to hold besides arguments and results."""
    analysis: Any = compiled.memory_analysis()
    return analysis.temp_size_in_bytes


def run(config: Config, task: str, functions: Mapping[str, Callable[..., Any]]) -> Result:
    """Check that all agree, then time them in turns."""
    arguments = make_arguments(config)
    compiled = {name: jax.jit(f).lower(*arguments).compile() for name, f in functions.items()}
    expected, found = jax.device_get(compiled[PLAIN](*arguments)), {}
    for name, f in compiled.items():
        found[name] = difference(expected, jax.device_get(f(*arguments)))
        if not found[name] <= TOLERANCE:
            raise ValueError(
                f"{name} differs from {PLAIN} by {found[name]:.2g} of the largest entry"
            )
    memory = {name: temporary_bytes(f) for name, f in compiled.items()}
    calls = {name: (lambda f=f: f(*arguments)) for name, f in compiled.items()}
    return Result(task, found, memory, interleave(calls, rounds=config.rounds))


def report(result: Result) -> str:
    """Times, memory and agreement, to read."""
    lines = [f"\n{result.task}", str(result.comparison)]
    for name, amount in result.temporary_bytes.items():
        of_plain = amount / result.temporary_bytes[PLAIN]
        lines += [
            f"  {name}: {amount / 2**20:,.0f} MiB of temporary memory, {of_plain:.3f} × the plain "
            f"form's; answers differ by {result.differences[name]:.1e} of the largest entry"
        ]
    return "\n".join(lines)


def markdown(results: Sequence[Result]) -> str:
    """A table for the README: per task, time and temporary memory, as such and as ratios."""
    names = list(results[0].temporary_bytes)
    columns = [f"{result.task}: {what}" for result in results for what in ("time", "memory")]
    lines = ["| " + " | ".join(["", *columns]) + " |", "|---|" + "--:|" * len(columns)]
    for name in names:
        cells = [name]
        for result in results:
            low, middle, high = result.comparison.ratio(name)
            spread = "1" if name == PLAIN else f"{middle:.2f} [{low:.2f}, {high:.2f}]"
            amount = result.temporary_bytes[name]
            share = amount / result.temporary_bytes[PLAIN]
            cells += [f"{result.comparison.quartiles(name)[1]:.3g} s: {spread}"]
            cells += [f"{amount / 2**20:,.0f} MiB: {share:.2f}"]
        lines += ["| " + " | ".join(cells) + " |"]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    name = "benchmarks.linear_cross_entropy"
    config = command.parse(Config, arguments, doc=__doc__ or "", name=name)
    with command.plain_errors(name):
        sizes = (config.tokens, config.features, config.classes, config.chunk, config.rounds)
        if min(sizes) < 1:
            raise command.OptionError("sizes, --chunk and --rounds must be at least 1")
        folder = command.make_folder(config.output, name.replace(".", "/"))
        forward = objectives(config)
        both = {key: jax.value_and_grad(f, argnums=(0, 1)) for key, f in forward.items()}
        results = [
            run(config, "forward", forward),
            run(config, "forward and backward", both),
        ]
    for result in results:
        print(report(result))
    table = markdown(results)
    (folder / "table.md").write_text(table + "\n")
    measured = {result.task: result.to_dict() for result in results}
    everything = {"config": dataclasses.asdict(config), "machine": machine()}
    command.save_json(folder / "results.json", {**everything, "results": measured})
    print(f"\n{table}\n\nSaved to {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
