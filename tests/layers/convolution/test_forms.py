"""Every form of a convolution against ``lax.conv_general_dilated``, over drawn settings."""

import functools
import itertools
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnmath.layers import ConvParams, ConvTransposeParams, conv, conv_transpose, depthwise_conv
from fnmath.layers.convolution import _choice, _costs, _forms
from fnmath.layers.convolution._correlation import OPERANDS, correlate
from fnmath.layers.convolution._geometry import grid
from tests.layers.convolution import drawn

PARTS = 8
COUNT = int(os.environ.get("FNMATH_DRAWS", "240")) // PARTS
PAD_MODES = {"REFLECT": "reflect", "REPLICATE": "edge", "CIRCULAR": "wrap"}
METHODS = (None, *(name for name in _forms.FORMS if name != "winograd"))


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
    """Output and both gradients; their derivatives in a direction; and vmap over each operand."""

    def answers(x, kernel):
        y, back = jax.vjp(f, x, kernel)
        return y, *back(cotangent)

    pairs = jnp.stack([x, dx]), jnp.stack([kernel, dkernel])
    batched = [(0, None), (None, 0), (0, 0)]
    mapped = [
        jax.vmap(answers, axes)(*(b if a == 0 else o for a, b, o in zip(axes, pairs, (x, kernel))))
        for axes in batched
    ]
    return jax.jvp(answers, (x, kernel), (dx, dkernel)), mapped


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("part", range(PARTS))
def test_equals_lax(part):
    """Each form in turn, to 1e-12 in float64; ``FNMATH_DRAWS=2000`` draws as many settings."""
    rng = np.random.default_rng(1000 + part)
    settings = drawn.settings(COUNT, seed=1000 + part)
    for some in itertools.batched(settings, 10) if hasattr(itertools, "batched") else [settings]:
        cases = []
        for i, setting in enumerate(some):
            x, kernel = (drawn.normals(rng, s, s) for s in shapes(setting))
            y = jax.eval_shape(functools.partial(by_lax, setting), x[0], kernel[0])
            arrays = x[0], kernel[0], x[1], kernel[1], rng.standard_normal(y.shape)
            cases.append((setting, METHODS[i % len(METHODS)], jax.tree.map(jnp.asarray, arrays)))

        def both(arrays, cases=cases):
            return [
                [
                    everything(f, *a)
                    for f in (
                        functools.partial(ours, setting, method),
                        functools.partial(by_lax, setting),
                    )
                ]
                for (setting, method, _), a in zip(cases, arrays, strict=True)
            ]

        arrays = [arrays for *_, arrays in cases]
        answers = jax.jit(both).lower(arrays).compile(drawn.QUICKLY)(arrays)
        for (setting, method, _), (found, expected) in zip(cases, answers, strict=True):
            for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
                np.testing.assert_allclose(
                    *(a, b), rtol=1e-12, atol=1e-12 * np.abs(b).max(initial=1), err_msg=f"{method} {setting}"
                )


def shapes(setting):
    yield *setting.batch, *setting.sizes, setting.inputs
    yield *setting.window, setting.inputs // setting.groups, setting.outputs
