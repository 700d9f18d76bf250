"""Entries less their mean over their deviation: the one computation of all the normalisations.

Notation: x are the entries of one population, μ their mean, v their variance about it, ε what is
added to it, σ = √(v + ε), z = (x − μ)/σ; ⟨·⟩ is the mean over the population. Without centring
μ = 0, and v is the mean square.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class Over(NamedTuple):
    """What makes up a population: ``axes`` of the array, and mapped axes around the call."""

    axes: tuple[int, ...]
    axis_name: str | tuple[str, ...] | None = None
    centred: bool = True


class Standardized(NamedTuple):
    """The entries z in the shape of x, and σ, μ and v, where the population's axes have size 1."""

    z: Array
    deviation: Array
    mean: Array
    variance: Array


Where = Bool[Array, "..."] | None


def _kept(x: Array, where: Where) -> Array:
    return x if where is None else jnp.where(where, x, 0)


def count(over: Over, x: Array, where: Where = None) -> Array:
    """The number of entries of each population that count."""
    devices = 1 if over.axis_name is None else jax.lax.psum(1, over.axis_name)
    if where is None:
        return jnp.asarray(math.prod(x.shape[i] for i in over.axes) * devices, x.dtype)
    n = jnp.sum(jnp.broadcast_to(where, x.shape), over.axes, dtype=jnp.int32, keepdims=True)
    n = n if over.axis_name is None else jax.lax.psum(n, over.axis_name)
    return n.astype(x.dtype)


def mean(over: Over, x: Array, where: Where = None) -> Array:
    """⟨x⟩, and 0 where nothing counts."""
    total = jnp.sum(_kept(x, where), over.axes, keepdims=True)
    if over.axis_name is not None:
        total = jax.lax.psum(total, over.axis_name)
    return total / jnp.maximum(count(over, x, where), 1)


def _largest(over: Over, x: Array, initial: float) -> Array:
    m = jnp.max(x, over.axes, keepdims=True, initial=initial)
    return m if over.axis_name is None else jax.lax.pmax(m, over.axis_name)


def _origin(over: Over, x: Array, where: Where) -> Array:
    """Some entry of the population: from it, entries that are all alike have distance 0 exactly."""
    if where is None and all(x.shape[i] for i in over.axes):
        first = x[tuple(slice(1) if i in over.axes else slice(None) for i in range(x.ndim))]
        return first if over.axis_name is None else jax.lax.pmax(first, over.axis_name)
    m = _largest(over, x if where is None else jnp.where(where, x, -jnp.inf), -jnp.inf)
    return jnp.where(m == -jnp.inf, 0, m)


def _scale(over: Over, x: Array, epsilon: Array) -> Array:
    """The power of two next to the largest |x| or √ε: no rounding, and squares stay in range."""
    m, finfo = jnp.maximum(_largest(over, jnp.abs(x), 0), jnp.sqrt(epsilon)), jnp.finfo(x.dtype)
    power = jax.lax.reduce_precision(m, exponent_bits=finfo.nexp, mantissa_bits=0)
    return jnp.clip(power, 2.0**finfo.minexp, 2.0**-finfo.minexp)  # so is its inverse


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def standardized(
    over: Over, x: Float[Array, "..."], epsilon: Float[Array, ""], where: Where = None
) -> Standardized:
    """The entries of each population at mean 0 and variance v/(v + ε); z = 0 where masked.

    The mean is taken of distances from one of the entries, and what rounding leaves of it once
    more: so that the mean is right to the precision of the deviations, however large it is.
    """
    origin = _origin(over, x, where) if over.centred else jnp.zeros((), x.dtype)
    c = _kept(x - origin, where)
    scale = _scale(over, c, epsilon)
    c, shift = c * (1 / scale), jnp.zeros_like(scale)
    for _ in range(2 if over.centred else 0):
        step = mean(over, c, where)
        c, shift = _kept(c - step, where), shift + step
    square = mean(over, jnp.square(c), where)
    deviation = jnp.sqrt(square + epsilon / scale / scale)
    z = c * (1 / deviation)
    return Standardized(z, scale * deviation, origin + scale * shift, scale * (scale * square))


@standardized.defjvp
def _standardized_jvp(over: Over, primals: tuple, tangents: tuple) -> tuple:
    """In units of σ, where t = ẋ/σ and s = σ̇/σ = ⟨z t⟩ + ε̇/2σ²:  ż = t − ⟨t⟩ − s z.

    And μ̇ = σ ⟨t⟩, v̇ = 2σ² ⟨z t⟩. For a given ε the map from t to ż is symmetric: reverse mode is
    the same formula, with the division by σ at its end.
    """
    (x, epsilon, where), (x_dot, epsilon_dot, _) = primals, tangents
    found = standardized(over, x, epsilon, where)
    z, σ, μ, _ = found
    t = x_dot * (1 / σ)
    middle = mean(over, t, where) if over.centred else jnp.zeros_like(μ)
    along = mean(over, z * t, where)
    s = along + epsilon_dot / (2 * σ) / σ
    z_dot = _kept(t - middle - z * s, where)
    return found, Standardized(z_dot, σ * s, σ * middle, 2 * σ * (σ * along))
