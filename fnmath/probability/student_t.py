"""Student's law: a normal of unknown variance, with tails like |x|^−(ν + 1).

Notation: ν is the number of degrees of freedom, μ the location, σ the scale, s = (x − μ)/σ,
u = s²/ν; B is the beta function, ψ = (log Γ)′ and ψ′ its derivative.

    f(x) = (1 + u)^(−(ν + 1)/2)/(√ν B(½, ν/2) σ)

Parameters outside their domain give nan everywhere, ν = ∞ among them; x = ±∞ gives the limit.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.numerics._stirling import student_constant
from fnmath.probability import _student_tails as _tails
from fnmath.probability._evaluation import (
    evaluated,
    observations,
    sample_shape,
    score_of,
)
from fnmath.probability._families import evaluated_by_axes, finite_scale, information
from fnmath.probability._gamma_numbers import half_step_excess
from fnmath.probability._log_gammas import digamma
from fnmath.probability._numbers import Number


def _known(df: jax.Array, loc: jax.Array, scale: jax.Array) -> jax.Array:
    return (df > 0) & (df < jnp.inf) & finite_scale(loc, scale)


def _valid(df: jax.Array, loc: jax.Array, scale: jax.Array, value: jax.Array) -> jax.Array:
    """The value, nan where a parameter is outside its domain."""
    return jnp.where(_known(df, loc, scale), value, jnp.nan)


def _moved(kind: str):
    """The standard quantile, moved to μ and σ."""

    def function(q: jax.Array, df: jax.Array, loc: jax.Array, scale: jax.Array) -> jax.Array:
        return _valid(df, loc, scale, _tails.affine(loc, scale, _tails.quantile(kind)(q, df)))

    return function


def _variance(df: jax.Array, loc: jax.Array, scale: jax.Array) -> jax.Array:
    some = jnp.where(df > 2, df, 3)
    finite = scale * scale * (some / (some - 2))
    return _valid(df, loc, scale, jnp.where(df > 2, finite, jnp.where(df > 1, jnp.inf, jnp.nan)))


def _entropy(df: jax.Array, loc: jax.Array, scale: jax.Array) -> jax.Array:
    slope = jax.jvp(student_constant, (0.5 * df,), (jnp.ones_like(df),))[1]
    standard = 0.5 * (1 + 1 / df) * (1 - df * slope) + student_constant(0.5 * df)
    return _valid(df, loc, scale, standard + jnp.log(scale))


def _information(df: Number, loc: Number, scale: Number) -> tuple[tuple[Number, ...], ...]:
    """The rows of the matrix of ν, μ and σ up to the diagonal."""
    per = (df + 3.0) * scale
    return (
        (half_step_excess(df),),
        (0.0, (df + 1.0) / (per * scale)),
        (-2 / ((df + 1.0) * per), 0.0, 2 * df / (per * scale)),
    )


def _df_of(log_w: jax.Array, w: jax.Array, nu: jax.Array) -> jax.Array:
    """The ν of which that derivative is 0, by halves of log ν from 10⁻² to 10⁴."""
    spread = digamma(0.5 * (nu + 1)) - jnp.log(0.5 * (nu + 1))

    def halved(_: jax.Array, bracket: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bracket
        middle = 0.5 * (low + high)
        half = 0.5 * jnp.exp(middle)
        rising = jnp.log(half) - digamma(half) + 1 + log_w - w + spread > 0
        return jnp.where(rising, middle, low), jnp.where(rising, high, middle)

    bracket = jnp.full_like(log_w, -4.6), jnp.full_like(log_w, 9.2)
    low, high = jax.lax.fori_loop(0, 30, halved, bracket)
    return jnp.exp(0.5 * (low + high))


def _fitted(x: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Expectation and maximisation: outliers weigh w = (ν + 1)/(ν + s²)."""

    def mean(values: jax.Array) -> jax.Array:
        return jnp.sum(weights * values, -1)

    def step(_: jax.Array, state: tuple) -> tuple:
        nu, loc, scale = state
        s = (x - loc[..., None]) / scale[..., None]
        w = (nu[..., None] + 1) / (nu[..., None] + s * s)
        new = mean(w * x) / mean(w)
        # Over the mean weight and not 1: the same fixed point, in fewer steps.
        spread = jnp.sqrt(mean(w * jnp.square(x - new[..., None])) / mean(w))
        return _df_of(mean(jnp.log(w)), mean(w), nu), new, spread

    loc = mean(x)
    start = jnp.full_like(loc, 5), loc, jnp.sqrt(mean(jnp.square(x - loc[..., None])))
    return jax.lax.fori_loop(0, 300, step, start)


def pdf(
    x: ArrayLike, df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Density of Student's law.

        f(x) = (1 + u)^(−(ν + 1)/2)/(√ν B(½, ν/2) σ),    u = s²/ν

    Gradient:
        ∂f/∂θ = f(x) ∂ log f/∂θ        as in ``logpdf``, x included

    Args:
        x: Where.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.
        loc: The location μ, where it is symmetric.
        scale: The scale s > 0, in the units of x, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(1.0, 3.0, 0.0, 1.0):.6g}")
        0.206748

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §28.1 to
        §28.4.
    """
    return evaluated_by_axes("pdf", _tails.density, x=x, df=df, loc=loc, scale=scale)


def logpdf(
    x: ArrayLike, df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Logarithm of the density, in nats, of Student's law.

        log f(x) = −½ (ν + 1) log(1 + u) − log B(½, ν/2) − ½ log ν − log σ

    Gradient:
        ∂/∂x = −(1 + 1/ν) s/(1 + u)/σ = −∂/∂μ,    ∂/∂σ = (s² − 1)/(1 + u)/σ
        ∂/∂ν = −½ [log(1 + u) − (1 + 1/ν) u/(1 + u)] + ½ [ψ(½ (ν + 1)) − ψ(½ν) − 1/ν]

    Args:
        x: Where.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.
        loc: The location μ, where it is symmetric.
        scale: The scale s > 0, in the units of x, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(1.0, 3.0, 0.0, 1.0):.6g}")
        -1.57625

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §28.1 to
        §28.4.
    """
    return evaluated_by_axes("logpdf", _tails.log_density, x=x, df=df, loc=loc, scale=scale)


def cdf(
    x: ArrayLike, df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Probability, under Student's law, of at most x.

        F(x) = 1 − ½ I_κ(ν/2, ½),    κ = 1/(1 + u)        for x > μ

    Gradient:
        ∂F/∂x = f(x) = −∂F/∂μ,    ∂F/∂σ = −s f(x)
        ∂F/∂ν = F(x) E[∂ log f/∂ν | t < x]        for t ~ f, in closed quadrature

    Args:
        x: Where.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.
        loc: The location μ, where it is symmetric.
        scale: The scale s > 0, in the units of x, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1.0, 3.0, 0.0, 1.0):.6g}")
        0.804499

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §28.1 to
        §28.4.
    """
    return evaluated("cdf", _tails.tail_function("lower"), x=x, df=df, loc=loc, scale=scale)


def logcdf(
    x: ArrayLike, df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability, under Student's law, of at most x.

        log F(x)        right where F itself is below all numbers

    Gradient:
        ∂ log F/∂θ = (∂F/∂θ)/F(x),    x included

    Args:
        x: Where.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.
        loc: The location μ, where it is symmetric.
        scale: The scale s > 0, in the units of x, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1.0, 3.0, 0.0, 1.0):.6g}")
        -0.217536

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §28.1 to
        §28.4.
    """
    return evaluated("logcdf", _tails.tail_function("log_lower"), x=x, df=df, loc=loc, scale=scale)


def sf(
    x: ArrayLike, df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Probability, under Student's law, of more than x.

        1 − F(x)        right to the last place where it is small

    Gradient:
        ∂(1 − F)/∂θ = −∂F/∂θ        as in ``cdf``

    Args:
        x: Where.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.
        loc: The location μ, where it is symmetric.
        scale: The scale s > 0, in the units of x, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1.0, 3.0, 0.0, 1.0):.6g}")
        0.195501

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §28.1 to
        §28.4.
    """
    return evaluated("sf", _tails.tail_function("upper"), x=x, df=df, loc=loc, scale=scale)


def logsf(
    x: ArrayLike, df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability, under Student's law, of more than x.

        log(1 − F(x))        right where 1 − F itself is below all numbers

    Gradient:
        ∂ log(1 − F)/∂θ = −(∂F/∂θ)/(1 − F(x)),    x included

    Args:
        x: Where.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.
        loc: The location μ, where it is symmetric.
        scale: The scale s > 0, in the units of x, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1.0, 3.0, 0.0, 1.0):.6g}")
        -1.63219

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §28.1 to
        §28.4.
    """
    return evaluated("logsf", _tails.tail_function("log_upper"), x=x, df=df, loc=loc, scale=scale)


def ppf(
    q: ArrayLike, df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Quantile of Student's law.

        x with F(x) = q

    Gradient:
        ∂x/∂q = 1/f(x),    ∂x/∂θ = −(∂F/∂θ)/f(x)        by the inverse function theorem

    Args:
        q: The probability q, 0 ≤ q ≤ 1; nan is returned elsewhere.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.
        loc: The location μ, where it is symmetric.
        scale: The scale s > 0, in the units of x, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.9, 3.0, 0.0, 1.0):.6g}")
        1.63774

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §28.1 to
        §28.4.
    """
    return evaluated("ppf", _moved("lower"), q=q, df=df, loc=loc, scale=scale)


def isf(
    q: ArrayLike, df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Quantile from above of Student's law.

        x with 1 − F(x) = q        right for q far below the spacing of numbers at 1

    Gradient:
        ∂x/∂q = −1/f(x),    ∂x/∂θ = −(∂F/∂θ)/f(x)

    Args:
        q: The probability q, 0 ≤ q ≤ 1; nan is returned elsewhere.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.
        loc: The location μ, where it is symmetric.
        scale: The scale s > 0, in the units of x, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.9, 3.0, 0.0, 1.0):.6g}")
        -1.63774

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §28.1 to
        §28.4.
    """
    return evaluated("isf", _moved("upper"), q=q, df=df, loc=loc, scale=scale)


def mean(df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Float[Array, "..."]:
    """Mean of Student's law.

        μ        for ν > 1

    Gradient:
        ∂/∂μ = 1

    Args:
        df: The degrees of freedom ν > 0; nan is returned elsewhere.
        loc: The location μ, where it is symmetric.
        scale: The scale s > 0, in the units of x, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(3.0, 0.0, 1.0):.6g}")
        0

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §28.1 to
        §28.4.
    """
    return evaluated(
        "mean",
        lambda df, loc, scale: _valid(df, loc, scale, jnp.where(df > 1, loc, jnp.nan)),
        df=df,
        loc=loc,
        scale=scale,
    )


def variance(df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Float[Array, "..."]:
    """Variance of Student's law.

        σ² ν/(ν − 2)        for ν > 2, ∞ for 1 < ν ≤ 2

    Args:
        df: The degrees of freedom ν > 0; nan is returned elsewhere.
        loc: The location μ, where it is symmetric.
        scale: The scale s > 0, in the units of x, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(3.0, 0.0, 1.0):.6g}")
        3

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §28.1 to
        §28.4.
    """
    return evaluated("variance", _variance, df=df, loc=loc, scale=scale)


def mode(df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Float[Array, "..."]:
    """Mode of Student's law.

        μ

    Gradient:
        ∂/∂μ = 1

    Args:
        df: The degrees of freedom ν > 0; nan is returned elsewhere.
        loc: The location μ, where it is symmetric.
        scale: The scale s > 0, in the units of x, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(3.0, 0.0, 1.0):.6g}")
        0

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §28.1 to
        §28.4.
    """
    return evaluated(
        "mode",
        lambda df, loc, scale: _valid(df, loc, scale, loc),
        df=df,
        loc=loc,
        scale=scale,
    )


def entropy(df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Float[Array, "..."]:
    """Differential entropy, in nats, of Student's law.

        ½ (ν + 1) (ψ(½ (ν + 1)) − ψ(½ν)) + log(√ν B(½, ½ν)) + log σ

    Args:
        df: The degrees of freedom ν > 0; nan is returned elsewhere.
        loc: The location μ, where it is symmetric.
        scale: The scale s > 0, in the units of x, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(3.0, 0.0, 1.0):.6g}")
        1.77348

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §28.1 to
        §28.4.
    """
    return evaluated("entropy", _entropy, df=df, loc=loc, scale=scale)


def sample(
    key: PRNGKeyArray,
    df: ArrayLike,
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    *,
    shape: tuple[int, ...] | None = None,
) -> Float[Array, "..."]:
    """Random numbers drawn from Student's law.

        μ + σ z/√(2 g/ν),    z ~ N(0, 1),  g ~ Gamma(ν/2, 1)

    Differentiable in all parameters: in ν by the implicit derivative of ``jax.random.gamma``.

    Args:
        key: The random key.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.
        loc: The location μ, where it is symmetric.
        scale: The scale s > 0, in the units of x, likewise.
        shape: The shape of what is drawn, to which the parameters must broadcast; by default it
            is theirs.

    Returns:
        The draws, independent of each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> draws = sample(jax.random.key(0), 3.0, 0.0, 1.0, shape=(2000,))
        >>> print(f"{draws.mean():.1f}")
        -0.0

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §28.1 to
        §28.4.
    """
    shape = sample_shape("sample", shape, df=df, loc=loc, scale=scale)
    _checks.key("sample", key)
    of_normal, of_gamma = jax.random.split(key)

    def draws(df: jax.Array, loc: jax.Array, scale: jax.Array) -> jax.Array:
        log_g = jax.random.loggamma(of_gamma, 0.5 * df, shape, df.dtype)
        z = jax.random.normal(of_normal, shape, df.dtype)
        return _valid(df, loc, scale, loc + scale * z * jnp.exp(0.5 * (jnp.log(0.5 * df) - log_g)))

    df = jnp.broadcast_to(df, shape)
    return evaluated("sample", draws, df=df, loc=loc, scale=scale)


def fit(
    x: ArrayLike, *, weights: ArrayLike | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of Student's law that make observations most likely.

        μ = mean(w x)/mean(w),    σ² = mean(w (x − μ)²),    w = (ν + 1)/(ν + s²)

    By expectation and maximisation, 300 steps of it; ν is kept between 10⁻² and 10⁴.

    Args:
        x: The observations, on the last axis.
        weights: How much each observation counts, weights ≥ 0 that broadcast with the
            observations; by default all count 1.

    Returns:
        The degrees of freedom ν, the locations μ and the scales σ.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> df, loc, scale = fit(jnp.array([-5.0, -1.0, -0.5, 0.0, 0.5, 1.0, 5.0]))
        >>> print(f"{df:.2f} {abs(loc):.1f} {scale:.2f}")
        1.20 0.0 0.99

    Source:
        Liu and Rubin, ML estimation of the t distribution using EM and its extensions (1995), §2 to
        §4.
    """
    return _fitted(*observations("fit", weights, x=x))


def score(
    x: ArrayLike, df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "... 3"]:
    """Derivatives of the logarithm of the density by the parameters of Student's law.

    Args:
        x: Where.
        df: The degrees of freedom ν > 0; nan is returned elsewhere.
        loc: The location μ, where it is symmetric.
        scale: The scale s > 0, in the units of x, likewise.

    Returns:
        The derivatives by ν, by μ and by σ on a new last axis.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print([f"{s:.4f}" for s in score(1.0, 3.0, 0.0, 1.0)])
        ['0.0493', '1.0000', '0.0000']

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §28.1 to
        §28.4.
    """
    return score_of("score", _tails.log_density, (1, 2, 3), x=x, df=df, loc=loc, scale=scale)


def fisher_information(
    df: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "... 3 3"]:
    """Fisher information, per observation, of the parameters of Student's law.

        of ν: ¼ (ψ′(ν/2) − ψ′((ν + 1)/2)) − (ν + 5)/(2ν (ν + 1) (ν + 3))
        of ν with σ: −2/(σ (ν + 1) (ν + 3)),    of μ with ν or σ: 0
        of μ: (ν + 1)/((ν + 3) σ²),    of σ: 2ν/((ν + 3) σ²)

    Args:
        df: The degrees of freedom ν > 0; nan is returned elsewhere.
        loc: The location μ, where it is symmetric.
        scale: The scale σ > 0, in the units of x, likewise.

    Returns:
        For each entry of the parameters broadcast with each other a matrix, of ν, μ and σ, on two
        new last axes.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(*(f"{entry:.4f}" for entry in fisher_information(3.0, 0.0, 2.0).ravel()))
        0.0169 0.0000 -0.0417 0.0000 0.1667 0.0000 -0.0417 0.0000 0.2500

    Source:
        Lange, Little and Taylor, Robust statistical modeling using the t distribution (1989),
        appendix B.
    """
    return information("fisher_information", _information, _known, df=df, loc=loc, scale=scale)
