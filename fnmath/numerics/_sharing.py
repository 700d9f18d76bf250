"""What several formulas have in common, written in each and computed once.

The derivatives of one function by each of its arguments are formulas of their own, and share most
of their terms. Each is written as one reads it; a term that is ``shared`` is the same array in all
of them, as long as they are evaluated side by side, and a program is as large as its terms are many
and not as often as they are written.

A term is the same where its function is and its arguments are the same arrays, not equal ones: that
holds within one trace alone, so that each function whose derivatives are by hand is a scope of its
own, and so must be the body of a loop.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

_TERMS: contextvars.ContextVar[dict[Any, Any] | None] = contextvars.ContextVar(
    "terms", default=None
)


@contextlib.contextmanager
def side_by_side() -> Iterator[None]:
    """A scope: within it a shared term is computed once; nothing is shared with what is outside."""
    token = _TERMS.set({})
    try:
        yield
    finally:
        _TERMS.reset(token)


def apart(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose body is a scope of its own."""

    @functools.wraps(f)
    def function(*args: Any, **options: Any) -> Any:
        with side_by_side():
            return f(*args, **options)

    return function


def _which(x: Any) -> Any:
    """What tells an argument from others: its parts, a constant's value, or that it is itself."""
    if isinstance(x, tuple):
        return tuple(map(_which, x))
    if hasattr(x, "__dict__") and hasattr(x, "head"):
        return _which(x.head), _which(x.tail)
    return (type(x), repr(x)) if isinstance(x, str | int | float) else id(x)


def shared(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a pure function of arrays, which is evaluated once in a scope."""

    @functools.wraps(f)
    def once(*args: Any) -> Any:
        terms = _TERMS.get()
        if terms is None:
            return f(*args)
        key = f, *map(_which, args)
        if key not in terms:
            terms[key] = args, f(*args)  # with the arguments, so that none is another's successor
        return terms[key][1]

    return once


def in_one_go(f: Callable[..., Any], *rows: tuple[jax.Array, ...]) -> list[Any]:
    """What an elementwise f makes of each row of arrays: it is written into the program once."""
    columns = [jnp.stack(column) for column in zip(*rows, strict=True)]
    found = jax.lax.map(lambda row: f(*row), columns)

    def row(i: int) -> Any:
        return jax.tree.map(lambda y: jax.lax.index_in_dim(y, i, 0, keepdims=False), found)

    return [row(i) for i in range(len(rows))]


def with_joint_derivatives(*partials: Callable[..., Any] | None) -> Callable[..., Any]:
    """As ``with_derivatives``, of a function with several results: so has each of its partials.

    They are evaluated side by side, once for all results.
    """

    def decorate(f: Callable[..., Any]) -> Callable[..., Any]:
        wrapped = jax.custom_jvp(apart(f))

        def rule(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
            values = wrapped(*primals)
            with side_by_side():
                terms = [
                    tuple(slope * tangent for slope in partial(*primals))
                    for partial, tangent in zip(partials, tangents, strict=True)
                    if partial is not None and not isinstance(tangent, SymbolicZero)
                ]
            nothing = tuple(map(jnp.zeros_like, values))
            return values, functools.reduce(lambda s, t: tuple(map(jnp.add, s, t)), terms, nothing)

        wrapped.defjvp(rule, symbolic_zeros=True)
        return functools.wraps(f)(lambda *arguments: wrapped(*arguments))

    return decorate
