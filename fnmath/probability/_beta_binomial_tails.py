"""The tails of the beta-binomial law: sums of probabilities, each by its ratio to the last.

Notation: n counts the trials, a and b are the shapes of the chance of success, s = a + b, k and j
are counts; ψ = (log Γ)′.

    P(k) = C(n, k) B(k + a, n − k + b)/B(a, b)
    F(k) = P(k) M,    M = 1 + ρₖ (1 + ρₖ₋₁ (…))
    ρⱼ = P(j − 1)/P(j) = j (n − j + b)/((n − j + 1) (j − 1 + a))

The upper tail is the lower one of n − k − 1 with the shapes exchanged. The loop ends where all is
summed, or, of a law with one mode, where what is left is nothing. It is differentiated forwards, as
often as one likes.
"""

from __future__ import annotations

# pyright: reportGeneralTypeIssues=false
# (a derivative may speak of the function that it belongs to)
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fnmath.numerics import with_derivatives
from fnmath.numerics._pairs import Pair, two_sum
from fnmath.numerics._series import above_tangent
from fnmath.numerics._sharing import apart, in_one_go, shared, with_joint_derivatives
from fnmath.probability._composition import slope
from fnmath.probability._f_tails import over_logarithm
from fnmath.probability._log_gammas import digamma, log_gamma_terms
from fnmath.probability._tails import Tail, combined, factor, outcome
from fnmath.probability._two_part import exp_of, negative, summed


def forwards(f: Callable, count: int) -> Callable:
    """F of ``count`` arrays, elementwise, with forward derivatives whatever the mode."""

    def partial(i: int) -> Callable:
        return lambda *args: forwards(slope(f, i), count)(*args)

    @with_derivatives(*map(partial, range(count)))
    def function(*args: jax.Array) -> jax.Array:
        return f(*args)

    return function


def _log_gamma(x: jax.Array, rest: jax.Array) -> Pair:
    """The pair of log Γ(x + x̃)."""
    head, tail = log_gamma_terms(x)
    return head, tail + digamma(x) * rest


def log_terms(k: jax.Array, n: jax.Array, a: jax.Array, b: jax.Array) -> Pair:
    """The logarithm of P(k), for k = 0 … n, in two parts."""
    one, zero = jnp.ones_like(a), jnp.zeros_like(a)
    s, s_rest = two_sum(a, b)
    total, rest = two_sum(n, s)
    arguments = [
        (n + one, zero),
        two_sum(k, a),
        two_sum(n - k, b),
        (s, s_rest),
        (k + one, zero),
        (n - k + one, zero),
        (total, rest + s_rest),
        (a, zero),
        (b, zero),
    ]
    found = in_one_go(_log_gamma, *arguments)
    above, below = found[:4], found[4:]
    return summed(*(p for g in above for p in g), *(p for g in below for p in negative(g)))


def rise(a: jax.Array, k: jax.Array) -> jax.Array:
    """ψ(a + k) − ψ(a)."""
    return jnp.log1p(k / a) + over_logarithm(a, k)


@shared
def log_by_a(k: jax.Array, n: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """The derivative of log P by a: ψ(a + k) − ψ(a) − ψ(s + n) + ψ(s)."""
    return rise(a, k) - rise(a + b, n)


def log_by_b(k: jax.Array, n: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    return log_by_a(n - k, n, b, a)


class _State(NamedTuple):
    j: jax.Array  # the count whose probability, over P(k), is the term
    term: jax.Array
    total: jax.Array  # without the first term, 1


def _excess(k: jax.Array, n: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """M − 1, for 0 ≤ k ≤ n."""
    eps = jnp.finfo(a.dtype).eps
    one_mode = jax.lax.stop_gradient((a >= 1) & (b >= 1))

    @apart
    def left(state: _State) -> jax.Array:
        rest = jax.lax.stop_gradient(state.term * state.j)
        return (state.j > 0) & ~(one_mode & (rest < 0.1 * eps * (1 + state.total)))

    @apart
    def step(state: _State) -> _State:
        j, some = state.j, jnp.maximum(state.j, 1)
        ratio = (some / (n - some + 1)) * ((n - some + b) / (some - 1 + a))
        term = jnp.where(j > 0, state.term * ratio, 0)
        return _State(j - 1, term, state.total + term)

    start = _State(k, jnp.ones_like(a), jnp.zeros_like(a))
    return jax.lax.while_loop(lambda state: jnp.any(left(state)), step, start).total


def _tails_of(*side: jax.Array) -> tuple[Pair, jax.Array, jax.Array]:
    """The logarithm of the probability at its edge, M − 1, and the tail."""
    log_p, excess = log_terms(*side), _excess(*side)
    return log_p, excess, exp_of(log_p) * (1 + excess)


def tail(k: jax.Array, n: jax.Array, a: jax.Array, b: jax.Array) -> Tail:
    """The two tails for 0 ≤ k < n, both of them summed; the smaller one is S."""
    lower, upper = in_one_go(_tails_of, (k, n, a, b), (n - k - 1, n, b, a))
    is_lower = lower[2] <= upper[2]
    pairs = [jnp.where(is_lower, t, u) for t, u in zip(lower[0], upper[0], strict=True)]
    excess = jnp.where(is_lower, lower[1], upper[1])
    rest = jnp.where(is_lower, upper[2], lower[2])
    return combined(
        is_lower, (pairs[0], pairs[1]), excess, complement=rest, known=jnp.ones_like(is_lower)
    )


@shared
def _side(k, n, a, b):
    """Whether the lower tail is the smaller one, and the k, a and b of which S is the lower."""
    is_lower = jax.lax.stop_gradient(lower_and_upper(k, n, a, b)[0]) <= 0.5
    swap = lambda one, other: jnp.where(is_lower, one, other)  # noqa: E731
    return is_lower, (swap(k, n - k - 1), n, swap(a, b), swap(b, a))


_moved_excess = forwards(_excess, 4)


@shared
def _log_slopes(k, n, a, b):
    """The derivatives of the logarithm of the tail that is summed by a and by b."""
    is_lower, side = _side(k, n, a, b)
    mass = log_by_a(*side), log_by_b(*side)
    total = 1 + _moved_excess(*side)
    own = [mass[i] + forwards(slope(_excess, 2 + i), 4)(*side) / total for i in (0, 1)]
    return jnp.where(is_lower, own[0], own[1]), jnp.where(is_lower, own[1], own[0])


def _by_shape(kind: str, which: int) -> Callable:
    def by(k, n, a, b):
        is_lower, _ = _side(k, n, a, b)
        lower, upper = lower_and_upper(k, n, a, b)
        own, other = jnp.where(is_lower, lower, upper), jnp.where(is_lower, upper, lower)
        return factor(kind, is_lower, own, other) * _log_slopes(k, n, a, b)[which]

    return by


def _and_negative(f: Callable) -> Callable:
    """The derivatives of both tails, by that of the lower one."""
    of_lower = shared(f)
    return lambda *args: (of_lower(*args), -of_lower(*args))


@shared
@with_joint_derivatives(
    None, None, _and_negative(_by_shape("lower", 0)), _and_negative(_by_shape("lower", 1))
)
def lower_and_upper(k, n, a, b):
    """Both tails of k, n, a and b, 0 ≤ k < n."""
    found = tail(k, n, a, b)
    return outcome("lower", found), outcome("upper", found)


@functools.cache
def tail_function(kind: str) -> Callable:
    """What is asked of the tails of k, n, a and b, 0 ≤ k < n, with its derivatives."""
    if not kind.startswith("log"):
        return lambda *args: lower_and_upper(*args)[0 if kind == "lower" else 1]

    @with_derivatives(None, None, _by_shape(kind, 0), _by_shape(kind, 1))
    def function(k, n, a, b):
        return outcome(kind, tail(k, n, a, b))

    return function


@with_derivatives(None, None, log_by_a, log_by_b)
def log_mass(k, n, a, b):
    """The logarithm of P(k), k one of 0 … n."""
    head, tail = log_terms(k, n, a, b)
    return head + tail


@shared
@with_derivatives(
    None,
    None,
    lambda k, n, a, b: mass(k, n, a, b) * log_by_a(k, n, a, b),
    lambda k, n, a, b: mass(k, n, a, b) * log_by_b(k, n, a, b),
)
def mass(k, n, a, b):
    """P(k), k one of 0 … n."""
    return exp_of(log_terms(k, n, a, b))


BLOCK = 32


def _summed_over_counts(term: Callable, last: Callable, count: int) -> Callable:
    """Σ of ``term(k, …)`` over k = 0, 1, … to ``last(…)``, in blocks, differentiated forwards."""

    def total(*of: jax.Array) -> jax.Array:
        like = of[1]
        block = jnp.arange(BLOCK, dtype=like.dtype).reshape(-1, *(1,) * like.ndim)
        most = jax.lax.stop_gradient(jnp.max(last(*of), initial=0))

        @apart
        def step(state: tuple) -> tuple:
            start, total = state
            shape = (BLOCK, *like.shape)
            k, *wide = (jnp.broadcast_to(t, shape) for t in (start + block, *of))
            terms = jnp.where(k <= last(*wide), term(k, *wide), 0)
            return start + BLOCK, total + jnp.sum(terms, 0)

        start = jnp.zeros((), like.dtype), jnp.zeros_like(like)
        return jax.lax.while_loop(lambda state: state[0] <= most, step, start)[1]

    return forwards(total, count)


def _mean_over_counts(of_k: Callable) -> Callable:
    """Σₖ P(k) g(k, log P(k), n, a, b)."""

    def term(k: jax.Array, n: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
        k = jnp.where(k <= n, k, 0)
        log_p = log_mass(k, n, a, b)
        p = jnp.exp(log_p)
        return jnp.where(p > 0, p * of_k(k, log_p, n, a, b), 0)

    return _summed_over_counts(term, lambda n, a, b: n, 3)


entropy = _mean_over_counts(lambda k, log_p, *of: -log_p)
information_by_a = _mean_over_counts(lambda k, log_p, *of: jnp.square(log_by_a(k, *of)))
information_by_both = _mean_over_counts(lambda k, log_p, *of: log_by_a(k, *of) * log_by_b(k, *of))


@with_derivatives(
    None,
    None,
    lambda k, n, a, b, m, c, d: log_by_a(k, n, a, b),
    lambda k, n, a, b, m, c, d: log_by_b(k, n, a, b),
    None,
    lambda k, n, a, b, m, c, d: -log_by_a(k, m, c, d),
    lambda k, n, a, b, m, c, d: -log_by_b(k, m, c, d),
)
def _log_ratio(k, n, a, b, m, c, d):
    """The logarithm of P(k)/Q(k), k one of 0 … n and of 0 … m."""
    p, q = log_terms(k, n, a, b), log_terms(k, m, c, d)
    return (p[0] - q[0]) + (p[1] - q[1])


def _divergence_term(k, n, a, b, m, c, d):
    """P log(P/Q) + Q − P ≥ 0, that of P = 0 beyond n."""
    inside = k <= n
    k_ = jnp.where(inside, k, 0)
    r, P = _log_ratio(k_, n, a, b, m, c, d), mass(k_, n, a, b)
    Q = mass(jnp.where(k <= m, k, 0), m, c, d)
    near = r > -20
    own = jnp.where(near, P * above_tangent(jnp.where(near, r, 0)), Q - P + P * r)
    return jnp.where(inside, own, Q)


# Of laws of which the first has no more trials than the other: Σ (Q − P) is 0.
divergence = _summed_over_counts(_divergence_term, lambda n, a, b, m, c, d: m, 6)
