"""Entropies and divergences of discrete distributions.

Notation: p and q are the probabilities of the outcomes, on the last axis, which sum to 1; sums run
over the outcomes. Everything is in nats, or in the unit of another ``base``: bits for 2.

What sums to 1 only to within √ε of its dtype counts as 1; further off, or with a negative entry, it
is no distribution, and the answer nan. An outcome of p = q = 0 adds nothing; 0 log 0 = 0. Where a
derivative is infinite at p = 0, the largest number stands for ∞.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.information import _terms
from fnmath.information._units import in_base, known_base, proper


def _checked(function: str, base: Any, **distributions: Any) -> list[jax.Array]:
    """The distributions in single precision at least, nan where they are none."""
    _checks.floating(function, **distributions)
    for name, p in distributions.items():
        _checks.rank(function, name, p, "outcomes")
        if not jnp.shape(p)[-1]:
            _checks.fail(function, f"{name} {jnp.shape(p)} has no outcomes")
    _checks.same_shape(function, **distributions)
    known_base(function, base)
    return [proper(p) for p in distributions.values()]


def entropy(
    p: Float[Array, "*batch outcomes"], *, base: float | None = None
) -> Float[Array, "*batch"]:
    """Entropy of a distribution, in nats: how much is not known of an outcome before it comes.

        H(p) = − Σₖ pₖ log pₖ

    Gradient:
        ∂H/∂pₖ = −log pₖ − 1

    Args:
        p: The probabilities.
        base: The base of the logarithm, above 1, where it is not e.

    Returns:
        One entropy per distribution, from 0 to log n; nan for what is no distribution.

    Raises:
        TypeError: If p is not floating-point, or the base not a number.
        ValueError: If p has no outcomes, or the base is not above 1.

    Example:
        >>> print(entropy(jnp.array([0.5, 0.25, 0.25, 0.0]), base=2))
        1.5

    Source:
        Cover and Thomas, Elements of Information Theory (2006), §2.1; ``scipy.stats.entropy``.
    """
    (numbers,) = _checked("entropy", base, p=p)
    return in_base(jnp.sum(_terms.surprise(numbers), -1), base, p)


def cross_entropy(
    p: Float[Array, "*batch outcomes"],
    q: Float[Array, "*batch outcomes"],
    *,
    base: float | None = None,
) -> Float[Array, "*batch"]:
    """Cross-entropy of two distributions, in nats: the mean surprise at p of who believes in q.

        H(p, q) = − Σₖ pₖ log qₖ = H(p) + KL(p ‖ q)

    For logits or log-probabilities, and for training, there is
    ``fnmath.losses.softmax_cross_entropy``.

    Gradient:
        ∂H/∂pₖ = −log qₖ,    ∂H/∂qₖ = −pₖ/qₖ

    Args:
        p: The probabilities of the outcomes that come.
        q: The probabilities believed in, of the same shape.
        base: The base of the logarithm, above 1, where it is not e.

    Returns:
        One cross-entropy per pair; ∞ where something happens that q holds impossible, nan for what
        is no distribution.

    Raises:
        TypeError: If an argument is not floating-point, or the base not a number.
        ValueError: If the shapes differ, there are no outcomes, or the base is not above 1.

    Example:
        >>> print(cross_entropy(jnp.array([0.5, 0.5]), jnp.array([0.25, 0.75]), base=2).round(4))
        1.2075

    Source:
        Cover and Thomas, Elements of Information Theory (2006), §5.4 (the wrong code).
    """
    numbers = _checked("cross_entropy", base, p=p, q=q)
    return in_base(jnp.sum(_terms.cross(*numbers), -1), base, p)


def relative_entropy(
    p: Float[Array, "*batch outcomes"],
    q: Float[Array, "*batch outcomes"],
    *,
    base: float | None = None,
) -> Float[Array, "*batch"]:
    """Relative entropy of p to q, in nats: the Kullback–Leibler divergence KL(p ‖ q).

        KL(p ‖ q) = Σₖ pₖ log(pₖ/qₖ)

    Of two near probabilities the logarithm is taken of their difference, which is exact. It has
    this name, and the distribution that is averaged over first, as ``scipy.special.rel_entr`` has;
    ``fnmath.losses.kl_divergence`` takes log-predictions first, as optax's.

    Gradient:
        ∂KL/∂pₖ = log(pₖ/qₖ) + 1,    ∂KL/∂qₖ = −pₖ/qₖ

    Args:
        p: The probabilities p, which are averaged over.
        q: The probabilities q, of the same shape.
        base: The base of the logarithm, above 1, where it is not e.

    Returns:
        One divergence per pair; ∞ where something happens that q holds impossible, nan for what is
        no distribution.

    Raises:
        TypeError: If an argument is not floating-point, or the base not a number.
        ValueError: If the shapes differ, there are no outcomes, or the base is not above 1.

    Example:
        >>> p, q = jnp.array([0.5, 0.5, 0.0]), jnp.array([0.25, 0.25, 0.5])
        >>> print(relative_entropy(p, q, base=2))
        1.0

    Source:
        Cover and Thomas, Elements of Information Theory (2006), §2.3; ``scipy.stats.entropy`` with
        two arguments.
    """
    numbers = _checked("relative_entropy", base, p=p, q=q)
    return in_base(jnp.sum(_terms.relative(*numbers), -1), base, p)


def jensen_shannon(
    p: Float[Array, "*batch outcomes"],
    q: Float[Array, "*batch outcomes"],
    *,
    base: float | None = None,
) -> Float[Array, "*batch"]:
    """Jensen–Shannon divergence of probabilities, in nats: 0 for equal, log 2 for disjoint ones.

        JS(p, q) = ½ KL(p ‖ m) + ½ KL(q ‖ m),    m = ½ (p + q)

    term by term a function of the tilt (pₖ − qₖ)/(pₖ + qₖ), at least 0 each. It is symmetric, and
    its root a metric. ``fnmath.losses.jensen_shannon_divergence`` is the same of log-predictions.

    Gradient:
        ∂JS/∂pₖ = ½ log(pₖ/mₖ),    ∂JS/∂qₖ = ½ log(qₖ/mₖ)

    Args:
        p: The probabilities p.
        q: The probabilities q, of the same shape.
        base: The base of the logarithm, above 1, where it is not e.

    Returns:
        One divergence per pair; nan for what is no distribution. SciPy's ``jensenshannon`` is its
        root.

    Raises:
        TypeError: If an argument is not floating-point, or the base not a number.
        ValueError: If the shapes differ, there are no outcomes, or the base is not above 1.

    Example:
        >>> print(jensen_shannon(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]), base=2))
        1.0

    Source:
        Lin, Divergence measures based on the Shannon entropy (1991), §4.
    """
    numbers = _checked("jensen_shannon", base, p=p, q=q)
    return in_base(jnp.sum(_terms.jensen_shannon(*numbers), -1), base, p)


def _log_mean(p: jax.Array, v: jax.Array, gone: jax.Array | float = 0.0) -> jax.Array:
    """The logarithm of Σₖ pₖ exp(vₖ), accurate where all vₖ are small; Σₖ pₖ is 1 − gone."""
    counts = p > 0
    most = jnp.max(jnp.where(counts, jax.lax.stop_gradient(v), -jnp.inf), -1, keepdims=True)
    below = jnp.where(counts, v - jnp.where(jnp.isfinite(most), most, 0), 0)
    less = jnp.sum(jnp.where(counts, p * jnp.expm1(below), 0), -1) - gone
    rest = jnp.sum(jnp.where(counts, p * jnp.exp(below), 0), -1)
    near = less > -0.5
    log = jnp.where(near, jnp.log1p(jnp.where(near, less, 0)), jnp.log(jnp.where(near, 1, rest)))
    return most[..., 0] + log


def renyi_entropy(
    p: Float[Array, "*batch outcomes"], *, order: float, base: float | None = None
) -> Float[Array, "*batch"]:
    """Rényi's entropy, in nats: from the number of outcomes to the likeliest one.

        H_α(p) = log(Σₖ pₖᵅ)/(1 − α)
        H₀ = log #{k : pₖ > 0},    H₁ = − Σₖ pₖ log pₖ,    H_∞ = −log maxₖ pₖ

    Near α = 1, where both vanish, the numerator is log1p(Σₖ pₖ (pₖ^(α − 1) − 1)).

    Gradient:
        ∂H_α/∂pₖ = α/(1 − α) pₖ^(α − 1)/Σⱼ pⱼᵅ

    Args:
        p: The probabilities.
        order: The order α, a number from 0 to ∞.
        base: The base of the logarithm, above 1, where it is not e.

    Returns:
        One entropy per distribution, which falls as the order grows; nan for what is no
        distribution.

    Raises:
        TypeError: If p is not floating-point, or an option not a number.
        ValueError: If p has no outcomes, the order is negative, or the base is not above 1.

    Example:
        >>> p = jnp.array([0.5, 0.25, 0.25])
        >>> print(renyi_entropy(p, order=jnp.inf, base=2), renyi_entropy(p, order=1, base=2))
        1.0 1.5

    Source:
        Rényi, On measures of entropy and information (1961), §1.
    """
    (numbers,) = _checked("renyi_entropy", base, p=p)
    order = _order("renyi_entropy", order)
    if order == 1:
        nats = jnp.sum(_terms.surprise(numbers), -1)
    elif order == math.inf:
        nats = -jnp.log(jnp.max(numbers, -1))
    elif order == 0:
        missing = jnp.isnan(numbers).any(-1)
        nats = jnp.log(jnp.where(missing, jnp.nan, jnp.sum(numbers > 0, -1)))
    else:
        # In place of an infinite slope at 0, for an order below 1, the largest number.
        steep = _terms.most(numbers) * jnp.where(numbers == 0, numbers, 0) if order < 1 else 0
        powers = _log_mean(numbers, (order - 1) * jnp.log(_terms.some(numbers)))
        nats = powers / (1 - order) + jnp.sum(steep * jnp.ones_like(numbers), -1)
        nats = jnp.where(jnp.isnan(numbers).any(-1), jnp.nan, nats)
    return in_base(nats.astype(numbers.dtype), base, p)


def _order(function: str, order: Any) -> float:
    """The order α as a Python number; raise unless it is one from 0 to ∞."""
    if isinstance(order, jax.Array) or (isinstance(order, np.ndarray) and order.ndim):
        problem = f"order is a {type(order).__name__}; wanted a number"
        _checks.fail(function, problem, error=TypeError)
    _checks.number(function, "order", order, above=0, closed="[]")
    return float(order)


def renyi_divergence(
    p: Float[Array, "*batch outcomes"],
    q: Float[Array, "*batch outcomes"],
    *,
    order: float,
    base: float | None = None,
) -> Float[Array, "*batch"]:
    """Rényi's divergence of p from q, in nats.

        D_α(p ‖ q) = log(Σₖ pₖᵅ qₖ^(1 − α))/(α − 1)
        D₁ = KL(p ‖ q),    D_∞ = log maxₖ pₖ/qₖ,    D₀ = −log Σₖ qₖ [pₖ > 0]

    Gradient:
        ∂D_α/∂pₖ = α/(α − 1) rₖ^(α − 1)/Σⱼ pⱼ rⱼ^(α − 1),    rₖ = pₖ/qₖ
        ∂D_α/∂qₖ = −rₖᵅ/Σⱼ pⱼ rⱼ^(α − 1)

    Args:
        p: The probabilities p.
        q: The probabilities q, of the same shape.
        order: The order α, a number from 0 to ∞.
        base: The base of the logarithm, above 1, where it is not e.

    Returns:
        One divergence per pair, which grows with the order; ∞ where q holds impossible what happens
        (for an order below 1: everything that happens), nan for what is no distribution.

    Raises:
        TypeError: If an argument is not floating-point, or an option not a number.
        ValueError: If the shapes differ, there are no outcomes, the order is negative, or the base
            is not above 1.

    Example:
        >>> p, q = jnp.array([0.5, 0.5]), jnp.array([0.25, 0.75])
        >>> print(renyi_divergence(p, q, order=jnp.inf, base=2))
        1.0

    Source:
        van Erven and Harremoës, Rényi divergence and Kullback–Leibler divergence (2014), §2.
    """
    first, second = _checked("renyi_divergence", base, p=p, q=q)
    order = _order("renyi_divergence", order)
    impossible = (first > 0) & (second == 0)
    u = _terms.log_ratio(_terms.some(first), _terms.some(second))
    if order == 1:
        nats = jnp.sum(_terms.relative(first, second), -1)
    elif order == math.inf:
        nats = jnp.max(jnp.where(first > 0, u, -jnp.inf), -1)
    elif order == 0:
        nats = -jnp.log(jnp.sum(jnp.where(first > 0, second, 0), -1))
    else:
        happens = jnp.where(impossible, 0, first)
        steep = _terms.most(first) * jnp.where((first == 0) & (second > 0), first, 0)
        gone = jnp.sum(jnp.where(impossible, first, 0), -1)
        nats = _log_mean(happens, (order - 1) * u, gone) / (order - 1)
        nats = nats - jnp.sum(steep, -1) if order < 1 else nats
    if order >= 1:
        nats = jnp.where(impossible.any(-1), jnp.inf, nats)
    nothing = ~((first > 0) & (second > 0)).any(-1)
    nats = jnp.where(nothing, jnp.inf, nats)
    missing = jnp.isnan(first + second).any(-1)
    return in_base(jnp.where(missing, jnp.nan, nats), base, p)


def total_variation_distance(
    p: Float[Array, "*batch outcomes"], q: Float[Array, "*batch outcomes"]
) -> Float[Array, "*batch"]:
    """Total variation distance: the most by which two distributions disagree about any event.

        TV(p, q) = ½ Σₖ |pₖ − qₖ|

    Gradient:
        ∂TV/∂pₖ = ½ sign(pₖ − qₖ),    ∂TV/∂qₖ = −½ sign(pₖ − qₖ),    0 where they are equal

    Args:
        p: The probabilities p.
        q: The probabilities q, of the same shape.

    Returns:
        One distance in [0, 1] per pair; nan for what is no distribution.

    Raises:
        TypeError: If an argument is not floating-point.
        ValueError: If the shapes differ, or there are no outcomes.

    Example:
        >>> print(total_variation_distance(jnp.array([0.5, 0.5]), jnp.array([0.25, 0.75])))
        0.25

    Source:
        Levin and Peres, Markov Chains and Mixing Times (2017), §4.1.
    """
    first, second = _checked("total_variation_distance", None, p=p, q=q)
    gap = first - second
    sizes = gap * jnp.sign(gap)  # |p − q|, whose derivative JAX takes to be 1 at 0
    return (0.5 * jnp.sum(sizes, -1)).astype(jnp.result_type(p, q))


def hellinger_distance(
    p: Float[Array, "*batch outcomes"], q: Float[Array, "*batch outcomes"]
) -> Float[Array, "*batch"]:
    """Hellinger's distance: that of the roots of the probabilities, as points of a sphere.

        H(p, q) = √(½ Σₖ (√pₖ − √qₖ)²) = √(1 − Σₖ √(pₖ qₖ)),    √p − √q = (p − q)/(√p + √q)

    The last form does not cancel.

    Gradient:
        ∂H/∂pₖ = (1 − √(qₖ/pₖ))/(4 H),    ∂H/∂qₖ = (1 − √(pₖ/qₖ))/(4 H),    0 where H = 0

    Args:
        p: The probabilities p.
        q: The probabilities q, of the same shape.

    Returns:
        One distance in [0, 1] per pair; nan for what is no distribution.

    Raises:
        TypeError: If an argument is not floating-point.
        ValueError: If the shapes differ, or there are no outcomes.

    Example:
        >>> print(hellinger_distance(jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])))
        1.0

    Source:
        Gibbs and Su, On choosing and bounding probability metrics (2002), §2.
    """
    numbers = _checked("hellinger_distance", None, p=p, q=q)
    square = 0.5 * jnp.sum(_terms.squared_hellinger(*numbers), -1)
    root = jnp.where(square == 0, 0, jnp.sqrt(jnp.where(square == 0, 1, square)))
    return root.astype(jnp.result_type(p, q))
