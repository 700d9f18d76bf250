"""The rules of reverse mode that the docstrings give, against JAX in both modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np


def normal(i: int, *shape: int, dtype: Any = None) -> jax.Array:
    """The i-th array of this shape with standard normal entries (NumPy's: nothing to compile)."""
    draw = np.random.default_rng(i).standard_normal
    dtype = jax.dtypes.canonicalize_dtype(dtype or float)
    entries = draw(shape) + (1j * draw(shape) if jnp.issubdtype(dtype, complex) else 0)
    return jnp.asarray(entries, dtype)


def assert_cotangents(
    f: Callable[..., jax.Array], rule: Callable[..., tuple], *args: jax.Array
) -> None:
    """``rule(ȳ, *args)`` is what ``f`` carries back, in every mode and to second order.

    Reverse mode gives the rule itself; forward mode carries ẋ on so that ⟨ȳ, ẏ⟩ = ⟨x̄, ẋ⟩ (of
    complex arrays the real parts, nothing conjugated); the derivative of the rule along ẋ is that
    of reverse mode. Two programs are compiled for all of it. Call it in float64.
    """
    y = jax.eval_shape(f, *args)
    ybar = normal(100, *y.shape, dtype=y.dtype)
    tangents = tuple(normal(200 + i, *a.shape, dtype=a.dtype) for i, a in enumerate(args))

    def reverse(*args: jax.Array) -> tuple:
        return jax.vjp(f, *args)[1](ybar)

    def closed_form(*args: jax.Array) -> tuple:
        return rule(ybar, *args)

    @jax.jit
    def derivatives(*args: jax.Array) -> dict[str, tuple]:
        forward = jax.jvp(f, args, tangents)[1]
        first, second = jax.jvp(reverse, args, tangents)
        return {"first": first, "second": second, "paired": (jnp.sum(ybar * forward).real,)}

    @jax.jit
    def expected(*args: jax.Array) -> dict[str, tuple]:
        first, second = jax.jvp(closed_form, args, tangents)
        paired = sum(jnp.sum(a * b) for a, b in zip(first, tangents, strict=True))
        return {"first": first, "second": second, "paired": (jnp.real(paired),)}

    chex.assert_trees_all_close(derivatives(*args), expected(*args), rtol=1e-11, atol=1e-12)
