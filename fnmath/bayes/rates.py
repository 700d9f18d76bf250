"""Conjugate beliefs about rates, which are updated by counts and by waiting times.

Notation: θ is what is believed about, x₁ … xₙ are observations, independent given θ; a, b are the
shape and the rate of the prior. Γ is the gamma function, (a)ₙ = Γ(a + n)/Γ(a).

    gamma_poisson        θ ~ Gamma(a, rate b), x ~ Poisson(θ)
    gamma_exponential    θ ~ Gamma(a, rate b), x ~ Exponential(rate θ)

Each has three functions, as the families of ``fnmath.bayes.counts``, with the same words on what
has no meaning and on what cannot be observed.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from fnmath import _checks
from fnmath.bayes._arguments import (
    as_given,
    log_observed,
    numbers,
    positive,
    scalars,
    whole,
)
from fnmath.bayes._log_rises import (
    deviance,
    log_gamma_ratio,
    rate_deviance,
    rise_rest,
)
from fnmath.numerics._stirling import log_factorial_rest


class GammaParams(NamedTuple):
    """The shape a > 0 and the rate b > 0 of a gamma density: a count, and how long it took."""

    shape: Float[Array, "*batch"]
    rate: Float[Array, "*batch"]


def gamma_poisson_posterior(prior: GammaParams, x: Real[Array, "*batch n"]) -> GammaParams:
    """Posterior of the rate of what is counted.

        a′ = a + Σᵢ xᵢ,    b′ = b + n

    Gradient:
        ∂a′/∂a = ∂b′/∂b = 1

    Args:
        prior: The shape and the rate of the prior.
        x: The counts, each of one unit of time; of none the posterior is the prior.

    Returns:
        The parameters of the posterior; nan where a count cannot be, or the prior is none.

    Raises:
        TypeError: If the prior is none, or x holds no numbers.
        ValueError: If the shapes do not fit.

    Example:
        >>> prior = GammaParams(jnp.array(2.0), jnp.array(1.0))
        >>> print(*gamma_poisson_posterior(prior, jnp.array([3, 5, 2])))
        12.0 4.0

    Source:
        Gelman and others, Bayesian Data Analysis (2013), §2.6.
    """
    name = "gamma_poisson_posterior"
    a, b = scalars(name, prior, GammaParams, "prior")
    counts = jax.lax.stop_gradient(numbers(name, "x", x, a.shape))
    known = positive(a, b) & whole(counts).all(-1)
    after = (jnp.where(known, p, jnp.nan) for p in (a + counts.sum(-1), b + counts.shape[-1]))
    return as_given(prior, after)


def _gamma_poisson(a: jax.Array, b: jax.Array, x: jax.Array) -> jax.Array:
    """The log-probability of all counts on the last axis."""
    valid, missing = whole(x), jnp.isnan(x).any(-1)
    x = jnp.where(valid, x, 0)
    a, b = (jnp.where(positive(a, b), p, jnp.nan) for p in (a, b))
    total = x.sum(-1)
    m = (a + total) / (b + x.shape[-1])
    each = deviance(x, m[..., None]) + log_factorial_rest(x)
    length = jnp.asarray(float(x.shape[-1]), a.dtype)
    log_p = rise_rest(a, total) - rate_deviance(a, b, total, length) - each.sum(-1)
    return log_observed(valid.all(-1), log_p, missing | jnp.isnan(a))


def gamma_poisson_predictive(
    params: GammaParams, x: Real[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    """Log-probability, in nats, of a next count: the negative binomial distribution.

        log p(x) = log (a)ₓ − log x! + a log(b/(b + 1)) − x log(b + 1)

    Gradient:
        ∂/∂a = ψ(a + x) − ψ(a) + log(b/(b + 1)),    ∂/∂b = (a/b − x)/(b + 1)

    Args:
        params: The parameters of the prior, or of a posterior.
        x: The counts, each by itself.

    Returns:
        One log-probability per count; −∞ for what is no count.

    Raises:
        TypeError: If ``params`` are none, or x holds no numbers.
        ValueError: If the shapes do not fit.

    Example:
        >>> params = GammaParams(jnp.array(1.0), jnp.array(1.0))
        >>> print(jnp.exp(gamma_poisson_predictive(params, jnp.array([0, 1, 2]))).round(4))
        [0.5   0.25  0.125]

    Source:
        Gelman and others, Bayesian Data Analysis (2013), §2.6; ``scipy.stats.nbinom``.
    """
    name = "gamma_poisson_predictive"
    a, b = scalars(name, params, GammaParams, "params")
    counts = jax.lax.stop_gradient(numbers(name, "x", x, a.shape))
    log_p = _gamma_poisson(a[..., None], b[..., None], counts[..., None])
    return log_p.astype(jnp.result_type(params.shape))


def gamma_poisson_log_evidence(
    prior: GammaParams, x: Real[Array, "*batch n"]
) -> Float[Array, "*batch"]:
    """Logarithm of the probability of counts, in nats, their rate unknown.

        log p(x₁ … xₙ) = log (a)ₛ − Σᵢ log xᵢ! + a log(b/(b + n)) − s log(b + n),    s = Σᵢ xᵢ

    Gradient:
        ∂/∂a = ψ(a + s) − ψ(a) + log(b/(b + n)),    ∂/∂b = (n a/b − s)/(b + n)

    Args:
        prior: The shape and the rate of the prior.
        x: The counts.

    Returns:
        One number per sequence, 0 of no counts; −∞ where a count cannot be.

    Raises:
        TypeError: If the prior is none, or x holds no numbers.
        ValueError: If the shapes do not fit.

    Example:
        >>> prior = GammaParams(jnp.array(1.0), jnp.array(1.0))
        >>> print(f"{jnp.exp(gamma_poisson_log_evidence(prior, jnp.array([0, 1]))):.4f}")  # 1/3²
        0.1111

    Source:
        Gelman and others, Bayesian Data Analysis (2013), §2.6.
    """
    name = "gamma_poisson_log_evidence"
    a, b = scalars(name, prior, GammaParams, "prior")
    counts = jax.lax.stop_gradient(numbers(name, "x", x, a.shape))
    return _gamma_poisson(a, b, counts).astype(jnp.result_type(prior.shape))


def gamma_exponential_posterior(prior: GammaParams, x: Float[Array, "*batch n"]) -> GammaParams:
    """Posterior of the rate of events, from the times between them.

        a′ = a + n,    b′ = b + Σᵢ xᵢ

    Gradient:
        ∂a′/∂a = ∂b′/∂b = ∂b′/∂xᵢ = 1

    Args:
        prior: The shape and the rate of the prior.
        x: The times, at least 0; of none the posterior is the prior.

    Returns:
        The parameters of the posterior; nan where a time is negative, or the prior is none.

    Raises:
        TypeError: If the prior is none, or x not floating-point.
        ValueError: If the shapes do not fit.

    Example:
        >>> prior = GammaParams(jnp.array(2.0), jnp.array(1.0))
        >>> print(*gamma_exponential_posterior(prior, jnp.array([0.5, 1.5])))
        4.0 3.0

    Source:
        Gelman and others, Bayesian Data Analysis (2013), §2.6.
    """
    name = "gamma_exponential_posterior"
    a, b = scalars(name, prior, GammaParams, "prior")
    _checks.floating(name, x=x)
    times = numbers(name, "x", x, a.shape)
    known = positive(a, b) & (times >= 0).all(-1)
    after = (jnp.where(known, p, jnp.nan) for p in (a + times.shape[-1], b + times.sum(-1)))
    return as_given(prior, after)


def _gamma_exponential(a: jax.Array, b: jax.Array, x: jax.Array) -> jax.Array:
    """The log-density of all times on the last axis."""
    valid, missing = (x >= 0).all(-1), jnp.isnan(x).any(-1)
    a, b = (jnp.where(positive(a, b), p, jnp.nan) for p in (a, b))
    n, total = x.shape[-1], jnp.where(valid[..., None], x, 0).sum(-1)
    log_p = log_gamma_ratio(a, b, jnp.asarray(float(n), a.dtype), total)
    return log_observed(valid, log_p, missing | jnp.isnan(a))


def gamma_exponential_predictive(
    params: GammaParams, x: Float[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    """Log-density, in nats, of a next time: Lomax's distribution.

        log p(x) = log(a/b) − (a + 1) log(1 + x/b)

    Gradient:
        ∂/∂x = −(a + 1)/(b + x),    ∂/∂a = 1/a − log(1 + x/b),    ∂/∂b = (a x/b − 1)/(b + x)

    Args:
        params: The parameters of the prior, or of a posterior.
        x: The times, each by itself.

    Returns:
        One log-density per time; −∞ for a negative one.

    Raises:
        TypeError: If ``params`` are none, or x not floating-point.
        ValueError: If the shapes do not fit.

    Example:
        >>> params = GammaParams(jnp.array(1.0), jnp.array(1.0))
        >>> print(jnp.exp(gamma_exponential_predictive(params, jnp.array([0.0, 1.0]))))
        [1.   0.25]

    Source:
        Gelman and others, Bayesian Data Analysis (2013), §2.6; ``scipy.stats.lomax``.
    """
    name = "gamma_exponential_predictive"
    a, b = scalars(name, params, GammaParams, "params")
    _checks.floating(name, x=x)
    times = numbers(name, "x", x, a.shape)
    a, b = (jnp.where(positive(a, b), p, jnp.nan)[..., None] for p in (a, b))
    log_p = jnp.log(a / b) - (a + 1) * jnp.log1p(jnp.where(times < 0, 0, times) / b)
    log_p = log_observed(times >= 0, log_p, jnp.isnan(times + a))
    return log_p.astype(jnp.result_type(params.shape))


def gamma_exponential_log_evidence(
    prior: GammaParams, x: Float[Array, "*batch n"]
) -> Float[Array, "*batch"]:
    """Logarithm of the density of times, in nats, their rate unknown.

        log p(x₁ … xₙ) = log (a)ₙ − a log(1 + s/b) − n log(b + s),    s = Σᵢ xᵢ

    Gradient:
        ∂/∂xᵢ = −(a + n)/(b + s),    ∂/∂a = ψ(a + n) − ψ(a) − log(1 + s/b)
        ∂/∂b = (a s/b − n)/(b + s)

    Args:
        prior: The shape and the rate of the prior.
        x: The times, at least 0.

    Returns:
        One number per sequence, 0 of no times; −∞ where a time is negative.

    Raises:
        TypeError: If the prior is none, or x not floating-point.
        ValueError: If the shapes do not fit.

    Example:
        >>> prior = GammaParams(jnp.array(1.0), jnp.array(1.0))
        >>> print(f"{jnp.exp(gamma_exponential_log_evidence(prior, jnp.array([1.0, 0.0]))):.4f}")
        0.2500

    Source:
        Gelman and others, Bayesian Data Analysis (2013), §2.6.
    """
    name = "gamma_exponential_log_evidence"
    a, b = scalars(name, prior, GammaParams, "prior")
    _checks.floating(name, x=x)
    times = numbers(name, "x", x, a.shape)
    return _gamma_exponential(a, b, times).astype(jnp.result_type(prior.shape))
