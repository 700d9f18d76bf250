"""The gamma function's logarithm and its derivatives as formulas of numbers, plain ones or pairs.

Notation: Γ is the gamma function, ψ = (log Γ)′; all for a > 0. Of log Γ and ψ only what they lack
of Stirling's first terms is taken, which is small where a is large:

    g(a) = a log a − a − log Γ(a),    g′(a) = h(a) = log a − ψ(a),    t(a) = ψ′(a)

Each is a series in 1/y at y = a + m, and m steps down to a. Pairs keep about twice the digits.

Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), §6.1.41, §6.3.18 and
§6.4.12.
"""

from __future__ import annotations

import functools
import math

import jax.numpy as jnp

from fnmath.probability._numbers import Number, head, log, polynomial, where

_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_OF_LOGARITHM = tuple(b / ((2 * k + 2) * (2 * k + 1)) for k, b in enumerate(_BERNOULLI))
_OF_SLOPE = tuple(b / (2 * k + 2) for k, b in enumerate(_BERNOULLI))


def _stepped(a: Number) -> tuple[Number, Number, tuple[Number, ...]]:
    """Where the series is taken, its inverse, and the steps down, infinite where there are none."""
    steps = 16 if head(a).dtype == jnp.float64 else 8
    small = head(a) < steps
    near = where(small, a, 1.0)
    y = where(small, near + steps, where(small, float(steps), a))
    return y, 1 / y, tuple(where(small, near + k, jnp.inf) for k in range(steps))


def _summed(terms: list[Number]) -> Number:
    return functools.reduce(lambda s, term: s + term, reversed(terms))


def stirling_excess(a: Number) -> Number:
    """The number g(a), about ½ log(a/2π), −log Γ(a) for small a."""
    y, w, steps = _stepped(a)
    series = w * polynomial(_OF_LOGARITHM, w * w, 4)
    at_y = 0.5 * log(y) - (series + 0.5 * math.log(2 * math.pi))
    stepped = head(a) < len(steps)
    factors = [where(stepped, s, 1.0) for s in steps]
    product = functools.reduce(lambda p, s: p * s, factors)
    # a log a − a − (y log y − y − g(y)) + log Π: the logarithms of a and y, and m.
    some = where(stepped, a, y)
    moved = some * log(some) - y * log(y) + where(stepped, float(len(steps)), 0.0) + log(product)
    return at_y + where(stepped, moved, 0.0)


def digamma_lag(a: Number) -> Number:
    """The number h(a), about 1/(2a), 1/a for small a."""
    y, w, steps = _stepped(a)
    at_y = 0.5 * w + w * w * polynomial(_OF_SLOPE, w * w, 4)
    stepped = head(a) < len(steps)
    ratio = where(stepped, a, 1.0) / where(stepped, y, 1.0)
    down = _summed([where(stepped, 1 / where(stepped, s, 1.0), 0.0) for s in steps])
    return at_y + (down + log(ratio))


def trigamma(a: Number) -> Number:
    """The number t(a), about 1/a, 1/a² for small a."""
    _, w, steps = _stepped(a)
    at_y = w + 0.5 * w * w + w * w * w * polynomial(_BERNOULLI, w * w, 4)
    stepped = head(a) < len(steps)
    inverses = [where(stepped, 1 / where(stepped, s, 1.0), 0.0) for s in steps]
    return at_y + _summed([i * i for i in inverses])
