"""A derivative by hand, as the introduction of ``fnmath.numerics`` explains it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from fnmath import _checks
from fnmath.numerics._sharing import apart, side_by_side

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
        TypeError: If a partial is neither a function nor None. The decorated function raises it for
            an argument that is neither an array of numbers nor a number.
        ValueError: If there is not one partial for each argument of f.

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
        signature, wrapped = inspect.signature(f), jax.custom_jvp(apart(f))
        kinds = [parameter.kind for parameter in signature.parameters.values()]
        if inspect.Parameter.VAR_POSITIONAL not in kinds and len(kinds) != len(partials):
            problem = f"{f.__name__} has {len(kinds)} arguments; wanted as many as there are"
            _checks.fail("with_derivatives", f"{problem} partials, {len(partials)}")

        def rule(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, jax.Array]:
            value = jnp.asarray(wrapped(*primals))
            arguments = [jnp.asarray(x) for x in primals]
            # An argument held constant adds nothing, not even the nan of an infinite slope · 0.
            with side_by_side():
                terms = [
                    jnp.broadcast_to(partial(*arguments) * tangent, value.shape).astype(value.dtype)
                    for partial, tangent in zip(partials, tangents, strict=True)
                    if partial is not None and not isinstance(tangent, SymbolicZero)
                ]
            return value, functools.reduce(jnp.add, terms) if terms else jnp.zeros_like(value)

        wrapped.defjvp(rule, symbolic_zeros=True)

        @functools.wraps(f)
        def checked(*args: Any, **options: Any) -> jax.Array:
            named = dict(zip(signature.parameters, args, strict=False)) | options
            for argument, x in named.items():
                _checks.array(f.__name__, argument, x)
            return wrapped(*args, **options)

        return checked

    return decorate
