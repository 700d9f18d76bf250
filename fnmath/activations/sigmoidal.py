"""The sigmoid, its integral, its logarithm, the hyperbolic tangent, and algebraic relatives."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.activations._exponentials import (
    check_parameter,
    computed_wide,
    decaying,
    expm1,
    nan_unless,
)
from fnmath.numerics import with_derivatives


def _sigmoid_curvature(x: jax.Array) -> jax.Array:
    """σ″(x) = −σ′(x) tanh(x/2)."""
    e = jnp.exp(-jnp.abs(x))
    return -e / jnp.square(1 + e) * jnp.tanh(x / 2)


@with_derivatives(_sigmoid_curvature)
def _sigmoid_slope(x: jax.Array) -> jax.Array:
    """σ′(x) = σ(x) σ(−x) = s² w,    w = exp(−x), s = 1 / (1 + w): the exponential of σ."""
    w = jnp.exp(-x)
    s = 1 / (1 + w)
    return jnp.minimum(w, float(jnp.finfo(x.dtype).max)) * s * s


@with_derivatives(_sigmoid_slope)
def _sigmoid(x: jax.Array) -> jax.Array:
    return 1 / (1 + jnp.exp(-x))


def sigmoid(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Logistic sigmoid, the probability whose log-odds are x.

        σ(x) = 1 / (1 + exp(−x))

    Where the exponential overflows, at −89 in float32, the quotient is below the smallest normal
    number, and 0 is its value.

    Gradient:
        σ′(x) = σ(x) σ(−x),    σ″(x) = −σ′(x) tanh(x/2)

    Args:
        x: Log-odds, in nats.

    Returns:
        Probabilities in the shape of x.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(sigmoid(jnp.array([-jnp.inf, 0.0, jnp.log(3.0)])).round(6))  # odds 0, 1, 3
        [0.   0.5  0.75]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §3.10 and §6.2.2.2.
    """
    _checks.floating("sigmoid", x=x)
    return computed_wide(_sigmoid, x)


@with_derivatives(_sigmoid_slope)
def _softplus_slope(x: jax.Array) -> jax.Array:
    """The sigmoid from the exponential that softplus needs."""
    e = jnp.exp(-jnp.abs(x))
    return jnp.where(x >= 0, 1, e) / (1 + e)


@with_derivatives(_softplus_slope)
def _softplus(x: jax.Array) -> jax.Array:
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


def softplus(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Smooth version of ``relu``, the integral of ``sigmoid``.

        f(x) = log(1 + exp(x)) = max(x, 0) + log1p(e)

    Gradient:
        f′(x) = σ(x),    f″(x) = σ(x) σ(−x)

    Args:
        x: The argument.

    Returns:
        f(x) > 0 in the shape of x.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(softplus(jnp.array([-20.0, 0.0, 1000.0])))  # e⁻²⁰, log 2, 1000
        [2.0611537e-09 6.9314718e-01 1.0000000e+03]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §3.10.
    """
    _checks.floating("softplus", x=x)
    return computed_wide(_softplus, x)


def log_sigmoid(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Logarithm of the logistic sigmoid, the log-probability of the event with log-odds x.

        f(x) = log σ(x) = −softplus(−x)

    Never the logarithm of ``sigmoid``: σ(−104) is 0 in float32, and its logarithm −∞.

    Gradient:
        f′(x) = σ(−x),    f″(x) = −σ(x) σ(−x)

    Args:
        x: Log-odds, in nats.

    Returns:
        Log-probabilities, in nats, in the shape of x.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(log_sigmoid(jnp.array([-1000.0, 20.0])))
        [-1.0000000e+03 -2.0611537e-09]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §3.10 and §6.2.2.2.
    """
    _checks.floating("log_sigmoid", x=x)
    return -softplus(-x)


def _exact_tanh(x: jax.Array) -> jax.Array:
    """The tangent tanh x = sign(x) (1 − e) / (1 + e),    e = exp(−2|x|)."""
    less = expm1(-2 * jnp.abs(x))
    return -jnp.sign(x) * less / (2 + less)


def _tanh_curvature(x: jax.Array) -> jax.Array:
    """tanh″ x = −2 tanh x tanh′ x."""
    E, k = decaying(2 * jnp.abs(x))
    return -8 * _exact_tanh(x) * k * E / jnp.square(1 + k * E)


@with_derivatives(_tanh_curvature)
def _tanh_slope(x: jax.Array) -> jax.Array:
    E, k = decaying(2 * jnp.abs(x))
    return 4 * k * E / jnp.square(1 + k * E)


@with_derivatives(_tanh_slope)
def _tanh(x: jax.Array) -> jax.Array:
    return _exact_tanh(x) if x.dtype == jnp.float64 else jnp.tanh(x)


def tanh(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Hyperbolic tangent, the sigmoid stretched to (−1, 1).

        tanh x = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ) = 2 σ(2x) − 1

    Gradient:
        tanh′ x = 1 − tanh² x = 4 σ(2x) σ(−2x),    which does not cancel in the tails
        tanh″ x = −2 tanh x tanh′ x

    Args:
        x: The argument.

    Returns:
        Numbers from −1 to 1 in the shape of x.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(tanh(jnp.array([-jnp.inf, 0.0])))
        [-1.  0.]
        >>> print(f"{jax.grad(tanh)(jnp.array(20.0)):.3g}")  # 4 e⁻⁴⁰
        1.7e-17

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §6.3.2.
    """
    _checks.floating("tanh", x=x)
    return computed_wide(_tanh, x)


def _soft_sign_curvature(x: jax.Array) -> jax.Array:
    return -2 * jnp.sign(x) / (1 + jnp.abs(x)) ** 3


@with_derivatives(_soft_sign_curvature)
def _soft_sign_slope(x: jax.Array) -> jax.Array:
    return 1 / jnp.square(1 + jnp.abs(x))


@with_derivatives(_soft_sign_slope)
def _soft_sign(x: jax.Array) -> jax.Array:
    largest = float(jnp.finfo(x.dtype).max)
    x = jnp.clip(x, -largest, largest)
    return x / (1 + jnp.abs(x))


def soft_sign(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Algebraic relative of ``tanh``, which approaches its limits slowly.

        f(x) = x / (1 + |x|)

    Gradient:
        f′(x) = 1 / (1 + |x|)²,    f″(x) = −2 sign(x) / (1 + |x|)³        (0 at 0, where it jumps)

    Args:
        x: The argument.

    Returns:
        Numbers from −1 to 1 in the shape of x.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(soft_sign(jnp.array([-jnp.inf, 0.0, 3.0])))
        [-1.    0.    0.75]

    Source:
        Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks
        (2010), §3 (the softsign of Bergstra and others).
    """
    _checks.floating("soft_sign", x=x)
    return computed_wide(_soft_sign, x)


def _most(x: jax.Array) -> float:
    """A number whose square is finite, and dwarfs b."""
    return 2.0 ** (jnp.finfo(x.dtype).maxexp // 2 - 4)


def _cut_off(x: jax.Array) -> jax.Array:
    """The share c/|x| ≤ 1 that is left of |x| by the cut."""
    return _most(x) / jnp.maximum(jnp.abs(x), _most(x))


def _hypotenuse(x: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """c, s = c² + b and √s, for |x| cut off at a c whose square is finite and dwarfs b."""
    c = jnp.minimum(jnp.abs(x), _most(x))
    s = c * c + b
    return c, s, jnp.sqrt(s)


def _half_sum(x: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The half sum h = ½ (|x| + r) and r = √(x² + b), for x of any size."""
    c, _, root = _hypotenuse(x, b)
    r = root + (jnp.abs(x) - c)
    return (jnp.abs(x) / 2) + r / 2, r


def _over(y: jax.Array | float, x: jax.Array) -> jax.Array:
    """The quotient y / x, where 0/0 is taken as 0."""
    return jnp.where(x == 0, 0, y / jnp.where(x == 0, 1, x))


def _squareplus_curvature(x: jax.Array, b: jax.Array) -> jax.Array:
    _, s, root = _hypotenuse(x, b)
    q = _cut_off(x)
    return _over(b / 2, s) * q * q * _over(q, root)


def _squareplus_slope_by_b(x: jax.Array, b: jax.Array) -> jax.Array:
    c, s, root = _hypotenuse(x, b)
    q = _cut_off(x)
    return -_over(jnp.sign(x) * c / 4, s) * q * _over(q, root)


@with_derivatives(_squareplus_curvature, _squareplus_slope_by_b)
def _squareplus_slope(x: jax.Array, b: jax.Array) -> jax.Array:
    c, _, root = _hypotenuse(x, b)
    h, r = _half_sum(x, b)
    return jnp.where(
        x > 0, 0.5 + _over(c / 2, root), jnp.where(x < 0, _over(_over(b / 4, h), r), 0.5)
    )


@with_derivatives(_squareplus_slope, lambda x, b: _over(0.25, _half_sum(x, b)[1]))
def _narrow_squareplus(x: jax.Array, b: jax.Array) -> jax.Array:
    h, _ = _half_sum(x, b)
    return jnp.where(x >= 0, h, _over(b / 4, h))


def _squareplus(x: jax.Array, b: jax.Array) -> jax.Array:
    """In units in which squares of numbers beside √b are finite: f(k x, k² b) = k f(x, b)."""
    finfo = jnp.finfo(x.dtype)
    k = jnp.where(b > 2.0 ** (finfo.maxexp - finfo.nmant - 16), finfo.eps, 1).astype(x.dtype)
    return _narrow_squareplus(k * x, k * (k * b)) / k


def squareplus(x: Float[Array, "..."], b: float | Float[Array, "..."] = 4.0) -> Float[Array, "..."]:
    """Algebraic relative of ``softplus``: a branch of a hyperbola above ``relu``.

        f(x) = ½ (x + r) where x ≥ 0,    ¼ b / (½ (|x| + r)) elsewhere,    r = √(x² + b)

    The second form is the first one, f(x) f(−x) = ¼ b, without its cancellation: in float32 a sum
    of −5000 and √(5000² + 4) is 0.

    Gradient:
        f′(x) = f(x) / r,    f″(x) = ½ b / r³
        ∂f/∂b = ¼ / r

    Args:
        x: The argument.
        b: The width b ≥ 0 of the bend, the square of units of x; f(0) = ½ √b. An array broadcasts
            to x, and gives nan where it is below 0.

    Returns:
        f(x) in the shape and units of x.

    Raises:
        TypeError: If x is not a floating-point array, or b not a number.
        ValueError: If b < 0, or its shape does not broadcast to that of x.

    Example:
        >>> print(squareplus(jnp.array([-jnp.inf, 0.0, 1.5])))
        [0. 1. 2.]

    Source:
        Barron, Squareplus: a softplus-like algebraic rectifier (2021).
    """
    _checks.floating("squareplus", x=x)
    check_parameter("squareplus", "b", b, x, above=0, closed="[")
    return nan_unless(b >= 0, computed_wide(_squareplus, x, b))
