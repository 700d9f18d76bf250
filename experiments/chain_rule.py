"""What does the chain rule do, number by number, between a loss and its parameters?

Takes one handwritten digit through a network with one hidden layer, forward and back, operation by
operation: prints the source with the value and the gradient of each line, writes a page on which to
play the pass step by step, and a picture of its graph. With --function it does the same for a
function of yours, at the arguments that ``example_args()`` in its module returns.

Run      python -m experiments.chain_rule
Run      python -m experiments.chain_rule --function MODULE:FUNCTION
Cost     7 seconds on two CPU cores
Expect   a loss of 2.858, and gradients within 1e-6 of those derived by hand (seed 0)
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import inspect
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from rich.console import Console

from experiments import command
from experiments.data import CLASSES, load
from fnmath.backprop import Trace, one_hidden_layer_backward, one_hidden_layer_forward, trace
from fnmath.networks import mlp_init

NAME = "chain_rule"


@dataclasses.dataclass(frozen=True)
class Config:
    """What to explain, and where the page goes."""

    function: Annotated[str | None, tyro.conf.arg(metavar="MODULE:FUNCTION")] = None
    """A function of yours; its module has example_args(). Left out: a network and one digit."""
    data: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """Folder with MNIST's four IDX files, plain or gzip. Left out: scikit-learn's digits."""
    width: int = 16
    """Units in the hidden layer."""
    seed: int = 0
    """Of the initial weights."""
    level: int = 1
    """How far the picture is opened: 0 is the function as one box, 1 its lines, 2 what is in them.
    On the page everything folds and unfolds."""
    output: Path = Path("runs")
    """Where the folder of this run is made."""

    def __post_init__(self) -> None:
        """Refuse what no pass could be traced of."""
        if self.width < 1:
            raise ValueError(f"width is {self.width}; wanted at least 1")
        if self.level < 0:
            raise ValueError(f"level is {self.level}; wanted at least 0")


def loss(params: Any, x: jax.Array, label: int) -> jax.Array:
    """Surprise, in nats, at the digit that was written, for a network with one hidden layer."""
    (W1, b1), (W2, b2) = params
    z = x @ W1 + b1
    h = jnp.tanh(z)
    s = h @ W2 + b2
    log_p = jax.nn.log_softmax(s)
    return -log_p[label]


def run(config: Config) -> Trace:
    """The pass, as a record: a pure function of the configuration."""
    function, arguments = one_digit(config) if config.function is None else named(config.function)
    try:
        return trace(function, *arguments)
    except (TypeError, ValueError) as error:
        if not str(error).startswith("trace: "):
            raise
        raise command.OptionError(f"--function {config.function}: {error}") from error


def one_digit(config: Config) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The network's loss at its initial parameters, for the first training image."""
    examples = load(config.data, validation=0.2).train
    x, label = jnp.asarray(examples.images[0]).reshape(-1), int(examples.labels[0])
    params = mlp_init(jax.random.key(config.seed), (x.size, config.width, CLASSES))
    return loss, (params, x, label)


def named(text: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A function by its module and name, and what the module's ``example_args()`` returns."""
    module_name, colon, name = text.partition(":")
    if not (module_name and colon and name):
        raise command.OptionError(f"--function {text}: wanted MODULE:FUNCTION, as in models:loss")
    module = imported(text, module_name)
    parts = name.split(".")
    function = functools.reduce(lambda held, part: getattr(held, part, None), parts, module)
    if function is not None and not callable(function):
        problem = f"{name} of {module_name} is a {type(function).__name__}; wanted a function"
        raise command.OptionError(f"--function {text}: {problem}")
    if function is None:
        close = difflib.get_close_matches(name, vars(module), 1)
        cure = f"; did you mean {close[0]}?" if close else ""
        raise command.OptionError(f"--function {text}: {module_name} has no function {name}{cure}")
    if not callable(getattr(module, "example_args", None)):
        wanted = "def example_args() that returns the arguments as a tuple"
        raise command.OptionError(f"--function {text}: {module_name} lacks example_args; {wanted}")
    arguments = module.example_args()
    if not isinstance(arguments, tuple):
        came = type(arguments).__name__
        problem = f"example_args() returned a {came}; wanted a tuple of arguments"
        raise command.OptionError(f"--function {text}: {problem}")
    check_number(text, function, arguments)
    return function, arguments


def check_number(text: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Refuse arguments that the function cannot be called with."""
    try:
        inspect.signature(function).bind(*arguments)
    except ValueError:  # a builtin, which does not tell
        return
    except TypeError as error:
        problem = f"example_args() returned {len(arguments)} arguments: {error}"
        raise command.OptionError(f"--function {text}: {problem}") from error


def imported(text: str, name: str) -> Any:
    """The module of that name, from here or from what is installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            here = f"no module {name} is found from {Path.cwd()}"
        else:
            here = f"{name} needs {missing}, which is not installed"
        raise command.OptionError(f"--function {text}: {here}") from error


def plot(record: Trace, folder: Path, *, level: int | None = None) -> None:
    """The page, and the picture of the graph."""
    record.to_html(folder / "page.html")
    record.to_svg(folder / "graph.svg", level=level)


def disagreement(config: Config, record: Trace) -> float:
    """How far the gradients lie from those derived by hand: max |a − b| / max |a|, the worst."""
    _, (params, x, label) = one_digit(config)
    images, labels = x[None], jnp.asarray([label])
    forward = one_hidden_layer_forward(params, images, labels, activation=jnp.tanh)
    by_hand = one_hidden_layer_backward(params, images, labels, forward, activation=jnp.tanh)
    pairs = zip(jax.tree.leaves(record.gradients[0]), jax.tree.leaves(by_hand.params), strict=True)
    return max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs)


def measured(record: Trace) -> dict[str, Any]:
    """The numbers of the pass for other programs."""
    cost = record.cost()
    return {
        "value": [float(np.asarray(x).sum()) for x in jax.tree.leaves(record.value)],
        "norms": [row._asdict() for row in record.norms().rows],
        "operations": sum(not step.children for step in record.steps),
        "reverse_mode": cost.reverse_mode,
        "forward_mode": cost.forward_mode,
    }


def show(console: Console, record: Trace, folder: Path) -> None:
    """The listing, and what is to be seen of it."""
    console.print(str(record), markup=False, highlight=False, soft_wrap=True)
    console.print()
    console.print(str(record.norms()), markup=False, highlight=False, soft_wrap=True)
    console.print()
    cost = record.cost()
    if cost.reverse_mode and math.isfinite(cost.forward_mode):
        times = cost.forward_mode / cost.reverse_mode
        console.print(f"forward mode would have cost {times:,.0f} times as much", markup=False)
    if found := record.first_nonfinite():
        console.print(str(found), markup=False, highlight=False, soft_wrap=True)
    files = "page.html (open it in a browser), graph.svg, config.json, metrics.json"
    console.print(f"saved in {folder}: {files}", markup=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line → run → save → plot."""
    with command.plain_errors(NAME):
        config = command.parse(Config, arguments, doc=__doc__ or "", name=NAME)
        console = command.console()
        record = run(config)
        folder = command.make_folder(config.output, NAME)
        described = {**dataclasses.asdict(config), "versions": command.versions()}
        command.save_json(folder / "config.json", described)
        metrics = measured(record)
        if config.function is None:
            metrics["against_by_hand"] = disagreement(config, record)
            console.print(f"against the gradients by hand: {metrics['against_by_hand']:.1e}")
            console.print()
        command.save_json(folder / "metrics.json", metrics)
        plot(record, folder, level=config.level)
        show(console, record, folder)


if __name__ == "__main__":
    main()
