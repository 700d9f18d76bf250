"""Attention in blocks: the same averages, without ever holding the scores of all pairs.

Notation: as in ``dot_product_attention``; m_t is the largest score of a query, l_t the sum of
exp(s_ts − m_t) over its keys, so that p_ts = exp(s_ts − m_t) / l_t; a dot is a tangent.

What it costs
-------------
The weights of T queries and S keys fill T·S numbers for each head. Here a block of queries meets
one block of keys at a time. On the way forward m, l and the sum of the values grow from block to
block; where a larger score turns up, what has been summed is scaled down. On the way back the
scores of a block are formed anew from m and l: five products of matrices, where the plain form
makes four.

The derivative is written once, as a tangent:

    ȯ_t = Σₛ p_ts (ṡ_ts − ⟨p_t, ṡ_t⟩) vₛ + Σₛ p_ts v̇ₛ,    ⟨p_t, ṡ_t⟩ = l̇_t / l_t  (m held still)

It is a sum over blocks that is linear in the tangents, so what JAX makes of it by transposition is
the backward pass of FlashAttention, and forward mode and higher orders stay.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Bool, Float, Integer

from fnmath import _checks
from fnmath.layers.attention._offsets import Window
from fnmath.layers.attention._scores import Operands, Pattern, heads_last, operands, scores
from fnmath.numerics._shifted import odds


class _Plan(NamedTuple):
    """Which keys are seen by position, and how many queries and keys a block holds."""

    pattern: Pattern
    query_block: int
    key_block: int


class _Sums(NamedTuple):
    """What is known of the softmax of each query, and the average of the values under it."""

    largest: Any  # m (… K G T 1), −∞ where no key is seen
    total: Any  # l (… K G T 1)
    output: Any  # o (… K G T E)


@jax.custom_jvp
def _weights(z: Array, m: Array, total: Array) -> Array:
    """The weights p = exp(z − m) / l, 0 where z is −∞."""
    return odds(z, _shift(m)) / _divisor(total)


@_weights.defjvp
def _weights_jvp(primals: tuple, tangents: tuple) -> tuple:
    (z, m, total), (z_dot, _, total_dot) = primals, tangents
    p = _weights(z, m, total)
    return p, p * (z_dot - total_dot / _divisor(total))


def _shift(m: Array) -> Array:
    """The largest score, and 0 where no key is seen."""
    return jnp.where(m == -jnp.inf, 0, m)


def _divisor(total: Array) -> Array:
    """The sum of the odds, and 1 where no key is seen."""
    return jnp.where(total == 0, 1, total)


# Along which axis each array has an entry for each query, and for each key.
_ROWS = {"query": -2, "spoiled_query": -2, "bias": -2, "mask": -2, "largest": -2, "total": -2}
_COLUMNS = {"key": -2, "value": -2, "spoiled_key": -1, "bias": -1, "mask": -1}


def _cut(arrays: dict[str, Array], axes: dict[str, int], n: int, block: int) -> tuple[dict, dict]:
    """The arrays that have n entries along their axis, in blocks; and the others, as they are.

    The blocks come first, all of one size; the last is filled up with zeros.
    """
    cut, whole = {}, {}
    for name, x in arrays.items():
        axis = axes.get(name.removesuffix("_dot"), 0)
        if not axis or x.shape[axis] != n:
            whole[name] = x
            continue
        blocks = -(-n // block)
        padding = [(0, 0)] * x.ndim
        padding[axis] = (0, blocks * block - n)
        shape = (*x.shape[:axis], blocks, block, *x.shape[x.ndim + axis + 1 :])
        cut[name] = jnp.moveaxis(jnp.pad(x, padding).reshape(shape), axis - 1, 0)
    return cut, whole


def _over_blocks(
    plan: _Plan, arrays: dict[str, Array], start: Any, step: Callable[..., Any]
) -> tuple[Array, ...]:
    """For each block of queries the carry of ``step`` over the blocks of keys, queries joined.

    ``step(carry, x, rows, columns)`` is left out where no query of the block can see a key of it.
    What it computes on the way is not kept for transposition, but computed anew.
    """
    T, S = arrays["query"].shape[-2], arrays["key"].shape[-2]
    t, s = plan.query_block, plan.key_block
    by_keys, rest = _cut(arrays, _COLUMNS, S, s)
    both, keys_only = _cut(by_keys, _ROWS, T, t)
    queries_only, neither = _cut(rest, _ROWS, T, t)

    def row(_: None, xs: tuple) -> tuple[None, Any]:
        i, both, queries_only = xs
        rows = i * t + jnp.arange(t)[:, None]

        @functools.partial(jax.checkpoint, prevent_cse=False)
        def column(carry: Any, xs: tuple) -> tuple[Any, None]:
            j, by_keys = xs
            columns = j * s + jnp.arange(s)
            x = {**by_keys, **queries_only, **neither}
            known = jnp.where(columns < S, columns, -1)
            seen = _may_see(plan.pattern, i * t, i * t + t - 1, j * s, j * s + s - 1)
            if seen is None:
                return step(carry, x, rows, known), None
            return jax.lax.cond(
                seen, lambda carry: step(carry, x, rows, known), lambda carry: carry, carry
            ), None

        return None, jax.lax.scan(
            column, start(queries_only), (jnp.arange(-(-S // s)), both | keys_only)
        )[0]

    _, blocks = jax.lax.scan(row, None, (jnp.arange(-(-T // t)), both, queries_only))
    return jax.tree.map(functools.partial(_joined, n=T), blocks)


def _joined(x: Array, n: int) -> Array:
    """Blocks of rows, the blocks first, as one array of n rows."""
    x = jnp.moveaxis(x, 0, -3)
    *batch, blocks, rows, columns = x.shape
    return x.reshape(*batch, blocks * rows, columns)[..., :n, :]


def _may_see(pattern: Pattern, first: Any, last: Any, start: Any, end: Any) -> Any:
    """Whether a query from first to last can see a key from start to end; None if all can."""
    tests = []
    if pattern.is_causal:
        tests.append(start <= last)
    if pattern.before is not None and pattern.behind is not None:
        tests += [end >= first - pattern.before, start <= last + pattern.behind]
    return functools.reduce(jnp.logical_and, tests) if tests else None


def _zeros(x: dict[str, Array], value: Array) -> tuple[Array, Array]:
    """A number and a row of outputs for each query of a block."""
    shape = x["query"].shape[:-1]
    return jnp.zeros((*shape, 1), value.dtype), jnp.zeros((*shape, value.shape[-1]), value.dtype)


def _operands(x: dict[str, Array]) -> Operands:
    return Operands(**{name: x.get(name) for name in Operands._fields})


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _attention(plan: _Plan, arrays: dict[str, Array]) -> _Sums:
    def start(x: dict[str, Array]) -> _Sums:
        zero, row = _zeros(x, arrays["value"])
        return _Sums(zero - jnp.inf, zero, row)

    def step(sums: _Sums, x: dict[str, Array], rows: Array, columns: Array) -> _Sums:
        z, _ = scores(_operands(x), plan.pattern, rows, columns)
        m = jnp.maximum(sums.largest, jnp.max(z, -1, keepdims=True))
        w, shrunk = odds(z, _shift(m)), odds(sums.largest, _shift(m))
        return _Sums(
            m,
            shrunk * sums.total + jnp.sum(w, -1, keepdims=True),
            shrunk * sums.output + jnp.einsum("...gts,...se->...gte", w, x["value"]),
        )

    m, total, o = _over_blocks(plan, arrays, start, step)
    return _Sums(m, total, o / _divisor(total))


@functools.partial(_attention.defjvp, symbolic_zeros=True)
def _attention_jvp(plan: _Plan, primals: tuple, tangents: tuple) -> tuple:
    (arrays,), (dots,) = primals, tangents
    sums = _attention(plan, arrays)
    dots = {f"{name}_dot": x for name, x in dots.items() if not isinstance(x, SymbolicZero)}
    known = {**arrays, "largest": sums.largest, "total": sums.total}

    def start(x: dict[str, Array]) -> tuple[Array, Array]:
        return _zeros(x, arrays["value"])

    def step(slopes: tuple, x: dict[str, Array], rows: Array, columns: Array) -> tuple:
        """Adds Σₛ p ṡ, and Σₛ p (ṡ v + v̇)."""
        z, seen = scores(_operands(x), plan.pattern, rows, columns)
        p = jnp.where(seen, _weights(z, x["largest"], x["total"]), 0)
        by_score, by_output = slopes
        if z_dot := [
            *(_products(x[a], x[b]) for a, b in _FACTORS if a in x and b in x),
            *(x[a] for a in ("bias_dot",) if a in x),
        ]:
            w = jnp.where(seen, p * functools.reduce(jnp.add, z_dot), 0)
            by_score = by_score + jnp.sum(w, -1, keepdims=True)
            by_output = by_output + jnp.einsum("...gts,...se->...gte", w, x["value"])
        if "value_dot" in x:
            by_output = by_output + jnp.einsum("...gts,...se->...gte", p, x["value_dot"])
        return by_score, by_output

    by_score, by_output = _over_blocks(plan, known | dots, start, step)
    slopes = _Sums(
        jnp.zeros_like(sums.largest), sums.total * by_score, by_output - sums.output * by_score
    )
    return sums, slopes


_FACTORS = (("query_dot", "key"), ("query", "key_dot"))


def _products(q: Array, k: Array) -> Array:
    return jnp.einsum("...gtd,...sd->...gts", q, k)


def blockwise_attention(
    query: Float[Array, "*batch queries heads features"],
    key: Float[Array, "*batch keys key_value_heads features"],
    value: Float[Array, "*batch keys key_value_heads value_features"],
    bias: Float[Array, "..."] | None = None,
    mask: Bool[Array, "..."] | None = None,
    *,
    scale: float | Float[Array, ""] | None = None,
    is_causal: bool = False,
    query_seq_lengths: Integer[Array, "*batch"] | None = None,
    key_value_seq_lengths: Integer[Array, "*batch"] | None = None,
    local_window_size: Window | None = None,
    query_block: int = 512,
    key_block: int = 256,
) -> Float[Array, "*batch queries heads value_features"]:
    """Scaled dot-product attention whose memory grows with the length and not with its square.

        o_t = Σₛ exp(s_ts − m_t) vₛ / Σₛ exp(s_ts − m_t),    s_ts = c ⟨q_t, kₛ⟩ + b_ts

    summed block by block, m_t being the largest score so far. The answers are those of
    ``dot_product_attention`` to rounding, and so is the meaning of all arguments. Neither pass
    holds more than the scores of one block of queries with one block of keys, and pairs of blocks
    that causality or the window hides are left out, their work too. A bias or a mask with an entry
    for each pair is as large as it is, and so is the gradient of such a bias.

    Gradient:
        v̄ₛ = Σ_t p_ts ō_t,    s̄_ts = p_ts (⟨vₛ, ō_t⟩ − ⟨o_t, ō_t⟩),    b̄ = s̄
        q̄_t = c Σₛ s̄_ts kₛ,    k̄ₛ = c Σ_t s̄_ts q_t

    with the weights p_ts = exp(s_ts − m_t) / l_t of each block formed anew on the way back.

    Args:
        query: The queries of each head.
        key: The keys, an array: what a query is compared with.
        value: What is averaged, one for each key.
        bias: What is added to the scores, in nats, in a shape that broadcasts to (*batch heads
            queries keys). −∞ masks.
        mask: True where a query sees a key, in a shape that broadcasts like that of the bias.
        scale: The scale c of the scores; 1 / √features if None.
        is_causal: Whether a query sees keys up to its own position only, both counted from the
            start.
        query_seq_lengths: How many queries of each sequence there are; all if None. The others
            have outputs 0.
        key_value_seq_lengths: How many keys of each sequence there are; all if None.
        local_window_size: How many keys ``(before, behind)`` its own position a query sees, or one
            number for both; all if None.
        query_block: The most queries of a block.
        key_block: The most keys of a block; the defaults are those that were fastest on two cores.

    Returns:
        The outputs, in the layout of the queries.

    Raises:
        TypeError: If an array does not hold numbers of its kind, or an option is none of its kind.
        ValueError: If the shapes do not fit, or an option is out of its range.

    Example:
        >>> from fnmath.layers import dot_product_attention
        >>> x = jnp.sin(jnp.arange(24.0)).reshape(6, 2, 2)
        >>> plain = dot_product_attention(x, x, x, is_causal=True)
        >>> blocks = blockwise_attention(x, x, x, is_causal=True, query_block=2, key_block=3)
        >>> print(bool(jnp.allclose(plain, blocks)))
        True

    Source:
        Rabe and Staats, Self-attention does not need O(n²) memory (2021), §2 and §3; Milakov and
        Gimelshein, Online normalizer calculation for softmax (2018), §3; Dao et al.,
        FlashAttention (2022), §3.1 and appendix B (the backward pass).
    """
    _checks.size("blockwise_attention", query_block=query_block, key_block=key_block)
    x, pattern = operands(
        "blockwise_attention",
        query,
        key,
        value,
        bias,
        mask,
        scale=scale,
        is_causal=is_causal,
        query_seq_lengths=query_seq_lengths,
        key_value_seq_lengths=key_value_seq_lengths,
        local_window_size=local_window_size,
    )
    T, S = x.query.shape[-2], x.key.shape[-2]
    plan = _Plan(pattern, _even(T, query_block), _even(S, key_block))
    arrays = {name: a for name, a in x._asdict().items() if a is not None}
    o = _attention(plan, arrays).output
    return heads_last(o, jnp.result_type(query, key, value))


def _even(n: int, block: int) -> int:
    """The size of the fewest blocks of one size that hold n, none larger than ``block``."""
    return max(1, -(-n // max(1, -(-n // block))))
