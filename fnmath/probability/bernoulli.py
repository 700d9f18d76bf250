"""The Bernoulli distribution: one trial, which succeeds or fails.

    P(1) = p,    P(0) = 1 − p

Notation: k is 0 or 1 and p the probability of 1; 0 log 0 = 0.
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
    head,
    in_pairs,
    log,
    log1p,
    where,
)
from fnmath.probability._sampling import uniform_below


def _known(p: Array) -> Array:
    return (p >= 0) & (p <= 1)


def _at(k: Number, of_0: Number, of_1: Number, elsewhere: float) -> Number:
    return where(head(k) == 1, of_1, where(head(k) == 0, of_0, elsewhere))


def _below(k: Number, before: float, between: Number, after: float) -> Number:
    """What holds up to 0, from there up to 1, and from 1 on."""
    return where(head(k) < 0, before, where(head(k) < 1, between, after))


def _ppf(q: Number, p: Number) -> Number:
    usual = where(head((q - 1) + p) <= 0, 0.0, 1.0 + 0 * head(q))
    return where(head(q) == 0, -1.0, usual)


def _isf(q: Number, p: Number) -> Number:
    usual = where(head(q) >= head(p), 0.0, 1.0 + 0 * head(q))
    return where(head(q) == 1, -1.0, usual)


_F = mass_functions(
    Mass(
        logpmf=lambda k, p: _at(k, log1p(-p), log(p), -jnp.inf),
        by=lambda k, p: _at(k, -1 / (1 - p), 1 / p, 0.0),
        pmf=lambda k, p: _at(k, 1 - p, p, 0.0),
        pmf_by=lambda k, p: _at(k, -1.0 + 0 * head(p), 1.0, 0.0),
        cdf=lambda k, p: _below(k, 0.0, 1 - p, 1.0),
        cdf_by=lambda k, p: _below(k, 0.0, -1.0 + 0 * head(p), 0.0),
        sf=lambda k, p: _below(k, 1.0, p, 0.0),
        logcdf=lambda k, p: _below(k, -jnp.inf, log1p(-p), 0.0),
        logcdf_by=lambda k, p: _below(k, 0.0, -1 / (1 - p), 0.0),
        logsf=lambda k, p: _below(k, 0.0, log(p), -jnp.inf),
        logsf_by=lambda k, p: _below(k, 0.0, 1 / p, 0.0),
        quantile=_ppf,
        upper=_isf,
    ),
    _known,
)
_MEAN = in_pairs(lambda p: p, known=_known)
_VARIANCE = in_pairs(lambda p: p * (1 - p), known=_known)
_MODE = in_pairs(lambda p: where(head(p) > 0.5, 1.0, 0 * head(p)), known=_known)
_ENTROPY = in_pairs(bernoulli_entropy, known=_known)
_KL = in_pairs(bernoulli_divergence, known=both(_known))


def _information(p: Number) -> tuple[tuple[Number, ...], ...]:
    return ((1 / (p * (1 - p)),),)


def pmf(k: Numbers, p: Numbers) -> Float[Array, "..."]:
    """Probability mass function of the Bernoulli distribution.

        P(k) = p for k = 1, 1 − p for k = 0, 0 elsewhere

    Gradient:
        ∂/∂p = 1 for k = 1, −1 for k = 0

    Args:
        k: Where to look: 0 or 1; the probability is 0 elsewhere.
        p: The probability p of a success.

    Returns:
        Probabilities, in the common shape of the arguments; nan where p is not in [0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pmf(1, 0.3):.4f}")
        0.3000

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    return evaluated("pmf", _F.pmf, k=k, p=p)


def logpmf(k: Numbers, p: Numbers) -> Float[Array, "..."]:
    """Logarithm of the probability mass function of the Bernoulli distribution.

        log P(k) = log p for k = 1, log(1 − p) for k = 0, −∞ elsewhere

    Gradient:
        ∂/∂p = 1/p for k = 1, −1/(1 − p) for k = 0

    Args:
        k: Where to look: 0 or 1; the probability is 0 elsewhere.
        p: The probability p of a success.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where p is
        not in [0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpmf(1, 0.3):.4f}")
        -1.2040

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    return evaluated("logpmf", _F.logpmf, k=k, p=p)


def cdf(k: Numbers, p: Numbers) -> Float[Array, "..."]:
    """Distribution function of the Bernoulli distribution: the probability of at most k.

        F(k) = 0 for k < 0, 1 − p for 0 ≤ k < 1, 1 from 1 on

    Gradient:
        ∂/∂p = −1 for 0 ≤ k < 1, else 0

    Args:
        k: Where to look: 0 or 1; the probability is 0 elsewhere.
        p: The probability p of a success.

    Returns:
        Probabilities, in the common shape of the arguments; nan where p is not in [0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1, 0.3):.4f}")
        1.0000

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    return evaluated("cdf", _F.cdf, k=k, p=p)


def logcdf(k: Numbers, p: Numbers) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the Bernoulli distribution.

        log F(k) = −∞ for k < 0, log(1 − p) for 0 ≤ k < 1, 0 from 1 on

    Gradient:
        ∂/∂p = −1/(1 − p) for 0 ≤ k < 1, else 0

    Args:
        k: Where to look: 0 or 1; the probability is 0 elsewhere.
        p: The probability p of a success.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where p is
        not in [0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1, 0.3):.4f}")
        0.0000

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    return evaluated("logcdf", _F.logcdf, k=k, p=p)


def sf(k: Numbers, p: Numbers) -> Float[Array, "..."]:
    """Survival function of the Bernoulli distribution: the probability of more than k.

        S(k) = 1 for k < 0, p for 0 ≤ k < 1, 0 from 1 on

    Gradient:
        ∂/∂p = 1 for 0 ≤ k < 1, else 0

    Args:
        k: Where to look: 0 or 1; the probability is 0 elsewhere.
        p: The probability p of a success.

    Returns:
        Probabilities, in the common shape of the arguments; nan where p is not in [0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1, 0.3):.4f}")
        0.0000

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    return evaluated("sf", _F.sf, k=k, p=p)


def logsf(k: Numbers, p: Numbers) -> Float[Array, "..."]:
    """Logarithm of the survival function of the Bernoulli distribution.

        log S(k) = 0 for k < 0, log p for 0 ≤ k < 1, −∞ from 1 on

    Gradient:
        ∂/∂p = 1/p for 0 ≤ k < 1, else 0

    Args:
        k: Where to look: 0 or 1; the probability is 0 elsewhere.
        p: The probability p of a success.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where p is
        not in [0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1, 0.3):.4f}")
        -inf

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    return evaluated("logsf", _F.logsf, k=k, p=p)


def ppf(q: Numbers, p: Numbers) -> Float[Array, "..."]:
    """Quantile function of the Bernoulli distribution: the smallest k with F(k) ≥ q.

        Q(q) = 0 where q ≤ 1 − p, else 1

    At q = 0 it is −1, as in SciPy. Whether q ≤ 1 − p is decided without rounding.

    Gradient:
        0: the quantile is a step function

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        p: The probability p of a success.

    Returns:
        Quantiles, whole numbers of floating dtype, in the common shape of the arguments; nan where
        p is not in [0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.9, 0.3):.4f}")
        1.0000

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    return evaluated("ppf", _F.ppf, q=q, p=p)


def isf(q: Numbers, p: Numbers) -> Float[Array, "..."]:
    """Inverse survival function of the Bernoulli distribution: the smallest k with S(k) ≤ q.

        Q(1 − q) = 0 where q ≥ p, else 1

    At q = 1 it is −1, as in SciPy.

    Gradient:
        0: the quantile is a step function

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        p: The probability p of a success.

    Returns:
        Quantiles, whole numbers of floating dtype, in the common shape of the arguments; nan where
        p is not in [0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.9, 0.3):.4f}")
        0.0000

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    return evaluated("isf", _F.isf, q=q, p=p)


def sample(
    key: PRNGKeyArray, p: Numbers, *, shape: tuple[int, ...] | int | None = None
) -> Float[Array, "..."]:
    """Samples of the Bernoulli distribution.

        k = 1 with the probability p, else 0

    Samples are whole numbers, through which no gradient flows.

    Gradient:
        ∂k/∂p = 0

    Args:
        key: The random key.
        p: The probability p of a success.
        shape: The shape of the samples, to which the parameters must broadcast; theirs by default.

    Returns:
        Independent samples; nan where p is not in [0, 1].

    Raises:
        TypeError: If the key is no random key, a parameter not an array of real numbers, or the
            shape no tuple of integers.
        ValueError: If the parameters do not broadcast to the shape.

    Example:
        >>> x = sample(jax.random.key(0), 0.3, shape=(10_000,))
        >>> print(f"{x.mean():.2f}")
        0.30

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    return uniform_below("sample", key, shape, _known, p=p)


def mean(p: Numbers) -> Float[Array, "..."]:
    """Mean of the Bernoulli distribution.

        p

    Args:
        p: The probability p of a success.

    Returns:
        Means, in the units of x, in the common shape of the parameters; nan where p is not in [0,
        1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(0.3):.4f}")
        0.3000

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    return evaluated("mean", _MEAN, p=p)


def variance(p: Numbers) -> Float[Array, "..."]:
    """Variance of the Bernoulli distribution.

        p (1 − p)

    Args:
        p: The probability p of a success.

    Returns:
        Variances, in the square of the units of x, in the common shape of the parameters; nan where
        p is not in [0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(0.3):.4f}")
        0.2100

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    return evaluated("variance", _VARIANCE, p=p)


def mode(p: Numbers) -> Float[Array, "..."]:
    """Mode of the Bernoulli distribution, where its probability is largest.

        0 where p ≤ ½, else 1

    Args:
        p: The probability p of a success.

    Returns:
        Modes, in the units of x, in the common shape of the parameters; nan where p is not in [0,
        1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(0.3):.4f}")
        0.0000

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    return evaluated("mode", _MODE, p=p)


def entropy(p: Numbers) -> Float[Array, "..."]:
    """Entropy of the Bernoulli distribution.

        −p log p − (1 − p) log(1 − p)

    Gradient:
        ∂/∂p = log((1 − p)/p)

    Args:
        p: The probability p of a success.

    Returns:
        Entropies, in nats, in the common shape of the parameters; nan where p is not in [0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(0.3):.4f}")
        0.6109

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    return evaluated("entropy", _ENTROPY, p=p)


def kl(p_p: Numbers, p_q: Numbers) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two Bernoulli distributions.

        KL = p₁ log(p₁/p₂) + (1 − p₁) log((1 − p₁)/(1 − p₂))

    Taken as the sum of two terms a log(a/b) + b − a, neither of which is negative, so that nothing
    cancels where p and q are nearly the same.

    Gradient:
        ∂/∂p₁ = log(p₁/p₂) − log((1 − p₁)/(1 − p₂)),    ∂/∂p₂ = (p₂ − p₁)/(p₂ (1 − p₂))

    Args:
        p_p: The probability p of a success of p.
        p_q: The probability p of a success of q.

    Returns:
        Divergences, in nats, in the common shape of the parameters; nan where p is not in [0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(0.3, 0.5):.4f}")
        0.0823

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    return evaluated("kl", _KL, p_p=p_p, p_q=p_q)


def fit(
    k: Float[Array, "*batch samples"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch"]]:
    """Parameters of the Bernoulli distribution that make the samples most likely.

        p = Σ wᵢ kᵢ / Σ wᵢ

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
        >>> print(*fit(jnp.array([0.0, 1.0, 1.0, 1.0])))
        0.75

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    samples, w = _fitting.samples("fit", k, weights)
    return _fitting.of_dtype(k, _fitting.mean(samples, w)[..., 0])


def score(k: Numbers, p: Numbers) -> Float[Array, "... 1"]:
    """Score of the Bernoulli distribution: the gradient of the log-probability by the parameters.

        ∂ log P/∂p = 1/p for k = 1, −1/(1 − p) for k = 0

    Its mean over samples is 0, its covariance the Fisher information.

    Args:
        k: Where to look: 0 or 1; the probability is 0 elsewhere.
        p: The probability p of a success.

    Returns:
        The derivatives by p on a new last axis; nan where p is not in [0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(score(1, 0.3))
        [3.3333333]

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    return stacked("score", _F.by[1:], k=k, p=p)


def fisher_information(p: Numbers) -> Float[Array, "... 1 1"]:
    """Fisher information of the Bernoulli distribution: the covariance of the score.

        I = 1/(p (1 − p))

    Args:
        p: The probability p of a success.

    Returns:
        Matrices on two new last axes, of p; nan where p is not in [0, 1].

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(0.3))
        [[4.7619047]]

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2;
        ``scipy.stats.bernoulli``.
    """
    return information("fisher_information", _information, _known, p=p)
