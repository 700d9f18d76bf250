"""The sigmoid, its integral, its logarithm, and the hyperbolic tangent."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.numerics import with_derivatives


def _sigmoid_curvature(x: jax.Array) -> jax.Array:
    """σ″(x) = −σ′(x) tanh(x/2)."""
    return -_sigmoid_slope(x) * jnp.tanh(x / 2)


@with_derivatives(_sigmoid_curvature)
def _sigmoid_slope(x: jax.Array) -> jax.Array:
    """σ′(x) = σ(x) σ(−x) = e / (1 + e)²."""
    e = jnp.exp(-jnp.abs(x))
    return e / jnp.square(1 + e)


@with_derivatives(_sigmoid_slope)
def sigmoid(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Logistic sigmoid, the probability whose log-odds are x.

        σ(x) = 1 / (1 + exp(−x))

    Computed as 1 / (1 + e) for x ≥ 0 and e / (1 + e) for x < 0, where nothing overflows.

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
    e = jnp.exp(-jnp.abs(x))
    return jnp.where(x >= 0, 1, e) / (1 + e)


@with_derivatives(sigmoid)
def softplus(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Smooth version of ``relu``, the integral of ``sigmoid``.

        f(x) = log(1 + exp(x)) = max(x, 0) + log1p(e)

    Gradient:
        f′(x) = σ(x)

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
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


def log_sigmoid(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Logarithm of the logistic sigmoid, the log-probability of the event with log-odds x.

        f(x) = log σ(x) = −softplus(−x)

    Never the logarithm of ``sigmoid``: σ(−104) is 0 in float32, and its logarithm −∞.

    Gradient:
        f′(x) = σ(−x)

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


@with_derivatives(lambda x: 4 * _sigmoid_slope(2 * x))
def tanh(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Hyperbolic tangent, the sigmoid stretched to (−1, 1).

        tanh x = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ) = 2 σ(2x) − 1

    Gradient:
        tanh′ x = 1 − tanh² x = 4 σ(2x) σ(−2x),    which does not cancel in the tails

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
    return jnp.tanh(x)
