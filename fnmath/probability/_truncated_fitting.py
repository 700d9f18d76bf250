"""The normal number that samples from an interval are most likely the part of.

Notation: y are the samples less their mean, in their standard deviation; on the interval, in these
units, the density is exp(s y + t y²) up to a factor, and K is the covariance matrix of y and y².
The likelihood is concave in s and t, and largest where E[y] = 0 and E[y²] = 1, as of the samples.

Source: Cohen, Estimating the mean and variance of normal populations from singly truncated and
doubly truncated samples (1950); del Castillo, The singly truncated normal distribution (1994).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from fnmath.probability import _fitting

# A density whose logarithm is concave, of mean 0 and variance 1, has nothing left beyond.
REACH = 40.0
STEPS = 40
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(192)
_SHARES = 0.5 ** np.arange(12)


def _log_integral(s: jax.Array, t: jax.Array, y: jax.Array, weights: jax.Array) -> jax.Array:
    """The logarithm of ∫ exp(s y + t y²) dy."""
    exponent = s[..., None] * y + t[..., None] * y * y
    return jax.nn.logsumexp(exponent, -1, b=weights)


def _newton(
    s: jax.Array, t: jax.Array, y: jax.Array, weights: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The step K⁻¹ (targets − moments)."""
    exponent = s[..., None] * y + t[..., None] * y * y
    p = weights * jnp.exp(exponent - jnp.max(exponent, -1, keepdims=True))
    p = p / jnp.sum(p, -1, keepdims=True)
    first, second = jnp.sum(p * y, -1), jnp.sum(p * y * y, -1)
    c, d = y - first[..., None], y * y - second[..., None]
    cc, cd, dd = jnp.sum(p * c * c, -1), jnp.sum(p * c * d, -1), jnp.sum(p * d * d, -1)
    determinant = cc * dd - cd * cd
    return (
        (dd * -first - cd * (1 - second)) / determinant,
        (cc * (1 - second) + cd * first) / determinant,
    )


def _step(
    s: jax.Array, t: jax.Array, y: jax.Array, weights: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The largest of 1, ½, ¼, … of Newton's step that leaves t < 0 and the likelihood no smaller.

    What rounding takes from the likelihood is not looked at, so that the last steps are whole.
    """
    by_s, by_t = _newton(s, t, y, weights)
    shares = jnp.asarray(_SHARES, s.dtype).reshape(-1, *[1] * s.ndim)
    S, T = s + shares * by_s, t + shares * by_t
    value, now = T - _log_integral(S, T, y, weights), t - _log_integral(s, t, y, weights)
    slack = 16 * jnp.finfo(s.dtype).eps * (1 + jnp.abs(now))
    good = (0.1 * t > T) & (value >= now - slack)
    share = jnp.max(jnp.where(good, shares, 0), 0)
    return s + share * by_s, t + share * by_t


def fitted(
    x: jax.Array, w: jax.Array, low: jax.Array, high: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The ends in standard deviations, the mean and the standard deviation of the normal number.

    All nan where no normal number is the most likely one, and where a sample lies outside.
    """
    centre = _fitting.mean(x, w)
    spread = _fitting.root(_fitting.mean(jnp.square(x - centre), w))[..., 0]
    centre = centre[..., 0]
    outside = (w > 0) & ((x < low[..., None]) | (x > high[..., None]))
    known = (spread > 0) & (low < high) & ~outside.any(-1)
    spread = jnp.where(known, spread, 1)
    a, b = (low - centre) / spread, (high - centre) / spread
    left, right = jnp.maximum(a, -REACH)[..., None], jnp.minimum(b, REACH)[..., None]
    half, nodes = 0.5 * (right - left), jnp.asarray(_NODES, x.dtype)
    y = 0.5 * (left + right) + half * nodes
    weights = half * jnp.asarray(_WEIGHTS, x.dtype)
    start = jnp.zeros_like(centre), jnp.full_like(centre, -0.5)
    s, t = _fitting.repeated(lambda at: _step(at[0], at[1], y, weights), start, STEPS)
    known = known & (_newton(s, t, y, weights)[1] < -0.5 * t)  # or the maximum is at some t ≥ 0
    sigma = 1 / jnp.sqrt(-2 * jnp.where(known, t, -0.5))
    mu = s * sigma * sigma
    found = (a - mu) / sigma, (b - mu) / sigma, centre + spread * mu, spread * sigma
    a, b, loc, scale = (jnp.where(known, one, jnp.nan) for one in found)
    return a, b, loc, scale
