"""Sums over axes that neither overflow nor round the small away: of exponentials, of squares."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fnmath import _checks
from fnmath.numerics._shifted import shifted_logmeanexp, shifted_logsumexp
from fnmath.numerics._wide import computed_wide
from fnmath.numerics.elementwise import safe_divide


def logsumexp(
    x: Float[Array, "..."],
    axis: int | tuple[int, ...] | None = None,
    *,
    keepdims: bool = False,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """Logarithm of a sum of exponentials, the smooth maximum.

        logsumexp(x) = log Σᵢ exp(xᵢ) = m + log1p(Σᵢ exp(xᵢ − m)),    m = maxᵢ xᵢ

    where the second sum leaves out one leader xᵢ = m. Its exp(0) = 1 is what log1p adds, so that
    the others are not rounded away against it: logsumexp(0, −20) is 2·10⁻⁹ in float32, not 0.

    Gradient:
        ∂/∂xᵢ = softmax(x)ᵢ        (0 where every entry is −∞)

    Args:
        x: Logarithms of what is summed, in nats; −∞ stands for a summand 0.
        axis: The axis to sum over, or several, or None for all of them.
        keepdims: Whether the axes summed over stay, with size 1.
        where: False for the entries to leave out, in a shape that broadcasts to that of x. Neither
            value nor gradient depends on these, not even where they are nan.

    Returns:
        The logarithms of the sums, in nats; −∞ where there is nothing to sum.

    Raises:
        TypeError: If x is not a floating-point array, or ``where`` does not hold booleans.
        ValueError: If the axis is none of x's, or ``where`` does not broadcast to x.

    Example:
        >>> print(f"{logsumexp(jnp.array([1000.0, 1000.0])):.3f}")  # 1000 + log 2
        1000.693

    Source:
        Blanchard, Higham and Higham, Accurately computing the log-sum-exp and softmax functions
        (2021), §4 (the shift by the leader, and log1p of the others).
    """
    _checks.floating("logsumexp", x=x)
    _checks.boolean("logsumexp", "keepdims", keepdims)
    axes = _checks.axes("logsumexp", axis, x)
    if where is not None:
        _checks.mask("logsumexp", "where", where, x=x)
        x = jnp.where(where, x, -jnp.inf)
    total = computed_wide(lambda x: shifted_logsumexp(x, axes), x)
    return total if keepdims else jnp.squeeze(total, axes)


def logmeanexp(
    x: Float[Array, "..."],
    axis: int | tuple[int, ...] | None = None,
    *,
    keepdims: bool = False,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """Logarithm of a mean of exponentials: a likelihood averaged over samples, in logarithms.

        logmeanexp(x) = log(1/n Σᵢ exp(xᵢ)) = logsumexp(x) − log n
                      = m + log1p(1/n Σᵢ (exp(xᵢ − m) − 1)),    m = maxᵢ xᵢ

    The last form, taken where that mean is above −½, does not cancel where all xᵢ are alike.

    Gradient:
        ∂/∂xᵢ = softmax(x)ᵢ

    Args:
        x: Logarithms of what is averaged, in nats; −∞ stands for a 0.
        axis: The axis to average over, or several, or None for all of them.
        keepdims: Whether the axes averaged over stay, with size 1.
        where: False for the entries to leave out, in a shape that broadcasts to that of x. Neither
            value nor gradient depends on these, not even where they are nan.

    Returns:
        The logarithms of the means, in nats; −∞ where every entry is −∞, and nan where there is
        none to average.

    Raises:
        TypeError: If x is not a floating-point array, or ``where`` does not hold booleans.
        ValueError: If the axis is none of x's, or ``where`` does not broadcast to x.

    Example:
        >>> print(f"{logmeanexp(jnp.log(jnp.array([1.0, 3.0]))):.4f}")  # log 2
        0.6931

    Source:
        ``jax.nn.logmeanexp``; Burda, Grosse and Salakhutdinov, Importance weighted autoencoders
        (2016), §3 (where it bounds a log-likelihood).
    """
    _checks.floating("logmeanexp", x=x)
    _checks.boolean("logmeanexp", "keepdims", keepdims)
    axes = _checks.axes("logmeanexp", axis, x)
    x = jnp.asarray(x)
    entries = jnp.ones_like(x, bool)
    if where is not None:
        _checks.mask("logmeanexp", "where", where, x=x)
        entries = jnp.broadcast_to(where, x.shape)
        x = jnp.where(entries, x, -jnp.inf)
    mean = computed_wide(lambda x: shifted_logmeanexp(x, axes, entries), x)
    return mean if keepdims else jnp.squeeze(mean, axes)


def _scale(x: jax.Array, axis: tuple[int, ...]) -> jax.Array:
    """The largest |xᵢ|, kept where its inverse, which divides, is a normal number too."""
    tiny = float(jnp.finfo(x.dtype).tiny)
    return jnp.clip(jnp.max(jnp.abs(x), axis, keepdims=True, initial=0), 4 * tiny, 0.25 / tiny)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _norm(x: jax.Array, axis: tuple[int, ...]) -> jax.Array:
    scale = _scale(x, axis)
    return scale * jnp.sqrt(jnp.sum(jnp.square(x / scale), axis, keepdims=True))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _direction(x: jax.Array, axis: tuple[int, ...]) -> jax.Array:
    """The unit vector u = x / ‖x‖, and 0 where x = 0."""
    scaled = x / _scale(x, axis)
    return safe_divide(scaled, jnp.sqrt(jnp.sum(jnp.square(scaled), axis, keepdims=True)))


@_norm.defjvp
def _norm_jvp(axis: tuple[int, ...], primals: tuple, tangents: tuple) -> tuple:
    (x,), (tangent,) = primals, tangents
    return _norm(x, axis), jnp.sum(_direction(x, axis) * tangent, axis, keepdims=True)


@_direction.defjvp
def _direction_jvp(axis: tuple[int, ...], primals: tuple, tangents: tuple) -> tuple:
    """u̇ = (I − uuᵀ) ẋ / ‖x‖, projected twice as a softmax's tangent is."""
    (x,), (tangent,) = primals, tangents
    u = _direction(x, axis)
    for _ in range(2):
        tangent = tangent - u * jnp.sum(u * tangent, axis, keepdims=True)
    return u, safe_divide(tangent, _norm(x, axis))


def safe_norm(
    x: Float[Array, "..."],
    *,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
) -> Float[Array, "..."]:
    """Euclidean norm, with a gradient at zero and no overflow on the way.

        ‖x‖ = √(Σᵢ xᵢ²) = s √(Σᵢ (xᵢ/s)²),    s = maxᵢ |xᵢ|

    The squares of what is above 10¹⁹ or below 10⁻¹⁹ leave the range of float32; those of x/s do
    not.

    Gradient:
        ∂‖x‖/∂xᵢ = xᵢ/‖x‖ = uᵢ, and 0 at x = 0, a subgradient (nan where an entry is infinite)
        ∂²‖x‖/∂xᵢ∂xⱼ = (δᵢⱼ − uᵢ uⱼ)/‖x‖, and 0 at x = 0, where there is none

    Args:
        x: The vectors.
        axis: The axis along which a vector lies, or several, or None for all of them.
        keepdims: Whether those axes stay, with size 1.

    Returns:
        The norms, in the units of x.

    Raises:
        TypeError: If x is not a floating-point array.
        ValueError: If the axis is none of x's.

    Example:
        >>> print(safe_norm(jnp.array([3e30, 4e30])), jax.grad(safe_norm)(jnp.zeros(2)))
        5e+30 [0. 0.]

    Source:
        Higham, Accuracy and Stability of Numerical Algorithms (2002), chapter 27 (scaling against
        overflow); Rockafellar, Convex Analysis (1970), §23 (the subgradients of a norm at 0).
    """
    _checks.floating("safe_norm", x=x)
    _checks.boolean("safe_norm", "keepdims", keepdims)
    axes = _checks.axes("safe_norm", axis, x)
    norm = _norm(jnp.asarray(x), axes)
    return norm if keepdims else jnp.squeeze(norm, axes)
