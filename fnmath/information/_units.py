"""What is a distribution, and the unit of information: nats, or the logarithm of a base."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from fnmath import _checks


def known_base(function: str, base: Any) -> None:
    """Raise unless the base is None or one number above 1."""
    if base is not None:
        _checks.scalar(function, "base", base)
        _checks.number(function, "base", base, above=1)


def proper(p: Any, axes: tuple[int, ...] = (-1,)) -> jax.Array:
    """The probabilities, in single precision at least, and nan where they are no distribution."""
    dtype = jnp.result_type(p)
    p = jnp.asarray(p, jnp.promote_types(dtype, jnp.float32))
    off = jnp.abs(jnp.sum(p, axes, keepdims=True) - 1)
    known = (p >= 0).all(axes, keepdims=True) & (off <= float(jnp.finfo(dtype).eps) ** 0.5)
    return jnp.where(known, p, jnp.nan)


def in_base(nats: jax.Array, base: Any, like: Any) -> jax.Array:
    """Nats in units of the logarithm of the base, rounded to the dtype of what was given."""
    units = nats if base is None else nats / jnp.log(jnp.asarray(base, nats.dtype))
    return units.astype(jnp.result_type(like))
