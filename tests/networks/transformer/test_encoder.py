"""fnmath.networks.transformer.encoder: a sequence, each entry of which sees all the others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.layers import padding_mask, rotary
from fnmath.networks import transformer_encoder, transformer_encoder_init
from tests.helpers import Mistake
from tests.networks import torch_forms
from tests.networks.torch_forms import assert_equals_torch, random_params

KEY = jax.random.key(0)
SIZES = {"length": 6, "depth": 2, "heads": 2}


def init(key, dtype=jnp.float32, **options):
    return transformer_encoder_init(key, 8, **SIZES | options, dtype=dtype)


PARAMS = random_params(init)
x = jnp.ones((3, 8))

MISTAKES = [
    Mistake(
        transformer_encoder_init, (KEY, 8.0), SIZES, TypeError,
        "transformer_encoder_init: features is 8.0 (float); wanted an integer",
    ),
    Mistake(
        transformer_encoder_init, (KEY, 8), SIZES | {"length": 0}, ValueError,
        "transformer_encoder_init: length is 0; wanted an integer of at least 1",
    ),
    Mistake(
        transformer_encoder, (PARAMS.layers, x), {"heads": 2}, TypeError,
        "transformer_encoder: params is a TransformerBlockParams; wanted "
        "TransformerEncoderParams(pos_embedding, layers, ln)",
    ),
    Mistake(
        transformer_encoder, (PARAMS, jnp.ones(8)), {"heads": 2}, ValueError,
        "transformer_encoder: x has shape (8,); wanted at least 2 axes, (*batch time features); "
        "did you mean x[None]?",
    ),
    Mistake(
        transformer_encoder, (PARAMS, jnp.ones((7, 8))), {"heads": 2}, ValueError,
        "position_embedding: x has 7 entries and the embedding 6 positions; wanted at most as many",
    ),
    Mistake(
        transformer_encoder, (PARAMS, x), {"heads": 2, "key_mask": jnp.ones(5, int)}, TypeError,
        "transformer_encoder: key_mask has dtype int32; wanted bool; did you mean key_mask != 0?",
    ),
    Mistake(
        transformer_encoder, (PARAMS, x), {"heads": 2, "checkpoint": 1}, TypeError,
        "stack: checkpoint is 1 (int); wanted True or False",
    ),
]  # fmt: skip


def sequences(rng=0, shape=(2, 5, 8), dtype=jnp.float64):
    return jnp.asarray(np.random.default_rng(rng).standard_normal(shape), dtype)


@pytest.mark.usefixtures("x64")
class TestTransformerEncoder:
    def test_equals_torch(self):
        mask = padding_mask(jnp.array([3, 5]), 5)

        def theirs(tree):
            import torch

            return torch_forms.encoder(*tree, 2, mask=torch.tensor(np.asarray(mask)))

        assert_equals_torch(
            lambda tree: transformer_encoder(*tree, heads=2, key_mask=mask),
            theirs,
            (random_params(lambda key: init(key, jnp.float64)), sequences()),
        )

    def test_equals_the_encoder_that_torch_ships(self):
        """``torch.nn.TransformerEncoder``, pre-norm, with the weights put in by their names."""
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        params = random_params(lambda key: init(key, jnp.float64, length=None))
        options = {"norm_first": True, "batch_first": True, "dtype": torch.float64}
        layer = torch.nn.TransformerEncoderLayer(
            8, 2, 32, dropout=0.0, activation="relu", layer_norm_eps=1e-5, **options
        )
        theirs = torch.nn.TransformerEncoder(
            layer, 2, torch.nn.LayerNorm(8, dtype=torch.float64), enable_nested_tensor=False
        )
        state = {"norm.weight": params.ln.scale, "norm.bias": params.ln.bias}
        for i, block in enumerate(torch_forms.each(params.layers)):
            q, k, v, out = block.self_attention
            rows = [np.concatenate([a.kernel for a in (q, k, v)], axis=1).T]
            rows += [np.concatenate([a.bias for a in (q, k, v)]), out.kernel.T, out.bias]
            names = ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"]
            state |= {f"layers.{i}.self_attn.{n}": a for n, a in zip(names, rows, strict=True)}
            for n in (1, 2):
                norm, linear = getattr(block, f"ln_{n}"), block.mlp[n - 1]
                state[f"layers.{i}.norm{n}.weight"] = norm.scale
                state[f"layers.{i}.norm{n}.bias"] = norm.bias
                state[f"layers.{i}.linear{n}.weight"] = linear.kernel.T
                state[f"layers.{i}.linear{n}.bias"] = linear.bias
        theirs.load_state_dict({n: torch.tensor(np.asarray(a)) for n, a in state.items()})
        x = sequences()
        y = transformer_encoder(params, x, heads=2, activation=jax.nn.relu)
        expected = theirs(torch.tensor(np.asarray(x))).detach().numpy()
        np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-12)

    def test_law_permutation(self):
        """Without positions the outputs are permuted as the entries are; with them they are not."""
        params = random_params(lambda key: init(key, jnp.float64))
        x, order = sequences(), jnp.array([3, 0, 4, 1, 2])
        none = params._replace(pos_embedding=None)
        f = jax.jit(lambda p, x: transformer_encoder(p, x, heads=2))
        np.testing.assert_allclose(f(none, x[:, order]), f(none, x)[:, order], atol=1e-12)
        assert jnp.abs(f(params, x[:, order]) - f(params, x)[:, order]).max() > 0.1
        turned = jax.jit(lambda x: transformer_encoder(none, x, heads=2, rotate=rotary))
        assert jnp.abs(turned(x[:, order]) - turned(x)[:, order]).max() > 0.01

    def test_law_masked_entries_do_not_matter(self):
        """Not even nan: values and gradients are those of the sequence without them."""
        params = random_params(lambda key: init(key, jnp.float64))
        x = sequences(shape=(5, 8))
        mask = jnp.array([True, True, True, False, False])

        def of(x, mask):
            y = transformer_encoder(params, x, heads=2, key_mask=mask)[:3]
            return jnp.sum(jnp.sin(y)), y

        both = jax.jit(jax.grad(of, has_aux=True))
        g, y = both(x.at[3:].set(jnp.nan), mask)
        short_g, short_y = both(x[:3], mask[:3])
        np.testing.assert_allclose(y, short_y, rtol=1e-12)
        np.testing.assert_allclose(g[:3], short_g, rtol=1e-9, atol=1e-12)
        assert (g[3:] == 0).all()
        assert jnp.isnan(both(x.at[0].set(jnp.nan), mask)[1]).all()

    def test_checkpoint_changes_nothing(self):
        params, x = random_params(lambda key: init(key, jnp.float64)), sequences()
        grads = [
            jax.jit(
                jax.grad(
                    lambda p, c=c: jnp.sum(transformer_encoder(p, x, heads=2, checkpoint=c) ** 2)
                )
            )(params)
            for c in (False, True)
        ]
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), *grads)


def test_each_block_has_a_noise_of_its_own():
    """Equal blocks, and a network that is linear in their noise: the draws differ."""
    x = sequences(dtype=jnp.float32)
    noisy = jax.jit(
        lambda key: transformer_encoder(PARAMS, x, heads=2, dropout_key=key, dropout_rate=0.3)
    )
    first, again, other = noisy(KEY), noisy(KEY), noisy(jax.random.key(1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.5


def test_edges():
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), PARAMS)
    y = transformer_encoder(half, jnp.ones((0, 3, 8), jnp.bfloat16), heads=2)
    assert y.shape == (0, 3, 8)
    assert y.dtype == jnp.bfloat16
    hidden = transformer_encoder(PARAMS, x, heads=2, key_mask=jnp.zeros(3, bool))
    assert jnp.isfinite(hidden).all()
