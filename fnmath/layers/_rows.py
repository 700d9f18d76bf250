"""Rows of a table, for embeddings of tokens and of positions."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer


def rows_of(
    table: Float[Array, "rows features"], places: Integer[Any, "*batch"], known: Bool[Any, "*batch"]
) -> Float[Array, "*batch features"]:
    """The rows at the places that are known, and nan at the others.

    Half precision is looked up in float32, so that its cotangents are added up in float32.
    """
    wide = table.astype(jnp.promote_types(table.dtype, jnp.float32))
    places = jnp.where(known, places, 0).astype(jnp.int32)
    rows = wide.at[places].get(mode="promise_in_bounds", wrap_negative_indices=False)
    return jnp.where(known[..., None], rows, jnp.nan).astype(table.dtype)
