"""The formulas of the multivariate normal distribution, for each form of its covariance.

Notation: d = x − μ; Σ = L Lᵀ is the covariance, C = L⁻¹ and P = Σ⁻¹ = Cᵀ C; z = C d and α = P d, so
that dᵀ P d = |z|². Of a low rank, Σ = W Wᵀ + diag(v), and no n × n matrix is formed:

    K = I + Wᵀ A,    A = diag(v)⁻¹ W,    α = d/v − A c,    c = K⁻¹ Aᵀ d
    P = diag(1/v) − A K⁻¹ Aᵀ,    det Σ = det K · Π vᵢ,    dᵀ P d = Σ vᵢ αᵢ² + |c|²

Every formula gives a value, and the derivatives by each argument. Values are sums of terms none of
which is larger than the sum, as far as there are such.

Source: Petersen and Pedersen, The Matrix Cookbook (2012), §2.1, §3.2.2 (Woodbury's identity) and
§8; Murray, Differentiation of the Cholesky decomposition (2016).
"""

from __future__ import annotations

import functools
import math

import jax.numpy as jnp

from fnmath.probability._matrices import (
    Formula,
    along_rows,
    applied,
    as_diagonal,
    cholesky,
    diagonal,
    divided,
    identity,
    inverse_of_lower,
    lower,
    multiplied,
    outer,
    product,
    total,
    transposed,
)
from fnmath.probability._numbers import Number, exp, head, lag_of_ratio, log, where

Numbers = tuple[Number, ...]
_LOG_2_PI = math.log(2 * math.pi)


def _positive(v: Number) -> Number:
    """The entries, nan unless all are above 0 and finite."""
    known = ((head(v) > 0) & (head(v) < jnp.inf)).all()
    return where(jnp.broadcast_to(known, head(v).shape), v, jnp.nan)


def factor(L: Number) -> Number:
    """The lower triangle, nan unless its diagonal is positive."""
    L = lower(L)
    unknown = jnp.isnan(head(_positive(diagonal(L)))).any()
    return where(jnp.broadcast_to(unknown, head(L).shape), jnp.nan, L)


def _guarded(density: Formula) -> Formula:
    """The density, 0 where an entry of x is infinite."""

    def guarded(x: Number, mean: Number, *covariance: Number) -> Numbers:
        far = jnp.isinf(head(x))
        value, *slopes = density(where(far, mean, x), mean, *covariance)
        value = where(far.any(), -jnp.inf * where(jnp.isnan(head(value)), jnp.nan, 1.0), value)
        return value, *slopes

    return guarded


def _by_factor(d: Number, L: Number) -> tuple[Number, Number, Number, Number]:
    """The log-density, C, z and α."""
    C = inverse_of_lower(L)
    z = applied(C, d)
    logarithms = total(log(diagonal(L)))
    value = -0.5 * total(z * z) - logarithms - 0.5 * _LOG_2_PI * head(d).size
    return value, C, z, applied(transposed(C), z)


@_guarded
def dense_density(x: Number, mean: Number, S: Number) -> Numbers:
    value, C, _, a = _by_factor(x - mean, cholesky(S))
    return value, -a, a, 0.5 * (outer(a, a) - product(transposed(C), C))


@_guarded
def cholesky_density(x: Number, mean: Number, L: Number) -> Numbers:
    L = factor(L)
    value, _, z, a = _by_factor(x - mean, L)
    return value, -a, a, lower(outer(a, z)) - as_diagonal(1 / diagonal(L))


@_guarded
def diagonal_density(x: Number, mean: Number, v: Number) -> Numbers:
    v, d = _positive(v), x - mean
    a = d / v
    value = -0.5 * total(d * a + log(v)) - 0.5 * _LOG_2_PI * head(d).size
    return value, -a, a, 0.5 * (a * a - 1 / v)


def _low_rank(W: Number, v: Number) -> tuple[Number, Number, Number]:
    """The matrices A and B = A K⁻¹, and log det Σ."""
    A = divided(W, along_rows(v, W))
    K = identity(head(W).shape[1], W) + product(transposed(W), A)
    L = cholesky(K)
    C = inverse_of_lower(L)
    B = product(product(A, transposed(C)), C)
    return A, B, total(log(v)) + 2 * total(log(diagonal(L)))


def _precisions(A: Number, B: Number, v: Number) -> Number:
    """The diagonal of P."""
    return 1 / v - total(multiplied(A, B), 1)


@_guarded
def low_rank_density(x: Number, mean: Number, W: Number, v: Number) -> Numbers:
    v, d = _positive(v), x - mean
    A, B, log_det = _low_rank(W, v)
    c = applied(transposed(B), d)
    a = divided(d, v) - applied(A, c)
    value = -0.5 * (total(v * a * a) + total(c * c) + log_det) - 0.5 * _LOG_2_PI * head(d).size
    return value, -a, a, outer(a, c) - B, 0.5 * (a * a - _precisions(A, B, v))


def _entropy(log_det: Number, n: int) -> Number:
    return 0.5 * log_det + 0.5 * n * (1 + _LOG_2_PI)


def dense_entropy(S: Number) -> Numbers:
    L = cholesky(S)
    C = inverse_of_lower(L)
    return _entropy(2 * total(log(diagonal(L))), head(L).shape[0]), 0.5 * product(transposed(C), C)


def cholesky_entropy(L: Number) -> Numbers:
    v = diagonal(factor(L))
    return _entropy(2 * total(log(v)), head(v).size), as_diagonal(1 / v)


def diagonal_entropy(v: Number) -> Numbers:
    v = _positive(v)
    return _entropy(total(log(v)), head(v).size), 0.5 / v


def low_rank_entropy(W: Number, v: Number) -> Numbers:
    v = _positive(v)
    A, B, log_det = _low_rank(W, v)
    return _entropy(log_det, head(v).size), B, 0.5 * _precisions(A, B, v)


def of_factors(d: Number, L: Number, M: Number) -> tuple[Number, Number, Number, Number]:
    """The divergence of L Lᵀ from M Mᵀ, C = M⁻¹, T = C L and z = C d.

    It is half of |z|², of what T has below its diagonal, squared, and of the t² − 1 − log t² of
    what it has there, which is 2 (t − 1 − log t) + (t − 1)².
    """
    C = inverse_of_lower(M)
    z, U = applied(C, d), product(C, L - M)
    lags = lag_of_ratio(diagonal(L), diagonal(M))
    return (
        0.5 * (total(z * z) + total(U * U)) + total(lags),
        C,
        identity(head(L).shape[0], L) + U,
        z,
    )


def dense_divergence(mean_p: Number, S: Number, mean_q: Number, R: Number) -> Numbers:
    L, M = cholesky(S), cholesky(R)
    value, C, T, z = of_factors(mean_p - mean_q, L, M)
    a, P = applied(transposed(C), z), product(transposed(C), C)
    E, F = inverse_of_lower(L), product(transposed(C), T)
    by_p = 0.5 * (P - product(transposed(E), E))
    return value, a, by_p, -a, 0.5 * (P - product(F, transposed(F)) - outer(a, a))


def cholesky_divergence(mean_p: Number, L: Number, mean_q: Number, M: Number) -> Numbers:
    L, M = factor(L), factor(M)
    value, C, T, z = of_factors(mean_p - mean_q, L, M)
    a, F = applied(transposed(C), z), product(transposed(C), T)
    by_p = lower(F) - as_diagonal(1 / diagonal(L))
    by_q = as_diagonal(1 / diagonal(M)) - lower(product(F, transposed(T)) + outer(a, z))
    return value, a, by_p, -a, by_q


def diagonal_divergence(mean_p: Number, v: Number, mean_q: Number, w: Number) -> Numbers:
    v, w, d = _positive(v), _positive(w), mean_p - mean_q
    a = d / w
    value = 0.5 * total(lag_of_ratio(v, w) + d * a)
    return value, a, 0.5 * ((v - w) / (v * w)), -a, 0.5 * ((w - v) / (w * w) - a * a)


def low_rank_divergence(
    mean_p: Number, V: Number, v: Number, mean_q: Number, W: Number, w: Number
) -> Number:
    """Half of tr(Σ₂⁻¹ Σ₁) − n − log det Σ₁ + log det Σ₂ + dᵀ Σ₂⁻¹ d."""
    v, w, d = _positive(v), _positive(w), mean_p - mean_q
    _, _, log_det_p = _low_rank(V, v)
    A, B, log_det_q = _low_rank(W, w)
    c = applied(transposed(B), d)
    a = divided(d, w) - applied(A, c)
    weighted = multiplied(multiplied(A, B), along_rows(v, A))
    traces = total((v - w) / w) - total(weighted)
    moved = divided(V, along_rows(w, V)) - product(A, product(transposed(B), V))  # Σ₂⁻¹ V
    rest = total(w * a * a) + total(c * c) + (log_det_q - log_det_p)
    return 0.5 * (traces + total(V * moved) + rest)


def dense_of_factor(L: Number) -> Number:
    L = factor(L)
    return product(L, transposed(L))


def dense_of_diagonal(v: Number) -> Number:
    return as_diagonal(_positive(v))


def dense_of_low_rank(W: Number, v: Number) -> Number:
    return product(W, transposed(W)) + as_diagonal(_positive(v))


@functools.cache
def exponential(density: Formula) -> Formula:
    """The density, of the formula of its logarithm."""

    def of_arguments(*args: Number) -> Numbers:
        value, *slopes = density(*args)
        E = exp(value)
        return E, *(E * slope for slope in slopes)

    return of_arguments


def meaning(S: Number) -> Number:
    """1 where the matrix is positive definite, nan elsewhere."""
    L = cholesky(S)
    return where(jnp.isnan(head(L)).any(), jnp.nan, 0 * head(L)[0, 0] + 1)


def precision(S: Number) -> Number:
    """The matrix P."""
    C = inverse_of_lower(cholesky(S))
    return product(transposed(C), C)
