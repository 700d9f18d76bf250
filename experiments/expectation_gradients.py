"""How much does the gradient of an expectation vary: through the draws, or by their score?

The gradient of E f(x) by the mean m of x ~ N(m, I), estimated many times from n draws each: by
reparameterisation, x = m + ε, which differentiates f, and by the score function, which does not,
with no baseline, with the mean of the other draws, and with the one of the least variance. A bowl
10 + ‖x‖² in more and more dimensions; a wave cos ωx that swings faster and faster; a step, which
has no slope where anyone looks. What is true is known for all three.

Run      python -m experiments.expectation_gradients
Cost     20 seconds of one CPU core
Expect   10 + x², n times the squared error of n = 1,024 draws: 3.80 through the draws, 175.67,
         12.06 and 8.17 by the score (seed 0)
Finding  a baseline takes the score's error down by 15 times, and more in more dimensions, where
         it still grows and that through the draws does not; of cos ωx the score errs less from
         ω = 1.24 on, and of a step it alone is right
"""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import NullFormatter
from rich.console import Console

from experiments import command
from experiments.figures import BLUE, GREY, ORANGE
from experiments.style import style
from fnmath.expectation import reparameterised_gradient, score_function_gradient

NAME = "expectation_gradients"
MEAN = 0.5  # of each dimension
OFFSET = 10.0  # of the bowl: what a baseline takes away
METHODS = {
    "reparameterised": "through the draws",
    "none": "score, no baseline",
    "leave_one_out": "score, mean of the others",
    "optimal": "score, optimal baseline",
}
COLOURS = {"reparameterised": BLUE, "none": ORANGE, "leave_one_out": GREY, "optimal": "#009e73"}
STYLES = {"reparameterised": "-", "none": "-", "leave_one_out": "-", "optimal": "--"}


@dataclasses.dataclass(frozen=True)
class Config:
    """How many draws, dimensions and frequencies, and where the results go."""

    samples: tuple[int, ...] = (4, 16, 64, 256, 1024)
    """Numbers n of draws that one estimate is made of."""
    dimensions: tuple[int, ...] = (1, 4, 16, 64, 256)
    """Of the bowl."""
    frequencies: int = 25
    """How many ω to look at, from 1/4 to 4."""
    drawn: int = 64
    """Draws of an estimate where dimension or frequency changes."""
    repeats: int = 2000
    """How often each estimate is made."""
    seed: int = 0
    """Of the draws."""
    output: Path = Path("runs")
    """Where the folder of this run is made."""

    def __post_init__(self) -> None:
        """Refuse what makes no estimate, or none of its variance."""
        for n in (*self.samples, self.drawn):
            if n < 3:
                raise command.OptionError(f"{n} draws; wanted at least 3")
        for what in ("frequencies", "repeats"):
            if getattr(self, what) < 2:
                raise command.OptionError(f"{what} is {getattr(self, what)}; wanted at least 2")
        if any(d < 1 for d in self.dimensions):
            raise command.OptionError(f"dimensions are {self.dimensions}; wanted at least 1")


class Spread(NamedTuple):
    """Mean, variance and mean squared error of many estimates of a gradient, for each method."""

    mean: dict[str, Any]
    variance: dict[str, Any]
    squared_error: dict[str, Any]


class Results(NamedTuple):
    """The bowl and the step by numbers of draws, the bowl by dimension, the wave by frequency."""

    by_samples: list[Spread]
    by_dimension: list[Spread]
    by_frequency: Spread
    step: list[Spread]


def bowl(x: jax.Array) -> jax.Array:
    """Of the mean OFFSET + ‖m‖² + d, and the gradient 2m."""
    return OFFSET + x @ x


def wave(frequency: Any, x: jax.Array) -> jax.Array:
    """Of the mean exp(−½ω²) cos ωm."""
    return jnp.cos(frequency * x[0])


def wave_gradient(frequency: Any, mean: Any) -> Any:
    return -frequency * jnp.exp(-0.5 * jnp.square(frequency)) * jnp.sin(frequency * mean)


def step(x: jax.Array) -> jax.Array:
    """Of the mean Φ(m), and the gradient φ(m)."""
    return jnp.where(x[0] > 0, 1.0, 0.0)


def step_gradient(mean: float) -> float:
    return math.exp(-0.5 * mean**2) / math.sqrt(2 * math.pi)


def sampler(key: jax.Array, mean: jax.Array) -> jax.Array:
    return mean + jax.random.normal(key, mean.shape, mean.dtype)


def log_density(mean: jax.Array, x: jax.Array) -> jax.Array:
    """Up to a constant, which has no score."""
    return -0.5 * jnp.sum(jnp.square(x - mean))


def once(f: Callable, mean: jax.Array, samples: int, key: jax.Array) -> dict[str, jax.Array]:
    """One estimate of the gradient by each method, from the same draws."""
    found = {
        "reparameterised": reparameterised_gradient(key, f, mean, sampler, samples=samples).gradient
    }
    score = partial(score_function_gradient, key, f, mean, sampler, samples=samples)
    for baseline in list(METHODS)[1:]:
        found[baseline] = score(log_density=log_density, baseline=baseline).gradient
    return found


def spread(
    key: jax.Array, f: Callable, true: Any, dimension: int, samples: int, repeats: int
) -> Spread:
    """Many estimates in one program, some at a time; the mean over dimensions, which are alike."""
    mean = jnp.full(dimension, MEAN)
    keys = jax.random.split(key, repeats)
    many = jax.lax.map(partial(once, f, mean, samples), keys, batch_size=min(50, repeats))
    return Spread(
        {k: g.mean() for k, g in many.items()},
        {k: g.var(0, ddof=1).mean() for k, g in many.items()},
        {k: jnp.square(g - true).mean() for k, g in many.items()},
    )


def run(config: Config) -> Results:
    """All spreads: the same numbers for the same seed."""
    keys = iter(jax.random.split(jax.random.key(config.seed), 4))

    @partial(jax.jit, static_argnums=(1, 2, 3))
    def compiled(key: jax.Array, f: Callable, dimension: int, samples: int) -> Spread:
        true = 2 * MEAN if f is bowl else step_gradient(MEAN)
        return spread(key, f, true, dimension, samples, config.repeats)

    @jax.jit
    def waves(key: jax.Array, frequencies: jax.Array) -> Spread:
        def one(w: jax.Array) -> Spread:
            true = wave_gradient(w, MEAN)
            return spread(key, partial(wave, w), true, 1, config.drawn, config.repeats)

        return jax.lax.map(one, frequencies)

    key = next(keys)
    by_samples = [compiled(key, bowl, 1, n) for n in config.samples]
    key = next(keys)
    by_dimension = [compiled(key, bowl, d, config.drawn) for d in config.dimensions]
    by_frequency = waves(next(keys), jnp.asarray(frequencies_of(config)))
    key = next(keys)
    by_step = [compiled(key, step, 1, n) for n in config.samples]
    return jax.tree.map(np.asarray, Results(by_samples, by_dimension, by_frequency, by_step))


def frequencies_of(config: Config) -> np.ndarray:
    return np.geomspace(0.25, 4, config.frequencies, dtype=np.float32)


def crossing(config: Config, results: Results) -> float:
    """The frequency at which the error through the draws passes that by the score."""
    of = results.by_frequency.squared_error
    gap = np.log(of["reparameterised"]) - np.log(of["leave_one_out"])
    above = np.flatnonzero((gap[:-1] < 0) & (gap[1:] >= 0))
    if not above.size:
        return math.nan
    i, logs = above[0], np.log(frequencies_of(config))
    return float(np.exp(logs[i] - gap[i] * (logs[i + 1] - logs[i]) / (gap[i + 1] - gap[i])))


def column(spreads: Sequence[Spread], method: str) -> np.ndarray:
    return np.array([s.squared_error[method] for s in spreads])


def plot(config: Config, results: Results, path: Path) -> None:
    """Errors by draws, by dimension and by frequency; and what each says of a step."""
    with matplotlib.rc_context(style()):
        layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
        figure = Figure(figsize=(12, 8), dpi=120, layout=layout)
        axes: Any = figure.subplots(2, 2)
        (draws, dimensions), (waves, steps) = axes
        curves = {m: column(results.by_samples, m) for m in METHODS}
        draw(draws, config.samples, curves, legend=True)
        draws.set(title="10 + x²: each falls as 1/n", xlabel="draws n", ylabel="mean squared error")
        curves = {m: column(results.by_dimension, m) for m in METHODS}
        draw(dimensions, config.dimensions, curves)
        title = f"10 + ‖x‖², {config.drawn} draws: the score pays for every dimension"
        dimensions.set(title=title, xlabel="dimensions", ylabel="mean squared error, each")
        draw(waves, frequencies_of(config), results.by_frequency.squared_error)
        waves.axvline(crossing(config, results), color=GREY, lw=0.8, ls=":")
        title = f"cos ωx, {config.drawn} draws: a steep f is better not differentiated"
        waves.set(title=title, xlabel="ω", ylabel="mean squared error")
        curves = {m: column(results.step, m) for m in METHODS}
        draw(steps, config.samples, curves)
        title = "x > 0: without a slope there is nothing to see through the draws"
        steps.set(title=title, xlabel="draws n", ylabel="mean squared error")
        figure.suptitle(
            "Gradients of expectations: through the draws, and by the score",
            fontsize=13, fontweight="bold", x=0.012, ha="left",
        )  # fmt: skip
        figure.savefig(path)


def draw(ax: Any, x: Any, curves: dict[str, Any], *, legend: bool = False) -> None:
    """A line for each method, both axes logarithmic."""
    for method, y in curves.items():
        look = {"color": COLOURS[method], "ls": STYLES[method]}
        ax.plot(x, y, marker="o", ms=3, lw=1.5, label=METHODS[method], **look)
    ax.set(xscale="log", yscale="log")
    ticks = x if len(x) < 8 else (0.25, 0.5, 1, 2, 4)
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.xaxis.set_minor_formatter(NullFormatter())
    if legend:
        ax.legend(frameon=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line → run → save → plot."""
    with command.plain_errors(NAME):
        config = command.parse(Config, arguments, doc=__doc__ or "", name=NAME)
        folder = command.make_folder(config.output, NAME)
        described = dataclasses.asdict(config) | {"versions": command.versions()}
        command.save_json(folder / "config.json", described)
        started = time.perf_counter()
        results = run(config)
        seconds = time.perf_counter() - started
        command.save_json(folder / "metrics.json", measured(config, results, seconds))
        plot(config, results, folder / "figure.png")
        console = command.console()
        print_findings(console, config, results)
        console.print(f"{seconds:.1f} s; saved in {folder}: config.json, metrics.json, figure.png")


def measured(config: Config, results: Results, seconds: float) -> dict[str, Any]:
    """All numbers of a run, for metrics.json."""
    return {
        "by_samples": [s._asdict() for s in results.by_samples],
        "by_dimension": [s._asdict() for s in results.by_dimension],
        "by_frequency": results.by_frequency._asdict(),
        "frequencies": frequencies_of(config),
        "crossing": crossing(config, results),
        "step": [s._asdict() for s in results.step],
        "seconds": seconds,
    }


def print_findings(console: Console, config: Config, results: Results) -> None:
    """Mean squared errors as if of one draw, n times those of n; and what is said of a step."""
    few = [f"{n:,} draws" for n in config.samples]
    table = command.table("n × squared error, 10 + x²", *few)
    for method, name in METHODS.items():
        worth = column(results.by_samples, method) * np.array(config.samples)
        table.add_row(name, *(f"{v:.2f}" for v in worth))
    console.print(table)
    table = command.table("n × squared error, 10 + ‖x‖²", *(f"{d} dim." for d in config.dimensions))
    for method, name in METHODS.items():
        worth = column(results.by_dimension, method) * config.drawn
        table.add_row(name, *(f"{v:,.1f}" for v in worth))
    console.print(table)
    last = results.step[-1]
    table = command.table(f"x > 0, {config.samples[-1]:,} draws", "mean", "truth")
    for method, name in METHODS.items():
        table.add_row(name, f"{last.mean[method]:.4f}", f"{step_gradient(MEAN):.4f}")
    console.print(table)
    console.print(f"cos ωx: the score errs less from ω = {crossing(config, results):.2f} on")


if __name__ == "__main__":
    sys.exit(main())
