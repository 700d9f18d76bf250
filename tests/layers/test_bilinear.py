"""fnmath.layers.bilinear: a form of two inputs for each output."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fnmath.initializers import zeros
from fnmath.layers import BilinearParams, bilinear, bilinear_init
from tests.helpers import Mistake, assert_transforms
from tests.layers.agreement import BATCHES, DRAWN, SIZES, assert_agrees, normal
from tests.linear_algebra.cotangents import assert_cotangents

KEY = jax.random.key(0)
PARAMS = BilinearParams(jnp.ones((3, 4, 2)), jnp.zeros(2))
x, y = jnp.ones((5, 3)), jnp.ones((5, 4))

MISTAKES = [
    Mistake(
        bilinear, (None, x, y), {}, TypeError,
        "bilinear: params is a NoneType; wanted BilinearParams(kernel, bias)",
    ),
    Mistake(
        bilinear, (PARAMS, x, y.astype(int)), {}, TypeError,
        "bilinear: y has dtype int32; wanted a floating dtype; "
        "did you mean y.astype(jnp.float32)?",
    ),
    Mistake(
        bilinear, (PARAMS, x, x), {}, ValueError,
        "bilinear: the number of second features must agree: y has 3 and kernel has 4",
    ),
    Mistake(
        bilinear, (PARAMS, y, y), {}, ValueError,
        "bilinear: the number of first features must agree: x has 4 and kernel has 3",
    ),
    Mistake(
        bilinear, (PARAMS, x, y[0]), {}, ValueError,
        "bilinear: x (5, 3) and y (4,) must have one batch shape",
    ),
    Mistake(
        bilinear, (BilinearParams(jnp.ones((3, 4))), x, y), {}, ValueError,
        "bilinear: kernel has shape (3, 4); wanted exactly 3 axes, (first second out); "
        "did you mean kernel[None]?",
    ),
    Mistake(
        bilinear, (BilinearParams(jnp.ones((3, 4, 2)), jnp.zeros(3)), x, y), {}, ValueError,
        "bilinear: the number of output features must agree: kernel has 2 and bias has 3",
    ),
    Mistake(
        bilinear_init, (0, 3, 4, 2), {}, TypeError,
        "bilinear_init: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        bilinear_init, (KEY, 3, 0, 2), {}, ValueError,
        "bilinear_init: second_features is 0; wanted an integer of at least 1",
    ),
    Mistake(
        bilinear_init, (KEY, 3, 4, 2), {"kernel_init": lambda *args: zeros(*args)[0]}, ValueError,
        "bilinear_init: kernel_init gave the shape (4, 2); wanted (3, 4, 2)",
    ),
    Mistake(
        bilinear_init, (KEY, 3, 4, 2), {"use_bias": 1}, TypeError,
        "bilinear_init: use_bias is 1 (int); wanted True or False",
    ),
]  # fmt: skip


class TestBilinear:
    @pytest.mark.slow
    @DRAWN
    @given(BATCHES, SIZES, SIZES, SIZES, st.booleans())
    def test_equals_torch(self, batch, first, second, outputs, with_bias):
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        arrays = [normal(1, first, second, outputs)]
        arrays += [normal(2, *batch, first), normal(3, *batch, second)]
        arrays += [normal(4, outputs)] * with_bias

        def theirs(kernel, x, y, bias=None):
            return torch.nn.functional.bilinear(x, y, kernel.permute(2, 0, 1), bias)

        def ours(kernel, x, y, bias=None):
            return bilinear(BilinearParams(kernel, bias), x, y)

        assert_agrees(torch, ours, theirs, *arrays)

    @pytest.mark.usefixtures("x64")
    def test_reference(self):
        kernel, bias, x, y = normal(1, 3, 4, 2), normal(2, 2), normal(3, 5, 3), normal(4, 5, 4)
        params = BilinearParams(jnp.asarray(kernel), jnp.asarray(bias))
        for n in range(5):
            expected = [x[n] @ kernel[..., k] @ y[n] + bias[k] for k in range(2)]
            actual = bilinear(params, jnp.asarray(x[n]), jnp.asarray(y[n]))
            np.testing.assert_allclose(actual, expected, rtol=1e-13)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def f(kernel, bias, x, y):
            return bilinear(BilinearParams(kernel, bias), x, y)

        def rule(z_bar, kernel, bias, x, y):
            return (
                (x[:, :, None, None] * y[:, None, :, None] * z_bar[:, None, None, :]).sum(axis=0),
                z_bar.sum(axis=0),
                *(
                    sum(z_bar[:, k, None] * (v @ W) for k, W in enumerate(forms))
                    for v, forms in ((y, kernel.transpose(2, 1, 0)), (x, kernel.transpose(2, 0, 1)))
                ),
            )

        arrays = normal(1, 3, 4, 2), normal(2, 2), normal(3, 5, 3), normal(4, 5, 4)
        assert_cotangents(f, rule, *map(jnp.asarray, arrays))

    def test_transforms(self):
        arrays = (normal(3, 5, 3), normal(4, 5, 4))
        x, y = (jnp.asarray(a, jnp.float32) for a in arrays)
        assert_transforms(bilinear, bilinear_init(KEY, 3, 4, 2), x, y)
        assert_transforms(bilinear, bilinear_init(KEY, 3, 4, 2, use_bias=False), x, y)

    def test_edges(self):
        assert bilinear(PARAMS, x[:0], y[:0]).shape == (0, 2)
        rows = bilinear(PARAMS, x.at[1, 0].set(jnp.nan), y)
        np.testing.assert_array_equal(jnp.isnan(rows).any(axis=1), [False, True] + 3 * [False])

    def test_half_precision_rounds_once(self):
        """Within half a unit in the last place of the exact sum (of one output, without bias)."""
        half = [
            jnp.asarray(normal(i, *s), jnp.bfloat16) for i, s in enumerate([(9, 8, 1), (9,), (8,)])
        ]
        kernel, x, y = (np.asarray(a, np.float64) for a in half)
        z = bilinear(BilinearParams(half[0]), half[1], half[2])
        assert z.dtype == jnp.bfloat16
        exact = np.einsum("i,ijk,j->k", x, kernel, y)
        assert abs(float(z[0]) - exact[0]) <= 2**-8 * abs(exact[0])


class TestBilinearInit:
    def test_variance_of_the_outputs(self):
        """Independent inputs of variance 1 give outputs of variance 1."""
        params = bilinear_init(KEY, 64, 32, 128)
        x, y = normal(1, 256, 64), normal(2, 256, 32)
        z = bilinear(params, jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32))
        assert abs(float(z.var()) - 1) < 0.05
        assert (params.bias == 0).all()

    def test_options(self):
        params = bilinear_init(KEY, 3, 4, 2, kernel_init=zeros, dtype=jnp.bfloat16)
        assert params.kernel.dtype == params.bias.dtype == jnp.bfloat16
        assert (params.kernel == 0).all()
        assert bilinear_init(KEY, 3, 4, 2, use_bias=False).bias is None
