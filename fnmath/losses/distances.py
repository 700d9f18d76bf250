"""Distances between samples: how far what was drawn lies from what was seen.

Each compares whole samples and returns one number per pair of them. All are 0 between a sample and
itself, and need no densities.

Notation: x₁ … xₙ and y₁ … yₘ are two samples, F and G their cumulative distributions, x₍ᵢ₎ the i-th
smallest; ‖·‖ is the Euclidean norm; k is a kernel.

    crps_ensemble                ∫ (F(x) − [x ≥ t])² dx, of a sample and one number t
    wasserstein_distance_1d      (∫₀¹ |F⁻¹(u) − G⁻¹(u)|ᵖ du)^(1/p)
    energy_distance              √(2 E‖X − Y‖ − E‖X − X′‖ − E‖Y − Y′‖)
    maximum_mean_discrepancy     E k(X, X′) + E k(Y, Y′) − 2 E k(X, Y)
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.numerics import safe_divide, safe_norm
from fnmath.numerics._series import expm1
from fnmath.numerics._wide import computed_wide


def _ties(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How many entries on the last axis lie below each, and how many do not lie above it."""

    def count(side: str) -> Callable[[jax.Array], jax.Array]:
        return lambda row: jnp.searchsorted(jnp.sort(row), row, side=side, method="sort")

    below, not_above = (jnp.vectorize(count(s), signature="(n)->(n)")(x) for s in ("left", "right"))
    return below, not_above


def _kept(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """How much of each gap between neighbours lies below y, and how much above."""
    lower, upper = x[..., :-1], x[..., 1:]
    inner, none = jnp.clip(y, lower, upper), lower == upper  # of two infinities too
    gap_below, gap_above = (jnp.where(none, 0, gap) for gap in (inner - lower, upper - inner))
    below = jnp.concatenate([gap_below, jnp.maximum(y - x[..., -1:], 0)], -1)
    above = jnp.concatenate([jnp.maximum(x[..., :1] - y, 0), gap_above], -1)
    return below, above


def _gap_weights(m: int, fair: bool) -> tuple[np.ndarray, np.ndarray]:
    """What a gap with i members below it counts: i²/m² of its part below y, (m − i)²/m² above."""
    i = np.arange(m + 1)
    if fair:
        return i[1:] * (i[1:] - 1) / (m * (m - 1)), (m - i[:-1]) * (m - i[:-1] - 1) / (m * (m - 1))
    return (i[1:] / m) ** 2, ((m - i[:-1]) / m) ** 2


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _crps(x: jax.Array, y: jax.Array, fair: bool) -> jax.Array:
    below, above = _kept(jnp.sort(x, -1), y[..., None])
    weights = (w.astype(x.dtype) for w in _gap_weights(x.shape[-1], fair))
    return jnp.sum(sum(w * part for w, part in zip(weights, (below, above), strict=True)), -1)


@_crps.defjvp
def _crps_jvp(fair: bool, primals: tuple, tangents: tuple) -> tuple:
    """A member pulls by its side of y, less its rank: ±1/m − (2i − m − 1)/m² for the i-th.

    The numbers are whole until the last division. Members that are alike share the ranks of all.
    """
    (x, y), (x_dot, y_dot) = primals, tangents
    m = x.shape[-1]
    others = m - 1 if fair else m
    first, end = _ties(x)
    side = jnp.sign(x - y[..., None])
    slope = (side * others - (first + end - m).astype(x.dtype)) / (m * others)
    return _crps(x, y, fair), jnp.sum(slope * x_dot, -1) - jnp.mean(side, -1) * y_dot


def crps_ensemble(
    predictions: Float[Array, "*batch members"],
    targets: Float[Array, "*batch"],
    *,
    fair: bool = False,
) -> Float[Array, "*batch"]:
    """Continuous ranked probability score of a sample, in the units of the target.

        ℓ(x, t) = ∫ (F(u) − [u ≥ t])² du = 1/m Σᵢ |xᵢ − t| − 1/(2m²) Σᵢⱼ |xᵢ − xⱼ|
                = Σᵢ (i/m)² αᵢ + (1 − i/m)² βᵢ

    with αᵢ and βᵢ the parts below and above t of the gap from x₍ᵢ₎ to x₍ᵢ₊₁₎ (to t itself where it
    lies outside of all). After sorting, in m log m steps, the last form is a sum of terms at least
    0; the first takes m² of them and cancels. ``fair`` divides by m (m − 1) in place of m², which
    makes the mean score that of the distribution that the sample is from, whatever m is: then i²/m²
    becomes i (i − 1)/(m (m − 1)), and nothing cancels either.

    Gradient:
        ∂ℓ/∂x₍ᵢ₎ = sign(x₍ᵢ₎ − t)/m − (2i − m − 1)/m²,    ∂ℓ/∂t = 1/m Σᵢ sign(t − xᵢ)

    Args:
        predictions: The members x of the ensemble, on the last axis.
        targets: What came, t.
        fair: Whether to score the distribution behind the sample, not the sample.

    Returns:
        One score per target, in its units. A fair one can be 0 for a sample about the target: two
        members on its two sides are as far from it as from each other.

    Raises:
        TypeError: If an argument is not a floating-point array, or ``fair`` not a boolean.
        ValueError: If the batch shapes differ, or there are too few members: none, or, where
            ``fair``, one.

    Example:
        >>> score = crps_ensemble(jnp.array([0.0, 1.0, 5.0]), jnp.array(2.0))
        >>> print(f"{score:.4f}")  # 2 − 20/18
        0.8889

    Source:
        Hersbach, Decomposition of the continuous ranked probability score for ensemble prediction
        systems (2000), §4; Ferro, Fair scores for ensemble forecasts (2014), §2.
    """
    name = "crps_ensemble"
    _checks.floating(name, predictions=predictions, targets=targets)
    _checks.boolean(name, "fair", fair)
    _checks.rank(name, "predictions", predictions, "members")
    *batch, m = jnp.shape(predictions)
    if tuple(batch) != jnp.shape(targets):
        problem = f"predictions {jnp.shape(predictions)} and targets {jnp.shape(targets)}"
        _checks.fail(name, f"{problem} must have one batch shape")
    if m < 1 + fair:
        _checks.fail(name, f"predictions have {m} members; wanted at least {1 + fair}")
    return computed_wide(lambda x, t: _crps(x, t, fair), predictions, targets)


def _sample_sizes(function: str, x: Array, y: Array, x_axes: str, y_axes: str) -> tuple[int, int]:
    """The sizes of two samples; raise unless they are of one batch and none is empty."""
    _checks.floating(function, x=x, y=y)
    _checks.rank(function, "x", x, x_axes)
    _checks.rank(function, "y", y, y_axes)
    axis, features = -len(x_axes.split()), len(x_axes.split()) > 1
    a, b = jnp.shape(x), jnp.shape(y)
    if a[:axis] != b[:axis]:
        _checks.fail(function, f"x {a} and y {b} must have one batch shape")
    if features:
        _checks.same_size(function, "features", x=a[-1], y=b[-1])
    if not (a[axis] and b[axis]):
        _checks.fail(function, f"x {a} and y {b} must not be empty")
    return a[axis], b[axis]


@functools.lru_cache(maxsize=64)
def _coupling(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which quantiles of n and of m entries meet, and for how long, counted in 1/(n m)."""
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    widths = np.diff(ends, prepend=0)
    return (ends - 1) // m, (ends - 1) // n, widths / (n * m)


def _power_mean_slope(d: jax.Array, w: jax.Array, mean: jax.Array, p: float) -> jax.Array:
    """The slopes wᵢ sign(dᵢ) (|dᵢ|/M)^(p − 1) of the power mean M, 0 where M = 0."""
    if p == 1:
        return w * jnp.sign(d)
    share = safe_divide(d, mean)
    if p == 2:
        return w * share
    size = jnp.where(share == 0, 1, jnp.abs(share))
    return w * jnp.where(share == 0, 0, jnp.sign(share) * size ** (p - 1))


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _power_mean(d: jax.Array, w: jax.Array, p: float) -> jax.Array:
    """The power mean (Σᵢ wᵢ |dᵢ|ᵖ)^(1/p) over the last axis, which is kept."""
    size = jnp.abs(d)
    if p == 1:
        return jnp.sum(w * size, -1, keepdims=True)
    scale = jnp.max(size, -1, keepdims=True)
    return scale * jnp.sum(w * safe_divide(size, scale) ** p, -1, keepdims=True) ** (1 / p)


@_power_mean.defjvp
def _power_mean_jvp(p: float, primals: tuple, tangents: tuple) -> tuple:
    (d, w), (d_dot, _) = primals, tangents
    mean = _power_mean(d, w, p)
    return mean, jnp.sum(_power_mean_slope(d, w, mean, p) * d_dot, -1, keepdims=True)


def wasserstein_distance_1d(
    x: Float[Array, "*batch n"], y: Float[Array, "*batch m"], *, p: float = 1.0
) -> Float[Array, "*batch"]:
    """Least cost of moving one sample onto another along the line, in the units of the samples.

        W(x, y) = (∫₀¹ |F⁻¹(u) − G⁻¹(u)|ᵖ du)^(1/p)

    On the line the best plan keeps the order, so that sorting solves it: quantile meets quantile,
    each pair for a multiple of 1/(n m) that is counted, not rounded.

    Gradient:
        ∂W/∂x₍ᵢ₎ = Σⱼ wᵢⱼ sign(x₍ᵢ₎ − y₍ⱼ₎) (|x₍ᵢ₎ − y₍ⱼ₎|/W)^(p − 1), and 0 where W = 0,
        with wᵢⱼ the mass that moves from x₍ᵢ₎ to y₍ⱼ₎

    Args:
        x: One sample, on the last axis.
        y: The other, whose size may differ.
        p: The power p ≥ 1 of the cost, a number.

    Returns:
        One distance per pair of samples.

    Raises:
        TypeError: If an argument is not a floating-point array, or p not a number.
        ValueError: If the batch shapes differ, a sample is empty, or p < 1.

    Example:
        >>> print(wasserstein_distance_1d(jnp.array([0.0, 1.0]), jnp.array([5.0, 3.0, 1.0])))
        2.5

    Source:
        Peyré and Cuturi, Computational Optimal Transport (2019), §2.6, remark 2.30 (one dimension);
        ``scipy.stats.wasserstein_distance`` for p = 1.
    """
    name = "wasserstein_distance_1d"
    n, m = _sample_sizes(name, x, y, "n", "m")
    if isinstance(p, jax.Array) or (isinstance(p, np.ndarray) and p.ndim):
        _checks.fail(name, f"p is a {type(p).__name__}; wanted a number", error=TypeError)
    _checks.number(name, "p", p, above=1, closed="[")
    i, j, w = _coupling(n, m)

    def distance(x: Array, y: Array) -> Array:
        x, y = jnp.sort(x, -1), jnp.sort(y, -1)
        d = x - y if n == m else x[..., i] - y[..., j]
        return _power_mean(d, jnp.asarray(w, d.dtype), float(p))[..., 0]

    return computed_wide(distance, x, y)


def _pairwise(
    f: Callable[[Array, Array], Array], x: Float[Array, "*batch n d"], y: Float[Array, "*batch m d"]
) -> Float[Array, "*batch n m"]:
    """The function of each vector of one sample and each of the other."""
    table = jax.vmap(jax.vmap(f, (None, 0)), (0, None))
    for _ in range(x.ndim - 2):
        table = jax.vmap(table)
    return table(x, y)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _energy_on_line(z: jax.Array, n: int, m: int) -> jax.Array:
    """2 ∫ (F − G)² for n numbers and m more, all on the last axis."""
    order = jnp.argsort(z, -1)
    lead = jnp.cumsum(_steps(n, m, z.dtype)[order], -1)[..., :-1]
    gaps = jnp.diff(jnp.take_along_axis(z, order, -1), axis=-1)
    return 2 * jnp.sum(gaps * jnp.square(lead.astype(z.dtype) / math.lcm(n, m)), -1)


def _steps(n: int, m: int, dtype: jnp.dtype) -> jax.Array:
    """By how much each number raises F − G, in units of 1/lcm(n, m): whole numbers if they fit."""
    whole = math.lcm(n, m)
    kind = jnp.int32 if whole < 2**31 else dtype
    return jnp.repeat(jnp.asarray([whole // n, -(whole // m)], kind), np.array([n, m]))


@_energy_on_line.defjvp
def _energy_on_line_jvp(n: int, m: int, primals: tuple, tangents: tuple) -> tuple:
    """A number that raises F − G by s slides down 2 s (F − G) taken before it and after."""
    (z,), (z_dot,) = primals, tangents
    steps = _steps(n, m, z.dtype)
    lead = jnp.cumsum(steps[jnp.argsort(z, -1)], -1)
    lead = jnp.concatenate([jnp.zeros_like(lead[..., :1]), lead], -1)
    before, after = (jnp.take_along_axis(lead, i, -1) for i in _ties(z))
    share = (before + after).astype(z.dtype) / math.lcm(n, m)
    slope = -2 * share * (steps.astype(z.dtype) / math.lcm(n, m))
    return _energy_on_line(z, n, m), jnp.sum(slope * z_dot, -1)


def _energy(x: jax.Array, y: jax.Array) -> jax.Array:
    if x.shape[-1] == 1:
        z = jnp.concatenate([x[..., 0], y[..., 0]], -1)
        return _energy_on_line(z, x.shape[-2], y.shape[-2])

    def mean(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.mean(_pairwise(lambda u, v: safe_norm(u - v), a, b), (-2, -1))

    cross = mean(x, y)
    return jnp.maximum((cross - mean(x, x)) + (cross - mean(y, y)), 0)


def energy_distance(
    x: Float[Array, "*batch n features"],
    y: Float[Array, "*batch m features"],
    *,
    squared: bool = False,
) -> Float[Array, "*batch"]:
    """Energy distance of two samples: how much further they are from each other than in themselves.

        D² = 2/(nm) Σᵢⱼ ‖xᵢ − yⱼ‖ − 1/n² Σᵢⱼ ‖xᵢ − xⱼ‖ − 1/m² Σᵢⱼ ‖yᵢ − yⱼ‖ ≥ 0

    For one feature it is 2 ∫ (F − G)², which is summed over the gaps of the sorted samples: nothing
    cancels, and time grows as n log n. For more features all pairs are formed, and D² carries the
    rounding of its three means: of two samples that nearly agree only what is above 10⁻⁷ of their
    spread in float32 has a meaning.

    Gradient:
        ∂D²/∂xᵢ = 2/(nm) Σⱼ u(xᵢ − yⱼ) − 2/n² Σⱼ u(xᵢ − xⱼ),    u(v) = v/‖v‖, 0 at 0
        ∂D/∂xᵢ = ∂D²/∂xᵢ / (2D), and 0 where D = 0

    Args:
        x: One sample of vectors; one of numbers is ``x[:, None]``.
        y: The other, whose size may differ.
        squared: Whether to return D², which is the smoother thing to minimise.

    Returns:
        One distance D per pair of samples; its square is in the units of the samples.

    Raises:
        TypeError: If an argument is not a floating-point array, or ``squared`` not a boolean.
        ValueError: If batch or features differ, a sample is empty, or an axis is missing.

    Example:
        >>> x, y = jnp.array([[0.0], [8.0]]), jnp.array([[5.0], [6.0]])
        >>> print(energy_distance(x, y, squared=True))  # 2 · 4 − 4 − ½
        3.5

    Source:
        Székely and Rizzo, Energy statistics: a class of statistics based on distances (2013), §2;
        ``scipy.stats.energy_distance``, which it equals for one feature.
    """
    _checks.boolean("energy_distance", "squared", squared)
    _sample_sizes("energy_distance", x, y, "n features", "m features")

    def distance(x: Array, y: Array) -> Array:
        square = _energy(x, y)
        if squared:
            return square
        return jnp.where(square == 0, 0, jnp.sqrt(jnp.where(square == 0, 1, square)))

    return computed_wide(distance, x, y)


def _gaussian_kernel(h: jax.Array) -> Callable[[Array, Array], Array]:
    """The Gaussian kernel less 1, as a function of two vectors; nan for a width not above 0."""
    h = h * jnp.where(h > 0, 1, jnp.nan)
    return lambda u, v: expm1(-0.5 * jnp.sum(jnp.square((u - v) / h)))


def _mean_of_pairs(K: jax.Array, unbiased: bool) -> jax.Array:
    """The mean over the last two axes, without the diagonal where unbiased."""
    if not unbiased:
        return jnp.mean(K, (-2, -1))
    n = K.shape[-1]
    others = jnp.where(np.eye(n, dtype=bool), 0, K)
    return jnp.sum(others, (-2, -1)) / (n * (n - 1))


def maximum_mean_discrepancy(
    x: Float[Array, "*batch n features"],
    y: Float[Array, "*batch m features"],
    *,
    bandwidth: float | Float[Array, ""] = 1.0,
    kernel: Callable[[Array, Array], Array] | None = None,
    unbiased: bool = False,
) -> Float[Array, "*batch"]:
    """Squared maximum mean discrepancy: how far apart two samples' means in feature space lie.

        M² = 1/n² Σᵢⱼ k(xᵢ, xⱼ) + 1/m² Σᵢⱼ k(yᵢ, yⱼ) − 2/(nm) Σᵢⱼ k(xᵢ, yⱼ)
        k(x, y) = exp(−½ ‖x − y‖²/h²),    of which k − 1 is summed: the ones cancel

    The unbiased estimate leaves out i = j in the first two sums, which divide by n (n − 1) and
    m (m − 1) instead; it may be negative.

    Gradient:
        ∂M²/∂xᵢ = 2/n² Σⱼ ∂k(xᵢ, xⱼ)/∂xᵢ − 2/(nm) Σⱼ ∂k(xᵢ, yⱼ)/∂xᵢ,
        ∂k/∂x = −k(x, y) (x − y)/h²

    Args:
        x: One sample of vectors; one of numbers is ``x[:, None]``.
        y: The other, whose size may differ.
        bandwidth: The length h > 0 of the Gaussian kernel, in the units of x; an array gives nan
            where it is not above 0.
        kernel: A positive definite function of two vectors in place of the Gaussian one.
        unbiased: Whether to leave out the pairs of a vector with itself.

    Returns:
        One squared discrepancy per pair of samples.

    Raises:
        TypeError: If an argument is not a floating-point array, ``kernel`` no function, or
            ``unbiased`` not a boolean.
        ValueError: If batch or features differ, a sample is empty (or has one vector, where
            unbiased), the bandwidth is a number not above 0, or it or the kernel is no scalar.

    Example:
        >>> x, y = jnp.array([[0.0], [0.0]]), jnp.array([[1.0]])
        >>> print(f"{maximum_mean_discrepancy(x, y):.6f}")  # 2 − 2 e^−½
        0.786939

    Source:
        Gretton, Borgwardt, Rasch, Schölkopf and Smola, A kernel two-sample test (2012), §2.2, lemma
        6, equations (3) and (5).
    """
    name = "maximum_mean_discrepancy"
    n, m = _sample_sizes(name, x, y, "n features", "m features")
    _checks.number(name, "bandwidth", bandwidth, above=0)
    _checks.rank(name, "bandwidth", bandwidth, "", exact=True)
    _checks.boolean(name, "unbiased", unbiased)
    if kernel is not None:
        _checks.function(name, "kernel", kernel)
    if unbiased and min(n, m) < 2:
        _checks.fail(name, f"the samples have {n} and {m} vectors; wanted at least 2 of each")

    def discrepancy(x: Array, y: Array) -> Array:
        k = _gaussian_kernel(jnp.asarray(bandwidth, x.dtype)) if kernel is None else kernel
        tables = [_pairwise(k, a, b) for a, b in ((x, x), (y, y), (x, y))]
        if tables[2].ndim != x.ndim:
            _checks.fail(name, f"kernel returns {tables[2].shape[x.ndim :]}; wanted a scalar")
        within = (_mean_of_pairs(K, unbiased) for K in tables[:2])
        return sum(within) - 2 * jnp.mean(tables[2], (-2, -1))

    return computed_wide(discrepancy, x, y)
