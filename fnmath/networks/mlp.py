"""The multilayer perceptron.

Notation: a network of L layers maps h₀ = x through hₗ = φ(hₗ₋₁ Wₗ + bₗ) to its outputs, the logits;
φ is the activation. Parameters are a tuple with one entry per layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.activations import relu
from fnmath.initializers import he_normal, lecun_normal, zeros
from fnmath.layers import DenseParams, dense, dense_init

Initializer = Callable[..., jax.Array]


def mlp_init(
    key: PRNGKeyArray,
    sizes: Sequence[int],
    *,
    kernel_init: Initializer | None = None,
    bias_init: Initializer = zeros,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> tuple[DenseParams, ...]:
    """Random parameters of a multilayer perceptron.

        Wₗ ~ 𝒩(0, 2/nₗ₋₁)  for the hidden layers,    W_L ~ 𝒩(0, 1/n_L₋₁)  for the last,

    both truncated at two standard deviations, and all biases 0, unless others are given.

    A relu passes on half of the second moment of what it is given, so He's variance is twice
    LeCun's; the last layer feeds no relu.

    Args:
        key: The random key.
        sizes: n₀, n₁, …, n_L: the features of the input, of each hidden layer and of the output.
        kernel_init: Draws every kernel, as ``kernel_init(key, (in, out), dtype)``, instead.
        bias_init: Draws every bias, as ``bias_init(key, (out,), dtype)``.
        dtype: The dtype of the parameters.

    Returns:
        One ``DenseParams`` per layer.

    Raises:
        TypeError: If the key is not a random key, a size not an integer, an initialiser not a
            function or what it draws not an array, or the dtype not a floating one.
        ValueError: If there are fewer than two sizes, a size is below 1, or an initialiser draws
            another shape than asked for.

    Example:
        >>> params = mlp_init(jax.random.key(0), (784, 128, 10))
        >>> print([layer.kernel.shape for layer in params])
        [(784, 128), (128, 10)]

    Source:
        He, Zhang, Ren and Sun, Delving Deep into Rectifiers (2015), §2.2.
    """
    _checks.key("mlp_init", key)
    if not isinstance(sizes, tuple | list):
        problem = f"sizes is a {type(sizes).__name__}; wanted a tuple of integers"
        _checks.fail("mlp_init", problem, error=TypeError)
    if len(sizes) < 2:
        _checks.fail("mlp_init", f"sizes is {tuple(sizes)}; wanted at least (in_features, outputs)")
    for i, n in enumerate(sizes):
        _checks.size("mlp_init", **{f"sizes[{i}]": n})
    _checks.dtype("mlp_init", "dtype", dtype, jnp.floating, "a floating dtype")
    if kernel_init is not None:
        _checks.function("mlp_init", "kernel_init", kernel_init)
    _checks.function("mlp_init", "bias_init", bias_init)
    inits = {"bias_init": bias_init, "dtype": dtype}
    layers = []
    for i, layer_key in enumerate(jax.random.split(key, len(sizes) - 1)):
        last = i == len(sizes) - 2
        init = kernel_init or (lecun_normal() if last else he_normal())
        layers.append(dense_init(layer_key, sizes[i], sizes[i + 1], kernel_init=init, **inits))
    return tuple(layers)


def mlp(
    params: Sequence[DenseParams],
    x: Float[Array, "*batch features"],
    *,
    activation: Callable[[jax.Array], jax.Array] = relu,
) -> Float[Array, "*batch outputs"]:
    """Multilayer perceptron: dense layers with an activation between each two.

        h₀ = x,    hₗ = φ(hₗ₋₁ Wₗ + bₗ)  for l < L,    y = h_L₋₁ W_L + b_L

    The last layer has no activation: its outputs are logits or predictions, as the loss takes them.

    Gradient:
        z̄ₗ = φ′(zₗ) ⊙ h̄ₗ,    W̄ₗ = hₗ₋₁ᵀ z̄ₗ,    b̄ₗ = Σ_batch z̄ₗ,    h̄ₗ₋₁ = z̄ₗ Wₗᵀ

    from the last layer to the first, zₗ being the argument of φ. ``fnmath.backprop`` spells it out
    for one hidden layer.

    Args:
        params: One ``DenseParams`` per layer, as ``mlp_init`` makes them.
        x: The inputs, features last.
        activation: The function φ, applied elementwise after every layer but the last.

    Returns:
        The outputs of the last layer.

    Raises:
        TypeError: If the activation is not a function, params no tuple of layers, or an array not
            of floating point.
        ValueError: If there is no layer, or a layer does not fit what it is given.

    Example:
        >>> params = mlp_init(jax.random.key(0), (4, 3, 2))
        >>> print(mlp(params, jnp.ones((5, 4))).shape)
        (5, 2)

    Source:
        Rumelhart, Hinton and Williams, Learning representations by back-propagating errors (1986).
    """
    _checks.function("mlp", "activation", activation)
    if isinstance(params, DenseParams) or not isinstance(params, tuple | list):
        problem = f"params is a {type(params).__name__}; wanted a tuple of DenseParams"
        cure = "(params,)" if isinstance(params, DenseParams) else ""
        _checks.fail("mlp", problem, cure, error=TypeError)
    if not params:
        _checks.fail("mlp", "params is empty; wanted one DenseParams per layer")
    *hidden, last = params
    for layer in hidden:
        x = activation(dense(layer, x))
    return dense(last, x)
