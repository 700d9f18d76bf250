"""Bayesian linear regression: beliefs about the weights and the noise of a linear map.

Notation: X has the n inputs xᵢ of d features as its rows, y the n targets; yᵢ = xᵢᵀ w + noise of
variance σ². The weights are believed to be normal and the variance inverse gamma,

    w ~ N(m, σ² Λ⁻¹),    σ² ~ InverseGamma(a, b)

with a precision Λ in units of 1/σ². The posterior is of the same kind. A bias is a feature that is
always 1; a curve is linear in features that are not. The hyperparameters, of Λ or of the features,
are chosen by what makes ``linear_regression_log_evidence`` greatest, which differentiates by all.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.bayes._arguments import as_given, positive, rows, vectors
from fnmath.bayes._log_rises import log_gamma_ratio
from fnmath.bayes.normals import LOG_2_PI, _factor, _half_log_det, _solved, _student
from fnmath.linear_algebra._spectral import symmetric
from fnmath.linear_algebra.products import transpose
from fnmath.statistics._samples import wide


class LinearRegressionParams(NamedTuple):
    """The mean m and precision Λ of the weights, in units of σ, and shape and scale of σ²."""

    mean: Float[Array, "*batch features"]
    precision: Float[Array, "*batch features features"]
    shape: Float[Array, "*batch"]
    scale: Float[Array, "*batch"]


def _times(A: jax.Array, x: jax.Array) -> jax.Array:
    """The product of a matrix and a vector."""
    return jnp.matmul(A, x[..., None], precision="highest")[..., 0]


def _examples(function: str, params: Any, x: Any, y: Any, argument: str) -> tuple[jax.Array, ...]:
    """The parameters, nan where they are none, inputs and targets."""
    axes = {"precision": 2, "shape": 0, "scale": 0}
    m, P, a, b = vectors(function, params, LinearRegressionParams, argument, **axes)
    X = rows(function, x, m.shape)
    _checks.floating(function, y=y)
    if jnp.shape(y) != X.shape[:-1]:
        cure = "y[..., 0]" if jnp.shape(y) == (*X.shape[:-1], 1) else ""
        _checks.fail(function, f"y has shape {jnp.shape(y)}; wanted {X.shape[:-1]}", cure)
    known = positive(a, b)
    a, b = (jnp.where(known, p, jnp.nan) for p in (a, b))
    P = jnp.where(known[..., None, None], symmetric(P), jnp.nan)
    return m, P, a, b, X, wide(y)


class _Fit(NamedTuple):
    """The step from the prior's mean, the Cholesky factors, and half the sum of squares."""

    step: jax.Array
    before: jax.Array
    inner: jax.Array
    half_squares: jax.Array


def _fit(m: jax.Array, P: jax.Array, X: jax.Array, y: jax.Array) -> _Fit:
    """The weights in units of the prior: w = m + L⁻ᵀ u, Λ = L Lᵀ, so that u is N(0, σ² I).

    What is left of the targets and what the weights moved are squared, and nothing is subtracted.
    """
    L = _factor(P)
    Z = transpose(_solved(L, transpose(X)))
    r = y - _times(X, m)
    inner = _factor(jnp.eye(P.shape[-1], dtype=P.dtype) + _gram(Z))
    half = _solved(inner, _times(transpose(Z), r)[..., None])
    u = _solved_transposed(inner, half)
    left = r - _times(Z, u[..., 0])
    squares = jnp.sum(jnp.square(left), -1) + jnp.sum(jnp.square(u[..., 0]), -1)
    return _Fit(_solved_transposed(L, u)[..., 0], L, inner, 0.5 * squares)


def _gram(Z: jax.Array) -> jax.Array:
    return jnp.matmul(transpose(Z), Z, precision="highest")


def _solved_transposed(L: jax.Array, B: jax.Array) -> jax.Array:
    """The matrix L⁻ᵀ B."""
    return jax.lax.linalg.triangular_solve(L, B, left_side=True, lower=True, transpose_a=True)


def linear_regression_posterior(
    prior: LinearRegressionParams,
    x: Float[Array, "*batch n features"],
    y: Float[Array, "*batch n"],
) -> LinearRegressionParams:
    """Posterior of the weights and the noise of a linear map.

        Λ′ = Λ + Xᵀ X,    m′ = m + Λ′⁻¹ Xᵀ (y − X m),    a′ = a + n/2
        b′ = b + ½ (‖y − X m′‖² + (m′ − m)ᵀ Λ (m′ − m))

    There may be fewer observations than features: Λ makes up for them.

    Gradient:
        ∂m′/∂y = Λ′⁻¹ Xᵀ,    ∂b′/∂y = y − X m′

    Args:
        prior: The parameters of the prior.
        x: The inputs X.
        y: The targets, one per input; of none the posterior is the prior.

    Returns:
        The parameters of the posterior; nan where the prior is none, as for a Λ that is not
        positive definite.

    Raises:
        TypeError: If the prior is none, or an array is not floating-point.
        ValueError: If the shapes do not fit.

    Example:
        >>> one = jnp.array(1.0)
        >>> prior = LinearRegressionParams(jnp.zeros(2), jnp.eye(2), one, one)
        >>> x, y = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), jnp.array([1.0, 2.0, 4.0])
        >>> after = linear_regression_posterior(prior, x, y)
        >>> print(*(f"{w:.4f}" for w in after.mean), after.shape, after.scale)
        1.0000 2.0000 2.5 6.0

    Source:
        Bishop, Pattern Recognition and Machine Learning (2006), §3.3 and exercise 3.12; Gelman and
        others, Bayesian Data Analysis (2013), §14.2.
    """
    name = "linear_regression_posterior"
    m, P, a, b, X, targets = _examples(name, prior, x, y, "prior")
    fit = _fit(m, P, X, targets)
    known = jnp.isfinite(fit.before[..., 0, 0])
    P = jnp.where(known[..., None, None], P, jnp.nan)
    a = jnp.where(known, a, jnp.nan)
    after = m + fit.step, P + _gram(X), a + X.shape[-2] / 2, b + fit.half_squares
    return as_given(prior, after)


def linear_regression_predictive(
    params: LinearRegressionParams,
    x: Float[Array, "*batch n features"],
    y: Float[Array, "*batch n"],
) -> Float[Array, "*batch n"]:
    """Log-density, in nats, of a next target: Student's of 2a degrees of freedom about xᵀ m.

        s² = b/a (1 + xᵀ Λ⁻¹ x)

    is the square of its scale, in which the noise and the uncertainty of the weights add up.

    Gradient:
        ∂/∂y = −(2a + 1) r/(2a s² + r²),    r = y − xᵀ m

    Args:
        params: The parameters of the prior, or of a posterior.
        x: The inputs, each by itself.
        y: The targets.

    Returns:
        One log-density per target.

    Raises:
        TypeError: If ``params`` are none, or an array is not floating-point.
        ValueError: If the shapes do not fit.

    Example:
        >>> half = jnp.array(0.5)
        >>> params = LinearRegressionParams(jnp.ones(1), jnp.eye(1), half, 0.5 * half)
        >>> log_p = linear_regression_predictive(params, jnp.ones((1, 1)), jnp.ones(1))
        >>> print(f"{log_p[0]:.4f}")  # Cauchy's density at its mode: −log π
        -1.1447

    Source:
        Bishop, Pattern Recognition and Machine Learning (2006), exercise 3.13; Gelman and others,
        Bayesian Data Analysis (2013), §14.2.
    """
    name = "linear_regression_predictive"
    m, P, a, b, X, targets = _examples(name, params, x, y, "params")
    Z = _solved(_factor(P), transpose(X))
    square = (b / a)[..., None] * (1 + jnp.sum(jnp.square(Z), -2))
    log_p = _student(a[..., None], targets - _times(X, m), square)
    return log_p.astype(jnp.result_type(params.mean, y))


def linear_regression_log_evidence(
    prior: LinearRegressionParams,
    x: Float[Array, "*batch n features"],
    y: Float[Array, "*batch n"],
) -> Float[Array, "*batch"]:
    """Logarithm of the density of all targets, in nats, weights and noise unknown.

        log p(y | X) = log Γ(a + n/2)/Γ(a) + a log b − a′ log b′ + ½ log |Λ|/|Λ′| − n/2 log 2π

    Gradient:
        ∂/∂y = −a′/b′ (y − X m′),    ∂/∂m = −a′/b′ Λ (m − m′)

    Args:
        prior: The parameters of the prior.
        x: The inputs X.
        y: The targets.

    Returns:
        One number per data set, 0 of no targets.

    Raises:
        TypeError: If the prior is none, or an array is not floating-point.
        ValueError: If the shapes do not fit.

    Example:
        >>> half = jnp.array(0.5)
        >>> prior = LinearRegressionParams(jnp.ones(1), jnp.eye(1), half, 0.5 * half)
        >>> log_p = linear_regression_log_evidence(prior, jnp.ones((1, 1)), jnp.ones(1))
        >>> print(f"{log_p:.4f}")  # −log π
        -1.1447

    Source:
        MacKay, Bayesian interpolation (1992), §3; Bishop, Pattern Recognition and Machine Learning
        (2006), exercise 3.23.
    """
    name = "linear_regression_log_evidence"
    m, P, a, b, X, targets = _examples(name, prior, x, y, "prior")
    n = X.shape[-2]
    fit = _fit(m, P, X, targets)
    ratio = log_gamma_ratio(a, b, jnp.asarray(n / 2, a.dtype), fit.half_squares)
    log_p = ratio - _half_log_det(fit.inner) - 0.5 * n * LOG_2_PI
    return log_p.astype(jnp.result_type(prior.mean, y))
