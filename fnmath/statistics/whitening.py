"""Whitening: linear maps after which features are uncorrelated and of variance 1.

Notation: x are vectors with mean m and covariance Σ = U Λ Uᵀ = L Lᵀ, L lower triangular; W is the
whitening matrix, W Σ Wᵀ = I. All such W are rotations of each other:

    pca          Λ^−½ Uᵀ      the principal components, each divided by its deviation
    zca          U Λ^−½ Uᵀ    the one that moves the data least
    cholesky     L⁻¹          each feature less what those before it predict
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.linear_algebra._spectral import inverse_square_root
from fnmath.linear_algebra.products import transpose
from fnmath.statistics.moments import covariance, mean

METHODS = ("pca", "zca", "cholesky")


class WhiteningParams(NamedTuple):
    """The mean of the data, and the matrix that whitens what is left."""

    mean: Float[Array, "*batch features"]
    matrix: Float[Array, "*batch features features"]


def _components(S: jax.Array) -> jax.Array:
    """Λ^−½ Uᵀ, the largest variance first, the largest entry of each component positive."""
    variances, U = jnp.linalg.eigh(S)
    rows = transpose(U)[..., ::-1, :]
    largest = jnp.argmax(jnp.abs(rows), -1, keepdims=True)
    rows = rows * jnp.sign(jax.lax.stop_gradient(jnp.take_along_axis(rows, largest, -1)))
    return rows / jnp.sqrt(variances[..., ::-1, None])


def _inverse_factor(S: jax.Array) -> jax.Array:
    """The inverse of the Cholesky factor."""
    identity = jnp.broadcast_to(jnp.eye(S.shape[-1], dtype=S.dtype), S.shape)
    return jax.lax.linalg.triangular_solve(
        jnp.linalg.cholesky(S), identity, left_side=True, lower=True
    )


def whitening_init(
    x: Float[Array, "*batch observations features"],
    *,
    method: str = "zca",
    ridge: float | Float[Array, ""] = 0.0,
    ddof: float = 1,
) -> WhiteningParams:
    """Whitening learnt from a sample.

        Σ = covariance(x) + ridge · I,    W Σ Wᵀ = I

    Of a covariance only directions whose variance is above ε of the largest are known, since Σ
    itself is rounded: where there are others, W is nan, and a ridge is the cure.

    Gradient:
        Ẇ = −W Ṙ W with R Ṙ + Ṙ R = Σ̇, R = Σ^½        (zca; also where eigenvalues are alike)
        Ẇ = −low(W Σ̇ Wᵀ) W, low halving the diagonal   (cholesky)

    Args:
        x: The sample.
        method: ``"pca"``, ``"zca"`` or ``"cholesky"``.
        ridge: What is added to each variance, at least 0; nan is returned for an array below 0.
        ddof: The degrees of freedom that the mean has cost, as in ``covariance``.

    Returns:
        The parameters. The rows of the matrix of ``"pca"`` go from the largest variance to the
        least, each with its largest entry positive.

    Raises:
        TypeError: If x is not floating-point, or an option is of the wrong type.
        ValueError: If x has fewer than two axes, there are not more observations than features and
            no ridge, the method is unknown, or ``ridge`` or ``ddof`` is negative.

    Example:
        >>> x = jnp.array([[0.0, 1.0], [2.0, 1.0], [1.0, 5.0], [1.0, 1.0]])
        >>> y = whitening(whitening_init(x), x)
        >>> print((jnp.abs(covariance(y) - jnp.eye(2)) < 1e-5).all())
        True

    Source:
        Kessy, Lewin and Strimmer, Optimal whitening and decorrelation (2018), §3 (with Lᵀ of Σ⁻¹ in
        place of L⁻¹ for the Cholesky factor).
    """
    name = "whitening_init"
    _checks.floating(name, x=x)
    _checks.rank(name, "x", x, "observations features")
    _checks.option(name, "method", method, METHODS)
    _checks.scalar(name, "ridge", ridge, above=0, closed="[")
    _checks.scalar(name, "ddof", ddof, above=0, closed="[")
    n, d = jnp.shape(x)[-2:]
    without = not isinstance(ridge, jax.Array) and ridge == 0
    if n <= (d if without else ddof):
        problem = f"x {jnp.shape(x)} has {n} observations of {d} features; wanted more"
        _checks.fail(name, problem, "ridge=1e-3" if without else "")
    wide = jnp.asarray(x, jnp.promote_types(jnp.result_type(x), jnp.float32))
    added = jnp.asarray(ridge, wide.dtype)
    S = covariance(wide, ddof=ddof) + jnp.where(added >= 0, added, jnp.nan) * jnp.eye(d)
    least = jnp.linalg.eigvalsh(jax.lax.stop_gradient(S))
    known = least[..., 0] > d * jnp.finfo(S.dtype).eps * least[..., -1]
    S = jnp.where(known[..., None, None], S, jnp.nan)
    of = {"pca": _components, "zca": inverse_square_root, "cholesky": _inverse_factor}
    return WhiteningParams(*(a.astype(x.dtype) for a in (mean(wide, axis=-2), of[method](S))))


def whitening(
    params: WhiteningParams, x: Float[Array, "*batch features"]
) -> Float[Array, "*batch features"]:
    """Whitened vectors: of those that the parameters were learnt from, the covariance is I.

        y = W (x − m)

    Gradient:
        x̄ = Wᵀ ȳ,    m̄ = −Wᵀ ȳ,    W̄ = ȳ (x − m)ᵀ

    Args:
        params: The mean and the matrix, of one set of data; ``jax.vmap`` over several.
        x: The vectors.

    Returns:
        The whitened vectors, of the shape of x.

    Raises:
        TypeError: If ``params`` are none, or an array is not floating-point.
        ValueError: If x has no axis, or the sizes do not fit.

    Example:
        >>> params = WhiteningParams(jnp.array([1.0, 0.0]), jnp.array([[0.5, 0.0], [0.0, 2.0]]))
        >>> print(whitening(params, jnp.array([3.0, 1.0])))
        [1. 2.]

    Source:
        Kessy, Lewin and Strimmer, Optimal whitening and decorrelation (2018), §1.
    """
    _checks.instance("whitening", "params", params, WhiteningParams, "whitening_init(x)")
    _fits(params)
    _checks.floating("whitening", x=x)
    _checks.rank("whitening", "x", x, "features")
    sizes = {"x": jnp.shape(x)[-1], "mean": params.mean.shape[-1]}
    _checks.same_size("whitening", "features", **sizes)
    return jnp.matmul(x - params.mean, transpose(params.matrix), precision="highest")


def _fits(params: Any) -> None:
    """Raise unless the parameters are a vector and a square matrix of as many features."""
    _checks.floating("whitening", mean=params.mean, matrix=params.matrix)
    _checks.rank("whitening", "mean", params.mean, "features", exact=True)
    _checks.rank("whitening", "matrix", params.matrix, "features features", exact=True)
    d = params.mean.shape[0]
    if params.matrix.shape != (d, d):
        problem = f"matrix has shape {params.matrix.shape}; wanted {(d, d)}"
        _checks.fail("whitening", problem)
