"""Likelihoods with wider tails: a normal with outliers, and a Poisson law with clusters.

Each returns one number per entry, in nats. Either has one parameter more than the law that it
widens, and that law as its limit.

Notation: y is a prediction, t its target; σ is a scale, ν the degrees of freedom, z = (y − t)/σ,
w² = z²/ν; μ is a mean and α a dispersion, n = 1/α; Γ is the gamma function, ψ = (log Γ)′, B the
beta function.

    student_t_nll_loss            ½ (ν + 1) log(1 + w²) + log σ + log B(½, ½ν) + ½ log ν
    negative_binomial_nll_loss    −log [Γ(n + t)/(Γ(n) t!)] + (n + t) log(1 + α μ) − t log(α μ)

Neither is computed as it stands: ``fnmath.numerics._stirling`` says why, and how.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.losses._pairs import exp_pair
from fnmath.losses.likelihoods import _check, _check_parameter, _loss
from fnmath.numerics import with_derivatives
from fnmath.numerics._stirling import (
    HALF_LOG_2_PI,
    lag,
    lag_ratio,
    log_factorial_rest,
    scaled_stirling_slope,
    stirling_error,
    stirling_slope,
    student_constant,
)

EULER = 0.5772156649015329  # −ψ(1)
LARGE = 1e30  # from there on Γ(1/α) is α to the last place, in double precision too
FAR = 1e9  # from there on 1 + w² is w² to the last place, in double precision too


def _positive(x: jax.Array) -> jax.Array:
    """The parameter, nan where it is not above 0, and so is what is differentiated there."""
    return x * jnp.where(x > 0, 1, jnp.nan)


def _ratio(r: jax.Array, nu: jax.Array, sigma: jax.Array) -> jax.Array:
    """W = r/(σ √ν), 0 at ν = ∞; divided first by what does not take it out of range."""
    root = jnp.sqrt(jnp.where(nu == jnp.inf, 1, nu))
    z, finfo = r / sigma, jnp.finfo(r.dtype)
    inside = (jnp.abs(z) >= finfo.tiny) & (jnp.abs(z) <= finfo.max)
    w = jnp.where(inside, jnp.where(inside, z, 1) / root, jnp.where(inside, 0, r) / root / sigma)
    return jnp.where(nu == jnp.inf, 0, w)


def _sides(r: jax.Array, nu: jax.Array, sigma: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Where |w| > 1; w where it is not, and 1/w where it is, which no square takes out of range."""
    beyond = jnp.abs(_ratio(r, nu, sigma)) > 1
    some_r, some_nu = jnp.where(beyond, r, 1), jnp.where(beyond, nu, 1)
    over_w = jnp.where(beyond, sigma / some_r * jnp.sqrt(some_nu), 0)
    return beyond, _ratio(*_within(beyond, r, nu, sigma)), over_w


def _within(beyond: jax.Array, r: jax.Array, nu: jax.Array, sigma: jax.Array) -> tuple:
    """The arguments where |w| ≤ 1, and beyond it some that have w = 0."""
    return jnp.where(beyond, 0, r), jnp.where(beyond, 1, nu), jnp.where(beyond, 1, sigma)


def _share(r: jax.Array, nu: jax.Array, sigma: jax.Array) -> jax.Array:
    """w²/(1 + w²)."""
    beyond, w, over_w = _sides(r, nu, sigma)
    return jnp.where(beyond, 1 / (1 + over_w * over_w), w * w / (1 + w * w))


def _log1p_square_by_residual(r: jax.Array, nu: jax.Array, sigma: jax.Array) -> jax.Array:
    beyond, w, over_w = _sides(r, nu, sigma)
    _, nu, sigma = _within(beyond, r, nu, sigma)
    outside = 2 / jnp.where(beyond, r, 1) / (1 + over_w * over_w)
    return jnp.where(beyond, outside, 2 * (w / jnp.sqrt(nu)) / (1 + w * w) / sigma)


@with_derivatives(
    _log1p_square_by_residual,
    lambda r, nu, sigma: -_share(r, nu, sigma) / nu,
    lambda r, nu, sigma: -2 * _share(r, nu, sigma) / sigma,
)
def _log1p_square(r: jax.Array, nu: jax.Array, sigma: jax.Array) -> jax.Array:
    """log(1 + w²), also where w² or w itself overflows, of which the logarithm is some 88."""
    w = jnp.abs(_ratio(r, nu, sigma))
    near = jnp.where(w > FAR, 0, w)
    apart = jnp.log(jnp.abs(r)) - jnp.log(sigma) - 0.5 * jnp.log(nu)
    return jnp.where(
        w > FAR, 2 * jnp.where(w == jnp.inf, apart, jnp.log(w)), jnp.log1p(near * near)
    )


@with_derivatives(
    lambda r, nu, sigma: _share(r, nu, sigma) * _log1p_square_by_residual(r, nu, sigma),
    lambda r, nu, sigma: -jnp.square(_share(r, nu, sigma)) / nu,
    lambda r, nu, sigma: -2 * jnp.square(_share(r, nu, sigma)) / sigma,
)
def _deviance(r: jax.Array, nu: jax.Array, sigma: jax.Array) -> jax.Array:
    """log(1 + w²) − w²/(1 + w²)."""
    return lag(-_share(r, nu, sigma), -_log1p_square(r, nu, sigma))


def _student_by_residual(r: jax.Array, nu: jax.Array, sigma: jax.Array) -> jax.Array:
    beyond, w, over_w = _sides(r, nu, sigma)
    outside = (nu + 1) / jnp.where(beyond, r, 1) / (1 + over_w * over_w)
    r, nu, sigma = _within(beyond, r, nu, sigma)
    return jnp.where(beyond, outside, (r / sigma + w / jnp.sqrt(nu)) / (1 + w * w) / sigma)


def _student_by_df(r: jax.Array, nu: jax.Array, sigma: jax.Array) -> jax.Array:
    of_residual = _deviance(r, nu, sigma) - _share(r, nu, sigma) / nu
    return 0.5 * of_residual + 0.5 * _student_constant_slope(0.5 * nu)


def _student_constant_slope(a: jax.Array) -> jax.Array:
    return jax.jvp(student_constant, (a,), (jnp.ones_like(a),))[1]


def _student_by_scale(r: jax.Array, nu: jax.Array, sigma: jax.Array) -> jax.Array:
    beyond, w, over_w = _sides(r, nu, sigma)
    over_z = sigma / jnp.where(beyond, r, 1)
    outside = jnp.where(beyond, nu, 1) * (over_z - 1) * (over_z + 1) / (1 + over_w * over_w)
    r, _, near = _within(beyond, r, nu, sigma)
    return jnp.where(beyond, outside, (1 - r / near) * (1 + r / near) / (1 + w * w)) / sigma


@with_derivatives(_student_by_residual, _student_by_df, _student_by_scale)
def _student(r: jax.Array, nu: jax.Array, sigma: jax.Array) -> jax.Array:
    heavy = 0.5 * (nu + 1) * _log1p_square(r, nu, sigma) + student_constant(0.5 * nu)
    normal = HALF_LOG_2_PI + 0.5 * jnp.square(r / sigma)
    return jnp.where(nu == jnp.inf, normal, heavy) + jnp.log(sigma)


def student_t_nll_loss(
    predictions: Float[Array, "*batch"],
    targets: Float[Array, "*batch"],
    df: float | Float[Array, "..."],
    scale: float | Float[Array, "..."],
) -> Float[Array, "*batch"]:
    """Negative log-likelihood, in nats, of a target under a Student t about the prediction.

        ℓ(y, t, ν, σ) = ½ (ν + 1) log(1 + z²/ν) + log σ + log B(½, ½ν) + ½ log ν,    z = (y − t)/σ

    It grows as log |y − t|, where a normal's grows as the square: an outlier pulls the less, the
    further out it lies. At ν = ∞ it is the normal, at ν = 1 Cauchy's law.

    Gradient:
        ∂ℓ/∂y = (1 + 1/ν) z/(1 + z²/ν)/σ = −∂ℓ/∂t,    ∂ℓ/∂σ = (1 − z²)/(1 + z²/ν)/σ
        ∂ℓ/∂ν = ½ [log(1 + u) − u/(1 + u) − u/(1 + u)/ν + ψ(½ν) − ψ(½ν + ½) + 1/ν],    u = z²/ν

    Args:
        predictions: The locations y.
        targets: The targets t, of the same shape.
        df: The degrees of freedom ν > 0, the smaller the heavier the tails; an array must broadcast
            to the shape of y, and gives nan where it is not above 0.
        scale: The scale σ > 0, in the units of y, likewise; for ν > 2 the standard deviation is
            σ √(ν/(ν − 2)).

    Returns:
        One loss per entry, in nats.

    Raises:
        TypeError: If an argument is not a floating-point array.
        ValueError: If the shapes differ, or ν or σ is a number not above 0 or does not broadcast.

    Example:
        >>> loss = student_t_nll_loss(jnp.array([0.0, 1e3]), jnp.zeros(2), 1.0, 1.0)
        >>> print(f"{loss[0]:.4f} {loss[1]:.4f}")  # log π, and 2 log 10³ more
        1.1447 14.9602

    Source:
        Lange, Little and Taylor, Robust statistical modeling using the t distribution (1989), §2.
    """
    name = "student_t_nll_loss"
    _check(name, predictions, targets)
    _check_parameter(name, "df", df, predictions, above=0, closed="]")
    _check_parameter(name, "scale", scale, predictions, above=0)

    def loss(y: Array, t: Array, nu: Array, sigma: Array) -> Array:
        return _student(y - t, _positive(nu), _positive(sigma))

    return _loss(loss, predictions, targets, df, scale)


def _known(t: jax.Array, alpha: jax.Array) -> jax.Array:
    """The count, nan where it or the dispersion is below 0."""
    return t * jnp.where((t >= 0) & (alpha >= 0), 1, jnp.nan)


def _shape(alpha: jax.Array) -> jax.Array:
    """N = 1/α, ∞ at α = 0; for the largest α, where it would be flushed to 0, the least number."""
    return jnp.maximum(1 / alpha, jnp.finfo(alpha.dtype).tiny)


def _spread_over(y: jax.Array, mu: jax.Array, alpha: jax.Array) -> jax.Array:
    """The quotient y/(1 + α μ), n (y/(n + μ)) where α μ overflows, and n for y = μ = ∞."""
    all_ = mu == jnp.inf
    n, spread = _shape(alpha), 1 + alpha * jnp.where(all_ & (alpha == 0), 1, mu)
    wide = spread == jnp.inf
    share = jnp.where(all_, 1, y / jnp.where(all_, 1, n + mu))
    return jnp.where(wide, n * jnp.where(wide, share, 0), y / jnp.where(wide, 1, spread))


def _log_spread(y: jax.Array, alpha: jax.Array) -> jax.Array:
    """The logarithm of 1 + α y, whose product may overflow."""
    wide = alpha * y == jnp.inf
    apart = jnp.log(jnp.where(wide, alpha, 1)) + jnp.log(jnp.where(wide, y, 1))
    return jnp.where(wide, apart, jnp.log1p(jnp.where(wide, 0, alpha * y)))


class _Mean(NamedTuple):
    """A mean μ, log μ and 1/μ, right where μ overflows too, and the excess μ − t over the count."""

    mu: jax.Array
    log_mu: jax.Array
    over_mu: jax.Array
    gap: jax.Array


def _agreement(mean: _Mean, t: jax.Array, n: jax.Array) -> tuple:
    """The number v = (t − μ)/(n + μ), and log(1 + v)."""
    none, all_ = n == jnp.inf, mean.mu == jnp.inf
    some = jnp.where(none | all_, 1, n + mean.mu)
    v = jnp.where(none, 0, jnp.where(all_, -1, -mean.gap / some))
    ratio, log_some = (n + t) / some, jnp.where(all_, mean.log_mu, jnp.log(some))
    apart = all_ | (ratio < jnp.finfo(ratio.dtype).tiny)
    log1p_v = jnp.where(apart, jnp.log(n + t) - log_some, jnp.log(jnp.where(apart, 1, ratio)))
    return v, jnp.where(none, 0, log1p_v)


def _agreement_of_count(mean: _Mean, t: jax.Array, alpha: jax.Array) -> tuple:
    """The number v = (μ − t)/(t (1 + α μ)), and log(1 + v), for a count t > 0."""
    v = _spread_over(mean.gap, mean.mu, alpha) / t
    narrow, n = alpha * mean.mu < 1, _shape(alpha)
    some_n = jnp.where(narrow, 1, n)
    far = jnp.where(
        narrow,
        jnp.log(mean.mu / t) + (_log_spread(t, alpha) - jnp.log1p(alpha * mean.mu)),
        jnp.log1p(some_n / t) - jnp.log1p(some_n * mean.over_mu),
    )
    near = jnp.abs(v) < 0.5
    return v, jnp.where(near, jnp.log1p(jnp.where(near, v, 0)), far)


def _negative_binomial(mean: _Mean, t: jax.Array, alpha: jax.Array) -> jax.Array:
    """The loss as Stirling errors and deviances, all of the size of the loss at most."""
    n, some = _shape(alpha), jnp.where(t == 0, 1, t)
    of_shape = jnp.where(n == jnp.inf, 0, n * lag(*_agreement(mean, t, n)))
    of_count = some * lag(*_agreement_of_count(mean, some, alpha))
    of_count = jnp.where(t == 0, _spread_over(mean.mu, mean.mu, alpha), of_count)
    ways = log_factorial_rest(t) + 0.5 * _log_spread(t, alpha)
    large = alpha > LARGE
    start = jnp.where(large, 0.5 * jnp.log(alpha) - HALF_LOG_2_PI, stirling_error(n))
    errors = jnp.where(t == 0, 0, start - stirling_error(n + t))
    none = (jnp.log(alpha) + mean.log_mu) / alpha  # of a count of 0, where 1/α may be flushed to 0
    return jnp.where(large & (t == 0), none, ways + errors + (of_shape + of_count))


def _by_dispersion(mean: _Mean, t: jax.Array, alpha: jax.Array) -> jax.Array:
    n, t = _shape(jnp.where(alpha == 0, 1, alpha)), _known(t, alpha)
    share = 1 / (1 + alpha * t)
    shape = scaled_stirling_slope(n) - scaled_stirling_slope(n + t) * share * share
    ratio = lag_ratio(*_agreement(mean, t, n))
    deviance = jnp.square(_spread_over(mean.gap, mean.mu, alpha))
    deviance = deviance * jnp.where(alpha == 0, 0.5, ratio)
    spread = 0.5 * _spread_over(t, t, alpha)
    return (spread - deviance) - jnp.where(alpha == 0, 0, shape)


def _by_count(mean: _Mean, t: jax.Array, alpha: jax.Array) -> jax.Array:
    n, t = _shape(jnp.where(alpha == 0, 1, alpha)), _known(t, alpha)
    some, narrow = jnp.where(t == 0, 1, t), alpha * mean.mu < 1
    _, log1p_v = _agreement_of_count(mean, some, alpha)
    of_count = 0.5 / some + stirling_slope(some) - log1p_v
    wide = jnp.log(jnp.where(narrow, 1, alpha)) + jnp.log1p(jnp.where(narrow, 0, n) * mean.over_mu)
    none = jnp.where(narrow, jnp.log1p(alpha * mean.mu) - mean.log_mu, wide) - EULER
    x = n + t
    shape = jnp.where((t == 0) & (alpha > LARGE), alpha, 0.5 / x - stirling_slope(x))
    return jnp.where(t == 0, none, of_count) + jnp.where(alpha == 0, 0, shape)


def _of_exponential(x: jax.Array, t: jax.Array) -> _Mean:
    E, tail = exp_pair(x)
    return _Mean(E, x, jnp.exp(-x), (E - t) + tail)


def _of_number(x: jax.Array, t: jax.Array) -> _Mean:
    return _Mean(x, jnp.log(x), 1 / x, x - t)


def _bend(x: jax.Array, t: jax.Array, alpha: jax.Array) -> jax.Array:
    """(n + t)/(n + μ) · μ/(1 + α μ)."""
    n, mu = _shape(alpha), jnp.exp(x)
    share = jnp.where(n == jnp.inf, 1, (n + t) / jnp.where(n == jnp.inf, 1, n + mu))
    return share * _spread_over(mu, mu, alpha)


def _bend_by_dispersion(x: jax.Array, t: jax.Array, alpha: jax.Array) -> jax.Array:
    mu = jnp.exp(x)
    return -_spread_over(mu - t, mu, alpha) * _spread_over(mu, mu, alpha)


@with_derivatives(_bend, lambda x, t, alpha: -1 / (1 + alpha * jnp.exp(x)), _bend_by_dispersion)
def _of_log_by_prediction(x: jax.Array, t: jax.Array, alpha: jax.Array) -> jax.Array:
    mean = _of_exponential(x, _known(t, alpha))
    return _spread_over(mean.gap, mean.mu, alpha)


def _plainly(x: jax.Array, t: jax.Array) -> _Mean:
    """The same mean, all of it differentiable."""
    return _Mean(jnp.exp(x), x, jnp.exp(-x), jnp.exp(x) - t)


@with_derivatives(
    _of_log_by_prediction,
    lambda x, t, alpha: _by_count(_plainly(x, t), t, alpha),
    lambda x, t, alpha: _by_dispersion(_plainly(x, t), t, alpha),
)
def _of_log(x: jax.Array, t: jax.Array, alpha: jax.Array) -> jax.Array:
    t = _known(t, alpha)
    return _negative_binomial(_of_exponential(x, t), t, alpha)


def _of_mean_by_prediction(x: jax.Array, t: jax.Array, alpha: jax.Array) -> jax.Array:
    share = jnp.where(t == 0, 1, (x - t) / jnp.where(t == 0, 1, x))
    return jnp.where(x >= 0, _spread_over(share, x, alpha), jnp.nan)


@with_derivatives(
    _of_mean_by_prediction,
    lambda x, t, alpha: _by_count(_of_number(x, t), t, alpha),
    lambda x, t, alpha: _by_dispersion(_of_number(x, t), t, alpha),
)
def _of_mean(x: jax.Array, t: jax.Array, alpha: jax.Array) -> jax.Array:
    t = jnp.where(x >= 0, _known(t, alpha), jnp.nan)
    return _negative_binomial(_of_number(x, t), t, alpha)


def negative_binomial_nll_loss(
    predictions: Float[Array, "*batch"],
    targets: Float[Array, "*batch"],
    dispersion: float | Float[Array, "..."],
    *,
    log_input: bool = True,
) -> Float[Array, "*batch"]:
    """Negative log-likelihood, in nats, of a count that varies more than a Poisson law lets it.

        ℓ(μ, t, α) = −log [Γ(n + t)/(Γ(n) t!)] + (n + t) log(1 + α μ) − t log(α μ),    n = 1/α

    In this parametrisation, NB2, the count has mean μ and variance μ + α μ²; at α = 0 it is
    Poisson's, in full. In that of failures before the n-th success, of probability p, α = 1/n and
    μ = n (1 − p)/p.

    Gradient:
        ∂ℓ/∂y = (μ − t)/(1 + α μ)            where y = log μ, the default
                (μ − t)/(1 + α μ)/μ          where y = μ (``log_input=False``)
        ∂ℓ/∂t = ψ(t + 1) − ψ(n + t) + log(n + μ) − log μ
        ∂ℓ/∂α = −n² [log(1 + α μ) + ψ(n) − ψ(n + t)] + (μ − t)/(α (1 + α μ))

    Args:
        predictions: The logarithms y = log μ of the means, or the means, y ≥ 0; nan is returned
            below.
        targets: The counts t ≥ 0, of the same shape, as floating-point numbers; nan is returned
            below 0.
        dispersion: The dispersion α ≥ 0; an array must broadcast to the shape of y, and gives nan
            where it is below 0.
        log_input: Whether the predictions are logarithms.

    Returns:
        One loss per entry, in nats.

    Raises:
        TypeError: If an argument is not a floating-point array, or ``log_input`` not a boolean.
        ValueError: If the shapes differ, or α is a number below 0 or does not broadcast.

    Example:
        >>> y = jnp.log(jnp.array([2.0, 2.0]))
        >>> loss = negative_binomial_nll_loss(y, jnp.array([0.0, 1.0]), 0.5)
        >>> print(jnp.exp(-loss).round(6))  # n = 2, p = ½: p² and 2 p² (1 − p)
        [0.25 0.25]

    Source:
        Cameron and Trivedi, Regression Analysis of Count Data (1998), §3.3.1 (NB2); Loader, Fast
        and accurate computation of binomial probabilities (2000), §3.
    """
    name = "negative_binomial_nll_loss"
    _check(name, predictions, targets)
    _check_parameter(name, "dispersion", dispersion, predictions, above=0, closed="[")
    _checks.boolean(name, "log_input", log_input)
    return _loss(_of_log if log_input else _of_mean, predictions, targets, dispersion)
