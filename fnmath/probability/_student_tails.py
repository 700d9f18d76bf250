"""The tails of Student's law and its quantiles, with all their derivatives.

Notation: s = (x − μ)/σ is standardised, ν the degrees of freedom, u = s²/ν, s = √ν sinh w,
τ = tanh w, κ = 1 − τ² = 1/(1 + u); f is the standard density; S the tail beyond |s|.

    S = f √(ν + s²) J,    J = ∫₀^∞ ρ(y)^−ν dy,    ρ = cosh y + τ sinh y
    J(ν) = [(ν + 1) κ J(ν + 2) + τ]/ν
    ½ − S = s ∫₀¹ f(s v) dv                        where s² < 1 and s² < ν

All of it is positive. The derivative by ν is of the order ν⁻², though that of each factor is ν⁻¹:
so it is the mean of ∂ log f/∂ν over the tail, where ν is not small.

Source: Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), §28.2; Loader,
Fast and accurate computation of binomial probabilities (2000), §2.
"""

from __future__ import annotations

# pyright: reportGeneralTypeIssues=false
# (a derivative may speak of the function that it belongs to)
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from fnmath.numerics import with_derivatives
from fnmath.numerics._once import sum_of_rows
from fnmath.numerics._pairs import Pair, log_pair, product, quotient, total, two_sum
from fnmath.numerics._series import expm1
from fnmath.numerics._sharing import shared, with_joint_derivatives
from fnmath.numerics._stirling import lag, student_constant
from fnmath.probability._roots_of_tails import (
    Local,
    normal_quantile,
    residual,
    root,
    slope,
    with_derivatives_at,
)
from fnmath.probability._tails import Tail, combined, depth, factor, nodes, outcome
from fnmath.probability._two_part import (
    added,
    exp_of,
    log_of,
    multiplied,
    negative,
    ratio,
    summed,
    times,
)

FAR = 1e8  # where 1 + u is u to all digits of two parts
STEPS = 3  # of the recurrence, each of 2


@shared
def standardised(x: jax.Array, loc: jax.Array, scale: jax.Array) -> Pair:
    """The number (x − μ)/σ as a pair."""
    r, r_tail = two_sum(x, -loc)
    q, tail = quotient(r, scale)
    return two_sum(q, tail + jnp.where(jnp.isfinite(q), r_tail / scale, 0))


@shared
def constant_slope(nu: jax.Array) -> jax.Array:
    """The derivative of log B(½, ½ν) + ½ log ν by ν."""
    half = 0.5 * nu
    return 0.5 * jax.jvp(student_constant, (half,), (jnp.ones_like(half),))[1]


@shared
def _near(s: jax.Array, nu: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Where u is of ordinary size, and s there."""
    near = jnp.abs(s) < FAR * jnp.sqrt(nu)
    return near, jnp.where(near, s, 0)


@shared
def _log1p_u(s: Pair, nu: jax.Array) -> Pair:
    """The logarithm of 1 + u, in two parts."""
    near, some = _near(s[0], nu)
    pair = (some, jnp.where(near, s[1], 0))
    u = ratio(multiplied(pair, pair), (nu, jnp.zeros_like(nu)))
    inner = log_of(added(u, (jnp.ones_like(nu), jnp.zeros_like(nu))))
    size = jnp.where(near, 1, jnp.abs(s[0]))
    log_s = log_pair(size)
    outer = summed(2 * log_s[0], *negative(log_pair(nu)), 2 * log_s[1])
    return jnp.where(near, inner[0], outer[0]), jnp.where(near, inner[1], outer[1])


@shared
def _log_f(s: Pair, nu: jax.Array) -> Pair:
    """The logarithm of the standard density, in two parts."""
    log1p_u = _log1p_u(s, nu)
    half = times(-0.5 * nu, log1p_u)
    return summed(*half, *(-0.5 * part for part in log1p_u), -student_constant(0.5 * nu))


@shared
def _kappa(s: jax.Array, nu: jax.Array) -> tuple[jax.Array, jax.Array]:
    """κ and τ at |s|."""
    near, some = _near(s, nu)
    size = jnp.where(near, 1, jnp.abs(s))
    w = some / jnp.sqrt(nu)
    over = jnp.sqrt(nu) / size
    kappa = jnp.where(near, 1 / (1 + w * w), over * over)
    tau = jnp.where(near, jnp.abs(w) / jnp.sqrt(1 + w * w), 1)
    return kappa, tau


def _share(s: jax.Array, nu: jax.Array) -> jax.Array:
    """u/(1 + u)."""
    near, some = _near(s, nu)
    u = some * (some / nu)
    return jnp.where(near, u / (1 + u), 1)


@shared
def _plain_log1p_u(s: jax.Array, nu: jax.Array) -> jax.Array:
    near, some = _near(s, nu)
    size = jnp.where(near, 1, jnp.abs(s))
    u = some * (some / nu)
    direct = jnp.where(u < 0.25, jnp.log1p(jnp.minimum(u, 0.25)), jnp.log(1 + u))
    return jnp.where(near, direct, 2 * jnp.log(size) - jnp.log(nu))


@shared
def _log_f_by_s(s: jax.Array, nu: jax.Array) -> jax.Array:
    """The derivative −(ν + 1) s/(ν + s²)."""
    near, some = _near(s, nu)
    size = jnp.where(near, 1, s)
    return -jnp.where(near, (1 + 1 / nu) * some / (1 + some * (some / nu)), (nu + 1) / size)


@with_derivatives(None, lambda share, log1p_u: share)
def _rest_of_log(share: jax.Array, log1p_u: jax.Array) -> jax.Array:
    """The difference log(1 + u) − u/(1 + u), whose derivative by log(1 + u) is u/(1 + u).

    That by the share, of which it is no other function, would be −u: infinite for a share of 1.
    """
    return lag(-share, -log1p_u)


def _score(share: jax.Array, log1p_u: jax.Array, nu: jax.Array) -> jax.Array:
    """The derivative of log f by ν."""
    return 0.5 * (share / nu - _rest_of_log(share, log1p_u)) - constant_slope(nu)


@shared
def _log_f_by_nu(s: jax.Array, nu: jax.Array) -> jax.Array:
    return _score(_share(s, nu), _plain_log1p_u(s, nu), nu)


@shared
def _is_central(s: jax.Array, nu: jax.Array) -> jax.Array:
    return (s * s < 1) & (s * s < nu)


def _log_rho(y: jax.Array, tau: jax.Array) -> jax.Array:
    half = expm1(y)  # sinh y = ½ (e + e/(1 + e)), 2 sinh² ½y = ½ e²/(1 + e)
    sinh, versine = 0.5 * (half + half / (1 + half)), 0.5 * half * (half / (1 + half))
    v = tau * sinh + versine
    return jnp.where(v < 0.25, jnp.log1p(jnp.minimum(v, 0.25)), jnp.log(1 + v))


def _points(nu: jax.Array, tau: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Quadrature nodes y and weights for ρ^−ν."""
    stop = jax.lax.stop_gradient
    c = depth(nu) / stop(nu)
    extent = c + jnp.log1p(jnp.sqrt(-jnp.expm1(-2 * c)))
    extent = jnp.minimum(extent, c / jnp.maximum(stop(tau), 1e-3))
    u, w = nodes(nu)
    return u * extent, w * extent


@shared
def _fall(nu: jax.Array, tau: jax.Array, kappa: jax.Array) -> jax.Array:
    """The integral of ρ^−ν, from that of ν + 6 down."""
    large = nu + 2 * STEPS
    y, w = _points(large, tau)
    J = sum_of_rows(w * jnp.exp(-large * _log_rho(y, tau)))
    for k in reversed(range(STEPS)):
        n = nu + 2 * k
        J = ((n + 1) * kappa * J + tau) / n
    return J


@shared
def _central(s: jax.Array, nu: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The area from 0 to |s| over |s| f(s), and the mean of the score over it."""
    v, w = nodes(s)
    u = s * (s / nu)
    at = u * (v * v)
    rise = jnp.exp(-0.5 * (nu + 1) * (jnp.log1p(at) - jnp.log1p(u)))
    area = sum_of_rows(w * rise)
    score = _score(at / (1 + at), jnp.log1p(at), nu)
    return area, sum_of_rows(w * rise * score) / area


@shared
def _parts(s: Pair, nu: jax.Array) -> tuple[Tail, jax.Array]:
    """The tail beyond |s|, and what it is over the density."""
    size, is_lower = jnp.abs(s[0]), s[0] < 0
    log_f = _log_f(s, nu)
    kappa, tau = _kappa(size, nu)
    width = jnp.where(_near(size, nu)[0], jnp.sqrt(nu / kappa), size)
    J = _fall(nu, tau, kappa)
    mills = width * J
    central = _is_central(size, nu)
    inner = jnp.where(central, size, 0)
    area = exp_of(log_f) * inner * _central(inner, nu)[0]
    # The density alone may be below all numbers: not so times its width.
    outer = combined(is_lower, summed(*log_f, *log_pair(width)), J - 1, mills=J)
    value = jnp.where(central, 0.5 - area, outer.value)
    rest = jnp.where(central, 0.5 + area, outer.complement)
    return Tail(is_lower, value, rest, outer.log), jnp.where(central, value / exp_of(log_f), mills)


def tail(s: Pair, nu: jax.Array) -> Tail:
    """The tail beyond s."""
    return _parts(s, nu)[0]


@shared
def _slope_of_large(s: jax.Array, nu: jax.Array) -> jax.Array:
    """The mean of the score over the tail, for ν ≥ 2."""
    kappa, tau = _kappa(s, nu)
    y, w = _points(nu, tau)
    log_rho = _log_rho(y, tau)
    weight = w * jnp.exp(-nu * log_rho)
    share = 1 - kappa * jnp.exp(-2 * log_rho)
    score = _score(share, 2 * log_rho + _plain_log1p_u(s, nu), nu)
    return sum_of_rows(weight * score) / sum_of_rows(weight)


def _slope_of_small(s: jax.Array, nu: jax.Array) -> jax.Array:
    """The derivative of log S by ν, term by term."""

    def rest(nu: jax.Array) -> jax.Array:
        kappa, tau = _kappa(s, nu)
        return jnp.log(_fall(nu, tau, kappa)) + 0.5 * (jnp.log(nu) + _plain_log1p_u(s, nu))

    return _log_f_by_nu(s, nu) + jax.jvp(rest, (nu,), (jnp.ones_like(nu),))[1]


@shared
def _outer_slope(size: jax.Array, nu: jax.Array) -> jax.Array:
    """The same, of whichever is right."""
    large = nu >= 2
    of_large = _slope_of_large(size, jnp.where(large, nu, 2))
    return jnp.where(large, of_large, _slope_of_small(size, nu))


@shared
def slope_by_nu(s: jax.Array, nu: jax.Array) -> jax.Array:
    """The derivative of log S by ν."""
    size = jnp.abs(s)
    central, outer = _is_central(size, nu), _outer_slope(size, nu)
    inner = jnp.where(central, size, 0)
    area, score = _central(inner, nu)
    area = flow(inner, nu) * area
    return jnp.where(central, -area * score / (0.5 - area), outer)


@shared
def _inside(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Where all arguments are inside, and some that are so everywhere, the parameters alone."""
    x, nu, loc, scale = arrays
    lies = (nu > 0) & (nu < jnp.inf), jnp.isfinite(loc), (scale > 0) & (scale < jnp.inf)
    nu_, loc_, scale_ = map(jnp.where, lies, (nu, loc, scale), (1, 0, 1))
    inside = jnp.isfinite(x) & lies[0] & lies[1] & lies[2]
    return inside, jnp.where(inside, x, loc_), nu_, loc_, scale_


def _elementwise(f, ends):
    """The function of x, ν, μ and σ that f is inside and ``ends`` at x = ±∞."""

    def function(*arrays: jax.Array) -> jax.Array:
        inside, *some = _inside(*arrays)
        x, nu, loc, scale = arrays
        valid = (nu > 0) & (scale > 0) & (scale < jnp.inf) & jnp.isfinite(loc) & jnp.isinf(x)
        at_ends = jnp.where(valid & (nu < jnp.inf), ends(*arrays), jnp.nan)
        return jnp.where(inside, f(*some), at_ends)

    return function


def _zeros(x, nu, loc, scale):
    return jnp.zeros_like(x)


def _log_by_x(x, nu, loc, scale):
    return _log_f_by_s(standardised(x, loc, scale)[0], nu) / scale


def _log_by_nu(x, nu, loc, scale):
    return _log_f_by_nu(standardised(x, loc, scale)[0], nu)


def _log_by_scale(x, nu, loc, scale):
    """The derivative (s² − 1)/(1 + u)/σ."""
    s, tail = standardised(x, loc, scale)
    near, some = _near(s, nu)
    inner = ((some - 1) * (some + 1) + 2 * some * tail) / (1 + some * (some / nu))
    return jnp.where(near, inner, nu) / scale


@with_derivatives(
    _elementwise(_log_by_x, _zeros),
    _elementwise(_log_by_nu, lambda x, nu, loc, scale: jnp.full_like(x, -jnp.inf)),
    _elementwise(lambda *p: -_log_by_x(*p), _zeros),
    _elementwise(_log_by_scale, lambda x, nu, loc, scale: nu / scale),
)
def log_density(x: jax.Array, nu: jax.Array, loc: jax.Array, scale: jax.Array) -> jax.Array:
    """The logarithm of the density of Student's law."""

    def inside(x, nu, loc, scale):
        log_f = _log_f(standardised(x, loc, scale), nu)
        return sum(summed(*log_f, *negative(log_pair(scale))))

    return _elementwise(inside, lambda x, *_: jnp.full_like(x, -jnp.inf))(x, nu, loc, scale)


def _scaled(log_slope):
    return _elementwise(lambda *p: density(*p) * log_slope(*p), _zeros)


@shared
@with_derivatives(
    _scaled(_log_by_x),
    _scaled(_log_by_nu),
    _scaled(lambda *p: -_log_by_x(*p)),
    _scaled(_log_by_scale),
)
def density(x: jax.Array, nu: jax.Array, loc: jax.Array, scale: jax.Array) -> jax.Array:
    """The density of Student's law."""

    def inside(x, nu, loc, scale):
        log_f = _log_f(standardised(x, loc, scale), nu)
        return exp_of(summed(*log_f, *negative(log_pair(scale))))

    return _elementwise(inside, _zeros)(x, nu, loc, scale)


def _by_nu(kind: str) -> Callable[..., jax.Array]:
    def slope(x, nu, loc, scale):
        s, _ = standardised(x, loc, scale)
        lower, upper = lower_and_upper(x, nu, loc, scale)
        parts = jnp.where(s < 0, lower, upper), jnp.where(s < 0, upper, lower)
        return factor(kind, s < 0, *parts) * slope_by_nu(s, nu)

    return slope


def _and_negative(slope: Callable[..., jax.Array]) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """The derivatives of both tails, by that of the lower one."""
    of_lower = shared(_elementwise(slope, _zeros))
    return lambda *of: (of_lower(*of), -of_lower(*of))


def _lower_by_scale(x, nu, loc, scale):
    return -_scaled_flow(standardised(x, loc, scale), nu) / scale


@shared
@with_joint_derivatives(
    _and_negative(lambda *of: density(*of)),
    _and_negative(_by_nu("lower")),
    _and_negative(lambda *of: -density(*of)),
    _and_negative(_lower_by_scale),
)
def lower_and_upper(*arrays: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Both tails."""
    return _tail_of("lower")(*arrays), _tail_of("upper")(*arrays)


@shared
def _tail_at(x, nu, loc, scale):
    return tail(standardised(x, loc, scale), nu)


def _tail_of(kind: str) -> Callable[..., jax.Array]:
    def ends(x, *_):
        value = jnp.where((x > 0) == kind.endswith("lower"), 1, jnp.zeros_like(x))
        return jnp.log(value) if kind.startswith("log") else value

    return _elementwise(lambda *of: outcome(kind, _tail_at(*of)), ends)


def _log_tail_by_x(kind: str) -> Callable[..., jax.Array]:
    """The derivative of the logarithm of a tail by x."""
    is_lower = kind == "log_lower"

    @shared
    def by_x(x, nu, loc, scale):
        s = standardised(x, loc, scale)
        rest = lower_and_upper(x, nu, loc, scale)[0 if is_lower else 1]
        far = ((s[0] < 0) == is_lower) & (rest < 0.25)
        by_rest = density(x, nu, loc, scale) / jnp.where(far, 1, rest)  # whose square may be 0
        slope = jnp.where(far, 1 / (_far_mills(jnp.abs(s[0]), nu) * scale), by_rest)
        return slope if is_lower else -slope

    return by_x


@functools.cache
def tail_function(kind: str) -> Callable[..., jax.Array]:
    """What is asked of the tails, a function of x, ν, μ and σ with its derivatives."""
    if not kind.startswith("log"):
        return lambda *of: lower_and_upper(*of)[0 if kind == "lower" else 1]
    by_x = _log_tail_by_x(kind)

    def by_scale(x, nu, loc, scale):
        return -by_x(x, nu, loc, scale) * standardised(x, loc, scale)[0]

    def scale_ends(x, nu, loc, scale):
        return jnp.where((x < 0) == (kind == "log_lower"), nu / scale, 0)

    @with_derivatives(
        _elementwise(by_x, _zeros),
        _elementwise(_by_nu(kind), _zeros),
        _elementwise(lambda *p: -by_x(*p), _zeros),
        _elementwise(by_scale, scale_ends),
    )
    def function(*arrays: jax.Array) -> jax.Array:
        return _tail_of(kind)(*arrays)

    return function


@shared
def _far_mills(size: jax.Array, nu: jax.Array) -> jax.Array:
    """The quotient S/f in the tail."""
    kappa, tau = _kappa(size, nu)
    width = jnp.where(_near(size, nu)[0], jnp.sqrt(nu / kappa), size)
    return width * _fall(nu, tau, kappa)


def _quantile_by_nu(s: jax.Array, nu: jax.Array) -> jax.Array:
    """The derivative of a quantile s by ν: that of the tail, over the density."""
    size, central = jnp.abs(s), _is_central(s, nu)
    inner = jnp.where(central, s, 0)
    area, score = _central(inner, nu)
    outer = jnp.sign(s) * _far_mills(size, nu) * _outer_slope(size, nu)
    return jnp.where(central, -inner * area * score, outer)


def _scaled_flow(s: Pair, nu: jax.Array) -> jax.Array:
    """The product s f, of which neither factor need be a number that there is."""
    return flow(s[0], nu)


def _flow_by_s(s: jax.Array, nu: jax.Array) -> jax.Array:
    one = jnp.ones_like(s)
    f = density(s, nu, 0 * one, one)
    return f + flow(s, nu) * _log_f_by_s(s, nu)


@shared
@with_derivatives(_flow_by_s, lambda s, nu: flow(s, nu) * _log_f_by_nu(s, nu))
def flow(s: jax.Array, nu: jax.Array) -> jax.Array:
    """The product s f(s)."""
    size = jnp.where(s == 0, 1, jnp.abs(s))
    log_f = _log_f((size, jnp.zeros_like(size)), nu)
    return jnp.sign(s) * exp_of(summed(*log_f, *log_pair(size)))


def _start(target: jax.Array, nu: jax.Array) -> jax.Array:
    """The w of the power law of the far tail, which is beyond, or by Cornish and Fisher."""
    log_c = -student_constant(0.5 * nu) + 0.5 * (nu + 1) * jnp.log(nu) - jnp.log(nu)
    far = (log_c - jnp.log(target)) / nu - 0.5 * jnp.log(nu) + math.log(2)
    normal = -normal_quantile(target)
    near = normal + normal * (normal * normal + 1) / (4 * nu)
    return jnp.where(
        (target > 0.02) & (nu > 1), jnp.arcsinh(near / jnp.sqrt(nu)), jnp.maximum(far, 0)
    )


def _beyond(target: jax.Array, nu: jax.Array) -> jax.Array:
    """The s ≥ 0 beyond which there is the target, 0 < T ≤ ½."""
    log_target, upper = log_pair(target), jnp.zeros_like(target, bool)

    def at(s: jax.Array) -> tuple[Local, Tail]:
        pair = (s, jnp.zeros_like(s))
        beyond, mills = _parts(pair, nu)
        kappa, tau = _kappa(s, nu)
        width = jnp.where(_near(s, nu)[0], jnp.sqrt(nu / kappa), s)
        own = Tail(upper, beyond.value, beyond.complement, _log_value(beyond))
        local_slope = slope(own, width / mills, upper)
        return Local(residual(own, upper, log_target, target), local_slope, -nu * tau), own

    limit = 0.99 * math.log(jnp.finfo(nu.dtype).max)
    w = root(lambda w: at(jnp.sqrt(nu) * jnp.sinh(w))[0], _start(target, nu), 0.0, limit)
    return _corrected(jnp.sqrt(nu) * jnp.sinh(w), target, nu, at)


def _log_value(tail: Tail) -> Pair:
    """The logarithm of S, of S itself where that is large."""
    large = tail.value > 0.25
    return jnp.where(large, jnp.log(tail.value), tail.log[0]), jnp.where(large, 0, tail.log[1])


def _corrected(s: jax.Array, target: jax.Array, nu: jax.Array, at) -> jax.Array:
    local, _ = at(s)
    kappa, _ = _kappa(s, nu)
    width = jnp.where(_near(s, nu)[0], jnp.sqrt(nu / kappa), s)
    outer = s - width * (local.residual / local.slope)
    zero = jnp.zeros_like(s)
    inner = jnp.where(_is_central(s, nu), s, 0)
    f = exp_of(_log_f((inner, zero), nu))
    area = f * inner * _central(inner, nu)[0]
    middle = inner + ((0.5 - target) - area) / f
    return jnp.where(_is_central(s, nu), middle, outer)


@functools.cache
def quantile(kind: str):
    """The s of which the tail, ``"lower"`` or ``"upper"``, is q, as a function of q and ν."""
    sign = 1 if kind == "lower" else -1

    def sides(q: jax.Array, nu: jax.Array):
        inside = (q > 0) & (q < 1) & (nu > 0) & (nu < jnp.inf)
        q_, nu_ = jnp.where(inside, q, 0.5), jnp.where(inside, nu, 1)
        return inside, (q >= 0) & (q <= 1) & (nu > 0) & (nu < jnp.inf), q_, nu_

    def by_q(s: jax.Array, q: jax.Array, nu: jax.Array) -> jax.Array:
        inside, valid, _, nu_ = sides(q, nu)
        one = jnp.ones_like(nu_)
        slope = 1 / density(jnp.where(inside, s, 0), nu_, 0 * one, one)
        return sign * jnp.where(inside, slope, jnp.where(valid, jnp.inf, jnp.nan))

    def by_nu(s: jax.Array, q: jax.Array, nu: jax.Array) -> jax.Array:
        inside, valid, _, nu_ = sides(q, nu)
        slope = _quantile_by_nu(jnp.where(jnp.isfinite(s), s, 1), nu_)
        return jnp.where(inside, slope, jnp.where(valid, 0, jnp.nan))

    @with_derivatives_at(by_q, by_nu)
    def function(q: jax.Array, nu: jax.Array) -> jax.Array:
        inside, valid, q_, nu_ = sides(q, nu)
        small = q_ <= 0.5
        s = _beyond(jnp.where(small, q_, 1 - q_), nu_)
        s = jnp.where(q_ == 0.5, 0, s)  # the median, not what the last step leaves of it
        s = jnp.where(small, -sign, sign) * s
        ends = sign * jnp.where(q == 0, -jnp.inf, jnp.inf)
        return jnp.where(inside, s, jnp.where(valid, ends, jnp.nan))

    return function


@with_derivatives(
    lambda loc, scale, s: jnp.ones_like(loc),
    lambda loc, scale, s: s,
    lambda loc, scale, s: scale,
)
def affine(loc: jax.Array, scale: jax.Array, s: jax.Array) -> jax.Array:
    """The number μ + σ s, rounded once."""
    exact, rest = product(scale, s)
    return jnp.where(jnp.isfinite(s), total(exact, loc, rest), s)
