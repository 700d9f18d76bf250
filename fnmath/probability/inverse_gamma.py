"""The inverse gamma law: of 1/x for a gamma x, the conjugate prior of a normal's variance.

Notation: a is the shape, μ where it begins and s the scale, z = s/(x − μ); Γ is the gamma function,
ψ = (log Γ)′ and ψ′ its derivative; Q(a, z) is the regularised upper incomplete gamma function.

    f(x) = zᵃ⁺¹ exp(−z)/(Γ(a) s),    x > μ

Parameters outside their domain give nan everywhere; x outside the support gives the limit, nan nan.
"""

from __future__ import annotations

# pyright: reportGeneralTypeIssues=false
# (a derivative may speak of the function that it belongs to)
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.numerics import with_derivatives
from fnmath.numerics._pairs import log_pair
from fnmath.probability import _gamma_tails as _tails
from fnmath.probability import gamma
from fnmath.probability._evaluation import evaluated, observations, sample_shape, symmetric
from fnmath.probability._gamma_quantiles import quantile as _quantile
from fnmath.probability._information import gamma_kl, inverse_gamma_entropy
from fnmath.probability._log_gammas import trigamma
from fnmath.probability._placing import moved, placed, placed_score
from fnmath.probability._two_part import exp_of, negative, summed


def _valid(a: jax.Array, scale: jax.Array, value: jax.Array) -> jax.Array:
    """The value, nan where a parameter is outside its domain."""
    return jnp.where((a > 0) & (scale > 0), value, jnp.nan)


def _inside(x: jax.Array, a: jax.Array, scale: jax.Array) -> tuple[jax.Array, ...]:
    inside = (x > 0) & (x < jnp.inf) & (a > 0) & (a < jnp.inf) & (scale > 0) & (scale < jnp.inf)
    return inside, *(jnp.where(inside, t, 1) for t in (x, a, scale))


def _log_terms(x: jax.Array, a: jax.Array, scale: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The logarithm of zᵃ exp(−z)/Γ(a)/x, in two parts."""
    log_f = _tails._log_f(a, _tails.standardised(scale, x))
    return summed(*log_f, *log_pair(a), *negative(log_pair(x)))


def _elementwise(f, otherwise: float):
    """The function that f is inside of the support, and a number at its ends and beyond."""

    def function(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
        inside, *some = _inside(x, a, scale)
        ends = jnp.where(jnp.isnan(x), jnp.nan, otherwise)
        return _valid(a, scale, jnp.where(inside, f(*some), ends))

    return function


def _by_x(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
    return _tails._log_by_scale(scale, a, x) - 1 / x


def _by_shape(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
    return _tails._log_by_shape(scale, a, x)


def _by_scale(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
    return -_tails._log_by_scale(scale, a, x) * (x / scale)


@with_derivatives(*(_elementwise(f, 0.0) for f in (_by_x, _by_shape, _by_scale)))
def _log_density(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
    return _elementwise(lambda *p: sum(_log_terms(*p)), -jnp.inf)(x, a, scale)


def _times_density(slope):
    return _elementwise(lambda *p: _density(*p) * slope(*p), 0.0)


@with_derivatives(*(_times_density(f) for f in (_by_x, _by_shape, _by_scale)))
def _density(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
    return _elementwise(lambda *p: exp_of(_log_terms(*p)), 0.0)(x, a, scale)


def _tail(kind: str):
    """What is asked of the tails: the lower one is the upper one of the gamma law at s/x."""
    side = kind.replace("lower", "above").replace("upper", "lower").replace("above", "upper")

    def function(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
        above = (x > 0) & (x < jnp.inf)
        value = _tails.tail_function(side)(scale, a, jnp.where(above, x, 1))
        at_end = jnp.where((x > 0) == kind.endswith("lower"), 1, jnp.zeros_like(x))
        ends = jnp.log(at_end) if kind.startswith("log") else at_end
        ends = jnp.where(jnp.isnan(x), jnp.nan, ends)
        return _valid(a, scale, jnp.where(above, value, ends))

    return function


def _inverted(kind: str):
    """The scale over the other quantile of the gamma law."""
    other = "upper" if kind == "lower" else "lower"

    def function(q: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
        return _valid(a, scale, scale / _quantile(other)(q, a))

    return function


def _mean(a: jax.Array, scale: jax.Array) -> jax.Array:
    finite = scale / jnp.where(a > 1, a - 1, 1)
    return _valid(a, scale, jnp.where(a > 1, finite, jnp.inf))


def _variance(a: jax.Array, scale: jax.Array) -> jax.Array:
    some = jnp.where(a > 2, a, 3)
    finite = jnp.square(scale / (some - 1)) / (some - 2)
    return _valid(a, scale, jnp.where(a > 2, finite, jnp.where(a > 1, jnp.inf, jnp.nan)))


def _entropy(a: jax.Array, scale: jax.Array) -> jax.Array:
    return _valid(a, scale, inverse_gamma_entropy(a) + jnp.log(scale))


def _kl(a_p: jax.Array, scale_p: jax.Array, a_q: jax.Array, scale_q: jax.Array) -> jax.Array:
    """The divergence of the gamma laws of 1/x, whose scales are 1/s."""
    value = gamma_kl(a_p, scale_q, a_q, scale_p)
    return _valid(a_p, scale_p, _valid(a_q, scale_q, value))


def pdf(
    x: ArrayLike, a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Density of the inverse gamma law.

        f(x) = zᵃ⁺¹ exp(−z)/(Γ(a) s),    z = s/(x − μ)

    Gradient:
        ∂f/∂θ = f(x) ∂ log f/∂θ        as in ``logpdf``, x included

    Args:
        x: Where; below μ the density is 0.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(1.0, 3.0, scale=2.0):.6g}")
        0.541341

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.4 (as 1/x
        of the gamma law).
    """
    return placed("pdf", _density, loc, scale, x=x, a=a)


def logpdf(
    x: ArrayLike, a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Logarithm of the density, in nats, of the inverse gamma law.

        log f(x) = (a + 1) log z − z − log Γ(a) − log s

    Gradient:
        ∂/∂x = (z − a − 1)/x,    ∂/∂a = log z − ψ(a),    ∂/∂s = (a − z)/s

    Args:
        x: Where; below μ the density is 0.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(1.0, 3.0, scale=2.0):.6g}")
        -0.613706

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.4 (as 1/x
        of the gamma law).
    """
    return placed("logpdf", _log_density, loc, scale, x=x, a=a)


def cdf(
    x: ArrayLike, a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Probability, under the inverse gamma law, of at most x.

        F(x) = Q(a, z)

    Gradient:
        ∂F/∂x = f(x) = −∂F/∂μ,    ∂F/∂s = −f(x)/z,    ∂F/∂a as in ``gamma.sf``

    Args:
        x: Where; below μ the density is 0.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1.0, 3.0, scale=2.0):.6g}")
        0.676676

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.4 (as 1/x
        of the gamma law).
    """
    return placed("cdf", _tail("lower"), loc, scale, x=x, a=a)


def logcdf(
    x: ArrayLike, a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability, under the inverse gamma law, of at most x.

        log F(x)        right where F itself is below all numbers

    Gradient:
        ∂ log F/∂θ = (∂F/∂θ)/F(x),    x included

    Args:
        x: Where; below μ the density is 0.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1.0, 3.0, scale=2.0):.6g}")
        -0.390562

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.4 (as 1/x
        of the gamma law).
    """
    return placed("logcdf", _tail("log_lower"), loc, scale, x=x, a=a)


def sf(
    x: ArrayLike, a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Probability, under the inverse gamma law, of more than x.

        1 − F(x)        right to the last place where it is small

    Gradient:
        ∂(1 − F)/∂θ = −∂F/∂θ        as in ``cdf``

    Args:
        x: Where; below μ the density is 0.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1.0, 3.0, scale=2.0):.6g}")
        0.323324

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.4 (as 1/x
        of the gamma law).
    """
    return placed("sf", _tail("upper"), loc, scale, x=x, a=a)


def logsf(
    x: ArrayLike, a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Logarithm, in nats, of the probability, under the inverse gamma law, of more than x.

        log(1 − F(x))        right where 1 − F itself is below all numbers

    Gradient:
        ∂ log(1 − F)/∂θ = −(∂F/∂θ)/(1 − F(x)),    x included

    Args:
        x: Where; below μ the density is 0.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1.0, 3.0, scale=2.0):.6g}")
        -1.1291

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.4 (as 1/x
        of the gamma law).
    """
    return placed("logsf", _tail("log_upper"), loc, scale, x=x, a=a)


def ppf(
    q: ArrayLike, a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Quantile of the inverse gamma law.

        x with F(x) = q

    Gradient:
        ∂x/∂q = 1/f(x),    ∂x/∂θ = −(∂F/∂θ)/f(x)        by the inverse function theorem

    Args:
        q: The probability q, 0 ≤ q ≤ 1; nan is returned elsewhere.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.5, 3.0, scale=2.0):.6g}")
        0.747926

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.4 (as 1/x
        of the gamma law).
    """
    return moved("ppf", _inverted("lower"), loc, scale, q=q, a=a)


def isf(
    q: ArrayLike, a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Quantile from above of the inverse gamma law.

        x with 1 − F(x) = q        right for q far below the spacing of numbers at 1

    Gradient:
        ∂x/∂q = −1/f(x),    ∂x/∂θ = −(∂F/∂θ)/f(x)

    Args:
        q: The probability q, 0 ≤ q ≤ 1; nan is returned elsewhere.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.5, 3.0, scale=2.0):.6g}")
        0.747926

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.4 (as 1/x
        of the gamma law).
    """
    return moved("isf", _inverted("upper"), loc, scale, q=q, a=a)


def mean(a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Float[Array, "..."]:
    """Mean of the inverse gamma law.

        s/(a − 1)        for a > 1, else ∞

    Args:
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(3.0, scale=2.0):.6g}")
        1

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.4 (as 1/x
        of the gamma law).
    """
    return moved("mean", _mean, loc, scale, a=a)


def variance(a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Float[Array, "..."]:
    """Variance of the inverse gamma law.

        s²/((a − 1)² (a − 2))        for a > 2, ∞ for 1 < a ≤ 2

    Args:
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(3.0, scale=2.0):.6g}")
        1

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.4 (as 1/x
        of the gamma law).
    """
    return moved("variance", _variance, loc, scale, follows=False, a=a)


def mode(a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Float[Array, "..."]:
    """Mode of the inverse gamma law.

        s/(a + 1)

    Args:
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(3.0, scale=2.0):.6g}")
        0.5

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.4 (as 1/x
        of the gamma law).
    """
    return moved("mode", lambda a, scale: _valid(a, scale, scale / (a + 1)), loc, scale, a=a)


def entropy(a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Float[Array, "..."]:
    """Differential entropy, in nats, of the inverse gamma law.

        a + log s + log Γ(a) − (1 + a) ψ(a)

    Gradient:
        ∂/∂a = 1 − (1 + a) ψ′(a),    ∂/∂s = 1/s

    Args:
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(3.0, scale=2.0):.6g}")
        0.695157

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.4 (as 1/x
        of the gamma law).
    """
    return moved("entropy", _entropy, loc, scale, follows=False, a=a)


def kl(
    a_p: ArrayLike, scale_p: ArrayLike, a_q: ArrayLike, scale_q: ArrayLike
) -> Float[Array, "..."]:
    """Divergence KL(p ‖ q), in nats, of one of two inverse gamma laws from another.

        KL of the gamma laws of 1/x        no one-to-one map of x changes it

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
        1.3498

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.4 (as 1/x
        of the gamma law).
    """
    return evaluated("kl", _kl, a_p=a_p, scale_p=scale_p, a_q=a_q, scale_q=scale_q)


def sample(
    key: PRNGKeyArray,
    a: ArrayLike,
    loc: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
    *,
    shape: tuple[int, ...] | None = None,
) -> Float[Array, "..."]:
    """Random numbers drawn from the inverse gamma law.

    Differentiable in both parameters, by the implicit derivative of ``jax.random.loggamma``.

    Args:
        key: The random key.
        a: The shape a > 0; nan is returned elsewhere.
        loc: The lower end μ, in the units of x.
        scale: The scale s > 0, in the units of x; nan is returned elsewhere.
        shape: The shape of what is drawn, to which the parameters must broadcast; by default it
            is theirs.

    Returns:
        The draws, independent of each other.

    Raises:
        TypeError: If an argument is not real.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> draws = sample(jax.random.key(0), 3.0, scale=2.0, shape=(2000,))
        >>> print(f"{draws.mean():.0f}")
        1

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.4 (as 1/x
        of the gamma law).
    """
    shape = sample_shape("sample", shape, a=a, loc=loc, scale=scale)
    _checks.key("sample", key)

    def draws(a: jax.Array, scale: jax.Array) -> jax.Array:
        return _valid(a, scale, scale * jnp.exp(-jax.random.loggamma(key, a, shape, a.dtype)))

    return moved("sample", draws, loc, scale, a=jnp.broadcast_to(a, shape))


def fit(
    x: ArrayLike, *, weights: ArrayLike | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of the inverse gamma law that make observations most likely.

        as ``gamma.fit`` of 1/x

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
        1.9228 2.0510

    Source:
        Minka, Estimating a gamma distribution (2002).
    """
    x, w = observations("fit", weights, x=x)
    a, over_scale = gamma.fit(1 / x, weights=w)
    return a, 1 / over_scale


def score(
    x: ArrayLike, a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "... 2"]:
    """Derivatives of the logarithm of the density by the parameters of the inverse gamma law.

        log z − ψ(a),    (a − z)/s

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
        >>> print([f"{s:.4f}" for s in score(1.0, 3.0, scale=2.0)])
        ['-0.2296', '0.5000']

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.4 (as 1/x
        of the gamma law).
    """
    return placed_score("score", _log_density, loc, scale, x=x, a=a)


def fisher_information(
    a: ArrayLike, loc: ArrayLike = 0.0, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Fisher information, per observation, of the parameters of the inverse gamma law.

        [[ψ′(a), −1/s], [−1/s, a/s²]]

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
        >>> print(fisher_information(3.0, scale=2.0).round(4))
        [[ 0.3949 -0.5   ]
         [-0.5     0.75  ]]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 1 (1994), §17.4 (as 1/x
        of the gamma law).
    """
    rows = [
        lambda a, scale: _valid(a, scale, trigamma(a)),
        lambda a, scale: _valid(a, scale, -1 / scale),
        lambda a, scale: _valid(a, scale, a / scale / scale),
    ]
    of = [moved("fisher_information", row, loc, scale, follows=False, a=a) for row in rows]
    return symmetric((of[0], of[1]), (of[2],))
