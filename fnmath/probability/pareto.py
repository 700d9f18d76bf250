"""The Pareto distribution: a tail that falls off as a power.

    S(x) = z⁻ᵇ,    z = (x − μ)/σ ≥ 1

Notation: b is the exponent; the support begins at μ + σ. The logarithm of z is taken of 1 + w with
w = (x − μ − σ)/σ, which keeps what is left next to that end.
"""

from __future__ import annotations

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


def _known(b: Array, loc: Array, scale: Array) -> Array:
    return finite_scale(loc, scale) & (b > 0) & (b < jnp.inf)


def _log_z(x: Number, b: Number, loc: Number, scale: Number) -> Number:
    return log1p(((x - loc) - scale) / scale)


_F = functions(
    on_support(
        Formulas(
            logpdf=lambda x, b, loc, scale: log(b / scale) - (b + 1) * _log_z(x, b, loc, scale),
            by=(
                lambda x, b, loc, scale: -(b + 1) / (x - loc),
                lambda x, b, loc, scale: 1 / b - _log_z(x, b, loc, scale),
                lambda x, b, loc, scale: (b + 1) / (x - loc),
                lambda x, b, loc, scale: b / scale,
            ),
            velocity=(
                lambda x, b, loc, scale: -(_log_z(x, b, loc, scale) * ((x - loc) / b)),
                lambda x, b, loc, scale: 1.0,
                lambda x, b, loc, scale: (x - loc) / scale,
            ),
            cdf=lambda x, b, *of: -expm1(-b * _log_z(x, b, *of)),
            sf=lambda x, b, *of: exp(-b * _log_z(x, b, *of)),
            logcdf=lambda x, b, *of: log1mexp(b * _log_z(x, b, *of)),
            logsf=lambda x, b, *of: -b * _log_z(x, b, *of),
            reverse_hazard=lambda x, b, loc, scale: (
                b / (x - loc) / expm1(b * _log_z(x, b, loc, scale))
            ),
            hazard=lambda x, b, loc, scale: b / (x - loc),
            quantile=lambda q, b, loc, scale: loc + scale * exp(-log1p(-q) / b),
            upper=lambda q, b, loc, scale: loc + scale * exp(-log(q) / b),
        ),
        below=lambda x, b, loc, scale: head((x - loc) - scale) < 0,
        inside=lambda b, loc, scale: loc + 2 * scale,
    ),
    _known,
)


def _mean(b: Number, loc: Number, scale: Number) -> Number:
    exists = head(b) > 1
    some = where(exists, b, 2.0)
    return where(exists, loc + scale * some / (some - 1), jnp.inf)


def _variance(b: Number, loc: Number, scale: Number) -> Number:
    exists = head(b) > 2
    some = where(exists, b, 3.0)
    return where(exists, scale / (some - 1) * (scale / (some - 1)) * some / (some - 2), jnp.inf)


_MEAN = in_pairs(_mean, known=_known)
_VARIANCE = in_pairs(_variance, known=_known)
_MODE = in_pairs(lambda b, loc, scale: loc + scale, known=_known)
_ENTROPY = in_pairs(lambda b, loc, scale: log(scale / b) + 1 + 1 / b, known=_known)


def _divergence(b: Number, scale: Number, b_q: Number, scale_q: Number) -> Number:
    inside = head(scale - scale_q) >= 0
    rise = log(where(inside, scale, scale_q) / scale_q)
    return where(inside, lag_of_ratio(b_q, b) + b_q * rise, jnp.inf)


def _known_pair(b: Array, scale: Array, b_q: Array, scale_q: Array) -> Array:
    return _known(b, 0 * b, scale) & _known(b_q, 0 * b, scale_q)


_KL = in_pairs(_divergence, known=_known_pair)


def _information(b: Number, loc: Number, scale: Number) -> tuple[tuple[Number, ...], ...]:
    return ((1 / (b * b),),)


def pdf(x: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Density of the Pareto distribution.

        f(x) = (b/σ) z^(−b − 1),    z = (x − μ)/σ; 0 where z < 1

    Gradient:
        ∂f/∂a = f(x) ∂log f/∂a for each argument a, as of ``logpdf``

    Args:
        x: Where to look.
        b: The shape b > 0, the exponent of the tail.
        loc: The location μ.
        scale: The scale σ > 0; the support begins at μ + σ.

    Returns:
        Densities, in units of 1/x, in the common shape of the arguments; nan where b ≤ 0, σ ≤ 0 or
        a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(4.0, 3.0, 0.0, 2.0):.4f}")
        0.0938

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 20; ``scipy.stats.pareto``.
    """
    return evaluated("pdf", _F.pdf, x=x, b=b, loc=loc, scale=scale)


def logpdf(x: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the density of the Pareto distribution.

        log f(x) = log(b/σ) − (b + 1) log z,    z = (x − μ)/σ; −∞ where z < 1

    Gradient:
        ∂/∂x = −(b + 1)/(x − μ) = −∂/∂μ,    ∂/∂b = 1/b − log z,    ∂/∂σ = b/σ

    Args:
        x: Where to look.
        b: The shape b > 0, the exponent of the tail.
        loc: The location μ.
        scale: The scale σ > 0; the support begins at μ + σ.

    Returns:
        Logarithms of densities, in nats, in the common shape of the arguments; nan where b ≤ 0, σ ≤
        0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(4.0, 3.0, 0.0, 2.0):.4f}")
        -2.3671

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 20; ``scipy.stats.pareto``.
    """
    return evaluated("logpdf", _F.logpdf, x=x, b=b, loc=loc, scale=scale)


def cdf(x: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Cumulative distribution function of the Pareto distribution: the probability up to x.

        F(x) = 1 − z⁻ᵇ = −expm1(−b log z); 0 where z < 1

    Gradient:
        ∂F/∂x = f(x),    ∂F/∂b = −−(x − μ) log(z)/b f(x),    ∂F/∂μ = −f(x),    ∂F/∂σ = −z f(x)

    Args:
        x: Where to look.
        b: The shape b > 0, the exponent of the tail.
        loc: The location μ.
        scale: The scale σ > 0; the support begins at μ + σ.

    Returns:
        Probabilities, in the common shape of the arguments; nan where b ≤ 0, σ ≤ 0 or a parameter
        is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(4.0, 3.0, 0.0, 2.0):.4f}")
        0.8750

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 20; ``scipy.stats.pareto``.
    """
    return evaluated("cdf", _F.cdf, x=x, b=b, loc=loc, scale=scale)


def logcdf(x: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the Pareto distribution.

        log F(x) = log(1 − z⁻ᵇ); −∞ where z ≤ 1

    Gradient:
        with r = f(x)/F(x)
        ∂log F/∂x = r,    ∂log F/∂b = −−(x − μ) log(z)/b r,    ∂log F/∂μ = −r,
        ∂log F/∂σ = −z r

    Args:
        x: Where to look.
        b: The shape b > 0, the exponent of the tail.
        loc: The location μ.
        scale: The scale σ > 0; the support begins at μ + σ.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where b ≤ 0,
        σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(4.0, 3.0, 0.0, 2.0):.4f}")
        -0.1335

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 20; ``scipy.stats.pareto``.
    """
    return evaluated("logcdf", _F.logcdf, x=x, b=b, loc=loc, scale=scale)


def sf(x: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Survival function of the Pareto distribution: the probability beyond x.

        S(x) = z⁻ᵇ; 1 where z < 1

    Gradient:
        ∂S/∂x = −f(x),    ∂S/∂b = −(x − μ) log(z)/b f(x),    ∂S/∂μ = f(x),    ∂S/∂σ = z f(x)

    Args:
        x: Where to look.
        b: The shape b > 0, the exponent of the tail.
        loc: The location μ.
        scale: The scale σ > 0; the support begins at μ + σ.

    Returns:
        Probabilities, in the common shape of the arguments; nan where b ≤ 0, σ ≤ 0 or a parameter
        is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(4.0, 3.0, 0.0, 2.0):.4f}")
        0.1250

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 20; ``scipy.stats.pareto``.
    """
    return evaluated("sf", _F.sf, x=x, b=b, loc=loc, scale=scale)


def logsf(x: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the survival function of the Pareto distribution.

        log S(x) = −b log z; 0 where z < 1

    Gradient:
        with h = f(x)/S(x)
        ∂log S/∂x = −h,    ∂log S/∂b = −(x − μ) log(z)/b h,    ∂log S/∂μ = h,    ∂log S/∂σ = z h

    Args:
        x: Where to look.
        b: The shape b > 0, the exponent of the tail.
        loc: The location μ.
        scale: The scale σ > 0; the support begins at μ + σ.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where b ≤ 0,
        σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(4.0, 3.0, 0.0, 2.0):.4f}")
        -2.0794

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 20; ``scipy.stats.pareto``.
    """
    return evaluated("logsf", _F.logsf, x=x, b=b, loc=loc, scale=scale)


def ppf(q: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Quantile function of the Pareto distribution, the inverse of ``cdf``.

        Q(q) = μ + σ (1 − q)^(−1/b)

    Gradient:
        ∂Q/∂q = 1/f(Q),    ∂Q/∂b = −(Q − μ) log(z)/b,    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        b: The shape b > 0, the exponent of the tail.
        loc: The location μ.
        scale: The scale σ > 0; the support begins at μ + σ.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where b ≤ 0, σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.9, 3.0, 0.0, 2.0):.4f}")
        4.3089

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 20; ``scipy.stats.pareto``.
    """
    return evaluated("ppf", _F.ppf, q=q, b=b, loc=loc, scale=scale)


def isf(q: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Inverse survival function of the Pareto distribution: the quantile of 1 − q.

        Q(1 − q) = μ + σ q^(−1/b)

    Gradient:
        ∂Q/∂q = −1/f(Q),    ∂Q/∂b = −(Q − μ) log(z)/b,    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        b: The shape b > 0, the exponent of the tail.
        loc: The location μ.
        scale: The scale σ > 0; the support begins at μ + σ.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where b ≤ 0, σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.9, 3.0, 0.0, 2.0):.4f}")
        2.0715

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 20; ``scipy.stats.pareto``.
    """
    return evaluated("isf", _F.isf, q=q, b=b, loc=loc, scale=scale)


def sample(
    key: PRNGKeyArray,
    b: Numbers,
    loc: Numbers = 0.0,
    scale: Numbers = 1.0,
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "..."]:
    """Samples of the Pareto distribution.

        x = μ + σ u^(−1/b)

    for u uniform in (0, 1), as fine near 0 as near 1.

    Gradient:
        ∂x/∂b = −(x − μ) log(z)/b,    ∂x/∂μ = 1,    ∂x/∂σ = z (reparameterisation)

    Args:
        key: The random key.
        b: The shape b > 0, the exponent of the tail.
        loc: The location μ.
        scale: The scale σ > 0; the support begins at μ + σ.
        shape: The shape of the samples, to which the parameters must broadcast; theirs by default.

    Returns:
        Independent samples; nan where b ≤ 0, σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If the key is no random key, a parameter not an array of real numbers, or the
            shape no tuple of integers.
        ValueError: If the parameters do not broadcast to the shape.

    Example:
        >>> x = sample(jax.random.key(0), 3.0, 0.0, 2.0, shape=(10_000,))
        >>> print(f"{jnp.median(x):.2f}")
        2.53

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 20; ``scipy.stats.pareto``.
    """
    return drawn("sample", key, _F.ppf, _F.isf, shape, b=b, loc=loc, scale=scale)


def mean(b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mean of the Pareto distribution.

        μ + σ b/(b − 1) where b > 1, else ∞

    Args:
        b: The shape b > 0, the exponent of the tail.
        loc: The location μ.
        scale: The scale σ > 0; the support begins at μ + σ.

    Returns:
        Means, in the units of x, in the common shape of the parameters; nan where b ≤ 0, σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(3.0, 0.0, 2.0):.4f}")
        3.0000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 20; ``scipy.stats.pareto``.
    """
    return evaluated("mean", _MEAN, b=b, loc=loc, scale=scale)


def variance(b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Variance of the Pareto distribution.

        σ² b/((b − 1)² (b − 2)) where b > 2, else ∞

    Args:
        b: The shape b > 0, the exponent of the tail.
        loc: The location μ.
        scale: The scale σ > 0; the support begins at μ + σ.

    Returns:
        Variances, in the square of the units of x, in the common shape of the parameters; nan where
        b ≤ 0, σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(3.0, 0.0, 2.0):.4f}")
        3.0000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 20; ``scipy.stats.pareto``.
    """
    return evaluated("variance", _VARIANCE, b=b, loc=loc, scale=scale)


def mode(b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mode of the Pareto distribution, where its density is largest.

        μ + σ

    Args:
        b: The shape b > 0, the exponent of the tail.
        loc: The location μ.
        scale: The scale σ > 0; the support begins at μ + σ.

    Returns:
        Modes, in the units of x, in the common shape of the parameters; nan where b ≤ 0, σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(3.0, 0.0, 2.0):.4f}")
        2.0000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 20; ``scipy.stats.pareto``.
    """
    return evaluated("mode", _MODE, b=b, loc=loc, scale=scale)


def entropy(b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Differential entropy of the Pareto distribution.

        log(σ/b) + 1 + 1/b

    Gradient:
        ∂/∂b = −1/b − 1/b²,    ∂/∂σ = 1/σ

    Args:
        b: The shape b > 0, the exponent of the tail.
        loc: The location μ.
        scale: The scale σ > 0; the support begins at μ + σ.

    Returns:
        Entropies, in nats, in the common shape of the parameters; nan where b ≤ 0, σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(3.0, 0.0, 2.0):.4f}")
        0.9279

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 20; ``scipy.stats.pareto``.
    """
    return evaluated("entropy", _ENTROPY, b=b, loc=loc, scale=scale)


def kl(b_p: Numbers, scale_p: Numbers, b_q: Numbers, scale_q: Numbers) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two Pareto distributions.

        KL = b₂/b₁ − 1 − log(b₂/b₁) + b₂ log(σ₁/σ₂) where σ₁ ≥ σ₂, else ∞

    of two with the same location. Where q is 0 on a part of p's support, the divergence is
    infinite.

    Gradient:
        ∂/∂b₁ = (1 − b₂/b₁)/b₁,    ∂/∂b₂ = 1/b₁ − 1/b₂ + log(σ₁/σ₂),
        ∂/∂σ₁ = b₂/σ₁,    ∂/∂σ₂ = −b₂/σ₂

    Args:
        b_p: The shape b > 0 of p.
        scale_p: The scale σ > 0; the support begins at μ + σ of p.
        b_q: The shape b > 0 of q.
        scale_q: The scale σ > 0; the support begins at μ + σ of q.

    Returns:
        Divergences, in nats, in the common shape of the parameters; nan where b ≤ 0, σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(3.0, 2.0, 1.0, 1.5):.4f}")
        0.7196

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 20; ``scipy.stats.pareto``.
    """
    return evaluated("kl", _KL, b_p=b_p, scale_p=scale_p, b_q=b_q, scale_q=scale_q)


def fit(
    x: Float[Array, "*batch samples"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of the Pareto distribution that make the samples most likely.

        σ = minᵢ xᵢ,    1/b = Σ wᵢ log(xᵢ/σ) / Σ wᵢ

    with μ = 0.

    Args:
        x: The samples, on the last axis, above 0.
        weights: How much each sample counts, ≥ 0, in a shape that broadcasts to theirs; all alike
            by default.

    Returns:
        The estimates b, σ, each in the shape of the samples without their axis.

    Raises:
        TypeError: If the samples are not a floating-point array, or the weights not real numbers.
        ValueError: If there is no axis of samples, or the weights do not broadcast to them.

    Example:
        >>> x = jnp.array([1.0, 2.0, 3.0, 6.0])
        >>> print(*(f"{a:.4f}" for a in fit(x)))
        1.1162 1.0000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994), §20.4.
    """
    samples, w = _fitting.samples("fit", x, weights)
    scale = _fitting.smallest(samples, w)
    b = 1 / _fitting.mean(jnp.log(samples / scale[..., None]), w)[..., 0]
    return _fitting.of_dtype(x, b, scale)


def score(
    x: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "... 1"]:
    """Score of the Pareto distribution: the gradient of the log-density by the parameters.

        ∂ log f/∂b = 1/b − log z

    By b alone: the others move the support, and their scores do not have the mean 0.

    Args:
        x: Where to look.
        b: The shape b > 0, the exponent of the tail.
        loc: The location μ.
        scale: The scale σ > 0; the support begins at μ + σ.

    Returns:
        The derivatives by b on a new last axis; nan where b ≤ 0, σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(score(4.0, 3.0, 0.0, 2.0))
        [-0.35981384]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 20; ``scipy.stats.pareto``.
    """
    return stacked("score", _F.by[1:2], x=x, b=b, loc=loc, scale=scale)


def fisher_information(
    b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "... 1 1"]:
    """Fisher information of the Pareto distribution: the covariance of the score.

        I = 1/b²

    of b, the support being known.

    Args:
        b: The shape b > 0, the exponent of the tail.
        loc: The location μ.
        scale: The scale σ > 0; the support begins at μ + σ.

    Returns:
        Matrices on two new last axes, of b; nan where b ≤ 0, σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(3.0, 0.0, 2.0))
        [[0.11111111]]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 20; ``scipy.stats.pareto``.
    """
    return information("fisher_information", _information, _known, b=b, loc=loc, scale=scale)
