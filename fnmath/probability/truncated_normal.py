"""The truncated normal distribution: a normal number that is known to lie in an interval.

    f(x) = φ(z) / (σ Z),    z = (x − μ)/σ from a to b,    Z = Φ(b) − Φ(a)

Notation: μ and σ are the mean and the standard deviation of the normal number before; a and b are
the ends of the interval on the scale of z, as in SciPy, and may be infinite. log Z is formed from
the logarithms of tails on the side where the interval lies, so that it may lie anywhere. All four
parameters move the support; ``score`` and ``fisher_information`` are those of μ and σ with the ends
of the interval held where they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Real

from fnmath import _checks
from fnmath.numerics._sharing import shared
from fnmath.probability import _fitting, _normal_tail, _truncated_fitting
from fnmath.probability._families import (
    Formulas,
    Numbers,
    both,
    evaluated,
    evaluated_by_axes,
    finite_scale,
    functions,
    information,
    on_support,
)
from fnmath.probability._numbers import (
    Formula,
    Number,
    absolute,
    all_in_pairs,
    exp,
    expm1,
    head,
    in_one_go,
    in_pairs,
    log,
    log1mexp,
    log1p,
    times_exp,
    where,
)
from fnmath.probability._sampling import drawn


def _known(a: Array, b: Array, loc: Array, scale: Array) -> Array:
    return finite_scale(loc, scale) & (a < b)


def _log_tail(t: Number) -> Number:
    return _normal_tail.logcdf(-t)


def _tail_and_half(t: Number) -> tuple[Number, Number]:
    """The logarithm of Φ(−|t|), and ½ − Φ(−|t|)."""
    t = absolute(t)
    log_tail = _normal_tail.logpdf(t) + log(_normal_tail.mills(t))
    near = head(t) < 1
    half = where(near, _normal_tail.centre(where(near, t, 0.5)), 0.5 - exp(log_tail))
    return log_tail, half


def _log_beside(a: Number, b: Number) -> tuple[Array, Number]:
    """Whether b is near a, and log(Φ(b) − Φ(a)) there, by Φ's odd derivatives in their middle."""
    m, d = 0.5 * (a + b), b - a
    reach = head(d) * (1 + jnp.abs(head(m)))
    near = (reach < (0.01 if reach.dtype == jnp.float64 else 0.05)) & (head(d) > 0)
    m, d = where(near, m, 0.0), where(near, d, 0.01)
    w, v = m * m, d * d
    bend = v * ((w - 1) / 24 + v * (w * w - 6 * w + 3) / 1920)
    return near, _normal_tail.logpdf(m) + (log(d) + log1p(bend))


def _log_between(
    a: Number, log_tail_a: Number, half_a: Number, b: Number, log_tail_b: Number, half_b: Number
) -> Number:
    """log(Φ(b) − Φ(a)) for a ≤ b: from the middle, or of the tail that the interval lies in.

    Where a and b are near each other tails have no digits left for their difference.
    """
    lower = head(b) <= 0
    across = (head(a) < 0) & (head(b) > 0)
    log_near = where(across, -1.0, where(lower, log_tail_b, log_tail_a))
    log_far = where(across, -2.0, where(lower, log_tail_a, log_tail_b))
    nothing = head(log_near) == -jnp.inf
    gap = where(nothing, 1.0, log_near) - where(nothing, 0.0, log_far)
    gap = where(head(gap) > 0, gap, 0.0)  # where a and b are one number, rounded
    apart = where(across, log(where(across, half_a + half_b, 1.0)), log_near + log1mexp(gap))
    near, beside = _log_beside(a, b)
    return where(near, beside, apart)


@shared
def _log_mass(a: Number, b: Number) -> Number:
    """Log Z."""
    (tail_a, half_a), (tail_b, half_b) = in_one_go(_tail_and_half, (a,), (b,))
    return _log_between(a, tail_a, half_a, b, tail_b, half_b)


@shared
def _log_masses(z: Number, a: Number, b: Number) -> list[Number]:
    """log(Φ(b) − Φ(a)), log(Φ(z) − Φ(a)) and log(Φ(b) − Φ(z))."""
    A, M, B = (
        (t, *of)
        for t, of in zip((a, z, b), in_one_go(_tail_and_half, (a,), (z,), (b,)), strict=True)
    )
    return in_one_go(_log_between, (*A, *B), (*A, *M), (*M, *B))


@shared
def _z(x: Number, a: Number, b: Number, loc: Number, scale: Number) -> Number:
    return (x - loc) / scale


def _log_density(z: Number, a: Number, b: Number) -> Number:
    """Log φ(z)/Z."""
    return _normal_tail.logpdf(z) - _log_mass(a, b)


def _log_of_smaller(part: Number, rest: Number) -> Number:
    """The logarithm of a share, or of 1 less the rest where that is less than half."""
    most = head(part) > -math.log(2)
    return where(most, log1p(-exp(where(most, rest, -1.0))), part)


@shared
def _log_share(z: Number, a: Number, b: Number) -> Number:
    """The logarithm of the mass from a to z, as a share of all."""
    whole, below, above = _log_masses(z, a, b)
    return _log_of_smaller(below - whole, above - whole)


@shared
def _log_share_above(z: Number, a: Number, b: Number) -> Number:
    whole, below, above = _log_masses(z, a, b)
    return _log_of_smaller(above - whole, below - whole)


def _inside(a: Number, b: Number, loc: Number, scale: Number) -> Number:
    """A number of the interval, not far into the tail."""
    width, size = 0.5 * (b - a), absolute(where(head(a) > 0, a, b))
    step = where(head(width) * (1 + head(size)) < 1, width, 1 / (1 + size))
    beside = where(head(a) >= 0, a + step, b - step)
    return loc + scale * where((head(a) < 0) & (head(b) > 0), 0.0, beside)


def _quantile(q: Number, a: Number, b: Number, loc: Number, scale: Number) -> Number:
    """By the tail on the side where the interval lies: (1 − q) of that at a and q of that at b."""
    upper = head(a) > -head(b)
    near, far = where(upper, a, -b), where(upper, b, -a)
    share = where(upper, q, 1 - q)
    log_near, log_far = in_one_go(_log_tail, (near,), (far,))
    log_tail = log_near + log1p(share * expm1(log_far - log_near))
    t = _normal_tail.upper_quantile_of_log(log_tail)
    z = where(upper, t, -t)
    return loc + scale * where(head(z) < head(a), a, where(head(z) > head(b), b, z))


def _on_z(f: Formula) -> Formula:
    """The formula of z, a and b as one of all arguments."""
    return lambda x, a, b, *of: f(_z(x, a, b, *of), a, b)


def _per_scale(f: Formula) -> Formula:
    return lambda x, a, b, loc, scale: f(_z(x, a, b, loc, scale), a, b) / scale


def _velocity(log_f: Formula, end: Callable[..., Number]) -> Formula:
    """How a quantile follows an end of the interval: σ φ(end)/φ(z) times a share."""

    def velocity(x: Number, a: Number, b: Number, loc: Number, scale: Number) -> Number:
        z = _z(x, a, b, loc, scale)
        ratio = _normal_tail.logpdf(end(a, b)) - _normal_tail.logpdf(z)
        return times_exp(scale, ratio + log_f(z, a, b))

    return velocity


def _log_hazard(z: Number, log_mass: Number) -> Number:
    return _normal_tail.logpdf(z) - log_mass


_F = functions(
    on_support(
        Formulas(
            logpdf=lambda x, a, b, *of: _log_density(_z(x, a, b, *of), a, b) - log(of[-1]),
            by=(
                _per_scale(lambda z, a, b: -z),
                lambda x, a, b, *of: exp(_log_density(a, a, b)),
                lambda x, a, b, *of: -exp(_log_density(b, a, b)),
                _per_scale(lambda z, a, b: z),
                _per_scale(lambda z, a, b: (z - 1) * (z + 1)),
            ),
            velocity=(
                _velocity(_log_share_above, lambda a, b: a),
                _velocity(_log_share, lambda a, b: b),
                lambda x, *of: 1.0,
                _z,
            ),
            cdf=_on_z(lambda *z: exp(_log_share(*z))),
            sf=_on_z(lambda *z: exp(_log_share_above(*z))),
            logcdf=_on_z(_log_share),
            logsf=_on_z(_log_share_above),
            reverse_hazard=_per_scale(lambda *z: exp(_log_hazard(z[0], _log_masses(*z)[1]))),
            hazard=_per_scale(lambda *z: exp(_log_hazard(z[0], _log_masses(*z)[2]))),
            quantile=_quantile,
            upper=lambda q, *of: _quantile(1 - q, *of),
        ),
        below=lambda x, a, b, *of: head(_z(x, a, b, *of)) < head(a),
        above=lambda x, a, b, *of: head(_z(x, a, b, *of)) > head(b),
        inside=_inside,
    ),
    _known,
)


@shared
def _moments(a: Number, b: Number) -> tuple[Number, Number]:
    """E[z] and E[z²]."""
    at_a, at_b = _log_density(a, a, b), _log_density(b, a, b)
    return exp(at_a) - exp(at_b), 1 + (times_exp(a, at_a) - times_exp(b, at_b))


def _variance(a: Number, b: Number, loc: Number, scale: Number) -> Number:
    first, second = _moments(a, b)
    return scale * scale * (second - first * first)


def _mode(a: Number, b: Number, loc: Number, scale: Number) -> Number:
    return loc + scale * where(head(a) > 0, a, where(head(b) < 0, b, 0.0))


_MEAN = in_pairs(lambda a, b, loc, scale: loc + scale * _moments(a, b)[0], known=_known)
_VARIANCE = in_pairs(_variance, known=_known)
_MODE = in_pairs(_mode, known=_known)
_ENTROPY = in_pairs(
    lambda a, b, loc, scale: (
        log(scale) + _log_mass(a, b) + 0.5 * _moments(a, b)[1] + _normal_tail.HALF_LOG_2_PI
    ),
    known=_known,
)


def _divergence(a: Number, b: Number, loc: Number, scale: Number, *of_q: Number) -> Number:
    a_q, b_q, loc_q, scale_q = of_q
    first, second = _moments(a, b)
    r, d = scale / scale_q, (loc - loc_q) / scale_q
    squares = (r - 1) * (r + 1) * second + 2 * (r * d * first) + d * d
    inside = (head(d + r * a) >= head(a_q)) & (head(d + r * b) <= head(b_q))
    found = _log_mass(a_q, b_q) - _log_mass(a, b) - log(r) + 0.5 * squares
    return where(inside, found, jnp.inf)


_KL = in_pairs(_divergence, known=both(_known))


def _score(x: Number, a: Number, b: Number, loc: Number, scale: Number) -> tuple[Number, Number]:
    """(z − E[z])/σ and (z² − E[z²])/σ, 0 outside of the interval."""
    z, (first, second) = _z(x, a, b, loc, scale), _moments(a, b)
    outside = (head(z) < head(a)) | (head(z) > head(b))
    z = where(outside, 0.0, z)
    found = (z - first) / scale, (z * z - second) / scale
    return where(outside, 0.0, found[0]), where(outside, 0.0, found[1])


_SCORE = all_in_pairs(_score, known=lambda x, *of: _known(*of))


def _information(
    a: Number, b: Number, loc: Number, scale: Number
) -> tuple[tuple[Number, ...], ...]:
    """The covariances of z and z², over σ²."""
    (first, second), square = _moments(a, b), scale * scale
    at_a, at_b = _log_density(a, a, b), _log_density(b, a, b)

    def over(power: int) -> Number:
        """The rise of E[z^(k + 1)] over k E[z^(k − 1)] by the ends."""
        end_a, end_b = (a * a, b * b) if power == 2 else (a * a * a, b * b * b)
        return times_exp(end_a, at_a) - times_exp(end_b, at_b)

    third, fourth = 2 * first + over(2), 3 * second + over(3)
    return (
        ((second - first * first) / square,),
        ((third - first * second) / square, (fourth - second * second) / square),
    )


def pdf(
    x: Numbers, a: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Density of the truncated normal distribution.

        f(x) = φ(z)/(σ Z) where a ≤ z ≤ b, 0 elsewhere

    Gradient:
        ∂f/∂a = f(x) ∂log f/∂a for each argument a, as of ``logpdf``

    Args:
        x: Where to look.
        a: The lower end a, in standard deviations from μ; may be −∞.
        b: The upper end b > a, likewise; may be ∞.
        loc: The mean μ of the normal number.
        scale: Its standard deviation σ > 0.

    Returns:
        Densities, in units of 1/x, in the common shape of the arguments; nan where a ≥ b, σ ≤ 0, μ
        is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{pdf(1.0, -1.0, 2.0, 0.0, 2.0):.4f}")
        0.2150

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.truncnorm``.
    """
    return evaluated_by_axes("pdf", _F.pdf, x=x, a=a, b=b, loc=loc, scale=scale)


def logpdf(
    x: Numbers, a: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Logarithm of the density of the truncated normal distribution.

        log f(x) = log φ(z) − log Z − log σ where a ≤ z ≤ b, −∞ elsewhere

    Gradient:
        ∂/∂x = −z/σ,    ∂/∂a = φ(a)/Z,    ∂/∂b = −φ(b)/Z,    ∂/∂μ = z/σ,
        ∂/∂σ = (z² − 1)/σ

    Args:
        x: Where to look.
        a: The lower end a, in standard deviations from μ; may be −∞.
        b: The upper end b > a, likewise; may be ∞.
        loc: The mean μ of the normal number.
        scale: Its standard deviation σ > 0.

    Returns:
        Logarithms of densities, in nats, in the common shape of the arguments; nan where a ≥ b, σ ≤
        0, μ is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logpdf(1.0, -1.0, 2.0, 0.0, 2.0):.4f}")
        -1.5369

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.truncnorm``.
    """
    return evaluated_by_axes("logpdf", _F.logpdf, x=x, a=a, b=b, loc=loc, scale=scale)


def cdf(
    x: Numbers, a: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Distribution function of the truncated normal distribution: the probability up to x.

        F(x) = (Φ(z) − Φ(a))/Z; 0 below, 1 above

    The numerator is formed as Z is, for the interval from a to z.

    Gradient:
        ∂F/∂x = f(x),    ∂F/∂a = −σ φ(a)/φ(z) S(x) f(x),    ∂F/∂b = −σ φ(b)/φ(z) F(x) f(x),
        ∂F/∂μ = −f(x),    ∂F/∂σ = −z f(x)

    Args:
        x: Where to look.
        a: The lower end a, in standard deviations from μ; may be −∞.
        b: The upper end b > a, likewise; may be ∞.
        loc: The mean μ of the normal number.
        scale: Its standard deviation σ > 0.

    Returns:
        Probabilities, in the common shape of the arguments; nan where a ≥ b, σ ≤ 0, μ is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{cdf(1.0, -1.0, 2.0, 0.0, 2.0):.4f}")
        0.6509

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.truncnorm``.
    """
    return evaluated("cdf", _F.cdf, x=x, a=a, b=b, loc=loc, scale=scale)


def logcdf(
    x: Numbers, a: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of the truncated normal distribution.

        log F(x) = log(Φ(z) − Φ(a)) − log Z

    Gradient:
        with r = f(x)/F(x)
        ∂log F/∂x = r,    ∂log F/∂a = −σ φ(a)/φ(z) S(x) r,    ∂log F/∂b = −σ φ(b)/φ(z) F(x) r,
        ∂log F/∂μ = −r,    ∂log F/∂σ = −z r

    Args:
        x: Where to look.
        a: The lower end a, in standard deviations from μ; may be −∞.
        b: The upper end b > a, likewise; may be ∞.
        loc: The mean μ of the normal number.
        scale: Its standard deviation σ > 0.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where a ≥ b,
        σ ≤ 0, μ is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logcdf(1.0, -1.0, 2.0, 0.0, 2.0):.4f}")
        -0.4294

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.truncnorm``.
    """
    return evaluated("logcdf", _F.logcdf, x=x, a=a, b=b, loc=loc, scale=scale)


def sf(
    x: Numbers, a: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Survival function of the truncated normal distribution: the probability beyond x.

        S(x) = (Φ(b) − Φ(z))/Z; 1 below, 0 above

    Gradient:
        ∂S/∂x = −f(x),    ∂S/∂a = σ φ(a)/φ(z) S(x) f(x),    ∂S/∂b = σ φ(b)/φ(z) F(x) f(x),
        ∂S/∂μ = f(x),    ∂S/∂σ = z f(x)

    Args:
        x: Where to look.
        a: The lower end a, in standard deviations from μ; may be −∞.
        b: The upper end b > a, likewise; may be ∞.
        loc: The mean μ of the normal number.
        scale: Its standard deviation σ > 0.

    Returns:
        Probabilities, in the common shape of the arguments; nan where a ≥ b, σ ≤ 0, μ is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{sf(1.0, -1.0, 2.0, 0.0, 2.0):.4f}")
        0.3491

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.truncnorm``.
    """
    return evaluated("sf", _F.sf, x=x, a=a, b=b, loc=loc, scale=scale)


def logsf(
    x: Numbers, a: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Logarithm of the survival function of the truncated normal distribution.

        log S(x) = log(Φ(b) − Φ(z)) − log Z

    Gradient:
        with h = f(x)/S(x)
        ∂log S/∂x = −h,    ∂log S/∂a = σ φ(a)/φ(z) S(x) h,    ∂log S/∂b = σ φ(b)/φ(z) F(x) h,
        ∂log S/∂μ = h,    ∂log S/∂σ = z h

    Args:
        x: Where to look.
        a: The lower end a, in standard deviations from μ; may be −∞.
        b: The upper end b > a, likewise; may be ∞.
        loc: The mean μ of the normal number.
        scale: Its standard deviation σ > 0.

    Returns:
        Logarithms of probabilities, in nats, in the common shape of the arguments; nan where a ≥ b,
        σ ≤ 0, μ is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{logsf(1.0, -1.0, 2.0, 0.0, 2.0):.4f}")
        -1.0523

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.truncnorm``.
    """
    return evaluated("logsf", _F.logsf, x=x, a=a, b=b, loc=loc, scale=scale)


def ppf(
    q: Numbers, a: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Quantile function of the truncated normal distribution, the inverse of ``cdf``.

        Q(q) = μ + σ Φ⁻¹((1 − q) Φ(a) + q Φ(b))

    If the interval lies above 0 it is the tails beyond a and b that are mixed, in logarithms.

    Gradient:
        ∂Q/∂q = 1/f(Q),    ∂Q/∂a = σ φ(a)/φ(z) S(Q),    ∂Q/∂b = σ φ(b)/φ(z) F(Q),    ∂Q/∂μ = 1,
        ∂Q/∂σ = z

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        a: The lower end a, in standard deviations from μ; may be −∞.
        b: The upper end b > a, likewise; may be ∞.
        loc: The mean μ of the normal number.
        scale: Its standard deviation σ > 0.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where a ≥ b, σ ≤ 0,
        μ is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{ppf(0.9, -1.0, 2.0, 0.0, 2.0):.4f}")
        2.5114

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.truncnorm``.
    """
    return evaluated("ppf", _F.ppf, q=q, a=a, b=b, loc=loc, scale=scale)


def isf(
    q: Numbers, a: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Inverse survival function of the truncated normal distribution: the quantile of 1 − q.

        Q(1 − q)

    Gradient:
        ∂Q/∂q = −1/f(Q),    ∂Q/∂a = σ φ(a)/φ(z) S(Q),    ∂Q/∂b = σ φ(b)/φ(z) F(Q),    ∂Q/∂μ = 1,
        ∂Q/∂σ = z

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        a: The lower end a, in standard deviations from μ; may be −∞.
        b: The upper end b > a, likewise; may be ∞.
        loc: The mean μ of the normal number.
        scale: Its standard deviation σ > 0.

    Returns:
        Quantiles, in the units of x, in the common shape of the arguments; nan where a ≥ b, σ ≤ 0,
        μ is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{isf(0.9, -1.0, 2.0, 0.0, 2.0):.4f}")
        -1.4093

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.truncnorm``.
    """
    return evaluated("isf", _F.isf, q=q, a=a, b=b, loc=loc, scale=scale)


def sample(
    key: PRNGKeyArray,
    a: Numbers,
    b: Numbers,
    loc: Numbers = 0.0,
    scale: Numbers = 1.0,
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "..."]:
    """Samples of the truncated normal distribution.

        x = Q(u)

    for u uniform in (0, 1), as fine near 1 as near 0.

    Gradient:
        those of ``ppf`` at q = F(x) (reparameterisation)

    Args:
        key: The random key.
        a: The lower end a, in standard deviations from μ; may be −∞.
        b: The upper end b > a, likewise; may be ∞.
        loc: The mean μ of the normal number.
        scale: Its standard deviation σ > 0.
        shape: The shape of the samples, to which the parameters must broadcast; theirs by default.

    Returns:
        Independent samples; nan where a ≥ b, σ ≤ 0, μ is infinite.

    Raises:
        TypeError: If the key is no random key, a parameter not an array of real numbers, or the
            shape no tuple of integers.
        ValueError: If the parameters do not broadcast to the shape.

    Example:
        >>> x = sample(jax.random.key(0), -1.0, 2.0, 0.0, 2.0, shape=(10_000,))
        >>> print(f"{x.mean():.2f}")
        0.46

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.truncnorm``.
    """
    return drawn("sample", key, _F.ppf, _F.isf, shape, a=a, b=b, loc=loc, scale=scale)


def mean(a: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mean of the truncated normal distribution.

        μ + σ m,    m = (φ(a) − φ(b))/Z

    Args:
        a: The lower end a, in standard deviations from μ; may be −∞.
        b: The upper end b > a, likewise; may be ∞.
        loc: The mean μ of the normal number.
        scale: Its standard deviation σ > 0.

    Returns:
        Means, in the units of x, in the common shape of the parameters; nan where a ≥ b, σ ≤ 0, μ
        is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mean(-1.0, 2.0, 0.0, 2.0):.4f}")
        0.4593

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.truncnorm``.
    """
    return evaluated("mean", _MEAN, a=a, b=b, loc=loc, scale=scale)


def variance(
    a: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Variance of the truncated normal distribution.

        σ² (1 + (a φ(a) − b φ(b))/Z − m²)

    The terms are carried in twice the precision; of an interval narrower than some 10⁻³ standard
    deviations their difference has few digits all the same.

    Args:
        a: The lower end a, in standard deviations from μ; may be −∞.
        b: The upper end b > a, likewise; may be ∞.
        loc: The mean μ of the normal number.
        scale: Its standard deviation σ > 0.

    Returns:
        Variances, in the square of the units of x, in the common shape of the parameters; nan where
        a ≥ b, σ ≤ 0, μ is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{variance(-1.0, 2.0, 0.0, 2.0):.4f}")
        2.0791

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.truncnorm``.
    """
    return evaluated("variance", _VARIANCE, a=a, b=b, loc=loc, scale=scale)


def mode(a: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0) -> Float[Array, "..."]:
    """Mode of the truncated normal distribution, where its density is largest.

        μ + σ times the number from a to b that is nearest to 0

    Args:
        a: The lower end a, in standard deviations from μ; may be −∞.
        b: The upper end b > a, likewise; may be ∞.
        loc: The mean μ of the normal number.
        scale: Its standard deviation σ > 0.

    Returns:
        Modes, in the units of x, in the common shape of the parameters; nan where a ≥ b, σ ≤ 0, μ
        is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{mode(-1.0, 2.0, 0.0, 2.0):.4f}")
        0.0000

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.truncnorm``.
    """
    return evaluated("mode", _MODE, a=a, b=b, loc=loc, scale=scale)


def entropy(
    a: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "..."]:
    """Differential entropy of the truncated normal distribution.

        log(σ Z √(2πe)) + (a φ(a) − b φ(b))/(2Z)

    Gradient:
        ∂/∂σ = 1/σ, and by a and b those of the formula

    Args:
        a: The lower end a, in standard deviations from μ; may be −∞.
        b: The upper end b > a, likewise; may be ∞.
        loc: The mean μ of the normal number.
        scale: Its standard deviation σ > 0.

    Returns:
        Entropies, in nats, in the common shape of the parameters; nan where a ≥ b, σ ≤ 0, μ is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{entropy(-1.0, 2.0, 0.0, 2.0):.4f}")
        1.6982

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.truncnorm``.
    """
    return evaluated("entropy", _ENTROPY, a=a, b=b, loc=loc, scale=scale)


def kl(
    a_p: Numbers,
    b_p: Numbers,
    loc_p: Numbers,
    scale_p: Numbers,
    a_q: Numbers,
    b_q: Numbers,
    loc_q: Numbers,
    scale_q: Numbers,
) -> Float[Array, "..."]:
    """Kullback-Leibler divergence KL(p ‖ q) of two truncated normal distributions.

        KL = log(Z₂/Z₁) − log ρ + ½ E[(ρz + δ)² − z²],    ρ = σ₁/σ₂,    δ = (μ₁ − μ₂)/σ₂

    where the support of p lies in that of q, else ∞. The terms cancel where p and q are nearly the
    same.

    Gradient:
        that of the formula

    Args:
        a_p: The lower end a of p.
        b_p: The upper end b > a of p.
        loc_p: The mean μ of the normal number of p.
        scale_p: Its standard deviation σ > 0 of p.
        a_q: The lower end a of q.
        b_q: The upper end b > a of q.
        loc_q: The mean μ of the normal number of q.
        scale_q: Its standard deviation σ > 0 of q.

    Returns:
        Divergences, in nats, in the common shape of the parameters; nan where a ≥ b, σ ≤ 0, μ is
        infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(f"{kl(-1.0, 1.0, 0.0, 1.0, -1.0, 2.0, 0.0, 1.0):.4f}")
        0.1815

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10; ``scipy.stats.truncnorm``.
    """
    return evaluated(
        "kl",
        _KL,
        a_p=a_p,
        b_p=b_p,
        loc_p=loc_p,
        scale_p=scale_p,
        a_q=a_q,
        b_q=b_q,
        loc_q=loc_q,
        scale_q=scale_q,
    )


def fit(
    x: Float[Array, "*batch samples"],
    *,
    low: Numbers | None = None,
    high: Numbers | None = None,
    weights: Real[Array, "..."] | None = None,
) -> tuple[
    Float[Array, "*batch"], Float[Array, "*batch"], Float[Array, "*batch"], Float[Array, "*batch"]
]:
    """Parameters of the truncated normal distribution that make the samples most likely.

        E[x] = Σ wᵢ xᵢ / Σ wᵢ,    E[x²] = Σ wᵢ xᵢ² / Σ wᵢ,    μ + σ a = low,    μ + σ b = high

    The first two are solved by 40 damped steps of Newton's method in μ/σ² and −1/(2σ²), in which
    the likelihood is concave, with the moments by Gauss and Legendre's quadrature. Samples that are
    spread more evenly than those of any normal number in the interval have no estimate.

    Args:
        x: The samples, on the last axis.
        low: The lower end of the interval, in the units of x, −∞ for none; by default the smallest
            sample, which is its most likely place.
        high: The upper end, ∞ for none; by default the largest sample.
        weights: How much each sample counts, ≥ 0, in a shape that broadcasts to theirs; all alike
            by default.

    Returns:
        The estimates a, b, μ, σ, each in the shape of the samples without their axis; nan where
        there are none, or a sample lies outside of the interval.

    Raises:
        TypeError: If the samples are not a floating-point array, or the others not real numbers.
        ValueError: If there is no axis of samples, or the weights do not broadcast to them, or the
            ends not to their shape without that axis.

    Example:
        >>> x = jnp.array([0.1, 0.2, 0.3, 0.5, 0.7, 1.1])
        >>> print(*(f"{p:.4f}" for p in fit(x, low=0.0, high=jnp.inf)))
        -0.4291 inf 0.2126 0.4955

    Source:
        Cohen, Estimating the mean and variance of normal populations from singly truncated and
        doubly truncated samples (1950).
    """
    samples, w = _fitting.samples("fit", x, weights)
    ends = _fitting.smallest(samples, w), _fitting.largest(samples, w)
    given = {"low": low, "high": high}
    for i, (name, end) in enumerate(given.items()):
        if end is not None:
            _checks.real("fit", **{name: end})
            _checks.broadcasts_to("fit", name, end, "x[..., 0]", samples[..., 0])
            at = jnp.broadcast_to(jnp.asarray(end, samples.dtype), samples.shape[:-1])
            ends = (at, ends[1]) if i == 0 else (ends[0], at)
    return _fitting.of_dtype(x, *_truncated_fitting.fitted(samples, w, *ends))


def score(
    x: Numbers, a: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "... 2"]:
    """Score of the truncated normal distribution: the gradient of the log-density by μ and σ.

        ∂ log f/∂(μ, σ) = ((z − E[z])/σ, (z² − E[z²])/σ)

    with the ends of the interval, μ + σ a and μ + σ b, held: they are known, or found by the
    samples at their ends, and moved by μ and σ they would leave no score of mean 0.

    Args:
        x: Where to look.
        a: The lower end a, in standard deviations from μ; may be −∞.
        b: The upper end b > a, likewise; may be ∞.
        loc: The mean μ of the normal number.
        scale: Its standard deviation σ > 0.

    Returns:
        The derivatives by μ and σ on a new last axis, 0 outside of the interval; nan where a ≥ b,
        σ ≤ 0, μ is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(score(1.0, -1.0, 2.0, 0.0, 2.0).round(4))
        [ 0.1352 -0.1612]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10.
    """
    side_by_side = lambda *of: jnp.stack(_SCORE(*of), -1)  # noqa: E731
    return evaluated("score", side_by_side, x=x, a=a, b=b, loc=loc, scale=scale)


def fisher_information(
    a: Numbers, b: Numbers, loc: Numbers = 0.0, scale: Numbers = 1.0
) -> Float[Array, "... 2 2"]:
    """Fisher information of the truncated normal distribution: the covariance of the score.

        I₁₁ = Var[z]/σ²,    I₁₂ = Cov[z, z²]/σ²,    I₂₂ = Var[z²]/σ²

    of μ and σ, the ends of the interval being known. The moments follow from each other,

        E[zᵏ⁺¹] = k E[zᵏ⁻¹] + (aᵏ φ(a) − bᵏ φ(b))/Z

    in twice the precision; of an interval narrower than some 10⁻³ standard deviations their
    differences have few digits all the same.

    Args:
        a: The lower end a, in standard deviations from μ; may be −∞.
        b: The upper end b > a, likewise; may be ∞.
        loc: The mean μ of the normal number.
        scale: Its standard deviation σ > 0.

    Returns:
        Matrices on two new last axes, of μ and σ; nan where a ≥ b, σ ≤ 0, μ is infinite.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print([[f"{v:.4f}" for v in row] for row in fisher_information(-1.0, 2.0, 0.0, 2.0)])
        [['0.1299', '0.0899'], ['0.0899', '0.1416']]

    Source:
        Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1 (1994),
        §13.10 (the moments); Cohen (1950).
    """
    return information("fisher_information", _information, _known, a=a, b=b, loc=loc, scale=scale)
