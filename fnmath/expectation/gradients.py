"""Gradients of expectations whose distribution depends on the parameters.

Notation: θ are the parameters, a pytree; x a draw from p(x; θ); J(θ) = E f(x); s = ∂ log p/∂θ is
the score, of mean 0.

    reparameterised_gradient    x = x(ε; θ), ε without parameters: ∂J/∂θ = E f′(x) ∂x/∂θ
    score_function_gradient     ∂J/∂θ = E (f(x) − b) s, which needs no derivative of f

The first usually varies far less, and needs a smooth f and a draw that differentiates; the second
takes any f, discrete x too, and lives by its baseline b.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree

from fnmath import _checks
from fnmath.expectation._estimates import Estimate, estimate, values

BASELINES = ("none", "leave_one_out", "optimal")


class GradientEstimate(NamedTuple):
    """The expectation, and its gradient, each with a standard error."""

    expectation: Estimate
    gradient: PyTree[Array]
    standard_error: PyTree[Array]


def _checked(function: str, key: Any, f: Any, params: Any, sampler: Any, samples: Any) -> jax.Array:
    """The keys of the draws."""
    _checks.key(function, key)
    _checks.function(function, "f", f)
    _checks.function(function, "sampler", sampler)
    _checks.size(function, minimum=3, samples=samples)
    for leaf in jax.tree.leaves(params):
        _checks.floating(function, params=leaf)
    return jax.random.split(key, samples)


def _one_number(function: str, argument: str, y: jax.Array) -> jax.Array:
    if y.ndim != 1:
        _checks.fail(function, f"{argument} gives shape {y.shape[1:]}; wanted one number")
    return y


def _of(y: jax.Array, slopes: Any, cost: int) -> GradientEstimate:
    """The means and standard errors of values and slopes."""
    both = jax.tree.map(lambda g: estimate(g, cost=cost), slopes)
    is_estimate = lambda e: isinstance(e, Estimate)  # noqa: E731
    gradient, error = (
        jax.tree.map(lambda e, i=i: e[i], both, is_leaf=is_estimate) for i in range(2)
    )
    return GradientEstimate(estimate(y), gradient, error)


def reparameterised_gradient(
    key: Key[Array, ""],
    f: Callable[[Any], Array],
    params: PyTree[Array],
    sampler: Callable[[Array, Any], Any],
    *,
    samples: int,
) -> GradientEstimate:
    """Gradient of an expectation, by the derivative of the draws: the pathwise estimate.

        ∂J/∂θ ≈ 1/n Σᵢ ∂f(x(εᵢ; θ))/∂θ

    Gradient:
        second derivatives of the draws

    Args:
        key: The random key.
        f: A smooth function of one draw, which gives one number.
        params: The parameters θ, a pytree of floating-point arrays.
        sampler: A function of a key and the parameters, which gives one draw x(ε; θ), smooth in θ.
        samples: The number n of draws, at least 3.

    Returns:
        The expectation with its standard error, and the gradient and its, as trees like θ.

    Raises:
        TypeError: If the key is none, an argument no function, or an array not floating-point.
        ValueError: If there are too few samples, or f gives no single number.

    Example:
        >>> def normal(key, theta):
        ...     return theta + jax.random.normal(key)
        >>> ours = reparameterised_gradient(
        ...     jax.random.key(0), jnp.square, jnp.array(3.0), normal, samples=1000
        ... )
        >>> print(bool(jnp.abs(ours.gradient - 6) < 4 * ours.standard_error))  # of θ² + 1
        True

    Source:
        Kingma and Welling, Auto-encoding variational Bayes (2014), §2.4; Mohamed and others, Monte
        Carlo gradient estimation in machine learning (2020), §5.
    """
    name = "reparameterised_gradient"
    keys = _checked(name, key, f, params, sampler, samples)
    draws = jax.vmap(sampler, (0, None))(keys, params)
    y = _one_number(name, "f", values(name, "f", f, draws))
    slopes = jax.vmap(jax.grad(lambda p, key: f(sampler(key, p))), (None, 0))(params, keys)
    return _of(y, slopes, 1)


def score_function_gradient(
    key: Key[Array, ""],
    f: Callable[[Any], Array],
    params: PyTree[Array],
    sampler: Callable[[Array, Any], Any],
    *,
    log_density: Callable[[Any, Any], Array],
    samples: int,
    baseline: str = "leave_one_out",
) -> GradientEstimate:
    """Gradient of an expectation, by the score of the draws: REINFORCE with a baseline.

        ∂J/∂θ ≈ 1/n Σᵢ (f(xᵢ) − bᵢ) s(xᵢ)
        bᵢ = 0 ("none"),    bᵢ = mean of f over the others ("leave_one_out")
        b = Σⱼ fⱼ sⱼ²/Σⱼ sⱼ², for each parameter ("optimal")

    The first two have no bias, the third one of 1/n, for the least variance. f is not
    differentiated: it may count, or be a reward from elsewhere.

    Args:
        key: The random key.
        f: A function of one draw, which gives one number.
        params: The parameters θ, a pytree of floating-point arrays.
        sampler: A function of a key and the parameters, which gives one draw; it is not
            differentiated.
        log_density: A function of the parameters and one draw, log p(x; θ).
        samples: The number n of draws, at least 3.
        baseline: ``"none"``, ``"leave_one_out"`` or ``"optimal"``.

    Returns:
        The expectation with its standard error, and the gradient and its, as trees like θ.

    Raises:
        TypeError: If the key is none, an argument no function, or an array not floating-point.
        ValueError: If there are too few samples, the baseline is unknown, or f or the log-density
            gives no single number.

    Example:
        >>> def toss(key, z):
        ...     return jax.random.bernoulli(key, jax.nn.sigmoid(z))
        >>> def log_p(z, x):
        ...     return jnp.where(x, jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z))
        >>> ours = score_function_gradient(
        ...     jax.random.key(0), lambda x: 2.0 * x, jnp.array(0.0), toss,
        ...     log_density=log_p, samples=1000,
        ... )
        >>> print(bool(jnp.abs(ours.gradient - 0.5) < 4 * ours.standard_error + 0.01))
        True

    Source:
        Williams, Simple statistical gradient-following algorithms (1992), §4; Mohamed and others,
        Monte Carlo gradient estimation in machine learning (2020), §4 and §7.4.
    """
    name = "score_function_gradient"
    keys = _checked(name, key, f, params, sampler, samples)
    _checks.function(name, "log_density", log_density)
    _checks.option(name, "baseline", baseline, BASELINES)
    params = jax.tree.map(jnp.asarray, params)
    draws = jax.lax.stop_gradient(jax.vmap(sampler, (0, None))(keys, params))
    y = _one_number(name, "f", values(name, "f", f, draws))
    log_p = values(name, "log_density", lambda x: log_density(params, x), draws)
    _one_number(name, "log_density", log_p)
    scores = jax.vmap(jax.grad(log_density), (None, 0))(params, draws)
    less = {"none": lambda y, s: y, "leave_one_out": _left_out, "optimal": _least}[baseline]

    def slopes(s: jax.Array) -> jax.Array:
        column = y.reshape(-1, *(1,) * (s.ndim - 1)).astype(s.dtype)
        return less(column, s) * s

    return _of(y, jax.tree.map(slopes, scores), 1 if baseline == "none" else 2)


def _left_out(y: jax.Array, s: jax.Array) -> jax.Array:
    """Each value less the mean of the others, n/(n − 1) times that less the mean of all."""
    n = y.shape[0]
    return (y - y.mean(0)) * (n / (n - 1))


def _least(y: jax.Array, s: jax.Array) -> jax.Array:
    """Each value less the mean that is weighted by the squares of the scores."""
    square = jnp.square(s)
    total = square.sum(0)
    return y - (square * y).sum(0) / jnp.where(total > 0, total, 1)
