"""The logistic distribution, whose cdf is the sigmoid.

    f(x) = s(z) s(−z) / σ,    z = (x − μ)/σ,    s(z) = 1/(1 + exp(−z))

Notation: μ is the median and σ the scale; e = exp(−|z|). The divergence of two has no closed form.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Real

from fnmath.probability import _fitting
from fnmath.probability._families import (
    Numbers,
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
    exp,
    expm1,
    head,
    in_pairs,
    log,
    log1p,
    where,
)
from fnmath.probability._sampling import drawn

_known = finite_scale


def _sigmoid(z: Number) -> Number:
    e = exp(-absolute(z))
    return where(head(z) < 0, e, 1.0) / (1 + e)


def _tanh_half(size: Number) -> Number:
    """tanh(|z|/2)."""
    return -expm1(-size) / (1 + exp(-size))


def _slope(z: Number) -> Number:
    t = _tanh_half(absolute(z))
    return where(head(z) < 0, t, -t)


def _spread(z: Number) -> Number:
    size = absolute(z)
    return size * _tanh_half(size) - 1


def _quantile(q: Number) -> Number:
    """The logit, whose quotient is near 1 where q is near ½."""
    middle = abs(head(q) - 0.5) < 0.25
    near = where(middle, q, 0.5)
    far = where(middle, 0.5, q)
    return where(middle, log1p((2 * near - 1) / (1 - near)), log(far) - log(1 - far))


_F = functions(
    location_scale(
        symmetric(
            logpdf=lambda z: -absolute(z) - 2 * log1p(exp(-absolute(z))),
            slope=_slope,
            spread=_spread,
            cdf=_sigmoid,
            logcdf=lambda z: where(head(z) < 0, z, 0.0) - log1p(exp(-absolute(z))),
            reverse_hazard=lambda z: _sigmoid(-z),
            quantile=_quantile,
        )
    ),
    _known,
)
_MEAN = in_pairs(lambda loc, scale: loc, known=_known)
_VARIANCE = in_pairs(lambda loc, scale: (math.pi**2 / 3) * (scale * scale), known=_known)
_MODE = _MEAN
_ENTROPY = in_pairs(lambda loc, scale: log(scale) + 2, known=_known)


def _information(loc: Number, scale: Number) -> tuple[tuple[Number, ...], ...]:
    return (1 / (3 * (scale * scale)),), (0.0, (1 / 3 + math.pi**2 / 9) / (scale * scale))


def pdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Density of the logistic distribution.

        f(x) = s(z) s(−z) / σ,    z = (x − μ)/σ

    Gradient:
        ∂f/∂a = f(x) ∂log f/∂a for each argument a, as of ``logpdf``

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The scale σ > 0.

    Returns:
        Densities, in units of 1/x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(1.0, 0.0, 2.0):.4f}")
        0.1175

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 23; ``scipy.stats.logistic``.
    """
    return evaluated("pdf", _F.pdf, x=x, loc=loc, scale=scale)


def logpdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the density of the logistic distribution.

        log f(x) = −|z| − 2 log(1 + e) − log σ,    z = (x − μ)/σ,    e = exp(−|z|)

    Gradient:
        ∂/∂x = −tanh(z/2)/σ,    ∂/∂μ = tanh(z/2)/σ,    ∂/∂σ = (z tanh(z/2) − 1)/σ

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The scale σ > 0.

    Returns:
        Logarithms of densities, in nats, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(1.0, 0.0, 2.0):.4f}")
        -2.1413

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 23; ``scipy.stats.logistic``.
    """
    return evaluated("logpdf", _F.logpdf, x=x, loc=loc, scale=scale)


def cdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Cumulative distribution function of the logistic distribution: the probability up to x.

        F(x) = s(z) = 1/(1 + exp(−z))

    Gradient:
        ∂F/∂x = f(x),    ∂F/∂μ = −f(x),    ∂F/∂σ = −z f(x)

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The scale σ > 0.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1.0, 0.0, 2.0):.4f}")
        0.6225

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 23; ``scipy.stats.logistic``.
    """
    return evaluated("cdf", _F.cdf, x=x, loc=loc, scale=scale)


def logcdf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the logistic distribution.

        log F(x) = min(z, 0) − log(1 + exp(−|z|))

    Gradient:
        with r = f(x)/F(x)
        ∂log F/∂x = r,    ∂log F/∂μ = −r,    ∂log F/∂σ = −z r

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The scale σ > 0.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1.0, 0.0, 2.0):.4f}")
        -0.4741

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 23; ``scipy.stats.logistic``.
    """
    return evaluated("logcdf", _F.logcdf, x=x, loc=loc, scale=scale)


def sf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Survival function of the logistic distribution: the probability beyond x.

        S(x) = 1 − F(x) = s(−z)

    Gradient:
        ∂S/∂x = −f(x),    ∂S/∂μ = f(x),    ∂S/∂σ = z f(x)

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The scale σ > 0.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1.0, 0.0, 2.0):.4f}")
        0.3775

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 23; ``scipy.stats.logistic``.
    """
    return evaluated("sf", _F.sf, x=x, loc=loc, scale=scale)


def logsf(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the survival function of the logistic distribution.

        log S(x) = log s(−z)

    Gradient:
        with h = f(x)/S(x)
        ∂log S/∂x = −h,    ∂log S/∂μ = h,    ∂log S/∂σ = z h

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The scale σ > 0.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1.0, 0.0, 2.0):.4f}")
        -0.9741

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 23; ``scipy.stats.logistic``.
    """
    return evaluated("logsf", _F.logsf, x=x, loc=loc, scale=scale)


def ppf(q: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Quantile function of the logistic distribution, the inverse of ``cdf``.

        Q(q) = μ + σ log(q/(1 − q))

    Where q is near ½ the logarithm is taken of 1 + (2q − 1)/(1 − q), in which nothing is rounded
    away.

    Gradient:
        ∂Q/∂q = 1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        loc: The median μ.
        scale: The scale σ > 0.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.9, 0.0, 2.0):.4f}")
        4.3944

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 23; ``scipy.stats.logistic``.
    """
    return evaluated("ppf", _F.ppf, q=q, loc=loc, scale=scale)


def isf(q: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Inverse survival function of the logistic distribution: the quantile of 1 − q.

        Q(1 − q) = μ − σ log(q/(1 − q))

    Gradient:
        ∂Q/∂q = −1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        loc: The median μ.
        scale: The scale σ > 0.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.9, 0.0, 2.0):.4f}")
        -4.3944

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 23; ``scipy.stats.logistic``.
    """
    return evaluated("isf", _F.isf, q=q, loc=loc, scale=scale)


def sample(
    key: PRNGKeyArray,
    loc: Numbers = 0.0,
    scale: Numbers = 1.0,
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "..."]:
    """Samples of the logistic distribution.

        x = μ ± σ log(p/(1 − p))

    for a fair sign and p uniform in (0, ½).

    Gradient:
        ∂x/∂μ = 1,    ∂x/∂σ = z, for the uniform numbers drawn (reparameterisation)

    Args:
        key: The random key.
        loc: The median μ.
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
        3.63

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 23; ``scipy.stats.logistic``.
    """
    return drawn("sample", key, _F.ppf, _F.isf, shape, loc=loc, scale=scale)


def mean(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mean of the logistic distribution.

        μ

    Args:
        loc: The median μ.
        scale: The scale σ > 0.

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
        chapter 23; ``scipy.stats.logistic``.
    """
    return evaluated("mean", _MEAN, loc=loc, scale=scale)


def variance(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Variance of the logistic distribution.

        π² σ²/3

    Args:
        loc: The median μ.
        scale: The scale σ > 0.

    Returns:
        Variances, in the square of the units of x, in the common shape of the parameters; nan where
        σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(0.0, 2.0):.4f}")
        13.1595

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 23; ``scipy.stats.logistic``.
    """
    return evaluated("variance", _VARIANCE, loc=loc, scale=scale)


def mode(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mode of the logistic distribution, where its density is largest.

        μ

    Args:
        loc: The median μ.
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
        chapter 23; ``scipy.stats.logistic``.
    """
    return evaluated("mode", _MODE, loc=loc, scale=scale)


def entropy(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Differential entropy of the logistic distribution.

        log σ + 2

    Gradient:
        ∂/∂σ = 1/σ

    Args:
        loc: The median μ.
        scale: The scale σ > 0.

    Returns:
        Entropies, in nats, in the common shape of the parameters; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(0.0, 2.0):.4f}")
        2.6931

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 23; ``scipy.stats.logistic``.
    """
    return evaluated("entropy", _ENTROPY, loc=loc, scale=scale)


def fit(
    x: Float[Array, "*batch samples"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of the logistic distribution that make the samples most likely.

        Σ wᵢ tanh(zᵢ/2) = 0,    Σ wᵢ zᵢ tanh(zᵢ/2) = Σ wᵢ

    solved for μ and σ by 100 steps of Fisher's scoring from the mean and the standard deviation;
    the log-likelihood has one maximum.

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
        2.7687 1.0943

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        §23.10; Osborne, Fisher's method of scoring (1992), §2.
    """
    samples, w = _fitting.samples("fit", x, weights)
    loc = _fitting.mean(samples, w)
    scale = _fitting.root(3 * _fitting.mean((samples - loc) ** 2, w)) / math.pi

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        loc, scale = state
        z = (samples - loc) / scale
        t = jnp.tanh(0.5 * z)
        change = (_fitting.mean(z * t, w) - 1) / (1 / 3 + math.pi**2 / 9)
        return loc + 3 * scale * _fitting.mean(t, w), scale * jnp.exp(jnp.clip(change, -1, 1))

    loc, scale = _fitting.repeated(step, (loc, scale), 100)
    return _fitting.of_dtype(x, loc[..., 0], scale[..., 0])


def score(x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "... 2"]:
    """Score of the logistic distribution: the gradient of the log-density by the parameters.

        ∂ log f/∂(μ, σ) = (tanh(z/2), z tanh(z/2) − 1)/σ

    Its mean over samples is 0, its covariance the Fisher information.

    Args:
        x: Where to look.
        loc: The median μ.
        scale: The scale σ > 0.

    Returns:
        The derivatives by μ and σ on a new last axis; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(score(1.0, 0.0, 2.0))
        [ 0.12245933 -0.43877032]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 23; ``scipy.stats.logistic``.
    """
    return stacked("score", _F.by[1:], x=x, loc=loc, scale=scale)


def fisher_information(loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "... 2 2"]:
    """Fisher information of the logistic distribution: the covariance of the score.

        I = diag(1/3, (3 + π²)/9)/σ²

    Args:
        loc: The median μ.
        scale: The scale σ > 0.

    Returns:
        Matrices on two new last axes, of μ and σ; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(0.0, 2.0))
        [[0.08333334 0.        ]
         [0.         0.35748902]]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 23; ``scipy.stats.logistic``.
    """
    return information("fisher_information", _information, _known, loc=loc, scale=scale)
