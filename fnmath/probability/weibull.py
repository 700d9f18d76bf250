"""The Weibull distribution (of minima): a wait whose hazard is a power of the time gone by.

    F(x) = 1 − exp(−y),    y = zᶜ,    z = (x − μ)/σ ≥ 0

Notation: c is the shape, μ where it begins and σ the scale; γ = 0.577… is Euler's constant. If X is
Weibull with μ = 0 then −log X is Gumbel, with the location −log σ and the scale 1/c.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Real

from fnmath.probability import _fitting
from fnmath.probability._families import (
    Formulas,
    Numbers,
    evaluated,
    finite_scale,
    functions,
    information,
    on_support,
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
    lgamma1p,
    lgamma_lag,
    log,
    log1mexp_of_log,
    log1p,
    times_exp,
    times_vanishing,
    where,
)
from fnmath.probability._sampling import drawn


def _known(c: Array, loc: Array, scale: Array) -> Array:
    return finite_scale(loc, scale) & (c > 0) & (c < jnp.inf)


def _log_z(x: Number, c: Number, loc: Number, scale: Number) -> Number:
    return log((x - loc) / scale)


def _log_hazard(x: Number, c: Number, loc: Number, scale: Number) -> Number:
    """The logarithm of c z^(c − 1)/σ."""
    return log(c / scale) + times_vanishing(_log_z(x, c, loc, scale), c - 1)


def _power(x: Number, c: Number, loc: Number, scale: Number) -> Number:
    """Y = zᶜ."""
    return exp(c * _log_z(x, c, loc, scale))


def _logpdf(x: Number, c: Number, loc: Number, scale: Number) -> Number:
    y = _power(x, c, loc, scale)
    far = head(y) == jnp.inf
    return where(far, -jnp.inf, _log_hazard(x, c, loc, scale) - where(far, 1.0, y))


def _by_x(x: Number, c: Number, loc: Number, scale: Number) -> Number:
    """((c − 1) − c y)/(x − μ), of which the second term is the hazard."""
    hazard = exp(_log_hazard(x, c, loc, scale))
    y = _power(x, c, loc, scale)
    far, exponential = head(y) == jnp.inf, (head(c) == 1) & (head(x - loc) == 0)
    usual = ((c - 1) - c * where(far, 1.0, y)) / where(exponential, 1.0, x - loc)
    return where(far | exponential, -hazard, usual)


def _ratio(y: Number) -> Number:
    """y/(exp(y) − 1), which is 1 at y = 0."""
    small = head(y) == 0
    some = where(small, 1.0, y)
    return where(small, 1.0 - y, times_exp(some, -some) / -expm1(-some))


_F = functions(
    on_support(
        Formulas(
            logpdf=_logpdf,
            by=(
                _by_x,
                lambda x, *of: 1 / of[0] + _log_z(x, *of) * (1 - _power(x, *of)),
                lambda x, *of: -_by_x(x, *of),
                lambda x, c, loc, scale: c * (_power(x, c, loc, scale) - 1) / scale,
            ),
            velocity=(
                lambda x, c, loc, scale: -times_vanishing(_log_z(x, c, loc, scale), (x - loc) / c),
                lambda x, c, loc, scale: 1.0,
                lambda x, c, loc, scale: (x - loc) / scale,
            ),
            cdf=lambda x, *of: -expm1(-_power(x, *of)),
            sf=lambda x, *of: exp(-_power(x, *of)),
            logcdf=lambda x, c, *of: log1mexp_of_log(c * _log_z(x, c, *of)),
            logsf=lambda x, *of: -_power(x, *of),
            reverse_hazard=lambda x, c, loc, scale: (
                c * _ratio(_power(x, c, loc, scale)) / (x - loc)
            ),
            hazard=lambda x, *of: exp(_log_hazard(x, *of)),
            quantile=lambda q, c, loc, scale: loc + scale * exp(log(-log1p(-q)) / c),
            upper=lambda q, c, loc, scale: loc + scale * exp(log(-log(q)) / c),
        ),
        below=lambda x, c, loc, scale: head(x - loc) < 0,
        inside=lambda c, loc, scale: loc + scale,
    ),
    _known,
)


def _variance(c: Number, loc: Number, scale: Number) -> Number:
    u = 1 / c
    mean = scale * exp(lgamma1p(u))
    return mean * mean * expm1(lgamma_lag(2 * u) - 2 * lgamma_lag(u))


def _mode(c: Number, loc: Number, scale: Number) -> Number:
    inner = head(c) > 1
    some = where(inner, c, 2.0)
    return loc + where(inner, scale * exp(log1p(-1 / some) / some), 0.0)


_MEAN = in_pairs(lambda c, loc, scale: loc + scale * exp(lgamma1p(1 / c)), known=_known)
_VARIANCE = in_pairs(_variance, known=_known)
_MODE = in_pairs(_mode, known=_known)
_ENTROPY = in_pairs(lambda c, loc, scale: EULER * (1 - 1 / c) + (log(scale / c) + 1), known=_known)


def _divergence(c: Number, scale: Number, c_q: Number, scale_q: Number) -> Number:
    return gumbel_divergence((c_q - c) / c, c_q * log(scale_q / scale))


def _known_pair(c: Array, scale: Array, c_q: Array, scale_q: Array) -> Array:
    return _known(c, 0 * c, scale) & _known(c_q, 0 * c, scale_q)


_KL = in_pairs(_divergence, known=_known_pair)


def _information(c: Number, loc: Number, scale: Number) -> tuple[tuple[Number, ...], ...]:
    of_shape = (math.pi**2 / 6 + (1 - EULER) ** 2) / (c * c)
    return (of_shape,), ((EULER - 1) / scale, c * c / (scale * scale))


def pdf(x: Numbers, c: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Density of the Weibull distribution.

        f(x) = (c/σ) z^(c − 1) exp(−zᶜ),    z = (x − μ)/σ; 0 where z < 0

    Gradient:
        ∂f/∂a = f(x) ∂log f/∂a for each argument a, as of ``logpdf``

    Args:
        x: Where to look.
        c: The shape c > 0.
        loc: The lower end μ.
        scale: The scale σ > 0, the quantile of 1 − 1/e.

    Returns:
        Densities, in units of 1/x, in the common shape of the arguments; nan where c ≤ 0, σ ≤ 0 or
        a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(1.0, 2.0, 0.0, 3.0):.4f}")
        0.1989

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 21; ``scipy.stats.weibull_min``.
    """
    return evaluated("pdf", _F.pdf, x=x, c=c, loc=loc, scale=scale)


def logpdf(x: Numbers, c: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the density of the Weibull distribution.

        log f(x) = log(c/σ) + (c − 1) log z − zᶜ,    z = (x − μ)/σ; −∞ where z < 0

    At z = 0 this is ∞ for c < 1, −log σ for c = 1, and −∞ above.

    Gradient:
        ∂/∂x = ((c − 1) − c y)/(x − μ) = −∂/∂μ,    ∂/∂c = 1/c + (1 − y) log z,
        ∂/∂σ = c (y − 1)/σ

    Args:
        x: Where to look.
        c: The shape c > 0.
        loc: The lower end μ.
        scale: The scale σ > 0, the quantile of 1 − 1/e.

    Returns:
        Logarithms of densities, in nats, in the common shape of the arguments; nan where c ≤ 0, σ ≤
        0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(1.0, 2.0, 0.0, 3.0):.4f}")
        -1.6152

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 21; ``scipy.stats.weibull_min``.
    """
    return evaluated("logpdf", _F.logpdf, x=x, c=c, loc=loc, scale=scale)


def cdf(x: Numbers, c: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Cumulative distribution function of the Weibull distribution: the probability up to x.

        F(x) = 1 − exp(−y) = −expm1(−y),    y = zᶜ; 0 where z < 0

    Gradient:
        ∂F/∂x = f(x),    ∂F/∂c = −−(x − μ) log(z)/c f(x),    ∂F/∂μ = −f(x),    ∂F/∂σ = −z f(x)

    Args:
        x: Where to look.
        c: The shape c > 0.
        loc: The lower end μ.
        scale: The scale σ > 0, the quantile of 1 − 1/e.

    Returns:
        Probabilities, in the common shape of the arguments; nan where c ≤ 0, σ ≤ 0 or a parameter
        is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1.0, 2.0, 0.0, 3.0):.4f}")
        0.1052

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 21; ``scipy.stats.weibull_min``.
    """
    return evaluated("cdf", _F.cdf, x=x, c=c, loc=loc, scale=scale)


def logcdf(x: Numbers, c: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the Weibull distribution.

        log F(x) = log(1 − exp(−y)),    y = zᶜ; −∞ where z ≤ 0

    Where y is too small for a number this is c log z.

    Gradient:
        with r = f(x)/F(x)
        ∂log F/∂x = r,    ∂log F/∂c = −−(x − μ) log(z)/c r,    ∂log F/∂μ = −r,
        ∂log F/∂σ = −z r

    Args:
        x: Where to look.
        c: The shape c > 0.
        loc: The lower end μ.
        scale: The scale σ > 0, the quantile of 1 − 1/e.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where c ≤ 0,
        σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1.0, 2.0, 0.0, 3.0):.4f}")
        -2.2523

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 21; ``scipy.stats.weibull_min``.
    """
    return evaluated("logcdf", _F.logcdf, x=x, c=c, loc=loc, scale=scale)


def sf(x: Numbers, c: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Survival function of the Weibull distribution: the probability beyond x.

        S(x) = exp(−y),    y = zᶜ; 1 where z < 0

    Gradient:
        ∂S/∂x = −f(x),    ∂S/∂c = −(x − μ) log(z)/c f(x),    ∂S/∂μ = f(x),    ∂S/∂σ = z f(x)

    Args:
        x: Where to look.
        c: The shape c > 0.
        loc: The lower end μ.
        scale: The scale σ > 0, the quantile of 1 − 1/e.

    Returns:
        Probabilities, in the common shape of the arguments; nan where c ≤ 0, σ ≤ 0 or a parameter
        is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1.0, 2.0, 0.0, 3.0):.4f}")
        0.8948

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 21; ``scipy.stats.weibull_min``.
    """
    return evaluated("sf", _F.sf, x=x, c=c, loc=loc, scale=scale)


def logsf(x: Numbers, c: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the survival function of the Weibull distribution.

        log S(x) = −zᶜ; 0 where z < 0

    Gradient:
        with h = f(x)/S(x)
        ∂log S/∂x = −h,    ∂log S/∂c = −(x − μ) log(z)/c h,    ∂log S/∂μ = h,    ∂log S/∂σ = z h

    Args:
        x: Where to look.
        c: The shape c > 0.
        loc: The lower end μ.
        scale: The scale σ > 0, the quantile of 1 − 1/e.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where c ≤ 0,
        σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1.0, 2.0, 0.0, 3.0):.4f}")
        -0.1111

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 21; ``scipy.stats.weibull_min``.
    """
    return evaluated("logsf", _F.logsf, x=x, c=c, loc=loc, scale=scale)


def ppf(q: Numbers, c: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Quantile function of the Weibull distribution, the inverse of ``cdf``.

        Q(q) = μ + σ (−log(1 − q))^(1/c)

    Gradient:
        ∂Q/∂q = 1/f(Q),    ∂Q/∂c = −(Q − μ) log(z)/c,    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        c: The shape c > 0.
        loc: The lower end μ.
        scale: The scale σ > 0, the quantile of 1 − 1/e.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where c ≤ 0, σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.9, 2.0, 0.0, 3.0):.4f}")
        4.5523

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 21; ``scipy.stats.weibull_min``.
    """
    return evaluated("ppf", _F.ppf, q=q, c=c, loc=loc, scale=scale)


def isf(q: Numbers, c: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Inverse survival function of the Weibull distribution: the quantile of 1 − q.

        Q(1 − q) = μ + σ (−log q)^(1/c)

    Gradient:
        ∂Q/∂q = −1/f(Q),    ∂Q/∂c = −(Q − μ) log(z)/c,    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        c: The shape c > 0.
        loc: The lower end μ.
        scale: The scale σ > 0, the quantile of 1 − 1/e.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where c ≤ 0, σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.9, 2.0, 0.0, 3.0):.4f}")
        0.9738

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 21; ``scipy.stats.weibull_min``.
    """
    return evaluated("isf", _F.isf, q=q, c=c, loc=loc, scale=scale)


def sample(
    key: PRNGKeyArray,
    c: Numbers,
    loc: Numbers = 0.0,
    scale: Numbers = 1.0,
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "..."]:
    """Samples of the Weibull distribution.

        x = μ + σ (−log u)^(1/c)

    for u uniform in (0, 1), as fine near 1 as near 0.

    Gradient:
        ∂x/∂c = −(x − μ) log(z)/c,    ∂x/∂μ = 1,    ∂x/∂σ = z (reparameterisation)

    Args:
        key: The random key.
        c: The shape c > 0.
        loc: The lower end μ.
        scale: The scale σ > 0, the quantile of 1 − 1/e.
        shape: The shape of the samples, to which the parameters must broadcast; theirs by default.

    Returns:
        Independent samples; nan where c ≤ 0, σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If the key is no random key, a parameter not an array of real numbers, or the
            shape no tuple of integers.
        ValueError: If the parameters do not broadcast to the shape.

    Example:
        >>> x = sample(jax.random.key(0), 2.0, 0.0, 3.0, shape=(10_000,))
        >>> print(f"{x.mean():.2f}")
        2.66

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 21; ``scipy.stats.weibull_min``.
    """
    return drawn("sample", key, _F.ppf, _F.isf, shape, c=c, loc=loc, scale=scale)


def mean(c: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mean of the Weibull distribution.

        μ + σ Γ(1 + 1/c)

    Args:
        c: The shape c > 0.
        loc: The lower end μ.
        scale: The scale σ > 0, the quantile of 1 − 1/e.

    Returns:
        Means, in the units of x, in the common shape of the parameters; nan where c ≤ 0, σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(2.0, 0.0, 3.0):.4f}")
        2.6587

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 21; ``scipy.stats.weibull_min``.
    """
    return evaluated("mean", _MEAN, c=c, loc=loc, scale=scale)


def variance(c: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Variance of the Weibull distribution.

        σ² (Γ(1 + 2/c) − Γ(1 + 1/c)²)

    Taken as σ² Γ(1 + 1/c)² expm1(log Γ(1 + 2/c) − 2 log Γ(1 + 1/c)), which does not cancel for
    large c.

    Args:
        c: The shape c > 0.
        loc: The lower end μ.
        scale: The scale σ > 0, the quantile of 1 − 1/e.

    Returns:
        Variances, in the square of the units of x, in the common shape of the parameters; nan where
        c ≤ 0, σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(2.0, 0.0, 3.0):.4f}")
        1.9314

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 21; ``scipy.stats.weibull_min``.
    """
    return evaluated("variance", _VARIANCE, c=c, loc=loc, scale=scale)


def mode(c: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mode of the Weibull distribution, where its density is largest.

        μ + σ (1 − 1/c)^(1/c) where c > 1, else μ

    Args:
        c: The shape c > 0.
        loc: The lower end μ.
        scale: The scale σ > 0, the quantile of 1 − 1/e.

    Returns:
        Modes, in the units of x, in the common shape of the parameters; nan where c ≤ 0, σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(2.0, 0.0, 3.0):.4f}")
        2.1213

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 21; ``scipy.stats.weibull_min``.
    """
    return evaluated("mode", _MODE, c=c, loc=loc, scale=scale)


def entropy(c: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Differential entropy of the Weibull distribution.

        γ (1 − 1/c) + log(σ/c) + 1

    Gradient:
        ∂/∂c = γ/c² − 1/c,    ∂/∂σ = 1/σ

    Args:
        c: The shape c > 0.
        loc: The lower end μ.
        scale: The scale σ > 0, the quantile of 1 − 1/e.

    Returns:
        Entropies, in nats, in the common shape of the parameters; nan where c ≤ 0, σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(2.0, 0.0, 3.0):.4f}")
        1.6941

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 21; ``scipy.stats.weibull_min``.
    """
    return evaluated("entropy", _ENTROPY, c=c, loc=loc, scale=scale)


def kl(c_p: Numbers, scale_p: Numbers, c_q: Numbers, scale_q: Numbers) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two Weibull distributions.

        KL = γ v − log(1 + v) + δ − 1 + exp(−δ) Γ(2 + v),    v = c₂/c₁ − 1,    δ = c₂ log(σ₂/σ₁)

    of two with the same location; where the locations differ there is no closed form. It is that of
    two Gumbel distributions, computed as there without cancellation.

    Gradient:
        as of ``gumbel.kl``, at v = c₂/c₁ − 1 and δ = c₂ log(σ₂/σ₁)

    Args:
        c_p: The shape c > 0 of p.
        scale_p: The scale σ > 0 of p.
        c_q: The shape c > 0 of q.
        scale_q: The scale σ > 0 of q.

    Returns:
        Divergences, in nats, in the common shape of the parameters; nan where c ≤ 0, σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(1.0, 1.0, 2.0, 1.5):.4f}")
        0.5839

    Source:
        Bauckhage, Computing the Kullback-Leibler divergence between two Weibull distributions
        (2013), §3.
    """
    return evaluated("kl", _KL, c_p=c_p, scale_p=scale_p, c_q=c_q, scale_q=scale_q)


def fit(
    x: Float[Array, "*batch samples"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of the Weibull distribution that make the samples most likely.

        1/c = Σ wᵢ xᵢᶜ log xᵢ / Σ wᵢ xᵢᶜ − Σ wᵢ log xᵢ / Σ wᵢ,    σᶜ = Σ wᵢ xᵢᶜ / Σ wᵢ

    with μ = 0. The first is solved by 30 steps of Newton's method in log c.

    Args:
        x: The samples, on the last axis, above 0.
        weights: How much each sample counts, ≥ 0, in a shape that broadcasts to theirs; all alike
            by default.

    Returns:
        The estimates c, σ, each in the shape of the samples without their axis.

    Raises:
        TypeError: If the samples are not a floating-point array, or the weights not real numbers.
        ValueError: If there is no axis of samples, or the weights do not broadcast to them.

    Example:
        >>> x = jnp.array([1.0, 2.0, 3.0, 6.0])
        >>> print(*(f"{a:.4f}" for a in fit(x)))
        1.7044 3.3849

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994), §21.4.
    """
    samples, w = _fitting.samples("fit", x, weights)
    minus_log = -jnp.log(samples)
    inverse = _fitting.gumbel_scale(minus_log, w)
    log_scale = inverse * _fitting.log_mean_exp(-minus_log / inverse, w)
    return _fitting.of_dtype(x, 1 / inverse[..., 0], jnp.exp(log_scale)[..., 0])


def score(
    x: Numbers, c: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "... 2"]:
    """Score of the Weibull distribution: the gradient of the log-density by the parameters.

        ∂ log f/∂(c, σ) = (1/c + (1 − y) log z, c (y − 1)/σ),    y = zᶜ

    By c and σ alone: a location moves the support, and its score need not have the mean 0.

    Args:
        x: Where to look.
        c: The shape c > 0.
        loc: The lower end μ.
        scale: The scale σ > 0, the quantile of 1 − 1/e.

    Returns:
        The derivatives by c and σ on a new last axis; nan where c ≤ 0, σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(score(1.0, 2.0, 0.0, 3.0))
        [-0.47654426 -0.5925926 ]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 21; ``scipy.stats.weibull_min``.
    """
    return stacked("score", (_F.by[1], _F.by[3]), x=x, c=c, loc=loc, scale=scale)


def fisher_information(
    c: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "... 2 2"]:
    """Fisher information of the Weibull distribution: the covariance of the score.

        I₁₁ = (π²/6 + (1 − γ)²)/c²,    I₁₂ = (γ − 1)/σ,    I₂₂ = c²/σ²

    of c and σ, the location being known.

    Args:
        c: The shape c > 0.
        loc: The lower end μ.
        scale: The scale σ > 0, the quantile of 1 − 1/e.

    Returns:
        Matrices on two new last axes, of c and σ; nan where c ≤ 0, σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(2.0, 0.0, 3.0))
        [[ 0.45592016 -0.1409281 ]
         [-0.1409281   0.44444445]]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994), §21.4.
    """
    return information("fisher_information", _information, _known, c=c, loc=loc, scale=scale)
