"""Mutual information: how much one variable says of another.

Notation: I(X; Y) = KL(p(x, y) ‖ p(x) p(y)) ≥ 0, in nats or, where there is a ``base``, in its unit;
ψ is the digamma function.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.information import _terms
from fnmath.information._units import in_base, known_base, proper
from fnmath.linear_algebra._spectral import symmetric, times
from fnmath.linear_algebra.products import transpose
from fnmath.statistics._samples import wide


def mutual_information(
    joint: Float[Array, "*batch rows columns"], *, base: float | None = None
) -> Float[Array, "*batch"]:
    """Mutual information of two discrete variables, in nats.

        I = Σᵢⱼ pᵢⱼ log(pᵢⱼ/(pᵢ pⱼ)),    pᵢ = Σⱼ pᵢⱼ,    pⱼ = Σᵢ pᵢⱼ

    as the ratio of pᵢⱼ/pᵢ to pⱼ: the product of two small probabilities would underflow.

    Gradient:
        ∂I/∂pᵢⱼ = log(pᵢⱼ/(pᵢ pⱼ)) − 1

    Args:
        joint: The probabilities of each pair of outcomes, which sum to 1 over both axes.
        base: The base of the logarithm, above 1, where it is not e.

    Returns:
        One number per joint distribution; nan for what is none.

    Raises:
        TypeError: If the joint is not floating-point, or the base not a number.
        ValueError: If it has fewer than two axes or no outcomes, or the base is not above 1.

    Example:
        >>> print(mutual_information(jnp.array([[0.5, 0.0], [0.0, 0.5]]), base=2))
        1.0

    Source:
        Cover and Thomas, Elements of Information Theory (2006), §2.3.
    """
    name = "mutual_information"
    _checks.floating(name, joint=joint)
    _checks.rank(name, "joint", joint, "rows columns")
    if not (jnp.shape(joint)[-1] and jnp.shape(joint)[-2]):
        _checks.fail(name, f"joint {jnp.shape(joint)} has no outcomes")
    known_base(name, base)
    p = proper(joint, (-2, -1))
    rows, columns = jnp.sum(p, -1, keepdims=True), jnp.sum(p, -2, keepdims=True)
    some = _terms.some(p)
    ratio = _terms.log_ratio(some / _terms.some(rows), _terms.some(columns))
    steep = jnp.where((rows == 0) | (columns == 0), 0, -_terms.most(p))
    terms = jnp.where(p == 0, steep * jnp.where(p == 0, p, 0), p * ratio)
    return in_base(jnp.sum(terms, (-2, -1)), base, joint)


@jax.custom_jvp
def _log_correlated(E: jax.Array) -> jax.Array:
    """−½ log det(I − E) for eigenvalues of E in [0, 1), right to the last digits of small ones."""
    squares = jnp.linalg.eigvalsh(E)
    return -0.5 * jnp.sum(jnp.log1p(-jnp.maximum(squares, 0)), -1)


@_log_correlated.defjvp
def _log_correlated_jvp(primals: tuple, tangents: tuple) -> tuple:
    """The tangent ½ tr((I − E)⁻¹ Ė)."""
    (E,), (E_dot,) = primals, tangents
    solved = jnp.linalg.solve(jnp.eye(E.shape[-1], dtype=E.dtype) - E, E_dot)
    return _log_correlated(E), 0.5 * jnp.trace(solved, axis1=-2, axis2=-1)


def gaussian_mutual_information(
    covariance: Float[Array, "*batch d d"], *, split: int, base: float | None = None
) -> Float[Array, "*batch"]:
    """Mutual information, in nats, of two parts of a normal vector.

        I = ½ log(det Σ_x det Σ_y/det Σ) = −½ Σᵢ log(1 − ρᵢ²)

    with ρᵢ the canonical correlations, the singular values of L_x⁻¹ Σ_xy L_y⁻ᵀ: the determinants
    would cancel where the parts depend on each other little.

    Gradient:
        ∂I/∂Σ = ½ (diag(Σ_x⁻¹, Σ_y⁻¹) − Σ⁻¹)

    Args:
        covariance: The covariance Σ, symmetric and positive definite; its symmetric part counts.
        split: How many features x has, the first ones; y has the others.
        base: The base of the logarithm, above 1, where it is not e.

    Returns:
        One number per covariance, ∞ where a part determines a direction of the other; nan where it
        is not positive definite.

    Raises:
        TypeError: If the covariance is not floating-point, the split not an integer, or the base
            not a number.
        ValueError: If it is not square, the split leaves a part empty, or the base is not above 1.

    Example:
        >>> S = jnp.array([[1.0, 0.6], [0.6, 1.0]])
        >>> print(f"{gaussian_mutual_information(S, split=1):.4f}")  # −½ log 0.64
        0.2231

    Source:
        Cover and Thomas, Elements of Information Theory (2006), §8.5, example 8.5.1; Kullback,
        Information Theory and Statistics (1968), chapter 9, §6 (canonical correlations).
    """
    name = "gaussian_mutual_information"
    _checks.floating(name, covariance=covariance)
    _checks.rank(name, "covariance", covariance, "d d")
    rows, d = jnp.shape(covariance)[-2:]
    if rows != d:
        _checks.fail(name, f"covariance {jnp.shape(covariance)} must be square")
    _checks.size(name, split=split)
    if split >= d:
        _checks.fail(name, f"split is {split}; wanted less than the {d} features")
    known_base(name, base)
    S = symmetric(wide(covariance))
    first, second = (
        jnp.linalg.cholesky(S[..., :split, :split]),
        jnp.linalg.cholesky(S[..., split:, split:]),
    )

    def solved(L: Array, B: Array) -> Array:
        return jax.lax.linalg.triangular_solve(L, B, left_side=True, lower=True)

    M = transpose(solved(second, transpose(solved(first, S[..., :split, split:]))))
    small = M if split <= d - split else transpose(M)
    E = symmetric(times(small, transpose(small)))
    return in_base(_log_correlated(E), base, covariance)


def _neighbours(z: jax.Array) -> jax.Array:
    """The distance of each point to each other in the maximum norm; ∞ to itself."""
    apart = jax.vmap(lambda a: jnp.max(jnp.abs(a - z), -1))(z)
    return jnp.where(jnp.eye(z.shape[0], dtype=bool), jnp.inf, apart)


def mutual_information_of_samples(
    x: Float[Array, "n first"],
    y: Float[Array, "n second"],
    *,
    neighbours: int = 3,
    base: float | None = None,
) -> Float[Array, ""]:
    """Mutual information of two continuous variables, in nats, estimated from pairs of them.

        Î = ψ(k) + ψ(n) − 1/n Σᵢ (ψ(aᵢ + 1) + ψ(bᵢ + 1))

    with aᵢ how many points lie closer to xᵢ, and bᵢ closer to yᵢ, than the k-th nearest of all
    pairs lies to (xᵢ, yᵢ), in the maximum norm: Kraskov, Stögbauer and Grassberger's first
    estimator. All pairs of points are compared. It counts, so that every derivative is 0.

    Args:
        x: The first variable, one row per pair; numbers are ``x[:, None]``.
        y: The second.
        neighbours: The number k of neighbours: more for less variance, fewer for less bias.
        base: The base of the logarithm, above 1, where it is not e.

    Returns:
        The estimate, which may be a little below 0; nan where a number is nan.

    Raises:
        TypeError: If an array is not floating-point, ``neighbours`` not an integer, or the base not
            a number.
        ValueError: If an array does not have two axes, they are not as long, there are no more
            pairs than neighbours, or the base is not above 1.

    Example:
        >>> x = jnp.linspace(0, 1, 50)[:, None]
        >>> print(mutual_information_of_samples(x, x) > 2)  # ∞, of as many pairs
        True

    Source:
        Kraskov, Stögbauer and Grassberger, Estimating mutual information (2004), §II.B, equation
        (8).
    """
    name = "mutual_information_of_samples"
    _checks.floating(name, x=x, y=y)
    _checks.rank(name, "x", x, "n first", exact=True)
    _checks.rank(name, "y", y, "n second", exact=True)
    _checks.same_size(name, "pairs", x=jnp.shape(x)[0], y=jnp.shape(y)[0])
    _checks.size(name, neighbours=neighbours)
    n = jnp.shape(x)[0]
    if n <= neighbours:
        _checks.fail(name, f"x and y hold {n} pairs; wanted more than {neighbours} neighbours")
    known_base(name, base)
    first, second = (_neighbours(jax.lax.stop_gradient(wide(z))) for z in (x, y))
    radius = jnp.sort(jnp.maximum(first, second), -1)[:, neighbours - 1 : neighbours]
    digamma = jax.scipy.special.digamma
    a, b = (digamma(1 + jnp.sum(d < radius, -1, dtype=d.dtype)) for d in (first, second))
    constant = digamma(jnp.asarray(neighbours, a.dtype)) + digamma(jnp.asarray(n, a.dtype))
    missing = jnp.isnan(x).any() | jnp.isnan(y).any()
    nats = jnp.where(missing, jnp.nan, constant - jnp.mean(a + b))
    return in_base(nats, base, x)
