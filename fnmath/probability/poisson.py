"""Poisson's law: counts of what happens independently at a constant rate.

Notation: μ is the mean, k a count; P(a, z) and Q(a, z) are the regularised
incomplete gamma functions.

    P(k) = μᵏ exp(−μ)/k!,    k = 0, 1, 2, …

A mean below 0 gives nan everywhere; k that is no count has probability 0.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PRNGKeyArray

from fnmath import _checks
from fnmath.probability import _gamma_tails as _tails
from fnmath.probability._counts import count_quantile, entropy_of_counts, is_count
from fnmath.probability._evaluation import (
    evaluated,
    floating_dtype,
    observations,
    sample_shape,
    score_of,
    symmetric,
)
from fnmath.probability._information import poisson_kl


def _valid(mu: jax.Array, value: jax.Array) -> jax.Array:
    """The value, nan where the mean is below 0."""
    return jnp.where(mu >= 0, value, jnp.nan)


def _at_counts(density, otherwise: float):
    """The function of k and μ that the gamma density of shape k + 1 is at μ."""

    def function(k: jax.Array, mu: jax.Array) -> jax.Array:
        known = (k >= 0) & (k < jnp.inf) & is_count(k)
        value = density(mu, jnp.where(known, k, 0) + 1, jnp.ones_like(mu))
        return _valid(mu, jnp.where(known, value, jnp.where(jnp.isnan(k), jnp.nan, otherwise)))

    return function


def _tail(kind: str):
    """What is asked of the tails: Q(k + 1, μ) is the lower one."""
    side = kind.replace("lower", "above").replace("upper", "lower").replace("above", "upper")
    otherwise = (0.0, 1.0) if kind.endswith("lower") else (1.0, 0.0)

    def function(k: jax.Array, mu: jax.Array) -> jax.Array:
        known = (k >= 0) & (k < jnp.inf)
        below, beyond = (
            jnp.log(jnp.asarray(p)) if kind.startswith("log") else p for p in otherwise
        )
        ends = jnp.where(k < 0, below, jnp.where(k == jnp.inf, beyond, jnp.nan))
        shape = jnp.floor(jnp.where(known, k, 0)) + 1
        value = _tails.tail_function(side)(mu, shape, jnp.ones_like(mu))
        return _valid(mu, jnp.where(known, value, ends))

    return function


def _quantile(q: jax.Array, mu: jax.Array, small: jax.Array, target: jax.Array) -> jax.Array:
    """The least count of which the lower tail is no less, or the upper no more, than the target."""
    mu, target = jax.lax.stop_gradient((mu, target))

    def reaches(k: jax.Array) -> jax.Array:
        upper, lower = _tails.both(mu, k + 1, jnp.ones_like(mu))
        return jnp.where(small, lower >= target, upper <= target)

    last = jnp.full_like(mu, 2.0**31)
    probability = jnp.where(small, target, 1 - target)
    k = count_quantile(probability, reaches, mu, jnp.sqrt(mu), last)
    return _valid(mu, jnp.where((q >= 0) & (q <= 1), k, jnp.nan))


def _ppf(q: jax.Array, mu: jax.Array) -> jax.Array:
    k = _quantile(q, mu, q <= 0.5, jnp.where(q <= 0.5, q, 1 - q))
    return jnp.where(
        q == 0, _valid(mu, jnp.full_like(mu, -1)), jnp.where((q == 1) & (mu > 0), jnp.inf, k)
    )


def _isf(q: jax.Array, mu: jax.Array) -> jax.Array:
    k = _quantile(q, mu, q > 0.5, jnp.where(q > 0.5, 1 - q, q))
    return jnp.where(
        q == 1, _valid(mu, jnp.full_like(mu, -1)), jnp.where((q == 0) & (mu > 0), jnp.inf, k)
    )


def _entropy(mu: jax.Array) -> jax.Array:
    some = jnp.where(mu > 0, mu, 1)

    def log_pmf(k):
        return _tails.log_density(jnp.broadcast_to(some, k.shape), k + 1, jnp.ones_like(k))

    value = entropy_of_counts(log_pmf, some, jnp.sqrt(some), jnp.full_like(mu, jnp.inf))
    return _valid(mu, jnp.where(mu > 0, value, 0))


def _kl(mu_p: jax.Array, mu_q: jax.Array) -> jax.Array:
    return _valid(mu_p, _valid(mu_q, poisson_kl(mu_p, mu_q)))


def pmf(k: ArrayLike, mu: ArrayLike) -> Float[Array, "..."]:
    """Probability of a count under Poisson's law.

        P(k) = μᵏ exp(−μ)/k!

    Gradient:
        ∂P/∂θ = P(k) ∂ log P/∂θ        as in ``logpmf``

    Args:
        k: The count, an integer or a whole number; other numbers have probability 0.
        mu: The mean μ ≥ 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pmf(3, 2.5):.6g}")
        0.213763

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """
    return evaluated("pmf", _at_counts(_tails.density, 0.0), k=k, mu=mu)


def logpmf(k: ArrayLike, mu: ArrayLike) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability of a count under Poisson's law.

        log P(k) = k log μ − μ − log k!

    Gradient:
        ∂/∂μ = k/μ − 1

    Args:
        k: The count, an integer or a whole number; other numbers have probability 0.
        mu: The mean μ ≥ 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpmf(3, 2.5):.6g}")
        -1.54289

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """
    return evaluated("logpmf", _at_counts(_tails.log_density, -jnp.inf), k=k, mu=mu)


def cdf(k: ArrayLike, mu: ArrayLike) -> Float[Array, "..."]:
    """Probability, under Poisson's law, of at most k.

        F(k) = Q(k + 1, μ)

    Gradient:
        ∂F/∂μ = −P(k)

    Args:
        k: The count, an integer or a whole number; other numbers have probability 0.
        mu: The mean μ ≥ 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(3, 2.5):.6g}")
        0.757576

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """
    return evaluated("cdf", _tail("lower"), k=k, mu=mu)


def logcdf(k: ArrayLike, mu: ArrayLike) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability, under Poisson's law, of at most k.

        log F(k)        right where F itself is below all numbers

    Gradient:
        ∂ log F/∂θ = (∂F/∂θ)/F(k)

    Args:
        k: The count, an integer or a whole number; other numbers have probability 0.
        mu: The mean μ ≥ 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(3, 2.5):.6g}")
        -0.277631

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """
    return evaluated("logcdf", _tail("log_lower"), k=k, mu=mu)


def sf(k: ArrayLike, mu: ArrayLike) -> Float[Array, "..."]:
    """Probability, under Poisson's law, of more than k.

        1 − F(k)        right to the last place where it is small

    Gradient:
        ∂(1 − F)/∂θ = −∂F/∂θ        as in ``cdf``

    Args:
        k: The count, an integer or a whole number; other numbers have probability 0.
        mu: The mean μ ≥ 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(3, 2.5):.6g}")
        0.242424

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """
    return evaluated("sf", _tail("upper"), k=k, mu=mu)


def logsf(k: ArrayLike, mu: ArrayLike) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability, under Poisson's law, of more than k.

        log(1 − F(k))        right where 1 − F itself is below all numbers

    Gradient:
        ∂ log(1 − F)/∂θ = −(∂F/∂θ)/(1 − F(k))

    Args:
        k: The count, an integer or a whole number; other numbers have probability 0.
        mu: The mean μ ≥ 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(3, 2.5):.6g}")
        -1.41707

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """
    return evaluated("logsf", _tail("log_upper"), k=k, mu=mu)


def ppf(q: ArrayLike, mu: ArrayLike) -> Float[Array, "..."]:
    """Quantile of Poisson's law.

        min {k : F(k) ≥ q}        −1 for q = 0, as in SciPy

    Gradient:
        0, the quantile being a step function of everything

    Args:
        q: The probability q, 0 ≤ q ≤ 1; nan is returned elsewhere.
        mu: The mean μ ≥ 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.5, 2.5):.6g}")
        2

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """
    return evaluated("ppf", _ppf, q=q, mu=mu)


def isf(q: ArrayLike, mu: ArrayLike) -> Float[Array, "..."]:
    """Quantile from above of Poisson's law.

        min {k : 1 − F(k) ≤ q}

    Gradient:
        0, the quantile being a step function of everything

    Args:
        q: The probability q, 0 ≤ q ≤ 1; nan is returned elsewhere.
        mu: The mean μ ≥ 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.5, 2.5):.6g}")
        2

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """
    return evaluated("isf", _isf, q=q, mu=mu)


def mean(mu: ArrayLike) -> Float[Array, "..."]:
    """Mean of Poisson's law.

        μ

    Gradient:
        1

    Args:
        mu: The mean μ ≥ 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(2.5):.6g}")
        2.5

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """
    return evaluated("mean", lambda mu: _valid(mu, mu), mu=mu)


def variance(mu: ArrayLike) -> Float[Array, "..."]:
    """Variance of Poisson's law.

        μ

    Gradient:
        1

    Args:
        mu: The mean μ ≥ 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(2.5):.6g}")
        2.5

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """
    return evaluated("variance", lambda mu: _valid(mu, mu), mu=mu)


def mode(mu: ArrayLike) -> Float[Array, "..."]:
    """Mode of Poisson's law.

        ⌊μ⌋

    The larger of two modes, for a whole μ.

    Args:
        mu: The mean μ ≥ 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(2.5):.6g}")
        2

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """
    return evaluated("mode", lambda mu: _valid(mu, jnp.floor(mu)), mu=mu)


def entropy(mu: ArrayLike) -> Float[Array, "..."]:
    """Entropy, in nats, of Poisson's law.

        −Σₖ P(k) log P(k)

    The sum itself up to σ = 8, and beyond that the same with steps of σ/8, which errs by less than
    rounding does.

    Args:
        mu: The mean μ ≥ 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(2.5):.6g}")
        1.83073

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """
    return evaluated("entropy", _entropy, mu=mu)


def kl(mu_p: ArrayLike, mu_q: ArrayLike) -> Float[Array, "..."]:
    """Divergence KL(p ‖ q), in nats, of one of two of Poisson's laws from another.

        μ log(μ/ν) − μ + ν

    Gradient:
        ∂/∂μ = log(μ/ν),    ∂/∂ν = 1 − μ/ν

    Args:
        mu_p: The mean μ of p.
        mu_q: The mean ν of q.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(1.0, 2.0):.6g}")
        0.306853

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """
    return evaluated("kl", _kl, mu_p=mu_p, mu_q=mu_q)


def sample(
    key: PRNGKeyArray, mu: ArrayLike, *, shape: tuple[int, ...] | None = None
) -> Int[Array, "..."]:
    """Random numbers drawn from Poisson's law.

    Not differentiable, the draws being integers.

    Args:
        key: The random key.
        mu: The mean μ ≥ 0; nan is returned elsewhere.
        shape: The shape of what is drawn, to which the parameters must broadcast; by default it
            is theirs.

    Returns:
        The draws, independent of each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> draws = sample(jax.random.key(0), 2.5, shape=(2000,))
        >>> print(f"{draws.mean():.1f}")
        2.5

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """
    shape = sample_shape("sample", shape, mu=mu)
    _checks.key("sample", key)
    mu = jnp.asarray(mu, jnp.promote_types(floating_dtype(mu), jnp.float32))
    return jax.random.poisson(key, mu, shape, jnp.int32)


def fit(k: ArrayLike, *, weights: ArrayLike | None = None) -> Float[Array, "*batch"]:
    """Parameters of Poisson's law that make observations most likely.

        μ = mean k

    Args:
        k: The counts, on the last axis.
        weights: How much each observation counts, weights ≥ 0 that broadcast with the
            observations; by default all count 1.

    Returns:
        The means μ.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fit(jnp.array([1, 2, 4])).round(4))
        2.3332999

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """
    k, w = observations("fit", weights, k=k)
    return jnp.sum(w * k, -1)


def score(k: ArrayLike, mu: ArrayLike) -> Float[Array, "... 1"]:
    """Derivatives of the logarithm of the probability by the parameters of Poisson's law.

        k/μ − 1

    Args:
        k: The count, an integer or a whole number; other numbers have probability 0.
        mu: The mean μ ≥ 0; nan is returned elsewhere.

    Returns:
        The derivative by μ on a new last axis.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print([f"{s:.4f}" for s in score(3, 2.5)])
        ['0.2000']

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """
    return score_of("score", _at_counts(_tails.log_density, -jnp.inf), (1,), k=k, mu=mu)


def fisher_information(mu: ArrayLike) -> Float[Array, "..."]:
    """Fisher information, per observation, of the parameters of Poisson's law.

        1/μ

    Args:
        mu: The mean μ ≥ 0; nan is returned elsewhere.

    Returns:
        Matrices of one row and column, on two new last axes.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(2.5).round(4))
        [[0.39999998]]

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §4.1 to §4.7.
    """

    def information(mu):
        return _valid(mu, 1 / mu)

    return symmetric((evaluated("fisher_information", information, mu=mu),))
