"""fnmath.layers.normalization.channels: group and instance normalisation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnmath.layers import (
    NormParams,
    group_norm,
    group_norm_init,
    instance_norm,
    instance_norm_init,
    layer_norm,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms
from tests.layers.agreement import arrays, assert_agrees, draws

DRAWN = {"deadline": None, "derandomize": True, "database": None}
NONE = NormParams(None, None)
x = jnp.ones((2, 3, 3, 4))

MISTAKES = [
    Mistake(
        group_norm, ((None,), x), {"groups": 2}, TypeError,
        "group_norm: params is a tuple; wanted NormParams(scale, bias)",
    ),
    Mistake(
        group_norm, (NONE, x), {"groups": 3}, ValueError,
        "group_norm: the 4 channels are not divisible by groups 3",
    ),
    Mistake(
        group_norm, (NONE, x), {"groups": 2.0}, TypeError,
        "group_norm: groups is 2.0 (float); wanted an integer",
    ),
    Mistake(
        group_norm, (NormParams(None, jnp.zeros(2)), x), {"groups": 2}, ValueError,
        "group_norm: bias has shape (2,); wanted (4,), the last of the shape (2, 3, 3, 4) of x",
    ),
    Mistake(
        group_norm, (NONE, x[0, 0]), {"groups": 2}, ValueError,
        "group_norm: x has shape (3, 4); wanted at least 3 axes, (*batch height width channels); "
        "did you mean x[None]?",
    ),
    Mistake(
        group_norm, (NONE, x), {"groups": 2, "spatial": -1}, ValueError,
        "group_norm: spatial is -1; wanted an integer of at least 0",
    ),
    Mistake(
        instance_norm, (NONE, x.astype(int)), {}, TypeError,
        "instance_norm: x has dtype int32; wanted a floating dtype; "
        "did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        instance_norm, (NONE, x), {"spatial": 0}, ValueError,
        "instance_norm: spatial is 0; wanted an integer of at least 1",
    ),
    Mistake(
        instance_norm, (NONE, x), {"epsilon": -1e-5}, ValueError,
        "instance_norm: epsilon is -1e-05; wanted a number in [0, inf)",
    ),
    Mistake(
        group_norm_init, ((2, 3),), {}, TypeError,
        "group_norm_init: features is (2, 3) (tuple); wanted an integer",
    ),
    Mistake(
        group_norm_init, (0,), {}, ValueError,
        "group_norm_init: features is 0; wanted an integer of at least 1",
    ),
    Mistake(
        instance_norm_init, (4,), {"use_scale": None}, TypeError,
        "instance_norm_init: use_scale is None (NoneType); wanted True or False",
    ),
    Mistake(
        instance_norm_init, (-1,), {}, ValueError,
        "instance_norm_init: features is -1; wanted an integer of at least 1",
    ),
]  # fmt: skip


@st.composite
def configurations(draw):
    """Batch, spatial axes, groups, channels of a group, which parameters, ε and the draws."""
    spatial = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    batch = draw(st.lists(st.integers(1, 2), max_size=2))
    groups, each = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    which = draw(st.sampled_from([(), ("scale", "bias"), ("scale",)]))
    epsilon = draw(st.sampled_from([1e-5, 1e-3, 0.5]))
    return tuple(batch), tuple(spatial), groups, each, which, epsilon, draw(st.integers(0, 2**31))


def assert_agrees_with_torch(torch, norm, theirs, configuration):
    batch, spatial, groups, each, which, epsilon, seed = configuration
    channels = groups * each
    shape = (*batch, *spatial, channels)
    x, *params = arrays(seed, shape, *((channels,) for _ in which))

    def ours(x, *params):
        parts = NormParams(**{"scale": None, "bias": None, **dict(zip(which, params, strict=True))})
        options = {"groups": groups} if norm is group_norm else {}
        return norm(parts, x, spatial=len(spatial), epsilon=epsilon, **options)

    def peer(x, *params):
        first = torch.movedim(x.reshape(-1, *spatial, channels), -1, 1).contiguous()
        y = theirs(first, groups, epsilon, **dict(zip(which, params, strict=True)))
        # PyTorch 2.13's own gradient is wrong for a cotangent that is a view with other strides.
        y.register_hook(torch.Tensor.contiguous)
        return torch.movedim(y, 1, -1).reshape(shape)

    assert_agrees(torch, ours, peer, x, *params, differences_of=1.0)


@pytest.mark.slow
class TestAgainstTorch:
    @settings(max_examples=30, **DRAWN)
    @given(configurations())
    def test_group_norm(self, configuration):
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")

        def theirs(x, groups, epsilon, scale=None, bias=None):
            # torch refuses one image with one value in each group, which ours makes β.
            twice = torch.cat([x, x])
            return torch.nn.functional.group_norm(twice, groups, scale, bias, epsilon)[: len(x)]

        assert_agrees_with_torch(torch, group_norm, theirs, configuration)

    @settings(max_examples=15, **DRAWN)
    @given(configurations().filter(lambda c: np.prod(c[1]) > 1))
    def test_instance_norm(self, configuration):
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")

        def theirs(x, groups, epsilon, scale=None, bias=None):
            norm = torch.nn.functional.instance_norm
            return norm(x, weight=scale, bias=bias, eps=epsilon)

        assert_agrees_with_torch(torch, instance_norm, theirs, configuration)


class TestGroupNorm:
    @pytest.mark.slow
    def test_equals_flax(self):
        nn = pytest.importorskip("flax", reason="Flax is a peer, not a dependency").linen
        x, scale, bias = draws(0, (2, 3, 3, 6), (6,), (6,))
        theirs = nn.GroupNorm(num_groups=3).apply({"params": {"scale": scale, "bias": bias}}, x)
        ours = group_norm(NormParams(scale, bias), x, groups=3, epsilon=1e-6)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)

    def test_one_group_is_a_layer_norm_and_all_are_an_instance_norm(self):
        (x,) = draws(1, (2, 3, 3, 6))
        one, layer = group_norm(NONE, x, groups=1), layer_norm(NONE, x, axes=3)
        np.testing.assert_allclose(one, layer, rtol=1e-5, atol=1e-6)
        every, instance = group_norm(NONE, x, groups=6), instance_norm(NONE, x)
        np.testing.assert_allclose(every, instance, rtol=1e-5, atol=1e-6)

    @pytest.mark.slow
    def test_vectors(self):
        (x,) = draws(2, (5, 6))
        y = group_norm(NONE, x, groups=2, spatial=0)
        rows = layer_norm(NONE, x.reshape(5, 2, 3)).reshape(5, 6)
        np.testing.assert_allclose(y, rows, rtol=1e-6)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        x, w, scale, bias = draws(3, (2, 2, 4), (2, 2, 4), (4,), (4,))
        params = NormParams(scale, bias)

        def gradient(x):
            def grouped(a):
                return a.reshape(2, 2, 2, 2)  # batch, time, groups, channels of a group

            def mean(a):
                return a.mean((1, 3), keepdims=True)

            c = grouped(x) - mean(grouped(x))
            σ, z_bar = np.sqrt(mean(c * c) + 1e-1), grouped(w * scale)
            z = c / σ
            return ((z_bar - mean(z_bar) - z * mean(z * z_bar)) / σ).reshape(x.shape)

        def weighted(x):
            return w * group_norm(params, x, groups=2, spatial=1, epsilon=1e-1)

        assert_gradient(jax.jit(weighted), gradient, x)

    @pytest.mark.slow
    def test_transforms(self):
        x, scale, bias = draws(4, (2, 3, 4), (4,), (4,))
        params = NormParams(scale, bias)
        assert_transforms(lambda p, x: group_norm(p, x, groups=2, spatial=1), params, x)

    @pytest.mark.slow
    def test_edges(self):
        assert group_norm(NONE, jnp.ones((0, 3, 3, 4)), groups=2).shape == (0, 3, 3, 4)
        assert group_norm(NONE, jnp.ones((2, 0, 3, 4)), groups=2).shape == (2, 0, 3, 4)
        np.testing.assert_array_equal(group_norm(NONE, 1e10 * x / 3, groups=2), 0)
        assert group_norm(NONE, x.astype(jnp.bfloat16), groups=2).dtype == jnp.bfloat16
        y = group_norm(NONE, x.at[0, 0, 0, 0].set(jnp.nan), groups=2)
        np.testing.assert_array_equal(jnp.isnan(y[0]).all((0, 1)), [True, True, False, False])
        assert not jnp.isnan(y[1]).any()


class TestInstanceNorm:
    def test_law_contrast_and_brightness_are_taken_out(self):
        x, contrast, brightness = draws(5, (2, 4, 4, 3), (2, 1, 1, 3), (2, 1, 1, 3))
        other = (1 + contrast**2) * x + brightness
        plain, changed = (instance_norm(NONE, a, epsilon=0.0) for a in (x, other))
        np.testing.assert_allclose(changed, plain, rtol=1e-5, atol=1e-5)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        x, w, scale, bias = draws(6, (3, 2), (3, 2), (2,), (2,))
        params = NormParams(scale, bias)

        def gradient(x):
            c = x - x.mean(0)
            σ, z_bar = np.sqrt((c * c).mean(0) + 0.1), w * scale
            z = c / σ
            return (z_bar - z_bar.mean(0) - z * (z * z_bar).mean(0)) / σ

        assert_gradient(
            jax.jit(lambda x: w * instance_norm(params, x, spatial=1, epsilon=0.1)), gradient, x
        )

    def test_transforms(self):
        x, scale, bias = draws(7, (2, 3, 4), (4,), (4,))
        params = NormParams(scale, bias)
        assert_transforms(lambda p, x: instance_norm(p, x, spatial=1), params, x)

    def test_one_pixel_leaves_the_bias(self):
        params = NormParams(jnp.full(4, 2.0), jnp.arange(4.0))
        y, vjp = jax.vjp(lambda x: instance_norm(params, x), 3 * x[:, :1, :1])
        np.testing.assert_array_equal(y, jnp.broadcast_to(jnp.arange(4.0), y.shape))
        np.testing.assert_array_equal(vjp(jnp.ones_like(y))[0], 0)

    @pytest.mark.slow
    def test_edges(self):
        assert instance_norm(NONE, jnp.ones((0, 3, 3, 4))).shape == (0, 3, 3, 4)
        assert instance_norm(NONE, jnp.ones((2, 0, 3, 4))).shape == (2, 0, 3, 4)
        y = instance_norm(NONE, x.at[0, 0, 0, 1].set(jnp.inf))
        np.testing.assert_array_equal(jnp.isnan(y[0]).all((0, 1)), [False, True, False, False])


def test_inits():
    for init in (group_norm_init, instance_norm_init):
        params = init(4, dtype=jnp.float16)
        assert params.scale.dtype == params.bias.dtype == jnp.float16
        assert init(4, use_scale=False, use_bias=False) == NONE
