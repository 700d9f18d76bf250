"""Square roots of symmetric matrices, with derivatives that exist where eigenvectors' do not.

Notation: S is symmetric and positive definite, R = S^½ its root with positive eigenvalues, Z = R⁻¹.

Where eigenvalues are alike, eigenvectors have no derivative, while R has: from R R = S,

    R Ṙ + Ṙ R = Ṡ,    Ż = −Z Ṙ Z

which is Lyapunov's equation. Its solution is differentiated by the same equation in turn, so that
both modes and every order stay available.

Source: Higham, Functions of Matrices (2008), §6.1 and §3.2 (the derivatives of matrix functions).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from fnmath.linear_algebra.products import transpose


def times(*matrices: jax.Array) -> jax.Array:
    """The product of matrices, in the full precision of their dtype."""
    first, *others = matrices
    for other in others:
        first = jnp.matmul(first, other, precision="highest")
    return first


def symmetric(S: jax.Array) -> jax.Array:
    """The symmetric part."""
    return 0.5 * (S + transpose(S))


def lyapunov(R: jax.Array, C: jax.Array) -> jax.Array:
    """The solution X of R X + X R = C, differentiated by that equation and not by eigenvectors."""

    def solved(_: object, C: jax.Array) -> jax.Array:
        r, U = jnp.linalg.eigh(R)
        inner = times(transpose(U), C, U) / (r[..., :, None] + r[..., None, :])
        return times(U, inner, transpose(U))

    return jax.lax.custom_linear_solve(
        lambda X: times(R, X) + times(X, R), C, solved, symmetric=True
    )


def _of_eigenvalues(S: jax.Array, power: float) -> jax.Array:
    s, U = jnp.linalg.eigh(S)
    return times(U * jnp.maximum(s, 0)[..., None, :] ** power, transpose(U))


@jax.custom_jvp
def square_root(S: jax.Array) -> jax.Array:
    """The root R; what rounding made of eigenvalues 0 counts 0."""
    return _of_eigenvalues(S, 0.5)


@square_root.defjvp
def _square_root_jvp(primals: tuple, tangents: tuple) -> tuple:
    (S,), (S_dot,) = primals, tangents
    R = square_root(S)
    return R, lyapunov(R, symmetric(S_dot))


@jax.custom_jvp
def inverse_square_root(S: jax.Array) -> jax.Array:
    """The inverse Z of the root."""
    return _of_eigenvalues(S, -0.5)


@inverse_square_root.defjvp
def _inverse_square_root_jvp(primals: tuple, tangents: tuple) -> tuple:
    (S,), (S_dot,) = primals, tangents
    Z = inverse_square_root(S)
    return Z, -times(Z, lyapunov(square_root(S), symmetric(S_dot)), Z)
