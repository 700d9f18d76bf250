"""The logarithm of the gamma function and its derivatives, as distributions need them.

Notation: Γ is the gamma function, ψ = (log Γ)′ and ψ′ its derivative; δ is the error of Stirling's
formula, in ``fnmath.numerics._stirling``; a pair is head + tail.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from fnmath.numerics import with_derivatives
from fnmath.numerics._pairs import Pair, log_pair
from fnmath.numerics._stirling import stirling_error, stirling_slope, stirling_slope_of_large
from fnmath.probability._two_part import half_log_2_pi, summed, times

# log Γ(2 + t) = Σₖ cₖ tᵏ: 1 − γ, then (−1)ᵏ (ζ(k) − 1)/k.
_AT_TWO = (
    0.42278433509846713,
    0.3224670334241132,
    -0.0673523010531981,
    0.020580808427784546,
    -0.007385551028673986,
    0.0028905103307415234,
    -0.001192753911703261,
    0.0005096695247430425,
    -0.00022315475845357939,
    9.945751278180853e-05,
    -4.492623673813314e-05,
    2.050721277567069e-05,
    -9.439488275268397e-06,
    4.374866789907488e-06,
    -2.039215753801366e-06,
    9.55141213040742e-07,
    -4.492469198764566e-07,
    2.1207184805554665e-07,
    -1.0043224823968099e-07,
    4.7698101693639804e-08,
    -2.2711094608943164e-08,
    1.0838659214896955e-08,
    -5.183475041970047e-09,
    2.4836745438024785e-09,
    -1.1921401405860912e-09,
    5.731367241678862e-10,
    -2.7595228851242334e-10,
    1.330476437424449e-10,
    -6.4229645638381e-11,
    3.1044247747322276e-11,
    -1.5021384080754142e-11,
)

# ψ′(x) − 1/x − 1/(2x²) in odd powers of 1/x from the third: the Bernoulli numbers.
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)


def horner(coefficients: tuple[float, ...], x: jax.Array) -> jax.Array:
    """The polynomial with these coefficients, lowest power first."""
    *others, last = coefficients
    return functools.reduce(lambda p, c: p * x + c, reversed(others), jnp.full_like(x, last))


def _at_two(t: jax.Array) -> jax.Array:
    """The number log Γ(2 + t) for |t| ≤ ½."""
    terms = 30 if t.dtype == jnp.float64 else 14
    return t * horner(_AT_TWO[:terms], t)


def _from_two(a: jax.Array) -> jax.Array:
    """How far a ≤ 2½ lies from 2, 1 or 0, whichever leaves half a step at most above 0."""
    return jnp.where(a >= 1.5, a - 2, jnp.where(a >= 0.5, a - 1, a))


def log_gamma_terms(a: jax.Array) -> Pair:
    """The pair of log Γ(a) for a > 0, 0 to the last bit at 1 and 2."""
    small = a <= 2.5
    near, far = jnp.where(small, a, 2), jnp.where(small, 3, a)
    t = _from_two(near)
    log_near = [-part for part in log_pair(near)]
    series = _at_two(t) - jnp.where(near >= 1.5, 0, jnp.log1p(t))
    at_0 = near < 0.5
    below = summed(jnp.where(at_0, log_near[0], 0), series, jnp.where(at_0, log_near[1], 0))
    log_far = log_pair(far)
    stirling = [*times(far - 0.5, log_far), -far, *half_log_2_pi(far), stirling_error(far)]
    above = summed(*stirling)
    return jnp.where(small, below[0], above[0]), jnp.where(small, below[1], above[1])


def digamma(x: jax.Array) -> jax.Array:
    """The derivative ψ(x) = log x − 1/(2x) + δ′(x), x > 0; −1/x more below 1, where it is large."""
    small = x < 1
    y = jnp.where(small, x + 1, x)
    at_y = jnp.log(y) - 0.5 / y + stirling_slope(y)
    return jnp.where(small, at_y - 1 / jnp.where(small, x, 1), at_y)


@with_derivatives(digamma)
def log_gamma(a: jax.Array) -> jax.Array:
    """The logarithm of Γ(a), right near its roots 1 and 2."""
    head, tail = log_gamma_terms(a)
    return head + tail


@with_derivatives(lambda a: digamma(1 + a))
def log_gamma_after_one(a: jax.Array) -> jax.Array:
    """The number log Γ(1 + a), 0 ≤ a ≤ 1½, right beside 0."""
    t = jnp.where(a >= 0.5, a - 1, a)
    return _at_two(t) - jnp.where(a >= 0.5, 0, jnp.log1p(t))


def log_minus_digamma(z: jax.Array, z_tail: jax.Array, a: jax.Array) -> jax.Array:
    """The difference log z − ψ(a + 1), for a ≥ 0."""
    s = a + 1
    return log_over(z, z_tail, s) + 0.5 / s - stirling_slope(s)


def log_over(z: jax.Array, z_tail: jax.Array, a: jax.Array) -> jax.Array:
    """The logarithm of z/a, of which the difference is taken where they are near."""
    return log_one_and(((z - a) + z_tail) / a, z, a)


def log_one_and(excess: jax.Array, z: jax.Array, a: jax.Array) -> jax.Array:
    """The logarithm of z/a = 1 + e, by e where that is small."""
    near, quotient = jnp.abs(excess) < 0.25, z / a
    tiny = ~near & (quotient < jnp.finfo(z.dtype).tiny)
    far = jnp.log(jnp.where(near | tiny, 1, quotient))
    apart = jnp.log(jnp.where(tiny, z, 1)) - jnp.log(jnp.where(tiny, a, 1))
    return jnp.where(near, jnp.log1p(jnp.where(near, excess, 0)), jnp.where(tiny, apart, far))


def trigamma(x: jax.Array) -> jax.Array:
    """The derivative ψ′(x) for x > 0: its asymptotic series, steps above x, and the steps down."""
    steps = 12 if x.dtype == jnp.float64 else 5
    small = x < steps
    near = jnp.where(small, x, 1)
    y = jnp.where(small, near + steps, x)
    w = 1 / y
    series = w + w * w * (0.5 + w * horner(_BERNOULLI, w * w))
    down = functools.reduce(jnp.add, (jnp.square(1 / (near + k)) for k in reversed(range(steps))))
    return jnp.where(small, series + down, series)


def trigamma_difference(a: jax.Array, b: jax.Array) -> jax.Array:
    """The difference ψ′(a) − ψ′(a + b) > 0, term by term: no term is larger than it."""
    n, steps = a + b, 12 if a.dtype == jnp.float64 else 5
    small = a < steps
    near = jnp.where(small, a, 1)
    y, z = jnp.where(small, near + steps, a), jnp.where(small, near + steps + b, n)
    w, v = 1 / y, 1 / z
    gap = (b / y) / z
    series = (
        gap
        + 0.5 * gap * (w + v)
        + (w**3 * horner(_BERNOULLI, w * w) - v**3 * horner(_BERNOULLI, v * v))
    )

    def step(k: int) -> jax.Array:
        s = near + k
        return (b / s / (s + b)) * (1 / s + 1 / (s + b))

    down = functools.reduce(jnp.add, (step(k) for k in reversed(range(steps))))
    return jnp.where(small, series + down, series)


def log_gamma_of_sum(a: jax.Array, b: jax.Array) -> jax.Array:
    """The number log Γ(a + b) − log Γ(b) for 0 ≤ a ≤ 1 and b > 0, right beside a = 0.

    Steps lead up to where Stirling's formula is differenced term by term, by Gauss's rule, which
    there is right to the last digit.
    """
    product, steps = jnp.zeros_like(a), 16 if a.dtype == jnp.float64 else 8
    for k in range(steps):
        step = a / (b + k)
        product = product + step + product * step
    c = b + steps
    nodes = np.array([0.06943184420297371, 0.33000947820757187, 0.6699905217924281,
                      0.9305681557970262], c.dtype).reshape(-1, *(1,) * c.ndim)  # fmt: skip
    w = 0.17392742256872692, 0.3260725774312731
    first, second, third, fourth = stirling_slope_of_large(c + a * nodes)
    slope = w[0] * (first + fourth) + w[1] * (second + third)
    growth = (c - 0.5) * jnp.log1p(a / c) + a * (jnp.log(c + a) - 1)
    return growth + a * slope - jnp.log1p(product)
