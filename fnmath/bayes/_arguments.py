"""What every conjugate family checks: its parameters, and observations that fit them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from fnmath import _checks
from fnmath.statistics._samples import wide


def scalars(function: str, params: Any, kind: type, argument: str) -> list[jax.Array]:
    """The parameters, of one shape, in single precision at least."""
    _checks.instance(function, argument, params, kind, f"{kind.__name__}(…)")
    fields = params._asdict()
    _checks.floating(function, **fields)
    _checks.same_shape(function, **fields)
    dtype = jnp.result_type(*fields.values())
    return [wide(jnp.asarray(a, dtype)) for a in fields.values()]


def vectors(function: str, params: Any, kind: type, argument: str, **axes: int) -> list[jax.Array]:
    """The parameters in single precision at least, whose first field is a vector of features.

    The others have so many axes of features, after the batch axes of the first.
    """
    _checks.instance(function, argument, params, kind, f"{kind.__name__}(…)")
    fields = params._asdict()
    _checks.floating(function, **fields)
    (first, vector), *others = fields.items()
    _checks.rank(function, first, vector, "features")
    *batch, d = jnp.shape(vector)
    if not d:
        _checks.fail(function, f"{first} {jnp.shape(vector)} has no features")
    for name, x in others:
        wanted = (*batch, *(d,) * axes[name])
        if jnp.shape(x) != wanted:
            _checks.fail(function, f"{name} has shape {jnp.shape(x)}; wanted {wanted}")
    dtype = jnp.result_type(*fields.values())
    return [wide(jnp.asarray(a, dtype)) for a in fields.values()]


def one_more_axis(function: str, argument: str, x: Any, batch: tuple[int, ...]) -> None:
    """Raise unless x has the batch axes of the parameters, and observations on one more."""
    shape = jnp.shape(x)
    if shape[:-1] != batch or not shape:
        wanted = ", ".join(map(str, (*batch, "n"))) + ("" if batch else ",")
        cure = f"{argument}[..., None]" if shape == batch else ""
        _checks.fail(function, f"{argument} has shape {shape}; wanted ({wanted})", cure)


def numbers(function: str, argument: str, x: Any, batch: tuple[int, ...]) -> jax.Array:
    """Real observations, in single precision at least, on the last axis."""
    _checks.real(function, **{argument: x})
    one_more_axis(function, argument, x, batch)
    whole = jnp.issubdtype(jnp.result_type(x), jnp.integer)
    return jnp.asarray(x, jnp.result_type(float)) if whole else wide(x)


def positive(*parameters: jax.Array) -> jax.Array:
    """Whether all parameters of an entry are above 0."""
    known = parameters[0] > 0
    for a in parameters[1:]:
        known &= a > 0
    return known


def rows(function: str, x: Any, shape: tuple[int, ...]) -> jax.Array:
    """Vectors of features, in single precision at least, on an axis before the last."""
    _checks.floating(function, x=x)
    *batch, d = shape
    came = jnp.shape(x)
    if len(came) != len(shape) + 1 or (*came[:-2], came[-1]) != shape:
        wanted = ", ".join(map(str, (*batch, "n", d)))
        cure = "x[..., None, :]" if came == shape else ""
        _checks.fail(function, f"x has shape {came}; wanted ({wanted})", cure)
    return wide(x)


def as_given(params: Any, after: Any) -> Any:
    """The new parameters, in the dtypes of those that were given."""
    pairs = zip(after, params, strict=True)
    return type(params)(*(p.astype(jnp.result_type(q)) for p, q in pairs))


def whole(x: jax.Array) -> jax.Array:
    """Whether it is a count."""
    return (x >= 0) & (x == jnp.floor(x)) & (x < jnp.inf)


def log_observed(valid: jax.Array, value: jax.Array, missing: jax.Array) -> jax.Array:
    """The value, −∞ where the observation cannot be, nan where one is missing."""
    return jnp.where(missing, jnp.nan, jnp.where(valid, value, -jnp.inf))
