"""Conjugate beliefs about the mean and the variance of normal observations.

Notation: x₁ … xₙ are observations, x̄ their mean, S = Σᵢ (xᵢ − x̄)² (or, of vectors, Σᵢ (xᵢ − x̄)
(xᵢ − x̄)ᵀ), δ = x̄ − m how far they lie from the prior's mean m; μ and σ² (or Σ) are the mean and the
variance that are believed about, κ counts the observations that the prior's mean is worth.

    normal                    μ ~ N(m, v), σ² known
    normal_inverse_gamma      μ ~ N(m, σ²/κ), σ² ~ InverseGamma(a, b)
    normal_inverse_wishart    μ ~ N(m, Σ/κ), Σ ~ InverseWishart(ν, Ψ), of vectors of d features

Each has three functions, as the families of ``fnmath.bayes.counts``: ``…_posterior``,
``…_predictive`` (the log-density of each observation by itself) and ``…_log_evidence`` (of all
together), in nats. Deviations are taken from the observations' own mean, in two passes, so that no
square is subtracted from another.

Parameters outside of their domain give nan.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.bayes._arguments import as_given, numbers, positive, rows, scalars, vectors
from fnmath.bayes._log_rises import log_gamma_ratio, log_rise
from fnmath.linear_algebra._spectral import symmetric
from fnmath.linear_algebra.products import transpose
from fnmath.numerics._stirling import student_constant

LOG_2_PI = math.log(2 * math.pi)


class NormalParams(NamedTuple):
    """The mean m and the variance v > 0 of a belief about a mean."""

    mean: Float[Array, "*batch"]
    variance: Float[Array, "*batch"]


class NormalInverseGammaParams(NamedTuple):
    """The mean m, its worth in observations κ > 0, and the shape a > 0 and scale b > 0 of σ²."""

    mean: Float[Array, "*batch"]
    observations: Float[Array, "*batch"]
    shape: Float[Array, "*batch"]
    scale: Float[Array, "*batch"]


class NormalInverseWishartParams(NamedTuple):
    """The mean m, its worth κ > 0, and the degrees ν > d − 1 and scale matrix Ψ of Σ."""

    mean: Float[Array, "*batch features"]
    observations: Float[Array, "*batch"]
    degrees: Float[Array, "*batch"]
    scale: Float[Array, "*batch features features"]


def _deviations(d: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """The mean and what is left of each, in two passes; 0 of no numbers."""
    n = max(d.shape[axis], 1)
    pilot = jax.lax.stop_gradient(d.sum(axis, keepdims=True) / n)
    rest = d - jnp.where(jnp.isfinite(pilot), pilot, 0)
    correction = rest.sum(axis, keepdims=True) / n
    mean = jnp.where(jnp.isfinite(pilot), pilot, 0) + correction
    return jnp.squeeze(mean, axis), rest - correction


def _known_variance(function: str, variance: Any, like: jax.Array) -> jax.Array:
    """The variance of each observation; nan where it is not above 0."""
    _checks.number(function, "variance", variance, above=0)
    _checks.broadcasts_to(function, "variance", variance, "mean", like)
    v = jnp.asarray(variance, like.dtype)
    return jnp.where(v > 0, v, jnp.nan)


def _normal(
    function: str, params: Any, x: Any, variance: Any, argument: str
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The parameters, nan where they are none, the variance and the observations."""
    m, v = scalars(function, params, NormalParams, argument)
    _checks.floating(function, x=x)
    observed = numbers(function, "x", x, m.shape)
    s = _known_variance(function, variance, m)
    return m, jnp.where(v > 0, v, jnp.nan), s, observed


def normal_posterior(
    prior: NormalParams,
    x: Float[Array, "*batch n"],
    *,
    variance: float | Float[Array, "..."],
) -> NormalParams:
    """Posterior of a mean, from normal observations of known variance.

        v′ = v σ²/(σ² + n v),    m′ = m + n v δ/(σ² + n v)

    Gradient:
        ∂m′/∂xᵢ = v/(σ² + n v),    ∂m′/∂m = σ²/(σ² + n v)

    Args:
        prior: The mean and the variance of the prior.
        x: The observations; of none the posterior is the prior.
        variance: The variance σ² > 0 of one observation about its mean, which broadcasts to the
            prior's mean.

    Returns:
        The parameters of the posterior.

    Raises:
        TypeError: If the prior is none, or an array is not floating-point.
        ValueError: If the shapes do not fit, or the variance is a number not above 0.

    Example:
        >>> prior = NormalParams(jnp.array(0.0), jnp.array(4.0))
        >>> print(*normal_posterior(prior, jnp.array([1.0, 2.0, 3.0]), variance=4.0))
        1.5 1.0

    Source:
        Gelman and others, Bayesian Data Analysis (2013), §2.5.
    """
    m, v, s, observed = _normal("normal_posterior", prior, x, variance, "prior")
    n = observed.shape[-1]
    share = v / (s + n * v)
    off = jnp.sum(observed - m[..., None], -1)
    return as_given(prior, (m + share * off, share * s if n else v + 0 * s))


def normal_predictive(
    params: NormalParams,
    x: Float[Array, "*batch n"],
    *,
    variance: float | Float[Array, "..."],
) -> Float[Array, "*batch n"]:
    """Log-density, in nats, of a next observation, its mean not known surely.

        log p(x) = −½ (log 2π(v + σ²) + (x − m)²/(v + σ²))

    Gradient:
        ∂/∂x = (m − x)/(v + σ²)

    Args:
        params: The parameters of the prior, or of a posterior.
        x: The observations, each by itself.
        variance: The variance σ² > 0 of one observation about its mean.

    Returns:
        One log-density per observation.

    Raises:
        TypeError: If ``params`` are none, or an array is not floating-point.
        ValueError: If the shapes do not fit, or the variance is a number not above 0.

    Example:
        >>> params = NormalParams(jnp.array(1.5), jnp.array(1.0))
        >>> print(f"{normal_predictive(params, jnp.array([1.5]), variance=4.0)[0]:.4f}")
        -1.7237

    Source:
        Gelman and others, Bayesian Data Analysis (2013), §2.5.
    """
    m, v, s, observed = _normal("normal_predictive", params, x, variance, "params")
    spread = (v + s)[..., None]
    log_p = -0.5 * (LOG_2_PI + jnp.log(spread) + jnp.square(observed - m[..., None]) / spread)
    return log_p.astype(jnp.result_type(params.mean, x))


def normal_log_evidence(
    prior: NormalParams,
    x: Float[Array, "*batch n"],
    *,
    variance: float | Float[Array, "..."],
) -> Float[Array, "*batch"]:
    """Logarithm of the density of normal observations of known variance, in nats.

        log p(x₁ … xₙ) = −½ (n log 2πσ² + log(1 + n v/σ²) + S/σ² + n δ²/(σ² + n v))

    Gradient:
        ∂/∂xᵢ = (x̄ − xᵢ)/σ² − δ/(σ² + n v),    ∂/∂m = n δ/(σ² + n v)

    Args:
        prior: The mean and the variance of the prior.
        x: The observations.
        variance: The variance σ² > 0 of one observation about its mean.

    Returns:
        One number per sample, 0 of no observations.

    Raises:
        TypeError: If the prior is none, or an array is not floating-point.
        ValueError: If the shapes do not fit, or the variance is a number not above 0.

    Example:
        >>> prior = NormalParams(jnp.array(0.0), jnp.array(4.0))
        >>> print(f"{normal_log_evidence(prior, jnp.array([1.0, 2.0, 3.0]), variance=4.0):.4f}")
        -6.1544

    Source:
        Murphy, Conjugate Bayesian analysis of the Gaussian distribution (2007), §2.5.
    """
    m, v, s, observed = _normal("normal_log_evidence", prior, x, variance, "prior")
    n = observed.shape[-1]
    delta, rest = _deviations(observed - m[..., None], -1)
    spread = jnp.sum(jnp.square(rest), -1) / s + n * jnp.square(delta) / (s + n * v)
    log_p = -0.5 * (n * (LOG_2_PI + jnp.log(s)) + jnp.log1p(n * v / s) + spread)
    return log_p.astype(jnp.result_type(prior.mean, x))


def _normal_inverse_gamma(
    function: str, params: Any, x: Any, argument: str
) -> tuple[jax.Array, ...]:
    """The parameters, nan where they are none, and the observations."""
    m, *others = scalars(function, params, NormalInverseGammaParams, argument)
    _checks.floating(function, x=x)
    observed = numbers(function, "x", x, m.shape)
    known = positive(*others)
    return m, *(jnp.where(known, p, jnp.nan) for p in others), observed


def normal_inverse_gamma_posterior(
    prior: NormalInverseGammaParams, x: Float[Array, "*batch n"]
) -> NormalInverseGammaParams:
    """Posterior of the mean and the variance of normal observations.

        κ′ = κ + n,    m′ = m + n δ/κ′,    a′ = a + n/2,    b′ = b + ½ (S + κ n δ²/κ′)

    Gradient:
        ∂m′/∂xᵢ = 1/κ′,    ∂b′/∂xᵢ = xᵢ − x̄ + κ δ/κ′

    Args:
        prior: The parameters of the prior.
        x: The observations; of none the posterior is the prior.

    Returns:
        The parameters of the posterior; nan where the prior is none.

    Raises:
        TypeError: If the prior is none, or x not floating-point.
        ValueError: If the shapes do not fit.

    Example:
        >>> prior = NormalInverseGammaParams(*jnp.array([0.0, 1.0, 1.0, 1.0]))
        >>> print(*normal_inverse_gamma_posterior(prior, jnp.array([1.0, 2.0, 3.0])))
        1.5 4.0 2.5 3.5

    Source:
        Murphy, Conjugate Bayesian analysis of the Gaussian distribution (2007), §6.3.
    """
    name = "normal_inverse_gamma_posterior"
    m, k, a, b, observed = _normal_inverse_gamma(name, prior, x, "prior")
    n = observed.shape[-1]
    delta, rest = _deviations(observed - m[..., None], -1)
    spread = jnp.sum(jnp.square(rest), -1) + k * (n * jnp.square(delta) / (k + n))
    after = m + n * delta / (k + n), k + n, a + n / 2, b + 0.5 * spread
    return as_given(prior, after)


def normal_inverse_gamma_predictive(
    params: NormalInverseGammaParams, x: Float[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    """Log-density, in nats, of a next observation: Student's of 2a degrees of freedom.

        log p(x) = log Γ(a + ½)/Γ(a) − ½ log(2πb(κ + 1)/κ) − (a + ½) log(1 + κ(x − m)²/(2b(κ + 1)))

    Gradient:
        ∂/∂x = −(2a + 1) r/(2b(κ + 1)/κ + r²),    r = x − m

    Args:
        params: The parameters of the prior, or of a posterior.
        x: The observations, each by itself.

    Returns:
        One log-density per observation.

    Raises:
        TypeError: If ``params`` are none, or x not floating-point.
        ValueError: If the shapes do not fit.

    Example:
        >>> params = NormalInverseGammaParams(*jnp.array([0.0, 1.0, 0.5, 0.25]))  # Cauchy's density
        >>> print(f"{normal_inverse_gamma_predictive(params, jnp.array([0.0]))[0]:.4f}")  # −log π
        -1.1447

    Source:
        Murphy, Conjugate Bayesian analysis of the Gaussian distribution (2007), §6.5;
        ``scipy.stats.t``.
    """
    name = "normal_inverse_gamma_predictive"
    *params_of, observed = _normal_inverse_gamma(name, params, x, "params")
    m, k, a, b = (p[..., None] for p in params_of)
    log_p = _student(a, observed - m, b / a * ((k + 1) / k))
    return log_p.astype(jnp.result_type(params.mean, x))


def _student(a: jax.Array, r: jax.Array, square: jax.Array) -> jax.Array:
    """Student's log-density of 2a degrees of freedom at r, in units of the root of the square."""
    z = r / jnp.sqrt(square)
    far = (a + 0.5) * jnp.log1p(z * z / (2 * a))
    return -student_constant(a) - 0.5 * jnp.log(square) - far


def normal_inverse_gamma_log_evidence(
    prior: NormalInverseGammaParams, x: Float[Array, "*batch n"]
) -> Float[Array, "*batch"]:
    """Logarithm of the density of normal observations, in nats, their mean and variance unknown.

        log p(x₁ … xₙ) = log Γ(a + n/2)/Γ(a) + a log b − a′ log b′ + ½ log(κ/κ′) − n/2 log 2π

    Gradient:
        ∂/∂xᵢ = −a′/b′ (xᵢ − x̄ + κ δ/κ′)

    Args:
        prior: The parameters of the prior.
        x: The observations.

    Returns:
        One number per sample, 0 of no observations.

    Raises:
        TypeError: If the prior is none, or x not floating-point.
        ValueError: If the shapes do not fit.

    Example:
        >>> prior = NormalInverseGammaParams(*jnp.array([0.0, 1.0, 0.5, 0.25]))
        >>> print(f"{normal_inverse_gamma_log_evidence(prior, jnp.array([0.0])):.4f}")  # −log π
        -1.1447

    Source:
        Murphy, Conjugate Bayesian analysis of the Gaussian distribution (2007), §6.4.
    """
    name = "normal_inverse_gamma_log_evidence"
    m, k, a, b, observed = _normal_inverse_gamma(name, prior, x, "prior")
    n = observed.shape[-1]
    delta, rest = _deviations(observed - m[..., None], -1)
    spread = jnp.sum(jnp.square(rest), -1) + k * (n * jnp.square(delta) / (k + n))
    ratio = log_gamma_ratio(a, b, jnp.asarray(n / 2, a.dtype), 0.5 * spread)
    log_p = ratio - 0.5 * (jnp.log1p(n / k) + n * LOG_2_PI)
    return log_p.astype(jnp.result_type(prior.mean, x))


def _normal_inverse_wishart(
    function: str, params: Any, x: Any, argument: str
) -> tuple[jax.Array, ...]:
    """The parameters, nan where they are none, and the observations."""
    kind, axes = NormalInverseWishartParams, {"observations": 0, "degrees": 0, "scale": 2}
    m, k, nu, psi = vectors(function, params, kind, argument, **axes)
    observed = rows(function, x, m.shape)
    known = (k > 0) & (nu > m.shape[-1] - 1)
    k, nu = (jnp.where(known, p, jnp.nan) for p in (k, nu))
    return m, k, nu, symmetric(psi), observed


def _scatter(m: jax.Array, k: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How far the observations' mean lies from m, and the matrix S + κ n δ δᵀ/(κ + n)."""
    n = x.shape[-2]
    delta, rest = _deviations(x - m[..., None, :], -2)
    weight = (k * (n / (k + n)))[..., None, None]
    S = jnp.matmul(transpose(rest), rest, precision="highest")
    return delta, S + weight * (delta[..., :, None] * delta[..., None, :])


def normal_inverse_wishart_posterior(
    prior: NormalInverseWishartParams, x: Float[Array, "*batch n features"]
) -> NormalInverseWishartParams:
    """Posterior of the mean and the covariance of normal vectors.

        κ′ = κ + n,    m′ = m + n δ/κ′,    ν′ = ν + n,    Ψ′ = Ψ + S + κ n δ δᵀ/κ′

    There may be fewer observations than features: Ψ makes up for them.

    Gradient:
        ∂m′/∂xᵢ = I/κ′

    Args:
        prior: The parameters of the prior.
        x: The observations; of none the posterior is the prior.

    Returns:
        The parameters of the posterior; nan where the prior is none.

    Raises:
        TypeError: If the prior is none, or x not floating-point.
        ValueError: If the shapes do not fit.

    Example:
        >>> one = jnp.array(1.0)
        >>> prior = NormalInverseWishartParams(jnp.zeros(2), one, 3 * one, jnp.eye(2))
        >>> after = normal_inverse_wishart_posterior(prior, jnp.array([[2.0, 0.0], [2.0, 2.0]]))
        >>> print(after.mean.round(4), after.degrees)
        [1.3333 0.6667] 5.0

    Source:
        Gelman and others, Bayesian Data Analysis (2013), §3.6.
    """
    name = "normal_inverse_wishart_posterior"
    m, k, nu, psi, observed = _normal_inverse_wishart(name, prior, x, "prior")
    n = observed.shape[-2]
    known = jnp.isfinite(_factor(psi)[..., 0, 0])
    k, nu = (jnp.where(known, p, jnp.nan) for p in (k, nu))
    delta, scatter = _scatter(m, k, observed)
    after = m + (n / (k + n))[..., None] * delta, k + n, nu + n, psi + scatter
    return as_given(prior, after)


def _factor(S: jax.Array) -> jax.Array:
    """The Cholesky factor, nan of what is not positive definite."""
    return jnp.linalg.cholesky(S, symmetrize_input=False)


def _half_log_det(L: jax.Array) -> jax.Array:
    return jnp.sum(jnp.log(jnp.diagonal(L, axis1=-2, axis2=-1)), -1)


def _solved(L: jax.Array, B: jax.Array) -> jax.Array:
    """The matrix L⁻¹ B."""
    return jax.lax.linalg.triangular_solve(L, B, left_side=True, lower=True)


def normal_inverse_wishart_predictive(
    params: NormalInverseWishartParams, x: Float[Array, "*batch n features"]
) -> Float[Array, "*batch n"]:
    """Log-density, in nats, of a next vector: Student's of ν − d + 1 degrees of freedom.

        log p(x) = log Γ((ν + 1)/2)/Γ((ν − d + 1)/2) − ½ (d log(π(κ + 1)/κ) + log |Ψ|)
                   − (ν + 1)/2 log(1 + κ/(κ + 1) rᵀ Ψ⁻¹ r),    r = x − m

    Gradient:
        ∂/∂x = −(ν + 1) c Ψ⁻¹ r/(1 + c rᵀ Ψ⁻¹ r),    c = κ/(κ + 1)

    Args:
        params: The parameters of the prior, or of a posterior.
        x: The vectors, each by itself.

    Returns:
        One log-density per vector.

    Raises:
        TypeError: If ``params`` are none, or x not floating-point.
        ValueError: If the shapes do not fit.

    Example:
        >>> one = jnp.array(1.0)
        >>> params = NormalInverseWishartParams(jnp.zeros(1), one, one, 0.5 * jnp.eye(1))
        >>> log_p = normal_inverse_wishart_predictive(params, jnp.zeros((1, 1)))
        >>> print(f"{log_p[0]:.4f}")  # −log π
        -1.1447

    Source:
        Gelman and others, Bayesian Data Analysis (2013), §3.6; ``scipy.stats.multivariate_t``.
    """
    name = "normal_inverse_wishart_predictive"
    m, k, nu, psi, observed = _normal_inverse_wishart(name, params, x, "params")
    d, L = m.shape[-1], _factor(psi)
    r = _solved(L, transpose(observed - m[..., None, :]))
    c = (k / (k + 1))[..., None]
    far = 0.5 * (nu + 1)[..., None] * jnp.log1p(c * jnp.sum(jnp.square(r), -2))
    ratio = log_rise(0.5 * (nu - d + 1), jnp.asarray(d / 2, nu.dtype))
    size = _half_log_det(L) + 0.5 * d * (math.log(math.pi) + jnp.log1p(1 / k))
    return ((ratio - size)[..., None] - far).astype(jnp.result_type(params.mean, x))


def normal_inverse_wishart_log_evidence(
    prior: NormalInverseWishartParams, x: Float[Array, "*batch n features"]
) -> Float[Array, "*batch"]:
    """Logarithm of the density of normal vectors, in nats, mean and covariance unknown.

        log p(x₁ … xₙ) = Σⱼ log Γ((ν′ + 1 − j)/2)/Γ((ν + 1 − j)/2) − ν/2 log |Ψ⁻¹ Ψ′|
                         − n/2 log |Ψ′| + d/2 log(κ/κ′) − n d/2 log π,    j = 1 … d

    Gradient:
        ∂/∂m = ν′ κ n/κ′ Ψ′⁻¹ δ

    Args:
        prior: The parameters of the prior.
        x: The observations.

    Returns:
        One number per sample, 0 of no observations.

    Raises:
        TypeError: If the prior is none, or x not floating-point.
        ValueError: If the shapes do not fit.

    Example:
        >>> one = jnp.array(1.0)
        >>> prior = NormalInverseWishartParams(jnp.zeros(1), one, one, 0.5 * jnp.eye(1))
        >>> print(f"{normal_inverse_wishart_log_evidence(prior, jnp.zeros((1, 1))):.4f}")  # −log π
        -1.1447

    Source:
        Murphy, Conjugate Bayesian analysis of the Gaussian distribution (2007), §9.5.
    """
    name = "normal_inverse_wishart_log_evidence"
    m, k, nu, psi, observed = _normal_inverse_wishart(name, prior, x, "prior")
    n, d = observed.shape[-2:]
    _, scatter = _scatter(m, k, observed)
    L = _factor(psi)
    inner = _solved(L, transpose(_solved(L, scatter)))
    growth = _half_log_det(_factor(jnp.eye(d, dtype=m.dtype) + symmetric(inner)))
    after = growth + _half_log_det(L)
    degrees = 0.5 * (nu[..., None] - jnp.arange(d, dtype=nu.dtype))
    ratio = log_rise(degrees, jnp.asarray(n / 2, nu.dtype)).sum(-1)
    constant = 0.5 * d * (jnp.log1p(n / k) + n * math.log(math.pi))
    log_p = ratio - nu * growth - n * after - constant
    return log_p.astype(jnp.result_type(prior.mean, x))
