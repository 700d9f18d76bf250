"""The formulas of the Dirichlet distribution.

Notation: α are the n parameters, A their sum; g, h and t are what log Γ, ψ and ψ′ are in
``_gamma_numbers``; D(p, q) = p log(p/q) + q − p ≥ 0. With log Γ by g, what is large in

    log f(x) = log Γ(A) − Σ log Γ(αᵢ) + Σ (αᵢ − 1) log xᵢ

goes into deviances, each of which is small where αᵢ and A xᵢ are alike:

    log f(x) = −Σ D(αᵢ, A xᵢ) + A (Σ xᵢ − 1) − Σ log xᵢ + Σ g(αᵢ) − g(A)

Every formula gives a value, and the derivatives by each argument.

Source: Loader, Fast and accurate computation of binomial probabilities (2000), §2 to §4; Bregman
divergences as in Banerjee et al., Clustering with Bregman divergences (2005), §4.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from fnmath.probability._gamma_numbers import digamma_lag, stirling_excess, trigamma
from fnmath.probability._matrices import divided, multiplied, outer, placed, total
from fnmath.probability._numbers import Number, Pair, divergence_term, exp, head, log, where

Numbers = tuple[Number, ...]
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


def alike(v: Number, x: Number) -> Number:
    """The vector of the shape of x with the entry v everywhere."""
    return placed(lambda a: jnp.broadcast_to(a, head(x).shape), v)


def _positive(a: Number) -> Number:
    """The parameters, nan unless all are above 0 and finite."""
    known = ((head(a) > 0) & (head(a) < jnp.inf)).all()
    return where(jnp.broadcast_to(known, head(a).shape), a, jnp.nan)


def is_on_simplex(x: Number) -> jnp.ndarray:
    """Whether all entries are at least 0 and their sum is 1 within √ε."""
    slack = float(jnp.finfo(head(x).dtype).eps) ** 0.5
    return (head(x) >= 0).all() & (jnp.abs(jnp.sum(head(x)) - 1) <= slack)


def density(x: Number, a: Number) -> Numbers:
    a, A = _positive(a), total(_positive(a))
    at_0 = head(x) == 0
    y = where(head(x) > 0, x, 1.0)
    mean = multiplied(alike(A, x), y)
    terms = (mean - a) - divergence_term(a, mean) - log(y) + stirling_excess(a)
    value = total(terms) - stirling_excess(A)
    # A factor 0^(α − 1).
    ends = where(head(a) > 1, -jnp.inf, where(head(a) < 1, jnp.inf, 0.0))
    value = value + total(where(at_0, ends, jnp.zeros_like(ends)))
    outside = where(jnp.isnan(head(x)).any() | jnp.isnan(head(a)).any(), jnp.nan, -jnp.inf)
    value = where(is_on_simplex(x), value, outside)
    by_a = log(divided(mean, a)) + digamma_lag(a) - alike(digamma_lag(A), x)
    inside = jnp.broadcast_to(is_on_simplex(x), head(x).shape)
    by_x = (a - 1) / where(at_0, 0.0, x)
    return (
        value,
        where(inside, where(at_0 & (head(a) == 1), 0.0, by_x), 0.0),
        where(inside, where(at_0, -jnp.inf, by_a), 0.0),
    )


def entropy(a: Number) -> Numbers:
    a, A = _positive(a), total(_positive(a))
    n = head(a).size
    terms = log(a) - stirling_excess(a) + (a - 1) * digamma_lag(a)
    value = total(terms) + stirling_excess(A) - n * log(A) - (A - n) * digamma_lag(A)
    by_sum = alike(multiplied(A - n, trigamma(A)), a)
    return value, by_sum - multiplied(a - 1, trigamma(a))


def _at_nodes(p: Number, u: Number) -> Number:
    """The points p + t u, t at the nodes of a quadrature from 0 to 1, on a new first axis."""

    def repeated(a: jnp.ndarray) -> jnp.ndarray:
        return jnp.broadcast_to(a, (_NODES.size, *a.shape))

    return placed(repeated, p) + placed(repeated, u) * _along(0.5 + 0.5 * _NODES, p)


def _along(values: np.ndarray, like: Number) -> Number:
    """The constants on a first axis before those of a number, with what its dtype has no room for.

    Plain numbers have no room for that.
    """
    shape = (-1, *(1,) * head(like).ndim)
    rounded = np.asarray(values, head(like).dtype)
    full = (values.size, *head(like).shape)
    heads, tails = (
        jnp.broadcast_to(jnp.asarray(part, rounded.dtype).reshape(shape), full)
        for part in (rounded, values - rounded)
    )
    return Pair(heads, tails) if isinstance(like, Pair) else heads


def _integral(x: Number, like: Number, moment: int) -> Number:
    """The integral over t from 0 to 1 of x (1 − t)ᵐ, x given at the nodes."""
    return total(x * _along(0.5 * _WEIGHTS * (0.5 - 0.5 * _NODES) ** moment, like), 0)


def divergence(a: Number, b: Number) -> Numbers:
    """Of the law of α from that of β: Σ B(βᵢ, αᵢ) − B(Σβ, Σα), with B that of Bregman of log Γ.

    Where all βᵢ are within a factor of 2 it is the integral of its second derivative on the way
    from α to β, Σ uᵢ² t(αᵢ) − U² t(A) for u = β − α and its sum U.
    """
    a, b = _positive(a), _positive(b)
    is_near = ((head(b) < 2 * head(a)) & (head(a) < 2 * head(b))).all()
    every = jnp.broadcast_to(is_near, head(a).shape)
    p, q = where(every, a, 1.0), where(every, b, 1.0)
    u = q - p
    U = total(u)
    each, whole = trigamma(_at_nodes(p, u)), trigamma(_at_nodes(total(p), U))
    near = total(u * u * _integral(each, u, 1)) - U * U * _integral(whole, U, 1)
    near_b = u * _integral(each, u, 0) - alike(U * _integral(whole, U, 0), a)
    A, B = total(a), total(b)
    far = total(_bregman(b, a)) - _bregman(B, A)
    ratios = log(multiplied(divided(b, a), alike(divided(A, B), a)))
    far_b = ratios - (digamma_lag(b) - digamma_lag(a)) + alike(digamma_lag(B) - digamma_lag(A), a)
    by_a = multiplied(a - b, trigamma(a)) - alike(multiplied(A - B, trigamma(A)), a)
    known = ~(jnp.isnan(head(A)) | jnp.isnan(head(B)))
    value = where(known, where(is_near, near, far), jnp.nan)
    return value, by_a, where(every, near_b, far_b)


def _bregman(q: Number, p: Number) -> Number:
    """The difference log Γ(q) − log Γ(p) − (q − p) ψ(p)."""
    rest = stirling_excess(q) - stirling_excess(p) - (q - p) * digamma_lag(p)
    return divergence_term(q, p) - rest


def information(a: Number) -> Number:
    """The matrix diag t(αᵢ) − t(A)."""
    a = _positive(a)
    T = placed(jnp.diag, trigamma(a))
    return T - alike(trigamma(total(a)), T)


def exponential(x: Number, a: Number) -> Numbers:
    """The density itself."""
    value, *slopes = density(x, a)
    E = exp(value)
    return E, *(where(jnp.broadcast_to(head(E) == 0, head(g).shape), 0.0, E * g) for g in slopes)


def mean(a: Number) -> Number:
    a = _positive(a)
    return a / alike(total(a), a)


def covariance(a: Number) -> Number:
    m, A = mean(a), total(_positive(a))
    apart = placed(jnp.diag, m) - outer(m, m)
    own = placed(jnp.diag, m * (alike(A, a) - a) / alike(A, a))
    on_diagonal = jnp.eye(head(a).size, dtype=bool)
    return where(on_diagonal, own, apart) / alike(A + 1, apart)


def mode(a: Number) -> Number:
    known = (head(a) > 1).all()
    b = where(jnp.broadcast_to(known, head(a).shape), _positive(a) - 1, jnp.nan)
    return b / alike(total(b), b)
