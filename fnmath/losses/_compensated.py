"""Sums, scalar products and projections that stay right where they cancel, with derivatives.

Notation: σ is a power of two above a sum of products; a number is split into a head of half its
digits and a tail, as in ``fnmath.numerics._pairs``, so that the product of any two halves is exact.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from fnmath.numerics import with_derivatives
from fnmath.numerics._pairs import halves, product, total

# The bits that hold the exponent of a float of 4 or 8 bytes.
_EXPONENT = {4: np.uint32(0x7F800000), 8: np.uint64(0x7FF0000000000000)}


def _one(x: Array, y: Array, z: Array) -> Array:
    return jnp.ones_like(x + y + z)


@with_derivatives(_one, _one, _one)
def sum_of_three(x: Array, y: Array, z: Array) -> Array:
    """The sum x + y + z, as if in twice the precision."""
    return total(x, y, z)


def _one_of_four(x: Array, y: Array, z: Array, w: Array) -> Array:
    return jnp.ones_like(x + y + z + w)


@with_derivatives(*[_one_of_four] * 4)
def sum_of_four(x: Array, y: Array, z: Array, w: Array) -> Array:
    """The sum x + y + z + w, as if in twice the precision."""
    return total(x, y, z, w)


@with_derivatives(lambda x: jnp.where(jnp.isnan(x), x, (x > 0).astype(x.dtype)))
def positive_part(x: Array) -> Array:
    """The larger of x and 0, with the derivative 0 at 0."""
    return jnp.maximum(x, 0)


def _power_below(x: Array) -> Array:
    """The largest power of two up to x ≥ 0; 0 for what is not a normal number."""
    exponent = _EXPONENT[x.dtype.itemsize]
    bits = jax.lax.bitcast_convert_type(x, exponent.dtype) & exponent
    return jax.lax.bitcast_convert_type(bits, x.dtype)


def power_of_two(x: Array, axis: tuple[int, ...]) -> Array:
    """The power of two up to the largest |xᵢ| along the axes, which are kept; 1 where all are 0.

    To divide by it is exact, and puts that entry between 1 and 2.
    """
    largest = jnp.max(jnp.abs(jax.lax.stop_gradient(x)), axis, keepdims=True, initial=0)
    power = _power_below(largest)
    return jnp.where(power == 0, 1, power)


def _cut(large: Array, small: Array, bound: Array, axis: tuple[int, ...]) -> tuple[Array, Array]:
    """Σᵢ (large + small)ᵢ in two parts, for Σᵢ |largeᵢ| up to the bound.

    The first numbers are cut at the last place of σ > 2 times the bound: what stands above the cut
    is summed exactly, what stands below is small.
    """
    sigma = 4 * _power_below(bound)
    above = (sigma + large) - sigma
    below = (large - above) + small
    return jnp.sum(above, axis, keepdims=True), jnp.sum(below, axis, keepdims=True)


def sum_of_squares(x: Array, rounding: Array, axis: tuple[int, ...]) -> tuple[Array, Array]:
    """Σᵢ (x + rounding)ᵢ² of numbers below 2 in size, in two parts; not to be differentiated."""
    large, small = product(x, x)
    bound = jnp.sum(x * x, axis, keepdims=True)
    return _cut(large, small + 2 * x * rounding, bound, axis)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def dot(x: Array, y: Array, axis: tuple[int, ...]) -> Array:
    """Σᵢ xᵢ yᵢ of numbers below 2 in size, carried to half as many digits again as they have.

    The product of two heads is exact, and ‖x‖ ‖y‖ bounds the sum of their sizes.
    """
    large, small = product(x, y)
    squares = jnp.sum(x * x, axis, keepdims=True) * jnp.sum(y * y, axis, keepdims=True)
    above, below = _cut(large, small, jnp.sqrt(squares), axis)
    return above + below


@dot.defjvp
def _dot_jvp(axis: tuple[int, ...], primals: tuple, tangents: tuple) -> tuple:
    (x, y), (x_dot, y_dot) = primals, tangents
    return dot(x, y, axis), jnp.sum(x * y_dot + y * x_dot, axis, keepdims=True)


def _rejected(x: Array, y: Array, axis: tuple[int, ...]) -> Array:
    squares = jnp.sum(y * y, axis, keepdims=True)
    return x - (jnp.sum(x * y, axis, keepdims=True) / jnp.where(squares == 0, 1, squares)) * y


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def rejection(x: Array, y: Array, axis: tuple[int, ...]) -> Array:
    """The part of x perpendicular to y, x − (x·y / y·y) y, right though it is small; x where y = 0.

    The coefficient c is rounded, the product c y is not: its four parts are subtracted one by one,
    the largest first, which is exact where it cancels. A second projection takes the rest of c.
    """
    squares = jnp.sum(y * y, axis, keepdims=True)
    c = jnp.sum(x * y, axis, keepdims=True) / jnp.where(squares == 0, 1, squares)
    (c_head, c_tail), (y_head, y_tail) = halves(c), halves(y)
    once = ((x - c_head * y_head) - c_head * y_tail) - c_tail * y_head
    return _rejected(once - c_tail * y_tail, y, axis)


@rejection.defjvp
def _rejection_jvp(axis: tuple[int, ...], primals: tuple, tangents: tuple) -> tuple:
    _, tangent = jax.jvp(lambda x, y: _rejected(x, y, axis), primals, tangents)
    return rejection(*primals, axis), tangent
