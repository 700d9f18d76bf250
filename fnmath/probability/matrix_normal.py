"""The matrix normal distribution: matrices of normal numbers, correlated by rows and by columns.

    f(X) = exp(−½ tr V⁻¹ (X − M)ᵀ U⁻¹ (X − M)) / ((2π)^(mn/2) (det U)^(n/2) (det V)^(m/2))

Notation: X are m × n matrices, on the last two axes; M is the mean; U, m × m, and V, n × n, are the
covariances of rows and of columns, symmetric positive definite matrices, of which the symmetric
part counts: cov(Xᵢₖ, Xⱼₗ) = Uᵢⱼ Vₖₗ. d = X − M, P = U⁻¹, Q = V⁻¹, A = P d Q. Only the product of U
and V is known of a distribution: c U and V/c make the same.

Values and first derivatives are computed in pairs of numbers and rounded once, and no matrix of
mn × mn is formed. Where U or V is not positive definite all functions give nan.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Real

from fnmath import _checks
from fnmath.linear_algebra._spectral import times
from fnmath.linear_algebra.products import transpose
from fnmath.numerics._wide import computed_wide
from fnmath.probability import _fitting, _gaussians, _matrices, _matrix_normals, normal
from fnmath.probability._matrices import evaluated, slopes_of, with_slopes, without_slopes
from fnmath.probability._sampling import target_shape

_ARGUMENTS = "(m,n),(m,m),(n,n)"


def _leading(**matrices: Any) -> dict[str, Any]:
    """Numbers in the shapes of the leading axes."""
    return {name: np.broadcast_to(0.0, jnp.shape(a)[:-2]) for name, a in matrices.items()}


def _covariance(function: str, name: str, cov: Any, n: int) -> None:
    if jnp.shape(cov)[-2:] != (n, n):
        _checks.fail(function, f"{name} has shape {jnp.shape(cov)}; wanted (*batch {n} {n})")


def _check(
    function: str, means: dict[str, Any], rows: dict[str, Any], columns: dict[str, Any]
) -> None:
    """The matrices of one shape, the covariances of its sizes, the leading axes broadcastable."""
    everything = {**means, **rows, **columns}
    _checks.floating(function, **everything)
    for name, a in everything.items():
        _checks.rank(function, name, a, "m n")
    shapes = {name: jnp.shape(a)[-2:] for name, a in means.items()}
    for i, axis in enumerate(("rows", "columns")):
        sizes = {name: shape[i] for name, shape in shapes.items()}
        _checks.same_size(function, axis, **sizes)
        for name, size in sizes.items():
            _checks.size(function, **{f"the number of {axis} of {name}": size})
    m, n = next(iter(shapes.values()))
    for of, size in ((rows, m), (columns, n)):
        for name, cov in of.items():
            _covariance(function, name, cov, size)
    _checks.broadcastable(function, **_leading(**everything))


def _known(mean: Any, rowcov: Any, colcov: Any) -> jax.Array:
    """1 where both covariances are positive definite, nan elsewhere, in all leading axes."""
    of_rows, of_columns = (
        evaluated(without_slopes(_gaussians.meaning), "(n,n)->()", jax.lax.stop_gradient(cov))
        for cov in (rowcov, colcov)
    )
    known = (of_rows * of_columns).astype(jnp.result_type(mean, rowcov, colcov))
    return jnp.broadcast_to(known, jnp.broadcast_shapes(known.shape, jnp.shape(mean)[:-2]))


def logpdf(
    x: Float[Array, "... m n"],
    mean: Float[Array, "... m n"],
    rowcov: Float[Array, "... m m"],
    colcov: Float[Array, "... n n"],
) -> Float[Array, "..."]:
    """Logarithm of the density of the matrix normal distribution.

        log f(X) = −½ (tr Q dᵀ P d + mn log 2π + n log det U + m log det V)

    Gradient:
        ∂/∂X = −A,    ∂/∂M = A,    ∂/∂U = ½ (A V Aᵀ − n P),    ∂/∂V = ½ (Aᵀ U A − m Q), each entry
        moving alone

    Args:
        x: Where to look.
        mean: The mean M.
        rowcov: The covariance U of rows.
        colcov: The covariance V of columns.

    Returns:
        Logarithms of densities, in nats, in the shape to which the leading axes broadcast; −∞ where
        an entry of X is infinite; nan where U or V is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If shapes do not fit together, or the leading axes do not broadcast.

    Example:
        >>> x, mean = jnp.ones((2, 3)), jnp.zeros((2, 3))
        >>> print(f"{logpdf(x, mean, jnp.eye(2), 2 * jnp.eye(3)):.4f}")
        -9.0931

    Source:
        Gupta and Nagar, Matrix Variate Distributions (2000), §2.2; ``scipy.stats.matrix_normal``.
    """
    _check("logpdf", {"x": x, "mean": mean}, {"rowcov": rowcov}, {"colcov": colcov})
    f = with_slopes(_matrix_normals.density)
    return evaluated(f, f"(m,n),{_ARGUMENTS}->()", x, mean, rowcov, colcov)


def pdf(
    x: Float[Array, "... m n"],
    mean: Float[Array, "... m n"],
    rowcov: Float[Array, "... m m"],
    colcov: Float[Array, "... n n"],
) -> Float[Array, "..."]:
    """Density of the matrix normal distribution.

        f(X) = exp(−½ tr Q dᵀ P d) / ((2π)^(mn/2) (det U)^(n/2) (det V)^(m/2))

    Gradient:
        ∂f/∂a = f(X) ∂log f/∂a for each argument a, as of ``logpdf``

    Args:
        x: Where to look.
        mean: The mean M.
        rowcov: The covariance U of rows.
        colcov: The covariance V of columns.

    Returns:
        Densities, in the shape to which the leading axes broadcast; 0 where an entry of X is
        infinite; nan where U or V is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If shapes do not fit together, or the leading axes do not broadcast.

    Example:
        >>> x = jnp.zeros((2, 1))
        >>> print(f"{pdf(x, x, jnp.eye(2), jnp.eye(1)):.4f}")  # 1/2π
        0.1592

    Source:
        Gupta and Nagar, Matrix Variate Distributions (2000), §2.2; ``scipy.stats.matrix_normal``.
    """
    _check("pdf", {"x": x, "mean": mean}, {"rowcov": rowcov}, {"colcov": colcov})
    f = with_slopes(_matrix_normals.exponential)
    return evaluated(f, f"(m,n),{_ARGUMENTS}->()", x, mean, rowcov, colcov)


def sample(
    key: PRNGKeyArray,
    mean: Float[Array, "... m n"],
    rowcov: Float[Array, "... m m"],
    colcov: Float[Array, "... n n"],
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "... m n"]:
    """Samples of the matrix normal distribution.

        X = M + K E Lᵀ,    U = K Kᵀ, V = L Lᵀ

    for a matrix E of independent standard normal numbers.

    Gradient:
        Ẋ = Ṁ + K̇ E Lᵀ + K E L̇ᵀ for the numbers drawn (reparameterisation)

    Args:
        key: The random key.
        mean: The mean M.
        rowcov: The covariance U of rows.
        colcov: The covariance V of columns.
        shape: The shape of the samples, less their last two axes, to which the leading axes of the
            parameters must broadcast; theirs by default.

    Returns:
        Independent samples, m × n matrices on the last two axes; nan where U or V is not positive
        definite.

    Raises:
        TypeError: If the key is no random key, or a parameter does not hold floating-point numbers.
        ValueError: If shapes do not fit together, or the leading axes do not broadcast to the
            shape.

    Example:
        >>> X = sample(jax.random.key(0), jnp.zeros((2, 3)), jnp.eye(2), jnp.eye(3), shape=5)
        >>> print(X.shape)
        (5, 2, 3)

    Source:
        Gupta and Nagar, Matrix Variate Distributions (2000), theorem 2.3.10.
    """
    _checks.key("sample", key)
    _check("sample", {"mean": mean}, {"rowcov": rowcov}, {"colcov": colcov})
    leading = _leading(mean=mean, rowcov=rowcov, colcov=colcov)
    shape = target_shape("sample", shape, **leading)
    dtype = jnp.result_type(mean, rowcov, colcov)

    def drawn(mean: jax.Array, rowcov: jax.Array, colcov: jax.Array) -> jax.Array:
        size = (*shape, *mean.shape[-2:])
        E = normal.sample(key, jnp.zeros((), mean.dtype), shape=size)
        root = jnp.vectorize(_matrices.cholesky, signature="(n,n)->(n,n)")
        return mean + times(times(root(rowcov), E), transpose(root(colcov)))

    return computed_wide(drawn, *(jnp.asarray(a, dtype) for a in (mean, rowcov, colcov)))


def mean(
    mean: Float[Array, "... m n"],
    rowcov: Float[Array, "... m m"],
    colcov: Float[Array, "... n n"],
) -> Float[Array, "... m n"]:
    """Mean of the matrix normal distribution.

        M

    Args:
        mean: The mean M.
        rowcov: The covariance U of rows.
        colcov: The covariance V of columns.

    Returns:
        Means, in the units of X; nan where U or V is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If shapes do not fit together, or the leading axes do not broadcast.

    Example:
        >>> from fnmath.probability import matrix_normal
        >>> print(matrix_normal.mean(jnp.array([[1.0, 2.0]]), jnp.eye(1), jnp.eye(2)))
        [[1. 2.]]

    Source:
        Gupta and Nagar, Matrix Variate Distributions (2000), theorem 2.3.1.
    """
    _check("mean", {"mean": mean}, {"rowcov": rowcov}, {"colcov": colcov})
    known = _known(mean, rowcov, colcov)
    return jnp.asarray(mean, known.dtype) * known[..., None, None]


def variance(
    mean: Float[Array, "... m n"],
    rowcov: Float[Array, "... m m"],
    colcov: Float[Array, "... n n"],
) -> Float[Array, "... m n"]:
    """Variance of each entry of matrices of the matrix normal distribution.

        Var Xᵢₖ = Uᵢᵢ Vₖₖ

    The covariance of two entries, cov(Xᵢₖ, Xⱼₗ), is Uᵢⱼ Vₖₗ.

    Args:
        mean: The mean M, which does not matter.
        rowcov: The covariance U of rows.
        colcov: The covariance V of columns.

    Returns:
        Variances, in the square of the units of X; nan where U or V is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If shapes do not fit together, or the leading axes do not broadcast.

    Example:
        >>> U, V = jnp.diag(jnp.array([1.0, 2.0])), jnp.diag(jnp.array([1.0, 10.0]))
        >>> print(variance(jnp.zeros((2, 2)), U, V))
        [[ 1. 10.]
         [ 2. 20.]]

    Source:
        Gupta and Nagar, Matrix Variate Distributions (2000), theorem 2.3.3.
    """
    _check("variance", {"mean": mean}, {"rowcov": rowcov}, {"colcov": colcov})
    known = _known(mean, rowcov, colcov)
    u, v = (jnp.diagonal(jnp.asarray(a), axis1=-2, axis2=-1) for a in (rowcov, colcov))
    return (u[..., :, None] * v[..., None, :]).astype(known.dtype) * known[..., None, None]


def mode(
    mean: Float[Array, "... m n"],
    rowcov: Float[Array, "... m m"],
    colcov: Float[Array, "... n n"],
) -> Float[Array, "... m n"]:
    """Mode of the matrix normal distribution, where its density is largest.

        M

    Args:
        mean: The mean M.
        rowcov: The covariance U of rows.
        colcov: The covariance V of columns.

    Returns:
        Modes, in the units of X; nan where U or V is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If shapes do not fit together, or the leading axes do not broadcast.

    Example:
        >>> print(mode(jnp.array([[1.0, 2.0]]), jnp.eye(1), jnp.eye(2)))
        [[1. 2.]]

    Source:
        Gupta and Nagar, Matrix Variate Distributions (2000), §2.2.
    """
    _check("mode", {"mean": mean}, {"rowcov": rowcov}, {"colcov": colcov})
    known = _known(mean, rowcov, colcov)
    return jnp.asarray(mean, known.dtype) * known[..., None, None]


def entropy(
    mean: Float[Array, "... m n"],
    rowcov: Float[Array, "... m m"],
    colcov: Float[Array, "... n n"],
) -> Float[Array, "..."]:
    """Differential entropy of the matrix normal distribution.

        H = ½ (mn log 2πe + n log det U + m log det V)

    Gradient:
        ∂H/∂U = ½ n P,    ∂H/∂V = ½ m Q

    Args:
        mean: The mean M, which does not matter.
        rowcov: The covariance U of rows.
        colcov: The covariance V of columns.

    Returns:
        Entropies, in nats; nan where U or V is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If shapes do not fit together, or the leading axes do not broadcast.

    Example:
        >>> H = entropy(jnp.zeros((2, 3)), jnp.eye(2), jnp.eye(3))
        >>> print(f"{H:.4f}")  # 3 (1 + log 2π)
        8.5136

    Source:
        Cover and Thomas, Elements of Information Theory (2006), theorem 8.4.1;
        ``scipy.stats.matrix_normal``.
    """
    _check("entropy", {"mean": mean}, {"rowcov": rowcov}, {"colcov": colcov})
    dtype = jnp.result_type(mean, rowcov, colcov)
    covariances = (jnp.asarray(a, dtype) for a in (rowcov, colcov))
    H = evaluated(with_slopes(_matrix_normals.entropy), "(m,m),(n,n)->()", *covariances)
    return jnp.broadcast_to(H, jnp.broadcast_shapes(H.shape, jnp.shape(mean)[:-2]))


def kl(
    mean_p: Float[Array, "... m n"],
    rowcov_p: Float[Array, "... m m"],
    colcov_p: Float[Array, "... n n"],
    mean_q: Float[Array, "... m n"],
    rowcov_q: Float[Array, "... m m"],
    colcov_q: Float[Array, "... n n"],
) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two matrix normal distributions.

        KL = ½ (tr(U₂⁻¹ U₁) tr(V₂⁻¹ V₁) − mn + n log(det U₂/det U₁) + m log(det V₂/det V₁)
             + tr V₂⁻¹ dᵀ U₂⁻¹ d),    d = M₁ − M₂

    Gradient:
        with A = U₂⁻¹ d V₂⁻¹: ∂/∂M₁ = A = −∂/∂M₂,    ∂/∂U₁ = ½ (tr(V₂⁻¹ V₁) U₂⁻¹ − n U₁⁻¹),
        ∂/∂U₂ = ½ (n U₂⁻¹ − tr(V₂⁻¹ V₁) U₂⁻¹ U₁ U₂⁻¹ − A V₂ Aᵀ), and likewise by V₁ and V₂

    Args:
        mean_p: The mean of p.
        rowcov_p: The covariance of rows of p.
        colcov_p: The covariance of columns of p.
        mean_q: The mean of q.
        rowcov_q: The covariance of rows of q.
        colcov_q: The covariance of columns of q.

    Returns:
        Divergences, in nats; nan where a covariance is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If shapes do not fit together, or the leading axes do not broadcast.

    Example:
        >>> p, q = jnp.ones((2, 3)), jnp.zeros((2, 3))
        >>> print(kl(p, jnp.eye(2), jnp.eye(3), q, jnp.eye(2), jnp.eye(3)))
        3.0

    Source:
        Murphy, Probabilistic Machine Learning: An Introduction (2022), §6.2.3, for the vector of
        all entries, whose covariance is the Kronecker product of U and V.
    """
    _check(
        "kl",
        {"mean_p": mean_p, "mean_q": mean_q},
        {"rowcov_p": rowcov_p, "rowcov_q": rowcov_q},
        {"colcov_p": colcov_p, "colcov_q": colcov_q},
    )
    p, q = (mean_p, rowcov_p, colcov_p), (mean_q, rowcov_q, colcov_q)
    f = with_slopes(_matrix_normals.divergence)
    return evaluated(f, f"{_ARGUMENTS},{_ARGUMENTS}->()", *p, *q)


def _scatter(d: jax.Array, w: jax.Array, cov: jax.Array) -> jax.Array:
    """The weighted mean of d C⁻¹ dᵀ over the samples, divided by the number of columns of d."""
    inverse_of_root = jnp.vectorize(_inverse_of_root, signature="(n,n)->(n,n)")(cov)
    Z = times(d, transpose(inverse_of_root)[..., None, :, :])
    return jnp.sum(w[..., None, None] * times(Z, transpose(Z)), -3) / d.shape[-1]


def _inverse_of_root(S: jax.Array) -> jax.Array:
    return _matrices.inverse_of_lower(_matrices.cholesky(S))


def fit(
    x: Float[Array, "*batch samples m n"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch m n"], Float[Array, "*batch m m"], Float[Array, "*batch n n"]]:
    """Parameters of the matrix normal distribution that make the samples most likely.

        M = X̄,    U = (1/n) mean d V⁻¹ dᵀ,    V = (1/m) mean dᵀ U⁻¹ d

    with weighted means over the samples. The last two equations are used in turn, fifty times; of
    the factor that U and V share, V is given the one with which its trace is n.

    Args:
        x: The samples, on the last axis but two; there must be more than m/n + n/m of them.
        weights: How much each sample counts, ≥ 0, in a shape that broadcasts to that of the samples
            less their last two axes; all alike by default.

    Returns:
        The estimates of M, U and V.

    Raises:
        TypeError: If the samples are not a floating-point array, or the weights not real numbers.
        ValueError: If there is no axis of samples, or the weights do not broadcast to them.

    Example:
        >>> U, V = jnp.array([[4.0]]), jnp.eye(2)
        >>> x = sample(jax.random.key(0), jnp.zeros((1, 2)), U, V, shape=(20_000,))
        >>> print(jnp.round(fit(x)[1]))
        [[4.]]

    Source:
        Dutilleul, The MLE algorithm for the matrix normal distribution (1999).
    """
    _checks.floating("fit", x=x)
    _checks.rank("fit", "x", x, "samples m n")
    wide = jnp.promote_types(jnp.result_type(x), jnp.float32)
    _, w = _fitting.samples("fit", jnp.zeros(jnp.shape(x)[:-2], wide), weights)
    counted = jnp.where((w == 0)[..., None, None], 0, jnp.asarray(x, wide))
    mean = jnp.sum(w[..., None, None] * counted, -3)
    d = jnp.where((w == 0)[..., None, None], 0, counted - mean[..., None, :, :])
    n = d.shape[-1]

    def step(state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        V = _scatter(transpose(d), w, state[0])
        V = V * (n / jnp.trace(V, axis1=-2, axis2=-1))[..., None, None]
        return _scatter(d, w, V), V

    start = (jnp.broadcast_to(jnp.eye(k, dtype=wide), (*w.shape[:-1], k, k)) for k in d.shape[-2:])
    U, V = _fitting.repeated(step, tuple(start), 50)
    return _fitting.of_dtype(x, mean, U, V)


def score(
    x: Float[Array, "... m n"],
    mean: Float[Array, "... m n"],
    rowcov: Float[Array, "... m m"],
    colcov: Float[Array, "... n n"],
) -> tuple[Float[Array, "... m n"], Float[Array, "... m m"], Float[Array, "... n n"]]:
    """Score of the matrix normal distribution: the gradient of the log-density.

        ∂ log f/∂M = A,    ∂ log f/∂U = ½ (A V Aᵀ − n P),    ∂ log f/∂V = ½ (Aᵀ U A − m Q)

    Its mean over samples is 0, its covariance the Fisher information.

    Args:
        x: Where to look.
        mean: The mean M.
        rowcov: The covariance U of rows.
        colcov: The covariance V of columns.

    Returns:
        The derivatives by M, U and V, with all leading axes; nan where U or V is not positive
        definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If shapes do not fit together, or the leading axes do not broadcast.

    Example:
        >>> by_mean, *_ = score(jnp.ones((1, 2)), jnp.zeros((1, 2)), 2 * jnp.eye(1), jnp.eye(2))
        >>> print(by_mean)
        [[0.5 0.5]]

    Source:
        Petersen and Pedersen, The Matrix Cookbook (2012), §2.
    """
    _check("score", {"x": x, "mean": mean}, {"rowcov": rowcov}, {"colcov": colcov})
    signature = f"(m,n),{_ARGUMENTS}->(m,n),{_ARGUMENTS}"
    found = evaluated(slopes_of(_matrix_normals.density), signature, x, mean, rowcov, colcov)
    return found[1], found[2], found[3]


def _of_covariance(P: jax.Array, other: int) -> jax.Array:
    direct = P[..., :, None, :, None] * P[..., None, :, None, :]
    crossed = P[..., :, None, None, :] * P[..., None, :, :, None]
    return 0.25 * other * (direct + crossed)


def fisher_information(
    mean: Float[Array, "... m n"],
    rowcov: Float[Array, "... m m"],
    colcov: Float[Array, "... n n"],
) -> tuple[
    Float[Array, "... m n m n"],
    Float[Array, "... m m m m"],
    Float[Array, "... m m n n"],
    Float[Array, "... n n n n"],
]:
    """Fisher information of the matrix normal distribution: the covariance of the score.

        of Mᵢₖ and Mⱼₗ:    Pᵢⱼ Qₖₗ
        of Uᵢⱼ and Uₖₗ:    ¼ n (Pᵢₖ Pⱼₗ + Pᵢₗ Pⱼₖ), each entry moving alone; of V likewise
        of Uᵢⱼ and Vₖₗ:    ½ Pᵢⱼ Qₖₗ

    Between M and the covariances it is 0.

    Args:
        mean: The mean M, which does not matter.
        rowcov: The covariance U of rows.
        colcov: The covariance V of columns.

    Returns:
        The information of M, of U, that between U and V, and that of V, each on four last axes; nan
        where U or V is not positive definite.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If shapes do not fit together, or the leading axes do not broadcast.

    Example:
        >>> of_mean, of_rows, between, of_columns = fisher_information(
        ...     jnp.zeros((1, 2)), 2 * jnp.eye(1), jnp.eye(2)
        ... )
        >>> print(of_mean[0, 0, 0], of_rows[0, 0, 0, 0], between[0, 0, 0])
        [0.5 0. ] 0.25 [0.25 0.  ]

    Source:
        Kay, Fundamentals of Statistical Signal Processing: Estimation Theory (1993), §3.9, for the
        vector of all entries.
    """
    _check("fisher_information", {"mean": mean}, {"rowcov": rowcov}, {"colcov": colcov})
    known = _known(mean, rowcov, colcov)
    inverse = without_slopes(_gaussians.precision)
    P, Q = (
        evaluated(inverse, "(n,n)->(n,n)", jnp.asarray(a, known.dtype)) * known[..., None, None]
        for a in (rowcov, colcov)
    )
    of_mean = P[..., :, None, :, None] * Q[..., None, :, None, :]
    between = 0.5 * P[..., :, :, None, None] * Q[..., None, None, :, :]
    m, n = P.shape[-1], Q.shape[-1]
    return of_mean, _of_covariance(P, n), between, _of_covariance(Q, m)
