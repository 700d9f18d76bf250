"""What metrics of a whole set of examples share: masks, yes-or-no labels, and groups of equals."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fnmath import _checks


def wide(x: Any) -> Array:
    """The array in single precision at least."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def counted(function: str, name: str, x: Any, where: Any) -> Bool[Array, "..."]:
    """Which entries count: all of them unless a mask says otherwise."""
    if where is None:
        return jnp.ones(jnp.shape(x), bool)
    _checks.mask(function, "where", where, **{name: x})
    return jnp.broadcast_to(where, jnp.shape(x))


def binary(function: str, labels: Any) -> None:
    """Raise ``TypeError`` unless the labels are booleans or integers."""
    _checks.array(function, "labels", labels)
    dtype = jnp.result_type(labels)
    if dtype != jnp.bool_ and not jnp.issubdtype(dtype, jnp.integer):
        problem = f"labels has dtype {dtype}; wanted bool or an integer dtype"
        _checks.fail(function, problem, "labels.astype(jnp.int32)", error=TypeError)


def steps(kind: Bool[Array, "..."], changed: Bool[Array, "..."]) -> tuple[Array, Array]:
    """How many of a kind come before each entry and its equals, and how many before their end.

    The entries are sorted along the last axis; ``changed`` says which differ from the one before.
    """
    axis, upto = kind.ndim - 1, jnp.cumsum(kind, -1, dtype=jnp.int32)
    before = jax.lax.cummax(jnp.where(changed, upto - kind, 0), axis=axis)
    last = jnp.concatenate([changed[..., 1:], jnp.ones_like(changed[..., :1])], -1)
    never_more = jnp.iinfo(jnp.int32).max
    return before, jax.lax.cummin(jnp.where(last, upto, never_more), axis=axis, reverse=True)


def changes(x: Array) -> Bool[Array, "..."]:
    """Which of the sorted entries differ from the one before; the first does."""
    return jnp.concatenate([jnp.ones_like(x[..., :1], bool), x[..., 1:] != x[..., :-1]], -1)


def quotient(a: Array, b: Array) -> Float[Array, "..."]:
    """The quotient of two counts in JAX's default precision."""
    return a.astype(float) / b.astype(float)


def defined_mean(
    scores: Float[Array, "*batch classes"], weights: Float[Array, "*batch classes"]
) -> Float[Array, "*batch"]:
    """The weighted mean of the scores that are not nan, and nan where there is none."""
    weights = jnp.where(jnp.isnan(scores), 0, weights)
    total = jnp.sum(jnp.where(weights == 0, 0, weights * scores), -1)
    return total / jnp.sum(weights, -1)
