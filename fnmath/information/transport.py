"""Optimal transport: the least cost of moving one distribution onto another.

Notation: x and y are the places of the mass, p and q how much of it; C is the cost of moving one
unit from each place to each other, P the plan, with P 1 = p and Pᵀ 1 = q.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.information import _line
from fnmath.information._units import proper
from fnmath.linear_algebra._spectral import (
    inverse_square_root,
    square_root,
    symmetric,
    times,
)
from fnmath.linear_algebra.products import transpose
from fnmath.numerics import logsumexp
from fnmath.numerics._wide import computed_wide
from fnmath.statistics._samples import shares, wide


def wasserstein_distance(
    x: Float[Array, "*batch n"],
    y: Float[Array, "*batch m"],
    *,
    x_weights: Float[Array, "*batch n"] | None = None,
    y_weights: Float[Array, "*batch m"] | None = None,
    p: float = 1.0,
) -> Float[Array, "*batch"]:
    """Wasserstein's distance on the line, of two samples with weights.

        W(x, y) = (∫₀¹ |F⁻¹(u) − G⁻¹(u)|ᵖ du)^(1/p)

    On the line the best plan keeps the order: quantile meets quantile. Without weights their common
    shares are counted and not rounded, as in ``fnmath.losses.wasserstein_distance_1d``, which this
    equals there.

    Gradient:
        ∂W/∂x₍ᵢ₎ = Σⱼ Pᵢⱼ sign(x₍ᵢ₎ − y₍ⱼ₎) (|x₍ᵢ₎ − y₍ⱼ₎|/W)^(p − 1), and 0 where W = 0

    Args:
        x: One sample, on the last axis.
        y: The other, whose size may differ.
        x_weights: The weights of x, at least 0, of its shape; only their ratios matter.
        y_weights: Those of y.
        p: The power p ≥ 1 of the cost, a number.

    Returns:
        One distance per pair of samples, in their units; nan where a weight is negative, or all
        of a sample are 0.

    Raises:
        TypeError: If an array is not floating-point, or p not a number.
        ValueError: If the batch shapes differ, a sample is empty, weights are not of their sample's
            shape, or p < 1.

    Example:
        >>> x, y = jnp.array([0.0, 1.0]), jnp.array([0.0, 1.0])
        >>> print(wasserstein_distance(x, y, x_weights=jnp.array([3.0, 1.0])))
        0.25

    Source:
        Peyré and Cuturi, Computational Optimal Transport (2019), §2.6, remark 2.30;
        ``scipy.stats.wasserstein_distance`` for p = 1.
    """
    name = "wasserstein_distance"
    _checks.floating(name, x=x, y=y)
    _checks.rank(name, "x", x, "n")
    _checks.rank(name, "y", y, "m")
    if jnp.shape(x)[:-1] != jnp.shape(y)[:-1]:
        _checks.fail(name, f"x {jnp.shape(x)} and y {jnp.shape(y)} must have one batch shape")
    if not (jnp.shape(x)[-1] and jnp.shape(y)[-1]):
        _checks.fail(name, f"x {jnp.shape(x)} and y {jnp.shape(y)} must not be empty")
    for argument, w, z in (("x_weights", x_weights, x), ("y_weights", y_weights, y)):
        if w is not None:
            _checks.floating(name, **{argument: w})
            _checks.same_shape(name, **{argument: w, argument[0]: z})
    if isinstance(p, jax.Array):
        _checks.fail(name, f"p is a {type(p).__name__}; wanted a number", error=TypeError)
    _checks.scalar(name, "p", p, above=1, closed="[")
    power = float(p)
    if x_weights is None and y_weights is None:
        return computed_wide(lambda x, y: _line.distance_of_samples(x, y, power), x, y)
    v, w = (
        shares(wide(jnp.ones_like(z) if w is None else w), (jnp.ndim(z) - 1,))
        for w, z in ((x_weights, x), (y_weights, y))
    )
    distance = jnp.vectorize(
        functools.partial(_line.distance_of_weighted, p=power), signature="(n),(m),(n),(m)->()"
    )
    return distance(wide(x), wide(y), v, w).astype(jnp.result_type(x, y))


def _map_between(S: jax.Array, T: jax.Array) -> jax.Array:
    """The linear map A with A S A = T, the best plan from N(0, S) to N(0, T)."""
    R, Z = square_root(S), inverse_square_root(S)
    return times(Z, square_root(symmetric(times(R, T, R))), Z)


@jax.custom_jvp
def _bures(S: jax.Array, T: jax.Array) -> jax.Array:
    """The least ‖S^½ − T^½ U‖² over rotations U, by that difference."""
    A, B = square_root(S), square_root(T)
    W, _, V = jnp.linalg.svd(times(B, A))
    gap = A - times(B, W, V)
    return jnp.sum(jnp.square(gap), (-2, -1))


@_bures.defjvp
def _bures_jvp(primals: tuple, tangents: tuple) -> tuple:
    """The tangent ⟨I − A, Ṡ⟩ + ⟨I − A⁻¹, Ṫ⟩, where A S A = T."""
    (S, T), (S_dot, T_dot) = primals, tangents
    identity = jnp.eye(S.shape[-1], dtype=S.dtype)
    slopes = identity - _map_between(S, T), identity - _map_between(T, S)
    products = (jnp.sum(g * d, (-2, -1)) for g, d in zip(slopes, (S_dot, T_dot), strict=True))
    return _bures(S, T), sum(products)


def _semidefinite(S: jax.Array) -> jax.Array:
    """The symmetric part, and nan where it has a negative eigenvalue beyond rounding."""
    S = symmetric(S)
    s = jnp.linalg.eigvalsh(jax.lax.stop_gradient(S))
    slack = S.shape[-1] * jnp.finfo(S.dtype).eps * jnp.abs(s).max(-1)
    return jnp.where((s[..., 0] >= -slack)[..., None, None], S, jnp.nan)


def gaussian_wasserstein_distance(
    mean_x: Float[Array, "*batch d"],
    covariance_x: Float[Array, "*batch d d"],
    mean_y: Float[Array, "*batch d"],
    covariance_y: Float[Array, "*batch d d"],
    *,
    squared: bool = False,
) -> Float[Array, "*batch"]:
    """Wasserstein's distance of two normal distributions, for the squared Euclidean cost.

        W² = ‖m − n‖² + tr(S + T − 2 (S^½ T S^½)^½) = ‖m − n‖² + min_U ‖S^½ − T^½ U‖²

    The last form, with U the rotation of T^½ S^½'s polar decomposition, is a sum of squares: for
    covariances that nearly agree the first one cancels. Of features of images this is Fréchet's
    inception distance.

    Gradient:
        ∂W²/∂m = 2 (m − n),    ∂W²/∂S = I − A with A S A = T,    ∂W²/∂T = I − A⁻¹
        ∂W/∂· = ∂W²/∂· / (2 W), and 0 where W = 0

    Args:
        mean_x: The mean m of one.
        covariance_x: Its covariance S, of which the symmetric part counts.
        mean_y: The mean n of the other.
        covariance_y: Its covariance T.
        squared: Whether to return W², which is the smoother thing to minimise.

    Returns:
        One distance W per pair; nan where a covariance has a negative eigenvalue. Where one is
        singular, W is right and its derivative may be infinite or nan, as that of a root at 0.

    Raises:
        TypeError: If an array is not floating-point, or ``squared`` not a boolean.
        ValueError: If the shapes do not fit each other.

    Example:
        >>> I = jnp.eye(2)
        >>> distance = gaussian_wasserstein_distance(jnp.zeros(2), I, jnp.array([3.0, 0.0]), 9 * I)
        >>> print(f"{distance:.4f}")  # √(9 + 8)
        4.1231

    Source:
        Givens and Shortt, A class of Wasserstein metrics for probability distributions (1984), §3;
        Bhatia, Jain and Lim, On the Bures–Wasserstein distance between positive definite matrices
        (2019), §1 and §3.
    """
    name = "gaussian_wasserstein_distance"
    arrays = {"covariance_x": covariance_x, "covariance_y": covariance_y}
    _checks.floating(name, mean_x=mean_x, mean_y=mean_y, **arrays)
    _checks.boolean(name, "squared", squared)
    _checks.rank(name, "mean_x", mean_x, "d")
    _checks.same_shape(name, mean_x=mean_x, mean_y=mean_y)
    wanted = (*jnp.shape(mean_x), jnp.shape(mean_x)[-1])
    for argument, S in arrays.items():
        if jnp.shape(S) != wanted:
            _checks.fail(name, f"{argument} has shape {jnp.shape(S)}; wanted {wanted}")

    def distance(m: Array, S: Array, n: Array, T: Array) -> Array:
        square = jnp.sum(jnp.square(m - n), -1) + _bures(_semidefinite(S), _semidefinite(T))
        if squared:
            return square
        return jnp.where(square == 0, 0, jnp.sqrt(jnp.where(square == 0, 1, square)))

    return computed_wide(distance, mean_x, covariance_x, mean_y, covariance_y)


class EntropicTransport(NamedTuple):
    """The cost of an entropic plan, the plan, its potentials, and how far its margins are off."""

    cost: Float[Array, ""]
    plan: Float[Array, "n m"]
    first_potential: Float[Array, "n"]
    second_potential: Float[Array, "m"]
    error: Float[Array, ""]


def _log(p: jax.Array) -> jax.Array:
    """The logarithm, −∞ at 0."""
    return jnp.where(p == 0, -jnp.inf, jnp.log(jnp.where(p == 0, 1, p)))


def _soft_minimum(costs: jax.Array, log_p: jax.Array, epsilon: jax.Array, axis: int) -> jax.Array:
    """−ε log Σ p exp(−cost/ε) along an axis."""
    log_p = jnp.expand_dims(log_p, 1 - axis)
    return -epsilon * logsumexp(log_p - costs / epsilon, axis)


@functools.partial(jax.custom_jvp, nondiff_argnums=(4, 5))
def _potentials(
    C: jax.Array, p: jax.Array, q: jax.Array, epsilon: jax.Array, tolerance: float, steps: int
) -> tuple[jax.Array, jax.Array]:
    """The potentials f and g with Σⱼ qⱼ Kᵢⱼ = 1 and Σᵢ pᵢ Kᵢⱼ = 1, K = exp((f + g − C)/ε)."""
    log_p, log_q = _log(p), _log(q)

    def step(state: tuple) -> tuple:
        _, g, _, k = state
        f = _soft_minimum(C - g, log_q, epsilon, 1)
        new = _soft_minimum(C - f[:, None], log_p, epsilon, 0)
        return f, new, jnp.max(jnp.abs(new - g)), k + 1

    def goes_on(state: tuple) -> jax.Array:
        _, _, change, k = state
        return (change > tolerance * epsilon) & (k < steps)

    start = jnp.zeros_like(p), jnp.zeros_like(q), jnp.asarray(jnp.inf, C.dtype), 0
    _, g, _, _ = jax.lax.while_loop(goes_on, step, start)
    g = g - jnp.sum(q * g)
    return _soft_minimum(C - g, log_q, epsilon, 1), g


@_potentials.defjvp
def _potentials_jvp(tolerance: float, steps: int, primals: tuple, tangents: tuple) -> tuple:
    """The equations differentiated: ḟ + A ġ = a and ġ + Bᵀ ḟ = b, A = K diag q, B = diag p K.

    They know ġ up to a constant, which Σⱼ qⱼ ġⱼ fixes.
    """
    (C, p, q, epsilon), (C_dot, p_dot, q_dot, epsilon_dot) = primals, tangents
    f, g = _potentials(C, p, q, epsilon, tolerance, steps)
    exponent = (f[:, None] + g - C) / epsilon
    K = jnp.exp(exponent)
    A, B = K * q, K * p[:, None]
    moved = C_dot + exponent * epsilon_dot
    a = jnp.sum(A * moved, 1) - epsilon * times(K, q_dot[:, None])[:, 0]
    b = jnp.sum(B * moved, 0) - epsilon * times(transpose(K), p_dot[:, None])[:, 0]
    S = jnp.eye(q.size, dtype=C.dtype) - times(transpose(B), A) + q
    right = b - times(transpose(B), a[:, None])[:, 0]
    g_dot = jnp.linalg.solve(S, right[:, None])[:, 0]
    g_dot = g_dot - jnp.sum(q * g_dot) - jnp.sum(q_dot * g)
    return (f, g), (a - times(A, g_dot[:, None])[:, 0], g_dot)


def sinkhorn(
    cost: Float[Array, "n m"],
    p: Float[Array, "n"],
    q: Float[Array, "m"],
    *,
    epsilon: float | Float[Array, ""],
    tolerance: float = 1e-6,
    max_steps: int = 10_000,
) -> EntropicTransport:
    """Entropic optimal transport, by Sinkhorn's iteration on logarithms.

        min_P ⟨P, C⟩ + ε KL(P ‖ p qᵀ) = Σᵢ pᵢ fᵢ + Σⱼ qⱼ gⱼ,    Pᵢⱼ = pᵢ qⱼ exp((fᵢ + gⱼ − Cᵢⱼ)/ε)
        fᵢ ← −ε log Σⱼ qⱼ exp((gⱼ − Cᵢⱼ)/ε),    gⱼ ← −ε log Σᵢ pᵢ exp((fᵢ − Cᵢⱼ)/ε)

    until g changes by less than ``tolerance`` · ε. The iteration itself is not differentiated: its
    fixed point is, by the implicit function theorem, one linear system of m equations, in both
    modes and to every order.

    Gradient:
        ∂cost/∂Cᵢⱼ = Pᵢⱼ
        ∂cost/∂p = f, ∂cost/∂q = g, each up to a constant: what keeps Σ p = Σ q = 1 sees no other

    Args:
        cost: The cost C of each place to each other.
        p: The masses at the first places, which sum to 1.
        q: Those at the second.
        epsilon: The regularisation ε > 0, in the units of the cost; nan is returned for an array
            not above 0.
        tolerance: The change of g, in units of ε, at which to stop; a number above 0.
        max_steps: After how many steps to stop in any case.

    Returns:
        The cost, the plan, the potentials with Σⱼ qⱼ gⱼ = 0, and the largest error of a column's
        sum of the plan; nan where p or q is no distribution.

    Raises:
        TypeError: If an array is not floating-point, or an option of the wrong type.
        ValueError: If the cost is no matrix, p and q do not fit it, or an option lies outside of
            its range.

    Example:
        >>> C = jnp.array([[0.0, 1.0], [1.0, 0.0]])
        >>> transport = sinkhorn(C, jnp.array([0.5, 0.5]), jnp.array([0.25, 0.75]), epsilon=0.01)
        >>> print(transport.plan.round(3))
        [[0.25 0.25]
         [0.   0.5 ]]

    Source:
        Peyré and Cuturi, Computational Optimal Transport (2019), §4.2 to §4.4; Luise, Rudi, Pontil
        and Ciliberto, Differential properties of Sinkhorn approximation (2018), §4 (the implicit
        derivative).
    """
    name = "sinkhorn"
    _checks.floating(name, cost=cost, p=p, q=q)
    _checks.rank(name, "cost", cost, "n m", exact=True)
    for argument, w, n in (("p", p, jnp.shape(cost)[0]), ("q", q, jnp.shape(cost)[1])):
        if jnp.shape(w) != (n,) or not n:
            _checks.fail(name, f"{argument} has shape {jnp.shape(w)}; wanted {(n,)}, not empty")
    _checks.scalar(name, "epsilon", epsilon, above=0)
    _positive(name, tolerance)
    _checks.size(name, max_steps=max_steps)
    C, p, q = wide(cost), *(proper(w) for w in (p, q))
    p, q = (w.astype(C.dtype) for w in (p, q))
    e = jnp.asarray(epsilon, C.dtype)
    e = jnp.where(e > 0, e, jnp.nan)
    f, g = _potentials(C, p, q, e, float(tolerance), max_steps)
    plan = p[:, None] * q * jnp.exp((f[:, None] + g - C) / e)
    error = jnp.max(jnp.abs(jnp.sum(plan, 0) - q))
    transport = EntropicTransport(jnp.sum(p * f) + jnp.sum(q * g), plan, f, g, error)
    return EntropicTransport(*(a.astype(cost.dtype) for a in transport))


def _positive(function: str, tolerance: Any) -> None:
    """Raise unless the tolerance is a Python number above 0."""
    if isinstance(tolerance, jax.Array):
        problem = f"tolerance is a {type(tolerance).__name__}; wanted a number"
        _checks.fail(function, problem, error=TypeError)
    _checks.scalar(function, "tolerance", tolerance, above=0)
