"""Geometry: how long vectors are, where they point, and what they cast on each other.

Notation: x, y, v are real vectors (the last axis); u is the unit vector of x, ‖x‖ its Euclidean
length; θ is the angle between two vectors, in radians; p is a projection, P = Pᵀ = P² its matrix.

At the zero vector lengths have a kink and directions do not exist. The conventions there: the zero
vector has the unit vector 0, is projected on as the point {0}, is at right angles to everything;
and every derivative there is 0, which for the norms is a subgradient.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.linear_algebra import _operands
from fnmath.linear_algebra.products import dot_product, matrix_vector_product, transpose
from fnmath.numerics import safe_norm


def norm(x: Float[Array, "*batch n"], *, order: float = 2) -> Float[Array, "*batch"]:
    """Norm of a vector: its length, the sum of its sizes, or its largest size.

        ‖x‖₂ = √(Σᵢ xᵢ²),   ‖x‖₁ = Σᵢ |xᵢ|,   ‖x‖_∞ = maxᵢ |xᵢ|

    The Euclidean one is scaled before it is squared, so that 1e30 and 1e-30 are right in float32.
    In a network: weight decay (2), sparsity (1), the size of an adversarial step (∞).
    ``jnp.linalg.norm`` reads a matrix as an operator; this one always takes the last axis.

    Gradient:
        x̄ = s̄ x/‖x‖₂                         (0 at x = 0)
        x̄ = s̄ sign(x)                        for order 1
        x̄ᵢ = s̄ sign(xᵢ)/k                    for order ∞, at the k entries of the largest size

    Args:
        x: The vector.
        order: 1, 2 or ``jnp.inf``.

    Returns:
        One norm per vector, in the units of x; 0 for a vector without entries.

    Raises:
        TypeError: If x is not a floating-point array.
        ValueError: If x has no axis, or ``order`` is another.

    Example:
        >>> x = jnp.array([3.0, -4.0])
        >>> print(norm(x), norm(x, order=1), norm(x, order=jnp.inf))
        5.0 7.0 4.0

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §2.5; the subgradients: Rockafellar,
        Convex Analysis (1970), §23.
    """
    _checks.floating("norm", x=x)
    _checks.rank("norm", "x", x, "n")
    if not isinstance(order, int | float) or order not in (1, 2, jnp.inf):
        _checks.fail("norm", f"order is {order!r}; wanted 1, 2 or jnp.inf")
    if order == 2:
        return safe_norm(x, axis=-1)
    sizes = x * jnp.sign(x)  # |x|, whose derivative JAX takes to be 1 at 0 rather than 0
    return sizes.sum(-1) if order == 1 else sizes.max(-1, initial=0)


def frobenius_norm(A: Float[Array, "*batch rows columns"]) -> Float[Array, "*batch"]:
    """Frobenius norm of a matrix, the length of the vector of all its entries.

        ‖A‖ = √(Σᵢⱼ Aᵢⱼ²) = √(tr AᵀA)

    In a network: how large a weight matrix, or its gradient, is.

    Gradient:
        Ā = s̄ A/‖A‖        (0 at A = 0)

    Args:
        A: The matrix.

    Returns:
        One norm per matrix, in the units of A.

    Raises:
        TypeError: If A is not a floating-point array.
        ValueError: If A has fewer than two axes.

    Example:
        >>> print(frobenius_norm(jnp.array([[1.0, 2.0], [2.0, 4.0]])))
        5.0

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §2.5 and §2.10.
    """
    _checks.floating("frobenius_norm", A=A)
    _checks.rank("frobenius_norm", "A", A, "rows columns")
    rows, columns = A.shape[-2:]
    return safe_norm(jnp.reshape(A, (*A.shape[:-2], rows * columns)), axis=-1)


def unit_vector(x: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
    """Unit vector of a vector, its direction without its length.

        u = x/‖x‖

    Since u(x) = u(x/m) for every m > 0, x is first divided by its largest size m, held constant in
    the derivative too: no length overflows or vanishes on the way. In a network: weight
    normalisation, embeddings compared by angle.

    Gradient:
        x̄ = (ū − u uᵀū)/‖x‖        (0 at x = 0)

    Args:
        x: The vector.

    Returns:
        The vector of length 1; 0 for the zero vector; nan where an entry is infinite.

    Raises:
        TypeError: If x is not a floating-point array.
        ValueError: If x has no axis.

    Example:
        >>> print(unit_vector(jnp.array([3.0, 4.0])))
        [0.6 0.8]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §2.6; the gradient: Salimans and
        Kingma, Weight normalization (2016), §2.1.
    """
    _checks.floating("unit_vector", x=x)
    _checks.rank("unit_vector", "x", x, "n")
    largest = jax.lax.stop_gradient(norm(x, order=jnp.inf)[..., None])
    zero = largest == 0
    # XLA divides by a shared m through 1/m, which it flushes to 0 where m is above 1/tiny.
    tiny = float(jnp.finfo(x.dtype).tiny)
    scaled = x / jnp.clip(largest, 4 * tiny, 0.25 / tiny)
    length = jnp.where(zero, 1, safe_norm(scaled, axis=-1, keepdims=True))
    return jnp.where(zero, 0, scaled / length)


def projection(
    x: Float[Array, "*batch n"], onto: Float[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    """Projection of a vector on the line through another: the nearest point of that line.

        p = u uᵀ x,   u = v/‖v‖

    Through the unit vector u rather than (vᵀx/vᵀv) v, whose vᵀv overflows or vanishes for a v that
    the dtype holds. In a network: taking a direction out of an activation, x − p, or a gradient's
    part along another.

    Gradient:
        x̄ = u uᵀ p̄
        v̄ = ((uᵀx)(p̄ − u uᵀp̄) + (uᵀp̄)(x − u uᵀx))/‖v‖        (0 at v = 0)

    Args:
        x: The vector to project.
        onto: The vector v along the line, of the same shape and dtype, and any length.

    Returns:
        The projection, in the units of x; 0 where v = 0.

    Raises:
        TypeError: If an argument is not a floating-point array, or the dtypes differ.
        ValueError: If an argument has no axis, or the shapes differ.

    Example:
        >>> print(projection(jnp.array([3.0, 4.0]), jnp.array([10.0, 0.0])))
        [3. 0.]

    Source:
        Strang, Introduction to Linear Algebra (2016), §4.2.
    """
    _checks.floating("projection", x=x, onto=onto)
    _operands.one_dtype("projection", x=x, onto=onto)
    _checks.rank("projection", "x", x, "n")
    _checks.same_shape("projection", x=x, onto=onto)
    u = unit_vector(onto)
    return u * dot_product(u, x)[..., None]


def project_onto_columns(
    x: Float[Array, "*batch rows"], A: Float[Array, "*batch rows columns"]
) -> Float[Array, "*batch rows"]:
    """Projection of a vector on the column space of a matrix: what least squares can explain of it.

        p = A w,   w = argmin ‖A w − x‖;    p = P x = Q Qᵀ x,   A = Q R

    By orthogonal columns Q, never by (AᵀA)⁻¹, which squares the condition number. In a network: a
    linear probe's prediction; taking several directions out of an activation, x − p.

    Gradient:
        x̄ = P p̄
        Ā = (p̄ − P p̄) wᵀ + (x − p) zᵀ,   w = A⁺ x,   z = A⁺ p̄

    Args:
        x: The vector to project.
        A: The matrix, of the same dtype, whose columns span the space.

    Returns:
        The projection, in the units of x; nan where the columns of A depend on each other to
        within rounding, since then neither Q nor the derivative exists.

    Raises:
        TypeError: If an argument is not a floating-point array, or the dtypes differ.
        ValueError: If x has no axis, A has fewer than two or more columns than rows, the batch axes
            differ, or x does not have as many entries as A has rows.

    Example:
        >>> A = jnp.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
        >>> print(jnp.round(project_onto_columns(jnp.array([3.0, 4.0, 5.0]), A), 4))
        [3. 4. 0.]

    Source:
        Trefethen and Bau, Numerical Linear Algebra (1997), lectures 6 and 11; the gradient: Golub
        and Pereyra, The differentiation of pseudo-inverses and nonlinear least squares problems
        whose variables separate (1973).
    """
    _checks.floating("project_onto_columns", x=x, A=A)
    _operands.one_dtype("project_onto_columns", x=x, A=A)
    _checks.rank("project_onto_columns", "x", x, "rows")
    _checks.rank("project_onto_columns", "A", A, "rows columns")
    _operands.one_batch("project_onto_columns", x=(x, 1), A=(A, 2))
    rows, columns = A.shape[-2:]
    _checks.same_size("project_onto_columns", "rows", x=x.shape[-1], A=rows)
    if columns > rows:
        problem = f"A {A.shape} has more columns than rows; wanted independent columns"
        _checks.fail("project_onto_columns", problem, "transpose(A)")
    wide = jnp.promote_types(A.dtype, jnp.float32)  # LAPACK has no half precision
    Q, R = jnp.linalg.qr(A.astype(wide))
    p = matrix_vector_product(Q, matrix_vector_product(transpose(Q), x.astype(wide)))
    heights = jnp.abs(jnp.diagonal(R, axis1=-2, axis2=-1))  # of each column above those before it
    least = rows * jnp.finfo(A.dtype).eps * safe_norm(R, axis=-2)
    independent = (heights > least).all(-1, keepdims=True)
    return jnp.where(independent, p, jnp.nan).astype(A.dtype)


def cosine_of_angle(
    x: Float[Array, "*batch n"], y: Float[Array, "*batch n"]
) -> Float[Array, "*batch"]:
    """Cosine of the angle between two vectors, their likeness whatever their lengths.

        c = cos θ = xᵀy/(‖x‖ ‖y‖) = ±(1 − ½ ‖u ∓ v‖²),   u = x/‖x‖, v = y/‖y‖

    By uᵀv for |c| < ½ and else by the form on the right, whose rounding errors shrink with the
    chord u ∓ v: it never leaves [−1, 1], and parallel vectors give exactly 1, where uᵀv may give
    1 + ε and the arccosine of that nan. In a network: the comparison of embeddings, in retrieval
    and in contrastive losses.

    Gradient:
        x̄ = c̄ (v − c u)/‖x‖,   ȳ = c̄ (u − c v)/‖y‖        (0 at x = 0 or y = 0)

    Args:
        x: The first vector.
        y: The second vector, of the same shape and dtype.

    Returns:
        One number in [−1, 1] per pair; 0 where a vector is 0.

    Raises:
        TypeError: If an argument is not a floating-point array, or the dtypes differ.
        ValueError: If an argument has no axis, or the shapes differ.

    Example:
        >>> print(cosine_of_angle(jnp.array([3.0, 4.0]), jnp.array([20.0, 0.0])))
        0.6

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §2.5.
    """
    u, v = _directions("cosine_of_angle", x, y)
    c = dot_product(u, v)
    side = jnp.where(c < 0, -1, 1).astype(c.dtype)
    chord = u - side[..., None] * v
    return jnp.where(jnp.abs(c) < 0.5, c, side * (1 - 0.5 * dot_product(chord, chord)))


def angle_between(
    x: Float[Array, "*batch n"], y: Float[Array, "*batch n"]
) -> Float[Array, "*batch"]:
    """Angle between two vectors, in radians.

        θ = 2 atan(‖u − v‖/‖u + v‖),   u = x/‖x‖, v = y/‖y‖

    Within a few ε of the angle, whatever it is. The arccosine of the cosine is off by √ε near 0 and
    π (in float32 by 2·10⁻⁴ radians), and has an infinite derivative there. In a network: how far a
    weight or a gradient has turned.

    Gradient:
        x̄ = −θ̄ (v − cos θ u)/(‖x‖ sin θ)        (0 at θ = 0, θ = π, x = 0 or y = 0)

    Args:
        x: The first vector.
        y: The second vector, of the same shape and dtype.

    Returns:
        One angle in [0, π] per pair; π/2 where a vector is 0.

    Raises:
        TypeError: If an argument is not a floating-point array, or the dtypes differ.
        ValueError: If an argument has no axis, or the shapes differ.

    Example:
        >>> print(f"{angle_between(jnp.array([1.0, 1.0]), jnp.array([0.0, 3.0])):.4f}")  # π/4
        0.7854

    Source:
        Kahan, How futile are mindless assessments of roundoff in floating-point computation?
        (2006), §12.
    """
    u, v = _directions("angle_between", x, y)
    near, far = safe_norm(u - v, axis=-1), safe_norm(u + v, axis=-1)
    known = (u != 0).any(-1) & (v != 0).any(-1)
    angle = 2 * jnp.arctan2(jnp.where(known, near, 1), jnp.where(known, far, 1))
    return jnp.where(known, angle, jnp.pi / 2)


def _directions(
    function: str, x: Float[Array, "*batch n"], y: Float[Array, "*batch n"]
) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch n"]]:
    """The unit vectors of two vectors of one shape and dtype."""
    _checks.floating(function, x=x, y=y)
    _operands.one_dtype(function, x=x, y=y)
    _checks.rank(function, "x", x, "n")
    _checks.same_shape(function, x=x, y=y)
    return unit_vector(x), unit_vector(y)
