"""Quantiles: the numbers that given shares of a sample lie below.

Notation: x₍₁₎ ≤ … ≤ x₍ₙ₎ is the sample in order, q a probability, pᵢ the share of the i-th number
in order, Pᵢ = p₁ + … + pᵢ.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.statistics._samples import Axis, shares, weights_fit, wide

METHODS = ("linear", "inverted_cdf", "averaged_inverted_cdf")


def _last(x: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """The named axes as one, the last."""
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    x = jnp.transpose(x, (*kept, *axes))
    return jnp.reshape(x, (*x.shape[: len(kept)], math.prod(x.shape[len(kept) :])))


def _split(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A number as a sum of two with half the digits each, whose products are exact."""
    head = jax.lax.reduce_precision(
        x, jnp.finfo(x.dtype).nexp, 25 if x.dtype == jnp.float64 else 11
    )
    return head, x - head


def _position(q: Any, n: int) -> tuple[jax.Array, jax.Array]:
    """The product q n as a whole number and a fraction in [0, 1), rounded in the fraction alone.

    A Python number q, which comes as an array of NumPy's, is multiplied in double precision.
    """
    if isinstance(q, np.ndarray):
        share, whole = np.modf(q * n)
        return jnp.asarray(whole, jnp.int32), jnp.asarray(share)
    still, most = jax.lax.stop_gradient(q), np.asarray(n, q.dtype)
    (q_head, q_tail), (n_head, n_tail) = _split(still), _split(jnp.asarray(most))
    exact = q_head * n_head  # no rounded product is subtracted: compilers contract such a pair
    rest = q_head * n_tail + q_tail * n_head + q_tail * n_tail + still * (n - int(most))
    whole = jnp.floor(exact + rest)
    share = jnp.clip((exact - whole) + rest, 0, 1)
    return whole.astype(jnp.int32), share + (q - still) * n


def _between(low: jax.Array, high: jax.Array, share: jax.Array) -> jax.Array:
    """The number at that share of the way from low to high, neither overflowing nor inf − inf."""
    gap = high - low
    near = jnp.where(share < 0.5, low + share * gap, high - (1 - share) * gap)
    far = (1 - share) * low + share * high
    inner = jnp.where(jnp.isfinite(gap), near, far)
    return jnp.where((share == 0) | (low == high), low, inner)


def _linear(x: jax.Array, q: Any) -> jax.Array:
    last = x.shape[-1] - 1
    whole, share = _position(q, last)
    share = share.astype(x.dtype)
    low, high = (jnp.take(x, jnp.clip(whole + k, 0, last), -1) for k in (0, 1))
    return _between(low, high, share)


def _counted(x: jax.Array, q: Any) -> tuple[jax.Array, jax.Array]:
    """The numbers x₍ᵢ₎ and x₍ᵢ₊₁₎ about q = i/n, the same one twice where q lies between those."""
    n = x.shape[-1]
    rounded = jnp.asarray(q * n)  # so that the float next to 1/5 is a fifth
    whole = jnp.floor(rounded).astype(jnp.int32)
    indices = jnp.where(rounded > whole, whole, whole - 1), whole
    first, second = (jnp.take(x, jnp.clip(i, 0, n - 1), -1) for i in indices)
    return first, second


def _weighed(x: jax.Array, p: jax.Array, q: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The same where the shares differ; sums of shares are equal to within their rounding."""
    upto = jnp.cumsum(p, -1)
    slack = 4 * jnp.finfo(p.dtype).eps
    q = jnp.clip(jax.lax.stop_gradient(q), slack, 1)
    here = upto[..., None] >= q * (1 - slack)
    # Past the last share that is above 0, sums may stay below 1 by their rounding.
    here = here | (upto[..., None] >= upto[..., -1:, None])
    beyond = (upto[..., None] > q * (1 + slack)) & (p[..., None] > 0)
    first = jnp.argmax(here, -2)
    second = jnp.where(beyond.any(-2), jnp.argmax(beyond, -2), first)
    return jnp.take_along_axis(x, first, -1), jnp.take_along_axis(x, second, -1)


def _quantile(
    function: str, x: Array, q: Any, axis: Axis, weights: Array | None, method: str
) -> jax.Array:
    """The quantiles, with the axis of q last."""
    axes = _checks.axes(function, axis, x)
    if not math.prod(jnp.shape(x)[i] for i in axes):
        _checks.fail(function, f"x {jnp.shape(x)} has no entries along axis {axis}")
    numbers = wide(x)
    flat = _last(numbers, axes)
    missing = jnp.isnan(flat).any(-1, keepdims=True)
    if weights is None:
        ordered = jnp.sort(flat, -1)
        pair = (_linear(ordered, q),) * 2 if method == "linear" else _counted(ordered, q)
    else:
        w = _last(jnp.broadcast_to(wide(weights), numbers.shape), axes)
        p, order = shares(jax.lax.stop_gradient(w), (w.ndim - 1,)), jnp.argsort(flat, -1)
        missing = missing | jnp.isnan(p).any(-1, keepdims=True)
        flat, p = (jnp.take_along_axis(a, order, -1) for a in (flat, p))
        pair = _weighed(flat, p, jnp.asarray(q, p.dtype))
    mean_of_both = method == "averaged_inverted_cdf"
    half = jnp.asarray(0.5, numbers.dtype)
    value = _between(pair[0], pair[1], half) if mean_of_both else pair[0]
    return jnp.where(missing | ~((q >= 0) & (q <= 1)), jnp.nan, value)


def quantile(
    x: Float[Array, "..."],
    q: float | Float[Array, "..."],
    *,
    axis: Axis = None,
    weights: Float[Array, "..."] | None = None,
    method: str = "linear",
) -> Float[Array, "..."]:
    """Quantile of a sample: the number that the share q of it lies below.

        linear                   (1 − γ) x₍ᵢ₎ + γ x₍ᵢ₊₁₎,    i + γ = 1 + q (n − 1)
        inverted_cdf             x₍ᵢ₎ with the least i that has Pᵢ ≥ q
        averaged_inverted_cdf    the same, and where Pᵢ = q its mean with the next number

    The position q (n − 1) is split into i and γ before it is rounded, since of a million numbers
    half of γ's digits would be lost.

    Gradient:
        ∂/∂x₍ᵢ₎ = 1 − γ,    ∂/∂x₍ᵢ₊₁₎ = γ,    ∂/∂q = (n − 1)(x₍ᵢ₊₁₎ − x₍ᵢ₎)        (linear)
        1 at the number taken, ½ at each of two, and 0 by q and by the weights     (the others)

    Args:
        x: The sample.
        q: The probability, or an array of them; nan is returned for one outside of [0, 1].
        axis: The axis of the sample's numbers, or several, or None for all.
        weights: The weights w ≥ 0, in a shape that broadcasts to that of x; for the last two
            methods, and sums of them are compared to within 4 ε.
        method: Which of the definitions above.

    Returns:
        The quantiles, in the units of x: the axes of q, then those of x without ``axis``. nan where
        a number of the sample is nan, a weight is negative, or all are 0.

    Raises:
        TypeError: If x, the weights or an array q are not floating-point.
        ValueError: If q is a number outside of [0, 1], a sample is empty, the axis is none of x's,
            the weights do not broadcast or come with the linear method, or the method is unknown.

    Example:
        >>> x = jnp.array([1.0, 2.0, 4.0])
        >>> print(quantile(x, jnp.array([0.25, 0.5])))
        [1.5 2. ]
        >>> print(quantile(x, 0.5, weights=jnp.array([1.0, 1.0, 5.0]), method="inverted_cdf"))
        4.0

    Source:
        Hyndman and Fan, Sample quantiles in statistical packages (1996), §2, definitions 7, 1 and
        2; ``numpy.quantile``.
    """
    name = "quantile"
    _checks.floating(name, x=x)
    _checks.number(name, "q", q, above=0, below=1, closed="[]")
    _checks.option(name, "method", method, METHODS)
    if weights is not None:
        weights_fit(name, weights, x)
        if method == "linear":
            problem = "method is 'linear' beside weights; wanted 'inverted_cdf'"
            _checks.fail(name, f"{problem} or 'averaged_inverted_cdf'")
    probabilities = jnp.ravel(wide(q)) if isinstance(q, jax.Array) else np.ravel(np.float64(q))
    values = _quantile(name, x, probabilities, axis, weights, method)
    values = jnp.moveaxis(values, -1, 0)
    values = jnp.reshape(values, (*jnp.shape(q), *values.shape[1:]))
    return values.astype(jnp.result_type(x))


def median(
    x: Float[Array, "..."],
    *,
    axis: Axis = None,
    weights: Float[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """Median of a sample: the number in its middle, or the mean of the two there.

        x₍ₘ₎ with n = 2m − 1,    ½ (x₍ₘ₎ + x₍ₘ₊₁₎) with n = 2m

    With weights, the number at which half of their sum is passed, or the mean of the two where it
    is reached.

    Gradient:
        1 at the number in the middle, or ½ at each of the two; 0 by the weights

    Args:
        x: The sample.
        axis: The axis of its numbers, or several, or None for all.
        weights: The weights w ≥ 0, in a shape that broadcasts to that of x.

    Returns:
        One median per sample, in the units of x; nan where a number is nan, a weight is negative,
        or all are 0.

    Raises:
        TypeError: If x or the weights are not floating-point.
        ValueError: If a sample is empty, the axis is none of x's, or the weights do not broadcast.

    Example:
        >>> x = jnp.array([1.0, 2.0, 4.0, 9.0])
        >>> print(median(x), median(x, weights=jnp.array([5.0, 1.0, 1.0, 1.0])))
        3.0 1.0

    Source:
        ``numpy.median``; Hyndman and Fan, Sample quantiles in statistical packages (1996), §2,
        definition 2.
    """
    _checks.floating("median", x=x)
    if weights is not None:
        weights_fit("median", weights, x)
    value = _quantile("median", x, np.full(1, 0.5), axis, weights, "averaged_inverted_cdf")
    return value[..., 0].astype(jnp.result_type(x))
