"""Conjugate beliefs about probabilities, which are updated by counting.

Notation: θ is what is believed about, x₁ … xₙ are observations, independent given θ; a, b are the
parameters of the prior. B is the beta function, Γ the gamma function, (a)ₙ = Γ(a + n)/Γ(a).

    beta_bernoulli          θ ~ Beta(a, b), x ~ Bernoulli(θ)
    beta_binomial           θ ~ Beta(a, b), k ~ Binomial(t, θ)
    dirichlet_categorical   θ ~ Dirichlet(α), x ~ Categorical(θ)

Each has three functions: ``…_posterior`` gives the parameters of p(θ | x₁ … xₙ), of the same kind
as the prior, so that it is the prior of what comes next; ``…_predictive`` the logarithm of
p(x) = ∫ p(x | θ) p(θ) dθ of each observation by itself; ``…_log_evidence`` that of
p(x₁ … xₙ) = ∏ₜ p(xₜ | x₁ … xₜ₋₁), of all together. All are in nats.

Parameters outside of their domain give nan. What cannot be observed, such as a negative count, has
the log-probability −∞, and leaves a posterior of nan. Counts are data, and have no derivative.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Real

from fnmath import _checks
from fnmath.bayes._arguments import (
    as_given,
    log_observed,
    numbers,
    one_more_axis,
    positive,
    scalars,
    whole,
)
from fnmath.bayes._log_rises import (
    deviance,
    log_share,
    rise_rest,
)
from fnmath.numerics._stirling import log_factorial_rest


class BetaParams(NamedTuple):
    """The parameters a, b > 0 of a beta density: successes and failures as if seen already."""

    a: Float[Array, "*batch"]
    b: Float[Array, "*batch"]


class DirichletParams(NamedTuple):
    """The concentrations α > 0 of a Dirichlet density: counts as if seen already."""

    concentration: Float[Array, "*batch classes"]


def _bits(function: str, x: Any, batch: tuple[int, ...]) -> jax.Array:
    """Outcomes 0 and 1, as numbers."""
    is_bool = isinstance(x, jax.Array) and x.dtype == jnp.bool_
    return jax.lax.stop_gradient(
        numbers(function, "x", x.astype(jnp.int32) if is_bool else x, batch)
    )


def beta_bernoulli_posterior(
    prior: BetaParams, x: Real[Array, "*batch n"] | Bool[Array, "*batch n"]
) -> BetaParams:
    """Posterior of the probability of success, from outcomes 0 and 1.

        a′ = a + Σᵢ xᵢ,    b′ = b + Σᵢ (1 − xᵢ)

    Gradient:
        ∂a′/∂a = ∂b′/∂b = 1

    Args:
        prior: The parameters of the prior.
        x: The outcomes, 0 or 1, or booleans; of none the posterior is the prior.

    Returns:
        The parameters of the posterior; nan where an outcome is neither, or the prior is none.

    Raises:
        TypeError: If the prior is none, or x holds no numbers.
        ValueError: If the shapes do not fit.

    Example:
        >>> uniform = BetaParams(jnp.array(1.0), jnp.array(1.0))
        >>> print(*beta_bernoulli_posterior(uniform, jnp.array([1, 1, 0, 1])))
        4.0 2.0

    Source:
        Gelman and others, Bayesian Data Analysis (2013), §2.4.
    """
    name = "beta_bernoulli_posterior"
    a, b = scalars(name, prior, BetaParams, "prior")
    bits = _bits(name, x, a.shape)
    known = positive(a, b) & ((bits == 0) | (bits == 1)).all(-1)
    after = (jnp.where(known, p, jnp.nan) for p in (a + bits.sum(-1), b + (1 - bits).sum(-1)))
    return as_given(prior, after)


def beta_bernoulli_predictive(
    params: BetaParams, x: Real[Array, "*batch n"] | Bool[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    """Log-probability, in nats, of a next outcome.

        log p(1) = log(a/(a + b)),    log p(0) = log(b/(a + b))

    Gradient:
        ∂ log p(1)/∂a = b/(a (a + b)),    ∂ log p(0)/∂a = −1/(a + b)

    Args:
        params: The parameters of the prior, or of a posterior.
        x: The outcomes, each by itself.

    Returns:
        One log-probability per outcome; −∞ for what is neither 0 nor 1.

    Raises:
        TypeError: If ``params`` are none, or x holds no numbers.
        ValueError: If the shapes do not fit.

    Example:
        >>> params = BetaParams(jnp.array(4.0), jnp.array(2.0))
        >>> print(f"{jnp.exp(beta_bernoulli_predictive(params, jnp.array([1])))[0]:.4f}")  # 4/6
        0.6667

    Source:
        Laplace's rule of succession; Gelman and others, Bayesian Data Analysis (2013), §2.4.
    """
    name = "beta_bernoulli_predictive"
    a, b = scalars(name, params, BetaParams, "params")
    bits = _bits(name, x, a.shape)
    a, b = (jnp.where(positive(a, b), p, jnp.nan)[..., None] for p in (a, b))
    log_p = jnp.where(bits == 1, log_share(a, b), log_share(b, a))
    log_p = log_observed((bits == 0) | (bits == 1), log_p, jnp.isnan(bits + a))
    return log_p.astype(jnp.result_type(params.a))


def _log_beta_ratio(a: jax.Array, b: jax.Array, k: jax.Array, f: jax.Array) -> jax.Array:
    """What log B(a + k, b + f)/B(a, b) has beyond k log m + f log(1 − m), m the posterior mean."""
    t, whole = a + b, (a + k) + (b + f)
    more = b * (k / whole) - a * (f / whole)
    far = deviance(a, t * ((a + k) / whole), more) + deviance(b, t * ((b + f) / whole), -more)
    return rise_rest(a, k) + rise_rest(b, f) - rise_rest(t, k + f) - far


def beta_bernoulli_log_evidence(
    prior: BetaParams, x: Real[Array, "*batch n"] | Bool[Array, "*batch n"]
) -> Float[Array, "*batch"]:
    """Logarithm of the probability of a sequence of outcomes, in nats, the probability unknown.

        log p(x₁ … xₙ) = log B(a + k, b + n − k) − log B(a, b),    k = Σᵢ xᵢ

    Gradient:
        ∂/∂a = ψ(a + k) − ψ(a) − ψ(a + b + n) + ψ(a + b),    ψ = (log Γ)′

    Args:
        prior: The parameters of the prior.
        x: The outcomes, 0 or 1, or booleans.

    Returns:
        One number per sequence, 0 of no outcomes; −∞ where an outcome is neither 0 nor 1.

    Raises:
        TypeError: If the prior is none, or x holds no numbers.
        ValueError: If the shapes do not fit.

    Example:
        >>> uniform = BetaParams(jnp.array(1.0), jnp.array(1.0))
        >>> print(f"{jnp.exp(-beta_bernoulli_log_evidence(uniform, jnp.array([1, 1, 0, 1]))):.3f}")
        20.000

    Source:
        MacKay, Information Theory, Inference, and Learning Algorithms (2003), §3.2.
    """
    name = "beta_bernoulli_log_evidence"
    a, b = scalars(name, prior, BetaParams, "prior")
    bits = _bits(name, x, a.shape)
    a, b = (jnp.where(positive(a, b), p, jnp.nan) for p in (a, b))
    k, f = bits.sum(-1), (1 - bits).sum(-1)
    valid = ((bits == 0) | (bits == 1)).all(-1)
    k, f = (jnp.where(valid, c, 0) for c in (k, f))
    log_p = _log_beta_ratio(a, b, k, f) + (
        k * log_share(a + k, b + f) + f * log_share(b + f, a + k)
    )
    log_p = log_observed(valid, log_p, jnp.isnan(bits).any(-1) | jnp.isnan(a))
    return log_p.astype(jnp.result_type(prior.a))


def _trials(function: str, k: Any, n: Any, batch: tuple[int, ...]) -> list[jax.Array]:
    """Successes and failures, as numbers."""
    _checks.real(function, successes=k, trials=n)
    _checks.same_shape(function, successes=k, trials=n)
    k, n = numbers(function, "successes", k, batch), numbers(function, "trials", n, batch)
    return [jax.lax.stop_gradient(c) for c in (k, n - k)]


def beta_binomial_posterior(
    prior: BetaParams, successes: Real[Array, "*batch n"], trials: Real[Array, "*batch n"]
) -> BetaParams:
    """Posterior of the probability of success, from successes among trials.

        a′ = a + Σᵢ kᵢ,    b′ = b + Σᵢ (tᵢ − kᵢ)

    Gradient:
        ∂a′/∂a = ∂b′/∂b = 1

    Args:
        prior: The parameters of the prior.
        successes: The numbers k of successes.
        trials: The numbers t of trials, of the same shape.

    Returns:
        The parameters of the posterior; nan where a count cannot be, or the prior is none.

    Raises:
        TypeError: If the prior is none, or a count no number.
        ValueError: If the shapes do not fit.

    Example:
        >>> prior = BetaParams(jnp.array(0.5), jnp.array(0.5))
        >>> print(*beta_binomial_posterior(prior, jnp.array([3, 7]), jnp.array([10, 10])))
        10.5 10.5

    Source:
        Gelman and others, Bayesian Data Analysis (2013), §2.4.
    """
    name = "beta_binomial_posterior"
    a, b = scalars(name, prior, BetaParams, "prior")
    k, f = _trials(name, successes, trials, a.shape)
    known = positive(a, b) & (whole(k) & whole(f)).all(-1)
    after = (jnp.where(known, p, jnp.nan) for p in (a + k.sum(-1), b + f.sum(-1)))
    return as_given(prior, after)


def _beta_binomial(a: jax.Array, b: jax.Array, k: jax.Array, f: jax.Array) -> jax.Array:
    """The log-probability of all successes k and failures f on the last axis."""
    valid = whole(k) & whole(f)
    missing = jnp.isnan(k + f).any(-1)
    k, f = (jnp.where(valid, c, 0) for c in (k, f))
    a, b = (jnp.where(positive(a, b), p, jnp.nan) for p in (a, b))
    up, down = a + k.sum(-1), b + f.sum(-1)
    m = (up / (up + down))[..., None], (down / (up + down))[..., None]
    t = k + f
    far = deviance(k, t * m[0]) + deviance(f, t * m[1])
    ways = log_factorial_rest(t) - log_factorial_rest(k) - log_factorial_rest(f)
    each = jnp.where(t == 0, 0, ways - jnp.where(t == 0, 0, far))
    log_p = _log_beta_ratio(a, b, k.sum(-1), f.sum(-1)) + each.sum(-1)
    return log_observed(valid.all(-1), log_p, missing | jnp.isnan(a))


def beta_binomial_predictive(
    params: BetaParams, successes: Real[Array, "*batch n"], trials: Real[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    """Log-probability, in nats, of a next number of successes: the beta-binomial distribution.

        log p(k) = log C(t, k) + log B(a + k, b + t − k) − log B(a, b)

    Gradient:
        ∂/∂a = ψ(a + k) − ψ(a) − ψ(a + b + t) + ψ(a + b),    ψ = (log Γ)′

    Args:
        params: The parameters of the prior, or of a posterior.
        successes: The numbers k of successes, each by itself.
        trials: The numbers t of trials, of the same shape.

    Returns:
        One log-probability per entry; −∞ for what cannot be.

    Raises:
        TypeError: If ``params`` are none, or a count no number.
        ValueError: If the shapes do not fit.

    Example:
        >>> params = BetaParams(jnp.array(1.0), jnp.array(1.0))  # all of 0 … 4 are as likely
        >>> p = jnp.exp(beta_binomial_predictive(params, jnp.array([0, 3]), jnp.array([4, 4])))
        >>> print(*(f"{a:.4f}" for a in p))
        0.2000 0.2000

    Source:
        Gelman and others, Bayesian Data Analysis (2013), appendix A; ``scipy.stats.betabinom``.
    """
    name = "beta_binomial_predictive"
    a, b = scalars(name, params, BetaParams, "params")
    k, f = _trials(name, successes, trials, a.shape)
    log_p = _beta_binomial(a[..., None], b[..., None], k[..., None], f[..., None])
    return log_p.astype(jnp.result_type(params.a))


def beta_binomial_log_evidence(
    prior: BetaParams, successes: Real[Array, "*batch n"], trials: Real[Array, "*batch n"]
) -> Float[Array, "*batch"]:
    """Logarithm of the probability of counted successes, in nats, their probability unknown.

        log p(k₁ … kₙ) = Σᵢ log C(tᵢ, kᵢ) + log B(a + K, b + T − K) − log B(a, b)

    with K = Σᵢ kᵢ, T = Σᵢ tᵢ.

    Gradient:
        ∂/∂a = ψ(a + K) − ψ(a) − ψ(a + b + T) + ψ(a + b),    ψ = (log Γ)′

    Args:
        prior: The parameters of the prior.
        successes: The numbers k of successes.
        trials: The numbers t of trials, of the same shape.

    Returns:
        One number per sequence, 0 of no counts; −∞ where a count cannot be.

    Raises:
        TypeError: If the prior is none, or a count no number.
        ValueError: If the shapes do not fit.

    Example:
        >>> uniform = BetaParams(jnp.array(1.0), jnp.array(1.0))
        >>> log_p = beta_binomial_log_evidence(uniform, jnp.array([3]), jnp.array([4]))
        >>> print(f"{jnp.exp(log_p):.3f}")
        0.200

    Source:
        Gelman and others, Bayesian Data Analysis (2013), §2.4 and appendix A.
    """
    name = "beta_binomial_log_evidence"
    a, b = scalars(name, prior, BetaParams, "prior")
    log_p = _beta_binomial(a, b, *_trials(name, successes, trials, a.shape))
    return log_p.astype(jnp.result_type(prior.a))


def _concentrations(function: str, params: Any, argument: str) -> jax.Array:
    """The concentrations, nan where one of them is not above 0."""
    (alpha,) = scalars(function, params, DirichletParams, argument)
    _checks.rank(function, "concentration", alpha, "classes")
    if not alpha.shape[-1]:
        _checks.fail(function, f"concentration {alpha.shape} has no classes")
    return jnp.where((alpha > 0).all(-1, keepdims=True), alpha, jnp.nan)


def _counted(function: str, alpha: jax.Array, labels: Any) -> jax.Array:
    """The number of labels of each class; nan where one is outside of the classes."""
    _checks.integer(function, labels=labels)
    one_more_axis(function, "labels", labels, alpha.shape[:-1])
    classes = alpha.shape[-1]
    known = _checks.labels_known(function, labels, classes)
    count = jnp.vectorize(lambda i: jnp.bincount(i, length=classes), signature="(n)->(k)")
    counts = count(jnp.where(known, labels, 0)) if jnp.shape(labels)[-1] else jnp.zeros(alpha.shape)
    return jnp.where(known.all(-1, keepdims=True), counts.astype(alpha.dtype), jnp.nan)


def dirichlet_categorical_posterior(
    prior: DirichletParams, labels: Int[Array, "*batch n"]
) -> DirichletParams:
    """Posterior of the probabilities of classes, from labels.

        α′ₖ = αₖ + nₖ,    nₖ the number of labels k

    Gradient:
        ∂α′ₖ/∂αₖ = 1

    Args:
        prior: The concentrations of the prior.
        labels: The classes that were observed, each from 0 to the last; of none the posterior is
            the prior.

    Returns:
        The concentrations of the posterior; nan where a label is outside, or the prior is none.

    Raises:
        TypeError: If the prior is none, or the labels are no integers.
        ValueError: If the shapes do not fit, or there are no classes.

    Example:
        >>> prior = DirichletParams(jnp.ones(3))
        >>> print(dirichlet_categorical_posterior(prior, jnp.array([0, 2, 2])).concentration)
        [2. 1. 3.]

    Source:
        Gelman and others, Bayesian Data Analysis (2013), §3.4.
    """
    name = "dirichlet_categorical_posterior"
    alpha = _concentrations(name, prior, "prior")
    return as_given(prior, [alpha + _counted(name, alpha, labels)])


def _others(x: jax.Array) -> jax.Array:
    """The sum of all entries but each one, of which none is subtracted."""
    return _shifted_sums(x) + _shifted_sums(x[..., ::-1])[..., ::-1]


def _shifted_sums(x: jax.Array) -> jax.Array:
    """The sum of the entries before each one."""
    return jnp.concatenate([jnp.zeros_like(x[..., :1]), jnp.cumsum(x[..., :-1], -1)], -1)


def dirichlet_categorical_predictive(
    params: DirichletParams, labels: Int[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    """Log-probability, in nats, of a next label.

        log p(k) = log(αₖ/Σⱼ αⱼ)

    Gradient:
        ∂ log p(k)/∂αⱼ = [j = k]/αₖ − 1/Σᵢ αᵢ

    Args:
        params: The concentrations of the prior, or of a posterior.
        labels: The labels, each by itself.

    Returns:
        One log-probability per label; nan for one outside of the classes.

    Raises:
        TypeError: If ``params`` are none, or the labels are no integers.
        ValueError: If the shapes do not fit, or there are no classes.

    Example:
        >>> params = DirichletParams(jnp.array([2.0, 1.0, 3.0]))
        >>> print(jnp.exp(dirichlet_categorical_predictive(params, jnp.array([2]))))
        [0.5]

    Source:
        MacKay, Information Theory, Inference, and Learning Algorithms (2003), §3.2.
    """
    name = "dirichlet_categorical_predictive"
    alpha = _concentrations(name, params, "params")
    _checks.integer(name, labels=labels)
    one_more_axis(name, "labels", labels, alpha.shape[:-1])
    known = _checks.labels_known(name, labels, alpha.shape[-1])
    log_p = log_share(alpha, _others(alpha))
    each = jnp.take_along_axis(log_p, jnp.where(known, labels, 0), -1)
    return jnp.where(known, each, jnp.nan).astype(jnp.result_type(params.concentration))


def dirichlet_categorical_log_evidence(
    prior: DirichletParams, labels: Int[Array, "*batch n"]
) -> Float[Array, "*batch"]:
    """Logarithm of the probability of a sequence of labels, in nats, their probabilities unknown.

        log p(x₁ … xₙ) = Σₖ log (αₖ)ₙₖ − log (α₀)ₙ,    α₀ = Σₖ αₖ

    Gradient:
        ∂/∂αₖ = ψ(αₖ + nₖ) − ψ(αₖ) − ψ(α₀ + n) + ψ(α₀),    ψ = (log Γ)′

    Args:
        prior: The concentrations of the prior.
        labels: The labels.

    Returns:
        One number per sequence, 0 of no labels; nan where a label is outside of the classes.

    Raises:
        TypeError: If the prior is none, or the labels are no integers.
        ValueError: If the shapes do not fit, or there are no classes.

    Example:
        >>> prior = DirichletParams(jnp.ones(3))
        >>> log_p = dirichlet_categorical_log_evidence(prior, jnp.array([0, 2, 2]))
        >>> print(f"{jnp.exp(-log_p):.3f}")  # 1/3 · 1/4 · 2/5
        30.000

    Source:
        Minka, Estimating a Dirichlet distribution (2000), §2.
    """
    name = "dirichlet_categorical_log_evidence"
    alpha = _concentrations(name, prior, "prior")
    n = _counted(name, alpha, labels)
    after, whole, total = alpha + n, alpha.sum(-1), n.sum(-1)
    all_after = after.sum(-1, keepdims=True)
    more = n * (_others(alpha) / all_after) - alpha * (_others(n) / all_after)
    far = jnp.sum(deviance(alpha, whole[..., None] * (after / all_after), more), -1)
    shares = jnp.sum(n * log_share(after, _others(after)), -1)
    log_p = shares + (rise_rest(alpha, n).sum(-1) - rise_rest(whole, total)) - far
    return log_p.astype(jnp.result_type(prior.concentration))
