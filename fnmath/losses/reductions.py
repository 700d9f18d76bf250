"""The one way to reduce: from a loss per example to the number that is minimised.

Notation: ℓᵢ are losses, wᵢ ≥ 0 their weights, 0 for those that do not count; W = Σᵢ wᵢ.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Bool, Float

from fnmath import _checks


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _mean(losses: jax.Array, weights: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """The weighted mean, its axes kept; 0 where no weight is above 0."""
    total = jnp.sum(weights, axes, keepdims=True)
    return jnp.sum(weights * losses, axes, keepdims=True) / jnp.where(total == 0, 1, total)


@functools.partial(_mean.defjvp, symbolic_zeros=True)
def _mean_jvp(axes: tuple[int, ...], primals: tuple, tangents: tuple) -> tuple:
    """The tangent Σᵢ (wᵢ ℓ̇ᵢ + (ℓᵢ − ℓ̄) ẇᵢ) / W."""
    (losses, weights), (losses_dot, weights_dot) = primals, tangents
    mean, total = _mean(losses, weights, axes), jnp.sum(weights, axes, keepdims=True)
    by_loss = 0 if isinstance(losses_dot, SymbolicZero) else weights * losses_dot
    by_weight = 0 if isinstance(weights_dot, SymbolicZero) else (losses - mean) * weights_dot
    slope = by_loss + by_weight
    tangent = jnp.sum(slope, axes, keepdims=True) / jnp.where(total == 0, 1, total)
    return mean, jnp.where(total == 0, 0, tangent)


def mean(
    losses: Float[Array, "..."],
    *,
    where: Bool[Array, "..."] | None = None,
    weights: float | Float[Array, "..."] | None = None,
    axis: int | tuple[int, ...] | None = None,
) -> Float[Array, "..."]:
    """Weighted mean of the losses that count, 0 where none does.

        ℓ̄ = Σᵢ wᵢ ℓᵢ / Σᵢ wᵢ,    wᵢ = 0 where masked

    An empty batch has nothing to teach: its mean is 0 and its gradient too, where 0/0 = nan would
    destroy the parameters. Sums are taken in float32 at least.

    Gradient:
        ∂ℓ̄/∂ℓᵢ = wᵢ/W,    ∂ℓ̄/∂wᵢ = (ℓᵢ − ℓ̄)/W,    W = Σᵢ wᵢ;    all 0 where W = 0

    Args:
        losses: The losses ℓ, one per example.
        where: The losses that count, in a shape that broadcasts to theirs. Neither value nor
            gradient depends on the others, not even where they are nan or infinite. The gradient
            of such a loss by what it was made of is 0 · nan: mask that as well.
        weights: The weights w ≥ 0, in a shape that broadcasts to that of the losses; nan is
            returned where one that counts is below 0. A weight of 0 is no mask: 0 · nan is nan.
        axis: The axis to average over, or several, or None for all of them.

    Returns:
        The mean losses, in the dtype of the losses.

    Raises:
        TypeError: If the losses or weights are not floating-point, or ``where`` is not bool.
        ValueError: If a shape does not broadcast to that of the losses, the axis is none of theirs,
            or the weights are a number below 0.

    Example:
        >>> losses = jnp.array([1.0, 3.0, jnp.nan])
        >>> print(mean(losses, where=jnp.array([True, True, False])))
        2.0
        >>> print(mean(losses, where=jnp.zeros(3, bool)))
        0.0

    Source:
        ``numpy.average``, which raises where the weights sum to 0; the 0 is a convention of this
        library.
    """
    _checks.floating("mean", losses=losses)
    if where is not None:
        _checks.mask("mean", "where", where, losses=losses)
    if weights is not None:
        _checks.number("mean", "weights", weights, above=0, closed="[")
        _checks.broadcasts_to("mean", "weights", weights, "losses", losses)
    axes = _checks.axes("mean", axis, losses)
    dtype = jnp.result_type(losses)
    wide = jnp.asarray(losses, jnp.promote_types(dtype, jnp.float32))
    w = jnp.broadcast_to(jnp.asarray(1 if weights is None else weights, wide.dtype), wide.shape)
    w = w * jnp.where(w >= 0, 1, jnp.nan)
    if where is not None:
        wide, w = jnp.where(where, wide, 0), jnp.where(where, w, 0)
    return jnp.squeeze(_mean(wide, w, axes), axes).astype(dtype)
