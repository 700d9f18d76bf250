"""The Laplace distribution: exponential on either side of its median.

    f(x) = exp(−|z|) / (2σ),    z = (x − μ)/σ

Notation: μ is the median, and σ the mean distance from it. The density has a kink at μ; the
derivatives there are those with sign(0) = 0.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Real

from fnmath.probability import _fitting
from fnmath.probability._families import (
    Numbers,
    both,
    evaluated,
    finite_scale,
    functions,
    information,
    location_scale,
    stacked,
    symmetric,
)
from fnmath.probability._numbers import (
    Number,
    above_tangent,
    absolute,
    exp,
    head,
    in_pairs,
    lag_of_ratio,
    log,
    log1p,
    where,
)
from fnmath.probability._sampling import drawn

_known = finite_scale
LOG_2 = math.log(2)


def _parts(z: Number) -> tuple[Array, Number, Number]:
    """Whether z < 0, and z or 0 below, z or 0 above."""
    below = head(z) < 0
    return below, where(below, z, 0.0), where(below, 0.0, z)


def _cdf(z: Number) -> Number:
    below, low, high = _parts(z)
    return where(below, 0.5 * exp(low), 1 - 0.5 * exp(-high))


def _logcdf(z: Number) -> Number:
    below, low, high = _parts(z)
    return where(below, low - LOG_2, log1p(-0.5 * exp(-high)))


def _reverse_hazard(z: Number) -> Number:
    below, _, high = _parts(z)
    return where(below, 1.0, 0.5 * exp(-high) / (1 - 0.5 * exp(-high)))


def _quantile(q: Number) -> Number:
    below = head(q) < 0.5
    return where(below, log(2 * where(below, q, 0.5)), -log(2 * (1 - where(below, 0.5, q))))


_F = functions(
    location_scale(
        symmetric(
            logpdf=lambda z: -absolute(z),
            factor=2.0,
            slope=lambda z: -jnp.sign(head(z)),
            spread=lambda z: absolute(z) - 1,
            cdf=_cdf,
            logcdf=_logcdf,
            reverse_hazard=_reverse_hazard,
            quantile=_quantile,
        )
    ),
    _known,
)
_MEAN = in_pairs(lambda loc, scale: loc, known=_known)
_VARIANCE = in_pairs(lambda loc, scale: 2 * (scale * scale), known=_known)
_MODE = _MEAN
_ENTROPY = in_pairs(lambda loc, scale: log(scale) + (1 + LOG_2), known=_known)


def _divergence(loc: Number, scale: Number, loc_q: Number, scale_q: Number) -> Number:
    d = absolute(loc - loc_q)
    return lag_of_ratio(scale, scale_q) + (scale / scale_q) * above_tangent(d / scale)


_KL = in_pairs(_divergence, known=both(_known))


def _information(loc: Number, scale: Number) -> tuple[tuple[Number, ...], ...]:
    return (1 / (scale * scale),), (0.0, 1 / (scale * scale))


def pdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Density of the Laplace distribution.

        f(x) = exp(−|z|) / (2σ),    z = (x − μ)/σ

    Gradient:
        ∂f/∂a = f(x) ∂log f/∂a for each argument a, as of ``logpdf``

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The mean distance σ > 0 from it.

    Returns:
        Densities, in units of 1/x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(1.0, 0.0, 2.0):.4f}")
        0.1516

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 24; ``scipy.stats.laplace``.
    """
    return evaluated("pdf", _F.pdf, x=x, loc=loc, scale=scale)


def logpdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the density of the Laplace distribution.

        log f(x) = −|z| − log 2σ,    z = (x − μ)/σ

    Gradient:
        ∂/∂x = −sign(z)/σ,    ∂/∂μ = sign(z)/σ,    ∂/∂σ = (|z| − 1)/σ

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The mean distance σ > 0 from it.

    Returns:
        Logarithms of densities, in nats, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(1.0, 0.0, 2.0):.4f}")
        -1.8863

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 24; ``scipy.stats.laplace``.
    """
    return evaluated("logpdf", _F.logpdf, x=x, loc=loc, scale=scale)


def cdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Cumulative distribution function of the Laplace distribution: the probability up to x.

        F(x) = ½ exp(z) where z < 0,    1 − ½ exp(−z) elsewhere

    Gradient:
        ∂F/∂x = f(x),    ∂F/∂μ = −f(x),    ∂F/∂σ = −z f(x)

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The mean distance σ > 0 from it.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1.0, 0.0, 2.0):.4f}")
        0.6967

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 24; ``scipy.stats.laplace``.
    """
    return evaluated("cdf", _F.cdf, x=x, loc=loc, scale=scale)


def logcdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the Laplace distribution.

        log F(x) = z − log 2 where z < 0,    log(1 − ½ exp(−z)) elsewhere

    Gradient:
        with r = f(x)/F(x)
        ∂log F/∂x = r,    ∂log F/∂μ = −r,    ∂log F/∂σ = −z r

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The mean distance σ > 0 from it.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1.0, 0.0, 2.0):.4f}")
        -0.3614

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 24; ``scipy.stats.laplace``.
    """
    return evaluated("logcdf", _F.logcdf, x=x, loc=loc, scale=scale)


def sf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Survival function of the Laplace distribution: the probability beyond x.

        S(x) = 1 − F(x) = F(2μ − x)

    Gradient:
        ∂S/∂x = −f(x),    ∂S/∂μ = f(x),    ∂S/∂σ = z f(x)

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The mean distance σ > 0 from it.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1.0, 0.0, 2.0):.4f}")
        0.3033

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 24; ``scipy.stats.laplace``.
    """
    return evaluated("sf", _F.sf, x=x, loc=loc, scale=scale)


def logsf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the survival function of the Laplace distribution.

        log S(x) = log F(2μ − x)

    Gradient:
        with h = f(x)/S(x)
        ∂log S/∂x = −h,    ∂log S/∂μ = h,    ∂log S/∂σ = z h

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The mean distance σ > 0 from it.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1.0, 0.0, 2.0):.4f}")
        -1.1931

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 24; ``scipy.stats.laplace``.
    """
    return evaluated("logsf", _F.logsf, x=x, loc=loc, scale=scale)


def ppf(q: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Quantile function of the Laplace distribution, the inverse of ``cdf``.

        Q(q) = μ + σ log 2q where q < ½,    μ − σ log 2(1 − q) elsewhere

    Gradient:
        ∂Q/∂q = 1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        loc: The median μ.
        scale: The mean distance σ > 0 from it.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.9, 0.0, 2.0):.4f}")
        3.2189

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 24; ``scipy.stats.laplace``.
    """
    return evaluated("ppf", _F.ppf, q=q, loc=loc, scale=scale)


def isf(q: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Inverse survival function of the Laplace distribution: the quantile of 1 − q.

        Q(1 − q) = 2μ − Q(q)

    Gradient:
        ∂Q/∂q = −1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        loc: The median μ.
        scale: The mean distance σ > 0 from it.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.9, 0.0, 2.0):.4f}")
        -3.2189

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 24; ``scipy.stats.laplace``.
    """
    return evaluated("isf", _F.isf, q=q, loc=loc, scale=scale)


def sample(
    key: PRNGKeyArray,
    loc: Numbers = 0.0,
    scale: Numbers = 1.0,
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "..."]:
    """Samples of the Laplace distribution.

        x = μ ± σ log 2p

    for a fair sign and p uniform in (0, ½).

    Gradient:
        ∂x/∂μ = 1,    ∂x/∂σ = z, for the uniform numbers drawn (reparameterisation)

    Args:
        key: The random key.
        loc: The median μ.
        scale: The mean distance σ > 0 from it.
        shape: The shape of the samples, to which the parameters must broadcast; theirs by default.

    Returns:
        Independent samples; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If the key is no random key, a parameter not an array of real numbers, or the
            shape no tuple of integers.
        ValueError: If the parameters do not broadcast to the shape.

    Example:
        >>> x = sample(jax.random.key(0), 0.0, 2.0, shape=(10_000,))
        >>> print(f"{abs(x).mean():.2f}")
        2.00

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 24; ``scipy.stats.laplace``.
    """
    return drawn("sample", key, _F.ppf, _F.isf, shape, loc=loc, scale=scale)


def mean(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mean of the Laplace distribution.

        μ

    Args:
        loc: The median μ.
        scale: The mean distance σ > 0 from it.

    Returns:
        Means, in the units of x, in the common shape of the parameters; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(0.0, 2.0):.4f}")
        0.0000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 24; ``scipy.stats.laplace``.
    """
    return evaluated("mean", _MEAN, loc=loc, scale=scale)


def variance(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Variance of the Laplace distribution.

        2 σ²

    Args:
        loc: The median μ.
        scale: The mean distance σ > 0 from it.

    Returns:
        Variances, in the square of the units of x, in the common shape of the parameters; nan where
        σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(0.0, 2.0):.4f}")
        8.0000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 24; ``scipy.stats.laplace``.
    """
    return evaluated("variance", _VARIANCE, loc=loc, scale=scale)


def mode(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mode of the Laplace distribution, where its density is largest.

        μ

    Args:
        loc: The median μ.
        scale: The mean distance σ > 0 from it.

    Returns:
        Modes, in the units of x, in the common shape of the parameters; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(0.0, 2.0):.4f}")
        0.0000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 24; ``scipy.stats.laplace``.
    """
    return evaluated("mode", _MODE, loc=loc, scale=scale)


def entropy(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Differential entropy of the Laplace distribution.

        1 + log 2σ

    Gradient:
        ∂/∂σ = 1/σ

    Args:
        loc: The median μ.
        scale: The mean distance σ > 0 from it.

    Returns:
        Entropies, in nats, in the common shape of the parameters; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(0.0, 2.0):.4f}")
        2.3863

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 24; ``scipy.stats.laplace``.
    """
    return evaluated("entropy", _ENTROPY, loc=loc, scale=scale)


def kl(loc_p: Numbers, scale_p: Numbers, loc_q: Numbers, scale_q: Numbers) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two Laplace distributions.

        KL = ρ − 1 − log ρ + ρ (exp(−δ) − 1 + δ),    ρ = σ₁/σ₂,    δ = |μ₁ − μ₂|/σ₁

    Neither term is negative, and each is computed without a difference, so that nothing cancels
    where p and q are nearly the same.

    Gradient:
        with ρ = σ₁/σ₂, δ = |μ₁ − μ₂|/σ₁: ∂/∂μ₁ = sign(μ₁ − μ₂) (1 − exp(−δ))/σ₂ = −∂/∂μ₂,
        ∂/∂σ₁ = (1 + δ) exp(−δ)/σ₂ − 1/σ₁,    ∂/∂σ₂ = (1 − ρ (δ + exp(−δ)))/σ₂

    Args:
        loc_p: The median μ of p.
        scale_p: The mean distance σ > 0 from it of p.
        loc_q: The median μ of q.
        scale_q: The mean distance σ > 0 from it of q.

    Returns:
        Divergences, in nats, in the common shape of the parameters; nan where σ ≤ 0 or a parameter
        is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(0.0, 1.0, 1.0, 2.0):.4f}")
        0.3771

    Source:
        Gil, Alajaji and Linder, Rényi divergence measures for commonly used univariate continuous
        distributions (2013), table 2.
    """
    return evaluated("kl", _KL, loc_p=loc_p, scale_p=scale_p, loc_q=loc_q, scale_q=scale_q)


def fit(
    x: Float[Array, "*batch samples"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of the Laplace distribution that make the samples most likely.

        μ = the weighted median of the xᵢ,    σ = Σ wᵢ |xᵢ − μ| / Σ wᵢ

    Of an even number of samples any between the middle two are a median; the one halfway is taken.

    Args:
        x: The samples, on the last axis.
        weights: How much each sample counts, ≥ 0, in a shape that broadcasts to theirs; all alike
            by default.

    Returns:
        The estimates μ, σ, each in the shape of the samples without their axis.

    Raises:
        TypeError: If the samples are not a floating-point array, or the weights not real numbers.
        ValueError: If there is no axis of samples, or the weights do not broadcast to them.

    Example:
        >>> x = jnp.array([1.0, 2.0, 3.0, 6.0])
        >>> print(*(f"{a:.4f}" for a in fit(x)))
        2.5000 1.5000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 24; ``scipy.stats.laplace``.
    """
    samples, w = _fitting.samples("fit", x, weights)
    loc = _fitting.median(samples, w)
    scale = _fitting.mean(jnp.abs(samples - loc[..., None]), w)[..., 0]
    return _fitting.of_dtype(x, loc, scale)


def score(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "... 2"]:
    """Score of the Laplace distribution: the gradient of the log-density by the parameters.

        ∂ log f/∂(μ, σ) = (sign z, |z| − 1)/σ

    Its mean over samples is 0, its covariance the Fisher information.

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The mean distance σ > 0 from it.

    Returns:
        The derivatives by μ and σ on a new last axis; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(score(1.0, 0.0, 2.0))
        [ 0.5  -0.25]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 24; ``scipy.stats.laplace``.
    """
    return stacked("score", _F.by[1:], x=x, loc=loc, scale=scale)


def fisher_information(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "... 2 2"]:
    """Fisher information of the Laplace distribution: the covariance of the score.

        I = diag(1, 1)/σ²

    Args:
        loc: The median μ.
        scale: The mean distance σ > 0 from it.

    Returns:
        Matrices on two new last axes, of μ and σ; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(0.0, 2.0))
        [[0.25 0.  ]
         [0.   0.25]]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 24; ``scipy.stats.laplace``.
    """
    return information("fisher_information", _information, _known, loc=loc, scale=scale)
