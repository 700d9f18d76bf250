"""Divergences: how far one distribution lies from another, and losses that are gaps of duality.

Notation: t is the target distribution and q the predicted one, given by its logarithms log q, in
nats; u = log t − log q. All sums run over the axis (or the axes) of the outcomes.

An outcome that cannot occur under either, t = q = 0, adds nothing to a value or to any derivative;
one that occurs and was held impossible, t > 0 = q, costs ∞. Where t = 0 alone, the derivative by t
is −∞, of which the largest negative number takes the place.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fnmath import _checks
from fnmath.losses.classification import Axis
from fnmath.numerics import with_derivatives
from fnmath.numerics._series import above_tangent, expm1, log_minus, two_sum
from fnmath.numerics._wide import computed_wide


def _summed(
    function: str,
    term: Callable[[jax.Array, jax.Array], jax.Array],
    axis: Axis,
    where: Array | None,
    **distributions: Array,
) -> Array:
    """The terms, summed over the outcomes that count."""
    _checks.floating(function, **distributions)
    _checks.same_shape(function, **distributions)
    (name, log_q), (other, t) = distributions.items()
    axes = _checks.axes(function, axis, log_q)
    if where is not None:
        _checks.mask(function, "where", where, **{name: log_q})
        nothing = -jnp.inf if other.startswith("log") else 0
        log_q, t = jnp.where(where, log_q, -jnp.inf), jnp.where(where, t, nothing)
    return computed_wide(lambda log_q, t: jnp.sum(term(log_q, t), axes), log_q, t)


def _log_ratio(log_q: jax.Array, t: jax.Array, c: float = 0.0) -> jax.Array:
    """The ratio u = log t − log q, plus c; 0 where neither can occur, and −max where t = 0 alone.

    The largest negative number stands for −∞, whose product with a tangent 0 would be nan.
    """
    never = jnp.where(log_q == -jnp.inf, 0, -jnp.finfo(t.dtype).max).astype(t.dtype)
    u = log_minus(jnp.where(t == 0, 1, t), log_q, c)
    return jnp.where((t == 0) & ~jnp.isnan(log_q), never, u)


def _kl_by_target(log_q: jax.Array, t: jax.Array) -> jax.Array:
    neither = (t == 0) & (log_q == -jnp.inf)
    return jnp.where(neither, 0, _log_ratio(log_q, t, 1.0))


@with_derivatives(lambda log_q, t: -t, _kl_by_target)
def _kl(log_q: jax.Array, t: jax.Array) -> jax.Array:
    return jnp.where((t == 0) & ~jnp.isnan(log_q), 0, t * _log_ratio(log_q, t))


def kl_divergence(
    log_predictions: Float[Array, "*shape"],
    targets: Float[Array, "*shape"],
    axis: Axis = -1,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """Kullback–Leibler divergence, in nats, of the targets from the predictions: KL(t ‖ q).

        KL(t ‖ q) = Σₖ tₖ (log tₖ − log qₖ)

    Gradient:
        ∂KL/∂log qₖ = −tₖ,    ∂KL/∂tₖ = log tₖ − log qₖ + 1

    Args:
        log_predictions: The logarithms log q of the predicted probabilities, in nats.
        targets: The target probabilities t, of the same shape; 0 log 0 = 0.
        axis: The axis of the outcomes, or several, or None for all.
        where: The outcomes that count, in a shape that broadcasts; neither value nor gradient
            depends on what stands in the others, not even where that is nan.

    Returns:
        One divergence per example, of the shape without ``axis``.

    Raises:
        TypeError: If an argument is not a floating-point array, or ``where`` not bool.
        ValueError: If the shapes differ, the axis does not exist, or ``where`` does not broadcast.

    Example:
        >>> t, q = jnp.array([0.5, 0.5, 0.0]), jnp.array([0.25, 0.25, 0.5])
        >>> print(f"{kl_divergence(jnp.log(q), t):.4f}")  # log 2
        0.6931

    Source:
        Cover and Thomas, Elements of Information Theory (2006), §2.3.
    """
    distributions = {"log_predictions": log_predictions, "targets": targets}
    return _summed("kl_divergence", _kl, axis, where, **distributions)


def _excess(log_q: jax.Array, log_t: jax.Array, more: float) -> jax.Array:
    """The term t (log t − log q + more), with 0 where t = 0."""
    never = (log_t == -jnp.inf) & ~jnp.isnan(log_q)
    u, e = two_sum(jnp.where(never, 0, log_t), -jnp.where(never, 0, log_q))
    u, last = two_sum(u, jnp.asarray(more, u.dtype))
    excess = jnp.where(u == jnp.inf, u, jnp.exp(log_t) * (u + (e + last)))
    return jnp.where(never, 0, excess)


@with_derivatives(
    lambda log_q, log_t: -jnp.exp(log_t), lambda log_q, log_t: _excess(log_q, log_t, 1)
)
def _kl_of_logarithms(log_q: jax.Array, log_t: jax.Array) -> jax.Array:
    return _excess(log_q, log_t, 0)


def kl_divergence_with_log_targets(
    log_predictions: Float[Array, "*shape"],
    log_targets: Float[Array, "*shape"],
    axis: Axis = -1,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """Kullback–Leibler divergence KL(t ‖ q), in nats, of targets given by their logarithms.

        KL(t ‖ q) = Σₖ exp(log tₖ) (log tₖ − log qₖ)

    Gradient:
        ∂KL/∂log qₖ = −tₖ,    ∂KL/∂log tₖ = tₖ (log tₖ − log qₖ + 1)

    Args:
        log_predictions: The logarithms log q of the predicted probabilities, in nats.
        log_targets: The logarithms log t of the target probabilities, of the same shape; −∞ for 0.
        axis: The axis of the outcomes, or several, or None for all.
        where: The outcomes that count, in a shape that broadcasts; neither value nor gradient
            depends on what stands in the others, not even where that is nan.

    Returns:
        One divergence per example, of the shape without ``axis``.

    Raises:
        TypeError: If an argument is not a floating-point array, or ``where`` not bool.
        ValueError: If the shapes differ, the axis does not exist, or ``where`` does not broadcast.

    Example:
        >>> log_t, log_q = jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.25, 0.75]))
        >>> print(f"{kl_divergence_with_log_targets(log_q, log_t):.4f}")  # log 2 − ½ log 3
        0.1438

    Source:
        Cover and Thomas, Elements of Information Theory (2006), §2.3.
    """
    distributions = {"log_predictions": log_predictions, "log_targets": log_targets}
    name = "kl_divergence_with_log_targets"
    return _summed(name, _kl_of_logarithms, axis, where, **distributions)


@with_derivatives(lambda log_q, t: jnp.exp(log_q), lambda log_q, t: -jnp.ones_like(t))
def _surplus(log_q: jax.Array, t: jax.Array) -> jax.Array:
    """The surplus q − t, which is t (exp(−u) − 1) where the two are close."""
    u = _log_ratio(log_q, jnp.where(t == 0, 1, t))
    close = (jnp.abs(u) < 1) & (t != 0)
    return jnp.where(close, t * expm1(-jnp.where(close, u, 0)), jnp.exp(log_q) - t)


@with_derivatives(_surplus, _log_ratio)
def _generalized_kl(log_q: jax.Array, t: jax.Array) -> jax.Array:
    u = _log_ratio(log_q, jnp.where(t == 0, 1, t))
    impossible = jnp.where(t >= 0, jnp.inf, jnp.nan)
    far = jnp.where(t == 0, 0, t * (u - 1)) + jnp.exp(log_q)
    far = jnp.where(log_q == jnp.inf, impossible, far)
    close = (jnp.abs(u) < 1) & (t != 0)
    return jnp.where(close, t * above_tangent(jnp.where(close, u, 0)), far)


def generalized_kl_divergence(
    log_predictions: Float[Array, "*shape"],
    targets: Float[Array, "*shape"],
    axis: Axis = -1,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """Kullback–Leibler divergence of measures, which need not sum to 1.

        D(t ‖ q) = Σₖ [tₖ (log tₖ − log qₖ) − tₖ + qₖ] = Σₖ tₖ (exp(−uₖ) − 1 + uₖ)

    the Bregman divergence of t log t − t. Every term is at least 0, and is computed as the last
    form says where t and q are close, so that nothing cancels.

    Gradient:
        ∂D/∂log qₖ = qₖ − tₖ,    ∂D/∂tₖ = log tₖ − log qₖ

    Args:
        log_predictions: The logarithms log q of the predicted measure, in nats.
        targets: The target measure t ≥ 0, of the same shape.
        axis: The axis of the outcomes, or several, or None for all.
        where: The outcomes that count, in a shape that broadcasts; neither value nor gradient
            depends on what stands in the others, not even where that is nan.

    Returns:
        One divergence per example, of the shape without ``axis``.

    Raises:
        TypeError: If an argument is not a floating-point array, or ``where`` not bool.
        ValueError: If the shapes differ, the axis does not exist, or ``where`` does not broadcast.

    Example:
        >>> log_q, t = jnp.log(jnp.array([2.0, 1.0])), jnp.array([1.0, 1.0])
        >>> print(f"{generalized_kl_divergence(log_q, t):.4f}")  # 1 − log 2
        0.3069

    Source:
        Boyd and Vandenberghe, Convex Optimization (2004), §3.1.5 (the convex x log x) and problem
        3.13 (its Bregman divergence).
    """
    distributions = {"log_predictions": log_predictions, "targets": targets}
    return _summed("generalized_kl_divergence", _generalized_kl, axis, where, **distributions)


def convex_kl_divergence(
    log_predictions: Float[Array, "*shape"],
    targets: Float[Array, "*shape"],
    axis: Axis = -1,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """Kullback–Leibler divergence of measures, by the name that optax had for it before.

        D(t ‖ q) = Σₖ [tₖ (log tₖ − log qₖ) − tₖ + qₖ]

    The same function as ``generalized_kl_divergence``.

    Gradient:
        ∂D/∂log qₖ = qₖ − tₖ,    ∂D/∂tₖ = log tₖ − log qₖ

    Args:
        log_predictions: The logarithms log q of the predicted measure, in nats.
        targets: The target measure t ≥ 0, of the same shape.
        axis: The axis of the outcomes, or several, or None for all.
        where: The outcomes that count, in a shape that broadcasts.

    Returns:
        One divergence per example, of the shape without ``axis``.

    Raises:
        TypeError: If an argument is not a floating-point array, or ``where`` not bool.
        ValueError: If the shapes differ, the axis does not exist, or ``where`` does not broadcast.

    Example:
        >>> log_q, t = jnp.log(jnp.array([2.0, 1.0])), jnp.array([1.0, 1.0])
        >>> print(f"{convex_kl_divergence(log_q, t):.4f}")  # 1 − log 2
        0.3069

    Source:
        Boyd and Vandenberghe, Convex Optimization (2004), §3.1.5.
    """
    distributions = {"log_predictions": log_predictions, "targets": targets}
    return _summed("convex_kl_divergence", _generalized_kl, axis, where, **distributions)


def _tilt(log_q: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The tilt s = (t − q)/(t + q), with 1 + s and 1 − s; 0, 1, 1 where both are 0."""
    q = jnp.exp(log_q)
    total = jnp.where(t + q == 0, 1, t + q)
    empty = t + q == 0
    more, less = (jnp.where(empty, 1, 2 * a / total) for a in (t, q))
    return -_surplus(log_q, t) / total, more, less


def _half_log(s: jax.Array, one_and_s: jax.Array) -> jax.Array:
    """½ log(1 + s), from s where that is small and from 1 + s where it is not."""
    near = jnp.abs(s) < 0.5
    return 0.5 * jnp.where(near, jnp.log1p(jnp.where(near, s, 0)), jnp.log(one_and_s))


def _js_by_logarithm(log_q: jax.Array, t: jax.Array) -> jax.Array:
    s, _, less = _tilt(log_q, t)
    q = jnp.exp(log_q)
    return jnp.where(q == 0, 0, q * _half_log(-s, jnp.where(q == 0, 1, less)))


def _js_by_target(log_q: jax.Array, t: jax.Array) -> jax.Array:
    s, more, _ = _tilt(log_q, t)
    never = jnp.where(log_q == -jnp.inf, 0, -jnp.finfo(t.dtype).max).astype(t.dtype)
    return jnp.where((t == 0) & ~jnp.isnan(log_q), never, _half_log(s, jnp.where(t == 0, 1, more)))


@with_derivatives(_js_by_logarithm, _js_by_target)
def _jensen_shannon(log_q: jax.Array, t: jax.Array) -> jax.Array:
    """¼ (t + q) [(1 + s) log(1 + s) + (1 − s) log(1 − s)], which is s² + s⁴/6 + … times that."""
    s, more, less = _tilt(log_q, t)
    near = jnp.abs(s) < 0.5
    small = jnp.where(near, s, 0)
    close = small * jnp.arctanh(small) + 0.5 * jnp.log1p(-jnp.square(small))
    apart = [jnp.where(a == 0, 0, a * jnp.log(jnp.where(a == 0, 1, a))) for a in (more, less)]
    return 0.5 * (t + jnp.exp(log_q)) * jnp.where(near, close, 0.5 * (apart[0] + apart[1]))


def jensen_shannon_divergence(
    log_predictions: Float[Array, "*shape"],
    targets: Float[Array, "*shape"],
    axis: Axis = -1,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """Jensen–Shannon divergence, in nats: from 0 for equal to log 2 for disjoint distributions.

        JS(t, q) = ½ KL(t ‖ m) + ½ KL(q ‖ m),    m = ½ (t + q)
                 = ¼ Σₖ (tₖ + qₖ) [(1 + sₖ) log(1 + sₖ) + (1 − sₖ) log(1 − sₖ)]

    with sₖ = (tₖ − qₖ)/(tₖ + qₖ). It is symmetric, and its square root is a metric. Every term of
    the last form is at least 0, and is computed as s artanh s + ½ log(1 − s²) where s is small.

    Gradient:
        ∂JS/∂log qₖ = ½ qₖ log(qₖ/mₖ),    ∂JS/∂tₖ = ½ log(tₖ/mₖ)

    Args:
        log_predictions: The logarithms log q of the predicted probabilities, in nats.
        targets: The target probabilities t, of the same shape.
        axis: The axis of the outcomes, or several, or None for all.
        where: The outcomes that count, in a shape that broadcasts; neither value nor gradient
            depends on what stands in the others, not even where that is nan.

    Returns:
        One divergence per example, of the shape without ``axis``; SciPy's ``jensenshannon`` is its
        square root.

    Raises:
        TypeError: If an argument is not a floating-point array, or ``where`` not bool.
        ValueError: If the shapes differ, the axis does not exist, or ``where`` does not broadcast.

    Example:
        >>> log_q, t = jnp.array([0.0, -jnp.inf]), jnp.array([0.0, 1.0])
        >>> print(f"{jensen_shannon_divergence(log_q, t):.4f}")  # log 2
        0.6931

    Source:
        Lin, Divergence measures based on the Shannon entropy (1991), §4.
    """
    distributions = {"log_predictions": log_predictions, "targets": targets}
    return _summed("jensen_shannon_divergence", _jensen_shannon, axis, where, **distributions)
