"""Running moments: of numbers that come batch by batch, or lie on several devices.

Notation: A and B are two samples with weights W = Σᵢ wᵢ, means m and sums of powers of deviations
Mₖ = Σᵢ wᵢ (xᵢ − m)ᵏ; δ = m_B − m_A.

Such moments merge, in any order: what ``moments_update`` gives for one batch after the other,
``moments_merge`` for two halves and ``moments_psum`` for the shards of a mesh are those of all the
numbers at once. Every sum is kept with what rounding has taken from it: of ten million numbers
added one by one, a float32 would keep three digits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.numerics._series import two_sum
from fnmath.statistics._samples import unit, weights_fit, wide


class Moments(NamedTuple):
    """The moments of the numbers so far, each with the part that its rounding took."""

    weight: Float[Array, "*shape"]
    weight_squares: Float[Array, "*shape"]
    mean: Float[Array, "*shape"]
    second: Float[Array, "*shape"]
    third: Float[Array, "*shape"]
    fourth: Float[Array, "*shape"]
    rests: tuple[Float[Array, "*shape"], ...]


def _plus(x: jax.Array, rest: jax.Array, *terms: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The number x + rest with more added, again as a rounded number and its rest."""
    for term in terms:
        x, more = two_sum(x, term)
        rest = rest + more
    return two_sum(x, rest)


def _state(function: str, moments: Any, argument: str = "moments") -> None:
    """Raise unless these are moments, of one shape."""
    cure = "moments_init(jnp.zeros(()))"
    _checks.instance(function, argument, moments, Moments, cure)
    rests = moments.rests
    if not isinstance(rests, tuple) or len(rests) != len(Moments._fields) - 1:
        wanted = f"a tuple of {len(Moments._fields) - 1} arrays"
        problem = f"{argument}.rests is a {type(rests).__name__}; wanted {wanted}"
        _checks.fail(function, problem, error=TypeError)
    fields = {f"{argument}.{k}": v for k, v in moments._asdict().items() if k != "rests"}
    fields |= {f"{argument}.rests[{i}]": v for i, v in enumerate(rests)}
    _checks.floating(function, **fields)
    _checks.same_shape(function, **fields)


def moments_init(like: Float[Array, "*shape"]) -> Moments:
    """Moments of no numbers yet.

        W = 0,    m = 0,    M₂ = M₃ = M₄ = 0

    Args:
        like: An array of the shape and dtype of one observation; half precision is kept as float32.

    Returns:
        The moments, of that shape.

    Raises:
        TypeError: If ``like`` is not floating-point.

    Example:
        >>> print(moments_init(jnp.zeros(3)).mean)
        [0. 0. 0.]

    Source:
        Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample
        variances (1979), §2.
    """
    _checks.floating("moments_init", like=like)
    zeros = jnp.zeros_like(wide(like))
    parts = len(Moments._fields) - 1
    return Moments(*[zeros] * parts, rests=(zeros,) * parts)


def _of_batch(x: jax.Array, w: jax.Array) -> Moments:
    """The moments of one batch, whose observations are on the first axis."""
    total = jnp.sum(w, 0)
    share = w / jnp.where(total == 0, 1, total)
    scale = unit(x, (0,))
    y = x / scale
    pilot = jax.lax.stop_gradient(jnp.sum(share * y, 0, keepdims=True))
    correction = jnp.sum(share * (y - pilot), 0, keepdims=True)
    d = (y - pilot) - correction
    second, third, fourth = (jnp.sum(w * d**k, 0) for k in (2, 3, 4))
    mean, rest = (jnp.squeeze(a * scale, 0) for a in two_sum(pilot, correction))
    s, zeros = jnp.squeeze(scale, 0), jnp.zeros_like(total)
    powers = (second * s * s, third * s * s * s, fourth * s * s * s * s)
    rests = (zeros, zeros, rest, zeros, zeros, zeros)
    return Moments(total, jnp.sum(jnp.square(w), 0), mean, *powers, rests)


def _merged(a: Moments, b: Moments) -> Moments:
    """Chan's and Pébay's formulas."""
    n, n_rest = _plus(a.weight, a.rests[0], b.weight, b.rests[0])
    some = jnp.where(n == 0, 1, n)
    p, q = a.weight / some, b.weight / some
    first, second = a.weight == 0, b.weight == 0
    # An empty sample has no mean: a gap to it would be rounded as no gap between samples is.
    origin, rest = (jnp.where(first, u, v) for u, v in ((b.mean, a.mean), (b.rests[2], a.rests[2])))
    gap = jnp.where(first | second, 0, (b.mean - a.mean) + (b.rests[2] - a.rests[2]))
    between = gap * gap * (p * b.weight)
    third = between * gap * (p - q), 3 * gap * (p * b.second - q * a.second)
    fourth = (
        between * gap * gap * (p * p - p * q + q * q),
        6 * gap * gap * (p * p * b.second + q * q * a.second),
        4 * gap * (p * b.third - q * a.third),
    )
    parts = (
        (n, n_rest),
        _plus(a.weight_squares, a.rests[1], b.weight_squares, b.rests[1]),
        _plus(origin, rest, gap * q),
        _plus(a.second, a.rests[3], b.second, b.rests[3], between),
        _plus(a.third, a.rests[4], b.third, b.rests[4], *third),
        _plus(a.fourth, a.rests[5], b.fourth, b.rests[5], *fourth),
    )
    values, rests = zip(*parts, strict=True)
    return Moments(*values, rests=rests)


def moments_update(
    moments: Moments,
    x: Float[Array, "n *shape"],
    *,
    weights: Float[Array, "..."] | None = None,
) -> Moments:
    """Moments with another batch of observations.

        the moments of the batch, in two passes, merged with those before as by ``moments_merge``

    A batch of one, ``x[None]``, makes this Welford's algorithm; over ``jax.lax.scan`` it takes a
    whole series. A large batch is both faster and more accurate than as many small ones.

    Gradient:
        ∂m/∂xᵢ = wᵢ/W,    ∂M₂/∂xᵢ = 2 wᵢ (xᵢ − m)

    Args:
        moments: The moments so far.
        x: The batch, its observations on the first axis.
        weights: The weights w ≥ 0 of the observations, in a shape that broadcasts to that of x;
            without, each counts 1.

    Returns:
        The moments of all; nan where a weight is negative.

    Raises:
        TypeError: If ``moments`` are none, or x or the weights are not floating-point.
        ValueError: If x is not a batch of observations of the moments' shape, or the weights do not
            broadcast.

    Example:
        >>> moments = moments_init(jnp.zeros(()))
        >>> for batch in (jnp.array([1.0, 2.0]), jnp.array([6.0])):
        ...     moments = moments_update(moments, batch)
        >>> print(moments.weight, moments.mean, moments_variance(moments, ddof=1))
        3.0 3.0 7.0

    Source:
        Welford, Note on a method for calculating corrected sums of squares and products (1962);
        Pébay, Formulas for robust, one-pass parallel computation of covariances and
        arbitrary-order statistical moments (2008), §2.
    """
    name = "moments_update"
    _state(name, moments)
    _checks.floating(name, x=x)
    shape = jnp.shape(moments.mean)
    if jnp.shape(x)[1:] != shape or not jnp.ndim(x):
        wanted = "(n" + "".join(f", {k}" for k in shape) + ("," if not shape else "") + ")"
        cure = "x[None]" if jnp.shape(x) == shape else ""
        _checks.fail(name, f"x has shape {jnp.shape(x)}; wanted {wanted}", cure)
    numbers = wide(x)
    w = jnp.ones_like(numbers)
    if weights is not None:
        weights_fit(name, weights, x)
        w = jnp.broadcast_to(wide(weights), numbers.shape)
    if not numbers.shape[0]:
        return moments
    return _merged(moments, _of_batch(numbers, jnp.where(w >= 0, w, jnp.nan)))


def moments_merge(first: Moments, second: Moments) -> Moments:
    """Moments of two samples together.

        W = W_A + W_B,    m = m_A + δ W_B/W,    M₂ = M₂_A + M₂_B + δ² W_A W_B/W

    and the like for M₃ and M₄. It is associative and commutative, but for rounding.

    Gradient:
        ∂m/∂m_A = W_A/W,    ∂M₂/∂m_A = −2 δ W_A W_B/W,    ∂M₂/∂M₂_A = 1

    Args:
        first: The moments of one sample.
        second: Those of the other, of the same shape.

    Returns:
        The moments of both.

    Raises:
        TypeError: If an argument is no moments.
        ValueError: If the shapes differ.

    Example:
        >>> empty = moments_init(jnp.zeros(()))
        >>> a, b = (moments_update(empty, x) for x in (jnp.array([1.0, 2.0]), jnp.array([6.0])))
        >>> print(moments_merge(a, b).mean)
        3.0

    Source:
        Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample
        variances (1979), §2; Pébay, Formulas for robust, one-pass parallel computation (2008), §3.
    """
    _state("moments_merge", first, "first")
    _state("moments_merge", second, "second")
    _checks.same_shape("moments_merge", first=first.mean, second=second.mean)
    return _merged(first, second)


def _axis_names(function: str, axis_name: Any) -> None:
    """Raise ``TypeError`` unless it is the name of an axis, or several."""
    for name in axis_name if isinstance(axis_name, tuple) else (axis_name,):
        if not isinstance(name, str):
            problem = f"axis_name is {name!r} ({type(name).__name__}); wanted a string"
            _checks.fail(function, problem, error=TypeError)


def moments_psum(moments: Moments, axis_name: str | tuple[str, ...]) -> Moments:
    """Moments of the samples of all devices along a named axis, on each of them.

        m = Σ_s W_s m_s / W,    M₂ = Σ_s M₂_s + W_s (m_s − m)²

    summed by ``jax.lax.psum`` over the shards s, as deviations from a common first mean, so that
    nothing cancels however far that lies from 0.

    Args:
        moments: The moments of this device's shard, inside of ``jax.shard_map``, ``jax.pmap`` or
            ``jax.vmap``.
        axis_name: The name of the mapped axis, or several.

    Returns:
        The moments of all shards, the same on each device.

    Raises:
        TypeError: If ``moments`` are none, or the name is no string.

    Example:
        >>> def of_all(shard):
        ...     moments = moments_update(moments_init(jnp.zeros(())), shard)
        ...     return moments_variance(moments_psum(moments, "devices"))
        >>> print(jax.vmap(of_all, axis_name="devices")(jnp.array([[1.0, 2.0], [2.0, 7.0]])))
        [5.5 5.5]

    Source:
        Chan, Golub and LeVeque, Updating formulae and a pairwise algorithm for computing sample
        variances (1979), §2, for several samples at once; Pébay (2008), §3.
    """
    _state("moments_psum", moments)
    _axis_names("moments_psum", axis_name)
    n, _, mean, second, third, fourth, rests = moments
    total = jax.lax.psum(n, axis_name)
    p = n / jnp.where(total == 0, 1, total)
    pilot = jax.lax.stop_gradient(jax.lax.psum(p * mean, axis_name))
    gap = (mean - pilot) + rests[2]
    correction = jax.lax.psum(p * gap, axis_name)
    gap = gap - correction
    square = gap * gap
    # Of empty shards the distance to the common mean means nothing, and counts 0.
    powers = (
        second + n * square,
        third + 3 * gap * second + n * square * gap,
        fourth + 4 * gap * third + 6 * square * second + n * square * square,
    )
    summed = jax.lax.psum((moments.weight_squares, *powers, rests), axis_name)
    of_weights, *sums, rests = summed
    rests = (*rests[:2], jnp.zeros_like(mean), *rests[3:])
    values = (total, of_weights, pilot + correction, *sums)
    parts = [two_sum(v, r) for v, r in zip(values, rests, strict=True)]
    parts[2] = two_sum(pilot, correction)
    values, rests = zip(*parts, strict=True)
    return Moments(*values, rests=rests)


def moments_variance(moments: Moments, *, ddof: float = 0) -> Float[Array, "*shape"]:
    """Variance of the numbers so far.

        v = M₂/(W f),    f = 1 − ddof Σᵢ wᵢ²/W²

    Gradient:
        ∂v/∂M₂ = 1/(W f)

    Args:
        moments: The moments.
        ddof: The degrees of freedom that the mean has cost, as in ``variance``.

    Returns:
        The variance; nan where no degree of freedom is left, as of no numbers.

    Raises:
        TypeError: If ``moments`` are none, or ``ddof`` is not a number.
        ValueError: If ``ddof`` is negative.

    Example:
        >>> moments = moments_update(moments_init(jnp.zeros(())), jnp.array([1.0, 2.0, 6.0]))
        >>> print(moments_variance(moments, ddof=1))
        7.0

    Source:
        ``numpy.var``; Chan, Golub and LeVeque, Algorithms for computing the sample variance (1983),
        §1.
    """
    _state("moments_variance", moments)
    _checks.scalar("moments_variance", "ddof", ddof, above=0, closed="[")
    n = moments.weight
    some = jnp.where(n > 0, n, jnp.nan)
    left = n - ddof * (moments.weight_squares / some)
    return moments.second / jnp.where(left > 0, left, jnp.nan)


def moments_skewness(moments: Moments) -> Float[Array, "*shape"]:
    """Skewness of the numbers so far.

        g₁ = √W M₃/M₂^(3/2)

    Gradient:
        ∂g₁/∂M₃ = √W/M₂^(3/2),    ∂g₁/∂M₂ = −3/2 g₁/M₂

    Args:
        moments: The moments.

    Returns:
        The skewness; nan where all numbers are alike.

    Raises:
        TypeError: If ``moments`` are none.

    Example:
        >>> moments = moments_update(moments_init(jnp.zeros(())), jnp.array([0.0, 0.0, 3.0]))
        >>> print(f"{moments_skewness(moments):.4f}")  # 1/√2
        0.7071

    Source:
        Pébay, Formulas for robust, one-pass parallel computation (2008), §1;
        ``scipy.stats.skew``.
    """
    _state("moments_skewness", moments)
    square = moments_variance(moments)
    deviation = jnp.sqrt(jnp.where(square > 0, square, jnp.nan))
    return moments.third / (moments.weight * deviation) / deviation / deviation


def moments_kurtosis(moments: Moments, *, fisher: bool = True) -> Float[Array, "*shape"]:
    """Kurtosis of the numbers so far.

        g₂ = W M₄/M₂² − 3

    Gradient:
        ∂g₂/∂M₄ = W/M₂²,    ∂g₂/∂M₂ = −2 (g₂ + 3)/M₂

    Args:
        moments: The moments.
        fisher: Whether to subtract the 3 of a normal distribution.

    Returns:
        The kurtosis; nan where all numbers are alike.

    Raises:
        TypeError: If ``moments`` are none, or ``fisher`` is not a boolean.

    Example:
        >>> moments = moments_update(moments_init(jnp.zeros(())), jnp.array([-1.0, 1.0]))
        >>> print(moments_kurtosis(moments))
        -2.0

    Source:
        Pébay, Formulas for robust, one-pass parallel computation (2008), §1;
        ``scipy.stats.kurtosis``.
    """
    _state("moments_kurtosis", moments)
    _checks.boolean("moments_kurtosis", "fisher", fisher)
    square = moments_variance(moments)
    square = jnp.where(square > 0, square, jnp.nan)
    ratio = moments.fourth / (moments.weight * square) / square
    return ratio - 3 if fisher else ratio


class Average(NamedTuple):
    """An exponential moving average, its bias corrected, and the weight of what it has seen."""

    mean: Float[Array, "*shape"]
    weight: Float[Array, ""]


def exponential_average_init(like: Float[Array, "*shape"]) -> Average:
    """Exponential moving average of nothing yet.

        m₀ = 0,    c₀ = 0

    Args:
        like: An array of the shape and dtype of what is averaged; half precision is kept as
            float32.

    Returns:
        The average.

    Raises:
        TypeError: If ``like`` is not floating-point.

    Example:
        >>> print(exponential_average_init(jnp.zeros(2)).mean)
        [0. 0.]

    Source:
        Kingma and Ba, Adam: a method for stochastic optimization (2015), §3.
    """
    _checks.floating("exponential_average_init", like=like)
    zeros = jnp.zeros_like(wide(like))
    return Average(zeros, jnp.zeros((), zeros.dtype))


def exponential_average_update(
    average: Average, x: Float[Array, "*shape"], *, decay: float | Float[Array, ""]
) -> Average:
    """Exponential moving average with one more value, its bias corrected.

        cₜ = β cₜ₋₁ + 1 − β,    mₜ = mₜ₋₁ + (1 − β)/cₜ (xₜ − mₜ₋₁)

    which is (1 − β) Σₛ βᵗ⁻ˢ xₛ / (1 − βᵗ), the corrected average of Adam, for a constant β, and
    a mean with weights that sum to 1 for one that changes from step to step. The first value is its
    own average.

    Gradient:
        ∂mₜ/∂xₜ = (1 − β)/cₜ,    ∂mₜ/∂mₜ₋₁ = 1 − (1 − β)/cₜ

    Args:
        average: The average so far.
        x: The next value, of the average's shape.
        decay: The decay β in [0, 1), which may be an array: nan is returned for one outside.

    Returns:
        The average; its field ``mean`` is the corrected one, and needs no division.

    Raises:
        TypeError: If ``average`` is none, or x is not floating-point.
        ValueError: If x has another shape than the average, or the decay is a number outside of
            [0, 1) or no scalar.

    Example:
        >>> average = exponential_average_init(jnp.zeros(()))
        >>> for x in (1.0, 4.0):
        ...     average = exponential_average_update(average, jnp.asarray(x), decay=0.5)
        >>> print(average.mean)  # (1 + 2 · 4)/3
        3.0

    Source:
        Kingma and Ba, Adam: a method for stochastic optimization (2015), §3.
    """
    name = "exponential_average_update"
    _checks.instance(name, "average", average, Average, "exponential_average_init(x)")
    _checks.floating(name, mean=average.mean, weight=average.weight, x=x)
    _checks.rank(name, "weight", average.weight, "", exact=True)
    _checks.same_shape(name, average=average.mean, x=x)
    _checks.number(name, "decay", decay, above=0, below=1, closed="[")
    _checks.rank(name, "decay", decay, "", exact=True)
    before = jnp.asarray(average.mean)
    dtype = before.dtype
    rest = 1 - decay  # in double precision, where the decay is a Python number
    decay, rest = (jnp.asarray(a, dtype) for a in (decay, rest))
    known = (decay >= 0) & (decay < 1)
    weight = decay * average.weight + jnp.where(known, rest, jnp.nan)
    mean = before + rest / weight * (wide(x) - before)
    return Average(mean.astype(dtype), weight.astype(dtype))
