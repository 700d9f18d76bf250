"""The normal distribution, of which sums of many small independent terms partake.

    f(x) = exp(−½ z²) / (σ √(2π)),    z = (x − μ)/σ

Notation: μ is the mean and σ the standard deviation; φ and Φ are the density and the cdf of z. The
logarithm of a tail is that of Mills' ratio and of the density, so that it has all its digits at a
million standard deviations.
"""

from __future__ import annotations

from jaxtyping import Array, Float, PRNGKeyArray, Real

from fnmath.probability import _fitting, _normal_tail
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
    in_pairs,
    lag_of_ratio,
    log,
)
from fnmath.probability._sampling import drawn

_known = finite_scale
_F = functions(
    location_scale(
        symmetric(
            logpdf=_normal_tail.logpdf,
            slope=lambda z: -z,
            spread=lambda z: (z - 1) * (z + 1),
            cdf=_normal_tail.cdf,
            logcdf=_normal_tail.logcdf,
            reverse_hazard=_normal_tail.reverse_hazard,
            quantile=_normal_tail.quantile,
        )
    ),
    _known,
)
_MEAN = in_pairs(lambda loc, scale: loc, known=_known)
_VARIANCE = in_pairs(lambda loc, scale: scale * scale, known=_known)
_MODE = _MEAN
_ENTROPY = in_pairs(
    lambda loc, scale: log(scale) + (0.5 + _normal_tail.HALF_LOG_2_PI), known=_known
)


def _divergence(loc: Number, scale: Number, loc_q: Number, scale_q: Number) -> Number:
    v, d = (scale - scale_q) / scale_q, (loc - loc_q) / scale_q
    return lag_of_ratio(scale, scale_q) + 0.5 * (v * v) + 0.5 * (d * d)


_KL = in_pairs(_divergence, known=both(_known))


def _information(loc: Number, scale: Number) -> tuple[tuple[Number, ...], ...]:
    return (1 / (scale * scale),), (0.0, 2 / (scale * scale))


def pdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Density of the normal distribution.

        f(x) = exp(−½ z²) / (σ √(2π)),    z = (x − μ)/σ

    Gradient:
        ∂f/∂a = f(x) ∂log f/∂a for each argument a, as of ``logpdf``

    Args:
        x: Where to look.
        loc: The mean μ.
        scale: The standard deviation σ > 0.

    Returns:
        Densities, in units of 1/x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(1.0, 0.0, 2.0):.4f}")
        0.1760

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``scipy.stats.norm``.
    """
    return evaluated("pdf", _F.pdf, x=x, loc=loc, scale=scale)


def logpdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the density of the normal distribution.

        log f(x) = −½ z² − log σ − ½ log 2π,    z = (x − μ)/σ

    The terms are summed in twice the precision: the density may be near 1, and its logarithm near
    0.

    Gradient:
        ∂/∂x = −z/σ,    ∂/∂μ = z/σ,    ∂/∂σ = (z² − 1)/σ

    Args:
        x: Where to look.
        loc: The mean μ.
        scale: The standard deviation σ > 0.

    Returns:
        Logarithms of densities, in nats, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(1.0, 0.0, 2.0):.4f}")
        -1.7371

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``scipy.stats.norm``.
    """
    return evaluated("logpdf", _F.logpdf, x=x, loc=loc, scale=scale)


def cdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Cumulative distribution function of the normal distribution: the probability up to x.

        F(x) = Φ(z) = φ(t) M(t) where z < 0,    1 − φ(z) M(z) elsewhere

    with t = −z and Mills' ratio M(t) = (1 − Φ(t))/φ(t), which is approximated itself: the tail has
    all its digits.

    Gradient:
        ∂F/∂x = f(x),    ∂F/∂μ = −f(x),    ∂F/∂σ = −z f(x)

    Args:
        x: Where to look.
        loc: The mean μ.
        scale: The standard deviation σ > 0.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1.0, 0.0, 2.0):.4f}")
        0.6915

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``scipy.stats.norm``.
    """
    return evaluated("cdf", _F.cdf, x=x, loc=loc, scale=scale)


def logcdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the normal distribution.

        log F(x) = −½ z² − ½ log 2π + log M(−z) where z < 0,    log(1 − φ(z) M(z)) elsewhere

    M is Mills' ratio, as in ``cdf``. At z = −10⁴ this is −5·10⁷, and its slope 10⁴.

    Gradient:
        with r = f(x)/F(x)
        ∂log F/∂x = r,    ∂log F/∂μ = −r,    ∂log F/∂σ = −z r

    Args:
        x: Where to look.
        loc: The mean μ.
        scale: The standard deviation σ > 0.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1.0, 0.0, 2.0):.4f}")
        -0.3689

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``scipy.stats.norm``.
    """
    return evaluated("logcdf", _F.logcdf, x=x, loc=loc, scale=scale)


def sf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Survival function of the normal distribution: the probability beyond x.

        S(x) = 1 − F(x) = Φ(−z)

    Gradient:
        ∂S/∂x = −f(x),    ∂S/∂μ = f(x),    ∂S/∂σ = z f(x)

    Args:
        x: Where to look.
        loc: The mean μ.
        scale: The standard deviation σ > 0.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1.0, 0.0, 2.0):.4f}")
        0.3085

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``scipy.stats.norm``.
    """
    return evaluated("sf", _F.sf, x=x, loc=loc, scale=scale)


def logsf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the survival function of the normal distribution.

        log S(x) = log Φ(−z)

    Gradient:
        with h = f(x)/S(x)
        ∂log S/∂x = −h,    ∂log S/∂μ = h,    ∂log S/∂σ = z h

    Args:
        x: Where to look.
        loc: The mean μ.
        scale: The standard deviation σ > 0.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1.0, 0.0, 2.0):.4f}")
        -1.1759

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``scipy.stats.norm``.
    """
    return evaluated("logsf", _F.logsf, x=x, loc=loc, scale=scale)


def ppf(q: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Quantile function of the normal distribution, the inverse of ``cdf``.

        Q(q) = μ + σ Φ⁻¹(q)

    Φ⁻¹ is a polynomial in the middle, and in the tails Halley's iteration on log Φ, in twice the
    precision.

    Gradient:
        ∂Q/∂q = 1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        loc: The mean μ.
        scale: The standard deviation σ > 0.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.975, 0.0, 2.0):.4f}")
        3.9199

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``scipy.stats.norm``.
    """
    return evaluated("ppf", _F.ppf, q=q, loc=loc, scale=scale)


def isf(q: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Inverse survival function of the normal distribution: the quantile of 1 − q.

        Q(1 − q) = μ − σ Φ⁻¹(q)

    No 1 − q is formed: the quantile of a tail of 10⁻³⁰ is 11.46.

    Gradient:
        ∂Q/∂q = −1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        loc: The mean μ.
        scale: The standard deviation σ > 0.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.975, 0.0, 2.0):.4f}")
        -3.9199

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``scipy.stats.norm``.
    """
    return evaluated("isf", _F.isf, q=q, loc=loc, scale=scale)


def sample(
    key: PRNGKeyArray,
    loc: Numbers = 0.0,
    scale: Numbers = 1.0,
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "..."]:
    """Samples of the normal distribution.

        x = μ ± σ Φ⁻¹(p)

    for a fair sign and p uniform in (0, ½).

    Gradient:
        ∂x/∂μ = 1,    ∂x/∂σ = z, for the uniform numbers drawn (reparameterisation)

    Args:
        key: The random key.
        loc: The mean μ.
        scale: The standard deviation σ > 0.
        shape: The shape of the samples, to which the parameters must broadcast; theirs by default.

    Returns:
        Independent samples; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If the key is no random key, a parameter not an array of real numbers, or the
            shape no tuple of integers.
        ValueError: If the parameters do not broadcast to the shape.

    Example:
        >>> x = sample(jax.random.key(0), 0.0, 2.0, shape=(10_000,))
        >>> print(f"{x.std():.2f}")
        2.00

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``scipy.stats.norm``.
    """
    return drawn("sample", key, _F.ppf, _F.isf, shape, loc=loc, scale=scale)


def mean(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mean of the normal distribution.

        μ

    Args:
        loc: The mean μ.
        scale: The standard deviation σ > 0.

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
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``scipy.stats.norm``.
    """
    return evaluated("mean", _MEAN, loc=loc, scale=scale)


def variance(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Variance of the normal distribution.

        σ²

    Args:
        loc: The mean μ.
        scale: The standard deviation σ > 0.

    Returns:
        Variances, in the square of the units of x, in the common shape of the parameters; nan where
        σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(0.0, 2.0):.4f}")
        4.0000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``scipy.stats.norm``.
    """
    return evaluated("variance", _VARIANCE, loc=loc, scale=scale)


def mode(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mode of the normal distribution, where its density is largest.

        μ

    Args:
        loc: The mean μ.
        scale: The standard deviation σ > 0.

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
        chapter 13; ``scipy.stats.norm``.
    """
    return evaluated("mode", _MODE, loc=loc, scale=scale)


def entropy(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Differential entropy of the normal distribution.

        log σ + ½ log 2πe

    Gradient:
        ∂/∂σ = 1/σ

    Args:
        loc: The mean μ.
        scale: The standard deviation σ > 0.

    Returns:
        Entropies, in nats, in the common shape of the parameters; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(0.0, 2.0):.4f}")
        2.1121

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``scipy.stats.norm``.
    """
    return evaluated("entropy", _ENTROPY, loc=loc, scale=scale)


def kl(loc_p: Numbers, scale_p: Numbers, loc_q: Numbers, scale_q: Numbers) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two normal distributions.

        KL = log(σ₂/σ₁) + (σ₁² + (μ₁ − μ₂)²)/(2 σ₂²) − ½

    With ρ = σ₁/σ₂ it is ρ − 1 − log ρ + ½ (ρ − 1)² + ½ (μ₁ − μ₂)²/σ₂², none of whose terms is
    negative, so that nothing cancels where p and q are nearly the same.

    Gradient:
        with ρ = σ₁/σ₂, d = (μ₁ − μ₂)/σ₂: ∂/∂μ₁ = d/σ₂ = −∂/∂μ₂,
        ∂/∂σ₁ = (ρ − 1/ρ)/σ₂,    ∂/∂σ₂ = (1 − ρ² − d²)/σ₂

    Args:
        loc_p: The mean μ of p.
        scale_p: The standard deviation σ > 0 of p.
        loc_q: The mean μ of q.
        scale_q: The standard deviation σ > 0 of q.

    Returns:
        Divergences, in nats, in the common shape of the parameters; nan where σ ≤ 0 or a parameter
        is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(0.0, 1.0, 1.0, 2.0):.4f}")
        0.4431

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``scipy.stats.norm``.
    """
    return evaluated("kl", _KL, loc_p=loc_p, scale_p=scale_p, loc_q=loc_q, scale_q=scale_q)


def fit(
    x: Float[Array, "*batch samples"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of the normal distribution that make the samples most likely.

        μ = Σ wᵢ xᵢ / Σ wᵢ,    σ² = Σ wᵢ (xᵢ − μ)² / Σ wᵢ

    The variance is not corrected for the mean having been estimated: it is what makes the samples
    likeliest.

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
        3.0000 1.8708

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``scipy.stats.norm``.
    """
    samples, w = _fitting.samples("fit", x, weights)
    loc = _fitting.mean(samples, w)
    scale = _fitting.root(_fitting.mean((samples - loc) ** 2, w))
    return _fitting.of_dtype(x, loc[..., 0], scale[..., 0])


def score(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "... 2"]:
    """Score of the normal distribution: the gradient of the log-density by the parameters.

        ∂ log f/∂(μ, σ) = (z, z² − 1)/σ

    Its mean over samples is 0, its covariance the Fisher information.

    Args:
        x: Where to look.
        loc: The mean μ.
        scale: The standard deviation σ > 0.

    Returns:
        The derivatives by μ and σ on a new last axis; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(score(1.0, 0.0, 2.0))
        [ 0.25  -0.375]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``scipy.stats.norm``.
    """
    return stacked("score", _F.by[1:], x=x, loc=loc, scale=scale)


def fisher_information(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "... 2 2"]:
    """Fisher information of the normal distribution: the covariance of the score.

        I = diag(1, 2)/σ²

    Args:
        loc: The mean μ.
        scale: The standard deviation σ > 0.

    Returns:
        Matrices on two new last axes, of μ and σ; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(0.0, 2.0))
        [[0.25 0.  ]
         [0.   0.5 ]]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 13; ``scipy.stats.norm``.
    """
    return information("fisher_information", _information, _known, loc=loc, scale=scale)
