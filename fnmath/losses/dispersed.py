"""Likelihoods with wider tails: a normal with outliers, and a Poisson law with clusters.

Each returns one number per entry, in nats. Either has one parameter more than the law that it
widens, and that law as its limit.

Notation: y is a prediction, t its target; σ is a scale, ν the degrees of freedom, z = (y − t)/σ,
w² = z²/ν; μ is a mean and α a dispersion, n = 1/α; Γ is the gamma function, ψ = (log Γ)′, B the
beta function.

    student_t_nll_loss            ½ (ν + 1) log(1 + w²) + log σ + log B(½, ½ν) + ½ log ν
    negative_binomial_nll_loss    −log [Γ(n + t)/(Γ(n) t!)] + (n + t) log(1 + α μ) − t log(α μ)

Neither is computed as it stands: ``fnmath.losses._stirling`` says why, and how.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.losses._pairs import exp_pair
from fnmath.losses._stirling import (
    HALF_LOG_2_PI,
    lag,
    lag_ratio,
    log_factorial_rest,
    scaled_stirling_slope,
    stirling_error,
    student_constant,
)
from fnmath.losses.likelihoods import _check, _check_parameter, _loss
from fnmath.numerics import with_derivatives

EULER = 0.5772156649015329  # −ψ(1)
FAR = 1e9  # from there on 1 + w² is w² to the last place, in double precision too


def _positive(x: jax.Array) -> jax.Array:
    """The parameter, nan where it is not above 0, and so is what is differentiated there."""
    return x * jnp.where(x > 0, 1, jnp.nan)


def _log1p_square_slope(w: jax.Array) -> jax.Array:
    far = jnp.abs(w) > FAR
    near = jnp.where(far, 0, w)
    return jnp.where(far, 2 / jnp.where(far, w, 1), 2 * near / (1 + near * near))


@with_derivatives(_log1p_square_slope)
def _log1p_square(w: jax.Array) -> jax.Array:
    """log(1 + w²), whose square overflows where the logarithm is 88."""
    far = jnp.abs(w) > FAR
    near = jnp.where(far, 0, w)
    return jnp.where(far, 2 * jnp.log(jnp.abs(w)), jnp.log1p(near * near))


def _student_by_residual(r: jax.Array, nu: jax.Array, sigma: jax.Array) -> jax.Array:
    z = r / sigma
    w = z / jnp.sqrt(nu)
    far = jnp.abs(w) > FAR
    near = jnp.where(far, 0, w)
    damped = jnp.where(far, nu / jnp.where(far, z, 1), z / (1 + near * near))
    return (1 + 1 / nu) * damped / sigma


def _student_by_df(r: jax.Array, nu: jax.Array, sigma: jax.Array) -> jax.Array:
    w = r / sigma / jnp.sqrt(nu)
    far = jnp.abs(w) > FAR
    square = jnp.square(jnp.where(far, 0, w))
    share = jnp.where(far, 1, square / (1 + square))
    deviance = lag(-share, -_log1p_square(w))
    return 0.5 * (deviance - share / nu) + 0.5 * _student_constant_slope(0.5 * nu)


def _student_constant_slope(a: jax.Array) -> jax.Array:
    return jax.jvp(student_constant, (a,), (jnp.ones_like(a),))[1]


def _student_by_scale(r: jax.Array, nu: jax.Array, sigma: jax.Array) -> jax.Array:
    z = r / sigma
    w = z / jnp.sqrt(nu)
    far = jnp.abs(w) > FAR
    near = jnp.where(far, 0, w)
    return jnp.where(far, -nu, (1 - z) * (1 + z) / (1 + near * near)) / sigma


@with_derivatives(_student_by_residual, _student_by_df, _student_by_scale)
def _student(r: jax.Array, nu: jax.Array, sigma: jax.Array) -> jax.Array:
    z = r / sigma
    tail = 0.5 * (nu + 1) * _log1p_square(z / jnp.sqrt(nu))
    heavy = tail + student_constant(0.5 * nu)
    normal = HALF_LOG_2_PI + 0.5 * z * z
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


def _agreement(mu: jax.Array, t: jax.Array, gap: jax.Array, n: jax.Array) -> tuple:
    """The number v = (t − μ)/(n + μ), given μ − t, and log(1 + v)."""
    none, all_ = n == jnp.inf, mu == jnp.inf
    v = jnp.where(none, 0, jnp.where(all_, -1, -gap / (n + mu)))
    return v, jnp.where(none, 0, jnp.log((n + t) / (n + jnp.where(none, 1, mu))))


def _agreement_of_count(mu: jax.Array, t: jax.Array, gap: jax.Array, alpha: jax.Array) -> tuple:
    """The number v = (μ − t)/(t (1 + α μ)), given μ − t, and log(1 + v), for a count t > 0."""
    v = gap / (t * (1 + alpha * mu))
    far = jnp.log(mu / t) + (jnp.log1p(alpha * t) - jnp.log1p(alpha * mu))
    near = jnp.abs(v) < 0.5
    return v, jnp.where(near, jnp.log1p(jnp.where(near, v, 0)), far)


def _negative_binomial(mu: jax.Array, gap: jax.Array, t: jax.Array, alpha: jax.Array) -> jax.Array:
    """The loss as Stirling errors and deviances, all of the size of the loss at most."""
    n, some = 1 / alpha, jnp.where(t == 0, 1, t)
    of_shape = jnp.where(n == jnp.inf, 0, n * lag(*_agreement(mu, t, gap, n)))
    of_count = some * lag(*_agreement_of_count(mu, some, gap, alpha))
    of_count = jnp.where(t == 0, mu / (1 + alpha * mu), of_count)
    ways = log_factorial_rest(t) + 0.5 * jnp.log1p(alpha * t)
    loss = ways + (stirling_error(n) - stirling_error(n + t)) + (of_shape + of_count)
    return jnp.where(mu == jnp.inf, mu, loss)


def _by_log_mean(mu: jax.Array, gap: jax.Array, alpha: jax.Array) -> jax.Array:
    """(μ − t)/(1 + α μ), 1/α at μ = ∞."""
    n, spread = 1 / alpha, 1 + alpha * mu
    return jnp.where(spread == jnp.inf, n, gap / jnp.where(spread == jnp.inf, 1, spread))


def _by_dispersion(mu: jax.Array, gap: jax.Array, t: jax.Array, alpha: jax.Array) -> jax.Array:
    n, t = 1 / jnp.where(alpha == 0, 1, alpha), _known(t, alpha)
    share = 1 / (1 + alpha * t)
    shape = scaled_stirling_slope(n) - scaled_stirling_slope(n + t) * share * share
    ratio = lag_ratio(*_agreement(mu, t, gap, n))
    deviance = jnp.square(gap / (1 + alpha * mu)) * jnp.where(alpha == 0, 0.5, ratio)
    return (0.5 * t * share - deviance) - jnp.where(alpha == 0, 0, shape)


def _by_count(mu: jax.Array, gap: jax.Array, t: jax.Array, alpha: jax.Array) -> jax.Array:
    n, t = 1 / jnp.where(alpha == 0, 1, alpha), _known(t, alpha)
    some = jnp.where(t == 0, 1, t)
    _, log1p_v = _agreement_of_count(mu, some, gap, alpha)
    of_count = 0.5 / some + scaled_stirling_slope(some) / (some * some) - log1p_v
    none = -EULER - jnp.log(mu) + jnp.log1p(alpha * mu)
    x = n + t
    shape = 0.5 / x - scaled_stirling_slope(x) / (x * x)
    return jnp.where(t == 0, none, of_count) + jnp.where(alpha == 0, 0, shape)


def _exp_and_gap(x: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
    E, tail = exp_pair(x)
    return E, (E - t) + tail


@with_derivatives(
    lambda x, t, alpha: jnp.exp(x) * (1 + alpha * t) / jnp.square(1 + alpha * jnp.exp(x)),
    lambda x, t, alpha: -1 / (1 + alpha * jnp.exp(x)),
    lambda x, t, alpha: -(jnp.exp(x) - t) * jnp.exp(x) / jnp.square(1 + alpha * jnp.exp(x)),
)
def _of_log_by_prediction(x: jax.Array, t: jax.Array, alpha: jax.Array) -> jax.Array:
    return _by_log_mean(*_exp_and_gap(x, _known(t, alpha)), alpha)


@with_derivatives(
    _of_log_by_prediction,
    lambda x, t, alpha: _by_count(jnp.exp(x), jnp.exp(x) - t, t, alpha),
    lambda x, t, alpha: _by_dispersion(jnp.exp(x), jnp.exp(x) - t, t, alpha),
)
def _of_log(x: jax.Array, t: jax.Array, alpha: jax.Array) -> jax.Array:
    t = _known(t, alpha)
    return _negative_binomial(*_exp_and_gap(x, t), t, alpha)


def _of_mean_by_prediction(x: jax.Array, t: jax.Array, alpha: jax.Array) -> jax.Array:
    share = jnp.where(t == 0, 1, (x - t) / jnp.where(t == 0, 1, x))
    return jnp.where(x >= 0, share / (1 + alpha * x), jnp.nan)


@with_derivatives(
    _of_mean_by_prediction,
    lambda x, t, alpha: _by_count(x, x - t, t, alpha),
    lambda x, t, alpha: _by_dispersion(x, x - t, t, alpha),
)
def _of_mean(x: jax.Array, t: jax.Array, alpha: jax.Array) -> jax.Array:
    t = jnp.where(x >= 0, _known(t, alpha), jnp.nan)
    return _negative_binomial(x, x - t, t, alpha)


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
