"""fnmath.backprop: each hand-derived link, and the whole chain, against autodiff."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath import backprop
from fnmath.activations import gelu, relu, sigmoid, silu, tanh
from fnmath.layers import DenseParams, dense
from fnmath.losses import softmax_cross_entropy_with_integer_labels as cross_entropy
from fnmath.networks import mlp, mlp_init
from tests.helpers import Mistake, assert_transforms

KEY = jax.random.key(0)
LAYER = DenseParams(jnp.ones((3, 2)), jnp.zeros(2))
NETWORK = (LAYER, DenseParams(jnp.ones((2, 4)), jnp.zeros(4)))
x, z, labels = jnp.ones((5, 3)), jnp.ones((5, 4)), jnp.zeros(5, int)
FORWARD = backprop.one_hidden_layer_forward(NETWORK, x, labels)

MISTAKES = [
    Mistake(
        backprop.dense_backward, (LAYER, x, jnp.ones((6, 2))), {}, ValueError,
        "dense_backward: the number of examples must agree: x has 5 and cotangent has 6",
    ),
    Mistake(
        backprop.dense_backward, (LAYER, x, jnp.ones((5, 4))), {}, ValueError,
        "dense_backward: the number of outputs must agree: cotangent has 4 and kernel has 2",
    ),
    Mistake(
        backprop.dense_backward, (LAYER, jnp.ones((5, 2)), jnp.ones((5, 2))), {}, ValueError,
        "dense_backward: the number of input features must agree: x has 2 and kernel has 3",
    ),
    Mistake(
        backprop.dense_backward, (LAYER, x[0], jnp.ones(2)), {}, ValueError,
        "dense_backward: x has shape (3,); wanted exactly 2 axes, (n in); did you mean x[None]?",
    ),
    Mistake(
        backprop.dense_backward, (LAYER, x.astype(int), jnp.ones((5, 2))), {}, TypeError,
        "dense_backward: x has dtype int32; wanted a floating dtype; "
        "did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        backprop.dense_backward, (LAYER._replace(bias=None), x, jnp.ones((5, 2))), {}, TypeError,
        "dense_backward: bias is a NoneType; wanted an array",
    ),
    Mistake(
        backprop.activation_backward, (z, z.T), {"activation": relu}, ValueError,
        "activation_backward: preactivation (5, 4) and cotangent (4, 5) must have one shape; "
        "did you mean cotangent.T?",
    ),
    Mistake(
        backprop.activation_backward, (z, z), {"activation": "relu"}, TypeError,
        "activation_backward: activation is a str; wanted a function",
    ),
    Mistake(
        backprop.softmax_cross_entropy_backward, (z, labels[:4], jnp.ones(4)), {}, ValueError,
        "softmax_cross_entropy_backward: labels (4,) do not fit logits (5, 4); wanted (5,)",
    ),
    Mistake(
        backprop.softmax_cross_entropy_backward, (z, jnp.zeros(5), jnp.ones(5)), {}, TypeError,
        "softmax_cross_entropy_backward: labels has dtype float32; wanted an integer dtype; "
        "did you mean labels.astype(jnp.int32)?",
    ),
    Mistake(
        backprop.mean_backward, (jnp.zeros(0), jnp.float32(1)), {}, ValueError,
        "mean_backward: losses is empty; wanted at least one loss",
    ),
    Mistake(
        backprop.mean_backward, (labels, jnp.float32(1)), {}, TypeError,
        "mean_backward: losses has dtype int32; wanted a floating dtype; "
        "did you mean losses.astype(jnp.float32)?",
    ),
    Mistake(
        backprop.one_hidden_layer_forward, ((LAYER,), x, labels), {}, ValueError,
        "one_hidden_layer_forward: params has 1 layers; wanted 2, the hidden and the output",
    ),
    Mistake(
        backprop.one_hidden_layer_forward, ((LAYER, DenseParams(jnp.ones((2, 4)))), x, labels), {},
        TypeError,
        "one_hidden_layer_forward: params[1] has no bias; wanted DenseParams(kernel, bias)",
    ),
    Mistake(
        backprop.one_hidden_layer_forward, (NETWORK, x[:0], labels[:0]), {}, ValueError,
        "one_hidden_layer_forward: x has shape (0, 3); wanted at least one example",
    ),
    Mistake(
        backprop.one_hidden_layer_forward, (NETWORK, x, labels), {"activation": 1}, TypeError,
        "one_hidden_layer_forward: activation is a int; wanted a function",
    ),
    Mistake(
        backprop.one_hidden_layer_backward, ((LAYER,), x, labels, FORWARD), {}, ValueError,
        "one_hidden_layer_backward: params has 1 layers; wanted 2, the hidden and the output",
    ),
    Mistake(
        backprop.one_hidden_layer_backward, (NETWORK, x, labels, FORWARD), {"activation": 1},
        TypeError, "activation_backward: activation is a int; wanted a function",
    ),
    Mistake(
        backprop.dense_backward, (None, x, jnp.ones((5, 2))), {}, TypeError,
        "dense_backward: params is a NoneType; wanted DenseParams(kernel, bias)",
    ),
    Mistake(
        backprop.dense_backward, (LAYER._replace(bias=jnp.zeros(3)), x, jnp.ones((5, 2))), {},
        ValueError,
        "dense_backward: the number of output features must agree: kernel has 2 and bias has 3",
    ),
    Mistake(
        backprop.softmax_cross_entropy_backward, (z[:, :0], labels, jnp.ones(5)), {}, ValueError,
        "softmax_cross_entropy_backward: logits (5, 0) have no classes on axis -1",
    ),
    Mistake(
        backprop.mean_backward, (jnp.ones(2), jnp.ones(2)), {}, ValueError,
        "mean_backward: cotangent has shape (2,); wanted exactly 0 axes, ()",
    ),
    Mistake(
        backprop.one_hidden_layer_forward, (None, x, labels), {}, TypeError,
        "one_hidden_layer_forward: params is a NoneType; wanted two DenseParams",
    ),
    Mistake(
        backprop.one_hidden_layer_backward, (NETWORK, x, labels, None), {}, TypeError,
        "one_hidden_layer_backward: forward is a NoneType; wanted a ForwardPass",
    ),
]  # fmt: skip


def example(dtype=jnp.float64, sizes=(7, 6, 4), rows=5):
    keys = jax.random.split(KEY, 3)
    params = mlp_init(keys[0], sizes, dtype=dtype)
    x = jax.random.normal(keys[1], (rows, sizes[0]), dtype)
    return params, x, jax.random.randint(keys[2], (rows,), 0, sizes[-1])


@pytest.mark.usefixtures("x64")
class TestLinks:
    """Each backward function is the transposed derivative of the forward function beside it."""

    cotangent = staticmethod(
        lambda shape: jnp.sin(1 + jnp.arange(np.prod(shape, dtype=int))).reshape(shape)
    )

    def test_dense(self):
        (layer, _), x, _ = example()
        y, vjp = jax.vjp(dense, layer, x)
        y_bar = self.cotangent(y.shape)
        ours = backprop.dense_backward(layer, x, y_bar)
        chex.assert_trees_all_close(ours, vjp(y_bar), rtol=1e-13)

    def test_dense_is_a_sum_of_outer_products(self):
        (layer, _), x, _ = example()
        y_bar = self.cotangent((5, 6))
        bars, _ = backprop.dense_backward(layer, x, y_bar)
        outer = sum(jnp.outer(row, bar) for row, bar in zip(x, y_bar, strict=True))
        np.testing.assert_allclose(bars.kernel, outer, rtol=1e-12)

    def test_dense_elementwise_form_fails(self):
        """With as many inputs as units z̄ ⊙ x exists; it is the diagonal of the gradient at most."""
        (layer, _), x, _ = example(sizes=(6, 6, 4), rows=1)
        y_bar = self.cotangent((1, 6))
        bars, _ = backprop.dense_backward(layer, x, y_bar)
        elementwise = (y_bar * x)[0]
        assert elementwise.shape != bars.kernel.shape
        np.testing.assert_allclose(elementwise, jnp.diag(bars.kernel), rtol=1e-13)
        assert not np.allclose(jnp.broadcast_to(elementwise, (6, 6)), bars.kernel)

    @pytest.mark.parametrize("activation", [relu, tanh, sigmoid, silu, gelu])
    def test_activation(self, activation):
        z = jax.random.normal(KEY, (5, 4))
        h, vjp = jax.vjp(activation, z)
        h_bar = self.cotangent(h.shape)
        ours = backprop.activation_backward(z, h_bar, activation=activation)
        np.testing.assert_allclose(ours, vjp(h_bar)[0], rtol=1e-13)

    def test_softmax_cross_entropy(self):
        logits, labels = 3 * jax.random.normal(KEY, (5, 4)), jnp.array([0, 3, 1, 1, 2])
        losses, vjp = jax.vjp(lambda z: cross_entropy(z, labels), logits)
        bar = self.cotangent(losses.shape)
        ours = backprop.softmax_cross_entropy_backward(logits, labels, bar)
        np.testing.assert_allclose(ours, vjp(bar)[0], rtol=1e-12)
        np.testing.assert_allclose(ours.sum(axis=1), 0, atol=1e-15)  # a shift changes nothing

    def test_mean(self):
        losses = jnp.arange(5.0)
        _, vjp = jax.vjp(jnp.mean, losses)
        ours = backprop.mean_backward(losses, jnp.array(3.0))
        np.testing.assert_allclose(ours, vjp(jnp.array(3.0))[0], rtol=1e-15)


def test_cross_entropy_keeps_its_digits_when_nearly_certain():
    """softmax(z)_y − 1 is 0 in float32 here; the truth is −2/(e¹⁷ + 2) = −8.3e-8."""
    z = jnp.array([[17.0, 0.0, 0.0]])
    z_bar = backprop.softmax_cross_entropy_backward(z, jnp.array([0]), jnp.ones(1))
    np.testing.assert_allclose(z_bar[0, 0], -2 / (np.exp(17.0) + 2), rtol=1e-6)


def test_unknown_label_gives_nan_in_its_row_alone():
    z_bar = backprop.softmax_cross_entropy_backward(
        jnp.zeros((3, 4)), jnp.array([-1, 0, 4]), jnp.ones(3)
    )
    np.testing.assert_array_equal(jnp.isnan(z_bar).all(axis=1), [True, False, True])
    np.testing.assert_array_equal(jnp.isnan(z_bar).any(axis=1), [True, False, True])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("activation", [relu, tanh, sigmoid, silu, gelu])
def test_whole_chain_equals_jax_grad(activation):
    params, x, labels = example()

    def loss(params):
        return cross_entropy(mlp(params, x, activation=activation), labels).mean()

    forward = backprop.one_hidden_layer_forward(params, x, labels, activation=activation)
    bars = backprop.one_hidden_layer_backward(params, x, labels, forward, activation=activation)
    value, gradient = jax.value_and_grad(loss)(params)
    np.testing.assert_allclose(forward.loss, value, rtol=1e-14)
    chex.assert_trees_all_close(bars.params, gradient, rtol=1e-11, atol=1e-15)


@pytest.mark.usefixtures("x64")
def test_intermediate_cotangents_equal_jax_grad():
    """∂L/∂v by autodiff: add a perturbation to v, differentiate with respect to it at 0."""
    (first, second), x, labels = example()

    def loss(dz1, dh, dz2):
        hidden = tanh(dense(first, x) + dz1) + dh
        return cross_entropy(dense(second, hidden) + dz2, labels).mean()

    forward = backprop.one_hidden_layer_forward((first, second), x, labels, activation=tanh)
    bars = backprop.one_hidden_layer_backward((first, second), x, labels, forward, activation=tanh)
    zeros = [
        jnp.zeros_like(v) for v in (forward.hidden_preactivation, forward.hidden, forward.logits)
    ]
    expected = jax.grad(loss, argnums=(0, 1, 2))(*zeros)
    ours = (bars.hidden_preactivation, bars.hidden, bars.logits)
    chex.assert_trees_all_close(ours, expected, rtol=1e-11, atol=1e-15)


@pytest.mark.slow
def test_transforms():
    params, x, labels = example(jnp.float32)

    def both(params, x, labels):
        forward = backprop.one_hidden_layer_forward(params, x, labels)
        return forward, backprop.one_hidden_layer_backward(params, x, labels, forward)

    assert_transforms(both, params, x, labels, rtol=1e-5)


@pytest.mark.slow
def test_dtype_is_kept():
    params, x, labels = example(jnp.bfloat16)
    forward = backprop.one_hidden_layer_forward(params, x, labels)
    bars = backprop.one_hidden_layer_backward(params, x, labels, forward)
    assert {a.dtype for a in jax.tree.leaves((forward, bars))} == {jnp.dtype(jnp.bfloat16)}
