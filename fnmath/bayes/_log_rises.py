"""Ratios of gamma functions in evidences, without the size of their logarithms.

Notation: (a)ₙ = Γ(a + n)/Γ(a) is the rising factorial of n counts on a, δ Stirling's error, and
D(x, m) = x log(x/m) − x + m ≥ 0 the deviance of a count x from a mean m.

An evidence is a product of such ratios, whose logarithms are of the size n log n and cancel but for
a few log n. By Stirling's formula

    log (a)ₙ = (a + n) log(a + n) − a log a − n − ½ log(1 + n/a) + δ(a + n) − δ(a)

The prior is a count too, as if seen already: with the posterior's mean m for everything, all that
is of first order sums to 0, and what remains are deviances, of the data and of the prior.

Source: Loader, Fast and accurate computation of binomial probabilities (2000), §2 to §4.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from fnmath.numerics._stirling import lag, stirling_error


def rise_rest(a: jax.Array, n: jax.Array) -> jax.Array:
    """The last terms of log (a)ₙ, −½ log(1 + n/a) + δ(a + n) − δ(a)."""
    large = n > a
    log1p_v = jnp.log1p(jnp.where(large, 1, n / jnp.where(large, n, a)))
    log1p_v = jnp.where(large, jnp.log(a + n) - jnp.log(a), log1p_v)
    return (stirling_error(a + n) - stirling_error(a)) - 0.5 * log1p_v


def log_share(part: jax.Array, rest: jax.Array) -> jax.Array:
    """The logarithm of part/(part + rest), for whichever of the two is the smaller."""
    whole = part + rest
    most = part > rest
    small = jnp.where(most, rest, part) / whole
    return jnp.where(most, jnp.log1p(-jnp.where(most, small, 0)), jnp.log(small))


def deviance(x: jax.Array, m: jax.Array, gap: jax.Array | None = None) -> jax.Array:
    """The difference x log(x/m) − x + m ≥ 0 of a count x ≥ 0 from its mean m > 0.

    The gap m − x is given where it can be had without their difference, whose rounding, squared, is
    all that there is when the prior is sure.
    """
    none = x == 0
    some = jnp.where(none, m, x)
    v = (m - some if gap is None else jnp.where(none, 0, gap)) / some
    return jnp.where(none, m, some * lag(v, jnp.log(m / some)))


def log_gamma_ratio(a: jax.Array, b: jax.Array, n: jax.Array, t: jax.Array) -> jax.Array:
    """The logarithm of Γ(a + n)/Γ(a) bᵃ/(b + t)ᵃ⁺ⁿ: n events in a time t, at an unknown rate.

    With the posterior's mean rate m it is n log m − m t, the likelihood there, and what is lost by
    not knowing it.
    """
    m = (a + n) / (b + t)
    return (n * jnp.log(m) - m * t) + (rise_rest(a, n) - rate_deviance(a, b, n, t))


def rate_deviance(a: jax.Array, b: jax.Array, n: jax.Array, t: jax.Array) -> jax.Array:
    """The deviance of the prior's a events from b (a + n)/(b + t), which are b n − a t more."""
    whole = b + t
    return deviance(a, b * ((a + n) / whole), b * (n / whole) - a * (t / whole))


def log_rise(a: jax.Array, n: jax.Array) -> jax.Array:
    """The logarithm of (a)ₙ: n log(a + n) − a lag(n/a), and the rest."""
    v = n / a
    return n * jnp.log(a + n) - a * lag(v, jnp.log1p(v)) + rise_rest(a, n)
