"""The multinomial distribution: how often each of several classes occurs in n trials.

    P(k) = n!/Π kᵢ! · Π pᵢ^kᵢ,    k₁ + k₂ + … = n

Notation: k are the counts and p the probabilities of the classes, on the last axis; n is the number
of trials; 0 log 0 = 0. Nothing is normalised: where p does not sum to 1 within √ε, the spacing ε of
numbers at 1, or has an entry below 0, or n is no whole number ≥ 0, the result is nan. Counts that
are no whole numbers, or whose sum is not n, have the probability 0.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, Real

from fnmath import _checks
from fnmath.probability import _fitting, _multinomials
from fnmath.probability._families import Numbers
from fnmath.probability._matrices import evaluated, with_slopes, without_slopes
from fnmath.probability._sampling import target_shape


def _check(
    function: str, trials: dict[str, Any], at: tuple[Any, ...] = (), **probabilities: Any
) -> None:
    _checks.floating(function, **probabilities)
    _checks.real(function, **trials)
    given = dict(probabilities)
    for counts in at:
        _checks.real(function, k=counts)
        given = {"k": counts, **given}
    for name, a in given.items():
        _checks.rank(function, name, a, "classes")
        _checks.size(function, **{f"the last axis of {name}": jnp.shape(a)[-1]})
    _checks.same_size(function, "classes", **{k: jnp.shape(a)[-1] for k, a in given.items()})
    batches = {name: jnp.asarray(a)[..., 0] for name, a in given.items()}
    _checks.broadcastable(function, **batches, **trials)


def logpmf(
    k: Real[Array, "... classes"], n: Numbers, probs: Float[Array, "... classes"]
) -> Float[Array, "..."]:
    """Logarithm of the probability mass function of the multinomial distribution.

        log P(k) = log n! − Σᵢ log kᵢ! + Σᵢ kᵢ log pᵢ

    What is large in these terms is taken together as deviances kᵢ log(kᵢ/(n pᵢ)) + n pᵢ − kᵢ ≥ 0.

    Gradient:
        ∂/∂pᵢ = kᵢ/pᵢ

    Args:
        k: The counts.
        n: The number of trials.
        probs: The probabilities p.

    Returns:
        Logarithms of probabilities, in nats, in the shape to which n and the leading axes
        broadcast; −∞ where the counts do not add up to n, nan where p is not a vector of
        probabilities.

    Raises:
        TypeError: If k or n does not hold real numbers, or p no floating-point ones.
        ValueError: If the numbers of classes differ, or the shapes do not broadcast.

    Example:
        >>> print(f"{logpmf(jnp.array([1, 1]), 2, jnp.array([0.5, 0.5])):.4f}")  # −log 2
        -0.6931

    Source:
        Johnson, Kotz and Balakrishnan, Discrete Multivariate Distributions (1997), §35.1;
        ``scipy.stats.multinomial``.
    """
    _check("logpmf", {"n": n}, (k,), probs=probs)
    return evaluated(with_slopes(_multinomials.mass), "(n),(),(n)->()", k, n, probs)


def pmf(
    k: Real[Array, "... classes"], n: Numbers, probs: Float[Array, "... classes"]
) -> Float[Array, "..."]:
    """Probability mass function of the multinomial distribution.

        P(k) = n!/Πᵢ kᵢ! · Πᵢ pᵢ^kᵢ

    Gradient:
        ∂P/∂pᵢ = P(k) kᵢ/pᵢ

    Args:
        k: The counts.
        n: The number of trials.
        probs: The probabilities p.

    Returns:
        Probabilities, in the shape to which n and the leading axes broadcast; 0 where the counts do
        not add up to n, nan where p is not a vector of probabilities.

    Raises:
        TypeError: If k or n does not hold real numbers, or p no floating-point ones.
        ValueError: If the numbers of classes differ, or the shapes do not broadcast.

    Example:
        >>> print(f"{pmf(jnp.array([1, 1]), 2, jnp.array([0.5, 0.5])):.4f}")
        0.5000

    Source:
        Johnson, Kotz and Balakrishnan, Discrete Multivariate Distributions (1997), §35.1;
        ``scipy.stats.multinomial``.
    """
    _check("pmf", {"n": n}, (k,), probs=probs)
    return evaluated(with_slopes(_multinomials.exponential), "(n),(),(n)->()", k, n, probs)


def sample(
    key: PRNGKeyArray,
    n: Numbers,
    probs: Float[Array, "... classes"],
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Int[Array, "... classes"]:
    """Samples of the multinomial distribution.

        kᵢ binomial in what the classes before have left of n, with pᵢ/(pᵢ + pᵢ₊₁ + …)

    Samples are whole numbers, through which no gradient flows.

    Args:
        key: The random key.
        n: The number of trials.
        probs: The probabilities p.
        shape: The shape of the samples, less their last axis, to which n and the leading axes of p
            must broadcast; theirs by default.

    Returns:
        Independent samples, with the classes on the last axis; −1 where a parameter has no meaning.

    Raises:
        TypeError: If the key is no random key, n does not hold real numbers, or p no floating-point
            ones.
        ValueError: If p has no class, or the shapes do not broadcast to that asked for.

    Example:
        >>> k = sample(jax.random.key(0), 10, jnp.array([0.25, 0.75]), shape=(10_000,))
        >>> print(k.sum(-1).min(), jnp.round(k.mean(0), 1))
        10 [2.5 7.5]

    Source:
        Devroye, Non-Uniform Random Variate Generation (1986), §XI.1.2; ``jax.random.multinomial``.
    """
    _checks.key("sample", key)
    _check("sample", {"n": n}, probs=probs)
    shape = target_shape("sample", shape, n=n, probs=jnp.asarray(probs)[..., 0])
    wide = jnp.promote_types(jnp.result_type(probs), jnp.float32)
    n, p = jnp.asarray(n, wide), jax.lax.stop_gradient(jnp.asarray(probs, wide))
    known = jnp.vectorize(_multinomials.known, signature="(),(n)->()")(n, p)
    p = jnp.where(known[..., None], p, 1 / p.shape[-1])
    k = jax.random.multinomial(
        key, jnp.where(known, n, 0), p, shape=(*shape, p.shape[-1]), dtype=wide
    )
    return jnp.where(known[..., None], k, -1).astype(jnp.int32)


def mean(n: Numbers, probs: Float[Array, "... classes"]) -> Float[Array, "... classes"]:
    """Mean of the multinomial distribution.

        n p

    Args:
        n: The number of trials.
        probs: The probabilities p.

    Returns:
        Vectors of means; nan where a parameter has no meaning.

    Raises:
        TypeError: If n does not hold real numbers, or p no floating-point ones.
        ValueError: If p has no class, or the shapes do not broadcast.

    Example:
        >>> print(mean(10, jnp.array([0.25, 0.75])))
        [2.5 7.5]

    Source:
        Johnson, Kotz and Balakrishnan, Discrete Multivariate Distributions (1997), §35.5.
    """
    _check("mean", {"n": n}, probs=probs)
    return evaluated(without_slopes(_multinomials.mean), "(),(n)->(n)", n, probs)


def variance(n: Numbers, probs: Float[Array, "... classes"]) -> Float[Array, "... classes classes"]:
    """Covariance matrix of the multinomial distribution.

        n (pᵢ δᵢⱼ − pᵢ pⱼ)

    Args:
        n: The number of trials.
        probs: The probabilities p.

    Returns:
        Matrices on two last axes; nan where a parameter has no meaning.

    Raises:
        TypeError: If n does not hold real numbers, or p no floating-point ones.
        ValueError: If p has no class, or the shapes do not broadcast.

    Example:
        >>> print(variance(16, jnp.array([0.25, 0.75])))
        [[ 3. -3.]
         [-3.  3.]]

    Source:
        Johnson, Kotz and Balakrishnan, Discrete Multivariate Distributions (1997), §35.5;
        ``scipy.stats.multinomial.cov``.
    """
    _check("variance", {"n": n}, probs=probs)
    return evaluated(without_slopes(_multinomials.covariance), "(),(n)->(n,n)", n, probs)


def mode(n: Numbers, probs: Float[Array, "... classes"]) -> Int[Array, "... classes"]:
    """Mode of the multinomial distribution, the counts of the largest probability.

        pᵢ/(kᵢ + 1) ≤ pⱼ/kⱼ for all classes i and j

    Args:
        n: The number of trials.
        probs: The probabilities p.

    Returns:
        Counts, of several that tie any; −1 where a parameter has no meaning.

    Raises:
        TypeError: If n does not hold real numbers, or p no floating-point ones.
        ValueError: If p has no class, or the shapes do not broadcast.

    Example:
        >>> print(mode(10, jnp.array([0.25, 0.7, 0.05])))
        [2 8 0]

    Source:
        Finucan, The mode of a multinomial distribution (1964), §2.
    """
    _check("mode", {"n": n}, probs=probs)
    wide = jnp.promote_types(jnp.result_type(probs), jnp.float32)
    k = evaluated(_multinomials.mode, "(),(n)->(n)", n, jnp.asarray(probs, wide))
    return k.astype(jnp.int32)


def entropy(n: Numbers, probs: Float[Array, "... classes"]) -> Float[Array, "..."]:
    """Entropy of the multinomial distribution.

        H = −log n! + Σᵢ E log kᵢ! − n Σᵢ pᵢ log pᵢ,    kᵢ binomial

    Each mean is a sum over the counts up to a deviation of 8, and beyond that one with steps of an
    eighth of the deviation, which errs by less than rounding does.

    Args:
        n: The number of trials.
        probs: The probabilities p.

    Returns:
        Entropies, in nats, in the shape to which n and the leading axes of p broadcast; nan where a
        parameter has no meaning.

    Raises:
        TypeError: If n does not hold real numbers, or p no floating-point ones.
        ValueError: If p has no class, or the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(2, jnp.array([0.5, 0.5])):.4f}")  # 3/2 log 2
        1.0397

    Source:
        Johnson, Kotz and Balakrishnan, Discrete Multivariate Distributions (1997), §35.5; Trefethen
        and Weideman, The exponentially convergent trapezoidal rule (2014), §5.
    """
    _check("entropy", {"n": n}, probs=probs)
    return evaluated(_multinomials.entropy, "(),(n)->()", n, probs)


def kl(
    n_p: Numbers,
    probs_p: Float[Array, "... classes"],
    n_q: Numbers,
    probs_q: Float[Array, "... classes"],
) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two multinomial distributions.

        KL = n Σᵢ pᵢ log(pᵢ/qᵢ)        of equal n

    With different numbers of trials no counts are possible in both, and the divergence is ∞.

    Gradient:
        ∂KL/∂pᵢ = n (log(pᵢ/qᵢ) + 1) where Σ p moves freely,    ∂KL/∂qᵢ = −n pᵢ/qᵢ

    Args:
        n_p: The number of trials of p.
        probs_p: The probabilities of p.
        n_q: The number of trials of q.
        probs_q: The probabilities of q.

    Returns:
        Divergences, in nats, in the shape to which all broadcast; ∞ where a q is 0 and p is not;
        nan where a parameter has no meaning.

    Raises:
        TypeError: If n does not hold real numbers, or p or q no floating-point ones.
        ValueError: If the numbers of classes differ, or the shapes do not broadcast.

    Example:
        >>> print(f"{kl(3, jnp.array([1.0, 0.0]), 3, jnp.array([0.5, 0.5])):.4f}")  # 3 log 2
        2.0794

    Source:
        Cover and Thomas, Elements of Information Theory (2006), §2.3 and theorem 2.5.3.
    """
    _check("kl", {"n_p": n_p, "n_q": n_q}, probs_p=probs_p, probs_q=probs_q)
    f = with_slopes(_multinomials.divergence)
    return evaluated(f, "(),(n),(),(n)->()", n_p, probs_p, n_q, probs_q)


def fit(
    k: Real[Array, "*batch samples classes"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch classes"]]:
    """Parameters of the multinomial distribution that make the samples most likely.

        pᵢ = Σ w kᵢ / Σ w n

    Args:
        k: The counts, samples on the last axis but one.
        weights: How much each sample counts, ≥ 0, in a shape that broadcasts to that of the samples
            less their last axis; all alike by default.

    Returns:
        The probabilities p, alone in a tuple, in the default floating dtype.

    Raises:
        TypeError: If the counts or the weights are not real numbers.
        ValueError: If there is no axis of samples, or the weights do not broadcast to them.

    Example:
        >>> print(*fit(jnp.array([[1, 3], [2, 2]])))
        [0.375 0.625]

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §4.2.4.
    """
    _checks.real("fit", k=k)
    _checks.rank("fit", "k", k, "samples classes")
    rows, w = _fitting.vectors("fit", jnp.asarray(k, float), weights)
    counts = _fitting.mean(rows, w)[..., 0]
    return (counts / jnp.sum(counts, -1, keepdims=True),)


def score(
    k: Real[Array, "... classes"], n: Numbers, probs: Float[Array, "... classes"]
) -> Float[Array, "... classes"]:
    """Score of the multinomial distribution: the gradient of the logarithm along the simplex.

        kᵢ/pᵢ − n

    It is the gradient of the logarithm by p, divided by its sum: p may move in any direction, and
    its sum does not matter. Its mean over samples is 0, its covariance the Fisher information.

    Args:
        k: The counts.
        n: The number of trials.
        probs: The probabilities p.

    Returns:
        The derivatives, 0 where the counts are impossible; nan where a parameter has no meaning.

    Raises:
        TypeError: If k or n does not hold real numbers, or p no floating-point ones.
        ValueError: If the numbers of classes differ, or the shapes do not broadcast.

    Example:
        >>> print(score(jnp.array([2, 2]), 4, jnp.array([0.25, 0.75])).round(4))
        [ 4.     -1.3333]

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §4.2.4.
    """
    _check("score", {"n": n}, (k,), probs=probs)
    return evaluated(without_slopes(_multinomials.score), "(n),(),(n)->(n)", k, n, probs)


def fisher_information(
    n: Numbers, probs: Float[Array, "... classes"]
) -> Float[Array, "... classes classes"]:
    """Fisher information of the multinomial distribution: the covariance of the score.

        n (δᵢⱼ/pᵢ − 1)

    Args:
        n: The number of trials.
        probs: The probabilities p.

    Returns:
        Matrices on two last axes, singular along p; nan where a parameter has no meaning.

    Raises:
        TypeError: If n does not hold real numbers, or p no floating-point ones.
        ValueError: If p has no class, or the shapes do not broadcast.

    Example:
        >>> print(fisher_information(4, jnp.array([0.5, 0.5])))
        [[ 4. -4.]
         [-4.  4.]]

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §4.2.4.
    """
    _check("fisher_information", {"n": n}, probs=probs)
    return evaluated(without_slopes(_multinomials.information), "(),(n)->(n,n)", n, probs)
