"""A derivative by hand, as the introduction of ``fnmath.numerics`` explains it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from fnmath import _checks

Elementwise = Callable[..., jax.Array]


def with_derivatives(*partials: Elementwise | None) -> Callable[[Elementwise], Elementwise]:
    """Decorator that gives an elementwise function its partial derivatives as closed forms.

        ḟ = Σᵢ ∂ᵢf(x₁, …, xₙ) · ẋᵢ

    Args:
        partials: One function per positional argument of f, taking the same arguments as f;
            None where f is constant in that argument, or not to be differentiated.

    Returns:
        A decorator; the function it returns has the derivative in forward mode, in reverse mode
        (by transposition, since the rule is linear in ẋ) and, the partials being ordinary JAX
        functions, to any order.

    Raises:
        TypeError: If a partial is neither a function nor None.

    Example:
        >>> @with_derivatives(lambda x: 1 / x)
        ... def natural_logarithm(x):
        ...     return jnp.log(x)
        >>> print(jax.grad(natural_logarithm)(4.0), jax.grad(jax.grad(natural_logarithm))(4.0))
        0.25 -0.0625

    Source:
        Griewank and Walther, Evaluating Derivatives (2008), §2.3 (elemental tangents and their
        transposes); ``jax.custom_jvp``.
    """
    for i, partial in enumerate(partials):
        if partial is not None:
            _checks.function("with_derivatives", f"partials[{i}]", partial)

    def decorate(f: Elementwise) -> Elementwise:
        wrapped = jax.custom_jvp(f)

        def rule(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, jax.Array]:
            value, arguments = wrapped(*primals), [jnp.asarray(x) for x in primals]
            # An argument held constant adds nothing, not even the nan of an infinite slope · 0.
            terms = [
                jnp.broadcast_to(partial(*arguments) * tangent, jnp.shape(value))
                for partial, tangent in zip(partials, tangents, strict=True)
                if partial is not None and not isinstance(tangent, SymbolicZero)
            ]
            return value, functools.reduce(jnp.add, terms) if terms else jnp.zeros_like(value)

        wrapped.defjvp(rule, symbolic_zeros=True)
        return wrapped

    return decorate
