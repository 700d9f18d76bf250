"""Losses: how far a prediction lies from its target, one number per example.

Notation: y is a prediction, t its target, r = y − t their difference (the residual); z are logits,
p = softmax(z) the probabilities they stand for. Every loss takes the prediction first, returns one
value per example and never averages: ``.mean()`` is for the caller to say.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks


def huber_loss(
    predictions: Float[Array, "*batch"], targets: Float[Array, "*batch"], delta: float = 1.0
) -> Float[Array, "*batch"]:
    """Huber's loss: squared error near the target, absolute error far from it.

        ℓ(y, t) = ½ r²             where |r| ≤ δ,    r = y − t
                  δ (|r| − ½ δ)    elsewhere

    Computed as c (|r| − ½ c) with c = min(|r|, δ), one formula for both branches, so that no
    branch overflows where the other is taken.

    Gradient:
        ∂ℓ/∂y = clip(r, −δ, δ) = −∂ℓ/∂t

    Args:
        predictions: The predictions y.
        targets: The targets t, of the same shape.
        delta: The residual δ > 0 at which the parabola becomes a line, in the units of y.

    Returns:
        One loss per entry, in the square of the units of y.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ, or δ ≤ 0.

    Example:
        >>> print(huber_loss(jnp.array([0.5, 3.0]), jnp.zeros(2)))
        [0.125 2.5  ]

    Source:
        Huber, Robust estimation of a location parameter (1964), §2.
    """
    _checks.floating("huber_loss", predictions=predictions, targets=targets)
    _checks.same_shape("huber_loss", predictions=predictions, targets=targets)
    _checks.number("huber_loss", "delta", delta, above=0)
    distance = jnp.abs(predictions - targets)
    capped = jnp.minimum(distance, delta)
    return capped * (distance - 0.5 * capped)
