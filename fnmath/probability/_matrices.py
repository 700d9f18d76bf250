"""Factors, solutions and products of matrices of numbers, plain ones or pairs.

Notation: a pair is head + tail, as in ``_numbers``; L is lower triangular, S = L Lᵀ symmetric and
positive definite.

A solution with a matrix of condition κ loses a factor κ of its digits, whatever its formula. So
logarithms of densities are computed with pairs, which have as many digits again. What is written
here for pairs are loops over columns; read in plain numbers the same functions are JAX's own, which
can be differentiated.

Source: Golub and Van Loan, Matrix Computations (2013), §4.2.5 (Cholesky's factor by outer products)
and §3.1.3 (forward substitution by columns).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from fnmath.linear_algebra._spectral import times
from fnmath.numerics._once import unforeseen
from fnmath.numerics._pairs import halves, two_sum
from fnmath.probability._numbers import Number, Pair, head, where


def placed(f: Callable[[jax.Array], jax.Array], x: Number) -> Number:
    """The number with its entries elsewhere, or fewer of them: f moves and does not calculate."""
    return Pair(f(x.head), f(x.tail)) if isinstance(x, Pair) else f(jnp.asarray(x))


def diagonal(A: Number) -> Number:
    return placed(jnp.diagonal, A)


def as_diagonal(v: Number) -> Number:
    return placed(jnp.diag, v)


def transposed(A: Number) -> Number:
    return placed(jnp.transpose, A)


def lower(A: Number) -> Number:
    return placed(jnp.tril, A)


def column(v: Number) -> Number:
    return placed(lambda a: a[:, None], v)


def multiplied(x: Number, y: Number) -> Number:
    """The product, of pairs right to ε² itself, where that of ``Pair`` is to its root's cube.

    Products of halves are exact, so that it is of no matter how a compiler adds them.
    """
    if not (isinstance(x, Pair) and isinstance(y, Pair)):
        return x * y
    (a, b), (c, d) = halves(x.head), halves(y.head)
    s, first = two_sum(a * c, a * d)
    s, second = two_sum(s, b * c)
    small = (first + second) + (b * d + (x.head * y.tail + x.tail * y.head))
    finfo = jnp.finfo(s.dtype)
    # Where the small parts would be flushed to 0 there is one product, rounded.
    exact = (lax.abs(s) >= float(finfo.tiny) * 2.0 ** (finfo.nmant + 7)) & lax.is_finite(s)
    zero = lax.full_like(s, 0)
    rounded = Pair(lax.select(exact, s, x.head * y.head), zero)
    return rounded + Pair(lax.select(exact, small, zero), zero)


def divided(x: Number, y: Number) -> Number:
    """The quotient of two numbers of one shape, of pairs right to ε² likewise."""
    if not (isinstance(x, Pair) and isinstance(y, Pair)):
        return x / y
    zero = lax.full_like(x.head, 0)
    q = Pair(x.head / y.head, zero)
    rest = head(x - multiplied(y, q)) / y.head
    return q + Pair(lax.select(lax.is_finite(rest), rest, zero), zero)


def outer(u: Number, v: Number) -> Number:
    """The matrix uᵢ vⱼ."""
    return multiplied(column(u), placed(lambda a: a[None, :], v))


def along_rows(v: Number, A: Number) -> Number:
    """The matrix of the shape of A with the rows (vᵢ, …, vᵢ)."""
    return placed(lambda a: jnp.broadcast_to(a[:, None], head(A).shape), v)


def identity(n: int, like: Number) -> Number:
    one = jnp.eye(n, dtype=head(like).dtype)
    return Pair(one, jnp.zeros_like(one)) if isinstance(like, Pair) else one


def symmetric(S: Number) -> Number:
    """The symmetric part."""
    return 0.5 * (S + transposed(S))


def total(x: Number, axis: int | None = None) -> Number:
    """The sum of all entries, or along an axis."""
    if not isinstance(x, Pair):
        return jnp.sum(jnp.asarray(x), axis)
    axes = tuple(range(x.head.ndim)) if axis is None else (axis % x.head.ndim,)

    def add(a: tuple[jax.Array, ...], b: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        s = Pair(*a) + Pair(*b)
        return s.head, s.tail

    zero = jnp.zeros((), x.head.dtype)
    return Pair(*lax.reduce((x.head, x.tail), (zero, zero), add, axes))


def applied(A: Number, x: Number) -> Number:
    """The product of a matrix and a vector."""
    if not isinstance(A, Pair):
        return times(jnp.asarray(A), column(x))[:, 0]
    return total(multiplied(A, placed(lambda a: a[None, :], x)), 1)


def _looped(steps: int, step: Callable[..., tuple[Pair, ...]], *start: Number) -> tuple[Pair, ...]:
    """Pairs after so many steps k, x → step(k, *x)."""

    def body(k: jax.Array, parts: list[tuple[jax.Array, jax.Array]]) -> list:
        return [(x.head, x.tail) for x in step(k, *(Pair(*part) for part in parts))]

    return tuple(
        Pair(*part) for part in lax.fori_loop(0, steps, body, [(x.head, x.tail) for x in start])
    )


def _taken(A: Pair, k: jax.Array, axis: int) -> Pair:
    return placed(lambda a: lax.dynamic_index_in_dim(a, k, axis, keepdims=False), A)


def product(A: Number, B: Number) -> Number:
    """The product of two matrices."""
    if not isinstance(A, Pair):
        return times(jnp.asarray(A), jnp.asarray(B))
    zero = jnp.zeros((A.head.shape[0], head(B).shape[1]), A.head.dtype)

    def add(k: jax.Array, C: Pair) -> tuple[Pair]:
        return (C + outer(_taken(A, k, 1), _taken(B, k, 0)),)

    return _looped(A.head.shape[1], add, Pair(zero, zero))[0]


def square_root(x: Number) -> Number:
    """The square root, nan below 0."""
    if not isinstance(x, Pair):
        return jnp.sqrt(x)
    r = jnp.sqrt(x.head)
    some = jnp.where(r > 0, r, 1)
    root = Pair(r, jnp.zeros_like(r))
    rest = head(x - multiplied(root, root)) / (2 * some)
    return root + jnp.where((r > 0) & (r < jnp.inf), rest, 0)


def solved(L: Number, B: Number) -> Number:
    """The solution X of L X = B."""
    if not isinstance(L, Pair):
        return jax.scipy.linalg.solve_triangular(L, B, lower=True)

    def substitute(k: jax.Array, X: Pair) -> tuple[Pair]:
        below, x = _taken(L, k, 1), _taken(X, k, 0)
        i = jnp.arange(below.head.size)
        row = divided(x, placed(lambda a: jnp.full_like(x.head, a[k]), below))
        below = where(i > k, below, 0.0)
        change = outer(below, row)
        rows = placed(lambda a: jnp.broadcast_to(a, X.head.shape), row)
        here = jnp.broadcast_to((i == k)[:, None], X.head.shape)
        return (where(here, rows, X - change),)

    return _looped(L.head.shape[0], substitute, B)[0]


def inverse_of_lower(L: Number) -> Number:
    """The inverse C of the factor, for which C S Cᵀ = I."""
    return solved(L, identity(head(L).shape[0], L))


def _roots(v: jax.Array) -> jax.Array:
    """Powers of 2 near the square roots of the variances."""
    _, exponent = jnp.frexp(jnp.where((v > 0) & jnp.isfinite(v), v, 1))
    return jnp.ldexp(jnp.ones_like(v), exponent // 2)


def cholesky(S: Number) -> Number:
    """The factor L of the symmetric part of S, nan unless that is positive definite.

    Rows and columns are first scaled by powers of 2, which rounds nothing.
    """
    scale = _roots(lax.stop_gradient(jnp.diagonal(head(S))))
    inverse = 1 / scale
    S = placed(lambda a: a * inverse[:, None] * inverse[None, :], symmetric(S))
    L = _cholesky(S) if isinstance(S, Pair) else jnp.linalg.cholesky(S, symmetrize_input=False)
    pivots = jnp.diagonal(head(L))
    known = ((pivots > 0) & jnp.isfinite(pivots)).all()
    L = placed(lambda a: a * scale[:, None], L)
    return where(jnp.broadcast_to(known, head(L).shape), L, jnp.nan)


def _cholesky(S: Pair) -> Pair:
    def eliminate(k: jax.Array, S: Pair, L: Pair) -> tuple[Pair, Pair]:
        below = _taken(S, k, 1)
        i = jnp.arange(below.head.size)
        root = square_root(placed(lambda a: a[k], below))
        pivot = placed(lambda a: jnp.full_like(below.head, a), root)
        below = divided(where(i >= k, below, 0.0), pivot)
        here = jnp.broadcast_to(i == k, S.head.shape)
        filled = placed(lambda a: jnp.broadcast_to(a[:, None], S.head.shape), below)
        return S - outer(below, below), where(here, filled, L)

    zero = jnp.zeros_like(S.head)
    return _looped(S.head.shape[0], eliminate, S, Pair(zero, zero))[1]


Formula = Callable[..., Any]


def _read(formula: Formula) -> Callable[..., Any]:
    """The formula's numbers, read in pairs and rounded; their derivatives in plain numbers."""

    def of_pairs(*args: jax.Array) -> tuple[jax.Array, ...]:
        found = formula(*(Pair(a, jnp.zeros_like(a)) for a in args))
        return tuple(head(y).astype(args[0].dtype) for y in found)

    def plain(*args: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(jnp.asarray(y, args[0].dtype) for y in formula(*args))

    read = jax.custom_jvp(of_pairs)
    read.defjvp(lambda args, tangents: (read(*args), jax.jvp(plain, args, tangents)[1]))
    return read


@functools.cache
def without_slopes(formula: Formula) -> Callable[..., jax.Array]:
    """The formula, a scalar, read in pairs and rounded once; its derivatives in plain numbers."""
    read = _read(lambda *args: (formula(*args),))
    return lambda *args: read(*args)[0]


@functools.cache
def with_slopes(formula: Formula) -> Callable[..., jax.Array]:
    """The first number of the formula, a scalar; the others are its derivatives by each argument.

    All are read in pairs and rounded once. Derivatives of higher order are those of these formulas
    in plain numbers.
    """
    read = _read(formula)

    @jax.custom_jvp
    def function(*args: jax.Array) -> jax.Array:
        return read(*args)[0]

    def rule(args: tuple[jax.Array, ...], tangents: tuple[Any, ...]) -> tuple:
        value, *slopes = read(*(jnp.asarray(a) for a in args))
        # An argument held constant adds nothing, not even the nan of an infinite slope · 0.
        terms = [
            jnp.sum(slope * tangent)
            for slope, tangent in zip(slopes, tangents, strict=True)
            if not isinstance(tangent, SymbolicZero)
        ]
        return value, functools.reduce(jnp.add, terms, jnp.zeros_like(value))

    function.defjvp(rule, symbolic_zeros=True)
    return function


@functools.cache
def slopes_of(formula: Formula) -> Callable[..., tuple[jax.Array, ...]]:
    """The derivatives alone."""
    read = _read(formula)
    return lambda *args: read(*args)[1:]


@functools.cache
def _over_leading_axes(f: Callable[..., Any], signature: str) -> Callable[..., Any]:
    """One compiled program for each shape: operation by operation there would be thousands."""
    return jax.jit(jnp.vectorize(f, signature=signature))


def evaluated(f: Callable[..., Any], signature: str, *arrays: Any) -> Any:
    """The function over the leading axes, in float32 at least, its results rounded once.

    What an argument does not share with the others is computed once for all of them.
    """
    dtype = jnp.result_type(*arrays)
    wide = jnp.promote_types(dtype, jnp.float32)
    given = unforeseen(*(jnp.asarray(a, wide) for a in arrays))
    found = _over_leading_axes(f, signature)(*given)
    return jax.tree.map(lambda y: y.astype(dtype), found)
