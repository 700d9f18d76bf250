"""fnmath.layers.normalization.weights: weight and spectral normalisation of kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnmath.layers import (
    SpectralStats,
    WeightNormParams,
    spectral_norm,
    spectral_norm_init,
    spectral_norm_train,
    weight_norm,
    weight_norm_init,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms
from tests.layers.agreement import arrays, assert_agrees, draws

DRAWN = {"deadline": None, "derandomize": True, "database": None}
KEY = jax.random.key(0)
kernel = jnp.ones((3, 2))
STATS = SpectralStats(jnp.ones(2), jnp.ones(3))

MISTAKES = [
    Mistake(
        weight_norm_init, (kernel.astype(int),), {}, TypeError,
        "weight_norm_init: kernel has dtype int32; wanted a floating dtype; "
        "did you mean kernel.astype(jnp.float32)?",
    ),
    Mistake(
        weight_norm_init, (kernel[0],), {}, ValueError,
        "weight_norm_init: kernel has shape (2,); wanted at least 2 axes, (*batch in out); "
        "did you mean kernel[None]?",
    ),
    Mistake(
        weight_norm, (kernel,), {}, TypeError,
        "weight_norm: params is an array; wanted WeightNormParams(direction, scale)",
    ),
    Mistake(
        weight_norm, (WeightNormParams(kernel, jnp.ones(3)),), {}, ValueError,
        "weight_norm: the number of outputs must agree: direction has 2 and scale has 3",
    ),
    Mistake(
        weight_norm, (WeightNormParams(kernel, jnp.ones((1, 2))),), {}, ValueError,
        "weight_norm: scale has shape (1, 2); wanted exactly 1 axis, (out)",
    ),
    Mistake(
        spectral_norm_init, (0, kernel), {}, TypeError,
        "spectral_norm_init: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        spectral_norm_init, (KEY, kernel), {"iterations": -1}, ValueError,
        "spectral_norm_init: iterations is -1; wanted an integer of at least 0",
    ),
    Mistake(
        spectral_norm, (kernel, None), {}, TypeError,
        "spectral_norm: stats is a NoneType; wanted SpectralStats(u, v)",
    ),
    Mistake(
        spectral_norm, (kernel, SpectralStats(jnp.ones(3), jnp.ones(2))), {}, ValueError,
        "spectral_norm: u has shape (3,); wanted (2,), for a kernel of shape (3, 2)",
    ),
    Mistake(
        spectral_norm_train, (kernel, STATS), {"iterations": 1.0}, TypeError,
        "spectral_norm_train: iterations is 1.0 (float); wanted an integer",
    ),
    Mistake(
        spectral_norm_train, (kernel, STATS), {"epsilon": 0.0}, ValueError,
        "spectral_norm_train: epsilon is 0.0; wanted a number in (0, inf)",
    ),
    Mistake(
        spectral_norm_train, (kernel, SpectralStats(STATS.u, STATS.v[None])), {}, ValueError,
        "spectral_norm_train: v has shape (1, 3); wanted (3,), for a kernel of shape (3, 2)",
    ),
]  # fmt: skip


def torch_kernel(torch, kernel):
    """(*window in out) as (out in *window), differentiably."""
    return torch.movedim(kernel, (-1, -2), (0, 1))


@st.composite
def shapes(draw):
    window = draw(st.lists(st.integers(1, 3), max_size=2))
    return (*window, draw(st.integers(1, 4)), draw(st.integers(1, 4))), draw(st.integers(0, 2**31))


@pytest.mark.slow
class TestAgainstTorch:
    @settings(max_examples=8, **DRAWN)
    @given(shapes())
    def test_weight_norm(self, configuration):
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        shape, seed = configuration
        direction, scale = arrays(seed, shape, shape[-1:])

        def theirs(direction, scale):
            v = torch_kernel(torch, direction)
            g = scale.reshape(-1, *(1 for _ in shape[1:]))
            return torch.movedim(torch._weight_norm(v, g, 0), (0, 1), (-1, -2))

        def ours(direction, scale):
            return weight_norm(WeightNormParams(direction, scale))

        assert_agrees(torch, ours, theirs, direction, scale, differences_of=1.0)

    @settings(max_examples=7, **DRAWN)
    @given(shapes(), st.integers(1, 3))
    def test_spectral_norm_train(self, configuration, iterations):
        """The kernel, its gradient, and the vectors, after torch's own steps from equal starts."""
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        (*rows, outputs), seed = configuration
        kernel, u, v = arrays(seed, (*rows, outputs), (outputs,), rows)
        u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)

        def ours(kernel):
            stats = SpectralStats(jnp.asarray(u, kernel.dtype), jnp.asarray(v, kernel.dtype))
            y, stats = spectral_norm_train(kernel, stats, iterations=iterations)
            return jnp.concatenate([a.ravel() for a in (y, *stats)])

        def theirs(kernel):
            W = kernel.reshape(-1, outputs).T
            torch_module = torch.nn.utils.parametrizations._SpectralNorm
            module = torch_module(W.detach(), n_power_iterations=iterations, eps=1e-12)
            module._u.copy_(torch.tensor(u)), module._v.copy_(torch.tensor(v.ravel()))
            y = module.train()(W).T.reshape(kernel.shape)
            return torch.cat([y.ravel(), module._u, module._v])

        assert_agrees(torch, ours, theirs, kernel)


class TestWeightNorm:
    def test_init_keeps_the_kernel(self):
        (W,) = draws(0, (3, 3, 4, 5))
        params = weight_norm_init(W)
        np.testing.assert_allclose(weight_norm(params), W, rtol=1e-6)
        lengths = np.linalg.norm(np.reshape(W, (-1, 5)), axis=0)
        np.testing.assert_allclose(params.scale, lengths, rtol=1e-6)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        V, w, g = draws(1, (4, 3), (4, 3), (3,))
        length = jnp.linalg.norm(V, axis=0)
        u = V / length
        along = (w * u).sum(0)
        assert_gradient(
            jax.jit(lambda params: w * weight_norm(params)),
            lambda _: WeightNormParams(g / length * (w - u * along), along),
            WeightNormParams(V, g),
        )
        assert_gradient(
            lambda W: jnp.concatenate(
                [(w * weight_norm_init(W).direction).ravel(), weight_norm_init(W).scale]
            ),
            lambda W: w + W / jnp.linalg.norm(W, axis=0),
            V,
        )

    def test_law_the_length_of_a_direction_is_nothing(self):
        V, w, g = draws(2, (4, 3), (4, 3), (3,))
        W, vjp = jax.vjp(lambda V: weight_norm(WeightNormParams(V, g)), V)
        np.testing.assert_allclose(weight_norm(WeightNormParams(1e25 * V, g)), W, rtol=1e-5)
        np.testing.assert_allclose((V * vjp(w)[0]).sum(0), 0, atol=1e-6)

    def test_transforms(self):
        assert_transforms(weight_norm, WeightNormParams(*draws(3, (4, 3), (3,))))
        assert_transforms(weight_norm_init, *draws(3, (4, 3)))

    def test_edges(self):
        params = WeightNormParams(kernel.at[:, 1].set(0), jnp.ones(2))
        W, vjp = jax.vjp(weight_norm, params)
        np.testing.assert_array_equal(W[:, 1], 0)
        (bar,) = vjp(jnp.ones_like(W))
        assert bar.direction[:, 1].tolist() == [0, 0, 0]
        assert bar.scale[1] == 0
        half = weight_norm_init(kernel.astype(jnp.bfloat16))
        assert half.scale.dtype == half.direction.dtype == weight_norm(half).dtype == jnp.bfloat16


class TestSpectralNorm:
    def test_law_the_largest_singular_value_becomes_one(self):
        (W,) = draws(4, (3, 2, 4))
        stats = spectral_norm_init(KEY, W, iterations=200)
        singular = jnp.linalg.svd(jnp.reshape(spectral_norm(W, stats), (6, 4)), compute_uv=False)
        assert abs(float(singular[0]) - 1) < 1e-5
        np.testing.assert_allclose(jnp.linalg.norm(stats.u), 1, rtol=1e-6)
        np.testing.assert_allclose(jnp.linalg.norm(stats.v), 1, rtol=1e-6)

    def test_steps_go_on_where_the_last_ended(self):
        (W,) = draws(5, (5, 4))
        start = spectral_norm_init(KEY, W, iterations=0)
        stats = start
        for _ in range(3):
            y, stats = spectral_norm_train(W, stats)
        z, thrice = spectral_norm_train(W, start, iterations=3)
        np.testing.assert_allclose(y, z, rtol=1e-6)
        np.testing.assert_allclose(stats.u, thrice.u, rtol=1e-6)
        np.testing.assert_allclose(spectral_norm_init(KEY, W, iterations=3).v, thrice.v, rtol=1e-6)
        np.testing.assert_allclose(spectral_norm(W, stats), y, rtol=1e-6)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        W, w, u, v = draws(6, (4, 3), (4, 3), (3,), (4,))
        stats = SpectralStats(u / jnp.linalg.norm(u), v / jnp.linalg.norm(v))

        def gradient(W):
            σ = stats.v @ W @ stats.u
            return (w - (w * W / σ).sum() * jnp.outer(stats.v, stats.u)) / σ

        assert_gradient(jax.jit(lambda W: w * spectral_norm(W, stats)), gradient, W)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient_at_the_singular_vectors_is_the_whole(self):
        """∂(W/‖W‖₂), of the exact singular value, by autodiff of the SVD's norm."""
        W, w = draws(7, (4, 3), (4, 3))
        stats = spectral_norm_init(KEY, W, iterations=500)

        def ours(W):
            return jnp.sum(w * spectral_norm_train(W, stats)[0])

        def exact(W):
            return jnp.sum(w * W / jnp.sqrt(jnp.linalg.eigvalsh(W.T @ W)[-1]))

        np.testing.assert_allclose(jax.grad(ours)(W), jax.grad(exact)(W), rtol=1e-9, atol=1e-12)

    def test_no_gradient_through_the_vectors(self):
        def u(W):
            return jnp.sum(spectral_norm_train(W, STATS)[1].u)

        np.testing.assert_array_equal(jax.grad(u)(kernel), 0)

    @pytest.mark.slow
    def test_transforms(self):
        (W,) = draws(8, (4, 3))
        stats = spectral_norm_init(KEY, W)
        assert_transforms(spectral_norm, W, stats)
        assert_transforms(spectral_norm_train, W, stats, rtol=1e-5)
        many = jax.vmap(lambda key: spectral_norm_init(key, W))(jax.random.split(KEY, 3))
        assert many.u.shape == (3, 3)

    def test_edges(self):
        zero = jnp.zeros((3, 2))
        stats = spectral_norm_init(KEY, zero)
        (y, after), vjp = jax.vjp(lambda W: spectral_norm_train(W, stats), zero)
        np.testing.assert_array_equal(y, 0)
        np.testing.assert_array_equal(after.u, stats.u)
        zeros = jax.tree.map(jnp.zeros_like, after)
        np.testing.assert_array_equal(vjp((jnp.ones_like(y), zeros))[0], 0)
        half = kernel.astype(jnp.bfloat16)
        stats = spectral_norm_init(KEY, half)
        assert stats.u.dtype == jnp.float32
        assert spectral_norm(half, stats).dtype == jnp.bfloat16
        for known in (stats, jax.tree.map(lambda a: a.astype(jnp.bfloat16), stats)):
            y, after = spectral_norm_train(half, known)
            assert y.dtype == jnp.bfloat16
            assert after.u.dtype == after.v.dtype == known.u.dtype
