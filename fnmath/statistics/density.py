"""Kernel density estimates: a smooth density through a sample.

Notation: x₁ … xₙ is a sample of vectors with d features and shares pᵢ, Σ = L Lᵀ its covariance; h
is the bandwidth, as a multiple of the sample's own spread.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.numerics import logsumexp
from fnmath.statistics._samples import shares, wide
from fnmath.statistics.moments import covariance

RULES = ("scott", "silverman")


class KernelDensityParams(NamedTuple):
    """The sample, the logarithms of its shares, and the lower factor h L of the kernel."""

    sample: Float[Array, "n features"]
    log_shares: Float[Array, "n"]
    factor: Float[Array, "features features"]


def _bandwidth(rule: Any, effective: Any, d: int) -> Any:
    """The bandwidth h of a rule for so many observations of d features."""
    if isinstance(rule, str):
        count = effective if rule == "scott" else effective * (d + 2) / 4
        return count ** (-1 / (d + 4))
    return rule


def kernel_density_init(
    x: Float[Array, "n features"],
    *,
    bandwidth: str | float | Float[Array, ""] = "scott",
    weights: Float[Array, "n"] | None = None,
) -> KernelDensityParams:
    """Kernel density of a sample: a Gaussian of the sample's own form around each of its points.

        h = n^(−1/(d + 4))                   ("scott")
        h = (n (d + 2)/4)^(−1/(d + 4))       ("silverman")

    with n = 1/Σᵢ pᵢ² where there are weights. The kernel's covariance is h² Σ, so that the density
    follows every linear map of the sample.

    Gradient:
        x̄, and that of the weights, by autodiff of the covariance and its Cholesky factor

    Args:
        x: The sample; one of numbers is ``x[:, None]``.
        bandwidth: A rule, or the multiple h > 0 itself; nan is returned for an array not above 0.
        weights: The weights w ≥ 0 of the points.

    Returns:
        The parameters; nan where the points lie in a subspace, a weight is negative, or all are 0.

    Raises:
        TypeError: If x or the weights are not floating-point, or the bandwidth neither text nor a
            number.
        ValueError: If x does not have two axes or more points than features, the weights are not
            one per point, or the bandwidth is not above 0 or no known rule.

    Example:
        >>> params = kernel_density_init(jnp.array([[0.0], [1.0], [2.0]]))
        >>> print(f"{params.factor[0, 0]:.4f}")  # 3^(−1/5)
        0.8027

    Source:
        Scott, Multivariate Density Estimation (1992), §6.3; Silverman, Density Estimation for
        Statistics and Data Analysis (1986), §4.3; ``scipy.stats.gaussian_kde``.
    """
    name = "kernel_density_init"
    _checks.floating(name, x=x)
    _checks.rank(name, "x", x, "n features", exact=True)
    n, d = jnp.shape(x)
    if n <= d:
        _checks.fail(name, f"x {jnp.shape(x)} has {n} points of {d} features; wanted more")
    if isinstance(bandwidth, str):
        _checks.option(name, "bandwidth", bandwidth, RULES)
    else:
        _checks.scalar(name, "bandwidth", bandwidth, above=0)
    points = wide(x)
    p = jnp.full(n, 1 / n, points.dtype)
    if weights is not None:
        _checks.floating(name, weights=weights)
        if jnp.shape(weights) != (n,):
            _checks.fail(name, f"weights has shape {jnp.shape(weights)}; wanted {(n,)}")
        p = shares(wide(weights), (0,)).astype(points.dtype)
    effective = n if weights is None else 1 / jnp.sum(jnp.square(p))
    h = jnp.asarray(_bandwidth(bandwidth, effective, d), points.dtype)
    S = covariance(points, weights=None if weights is None else p)
    factor = jnp.where(h > 0, h, jnp.nan) * jnp.linalg.cholesky(S)
    log_p = jnp.where(p == 0, -jnp.inf, jnp.log(jnp.where(p == 0, 1, p)))
    return KernelDensityParams(points, log_p, factor)


def kernel_log_density(
    params: KernelDensityParams, x: Float[Array, "*batch features"]
) -> Float[Array, "*batch"]:
    """Logarithm, in nats, of a kernel density at given points.

        log f(x) = log Σᵢ pᵢ exp(−½ ‖uᵢ‖²) − log det(h L) − ½ d log 2π,    uᵢ = (h L)⁻¹ (x − xᵢ)

    by ``logsumexp``, so that it is finite however far from the sample, where f is 0.

    Gradient:
        ∂log f/∂x = −(h L)⁻ᵀ Σᵢ rᵢ uᵢ,    rᵢ = pᵢ exp(−½ ‖uᵢ‖²)/Σⱼ pⱼ exp(−½ ‖uⱼ‖²)

    Args:
        params: The sample and its kernel.
        x: The points to evaluate the density at.

    Returns:
        One log density per point.

    Raises:
        TypeError: If ``params`` are none, or an array is not floating-point.
        ValueError: If x has no axis or another number of features, or the parameters do not fit.

    Example:
        >>> params = kernel_density_init(jnp.array([[-1.0], [1.0]]), bandwidth=1.0)
        >>> print(f"{kernel_log_density(params, jnp.array([0.0])):.4f}")  # −¼ − log 2 − ½ log π
        -1.5155

    Source:
        Scott, Multivariate Density Estimation (1992), §6.3; ``scipy.stats.gaussian_kde.logpdf``.
    """
    name = "kernel_log_density"
    cure = "kernel_density_init(x)"
    _checks.instance(name, "params", params, KernelDensityParams, cure)
    _checks.floating(name, **params._asdict(), x=x)
    _fits(name, params)
    _checks.rank(name, "x", x, "features")
    d = params.sample.shape[-1]
    _checks.same_size(name, "features", x=jnp.shape(x)[-1], sample=d)
    log_volume = jnp.sum(jnp.log(jnp.diagonal(params.factor))) + 0.5 * d * math.log(2 * math.pi)

    def at(point: Array) -> Array:
        apart = point - params.sample
        u = jax.lax.linalg.triangular_solve(params.factor, apart.T, left_side=True, lower=True)
        return logsumexp(params.log_shares - 0.5 * jnp.sum(jnp.square(u), 0)) - log_volume

    flat = jnp.reshape(wide(x), (-1, d)) if jnp.size(x) else jnp.zeros((0, d), params.sample.dtype)
    values = jax.vmap(at)(flat) if flat.shape[0] else jnp.zeros(0, flat.dtype)
    return jnp.reshape(values, jnp.shape(x)[:-1]).astype(jnp.result_type(x))


def _fits(function: str, params: KernelDensityParams) -> None:
    """Raise unless the parameters' shapes fit each other."""
    _checks.rank(function, "sample", params.sample, "n features", exact=True)
    n, d = params.sample.shape
    for argument, came, wanted in [
        ("log_shares", jnp.shape(params.log_shares), (n,)),
        ("factor", jnp.shape(params.factor), (d, d)),
    ]:
        if came != wanted:
            _checks.fail(function, f"{argument} has shape {came}; wanted {wanted}")
