"""fnmath.layers.embedding: a vector for each id, looked up and read back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.experimental import checkify

from fnmath.initializers import he_normal, ones
from fnmath.layers import EmbeddingParams, embedding, embedding_decode, embedding_init
from fnmath.numerics import checked
from tests.helpers import Mistake, assert_transforms
from tests.layers.agreement import BATCHES, DRAWN, SIZES, assert_agrees, normal
from tests.linear_algebra.cotangents import assert_cotangents

KEY = jax.random.key(0)
PARAMS = EmbeddingParams(jnp.arange(6.0).reshape(3, 2))
ids = jnp.array([[2, 0], [2, 2]])

MISTAKES = [
    Mistake(
        embedding, (PARAMS, ids.astype(float)), {}, TypeError,
        "embedding: ids has dtype float32; wanted an integer dtype; "
        "did you mean ids.astype(jnp.int32)?",
    ),
    Mistake(
        embedding, (PARAMS.embedding, ids), {}, TypeError,
        "embedding: params is an array; wanted EmbeddingParams(embedding)",
    ),
    Mistake(
        embedding, (EmbeddingParams(jnp.ones((0, 2))), ids), {}, ValueError,
        "embedding: embedding has shape (0, 2); wanted at least one row",
    ),
    Mistake(
        embedding, (EmbeddingParams(jnp.ones(2)), ids), {}, ValueError,
        "embedding: embedding has shape (2,); wanted exactly 2 axes, (vocabulary features); "
        "did you mean embedding[None]?",
    ),
    Mistake(
        embedding_decode, (PARAMS, ids), {}, TypeError,
        "embedding_decode: x has dtype int32; wanted a floating dtype; "
        "did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        embedding_decode, (PARAMS, jnp.ones((2, 3))), {}, ValueError,
        "embedding_decode: the number of features must agree: x has 3 and embedding has 2",
    ),
    Mistake(
        embedding_init, (0, 3, 2), {}, TypeError,
        "embedding_init: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        embedding_init, (KEY, 0, 2), {}, ValueError,
        "embedding_init: vocabulary_size is 0; wanted an integer of at least 1",
    ),
    Mistake(
        embedding_init, (KEY, 3, 2), {"embedding_init": he_normal}, TypeError,
        "he_normal: in_axis is a random key; he_normal makes an initialiser, which takes it; "
        "did you mean he_normal(…)(key, shape)?",
    ),
]  # fmt: skip


class TestEmbedding:
    @pytest.mark.slow
    @DRAWN
    @given(BATCHES, SIZES, SIZES, st.integers(0, 99))
    def test_equals_torch(self, batch, vocabulary, features, seed):
        """Six words at most, and up to 27 places: most ids stand in several."""
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        ids = np.random.default_rng(seed).integers(0, vocabulary, batch)
        assert_agrees(
            torch,
            lambda table: embedding(EmbeddingParams(table), jnp.asarray(ids)),
            lambda table: torch.nn.functional.embedding(torch.tensor(ids), table),
            normal(1, vocabulary, features),
        )

    def test_reference(self):
        np.testing.assert_array_equal(embedding(PARAMS, ids), np.asarray(PARAMS.embedding)[ids])

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def rule(y_bar, table):
            one_hot = ids[..., None] == jnp.arange(len(table))
            return (jnp.einsum("abv,abd->vd", one_hot, y_bar),)

        table = jnp.asarray(normal(1, 3, 2))
        assert_cotangents(lambda table: embedding(EmbeddingParams(table), ids), rule, table)

    def test_transforms(self):
        assert_transforms(embedding, PARAMS, ids)

    @pytest.mark.parametrize("dtype", [jnp.int8, jnp.int32, jnp.uint8, jnp.uint32])
    def test_ids_outside_give_nan_and_no_gradient(self, dtype):
        """None of them wraps around or is clamped, whatever integers they are written in."""
        wrong = [3, 100, -1, -3] if jnp.issubdtype(dtype, jnp.signedinteger) else [3, 255]
        many = jnp.array([1, *wrong, 2], dtype)
        y, vjp = jax.vjp(lambda params: embedding(params, many), PARAMS)
        assert jnp.isnan(y[1:-1]).all()
        np.testing.assert_array_equal(y[jnp.array([0, -1])], PARAMS.embedding[1:])
        (bars,) = vjp(jnp.full(y.shape, jnp.nan).at[jnp.array([0, -1])].set(1))
        np.testing.assert_array_equal(bars.embedding, [[0, 0], [1, 1], [1, 1]])

    def test_ids_smaller_than_the_vocabulary(self):
        """An 8-bit id in a vocabulary that 8 bits do not count."""
        params = EmbeddingParams(jnp.arange(1000.0)[:, None])
        y = embedding(params, jnp.array([127, -1, -128], jnp.int8))
        np.testing.assert_array_equal(y[:, 0], [127, np.nan, np.nan])

    def test_checked_mode(self):
        with checked():
            look_up = checkify.checkify(jax.jit(embedding))
            error, _ = look_up(PARAMS, jnp.array([0, 3]))
            fine, _ = look_up(PARAMS, ids)
        assert "embedding: id 3 outside [0, 3)" in error.get()
        assert fine.get() is None

    @pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
    def test_half_precision_adds_up_in_single(self, dtype):
        """A thousand ones are a thousand: in bfloat16 itself the sum stops at 256."""
        table = EmbeddingParams(jnp.ones((2, 1), dtype))
        often = jnp.ones(1000, jnp.int32)
        gradient = jax.grad(lambda p: embedding(p, often).astype(jnp.float32).sum())(table)
        assert gradient.embedding.dtype == embedding(table, often).dtype == dtype
        np.testing.assert_array_equal(gradient.embedding[:, 0], np.array([0, 1000], dtype))

    def test_half_precision_widens_only_what_it_looks_up(self):
        """The table is not converted as a whole, which would take 4 bytes an entry."""
        table = EmbeddingParams(jnp.ones((100_000, 8), jnp.bfloat16))
        compiled = jax.jit(embedding).lower(table, ids).compile()
        assert compiled.memory_analysis().temp_size_in_bytes < 100_000

    def test_empty(self):
        assert embedding(PARAMS, jnp.zeros((0, 4), int)).shape == (0, 4, 2)
        assert embedding(PARAMS, jnp.array(1)).shape == (2,)


class TestEmbeddingDecode:
    @pytest.mark.slow
    def test_equals_flax_attend(self):
        nnx = pytest.importorskip("flax.nnx", reason="Flax is a peer, not a dependency")
        theirs = nnx.Embed(5, 3, rngs=nnx.Rngs(0))
        params = EmbeddingParams(theirs.embedding[...])
        x = jnp.asarray(normal(1, 2, 4, 3), jnp.float32)
        np.testing.assert_allclose(embedding_decode(params, x), theirs.attend(x), rtol=1e-6)
        np.testing.assert_array_equal(embedding(params, ids), theirs(ids))

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def f(table, x):
            return embedding_decode(EmbeddingParams(table), x)

        table, x = jnp.asarray(normal(1, 5, 3)), jnp.asarray(normal(2, 4, 3))
        assert_cotangents(f, lambda z_bar, table, x: (z_bar.T @ x, z_bar @ table), table, x)

    def test_law_own_score_is_the_squared_length(self):
        scores = embedding_decode(PARAMS, embedding(PARAMS, jnp.arange(3)))
        np.testing.assert_allclose(jnp.diag(scores), (PARAMS.embedding**2).sum(axis=1))

    def test_transforms(self):
        assert_transforms(embedding_decode, PARAMS, jnp.asarray(normal(1, 4, 2), jnp.float32))

    def test_edges(self):
        assert embedding_decode(PARAMS, jnp.ones((0, 2))).shape == (0, 3)
        half = EmbeddingParams(PARAMS.embedding.astype(jnp.bfloat16))
        assert embedding_decode(half, jnp.ones(2, jnp.bfloat16)).dtype == jnp.bfloat16


class TestEmbeddingInit:
    def test_variance_is_that_of_flax(self):
        table = embedding_init(KEY, 2000, 64).embedding
        assert abs(64 * float(table.var()) - 1) < 0.02
        assert float(jnp.abs(table).max()) > 4 / 8  # normal, not truncated at two deviations

    def test_options(self):
        params = embedding_init(KEY, 3, 2, embedding_init=ones, dtype=jnp.bfloat16)
        assert params.embedding.dtype == jnp.bfloat16
        assert (params.embedding == 1).all()
