"""Activations that make one feature of several: gated linear units, and the largest of a few.

Notation: a and b are the first and the second half of x along an axis; b holds the gates.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.activations._exponentials import computed_wide
from fnmath.activations.gated import gelu, silu
from fnmath.activations.piecewise import relu
from fnmath.activations.sigmoidal import sigmoid


def _halves(function: str, x: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """The values a and the gates b."""
    _checks.floating(function, x=x)
    _checks.axis(function, "axis", axis, x)
    n = jnp.shape(x)[axis]
    if n % 2:
        problem = f"x {jnp.shape(x)} has {n} entries on axis {axis}; wanted an even number"
        _checks.fail(function, problem)
    a, b = jnp.split(jnp.asarray(x), 2, axis)
    return a, b


def glu(x: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """Gated linear unit: one half of the features, each let through as far as another one says.

        f(a, b) = a σ(b)

    The gate is rounded before the product: where σ(b) is below the normal numbers, past b = −87 in
    float32, the product is 0 for an a of any size.

    Gradient:
        ∂f/∂a = σ(b),    ∂f/∂b = a σ(b) σ(−b)

    Args:
        x: The values a, followed by the gates b.
        axis: The axis along which they follow each other.

    Returns:
        f(a, b), half as long as x on the axis.

    Raises:
        TypeError: If x is not a floating-point array, or the axis no integer.
        ValueError: If the axis is none of x's, or of odd size.

    Example:
        >>> print(glu(jnp.array([2.0, 4.0, 0.0, jnp.inf])))
        [1. 4.]

    Source:
        Dauphin, Fan, Auli and Grangier, Language modeling with gated convolutional networks (2017),
        §2; ``jax.nn.glu``.
    """
    a, b = _halves("glu", x, axis)
    return computed_wide(lambda a, b: a * sigmoid(b), a, b)


def reglu(x: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """Gated linear unit whose gate is ``relu``.

        f(a, b) = a relu(b)

    Gradient:
        ∂f/∂a = relu(b),    ∂f/∂b = a where b > 0, else 0

    Args:
        x: The values a, followed by the gates b.
        axis: The axis along which they follow each other.

    Returns:
        f(a, b), half as long as x on the axis.

    Raises:
        TypeError: If x is not a floating-point array, or the axis no integer.
        ValueError: If the axis is none of x's, or of odd size.

    Example:
        >>> print(reglu(jnp.array([2.0, 4.0, -1.0, 3.0])))
        [ 0. 12.]

    Source:
        Shazeer, GLU variants improve transformer (2020), §2, equation (5).
    """
    a, b = _halves("reglu", x, axis)
    return computed_wide(lambda a, b: a * relu(b), a, b)


def geglu(
    x: Float[Array, "..."], axis: int = -1, *, approximate: bool = True
) -> Float[Array, "..."]:
    """Gated linear unit whose gate is ``gelu``.

        f(a, b) = a gelu(b)

    Gradient:
        ∂f/∂a = gelu(b),    ∂f/∂b = a gelu′(b)

    Args:
        x: The values a, followed by the gates b.
        axis: The axis along which they follow each other.
        approximate: Whether to take the tanh form of ``gelu``.

    Returns:
        f(a, b), half as long as x on the axis.

    Raises:
        TypeError: If x is not a floating-point array, the axis no integer, or approximate neither
            True nor False.
        ValueError: If the axis is none of x's, or of odd size.

    Example:
        >>> print(geglu(jnp.array([2.0, 4.0, 0.0, 20.0])))
        [ 0. 80.]

    Source:
        Shazeer, GLU variants improve transformer (2020), §2, equation (5).
    """
    a, b = _halves("geglu", x, axis)
    _checks.boolean("geglu", "approximate", approximate)
    return computed_wide(lambda a, b: a * gelu(b, approximate), a, b)


def swiglu(x: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """Gated linear unit whose gate is ``silu``, also called swish.

        f(a, b) = a silu(b) = a b σ(b)

    Gradient:
        ∂f/∂a = silu(b),    ∂f/∂b = a silu′(b)

    Args:
        x: The values a, followed by the gates b.
        axis: The axis along which they follow each other.

    Returns:
        f(a, b), half as long as x on the axis.

    Raises:
        TypeError: If x is not a floating-point array, or the axis no integer.
        ValueError: If the axis is none of x's, or of odd size.

    Example:
        >>> print(swiglu(jnp.array([2.0, 4.0, 0.0, 20.0])))
        [ 0. 80.]

    Source:
        Shazeer, GLU variants improve transformer (2020), §2, equation (5), with β = 1.
    """
    a, b = _halves("swiglu", x, axis)
    return computed_wide(lambda a, b: a * silu(b), a, b)


def maxout(x: Float[Array, "..."], pieces: int, *, axis: int = -1) -> Float[Array, "..."]:
    """The largest of each group of features: a convex function that is learnt, piece by piece.

        f(x)ᵢ = max(xₖᵢ, xₖᵢ₊₁, …, xₖᵢ₊ₖ₋₁)        (i from 0)

    Gradient:
        ∂f(x)ᵢ/∂xⱼ = 1 for the largest of the group; n that tie have 1/n each

    Args:
        x: Features, of which each k that follow each other are a group.
        pieces: The number k of pieces in a group.
        axis: The axis along which the features lie.

    Returns:
        The maxima, in the units of x; on the axis there are 1/k as many.

    Raises:
        TypeError: If x is not a floating-point array, or k or the axis no integer.
        ValueError: If the axis is none of x's, or k < 1 or no divisor of its size.

    Example:
        >>> print(maxout(jnp.array([1.0, 3.0, -2.0, -4.0]), 2))
        [ 3. -2.]

    Source:
        Goodfellow, Warde-Farley, Mirza, Courville and Bengio, Maxout networks (2013), §2.
    """
    _checks.floating("maxout", x=x)
    _checks.size("maxout", pieces=pieces)
    _checks.axis("maxout", "axis", axis, x)
    x = jnp.asarray(x)
    axis, n = axis % x.ndim, x.shape[axis]
    if n % pieces:
        problem = f"x {x.shape} has {n} entries on axis {axis}; wanted a multiple of {pieces}"
        _checks.fail("maxout", problem)
    groups = x.reshape(*x.shape[:axis], n // pieces, pieces, *x.shape[axis + 1 :])
    return jnp.max(groups, axis + 1)
