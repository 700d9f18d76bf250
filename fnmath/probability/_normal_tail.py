"""The standard normal distribution: its tails, its centre and its quantiles, to all their digits.

Notation: φ(z) = exp(−½ z²)/√(2π) is the density, Φ its integral from −∞, t = |z| ≥ 0.

The tail is never a difference from 1: Φ(−t) = φ(t) M(t), with Mills' ratio

    M(t) = ∫₀^∞ exp(−½ u² − t u) du = √(π/2) exp(½ t²) erfc(t/√2)

whose derivatives are integrals of the same kind, Iₙ(t) = ∫₀^∞ uⁿ/n! exp(−½ u² − t u) du, each
positive and none a difference: I₀ = M, Iₙ′ = −(n + 1) Iₙ₊₁.

Each (1 + t)ⁿ⁺¹ Iₙ(t) is a Chebyshev series in w = (t − 4)/(t + 4), which takes [0, ∞] to [−1, 1].
The coefficients are those of the interpolant at 48 Chebyshev nodes, evaluated in 40 digits.

Source: Shepherd and Laframboise, Chebyshev approximation of (1 + 2x) exp(x²) erfc x in 0 ≤ x < ∞
(1981); Gautschi, Efficient computation of the complex error function (1970), §2 (the integrals).
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnmath.numerics import with_derivatives
from fnmath.probability import _numbers
from fnmath.probability._numbers import Number, Pair, exp, head, log, log1p, where

HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)
ROOT_2_PI = math.sqrt(2 * math.pi)

# fmt: off
_CHEBYSHEV = (
    (1.16705253508824721, -0.161019576713465389, -0.0280028218254529747, 0.0316745218923926589,
     -0.0121032311623453687, 0.00270561297621670952, -0.000299316362027031659,
     -0.0000171668652687936102, 0.0000101784892641098674, -4.89482957000419177e-7,
     -2.84400650015104784e-7, 3.0766283713811504e-8, 9.1803786744695372e-9,
     -1.27561022138087362e-9, -3.66027937610413383e-10, 4.59263593485952052e-11,
     1.71893146876465268e-11, -1.2726833698700694e-12, -8.66808191331618843e-13,
     1.10615572041367409e-15, 4.27502107701033338e-14, 3.79093769226390455e-15,
     -1.84741030105923315e-15, -4.04190941307081779e-16, 5.34085438501735783e-17,
     2.94147993759005515e-17),
    (1.18385781066720119, -0.0834918342409126166, -0.169291078577346373, 0.0857737523012336053,
     -0.0164865674030645858, -0.00185658423089123931, 0.00191222281978219245,
     -0.000440593541206295029, 9.50202310107390968e-6, 0.0000157407753270959332,
     -1.99346679747945929e-6, -4.99141494966399103e-7, 1.08811990822727346e-7,
     1.89610823013936689e-8, -5.08914834473635801e-9, -9.35133943293217207e-10,
     2.22549489755215001e-10, 5.52512902531640133e-11, -8.46624648785223751e-12,
     -3.45175650577013844e-12, 1.90338984540687219e-13, 2.06998515358252618e-13,
     9.61194005059608758e-15, -1.08912153777916681e-14, -1.84597744093844363e-15,
     4.20367804766623057e-16, 1.69750408634393965e-16, -1.88540008131705492e-18),
    (1.12236060426360212, 0.0973358539998231609, -0.318441626515414699, 0.102925531730092001,
     0.0062046212184209076, -0.0138946378289264841, 0.0035165216995834281,
     0.000262158514372662324, -0.000322193375931655987, 0.0000458044270674909336,
     0.0000109344984993215072, -3.42789049642915964e-6, -3.41113647578885866e-7,
     1.92537459336445312e-7, 1.45690910038796921e-8, -1.03354870260427832e-8,
     -9.91992839376790458e-10, 5.42505781091632257e-10, 8.30535197572769399e-11,
     -2.62611470747440054e-11, -6.87368575632030088e-12, 9.84590981400360816e-13,
     5.17031221614119002e-13, -5.57483172463524055e-15, -3.34280175867497146e-14,
     -3.88580982607602456e-15, 1.66068219953073139e-15, 4.98030933553174133e-16,
     -3.61885370896205742e-17, -3.99057145707950017e-17),
)
# z/(q − ½) for |q − ½| ≤ ¼, in 32 (q − ½)² − 1, likewise from 30 nodes.
_CENTRE = (2.59854844043035163, 0.0954836709200199182, 0.00373543095117958454,
           0.000181134650866771575, 9.73321778833789269e-6, 5.55483837923556798e-7,
           3.29822668400536912e-8, 2.01394958333577358e-9, 1.25564580450300548e-10,
           7.9557824561514563e-12, 5.10586162893404563e-13, 3.31126618049594494e-14,
           2.16614893993491055e-15, 1.42745401238090349e-16, 9.46572765911732565e-18)
# fmt: on


@functools.cache
def _powers(series: tuple[float, ...], terms: int) -> tuple[float, ...]:
    """The Chebyshev series cut after so many terms, as a polynomial, lowest power first."""
    return tuple(np.polynomial.chebyshev.cheb2poly(series[:terms]).tolist())


def _integral(n: int, t: Number) -> Number:
    """Iₙ(t) for t ≥ 0, n ≤ 2, by its Chebyshev series."""
    terms = 17 + n if head(t).dtype != jnp.float64 else len(_CHEBYSHEV[n])
    w = 1 - 8 / (t + 4)
    scaled = _numbers.polynomial(_powers(_CHEBYSHEV[n], terms), w, 4)
    return scaled * functools.reduce(lambda p, _: p / (1 + t), range(n + 1), 1.0)


def _second_slope(t: jax.Array) -> jax.Array:
    """−3 I₃(t), I₃ being (I₁ − t I₂)/3."""
    return t * _second(t) - _first(t)


def _first_slope(t: jax.Array) -> jax.Array:
    return -2 * _second(t)


@with_derivatives(_second_slope)
def _second(t: jax.Array) -> jax.Array:
    return head(_integral(2, t))


@with_derivatives(_first_slope)
def _first(t: jax.Array) -> jax.Array:
    return head(_integral(1, t))


@with_derivatives(lambda t: -_first(t))
def _mills(t: jax.Array) -> jax.Array:
    return head(_integral(0, t))


def mills(t: Number) -> Number:
    """Mills' ratio M(t) of the tail to the density, for t ≥ 0: √(π/2) at 0, 0 at ∞."""
    return _integral(0, t) if isinstance(t, Pair) else _mills(jnp.asarray(t))


def logpdf(z: Number) -> Number:
    """Log φ(z)."""
    return -0.5 * (z * z) - HALF_LOG_2_PI


def tail(t: Number) -> Number:
    """Φ(−t) for t ≥ 0."""
    return exp(logpdf(t)) * mills(t)


def _size(z: Number) -> tuple[jax.Array, Number]:
    """Whether z < 0, and |z|, whose derivative at 0 is 1."""
    below = head(z) < 0
    return below, where(below, -z, z)


def cdf(z: Number) -> Number:
    """Φ(z)."""
    below, t = _size(z)
    beyond = tail(t)
    return where(below, beyond, 1 - beyond)


def logcdf(z: Number) -> Number:
    """Log Φ(z)."""
    below, t = _size(z)
    log_tail = logpdf(t) + log(mills(t))
    return where(below, log_tail, log1p(-exp(log_tail)))


def reverse_hazard(z: Number) -> Number:
    """φ(z)/Φ(z), which is 1/M(−z) below 0."""
    below, t = _size(z)
    ratio = mills(t)
    density = exp(logpdf(t))
    return where(below, 1 / ratio, density / (1 - density * ratio))


def centre(z: Number) -> Number:
    """Φ(z) − ½ for |z| ≤ 1, right for small z: z/√(2π) (1 − z²/6 + z⁴/40 − …)."""
    terms = 20 if head(z).dtype == jnp.float64 else 11
    series = [(-0.5) ** k / (math.factorial(k) * (2 * k + 1)) for k in range(terms)]
    return z * (1 / ROOT_2_PI) * _numbers.polynomial(series, z * z, 5)


def _first_guess(log_p: jax.Array) -> jax.Array:
    """The t with Φ(−t) = p, to 4.5·10⁻⁴.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.2.23.
    """
    s = jnp.sqrt(-2 * log_p)
    above = _numbers.polynomial((2.515517, 0.802853, 0.010328), s)
    return s - head(above) / head(_numbers.polynomial((1, 1.432788, 0.189269, 0.001308), s))


def _far(log_p: Any) -> Any:
    """The t ≥ 0 with Φ(−t) = p, for p ≤ ¼, by Halley's method on log Φ(−t)."""
    t = Pair(_first_guess(log_p.head), jnp.zeros_like(log_p.head))
    for _ in range(2 if log_p.head.dtype == jnp.float64 else 1):
        ratio = mills(t)
        above = logpdf(t) + log(ratio) - log_p
        bend = 0.5 * (1 - ratio.head * t.head)
        t = t + above * ratio / (1 + above.head * bend)
    return where(log_p.head > -jnp.inf, t, jnp.inf)


def _near(r: Pair) -> Pair:
    """The z with Φ(z) − ½ = r, for |r| ≤ ¼."""
    terms = 15 if r.head.dtype == jnp.float64 else 10
    return r * _numbers.polynomial(_powers(_CENTRE, terms), 32 * (r * r) - 1, 4)


def _quantile_of_pair(q: Any) -> Pair:
    r = q - 0.5
    lower = r.head < 0
    p = where(lower, q, 1 - q)
    middle = jnp.abs(r.head) <= 0.25
    t = _far(log(where(middle, 0.1, p)))
    return where(middle, _near(where(middle, r, 0.0)), where(lower, -t, t))


def _quantile_slope(q: jax.Array) -> jax.Array:
    return jnp.exp(-head(logpdf(_quantile(q))))


@with_derivatives(_quantile_slope)
def _quantile(q: jax.Array) -> jax.Array:
    return _quantile_of_pair(Pair(q, jnp.zeros_like(q))).head


def quantile(q: Number) -> Number:
    """The z with Φ(z) = q, for 0 ≤ q ≤ 1."""
    return _quantile_of_pair(q) if isinstance(q, Pair) else _quantile(jnp.asarray(q))


def _upper_quantile_of_pair(log_p: Pair) -> Pair:
    far = log_p.head < -1.4
    near = -_quantile_of_pair(exp(where(far, -1.0, log_p)))
    return where(far, _far(where(far, log_p, -2.0)), near)


def _upper_quantile_slope(log_p: jax.Array) -> jax.Array:
    return -jnp.exp(log_p - head(logpdf(_upper_quantile(log_p))))


@with_derivatives(_upper_quantile_slope)
def _upper_quantile(log_p: jax.Array) -> jax.Array:
    return _upper_quantile_of_pair(Pair(log_p, jnp.zeros_like(log_p))).head


def upper_quantile_of_log(log_p: Number) -> Number:
    """The z with log Φ(−z) = log p ≤ 0, whose p may be too small for a number."""
    if isinstance(log_p, Pair):
        return _upper_quantile_of_pair(log_p)
    return _upper_quantile(jnp.asarray(log_p))
