"""The picture of one training run on images of digits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from experiments.style import style

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#767676"  # Okabe and Ito's: distinct to every eye
UNIT_ROWS, UNIT_COLUMNS = 5, 12
DIGIT_GRIDS = ((3, 5), (4, 6), (5, 8))  # the first of these with room for all, or the last


def plot_digits(
    results: Any,
    path: Path,
    *,
    judged_on: str,
    network: str,
    draw_weights: Callable[[SubFigure, Any], None],
) -> None:
    """Curves, confusions, weights and misread digits, as one PNG; ``network`` is the title."""
    with matplotlib.rc_context(style()):
        figure = Figure(
            figsize=(13, 8.2), dpi=130, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06)
        )
        images, error = len(results.examples.labels), 1 - float(results.final["accuracy"])
        figure.suptitle(
            f"{network}: {error:.2%} of {images:,} {judged_on} images misread",
            fontsize=13, fontweight="bold", x=0.012, ha="left",
        )  # fmt: skip
        upper, lower = parts(figure, 2, 1, height_ratios=[1, 0.95])
        curves, counts = parts(upper, 1, 2, width_ratios=[1.9, 1])
        loss, error = curves.subplots(1, 2)
        draw_curves(loss, results, "loss", "loss, nats", judged_on)
        draw_curves(error, results, "accuracy", "misread images", judged_on)
        draw_confusions(counts.subplots(), np.asarray(results.final["confusion"]))
        weights, misread = parts(lower, 1, 2, width_ratios=[1.5, 1])
        draw_weights(weights, results)
        draw_misread(misread, results)
        figure.savefig(path)


def parts(figure: Figure | SubFigure, rows: int, columns: int, **ratios: Any) -> list[SubFigure]:
    """A figure cut into several, row by row."""
    cut: Any = figure.subfigures(rows, columns, **ratios)
    return list(cut.ravel())


def draw_curves(ax: Axes, results: Any, name: str, label: str, judged_on: str) -> None:
    """Training and validation at each epoch, the last judgement at the end, on a logarithmic scale.

    Accuracy is drawn as the share that is misread, where 99 % and 98 % lie apart. What is 0 has no
    place on such a scale and is drawn at half an image.
    """
    share = name == "accuracy"

    def curve(values: Any) -> np.ndarray:
        values = np.asarray(values, np.float64)
        return (
            np.maximum(100 * (1 - values), 50 / len(results.examples.labels)) if share else values
        )

    train, final = curve(results.train[name].mean(axis=1)), float(curve(results.final[name]))
    epochs = np.arange(1, len(train) + 1)
    ax.plot(epochs, train, color=BLUE, lw=1.8, label="training")
    if name in results.validation:
        ax.plot(epochs, curve(results.validation[name]), color=ORANGE, lw=1.8, label="validation")
    moment = "test, once" if judged_on == "test" else f"{judged_on}, at the end"
    at_end = f"{moment}: {final:.2f} %" if share else f"{moment}: {final:.4f}"
    ax.plot(epochs[-1], final, "D", ms=6, color="black", label=at_end, clip_on=False, zorder=3)
    ax.set(title=label, xlabel="epoch", yscale="log", xlim=(0, epochs[-1] + 0.5))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}{' %' if share else ''}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.grid(axis="y", alpha=0.3, lw=0.6)
    ax.legend(frameon=False)


def draw_confusions(ax: Axes, counts: np.ndarray) -> None:
    """Counts of (written, taken for); only the errors are coloured."""
    right = np.eye(len(counts), dtype=bool)
    top = max(float(counts[~right].max()), 1.0)
    ax.imshow(
        np.where(right | (counts == 0), np.nan, counts), cmap="Oranges", vmin=0, vmax=1.6 * top
    )
    for (written, read), count in np.ndenumerate(counts):
        if count:
            colour = GREY if written == read else "black"
            ax.text(read, written, f"{count}", ha="center", va="center", size=7.5, color=colour)
    digits = range(len(counts))
    ax.set(title="confusions", xlabel="taken for", ylabel="written", xticks=digits)
    ax.set(yticks=digits)
    ax.set_xticks(np.arange(-0.5, len(counts)), minor=True)
    ax.set_yticks(np.arange(-0.5, len(counts)), minor=True)
    ax.grid(which="minor", color="0.9", lw=0.6)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)


def draw_units(panel: SubFigure, results: Any) -> None:
    """The kernel's columns as images: what each hidden unit looks for (blue) and shuns (red)."""
    rows, columns = UNIT_ROWS, UNIT_COLUMNS
    height, width = results.examples.images.shape[1:]
    kernel = np.asarray(results.params[0].kernel)
    influence = np.linalg.norm(np.asarray(results.params[1].kernel), axis=1)
    shown = np.argsort(-influence)[: rows * columns]
    rows = -(-len(shown) // columns)
    mosaic = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for place, unit in enumerate(shown):
        image = kernel[:, unit].reshape(height, width)
        top, left = (place // columns) * (height + 1), (place % columns) * (width + 1)
        mosaic[top : top + height, left : left + width] = image / np.abs(image).max()
    ax = panel.subplots()
    ax.imshow(mosaic, cmap="RdBu", vmin=-1, vmax=1, interpolation="nearest")
    ax.set_axis_off()
    ax.set_anchor("N")
    some = f"{len(shown)} of {len(influence)}" if len(shown) < len(influence) else f"{len(shown)}"
    panel.suptitle(
        f"{some} hidden units: their incoming weights, blue above 0, red below",
        fontsize=10, fontweight="bold", x=0.02, ha="left",
    )  # fmt: skip


def draw_misread(panel: SubFigure, results: Any) -> None:
    """The images that were read wrongly, the surest first; then, if there is room, others.

    The others are those that were read rightly and least surely.
    """
    logits, labels = np.asarray(results.logits, np.float64), np.asarray(results.examples.labels)
    taken_for = logits.argmax(axis=1)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    sureness = weights.max(axis=1) / weights.sum(axis=1)
    wrong = taken_for != labels
    order = np.argsort(np.where(wrong, -1 - sureness, sureness))
    count = int(wrong.sum())
    rows, columns = next((g for g in DIGIT_GRIDS if g[0] * g[1] >= count), DIGIT_GRIDS[-1])
    axes = panel.subplots(rows, columns).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, i in zip(axes, order, strict=False):
        ax.imshow(np.asarray(results.examples.images)[i], cmap="gray_r", vmin=0, vmax=1)
        mistake = f"{labels[i]} as {taken_for[i]}, {sureness[i]:.0%}"
        ax.set_title(
            mistake if wrong[i] else f"{labels[i]}, {sureness[i]:.0%}",
            fontsize=8 if rows < 4 else 6, fontweight="normal", loc="center", pad=2,
            color="black" if wrong[i] else GREY,
        )  # fmt: skip
    surest = f"the {axes.size} surest of " if count > axes.size else ""
    others = "; others, the least sure" if count < axes.size else ""
    panel.suptitle(
        f"{surest}{count} misread, and how surely{others}",
        fontsize=10, fontweight="bold", x=0.02, ha="left",
    )  # fmt: skip
