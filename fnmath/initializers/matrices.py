"""Initialisers of kernels as linear maps: the identity, rotations, and maps of few connections.

Notation: W is a kernel of shape (*window, in, out), of fan-in n_in; Q is a matrix with orthonormal
rows or columns, whichever are fewer.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.initializers._arguments import (
    DType,
    Initializer,
    Shape,
    axes,
    checked,
    counted_axes,
    default_dtype,
    positive,
    python_number,
)


def _at_least(name: str, shape: tuple[int, ...], axes: int, form: str) -> None:
    if len(shape) < axes:
        _checks.fail(name, f"shape is {shape}; wanted at least {axes} axes, ({form})")


def _centre(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The middle of the window, rounded down as ``"SAME"`` padding has it."""
    return tuple((w - 1) // 2 for w in shape[:-2])


def identity(*, scale: float | Float[Array, ""] = 1.0, dtype: DType = None) -> Initializer:
    """Initialiser of a dense layer that hands on its inputs.

        Wᵢⱼ = s [i = j]

    Of a wide input it hands on the first features; of a wide output the last are 0.

    Args:
        scale: The factor s > 0; an array that is not above 0 gives nan.
        dtype: The dtype where none is asked for; JAX's default one when None.

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (in, out), which uses no key. It
        raises ``ValueError`` for any other number of axes.

    Raises:
        TypeError: If the scale is not a number, or the dtype not a floating one.
        ValueError: If the scale is not above 0, or an array with axes.

    Example:
        >>> print(identity()(jax.random.key(0), (2, 3)))
        [[1. 0. 0.]
         [0. 1. 0.]]

    Source:
        Le, Jaitly and Hinton, A simple way to initialize recurrent networks of rectified linear
        units (2015); ``torch.nn.init.eye_``.
    """
    s, default = positive("identity", "scale", scale), default_dtype("identity", dtype)

    def init(key: PRNGKeyArray, shape: Shape, dtype: DType = default) -> Float[Array, "in out"]:
        shape, dtype = checked("identity", key, shape, dtype)
        if len(shape) != 2:
            cure = "dirac, for a window" if len(shape) > 2 else ""
            _checks.fail("identity", f"shape is {shape}; wanted exactly 2 axes, (in, out)", cure)
        return jnp.asarray(s, dtype) * jnp.eye(*shape, dtype=dtype)

    return init


def dirac(
    *, groups: int = 1, scale: float | Float[Array, ""] = 1.0, dtype: DType = None
) -> Initializer:
    """Initialiser of a convolution that hands on its inputs, Dirac's δ in the window.

        W_{c,i,o} = s [c is the centre] [i = o mod out/groups]

    The centre of a window of w positions is (w − 1)/2, rounded down: so the convolution padded as
    ``"SAME"`` is the identity for even windows too. (``torch.nn.init.dirac_`` rounds up, and shifts
    the image by one there; for odd windows the two are equal.)

    Args:
        groups: The number of groups of the convolution, each of out/groups outputs. The kernel has
            the inputs of one group: its axis ``in`` is that of the image divided by the groups.
        scale: The factor s > 0; an array that is not above 0 gives nan.
        dtype: The dtype where none is asked for; JAX's default one when None.

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out), which uses no key.
        It raises ``ValueError`` for fewer than two axes, a window of size 0, or outputs that the
        groups do not divide.

    Raises:
        TypeError: If groups is not an integer, the scale not a number, or the dtype not a floating
            one.
        ValueError: If groups is below 1, or the scale not above 0 or an array with axes.

    Example:
        >>> print(dirac()(jax.random.key(0), (3, 1, 2))[:, 0])
        [[0. 0.]
         [1. 0.]
         [0. 0.]]

    Source:
        Zagoruyko and Komodakis, DiracNets: training very deep neural networks without
        skip-connections (2017); ``torch.nn.init.dirac_``.
    """
    _checks.size("dirac", groups=groups)
    s, default = positive("dirac", "scale", scale), default_dtype("dirac", dtype)

    def init(key: PRNGKeyArray, shape: Shape, dtype: DType = default) -> Float[Array, "..."]:
        shape, dtype = checked("dirac", key, shape, dtype)
        _at_least("dirac", shape, 2, "*window in out")
        if 0 in shape[:-2]:
            _checks.fail("dirac", f"shape is {shape}; wanted a window without an axis of size 0")
        inputs, outputs = shape[-2:]
        if outputs % groups:
            _checks.fail("dirac", f"the {outputs} outputs are not divisible by groups {groups}")
        group = jnp.eye(inputs, outputs // groups, dtype=dtype)
        taps = jnp.asarray(s, dtype) * jnp.tile(group, (1, groups))
        return jnp.zeros(shape, dtype).at[_centre(shape)].set(taps)

    return init


def _orthonormal(
    name: str, key: PRNGKeyArray, shape: tuple[int, ...], axis: int, dtype: DType
) -> Float[Array, "..."]:
    """Rows or columns, whichever are fewer, drawn evenly from all that are orthonormal."""
    (columns,) = counted_axes(name, "column_axis", (axis,), shape)
    if 0 in shape:
        return jnp.zeros(shape, dtype)
    n, others = shape[columns], tuple(m for i, m in enumerate(shape) if i != columns)
    wide = jnp.promote_types(dtype, jnp.float32)  # there is no QR in half precision
    q = jax.random.orthogonal(key, math.prod(others), (), wide, n)
    return jnp.moveaxis(jnp.reshape(q, (*others, n)), -1, columns).astype(dtype)


def orthogonal(
    scale: float | Float[Array, ""] = 1.0, column_axis: int = -1, dtype: DType = None
) -> Initializer:
    """Initialiser of kernels that turn without stretching.

        W = s Q,    Qᵀ Q = I where n_in ≥ n_out,    Q Qᵀ = I where n_in ≤ n_out

    Q is the kernel as a matrix of n_in rows, drawn evenly (by Haar's measure): from the
    QR-decomposition of normal draws, with the signs that make it unique. All singular values of a
    deep linear stack stay sᴸ, where those of independent draws spread with every layer.

    Args:
        scale: The factor s > 0; an array that is not above 0 gives nan.
        column_axis: The axis that numbers the columns of the matrix.
        dtype: The dtype where none is asked for; JAX's default one when None.

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out). It raises
        ``ValueError`` for fewer than two axes.

    Raises:
        TypeError: If the scale is not a number, the axis not an integer, or the dtype not a
            floating one.
        ValueError: If the scale is not above 0, or an array with axes.

    Example:
        >>> W = orthogonal()(jax.random.key(0), (2, 5))
        >>> print(jnp.abs(W @ W.T - jnp.eye(2)).max() < 1e-6)
        True

    Source:
        Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep
        linear neural networks (2014); ``jax.nn.initializers.orthogonal``.
    """
    s, (axis,) = positive("orthogonal", "scale", scale), _one("orthogonal", column_axis)
    default = default_dtype("orthogonal", dtype)

    def init(key: PRNGKeyArray, shape: Shape, dtype: DType = default) -> Float[Array, "..."]:
        shape, dtype = checked("orthogonal", key, shape, dtype)
        _at_least("orthogonal", shape, 2, "*window in out")
        return jnp.asarray(s, dtype) * _orthonormal("orthogonal", key, shape, axis, dtype)

    return init


def _one(name: str, column_axis: int) -> tuple[int, ...]:
    if isinstance(column_axis, tuple | list):
        problem = f"column_axis is {column_axis!r}; wanted an integer"
        _checks.fail(name, problem, error=TypeError)
    return axes(name, "column_axis", column_axis)


def delta_orthogonal(
    scale: float | Float[Array, ""] = 1.0, column_axis: int = -1, dtype: DType = None
) -> Initializer:
    """Initialiser of convolutions that keep the norm of an image.

        W_c = s Q at the centre c of the window, 0 elsewhere,    Q Qᵀ = I

    The convolution, padded by zeros or around a ring, then is a rotation of each pixel's features.

    Args:
        scale: The factor s > 0; an array that is not above 0 gives nan.
        column_axis: The axis that numbers the columns of the matrix.
        dtype: The dtype where none is asked for; JAX's default one when None.

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out) with a window of
        one to three axes and in ≤ out. It raises ``ValueError`` for any other.

    Raises:
        TypeError: If the scale is not a number, the axis not an integer, or the dtype not a
            floating one.
        ValueError: If the scale is not above 0, or an array with axes.

    Example:
        >>> W = delta_orthogonal()(jax.random.key(0), (3, 2, 5))
        >>> print(jnp.abs(W[1] @ W[1].T - jnp.eye(2)).max() < 1e-6, W[0].any(), W[2].any())
        True False False

    Source:
        Xiao, Bahri, Sohl-Dickstein, Schoenholz and Pennington, Dynamical isometry and a mean field
        theory of CNNs (2018) (delta-orthogonal kernels); ``jax.nn.initializers.delta_orthogonal``.
    """
    name = "delta_orthogonal"
    s, (axis,) = positive(name, "scale", scale), _one(name, column_axis)
    default = default_dtype(name, dtype)

    def init(key: PRNGKeyArray, shape: Shape, dtype: DType = default) -> Float[Array, "..."]:
        shape, dtype = checked(name, key, shape, dtype)
        if not 3 <= len(shape) <= 5 or 0 in shape[:-2]:
            form = "(*window in out) with a window of 1 to 3 axes"
            _checks.fail(name, f"shape is {shape}; wanted {form}, none of size 0")
        if shape[-1] < shape[-2]:
            _checks.fail(name, f"shape is {shape}; wanted no more inputs than outputs")
        matrix = jnp.asarray(s, dtype) * _orthonormal(name, key, shape[-2:], axis, dtype)
        return jnp.zeros(shape, dtype).at[_centre(shape)].set(matrix)

    return init


def sparse(
    sparsity: float, *, stddev: float | Float[Array, ""] = 0.01, dtype: DType = None
) -> Initializer:
    """Initialiser that gives each output a few inputs only.

        Wᵢⱼ ~ 𝒩(0, s²) for n_in − ⌈p n_in⌉ of the inputs i of each output j, 0 for the others

    Which ones is drawn for each output anew. The outputs so start unlike each other, and large
    weights do not add up to saturate them.

    Args:
        sparsity: The share p of an output's inputs that are cut off, in [0, 1].
        stddev: The standard deviation s > 0 of the others; an array that is not above 0 gives nan.
        dtype: The dtype where none is asked for; JAX's default one when None.

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out). It raises
        ``ValueError`` for fewer than two axes.

    Raises:
        TypeError: If the sparsity is not a Python number (it decides how many weights there are),
            the standard deviation not a number, or the dtype not a floating one.
        ValueError: If the sparsity is not in [0, 1], or the standard deviation not above 0 or an
            array with axes.

    Example:
        >>> W = sparse(0.9)(jax.random.key(0), (20, 5))
        >>> print((W != 0).sum(axis=0))
        [2 2 2 2 2]

    Source:
        Martens, Deep learning via Hessian-free optimization (2010), §5; ``torch.nn.init.sparse_``.
    """
    python_number("sparse", "sparsity", sparsity, above=0, below=1, closed="[]")
    s, default = positive("sparse", "stddev", stddev), default_dtype("sparse", dtype)

    def init(key: PRNGKeyArray, shape: Shape, dtype: DType = default) -> Float[Array, "..."]:
        shape, dtype = checked("sparse", key, shape, dtype)
        _at_least("sparse", shape, 2, "*window in out")
        *inputs, outputs = shape
        n = math.prod(inputs)
        kept = n - math.ceil(round(sparsity * n, 6))  # 0.07 · 100 is 7, not 7.000000000000001
        draw_key, order_key = jax.random.split(key)
        order = jnp.argsort(jax.random.uniform(order_key, (n, outputs)), axis=0)
        draws = jnp.asarray(s, dtype) * jax.random.normal(draw_key, (n, outputs), dtype)
        return jnp.where(order < kept, draws, 0).reshape(shape)

    return init
