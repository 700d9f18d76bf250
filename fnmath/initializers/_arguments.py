"""What the initialisers check about their arguments, in the name of the function called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks

Shape = tuple[int, ...] | list[int]
Axes = int | Sequence[int]
DType = Any


@runtime_checkable
class Initializer(Protocol):
    """What draws the parameters of one array: ``init(key, shape, dtype) -> array``."""

    def __call__(
        self, key: PRNGKeyArray, shape: Shape, dtype: DType = None, /
    ) -> Float[Array, "..."]: ...


def no_key(factory: str, argument: str, x: Any) -> None:
    """Raise where a factory was called as if it were the initialiser that it makes."""
    if isinstance(x, jax.Array) and (
        jnp.issubdtype(x.dtype, jax.dtypes.prng_key) or x.dtype == np.uint32
    ):
        problem = f"{argument} is a random key; {factory} makes an initialiser, which takes it"
        _checks.fail(factory, problem, f"{factory}(…)(key, shape)", error=TypeError)


def default_dtype(name: str, dtype: Any) -> DType:
    """The dtype to draw in: JAX's default floating one where none is named."""
    if dtype is None or dtype is float:
        return float
    _checks.dtype(name, "dtype", dtype, jnp.floating, "a floating dtype")
    return dtype


def checked(name: str, key: Any, shape: Any, dtype: Any) -> tuple[tuple[int, ...], DType]:
    """The shape as a tuple and the dtype to draw in; raise unless the key, too, is one."""
    _checks.key(name, key)
    if not isinstance(shape, tuple | list):
        plain = isinstance(shape, str | int | float | complex) or shape is None
        came = repr(shape) if plain else f"a {type(shape).__name__}"
        cure = f"({shape},)" if isinstance(shape, int) and not isinstance(shape, bool) else ""
        problem = f"shape is {came}; wanted a tuple of integers"
        _checks.fail(name, problem, cure, error=TypeError)
    _checks.size(name, minimum=0, **{f"shape[{i}]": n for i, n in enumerate(shape)})
    return tuple(int(n) for n in shape), default_dtype(name, dtype)


def positive(factory: str, argument: str, x: Any) -> Any:
    """The number; nan where it is an array, unknown while tracing, and not above 0."""
    no_key(factory, argument, x)
    _checks.scalar(factory, argument, x, above=0)
    return jnp.where(x > 0, x, jnp.nan) if isinstance(x, jax.Array) else x


def python_number(factory: str, argument: str, x: Any, **interval: Any) -> None:
    """Raise unless ``x`` is a Python number in the interval: what decides shapes or branches."""
    no_key(factory, argument, x)
    if isinstance(x, jax.Array | np.ndarray):
        problem = f"{argument} is an array; wanted a Python number"
        _checks.fail(factory, problem, error=TypeError)
    _checks.number(factory, argument, x, **interval)


def axes(name: str, argument: str, i: Any) -> tuple[int, ...]:
    """The axes that an integer, or several, name."""
    no_key(name, argument, i)
    named = tuple(i) if isinstance(i, tuple | list) else (i,)
    for j in named:
        if isinstance(j, bool) or not isinstance(j, int | np.integer):
            came = repr(j) if isinstance(j, str | int | float) else f"a {type(j).__name__}"
            problem = f"{argument} is {came}; wanted an integer or several"
            _checks.fail(name, problem, error=TypeError)
    return tuple(int(j) for j in named)


def counted_axes(name: str, argument: str, i: tuple[int, ...], shape: tuple[int, ...]) -> list[int]:
    """The axes counted from 0; raise where the shape has no such axis."""
    n = len(shape)
    for j in i:
        if not -n <= j < n:
            _checks.fail(name, f"{argument} is {j}; wanted an axis of the shape {shape}")
    return [j % n for j in i]
