"""fnmath.layers.normalization.rows: layer and RMS normalisation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnmath.layers import (
    NormParams,
    layer_norm,
    layer_norm_init,
    rms_norm,
    rms_norm_init,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms
from tests.layers.agreement import arrays, assert_agrees, draws

DRAWN = {"deadline": None, "derandomize": True, "database": None}
NONE = NormParams(None, None)
x = jnp.ones((2, 4))
NORMS = pytest.mark.parametrize("norm", [layer_norm, rms_norm], ids=lambda f: f.__name__)


def mistakes(norm, init):
    name, init_name = norm.__name__, init.__name__
    rows = [
        (norm, (None, x), {}, TypeError, "params is a NoneType; wanted NormParams(scale, bias)"),
        (
            norm, (NONE, x.astype(int)), {}, TypeError,
            "x has dtype int32; wanted a floating dtype; did you mean x.astype(jnp.float32)?",
        ),
        (
            norm, (NormParams(jnp.ones(3), None), x), {}, ValueError,
            "scale has shape (3,); wanted (4,), the last of the shape (2, 4) of x",
        ),
        (
            norm, (NormParams(jnp.ones((2, 4)), jnp.zeros(4)), x), {}, ValueError,
            "bias has shape (4,); wanted (2, 4), the last of the shape (2, 4) of x",
        ),
        (
            norm, (NormParams(jnp.ones(4), None), x), {"axes": 2}, ValueError,
            "scale has shape (4,); wanted (2, 4), the last of the shape (2, 4) of x",
        ),
        (
            norm, (NONE, x), {"axes": 3}, ValueError,
            "x has shape (2, 4); wanted at least 3 axes, (*batch n1 n2 n3); did you mean x[None]?",
        ),
        (norm, (NONE, x), {"axes": 0}, ValueError, "axes is 0; wanted an integer of at least 1"),
        (
            norm, (NormParams(jnp.ones(()), None), x), {}, ValueError,
            "scale has shape (); wanted at least 1 axis, (*batch features); "
            "did you mean scale[None]?",
        ),
        (
            norm, (NONE, x), {"epsilon": -1.0}, ValueError,
            "epsilon is -1.0; wanted a number in [0, inf)",
        ),
        (
            norm, (NONE, x), {"epsilon": None}, TypeError,
            "epsilon is None (NoneType); wanted a number",
        ),
        (init, (0,), {}, ValueError, "features is 0; wanted an integer of at least 1"),
        (init, ((3, 0),), {}, ValueError, "features[1] is 0; wanted an integer of at least 1"),
        (init, ((),), {}, ValueError, "features is (); wanted at least one size"),
        (init, (2.0,), {}, TypeError, "features is 2.0 (float); wanted an integer"),
        (
            init, (2,), {"use_bias": 1}, TypeError,
            "use_bias is 1 (int); wanted True or False",
        ),
        (
            init, (2,), {"dtype": jnp.int32}, TypeError,
            "dtype is int32; wanted a floating dtype; did you mean jnp.float32?",
        ),
    ]  # fmt: skip
    for function, *rest, message in rows:
        yield Mistake(function, *rest, f"{name if function is norm else init_name}: {message}")


MISTAKES = [*mistakes(layer_norm, layer_norm_init), *mistakes(rms_norm, rms_norm_init)]


def exact(norm, x, epsilon, axes=1):
    """The definition in float64."""
    x, axes = np.asarray(x, np.float64), tuple(range(-axes, 0))
    c = x - x.mean(axes, keepdims=True) if norm is layer_norm else x
    return c / np.sqrt((c * c).mean(axes, keepdims=True) + epsilon)


def gradient_of(norm):
    """The cotangent of x in the docstring, for the objective Σ w y."""

    def gradient(x, params, w, epsilon):
        z = exact(norm, x, epsilon)
        c = x - x.mean(-1, keepdims=True) if norm is layer_norm else x
        σ = np.sqrt((c * c).mean(-1, keepdims=True) + epsilon)
        z_bar = w * params.scale
        centred = z_bar - z_bar.mean(-1, keepdims=True) if norm is layer_norm else z_bar
        return (centred - z * (z * z_bar).mean(-1, keepdims=True)) / σ

    return gradient


@st.composite
def configurations(draw):
    batch = draw(st.lists(st.integers(1, 3), max_size=2))
    features = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    which = draw(st.sampled_from([(), ("scale",), ("bias",), ("scale", "bias")]))
    epsilon = draw(st.sampled_from([1e-5, 1e-6, 1e-3, 0.5]))
    return tuple(batch), tuple(features), which, epsilon, draw(st.integers(0, 2**31))


def assert_agrees_with_torch(torch, norm, theirs, configuration):
    batch, features, which, epsilon, seed = configuration
    x, *params = arrays(seed, (*batch, *features), *(features for _ in which))

    def ours(x, *params):
        parts = NormParams(**{"scale": None, "bias": None, **dict(zip(which, params, strict=True))})
        return norm(parts, x, axes=len(features), epsilon=epsilon)

    def peer(x, *params):
        return theirs(x, features, epsilon, **dict(zip(which, params, strict=True)))

    assert_agrees(torch, ours, peer, x, *params, differences_of=1.0)


@pytest.mark.slow
class TestAgainstTorch:
    @settings(max_examples=35, **DRAWN)
    @given(configurations())
    def test_layer_norm(self, configuration):
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")

        def theirs(x, features, epsilon, scale=None, bias=None):
            return torch.nn.functional.layer_norm(x, features, scale, bias, epsilon)

        assert_agrees_with_torch(torch, layer_norm, theirs, configuration)

    @settings(max_examples=20, **DRAWN)
    @given(configurations())
    def test_rms_norm(self, configuration):
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")

        def theirs(x, features, epsilon, scale=None, bias=None):
            y = torch.nn.functional.rms_norm(x, features, scale, epsilon)
            return y if bias is None else y + bias

        assert_agrees_with_torch(torch, rms_norm, theirs, configuration)


@NORMS
class TestBoth:
    @pytest.mark.slow
    def test_equals_flax(self, norm):
        nn = pytest.importorskip("flax", reason="Flax is a peer, not a dependency").linen
        x, scale, bias = draws(0, (3, 5), (5,), (5,))
        module = nn.LayerNorm() if norm is layer_norm else nn.RMSNorm()
        bias = bias if norm is layer_norm else None
        params = {"scale": scale} if bias is None else {"scale": scale, "bias": bias}
        theirs = module.apply({"params": params}, x)
        ours = norm(NormParams(scale, bias), x, epsilon=1e-6)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self, norm):
        x, w, scale, bias = draws(1, (3, 5), (3, 5), (5,), (5,))
        params = NormParams(jnp.asarray(scale), jnp.asarray(bias))

        def weighted(x, params, w, epsilon):
            return w * norm(params, x, epsilon=epsilon)

        assert_gradient(jax.jit(weighted), gradient_of(norm), x, params, w, 0.1)
        assert_gradient(
            jax.jit(lambda params: weighted(x, params, w, 0.1)),
            lambda _: NormParams((exact(norm, x, 0.1) * w).sum(0), w.sum(0)),
            params,
        )

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_derivative_by_epsilon(self, norm):
        """∂z/∂ε = −z/2σ²."""
        (x,) = draws(2, (3, 5))
        c = x - x.mean(-1, keepdims=True) if norm is layer_norm else x
        variance = (c * c).mean(-1, keepdims=True)
        assert_gradient(
            jax.jit(lambda ε: norm(NONE, x, epsilon=ε)[:, 0]),
            lambda ε: (-exact(norm, x, ε) / (2 * (variance + ε)))[:, 0].sum(),
            jnp.asarray(0.1),
        )

    def test_transforms(self, norm):
        x, scale, bias = draws(3, (3, 5), (5,), (5,))
        assert_transforms(norm, NormParams(scale, bias), x)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_law_scale_invariant(self, norm):
        """With ε = 0 a factor changes nothing, so that ⟨x, x̄⟩ = 0; nor does a shift, if centred."""
        (x, w) = draws(4, (3, 8), (3, 8))
        y, vjp = jax.vjp(lambda x: norm(NONE, x, epsilon=0.0), x)
        shift = 5.0 if norm is layer_norm else 0.0
        np.testing.assert_allclose(norm(NONE, 7.0 * x + shift, epsilon=0.0), y, rtol=1e-12)
        np.testing.assert_allclose((y * y).mean(-1), 1, rtol=1e-14)
        (x_bar,) = vjp(w)
        np.testing.assert_allclose((x * x_bar).sum(-1), 0, atol=1e-14)
        if norm is layer_norm:
            np.testing.assert_allclose(x_bar.sum(-1), 0, atol=1e-14)

    @pytest.mark.parametrize("size", [1e-20, 1.0, 1e19, 1e30, 1e33])
    def test_squares_do_not_leave_the_range(self, norm, size):
        """In float32, with a gradient that is right too: x̄(s x) = x̄(x)/s."""
        x, w = draws(5, (3, 64), (3, 64))
        y, vjp = jax.vjp(lambda x: norm(NONE, x, epsilon=0.0), size * x)
        np.testing.assert_allclose(y, exact(norm, size * x, 0), rtol=2e-6, atol=5e-7)
        expected = gradient_of(norm)(np.float64(x), NormParams(1.0, None), np.float64(w), 0)
        (x_bar,) = vjp(w)
        np.testing.assert_allclose(np.float64(x_bar) * size, expected, rtol=1e-5, atol=2e-6)

    @pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
    def test_half_precision_is_rounded_once(self, norm, dtype):
        x, scale, bias = (jnp.asarray(a, dtype) for a in draws(6, (4, 300), (300,), (300,)))
        y = norm(NormParams(scale, bias), x, epsilon=1e-5)
        assert y.dtype == dtype
        exactly = exact(norm, x, 1e-5) * np.float64(scale) + np.float64(bias)
        half_ulp = float(jnp.finfo(dtype).eps) / 2
        np.testing.assert_allclose(np.float64(y), exactly, rtol=1.01 * half_ulp, atol=1e-5)

    def test_dtype_is_that_of_x_and_parameters_together(self, norm):
        half = x.astype(jnp.bfloat16)
        assert norm(NONE, half).dtype == jnp.bfloat16
        assert norm(NormParams(jnp.ones(4), None), half).dtype == jnp.float32

    def test_empty_and_nan(self, norm):
        assert norm(NONE, jnp.ones((0, 3))).shape == (0, 3)
        assert norm(NONE, jnp.ones((2, 0))).shape == (2, 0)
        y = norm(NONE, jnp.arange(8.0).reshape(2, 4).at[1, 2].set(jnp.nan))
        np.testing.assert_array_equal(jnp.isnan(y).all(1), [False, True])
        assert not jnp.isnan(y[0]).any()
        assert jnp.isnan(norm(NONE, x, epsilon=jnp.float32(-1.0))).all()

    def test_axes_together(self, norm):
        x, scale = draws(7, (2, 3, 4), (3, 4))
        together = norm(NormParams(scale, None), x)
        flat = norm(NormParams(scale.ravel(), None), x.reshape(2, 12))
        np.testing.assert_allclose(together.reshape(2, 12), flat, rtol=1e-5, atol=1e-6)

    @pytest.mark.slow
    def test_second_derivatives_of_constant_rows_are_finite(self, norm):
        hessian = jax.hessian(lambda x: jnp.sum(jnp.arange(4.0) * norm(NONE, x)))
        for value in (0.0, 3.0, 1e10):
            assert jnp.isfinite(hessian(jnp.full(4, value))).all()


class TestLayerNorm:
    @pytest.mark.parametrize("offset", [0.0, 1e4, 3e6])
    @pytest.mark.parametrize("first", ["typical", "far away"])
    def test_offsets_cost_no_digits(self, offset, first):
        """Entries that are exact in float32: the error is that of their differences."""
        c = np.round(np.random.default_rng(0).normal(size=(4, 1000)) * 256) / 256
        x = np.float32(offset + np.round(c) if offset > 1e6 else offset + c)
        if first == "far away":
            x[:, 0] = 0
        y, vjp = jax.vjp(lambda x: layer_norm(NONE, x), jnp.asarray(x))
        expected = exact(layer_norm, x, 1e-5)
        np.testing.assert_allclose(y, expected, rtol=2e-6, atol=2e-6)
        w = np.float32(np.random.default_rng(1).normal(size=c.shape))
        x64 = np.float64(x)
        wanted = gradient_of(layer_norm)(x64, NormParams(1.0, None), np.float64(w), 1e-5)
        largest = np.abs(wanted).max()
        np.testing.assert_allclose(vjp(jnp.asarray(w))[0], wanted, atol=1e-5 * largest)

    @pytest.mark.slow
    @pytest.mark.parametrize("n", [1, 3, 1000])
    def test_constant_rows_are_exactly_zero(self, n):
        values = jnp.array([0.0, 1.0, 1 / 3, 1e4, 1e10, 1e30, -1e38])
        x = jnp.broadcast_to(values[:, None], (len(values), n))
        y, vjp = jax.vjp(lambda x: layer_norm(NONE, x), x)
        np.testing.assert_array_equal(y, 0)
        np.testing.assert_array_equal(vjp(jnp.ones_like(x))[0], 0)  # (1 − ⟨1⟩)/√ε

    def test_gradient_at_a_constant_row(self):
        """X̄ = (ȳ − ⟨ȳ⟩)/√ε."""
        w = jnp.array([1.0, 2.0, 6.0])
        x_bar = jax.grad(lambda x: jnp.sum(w * layer_norm(NONE, x, epsilon=0.25)))(jnp.ones(3))
        np.testing.assert_allclose(x_bar, (w - 3) / 0.5, rtol=1e-6)

    def test_not_defined_without_epsilon(self):
        assert jnp.isnan(layer_norm(NONE, jnp.ones(3), epsilon=0.0)).all()

    def test_infinite(self):
        y = layer_norm(NONE, jnp.array([[jnp.inf, 1.0], [1.0, -jnp.inf], [1.0, 2.0]]))
        np.testing.assert_array_equal(jnp.isnan(y).all(1), [True, True, False])


class TestRmsNorm:
    def test_infinite(self):
        np.testing.assert_array_equal(
            rms_norm(NONE, jnp.array([jnp.inf, 1.0])), jnp.array([jnp.nan, 0.0])
        )

    def test_zero(self):
        y, vjp = jax.vjp(lambda x: rms_norm(NONE, x, epsilon=0.25), jnp.zeros(3))
        np.testing.assert_array_equal(y, 0)
        np.testing.assert_array_equal(vjp(jnp.ones(3))[0], 2)


def test_inits():
    for init, bias in ((layer_norm_init, True), (rms_norm_init, False)):
        params = init((2, 3), dtype=jnp.bfloat16)
        assert params.scale.shape == (2, 3)
        assert params.scale.dtype == jnp.bfloat16
        assert (params.bias is not None) == bias
        assert init(3, use_scale=False, use_bias=False) == NONE
