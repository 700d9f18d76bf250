"""How right are today's libraries about the families of distributions, tails and quantiles too?

Draws every family with its density, a histogram of samples, its cdf and its quantiles, and below
them how wrong fnmath, jax.scipy.stats and SciPy are about each function in float32.

Run      python -m experiments.distributions
Run      python -m experiments.distributions --only laplace uniform geometric cauchy
         exponential pareto weibull bernoulli
Cost     5 to 8 minutes of two CPU cores; some 30 seconds for the eight families of the second line
Expect   99.7 % of fnmath's 17,031 values, 200 functions, within 4 ULP of SciPy's float64
Finding  jax.scipy.stats has 93 of the 200 functions, with 60.8 % of their values right
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.stats as jax_stats
import matplotlib
import numpy as np
import scipy.stats
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from rich.table import Table

from experiments import command
from experiments.atlas import LOST, WITHIN, percent, ulps
from experiments.style import style
from fnmath import probability as fn

NAME = "distributions"
TITLE = "Distributions: density over samples, cdf and quantiles, and the errors of three libraries"
LIBRARIES = ("fnmath", "JAX", "SciPy")
BLUE, ORANGE, SHADE = "#0072b2", "#d55e00", "#bcd7ea"
OF_X = ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf")
OF_Q = ("ppf", "isf")
QUANTILES = np.array([0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99])


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the atlas."""

    points: int = 140
    """How many float32 numbers each function is asked about."""
    samples: int = 20_000
    """How many samples a histogram counts."""
    only: tuple[str, ...] = ()
    """Names of the families to look at; all of them if none is given."""
    seed: int = 0
    """Of the samples."""
    output: Path = Path("runs")
    """Where the picture and the numbers go."""


class Entry(NamedTuple):
    """A family at some parameters, which float32 has exactly, as each library calls it."""

    family: ModuleType
    parameters: tuple[float, ...]
    scipy: str
    theirs: tuple[float, ...]
    """The parameters of SciPy and JAX, in their order."""

    @property
    def law(self) -> Any:
        """SciPy's, with its parameters."""
        return getattr(scipy.stats, self.scipy)(*self.theirs)

    @property
    def is_discrete(self) -> bool:
        """Whether it is a law of counts."""
        return hasattr(self.law, "pmf")

    def named(self, name: str) -> str:
        """A density is a mass where there are counts."""
        return name.replace("pdf", "pmf") if self.is_discrete else name


class Answers(NamedTuple):
    """What is shown of one family."""

    entry: Entry
    x: np.ndarray
    density: np.ndarray
    cdf: np.ndarray
    quantiles: np.ndarray
    samples: np.ndarray
    errors: dict[str, dict[str, np.ndarray]]
    """By library and function, in ULP."""


def entries() -> dict[str, Entry]:
    """Every family of numbers."""
    located = (0.5, 1.5)
    rows = {
        "normal": ("norm", located, located),
        "laplace": ("laplace", located, located),
        "logistic": ("logistic", located, located),
        "cauchy": ("cauchy", located, located),
        "gumbel": ("gumbel_r", located, located),
        "student_t": ("t", (3.0, *located), (3.0, *located)),
        "von_mises": ("vonmises", (2.0,), (2.0,)),
        "exponential": ("expon", located, located),
        "half_normal": ("halfnorm", located, located),
        "weibull": ("weibull_min", (1.5, *located), (1.5, *located)),
        "log_normal": ("lognorm", (0.0, 0.75), (0.75, 0.0, 1.0)),
        "gamma": ("gamma", (2.5, 0.0, 1.5), (2.5, 0.0, 1.5)),
        "inverse_gamma": ("invgamma", (2.5, 0.0, 1.5), (2.5, 0.0, 1.5)),
        "chi_squared": ("chi2", (5.0,), (5.0,)),
        "f": ("f", (5.0, 7.0), (5.0, 7.0)),
        "pareto": ("pareto", (2.5, *located), (2.5, *located)),
        "uniform": ("uniform", located, located),
        "truncated_normal": ("truncnorm", (-1.0, 2.0, *located), (-1.0, 2.0, *located)),
        "beta": ("beta", (2.0, 3.5), (2.0, 3.5)),
        "bernoulli": ("bernoulli", (0.25,), (0.25,)),
        "binomial": ("binom", (20.0, 0.25), (20, 0.25)),
        "beta_binomial": ("betabinom", (20.0, 2.0, 3.5), (20, 2.0, 3.5)),
        "geometric": ("geom", (0.25,), (0.25,)),
        "negative_binomial": ("nbinom", (5.0, 0.25), (5.0, 0.25)),
        "poisson": ("poisson", (6.5,), (6.5,)),
    }
    return {
        name: Entry(getattr(fn, name), ours, theirs, of)
        for name, (theirs, ours, of) in rows.items()
    }


def asked(entry: Entry, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Float32 quantiles and probabilities, from 10⁻³⁰ in the lower tail to that in the upper."""
    small = np.geomspace(1e-30, 0.5, points // 2)
    with np.errstate(all="ignore"):  # what SciPy says of the far ends of its counts
        x = np.concatenate([entry.law.ppf(small), entry.law.isf(small)]).astype(np.float32)
    low, high = map(np.float32, entry.law.support())
    inside = np.isfinite(x) & (x >= low if entry.is_discrete else (x > low) & (x < high))
    q = np.concatenate([small, 1 - small[small > 1e-3]]).astype(np.float32)
    return np.unique(x[inside]), q


def truth(entry: Entry, name: str, at: np.ndarray) -> np.ndarray:
    """SciPy's float64; the logarithm of a tail above ½ by the other one, which keeps its digits."""
    law, at = entry.law, at.astype(np.float64)
    with np.errstate(all="ignore"):
        value = np.asarray(getattr(law, entry.named(name))(at))
        if name in ("logcdf", "logsf"):
            other = (law.sf if name == "logcdf" else law.cdf)(at)
            value = np.where(other < 0.5, np.log1p(-other), value)
    return value


def in_jax(module: Any, name: str, at: np.ndarray, parameters: tuple[float, ...]) -> Any:
    """The answer of a library of JAX's, compiled; None where it has no such function."""
    f = getattr(module, name, None)
    if f is None:
        return None
    of = (jnp.float32(p) for p in parameters)
    try:
        return np.asarray(jax.jit(f)(jnp.asarray(at), *of))
    except NotImplementedError:
        return None


def found(entry: Entry, library: str, at: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What a library says of each function; fnmath in one program, JAX function by function."""
    names = {name: entry.named(name) for name in at}
    if library == "SciPy":
        with np.errstate(all="ignore"):
            return {k: np.float32(getattr(entry.law, n)(at[k])) for k, n in names.items()}
    if library == "JAX":
        module = getattr(jax_stats, entry.scipy, None)
        return {k: in_jax(module, n, at[k], entry.theirs) for k, n in names.items()}

    def everything(points: Mapping[str, Any], *of: Any) -> dict[str, Any]:
        return {k: getattr(entry.family, n)(points[k], *of) for k, n in names.items()}

    return jax.jit(everything)(dict(at), *(jnp.float32(p) for p in entry.parameters))


def errors(entry: Entry, points: int) -> dict[str, dict[str, np.ndarray]]:
    """By library and function, where the truth is finite."""
    x, q = asked(entry, points)
    at: dict[str, np.ndarray] = {**dict.fromkeys(OF_X, x), **dict.fromkeys(OF_Q, q)}
    if entry.is_discrete:
        at["isf"] = q[q > 1e-3]  # SciPy takes smaller ones from 1
    true = {name: truth(entry, name, where) for name, where in at.items()}
    made: dict[str, dict[str, np.ndarray]] = {}
    for library in LIBRARIES:
        answers = {k: y for k, y in found(entry, library, at).items() if y is not None}
        made[library] = {
            name: ulps(np.asarray(y), true[name])[np.isfinite(true[name])]
            for name, y in answers.items()
        }
    return made


def run(name: str, entry: Entry, config: Config) -> Answers:
    """Curves, samples and errors of one family."""
    low, high = entry.law.ppf([0.002, 0.995])
    x = np.linspace(low - 0.03 * (high - low), high + 0.03 * (high - low), 300)
    x = np.arange(low, high + 1) if entry.is_discrete else x
    of = tuple(jnp.float32(p) for p in entry.parameters)
    family = entry.family

    @jax.jit
    def curves(key: jax.Array, x: jax.Array, q: jax.Array) -> tuple[jax.Array, ...]:
        density = getattr(family, entry.named("pdf"))(x, *of)
        samples = family.sample(key, *of, shape=(config.samples,))
        return density, family.cdf(x, *of), family.ppf(q, *of), samples

    made = curves(jax.random.key(config.seed), jnp.float32(x), jnp.float32(QUANTILES))
    density, cdf, quantiles, samples = map(np.asarray, made)
    return Answers(entry, x, density, cdf, quantiles, samples, errors(entry, config.points))


def share(errors: np.ndarray | None) -> float:
    """How much of the answers is right; nan where there is none."""
    return float("nan") if errors is None or not errors.size else float((errors <= WITHIN).mean())


def total(results: Mapping[str, Answers], library: str) -> tuple[float, int, int]:
    """The share of a library's values that is right, their number, and that of its functions."""
    own = [e for found in results.values() for e in found.errors[library].values() if e.size]
    every = np.concatenate(own) if own else np.zeros(0)
    return share(every), every.size, len(own)


def table(results: Mapping[str, Answers]) -> Table:
    """Family by family and together: how much is right, and how many functions there are."""
    made = command.table("% within 4 ULP (functions)", *LIBRARIES)
    rows = {name: {name: answers} for name, answers in results.items()} | {"together": results}
    for name, part in rows.items():
        cells = []
        for library in LIBRARIES:
            right, _, functions = total(part, library)
            cells.append(f"{percent(right)}  ({functions})" if functions else "")
        made.add_row(name, *cells)
    return made


def summary(results: Mapping[str, Answers]) -> dict[str, Any]:
    """Shares of each function in each library, and of all together, for JSON."""
    families = {
        name: {
            library: {function: share(e) for function, e in found.errors[library].items()}
            for library in LIBRARIES
        }
        for name, found in results.items()
    }
    together = {library: total(results, library) for library in LIBRARIES}
    return {"families": families, "together": together}


def plot(results: Mapping[str, Answers], path: Path, *, columns: int = 7) -> None:
    """One block for each family, and the maps of errors below."""
    rows = -(-len(results) // columns)
    height, below = 2.1 * rows, 0.19 * len(results) + 1.3
    with matplotlib.rc_context(style(7, 9)):
        figure = Figure(
            figsize=(2.0 * columns, height + below + 0.5), dpi=110,
            layout=ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.04),
        )  # fmt: skip
        figure.suptitle(TITLE, fontsize=13, fontweight="bold", x=0.012, ha="left")
        parts = figure.subfigures(2, 1, squeeze=False, height_ratios=[height, below])
        upper, lower = parts[:, 0]
        blocks = np.ravel(upper.subplots(rows, columns, squeeze=False))
        for ax in blocks[len(results) :]:
            ax.set_axis_off()
        for i, (ax, (name, answers)) in enumerate(zip(blocks, results.items(), strict=False)):
            draw_family(ax, name, answers, legend=i == 0)
        draw_maps(lower, results)
        figure.savefig(path)


def draw_family(ax: Axes, name: str, found: Answers, *, legend: bool) -> None:
    """Density over the histogram of samples; the cdf beside it, with quantiles on it."""
    parameters = ", ".join(f"{p:g}" for p in found.entry.parameters)
    ax.set_title(f"{name}({parameters})".replace("_", " "), fontsize=7.5)
    samples, x = found.samples.astype(float), found.x
    if found.entry.is_discrete:
        counts = [(samples == k).mean() for k in x]
        ax.bar(x, counts, width=0.8, color=SHADE, label="samples")
        ax.plot(x, found.density, "o", markersize=2, color=BLUE, label="probability")
    else:
        edges = np.linspace(x[0], x[-1], 41)
        counts, _ = np.histogram(samples, edges)
        ax.stairs(counts / samples.size / np.diff(edges), edges, fill=True, color=SHADE)
        ax.plot(x, found.density, color=BLUE, linewidth=1.2)
    ax.set_ylim(0, 1.12 * np.max(found.density[np.isfinite(found.density)]))
    ax.set_yticks([])
    beside = ax.twinx()
    style = "steps-post" if found.entry.is_discrete else "default"
    beside.plot(x, found.cdf, color=ORANGE, linewidth=0.9, drawstyle=style)
    beside.plot(found.quantiles, QUANTILES, "o", markersize=2.2, color=ORANGE, mfc="white", mew=0.7)
    beside.set_ylim(0, 1.12)
    beside.set_yticks([0, 1] if legend else [])
    ax.set_xlim(x[0] - 0.5 * found.entry.is_discrete, x[-1] + 0.5 * found.entry.is_discrete)
    if legend:
        place = {"transform": ax.transAxes, "fontsize": 6.5}
        ax.text(0.02, 0.9, "density", color=BLUE, **place)
        ax.text(0.02, 0.78, "samples", color="#6fa3c8", **place)
        ax.text(0.02, 0.66, "cdf, quantiles", color=ORANGE, **place)


def draw_maps(panel: SubFigure, results: Mapping[str, Answers]) -> None:
    """By library a map of families and functions: the error that nine tenths do not pass."""
    functions = (*OF_X, *OF_Q)
    colors = matplotlib.colormaps["magma_r"].with_extremes(bad="#f2f2f2")
    axes = panel.subplots(1, len(LIBRARIES), sharey=True)
    norm = LogNorm(0.5, LOST)
    for ax, library in zip(axes, LIBRARIES, strict=True):
        of = [[found.errors[library].get(f) for f in functions] for found in results.values()]
        values = np.array([[ninth(e) for e in row] for row in of])
        ax.pcolormesh(values, cmap=colors, norm=norm, edgecolor="white", linewidth=0.5)
        right, count, there = total(results, library)
        title = f"{library}: {percent(right)} % of {count:,} values within 4 ULP"
        ax.set_title(f"{title}, {there} functions", fontsize=8)
        ax.set_xticks(np.arange(len(functions)) + 0.5, functions)
        ax.set_yticks(np.arange(len(results)) + 0.5, [n.replace("_", " ") for n in results])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_facecolor("#f2f2f2")
        ax.invert_yaxis() if ax is axes[0] else None
    bar = panel.colorbar(ScalarMappable(norm, colors), ax=axes, pad=0.01, fraction=0.03)
    bar.set_label("ULP, of nine in ten; grey: none")


def ninth(errors: np.ndarray | None) -> float:
    if errors is None or not errors.size:
        return float("nan")
    return max(float(np.quantile(errors, 0.9)), 0.5)


def main(arguments: Sequence[str] | None = None) -> None:
    with command.plain_errors(NAME):
        config = command.parse(Config, arguments, doc=__doc__ or "", name=NAME)
        if config.points < 4 or config.samples < 1:
            raise command.OptionError("--points must be at least 4 and --samples at least 1")
        chosen = {k: e for k, e in entries().items() if not config.only or k in config.only}
        if not chosen:
            raise command.OptionError(f"--only: there are {', '.join(entries())}")
        folder = command.make_folder(config.output, NAME)
        results = {name: run(name, entry, config) for name, entry in chosen.items()}
        described = {"config": dataclasses.asdict(config), "versions": command.versions()}
        command.save_json(folder / "results.json", described | summary(results))
        plot(results, folder / f"{NAME}.png")
        console = command.console()
        console.print(table(results))
        console.print(f"Saved to {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
