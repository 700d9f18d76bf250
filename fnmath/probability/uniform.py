"""The uniform distribution: anywhere in an interval alike.

    f(x) = 1/σ for μ ≤ x ≤ μ + σ

Notation: μ is the lower end and σ the width, as in SciPy; z = (x − μ)/σ. In place of the width the
upper end μ + σ may be given, as ``high=``, and the scale is not looked at then: what is left to an
end, and the derivatives by it, keep the digits that a rounded width would have lost.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Real

from fnmath.probability import _fitting
from fnmath.probability._families import (
    Formulas,
    Numbers,
    both,
    evaluated,
    finite_scale,
    functions,
    on_support,
)
from fnmath.probability._numbers import (
    Formula,
    Number,
    head,
    in_pairs,
    log,
    log1p,
    where,
)
from fnmath.probability._sampling import drawn

_known = finite_scale


def _known_ends(low: Array, high: Array) -> Array:
    return jnp.isfinite(low) & jnp.isfinite(high) & (low < high)


def _formulas(
    parts: Callable[..., tuple[Number, Number, Number]],
    by: tuple[Formula, ...],
    velocity: tuple[Formula, ...],
) -> Formulas:
    """The formulas of what lies below x, what lies above it, and of the width of both."""

    def log_share(share: Number, other: Number) -> Number:
        near = head(share) < 0.5
        return where(near, log(where(near, share, 1.0)), log1p(-where(near, 0.0, other)))

    def of(f: Formula) -> Formula:
        return lambda x, *of: f(*parts(x, *of))

    def point(*of: Number) -> tuple[Number, Number]:
        start = of[0]
        return start, parts(start, *of)[2]

    def quantile(q: Number, *of: Number) -> Number:
        start, width = point(*of)
        return start + width * q

    def upper(q: Number, *of: Number) -> Number:
        start, width = point(*of)
        return start + width * (1 - q)

    def middle(*of: Number) -> Number:
        start, width = point(*of)
        return start + 0.5 * width

    return on_support(
        Formulas(
            logpdf=of(lambda a, b, w: -log(w)),
            by=by,
            velocity=velocity,
            cdf=of(lambda a, b, w: a / w),
            sf=of(lambda a, b, w: b / w),
            logcdf=of(lambda a, b, w: log_share(a / w, b / w)),
            logsf=of(lambda a, b, w: log_share(b / w, a / w)),
            reverse_hazard=of(lambda a, b, w: 1 / a),
            hazard=of(lambda a, b, w: 1 / b),
            quantile=quantile,
            upper=upper,
        ),
        below=of(lambda a, b, w: head(a) < 0),
        above=of(lambda a, b, w: head(b) < 0),
        inside=middle,
    )


def _moments(middle: Formula, width: Formula, low: Formula) -> dict[str, Formula]:
    return {
        "mean": middle,
        "variance": lambda *of: width(*of) * width(*of) * (1 / 12),
        "mode": low,
        "entropy": lambda *of: log(width(*of)),
    }


_FORMULAS = _formulas(
    lambda x, loc, scale: (x - loc, scale - (x - loc), scale),
    by=(
        lambda x, loc, scale: 0 * scale,
        lambda x, loc, scale: 0 * scale,
        lambda x, loc, scale: -1 / scale,
    ),
    velocity=(lambda x, loc, scale: 1.0, lambda x, loc, scale: (x - loc) / scale),
)
_FORMULAS_OF_ENDS = _formulas(
    lambda x, low, high: (x - low, high - x, high - low),
    by=(
        lambda x, low, high: 0 * low,
        lambda x, low, high: 1 / (high - low),
        lambda x, low, high: -1 / (high - low),
    ),
    velocity=(
        lambda x, low, high: (high - x) / (high - low),
        lambda x, low, high: (x - low) / (high - low),
    ),
)
_BY_SCALE = functions(_FORMULAS, _known)._asdict() | {
    name: in_pairs(f, known=_known)
    for name, f in _moments(
        lambda loc, scale: loc + 0.5 * scale, lambda loc, scale: scale, lambda loc, scale: loc
    ).items()
}
_BY_HIGH = functions(_FORMULAS_OF_ENDS, _known_ends)._asdict() | {
    name: in_pairs(f, known=_known_ends)
    for name, f in _moments(
        lambda low, high: 0.5 * (low + high), lambda low, high: high - low, lambda low, high: low
    ).items()
}


def _evaluated(
    name: str, scale: Numbers, high: Numbers | None, **arguments: Numbers
) -> Float[Array, "..."]:
    """The function of that name, by the scale or by what is given in its place."""
    if high is None:
        return evaluated(name, _BY_SCALE[name], **arguments, scale=scale)
    return evaluated(name, _BY_HIGH[name], **arguments, high=high)


def _divergence(loc: Number, scale: Number, loc_q: Number, scale_q: Number) -> Number:
    start = loc - loc_q
    inside = (head(start) >= 0) & (head((scale_q - scale) - start) >= 0)
    return where(inside, log(scale_q / scale), jnp.inf)


_KL = in_pairs(_divergence, known=both(_known))


def pdf(
    x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0, *, high: Numbers | None = None
) -> Float[Array, "..."]:
    """Density of the uniform distribution.

        f(x) = 1/σ for μ ≤ x ≤ μ + σ, 0 elsewhere

    Gradient:
        ∂f/∂a = f(x) ∂log f/∂a for each argument a, as of ``logpdf``

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The width σ > 0.
        high: The upper end, above μ, in place of the width.

    Returns:
        Densities, in units of 1/x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(1.0, 0.0, 4.0):.4f}")
        0.2500

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 26; ``scipy.stats.uniform``.
    """
    return _evaluated("pdf", scale, high, x=x, loc=loc)


def logpdf(
    x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0, *, high: Numbers | None = None
) -> Float[Array, "..."]:
    """Logarithm of the density of the uniform distribution.

        log f(x) = −log σ for μ ≤ x ≤ μ + σ, −∞ elsewhere

    Gradient:
        ∂/∂x = ∂/∂μ = 0,    ∂/∂σ = −1/σ; with ``high``: ∂/∂μ = 1/σ = −∂/∂high

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The width σ > 0.
        high: The upper end, above μ, in place of the width.

    Returns:
        Logarithms of densities, in nats, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(1.0, 0.0, 4.0):.4f}")
        -1.3863

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 26; ``scipy.stats.uniform``.
    """
    return _evaluated("logpdf", scale, high, x=x, loc=loc)


def cdf(
    x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0, *, high: Numbers | None = None
) -> Float[Array, "..."]:
    """Cumulative distribution function of the uniform distribution: the probability up to x.

        F(x) = z = (x − μ)/σ; 0 below, 1 above

    Gradient:
        ∂F/∂x = f(x),    ∂F/∂μ = −f(x),    ∂F/∂σ = −z f(x)

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The width σ > 0.
        high: The upper end, above μ, in place of the width.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1.0, 0.0, 4.0):.4f}")
        0.2500

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 26; ``scipy.stats.uniform``.
    """
    return _evaluated("cdf", scale, high, x=x, loc=loc)


def logcdf(
    x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0, *, high: Numbers | None = None
) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the uniform distribution.

        log F(x) = log z where z < ½, log(1 − S(x)) above; −∞ where z ≤ 0, 0 where z ≥ 1

    Gradient:
        with r = f(x)/F(x)
        ∂log F/∂x = r,    ∂log F/∂μ = −r,    ∂log F/∂σ = −z r

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The width σ > 0.
        high: The upper end, above μ, in place of the width.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1.0, 0.0, 4.0):.4f}")
        -1.3863

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 26; ``scipy.stats.uniform``.
    """
    return _evaluated("logcdf", scale, high, x=x, loc=loc)


def sf(
    x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0, *, high: Numbers | None = None
) -> Float[Array, "..."]:
    """Survival function of the uniform distribution: the probability beyond x.

        S(x) = (μ + σ − x)/σ; 1 below, 0 above

    The difference is not rounded before it is divided.

    Gradient:
        ∂S/∂x = −f(x),    ∂S/∂μ = f(x),    ∂S/∂σ = z f(x)

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The width σ > 0.
        high: The upper end, above μ, in place of the width.

    Returns:
        Probabilities, in the common shape of the arguments; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1.0, 0.0, 4.0):.4f}")
        0.7500

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 26; ``scipy.stats.uniform``.
    """
    return _evaluated("sf", scale, high, x=x, loc=loc)


def logsf(
    x: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0, *, high: Numbers | None = None
) -> Float[Array, "..."]:
    """Logarithm of the survival function of the uniform distribution.

        log S(x) = log(1 − z) where z < ½, log((μ + σ − x)/σ) above

    Gradient:
        with h = f(x)/S(x)
        ∂log S/∂x = −h,    ∂log S/∂μ = h,    ∂log S/∂σ = z h

    Args:
        x: Where to look.
        loc: The lower end μ.
        scale: The width σ > 0.
        high: The upper end, above μ, in place of the width.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where σ ≤ 0
        or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1.0, 0.0, 4.0):.4f}")
        -0.2877

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 26; ``scipy.stats.uniform``.
    """
    return _evaluated("logsf", scale, high, x=x, loc=loc)


def ppf(
    q: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0, *, high: Numbers | None = None
) -> Float[Array, "..."]:
    """Quantile function of the uniform distribution, the inverse of ``cdf``.

        Q(q) = μ + σ q

    Gradient:
        ∂Q/∂q = 1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        loc: The lower end μ.
        scale: The width σ > 0.
        high: The upper end, above μ, in place of the width.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.9, 0.0, 4.0):.4f}")
        3.6000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 26; ``scipy.stats.uniform``.
    """
    return _evaluated("ppf", scale, high, q=q, loc=loc)


def isf(
    q: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0, *, high: Numbers | None = None
) -> Float[Array, "..."]:
    """Inverse survival function of the uniform distribution: the quantile of 1 − q.

        Q(1 − q) = μ + σ (1 − q)

    Gradient:
        ∂Q/∂q = −1/f(Q),    ∂Q/∂μ = 1,    ∂Q/∂σ = z

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        loc: The lower end μ.
        scale: The width σ > 0.
        high: The upper end, above μ, in place of the width.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.9, 0.0, 4.0):.4f}")
        0.4000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 26; ``scipy.stats.uniform``.
    """
    return _evaluated("isf", scale, high, q=q, loc=loc)


def sample(
    key: PRNGKeyArray,
    loc: Numbers = 0.0,
    scale: Numbers = 1.0,
    *,
    high: Numbers | None = None,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "..."]:
    """Samples of the uniform distribution.

        x = μ + σ u

    for u uniform in (0, 1), as fine near 0 as near 1.

    Gradient:
        ∂x/∂μ = 1,    ∂x/∂σ = z (reparameterisation)

    Args:
        key: The random key.
        loc: The lower end μ.
        scale: The width σ > 0.
        high: The upper end, above μ, in place of the width.
        shape: The shape of the samples, to which the parameters must broadcast; theirs by default.

    Returns:
        Independent samples; nan where σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If the key is no random key, a parameter not an array of real numbers, or the
            shape no tuple of integers.
        ValueError: If the parameters do not broadcast to the shape.

    Example:
        >>> x = sample(jax.random.key(0), 0.0, 4.0, shape=(10_000,))
        >>> print(f"{x.mean():.2f}")
        2.01

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 26; ``scipy.stats.uniform``.
    """
    table = _BY_SCALE if high is None else _BY_HIGH
    last = {"scale": scale} if high is None else {"high": high}
    return drawn("sample", key, table["ppf"], table["isf"], shape, loc=loc, **last)


def mean(
    loc: Numbers = 0.0, scale: Numbers = 1.0, *, high: Numbers | None = None
) -> Float[Array, "..."]:
    """Mean of the uniform distribution.

        μ + ½ σ

    Args:
        loc: The lower end μ.
        scale: The width σ > 0.
        high: The upper end, above μ, in place of the width.

    Returns:
        Means, in the units of x, in the common shape of the parameters; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(0.0, 4.0):.4f}")
        2.0000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 26; ``scipy.stats.uniform``.
    """
    return _evaluated("mean", scale, high, loc=loc)


def variance(
    loc: Numbers = 0.0, scale: Numbers = 1.0, *, high: Numbers | None = None
) -> Float[Array, "..."]:
    """Variance of the uniform distribution.

        σ²/12

    Args:
        loc: The lower end μ.
        scale: The width σ > 0.
        high: The upper end, above μ, in place of the width.

    Returns:
        Variances, in the square of the units of x, in the common shape of the parameters; nan where
        σ ≤ 0 or a parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(0.0, 4.0):.4f}")
        1.3333

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 26; ``scipy.stats.uniform``.
    """
    return _evaluated("variance", scale, high, loc=loc)


def mode(
    loc: Numbers = 0.0, scale: Numbers = 1.0, *, high: Numbers | None = None
) -> Float[Array, "..."]:
    """Mode of the uniform distribution, where its density is largest.

        μ

    Every point of the support is one; the lower end is given.

    Args:
        loc: The lower end μ.
        scale: The width σ > 0.
        high: The upper end, above μ, in place of the width.

    Returns:
        Modes, in the units of x, in the common shape of the parameters; nan where σ ≤ 0 or a
        parameter is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(0.0, 4.0):.4f}")
        0.0000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 26; ``scipy.stats.uniform``.
    """
    return _evaluated("mode", scale, high, loc=loc)


def entropy(
    loc: Numbers = 0.0, scale: Numbers = 1.0, *, high: Numbers | None = None
) -> Float[Array, "..."]:
    """Differential entropy of the uniform distribution.

        log σ

    Gradient:
        ∂/∂σ = 1/σ

    Args:
        loc: The lower end μ.
        scale: The width σ > 0.
        high: The upper end, above μ, in place of the width.

    Returns:
        Entropies, in nats, in the common shape of the parameters; nan where σ ≤ 0 or a parameter is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(0.0, 4.0):.4f}")
        1.3863

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 26; ``scipy.stats.uniform``.
    """
    return _evaluated("entropy", scale, high, loc=loc)


def kl(loc_p: Numbers, scale_p: Numbers, loc_q: Numbers, scale_q: Numbers) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two uniform distributions.

        KL = log(σ₂/σ₁) where the support of p lies in that of q, else ∞

    Gradient:
        ∂/∂σ₁ = −1/σ₁,    ∂/∂σ₂ = 1/σ₂, else 0

    Args:
        loc_p: The lower end μ of p.
        scale_p: The width σ > 0 of p.
        loc_q: The lower end μ of q.
        scale_q: The width σ > 0 of q.

    Returns:
        Divergences, in nats, in the common shape of the parameters; nan where σ ≤ 0 or a parameter
        is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(0.0, 1.0, -1.0, 4.0):.4f}")
        1.3863

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 26; ``scipy.stats.uniform``.
    """
    return evaluated("kl", _KL, loc_p=loc_p, scale_p=scale_p, loc_q=loc_q, scale_q=scale_q)


def fit(
    x: Float[Array, "*batch samples"], *, weights: Real[Array, "..."] | None = None
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Parameters of the uniform distribution that make the samples most likely.

        μ = minᵢ xᵢ,    σ = maxᵢ xᵢ − minᵢ xᵢ

    Args:
        x: The samples, on the last axis.
        weights: How much each sample counts, ≥ 0, in a shape that broadcasts to theirs; all alike
            by default.

    Returns:
        The estimates μ, σ, each in the shape of the samples without their axis.

    Raises:
        TypeError: If the samples are not a floating-point array, or the weights not real numbers.
        ValueError: If there is no axis of samples, or the weights do not broadcast to them.

    Example:
        >>> x = jnp.array([1.0, 2.0, 3.0, 6.0])
        >>> print(*(f"{a:.4f}" for a in fit(x)))
        1.0000 5.0000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 2 (1995),
        chapter 26; ``scipy.stats.uniform``.
    """
    samples, w = _fitting.samples("fit", x, weights)
    loc = _fitting.smallest(samples, w)
    return _fitting.of_dtype(x, loc, _fitting.largest(samples, w) - loc)
