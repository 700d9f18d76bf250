"""The log-normal distribution: the exponential of a normal number, a product of many small effects.

    f(x) = exp(−½ z²) / (x σ √(2π)),    z = (log x − μ)/σ

Notation: μ and σ are the mean and the standard deviation of log x. SciPy's ``lognorm`` has s = σ
and scale = exp(μ), in whose rounding the last digits of μ are lost.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Real

from fnmath.probability import _fitting, _normal_tail
from fnmath.probability._families import (
    Formulas,
    Numbers,
    both,
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
    times_vanishing,
    where,
)
from fnmath.probability._sampling import drawn

_known = finite_scale


def _z(x: Number, mu: Number, sigma: Number) -> Number:
    return (log(x) - mu) / sigma


def _logpdf(x: Number, mu: Number, sigma: Number) -> Number:
    at_0 = head(x) == 0
    some = where(at_0, 1.0, x)
    return where(at_0, -jnp.inf, _normal_tail.logpdf(_z(some, mu, sigma)) - log(sigma * some))


def _by_x(x: Number, mu: Number, sigma: Number) -> Number:
    far = head(x) == jnp.inf
    some = where(far, 1.0, x)
    return where(far, 0.0, -(1 + _z(some, mu, sigma) / sigma) / some)


def _hazard(sign: float, x: Number, mu: Number, sigma: Number) -> Number:
    """That of z over x σ; 0 at ∞, where the one goes as log x."""
    far = head(x) == jnp.inf
    some = where(far, 1.0, x)
    of_z = _normal_tail.reverse_hazard(sign * _z(some, mu, sigma))
    return where(far, 0.0, times_vanishing(1 / (sigma * some), of_z))


_F = functions(
    on_support(
        Formulas(
            logpdf=_logpdf,
            by=(
                _by_x,
                lambda x, mu, sigma: _z(x, mu, sigma) / sigma,
                lambda x, mu, sigma: (_z(x, mu, sigma) - 1) * (_z(x, mu, sigma) + 1) / sigma,
            ),
            velocity=(
                lambda x, mu, sigma: x,
                lambda x, mu, sigma: times_vanishing(_z(x, mu, sigma), x),
            ),
            cdf=lambda x, *of: _normal_tail.cdf(_z(x, *of)),
            sf=lambda x, *of: _normal_tail.cdf(-_z(x, *of)),
            logcdf=lambda x, *of: _normal_tail.logcdf(_z(x, *of)),
            logsf=lambda x, *of: _normal_tail.logcdf(-_z(x, *of)),
            reverse_hazard=lambda x, *of: _hazard(1.0, x, *of),
            hazard=lambda x, *of: _hazard(-1.0, x, *of),
            quantile=lambda q, mu, sigma: exp(mu + sigma * _normal_tail.quantile(q)),
            upper=lambda q, mu, sigma: exp(mu - sigma * _normal_tail.quantile(q)),
        ),
        below=lambda x, mu, sigma: head(x) < 0,
        inside=lambda mu, sigma: 1.0 + 0 * head(mu),
    ),
    _known,
)


def _variance(mu: Number, sigma: Number) -> Number:
    square = sigma * sigma
    return expm1(square) * exp(2 * mu + square)


_MEAN = in_pairs(lambda mu, sigma: exp(mu + 0.5 * (sigma * sigma)), known=_known)
_VARIANCE = in_pairs(_variance, known=_known)
_MODE = in_pairs(lambda mu, sigma: exp(mu - sigma * sigma), known=_known)
_ENTROPY = in_pairs(
    lambda mu, sigma: mu + (log(sigma) + (0.5 + _normal_tail.HALF_LOG_2_PI)), known=_known
)


def _divergence(mu: Number, sigma: Number, mu_q: Number, sigma_q: Number) -> Number:
    v, d = (sigma - sigma_q) / sigma_q, (mu - mu_q) / sigma_q
    return lag_of_ratio(sigma, sigma_q) + 0.5 * (v * v) + 0.5 * (d * d)


_KL = in_pairs(_divergence, known=both(_known))


def _information(mu: Number, sigma: Number) -> tuple[tuple[Number, ...], ...]:
    return (1 / (sigma * sigma),), (0.0, 2 / (sigma * sigma))


def pdf(x: Numbers, mu: Numbers = 0.0, sigma: Numbers = 1.0) -> Float[Array, "..."]:
    """Density of the log-normal distribution.

        f(x) = exp(−½ z²) / (x σ √(2π)),    z = (log x − μ)/σ; 0 where x ≤ 0

    Gradient:
        ∂f/∂a = f(x) ∂log f/∂a for each argument a, as of ``logpdf``

    Args:
        x: Where to look.
        mu: The mean μ of log x.
        sigma: The standard deviation σ > 0 of log x.

    Returns:
        Densities, in units of 1/x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(1.5, 0.0, 0.5):.4f}")
        0.3829

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 14; ``scipy.stats.lognorm``.
    """
    return evaluated("pdf", _F.pdf, x=x, mu=mu, sigma=sigma)


def logpdf(x: Numbers, mu: Numbers = 0.0, sigma: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the density of the log-normal distribution.

        log f(x) = −½ z² − log σx − ½ log 2π,    z = (log x − μ)/σ; −∞ where x ≤ 0

    The logarithm of x is carried in twice the precision, because z may be a small difference.

    Gradient:
        ∂/∂x = −(1 + z/σ)/x,    ∂/∂μ = z/σ,    ∂/∂σ = (z² − 1)/σ

    Args:
        x: Where to look.
        mu: The mean μ of log x.
        sigma: The standard deviation σ > 0 of log x.

    Returns:
        Logarithms of densities, in nats, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(1.5, 0.0, 0.5):.4f}")
        -0.9601

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 14; ``scipy.stats.lognorm``.
    """
    return evaluated("logpdf", _F.logpdf, x=x, mu=mu, sigma=sigma)


def cdf(x: Numbers, mu: Numbers = 0.0, sigma: Numbers = 1.0) -> Float[Array, "..."]:
    """Cumulative distribution function of the log-normal distribution: the probability up to x.

        F(x) = Φ(z),    z = (log x − μ)/σ; 0 where x ≤ 0

    Φ is that of ``normal.cdf``.

    Gradient:
        ∂F/∂x = f(x),    ∂F/∂μ = −x f(x),    ∂F/∂σ = −x z f(x)

    Args:
        x: Where to look.
        mu: The mean μ of log x.
        sigma: The standard deviation σ > 0 of log x.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1.5, 0.0, 0.5):.4f}")
        0.7913

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 14; ``scipy.stats.lognorm``.
    """
    return evaluated("cdf", _F.cdf, x=x, mu=mu, sigma=sigma)


def logcdf(x: Numbers, mu: Numbers = 0.0, sigma: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the log-normal distribution.

        log F(x) = log Φ(z); −∞ where x ≤ 0

    Gradient:
        with r = f(x)/F(x)
        ∂log F/∂x = r,    ∂log F/∂μ = −x r,    ∂log F/∂σ = −x z r

    Args:
        x: Where to look.
        mu: The mean μ of log x.
        sigma: The standard deviation σ > 0 of log x.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1.5, 0.0, 0.5):.4f}")
        -0.2341

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 14; ``scipy.stats.lognorm``.
    """
    return evaluated("logcdf", _F.logcdf, x=x, mu=mu, sigma=sigma)


def sf(x: Numbers, mu: Numbers = 0.0, sigma: Numbers = 1.0) -> Float[Array, "..."]:
    """Survival function of the log-normal distribution: the probability beyond x.

        S(x) = Φ(−z); 1 where x ≤ 0

    Gradient:
        ∂S/∂x = −f(x),    ∂S/∂μ = x f(x),    ∂S/∂σ = x z f(x)

    Args:
        x: Where to look.
        mu: The mean μ of log x.
        sigma: The standard deviation σ > 0 of log x.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1.5, 0.0, 0.5):.4f}")
        0.2087

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 14; ``scipy.stats.lognorm``.
    """
    return evaluated("sf", _F.sf, x=x, mu=mu, sigma=sigma)


def logsf(x: Numbers, mu: Numbers = 0.0, sigma: Numbers = 1.0) -> Float[Array, "..."]:
    """Logarithm of the survival function of the log-normal distribution.

        log S(x) = log Φ(−z); 0 where x ≤ 0

    Gradient:
        with h = f(x)/S(x)
        ∂log S/∂x = −h,    ∂log S/∂μ = x h,    ∂log S/∂σ = x z h

    Args:
        x: Where to look.
        mu: The mean μ of log x.
        sigma: The standard deviation σ > 0 of log x.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1.5, 0.0, 0.5):.4f}")
        -1.5668

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 14; ``scipy.stats.lognorm``.
    """
    return evaluated("logsf", _F.logsf, x=x, mu=mu, sigma=sigma)


def ppf(q: Numbers, mu: Numbers = 0.0, sigma: Numbers = 1.0) -> Float[Array, "..."]:
    """Quantile function of the log-normal distribution, the inverse of ``cdf``.

        Q(q) = exp(μ + σ Φ⁻¹(q))

    Gradient:
        ∂Q/∂q = 1/f(Q),    ∂Q/∂μ = Q,    ∂Q/∂σ = Q z

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        mu: The mean μ of log x.
        sigma: The standard deviation σ > 0 of log x.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.9, 0.0, 0.5):.4f}")
        1.8980

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 14; ``scipy.stats.lognorm``.
    """
    return evaluated("ppf", _F.ppf, q=q, mu=mu, sigma=sigma)


def isf(q: Numbers, mu: Numbers = 0.0, sigma: Numbers = 1.0) -> Float[Array, "..."]:
    """Inverse survival function of the log-normal distribution: the quantile of 1 − q.

        Q(1 − q) = exp(μ − σ Φ⁻¹(q))

    Gradient:
        ∂Q/∂q = −1/f(Q),    ∂Q/∂μ = Q,    ∂Q/∂σ = Q z

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        mu: The mean μ of log x.
        sigma: The standard deviation σ > 0 of log x.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.9, 0.0, 0.5):.4f}")
        0.5269

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 14; ``scipy.stats.lognorm``.
    """
    return evaluated("isf", _F.isf, q=q, mu=mu, sigma=sigma)


def sample(
    key: PRNGKeyArray,
    mu: Numbers = 0.0,
    sigma: Numbers = 1.0,
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "..."]:
    """Samples of the log-normal distribution.

        x = exp(μ ± σ Φ⁻¹(p))

    for a fair sign and p uniform in (0, ½).

    Gradient:
        ∂x/∂μ = x,    ∂x/∂σ = x z (reparameterisation)

    Args:
        key: The random key.
        mu: The mean μ of log x.
        sigma: The standard deviation σ > 0 of log x.
        shape: The shape of the samples, to which the parameters must broadcast; theirs by default.

    Returns:
        Independent samples; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If the key is no random key, a parameter not an array of real numbers, or the
            shape no tuple of integers.
        ValueError: If the parameters do not broadcast to the shape.

    Example:
        >>> x = sample(jax.random.key(0), 0.0, 0.5, shape=(10_000,))
        >>> print(f"{x.mean():.2f}")
        1.13

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 14; ``scipy.stats.lognorm``.
    """
    return drawn("sample", key, _F.ppf, _F.isf, shape, mu=mu, sigma=sigma)


def mean(mu: Numbers = 0.0, sigma: Numbers = 1.0) -> Float[Array, "..."]:
    """Mean of the log-normal distribution.

        exp(μ + ½ σ²)

    Args:
        mu: The mean μ of log x.
        sigma: The standard deviation σ > 0 of log x.

    Returns:
        Means, in the units of x, in the common shape of the parameters; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(0.0, 0.5):.4f}")
        1.1331

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 14; ``scipy.stats.lognorm``.
    """
    return evaluated("mean", _MEAN, mu=mu, sigma=sigma)


def variance(mu: Numbers = 0.0, sigma: Numbers = 1.0) -> Float[Array, "..."]:
    """Variance of the log-normal distribution.

        (exp(σ²) − 1) exp(2μ + σ²)

    Args:
        mu: The mean μ of log x.
        sigma: The standard deviation σ > 0 of log x.

    Returns:
        Variances, in the square of the units of x, in the common shape of the parameters; nan where
        σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(0.0, 0.5):.4f}")
        0.3647

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 14; ``scipy.stats.lognorm``.
    """
    return evaluated("variance", _VARIANCE, mu=mu, sigma=sigma)


def mode(mu: Numbers = 0.0, sigma: Numbers = 1.0) -> Float[Array, "..."]:
    """Mode of the log-normal distribution, where its density is largest.

        exp(μ − σ²)

    Args:
        mu: The mean μ of log x.
        sigma: The standard deviation σ > 0 of log x.

    Returns:
        Modes, in the units of x, in the common shape of the parameters; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(0.0, 0.5):.4f}")
        0.7788

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 14; ``scipy.stats.lognorm``.
    """
    return evaluated("mode", _MODE, mu=mu, sigma=sigma)


def entropy(mu: Numbers = 0.0, sigma: Numbers = 1.0) -> Float[Array, "..."]:
    """Differential entropy of the log-normal distribution.

        μ + log σ + ½ log 2πe

    Gradient:
        ∂/∂μ = 1,    ∂/∂σ = 1/σ

    Args:
        mu: The mean μ of log x.
        sigma: The standard deviation σ > 0 of log x.

    Returns:
        Entropies, in nats, in the common shape of the parameters; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(0.0, 0.5):.4f}")
        0.7258

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 14; ``scipy.stats.lognorm``.
    """
    return evaluated("entropy", _ENTROPY, mu=mu, sigma=sigma)


def kl(mu_p: Numbers, sigma_p: Numbers, mu_q: Numbers, sigma_q: Numbers) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two log-normal distributions.

        KL = log(σ₂/σ₁) + (σ₁² + (μ₁ − μ₂)²)/(2 σ₂²) − ½

    That of the two normal distributions, since a divergence does not change when both are
    transformed alike.

    Gradient:
        as of ``normal.kl``

    Args:
        mu_p: The mean μ of log x of p.
        sigma_p: The standard deviation σ > 0 of log x of p.
        mu_q: The mean μ of log x of q.
        sigma_q: The standard deviation σ > 0 of log x of q.

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
        chapter 14; ``scipy.stats.lognorm``.
    """
    return evaluated("kl", _KL, mu_p=mu_p, sigma_p=sigma_p, mu_q=mu_q, sigma_q=sigma_q)


def fit(
    x: Float[Array, "*batch samples"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of the log-normal distribution that make the samples most likely.

        μ = Σ wᵢ log xᵢ / Σ wᵢ,    σ² = Σ wᵢ (log xᵢ − μ)² / Σ wᵢ

    Args:
        x: The samples, on the last axis, above 0.
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
        0.8959 0.6495

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 14; ``scipy.stats.lognorm``.
    """
    samples, w = _fitting.samples("fit", x, weights)
    logarithms = jnp.log(samples)
    mu = _fitting.mean(logarithms, w)
    sigma = _fitting.root(_fitting.mean((logarithms - mu) ** 2, w))
    return _fitting.of_dtype(x, mu[..., 0], sigma[..., 0])


def score(x: Numbers, mu: Numbers = 0.0, sigma: Numbers = 1.0) -> Float[Array, "... 2"]:
    """Score of the log-normal distribution: the gradient of the log-density by the parameters.

        ∂ log f/∂(μ, σ) = (z, z² − 1)/σ

    Its mean over samples is 0, its covariance the Fisher information.

    Args:
        x: Where to look.
        mu: The mean μ of log x.
        sigma: The standard deviation σ > 0 of log x.

    Returns:
        The derivatives by μ and σ on a new last axis; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(score(1.5, 0.0, 0.5))
        [ 1.6218604  -0.68478435]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 14; ``scipy.stats.lognorm``.
    """
    return stacked("score", _F.by[1:], x=x, mu=mu, sigma=sigma)


def fisher_information(mu: Numbers = 0.0, sigma: Numbers = 1.0) -> Float[Array, "... 2 2"]:
    """Fisher information of the log-normal distribution: the covariance of the score.

        I = diag(1, 2)/σ²

    Args:
        mu: The mean μ of log x.
        sigma: The standard deviation σ > 0 of log x.

    Returns:
        Matrices on two new last axes, of μ and σ; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(0.0, 0.5))
        [[4. 0.]
         [0. 8.]]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        chapter 14; ``scipy.stats.lognorm``.
    """
    return information("fisher_information", _information, _known, mu=mu, sigma=sigma)
