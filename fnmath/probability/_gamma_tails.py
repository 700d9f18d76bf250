"""The tails of the gamma law: the incomplete gamma functions, with all their derivatives.

Notation: z = x/s, and z̃ what its rounding took; P(a, z) and Q(a, z) are the regularised functions.

    F = zᵃ exp(−z)/Γ(a + 1)
    P = F a ∫₀^∞ exp(−a y + z (1 − exp(−y))) dy        t = z exp(−y)
    Q = F a ∫₀^∞ exp(a y − z (exp(y) − 1)) dy          t = z exp(y)

From the slope at y = 0 each exponent departs by z (exp(∓y) − 1 ± y), of one sign. P is computed
where z < a; a few steps of P's recurrence make the a of its integral at least 4; beside 0, where
both are wanted, Q is by its power series.

Source: Gautschi, A computational procedure for incomplete gamma functions (1979), §4; Loader, Fast
and accurate computation of binomial probabilities (2000), §2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from fnmath.numerics import with_derivatives
from fnmath.numerics._once import once, sum_of_rows
from fnmath.numerics._pairs import Pair, log_pair, quotient, two_sum
from fnmath.numerics._series import above_tangent, expm1
from fnmath.numerics._sharing import shared, with_joint_derivatives
from fnmath.numerics._stirling import stirling_error, stirling_slope
from fnmath.probability._log_gammas import (
    log_gamma_after_one,
    log_gamma_terms,
    log_minus_digamma,
    log_over,
)
from fnmath.probability._tails import Tail, combined, depth, descend, factor, nodes, outcome
from fnmath.probability._two_part import (
    exp_of,
    half_log_2_pi,
    log_of,
    negative,
    ratio,
    summed,
    times,
)

STEPS = 4  # of the recurrence of P
NEAR = 0.6  # where the power series of Q takes over, for a < 1


@shared
def standardised(x: jax.Array, scale: jax.Array) -> Pair:
    """The quotient x/s as a pair."""
    return quotient(x, scale)


@shared
def _log_f(a: jax.Array, z: Pair) -> Pair:
    """The logarithm of zᵃ exp(−z)/Γ(a + 1), its Gaussian part no larger than the rest."""
    small = a <= 1
    little = _log_f_of_little(jnp.where(small, a, 1), z)
    more = _log_f_of_more(jnp.where(small, 1, a), z)
    return jnp.where(small, little[0], more[0]), jnp.where(small, little[1], more[1])


def _log_f_of_little(a: jax.Array, z: Pair) -> Pair:
    return summed(*times(a, log_of(z)), *negative(z), -log_gamma_after_one(a))


def _log_f_of_more(a: jax.Array, z: Pair) -> Pair:
    A = two_sum(a, jnp.ones_like(a))
    log_ratio = log_of(ratio(z, A))
    log_A = log_pair(A[0])
    above, rest = two_sum(A[0], -z[0])
    return summed(
        *times(a, log_ratio),
        above,
        *[-0.5 * part for part in log_A],
        *negative(half_log_2_pi(a)),
        (rest + (A[1] - z[1])) - stirling_error(A[0]),
    )


@shared
def _is_lower(a: jax.Array, z: jax.Array) -> jax.Array:
    return (z < a) | _is_near(a, z)


@shared
def _is_near(a: jax.Array, z: jax.Array) -> jax.Array:
    return (a < 1) & (z < NEAR)


def _extent(slope: jax.Array, a: jax.Array, z: jax.Array, is_lower: jax.Array) -> jax.Array:
    """Where G is 20 or 40, from above."""
    deep = depth(z)
    wide = jnp.log1p(deep / z + jnp.log1p(deep / z + 4) + 3)
    y = descend(slope, z, jnp.where(is_lower, (deep + z) / a, wide))
    y = jnp.where(is_lower, y, jnp.minimum(y, jnp.sqrt(2 * deep / z)))
    for _ in range(2):
        E = jnp.exp(jnp.where(is_lower, -y, y))
        G = jnp.where(is_lower, a * y - z * (1 - E), z * (E - 1) - a * y)
        y = y - jnp.maximum(G - deep, 0) / jnp.abs(z * E - a)
    return y


@shared
def _integral(a: jax.Array, z: jax.Array, z_tail: jax.Array) -> jax.Array:
    """The integral times a, which is S/F, and of the lower tail what it has beyond 1."""
    is_lower = _is_lower(a, z)
    c = jnp.where(is_lower, a + STEPS, a)
    slope = jnp.where(is_lower, ((a - z) - z_tail) + STEPS, (z - a) + z_tail)
    stop = jax.lax.stop_gradient
    extent = _extent(stop(slope), stop(c), stop(z), is_lower)
    slope, extent, z = once(slope, extent, z)
    u, w = nodes(z)
    y = u * extent
    G = slope * y + z * above_tangent(jnp.where(is_lower, y, -y))
    integral = sum_of_rows(w * jnp.exp(-G)) * extent
    mills = c * integral
    for k in reversed(range(1, STEPS)):
        mills = jnp.where(is_lower, 1 + (z / (a + (k + 1))) * mills, mills)
    return jnp.where(is_lower, (z / (a + 1)) * mills, mills)


@shared
def _mills(a: jax.Array, z: jax.Array, z_tail: jax.Array) -> jax.Array:
    """The integral times a: S/F."""
    value = _integral(a, z, z_tail)
    return jnp.where(_is_lower(a, z), 1 + value, value)


@shared
def _mills_by_shape(a: jax.Array, z: jax.Array, z_tail: jax.Array) -> jax.Array:
    """The derivative of log(S/F) by a."""
    value, slope = jax.jvp(lambda a: _mills(a, z, z_tail), (a,), (jnp.ones_like(a),))
    return slope / value


def _beside_0(a: jax.Array, z: jax.Array) -> jax.Array:
    """The upper tail for a < 1, z < 0.6, as a sum of two positive terms."""
    terms = 20 if z.dtype == jnp.float64 else 11
    series, power = jnp.zeros_like(z), jnp.ones_like(z)
    for n in range(1, terms):
        power = -power * z / n
        series = series + power / (a + n)
    log_f = a * jnp.log(z) - log_gamma_after_one(a)
    return -expm1(log_f) - a * jnp.exp(log_f) * series


def tail(a: jax.Array, z: Pair) -> Tail:
    """The tail that is computed, for a > 0 and z > 0, both finite."""
    near = _is_near(a, z[0])
    beside = _beside_0(jnp.where(near, a, 0.5), jnp.where(near, z[0], 0.1))
    is_lower, integral = _is_lower(a, z[0]), _integral(a, *z)
    excess = jnp.where(is_lower, integral, integral - 1)
    mills = jnp.where(is_lower, 1 + integral, integral)
    log_f = _log_f(a, z)
    return combined(is_lower, log_f, excess, mills=mills, complement=beside, known=near)


@shared
def hazard(a: jax.Array, z: Pair) -> jax.Array:
    """The derivative |∂ log S/∂ log z|."""
    return a / _mills(a, *z)


@shared
def slope_by_shape(a: jax.Array, z: Pair) -> jax.Array:
    """The derivative ∂ log S/∂a."""
    return log_minus_digamma(*z, a) + _mills_by_shape(a, *z)


@shared
def _inside(x: jax.Array, a: jax.Array, scale: jax.Array) -> tuple[jax.Array, ...]:
    """Where x is inside the support, and arguments that are so everywhere, each by itself."""
    x_lies, a_lies, s_lies = ((t > 0) & (t < jnp.inf) for t in (x, a, scale))
    a_, s_ = jnp.where(a_lies, a, 1), jnp.where(s_lies, scale, 1)
    return x_lies & a_lies & s_lies, jnp.where(x_lies, x, s_), a_, s_


def _valid(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
    return (a > 0) & (scale > 0) & ~jnp.isnan(x)


def _at_ends(kind: str, x: jax.Array) -> jax.Array:
    """What is asked, at and beyond the ends of the support."""
    at_0 = jnp.where(x > 0, 1, 0).astype(x.dtype)
    value = at_0 if kind.endswith("lower") else 1 - at_0
    return jnp.where(value == 0, -jnp.inf, 0) if kind.startswith("log") else value


def both(x: jax.Array, a: jax.Array, scale: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The lower and the upper tail at x/s, not to be differentiated."""
    inside, x_, a_, s_ = _inside(x, a, scale)
    found, valid = tail(a_, standardised(x_, s_)), _valid(x, a, scale)

    def one(kind: str) -> jax.Array:
        return jnp.where(inside, outcome(kind, found), jnp.where(valid, _at_ends(kind, x), jnp.nan))

    return one("lower"), one("upper")


def _by_shape(kind: str) -> Callable[..., jax.Array]:
    def slope(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
        inside, x_, a_, s_ = _inside(x, a, scale)
        z = standardised(x_, s_)
        is_lower, (lower, upper) = _is_lower(a_, z[0]), lower_and_upper(x_, a_, s_)
        parts = jnp.where(is_lower, lower, upper), jnp.where(is_lower, upper, lower)
        slope = factor(kind, is_lower, *parts) * slope_by_shape(a_, z)
        return jnp.where(inside, slope, jnp.where(_valid(x, a, scale), 0, jnp.nan))

    return slope


def _by_scale(by_x: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """The derivative by the scale, of that by x."""

    def slope(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
        finite = jnp.isfinite(x) & (x > 0)
        ends = jnp.where(_valid(x, a, scale), 0, jnp.nan)
        return jnp.where(finite, -by_x(x, a, scale) * (x / scale), ends)

    return slope


def _and_negative(slope: Callable[..., jax.Array]) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """The derivatives of both tails, by that of the lower one."""
    of_lower = shared(slope)
    return lambda *of: (of_lower(*of), -of_lower(*of))


@shared
@with_joint_derivatives(
    _and_negative(lambda *of: density(*of)),
    _and_negative(_by_shape("lower")),
    _and_negative(_by_scale(lambda *of: density(*of))),
)
def lower_and_upper(x: jax.Array, a: jax.Array, scale: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Both tails at x/s."""
    return both(x, a, scale)


def _log_by_end(kind: str) -> Callable[..., jax.Array]:
    """The derivative of the logarithm of a tail by x."""
    is_lower = kind == "log_lower"

    @shared
    def by_x(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
        inside, x_, a_, s_ = _inside(x, a, scale)
        z = standardised(x_, s_)
        wanted = _is_lower(a_, z[0]) == is_lower
        rest = lower_and_upper(x_, a_, s_)[0 if is_lower else 1]
        by_rest = density(x_, a_, s_) / jnp.where(wanted, 1, rest)  # whose square may be 0
        slope = jnp.where(wanted, hazard(a_, z) / x_, by_rest)
        edge = jnp.where(x == 0, jnp.inf, 0) if is_lower else density(x, a, scale)
        edge = jnp.where(x == jnp.inf, 0 if is_lower else 1 / scale, edge)
        slope = jnp.where(inside, slope, jnp.where(_valid(x, a, scale), edge, jnp.nan))
        return slope if is_lower else -slope

    return by_x


@functools.cache
def tail_function(kind: str) -> Callable[..., jax.Array]:
    """What is asked of the tails at x/s, as a function of x, a and s with its derivatives."""
    if not kind.startswith("log"):
        return lambda *of: lower_and_upper(*of)[0 if kind == "lower" else 1]
    by_x = _log_by_end(kind)

    @with_derivatives(by_x, _by_shape(kind), _by_scale(by_x))
    def function(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
        inside, x_, a_, s_ = _inside(x, a, scale)
        answer = outcome(kind, tail(a_, standardised(x_, s_)))
        answer = jnp.where(inside, answer, _at_ends(kind, x))
        return jnp.where(_valid(x, a, scale), answer, jnp.nan)

    return function


@shared
def _log_density_terms(x: jax.Array, a: jax.Array, scale: jax.Array) -> Pair:
    """The logarithm of the density, in two parts, by way of F where a is large."""
    z, large = standardised(x, scale), a > 2.5
    some = jnp.where(large, a, 3)
    log_x = log_pair(x)
    far = summed(*_log_f(some, z), *log_pair(some), *negative(log_x))
    near = _near_terms(jnp.where(large, 1, a), z, log_x, scale)
    return jnp.where(large, far[0], near[0]), jnp.where(large, far[1], near[1])


def _near_terms(a: jax.Array, z: Pair, log_x: Pair, scale: jax.Array) -> Pair:
    """The same term by term, a − 1 being exact from ½ on."""
    log_z, below = log_of(z), a < 0.5
    powers = times(jnp.where(below, a, a - 1), log_z)
    over = [jnp.where(below, *pair) for pair in zip(log_x, log_pair(scale), strict=True)]
    return summed(*powers, *negative(over), *negative(z), *negative(log_gamma_terms(a)))


def _density_at_ends(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
    at_0 = jnp.where(a < 1, jnp.inf, jnp.where(a == 1, 1 / scale, 0))
    return jnp.where(x == 0, at_0, 0)


def _density_by(log_slope):
    def slope(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
        inside, x_, a_, s_ = _inside(x, a, scale)
        ends = jnp.where(_valid(x, a, scale), 0, jnp.nan)
        return jnp.where(inside, density(x_, a_, s_) * log_slope(x_, a_, s_), ends)

    return slope


def _log_by_x(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
    """The score (a − 1)/x − 1/s, as (a − 1 − z)/x where these are near."""
    z, tail = quotient(x, scale)
    less, first = ((a - z) - 1) - tail, a - 1
    near = jnp.abs(less) < 0.5 * jnp.abs(first)
    return jnp.where(near, less / x, first / x - 1 / scale)


def _log_by_shape(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
    """The score log z − ψ(a)."""
    z, tail = quotient(x, scale)
    some = jnp.where(a < 1, 1, a)
    large = log_over(z, tail, some) + 0.5 / some - stirling_slope(some)
    return jnp.where(a < 1, log_minus_digamma(z, tail, a) + 1 / a, large)


def _log_by_scale(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
    z, tail = quotient(x, scale)
    return ((z - a) + tail) / scale


@shared
@with_derivatives(_density_by(_log_by_x), _density_by(_log_by_shape), _density_by(_log_by_scale))
def density(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
    """The density of the gamma law."""
    inside, x_, a_, s_ = _inside(x, a, scale)
    value = exp_of(_log_density_terms(x_, a_, s_))
    answer = jnp.where(inside, value, _density_at_ends(x, a, scale))
    return jnp.where(_valid(x, a, scale), answer, jnp.nan)


def _log_slope(of_inside, ends):
    def slope(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
        inside, x_, a_, s_ = _inside(x, a, scale)
        at_ends = jnp.where(_valid(x, a, scale), ends(x, a, scale), jnp.nan)
        return jnp.where(inside, of_inside(x_, a_, s_), at_ends)

    return slope


def _log_by_x_at_ends(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
    at_0 = jnp.where(a == 1, -1 / scale, jnp.where(a < 1, -jnp.inf, jnp.inf))
    return jnp.where(x == 0, at_0, jnp.where(x > 0, -1 / scale, 0))


def _nothing(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
    return jnp.zeros_like(x)


@with_derivatives(
    _log_slope(_log_by_x, _log_by_x_at_ends),
    _log_slope(_log_by_shape, _nothing),
    _log_slope(_log_by_scale, _nothing),
)
def log_density(x: jax.Array, a: jax.Array, scale: jax.Array) -> jax.Array:
    """The logarithm of the density of the gamma law."""
    inside, x_, a_, s_ = _inside(x, a, scale)
    head, tail = _log_density_terms(x_, a_, s_)
    answer = jnp.where(inside, head + tail, jnp.log(_density_at_ends(x, a, scale)))
    return jnp.where(_valid(x, a, scale), answer, jnp.nan)
