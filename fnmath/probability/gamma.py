"""The gamma law: waiting times, variances, and whatever is positive and skewed.

Notation: a is the shape, μ where it begins and s the scale, z = (x − μ)/s; Γ is the gamma function,
ψ = (log Γ)′ and ψ′ its derivative; P(a, z) is the regularised incomplete gamma function. In place
of s the rate λ = 1/s may be given, as ``rate=``; then the scale is not looked at.

    f(x) = zᵃ⁻¹ exp(−z)/(Γ(a) s),    z > 0

Parameters outside their domain give nan everywhere; x
outside the support gives the limit, nan gives nan.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.numerics._stirling import stirling_slope
from fnmath.probability import _gamma_tails as _tails
from fnmath.probability._evaluation import evaluated, observations, sample_shape, symmetric
from fnmath.probability._gamma_quantiles import quantile as _quantile
from fnmath.probability._information import gamma_entropy, gamma_kl, relative_lag
from fnmath.probability._log_gammas import trigamma
from fnmath.probability._placing import moved, placed, placed_score


def _valid(a: jax.Array, scale: jax.Array, value: jax.Array) -> jax.Array:
    """The value, nan where a parameter is outside its domain."""
    return jnp.where((a > 0) & (scale > 0), value, jnp.nan)


def _scaled(kind: str):
    """The quantile at scale 1, times the scale."""

    def function(q: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
        return _valid(a, scale, scale * _quantile(kind)(q, a))

    return function


def _entropy(a: jax.Array, scale: jax.Array) -> jax.Array:
    return _valid(a, scale, gamma_entropy(a) + jnp.log(scale))


def _kl(a_p: jax.Array, scale_p: jax.Array, a_q: jax.Array, scale_q: jax.Array) -> jax.Array:
    value = gamma_kl(a_p, scale_p, a_q, scale_q)
    return _valid(a_p, scale_p, _valid(a_q, scale_q, value))


def _shape_of(lag: jax.Array) -> jax.Array:
    """The a with log a − ψ(a) = v, by Minka's steps in 1/a, which is nearly linear in v."""
    root = jnp.sqrt(jnp.square(lag - 3) + 24 * lag)
    a = (3 - lag + root) / (12 * lag)
    for _ in range(5):
        gap = 0.5 / a - stirling_slope(a) - lag
        a = 1 / (1 / a + gap / (a - a * a * trigamma(a)))
    return a


def _fitted(x: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
    mean = jnp.sum(w * x, -1)
    v = jnp.sum(w * relative_lag(x, mean[..., None]), -1)
    a = _shape_of(v)
    return a, mean / a


def pdf(
    x: ArrayLike,
    a: ArrayLike,
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    *,
    rate: ArrayLike | None = None,
) -> Float[Array, "..."]:
    """Density of the gamma law.

        f(x) = zᵃ⁻¹ exp(−z)/(Γ(a) s),    z = (x − μ)/s

    Gradient:
        ∂f/∂θ = f(x) ∂ log f/∂θ        as in ``logpdf``, x included

    Args:
        x: Where; below μ the density is 0.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.
        rate: The rate λ = 1/s > 0, in place of the scale.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(1.0, 2.0):.6g}")
        0.367879

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.1 to
        §17.3.
    """
    return placed("pdf", _tails.density, loc, scale, rate, by_axes=True, x=x, a=a)


def logpdf(
    x: ArrayLike,
    a: ArrayLike,
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    *,
    rate: ArrayLike | None = None,
) -> Float[Array, "..."]:
    """Logarithm of the density, in nats, of the gamma law.

        log f(x) = (a − 1) log z − z − log Γ(a) − log s

    Gradient:
        ∂/∂x = (a − 1)/(x − μ) − 1/s = −∂/∂μ,    ∂/∂a = log z − ψ(a),    ∂/∂s = (z − a)/s

    Args:
        x: Where; below μ the density is 0.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.
        rate: The rate λ = 1/s > 0, in place of the scale.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(1.0, 2.0):.6g}")
        -1

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.1 to
        §17.3.
    """
    return placed("logpdf", _tails.log_density, loc, scale, rate, by_axes=True, x=x, a=a)


def cdf(
    x: ArrayLike,
    a: ArrayLike,
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    *,
    rate: ArrayLike | None = None,
) -> Float[Array, "..."]:
    """Probability, under the gamma law, of at most x.

        F(x) = P(a, z)

    Gradient:
        ∂F/∂x = f(x) = −∂F/∂μ,    ∂F/∂s = −z f(x)
        ∂F/∂a = F(x) (E[log t | t < z] − E[log t])        for t ~ Gamma(a, 1), in closed quadrature

    Args:
        x: Where; below μ the density is 0.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.
        rate: The rate λ = 1/s > 0, in place of the scale.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1.0, 2.0):.6g}")
        0.264241

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.1 to
        §17.3.
    """
    return placed("cdf", _tails.tail_function("lower"), loc, scale, rate, x=x, a=a)


def logcdf(
    x: ArrayLike,
    a: ArrayLike,
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    *,
    rate: ArrayLike | None = None,
) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability, under the gamma law, of at most x.

        log F(x)        right where F itself is below all numbers

    Gradient:
        ∂ log F/∂θ = (∂F/∂θ)/F(x),    x included

    Args:
        x: Where; below μ the density is 0.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.
        rate: The rate λ = 1/s > 0, in place of the scale.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1.0, 2.0):.6g}")
        -1.33089

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.1 to
        §17.3.
    """
    return placed("logcdf", _tails.tail_function("log_lower"), loc, scale, rate, x=x, a=a)


def sf(
    x: ArrayLike,
    a: ArrayLike,
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    *,
    rate: ArrayLike | None = None,
) -> Float[Array, "..."]:
    """Probability, under the gamma law, of more than x.

        1 − F(x)        right to the last place where it is small

    Gradient:
        ∂(1 − F)/∂θ = −∂F/∂θ        as in ``cdf``

    Args:
        x: Where; below μ the density is 0.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.
        rate: The rate λ = 1/s > 0, in place of the scale.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1.0, 2.0):.6g}")
        0.735759

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.1 to
        §17.3.
    """
    return placed("sf", _tails.tail_function("upper"), loc, scale, rate, x=x, a=a)


def logsf(
    x: ArrayLike,
    a: ArrayLike,
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    *,
    rate: ArrayLike | None = None,
) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability, under the gamma law, of more than x.

        log(1 − F(x))        right where 1 − F itself is below all numbers

    Gradient:
        ∂ log(1 − F)/∂θ = −(∂F/∂θ)/(1 − F(x)),    x included

    Args:
        x: Where; below μ the density is 0.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.
        rate: The rate λ = 1/s > 0, in place of the scale.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1.0, 2.0):.6g}")
        -0.306853

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.1 to
        §17.3.
    """
    return placed("logsf", _tails.tail_function("log_upper"), loc, scale, rate, x=x, a=a)


def ppf(
    q: ArrayLike,
    a: ArrayLike,
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    *,
    rate: ArrayLike | None = None,
) -> Float[Array, "..."]:
    """Quantile of the gamma law.

        x with F(x) = q

    Gradient:
        ∂x/∂q = 1/f(x),    ∂x/∂θ = −(∂F/∂θ)/f(x)        by the inverse function theorem

    Args:
        q: The probability q, 0 ≤ q ≤ 1; nan is returned elsewhere.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.
        rate: The rate λ = 1/s > 0, in place of the scale.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.5, 2.0):.6g}")
        1.67835

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.1 to
        §17.3.
    """
    return moved("ppf", _scaled("lower"), loc, scale, rate, q=q, a=a)


def isf(
    q: ArrayLike,
    a: ArrayLike,
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    *,
    rate: ArrayLike | None = None,
) -> Float[Array, "..."]:
    """Quantile from above of the gamma law.

        x with 1 − F(x) = q        right for q far below the spacing of numbers at 1

    Gradient:
        ∂x/∂q = −1/f(x),    ∂x/∂θ = −(∂F/∂θ)/f(x)

    Args:
        q: The probability q, 0 ≤ q ≤ 1; nan is returned elsewhere.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.
        rate: The rate λ = 1/s > 0, in place of the scale.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.5, 2.0):.6g}")
        1.67835

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.1 to
        §17.3.
    """
    return moved("isf", _scaled("upper"), loc, scale, rate, q=q, a=a)


def mean(
    a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0, *, rate: ArrayLike | None = None
) -> Float[Array, "..."]:
    """Mean of the gamma law.

        a s

    Gradient:
        s,  a

    Args:
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.
        rate: The rate λ = 1/s > 0, in place of the scale.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(2.0):.6g}")
        2

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.1 to
        §17.3.
    """
    return moved("mean", lambda a, scale: _valid(a, scale, a * scale), loc, scale, rate, a=a)


def variance(
    a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0, *, rate: ArrayLike | None = None
) -> Float[Array, "..."]:
    """Variance of the gamma law.

        a s²

    Gradient:
        s²,  2 a s

    Args:
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.
        rate: The rate λ = 1/s > 0, in place of the scale.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(2.0):.6g}")
        2

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.1 to
        §17.3.
    """
    return moved(
        "variance",
        lambda a, scale: _valid(a, scale, a * scale * scale),
        loc,
        scale,
        rate,
        follows=False,
        a=a,
    )


def mode(
    a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0, *, rate: ArrayLike | None = None
) -> Float[Array, "..."]:
    """Mode of the gamma law.

        max(a − 1, 0) s

    Gradient:
        s,  a − 1        for a > 1

    Args:
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.
        rate: The rate λ = 1/s > 0, in place of the scale.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(2.0):.6g}")
        1

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.1 to
        §17.3.
    """
    return moved(
        "mode",
        lambda a, scale: _valid(a, scale, jnp.maximum(a - 1, 0) * scale),
        loc,
        scale,
        rate,
        a=a,
    )


def entropy(
    a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0, *, rate: ArrayLike | None = None
) -> Float[Array, "..."]:
    """Differential entropy, in nats, of the gamma law.

        a + log s + log Γ(a) + (1 − a) ψ(a)

    Gradient:
        ∂/∂a = 1 + (1 − a) ψ′(a),    ∂/∂s = 1/s

    Args:
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.
        rate: The rate λ = 1/s > 0, in place of the scale.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(2.0):.6g}")
        1.57722

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.1 to
        §17.3.
    """
    return moved("entropy", _entropy, loc, scale, rate, follows=False, a=a)


def kl(
    a_p: ArrayLike, scale_p: ArrayLike, a_q: ArrayLike, scale_q: ArrayLike
) -> Float[Array, "..."]:
    """Divergence KL(p ‖ q), in nats, of one of two gamma laws from another.

        log Γ(b) − log Γ(a) − (b − a) ψ(a) + a (r − 1 − log r) + (a − b) log r,    r = s/t

    Here p is Gamma(a, s) and q is Gamma(b, t). The first three terms are a Bregman divergence, an
    integral of ψ′ where b is near a, so that nothing cancels.

    Gradient:
        ∂/∂b = ψ(b) − ψ(a) − log r,    ∂/∂a = (a − b) ψ′(a) + r − 1

    Args:
        a_p: The shape of p.
        scale_p: The scale of p.
        a_q: The shape of q.
        scale_q: The scale of q.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(2.0, 1.0, 3.0, 0.5):.6g}")
        0.190921

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.1 to
        §17.3.
    """
    return evaluated("kl", _kl, a_p=a_p, scale_p=scale_p, a_q=a_q, scale_q=scale_q)


def sample(
    key: PRNGKeyArray,
    a: ArrayLike,
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    *,
    rate: ArrayLike | None = None,
    shape: tuple[int, ...] | None = None,
) -> Float[Array, "..."]:
    """Random numbers drawn from the gamma law.

    Differentiable in both parameters: in the scale by reparameterisation, in the shape by the
    implicit derivative of ``jax.random.gamma``.

    Args:
        key: The random key.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.
        rate: The rate λ = 1/s > 0, in place of the scale.
        shape: The shape of what is drawn, to which the parameters must broadcast; by default it
            is theirs.

    Returns:
        The draws, independent of each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> draws = sample(jax.random.key(0), 2.0, shape=(2000,))
        >>> print(f"{draws.mean():.1f}")
        2.0

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.1 to
        §17.3.
    """
    size = {"scale": scale} if rate is None else {"rate": rate}
    shape = sample_shape("sample", shape, a=a, loc=loc, **size)
    _checks.key("sample", key)

    def draws(a, scale):
        return _valid(a, scale, scale * jax.random.gamma(key, a, shape, a.dtype))

    return moved("sample", draws, loc, scale, rate, a=jnp.broadcast_to(a, shape))


def fit(
    x: ArrayLike, *, weights: ArrayLike | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of the gamma law that make observations most likely.

        log a − ψ(a) = log x̄ − mean log x,    s = x̄/a

    The right side is summed as the mean of x/x̄ − 1 − log(x/x̄), no term of which is negative.

    Args:
        x: The observations x > 0, on the last axis.
        weights: How much each observation counts, weights ≥ 0 that broadcast with the
            observations; by default all count 1.

    Returns:
        The shapes a and the scales s.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> a, scale = fit(jnp.array([0.5, 1.0, 2.0, 4.0]))
        >>> print(f"{a:.4f} {scale:.4f}")
        1.9228 0.9752

    Source:
        Minka, Estimating a gamma distribution (2002).
    """
    return _fitted(*observations("fit", weights, x=x))


def score(
    x: ArrayLike, a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "... 2"]:
    """Derivatives of the logarithm of the density by the parameters of the gamma law.

        log z − ψ(a),    (z − a)/s

    Args:
        x: Where; below μ the density is 0.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.

    Returns:
        The derivatives by a and by s on a new last axis.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print([f"{s:.4f}" for s in score(1.0, 2.0)])
        ['-0.4228', '-1.0000']

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.1 to
        §17.3.
    """
    return placed_score("score", _tails.log_density, loc, scale, x=x, a=a)


def fisher_information(
    a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Fisher information, per observation, of the parameters of the gamma law.

        [[ψ′(a), 1/s], [1/s, a/s²]]

    Args:
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.

    Returns:
        Matrices of two rows and columns, on two new last axes.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(2.0).round(4))
        [[0.64489996 1.        ]
         [1.         2.        ]]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.1 to
        §17.3.
    """
    rows = [
        lambda a, scale: _valid(a, scale, trigamma(a)),
        lambda a, scale: _valid(a, scale, 1 / scale),
        lambda a, scale: _valid(a, scale, a / scale / scale),
    ]
    of = [moved("fisher_information", row, loc, scale, follows=False, a=a) for row in rows]
    return symmetric((of[0], of[1]), (of[2],))
