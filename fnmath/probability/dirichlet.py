"""The Dirichlet distribution of vectors of probabilities.

    f(x) = Γ(A)/Π Γ(αᵢ) · Π xᵢ^(αᵢ − 1),    xᵢ ≥ 0, Σ xᵢ = 1

Notation: α are n parameters above 0, on the last axis, A = Σ αᵢ their sum; Γ is the gamma function,
ψ = (log Γ)′ and ψ′ its derivative. The density is that of the first n − 1 entries of x. An x counts
as on the simplex where its sum is 1 within √ε, ε the spacing of numbers at 1: rounded sums are no
matter, and the formula is that of the entries as they are, each of which may move alone.

Where a parameter is not above 0 and finite, all functions give nan.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Real

from fnmath import _checks
from fnmath.probability import _dirichlets, _fitting, _log_gammas
from fnmath.probability._matrices import evaluated, slopes_of, with_slopes, without_slopes
from fnmath.probability._sampling import target_shape


def _check(function: str, **vectors: Any) -> None:
    _checks.floating(function, **vectors)
    for name, a in vectors.items():
        _checks.rank(function, name, a, "classes")
        _checks.size(function, **{f"the last axis of {name}": jnp.shape(a)[-1]})
    _checks.same_size(function, "classes", **{k: jnp.shape(a)[-1] for k, a in vectors.items()})
    _checks.broadcastable(function, **vectors)


def _known(alpha: jax.Array) -> jax.Array:
    """1 where all parameters have a meaning, else nan, with an axis of 1."""
    known = ((alpha > 0) & (alpha < jnp.inf)).all(-1, keepdims=True)
    return jnp.where(known, 1, jnp.nan).astype(alpha.dtype)


def logpdf(
    x: Float[Array, "... classes"], alpha: Float[Array, "... classes"]
) -> Float[Array, "..."]:
    """Logarithm of the density of the Dirichlet distribution.

        log f(x) = log Γ(A) − Σᵢ log Γ(αᵢ) + Σᵢ (αᵢ − 1) log xᵢ

    What is large in these terms is taken together as deviances αᵢ log(αᵢ/(A xᵢ)) + A xᵢ − αᵢ ≥ 0,
    so that nothing cancels where α is large.

    Gradient:
        ∂/∂xᵢ = (αᵢ − 1)/xᵢ,    ∂/∂αᵢ = log xᵢ − ψ(αᵢ) + ψ(A)

    Args:
        x: Where to look, a vector of probabilities.
        alpha: The parameters α > 0.

    Returns:
        Logarithms of densities, in nats, in the shape to which the leading axes broadcast; −∞ off
        the simplex, ±∞ where an xᵢ is 0 and αᵢ is not 1, nan where a parameter is not above 0.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If the numbers of classes differ, or the leading axes do not broadcast.

    Example:
        >>> print(f"{logpdf(jnp.array([0.25, 0.75]), jnp.array([2.0, 2.0])):.4f}")  # log 9/8
        0.1178

    Source:
        Kotz, Balakrishnan and Johnson, Continuous Multivariate Distributions 1 (2000), §49.1;
        ``scipy.stats.dirichlet``.
    """
    _check("logpdf", x=x, alpha=alpha)
    return evaluated(with_slopes(_dirichlets.density), "(n),(n)->()", x, alpha)


def pdf(x: Float[Array, "... classes"], alpha: Float[Array, "... classes"]) -> Float[Array, "..."]:
    """Density of the Dirichlet distribution.

        f(x) = Γ(A)/Πᵢ Γ(αᵢ) · Πᵢ xᵢ^(αᵢ − 1)

    Gradient:
        ∂f/∂a = f(x) ∂log f/∂a for each argument a, as of ``logpdf``

    Args:
        x: Where to look, a vector of probabilities.
        alpha: The parameters α > 0.

    Returns:
        Densities, in the shape to which the leading axes broadcast; 0 off the simplex, 0 or ∞ where
        an xᵢ is 0 and αᵢ is not 1, nan where a parameter is not above 0.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If the numbers of classes differ, or the leading axes do not broadcast.

    Example:
        >>> print(f"{pdf(jnp.array([0.25, 0.75]), jnp.array([2.0, 2.0])):.4f}")
        1.1250

    Source:
        Kotz, Balakrishnan and Johnson, Continuous Multivariate Distributions 1 (2000), §49.1;
        ``scipy.stats.dirichlet``.
    """
    _check("pdf", x=x, alpha=alpha)
    return evaluated(with_slopes(_dirichlets.exponential), "(n),(n)->()", x, alpha)


def sample(
    key: PRNGKeyArray,
    alpha: Float[Array, "... classes"],
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "... classes"]:
    """Samples of the Dirichlet distribution.

        xᵢ = yᵢ/Σⱼ yⱼ,    yᵢ of the gamma distributions with the shapes αᵢ

    The y are drawn as logarithms: with a small α they may be smaller than any number.

    Gradient:
        that of the gamma distributions' quantiles by their shapes, the probabilities drawn held
        fixed (implicit differentiation)

    Args:
        key: The random key.
        alpha: The parameters α > 0.
        shape: The shape of the samples, less their last axis, to which the leading axes of α must
            broadcast; theirs by default.

    Returns:
        Independent samples, with the classes on the last axis; nan where a parameter is not
        above 0.

    Raises:
        TypeError: If the key is no random key, or α does not hold floating-point numbers.
        ValueError: If α has no class, or its leading axes do not broadcast to the shape.

    Example:
        >>> x = sample(jax.random.key(0), jnp.array([1.0, 3.0]), shape=(10_000,))
        >>> print(jnp.round(x.mean(0), 2))
        [0.25 0.75]

    Source:
        Devroye, Non-Uniform Random Variate Generation (1986), §XI.4.1; Figurnov, Mohamed and Mnih,
        Implicit reparameterization gradients (2018), §4.
    """
    _checks.key("sample", key)
    _check("sample", alpha=alpha)
    shape = target_shape("sample", shape, alpha=jnp.asarray(alpha)[..., 0])
    dtype = jnp.result_type(alpha)
    a = jnp.asarray(alpha, jnp.promote_types(dtype, jnp.float32))
    known = _known(a)
    x = jax.random.dirichlet(key, jnp.where(jnp.isnan(known), 1, a), shape, a.dtype)
    return (x * known).astype(dtype)


def mean(alpha: Float[Array, "... classes"]) -> Float[Array, "... classes"]:
    """Mean of the Dirichlet distribution.

        αᵢ/A

    Args:
        alpha: The parameters α > 0.

    Returns:
        Vectors of probabilities; nan where a parameter is not above 0.

    Raises:
        TypeError: If α does not hold floating-point numbers.
        ValueError: If α has no class.

    Example:
        >>> print(mean(jnp.array([1.0, 3.0])))
        [0.25 0.75]

    Source:
        Kotz, Balakrishnan and Johnson, Continuous Multivariate Distributions 1 (2000), §49.2.
    """
    _check("mean", alpha=alpha)
    return evaluated(without_slopes(_dirichlets.mean), "(n)->(n)", alpha)


def variance(alpha: Float[Array, "... classes"]) -> Float[Array, "... classes classes"]:
    """Covariance matrix of the Dirichlet distribution.

        (mᵢ δᵢⱼ − mᵢ mⱼ)/(A + 1),    mᵢ = αᵢ/A

    Args:
        alpha: The parameters α > 0.

    Returns:
        Matrices, whose rows add up to 0; nan where a parameter is not above 0.

    Raises:
        TypeError: If α does not hold floating-point numbers.
        ValueError: If α has no class.

    Example:
        >>> print(variance(jnp.array([1.0, 3.0])))
        [[ 0.0375 -0.0375]
         [-0.0375  0.0375]]

    Source:
        Kotz, Balakrishnan and Johnson, Continuous Multivariate Distributions 1 (2000), §49.2;
        ``scipy.stats.dirichlet.cov``.
    """
    _check("variance", alpha=alpha)
    return evaluated(without_slopes(_dirichlets.covariance), "(n)->(n,n)", alpha)


def mode(alpha: Float[Array, "... classes"]) -> Float[Array, "... classes"]:
    """Mode of the Dirichlet distribution, where its density is largest.

        (αᵢ − 1)/(A − n)

    Args:
        alpha: The parameters α > 1.

    Returns:
        Vectors of probabilities; nan where a parameter is not above 1: the density then has no
        maximum inside.

    Raises:
        TypeError: If α does not hold floating-point numbers.
        ValueError: If α has no class.

    Example:
        >>> print(mode(jnp.array([2.0, 4.0])))
        [0.25 0.75]

    Source:
        Kotz, Balakrishnan and Johnson, Continuous Multivariate Distributions 1 (2000), §49.2.
    """
    _check("mode", alpha=alpha)
    return evaluated(without_slopes(_dirichlets.mode), "(n)->(n)", alpha)


def entropy(alpha: Float[Array, "... classes"]) -> Float[Array, "..."]:
    """Differential entropy of the Dirichlet distribution.

        H = Σᵢ log Γ(αᵢ) − log Γ(A) + (A − n) ψ(A) − Σᵢ (αᵢ − 1) ψ(αᵢ)

    Gradient:
        ∂H/∂αᵢ = (A − n) ψ′(A) − (αᵢ − 1) ψ′(αᵢ)

    Args:
        alpha: The parameters α > 0.

    Returns:
        Entropies, in nats, with regard to the first n − 1 entries; nan where a parameter is not
        above 0.

    Raises:
        TypeError: If α does not hold floating-point numbers.
        ValueError: If α has no class.

    Example:
        >>> print(f"{entropy(jnp.ones(3)):.4f}")  # −log 2
        -0.6931

    Source:
        Kotz, Balakrishnan and Johnson, Continuous Multivariate Distributions 1 (2000), §49.2;
        ``scipy.stats.dirichlet``.
    """
    _check("entropy", alpha=alpha)
    return evaluated(with_slopes(_dirichlets.entropy), "(n)->()", alpha)


def kl(
    alpha_p: Float[Array, "... classes"], alpha_q: Float[Array, "... classes"]
) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two Dirichlet distributions.

        KL = log B(β) − log B(α) + Σᵢ (αᵢ − βᵢ)(ψ(αᵢ) − ψ(A)),    log B(α) = Σᵢ log Γ(αᵢ) − log Γ(A)

    Where α and β are near it is an integral of ψ′ on the way from one to the other, in which
    nothing cancels.

    Gradient:
        ∂/∂αᵢ = (αᵢ − βᵢ) ψ′(αᵢ) − (A − B) ψ′(A),
        ∂/∂βᵢ = ψ(βᵢ) − ψ(αᵢ) − ψ(B) + ψ(A),    A = Σ αᵢ, B = Σ βᵢ

    Args:
        alpha_p: The parameters α > 0 of p.
        alpha_q: The parameters β > 0 of q.

    Returns:
        Divergences, in nats, in the shape to which the leading axes broadcast; nan where a
        parameter is not above 0.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If the numbers of classes differ, or the leading axes do not broadcast.

    Example:
        >>> print(f"{kl(jnp.array([2.0, 1.0]), jnp.array([1.0, 1.0])):.4f}")  # log 2 − ½
        0.1931

    Source:
        Penny, Kullback-Leibler divergences of normal, gamma, Dirichlet and Wishart densities
        (2001), §4.
    """
    _check("kl", alpha_p=alpha_p, alpha_q=alpha_q)
    return evaluated(with_slopes(_dirichlets.divergence), "(n),(n)->()", alpha_p, alpha_q)


def _step(alpha: jax.Array, logarithms: jax.Array) -> jax.Array:
    """Newton's step in α for Σ αᵢ mᵢ − log B(α), no parameter falling below a quarter."""
    A = jnp.sum(alpha, -1, keepdims=True)
    slope = logarithms - _log_gammas.digamma(alpha) + _log_gammas.digamma(A)
    bend, whole = _log_gammas.trigamma(alpha), _log_gammas.trigamma(A)
    shift = jnp.sum(slope / bend, -1, keepdims=True)
    shift = shift / (1 / whole - jnp.sum(1 / bend, -1, keepdims=True))
    return jnp.maximum(alpha + (slope + shift) / bend, 0.25 * alpha)


def fit(
    x: Float[Array, "*batch samples classes"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch classes"]]:
    """Parameters of the Dirichlet distribution that make the samples most likely.

        ψ(αᵢ) − ψ(A) = the weighted mean of log xᵢ

    solved by thirty of Newton's steps, each of which takes n operations, from the parameters that
    the first two moments would have.

    Args:
        x: The samples, vectors of probabilities, on the last axis but one; no entry may be 0.
        weights: How much each sample counts, ≥ 0, in a shape that broadcasts to that of the samples
            less their last axis; all alike by default.

    Returns:
        The estimate of α, alone in a tuple.

    Raises:
        TypeError: If the samples are not a floating-point array, or the weights not real numbers.
        ValueError: If there is no axis of samples, or the weights do not broadcast to them.

    Example:
        >>> x = sample(jax.random.key(0), jnp.array([1.0, 3.0]), shape=(10_000,))
        >>> print(jnp.round(fit(x)[0], 1))
        [1. 3.]

    Source:
        Minka, Estimating a Dirichlet distribution (2000), §1.
    """
    _checks.floating("fit", x=x)
    _checks.rank("fit", "x", x, "samples classes")
    rows, w = _fitting.vectors("fit", x, weights)
    logarithms = _fitting.mean(jnp.log(rows), w)[..., 0]
    m = _fitting.mean(rows, w)
    spread = _fitting.mean(jnp.square(rows - m), w)[..., 0]
    m = m[..., 0]
    size = jnp.sum(m * (1 - m), -1, keepdims=True) / jnp.sum(spread, -1, keepdims=True) - 1
    start = m * jnp.maximum(size, 0.1)
    (alpha,) = _fitting.repeated(lambda s: (_step(s[0], logarithms),), (start,), 30)
    return _fitting.of_dtype(x, alpha)


def score(
    x: Float[Array, "... classes"], alpha: Float[Array, "... classes"]
) -> Float[Array, "... classes"]:
    """Score of the Dirichlet distribution: the gradient of the log-density by the parameters.

        ∂ log f/∂αᵢ = log xᵢ − ψ(αᵢ) + ψ(A)

    Its mean over samples is 0, its covariance the Fisher information.

    Args:
        x: Where to look, a vector of probabilities.
        alpha: The parameters α > 0.

    Returns:
        The derivatives by α; nan where a parameter is not above 0.

    Raises:
        TypeError: If an argument does not hold floating-point numbers.
        ValueError: If the numbers of classes differ, or the leading axes do not broadcast.

    Example:
        >>> print(jnp.round(score(jnp.array([0.5, 0.5]), jnp.ones(2)), 4))  # 1 − log 2
        [0.3069 0.3069]

    Source:
        Minka, Estimating a Dirichlet distribution (2000), §1.
    """
    _check("score", x=x, alpha=alpha)
    return evaluated(slopes_of(_dirichlets.density), "(n),(n)->(n),(n)", x, alpha)[1]


def fisher_information(alpha: Float[Array, "... classes"]) -> Float[Array, "... classes classes"]:
    """Fisher information of the Dirichlet distribution: the covariance of the score.

        I = diag ψ′(αᵢ) − ψ′(A)

    Args:
        alpha: The parameters α > 0.

    Returns:
        Matrices on two last axes; nan where a parameter is not above 0.

    Raises:
        TypeError: If α does not hold floating-point numbers.
        ValueError: If α has no class.

    Example:
        >>> print(f"{fisher_information(jnp.ones(2))[0, 1]:.4f}")  # 1 − π²/6
        -0.6449

    Source:
        Minka, Estimating a Dirichlet distribution (2000), §1.
    """
    _check("fisher_information", alpha=alpha)
    return evaluated(without_slopes(_dirichlets.information), "(n)->(n,n)", alpha)
