"""fnmath.layers.attention.blockwise: the same answers, in memory linear in the length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.layers import blockwise_attention, dot_product_attention
from tests.helpers import Mistake, assert_derivatives, assert_transforms
from tests.layers.attention.cases import assert_close, draw, pulled, pulled_by_torch

x = jnp.ones((2, 5, 4, 3))
shared = jnp.ones((2, 6, 2, 3))

MISTAKES = [
    Mistake(
        blockwise_attention, (x, shared, shared), {"query_block": 2.0}, TypeError,
        "blockwise_attention: query_block is 2.0 (float); wanted an integer",
    ),
    Mistake(
        blockwise_attention, (x, shared, shared), {"key_block": 0}, ValueError,
        "blockwise_attention: key_block is 0; wanted an integer of at least 1",
    ),
    Mistake(
        blockwise_attention, (x, shared, shared[:, 1:]), {}, ValueError,
        "blockwise_attention: key (2, 6, 2, 3) and value (2, 5, 2, 3) must agree in all axes but "
        "the last",
    ),
]  # fmt: skip


def in_blocks(query_block=2, key_block=3):
    def f(*args, **options):
        return blockwise_attention(*args, query_block=query_block, key_block=key_block, **options)

    return f


def random_operands(T=7, S=7, dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(3), 3)
    shapes = ((2, T, 4, 3), (2, S, 2, 3), (2, S, 2, 4))
    return [jax.random.normal(k, shape, dtype) for k, shape in zip(keys, shapes, strict=True)]


@pytest.mark.usefixtures("x64")
class TestReference:
    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(300, 303))
    def test_equals_torch(self, torch, seed):
        case = draw(seed)
        assert_close(pulled(in_blocks(), case), pulled_by_torch(torch, case), 1e-12)

    @pytest.mark.slow
    @pytest.mark.parametrize("ten", range(31, 34))
    def test_equals_torch_in_many_configurations(self, torch, ten):
        for seed in range(10 * ten, 10 * ten + 10):
            case = draw(seed)
            blocks = in_blocks(1 + seed % 4, 1 + seed % 3)
            assert_close(pulled(blocks, case), pulled_by_torch(torch, case), 1e-12)

    @pytest.mark.slow
    def test_blocks_do_not_matter(self):
        case = draw(7)
        whole = pulled(blockwise_attention, case)
        for t, s in ((1, 1), (2, 9), (9, 2), (3, 3)):
            assert_close(pulled(in_blocks(t, s), case), whole, 1e-13)


class TestDerivatives:
    def objective(self, f):
        def objective(q, k, v, bias):
            return jnp.sum(jnp.sin(f(q, k, v, bias, is_causal=True, local_window_size=(3, 0))))

        return objective

    @pytest.mark.usefixtures("x64")
    @pytest.mark.slow
    def test_both_modes_and_second_order(self):
        q, k, v = (a[:1, :, :2] for a in random_operands(5, 5, jnp.float64))
        bias = jnp.cos(jnp.arange(25.0)).reshape(5, 5)
        mine, plain = (
            jax.jit(jax.hessian(self.objective(f), (0, 1, 2, 3)))(
                q, k[..., :1, :], v[..., :1, :], bias
            )
            for f in (in_blocks(), dot_product_attention)
        )
        assert_close(mine, plain, 1e-12)
        f = jax.jit(self.objective(in_blocks()))
        args = (q, k[..., :1, :], v[..., :1, :], bias)
        assert_derivatives(f, *args)

    @pytest.mark.slow
    def test_reverse_over_reverse(self):
        q, k, v = random_operands(4, 4)

        def twice(f):
            def slope(q):
                return jnp.sum(jnp.sin(jax.grad(lambda q: jnp.sum(jnp.sin(f(q, k, v))))(q)))

            return jax.jit(jax.grad(slope))(q)

        assert_close(twice(in_blocks()), twice(dot_product_attention), 1e-5)


def temporaries(f, T, **options):
    """The bytes that the compiled gradient of f needs beside its arguments and results."""
    a = jax.ShapeDtypeStruct((T, 2, 16), jnp.float32)

    def objective(q, k, v):
        return jnp.sum(jnp.sin(f(q, k, v, **options)))

    def analysed(g):
        return jax.jit(g).lower(a, a, a).compile().memory_analysis().temp_size_in_bytes

    def tangent(q, k, v):
        return jax.jvp(objective, (q, k, v), (q, k, v))

    return np.array([analysed(g) for g in (objective, jax.grad(objective, (0, 1, 2)), tangent)])


class TestMemory:
    @pytest.mark.slow
    @pytest.mark.parametrize("options", [{}, {"is_causal": True}], ids=["all", "causal"])
    def test_grows_with_the_length_and_not_with_its_square(self, options):
        """Forward, backward and in forward mode: twice the length, twice the temporaries."""
        short, long = (temporaries(in_blocks(64, 64), T, **options) for T in (1024, 2048))
        assert (long <= 2.05 * short).all()
        # fewer than the scores of one head
        assert (long < 4 * 2048**2).all()

    def test_the_plain_form_does_not(self):
        short, long = (temporaries(dot_product_attention, T) for T in (1024, 2048))
        assert (long > 2.5 * short).all()


class TestExact:
    @pytest.mark.slow
    @pytest.mark.parametrize("place", ["query", "key", "value"])
    def test_spoiled_entries_reach_as_far_as_in_the_plain_form(self, place):
        q, k, v = random_operands()
        arrays = {"query": q, "key": k, "value": v}
        arrays[place] = arrays[place].at[0, 4, 1, 0].set(jnp.nan)

        def run(f):
            y, back = jax.vjp(lambda a: f(**a, is_causal=True), arrays)
            return y, back(jnp.ones_like(y))[0]

        plain, blocks = run(dot_product_attention), run(in_blocks())
        for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(blocks), strict=True):
            np.testing.assert_array_equal(jnp.isnan(a), jnp.isnan(b))
            np.testing.assert_allclose(a, b, atol=2e-6)

    @pytest.mark.slow
    def test_rows_that_see_nothing(self):
        q, k, v = random_operands()
        mask = jnp.arange(7) < jnp.arange(7)[:, None]

        def f(*args):
            return blockwise_attention(*args, mask=mask, query_block=3, key_block=2)

        y, back = jax.vjp(f, q, k, v)
        assert (y[:, 0] == 0).all()
        assert all(jnp.isfinite(g).all() for g in back(jnp.ones_like(y)))
        assert (back(jnp.ones_like(y))[0][:, 0] == 0).all()

    @pytest.mark.slow
    def test_infinite_scores(self):
        q, k, v = random_operands()
        bias = jnp.zeros(7).at[jnp.array([1, 5])].set(jnp.inf)
        expected = jnp.repeat((v[:, 1] + v[:, 5]) / 2, 2, -2)[:, None]
        y = in_blocks()(q, k, v, bias)
        np.testing.assert_allclose(y, jnp.broadcast_to(expected, y.shape), atol=1e-6)


class TestTransformsAndEdges:
    def test_transforms(self):
        assert_transforms(in_blocks(), *random_operands())

    def test_half_precision_is_rounded_once(self):
        q, k, v = (a.astype(jnp.bfloat16) for a in random_operands())
        y, plain = in_blocks()(q, k, v), dot_product_attention(q, k, v)
        assert y.dtype == jnp.bfloat16
        np.testing.assert_allclose(
            y.astype(jnp.float32), plain.astype(jnp.float32), rtol=2.0**-7, atol=1e-6
        )

    @pytest.mark.slow
    def test_nothing_to_see(self):
        q, k, v = random_operands()
        assert (blockwise_attention(q, k[:, :0], v[:, :0]) == 0).all()
        assert blockwise_attention(q[:, :0], k, v).shape == (2, 0, 4, 4)
        assert blockwise_attention(q[:0], k[:0], v[:0], is_causal=True).shape == (0, 7, 4, 4)
