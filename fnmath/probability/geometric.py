"""The geometric distribution: the number of trials up to the first success, that one included.

    P(k) = (1 − p)^(k − 1) p,    k = 1, 2, …

Notation: p is the probability of a success, ℓ = log(1 − p) ≤ 0.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Real

from fnmath.probability import _fitting
from fnmath.probability._families import (
    Mass,
    Numbers,
    both,
    evaluated,
    information,
    mass_functions,
    stacked,
)
from fnmath.probability._numbers import (
    Number,
    bernoulli_divergence,
    bernoulli_entropy,
    exp,
    expm1,
    head,
    in_pairs,
    log,
    log1mexp,
    log1p,
    times_exp,
    times_vanishing,
    where,
)
from fnmath.probability._sampling import drawn


def _known(p: Array) -> Array:
    return (p > 0) & (p <= 1)


def _log_failures(k: Number, p: Number) -> Number:
    """The logarithm of (1 − p)ᵏ, with 0⁰ = 1."""
    return times_vanishing(log1p(-p), k)


def _whole(k: Number) -> tuple[Array, Number]:
    """Whether k < 1, and the whole number up to k, or 1."""
    below = head(k) < 1
    return below, where(below, 1.0, jnp.floor(head(k)) + 0 * k)


def _before(k: Number, inside: Number, low: float) -> Number:
    return where(head(k) < 1, low, inside)


def _logpmf(k: Number, p: Number) -> Number:
    whole = (head(k) >= 1) & (jnp.floor(head(k)) == head(k))
    some = where(whole, k, 1.0)
    return where(whole, _log_failures(some - 1, p) + log(p), -jnp.inf)


def _by(k: Number, p: Number) -> Number:
    whole = (head(k) >= 1) & (jnp.floor(head(k)) == head(k))
    first = head(k) == 1
    some = where(first, 0.5, p)
    later = (1 - some * k) / (some * (1 - some))
    return where(whole, where(first, 1 / p, later), 0.0)


def _log_sf(k: Number, p: Number) -> Number:
    below, n = _whole(k)
    return where(below, 0.0, _log_failures(n, p))


def _sf_by(k: Number, p: Number) -> Number:
    below, n = _whole(k)
    return where(below, 0.0, -times_exp(n, _log_failures(n - 1, p)))


def _logcdf(k: Number, p: Number) -> Number:
    below, n = _whole(k)
    return where(below, -jnp.inf, log1mexp(-_log_failures(n, p)))


def _logcdf_by(k: Number, p: Number) -> Number:
    below, n = _whole(k)
    slope = times_exp(n, _log_failures(n - 1, p)) / -expm1(_log_failures(n, p))
    return where(below, 0.0, slope)


def _first_at_least(log_tail: Number, p: Number) -> Number:
    """The smallest k ≥ 1 with k ℓ ≤ the logarithm of a tail."""
    certain = head(p) == 1
    n = log_tail / where(certain, -1.0, log1p(-where(certain, 0.5, p)))
    near = jnp.round(head(n))
    beyond = head(n - near) > 1e-6 * jnp.finfo(near.dtype).eps ** 0.5 * near
    found = jnp.where(jnp.isfinite(head(n)), near + jnp.where(beyond, 1, 0), head(n))
    return jnp.where(certain, 1, jnp.maximum(found, 1))


def _ppf(q: Number, p: Number) -> Number:
    return where(head(q) == 0, 0.0, _first_at_least(log1p(-q), p))


def _isf(q: Number, p: Number) -> Number:
    return where(head(q) == 1, 0.0, _first_at_least(log(q), p))


_F = mass_functions(
    Mass(
        logpmf=_logpmf,
        by=_by,
        pmf=lambda k, p: exp(_logpmf(k, p)),
        pmf_by=lambda k, p: times_exp(_by(k, p), _logpmf(k, p)),
        cdf=lambda k, p: -expm1(_log_sf(k, p)),
        cdf_by=lambda k, p: -_sf_by(k, p),
        sf=lambda k, p: exp(_log_sf(k, p)),
        logcdf=_logcdf,
        logcdf_by=_logcdf_by,
        logsf=_log_sf,
        logsf_by=lambda k, p: where(head(k) < 1, 0.0, -_whole(k)[1] / (1 - p)),
        quantile=_ppf,
        upper=_isf,
    ),
    _known,
)
_MEAN = in_pairs(lambda p: 1 / p, known=_known)
_VARIANCE = in_pairs(lambda p: (1 - p) / (p * p), known=_known)
_MODE = in_pairs(lambda p: 1.0 + 0 * head(p), known=_known)
_ENTROPY = in_pairs(lambda p: bernoulli_entropy(p) / p, known=_known)
_KL = in_pairs(lambda p, q: bernoulli_divergence(p, q) / p, known=both(_known))


def _information(p: Number) -> tuple[tuple[Number, ...], ...]:
    return ((1 / (p * p * (1 - p)),),)


def pmf(k: Numbers, p: Numbers) -> Float[Array, "..."]:
    """Probability mass function of the geometric distribution.

        P(k) = (1 − p)^(k − 1) p for k = 1, 2, …, 0 elsewhere

    Gradient:
        ∂P/∂p = P(k) ∂log P/∂p

    Args:
        k: Where to look: 1, 2, …; the probability is 0 elsewhere.
        p: The probability p of a success.

    Returns:
        Probabilities, in the common shape of the arguments; nan where p is not in (0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pmf(3, 0.3):.4f}")
        0.1470

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    return evaluated("pmf", _F.pmf, k=k, p=p)


def logpmf(k: Numbers, p: Numbers) -> Float[Array, "..."]:
    """Logarithm of the probability mass function of the geometric distribution.

        log P(k) = (k − 1) ℓ + log p,    ℓ = log(1 − p); −∞ where k is none of 1, 2, …

    Gradient:
        ∂/∂p = 1/p − (k − 1)/(1 − p)

    Args:
        k: Where to look: 1, 2, …; the probability is 0 elsewhere.
        p: The probability p of a success.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where p is
        not in (0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpmf(3, 0.3):.4f}")
        -1.9173

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    return evaluated("logpmf", _F.logpmf, k=k, p=p)


def cdf(k: Numbers, p: Numbers) -> Float[Array, "..."]:
    """Distribution function of the geometric distribution: the probability of at most k.

        F(k) = 1 − (1 − p)ᵏ = −expm1(k ℓ) with k rounded down; 0 where k < 1

    Gradient:
        ∂/∂p = k (1 − p)^(k − 1)

    Args:
        k: Where to look: 1, 2, …; the probability is 0 elsewhere.
        p: The probability p of a success.

    Returns:
        Probabilities, in the common shape of the arguments; nan where p is not in (0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(3, 0.3):.4f}")
        0.6570

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    return evaluated("cdf", _F.cdf, k=k, p=p)


def logcdf(k: Numbers, p: Numbers) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the geometric distribution.

        log F(k) = log(1 − exp(k ℓ)) with k rounded down; −∞ where k < 1

    Gradient:
        ∂/∂p = k (1 − p)^(k − 1)/F(k)

    Args:
        k: Where to look: 1, 2, …; the probability is 0 elsewhere.
        p: The probability p of a success.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where p is
        not in (0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(3, 0.3):.4f}")
        -0.4201

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    return evaluated("logcdf", _F.logcdf, k=k, p=p)


def sf(k: Numbers, p: Numbers) -> Float[Array, "..."]:
    """Survival function of the geometric distribution: the probability of more than k.

        S(k) = (1 − p)ᵏ = exp(k ℓ) with k rounded down; 1 where k < 1

    Gradient:
        ∂/∂p = −k (1 − p)^(k − 1)

    Args:
        k: Where to look: 1, 2, …; the probability is 0 elsewhere.
        p: The probability p of a success.

    Returns:
        Probabilities, in the common shape of the arguments; nan where p is not in (0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(3, 0.3):.4f}")
        0.3430

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    return evaluated("sf", _F.sf, k=k, p=p)


def logsf(k: Numbers, p: Numbers) -> Float[Array, "..."]:
    """Logarithm of the survival function of the geometric distribution.

        log S(k) = k ℓ with k rounded down; 0 where k < 1

    Gradient:
        ∂/∂p = −k/(1 − p)

    Args:
        k: Where to look: 1, 2, …; the probability is 0 elsewhere.
        p: The probability p of a success.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where p is
        not in (0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(3, 0.3):.4f}")
        -1.0700

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    return evaluated("logsf", _F.logsf, k=k, p=p)


def ppf(q: Numbers, p: Numbers) -> Float[Array, "..."]:
    """Quantile function of the geometric distribution: the smallest k with F(k) ≥ q.

        Q(q) = ⌈log(1 − q)/ℓ⌉, at least 1

    At q = 0 it is 0, as in SciPy. The quotient is carried in twice the precision, so that a whole
    number is known as one.

    Gradient:
        0: the quantile is a step function

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        p: The probability p of a success.

    Returns:
        Quantiles, whole numbers of floating dtype, in the common shape of the arguments; nan where
        p is not in (0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.9, 0.3):.4f}")
        7.0000

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    return evaluated("ppf", _F.ppf, q=q, p=p)


def isf(q: Numbers, p: Numbers) -> Float[Array, "..."]:
    """Inverse survival function of the geometric distribution: the smallest k with S(k) ≤ q.

        Q(1 − q) = ⌈log(q)/ℓ⌉, at least 1

    At q = 1 it is 0, as in SciPy.

    Gradient:
        0: the quantile is a step function

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        p: The probability p of a success.

    Returns:
        Quantiles, whole numbers of floating dtype, in the common shape of the arguments; nan where
        p is not in (0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.9, 0.3):.4f}")
        1.0000

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    return evaluated("isf", _F.isf, q=q, p=p)


def sample(
    key: PRNGKeyArray, p: Numbers, *, shape: tuple[int, ...] | int | None = None
) -> Float[Array, "..."]:
    """Samples of the geometric distribution.

        k = ⌈log(u)/ℓ⌉

    for u uniform in (0, 1), as fine near 0 as near 1. Samples are whole numbers, through which no
    gradient flows.

    Gradient:
        ∂k/∂p = 0

    Args:
        key: The random key.
        p: The probability p of a success.
        shape: The shape of the samples, to which the parameters must broadcast; theirs by default.

    Returns:
        Independent samples; nan where p is not in (0, 1].

    Raises:
        TypeError: If the key is no random key, a parameter not an array of real numbers, or the
            shape no tuple of integers.
        ValueError: If the parameters do not broadcast to the shape.

    Example:
        >>> x = sample(jax.random.key(0), 0.3, shape=(10_000,))
        >>> print(f"{x.mean():.2f}")
        3.33

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    return drawn("sample", key, _F.ppf, _F.isf, shape, p=p)


def mean(p: Numbers) -> Float[Array, "..."]:
    """Mean of the geometric distribution.

        1/p

    Args:
        p: The probability p of a success.

    Returns:
        Means, in the units of x, in the common shape of the parameters; nan where p is not in (0,
        1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(0.3):.4f}")
        3.3333

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    return evaluated("mean", _MEAN, p=p)


def variance(p: Numbers) -> Float[Array, "..."]:
    """Variance of the geometric distribution.

        (1 − p)/p²

    Args:
        p: The probability p of a success.

    Returns:
        Variances, in the square of the units of x, in the common shape of the parameters; nan where
        p is not in (0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(0.3):.4f}")
        7.7778

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    return evaluated("variance", _VARIANCE, p=p)


def mode(p: Numbers) -> Float[Array, "..."]:
    """Mode of the geometric distribution, where its probability is largest.

        1

    Args:
        p: The probability p of a success.

    Returns:
        Modes, in the units of x, in the common shape of the parameters; nan where p is not in (0,
        1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(0.3):.4f}")
        1.0000

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    return evaluated("mode", _MODE, p=p)


def entropy(p: Numbers) -> Float[Array, "..."]:
    """Entropy of the geometric distribution.

        (−p log p − (1 − p) log(1 − p))/p

    Gradient:
        ∂/∂p = log(1 − p)/p²

    Args:
        p: The probability p of a success.

    Returns:
        Entropies, in nats, in the common shape of the parameters; nan where p is not in (0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(0.3):.4f}")
        2.0362

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    return evaluated("entropy", _ENTROPY, p=p)


def kl(p_p: Numbers, p_q: Numbers) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two geometric distributions.

        KL = log(p₁/p₂) + (1/p₁ − 1) log((1 − p₁)/(1 − p₂))

    1/p₁ times that of two Bernoulli distributions, computed as there without cancellation.

    Gradient:
        ∂/∂p₂ = (p₂ − p₁)/(p₁ p₂ (1 − p₂))

    Args:
        p_p: The probability p of a success of p.
        p_q: The probability p of a success of q.

    Returns:
        Divergences, in nats, in the common shape of the parameters; nan where p is not in (0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(0.3, 0.5):.4f}")
        0.2743

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    return evaluated("kl", _KL, p_p=p_p, p_q=p_q)


def fit(
    k: Float[Array, "*batch samples"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch"]]:
    """Parameters of the geometric distribution that make the samples most likely.

        p = Σ wᵢ / Σ wᵢ kᵢ

    Args:
        k: The samples, on the last axis.
        weights: How much each sample counts, ≥ 0, in a shape that broadcasts to theirs; all alike
            by default.

    Returns:
        The estimates p, each in the shape of the samples without their axis.

    Raises:
        TypeError: If the samples are not a floating-point array, or the weights not real numbers.
        ValueError: If there is no axis of samples, or the weights do not broadcast to them.

    Example:
        >>> print(*fit(jnp.array([1.0, 2.0, 4.0, 1.0])))
        0.5

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    samples, w = _fitting.samples("fit", k, weights)
    return _fitting.of_dtype(k, 1 / _fitting.mean(samples, w)[..., 0])


def score(k: Numbers, p: Numbers) -> Float[Array, "... 1"]:
    """Score of the geometric distribution: the gradient of the log-probability by the parameters.

        ∂ log P/∂p = 1/p − (k − 1)/(1 − p)

    Its mean over samples is 0, its covariance the Fisher information.

    Args:
        k: Where to look: 1, 2, …; the probability is 0 elsewhere.
        p: The probability p of a success.

    Returns:
        The derivatives by p on a new last axis; nan where p is not in (0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(score(3, 0.3))
        [0.4761903]

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    return stacked("score", _F.by[1:], k=k, p=p)


def fisher_information(p: Numbers) -> Float[Array, "... 1 1"]:
    """Fisher information of the geometric distribution: the covariance of the score.

        I = 1/(p² (1 − p))

    Args:
        p: The probability p of a success.

    Returns:
        Matrices on two new last axes, of p; nan where p is not in (0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(0.3))
        [[15.873014]]

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.2;
        ``scipy.stats.geom``.
    """
    return information("fisher_information", _information, _known, p=p)
