"""What the rest of the house needs to stay finite, and right in its derivatives.

Notation: x, y are arrays taken elementwise; ẋ is a tangent (what forward mode carries), x̄ a
cotangent (what reverse mode carries); ε is the spacing of floating-point numbers just above 1.

A derivative by hand
--------------------
JAX differentiates the operations a formula is written in. Where those cancel or overflow, the
derivative is wrong though the value is right: autodiff of x·log y at x = y = 0 is 0·∞ = nan. The
cure is to hand over the derivative as a closed form of its own, with ``with_derivatives``:

    @with_derivatives(lambda x, y: jnp.log(y), lambda x, y: safe_divide(x, y))
    def xlogy(x, y): ...

It is one rule, in forward mode, linear in the tangent. JAX transposes it for reverse mode, and
differentiates the closed forms themselves for higher orders; where a closed form in turn
differentiates badly, it gets a rule of its own. So both modes and every order stay available.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp

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
        def tangent_out(tangent: jax.Array, value: jax.Array, *primals: jax.Array) -> jax.Array:
            return jnp.broadcast_to(partial(*primals) * tangent, jnp.shape(value))

        return tangent_out

    def decorate(f: Elementwise) -> Elementwise:
        wrapped = jax.custom_jvp(f)
        wrapped.defjvps(*(None if partial is None else rule(partial) for partial in partials))
        return wrapped

    return decorate


@contextlib.contextmanager
def checked() -> Iterator[None]:
    """A mode, off by default, in which rules about values become messages.

    Under ``jit`` a wrong value cannot raise: a label outside its range gives nan for its row, and
    says no more. Inside this context the same functions state their rules to
    ``jax.experimental.checkify``, which carries the first broken one out of the compiled program.
    The switch is part of jit's cache key: code compiled outside of it holds no check at all.

    Yields:
        Nothing; the rules are stated by whatever is traced inside the ``with`` block.

    Example:
        >>> from jax.experimental import checkify
        >>> from fnmath.losses import softmax_cross_entropy_with_integer_labels as cross_entropy
        >>> with checked():
        ...     loss = checkify.checkify(jax.jit(cross_entropy))
        ...     error, _ = loss(jnp.zeros((1, 3)), jnp.array([7]))
        >>> print(error.get().splitlines()[0].split(" (")[0])
        softmax_cross_entropy_with_integer_labels: label 7 outside [0, 3)

    Source:
        The documentation of ``jax.experimental.checkify`` and ``jax.make_user_context``.
    """
    with _checks.value_checks(True):
        yield
