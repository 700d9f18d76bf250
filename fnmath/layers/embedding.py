"""Embeddings: a vector of features for each id, looked up, and read back by scalar products.

Notation: E is the (vocabulary, features) table, whose row Eᵢ is the vector of id i.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, PRNGKeyArray

from fnmath import _checks
from fnmath.initializers import normal
from fnmath.layers._arguments import Initializer, drawn, unpacked
from fnmath.layers._rows import rows_of


class EmbeddingParams(NamedTuple):
    """The parameters of an embedding: the table ``embedding`` E (vocabulary, features)."""

    embedding: Float[Array, "vocabulary features"]


def embedding_init(
    key: PRNGKeyArray,
    vocabulary_size: int,
    features: int,
    *,
    embedding_init: Initializer | None = None,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> EmbeddingParams:
    """Random vectors, one for each id.

        Eᵢⱼ ~ 𝒩(0, 1/d)        (Flax's choice, unless another is given; PyTorch's is 𝒩(0, 1))

    The vectors of d features then have length 1 on average, so that the scalar products of the
    tied decoding, ``embedding_decode``, have the variance of the features that they read.

    Args:
        key: The random key, consumed by the table.
        vocabulary_size: The number of ids, which are 0, 1, …, vocabulary_size − 1.
        features: The number d of features of each vector.
        embedding_init: Draws the table, as ``embedding_init(key, (vocabulary_size, d), dtype)``;
            the normal distribution above when None.
        dtype: Its dtype.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, the initialiser not a
            function or what it draws not an array, or the dtype not a floating one.
        ValueError: If a size is below 1, or the initialiser draws another shape than asked for.

    Example:
        >>> params = embedding_init(jax.random.key(0), 1000, 64)
        >>> lengths = jnp.linalg.norm(params.embedding, axis=1)
        >>> print(params.embedding.shape, f"{lengths.mean():.1f}")
        (1000, 64) 1.0

    Source:
        Press and Wolf, Using the output embedding to improve language models (2017), §3, for the
        table that is read in both directions; the variance is that of Flax's ``Embed``.
    """
    name = "embedding_init"
    _checks.key(name, key)
    _checks.size(name, vocabulary_size=vocabulary_size, features=features)
    _checks.dtype(name, "dtype", dtype, jnp.floating, "a floating dtype")
    init = normal(1 / math.sqrt(features)) if embedding_init is None else embedding_init
    shape = (vocabulary_size, features)
    return EmbeddingParams(drawn(name, "embedding_init", init, key, shape, dtype))


def embedding(
    params: EmbeddingParams, ids: Integer[Array, "*batch"]
) -> Float[Array, "*batch features"]:
    """Vectors of the given ids, rows of the table.

        yₜ = E_{iₜ},        the product of a one-hot row with E, without the product

    An id outside [0, vocabulary), a negative one too, gives nan; in the checked mode of
    ``fnmath.numerics.checked`` a message. PyTorch raises, JAX's indexing clamps and wraps.

    Gradient:
        Ēᵥ = Σₜ [iₜ = v] ȳₜ

    A row gets the sum over all places where its id stands, in float32 at least whatever the dtype;
    an id outside of the vocabulary adds to none.

    Args:
        params: The table (vocabulary, features).
        ids: Integers in [0, vocabulary), of any shape.

    Returns:
        The vector of each id, features last.

    Raises:
        TypeError: If params is not an ``EmbeddingParams``, its table not of floating point, or the
            ids are not integers.
        ValueError: If the table is not a matrix of at least one row.

    Example:
        >>> params = EmbeddingParams(jnp.array([[1.0, 2.0], [3.0, 4.0]]))
        >>> print(embedding(params, jnp.array([1, 1, 2])))
        [[ 3.  4.]
         [ 3.  4.]
         [nan nan]]

    Source:
        Bengio, Ducharme, Vincent and Jauvin, A neural probabilistic language model (2003), §2.
    """
    table = _table("embedding", params)
    _checks.integer("embedding", ids=ids)
    ids, rows = jnp.asarray(ids), len(table)
    known = _checks.labels_known("embedding", ids, rows, noun="id")
    return rows_of(table, ids, known)


def embedding_decode(
    params: EmbeddingParams, x: Float[Array, "*batch features"]
) -> Float[Array, "*batch vocabulary"]:
    """Scores of all ids, scalar products with their vectors: decoding tied to the embedding.

        z = x Eᵀ,    zᵥ = x · Eᵥ

    Gradient:
        x̄ = z̄ E,    Ē = Σ_batch z̄ᵀ x

    Args:
        params: The table (vocabulary, features), the same that the ids are embedded with.
        x: Features to be read as ids.

    Returns:
        One score per id: the logits of a softmax over the vocabulary.

    Raises:
        TypeError: If params is not an ``EmbeddingParams``, or an array not of floating point.
        ValueError: If the table is not a matrix of at least one row, or x has other features.

    Example:
        >>> params = EmbeddingParams(jnp.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
        >>> print(embedding_decode(params, jnp.array([2.0, 3.0])))
        [2. 3. 5.]

    Source:
        Press and Wolf, Using the output embedding to improve language models (2017), §3; it is
        ``attend`` of Flax's ``Embed``.
    """
    table = _table("embedding_decode", params)
    _checks.floating("embedding_decode", x=x)
    _checks.rank("embedding_decode", "x", x, "features")
    _checks.same_size("embedding_decode", "features", x=x.shape[-1], embedding=table.shape[1])
    return x @ table.T


def _table(name: str, params: Any) -> Float[Array, "vocabulary features"]:
    """The table; raise unless it is one, with at least one row."""
    (table,) = unpacked(name, params, EmbeddingParams)
    _checks.floating(name, embedding=table)
    _checks.rank(name, "embedding", table, "vocabulary features", exact=True)
    if not len(table):
        _checks.fail(name, f"embedding has shape {table.shape}; wanted at least one row")
    return table
