"""Families made of families: what has the functions of a family, and where a function counts.

Notation: f is an elementwise function of arrays of one shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from fnmath import _checks
from fnmath.numerics import with_derivatives

Elementwise = Callable[..., jax.Array]
INTEGRALS = ("cdf", "logcdf", "sf", "logsf")


class Family(NamedTuple):
    """The functions of a family that is made of others, of x, q or a key and then parameters."""

    pdf: Elementwise
    logpdf: Elementwise
    cdf: Elementwise
    logcdf: Elementwise
    sf: Elementwise
    logsf: Elementwise
    ppf: Elementwise
    isf: Elementwise
    sample: Elementwise


def member(function: str, family: Any, name: str, argument: str = "family") -> Elementwise:
    """The function of that name of a family; anything that has it is one."""
    is_array = isinstance(family, jax.Array | np.ndarray)
    found: Any = None if is_array else getattr(family, name, None)
    if not callable(found):
        came = getattr(family, "__name__", f"a {type(family).__name__}")
        problem = f"{argument} is {came}, which has no function {name}"
        wanted = "wanted one such as fnmath.probability.normal"
        _checks.fail(function, f"{problem}; {wanted}", error=TypeError)
    return cast("Elementwise", found)


def slope(f: Elementwise, i: int) -> Elementwise:
    """The partial derivative of f by its i-th argument."""

    def by(*args: jax.Array) -> jax.Array:
        one = (jnp.ones_like(args[i]),)
        return jax.jvp(lambda t: f(*args[:i], t, *args[i + 1 :]), args[i : i + 1], one)[1]

    return by


def gated(f: Elementwise, count: int) -> Elementwise:
    """F of ``count`` arrays where the first argument is True, else 0, with all derivatives 0.

    In reverse mode too, where a 0 that comes back would meet the infinite slope of f.
    """

    def partial(i: int) -> Elementwise:
        return lambda counts, *args: gated(slope(f, i), count)(counts, *args)

    @with_derivatives(None, *map(partial, range(count)))
    def function(*args: jax.Array) -> jax.Array:
        counts, *others = args
        return jnp.where(counts, f(*others), 0)

    return function
