"""Quotients, logarithms and products with logarithms that stay finite where they should."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.numerics.derivatives import with_derivatives


def _divide_by_numerator(x: jax.Array, y: jax.Array) -> jax.Array:
    return _divide(jnp.ones_like(x), y)


def _divide_by_denominator(x: jax.Array, y: jax.Array) -> jax.Array:
    return -_divide(_divide(x, y), y)


@with_derivatives(_divide_by_numerator, _divide_by_denominator)
def _divide(x: jax.Array, y: jax.Array) -> jax.Array:
    """The quotient x / y, and 0 where y = 0, in every derivative too."""
    return jnp.where(y == 0, 0, x / jnp.where(y == 0, 1, y))


def safe_divide(
    x: Float[Array, "..."],
    y: Float[Array, "..."],
    *,
    otherwise: float | Float[Array, "..."] = 0.0,
) -> Float[Array, "..."]:
    """Quotient that is defined at y = 0.

        q(x, y) = x / y where y ≠ 0,    c elsewhere

    A ``where`` around the bare quotient mends the value and leaves nan in the gradient, 0 · ∞.

    Gradient:
        ∂q/∂x = 1/y,    ∂q/∂y = −x/y²,    both 0 where y = 0

    Args:
        x: The numerator.
        y: The denominator, of a shape that broadcasts with x.
        otherwise: The value c where y = 0, whatever x is.

    Returns:
        The quotients.

    Raises:
        TypeError: If x or y is not a floating-point array, or ``otherwise`` not a real number.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(safe_divide(jnp.array([1.0, 0.0]), jnp.array([2.0, 0.0])))
        [0.5 0. ]

    Source:
        The documentation of ``jax.numpy.where`` (the double ``where``).
    """
    _checks.floating("safe_divide", x=x, y=y)
    _checks.broadcastable("safe_divide", x=x, y=y)
    quotient = _divide(x, y)
    _checks.real("safe_divide", otherwise=otherwise)
    _checks.broadcasts_to("safe_divide", "otherwise", otherwise, "x / y", quotient)
    return jnp.where(y == 0, jnp.asarray(otherwise, quotient.dtype), quotient)


def _slope_above(x: jax.Array, floor: jax.Array) -> jax.Array:
    """1/x above the floor, 0 from 0 to the floor, nan below 0."""
    above = x > floor
    below = jnp.where(x >= 0, 0, jnp.nan)
    return jnp.where(above, 1 / jnp.where(above, x, 1), below).astype(x.dtype)


@with_derivatives(_slope_above, None)
def _log_above(x: jax.Array, floor: jax.Array) -> jax.Array:
    """The logarithm of max(x, floor), and nan below 0."""
    return jnp.log(jnp.where(x >= 0, jnp.maximum(x, floor), jnp.nan))


def safe_log(x: Float[Array, "..."], *, floor: float | None = None) -> Float[Array, "..."]:
    """Logarithm with a floor under its argument, so that log 0 is finite.

        f(x) = log max(x, c)        (x ≥ 0)

    Unlike log(x + ε) it is exact wherever x ≥ c. Below c it is constant, and so is its derivative
    0: an entry that has reached the floor is no longer moved. For x log x use ``xlogy``, which
    needs no floor.

    Gradient:
        f′(x) = 1/x where x > c, else 0

    Args:
        x: What to take the logarithm of, x ≥ 0; nan is returned below.
        floor: The floor c > 0; by default the smallest normal number of x's dtype, whose logarithm
            is −87.3 in float32, −708.4 in float64 and −9.7 in float16.

    Returns:
        Logarithms, in nats, in the shape of x.

    Raises:
        TypeError: If x is not a floating-point array.
        ValueError: If the floor is not one number above 0.

    Example:
        >>> x = jnp.array([0.0, 1.0])
        >>> print(safe_log(x), jax.vmap(jax.grad(safe_log))(x))
        [-87.33655   0.     ] [0. 1.]

    Source:
        Higham, Accuracy and Stability of Numerical Algorithms (2002), §2.1 (the smallest normal
        number); the floor and the derivative below it are a convention of this library.
    """
    _checks.floating("safe_log", x=x)
    if floor is None:
        floor = float(jnp.finfo(jnp.result_type(x)).tiny)
    _checks.scalar("safe_log", "floor", floor, above=0)
    return _log_above(x, jnp.asarray(floor, jnp.result_type(x)))


def _ratio_by_numerator(x: jax.Array, y: jax.Array) -> jax.Array:
    return _ratio(jnp.ones_like(x), y)


def _ratio_by_denominator(x: jax.Array, y: jax.Array) -> jax.Array:
    return -_ratio(_ratio(x, y), y)


@with_derivatives(_ratio_by_numerator, _ratio_by_denominator)
def _ratio(x: jax.Array, y: jax.Array) -> jax.Array:
    """The quotient x / y with 0/0 = 0, the derivative of x log y."""
    return jnp.where((x == 0) & ~jnp.isnan(y), 0, x / y)


@with_derivatives(lambda x, y: jnp.log(y), lambda x, y: _ratio(x, y))
def xlogy(x: Float[Array, "..."], y: Float[Array, "..."]) -> Float[Array, "..."]:
    """Product x log y with 0 · log 0 = 0, the summand of entropies.

        f(x, y) = x log y where x ≠ 0,    0 where x = 0

    which is the limit of x log x at 0. The bare product has 0 · (−∞) = nan there, and autodiff of
    it 0/0 = nan.

    Gradient:
        ∂f/∂x = log y,    ∂f/∂y = x/y, and 0 where x = 0

    Args:
        x: The factor, such as a probability.
        y: The argument of the logarithm, y ≥ 0, of a shape that broadcasts with x.

    Returns:
        The products; nan where either is nan, or y < 0 and x ≠ 0.

    Raises:
        TypeError: If x or y is not a floating-point array.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> p = jnp.array([0.0, 0.5, 0.5])
        >>> print(f"{-xlogy(p, p).sum():.4f}")  # the entropy of a coin, log 2
        0.6931

    Source:
        ``scipy.special.xlogy``; Cover and Thomas, Elements of Information Theory (2006), §2.1 (the
        convention 0 log 0 = 0).
    """
    _checks.floating("xlogy", x=x, y=y)
    _checks.broadcastable("xlogy", x=x, y=y)
    return jnp.where((x == 0) & ~jnp.isnan(y), 0, x * jnp.log(y))


@with_derivatives(lambda x, y: jnp.log1p(y), lambda x, y: _ratio(x, 1 + y))
def xlog1py(x: Float[Array, "..."], y: Float[Array, "..."]) -> Float[Array, "..."]:
    """Product x log(1 + y) with 0 · log 0 = 0, accurate for small y.

        f(x, y) = x log1p(y) where x ≠ 0,    0 where x = 0

    Gradient:
        ∂f/∂x = log1p(y),    ∂f/∂y = x/(1 + y), and 0 where x = 0

    Args:
        x: The factor, such as the probability of a failure.
        y: What is added to 1, y ≥ −1, of a shape that broadcasts with x.

    Returns:
        The products; nan where either is nan, or y < −1 and x ≠ 0.

    Raises:
        TypeError: If x or y is not a floating-point array.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(xlog1py(jnp.array([0.0, 2.0]), jnp.array([-1.0, 1e-10])))
        [0.e+00 2.e-10]

    Source:
        ``scipy.special.xlog1py``; Higham, Accuracy and Stability of Numerical Algorithms (2002),
        §1.14.1 (the like loss in exp(x) − 1).
    """
    _checks.floating("xlog1py", x=x, y=y)
    _checks.broadcastable("xlog1py", x=x, y=y)
    return jnp.where((x == 0) & ~jnp.isnan(y), 0, x * jnp.log1p(y))


def _inverse_expm1_slope(x: jax.Array) -> jax.Array:
    b = _inverse_expm1(x)
    return -b * (1 + b)


@with_derivatives(_inverse_expm1_slope)
def _inverse_expm1(x: jax.Array) -> jax.Array:
    """The slope b = 1 / (exp(x) − 1) of log1mexp for x ≥ 0, whose own is −b (1 + b)."""
    return jnp.where(x < 0, jnp.nan, 1 / jnp.expm1(x))


@with_derivatives(_inverse_expm1)
def log1mexp(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Logarithm of 1 − exp(−x): from the log-probability −x of an event to that of its opposite.

        f(x) = log(1 − exp(−x)) = log(−expm1(−x))     where x ≤ log 2
                                  log1p(−exp(−x))     elsewhere

    Each form is accurate where it is taken: the first keeps a small difference, the second a small
    exponential.

    Gradient:
        f′(x) = 1 / (exp(x) − 1) = b,    b′ = −b (1 + b)

    Args:
        x: A log-probability with its sign changed, x ≥ 0, in nats.

    Returns:
        Log-probabilities, in nats, in the shape of x: −∞ at 0, 0 at ∞, nan below 0.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(log1mexp(jnp.array([0.0, 1e-30, 20.0])))  # −∞, −30 log 10, −e⁻²⁰
        [          -inf -6.9077553e+01 -2.0611537e-09]

    Source:
        Mächler, Accurately computing log(1 − exp(−|a|)) (2012), §2, equation (7).
    """
    _checks.floating("log1mexp", x=x)
    near = jnp.log(-jnp.expm1(-x))
    far = jnp.log1p(-jnp.exp(-x))
    return jnp.where(x <= math.log(2), near, far)
