"""The Gumbel distribution (right-skewed): the largest of many independent numbers.

    F(x) = exp(−y),    y = exp(−z),    z = (x − μ)/σ

Notation: μ is the mode and σ the scale; γ = 0.577… is Euler's constant.
"""

from __future__ import annotations

import math

from jaxtyping import Array, Float, PRNGKeyArray, Real

from fnmath.probability import _fitting
from fnmath.probability._families import (
    Numbers,
    Standard,
    both,
    evaluated,
    finite_scale,
    functions,
    information,
    location_scale,
    stacked,
)
from fnmath.probability._numbers import (
    EULER,
    Number,
    exp,
    expm1,
    gumbel_divergence,
    head,
    in_pairs,
    log,
    log1mexp_of_log,
    log1p,
    times_exp,
    where,
)
from fnmath.probability._sampling import drawn

_known = finite_scale


def _logpdf(z: Number) -> Number:
    y = exp(-z)
    far = head(y) == math.inf
    return where(far, -math.inf, -(where(far, 1.0, z) + where(far, 1.0, y)))


def _hazard(z: Number) -> Number:
    """y/(exp(y) − 1), which is 1 at y = 0."""
    y = exp(-z)
    small = head(y) == 0
    some = where(small, 1.0, y)
    return where(small, 1.0 - y, times_exp(some, -some) / -expm1(-some))


_F = functions(
    location_scale(
        Standard(
            logpdf=_logpdf,
            slope=lambda z: expm1(-z),
            spread=lambda z: -(1 + z * expm1(-z)),
            cdf=lambda z: exp(-exp(-z)),
            sf=lambda z: -expm1(-exp(-z)),
            logcdf=lambda z: -exp(-z),
            logsf=lambda z: log1mexp_of_log(-z),
            reverse_hazard=lambda z: exp(-z),
            hazard=_hazard,
            quantile=lambda q: -log(-log(q)),
            upper=lambda q: -log(-log1p(-q)),
        )
    ),
    _known,
)
_MEAN = in_pairs(lambda loc, scale: loc + EULER * scale, known=_known)
_VARIANCE = in_pairs(lambda loc, scale: (math.pi**2 / 6) * (scale * scale), known=_known)
_MODE = in_pairs(lambda loc, scale: loc, known=_known)
_ENTROPY = in_pairs(lambda loc, scale: log(scale) + (EULER + 1), known=_known)


def _divergence(loc: Number, scale: Number, loc_q: Number, scale_q: Number) -> Number:
    return gumbel_divergence((scale - scale_q) / scale_q, (loc - loc_q) / scale_q)


_KL = in_pairs(_divergence, known=both(_known))


def _information(loc: Number, scale: Number) -> tuple[tuple[Number, ...], ...]:
    per_square = 1 / (scale * scale)
    return (per_square,), (
        (EULER - 1) * per_square,
        (math.pi**2 / 6 + (1 - EULER) ** 2) * per_square,
    )


def pdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Density of the Gumbel distribution.

        f(x) = y exp(−y) / σ,    y = exp(−z),    z = (x − μ)/σ

    Gradient:
        ∂f/∂a = f(x) ∂log f/∂a for each argument a, as of ``logpdf``

    Args:
        x: Where to look.
        loc: The mode μ.
        scale: The scale σ > 0.

    Returns:
        Densities, in units of 1/x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(1.0, 0.0, 2.0):.4f}")
        0.1654

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 22; ``scipy.stats.gumbel_r``.
    """
    return evaluated("pdf", _F.pdf, x=x, loc=loc, scale=scale)


def logpdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the density of the Gumbel distribution.

        log f(x) = −z − exp(−z) − log σ,    z = (x − μ)/σ

    Gradient:
        ∂/∂x = (y − 1)/σ,    ∂/∂μ = (1 − y)/σ,    ∂/∂σ = (z (1 − y) − 1)/σ

    Args:
        x: Where to look.
        loc: The mode μ.
        scale: The scale σ > 0.

    Returns:
        Logarithms of densities, in nats, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(1.0, 0.0, 2.0):.4f}")
        -1.7997

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 22; ``scipy.stats.gumbel_r``.
    """
    return evaluated("logpdf", _F.logpdf, x=x, loc=loc, scale=scale)


def cdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Cumulative distribution function of the Gumbel distribution: the probability up to x.

        F(x) = exp(−exp(−z))

    Gradient:
        ∂F/∂x = f(x),    ∂F/∂μ = −f(x),    ∂F/∂σ = −z f(x)

    Args:
        x: Where to look.
        loc: The mode μ.
        scale: The scale σ > 0.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1.0, 0.0, 2.0):.4f}")
        0.5452

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 22; ``scipy.stats.gumbel_r``.
    """
    return evaluated("cdf", _F.cdf, x=x, loc=loc, scale=scale)


def logcdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the Gumbel distribution.

        log F(x) = −exp(−z)

    Gradient:
        with r = f(x)/F(x)
        ∂log F/∂x = r,    ∂log F/∂μ = −r,    ∂log F/∂σ = −z r

    Args:
        x: Where to look.
        loc: The mode μ.
        scale: The scale σ > 0.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1.0, 0.0, 2.0):.4f}")
        -0.6065

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 22; ``scipy.stats.gumbel_r``.
    """
    return evaluated("logcdf", _F.logcdf, x=x, loc=loc, scale=scale)


def sf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Survival function of the Gumbel distribution: the probability beyond x.

        S(x) = 1 − exp(−y) = −expm1(−y),    y = exp(−z)

    Gradient:
        ∂S/∂x = −f(x),    ∂S/∂μ = f(x),    ∂S/∂σ = z f(x)

    Args:
        x: Where to look.
        loc: The mode μ.
        scale: The scale σ > 0.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1.0, 0.0, 2.0):.4f}")
        0.4548

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 22; ``scipy.stats.gumbel_r``.
    """
    return evaluated("sf", _F.sf, x=x, loc=loc, scale=scale)


def logsf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the survival function of the Gumbel distribution.

        log S(x) = log(1 − exp(−y)),    y = exp(−z)

    Gradient:
        with h = f(x)/S(x)
        ∂log S/∂x = −h,    ∂log S/∂μ = h,    ∂log S/∂σ = z h

    Args:
        x: Where to look.
        loc: The mode μ.
        scale: The scale σ > 0.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1.0, 0.0, 2.0):.4f}")
        -0.7880

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 22; ``scipy.stats.gumbel_r``.
    """
    return evaluated("logsf", _F.logsf, x=x, loc=loc, scale=scale)


def ppf(q: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Quantile function of the Gumbel distribution, the inverse of ``cdf``.

        Q(q) = μ − σ log(−log q)

    Gradient:
        ∂Q/∂q = 1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        loc: The mode μ.
        scale: The scale σ > 0.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.9, 0.0, 2.0):.4f}")
        4.5007

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 22; ``scipy.stats.gumbel_r``.
    """
    return evaluated("ppf", _F.ppf, q=q, loc=loc, scale=scale)


def isf(q: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Inverse survival function of the Gumbel distribution: the quantile of 1 − q.

        Q(1 − q) = μ − σ log(−log(1 − q))

    Gradient:
        ∂Q/∂q = −1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        loc: The mode μ.
        scale: The scale σ > 0.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.9, 0.0, 2.0):.4f}")
        -1.6681

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 22; ``scipy.stats.gumbel_r``.
    """
    return evaluated("isf", _F.isf, q=q, loc=loc, scale=scale)


def sample(
    key: PRNGKeyArray,
    loc: Numbers = 0.0,
    scale: Numbers = 1.0,
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "..."]:
    """Samples of the Gumbel distribution.

        x = μ − σ log(−log u)

    for u uniform in (0, 1), as fine near 1 as near 0.

    Gradient:
        ∂x/∂μ = 1,    ∂x/∂σ = z, for the uniform numbers drawn (reparameterisation)

    Args:
        key: The random key.
        loc: The mode μ.
        scale: The scale σ > 0.
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
        2.55

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 22; ``scipy.stats.gumbel_r``.
    """
    return drawn("sample", key, _F.ppf, _F.isf, shape, loc=loc, scale=scale)


def mean(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mean of the Gumbel distribution.

        μ + γ σ

    Args:
        loc: The mode μ.
        scale: The scale σ > 0.

    Returns:
        Means, in the units of x, in the common shape of the parameters; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(0.0, 2.0):.4f}")
        1.1544

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 22; ``scipy.stats.gumbel_r``.
    """
    return evaluated("mean", _MEAN, loc=loc, scale=scale)


def variance(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Variance of the Gumbel distribution.

        π² σ²/6

    Args:
        loc: The mode μ.
        scale: The scale σ > 0.

    Returns:
        Variances, in the square of the units of x, in the common shape of the parameters; nan where
        σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(0.0, 2.0):.4f}")
        6.5797

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 22; ``scipy.stats.gumbel_r``.
    """
    return evaluated("variance", _VARIANCE, loc=loc, scale=scale)


def mode(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mode of the Gumbel distribution, where its density is largest.

        μ

    Args:
        loc: The mode μ.
        scale: The scale σ > 0.

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
        chapter 22; ``scipy.stats.gumbel_r``.
    """
    return evaluated("mode", _MODE, loc=loc, scale=scale)


def entropy(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Differential entropy of the Gumbel distribution.

        log σ + γ + 1

    Gradient:
        ∂/∂σ = 1/σ

    Args:
        loc: The mode μ.
        scale: The scale σ > 0.

    Returns:
        Entropies, in nats, in the common shape of the parameters; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(0.0, 2.0):.4f}")
        2.2704

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 22; ``scipy.stats.gumbel_r``.
    """
    return evaluated("entropy", _ENTROPY, loc=loc, scale=scale)


def kl(loc_p: Numbers, scale_p: Numbers, loc_q: Numbers, scale_q: Numbers) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two Gumbel distributions.

        KL = γ (ρ − 1) − log ρ + δ − 1 + exp(−δ) Γ(1 + ρ),    ρ = σ₁/σ₂,    δ = (μ₁ − μ₂)/σ₂

    With e = log Γ(1 + ρ) − δ it is exp(e) − 1 − e and log Γ(ρ) + γ (ρ − 1), both without
    cancellation, the second as a series where ρ is near 1.

    Gradient:
        with ρ = σ₁/σ₂, E = exp(−(μ₁ − μ₂)/σ₂) Γ(1 + ρ): ∂/∂μ₁ = (1 − E)/σ₂ = −∂/∂μ₂,
        ∂/∂σ₁ = (γ + E ψ(1 + ρ))/σ₂ − 1/σ₁, and by σ₂ what makes KL keep under scaling

    Args:
        loc_p: The mode μ of p.
        scale_p: The scale σ > 0 of p.
        loc_q: The mode μ of q.
        scale_q: The scale σ > 0 of q.

    Returns:
        Divergences, in nats, in the common shape of the parameters; nan where σ ≤ 0 or a parameter
        is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(0.0, 1.0, 1.0, 2.0):.4f}")
        0.3657

    Source:
        Gil, Alajaji and Linder, Rényi divergence measures for commonly used univariate continuous
        distributions (2013), table 2.
    """
    return evaluated("kl", _KL, loc_p=loc_p, scale_p=scale_p, loc_q=loc_q, scale_q=scale_q)


def fit(
    x: Float[Array, "*batch samples"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of the Gumbel distribution that make the samples most likely.

        σ = x̄ − Σ wᵢ xᵢ exp(−xᵢ/σ) / Σ wᵢ exp(−xᵢ/σ),    μ = −σ log(Σ wᵢ exp(−xᵢ/σ) / Σ wᵢ)

    The first is solved by 30 steps of Newton's method in log σ.

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
        2.1433 1.3780

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995), §22.9.
    """
    samples, w = _fitting.samples("fit", x, weights)
    scale = _fitting.gumbel_scale(samples, w)
    loc = -scale * _fitting.log_mean_exp(-samples / scale, w)
    return _fitting.of_dtype(x, loc[..., 0], scale[..., 0])


def score(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "... 2"]:
    """Score of the Gumbel distribution: the gradient of the log-density by the parameters.

        ∂ log f/∂(μ, σ) = (1 − y, z (1 − y) − 1)/σ,    y = exp(−z)

    Its mean over samples is 0, its covariance the Fisher information.

    Args:
        x: Where to look.
        loc: The mode μ.
        scale: The scale σ > 0.

    Returns:
        The derivatives by μ and σ on a new last axis; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(score(1.0, 0.0, 2.0))
        [ 0.19673467 -0.40163267]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 22; ``scipy.stats.gumbel_r``.
    """
    return stacked("score", _F.by[1:], x=x, loc=loc, scale=scale)


def fisher_information(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "... 2 2"]:
    """Fisher information of the Gumbel distribution: the covariance of the score.

        I₁₁ = 1/σ²,    I₁₂ = (γ − 1)/σ²,    I₂₂ = (π²/6 + (1 − γ)²)/σ²

    Args:
        loc: The mode μ.
        scale: The scale σ > 0.

    Returns:
        Matrices on two new last axes, of μ and σ; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(0.0, 2.0))
        [[ 0.25       -0.10569608]
         [-0.10569608  0.45592016]]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 22; ``scipy.stats.gumbel_r``.
    """
    return information("fisher_information", _information, _known, loc=loc, scale=scale)
