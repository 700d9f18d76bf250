"""Losses between normal distributions, and between one and what it foretold.

Each returns one number per coordinate. Independent coordinates add up: the divergence between
diagonal normals is the sum over the last axis.

Notation: μ is a mean, σ a standard deviation, λ = log σ² a log-variance; p and q are two normals; t
is a target and z = (t − μ)/σ; φ is the standard normal density, Φ its cumulative distribution and
R(b) = Φ(−b)/φ(b) Mills' ratio.

    kl_standard_normal    ½ (μ² + exp λ − 1 − λ)
    kl_normal             log(σ_q/σ_p) + ½ (σ_p² + (μ_p − μ_q)²)/σ_q² − ½
    crps_normal           σ (z (2Φ(z) − 1) + 2φ(z) − 1/√π)

Each is 0, or least, where the two agree, and is a difference there. All are written as sums of
terms that are at least 0.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.activations.gated import _mills_ratio, _times_density
from fnmath.losses._pairs import quotient
from fnmath.losses.likelihoods import _check_parameter, _loss
from fnmath.numerics import with_derivatives
from fnmath.numerics._series import above_tangent, expm1
from fnmath.numerics._stirling import lag
from fnmath.numerics._wide import computed_wide

_ROOT_LOG_2 = math.sqrt(math.log(2))
_PEAK = math.sqrt(2 / math.pi)  # 2φ(0)


def _positive(x: jax.Array) -> jax.Array:
    """The parameter, nan where it is not above 0, and so is what is differentiated there."""
    return x * jnp.where(x > 0, 1, jnp.nan)


@with_derivatives(lambda mu, log_s: mu, lambda mu, log_s: 0.5 * expm1(log_s))
def _kl_standard(mu: jax.Array, log_s: jax.Array) -> jax.Array:
    excess = jnp.where(log_s == jnp.inf, jnp.inf, above_tangent(-log_s))
    return (0.5 * mu) * mu + 0.5 * excess


def kl_standard_normal(
    mean: Float[Array, "*batch"], log_variance: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Kullback–Leibler divergence, in nats, of a normal from the standard normal.

        KL(N(μ, exp λ) ‖ N(0, 1)) = ½ (μ² + exp λ − 1 − λ)

    What the evidence lower bound of a variational autoencoder charges for each latent coordinate.
    The exponential less its tangent, exp λ − 1 − λ, is summed as a series near λ = 0.

    Gradient:
        ∂/∂μ = μ,    ∂/∂λ = ½ (exp λ − 1)

    Args:
        mean: The means μ.
        log_variance: The logarithms λ of the variances, in nats, of the same shape.

    Returns:
        One divergence per coordinate, in nats; sum them over the last axis for a latent vector.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ.

    Example:
        >>> kl = kl_standard_normal(jnp.array([1.0, 0.0]), jnp.array([0.0, 1e-4]))
        >>> print(f"{kl[0]} {kl[1]:.4g}")  # ½, and ¼ λ²
        0.5 2.5e-09

    Source:
        Kingma and Welling, Auto-encoding variational Bayes (2014), appendix B.
    """
    _checks.floating("kl_standard_normal", mean=mean, log_variance=log_variance)
    _checks.same_shape("kl_standard_normal", mean=mean, log_variance=log_variance)
    return computed_wide(_kl_standard, mean, log_variance)


def _excess(s_p: jax.Array, s_q: jax.Array) -> jax.Array:
    """σ_p²/σ_q² − 1."""
    return ((s_p - s_q) / s_q) * ((s_p + s_q) / s_q)


@with_derivatives(
    lambda d, s_p, s_q: d / s_q / s_q,
    lambda d, s_p, s_q: _excess(s_p, s_q) / s_p,
    lambda d, s_p, s_q: -(_excess(s_p, s_q) + jnp.square(d / s_q)) / s_q,
)
def _kl(d: jax.Array, s_p: jax.Array, s_q: jax.Array) -> jax.Array:
    ratio = s_p / s_q
    in_range = (ratio > jnp.finfo(ratio.dtype).tiny) & (ratio < jnp.inf)
    log_ratio = jnp.where(in_range, jnp.log(ratio), jnp.log(s_p) - jnp.log(s_q))
    return 0.5 * (lag(_excess(s_p, s_q), 2 * log_ratio) + jnp.square(d / s_q))


def kl_normal(
    mean_p: Float[Array, "*batch"],
    std_p: float | Float[Array, "..."],
    mean_q: float | Float[Array, "..."],
    std_q: float | Float[Array, "..."],
) -> Float[Array, "*batch"]:
    """Kullback–Leibler divergence, in nats, of a normal p from a normal q.

        KL(p ‖ q) = ½ (v − log(1 + v) + d²),    v = σ_p²/σ_q² − 1,    d = (μ_p − μ_q)/σ_q

    where v is formed as (σ_p − σ_q)(σ_p + σ_q)/σ_q², and the logarithm taken from it by a series
    where the two are close, so that the divergence of nearly equal normals keeps its digits.

    Gradient:
        ∂/∂μ_p = d/σ_q = −∂/∂μ_q,    ∂/∂σ_p = v/σ_p,    ∂/∂σ_q = −(v + d²)/σ_q

    Args:
        mean_p: The means of p, those of the approximation in an evidence lower bound.
        std_p: The standard deviations of p, above 0 (nan is returned where one is not); this, and
            the two that follow, may be a number or an array that broadcasts to ``mean_p``.
        mean_q: The means of q, the prior.
        std_q: The standard deviations of q, above 0.

    Returns:
        One divergence per coordinate, in nats; sum them over the last axis for diagonal normals.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If a standard deviation is a number not above 0, or a shape does not broadcast.

    Example:
        >>> print(kl_normal(jnp.array([0.0, 3.0]), 1.0, 0.0, jnp.array([1.0, 1.0])))
        [0.  4.5]

    Source:
        Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), appendix A.5,
        equation (A.23).
    """
    name = "kl_normal"
    _checks.floating(name, mean_p=mean_p)
    _check_parameter(name, "std_p", std_p, mean_p, above=0, name="mean_p")
    _check_parameter(name, "mean_q", mean_q, mean_p, name="mean_p")
    _check_parameter(name, "std_q", std_q, mean_p, above=0, name="mean_p")

    def divergence(m_p: Array, s_p: Array, m_q: Array, s_q: Array) -> Array:
        return _kl(m_p - m_q, _positive(s_p), _positive(s_q))

    return _loss(divergence, mean_p, std_p, mean_q, std_q)


def _crps_cross(r: jax.Array, sigma: jax.Array) -> jax.Array:
    z = jnp.clip(r / sigma, -64, 64)
    return _times_density(-2 * z / sigma, z)


def _crps_bend(r: jax.Array, sigma: jax.Array) -> jax.Array:
    return _times_density(2 / sigma, jnp.clip(r / sigma, -64, 64))


@with_derivatives(_crps_bend, _crps_cross)
def _crps_by_mean(r: jax.Array, sigma: jax.Array) -> jax.Array:
    return erf(r / sigma * math.sqrt(0.5))


def _crps_by_std_slope(r: jax.Array, sigma: jax.Array) -> jax.Array:
    z = jnp.clip(r / sigma, -64, 64)
    return _times_density(2 * z * z / sigma, z)


@with_derivatives(_crps_cross, _crps_by_std_slope)
def _crps_by_std(r: jax.Array, sigma: jax.Array) -> jax.Array:
    """The slope 2φ(z) − 1/√π as (exp(½ (log 2 − z²)) − 1)/√π."""
    near = jnp.minimum(jnp.abs(r), 64 * sigma)
    b, b_tail = quotient(jnp.where(jnp.isnan(r), r, near), sigma)
    root = jnp.asarray(_ROOT_LOG_2, r.dtype)
    root_tail = jnp.asarray(_ROOT_LOG_2 - float(np.asarray(_ROOT_LOG_2, r.dtype)), r.dtype)
    exponent = 0.5 * ((root - b) + (root_tail - b_tail)) * (root + b)
    return expm1(exponent) / math.sqrt(math.pi)


@with_derivatives(_crps_by_mean, _crps_by_std)
def _crps(r: jax.Array, sigma: jax.Array) -> jax.Array:
    b = jnp.abs(r / sigma)
    is_near = b < 1
    near, far = jnp.where(is_near, b, 0), jnp.clip(b, 1, 40)
    rise = near * erf(near * math.sqrt(0.5)) + _PEAK * expm1(-0.5 * near * near)
    beyond = _times_density(1 - far * _mills_ratio(far), far)
    line = jnp.abs(r) - sigma * (math.sqrt(1 / math.pi) - 2 * beyond)
    return jnp.where(is_near, sigma * (rise + (_PEAK - math.sqrt(1 / math.pi))), line)


def crps_normal(
    mean: Float[Array, "*batch"],
    std: float | Float[Array, "..."],
    targets: Float[Array, "*batch"],
) -> Float[Array, "*batch"]:
    """Continuous ranked probability score of a normal forecast, in the units of the target.

        ℓ(μ, σ, t) = ∫ (F(x) − [x ≥ t])² dx = σ (z (2Φ(z) − 1) + 2φ(z) − 1/√π)

    with F the forecast's cumulative distribution. It rewards sharpness and calibration at once, as
    a likelihood does, and is gentler to surprises: far from the target it grows as |μ − t|. That is
    also how it is computed there, |μ − t| − σ (1/√π − 2φ(z) (1 − |z| R(|z|))), and for |z| < 1 with
    both 2φ(z) and its value at 0 taken together, as √(2/π) (exp(−½z²) − 1).

    Gradient:
        ∂ℓ/∂μ = 2Φ(−z) − 1 = −erf(z/√2) = −∂ℓ/∂t,    ∂ℓ/∂σ = 2φ(z) − 1/√π

    Args:
        mean: The means μ of the forecasts.
        std: Their standard deviations σ > 0; an array must broadcast to the shape of the means, and
            gives nan where it is not above 0.
        targets: What came, t, of the shape of the means.

    Returns:
        One score per entry, in the units of t; the smaller the better.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ, or σ is a number not above 0 or does not broadcast.

    Example:
        >>> score = crps_normal(jnp.array([0.0, 0.0]), 1.0, jnp.array([0.0, 100.0]))
        >>> print(f"{score[0]:.4f} {score[1]:.4f}")  # (√2 − 1)/√π, and 100 − 1/√π
        0.2337 99.4358

    Source:
        Gneiting and Raftery, Strictly proper scoring rules, prediction, and estimation (2007),
        §4.2, equation (21).
    """
    _checks.floating("crps_normal", mean=mean, targets=targets)
    _checks.same_shape("crps_normal", mean=mean, targets=targets)
    _check_parameter("crps_normal", "std", std, mean, above=0, name="mean")
    return _loss(lambda m, t, s: _crps(m - t, _positive(s)), mean, targets, std)
