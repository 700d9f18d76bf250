"""The von Mises distribution, the normal one of angles.

    f(x) = exp(κ cos(x − μ))/(2π I₀(κ)) = exp(−2κ sin²(θ/2))/C

Notation: κ is the concentration, μ the mean direction, θ = x − μ within ±π, all in radians; I₀ and
I₁ are Bessel functions, A = I₁/I₀, C = 2π exp(−κ) I₀(κ).

As in SciPy x is any number: the density has the period 2π, and the cdf, ½ at μ, grows by 1 each
turn. Its logarithm is meant for |x − μ| ≤ π, as the quantiles are. Parameters without meaning give
nan. From κ = 0 to beyond 10⁶ one quadrature gives the constant, the tails and their derivatives.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Real

from fnmath import _checks
from fnmath.numerics._pairs import two_sum
from fnmath.probability import _fitting
from fnmath.probability import _von_mises_tails as _tails
from fnmath.probability._evaluation import evaluated, where_known
from fnmath.probability._families import Numbers, evaluated_by_axes
from fnmath.probability._sampling import target_shape


def _known(kappa: jax.Array, loc: jax.Array) -> jax.Array:
    return (kappa >= 0) & (kappa < jnp.inf) & jnp.isfinite(loc)


def _usual(kappa: jax.Array, loc: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    known = _known(kappa, loc)
    return known, jnp.where(known, kappa, 1), jnp.where(known, loc, 0)


def _at_angle(f, turned: float = 0.0):
    """The function f of the angle and κ, to which each whole turn adds a number."""

    def function(x, kappa, loc):
        given = x, kappa, loc
        known, kappa, loc = _usual(kappa, loc)
        known = known & jnp.isfinite(x)
        x = jnp.where(known, x, 0)
        _, rest = jax.lax.stop_gradient(two_sum(x, -loc))
        theta, turns = _tails.wrapped(x - loc, rest)
        value = f(theta, kappa)
        return where_known(known, value + turned * turns if turned else value, *given)

    return function


def _log_tail(kind: str):
    """The logarithm of a tail, by the tail itself where turns are added to it."""
    sign = 1.0 if kind.endswith("lower") else -1.0

    def function(x, kappa, loc):
        inside = jnp.abs(x - loc) <= 3.1415927
        near = _at_angle(_tails.tail(kind))(jnp.where(inside, x, loc), kappa, loc)
        beyond = _at_angle(_tails.tail(kind[4:]), sign)(jnp.where(inside, loc, x), kappa, loc)
        return jnp.where(inside, near, jnp.log(beyond))

    return function


def _quantile(kind: str):
    def function(q, kappa, loc):
        given = q, kappa, loc
        known, kappa, loc = _usual(kappa, loc)
        known = known & (q >= 0) & (q <= 1)
        theta = _tails.quantile(kind)(jnp.where(known, q, 0.5), kappa)
        return where_known(known, loc + theta, *given)

    return function


def _of_kappa(f):
    """The function f of κ where the parameters have a meaning."""

    def function(kappa, loc):
        known, some, _ = _usual(kappa, loc)
        return where_known(known, f(some), kappa, loc)

    return function


def _direction(kappa: jax.Array, loc: jax.Array) -> jax.Array:
    return jnp.where(_known(kappa, loc), loc, jnp.nan)


def _entropy(kappa: jax.Array) -> jax.Array:
    """Log C + κ (1 − A): the mean of 2κ sin²(θ/2)."""
    return _tails.log_constant(kappa) + kappa * _tails.one_less_ratio(kappa)


def _kl(kappa_p: jax.Array, loc_p: jax.Array, kappa_q: jax.Array, loc_q: jax.Array) -> jax.Array:
    """The mean of log p − log q, of versines: those of μ's and of θ apart."""
    known = _known(kappa_p, loc_p) & _known(kappa_q, loc_q)
    p, q = (jnp.where(known, k, 1) for k in (kappa_p, kappa_q))
    away = 2 * jnp.square(jnp.sin(0.5 * jnp.where(known, loc_p - loc_q, 0)))
    spread = _tails.one_less_ratio(p)
    value = _tails.divergence(p, q) + q * (1 - spread) * away
    return where_known(known, value)


def pdf(x: Numbers, kappa: Numbers, loc: Numbers = 0.0) -> Float[Array, "..."]:
    """Density of the von Mises distribution.

        f(x) = exp(−2κ sin²(θ/2))/C

    Gradient:
        ∂f/∂a = f(x) ∂log f/∂a        as of ``logpdf``

    Args:
        x: Where to look, in radians.
        kappa: The concentration κ ≥ 0; nan is returned elsewhere. 0 is the uniform law.
        loc: The mean direction μ, in radians.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(0.5, 3.0):.4f}")
        0.4536

    Source:
        Mardia and Jupp, Directional Statistics (2000), §3.5.4; ``scipy.stats.vonmises``.
    """
    return evaluated_by_axes("pdf", _at_angle(_tails.density), x=x, kappa=kappa, loc=loc)


def logpdf(x: Numbers, kappa: Numbers, loc: Numbers = 0.0) -> Float[Array, "..."]:
    """Logarithm of the density of the von Mises distribution.

        log f(x) = −2κ sin²(θ/2) − log C

    Gradient:
        ∂/∂x = −κ sin θ = −∂/∂μ,    ∂/∂κ = (1 − A) − 2 sin²(θ/2)

    Args:
        x: Where to look, in radians.
        kappa: The concentration κ ≥ 0; nan is returned elsewhere. 0 is the uniform law.
        loc: The mean direction μ, in radians.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(0.5, 3.0):.4f}")
        -0.7904

    Source:
        Mardia and Jupp, Directional Statistics (2000), §3.5.4; ``scipy.stats.vonmises``.
    """
    return evaluated_by_axes("logpdf", _at_angle(_tails.log_density), x=x, kappa=kappa, loc=loc)


def cdf(x: Numbers, kappa: Numbers, loc: Numbers = 0.0) -> Float[Array, "..."]:
    """Cumulative distribution function of the von Mises distribution, from μ − π on.

        F(x) = ∫ f from μ − π to x

    Gradient:
        ∂F/∂x = f(x) = −∂F/∂μ,    ∂F/∂κ = ∫ (cos t − A) f from μ to x

    Args:
        x: Where to look, in radians.
        kappa: The concentration κ ≥ 0; nan is returned elsewhere. 0 is the uniform law.
        loc: The mean direction μ, in radians.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(0.5, 3.0):.4f}")
        0.7912

    Source:
        Mardia and Jupp, Directional Statistics (2000), §3.5.4; ``scipy.stats.vonmises``.
    """
    return evaluated("cdf", _at_angle(_tails.tail("lower"), 1.0), x=x, kappa=kappa, loc=loc)


def logcdf(x: Numbers, kappa: Numbers, loc: Numbers = 0.0) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the von Mises distribution.

        log F(x)

    Gradient:
        ∂log F/∂a = (∂F/∂a)/F

    Args:
        x: Where to look, in radians.
        kappa: The concentration κ ≥ 0; nan is returned elsewhere. 0 is the uniform law.
        loc: The mean direction μ, in radians.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(0.5, 3.0):.4f}")
        -0.2343

    Source:
        Mardia and Jupp, Directional Statistics (2000), §3.5.4; ``scipy.stats.vonmises``.
    """
    return evaluated("logcdf", _log_tail("log_lower"), x=x, kappa=kappa, loc=loc)


def sf(x: Numbers, kappa: Numbers, loc: Numbers = 0.0) -> Float[Array, "..."]:
    """Survival function of the von Mises distribution: the probability from x to μ + π.

        S(x) = 1 − F(x)

    Gradient:
        ∂S/∂a = −∂F/∂a

    Args:
        x: Where to look, in radians.
        kappa: The concentration κ ≥ 0; nan is returned elsewhere. 0 is the uniform law.
        loc: The mean direction μ, in radians.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(0.5, 3.0):.4f}")
        0.2088

    Source:
        Mardia and Jupp, Directional Statistics (2000), §3.5.4; ``scipy.stats.vonmises``.
    """
    return evaluated("sf", _at_angle(_tails.tail("upper"), -1.0), x=x, kappa=kappa, loc=loc)


def logsf(x: Numbers, kappa: Numbers, loc: Numbers = 0.0) -> Float[Array, "..."]:
    """Logarithm of the survival function of the von Mises distribution.

        log S(x)

    Gradient:
        ∂log S/∂a = (∂S/∂a)/S

    Args:
        x: Where to look, in radians.
        kappa: The concentration κ ≥ 0; nan is returned elsewhere. 0 is the uniform law.
        loc: The mean direction μ, in radians.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(0.5, 3.0):.4f}")
        -1.5662

    Source:
        Mardia and Jupp, Directional Statistics (2000), §3.5.4; ``scipy.stats.vonmises``.
    """
    return evaluated("logsf", _log_tail("log_upper"), x=x, kappa=kappa, loc=loc)


def ppf(q: Numbers, kappa: Numbers, loc: Numbers = 0.0) -> Float[Array, "..."]:
    """Quantile function of the von Mises distribution, within μ ± π.

        Q(q) = the x with F(x) = q

    Gradient:
        ∂Q/∂q = 1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂κ = −(∂F/∂κ)/f(Q)

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        kappa: The concentration κ ≥ 0; nan is returned elsewhere. 0 is the uniform law.
        loc: The mean direction μ, in radians.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.9, 3.0):.4f}")
        0.8073

    Source:
        Mardia and Jupp, Directional Statistics (2000), §3.5.4; ``scipy.stats.vonmises``.
    """
    return evaluated("ppf", _quantile("lower"), q=q, kappa=kappa, loc=loc)


def isf(q: Numbers, kappa: Numbers, loc: Numbers = 0.0) -> Float[Array, "..."]:
    """Inverse survival function of the von Mises distribution: the quantile of 1 − q.

        Q(1 − q) = the x with S(x) = q

    Gradient:
        ∂Q/∂q = −1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂κ = −(∂F/∂κ)/f(Q)

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        kappa: The concentration κ ≥ 0; nan is returned elsewhere. 0 is the uniform law.
        loc: The mean direction μ, in radians.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.1, 3.0):.4f}")
        0.8073

    Source:
        Mardia and Jupp, Directional Statistics (2000), §3.5.4; ``scipy.stats.vonmises``.
    """
    return evaluated("isf", _quantile("upper"), q=q, kappa=kappa, loc=loc)


def sample(
    key: PRNGKeyArray,
    kappa: Numbers,
    loc: Numbers = 0.0,
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "..."]:
    """Samples of the von Mises distribution, within μ ± π.

        x = μ + θ, θ of a wrapped Cauchy distribution until one is accepted

    Gradient:
        ∂x/∂μ = 1,    ∂x/∂κ = −(∂F/∂κ)/f(x) (implicit reparameterisation)

    Args:
        key: The random key.
        kappa: The concentration κ ≥ 0; nan is returned elsewhere. 0 is the uniform law.
        loc: The mean direction μ, in radians.
        shape: The shape of the samples, to which the parameters must broadcast; theirs by default.

    Returns:
        Independent samples, in radians.

    Raises:
        TypeError: If the key is no random key, a parameter not an array of real numbers, or the
            shape no tuple of integers.
        ValueError: If the parameters do not broadcast to the shape.

    Example:
        >>> x = sample(jax.random.key(0), 100.0, shape=(4000,))
        >>> print(f"{x.std():.1f}")
        0.1

    Source:
        Best and Fisher, Efficient simulation of the von Mises distribution (1979); Figurnov,
        Mohamed and Mnih, Implicit reparameterization gradients (2018), §4.
    """
    _checks.key("sample", key)
    _checks.real("sample", kappa=kappa, loc=loc)
    _checks.broadcastable("sample", kappa=kappa, loc=loc)
    shape = target_shape("sample", shape, kappa=kappa, loc=loc)

    def draws(kappa: jax.Array, loc: jax.Array) -> jax.Array:
        known, kappa, loc = _usual(kappa, loc)
        theta = _tails.accepted(key, jax.lax.stop_gradient(kappa))
        return where_known(known, loc + _tails.carried(theta, kappa))

    return evaluated("sample", draws, kappa=jnp.broadcast_to(kappa, shape), loc=loc)


def mean(kappa: Numbers, loc: Numbers = 0.0) -> Float[Array, "..."]:
    """Mean direction of the von Mises distribution.

        μ

    Args:
        kappa: The concentration κ ≥ 0; nan is returned elsewhere. 0 is the uniform law.
        loc: The mean direction μ, in radians.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(3.0, 0.5):.4f}")
        0.5000

    Source:
        Mardia and Jupp, Directional Statistics (2000), §3.5.4; ``scipy.stats.vonmises``.
    """
    return evaluated(
        "mean", lambda kappa, loc: jnp.where(_known(kappa, loc), loc, jnp.nan), kappa=kappa, loc=loc
    )


def mode(kappa: Numbers, loc: Numbers = 0.0) -> Float[Array, "..."]:
    """Mode of the von Mises distribution, where its density is largest.

        μ

    Args:
        kappa: The concentration κ ≥ 0; nan is returned elsewhere. 0 is the uniform law.
        loc: The mean direction μ, in radians.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(3.0, 0.5):.4f}")
        0.5000

    Source:
        Mardia and Jupp, Directional Statistics (2000), §3.5.4; ``scipy.stats.vonmises``.
    """
    return evaluated(
        "mode", lambda kappa, loc: jnp.where(_known(kappa, loc), loc, jnp.nan), kappa=kappa, loc=loc
    )


def circular_variance(kappa: Numbers) -> Float[Array, "..."]:
    """Circular variance of the von Mises distribution, one less the length of the mean.

        1 − A(κ) = E[1 − cos(x − μ)]

    Gradient:
        ∂/∂κ = −(1 − A/κ − A²)

    Args:
        kappa: The concentration κ ≥ 0; nan is returned elsewhere. 0 is the uniform law.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.

    Example:
        >>> print(f"{circular_variance(3.0):.4f}")
        0.1900

    Source:
        Mardia and Jupp, Directional Statistics (2000), §3.5.4; ``scipy.stats.vonmises``.
    """
    function = _of_kappa(_tails.one_less_ratio)
    return evaluated("circular_variance", lambda k: function(k, jnp.zeros_like(k)), kappa=kappa)


def variance(kappa: Numbers, loc: Numbers = 0.0) -> Float[Array, "..."]:
    """Variance of the von Mises distribution as numbers within μ ± π.

        E[(x − μ)²] over one turn

    Args:
        kappa: The concentration κ ≥ 0; nan is returned elsewhere. 0 is the uniform law.
        loc: The mean direction μ, in radians.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(3.0):.4f}")
        0.4367

    Source:
        Mardia and Jupp, Directional Statistics (2000), §3.5.4; ``scipy.stats.vonmises``.
    """
    return evaluated("variance", _of_kappa(_tails.variance), kappa=kappa, loc=loc)


def entropy(kappa: Numbers, loc: Numbers = 0.0) -> Float[Array, "..."]:
    """Differential entropy, in nats, of the von Mises distribution.

        log(2π I₀(κ)) − κ A(κ)

    Gradient:
        ∂/∂κ = −κ (1 − A/κ − A²)

    Args:
        kappa: The concentration κ ≥ 0; nan is returned elsewhere. 0 is the uniform law.
        loc: The mean direction μ, in radians.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(3.0):.4f}")
        0.9932

    Source:
        Mardia and Jupp, Directional Statistics (2000), §3.5.4; ``scipy.stats.vonmises``.
    """
    return evaluated("entropy", _of_kappa(_entropy), kappa=kappa, loc=loc)


def kl(kappa_p: Numbers, loc_p: Numbers, kappa_q: Numbers, loc_q: Numbers) -> Float[Array, "..."]:
    """Divergence KL(p ‖ q), in nats, of one of two von Mises distributions from another.

        KL = log(I₀(κ₂)/I₀(κ₁)) + A(κ₁) (κ₁ − κ₂ cos(μ₁ − μ₂))

    Args:
        kappa_p: The concentration κ₁ of p.
        loc_p: The mean direction μ₁ of p.
        kappa_q: The concentration κ₂ of q.
        loc_q: The mean direction μ₂ of q.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(3.0, 0.0, 2.0, 0.5):.4f}")
        0.2470

    Source:
        Mardia and Jupp, Directional Statistics (2000), §3.5.4; ``scipy.stats.vonmises``.
    """
    given = {"kappa_p": kappa_p, "loc_p": loc_p, "kappa_q": kappa_q, "loc_q": loc_q}
    return evaluated("kl", _kl, **given)


def _estimated(x: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The mean direction, and 1 − R as a mean of squares, which is right where it is small."""
    sine, cosine = (_fitting.mean(f(x), w) for f in (jnp.sin, jnp.cos))
    nowhere = (sine == 0) & (cosine == 0)
    loc = jnp.arctan2(sine, jnp.where(nowhere, 1, cosine))
    spread = _fitting.mean(2 * jnp.square(jnp.sin(0.5 * (x - loc))), w)
    return loc[..., 0], spread[..., 0]


def fit(
    x: Float[Array, "*batch samples"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of the von Mises distribution that make the samples most likely.

        R (cos μ, sin μ) = Σ wᵢ (cos xᵢ, sin xᵢ) / Σ wᵢ,    A(κ) = R

    Args:
        x: The samples, on the last axis, in radians.
        weights: How much each sample counts, ≥ 0, in a shape that broadcasts to theirs; all alike
            by default.

    Returns:
        The estimates κ, μ, each in the shape of the samples without their axis; κ is ∞ where all
        samples are the same direction, and 0 where R is.

    Raises:
        TypeError: If the samples are not a floating-point array, or the weights not real numbers.
        ValueError: If there is no axis of samples, or the weights do not broadcast to them.

    Example:
        >>> kappa, loc = fit(jnp.array([0.1, 0.4, 6.0, 7.0]))
        >>> print(f"{kappa:.4f} {loc:.4f}")
        7.7491 0.2344

    Source:
        Mardia and Jupp, Directional Statistics (2000), §5.3.1.
    """
    loc, spread = _estimated(*_fitting.samples("fit", x, weights))
    return _fitting.of_dtype(x, _tails.concentration(spread), loc)


def score(x: Numbers, kappa: Numbers, loc: Numbers = 0.0) -> Float[Array, "... 2"]:
    """Score of the von Mises distribution: derivatives of the log-density by κ and μ.

        (1 − A) − 2 sin²(θ/2),    κ sin θ

    Args:
        x: Where to look, in radians.
        kappa: The concentration κ ≥ 0; nan is returned elsewhere. 0 is the uniform law.
        loc: The mean direction μ, in radians.

    Returns:
        The derivatives by κ and μ on a new last axis.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(score(0.5, 3.0))
        [0.06759729 1.4382766 ]

    Source:
        Mardia and Jupp, Directional Statistics (2000), §3.5.4; ``scipy.stats.vonmises``.
    """
    parts = _tails.log_by_kappa, lambda theta, kappa: kappa * jnp.sin(theta)
    given = {"x": x, "kappa": kappa, "loc": loc}
    return jnp.stack([evaluated("score", _at_angle(f), **given) for f in parts], -1)


def fisher_information(kappa: Numbers, loc: Numbers = 0.0) -> Float[Array, "... 2 2"]:
    """Fisher information of the von Mises distribution: the covariance of the score.

        diag(1 − A/κ − A², κ A)

    Args:
        kappa: The concentration κ ≥ 0; nan is returned elsewhere. 0 is the uniform law.
        loc: The mean direction μ, in radians.

    Returns:
        Matrices on two new last axes, of κ and μ.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(3.0))
        [[0.07392874 0.        ]
         [0.         2.429956  ]]

    Source:
        Mardia and Jupp, Directional Statistics (2000), §3.5.4; ``scipy.stats.vonmises``.
    """
    spread, size = (
        evaluated("fisher_information", _of_kappa(f), kappa=kappa, loc=loc)
        for f in (_tails.ratio_slope, lambda kappa: kappa * (1 - _tails.one_less_ratio(kappa)))
    )
    return jnp.stack([jnp.stack([spread, 0 * size], -1), jnp.stack([0 * size, size], -1)], -2)
