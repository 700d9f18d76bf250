"""The Cauchy distribution, whose tails are so heavy that it has no mean.

    f(x) = 1 / (πσ (1 + z²)),    z = (x − μ)/σ

Notation: μ is the median and σ half the distance between the quartiles; u = 1/|z| far out, where z²
would overflow.
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
    absolute,
    atan,
    atan_ratio,
    either,
    head,
    in_pairs,
    log,
    log1p,
    tan,
    where,
)
from fnmath.probability._sampling import drawn

_known = finite_scale


def _logpdf(z: Number) -> Number:
    """−log(1 + z²)."""

    def far(z: Number) -> Number:
        return -2 * log(z) - log1p(1 / z * (1 / z))

    size = absolute(z)
    return either(head(size) < 1, size, lambda z: -log1p(z * z), far, (0.0, 1.0))


def _slope(z: Number) -> Number:
    """−2z/(1 + z²)."""
    return either(
        abs(head(z)) < 1, z, lambda z: -2 * z / (1 + z * z), lambda z: -2 / (z + 1 / z), (0.0, 1.0)
    )


def _spread(z: Number) -> Number:
    """(z² − 1)/(z² + 1)."""
    size = absolute(z)
    inside = head(size) < 1
    small = where(inside, size, 1 / where(inside, 1.0, size))
    ratio = (1 - small) * (1 + small) / (1 + small * small)
    return where(inside, -ratio, ratio)


def _tail(t: Number) -> Number:
    """The probability beyond t ≥ 0, atan(1/t)/π."""
    near = lambda t: 0.5 - atan(t) * (1 / math.pi)  # noqa: E731
    return either(head(t) < 1, t, near, lambda t: atan(1 / t) * (1 / math.pi), (0.0, 1.0))


def _cdf(z: Number) -> Number:
    tail = _tail(absolute(z))
    return where(head(z) < 0, tail, 1 - tail)


def _logcdf(z: Number) -> Number:
    below = head(z) < 0
    return where(below, log(_tail(where(below, -z, 1.0))), log1p(-_tail(where(below, 1.0, z))))


def _reverse_hazard(z: Number) -> Number:
    """1/(π (1 + z²) F), below −1 as u/((1 + u²) (atan(u)/u)) for u = −1/z."""

    def far(z: Number) -> Number:
        u = -1 / z
        return u / ((1 + u * u) * atan_ratio(u))

    def near(z: Number) -> Number:
        return 1 / (math.pi * ((1 + z * z) * _cdf(z)))

    def above(z: Number) -> Number:
        u = 1 / z
        return u * u / (math.pi * ((1 + u * u) * _cdf(z)))

    inner = either(head(z) < 1, z, near, above, (0.0, 1.0))
    return where(head(z) < -1, far(where(head(z) < -1, z, -1.0)), inner)


def _quantile(q: Number) -> Number:
    """−1/tan(πq) in the lower tail, tan(π(q − ½)) in the middle."""
    below = head(q) < 0.5
    p = where(below, q, 1 - q)
    middle = head(p) > 0.25
    t = tan(math.pi * where(middle, 0.5 - p, p))
    t = where(middle, t, 1 / where(middle, 1.0, t))
    return where(below, -t, t)


_F = functions(
    location_scale(
        symmetric(
            logpdf=_logpdf,
            factor=math.pi,
            slope=_slope,
            spread=_spread,
            cdf=_cdf,
            logcdf=_logcdf,
            reverse_hazard=_reverse_hazard,
            quantile=_quantile,
        )
    ),
    _known,
)
_MODE = in_pairs(lambda loc, scale: loc, known=_known)
_ENTROPY = in_pairs(lambda loc, scale: log(scale) + math.log(4 * math.pi), known=_known)


def _divergence(loc: Number, scale: Number, loc_q: Number, scale_q: Number) -> Number:
    d = (loc - loc_q) / scale_q
    r = scale / scale_q
    v = (scale - scale_q) / scale_q
    return log1p((v * v + d * d) / (4 * r))


_KL = in_pairs(_divergence, known=both(_known))


def _information(loc: Number, scale: Number) -> tuple[tuple[Number, ...], ...]:
    return (0.5 / (scale * scale),), (0.0, 0.5 / (scale * scale))


def pdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Density of the Cauchy distribution.

        f(x) = 1 / (πσ (1 + z²)),    z = (x − μ)/σ

    Gradient:
        ∂f/∂a = f(x) ∂log f/∂a for each argument a, as of ``logpdf``

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The scale σ > 0, half the distance between the quartiles.

    Returns:
        Densities, in units of 1/x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(1.0, 0.0, 2.0):.4f}")
        0.1273

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 16; ``scipy.stats.cauchy``.
    """
    return evaluated("pdf", _F.pdf, x=x, loc=loc, scale=scale)


def logpdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the density of the Cauchy distribution.

        log f(x) = −log(1 + z²) − log πσ,    z = (x − μ)/σ

    Beyond |z| = 1 the first logarithm is 2 log|z| + log(1 + 1/z²), so that no square overflows.

    Gradient:
        ∂/∂x = −2z/((1 + z²) σ),    ∂/∂μ = 2z/((1 + z²) σ),
        ∂/∂σ = (z² − 1)/((z² + 1) σ)

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The scale σ > 0, half the distance between the quartiles.

    Returns:
        Logarithms of densities, in nats, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(1.0, 0.0, 2.0):.4f}")
        -2.0610

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 16; ``scipy.stats.cauchy``.
    """
    return evaluated("logpdf", _F.logpdf, x=x, loc=loc, scale=scale)


def cdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Cumulative distribution function of the Cauchy distribution: the probability up to x.

        F(x) = atan(−1/z)/π where z < −1,    ½ + atan(z)/π in the middle, 1 − F(2μ − x) above

    Gradient:
        ∂F/∂x = f(x),    ∂F/∂μ = −f(x),    ∂F/∂σ = −z f(x)

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The scale σ > 0, half the distance between the quartiles.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1.0, 0.0, 2.0):.4f}")
        0.6476

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 16; ``scipy.stats.cauchy``.
    """
    return evaluated("cdf", _F.cdf, x=x, loc=loc, scale=scale)


def logcdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the Cauchy distribution.

        log F(x) = log(½ + atan(z)/π)

    in the forms of ``cdf``.

    Gradient:
        with r = f(x)/F(x)
        ∂log F/∂x = r,    ∂log F/∂μ = −r,    ∂log F/∂σ = −z r

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The scale σ > 0, half the distance between the quartiles.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1.0, 0.0, 2.0):.4f}")
        -0.4345

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 16; ``scipy.stats.cauchy``.
    """
    return evaluated("logcdf", _F.logcdf, x=x, loc=loc, scale=scale)


def sf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Survival function of the Cauchy distribution: the probability beyond x.

        S(x) = 1 − F(x) = F(2μ − x)

    Gradient:
        ∂S/∂x = −f(x),    ∂S/∂μ = f(x),    ∂S/∂σ = z f(x)

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The scale σ > 0, half the distance between the quartiles.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1.0, 0.0, 2.0):.4f}")
        0.3524

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 16; ``scipy.stats.cauchy``.
    """
    return evaluated("sf", _F.sf, x=x, loc=loc, scale=scale)


def logsf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the survival function of the Cauchy distribution.

        log S(x) = log F(2μ − x)

    Gradient:
        with h = f(x)/S(x)
        ∂log S/∂x = −h,    ∂log S/∂μ = h,    ∂log S/∂σ = z h

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The scale σ > 0, half the distance between the quartiles.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1.0, 0.0, 2.0):.4f}")
        -1.0429

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 16; ``scipy.stats.cauchy``.
    """
    return evaluated("logsf", _F.logsf, x=x, loc=loc, scale=scale)


def ppf(q: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Quantile function of the Cauchy distribution, the inverse of ``cdf``.

        Q(q) = μ + σ tan(π (q − ½))

    Outside of the quartiles this is μ − σ/tan(πq), and the same from the other end.

    Gradient:
        ∂Q/∂q = 1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        loc: The median μ.
        scale: The scale σ > 0, half the distance between the quartiles.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.9, 0.0, 2.0):.4f}")
        6.1554

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 16; ``scipy.stats.cauchy``.
    """
    return evaluated("ppf", _F.ppf, q=q, loc=loc, scale=scale)


def isf(q: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Inverse survival function of the Cauchy distribution: the quantile of 1 − q.

        Q(1 − q) = 2μ − Q(q)

    Gradient:
        ∂Q/∂q = −1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        loc: The median μ.
        scale: The scale σ > 0, half the distance between the quartiles.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.9, 0.0, 2.0):.4f}")
        -6.1554

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 16; ``scipy.stats.cauchy``.
    """
    return evaluated("isf", _F.isf, q=q, loc=loc, scale=scale)


def sample(
    key: PRNGKeyArray,
    loc: Numbers = 0.0,
    scale: Numbers = 1.0,
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "..."]:
    """Samples of the Cauchy distribution.

        x = μ ± σ/tan(πp)

    for a fair sign and p uniform in (0, ½).

    Gradient:
        ∂x/∂μ = 1,    ∂x/∂σ = z, for the uniform numbers drawn (reparameterisation)

    Args:
        key: The random key.
        loc: The median μ.
        scale: The scale σ > 0, half the distance between the quartiles.
        shape: The shape of the samples, to which the parameters must broadcast; theirs by default.

    Returns:
        Independent samples; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If the key is no random key, a parameter not an array of real numbers, or the
            shape no tuple of integers.
        ValueError: If the parameters do not broadcast to the shape.

    Example:
        >>> x = sample(jax.random.key(0), 0.0, 2.0, shape=(10_000,))
        >>> print(f"{jnp.median(abs(x)):.2f}")
        1.97

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 16; ``scipy.stats.cauchy``.
    """
    return drawn("sample", key, _F.ppf, _F.isf, shape, loc=loc, scale=scale)


def mode(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mode of the Cauchy distribution, where its density is largest.

        μ

    Args:
        loc: The median μ.
        scale: The scale σ > 0, half the distance between the quartiles.

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
        chapter 16; ``scipy.stats.cauchy``.
    """
    return evaluated("mode", _MODE, loc=loc, scale=scale)


def entropy(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Differential entropy of the Cauchy distribution.

        log 4πσ

    Gradient:
        ∂/∂σ = 1/σ

    Args:
        loc: The median μ.
        scale: The scale σ > 0, half the distance between the quartiles.

    Returns:
        Entropies, in nats, in the common shape of the parameters; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(0.0, 2.0):.4f}")
        3.2242

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 16; ``scipy.stats.cauchy``.
    """
    return evaluated("entropy", _ENTROPY, loc=loc, scale=scale)


def kl(loc_p: Numbers, scale_p: Numbers, loc_q: Numbers, scale_q: Numbers) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two Cauchy distributions.

        KL = log(((σ₁ + σ₂)² + (μ₁ − μ₂)²) / (4 σ₁ σ₂))

    Taken as the logarithm of 1 + ((σ₁ − σ₂)² + (μ₁ − μ₂)²)/(4 σ₁ σ₂), whose second term may be
    small. It is symmetric in p and q.

    Gradient:
        with N = (σ₁ + σ₂)² + (μ₁ − μ₂)²: ∂/∂μ₁ = 2 (μ₁ − μ₂)/N = −∂/∂μ₂,
        ∂/∂σᵢ = 2 (σ₁ + σ₂)/N − 1/σᵢ

    Args:
        loc_p: The median μ of p.
        scale_p: The scale σ > 0 of p.
        loc_q: The median μ of q.
        scale_q: The scale σ > 0 of q.

    Returns:
        Divergences, in nats, in the common shape of the parameters; nan where σ ≤ 0 or a parameter
        is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(0.0, 1.0, 1.0, 2.0):.4f}")
        0.2231

    Source:
        Chyzak and Nielsen, A closed-form formula for the Kullback-Leibler divergence between Cauchy
        distributions (2019), theorem 1.
    """
    return evaluated("kl", _KL, loc_p=loc_p, scale_p=scale_p, loc_q=loc_q, scale_q=scale_q)


def fit(
    x: Float[Array, "*batch samples"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of the Cauchy distribution that make the samples most likely.

        Σ wᵢ vᵢ (xᵢ − μ) = 0,    σ² = Σ wᵢ vᵢ (xᵢ − μ)² / Σ wᵢ vᵢ,    vᵢ = 1/(1 + zᵢ²)

    solved for μ and σ by 200 steps of the parameter-expanded EM algorithm from the median and the
    median distance from it. The likelihood may have several maxima where there are few samples;
    each step raises it.

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
        2.2500 0.9682

    Source:
        Kent, Tyler and Vardi, A curious likelihood identity for the multivariate t-distribution
        (1994), §3.
    """
    samples, w = _fitting.samples("fit", x, weights)
    loc = _fitting.median(samples, w)[..., None]
    scale = _fitting.median(jnp.abs(samples - loc), w)[..., None]

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        loc, scale = state
        share = w / (1 + jnp.square((samples - loc) / scale))
        share = share / jnp.sum(share, -1, keepdims=True)
        loc = _fitting.mean(samples, share)
        return loc, jnp.sqrt(_fitting.mean(jnp.square(samples - loc), share))

    loc, scale = _fitting.repeated(step, (loc, scale), 200)
    return _fitting.of_dtype(x, loc[..., 0], scale[..., 0])


def score(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "... 2"]:
    """Score of the Cauchy distribution: the gradient of the log-density by the parameters.

        ∂ log f/∂(μ, σ) = (2z, z² − 1)/((1 + z²) σ)

    Its mean over samples is 0, its covariance the Fisher information.

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The scale σ > 0, half the distance between the quartiles.

    Returns:
        The derivatives by μ and σ on a new last axis; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(score(1.0, 0.0, 2.0))
        [ 0.4 -0.3]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 16; ``scipy.stats.cauchy``.
    """
    return stacked("score", _F.by[1:], x=x, loc=loc, scale=scale)


def fisher_information(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "... 2 2"]:
    """Fisher information of the Cauchy distribution: the covariance of the score.

        I = diag(½, ½)/σ²

    Args:
        loc: The median μ.
        scale: The scale σ > 0, half the distance between the quartiles.

    Returns:
        Matrices on two new last axes, of μ and σ; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(0.0, 2.0))
        [[0.125 0.   ]
         [0.    0.125]]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 16; ``scipy.stats.cauchy``.
    """
    return information("fisher_information", _information, _known, loc=loc, scale=scale)
