"""The formulas of the multinomial distribution.

Notation: k are counts, n their sum, p probabilities; D(x, y) = x log(x/y) + y − x ≥ 0, and r(k) is
what log k! has beyond k log k − k. Of log n! − Σ log kᵢ! + Σ kᵢ log pᵢ what is large goes into
deviances:

    log P(k) = r(n) − Σ r(kᵢ) − Σ D(kᵢ, n pᵢ) + n (Σ pᵢ − 1)

Source: Loader, Fast and accurate computation of binomial probabilities (2000), §2 to §4.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from fnmath.numerics._stirling import log_factorial_rest
from fnmath.probability._beta_density import log_binomial
from fnmath.probability._counts import NODES, is_count
from fnmath.probability._dirichlets import Numbers, alike
from fnmath.probability._gamma_numbers import stirling_excess
from fnmath.probability._information import poisson_kl
from fnmath.probability._matrices import multiplied, outer, placed, total
from fnmath.probability._numbers import Number, divergence_term, exp, head, log, where


def known(n: Number, p: Number) -> jax.Array:
    """Whether n is a count and p a vector of probabilities, of the sum 1 within √ε."""
    slack = float(jnp.finfo(head(p).dtype).eps) ** 0.5
    of_n = (head(n) >= 0) & (head(n) < jnp.inf) & is_count(head(n))
    return of_n & (head(p) >= 0).all() & (jnp.abs(jnp.sum(head(p)) - 1) <= slack)


def _judged(n: Number, p: Number, value: Number) -> Number:
    """The value, nan where a parameter has no meaning."""
    return where(jnp.broadcast_to(known(n, p), head(value).shape), value, jnp.nan)


def _rest(k: Number) -> Number:
    """The number r(k), 0 at 0."""
    at_0 = head(k) <= 0
    some = where(at_0, 1.0, k)
    return where(at_0, 0.0, log(some) - stirling_excess(some))


def _over(k: Number, p: Number) -> Number:
    """The quotients kᵢ/pᵢ, 0 where kᵢ is."""
    nothing = head(k) == 0
    return where(nothing, 0.0, k / where(nothing, 1.0, p))


def mass(k: Number, n: Number, p: Number) -> Numbers:
    """The logarithm of the probability; its slopes by counts are none."""
    is_one = ((head(k) >= 0) & is_count(head(k))).all() & (jnp.sum(head(k)) == head(n))
    valid = is_one & known(n, p)
    j = where(jnp.broadcast_to(valid, head(k).shape), k, 0.0)
    m = where(valid, n, 0.0)
    mean = multiplied(alike(m, p), p)
    value = _rest(m) + total((mean - j) - divergence_term(j, mean) - _rest(j))
    otherwise = where(jnp.isnan(head(k)).any(), jnp.nan, -jnp.inf)
    value = where(is_one, value, otherwise)
    nothing = 0.0 * head(j)
    return _judged(n, p, value), nothing, nothing[0], _judged(n, p, _over(j, p))


def exponential(k: Number, n: Number, p: Number) -> Numbers:
    """The probability itself."""
    value, by_k, by_n, by_p = mass(k, n, p)
    P = exp(value)
    nowhere = jnp.broadcast_to(head(P) == 0, head(p).shape)
    return P, by_k, by_n, where(nowhere, 0.0, P * by_p)


def mean(n: Number, p: Number) -> Number:
    return _judged(n, p, alike(n, p) * p)


def covariance(n: Number, p: Number) -> Number:
    """N (diag p − p pᵀ)."""
    own, apart = placed(jnp.diag, p * (1 - p)), -outer(p, p)
    on_diagonal = jnp.eye(head(p).size, dtype=bool)
    return _judged(n, p, alike(n, apart) * where(on_diagonal, own, apart))


def information(n: Number, p: Number) -> Number:
    """N (diag 1/p − 1)."""
    own = placed(jnp.diag, (1 - p) / p)
    on_diagonal = jnp.eye(head(p).size, dtype=bool)
    return _judged(n, p, alike(n, own) * where(on_diagonal, own, -1.0 + 0.0 * head(own)))


def score(k: Number, n: Number, p: Number) -> Number:
    """The slopes along the simplex."""
    value, *_, by_p = mass(k, n, p)
    nowhere = jnp.broadcast_to(head(value) == -jnp.inf, head(p).shape)
    return where(nowhere, 0.0, by_p - alike(n, p))


def divergence(n: Number, p: Number, m: Number, q: Number) -> Numbers:
    """N Σ p log(p/q) where n = m, else ∞."""
    terms = divergence_term(p, q) + (p - q)
    value = where(head(n) == 0, 0.0, n * total(terms))
    value = where(head(n) == head(m), value, jnp.inf)
    value = _judged(m, q, _judged(n, p, value))
    neither = (head(p) == 0) & (head(q) == 0)
    ratio = where(neither, 1.0, p) / where(neither, 1.0, q)
    by_p, by_q = alike(n, p) * (log(ratio) + 1), -alike(n, p) * where(neither, 0.0, ratio)
    nothing = 0.0 * head(n)
    return value, nothing, by_p, nothing, by_q


def entropy(n: jax.Array, p: jax.Array) -> jax.Array:
    """The mean of −log P, term by term: each count is binomial.

    Of the class with the largest p, whose count is nearly n where the entropy is small, r(n) is
    taken at once. Sums are by the trapezoidal rule, as that of the binomial entropy is.
    """
    inside = (p > 0) & (p < 1) & known(n, p) & (n > 0)
    r, N = jnp.where(inside, p, 0.5), jnp.where(known(n, p) & (n > 0), n, 1)
    step = jax.lax.stop_gradient(jnp.maximum(1, jnp.sqrt(N * r * (1 - r)) / 8))
    centre = jax.lax.stop_gradient(jnp.floor(N * r))
    j = centre + step * (jnp.arange(NODES, dtype=p.dtype)[:, None] - 88)
    counts = jnp.clip(j, 0, N)
    weights = jnp.exp(log_binomial(counts, jnp.full_like(j, N), jnp.broadcast_to(r, j.shape)))
    weights = jnp.where((j >= 0) & (j <= N), step * weights, 0)
    largest = jnp.arange(p.size) == jnp.argmax(p)
    rest = log_factorial_rest(counts) - jnp.where(largest, log_factorial_rest(N), 0)
    terms = jnp.sum(weights * (poisson_kl(counts, jnp.broadcast_to(N * r, j.shape)) + rest), 0)
    value = jnp.sum(jnp.where(inside, terms, 0))
    return jnp.where(known(n, p), value, jnp.nan)


def mode(n: jax.Array, p: jax.Array) -> jax.Array:
    """⌊c pᵢ⌋ for a c near n, and one more of the class that gains most, or one less, until all n.

    No class can be given one more by another, whatever c: p/(k + 1) < 1/c ≤ p/k everywhere.
    """
    valid = known(n, p)
    N = jnp.where(valid, n, 0)
    k = jnp.floor((N + 0.5 * p.size) * jnp.where(valid, p, 0))

    def step(_: jax.Array, k: jax.Array) -> jax.Array:
        lacking = N - jnp.sum(k)
        more = jnp.arange(p.size) == jnp.argmax(p / (k + 1))
        less = jnp.arange(p.size) == jnp.argmin(jnp.where(k > 0, p / jnp.where(k > 0, k, 1), 2))
        return jnp.where(lacking > 0, k + more, jnp.where(lacking < 0, k - less, k))

    k = jax.lax.fori_loop(0, p.size, step, k)
    return jnp.where(valid, k, -1)
