"""fnmath.layers.attention.decoding: token by token what the whole sequence gives at once."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.layers import (
    KeyValueCache,
    alibi_bias,
    key_value_cache_init,
    multi_head_attention,
    multi_head_attention_decode,
    multi_head_attention_init,
    rotary,
)
from tests.helpers import Mistake

KEY = jax.random.key(0)
PARAMS = multi_head_attention_init(KEY, 8, heads=4, key_value_heads=2, head_features=4)
x = jnp.sin(jnp.arange(2 * 7 * 8.0)).reshape(2, 7, 8)
CACHE = key_value_cache_init((2,), 9, heads=2, head_features=4)
decode = multi_head_attention_decode

MISTAKES = [
    Mistake(
        key_value_cache_init, (2, 9), {"heads": 2, "head_features": 4}, TypeError,
        "key_value_cache_init: batch_shape is a int; wanted a tuple of integers; "
        "did you mean (2,)?",
    ),
    Mistake(
        key_value_cache_init, ((2,), 0), {"heads": 2, "head_features": 4}, ValueError,
        "key_value_cache_init: size is 0; wanted an integer of at least 1",
    ),
    Mistake(
        decode, (PARAMS, None, x), {"heads": 4}, TypeError,
        "multi_head_attention_decode: cache is a NoneType; wanted a KeyValueCache; "
        "did you mean key_value_cache_init(…)?",
    ),
    Mistake(
        decode, (PARAMS, CACHE, x[0]), {"heads": 4}, ValueError,
        "multi_head_attention_decode: cache.key has shape (2, 9, 2, 4); wanted (size, 2, 4)",
    ),
    Mistake(
        decode, (PARAMS, CACHE, jnp.ones((2, 10, 8))), {"heads": 4}, ValueError,
        "multi_head_attention_decode: x has 10 tokens; the cache has room for 9",
    ),
    Mistake(
        decode, (PARAMS, CACHE, x), {"heads": 3}, ValueError,
        "multi_head_attention_decode: the 16 columns of params.query do not fall into 3 heads",
    ),
    Mistake(
        decode, (PARAMS, CACHE._replace(length=0.5), x), {"heads": 4}, TypeError,
        "multi_head_attention_decode: cache.length has dtype float32; wanted an integer dtype; "
        "did you mean cache.length.astype(jnp.int32)?",
    ),
]  # fmt: skip

WAYS = {
    "plain": {},
    "rotary": {"rotate": rotary},
    "window": {"local_window_size": (2, 0)},
    "rotary, window": {"rotate": functools.partial(rotary, interleaved=True),
                       "local_window_size": 1},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("pieces", [(1,) * 7, (3, 1, 3), (7,)], ids=str)
def test_equals_the_whole_sequence(options, pieces):
    whole = multi_head_attention(PARAMS, x, heads=4, is_causal=True, **options)
    step = jax.jit(functools.partial(decode, heads=4, **options))
    cache, outputs, start = CACHE, [], 0
    for n in pieces:
        y, cache = step(PARAMS, cache, x[:, start : start + n])
        outputs.append(y)
        start += n
    assert cache.length == 7
    np.testing.assert_allclose(jnp.concatenate(outputs, 1), whole, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_biases_of_positions():
    bias = alibi_bias(4, 7, 7)
    whole = multi_head_attention(PARAMS, x, heads=4, is_causal=True, bias=bias)
    y, cache = decode(PARAMS, CACHE, x[:, :4], heads=4, bias=alibi_bias(4, 4, 9))
    rest = alibi_bias(4, 3, 9, offset=cache.length)
    last, _ = decode(PARAMS, cache, x[:, 4:], heads=4, bias=rest)
    np.testing.assert_allclose(jnp.concatenate([y, last], 1), whole, rtol=0, atol=1e-6)


def test_scan_over_tokens():
    """The cache is a carry: same shapes and dtypes in and out, compiled once."""

    def step(cache, token):
        y, cache = decode(PARAMS, cache, token[:, None], heads=4, rotate=rotary)
        return cache, y[:, 0]

    cache, y = jax.jit(lambda x: jax.lax.scan(step, CACHE, jnp.swapaxes(x, 0, 1)))(x)
    whole = multi_head_attention(PARAMS, x, heads=4, is_causal=True, rotate=rotary)
    np.testing.assert_allclose(jnp.swapaxes(y, 0, 1), whole, rtol=0, atol=1e-6)
    assert cache.length == 7
    assert (cache.key[:, 7:] == 0).all()


@pytest.mark.slow
def test_sequences_of_various_lengths():
    """Each with a cache of its own, by vmap."""
    alone = key_value_cache_init((), 9, heads=2, head_features=4)
    first, second = (decode(PARAMS, alone, x[i, :n], heads=4)[1] for i, n in ((0, 2), (1, 5)))
    both = jax.tree.map(lambda *a: jnp.stack(a), first, second)
    tokens = jnp.stack([x[0, 2:3], x[1, 5:6]])
    y, both = jax.vmap(lambda cache, x: decode(PARAMS, cache, x, heads=4))(both, tokens)
    whole = multi_head_attention(PARAMS, x, heads=4, is_causal=True)
    np.testing.assert_allclose(y[:, 0], jnp.stack([whole[0, 2], whole[1, 5]]), atol=1e-6)
    np.testing.assert_array_equal(both.length, [3, 6])


@pytest.mark.slow
def test_a_mask_hides_entries_of_the_cache():
    """The padding on the left of a prompt."""
    spoiled = x.at[0, :2].set(jnp.nan)
    seen = (jnp.arange(9) >= jnp.array([2, 0])[:, None])[:, None, None]
    y, _ = decode(PARAMS, CACHE, spoiled, heads=4, mask=seen)
    alone = multi_head_attention(PARAMS, x[0, 2:], heads=4, is_causal=True)
    np.testing.assert_allclose(y[0, 2:], alone, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_no_room_gives_nan():
    y, cache = decode(PARAMS, CACHE, x, heads=4)
    y, cache = decode(PARAMS, cache, x[:, :2], heads=4)
    assert jnp.isfinite(y).all()
    for n in (1, 2):
        y, cache = decode(PARAMS, cache, x[:, :n], heads=4)
        assert jnp.isnan(y).all()
    backwards = CACHE._replace(length=jnp.int32(-1))
    assert jnp.isnan(decode(PARAMS, backwards, x, heads=4)[0]).all()


@pytest.mark.slow
def test_what_the_cache_holds_has_gradients():
    """The sum over both halves has the gradient of the whole."""

    def halves(params):
        y, cache = decode(params, CACHE, x[:, :4], heads=4)
        z, _ = decode(params, cache, x[:, 4:], heads=4)
        return jnp.sum(jnp.sin(y)) + jnp.sum(jnp.sin(z))

    def whole(params):
        return jnp.sum(jnp.sin(multi_head_attention(params, x, heads=4, is_causal=True)))

    ours, expected = jax.grad(halves)(PARAMS), jax.grad(whole)(PARAMS)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5)


@pytest.mark.slow
def test_edges():
    assert isinstance(CACHE, KeyValueCache)
    half = key_value_cache_init((2,), 9, heads=2, head_features=4, dtype=jnp.bfloat16)
    y, cache = decode(PARAMS, half, x, heads=4)
    assert cache.key.dtype == jnp.bfloat16
    whole = multi_head_attention(PARAMS, x, heads=4, is_causal=True)
    np.testing.assert_allclose(y, whole, rtol=0, atol=0.02)
    empty = key_value_cache_init((0,), 9, heads=2, head_features=4)
    assert decode(PARAMS, empty, x[:0], heads=4)[0].shape == (0, 7, 8)
