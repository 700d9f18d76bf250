"""What does an exact activation or loss cost, beside jax.nn's, optax's and PyTorch's?

Run      python -m experiments.benchmarks.elementwise
Cost     31 seconds on two CPU cores
Expect   0.4 to 1.3 × JAX's time for most; gelu (tanh) 2 ×, log_softmax and logsumexp 1.7 ×

A million float32 numbers from a normal distribution of standard deviation 3; rows of 1,000 of them
where a function takes rows. Forward is the compiled function, backward its compiled vjp, which
gives value and gradient. Answers are compared before times; all take turns in one process.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments import command
from experiments.benchmarks.layers import REST
from experiments.benchmarks.train_step import machine
from fnmath import activations, losses, numerics
from fnmath.benchmark import Comparison, compare

NAME = "benchmarks.elementwise"
SIZE, ROW = 1_000_000, 1000
OURS, JAX, TORCH = "fnmath", "JAX", "PyTorch"


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    rounds: int = 30
    """How often each contestant is timed."""
    only: tuple[str, ...] = ()
    """Names of the functions to time; all of them if none is given."""
    output: Path = Path("runs")
    """Where the results go."""


class Contest(NamedTuple):
    """A function in several libraries, and what it is called with, the first one differentiated."""

    functions: Mapping[str, Callable[..., Any]]
    args: tuple[Any, ...]


def contests() -> dict[str, Contest]:
    """The common activations and losses."""
    keys = jax.random.split(jax.random.key(0), 3)
    x = 3 * jax.random.normal(keys[0], (SIZE,))
    rows = x.reshape(-1, ROW)
    labels = jax.random.randint(keys[1], (SIZE // ROW,), 0, ROW)
    targets = jax.random.normal(keys[2], (SIZE,))
    yes = (targets > 0).astype(x.dtype)
    erf = {"approximate": False}
    nn, theirs, torch = jax.nn, optax.losses, torch_functions()
    pairs = {
        **{name: (getattr(activations, name), getattr(nn, name), (x,)) for name in SAME},
        "tanh": (activations.tanh, jnp.tanh, (x,)),
        "gelu, erf": (partial(activations.gelu, **erf), partial(nn.gelu, **erf), (x,)),
        "softmax": (activations.softmax, nn.softmax, (rows,)),
        "log_softmax": (activations.log_softmax, nn.log_softmax, (rows,)),
        "logsumexp": (
            partial(numerics.logsumexp, axis=-1), partial(nn.logsumexp, axis=-1), (rows,),
        ),
        "huber_loss": (losses.huber_loss, theirs.huber_loss, (x, targets)),
        "log_cosh": (losses.log_cosh, theirs.log_cosh, (x, targets)),
        "sigmoid_binary_cross_entropy": (
            losses.sigmoid_binary_cross_entropy, theirs.sigmoid_binary_cross_entropy, (x, yes),
        ),
        "softmax_cross_entropy": (
            losses.softmax_cross_entropy, theirs.softmax_cross_entropy,
            (rows, jax.nn.one_hot(labels, ROW)),
        ),
        "softmax_cross_entropy_with_integer_labels": (
            losses.softmax_cross_entropy_with_integer_labels,
            theirs.softmax_cross_entropy_with_integer_labels, (rows, labels),
        ),
    }  # fmt: skip
    found = {}
    for name, (ours, jax_one, args) in pairs.items():
        functions = {JAX: jax_one, OURS: ours, TORCH: torch.get(name)}
        found[name] = Contest({k: f for k, f in functions.items() if f is not None}, args)
    return found


SAME = (
    *("relu", "leaky_relu", "elu", "selu", "sigmoid", "log_sigmoid", "softplus", "silu"),
    *("mish", "gelu", "hard_silu", "soft_sign", "squareplus"),
)


def torch_functions() -> dict[str, Callable[..., Any]]:
    """PyTorch's functions of tensors; none where it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return {}
    import torch
    from torch.nn import functional

    each = {"reduction": "none"}
    same = ("relu", "leaky_relu", "elu", "selu", "softplus", "silu", "mish", "gelu")
    return {name: getattr(functional, name) for name in same} | {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "log_sigmoid": functional.logsigmoid,
        "hard_silu": functional.hardswish,
        "soft_sign": functional.softsign,
        "gelu": partial(functional.gelu, approximate="tanh"),
        "gelu, erf": functional.gelu,
        "softmax": partial(functional.softmax, dim=-1),
        "log_softmax": partial(functional.log_softmax, dim=-1),
        "logsumexp": partial(torch.logsumexp, dim=-1),
        "huber_loss": partial(functional.huber_loss, **each),
        "sigmoid_binary_cross_entropy": partial(
            functional.binary_cross_entropy_with_logits, **each
        ),
        "softmax_cross_entropy": partial(functional.cross_entropy, **each),
        "softmax_cross_entropy_with_integer_labels": partial(functional.cross_entropy, **each),
    }


def passes(name: str, contest: Contest) -> tuple[dict, dict]:
    """For each library a call of the forward pass, and one of forward and backward pass."""
    forward, both = {}, {}
    for library, f in contest.functions.items():
        make = torch_calls if library == TORCH else jax_calls
        forward[library], both[library] = make(f, contest.args)
    return forward, both


def jax_calls(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Callable, Callable]:
    """Compiled; the cotangent is 1."""

    def value_and_gradient(x: jax.Array, *others: jax.Array) -> tuple[jax.Array, jax.Array]:
        y, backward = jax.vjp(lambda x: f(x, *others), x)
        return y, backward(jnp.ones_like(y))[0]

    forward, both = jax.jit(f), jax.jit(value_and_gradient)
    return lambda: forward(*args), lambda: both(*args)


def torch_calls(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Callable, Callable]:
    """Eager, on all threads; the answers are waited for, as PyTorch on a CPU always is."""
    import torch

    x, *others = (torch.tensor(np.asarray(a)) for a in args)
    others = [a.long() if a.dtype == torch.int32 else a for a in others]
    t = x.clone().requires_grad_()

    def forward() -> np.ndarray:
        with torch.no_grad():
            return f(x, *others).numpy()

    def both() -> tuple[np.ndarray, np.ndarray]:
        y = f(t, *others)
        (gradient,) = torch.autograd.grad(y, t, torch.ones_like(y))
        return y.detach().numpy(), gradient.numpy()

    return forward, both


def run(name: str, contest: Contest, rounds: int) -> tuple[Comparison, Comparison]:
    """Times of the forward pass, and of both passes."""
    forward, both = (
        compare(calls, (), rounds=rounds, rtol=1e-3, atol=1e-4, warmup=2, rest=REST)
        for calls in passes(name, contest)
    )
    return forward, both


def markdown(results: Mapping[str, tuple[Comparison, Comparison]]) -> str:
    """Median ratios of fnmath's time to the others', with quartiles."""
    lines = ["| | JAX, ms | fnmath / JAX | JAX, both ms | fnmath / JAX, both | / PyTorch, both |"]
    lines += ["|---|--:|--:|--:|--:|--:|"]
    for name, (forward, both) in results.items():
        cells = [name]
        for comparison in (forward, both):
            low, middle, high = comparison.ratio(OURS)
            cells += [f"{1e3 * comparison.quartiles(JAX)[1]:.2f}"]
            cells += [f"{middle:.2f} [{low:.2f}, {high:.2f}]"]
        if TORCH in both.samples:
            pairs = zip(both.samples[OURS], both.samples[TORCH], strict=True)
            cells += [f"{np.median([a / b for a, b in pairs]):.2f}"]
        lines += ["| " + " | ".join([*cells, *[""] * (6 - len(cells))]) + " |"]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    with command.plain_errors(NAME):
        config = command.parse(Config, arguments, doc=__doc__ or "", name=NAME)
        if config.rounds < 1:
            raise command.OptionError("--rounds must be at least 1")
        chosen = {k: c for k, c in contests().items() if not config.only or k in config.only}
        if not chosen:
            raise command.OptionError(f"--only: there are {', '.join(contests())}")
        folder = command.make_folder(config.output, NAME.replace(".", "/"))
        results = {name: run(name, contest, config.rounds) for name, contest in chosen.items()}
        table = markdown(results)
        (folder / "table.md").write_text(table + "\n")
        times = {
            name: {"forward": forward.to_dict(), "forward + backward": both.to_dict()}
            for name, (forward, both) in results.items()
        }
        described = dataclasses.asdict(config)
        everything = {"config": described, "machine": machine(), "seconds": times}
        command.save_json(folder / "results.json", everything)
        print(f"{table}\n\nSaved to {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
