"""Likelihoods as losses: how surprised, in nats, a predicted distribution is by its target.

Each returns one number per entry, the negative logarithm of the density or probability; entries
that are independent given the prediction are for the caller to sum.

Notation: y is a prediction, t its target, r = y − t; s is a variance and v the same, not below its
floor; μ is the mean of a count.

    gaussian_nll_loss    ½ (log v + r²/v)
    poisson_nll_loss     μ − t log μ

Such sums cancel, because a density may be 1 and a mean what was counted. So they are summed as
pairs of numbers, in ``fnmath.numerics._pairs``.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.numerics import with_derivatives
from fnmath.numerics._pairs import Pair, exp_pair, log_pair, product, quotient, total, two_sum
from fnmath.numerics._wide import computed_wide

LOG_2_PI = math.log(2 * math.pi)


def _check(function: str, predictions: Any, targets: Any) -> None:
    _checks.floating(function, predictions=predictions, targets=targets)
    _checks.same_shape(function, predictions=predictions, targets=targets)


def _check_parameter(
    function: str, argument: str, x: Any, predictions: Any, *, name: str = "predictions", **of: Any
) -> None:
    """Raise unless the parameter is a number in its interval, or an array that fits."""
    _checks.number(function, argument, x, **of)
    _checks.broadcasts_to(function, argument, x, name, predictions)


def _loss(function: Any, predictions: Any, *others: Any) -> Array:
    """The loss computed in float32 at least; parameters take the precision of the predictions."""
    dtype = jnp.result_type(predictions, *others[:1])

    def of_wide(y: Array) -> Array:
        return function(y, *(jnp.asarray(x, y.dtype) for x in others))

    return computed_wide(of_wide, jnp.asarray(predictions, dtype))


def _one(s: jax.Array, floor: jax.Array) -> jax.Array:
    return jnp.ones_like(s)


@with_derivatives(_one, None)
def _floored(s: jax.Array, floor: jax.Array) -> jax.Array:
    """The larger of s and the floor, nan where s < 0; its derivative knows no floor."""
    return jnp.where((s >= 0) & (floor > 0), jnp.maximum(s, floor), jnp.nan)


def _standardised(y: jax.Array, t: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
    """The quotient r²/v as an exact product and what it lacks, and r/v."""
    r, r_tail = two_sum(y, -t)
    q, q_tail = quotient(r, v)
    exact, rest = product(r, q)
    rest = rest + (r * q_tail + 2 * q * r_tail)
    return exact, jnp.where(jnp.isfinite(rest), rest, 0), q


def _gaussian_bend(y: jax.Array, t: jax.Array, v: jax.Array) -> jax.Array:
    q = (y - t) / v
    return q * q / v - 0.5 / (v * v)


def _gaussian_cross(y: jax.Array, t: jax.Array, v: jax.Array) -> jax.Array:
    return (t - y) / v / v


@with_derivatives(_gaussian_cross, lambda y, t, v: -_gaussian_cross(y, t, v), _gaussian_bend)
def _gaussian_by_variance(y: jax.Array, t: jax.Array, v: jax.Array) -> jax.Array:
    """½ (1 − r²/v)/v, which cancels where the residual is what the variance foretells."""
    exact, rest, q = _standardised(y, t, v)
    near = 0.5 * total(jnp.ones_like(v), -exact, -rest) / v
    return jnp.where(exact < 4, near, 0.5 / v - 0.5 * q * q)


@with_derivatives(
    lambda y, t, v, constant: (y - t) / v,
    lambda y, t, v, constant: (t - y) / v,
    lambda y, t, v, constant: _gaussian_by_variance(y, t, v),
    None,
)
def _gaussian(y: jax.Array, t: jax.Array, v: jax.Array, constant: jax.Array) -> jax.Array:
    exact, rest, _ = _standardised(y, t, v)
    log_v, tail = log_pair(v)
    return 0.5 * total(exact, log_v, constant, tail + rest)


def gaussian_nll_loss(
    predictions: Float[Array, "*batch"],
    targets: Float[Array, "*batch"],
    variances: float | Float[Array, "..."],
    *,
    full: bool = False,
    eps: float | Float[Array, "..."] = 1e-6,
) -> Float[Array, "*batch"]:
    """Negative log-likelihood, in nats, of a target under a normal of predicted mean and variance.

        ℓ(y, t, s) = ½ (log v + r²/v),    r = y − t,    v = max(s, ε)

    and ½ log 2π more where ``full``. The two terms have opposite signs where v < 1, and so do those
    of the gradient anywhere; both are summed in twice the precision.

    Gradient:
        ∂ℓ/∂y = r/v = −∂ℓ/∂t,    ∂ℓ/∂s = ½ (1 − r²/v)/v
        taken at v below the floor too, as in PyTorch, so that a variance can leave it again.

    Args:
        predictions: The means y.
        targets: The targets t, of the same shape.
        variances: The variances s ≥ 0, in the square of the units of y; an array must broadcast to
            the shape of y, and gives nan where it is below 0.
        full: Whether to add the constant, which makes it the logarithm of a density.
        eps: The floor ε > 0 of the variance.

    Returns:
        One loss per entry, in nats.

    Raises:
        TypeError: If an argument is not a floating-point array, or ``full`` not a boolean.
        ValueError: If the shapes differ, s is a number below 0 or does not broadcast, or ε ≤ 0.

    Example:
        >>> y, t, s = jnp.array([1.0, 1.0]), jnp.array([1.0, 3.0]), jnp.array([1.0, 4.0])
        >>> print(gaussian_nll_loss(y, t, s))  # 0 and ½ (log 4 + 1)
        [0.        1.1931472]

    Source:
        Nix and Weigend, Estimating the mean and variance of the target probability distribution
        (1994), §2; ``gaussian_nll_loss`` of PyTorch.
    """
    name = "gaussian_nll_loss"
    _check(name, predictions, targets)
    _check_parameter(name, "variances", variances, predictions, above=0, closed="[")
    _checks.boolean(name, "full", full)
    _check_parameter(name, "eps", eps, predictions, above=0)

    def loss(y: Array, t: Array, s: Array) -> Array:
        v = _floored(s, jnp.asarray(eps, s.dtype))
        return _gaussian(y, t, v, jnp.asarray(LOG_2_PI if full else 0, y.dtype))

    return _loss(loss, predictions, targets, variances)


def _count(t: jax.Array) -> jax.Array:
    """The count, nan where it is below 0."""
    return jnp.where(t >= 0, t, jnp.nan)


def _stirling_terms(t: jax.Array) -> list[jax.Array]:
    """Stirling's t log t − t + ½ log 2πt where t > 1, to be summed; nothing elsewhere."""
    above = jnp.where(t > 1, t, 1)
    log_t, tail = log_pair(above)
    exact, rest = product(above, log_t)
    terms = [exact, -above, 0.5 * log_t, rest + (above + 0.5) * tail + 0.5 * LOG_2_PI]
    return [jnp.where(t > 1, term, 0) for term in terms]


def _stirling_by_count(t: jax.Array) -> jax.Array:
    above = jnp.where(t > 1, t, 1)
    return jnp.where(t > 1, jnp.log(above) + 0.5 / above, 0)


def _mean_less_log(mu: Pair, log_mu: Pair, t: jax.Array) -> list[jax.Array]:
    """The mean μ and −t log μ, to be summed; 0 · log 0 = 0."""
    head, tail = (jnp.where(t == 0, 0, part) for part in log_mu)
    exact, rest = product(-t, head)
    return [mu[0], exact, (mu[1] - t * tail) + rest]


def _terms_of_log(x: jax.Array, t: jax.Array) -> list[jax.Array]:
    mean = exp_pair(x)
    t = jnp.where(mean[0] == jnp.inf, 0 * t, _count(t))  # beside such a mean no count matters
    return _mean_less_log(mean, (x, jnp.zeros_like(x)), t)


@with_derivatives(lambda x, t: jnp.exp(x), lambda x, t: -jnp.ones_like(x))
def _poisson_of_log_slope(x: jax.Array, t: jax.Array) -> jax.Array:
    E, tail = exp_pair(x)
    return (E - _count(t)) + tail


@with_derivatives(_poisson_of_log_slope, lambda x, t: -x)
def _poisson_of_log(x: jax.Array, t: jax.Array) -> jax.Array:
    return total(*_terms_of_log(x, t))


@with_derivatives(_poisson_of_log_slope, lambda x, t: _stirling_by_count(t) - x)
def _full_poisson_of_log(x: jax.Array, t: jax.Array) -> jax.Array:
    return total(*_terms_of_log(x, t), *_stirling_terms(t))


def _shifted(x: jax.Array, eps: jax.Array) -> Pair:
    """The sum x + ε, nan where x < 0."""
    s, tail = two_sum(jnp.where((x >= 0) & (eps >= 0), x, jnp.nan), eps)
    return s, jnp.where(jnp.isinf(s), 0, tail)


def _terms_of_mean(x: jax.Array, t: jax.Array, eps: jax.Array) -> list[jax.Array]:
    s, tail = _shifted(x, eps)
    log_s, log_tail = log_pair(s)
    t = jnp.where(x == jnp.inf, 0 * t, _count(t))
    mean = jnp.where(x >= 0, x, jnp.nan)
    return _mean_less_log((mean, jnp.zeros_like(x)), (log_s, log_tail + tail / s), t)


def _poisson_of_mean_bend(x: jax.Array, t: jax.Array, eps: jax.Array) -> jax.Array:
    return t / (x + eps) / (x + eps)


@with_derivatives(_poisson_of_mean_bend, lambda x, t, eps: -1 / (x + eps), None)
def _poisson_of_mean_slope(x: jax.Array, t: jax.Array, eps: jax.Array) -> jax.Array:
    """The slope 1 − t/(x + ε), whose parts are alike where the mean is what was counted."""
    (s, tail), t = _shifted(x, eps), _count(t)
    return jnp.where(t < 0.5 * s, 1 - t / s, ((s - t) + tail) / s)


@with_derivatives(_poisson_of_mean_slope, lambda x, t, eps: -jnp.log(x + eps), None)
def _poisson_of_mean(x: jax.Array, t: jax.Array, eps: jax.Array) -> jax.Array:
    return total(*_terms_of_mean(x, t, eps))


@with_derivatives(
    _poisson_of_mean_slope, lambda x, t, eps: _stirling_by_count(t) - jnp.log(x + eps), None
)
def _full_poisson_of_mean(x: jax.Array, t: jax.Array, eps: jax.Array) -> jax.Array:
    return total(*_terms_of_mean(x, t, eps), *_stirling_terms(t))


def poisson_nll_loss(
    predictions: Float[Array, "*batch"],
    targets: Float[Array, "*batch"],
    *,
    log_input: bool = True,
    full: bool = False,
    eps: float | Float[Array, "..."] = 1e-8,
) -> Float[Array, "*batch"]:
    """Negative log-likelihood, in nats, of a count under a Poisson law of predicted mean.

        ℓ(y, t) = exp(y) − t y          where y is the logarithm of the mean
                  y − t log(y + ε)      where it is the mean itself (``log_input=False``)

    and, where ``full`` and t > 1, Stirling's t log t − t + ½ log 2πt more for log t!, which does
    not depend on y. The sums, and the gradient's difference, are taken in twice the precision.

    Gradient:
        ∂ℓ/∂y = exp(y) − t,           ∂ℓ/∂t = −y
        ∂ℓ/∂y = 1 − t/(y + ε),        ∂ℓ/∂t = −log(y + ε)        (``log_input=False``)
        and log t + 1/(2t) more in ∂ℓ/∂t where ``full`` and t > 1.

    Args:
        predictions: The logarithms y of the means, or the means, y ≥ 0; nan is returned below.
        targets: The counts t ≥ 0, of the same shape, as floating-point numbers; nan is returned
            below 0.
        log_input: Whether the predictions are logarithms.
        full: Whether to add what makes the loss a likelihood, nearly.
        eps: The ε ≥ 0 that keeps the logarithm of a mean 0 finite.

    Returns:
        One loss per entry, in nats.

    Raises:
        TypeError: If an argument is not a floating-point array, or an option not a boolean.
        ValueError: If the shapes differ, or ε is below 0.

    Example:
        >>> print(poisson_nll_loss(jnp.log(jnp.array([2.0, 2.0])), jnp.array([0.0, 2.0])))
        [2.         0.61370564]

    Source:
        McCullagh and Nelder, Generalized Linear Models (1989), §6.2; ``poisson_nll_loss`` of
        PyTorch.
    """
    name = "poisson_nll_loss"
    _check(name, predictions, targets)
    _checks.boolean(name, "log_input", log_input)
    _checks.boolean(name, "full", full)
    _check_parameter(name, "eps", eps, predictions, above=0, closed="[")
    if log_input:
        loss = _full_poisson_of_log if full else _poisson_of_log
        return _loss(loss, predictions, targets)
    loss = _full_poisson_of_mean if full else _poisson_of_mean
    return _loss(loss, predictions, targets, eps)
