"""Activations that turn a row of scores into probabilities: points of the simplex."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key, UInt32

from fnmath import _checks
from fnmath.activations._exponentials import nan_unless
from fnmath.numerics._shifted import shifted_log_softmax, shifted_softmax
from fnmath.numerics._wide import computed_wide


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
        ṗ = p (ẋ − ⟨p, ẋ⟩),    x̄ = p (p̄ − ⟨p, p̄⟩)

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
        return computed_wide(lambda x: shifted_softmax(x, axes), x)
    _checks.mask("softmax", "where", where, x=x)
    p = computed_wide(lambda x: shifted_softmax(x, axes), jnp.where(where, x, -jnp.inf))
    return jnp.where(where, p, 0)


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
        with y = log p:    ẏ = ẋ − ⟨p, ẋ⟩,    x̄ = ȳ − p Σⱼ ȳⱼ

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
        return computed_wide(lambda x: shifted_log_softmax(x, axes), x)
    _checks.mask("log_softmax", "where", where, x=x)
    log_p = computed_wide(lambda x: shifted_log_softmax(x, axes), jnp.where(where, x, -jnp.inf))
    return jnp.where(where, log_p, -jnp.inf)


def softmin(
    x: Float[Array, "..."],
    axis: int | tuple[int, ...] = -1,
    *,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """Probabilities that fall with the scores: Boltzmann's weights of energies.

        softmin(x)ᵢ = exp(−xᵢ) / Σⱼ exp(−xⱼ) = softmax(−x)ᵢ

    Gradient:
        ∂pᵢ/∂xⱼ = −pᵢ (δᵢⱼ − pⱼ),    p = softmin(x)
        ṗ = −p (ẋ − ⟨p, ẋ⟩),    x̄ = −p (p̄ − ⟨p, p̄⟩)

    Args:
        x: Energies, in units of the temperature; ∞ marks what cannot occur.
        axis: The axis, or several together, over which the probabilities sum to 1.
        where: False for the entries to leave out, in a shape that broadcasts to that of x. Neither
            value nor gradient depends on these, not even where they are nan.

    Returns:
        Probabilities in the shape of x: 0 where masked, and all 0 in a row that is wholly masked or
        wholly ∞.

    Raises:
        TypeError: If x is not a floating-point array, or ``where`` does not hold booleans.
        ValueError: If the axis is none of x's, or ``where`` does not broadcast to x.

    Example:
        >>> print(softmin(jnp.log(jnp.array([1.0, 2.0, 2.0]))).round(6))
        [0.5  0.25 0.25]

    Source:
        Bishop, Pattern Recognition and Machine Learning (2006), §8.3.3, equation (8.41);
        ``torch.nn.functional.softmin``.
    """
    _checks.floating("softmin", x=x)
    axes = _checks.axes("softmin", axis, x)
    if where is not None:
        _checks.mask("softmin", "where", where, x=x)
    return softmax(-jnp.asarray(x), axes, where=where)


def gumbel_softmax(
    key: Key[Array, ""] | UInt32[Array, "_"],
    x: Float[Array, "..."],
    axis: int = -1,
    *,
    temperature: float | Float[Array, ""] = 1.0,
    hard: bool = False,
) -> Float[Array, "..."]:
    """Random point of the simplex that stands for a draw of a class, and has a gradient.

        y = softmax((x + g) / T),    gᵢ = −log(−log uᵢ),    uᵢ uniform on (0, 1)

    The largest entry of x + g is at i with probability softmax(x)ᵢ. As T goes to 0, y goes to the
    one-hot vector of that draw.

    Gradient:
        ẏ = y (v − ⟨y, v⟩),    v = ẋ / T
        the same for ``hard``, as if the value were not rounded to a corner (straight through)

    Args:
        key: The random key of the noise g.
        x: Log-probabilities of the classes, in nats, up to a constant; −∞ marks what cannot occur.
        axis: The axis over which the classes lie.
        temperature: The temperature T > 0; an array gives nan where it is not.
        hard: Whether the value is the one-hot vector of the largest entry, exactly.

    Returns:
        Points of the simplex in the shape of x.

    Raises:
        TypeError: If key is no random key, x or T not floating, or hard not a truth value.
        ValueError: If the axis is none of x's, or T ≤ 0.

    Example:
        >>> y = gumbel_softmax(jax.random.key(0), jnp.array([0.0, -jnp.inf]), hard=True)
        >>> print(y)
        [1. 0.]

    Source:
        Jang, Gu and Poole, Categorical reparameterization with Gumbel-softmax (2017), §2 and §2.2
        (straight through); Maddison, Mnih and Teh, The concrete distribution (2017), §3.1.
    """
    _checks.key("gumbel_softmax", key)
    _checks.floating("gumbel_softmax", x=x)
    _checks.axis("gumbel_softmax", "axis", axis, x)
    _checks.number("gumbel_softmax", "temperature", temperature, above=0)
    _checks.broadcasts_to("gumbel_softmax", "temperature", temperature, "x", x)
    _checks.boolean("gumbel_softmax", "hard", hard)
    noise = jax.random.gumbel(key, jnp.shape(x), jnp.promote_types(jnp.result_type(x), jnp.float32))
    scores = x + noise
    soft = nan_unless(temperature > 0, softmax(scores / temperature, axis))
    if hard and soft.size:
        first = jnp.argmax(scores, axis)  # of the scores: many of the soft ones may be the same
        corner = jax.nn.one_hot(first, jnp.shape(x)[axis], dtype=soft.dtype, axis=axis)
        possible = jnp.any(scores != -jnp.inf, axis, keepdims=True)
        corner = jnp.where(possible, corner, 0)
        soft = corner + (soft - jax.lax.stop_gradient(soft))
    return soft.astype(jnp.result_type(x))
