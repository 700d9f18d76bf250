"""What many tests need: errors in ULP, both modes of differentiation, transformations, mistakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads


def ulp_error(actual: Any, expected: Any) -> np.ndarray:
    """|actual − expected| in units of the last place that ``expected`` has in actual's dtype.

    ``expected`` is of higher precision (a float64 for a float32). Where it is inf or nan, the error
    is 0 for the same inf or nan, and ∞ for anything else; below the smallest normal number one unit
    is that of the smallest normal number, times 1/ε: flushing to zero is allowed.
    """
    actual = np.asarray(actual)
    dtype, actual64 = actual.dtype, actual.astype(np.float64)
    expected = np.broadcast_to(np.asarray(expected, np.float64), actual.shape)
    finfo = jnp.finfo(dtype)
    with np.errstate(all="ignore"):
        exponent = np.floor(np.log2(np.abs(expected)))
        ulp = np.exp2(exponent) * float(finfo.eps)
        ulp = np.where(np.abs(expected) < float(finfo.tiny), float(finfo.tiny), ulp)
        error = np.abs(actual64 - expected) / ulp
        overflow = np.abs(expected) > float(finfo.max)
        expected = np.where(overflow, np.sign(expected) * np.inf, expected)
        same = (actual64 == expected) | (np.isnan(actual64) & np.isnan(expected))
        special = ~np.isfinite(expected) | ~np.isfinite(actual64)
    return np.where(same, 0.0, np.where(special, np.inf, error))


def assert_within_ulp(actual: Any, expected: Any, ulps: float) -> None:
    """The two agree to ``ulps`` units in the last place of actual's dtype, everywhere."""
    error = ulp_error(actual, expected)
    if error.size and not error.max() <= ulps:
        worst = np.unravel_index(np.argmax(error), error.shape)
        a, e = np.asarray(actual)[worst], np.broadcast_to(expected, error.shape)[worst]
        raise AssertionError(f"{error.max():.3g} ULP > {ulps} at {worst}: got {a!r}, wanted {e!r}")


def assert_gradient(
    f: Callable[..., Any], gradient: Callable[..., Any], *args: Any, rtol: float = 1e-12
) -> None:
    """The closed form ``gradient`` is ∂(Σ f)/∂args[0] in reverse and in forward mode.

    Derivatives to second order are compared with finite differences too. Call it in float64.
    """
    x, *rest = args

    def objective(x: Any) -> Any:
        return jnp.sum(f(jax.tree.map(jnp.asarray, x), *rest))

    expected = gradient(x, *rest)
    chex.assert_trees_all_close(jax.grad(objective)(x), expected, rtol=rtol, atol=1e-14)
    chex.assert_trees_all_close(jax.jacfwd(objective)(x), expected, rtol=rtol, atol=1e-14)
    check_grads(objective, (x,), order=2, modes=["fwd", "rev"], atol=1e-5, rtol=1e-5, eps=1e-5)


def twice(a: Any) -> Any:
    """The array two times along a new axis; by NumPy, which compiles nothing, but for keys."""
    is_key = jnp.issubdtype(jnp.result_type(a), jax.dtypes.prng_key)
    return jnp.stack([a, a]) if is_key else np.stack([a, a])


def assert_transforms(f: Callable[..., Any], *args: Any, rtol: float = 1e-6) -> None:
    """Jit and vmap change nothing, and two calls with the same shapes compile once."""
    expected = f(*args)
    chex.clear_trace_counter()  # it counts by name, from one test to the next
    once = jax.jit(chex.assert_max_traces(f, n=1))
    chex.assert_trees_all_close(once(*args), expected, rtol=rtol, atol=rtol)
    once(*args)
    stacked = jax.tree.map(twice, args)
    both = jax.tree.map(np.asarray, jax.jit(jax.vmap(f))(*stacked))
    for row in range(2):
        result = jax.tree.map(lambda a, row=row: a[row], both)
        chex.assert_trees_all_close(result, expected, rtol=rtol, atol=rtol)


class Mistake(NamedTuple):
    """One wrong call of a public function, and the whole message that it must raise.

    Every ``test_<chapter>.py`` lists its own as ``MISTAKES``; ``tests/house/test_mistakes.py``
    makes each of them twice, plainly and under ``jit``.
    """

    function: Callable[..., Any]
    args: Sequence[Any]
    options: Mapping[str, Any]
    error: type[Exception]
    message: str
