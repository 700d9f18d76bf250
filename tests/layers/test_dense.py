"""fnmath.layers.dense: the affine map, its parameters and its gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fnmath.initializers import he_normal, zeros
from fnmath.layers import DenseParams, dense, dense_init
from tests.helpers import Mistake, assert_gradient, assert_transforms
from tests.layers.agreement import BATCHES, DRAWN, SIZES, assert_agrees, normal

KEY = jax.random.key(0)
PARAMS = DenseParams(jnp.ones((3, 2)), jnp.zeros(2))
x = jnp.ones((4, 3))

MISTAKES = [
    Mistake(
        dense, (None, x), {}, TypeError,
        "dense: params is a NoneType; wanted DenseParams(kernel, bias)",
    ),
    Mistake(
        dense, (PARAMS, x.astype(int)), {}, TypeError,
        "dense: x has dtype int32; wanted a floating dtype; did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        dense, (PARAMS, jnp.float32(1.0)), {}, ValueError,
        "dense: x has shape (); wanted at least 1 axis, (*batch in); did you mean x[None]?",
    ),
    Mistake(
        dense, (PARAMS, jnp.ones((4, 5))), {}, ValueError,
        "dense: the number of input features must agree: x has 5 and kernel has 3",
    ),
    Mistake(
        dense, (DenseParams(jnp.ones((3, 2)), jnp.zeros(3)), x), {}, ValueError,
        "dense: the number of output features must agree: kernel has 2 and bias has 3",
    ),
    Mistake(
        dense, (DenseParams(jnp.ones((1, 3, 2)), jnp.zeros(2)), x), {}, ValueError,
        "dense: kernel has shape (1, 3, 2); wanted exactly 2 axes, (in out)",
    ),
    Mistake(
        dense_init, (0, 3, 2), {}, TypeError,
        "dense_init: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        dense_init, (KEY, 3, 0), {}, ValueError,
        "dense_init: out_features is 0; wanted an integer of at least 1",
    ),
    Mistake(
        dense_init, (KEY, 3.0, 2), {}, TypeError,
        "dense_init: in_features is 3.0 (float); wanted an integer",
    ),
    Mistake(
        dense_init, (jax.random.split(KEY), 3, 2), {}, ValueError,
        "dense_init: key has shape (2,); wanted a single key; did you mean jax.vmap over the keys?",
    ),
    Mistake(
        dense_init, (KEY, 3, 2), {"kernel_init": he_normal}, TypeError,
        "he_normal: in_axis is a random key; he_normal makes an initialiser, which takes it; "
        "did you mean he_normal(…)(key, shape)?",
    ),
    Mistake(
        dense_init, (KEY, 3, 2), {"kernel_init": lambda *args: zeros}, TypeError,
        "dense_init: kernel_init gave a function; wanted an array of shape (3, 2); "
        "did you mean kernel_init=…()?",
    ),
    Mistake(
        dense_init, (KEY, 3, 2), {"bias_init": lambda *args: zeros(*args)[None]}, ValueError,
        "dense_init: bias_init gave the shape (1, 2); wanted (2,)",
    ),
    Mistake(
        dense_init, (KEY, 3, 2), {"bias_init": None}, TypeError,
        "dense_init: bias_init is a NoneType; wanted a function",
    ),
    Mistake(
        dense_init, (KEY, 3, 2), {"bias_init": None, "use_bias": False}, TypeError,
        "dense_init: bias_init is a NoneType; wanted a function",
    ),
    Mistake(
        dense_init, (KEY, 3, 2), {"use_bias": None}, TypeError,
        "dense_init: use_bias is None (NoneType); wanted True or False",
    ),
    Mistake(
        dense, (DenseParams(None), x), {}, TypeError,
        "dense: kernel is a NoneType; wanted an array",
    ),
    Mistake(
        dense_init, (KEY, 3, 2), {"dtype": "abc"}, TypeError,
        "dense_init: dtype is 'abc'; wanted a floating dtype; did you mean jnp.float32?",
    ),
]  # fmt: skip


def random_layer(sizes=(5, 3), rows=4, dtype=jnp.float64):
    keys = jax.random.split(jax.random.key(1), 3)
    kernel = jax.random.normal(keys[0], sizes, dtype)
    bias = jax.random.normal(keys[1], sizes[1:], dtype)
    return DenseParams(kernel, bias), jax.random.normal(keys[2], (rows, sizes[0]), dtype)


class TestDense:
    @pytest.mark.usefixtures("x64")
    def test_reference(self):
        params, x = random_layer()
        expected = np.einsum("bi,ij->bj", x, params.kernel) + np.asarray(params.bias)
        np.testing.assert_allclose(dense(params, x), expected, rtol=1e-14)

    @pytest.mark.slow
    @DRAWN
    @given(BATCHES, SIZES, SIZES, st.booleans())
    def test_equals_torch_linear(self, batch, inputs, outputs, with_bias):
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        arrays = [normal(1, inputs, outputs), normal(2, *batch, inputs)]
        arrays += [normal(3, outputs)] * with_bias
        assert_agrees(
            torch,
            lambda kernel, x, bias=None: dense(DenseParams(kernel, bias), x),
            lambda kernel, x, bias=None: torch.nn.functional.linear(x, kernel.T, bias),
            *arrays,
        )

    @pytest.mark.usefixtures("x64")
    def test_law_affine(self):
        """f(λx + (1 − λ)y) = λ f(x) + (1 − λ) f(y)."""
        params, x = random_layer()
        y = x[::-1]
        mixed = dense(params, 0.3 * x + 0.7 * y)
        np.testing.assert_allclose(mixed, 0.3 * dense(params, x) + 0.7 * dense(params, y))

    @pytest.mark.usefixtures("x64")
    @pytest.mark.slow
    def test_gradient(self):
        params, x = random_layer()
        weight = jnp.sin(jnp.arange(12.0)).reshape(4, 3)  # the cotangent Ȳ
        assert_gradient(lambda x: weight * dense(params, x), lambda _: weight @ params.kernel.T, x)
        assert_gradient(
            lambda params: weight * dense(params, x),
            lambda _: DenseParams(x.T @ weight, weight.sum(axis=0)),
            params,
        )

    def test_transforms(self):
        assert_transforms(dense, *random_layer(dtype=jnp.float32))

    def test_leading_axes_are_batch(self):
        params, x = random_layer(dtype=jnp.float32)
        cube = jnp.stack([x, 2 * x])
        np.testing.assert_allclose(dense(params, cube)[1], dense(params, 2 * x), rtol=1e-6)
        np.testing.assert_allclose(dense(params, x[0]), dense(params, x)[0], rtol=1e-6)

    def test_no_bias_is_a_bias_of_zeros(self):
        params, x = random_layer(dtype=jnp.float32)
        without = params._replace(bias=None)
        expected = dense(params._replace(bias=jnp.zeros(3)), x)
        np.testing.assert_array_equal(dense(without, x), expected)
        assert jax.grad(lambda p: dense(p, x).sum())(without).bias is None
        assert_transforms(dense, without, x)

    def test_edges(self):
        assert dense(PARAMS, jnp.ones((0, 3))).shape == (0, 2)
        half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), PARAMS)
        assert dense(half, x.astype(jnp.bfloat16)).dtype == jnp.bfloat16
        rows = dense(PARAMS, x.at[1, 0].set(jnp.nan))
        np.testing.assert_array_equal(jnp.isnan(rows).any(axis=1), [False, True, False, False])


class TestDenseInit:
    def test_variance_of_the_outputs(self):
        """Inputs of variance 1 give outputs of variance 1: LeCun's reason for 1/m."""
        params = dense_init(KEY, 1024, 1024)
        x = jax.random.normal(jax.random.key(1), (512, 1024))
        assert abs(float(dense(params, x).var()) - 1) < 0.03
        assert (params.bias == 0).all()

    def test_key_decides(self):
        first, again, other = (dense_init(jax.random.key(seed), 3, 2) for seed in (0, 0, 1))
        np.testing.assert_array_equal(first.kernel, again.kernel)
        assert (first.kernel != other.kernel).all()

    def test_without_bias_the_kernel_is_the_same(self):
        params = dense_init(KEY, 3, 2, use_bias=False)
        np.testing.assert_array_equal(params.kernel, dense_init(KEY, 3, 2).kernel)
        assert params.bias is None

    def test_options(self):
        params = dense_init(KEY, 3, 2, kernel_init=he_normal(), dtype=jnp.bfloat16)
        assert params.kernel.dtype == params.bias.dtype == jnp.bfloat16

    def test_vmap_over_keys(self):
        keys = jax.random.split(KEY, 5)
        many = jax.vmap(lambda key: dense_init(key, 3, 2))(keys)
        np.testing.assert_array_equal(many.kernel[3], dense_init(keys[3], 3, 2).kernel)
