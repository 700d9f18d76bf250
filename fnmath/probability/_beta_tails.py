"""The tails of the beta law: the incomplete beta function, with all its derivatives.

Notation: x and y = 1 − x are both given, each a pair with what its rounding took, x̃ and ỹ;
n = a + b;
λ = log(x/y) and σ(λ) = x.

    F = xᵃ yᵇ/(a B(a, b))
    I = F a ∫₀^∞ exp(−a u − n log(1 − x (1 − exp(−u)))) du

From the slope a − n x at u = 0 the exponent departs by n times the difference between log(1 + v)
and its tangent, v = x (exp(−u) − 1), and by that of the exponential from its own: two of one size
and opposite sign, of which v = y (exp(u) − 1) gives the smaller ones where x > ½.

The tail that is computed is the one beyond the mean; a few steps of its recurrence make the a of
the integral at least 4; beside an end, where both tails are wanted, the other one is by a power
series. The upper tail is the lower one of y, b, a.

Source: DiDonato and Morris, Algorithm 708 (1992), §2 to §4 (the recurrence and the series); Loader,
Fast and accurate computation of binomial probabilities (2000), §2.
"""

from __future__ import annotations

# pyright: reportGeneralTypeIssues=false
# (a derivative may speak of the function that it belongs to)
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnmath.numerics import with_derivatives
from fnmath.numerics._once import once, sum_of_rows
from fnmath.numerics._pairs import Pair, log_pair, product, total, two_sum
from fnmath.numerics._series import above_tangent, expm1
from fnmath.numerics._sharing import in_one_go, shared, with_joint_derivatives
from fnmath.numerics._stirling import lag, stirling_error, stirling_slope
from fnmath.probability._log_gammas import (
    log_gamma_after_one,
    log_gamma_of_sum,
    log_gamma_terms,
    log_one_and,
)
from fnmath.probability._tails import Tail, combined, depth, descend, factor, nodes, outcome
from fnmath.probability._two_part import (
    added,
    exp_of,
    half_log_2_pi,
    log_of,
    multiplied,
    negative,
    ratio,
    summed,
    times,
)

STEPS = 4  # of the recurrence
NEAR = 0.6  # how large x (b + 4) may be for the power series


class Point(NamedTuple):
    """The arguments of I, and what is lost in x and y."""

    x: jax.Array
    y: jax.Array
    a: jax.Array
    b: jax.Array
    x_tail: jax.Array
    y_tail: jax.Array

    def swapped(self) -> Point:
        return Point(self.y, self.x, self.b, self.a, self.y_tail, self.x_tail)


@shared
@with_derivatives(
    lambda x, y, a, b, x_tail, y_tail: -b,
    lambda x, y, a, b, x_tail, y_tail: a,
    lambda x, y, a, b, x_tail, y_tail: y,
    lambda x, y, a, b, x_tail, y_tail: -x,
    None,
    None,
)
def _excess(
    x: jax.Array, y: jax.Array, a: jax.Array, b: jax.Array, x_tail: jax.Array, y_tail: jax.Array
) -> jax.Array:
    """The difference a y − b x, which is n times how far x lies below the mean."""
    (ay, ay_rest), (bx, bx_rest) = product(a, y), product(b, x)
    return total(ay, -bx, ay_rest, -bx_rest, a * y_tail - b * x_tail)


@shared
def _is_near(p: Point) -> jax.Array:
    return (p.a < 1) & (p.x * (p.b + 4) < NEAR)


@shared
def _is_lower(p: Point) -> jax.Array:
    return _is_near(p) | ((_excess(*p) >= 0) & ~_is_near(p.swapped()))


@shared
def _computed(p: Point) -> tuple[jax.Array, Point]:
    """Whether the lower tail is computed, and the point of which the tail computed is the lower."""
    is_lower = _is_lower(p)
    pairs = zip(p, p.swapped(), strict=True)
    return is_lower, Point(*(jnp.where(is_lower, one, other) for one, other in pairs))


@shared
def _log_f(p: Point) -> Pair:
    """The logarithm of F, the Gaussian part of which is of the size of the rest."""
    small = p.a <= 1
    little = _log_f_of_little(p._replace(a=jnp.where(small, p.a, 1)))
    more = _log_f_of_more(p._replace(a=jnp.where(small, 1, p.a)))
    return jnp.where(small, little[0], more[0]), jnp.where(small, little[1], more[1])


def _log_f_of_little(p: Point) -> Pair:
    """The logarithm of F for a ≤ 1: what there is besides powers is of the size of a."""
    gammas = log_gamma_of_sum(p.a, p.b) - log_gamma_after_one(p.a)
    powers = [*times(p.a, log_of((p.x, p.x_tail))), *times(p.b, log_of((p.y, p.y_tail)))]
    return summed(*powers, gammas)


@shared
def _log_f_of_more(p: Point) -> Pair:
    one = jnp.ones_like(p.a)
    n = two_sum(p.a, p.b)
    A, B, N = two_sum(p.a, one), two_sum(p.b, one), added(n, (one, 0 * one))
    x = ratio(multiplied((p.x, p.x_tail), N), A)
    y = ratio(multiplied((p.y, p.y_tail), N), B)
    logs = in_one_go(lambda *pair: log_of(pair), x, y, ratio(N, B), A, ratio((p.b, 0 * one), n))
    log_x, log_y, log_of_half, log_A, log_share = logs
    errors = in_one_go(stirling_error, (N[0],), (A[0],), (B[0],))
    return summed(
        *times(p.a, log_x),
        *times(p.b, log_y),
        *(0.5 * part for part in log_of_half),
        *(-0.5 * part for part in log_A),
        one,
        *negative(half_log_2_pi(p.a)),
        *log_share,
        errors[0] - errors[1] - errors[2],
    )


def _extent(p: Point, slope: jax.Array) -> jax.Array:
    """Where the exponent is −20 or −40, from above: p.a holds the steps."""
    deep, n = depth(p.x), p.a + p.b
    far = (deep - n * jnp.log(p.y)) / p.a
    u = descend(slope, n * p.x * p.y, far)
    for _ in range(4):
        E = -jnp.expm1(-u)
        G = p.a * u + n * jnp.log1p(-p.x * E)
        rise = p.a - n * p.x * (1 - E) / (1 - p.x * E)
        u = u - jnp.maximum(G - deep, 0) / jnp.where(rise > 0, rise, jnp.inf)
    return u


@shared
def _extra(p: Point) -> jax.Array:
    """The integral times a, less 1: I/F − 1, where x is below the mean."""
    a, n = p.a + STEPS, p.a + p.b + STEPS
    slope = _excess(*p) + STEPS * p.y
    stop = jax.lax.stop_gradient
    extent = _extent(Point(*map(stop, p._replace(a=a))), stop(slope))
    a, n, slope, extent, x, y = once(a, n, slope, extent, p.x, p.y)
    nodes_, weights = nodes(p.x)
    u = nodes_ * extent
    small = x <= 0.5
    r, z = jnp.where(small, x, y), jnp.where(small, -u, u)
    v = r * expm1(z)
    G = slope * u + n * (r * above_tangent(-z) - lag(v, jnp.log1p(v)))
    mills = a * (sum_of_rows(weights * jnp.exp(-G)) * extent)
    for k in reversed(range(1, STEPS)):
        mills = 1 + (p.x * ((p.a + p.b + k) / (p.a + (k + 1)))) * mills
    return p.x * ((p.a + p.b) / (p.a + 1)) * mills


@shared
def _mills(p: Point) -> jax.Array:
    """The integral times a: I/F."""
    return 1 + _extra(p)


def _log_mills_slopes(p: Point) -> jax.Array:
    """The derivatives of log(I/F) by a and by b, on a new first axis."""

    def moved(by_a: jax.Array, by_b: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(lambda a, b: _mills(p._replace(a=a, b=b)), (p.a, p.b), (by_a, by_b))

    one, nothing = jnp.ones_like(p.a), jnp.zeros_like(p.a)
    units = jnp.stack([one, nothing]), jnp.stack([nothing, one])
    value, slope = jax.vmap(moved, out_axes=(None, 0))(*units)
    return slope / value


def _log_over_mean(p: Point) -> jax.Array:
    """The logarithm of x (n + 1)/(a + 1)."""
    A = p.a + 1
    return log_one_and(-(_excess(*p) + p.y) / A, p.x, A / (p.a + p.b + 1))


@shared
def _stirling_slopes(p: Point) -> list[jax.Array]:
    """δ′ of a + 1, b + 1 and n + 1."""
    return in_one_go(stirling_slope, (p.a + 1,), (p.b + 1,), (p.a + p.b + 1,))


@shared
def _log_f_slope(p: Point) -> jax.Array:
    """The derivative of log F by a: log x − ψ(a + 1) + ψ(n)."""
    A, n = p.a + 1, p.a + p.b
    of_A, _, of_N = _stirling_slopes(p)
    rest = 0.5 * ((p.b / A) / (n + 1)) - (of_A - of_N)
    return _log_over_mean(p) + rest - 1 / n


@shared
def _log_f_slope_by_b(p: Point) -> jax.Array:
    """The derivative of log F by b: log y − ψ(b) + ψ(n)."""
    B, n = p.b + 1, p.a + p.b
    _, of_B, of_N = _stirling_slopes(p)
    rest = 0.5 * ((p.a / B) / (n + 1)) - (of_B - of_N)
    return _log_over_mean(p.swapped()) + rest + (p.a / p.b) / n


def _series(p: Point) -> jax.Array:
    """What is beyond the first term of ∫ tᵃ⁻¹ (1 − t)ᵇ⁻¹ dt a/xᵃ, over a."""
    terms = 21 if p.x.dtype == jnp.float64 else 11
    series, power = jnp.zeros_like(p.x), jnp.ones_like(p.x)
    for k in range(1, terms):
        power = power * p.x * ((k - p.b) / k)
        series = series + power / (p.a + k)
    return series


def _beside_0(p: Point) -> jax.Array:
    """The upper tail where _is_near."""
    log_f = p.a * jnp.log(p.x) + (log_gamma_of_sum(p.a, p.b) - log_gamma_after_one(p.a))
    return -expm1(log_f) - p.a * jnp.exp(log_f) * _series(p)


def _beside_0_slope(p: Point) -> jax.Array:
    """The derivative of log I by b where _is_near: all of it of the size of a."""

    def log_tail(b: jax.Array) -> jax.Array:
        return log_gamma_of_sum(p.a, b) + jnp.log1p(p.a * _series(p._replace(b=b)))

    return jax.jvp(log_tail, (p.b,), (jnp.ones_like(p.b),))[1]


@shared
def _masked_near(p: Point) -> tuple[jax.Array, Point]:
    """Where _is_near, and a point that is so everywhere."""
    near, some = _is_near(p), (0.1, 0.9, 0.5, 0.5, 0.0, 0.0)
    return near, Point(*(jnp.where(near, t, s) for t, s in zip(p, some, strict=True)))


def tail(p: Point) -> Tail:
    """The tail that is computed, for a, b > 0 and 0 < x < 1."""
    is_lower, side = _computed(p)
    near, masked = _masked_near(side)
    beside = _beside_0(masked)
    return combined(is_lower, _log_f(side), _extra(side), complement=beside, known=near)


@shared
def hazard(p: Point) -> jax.Array:
    """The derivative |∂ log S/∂λ|."""
    _, side = _computed(p)
    return side.a / _mills(side)


@shared
def slopes(p: Point) -> tuple[jax.Array, jax.Array]:
    """The derivatives of log S by a and by b."""
    is_lower, side = _computed(p)
    of_mills = _log_mills_slopes(side)
    first, second = _log_f_slope(side) + of_mills[0], _log_f_slope_by_b(side) + of_mills[1]
    near, masked = _masked_near(side)
    second = jnp.where(near, _beside_0_slope(masked), second)
    return jnp.where(is_lower, first, second), jnp.where(is_lower, second, first)


@shared
def _log_flow_terms(p: Point) -> Pair:
    """The logarithm of the density of λ, xᵃ yᵇ/B(a, b), in two parts."""
    return summed(*_log_f(p), *log_pair(p.a))


def _powers(a: jax.Array, log_x: Pair) -> list[jax.Array]:
    """The parts of (a − 1) log x, a − 1 being exact from ½ on."""
    below = a < 0.5
    over = [jnp.where(below, -part, 0) for part in log_x]
    return [*times(jnp.where(below, a, a - 1), log_x), *over]


@shared
def log_density_terms(p: Point) -> Pair:
    """The logarithm of xᵃ⁻¹ yᵇ⁻¹/B(a, b) in two parts; term by term for small a and b, to be 0."""
    small = (p.a <= 2.5) & (p.b <= 2.5)
    x, y = (p.x, p.x_tail), (p.y, p.y_tail)
    a, b = jnp.where(small, p.a, 1), jnp.where(small, p.b, 1)
    of_n, *others = in_one_go(log_gamma_terms, (a + b,), (a,), (b,))
    gammas = [*of_n, *(part for pair in others for part in negative(pair))]
    near = summed(*_powers(a, log_of(x)), *_powers(b, log_of(y)), *gammas)
    far = summed(*_log_flow_terms(p), *negative(log_of(x)), *negative(log_of(y)))
    return jnp.where(small, near[0], far[0]), jnp.where(small, near[1], far[1])


@shared
def _inside(p: Point) -> tuple[jax.Array, Point]:
    """Where the point is inside, and one that is so everywhere."""
    finite = (p.a > 0) & (p.a < jnp.inf) & (p.b > 0) & (p.b < jnp.inf)
    inside = finite & (p.x > 0) & (p.y > 0)
    some = (0.5, 0.5, 1.0, 1.0, 0.0, 0.0)
    return inside, Point(*(jnp.where(inside, t, s) for t, s in zip(p, some, strict=True)))


def _valid(p: Point) -> jax.Array:
    return (p.a > 0) & (p.b > 0) & ~jnp.isnan(p.x) & ~jnp.isnan(p.y)


def _at_ends(kind: str, p: Point) -> jax.Array:
    at_0 = jnp.where(p.x > 0, 1, 0).astype(p.x.dtype)
    value = at_0 if kind.endswith("lower") else 1 - at_0
    return jnp.where(value == 0, -jnp.inf, 0) if kind.startswith("log") else value


def _density_at_0(p: Point) -> jax.Array:
    return jnp.where(p.a < 1, jnp.inf, jnp.where(p.a == 1, p.b, 0))


def _elementwise(f: Callable[[Point], Any], ends: Callable[[Point], Any]) -> Callable[..., Any]:
    """The function of six arrays that f is inside and ``ends`` elsewhere; or several of them."""

    def function(*arrays: jax.Array) -> Any:
        p = Point(*arrays)
        inside, some = _inside(p)
        valid = _valid(p)

        def chosen(here: jax.Array, there: jax.Array) -> jax.Array:
            return jnp.where(inside, here, jnp.where(valid, there, jnp.nan))

        return jax.tree.map(chosen, f(some), ends(p))

    return function


def _zeros(p: Point) -> jax.Array:
    return jnp.zeros_like(p.x)


@shared
def _mean_gap(p: Point) -> jax.Array:
    """The derivative of log(xᵃ yᵇ) by λ, a y − b x."""
    return _excess(*p)


_flow_by_x = _elementwise(lambda p: flow(*p) * (_mean_gap(p) / p.x), _zeros)
_flow_by_y = _elementwise(lambda p: -flow(*p) * (_mean_gap(p) / p.y), _zeros)
_flow_by_a = _elementwise(lambda p: flow(*p) * (_log_f_slope(p) + 1 / p.a), _zeros)
_flow_by_b = _elementwise(lambda p: flow(*p) * _log_f_slope_by_b(p), _zeros)


@shared
@with_derivatives(_flow_by_x, _flow_by_y, _flow_by_a, _flow_by_b, None, None)
def flow(
    x: jax.Array, y: jax.Array, a: jax.Array, b: jax.Array, x_tail: jax.Array, y_tail: jax.Array
) -> jax.Array:
    """The density of λ, xᵃ yᵇ/B(a, b)."""
    return _elementwise(lambda p: exp_of(_log_flow_terms(p)), _zeros)(x, y, a, b, x_tail, y_tail)


def _over_ends(log_slope: Callable[[Point], jax.Array], first: float, second: float) -> Callable:
    """The derivatives of both densities: by that of the logarithm of the flow and of 1/x, 1/y."""

    def slopes(p: Point) -> tuple[jax.Array, jax.Array]:
        over_x, over_y = densities(*p)
        slope = log_slope(p)
        return over_x * (slope - first / p.x), over_y * (slope - second / p.y)

    return _elementwise(slopes, lambda p: (_zeros(p), _zeros(p)))


@shared
@with_joint_derivatives(
    _over_ends(lambda p: _mean_gap(p) / p.x, 1, 0),
    _over_ends(lambda p: -_mean_gap(p) / p.y, 0, 1),
    _over_ends(lambda p: _log_f_slope(p) + 1 / p.a, 0, 0),
    _over_ends(lambda p: _log_f_slope_by_b(p), 0, 0),
    None,
    None,
)
def densities(*arrays: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The density of λ over x and over y: the derivatives of I by x at a fixed y, and by −y.

    The logarithm of each is summed as one.
    """

    def inside(p: Point) -> tuple[jax.Array, jax.Array]:
        flow = _log_flow_terms(p)
        logs = log_of((p.x, p.x_tail)), log_of((p.y, p.y_tail))
        first, second = (exp_of(summed(*flow, *negative(log))) for log in logs)
        return first, second

    def ends(p: Point) -> tuple[jax.Array, jax.Array]:
        q = p.swapped()
        first, second = (jnp.where(t.x == 0, _density_at_0(t), 0) for t in (p, q))
        return first, second

    return _elementwise(inside, ends)(*arrays)


def both(p: Point) -> tuple[jax.Array, jax.Array]:
    """The lower and the upper tail, not to be differentiated."""
    inside, some = _inside(p)
    found, valid = tail(some), _valid(p)

    def one(kind: str) -> jax.Array:
        return jnp.where(inside, outcome(kind, found), jnp.where(valid, _at_ends(kind, p), jnp.nan))

    return one("lower"), one("upper")


def _lower_by_shape(which: int) -> Callable[..., tuple[jax.Array, jax.Array]]:
    def slope(p: Point) -> tuple[jax.Array, jax.Array]:
        lower, upper = lower_and_upper(*p)
        by = jnp.where(_is_lower(p), lower, -upper) * slopes(p)[which]
        return by, -by

    return _elementwise(slope, lambda p: (_zeros(p), _zeros(p)))


def _lower_by_x(*arrays: jax.Array) -> tuple[jax.Array, jax.Array]:
    over_x, _ = densities(*arrays)
    return over_x, -over_x


def _lower_by_y(*arrays: jax.Array) -> tuple[jax.Array, jax.Array]:
    _, over_y = densities(*arrays)
    return -over_y, over_y


@shared
@with_joint_derivatives(
    _lower_by_x, _lower_by_y, _lower_by_shape(0), _lower_by_shape(1), None, None
)
def lower_and_upper(*arrays: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Both tails."""
    return both(Point(*arrays))


def _log_by_shape(kind: str, which: int) -> Callable[..., jax.Array]:
    def slope(p: Point) -> jax.Array:
        is_lower, (lower, upper) = _is_lower(p), lower_and_upper(*p)
        S, rest = jnp.where(is_lower, lower, upper), jnp.where(is_lower, upper, lower)
        return factor(kind, is_lower, S, rest) * slopes(p)[which]

    return _elementwise(slope, _zeros)


def _log_by_end(kind: str, of_x: bool) -> Callable[..., jax.Array]:
    """The derivative by x, or less that by y: the hazard of the tail that is computed, or f/S."""
    of_lower = kind == "log_lower"

    def slope(p: Point) -> jax.Array:
        wanted = _is_lower(p) if of_lower else ~_is_lower(p)
        rest = lower_and_upper(*p)[0 if of_lower else 1]
        rest = jnp.where(wanted, 1, rest)  # of which the square may be 0
        by_rest = densities(*p)[0 if of_x else 1] / rest
        return jnp.where(wanted, hazard(p) / (p.x if of_x else p.y), by_rest)

    def ends(p: Point) -> jax.Array:
        own, other = (p, p.swapped()) if of_x else (p.swapped(), p)
        if of_lower == of_x:  # the logarithm of the tail that is 0 here
            return jnp.where(own.x == 0, jnp.inf, 0)
        beyond = jnp.where(other.x == 0, jnp.inf, 0) if of_x else 0
        return jnp.where(own.x == 0, _density_at_0(own), beyond)

    return _elementwise(slope, ends)


@functools.cache
def tail_function(kind: str) -> Callable[..., jax.Array]:
    """What is asked of the tails, a function of x, y, a, b, x̃, ỹ with its derivatives."""
    if not kind.startswith("log"):
        return lambda *arrays: lower_and_upper(*arrays)[0 if kind == "lower" else 1]
    sign = 1 if kind == "log_lower" else -1
    by_x, by_y = _log_by_end(kind, True), _log_by_end(kind, False)

    @with_derivatives(
        lambda *p: sign * by_x(*p),
        lambda *p: -sign * by_y(*p),
        _log_by_shape(kind, 0),
        _log_by_shape(kind, 1),
        None,
        None,
    )
    def function(*arrays: jax.Array) -> jax.Array:
        ends = functools.partial(_at_ends, kind)
        return _elementwise(lambda p: outcome(kind, tail(p)), ends)(*arrays)

    return function


def complement(x: jax.Array) -> Pair:
    """The pair of 1 − x; XLA would cancel the ones of a sum that begins with one."""
    return two_sum(-x, jnp.ones_like(x))


def tail_at(kind: str, x: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """What is asked of the tails of the beta law at x."""
    y, y_tail = complement(x)
    return tail_function(kind)(x, y, a, b, jnp.zeros_like(x), y_tail)
