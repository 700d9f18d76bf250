"""What many tests need: errors in ULP, both modes of differentiation, transformations, mistakes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np


def ulp_error(actual: Any, expected: Any) -> np.ndarray:
    """|actual − expected| in units of the last place that ``expected`` has in actual's dtype.

    ``expected`` is of higher precision (a float64 for a float32). Where it is inf or nan, the error
    is 0 for the same inf or nan, and ∞ for anything else; below the smallest normal number one unit
    is that of the smallest normal number, times 1/ε: flushing to zero is allowed.
    """
    plain = jax.config.read("jax_disable_most_optimizations")
    assert not plain, "last digits are those of a user: mark the test last_digits"
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
    f: Callable[..., Any],
    gradient: Callable[..., Any],
    *args: Any,
    rtol: float = 1e-12,
    order: int = 2,
) -> None:
    """The closed form ``gradient`` is ∂(Σ f)/∂args[0] in reverse and in forward mode.

    Derivatives to second order are compared with finite differences too, unless ``order`` is 1.
    Call it in float64.
    """
    x, *rest = args
    expected = gradient(x, *rest)
    x = jax.tree.map(jnp.asarray, x)

    def objective(x: Any) -> Any:
        return jnp.sum(f(x, *rest))

    for ours in jax.jit(lambda x: (jax.grad(objective)(x), jax.jacfwd(objective)(x)))(x):
        chex.assert_trees_all_close(ours, expected, rtol=rtol, atol=1e-14)
    if order == 2:
        assert_derivatives(objective, x)


def assert_derivatives(
    f: Callable[..., Any],
    *args: Any,
    tolerance: float = 1e-5,
    step: float = 1e-5,
    order: int = 2,
) -> None:
    """Both modes of differentiation, and the four of second order, are finite differences of f.

    With random directions v and w in the arguments, and u in the results:

        ∂ᵥf = ḟ,        ⟨u, ∂ᵥf⟩ = ⟨f̄(u), v⟩
        ∂_w ḟ and ∂_w f̄ by forward mode,        ⟨c, ∂_w ḟ⟩ and ⟨c, ∂_w f̄⟩ by reverse mode

    ``jax.test_util.check_grads`` asks the same, operation by operation; one program for all of it
    compiles in a fraction of the time. Of ``order`` 1 are only those of the first line, in a third
    of it. Call it in float64.
    """
    args = jax.tree.map(jnp.asarray, args)
    random = np.random.default_rng(0)
    like = functools.partial(
        jax.tree.map, lambda a: jnp.asarray(random.standard_normal(a.shape), a.dtype)
    )
    v, w, u = like(args), like(args), like(jax.eval_shape(f, *args))

    def first(*args: Any) -> dict[str, Any]:
        value, forward = jax.jvp(f, args, v)
        _, pull = jax.vjp(f, *args)
        return {"value": value, "forward": forward, "reverse": pull(u)}

    parts = jax.eval_shape(first, *args)
    cotangents = {
        name: {**zeros(parts), name: like(parts[name])} for name in ("forward", "reverse")
    }

    @jax.jit
    def everything(*args: Any) -> tuple[Any, ...]:
        if order == 1:
            return (first(*args),)
        here, along = jax.jvp(first, args, w)
        _, pull = jax.vjp(first, *args)
        return here, along, {name: inner(pull(c), w) for name, c in cotangents.items()}

    def difference(direction: Any) -> Any:
        above, below = (
            everything(*jax.tree.map(lambda a, b, s=s: a + s * b, args, direction))[0]
            for s in (step / 2, -step / 2)
        )
        return jax.tree.map(lambda a, b: (np.asarray(a) - np.asarray(b)) / step, above, below)

    close = functools.partial(chex.assert_trees_all_close, rtol=tolerance, atol=tolerance)
    here, *second = everything(*args)
    along_v = difference(v)["value"]
    close(here["forward"], along_v)
    close(inner(here["reverse"], v), inner(u, along_v))
    if order == 1:
        return
    (along, backward), along_w = second, difference(w)
    close(along, along_w)
    for name, cotangent in cotangents.items():
        close(backward[name], inner(cotangent[name], along_w[name]))


def inner(a: Any, b: Any) -> Any:
    """⟨a, b⟩ of two trees."""
    return sum(jax.tree.leaves(jax.tree.map(lambda a, b: (a * b).sum(), a, b)))


def zeros(tree: Any) -> Any:
    return jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), tree)


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
