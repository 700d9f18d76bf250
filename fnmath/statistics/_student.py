"""The tails of Student's t distribution, in both of its arguments, without a gamma function.

Notation: ν > 0 are the degrees of freedom, τ = |t|/√ν. With 1 + s²/ν = (1 + τ²) exp(2y/ν) for s
from |t| to ∞, the probability of more than |t| on either side is

    P(|T| > |t|) = (1 + τ²)^(−(ν − 1)/2) Q(τ)/Q(0),    Q(τ) = ∫₀^∞ e⁻ʸ/√(τ² + 1 − exp(−2y/ν)) dy

of which the first factor holds how small it is. Q is smooth but for the root at y = τ = 0, which
the double exponential rule y = exp(u − e⁻ᵘ) takes away: equal steps in u then give all digits, for
every τ and ν, and so does the derivative of the sum by ν.

Source: Takahasi and Mori, Double exponential formulas for numerical integration (1974), §3;
Student's density: Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995),
chapter 28.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from fnmath.numerics import with_derivatives


def _rule(dtype: jnp.dtype) -> tuple[jax.Array, jax.Array]:
    """The nodes y and their weights, e⁻ʸ among them."""
    single = dtype == jnp.float32
    step = 1 / 16 if single else 1 / 32
    u = np.arange(-4.5, 3.76, step)
    y = np.exp(u - np.exp(-u))
    w = np.exp(-y) * y * (1 + np.exp(-u)) * step
    # What lies below weighs the root of it, no more than rounding, and might underflow.
    kept = y > (1e-24 if single else 0)
    return jnp.asarray(y[kept], dtype), jnp.asarray(w[kept], dtype)


def _parts(t: jax.Array, nu: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The tail, log(1 + τ²) and Q(0); the nodes lie on a new last axis."""
    y, w = _rule(t.dtype)
    tau = t / jnp.sqrt(nu)
    far = tau > 1
    inverse, tau = 1 / jnp.where(far, tau, 1), jnp.where(far, 1, tau)
    growth = -jnp.expm1(-2 * y / nu[..., None])

    def q(a: jax.Array, r: jax.Array) -> jax.Array:
        """Q of a/r, with the larger of the two 1."""
        root = jnp.sqrt(jnp.square(a)[..., None] + growth * jnp.square(r)[..., None])
        return r * jnp.sum(w / root, -1)

    log_base = jnp.log1p(jnp.square(tau * inverse)) - 2 * jnp.log(inverse)
    centre = q(jnp.zeros_like(tau), jnp.ones_like(tau))
    tail = jnp.exp(-0.5 * (nu - 1) * log_base) * (q(tau, inverse) / centre)
    return tail, log_base, centre


def _by_statistic(t: jax.Array, nu: jax.Array) -> jax.Array:
    """Less twice the density, with the sign of t."""
    _, log_base, centre = _parts(jnp.abs(t), nu)
    return -jnp.sign(t) * jnp.sqrt(nu) / centre * jnp.exp(-0.5 * (nu + 1) * log_base)


def _by_degrees(t: jax.Array, nu: jax.Array) -> jax.Array:
    return jax.jvp(lambda nu: _parts(jnp.abs(t), nu)[0], (nu,), (jnp.ones_like(nu),))[1]


@with_derivatives(_by_statistic, _by_degrees)
def two_sided_tail(t: jax.Array, nu: jax.Array) -> jax.Array:
    """The probability P(|T| > |t|); nan unless ν > 0."""
    usual = jnp.where(jnp.isinf(t), 1, jnp.abs(t))
    tail, _, _ = _parts(usual, jnp.where(nu > 0, nu, jnp.nan))
    return jnp.where(jnp.isinf(t), 0 * nu, jnp.minimum(tail, 1))


def _less_density(t: jax.Array, nu: jax.Array) -> jax.Array:
    _, log_base, centre = _parts(jnp.abs(t), nu)
    return -0.5 * jnp.sqrt(nu) / centre * jnp.exp(-0.5 * (nu + 1) * log_base)


@with_derivatives(_less_density, lambda t, nu: 0.5 * jnp.sign(t) * _by_degrees(t, nu))
def upper_tail(t: jax.Array, nu: jax.Array) -> jax.Array:
    """The probability P(T > t); nan unless ν > 0."""
    half = 0.5 * two_sided_tail(t, nu)
    return jnp.where(t > 0, half, 1 - half)
