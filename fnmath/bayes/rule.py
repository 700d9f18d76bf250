"""Bayes' theorem for hypotheses that can be counted.

Notation: h are the hypotheses, on the last axis, of which one is true; p(h) is the prior, p(x | h)
the likelihood of what was observed, p(x) its evidence, p(h | x) the posterior.

A prior that sums to 1 only to within √ε of its dtype counts as one; further off, or with a negative
entry, it is no distribution, and every answer is nan. A likelihood is a probability or a density:
it need not sum to 1, and is negative nowhere.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.numerics import logsumexp
from fnmath.numerics._shifted import shifted_log_softmax
from fnmath.statistics._samples import unit, wide


class Posterior(NamedTuple):
    """The posterior of each hypothesis, and the evidence of what was observed."""

    posterior: Float[Array, "*batch hypotheses"]
    evidence: Float[Array, "*batch"]


class LogPosterior(NamedTuple):
    """Their logarithms, in nats."""

    log_posterior: Float[Array, "*batch hypotheses"]
    log_evidence: Float[Array, "*batch"]


class LogPosteriors(NamedTuple):
    """The same before the first observation and after each."""

    log_posterior: Float[Array, "*batch moments hypotheses"]
    log_evidence: Float[Array, "*batch moments"]


def _hypotheses(function: str, argument: str, prior: Any) -> None:
    _checks.floating(function, **{argument: prior})
    _checks.rank(function, argument, prior, "hypotheses")
    if not jnp.shape(prior)[-1]:
        _checks.fail(function, f"{argument} {jnp.shape(prior)} has no hypotheses")


def _near_one(total: jax.Array, dtype: Any) -> jax.Array:
    return jnp.abs(total - 1) <= float(jnp.finfo(dtype).eps) ** 0.5


def bayes_rule(
    prior: Float[Array, "*batch hypotheses"],
    likelihood: Float[Array, "*batch hypotheses"],
) -> Posterior:
    """Posterior of hypotheses, and the evidence: Bayes' theorem.

        p(h | x) = p(x | h) p(h)/p(x),    p(x) = Σₕ p(x | h) p(h)

    The likelihoods are taken in units of the largest, so that no product underflows that matters.

    Gradient:
        ∂p(h | x)/∂p(x | h′) = p(h | x) ([h = h′] − p(h′ | x))/p(x | h′),    ∂p(x)/∂p(x | h) = p(h)

    Args:
        prior: The probabilities p(h), which sum to 1.
        likelihood: The probability or density p(x | h) ≥ 0 of the observation under each.

    Returns:
        The posterior, which is nan where no hypothesis allows what was observed, and the evidence,
        0 there. Both are nan where the prior is no distribution or a likelihood is negative.

    Raises:
        TypeError: If an argument is not floating-point.
        ValueError: If the shapes differ, or there are no hypotheses.

    Example:
        >>> ill = jnp.array([0.01, 0.99])  # one in a hundred is ill
        >>> positive = jnp.array([0.9, 0.05])  # what the test says of the ill, and of the others
        >>> posterior, evidence = bayes_rule(ill, positive)
        >>> print(*(f"{p:.4f}" for p in posterior), f"{evidence:.4f}")
        0.1538 0.8462 0.0585

    Source:
        Bayes, An essay towards solving a problem in the doctrine of chances (1763); MacKay,
        Information Theory, Inference, and Learning Algorithms (2003), §2.3.
    """
    name = "bayes_rule"
    _hypotheses(name, "prior", prior)
    _checks.floating(name, likelihood=likelihood)
    _checks.same_shape(name, prior=prior, likelihood=likelihood)
    p, ratio = wide(prior), wide(likelihood)
    total = jnp.sum(p, -1, keepdims=True)
    known = (p >= 0).all(-1, keepdims=True) & _near_one(total, jnp.result_type(prior))
    scale = unit(ratio, (-1,))
    joint = jnp.where(known, p, jnp.nan) * jnp.where(ratio >= 0, ratio / scale, jnp.nan)
    evidence = jnp.sum(joint, -1, keepdims=True)
    posterior = joint / evidence
    dtype = jnp.result_type(prior, likelihood)
    return Posterior(posterior.astype(dtype), (evidence * scale)[..., 0].astype(dtype))


def _known_log_prior(log_prior: jax.Array, dtype: Any) -> jax.Array:
    total = jnp.exp(logsumexp(log_prior, axis=-1, keepdims=True))
    return jnp.where(_near_one(total, dtype), log_prior, jnp.nan)


def _updated(log_prior: jax.Array, log_likelihood: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The logarithms of posterior and evidence; a density must be finite."""
    joint = log_prior + jnp.where(log_likelihood < jnp.inf, log_likelihood, jnp.nan)
    evidence = logsumexp(joint, axis=-1)
    allowed = (evidence > -jnp.inf)[..., None]
    return shifted_log_softmax(jnp.where(allowed, joint, jnp.nan), (-1,)), evidence


def log_bayes_rule(
    log_prior: Float[Array, "*batch hypotheses"],
    log_likelihood: Float[Array, "*batch hypotheses"],
) -> LogPosterior:
    """Bayes' theorem in logarithms, in nats, where likelihoods are too small for numbers.

        log p(h | x) = log p(x | h) + log p(h) − log p(x)
        log p(x) = log Σₕ exp(log p(x | h) + log p(h))

    Gradient:
        ∂ log p(h | x)/∂ log p(x | h′) = [h = h′] − p(h′ | x)
        ∂ log p(x)/∂ log p(x | h) = p(h | x)
        and the same by log p(h)

    Args:
        log_prior: The logarithms log p(h) of probabilities that sum to 1; −∞ for what cannot be.
        log_likelihood: The logarithms log p(x | h), below ∞; −∞ where h does not allow x.

    Returns:
        The logarithms of the posterior, nan where no hypothesis allows what was observed, and of
        the evidence, −∞ there. Both are nan where the prior is no distribution.

    Raises:
        TypeError: If an argument is not floating-point.
        ValueError: If the shapes differ, or there are no hypotheses.

    Example:
        >>> even = jnp.log(jnp.array([0.5, 0.5]))
        >>> log_posterior, log_evidence = log_bayes_rule(even, jnp.array([-2000.0, -2001.0]))
        >>> print(*(f"{p:.4f}" for p in jnp.exp(log_posterior)), f"{log_evidence:.2f}")
        0.7311 0.2689 -2000.38

    Source:
        MacKay, Information Theory, Inference, and Learning Algorithms (2003), §2.3.
    """
    name = "log_bayes_rule"
    _hypotheses(name, "log_prior", log_prior)
    _checks.floating(name, log_likelihood=log_likelihood)
    _checks.same_shape(name, log_prior=log_prior, log_likelihood=log_likelihood)
    prior = _known_log_prior(wide(log_prior), jnp.result_type(log_prior))
    dtype = jnp.result_type(log_prior, log_likelihood)
    return LogPosterior(*(a.astype(dtype) for a in _updated(prior, wide(log_likelihood))))


def sequential_log_bayes_rule(
    log_prior: Float[Array, "*batch hypotheses"],
    log_likelihoods: Float[Array, "*batch observations hypotheses"],
) -> LogPosteriors:
    """Bayes' theorem applied to one observation after the other, in nats: each posterior in turn.

        log p(h | x₁ … xₜ) = log p(xₜ | h) + log p(h | x₁ … xₜ₋₁) − log p(xₜ | x₁ … xₜ₋₁)
        log p(x₁ … xₜ) = Σₛ₌₁ᵗ log p(xₛ | x₁ … xₛ₋₁)

    which is the prior of tomorrow from the posterior of today, by ``jax.lax.scan``. The end is the
    same in whatever order independent observations come, and as of their product at once.

    Gradient:
        ∂ log p(x₁ … xₜ)/∂ log p(xₛ | h) = p(h | x₁ … xₜ) for s ≤ t, else 0

    Args:
        log_prior: The logarithms log p(h) of probabilities that sum to 1.
        log_likelihoods: The logarithms log p(xₜ | h) of each observation, those before it given.

    Returns:
        The logarithms of all posteriors, one more than observations: the first is the prior, which
        is also the answer to no data; and of the evidence of all observations so far, 0 at first.

    Raises:
        TypeError: If an argument is not floating-point.
        ValueError: If the shapes do not fit, or there are no hypotheses.

    Example:
        >>> coins = jnp.array([0.5, 0.9])  # the probability of heads: a fair coin, or a bent one
        >>> tosses = jnp.log(jnp.stack([coins, coins, 1 - coins]))  # heads, heads, tails
        >>> steps = sequential_log_bayes_rule(jnp.log(jnp.array([0.5, 0.5])), tosses)
        >>> print(*(f"{p:.3f}" for p in jnp.exp(steps.log_posterior[:, 0])))
        0.500 0.357 0.236 0.607

    Source:
        Jaynes, Probability Theory: The Logic of Science (2003), §4.2; MacKay, Information Theory,
        Inference, and Learning Algorithms (2003), §3.2.
    """
    name = "sequential_log_bayes_rule"
    _hypotheses(name, "log_prior", log_prior)
    _checks.floating(name, log_likelihoods=log_likelihoods)
    _checks.rank(name, "log_likelihoods", log_likelihoods, "observations hypotheses")
    shape, prior_shape = jnp.shape(log_likelihoods), jnp.shape(log_prior)
    if (*shape[:-2], shape[-1]) != prior_shape:
        wanted = ", ".join(map(str, (*prior_shape[:-1], "observations", prior_shape[-1])))
        _checks.fail(name, f"log_likelihoods has shape {shape}; wanted ({wanted})")
    dtype = jnp.result_type(log_prior, log_likelihoods)
    numbers = wide(jnp.asarray(log_likelihoods, dtype))
    prior = _known_log_prior(wide(log_prior), jnp.result_type(log_prior)).astype(numbers.dtype)
    start = prior, jnp.zeros(prior_shape[:-1], prior.dtype)

    def step(before: tuple[jax.Array, jax.Array], new: jax.Array) -> tuple[Any, Any]:
        posterior, evidence = _updated(before[0], new)
        after = posterior, before[1] + evidence
        return after, after

    _, later = jax.lax.scan(step, start, jnp.moveaxis(numbers, -2, 0))
    steps = [jnp.concatenate([a[None], b]).astype(dtype) for a, b in zip(start, later, strict=True)]
    return LogPosteriors(jnp.moveaxis(steps[0], 0, -2), jnp.moveaxis(steps[1], 0, -1))
