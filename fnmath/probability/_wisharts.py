"""The formulas of the Wishart distribution.

Notation: ν are the degrees of freedom, V = M Mᵀ is the scale and X = L Lᵀ the matrix looked at,
n × n; C = M⁻¹, T = C L, P = V⁻¹. For i from 0 to n − 1, aᵢ = (ν − i)/2, cᵢ = (n + 1 − i)/2 and
sᵢ = Tᵢᵢ²/2, which by Bartlett's decomposition is of the gamma distribution with the shape aᵢ. Of
log Γ and its derivatives ψ and ψ′ only g, h and t of ``_gamma_numbers`` are taken, so that what is
large goes into deviances D(p, q) = p log(p/q) + q − p ≥ 0:

    log f(X) = Σ (g(aᵢ) − D(aᵢ, sᵢ) − cᵢ log sᵢ) − ½ Σ Tᵢⱼ² − (n + 1) log det M − const.,    i > j

Every formula gives a value, and the derivatives by each argument.

Source: Anderson, An Introduction to Multivariate Statistical Analysis (2003), §7.2; Loader, Fast
and accurate computation of binomial probabilities (2000), §2.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from fnmath.probability._dirichlets import alike
from fnmath.probability._gamma_numbers import digamma_lag, stirling_excess, trigamma
from fnmath.probability._gaussians import of_factors
from fnmath.probability._matrices import (
    cholesky,
    diagonal,
    identity,
    inverse_of_lower,
    lower,
    multiplied,
    product,
    square_root,
    symmetric,
    total,
    transposed,
)
from fnmath.probability._numbers import Number, divergence_term, exp, head, log, where

Numbers = tuple[Number, ...]


def _known(df: Number, n: int) -> Number:
    """The degrees of freedom, nan unless there are more than n − 1."""
    return where((head(df) > n - 1) & (head(df) < jnp.inf), df, jnp.nan)


def _orders(n: int, like: Number) -> jax.Array:
    return jnp.arange(n, dtype=head(like).dtype)


def _shapes(df: Number, n: int) -> Number:
    """The numbers aᵢ."""
    i = _orders(n, df)
    return 0.5 * (alike(df, i) - i)


def _congruent(C: Number, A: Number) -> Number:
    """The matrix Cᵀ A C."""
    return product(transposed(C), product(A, C))


def density(x: Number, df: Number, scale: Number) -> Numbers:
    """Where x is not positive definite the density is 0."""
    L, M, n = cholesky(x), cholesky(scale), head(x).shape[0]
    outside = jnp.isnan(head(L)).any() & ~jnp.isnan(head(x)).any()
    L = where(jnp.broadcast_to(outside, head(L).shape), identity(n, L), L)
    df, C = _known(df, n), inverse_of_lower(M)
    T, a = product(C, L), _shapes(df, n)
    c = 0.5 * (n + 1 - _orders(n, x))
    t = diagonal(T)
    s = 0.5 * multiplied(t, t)
    below = T - lower(transposed(lower(transposed(T))))
    terms = stirling_excess(a) - divergence_term(a, s) - c * log(s)
    value = total(terms) - 0.5 * total(multiplied(below, below))
    value = value - (n + 1) * total(log(diagonal(M))) - _constant(n)
    outside = outside & ~jnp.isnan(head(value))
    value = where(outside, -jnp.inf, value)
    one, E = identity(n, x), inverse_of_lower(L)
    by_x = _congruent(E, 0.5 * ((df - (n + 1)) * one - product(transposed(T), T)))
    by_df = 0.5 * total(log(s / a) + digamma_lag(a))
    by_scale = _congruent(C, 0.5 * (product(T, transposed(T)) - df * one))
    return value, *(where(outside, 0.0, by) for by in (by_x, by_df, by_scale))


def _constant(n: int) -> float:
    return 0.5 * n * (n + 1) * math.log(2) + 0.25 * n * (n - 1) * math.log(math.pi)


def exponential(x: Number, df: Number, scale: Number) -> Numbers:
    """The density itself."""
    value, *slopes = density(x, df, scale)
    E = exp(value)
    return E, *(where(head(E) == 0, 0.0, E * slope) for slope in slopes)


def entropy(df: Number, scale: Number) -> Numbers:
    M, n = cholesky(scale), head(scale).shape[0]
    df, C, i = _known(df, n), inverse_of_lower(M), _orders(n, scale)
    a, c = _shapes(df, n), 0.5 * (n + 1 - i)
    terms = c * log(a) - stirling_excess(a) + (a - c) * digamma_lag(a) + 0.5 * i
    value = total(terms) + (n + 1) * total(log(diagonal(M))) + _constant(n)
    by_df = 0.5 * total(1 - multiplied(a - c, trigamma(a)))
    return value, by_df, 0.5 * (n + 1) * product(transposed(C), C)


def divergence(df_p: Number, scale_p: Number, df_q: Number, scale_q: Number) -> Numbers:
    """With W = V₁ ν₁/ν₂ it is ν₂ times that of normal distributions, and what is of ν alone.

    The latter is Σ B(bᵢ, aᵢ) − n D(ν₂/2, ν₁/2), with B that of Bregman of log Γ.
    """
    n = head(scale_p).shape[0]
    p, q = _known(df_p, n), _known(df_q, n)
    L, M = cholesky(scale_p), cholesky(scale_q)
    ratio = square_root(p / q)
    K, C, scaled, _ = of_factors(0 * diagonal(L), alike(ratio, L) * L, M)
    T = scaled / alike(ratio, L)
    a, b = _shapes(p, n), _shapes(q, n)
    rest = stirling_excess(b) - stirling_excess(a) - (b - a) * digamma_lag(a)
    of_df = total(divergence_term(b, a) - rest) - 0.5 * n * divergence_term(q, p)
    E, F = inverse_of_lower(L), product(transposed(C), T)
    P, one = product(transposed(C), C), identity(n, L)
    U = T - one
    excess = total(U * U) + 2 * total(diagonal(U))  # tr(V₂⁻¹ V₁) − n
    by_p = 0.5 * (excess + 0.5 * multiplied(p - q, total(trigamma(a))))
    slopes = log(b / a) - (digamma_lag(b) - digamma_lag(a)) - 2 * log(diagonal(T))
    by_scale_p = 0.5 * (p * P - q * product(transposed(E), E))
    by_scale_q = 0.5 * (q * P - p * product(F, transposed(F)))
    value = q * K + of_df
    value = where(head(value) < 0, 0.0, value)  # by rounding
    return value, by_p, by_scale_p, 0.5 * total(slopes), by_scale_q


def information_of_df(df: Number, scale: Number) -> Number:
    """Σ ψ′(aᵢ)/4."""
    n = head(scale).shape[0]
    return 0.25 * total(trigamma(_shapes(_known(df, n), n)))


def mean(df: Number, scale: Number) -> Number:
    return _known(df, head(scale).shape[0]) * symmetric(scale)


def variances(df: Number, scale: Number) -> Number:
    """Of each entry: ν (Vᵢⱼ² + Vᵢᵢ Vⱼⱼ)."""
    V = symmetric(scale)
    v = diagonal(V)
    rows = alike(v, V)
    return _known(df, head(V).shape[0]) * (multiplied(V, V) + multiplied(transposed(rows), rows))


def mode(df: Number, scale: Number) -> Number:
    n = head(scale).shape[0]
    excess = _known(df, n) - (n + 1)
    return where(head(excess) >= 0, excess, jnp.nan) * symmetric(scale)
