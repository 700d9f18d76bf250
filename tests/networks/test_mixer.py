"""fnmath.networks.mixer: perceptrons across patches and across features."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.networks import mixer, mixer_init
from tests.helpers import Mistake
from tests.networks import torch_forms
from tests.networks.test_vit import patched
from tests.networks.torch_forms import assert_equals_torch, random_params

KEY = jax.random.key(0)
SIZES = {"patch": (2, 3), "features": 8, "depth": 3, "token_hidden": 6, "channel_hidden": 16}


def init(key, dtype=jnp.float32):
    return mixer_init(key, (4, 6, 3), 5, **SIZES, dtype=dtype)


PARAMS = random_params(init)
x = jnp.ones((4, 6, 3))

MISTAKES = [
    Mistake(
        mixer_init, (KEY, 4, 5), SIZES, TypeError,
        "mixer_init: image_shape is 4; wanted (height, width, channels)",
    ),
    Mistake(
        mixer_init, (KEY, (4, 6, 3), 5), SIZES | {"token_hidden": 0}, ValueError,
        "mixer_init: token_hidden is 0; wanted an integer of at least 1",
    ),
    Mistake(
        mixer, (PARAMS._replace(layers=PARAMS.ln), x), {}, TypeError,
        "mixer: params is a NormParams; wanted MixerBlockParams(ln_1, token_mixing, ln_2, "
        "channel_mixing)",
    ),
    Mistake(
        mixer, (PARAMS, x), {"dropout_key": 1}, TypeError,
        "mixer: dropout_key is a int; wanted a random key; did you mean jax.random.key(1)?",
    ),
    Mistake(
        mixer, (PARAMS, x), {"drop_path_rate": 1}, ValueError,
        "mixer: drop_path_rate is 1; wanted a number in [0, 1)",
    ),
    Mistake(
        mixer, (PARAMS, jnp.ones((6, 6, 3))), {}, ValueError,
        "dense: the number of input features must agree: x has 6 and kernel has 4",
    ),
]  # fmt: skip


class TestMixerInit:
    def test_is_mixer_b_16(self):
        """With 1000 classes it has 59.88 million parameters, the 59 of the paper's table 1."""
        shapes = jax.eval_shape(lambda key: mixer_init(key, (224, 224, 3), 1000), KEY)
        assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 59_880_472


@pytest.mark.usefixtures("x64")
class TestMixer:
    def test_equals_torch(self):
        images = jnp.asarray(np.random.default_rng(1).standard_normal((2, 4, 6, 3)))

        def theirs(tree):
            params, images = tree
            h = patched(params.stem, images)
            for block in torch_forms.each(params.layers):
                y = torch_forms.norm(block.ln_1, h, 1e-6).transpose(1, 2)
                y = torch_forms.perceptron(block.token_mixing, y, "tanh")
                h = h + y.transpose(1, 2)
                y = torch_forms.norm(block.ln_2, h, 1e-6)
                h = h + torch_forms.perceptron(block.channel_mixing, y, "tanh")
            return torch_forms.linear(params.head, torch_forms.norm(params.ln, h, 1e-6).mean(1))

        params = random_params(lambda key: init(key, jnp.float64))
        assert_equals_torch(lambda tree: mixer(*tree), theirs, (params, images))


class TestStochasticDepth:
    def test_no_key_is_no_noise(self):
        np.testing.assert_array_equal(mixer(PARAMS, x, drop_path_rate=0.5), mixer(PARAMS, x))

    def test_rates_rise_from_nothing(self):
        """Of three blocks the first is never dropped, and the last as often as is said.

        A dropped branch makes an output of its own: how many there are tells which are dropped.
        """
        f = jax.jit(jax.vmap(lambda key: mixer(PARAMS, x, dropout_key=key, drop_path_rate=0.5)[0]))
        outputs = np.unique(np.round(np.asarray(f(jax.random.split(KEY, 2000))), 4))
        assert len(outputs) == 2**4  # two branches in each of the last two blocks

    def test_each_example_apart(self):
        images = jnp.stack([x] * 64)
        y = mixer(PARAMS, images, dropout_key=KEY, drop_path_rate=0.5)
        assert len(np.unique(np.round(np.asarray(y[:, 0]), 4))) > 4


def test_vmap_over_parameters():
    both = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), PARAMS)
    many = jax.jit(jax.vmap(lambda p: mixer(p, x)))(both)
    np.testing.assert_allclose(many[0], mixer(PARAMS, x), rtol=1e-4, atol=1e-4)


def test_edges():
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), PARAMS)
    y = mixer(half, jnp.ones((0, 4, 6, 3), jnp.bfloat16))
    assert y.shape == (0, 5)
    assert y.dtype == jnp.bfloat16
