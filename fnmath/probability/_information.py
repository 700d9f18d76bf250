"""Entropies and divergences of the laws with a gamma function in them.

Notation: Γ, ψ, ψ′ as in ``_log_gammas``; a Bregman divergence of a convex φ is φ(q) − φ(p) − φ′(p)
(q − p) ≥ 0, and that of the log-partition function of an exponential family is its KL(p ‖ q).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from fnmath.numerics import with_derivatives
from fnmath.numerics._once import sum_of_rows
from fnmath.numerics._pairs import log_pair
from fnmath.numerics._stirling import lag, stirling_error, stirling_slope
from fnmath.probability._log_gammas import digamma, log_gamma, trigamma, trigamma_difference
from fnmath.probability._two_part import half_log_2_pi, summed, times

_X, _W = np.polynomial.legendre.leggauss(12)


def _along(p: jax.Array, q: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Twelve points from p to q on a new first axis, their t in [0, 1], and weights."""
    shape = (-1, *(1,) * p.ndim)
    t = jnp.asarray(0.5 + 0.5 * _X, p.dtype).reshape(shape)
    w = jnp.asarray(0.5 * _W, p.dtype).reshape(shape)
    return p + t * (q - p), t, w


def _are_near(p: jax.Array, q: jax.Array) -> jax.Array:
    return (q < 2 * p) & (p < 2 * q)


def _digamma_difference(q: jax.Array, p: jax.Array) -> jax.Array:
    """The difference ψ(q) − ψ(p), as an integral where they are near."""
    near = _are_near(p, q)
    other = jnp.where(near, q, p)
    points, _, w = _along(p, other)
    together = (other - p) * sum_of_rows(w * trigamma(points))
    return jnp.where(near, together, digamma(q) - digamma(p))


@with_derivatives(_digamma_difference, lambda q, p: (p - q) * trigamma(p))
def gamma_divergence(q: jax.Array, p: jax.Array) -> jax.Array:
    """The Bregman divergence of log Γ: log Γ(q) − log Γ(p) − (q − p) ψ(p)."""
    near = _are_near(p, q)
    other = jnp.where(near, q, p)
    points, t, w = _along(p, other)
    together = jnp.square(other - p) * sum_of_rows(w * (1 - t) * trigamma(points))
    return jnp.where(near, together, log_gamma(q) - log_gamma(p) - (q - p) * digamma(p))


def beta_divergence(a: jax.Array, b: jax.Array, c: jax.Array, d: jax.Array) -> jax.Array:
    """The divergence of Beta(a, b) from Beta(c, d): that of log B at (c, d) from (a, b)."""
    near = _are_near(a, c) & _are_near(b, d)
    c_, d_ = jnp.where(near, c, a), jnp.where(near, d, b)
    (alpha, t, w), (beta, _, _) = _along(a, c_), _along(b, d_)
    u, v = c_ - a, d_ - b
    bend = u * u * trigamma_difference(alpha, beta) + v * v * trigamma_difference(beta, alpha)
    bend = bend - 2 * u * v * trigamma(alpha + beta)
    apart = gamma_divergence(c, a) + gamma_divergence(d, b) - gamma_divergence(c + d, a + b)
    return jnp.where(near, sum_of_rows(w * (1 - t) * bend), apart)


def log_ratio(x: jax.Array, y: jax.Array) -> jax.Array:
    """The logarithm of x/y."""
    excess = (x - y) / y
    near = jnp.abs(excess) < 0.25
    far = jnp.log(jnp.where(near, 1, x / y))
    return jnp.where(near, jnp.log1p(jnp.where(near, excess, 0)), far)


def relative_lag(x: jax.Array, y: jax.Array) -> jax.Array:
    """x/y − 1 − log(x/y) ≥ 0."""
    return lag((x - y) / y, log_ratio(x, y))


def gamma_kl(a: jax.Array, s: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
    """The divergence of Gamma(a, s) from Gamma(b, t)."""
    shapes, scales = gamma_divergence(b, a), a * relative_lag(s, t)
    return shapes + scales + (a - b) * log_ratio(s, t)


def _rest(x: jax.Array, k: float) -> jax.Array:
    """δ(x) − (x − k) δ′(x): what log Γ(x) − (x − k) ψ(x) has beyond its logarithms."""
    return stirling_error(x) - (x - k) * stirling_slope(x)


def _gamma_entropy_slope(a: jax.Array) -> jax.Array:
    """1 + (1 − a) ψ′(a), which is 1/(2a) for large a."""
    w = 1 / jnp.maximum(a, 20)
    far = w * (
        0.5 + w * (1 / 3 - w * (1 / 6 + w * (1 / 30 - w * (1 / 30 + w * (1 / 42 - w / 42)))))
    )
    return jnp.where(a > 20, far, 1 + (1 - a) * trigamma(jnp.minimum(a, 20)))


@with_derivatives(_gamma_entropy_slope)
def gamma_entropy(a: jax.Array) -> jax.Array:
    """A + log Γ(a) + (1 − a) ψ(a), the entropy of Gamma(a, 1); ½ log 2πe a for large a."""
    log_a = log_pair(a)
    terms = [*(0.5 * part for part in log_a), *half_log_2_pi(a), jnp.full_like(a, 0.5)]
    large = summed(*terms, _rest(a, 1) - 0.5 / a)
    small = summed(a, log_gamma(a), (1 - a) * digamma(a))
    return jnp.where(a > 1.5, large[0] + large[1], small[0] + small[1])


def inverse_gamma_entropy(a: jax.Array) -> jax.Array:
    """A + log Γ(a) − (1 + a) ψ(a)."""
    return gamma_entropy(a) - 2 * digamma(a)


def beta_entropy(a: jax.Array, b: jax.Array) -> jax.Array:
    """Log B(a, b) − (a − 1) ψ(a) − (b − 1) ψ(b) + (a + b − 2) ψ(a + b)."""
    return _beta_entropy(a, b)


def _beta_entropy_by_a(a: jax.Array, b: jax.Array) -> jax.Array:
    return (b - 1) * trigamma(a + b) - (a - 1) * trigamma_difference(a, b)


@with_derivatives(_beta_entropy_by_a, lambda a, b: _beta_entropy_by_a(b, a))
def _beta_entropy(a: jax.Array, b: jax.Array) -> jax.Array:
    n = a + b
    log_a, log_b, log_n = log_pair(a), log_pair(b), log_pair(n)
    terms = [
        *times(jnp.full_like(a, 0.5), log_a),
        *times(jnp.full_like(a, 0.5), log_b),
        *times(jnp.full_like(a, -1.5), log_n),
        *half_log_2_pi(a),
        jnp.full_like(a, 0.5),
    ]
    rests = [_rest(a, 1), _rest(b, 1), -_rest(n, 2), -0.5 / a, -0.5 / b, 1 / n]
    head, tail = summed(*terms, *rests)
    exact = (a == 1) & (b == 1)
    return jnp.where(exact, 0, head + tail)


def bernoulli_kl(p: jax.Array, r: jax.Array) -> jax.Array:
    """P log(p/r) + (1 − p) log((1 − p)/(1 − r)) ≥ 0; 0 log 0 = 0."""
    return _part(p, r) + _part(1 - p, 1 - r)


def _part(x: jax.Array, y: jax.Array) -> jax.Array:
    """X log(x/y) − x + y ≥ 0."""
    some = jnp.where((x > 0) & (y > 0), x, 1)
    other = jnp.where((x > 0) & (y > 0), y, 1)
    inner = some * lag((other - some) / some, log_ratio(other, some))
    return jnp.where((x > 0) & (y > 0), inner, jnp.where(x == 0, y, jnp.inf))


def poisson_kl(mu: jax.Array, nu: jax.Array) -> jax.Array:
    """μ log(μ/ν) − μ + ν ≥ 0."""
    return _part(mu, nu)
