"""Points that fill the unit cube evenly: Sobol's and Halton's.

Notation: i = 0, 1, 2 … counts the points, d the dimensions; b is a base, a prime.

The first n points of either leave no box empty that is larger than about (log n)ᵈ/n; those of
``jax.random.uniform`` leave some of 1/√n.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fnmath import _checks

# Joe and Kuo's primitive polynomials, of degree s with inner coefficients a, and initial numbers m.
_DIRECTIONS = (
    (1, 0, (1,)),
    (2, 1, (1, 3)),
    (3, 1, (1, 3, 1)),
    (3, 2, (1, 1, 1)),
    (4, 1, (1, 1, 3, 3)),
    (4, 4, (1, 3, 5, 13)),
    (5, 2, (1, 1, 5, 5, 17)),
    (5, 4, (1, 1, 5, 5, 5)),
    (5, 7, (1, 1, 7, 11, 19)),
)
_BITS = 32


def _directions(dimension: int) -> np.ndarray:
    """The direction numbers, one row per dimension: what each bit of i contributes."""
    V = np.zeros((dimension, _BITS), np.uint64)
    V[0] = [1 << (_BITS - 1 - j) for j in range(_BITS)]
    for row, (s, a, m) in zip(V[1:], _DIRECTIONS, strict=False):
        row[:s] = [m[j] << (_BITS - 1 - j) for j in range(s)]
        for j in range(s, _BITS):
            row[j] = row[j - s] ^ (row[j - s] >> np.uint64(s))
            for k in range(1, s):
                row[j] ^= row[j - k] if (a >> (s - 1 - k)) & 1 else np.uint64(0)
    return V.astype(np.uint32)


def _sobol(function: str, samples: int, dimension: int) -> jax.Array:
    most = len(_DIRECTIONS) + 1
    if dimension > most:
        problem = f"dimension is {dimension}; wanted at most {most} for Sobol's points"
        _checks.fail(function, problem, "Halton's")
    V = _directions(dimension)
    i = jnp.arange(samples, dtype=jnp.uint32)
    gray = i ^ (i >> 1)
    x = jnp.zeros((samples, dimension), jnp.uint32)
    for j in range(max(samples - 1, 1).bit_length()):
        x = x ^ jnp.where(((gray >> j) & 1)[:, None] == 1, V[:, j], 0).astype(jnp.uint32)
    dtype = jnp.result_type(float)
    digits = min(_BITS, jnp.finfo(dtype).nmant)
    return (x >> (_BITS - digits)).astype(dtype) * 2.0**-digits


def sobol_points(*, samples: int, dimension: int) -> Float[Array, "samples dimension"]:
    """Sobol's points: the first 2ᵏ have one in each of 2ᵏ equal parts of each axis.

        uᵢ = ⊕ⱼ gⱼ(i) vⱼ

    where gⱼ are the bits of i's Gray code, vⱼ direction numbers, and ⊕ adds bits without carry.

    Args:
        samples: The number of points; a power of 2 is best.
        dimension: The number of dimensions, from 1 to 10.

    Returns:
        The points, in [0, 1), in the default floating dtype; the first is the origin.

    Raises:
        TypeError: If an argument is no integer.
        ValueError: If an argument is below 1, or there are more than 10 dimensions.

    Example:
        >>> print(sobol_points(samples=4, dimension=2))
        [[0.   0.  ]
         [0.5  0.5 ]
         [0.75 0.25]
         [0.25 0.75]]

    Source:
        Sobol, On the distribution of points in a cube (1967); Joe and Kuo, Constructing Sobol
        sequences with better two-dimensional projections (2008); ``scipy.stats.qmc.Sobol``.
    """
    _checks.size("sobol_points", samples=samples, dimension=dimension)
    return _sobol("sobol_points", samples, dimension)


def _primes(n: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < n:
        if all(candidate % p for p in found):
            found.append(candidate)
        candidate += 1
    return found


def _radical_inverse(i: jax.Array, base: int, samples: int) -> jax.Array:
    """The digits of i mirrored at the point: Σ dⱼ b^(−1−j) of i = Σ dⱼ bʲ."""
    total, scale = jnp.zeros(i.shape, jnp.result_type(float)), 1.0
    left = samples - 1
    while left:
        scale /= base
        total = total + (i % base) * scale
        i, left = i // base, left // base
    return total


def _halton(function: str, samples: int, dimension: int) -> jax.Array:
    del function
    i = jnp.arange(samples)
    return jnp.stack([_radical_inverse(i, b, samples) for b in _primes(dimension)], -1)


def halton_points(*, samples: int, dimension: int) -> Float[Array, "samples dimension"]:
    """Halton's points: the digits of i, mirrored, in another prime base for each dimension.

        uᵢ = (φ₂(i), φ₃(i), φ₅(i), …),    φ_b(Σⱼ dⱼ bʲ) = Σⱼ dⱼ b^(−1−j)

    Args:
        samples: The number of points.
        dimension: The number of dimensions; above some ten, large primes fill their axes slowly.

    Returns:
        The points, in [0, 1), in the default floating dtype; the first is the origin.

    Raises:
        TypeError: If an argument is no integer.
        ValueError: If an argument is below 1.

    Example:
        >>> print(halton_points(samples=4, dimension=1)[:, 0])
        [0.   0.5  0.25 0.75]

    Source:
        Halton, On the efficiency of certain quasi-random sequences of points (1960);
        ``scipy.stats.qmc.Halton`` without scrambling.
    """
    _checks.size("halton_points", samples=samples, dimension=dimension)
    return _halton("halton_points", samples, dimension)


POINTS: dict[str, Callable[[str, int, int], jax.Array]] = {"sobol": _sobol, "halton": _halton}
