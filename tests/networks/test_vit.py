"""fnmath.networks.vit: an encoder over the patches of an image."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.activations import gelu
from fnmath.networks import vit, vit_init
from tests.helpers import Mistake
from tests.networks import torch_forms
from tests.networks.torch_forms import assert_equals_torch, random_params

KEY = jax.random.key(0)
SIZES = {"patch": (2, 3), "features": 8, "depth": 2, "heads": 2}


def init(key, dtype=jnp.float32, **options):
    return vit_init(key, (4, 6, 3), 5, **SIZES | options, dtype=dtype)


PARAMS = random_params(init)
x = jnp.ones((4, 6, 3))

MISTAKES = [
    Mistake(
        vit_init, (KEY, (4, 6), 5), SIZES, TypeError,
        "vit_init: image_shape is (4, 6); wanted (height, width, channels)",
    ),
    Mistake(
        vit_init, (KEY, (4, 7, 3), 5), SIZES, ValueError,
        "vit_init: image_shape is 4 × 7; wanted multiples of the patch, 2 × 3",
    ),
    Mistake(
        vit_init, (KEY, (4, 6, 3), 5), SIZES | {"patch": (2, 0)}, ValueError,
        "vit_init: patch[1] is 0; wanted an integer of at least 1",
    ),
    Mistake(
        vit_init, (KEY, (4, 6, 3), 5), SIZES | {"patch": (2, 3, 1)}, ValueError,
        "vit_init: patch is (2, 3, 1); wanted an integer or (height, width)",
    ),
    Mistake(
        vit, (PARAMS, x.astype(int)), {"heads": 2}, TypeError,
        "vit: x has dtype int32; wanted a floating dtype; did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        vit, (PARAMS, x[:3]), {"heads": 2}, ValueError,
        "vit: x is 3 × 6; wanted multiples of the patch, 2 × 3",
    ),
    Mistake(
        vit, (PARAMS, jnp.ones((6, 6, 3))), {"heads": 2}, ValueError,
        "position_embedding: x has 7 entries and the embedding 5 positions; wanted at most as many",
    ),
    Mistake(
        vit, (PARAMS._replace(class_token=jnp.ones(7)), x), {"heads": 2}, ValueError,
        "vit: the number of features must agree: class_token has 7 and kernel has 8",
    ),
]  # fmt: skip


def patched(params, x):
    """The patches' features in PyTorch, by a strided convolution."""
    from torch.nn.functional import conv2d

    kernel, bias = params
    y = conv2d(x.movedim(-1, 1), kernel.permute(3, 2, 0, 1), bias, stride=kernel.shape[:2])
    return y.flatten(2).movedim(1, -1)


class TestVitInit:
    def test_is_vit_base(self):
        """With 1000 classes it has torchvision's number of parameters, 86,567,656."""
        shapes = jax.eval_shape(lambda key: vit_init(key, (224, 224, 3), 1000), KEY)
        assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 86_567_656

    def test_all_classes_alike_at_first(self):
        params = vit_init(KEY, (4, 6, 3), 5, **SIZES)
        assert (vit(params, x, heads=2) == 0).all()


@pytest.mark.usefixtures("x64")
class TestVit:
    @pytest.mark.parametrize("use_class_token", [True, False])
    def test_equals_torch(self, use_class_token):
        params = random_params(lambda key: init(key, jnp.float64, use_class_token=use_class_token))
        images = jnp.asarray(np.random.default_rng(1).standard_normal((2, 4, 6, 3)))
        approximate = "tanh" if use_class_token else "none"

        def theirs(tree):
            import torch

            params, images = tree
            h = patched(params.conv_proj, images)
            if use_class_token:
                first = params.class_token.expand(len(images), 1, -1)
                h = torch.cat([first, h], dim=1)
            h = torch_forms.encoder(params.encoder, h, 2, epsilon=1e-6, approximate=approximate)
            return torch_forms.linear(params.head, h[:, 0] if use_class_token else h.mean(dim=1))

        activation = partial(gelu, approximate=use_class_token)
        assert_equals_torch(
            lambda tree: vit(*tree, heads=2, activation=activation), theirs, (params, images)
        )

    def test_law_patches_and_positions_permuted_together(self):
        """The order of the patches is in their positions alone."""
        params = random_params(lambda key: init(key, jnp.float64, use_class_token=False))
        image = jnp.asarray(np.random.default_rng(1).standard_normal((4, 6, 3)))
        table = params.encoder.pos_embedding.embedding
        swapped = jnp.concatenate([image[2:], image[:2]])  # the two rows of two patches
        rows = params.encoder.pos_embedding._replace(embedding=table[jnp.array([2, 3, 0, 1])])
        moved = params._replace(encoder=params.encoder._replace(pos_embedding=rows))
        f = jax.jit(lambda p, x: vit(p, x, heads=2))
        np.testing.assert_allclose(f(moved, swapped), f(params, image), rtol=1e-11)
        assert jnp.abs(f(params, swapped) - f(params, image)).max() > 1e-3


def test_vmap_over_parameters_and_noise():
    both = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), PARAMS)
    f = jax.jit(lambda p: vit(p, x, heads=2))
    many = jax.jit(jax.vmap(lambda p: vit(p, x, heads=2)))(both)
    np.testing.assert_allclose(many[0], f(PARAMS), rtol=1e-4, atol=1e-4)
    noisy = jax.jit(lambda key: vit(PARAMS, x, heads=2, dropout_key=key, dropout_rate=0.2))
    assert (noisy(KEY) != noisy(jax.random.key(1))).any()


def test_edges():
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), PARAMS)
    y = vit(half, jnp.ones((0, 4, 6, 3), jnp.bfloat16), heads=2)
    assert y.shape == (0, 5)
    assert y.dtype == jnp.bfloat16
