"""Where do today's libraries lose the value, or the derivatives, of losses?

Draws every loss of one number (a residual, a logit, a margin, the lead of one class over others)
with its first and second derivative, and below them how wrong fnmath, optax and PyTorch (where it
is installed) are about these over the float32 line.

Run      python -m experiments.losses
Cost     27 seconds on two CPU cores
Expect   fnmath: values and first derivatives within 4 ULP, but for up to 1 point in 50 of
         the focal losses and 1 in 300 of a smoothed cross-entropy
Finding  optax's and PyTorch's cross-entropies lose value and gradient of an example that leads by
         15 nats and more; optax's Huber and log-cosh lose the gradient of a small residual
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import optax

from experiments import atlas
from experiments.atlas import Entry, with_peers
from fnmath import losses as fn

NAME = "losses"
TITLE = "Losses: ℓ, ℓ′ and ℓ″, and the error of the derivatives over the float32 line"


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the atlas."""

    points: int = 2000
    """How many float32 numbers the libraries are asked about."""
    output: Path = Path("runs")
    """Where the picture and the numbers go."""


def against(loss: Callable[..., Any], target: Any = 0.0, **options: Any) -> Callable[..., Any]:
    """The loss of a prediction, its target fixed."""
    return lambda x: loss(x, jnp.asarray(target, jnp.result_type(x)), **options)


def leading(loss: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """The loss of three logits x, 0, 0 where the first class is the right one."""
    return lambda x: loss(jnp.stack([x, 0 * x, 0 * x]), jnp.asarray(0), **options)


def entries() -> dict[str, Entry]:
    """Losses of one number, beside those of the same name elsewhere."""
    theirs, torch_ones = optax.losses, torch_functions()

    def entry(name: str, *, low: float = -5.0, high: float = 5.0, **fixed: Any) -> Entry:
        peer = against(getattr(theirs, name), **fixed) if hasattr(theirs, name) else None
        functions = with_peers(against(getattr(fn, name), **fixed), peer, torch_ones.get(name))
        return Entry(functions, low, high)

    found = {
        "l2_loss": entry("l2_loss"),
        "absolute_error": entry("absolute_error"),
        "huber_loss": entry("huber_loss"),
        "log_cosh": entry("log_cosh"),
        "pinball_loss, 0.75": entry("pinball_loss", quantile=0.75),
        "expectile_loss, 0.75": entry("expectile_loss", expectile=0.75),
        "binary cross-entropy, t = 1": entry("sigmoid_binary_cross_entropy", target=1.0),
        "binary focal loss, t = 1": entry("sigmoid_focal_loss", target=1.0),
        "hinge_loss, t = 1": entry("hinge_loss", target=1.0),
        "soft_margin_loss, t = 1": entry("soft_margin_loss", target=1.0),
        "sparsemax_loss, t = 1": entry("sparsemax_loss", target=1.0),
        "poisson_nll_loss, t = 2": entry("poisson_nll_loss", target=2.0, low=-3.0, high=3.0),
    }
    cross_entropy = "softmax_cross_entropy_with_integer_labels"
    found["cross-entropy of x, 0, 0"] = Entry(
        with_peers(
            leading(getattr(fn, cross_entropy)),
            leading(getattr(theirs, cross_entropy)),
            torch_ones.get(cross_entropy),
        )
    )
    found["the same, smoothed by 0.1"] = Entry(
        with_peers(leading(partial(getattr(fn, cross_entropy), label_smoothing=0.1)))
    )
    found["focal loss of x, 0, 0"] = Entry(with_peers(leading(fn.softmax_focal_loss)))
    return found


def torch_functions() -> dict[str, Callable[..., Any]]:
    """PyTorch's, where it is installed."""
    try:
        import torch
        from torch.nn import functional
    except ImportError:
        return {}

    def of(loss: Callable[..., Any], target: float = 0.0) -> Callable[..., Any]:
        return lambda x: loss(x, torch.full_like(x, target), reduction="none")

    def cross_entropy(x: Any) -> Any:
        z = torch.stack([x, torch.zeros_like(x), torch.zeros_like(x)], -1)
        return functional.cross_entropy(z, torch.zeros(len(x), dtype=torch.long), reduction="none")

    return {
        "absolute_error": of(functional.l1_loss),
        "huber_loss": of(functional.huber_loss),
        "sigmoid_binary_cross_entropy": of(functional.binary_cross_entropy_with_logits, 1.0),
        "soft_margin_loss": of(functional.soft_margin_loss, 1.0),
        "poisson_nll_loss": of(functional.poisson_nll_loss, 2.0),
        "softmax_cross_entropy_with_integer_labels": cross_entropy,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    atlas.main(NAME, __doc__ or "", Config, arguments, entries, TITLE)


if __name__ == "__main__":
    main(sys.argv[1:])
