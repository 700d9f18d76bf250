"""The beta-binomial law: how many of n trials succeed whose chance is itself drawn.

    P(k) = C(n, k) B(k + a, n − k + b)/B(a, b),    k = 0, 1, …, n

Notation: n is the number of trials, a and b are the shapes of the beta law of the chance of
success, s = a + b, k the count; B is the beta function, C(n, k) the binomial coefficient and ψ the
derivative of log Γ.

Parameters outside their domain give nan everywhere; k that is no such count has probability 0. A
tail is a sum of probabilities, which takes up to n short steps.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from fnmath import _checks
from fnmath.numerics._sharing import shared
from fnmath.probability import _beta_binomial_tails as _tails
from fnmath.probability import _fitting
from fnmath.probability._counts import count_quantile, is_count
from fnmath.probability._evaluation import (
    evaluated,
    floating_dtype,
    observations,
    score_of,
    symmetric,
    where_known,
)
from fnmath.probability._families import Numbers
from fnmath.probability._log_gammas import trigamma_difference
from fnmath.probability._sampling import target_shape

# Of a fit: the least share of successes, the largest s, and after how many steps it stays.
LEAST, MOST, STEPS = 1e-6, 1e6, 60


def _known(n: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    counted = (n >= 0) & (n < jnp.inf) & is_count(n)
    return counted & (a > 0) & (a < jnp.inf) & (b > 0) & (b < jnp.inf)


def _of_parameters(f):
    """The function f of n, a and b where they have a meaning, nan elsewhere."""

    def function(n, a, b):
        known = _known(n, a, b)
        some = (jnp.where(known, t, 1) for t in (n, a, b))
        return where_known(known, f(*some), a, b)

    return function


def _at_counts(probability, otherwise: float):
    """The probability where k is one of 0 … n."""

    def function(k, n, a, b):
        known = _known(n, a, b)
        counted = known & (k >= 0) & (k <= n) & is_count(k)
        some = (jnp.where(counted, k, 0), *(jnp.where(known, t, 1) for t in (n, a, b)))
        value = jnp.where(counted, probability(*some), otherwise)
        return where_known(known & ~jnp.isnan(k), value, a, b)

    return function


@shared
def _inside(k, n, a, b):
    """Whether the parameters have a meaning, k is one of 0 … n − 1, and what is so everywhere."""
    known = _known(n, a, b)
    inside = known & (k >= 0) & (k < n)
    some = (jnp.where(inside, t, other) for t, other in ((k, 0), (n, 1), (a, 1), (b, 1)))
    k_, *of = some
    return known, inside, (jnp.floor(k_), *of)


def _tail(kind: str):
    """What is asked of the tails; below 0 and from n on that is what it is of nothing."""
    low, high = (0.0, 1.0) if kind.endswith("lower") else (1.0, 0.0)
    is_log = kind.startswith("log")
    low, high = ((-jnp.inf if p == 0 else 0.0) if is_log else p for p in (low, high))

    def function(k, n, a, b):
        known, inside, some = _inside(k, n, a, b)
        value = _tails.tail_function(kind)(*some)
        ends = jnp.where(k < 0, low, high)
        return where_known(known & ~jnp.isnan(k), jnp.where(inside, value, ends), a, b)

    return function


def _mean(n, a, b):
    return n * (a / (a + b))


def _variance(n, a, b):
    s = a + b
    return n * (a / s) * (b / s) * ((n + s) / (1 + s))


def _mode(n, a, b):
    """Where P(k)/P(k − 1) falls below 1; where it rises above, an end."""
    s = a + b
    falls = s > 2
    last = jnp.clip(jnp.floor((n + 1) * (a - 1) / jnp.where(falls, s - 2, 1)), 0, n)
    return jnp.where(falls, last, jnp.where(a > b, n, 0))


def _quantile(kind: str):
    """The least count of which the lower tail is no less, or the upper no more, than the target."""

    def found(q, n, a, b):
        small = (q <= 0.5) == (kind == "lower")
        target = jnp.where(q <= 0.5, q, 1 - q)

        def reaches(k):
            lower, upper = _tail("lower")(k, n, a, b), _tail("upper")(k, n, a, b)
            return jnp.where(small, lower >= target, upper <= target)

        probability = jnp.where(small, target, 1 - target)
        k = count_quantile(probability, reaches, _mean(n, a, b), jnp.sqrt(_variance(n, a, b)), n)
        first = q == (0 if kind == "lower" else 1)
        last = q == (1 if kind == "lower" else 0)
        return jnp.where(first, -1, jnp.where(last, n, k))

    def function(q, n, a, b):
        known = _known(n, a, b) & (q >= 0) & (q <= 1)
        some = jnp.where(known, q, 0.5), *(jnp.where(known, t, 1) for t in (n, a, b))
        return jnp.where(known, found(*jax.lax.stop_gradient(some)), jnp.nan)

    return function


def _kl(n_p, a_p, b_p, n_q, a_q, b_q):
    """The divergence, ∞ where p has counts that q has not."""
    known = _known(n_p, a_p, b_p) & _known(n_q, a_q, b_q)
    covered = known & (n_p <= n_q)
    some = (jnp.where(covered, t, 1) for t in (n_p, a_p, b_p, n_q, a_q, b_q))
    value = jnp.where(covered, _tails.divergence(*some), jnp.inf)
    return where_known(known, value, a_p, b_p, a_q, b_q)


def _fitted(k: jax.Array, n: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Newton's steps, and Minka's, which never descend, where the likelihood is not concave."""

    def mean(values: jax.Array) -> jax.Array:
        return jnp.sum(w * values, -1, keepdims=True)

    def step(state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        a, b = state
        rises = [mean(_tails.rise(*of)) for of in ((a, k), (b, n - k), (a + b, n))]
        by_a, by_b = rises[0] - rises[2], rises[1] - rises[2]
        aa, bb, both = (mean(trigamma_difference(*of)) for of in ((a, k), (b, n - k), (a + b, n)))
        det = aa * bb - both * (aa + bb)
        concave = (aa > both) & (det > 0)
        det = jnp.where(concave, det, 1)
        newton = (
            a + ((bb - both) * by_a + both * by_b) / det,
            b + ((aa - both) * by_b + both * by_a) / det,
        )
        minka = a * rises[0] / rises[2], b * rises[1] / rises[2]
        return tuple(
            jnp.clip(jnp.where(concave, x, y), 0.5 * old, 2 * old)
            for x, y, old in zip(newton, minka, state, strict=True)
        )

    p = mean(k) / mean(n)
    p, q = jnp.clip(p, LEAST, 1), jnp.clip(1 - p, LEAST, 1)
    pairs = mean(n * (n - 1))
    beyond = mean(k * (k - 1)) / p + mean((n - k) * (n - k - 1)) / q - pairs
    spread = beyond > 0
    # As many as have the mean and the variance: of chances that vary by p q/(s + 1).
    total = jnp.clip(pairs / jnp.where(spread, beyond, 1) - 1, 0.01, MOST)
    a, b = _fitting.repeated(step, (p * total, q * total), STEPS)
    return (
        jnp.where(spread, jnp.minimum(a, MOST), p * MOST)[..., 0],
        jnp.where(spread, jnp.minimum(b, MOST), q * MOST)[..., 0],
    )


def pmf(k: Numbers, n: Numbers, a: Numbers, b: Numbers) -> Float[Array, "..."]:
    """Probability of a count under the beta-binomial law.

        P(k) = C(n, k) B(k + a, n − k + b)/B(a, b)

    Gradient:
        ∂P/∂θ = P(k) ∂log P/∂θ        as of ``logpmf``

    Args:
        k: The count, an integer or a whole number; others have probability 0.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        a: The shape a > 0 of the chance at 0, likewise.
        b: The shape b > 0 of the chance at 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pmf(3, 10, 2.0, 3.0):.4f}")
        0.1439

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §6.2.2;
        ``scipy.stats.betabinom``.
    """
    return evaluated("pmf", _at_counts(_tails.mass, 0.0), k=k, n=n, a=a, b=b)


def logpmf(k: Numbers, n: Numbers, a: Numbers, b: Numbers) -> Float[Array, "..."]:
    """Logarithm of the probability of a count under the beta-binomial law, in nats.

        log P(k) = log C(n, k) + log B(k + a, n − k + b) − log B(a, b)

    Gradient:
        ∂/∂a = ψ(k + a) − ψ(a) − ψ(n + s) + ψ(s),    ∂/∂b that of n − k and b

    Args:
        k: The count, an integer or a whole number; others have probability 0.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        a: The shape a > 0 of the chance at 0, likewise.
        b: The shape b > 0 of the chance at 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpmf(3, 10, 2.0, 3.0):.4f}")
        -1.9389

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §6.2.2;
        ``scipy.stats.betabinom``.
    """
    return evaluated("logpmf", _at_counts(_tails.log_mass, -jnp.inf), k=k, n=n, a=a, b=b)


def cdf(k: Numbers, n: Numbers, a: Numbers, b: Numbers) -> Float[Array, "..."]:
    """Cumulative distribution function of the beta-binomial law.

        F(k) = P(0) + … + P(k)

    Gradient:
        Sums of P(j) ∂log P(j)/∂θ, by their ratios; none by k

    Args:
        k: Where to look; between counts it is that of the one below.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        a: The shape a > 0 of the chance at 0, likewise.
        b: The shape b > 0 of the chance at 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(3, 10, 2.0, 3.0):.4f}")
        0.4545

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §6.2.2;
        ``scipy.stats.betabinom``.
    """
    return evaluated("cdf", _tail("lower"), k=k, n=n, a=a, b=b)


def logcdf(k: Numbers, n: Numbers, a: Numbers, b: Numbers) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the beta-binomial law.

        log F(k) = log(P(0) + … + P(k))

    Gradient:
        Sums of P(j) ∂log P(j)/∂θ, by their ratios; none by k

    Args:
        k: Where to look; between counts it is that of the one below.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        a: The shape a > 0 of the chance at 0, likewise.
        b: The shape b > 0 of the chance at 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(3, 10, 2.0, 3.0):.4f}")
        -0.7885

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §6.2.2;
        ``scipy.stats.betabinom``.
    """
    return evaluated("logcdf", _tail("log_lower"), k=k, n=n, a=a, b=b)


def sf(k: Numbers, n: Numbers, a: Numbers, b: Numbers) -> Float[Array, "..."]:
    """Survival function of the beta-binomial law: the probability of more than k.

        S(k) = P(k + 1) + … + P(n)

    Gradient:
        Sums of P(j) ∂log P(j)/∂θ, by their ratios; none by k

    Args:
        k: Where to look; between counts it is that of the one below.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        a: The shape a > 0 of the chance at 0, likewise.
        b: The shape b > 0 of the chance at 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(3, 10, 2.0, 3.0):.4f}")
        0.5455

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §6.2.2;
        ``scipy.stats.betabinom``.
    """
    return evaluated("sf", _tail("upper"), k=k, n=n, a=a, b=b)


def logsf(k: Numbers, n: Numbers, a: Numbers, b: Numbers) -> Float[Array, "..."]:
    """Logarithm of the survival function of the beta-binomial law.

        log S(k) = log(P(k + 1) + … + P(n))

    Gradient:
        Sums of P(j) ∂log P(j)/∂θ, by their ratios; none by k

    Args:
        k: Where to look; between counts it is that of the one below.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        a: The shape a > 0 of the chance at 0, likewise.
        b: The shape b > 0 of the chance at 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(3, 10, 2.0, 3.0):.4f}")
        -0.6061

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §6.2.2;
        ``scipy.stats.betabinom``.
    """
    return evaluated("logsf", _tail("log_upper"), k=k, n=n, a=a, b=b)


def ppf(q: Numbers, n: Numbers, a: Numbers, b: Numbers) -> Float[Array, "..."]:
    """Quantile function of the beta-binomial law.

        the least k with F(k) ≥ q

    Gradient:
        0: the quantile moves in steps

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        a: The shape a > 0 of the chance at 0, likewise.
        b: The shape b > 0 of the chance at 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.5, 10, 2.0, 3.0):.0f}")
        4

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §6.2.2;
        ``scipy.stats.betabinom``.
    """
    return evaluated("ppf", _quantile("lower"), q=q, n=n, a=a, b=b)


def isf(q: Numbers, n: Numbers, a: Numbers, b: Numbers) -> Float[Array, "..."]:
    """Quantile of 1 − q of the beta-binomial law.

        the least k with S(k) ≤ q

    Gradient:
        0: the quantile moves in steps

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        a: The shape a > 0 of the chance at 0, likewise.
        b: The shape b > 0 of the chance at 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.1, 10, 2.0, 3.0):.0f}")
        7

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §6.2.2;
        ``scipy.stats.betabinom``.
    """
    return evaluated("isf", _quantile("upper"), q=q, n=n, a=a, b=b)


def sample(
    key: PRNGKeyArray,
    n: Numbers,
    a: Numbers,
    b: Numbers,
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Int[Array, "..."]:
    """Samples of the beta-binomial law.

        p ~ Beta(a, b),    k ~ Binomial(n, p)

    Args:
        key: The random key.
        n: The number n ≥ 0 of trials, a whole number; −1 is returned elsewhere.
        a: The shape a > 0 of the chance at 0, likewise.
        b: The shape b > 0 of the chance at 1, likewise.
        shape: The shape of the samples, to which the parameters must broadcast; theirs by default.

    Returns:
        Independent samples, integers.

    Raises:
        TypeError: If the key is no random key, a parameter not an array of real numbers, or the
            shape no tuple of integers.
        ValueError: If the parameters do not broadcast to the shape.

    Example:
        >>> k = sample(jax.random.key(0), 10, 2.0, 3.0, shape=(2000,))
        >>> print(f"{k.mean():.1f}")
        4.0

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §6.2.2;
        ``scipy.stats.betabinom``.
    """
    _checks.key("sample", key)
    _checks.real("sample", n=n, a=a, b=b)
    _checks.broadcastable("sample", n=n, a=a, b=b)
    shape = target_shape("sample", shape, n=n, a=a, b=b)
    dtype = jnp.promote_types(floating_dtype(n, a, b), jnp.float32)
    n, a, b = (jnp.broadcast_to(jnp.asarray(t, dtype), shape) for t in (n, a, b))
    known, (first, second) = _known(n, a, b), jax.random.split(key)
    p = jax.random.beta(first, jnp.where(known, a, 1), jnp.where(known, b, 1), shape, dtype)
    k = jax.random.binomial(second, jnp.where(known, n, 1), p, shape, dtype)
    return jnp.where(known, k, -1).astype(jnp.int32)


def mean(n: Numbers, a: Numbers, b: Numbers) -> Float[Array, "..."]:
    """Mean of the beta-binomial law.

        n a/s

    Gradient:
        ∂/∂a = n b/s²,    ∂/∂b = −n a/s²

    Args:
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        a: The shape a > 0 of the chance at 0, likewise.
        b: The shape b > 0 of the chance at 1, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(10, 2.0, 3.0):.4f}")
        4.0000

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §6.2.2;
        ``scipy.stats.betabinom``.
    """
    return evaluated("mean", _of_parameters(_mean), n=n, a=a, b=b)


def variance(n: Numbers, a: Numbers, b: Numbers) -> Float[Array, "..."]:
    """Variance of the beta-binomial law.

        n a b (n + s)/(s² (s + 1))

    Args:
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        a: The shape a > 0 of the chance at 0, likewise.
        b: The shape b > 0 of the chance at 1, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(10, 2.0, 3.0):.4f}")
        6.0000

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §6.2.2;
        ``scipy.stats.betabinom``.
    """
    return evaluated("variance", _of_parameters(_variance), n=n, a=a, b=b)


def mode(n: Numbers, a: Numbers, b: Numbers) -> Float[Array, "..."]:
    """Mode of the beta-binomial law, the count of the largest probability.

        ⌊(n + 1) (a − 1)/(s − 2)⌋ within 0 … n        for s > 2, else an end; 0 for a tie

    Args:
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        a: The shape a > 0 of the chance at 0, likewise.
        b: The shape b > 0 of the chance at 1, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(10, 2.0, 3.0):.0f}")
        3

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §6.2.2;
        ``scipy.stats.betabinom``.
    """
    return evaluated("mode", _of_parameters(_mode), n=n, a=a, b=b)


def entropy(n: Numbers, a: Numbers, b: Numbers) -> Float[Array, "..."]:
    """Entropy, in nats, of the beta-binomial law.

        −Σₖ P(k) log P(k)

    Gradient:
        Sums of P(k) and of its derivatives

    Args:
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        a: The shape a > 0 of the chance at 0, likewise.
        b: The shape b > 0 of the chance at 1, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(10, 2.0, 3.0):.4f}")
        2.2577

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §6.2.2;
        ``scipy.stats.betabinom``.
    """
    return evaluated("entropy", _of_parameters(_tails.entropy), n=n, a=a, b=b)


def kl(
    n_p: Numbers, a_p: Numbers, b_p: Numbers, n_q: Numbers, a_q: Numbers, b_q: Numbers
) -> Float[Array, "..."]:
    """Divergence KL(p ‖ q), in nats, of one of two beta-binomial laws from another.

        Σₖ P(k) log(P(k)/Q(k))

    as the sum of P log(P/Q) + Q − P, no term of which is negative, so that nothing cancels where p
    is near q; ∞ where p has more trials than q.

    Gradient:
        Sums of P(k) and Q(k) and of their derivatives

    Args:
        n_p: The number n ≥ 0 of trials of p, a whole number; nan is returned elsewhere.
        a_p: The shape a > 0 of p at 0, likewise.
        b_p: The shape b > 0 of p at 1, likewise.
        n_q: The number of trials of q.
        a_q: The shape of q at 0.
        b_q: The shape of q at 1.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(10, 2.0, 3.0, 10, 3.0, 3.0):.4f}")
        0.0942

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §6.2.2 (the law); Cover
        and Thomas, Elements of Information Theory (2006), §2.3.
    """
    return evaluated("kl", _kl, n_p=n_p, a_p=a_p, b_p=b_p, n_q=n_q, a_q=a_q, b_q=b_q)


def fit(
    k: Numbers, n: Numbers, *, weights: Numbers | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Shapes of the beta-binomial law that make counts most likely.

        mean ψ(k + a) − ψ(a) = mean ψ(n + s) − ψ(s) = mean ψ(n − k + b) − ψ(b)

    by 60 steps of Newton's method, or of Minka's where the likelihood is not concave. Counts that
    vary no more than binomial ones give s = 10⁶, of which the law is all but binomial.

    Args:
        k: The counts, on the last axis.
        n: The numbers of trials, of the same shape or one that broadcasts.
        weights: How much each count counts, weights ≥ 0 that broadcast with them; by default all
            count 1.

    Returns:
        The shapes a and b, for each entry of the batch.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast, or there is no axis of samples.

    Example:
        >>> a, b = fit(jnp.array([1, 2, 4, 9, 3, 0]), 10)
        >>> print(f"{a:.2f} {b:.2f}")
        0.78 1.59

    Source:
        Minka, Estimating a Dirichlet distribution (2000), §3; Johnson, Kemp and Kotz, Univariate
        Discrete Distributions (2005), §6.2.2.
    """
    return _fitted(*observations("fit", weights, k=k, n=n))


def score(k: Numbers, n: Numbers, a: Numbers, b: Numbers) -> Float[Array, "... 2"]:
    """Derivatives of the logarithm of the probability by the shapes of the beta-binomial law.

        ψ(k + a) − ψ(a) − ψ(n + s) + ψ(s),    ψ(n − k + b) − ψ(b) − ψ(n + s) + ψ(s)

    Args:
        k: The count, an integer or a whole number; others have probability 0.
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        a: The shape a > 0 of the chance at 0, likewise.
        b: The shape b > 0 of the chance at 1, likewise.

    Returns:
        The derivatives by a and by b on a new last axis.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print([f"{s:.4f}" for s in score(3, 10, 2.0, 3.0)])
        ['-0.0849', '0.1607']

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §6.2.2;
        ``scipy.stats.betabinom``.
    """
    return score_of("score", _at_counts(_tails.log_mass, -jnp.inf), (2, 3), k=k, n=n, a=a, b=b)


def fisher_information(n: Numbers, a: Numbers, b: Numbers) -> Float[Array, "... 2 2"]:
    """Fisher information, per count, of the shapes of the beta-binomial law.

        Σₖ P(k) s(k) s(k)ᵀ        of the score s

    Args:
        n: The number n ≥ 0 of trials, a whole number; nan is returned elsewhere.
        a: The shape a > 0 of the chance at 0, likewise.
        b: The shape b > 0 of the chance at 1, likewise.

    Returns:
        For each entry of the parameters broadcast with each other a matrix, of a and b, on two new
        last axes.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(10, 2.0, 3.0).round(4))
        [[ 0.259  -0.1524]
         [-0.1524  0.1112]]

    Source:
        Johnson, Kemp and Kotz, Univariate Discrete Distributions (2005), §6.2.2, for the law.
    """

    def of_b(n: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
        return _tails.information_by_a(n, b, a)  # the law of n − k

    entries = (_tails.information_by_a, _tails.information_by_both, of_b)
    aa, ab, bb = (
        evaluated("fisher_information", _of_parameters(f), n=n, a=a, b=b) for f in entries
    )
    return symmetric((aa, ab), (bb,))
