"""fnmath.layers.convolution, plain: the convolution and its parameters."""

import functools
import warnings

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.initializers import he_normal, variance_scaling, zeros
from fnmath.layers import ConvParams, ConvTransposeParams, conv, conv_init, conv_transpose, unfold
from fnmath.linear_algebra import flatten
from tests.helpers import Mistake, assert_gradient, assert_transforms
from tests.layers.convolution import drawn

KEY = jax.random.key(0)
PARAMS = ConvParams(jnp.ones((3, 2, 4)), jnp.zeros(4))
x = jnp.ones((5, 6, 2))
MISTAKES = [
    Mistake(
        conv, (None, x), {}, TypeError,
        "conv: params is a NoneType; wanted ConvParams(kernel, bias)",
    ),
    Mistake(
        conv, (PARAMS, x.astype(int)), {}, TypeError,
        "conv: x has dtype int32; wanted a floating dtype; did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        conv, (ConvParams(jnp.ones((2, 4))), x), {}, ValueError,
        "conv: kernel has shape (2, 4); wanted at least 3 axes, (*window in out); "
        "did you mean dense?",
    ),
    Mistake(
        conv, (ConvParams(jnp.ones((0, 2, 4))), x), {}, ValueError,
        "conv: kernel has shape (0, 2, 4); wanted a window of at least 1 everywhere",
    ),
    Mistake(
        conv, (ConvParams(jnp.ones((3, 3, 2, 4))), x[0]), {}, ValueError,
        "conv: x has shape (6, 2); wanted at least 3 axes, (*batch height width channels); "
        "did you mean x[None]?",
    ),
    Mistake(
        conv, (PARAMS, jnp.ones((6, 4))), {}, ValueError,
        "conv: x has 4 channels and the kernel takes 2; wanted as many; did you mean groups=2?",
    ),
    Mistake(
        conv, (PARAMS, jnp.ones((5, 2, 7))), {}, ValueError,
        "conv: x has 7 channels and the kernel takes 2; wanted as many; "
        "did you mean jnp.moveaxis(x, -2, -1)?",
    ),
    Mistake(
        conv, (PARAMS, x), {"groups": 3}, ValueError,
        "conv: x has 2 channels and the kernel takes 2 in each of 3 groups; wanted as many; "
        "did you mean groups=1?",
    ),
    Mistake(
        conv, (PARAMS, jnp.ones((6, 6))), {"groups": 3}, ValueError,
        "conv: the kernel gives 4 channels; wanted a multiple of groups, 3",
    ),
    Mistake(
        conv, (PARAMS, x), {"groups": 0}, ValueError,
        "conv: groups is 0; wanted an integer of at least 1",
    ),
    Mistake(
        conv, (PARAMS._replace(bias=jnp.zeros(2)), x), {}, ValueError,
        "conv: the number of output features must agree: kernel has 4 and bias has 2",
    ),
    Mistake(
        conv, (PARAMS, x), {"strides": 0}, ValueError,
        "conv: strides is 0; wanted an integer of at least 1",
    ),
    Mistake(
        conv, (PARAMS, x), {"strides": (1, 2)}, ValueError,
        "conv: strides is (1, 2); wanted 1, for the window's axis",
    ),
    Mistake(
        conv, (PARAMS, x), {"dilation": 1.5}, TypeError,
        "conv: dilation is 1.5 (float); wanted an integer",
    ),
    Mistake(
        conv, (PARAMS, x), {"padding": "same"}, ValueError,
        "conv: padding is 'same'; wanted one of SAME, VALID, CAUSAL, REFLECT, REPLICATE, CIRCULAR; "
        "did you mean 'SAME'?",
    ),
    Mistake(
        conv, (PARAMS, x), {"padding": None}, TypeError,
        "conv: padding is None; wanted an integer, a pair or one of SAME, VALID, CAUSAL, REFLECT, "
        "REPLICATE, CIRCULAR",
    ),
    Mistake(
        conv, (PARAMS, x), {"padding": (1, 2)}, ValueError,
        "conv: padding is (1, 2); wanted 1, for the window's axes, or one for all; "
        "did you mean padding=((1, 2),)?",
    ),
    Mistake(
        conv, (PARAMS, x), {"padding": ((1, 2, 3),)}, ValueError,
        "conv: padding[0] is (1, 2, 3); wanted a pair (low, high)",
    ),
    Mistake(
        conv, (PARAMS, x), {"padding": [(1, -2)]}, ValueError,
        "conv: padding[0][1] is -2; wanted an integer of at least 0",
    ),
    Mistake(
        conv, (PARAMS, x), {"padding": "VALID", "dilation": 3}, ValueError,
        "conv: the window spans (7,) entries and the padded image has (6,); wanted no fewer; "
        "did you mean padding='SAME'?",
    ),
    Mistake(
        conv, (PARAMS, x[:, :0]), {"padding": 1}, ValueError,
        "conv: the window spans (3,) entries and the padded image has (2,); wanted no fewer; "
        "did you mean padding='SAME'?",
    ),
    Mistake(
        conv, (PARAMS, x), {"method": "fft"}, ValueError,
        "conv: method is 'fft'; wanted one of "
        "'lax', 'blocks', 'surplus', 'taps', 'rows', 'patches', 'spread', 'winograd'",
    ),
    Mistake(
        conv_init, (0, 3, 2, 4), {}, TypeError,
        "conv_init: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        conv_init, (KEY, (3, 0), 2, 4), {}, ValueError,
        "conv_init: window[1] is 0; wanted an integer of at least 1",
    ),
    Mistake(
        conv_init, (KEY, (), 2, 4), {}, ValueError,
        "conv_init: window is (); wanted at least one axis",
    ),
    Mistake(
        conv_init, (KEY, 3, 2, 5), {"groups": 2}, ValueError,
        "conv_init: out_channels is 5; wanted a multiple of groups, 2",
    ),
    Mistake(
        conv_init, (KEY, 3, 2, 4), {"use_bias": 1}, TypeError,
        "conv_init: use_bias is 1 (int); wanted True or False",
    ),
    Mistake(
        conv_init, (KEY, 3, 2, 4), {"kernel_init": he_normal}, TypeError,
        "he_normal: in_axis is a random key; he_normal makes an initialiser, which takes it; "
        "did you mean he_normal(…)(key, shape)?",
    ),
    Mistake(
        conv_init, (KEY, 3, 2, 4), {"bias_init": lambda *args: zeros(*args)[None]}, ValueError,
        "conv_init: bias_init gave the shape (1, 4); wanted (4,)",
    ),
]  # fmt: skip


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def shapes(setting):
    """Of the image, the kernel and the bias, if there is one."""
    yield *setting.batch, *setting.sizes, setting.inputs
    yield *setting.window, setting.inputs // setting.groups, setting.outputs
    if setting.bias:
        yield (setting.outputs,)


def ours(setting):
    return lambda x, *params: conv(ConvParams(*params), x, groups=setting.groups, **setting.options)


def torch_same(setting, x, kernel, bias=None):
    """``torch.nn.Conv1d`` … ``Conv3d`` with ``padding="same"``, whose edges have a mode."""
    import torch

    axes = len(setting.window)
    module = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)[axes - 1](
        *(setting.inputs, setting.outputs, setting.window),
        padding="same",
        padding_mode=drawn.TORCH_MODES.get(setting.padding, "zeros"),
        dilation=setting.dilation,
        groups=setting.groups,
        bias=bias is not None,
        dtype=torch.float64,
    )
    weights = {"weight": kernel.movedim((-1, -2), (0, 1)).contiguous()}
    weights |= {} if bias is None else {"bias": bias}
    images = drawn.channels_first(x, axes)
    return drawn.channels_last(torch.func.functional_call(module, weights, images), setting.batch)


class TestEqualsTorch:
    """Output and all gradients of 300 drawn settings."""

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("part", range(6))
    def test_drawn(self, part):
        pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        rng = np.random.default_rng(part)
        settings = drawn.settings(50, seed=part)
        arrays = [drawn.normals(rng, *shapes(setting)) for setting in settings]
        theirs = [
            drawn.torch_answer(functools.partial(drawn.torch_conv, setting), a, rng)
            for setting, a in zip(settings, arrays, strict=True)
        ]
        cotangents, expected = zip(*theirs, strict=True)
        drawn.assert_all_equal([*map(ours, settings)], arrays, list(cotangents), expected, settings)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_padding_mode(self):
        """The named paddings are PyTorch's modules' own, at stride 1."""
        pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        rng = np.random.default_rng(0)
        settings = [
            s._replace(strides=(1,) * len(s.window))
            for s in drawn.settings(200, seed=10)
            if s.padding in ("SAME", *drawn.TORCH_MODES)
        ][:24:2]
        arrays = [drawn.normals(rng, *shapes(setting)) for setting in settings]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Using padding='same' with even kernel lengths")
            theirs = [
                drawn.torch_answer(functools.partial(torch_same, setting), a, rng)
                for setting, a in zip(settings, arrays, strict=True)
            ]
        cotangents, expected = zip(*theirs, strict=True)
        answers = drawn.our_answers([*map(ours, settings)], arrays, list(cotangents))
        for mine, yours in zip(answers, expected, strict=True):
            drawn.assert_close(mine, yours, 1e-10)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_equals_flax():
    """20 drawn settings, the paddings that Flax has."""
    linen = pytest.importorskip("flax.linen", reason="Flax is a peer, not a dependency")
    kinds = ("SAME", "VALID", "CAUSAL", "REFLECT", "CIRCULAR", "an integer", "integers", "pairs")
    rng = np.random.default_rng(1)
    settings = []
    for i in range(20):
        kind = kinds[i % len(kinds)]
        settings.append(drawn.draw(rng, 1 if kind == "CAUSAL" else 1 + i // len(kinds), kind))

    def theirs(setting):
        layer = linen.Conv(
            *(setting.outputs, setting.window, setting.strides, setting.padding),
            kernel_dilation=setting.dilation,
            feature_group_count=setting.groups,
            use_bias=setting.bias,
        )
        names = ("kernel", "bias")
        return lambda x, *params: layer.apply({"params": dict(zip(names, params, strict=False))}, x)

    arrays = [drawn.normals(rng, *shapes(setting)) for setting in settings]
    grids = [
        jax.eval_shape(ours(setting), *a).shape for setting, a in zip(settings, arrays, strict=True)
    ]
    cotangents = drawn.normals(rng, *grids)
    mine = drawn.our_answers([*map(ours, settings)], arrays, cotangents)
    yours = drawn.our_answers([*map(theirs, settings)], arrays, cotangents)
    for a, b in zip(mine, yours, strict=True):
        drawn.assert_close(a, b, 1e-12)


PADDINGS = ["VALID", "SAME", "CAUSAL", "REFLECT", "REPLICATE", "CIRCULAR", 2, [(0, 2), "REFLECT"]]


class TestConv:
    def test_reference(self):
        """The formula of the docstring, index by index."""
        image, kernel = (np.asarray(normal(i, *s)) for i, s in enumerate([(6, 5, 2), (2, 3, 2, 4)]))
        params = ConvParams(jnp.asarray(kernel), jnp.arange(4.0))
        y = conv(params, jnp.asarray(image), strides=(3, 1), padding=(0, (1, 2)), dilation=(2, 1))
        padded = np.pad(image, [(0, 0), (1, 2), (0, 0)])
        expected = np.zeros((2, 6, 4)) + np.arange(4)
        for i, j, a, b in np.ndindex(2, 6, 2, 3):
            expected[i, j] += padded[3 * i + 2 * a, j + b] @ kernel[a, b]
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)

    @pytest.mark.usefixtures("x64")
    def test_law_product_with_windows(self):
        """Conv = unfold, then a matrix product."""
        image, kernel = normal(0, 2, 5, 6, 3), normal(1, 3, 2, 3, 4)

        def both(padding):
            options = {"strides": (2, 1), "padding": padding, "dilation": (1, 2)}
            windows = unfold(image, window=(3, 2), **options)
            product = flatten(windows, axes=3) @ kernel.reshape(-1, 4)
            return conv(ConvParams(kernel), image, **options), product

        for one, other in jax.jit(lambda: [both(padding) for padding in PADDINGS])():
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)

    @pytest.mark.usefixtures("x64")
    def test_law_circular(self):
        """A discrete Fourier transform turns it into a product, also for windows that go round."""
        for n in (7, 3):
            signal, kernel = normal(0, n), normal(1, 5)
            y = conv(ConvParams(kernel.reshape(5, 1, 1)), signal[:, None], padding="CIRCULAR")[:, 0]
            around = np.zeros(n)
            np.add.at(around, (np.arange(5) - 2) % n, kernel)
            product = np.fft.fft(signal) * np.conj(np.fft.fft(around))
            np.testing.assert_allclose(y, np.fft.ifft(product).real, atol=1e-12)

    def test_law_causal(self):
        """An output does not change with what stands behind its place, on any axis."""
        params = ConvParams(normal(1, 3, 2, 1, 1))
        image = normal(0, 5, 6, 1)
        changed = image.at[3, 2].add(1.0)
        moved = conv(params, changed, padding="CAUSAL") != conv(params, image, padding="CAUSAL")
        rows, columns, _ = jnp.nonzero(moved)
        assert (rows >= 3).all()
        assert (columns >= 2).all()
        assert len(rows) == 2 * 2
        in_time = conv(params, changed, padding=("CAUSAL", "SAME"))
        assert (in_time[:3] == conv(params, image, padding=("CAUSAL", "SAME"))[:3]).all()

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        """With zeros on one axis and reflections on the other."""
        image, params = normal(0, 1, 4, 3, 4), ConvParams(normal(1, 2, 3, 2, 2), normal(2, 2))
        padding = [(0, 2), "REFLECT"]
        options = {"strides": (2, 1), "padding": padding, "dilation": (1, 2), "groups": 2}
        weight = normal(3, 1, 3, 3, 2)  # the cotangent ȳ

        def image_cotangent(_):
            swapped = ConvTransposeParams(jnp.swapaxes(params.kernel, -1, -2))
            return conv_transpose(swapped, weight, **options)

        def params_cotangent(_):
            windowed = {k: v for k, v in options.items() if k != "groups"}
            seen = unfold(image, window=(2, 3), **windowed).reshape(*weight.shape[:-1], 2, 3, 2, 2)
            split = weight.reshape(*weight.shape[:-1], 2, 1)
            kernel = jnp.einsum("bijxygc,bijgo->xycgo", seen, split)
            return ConvParams(kernel.reshape(params.kernel.shape), weight.sum((0, 1, 2)))

        assert_gradient(lambda x: weight * conv(params, x, **options), image_cotangent, image)
        assert_gradient(lambda p: weight * conv(p, image, **options), params_cotangent, params)

    def test_transforms(self):
        """Vmap over the parameters, too."""
        params = ConvParams(normal(1, 2, 3, 2, 4), normal(2, 4))

        def layers(params, x):
            return [
                conv(params, x, padding=padding, groups=2, strides=(1, 2))
                for padding in ("SAME", ("CAUSAL", "REFLECT"))
            ]

        assert_transforms(layers, params, normal(0, 2, 4, 5, 4))

    def test_any_number_of_batch_axes(self):
        image = normal(0, 2, 3, 6, 2)
        params = ConvParams(normal(1, 3, 2, 4), normal(2, 4))
        y = conv(params, image)
        assert y.shape == (2, 3, 6, 4)
        np.testing.assert_allclose(conv(params, image[1, 2]), y[1, 2], rtol=1e-5, atol=1e-6)
        assert conv(params, image[:, :0]).shape == (2, 0, 6, 4)

    @pytest.mark.parametrize("padding", ["SAME", "CAUSAL", "REFLECT", "REPLICATE", "CIRCULAR"])
    def test_no_inputs_give_no_outputs(self, padding):
        """A sequence of length 0, forward and backward."""
        f = functools.partial(conv, padding=padding, strides=2)
        y, back = jax.vjp(f, PARAMS, x[:, :0])
        assert y.shape == (5, 0, 4)
        chex.assert_trees_all_equal(back(y), jax.tree.map(jnp.zeros_like, (PARAMS, x[:, :0])))

    @pytest.mark.parametrize("sizes", [(0, 6, 2), (5, 6, 0)])
    def test_empty(self, sizes):
        params = ConvParams(jnp.ones((3, sizes[-1], 4)), jnp.ones(4))
        y, back = jax.vjp(conv, params, jnp.ones(sizes))
        assert y.shape == (sizes[0], 6, 4)
        assert (y == 1).all()
        cotangent = back(y)
        chex.assert_tree_all_finite(cotangent)
        assert (cotangent[0].kernel == 0).all()

    def test_windows_with_gaps_between_them(self):
        """At strides beyond the window some entries are seen by no output: their gradient is 0."""
        image = jnp.arange(1.0, 8.0)[:, None]
        params = ConvParams(jnp.ones((2, 1, 1)))
        y, back = jax.vjp(lambda x: conv(params, x, strides=3, padding="VALID"), image)
        np.testing.assert_array_equal(y[:, 0], [3, 9])
        np.testing.assert_array_equal(back(y)[0][:, 0], [3, 3, 0, 9, 9, 0, 0])

    def test_nan_stays_in_the_windows_that_see_it(self):
        y = conv(PARAMS, x.at[2, 4, 0].set(jnp.nan), padding="VALID")
        np.testing.assert_array_equal(jnp.isnan(y).all(-1)[2], [False, False, True, True])
        assert not jnp.isnan(y[jnp.array([0, 1, 3, 4])]).any()

    @pytest.mark.slow
    @pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
    def test_half_precision_is_summed_in_float32(self, dtype):
        """Rounded once, at the end, with the bias: value and cotangents."""
        params, image = ConvParams(normal(1, 9, 40, 8), normal(2, 8)), normal(0, 4, 30, 40)
        half = jax.tree.map(lambda a: a.astype(dtype), (params, image))
        wide = jax.tree.map(lambda a: a.astype(jnp.float32), half)
        y, back = jax.vjp(functools.partial(conv, padding="REPLICATE"), *half)
        y32, back32 = jax.vjp(functools.partial(conv, padding="REPLICATE"), *wide)
        chex.assert_trees_all_equal_dtypes((y, *back(y)), (half[1], *half))
        np.testing.assert_array_equal(y, y32.astype(dtype))
        once = jax.tree.map(lambda a: a.astype(dtype), back32(y.astype(jnp.float32)))
        mine = jax.tree.map(lambda a: a.astype(jnp.float32), back(y))
        eps = float(jnp.finfo(dtype).eps)
        chex.assert_trees_all_close(
            mine[0],
            once[0]._replace(
                kernel=once[0].kernel.astype(jnp.float32), bias=once[0].bias.astype(jnp.float32)
            ),
            rtol=eps,
        )

    def test_methods(self):
        np.testing.assert_array_equal(conv(PARAMS, x, method="lax"), conv(PARAMS, x))


class TestConvInit:
    def test_variance_of_the_outputs(self):
        """Inputs of variance 1 give outputs of variance 1, with groups, too."""
        params = conv_init(KEY, (3, 3), 64, 64, groups=4)
        y = conv(params, jax.random.normal(KEY, (8, 16, 16, 64)), padding="CIRCULAR", groups=4)
        assert params.kernel.shape == (3, 3, 16, 64)
        assert abs(float(y.var()) - 1) < 0.03

    def test_torch_default(self):
        """What the docstring says of PyTorch's: uniform on ±1/√n_in."""
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        init = variance_scaling(1 / 3, "fan_in", "uniform")
        kernel = conv_init(KEY, (3, 3), 32, 64, groups=2, kernel_init=init).kernel
        weight = torch.nn.Conv2d(32, 64, 3, groups=2).weight.detach().abs().max()
        assert float(jnp.abs(kernel).max()) == pytest.approx(1 / 12, rel=1e-3)
        assert float(weight) == pytest.approx(1 / 12, rel=1e-3)

    def test_options(self):
        params = conv_init(KEY, 5, 3, 2, kernel_init=he_normal(), dtype=jnp.bfloat16)
        assert params.kernel.shape == (5, 3, 2)
        assert params.kernel.dtype == params.bias.dtype == jnp.bfloat16
        assert conv_init(KEY, [3, 2], 3, 2, use_bias=False).bias is None

    def test_vmap_over_keys(self):
        keys = jax.random.split(KEY, 3)
        many = jax.vmap(lambda key: conv_init(key, 3, 3, 2))(keys)
        np.testing.assert_array_equal(many.kernel[2], conv_init(keys[2], 3, 3, 2).kernel)
