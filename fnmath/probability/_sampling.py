"""Samples as quantiles of uniform numbers, as fine in both tails as in the middle.

A uniform number in [0, 1) of 24 bits has no neighbour of 0 but 2⁻²⁴, and none of 1: as a quantile
of a normal distribution it never leaves ±5.4. So a fair coin chooses the half, and within it the
probability p of the tail beyond is a floating-point number of all its digits, whatever its size.

Source: Downey, Generating pseudo-random floating-point values (2007).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnmath import _checks
from fnmath.numerics._once import unforeseen
from fnmath.numerics._wide import computed_wide
from fnmath.probability._numbers import Function


def halves(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> tuple[jax.Array, jax.Array]:
    """Whether the lower half is meant, and p, uniform in (0, ½), down to 2⁻³⁴ or 2⁻⁶⁶."""
    finfo = jnp.finfo(dtype)
    unsigned = jnp.uint64 if finfo.bits == 64 else jnp.uint32
    first, second = (jax.random.bits(k, shape, unsigned) for k in jax.random.split(key))
    digits = (first >> (finfo.bits - finfo.nmant)).astype(dtype) * float(finfo.eps)
    exponent = -2 - jax.lax.clz(second).astype(jnp.int32)
    return (first & 1) == 1, jnp.ldexp(1 + digits, exponent)


def drawn(
    function: str, key: jax.Array, ppf: Function, isf: Function, shape: Any, **parameters: Any
) -> jax.Array:
    """Samples in the shape, by default that of the parameters; differentiable in these."""
    _checks.key(function, key)
    _checks.real(function, **parameters)
    _checks.broadcastable(function, **parameters)
    shape = target_shape(function, shape, **parameters)
    dtype = jnp.result_type(*parameters.values(), 1.0)
    lower, p = halves(key, shape, jnp.promote_types(dtype, jnp.float32))
    arrays = unforeseen(*(jnp.asarray(a, dtype) for a in parameters.values()))

    def quantiles(*of: jax.Array) -> jax.Array:
        return jnp.where(lower, ppf(p, *of), isf(p, *of))

    return computed_wide(quantiles, *arrays)


def uniform_below(
    function: str, key: jax.Array, shape: Any, known: Callable[..., jax.Array], **parameters: Any
) -> jax.Array:
    """1 where a uniform number is below the parameter, else 0; nan where it is not known."""
    _checks.key(function, key)
    _checks.real(function, **parameters)
    shape = target_shape(function, shape, **parameters)
    dtype = jnp.result_type(*parameters.values(), 1.0)
    lower, tail = halves(key, shape, jnp.promote_types(dtype, jnp.float32))

    def chosen(p: jax.Array) -> jax.Array:
        p = jax.lax.stop_gradient(p)
        below = jnp.where(lower, tail < p, tail > 1 - p)
        return jnp.where(known(p), below, jnp.nan).astype(p.dtype)

    return computed_wide(chosen, *(jnp.asarray(a, dtype) for a in parameters.values()))


def target_shape(function: str, shape: Any, **parameters: Any) -> tuple[int, ...]:
    """The shape asked for, to which the parameters must broadcast; theirs where None is."""
    common = jnp.broadcast_shapes(*(jnp.shape(a) for a in parameters.values()))
    if shape is None:
        return common
    shape = (shape,) if isinstance(shape, int) else shape
    if not isinstance(shape, tuple):
        problem = f"shape is {shape!r}; wanted a tuple of integers"
        _checks.fail(function, problem, error=TypeError)
    for i, n in enumerate(shape):
        _checks.size(function, minimum=0, **{f"shape[{i}]": n})
    for name, a in parameters.items():
        _checks.broadcasts_to(function, name, a, "shape", np.broadcast_to(0.0, shape))
    return shape
