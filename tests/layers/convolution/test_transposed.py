"""fnmath.layers.convolution, transposed: the adjoint of the convolution."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.initializers import variance_scaling
from fnmath.layers import (
    ConvParams,
    ConvTransposeParams,
    conv,
    conv_transpose,
    conv_transpose_init,
    unfold,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms
from tests.layers.convolution import drawn

KEY = jax.random.key(0)
PARAMS = ConvTransposeParams(jnp.ones((3, 2, 4)), jnp.zeros(4))
x = jnp.ones((5, 6, 2))
MISTAKES = [
    Mistake(
        conv_transpose, ([], x), {}, TypeError,
        "conv_transpose: params is a list; wanted ConvTransposeParams(kernel, bias)",
    ),
    Mistake(
        conv_transpose, (PARAMS, jnp.ones((6, 4))), {}, ValueError,
        "conv_transpose: the number of input channels must agree: x has 4 and kernel has 2",
    ),
    Mistake(
        conv_transpose, (PARAMS, x), {"groups": 3}, ValueError,
        "conv_transpose: the number of input channels is 2; wanted a multiple of groups, 3",
    ),
    Mistake(
        conv_transpose, (PARAMS, x), {"groups": 2}, ValueError,
        "conv_transpose: the number of output features must agree: kernel has 8 and bias has 4",
    ),
    Mistake(
        conv_transpose, (PARAMS, x), {"output_padding": 1}, ValueError,
        "conv_transpose: output_padding is 1; wanted 0 with the padding 'SAME', which fixes the "
        "size",
    ),
    Mistake(
        conv_transpose, (PARAMS, x), {"padding": 1, "strides": 2, "output_padding": 2}, ValueError,
        "conv_transpose: output_padding is 2; wanted less than the strides (2,) or the dilation "
        "(1,)",
    ),
    Mistake(
        conv_transpose, (PARAMS, x), {"padding": 4}, ValueError,
        "conv_transpose: padding 4 leaves nothing of the output, whose size would be (0,); wanted "
        "less of it",
    ),
    Mistake(
        conv_transpose, (PARAMS, x), {"output_padding": -1}, ValueError,
        "conv_transpose: output_padding is -1; wanted an integer of at least 0",
    ),
    Mistake(
        conv_transpose_init, (KEY, 3.0, 2, 4), {}, TypeError,
        "conv_transpose_init: window is 3.0 (float); wanted an integer",
    ),
    Mistake(
        conv_transpose_init, (KEY, 3, 3, 4), {"groups": 2}, ValueError,
        "conv_transpose_init: in_channels is 3; wanted a multiple of groups, 2",
    ),
]  # fmt: skip


def swapped(kernel):
    return jnp.swapaxes(kernel, -1, -2)


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def grid(setting):
    """How many windows the convolution of the setting has, the transposed one's input."""
    return tuple(
        (n + low + high - k) // s + 1
        for n, k, s, (low, high) in zip(
            setting.sizes, setting.spans, setting.strides, setting.amounts, strict=True
        )
    )


def output_padding(setting):
    """What makes the output as large as the images of the setting; PyTorch's range has it."""
    return tuple(
        n - ((c - 1) * s + k - low - high)
        for n, c, k, s, (low, high) in zip(
            *(setting.sizes, grid(setting), setting.spans, setting.strides, setting.amounts),
            strict=True,
        )
    )


def arrays_of(setting, rng):
    """The transposed convolution takes the outputs of the convolution to its inputs."""
    yield rng.standard_normal((*setting.batch, *grid(setting), setting.outputs))
    each = setting.inputs // setting.groups
    yield rng.standard_normal((*setting.window, setting.outputs, each))
    if setting.bias:
        yield rng.standard_normal(setting.inputs)


def ours(setting, **options):
    options = {**setting.options, "groups": setting.groups, **options}
    return lambda x, *params: conv_transpose(ConvTransposeParams(*params), x, **options)


def torch_transposed(setting, x, kernel, bias=None):
    """``torch.nn.functional.conv_transpose1d`` … ``conv_transpose3d``, in our layouts."""
    from torch.nn import functional

    axes = len(setting.window)
    f = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)[
        axes - 1
    ]
    weight = kernel.movedim((-2, -1), (0, 1)).contiguous()
    low = tuple(low for low, _ in setting.amounts)
    extra = output_padding(setting)
    images = drawn.channels_first(x, axes)
    y = f(images, weight, bias, setting.strides, low, extra, setting.groups, setting.dilation)
    return drawn.channels_last(y, setting.batch)


def torch_adjoint(setting, x, kernel, bias=None):
    """The gradient of the convolution, for the paddings that PyTorch's transposed one lacks."""
    import torch

    image = torch.zeros(*setting.batch, *setting.sizes, setting.inputs, dtype=x.dtype)
    image.requires_grad_()
    y = drawn.torch_conv(setting, image, kernel.swapaxes(-1, -2))
    (back,) = torch.autograd.grad(y, image, x, create_graph=True)
    return back if bias is None else back + bias


def draw(rng, i):
    """A setting, whether PyTorch's own function answers it, and the options of ours."""
    axes, kind = 1 + i % 3, drawn.KINDS[i // 3 % len(drawn.KINDS)]
    while True:
        setting = drawn.draw(rng, axes, kind)
        named = [isinstance(rule, str) for rule in setting.rules]
        own = all(low == high for low, high in setting.amounts) and not any(named)
        if all(not name for name in named):
            return setting, own, {"output_padding": output_padding(setting)}
        # The named paddings choose the size of the output: multiples of the strides.
        whole = all(
            n == c * s + (max(k - s, 0) if rule == "VALID" else 0)
            for n, c, s, k, rule in zip(
                *(setting.sizes, grid(setting), setting.strides, setting.spans, setting.rules),
                strict=True,
            )
        )
        if whole:
            return setting, False, {}


class TestEqualsTorch:
    """Output and all gradients of 150 drawn settings, and 30 of amounts alone."""

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("part", range(3))
    def test_drawn(self, part):
        pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        rng = np.random.default_rng(part)
        settings, own, options = zip(*(draw(rng, i) for i in range(60)), strict=True)
        arrays = [[*arrays_of(setting, rng)] for setting in settings]
        answers = [
            drawn.torch_answer(
                functools.partial(torch_transposed if native else torch_adjoint, setting), a, rng
            )
            for setting, native, a in zip(settings, own, arrays, strict=True)
        ]
        cotangents, expected = zip(*answers, strict=True)
        functions = [ours(s, **more) for s, more in zip(settings, options, strict=True)]
        drawn.assert_all_equal(functions, arrays, list(cotangents), expected, settings)
        assert sum(own) >= 10

    @pytest.mark.usefixtures("x64")
    def test_output_padding_beyond_the_stride(self):
        """PyTorch allows it up to the dilation: zeros, and the bias, behind what windows reach."""
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        signal, kernel, bias = normal(0, 4, 2), normal(1, 3, 2, 3), normal(2, 3)
        options = {"padding": 1, "dilation": 3, "output_padding": 2}
        y = conv_transpose(ConvTransposeParams(kernel, bias), signal, **options)
        tensors = (
            torch.tensor(np.asarray(a)) for a in (signal.T, jnp.moveaxis(kernel, 0, 2), bias)
        )
        theirs = torch.nn.functional.conv_transpose1d(*tensors, **options)
        np.testing.assert_allclose(y.T, theirs.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("transpose_kernel", [False, True])
def test_equals_flax(transpose_kernel):
    """20 drawn settings: the kernel turned round, or with its channels swapped."""
    linen = pytest.importorskip("flax.linen", reason="Flax is a peer, not a dependency")
    rng = np.random.default_rng(3)
    kinds = ("SAME", "VALID", "CIRCULAR") if transpose_kernel else ("SAME", "VALID")
    settings = []
    while len(settings) < 20:
        i = len(settings)
        setting = drawn.draw(rng, 1 + i % 3, kinds[i % len(kinds)])._replace(groups=1)
        # Elsewhere Flax's circular one is shifted against the adjoint of Flax's own convolution.
        aligned = all(
            math.ceil(max(k - s, 0) / 2) == (k - 1) // 2
            for k, s in zip(setting.spans, setting.strides, strict=True)
        )
        if aligned or setting.padding != "CIRCULAR":
            settings.append(setting)

    def theirs(setting):
        layer = linen.ConvTranspose(
            *(setting.inputs, setting.window, setting.strides, setting.padding),
            kernel_dilation=setting.dilation,
            use_bias=setting.bias,
            transpose_kernel=transpose_kernel,
        )

        def apply(x, kernel, *bias):
            window = tuple(range(kernel.ndim - 2))
            kernel = swapped(kernel) if transpose_kernel else jnp.flip(kernel, window)
            weights = {"kernel": kernel, **({"bias": bias[0]} if bias else {})}
            return layer.apply({"params": weights}, x)

        return apply

    arrays = [[*arrays_of(setting, rng)] for setting in settings]
    shapes = [
        jax.eval_shape(ours(setting), *a).shape for setting, a in zip(settings, arrays, strict=True)
    ]
    cotangents = drawn.normals(rng, *shapes)
    mine = drawn.our_answers([*map(ours, settings)], arrays, cotangents)
    yours = drawn.our_answers([*map(theirs, settings)], arrays, cotangents)
    for a, b, setting in zip(mine, yours, settings, strict=True):
        try:
            drawn.assert_close(a, b, 1e-12)
        except AssertionError as error:
            raise AssertionError(f"{setting}: {error}") from error


class TestConvTranspose:
    def test_reference(self):
        """The formula of the docstring, index by index."""
        image, kernel = np.asarray(normal(0, 3, 4, 2)), np.asarray(normal(1, 2, 3, 2, 4))
        options = {"strides": (3, 1), "padding": (0, (1, 2)), "dilation": (2, 1)}
        params = ConvTransposeParams(jnp.asarray(kernel), jnp.arange(4.0))
        y = conv_transpose(params, jnp.asarray(image), **options)
        full = np.zeros((9, 6, 4))
        for i, j, a, b in np.ndindex(3, 4, 2, 3):
            full[3 * i + 2 * a, j + b] += image[i, j] @ kernel[a, b]
        expected = full[:, 1:-2] + np.arange(4)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_law_adjoint(self):
        """⟨conv(K*, y), x⟩ = ⟨y, conv_transpose(K, x)⟩ for every padding at the same options."""
        rng = np.random.default_rng(4)
        settings, _, options = zip(*(draw(rng, i) for i in range(30)), strict=True)
        settings = [s._replace(bias=False) for s in settings]
        arrays = [
            [*arrays_of(s, rng), rng.standard_normal((*s.batch, *s.sizes, s.inputs))]
            for s in settings
        ]

        def products(setting, more, x, kernel, image):
            forward = ConvParams(swapped(kernel))
            small = conv(forward, image, groups=setting.groups, **setting.options)
            large = ours(setting, **more)(x, kernel)
            return jnp.sum(small * x), jnp.sum(image * large)

        both = jax.jit(
            lambda arrays: [
                products(s, more, *a) for s, more, a in zip(settings, options, arrays, strict=True)
            ],
            compiler_options=drawn.QUICKLY,
        )
        for a, b in both(arrays):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        image, params = (
            normal(0, 1, 2, 3, 4),
            ConvTransposeParams(normal(1, 2, 3, 4, 3), normal(2, 3)),
        )
        options = {"strides": (2, 1), "padding": ("SAME", "REPLICATE"), "dilation": (1, 2)}
        weight = normal(3, 1, 4, 3, 3)  # the cotangent ȳ

        def params_cotangent(_):
            seen = unfold(weight, window=(2, 3), **options)
            kernel = jnp.einsum("bijxyo,bijc->xyco", seen, image)
            return ConvTransposeParams(kernel, weight.sum((0, 1, 2)))

        assert_gradient(
            lambda x: weight * conv_transpose(params, x, **options),
            lambda _: conv(ConvParams(swapped(params.kernel)), weight, **options),
            image,
        )
        assert_gradient(
            lambda p: weight * conv_transpose(p, image, **options), params_cotangent, params
        )

    def test_transforms(self):
        """Vmap over the parameters, too."""
        params = ConvTransposeParams(normal(1, 2, 3, 4, 2), normal(2, 4))

        def layers(params, x):
            return [
                conv_transpose(params, x, padding=padding, groups=2, strides=(1, 2))
                for padding in ("SAME", ("CAUSAL", "REFLECT"))
            ]

        assert_transforms(layers, params, normal(0, 2, 4, 5, 4))

    @pytest.mark.parametrize("padding", ["SAME", "VALID", "CIRCULAR", 1])
    def test_no_inputs_give_no_outputs(self, padding):
        f = functools.partial(conv_transpose, padding=padding, strides=2)
        y, back = jax.vjp(f, PARAMS, x[:, :0])
        assert y.shape == (5, 0, 4)
        chex.assert_trees_all_equal(back(y), jax.tree.map(jnp.zeros_like, (PARAMS, x[:, :0])))

    def test_edges(self):
        assert conv_transpose(PARAMS, x[:0]).shape == (0, 6, 4)
        assert conv_transpose(PARAMS, x[0]).shape == (6, 4)
        assert conv_transpose(PARAMS, x[None], strides=7).shape == (1, 5, 42, 4)
        y = conv_transpose(PARAMS, x.at[2, 4, 0].set(jnp.nan), padding=0)
        np.testing.assert_array_equal(jnp.isnan(y).all(-1)[2], np.isin(np.arange(8), [4, 5, 6]))
        assert not jnp.isnan(y[jnp.array([0, 1, 3, 4])]).any()

    def test_half_precision_is_summed_in_float32(self):
        """Rounded once, at the end, with the bias, also where margins are added back."""
        params, image = ConvTransposeParams(normal(1, 9, 40, 8), normal(2, 8)), normal(0, 4, 30, 40)
        half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (params, image))
        wide = jax.tree.map(lambda a: a.astype(jnp.float32), half)
        y, back = jax.vjp(functools.partial(conv_transpose, padding="REPLICATE"), *half)
        y32 = conv_transpose(*wide, padding="REPLICATE")
        chex.assert_trees_all_equal_dtypes((y, *back(y)), (half[1], *half))
        np.testing.assert_array_equal(y, y32.astype(jnp.bfloat16))


class TestConvTransposeInit:
    @pytest.mark.parametrize("strides", [1, 2])
    def test_variance_of_the_outputs(self, strides):
        """Inputs of variance 1 give outputs of variance 1/∏ s, unless the kernel makes up for it"""
        image = jax.random.normal(KEY, (8, 16, 16, 64))
        init = variance_scaling(4 * strides**2, "fan_in", "truncated_normal")
        for kernel_init, factor in ((None, strides**2), (init, 1)):
            params = conv_transpose_init(KEY, (4, 4), 64, 64, groups=4, kernel_init=kernel_init)
            y = conv_transpose(params, image, strides=strides, groups=4)[:, 4:-4, 4:-4]
            assert params.kernel.shape == (4, 4, 64, 16)
            assert abs(factor * float(y.var()) - 1) < 0.05

    def test_options(self):
        params = conv_transpose_init(KEY, 5, 4, 6, groups=2, dtype=jnp.bfloat16)
        assert params.kernel.shape == (5, 4, 3)
        assert params.bias.shape == (6,)
        assert params.kernel.dtype == params.bias.dtype == jnp.bfloat16
        assert conv_transpose_init(KEY, 5, 4, 6, use_bias=False).bias is None
        assert (params.bias == 0).all()
