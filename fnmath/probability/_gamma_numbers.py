"""The gamma function's logarithm and its derivatives as formulas of numbers, plain ones or pairs.

Notation: Γ is the gamma function, ψ = (log Γ)′; all for a > 0. Of log Γ and ψ only what they lack
of Stirling's first terms is taken, which is small where a is large:

    g(a) = a log a − a − log Γ(a),    g′(a) = h(a) = log a − ψ(a),    t(a) = ψ′(a)

Each is a series in 1/y at y = a + m, and m steps down to a. Pairs keep about twice the digits.

Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), §6.1.41, §6.3.18 and
§6.4.12.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from fnmath.probability._matrices import divided, placed, total
from fnmath.probability._numbers import Number, head, log, polynomial, where

_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_OF_LOGARITHM = tuple(b / ((2 * k + 2) * (2 * k + 1)) for k, b in enumerate(_BERNOULLI))
_OF_SLOPE = tuple(b / (2 * k + 2) for k, b in enumerate(_BERNOULLI))


def _stepped(a: Number) -> tuple[Number, Number, Number, jax.Array]:
    """Where the series is taken, its inverse, the steps down on a new first axis, and if any."""
    count = 16 if head(a).dtype == jnp.float64 else 8
    stepped = head(a) < count
    near = where(stepped, a, 1.0)
    y = where(stepped, near + count, where(stepped, float(count), a))
    k = jnp.arange(count, dtype=head(a).dtype).reshape(-1, *(1,) * head(a).ndim)
    full = (count, *head(a).shape)
    steps = placed(lambda b: jnp.broadcast_to(b, full), near) + jnp.broadcast_to(k, full)
    one = where(jnp.ones_like(stepped), 1.0, y)
    return y, divided(one, y), steps, stepped


def stirling_excess(a: Number) -> Number:
    """The number g(a), about ½ log(a/2π), −log Γ(a) for small a."""
    y, w, steps, stepped = _stepped(a)
    series = w * polynomial(_OF_LOGARITHM, w * w, 4)
    at_y = 0.5 * log(y) - (series + 0.5 * math.log(2 * math.pi))
    # a log a − a − (y log y − y − g(y)) + log Π, y − a being the number of steps.
    some = where(stepped, a, y)
    moved = some * log(some) - y * log(y) + float(head(steps).shape[0]) + total(log(steps), 0)
    return at_y + where(stepped, moved, 0.0)


def digamma_lag(a: Number) -> Number:
    """The number h(a), about 1/(2a), 1/a for small a."""
    y, w, steps, stepped = _stepped(a)
    at_y = 0.5 * w + w * w * polynomial(_OF_SLOPE, w * w, 4)
    ratio = where(stepped, a, 1.0) / where(stepped, y, 1.0)
    return at_y + where(stepped, total(1 / steps, 0) + log(ratio), 0.0)


def trigamma(a: Number) -> Number:
    """The number t(a), about 1/a, 1/a² for small a."""
    _, w, steps, stepped = _stepped(a)
    at_y = w + 0.5 * w * w + w * w * w * polynomial(_BERNOULLI, w * w, 4)
    inverses = 1 / steps
    return at_y + where(stepped, total(inverses * inverses, 0), 0.0)


def trigamma_excess(a: Number) -> Number:
    """What ψ′(a) has beyond 1/a + 1/(2a²), about 1/(6a³), or 1/(2a²) for small a.

    No step is a difference: one down adds ½ (1/a − 1/(a + 1))².
    """
    _, w, steps, stepped = _stepped(a)
    at_y = w * w * w * polynomial(_BERNOULLI, w * w, 4)
    gaps = 1 / (steps * (steps + 1.0))
    return at_y + where(stepped, 0.5 * total(gaps * gaps, 0), 0.0)


# Of Boole's sum of 1/(ν + j)² with alternating signs, from the third derivative on.
_OF_BOOLE = tuple((4**j - 1) * _BERNOULLI[j - 1] for j in range(2, len(_BERNOULLI) + 1))


def half_step_excess(nu: Number) -> Number:
    """What ¼ (ψ′(ν/2) − ψ′((ν + 1)/2)) has beyond (ν + 5)/(2ν (ν + 1) (ν + 3)), about 7/(2ν⁴).

    The trigammas are an alternating sum, of which Boole's formula is the series; of what the two
    lose together a step down by 2 is a sum of positive terms.
    """
    count = 16 if head(nu).dtype == jnp.float64 else 8
    stepped = head(nu) < 2 * count
    near = where(stepped, nu, 1.0)
    y = where(stepped, near + 2.0 * count, where(stepped, 2.0 * count, nu))
    w = divided(where(jnp.ones_like(stepped), 1.0, y), y)
    lead = 0.5 * (7 + 3 * w) / ((1 + w) * (1 + 3 * w)) + w * polynomial(_OF_BOOLE, w * w, 4)
    k = 2 * jnp.arange(count, dtype=head(nu).dtype).reshape(-1, *(1,) * head(nu).ndim)
    full = (count, *head(nu).shape)
    n = placed(lambda b: jnp.broadcast_to(b, full), near) + jnp.broadcast_to(k, full)
    below = n * n * (n + 1.0) * (n + 1.0) * (n + 2.0) * (n + 3.0) * (n + 5.0)
    down = total((2 * (n * (14 * n + 33.0) + 15.0)) / below, 0)
    return w * w * w * w * lead + where(stepped, down, 0.0)
