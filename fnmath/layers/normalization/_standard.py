"""Entries less their mean over their deviation: the one computation of all the normalisations.

Notation: x are the entries of one population, μ their mean, v their variance about it, ε what is
added to it, σ = √(v + ε), z = (x − μ)/σ; ⟨·⟩ is the mean over the population. Without centring
μ = 0, and v is the mean square.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class Over(NamedTuple):
    """What makes up a population: ``axes`` of the array, and mapped axes around the call.

    With ``groups``, that many of the last axis, the channels of a group are one population; what
    is known of it stands at each of its channels.
    """

    axes: tuple[int, ...]
    axis_name: str | tuple[str, ...] | None = None
    centred: bool = True
    groups: int | None = None


class Standardized(NamedTuple):
    """The entries in the shape of x, and σ, μ and v, where the population's axes have size 1.

    The entries are z, or y = γ z + β.
    """

    entries: Array
    deviation: Array
    mean: Array
    variance: Array


Where = Bool[Array, "..."] | None


def _kept(x: Array, where: Where) -> Array:
    return x if where is None else jnp.where(where, x, 0)


_sum = functools.partial(jnp.sum, keepdims=True)


def _grouped(over: Over, reduction: Callable[..., Array], m: Array) -> Array:
    """What is known of channels, reduced once more over those of each group."""
    if over.groups is None:
        return m
    parts = jnp.reshape(m, (*m.shape[:-1], over.groups, m.shape[-1] // over.groups))
    return jnp.broadcast_to(reduction(parts, -1), parts.shape).reshape(m.shape)


def count(over: Over, x: Array, where: Where = None) -> Array:
    """The number of entries of each population that count."""
    devices = 1 if over.axis_name is None else jax.lax.psum(1, over.axis_name)
    if where is None:
        channels = 1 if over.groups is None else x.shape[-1] // over.groups
        size = math.prod(x.shape[i] for i in over.axes) * channels
        return jnp.asarray(size * devices, x.dtype)
    n = jnp.sum(jnp.broadcast_to(where, x.shape), over.axes, dtype=jnp.int32, keepdims=True)
    n = _grouped(over, _sum, n)
    n = n if over.axis_name is None else jax.lax.psum(n, over.axis_name)
    return n.astype(x.dtype)


def mean(over: Over, x: Array, where: Where = None) -> Array:
    """⟨x⟩, and 0 where nothing counts."""
    total = _grouped(over, _sum, _sum(_kept(x, where), over.axes))
    if over.axis_name is not None:
        total = jax.lax.psum(total, over.axis_name)
    return total / jnp.maximum(count(over, x, where), 1)


def _first(x: Array, axes: int | tuple[int, ...]) -> Array:
    for i in (axes,) if isinstance(axes, int) else axes:
        x = jax.lax.slice_in_dim(x, 0, 1, axis=i)
    return x


def _largest(over: Over, x: Array, initial: float) -> Array:
    largest = functools.partial(jnp.max, keepdims=True, initial=initial)
    m = _grouped(over, largest, largest(x, over.axes))
    return m if over.axis_name is None else jax.lax.pmax(m, over.axis_name)


def _origin(over: Over, x: Array, where: Where) -> Array:
    """Some entry of the population: from it, entries that are all alike have distance 0 exactly."""
    if where is None and x.size:
        first = _grouped(over, _first, _first(x, over.axes))
        return first if over.axis_name is None else jax.lax.pmax(first, over.axis_name)
    m = _largest(over, x if where is None else jnp.where(where, x, -jnp.inf), -jnp.inf)
    return jnp.where(m == -jnp.inf, 0, m)


def _scale(over: Over, x: Array, epsilon: Array) -> Array:
    """The power of two next to the largest |x| or √ε: no rounding, and squares stay in range."""
    m, finfo = jnp.maximum(_largest(over, jnp.abs(x), 0), jnp.sqrt(epsilon)), jnp.finfo(x.dtype)
    power = jax.lax.reduce_precision(m, exponent_bits=finfo.nexp, mantissa_bits=0)
    return jnp.clip(power, 2.0**finfo.minexp, 2.0**-finfo.minexp)  # so is its inverse


class _Moments(NamedTuple):
    """Of c = (x − origin)/scale − shift, the mean ``rest`` and the variance ``square``."""

    origin: Array
    scale: Array
    shift: Array
    rest: Array
    square: Array

    def distances(self, x: Array, where: Where) -> Array:
        """The entries c."""
        return _kept((x - self.origin) * (1 / self.scale) - self.shift, where)


def _measured(
    over: Over, x: Array, where: Where, origin: Array, scale: Array, shift: Array
) -> _Moments:
    """The moments about a middle that is near: so ⟨c²⟩ − ⟨c⟩² does not cancel."""
    found = _Moments(origin, scale, shift, jnp.zeros_like(scale), scale)
    c = found.distances(x, where)
    rest = mean(over, c, where) if over.centred else found.rest
    return found._replace(rest=rest, square=mean(over, jnp.square(c), where) - jnp.square(rest))


def _quick(over: Over, x: Array, where: Where) -> _Moments:
    """From the mean as it is rounded, and unscaled."""
    middle = mean(over, x, where)
    middle = jax.lax.optimization_barrier(middle if over.centred else jnp.zeros_like(middle))
    return _measured(over, x, where, middle, jnp.ones_like(middle), jnp.zeros_like(middle))


def _careful(over: Over, x: Array, epsilon: Array, where: Where) -> _Moments:
    """From the mean of the distances to one of the entries, in units in which squares stay finite.

    The barriers keep XLA from holding the distances in memory, and from forming what is known of a
    population at each entry.
    """
    origin = _origin(over, x, where) if over.centred else jnp.zeros((), x.dtype)
    scale = jax.lax.optimization_barrier(_scale(over, _kept(x - origin, where), epsilon))
    origin, shift = jnp.broadcast_to(origin, scale.shape), jnp.zeros_like(scale)
    if over.centred:
        c = _Moments(origin, scale, shift, shift, shift).distances(x, where)
        shift = jax.lax.optimization_barrier(mean(over, c, where))
    return _measured(over, x, where, origin, scale, shift)


class _Map(NamedTuple):
    """What takes an entry to z = ((x − origin) unit − shift − rest) inverse, and what is known."""

    origin: Array
    unit: Array
    shift: Array
    rest: Array
    inverse: Array
    deviation: Array
    mean: Array
    variance: Array

    def entries(self, x: Array, where: Where) -> Array:
        distances = (x - self.origin) * self.unit - self.shift - self.rest
        return _kept(distances, where) * self.inverse


def _map(found: _Moments, epsilon: Array) -> _Map:
    origin, scale, shift, rest, square = found
    unit = jax.lax.optimization_barrier(1 / scale)  # XLA divides by scale² otherwise, which is 0
    deviation = jnp.sqrt(square + epsilon * unit * unit)
    rest, inverse = jax.lax.optimization_barrier((rest, 1 / deviation))
    known = scale * deviation, origin + scale * (shift + rest), scale * (scale * square)
    return _Map(origin, unit, shift, rest, inverse, *known)


def _quick_or_careful(over: Over, x: Array, epsilon: Array, where: Where) -> _Map:
    """For a CPU, where passes over memory are what costs, and a choice costs nothing.

    What comes out of a branch is in memory: so XLA does not form it again at each entry.
    """
    quick = _quick(over, x, where)
    enough = _enough(quick, epsilon)

    def mixed() -> _Map:  # so that a population's numbers do not depend on the others
        careful = _careful(over, x, epsilon, where)
        both = zip(quick, careful, strict=True)
        return _map(_Moments(*(jnp.where(enough, *pair) for pair in both)), epsilon)

    return jax.lax.cond(_for_all(jnp.all(enough)), lambda: _map(quick, epsilon), mixed)


def _with_care(over: Over, x: Array, epsilon: Array, where: Where) -> _Map:
    return _map(_careful(over, x, epsilon, where), epsilon)


def _enough(found: _Moments, epsilon: Array) -> Array:
    """Of each population, whether no square has left the range, and its mean was near enough."""
    total, finfo = found.square + epsilon, jnp.finfo(found.square.dtype)
    near = jnp.square(found.rest) <= 2.0**-12 * total
    return near & (total >= 2.0 ** (finfo.minexp // 2)) & (total < jnp.inf)


@jax.custom_batching.custom_vmap
def _for_all(yes: Array) -> Array:
    """The same; for a batch of answers whether all of them are yes, so that a cond stays one."""
    return yes


@_for_all.def_vmap
def _for_all_of_a_batch(size: int, batched: list[bool], yes: Array) -> tuple[Array, bool]:
    return _for_all(jnp.all(yes)), False


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def standardized(
    over: Over, x: Float[Array, "..."], epsilon: Float[Array, ""], where: Where = None
) -> Standardized:
    """The entries of each population at mean 0 and variance v/(v + ε); z = 0 where masked.

    What rounding leaves of the mean is taken once more, of distances from it: so the mean is right
    to the precision of the deviations. Where entries lie so far from 0, or are so large or small,
    that the first mean or the squares lose too much, all is done again with more care.
    """
    if over.axis_name is None:  # else devices would have to agree on a way
        found = jax.lax.platform_dependent(
            x,
            epsilon,
            where,
            cpu=functools.partial(_quick_or_careful, over),
            default=functools.partial(_with_care, over),
        )
    else:
        found = _with_care(over, x, epsilon, where)
    return Standardized(found.entries(x, where), found.deviation, found.mean, found.variance)


class _Slopes(NamedTuple):
    """In units of σ: the tangent t of x, its mean ⟨t⟩, ⟨z t⟩, and that of σ itself, s."""

    entries: Array
    middle: Array
    along: Array
    deviation: Array

    def of_statistics(self, σ: Array) -> tuple[Array, Array, Array]:
        """The tangents of σ, μ and v."""
        return σ * self.deviation, σ * self.middle, 2 * σ * (σ * self.along)


def _slopes(over: Over, found: Standardized, dots: tuple, where: Where) -> _Slopes:
    (x_dot, epsilon_dot), z, σ = dots, found.entries, found.deviation
    t = x_dot * (1 / σ)
    middle = mean(over, t, where) if over.centred else jnp.zeros_like(found.mean)
    along = mean(over, z * t, where)
    return _Slopes(t, middle, along, along + epsilon_dot / (2 * σ) / σ)


@standardized.defjvp
def _standardized_jvp(over: Over, primals: tuple, tangents: tuple) -> tuple:
    """In units of σ, where t = ẋ/σ and s = σ̇/σ = ⟨z t⟩ + ε̇/2σ²:  ż = t − ⟨t⟩ − s z.

    And μ̇ = σ ⟨t⟩, v̇ = 2σ² ⟨z t⟩. For a given ε the map from t to ż is symmetric: reverse mode is
    the same formula, with the division by σ at its end.
    """
    x, epsilon, where = primals
    found = standardized(over, x, epsilon, where)
    slopes = _slopes(over, found, tangents[:2], where)
    z_dot = slopes.entries - slopes.middle - found.entries * slopes.deviation
    return found, Standardized(_kept(z_dot, where), *slopes.of_statistics(found.deviation))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def normalized(
    over: Over,
    x: Float[Array, "..."],
    epsilon: Float[Array, ""],
    scale: Float[Array, "..."] | None,
    bias: Float[Array, "..."] | None,
    where: Where = None,
) -> Standardized:
    """The entries y = γ z + β, 0 where masked, and what ``standardized`` knows of the rest."""
    return _affine(standardized(over, x, epsilon, where), scale, bias, where)


def _affine(found: Standardized, scale: Any, bias: Any, where: Where) -> Standardized:
    y = found.entries if scale is None else found.entries * scale
    y = y if bias is None else y + bias
    return found._replace(entries=_kept(y, where))


@normalized.defjvp
def _normalized_jvp(over: Over, primals: tuple, tangents: tuple) -> tuple:
    """As that of z, but what is one number for many entries is put together before it meets them.

        ẏ = γ t + z (γ̇ − γ s) + (β̇ − γ ⟨t⟩)

    Where a population has one γ, reverse mode then takes the sums of ȳ and of z ȳ once, for x̄, γ̄
    and β̄ alike. Where γ is another for each entry, those for γ̄ are other sums of the same products:
    a barrier lets XLA form the products twice, which costs less than to hold them in memory.
    """
    (x, epsilon, scale, bias, where), (*dots, scale_dot, bias_dot, _) = primals, tangents
    found = standardized(over, x, epsilon, where)
    slopes = _slopes(over, found, tuple(dots), where)
    γ = jnp.ones((), x.dtype) if scale is None else scale
    scale_dot = 0 if scale is None else scale_dot
    bias_dot = 0 if bias is None else bias_dot
    z, each = found.entries, x.ndim - 1 in over.axes
    if each:
        z_again, γ = jax.lax.optimization_barrier((z, γ))
        y_dot = γ * (slopes.entries - slopes.middle - z * slopes.deviation)
        y_dot += z_again * scale_dot + bias_dot
    else:
        by_z = scale_dot - γ * slopes.deviation
        y_dot = γ * slopes.entries + z * by_z + (bias_dot - γ * slopes.middle)
    y_dot = _kept(y_dot, where)
    dot = Standardized(y_dot, *slopes.of_statistics(found.deviation))
    return _affine(found, scale, bias, where), dot
