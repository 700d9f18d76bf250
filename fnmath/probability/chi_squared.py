"""The chi-squared law: the sum of ν squared standard normals.

Notation: ν is the number of degrees of freedom; Γ is the gamma function, ψ = (log Γ)′ and ψ′ its
derivative; P(a, z) is the regularised incomplete gamma function.

    f(x) = (x/2)^(ν/2 − 1) exp(−x/2)/(2 Γ(ν/2)),    x > 0

It is the gamma law of shape ν/2 and scale 2; for another scale, or a location, there is ``gamma``.
Parameters outside their domain give nan everywhere; x outside the support gives the limit, nan nan.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.probability import _gamma_tails as _tails
from fnmath.probability._evaluation import (
    evaluated,
    observations,
    sample_shape,
    score_of,
    symmetric,
)
from fnmath.probability._families import evaluated_by_axes
from fnmath.probability._gamma_quantiles import quantile as _quantile
from fnmath.probability._information import gamma_divergence, gamma_entropy
from fnmath.probability._log_gammas import digamma, trigamma


def _of_gamma(function):
    """The function of x and ν that one of x, a and s is at ½ν and 2."""
    return lambda x, df: function(x, 0.5 * df, jnp.full_like(df, 2))


def _doubled(kind: str):
    """Twice the quantile of the gamma law."""
    return lambda q, df: 2 * _quantile(kind)(q, 0.5 * df)


def _valid(df: jax.Array, value: jax.Array) -> jax.Array:
    """The value, nan where ν is outside its domain."""
    return jnp.where(df > 0, value, jnp.nan)


def _entropy(df: jax.Array) -> jax.Array:
    return _valid(df, gamma_entropy(0.5 * df) + jnp.log(2.0).astype(df.dtype))


def _kl(df_p: jax.Array, df_q: jax.Array) -> jax.Array:
    return _valid(df_p, _valid(df_q, gamma_divergence(0.5 * df_q, 0.5 * df_p)))


def _fitted(x: jax.Array, w: jax.Array) -> jax.Array:
    """The ν with ψ(ν/2) = mean log(x/2), by Newton's steps from Minka's start."""
    level = jnp.sum(w * jnp.log(0.5 * x), -1)
    a = jnp.where(level > -2.2, jnp.exp(level) + 0.5, -1 / (level + 0.5772156649))
    for _ in range(6):
        a = a - (digamma(a) - level) / trigamma(a)
    return 2 * a


def pdf(x: ArrayLike, df: ArrayLike) -> Float[Array, "..."]:
    """Density of the chi-squared law.

        f(x) = (x/2)^(ν/2 − 1) exp(−x/2)/(2 Γ(ν/2))

    Gradient:
        ∂f/∂θ = f(x) ∂ log f/∂θ        as in ``logpdf``, x included

    Args:
        x: Where; below 0 the density is 0.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(1.0, 3.0):.6g}")
        0.241971

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """
    return evaluated_by_axes("pdf", _of_gamma(_tails.density), x=x, df=df)


def logpdf(x: ArrayLike, df: ArrayLike) -> Float[Array, "..."]:
    """Logarithm of the density, in nats, of the chi-squared law.

        log f(x) = (ν/2 − 1) log(x/2) − x/2 − log Γ(ν/2) − log 2

    Gradient:
        ∂/∂x = (ν/2 − 1)/x − ½,    ∂/∂ν = ½ (log(x/2) − ψ(ν/2))

    Args:
        x: Where; below 0 the density is 0.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(1.0, 3.0):.6g}")
        -1.41894

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """
    return evaluated_by_axes("logpdf", _of_gamma(_tails.log_density), x=x, df=df)


def cdf(x: ArrayLike, df: ArrayLike) -> Float[Array, "..."]:
    """Probability, under the chi-squared law, of at most x.

        F(x) = P(ν/2, x/2)

    Gradient:
        ∂F/∂x = f(x)
        ∂F/∂ν = ½ F(x) (E[log t | t < x/2] − E[log t])        for t ~ Gamma(ν/2, 1)

    Args:
        x: Where; below 0 the density is 0.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1.0, 3.0):.6g}")
        0.198748

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """
    return evaluated("cdf", _of_gamma(_tails.tail_function("lower")), x=x, df=df)


def logcdf(x: ArrayLike, df: ArrayLike) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability, under the chi-squared law, of at most x.

        log F(x)        right where F itself is below all numbers

    Gradient:
        ∂ log F/∂θ = (∂F/∂θ)/F(x),    x included

    Args:
        x: Where; below 0 the density is 0.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1.0, 3.0):.6g}")
        -1.61572

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """
    return evaluated("logcdf", _of_gamma(_tails.tail_function("log_lower")), x=x, df=df)


def sf(x: ArrayLike, df: ArrayLike) -> Float[Array, "..."]:
    """Probability, under the chi-squared law, of more than x.

        1 − F(x)        right to the last place where it is small

    Gradient:
        ∂(1 − F)/∂θ = −∂F/∂θ        as in ``cdf``

    Args:
        x: Where; below 0 the density is 0.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1.0, 3.0):.6g}")
        0.801252

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """
    return evaluated("sf", _of_gamma(_tails.tail_function("upper")), x=x, df=df)


def logsf(x: ArrayLike, df: ArrayLike) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability, under the chi-squared law, of more than x.

        log(1 − F(x))        right where 1 − F itself is below all numbers

    Gradient:
        ∂ log(1 − F)/∂θ = −(∂F/∂θ)/(1 − F(x)),    x included

    Args:
        x: Where; below 0 the density is 0.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1.0, 3.0):.6g}")
        -0.22158

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """
    return evaluated("logsf", _of_gamma(_tails.tail_function("log_upper")), x=x, df=df)


def ppf(q: ArrayLike, df: ArrayLike) -> Float[Array, "..."]:
    """Quantile of the chi-squared law.

        x with F(x) = q

    Gradient:
        ∂x/∂q = 1/f(x),    ∂x/∂θ = −(∂F/∂θ)/f(x)        by the inverse function theorem

    Args:
        q: The probability q, 0 ≤ q ≤ 1; nan is returned elsewhere.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.5, 3.0):.6g}")
        2.36597

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """
    return evaluated("ppf", _doubled("lower"), q=q, df=df)


def isf(q: ArrayLike, df: ArrayLike) -> Float[Array, "..."]:
    """Quantile from above of the chi-squared law.

        x with 1 − F(x) = q        right for q far below the spacing of numbers at 1

    Gradient:
        ∂x/∂q = −1/f(x),    ∂x/∂θ = −(∂F/∂θ)/f(x)

    Args:
        q: The probability q, 0 ≤ q ≤ 1; nan is returned elsewhere.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.5, 3.0):.6g}")
        2.36597

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """
    return evaluated("isf", _doubled("upper"), q=q, df=df)


def mean(df: ArrayLike) -> Float[Array, "..."]:
    """Mean of the chi-squared law.

        ν

    Gradient:
        1

    Args:
        df: The degrees of freedom ν > 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(3.0):.6g}")
        3

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """
    return evaluated("mean", lambda df: _valid(df, df), df=df)


def variance(df: ArrayLike) -> Float[Array, "..."]:
    """Variance of the chi-squared law.

        2 ν

    Gradient:
        2

    Args:
        df: The degrees of freedom ν > 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(3.0):.6g}")
        6

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """
    return evaluated("variance", lambda df: _valid(df, 2 * df), df=df)


def mode(df: ArrayLike) -> Float[Array, "..."]:
    """Mode of the chi-squared law.

        max(ν − 2, 0)

    Gradient:
        1        for ν > 2

    Args:
        df: The degrees of freedom ν > 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(3.0):.6g}")
        1

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """
    return evaluated("mode", lambda df: _valid(df, jnp.maximum(df - 2, 0)), df=df)


def entropy(df: ArrayLike) -> Float[Array, "..."]:
    """Differential entropy, in nats, of the chi-squared law.

        ν/2 + log 2Γ(ν/2) + (1 − ν/2) ψ(ν/2)

    Gradient:
        ½ (1 + (1 − ν/2) ψ′(ν/2))

    Args:
        df: The degrees of freedom ν > 0; nan is returned elsewhere.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(3.0):.6g}")
        2.05412

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """
    return evaluated("entropy", _entropy, df=df)


def kl(df_p: ArrayLike, df_q: ArrayLike) -> Float[Array, "..."]:
    """Divergence KL(p ‖ q), in nats, of one of two chi-squared laws from another.

        log Γ(b) − log Γ(a) − (b − a) ψ(a),    a = ν/2 of p, b that of q

    A Bregman divergence, taken as an integral of ψ′ where b is near a.

    Gradient:
        ∂/∂b = ψ(b) − ψ(a),    ∂/∂a = (a − b) ψ′(a)

    Args:
        df_p: The degrees of freedom of p.
        df_q: The degrees of freedom of q.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(2.0, 5.0):.6g}")
        1.15051

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """
    return evaluated("kl", _kl, df_p=df_p, df_q=df_q)


def sample(
    key: PRNGKeyArray, df: ArrayLike, *, shape: tuple[int, ...] | None = None
) -> Float[Array, "..."]:
    """Random numbers drawn from the chi-squared law.

    Differentiable in ν, by the implicit derivative of ``jax.random.gamma``.

    Args:
        key: The random key.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.
        shape: The shape of what is drawn, to which the parameters must broadcast; by default it
            is theirs.

    Returns:
        The draws, independent of each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> draws = sample(jax.random.key(0), 3.0, shape=(2000,))
        >>> print(f"{draws.mean():.1f}")
        2.9

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """
    shape = sample_shape("sample", shape, df=df)
    _checks.key("sample", key)

    def draws(df):
        return _valid(df, 2 * jax.random.gamma(key, 0.5 * df, shape, df.dtype))

    return evaluated("sample", draws, df=jnp.broadcast_to(df, shape))


def fit(x: ArrayLike, *, weights: ArrayLike | None = None) -> Float[Array, "*batch"]:
    """Parameters of the chi-squared law that make observations most likely.

        ψ(ν/2) = mean log(x/2)

    Args:
        x: The observations x > 0, on the last axis.
        weights: How much each observation counts, weights ≥ 0 that broadcast with the
            observations; by default all count 1.

    Returns:
        The degrees of freedom ν.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{fit(jnp.array([0.5, 1.0, 2.0, 4.0])):.4f}")
        2.3116

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """
    return _fitted(*observations("fit", weights, x=x))


def score(x: ArrayLike, df: ArrayLike) -> Float[Array, "... 1"]:
    """Derivatives of the logarithm of the density by the parameters of the chi-squared law.

        ½ (log(x/2) − ψ(ν/2))

    Args:
        x: Where; below 0 the density is 0.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.

    Returns:
        The derivative by ν on a new last axis.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print([f"{s:.4f}" for s in score(1.0, 3.0)])
        ['-0.3648']

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """
    return score_of("score", _of_gamma(_tails.log_density), (1,), x=x, df=df)


def fisher_information(df: ArrayLike) -> Float[Array, "..."]:
    """Fisher information, per observation, of the parameters of the chi-squared law.

        ¼ ψ′(ν/2)

    Args:
        df: The degrees of freedom ν > 0; nan is returned elsewhere.

    Returns:
        Matrices of one row and column, on two new last axes.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(3.0).round(4))
        [[0.23369999]]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §18.1 to
        §18.3.
    """

    def information(df):
        return _valid(df, 0.25 * trigamma(0.5 * df))

    return symmetric((evaluated("fisher_information", information, df=df),))
