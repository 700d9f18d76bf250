"""Normalisation of kernels: by the norms of their columns, and by their largest singular value.

Notation: W is a kernel as a matrix (rows out), whose rows are its window and inputs together, w_o
its columns.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.layers._arguments import unpacked
from fnmath.numerics import safe_divide, safe_norm


class WeightNormParams(NamedTuple):
    """A kernel by its columns: their ``direction`` (of any length) and their length ``scale``."""

    direction: Float[Array, "*window in out"]
    scale: Float[Array, " out"]


class SpectralStats(NamedTuple):
    """Singular vectors of a kernel, as far as found: ``u`` of the outputs, ``v`` of the rows.

    The rows keep the axes that the kernel has for them.
    """

    u: Float[Array, " out"]
    v: Float[Array, "*window in"]


def weight_norm_init(kernel: Float[Array, "*window in out"]) -> WeightNormParams:
    """Directions and lengths of the columns of a kernel.

        V = W,    g_o = ‖w_o‖

    Gradient:
        W̄ = V̄ + U ḡ,    u_o = w_o/‖w_o‖

    Args:
        kernel: The kernel W, such as an initialiser draws it; outputs last.

    Returns:
        The parameters, of which ``weight_norm`` makes the same kernel.

    Raises:
        TypeError: If the kernel does not hold floating-point numbers.
        ValueError: If it has fewer than two axes.

    Example:
        >>> params = weight_norm_init(jnp.array([[3.0, 0.0], [4.0, 2.0]]))
        >>> print(params.scale)
        [5. 2.]

    Source:
        Salimans and Kingma, Weight normalization (2016), §2.
    """
    _checks.floating("weight_norm_init", kernel=kernel)
    _checks.rank("weight_norm_init", "kernel", kernel, "in out")
    return WeightNormParams(jnp.asarray(kernel), _lengths(kernel).astype(kernel.dtype))


def weight_norm(params: WeightNormParams) -> Float[Array, "*window in out"]:
    """Kernel whose columns have the lengths and the directions given.

        w_o = g_o v_o/‖v_o‖

    The length of a column and its direction are trained apart, and the gradient of the direction
    is at right angles to it. ‖·‖ runs over all axes but the last (the outputs). A direction 0 gives
    a column 0, and a gradient 0.

    Gradient:
        ḡ_o = ⟨w̄_o, u_o⟩,    v̄_o = (g_o/‖v_o‖) (w̄_o − u_o ⟨w̄_o, u_o⟩),    u_o = v_o/‖v_o‖

    Args:
        params: The directions V, in the shape of the kernel, and the lengths g, one per output.

    Returns:
        The kernel.

    Raises:
        TypeError: If params is not a pair, or an array does not hold floating-point numbers.
        ValueError: If the directions have fewer than two axes, or there is not one length for each
            output.

    Example:
        >>> params = WeightNormParams(jnp.array([[3.0, 0.0], [4.0, 2.0]]), jnp.array([10.0, 1.0]))
        >>> print(weight_norm(params))
        [[6. 0.]
         [8. 1.]]

    Source:
        Salimans and Kingma, Weight normalization (2016), §2, equations (2) and (3);
        ``torch.nn.utils.parametrizations.weight_norm`` (with ``dim`` that of the outputs).
    """
    direction, scale = unpacked("weight_norm", params, WeightNormParams)
    _checks.floating("weight_norm", direction=direction, scale=scale)
    _checks.rank("weight_norm", "direction", direction, "in out")
    _checks.rank("weight_norm", "scale", scale, "out", exact=True)
    outputs = {"direction": direction.shape[-1], "scale": scale.shape[0]}
    _checks.same_size("weight_norm", "outputs", **outputs)
    v = _wide(direction)
    unit = safe_divide(v, jnp.broadcast_to(_lengths(v), v.shape))
    return (scale * unit).astype(jnp.result_type(direction, scale))


def spectral_norm_init(
    key: PRNGKeyArray,
    kernel: Float[Array, "*window in out"],
    *,
    iterations: int = 15,
    epsilon: float = 1e-12,
) -> SpectralStats:
    """First estimate of the singular vectors that belong to the largest singular value of a kernel.

        u, v ~ 𝒩(0, I) at length 1, then    u ← W ᵀv/‖Wᵀv‖,    v ← W u/‖W u‖    ``iterations`` times

    Args:
        key: The random key.
        kernel: The kernel W; outputs last.
        iterations: How many steps of the power method follow the draw; PyTorch's default.
        epsilon: What a vector is divided by at least, ε > 0; PyTorch's default.

    Returns:
        The vectors, which ``spectral_norm_train`` improves from step to step.

    Raises:
        TypeError: If the key is not a random key, the kernel does not hold floating-point numbers,
            ``iterations`` is not an integer or ``epsilon`` not a number.
        ValueError: If the kernel has fewer than two axes, ``iterations`` is below 0, or ``epsilon``
            not above 0.

    Example:
        >>> kernel = jnp.diag(jnp.array([1.0, 3.0]))
        >>> stats = spectral_norm_init(jax.random.key(0), kernel)
        >>> print(jnp.abs(stats.u).round(5), jnp.abs(stats.v).round(5))
        [0. 1.] [0. 1.]

    Source:
        Miyato, Kataoka, Koyama and Yoshida, Spectral normalization for generative adversarial
        networks (2018), algorithm 1.
    """
    _checks.key("spectral_norm_init", key)
    W = _matrix("spectral_norm_init", kernel)
    _checks.size("spectral_norm_init", minimum=0, iterations=iterations)
    _checks.scalar("spectral_norm_init", "epsilon", epsilon, above=0)
    rows, outputs = W.shape
    draws = jax.random.normal(key, (outputs + rows,), W.dtype)
    unit = (_unit(a, a, epsilon) for a in (draws[:outputs], draws[outputs:]))
    u, v = _power_method(W, SpectralStats(*unit), iterations, epsilon)
    return SpectralStats(u, v.reshape(kernel.shape[:-1]))


def spectral_norm(
    kernel: Float[Array, "*window in out"], stats: SpectralStats
) -> Float[Array, "*window in out"]:
    """Kernel over its largest singular value, as far as the singular vectors are known.

        Ŵ = W/σ,    σ = vᵀ W u

    The layer then stretches no input by more than a factor of 1. A kernel 0 stays 0.

    Gradient:
        W̄ = (Y − ⟨Y, Ŵ⟩ v uᵀ)/σ,    Y the cotangent of Ŵ;    u and v are constants, as in PyTorch

    At the exact vectors that is the whole gradient, for there σ does not change with u and v.

    Args:
        kernel: The kernel W; outputs last.
        stats: The singular vectors u of the outputs and v of the rows, of length 1, in the shapes
            ``kernel.shape[-1:]`` and ``kernel.shape[:-1]``.

    Returns:
        The normalised kernel.

    Raises:
        TypeError: If the kernel or the vectors do not hold floating-point numbers, or stats is not
            a pair.
        ValueError: If the kernel has fewer than two axes, or the vectors do not fit it.

    Example:
        >>> kernel = jnp.diag(jnp.array([1.0, 4.0]))
        >>> stats = SpectralStats(u=jnp.array([0.0, 1.0]), v=jnp.array([0.0, 1.0]))
        >>> print(spectral_norm(kernel, stats))
        [[0.25 0.  ]
         [0.   1.  ]]

    Source:
        Miyato, Kataoka, Koyama and Yoshida, Spectral normalization for generative adversarial
        networks (2018), §2.1, equation (8), and §2.2, equation (12) (the gradient).
    """
    W, stats = _known("spectral_norm", kernel, stats)
    return _over_sigma(W, _in_rows(W, stats), kernel)


def spectral_norm_train(
    kernel: Float[Array, "*window in out"],
    stats: SpectralStats,
    *,
    iterations: int = 1,
    epsilon: float = 1e-12,
) -> tuple[Float[Array, "*window in out"], SpectralStats]:
    """Kernel over its largest singular value, and the singular vectors after a step towards them.

        u ← Wᵀ v/‖Wᵀ v‖,    v ← W u/‖W u‖        ``iterations`` times
        Ŵ = W/σ,    σ = vᵀ W u

    One step of the power method for each step of the training is enough, for the kernel moves
    slowly. A vector that W takes to 0 is not moved.

    Gradient:
        W̄ = (Y − ⟨Y, Ŵ⟩ v uᵀ)/σ,    Y the cotangent of Ŵ;    u and v are constants, as in PyTorch

    Args:
        kernel: The kernel W; outputs last.
        stats: The singular vectors u of the outputs and v of the rows, as found so far.
        iterations: How many steps of the power method to make, at least 1; PyTorch's default.
        epsilon: What a vector is divided by at least, ε > 0; PyTorch's default.

    Returns:
        The normalised kernel, and the vectors in the dtypes they came in, through which no gradient
        flows.

    Raises:
        TypeError: If the kernel or the vectors do not hold floating-point numbers, stats is not a
            pair, ``iterations`` is not an integer or ``epsilon`` not a number.
        ValueError: If the kernel has fewer than two axes, the vectors do not fit it, ``iterations``
            is below 1, or ``epsilon`` not above 0.

    Example:
        >>> kernel = jnp.diag(jnp.array([1.0, 4.0]))
        >>> stats = spectral_norm_init(jax.random.key(0), kernel, iterations=0)
        >>> for _ in range(5):
        ...     normalised, stats = spectral_norm_train(kernel, stats)
        >>> print(normalised.round(3))
        [[0.25 0.  ]
         [0.   1.  ]]

    Source:
        Miyato, Kataoka, Koyama and Yoshida, Spectral normalization for generative adversarial
        networks (2018), algorithm 1; ``torch.nn.utils.parametrizations.spectral_norm``.
    """
    W, stats = _known("spectral_norm_train", kernel, stats)
    _checks.size("spectral_norm_train", iterations=iterations)
    _checks.scalar("spectral_norm_train", "epsilon", epsilon, above=0)
    found = _power_method(W, _in_rows(W, stats), iterations, epsilon)
    kept = jax.tree.map(lambda a, b: a.reshape(b.shape).astype(b.dtype), found, stats)
    return _over_sigma(W, found, kernel), kept


def _wide(x: Any) -> Array:
    return jnp.asarray(x, jnp.promote_types(jnp.result_type(x), jnp.float32))


def _lengths(kernel: Any) -> Array:
    """‖w_o‖ of each column."""
    return safe_norm(_wide(kernel), axis=tuple(range(jnp.ndim(kernel) - 1)))


def _matrix(function: str, kernel: Any) -> Array:
    """The kernel as a matrix, in single precision at least."""
    _checks.floating(function, kernel=kernel)
    _checks.rank(function, "kernel", kernel, "in out")
    *rows, outputs = kernel.shape
    return jnp.reshape(_wide(kernel), (math.prod(rows), outputs))


def _known(function: str, kernel: Any, stats: Any) -> tuple[Array, SpectralStats]:
    """The kernel as a matrix, and the vectors; raise unless they fit each other."""
    W = _matrix(function, kernel)
    if not (isinstance(stats, tuple) and len(stats) == 2):
        problem = f"stats is a {type(stats).__name__}; wanted SpectralStats(u, v)"
        _checks.fail(function, problem, error=TypeError)
    _checks.floating(function, **dict(zip(SpectralStats._fields, stats, strict=True)))
    found = SpectralStats(*map(jnp.asarray, stats))
    wanted = SpectralStats(u=kernel.shape[-1:], v=kernel.shape[:-1])
    for name, a, shape in zip(found._fields, found, wanted, strict=True):
        if a.shape != shape:
            problem = f"{name} has shape {a.shape}; wanted {shape}"
            _checks.fail(function, f"{problem}, for a kernel of shape {kernel.shape}")
    return W, found


def _in_rows(W: Array, stats: SpectralStats) -> SpectralStats:
    """The vectors with one axis, in the dtype of the matrix."""
    return SpectralStats(*(jnp.ravel(a).astype(W.dtype) for a in stats))


def _unit(x: Array, otherwise: Array, epsilon: Any) -> Array:
    """The vector at length 1 (shorter where it is below ε long), or the other one if it is 0."""
    length = safe_norm(x)
    return jnp.where(length == 0, otherwise, x / jnp.maximum(length, epsilon))


def _power_method(W: Array, stats: SpectralStats, iterations: int, epsilon: Any) -> SpectralStats:
    W = jax.lax.stop_gradient(W)

    def step(_: Any, stats: SpectralStats) -> SpectralStats:
        u = _unit(stats.v @ W, stats.u, epsilon)
        return SpectralStats(u, _unit(W @ u, stats.v, epsilon))

    return jax.lax.fori_loop(0, iterations, step, jax.lax.stop_gradient(stats))


def _over_sigma(W: Array, stats: SpectralStats, kernel: Array) -> Array:
    u, v = jax.lax.stop_gradient(stats)
    normalised = safe_divide(W, jnp.broadcast_to(v @ W @ u, W.shape))
    return jnp.reshape(normalised, kernel.shape).astype(kernel.dtype)
