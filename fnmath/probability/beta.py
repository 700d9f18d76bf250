"""The beta law: of a probability, or a share.

Notation: a and b are the shapes, y = 1 − x, n = a + b; Γ is the gamma function, ψ = (log Γ)′ and ψ′
its derivative; B(a, b) = Γ(a) Γ(b)/Γ(n) and I_x(a, b) is the regularised incomplete beta function.

    f(x) = xᵃ⁻¹ yᵇ⁻¹/B(a, b),    0 < x < 1

On another interval it is ``transformed`` by ``affine(loc, scale)``. Parameters outside their domain
give nan everywhere; x outside the support gives the limit, nan nan.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.probability import _beta_density as _density
from fnmath.probability._beta_quantiles import quantile as _quantile
from fnmath.probability._beta_tails import tail_at
from fnmath.probability._evaluation import (
    evaluated,
    observations,
    sample_shape,
    score_of,
    symmetric,
)
from fnmath.probability._families import evaluated_by_axes
from fnmath.probability._information import beta_divergence, beta_entropy
from fnmath.probability._log_gammas import digamma, trigamma, trigamma_difference


def _valid(a: jax.Array, b: jax.Array, value: jax.Array) -> jax.Array:
    """The value, nan where a parameter is outside its domain."""
    return jnp.where((a > 0) & (b > 0), value, jnp.nan)


def _tail(kind: str):
    """What is asked of the tails; outside of the support that is what it is at the end."""
    return lambda x, a, b: tail_at(
        kind, jnp.where(x > 0, jnp.where(x < 1, x, x * 0 + 1), x * 0), a, b
    )


def _mode(a: jax.Array, b: jax.Array) -> jax.Array:
    """Inside where both shapes are above 1, the end of the smaller one elsewhere, ½ for a tie."""
    inside = (a > 1) & (b > 1)
    middle = (a - 1) / jnp.where(inside, a + b - 2, 1)
    end = jnp.where(a < b, 0, jnp.where(a > b, 1, 0.5))
    return _valid(a, b, jnp.where(inside, middle, end))


def _kl(a_p: jax.Array, b_p: jax.Array, a_q: jax.Array, b_q: jax.Array) -> jax.Array:
    return _valid(a_p, b_p, _valid(a_q, b_q, beta_divergence(a_p, b_p, a_q, b_q)))


def _moments(x: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The shapes that have the mean and the variance of the observations."""
    mean = jnp.sum(w * x, -1)
    variance = jnp.sum(w * jnp.square(x - mean[..., None]), -1)
    n = jnp.maximum(mean * (1 - mean) / variance - 1, 0.1)
    return mean * n, (1 - mean) * n


def _fitted(x: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Newton's steps for ψ(a) − ψ(n) = mean log x and its like, halved at most."""
    log_x, log_y = jnp.sum(w * jnp.log(x), -1), jnp.sum(w * jnp.log1p(-x), -1)

    def step(_: jax.Array, shapes: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        a, b = shapes
        g, h = log_x - digamma(a) + digamma(a + b), log_y - digamma(b) + digamma(a + b)
        aa, bb, ab = trigamma_difference(a, b), trigamma_difference(b, a), -trigamma(a + b)
        det = aa * bb - ab * ab
        return (
            jnp.maximum(a + (bb * g - ab * h) / det, 0.3 * a),
            jnp.maximum(b + (aa * h - ab * g) / det, 0.3 * b),
        )

    return jax.lax.fori_loop(0, 30, step, _moments(x, w))


def pdf(x: ArrayLike, a: ArrayLike, b: ArrayLike) -> Float[Array, "..."]:
    """Density of the beta law.

        f(x) = xᵃ⁻¹ (1 − x)ᵇ⁻¹/B(a, b)

    Gradient:
        ∂f/∂θ = f(x) ∂ log f/∂θ        as in ``logpdf``, x included

    Args:
        x: Where; outside of [0, 1] the density is 0.
        a: The shape a > 0 at 0; nan is returned elsewhere.
        b: The shape b > 0 at 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(0.25, 2.0, 3.0):.6g}")
        1.6875

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    return evaluated_by_axes("pdf", _density.density, x=x, a=a, b=b)


def logpdf(x: ArrayLike, a: ArrayLike, b: ArrayLike) -> Float[Array, "..."]:
    """Logarithm of the density, in nats, of the beta law.

        log f(x) = (a − 1) log x + (b − 1) log(1 − x) − log B(a, b)

    Gradient:
        ∂/∂x = (a − 1)/x − (b − 1)/y,    ∂/∂a = log x − ψ(a) + ψ(n),    ∂/∂b = log y − ψ(b) + ψ(n)

    Args:
        x: Where; outside of [0, 1] the density is 0.
        a: The shape a > 0 at 0; nan is returned elsewhere.
        b: The shape b > 0 at 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(0.25, 2.0, 3.0):.6g}")
        0.523248

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    return evaluated_by_axes("logpdf", _density.log_density, x=x, a=a, b=b)


def cdf(x: ArrayLike, a: ArrayLike, b: ArrayLike) -> Float[Array, "..."]:
    """Probability, under the beta law, of at most x.

        F(x) = I_x(a, b)

    Gradient:
        ∂F/∂x = f(x)
        ∂F/∂a = F(x) (E[log t | t < x] − E[log t])        for t ~ Beta(a, b), in closed quadrature
        ∂F/∂b = F(x) (E[log(1 − t) | t < x] − E[log(1 − t)])

    Args:
        x: Where; outside of [0, 1] the density is 0.
        a: The shape a > 0 at 0; nan is returned elsewhere.
        b: The shape b > 0 at 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(0.25, 2.0, 3.0):.6g}")
        0.261719

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    return evaluated("cdf", _tail("lower"), x=x, a=a, b=b)


def logcdf(x: ArrayLike, a: ArrayLike, b: ArrayLike) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability, under the beta law, of at most x.

        log F(x)        right where F itself is below all numbers

    Gradient:
        ∂ log F/∂θ = (∂F/∂θ)/F(x),    x included

    Args:
        x: Where; outside of [0, 1] the density is 0.
        a: The shape a > 0 at 0; nan is returned elsewhere.
        b: The shape b > 0 at 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(0.25, 2.0, 3.0):.6g}")
        -1.34048

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    return evaluated("logcdf", _tail("log_lower"), x=x, a=a, b=b)


def sf(x: ArrayLike, a: ArrayLike, b: ArrayLike) -> Float[Array, "..."]:
    """Probability, under the beta law, of more than x.

        1 − F(x)        right to the last place where it is small

    Gradient:
        ∂(1 − F)/∂θ = −∂F/∂θ        as in ``cdf``

    Args:
        x: Where; outside of [0, 1] the density is 0.
        a: The shape a > 0 at 0; nan is returned elsewhere.
        b: The shape b > 0 at 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(0.25, 2.0, 3.0):.6g}")
        0.738281

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    return evaluated("sf", _tail("upper"), x=x, a=a, b=b)


def logsf(x: ArrayLike, a: ArrayLike, b: ArrayLike) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability, under the beta law, of more than x.

        log(1 − F(x))        right where 1 − F itself is below all numbers

    Gradient:
        ∂ log(1 − F)/∂θ = −(∂F/∂θ)/(1 − F(x)),    x included

    Args:
        x: Where; outside of [0, 1] the density is 0.
        a: The shape a > 0 at 0; nan is returned elsewhere.
        b: The shape b > 0 at 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(0.25, 2.0, 3.0):.6g}")
        -0.30343

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    return evaluated("logsf", _tail("log_upper"), x=x, a=a, b=b)


def ppf(q: ArrayLike, a: ArrayLike, b: ArrayLike) -> Float[Array, "..."]:
    """Quantile of the beta law.

        x with F(x) = q

    Gradient:
        ∂x/∂q = 1/f(x),    ∂x/∂θ = −(∂F/∂θ)/f(x)        by the inverse function theorem

    Args:
        q: The probability q, 0 ≤ q ≤ 1; nan is returned elsewhere.
        a: The shape a > 0 at 0; nan is returned elsewhere.
        b: The shape b > 0 at 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.5, 2.0, 3.0):.6g}")
        0.385728

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    return evaluated("ppf", _quantile("lower"), q=q, a=a, b=b)


def isf(q: ArrayLike, a: ArrayLike, b: ArrayLike) -> Float[Array, "..."]:
    """Quantile from above of the beta law.

        x with 1 − F(x) = q        right for q far below the spacing of numbers at 1

    Gradient:
        ∂x/∂q = −1/f(x),    ∂x/∂θ = −(∂F/∂θ)/f(x)

    Args:
        q: The probability q, 0 ≤ q ≤ 1; nan is returned elsewhere.
        a: The shape a > 0 at 0; nan is returned elsewhere.
        b: The shape b > 0 at 1, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.5, 2.0, 3.0):.6g}")
        0.385728

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    return evaluated("isf", _quantile("upper"), q=q, a=a, b=b)


def mean(a: ArrayLike, b: ArrayLike) -> Float[Array, "..."]:
    """Mean of the beta law.

        a/(a + b)

    Gradient:
        b/n²,  −a/n²

    Args:
        a: The shape a > 0 at 0; nan is returned elsewhere.
        b: The shape b > 0 at 1, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(2.0, 3.0):.6g}")
        0.4

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    return evaluated("mean", lambda a, b: _valid(a, b, a / (a + b)), a=a, b=b)


def variance(a: ArrayLike, b: ArrayLike) -> Float[Array, "..."]:
    """Variance of the beta law.

        a b/(n² (n + 1))

    Args:
        a: The shape a > 0 at 0; nan is returned elsewhere.
        b: The shape b > 0 at 1, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(2.0, 3.0):.6g}")
        0.04

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    return evaluated(
        "variance",
        lambda a, b: _valid(a, b, a / (a + b) * (b / (a + b)) / (a + b + 1)),
        a=a,
        b=b,
    )


def mode(a: ArrayLike, b: ArrayLike) -> Float[Array, "..."]:
    """Mode of the beta law.

        (a − 1)/(n − 2)        for a, b > 1, else an end

    For a = b ≤ 1, where both ends or all points are modes, it is ½.

    Args:
        a: The shape a > 0 at 0; nan is returned elsewhere.
        b: The shape b > 0 at 1, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(2.0, 3.0):.6g}")
        0.333333

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    return evaluated("mode", _mode, a=a, b=b)


def entropy(a: ArrayLike, b: ArrayLike) -> Float[Array, "..."]:
    """Differential entropy, in nats, of the beta law.

        log B(a, b) − (a − 1) ψ(a) − (b − 1) ψ(b) + (n − 2) ψ(n)

    Gradient:
        ∂/∂a = (n − 2) ψ′(n) − (a − 1) ψ′(a)

    Args:
        a: The shape a > 0 at 0; nan is returned elsewhere.
        b: The shape b > 0 at 1, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(2.0, 3.0):.6g}")
        -0.234907

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    return evaluated("entropy", lambda a, b: _valid(a, b, beta_entropy(a, b)), a=a, b=b)


def kl(a_p: ArrayLike, b_p: ArrayLike, a_q: ArrayLike, b_q: ArrayLike) -> Float[Array, "..."]:
    """Divergence KL(p ‖ q), in nats, of one of two beta laws from another.

        log B(c, d) − log B(a, b) + (a − c) ψ(a) + (b − d) ψ(b) + (c + d − n) ψ(n)

    A Bregman divergence, taken as an integral of ψ′ where the shapes are near.

    Args:
        a_p: The shape a of p.
        b_p: The shape b of p.
        a_q: The shape c of q.
        b_q: The shape d of q.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(2.0, 3.0, 0.5, 0.5):.6g}")
        0.546303

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    return evaluated("kl", _kl, a_p=a_p, b_p=b_p, a_q=a_q, b_q=b_q)


def sample(
    key: PRNGKeyArray, a: ArrayLike, b: ArrayLike, *, shape: tuple[int, ...] | None = None
) -> Float[Array, "..."]:
    """Random numbers drawn from the beta law.

    Differentiable in both parameters, by the implicit derivatives of ``jax.random.beta``.

    Args:
        key: The random key.
        a: The shape a > 0 at 0; nan is returned elsewhere.
        b: The shape b > 0 at 1, likewise.
        shape: The shape of what is drawn, to which the parameters must broadcast; by default it
            is theirs.

    Returns:
        The draws, independent of each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> draws = sample(jax.random.key(0), 2.0, 3.0, shape=(2000,))
        >>> print(f"{draws.mean():.1f}")
        0.4

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    shape = sample_shape("sample", shape, a=a, b=b)
    _checks.key("sample", key)

    def draws(a, b):
        return _valid(a, b, jax.random.beta(key, a, b, shape, a.dtype))

    return evaluated("sample", draws, a=jnp.broadcast_to(a, shape), b=b)


def fit(
    x: ArrayLike, *, weights: ArrayLike | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of the beta law that make observations most likely.

        ψ(a) − ψ(n) = mean log x,    ψ(b) − ψ(n) = mean log(1 − x)

    Args:
        x: The observations, 0 < x < 1, on the last axis.
        weights: How much each observation counts, weights ≥ 0 that broadcast with the
            observations; by default all count 1.

    Returns:
        The shapes a and b.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> a, b = fit(jnp.array([0.1, 0.3, 0.4, 0.7]))
        >>> print(f"{a:.3f} {b:.3f}")
        1.657 2.763

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    return _fitted(*observations("fit", weights, x=x))


def score(x: ArrayLike, a: ArrayLike, b: ArrayLike) -> Float[Array, "... 2"]:
    """Derivatives of the logarithm of the density by the parameters of the beta law.

        log x − ψ(a) + ψ(n),    log(1 − x) − ψ(b) + ψ(n)

    Args:
        x: Where; outside of [0, 1] the density is 0.
        a: The shape a > 0 at 0; nan is returned elsewhere.
        b: The shape b > 0 at 1, likewise.

    Returns:
        The derivatives by a and by b on a new last axis.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print([f"{s:.4f}" for s in score(0.25, 2.0, 3.0)])
        ['-0.3030', '0.2957']

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    return score_of("score", _density.log_density, (1, 2), x=x, a=a, b=b)


def fisher_information(a: ArrayLike, b: ArrayLike) -> Float[Array, "..."]:
    """Fisher information, per observation, of the parameters of the beta law.

        [[ψ′(a) − ψ′(n), −ψ′(n)], [−ψ′(n), ψ′(b) − ψ′(n)]]

    Args:
        a: The shape a > 0 at 0; nan is returned elsewhere.
        b: The shape b > 0 at 1, likewise.

    Returns:
        Matrices of two rows and columns, on two new last axes.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(2.0, 3.0).round(4))
        [[ 0.4236     -0.22129999]
         [-0.22129999  0.17359999]]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §25.1 to
        §25.3.
    """
    rows = [
        lambda a, b: _valid(a, b, trigamma_difference(a, b)),
        lambda a, b: _valid(a, b, -trigamma(a + b)),
        lambda a, b: _valid(a, b, trigamma_difference(b, a)),
    ]
    of = [evaluated("fisher_information", row, a=a, b=b) for row in rows]
    return symmetric((of[0], of[1]), (of[2],))
