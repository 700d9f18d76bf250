"""Samples and their weights: what every statistic checks, and how it keeps its digits.

Notation: xᵢ are the n numbers of a sample, wᵢ ≥ 0 their weights, pᵢ = wᵢ/Σⱼ wⱼ their shares, 1/n
without weights.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnmath import _checks

Axis = int | tuple[int, ...] | None


def wide(x: Any) -> jax.Array:
    """The array in single precision at least."""
    return jnp.asarray(x, jnp.promote_types(jnp.result_type(x), jnp.float32))


def unit(x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """A power of two near the largest |xᵢ|, which divides without rounding; no derivative.

    It stays where its inverse, by which XLA multiplies, is a normal number too.
    """
    largest = jnp.max(jnp.abs(jax.lax.stop_gradient(x)), axes, keepdims=True, initial=0)
    usual = (largest > 0) & (largest < jnp.inf)
    _, exponent = jnp.frexp(jnp.where(usual, largest, 1))
    most = jnp.finfo(x.dtype).maxexp - 3
    return jnp.ldexp(jnp.ones_like(largest), jnp.clip(exponent, -most, most))


class Shares(NamedTuple):
    """The shares of a sample's entries: an array that sums to 1, or 1/n each where it is None."""

    p: jax.Array | None
    axes: tuple[int, ...]
    n: int

    def mean(self, values: jax.Array) -> jax.Array:
        """The mean under the shares, its axes kept."""
        if self.p is None:
            return jnp.sum(values, self.axes, keepdims=True) / self.n
        return jnp.sum(self.p * values, self.axes, keepdims=True)

    def freedom(self, ddof: Any) -> Any:
        """The share of the degrees of freedom that is left, 1 − ddof Σᵢ pᵢ²; nan where none is."""
        if self.p is None:
            left = (self.n - ddof) / self.n
            return jnp.where(left > 0, left, jnp.nan) if isinstance(left, jax.Array) else left
        left = 1 - ddof * jnp.sum(jnp.square(self.p), self.axes, keepdims=True)
        return jnp.where(left > 0, left, jnp.nan)

    def estimate(self, values: jax.Array, ddof: Any) -> jax.Array:
        """The mean over the share of the degrees of freedom that is left, with one rounding."""
        if self.p is None:
            left = self.n * self.freedom(ddof) if isinstance(ddof, jax.Array) else self.n - ddof
            return jnp.sum(values, self.axes, keepdims=True) / left
        return self.mean(values) / self.freedom(ddof)


def shares(w: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """The weights over their sum; nan where one is negative or their sum is 0."""
    w = jnp.where(w >= 0, w, jnp.nan) / unit(w, axes)
    return w / jnp.sum(w, axes, keepdims=True)


def weights_fit(function: str, weights: Any, x: Any) -> None:
    """Raise unless the weights are floating-point and broadcast to the shape of x."""
    _checks.floating(function, weights=weights)
    came, wanted = jnp.shape(weights), jnp.shape(x)
    if came and came == wanted[:1] and len(wanted) > 1 and wanted[-1] != came[0]:
        problem = f"weights {came} must broadcast to x {wanted}"
        _checks.fail(function, problem, f"weights[:{', None' * (len(wanted) - 1)}]")
    _checks.broadcasts_to(function, "weights", weights, "x", x)


def sample(
    function: str, x: Any, weights: Any, axis: Axis, least: int = 1
) -> tuple[jax.Array, Shares]:
    """The numbers, in single precision at least, and their shares; raise where they are too few."""
    _checks.floating(function, x=x)
    axes = _checks.axes(function, axis, x)
    n = math.prod(jnp.shape(x)[i] for i in axes)
    if n < least:
        entries = f"{n} entr{'y' if n == 1 else 'ies'} along axis {axis}"
        _checks.fail(function, f"x {jnp.shape(x)} has {entries}; wanted at least {least}")
    if weights is None:
        return wide(x), Shares(None, axes, n)
    weights_fit(function, weights, x)
    x, w = wide(x), jnp.broadcast_to(wide(weights), jnp.shape(x))
    return x, Shares(shares(w, axes), axes, n)


def least_entries(function: str, ddof: Any) -> int:
    """How many numbers it takes for more than ``ddof`` degrees of freedom; check ``ddof`` too."""
    _checks.scalar(function, "ddof", ddof, above=0, closed="[")
    return 1 if isinstance(ddof, jax.Array) else math.floor(ddof) + 1


class Centred(NamedTuple):
    """A sample about its mean: m + δᵢ, all in units of a power of two."""

    mean: jax.Array
    deviations: jax.Array
    unit: jax.Array


def centred(x: jax.Array, of: Shares) -> Centred:
    """The mean and the deviations from it, accurate however far the mean lies from 0.

    A first mean, rounded and held constant, is subtracted without rounding from all that is near
    it. The mean of what is left corrects it, and carries the derivatives.
    """
    scale = unit(x, of.axes)
    y = x / scale
    pilot = jax.lax.stop_gradient(of.mean(y))
    d = y - pilot
    rest = of.mean(d)
    return Centred(jnp.where(jnp.isfinite(pilot), pilot + rest, pilot), d - rest, scale)
