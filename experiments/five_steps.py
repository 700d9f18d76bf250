"""The five steps of learning, with the numbers of one real image.

Forward pass, activation, loss, backpropagation, optimisation: ``walk`` computes them for one image
and one network, ``show`` prints them. Backpropagation is done three ways, in float64, and their
disagreement is a number:

    ``jax.grad``             autodiff of the loss
    by hand                  ``fnmath.backprop.one_hidden_layer_backward``
    finite differences       (L(θ + ε) − L(θ − ε)) / 2ε, one parameter at a time

Notation: x is the image as a row of pixels, y its label; z = x W₁ + b₁ the hidden preactivations,
h = φ(z) the hidden units, s = h W₂ + b₂ the logits, p = softmax(s) the probabilities, L = −log p_y
the loss; v̄ = ∂L/∂v is the cotangent of v.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from experiments.command import table
from fnmath.activations import softmax
from fnmath.backprop import (
    Cotangents,
    ForwardPass,
    one_hidden_layer_backward,
    one_hidden_layer_forward,
)
from fnmath.calculus import derivative, finite_difference_gradient

ALL_ENTRIES = 10_000  # an array of parameters up to this size is perturbed entry by entry,
SOME_ENTRIES = 256  # of a larger one as many, drawn at random
CHUNK = 16  # perturbed copies of an array held in memory at once
UNITS = 8  # hidden units that are printed
NAMES = ("W₁", "b₁", "W₂", "b₂")
Activation = Callable[[jax.Array], jax.Array]


class Agreement(NamedTuple):
    """How far three gradients of one array of parameters lie apart: max |a − b| / max |a|."""

    name: str
    shape: tuple[int, ...]
    by_hand: float
    finite_differences: float
    entries: int


class Walk(NamedTuple):
    """Everything that happens to one image in one step of training."""

    image: np.ndarray
    label: int
    activation: str
    params: Any
    forward: ForwardPass
    slopes: np.ndarray
    backward: Cotangents
    agreement: list[Agreement]
    updated: Any
    loss_after: float


def walk(
    params: Any,
    image: np.ndarray,
    label: int,
    *,
    activation: Activation,
    name: str,
    optimizer: optax.GradientTransformation,
) -> Walk:
    """The five steps, in double precision, for one image."""

    def loss(params: Any, x: jax.Array, labels: jax.Array) -> jax.Array:
        return one_hidden_layer_forward(params, x, labels, activation=activation).loss

    @jax.jit
    def steps(params: Any, x: jax.Array, labels: jax.Array) -> dict[str, Any]:
        forward = one_hidden_layer_forward(params, x, labels, activation=activation)
        backward = one_hidden_layer_backward(params, x, labels, forward, activation=activation)
        gradient: Any = backward.params
        updates, _ = optimizer.update(gradient, optimizer.init(params), params)
        updated = optax.apply_updates(params, updates)
        return {
            "forward": forward,
            "slopes": derivative(activation)(forward.hidden_preactivation),
            "backward": backward,
            "updated": updated,
            "loss_after": loss(updated, x, labels),
        }

    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
        x, labels = jnp.asarray(image, jnp.float64).reshape(1, -1), jnp.asarray([label])
        seen = jax.tree.map(np.asarray, steps(params, x, labels))
        agreement = compare(partial(loss, x=x, labels=labels), params, seen["backward"].params)
    return Walk(image, label, name, params, agreement=agreement, **seen)


def compare(loss: Callable[[Any], jax.Array], params: Any, by_hand: Any) -> list[Agreement]:
    """``jax.grad`` beside the gradient derived by hand and finite differences, array by array."""
    leaves, structure = jax.tree.flatten(params)

    chosen = [drawn_entries(leaf.size) for leaf in leaves]

    def loss_of(values: list[jax.Array]) -> jax.Array:
        changed = []
        for leaf, entries, some in zip(leaves, chosen, values, strict=True):
            every = len(entries) == leaf.size
            flat = some if every else jnp.asarray(leaf).ravel().at[entries].set(some)
            changed.append(flat.reshape(leaf.shape))
        return loss(structure.unflatten(changed))

    at = [leaf.ravel()[entries] for leaf, entries in zip(leaves, chosen, strict=True)]
    numeric_gradient = partial(finite_difference_gradient, loss_of, chunk=CHUNK)
    differences = jax.tree.map(np.asarray, jax.jit(numeric_gradient)(at))
    autodiff = jax.tree.map(np.asarray, jax.jit(jax.grad(loss))(params))
    rows = []
    exact_gradients = jax.tree.leaves(autodiff), jax.tree.leaves(by_hand)
    for name, exact, hand, numeric, entries in zip(
        NAMES, *exact_gradients, differences, chosen, strict=True
    ):
        largest = np.abs(exact).max() or 1.0  # a network of dead units has no gradient at all
        hand_error = np.abs(hand - exact).max() / largest
        difference_error = np.abs(numeric - exact.ravel()[entries]).max() / largest
        errors = float(hand_error), float(difference_error)
        rows.append(Agreement(name, exact.shape, *errors, entries.size))
    return rows


def drawn_entries(size: int) -> np.ndarray:
    """All entries of a small array, some of a large one."""
    if size <= ALL_ENTRIES:
        return np.arange(size)
    return np.sort(np.random.default_rng(0).choice(size, SOME_ENTRIES, replace=False))


def show(console: Console, walk: Walk) -> None:
    """The five steps as they happen, on one screen."""
    console.rule("[bold]One image, five steps, before any training", style="cyan", align="left")
    console.print()
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_row(_image_panel(console, walk), _units_panel(walk), _classes_panel(walk))
    console.print(grid)
    console.print()
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_row(_cotangents_panel(walk), _agreement_panel(walk))
    console.print(grid)
    console.print()
    console.print(_optimisation_panel(walk))
    console.print()


def _signed(x: float | jax.Array) -> str:
    return f"{x:+.4f}".replace("-", "−")


def _subscript(n: int) -> str:
    return str(n).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def _step(number: str, title: str, formula: str) -> Text:
    return Text.assemble((f"{number} {title}", "bold cyan"), f"  {formula}")


def _image_panel(console: Console, walk: Walk) -> Group:
    title = Text.assemble(("image x", "bold"), f",  y = {walk.label}\n\n")
    return Group(title, drawing(walk.image, coloured=console.color_system is not None))


def drawing(image: np.ndarray, *, coloured: bool) -> Text:
    """An image in characters: grey blocks on a terminal, shades of ink in plain text.

    A small image has two columns for a pixel; of a large one, without its blank margin, each
    character shows two pixels, one above the other.
    """
    small = max(image.shape) <= 16
    text = Text()
    if small:
        for row in image:
            for ink in row:
                if coloured:
                    text.append("██", style=_grey(ink))
                else:
                    text.append(2 * " ░▒▓█"[int(np.clip(ink * 4.99, 0, 4))])
            text.append("\n")
    else:
        if image.any():
            rows, columns = np.nonzero(image)
            image = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        if len(image) % 2:
            image = np.concatenate([image, np.zeros_like(image[:1])])
        for upper, lower in zip(image[::2], image[1::2], strict=True):
            for top, bottom in zip(upper, lower, strict=True):
                if coloured:
                    text.append("▀", style=f"{_grey(top)} on {_grey(bottom)}")
                else:
                    text.append(" ▄▀█"[2 * int(top > 0.4) + int(bottom > 0.4)])
            text.append("\n")
    return text


def _grey(ink: float) -> str:
    level = int(np.clip(32 + ink * 223, 0, 255))
    return f"rgb({level},{level},{level})"


def _units_panel(walk: Walk) -> Group:
    z, h = walk.forward.hidden_preactivation[0], walk.forward.hidden[0]
    rows = table("unit", "z", "h", "φ′(z)")
    for j in range(min(UNITS, z.size)):
        rows.add_row(f"{j}", _signed(z[j]), f"{h[j]:.4f}", f"{walk.slopes[0, j]:.4f}")
    if z.size > UNITS:
        rows.add_row("…", f"{z.size - UNITS} more", "", "")
    return Group(
        _step("1", "Forward pass", "z = x W₁ + b₁"),
        _step("2", "Activation", f"h = {walk.activation}(z)"),
        rows,
    )


def _classes_panel(walk: Walk) -> Group:
    y, y_, logits = walk.label, _subscript(walk.label), walk.forward.logits[0]
    p = np.asarray(softmax(jnp.asarray(logits)))
    rows = table("class", "s", "p", "")
    for k, (logit, probability) in enumerate(zip(logits, p, strict=True)):
        bar = "━" * round(10 * probability / p.max())
        style = "bold green" if k == y else ""
        rows.add_row(f"{k}", _signed(logit), f"{probability:.4f}", bar, style=style)
    return Group(
        _step("1", "Forward pass", "s = h W₂ + b₂"),
        _step("3", "Loss", f"−log softmax(s){y_} = {walk.forward.loss:.4f} nats"),
        rows,
    )


def _cotangents_panel(walk: Walk) -> Group:
    bars, y = walk.backward, walk.label
    hidden, output = (jax.tree.leaves(layer) for layer in bars.params)  # kernel, bias
    rows = table("v̄ = ∂L/∂v", "‖v̄‖")
    for formula, cotangent in (
        ("s̄ = p − onehot(y)", bars.logits),
        ("W̄₂ = hᵀ s̄", output[0]),
        ("b̄₂ = s̄", output[1]),
        ("h̄ = s̄ W₂ᵀ", bars.hidden),
        ("z̄ = φ′(z) ⊙ h̄", bars.hidden_preactivation),
        ("W̄₁ = xᵀ z̄", hidden[0]),
        ("b̄₁ = z̄", hidden[1]),
    ):
        rows.add_row(formula, f"{np.linalg.norm(cotangent):.4f}")
    title = _step(
        "4",
        "Backpropagation",
        f"s̄{_subscript(y)} = p{_subscript(y)} − 1 = {_signed(bars.logits[0, y])}",
    )
    return Group(title, rows)


def _agreement_panel(walk: Walk) -> Group:
    rows = table("", "shape", "by hand", "finite differences")
    for row in walk.agreement:
        shape = " × ".join(str(n) for n in row.shape)
        some = "" if row.entries == np.prod(row.shape) else f" (of {row.entries})"
        rows.add_row(row.name, shape, f"{row.by_hand:.1e}", f"{row.finite_differences:.1e}{some}")
    caption = Text("max |a − b| / max |a|, a from jax.grad, in float64", style="dim")
    return Group(Text("Three ways to one gradient", style="bold"), rows, caption)


def _optimisation_panel(walk: Walk) -> Group:
    gradient = walk.backward.params[1].kernel
    i, j = np.unravel_index(np.argmax(np.abs(gradient)), gradient.shape)
    before, after = (p[1].kernel[i, j] for p in (walk.params, walk.updated))
    slope, before, after = (_signed(x) for x in (gradient[i, j], before, after))
    line = Text.assemble(
        f"w = W₂[{i}, {j}] has ∂L/∂w = {slope} and goes from {before} to {after};\n",
        "one step on this image alone takes its loss from ",
        (f"{walk.forward.loss:.4f} to {walk.loss_after:.4f} nats", "bold green"),
    )
    title = _step("5", "Optimisation", "θ ← θ + update(∂L/∂θ), all parameters at once")
    return Group(title, Padding(line, (0, 0, 0, 2)))
