"""The negative binomial law: how many failures come before the n-th success.

Notation: p is the probability of success, q = 1 − p, n the number of successes, k the count of
failures; I_p(a, b) is the regularised incomplete beta function, ψ the derivative of log Γ.

    P(k) = Γ(n + k)/(k! Γ(n)) pⁿ qᵏ,    k = 0, 1, 2, …

n need not be whole. Parameters outside their domain give nan everywhere; k that is no count has
probability 0.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PRNGKeyArray

from fnmath import _checks
from fnmath.probability import _beta_density as _density
from fnmath.probability._beta_tails import Point, both, complement, tail_function
from fnmath.probability._counts import count_quantile, entropy_of_waiting, is_count
from fnmath.probability._evaluation import (
    evaluated,
    floating_dtype,
    observations,
    sample_shape,
    score_of,
)
from fnmath.probability._information import bernoulli_kl
from fnmath.probability._log_gammas import digamma


def _valid(n: jax.Array, p: jax.Array, value: jax.Array) -> jax.Array:
    """The value, nan where a parameter is outside its domain."""
    return jnp.where((n > 0) & (n < jnp.inf) & (p > 0) & (p <= 1), value, jnp.nan)


def _at_counts(probability, otherwise: float):
    """The probability where k is a count."""

    def function(k: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
        known = (k >= 0) & (k < jnp.inf) & is_count(k)
        value = probability(jnp.where(known, k, 0), jnp.where(n > 0, n, 1), p)
        rest = jnp.where(jnp.isnan(k), jnp.nan, otherwise)
        return _valid(n, p, jnp.where(known, value, rest))

    return function


def _tail(kind: str):
    """What is asked of the tails: the lower one is that of Beta(n, k + 1) at p."""
    otherwise = (0.0, 1.0) if kind.endswith("lower") else (1.0, 0.0)

    def function(k: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
        known = (k >= 0) & (k < jnp.inf)
        below, beyond = (
            jnp.log(jnp.asarray(r)) if kind.startswith("log") else r for r in otherwise
        )
        ends = jnp.where(k < 0, below, jnp.where(k == jnp.inf, beyond, jnp.nan))
        some = jnp.floor(jnp.where(known, k, 0)) + 1
        q, q_tail = complement(p)
        value = tail_function(kind)(p, q, n, some, jnp.zeros_like(p), q_tail)
        return _valid(n, p, jnp.where(known, value, ends))

    return function


def _quantile(
    q: jax.Array, n: jax.Array, p: jax.Array, small: jax.Array, target: jax.Array
) -> jax.Array:
    """The least count of which the lower tail is no less, or the upper no more, than the target."""
    n, p, target = jax.lax.stop_gradient((n, p, target))
    y, y_tail = complement(p)

    def reaches(k: jax.Array) -> jax.Array:
        lower, upper = both(Point(p, y, n, k + 1, jnp.zeros_like(p), y_tail))
        return jnp.where(small, lower >= target, upper <= target)

    mean = n * (1 - p) / p
    probability = jnp.where(small, target, 1 - target)
    last = jnp.full_like(n, 2.0**31)
    k = count_quantile(probability, reaches, mean, jnp.sqrt(mean / p), last)
    return _valid(n, p, jnp.where((q >= 0) & (q <= 1), k, jnp.nan))


def _ppf(q: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
    k = _quantile(q, n, p, q <= 0.5, jnp.where(q <= 0.5, q, 1 - q))
    end = jnp.where(p < 1, jnp.inf, 0)
    return jnp.where(
        q == 0, _valid(n, p, jnp.full_like(n, -1)), jnp.where(q == 1, _valid(n, p, end), k)
    )


def _isf(q: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
    k = _quantile(q, n, p, q > 0.5, jnp.where(q > 0.5, 1 - q, q))
    end = jnp.where(p < 1, jnp.inf, 0)
    return jnp.where(
        q == 1, _valid(n, p, jnp.full_like(n, -1)), jnp.where(q == 0, _valid(n, p, end), k)
    )


def _mode(n: jax.Array, p: jax.Array) -> jax.Array:
    return _valid(n, p, jnp.floor(jnp.maximum(n - 1, 0) * ((1 - p) / p)))


def _entropy(n: jax.Array, p: jax.Array) -> jax.Array:
    inside = (p > 0) & (p < 1) & (n > 0)
    some, r = jnp.where(inside, n, 1), jnp.where(inside, p, 0.5)

    def log_pmf(k: jax.Array) -> jax.Array:
        return _density.log_waiting(
            k, jnp.broadcast_to(some, k.shape), jnp.broadcast_to(r, k.shape)
        )

    return _valid(n, p, jnp.where(inside, entropy_of_waiting(log_pmf, some), 0))


def _kl(n_p: jax.Array, p_p: jax.Array, n_q: jax.Array, p_q: jax.Array) -> jax.Array:
    same = n_p * (bernoulli_kl(p_p, p_q) / p_p)
    return _valid(n_p, p_p, _valid(n_q, p_q, jnp.where(n_p == n_q, same, jnp.nan)))


def _fitted(k: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The n where the likelihood at p = n/(n + mean) is level, by halves of log n; ∞ if none is."""
    mean = jnp.sum(w * k, -1)
    low, high = jnp.full_like(mean, -12), jnp.full_like(mean, 14)
    for _ in range(40):
        middle = 0.5 * (low + high)
        n = jnp.exp(middle)
        level = jnp.sum(w * (digamma(k + n[..., None]) - digamma(n)[..., None]), -1)
        rising = level - jnp.log1p(mean / n) > 0
        low, high = jnp.where(rising, middle, low), jnp.where(rising, high, middle)
    n = jnp.exp(0.5 * (low + high))
    variance = jnp.sum(w * jnp.square(k - mean[..., None]), -1)
    n = jnp.where(variance > mean, n, jnp.inf)
    return n, jnp.where(n == jnp.inf, 1, n / (n + mean))


def pmf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Probability of a count under the negative binomial law.

        P(k) = Γ(n + k)/(k! Γ(n)) pⁿ (1 − p)ᵏ

    Gradient:
        ∂P/∂θ = P(k) ∂ log P/∂θ        as in ``logpmf``

    Args:
        k: The count of failures, an integer or a whole number; others have probability 0.
        n: The number n > 0 of successes, whole or not; nan is returned elsewhere.
        p: The probability p of success, 0 < p ≤ 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pmf(3, 5.0, 0.5):.6g}")
        0.136719

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.1 to §5.3.
    """
    return evaluated("pmf", _at_counts(_density.waiting, 0.0), k=k, n=n, p=p)


def logpmf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability of a count under the negative binomial law.

        log P(k) = log Γ(n + k)/(k! Γ(n)) + n log p + k log(1 − p)

    Gradient:
        ∂/∂n = log p + ψ(n + k) − ψ(n),    ∂/∂p = (n q − k p)/(p q)

    Args:
        k: The count of failures, an integer or a whole number; others have probability 0.
        n: The number n > 0 of successes, whole or not; nan is returned elsewhere.
        p: The probability p of success, 0 < p ≤ 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpmf(3, 5.0, 0.5):.6g}")
        -1.98983

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.1 to §5.3.
    """
    return evaluated("logpmf", _at_counts(_density.log_waiting, -jnp.inf), k=k, n=n, p=p)


def cdf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Probability, under the negative binomial law, of at most k.

        F(k) = I_p(n, k + 1)

    Gradient:
        ∂F/∂p = pⁿ⁻¹ qᵏ/B(n, k + 1)
        ∂F/∂n = F(k) (E[log t | t < p] − E[log t])        for t ~ Beta(n, k + 1)

    Args:
        k: The count of failures, an integer or a whole number; others have probability 0.
        n: The number n > 0 of successes, whole or not; nan is returned elsewhere.
        p: The probability p of success, 0 < p ≤ 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(3, 5.0, 0.5):.6g}")
        0.363281

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.1 to §5.3.
    """
    return evaluated("cdf", _tail("lower"), k=k, n=n, p=p)


def logcdf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability, under the negative binomial law, of at most k.

        log F(k)        right where F itself is below all numbers

    Gradient:
        ∂ log F/∂θ = (∂F/∂θ)/F(k)

    Args:
        k: The count of failures, an integer or a whole number; others have probability 0.
        n: The number n > 0 of successes, whole or not; nan is returned elsewhere.
        p: The probability p of success, 0 < p ≤ 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(3, 5.0, 0.5):.6g}")
        -1.01258

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.1 to §5.3.
    """
    return evaluated("logcdf", _tail("log_lower"), k=k, n=n, p=p)


def sf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Probability, under the negative binomial law, of more than k.

        1 − F(k)        right to the last place where it is small

    Gradient:
        ∂(1 − F)/∂θ = −∂F/∂θ        as in ``cdf``

    Args:
        k: The count of failures, an integer or a whole number; others have probability 0.
        n: The number n > 0 of successes, whole or not; nan is returned elsewhere.
        p: The probability p of success, 0 < p ≤ 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(3, 5.0, 0.5):.6g}")
        0.636719

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.1 to §5.3.
    """
    return evaluated("sf", _tail("upper"), k=k, n=n, p=p)


def logsf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability, under the negative binomial law, of more than k.

        log(1 − F(k))        right where 1 − F itself is below all numbers

    Gradient:
        ∂ log(1 − F)/∂θ = −(∂F/∂θ)/(1 − F(k))

    Args:
        k: The count of failures, an integer or a whole number; others have probability 0.
        n: The number n > 0 of successes, whole or not; nan is returned elsewhere.
        p: The probability p of success, 0 < p ≤ 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(3, 5.0, 0.5):.6g}")
        -0.451427

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.1 to §5.3.
    """
    return evaluated("logsf", _tail("log_upper"), k=k, n=n, p=p)


def ppf(q: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Quantile of the negative binomial law.

        min {k : F(k) ≥ q}        −1 for q = 0, as in SciPy

    Gradient:
        0, the quantile being a step function of everything

    Args:
        q: The probability q, 0 ≤ q ≤ 1; nan is returned elsewhere.
        n: The number n > 0 of successes, whole or not; nan is returned elsewhere.
        p: The probability p of success, 0 < p ≤ 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.5, 5.0, 0.5):.6g}")
        5

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.1 to §5.3.
    """
    return evaluated("ppf", _ppf, q=q, n=n, p=p)


def isf(q: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Quantile from above of the negative binomial law.

        min {k : 1 − F(k) ≤ q}

    Gradient:
        0, the quantile being a step function of everything

    Args:
        q: The probability q, 0 ≤ q ≤ 1; nan is returned elsewhere.
        n: The number n > 0 of successes, whole or not; nan is returned elsewhere.
        p: The probability p of success, 0 < p ≤ 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.5, 5.0, 0.5):.6g}")
        4

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.1 to §5.3.
    """
    return evaluated("isf", _isf, q=q, n=n, p=p)


def mean(n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Mean of the negative binomial law.

        n q/p

    Gradient:
        q/p,  −n/p²

    Args:
        n: The number n > 0 of successes, whole or not; nan is returned elsewhere.
        p: The probability p of success, 0 < p ≤ 1, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(5.0, 0.5):.6g}")
        5

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.1 to §5.3.
    """
    return evaluated("mean", lambda n, p: _valid(n, p, n * ((1 - p) / p)), n=n, p=p)


def variance(n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Variance of the negative binomial law.

        n q/p²

    Args:
        n: The number n > 0 of successes, whole or not; nan is returned elsewhere.
        p: The probability p of success, 0 < p ≤ 1, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(5.0, 0.5):.6g}")
        10

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.1 to §5.3.
    """
    return evaluated("variance", lambda n, p: _valid(n, p, n * ((1 - p) / p) / p), n=n, p=p)


def mode(n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Mode of the negative binomial law.

        ⌊(n − 1) q/p⌋        for n > 1, else 0

    The larger of two modes, where there are two.

    Args:
        n: The number n > 0 of successes, whole or not; nan is returned elsewhere.
        p: The probability p of success, 0 < p ≤ 1, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(5.0, 0.5):.6g}")
        4

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.1 to §5.3.
    """
    return evaluated("mode", _mode, n=n, p=p)


def entropy(n: ArrayLike, p: ArrayLike) -> Float[Array, "..."]:
    """Entropy, in nats, of the negative binomial law.

        −Σₖ P(k) log P(k)

    The first 192 terms (512 in double precision) are summed, and the rest integrated in panels,
    with the first of Euler and Maclaurin's corrections.

    Args:
        n: The number n > 0 of successes, whole or not; nan is returned elsewhere.
        p: The probability p of success, 0 < p ≤ 1, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(5.0, 0.5):.6g}")
        2.48362

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.1 to §5.3.
    """
    return evaluated("entropy", _entropy, n=n, p=p)


def kl(n_p: ArrayLike, p_p: ArrayLike, n_q: ArrayLike, p_q: ArrayLike) -> Float[Array, "..."]:
    """Divergence KL(p ‖ q), in nats, of one of two negative binomial laws from another.

        n/r [r log(r/t) + (1 − r) log((1 − r)/(1 − t))]        of equal n

    For different n, of which the sum has no closed form, it is nan.

    Args:
        n_p: The number n of successes of p.
        p_p: The probability of success of p, here r.
        n_q: The number of successes of q.
        p_q: The probability of success of q, here t.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(5.0, 0.5, 5.0, 0.1):.6g}")
        5.10826

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.1 to §5.3.
    """
    return evaluated("kl", _kl, n_p=n_p, p_p=p_p, n_q=n_q, p_q=p_q)


def sample(
    key: PRNGKeyArray, n: ArrayLike, p: ArrayLike, *, shape: tuple[int, ...] | None = None
) -> Int[Array, "..."]:
    """Random numbers drawn from the negative binomial law.

    A Poisson draw whose mean is a gamma draw. Not differentiable, the draws being integers.

    Args:
        key: The random key.
        n: The number n > 0 of successes, whole or not; nan is returned elsewhere.
        p: The probability p of success, 0 < p ≤ 1, likewise.
        shape: The shape of what is drawn, to which the parameters must broadcast; by default it
            is theirs.

    Returns:
        The draws, independent of each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> draws = sample(jax.random.key(0), 5.0, 0.5, shape=(2000,))
        >>> print(f"{draws.mean():.1f}")
        4.9

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.1 to §5.3.
    """
    shape = sample_shape("sample", shape, n=n, p=p)
    _checks.key("sample", key)
    dtype = jnp.promote_types(floating_dtype(n, p), jnp.float32)
    n, p = jnp.asarray(n, dtype), jnp.asarray(p, dtype)
    of_gamma, of_poisson = jax.random.split(key)
    mean = jax.random.gamma(of_gamma, n, shape, dtype) * ((1 - p) / p)
    return jax.random.poisson(of_poisson, mean, shape, jnp.int32)


def fit(
    k: ArrayLike, *, weights: ArrayLike | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of the negative binomial law that make observations most likely.

        mean ψ(n + k) − ψ(n) = log(1 + k̄/n),    p = n/(n + k̄)

    Counts that vary no more than a Poisson law lets them give n = ∞ and p = 1.

    Args:
        k: The counts, on the last axis.
        weights: How much each observation counts, weights ≥ 0 that broadcast with the
            observations; by default all count 1.

    Returns:
        The numbers n of successes and the probabilities p.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> n, p = fit(jnp.array([0, 1, 2, 4, 9]))
        >>> print(f"{n:.2f} {p:.3f}")
        1.23 0.278

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.1 to §5.3.
    """
    return _fitted(*observations("fit", weights, k=k))


def score(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> Float[Array, "... 2"]:
    """Derivatives of the logarithm of a probability by the parameters of the law.

        log p + ψ(n + k) − ψ(n),    (n q − k p)/(p q)

    Args:
        k: The count of failures, an integer or a whole number; others have probability 0.
        n: The number n > 0 of successes, whole or not; nan is returned elsewhere.
        p: The probability p of success, 0 < p ≤ 1, likewise.

    Returns:
        The derivatives by n and by p on a new last axis.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print([f"{s:.4f}" for s in score(3, 5.0, 0.5)])
        ['-0.1836', '4.0000']

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §5.1 to §5.3.
    """
    return score_of("score", _at_counts(_density.log_waiting, -jnp.inf), (1, 2), k=k, n=n, p=p)
