"""How far does Bayesian linear regression get where published networks have been tried?

Four sets of UCI with their twenty published splits. The weights have a normal prior and the noise
an inverse gamma one, so that everything is integrated but a few hyperparameters, which maximise the
evidence of the training targets, by its gradient; the test targets are looked at once. Linear in
the inputs, and linear in random Fourier features of them, one length scale per input, which is a
Gaussian process with an RBF kernel as the features grow many. The twenty splits of a set are one
compiled program, by ``jax.vmap``.

Run      python -m experiments.bayesian_regression --data PATH
Cost     3 minutes of one CPU core
Expect   yacht: test RMSE 0.52 ± 0.03 in Fourier features, log-likelihood -0.74 ± 0.05
Finding  in Fourier features yacht and energy are fitted better than by any of the published
         networks, concrete and wine as by PBP, and both of these worse than by dropout
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
import tyro
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from rich.console import Console

from experiments import command
from experiments.data import DataError
from experiments.figures import BLUE, GREY, ORANGE
from fnmath.bayes import (
    LinearRegressionParams,
    linear_regression_log_evidence,
    linear_regression_posterior,
    linear_regression_predictive,
)

NAME = "bayesian_regression"
SETS = ("yacht", "energy", "concrete", "wine-quality-red")
SPLITS = 20
KINDS = ("linear", "fourier")
# Test RMSE and log-likelihood, means over the splits: PBP (Hernández-Lobato and Adams, 2015) and
# dropout (Gal and Ghahramani, 2016).
PUBLISHED = {
    "yacht": ((1.02, -1.63), (1.11, -1.55)),
    "energy": ((1.80, -2.04), (1.66, -1.99)),
    "concrete": ((5.67, -3.16), (5.23, -3.04)),
    "wine-quality-red": ((0.64, -0.97), (0.62, -0.93)),
}
LABELS = {"linear": "linear in the inputs", "fourier": "linear in Fourier features"}
LONGER = "published_mc_dropout"  # its authors' results of each split, after 100 times the epochs


@dataclasses.dataclass(frozen=True)
class Config:
    """What to fit, how, and where the results go."""

    data: Annotated[Path, tyro.conf.arg(metavar="PATH")]
    """Folder of the sets, each a folder with data.txt and its splits; or the folder above uci."""
    frequencies: int = 100
    """Of the Fourier features: a cosine and a sine for each."""
    steps: int = 150
    """Steps of Adam up the evidence."""
    learning_rate: float = 0.1
    """Of the first step; it goes down to 0 along a cosine."""
    seed: int = 0
    """Of the frequencies."""
    output: Path = Path("runs")
    """Where the folder of this run is made."""

    def __post_init__(self) -> None:
        """Refuse what no data could make sense of."""
        for name in ("frequencies", "steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wanted at least 1")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; wanted a number above 0")


class Split(NamedTuple):
    """Training and test examples, of one split or of all."""

    x: Any
    y: Any
    test_x: Any
    test_y: Any


class Scores(NamedTuple):
    """Test error and log-likelihood in the target's units, and the evidence, per split."""

    rmse: Any
    log_likelihood: Any
    log_evidence: Any = None


class Found(NamedTuple):
    """Of one set what each kind of features reaches, and what networks did on the same splits."""

    kinds: dict[str, Scores]
    longer: Scores | None


def read(folder: Path, name: str) -> Split:
    """All splits of one set, stacked."""
    place = place_of(folder, name)
    try:
        table = np.loadtxt(place / "data.txt")
        inputs, target = (
            np.loadtxt(place / f"index_{part}.txt").astype(int) for part in ("features", "target")
        )
        x, y = table[:, inputs], table[:, target]
        rows = {
            part: np.stack(
                [np.loadtxt(place / f"index_{part}_{i}.txt").astype(int) for i in range(SPLITS)]
            )
            for part in ("train", "test")
        }
        return Split(x[rows["train"]], y[rows["train"]], x[rows["test"]], y[rows["test"]])
    except (OSError, ValueError, IndexError) as error:
        wanted = "wanted data.txt, index_features.txt, index_target.txt and the twenty splits"
        raise DataError(f"{place}: {error}; {wanted}") from None


def place_of(folder: Path, name: str) -> Path:
    return folder / name if (folder / name).is_dir() else folder / "uci" / name


def read_longer(folder: Path, name: str) -> Scores | None:
    """The published results of each split, where they lie beside the data."""
    place = place_of(folder, name) / LONGER
    if not place.is_dir():
        return None
    try:
        return Scores(*(np.loadtxt(place / f"test_{what}.txt") for what in ("MC_rmse", "ll")))
    except (OSError, ValueError) as error:
        raise DataError(f"{place}: {error}; wanted test_MC_rmse.txt and test_ll.txt") from None


def run(config: Config, split: Split, kind: str) -> Scores:
    """All splits of one set at once, in double precision: the same numbers for the same seed."""
    with jax.enable_x64(True):
        arrays = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), split)
        omega = jax.random.normal(
            jax.random.key(config.seed), (split.x.shape[-1], config.frequencies), jnp.float64
        )
        fit = partial(fit_split, config, kind, omega)
        return jax.tree.map(np.asarray, jax.jit(jax.vmap(fit))(arrays))


def fit_split(config: Config, kind: str, omega: jax.Array, split: Split) -> Scores:
    """One split: scaled by its training examples, hyperparameters by the evidence, tested once."""
    scaled, width = standardised(split)
    features = partial(features_of, kind, omega)

    def loss(hyper: dict[str, jax.Array]) -> jax.Array:
        x = features(hyper, scaled.x)
        return -linear_regression_log_evidence(prior_of(hyper, x), x, scaled.y)

    hyper = climbed(config, loss, start(kind, split.x.shape[-1]))
    x, test_x = features(hyper, scaled.x), features(hyper, scaled.test_x)
    after = linear_regression_posterior(prior_of(hyper, x), x, scaled.y)
    rmse = jnp.sqrt(jnp.mean(jnp.square(test_x @ after.mean - scaled.test_y)))
    log_p = linear_regression_predictive(after, test_x, scaled.test_y).mean()
    evidence = -loss(hyper) - len(scaled.y) * jnp.log(width)
    return Scores(rmse * width, log_p - jnp.log(width), evidence)


def standardised(split: Split) -> tuple[Split, jax.Array]:
    """Inputs and targets of mean 0 and deviation 1 in training, and the deviation of the target."""
    centre, spread = split.x.mean(0), split.x.std(0)
    spread = jnp.where(spread == 0, 1, spread)
    middle, width = split.y.mean(), split.y.std()
    x, test_x = ((a - centre) / spread for a in (split.x, split.test_x))
    return Split(x, (split.y - middle) / width, test_x, (split.test_y - middle) / width), width


def start(kind: str, inputs: int) -> dict[str, jax.Array]:
    """Logarithms of the prior's precisions, and of the length scales."""
    hyper = {"linear": jnp.asarray(-4.0)}  # of weights some ten times the noise
    if kind == "fourier":
        hyper |= {"waves": jnp.asarray(-4.0), "lengths": jnp.full(inputs, 0.5 * np.log(inputs))}
    return hyper


def features_of(
    kind: str, omega: jax.Array, hyper: dict[str, jax.Array], x: jax.Array
) -> jax.Array:
    """A constant, the inputs, and their waves."""
    columns = [jnp.ones_like(x[:, :1]), x]
    if kind == "fourier":
        angles = (x / jnp.exp(hyper["lengths"])) @ omega
        scale = omega.shape[1] ** -0.5
        columns += [scale * jnp.cos(angles), scale * jnp.sin(angles)]
    return jnp.concatenate(columns, 1)


def prior_of(hyper: dict[str, jax.Array], x: jax.Array) -> LinearRegressionParams:
    """Weights about 0, of one precision for the inputs and one for the waves; vague noise."""
    inputs = 1 + hyper["lengths"].size if "lengths" in hyper else x.shape[1]
    parts = [jnp.full(inputs, hyper["linear"])]
    if "waves" in hyper:
        parts.append(jnp.full(x.shape[1] - inputs, hyper["waves"]))
    precision = jnp.diag(jnp.exp(jnp.concatenate(parts)))
    vague = jnp.asarray(1e-3, x.dtype)
    return LinearRegressionParams(jnp.zeros(x.shape[1], x.dtype), precision, vague, vague)


def climbed(config: Config, loss: Any, hyper: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """The hyperparameters after so many steps of Adam."""
    rate = optax.cosine_decay_schedule(config.learning_rate, config.steps)
    optimizer = optax.adam(rate)

    def step(state: tuple, _: None) -> tuple[tuple, None]:
        hyper, memory = state
        updates, memory = optimizer.update(jax.grad(loss)(hyper), memory)
        return (optax.apply_updates(hyper, updates), memory), None

    (hyper, _), _ = jax.lax.scan(step, (hyper, optimizer.init(hyper)), length=config.steps)
    return hyper


def plot(results: dict[str, Found], path: Path) -> None:
    """Errors and log-likelihoods of all splits, beside those of networks."""
    style: dict[Any, Any] = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(style):
        layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
        figure = Figure(figsize=(12, 6), dpi=120, layout=layout)
        axes: Any = figure.subplots(2, len(results), squeeze=False)
        for column, (name, found) in zip(axes.T, results.items(), strict=True):
            for row, ax in enumerate(column):
                draw_scores(ax, found, name, row)
            column[0].set_title(name, fontweight="bold", loc="left")
        axes[0, 0].set_ylabel("test RMSE")
        axes[1, 0].set_ylabel("test log-likelihood, nats")
        figure.suptitle(
            "Bayesian linear regression on twenty splits, and published networks",
            fontsize=13, fontweight="bold", x=0.012, ha="left",
        )  # fmt: skip
        figure.savefig(path)


def draw_scores(ax: Any, found: Found, name: str, row: int) -> None:
    """A dot for each split, a bar for the mean; the published means as lines."""
    columns = {"linear": found.kinds["linear"], "Fourier": found.kinds["fourier"]}
    if found.longer is not None:
        columns["dropout,\n100 × longer"] = found.longer
    for i, scores in enumerate(columns.values()):
        values = np.asarray(scores[row])
        places = i + np.linspace(-0.17, 0.17, len(values))
        ax.plot(places, values, "o", ms=2.5, color=GREY if i == 2 else BLUE, alpha=0.5, mew=0)
        ax.hlines(values.mean(), i - 0.3, i + 0.3, color=GREY if i == 2 else BLUE, lw=2)
    lines = dict(zip(("PBP", "dropout"), (p[row] for p in PUBLISHED[name]), strict=True))
    for who, value in lines.items():
        ax.axhline(value, color=ORANGE, lw=1, ls="--" if who == "PBP" else "-", zorder=0)
        ax.annotate(
            who, (1, value), xycoords=("axes fraction", "data"), fontsize=7, color=ORANGE,
            ha="right", va="bottom" if value == max(lines.values()) else "top",
        )  # fmt: skip
    if row == 0:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xticks(range(len(columns)), list(columns) if row else [""] * len(columns))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line → run → save → plot."""
    with command.plain_errors(NAME):
        config = command.parse(Config, arguments, doc=__doc__ or "", name=NAME)
        console = command.console()
        splits = {name: read(config.data, name) for name in SETS}
        longer = {name: read_longer(config.data, name) for name in SETS}
        folder = command.make_folder(config.output, NAME)
        described = dataclasses.asdict(config) | {"versions": command.versions()}
        command.save_json(folder / "config.json", described)
        results: dict[str, Found] = {}
        started = time.perf_counter()
        for name, split in splits.items():
            kinds = {kind: run(config, split, kind) for kind in KINDS}
            results[name] = Found(kinds, longer[name])
            console.print(f"{name}: done after {time.perf_counter() - started:.0f} s")
        seconds = time.perf_counter() - started
        sets = {n: {k: s._asdict() for k, s in f.kinds.items()} for n, f in results.items()}
        command.save_json(folder / "metrics.json", {"sets": sets, "seconds": seconds})
        plot(results, folder / "figure.png")
        print_findings(console, results)
        console.print(f"{seconds:.1f} s; saved in {folder}: config.json, metrics.json, figure.png")


def with_error(values: Any) -> str:
    """The mean over splits, with its standard error."""
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1) / len(values) ** 0.5:.2f}"


def print_findings(console: Console, results: dict[str, Found]) -> None:
    table = command.table("set", "RMSE", "log-likelihood", "evidence", "")
    for name, found in results.items():
        for i, (kind, scores) in enumerate(found.kinds.items()):
            shown = [*map(with_error, scores[:2]), f"{scores.log_evidence.mean():.0f}"]
            table.add_row(name if i == 0 else "", *shown, LABELS[kind], style="bold")
        for published, who in zip(PUBLISHED[name], ("PBP", "dropout"), strict=True):
            table.add_row("", *(f"{v:.2f}" for v in published), "", f"published: {who}")
        if found.longer is not None:
            shown = map(with_error, found.longer[:2])
            table.add_row("", *shown, "", "published: dropout, 100 × the epochs")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
