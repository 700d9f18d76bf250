"""The binomial law: how many of n independent trials succeed.

Notation: n is the number of trials, p the probability of success in one, q = 1 − p, k the count;
I_x(a, b) is the regularised incomplete beta function.

    P(k) = n!/(k! (n − k)!) pᵏ qⁿ⁻ᵏ,    k = 0, 1, …, n

Parameters outside their domain give nan everywhere; k that is no such count has probability 0.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PRNGKeyArray

from fnmath import _checks
from fnmath.probability import _beta_density as _density
from fnmath.probability._beta_tails import Point, both, complement, tail_function
from fnmath.probability._counts import count_quantile, entropy_of_counts, is_count
from fnmath.probability._evaluation import (
    evaluated,
    floating_dtype,
    observations,
    sample_shape,
    score_of,
    symmetric,
)
from fnmath.probability._information import bernoulli_kl


def _valid(n: jax.Array, p: jax.Array, value: jax.Array) -> jax.Array:
    """The value, nan where a parameter is outside its domain."""
    known = (n >= 0) & (n < jnp.inf) & is_count(n)
    return jnp.where(known & (p >= 0) & (p <= 1), value, jnp.nan)


def _at_counts(probability, otherwise: float):
    """The probability where k is one of 0 … n."""

    def function(k: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
        known = (k >= 0) & (k <= n) & is_count(k)
        value = probability(jnp.where(known, k, 0), jnp.where(n >= 0, n, 0), p)
        rest = jnp.where(jnp.isnan(k), jnp.nan, otherwise)
        return _valid(n, p, jnp.where(known, value, rest))

    return function


def _tail(kind: str):
    """What is asked of the tails: the lower one is the upper one of Beta(k + 1, n − k) at p."""
    side = kind.replace("lower", "above").replace("upper", "lower").replace("above", "upper")
    otherwise = (0.0, 1.0) if kind.endswith("lower") else (1.0, 0.0)

    def function(k: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
        known = (k >= 0) & (k < n)
        below, beyond = (
            jnp.log(jnp.asarray(r)) if kind.startswith("log") else r for r in otherwise
        )
        ends = jnp.where(k < 0, below, jnp.where(k >= n, beyond, jnp.nan))
        some, all_ = jnp.floor(jnp.where(known, k, 0)), jnp.where(known, n, 1)
        q, q_tail = complement(p)
        value = tail_function(side)(p, q, some + 1, all_ - some, jnp.zeros_like(p), q_tail)
        return _valid(n, p, jnp.where(known, value, ends))

    return function


def _quantile(
    q: jax.Array, n: jax.Array, p: jax.Array, small: jax.Array, target: jax.Array
) -> jax.Array:
    """The least count of which the lower tail is no less, or the upper no more, than the target."""
    n, p, target = jax.lax.stop_gradient((n, p, target))
    y, y_tail = complement(p)

    def reaches(k: jax.Array) -> jax.Array:
        upper, lower = both(Point(p, y, k + 1, n - k, jnp.zeros_like(p), y_tail))
        return (k >= n) | jnp.where(small, lower >= target, upper <= target)

    probability = jnp.where(small, target, 1 - target)
    k = count_quantile(probability, reaches, n * p, jnp.sqrt(n * p * (1 - p)), n)
    return _valid(n, p, jnp.where((q >= 0) & (q <= 1), k, jnp.nan))


def _ppf(q: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
    k = _quantile(q, n, p, q <= 0.5, jnp.where(q <= 0.5, q, 1 - q))
    return jnp.where(
        q == 0, _valid(n, p, jnp.full_like(n, -1)), jnp.where(q == 1, _valid(n, p, n), k)
    )


def _isf(q: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
    k = _quantile(q, n, p, q > 0.5, jnp.where(q > 0.5, 1 - q, q))
    return jnp.where(
        q == 1, _valid(n, p, jnp.full_like(n, -1)), jnp.where(q == 0, _valid(n, p, n), k)
    )


def _entropy(n: jax.Array, p: jax.Array) -> jax.Array:
    inside = (p > 0) & (p < 1) & (n > 0)
    some, r = jnp.where(inside, n, 1), jnp.where(inside, p, 0.5)

    def log_pmf(k: jax.Array) -> jax.Array:
        return _density.log_binomial(
            k, jnp.broadcast_to(some, k.shape), jnp.broadcast_to(r, k.shape)
        )

    value = entropy_of_counts(log_pmf, some * r, jnp.sqrt(some * r * (1 - r)), some)
    return _valid(n, p, jnp.where(inside, value, 0))


def _kl(n_p: jax.Array, p_p: jax.Array, n_q: jax.Array, p_q: jax.Array) -> jax.Array:
    same = n_p * bernoulli_kl(p_p, p_q)
    different = jnp.where((n_p > n_q) & (p_p > 0), jnp.inf, jnp.nan)
    return _valid(n_p, p_p, _valid(n_q, p_q, jnp.where(n_p == n_q, same, different)))


def pmf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Probability of a count under the binomial law.

        P(k) = n!/(k! (n − k)!) pᵏ (1 − p)ⁿ⁻ᵏ

    Gradient:
        ∂P/∂θ = P(k) ∂ log P/∂θ        as in ``logpmf``

    Args:
        k: The count, an integer or a whole number; others have probability 0.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        p: The probability p of success, 0 ≤ p ≤ 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pmf(3, 10, 0.3):.6g}")
        0.266828

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """
    return evaluated("pmf", _at_counts(_density.binomial, 0.0), k=k, n=n, p=p)


def logpmf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability of a count under the binomial law.

        log P(k) = log n!/(k! (n − k)!) + k log p + (n − k) log(1 − p)

    Gradient:
        ∂/∂p = (k − n p)/(p (1 − p))

    Args:
        k: The count, an integer or a whole number; others have probability 0.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        p: The probability p of success, 0 ≤ p ≤ 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpmf(3, 10, 0.3):.6g}")
        -1.32115

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """
    return evaluated("logpmf", _at_counts(_density.log_binomial, -jnp.inf), k=k, n=n, p=p)


def cdf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Probability, under the binomial law, of at most k.

        F(k) = 1 − I_p(k + 1, n − k)

    Gradient:
        ∂F/∂p = −(n − k) P(k)/(1 − p)

    Args:
        k: The count, an integer or a whole number; others have probability 0.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        p: The probability p of success, 0 ≤ p ≤ 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(3, 10, 0.3):.6g}")
        0.649611

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """
    return evaluated("cdf", _tail("lower"), k=k, n=n, p=p)


def logcdf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability, under the binomial law, of at most k.

        log F(k)        right where F itself is below all numbers

    Gradient:
        ∂ log F/∂θ = (∂F/∂θ)/F(k)

    Args:
        k: The count, an integer or a whole number; others have probability 0.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        p: The probability p of success, 0 ≤ p ≤ 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(3, 10, 0.3):.6g}")
        -0.431382

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """
    return evaluated("logcdf", _tail("log_lower"), k=k, n=n, p=p)


def sf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Probability, under the binomial law, of more than k.

        1 − F(k)        right to the last place where it is small

    Gradient:
        ∂(1 − F)/∂θ = −∂F/∂θ        as in ``cdf``

    Args:
        k: The count, an integer or a whole number; others have probability 0.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        p: The probability p of success, 0 ≤ p ≤ 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(3, 10, 0.3):.6g}")
        0.350389

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """
    return evaluated("sf", _tail("upper"), k=k, n=n, p=p)


def logsf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability, under the binomial law, of more than k.

        log(1 − F(k))        right where 1 − F itself is below all numbers

    Gradient:
        ∂ log(1 − F)/∂θ = −(∂F/∂θ)/(1 − F(k))

    Args:
        k: The count, an integer or a whole number; others have probability 0.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        p: The probability p of success, 0 ≤ p ≤ 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(3, 10, 0.3):.6g}")
        -1.04871

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """
    return evaluated("logsf", _tail("log_upper"), k=k, n=n, p=p)


def ppf(q: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Quantile of the binomial law.

        min {k : F(k) ≥ q}        −1 for q = 0, as in SciPy

    Gradient:
        0, the quantile being a step function of everything

    Args:
        q: The probability q, 0 ≤ q ≤ 1; nan is returned elsewhere.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        p: The probability p of success, 0 ≤ p ≤ 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.5, 10, 0.3):.6g}")
        3

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """
    return evaluated("ppf", _ppf, q=q, n=n, p=p)


def isf(q: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Quantile from above of the binomial law.

        min {k : 1 − F(k) ≤ q}

    Gradient:
        0, the quantile being a step function of everything

    Args:
        q: The probability q, 0 ≤ q ≤ 1; nan is returned elsewhere.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        p: The probability p of success, 0 ≤ p ≤ 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.5, 10, 0.3):.6g}")
        3

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """
    return evaluated("isf", _isf, q=q, n=n, p=p)


def mean(n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Mean of the binomial law.

        n p

    Gradient:
        ∂/∂p = n

    Args:
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        p: The probability p of success, 0 ≤ p ≤ 1, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(10, 0.3):.6g}")
        3

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """
    return evaluated("mean", lambda n, p: _valid(n, p, n * p), n=n, p=p)


def variance(n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Variance of the binomial law.

        n p (1 − p)

    Gradient:
        ∂/∂p = n (1 − 2p)

    Args:
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        p: The probability p of success, 0 ≤ p ≤ 1, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(10, 0.3):.6g}")
        2.1

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """
    return evaluated("variance", lambda n, p: _valid(n, p, n * p * (1 - p)), n=n, p=p)


def mode(n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Mode of the binomial law.

        ⌊(n + 1) p⌋

    The larger of two modes, where there are two.

    Args:
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        p: The probability p of success, 0 ≤ p ≤ 1, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(10, 0.3):.6g}")
        3

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """
    return evaluated(
        "mode", lambda n, p: _valid(n, p, jnp.minimum(jnp.floor((n + 1) * p), n)), n=n, p=p
    )


def entropy(n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Entropy, in nats, of the binomial law.

        −Σₖ P(k) log P(k)

    The sum itself up to σ = 8, and beyond that the same with steps of σ/8, which errs by less than
    rounding does.

    Args:
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        p: The probability p of success, 0 ≤ p ≤ 1, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(10, 0.3):.6g}")
        1.77908

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """
    return evaluated("entropy", _entropy, n=n, p=p)


def kl(n_p: ArrayLike, p_p: ArrayLike, n_q: ArrayLike, p_q: ArrayLike) -> Float[Array, "..."]:
    """Divergence KL(p ‖ q), in nats, of one of two binomial laws from another.

        n [r log(r/t) + (1 − r) log((1 − r)/(1 − t))]        of equal n

    It is ∞ where p has more trials than q, and nan where it has fewer: that sum has no closed form.

    Gradient:
        ∂/∂r = n (log(r/t) − log((1 − r)/(1 − t))),    ∂/∂t = n (t − r)/(t (1 − t))

    Args:
        n_p: The number n of trials of p.
        p_p: The probability of success of p, here r.
        n_q: The number of trials of q.
        p_q: The probability of success of q, here t.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(10, 0.3, 10, 0.6):.6g}")
        1.83787

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """
    return evaluated("kl", _kl, n_p=n_p, p_p=p_p, n_q=n_q, p_q=p_q)


def sample(
    key: PRNGKeyArray, n: ArrayLike, p: ArrayLike, *, shape: tuple[int, ...] | None = None
) -> Int[Array, "..."]:
    """Random numbers drawn from the binomial law.

    Not differentiable, the draws being integers.

    Args:
        key: The random key.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        p: The probability p of success, 0 ≤ p ≤ 1, likewise.
        shape: The shape of what is drawn, to which the parameters must broadcast; by default it
            is theirs.

    Returns:
        The draws, independent of each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> draws = sample(jax.random.key(0), 10, 0.3, shape=(2000,))
        >>> print(f"{draws.mean():.1f}")
        3.0

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """
    shape = sample_shape("sample", shape, n=n, p=p)
    _checks.key("sample", key)
    dtype = jnp.promote_types(floating_dtype(n, p), jnp.float32)
    n, p = jnp.asarray(n, dtype), jnp.asarray(p, dtype)
    return jax.random.binomial(key, n, p, shape, dtype).astype(jnp.int32)


def fit(k: ArrayLike, n: ArrayLike, *, weights: ArrayLike | None = None) -> Float[Array, "*batch"]:
    """Parameters of the binomial law that make observations most likely.

        p = mean k/mean n

    Args:
        k: The counts, on the last axis.
        n: The numbers of trials, of the same shape or one that broadcasts.
        weights: How much each observation counts, weights ≥ 0 that broadcast with the
            observations; by default all count 1.

    Returns:
        The probabilities p.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fit(jnp.array([1, 2, 4]), 10).round(4))
        0.2333

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """
    k, n, w = observations("fit", weights, k=k, n=n)
    return jnp.sum(w * k, -1) / jnp.sum(w * n, -1)


def score(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "... 1"]:
    """Derivatives of the logarithm of the probability by the parameters of the binomial law.

        (k − n p)/(p (1 − p))

    Args:
        k: The count, an integer or a whole number; others have probability 0.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        p: The probability p of success, 0 ≤ p ≤ 1, likewise.

    Returns:
        The derivative by p on a new last axis.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print([f"{s:.4f}" for s in score(4, 10, 0.3)])
        ['4.7619']

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """
    return score_of("score", _at_counts(_density.log_binomial, -jnp.inf), (2,), k=k, n=n, p=p)


def fisher_information(n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Fisher information, per observation, of the parameters of the binomial law.

        n/(p (1 − p))

    Args:
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        p: The probability p of success, 0 ≤ p ≤ 1, likewise.

    Returns:
        Matrices of one row and column, of p alone, on two new last axes.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(10, 0.3).round(4))
        [[47.619]]

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §3.2 to §3.4.
    """

    def information(n, p):
        return _valid(n, p, n / p / (1 - p))

    return symmetric((evaluated("fisher_information", information, n=n, p=p),))
