"""The categorical distribution: one of finitely many classes.

    P(k) = pₖ,    k = 0, 1, …, n − 1

Notation: p is the vector of probabilities, on the last axis; 0 log 0 = 0. The classes have no order
and no size, so that there is no cdf and no mean. Nothing is normalised: where p does not sum to 1
within √ε, the spacing ε of numbers at 1, or has an entry below 0, the result is nan. Rounded sums
are no matter, and the derivatives are those by n numbers each of which may move alone.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, Real

from fnmath import _checks
from fnmath.numerics._wide import computed_wide
from fnmath.probability import _fitting
from fnmath.probability._families import Numbers
from fnmath.probability._numbers import (
    Number,
    divergence_term,
    entropy_term,
    head,
    in_pairs,
    log,
    summed,
    where,
)
from fnmath.probability._sampling import target_shape


def _log_ratio(p: Number, q: Number) -> Number:
    neither = (head(p) <= 0) & (head(q) <= 0)
    return where(neither, 0.0, log(where(neither, 1.0, p)) - log(where(neither, 1.0, q)))


def _minus_ratio(p: Number, q: Number) -> Number:
    nothing = head(p) <= 0
    return where(nothing, 0.0, -p / where(nothing, 1.0, q))


_EXCESS = in_pairs(lambda p: (1 - p) / p)
_LOG = in_pairs(log, in_pairs(lambda p: 1 / p))
_ENTROPY = summed(entropy_term, in_pairs(lambda p: -1 - log(p)))
_KL = summed(
    lambda p, q: divergence_term(p, q) + (p - q),
    in_pairs(lambda p, q: 1 + _log_ratio(p, q)),
    in_pairs(_minus_ratio),
)


def _check(function: str, **probabilities: Any) -> None:
    _checks.floating(function, **probabilities)
    for name, p in probabilities.items():
        _checks.classes(function, p) if jnp.ndim(p) else _checks.rank(function, name, p, "classes")


def _known(p: jax.Array, dtype: Any) -> jax.Array:
    """1 where the probabilities have a meaning, else nan."""
    slack = float(jnp.finfo(dtype).eps) ** 0.5
    known = (p >= 0).all(-1) & (jnp.abs(jnp.sum(p, -1) - 1) <= slack)
    return jnp.where(known, 1, jnp.nan).astype(p.dtype)


def _of_class(k: jax.Array, p: jax.Array) -> jax.Array:
    """The probability of the class, 0 where there is none of that number."""
    return jnp.sum(jnp.where(jnp.arange(p.shape[-1]) == k[..., None], p, 0), -1)


def pmf(k: Numbers, probs: Float[Array, "... classes"]) -> Float[Array, "..."]:
    """Probability mass function of the categorical distribution.

        P(k) = pₖ for k = 0, …, n − 1, 0 elsewhere

    Gradient:
        ∂P(k)/∂pⱼ = 1 for j = k, else 0

    Args:
        k: The classes.
        probs: The probabilities p, on the last axis.

    Returns:
        Probabilities, in the shape to which k and the leading axes of p broadcast; nan where p is
        not a vector of probabilities.

    Raises:
        TypeError: If k does not hold real numbers, or p no floating-point ones.
        ValueError: If p has no class, or the shapes do not broadcast.

    Example:
        >>> print(pmf(2, jnp.array([0.5, 0.25, 0.25])))
        0.25

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §2.5.1.
    """
    _checks.real("pmf", k=k)
    _check("pmf", probs=probs)
    _checks.broadcastable("pmf", k=k, probs=jnp.asarray(probs)[..., 0])
    known = _known(probs, jnp.result_type(probs)).astype(jnp.result_type(probs))
    return _of_class(jnp.asarray(k), probs) * known


def logpmf(k: Numbers, probs: Float[Array, "... classes"]) -> Float[Array, "..."]:
    """Logarithm of the probability mass function of the categorical distribution.

        log P(k) = log pₖ for k = 0, …, n − 1, −∞ elsewhere

    Gradient:
        ∂/∂pⱼ = 1/pₖ for j = k, else 0

    Args:
        k: The classes.
        probs: The probabilities p, on the last axis.

    Returns:
        Logarithms of probabilities, in nats, in the shape to which k and the leading axes of p
        broadcast; nan where p is not a vector of probabilities.

    Raises:
        TypeError: If k does not hold real numbers, or p no floating-point ones.
        ValueError: If p has no class, or the shapes do not broadcast.

    Example:
        >>> print(f"{logpmf(2, jnp.array([0.5, 0.25, 0.25])):.4f}")
        -1.3863

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §2.5.1.
    """
    _checks.real("logpmf", k=k)
    _check("logpmf", probs=probs)
    _checks.broadcastable("logpmf", k=k, probs=jnp.asarray(probs)[..., 0])
    k, dtype = jnp.asarray(k), jnp.result_type(probs)
    return computed_wide(lambda p: _LOG(_of_class(k, p)) * _known(p, dtype), probs)


def sample(
    key: PRNGKeyArray,
    probs: Float[Array, "... classes"],
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Int[Array, "..."]:
    """Samples of the categorical distribution.

        k = argmaxⱼ (log pⱼ + gⱼ)

    for independent Gumbel numbers g. Samples are whole numbers, through which no gradient flows.

    Args:
        key: The random key.
        probs: The probabilities p, on the last axis.
        shape: The shape of the samples, to which the leading axes of p must broadcast; theirs by
            default.

    Returns:
        Independent samples; −1 where p is not a vector of probabilities.

    Raises:
        TypeError: If the key is no random key, or p does not hold floating-point numbers.
        ValueError: If p has no class, or its leading axes do not broadcast to the shape.

    Example:
        >>> k = sample(jax.random.key(0), jnp.array([0.5, 0.25, 0.25]), shape=(10_000,))
        >>> print(f"{(k == 0).mean():.2f}")
        0.50

    Source:
        Maddison, Tarlow and Minka, A* sampling (2014), §2.1 (the Gumbel-max trick).
    """
    _checks.key("sample", key)
    _check("sample", probs=probs)
    shape = target_shape("sample", shape, probs=jnp.asarray(probs)[..., 0])
    k = jax.random.categorical(key, jnp.log(probs), shape=shape)
    return jnp.where(jnp.isnan(_known(probs, jnp.result_type(probs))), -1, k)


def mode(probs: Float[Array, "... classes"]) -> Int[Array, "..."]:
    """Mode of the categorical distribution, the class of the largest probability.

        argmaxₖ pₖ

    Args:
        probs: The probabilities p, on the last axis.

    Returns:
        The classes, the first of those that tie; −1 where p is not a vector of probabilities.

    Raises:
        TypeError: If p does not hold floating-point numbers.
        ValueError: If p has no class.

    Example:
        >>> print(mode(jnp.array([0.25, 0.5, 0.25])))
        1

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §2.5.1.
    """
    _check("mode", probs=probs)
    unknown = jnp.isnan(_known(probs, jnp.result_type(probs)))
    return jnp.where(unknown, -1, jnp.argmax(probs, -1))


def entropy(probs: Float[Array, "... classes"]) -> Float[Array, "..."]:
    """Entropy of the categorical distribution.

        H = −Σₖ pₖ log pₖ

    summed in twice the precision.

    Gradient:
        ∂H/∂pₖ = −log pₖ − 1

    Args:
        probs: The probabilities p, on the last axis.

    Returns:
        Entropies, in nats, in the shape of p without its last axis; nan where p is not a vector of
        probabilities.

    Raises:
        TypeError: If p does not hold floating-point numbers.
        ValueError: If p has no class.

    Example:
        >>> print(f"{entropy(jnp.array([0.5, 0.25, 0.25])):.4f}")  # 3/2 log 2
        1.0397

    Source:
        Cover and Thomas, Elements of Information Theory (2006), §2.1.
    """
    _check("entropy", probs=probs)
    dtype = jnp.result_type(probs)
    return computed_wide(lambda p: _ENTROPY(p) * _known(p, dtype), probs)


def kl(
    probs_p: Float[Array, "... classes"], probs_q: Float[Array, "... classes"]
) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two categorical distributions.

        KL = Σₖ pₖ log(pₖ/qₖ)

    Taken as the sum of the terms p log(p/q) + q − p ≥ 0, and of p − q, in twice the precision: the
    logarithms themselves would cancel where p and q are nearly the same.

    Gradient:
        ∂KL/∂pₖ = log(pₖ/qₖ) + 1 where Σ pₖ moves freely,    ∂KL/∂qₖ = −pₖ/qₖ

    Args:
        probs_p: The probabilities of p, on the last axis.
        probs_q: Those of q, as many.

    Returns:
        Divergences, in nats, in the shape to which the leading axes broadcast; ∞ where q is 0 and p
        is not; nan where p or q is not a vector of probabilities.

    Raises:
        TypeError: If p or q does not hold floating-point numbers.
        ValueError: If p has no class, or the shapes do not broadcast.

    Example:
        >>> p, q = jnp.array([0.5, 0.5, 0.0]), jnp.array([0.25, 0.25, 0.5])
        >>> print(f"{kl(p, q):.4f}")  # log 2
        0.6931

    Source:
        Cover and Thomas, Elements of Information Theory (2006), §2.3.
    """
    _check("kl", probs_p=probs_p, probs_q=probs_q)
    _checks.same_size("kl", "classes", probs_p=probs_p.shape[-1], probs_q=probs_q.shape[-1])
    _checks.broadcastable("kl", probs_p=probs_p, probs_q=probs_q)
    dtype = jnp.result_type(probs_p, probs_q)

    def divergence(p: jax.Array, q: jax.Array) -> jax.Array:
        return _KL(p, q) * _known(p, dtype) * _known(q, dtype)

    return computed_wide(divergence, probs_p, probs_q)


def fit(
    k: Int[Array, "*batch samples"], classes: int, *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch classes"]]:
    """Parameters of the categorical distribution that make the samples most likely.

        pₖ = the weight of the samples of class k, as a share of all weight

    Args:
        k: The samples, on the last axis; one outside of the classes counts for none of them.
        classes: The number n of classes.
        weights: How much each sample counts, ≥ 0, in a shape that broadcasts to theirs; all alike
            by default.

    Returns:
        The probabilities p, on a last axis of n, in the default floating dtype.

    Raises:
        TypeError: If the samples or the number of classes are not integers, or the weights not real
            numbers.
        ValueError: If there is no axis of samples, n < 1, or the weights do not broadcast.

    Example:
        >>> print(*fit(jnp.array([0, 2, 2, 1]), 3))
        [0.25 0.25 0.5 ]

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §4.2.4.
    """
    _checks.integer("fit", k=k)
    _checks.size("fit", classes=classes)
    _, w = _fitting.samples("fit", jnp.asarray(k, float), weights)
    chosen = jnp.arange(classes) == k[..., None]
    return (jnp.sum(jnp.where(chosen, w[..., None], 0), -2),)


def score(k: Numbers, probs: Float[Array, "... classes"]) -> Float[Array, "... classes"]:
    """Score of the categorical distribution: the gradient of the logarithm along the simplex.

        1/pₖ − 1 of the class k, −1 of every other

    It is the gradient of log (pₖ / Σⱼ pⱼ), for p in all directions: its mean over samples is 0, its
    covariance the Fisher information. As ``multinomial.score`` of one trial.

    Args:
        k: The classes.
        probs: The probabilities p, on the last axis.

    Returns:
        The derivatives by p on a last axis, 0 where the class is impossible; nan where p is not a
        vector of probabilities.

    Raises:
        TypeError: If k does not hold real numbers, or p no floating-point ones.
        ValueError: If p has no class, or the shapes do not broadcast.

    Example:
        >>> print(score(2, jnp.array([0.5, 0.25, 0.25])))
        [-1. -1.  3.]

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §4.2.4.
    """
    _checks.real("score", k=k)
    _check("score", probs=probs)
    _checks.broadcastable("score", k=k, probs=jnp.asarray(probs)[..., 0])
    k, dtype = jnp.asarray(k)[..., None], jnp.result_type(probs)

    def slopes(p: jax.Array) -> jax.Array:
        chosen = (jnp.arange(p.shape[-1]) == k) & (p > 0)
        value = jnp.where(chosen, _EXCESS(jnp.where(chosen, p, 1)), -1)
        value = jnp.where(chosen.any(-1, keepdims=True), value, 0)
        return value * _known(p, dtype)[..., None]

    return computed_wide(slopes, probs)


def fisher_information(probs: Float[Array, "... classes"]) -> Float[Array, "... classes classes"]:
    """Fisher information of the categorical distribution: the covariance of the score.

        δᵢⱼ/pᵢ − 1

    Args:
        probs: The probabilities p, on the last axis.

    Returns:
        Matrices on two last axes, singular along p; ∞ on the diagonal where pᵢ = 0; nan where p is
        not a vector of probabilities.

    Raises:
        TypeError: If p does not hold floating-point numbers.
        ValueError: If p has no class.

    Example:
        >>> print(fisher_information(jnp.array([0.5, 0.5])))
        [[ 1. -1.]
         [-1.  1.]]

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §4.2.4.
    """
    _check("fisher_information", probs=probs)
    dtype = jnp.result_type(probs)

    def matrix(p: jax.Array) -> jax.Array:
        own = jnp.eye(p.shape[-1], dtype=bool)
        value = jnp.where(own, _EXCESS(p)[..., None], -1)
        return value * _known(p, dtype)[..., None, None]

    return computed_wide(matrix, probs)
