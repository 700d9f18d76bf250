"""Ratios of gamma functions in evidences, without the size of their logarithms.

Notation: (a)ₙ = Γ(a + n)/Γ(a) is the rising factorial of n counts on a, δ Stirling's error, lag(v)
the difference v − log(1 + v), v = n/a.

An evidence is a product of such ratios, whose logarithms are of the size n log n and cancel but for
a few log n. By Stirling's formula

    log (a)ₙ = n log(a + n) − ½ log(1 + v) − a lag(v) + δ(a + n) − δ(a)                (n ≤ a)
    log (a)ₙ = n log(a + n) − n + (a − ½) log(1 + v) + δ(a + n) − δ(a)                 (n > a)

of which the first terms go together with those of the other ratios as quotients, and the n are
summed as they are, exactly.

Source: Loader, Fast and accurate computation of binomial probabilities (2000), §2 to §4.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from fnmath.numerics._stirling import lag, stirling_error


def rise(a: jax.Array, n: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What log (a)ₙ has beyond n log(a + n), in two parts: a small one, and −n or 0."""
    large = n > a
    v = jnp.where(large, 1, n / jnp.where(large, n, a))
    log1p_v = jnp.where(large, jnp.log(a + n) - jnp.log(a), jnp.log1p(v))
    near = -0.5 * log1p_v - a * lag(v, log1p_v)
    some = jnp.where(large, (a - 0.5) * log1p_v, near)
    return some + (stirling_error(a + n) - stirling_error(a)), jnp.where(large, -n, 0.0)


def log_share(part: jax.Array, rest: jax.Array) -> jax.Array:
    """The logarithm of part/(part + rest), for whichever of the two is the smaller."""
    whole = part + rest
    most = part > rest
    small = jnp.where(most, rest, part) / whole
    return jnp.where(most, jnp.log1p(-jnp.where(most, small, 0)), jnp.log(small))


def deviance(x: jax.Array, m: jax.Array) -> jax.Array:
    """The difference x log(x/m) − x + m ≥ 0 of a count x ≥ 0 from its mean m > 0."""
    none = x == 0
    some = jnp.where(none, m, x)
    v = (m - some) / some
    return jnp.where(none, m, some * lag(v, jnp.log(m / some)))
