"""fnmath.networks.transformer.blocks: attention and a perceptron, each beside the identity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.initializers import ones
from fnmath.layers import DenseParams, padding_mask
from fnmath.networks import transformer_block, transformer_block_init
from tests.helpers import Mistake, assert_transforms
from tests.networks import torch_forms
from tests.networks.torch_forms import assert_equals_torch, random_params

KEY = jax.random.key(0)
PARAMS = random_params(lambda key: transformer_block_init(key, 8, heads=2))
CROSS = random_params(lambda key: transformer_block_init(key, 8, heads=2, context_features=6))
x, context = jnp.ones((3, 8)), jnp.ones((5, 6))
THIN = DenseParams(jnp.ones((32, 1)), jnp.zeros(1))

MISTAKES = [
    Mistake(
        transformer_block_init, (7, 8), {"heads": 2}, TypeError,
        "transformer_block_init: key is a int; wanted a random key; "
        "did you mean jax.random.key(7)?",
    ),
    Mistake(
        transformer_block_init, (KEY, 8), {"heads": 0}, ValueError,
        "transformer_block_init: heads is 0; wanted an integer of at least 1",
    ),
    Mistake(
        transformer_block_init, (KEY, 8), {"heads": 3}, ValueError,
        "multi_head_attention_init: the 3 heads do not divide the 8 features; "
        "did you mean head_features=…?",
    ),
    Mistake(
        transformer_block, (PARAMS[:3], x), {"heads": 2}, TypeError,
        "transformer_block: params is a tuple; wanted TransformerBlockParams(ln_1, self_attention, "
        "ln_2, mlp, ln_cross, cross_attention)",
    ),
    Mistake(
        transformer_block, (PARAMS, x), {"heads": 2, "context": context}, ValueError,
        "transformer_block: context is given and params.cross_attention is None",
    ),
    Mistake(
        transformer_block, (CROSS, x), {"heads": 2}, ValueError,
        "transformer_block: context is None; wanted what the cross-attention asks",
    ),
    Mistake(
        transformer_block, (PARAMS, x), {"heads": 2, "context_mask": jnp.ones(5, bool)}, ValueError,
        "transformer_block: context_mask is given and context is None",
    ),
    Mistake(
        transformer_block, (PARAMS._replace(mlp=(PARAMS.mlp[0], THIN)), x), {"heads": 2},
        ValueError,
        "transformer_block: x (3, 8) and what a branch gave (3, 1) must have one shape",
    ),
    Mistake(
        transformer_block, (PARAMS, x), {"heads": 2, "dropout_rate": 1.0}, ValueError,
        "transformer_block: dropout_rate is 1.0; wanted a number in [0, 1)",
    ),
    Mistake(
        transformer_block, (PARAMS, x), {"heads": 2, "dropout_key": 3}, TypeError,
        "transformer_block: dropout_key is a int; wanted a random key; "
        "did you mean jax.random.key(3)?",
    ),
]  # fmt: skip


class TestTransformerBlockInit:
    def test_scales(self):
        """The last kernels are narrower, by the root of the number of branches."""
        params = transformer_block_init(KEY, 256, heads=4, depth=8)
        widths = [params.self_attention.query.kernel, params.mlp[0].kernel]
        narrow = [params.self_attention.out.kernel, params.mlp[1].kernel]
        for kernel in widths:
            np.testing.assert_allclose(kernel.std(), 0.02, rtol=0.02)
        for kernel in narrow:
            np.testing.assert_allclose(kernel.std(), 0.02 / 4, rtol=0.02)
        assert all((layer.bias == 0).all() for layer in (*params.self_attention, *params.mlp))

    def test_options(self):
        init = lambda key: transformer_block_init(  # noqa: E731
            key, 8, heads=2, hidden=5, use_bias=False, kernel_init=ones, dtype=jnp.bfloat16
        )
        params = init(KEY)
        assert params.mlp[0].kernel.shape == (8, 5)
        assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.bfloat16)}
        assert params.mlp[0].bias is params.ln_1.bias is params.self_attention.out.bias is None
        assert all((leaf == 1).all() for leaf in jax.tree.leaves(params))


@pytest.mark.usefixtures("x64")
class TestTransformerBlock:
    def test_equals_torch_with_a_context(self):
        params = random_params(
            lambda key: transformer_block_init(
                key, 8, heads=2, context_features=6, dtype=jnp.float64
            )
        )
        rng = np.random.default_rng(1)
        x, c = (jnp.asarray(rng.standard_normal(s)) for s in ((2, 3, 8), (2, 5, 6)))
        mask = padding_mask(jnp.array([3, 5]), 5)

        def ours(tree):
            params, x, c = tree
            options = {"is_causal": True, "context_mask": mask}
            return transformer_block(params, x, heads=2, context=c, **options)

        def theirs(tree):
            import torch

            params, x, c = tree
            seen = torch.tensor(np.asarray(mask))
            return torch_forms.block(params, x, 2, context=c, mask=seen, is_causal=True)

        assert_equals_torch(ours, theirs, (params, x, c))

    def test_law_identity_where_the_branches_give_nothing(self):
        last = DenseParams(jnp.zeros((32, 8)), jnp.zeros(8))
        out = DenseParams(jnp.zeros((8, 8)), jnp.zeros(8))
        silent = PARAMS._replace(
            mlp=(PARAMS.mlp[0], last), self_attention=PARAMS.self_attention._replace(out=out)
        )
        x = jnp.sin(jnp.arange(24.0)).reshape(3, 8)
        np.testing.assert_array_equal(transformer_block(silent, x, heads=2), x)


class TestNoise:
    def test_no_key_or_no_rate_is_no_noise(self):
        x = jnp.sin(jnp.arange(24.0)).reshape(3, 8)
        plain = transformer_block(PARAMS, x, heads=2)
        noise = {"heads": 2, "dropout_rate": 0.5}
        np.testing.assert_array_equal(transformer_block(PARAMS, x, **noise), plain)
        zero = transformer_block(PARAMS, x, heads=2, dropout_key=KEY)
        np.testing.assert_allclose(zero, plain, rtol=1e-6)
        noisy = transformer_block(PARAMS, x, dropout_key=KEY, **noise)
        assert (noisy != plain).mean() > 0.5

    def test_mean_of_a_linear_branch(self):
        """The perceptron of an identity and no attention: E y is what it is without noise."""
        last = DenseParams(jnp.zeros((8, 8)), jnp.zeros(8))
        silent = PARAMS._replace(self_attention=PARAMS.self_attention._replace(out=last))
        x = jnp.sin(jnp.arange(24.0)).reshape(3, 8)
        draw = jax.jit(
            jax.vmap(
                lambda key: transformer_block(silent, x, heads=2, dropout_key=key, dropout_rate=0.3)
            )
        )
        many = draw(jax.random.split(KEY, 4096))
        plain = transformer_block(silent, x, heads=2)
        error = many.std(axis=0) / 64
        assert (jnp.abs(many.mean(axis=0) - plain) < 5 * error + 1e-6).all()


@pytest.mark.slow
def test_transforms():
    x = jnp.sin(jnp.arange(24.0)).reshape(3, 8)
    assert_transforms(lambda p, x: transformer_block(p, x, heads=2, is_causal=True), PARAMS, x)


def test_edges():
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), PARAMS)
    y = transformer_block(half, jnp.ones((0, 3, 8), jnp.bfloat16), heads=2)
    assert y.shape == (0, 3, 8)
    assert y.dtype == jnp.bfloat16
    assert transformer_block(PARAMS, jnp.ones((2, 0, 8)), heads=2).shape == (2, 0, 8)
