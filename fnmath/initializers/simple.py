"""Initialisers that do not look at the shape: constants, and independent draws of one spread."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.initializers._arguments import (
    DType,
    Initializer,
    Shape,
    checked,
    default_dtype,
    no_key,
    positive,
    python_number,
)


def zeros(key: PRNGKeyArray, shape: Shape, dtype: DType = None) -> Float[Array, "..."]:
    """The initialiser of biases: nothing but 0.

        bᵢ = 0

    Args:
        key: A random key, which is not used: every initialiser takes one.
        shape: The shape of the array.
        dtype: Its floating dtype; JAX's default one when None.

    Returns:
        An array of zeros.

    Raises:
        TypeError: If the key is not a random key, the shape not a tuple of integers, or the dtype
            not a floating one.
        ValueError: If a size is negative.

    Example:
        >>> print(zeros(jax.random.key(0), (3,)))
        [0. 0. 0.]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §8.4.
    """
    shape, dtype = checked("zeros", key, shape, dtype)
    return jnp.zeros(shape, dtype)


def ones(key: PRNGKeyArray, shape: Shape, dtype: DType = None) -> Float[Array, "..."]:
    """The initialiser of scales: nothing but 1.

        sᵢ = 1

    Args:
        key: A random key, which is not used: every initialiser takes one.
        shape: The shape of the array.
        dtype: Its floating dtype; JAX's default one when None.

    Returns:
        An array of ones.

    Raises:
        TypeError: If the key is not a random key, the shape not a tuple of integers, or the dtype
            not a floating one.
        ValueError: If a size is negative.

    Example:
        >>> print(ones(jax.random.key(0), (3,)))
        [1. 1. 1.]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §8.4.
    """
    shape, dtype = checked("ones", key, shape, dtype)
    return jnp.ones(shape, dtype)


def constant(value: float | Float[Array, "..."], dtype: DType = None) -> Initializer:
    """Initialiser that gives one number everywhere, or one array.

        bᵢ = c

    Args:
        value: The number c, or an array that broadcasts to the shape asked for, such as the
            logarithms of the classes' frequencies.
        dtype: The dtype where none is asked for; JAX's default one when None.

    Returns:
        An initialiser ``init(key, shape, dtype)``. It raises ``ValueError`` for a shape to which
        an array c does not broadcast.

    Raises:
        TypeError: If the value is not a number, or the dtype not a floating one.
        ValueError: If the value is a number and not finite.

    Example:
        >>> print(constant(0.1)(jax.random.key(0), (3,)))
        [0.1 0.1 0.1]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §8.4 (biases that start a relu in
        its active half); ``jax.nn.initializers.constant``.
    """
    no_key("constant", "value", value)
    _checks.number("constant", "value", value)
    default = default_dtype("constant", dtype)

    def init(key: PRNGKeyArray, shape: Shape, dtype: DType = default) -> Float[Array, "..."]:
        shape, dtype = checked("constant", key, shape, dtype)
        full = jax.ShapeDtypeStruct(shape, jnp.float32)
        _checks.broadcasts_to("constant", "value", value, "the shape", full)
        return jnp.full(shape, value, dtype)

    return init


def normal(stddev: float | Float[Array, ""] = 0.01, dtype: DType = None) -> Initializer:
    """Initialiser that draws from a normal distribution about 0.

        Wᵢ ~ 𝒩(0, s²)

    Args:
        stddev: The standard deviation s > 0; an array that is not above 0 gives nan.
        dtype: The dtype where none is asked for; JAX's default one when None.

    Returns:
        An initialiser ``init(key, shape, dtype)``.

    Raises:
        TypeError: If the standard deviation is not a number, or the dtype not a floating one.
        ValueError: If it is not above 0, or an array with axes.

    Example:
        >>> W = normal(0.02)(jax.random.key(0), (1000, 64))
        >>> print(f"{W.std():.3f}")
        0.020

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §8.4.
    """
    s = positive("normal", "stddev", stddev)
    default = default_dtype("normal", dtype)

    def init(key: PRNGKeyArray, shape: Shape, dtype: DType = default) -> Float[Array, "..."]:
        shape, dtype = checked("normal", key, shape, dtype)
        return jnp.asarray(s, dtype) * jax.random.normal(key, shape, dtype)

    return init


# Beyond this the two values of the distribution function that bound the draws have too few
# floating-point numbers between them: from 4 on 531 in float32, from 5 on five, from 5.5 on none.
_FARTHEST = 4


def truncated_normal(
    stddev: float | Float[Array, ""] = 0.01,
    dtype: DType = None,
    lower: float = -2.0,
    upper: float = 2.0,
) -> Initializer:
    """Initialiser that draws from a normal distribution cut off on both sides.

        Wᵢ = s z,    z ~ 𝒩(0, 1) given that a < z < b

    The variance is that of what is left, less than s²: 0.774 s² between ±2.
    ``variance_scaling`` widens its draws so that theirs is the one asked for.

    Args:
        stddev: The standard deviation s > 0 before the cut; an array that is not above 0 gives nan.
        dtype: The dtype where none is asked for; JAX's default one when None.
        lower: The lower end a, in standard deviations; −∞ for none.
        upper: The upper end b, in standard deviations; ∞ for none.

    Returns:
        An initialiser ``init(key, shape, dtype)``.

    Raises:
        TypeError: If one of the numbers is not a number, or the dtype not a floating one.
        ValueError: If s is not above 0, a not below b, or all between them more than 4 standard
            deviations from 0, where the draws of a distribution function have no digits left.

    Example:
        >>> W = truncated_normal(1.0)(jax.random.key(0), (1000, 64))
        >>> print(f"{abs(W).max():.1f} {W.var():.1f}")
        2.0 0.8

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``jax.nn.initializers.truncated_normal``.
    """
    s = positive("truncated_normal", "stddev", stddev)
    default = default_dtype("truncated_normal", dtype)
    python_number("truncated_normal", "lower", lower, below=_FARTHEST, closed="[]")
    python_number("truncated_normal", "upper", upper, above=-_FARTHEST, closed="[]")
    if not lower < upper:
        _checks.fail(
            "truncated_normal", f"lower is {lower} and upper {upper}; wanted lower < upper"
        )

    def init(key: PRNGKeyArray, shape: Shape, dtype: DType = default) -> Float[Array, "..."]:
        shape, dtype = checked("truncated_normal", key, shape, dtype)
        far = max(abs(lower), abs(upper)) > 2  # there 8 or 11 bits of a probability are too few
        wide = jnp.promote_types(dtype, jnp.float32) if far else dtype
        draws = jax.random.truncated_normal(key, lower, upper, shape, wide).astype(dtype)
        return jnp.asarray(s, dtype) * jnp.clip(draws, lower, upper)

    return init


def uniform(scale: float | Float[Array, ""] = 0.01, dtype: DType = None) -> Initializer:
    """Initialiser that draws evenly from 0 to a bound.

        Wᵢ ~ 𝒰[0, s)

    Args:
        scale: The bound s > 0, which is not drawn itself; an array that is not above 0 gives nan.
        dtype: The dtype where none is asked for; JAX's default one when None.

    Returns:
        An initialiser ``init(key, shape, dtype)``.

    Raises:
        TypeError: If the scale is not a number, or the dtype not a floating one.
        ValueError: If it is not above 0, or an array with axes.

    Example:
        >>> draw = uniform(0.1)(jax.random.key(0), (1000, 64))
        >>> print(draw.min() >= 0, f"{draw.mean():.3f}")
        True 0.050

    Source:
        ``jax.nn.initializers.uniform``, whose interval this is.
    """
    s = positive("uniform", "scale", scale)
    default = default_dtype("uniform", dtype)

    def init(key: PRNGKeyArray, shape: Shape, dtype: DType = default) -> Float[Array, "..."]:
        shape, dtype = checked("uniform", key, shape, dtype)
        return jnp.asarray(s, dtype) * jax.random.uniform(key, shape, dtype)

    return init
