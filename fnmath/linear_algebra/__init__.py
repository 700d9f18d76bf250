"""Linear algebra: the products, lengths, angles and layouts that layers are made of.

Notation: x, y are vectors (the last axis), A, B, C matrices (the last two), s, c, θ scalars; Aᵀ is
the transpose, A ∘ B the product entry by entry, ⟨a, b⟩ = Σ aᵢ bᵢ over all axes, ‖x‖ the Euclidean
norm; x̄ is the cotangent of x (what reverse mode carries back), ẋ its tangent.

The rules that hold throughout, and where ``jax.numpy`` is more lenient:

    batch       The last axes are the mathematical object, leading axes are batch. Operands have
                equal batch axes; nothing broadcasts, so (n,) never meets (n, 1) by accident. That
                a whole batch shares one matrix is said: ``jax.vmap(f, in_axes=(None, 0))``.
    dtype       Operands have one dtype, a floating or complex one, and the result keeps it:
                integers and mixed precision are cast by the caller, in sight. What only moves
                entries (``transpose``, the layouts, ``patches``) takes any dtype, uint8 images too.
    complex     ``dot_product`` conjugates its first argument, so that ⟨x, x⟩ = ‖x‖²; nothing else
                conjugates. The geometry (norms, projections, angles) is that of real vectors.
    precision   Products accumulate half-precision entries in float32 on the CPU; on accelerators
                they obey ``jax.default_matmul_precision``.
    gradient    Each docstring gives the rule of reverse mode, from the cotangent of the result to
                those of the arguments. For complex arrays the rules of the products hold as they
                stand, with plain transposes: JAX does not conjugate cotangents.

The parts, from simple to compound: ``products``, ``geometry`` (norms, projections, angles),
``layouts`` (where the axes stand), ``windows`` (images cut into patches, and put together again).
"""

from fnmath.linear_algebra.geometry import (
    angle_between,
    cosine_of_angle,
    frobenius_norm,
    norm,
    project_onto_columns,
    projection,
    unit_vector,
)
from fnmath.linear_algebra.layouts import (
    batch_to_frames,
    channels_first,
    channels_last,
    flatten,
    frames_to_batch,
    unflatten,
)
from fnmath.linear_algebra.products import (
    dot_product,
    hadamard_product,
    matrix_product,
    matrix_vector_product,
    outer_product,
    trace,
    transpose,
)
from fnmath.linear_algebra.windows import patches, patches_adjoint

__all__ = [
    "angle_between",
    "batch_to_frames",
    "channels_first",
    "channels_last",
    "cosine_of_angle",
    "dot_product",
    "flatten",
    "frames_to_batch",
    "frobenius_norm",
    "hadamard_product",
    "matrix_product",
    "matrix_vector_product",
    "norm",
    "outer_product",
    "patches",
    "patches_adjoint",
    "project_onto_columns",
    "projection",
    "trace",
    "transpose",
    "unflatten",
    "unit_vector",
]
