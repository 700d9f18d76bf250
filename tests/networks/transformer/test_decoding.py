"""fnmath.networks.transformer.decoding: a token at a time, by a cache of keys and values."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.layers import rotary
from fnmath.networks import (
    transformer_decoder,
    transformer_decoder_cache_init,
    transformer_decoder_decode,
    transformer_decoder_generate,
    transformer_decoder_init,
)
from tests.helpers import Mistake
from tests.networks.torch_forms import random_params

KEY = jax.random.key(0)


def init(key, dtype=jnp.float32, **options):
    sizes = {"length": 6, "depth": 2, "heads": 2} | options
    return transformer_decoder_init(key, 11, 8, **sizes, dtype=dtype)


PARAMS = random_params(init)
CACHE = transformer_decoder_cache_init(PARAMS, (), 6, heads=2)
ids = jnp.array([3, 1, 4, 1, 5, 9])
generate = partial(transformer_decoder_generate, heads=2)

MISTAKES = [
    Mistake(
        transformer_decoder_cache_init, (PARAMS, 2, 6), {"heads": 2}, TypeError,
        "key_value_cache_init: batch_shape is a int; wanted a tuple of integers; "
        "did you mean (2,)?",
    ),
    Mistake(
        transformer_decoder_cache_init, (PARAMS.layers, (), 6), {"heads": 2}, TypeError,
        "transformer_decoder_cache_init: params is a TransformerBlockParams; wanted "
        "TransformerDecoderParams(token_embedding, pos_embedding, layers, ln, head)",
    ),
    Mistake(
        transformer_decoder_cache_init, (PARAMS, (), 6), {"heads": 3}, ValueError,
        "transformer_decoder_cache_init: the 8 columns of the queries do not fall into 3 heads",
    ),
    Mistake(
        transformer_decoder_decode, (PARAMS, None, ids), {"heads": 2}, TypeError,
        "transformer_decoder_decode: cache is a NoneType; wanted "
        "KeyValueCache(key, value, length)",
    ),
    Mistake(
        transformer_decoder_decode, (PARAMS, CACHE, ids), {"heads": 2, "context": jnp.ones((3, 8))},
        ValueError,
        "transformer_decoder_decode: context is given and params.cross_attention is None",
    ),
    Mistake(
        transformer_decoder_decode, (PARAMS, CACHE._replace(length=jnp.array(0)), ids),
        {"heads": 2}, ValueError,
        "transformer_decoder_decode: cache.length has shape (); wanted exactly 1 axis, (blocks); "
        "did you mean cache.length[None]?",
    ),
    Mistake(
        transformer_decoder_generate, (KEY, PARAMS, ids), {"heads": 2, "length": 2}, ValueError,
        "transformer_decoder_generate: 6 tokens of the prompt and 2 to draw, and 6 positions; "
        "wanted at least 7",
    ),
    Mistake(
        transformer_decoder_generate, (KEY, PARAMS, ids[:0]), {"heads": 2, "length": 2}, ValueError,
        "transformer_decoder_generate: prompt has no token; wanted at least one to go on from",
    ),
    Mistake(
        transformer_decoder_generate, (KEY, PARAMS, ids[:2]), {"heads": 2, "length": 2.0},
        TypeError,
        "transformer_decoder_generate: length is 2.0 (float); wanted an integer",
    ),
    Mistake(
        transformer_decoder_generate, (KEY, PARAMS, ids[:2]),
        {"heads": 2, "length": 2, "temperature": -1.0}, ValueError,
        "transformer_decoder_generate: temperature is -1.0; wanted a number in [0, inf)",
    ),
]  # fmt: skip


def decoded(params, ids, pieces, **options):
    """The scores by the cache, the tokens in pieces of these sizes."""
    cache = transformer_decoder_cache_init(params, ids.shape[:-1], 6, heads=2)
    scores, start = [], 0
    for n in pieces:
        z, cache = transformer_decoder_decode(
            params, cache, ids[..., start : start + n], heads=2, **options
        )
        scores.append(z)
        start += n
    return jnp.concatenate(scores, axis=-2)


@pytest.mark.usefixtures("x64")
class TestDecode:
    @pytest.mark.parametrize("pieces", [(1,) * 6, (6,), (2, 3, 1)])
    def test_equals_the_whole(self, pieces):
        params = random_params(lambda key: init(key, jnp.float64))
        both = jnp.stack([ids, ids[::-1]])
        z = jax.jit(lambda p: decoded(p, both, pieces))(params)
        expected = jax.jit(lambda p: transformer_decoder(p, both, heads=2))(params)
        np.testing.assert_allclose(z, expected, rtol=1e-11, atol=1e-12)

    def test_equals_the_whole_with_a_context_and_rotations(self):
        params = random_params(lambda key: init(key, jnp.float64, length=None, context_features=6))
        options = {
            "context": jnp.sin(jnp.arange(24.0)).reshape(4, 6),
            "context_mask": jnp.arange(4) < 3,
            "rotate": rotary,
        }
        z = jax.jit(lambda p: decoded(p, ids, (4, 1, 1), **options))(params)
        expected = jax.jit(lambda p: transformer_decoder(p, ids, heads=2, **options))(params)
        np.testing.assert_allclose(z, expected, rtol=1e-11, atol=1e-12)

    def test_gradient_is_that_of_the_whole(self):
        params = random_params(lambda key: init(key, jnp.float64))
        ours, whole = (
            jax.jit(jax.grad(lambda p, f=f: jnp.sum(jnp.sin(f(p)))))(params)
            for f in (
                lambda p: decoded(p, ids, (4, 2)),
                lambda p: transformer_decoder(p, ids, heads=2),
            )
        )
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), ours, whole
        )


class TestGenerate:
    def test_the_likeliest_one_by_one(self):
        """At temperature 0 each token is the likeliest after all those before it."""
        prompt = jnp.stack([ids[:2], ids[2:4]])
        drawn = jax.jit(lambda: generate(KEY, PARAMS, prompt, length=4, temperature=0.0))()
        whole = jnp.concatenate([prompt, drawn], axis=-1)
        z = transformer_decoder(PARAMS, whole[:, :-1], heads=2)
        np.testing.assert_array_equal(drawn, z[:, 1:].argmax(axis=-1))

    def test_follows_the_distribution(self):
        """Ten thousand first tokens against softmax(z/τ), by χ² (10 degrees: 29.6 at 0.1 %)."""
        keys, τ = jax.random.split(KEY, 10_000), 1.5
        draw = jax.jit(
            jax.vmap(lambda key: generate(key, PARAMS, ids[:2], length=1, temperature=τ)[0])
        )
        counts = np.bincount(draw(keys), minlength=11)
        z = transformer_decoder(PARAMS, ids[:2], heads=2)[-1]
        expected = 10_000 * np.asarray(jax.nn.softmax(z / τ), np.float64)
        assert ((counts - expected) ** 2 / expected).sum() < 29.6

    def test_temperature_may_be_an_array(self):
        f = jax.jit(lambda τ: generate(KEY, PARAMS, ids[:2], length=3, temperature=τ))
        for τ in (0.0, 1.0):
            plain = jax.jit(lambda τ=τ: generate(KEY, PARAMS, ids[:2], length=3, temperature=τ))()
            np.testing.assert_array_equal(f(jnp.float32(τ)), plain)
        np.testing.assert_array_equal(f(jnp.float32(-1.0)), [-1, -1, -1])
        np.testing.assert_array_equal(f(jnp.float32(jnp.nan)), [-1, -1, -1])

    def test_no_distribution(self):
        prompt = jnp.array([[3, 11], [3, 1]])
        drawn = generate(KEY, PARAMS, prompt, length=3)
        np.testing.assert_array_equal(drawn[0], [-1, -1, -1])
        assert ((drawn[1] >= 0) & (drawn[1] < 11)).all()

    def test_one_token(self):
        assert generate(KEY, PARAMS, ids[:2], length=1).shape == (1,)
