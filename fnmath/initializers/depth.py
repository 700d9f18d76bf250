"""Depth: what becomes of the signal and of its gradient through many layers.

Notation: layer l maps its inputs zₗ to zₗ₊₁ = f(zₗ) Wₗ + bₗ, activation first; z̄ₗ = ∂ℓ/∂zₗ is the
cotangent; qₗ = E zₗ² and rₗ = E z̄ₗ² are the mean squares, which are variances, for zₗ and z̄ₗ have
mean 0 over the draws of the weights. σ_w² = n Var W is the variance of the weights times their
fan, σ_b² that of the biases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.initializers._quadrature import panels, values_and_slopes
from fnmath.initializers.matrices import orthogonal

Layer = Callable[[Any, Array], Array]


class Variances(NamedTuple):
    """Mean squares through a stack of L layers: ``signal`` q₀ … q_L, ``gradient`` r₀ … r_L."""

    signal: Float[Array, " layers+1"]
    gradient: Float[Array, " layers+1"]


def predict_variances(
    activation: Callable[[Array], Array],
    depth: int,
    *,
    weight_variance: float | Float[Array, ""] = 1.0,
    bias_variance: float | Float[Array, ""] = 0.0,
    input_variance: float | Float[Array, ""] = 1.0,
) -> Variances:
    """Variances of signal and gradient that theory expects through a deep stack of wide layers.

        qₗ₊₁ = σ_w² E f(√qₗ z)² + σ_b²,    z ~ 𝒩(0, 1)
        rₗ = χₗ rₗ₊₁,    χₗ = σ_w² E f′(√qₗ z)²,    r_L = 1

    A sum of many independent terms is normal, so that the variance is all there is to know of a
    layer. For a relu E f² = ½ q and E f′² = ½: under He's σ_w² = 2 both variances stay for ever;
    under Glorot's, which is 1 where a layer is as wide as the next, both are halved by each layer
    and are 2⁻⁵⁰ after fifty. For tanh, q sinks to a fixed point, and χ there says whether the
    gradient vanishes (χ < 1) or explodes (χ > 1).

    The expectations are those of ``calculate_gain``. Layers are as wide as the next; widths tell by
    how much a measurement scatters about this, a relative variance of about (E f⁴/(E f²)² − 1)/n a
    layer, which is 5/n for a relu.

    Args:
        activation: The elementwise function f, differentiable where the density counts.
        depth: The number L of layers.
        weight_variance: σ_w² = n Var W: 1 for LeCun's initialiser, 2 for He's; ``calculate_gain``
            squared keeps q at 1.
        bias_variance: σ_b², the variance of the biases.
        input_variance: q₀, the variance of the inputs, normal ones.

    Returns:
        The two variances in front of each layer and behind the last, in the dtype that JAX has as
        its default: ``signal`` forward from q₀, ``gradient`` backward from r_L = 1.

    Raises:
        TypeError: If the activation is not a function or gives no floating-point numbers, the depth
            is not an integer, or a variance not a number.
        ValueError: If the activation is not elementwise, the depth is below 1, or a variance is
            below 0 or an array with axes.

    Example:
        >>> he = predict_variances(jax.nn.relu, 50, weight_variance=2.0)
        >>> glorot = predict_variances(jax.nn.relu, 50, weight_variance=1.0)
        >>> print(f"{he.signal[50]:.4f} {jnp.log2(glorot.signal[50]):.2f}")
        1.0000 -50.00

    Source:
        Poole, Lahiri, Raghu, Sohl-Dickstein and Ganguli, Exponential expressivity in deep neural
        networks through transient chaos (2016), §2; Schoenholz, Gilmer, Ganguli and
        Sohl-Dickstein, Deep information propagation (2017) (the gradient).
    """
    name = "predict_variances"
    _checks.function(name, "activation", activation)
    _checks.size(name, depth=depth)
    for argument, variance in {
        "weight_variance": weight_variance,
        "bias_variance": bias_variance,
        "input_variance": input_variance,
    }.items():
        _checks.scalar(name, argument, variance, above=0, closed="[")
    z, weights = (jnp.asarray(a, float) for a in panels())

    def layer(q: Array, _: None) -> tuple[Array, tuple[Array, Array]]:
        f, slope = values_and_slopes(name, activation, jnp.sqrt(q) * z)
        chi = weight_variance * jnp.sum(weights * jnp.square(slope))
        later = weight_variance * jnp.sum(weights * jnp.square(f)) + bias_variance
        return later.astype(q.dtype), (q, chi.astype(q.dtype))

    last, (signal, chi) = jax.lax.scan(layer, jnp.asarray(input_variance, float), length=int(depth))
    gradient = jnp.cumprod(jnp.append(chi, 1.0)[::-1])[::-1]
    return Variances(jnp.append(signal, last), gradient)


def _stack(name: str, layers: Any, params: Any, x: Any) -> None:
    """Raise unless there is one function for each entry of the parameters, and an input."""
    for argument, several in {"layers": layers, "params": params}.items():
        if not isinstance(several, tuple | list):
            problem = f"{argument} is a {type(several).__name__}; wanted a tuple, one entry a layer"
            _checks.fail(name, problem, f"({argument},)", error=TypeError)
    for i, layer in enumerate(layers):
        _checks.function(name, f"layers[{i}]", layer)
    if len(layers) != len(params) or not layers:
        problem = f"there are {len(layers)} layers and {len(params)} entries of params"
        _checks.fail(name, f"{problem}; wanted as many, and one at least")
    leaves = jax.tree_util.tree_leaves_with_path(tuple(params))
    named = {f"params{jax.tree_util.keystr(path)}": leaf for path, leaf in leaves}
    _checks.floating(name, x=x, **named)
    if not jnp.size(x):
        _checks.fail(name, f"x has shape {jnp.shape(x)}; wanted at least one number")


def _output(name: str, i: int, layer: Layer, params: Any, x: Array) -> Array:
    y = layer(params, x)
    _checks.floating(name, **{f"the output of layers[{i}]": y})
    return jnp.asarray(y)


def _mean_square(x: Array) -> Array:
    return jnp.mean(jnp.square(x.astype(jnp.promote_types(x.dtype, jnp.float32))))


def measure_variances(
    key: PRNGKeyArray,
    layers: Sequence[Layer],
    params: Sequence[Any],
    x: Float[Array, "..."],
) -> Variances:
    """Variances of signal and gradient through a given network, measured on a batch.

        zₗ₊₁ = layerₗ(paramsₗ, zₗ),    qₗ = mean zₗ²
        z̄ₗ = (∂zₗ₊₁/∂zₗ)ᵀ z̄ₗ₊₁,    rₗ = mean z̄ₗ² / mean z̄_L²,    z̄_L ~ 𝒩(0, I)

    The means are over all entries: examples, positions, features. What is sent back from the top
    is noise, as if each output had a loss of its own. Where layers begin with their activation,
    these are the numbers that ``predict_variances`` predicts; all of them are finite-width draws.

    Args:
        key: The random key, consumed by the cotangent z̄_L.
        layers: The functions ``layer(params, z) -> z``, first to last.
        params: The parameters of each, whatever the functions take: trees of arrays.
        x: The inputs z₀, a batch of examples.

    Returns:
        The two variances in front of each layer and behind the last, in single precision at least.

    Raises:
        TypeError: If the key is not a random key, layers and params are not tuples, a layer is not
            a function, or an array not of floating point.
        ValueError: If there are not as many layers as entries of params, or x is empty.

    Example:
        >>> from fnmath.layers import dense, dense_init
        >>> keys = jax.random.split(jax.random.key(0), 10)
        >>> params = [dense_init(k, 512, 512) for k in keys]  # σ_w² = 1
        >>> layer = lambda p, z: dense(p, jax.nn.relu(z))
        >>> x = jax.random.normal(jax.random.key(1), (64, 512))
        >>> measured = measure_variances(jax.random.key(2), [layer] * 10, params, x)
        >>> print(f"{jnp.log2(measured.signal[10]):.0f} {jnp.log2(measured.gradient[0]):.0f}")
        -10 -10

    Source:
        Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks
        (2010), §4.2 (the two variances, and how to keep them).
    """
    name = "measure_variances"
    _checks.key(name, key)
    _stack(name, layers, params, x)
    z, pull_backs = jnp.asarray(x), []
    signal = [_mean_square(z)]
    for i, (layer, theirs) in enumerate(zip(layers, params, strict=True)):
        z, pull_back = jax.vjp(lambda z, i=i, f=layer, p=theirs: _output(name, i, f, p, z), z)
        signal.append(_mean_square(z))
        pull_backs.append(pull_back)
    z_bar = jax.random.normal(key, z.shape, z.dtype)
    gradient = [_mean_square(z_bar)]
    for pull_back in pull_backs[::-1]:
        (z_bar,) = pull_back(z_bar)
        gradient.append(_mean_square(z_bar))
    return Variances(jnp.stack(signal), jnp.stack(gradient[::-1]) / gradient[0])


def lsuv(
    key: PRNGKeyArray,
    layers: Sequence[Layer],
    params: Sequence[Any],
    x: Float[Array, "..."],
    *,
    iterations: int = 1,
) -> tuple[Any, ...]:
    """Layer-sequential unit-variance parameters: made orthogonal, then scaled to a batch of data.

        Wₗ ← Q,    then, from the first layer to the last,    Wₗ ← Wₗ / √Var zₗ₊₁

    with zₗ₊₁ = layerₗ(paramsₗ, zₗ) the layer's outputs on the batch, Var over all their entries. It
    needs no theory of the activation and no fan: whatever stands between the weights, normalising,
    pooling or skipping, the batch tells what it does to the variance.

    Of each layer's parameters the arrays with two axes or more are kernels, (*window, in, out);
    the others, such as biases, stay as they are. Outputs that are linear in the kernel, which
    dense and convolutional layers have if their activation comes first and their bias is 0, reach
    the variance 1 at once; others approach it by iterating.

    Args:
        key: The random key of the orthogonal kernels.
        layers: The functions ``layer(params, z) -> z``, first to last. That whose variance is to be
            1 is what they return: let an activation begin the next layer, not end this one.
        params: The parameters of each, trees of arrays: for their shapes, and for what is no
            kernel.
        x: A batch of inputs z₀.
        iterations: How often each layer is measured and scaled.

    Returns:
        The parameters, one entry per layer. A layer whose outputs do not vary keeps its orthogonal
        kernels.

    Raises:
        TypeError: If the key is not a random key, layers and params are not tuples, a layer is not
            a function, an array not of floating point, or iterations not an integer.
        ValueError: If there are not as many layers as entries of params, x is empty, or iterations
            is below 1.

    Example:
        >>> from fnmath.layers import dense, dense_init
        >>> params = [dense_init(jax.random.key(0), 64, 64)] * 3
        >>> layers = [dense] + 2 * [lambda p, z: dense(p, jnp.tanh(z))]
        >>> x = 5 + 100 * jax.random.normal(jax.random.key(1), (256, 64))
        >>> z, params = x, lsuv(jax.random.key(2), layers, params, x)
        >>> for layer, p in zip(layers, params):
        ...     z = layer(p, z)
        ...     print(f"{z.var():.3f}")
        1.000
        1.000
        1.000

    Source:
        Mishkin and Matas, All you need is a good init (2016), §3, algorithm 1.
    """
    _checks.key("lsuv", key)
    _stack("lsuv", layers, params, x)
    _checks.size("lsuv", iterations=iterations)
    z, scaled = jnp.asarray(x), []
    keys = jax.random.split(key, len(layers))
    for i, (layer_key, layer, theirs) in enumerate(zip(keys, layers, params, strict=True)):
        mine = _orthonormal_kernels(layer_key, theirs)
        for _ in range(iterations):
            mine = _rescaled(mine, _output("lsuv", i, layer, mine, z))
        z = _output("lsuv", i, layer, mine, z)
        scaled.append(mine)
    return tuple(scaled)


def _orthonormal_kernels(key: PRNGKeyArray, params: Any) -> Any:
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(key, max(len(leaves), 1))
    drawn = [
        orthogonal()(k, jnp.shape(leaf), leaf.dtype) if jnp.ndim(leaf) > 1 else leaf
        for k, leaf in zip(keys, leaves, strict=False)
    ]
    return jax.tree.unflatten(tree, drawn)


def _rescaled(params: Any, outputs: Array) -> Any:
    """The kernels divided by the standard deviation of the outputs, where there is one."""
    wide = outputs.astype(jnp.promote_types(outputs.dtype, jnp.float32))
    deviation = jnp.std(wide)
    factor = jnp.where(deviation == 0, 1, 1 / jnp.where(deviation == 0, 1, deviation))
    return jax.tree.map(
        lambda leaf: leaf * factor.astype(leaf.dtype) if jnp.ndim(leaf) > 1 else leaf, params
    )
