"""What all forms of attention share: the operands, checked; which pairs count; their scores.

Notation: T queries and S keys of D features, values of E features; N heads in K groups of G, where
the heads of a group share keys and values. The arrays are laid out with time next to features,
queries (…, K, G, T, D), keys (…, K, S, D), scores (…, K, G, T, S): matrices, with all before them
as batch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.layers.attention._offsets import sides


class Operands(NamedTuple):
    """What attention is computed from.

    A query, a key or a value that holds nan or ∞ is noted as ``spoiled`` and replaced by zeros: 0
    times nan would be nan, and carry it to queries that do not see it.
    """

    query: Any  # (… K G T D), scaled
    key: Any  # (… K S D)
    value: Any  # (… K S E)
    bias: Any = None  # broadcasts to (… K G T S)
    mask: Any = None  # likewise
    query_lengths: Any = None  # (… 1 1 1 1)
    key_lengths: Any = None  # (… 1 1 1 1)
    spoiled_query: Any = None  # (… K G T 1)
    spoiled_key: Any = None  # (… K 1 1 S), by the key or its value


class Pattern(NamedTuple):
    """Which keys each query sees by their positions alone."""

    is_causal: bool
    before: int | None
    behind: int | None


def operands(
    function: str,
    query: Any,
    key: Any,
    value: Any,
    bias: Any,
    mask: Any,
    *,
    scale: Any,
    is_causal: Any,
    query_seq_lengths: Any,
    key_value_seq_lengths: Any,
    local_window_size: Any,
) -> tuple[Operands, Pattern]:
    """The arguments, checked and laid out, in single precision at least."""
    _check_shapes(function, query, key, value)
    *batch, T, N, D = jnp.shape(query)
    S, K = jnp.shape(key)[-3:-1]
    scale = 1 / np.sqrt(max(D, 1)) if scale is None else scale
    _checks.scalar(function, "scale", scale)
    wide = jnp.promote_types(jnp.result_type(query, key, value), jnp.float32)
    q = jnp.asarray(query, wide).reshape(*batch, T, K, N // K, D)
    q = jnp.moveaxis(q, -4, -2) * jnp.asarray(scale, wide)
    k, v = (jnp.swapaxes(jnp.asarray(x, wide), -3, -2) for x in (key, value))
    bad_q, bad_k, bad_v = (~jnp.isfinite(x).all(-1, keepdims=True) for x in (q, k, v))
    if bias is not None:
        _checks.floating(function, bias=bias)
        bias = jnp.asarray(_for_pairs(function, "bias", bias, (*batch, K, N // K, T, S)), wide)
    if mask is not None:
        _checks.array(function, "mask", mask)
        mask = _for_pairs(function, "mask", mask, (*batch, K, N // K, T, S))
    known = Operands(
        query=jnp.where(bad_q, 0, q),
        key=jnp.where(bad_k, 0, k),
        value=jnp.where(bad_v, 0, v),
        bias=bias,
        mask=mask,
        query_lengths=_lengths(function, "query_seq_lengths", query_seq_lengths, (*batch,)),
        key_lengths=_lengths(function, "key_value_seq_lengths", key_value_seq_lengths, (*batch,)),
        spoiled_query=bad_q,
        spoiled_key=jnp.swapaxes(bad_k | bad_v, -1, -2)[..., None, :, :],
    )
    return known, _pattern(function, is_causal, local_window_size)


def _pattern(function: str, is_causal: Any, window: Any) -> Pattern:
    _checks.boolean(function, "is_causal", is_causal)
    if window is None:
        return Pattern(bool(is_causal), None, None)
    return Pattern(bool(is_causal), *sides(function, "local_window_size", window))


def _check_shapes(function: str, query: Any, key: Any, value: Any) -> None:
    """Raise unless queries, keys and values are of one batch, and heads fall into groups."""
    _checks.floating(function, query=query, key=key, value=value)
    _checks.rank(function, "query", query, "queries heads features")
    _checks.rank(function, "key", key, "keys key_value_heads features")
    _checks.rank(function, "value", value, "keys key_value_heads value_features")
    q, k, v = jnp.shape(query), jnp.shape(key), jnp.shape(value)
    if k[:-1] != v[:-1]:
        _checks.fail(function, f"key {k} and value {v} must agree in all axes but the last")
    if q[:-3] != k[:-3]:
        _checks.fail(function, f"query {q} and key {k} must have the same batch axes")
    _checks.same_size(function, "features", query=q[-1], key=k[-1])
    if not k[-2] or q[-2] % k[-2]:
        problem = f"the {q[-2]} heads of the query do not fall into groups, one for each of the"
        _checks.fail(function, f"{problem} {k[-2]} heads of the key")


def _for_pairs(function: str, argument: str, x: Any, groups: tuple[int, ...]) -> Array:
    """What broadcasts to the scores (*batch heads queries keys), its heads in groups (… K G …)."""
    *batch, K, G, T, S = groups
    came, scores = jnp.shape(x), (*batch, K * G, T, S)
    if len(came) > 2 and came[-3] not in (1, K * G) and came == (*batch, T, S):
        problem = f"{argument} {came} has no axis for the heads of the scores {scores}"
        _checks.fail(function, problem, f"{argument}[..., None, :, :]")
    if argument == "mask":
        _checks.mask(function, argument, x, scores=empty(scores))
    _checks.broadcasts_to(function, argument, x, "scores", empty(scores))
    x = jnp.asarray(x).reshape((1,) * (3 - len(came)) + came)
    heads = (K, G) if x.shape[-3] == K * G else (1, 1)
    return x.reshape(*x.shape[:-3], *heads, *x.shape[-2:])


def empty(shape: tuple[int, ...]) -> np.ndarray:
    """A stand-in, of no memory, for an array of that shape."""
    return np.broadcast_to(False, shape)


def _lengths(function: str, argument: str, x: Any, batch: tuple[int, ...]) -> Array | None:
    if x is None:
        return None
    _checks.integer(function, **{argument: x})
    if jnp.shape(x) != batch:
        problem = f"{argument} has shape {jnp.shape(x)}; wanted one for each sequence, {batch}"
        _checks.fail(function, problem)
    return jnp.asarray(x)[..., None, None, None, None]


def scores(x: Operands, pattern: Pattern, rows: Array, columns: Array) -> tuple[Array, Array]:
    """The scores of all pairs, −∞ where one does not count, and which do.

    ``rows`` (T 1) and ``columns`` (S) are the positions of the queries and of the keys: all of
    them, or those of a block, where −1 is no key. A bias of −∞ masks, as masks that are added do.
    """
    z = jnp.einsum("...gtd,...sd->...gts", x.query, x.key)
    seen = columns >= 0
    if x.bias is not None:
        z, seen = z + x.bias, seen & (x.bias != -jnp.inf)
    if x.mask is not None:
        seen = seen & x.mask
    if x.query_lengths is not None:
        seen = seen & (rows < x.query_lengths)
    if x.key_lengths is not None:
        seen = seen & (columns < x.key_lengths)
    if pattern.is_causal:
        seen = seen & (columns <= rows)
    if pattern.before is not None and pattern.behind is not None:
        seen = seen & (columns >= rows - pattern.before) & (columns <= rows + pattern.behind)
    z = z + jnp.where(x.spoiled_query | x.spoiled_key, jnp.nan, 0)
    return jnp.where(seen, z, -jnp.inf), seen


def heads_last(y: Float[Array, "*batch K G T E"], dtype: Any) -> Float[Array, "*batch T N E"]:
    """The outputs as they are handed back: time first, then all heads."""
    *batch, K, G, T, E = y.shape
    return jnp.moveaxis(y, -2, -4).reshape(*batch, T, K * G, E).astype(dtype)


def check_rate(function: str, rate: Any) -> None:
    """Raise unless the dropout rate is a Python number in [0, 1)."""
    if isinstance(rate, jax.Array | np.ndarray):
        problem = "dropout_rate is an array; wanted a Python number"
        _checks.fail(function, problem, error=TypeError)
    _checks.number(function, "dropout_rate", rate, above=0, below=1, closed="[")


def dropped(function: str, weights: Array, key: Any, rate: Any) -> Array:
    """The weights with each set to 0 with the probability ``rate``, the others enlarged for it.

    Without a key, and at a rate of 0, nothing is dropped.
    """
    check_rate(function, rate)
    if key is None:
        return weights
    _checks.key(function, key, "dropout_key")
    if not rate:
        return weights
    kept = jax.random.bernoulli(key, 1 - rate, weights.shape)
    return jnp.where(kept, weights / (1 - rate), 0)
