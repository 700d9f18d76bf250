"""What likelihoods with a gamma function are made of, where its logarithm would outgrow them.

Notation: Γ is the gamma function, ψ = (log Γ)′; B is the beta function.

For a count of a million log Γ is a million times as large as the loss that it is a term of, and its
rounding as large as the loss. Of Stirling's formula only the error is needed, which is small:

    log Γ(x) = (x − ½) log x − x + ½ log 2π + δ(x)

The rest of the formula cancels against the other terms, and what remains of those is a multiple of
v − log(1 + v) ≥ 0: a deviance, small where prediction and target agree.

Source: Loader, Fast and accurate computation of binomial probabilities (2000), §2 to §4.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from fnmath.numerics._once import sum_of_rows
from fnmath.numerics.derivatives import with_derivatives

HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)

# δ(x) in odd powers of 1/x: B₂ₖ / (2k (2k − 1)), with the Bernoulli numbers.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)

# ½ log b − log Γ(b + ½) + log Γ(b) in odd powers of 1/b.
_HALF_STEP = (1 / 8, -1 / 192, 1 / 640, -17 / 14336, 31 / 18432, -691 / 180224, 5461 / 425984,
              -929569 / 15728640)  # fmt: skip


def _in_even_powers(coefficients: tuple[float, ...], x: jax.Array) -> jax.Array:
    """Σₖ cₖ x²ᵏ."""
    *others, last = coefficients
    w = x * x
    return functools.reduce(lambda p, c: p * w + c, reversed(others), jnp.full_like(x, last))


def _in_odd_powers(coefficients: tuple[float, ...], x: jax.Array) -> jax.Array:
    """Σₖ cₖ x²ᵏ⁺¹."""
    return x * _in_even_powers(coefficients, x)


def lag_ratio(v: jax.Array, log1p_v: jax.Array) -> jax.Array:
    """(v − log(1 + v)) / v², which is ½ at 0, given log(1 + v) for where it is not near 0.

    There v = 2s/(1 − s), log(1 + v) = 2 atanh s and v − 2s = s v, so that only terms of the size of
    the difference are left.
    """
    is_near = (v > -0.5) & (v < 1)
    near, far = jnp.where(is_near, v, 0), jnp.where(is_near, 1, v)
    s = near / (2 + near)
    terms = 17 if v.dtype == jnp.float64 else 8
    tail = _in_odd_powers(tuple(1 / (2 * k + 3) for k in range(terms)), s)
    series = (1 - 2 * tail / (2 + near)) / (2 + near)
    return jnp.where(is_near, series, (1 - jnp.where(is_near, 0, log1p_v) / far) / far)


@with_derivatives(lambda v, log1p_v: v / (1 + v), None)
def lag(v: jax.Array, log1p_v: jax.Array) -> jax.Array:
    """The difference v − log(1 + v) ≥ 0, given the logarithm where that is far from v."""
    is_near = (v > -0.5) & (v < 1)
    return jnp.where(is_near, v * (v * lag_ratio(v, log1p_v)), v - log1p_v)


def _after(x: jax.Array, steps: int) -> jax.Array:
    """The numbers x, x + 1, … of so many steps, on a new first axis."""
    return x + jnp.arange(steps, dtype=x.dtype).reshape(-1, *(1,) * x.ndim)


def _descended(
    x: jax.Array, series: Callable[[jax.Array], jax.Array], step: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """The series where it is accurate, and below, that of x + m with the m steps down to x."""
    steps = 10 if x.dtype == jnp.float64 else 3
    is_small = x < steps
    near, far = jnp.where(is_small, x, 1), jnp.where(is_small, steps, x)
    descent = sum_of_rows(step(_after(near, steps)))
    return jnp.where(is_small, series(near + steps) + descent, series(far))


def _step_series(x: jax.Array, weight: Callable[[int], float]) -> tuple[jax.Array, jax.Array]:
    """The series Σₖ cₖ s²ᵏ, k ≥ 1, with s = 1/(2x + 1), for x ≥ ½, and s."""
    s = 1 / (2 * jnp.where(x < 0.5, 1, x) + 1)
    terms = 27 if x.dtype == jnp.float64 else 12
    return s * s * _in_even_powers(tuple(weight(k) for k in range(1, terms + 1)), s), s


def _step(x: jax.Array) -> jax.Array:
    """How much δ(x) exceeds δ(x + 1): (x + ½) log(1 + 1/x) − 1 = atanh(s)/s − 1."""
    series, _ = _step_series(x, lambda k: 1 / (2 * k + 1))
    below = jnp.where(x < 0.5, x, 1)
    return jnp.where(x < 0.5, (below + 0.5) * jnp.log1p(1 / below) - 1, series)


def _scaled_slope_step(x: jax.Array) -> jax.Array:
    """x² times the derivative of that, log(1 + 1/x) − (x + ½)/(x (x + 1)) < 0."""
    series, s = _step_series(x, lambda k: 2 * k / (2 * k + 1))
    below = jnp.where(x < 0.5, x, 1)
    direct = below * (below * jnp.log1p(1 / below) - (below + 0.5) / (below + 1))
    return jnp.where(x < 0.5, direct, -2 * s * (x * x * series))


_SLOPE = tuple(-(2 * k + 1) * c for k, c in enumerate(_STIRLING))


def stirling_slope_of_large(x: jax.Array) -> jax.Array:
    """δ′(x) for x ≥ 3, or 10 in double precision."""
    over_x = 1 / x
    return (_in_even_powers(_SLOPE, over_x) * over_x) * over_x


def scaled_stirling_slope(x: jax.Array) -> jax.Array:
    """x² δ′(x) = x² (ψ(x) − log x + 1/(2x)), which is −1/12 at ∞."""

    def share(y: jax.Array) -> jax.Array:
        return jnp.where(y == x, 1, jnp.square(x / y))

    return _descended(
        x,
        lambda y: share(y) * _in_even_powers(_SLOPE, 1 / y),
        lambda y: share(y) * _scaled_slope_step(y),
    )


def stirling_slope(x: jax.Array) -> jax.Array:
    """δ′(x), in two factors 1/x: XLA makes one quotient of two, by an x² that may underflow."""
    over_x = 1 / x
    return (scaled_stirling_slope(x) * over_x) * over_x


@with_derivatives(stirling_slope)
def stirling_error(x: jax.Array) -> jax.Array:
    """δ(x) for x ≥ 0: ∞ at 0, 0 at ∞."""
    return _descended(x, lambda x: _in_odd_powers(_STIRLING, 1 / x), _step)


@with_derivatives(lambda k: 0.5 / k + stirling_slope(k))
def log_factorial_rest(k: jax.Array) -> jax.Array:
    """What log k! has beyond k log k − k: it is 0 at 0 and grows as ½ log k."""
    some = jnp.where(k == 0, 1, k)
    return jnp.where(k == 0, 0, stirling_error(some) + (0.5 * jnp.log(some) + HALF_LOG_2_PI))


def _shift(a: jax.Array) -> int:
    """The number of steps up to where the series of a half step is accurate."""
    return 12 if a.dtype == jnp.float64 else 4


def _student_slope(a: jax.Array) -> jax.Array:
    b = a + _shift(a)
    powers = tuple(-(2 * k + 1) * c for k, c in enumerate(_HALF_STEP))
    series = _in_odd_powers(powers, 1 / b) / b
    c = _after(a, _shift(a))
    return series - sum_of_rows(0.25 / (c * (c + 1)) / (c + 0.5))


@with_derivatives(_student_slope)
def student_constant(a: jax.Array) -> jax.Array:
    """The constant log B(½, a) + ½ log 2a, which goes to ½ log 2π from above, for a > 0.

    From a + m, where the series is accurate, m steps lead down, each ½ log(1 + ¼/(a (a + 1))): all
    is added, and nothing subtracted.
    """
    product = jnp.zeros_like(a)
    for k in range(_shift(a)):
        step = 0.25 / ((a + k) * (a + k + 1))
        product = product + step + product * step
    series = _in_odd_powers(_HALF_STEP, 1 / (a + _shift(a)))
    return HALF_LOG_2_PI + (series + 0.5 * jnp.log1p(product))
