"""A derivative by hand, as the introduction of ``fnmath.numerics`` explains it."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

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

    def rule(partial: Elementwise) -> Elementwise:
        def tangent_out(tangent: jax.Array, value: ArrayLike, *primals: ArrayLike) -> jax.Array:
            slope = partial(*map(jnp.asarray, primals))
            return jnp.broadcast_to(slope * tangent, jnp.shape(value))

        return tangent_out

    def decorate(f: Elementwise) -> Elementwise:
        wrapped = jax.custom_jvp(f)
        wrapped.defjvps(*(None if partial is None else rule(partial) for partial in partials))
        return wrapped

    return decorate
