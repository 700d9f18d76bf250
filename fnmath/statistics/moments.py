"""Moments: where a sample lies, how wide it is, how lopsided, how heavy its tails.

Notation: xᵢ are the n numbers of a sample, pᵢ their shares (wᵢ/Σⱼ wⱼ, or 1/n without weights),
x̄ = Σᵢ pᵢ xᵢ their mean, δᵢ = xᵢ − x̄, μₖ = Σᵢ pᵢ δᵢᵏ their central moments, σ = √μ₂, zᵢ = δᵢ/σ.

Only ratios of weights matter: weights are how much each number counts, not how often it was seen.
Of the degrees of freedom the share f = 1 − ddof Σᵢ pᵢ² is left, which is (n − ddof)/n for weights
that are alike; with ddof = 1 the variance has no bias then, whatever the weights are.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.numerics import safe_divide
from fnmath.statistics._samples import Axis, centred, least_entries, sample, unit, wide


def mean(
    x: Float[Array, "..."],
    *,
    axis: Axis = None,
    weights: Float[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """Mean of a sample, weighted or not.

        x̄ = Σᵢ pᵢ xᵢ = a + Σᵢ pᵢ (xᵢ − a)

    with a the mean as a first pass rounds it, and all in units of the largest number: the error is
    of the order of the spread's rounding, not of the sum's, and no sum overflows.

    Gradient:
        ∂x̄/∂xᵢ = pᵢ,    ∂x̄/∂wᵢ = (xᵢ − x̄)/Σⱼ wⱼ

    Args:
        x: The sample.
        axis: The axis of its numbers, or several, or None for all.
        weights: The weights w ≥ 0, in a shape that broadcasts to that of x. A weight of 0 is no
            mask: 0 · nan is nan.

    Returns:
        One mean per sample, in the units of x; nan where a weight is negative or all are 0.

    Raises:
        TypeError: If x or the weights are not floating-point.
        ValueError: If a sample is empty, the axis is none of x's, or the weights do not broadcast.

    Example:
        >>> x = jnp.array([1.0, 2.0, 6.0])
        >>> print(mean(x), mean(x, weights=jnp.array([2.0, 1.0, 1.0])))
        3.0 2.5

    Source:
        ``numpy.average``; Chan, Golub and LeVeque, Algorithms for computing the sample variance
        (1983), §3 (the second pass).
    """
    numbers, of = sample("mean", x, weights, axis)
    about = centred(numbers, of)
    return jnp.squeeze(about.mean * about.unit, of.axes).astype(jnp.result_type(x))


def _variance(
    function: str, x: Array, weights: Array | None, axis: Axis, ddof: float
) -> tuple[jax.Array, jax.Array]:
    """The variance in units of the square of a power of two, and that power."""
    least = least_entries(function, ddof)
    numbers, of = sample(function, x, weights, axis, least)
    about = centred(numbers, of)
    square = of.estimate(jnp.square(about.deviations), ddof).astype(numbers.dtype)
    return jnp.squeeze(square, of.axes), jnp.squeeze(about.unit, of.axes)


def variance(
    x: Float[Array, "..."],
    *,
    axis: Axis = None,
    weights: Float[Array, "..."] | None = None,
    ddof: float = 0,
) -> Float[Array, "..."]:
    """Variance of a sample: the mean square of its deviations.

        v = Σᵢ pᵢ (xᵢ − x̄)² / f,    f = 1 − ddof Σᵢ pᵢ²

    In two passes, of deviations that are formed without cancellation: E[x²] − x̄² in float32 has no
    digit left where the mean is 10⁴ standard deviations.

    Gradient:
        ∂v/∂xᵢ = 2 pᵢ δᵢ/f

    Args:
        x: The sample.
        axis: The axis of its numbers, or several, or None for all.
        weights: The weights w ≥ 0, in a shape that broadcasts to that of x.
        ddof: The degrees of freedom that the mean has cost, as NumPy's: 0 for the variance of the
            numbers themselves, 1 for an unbiased estimate of that of their distribution.

    Returns:
        One variance per sample, in the square of x's units; nan where a weight is negative, all are
        0, or no degree of freedom is left.

    Raises:
        TypeError: If x or the weights are not floating-point, or ``ddof`` is not a number.
        ValueError: If a sample has not more than ``ddof`` numbers, ``ddof`` is negative, the axis
            is none of x's, or the weights do not broadcast.

    Example:
        >>> x = jnp.array([1.0, 2.0, 6.0])
        >>> print(variance(x, ddof=1), variance(x, weights=jnp.array([2.0, 1.0, 1.0])))
        7.0 4.25

    Source:
        Chan, Golub and LeVeque, Algorithms for computing the sample variance (1983), §3;
        ``numpy.var``, and ``numpy.cov`` with ``aweights``.
    """
    square, scale = _variance("variance", x, weights, axis, ddof)
    return (square * scale * scale).astype(jnp.result_type(x))


def _root(square: jax.Array) -> jax.Array:
    """The square root, with derivative 0 at 0."""
    return jnp.where(square == 0, 0, jnp.sqrt(jnp.where(square == 0, 1, square)))


def standard_deviation(
    x: Float[Array, "..."],
    *,
    axis: Axis = None,
    weights: Float[Array, "..."] | None = None,
    ddof: float = 0,
) -> Float[Array, "..."]:
    """Standard deviation of a sample: the root of its variance.

        s = √v = √(Σᵢ pᵢ (xᵢ − x̄)² / f)

    Gradient:
        ∂s/∂xᵢ = pᵢ δᵢ/(f s), and 0 where s = 0, a subgradient

    Args:
        x: The sample.
        axis: The axis of its numbers, or several, or None for all.
        weights: The weights w ≥ 0, in a shape that broadcasts to that of x.
        ddof: The degrees of freedom that the mean has cost, as NumPy's.

    Returns:
        One standard deviation per sample, in the units of x; nan where ``variance`` is.

    Raises:
        TypeError: If x or the weights are not floating-point, or ``ddof`` is not a number.
        ValueError: If a sample has not more than ``ddof`` numbers, ``ddof`` is negative, the axis
            is none of x's, or the weights do not broadcast.

    Example:
        >>> print(standard_deviation(jnp.array([1.0, 5.0])))
        2.0

    Source:
        ``numpy.std``; Rockafellar, Convex Analysis (1970), §23 (the subgradients of a norm at 0).
    """
    square, scale = _variance("standard_deviation", x, weights, axis, ddof)
    return (_root(square) * scale).astype(jnp.result_type(x))


def _standardized(
    function: str, x: Array, weights: Array | None, axis: Axis, order: int, least: int
) -> tuple[jax.Array, int]:
    """The moment μₖ/σᵏ of that order, and the size of the sample."""
    numbers, of = sample(function, x, weights, axis, least)
    deviations = centred(numbers, of).deviations
    deviations = deviations / unit(deviations, of.axes)
    square = jnp.squeeze(of.mean(jnp.square(deviations)), of.axes)
    moment = jnp.squeeze(of.mean(deviations**order), of.axes)
    root = jnp.sqrt(jnp.where(square > 0, square, jnp.nan))
    return moment / root**order, of.n


def _unbiased(function: str, bias: bool, weights: Array | None, least: int) -> int:
    """The least size of the sample; raise where weights come with a correction by its size."""
    _checks.boolean(function, "bias", bias)
    if not bias and weights is not None:
        _checks.fail(function, "bias is False beside weights; wanted True, or no weights")
    return 1 if bias else least


def skewness(
    x: Float[Array, "..."],
    *,
    axis: Axis = None,
    weights: Float[Array, "..."] | None = None,
    bias: bool = True,
) -> Float[Array, "..."]:
    """Skewness of a sample: below 0 where its longer tail lies below the mean.

        g₁ = μ₃/σ³ = Σᵢ pᵢ zᵢ³
        G₁ = √(n (n − 1))/(n − 2) · g₁        where ``bias`` is False

    Gradient:
        ∂g₁/∂xᵢ = 3 pᵢ (zᵢ² − 1 − g₁ zᵢ)/σ

    Args:
        x: The sample.
        axis: The axis of its numbers, or several, or None for all.
        weights: The weights w ≥ 0, in a shape that broadcasts to that of x.
        bias: False for G₁, which is unbiased for normal samples, and knows no weights.

    Returns:
        One skewness per sample, without units; nan where all numbers are alike, a weight is
        negative, or all are 0.

    Raises:
        TypeError: If x or the weights are not floating-point, or ``bias`` is not a boolean.
        ValueError: If a sample is empty (or, without bias, has fewer than 3 numbers), the axis is
            none of x's, the weights do not broadcast, or ``bias`` is False beside weights.

    Example:
        >>> print(f"{skewness(jnp.array([0.0, 0.0, 3.0])):.4f}")  # 1/√2
        0.7071

    Source:
        Joanes and Gill, Comparing measures of sample skewness and kurtosis (1998), §1;
        ``scipy.stats.skew``.
    """
    least = _unbiased("skewness", bias, weights, 3)
    g, n = _standardized("skewness", x, weights, axis, 3, least)
    factor = 1.0 if bias else (n * (n - 1)) ** 0.5 / (n - 2)
    return (factor * g).astype(jnp.result_type(x))


def kurtosis(
    x: Float[Array, "..."],
    *,
    axis: Axis = None,
    weights: Float[Array, "..."] | None = None,
    fisher: bool = True,
    bias: bool = True,
) -> Float[Array, "..."]:
    """Kurtosis of a sample: how heavy its tails are beside a normal distribution's.

        g₂ = μ₄/σ⁴ − 3 = Σᵢ pᵢ zᵢ⁴ − 3
        G₂ = (n − 1)/((n − 2)(n − 3)) · ((n + 1) g₂ + 6)        where ``bias`` is False

    Gradient:
        ∂g₂/∂xᵢ = 4 pᵢ (zᵢ³ − g₁ − (g₂ + 3) zᵢ)/σ,    g₁ = Σᵢ pᵢ zᵢ³

    Args:
        x: The sample.
        axis: The axis of its numbers, or several, or None for all.
        weights: The weights w ≥ 0, in a shape that broadcasts to that of x.
        fisher: Whether to subtract the 3 of a normal distribution.
        bias: False for G₂, which is unbiased for normal samples, and knows no weights.

    Returns:
        One kurtosis per sample, without units; nan where all numbers are alike, a weight is
        negative, or all are 0.

    Raises:
        TypeError: If x or the weights are not floating-point, or an option is not a boolean.
        ValueError: If a sample is empty (or, without bias, has fewer than 4 numbers), the axis is
            none of x's, the weights do not broadcast, or ``bias`` is False beside weights.

    Example:
        >>> print(kurtosis(jnp.array([-1.0, 1.0])))  # of no sample is it lower
        -2.0

    Source:
        Joanes and Gill, Comparing measures of sample skewness and kurtosis (1998), §1;
        ``scipy.stats.kurtosis``.
    """
    _checks.boolean("kurtosis", "fisher", fisher)
    least = _unbiased("kurtosis", bias, weights, 4)
    g, n = _standardized("kurtosis", x, weights, axis, 4, least)
    g = g - 3
    if not bias:
        g = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * g + 6)
    return (g if fisher else g + 3).astype(jnp.result_type(x))


def _columns(
    function: str, x: Array, weights: Array | None, axis: int, least: int
) -> tuple[Array, Array | None]:
    """The observations on the last axis but one, and weights that broadcast to them."""
    _checks.floating(function, x=x)
    _checks.rank(function, "x", x, "observations features")
    _checks.axis(function, "axis", axis, x)
    rows = jnp.moveaxis(wide(x), axis, -2)
    n = rows.shape[-2]
    if n < least:
        problem = f"x {jnp.shape(x)} has {n} observation{'s' * (n != 1)}"
        _checks.fail(function, f"{problem} along axis {axis}; wanted at least {least}")
    if weights is None:
        return rows, None
    _checks.floating(function, weights=weights)
    _checks.broadcasts_to(function, "weights", weights, "the observations", rows[..., 0])
    return rows, wide(weights)[..., None]


def _product_of_moments(
    function: str, x: Array, weights: Array | None, axis: int, ddof: float
) -> tuple[Array, Array]:
    """The covariances, each feature in units of a power of two, and those units."""
    rows, w = _columns(function, x, weights, axis, least_entries(function, ddof))
    rows, of = sample(function, rows, w, -2)
    about = centred(rows, of)
    d = about.deviations
    counted = d if of.p is None else d * of.p
    freedom = of.n * of.freedom(ddof) if of.p is None else of.freedom(ddof)[..., :1]
    products = jnp.matmul(jnp.swapaxes(d, -1, -2), counted, precision="highest") / freedom
    return 0.5 * (products + jnp.swapaxes(products, -1, -2)), about.unit


def covariance(
    x: Float[Array, "*shape"],
    *,
    axis: int = -2,
    weights: Float[Array, "..."] | None = None,
    ddof: float = 1,
) -> Float[Array, "*batch features features"]:
    """Covariance matrix of a sample of vectors.

        Cⱼₖ = Σᵢ pᵢ (xᵢⱼ − x̄ⱼ)(xᵢₖ − x̄ₖ) / f,    f = 1 − ddof Σᵢ pᵢ²

    Gradient:
        ∂⟨A, C⟩/∂xᵢⱼ = pᵢ Σₖ (Aⱼₖ + Aₖⱼ) (xᵢₖ − x̄ₖ)/f

    Args:
        x: The sample, of shape ``*batch observations features``.
        axis: The axis of the observations; that of the features is the last of the others.
        weights: One weight ≥ 0 per observation, in a shape that broadcasts to that of x without its
            features.
        ddof: The degrees of freedom that the mean has cost; 1 as in ``numpy.cov``.

    Returns:
        One symmetric matrix per sample; nan where a weight is negative, all are 0, or no degree of
        freedom is left.

    Raises:
        TypeError: If x or the weights are not floating-point, or ``ddof`` is not a number.
        ValueError: If x has fewer than two axes or not more than ``ddof`` observations, ``ddof`` is
            negative, the axis is none of x's, or the weights do not broadcast.

    Example:
        >>> print(covariance(jnp.array([[0.0, 0.0], [2.0, -4.0]])))
        [[ 2. -4.]
         [-4.  8.]]

    Source:
        ``numpy.cov`` (``aweights`` are these weights, ``rowvar=False`` this layout).
    """
    products, scale = _product_of_moments("covariance", x, weights, axis, ddof)
    return (products * scale * jnp.swapaxes(scale, -1, -2)).astype(jnp.result_type(x))


def correlation(
    x: Float[Array, "*shape"],
    *,
    axis: int = -2,
    weights: Float[Array, "..."] | None = None,
) -> Float[Array, "*batch features features"]:
    """Correlation matrix of a sample of vectors: the covariance of its standardised features.

        Rⱼₖ = Cⱼₖ/√(Cⱼⱼ Cₖₖ) = Σᵢ pᵢ zᵢⱼ zᵢₖ

    Gradient:
        ∂Rⱼₖ/∂xᵢⱼ = pᵢ (zᵢₖ − Rⱼₖ zᵢⱼ)/σⱼ        (j ≠ k; the diagonal is constant)

    Args:
        x: The sample, of shape ``*batch observations features``.
        axis: The axis of the observations; that of the features is the last of the others.
        weights: One weight ≥ 0 per observation, in a shape that broadcasts to that of x without its
            features.

    Returns:
        One symmetric matrix per sample, with 1 on its diagonal and no number beyond ±1; nan in the
        row and the column of a feature that is constant, and where a weight is negative or all are
        0.

    Raises:
        TypeError: If x or the weights are not floating-point.
        ValueError: If x has fewer than two axes or no observations, the axis is none of x's, or the
            weights do not broadcast.

    Example:
        >>> x = jnp.array([[0.0, 0.0], [1.0, -4.0], [2.0, -8.0]])
        >>> print(correlation(x).round(4))
        [[ 1. -1.]
         [-1.  1.]]

    Source:
        ``numpy.corrcoef`` (``rowvar=False``).
    """
    rows, w = _columns("correlation", x, weights, axis, 1)
    rows, of = sample("correlation", rows, w, -2)
    d = centred(rows, of).deviations
    d = d / unit(d, of.axes)
    square = of.mean(jnp.square(d))
    z = safe_divide(d, _root(square), otherwise=jnp.nan)
    counted = z if of.p is None else z * of.p
    products = jnp.matmul(jnp.swapaxes(z, -1, -2), counted, precision="highest")
    products = products / of.n if of.p is None else products
    products = jnp.clip(0.5 * (products + jnp.swapaxes(products, -1, -2)), -1, 1)
    itself = jnp.eye(rows.shape[-1], dtype=bool) & (square > 0)
    return jnp.where(itself, 1, products).astype(jnp.result_type(x))
