"""Activations that turn a row of scores into probabilities of which most are exactly 0.

Notation: S is the support, the entries with a probability above 0, and k their number.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fnmath import _checks
from fnmath.activations._exponentials import computed_wide
from fnmath.numerics._shifted import centred, largest


def _distances(x: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """How far x lies behind its largest entry, from −1 to 0, as the sum of a head and a tail.

    What lies further behind has no part in a point of the simplex either way. The head has half of
    the bits behind the point: numbers of this form, and their squares, are added without rounding
    where the sum is about 1. The tail holds the others, and what rounding took of the difference.
    """
    m = largest(x, (axis,))
    difference = x - m
    shift = difference - x
    rest = (x - (difference - shift)) - (m + shift)
    d = jnp.maximum(jnp.where(x == m, 0, difference), -1)
    head = _head(d)
    return head, (d - head) + jnp.where((x < m) & (d > -1), rest, 0)


def _head(x: jax.Array) -> jax.Array:
    step = 2.0 ** (jnp.finfo(x.dtype).nmant // 2)
    return jnp.round(x * step) / step


def _sum(x: jax.Array, axis: int) -> jax.Array:
    return jnp.sum(x, axis, keepdims=True)


def _ranked(d: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """The entries in falling order, and the rank of each: 1 for the first."""
    ranks = jax.lax.broadcasted_iota(d.dtype, d.shape, axis) + 1
    return -jnp.sort(-d, axis), ranks


def _sparsemax_threshold(d: jax.Array, axis: int) -> jax.Array:
    """τ with Σ max(d − τ, 0) = 1, but for the rounding of sums."""
    d, rank = _ranked(d, axis)
    inside = 1 + rank * d > jnp.cumsum(d, axis)
    return (_sum(jnp.where(inside, d, 0), axis) - 1) / _sum(inside.astype(d.dtype), axis)


def _without_excess(p: jax.Array, tail: jax.Array, inside: jax.Array, axis: int) -> jax.Array:
    """The sum p + tail, shifted so that its sum over the support is 1."""
    excess = _sum(jnp.where(inside, p, 0), axis) - 1 + _sum(jnp.where(inside, tail, 0), axis)
    return p + (tail - excess / _sum(inside.astype(p.dtype), axis))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _sparsemax(x: jax.Array, axis: int) -> jax.Array:
    head, tail = _distances(x, axis)
    near = _sparsemax_threshold(head + tail, axis)
    p = head - _head(near)
    first = _without_excess(p, tail, head + tail > near, axis)
    # Again, for those at the edge of the support, which rounding may have misplaced.
    exact = _without_excess(p, tail, first > 0, axis)
    return jnp.where(x == -jnp.inf, 0, jnp.maximum(exact, 0))


@_sparsemax.defjvp
def _sparsemax_jvp(axis: int, primals: tuple, tangents: tuple) -> tuple:
    (x,), (tangent,) = primals, tangents
    p = _sparsemax(x, axis)
    inside = p > 0
    k = jnp.maximum(_sum(inside.astype(p.dtype), axis), 1)
    mean = _sum(jnp.where(inside, tangent, 0), axis) / k
    return p, jnp.where(inside, tangent - mean, 0)


def sparsemax(
    x: Float[Array, "..."], axis: int = -1, *, where: Bool[Array, "..."] | None = None
) -> Float[Array, "..."]:
    """Probabilities nearest to the scores, most of which may be exactly 0.

        sparsemax(x) = argmin ‖p − x‖² over p ≥ 0, Σᵢ pᵢ = 1
        pᵢ = max(xᵢ − τ, 0),    τ = (Σⱼ xⱼ − 1) / k over the support S = {j : xⱼ > τ} of k entries

    The support holds the k largest scores, for the largest k with 1 + k x₍ₖ₎ > x₍₁₎ + … + x₍ₖ₎. The
    sum over it is carried to more than working precision: pᵢ is a small difference of scores.

    Gradient:
        ∂pᵢ/∂xⱼ = δᵢⱼ − 1/k for i and j in S, else 0
        ṗ = ẋ − mean of ẋ over S, on S, else 0

    Args:
        x: Scores; −∞ marks what cannot occur.
        axis: The axis over which the probabilities sum to 1.
        where: False for the entries to leave out, in a shape that broadcasts to that of x. Neither
            value nor gradient depends on these, not even where they are nan.

    Returns:
        Probabilities in the shape of x: 0 where masked, and all 0 in a row that is wholly masked or
        wholly −∞.

    Raises:
        TypeError: If x is not a floating-point array, or ``where`` does not hold booleans.
        ValueError: If the axis is none of x's, or ``where`` does not broadcast to x.

    Example:
        >>> print(sparsemax(jnp.array([1.0, 0.5, -1.0])))
        [0.75 0.25 0.  ]

    Source:
        Martins and Astudillo, From softmax to sparsemax (2016), §2.2 (algorithm 1) and §2.5 (the
        Jacobian and its product with a vector).
    """
    _checks.floating("sparsemax", x=x)
    _checks.axis("sparsemax", "axis", axis, x)
    if where is not None:
        _checks.mask("sparsemax", "where", where, x=x)
        x = jnp.where(where, x, -jnp.inf)
    p = computed_wide(functools.partial(_sparsemax, axis=axis % jnp.ndim(x)), x)
    return p if where is None else jnp.where(where, p, 0)


def _entmax_threshold(z: jax.Array, axis: int) -> jax.Array:
    """τ with Σ max(z − τ, 0)² = 1, but for the rounding of sums."""
    z, k = _ranked(z, axis)
    mean = jnp.cumsum(z, axis) / k
    spread = jnp.cumsum(jnp.square(z), axis) - k * jnp.square(mean)
    thresholds = mean - jnp.sqrt(jnp.maximum((1 - spread) / k, 0))
    last = _sum((thresholds < z).astype(z.dtype), axis)
    return jnp.max(jnp.where(k == last, thresholds, -1), axis, keepdims=True, initial=-1)


def _excess_of_squares(u: jax.Array, tail: jax.Array, inside: jax.Array, axis: int) -> jax.Array:
    """The shift t of u + tail for which the squares on the support sum to 1.

    k t² − 2 t Σ u + Σ u² = 1, solved without cancellation.
    """
    u, tail = jnp.where(inside, u, 0), jnp.where(inside, tail, 0)
    excess = _sum(jnp.square(u), axis) - 1 + _sum(tail * (2 * u + tail), axis)
    total, k = _sum(u + tail, axis), _sum(inside.astype(u.dtype), axis)
    return excess / (total + jnp.sqrt(jnp.maximum(jnp.square(total) - k * excess, 0)))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _entmax_root(x: jax.Array, axis: int) -> jax.Array:
    """The roots uᵢ = max(½ xᵢ − τ, 0) of the probabilities."""
    head, tail = _distances(x / 2, axis)
    near = _entmax_threshold(head + tail, axis)
    u = head - _head(near)
    first = u + (tail - _excess_of_squares(u, tail, head + tail > near, axis))
    exact = u + (tail - _excess_of_squares(u, tail, first > 0, axis))
    return jnp.where(x == -jnp.inf, 0, jnp.maximum(exact, 0))


@_entmax_root.defjvp
def _entmax_root_jvp(axis: int, primals: tuple, tangents: tuple) -> tuple:
    """u̇ᵢ = ½ (ẋᵢ − Σⱼ uⱼ ẋⱼ / Σⱼ uⱼ) on the support."""
    (x,), (tangent,) = primals, tangents
    u = _entmax_root(x, axis)
    total = _sum(u, axis)
    inside = jnp.where(u > 0, tangent, 0)
    change = centred(inside, u / jnp.where(total == 0, 1, total), (axis,)) / 2
    return u, jnp.where(u > 0, change, 0)


def _entmax15(x: jax.Array, axis: int) -> jax.Array:
    return jnp.square(_entmax_root(x, axis))


def entmax15(
    x: Float[Array, "..."], axis: int = -1, *, where: Bool[Array, "..."] | None = None
) -> Float[Array, "..."]:
    """Probabilities half-way between ``softmax`` and ``sparsemax``: smooth, and 0 for the weakest.

        entmax15(x) = argmax ⟨p, x⟩ + H(p),    H(p) = 4/3 Σᵢ (pᵢ − pᵢ^1.5)
        pᵢ = uᵢ²,    uᵢ = max(½ xᵢ − τ, 0),    τ such that Σᵢ pᵢ = 1

    H is Tsallis's entropy with α = 1.5. Among the k largest of z = ½ x, with mean μ and spread
    s = Σ (z − μ)², τ = μ − √((1 − s) / k); the support is the largest k whose smallest z is above
    its τ. As in ``sparsemax`` τ is then carried to more than working precision.

    Gradient:
        ∂pᵢ/∂xⱼ = uᵢ (δᵢⱼ − uⱼ / Σₗ uₗ)
        ṗ = u (ẋ − ⟨u, ẋ⟩ / Σₗ uₗ)

    Args:
        x: Scores; −∞ marks what cannot occur.
        axis: The axis over which the probabilities sum to 1.
        where: False for the entries to leave out, in a shape that broadcasts to that of x. Neither
            value nor gradient depends on these, not even where they are nan.

    Returns:
        Probabilities in the shape of x: 0 where masked, and all 0 in a row that is wholly masked or
        wholly −∞.

    Raises:
        TypeError: If x is not a floating-point array, or ``where`` does not hold booleans.
        ValueError: If the axis is none of x's, or ``where`` does not broadcast to x.

    Example:
        >>> p = entmax15(jnp.array([0.4, 0.0, -2.0]))  # 0.8² and 0.6²
        >>> print(" ".join(f"{entry:.2f}" for entry in p))
        0.64 0.36 0.00

    Source:
        Peters, Niculae and Martins, Sparse sequence-to-sequence models (2019), §3 and appendix C
        (the exact algorithm for α = 1.5); Correia, Niculae and Martins, Adaptively sparse
        transformers (2019), §3.
    """
    _checks.floating("entmax15", x=x)
    _checks.axis("entmax15", "axis", axis, x)
    if where is not None:
        _checks.mask("entmax15", "where", where, x=x)
        x = jnp.where(where, x, -jnp.inf)
    p = computed_wide(functools.partial(_entmax15, axis=axis % jnp.ndim(x)), x)
    return p if where is None else jnp.where(where, p, 0)
