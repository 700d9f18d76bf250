"""What the layers check about their arguments, in the name of the function called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks

# A layer hands an initialiser all of key, shape and dtype, so that it need not have defaults.
Initializer = Callable[..., jax.Array]


def drawn(
    function: str,
    argument: str,
    init: Any,
    key: PRNGKeyArray,
    shape: tuple[int, ...],
    dtype: jax.typing.DTypeLike,
) -> Float[Array, "..."]:
    """What an initialiser draws; raise where that is no array of the shape asked for."""
    _checks.function(function, argument, init)
    what = init(key, shape, dtype)
    if callable(what):
        problem = f"{argument} gave a function; wanted an array of shape {shape}"
        _checks.fail(function, problem, f"{argument}=…()", error=TypeError)
    _checks.floating(function, **{f"what {argument} gave": what})
    if jnp.shape(what) != shape:
        _checks.fail(function, f"{argument} gave the shape {jnp.shape(what)}; wanted {shape}")
    return what


def bias_or_none(
    function: str,
    use_bias: Any,
    init: Any,
    key: PRNGKeyArray,
    shape: tuple[int, ...],
    dtype: jax.typing.DTypeLike,
) -> Float[Array, "..."] | None:
    """The bias that ``bias_init`` draws, or None, the empty tree, where a layer has none."""
    _checks.boolean(function, "use_bias", use_bias)
    _checks.function(function, "bias_init", init)
    return drawn(function, "bias_init", init, key, shape, dtype) if use_bias else None


def unpacked(function: str, params: Any, kind: type) -> tuple[Any, ...]:
    """The fields of ``params``; raise unless it is a ``kind``, or a tuple of as many."""
    fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]
    if not (isinstance(params, tuple) and len(params) == len(fields)):
        form = f"{kind.__name__}({', '.join(fields)})"
        is_array = isinstance(params, jax.Array | np.ndarray)
        came = "an array" if is_array else f"a {type(params).__name__}"
        _checks.fail(function, f"params is {came}; wanted {form}", error=TypeError)
    return params


def bias_fits(function: str, bias: Any, outputs: int) -> None:
    """Raise unless ``bias`` is None or one floating-point number for each of the outputs."""
    if bias is not None:
        _checks.floating(function, bias=bias)
        _checks.rank(function, "bias", bias, "out", exact=True)
        _checks.same_size(function, "output features", kernel=outputs, bias=bias.shape[0])
