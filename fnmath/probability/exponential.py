"""The exponential distribution: the wait for what may come at any time alike.

    f(x) = exp(−z) / σ,    z = (x − μ)/σ ≥ 0

Notation: μ is where it begins and σ the mean wait. In place of σ the rate λ = 1/σ may be given, as
``rate=``; then the scale is not looked at, and z = λ (x − μ).
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Real

from fnmath.probability import _fitting
from fnmath.probability._families import (
    Formulas,
    Numbers,
    Standard,
    both,
    evaluated,
    finite_scale,
    functions,
    information,
    location_scale,
    on_support,
    stacked,
)
from fnmath.probability._numbers import (
    Formula,
    Number,
    exp,
    expm1,
    head,
    in_pairs,
    lag_of_ratio,
    log,
    log1mexp,
    log1p,
    where,
)
from fnmath.probability._sampling import drawn

_known = finite_scale
_STANDARD = Standard(
    logpdf=lambda z: -z,
    slope=lambda z: -jnp.ones_like(head(z)),
    spread=lambda z: z - 1,
    cdf=lambda z: -expm1(-z),
    sf=lambda z: exp(-z),
    logcdf=log1mexp,
    logsf=lambda z: -z,
    reverse_hazard=lambda z: 1 / expm1(z),
    hazard=lambda z: jnp.ones_like(head(z)),
    quantile=lambda q: -log1p(-q),
    upper=lambda q: -log(q),
)


def _begins(x: Number, loc: Number, scale: Number) -> Array:
    return head(x - loc) < 0


def _with_rate(f: Formula, power: float = 0.0) -> Formula:
    """The formula of z, per unit of x where the power is 1."""
    return lambda x, loc, rate: f((x - loc) * rate) * (rate if power else 1.0)


_FORMULAS = on_support(
    location_scale(_STANDARD), below=_begins, inside=lambda loc, scale: loc + scale
)
_FORMULAS_OF_RATE = on_support(
    Formulas(
        logpdf=lambda x, loc, rate: log(rate) - (x - loc) * rate,
        by=(
            lambda x, loc, rate: -rate,
            lambda x, loc, rate: rate,
            lambda x, loc, rate: (1 - (x - loc) * rate) / rate,
        ),
        velocity=(lambda x, loc, rate: 1.0, lambda x, loc, rate: -(x - loc) / rate),
        cdf=_with_rate(_STANDARD.cdf),
        sf=_with_rate(_STANDARD.sf),
        logcdf=_with_rate(_STANDARD.logcdf),
        logsf=_with_rate(_STANDARD.logsf),
        reverse_hazard=_with_rate(_STANDARD.reverse_hazard, 1.0),
        hazard=_with_rate(_STANDARD.hazard, 1.0),
        quantile=lambda q, loc, rate: loc - log1p(-q) / rate,
        upper=lambda q, loc, rate: loc - log(q) / rate,
    ),
    below=_begins,
    inside=lambda loc, rate: loc + 1 / rate,
)
_BY_SCALE = functions(_FORMULAS, _known)._asdict() | {
    "mean": in_pairs(lambda loc, scale: loc + scale, known=_known),
    "variance": in_pairs(lambda loc, scale: scale * scale, known=_known),
    "mode": in_pairs(lambda loc, scale: loc, known=_known),
    "entropy": in_pairs(lambda loc, scale: 1 + log(scale), known=_known),
}
_SCORE = functions(_FORMULAS, _known).by[2:]
_BY_RATE = functions(_FORMULAS_OF_RATE, _known)._asdict() | {
    "mean": in_pairs(lambda loc, rate: loc + 1 / rate, known=_known),
    "variance": in_pairs(lambda loc, rate: 1 / (rate * rate), known=_known),
    "mode": in_pairs(lambda loc, rate: loc, known=_known),
    "entropy": in_pairs(lambda loc, rate: 1 - log(rate), known=_known),
}


def _evaluated(
    name: str, scale: Numbers, rate: Numbers | None, **arguments: Numbers
) -> Float[Array, "..."]:
    """The function of that name, by the scale or by what is given in its place."""
    if rate is None:
        return evaluated(name, _BY_SCALE[name], **arguments, scale=scale)
    return evaluated(name, _BY_RATE[name], **arguments, rate=rate)


def _divergence(loc: Number, scale: Number, loc_q: Number, scale_q: Number) -> Number:
    inside = head(loc - loc_q) >= 0
    start = where(inside, loc - loc_q, 0.0)
    return where(inside, lag_of_ratio(scale, scale_q) + start / scale_q, jnp.inf)


_KL = in_pairs(_divergence, known=both(_known))


def _information(loc: Number, scale: Number) -> tuple[tuple[Number, ...], ...]:
    return ((1 / (scale * scale),),)


def pdf(
    x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0, *, rate: Numbers | None = None
) -> Float[Array, "..."]:
    """Density of the exponential distribution.

        f(x) = exp(−z) / σ,    z = (x − μ)/σ; 0 where z < 0

    Gradient:
        ∂f/∂a = f(x) ∂log f/∂a for each argument a, as of ``logpdf``

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The mean wait σ > 0.
        rate: The rate λ = 1/σ > 0, in place of the scale.

    Returns:
        Densities, in units of 1/x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(1.0, 0.0, 2.0):.4f}")
        0.3033

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 19; ``scipy.stats.expon``.
    """
    return _evaluated("pdf", scale, rate, x=x, loc=loc)


def logpdf(
    x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0, *, rate: Numbers | None = None
) -> Float[Array, "..."]:
    """Logarithm of the density of the exponential distribution.

        log f(x) = −z − log σ,    z = (x − μ)/σ; −∞ where z < 0

    Gradient:
        ∂/∂x = −1/σ,    ∂/∂μ = 1/σ,    ∂/∂σ = (z − 1)/σ,    ∂/∂λ = (1 − z)/λ

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The mean wait σ > 0.
        rate: The rate λ = 1/σ > 0, in place of the scale.

    Returns:
        Logarithms of densities, in nats, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(1.0, 0.0, 2.0):.4f}")
        -1.1931

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 19; ``scipy.stats.expon``.
    """
    return _evaluated("logpdf", scale, rate, x=x, loc=loc)


def cdf(
    x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0, *, rate: Numbers | None = None
) -> Float[Array, "..."]:
    """Cumulative distribution function of the exponential distribution: the probability up to x.

        F(x) = 1 − exp(−z) = −expm1(−z); 0 where z < 0

    Gradient:
        ∂F/∂x = f(x),    ∂F/∂μ = −f(x),    ∂F/∂σ = −z f(x)

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The mean wait σ > 0.
        rate: The rate λ = 1/σ > 0, in place of the scale.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1.0, 0.0, 2.0):.4f}")
        0.3935

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 19; ``scipy.stats.expon``.
    """
    return _evaluated("cdf", scale, rate, x=x, loc=loc)


def logcdf(
    x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0, *, rate: Numbers | None = None
) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the exponential distribution.

        log F(x) = log(1 − exp(−z)); −∞ where z ≤ 0

    Gradient:
        with r = f(x)/F(x)
        ∂log F/∂x = r,    ∂log F/∂μ = −r,    ∂log F/∂σ = −z r

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The mean wait σ > 0.
        rate: The rate λ = 1/σ > 0, in place of the scale.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1.0, 0.0, 2.0):.4f}")
        -0.9328

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 19; ``scipy.stats.expon``.
    """
    return _evaluated("logcdf", scale, rate, x=x, loc=loc)


def sf(
    x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0, *, rate: Numbers | None = None
) -> Float[Array, "..."]:
    """Survival function of the exponential distribution: the probability beyond x.

        S(x) = exp(−z); 1 where z < 0

    Gradient:
        ∂S/∂x = −f(x),    ∂S/∂μ = f(x),    ∂S/∂σ = z f(x)

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The mean wait σ > 0.
        rate: The rate λ = 1/σ > 0, in place of the scale.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1.0, 0.0, 2.0):.4f}")
        0.6065

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 19; ``scipy.stats.expon``.
    """
    return _evaluated("sf", scale, rate, x=x, loc=loc)


def logsf(
    x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0, *, rate: Numbers | None = None
) -> Float[Array, "..."]:
    """Logarithm of the survival function of the exponential distribution.

        log S(x) = −z; 0 where z < 0

    Gradient:
        with h = f(x)/S(x)
        ∂log S/∂x = −h,    ∂log S/∂μ = h,    ∂log S/∂σ = z h

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The mean wait σ > 0.
        rate: The rate λ = 1/σ > 0, in place of the scale.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1.0, 0.0, 2.0):.4f}")
        -0.5000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 19; ``scipy.stats.expon``.
    """
    return _evaluated("logsf", scale, rate, x=x, loc=loc)


def ppf(
    q: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0, *, rate: Numbers | None = None
) -> Float[Array, "..."]:
    """Quantile function of the exponential distribution, the inverse of ``cdf``.

        Q(q) = μ − σ log(1 − q)

    Gradient:
        ∂Q/∂q = 1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        loc: The lower end μ.
        scale: The mean wait σ > 0.
        rate: The rate λ = 1/σ > 0, in place of the scale.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.9, 0.0, 2.0):.4f}")
        4.6052

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 19; ``scipy.stats.expon``.
    """
    return _evaluated("ppf", scale, rate, q=q, loc=loc)


def isf(
    q: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0, *, rate: Numbers | None = None
) -> Float[Array, "..."]:
    """Inverse survival function of the exponential distribution: the quantile of 1 − q.

        Q(1 − q) = μ − σ log q

    Gradient:
        ∂Q/∂q = −1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        loc: The lower end μ.
        scale: The mean wait σ > 0.
        rate: The rate λ = 1/σ > 0, in place of the scale.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.9, 0.0, 2.0):.4f}")
        0.2107

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 19; ``scipy.stats.expon``.
    """
    return _evaluated("isf", scale, rate, q=q, loc=loc)


def sample(
    key: PRNGKeyArray,
    loc: Numbers = 0.0,
    scale: Numbers = 1.0,
    *,
    rate: Numbers | None = None,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "..."]:
    """Samples of the exponential distribution.

        x = μ − σ log u

    for u uniform in (0, 1), as fine near 0 as near 1.

    Gradient:
        ∂x/∂μ = 1,    ∂x/∂σ = z (reparameterisation)

    Args:
        key: The random key.
        loc: The lower end μ.
        scale: The mean wait σ > 0.
        rate: The rate λ = 1/σ > 0, in place of the scale.
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
        2.00

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 19; ``scipy.stats.expon``.
    """
    table = _BY_SCALE if rate is None else _BY_RATE
    last = {"scale": scale} if rate is None else {"rate": rate}
    return drawn("sample", key, table["ppf"], table["isf"], shape, loc=loc, **last)


def mean(
    loc: Numbers = 0.0, scale: Numbers = 1.0, *, rate: Numbers | None = None
) -> Float[Array, "..."]:
    """Mean of the exponential distribution.

        μ + σ

    Args:
        loc: The lower end μ.
        scale: The mean wait σ > 0.
        rate: The rate λ = 1/σ > 0, in place of the scale.

    Returns:
        Means, in the units of x, in the common shape of the parameters; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(0.0, 2.0):.4f}")
        2.0000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 19; ``scipy.stats.expon``.
    """
    return _evaluated("mean", scale, rate, loc=loc)


def variance(
    loc: Numbers = 0.0, scale: Numbers = 1.0, *, rate: Numbers | None = None
) -> Float[Array, "..."]:
    """Variance of the exponential distribution.

        σ²

    Args:
        loc: The lower end μ.
        scale: The mean wait σ > 0.
        rate: The rate λ = 1/σ > 0, in place of the scale.

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
        chapter 19; ``scipy.stats.expon``.
    """
    return _evaluated("variance", scale, rate, loc=loc)


def mode(
    loc: Numbers = 0.0, scale: Numbers = 1.0, *, rate: Numbers | None = None
) -> Float[Array, "..."]:
    """Mode of the exponential distribution, where its density is largest.

        μ

    Args:
        loc: The lower end μ.
        scale: The mean wait σ > 0.
        rate: The rate λ = 1/σ > 0, in place of the scale.

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
        chapter 19; ``scipy.stats.expon``.
    """
    return _evaluated("mode", scale, rate, loc=loc)


def entropy(
    loc: Numbers = 0.0, scale: Numbers = 1.0, *, rate: Numbers | None = None
) -> Float[Array, "..."]:
    """Differential entropy of the exponential distribution.

        1 + log σ

    Gradient:
        ∂/∂σ = 1/σ

    Args:
        loc: The lower end μ.
        scale: The mean wait σ > 0.
        rate: The rate λ = 1/σ > 0, in place of the scale.

    Returns:
        Entropies, in nats, in the common shape of the parameters; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(0.0, 2.0):.4f}")
        1.6931

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 19; ``scipy.stats.expon``.
    """
    return _evaluated("entropy", scale, rate, loc=loc)


def kl(loc_p: Numbers, scale_p: Numbers, loc_q: Numbers, scale_q: Numbers) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two exponential distributions.

        KL = ρ − 1 − log ρ + (μ₁ − μ₂)/σ₂ where μ₁ ≥ μ₂, else ∞,    ρ = σ₁/σ₂

    ρ − 1 − log ρ ≥ 0 is computed without cancellation where ρ is near 1.

    Gradient:
        ∂/∂μ₁ = 1/σ₂ = −∂/∂μ₂,    ∂/∂σ₁ = 1/σ₂ − 1/σ₁,
        ∂/∂σ₂ = (1 − (σ₁ + μ₁ − μ₂)/σ₂)/σ₂

    Args:
        loc_p: The lower end μ of p.
        scale_p: The mean wait σ > 0 of p.
        loc_q: The lower end μ of q.
        scale_q: The mean wait σ > 0 of q.

    Returns:
        Divergences, in nats, in the common shape of the parameters; nan where σ ≤ 0 or a parameter
        is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(0.0, 1.0, 0.0, 2.0):.4f}")
        0.1931

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 19; ``scipy.stats.expon``.
    """
    return evaluated("kl", _KL, loc_p=loc_p, scale_p=scale_p, loc_q=loc_q, scale_q=scale_q)


def fit(
    x: Float[Array, "*batch samples"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of the exponential distribution that make the samples most likely.

        μ = minᵢ xᵢ,    σ = Σ wᵢ xᵢ / Σ wᵢ − μ

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
        1.0000 2.0000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 19; ``scipy.stats.expon``.
    """
    samples, w = _fitting.samples("fit", x, weights)
    loc = _fitting.smallest(samples, w)
    scale = _fitting.mean(samples - loc[..., None], w)[..., 0]
    return _fitting.of_dtype(x, loc, scale)


def score(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "... 1"]:
    """Score of the exponential distribution: the gradient of the log-density by the parameters.

        ∂ log f/∂σ = (z − 1)/σ

    By σ alone: a location moves the support, and its score does not have the mean 0.

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The mean wait σ > 0.

    Returns:
        The derivatives by σ on a new last axis; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(score(1.0, 0.0, 2.0))
        [-0.25]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 19; ``scipy.stats.expon``.
    """
    return stacked("score", _SCORE, x=x, loc=loc, scale=scale)


def fisher_information(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "... 1 1"]:
    """Fisher information of the exponential distribution: the covariance of the score.

        I = 1/σ²

    of σ, the location being known.

    Args:
        loc: The lower end μ.
        scale: The mean wait σ > 0.

    Returns:
        Matrices on two new last axes, of σ; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(0.0, 2.0))
        [[0.25]]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 19; ``scipy.stats.expon``.
    """
    return information("fisher_information", _information, _known, loc=loc, scale=scale)
