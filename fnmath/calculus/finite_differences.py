"""Derivatives from values of f alone: approximate, and independent of every rule of the chain.

A difference is wrong in two ways: it stops at a step h > 0 (truncation, a power of h), and it
divides the rounding error of f, about ε |f|, by h. Small steps cure the first and worsen the
second; each function here says where it stands between them.

The size of a step is meant for an x of about its own scale: a step h along v is counted by the
entry that moves furthest against its own size,

    reach = maxᵢ |vᵢ| / max(1, |xᵢ|)

and all default steps are powers of 2, so that h v is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree, Shaped

from fnmath import _checks
from fnmath.calculus import _steps, _trees


def central_difference(
    f: Callable[[Any], PyTree],
    x: PyTree,
    direction: PyTree,
    *,
    step: float | Float[Array, ""] | None = None,
) -> PyTree:
    """The central difference, an estimate of the derivative of f at x along a direction v.

        D(h) = (f(x + h v) − f(x − h v)) / 2h = Dᵥf(x) + (h²/6) f‴ + O(h⁴) + O(ε |f| / h)

    where f‴ is the third derivative along v. The two errors balance near h = ε^⅓, the default
    (over the reach of v, to the nearest power of 2 below), and leave an error of about ε^⅔: 11
    digits of 16 in float64, 5 of 7 in float32.

    Gradient:
        ∂D/∂x = (∇f(x + h v) − ∇f(x − h v)) / 2h        (h is held fixed)

    Args:
        f: A function of one argument, whose value may be a number, an array or a pytree.
        x: The point, a pytree of floating-point arrays.
        direction: The direction v, with the tree, shapes and dtypes of x.
        step: The step h > 0.

    Returns:
        The estimate, in the shape and dtype of f(x).

    Raises:
        TypeError: If f is not a function, or x, v or f(x) is not floating, or v is of another
            dtype than x.
        ValueError: If v has another tree or other shapes than x, or the step is not one
            number above 0.

    Example:
        >>> print(central_difference(lambda x: x**2, 3.0, 1.0, step=0.5))
        6.0

    Source:
        Press et al., Numerical Recipes (2007), §5.7.
    """
    _checks.function("central_difference", "f", f)
    x, v = _point("central_difference", f, x, direction)
    h = _steps.given_or("central_difference", step, _steps.balanced(f, x, v))
    ahead, behind = f(_trees.moved(x, v, h)), f(_trees.moved(x, v, -h))
    return jax.tree.map(lambda a, b: (a - b) / (2 * h).astype(a.dtype), ahead, behind)


def _point(
    function: str, f: Callable[..., Any], x: PyTree, direction: PyTree
) -> tuple[PyTree, PyTree]:
    """The point and the direction as arrays; raises unless they agree and f(x) is real."""
    x = _trees.real(function, "x", x)
    v = _trees.like(function, "direction", direction, "x", x)
    _trees.real_output(function, f, jax.eval_shape(f, x))
    return x, v


class Extrapolation(NamedTuple):
    """A derivative extrapolated to h = 0: each field in the tree and the shapes of f(x)."""

    value: PyTree
    """The estimate of Dᵥf(x)."""
    error: PyTree
    """An estimate of its absolute error; ∞ where no step gave a finite one."""
    step: PyTree
    """The smallest step h that the estimate was made from."""


def richardson_extrapolation(
    f: Callable[[Any], PyTree],
    x: PyTree,
    direction: PyTree,
    *,
    step: float | Float[Array, ""] | None = None,
    levels: int | None = None,
) -> Extrapolation:
    """Central differences extrapolated to the step 0, with an estimate of the error.

        Tᵢ₀ = D(h₀ / 2ⁱ),    Tᵢⱼ = Tᵢ,ⱼ₋₁ + (Tᵢ,ⱼ₋₁ − Tᵢ₋₁,ⱼ₋₁) / (4ʲ − 1)

    D has even powers of h only, and each column j of the table removes one more: Tᵢⱼ errs by
    O(h²ʲ⁺²), so that steps far larger, and rounding errors far smaller, than those of a plain
    difference will do. The answer is the entry with the smallest estimated error,

        max |Tᵢⱼ − T| + (ε / hᵢ) (|f(x + hᵢv)| / 2 + |f(x − hᵢv)| / 2 + |D(hᵢ)| / reach)

    where T runs over the two entries that Tᵢⱼ was made from (so far Ridders' estimate) and the two
    of the next finer step, Tᵢ₊₁,ⱼ₋₁ and Tᵢ₊₁,ⱼ, since among many entries of a function with kinks
    some two agree by chance. The second term, the rounding of f and of x ± hᵢv, keeps differences
    that agree because nothing is left of either from passing for exact. And an entry further from
    the finest difference than that one can be wrong pays for the distance: an f that repeats itself
    within every larger step does not deceive it. Steps that leave the domain of f, where it is not
    finite, drop out.

    Args:
        f: A function of one argument, whose value may be a number, an array or a pytree; it is
            called once, on a batch of points, by ``vmap``.
        x: The point, a pytree of floating-point arrays.
        direction: The direction v, with the tree, shapes and dtypes of x.
        step: The first and largest step h₀ > 0; by default ½ over the reach of v.
        levels: How many steps, at least 3; by default as many as reach the step ε^⅓ at which a
            plain difference is best: 18 in float64, 8 in float32.

    Returns:
        The estimate, its estimated error and the step it ends at, for each number in f(x).

    Raises:
        TypeError: If f is not a function, x, v or f(x) not floating, v of another dtype than x,
            or levels no integer.
        ValueError: If v has another tree or other shapes than x, the step is not one number
            above 0, or levels < 3.

    Example:
        >>> slope = richardson_extrapolation(jnp.exp, 0.0, 1.0)
        >>> print(f"{slope.value:.5f}", slope.error < 1e-5)
        1.00000 True

    Source:
        Press et al., Numerical Recipes (2007), §5.7 (Ridders' method, 1982).
    """
    _checks.function("richardson_extrapolation", "f", f)
    if levels is not None:
        _checks.size("richardson_extrapolation", levels=levels, minimum=3)
    x, v = _point("richardson_extrapolation", f, x, direction)
    first = _steps.given_or("richardson_extrapolation", step, _steps.over_reach(-1, x, v))
    steps = jnp.ldexp(first, -jnp.arange(levels or _steps.bits(f, x) // 3 + 1))
    both = jnp.concatenate([steps, -steps])
    values = jax.vmap(lambda t: f(_trees.moved(x, v, t)))(both)
    k = len(steps)
    width = _steps.over_reach(0, x, v)
    tables = jax.tree.map(lambda y: _extrapolate(y[:k], y[k:], steps, width), values)
    fields = jax.tree.structure(Extrapolation(0, 0, 0))
    return jax.tree.transpose(jax.tree.structure(values), fields, tables)


def _extrapolate(
    ahead: Float[Array, "levels *shape"],
    behind: Float[Array, "levels *shape"],
    steps: Float[Array, " levels"],
    width: Float[Array, ""],
) -> Extrapolation:
    """The best entry of the table over f(x ± h v), for each entry of f."""
    dtype, shape = ahead.dtype, ahead.shape
    h = jnp.broadcast_to(steps.astype(dtype).reshape(-1, *[1] * (ahead.ndim - 1)), shape)
    plain = (ahead - behind) / (2 * h)
    sizes = (jnp.abs(ahead) + jnp.abs(behind)) / 2 + width.astype(dtype) * jnp.abs(plain)
    rounding = jnp.finfo(dtype).eps * sizes / h
    leeway = 4 * (jnp.abs(plain[-1] - plain[-2]) + rounding[-1])
    none = jnp.full_like(plain[:1], jnp.nan)

    def next_column(column: Array, gain: Array) -> tuple[Array, tuple[Array, Array]]:
        coarser, finer = (jnp.concatenate(c) for c in ((none, column[:-1]), (column[1:], none)))
        entry = column + (column - coarser) / gain
        others = jnp.stack([coarser, column, finer, jnp.concatenate([entry[1:], none])])
        apart = jnp.abs(entry - others).max(0)
        astray = jnp.maximum(0, jnp.abs(entry - plain[-1]) - leeway)
        return entry, (entry, apart + rounding + astray)

    gains = 4.0 ** jnp.arange(1, len(steps) - 1) - 1
    _, (values, errors) = jax.lax.scan(next_column, plain, gains.astype(dtype))
    table = (values, jnp.where(jnp.isfinite(errors), errors, jnp.inf), h + jnp.zeros_like(values))
    flat = (len(gains) * len(steps), *shape[1:])
    value, error, step = (entries.reshape(flat) for entries in table)
    best = jnp.argmin(error, axis=0, keepdims=True)
    value, error, step = (jnp.take_along_axis(t, best, 0)[0] for t in (value, error, step))
    return Extrapolation(value, error, step)


def complex_step(
    f: Callable[[Any], PyTree],
    x: PyTree,
    direction: PyTree,
    *,
    step: float | Float[Array, ""] | None = None,
) -> PyTree:
    """The complex-step derivative of f at x along a direction v, to machine precision.

        Dᵥf(x) = Im f(x + i h v) / h + O(h²)

    Nothing is subtracted, so nothing cancels, and h may be so small that the truncation vanishes.
    The default is the cube root of the smallest normal number, 2⁻⁴² in float32 and 2⁻³⁴¹ in
    float64: derivatives down to its square do not underflow.

    f has to be holomorphic along the way: a composition of arithmetic, exp, log, sin, tanh and
    their like. abs, norms, the conjugate and the real part are not; a result that is not complex
    is refused, but one of them hidden inside of a complex result cannot be seen from here.

    Args:
        f: A holomorphic function of one argument, whose value may be a number, an array or a
            pytree; it is called on complex numbers.
        x: The point, a pytree of real float32 or float64 arrays.
        direction: The direction v, with the tree, shapes and dtypes of x.
        step: The step h > 0.

    Returns:
        The derivative, in the shape of f(x), real.

    Raises:
        TypeError: If f is not a function, x or v is not floating, v is of another dtype than x,
            x is of 16 bits (there is no complex dtype for those), or f returns a real number.
        ValueError: If v has another tree or other shapes than x, or the step is not one
            number above 0.

    Example:
        >>> print(complex_step(jnp.exp, 0.0, 1.0))
        1.0

    Source:
        Squire and Trapp, Using complex variables to estimate derivatives of real functions, SIAM
        Review 40 (1998), 110-112.
    """
    _checks.function("complex_step", "f", f)
    x = _trees.real("complex_step", "x", x)
    v = _trees.like("complex_step", "direction", direction, "x", x)
    for name, leaf in _trees.named_leaves("x", x):
        if leaf.dtype.itemsize < 4:
            problem = f"{name} has dtype {leaf.dtype}; wanted float32 or float64"
            _checks.fail("complex_step", problem, f"{name}.astype(jnp.float32)", error=TypeError)
    exponent = max(jnp.finfo(leaf.dtype).minexp for leaf in jax.tree.leaves(x)) // 3
    default = jnp.asarray(2.0**exponent, jnp.result_type(*jax.tree.leaves(x)))
    h = _steps.given_or("complex_step", step, default)
    y = f(jax.tree.map(lambda a, b: jax.lax.complex(a, h.astype(a.dtype) * b), x, v))
    for leaf in jax.tree.leaves(y):
        if not jnp.iscomplexobj(leaf):
            problem = f"{_trees.name_of(f)} returned {jnp.result_type(leaf)} for a complex argument"
            wanted = "; wanted a complex number, from a holomorphic function (no abs, no norm)"
            _checks.fail("complex_step", problem + wanted, "central_difference", error=TypeError)
    return jax.tree.map(lambda a: jnp.imag(a) / h.astype(jnp.imag(a).dtype), y)


def _richardson_value(f: Callable[..., Any], x: PyTree, v: PyTree, *, step: Any = None) -> PyTree:
    return richardson_extrapolation(f, x, v, step=step).value


METHODS = {
    "central": central_difference,
    "richardson": _richardson_value,
    "complex": complex_step,
}


def finite_difference_gradient(
    f: Callable[[Any], Float[Array, ""]],
    x: PyTree,
    *,
    method: str = "central",
    step: float | Float[Array, ""] | None = None,
    chunk: int = 64,
) -> PyTree:
    """The gradient of a scalar function, one coordinate at a time, from values of f alone.

        (∇f)ᵢ ≈ D(h) along the coordinate direction eᵢ,    i = 1 … n

    Evaluates f at 2n points (n for the complex step, 36n for Richardson's in float64), in batches
    of ``chunk`` coordinates: a loop, so that the memory does not grow with n². Under ``jit`` the
    loop is one compiled program. It differs from the exact gradient by the method's error, of
    which it shares nothing with the chain rule.

    Args:
        f: A scalar function of one argument.
        x: The point, a pytree of floating-point arrays.
        method: ``"central"``, ``"richardson"`` or ``"complex"``, for ``central_difference``,
            ``richardson_extrapolation`` or ``complex_step``.
        step: The step h > 0 of the method, one for all coordinates; by default its own choice for
            each.
        chunk: How many coordinates are evaluated at once.

    Returns:
        The estimate, with the tree, shapes and dtypes of x.

    Raises:
        TypeError: If f is not a function, x is not floating, or f(x) is not one real array.
        ValueError: If f(x) is not a scalar, method is not one of the three, the step is not
            one number above 0, or chunk < 1.

    Example:
        >>> x = {"a": jnp.array([1.0, 2.0]), "b": 3.0}
        >>> slope = finite_difference_gradient(lambda x: x["b"] * x["a"].sum(), x)
        >>> print(slope["a"], slope["b"])
        [3. 3.] 3.0

    Source:
        Press et al., Numerical Recipes (2007), §5.7.
    """
    _checks.function("finite_difference_gradient", "f", f)
    _checks.option("finite_difference_gradient", "method", method, METHODS)
    _checks.size("finite_difference_gradient", chunk=chunk)
    if step is not None:
        _checks.scalar("finite_difference_gradient", "step", step, above=0)
    x = _trees.real("finite_difference_gradient", "x", x)
    _trees.scalar_output("finite_difference_gradient", f, jax.eval_shape(f, x))
    flat, unravel = ravel_pytree(x)

    def along_coordinate(i: Shaped[Array, ""]) -> Shaped[Array, ""]:
        coordinate = unravel(jax.nn.one_hot(i, flat.size, dtype=flat.dtype))
        return METHODS[method](f, x, coordinate, step=step).astype(flat.dtype)

    return unravel(jax.lax.map(along_coordinate, jnp.arange(flat.size), batch_size=chunk))
