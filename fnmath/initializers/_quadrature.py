"""Expectations of functions of a standard normal variable z, of density φ.

E h(z) = ∫ h(z) φ(z) dz is a sum over panels of width ½ from −12 to 12, each with the 16 points of
Gauss and Legendre. Gauss–Hermite points, made for this density, want h to be smooth; activations
have kinks, and those of relu, hard_tanh, relu6, hard_sigmoid and the shrinkages lie at multiples
of ½: between two panels, where they do no harm. E elu(z)² and E hard_tanh(z)² so come out to 15
digits, where 256 Gauss–Hermite points leave five and two.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fnmath import _checks


@functools.cache
def panels() -> tuple[np.ndarray, np.ndarray]:
    """Points z and weights w, with Σ w h(z) = E h(z) for a standard normal variable."""
    points, weights = np.polynomial.legendre.leggauss(16)
    left_ends = np.arange(-12, 12, 0.5)[:, None]
    z = (left_ends + 0.25 * (1 + points)).ravel()
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return z, density * np.tile(0.25 * weights, len(left_ends))


def values_and_slopes(
    name: str, activation: Callable[[Array], Any], x: Float[Array, " points"]
) -> tuple[Float[Array, " points"], Float[Array, " points"]]:
    """The activation and its derivative at some points; raise where it is not elementwise."""
    y, pull_back = jax.vjp(lambda x: elementwise(name, activation, x), x)
    return y, pull_back(jnp.ones_like(y))[0]


def elementwise(
    name: str, activation: Callable[[Array], Any], x: Float[Array, " points"]
) -> Float[Array, " points"]:
    """The activation at some points; raise unless it gives one floating-point number for each."""
    y = activation(x)
    _checks.floating(name, **{"activation(x)": y})
    if jnp.shape(y) != x.shape:
        problem = f"activation(x) has shape {jnp.shape(y)} for x of shape {x.shape}"
        _checks.fail(name, f"{problem}; wanted an elementwise function")
    return jnp.asarray(y)
