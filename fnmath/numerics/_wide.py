"""Half precision bears few roundings: compute in single, and round once."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp


def computed_wide(f: Callable[..., jax.Array], *arrays: jax.typing.ArrayLike) -> jax.Array:
    """F in single precision at least, rounded once to the precision of its arguments."""
    dtype = jnp.result_type(*arrays)
    wide = jnp.promote_types(dtype, jnp.float32)
    return f(*(jnp.asarray(x, wide) for x in arrays)).astype(dtype)
