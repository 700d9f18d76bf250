"""Activations made of straight pieces, and of a parabola between two of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.activations._exponentials import check_parameter, computed_wide
from fnmath.numerics import with_derivatives


def identity(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The activation that is none.

        f(x) = x

    Gradient:
        f′(x) = 1,    f″(x) = 0

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
    return jnp.asarray(x)


def relu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Rectified linear unit.

        f(x) = max(x, 0)

    Gradient:
        f′(x) = 1 where x > 0, else 0,    f″(x) = 0        (0 at the kink too)

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


def relu6(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Rectified linear unit with a ceiling.

        f(x) = min(max(x, 0), 6)

    Gradient:
        f′(x) = 1 where 0 < x < 6, else 0,    f″(x) = 0        (0 at both kinks, as ``relu`` has it)

    Args:
        x: The argument.

    Returns:
        f(x), from 0 to 6, in the shape and units of x.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(relu6(jnp.array([-1.0, 2.0, 7.0])))
        [0. 2. 6.]

    Source:
        Krizhevsky, Convolutional deep belief networks on CIFAR-10 (2010), where the ceiling is 6;
        ``jax.nn.relu6``, whose derivative at a kink is ½.
    """
    _checks.floating("relu6", x=x)
    return jnp.where(x <= 0, 0, jnp.where(x >= 6, 6, x))


def _times(a: jax.Array, x: jax.Array) -> jax.Array:
    """The product a x, where 0 · ∞ is 0: a line of slope 0 stays at 0."""
    return jnp.where((a == 0) & jnp.isinf(x), 0, a * x)


@with_derivatives(
    lambda x, a: jnp.where(x >= 0, 1, a),
    lambda x, a: jnp.where(x >= 0, 0, x),
)
def _leaky(x: jax.Array, a: jax.Array) -> jax.Array:
    return jnp.where(x >= 0, x, _times(a, x))


def leaky_relu(
    x: Float[Array, "..."], negative_slope: float | Float[Array, "..."] = 0.01
) -> Float[Array, "..."]:
    """Rectified linear unit that lets a fraction of the negative side through.

        f(x) = x where x ≥ 0,    a x elsewhere

    Gradient:
        f′(x) = 1 where x ≥ 0, else a,    f″(x) = 0
        ∂f/∂a = min(x, 0)

    Args:
        x: The argument.
        negative_slope: The slope a; an array broadcasts to x. A slope of 0 gives 0, at −∞ too.

    Returns:
        f(x) in the shape and units of x.

    Raises:
        TypeError: If x is not a floating-point array, or the slope not a number.
        ValueError: If the slope is not finite, or its shape does not broadcast to that of x.

    Example:
        >>> print(leaky_relu(jnp.array([-1.0, 0.0, 2.0])))
        [-0.01  0.    2.  ]

    Source:
        Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models
        (2013), §2.
    """
    _checks.floating("leaky_relu", x=x)
    check_parameter("leaky_relu", "negative_slope", negative_slope, x)
    return computed_wide(_leaky, x, negative_slope)


def prelu(x: Float[Array, "..."], slope: float | Float[Array, "..."]) -> Float[Array, "..."]:
    """Parametric rectified linear unit: ``leaky_relu`` with a slope that is learnt.

        f(x, a) = max(x, 0) + a min(x, 0)

    Gradient:
        ∂f/∂x = 1 where x ≥ 0, else a,    ∂²f/∂x² = 0
        ∂f/∂a = min(x, 0)

    Args:
        x: The argument, features last.
        slope: The slope a of the negative side, in a shape that broadcasts to that of x: one number
            for all, or one for each feature.

    Returns:
        f(x, a) in the shape and units of x.

    Raises:
        TypeError: If x is not a floating-point array, or the slope not a number.
        ValueError: If the slope is not finite, or its shape does not broadcast to that of x.

    Example:
        >>> print(prelu(jnp.array([-2.0, -2.0, 2.0]), jnp.array([0.5, 0.25, 0.25])))
        [-1.  -0.5  2. ]

    Source:
        He, Zhang, Ren and Sun, Delving deep into rectifiers (2015), §2.1.
    """
    _checks.floating("prelu", x=x)
    check_parameter("prelu", "slope", slope, x)
    return computed_wide(_leaky, x, slope)


def hard_tanh(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The identity cut off at −1 and 1, in place of ``tanh``.

        f(x) = min(max(x, −1), 1)

    Gradient:
        f′(x) = 1 where |x| ≤ 1, else 0,    f″(x) = 0

    Args:
        x: The argument.

    Returns:
        f(x), from −1 to 1, in the shape and units of x.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(hard_tanh(jnp.array([-3.0, 0.5, 3.0])))
        [-1.   0.5  1. ]

    Source:
        Collobert, Large scale machine learning (2004); ``jax.nn.hard_tanh``, also for the
        derivative 1 at the kinks.
    """
    _checks.floating("hard_tanh", x=x)
    return jnp.where(x > 1, 1, jnp.where(x < -1, -1, x))


def _between(x: jax.Array, edge: float, inside: jax.Array, right: jax.Array | float) -> jax.Array:
    """0 left of the two edges, ``inside`` between them, ``right`` beyond."""
    return jnp.where(x <= -edge, 0, jnp.where(x >= edge, right, inside))


def hard_sigmoid(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """A straight line cut off at 0 and 1, in place of ``sigmoid``.

        f(x) = relu6(x + 3) / 6

    Gradient:
        f′(x) = 1/6 where −3 < x < 3, else 0,    f″(x) = 0

    Args:
        x: The argument.

    Returns:
        f(x), from 0 to 1, in the shape of x.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(hard_sigmoid(jnp.array([-4.0, 0.0, 1.5, 4.0])))
        [0.   0.5  0.75 1.  ]

    Source:
        Howard and others, Searching for MobileNetV3 (2019), §5.2; ``jax.nn.hard_sigmoid``.
    """
    _checks.floating("hard_sigmoid", x=x)
    return computed_wide(lambda x: _between(x, 3, (x + 3) / 6, 1), x)


def _hard_silu_slope(x: jax.Array) -> jax.Array:
    return _between(x, 3, (2 * x + 3) / 6, 1)


@with_derivatives(_hard_silu_slope)
def _hard_silu(x: jax.Array) -> jax.Array:
    return _between(x, 3, x * (x + 3) / 6, x)


def hard_silu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """A parabola between 0 and the identity, in place of ``silu``; also called hard swish.

        f(x) = x relu6(x + 3) / 6 = x (x + 3) / 6 where −3 < x < 3,    0 below,    x above

    Gradient:
        f′(x) = (2x + 3) / 6 where −3 < x < 3, 0 where x ≤ −3, 1 where x ≥ 3
        f″(x) = 1/3 where −3 < x < 3, else 0

    Args:
        x: The argument.

    Returns:
        f(x) in the shape of x; the least is −0.375, at x = −1.5.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(hard_silu(jnp.array([-jnp.inf, -1.5, 4.0])))
        [ 0.    -0.375  4.   ]

    Source:
        Howard and others, Searching for MobileNetV3 (2019), §5.2; ``jax.nn.hard_silu``.
    """
    _checks.floating("hard_silu", x=x)
    return computed_wide(_hard_silu, x)


def sparse_sigmoid(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """A straight line cut off at 0 and 1, the derivative of ``sparse_plus``.

        f(x) = 0 where x ≤ −1,    ½ (x + 1) where −1 < x < 1,    1 where x ≥ 1

    It is the probability of the first of two classes with the scores x and 0 under ``sparsemax``.

    Gradient:
        f′(x) = ½ where −1 < x < 1, else 0,    f″(x) = 0

    Args:
        x: The argument.

    Returns:
        f(x), from 0 to 1, in the shape of x.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(sparse_sigmoid(jnp.array([-2.0, 0.0, 0.5, 2.0])))
        [0.   0.5  0.75 1.  ]

    Source:
        Blondel, Martins and Niculae, Learning with Fenchel–Young losses (2020), §6.2.
    """
    _checks.floating("sparse_sigmoid", x=x)
    return computed_wide(_sparse_sigmoid, x)


def _sparse_sigmoid(x: jax.Array) -> jax.Array:
    return _between(x, 1, (x + 1) / 2, 1)


@with_derivatives(_sparse_sigmoid)
def _sparse_plus(x: jax.Array) -> jax.Array:
    return _between(x, 1, jnp.square((x + 1) / 2), x)


def sparse_plus(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """A parabola between 0 and the identity, in place of ``softplus``.

        f(x) = 0 where x ≤ −1,    ¼ (x + 1)² where −1 < x < 1,    x where x ≥ 1

    Gradient:
        f′(x) = sparse_sigmoid(x),    f″(x) = ½ where −1 < x < 1, else 0

    Args:
        x: The argument.

    Returns:
        f(x) in the shape of x.

    Raises:
        TypeError: If x is not a floating-point array.

    Example:
        >>> print(sparse_plus(jnp.array([-2.0, 0.0, 2.0])))
        [0.   0.25 2.  ]

    Source:
        Blondel, Martins and Niculae, Learning with Fenchel–Young losses (2020), §6.2;
        ``jax.nn.sparse_plus``.
    """
    _checks.floating("sparse_plus", x=x)
    return computed_wide(_sparse_plus, x)
