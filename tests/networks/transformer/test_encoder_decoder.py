"""fnmath.networks.transformer.encoder_decoder: an encoder, and a decoder that asks it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.layers import embedding, padding_mask
from fnmath.networks import (
    transformer,
    transformer_decoder,
    transformer_decoder_generate,
    transformer_encoder,
    transformer_init,
)
from tests.helpers import Mistake
from tests.networks import torch_forms
from tests.networks.torch_forms import assert_equals_torch, random_params

KEY = jax.random.key(0)
SIZES = {"length": 6, "depth": 2, "heads": 2}


def init(key, dtype=jnp.float32, **options):
    return transformer_init(key, 9, 11, 8, **SIZES | options, dtype=dtype)


PARAMS = random_params(init)
source = jnp.array([[3, 1, 4, 1], [5, 2, 6, 0]])
target = jnp.array([[0, 9, 2], [0, 10, 5]])
MASK = padding_mask(jnp.array([4, 2]), 4)

MISTAKES = [
    Mistake(
        transformer_init, (KEY, 9, 11, "8"), SIZES, TypeError,
        "transformer_init: features is '8' (str); wanted an integer",
    ),
    Mistake(
        transformer_init, (KEY, 9, 0, 8), SIZES, ValueError,
        "transformer_init: target_vocabulary_size is 0; wanted an integer of at least 1",
    ),
    Mistake(
        transformer, (PARAMS, source * 1.0, target), {"heads": 2}, TypeError,
        "transformer: source has dtype float32; wanted an integer dtype; "
        "did you mean source.astype(jnp.int32)?",
    ),
    Mistake(
        transformer, (PARAMS, source, jnp.array(1)), {"heads": 2}, ValueError,
        "transformer: target has shape (); wanted at least 1 axis, (*batch target_time); "
        "did you mean target[None]?",
    ),
    Mistake(
        transformer, (PARAMS, source, target[0]), {"heads": 2}, ValueError,
        "multi_head_attention: x (3, 8) and context (2, 4, 8) must have the same batch axes",
    ),
]  # fmt: skip


@pytest.mark.usefixtures("x64")
class TestTransformer:
    def test_equals_torch(self):
        def theirs(params):
            import torch

            ids, after, seen = (torch.tensor(np.asarray(a)) for a in (source, target, MASK))
            x = params.token_embedding.embedding[ids]
            c = torch_forms.encoder(params.encoder, x, 2, mask=seen)
            return torch_forms.decoder(params.decoder, after, 2, context=c, mask=seen)

        assert_equals_torch(
            lambda p: transformer(p, source, target, heads=2, source_mask=MASK),
            theirs,
            random_params(lambda key: init(key, jnp.float64)),
        )

    def test_law_what_is_masked_does_not_matter(self):
        params = random_params(lambda key: init(key, jnp.float64))
        f = jax.jit(lambda s, m: transformer(params, s, target, heads=2, source_mask=m))
        z = f(source, MASK)
        np.testing.assert_array_equal(f(source.at[1, 2:].set(-1), MASK), z)
        np.testing.assert_allclose(f(source[:, :2], MASK[:, :2])[1], z[1], rtol=1e-11)

    def test_is_its_two_halves(self):
        """So that what is read once can be written from token by token."""
        params = random_params(lambda key: init(key, jnp.float64))
        h = embedding(params.token_embedding, source)
        c = transformer_encoder(params.encoder, h, heads=2, key_mask=MASK)
        z = transformer_decoder(params.decoder, target, heads=2, context=c, context_mask=MASK)
        whole = transformer(params, source, target, heads=2, source_mask=MASK)
        np.testing.assert_allclose(whole, z, rtol=1e-12)
        options = {"length": 3, "heads": 2, "temperature": 0, "context": c, "context_mask": MASK}
        drawn = transformer_decoder_generate(KEY, params.decoder, target[:, :1], **options)
        after = jnp.concatenate([target[:, :1], drawn[:, :-1]], axis=1)
        scores = transformer(params, source, after, heads=2, source_mask=MASK)
        np.testing.assert_array_equal(drawn, scores.argmax(axis=-1))


def test_noise():
    f = jax.jit(
        lambda key: transformer(PARAMS, source, target, heads=2, dropout_key=key, dropout_rate=0.2)
    )
    np.testing.assert_array_equal(f(KEY), f(KEY))
    assert (f(KEY) != f(jax.random.key(1))).mean() > 0.5


def test_edges():
    assert transformer(PARAMS, source[:0], target[:0], heads=2).shape == (0, 3, 11)
    nothing = jnp.zeros_like(MASK)
    assert jnp.isfinite(transformer(PARAMS, source, target, heads=2, source_mask=nothing)).all()
