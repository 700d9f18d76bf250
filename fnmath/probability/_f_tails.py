"""The F distribution as a beta distribution, with all its derivatives.

Notation: m and n are the numbers of degrees of freedom, a = m/2 and b = n/2; z = (x − μ)/σ,
u = m z/(m z + n) and v = 1 − u, of which Beta(a, b) is the law; ψ = (log Γ)′, δ is the error of
Stirling's formula; e = a v − b u.

    f(x) = uᵃ vᵇ/(B(a, b) z σ)

By m and n what is in u cancels what is in the gamma functions: with s = b (z − 1)/(b + a z), which
is z (a + b)/(b + a z) − 1, and what ψ has beside its logarithm, r(a) = −1/(2a) + δ′(a),

    ∂ log f/∂m = ½ (log(1 + s) − s + r(a + b) − r(a))

and the same by n with 1/z for z and a, b exchanged. None of the terms is larger than it should be.
"""

from __future__ import annotations

# pyright: reportGeneralTypeIssues=false
# (a derivative may speak of the function that it belongs to)
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from fnmath.numerics import with_derivatives
from fnmath.numerics._pairs import Pair, log_pair
from fnmath.numerics._sharing import shared, with_joint_derivatives
from fnmath.numerics._stirling import lag, stirling_slope
from fnmath.probability import _beta_tails as tails
from fnmath.probability import _numbers as numbers
from fnmath.probability._beta_quantiles import solved, target_of
from fnmath.probability._beta_tails import Point
from fnmath.probability._evaluation import where_known
from fnmath.probability._log_gammas import log_one_and
from fnmath.probability._roots_of_tails import with_derivatives_at
from fnmath.probability._two_part import exp_of, log_of, negative, summed


def _exact(x: jax.Array) -> numbers.Pair:
    return numbers.Pair(x, jnp.zeros_like(x))


def standard(x: jax.Array, loc: jax.Array, scale: jax.Array) -> Pair:
    """The pair of z = (x − μ)/σ."""
    z = (_exact(x) - _exact(loc)) / _exact(scale)
    return z.head, z.tail


def _shares(z: jax.Array, z_tail: jax.Array, m: jax.Array, n: jax.Array) -> tuple[Pair, Pair]:
    """U and v as pairs, of the smaller one of m z/n and its inverse."""
    pair = numbers.Pair(z, z_tail)
    below = m * z <= n
    top, bottom = _exact(m), _exact(n)
    t = numbers.where(below, pair * top, bottom) / numbers.where(below, bottom, pair * top)
    small, large = t / (1 + t), 1 / (1 + t)
    u, v = numbers.where(below, small, large), numbers.where(below, large, small)
    return (u.head, u.tail), (v.head, v.tail)


def _moving(by: Callable) -> Callable:
    """The derivatives of u and of v, which is −u's."""

    def slopes(z: jax.Array, z_tail: jax.Array, m: jax.Array, n: jax.Array) -> tuple:
        slope = by(*_heads(z, z_tail, m, n), m, n)
        return slope, -slope

    return slopes


@shared
@with_joint_derivatives(
    _moving(lambda u, v, m, n: v * (v * (m / n))),
    None,
    _moving(lambda u, v, m, n: u * v / m),
    _moving(lambda u, v, m, n: -u * v / n),
)
def _heads(z: jax.Array, z_tail: jax.Array, m: jax.Array, n: jax.Array) -> tuple:
    """U and v, each rounded."""
    u, v = _shares(z, z_tail, m, n)
    return u[0], v[0]


@shared
def point(z: jax.Array, z_tail: jax.Array, m: jax.Array, n: jax.Array) -> Point:
    """Where Beta(m/2, n/2) is looked at for z."""
    z_tail = jax.lax.stop_gradient(z_tail)
    (_, u_tail), (_, v_tail) = jax.lax.stop_gradient(_shares(z, z_tail, m, n))
    u, v = _heads(z, z_tail, m, n)
    return Point(u, v, 0.5 * m, 0.5 * n, u_tail, v_tail)


def _of_x(f: Callable, ends: Callable) -> Callable:
    """The function of x, m, n, μ, σ that f of z, z̃, m, n, σ is inside, and ``ends`` elsewhere."""

    def function(x, m, n, loc, scale):
        known, inside, args = _placed(x, m, n, loc, scale)
        value = jnp.where(inside, f(*args), ends(x, m, n, loc, scale))
        return where_known(known, value, x, m, n, loc, scale)

    return function


@shared
def _placed(x, m, n, loc, scale):
    """Whether the arguments have a meaning, x is inside, and z, z̃, m, n, σ that are so always."""
    known = (m > 0) & (m < jnp.inf) & (n > 0) & (n < jnp.inf) & (scale > 0) & (scale < jnp.inf)
    known = known & jnp.isfinite(loc) & ~jnp.isnan(x)
    inside = known & (x > loc) & (x < jnp.inf)
    m_, n_ = (jnp.where((t > 0) & (t < jnp.inf), t, 2) for t in (m, n))
    args = zip((x, loc, scale), (1.5, 0, 1), strict=True)
    x_, loc_, scale_ = (jnp.where(inside, t, some) for t, some in args)
    return known, inside, (*standard(x_, loc_, scale_), m_, n_, scale_)


def _zeros(x, m, n, loc, scale):
    return jnp.zeros_like(x)


def _density_at_ends(x, m, n, loc, scale):
    at_0 = jnp.where(m < 2, jnp.inf, jnp.where(m == 2, 1 / scale, 0))
    return jnp.where(x == loc, at_0, 0)


def _slope_at_ends(x, m, n, loc, scale):
    """The derivative of log f by x at its ends: (a − 1)/z − (a + b) a/b at 0."""
    at_0 = jnp.where(m < 2, -jnp.inf, jnp.where(m == 2, -(1 + 2 / n) / scale, jnp.inf))
    return jnp.where(x == loc, at_0, 0)


def _log_terms(z, z_tail, m, n, scale) -> Pair:
    p = point(z, z_tail, m, n)
    flow = tails._log_flow_terms(p)
    return summed(*flow, *negative(log_of((z, z_tail))), *negative(log_pair(scale)))


def _log_by_x(z, z_tail, m, n, scale):
    e = tails._excess(*point(z, z_tail, m, n))
    return (e - 1) / z / scale


def _log_by_scale(z, z_tail, m, n, scale):
    return -tails._excess(*point(z, z_tail, m, n)) / scale


def over_logarithm(a: jax.Array, b: jax.Array) -> jax.Array:
    """What ψ(a + b) − ψ(a) is beside log((a + b)/a)."""
    small = a < 1
    c = jnp.where(small, a + 1, a)
    k = c + b
    far = 0.5 * ((b / c) / k) + (stirling_slope(k) - stirling_slope(c))
    some = jnp.where(small, a, 1)
    # One step of both, 1/a − 1/(a + b), and that of the logarithms.
    step = (b / some) / (some + b) - (jnp.log1p(b / some) - jnp.log1p(b / (some + 1)))
    return jnp.where(small, far + step, far)


def _log_by_shape(excess, numerator, denominator, a, b):
    """½ (log(1 + s) − s + r(a + b) − r(a)), of s and of the quotient that is 1 + s."""
    log_ratio = log_one_and(excess, numerator, denominator)
    return 0.5 * (over_logarithm(a, b) - lag(excess, log_ratio))


def _log_by_m(z, z_tail, m, n, scale):
    total = n + m * z
    excess = n * ((z - 1) + z_tail) / total
    return _log_by_shape(excess, z * (m + n), total, 0.5 * m, 0.5 * n)


def _log_by_n(z, z_tail, m, n, scale):
    total = n + m * z
    excess = -m * ((z - 1) + z_tail) / total
    return _log_by_shape(excess, m + n, total, 0.5 * n, 0.5 * m)


def _negative(f):
    return lambda *args: -f(*args)


BY = (_log_by_x, _log_by_m, _log_by_n, _negative(_log_by_x), _log_by_scale)
ENDS = (_slope_at_ends, _zeros, _zeros, _negative(_slope_at_ends), _zeros)
_log_slopes = tuple(_of_x(f, e) for f, e in zip(BY, ENDS, strict=True))


def _scaled(slope: Callable) -> Callable:
    """The derivative of the density by that of its logarithm; 0 where either is, at an end."""

    def by(*args):
        f, s = density(*args), slope(*args)
        nothing = ((f == 0) | (s == 0)) & ~jnp.isnan(f) & ~jnp.isnan(s)
        return jnp.where(nothing, 0, f * s)

    return by


@with_derivatives(*_log_slopes)
def log_density(x, m, n, loc, scale):
    """The logarithm of the density."""

    def inside(*args):
        head, tail = _log_terms(*args)
        return head + tail

    return _of_x(inside, lambda *args: jnp.log(_density_at_ends(*args)))(x, m, n, loc, scale)


@shared
@with_derivatives(*map(_scaled, _log_slopes))
def density(x, m, n, loc, scale):
    """The density."""
    return _of_x(lambda *args: exp_of(_log_terms(*args)), _density_at_ends)(x, m, n, loc, scale)


@functools.cache
def tail(kind: str) -> Callable:
    """What is asked of the tails, of x, m, n, μ and σ; it is differentiated as the beta law is."""
    lower = kind.endswith("lower")

    def ends(x, m, n, loc, scale):
        value = jnp.where((x > loc) == lower, 1, 0).astype(x.dtype)
        value = jnp.where(jnp.isnan(x), jnp.nan, value)
        return jnp.log(jax.lax.stop_gradient(value)) if kind.startswith("log") else value

    return _of_x(lambda z, t, m, n, scale: tails.tail_function(kind)(*point(z, t, m, n)), ends)


@functools.cache
def quantile(kind: str) -> Callable:
    """The z of which the tail, ``"lower"`` or ``"upper"``, is q, as a function of q, m and n."""
    sign = 1 if kind == "lower" else -1

    @shared
    def inside(q, m, n):
        within = (q > 0) & (q < 1) & (m > 0) & (m < jnp.inf) & (n > 0) & (n < jnp.inf)
        some = zip((q, m, n), (0.5, 2, 2), strict=True)
        return within, *(jnp.where(within, t, s) for t, s in some)

    def known(q, m, n):
        return (q >= 0) & (q <= 1) & (m > 0) & (m < jnp.inf) & (n > 0) & (n < jnp.inf)

    @shared
    def there(z, m, n):
        usual = (z > 0) & (z < jnp.inf)
        some = jnp.where(usual, z, 1)
        return usual, some, point(some, jnp.zeros_like(some), m, n)

    def by_q(z, q, m, n):
        within, _, *of = inside(q, m, n)
        usual, z, p = there(z, *of)
        at_0 = jnp.where(m < 2, 0, jnp.where(m == 2, 1, jnp.inf))
        ends = jnp.where((q == 0) == (sign == 1), at_0, jnp.inf)
        ends = jnp.where(known(q, m, n), sign * ends, jnp.nan)
        return jnp.where(within & usual, sign * z / tails.flow(*p), ends)

    def by_shape(which):
        def change(z, q, m, n):
            within, _, *of = inside(q, m, n)
            usual, z, p = there(z, *of)
            moved = tails.slopes(p)[which] / tails.hazard(p)
            moved = 0.5 * jnp.where(tails._is_lower(p), -moved, moved)
            own = -1 / of[0] if which == 0 else 1 / of[1]
            at_ends = jnp.where(known(q, m, n), 0, jnp.nan)
            return jnp.where(within & usual, z * (moved + own), at_ends)

        return change

    @with_derivatives_at(by_q, by_shape(0), by_shape(1))
    def function(q, m, n):
        within, q_, m_, n_ = inside(q, m, n)
        p = solved(*target_of(kind, q_), 0.5 * m_, 0.5 * n_)
        ends = jnp.where((q == 0) == (sign == 1), 0, jnp.inf)
        z = (p.x / p.y) * (n_ / m_)
        return jnp.where(within, z, jnp.where(known(q, m, n), ends, jnp.nan))

    return function
