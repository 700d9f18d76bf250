"""Losses of events: what did happen or did not, given its log-odds or its probability.

Notation: z are the log-odds of an event and p its probability; σ is the logistic sigmoid,
e = exp(−|z|); t is the label, 1 for yes, 0 for no, or a probability between; q is the probability
that was given to what the label speaks against.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from fnmath import _checks
from fnmath.activations import sigmoid
from fnmath.numerics import with_derivatives
from fnmath.numerics._wide import computed_wide


def _logit_residual(z: jax.Array, t: jax.Array) -> jax.Array:
    return (1 - t) * sigmoid(z) - t * sigmoid(-z)


@with_derivatives(_logit_residual, lambda z, t: -z)
def _binary_cross_entropy(z: jax.Array, t: jax.Array) -> jax.Array:
    against = jnp.where(z > 0, 1 - t, t)
    certain = jnp.where(against == 0, 0, against * jnp.abs(z))
    return certain + jnp.log1p(jnp.exp(-jnp.abs(z)))


def sigmoid_binary_cross_entropy(
    logits: Float[Array, "*batch"], labels: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Cross-entropy, in nats, of a yes-or-no event with log-odds z under the probability t.

        ℓ(z, t) = −t log σ(z) − (1 − t) log σ(−z) = w |z| + log(1 + e⁻ˡᶻˡ)

    with w the weight of the outcome that z speaks against: 1 − t where z > 0, t elsewhere. Both
    terms of the last form are at least 0, so that neither takes digits from the other.

    Gradient:
        ∂ℓ/∂z = (1 − t) σ(z) − t σ(−z) = σ(z) − t
        ∂ℓ/∂t = −z

    A logit of ±∞ is a certainty: the loss is 0 where it is right, ∞ where it is wrong.

    Args:
        logits: The log-odds z of the event, in nats.
        labels: The probability t of the event, of the same shape; 1 and 0 for yes and no.

    Returns:
        One loss per entry, in nats. Events of one example are for the caller to sum.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ.

    Example:
        >>> loss = sigmoid_binary_cross_entropy(jnp.array([40.0, 40.0]), jnp.array([0.0, 1.0]))
        >>> print(f"{loss[0]:.4g} {loss[1]:.4g}")  # log(1 + e⁴⁰) and log(1 + e⁻⁴⁰)
        40 4.248e-18

    Source:
        Bishop, Pattern Recognition and Machine Learning (2006), §4.3.2, equation (4.90).
    """
    _checks.floating("sigmoid_binary_cross_entropy", logits=logits, labels=labels)
    _checks.same_shape("sigmoid_binary_cross_entropy", logits=logits, labels=labels)
    return computed_wide(_binary_cross_entropy, logits, labels)


def _share(t: jax.Array, p: jax.Array) -> jax.Array:
    """The quotient t / p, and 0 where t = 0."""
    return jnp.where(t == 0, 0, t / jnp.where(t == 0, 1, p))


def _curvature(p: jax.Array, t: jax.Array) -> jax.Array:
    return _share(_share(t, p), p) + _share(_share(1 - t, 1 - p), 1 - p)


@with_derivatives(_curvature, lambda p, t: -1 / (p * (1 - p)))
def _probability_residual(p: jax.Array, t: jax.Array) -> jax.Array:
    """(p − t) / (p (1 − p)), whose limits at the ends are 1 for t = 0 and −1 for t = 1."""
    p = jnp.where((p >= 0) & (p <= 1), p, jnp.nan)
    between = ((p - t) / p) / (1 - p)
    certain = jnp.where(t == 0, 1 / (1 - p), -1 / p)
    return jnp.where((t == 0) | (t == 1), certain, between)


@with_derivatives(lambda p: -1 / (p * (1 - p)))
def _log_odds_against(p: jax.Array) -> jax.Array:
    """The logarithm of (1 − p) / p, which has a root at ½."""
    middle = jnp.clip(p, 0.25, 0.75)
    between = jnp.log1p((1 - 2 * middle) / middle)
    return jnp.where(p == middle, between, jnp.log1p(-p) - jnp.log(p))


@with_derivatives(_probability_residual, lambda p, t: _log_odds_against(p))
def _of_probability(p: jax.Array, t: jax.Array) -> jax.Array:
    p = jnp.where((p >= 0) & (p <= 1), p, jnp.nan)
    yes = jnp.where((t == 0) & (p == 0), 0, t * -jnp.log(p))
    no = jnp.where((t == 1) & (p == 1), 0, (1 - t) * -jnp.log1p(-p))
    return yes + no


def binary_cross_entropy(
    predictions: Float[Array, "*batch"], targets: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Cross-entropy, in nats, of a yes-or-no event given the probability p, under the label t.

        ℓ(p, t) = −t log p − (1 − t) log(1 − p),    0 log 0 = 0

    A network gives log-odds: ``sigmoid_binary_cross_entropy`` of these keeps the digits of both p
    and 1 − p, of which p alone has lost one or the other.

    Gradient:
        ∂ℓ/∂p = (p − t) / (p (1 − p)),    1/(1 − p) for t = 0 and −1/p for t = 1
        ∂ℓ/∂t = log((1 − p) / p)

    What was certain and happened not costs ∞, as the formula says; PyTorch puts a floor of −100
    under the logarithms. A p outside of [0, 1] gives nan.

    Args:
        predictions: The probability p of the event, as it is predicted.
        targets: The probability t of the event, of the same shape; 1 and 0 for yes and no.

    Returns:
        One loss per entry, in nats.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ.

    Example:
        >>> print(binary_cross_entropy(jnp.array([1e-30, 0.0]), jnp.array([1.0, 0.0])))
        [69.07755  0.     ]

    Source:
        Bishop, Pattern Recognition and Machine Learning (2006), §4.3.2, equation (4.90).
    """
    _checks.floating("binary_cross_entropy", predictions=predictions, targets=targets)
    _checks.same_shape("binary_cross_entropy", predictions=predictions, targets=targets)
    return computed_wide(_of_probability, predictions, targets)


def _odds_missed(z: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
    """e, and (1 + e) q = (1 − t) + t e where z > 0, (1 − t) e + t elsewhere."""
    e = jnp.exp(-jnp.abs(z))
    return e, jnp.where(z > 0, (1 - t) + t * e, (1 - t) * e + t)


def _missed_by_logit(z: jax.Array, t: jax.Array) -> jax.Array:
    return (1 - 2 * t) * sigmoid(z) * sigmoid(-z)


@with_derivatives(_missed_by_logit, lambda z, t: -jnp.tanh(z / 2))
def _missed(z: jax.Array, t: jax.Array) -> jax.Array:
    """The probability q = (1 − t) σ(z) + t σ(−z) given to the other outcome."""
    e, missed = _odds_missed(z, t)
    return missed / (1 + e)


def _easing_by_logit(z: jax.Array, t: jax.Array) -> jax.Array:
    _, missed = _odds_missed(z, t)
    fixed = jnp.where(z > 0, t - 1, t)
    return jnp.where(fixed == 0, 0, _easing(z, t) * (fixed / jnp.where(missed == 0, 1, missed)))


def _easing_by_label(z: jax.Array, t: jax.Array) -> jax.Array:
    e, missed = _odds_missed(z, t)
    return _easing(z, t) * jnp.sign(z) * ((1 - e) / jnp.where(missed == 0, 1, missed))


@with_derivatives(_easing_by_logit, _easing_by_label)
def _easing(z: jax.Array, t: jax.Array) -> jax.Array:
    """The quotient e / ((1 + e) q): 1 where t is 0 or 1 and the logit is on its side."""
    e, missed = _odds_missed(z, t)
    return e / jnp.where(missed == 0, 1, missed)


def _focal_by_logit(z: jax.Array, t: jax.Array, gamma: jax.Array) -> jax.Array:
    e = jnp.exp(-jnp.abs(z))
    easier = (1 - 2 * t) * _easing(z, t) * sigmoid(jnp.where(z > 0, z, -z))  # (∂q/∂z) / q
    # A flushed exponential is nothing against the first term, nor is 0 · ∞.
    easier = jnp.where(e == 0, 0, easier * jnp.where(e == 0, 0, _binary_cross_entropy(z, t)))
    return jnp.power(_missed(z, t), gamma) * (_logit_residual(z, t) + gamma * easier)


def _focal_by_label(z: jax.Array, t: jax.Array, gamma: jax.Array) -> jax.Array:
    q, tilt = _missed(z, t), gamma * jnp.tanh(z / 2)
    per_missed = _binary_cross_entropy(z, t) / jnp.where(q == 0, 1, q)
    return -jnp.power(q, gamma) * (z + jnp.where(q == 0, 0, tilt * per_missed))


def _focal_by_exponent(z: jax.Array, t: jax.Array, gamma: jax.Array) -> jax.Array:
    q, loss = _missed(z, t), _focal(z, t, gamma)
    log_q = jnp.where(q > 0.5, jnp.log1p(-_missed(-z, t)), jnp.log(jnp.where(q == 0, 1, q)))
    return jnp.where(q == 1, 0, loss * log_q)


@with_derivatives(_focal_by_logit, _focal_by_label, _focal_by_exponent)
def _focal(z: jax.Array, t: jax.Array, gamma: jax.Array) -> jax.Array:
    return jnp.power(_missed(z, t), gamma) * _binary_cross_entropy(z, t)


def sigmoid_focal_loss(
    logits: Float[Array, "*batch"],
    labels: Float[Array, "*batch"],
    *,
    alpha: float | Float[Array, "..."] | None = None,
    gamma: float | Float[Array, "..."] = 2.0,
) -> Float[Array, "*batch"]:
    """Focal loss of an event: its cross-entropy, less the more easily it is got right.

        ℓ(z, t) = w q^γ ℓ₀(z, t),    q = (1 − t) σ(z) + t σ(−z),    w = α t + (1 − α) (1 − t)

    with ℓ₀ = −t log σ(z) − (1 − t) log σ(−z) the cross-entropy, and w = 1 if there is no α. For
    t = 1 that is −α (1 − σ(z))^γ log σ(z). The power is taken of q itself, which holds to its last
    digit, where exp(γ log q) loses those of a large logarithm.

    Gradient:
        ∂ℓ/∂z = w q^γ [(1 − t) σ(z) − t σ(−z) + γ (1 − 2t) σ(z) σ(−z) ℓ₀ / q]
        ∂ℓ/∂t = q^γ [−w z − w γ tanh(½z) ℓ₀ / q + (2α − 1) ℓ₀],    ∂ℓ/∂γ = ℓ log q

    Args:
        logits: The log-odds z of the event, in nats.
        labels: The probability t of the event, of the same shape; 1 and 0 for yes and no.
        alpha: The weight α in [0, 1] of the event, 1 − α that of its absence; None for 1 and 1. An
            array may hold one per entry.
        gamma: The exponent γ ≥ 0; 0 gives the cross-entropy. An array may hold one per entry, and
            gives nan where it is below 0.

    Returns:
        One loss per entry, in nats.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ, α or γ is a number outside of its interval, or an array
            that does not broadcast to the logits.

    Example:
        >>> loss = sigmoid_focal_loss(jnp.array([0.0, 17.0]), jnp.array([1.0, 1.0]))
        >>> print(f"{loss[0]:.4f} {loss[1]:.3e}")  # ¼ log 2, and about e⁻⁵¹
        0.1733 7.095e-23

    Source:
        Lin, Goyal, Girshick, He and Dollár, Focal loss for dense object detection (2017), §3.
    """
    name = "sigmoid_focal_loss"
    _checks.floating(name, logits=logits, labels=labels)
    _checks.same_shape(name, logits=logits, labels=labels)
    _checks.number(name, "gamma", gamma, above=0, closed="[")
    _checks.broadcasts_to(name, "gamma", gamma, "logits", logits)

    def exponent(z: jax.Array) -> jax.Array:
        given = jnp.asarray(gamma, z.dtype)
        return jnp.where(given >= 0, given, jnp.nan)

    if alpha is None:
        return computed_wide(lambda z, t: _focal(z, t, exponent(z)), logits, labels)
    _checks.number(name, "alpha", alpha, above=0, below=1, closed="[]")
    _checks.broadcasts_to(name, "alpha", alpha, "logits", logits)

    def weighted(z: jax.Array, t: jax.Array) -> jax.Array:
        a = jnp.asarray(alpha, z.dtype)
        a = jnp.where((a >= 0) & (a <= 1), a, jnp.nan)
        weight = a * t + (1 - a) * (1 - t)
        loss = _focal(z, t, exponent(z))
        return weight * jnp.where((weight == 0) & (loss == jnp.inf), 0, loss)

    return computed_wide(weighted, logits, labels)


def ordinal_cross_entropy(
    logits: Float[Array, "*batch thresholds"], labels: Integer[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Cross-entropy, in nats, of ordered classes: of all answers to "is it above class k?".

        ℓ(z, y) = −Σ_{k<y} log σ(zₖ) − Σ_{k≥y} log σ(−zₖ),    k = 0, …, K − 2

    K ordered classes have K − 1 thresholds between them; zₖ are the log-odds that the class is
    above k. To miss by two classes costs about twice what missing by one does. If all zₖ share one
    score and differ in a bias only, zₖ = s + bₖ, this is the loss of CORAL, where the probabilities
    come out in order.

    Gradient:
        ∂ℓ/∂zₖ = −σ(−zₖ) for k < y,    σ(zₖ) for k ≥ y

    Args:
        logits: The log-odds zₖ of being above class k, for each threshold, in nats.
        labels: The class y of each example, in [0, K); any other gives nan.

    Returns:
        One loss per example, in nats.

    Raises:
        TypeError: If the logits are not floating-point, or the labels no integers.
        ValueError: If there is no threshold, or not one label per example.

    Example:
        >>> z = jnp.array([[4.0, 0.0, -4.0]] * 2)  # above 0, perhaps above 1, not above 2
        >>> loss = ordinal_cross_entropy(z, jnp.array([1, 3]))
        >>> print(f"{loss[0]:.4f} {loss[1]:.4f}")
        0.7294 4.7294

    Source:
        Cao, Mirjalili and Raschka, Rank consistent ordinal regression for neural networks with
        application to age estimation (2020), §3 (CORAL).
    """
    name = "ordinal_cross_entropy"
    _checks.floating(name, logits=logits)
    thresholds = _checks.classes(name, logits)
    _checks.class_labels(name, logits, labels)
    known = _checks.labels_known(name, labels, thresholds + 1)[..., None]
    above = jnp.asarray(labels)[..., None] > jnp.arange(thresholds)

    def summed(z: jax.Array) -> jax.Array:
        against = jnp.where(above, -z, z) * jnp.where(known, 1, jnp.nan).astype(z.dtype)
        return jnp.sum(_binary_cross_entropy(against, jnp.zeros_like(z)), -1)

    return computed_wide(summed, jnp.asarray(logits))
