"""The formulas of the matrix normal distribution.

Notation: d = X − M is m × n; U = K Kᵀ is the covariance of rows, V = L Lᵀ that of columns; B = K⁻¹,
C = L⁻¹, Z = B d Cᵀ, whose entries are independent standard normal numbers, and A = U⁻¹ d V⁻¹ =
Bᵀ Z C.

Every formula gives a value, and the derivatives by each argument.

Source: Gupta and Nagar, Matrix Variate Distributions (2000), §2.2 and §2.3.
"""

from __future__ import annotations

import math

import jax.numpy as jnp

from fnmath.probability._gaussians import of_factors
from fnmath.probability._matrices import (
    cholesky,
    diagonal,
    identity,
    inverse_of_lower,
    product,
    total,
    transposed,
)
from fnmath.probability._numbers import Number, exp, head, log, where

Numbers = tuple[Number, ...]
_LOG_2_PI = math.log(2 * math.pi)


def _congruent(C: Number, A: Number) -> Number:
    """The matrix Cᵀ A C."""
    return product(transposed(C), product(A, C))


def _inverse(C: Number) -> Number:
    return product(transposed(C), C)


def _log_dets(K: Number, L: Number) -> Number:
    """Half of n log det U + m log det V."""
    m, n = head(K).shape[0], head(L).shape[0]
    return n * total(log(diagonal(K))) + m * total(log(diagonal(L)))


def density(x: Number, mean: Number, rowcov: Number, colcov: Number) -> Numbers:
    far = jnp.isinf(head(x))
    d, (m, n) = where(far, 0.0, x - mean), head(x).shape
    K, L = cholesky(rowcov), cholesky(colcov)
    B, C = inverse_of_lower(K), inverse_of_lower(L)
    Z = product(product(B, d), transposed(C))
    value = -0.5 * total(Z * Z) - _log_dets(K, L) - 0.5 * _LOG_2_PI * m * n
    value = where(far.any(), -jnp.inf * where(jnp.isnan(head(value)), jnp.nan, 1.0), value)
    A = product(transposed(B), product(Z, C))
    rows = 0.5 * (product(Z, transposed(Z)) - n * identity(m, K))
    columns = 0.5 * (product(transposed(Z), Z) - m * identity(n, L))
    return value, -A, A, _congruent(B, rows), _congruent(C, columns)


def exponential(x: Number, mean: Number, rowcov: Number, colcov: Number) -> Numbers:
    """The density itself."""
    value, *slopes = density(x, mean, rowcov, colcov)
    E = exp(value)
    return E, *(E * slope for slope in slopes)


def entropy(rowcov: Number, colcov: Number) -> Numbers:
    K, L = cholesky(rowcov), cholesky(colcov)
    m, n = head(K).shape[0], head(L).shape[0]
    value = _log_dets(K, L) + 0.5 * (1 + _LOG_2_PI) * m * n
    P, Q = (_inverse(inverse_of_lower(factor)) for factor in (K, L))
    return value, 0.5 * n * P, 0.5 * m * Q


def _excess(T: Number) -> tuple[Number, Number]:
    """‖T‖², and how much more it is than the number of rows of T, near the identity."""
    n = head(T).shape[0]
    U = T - identity(n, T)
    excess = total(U * U) + 2 * total(diagonal(U))
    return n + excess, excess


def divergence(
    mean_p: Number,
    rowcov_p: Number,
    colcov_p: Number,
    mean_q: Number,
    rowcov_q: Number,
    colcov_q: Number,
) -> Numbers:
    """By the divergences k and l of normal vectors, with the covariances of rows and of columns.

    It is n k + m l + ½ (tr(U₂⁻¹ U₁) − m) (tr(V₂⁻¹ V₁) − n) + ½ ‖Z‖².
    """
    m, n = head(mean_p).shape
    K, L = cholesky(rowcov_p), cholesky(colcov_p)
    of_rows, B, S, _ = of_factors(0 * diagonal(K), K, cholesky(rowcov_q))
    of_columns, C, T, _ = of_factors(0 * diagonal(L), L, cholesky(colcov_q))
    (rows, more_rows), (columns, more_columns) = _excess(S), _excess(T)
    Z = product(product(B, mean_p - mean_q), transposed(C))
    value = n * of_rows + m * of_columns + 0.5 * (more_rows * more_columns + total(Z * Z))
    A = product(transposed(B), product(Z, C))
    by_rows = n * identity(m, K) - columns * product(S, transposed(S)) - product(Z, transposed(Z))
    by_columns = m * identity(n, L) - rows * product(T, transposed(T)) - product(transposed(Z), Z)
    P, Q = (_inverse(inverse_of_lower(factor)) for factor in (K, L))
    return (
        where(head(value) < 0, 0.0, value),  # by rounding
        A,
        0.5 * (columns * _inverse(B) - n * P),
        0.5 * (rows * _inverse(C) - m * Q),
        -A,
        0.5 * _congruent(B, by_rows),
        0.5 * _congruent(C, by_columns),
    )
