"""Every form of a convolution against ``lax.conv_general_dilated``, over drawn settings."""

import functools
import math
import os
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnmath.layers import ConvParams, conv, depthwise_conv, max_pool
from fnmath.layers.convolution import _choice, _forms, _phases, _winograd
from fnmath.layers.convolution._correlation import OPERANDS, in_chunks
from fnmath.layers.convolution._geometry import grid
from tests.layers.convolution import drawn

PARTS, TOGETHER = 8, 8
COUNT = int(os.environ.get("FNMATH_DRAWS", "64")) // PARTS
PAD_MODES = {"REFLECT": "reflect", "REPLICATE": "edge", "CIRCULAR": "wrap"}
METHODS = (None, *_forms.FORMS)


def by_lax(setting, x, kernel):
    """XLA's convolution of a padded image."""
    axes = len(setting.window)
    for axis, (pair, mode) in enumerate(zip(setting.amounts, setting.modes, strict=True)):
        widths = [(0, 0)] * x.ndim
        widths[x.ndim - 1 - axes + axis] = pair
        x = jnp.pad(x, widths, **({"mode": PAD_MODES[mode]} if mode else {}))
    images = (0, axes + 1, *range(1, axes + 1))
    y = lax.conv_general_dilated(
        x.reshape(-1, *x.shape[-axes - 1 :]),
        kernel,
        setting.strides,
        [(0, 0)] * axes,
        rhs_dilation=setting.dilation,
        dimension_numbers=lax.ConvDimensionNumbers(images, (axes + 1, axes, *range(axes)), images),
        feature_group_count=setting.groups,
    )
    return y.reshape(*setting.batch, *y.shape[1:])


def ours(setting, method, x, kernel):
    options = {"groups": setting.groups, "method": method, **setting.options}
    return conv(ConvParams(kernel), x, **options)


def everything(f, x, kernel, dx, dkernel, cotangent):
    """Output and both gradients, their derivatives in a direction, and vmap over the operands."""

    def answers(x, kernel):
        y, back = jax.vjp(f, x, kernel)
        return y, *back(cotangent)

    images, kernels = jnp.stack([x, dx]), jnp.stack([kernel, dkernel])
    return (
        jax.jvp(answers, (x, kernel), (dx, dkernel)),
        jax.vmap(answers, (0, None))(images, kernel),
        jax.vmap(answers, (None, 0))(x, kernels),
        jax.vmap(answers)(images, kernels),
    )


def shapes(setting):
    yield *setting.batch, *setting.sizes, setting.inputs
    yield *setting.window, setting.inputs // setting.groups, setting.outputs


def cases(part):
    """Settings with a method each, and their arrays: x, K, directions of both, a cotangent."""
    rng = np.random.default_rng(1000 + part)
    for i, setting in enumerate(drawn.settings(COUNT, seed=1000 + part)):
        x, kernel, dx, dkernel = drawn.normals(rng, *shapes(setting), *shapes(setting))
        y = jax.eval_shape(functools.partial(by_lax, setting), x, kernel)
        yield (
            setting,
            METHODS[(part * COUNT + i) % len(METHODS)],
            (x, kernel, dx, dkernel, *drawn.normals(rng, y.shape)),
        )


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("part", range(PARTS))
def test_equals_lax(part):
    """Each form in turn, to 1e-12; ``FNMATH_DRAWS=2000`` draws as many settings."""
    all_cases = list(cases(part))
    for start in range(0, len(all_cases), TOGETHER):
        some = all_cases[start : start + TOGETHER]

        def both(arrays, some=some):
            return [
                (
                    everything(functools.partial(ours, setting, method), *a),
                    everything(functools.partial(by_lax, setting), *a),
                )
                for (setting, method, _), a in zip(some, arrays, strict=True)
            ]

        arrays = [arrays for *_, arrays in some]
        answers = jax.jit(both).lower(arrays).compile(drawn.QUICKLY)(arrays)
        for (setting, method, _), (found, expected) in zip(some, answers, strict=True):
            for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
                largest = np.abs(b).max(initial=1)
                where = f"{method} {setting}"
                np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * largest, err_msg=where)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch", [0, 1])
def test_small_batches(method, batch):
    """No images give gradients of zero; one image is as good as many."""
    x, kernel = jnp.ones((batch, 5, 6, 2)), jnp.ones((3, 3, 2, 4))
    f = functools.partial(conv, strides=(2, 1), method=method)
    y, back = jax.vjp(lambda x, kernel: f(ConvParams(kernel), x), x, kernel)
    assert y.shape == (batch, 3, 6, 4)
    for a, b in zip(back(jnp.ones_like(y)), (x, kernel), strict=True):
        assert a.shape == b.shape
        assert bool(jnp.any(a)) == bool(batch)


@pytest.mark.parametrize("method", METHODS)
def test_float32_is_about_as_exact_as_lax(method):
    """The largest error of output and gradients against float64: at most 4 × that of XLA's own."""
    rng = np.random.default_rng(0)
    x, kernel, cotangent = (
        rng.standard_normal(s) for s in ((8, 14, 14, 32), (3, 3, 32, 16), (8, 14, 14, 16))
    )

    def answers(dtype, method):
        arrays = (jnp.asarray(a, dtype) for a in (x, kernel))
        y, back = jax.vjp(lambda x, k: conv(ConvParams(k), x, method=method), *arrays)
        return y, *back(jnp.asarray(cotangent, dtype))

    with jax.enable_x64(True):
        exact = [np.asarray(a) for a in answers(jnp.float64, "lax")]
    pairs = zip(answers(jnp.float32, method), answers(jnp.float32, "lax"), exact, strict=True)
    for found, lax_found, truth in pairs:
        error, lax_error = (
            np.abs(np.asarray(a, np.float64) - truth).max() for a in (found, lax_found)
        )
        assert 0 < error < 4 * lax_error


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("role", OPERANDS)
def test_chunks(role, groups):
    """A batch that is taken in parts, the last of them smaller, gives what the whole one gives."""
    windows = grid("conv", (9, 8), (3, 2), strides=2, dilation=1, padding="SAME")
    rng = np.random.default_rng(0)
    arrays = {
        _forms.IMAGE: rng.standard_normal((7, 9, 8, 8)),
        _forms.KERNEL: rng.standard_normal((3, 2, 8 // groups, 4)),
        _forms.OUTPUT: rng.standard_normal((7, *windows.counts, 4)),
    }
    operands = [jnp.asarray(arrays[name]) for name in OPERANDS[role]]
    whole = functools.partial(_forms.FORMS["patches"][role], grid=windows, groups=groups)
    a, b = whole(*operands), in_chunks(whole, role, 3)(*operands)
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5 * np.abs(b).max())
    program = str(jax.make_jaxpr(in_chunks(whole, role, 3))(*operands))
    assert "scan[" in program  # the two parts of three
    assert "scan[" not in str(jax.make_jaxpr(in_chunks(whole, role, 7))(*operands))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("sizes", "window", "strides", "padding"),
    [
        ((11, 9), (4, 2), (2, 2), "SAME"),
        ((11, 9), (7, 5), (2, 3), "VALID"),
        ((9, 7), (3, 1), (2, 3), ((2, 0), (0, 3))),
        ((13,), (8,), (4,), "CAUSAL"),
        ((7, 6), (1, 1), (2, 3), ((1, 0), 0)),
        ((6, 5, 7), (2, 3, 3), (2, 1, 2), "SAME"),
    ],
)
def test_phases_of_an_image_together_or_each(sizes, window, strides, padding):
    """Both as XLA's, whatever form finds them; entries that no window sees are 0."""
    windows = grid("conv", sizes, window, strides=strides, dilation=1, padding=padding)
    rng = np.random.default_rng(0)
    kernel, y = (
        jnp.asarray(rng.standard_normal(s)) for s in ((*window, 3, 4), (2, *windows.counts, 4))
    )
    expected = _forms.FORMS["lax"]["image"](kernel, y, grid=windows, groups=1)
    swapped = jnp.swapaxes(kernel, -1, -2)
    for output in (_forms._taps_output, _forms._patches_output, _forms._blocks_output):
        for whole in (_phases.all_phases, _phases.each_phase):
            found = whole(output, swapped, y, windows)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_phases_are_found_together_where_few_taps_are_wasted():
    """One product for all of them, where the window is a multiple of the stride."""

    def products(window, strides):
        windows = grid("conv", (12, 12), window, strides=strides, dilation=1, padding="SAME")
        y = jnp.ones((1, *windows.counts, 4))
        image = functools.partial(_forms.FORMS["patches"]["image"], grid=windows, groups=1)
        return str(jax.make_jaxpr(image)(jnp.ones((*window, 3, 4)), y)).count("dot_general")

    assert products((4, 4), (2, 2)) == products((3, 3), (3, 3)) == products((7, 7), (2, 2)) == 1
    assert products((3, 3), (2, 2)) == 4


@pytest.mark.parametrize("role", OPERANDS)
def test_what_is_chosen_holds_little(role):
    """At most ``CHUNK`` entries, or as few as any form does for a single image."""
    taken = set()
    for setting in drawn.settings(100, seed=3):
        windows = grid("conv", setting.sizes, setting.window, **setting.options)
        inputs, outputs, groups = setting.inputs, setting.outputs, setting.groups
        shapes = {
            _forms.IMAGE: (10**6, *windows.sizes, inputs),
            _forms.KERNEL: (*windows.window, inputs // groups, outputs),
            _forms.OUTPUT: (10**6, *windows.counts, outputs),
        }
        a, b = (jax.ShapeDtypeStruct(shapes[name], jnp.float32) for name in OPERANDS[role])
        choice = _choice.chosen(a, b, windows, role=role, groups=groups)
        least = min(inputs, outputs) // groups
        each = [
            _choice.work(form, role, windows, 1, inputs // groups, outputs // groups, groups).held
            for form in (choice.form, *_choice.fitting(_choice.COSTS[role], role, windows, least))
        ]
        if not _forms.by_entries(inputs // groups, outputs, groups):
            assert each[0] * choice.batch <= max(_choice.CHUNK, min(each))
            taken.add(choice.batch < 10**6)
    assert taken == {True, False}


def test_eigens_visits():
    """Tap by tap of each window: of an image, or of a channel, whose kernel's gradient it is."""
    windows = grid("conv", (5, 6), (3, 3), strides=1, dilation=1, padding="SAME")
    for batch, inputs in ((4, 2), (8, 2), (4, 6), (3, 5)):  # by 3 and 5: entries one by one

        def visited(role, batch=batch, inputs=inputs):
            return _choice.work("surplus", role, windows, batch, inputs, 4, 1).visited

        more = math.prod(_forms.surplus(windows.sizes, windows.counts))
        assert visited(_forms.OUTPUT) == batch * more * 9
        assert visited(_forms.KERNEL) == inputs * 5 * 6 * 9


def test_windows_share_products():
    """3 × 3 taps take 16 products for four windows; five are three and two; strides split them."""

    def products(window, strides=1, dilation=1):
        windows = grid("conv", (24, 24), window, strides=strides, dilation=dilation, padding="SAME")
        shared, calls = _winograd.shared_products(windows, windows.counts)
        return shared / math.prod(windows.counts), calls

    assert products((3, 3)) == products((3, 3), dilation=2) == (16 / 4, 16)
    assert products((1, 3)) == (4 / 2, 4)
    assert products((5, 5)) == ((4 / 2 + 3 / 2) ** 2, 49)
    assert products((3, 3), strides=2) == ((3 / 2 + 1) ** 2, 16)
    assert products((2, 2), strides=2) == (4, 4)


def test_errors_of_shared_products_are_those_of_the_largest_entries_nearby():
    """Beside entries of 10⁴ small answers lose digits; elsewhere nothing does, nor by default."""
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((1, 16, 16, 8)), rng.standard_normal((3, 3, 8, 8))
    x[:, 6, 6], kernel[0, 0] = 1e4, 0
    params, x = ConvParams(jnp.asarray(kernel, jnp.float32)), jnp.asarray(x, jnp.float32)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: a.astype(jnp.float64), (params, x))
        exact = np.asarray(conv(*wide, method="lax"))
    errors = np.abs(np.asarray(conv(params, x, method="winograd"), np.float64) - exact).max((0, -1))
    near = np.s_[5:8, 5:8]
    assert errors[near].max() < 16 * np.finfo(np.float32).eps * 8 * 1e4 * np.abs(kernel).max()
    assert errors[7, 7] > 1e-3  # sees that entry by a tap of 0 alone
    errors[near] = 0
    assert 0 < errors.max() < 1e-5
    assert np.abs(np.asarray(conv(params, x), np.float64) - exact)[:, 7, 7].max() < 1e-5


@pytest.mark.parametrize("value", [jnp.inf, jnp.nan])
def test_windows_that_share_products_see_no_more_than_their_own(value):
    x = jnp.ones((1, 8, 8, 2)).at[0, 3, 4, 0].set(value)
    params = ConvParams(jnp.ones((3, 3, 2, 2)))
    y = conv(params, x, method="winograd")
    np.testing.assert_array_equal(jnp.isfinite(y), jnp.isfinite(conv(params, x, method="lax")))


@pytest.mark.parametrize("role", OPERANDS)
def test_products_are_shared_where_sums_are_long(role):
    """A choice of many channels, and never of few."""

    def form(inputs, outputs):
        windows = grid("conv", (28, 28), (3, 3), strides=1, dilation=1, padding="SAME")
        shapes = {
            _forms.IMAGE: (8, 28, 28, inputs),
            _forms.KERNEL: (3, 3, inputs, outputs),
            _forms.OUTPUT: (8, 28, 28, outputs),
        }
        a, b = (jax.ShapeDtypeStruct(shapes[name], jnp.float32) for name in OPERANDS[role])
        return _choice.chosen(a, b, windows, role=role, groups=1).form

    assert form(128, 128) == "winograd"
    assert "winograd" not in {form(3, 128), form(128, 15), form(8, 8)}


@pytest.mark.parametrize("method", ["blocks", "surplus"])
def test_convolutions_of_derivatives_have_plain_dimension_numbers(method):
    """XLA's kernels for others, as JAX's gradients are, are many times slower inside of loops."""

    def dimensions(method):
        x, kernel = jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 3, 4))
        loss = lambda x, k: jnp.sum(conv(ConvParams(k), x, method=method) ** 2)  # noqa: E731
        program = jax.jit(jax.value_and_grad(loss, (0, 1))).lower(x, kernel).as_text()
        return set(re.findall(r"dim_numbers = (\S+)x(\S+)->(\S+),", program.replace(", ", ",")))

    plain = ("[b,0,1,f]", "[0,1,i,o]", "[b,0,1,f]")
    assert dimensions(method) == {plain}
    assert dimensions("lax") > {plain}


@pytest.mark.parametrize("method", ["taps", "spread"])
def test_sums_of_entries_are_formed_once(method):
    """Not at each entry of each pooling window: what comes out of a branch is not formed anew."""
    x, kernel = jnp.ones((2, 8, 8, 4)), jnp.full((3, 3, 1, 4), jnp.nan)

    def pooled(kernel, x):
        y = conv(ConvParams(kernel), x, groups=4, method=method)
        return max_pool(y, window=(2, 2))

    compiled = jax.jit(pooled).lower(kernel, x).compile()
    assert compiled.as_text().count(" conditional(") == 1
    assert jnp.isnan(compiled(kernel, x)).all()  # nan, too, takes the branch
    np.testing.assert_array_equal(compiled(jnp.ones_like(kernel), x)[:, 1, 1], 9)


@pytest.mark.parametrize("method", [None, "taps", "lax"])
def test_without_compilation(method):
    """As one looks for a mistake, step by step."""
    x, kernel = jnp.ones((2, 5, 5, 3)), jnp.ones((3, 3, 3, 4))
    loss = lambda x, k: jnp.sum(conv(ConvParams(k), x, method=method) ** 2)  # noqa: E731
    expected = jax.grad(loss, (0, 1))(x, kernel)
    with jax.disable_jit():
        found = jax.grad(loss, (0, 1))(x, kernel)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, expected)


def test_per_example_gradients_of_depthwise_kernels():
    x = jnp.asarray(np.random.default_rng(0).standard_normal((3, 6, 6, 4)))
    kernel = jnp.ones((3, 3, 1, 4))
    loss = lambda k, x: jnp.sum(depthwise_conv(ConvParams(k), x) ** 2)  # noqa: E731
    found = jax.vmap(jax.grad(loss), (None, 0))(kernel, x)
    expected = jnp.stack([jax.grad(loss)(kernel, each) for each in x])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
