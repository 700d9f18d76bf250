"""Resampling: what a statistic would be on other samples, made of this one.

Notation: x₁ … xₙ is a sample, θ̂ its statistic, θ*₁ … θ*_B those of resamples, θ̂₍ᵢ₎ that of the
sample without xᵢ; Φ is the standard normal distribution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Float, Key

from fnmath import _checks
from fnmath.numerics import safe_divide
from fnmath.statistics._samples import wide
from fnmath.statistics.moments import mean
from fnmath.statistics.quantiles import quantile
from fnmath.statistics.significance import ALTERNATIVES, Significance

Statistic = Callable[..., Array]


class Interval(NamedTuple):
    """The ends of an interval."""

    low: Float[Array, "..."]
    high: Float[Array, "..."]


def _sample(function: str, least: int, **samples: Any) -> None:
    """Raise unless each sample has an axis of observations, and enough of them."""
    _checks.floating(function, **samples)
    for name, x in samples.items():
        shape = jnp.shape(x)
        if not shape or shape[0] < least:
            _checks.fail(
                function, f"{name} has shape {shape}; wanted at least {least} observations"
            )


def _called(function: str, statistic: Any, *samples: Array) -> None:
    """Raise unless the statistic is a function that gives an array of real numbers."""
    _checks.function(function, "statistic", statistic)
    value = jax.eval_shape(statistic, *samples)
    if not isinstance(value, jax.ShapeDtypeStruct):
        problem = f"statistic returns a {type(value).__name__}; wanted an array"
        _checks.fail(function, problem, error=TypeError)
    if not jnp.issubdtype(value.dtype, jnp.floating):
        problem = f"statistic returns {value.dtype}; wanted a floating dtype"
        _checks.fail(function, problem, error=TypeError)


def _acceleration(statistic: Statistic, x: Array, batch: int) -> Array:
    """Efron's a = Σᵢ dᵢ³/(6 (Σᵢ dᵢ²)^(3/2)), dᵢ the mean of the θ̂₍ⱼ₎ less θ̂₍ᵢ₎; 0 if all are 0."""
    n = x.shape[0]
    others = jnp.arange(n - 1)

    def without(i: Array) -> Array:
        return statistic(x[others + (others >= i)])

    values = wide(jax.lax.map(without, jnp.arange(n), batch_size=batch))
    d = mean(values, axis=0) - values
    d = d / _largest(d)
    square = jnp.sum(jnp.square(d), 0)
    root = jnp.sqrt(jnp.where(square == 0, 1, square))
    return safe_divide(jnp.sum(d**3, 0), 6 * root**3)


def _largest(d: Array) -> Array:
    """The largest |dᵢ| as a unit, 1 where that is 0; no derivative."""
    unit = jnp.max(jnp.abs(jax.lax.stop_gradient(d)), 0)
    return jnp.where(unit == 0, 1, unit)


def _share(counted: Array, dtype: Any) -> Array:
    """How many of all are counted, in proportion."""
    return jnp.sum(counted, 0, dtype=dtype) / counted.shape[0]


def _corrected(level: Array, below: Array, acceleration: Array) -> Array:
    """The probabilities Φ(z₀ + (z₀ + z)/(1 − a (z₀ + z))) that take the place of Φ(z)."""
    bias = ndtri(below)
    z = bias + ndtri(level)
    return ndtr(bias + z / (1 - acceleration * z))


def bootstrap_interval(
    key: Key[Array, ""],
    x: Float[Array, "n *shape"],
    statistic: Callable[[Array], Array],
    *,
    level: float = 0.95,
    resamples: int = 9999,
    method: str = "bca",
    batch: int = 128,
) -> Interval:
    """Confidence interval of a statistic, from resamples of the sample itself.

        percentile    the quantiles of θ* at α and 1 − α,    α = (1 − level)/2
        bca           those at Φ(z₀ + (z₀ ± z)/(1 − a (z₀ ± z))),    z = Φ⁻¹(1 − α)
                      z₀ = Φ⁻¹(share of θ* below θ̂),    a = Σᵢ dᵢ³/(6 (Σᵢ dᵢ²)^(3/2))

    with dᵢ by how much the θ̂₍ⱼ₎ are above that without xᵢ on average. The second corrects for bias
    and skewness, and covers what it says to order 1/n, the first to 1/√n.

    Gradient:
        the ends are θ* of two resamples each, and are differentiated as such, and through a; the
        share below θ̂ is counted, and has derivative 0

    Args:
        key: A random key.
        x: The sample, its observations on the first axis; pairs are rows.
        statistic: A function of a sample of as many observations, or one less, as JAX traces it.
        level: The probability that the interval should cover the true value, in (0, 1).
        resamples: How many resamples B to draw, each of n observations with replacement.
        method: ``"bca"`` or ``"percentile"``.
        batch: How many resamples to take at once, which costs memory.

    Returns:
        The interval, of the statistic's shape; nan for ``"bca"`` where all θ* lie on one side of
        θ̂, a bias that no correction reaches.

    Raises:
        TypeError: If the key is none, x or the statistic is not floating-point, ``statistic`` no
            function, or an option of the wrong type.
        ValueError: If x has fewer than 2 observations, the level lies outside of (0, 1), there is
            not at least one resample or batch, or the method is unknown.

    Example:
        >>> x = jnp.array([1.0, 2.0, 4.0, 7.0, 3.0, 5.0, 2.0, 4.0])
        >>> interval = bootstrap_interval(jax.random.key(0), x, jnp.mean, resamples=999)
        >>> print(interval.low < 3.5 < interval.high)
        True

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap (1993), §13.3 and §14.3;
        ``scipy.stats.bootstrap``.
    """
    name = "bootstrap_interval"
    _checks.key(name, key)
    _sample(name, 2, x=x)
    _checks.scalar(name, "level", level)
    _checks.number(name, "level", level, above=0, below=1)
    _checks.size(name, resamples=resamples, batch=batch)
    _checks.option(name, "method", method, ("bca", "percentile"))
    x = jnp.asarray(x)
    _called(name, statistic, x)
    n = x.shape[0]

    def again(key: Array) -> Array:
        return statistic(x[jax.random.randint(key, (n,), 0, n)])

    values = jax.lax.map(again, jax.random.split(key, resamples), batch_size=batch)
    tail = jnp.asarray((1 - level) / 2, wide(values).dtype)
    ends = jnp.broadcast_to(tail, values.shape[1:]), jnp.broadcast_to(1 - tail, values.shape[1:])
    if method == "bca":
        observed = jax.lax.stop_gradient(statistic(x))
        below = _share(values < observed, tail.dtype) + 0.5 * _share(values == observed, tail.dtype)
        a = _acceleration(statistic, x, batch)
        ends = tuple(_corrected(end, below, a) for end in ends)
    at = jnp.vectorize(quantile, signature="(n),()->()")
    last = jnp.moveaxis(values, 0, -1)
    return Interval(*(at(last, end) for end in ends))


def difference_of_means(
    x: Float[Array, "n *shape"], y: Float[Array, "m *shape"]
) -> Float[Array, "*shape"]:
    """Difference of the means of two samples, the usual statistic of a permutation test.

        T = x̄ − ȳ

    Gradient:
        ∂T/∂xᵢ = 1/n,    ∂T/∂yⱼ = −1/m

    Args:
        x: One sample, its observations on the first axis.
        y: The other.

    Returns:
        The difference, of the shape of an observation.

    Raises:
        TypeError: If an argument is not floating-point.
        ValueError: If a sample is empty, or their observations differ in shape.

    Example:
        >>> print(difference_of_means(jnp.array([1.0, 3.0]), jnp.array([5.0])))
        -3.0

    Source:
        Fisher, The Design of Experiments (1935), §21.
    """
    _sample("difference_of_means", 1, x=x, y=y)
    _same_observations("difference_of_means", x, y)
    return mean(x, axis=0) - mean(y, axis=0)


def _same_observations(function: str, x: Array, y: Array) -> None:
    """Raise unless observations of both samples have one shape."""
    a, b = jnp.shape(x), jnp.shape(y)
    if a[1:] != b[1:]:
        _checks.fail(function, f"x {a} and y {b} must have observations of one shape")


def permutation_test(
    key: Key[Array, ""],
    x: Float[Array, "n *shape"],
    y: Float[Array, "m *shape"],
    *,
    statistic: Callable[[Array, Array], Array] = difference_of_means,
    resamples: int = 9999,
    alternative: str = "two-sided",
    batch: int = 128,
) -> Significance:
    """Test of whether two samples come from one distribution, by dealing them out anew.

        p = (1 + #{b : T*_b ≥ T})/(1 + B)        ("greater")
        p = min(1, 2 min(p_less, p_greater))     ("two-sided")

    T*_b is the statistic after a random division of all observations into n and m. Counting the
    division that was seen itself makes the test exact: p ≤ α happens with probability at most α,
    whatever the distribution is. It is counted, and so has derivative 0; the statistic's is its
    own.

    Args:
        key: A random key.
        x: One sample, its observations on the first axis.
        y: The other, whose size may differ.
        statistic: A function of two samples.
        resamples: How many divisions B to draw.
        alternative: ``"two-sided"``, ``"greater"`` for a statistic that is larger than by chance,
            ``"less"``.
        batch: How many divisions to take at once, which costs memory.

    Returns:
        The statistic and its p-value, of the statistic's shape. Statistics within 100 ε of T count
        as equal to it; p is nan where T is.

    Raises:
        TypeError: If the key is none, a sample or the statistic is not floating-point,
            ``statistic`` no function, or a size not an integer.
        ValueError: If a sample is empty, the observations differ in shape, a size is below 1, or
            the alternative is unknown.

    Example:
        >>> x, y = jnp.array([1.0, 2.0, 3.0, 4.0]), jnp.array([11.0, 12.0, 13.0, 14.0])
        >>> test = permutation_test(jax.random.key(0), x, y, resamples=999)
        >>> print(test.p_value < 0.06)  # 2/70 of the divisions are as far apart
        True

    Source:
        Phipson and Smyth, Permutation p-values should never be zero (2010), §4;
        ``scipy.stats.permutation_test``.
    """
    name = "permutation_test"
    _checks.key(name, key)
    _sample(name, 1, x=x, y=y)
    _same_observations(name, x, y)
    _checks.size(name, resamples=resamples, batch=batch)
    _checks.option(name, "alternative", alternative, ALTERNATIVES)
    _called(name, statistic, jnp.asarray(x), jnp.asarray(y))
    n, both = jnp.shape(x)[0], jnp.concatenate([x, y])
    still = jax.lax.stop_gradient(both)

    def dealt(key: Array) -> Array:
        order = jax.random.permutation(key, still.shape[0])
        return statistic(still[order[:n]], still[order[n:]])

    values = jax.lax.map(dealt, jax.random.split(key, resamples), batch_size=batch)
    observed = statistic(jnp.asarray(x), jnp.asarray(y))
    T = jax.lax.stop_gradient(observed)
    slack = 100 * jnp.finfo(T.dtype).eps * jnp.abs(T)
    more, less = (
        (1 + jnp.sum(beyond, 0, dtype=T.dtype)) / (1 + resamples)
        for beyond in (values >= T - slack, values <= T + slack)
    )
    both_sides = jnp.minimum(2 * jnp.minimum(more, less), 1)
    p = {"greater": more, "less": less, "two-sided": both_sides}[alternative]
    return Significance(observed, jnp.where(jnp.isnan(T), jnp.nan, p))
