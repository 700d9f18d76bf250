"""The Wishart distribution: of the scatter matrices of normal vectors about their mean.

    f(X) = (det X)^((ν − n − 1)/2) exp(−½ tr V⁻¹ X) / (2^(νn/2) (det V)^(ν/2) Γₙ(ν/2))

Notation: X are symmetric positive definite n × n matrices, on the last two axes; ν > n − 1 are the
degrees of freedom, V is the scale, a symmetric positive definite matrix; P = V⁻¹; Γₙ(a) =
π^(n(n−1)/4) Π Γ(a − i/2) is the gamma function of n dimensions, its factors from i = 0 to n − 1,
ψₙ = (log Γₙ)′. For whole ν it is the distribution of Σ zₖ zₖᵀ over ν vectors of N(0, V).

The density is that of the entries on and below the diagonal. Of X and V the symmetric part counts,
and a derivative is by each entry moving alone. Values and first derivatives are computed in pairs
of numbers and rounded once. Where V is not positive definite, or ν not above n − 1 and finite, all
functions give nan.
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
from fnmath.probability import (
    _fitting,
    _gamma_numbers,
    _gaussians,
    _log_gammas,
    _matrices,
    _wisharts,
    chi_squared,
    normal,
)
from fnmath.probability._matrices import evaluated, slopes_of, with_slopes, without_slopes
from fnmath.probability._sampling import target_shape


def _batches(df: dict[str, Any], matrices: dict[str, Any]) -> dict[str, Any]:
    """Numbers in the shapes of the leading axes."""
    leading = {name: np.broadcast_to(0.0, jnp.shape(a)[:-2]) for name, a in matrices.items()}
    return {**df, **leading}


def _check(function: str, df: dict[str, Any], **matrices: Any) -> None:
    """All matrices square and of one size, the leading axes broadcastable."""
    _checks.floating(function, **df, **matrices)
    for name, a in matrices.items():
        _checks.rank(function, name, a, "n n")
        rows, columns = jnp.shape(a)[-2:]
        if rows != columns:
            _checks.fail(function, f"{name} has shape {jnp.shape(a)}; wanted (*batch n n)")
        _checks.size(function, **{f"the last axis of {name}": rows})
    _checks.same_size(function, "rows", **{k: jnp.shape(a)[-1] for k, a in matrices.items()})
    _checks.broadcastable(function, **_batches(df, matrices))


def _known(df: Any, scale: Any) -> jax.Array:
    """1 where the parameters have a meaning, nan elsewhere."""
    df, scale = (jax.lax.stop_gradient(jnp.asarray(a)) for a in (df, scale))
    meaning = evaluated(without_slopes(_gaussians.meaning), "(n,n)->()", scale)
    n, dtype = scale.shape[-1], jnp.result_type(df, scale)
    return jnp.where((df > n - 1) & (df < jnp.inf), meaning, jnp.nan).astype(dtype)


def logpdf(
    x: Float[Array, "... n n"], df: Float[Array, "..."] | float, scale: Float[Array, "... n n"]
) -> Float[Array, "..."]:
    """Logarithm of the density of the Wishart distribution.

        log f(X) = ½(ν − n − 1) log det X − ½ tr(P X) − ½ νn log 2 − ½ ν log det V − log Γₙ(ν/2)

    What is large in these terms is taken together as deviances, none of which is negative, so that
    nothing cancels where ν is large.

    Gradient:
        ∂/∂X = ½ ((ν − n − 1) X⁻¹ − P),    ∂/∂V = ½ (P X P − ν P),
        ∂/∂ν = ½ (log det X − log det V − n log 2 − ψₙ(ν/2))

    Args:
        x: Where to look.
        df: The degrees of freedom ν > n − 1.
        scale: The scale V.

    Returns:
        Logarithms of densities, in nats, in the shape to which the leading axes broadcast; −∞ where
        X is not positive definite; nan where a parameter has no meaning.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If matrices are not square or differ in size, or the leading axes do not
            broadcast.

    Example:
        >>> print(f"{logpdf(jnp.eye(2), 3.0, jnp.eye(2)):.4f}")  # −1 − log 4π
        -3.5310

    Source:
        Anderson, An Introduction to Multivariate Statistical Analysis (2003), §7.2;
        ``scipy.stats.wishart``.
    """
    _check("logpdf", {"df": df}, x=x, scale=scale)
    return evaluated(with_slopes(_wisharts.density), "(n,n),(),(n,n)->()", x, df, scale)


def pdf(
    x: Float[Array, "... n n"], df: Float[Array, "..."] | float, scale: Float[Array, "... n n"]
) -> Float[Array, "..."]:
    """Density of the Wishart distribution.

        f(X) = (det X)^((ν − n − 1)/2) exp(−½ tr P X) / (2^(νn/2) (det V)^(ν/2) Γₙ(ν/2))

    Gradient:
        ∂f/∂a = f(X) ∂log f/∂a for each argument a, as of ``logpdf``

    Args:
        x: Where to look.
        df: The degrees of freedom ν > n − 1.
        scale: The scale V.

    Returns:
        Densities, in the shape to which the leading axes broadcast; 0 where X is not positive
        definite; nan where a parameter has no meaning.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If matrices are not square or differ in size, or the leading axes do not
            broadcast.

    Example:
        >>> print(f"{pdf(jnp.eye(2), 3.0, jnp.eye(2)):.4f}")  # 1/4πe
        0.0293

    Source:
        Anderson, An Introduction to Multivariate Statistical Analysis (2003), §7.2;
        ``scipy.stats.wishart``.
    """
    _check("pdf", {"df": df}, x=x, scale=scale)
    return evaluated(with_slopes(_wisharts.exponential), "(n,n),(),(n,n)->()", x, df, scale)


def sample(
    key: PRNGKeyArray,
    df: Float[Array, "..."] | float,
    scale: Float[Array, "... n n"],
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "... n n"]:
    """Samples of the Wishart distribution.

        X = (M T)(M T)ᵀ,    V = M Mᵀ

    for a lower triangular T of independent entries, of which those on the diagonal are roots of χ²
    numbers with ν, ν − 1, … degrees of freedom, and those below are standard normal (Bartlett).

    Gradient:
        Ẋ = Y + Yᵀ,    Y = (M T)˙ (M T)ᵀ for the numbers drawn, in ν by implicit differentiation

    Args:
        key: The random key.
        df: The degrees of freedom ν > n − 1.
        scale: The scale V.
        shape: The shape of the samples, less their last two axes, to which the leading axes of the
            parameters must broadcast; theirs by default.

    Returns:
        Independent samples, symmetric matrices on the last two axes; nan where a parameter has no
        meaning.

    Raises:
        TypeError: If the key is no random key, or a parameter does not hold floating-point numbers.
        ValueError: If V is not square, or the leading axes do not broadcast to the shape.

    Example:
        >>> X = sample(jax.random.key(0), 3.0, jnp.eye(2), shape=(20_000,))
        >>> print(X.shape, jnp.round(jnp.trace(X.mean(0))))
        (20000, 2, 2) 6.0

    Source:
        Smith and Hocking, Algorithm AS 53: Wishart variate generator (1972).
    """
    _checks.key("sample", key)
    _check("sample", {"df": df}, scale=scale)
    shape = target_shape("sample", shape, **_batches({"df": df}, {"scale": scale}))

    def drawn(df: jax.Array, scale: jax.Array) -> jax.Array:
        n = scale.shape[-1]
        first, second = jax.random.split(key)
        nu = jnp.where(df > n - 1, df, jnp.nan)[..., None] - jnp.arange(n, dtype=df.dtype)
        squares = chi_squared.sample(first, nu, shape=(*shape, n))
        below = normal.sample(second, jnp.zeros((), df.dtype), shape=(*shape, n, n))
        T = jnp.tril(below, -1) + jnp.sqrt(squares)[..., None] * jnp.eye(n, dtype=df.dtype)
        M = jnp.vectorize(_matrices.cholesky, signature="(n,n)->(n,n)")(scale)
        root = times(M, T)
        return times(root, transpose(root))

    dtype = jnp.result_type(df, scale)
    return computed_wide(drawn, jnp.asarray(df, dtype), jnp.asarray(scale, dtype))


def mean(
    df: Float[Array, "..."] | float, scale: Float[Array, "... n n"]
) -> Float[Array, "... n n"]:
    """Mean of the Wishart distribution.

        ν V

    Args:
        df: The degrees of freedom ν > n − 1.
        scale: The scale V.

    Returns:
        Means, in the units of X; nan where a parameter has no meaning.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If V is not square, or the leading axes do not broadcast.

    Example:
        >>> print(mean(3.0, jnp.eye(2)))
        [[3. 0.]
         [0. 3.]]

    Source:
        Anderson, An Introduction to Multivariate Statistical Analysis (2003), §7.3.
    """
    _check("mean", {"df": df}, scale=scale)
    found = evaluated(without_slopes(_wisharts.mean), "(),(n,n)->(n,n)", df, scale)
    return found * _known(df, scale)[..., None, None]


def variance(
    df: Float[Array, "..."] | float, scale: Float[Array, "... n n"]
) -> Float[Array, "... n n"]:
    """Variance of each entry of matrices of the Wishart distribution.

        Var Xᵢⱼ = ν (Vᵢⱼ² + Vᵢᵢ Vⱼⱼ)

    The covariance of two entries is ν (Vᵢₖ Vⱼₗ + Vᵢₗ Vⱼₖ).

    Args:
        df: The degrees of freedom ν > n − 1.
        scale: The scale V.

    Returns:
        Variances, in the square of the units of X; nan where a parameter has no meaning.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If V is not square, or the leading axes do not broadcast.

    Example:
        >>> print(variance(3.0, jnp.eye(2)))
        [[6. 3.]
         [3. 6.]]

    Source:
        Anderson, An Introduction to Multivariate Statistical Analysis (2003), §7.3.
    """
    _check("variance", {"df": df}, scale=scale)
    found = evaluated(without_slopes(_wisharts.variances), "(),(n,n)->(n,n)", df, scale)
    return found * _known(df, scale)[..., None, None]


def mode(
    df: Float[Array, "..."] | float, scale: Float[Array, "... n n"]
) -> Float[Array, "... n n"]:
    """Mode of the Wishart distribution, where its density is largest.

        (ν − n − 1) V,    ν ≥ n + 1

    Args:
        df: The degrees of freedom ν > n − 1.
        scale: The scale V.

    Returns:
        Modes, in the units of X; nan where ν < n + 1, of which the density has no largest value,
        and where a parameter has no meaning.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If V is not square, or the leading axes do not broadcast.

    Example:
        >>> print(mode(5.0, jnp.eye(2)))
        [[2. 0.]
         [0. 2.]]

    Source:
        ``scipy.stats.wishart``; where ∂ log f/∂X is 0.
    """
    _check("mode", {"df": df}, scale=scale)
    found = evaluated(without_slopes(_wisharts.mode), "(),(n,n)->(n,n)", df, scale)
    return found * _known(df, scale)[..., None, None]


def entropy(df: Float[Array, "..."] | float, scale: Float[Array, "... n n"]) -> Float[Array, "..."]:
    """Differential entropy of the Wishart distribution.

        H = ½(n + 1) log det V + ½ n(n + 1) log 2 + log Γₙ(ν/2) − ½(ν − n − 1) ψₙ(ν/2) + ½ νn

    Gradient:
        ∂H/∂ν = ½ (n − ½(ν − n − 1) ψₙ′(ν/2)),    ∂H/∂V = ½(n + 1) P

    Args:
        df: The degrees of freedom ν > n − 1.
        scale: The scale V.

    Returns:
        Entropies, in nats; nan where a parameter has no meaning.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If V is not square, or the leading axes do not broadcast.

    Example:
        >>> print(f"{entropy(2.0, jnp.eye(1)):.4f}")  # 1 + log 2
        1.6931

    Source:
        Bishop, Pattern Recognition and Machine Learning (2006), appendix B.
    """
    _check("entropy", {"df": df}, scale=scale)
    return evaluated(with_slopes(_wisharts.entropy), "(),(n,n)->()", df, scale)


def kl(
    df_p: Float[Array, "..."] | float,
    scale_p: Float[Array, "... n n"],
    df_q: Float[Array, "..."] | float,
    scale_q: Float[Array, "... n n"],
) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two Wishart distributions.

        KL = ½ν₁ (tr(V₂⁻¹ V₁) − n) + ½ν₂ log(det V₂/det V₁) + ½(ν₁ − ν₂) ψₙ(ν₁/2)
             + log Γₙ(ν₂/2) − log Γₙ(ν₁/2)

    It is evaluated as ν₂ times the divergence of the normal distributions with the covariances
    ν₁ V₁/ν₂ and V₂, and what depends on ν₁ and ν₂ alone, none of which is negative.

    Gradient:
        ∂/∂ν₁ = ½ (tr(V₂⁻¹ V₁) − n + ½(ν₁ − ν₂) ψₙ′(ν₁/2)),    ∂/∂V₁ = ½ (ν₁ V₂⁻¹ − ν₂ V₁⁻¹),
        ∂/∂ν₂ = ½ (ψₙ(ν₂/2) − ψₙ(ν₁/2) + log(det V₂/det V₁)),
        ∂/∂V₂ = ½ (ν₂ V₂⁻¹ − ν₁ V₂⁻¹ V₁ V₂⁻¹)

    Args:
        df_p: The degrees of freedom of p.
        scale_p: The scale of p.
        df_q: The degrees of freedom of q.
        scale_q: The scale of q.

    Returns:
        Divergences, in nats; nan where a parameter has no meaning.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If matrices are not square or differ in size, or the leading axes do not
            broadcast.

    Example:
        >>> print(f"{kl(4.0, jnp.eye(2), 4.0, 2 * jnp.eye(2)):.4f}")  # 4 (log 2 − ½)
        0.7726

    Source:
        Penny, Kullback-Leibler divergences of normal, gamma, Dirichlet and Wishart densities
        (2001), §5.
    """
    _check("kl", {"df_p": df_p, "df_q": df_q}, scale_p=scale_p, scale_q=scale_q)
    f = with_slopes(_wisharts.divergence)
    return evaluated(f, "(),(n,n),(),(n,n)->()", df_p, scale_p, df_q, scale_q)


def _log_excess(u: jax.Array, n: int) -> tuple[jax.Array, jax.Array]:
    """With ν = u + n − 1, log(n log(ν/2) − ψₙ(ν/2)), and its slope by log u."""
    i = jnp.arange(n, dtype=u.dtype)
    nu = u[..., None] + (n - 1)
    a = 0.5 * (nu - i)
    value = jnp.sum(_gamma_numbers.digamma_lag(a) - jnp.log1p(-i / nu), -1)
    slope = jnp.sum(1 / nu - 0.5 * _log_gammas.trigamma(a), -1)
    return jnp.log(value), u * slope / value


def fit(
    x: Float[Array, "*batch samples n n"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch n n"]]:
    """Parameters of the Wishart distribution that make the samples most likely.

        n log(ν/2) − ψₙ(ν/2) = log det X̄ − the mean of log det X,    V = X̄/ν

    solved by twenty of Newton's steps in the logarithms of both sides and of ν − n + 1, which are
    nearly proportional. The right-hand side is the mean of tr(X̄⁻¹ X) − n − log det(X̄⁻¹ X) ≥ 0.

    Args:
        x: The samples, positive definite matrices, on the last axis but two.
        weights: How much each sample counts, ≥ 0, in a shape that broadcasts to that of the samples
            less their last two axes; all alike by default.

    Returns:
        The estimates of ν and V; ν is not finite where all samples are alike.

    Raises:
        TypeError: If the samples are not a floating-point array, or the weights not real numbers.
        ValueError: If there is no axis of samples, the matrices are not square, or the weights do
            not broadcast to them.

    Example:
        >>> x = sample(jax.random.key(0), 5.0, jnp.eye(2), shape=(20_000,))
        >>> df, scale = fit(x)
        >>> print(jnp.round(df), jnp.round(jnp.diag(scale)))
        5.0 [1. 1.]

    Source:
        The equations ∂ log f = 0; Anderson, An Introduction to Multivariate Statistical Analysis
        (2003), §7.
    """
    _checks.floating("fit", x=x)
    _checks.rank("fit", "x", x, "samples n n")
    _check("fit", {}, x=x)
    wide = jnp.promote_types(jnp.result_type(x), jnp.float32)
    _, w = _fitting.samples("fit", jnp.zeros(jnp.shape(x)[:-2], wide), weights)
    X = jnp.where((w == 0)[..., None, None], jnp.eye(jnp.shape(x)[-1]), jnp.asarray(x, wide))
    X = 0.5 * (X + transpose(X))
    mean = jnp.sum(w[..., None, None] * X, -3)
    n, root = mean.shape[-1], jnp.vectorize(_matrices.cholesky, signature="(n,n)->(n,n)")

    def excess(L: jax.Array, M: jax.Array) -> jax.Array:
        return 2 * _gaussians.of_factors(jnp.zeros_like(L[0]), L, M)[0]

    each = jnp.vectorize(excess, signature="(n,n),(n,n)->()")(root(X), root(mean)[..., None, :, :])
    wanted = jnp.log(_fitting.mean(each, w)[..., 0])

    def step(state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        value, slope = _log_excess(jnp.exp(state[0]), n)
        return (state[0] - (value - wanted) / slope,)

    (log_u,) = _fitting.repeated(step, (jnp.log(2.0) - wanted,), 20)
    df = jnp.exp(log_u) + (n - 1)
    return _fitting.of_dtype(x, df, mean / df[..., None, None])


def score(
    x: Float[Array, "... n n"], df: Float[Array, "..."] | float, scale: Float[Array, "... n n"]
) -> tuple[Float[Array, "..."], Float[Array, "... n n"]]:
    """Score of the Wishart distribution: the gradient of the log-density by its parameters.

        ∂ log f/∂ν = ½ (log det X − log det V − n log 2 − ψₙ(ν/2)),    ∂ log f/∂V = ½ (P X P − ν P)

    Its mean over samples is 0, its covariance the Fisher information.

    Args:
        x: Where to look.
        df: The degrees of freedom ν > n − 1.
        scale: The scale V.

    Returns:
        The derivatives by ν and by V, with all leading axes; 0 where X is not positive definite,
        nan where a parameter has no meaning.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If matrices are not square or differ in size, or the leading axes do not
            broadcast.

    Example:
        >>> by_df, by_scale = score(3 * jnp.eye(2), 3.0, jnp.eye(2))
        >>> print(f"{by_df:.4f}", by_scale[0, 0])
        0.6758 0.0

    Source:
        Anderson, An Introduction to Multivariate Statistical Analysis (2003), §7.2.
    """
    _check("score", {"df": df}, x=x, scale=scale)
    signature = "(n,n),(),(n,n)->(n,n),(),(n,n)"
    _, by_df, by_scale = evaluated(slopes_of(_wisharts.density), signature, x, df, scale)
    return by_df, by_scale


def fisher_information(
    df: Float[Array, "..."] | float, scale: Float[Array, "... n n"]
) -> tuple[Float[Array, "..."], Float[Array, "... n n"], Float[Array, "... n n n n"]]:
    """Fisher information of the Wishart distribution: the covariance of the score.

        of ν:              ¼ ψₙ′(ν/2)
        of ν and Vᵢⱼ:      ½ Pᵢⱼ
        of Vᵢⱼ and Vₖₗ:    ¼ ν (Pᵢₖ Pⱼₗ + Pᵢₗ Pⱼₖ), each entry moving alone

    Args:
        df: The degrees of freedom ν > n − 1.
        scale: The scale V.

    Returns:
        The information of ν, that between ν and V, and that of V, on four last axes; nan where a
        parameter has no meaning.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If V is not square, or the leading axes do not broadcast.

    Example:
        >>> of_df, between, of_scale = fisher_information(3.0, jnp.eye(2))
        >>> print(f"{of_df:.4f}", between[0, 0], of_scale[0, 0, 0, 0])
        0.6449 0.5 1.5

    Source:
        The covariances of X: Anderson, An Introduction to Multivariate Statistical Analysis (2003),
        §7.3.
    """
    _check("fisher_information", {"df": df}, scale=scale)
    known = _known(df, scale)
    of_df = evaluated(without_slopes(_wisharts.information_of_df), "(),(n,n)->()", df, scale)
    P = evaluated(without_slopes(_gaussians.precision), "(n,n)->(n,n)", scale)
    P = (P * known[..., None, None]).astype(of_df.dtype)
    direct = P[..., :, None, :, None] * P[..., None, :, None, :]
    crossed = P[..., :, None, None, :] * P[..., None, :, :, None]
    of_scale = 0.25 * jnp.asarray(df, P.dtype)[..., None, None, None, None] * (direct + crossed)
    return of_df * known, 0.5 * P, of_scale
