"""The backward pass of a network with one hidden layer, derived by hand, link by link.

The forward pass is a chain; the cotangent of a value v is v̄ = ∂L/∂v, of v's own shape. Each link
takes the cotangent of its output to those of its inputs, so the backward pass is the same chain,
read from its end:

    forward                     backward                              the link
    Z₁ = X W₁ + b₁              W̄₁ = Xᵀ Z̄₁,  b̄₁ = Σₙ z̄₁              dense_backward
    H  = φ(Z₁)                  Z̄₁ = φ′(Z₁) ⊙ H̄                      activation_backward
    Z₂ = H W₂ + b₂              W̄₂ = Hᵀ Z̄₂,  b̄₂ = Σₙ z̄₂,  H̄ = Z̄₂ W₂ᵀ dense_backward
    ℓ  = −log softmax(Z₂)_y     Z̄₂ = (softmax(Z₂) − onehot(y)) ℓ̄     softmax_cross_entropy_backward
    L  = mean ℓ                 ℓ̄  = 1/n                             mean_backward

Rows are examples: X is (n, in), H (n, hidden), Z₂ (n, classes).

Why the elementwise form fails
------------------------------
Texts often write the weight gradient as a product of numbers, ∂L/∂w = ∂L/∂a · ∂a/∂z · x. That is
right for one weight, one unit and one example, where all three are numbers. For a layer, z̄ = ∂L/∂z
has one entry per unit, x one per input, and W one per pair of them. An elementwise product z̄ ⊙ x
does not exist when the two lengths differ, and is wrong when they happen to agree: it gives a
vector where a matrix is wanted. The weight Wᵢⱼ joins input i to unit j, and zⱼ = Σᵢ xᵢ Wᵢⱼ, so
∂L/∂Wᵢⱼ = xᵢ z̄ⱼ: the outer product xᵀ z̄. All examples share W, so their outer products are added,
W̄ = Σₙ xₙᵀ z̄ₙ = Xᵀ Z̄. The bias is a weight whose input is the constant 1: b̄ = Σₙ z̄ₙ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from fnmath import _checks
from fnmath.activations import relu, softmax
from fnmath.calculus import derivative
from fnmath.layers import DenseParams, dense
from fnmath.losses import softmax_cross_entropy_with_integer_labels

Activation = Callable[[jax.Array], jax.Array]


class ForwardPass(NamedTuple):
    """Every intermediate value of one forward pass over n examples."""

    hidden_preactivation: Float[Array, "n hidden"]
    hidden: Float[Array, "n hidden"]
    logits: Float[Array, "n classes"]
    losses: Float[Array, " n"]
    loss: Float[Array, ""]


class Cotangents(NamedTuple):
    """∂L/∂v for every value v of the forward pass, in the order the backward pass finds them."""

    losses: Float[Array, " n"]
    logits: Float[Array, "n classes"]
    hidden: Float[Array, "n hidden"]
    hidden_preactivation: Float[Array, "n hidden"]
    params: tuple[DenseParams, DenseParams]


def dense_backward(
    params: DenseParams, x: Float[Array, "n in"], cotangent: Float[Array, "n out"]
) -> tuple[DenseParams, Float[Array, "n in"]]:
    """Cotangents of a dense layer's parameters and input, from that of its output.

        Y = X W + b:    W̄ = Xᵀ Ȳ = Σₙ xₙᵀ ȳₙ,    b̄ = Σₙ ȳₙ,    X̄ = Ȳ Wᵀ

    W̄ is an outer product per example, summed over the batch: Wᵢⱼ meets xᵢ and ȳⱼ and nothing else.

    Args:
        params: The kernel W (in, out) and the bias b (out,).
        x: The input X that the layer was given.
        cotangent: The cotangent Ȳ of its output.

    Returns:
        The cotangents of the parameters, in their own shape, and of the input.

    Raises:
        TypeError: If params is not a pair, the bias is None, or an array does not hold
            floating-point numbers.
        ValueError: If X, Ȳ or b does not fit the kernel, or X and Ȳ differ in the number of rows.

    Example:
        >>> params = DenseParams(jnp.array([[1.0], [2.0]]), jnp.zeros(1))
        >>> bars, x_bar = dense_backward(params, jnp.array([[3.0, 4.0]]), jnp.array([[10.0]]))
        >>> print(bars.kernel.T, bars.bias, x_bar)
        [[30. 40.]] [10.] [[10. 20.]]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §6.5.4.
    """
    _checks.dense_params("dense_backward", params, x)
    kernel, bias = params
    _checks.floating("dense_backward", bias=bias)
    _checks.floating("dense_backward", cotangent=cotangent)
    _checks.rank("dense_backward", "x", x, "n in", exact=True)
    _checks.rank("dense_backward", "cotangent", cotangent, "n out", exact=True)
    rows, (cotangent_rows, fan_out) = x.shape[0], cotangent.shape
    _checks.same_size("dense_backward", "examples", x=rows, cotangent=cotangent_rows)
    _checks.same_size("dense_backward", "outputs", cotangent=fan_out, kernel=kernel.shape[1])
    return DenseParams(x.T @ cotangent, cotangent.sum(axis=0)), cotangent @ kernel.T


def activation_backward(
    preactivation: Float[Array, "*shape"],
    cotangent: Float[Array, "*shape"],
    *,
    activation: Activation,
) -> Float[Array, "*shape"]:
    """Cotangent of an elementwise activation's input, from that of its output.

        h = φ(z):    z̄ = φ′(z) ⊙ h̄

    Here the elementwise product is right: hᵢ depends on zᵢ alone, so the Jacobian is diagonal.

    Args:
        preactivation: The input z that φ was given.
        cotangent: The cotangent h̄ of its output.
        activation: The elementwise function φ.

    Returns:
        The cotangent z̄.

    Raises:
        TypeError: If the activation is not a function, or an array not of floating point.
        ValueError: If the two shapes differ.

    Example:
        >>> z, h_bar = jnp.array([-1.0, 2.0]), jnp.array([5.0, 5.0])
        >>> print(activation_backward(z, h_bar, activation=relu))
        [0. 5.]

    Source:
        Nielsen, Neural Networks and Deep Learning (2015), chapter 2,
        equations BP1 and BP2.
    """
    _checks.function("activation_backward", "activation", activation)
    _checks.floating("activation_backward", preactivation=preactivation, cotangent=cotangent)
    _checks.same_shape("activation_backward", preactivation=preactivation, cotangent=cotangent)
    return derivative(activation)(preactivation) * cotangent


def softmax_cross_entropy_backward(
    logits: Float[Array, "*batch classes"],
    labels: Int[Array, "*batch"],
    cotangent: Float[Array, "*batch"],
) -> Float[Array, "*batch classes"]:
    """Cotangent of the logits, from that of the softmax cross-entropy.

        ℓ = −log softmax(z)_y:    z̄ₖ = (softmax(z)ₖ − [k = y]) ℓ̄

    In words: probability given, minus probability deserved. At k = y the difference is computed as
    −Σ_{j≠y} softmax(z)ⱼ, which keeps its digits where the network is nearly certain.

    Args:
        logits: The scores z.
        labels: The right class y of each row, in [0, classes); any other gives a row of nan.
        cotangent: The cotangent ℓ̄ of each loss.

    Returns:
        The cotangent z̄.

    Raises:
        TypeError: If the logits are not of floating point, or the labels not integers.
        ValueError: If the shapes do not fit, or there are no classes.

    Example:
        >>> z_bar = softmax_cross_entropy_backward(jnp.zeros((1, 4)), jnp.array([2]), jnp.ones(1))
        >>> print(z_bar)
        [[ 0.25  0.25 -0.75  0.25]]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §6.2.2.3.
    """
    name = "softmax_cross_entropy_backward"
    _checks.floating(name, logits=logits, cotangent=cotangent)
    _checks.rank(name, "logits", logits, "classes")
    classes = _checks.classes(name, logits)
    _checks.class_labels(name, logits, labels)
    _checks.same_shape(name, labels=labels, cotangent=cotangent)
    right = jnp.arange(classes) == jnp.asarray(labels)[..., None]
    p = softmax(logits)
    others = jnp.where(right, 0, p).sum(axis=-1, keepdims=True)
    known = _checks.labels_known(name, labels, classes)
    difference = jnp.where(known[..., None], jnp.where(right, -others, p), jnp.nan)
    return difference * cotangent[..., None]


def mean_backward(losses: Float[Array, " n"], cotangent: Float[Array, ""]) -> Float[Array, " n"]:
    """Cotangents of the terms of a mean, from that of the mean.

        L = (1/n) Σₙ ℓₙ:    ℓ̄ₙ = L̄ / n

    Args:
        losses: The n terms.
        cotangent: The cotangent L̄ of the mean: 1 where the backward pass begins.

    Returns:
        The same cotangent for each term.

    Raises:
        TypeError: If the terms or the cotangent are not of floating point.
        ValueError: If there is no term (the mean of nothing is not defined), or the cotangent is
            not one number.

    Example:
        >>> print(mean_backward(jnp.array([3.0, 5.0]), jnp.array(1.0)))
        [0.5 0.5]

    Source:
        Nielsen, Neural Networks and Deep Learning (2015), chapter 2, the cost as an average.
    """
    _checks.floating("mean_backward", losses=losses, cotangent=cotangent)
    _checks.rank("mean_backward", "losses", losses, "n", exact=True)
    _checks.rank("mean_backward", "cotangent", cotangent, "", exact=True)
    if losses.size == 0:
        _checks.fail("mean_backward", "losses is empty; wanted at least one loss")
    return jnp.full_like(losses, cotangent / losses.size)


def _check_layers(name: str, params: Sequence[DenseParams]) -> None:
    if isinstance(params, DenseParams) or not isinstance(params, tuple | list):
        problem = f"params is a {type(params).__name__}; wanted two DenseParams"
        _checks.fail(name, problem, error=TypeError)
    if len(params) != 2:
        _checks.fail(name, f"params has {len(params)} layers; wanted 2, the hidden and the output")
    for i, layer in enumerate(params):
        if isinstance(layer, DenseParams) and layer.bias is None:
            problem = f"params[{i}] has no bias; wanted DenseParams(kernel, bias)"
            _checks.fail(name, problem, error=TypeError)


def one_hidden_layer_forward(
    params: Sequence[DenseParams],
    x: Float[Array, "n features"],
    labels: Int[Array, " n"],
    *,
    activation: Activation = relu,
) -> ForwardPass:
    """Forward pass of a classifier with one hidden layer, every intermediate kept.

        Z₁ = X W₁ + b₁,    H = φ(Z₁),    Z₂ = H W₂ + b₂,    ℓ = −log softmax(Z₂)_y,    L = mean ℓ

    Args:
        params: The two layers (W₁, b₁) and (W₂, b₂), as ``mlp_init`` makes them.
        x: The inputs X, one example per row.
        labels: The right class y of each example.
        activation: The elementwise function φ.

    Returns:
        Z₁, H, Z₂, ℓ and L; its logits are those of ``fnmath.networks.mlp``.

    Raises:
        TypeError: If params is no pair of layers, an argument has the wrong dtype, or the
            activation is not a function.
        ValueError: If there are not two layers, the batch is empty, or the shapes do not fit.

    Example:
        >>> layers = (DenseParams(jnp.eye(2), jnp.zeros(2)), DenseParams(jnp.eye(2), jnp.zeros(2)))
        >>> forward = one_hidden_layer_forward(layers, jnp.array([[1.0, -1.0]]), jnp.array([0]))
        >>> print(forward.hidden, f"{forward.loss:.4f}")  # log(1 + e⁻¹)
        [[1. 0.]] 0.3133

    Source:
        Rumelhart, Hinton and Williams, Learning representations by back-propagating errors (1986).
    """
    name = "one_hidden_layer_forward"
    _checks.function(name, "activation", activation)
    _check_layers(name, params)
    _checks.rank(name, "x", x, "n features", exact=True)
    if x.shape[0] == 0:
        _checks.fail(name, f"x has shape {x.shape}; wanted at least one example")
    hidden_preactivation = dense(params[0], x)
    hidden = activation(hidden_preactivation)
    logits = dense(params[1], hidden)
    losses = softmax_cross_entropy_with_integer_labels(logits, labels)
    return ForwardPass(hidden_preactivation, hidden, logits, losses, losses.mean())


def one_hidden_layer_backward(
    params: Sequence[DenseParams],
    x: Float[Array, "n features"],
    labels: Int[Array, " n"],
    forward: ForwardPass,
    *,
    activation: Activation = relu,
) -> Cotangents:
    """Backward pass of a classifier with one hidden layer, every cotangent kept.

        L̄ = 1  →  ℓ̄ = 1/n  →  Z̄₂ = (softmax(Z₂) − onehot(y)) ℓ̄  →  W̄₂ = Hᵀ Z̄₂,  b̄₂ = Σ Z̄₂
               →  H̄ = Z̄₂ W₂ᵀ  →  Z̄₁ = φ′(Z₁) ⊙ H̄  →  W̄₁ = Xᵀ Z̄₁,  b̄₁ = Σ Z̄₁

    Its ``params`` equal ``jax.grad`` of the loss; it costs about two forward passes.

    Args:
        params: The two layers.
        x: The inputs X, one example per row.
        labels: The right class y of each example.
        forward: What ``one_hidden_layer_forward`` returned for these.
        activation: The same function φ.

    Returns:
        The cotangent of every intermediate, and of the parameters in their own structure.

    Raises:
        TypeError: If params is no pair of layers, ``forward`` no ``ForwardPass``, or the activation
            not a function.
        ValueError: If there are not two layers, or the shapes do not fit.

    Example:
        >>> layers = (DenseParams(jnp.eye(2), jnp.zeros(2)), DenseParams(jnp.eye(2), jnp.zeros(2)))
        >>> x, y = jnp.array([[1.0, -1.0]]), jnp.array([0])
        >>> bars = one_hidden_layer_backward(layers, x, y, one_hidden_layer_forward(layers, x, y))
        >>> print(bars.logits.round(4))  # softmax([1, 0]) − [1, 0]
        [[-0.2689  0.2689]]

    Source:
        Rumelhart, Hinton and Williams, Learning representations by back-propagating errors (1986).
    """
    _check_layers("one_hidden_layer_backward", params)
    _checks.instance("one_hidden_layer_backward", "forward", forward, ForwardPass)
    hidden_layer, output_layer = params
    _checks.floating("one_hidden_layer_backward", **{"forward.losses": forward.losses})
    loss_bar = jnp.ones((), jnp.result_type(forward.losses))
    losses_bar = mean_backward(forward.losses, loss_bar)
    logits_bar = softmax_cross_entropy_backward(forward.logits, labels, losses_bar)
    output_bar, hidden_bar = dense_backward(output_layer, forward.hidden, logits_bar)
    preactivation_bar = activation_backward(
        forward.hidden_preactivation, hidden_bar, activation=activation
    )
    hidden_layer_bar, _ = dense_backward(hidden_layer, x, preactivation_bar)
    bars = (hidden_layer_bar, output_bar)
    return Cotangents(losses_bar, logits_bar, hidden_bar, preactivation_bar, bars)
