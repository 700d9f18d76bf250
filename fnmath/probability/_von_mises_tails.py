"""The von Mises law, by one quadrature for its constant, its tails and their derivatives.

Notation: θ is an angle from the mean, −π ≤ θ ≤ π, φ = |θ| and w = π − φ; κ is the concentration.

    f(θ) = exp(−2κ sin²(θ/2))/C,    C = 2π exp(−κ) I₀(κ) = 2 M(0)
    S(φ) = f(φ) M(φ),    M(φ) = ∫₀^w exp(−κ g(y)) dy,    g(y) = 2 sin(φ + y/2) sin(y/2)

S is the probability beyond φ on its side, ½ at 0. M is an integral of positive numbers, up to where
κ g is 20 or 40: with t = tan(y/2), sin(φ) t + cos(φ) t² = (1 + t²) d says where g = 2d.

Source: Best and Fisher, Efficient simulation of the von Mises distribution (1979); Mardia and Jupp,
Directional Statistics (2000), §3.5.4.
"""

from __future__ import annotations

# pyright: reportGeneralTypeIssues=false
# (a derivative may speak of the function that it belongs to)
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnmath.numerics import with_derivatives
from fnmath.numerics._once import sum_of_rows
from fnmath.numerics._pairs import Pair, two_sum
from fnmath.numerics._sharing import apart, shared
from fnmath.probability import _numbers as numbers
from fnmath.probability._roots_of_tails import Local, normal_quantile, root, with_derivatives_at
from fnmath.probability._tails import depth, nodes
from fnmath.probability._two_part import constant, exp_of, summed

# π = _PI + _PI_TAIL in double precision.
_PI_TAIL = 1.2246467991473532e-16


def opposite(phi: jax.Array) -> jax.Array:
    """The angle w = π − φ to the other end, right where it is small.

    By a sum that ends with its constant and its error: XLA makes one of two constants.
    """
    head, tail = constant(math.pi, phi, _PI_TAIL)
    w, rest = two_sum(-phi, head)
    return jnp.maximum(w + (rest + tail), 0)


def _extent(phi: jax.Array, w: jax.Array, kappa: jax.Array) -> jax.Array:
    """Where κ g is 20 or 40, w at most."""
    d = 0.5 * depth(phi) / jnp.maximum(kappa, jnp.finfo(phi.dtype).tiny * 1e4)
    s, c = jnp.sin(phi), jnp.cos(phi)
    bend = s * s + 4 * d * (c - d)
    inside = (d < 2) & (bend > 0)
    tangent = 2 * d / (s + jnp.sqrt(jnp.where(inside, bend, 1)))
    return jax.lax.stop_gradient(jnp.where(inside, jnp.minimum(2 * jnp.arctan(tangent), w), w))


@shared
def _integrals(phi: jax.Array, kappa: jax.Array) -> tuple[jax.Array, jax.Array]:
    """M, and the mean of g under its integrand; to be differentiated by κ alone."""
    w = opposite(phi)
    extent = _extent(phi, w, kappa)
    u, weights = nodes(phi)
    half = 0.5 * u * extent
    near = phi < 0.5 * math.pi
    g = 2 * jnp.sin(jnp.where(near, phi + half, w - half)) * jnp.sin(half)
    e = weights * jnp.exp(-kappa * g)
    total = sum_of_rows(e)
    return extent * total, sum_of_rows(g * e) / total


def _inner(phi: jax.Array, kappa: jax.Array) -> tuple[jax.Array, jax.Array]:
    """∫₀^φ exp(−2κ sin²(t/2)) dt, and that of 2 sin²(t/2) times it."""
    u, weights = nodes(phi)
    spread = 2 * jnp.square(jnp.sin(0.5 * u * phi))
    e = weights * jnp.exp(-kappa * spread)
    return phi * sum_of_rows(e), phi * sum_of_rows(spread * e)


@shared
def one_less_ratio(kappa: jax.Array) -> jax.Array:
    """1 − A(κ) = E[1 − cos θ], A = I₁/I₀: 1 at 0, 1/(2κ) for large κ."""
    rounded = _integrals(jnp.zeros_like(kappa), kappa)[1]
    return rounded - jax.lax.stop_gradient(jnp.maximum(rounded - 1, 0))  # none is above 1


@shared
@with_derivatives(lambda kappa: -one_less_ratio(kappa))
def log_constant(kappa: jax.Array) -> jax.Array:
    """The logarithm of C, log 2π at 0 and ½ log(2π/κ) for large κ."""
    return jnp.log(2 * _integrals(jnp.zeros_like(kappa), kappa)[0])


@shared
def _versine(theta: jax.Array) -> numbers.Pair:
    """The pair of 2 sin²(θ/2)."""
    half = numbers.Pair(0.5 * theta, jnp.zeros_like(theta))
    square, terms = half * half, 14 if theta.dtype == jnp.float64 else 10
    series = [(-1) ** k / math.factorial(2 * k + 1) for k in range(terms)]
    sine = half * numbers.polynomial(series, square)
    return 2 * (sine * sine)


@shared
def _log_terms(theta: jax.Array, kappa: jax.Array) -> Pair:
    versine = _versine(theta)
    exponent = versine * numbers.Pair(-kappa, jnp.zeros_like(kappa))
    return summed(exponent.head, -log_constant(kappa), exponent.tail)


@shared
def _versine_of(theta: jax.Array) -> jax.Array:
    return 2 * jnp.square(jnp.sin(0.5 * theta))


def _log_by_angle(theta: jax.Array, kappa: jax.Array) -> jax.Array:
    return -kappa * jnp.sin(theta)


def log_by_kappa(theta: jax.Array, kappa: jax.Array) -> jax.Array:
    return one_less_ratio(kappa) - _versine_of(theta)


@with_derivatives(_log_by_angle, log_by_kappa)
def log_density(theta: jax.Array, kappa: jax.Array) -> jax.Array:
    """The logarithm of f(θ)."""
    head, tail = _log_terms(theta, kappa)
    return head + tail


@shared
@with_derivatives(
    lambda theta, kappa: density(theta, kappa) * _log_by_angle(theta, kappa),
    lambda theta, kappa: density(theta, kappa) * log_by_kappa(theta, kappa),
)
def density(theta: jax.Array, kappa: jax.Array) -> jax.Array:
    """f(θ)."""
    return exp_of(_log_terms(theta, kappa))


def _mills(phi: jax.Array, kappa: jax.Array) -> jax.Array:
    return _integrals(jax.lax.stop_gradient(phi), kappa)[0]


def _flow_at(theta: jax.Array, kappa: jax.Array) -> jax.Array:
    """∂F/∂κ: what is between 0 and θ where φ is small, else what is beyond."""
    phi, size = jnp.abs(jax.lax.stop_gradient(theta)), one_less_ratio(kappa)
    mass, spread = _inner(phi, kappa)
    inner = (size * mass - spread) * jnp.exp(-log_constant(kappa))
    mills, mean = _integrals(phi, kappa)
    outer = (mean + (_versine_of(phi) - size)) * (density(phi, kappa) * mills)
    return jnp.sign(theta) * jnp.where(kappa * phi * phi < 2, inner, outer)


def _flow_by_kappa(theta: jax.Array, kappa: jax.Array) -> jax.Array:
    return jax.jvp(lambda k: _flow_at(theta, k), (kappa,), (jnp.ones_like(kappa),))[1]


@shared
@with_derivatives(
    lambda theta, kappa: density(theta, kappa) * log_by_kappa(theta, kappa), _flow_by_kappa
)
def flow(theta: jax.Array, kappa: jax.Array) -> jax.Array:
    """The derivative of F by κ at a fixed θ."""
    return _flow_at(theta, kappa)


def _tail(theta: jax.Array, kappa: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """S(φ), log S(φ), and whether that is the lower tail."""
    phi = jnp.abs(theta)
    mills = _mills(phi, kappa)
    head, tail = _log_terms(phi, kappa)
    return exp_of((head, tail)) * mills, head + (jnp.log(mills) + tail), theta <= 0


@functools.cache
def tail(kind: str) -> Callable:
    """What is asked of the tails of θ and κ, with its derivatives."""
    lower, is_log = kind.endswith("lower"), kind.startswith("log")
    sign = 1 if lower else -1

    def over(slope: Callable) -> Callable:
        """The derivative of the logarithm of a tail: 1/M and a share where it is the smaller."""

        def by(theta, kappa):
            value = jnp.exp(-tail(kind)(theta, kappa)) if is_log else 1
            return sign * slope(theta, kappa) * value

        return by

    @shared
    @with_derivatives(over(density), over(flow))
    def function(theta: jax.Array, kappa: jax.Array) -> jax.Array:
        small, log_small, is_lower = _tail(theta, kappa)
        wanted = is_lower if lower else ~is_lower
        if is_log:
            return jnp.where(wanted, log_small, jnp.log1p(-jnp.minimum(small, 0.5)))
        return jnp.where(wanted, small, 1 - small)

    return function


def _beyond(q: jax.Array, kappa: jax.Array) -> jax.Array:
    """The φ with S(φ) = q ≤ ¼, in steps of 1/√κ."""
    unit = jnp.sqrt(jnp.maximum(kappa, 1))
    log_q = jnp.log(q)

    def local(steps: jax.Array) -> Local:
        phi = steps / unit
        _, log_tail, _ = _tail(phi, kappa)
        return Local(
            log_tail - log_q, -1 / (_mills(phi, kappa) * unit), -kappa * jnp.sin(phi) / unit
        )

    normal = jnp.clip(-0.5 * normal_quantile(q) / unit, 0, 1)
    flat = opposite(jnp.zeros_like(q)) * (1 - 2 * q)
    start = jnp.where(kappa > 1, 2 * jnp.arcsin(normal), flat) * unit
    high = opposite(jnp.zeros_like(q)) * unit
    found = root(local, start, 0.0, high)
    here = local(found)
    moved = found - here.residual / here.slope
    return jnp.clip(jnp.where(jnp.isfinite(moved), moved, found) / unit, 0, math.pi)


def _between(q: jax.Array, kappa: jax.Array) -> jax.Array:
    """The φ with S(φ) = q, ¼ ≤ q ≤ ½: Newton's steps from 0, all of them too short."""
    wanted = (0.5 - q) * jnp.exp(log_constant(kappa))

    @apart
    def step(_: Any, phi: jax.Array) -> jax.Array:
        mass, _ = _inner(phi, kappa)
        return phi + (wanted - mass) * jnp.exp(kappa * _versine_of(phi))

    return jax.lax.fori_loop(0, 8, step, wanted)


@functools.cache
def quantile(kind: str) -> Callable:
    """The θ of which the lower or the upper tail is q, as a function of q and κ."""
    sign = 1 if kind == "lower" else -1

    @with_derivatives_at(
        lambda theta, q, kappa: sign / density(theta, kappa),
        lambda theta, q, kappa: -flow(theta, kappa) / density(theta, kappa),
    )
    def function(q: jax.Array, kappa: jax.Array) -> jax.Array:
        small = jnp.where(q <= 0.5, q, 1 - q)
        inner, tiny = small > 0.25, small <= 0
        phi = jnp.where(
            inner,
            _between(jnp.where(inner, small, 0.5), kappa),
            _beyond(jnp.where(inner | tiny, 0.25, small), kappa),
        )
        phi = jnp.where(tiny, opposite(jnp.zeros_like(phi)), phi)
        return jnp.where(q <= 0.5, -sign, sign) * phi

    return function


def wrapped(x: jax.Array, x_tail: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The angle within ±π, and the number of turns that it is from there."""
    turns = jax.lax.stop_gradient(jnp.round(x / (2 * math.pi)))
    head, tail = constant(2 * math.pi, x, 2 * _PI_TAIL)
    return jnp.where(turns == 0, x, ((x - turns * head) + x_tail) - turns * tail), turns


def accepted(key: jax.Array, kappa: jax.Array) -> jax.Array:
    """Angles of the law by rejection from the wrapped Cauchy law (Best and Fisher).

    Of what they compute, s and W near 1, here are s − 1 and 1 − W, so that angles of 10⁻³ have all
    their digits.
    """
    kappa = jnp.maximum(kappa, 1e-20)
    excess = (1 + 1 / (jnp.sqrt(1 + 4 * kappa * kappa) + 2 * kappa)) / (2 * kappa)

    def attempt(state: tuple) -> tuple:
        key, versine, done, count = state
        key, first, second = jax.random.split(key, 3)
        angle = 0.5 * math.pi * jax.random.uniform(first, kappa.shape, kappa.dtype)
        other = excess + 2 * jnp.square(jnp.cos(angle))
        new = 2 * jnp.square(jnp.sin(angle)) * (excess / other)
        c = kappa * excess + kappa * new
        level = jax.random.uniform(second, kappa.shape, kappa.dtype)
        accepts = jnp.log(c) + 1 - c >= jnp.log(level)
        return key, jnp.where(done, versine, new), done | accepts, count + 1

    first, second = jax.random.split(key)
    start = first, jnp.zeros_like(kappa), jnp.zeros_like(kappa, bool), jnp.zeros((), jnp.int32)
    _, versine, _, _ = jax.lax.while_loop(
        lambda state: jnp.any(~state[2]) & (state[3] < 200), attempt, start
    )
    angle = 2 * jnp.arcsin(jnp.sqrt(jnp.clip(0.5 * versine, 0, 1)))
    return jnp.where(jax.random.bernoulli(second, 0.5, kappa.shape), angle, -angle)


@with_derivatives(None, lambda theta, kappa: -flow(theta, kappa) / density(theta, kappa))
def carried(theta: jax.Array, kappa: jax.Array) -> jax.Array:
    """A sample, which moves with κ as the quantile of a fixed probability."""
    return theta + 0 * kappa


def ratio_slope(kappa: jax.Array) -> jax.Array:
    """A′(κ) = Var[cos θ], as the mean of a square."""
    zero = jnp.zeros_like(kappa)
    w = opposite(zero)
    u, weights = nodes(kappa)
    versine = _versine_of(u * _extent(zero, w, kappa))
    e = weights * jnp.exp(-kappa * versine)
    mean = sum_of_rows(versine * e) / sum_of_rows(e)
    return sum_of_rows(jnp.square(versine - mean) * e) / sum_of_rows(e)


@with_derivatives(lambda spread: -1 / ratio_slope(concentration(spread)))
def concentration(spread: jax.Array) -> jax.Array:
    """The κ with 1 − A(κ) = r, ∞ at r = 0 and 0 from r = 1 on.

    Newton's steps from R (2 − R²)/(1 − R²), R = 1 − r, which is within 7 % (κ = 4.3).
    """
    inside = (spread > 0) & (spread < 1)
    r = jnp.where(inside, spread, 0.5)
    start = (1 - r) * (1 + r * (2 - r)) / (r * (2 - r))

    @apart
    def step(_: Any, kappa: jax.Array) -> jax.Array:
        nearer = kappa + (one_less_ratio(kappa) - r) / ratio_slope(kappa)
        return jnp.maximum(nearer, 0.5 * kappa)

    kappa = jax.lax.fori_loop(0, 6, step, start)
    ends = jnp.where(spread <= 0, jnp.inf, jnp.where(spread >= 1, 0.0, jnp.nan))
    return jnp.where(inside, kappa, ends).astype(spread.dtype)


def variance(kappa: jax.Array) -> jax.Array:
    """E[θ²] over one turn."""
    zero = jnp.zeros_like(kappa)
    u, weights = nodes(kappa)
    angle = u * _extent(zero, opposite(zero), kappa)
    e = weights * jnp.exp(-kappa * _versine_of(angle))
    return sum_of_rows(angle * angle * e) / sum_of_rows(e)


def _between_concentrations(p: jax.Array, q: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Twelve points from p to q on a new first axis, and weights times 1 − t."""
    u, w = np.polynomial.legendre.leggauss(12)
    shape = (-1, *(1,) * p.ndim)
    t = jnp.asarray(0.5 + 0.5 * u, p.dtype).reshape(shape)
    return p + t * (q - p), jnp.asarray(0.5 * w, p.dtype).reshape(shape) * (1 - t)


def divergence(p: jax.Array, q: jax.Array) -> jax.Array:
    """Log C(q) − log C(p) + (q − p) (1 − A(p)) ≥ 0, as an integral of A′ where they are near."""
    near = (q < 2 * p) & (p < 2 * q)
    other = jnp.where(near, q, p)
    points, w = _between_concentrations(p, other)
    bend = jnp.square(other - p) * sum_of_rows(w * ratio_slope(points))
    apart = log_constant(q) - log_constant(p) + (q - p) * one_less_ratio(p)
    return jnp.where(near, bend, apart)
