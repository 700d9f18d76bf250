"""fnmath.networks.transformer.decoder: a causal language model, GPT-2's form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.layers import rotary
from fnmath.networks import transformer_decoder, transformer_decoder_init
from tests.helpers import Mistake
from tests.networks import torch_forms
from tests.networks.torch_forms import assert_equals_torch, random_params

KEY = jax.random.key(0)
SIZES = {"length": 6, "depth": 2, "heads": 2}


def init(key, dtype=jnp.float32, **options):
    return transformer_decoder_init(key, 11, 8, **SIZES | options, dtype=dtype)


PARAMS = random_params(init)
ids = jnp.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])

MISTAKES = [
    Mistake(
        transformer_decoder_init, (KEY, 11, 8), SIZES | {"tied": None}, TypeError,
        "transformer_decoder_init: tied is None (NoneType); wanted True or False",
    ),
    Mistake(
        transformer_decoder_init, (KEY, 0, 8), SIZES, ValueError,
        "transformer_decoder_init: vocabulary_size is 0; wanted an integer of at least 1",
    ),
    Mistake(
        transformer_decoder, (PARAMS, ids * 1.0), {"heads": 2}, TypeError,
        "transformer_decoder: ids has dtype float32; wanted an integer dtype; "
        "did you mean ids.astype(jnp.int32)?",
    ),
    Mistake(
        transformer_decoder, (PARAMS, jnp.array(3)), {"heads": 2}, ValueError,
        "transformer_decoder: ids has shape (); wanted at least 1 axis, (*batch time); "
        "did you mean ids[None]?",
    ),
    Mistake(
        transformer_decoder, (PARAMS, ids), {"heads": 2, "context": jnp.ones((2, 3, 8))},
        ValueError,
        "transformer_decoder: context is given and params.cross_attention is None",
    ),
    Mistake(
        transformer_decoder, (PARAMS, jnp.zeros(7, int)), {"heads": 2}, ValueError,
        "position_embedding: x has 7 entries and the embedding 6 positions; wanted at most as many",
    ),
    Mistake(
        transformer_decoder, (PARAMS, ids), {"heads": 3}, ValueError,
        "multi_head_attention: the 8 columns of params.query do not fall into 3 heads",
    ),
]  # fmt: skip


class TestTransformerDecoderInit:
    def test_is_gpt_2(self):
        """Its smallest size has 124,439,808 parameters."""
        shapes = jax.eval_shape(
            lambda key: transformer_decoder_init(key, 50257, 768, length=1024, depth=12, heads=12),
            KEY,
        )
        assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 124_439_808

    def test_compiles_as_fast_deep_as_shallow(self):
        """The program has one block, however many there are."""
        sizes = [
            len(
                jax.jit(lambda p: transformer_decoder(p, ids, heads=2))
                .lower(jax.eval_shape(lambda key, d=d: init(key, depth=d), KEY))
                .as_text()
            )
            for d in (2, 12)
        ]
        assert sizes[1] < 1.02 * sizes[0]


@pytest.mark.usefixtures("x64")
class TestTransformerDecoder:
    @pytest.mark.parametrize("tied", [True, False])
    def test_equals_torch(self, tied):
        params = random_params(lambda key: init(key, jnp.float64, tied=tied, use_bias=tied))

        def theirs(params):
            import torch

            return torch_forms.decoder(params, torch.tensor(np.asarray(ids)), 2)

        assert_equals_torch(lambda p: transformer_decoder(p, ids, heads=2), theirs, params)

    def test_law_causal(self):
        """What follows a token bears on nothing up to it, in value or gradient, nor does nan."""
        params = random_params(lambda key: init(key, jnp.float64))
        f = jax.jit(lambda ids: transformer_decoder(params, ids, heads=2))
        z = f(ids)
        np.testing.assert_array_equal(f(ids.at[:, 3:].set(0))[:, :3], z[:, :3])
        beyond = f(ids.at[:, 3].set(-1))
        np.testing.assert_array_equal(beyond[:, :3], z[:, :3])
        assert jnp.isnan(beyond[:, 3:]).all()
        g = jax.jit(jax.grad(lambda p: jnp.sum(transformer_decoder(p, ids, heads=2)[:, :3] ** 2)))(
            params
        )
        assert (g.pos_embedding.embedding[3:] == 0).all()
        assert (g.pos_embedding.embedding[:3] != 0).all()

    def test_rotary_needs_no_positions(self):
        """The order then tells, but for the first token, which sees itself alone."""
        params = random_params(lambda key: init(key, jnp.float64, length=None))
        assert params.pos_embedding is None
        turned = transformer_decoder(params, ids, heads=2, rotate=rotary)
        plain = transformer_decoder(params, ids, heads=2)
        assert jnp.abs(turned - plain)[:, 1:].max() > 1e-3
        np.testing.assert_allclose(turned[:, 0], plain[:, 0], rtol=1e-12)

    @pytest.mark.slow
    def test_second_order(self):
        """A product with the Hessian, forward over reverse, against differences of gradients."""
        params = random_params(lambda key: init(key, jnp.float64))
        v = random_params(lambda key: init(key, jnp.float64), seed=1)
        grad = jax.jit(jax.grad(lambda p: jnp.sum(jnp.sin(transformer_decoder(p, ids, heads=2)))))
        _, exact = jax.jit(lambda p, v: jax.jvp(grad, (p,), (v,)))(params, v)
        h = 1e-5
        up, down = (grad(jax.tree.map(lambda p, d, s=s: p + s * d, params, v)) for s in (h, -h))
        for a, b, c in zip(*map(jax.tree.leaves, (exact, up, down)), strict=True):
            scale = float(jnp.abs(a).max()) + 1e-9
            np.testing.assert_allclose(a, (b - c) / (2 * h), rtol=0, atol=1e-5 * scale + 1e-6)


def test_vmap_over_parameters():
    both = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), PARAMS)
    f = lambda p: transformer_decoder(p, ids, heads=2)  # noqa: E731
    many = jax.jit(jax.vmap(f))(both)
    alone = jax.jit(f)(jax.tree.map(lambda a: 2 * a, PARAMS))
    np.testing.assert_allclose(many[1], alone, rtol=1e-4, atol=1e-4)


def test_edges():
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), PARAMS)
    assert transformer_decoder(half, ids, heads=2).dtype == jnp.bfloat16
    assert transformer_decoder(PARAMS, jnp.zeros((0, 5), int), heads=2).shape == (0, 5, 11)
    assert transformer_decoder(PARAMS, jnp.zeros((2, 0), int), heads=2).shape == (2, 0, 11)
