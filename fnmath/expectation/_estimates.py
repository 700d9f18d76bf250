"""What every estimate of an expectation checks, and how its standard error is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks


class Estimate(NamedTuple):
    """An expectation, and the standard error of it: both of the shape of the function's values."""

    value: Float[Array, "*shape"]
    standard_error: Float[Array, "*shape"]


def values(function: str, argument: str, f: Callable[[Any], Any], points: Any) -> jax.Array:
    """The function at each point of the first axis; raise unless it gives floating arrays."""
    first = jax.eval_shape(lambda p: jax.tree.map(lambda a: a[0], p), points)
    one = jax.eval_shape(f, first)
    if not (hasattr(one, "dtype") and jnp.issubdtype(one.dtype, jnp.floating)):
        came = f"dtype {one.dtype}" if hasattr(one, "dtype") else f"a {type(one).__name__}"
        problem = f"{argument} gives {came}; wanted a floating-point array"
        _checks.fail(function, problem, error=TypeError)
    return jax.vmap(f)(points)


def estimate(x: jax.Array, *, cost: int = 1) -> Estimate:
    """The mean of independent numbers, and its standard error; ``cost`` degrees of freedom gone."""
    n = x.shape[0]
    mean = jnp.mean(x, 0)
    square = jnp.sum(jnp.square(x - mean), 0) / (n - cost) / n
    # The root has no slope at 0, which is where all numbers are alike.
    return Estimate(mean, jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), square))


def drawn(function: str, key: Any, sampler: Any, samples: Any, least: int = 2) -> Any:
    """So many draws of ``sampler(key)``, on a new first axis; the first check of its kind."""
    _checks.key(function, key)
    _checks.function(function, "sampler", sampler)
    _checks.size(function, minimum=least, samples=samples)
    return jax.vmap(sampler)(jax.random.split(key, samples))
