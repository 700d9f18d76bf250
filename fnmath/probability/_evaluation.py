"""How a function of a distribution takes its arguments: real, broadcast, in one precision."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnmath import _checks
from fnmath.numerics import with_derivatives
from fnmath.probability._families import evaluated
from fnmath.probability._sampling import target_shape


def floating_dtype(*arrays: Any) -> jnp.dtype:
    """The floating dtype of the arrays together: integers have none of their own."""
    dtype = jnp.result_type(*arrays)
    return dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)


def _nothing(known: jax.Array, argument: jax.Array) -> jax.Array:
    return jnp.where(known, 0, jnp.nan).astype(argument.dtype)


@with_derivatives(None, _nothing)
def _meant(known: jax.Array, argument: jax.Array) -> jax.Array:
    """0 where the argument has a meaning, nan elsewhere; and so is the derivative."""
    return _nothing(known, argument)


def where_known(known: jax.Array, value: jax.Array, *arguments: jax.Array) -> jax.Array:
    """The value where it has a meaning, elsewhere nan, and so are its derivatives.

    By the arguments, too, in whose place the value was found at others where they have none.
    """
    value = value * jnp.where(known, 1, jnp.nan).astype(value.dtype)
    return functools.reduce(lambda y, argument: y + _meant(known, argument), arguments, value)


def sample_shape(function: str, shape: Any, **parameters: Any) -> tuple[int, ...]:
    """The shape asked for, or that of the parameters, which must broadcast to it."""
    _checks.real(function, **parameters)
    _checks.broadcastable(function, **parameters)
    return target_shape(function, shape, **parameters)


def score_of(
    function: str, log_density: Callable[..., jax.Array], which: tuple[int, ...], **arguments: Any
) -> jax.Array:
    """The derivatives of the logarithm of a density by some of its arguments, on a last axis."""

    def by(i: int) -> Callable[..., jax.Array]:
        def slope(*arrays: jax.Array) -> jax.Array:
            one = jnp.ones_like(arrays[i])
            return jax.jvp(
                lambda t: log_density(*arrays[:i], t, *arrays[i + 1 :]), arrays[i : i + 1], (one,)
            )[1]

        return slope

    return jnp.stack([evaluated(function, by(i), **arguments) for i in which], -1)


def symmetric(*rows: tuple[jax.Array, ...]) -> jax.Array:
    """The symmetric matrices, on two new last axes, of the rows of their upper triangles."""
    n = len(rows)
    full = [[rows[min(i, j)][abs(i - j)] for j in range(n)] for i in range(n)]
    return jnp.stack([jnp.stack(row, -1) for row in full], -2)


def observations(function: str, weights: Any, **arrays: Any) -> tuple[jax.Array, ...]:
    """The observations in one precision, and their weights, which sum to 1 on the last axis."""
    given = arrays if weights is None else arrays | {"weights": weights}
    _checks.real(function, **given)
    _checks.broadcastable(function, **given)
    dtype = jnp.promote_types(floating_dtype(*given.values()), jnp.float32)
    x = jnp.broadcast_arrays(*(jnp.asarray(x, dtype) for x in given.values()))
    for name in list(arrays)[:1]:
        _checks.rank(function, name, x[0], "samples")
    w = jnp.ones_like(x[0]) if weights is None else x[-1]
    w = jnp.where(w >= 0, w, jnp.nan)
    return *x[: len(arrays)], w / jnp.sum(w, -1, keepdims=True)
