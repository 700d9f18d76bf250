"""Positions: how a layer that looks at a set of entries learns their order.

Notation: n is a position, D a number of features, ωᵢ = base^(−2i/D) the i-th angular frequency, in
radians per position, for i < D/2; R_n turns the i-th pair of features by the angle n ωᵢ.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer, PRNGKeyArray

from fnmath import _checks
from fnmath.initializers import normal
from fnmath.layers._angles import cosine_and_sine
from fnmath.layers._arguments import Initializer, drawn
from fnmath.layers._rows import rows_of
from fnmath.layers.attention._offsets import ahead, checked_offset
from fnmath.layers.attention._scores import empty


def rotary(
    x: Float[Array, "*batch time heads features"],
    positions: Integer[Array, "..."],
    *,
    base: float = 10000.0,
    interleaved: bool = False,
) -> Float[Array, "*batch time heads features"]:
    """Rotation of pairs of features by angles proportional to the position.

        (a, b) ↦ (a cos nωᵢ − b sin nωᵢ,  a sin nωᵢ + b cos nωᵢ),    ωᵢ = base^(−2i/D)

    It is orthogonal, and ⟨R_m q, R_n k⟩ = ⟨q, R_{n−m} k⟩: the score of a query and a key depends on
    their distance and not on where they stand. The angles are reduced to an eighth of a turn in
    integers, so cosine and sine are as right at position 10⁹ as at 1; n·ωᵢ in float32 is wrong by
    thousandths of a radian at 10⁵ already.

    Gradient:
        x̄ = R_{−n} ȳ

    Args:
        x: Queries or keys, in heads.
        positions: The position of each entry, an integer below 0 or not, in a shape that broadcasts
            to (*batch time).
        base: What the wavelengths, 2π to 2π · base positions, rise to.
        interleaved: Which features are a pair: i and i + D/2 if False (GPT-NeoX, Llama), 2i and
            2i + 1 if True (RoFormer, GPT-J).

    Returns:
        The rotated features, in the layout of x.

    Raises:
        TypeError: If x is not a floating-point array, the positions no integers, or the base not a
            number.
        ValueError: If x has fewer than three axes or an odd number of features, the positions do
            not fit, or the base is below 1.

    Example:
        >>> x = jnp.array([[[1.0, 0.0]], [[1.0, 0.0]]])  # two positions, one head, one pair
        >>> print(rotary(x, jnp.array([0, 1]))[:, 0].round(4))  # turned by 0 and by 1 radian
        [[1.     0.    ]
         [0.5403 0.8415]]

    Source:
        Su et al., RoFormer: enhanced transformer with rotary position embedding (2021), §3.2 and
        §3.4.2.
    """
    _checks.floating("rotary", x=x)
    _checks.rank("rotary", "x", x, "time heads features")
    _checks.integer("rotary", positions=positions)
    _checks.broadcasts_to("rotary", "positions", positions, "the entries", empty(x.shape[:-2]))
    _checks.boolean("rotary", "interleaved", interleaved)
    D = _even_features("rotary", x.shape[-1])
    wide = jnp.promote_types(jnp.result_type(x), jnp.float32)
    c, s = cosine_and_sine(positions, _base("rotary", base), D // 2, wide)
    c, s = c[..., None, :], s[..., None, :]
    shape = (*x.shape[:-1], D // 2, 2) if interleaved else (*x.shape[:-1], 2, D // 2)
    axis = -1 if interleaved else -2
    a, b = jnp.unstack(jnp.asarray(x, wide).reshape(shape), axis=axis)
    y = jnp.stack([a * c - b * s, a * s + b * c], axis)
    return y.reshape(x.shape).astype(x.dtype)


def _even_features(function: str, features: int) -> int:
    if features % 2:
        _checks.fail(function, f"the number of features is {features}; wanted an even one")
    return features


def _base(function: str, base: Any) -> float:
    """The base as a Python float: the frequencies are worked out in long decimals."""
    if isinstance(base, jax.Array | np.ndarray):
        problem = "base is an array; wanted a Python number"
        _checks.fail(function, problem, error=TypeError)
    _checks.number(function, "base", base, above=1, closed="[")
    return float(base)


def sinusoidal_positions(
    length: int,
    features: int,
    *,
    base: float = 10000.0,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> Float[Array, "{length} {features}"]:
    """Sines and cosines of each position, at wavelengths in geometric progression.

        P[n, 2i] = sin nωᵢ,    P[n, 2i + 1] = cos nωᵢ,    ωᵢ = base^(−2i/D)

    The row of n + k is that of n rotated, in each pair, by kωᵢ: a linear map that does not depend
    on n. A layer adds them to its inputs.

    Args:
        length: The number of positions, from 0 on.
        features: The number D of features, an even one.
        base: What the wavelengths, 2π to 2π · base positions, rise to.
        dtype: The dtype.

    Returns:
        A row of features for each position.

    Raises:
        TypeError: If a size is not an integer, the base not a number or the dtype not a floating
            one.
        ValueError: If the length is below 0, the features are not a positive even number, or the
            base is below 1.

    Example:
        >>> print(sinusoidal_positions(2, 4).round(4))
        [[0.     1.     0.     1.    ]
         [0.8415 0.5403 0.01   1.    ]]

    Source:
        Vaswani et al., Attention is all you need (2017), §3.5.
    """
    name = "sinusoidal_positions"
    _checks.size(name, minimum=0, length=length)
    _checks.size(name, features=features)
    _checks.dtype(name, "dtype", dtype, jnp.floating, "a floating dtype")
    D = _even_features(name, features)
    wide = jnp.promote_types(dtype, jnp.float32)
    c, s = cosine_and_sine(jnp.arange(length), _base(name, base), D // 2, wide)
    return jnp.stack([s, c], -1).reshape(length, D).astype(dtype)


class PositionEmbeddingParams(NamedTuple):
    """The parameters of learned positions: ``embedding`` (length, features)."""

    embedding: Float[Array, "length features"]


def position_embedding_init(
    key: PRNGKeyArray,
    length: int,
    features: int,
    *,
    embedding_init: Initializer | None = None,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> PositionEmbeddingParams:
    """Random parameters of learned positions.

        Eᵢⱼ ~ 𝒩(0, 0.02²), as in BERT, unless another initialiser is given

    Args:
        key: The random key.
        length: The number of positions.
        features: The number of features.
        embedding_init: Draws the vectors, as ``embedding_init(key, (length, features), dtype)``.
        dtype: The dtype.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, the initialiser not a
            function or what it draws not an array, or the dtype not a floating one.
        ValueError: If a size is below 1, or the initialiser draws another shape than asked for.

    Example:
        >>> print(position_embedding_init(jax.random.key(0), 512, 64).embedding.shape)
        (512, 64)

    Source:
        Gehring et al., Convolutional sequence to sequence learning (2017), §3.1; Devlin et al.,
        BERT (2019), appendix A.2, and its code (the standard deviation).
    """
    name = "position_embedding_init"
    _checks.key(name, key)
    _checks.size(name, length=length, features=features)
    _checks.dtype(name, "dtype", dtype, jnp.floating, "a floating dtype")
    init = normal(0.02) if embedding_init is None else embedding_init
    shape = (length, features)
    return PositionEmbeddingParams(drawn(name, "embedding_init", init, key, shape, dtype))


def position_embedding(
    params: PositionEmbeddingParams,
    x: Float[Array, "*batch time features"],
    *,
    positions: Integer[Array, "..."] | None = None,
) -> Float[Array, "*batch time features"]:
    """Sum of each entry and a learned vector of its position.

        y_t = x_t + E[n_t]

    Gradient:
        x̄ = ȳ,    Ē[n] = Σ_{t: n_t = n} ȳ_t

    Args:
        params: The vectors E, one for each position.
        x: Sequences, features last.
        positions: The position n_t of each entry, in a shape that broadcasts to (*batch time); from
            0 on if None.

    Returns:
        The sums, in the shape of x; nan where a position is none of those of E.

    Raises:
        TypeError: If params is no tuple of one, x or E not a floating-point array, or the positions
            no integers.
        ValueError: If the features differ, E has no rows, the positions do not fit x, or, without
            positions, x is longer than E.

    Example:
        >>> params = PositionEmbeddingParams(jnp.array([[1.0], [2.0], [3.0]]))
        >>> print(position_embedding(params, jnp.zeros((2, 1)), positions=jnp.array([2, 0]))[:, 0])
        [3. 1.]

    Source:
        Gehring et al., Convolutional sequence to sequence learning (2017), §3.1.
    """
    name = "position_embedding"
    if not (isinstance(params, tuple) and len(params) == 1):
        problem = f"params is a {type(params).__name__}; wanted PositionEmbeddingParams(embedding)"
        _checks.fail(name, problem, error=TypeError)
    (E,) = params
    _checks.floating(name, x=x, embedding=E)
    _checks.rank(name, "x", x, "time features")
    _checks.rank(name, "embedding", E, "length features", exact=True)
    _checks.same_size(name, "features", x=x.shape[-1], embedding=E.shape[1])
    _checks.size(name, **{"the number of positions of embedding": E.shape[0]})
    if positions is None:
        if x.shape[-2] > E.shape[0]:
            problem = f"x has {x.shape[-2]} entries and the embedding {E.shape[0]} positions"
            _checks.fail(name, f"{problem}; wanted at most as many")
        return x + E[: x.shape[-2]]
    _checks.integer(name, positions=positions)
    _checks.broadcasts_to(name, "positions", positions, "the entries", empty(x.shape[:-1]))
    n = jnp.asarray(positions)
    return x + rows_of(E, n, _checks.is_label(n, len(E)))


def alibi_bias(
    heads: int,
    queries: int,
    keys: int,
    *,
    offset: int | Integer[Array, ""] = 0,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> Float[Array, "{heads} {queries} {keys}"]:
    """Bias of attention that falls with the distance of the key, at another slope in each head.

        b[h, t, s] = −m_h |t + offset − s|,    m_h = 2^(−8h/heads),  h = 1 … heads

    where the heads are a power of two. Where not, the first of the slopes are those of the power P
    of two below, and the others every second one of those of 2P.

    Args:
        heads: The number of heads.
        queries: The number of queries.
        keys: The number of keys.
        offset: The position of the first query among the keys; it may be known only at run time.
        dtype: The dtype.

    Returns:
        What to add to the scores, in nats: the ``bias`` of attention. The paper hides the keys
        after a query, and says nothing of them; here their bias falls likewise.

    Raises:
        TypeError: If a size or the offset is not an integer, or the dtype not a floating one.
        ValueError: If there is no head, another size is below 0, or the offset an array of several.

    Example:
        >>> print(alibi_bias(2, 3, 3)[0])  # of slope 2⁻⁴
        [[ 0.     -0.0625 -0.125 ]
         [-0.0625  0.     -0.0625]
         [-0.125  -0.0625  0.    ]]

    Source:
        Press, Smith and Lewis, Train short, test long (2022), §3, and their code (the slopes of
        heads that are no power of two).
    """
    _checks.size("alibi_bias", heads=heads)
    _checks.size("alibi_bias", minimum=0, queries=queries, keys=keys)
    checked_offset("alibi_bias", offset)
    _checks.dtype("alibi_bias", "dtype", dtype, jnp.floating, "a floating dtype")
    slopes = np.array(_slopes(heads))[:, None, None]
    wide = jnp.promote_types(dtype, jnp.float32)
    behind = -jnp.abs(ahead(queries, keys, offset))
    return (jnp.asarray(slopes, wide) * behind).astype(dtype)


def _slopes(heads: int) -> list[float]:
    """The slope of each head, as the code of Press, Smith and Lewis has them."""
    power = 2 ** int(math.log2(heads))
    slopes = [2 ** (-8 * h / power) for h in range(1, power + 1)]
    return slopes + [2 ** (-4 * h / power) for h in range(1, 2 * power, 2)][: heads - power]
