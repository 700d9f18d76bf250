"""The density of the beta law and what is made of it: binomial probabilities of either kind.

Notation: x and y = 1 − x, a and b as in ``_beta_tails``; k counts the successes or the failures.
"""

from __future__ import annotations

# pyright: reportGeneralTypeIssues=false
# (a derivative may speak of the function that it belongs to)
import jax
import jax.numpy as jnp

from fnmath.numerics import with_derivatives
from fnmath.numerics._pairs import total
from fnmath.numerics._sharing import shared
from fnmath.probability import _beta_tails as tails
from fnmath.probability._beta_tails import Point, complement
from fnmath.probability._two_part import exp_of, log_of, negative, summed, times


def point(x: jax.Array, a: jax.Array, b: jax.Array) -> Point:
    """The point x, 1 − x."""
    y, y_tail = complement(x)
    return Point(x, y, a, b, jnp.zeros_like(x), y_tail)


def _valid(x: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    return (a > 0) & (b > 0) & ~jnp.isnan(x)


@shared
def _inside(x: jax.Array, a: jax.Array, b: jax.Array) -> tuple[jax.Array, Point]:
    """Where the point is inside, and one that is so everywhere, x and a and b each by itself."""
    lies = (x > 0) & (x < 1), (a > 0) & (a < jnp.inf), (b > 0) & (b < jnp.inf)
    some = map(jnp.where, lies, (x, a, b), (0.5, 1, 1))
    return lies[0] & lies[1] & lies[2], point(*some)


def _elementwise(f, ends):
    """The function of x, a and b that f is inside and ``ends`` elsewhere."""

    def function(x: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
        inside, some = _inside(x, a, b)
        at_ends = jnp.where(_valid(x, a, b), ends(x, a, b), jnp.nan)
        return jnp.where(inside, f(some), at_ends)

    return function


def _zeros(x: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.zeros_like(x)


def _at_ends(x: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    def density(c: jax.Array, d: jax.Array) -> jax.Array:
        return jnp.where(c < 1, jnp.inf, jnp.where(c == 1, d, 0))

    return jnp.where(x == 0, density(a, b), jnp.where(x == 1, density(b, a), 0))


def _log_by_x(p: Point) -> jax.Array:
    """The score (a − 1)/x − (b − 1)/y, as one quotient where the two cancel."""
    first, second = (p.a - 1) / p.x, (p.b - 1) / p.y
    together = total(tails._excess(*p), p.x, -p.y, -p.y_tail) / (p.x * p.y)
    near = jnp.abs(first - second) < 0.5 * jnp.abs(first)
    return jnp.where(near, together, first - second)


def _log_by_a(p: Point) -> jax.Array:
    return tails._log_f_slope(p) + 1 / p.a


def _scaled(slope, ends):
    """The derivative of the density by that of its logarithm."""

    def f(p: Point) -> jax.Array:
        return density(p.x, p.a, p.b) * slope(p)

    return _elementwise(f, ends)


def _slope_at_ends(x: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    def rise(c: jax.Array, d: jax.Array) -> jax.Array:
        steep = jnp.where(c < 2, jnp.inf, jnp.where(c == 2, d * (d + 1), 0))
        flat = jnp.where(d == 1, 0, -d * (d - 1))
        return jnp.where(c < 1, -jnp.inf, jnp.where(c == 1, flat, steep))

    return jnp.where(x == 0, rise(a, b), jnp.where(x == 1, -rise(b, a), 0))


@shared
@with_derivatives(
    _scaled(_log_by_x, _slope_at_ends),
    _scaled(_log_by_a, _zeros),
    _scaled(lambda p: _log_by_a(p.swapped()), _zeros),
)
def density(x: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """The density of the beta law."""
    return _elementwise(lambda p: exp_of(tails.log_density_terms(p)), _at_ends)(x, a, b)


def _log_slope_at_ends(x: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    def rise(c: jax.Array, d: jax.Array) -> jax.Array:
        return jnp.where(c == 1, 1 - d, jnp.where(c < 1, -jnp.inf, jnp.inf))

    return jnp.where(x == 0, rise(a, b), jnp.where(x == 1, -rise(b, a), 0))


@with_derivatives(
    _elementwise(_log_by_x, _log_slope_at_ends),
    _elementwise(_log_by_a, _zeros),
    _elementwise(lambda p: _log_by_a(p.swapped()), _zeros),
)
def log_density(x: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """The logarithm of the density of the beta law."""

    def inside(p: Point) -> jax.Array:
        head, tail = tails.log_density_terms(p)
        return head + tail

    return _elementwise(inside, lambda x, a, b: jnp.log(_at_ends(x, a, b)))(x, a, b)


def _power(k: jax.Array, x: jax.Array, x_tail: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The pair of k log x, 0 for k = 0 whatever x."""
    some = jnp.where(k == 0, 1, x)
    return summed(*times(k, log_of((some, jnp.where(k == 0, 0, x_tail)))))


def _binomial_terms(k: jax.Array, n: jax.Array, p: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The logarithm of the probability of k in n, for 0 < p < 1, in two parts."""
    q, q_tail = complement(p)
    ends = (k == 0) | (k == n)
    a, b = jnp.where(ends, 1, k), jnp.where(ends, 1, n - k)
    inner = tails._log_f(Point(p, q, a, b + 1, jnp.zeros_like(p), q_tail))
    middle = summed(*inner, *negative(log_of((q, q_tail))))
    none, all_ = _power(n, q, q_tail), _power(n, p, jnp.zeros_like(p))
    pairs = zip(none, all_, middle, strict=True)
    return tuple(jnp.where(k == 0, o, jnp.where(k == n, a, m)) for o, a, m in pairs)  # type: ignore[return-value]


def _of_binomial(f, at_0, at_1):
    """The function of k, n and p that f is for 0 < p < 1; k is a count from 0 to n."""

    def function(k: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
        inside, counted = (p > 0) & (p < 1), (k >= 0) & (k <= n)
        k_, n_ = jnp.where(counted, k, 0), jnp.where(n >= 0, n, 1)
        ends = jnp.where(p == 0, at_0(k_, n_), at_1(k_, n_))
        return jnp.where(inside, f(k_, n_, jnp.where(inside, p, 0.5)), ends)

    return function


def _binomial_log_slope(k: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
    """The score (k − n p)/(p (1 − p))."""
    q, q_tail = complement(p)
    gap = tails._excess(p, q, k, n - k, jnp.zeros_like(p), q_tail)
    return jnp.where(k == 0, -n / q, jnp.where(k == n, n / p, gap / (p * q)))


def _binomial_log_slope_at_0(k: jax.Array, n: jax.Array) -> jax.Array:
    return jnp.where(k == 0, -n, jnp.inf)


def _binomial_slope_at_0(k: jax.Array, n: jax.Array) -> jax.Array:
    return jnp.where(k == 0, -n, jnp.where(k == 1, n, 0))


@with_derivatives(
    None,
    None,
    _of_binomial(
        lambda k, n, p: binomial(k, n, p) * _binomial_log_slope(k, n, p),
        _binomial_slope_at_0,
        lambda k, n: -_binomial_slope_at_0(n - k, n),
    ),
)
def binomial(k: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
    """The probability of k successes in n, k one of 0 … n."""
    return _of_binomial(
        lambda k, n, p: exp_of(_binomial_terms(k, n, p)),
        lambda k, n: jnp.where(k == 0, 1, jnp.zeros_like(n)),
        lambda k, n: jnp.where(k == n, 1, jnp.zeros_like(n)),
    )(k, n, p)


@with_derivatives(
    None,
    None,
    _of_binomial(
        _binomial_log_slope,
        _binomial_log_slope_at_0,
        lambda k, n: -_binomial_log_slope_at_0(n - k, n),
    ),
)
def log_binomial(k: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
    """The logarithm of that probability."""
    return _of_binomial(
        lambda k, n, p: sum(_binomial_terms(k, n, p)),
        lambda k, n: jnp.where(k == 0, 0, jnp.full_like(n, -jnp.inf)),
        lambda k, n: jnp.where(k == n, 0, jnp.full_like(n, -jnp.inf)),
    )(k, n, p)


def _waiting_terms(k: jax.Array, n: jax.Array, p: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The logarithm of the probability of k failures before the n-th success, in two parts."""
    q, q_tail = complement(p)
    zero = jnp.zeros_like(p)
    some = jnp.where(k == 0, 1, k)
    middle = tails._log_f(Point(q, p, some, n, q_tail, zero))
    none = _power(n, p, zero)
    return tuple(jnp.where(k == 0, o, m) for o, m in zip(none, middle, strict=True))  # type: ignore[return-value]


def _waiting_log_slope(k: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
    """The score (n (1 − p) − k p)/(p (1 − p))."""
    q, q_tail = complement(p)
    gap = tails._excess(p, q, n, k, jnp.zeros_like(p), q_tail)
    return jnp.where(k == 0, n / p, gap / (p * q))


def _waiting_log_slope_by_n(k: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
    """The derivative log p + ψ(n + k) − ψ(n)."""
    q, q_tail = complement(p)
    some = jnp.where(k == 0, 1, k)
    slope = tails._log_f_slope_by_b(Point(q, p, some, n, q_tail, jnp.zeros_like(p)))
    return jnp.where(k == 0, jnp.log(p), slope)


def _of_waiting(f, at_1):
    """The function of k, n and p that f is for 0 < p < 1; k is a count from 0 on."""

    def function(k: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
        inside = (p > 0) & (p < 1)
        return jnp.where(inside, f(k, n, jnp.where(inside, p, 0.5)), at_1(k, n))

    return function


def _waiting_slope_at_1(k: jax.Array, n: jax.Array) -> jax.Array:
    return jnp.where(k == 0, n, jnp.where(k == 1, -n, 0))


@shared
@with_derivatives(
    None,
    _of_waiting(
        lambda k, n, p: waiting(k, n, p) * _waiting_log_slope_by_n(k, n, p),
        lambda k, n: jnp.zeros_like(n),
    ),
    _of_waiting(
        lambda k, n, p: waiting(k, n, p) * _waiting_log_slope(k, n, p), _waiting_slope_at_1
    ),
)
def waiting(k: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
    """The probability of k failures before the n-th success."""
    return _of_waiting(
        lambda k, n, p: exp_of(_waiting_terms(k, n, p)),
        lambda k, n: jnp.where(k == 0, 1, jnp.zeros_like(n)),
    )(k, n, p)


@with_derivatives(
    None,
    _of_waiting(_waiting_log_slope_by_n, lambda k, n: jnp.zeros_like(n)),
    _of_waiting(_waiting_log_slope, lambda k, n: jnp.where(k == 0, n, -jnp.inf)),
)
def log_waiting(k: jax.Array, n: jax.Array, p: jax.Array) -> jax.Array:
    """The logarithm of that probability."""
    return _of_waiting(
        lambda k, n, p: sum(_waiting_terms(k, n, p)),
        lambda k, n: jnp.where(k == 0, 0, jnp.full_like(n, -jnp.inf)),
    )(k, n, p)
