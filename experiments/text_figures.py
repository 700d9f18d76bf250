"""The picture of one training run on text."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from experiments.figures import BLUE, GREY, ORANGE, parts
from experiments.style import style
from fnmath.layers import (
    dense,
    dot_product_attention,
    embedding,
    layer_norm,
    position_embedding,
)
from fnmath.networks import TransformerDecoderParams, transformer_block

SPACE, NEWLINE = "·", "↵"  # what stands on an axis for characters that cannot be seen


def attention_weights(
    params: TransformerDecoderParams,
    ids: jax.Array,
    *,
    heads: int,
    rotate: Callable[..., jax.Array] | None,
) -> jax.Array:
    """The weights of every head of every block: (depth, heads, queries, keys).

    They are what a head gives where the values are unit vectors, one for each character.
    """
    time, h = len(ids), embedding(params.token_embedding, ids)
    if params.pos_embedding is not None:
        h = position_embedding(params.pos_embedding, h)
    units = jnp.broadcast_to(jnp.eye(time)[:, None], (time, heads, time))
    weights = []
    for i in range(len(params.layers.ln_1.scale)):  # type: ignore[arg-type]
        block = jax.tree.map(lambda a, i=i: a[i], params.layers)
        x = layer_norm(block.ln_1, h)
        q, k = (dense(to, x).reshape(time, heads, -1) for to in block.self_attention[:2])
        if rotate is not None:
            q, k = (rotate(a, jnp.arange(time)) for a in (q, k))
        weights.append(dot_product_attention(q, k, units, is_causal=True))
        h = transformer_block(block, h, heads=heads, rotate=rotate, is_causal=True)
    return jnp.stack(weights).swapaxes(1, 2)


def plot_text(
    results: Any,
    path: Path,
    *,
    published: Any,
    weights: Any,
    line: str,
    start: str,
    sample: str,
    name: str,
) -> None:
    """Learning curve, loss by the place in the window, attention, and what it writes."""
    with matplotlib.rc_context(style()):
        figure = Figure(
            figsize=(13, 8.6), dpi=130, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06)
        )
        loss = float(results.final["loss"])
        figure.suptitle(
            f"{name}: {loss:.3f} nats a character on the validation text",
            fontsize=13, fontweight="bold", x=0.012, ha="left",
        )  # fmt: skip
        upper, lower = parts(figure, 2, 1, height_ratios=[1, 1.15])
        curve, places = parts(upper, 1, 2, width_ratios=[1.7, 1])
        draw_curve(curve.subplots(), results, published)
        draw_places(places.subplots(), results)
        heads, written = parts(lower, 1, 2, width_ratios=[1.7, 1])
        draw_heads(heads, np.asarray(weights), line)
        draw_sample(written, start, sample)
        figure.savefig(path)


def draw_curve(ax: Axes, results: Any, published: Any) -> None:
    """The loss of each step, faint, their average over fifty, and the validation loss."""
    train = np.asarray(results.train["loss"], np.float64)
    steps = np.arange(1, len(train) + 1)
    width = min(50, len(train))
    smooth = np.convolve(train, np.ones(width) / width, mode="valid")
    ax.plot(steps, train, color=BLUE, lw=0.5, alpha=0.25)
    middles = steps[width - 1 :] - width / 2
    ax.plot(middles, smooth, color=BLUE, lw=1.6, label=f"training, mean of {width} steps")
    judged = np.asarray(results.validation["loss"])
    at = len(train) * np.arange(1, len(judged) + 1) // len(judged)
    ax.plot(at, judged, "o-", ms=4, color=ORANGE, lw=1.2, label="validation, 200 windows")
    final = float(results.final["loss"])
    ax.plot(steps[-1], final, "D", ms=6, color="black", clip_on=False, zorder=3,
            label=f"validation, all of it: {final:.3f}")  # fmt: skip
    for value, _ in published:
        ax.axhline(value, color=GREY, lw=1, ls="--")
        ax.text(len(train), value, f"nanoGPT: {value:.2f}", va="bottom", ha="right", color=GREY)
    low = min(float(judged.min()), float(smooth.min()), *(value for value, _ in published))
    ax.set(title="loss, nats a character", xlabel="step", xlim=(0, len(train)))
    ax.set_ylim(low - 0.15, float(train[0]) * 1.02)
    ax.grid(axis="y", alpha=0.3, lw=0.6)
    ax.legend(frameon=False)


def draw_places(ax: Axes, results: Any) -> None:
    """What more characters before the one to foretell are worth: means over places."""
    losses = np.asarray(results.final["loss_by_place"])
    ends = [2**i for i in range(len(losses).bit_length()) if 2**i < len(losses)] + [len(losses)]
    starts = [0, *ends[:-1]]
    means = [losses[a:b].mean() for a, b in zip(starts, ends, strict=True)]
    names = [f"{a + 1}–{b}" if b > a + 1 else f"{b}" for a, b in zip(starts, ends, strict=True)]
    bars = ax.barh(names, means, color=ORANGE, height=0.7)
    ax.bar_label(bars, fmt="%.2f", padding=3)
    ax.invert_yaxis()
    ax.set(title="validation loss by characters seen of the window", xlabel="nats a character")
    ax.set_xlim(0, 1.12 * max(means))


def draw_heads(panel: SubFigure, weights: np.ndarray, line: str) -> None:
    """The weights of the heads of the first and of the last block, a row of pictures for each."""
    signs = [SPACE if c == " " else NEWLINE if c == "\n" else c for c in line]
    blocks = sorted({0, len(weights) - 1})
    count = min(weights.shape[1], 4)
    axes = panel.subplots(len(blocks), count, squeeze=False)
    for row, block in enumerate(blocks):
        for head in range(count):
            ax = axes[row, head]
            ax.imshow(np.sqrt(weights[block, head]), cmap="Blues", vmin=0, vmax=1)
            ax.set_title(
                f"block {block + 1}, head {head + 1}", fontsize=8, fontweight="normal", loc="center"
            )
            ax.set_xticks(range(len(signs)), signs, fontsize=6)
            ax.set_yticks(range(len(signs)), signs, fontsize=6)
            ax.tick_params(length=0, pad=1)
            ax.spines[:].set_visible(False)
    panel.suptitle(
        "where heads look: each row a character that looks, each column one before it",
        fontsize=10, fontweight="bold", x=0.02, ha="left",
    )  # fmt: skip


def draw_sample(panel: SubFigure, start: str, sample: str) -> None:
    """What the network writes after the start, line by line, long ones wrapped."""
    ax = panel.subplots()
    ax.set_axis_off()
    last = (start.rsplit("\n", 1)[-1] or start[-8:]).strip()
    lines = [part for line in sample.split("\n") for part in textwrap.wrap(line, 48) or [""]]
    shown = "\n".join(lines[:22]).replace("$", r"\$")
    ax.text(0, 1, shown, family="monospace", fontsize=8.2, va="top", transform=ax.transAxes)
    title = f"what it writes after “{last}”".replace("$", r"\$")
    panel.suptitle(title, fontsize=10, fontweight="bold", x=0.02, ha="left")
