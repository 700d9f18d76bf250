"""The half-normal distribution: the size of a normal number of mean 0.

    f(x) = √(2/π) exp(−½ z²) / σ,    z = (x − μ)/σ ≥ 0

Notation: μ is where it begins and σ the standard deviation of the normal number; M is Mills' ratio.
"""

from __future__ import annotations

import math

from jaxtyping import Array, Float, PRNGKeyArray, Real

from fnmath.probability import _fitting, _normal_tail
from fnmath.probability._families import (
    Numbers,
    Standard,
    evaluated,
    finite_scale,
    functions,
    information,
    location_scale,
    on_support,
    stacked,
)
from fnmath.probability._numbers import (
    Number,
    either,
    exp,
    head,
    in_pairs,
    lag_of_ratio,
    log,
    log1p,
)
from fnmath.probability._sampling import drawn

_known = finite_scale


def _cdf(z: Number) -> Number:
    """2Φ(z) − 1, about 0 by its series."""
    return either(
        head(z) < 1,
        z,
        lambda z: 2 * _normal_tail.centre(z),
        lambda z: 1 - 2 * _normal_tail.tail(z),
        (0.5, 2.0),
    )


def _logcdf(z: Number) -> Number:
    return either(
        head(z) < 1,
        z,
        lambda z: log(2 * _normal_tail.centre(z)),
        lambda z: log1p(-2 * _normal_tail.tail(z)),
        (0.5, 2.0),
    )


def _logsf(z: Number) -> Number:
    """Log 2Φ(−z), which is as small as z beside 0."""
    return either(
        head(z) < 1,
        z,
        lambda z: log1p(-2 * _normal_tail.centre(z)),
        lambda z: log(_normal_tail.mills(z) * math.sqrt(2 / math.pi)) - 0.5 * (z * z),
        (0.5, 2.0),
    )


_F = functions(
    on_support(
        location_scale(
            Standard(
                logpdf=lambda z: -0.5 * (z * z),
                factor=math.sqrt(math.pi / 2),
                slope=lambda z: -z,
                spread=lambda z: (z - 1) * (z + 1),
                cdf=_cdf,
                sf=lambda z: 2 * _normal_tail.tail(z),
                logcdf=_logcdf,
                logsf=_logsf,
                reverse_hazard=lambda z: 2 * exp(_normal_tail.logpdf(z)) / _cdf(z),
                hazard=lambda z: 1 / _normal_tail.mills(z),
                quantile=lambda q: _normal_tail.quantile(0.5 * (1 + q)),
                upper=lambda q: -_normal_tail.quantile(0.5 * q),
            )
        ),
        below=lambda x, loc, scale: head(x - loc) < 0,
        inside=lambda loc, scale: loc + scale,
    ),
    _known,
)
_MEAN = in_pairs(lambda loc, scale: loc + math.sqrt(2 / math.pi) * scale, known=_known)
_VARIANCE = in_pairs(lambda loc, scale: (1 - 2 / math.pi) * (scale * scale), known=_known)
_MODE = in_pairs(lambda loc, scale: loc, known=_known)
_ENTROPY = in_pairs(lambda loc, scale: log(scale) + 0.5 * (1 + math.log(math.pi / 2)), known=_known)


def _divergence(scale: Number, scale_q: Number) -> Number:
    v = (scale - scale_q) / scale_q
    return lag_of_ratio(scale, scale_q) + 0.5 * (v * v)


def _known_pair(scale: Array, scale_q: Array) -> Array:
    return _known(0 * scale, scale) & _known(0 * scale, scale_q)


_KL = in_pairs(_divergence, known=_known_pair)


def _information(loc: Number, scale: Number) -> tuple[tuple[Number, ...], ...]:
    return ((2 / (scale * scale),),)


def pdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Density of the half-normal distribution.

        f(x) = √(2/π) exp(−½ z²) / σ,    z = (x − μ)/σ; 0 where z < 0

    Gradient:
        ∂f/∂a = f(x) ∂log f/∂a for each argument a, as of ``logpdf``

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The standard deviation σ > 0 of the normal number.

    Returns:
        Densities, in units of 1/x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(1.0, 0.0, 2.0):.4f}")
        0.3521

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    return evaluated("pdf", _F.pdf, x=x, loc=loc, scale=scale)


def logpdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the density of the half-normal distribution.

        log f(x) = −½ z² − log(σ √(π/2)),    z = (x − μ)/σ; −∞ where z < 0

    Gradient:
        ∂/∂x = −z/σ,    ∂/∂μ = z/σ,    ∂/∂σ = (z² − 1)/σ

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The standard deviation σ > 0 of the normal number.

    Returns:
        Logarithms of densities, in nats, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(1.0, 0.0, 2.0):.4f}")
        -1.0439

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    return evaluated("logpdf", _F.logpdf, x=x, loc=loc, scale=scale)


def cdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Cumulative distribution function of the half-normal distribution: the probability up to x.

        F(x) = 2Φ(z) − 1; 0 where z < 0

    Below z = 1 it is taken by its series in z, above as 1 − 2 Φ(−z).

    Gradient:
        ∂F/∂x = f(x),    ∂F/∂μ = −f(x),    ∂F/∂σ = −z f(x)

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The standard deviation σ > 0 of the normal number.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1.0, 0.0, 2.0):.4f}")
        0.3829

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    return evaluated("cdf", _F.cdf, x=x, loc=loc, scale=scale)


def logcdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the half-normal distribution.

        log F(x) = log(2Φ(z) − 1); −∞ where z ≤ 0

    Gradient:
        with r = f(x)/F(x)
        ∂log F/∂x = r,    ∂log F/∂μ = −r,    ∂log F/∂σ = −z r

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The standard deviation σ > 0 of the normal number.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1.0, 0.0, 2.0):.4f}")
        -0.9599

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    return evaluated("logcdf", _F.logcdf, x=x, loc=loc, scale=scale)


def sf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Survival function of the half-normal distribution: the probability beyond x.

        S(x) = 2Φ(−z); 1 where z < 0

    Gradient:
        ∂S/∂x = −f(x),    ∂S/∂μ = f(x),    ∂S/∂σ = z f(x)

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The standard deviation σ > 0 of the normal number.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1.0, 0.0, 2.0):.4f}")
        0.6171

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    return evaluated("sf", _F.sf, x=x, loc=loc, scale=scale)


def logsf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the survival function of the half-normal distribution.

        log S(x) = −½ z² + log(√(2/π) M(z)); 0 where z < 0

    Gradient:
        with h = f(x)/S(x)
        ∂log S/∂x = −h,    ∂log S/∂μ = h,    ∂log S/∂σ = z h

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The standard deviation σ > 0 of the normal number.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1.0, 0.0, 2.0):.4f}")
        -0.4828

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    return evaluated("logsf", _F.logsf, x=x, loc=loc, scale=scale)


def ppf(q: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Quantile function of the half-normal distribution, the inverse of ``cdf``.

        Q(q) = μ + σ Φ⁻¹(½ (1 + q))

    Gradient:
        ∂Q/∂q = 1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        loc: The lower end μ.
        scale: The standard deviation σ > 0 of the normal number.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.9, 0.0, 2.0):.4f}")
        3.2897

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    return evaluated("ppf", _F.ppf, q=q, loc=loc, scale=scale)


def isf(q: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Inverse survival function of the half-normal distribution: the quantile of 1 − q.

        Q(1 − q) = μ − σ Φ⁻¹(½ q)

    Gradient:
        ∂Q/∂q = −1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        loc: The lower end μ.
        scale: The standard deviation σ > 0 of the normal number.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.9, 0.0, 2.0):.4f}")
        0.2513

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    return evaluated("isf", _F.isf, q=q, loc=loc, scale=scale)


def sample(
    key: PRNGKeyArray,
    loc: Numbers = 0.0,
    scale: Numbers = 1.0,
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "..."]:
    """Samples of the half-normal distribution.

        x = μ − σ Φ⁻¹(½ u)

    for u uniform in (0, 1), as fine near 0 as near 1.

    Gradient:
        ∂x/∂μ = 1,    ∂x/∂σ = z (reparameterisation)

    Args:
        key: The random key.
        loc: The lower end μ.
        scale: The standard deviation σ > 0 of the normal number.
        shape: The shape of the samples, to which the parameters must broadcast; theirs by default.

    Returns:
        Independent samples; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If the key is no random key, a parameter not an array of real numbers, or the
            shape no tuple of integers.
        ValueError: If the parameters do not broadcast to the shape.

    Example:
        >>> x = sample(jax.random.key(0), 0.0, 2.0, shape=(10_000,))
        >>> print(f"{x.mean():.2f}")
        1.60

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    return drawn("sample", key, _F.ppf, _F.isf, shape, loc=loc, scale=scale)


def mean(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mean of the half-normal distribution.

        μ + √(2/π) σ

    Args:
        loc: The lower end μ.
        scale: The standard deviation σ > 0 of the normal number.

    Returns:
        Means, in the units of x, in the common shape of the parameters; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(0.0, 2.0):.4f}")
        1.5958

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    return evaluated("mean", _MEAN, loc=loc, scale=scale)


def variance(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Variance of the half-normal distribution.

        (1 − 2/π) σ²

    Args:
        loc: The lower end μ.
        scale: The standard deviation σ > 0 of the normal number.

    Returns:
        Variances, in the square of the units of x, in the common shape of the parameters; nan where
        σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(0.0, 2.0):.4f}")
        1.4535

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    return evaluated("variance", _VARIANCE, loc=loc, scale=scale)


def mode(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mode of the half-normal distribution, where its density is largest.

        μ

    Args:
        loc: The lower end μ.
        scale: The standard deviation σ > 0 of the normal number.

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
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    return evaluated("mode", _MODE, loc=loc, scale=scale)


def entropy(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Differential entropy of the half-normal distribution.

        ½ log(½ π σ²) + ½

    Gradient:
        ∂/∂σ = 1/σ

    Args:
        loc: The lower end μ.
        scale: The standard deviation σ > 0 of the normal number.

    Returns:
        Entropies, in nats, in the common shape of the parameters; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(0.0, 2.0):.4f}")
        1.4189

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    return evaluated("entropy", _ENTROPY, loc=loc, scale=scale)


def kl(scale_p: Numbers, scale_q: Numbers) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two half-normal distributions.

        KL = log(σ₂/σ₁) + ½ σ₁²/σ₂² − ½

    of two with the same location. With ρ = σ₁/σ₂ it is ρ − 1 − log ρ + ½ (ρ − 1)², without
    cancellation.

    Gradient:
        with ρ = σ₁/σ₂: ∂/∂σ₁ = (ρ − 1/ρ)/σ₂,    ∂/∂σ₂ = (1 − ρ²)/σ₂

    Args:
        scale_p: The standard deviation σ > 0 of the normal number of p.
        scale_q: The standard deviation σ > 0 of the normal number of q.

    Returns:
        Divergences, in nats, in the common shape of the parameters; nan where σ ≤ 0 or a parameter
        is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(1.0, 2.0):.4f}")
        0.3181

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    return evaluated("kl", _KL, scale_p=scale_p, scale_q=scale_q)


def fit(
    x: Float[Array, "*batch samples"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of the half-normal distribution that make the samples most likely.

        μ = minᵢ xᵢ,    σ² = Σ wᵢ (xᵢ − μ)² / Σ wᵢ

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
        1.0000 2.7386

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    samples, w = _fitting.samples("fit", x, weights)
    loc = _fitting.smallest(samples, w)
    scale = _fitting.root(_fitting.mean((samples - loc[..., None]) ** 2, w)[..., 0])
    return _fitting.of_dtype(x, loc, scale)


def score(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "... 1"]:
    """Score of the half-normal distribution: the gradient of the log-density by the parameters.

        ∂ log f/∂σ = (z² − 1)/σ

    By σ alone: a location moves the support, and its score does not have the mean 0.

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The standard deviation σ > 0 of the normal number.

    Returns:
        The derivatives by σ on a new last axis; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(score(1.0, 0.0, 2.0))
        [-0.375]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    return stacked("score", _F.by[2:], x=x, loc=loc, scale=scale)


def fisher_information(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "... 1 1"]:
    """Fisher information of the half-normal distribution: the covariance of the score.

        I = 2/σ²

    of σ, the location being known.

    Args:
        loc: The lower end μ.
        scale: The standard deviation σ > 0 of the normal number.

    Returns:
        Matrices on two new last axes, of σ; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(0.0, 2.0))
        [[0.5]]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.halfnorm``.
    """
    return information("fisher_information", _information, _known, loc=loc, scale=scale)
