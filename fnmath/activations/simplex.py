"""Activations that turn a row of scores into probabilities: points of the simplex."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fnmath import _checks
from fnmath.numerics._shifted import shifted_log_softmax, shifted_softmax


def softmax(
    x: Float[Array, "..."],
    axis: int | tuple[int, ...] = -1,
    *,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """Probabilities proportional to the exponentials of scores.

        softmax(x)ᵢ = exp(xᵢ − m) / Σⱼ exp(xⱼ − m),    m = maxⱼ xⱼ

    The shift by m changes nothing but that no exponential overflows. A +∞ takes everything, as in
    the limit; several share it.

    Gradient:
        ∂pᵢ/∂xⱼ = pᵢ (δᵢⱼ − pⱼ),    p = softmax(x)

    Args:
        x: Scores, in nats; −∞ marks what cannot occur.
        axis: The axis, or several together, over which the probabilities sum to 1.
        where: False for the entries to leave out, in a shape that broadcasts to that of x. Neither
            value nor gradient depends on these, not even where they are nan.

    Returns:
        Probabilities in the shape of x: 0 where masked, and all 0 in a row that is wholly masked or
        wholly −∞, where there is nothing to share among.

    Raises:
        TypeError: If x is not a floating-point array, or ``where`` does not hold booleans.
        ValueError: If the axis is none of x's, or ``where`` does not broadcast to x.

    Example:
        >>> print(softmax(jnp.log(jnp.array([1.0, 2.0, 5.0]))).round(6))
        [0.125 0.25  0.625]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §6.2.2.3.
    """
    _checks.floating("softmax", x=x)
    axes = _checks.axes("softmax", axis, x)
    if where is None:
        return shifted_softmax(jnp.asarray(x), axes)
    _checks.mask("softmax", "where", where, x=x)
    return jnp.where(where, shifted_softmax(jnp.where(where, x, -jnp.inf), axes), 0)


def log_softmax(
    x: Float[Array, "..."],
    axis: int | tuple[int, ...] = -1,
    *,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """Logarithms of the softmax probabilities.

        log_softmax(x)ᵢ = xᵢ − log Σⱼ exp(xⱼ) = (xᵢ − m) − log1p(Σⱼ exp(xⱼ − m)),    m = maxⱼ xⱼ

    where the second sum leaves out one leader xⱼ = m. Never the logarithm of ``softmax``: in
    float32 a score 104 nats behind the leader has probability 0 and logarithm −∞. Nor x less its
    ``logsumexp``: a leader 20 nats ahead has −2·10⁻⁹, which that difference rounds to 0.

    Gradient:
        ∂log pᵢ/∂xⱼ = δᵢⱼ − pⱼ,    p = softmax(x)

    Args:
        x: Scores, in nats; −∞ marks what cannot occur.
        axis: The axis, or several together, over which the probabilities sum to 1.
        where: False for the entries to leave out, in a shape that broadcasts to that of x. Neither
            value nor gradient depends on these, not even where they are nan.

    Returns:
        Log-probabilities, in nats, in the shape of x; −∞ where masked, and all −∞ in a row that is
        wholly masked or wholly −∞.

    Raises:
        TypeError: If x is not a floating-point array, or ``where`` does not hold booleans.
        ValueError: If the axis is none of x's, or ``where`` does not broadcast to x.

    Example:
        >>> print(log_softmax(jnp.array([0.0, -20.0])))  # [−log(1 + e⁻²⁰), −20 − log(1 + e⁻²⁰)]
        [-2.0611537e-09 -2.0000000e+01]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §6.2.2.3; Blanchard, Higham and
        Higham, Accurately computing the log-sum-exp and softmax functions (2021), §4.
    """
    _checks.floating("log_softmax", x=x)
    axes = _checks.axes("log_softmax", axis, x)
    if where is None:
        return shifted_log_softmax(jnp.asarray(x), axes)
    _checks.mask("log_softmax", "where", where, x=x)
    log_p = shifted_log_softmax(jnp.where(where, x, -jnp.inf), axes)
    return jnp.where(where, log_p, -jnp.inf)
