"""The F distribution, of the ratio of two estimates of one variance.

    f(x) = uᵃ vᵇ/(B(a, b) (x − μ)),    u = m z/(m z + n) = 1 − v,    z = (x − μ)/σ

Notation: m and n are the degrees of freedom of numerator and denominator, a = m/2 and b = n/2; μ
and σ move and stretch; B is the beta function, I_u(a, b) the regularised incomplete one, ψ the
derivative of log Γ. u has the law Beta(a, b), and of it come the tails and the quantiles.

Parameters without meaning give nan everywhere; below μ the density is 0.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Real

from fnmath import _checks
from fnmath.probability import _f_tails as _tails
from fnmath.probability import _fitting, _gamma_numbers
from fnmath.probability._evaluation import evaluated, score_of, where_known
from fnmath.probability._families import Numbers, evaluated_by_axes, finite_scale, information
from fnmath.probability._information import beta_entropy
from fnmath.probability._log_gammas import digamma
from fnmath.probability._numbers import Number, head, where
from fnmath.probability._sampling import target_shape
from fnmath.probability._student_tails import affine

# The shapes that are fitted lie between these; and after so many steps they stay where they are.
LEAST, MOST, STEPS = 1e-3, 1e6, 50


def _valid(
    m: jax.Array, n: jax.Array, loc: jax.Array, scale: jax.Array, value: jax.Array
) -> jax.Array:
    """The value, nan where a parameter has no meaning."""
    positive = (m > 0) & (n > 0) & (scale > 0) & jnp.isfinite(loc)
    return where_known(positive & jnp.isfinite(m + n + scale), value)


def _moved(kind: str):
    """The quantile of z, moved to μ and σ."""

    def function(q, m, n, loc, scale):
        return _valid(m, n, loc, scale, affine(loc, scale, _tails.quantile(kind)(q, m, n)))

    return function


def _mean(m: jax.Array, n: jax.Array, loc: jax.Array, scale: jax.Array) -> jax.Array:
    some = jnp.where(n > 2, n, 3)
    return _valid(m, n, loc, scale, jnp.where(n > 2, loc + scale * (some / (some - 2)), jnp.inf))


def _variance(m: jax.Array, n: jax.Array, loc: jax.Array, scale: jax.Array) -> jax.Array:
    some = jnp.where(n > 4, n, 5)
    mean = scale * (some / (some - 2))
    finite = mean * mean * (2 * ((m + some - 2) / m) / (some - 4))
    return _valid(m, n, loc, scale, jnp.where(n > 4, finite, jnp.inf))


def _mode(m: jax.Array, n: jax.Array, loc: jax.Array, scale: jax.Array) -> jax.Array:
    above = jnp.where(m > 2, (m - 2) / m * (n / (n + 2)), 0)
    return _valid(m, n, loc, scale, loc + scale * above)


def _entropy(m: jax.Array, n: jax.Array, loc: jax.Array, scale: jax.Array) -> jax.Array:
    """That of u, and the mean of log |dz/du| = log(b/a) − 2 log v."""
    a, b = 0.5 * m, 0.5 * n
    stretched = jnp.log(n / m) + 2 * (digamma(a + b) - digamma(b)) + jnp.log(scale)
    return _valid(m, n, loc, scale, beta_entropy(a, b) + stretched)


def _has_information(m: jax.Array, n: jax.Array, loc: jax.Array, scale: jax.Array) -> jax.Array:
    return (m > 0) & (n > 0) & jnp.isfinite(m + n) & finite_scale(loc, scale)


def _of_shape(a: Number, b: Number) -> Number:
    """The information of a: ψ′(a) − ψ′(s) − b (2/s − 1/(s + 1))/a, without its differences."""
    s, excess = a + b, _gamma_numbers.trigamma_excess
    lead = b * (b * s + s + a) / (2 * a * a * s * s * (s + 1.0))
    return lead + (excess(a) - excess(s))


def _of_both_shapes(a: Number, b: Number) -> Number:
    """That of a with b: 2/s − 1/(s + 1) − ψ′(s)."""
    s = a + b
    return (s - 1.0) / (2 * s * s * (s + 1.0)) - _gamma_numbers.trigamma_excess(s)


def _information(m: Number, n: Number, loc: Number, scale: Number) -> tuple:
    """The rows of the matrix up to the diagonal, means of products of the scores over u."""
    a, b = 0.5 * m, 0.5 * n
    s = a + b
    # To be regular where x begins at μ, f has to vanish there with its slope.
    above = where(head(a) > 2, a - 2, jnp.nan)
    per = s * (s + 1.0) * scale
    return (
        (0.25 * _of_shape(a, b),),
        (0.25 * _of_both_shapes(a, b), 0.25 * _of_shape(b, a)),
        (
            0.5 * (b + 1.0) * (a + s) / ((above + 1.0) * per),
            0.5 * a * a / (b * per) + 0.0 * above,
            a * a * (b + 1.0) * (b + 3.0) / (b * above * (s + 1.0) * scale * scale),
        ),
        (
            0.5 * b / per,
            -0.5 * a / per,
            a * (b + 1.0) / ((s + 1.0) * scale * scale) + 0.0 * above,
            a * b / ((s + 1.0) * scale * scale),
        ),
    )


def _fitted(log_x: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Steps of Fisher's scoring in a and b, none of which more than halves or doubles them."""

    def step(state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        a, b = state
        s, t = a + b, log_x + jnp.log(a / b)
        log_u, log_v = jax.nn.log_sigmoid(t), jax.nn.log_sigmoid(-t)
        excess = _fitting.mean(b * jnp.exp(log_u) - a * jnp.exp(log_v), w)  # E[b u − a v] = 0
        by_a = _fitting.mean(log_u, w) - excess / a + digamma(s) - digamma(a)
        by_b = _fitting.mean(log_v, w) + excess / b + digamma(s) - digamma(b)
        aa, ab, bb = _of_shape(a, b), _of_both_shapes(a, b), _of_shape(b, a)
        det = aa * bb - ab * ab
        moves = (bb * by_a - ab * by_b) / det, (aa * by_b - ab * by_a) / det
        return tuple(
            jnp.clip(p + d, jnp.maximum(0.5 * p, LEAST), jnp.minimum(2 * p, MOST))
            for p, d in zip(state, moves, strict=True)
        )

    start = jnp.ones_like(log_x[..., :1])
    a, b = _fitting.repeated(step, (start, start), STEPS)
    return 2 * a[..., 0], 2 * b[..., 0]


def pdf(
    x: Numbers, dfn: Numbers, dfd: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Density of the F distribution.

        f(x) = uᵃ vᵇ/(B(a, b) (x − μ))

    Gradient:
        ∂f/∂θ = f(x) ∂log f/∂θ        as of ``logpdf``, x included

    Args:
        x: Where to look.
        dfn: The degrees of freedom m > 0 of the numerator; nan is returned elsewhere.
        dfd: The degrees of freedom n > 0 of the denominator, likewise.
        loc: Where the support begins, μ.
        scale: The scale σ > 0, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(1.5, 3.0, 4.0):.4f}")
        0.2133

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), chapter 27;
        ``scipy.stats.f``.
    """
    return evaluated_by_axes("pdf", _tails.density, x=x, dfn=dfn, dfd=dfd, loc=loc, scale=scale)


def logpdf(
    x: Numbers, dfn: Numbers, dfd: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Logarithm of the density of the F distribution, in nats.

        log f(x) = a log u + b log v − log B(a, b) − log(x − μ)

    Gradient:
        with e = a v − b u: ∂/∂x = (e − 1)/(x − μ) = −∂/∂μ,    ∂/∂σ = −e/σ,
        ∂/∂m = e/m + ½ (log u − ψ(a) + ψ(a + b)),    ∂/∂n = −e/n + ½ (log v − ψ(b) + ψ(a + b))

    Args:
        x: Where to look.
        dfn: The degrees of freedom m > 0 of the numerator; nan is returned elsewhere.
        dfd: The degrees of freedom n > 0 of the denominator, likewise.
        loc: Where the support begins, μ.
        scale: The scale σ > 0, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(1.5, 3.0, 4.0):.4f}")
        -1.5452

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), chapter 27;
        ``scipy.stats.f``.
    """
    return evaluated_by_axes(
        "logpdf", _tails.log_density, x=x, dfn=dfn, dfd=dfd, loc=loc, scale=scale
    )


def cdf(
    x: Numbers, dfn: Numbers, dfd: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Cumulative distribution function of the F distribution.

        F(x) = I_u(a, b)

    Gradient:
        ∂F/∂x = f(x) = −∂F/∂μ,    ∂F/∂σ = −z f(x),    by m and n as of ``beta.cdf``

    Args:
        x: Where to look.
        dfn: The degrees of freedom m > 0 of the numerator; nan is returned elsewhere.
        dfd: The degrees of freedom n > 0 of the denominator, likewise.
        loc: Where the support begins, μ.
        scale: The scale σ > 0, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1.5, 3.0, 4.0):.4f}")
        0.6571

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), chapter 27;
        ``scipy.stats.f``.
    """
    return evaluated("cdf", _tails.tail("lower"), x=x, dfn=dfn, dfd=dfd, loc=loc, scale=scale)


def logcdf(
    x: Numbers, dfn: Numbers, dfd: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the F distribution.

        log F(x) = log I_u(a, b)

    Gradient:
        ∂log F/∂θ = (∂F/∂θ)/F,    x included

    Args:
        x: Where to look.
        dfn: The degrees of freedom m > 0 of the numerator; nan is returned elsewhere.
        dfd: The degrees of freedom n > 0 of the denominator, likewise.
        loc: Where the support begins, μ.
        scale: The scale σ > 0, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1.5, 3.0, 4.0):.4f}")
        -0.4199

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), chapter 27;
        ``scipy.stats.f``.
    """
    return evaluated(
        "logcdf", _tails.tail("log_lower"), x=x, dfn=dfn, dfd=dfd, loc=loc, scale=scale
    )


def sf(
    x: Numbers, dfn: Numbers, dfd: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Survival function of the F distribution: the probability beyond x.

        S(x) = I_v(b, a)

    Gradient:
        ∂S/∂θ = −∂F/∂θ,    x included

    Args:
        x: Where to look.
        dfn: The degrees of freedom m > 0 of the numerator; nan is returned elsewhere.
        dfd: The degrees of freedom n > 0 of the denominator, likewise.
        loc: Where the support begins, μ.
        scale: The scale σ > 0, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1.5, 3.0, 4.0):.4f}")
        0.3429

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), chapter 27;
        ``scipy.stats.f``.
    """
    return evaluated("sf", _tails.tail("upper"), x=x, dfn=dfn, dfd=dfd, loc=loc, scale=scale)


def logsf(
    x: Numbers, dfn: Numbers, dfd: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Logarithm of the survival function of the F distribution.

        log S(x) = log I_v(b, a)

    Gradient:
        ∂log S/∂θ = (∂S/∂θ)/S,    x included

    Args:
        x: Where to look.
        dfn: The degrees of freedom m > 0 of the numerator; nan is returned elsewhere.
        dfd: The degrees of freedom n > 0 of the denominator, likewise.
        loc: Where the support begins, μ.
        scale: The scale σ > 0, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1.5, 3.0, 4.0):.4f}")
        -1.0704

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), chapter 27;
        ``scipy.stats.f``.
    """
    return evaluated("logsf", _tails.tail("log_upper"), x=x, dfn=dfn, dfd=dfd, loc=loc, scale=scale)


def ppf(
    q: Numbers, dfn: Numbers, dfd: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Quantile function of the F distribution, the inverse of ``cdf``.

        Q(q) = μ + σ (n/m) u/v,    I_u(a, b) = q

    Gradient:
        ∂Q/∂q = 1/f(Q),    ∂Q/∂θ = −(∂F/∂θ)/f(Q)        by the inverse function theorem

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        dfn: The degrees of freedom m > 0 of the numerator; nan is returned elsewhere.
        dfd: The degrees of freedom n > 0 of the denominator, likewise.
        loc: Where the support begins, μ.
        scale: The scale σ > 0, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.95, 3.0, 4.0):.4f}")
        6.5914

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), chapter 27;
        ``scipy.stats.f``.
    """
    return evaluated("ppf", _moved("lower"), q=q, dfn=dfn, dfd=dfd, loc=loc, scale=scale)


def isf(
    q: Numbers, dfn: Numbers, dfd: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Inverse survival function of the F distribution: the quantile of 1 − q.

        Q(1 − q) = μ + σ (n/m) u/v,    I_v(b, a) = q

    Gradient:
        ∂Q/∂q = −1/f(Q),    ∂Q/∂θ = −(∂F/∂θ)/f(Q)        by the inverse function theorem

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        dfn: The degrees of freedom m > 0 of the numerator; nan is returned elsewhere.
        dfd: The degrees of freedom n > 0 of the denominator, likewise.
        loc: Where the support begins, μ.
        scale: The scale σ > 0, likewise.

    Returns:
        One number for each entry of the arguments broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.05, 3.0, 4.0):.4f}")
        6.5914

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), chapter 27;
        ``scipy.stats.f``.
    """
    return evaluated("isf", _moved("upper"), q=q, dfn=dfn, dfd=dfd, loc=loc, scale=scale)


def sample(
    key: PRNGKeyArray,
    dfn: Numbers,
    dfd: Numbers,
    loc: Numbers = 0.0,
    scale: Numbers = 1.0,
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "..."]:
    """Samples of the F distribution.

        x = μ + σ (g/a)/(h/b),    g ~ Gamma(a),    h ~ Gamma(b)

    Gradient:
        Those of the logarithms of gamma variables, which JAX derives implicitly.

    Args:
        key: The random key.
        dfn: The degrees of freedom m > 0 of the numerator; nan is returned elsewhere.
        dfd: The degrees of freedom n > 0 of the denominator, likewise.
        loc: Where the support begins, μ.
        scale: The scale σ > 0, likewise.
        shape: The shape of the samples, to which the parameters must broadcast; theirs by default.

    Returns:
        Independent samples.

    Raises:
        TypeError: If the key is no random key, a parameter not an array of real numbers, or the
            shape no tuple of integers.
        ValueError: If the parameters do not broadcast to the shape.

    Example:
        >>> x = sample(jax.random.key(0), 3.0, 4.0, shape=(4000,))
        >>> print(f"{jnp.median(x):.1f}")
        0.9

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), chapter 27;
        ``scipy.stats.f``.
    """
    _checks.key("sample", key)
    _checks.real("sample", dfn=dfn, dfd=dfd, loc=loc, scale=scale)
    _checks.broadcastable("sample", dfn=dfn, dfd=dfd, loc=loc, scale=scale)
    shape = target_shape("sample", shape, dfn=dfn, dfd=dfd, loc=loc, scale=scale)
    first, second = jax.random.split(key)

    def draws(m: jax.Array, n: jax.Array, loc: jax.Array, scale: jax.Array) -> jax.Array:
        g = jax.random.loggamma(first, 0.5 * jnp.where(m > 0, m, 2), shape, m.dtype)
        h = jax.random.loggamma(second, 0.5 * jnp.where(n > 0, n, 2), shape, m.dtype)
        return _valid(m, n, loc, scale, loc + scale * (n / m) * jnp.exp(g - h))

    return evaluated(
        "sample", draws, dfn=jnp.broadcast_to(dfn, shape), dfd=dfd, loc=loc, scale=scale
    )


def mean(
    dfn: Numbers, dfd: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Mean of the F distribution.

        μ + σ n/(n − 2)        for n > 2, else ∞

    Args:
        dfn: The degrees of freedom m > 0 of the numerator; nan is returned elsewhere.
        dfd: The degrees of freedom n > 0 of the denominator, likewise.
        loc: Where the support begins, μ.
        scale: The scale σ > 0, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(3.0, 4.0):.4f}")
        2.0000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), chapter 27;
        ``scipy.stats.f``.
    """
    return evaluated("mean", _mean, dfn=dfn, dfd=dfd, loc=loc, scale=scale)


def variance(
    dfn: Numbers, dfd: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Variance of the F distribution.

        2 σ² n² (m + n − 2)/(m (n − 2)² (n − 4))        for n > 4, else ∞

    Args:
        dfn: The degrees of freedom m > 0 of the numerator; nan is returned elsewhere.
        dfd: The degrees of freedom n > 0 of the denominator, likewise.
        loc: Where the support begins, μ.
        scale: The scale σ > 0, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(3.0, 6.0):.4f}")
        5.2500

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), chapter 27;
        ``scipy.stats.f``.
    """
    return evaluated("variance", _variance, dfn=dfn, dfd=dfd, loc=loc, scale=scale)


def mode(
    dfn: Numbers, dfd: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Mode of the F distribution, where its density is largest.

        μ + σ (m − 2)/m · n/(n + 2)        for m > 2, else μ

    Args:
        dfn: The degrees of freedom m > 0 of the numerator; nan is returned elsewhere.
        dfd: The degrees of freedom n > 0 of the denominator, likewise.
        loc: Where the support begins, μ.
        scale: The scale σ > 0, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(3.0, 4.0):.4f}")
        0.2222

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), chapter 27;
        ``scipy.stats.f``.
    """
    return evaluated("mode", _mode, dfn=dfn, dfd=dfd, loc=loc, scale=scale)


def entropy(
    dfn: Numbers, dfd: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Differential entropy, in nats, of the F distribution.

        log B(a, b) + (1 − a) ψ(a) − (1 + b) ψ(b) + (a + b) ψ(a + b) + log(σ n/m)

    Args:
        dfn: The degrees of freedom m > 0 of the numerator; nan is returned elsewhere.
        dfd: The degrees of freedom n > 0 of the denominator, likewise.
        loc: Where the support begins, μ.
        scale: The scale σ > 0, likewise.

    Returns:
        One number for each entry of the parameters broadcast with each other.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(3.0, 4.0):.4f}")
        1.5404

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), chapter 27;
        ``scipy.stats.f``.
    """
    return evaluated("entropy", _entropy, dfn=dfn, dfd=dfd, loc=loc, scale=scale)


def fit(
    x: Float[Array, "*batch samples"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Degrees of freedom of the F distribution that make samples most likely, at μ = 0 and σ = 1.

        mean log u − e/a = ψ(a) − ψ(s),    mean log v + e/b = ψ(b) − ψ(s),    e = mean b u − a v

    with s = a + b, by 50 steps of Fisher's scoring; between 0.002 and 2·10⁶, where samples give no
    bound. Location and scale are known: of samples y they are x = (y − μ)/σ.

    Args:
        x: The samples, x > 0, on the last axis.
        weights: How much each sample counts, numbers ≥ 0 that broadcast to the samples; their
            scale is of no account. By default all count the same.

    Returns:
        The degrees of freedom m and n, for each entry of the batch.

    Raises:
        TypeError: If the samples are not floating-point numbers, or the weights not real.
        ValueError: If there is no axis of samples, or the weights do not broadcast to the samples.

    Example:
        >>> dfn, dfd = fit(jnp.array([0.2, 0.5, 0.8, 1.1, 1.9, 4.0]))
        >>> print(f"{dfn:.2f} {dfd:.2f}")
        4.43 6.35

    Source:
        Osborne, Fisher's method of scoring (1992), §2, with the score and the information above.
    """
    samples, w = _fitting.samples("fit", x, weights)
    return _fitting.of_dtype(x, *_fitted(jnp.log(samples), w))


def score(
    x: Numbers, dfn: Numbers, dfd: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "... 4"]:
    """Derivatives of the logarithm of the density by the parameters of the F distribution.

        ∂ log f/∂(m, n, μ, σ)        as of ``logpdf``

    Args:
        x: Where to look.
        dfn: The degrees of freedom m > 0 of the numerator; nan is returned elsewhere.
        dfd: The degrees of freedom n > 0 of the denominator, likewise.
        loc: Where the support begins, μ.
        scale: The scale σ > 0, likewise.

    Returns:
        The derivatives by m, n, μ and σ on a new last axis.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print([f"{s:.4f}" for s in score(1.5, 3.0, 4.0)])
        ['0.0977', '0.0515', '0.9020', '0.3529']

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), chapter 27;
        ``scipy.stats.f``.
    """
    return score_of(
        "score", _tails.log_density, (1, 2, 3, 4), x=x, dfn=dfn, dfd=dfd, loc=loc, scale=scale
    )


def fisher_information(
    dfn: Numbers, dfd: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "... 4 4"]:
    """Fisher information matrix of the F distribution, per sample.

        with s = a + b and c = s + 1, the entries of (m, n, μ, σ) on and below the diagonal are

        ¼ (ψ′(a) − ψ′(s) − b (2/s − 1/c)/a)
        ¼ (2/s − 1/c − ψ′(s))            ¼ (ψ′(b) − ψ′(s) − a (2/s − 1/c)/b)
        (b + 1) (a + s)/(2 σ (a − 1) s c)    a²/(2 σ b s c)    a² (b + 1) (b + 3)/(σ² b (a − 2) c)
        b/(2 σ s c)    −a/(2 σ s c)    a (b + 1)/(σ² c)    a b/(σ² c)

    A sample tells of μ without bound where m ≤ 4, for f does not vanish smoothly at μ: there the
    entries of μ are nan.

    Args:
        dfn: The degrees of freedom m > 0 of the numerator; nan is returned elsewhere.
        dfd: The degrees of freedom n > 0 of the denominator, likewise.
        loc: Where the support begins, μ.
        scale: The scale σ > 0, likewise.

    Returns:
        For each entry of the parameters broadcast with each other a matrix, of m, n, μ and σ, on
        two new last axes.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(fisher_information(3.0, 4.0)[:2, :2].round(4))
        [[0.0347 0.0047]
         [0.0047 0.0132]]

    Source:
        Means of products of the scores over the beta law of u; Johnson, Kotz and Balakrishnan,
        Continuous Univariate Distributions 2 (1995), chapter 27, for the law.
    """
    return information(
        "fisher_information", _information, _has_information, dfn=dfn, dfd=dfd, loc=loc, scale=scale
    )
