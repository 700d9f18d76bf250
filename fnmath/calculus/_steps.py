"""The steps of finite differences.

A step h along v is counted by the entry that moves furthest against its own size,

    reach = maxᵢ |vᵢ| / max(1, |xᵢ|)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from fnmath import _checks


def given_or(function: str, step: Any, default: Float[Array, ""]) -> Float[Array, ""]:
    """The step that was given, else the default, out of reach of differentiation."""
    if step is None:
        return default
    _checks.scalar(function, "step", step, above=0)
    return jax.lax.stop_gradient(jnp.asarray(step, default.dtype))


def bits(f: Callable[..., Any], x: PyTree) -> int:
    """The number of bits after the point, −log₂ ε, of the coarsest dtype in x and f(x)."""
    leaves = jax.tree.leaves((x, jax.eval_shape(f, x)))
    return min(int(jnp.finfo(leaf.dtype).nmant) for leaf in leaves)


def over_reach(exponent: int, x: PyTree, v: PyTree) -> Float[Array, ""]:
    """2ᵉ over the reach of v at x, rounded down to a power of 2, so that h v is exact."""
    x, v = jax.lax.stop_gradient((x, v))
    dtype = jnp.result_type(jnp.float32, *jax.tree.leaves(x))

    def reach(a: Array, b: Array) -> Array:
        return jnp.max(jnp.abs(b / jnp.maximum(1, jnp.abs(a))), initial=0).astype(dtype)

    furthest = jnp.max(jnp.stack(jax.tree.leaves(jax.tree.map(reach, x, v))))
    _, binary = jnp.frexp(1 / jnp.where(furthest > 0, furthest, 1))
    return jnp.ldexp(jnp.ones((), dtype), exponent + binary - 1)


def balanced(f: Callable[..., Any], x: PyTree, v: PyTree) -> Float[Array, ""]:
    """The step near ε^⅓ at which truncation and rounding of a central difference balance."""
    return over_reach(-(bits(f, x) // 3), x, v)
