"""Taylor's formula: a function near a point, as a polynomial.

Notation: f is expanded about the point x (or a), along a direction v, in powers of a number t.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from fnmath import _checks
from fnmath.calculus import _trees


def taylor_expansion(
    f: Callable[[Any], PyTree], x: PyTree, direction: PyTree, *, order: int
) -> PyTree:
    """The Taylor coefficients of f at x along a direction v.

        f(x + t v) = c₀ + c₁ t + … + cₙ tⁿ + O(tⁿ⁺¹),    cₖ = (1/k!) dᵏ/dtᵏ f(x + t v) at t = 0

    c₀ is f(x), c₁ is Dᵥf(x), c₂ is ½ ⟨v, H v⟩. Forward passes nested n deep, which costs about 2ⁿ
    times f: exact for every function that JAX differentiates forward, and meant for small n.

    Args:
        f: A function of one argument, whose value may be a number, an array or a pytree.
        x: The point to expand about, a pytree of floating-point arrays.
        direction: The direction v, with the tree, shapes and dtypes of x.
        order: The last power n of t, 0 or more.

    Returns:
        The coefficients c₀ … cₙ, along a new leading axis of n + 1 entries in front of the shape
        of f(x). ``jnp.polyval(c[::-1], t)`` sums them.

    Raises:
        TypeError: If f is not a function, order no integer, x, v or f(x) not floating, or v of
            another dtype than x.
        ValueError: If order < 0, or v has another tree or other shapes than x.

    Example:
        >>> print(taylor_expansion(lambda x: 1 / (1 - x), 0.0, 1.0, order=4))
        [1. 1. 1. 1. 1.]

    Source:
        Griewank and Walther, Evaluating Derivatives (2008), chapter 13 (Taylor coefficients);
        Spivak, Calculus (2006), chapter 20.
    """
    _checks.function("taylor_expansion", "f", f)
    _checks.size("taylor_expansion", order=order, minimum=0)
    x = _trees.real("taylor_expansion", "x", x)
    v = _trees.like("taylor_expansion", "direction", direction, "x", x)
    start = jnp.zeros((), jnp.result_type(*jax.tree.leaves(x)))
    derivatives = _derivatives(lambda t: f(_trees.moved(x, v, t)), order)(start)
    _trees.real_output("taylor_expansion", f, derivatives[0])

    def stacked(*d: Array) -> Array:
        return jnp.stack([dk / float(math.factorial(k)) for k, dk in enumerate(d)])

    return jax.tree.map(stacked, *derivatives)


def _derivatives(f: Callable[[Any], PyTree], order: int) -> Callable[[Any], tuple]:
    """The function t ↦ (f(t), f′(t), …, f⁽ⁿ⁾(t)) of a number t."""
    if order == 0:
        return lambda t: (f(t),)
    lower = _derivatives(f, order - 1)

    def with_one_more(t: Any) -> tuple:
        values, slopes = jax.jvp(lower, (t,), (jnp.ones_like(t),))
        return (*values, slopes[-1])

    return with_one_more


def taylor_polynomial(
    f: Callable[[Any], PyTree], center: PyTree, *, order: int
) -> Callable[[Any], PyTree]:
    """The polynomial of degree n that agrees with f at a point in value and first n derivatives.

        p(x) = Σₖ (1/k!) dᵏ/dtᵏ f(a + t (x − a)) at t = 0,    k = 0 … n

    In one variable, Σₖ f⁽ᵏ⁾(a) (x − a)ᵏ / k!; in several, the sum over all their powers up to the
    total degree n. It is the sum of the coefficients of ``taylor_expansion`` along x − a, found
    again for each x.

    Args:
        f: A function of one argument, whose value may be a number, an array or a pytree.
        center: The point a, a pytree of floating-point arrays.
        order: The degree n, 0 or more.

    Returns:
        The polynomial p, a function of one argument with the tree, shapes and dtypes of the
        center.

    Raises:
        TypeError: If f is not a function, order no integer, or a is not floating; and from the
            polynomial, if x is of another dtype than a, or f(a) is not floating.
        ValueError: If order < 0; and from the polynomial, if x has another tree or other shapes
            than a.

    Example:
        >>> p = taylor_polynomial(jnp.exp, 0.0, order=2)
        >>> print(p(1.0))  # 1 + 1 + ½
        2.5

    Source:
        Spivak, Calculus (2006), chapter 20; Apostol, Mathematical Analysis (1974), §12.14 (several
        variables).
    """
    _checks.function("taylor_polynomial", "f", f)
    _checks.size("taylor_polynomial", order=order, minimum=0)
    center = _trees.real("taylor_polynomial", "center", center)

    def polynomial(x: PyTree) -> PyTree:
        x = _trees.like("taylor_polynomial", "x", x, "center", center)
        away = jax.tree.map(jnp.subtract, x, center)
        return jax.tree.map(
            lambda c: c.sum(0, dtype=c.dtype), taylor_expansion(f, center, away, order=order)
        )

    return polynomial
