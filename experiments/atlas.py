"""An atlas of functions of one number: their curves, and how right the libraries are about them.

The truth is fnmath's own answer in float64, which the tests hold to 50-digit arithmetic. A library
is judged on float32 numbers of both signs and all sizes: the error of its value, first and second
derivative in ULP, units in the last place that the truth has in float32.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from rich.table import Table

from experiments import command
from experiments.style import style

ORDERS = ("f", "f′", "f″")
COLORS = {"fnmath": "#0072b2", "JAX": "#d55e00", "PyTorch": "#009e73"}
SHADES = ("#000000", "#cc79a7", "#e69f00")  # of f, f′ and f″
WITHIN = 4  # ULP: what passes for right
LOST = 2.0**24  # ULP, of a number without a right digit, and of nan


class Entry(NamedTuple):
    """A function of one number, as each library has it, and where to look at it."""

    functions: Mapping[str, Callable[[Any], Any]]
    low: float = -5.0
    high: float = 5.0
    positive: bool = False
    """Whether the function is for positive numbers only."""


class Answers(NamedTuple):
    """What is shown of one entry: curves, and the error of each library in each order."""

    x: np.ndarray
    curves: np.ndarray
    """f, f′ and f″ at x, in float64."""
    line: np.ndarray
    """The float32 numbers that the libraries are asked about."""
    errors: dict[str, np.ndarray]
    """By library, (3, points), in ULP."""

    def shares(self) -> dict[str, list[float]]:
        """By library: how much of f, f′ and f″ is right."""
        return {name: list((error <= WITHIN).mean(-1)) for name, error in self.errors.items()}


def float32_line(points: int, *, positive: bool) -> np.ndarray:
    """Float32 numbers of all sizes from 10⁻⁵ to 10⁵, and of both signs."""
    right = np.geomspace(1e-5, 1e5, points // 2).astype(np.float32)
    return right if positive else np.concatenate([-right[::-1], right])


def answers(entry: Entry, points: int) -> Answers:
    """Curves and errors of one entry."""
    line = float32_line(points, positive=entry.positive)
    errors = {}
    with jax.enable_x64(True):
        x = np.linspace(entry.low, entry.high, 401)
        curves = np.asarray(in_jax(entry.functions["fnmath"], x))
        truth = np.asarray(in_jax(entry.functions["fnmath"], line.astype(np.float64)))
    for name, f in entry.functions.items():
        found = in_torch(f, line) if name == "PyTorch" else np.asarray(in_jax(f, line))
        errors[name] = ulps(found, truth)
    return Answers(x, curves, line, errors)


def in_jax(f: Callable[[Any], Any], x: np.ndarray) -> jax.Array:
    """f, f′ and f″ at every x, by reverse mode over reverse mode."""
    orders = (f, jax.grad(f), jax.grad(jax.grad(f)))
    return jnp.stack([jax.jit(jax.vmap(order))(x) for order in orders])


def in_torch(f: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    """The same in PyTorch; nan where it has no second derivative."""
    import torch

    t = torch.tensor(x, requires_grad=True)
    y = f(t)
    (first,) = torch.autograd.grad(y.sum(), t, create_graph=True)
    try:
        (second,) = torch.autograd.grad(first.sum(), t)
    except RuntimeError:  # the derivative is constant to it, or it has no rule
        second = torch.zeros_like(t)
    return np.stack([a.detach().numpy(force=True) for a in (y, first, second)])


def ulps(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Errors in the last place of the truth; below the normal numbers flushing to 0 is right."""
    info = np.finfo(np.float32)
    with np.errstate(all="ignore"):
        unit = np.exp2(np.floor(np.log2(np.abs(truth))) - info.nmant)
        error = np.abs(found.astype(np.float64) - truth) / unit
        error = np.where(np.abs(truth) < info.tiny, (np.abs(found) > info.tiny) * LOST, error)
        both_infinite = (np.abs(truth) > info.max) & (found == np.sign(truth) * np.inf)
    return np.where(both_infinite, 0, np.where(np.isnan(error), LOST, np.minimum(error, LOST)))


def with_peers(fnmath: Callable[..., Any], jax_one: Any = None, torch_one: Any = None) -> dict:
    """The libraries that have the function and are installed."""
    installed = importlib.util.find_spec("torch") is not None
    functions = {"fnmath": fnmath, "JAX": jax_one, "PyTorch": torch_one if installed else None}
    return {name: f for name, f in functions.items() if f is not None}


def table(results: Mapping[str, Answers]) -> Table:
    """How much of the line each library has right, function by function."""
    libraries = [name for name in COLORS if any(name in a.errors for a in results.values())]
    made = command.table("% of f, f′, f″ within 4 ULP", *libraries)
    for name, found in results.items():
        shares = found.shares()
        cells = [
            "  ".join(f"{percent(share):>5}" for share in shares[library])
            if library in shares
            else ""
            for library in libraries
        ]
        made.add_row(name, *cells)
    return made


def percent(share: float) -> str:
    """100 only for all of them."""
    return "100" if share == 1 else f"{np.floor(1000 * share) / 10:.1f}"


def summary(results: Mapping[str, Answers]) -> dict[str, dict[str, list[float]]]:
    """What the table shows, for JSON."""
    return {name: found.shares() for name, found in results.items()}


def plot(results: Mapping[str, Answers], path: Path, *, title: str, columns: int = 5) -> None:
    """One block per function: its curves, and below them the errors of f′ and of f″."""
    rows = -(-len(results) // columns)
    with matplotlib.rc_context(style(7, 9)):
        figure = Figure(
            figsize=(2.6 * columns, 3.6 * rows + 0.5), dpi=110,
            layout=ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.04),
        )  # fmt: skip
        figure.suptitle(title, fontsize=13, fontweight="bold", x=0.012, ha="left")
        blocks = np.ravel(figure.subfigures(rows, columns, squeeze=False))
        for i, (block, (name, found)) in enumerate(zip(blocks, results.items(), strict=False)):
            curves, first, second = block.subplots(3, 1, height_ratios=[2.2, 1, 1])
            draw_curves(curves, found, name, legend=i == 0)
            draw_errors(first, found, 1, legend=i == 0)
            draw_errors(second, found, 2, legend=False)
        figure.savefig(path)


def draw_curves(ax: Axes, found: Answers, name: str, *, legend: bool) -> None:
    """The function and its first two derivatives, cut where they leave the picture."""
    ax.axhline(0, color="#cccccc", linewidth=0.6)
    for curve, color, order in zip(found.curves, SHADES, ORDERS, strict=True):
        ax.plot(found.x, curve, color=color, linewidth=1.2, label=order)
    size = np.nanpercentile(np.abs(found.curves[np.isfinite(found.curves)]), 97)
    low, high = np.nanmin(found.curves), np.nanmax(found.curves)
    ax.set_ylim(max(low, -1.1 * size) - 0.1, min(high, 1.1 * size) + 0.1)
    ax.set_title(name)
    if legend:
        beside = {"loc": "lower right", "bbox_to_anchor": (1, 0.98), "borderaxespad": 0}
        ax.legend(frameon=False, ncols=3, handlelength=1, columnspacing=1, **beside)


def draw_errors(ax: Axes, found: Answers, order: int, *, legend: bool) -> None:
    """Errors over the line; fnmath last, so that it is seen where all agree."""
    nothing = np.full((3, found.line.size), np.nan)  # for the legend, where a library has none
    for name in reversed(COLORS):
        error = np.maximum(found.errors.get(name, nothing)[order], 0.1)
        ax.plot(found.line, error, ".", markersize=1.6, color=COLORS[name], label=name)
    ax.axhline(WITHIN, color="#999999", linewidth=0.6, linestyle="--")
    ax.set_yscale("log")
    ax.set_ylim(0.06, 4 * LOST)
    ax.set_yticks([1, 1e3, 1e6], ["1", "10³", "10⁶"])
    ax.minorticks_off()
    if np.min(found.line) > 0:
        ax.set_xscale("log")
    else:
        ax.set_xscale("symlog", linthresh=1e-5, linscale=0.5)
        ax.set_xticks([-1e5, -1, 0, 1, 1e5], ["−10⁵", "−1", "0", "1", "10⁵"])
    ax.set_ylabel(f"ULP in {ORDERS[order]}")
    if legend:
        ax.legend(frameon=False, loc="upper left", ncols=3, markerscale=4, handletextpad=0)


def main(
    name: str,
    doc: str,
    config: type[Any],
    arguments: Sequence[str] | None,
    entries: Callable[[], Mapping[str, Entry]],
    title: str,
) -> None:
    """Command line, answers, table, picture: what both atlases do."""
    with command.plain_errors(name):
        options = command.parse(config, arguments, doc=doc, name=name)
        if options.points < 2:
            raise command.OptionError("--points must be at least 2")
        folder = command.make_folder(options.output, name)
        results = {key: answers(entry, options.points) for key, entry in entries().items()}
        console = command.console()
        console.print(table(results))
        described = {"points": options.points, "versions": command.versions()}
        command.save_json(folder / "config.json", described)
        command.save_json(folder / "metrics.json", summary(results))
        plot(results, folder / "figure.png", title=title)
        console.print(f"Saved to {folder}")
