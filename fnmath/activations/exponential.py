"""Linear units: the identity above zero, an exponential that saturates below."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.activations._exponentials import (
    check_parameter,
    computed_wide,
    expm1,
    finite,
    head,
    nan_unless,
    polynomial,
    scaled_exp,
    scaled_expm1,
)
from fnmath.numerics import with_derivatives


def _below(x: jax.Array) -> jax.Array:
    """The argument below 0, and 0 above, where the other branch is taken."""
    return jnp.where(x > 0, 0, x)


def _elu(x: jax.Array, alpha: jax.Array) -> jax.Array:
    return jnp.where(x > 0, x, scaled_expm1(_below(x), alpha))


def elu(x: Float[Array, "..."], alpha: float | Float[Array, "..."] = 1.0) -> Float[Array, "..."]:
    """Exponential linear unit: the identity above zero, an exponential that saturates below.

        f(x) = x where x > 0,    α (eˣ − 1) elsewhere

    Gradient:
        f′(x) = 1 where x > 0, else α eˣ
        f″(x) = 0 where x > 0, else α eˣ
        ∂f/∂α = eˣ − 1 where x ≤ 0, else 0

    Args:
        x: The argument.
        alpha: The level α ≥ 0, negated, that f approaches at −∞; an array
            broadcasts to x, and gives nan where it is outside.

    Returns:
        f(x) in the shape and units of x.

    Raises:
        TypeError: If x is not a floating-point array, or α not a number.
        ValueError: If α < 0, or its shape does not broadcast to that of x.

    Example:
        >>> print(elu(jnp.array([-jnp.inf, 0.0, 2.0])))
        [-1.  0.  2.]

    Source:
        Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by exponential
        linear units (2016), §3.
    """
    _checks.floating("elu", x=x)
    check_parameter("elu", "alpha", alpha, x, above=0, closed="[")
    return nan_unless(alpha >= 0, computed_wide(_elu, x, alpha))


# So that the negative side keeps a mean of 0 and a variance of 1; Klambauer and others, eq. 14.
_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


def _selu(x: jax.Array) -> jax.Array:
    level = jnp.asarray(_SELU_SCALE * _SELU_ALPHA, x.dtype)
    return jnp.where(x > 0, _SELU_SCALE * x, scaled_expm1(_below(x), level))


def selu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Scaled exponential linear unit, which keeps a deep stack at mean 0 and variance 1.

        f(x) = λ x where x > 0,    λ α (eˣ − 1) elsewhere
        λ = 1.0507009873554805,    α = 1.6732632423543772

    Gradient:
        f′(x) = λ where x > 0, else λ α eˣ
        f″(x) = 0 where x > 0, else λ α eˣ

    Args:
        x: The argument.

    Returns:
        f(x) in the shape of x.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(selu(jnp.array([-jnp.inf, 0.0, 2.0])))
        [-1.7580993  0.         2.101402 ]

    Source:
        Klambauer, Unterthiner, Mayr and Hochreiter, Self-normalizing neural networks (2017), §2,
        equations (2) and (14).
    """
    _checks.floating("selu", x=x)
    return computed_wide(_selu, x)


def _quotient(x: jax.Array, alpha: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The quotient x / α, rounded, and what rounding took, which exp(x/α) multiplies by |x/α|.

    The products of heads are exact, so that the remainder x − q α is.
    """
    bits = (jnp.finfo(x.dtype).nmant + 1) // 2
    q = finite(x) / alpha
    q_head, alpha_head = head(q, bits), head(alpha, bits)
    by_head = (finite(x) - q_head * alpha_head) - q_head * (alpha - alpha_head)
    rest = (by_head - (q - q_head) * alpha) / alpha
    return jnp.where(jnp.isinf(x), x, q), jnp.where(q > -1e3, rest, 0)


def _quotient_exp_by_x(x: jax.Array, alpha: jax.Array, w: jax.Array) -> jax.Array:
    return _quotient_exp(x, alpha, w / alpha)


def _quotient_exp_by_alpha(x: jax.Array, alpha: jax.Array, w: jax.Array) -> jax.Array:
    return _quotient_exp(x, alpha, -w * (_level_quotient(x, alpha) / alpha))


def _quotient_exp_by_w(x: jax.Array, alpha: jax.Array, w: jax.Array) -> jax.Array:
    return _quotient_exp(x, alpha, jnp.ones_like(w))


@with_derivatives(_quotient_exp_by_x, _quotient_exp_by_alpha, _quotient_exp_by_w)
def _quotient_exp(x: jax.Array, alpha: jax.Array, w: jax.Array) -> jax.Array:
    """The product w exp(x/α) for x ≤ 0."""
    q, rest = _quotient(x, alpha)
    return scaled_exp(q, w * (1 + rest))


# exp(q) (1 − q) − 1 = −Σ (n − 1)/n! qⁿ from n = 2 on, the highest power first, without the q².
_LEVEL_SERIES = tuple(-(n - 1) / math.factorial(n) for n in reversed(range(2, 22)))


def _level_quotient(x: jax.Array, alpha: jax.Array) -> jax.Array:
    """X / α, cut off where its exponential and all products with it are 0."""
    return jnp.maximum(x / alpha, -1e4)


def _celu_by_alpha_and_x(x: jax.Array, alpha: jax.Array) -> jax.Array:
    q = _level_quotient(x, alpha)
    return _quotient_exp(x, alpha, -(q / alpha))


def _celu_by_alpha_twice(x: jax.Array, alpha: jax.Array) -> jax.Array:
    q = _level_quotient(x, alpha)
    return _quotient_exp(x, alpha, jnp.square(q) / alpha)


@with_derivatives(_celu_by_alpha_and_x, _celu_by_alpha_twice)
def _celu_by_alpha(x: jax.Array, alpha: jax.Array) -> jax.Array:
    q = _level_quotient(x, alpha)
    near = jnp.maximum(q, -1.25)
    series = jnp.square(near) * polynomial(_LEVEL_SERIES, near)
    return jnp.where(q > -1.25, series, _quotient_exp(x, alpha, 1 - q) - 1)


@with_derivatives(lambda x, a: _quotient_exp(x, a, jnp.ones_like(x)), _celu_by_alpha)
def _celu_below(x: jax.Array, alpha: jax.Array) -> jax.Array:
    return alpha * expm1(x / alpha)


def _celu(x: jax.Array, alpha: jax.Array) -> jax.Array:
    return jnp.where(x > 0, x, _celu_below(_below(x), alpha))


def celu(x: Float[Array, "..."], alpha: float | Float[Array, "..."] = 1.0) -> Float[Array, "..."]:
    """Exponential linear unit with slope 1 on both sides of zero, whatever its level.

        f(x) = x where x > 0,    α (exp(x/α) − 1) elsewhere

    Gradient:
        f′(x) = 1 where x > 0, else exp(x/α)
        f″(x) = 0 where x > 0, else exp(x/α) / α
        ∂f/∂α = exp(x/α) (1 − x/α) − 1 where x ≤ 0, else 0

    The exponent is carried to more than working precision. The level is what the dtype of x holds
    of it, here and under ``jit``: 0.7 is 1.2·10⁻⁸ less in float32, which far out, at x = −67 α, is
    as much as 10 units in the last place of exp(x/α).

    Args:
        x: The argument.
        alpha: The level α > 0, negated, that f approaches at −∞; an array
            broadcasts to x, and gives nan where it is outside.

    Returns:
        f(x) in the shape and units of x.

    Raises:
        TypeError: If x is not a floating-point array, or α not a number.
        ValueError: If α ≤ 0, or its shape does not broadcast to that of x.

    Example:
        >>> print(celu(jnp.array([-jnp.inf, 0.0, 2.0]), alpha=0.5))
        [-0.5  0.   2. ]

    Source:
        Barron, Continuously differentiable exponential linear units (2017).
    """
    _checks.floating("celu", x=x)
    check_parameter("celu", "alpha", alpha, x, above=0)
    return nan_unless(alpha > 0, computed_wide(_celu, x, alpha))
