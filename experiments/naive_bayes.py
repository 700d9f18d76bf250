"""How well does Bayes' theorem read handwritten digits, one pixel after the other?

Bernoulli naive Bayes: a pixel is ink or paper, and, given the digit, says nothing of the others.
Learning is counting; reading is Bayes' theorem, pixel by pixel, from the prior to the posterior.
The pseudo-count is chosen by held-out images; the test set is looked at once.

Run      python -m experiments.naive_bayes
Run      python -m experiments.naive_bayes --data PATH
Cost     10 seconds on two CPU cores; with MNIST 13 seconds, compiling and drawing apart
Expect   digits: test accuracy 0.891; MNIST: test accuracy 0.8441
Finding  MNIST: test accuracy 84.4 % ± 0.4 %, against about 84 % as published; what is wrong is so
         with certainty, since pixels that repeat each other count as if they did not
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import tyro
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from rich.console import Console

from experiments import command
from experiments.data import CLASSES, Dataset, Examples, load
from experiments.figures import BLUE, GREY, ORANGE, draw_confusions, parts
from fnmath.bayes import (
    BernoulliNaiveBayesParams,
    bernoulli_naive_bayes,
    bernoulli_naive_bayes_init,
    sequential_log_bayes_rule,
)
from fnmath.metrics import accuracy, confusion_matrix

NAME = "naive_bayes"
ALPHAS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
PUBLISHED = {"MNIST": ((0.84, "Bernoulli naive Bayes, pixels above ½ (commonly reported)"),)}
SHOWN = 6  # images whose posterior is drawn pixel by pixel
MOMENTS = (0.0, 0.25, 0.4, 0.5, 0.6, 0.75, 1.0)  # of the pixels, at which the rest is hidden


@dataclasses.dataclass(frozen=True)
class Config:
    """What to read, and where the results go."""

    data: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """Folder with MNIST's four IDX files, plain or gzip. Left out: scikit-learn's digits."""
    threshold: float = 0.5
    """The grey value above which a pixel is ink."""
    validation: float = 1 / 6
    """Share of the training images held out to choose the pseudo-count by."""
    output: Path = Path("runs")
    """Where the folder of this run is made."""

    def __post_init__(self) -> None:
        """Refuse what no data could make sense of."""
        if not 0 <= self.threshold < 1:
            raise ValueError(f"threshold is {self.threshold}; wanted a grey value in [0, 1)")
        if not 0 < self.validation < 1:
            raise ValueError(f"validation is {self.validation}; wanted a share in (0, 1)")


class Results(NamedTuple):
    """What was learnt, how it was chosen, how the test images are read, and some pixel by pixel."""

    params: BernoulliNaiveBayesParams
    alpha: jax.Array
    held_out: dict[str, jax.Array]
    final: dict[str, jax.Array]
    log_posterior: jax.Array
    shown: np.ndarray
    paths: jax.Array
    examples: Examples


def run(config: Config, *, dataset: Dataset | None = None) -> Results:
    """Learn, choose and read: the same numbers for the same data."""
    dataset = load(config.data, validation=config.validation) if dataset is None else dataset
    ink = [as_ink(part, config.threshold) for part in dataset[1:]]
    labels = [jnp.asarray(part.labels) for part in dataset[1:]]
    held_out = jax.jit(judged_alphas)(*ink[:2], *labels[:2])
    alpha = jnp.asarray(ALPHAS)[jnp.argmax(held_out["accuracy"])]
    params = bernoulli_naive_bayes_init(
        jnp.concatenate(ink[:2]), jnp.concatenate(labels[:2]), classes=CLASSES, alpha=alpha
    )
    log_posterior = jax.jit(bernoulli_naive_bayes)(params, ink[2])
    final = {
        "accuracy": accuracy(log_posterior, labels[2]).mean(),
        "confusion": confusion_matrix(log_posterior.argmax(-1), labels[2], classes=CLASSES),
        "log_probability": of_labels(log_posterior, labels[2]).mean(),
    }
    shown = chosen(np.asarray(log_posterior), np.asarray(labels[2]))
    paths = jax.jit(pixel_by_pixel)(params, ink[2][shown])
    return Results(params, alpha, held_out, final, log_posterior, shown, paths, dataset.test)


def as_ink(examples: Examples, threshold: float) -> jax.Array:
    """Each image as a row of pixels, 1 for ink and 0 for paper."""
    return jnp.asarray(examples.images > threshold).reshape(len(examples.labels), -1)


def of_labels(log_posterior: jax.Array, labels: jax.Array) -> jax.Array:
    """The log-probability of what is right."""
    return jnp.take_along_axis(log_posterior, labels[:, None], -1)[:, 0]


def judged_alphas(
    ink: jax.Array, held_out: jax.Array, labels: jax.Array, held_out_labels: jax.Array
) -> dict[str, jax.Array]:
    """How each pseudo-count does on images that were not counted: one program for all."""

    def judge(alpha: jax.Array) -> dict[str, jax.Array]:
        params = bernoulli_naive_bayes_init(ink, labels, classes=CLASSES, alpha=alpha)
        log_posterior = bernoulli_naive_bayes(params, held_out)
        right = of_labels(log_posterior, held_out_labels)
        hits = accuracy(log_posterior, held_out_labels)
        return {"log_probability": right.mean(), "accuracy": hits.mean()}

    return jax.lax.map(judge, jnp.asarray(ALPHAS))


def pixel_by_pixel(params: BernoulliNaiveBayesParams, ink: jax.Array) -> jax.Array:
    """The posterior of each image before its first pixel and after each, by Bayes' theorem."""
    z = params.log_odds.T
    log_p = jnp.where(ink[:, :, None], jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z))
    priors = jnp.broadcast_to(params.log_prior, (len(ink), CLASSES))
    return jnp.exp(sequential_log_bayes_rule(priors, log_p).log_posterior)


def chosen(log_posterior: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Some images that are read rightly, of different digits, and the last that is misread."""
    right = log_posterior.argmax(-1) == labels
    some = [np.flatnonzero(right & (labels == digit))[:1] for digit in (0, 3, 4, 7, 9)]
    some += [np.flatnonzero(~right)[:1]]
    return np.concatenate(some)[:SHOWN]


def plot(results: Results, path: Path, *, name: str = "") -> None:
    """One figure: what was learnt, the posterior pixel by pixel, the confusions."""
    style: dict[Any, Any] = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(style):
        layout = ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.05)
        figure = Figure(figsize=(13, 11), dpi=110, layout=layout)
        error, images = 1 - float(results.final["accuracy"]), len(results.examples.labels)
        figure.suptitle(
            f"Bernoulli naive Bayes, {name}: {error:.2%} of {images:,} test images misread",
            fontsize=13, fontweight="bold", x=0.012, ha="left",
        )  # fmt: skip
        upper, lower = parts(figure, 2, 1, height_ratios=[1, 2.2])
        learnt, counts = parts(upper, 1, 2, width_ratios=[1.9, 1])
        draw_learnt(learnt, results)
        draw_confusions(counts.subplots(), np.asarray(results.final["confusion"]))
        draw_paths(lower, results)
        figure.savefig(path)


def draw_learnt(panel: Any, results: Results) -> None:
    """The probability of ink in each pixel, for each digit."""
    shape = results.examples.images.shape[1:]
    for digit, ax in enumerate(panel.subplots(2, 5).ravel()):
        theta = np.asarray(jax.nn.sigmoid(results.params.log_odds[digit])).reshape(shape)
        ax.imshow(theta, cmap="gray_r", vmin=0, vmax=1)
        ax.set_axis_off()
    panel.suptitle(
        "the probability of ink, learnt by counting", fontweight="bold", x=0.02, ha="left"
    )


def draw_paths(panel: Any, results: Results) -> None:
    """For some images the posterior of each digit, from top left to bottom right."""
    rows = panel.subplots(len(results.shown), 2, width_ratios=[1.2, 2.4], squeeze=False)
    for (left, right), i, path in zip(rows, results.shown, results.paths, strict=True):
        image = np.asarray(results.examples.images[i])
        label = int(results.examples.labels[i])
        left.imshow(strip(image), cmap="gray_r", vmin=-0.15, vmax=1, aspect="equal")
        left.set_axis_off()
        draw_path(right, np.asarray(path), label, image.shape[0])
    panel.suptitle(
        "the posterior of each digit, pixel by pixel, row after row; left, how much was seen",
        fontweight="bold", x=0.02, ha="left",
    )  # fmt: skip


def strip(image: np.ndarray) -> np.ndarray:
    """The image at several moments, what was not yet seen in grey."""
    pixels = image.size
    frames = []
    for share in MOMENTS[1:]:
        seen = np.arange(pixels).reshape(image.shape) < share * pixels
        frames += [np.where(seen, image, -0.05), np.full((len(image), 1), np.nan)]
    return np.concatenate(frames[:-1], axis=1)


def draw_path(ax: Any, path: np.ndarray, label: int, height: int) -> None:
    rows = np.arange(len(path)) / (len(path) - 1) * height
    read = int(path[-1].argmax())
    for digit in range(CLASSES):
        colour = BLUE if digit == label else ORANGE if digit == read else GREY
        bold = digit in {label, read}
        ax.plot(rows, path[:, digit], color=colour, lw=1.6 if bold else 0.6, zorder=2 + bold)
    said = f"{label}" if read == label else f"{label}, read as {read}"
    ax.set_title(f"a {said}", fontsize=9, loc="left", fontweight="bold")
    leading = path.argmax(1)
    for digit in sorted(set(leading.tolist())):
        where = np.where(leading == digit, path[:, digit], 0).argmax()
        ax.annotate(f"{digit}", (rows[where], path[where, digit]), fontsize=8, va="bottom")
    ax.set(xlim=(0, height), ylim=(-0.02, 1.15), yticks=[0, 1])
    ax.set_xlabel("rows seen", fontsize=7, labelpad=0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line → run → save → plot."""
    with command.plain_errors(NAME):
        config = command.parse(Config, arguments, doc=__doc__ or "", name=NAME)
        console = command.console()
        dataset = load(config.data, validation=config.validation)
        folder = command.make_folder(config.output, NAME)
        counts = {part: len(getattr(dataset, part).labels) for part in Dataset._fields[1:]}
        described = {**dataclasses.asdict(config), "dataset": {"name": dataset.name, **counts}}
        command.save_json(folder / "config.json", described | {"versions": command.versions()})
        started = time.perf_counter()
        results = jax.block_until_ready(run(config, dataset=dataset))
        seconds = time.perf_counter() - started
        command.save_json(folder / "metrics.json", measured(results, seconds))
        plot(results, folder / "figure.png", name=dataset.name)
        print_findings(console, dataset, results, seconds)
        console.print(f"saved in {folder}: config.json, metrics.json, figure.png")


def measured(results: Results, seconds: float) -> dict[str, Any]:
    """All numbers of a run, for metrics.json."""
    held_out = {"alphas": ALPHAS, **results.held_out}
    return {**results.final, "alpha": results.alpha, "held_out": held_out, "seconds": seconds}


def print_findings(console: Console, dataset: Dataset, results: Results, seconds: float) -> None:
    table = command.table("pseudo-count", "held-out accuracy", "log-probability, nats")
    columns = (results.held_out[name] for name in ("accuracy", "log_probability"))
    for alpha, right, log_p in zip(ALPHAS, *columns, strict=True):
        table.add_row(f"{alpha:g}", f"{float(right):.4f}", f"{float(log_p):.4f}")
    console.print(table)
    right, images = float(results.final["accuracy"]), len(results.examples.labels)
    console.print(
        f"[bold]test accuracy {right:.4f} ± {(right * (1 - right) / images) ** 0.5:.4f}[/bold] "
        f"(one standard error), pseudo-count {float(results.alpha):g}, log-probability "
        f"{float(results.final['log_probability']):.3f} nats an image; {seconds:.1f} s"
    )
    for published, what in PUBLISHED.get(dataset.name, ()):
        console.print(f"published: about {published:.0%}, {what}")


if __name__ == "__main__":
    sys.exit(main())
