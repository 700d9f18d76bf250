"""fnmath.networks.language_model: tokens through LSTMs over each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.networks import lstm_language_model, lstm_language_model_init
from tests.helpers import Mistake
from tests.networks import torch_forms
from tests.networks.torch_forms import assert_equals_torch, random_params

KEY = jax.random.key(0)


def init(key, dtype=jnp.float32, **options):
    return lstm_language_model_init(key, 11, 6, **options, dtype=dtype)


PARAMS = random_params(init)
ids = jnp.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])

MISTAKES = [
    Mistake(
        lstm_language_model_init, (KEY, 11, 6), {"depth": 2.0}, TypeError,
        "lstm_language_model_init: depth is 2.0 (float); wanted an integer",
    ),
    Mistake(
        lstm_language_model_init, (KEY, 11, 6), {"hidden": 7, "tied": True}, ValueError,
        "lstm_language_model_init: tied is True with 6 features and 7 hidden units; "
        "wanted as many of each",
    ),
    Mistake(
        lstm_language_model, (PARAMS.layers, ids), {}, TypeError,
        "lstm_language_model: params is a tuple; wanted LSTMLanguageModelParams("
        "token_embedding, layers, head)",
    ),
    Mistake(
        lstm_language_model, (PARAMS, jnp.array(1)), {}, ValueError,
        "lstm_language_model: ids has shape (); wanted at least 1 axis, (*batch time); "
        "did you mean ids[None]?",
    ),
    Mistake(
        lstm_language_model, (PARAMS, ids), {"dropout_rate": -0.1}, ValueError,
        "lstm_language_model: dropout_rate is -0.1; wanted a number in [0, 1)",
    ),
]  # fmt: skip


@pytest.mark.usefixtures("x64")
class TestLstmLanguageModel:
    @pytest.mark.parametrize("tied", [True, False])
    def test_equals_torch(self, tied):
        """``torch.nn.LSTM``'s own function, gates in its order, one bias put beside zeros."""
        params = random_params(
            lambda key: init(key, jnp.float64, tied=tied, hidden=6 if tied else 7)
        )

        def theirs(params):
            import torch

            hidden = params.layers[0].recurrent_kernel.shape[0]
            weights = []
            for layer in params.layers:
                weights += [layer.kernel.T, layer.recurrent_kernel.T]
                weights += [layer.bias, torch.zeros_like(layer.bias)]
            start = torch.zeros(2, 2, hidden, dtype=torch.float64)
            x = params.token_embedding.embedding[torch.tensor(np.asarray(ids))]
            h, _, _ = torch.lstm(x, (start, start), weights, True, 2, 0.0, False, False, True)
            if params.head is None:
                return h @ params.token_embedding.embedding.T
            return torch_forms.linear(params.head, h)

        assert_equals_torch(lambda p: lstm_language_model(p, ids)[0], theirs, params)

    def test_law_a_text_in_pieces(self):
        params = random_params(lambda key: init(key, jnp.float64))
        whole, end = lstm_language_model(params, ids)
        first, state = lstm_language_model(params, ids[:, :2])
        second, last = lstm_language_model(params, ids[:, 2:], initial_state=state)
        np.testing.assert_allclose(jnp.concatenate([first, second], 1), whole, rtol=1e-12)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), last, end)

    def test_law_causal(self):
        params = random_params(lambda key: init(key, jnp.float64))
        f = jax.jit(lambda ids: lstm_language_model(params, ids)[0])
        z, beyond = f(ids), f(ids.at[:, 3].set(-1))
        np.testing.assert_array_equal(beyond[:, :3], z[:, :3])
        assert jnp.isnan(beyond[:, 3:]).all()

    def test_lengths(self):
        params = random_params(lambda key: init(key, jnp.float64))
        z, state = lstm_language_model(params, ids, lengths=jnp.array([5, 2]))
        short, end = lstm_language_model(params, ids[1, :2])
        np.testing.assert_allclose(z[1, :2], short, rtol=1e-12)
        np.testing.assert_allclose(state[1].cell[1], end[1].cell, rtol=1e-12)
        np.testing.assert_allclose(z[1, 2:], jnp.stack([params.head.bias] * 3), rtol=1e-12)


class TestNoise:
    def test_no_key_is_no_noise(self):
        z, _ = lstm_language_model(PARAMS, ids, dropout_rate=0.5)
        np.testing.assert_array_equal(z, lstm_language_model(PARAMS, ids)[0])

    def test_key_decides(self):
        f = jax.jit(
            lambda key: lstm_language_model(PARAMS, ids, dropout_key=key, dropout_rate=0.5)[0]
        )
        np.testing.assert_array_equal(f(KEY), f(KEY))
        assert (f(KEY) != f(jax.random.key(1))).mean() > 0.5


def test_init():
    params = lstm_language_model_init(KEY, 11, 6, hidden=7, depth=3, dtype=jnp.bfloat16)
    assert [layer.kernel.shape for layer in params.layers] == [(6, 28), (7, 28), (7, 28)]
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.bfloat16)}
    assert lstm_language_model_init(KEY, 11, 6, tied=True).head is None


def test_vmap_over_parameters():
    both = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), PARAMS)
    many = jax.jit(jax.vmap(lambda p: lstm_language_model(p, ids)[0]))(both)
    np.testing.assert_allclose(many[0], lstm_language_model(PARAMS, ids)[0], rtol=1e-5, atol=1e-6)


def test_edges():
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), PARAMS)
    z, _ = lstm_language_model(half, ids[:0])
    assert z.shape == (0, 5, 11)
    assert z.dtype == jnp.bfloat16
    assert lstm_language_model(PARAMS, ids[:, :0])[0].shape == (2, 0, 11)
