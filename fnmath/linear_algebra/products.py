"""Products: of vectors, of matrices, and what transposition and the trace make of them.

Notation as in ``fnmath.linear_algebra``: x, y vectors, A, B matrices, C̄ the cotangent of C.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Inexact, Shaped

from fnmath import _checks
from fnmath.linear_algebra import _operands


def dot_product(
    x: Inexact[Array, "*batch n"], y: Inexact[Array, "*batch n"]
) -> Inexact[Array, "*batch"]:
    """Dot product of two vectors, the sum of the products of their entries.

        s = xᴴ y = Σᵢ conj(xᵢ) yᵢ

    In a network: how well an input matches a weight vector, a query a key. A column (n, 1) is not
    a vector, and raises instead of giving an n × n table.

    Gradient:
        x̄ = s̄ y,   ȳ = s̄ x        (complex: x̄ = conj(s̄ y), ȳ = s̄ conj(x))

    Args:
        x: The first vector; conjugated if complex.
        y: The second vector, of the same shape and dtype.

    Returns:
        One number per pair of vectors, in the product of their units.

    Raises:
        TypeError: If an argument is not a floating or complex array, or the dtypes differ.
        ValueError: If an argument has no axis, or the shapes differ.

    Example:
        >>> print(dot_product(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])))
        11.0

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §2.2.
    """
    _operands.one_dtype("dot_product", x=x, y=y)
    _checks.rank("dot_product", "x", x, "n")
    _checks.same_shape("dot_product", x=x, y=y)
    return jnp.vecdot(x, y)


def matrix_vector_product(
    A: Inexact[Array, "*batch rows columns"], x: Inexact[Array, "*batch columns"]
) -> Inexact[Array, "*batch rows"]:
    """Matrix-vector product, the image of a vector under a linear map.

        y = A x,   yᵢ = Σⱼ Aᵢⱼ xⱼ

    In a network: a dense layer without its bias, one example at a time. Nothing is conjugated.

    Gradient:
        Ā = ȳ xᵀ,   x̄ = Aᵀ ȳ

    Args:
        A: The matrix of the map.
        x: The vector it acts on, of the same dtype, with as many entries as A has columns.

    Returns:
        The image of the vector, with as many entries as A has rows.

    Raises:
        TypeError: If an argument is not a floating or complex array, or the dtypes differ.
        ValueError: If A has fewer than two axes, x has none, the batch axes differ, or x does not
            have as many entries as A has columns.

    Example:
        >>> A = jnp.array([[1.0, 2.0], [0.0, 1.0]])
        >>> print(matrix_vector_product(A, jnp.array([3.0, 4.0])))
        [11.  4.]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §2.2; the gradient: Giles, An
        extended collection of matrix derivative results (2008), §2.
    """
    _operands.one_dtype("matrix_vector_product", A=A, x=x)
    _checks.rank("matrix_vector_product", "A", A, "rows columns")
    _checks.rank("matrix_vector_product", "x", x, "columns")
    _operands.one_batch("matrix_vector_product", A=(A, 2), x=(x, 1))
    _operands.one_inner_size("matrix_vector_product", A, "x", x, axis=-1)
    return jnp.einsum("...ij,...j->...i", A, x)


def matrix_product(
    A: Inexact[Array, "*batch rows inner"], B: Inexact[Array, "*batch inner columns"]
) -> Inexact[Array, "*batch rows columns"]:
    """Matrix product, one linear map after another.

        C = A B,   Cᵢₖ = Σⱼ Aᵢⱼ Bⱼₖ

    In a network: a dense layer on a batch of rows, all scores of attention at once; nearly all of
    the arithmetic. Nothing is conjugated, and a vector is not a matrix: ``matrix_vector_product``.

    Gradient:
        Ā = C̄ Bᵀ,   B̄ = Aᵀ C̄

    Args:
        A: The left matrix.
        B: The right matrix, of the same dtype, with as many rows as A has columns.

    Returns:
        The product C.

    Raises:
        TypeError: If an argument is not a floating or complex array, or the dtypes differ.
        ValueError: If an argument has fewer than two axes, the batch axes differ, or B does not
            have as many rows as A has columns.

    Example:
        >>> A = jnp.array([[1.0, 2.0], [0.0, 1.0]])
        >>> print(matrix_product(A, A))
        [[1. 4.]
         [0. 1.]]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §2.2; the gradient: Giles, An
        extended collection of matrix derivative results (2008), §2.
    """
    _operands.one_dtype("matrix_product", A=A, B=B)
    _checks.rank("matrix_product", "A", A, "rows inner")
    _checks.rank("matrix_product", "B", B, "inner columns")
    _operands.one_batch("matrix_product", A=(A, 2), B=(B, 2))
    _operands.one_inner_size("matrix_product", A, "B", B, axis=-2)
    return jnp.matmul(A, B)


def outer_product(
    x: Inexact[Array, "*batch rows"], y: Inexact[Array, "*batch columns"]
) -> Inexact[Array, "*batch rows columns"]:
    """Outer product of two vectors, the matrix of rank one with all products of their entries.

        C = x yᵀ,   Cᵢⱼ = xᵢ yⱼ

    In a network: the gradient of a weight matrix for one example, Ā = ȳ xᵀ. Nothing is conjugated.

    Gradient:
        x̄ = C̄ y,   ȳ = C̄ᵀ x

    Args:
        x: The vector along the rows.
        y: The vector along the columns, of the same dtype and any length.

    Returns:
        The matrix C.

    Raises:
        TypeError: If an argument is not a floating or complex array, or the dtypes differ.
        ValueError: If an argument has no axis, or the batch axes differ.

    Example:
        >>> print(outer_product(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0, 5.0])))
        [[ 3.  4.  5.]
         [ 6.  8. 10.]]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §6.5.
    """
    _operands.one_dtype("outer_product", x=x, y=y)
    _checks.rank("outer_product", "x", x, "rows")
    _checks.rank("outer_product", "y", y, "columns")
    _operands.one_batch("outer_product", x=(x, 1), y=(y, 1))
    return x[..., :, None] * y[..., None, :]


def hadamard_product(
    A: Inexact[Array, "*shape"], B: Inexact[Array, "*shape"]
) -> Inexact[Array, "*shape"]:
    """Hadamard product, entry by entry.

        C = A ∘ B,   Cᵢⱼ = Aᵢⱼ Bᵢⱼ

    In a network: a gate (of an LSTM, a GLU) or a mask on activations. ``A * B`` would stretch a
    row, a column or a number over the other array; here unequal shapes raise.

    Gradient:
        Ā = C̄ ∘ B,   B̄ = C̄ ∘ A

    Args:
        A: An array.
        B: An array of the same shape and dtype.

    Returns:
        The products, in the same shape.

    Raises:
        TypeError: If an argument is not a floating or complex array, or the dtypes differ.
        ValueError: If the shapes differ.

    Example:
        >>> print(hadamard_product(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])))
        [3. 8.]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §2.2.
    """
    _operands.one_dtype("hadamard_product", A=A, B=B)
    _checks.same_shape("hadamard_product", A=A, B=B)
    return A * B


def transpose(A: Shaped[Array, "*batch rows columns"]) -> Shaped[Array, "*batch columns rows"]:
    """Transpose of a matrix, rows for columns.

        C = Aᵀ,   Cᵢⱼ = Aⱼᵢ

    In a network: what carries a cotangent back through a linear map, x̄ = Aᵀ ȳ. ``A.T`` reverses the
    batch axes too and leaves a vector as it is; here the batch stays in front and a vector raises.
    Nothing is conjugated.

    Gradient:
        Ā = C̄ᵀ

    Args:
        A: The matrix, of any dtype.

    Returns:
        The transposed matrix.

    Raises:
        TypeError: If A is not an array.
        ValueError: If A has fewer than two axes.

    Example:
        >>> print(transpose(jnp.array([[1, 2, 3]])).shape)
        (3, 1)

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §2.1.
    """
    _checks.rank("transpose", "A", A, "rows columns")
    return jnp.swapaxes(A, -2, -1)


def trace(A: Inexact[Array, "*batch n n"]) -> Inexact[Array, "*batch"]:
    """Trace of a square matrix, the sum of its diagonal.

        s = tr A = Σᵢ Aᵢᵢ

    In a network: the divergence of a vector field is the trace of its Jacobian, the curvature of a
    loss the trace of its Hessian. ``jnp.trace`` takes the first two axes, and rectangular matrices;
    this takes the last two, which must be equal. Entries off the diagonal do not matter, even nan.

    Gradient:
        Ā = s̄ I

    Args:
        A: The square matrix.

    Returns:
        One number per matrix.

    Raises:
        TypeError: If A is not a floating or complex array.
        ValueError: If A has fewer than two axes, or is not square.

    Example:
        >>> print(trace(jnp.array([[1.0, 2.0], [3.0, 4.0]])))
        5.0

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §2.10; the gradient: Petersen and
        Pedersen, The Matrix Cookbook (2012), §2.5.
    """
    _checks.inexact("trace", A=A)
    _checks.rank("trace", "A", A, "n n")
    if A.shape[-2] != A.shape[-1]:
        _checks.fail("trace", f"A has shape {A.shape}; wanted a square matrix, (*batch n n)")
    return jnp.diagonal(A, axis1=-2, axis2=-1).sum(-1)
