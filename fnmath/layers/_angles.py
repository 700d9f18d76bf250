"""Cosines and sines of n·ω for integers n, however large, without the rounding of the product.

Notation: τ = 2π; the angle is n ω = τ n f, a number of turns with the frequency f = ω/τ in turns
per position. Only the fraction of n f counts, and of n f mod 1 all but the last bit is right where
f is a binary fraction of enough digits: integers n times integers, what overflows being whole
turns.

f has 64 binary digits for float32 and 96 for float64, so that a turn is known to n · 2⁻⁶⁵ and
n · 2⁻⁹⁷ of itself, and an angle n ω of less than a turn to as small a part of itself as its dtype
resolves for every wavelength up to 2⁴⁰ positions.
"""

from __future__ import annotations

import decimal
import functools
import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

_DIGIT = 16  # bits of a digit: the product of two fits a 32-bit integer
_TAU = decimal.Decimal(
    "6.283185307179586476925286766559005768394338798750211641949889184615632812572"
)


@functools.lru_cache(maxsize=64)
def _frequencies(base: float, pairs: int, digits: int) -> np.ndarray:
    """The digits, the lowest first, of f = base^(−i/pairs) / τ mod 1 for each i."""
    with decimal.localcontext(prec=60):
        unit = decimal.Decimal(2) ** (_DIGIT * digits)
        powers = (decimal.Decimal(base) ** (decimal.Decimal(-i) / pairs) for i in range(pairs))
        fixed = [int((unit * power / _TAU).to_integral_value()) for power in powers]
    mask = 2**_DIGIT - 1
    return np.array(
        [[(f >> _DIGIT * k) & mask for f in fixed] for k in range(digits)], np.uint32
    ).reshape(digits, pairs)


def _fraction(n: Integer[Array, "..."], f: np.ndarray) -> list[Array]:
    """The digits, the lowest first, of n f mod 1, for n ≥ 0."""
    low = 2**_DIGIT - 1
    places = -(-jnp.iinfo(n.dtype).bits // _DIGIT)
    n = n.astype(jnp.uint32 if places <= 2 else jnp.uint64)[..., None]
    factors = [((n >> _DIGIT * i) & low).astype(jnp.uint32) for i in range(places)]
    digits, carry = [], jnp.zeros((), jnp.uint32)
    for k in range(len(f)):
        products = [factors[i] * f[k - i] for i in range(places) if i <= k]
        before = [factors[i] * f[k - 1 - i] for i in range(places) if i < k]
        total = carry + sum(p & low for p in products) + sum(p >> _DIGIT for p in before)
        digits.append(total & low)
        carry = total >> _DIGIT
    return digits


def cosine_and_sine(
    positions: Integer[Array, "..."], base: float, pairs: int, dtype: np.dtype
) -> tuple[Float[Array, "... pairs"], Float[Array, "... pairs"]]:
    """cos and sin of n base^(−i/pairs) for each position n and each i < pairs.

    The turn is q/4 + r with an integer q and |r| ≤ 1/8: the series of cosine and sine need no more,
    and τ r rounds to half as much as a longer angle would.
    """
    digits = 6 if dtype == jnp.float64 else 4
    n = jnp.asarray(positions)
    n = n.astype(jnp.promote_types(n.dtype, jnp.int32)) if n.dtype != jnp.uint32 else n
    negative = (n < 0)[..., None]
    *lower, third, second, first = _fraction(jnp.abs(n), _frequencies(base, pairs, digits))
    high = (first << _DIGIT) | second  # the turn in units of 2⁻³²
    quarter = (high + np.uint32(2**29)) >> 30
    rest = (high - (quarter << 30)).astype(jnp.int32)  # wraps to what lies in ± an eighth
    r = rest.astype(dtype) * 2.0**-32
    for k, digit in enumerate((third, *lower[::-1])):
        r = r + digit.astype(dtype) * 2.0 ** (-48 - _DIGIT * k)
    angle = r * math.tau
    c, s = jnp.cos(angle), jnp.sin(angle)
    swapped = (quarter & 1) == 1
    cosine, sine = jnp.where(swapped, s, c), jnp.where(swapped, c, s)
    cosine = jnp.where((quarter == 1) | (quarter == 2), -cosine, cosine)
    sine = jnp.where((quarter & 3) >= 2, -sine, sine)
    return cosine, jnp.where(negative, -sine, sine)
