"""Tests of significance: how probable what was seen, or more, would be if nothing were there.

Notation: x₁ … xₙ and y₁ … yₘ are samples with means x̄, ȳ and unbiased variances s²; F is a
cumulative distribution, Fₙ that of a sample.

Each returns a statistic and its p-value. Where that is tiny it is right in its first digits, not
only in how near to 0 it is: as a probability of the tail, never as 1 less the rest. Its relative
error is that of the statistic times (1 − log p), as its condition says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.numerics import safe_divide
from fnmath.statistics._samples import Shares, centred, wide
from fnmath.statistics._student import two_sided_tail, upper_tail

ALTERNATIVES = ("two-sided", "less", "greater")


class Significance(NamedTuple):
    """A statistic, and how probable one as far out is by chance."""

    statistic: Float[Array, "..."]
    p_value: Float[Array, "..."]


class StudentSignificance(NamedTuple):
    """A t statistic, its p-value, and its degrees of freedom."""

    statistic: Float[Array, "..."]
    p_value: Float[Array, "..."]
    degrees: Float[Array, "..."]


def _numbers(function: str, least: int, **samples: Any) -> list[jax.Array]:
    """The samples, in single precision at least; raise unless each has enough numbers."""
    _checks.floating(function, **samples)
    for name, x in samples.items():
        _checks.rank(function, name, x, "n")
        n = jnp.shape(x)[-1]
        if n < least:
            problem = f"{name} {jnp.shape(x)} has {n} number{'s' * (n != 1)}"
            _checks.fail(function, f"{problem}; wanted at least {least}")
    batches = {name: jnp.shape(x)[:-1] for name, x in samples.items()}
    if len(set(batches.values())) > 1:
        came = " and ".join(f"{name} {jnp.shape(x)}" for name, x in samples.items())
        _checks.fail(function, f"{came} must have one batch shape")
    return [wide(x) for x in samples.values()]


def _student(
    t: jax.Array, nu: jax.Array | float, alternative: str, dtype: Any
) -> StudentSignificance:
    """The p-value of a t statistic."""
    nu = jnp.broadcast_to(jnp.asarray(nu, t.dtype), t.shape)
    of = {
        "two-sided": two_sided_tail,
        "greater": upper_tail,
        "less": lambda t, nu: upper_tail(-t, nu),
    }
    return StudentSignificance(*(a.astype(dtype) for a in (t, of[alternative](t, nu), nu)))


def _t_of(x: jax.Array) -> jax.Array:
    """The mean over its standard error, in which units cancel."""
    n = x.shape[-1]
    about = centred(x, Shares(None, (x.ndim - 1,), n))
    square = jnp.sum(jnp.square(about.deviations), -1) / (n - 1) / n
    return about.mean[..., 0] / _root(square)


def _root(square: jax.Array) -> jax.Array:
    """The square root, with derivative 0 at 0."""
    return jnp.where(square == 0, 0, jnp.sqrt(jnp.where(square == 0, 1, square)))


def one_sample_t_test(
    x: Float[Array, "*batch n"],
    mean: float | Float[Array, "*batch"],
    *,
    alternative: str = "two-sided",
) -> StudentSignificance:
    """Student's test of whether numbers come from a normal distribution with a given mean.

        t = (x̄ − μ)/(s/√n),    ν = n − 1,    p = P(|T| ≥ |t|)

    Gradient:
        ∂p/∂t = −2 f(t) sign(t), f Student's density
        ∂t/∂xᵢ = √n/s (1/n − (x̄ − μ)(xᵢ − x̄)/(ν s²))

    Args:
        x: The sample, on the last axis.
        mean: The mean μ, a number or one per sample.
        alternative: What would be if the mean were not μ: ``"two-sided"`` for another one,
            ``"less"`` or ``"greater"``.

    Returns:
        The statistic, its p-value and the degrees of freedom. Of a sample that is constant t is
        ±∞, or nan where its mean is μ.

    Raises:
        TypeError: If x is not floating-point, or ``mean`` not a real number.
        ValueError: If x has no axis or fewer than 2 numbers, ``mean`` is of another batch shape, or
            the alternative is unknown.

    Example:
        >>> test = one_sample_t_test(jnp.array([1.0, 2.0, 3.0]), 0.0)
        >>> print(f"{test.statistic:.4f} {test.p_value:.4f}")  # 2√3, 1 − √(6/7)
        3.4641 0.0742

    Source:
        Student, The probable error of a mean (1908); ``scipy.stats.ttest_1samp``.
    """
    name = "one_sample_t_test"
    _checks.option(name, "alternative", alternative, ALTERNATIVES)
    (numbers,) = _numbers(name, 2, x=x)
    _checks.number(name, "mean", mean)
    if jnp.shape(mean) not in ((), numbers.shape[:-1]):
        _checks.fail(name, f"mean {jnp.shape(mean)} and x {jnp.shape(x)} must have one batch shape")
    t = _t_of(numbers - jnp.asarray(mean, numbers.dtype)[..., None])
    return _student(t, numbers.shape[-1] - 1, alternative, jnp.result_type(x))


def paired_t_test(
    x: Float[Array, "*batch n"],
    y: Float[Array, "*batch n"],
    *,
    alternative: str = "two-sided",
) -> StudentSignificance:
    """Student's test of whether pairs differ by 0 on average.

        the test of the differences dᵢ = xᵢ − yᵢ for the mean 0

    Gradient:
        that of ``one_sample_t_test`` by dᵢ, and its negative by yᵢ

    Args:
        x: One number of each pair, on the last axis.
        y: The other ones, of the same shape.
        alternative: ``"two-sided"``, ``"less"`` for a mean difference below 0, ``"greater"``.

    Returns:
        The statistic, its p-value and the degrees of freedom.

    Raises:
        TypeError: If an argument is not floating-point.
        ValueError: If the shapes differ, there are fewer than 2 pairs, or the alternative is
            unknown.

    Example:
        >>> test = paired_t_test(jnp.array([2.0, 4.0, 6.0]), jnp.array([1.0, 2.0, 3.0]))
        >>> print(f"{test.statistic:.4f} {test.p_value:.4f}")
        3.4641 0.0742

    Source:
        Student, The probable error of a mean (1908), §9; ``scipy.stats.ttest_rel``.
    """
    name = "paired_t_test"
    _checks.option(name, "alternative", alternative, ALTERNATIVES)
    _checks.same_shape(name, x=x, y=y)
    first, second = _numbers(name, 2, x=x, y=y)
    dtype = jnp.result_type(x, y)
    return _student(_t_of(first - second), first.shape[-1] - 1, alternative, dtype)


def _two(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The difference of the means and both sums of squares, in units of one power of two.

    The means are taken from a common origin, so that what they share cancels before it is rounded.
    """
    origin = jax.lax.stop_gradient(jnp.mean(x, -1, keepdims=True))
    a, b = (centred(z - origin, Shares(None, (z.ndim - 1,), z.shape[-1])) for z in (x, y))
    scale = jnp.maximum(a.unit, b.unit)
    gap = a.mean * (a.unit / scale) - b.mean * (b.unit / scale)
    first, second = (jnp.sum(jnp.square(z.deviations * (z.unit / scale)), -1) for z in (a, b))
    return gap[..., 0], first, second


def two_sample_t_test(
    x: Float[Array, "*batch n"],
    y: Float[Array, "*batch m"],
    *,
    alternative: str = "two-sided",
) -> StudentSignificance:
    """Student's test of whether two normal samples of one variance have one mean.

        t = (x̄ − ȳ)/(s √(1/n + 1/m)),    s² = (Σᵢ (xᵢ − x̄)² + Σⱼ (yⱼ − ȳ)²)/ν,    ν = n + m − 2

    Gradient:
        ∂p/∂t = −2 f(t) sign(t), f Student's density;    ∂t/∂x̄ = 1/(s √(1/n + 1/m))

    Args:
        x: One sample, on the last axis.
        y: The other, whose size may differ.
        alternative: ``"two-sided"``, ``"less"`` for a lower mean of x, ``"greater"``.

    Returns:
        The statistic, its p-value and the degrees of freedom.

    Raises:
        TypeError: If an argument is not floating-point.
        ValueError: If the batch shapes differ, a sample has fewer than 2 numbers, or the
            alternative is unknown.

    Example:
        >>> test = two_sample_t_test(jnp.array([1.0, 3.0]), jnp.array([5.0, 7.0]))
        >>> print(f"{test.statistic:.4f} {test.p_value:.4f}")  # −2√2
        -2.8284 0.1056

    Source:
        Fisher, Applications of "Student's" distribution (1925); ``scipy.stats.ttest_ind``.
    """
    name = "two_sample_t_test"
    _checks.option(name, "alternative", alternative, ALTERNATIVES)
    first, second = _numbers(name, 2, x=x, y=y)
    n, m = first.shape[-1], second.shape[-1]
    gap, a, b = _two(first, second)
    t = gap / _root((a + b) / (n + m - 2) * (1 / n + 1 / m))
    return _student(t, n + m - 2, alternative, jnp.result_type(x, y))


def welch_t_test(
    x: Float[Array, "*batch n"],
    y: Float[Array, "*batch m"],
    *,
    alternative: str = "two-sided",
) -> StudentSignificance:
    """Welch's test of whether two normal samples, of whatever variances, have one mean.

        t = (x̄ − ȳ)/√(a + b),    a = s_x²/n,    b = s_y²/m
        ν = (a + b)²/(a²/(n − 1) + b²/(m − 1))

    The degrees of freedom depend on the data, and the p-value is differentiated by them too.

    Gradient:
        ∂p/∂t = −2 f(t) sign(t), f Student's density;    ∂t/∂x̄ = 1/√(a + b)

    Args:
        x: One sample, on the last axis.
        y: The other, whose size may differ.
        alternative: ``"two-sided"``, ``"less"`` for a lower mean of x, ``"greater"``.

    Returns:
        The statistic, its p-value and the degrees of freedom.

    Raises:
        TypeError: If an argument is not floating-point.
        ValueError: If the batch shapes differ, a sample has fewer than 2 numbers, or the
            alternative is unknown.

    Example:
        >>> test = welch_t_test(jnp.array([1.0, 3.0]), jnp.array([5.0, 7.0]))
        >>> print(f"{test.statistic:.4f} {test.degrees:.4f}")
        -2.8284 2.0000

    Source:
        Welch, The generalization of "Student's" problem when several different population variances
        are involved (1947); ``scipy.stats.ttest_ind`` with ``equal_var=False``.
    """
    name = "welch_t_test"
    _checks.option(name, "alternative", alternative, ALTERNATIVES)
    first, second = _numbers(name, 2, x=x, y=y)
    n, m = first.shape[-1], second.shape[-1]
    gap, a, b = _two(first, second)
    a, b = a / (n - 1) / n, b / (m - 1) / m
    share = safe_divide(a, a + b, otherwise=0.5)
    nu = 1 / (jnp.square(share) / (n - 1) + jnp.square(1 - share) / (m - 1))
    return _student(gap / _root(a + b), nu, alternative, jnp.result_type(x, y))


def _kolmogorov_tail(z: jax.Array) -> jax.Array:
    """The probability that √n D exceeds z in the limit: two series, each where it is short.

    2 Σₖ (−1)ᵏ⁻¹ exp(−2 k² z²) = 1 − √(2π)/z Σₖ exp(−(2k − 1)² π²/(8 z²))
    """
    far = z > 0.9
    large, small = jnp.where(far, z, 1), jnp.where(far | (z <= 0), 1, z)
    tail = sum(2 * (-1) ** (k - 1) * jnp.exp(-2 * k * k * large * large) for k in range(1, 7))
    body = sum(jnp.exp(-((2 * k - 1) ** 2) * math.pi**2 / 8 / small / small) for k in range(1, 5))
    near = jnp.where(z <= 0, 1, 1 - math.sqrt(2 * math.pi) / small * body)
    return jnp.where(jnp.isnan(z), jnp.nan, jnp.where(far, tail, near))


def one_sample_ks_test(
    x: Float[Array, "*batch n"],
    cdf: Callable[[Array], Array],
) -> Significance:
    """Kolmogorov and Smirnov's test of whether numbers come from a given distribution.

        D = sup |Fₙ − F| = maxᵢ max(i/n − F(x₍ᵢ₎), F(x₍ᵢ₎) − (i − 1)/n)
        p = 2 Σₖ (−1)ᵏ⁻¹ exp(−2 k² n D²)

    The p-value is that of the limit n → ∞, within about 1/√n of the exact one.

    Gradient:
        ∂D/∂F(x₍ᵢ₎) = ±1 where the maximum is, else 0
        ∂p/∂D = −8 n D Σₖ (−1)ᵏ⁻¹ k² exp(−2 k² n D²)

    Args:
        x: The sample, on the last axis.
        cdf: The cumulative distribution F, a function of an array of numbers.

    Returns:
        The distance D and its p-value.

    Raises:
        TypeError: If x is not floating-point, or ``cdf`` no function.
        ValueError: If x has no axis or no numbers, or ``cdf`` changes its shape.

    Example:
        >>> x = jnp.array([0.1, 0.2, 0.7])
        >>> test = one_sample_ks_test(x, lambda x: jnp.clip(x, 0, 1))  # uniform
        >>> print(f"{test.statistic:.4f}")  # 2/3 − 0.2
        0.4667

    Source:
        Smirnov, Table for estimating the goodness of fit of empirical distributions (1948); Feller,
        On the Kolmogorov–Smirnov limit theorems (1948); ``scipy.stats.ks_1samp``.
    """
    name = "one_sample_ks_test"
    _checks.function(name, "cdf", cdf)
    (numbers,) = _numbers(name, 1, x=x)
    n = numbers.shape[-1]
    F = cdf(jnp.sort(numbers, -1))
    _checks.floating(name, **{"cdf(x)": F})
    if F.shape != numbers.shape:
        _checks.fail(name, f"cdf returns {F.shape} for x {numbers.shape}; wanted one shape")
    i = jnp.arange(1, n + 1, dtype=F.dtype)
    D = jnp.max(jnp.maximum(i / n - F, F - (i - 1) / n), -1)
    p = _kolmogorov_tail(math.sqrt(n) * D)
    return Significance(*(a.astype(jnp.result_type(x)) for a in (D, p)))


def two_sample_ks_test(x: Float[Array, "*batch n"], y: Float[Array, "*batch m"]) -> Significance:
    """Kolmogorov and Smirnov's test of whether two samples come from one distribution.

        D = sup |Fₙ − Gₘ|,    p = 2 Σₖ (−1)ᵏ⁻¹ exp(−2 k² D² nm/(n + m))

    The p-value is that of the limit n, m → ∞. D is counted, and so constant but for jumps: every
    derivative of it is 0.

    Args:
        x: One sample, on the last axis.
        y: The other, whose size may differ.

    Returns:
        The distance D and its p-value; nan where a number is nan.

    Raises:
        TypeError: If an argument is not floating-point.
        ValueError: If the batch shapes differ, or a sample is empty.

    Example:
        >>> test = two_sample_ks_test(jnp.array([0.1, 0.4, 0.7]), jnp.array([0.5, 0.8]))
        >>> print(f"{test.statistic:.4f}")  # 2/3 − 0
        0.6667

    Source:
        Smirnov, Table for estimating the goodness of fit of empirical distributions (1948);
        ``scipy.stats.ks_2samp``.
    """
    name = "two_sample_ks_test"
    first, second = (jax.lax.stop_gradient(a) for a in _numbers(name, 1, x=x, y=y))
    n, m = first.shape[-1], second.shape[-1]
    both = jnp.concatenate([first, second], -1)

    def share(z: jax.Array) -> jax.Array:
        """The share of the sample up to each of all numbers."""
        count = jnp.vectorize(
            lambda a, v: jnp.searchsorted(jnp.sort(a), v, side="right", method="sort"),
            signature="(n),(k)->(k)",
        )
        return count(z, both).astype(z.dtype) / z.shape[-1]

    D = jnp.max(jnp.abs(share(first) - share(second)), -1)
    D = jnp.where(jnp.isnan(both).any(-1), jnp.nan, D)
    p = _kolmogorov_tail(math.sqrt(n * m / (n + m)) * D)
    return Significance(*(a.astype(jnp.result_type(x, y)) for a in (D, p)))
