"""What does it cost to have values and cotangents out of a compiled backward pass?

Run      python -m experiments.benchmarks.intermediates
Cost     1 minute on two CPU cores
Expect   at most 1.1 × the time of jax.value_and_grad
Finding  1.00 × for a multilayer perceptron, 1.05 × for a transformer's block, 1.04 × for four of
         them in a scan, all values and cotangents returned whole; 1.01 to 1.08 × for their norms

Float32. Contestants: ``jax.value_and_grad`` of the function without its marks;
``fnmath.backprop.intermediates`` of the marked one, all values and cotangents returned whole; and
the same with only their norms returned. Value and gradients are compared before any time is taken,
and whether marks alone leave the compiled program as it was.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments import command
from experiments.benchmarks.train_step import machine
from fnmath.activations import gelu, relu
from fnmath.backprop import intermediates, name
from fnmath.benchmark import Comparison, interleave
from fnmath.layers import dense, layer_norm, multi_head_attention
from fnmath.losses import softmax_cross_entropy_with_integer_labels
from fnmath.networks import mlp_init, transformer_block_init

PLAIN, WHOLE, NORMS = "value_and_grad", "intermediates", "intermediates, their norms"
TOLERANCE = 1e-5  # of the largest entry of the loss, or of a gradient
HEADS = 4

Look = Callable[[str, Any], Any]


class Task(NamedTuple):
    """A function ``f(mark, params, x)``, and what it is given."""

    f: Callable[[Look, Any, jax.Array], jax.Array]
    params: Any
    x: jax.Array
    marks: int


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    only: str = ""
    """Only the tasks whose names hold this."""
    rounds: int = 30
    """How often each contestant is timed."""
    seed: int = 0
    """Decides parameters and inputs."""
    output: Path = Path("runs")
    """Where the results go."""


def perceptron(mark: Look, params: Any, x: jax.Array) -> jax.Array:
    """The loss of a multilayer perceptron, each of its layers marked."""
    *hidden, last = params
    for i, layer in enumerate(hidden):
        x = relu(mark(f"layer {i}", dense(layer, x)))
    logits = mark("logits", dense(last, x))
    labels = jnp.arange(len(logits)) % logits.shape[-1]
    return softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def block(mark: Look, params: Any, x: jax.Array) -> jax.Array:
    """A transformer's block, what goes into each branch, its hidden layer and its sums marked."""
    h = mark("normalised", layer_norm(params.ln_1, x))
    h = multi_head_attention(params.self_attention, h, heads=HEADS, is_causal=True)
    x = mark("attended", x + h)
    first, last = params.mlp
    h = mark("hidden", dense(first, layer_norm(params.ln_2, x)))
    return mark("out", x + dense(last, gelu(h)))


def one_block(mark: Look, params: Any, x: jax.Array) -> jax.Array:
    """The mean square of what one block makes."""
    return jnp.mean(block(mark, params, x) ** 2)


def blocks(mark: Look, params: Any, x: jax.Array) -> jax.Array:
    """The mean square of what blocks make, one after the other in a scan."""
    x, _ = jax.lax.scan(lambda x, layer: (block(mark, layer, x), None), x, params)
    return jnp.mean(x**2)


def tasks(seed: int) -> dict[str, Task]:
    """The functions, by what is said of them."""
    key, x_key = jax.random.split(jax.random.key(seed))
    sequences = jax.random.normal(x_key, (8, 128, 256))
    init = functools.partial(transformer_block_init, features=256, heads=HEADS)
    stack = jax.vmap(init)(jax.random.split(key, 4))
    layers = mlp_init(key, (784, 512, 512, 10))
    return {
        "MLP 784-512-512-10, 256 examples": Task(
            perceptron, layers, jax.random.normal(x_key, (256, 784)), 3
        ),
        "transformer block, 8 × 128 × 256": Task(one_block, init(key), sequences, 4),
        "4 blocks in a scan, 8 × 128 × 256": Task(blocks, stack, sequences, 4),
    }


def contestants(task: Task) -> dict[str, Callable[[Any, jax.Array], Any]]:
    """By name, functions that return value, gradients, and what else they have."""

    def plain(params: Any, x: jax.Array) -> Any:
        return *jax.value_and_grad(functools.partial(task.f, lambda _, h: h))(params, x), {}

    whole = intermediates(functools.partial(task.f, name))

    def norms(params: Any, x: jax.Array) -> Any:
        value, gradients, marks = whole(params, x)
        return value, gradients, jax.tree.map(lambda a: jnp.sqrt(jnp.sum(a**2)), marks)

    return {PLAIN: plain, WHOLE: whole, NORMS: norms}


def instructions(compiled: jax.stages.Compiled) -> list[str]:
    """The program, without the source lines that it came from."""
    lines = (compiled.as_text() or "").splitlines()
    return [line.partition(", metadata=")[0] for line in lines if " = " in line]


def is_free(task: Task) -> bool:
    """Whether value and gradients compile to one program with marks and without."""
    found = [
        instructions(
            jax.jit(jax.value_and_grad(functools.partial(task.f, mark)))
            .lower(task.params, task.x)
            .compile()
        )
        for mark in (name, lambda _, h: h)
    ]
    return found[0] == found[1]


def difference(expected: Any, answer: Any) -> float:
    """The largest over all arrays: of an array, the largest in units of its largest entry."""
    pairs = zip(jax.tree.leaves(expected), jax.tree.leaves(answer), strict=True)
    return max(float(np.abs(b - a).max() / np.abs(a).max()) for a, b in pairs)


def run(config: Config, called: str, task: Task) -> Comparison:
    """Check that all agree, then time them in turns."""
    if not is_free(task):
        raise ValueError(f"{called}: marks change the compiled program")
    compiled = {
        name: jax.jit(f).lower(task.params, task.x).compile()
        for name, f in contestants(task).items()
    }
    answers = {name: jax.device_get(f(task.params, task.x)) for name, f in compiled.items()}
    for contestant, answer in answers.items():
        found = difference(answers[PLAIN][:2], answer[:2])
        if not found <= TOLERANCE:
            raise ValueError(f"{called}: {contestant} differs by {found:.2g} of the largest entry")
        if len(answer[2]) != (0 if contestant == PLAIN else task.marks):
            raise ValueError(f"{called}: {contestant} has the marks {sorted(answer[2])}")
    calls = {name: functools.partial(f, task.params, task.x) for name, f in compiled.items()}
    return interleave(calls, rounds=config.rounds)


def markdown(results: Mapping[str, Comparison]) -> str:
    """A table for the README: milliseconds, and ratios with their quartiles."""
    lines = ["| ms | " + " | ".join((PLAIN, WHOLE, NORMS)) + " |", "|---|--:|--:|--:|"]
    for called, result in results.items():
        cells = [called]
        for contestant in (PLAIN, WHOLE, NORMS):
            cells += [f"{1e3 * result.quartiles(contestant)[1]:.2f}"]
            if contestant != PLAIN:
                low, middle, high = result.ratio(contestant)
                cells[-1] += f": {middle:.2f} × [{low:.2f}, {high:.2f}]"
        lines += ["| " + " | ".join(cells) + " |"]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    program = "benchmarks.intermediates"
    config = command.parse(Config, arguments, doc=__doc__ or "", name=program)
    with command.plain_errors(program):
        if config.rounds < 1:
            raise command.OptionError("--rounds must be at least 1")
        chosen = {n: task for n, task in tasks(config.seed).items() if config.only in n}
        if not chosen:
            raise command.OptionError(f"--only: no name of {', '.join(tasks(0))} holds it")
        folder = command.make_folder(config.output, program.replace(".", "/"))
        results = {called: run(config, called, task) for called, task in chosen.items()}
    for called, result in results.items():
        print(f"\n{called}\n{result}")
    table = markdown(results)
    (folder / "table.md").write_text(table + "\n")
    measured = {called: result.to_dict() for called, result in results.items()}
    everything = {"config": dataclasses.asdict(config), "machine": machine()}
    command.save_json(folder / "results.json", {**everything, "seconds": measured})
    print(f"\n{table}\n\nSaved to {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
