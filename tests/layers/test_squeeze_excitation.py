"""fnmath.layers.squeeze_excitation: channels gated by all of them together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnmath.activations import hard_sigmoid, relu, silu
from fnmath.initializers import he_normal, ones
from fnmath.layers import (
    DenseParams,
    SqueezeExcitationParams,
    squeeze_excitation,
    squeeze_excitation_init,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms
from tests.layers.agreement import arrays, assert_agrees, draws

KEY = jax.random.key(0)
PARAMS = squeeze_excitation_init(KEY, 4, 2)
x = jnp.ones((2, 3, 3, 4))

MISTAKES = [
    Mistake(
        squeeze_excitation, (PARAMS.reduce.kernel, x), {}, TypeError,
        "squeeze_excitation: params is an array; wanted SqueezeExcitationParams(reduce, expand)",
    ),
    Mistake(
        squeeze_excitation, (SqueezeExcitationParams(None, None), x), {}, TypeError,
        "squeeze_excitation: params is a NoneType; wanted DenseParams(kernel, bias)",
    ),
    Mistake(
        squeeze_excitation, (PARAMS, x), {"activation": "relu"}, TypeError,
        "squeeze_excitation: activation is a str; wanted a function",
    ),
    Mistake(
        squeeze_excitation, (PARAMS, x), {"gate": jnp.sum}, ValueError,
        "squeeze_excitation: gate gave the shape (); wanted (2, 4)",
    ),
    Mistake(
        squeeze_excitation, (PARAMS, x), {"activation": lambda h: None}, TypeError,
        "squeeze_excitation: what activation gave is a NoneType; wanted an array",
    ),
    Mistake(
        squeeze_excitation, (PARAMS, x), {"spatial": 0}, ValueError,
        "squeeze_excitation: spatial is 0; wanted an integer of at least 1",
    ),
    Mistake(
        squeeze_excitation, (PARAMS, x[0, 0]), {}, ValueError,
        "squeeze_excitation: x has shape (3, 4); wanted at least 3 axes, "
        "(*batch height width channels); did you mean x[None]?",
    ),
    Mistake(
        squeeze_excitation, (PARAMS, x[..., :3]), {}, ValueError,
        "squeeze_excitation: the number of input features must agree: x has 3 and kernel has 4",
    ),
    Mistake(
        squeeze_excitation,
        (PARAMS._replace(expand=DenseParams(jnp.ones((2, 3)), None)), x), {}, ValueError,
        "squeeze_excitation: the number of channels must agree: x has 4 and gates has 3",
    ),
    Mistake(
        squeeze_excitation_init, (0, 4, 2), {}, TypeError,
        "squeeze_excitation_init: key is a int; wanted a random key; "
        "did you mean jax.random.key(0)?",
    ),
    Mistake(
        squeeze_excitation_init, (KEY, 4, 0), {}, ValueError,
        "squeeze_excitation_init: hidden is 0; wanted an integer of at least 1",
    ),
]  # fmt: skip


@st.composite
def configurations(draw):
    """Batch, spatial axes, channels, hidden features, whether there are biases, and the draws."""
    batch = draw(st.lists(st.integers(1, 2), max_size=2))
    spatial = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    sizes = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    return tuple(batch), tuple(spatial), *sizes, draw(st.booleans()), draw(st.integers(0, 2**31))


@pytest.mark.slow
@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(configurations())
def test_equals_torch_by_hand(configuration):
    torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
    batch, spatial, channels, hidden, biased, seed = configuration
    kernels, biases = ((channels, hidden), (hidden, channels)), ((hidden,), (channels,))
    args = arrays(seed, (*batch, *spatial, channels), *kernels, *(biases if biased else ()))

    def ours(x, W, V, b=None, c=None):
        params = SqueezeExcitationParams(DenseParams(W, b), DenseParams(V, c))
        return squeeze_excitation(params, x, spatial=len(spatial))

    def theirs(x, W, V, b=None, c=None):
        axes = tuple(range(len(batch), len(batch) + len(spatial)))
        s = x.mean(axes, keepdim=True)
        h = torch.relu(torch.nn.functional.linear(s, W.T, b))
        return x * torch.sigmoid(torch.nn.functional.linear(h, V.T, c))

    assert_agrees(torch, ours, theirs, *args)


class TestSqueezeExcitation:
    def test_law_open_and_shut_gates(self):
        y = squeeze_excitation(PARAMS, x, gate=jnp.ones_like)
        np.testing.assert_array_equal(y, x)
        np.testing.assert_array_equal(squeeze_excitation(PARAMS, x, gate=jnp.zeros_like), 0)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        x, w, W, V, b, c = draws(0, (3, 4), (3, 4), (4, 2), (2, 4), (2,), (4,))
        params = SqueezeExcitationParams(DenseParams(W, b), DenseParams(V, c))

        def gradient(x):
            s = x.mean(0)
            e = jnp.exp(-(s @ W + b))
            h = (s @ W + b) / (1 + e)
            slope = 1 / (1 + e) + h * e / (1 + e)
            a = jax.nn.sigmoid(h @ V + c)
            a_bar = (x * w).sum(0) * a * (1 - a)
            return a * w + ((a_bar @ V.T) * slope) @ W.T / 3

        def weighted(x):
            return w * squeeze_excitation(params, x, activation=silu, spatial=1)

        assert_gradient(jax.jit(weighted), gradient, x)

    def test_transforms(self):
        assert_transforms(lambda p, x: squeeze_excitation(p, x, gate=hard_sigmoid), PARAMS, x)

    @pytest.mark.slow
    def test_edges(self):
        assert squeeze_excitation(PARAMS, x[:0]).shape == (0, 3, 3, 4)
        y, vjp = jax.vjp(squeeze_excitation, PARAMS, x[:, :0])
        assert y.shape == (2, 0, 3, 4)
        assert all((bar == 0).all() for bar in jax.tree.leaves(vjp(y)))
        half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (PARAMS, x))
        assert squeeze_excitation(*half).dtype == jnp.bfloat16
        y = squeeze_excitation(PARAMS, x.at[0, 0, 0, 0].set(jnp.nan), activation=relu)
        assert jnp.isnan(y[0]).all()
        assert not jnp.isnan(y[1]).any()

    def test_half_precision_means_do_not_stall(self):
        """256 + 1 is 256 in bfloat16: a sum of ones has to be carried in float32."""
        seen = []
        ones_ = jnp.ones((64, 64, 4), jnp.bfloat16)
        half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), PARAMS)
        identity = half._replace(reduce=DenseParams(jnp.eye(4, 2, dtype=jnp.bfloat16), None))
        squeeze_excitation(identity, ones_, activation=lambda h: seen.append(h) or h)
        np.testing.assert_array_equal(seen[0], 1)


class TestInit:
    def test_parts(self):
        keys = jax.random.split(KEY)
        assert PARAMS.reduce.kernel.shape == (4, 2)
        assert PARAMS.expand.bias.shape == (4,)
        assert (squeeze_excitation_init(keys[0], 4, 2).reduce.kernel != PARAMS.reduce.kernel).all()

    def test_options(self):
        options = {"kernel_init": he_normal(), "bias_init": ones, "dtype": jnp.float16}
        params = squeeze_excitation_init(KEY, 4, 2, **options)
        assert all(a.dtype == jnp.float16 for a in jax.tree.leaves(params))
        assert (params.expand.bias == 1).all()
        assert squeeze_excitation_init(KEY, 4, 2, use_bias=False).reduce.bias is None

    def test_vmap_over_keys(self):
        many = jax.vmap(lambda key: squeeze_excitation_init(key, 4, 2))(jax.random.split(KEY, 3))
        assert many.expand.kernel.shape == (3, 2, 4)
