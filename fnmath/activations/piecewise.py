"""Activations with one formula on either side of zero."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.numerics import with_derivatives


def identity(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The activation that is none.

        f(x) = x

    Gradient:
        f′(x) = 1

    Args:
        x: The argument.

    Returns:
        x itself, in its shape and units.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(identity(jnp.array([-1.0, 2.0])))
        [-1.  2.]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §6.2.2.1 (linear units).
    """
    _checks.floating("identity", x=x)
    return x


def relu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Rectified linear unit.

        f(x) = max(x, 0)

    Gradient:
        f′(x) = 1 where x > 0, else 0        (0 at the kink, as everywhere in practice)

    Args:
        x: The argument.

    Returns:
        f(x) in the shape and units of x.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(relu(jnp.array([-1.0, 0.0, 2.0])), jax.grad(relu)(0.0))
        [0. 0. 2.] 0.0

    Source:
        Glorot, Bordes and Bengio, Deep sparse rectifier neural networks (2011), §3.1; for f′(0) = 0
        Bertoin, Bolte, Gerchinovitz and Pauwels, Numerical influence of ReLU′(0) on
        backpropagation (2021).
    """
    _checks.floating("relu", x=x)
    return jnp.where(x <= 0, 0, x)


def leaky_relu(
    x: Float[Array, "..."], negative_slope: float | Float[Array, "..."] = 0.01
) -> Float[Array, "..."]:
    """Rectified linear unit that lets a fraction of the negative side through.

        f(x) = x where x ≥ 0,    a x elsewhere

    Gradient:
        f′(x) = 1 where x ≥ 0, else a

    Args:
        x: The argument.
        negative_slope: The slope a; an array, such as one learnt per feature, broadcasts to x.

    Returns:
        f(x) in the shape and units of x.

    Raises:
        TypeError: If x is not a floating-point array, or the slope not a number.

    Example:
        >>> print(leaky_relu(jnp.array([-1.0, 0.0, 2.0])))
        [-0.01  0.    2.  ]

    Source:
        Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models
        (2013), §2; a learnt slope: He, Zhang, Ren and Sun, Delving deep into rectifiers (2015),
        §2.1.
    """
    _checks.floating("leaky_relu", x=x)
    _checks.number("leaky_relu", "negative_slope", negative_slope)
    _checks.broadcasts_to("leaky_relu", "negative_slope", negative_slope, "x", x)
    return jnp.where(x >= 0, x, negative_slope * x)


# JAX differentiates expm1 as expm1 + 1, which is 0 where exp(x) is below ε.
_expm1 = with_derivatives(jnp.exp)(jnp.expm1)


def elu(x: Float[Array, "..."], alpha: float | Float[Array, "..."] = 1.0) -> Float[Array, "..."]:
    """Exponential linear unit: the identity above zero, an exponential that saturates below.

        f(x) = x where x > 0,    α (eˣ − 1) elsewhere

    Computed through expm1, whose argument is 0 where the other branch is taken.

    Gradient:
        f′(x) = 1 where x > 0, else α eˣ

    Args:
        x: The argument.
        alpha: The level α ≥ 0, negated, that f approaches at −∞; an array broadcasts to x.

    Returns:
        f(x) in the shape and units of x.

    Raises:
        TypeError: If x is not a floating-point array, or α not a number.
        ValueError: If α < 0.

    Example:
        >>> print(elu(jnp.array([-jnp.inf, 0.0, 2.0])))
        [-1.  0.  2.]

    Source:
        Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by exponential
        linear units (2016), §3.
    """
    _checks.floating("elu", x=x)
    _checks.number("elu", "alpha", alpha, above=0, closed="[")
    _checks.broadcasts_to("elu", "alpha", alpha, "x", x)
    return jnp.where(x > 0, x, alpha * _expm1(jnp.where(x > 0, 0, x)))
