"""Losses of embeddings: of the angle between two vectors, and of the distances among three.

Notation: a and b are vectors, ‖a‖ = √(Σᵢ aᵢ²) and cos is the cosine of the angle between them; b⊥
is the part of b that is perpendicular to a; (x)₊ = max(x, 0).

Two vectors that nearly agree have a cosine of 1 within rounding, and 1 − cos is then nothing but
rounding. Yet b⊥ is well known, and 1 − cos² = ‖b⊥‖²/‖b‖². So the distance is made of that part
where it is small, and the gradient everywhere. Vectors are divided by powers of two first, which is
exact, so that no square leaves the range of the dtype.

A vector 0 has no direction: its cosine with any other is taken as 0, and so is the gradient there,
unless an ε > 0 says otherwise.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Real

from fnmath import _checks
from fnmath.losses._compensated import (
    dot,
    positive_part,
    power_of_two,
    rejection,
    sum_of_four,
    sum_of_squares,
)
from fnmath.losses.margins import _real
from fnmath.numerics._pairs import product, two_sum
from fnmath.numerics._wide import computed_wide

Axes = tuple[int, ...]


def _scalar(function: str, argument: str, x: Any, above: float, closed: str = "") -> None:
    """Raise unless ``x`` is one number, above what is said if that is known while tracing."""
    _checks.number(function, argument, x, above=above, closed=closed)
    _checks.rank(function, argument, x, "", exact=True)


def _above(a: Array, floor: Array, axis: Axes) -> tuple[Array, Array]:
    """Where ‖a‖ is above its floor, and the larger of the two; 1 where both are 0."""
    squares = jnp.sum(a * a, axis, keepdims=True)
    longer = squares > floor * floor
    least = jnp.where(floor == 0, 1, floor)
    return longer, jnp.where(longer, jnp.sqrt(jnp.where(longer, squares, 1)), least)


def _turn(a: Array, b: Array, floors: tuple[Array, Array], axis: Axes) -> Array:
    """∂cos/∂a = b⊥ / (‖a‖ ‖b‖), with b in place of b⊥ where the floor stands for ‖a‖."""
    longer, a_length = _above(a, floors[0], axis)
    b_length = _above(b, floors[1], axis)[1]
    perpendicular = rejection(b, jnp.where(longer, a, 0), axis)
    slope = (perpendicular / a_length) / b_length
    return jnp.where(longer | (floors[0] > 0), slope, 0)


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def _cosine(a: Array, b: Array, floors: tuple[Array, Array], axis: Axes) -> Array:
    return (dot(a, b, axis) / _above(a, floors[0], axis)[1]) / _above(b, floors[1], axis)[1]


@_cosine.defjvp
def _cosine_jvp(axis: Axes, primals: tuple, tangents: tuple) -> tuple:
    (a, b, floors), (a_dot, b_dot, floor_dots) = primals, tangents
    value = _cosine(a, b, floors, axis)
    by_vectors = _turn(a, b, floors, axis) * a_dot + _turn(b, a, floors[::-1], axis) * b_dot
    tangent = jnp.sum(by_vectors, axis, keepdims=True)
    for x, floor, floor_dot in zip((a, b), floors, floor_dots, strict=True):
        longer, length = _above(x, floor, axis)
        tangent = tangent - jnp.where(longer, 0, value / length) * floor_dot
    return value, tangent


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def _distance(a: Array, b: Array, floors: tuple[Array, Array], axis: Axes) -> Array:
    """1 − cos, by ‖b⊥‖² / (‖b‖² (1 + cos)) where that is the smaller of its two terms."""
    cos = _cosine(a, b, floors, axis)
    longer = _above(a, floors[0], axis)[0] & _above(b, floors[1], axis)[0]
    exact = jnp.zeros_like(b)
    opposite, squares = (sum(sum_of_squares(x, exact, axis)) for x in (rejection(b, a, axis), b))
    near = opposite / (jnp.where(longer, squares, 1) * (1 + cos))
    return jnp.where((cos > 0.5) & longer, near, 1 - cos)


@_distance.defjvp
def _distance_jvp(axis: Axes, primals: tuple, tangents: tuple) -> tuple:
    _, tangent = _cosine_jvp(axis, primals, tangents)
    return _distance(*primals, axis), -tangent


def _of_angle(of: Callable[..., Array], a: Array, b: Array, epsilon: Any, axis: Axes) -> Array:
    """What ``of`` makes of the vectors and of the floors √ε of their lengths, rounded once."""

    def wide(a: Array, b: Array, epsilon: Array) -> Array:
        a_scale, b_scale = power_of_two(a, axis), power_of_two(b, axis)
        floors = jnp.sqrt(epsilon) / a_scale, jnp.sqrt(epsilon) / b_scale
        return jnp.squeeze(of(a / a_scale, b / b_scale, floors, axis), axis)

    dtype = jnp.result_type(a, b)
    # Not in half precision, where 10⁻⁸ is 0.
    epsilon = jnp.asarray(epsilon, jnp.promote_types(dtype, jnp.float32))
    return computed_wide(lambda a, b: wide(a, b, epsilon.astype(a.dtype)), a, b)


def _checked(
    function: str, predictions: Any, targets: Any, epsilon: Any, axis: Any, where: Any
) -> tuple[Array, Array, Axes]:
    """The two arrays of vectors, 0 where they do not count, and the axes along which they lie."""
    _checks.floating(function, predictions=predictions, targets=targets)
    _checks.same_shape(function, predictions=predictions, targets=targets)
    _scalar(function, "epsilon", epsilon, 0, "[")
    axes = _checks.axes(function, axis, predictions)
    if where is not None:
        _checks.mask(function, "where", where, predictions=predictions)
        predictions, targets = jnp.where(where, predictions, 0), jnp.where(where, targets, 0)
    return jnp.asarray(predictions), jnp.asarray(targets), axes


def cosine_similarity(
    predictions: Float[Array, "*shape"],
    targets: Float[Array, "*shape"],
    *,
    epsilon: float | Float[Array, ""] = 0.0,
    axis: int | tuple[int, ...] | None = -1,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """Cosine of the angle between two vectors: 1 for one direction, 0 for a right angle.

        cos(a, b) = Σᵢ aᵢ bᵢ / (max(‖a‖, √ε) max(‖b‖, √ε)),    and 0 where a factor below is 0

    The sum is carried to half as many digits again as the vectors have, so that the cosine of a
    nearly right angle is right too.

    Gradient:
        ∂cos/∂a = b⊥ / (‖a‖ ‖b‖),    b⊥ = b − (a·b / a·a) a
        and b in place of b⊥ where ‖a‖ ≤ √ε; ∂cos/∂b likewise

    Args:
        predictions: The vectors a.
        targets: The vectors b, of the same shape.
        epsilon: A floor ε ≥ 0 under the squares of the lengths, in the units of a²; with 0 the
            cosine with a vector 0, and its gradient, is 0.
        axis: The axis along which a vector lies, or several, or None for all of them.
        where: The entries that count, in a shape that broadcasts to that of the vectors; whatever
            stands in the others, nan included, does not matter.

    Returns:
        One cosine per pair, in the shape without the axes; nan where an entry is infinite.

    Raises:
        TypeError: If the vectors are not floating-point numbers, ε is no number or ``where`` not
            bool.
        ValueError: If the shapes differ, ε is a number below 0, or the axis does not exist.

    Example:
        >>> a, b = jnp.array([[1.0, 0.0], [3.0, 4.0]]), jnp.array([[1.0, 1.0], [0.0, 0.0]])
        >>> print(cosine_similarity(a, b).round(4))
        [0.7071 0.    ]

    Source:
        Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), §6.3.1;
        ``optax.losses.cosine_similarity`` (where ε bounds the square of the length).
    """
    name = "cosine_similarity"
    a, b, axes = _checked(name, predictions, targets, epsilon, axis, where)
    return _of_angle(_cosine, a, b, epsilon, axes)


def cosine_distance(
    predictions: Float[Array, "*shape"],
    targets: Float[Array, "*shape"],
    *,
    epsilon: float | Float[Array, ""] = 0.0,
    axis: int | tuple[int, ...] | None = -1,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "..."]:
    """Distance of two directions: 0 for one direction, 1 for a right angle, 2 for opposite ones.

        ℓ(a, b) = 1 − cos(a, b) = ‖b⊥‖² / (‖b‖² (1 + cos(a, b)))

    The last form is taken where cos > ½: vectors that make an angle of 10⁻⁴ have the distance
    5·10⁻⁹, while 1 − cos is 0 in float32. It is also half the square of the distance of the two
    points on the unit sphere.

    Gradient:
        ∂ℓ/∂a = −b⊥ / (‖a‖ ‖b‖),    ∂ℓ/∂b = −a⊥ / (‖a‖ ‖b‖), as for ``cosine_similarity``

    Args:
        predictions: The vectors a.
        targets: The vectors b, of the same shape.
        epsilon: A floor ε ≥ 0 under the squares of the lengths, in the units of a²; with 0 the
            distance from a vector 0 is 1, and its gradient 0.
        axis: The axis along which a vector lies, or several, or None for all of them.
        where: The entries that count, in a shape that broadcasts to that of the vectors; whatever
            stands in the others, nan included, does not matter.

    Returns:
        One distance per pair, in the shape without the axes; nan where an entry is infinite.

    Raises:
        TypeError: If the vectors are not floating-point numbers, ε is no number or ``where`` not
            bool.
        ValueError: If the shapes differ, ε is a number below 0, or the axis does not exist.

    Example:
        >>> a, b = jnp.array([1.0, 0.0]), jnp.array([1.0, 1e-4])
        >>> print(f"{cosine_distance(a, b):.4g}")
        5e-09

    Source:
        ``optax.losses.cosine_distance``; Manning, Raghavan and Schütze, Introduction to Information
        Retrieval (2008), §6.3.1.
    """
    name = "cosine_distance"
    a, b, axes = _checked(name, predictions, targets, epsilon, axis, where)
    return _of_angle(_distance, a, b, epsilon, axes)


def cosine_embedding_loss(
    first: Float[Array, "*batch features"],
    second: Float[Array, "*batch features"],
    targets: Real[Array, "*batch"],
    *,
    margin: float | Float[Array, ""] = 0.0,
) -> Float[Array, "*batch"]:
    """Loss of two vectors that should point one way if alike, and well apart otherwise.

        ℓ(a, b, t) = 1 − cos(a, b)          where t = 1
                     (cos(a, b) − margin)₊  where t = −1

    Gradient:
        ∂ℓ/∂a = −b⊥ / (‖a‖ ‖b‖) where t = 1
        ∂ℓ/∂a = b⊥ / (‖a‖ ‖b‖) where t = −1 and cos(a, b) > margin, else 0

    Args:
        first: The vectors a.
        second: The vectors b, of the same shape. The cosine with a vector 0 is 0.
        targets: 1 for pairs that are alike and −1 for others; any other number gives nan.
        margin: The cosine up to which others may agree, from −1 to 1; best from 0 to ½.

    Returns:
        One loss per pair.

    Raises:
        TypeError: If the vectors are not floating-point numbers, the targets no real numbers or the
            margin no number.
        ValueError: If the shapes do not fit, or the margin is no single number.

    Example:
        >>> a, b = jnp.array([[2.0, 0.0], [2.0, 0.0]]), jnp.array([[0.0, 1.0], [3.0, 0.0]])
        >>> print(cosine_embedding_loss(a, b, jnp.array([1, -1]), margin=0.5))
        [1.  0.5]

    Source:
        The documentation of ``torch.nn.CosineEmbeddingLoss``, which adds 10⁻¹² to the squares.
    """
    name = "cosine_embedding_loss"
    _checks.floating(name, first=first, second=second)
    _checks.same_shape(name, first=first, second=second)
    _checks.rank(name, "first", first, "features")
    _real(name, targets=targets)
    if jnp.shape(targets) != jnp.shape(first)[:-1]:
        problem = f"targets {jnp.shape(targets)} do not fit first {jnp.shape(first)}"
        _checks.fail(name, f"{problem}; wanted {jnp.shape(first)[:-1]}")
    _scalar(name, "margin", margin, -np.inf)
    t = jnp.asarray(targets)[..., None]

    def loss(a: Array, b: Array, floors: tuple[Array, Array], axis: Axes) -> Array:
        apart = positive_part(_cosine(a, b, floors, axis) - jnp.asarray(margin, a.dtype))
        loss = jnp.where(t == -1, apart, _distance(a, b, floors, axis))
        return loss * jnp.where(jnp.abs(t) == 1, 1, jnp.nan)

    return _of_angle(loss, jnp.asarray(first), jnp.asarray(second), 0.0, (jnp.ndim(first) - 1,))


def _root(x: Array, rounding: Array, floor: Array, axis: Axes) -> tuple[Array, Array]:
    """√(Σᵢ (x + rounding)ᵢ² + floor) of numbers below 2 in size, and what rounding took of it."""
    square, rest = sum_of_squares(x, rounding, axis)
    square, rest = two_sum(square, rest + floor)
    root = jnp.sqrt(square)
    back, back_rest = product(root, root)
    taken = ((square - back) - back_rest) + rest
    return root, jnp.where(root > 0, taken / (2 * jnp.where(root > 0, root, 1)), 0)


def _unit(*points: Array, axis: Axes) -> Array:
    """What to measure the points in: 1, but 2⁻⁶⁴ where a distance could be above all numbers."""
    largest = functools.reduce(jnp.maximum, map(jnp.abs, points))
    too_large = jnp.max(largest, axis, keepdims=True, initial=0) > jnp.finfo(largest.dtype).max / 4
    return jnp.where(too_large, 2.0**-64, 1).astype(largest.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(3, 4))
def _norm(a: Array, b: Array, epsilon: Array, degree: float, axis: Axes) -> tuple[Array, Array]:
    """(Σᵢ |aᵢ − bᵢ|^q + ε)^(1/q), and for the degree q = 2 what rounding took of it."""
    x, rounding = two_sum(a, -b)
    largest = jnp.max(jnp.abs(x), axis, keepdims=True, initial=0)
    base = jnp.abs(epsilon) ** (1 / degree)
    scale = power_of_two(jnp.maximum(largest, base), ())
    # Not ε/scale^q, nor divided twice, which XLA makes that: the power may be below all numbers.
    floor = epsilon * (1 / scale) * (1 / scale) if degree == 2 else (base / scale) ** degree
    if degree == 2:
        root, rest = _root(x / scale, rounding / scale, floor, axis)
        return scale * root, jnp.where(jnp.isfinite(rest), scale * rest, 0)
    power = jnp.sum(jnp.abs(x / scale) ** degree, axis, keepdims=True) + floor
    return scale * power ** (1 / degree), jnp.zeros_like(power)


@_norm.defjvp
def _norm_jvp(degree: float, axis: Axes, primals: tuple, tangents: tuple) -> tuple:
    (a, b, epsilon), (a_dot, b_dot, epsilon_dot) = primals, tangents
    norm, rest = _norm(a, b, epsilon, degree, axis)
    positive = jnp.where(norm == 0, 1, norm)
    slope = (a - b) / positive
    if degree != 2:
        slope = jnp.sign(a - b) * (jnp.abs(slope) ** (degree - 1) if degree > 1 else 1)
    by_floor = jnp.where(norm == 0, 0, epsilon_dot / (degree * positive ** (degree - 1)))
    tangent = jnp.sum(slope * (a_dot - b_dot), axis, keepdims=True) + by_floor
    return (norm, rest), (tangent, jnp.zeros_like(rest))


def triplet_margin_loss(
    anchors: Float[Array, "*shape"],
    positives: Float[Array, "*shape"],
    negatives: Float[Array, "*shape"],
    axis: int = -1,
    norm_degree: float = 2,
    margin: float | Float[Array, ""] = 1.0,
    eps: float | Float[Array, ""] = 1e-6,
) -> Float[Array, "*batch"]:
    """Hinge loss of two distances: a point should be nearer to its like than to another.

        ℓ(a, p, n) = (d(a, p) − d(a, n) + margin)₊,    d(a, b) = (Σᵢ |aᵢ − bᵢ|^q + ε)^(1/q)

    For q = 2 the distances are carried to more digits than they have: where they are long and the
    loss is short, it is their difference that counts.

    Gradient:
        ∂d/∂aᵢ = sign(aᵢ − bᵢ) (|aᵢ − bᵢ| / d)^(q − 1) = −∂d/∂bᵢ, and 0 at aᵢ = bᵢ
        ∂ℓ/∂p = ∂d(a, p)/∂p,  ∂ℓ/∂n = −∂d(a, n)/∂n,  ∂ℓ/∂a = −∂ℓ/∂p − ∂ℓ/∂n where ℓ > 0, else 0

    Args:
        anchors: The points a.
        positives: The points p, which should be near, of the same shape.
        negatives: The points n, which should be far, of the same shape.
        axis: The axis along which the coordinates of a point lie.
        norm_degree: The degree q ≥ 1 of the distance; 2 for Euclid's.
        margin: By how much the one should be nearer, in the units of the coordinates.
        eps: What is added under the root, ε ≥ 0, which makes the distance smooth at 0. With 0 a
            distance 0 has the gradient 0.

    Returns:
        One loss per triplet, in the units of the coordinates.

    Raises:
        TypeError: If the points are not floating-point numbers, or an option is no number.
        ValueError: If the shapes differ, the axis does not exist, q is below 1 or ε below 0.

    Example:
        >>> a, p, n = jnp.zeros(2), jnp.array([0.0, 1.0]), jnp.array([3.0, 4.0])
        >>> print(triplet_margin_loss(a, p, n), triplet_margin_loss(a, p, n, margin=5.0).round(4))
        0.0 1.0

    Source:
        Schroff, Kalenichenko and Philbin, FaceNet (2015), §3.1 (with squares of the distances);
        ``optax.losses.triplet_margin_loss`` (which takes odd powers of signed differences).
    """
    name = "triplet_margin_loss"
    points = {"anchors": anchors, "positives": positives, "negatives": negatives}
    _checks.floating(name, **points)
    _checks.same_shape(name, **points)
    _checks.axis(name, "axis", axis, anchors)
    if isinstance(norm_degree, jax.Array | np.ndarray):
        problem = f"norm_degree is a {type(norm_degree).__name__}; wanted a number"
        _checks.fail(name, problem, error=TypeError)
    _checks.number(name, "norm_degree", norm_degree, above=1, closed="[")
    _scalar(name, "margin", margin, -np.inf)
    _scalar(name, "eps", eps, 0, "[")
    along = (axis % jnp.ndim(anchors),)
    dtype = jnp.promote_types(jnp.result_type(*points.values()), jnp.float32)
    epsilon, margin = jnp.asarray(eps, dtype), jnp.asarray(margin, dtype)

    def loss(a: Array, p: Array, n: Array) -> Array:
        unit, degree = _unit(a, p, n, axis=along), float(norm_degree)
        a, p, n, floor = a * unit, p * unit, n * unit, epsilon * unit**degree
        near, far = (_norm(a, b, floor, degree, along) for b in (p, n))
        behind = sum_of_four(near[0], -far[0], margin * unit, near[1] - far[1])
        return jnp.squeeze(positive_part(behind) / unit, along)

    return computed_wide(loss, *(jnp.asarray(x) for x in points.values()))
