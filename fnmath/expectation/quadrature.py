"""Expectations by quadrature: few points, well chosen, for few dimensions and smooth functions.

Notation: xₖ are the nodes of a rule and wₖ its weights, n its number of nodes; ∫ is over the whole
range of a distribution of density p. A rule of Gauss is exact for polynomials of degree 2n − 1.

    gauss_legendre_expectation   of a uniform variable on an interval
    gauss_hermite_expectation    of a normal variable
    gauss_laguerre_expectation   of an exponential variable
    adaptive_integral            of any function on an interval, which is cut where it is difficult
    sparse_grid_expectation      of a normal vector: exact to degree 2·level − 1, in few points
    unscented_expectation        of a normal vector, by 2d + 1 points: exact to degree 3
    discrete_expectation         of a variable with countable outcomes: exact

The nodes are numbers, found while JAX traces; each f is mapped over them by ``jax.vmap``, and every
result differentiates by the parameters of the distribution and by what f closes over.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.expectation._estimates import values
from fnmath.statistics._samples import wide


class Integral(NamedTuple):
    """An integral, an estimate of its error, and how many intervals it took."""

    value: Float[Array, "*shape"]
    error: Float[Array, ""]
    intervals: Any


def _mean(function: str, f: Any, x: jax.Array, w: np.ndarray) -> jax.Array:
    """The weighted sum of the values at the nodes."""
    _checks.function(function, "f", f)
    y = values(function, "f", f, x)
    return jnp.tensordot(jnp.asarray(w, y.dtype), y, 1, precision="highest")


def _number(function: str, argument: str, x: Any, **of: Any) -> jax.Array:
    """One real number, nan where an array is outside of its interval."""
    _checks.scalar(function, argument, x, **of)
    value = jnp.asarray(x, jnp.result_type(float) if not isinstance(x, jax.Array) else None)
    return jnp.where(value > of["above"], value, jnp.nan) if "above" in of else value


def gauss_legendre_expectation(
    f: Callable[[Array], Array],
    low: float | Float[Array, ""],
    high: float | Float[Array, ""],
    *,
    nodes: int = 32,
) -> Float[Array, "*shape"]:
    """Mean of a function over an interval, by Gauss and Legendre's rule.

        1/(b − a) ∫ₐᵇ f(x) dx ≈ Σₖ wₖ f(½ (a + b) + ½ (b − a) xₖ)

    Gradient:
        ∂/∂b ≈ Σₖ wₖ ½ (1 + xₖ) f′(…),    ∂/∂a ≈ Σₖ wₖ ½ (1 − xₖ) f′(…)

    Args:
        f: A function of one number, which gives a floating-point array.
        low: The lower end a.
        high: The upper end b.
        nodes: The number n of nodes.

    Returns:
        The mean, of the shape of f; (b − a) times it is the integral.

    Raises:
        TypeError: If f is no function or gives no floating-point array, or an end is no number.
        ValueError: If there are no nodes, or an end has axes.

    Example:
        >>> print(f"{gauss_legendre_expectation(lambda x: x**5, 0.0, 2.0, nodes=3):.4f}")  # 16/3
        5.3333

    Source:
        Golub and Welsch, Calculation of Gauss quadrature rules (1969); Davis and Rabinowitz,
        Methods of Numerical Integration (1984), §2.7.
    """
    name = "gauss_legendre_expectation"
    _checks.size(name, nodes=nodes)
    a, b = _number(name, "low", low), _number(name, "high", high)
    x, w = np.polynomial.legendre.leggauss(nodes)
    points = a * jnp.asarray(0.5 * (1 - x), a.dtype) + b * jnp.asarray(0.5 * (1 + x), b.dtype)
    return _mean(name, f, points, 0.5 * w)


def gauss_hermite_expectation(
    f: Callable[[Array], Array],
    mean: float | Float[Array, ""],
    deviation: float | Float[Array, ""],
    *,
    nodes: int = 32,
) -> Float[Array, "*shape"]:
    """Mean of a function of a normal variable, by Gauss and Hermite's rule.

        E f ≈ Σₖ wₖ f(μ + σ xₖ)

    Gradient:
        ∂/∂μ ≈ Σₖ wₖ f′(μ + σ xₖ),    ∂/∂σ ≈ Σₖ wₖ xₖ f′(μ + σ xₖ)

    Args:
        f: A function of one number, which gives a floating-point array.
        mean: The mean μ.
        deviation: The standard deviation σ > 0; nan is returned for an array that is not.
        nodes: The number n of nodes.

    Returns:
        The mean, of the shape of f.

    Raises:
        TypeError: If f is no function or gives no floating-point array, or a parameter is no
            number.
        ValueError: If there are no nodes, or a parameter has axes or is out of its range.

    Example:
        >>> print(f"{gauss_hermite_expectation(jnp.exp, 0.0, 1.0, nodes=10):.4f}")  # √e
        1.6487

    Source:
        Golub and Welsch, Calculation of Gauss quadrature rules (1969).
    """
    name = "gauss_hermite_expectation"
    _checks.size(name, nodes=nodes)
    m = _number(name, "mean", mean)
    s = _number(name, "deviation", deviation, above=0)
    x, w = _hermite(nodes)
    return _mean(name, f, m + s * jnp.asarray(x, s.dtype), w)


def _hermite(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """The rule of a standard normal density."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    return x, w / math.sqrt(2 * math.pi)


def gauss_laguerre_expectation(
    f: Callable[[Array], Array],
    rate: float | Float[Array, ""],
    *,
    nodes: int = 32,
) -> Float[Array, "*shape"]:
    """Mean of a function of an exponential variable, by Gauss and Laguerre's rule.

        E f = ∫₀^∞ λ e^(−λx) f(x) dx ≈ Σₖ wₖ f(xₖ/λ)

    Gradient:
        ∂/∂λ ≈ −Σₖ wₖ xₖ/λ² f′(xₖ/λ)

    Args:
        f: A function of one number, which gives a floating-point array.
        rate: The rate λ > 0; nan is returned for an array that is not.
        nodes: The number n of nodes, at most 150.

    Returns:
        The mean, of the shape of f.

    Raises:
        TypeError: If f is no function or gives no floating-point array, or the rate is no number.
        ValueError: If there are no nodes or too many, or the rate has axes or is not above 0.

    Example:
        >>> print(f"{gauss_laguerre_expectation(lambda x: x**3, 1.0, nodes=2):.4f}")  # 3!
        6.0000

    Source:
        Golub and Welsch, Calculation of Gauss quadrature rules (1969).
    """
    name = "gauss_laguerre_expectation"
    _checks.size(name, nodes=nodes)
    if nodes > 150:
        _checks.fail(name, f"nodes is {nodes}; wanted at most 150, whose weights are not 0")
    r = _number(name, "rate", rate, above=0)
    x, w = np.polynomial.laguerre.laggauss(nodes)
    return _mean(name, f, jnp.asarray(x, r.dtype) / r, w)


# Gauss's rule of 7 nodes within Kronrod's of 15: nodes from the end to the middle.
_KRONROD = (
    (0.991455371120812639206854697526329, 0.022935322010529224963732008058970),
    (0.949107912342758524526189684047851, 0.063092092629978553290700663189204),
    (0.864864423359769072789712788640926, 0.104790010322250183839876322541518),
    (0.741531185599394439863864773280788, 0.140653259715525918745189590510238),
    (0.586087235467691130294144691258, 0.169004726639267902826583426598550),
    (0.405845151377397166906606412076961, 0.190350578064785409913256402421014),
    (0.207784955007898467600689403773245, 0.204432940075298892414161999234649),
    (0.0, 0.209482141084727828012999174891714),
)


def _kronrod() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes, weights, and the weights of Gauss's rule on every other node."""
    half = np.array(_KRONROD)
    x = np.concatenate([-half[:, 0], half[-2::-1, 0]])
    w = np.concatenate([half[:, 1], half[-2::-1, 1]])
    gauss = np.zeros(15)
    gauss[1::2] = np.polynomial.legendre.leggauss(7)[1]
    return x, w, gauss


def adaptive_integral(
    f: Callable[[Array], Array],
    low: float | Float[Array, ""],
    high: float | Float[Array, ""],
    *,
    tolerance: float = 1e-6,
    intervals: int = 64,
) -> Integral:
    """Integral of a function over an interval, which is halved where the error is largest.

        ∫ₐᵇ f(x) dx ≈ Σ over intervals of Σₖ wₖ f(xₖ)

    by Kronrod's rule of 15 nodes, whose difference from Gauss's of 7 of the same nodes is the
    error. An expectation is the integral of f times a density. Where to cut is decided without
    derivative, and the sum over the cut intervals is differentiated as it stands.

    Gradient:
        ∂/∂b = f(b),    ∂/∂a = −f(a),    ∂/∂θ = ∫ ∂f/∂θ dx

    Args:
        f: A function of one number, which gives a floating-point array, finite but for the ends.
        low: The lower end a.
        high: The upper end b.
        tolerance: The error, summed over intervals, at which to stop, above 0.
        intervals: How many intervals at most to cut into.

    Returns:
        The integral, of the shape of f, the estimate of its error (the largest over that shape; it
        is usually far too large), and the number of intervals.

    Raises:
        TypeError: If f is no function or gives no floating-point array, or an option is of the
            wrong type.
        ValueError: If an end has axes, or an option is out of its range.

    Example:
        >>> ours = adaptive_integral(jnp.sqrt, 0.0, 1.0)
        >>> print(f"{ours.value:.5f}")
        0.66667

    Source:
        Piessens and others, QUADPACK (1983), §2.2 and §3.4; ``scipy.integrate.quad``.
    """
    name = "adaptive_integral"
    _checks.function(name, "f", f)
    a, b = _number(name, "low", low), _number(name, "high", high)
    _checks.scalar(name, "tolerance", tolerance, above=0)
    _checks.size(name, intervals=intervals)
    x, w, gauss = (jnp.asarray(r, a.dtype) for r in _kronrod())

    def rule(cut: jax.Array, a: Any, b: Any) -> tuple[jax.Array, jax.Array]:
        """The integral over the part of the interval between two shares of it, and its error."""
        middle, half = 0.5 * (cut[0] + cut[1]), 0.5 * (cut[1] - cut[0])
        y = values(name, "f", f, a + (b - a) * (middle + half * x))
        scaled = [half * (b - a) * jnp.tensordot(v.astype(y.dtype), y, 1) for v in (w, gauss)]
        return scaled[0], jnp.max(jnp.abs(scaled[0] - scaled[1]))

    cuts, errors, count = jax.lax.stop_gradient(_cut(rule, a, b, tolerance, intervals))
    parts = jax.vmap(lambda cut: rule(cut, a, b)[0])(cuts)
    used = (jnp.arange(intervals) < count).reshape(-1, *(1,) * (parts.ndim - 1))
    return Integral(jnp.where(used, parts, 0).sum(0), errors.sum(), count)


def _cut(rule: Any, a: Any, b: Any, tolerance: Any, intervals: int) -> tuple[jax.Array, ...]:
    """Shares of the interval, cut in two where the error is largest until its sum is small."""
    a, b = (jax.lax.stop_gradient(end) for end in (a, b))
    cuts = jnp.tile(jnp.array([0.0, 1.0], a.dtype), (intervals, 1))
    first = rule(cuts[0], a, b)[1]
    errors = jnp.zeros(intervals, first.dtype).at[0].set(first)

    def unfinished(state: tuple) -> jax.Array:
        _, errors, count = state
        return (count < intervals) & (errors.sum() > tolerance)

    def halve(state: tuple) -> tuple:
        cuts, errors, count = state
        worst = jnp.argmax(errors)
        left, right = cuts[worst]
        middle = 0.5 * (left + right)
        two = jnp.stack([jnp.stack([left, middle]), jnp.stack([middle, right])])
        where = jnp.stack([worst, count])
        new = jax.vmap(lambda cut: rule(cut, a, b)[1])(two)
        return cuts.at[where].set(two), errors.at[where].set(new), count + 1

    state = cuts, errors, jnp.asarray(1)
    return jax.lax.while_loop(unfinished, halve, state)


def _normal_vector(function: str, mean: Any, factor: Any) -> tuple[jax.Array, jax.Array]:
    """Mean and factor, if they fit."""
    _checks.floating(function, mean=mean, factor=factor)
    _checks.rank(function, "mean", mean, "d", exact=True)
    d = jnp.shape(mean)[0]
    if not d:
        _checks.fail(function, "mean (0,) has no dimensions")
    if jnp.shape(factor) != (d, d):
        _checks.fail(function, f"factor has shape {jnp.shape(factor)}; wanted {(d, d)}")
    dtype = jnp.result_type(mean, factor)
    return wide(jnp.asarray(mean, dtype)), wide(jnp.asarray(factor, dtype))


def _moved(m: jax.Array, L: jax.Array, z: np.ndarray) -> jax.Array:
    return m + jnp.matmul(jnp.asarray(z, m.dtype), L.T, precision="highest")


def _smolyak(d: int, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Smolyak's combination of rules of 1 to ``level`` nodes."""
    rules = {n: _hermite(n) for n in range(1, level + 1)}
    found: dict[tuple[float, ...], float] = {}
    for total in range(max(0, level - d), level):
        sign = (-1) ** (level - 1 - total) * math.comb(d - 1, level - 1 - total)
        for extra in _compositions(total, d):
            nodes = itertools.product(*(zip(*rules[1 + e], strict=True) for e in extra))
            for node in nodes:
                place = tuple(round(x, 12) + 0.0 for x, _ in node)
                found[place] = found.get(place, 0.0) + sign * math.prod(w for _, w in node)
    return np.array(list(found)), np.array(list(found.values()))


def _compositions(total: int, parts: int) -> Any:
    """All ways to write a total as a sum of so many integers, 0 included, in their order."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        yield from ((first, *rest) for rest in _compositions(total - first, parts - 1))


def sparse_grid_expectation(
    f: Callable[[Array], Array],
    mean: Float[Array, "d"],
    factor: Float[Array, "d d"],
    *,
    level: int = 4,
) -> Float[Array, "*shape"]:
    """Mean of a function of a normal vector, by Smolyak's sparse grid of Gauss and Hermite's rules.

        E f ≈ Σ (−1)^(q−|i|) C(d − 1, q − |i|) (U_i₁ ⊗ … ⊗ U_i_d) f,    level ≤ |i| ≤ q = level+d−1

    with Uᵢ the rule of i nodes: exact for polynomials of total degree 2·level − 1, by a number of
    points that grows as d^(level−1), where a full grid takes levelᵈ. Some weights are negative.

    Gradient:
        ∂/∂m = the same of f′,    by L: of f′ zᵀ

    Args:
        f: A function of a vector of d numbers, which gives a floating-point array.
        mean: The mean m.
        factor: A matrix L with L Lᵀ the covariance, such as its Cholesky factor.
        level: The level, at least 1.

    Returns:
        The mean, of the shape of f.

    Raises:
        TypeError: If f is no function or gives no floating-point array, or a parameter is none.
        ValueError: If the sizes do not fit, or the level is below 1.

    Example:
        >>> ours = sparse_grid_expectation(lambda x: jnp.prod(x**2), jnp.zeros(2), jnp.eye(2))
        >>> print(f"{ours:.4f}")
        1.0000

    Source:
        Smolyak, Quadrature and interpolation formulas for tensor products (1963); Gerstner and
        Griebel, Numerical integration using sparse grids (1998), §2.
    """
    name = "sparse_grid_expectation"
    m, L = _normal_vector(name, mean, factor)
    _checks.size(name, level=level)
    z, w = _smolyak(m.shape[0], level)
    return _mean(name, f, _moved(m, L, z), w)


def unscented_expectation(
    f: Callable[[Array], Array],
    mean: Float[Array, "d"],
    factor: Float[Array, "d d"],
    *,
    kappa: float | None = None,
) -> Float[Array, "*shape"]:
    """Mean of a function of a normal vector, by the 2d + 1 points of the unscented transform.

        E f ≈ κ/(d + κ) f(m) + 1/(2 (d + κ)) Σⱼ f(m ± √(d + κ) Lⱼ)

    with Lⱼ the columns of L: exact for polynomials of degree 3.

    Gradient:
        ∂/∂m = the same of f′

    Args:
        f: A function of a vector of d numbers, which gives a floating-point array.
        mean: The mean m.
        factor: A matrix L with L Lᵀ the covariance, such as its Cholesky factor.
        kappa: The number κ > −d; 3 − d, the default up to 2 dimensions, makes fourth powers along
            the columns of L exact; beyond, where that makes a weight negative, it is 0.

    Returns:
        The mean, of the shape of f.

    Raises:
        TypeError: If f is no function or gives no floating-point array, or a parameter is none.
        ValueError: If the sizes do not fit, or κ is not above −d.

    Example:
        >>> print(f"{unscented_expectation(lambda x: x @ x, jnp.ones(3), jnp.eye(3)):.4f}")
        6.0000

    Source:
        Julier and Uhlmann, A new extension of the Kalman filter to nonlinear systems (1997), §3.
    """
    name = "unscented_expectation"
    m, L = _normal_vector(name, mean, factor)
    d = m.shape[0]
    kappa = max(3 - d, 0) if kappa is None else kappa
    if isinstance(kappa, jax.Array):
        _checks.fail(name, "kappa is an array; wanted a number", error=TypeError)
    _checks.scalar(name, "kappa", kappa, above=-d)
    z = math.sqrt(d + kappa) * np.concatenate([np.zeros((1, d)), np.eye(d), -np.eye(d)])
    w = np.concatenate([[kappa / (d + kappa)], np.full(2 * d, 0.5 / (d + kappa))])
    return _mean(name, f, _moved(m, L, z), w)


def discrete_expectation(
    f: Callable[[Any], Array],
    outcomes: Any,
    probabilities: Float[Array, "n"],
) -> Float[Array, "*shape"]:
    """Mean of a function of a variable with n outcomes: exact.

        E f = Σₖ pₖ f(xₖ)

    Gradient:
        ∂/∂pₖ = f(xₖ)

    Args:
        f: A function of one outcome, which gives a floating-point array.
        outcomes: The outcomes, a pytree of arrays whose first axis counts them.
        probabilities: The probabilities p ≥ 0, which sum to 1.

    Returns:
        The mean, of the shape of f; an outcome of probability 0 does not matter. It is nan where
        the probabilities are none.

    Raises:
        TypeError: If f is no function or gives no floating-point array, or an array is none.
        ValueError: If there are no outcomes, or their number is not that of the probabilities.

    Example:
        >>> dice = jnp.arange(1.0, 7.0)
        >>> print(f"{discrete_expectation(lambda x: x, dice, jnp.full(6, 1 / 6)):.4f}")
        3.5000

    Source:
        Huygens, De ratiociniis in ludo aleae (1657), proposition 3.
    """
    name = "discrete_expectation"
    _checks.function(name, "f", f)
    _checks.floating(name, probabilities=probabilities)
    _checks.rank(name, "probabilities", probabilities, "n", exact=True)
    n = jnp.shape(probabilities)[0]
    leaves = jax.tree.leaves(outcomes)
    for leaf in leaves:
        _checks.array(name, "outcomes", leaf)
    if not n or not leaves or any(jnp.shape(leaf)[:1] != (n,) for leaf in leaves):
        came = [jnp.shape(leaf) for leaf in leaves]
        problem = f"outcomes {came} and probabilities {(n,)} must have one first axis, not of 0"
        _checks.fail(name, problem)
    p = wide(probabilities)
    slack = float(jnp.finfo(jnp.result_type(probabilities)).eps) ** 0.5
    p = jnp.where((p >= 0).all() & (jnp.abs(p.sum() - 1) <= slack), p, jnp.nan)
    y = values(name, "f", f, jax.tree.map(jnp.asarray, outcomes))
    p = p.reshape(-1, *(1,) * (y.ndim - 1)).astype(y.dtype)
    return jnp.where(p == 0, 0, p * y).sum(0)
