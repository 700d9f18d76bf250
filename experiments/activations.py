"""Where do today's libraries lose the derivatives of activations?

Draws every elementwise activation with its first and second derivative, and below them how wrong
fnmath, jax.nn and PyTorch (where it is installed) are about these over the float32 line.

Run      python -m experiments.activations
Cost     31 seconds on two CPU cores
Expect   fnmath: every value and first derivative within 4 ULP of the truth, 99.6 % of the second
Finding  jax.nn and PyTorch lose all digits of f′ in the tails of tanh, sigmoid, elu and gelu, and
         of f″ in those of every smooth activation: of sigmoid″ half of the float32 line is right
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp

from experiments import atlas
from experiments.atlas import Entry, with_peers
from fnmath import activations as fn

NAME = "activations"
TITLE = "Activations: f, f′ and f″, and the error of their derivatives over the float32 line"


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the atlas."""

    points: int = 2000
    """How many float32 numbers the libraries are asked about."""
    output: Path = Path("runs")
    """Where the picture and the numbers go."""


def entries() -> dict[str, Entry]:
    """Every elementwise activation, beside those of the same name elsewhere."""
    theirs = jax.nn
    jax_ones = {name: getattr(theirs, name, None) for name in fn.ACTIVATIONS}
    jax_ones["tanh"] = jnp.tanh
    torch_ones = torch_functions()
    names = [
        *("relu", "leaky_relu", "relu6", "elu", "celu", "selu", "sigmoid", "log_sigmoid"),
        *("softplus", "squareplus", "tanh", "soft_sign", "silu", "mish", "hard_tanh"),
        *("hard_sigmoid", "hard_silu", "sparse_plus", "sparse_sigmoid", "hard_shrink"),
        *("soft_shrink", "tanh_shrink", "gaussian"),
    ]
    found = {
        name: Entry(with_peers(getattr(fn, name), jax_ones.get(name), torch_ones.get(name)))
        for name in names
    }
    erf = partial(fn.gelu, approximate=False), partial(theirs.gelu, approximate=False)
    found["gelu (tanh)"] = Entry(with_peers(fn.gelu, theirs.gelu, torch_ones.get("gelu (tanh)")))
    found["gelu (erf)"] = Entry(with_peers(*erf, torch_ones.get("gelu (erf)")))
    return found


def torch_functions() -> dict:
    """PyTorch's, where it is installed."""
    try:
        import torch
        from torch.nn import functional
    except ImportError:
        return {}
    same = ("relu", "relu6", "leaky_relu", "elu", "celu", "selu", "softplus", "silu", "mish")
    return {name: getattr(functional, name) for name in same} | {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "log_sigmoid": functional.logsigmoid,
        "soft_sign": functional.softsign,
        "hard_tanh": functional.hardtanh,
        "hard_sigmoid": functional.hardsigmoid,
        "hard_silu": functional.hardswish,
        "hard_shrink": functional.hardshrink,
        "soft_shrink": functional.softshrink,
        "tanh_shrink": functional.tanhshrink,
        "gelu (tanh)": lambda x: functional.gelu(x, approximate="tanh"),
        "gelu (erf)": functional.gelu,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    atlas.main(NAME, __doc__ or "", Config, arguments, entries, TITLE)


if __name__ == "__main__":
    main(sys.argv[1:])
