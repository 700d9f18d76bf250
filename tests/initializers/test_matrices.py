"""fnmath.initializers.matrices: the maps they promise, against jax and torch."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.initializers import delta_orthogonal, dirac, identity, orthogonal, sparse
from tests.helpers import Mistake
from tests.initializers.arguments import KEY, of_the_factory, of_the_initialiser

MISTAKES = [
    *of_the_initialiser("identity", identity()),
    *of_the_initialiser("dirac", dirac()),
    *of_the_initialiser("orthogonal", orthogonal()),
    *of_the_initialiser("delta_orthogonal", delta_orthogonal(), (3, 4, 4)),
    *of_the_initialiser("sparse", sparse(0.5)),
    *of_the_factory(identity),
    *of_the_factory(dirac),
    *of_the_factory(orthogonal, argument="scale"),
    *of_the_factory(delta_orthogonal, argument="scale"),
    *of_the_factory(sparse, 0.5),
    Mistake(
        identity, (), {"scale": 0.0}, ValueError,
        "identity: scale is 0.0; wanted a number in (0, inf)",
    ),
    Mistake(
        identity(), (KEY, (3, 4, 4)), {}, ValueError,
        "identity: shape is (3, 4, 4); wanted exactly 2 axes, (in, out); "
        "did you mean dirac, for a window?",
    ),
    Mistake(
        dirac, (), {"groups": 0}, ValueError, "dirac: groups is 0; wanted an integer of at least 1"
    ),
    Mistake(
        dirac, (), {"groups": 2.0}, TypeError, "dirac: groups is 2.0 (float); wanted an integer"
    ),
    Mistake(
        dirac(), (KEY, (4,)), {}, ValueError,
        "dirac: shape is (4,); wanted at least 2 axes, (*window in out)",
    ),
    Mistake(
        dirac(), (KEY, (0, 4, 4)), {}, ValueError,
        "dirac: shape is (0, 4, 4); wanted a window without an axis of size 0",
    ),
    Mistake(
        dirac(groups=3), (KEY, (3, 2, 4)), {}, ValueError,
        "dirac: the 4 outputs are not divisible by groups 3",
    ),
    Mistake(
        orthogonal, (-1.0,), {}, ValueError,
        "orthogonal: scale is -1.0; wanted a number in (0, inf)",
    ),
    Mistake(
        orthogonal, (jnp.ones(2),), {}, ValueError,
        "orthogonal: scale has shape (2,); wanted one number",
    ),
    Mistake(
        orthogonal, (), {"column_axis": (0,)}, TypeError,
        "orthogonal: column_axis is (0,); wanted an integer",
    ),
    Mistake(
        orthogonal(), (KEY, (4,)), {}, ValueError,
        "orthogonal: shape is (4,); wanted at least 2 axes, (*window in out)",
    ),
    Mistake(
        orthogonal(column_axis=2), (KEY, (4, 3)), {}, ValueError,
        "orthogonal: column_axis is 2; wanted an axis of the shape (4, 3)",
    ),
    Mistake(
        delta_orthogonal, (math.inf,), {}, ValueError,
        "delta_orthogonal: scale is inf; wanted a number in (0, inf)",
    ),
    Mistake(
        delta_orthogonal(), (KEY, (4, 4)), {}, ValueError,
        "delta_orthogonal: shape is (4, 4); "
        "wanted (*window in out) with a window of 1 to 3 axes, none of size 0",
    ),
    Mistake(
        delta_orthogonal(), (KEY, (3, 5, 4)), {}, ValueError,
        "delta_orthogonal: shape is (3, 5, 4); wanted no more inputs than outputs",
    ),
    Mistake(
        sparse, (1.5,), {}, ValueError, "sparse: sparsity is 1.5; wanted a number in [0, 1]"
    ),
    Mistake(
        sparse, (jnp.ones(()),), {}, TypeError,
        "sparse: sparsity is an array; wanted a Python number",
    ),
    Mistake(
        sparse, (0.5,), {"stddev": -1}, ValueError,
        "sparse: stddev is -1; wanted a number in (0, inf)",
    ),
    Mistake(
        sparse(0.5), (KEY, (4,)), {}, ValueError,
        "sparse: shape is (4,); wanted at least 2 axes, (*window in out)",
    ),
]  # fmt: skip


def convolved(x, kernel, groups=1, padding="SAME"):
    spatial = "HWD"[: x.ndim - 2]
    dims = (f"N{spatial}C", f"{spatial}IO", f"N{spatial}C")
    return jax.lax.conv_general_dilated(
        x, kernel, (1,) * len(spatial), padding, dimension_numbers=dims, feature_group_count=groups
    )


class TestIdentity:
    def test_reference(self):
        np.testing.assert_array_equal(identity()(KEY, (3, 5)), np.eye(3, 5))
        np.testing.assert_array_equal(identity(scale=0.5)(KEY, (5, 3)), 0.5 * np.eye(5, 3))

    def test_scale_may_be_traced(self):
        many = jax.vmap(lambda s: identity(scale=s)(KEY, (2, 2)))(jnp.array([2.0, -1.0]))
        np.testing.assert_array_equal(many[0], 2 * np.eye(2))
        assert jnp.isnan(jnp.diagonal(many[1])).all()

    def test_edges(self):
        assert identity()(KEY, (0, 3)).shape == (0, 3)
        assert identity()(KEY, (2, 2), jnp.bfloat16).dtype == jnp.bfloat16


class TestDirac:
    @pytest.mark.parametrize(("window", "groups"), [((3,), 1), ((4,), 2), ((2, 5), 3)])
    def test_law_the_convolution_is_the_identity(self, window, groups):
        x = jax.random.normal(KEY, (2, *(8, 7)[: len(window)], 6))
        kernel = dirac(groups=groups)(KEY, (*window, 6 // groups, 6))
        np.testing.assert_array_equal(convolved(x, kernel, groups), x)

    @pytest.mark.slow
    @pytest.mark.parametrize("groups", [1, 2])
    @pytest.mark.parametrize("sizes", [(3, 2, 6), (5, 3, 4, 2), (3, 3, 1, 2, 8)])
    def test_equals_torch_for_odd_windows(self, sizes, groups, torch):
        *window, inputs, outputs = sizes
        theirs = torch.nn.init.dirac_(torch.empty(outputs, inputs, *window), groups).numpy()
        kernel = np.moveaxis(theirs, (0, 1), (-1, -2))
        np.testing.assert_array_equal(dirac(groups=groups)(KEY, sizes), kernel)

    def test_edges(self):
        np.testing.assert_array_equal(dirac(scale=2.0)(KEY, (2, 3)), 2 * np.eye(2, 3))
        assert dirac()(KEY, (3, 0, 4)).shape == (3, 0, 4)
        assert dirac()(KEY, (3, 2, 4), jnp.float16).dtype == jnp.float16


class TestOrthogonal:
    @pytest.mark.parametrize("shape", [(4, 7), (7, 4), (5, 5), (3, 2, 4, 6)])
    def test_law_rows_or_columns_are_orthonormal(self, shape):
        kernel = orthogonal(0.5)(KEY, shape)
        matrix = np.float64(kernel.reshape(-1, shape[-1]))
        gram = matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix
        np.testing.assert_allclose(gram, 0.25 * np.eye(len(gram)), atol=1e-6)

    def test_reference_of_the_same_name(self):
        theirs = jax.nn.initializers.orthogonal
        for shape, axis in [((4, 7), -1), ((4, 7), 0), ((3, 5, 4), 1)]:
            ours = orthogonal(2.0, axis)(KEY, shape)
            np.testing.assert_array_equal(ours, theirs(2.0, axis)(KEY, shape))

    def test_law_even_draws(self):
        """Of all rotations and reflections: E (tr Q)ᵏ = 0, 1, 0, 3 for k = 1, 2, 3, 4.

        Without the signs that make the decomposition unique, the first would be −1.5 or so.
        """
        many = jax.vmap(lambda k: orthogonal()(k, (5, 5)))(jax.random.split(KEY, 4000))
        trace = np.trace(many, axis1=1, axis2=2)
        for power, moment in enumerate([0, 1, 0, 3], start=1):
            spread = np.sqrt([1, 2, 15, 96][power - 1] / 4000)
            assert abs(np.mean(trace**power) - moment) < 5 * spread

    def test_edges(self):
        assert orthogonal()(KEY, (0, 3)).shape == (0, 3)
        for dtype in (jnp.bfloat16, jnp.float16):
            half = orthogonal()(KEY, (4, 4), dtype)
            assert half.dtype == dtype
            rounded = orthogonal()(KEY, (4, 4)).astype(dtype)
            np.testing.assert_array_equal(half, rounded)
        assert jnp.isnan(jax.jit(lambda s: orthogonal(s)(KEY, (2, 2)))(-1.0)).all()

    @pytest.mark.usefixtures("x64")
    def test_default_dtype(self):
        assert orthogonal()(KEY, (2, 2)).dtype == jnp.float64


class TestDeltaOrthogonal:
    @pytest.mark.parametrize("window", [(3,), (4, 3)])
    def test_law_the_convolution_keeps_the_norm(self, window):
        x = jax.random.normal(KEY, (2, *(8, 7)[: len(window)], 4))
        y = convolved(x, delta_orthogonal()(KEY, (*window, 4, 6)))
        np.testing.assert_allclose(jnp.sum(y**2, -1), jnp.sum(x**2, -1), rtol=1e-5)

    def test_reference_of_the_same_name(self):
        theirs = jax.nn.initializers.delta_orthogonal
        for shape, axis in [((3, 4, 7), -1), ((4, 3, 4, 4), 0), ((2, 3, 2, 3, 4), -2)]:
            ours = delta_orthogonal(2.0, axis)(KEY, shape)
            np.testing.assert_array_equal(ours, theirs(2.0, axis)(KEY, shape))

    def test_edges(self):
        assert delta_orthogonal()(KEY, (3, 0, 4)).shape == (3, 0, 4)
        assert delta_orthogonal()(KEY, (3, 2, 4), jnp.bfloat16).dtype == jnp.bfloat16


class TestSparse:
    @pytest.mark.parametrize(
        ("sparsity", "zeros"), [(0.0, 0), (0.07, 7), (0.071, 8), (0.9, 90), (1.0, 100)]
    )
    def test_law_so_many_zeros_for_each_output(self, sparsity, zeros):
        """⌈p n⌉ of 100; ``torch.nn.init.sparse_`` has 8 for 0.07, which is not so in binary."""
        kernel = sparse(sparsity)(KEY, (5, 2, 10, 30))
        assert ((kernel == 0).sum((0, 1, 2)) == zeros).all()

    def test_moments(self):
        """Within five standard errors; every weight is kept as often as any other."""
        kernel = sparse(0.75, stddev=0.1)(KEY, (40, 4000))
        kept = kernel[kernel != 0]
        assert abs(kept.mean()) < 5 * 0.1 / 200
        np.testing.assert_allclose(kept.std(), 0.1, rtol=5 / 200 / np.sqrt(2))
        share = (kernel != 0).mean(1)
        assert abs(share - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 4000)

    def test_transforms(self):
        init, keys = sparse(0.5), jax.random.split(KEY, 2)
        many = jax.jit(jax.vmap(lambda k: init(k, (4, 5))))(keys)
        np.testing.assert_allclose(many[1], init(keys[1], (4, 5)), rtol=1e-6)

    def test_edges(self):
        assert sparse(0.5)(KEY, (0, 3)).shape == (0, 3)
        assert sparse(0.5, dtype=jnp.float16)(KEY, (2, 2)).dtype == jnp.float16
