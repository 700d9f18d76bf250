"""fnmath.layers.convolution, depthwise: channel by channel, and separable."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.layers import (
    ConvParams,
    SeparableConvParams,
    conv,
    depthwise_conv,
    depthwise_conv_init,
    separable_conv,
    separable_conv_init,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms
from tests.layers.convolution import drawn

KEY = jax.random.key(0)
x = jnp.ones((5, 6, 2))
PARAMS = ConvParams(jnp.ones((3, 1, 4)), jnp.zeros(4))
BOTH = SeparableConvParams(ConvParams(jnp.ones((3, 1, 4))), ConvParams(jnp.ones((1, 4, 5))))
MISTAKES = [
    Mistake(
        depthwise_conv, (None, x), {}, TypeError,
        "depthwise_conv: params is a NoneType; wanted ConvParams(kernel, bias)",
    ),
    Mistake(
        depthwise_conv, (ConvParams(jnp.ones((3, 2, 4))), x), {}, ValueError,
        "depthwise_conv: kernel has shape (3, 2, 4); wanted (*window 1 out); did you mean conv?",
    ),
    Mistake(
        depthwise_conv, (PARAMS, jnp.ones((6, 3))), {}, ValueError,
        "depthwise_conv: the kernel gives 4 channels; wanted a multiple of groups, 3",
    ),
    Mistake(
        depthwise_conv, (PARAMS, x[..., :0]), {}, ValueError,
        "depthwise_conv: x has shape (5, 6, 0); wanted at least one channel",
    ),
    Mistake(
        depthwise_conv, (PARAMS, x), {"method": 1}, TypeError,
        "depthwise_conv: method is 1; wanted one of "
        "'lax', 'blocks', 'surplus', 'taps', 'rows', 'patches', 'spread', 'winograd'",
    ),
    Mistake(
        depthwise_conv_init, (KEY, 3, 2), {"multiplier": 0}, ValueError,
        "depthwise_conv_init: multiplier is 0; wanted an integer of at least 1",
    ),
    Mistake(
        depthwise_conv_init, (KEY, 3, None), {}, TypeError,
        "depthwise_conv_init: channels is None (NoneType); wanted an integer",
    ),
    Mistake(
        separable_conv, (PARAMS, x), {}, TypeError,
        "separable_conv: params.depthwise is a ArrayImpl; wanted a tuple",
    ),
    Mistake(
        separable_conv, (BOTH._replace(pointwise=None), x), {}, TypeError,
        "separable_conv: params.pointwise is a NoneType; wanted a tuple",
    ),
    Mistake(
        separable_conv, (BOTH._replace(pointwise=BOTH.depthwise), x), {}, ValueError,
        "separable_conv: params.pointwise has a kernel of shape (3, 1, 4); wanted (*(1,), in, out)",
    ),
    Mistake(
        separable_conv, (BOTH._replace(pointwise=ConvParams(jnp.ones((1, 2, 5)))), x), {},
        ValueError,
        "separable_conv: the number of channels between the parts must agree: params.depthwise has "
        "4 and params.pointwise has 2",
    ),
    Mistake(
        separable_conv_init, (KEY, 3, 2, 0), {}, ValueError,
        "separable_conv_init: out_channels is 0; wanted an integer of at least 1",
    ),
    Mistake(
        separable_conv_init, (KEY, 3, 2, 4), {"dtype": jnp.int32}, TypeError,
        "separable_conv_init: dtype is int32; wanted a floating dtype; did you mean jnp.float32?",
    ),
]  # fmt: skip


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def separable(multiplier=2):
    middle = 3 * multiplier
    depthwise = ConvParams(normal(1, 2, 3, 1, middle), normal(2, middle))
    return SeparableConvParams(depthwise, ConvParams(normal(3, 1, 1, middle, 4), normal(4, 4)))


class TestDepthwiseConv:
    def test_reference(self):
        """Each output channel is a convolution of one input channel."""
        params, image = ConvParams(normal(1, 2, 3, 1, 6), normal(2, 6)), normal(0, 2, 5, 4, 3)
        options = {"strides": (2, 1), "padding": "REFLECT", "dilation": (1, 2)}
        y = depthwise_conv(params, image, **options)
        for o in range(6):
            one = ConvParams(params.kernel[..., o : o + 1], params.bias[o : o + 1])
            channel = image[..., o // 2 : o // 2 + 1]
            np.testing.assert_allclose(
                y[..., o : o + 1], conv(one, channel, **options), rtol=1e-5, atol=1e-5
            )

    @pytest.mark.usefixtures("x64")
    def test_gradient_is_that_of_conv(self):
        params, image = ConvParams(normal(1, 2, 1, 6), normal(2, 6)), normal(0, 4, 3)
        weight = normal(3, 4, 6)
        reference = jax.grad(lambda p: jnp.sum(weight * conv(p, image, groups=3)))
        assert_gradient(lambda p: weight * depthwise_conv(p, image), reference, params)

    def test_transforms(self):
        params = ConvParams(normal(1, 2, 3, 1, 6), normal(2, 6))
        assert_transforms(lambda p, x: depthwise_conv(p, x, strides=2), params, normal(0, 5, 4, 3))

    def test_init(self):
        params = depthwise_conv_init(KEY, (3, 3), 512, multiplier=2)
        assert params.kernel.shape == (3, 3, 1, 1024)
        y = depthwise_conv(params, jax.random.normal(KEY, (16, 8, 512)), padding="CIRCULAR")
        assert abs(float(y.var()) - 1) < 0.05
        assert depthwise_conv_init(KEY, 3, 2, use_bias=False).bias is None


class TestSeparableConv:
    @pytest.mark.parametrize("multiplier", [1, 2])
    @pytest.mark.parametrize("bias", [True, False])
    def test_law_one_convolution(self, multiplier, bias):
        """The kernel of the docstring: the product of the two."""
        params, image = separable(multiplier), normal(0, 2, 5, 4, 3)
        if not bias:
            params = SeparableConvParams(*(part._replace(bias=None) for part in params))
        depthwise, pointwise = params
        split = depthwise.kernel.reshape(2, 3, 3, multiplier)
        rows = pointwise.kernel.reshape(3, multiplier, 4)
        kernel = jnp.einsum("xycr,cro->xyco", split, rows)
        total = depthwise.bias @ pointwise.kernel[0, 0] + pointwise.bias if bias else None
        options = {"strides": 2, "padding": [(1, 0), "CIRCULAR"]}
        np.testing.assert_allclose(
            separable_conv(params, image, **options),
            conv(ConvParams(kernel, total), image, **options),
            rtol=1e-4,
            atol=1e-4,
        )

    @pytest.mark.usefixtures("x64")
    def test_equals_torch(self):
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        rng = np.random.default_rng(0)

        def theirs(x, d, bias, p, last):
            images = drawn.channels_first(x, 2)
            weights = [a.movedim((-1, -2), (0, 1)).contiguous() for a in (d, p)]
            z = torch.nn.functional.conv2d(images, weights[0], bias, 2, (1, 2), groups=3)
            return torch.nn.functional.conv2d(z, weights[1], last).movedim(1, -1)

        def mine(x, d, bias, p, last):
            params = SeparableConvParams(ConvParams(d, bias), ConvParams(p, last))
            return separable_conv(params, x, strides=2, padding=(1, 2))

        arrays = [np.asarray(a) for a in (normal(0, 2, 5, 4, 3), *jax.tree.leaves(separable()))]
        cotangent, expected = drawn.torch_answer(theirs, arrays, rng)
        (answers,) = drawn.our_answers([mine], [arrays], [cotangent])
        drawn.assert_close(answers, expected, 1e-10)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        params, image = separable(), normal(0, 1, 3, 3, 3)
        weight = normal(5, 1, 3, 3, 4)

        def closed_form(params):
            z = depthwise_conv(params.depthwise, image)
            _, back = jax.vjp(lambda d: depthwise_conv(d, image), params.depthwise)
            kernel = jnp.einsum("bijr,bijo->ro", z, weight)[None, None]
            (depthwise,) = back(weight @ params.pointwise.kernel[0, 0].T)
            return SeparableConvParams(depthwise, ConvParams(kernel, weight.sum((0, 1, 2))))

        assert_gradient(lambda p: weight * separable_conv(p, image), closed_form, params)

    def test_transforms(self):
        assert_transforms(separable_conv, separable(), normal(0, 5, 4, 3))

    def test_edges(self):
        assert separable_conv(BOTH, x[:0]).shape == (0, 6, 5)
        assert separable_conv(BOTH, x[:, :0], strides=2).shape == (5, 0, 5)
        half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (BOTH, x))
        assert separable_conv(*half).dtype == jnp.bfloat16

    def test_init(self):
        params = separable_conv_init(KEY, (3, 3), 32, 64, multiplier=2)
        assert params.depthwise.kernel.shape == (3, 3, 1, 64)
        assert params.pointwise.kernel.shape == (1, 1, 64, 64)
        assert params.depthwise.bias is None
        assert params.pointwise.bias.shape == (64,)
        assert separable_conv_init(KEY, 3, 2, 4, use_bias=False).pointwise.bias is None
        y = separable_conv(params, jax.random.normal(KEY, (64, 16, 16, 32)), padding="CIRCULAR")
        assert abs(float(y.var()) - 1) < 0.15
