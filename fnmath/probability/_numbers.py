"""Numbers in two arithmetics: plain floating-point ones, and pairs with twice their digits.

Notation: a pair is head + tail, an unevaluated sum of two floating-point numbers of which the first
is the sum rounded; ε is the spacing of floating-point numbers just above 1.

A formula of this chapter, such as −½ z² − log σ, is written once, for either kind of number. Read
in pairs it gives a value that is rounded once at the end, however much cancels on the way; read in
plain numbers it is an ordinary JAX function, which can be differentiated as often as one likes.
``in_pairs`` makes of a formula the function that has the value of the one and the derivatives of
the other, or, where those would cancel, derivatives that are formulas read in pairs themselves.

Source: Dekker, A floating-point technique for extending the available precision (1971), §5; Hida,
Li and Bailey, Algorithms for quad-double precision floating point arithmetic (2001), §2 and §3.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_derivatives import SymbolicZero

from fnmath.numerics import with_derivatives
from fnmath.numerics._once import once
from fnmath.numerics._pairs import LOG_2_64, exp_pair, log_pair, two_sum
from fnmath.numerics._sharing import apart


class Pair:
    """The number head + tail, and the arithmetic of such numbers, right to about ε²."""

    def __init__(self, head: jax.Array, tail: jax.Array) -> None:
        self.head, self.tail = head, tail

    def __neg__(self) -> Pair:
        return Pair(-self.head, -self.tail)

    def __add__(self, other: Number) -> Pair:
        other = pair(other, self)
        s, error = two_sum(self.head, other.head)
        return _normalised(s, error + (self.tail + other.tail))

    def __sub__(self, other: Number) -> Pair:
        return self + (-pair(other, self))

    def __rsub__(self, other: Number) -> Pair:
        return -self + other  # the constant last: XLA makes x of (1 + x) − 1

    def __mul__(self, other: Number) -> Pair:
        if isinstance(other, float | int) and math.frexp(other)[0] in (0.5, -0.5):
            return Pair(self.head * other, self.tail * other)
        other = pair(other, self)
        a, b = _half(self.head), _half(other.head)
        exact = a * b
        rest = a * (other.head - b) + (self.head - a) * other.head
        rest = rest + (self.head * other.tail + self.tail * other.head)
        # Where the rest would be flushed to 0 there is one product, rounded.
        tiny = (exact < _smallest(exact)) & (exact > -_smallest(exact))
        exact = lax.select(tiny, self.head * other.head, exact)
        return _normalised(exact, lax.select(tiny, lax.full_like(rest, 0), rest))

    def __truediv__(self, other: Number) -> Pair:
        other = pair(other, self)
        q = self.head / other.head
        rest = self - other * Pair(q, lax.full_like(q, 0))
        tiny = lax.abs(self.head) < _smallest(q)
        return _normalised(q, lax.select(tiny, lax.full_like(q, 0), rest.head / other.head))

    def __rtruediv__(self, other: Number) -> Pair:
        return pair(other, self) / self

    __radd__, __rmul__ = __add__, __mul__

    def __lt__(self, other: Number) -> jax.Array:
        return self.head < head(other)

    def __le__(self, other: Number) -> jax.Array:
        return self.head <= head(other)

    def __gt__(self, other: Number) -> jax.Array:
        return self.head > head(other)

    def __ge__(self, other: Number) -> jax.Array:
        return self.head >= head(other)


# log((1 − exp(−x))/x) = −x/2 + Σ B₂ₖ x²ᵏ/(2k (2k)!), from k = 1.
_LOG_RATIO = (1 / 24, -1 / 2880, 1 / 181440, -1 / 9676800, 1 / 479001600, -691 / 15692092416000,
              1 / 1046139494400)  # fmt: skip

Number = Any  # a Pair, an array or a float: formulas are written for all of them


def _smallest(x: jax.Array) -> float:
    """What a product has to be for its tail to be a normal number, with all its digits."""
    finfo = jnp.finfo(x.dtype)
    return float(finfo.tiny) * 2.0 ** (finfo.nmant + 7)


def _half(x: jax.Array) -> jax.Array:
    """The number with the first half of its bits, so that the product of two such is exact."""
    finfo = jnp.finfo(x.dtype)
    unsigned = jnp.uint64 if finfo.bits == 64 else jnp.uint32
    mask = unsigned(2**finfo.bits - 2 ** ((finfo.nmant + 2) // 2))
    return lax.bitcast_convert_type(lax.bitcast_convert_type(x, unsigned) & mask, x.dtype)


def _normalised(s: jax.Array, small: jax.Array) -> Pair:
    """The sum of a number and a small one, as a pair; of one that is not finite, the number."""
    total = s + small
    ordinary = lax.is_finite(total)
    rest = lax.select(ordinary, small - (total - s), lax.full_like(s, 0))
    return Pair(lax.select(ordinary, total, s), rest)


def _once(x: Pair) -> Pair:
    return Pair(*once(x.head, x.tail))


def pair(x: Number, like: Pair) -> Pair:
    """The number as a pair; a Python number keeps the digits that the dtype has no room for."""
    if isinstance(x, Pair):
        return x
    if isinstance(x, float | int):
        rounded = np.asarray(x, like.head.dtype)
        rest = x - float(rounded) if np.isfinite(rounded) else 0.0
        return Pair(lax.full_like(like.head, rounded), lax.full_like(like.head, rest))
    return Pair(jnp.broadcast_to(x, like.head.shape), lax.full_like(like.head, 0))


def head(x: Number) -> jax.Array:
    """The number rounded."""
    return x.head if isinstance(x, Pair) else jnp.asarray(x)


def where(condition: jax.Array, x: Any, y: Any) -> Any:
    """The first number where the condition holds, the second elsewhere."""
    if isinstance(x, Pair) or isinstance(y, Pair):
        a = pair(x, y if isinstance(y, Pair) else x)
        b = pair(y, a)
        return Pair(lax.select(condition, a.head, b.head), lax.select(condition, a.tail, b.tail))
    return jnp.where(condition, x, y)


def either(
    condition: jax.Array,
    x: Number,
    f: Callable[[Number], Number],
    g: Callable[[Number], Number],
    within: tuple[float, float],
) -> Number:
    """F(x) where the condition holds and g(x) elsewhere, each evaluated only where it is meant to.

    In the other's places it is given a number of its own, so that no nan of a branch that is not
    taken gets into a derivative.
    """
    of_f, of_g = within
    return where(condition, f(where(condition, x, of_f)), g(where(condition, of_g, x)))


def _stacked(numbers: Sequence[Number]) -> Number:
    """Several numbers of one shape as one, along a new first axis."""
    like = next((x for x in numbers if isinstance(x, Pair)), None)
    if like is None:
        return jnp.stack([head(x) for x in numbers])
    pairs = [pair(x, like) for x in numbers]
    return Pair(jnp.stack([x.head for x in pairs]), jnp.stack([x.tail for x in pairs]))


def in_one_go(f: Callable[..., Any], *rows: Sequence[Number]) -> list[Any]:
    """What f, a formula, makes of each row, in a loop whose body is the formula, compiled once."""

    @apart
    def made(row: Any) -> Any:
        return _parts(f(*map(_number, row)))

    found = lax.map(made, [_parts(_stacked(column)) for column in zip(*rows, strict=True)])
    return [_number(jax.tree.map(lambda y, i=i: y[i], found)) for i in range(len(rows))]


def _parts(x: Any) -> Any:
    """Numbers as arrays: a pair as a list of two."""
    if isinstance(x, tuple):
        return tuple(map(_parts, x))
    return [x.head, x.tail] if isinstance(x, Pair) else x


def _number(x: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(map(_number, x))
    return Pair(*x) if isinstance(x, list) else x


def absolute(x: Number) -> Number:
    """The size |x|."""
    return where(head(x) < 0, -x, x) if isinstance(x, Pair) else jnp.abs(x)


def polynomial(coefficients: Sequence[float], x: Number, exact: int = 6) -> Number:
    """Σ cₖ xᵏ, lowest power first; of a pair the first few terms are summed in pairs.

    The others must be small beside those.
    """
    last = jnp.full_like(head(x), coefficients[-1])
    if not isinstance(x, Pair):
        return functools.reduce(lambda p, c: p * x + c, coefficients[-2::-1], last)
    inner = polynomial(coefficients[exact:], x.head) if len(coefficients) > exact else None
    first = coefficients[:exact] if inner is not None else coefficients[:-1]
    start = pair(last if inner is None else head(inner), x)
    return _once(functools.reduce(lambda p, c: p * x + c, first[::-1], start))


def log(x: Number) -> Number:
    """The logarithm; −∞ at 0."""
    if not isinstance(x, Pair):
        return jnp.log(x)
    zero = lax.full_like(x.head, 0)
    rest = lax.select(x.tail == 0, zero, x.tail / x.head)
    large, small = log_pair(x.head)
    return _once(_normalised(large, small + rest))


def _log_2(like: Pair) -> Pair:
    """Log 2, in double precision to more digits than a Python number has."""
    if like.head.dtype != jnp.float64:
        return pair(math.log(2), like)
    return Pair(*(jnp.full_like(like.head, part) for part in LOG_2_64))


def exp(x: Number) -> Number:
    """The exponential."""
    if not isinstance(x, Pair):
        return jnp.exp(x)
    far = x.head < (-600 if x.head.dtype == jnp.float64 else -40)
    near = where(far, x + 64 * _log_2(x), x)
    E, rest = exp_pair(near.head)
    y = _normalised(E, rest + E * near.tail)
    return _once(where(far, y * 2.0**-64, y))


def log1p(x: Number) -> Number:
    """The logarithm of 1 + x, right for small x."""
    return log(1 + x) if isinstance(x, Pair) else jnp.log1p(x)


def _expm1_series(x: Number) -> Number:
    """X + x²/2 + x³/6 + … for |x| ≤ ½."""
    terms = 20 if head(x).dtype == jnp.float64 else 12
    return x * polynomial([1 / math.factorial(k + 1) for k in range(terms)], x, 3)


def expm1(x: Number) -> Number:
    """The difference exp(x) − 1, right for small x."""
    if not isinstance(x, Pair):
        return jnp.expm1(x)
    near = jnp.abs(x.head) < 0.5
    return where(near, _expm1_series(where(near, x, 0.0)), exp(x) - 1)


def log1mexp(x: Number) -> Number:
    """The logarithm of 1 − exp(−x) for x ≥ 0."""
    return either(
        x <= math.log(2),  # pyright: ignore[reportArgumentType, reportOperatorIssue]
        x,
        lambda x: log(-expm1(-x)),
        lambda x: log1p(-exp(-x)),
        (0.5, 1.0),
    )


def log1mexp_of_log(log_x: Number) -> Number:
    """log(1 − exp(−x)), given the logarithm of an x that may be too small for a number."""
    x = exp(log_x)
    is_near = head(x) < 0.5
    near, far = where(is_near, x, 0.25), where(is_near, 1.0, x)
    series = polynomial(_LOG_RATIO, near * near, 2) * near * near - 0.5 * near
    return where(is_near, where(is_near, log_x, 0.0) + series, log1mexp(far))


def lag(x: Number) -> Number:
    """The difference x − log(1 + x) ≥ 0 for x > −1, right for small x.

    With s = x/(2 + x) the logarithm is 2 atanh(s), and x − 2 s = s x.
    """

    def near(x: Number) -> Number:
        s = x / (2 + x)
        terms = 26 if head(x).dtype == jnp.float64 else 13
        odd = polynomial([2 / (2 * k + 3) for k in range(terms)], s * s, 2)
        return s * x - s * s * s * odd

    is_near = (head(x) > -0.5) & (head(x) < 1)
    return either(is_near, x, near, lambda x: x - log1p(x), (0.5, 2.0))


def lag_of_ratio(x: Number, y: Number) -> Number:
    """The difference r − 1 − log r ≥ 0 for r = x/y > 0, right for r near 1."""
    v = (x - y) / y
    is_near = (head(v) > -0.5) & (head(v) < 1)
    return where(is_near, lag(where(is_near, v, 0.5)), v - log(where(is_near, 2.0, x / y)))


def divergence_term(p: Number, q: Number) -> Number:
    """P log(p/q) + q − p ≥ 0 for p, q ≥ 0, right for p near q; 0 log 0 = 0."""
    at_0, of_0 = head(p) == 0, head(q) == 0
    some, other = where(at_0, 1.0, p), where(of_0, 1.0, q)
    v = (other - some) / some
    is_near = (head(v) > -0.5) & (head(v) < 1)
    near = some * lag(where(is_near, v, 0.5))
    far = (other - some) - some * log(where(is_near, 2.0, other / some))
    return where(at_0, q, where(of_0, jnp.inf, where(is_near, near, far)))


def bernoulli_divergence(p: Number, q: Number) -> Number:
    """The divergence of two trials that succeed with the probabilities p and q."""
    return divergence_term(p, q) + divergence_term(1 - p, 1 - q)


def entropy_term(p: Number) -> Number:
    """−p log p, 0 at 0."""
    at_0 = head(p) == 0
    some = where(at_0, 1.0, p)
    return where(at_0, 0.0, -(some * log(some)))


def bernoulli_entropy(p: Number) -> Number:
    """The entropy of a trial that succeeds with the probability p."""
    certain = head(p) == 1
    some = where(certain, 0.5, p)
    return entropy_term(p) + where(certain, 0.0, -((1 - some) * log1p(-some)))


def above_tangent(x: Number) -> Number:
    """The difference exp(−x) − 1 + x ≥ 0, right for small x."""

    def near(x: Number) -> Number:
        terms = 20 if head(x).dtype == jnp.float64 else 12
        series = [(-1) ** k / math.factorial(k + 2) for k in range(terms)]
        return x * x * polynomial(series, x, 3)

    return either(abs(head(x)) < 1, x, near, lambda x: exp(-x) - 1 + x, (0.5, 2.0))


def times_exp(factor: Number, x: Number) -> Number:
    """The product of a factor and exp(x): 0 where exp(x) is, whatever the factor.

    In pairs the factor goes into the exponent, so that no exponential underflows that a large
    factor would raise again.
    """
    vanishes = (head(x) == -jnp.inf) | (head(factor) == 0)
    if not isinstance(x, Pair):
        E = jnp.exp(x)
        return jnp.where(E == 0, 0, jnp.where(E == 0, 0, factor) * E)
    factor = pair(factor, x)
    size = where(vanishes, 1.0, absolute(factor))
    product = where(vanishes, 0.0, exp(where(vanishes, 0.0, x) + log(size)))
    return where(factor.head < 0, -product, product)


def times_vanishing(factor: Number, x: Number) -> Number:
    """The product of a factor and x: 0 where x is 0, also beside an infinite factor."""
    vanishes = (head(x) == 0) & ~jnp.isfinite(head(factor))
    return where(vanishes, 0.0 * head(x), where(vanishes, 1.0, factor) * x)


EULER = 0.57721566490153286061

# fmt: off
# ζ(k)/k for k ≥ 2, and δ(x) of Stirling's formula in odd powers of 1/x, B₂ₖ / (2k (2k − 1)).
_ZETA = (
    0.822467033424113218, 0.400685634386531428, 0.270580808427784548, 0.207385551028673985,
    0.16955717699740819, 0.144049896768846118, 0.125509669524743042, 0.11133426586956469,
    0.100099457512781809, 0.0909540171458290422, 0.083353840546109004, 0.0769325164113521915,
    0.0714329462953613361, 0.066668705882420468, 0.0625009551412130407, 0.0588239786586845823,
    0.0555557676274036111, 0.0526316793796166607, 0.0500000476981016936, 0.047619070330142228,
    0.0454545562932046694, 0.0434782660530402594, 0.0416666691503412105, 0.0400000011921401406,
    0.0384615390346751857, 0.0370370373129893255, 0.035714285847333358, 0.0344827586849193008,
    0.0333333333643775811, 0.0322580645311504163, 0.0312500000072759745, 0.0303030303065580455,
    0.0294117647075943447, 0.02857142857226011, 0.0277777777781819978, 0.0270270270272236746,
    0.0263157894737799468, 0.0256410256410722818, 0.0250000000000227374, 0.0243902439024501158,
    0.0238095238095292232, 0.023255813953491016, 0.0227272727272740192, 0.0222222222222228538,
    0.0217391304347829176, 0.0212765957446810022, 0.0208333333333334073, 0.0204081632653061587,
    0.0200000000000000178, 0.0196078431372549107, 0.019230769230769235, 0.0188679245283018889,
    0.0185185185185185195, 0.0181818181818181823, 0.0178571428571428574, 0.0175438596491228071,
    0.0172413793103448276, 0.0169491525423728814,)
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156,
             -3617 / 122400)
# fmt: on


def _lgamma_far(x: Number) -> Number:
    """Log Γ(x) for x > 0, by Stirling's formula for x + m and the m steps down to x."""
    steps = 14 if head(x).dtype == jnp.float64 else 7
    product = functools.reduce(lambda p, k: p * (x + k), range(1, steps), x)
    y = x + steps
    rest = polynomial(_STIRLING, 1 / (y * y), 2) / y
    return (y - 0.5) * log(y) - y + (rest + 0.5 * math.log(2 * math.pi)) - log(product)


def lgamma_lag(u: Number) -> Number:
    """Log Γ(1 + u) + γu ≥ 0 for u > −1, right for small u: Σ ζ(k) (−u)ᵏ/k from k = 2."""

    def near(u: Number) -> Number:
        terms = len(_ZETA) if head(u).dtype == jnp.float64 else 32
        return u * u * polynomial(_ZETA[:terms], -u, 4)

    is_near = abs(head(u)) < 0.5
    return either(is_near, u, near, lambda u: _lgamma_far(1 + u) + EULER * u, (0.25, 1.0))


def lgamma1p(u: Number) -> Number:
    """Log Γ(1 + u) for u > −1."""
    return lgamma_lag(u) - EULER * u


def gumbel_divergence(v: Number, d: Number) -> Number:
    """KL of two Gumbel distributions, from v = σ₁/σ₂ − 1 and d = (μ₁ − μ₂)/σ₂.

    With e = log Γ(2 + v) − d it is exp(e) − 1 − e and log Γ(1 + v) + γv, both at least 0.
    """
    e = lgamma1p(v) + log1p(v) - d
    return above_tangent(-e) + lgamma_lag(v)


def atan_ratio(u: Number) -> Number:
    """atan(u)/u for 0 ≤ u ≤ 1, which is 1 at 0; above tan(π/8) by the angle to 45°."""

    def series(u: Number) -> Number:
        terms = 22 if head(u).dtype == jnp.float64 else 12
        return polynomial([(-1) ** k / (2 * k + 1) for k in range(terms)], u * u, 3)

    def far(u: Number) -> Number:
        v = (u - 1) / (u + 1)
        return (math.pi / 4 + v * series(v)) / u

    return either(head(u) < math.sqrt(2) - 1, u, series, far, (0.25, 1.0))


def atan(u: Number) -> Number:
    """The angle atan(u) for 0 ≤ u ≤ 1."""
    return u * atan_ratio(u)


def tan(a: Number) -> Number:
    """The tangent for 0 ≤ a ≤ π/4, by the series of sine and cosine."""
    terms = 10 if head(a).dtype == jnp.float64 else 7
    w = a * a
    sine = polynomial([(-1) ** k / math.factorial(2 * k + 1) for k in range(terms)], w, 3)
    return a * sine / polynomial([(-1) ** k / math.factorial(2 * k) for k in range(terms)], w, 3)


Formula = Callable[..., Any]
# A number at which no family of this chapter has an end of its support or a kink of its density.
ORDINARY = 0.4371
Several = Callable[..., tuple[Number, ...]]  # formulas that are written as one
Function = Callable[..., jax.Array]


def in_pairs(
    formula: Formula, *partials: Function | None, known: Callable[..., jax.Array] | None = None
) -> Function:
    """The function of arrays whose value is the formula's, read in pairs and rounded once.

    Its derivatives are the partials, one for each argument, which are functions like it; where none
    is given, those of the formula in plain numbers. Value and derivatives are nan where an argument
    is, or where ``known(*args)`` says that the arguments have no meaning.
    """
    if partials:
        value = _read_in_pairs(_alone(formula), functools.partial(_judged, known))
        return with_derivatives(*partials)(lambda *args: value(*args)[0])
    alone = all_in_pairs(_alone(formula), known=known)
    return lambda *args: alone(*args)[0]


def all_in_pairs(
    formulas: Several, *, known: Callable[..., jax.Array] | None = None
) -> Callable[..., tuple[jax.Array, ...]]:
    """As ``in_pairs`` of several formulas, written as one function, with their own derivatives."""
    return _side_by_side(formulas, functools.partial(_judged, known))


def with_slopes(
    formula: Formula,
    *slopes: Formula | None,
    known: Callable[..., jax.Array] | None = None,
    still: Callable[[jax.Array], jax.Array] | None = None,
) -> Function:
    """The function of a formula whose derivatives are formulas too, None for none: read in pairs.

    Those that are wanted are read side by side, so that what they share is computed once; their own
    derivatives are those of plain numbers, but 0 where the first argument is ``still``: there all
    slopes vanish, and as plain numbers what makes them would be 0 · ∞.
    """
    judged = functools.partial(_judged, known)
    value = _read_in_pairs(_alone(formula), judged)
    evaluated = jax.custom_jvp(lambda *args: value(*args)[0])

    def rule(args: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[jax.Array, jax.Array]:
        moving = [
            (slope, tangent)
            for slope, tangent in zip(slopes, tangents, strict=True)
            if slope is not None and not isinstance(tangent, SymbolicZero)
        ]
        y = evaluated(*args)
        if not moving:
            return y, jnp.zeros_like(y)

        def wanted(*numbers: Number) -> tuple[Number, ...]:
            return tuple(slope(*numbers) for slope, _ in moving)

        found = _side_by_side(wanted, judged, still)(*args)
        terms = (s * tangent for s, (_, tangent) in zip(found, moving, strict=True))
        return y, functools.reduce(jnp.add, terms)

    evaluated.defjvp(rule, symbolic_zeros=True)
    return lambda *args: evaluated(*jnp.broadcast_arrays(*args))


def _judged(known: Callable[..., jax.Array] | None, *args: jax.Array) -> jax.Array:
    """Whether the arguments have a meaning."""
    no_nan = functools.reduce(jnp.logical_and, [~jnp.isnan(a) for a in args])
    return no_nan if known is None else no_nan & known(*args)


def _alone(formula: Formula) -> Several:
    return lambda *args: (formula(*args),)


def _read_in_pairs(formulas: Several, judged: Callable[..., jax.Array]) -> Callable:
    """The values of the formulas, each rounded once."""

    @apart
    def values(*args: jax.Array) -> tuple[jax.Array, ...]:
        args = tuple(jnp.broadcast_arrays(*args))
        pairs = [Pair(a, jnp.zeros_like(a)) for a in args]
        meant, like = judged(*args), args[0]
        found = (jnp.broadcast_to(head(y), like.shape) for y in formulas(*pairs))
        return tuple(jnp.where(meant, y, jnp.nan).astype(like.dtype) for y in found)

    return values


def _side_by_side(
    formulas: Several,
    judged: Callable[..., jax.Array],
    still: Callable[[jax.Array], jax.Array] | None = None,
) -> Callable:
    """The values of the formulas, with the derivatives that they have in plain numbers."""

    @apart
    def plain(*args: jax.Array) -> tuple[jax.Array, ...]:
        args = tuple(jnp.broadcast_arrays(*args))
        meant = jnp.where(judged(*args), 1, jnp.nan).astype(args[0].dtype)
        if still is None:
            return tuple(head(y) * meant for y in formulas(*args))
        x, *of = args
        found = formulas(jnp.where(still(x), ORDINARY, x), *of)
        return tuple(jnp.where(still(x), 0, head(y)) * meant for y in found)

    evaluated = jax.custom_jvp(_read_in_pairs(formulas, judged))
    evaluated.defjvp(lambda args, tangents: (evaluated(*args), jax.jvp(plain, args, tangents)[1]))
    return evaluated


def _sum_of_pairs(x: Pair) -> jax.Array:
    """The sum along the last axis, in pairs, rounded once."""

    def add(a: tuple[jax.Array, ...], b: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        s = Pair(*a) + Pair(*b)
        return s.head, s.tail

    zero = jnp.zeros((), x.head.dtype)
    return lax.reduce((x.head, x.tail), (zero, zero), add, (x.head.ndim - 1,))[0]


def summed(formula: Formula, *partials: Function) -> Function:
    """The sum along the last axis of a formula of the entries, read in pairs and rounded once."""

    @jax.custom_jvp
    def total(*rows: jax.Array) -> jax.Array:
        rows = tuple(jnp.broadcast_arrays(*rows))
        terms = formula(*(Pair(r, lax.full_like(r, 0)) for r in rows))
        return _sum_of_pairs(pair(terms, Pair(rows[0], rows[0])))

    @total.defjvp
    def rule(rows: tuple[jax.Array, ...], tangents: tuple[jax.Array, ...]) -> tuple:
        terms = (f(*rows) * t for f, t in zip(partials, tangents, strict=True))
        return total(*rows), jnp.sum(functools.reduce(jnp.add, terms), -1)

    return total
