"""fnmath.layers.convolution, windows: unfold, and fold, its adjoint."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.layers import fold, unfold
from fnmath.linear_algebra import patches, patches_adjoint
from tests.helpers import Mistake, assert_gradient, assert_transforms
from tests.layers.convolution import drawn

x = jnp.ones((2, 5, 6, 3))
p = jnp.ones((2, 4, 3, 2, 1))
MISTAKES = [
    Mistake(
        unfold, (None,), {"window": 2}, TypeError,
        "unfold: x is a NoneType; wanted an array",
    ),
    Mistake(
        unfold, (x,), {"window": 2.0}, TypeError,
        "unfold: window is 2.0 (float); wanted an integer",
    ),
    Mistake(
        unfold, (x,), {"window": (2, 0)}, ValueError,
        "unfold: window[1] is 0; wanted an integer of at least 1",
    ),
    Mistake(
        unfold, (x,), {"window": (5, 7)}, ValueError,
        "unfold: the window spans (5, 7) entries and the padded image has (5, 6); wanted no fewer; "
        "did you mean padding='SAME'?",
    ),
    Mistake(
        unfold, (x[0, 0],), {"window": (2, 2)}, ValueError,
        "unfold: x has shape (6, 3); wanted at least 3 axes, (*batch height width channels); "
        "did you mean x[None]?",
    ),
    Mistake(
        unfold, (x,), {"window": 2, "padding": "zero"}, ValueError,
        "unfold: padding is 'zero'; wanted one of SAME, VALID, CAUSAL, REFLECT, REPLICATE, "
        "CIRCULAR",
    ),
    Mistake(
        fold, (p.astype(int),), {"size": 5}, TypeError,
        "fold: p has dtype int32; wanted a floating or complex dtype; "
        "did you mean p.astype(jnp.float32)?",
    ),
    Mistake(
        fold, (p,), {"size": "5"}, TypeError,
        "fold: size is '5' (str); wanted an integer",
    ),
    Mistake(
        fold, (p,), {"size": (5, 5)}, ValueError,
        "fold: p has a grid of (2, 4) windows; wanted (3, 4), what unfold cuts from the size "
        "(5, 5)",
    ),
    Mistake(
        fold, (p[0, 0],), {"size": (5, 5)}, ValueError,
        "fold: p has shape (3, 2, 1); wanted at least 5 axes, "
        "(*batch grid1 grid2 window1 window2 channels)",
    ),
    Mistake(
        fold, (p[..., :0, :],), {"size": 4}, ValueError,
        "fold: p has windows of (0,); wanted at least 1 everywhere",
    ),
]  # fmt: skip


def torch_windows(setting, x):
    """``torch.nn.functional.unfold`` for images; ``Tensor.unfold`` on other numbers of axes."""
    import torch

    axes = len(setting.window)
    images = drawn.torch_padded(drawn.channels_first(x, axes), setting.amounts, setting.modes)
    if axes == 2:
        options = {"dilation": setting.dilation, "stride": setting.strides}
        columns = torch.nn.functional.unfold(images, setting.window, **options)
        grid = [
            (n - k) // s + 1
            for n, k, s in zip(images.shape[2:], setting.spans, setting.strides, strict=True)
        ]
        columns = columns.reshape(-1, setting.inputs, *setting.window, *grid)
        columns = columns.permute(0, 4, 5, 2, 3, 1)
    else:
        for axis in range(axes):
            k, s, d = setting.spans[axis], setting.strides[axis], setting.dilation[axis]
            images = images.unfold(2 + axis, k, s)[..., ::d]
        columns = images.movedim(1, -1)
    return columns.reshape(*setting.batch, *columns.shape[1:])


def torch_images(setting, p):
    """``torch.nn.functional.fold``, of images with zeros on both sides."""
    import torch

    columns = p.reshape(-1, *p.shape[-5:]).permute(0, 5, 3, 4, 1, 2)
    columns = columns.reshape(columns.shape[0], -1, columns.shape[4] * columns.shape[5])
    images = torch.nn.functional.fold(
        *(columns, setting.sizes, setting.window),
        dilation=setting.dilation,
        padding=setting.padding,
        stride=setting.strides,
    )
    return drawn.channels_last(images, setting.batch)


def image_shape(setting):
    return *setting.batch, *setting.sizes, setting.inputs


@pytest.mark.usefixtures("x64")
class TestEqualsTorch:
    """75 drawn settings, values and gradients."""

    @pytest.mark.slow
    def test_unfold(self):
        pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        rng = np.random.default_rng(0)
        settings = drawn.settings(50, seed=20)
        arrays = [drawn.normals(rng, image_shape(setting)) for setting in settings]
        answers = [
            drawn.torch_answer(functools.partial(torch_windows, setting), a, rng)
            for setting, a in zip(settings, arrays, strict=True)
        ]
        cotangents, expected = zip(*answers, strict=True)
        functions = [
            functools.partial(unfold, window=setting.window, **setting.options)
            for setting in settings
        ]
        drawn.assert_all_equal(functions, arrays, list(cotangents), expected, settings)

    @pytest.mark.slow
    def test_fold(self):
        pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        rng = np.random.default_rng(1)
        settings = [drawn.draw(rng, 2, "integers") for _ in range(25)]
        arrays = [
            drawn.normals(
                rng,
                jax.eval_shape(
                    functools.partial(unfold, window=setting.window, **setting.options),
                    jax.ShapeDtypeStruct(image_shape(setting), jnp.float64),
                ).shape,
            )
            for setting in settings
        ]
        answers = [
            drawn.torch_answer(functools.partial(torch_images, setting), a, rng)
            for setting, a in zip(settings, arrays, strict=True)
        ]
        cotangents, expected = zip(*answers, strict=True)
        functions = [
            functools.partial(fold, size=setting.sizes, **setting.options) for setting in settings
        ]
        drawn.assert_all_equal(functions, arrays, list(cotangents), expected, settings)


OPTIONS = {"strides": (2, 1), "padding": ("REFLECT", (1, 0)), "dilation": (1, 2)}


class TestUnfold:
    def test_equals_patches(self):
        """``fnmath.linear_algebra.patches`` is the case without padding and dilation."""
        image = jnp.arange(2 * 5 * 6 * 3.0).reshape(x.shape)
        ours = unfold(image, window=(2, 3), strides=(3, 1))
        np.testing.assert_array_equal(ours, patches(image, window=(2, 3), stride=(3, 1)))
        back = fold(ours, size=(5, 6), strides=(3, 1))
        theirs = patches_adjoint(ours, height=5, width=6, stride=(3, 1))
        np.testing.assert_array_equal(back, theirs)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        image = jnp.cos(jnp.arange(24.0)).reshape(4, 3, 2)
        windows = functools.partial(unfold, window=(3, 2), **OPTIONS)
        weight = jnp.sin(jnp.arange(windows(image).size * 1.0)).reshape(windows(image).shape)
        expected = fold(weight, size=(4, 3), **OPTIONS)
        assert_gradient(lambda x: weight * windows(x), lambda _: expected, image)

    def test_transforms(self):
        assert_transforms(lambda x: unfold(x, window=(2, 3), **OPTIONS), x[0])

    @pytest.mark.parametrize("dtype", ["bool", "uint8", "bfloat16", "complex64"])
    def test_edges(self, dtype):
        windows = unfold(x.astype(dtype)[:0], window=(2, 3), padding="REPLICATE")
        assert windows.shape == (0, 5, 6, 2, 3, 3)
        assert windows.dtype == dtype
        none = unfold(x.astype(dtype)[:, :0], window=(2, 3), padding=("SAME", 0))
        assert none.shape == (2, 0, 4, 2, 3, 3)
        assert fold(jnp.zeros(none.shape), size=(0, 6), padding=("SAME", 0)).shape == (2, 0, 6, 3)

    def test_cotangents_of_half_precision_are_added_up_in_float32(self):
        """361 windows see the entry in the middle: one by one they would stop at 256."""
        windows = functools.partial(unfold, window=(19, 19), padding="SAME")
        ones = jnp.ones((19, 19, 1), jnp.bfloat16)
        gradient = jax.grad(lambda x: windows(x).astype(jnp.float32).sum())(ones)
        assert gradient.dtype == jnp.bfloat16
        assert gradient[9, 9, 0] == jnp.bfloat16(361)

    def test_nan_stays_in_the_windows_that_see_it(self):
        seen = jnp.isnan(unfold(jnp.zeros((5, 1)).at[3].set(jnp.nan), window=2))
        assert seen.any((1, 2)).tolist() == [False, False, True, True]


class TestFold:
    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_law_adjoint(self):
        """⟨unfold(x), p⟩ = ⟨x, fold(p)⟩, for every kind of padding."""
        rng = np.random.default_rng(2)
        settings = drawn.settings(30, seed=30)
        images = [rng.standard_normal(image_shape(setting)) for setting in settings]

        def products(images):
            for setting, image in zip(settings, images, strict=True):
                windows = unfold(image, window=setting.window, **setting.options)
                p = jnp.sin(jnp.arange(1.0, 1.0 + windows.size)).reshape(windows.shape)
                back = fold(p, size=setting.sizes, **setting.options)
                yield jnp.sum(windows * p), jnp.sum(image * back)

        both = jax.jit(lambda images: [*products(images)], compiler_options=drawn.QUICKLY)
        for a, b in both(images):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        windows = functools.partial(unfold, window=(3, 2), **OPTIONS)
        p = windows(jnp.cos(jnp.arange(24.0)).reshape(4, 3, 2))
        weight = jnp.sin(jnp.arange(24.0)).reshape(4, 3, 2)
        lay_back = functools.partial(fold, size=(4, 3), **OPTIONS)
        assert_gradient(lambda p: weight * lay_back(p), lambda _: windows(weight), p)

    def test_transforms(self):
        assert_transforms(lambda p: fold(p, size=4), p[0])

    def test_sums_of_half_precision_are_carried_in_float32(self):
        """361 ones in bfloat16: one by one they would stop at 256."""
        ones = jnp.ones((19, 19, 19, 19, 1), jnp.bfloat16)
        image = fold(ones, size=(37, 37))
        assert image.dtype == jnp.bfloat16
        assert image[18, 18, 0] == jnp.bfloat16(361)
