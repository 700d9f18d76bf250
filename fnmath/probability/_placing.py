"""A location, and a rate in place of a scale, for families written in a distance and a scale alone.

Notation: x − μ = d + δ and 1/λ = s + ς, each a rounded number and what its rounding took. Of a
function f of distance and scale, which are its first and its last argument,

    f(d + δ, s + ς) = f(d, s) + δ ∂f/∂d + ς ∂f/∂s

with nothing left that counts. A location of 0 that is not an array takes nothing, and has no part.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from fnmath.numerics._pairs import quotient, two_sum
from fnmath.probability._evaluation import score_of, where_known
from fnmath.probability._families import Function, evaluated, evaluated_by_axes


def _scale_of(size: jax.Array, is_rate: bool) -> jax.Array:
    """The scale, of a scale or a rate."""
    return 1 / size if is_rate else size


def _rest(rate: jax.Array) -> jax.Array:
    """What the rounding of 1/λ took."""
    rate = jax.lax.stop_gradient(rate)
    rest = quotient(jnp.ones_like(rate), rate)[1]
    return jnp.where(jnp.isfinite(rest), rest, 0)


def _placed(f: Function, has_loc: bool, is_rate: bool) -> Function:
    """The function of x, the shapes, a location if there is one, and a scale or a rate."""

    def function(x: jax.Array, *of: jax.Array) -> jax.Array:
        *shapes, size = of
        loc = shapes.pop() if has_loc else jnp.zeros_like(x)
        scale = _scale_of(size, is_rate)
        known = jnp.isfinite(loc)
        d, d_rest = two_sum(x, -jnp.where(known, loc, 0))
        inside = (d > 0) & (d < jnp.inf) & (scale > 0) & (scale < jnp.inf)
        some, some_scale = jnp.where(inside, d, 1), jnp.where(inside, scale, 1)
        d_rest = jax.lax.stop_gradient(jnp.where(inside, d_rest, 0))
        s_rest = jnp.where(inside, _rest(size), 0) if is_rate else None

        def at(t: jax.Array) -> jax.Array:
            """T of the way from the rounded numbers to the exact ones."""
            there = some + t * d_rest if has_loc else some
            return f(there, *shapes, some_scale if s_rest is None else some_scale + t * s_rest)

        zero, one = jnp.zeros_like(some), jnp.ones_like(some)
        change = jax.jvp(at, (zero,), (one,))[1]
        return where_known(known, f(d, *shapes, scale) + jnp.where(inside, change, 0), loc)

    return function


def _arguments(loc: Any, scale: Any, rate: Any) -> tuple[bool, dict[str, Any]]:
    """Whether there is a location, and the arguments that come after the shapes."""
    has_loc = not (isinstance(loc, int | float) and loc == 0)
    size = {"scale": scale} if rate is None else {"rate": rate}
    return has_loc, ({"loc": loc} if has_loc else {}) | size


def placed(
    function: str,
    f: Function,
    loc: Any,
    scale: Any,
    rate: Any = None,
    *,
    by_axes: bool = False,
    **arguments: Any,
) -> jax.Array:
    """A function of distance, shapes and scale, at x, which comes first, and the shapes."""
    has_loc, last = _arguments(loc, scale, rate)
    if has_loc or rate is not None:
        f = _placed(f, has_loc, rate is not None)
    evaluate = evaluated_by_axes if by_axes else evaluated
    return evaluate(function, f, **arguments, **last)


def placed_score(function: str, f: Function, loc: Any, scale: Any, **arguments: Any) -> jax.Array:
    """The derivatives of such a function by the shapes and the scale, on a new last axis."""
    has_loc, last = _arguments(loc, scale, None)
    shapes = range(1, len(arguments))
    which = (*shapes, len(arguments) + has_loc)
    f = _placed(f, True, False) if has_loc else f
    return score_of(function, f, which, **arguments, **last)


def moved(
    function: str,
    f: Function,
    loc: Any,
    scale: Any,
    rate: Any = None,
    *,
    follows: bool = True,
    **arguments: Any,
) -> jax.Array:
    """The location and a function of the other arguments and the scale: a quantile, a mean.

    What does not follow the location, as a variance, is nan all the same where it has no meaning.
    """
    has_loc, last = _arguments(loc, scale, rate)

    def value(*of: jax.Array) -> jax.Array:
        *others, size = of
        loc = others.pop() if has_loc else None
        found = f(*others, _scale_of(size, rate is not None))
        if loc is None:
            return found
        return where_known(jnp.isfinite(loc), loc + found if follows else found, loc)

    return evaluated(function, value, **arguments, **last)
