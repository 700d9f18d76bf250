"""Composition: layers made of layers, in a row, beside the identity, and n alike by one scan.

Notation: a layer is a function f of its parameters θ and of h, an array or a tree of arrays; h₀ = x
goes in, hₗ comes out of the l-th layer, y = h_L out of the last. A layer without parameters has
θ = None, the empty tree, and is called with h alone: f(h). So parameters are tuples with one entry
per layer, plain data that ``jax.grad`` and optax take as they are.

``sequential`` and ``residual`` make a layer of layers; all that stands here nests:

    block = residual(sequential((dense, gelu, dense)))
    y = stack(block, params, x)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray, PyTree

from fnmath import _checks

Layer = Callable[..., Any]


def sequential_init(
    key: PRNGKeyArray, inits: Sequence[Callable[[PRNGKeyArray], PyTree] | None]
) -> tuple[PyTree, ...]:
    """Parameters of layers in a row, each drawn with a key of its own.

        θₗ = initₗ(kₗ),    (k₁, …, k_L) = split(key)

    Args:
        key: The random key.
        inits: For each layer the function that draws its parameters from a key; None for a layer
            that has none.

    Returns:
        One entry per layer, as ``sequential`` takes them; None where there was None.

    Raises:
        TypeError: If the key is not a random key, or ``inits`` not a tuple of functions.
        ValueError: If there is no layer.

    Example:
        >>> from fnmath.layers import dense_init
        >>> inits = (lambda key: dense_init(key, 4, 3), None, lambda key: dense_init(key, 3, 2))
        >>> params = sequential_init(jax.random.key(0), inits)
        >>> print(params[0].kernel.shape, params[1], params[2].kernel.shape)
        (4, 3) None (3, 2)

    Source:
        ``stax.serial`` of JAX, whose layers are such pairs of functions.
    """
    _checks.key("sequential_init", key)
    _functions("sequential_init", "inits", inits, or_none=True)
    keys = jax.random.split(key, len(inits))
    return tuple(None if init is None else init(k) for init, k in zip(inits, keys, strict=True))


def sequential(layers: Sequence[Layer]) -> Layer:
    """Layers in a row, as one layer: each is given what the one before it gives.

        y = f_L(θ_L, … f₂(θ₂, f₁(θ₁, x)) …)

    The parameters are a tuple with one entry per layer. A layer whose entry is None is called with
    h alone, so that activations, pooling and other functions of one argument stand between layers
    as they are.

    Gradient:
        h̄ₗ₋₁ = (∂fₗ/∂h)ᵀ h̄ₗ,    θ̄ₗ = (∂fₗ/∂θₗ)ᵀ h̄ₗ,    from h̄_L = ȳ down to x̄ = h̄₀

    Args:
        layers: The functions f₁, …, f_L.

    Returns:
        A function ``layer(params, x)``. It raises a ``TypeError`` where the parameters are not a
        tuple, a ``ValueError`` where they have not one entry per layer.

    Raises:
        TypeError: If ``layers`` is not a tuple of functions.
        ValueError: If there is no layer.

    Example:
        >>> from fnmath.layers import DenseParams, dense
        >>> layer = sequential((dense, jax.nn.relu, dense))
        >>> double = DenseParams(2 * jnp.eye(2))
        >>> print(layer((double, None, double), jnp.array([1.0, -1.0])))
        [4. 0.]

    Source:
        Rumelhart, Hinton and Williams, Learning representations by back-propagating errors (1986);
        ``stax.serial`` of JAX.
    """
    _functions("sequential", "layers", layers)
    functions = tuple(layers)

    def layer(params: PyTree, x: PyTree) -> PyTree:
        if not _one_per_layer(params):
            problem = f"params is a {type(params).__name__}; wanted a tuple, an entry per layer"
            _checks.fail("sequential", problem, error=TypeError)
        if len(params) != len(functions):
            problem = f"params has {len(params)} entries and layers has {len(functions)}"
            _checks.fail("sequential", f"{problem}; wanted one entry per layer, or None")
        for f, θ in zip(functions, params, strict=True):
            x = _applied(f, θ, x)
        return x

    return layer


def residual(layer: Layer, *, shortcut: Layer | None = None) -> Layer:
    """A layer beside the identity, as one layer: it learns the difference from its input.

        y = x + f(θ, x),        with a shortcut  y = s(φ, x) + f(θ, x)

    Nothing broadcasts: where f changes the shape, the shortcut s has to change it likewise, such as
    a strided 1×1 convolution between the stages of a ResNet.

    Gradient:
        x̄ = ȳ + (∂f/∂x)ᵀ ȳ,    θ̄ = (∂f/∂θ)ᵀ ȳ

    The first term carries the cotangent past the layer unchanged, however deep the network is.

    Args:
        layer: The function f(θ, x), the branch; f(x) if it has no parameters. Further arguments
            that are given to the layer returned are handed on to it.
        shortcut: The function s(φ, x) that takes the place of the identity.

    Returns:
        A function ``layer(params, x)``; ``params`` is θ, or with a shortcut the pair (θ, φ). It
        raises a ``ValueError`` where the two that it adds differ in shape, a ``TypeError`` where
        the parameters of a layer with a shortcut are not a pair.

    Raises:
        TypeError: If a layer is not a function.

    Example:
        >>> from fnmath.layers import DenseParams, dense
        >>> params = DenseParams(jnp.array([[0.0, 1.0], [0.0, 0.0]]))
        >>> print(residual(dense)(params, jnp.array([3.0, 4.0])))
        [3. 7.]

    Source:
        He, Zhang, Ren and Sun, Deep residual learning for image recognition (2016), §3.1–3.2.
    """
    _checks.function("residual", "layer", layer)
    if shortcut is not None:
        _checks.function("residual", "shortcut", shortcut)

    def beside(params: PyTree, x: PyTree, *rest: PyTree) -> PyTree:
        if shortcut is None:
            return _sum(x, _applied(layer, params, x, *rest), "x")
        if not _one_per_layer(params) or len(params) != 2:
            problem = f"params is a {type(params).__name__}; wanted (layer's, shortcut's)"
            _checks.fail("residual", problem, error=TypeError)
        beside_it = _applied(shortcut, params[1], x)
        return _sum(beside_it, _applied(layer, params[0], x, *rest), "what the shortcut gave")

    return beside


def stack_init(key: PRNGKeyArray, init: Callable[[PRNGKeyArray], PyTree], n: int) -> PyTree:
    """Parameters of n equal layers, drawn independently and stacked on a new first axis.

        θₗ = init(kₗ),    (k₁, …, kₙ) = split(key, n)

    Args:
        key: The random key.
        init: The function that draws the parameters of one layer from a key.
        n: The number of layers.

    Returns:
        The parameters of one layer, each array with a new first axis that counts the layers.

    Raises:
        TypeError: If the key is not a random key, ``init`` not a function, or n not an integer.
        ValueError: If n is below 1.

    Example:
        >>> from fnmath.layers import dense_init
        >>> params = stack_init(jax.random.key(0), lambda key: dense_init(key, 8, 8), 12)
        >>> print(params.kernel.shape, params.bias.shape)
        (12, 8, 8) (12, 8)

    Source:
        ``jax.vmap`` over keys; the same layout as ``flax.linen.scan`` with split parameters.
    """
    _checks.key("stack_init", key)
    _checks.function("stack_init", "init", init)
    _checks.size("stack_init", n=n)
    return jax.vmap(init)(jax.random.split(key, n))


def stack(
    layer: Layer,
    params: PyTree,
    x: PyTree,
    *,
    extras: PyTree = None,
    reverse: bool = False,
    checkpoint: bool = False,
) -> PyTree:
    """Layers that are equal but for their parameters, in a row, as one loop.

        hₗ = f(θₗ, hₗ₋₁),    y = hₙ        θₗ: the l-th entry of each array of the parameters

    The layer is traced and compiled once and run n times (``jax.lax.scan``), so that neither the
    program nor the time to compile it grows with the depth.

    Gradient:
        h̄ₗ₋₁ = (∂fₗ/∂h)ᵀ h̄ₗ,    θ̄ₗ = (∂fₗ/∂θₗ)ᵀ h̄ₗ,    from h̄ₙ = ȳ down to x̄ = h̄₀

    Reverse mode keeps for each layer all that its backward pass needs; with ``checkpoint`` it keeps
    the hₗ alone and computes the rest again, for about a third more time.

    Args:
        layer: The function f(θ, h), or f(θ, h, e) with extras; it gives what it is given, in shape
            and dtype. Where ``params`` is None it is called without: f(h, e).
        params: The parameters, each array with a first axis that counts the layers, as
            ``stack_init`` makes them.
        x: The input h₀: an array or a tree of arrays.
        extras: What else differs from layer to layer, such as keys or rates of dropping: arrays
            with that same first axis.
        reverse: Whether the last layer comes first, as in the inverse of a chain.
        checkpoint: Whether the backward pass computes the inside of each layer again.

    Returns:
        What the last layer gives.

    Raises:
        TypeError: If the layer is not a function, an option not a boolean, or the parameters, the
            extras or x hold something that is no array.
        ValueError: If no array counts the layers, two count them differently, or the layer changes
            the shape, the dtype or the structure of h.

    Example:
        >>> from fnmath.layers import DenseParams, dense
        >>> params = DenseParams(jnp.array([[[2.0]], [[3.0]]]), jnp.array([[1.0], [0.0]]))
        >>> print(stack(dense, params, jnp.array([1.0])))  # 3 (2 · 1 + 1)
        [9.]

    Source:
        The documentation of ``jax.lax.scan``; Chen, Xu, Zhang and Guestrin, Training deep nets with
        sublinear memory cost (2016), §3, for the checkpoints.
    """
    _check_stack("stack", layer, params, x, extras, reverse=reverse, checkpoint=checkpoint)

    def step(h: PyTree, θ: PyTree, e: PyTree) -> tuple[PyTree, None]:
        return _applied(layer, θ, h, *(() if e is None else (e,))), None

    return _scanned("stack", step, params, x, extras, reverse, checkpoint)[0]


def stack_with_outputs(
    layer: Layer,
    params: PyTree,
    x: PyTree,
    *,
    extras: PyTree = None,
    reverse: bool = False,
    checkpoint: bool = False,
) -> tuple[PyTree, PyTree]:
    """Equal layers in a row, as one loop, each of which also gives an output of its own.

        (hₗ, oₗ) = f(θₗ, hₗ₋₁, eₗ),    y = hₙ,    o = (o₁, …, oₙ)

    The outputs are what a layer learns or remembers: the running statistics of its batch
    normalisation, its cache of keys and values (the old ones come in as extras), its activations.

    Gradient:
        (h̄ₗ₋₁, θ̄ₗ, ēₗ) = (∂fₗ/∂(h, θ, e))ᵀ (h̄ₗ, ōₗ),    from h̄ₙ = ȳ down to x̄ = h̄₀

    Args:
        layer: The function f(θ, h), or f(θ, h, e) with extras. It gives a pair: what it is given,
            in shape and dtype, and an output, any tree of arrays. Where ``params`` is None it is
            called without: f(h, e).
        params: The parameters, each array with a first axis that counts the layers.
        x: The input h₀: an array or a tree of arrays.
        extras: What else differs from layer to layer: arrays with that same first axis.
        reverse: Whether the last layer comes first.
        checkpoint: Whether the backward pass computes the inside of each layer again.

    Returns:
        What the last layer gives, and the outputs of all, stacked in the order of the parameters.

    Raises:
        TypeError: If the layer is not a function or gives no pair, an option is not a boolean, or
            the parameters, the extras or x hold something that is no array.
        ValueError: If no array counts the layers, two count them differently, or the layer changes
            the shape, the dtype or the structure of h.

    Example:
        >>> layer = lambda θ, h: (θ * h, h)
        >>> y, inputs = stack_with_outputs(layer, jnp.array([2.0, 3.0, 4.0]), jnp.array(1.0))
        >>> print(y, inputs)
        24.0 [1. 2. 6.]

    Source:
        The documentation of ``jax.lax.scan``.
    """
    name = "stack_with_outputs"
    _check_stack(name, layer, params, x, extras, reverse=reverse, checkpoint=checkpoint)

    def step(h: PyTree, θ: PyTree, e: PyTree) -> tuple[PyTree, PyTree]:
        both = _applied(layer, θ, h, *(() if e is None else (e,)))
        if not isinstance(both, tuple) or len(both) != 2:
            problem = f"the layer gave a {type(both).__name__}; wanted a pair (h, output)"
            _checks.fail(name, problem, error=TypeError)
        return both

    return _scanned(name, step, params, x, extras, reverse, checkpoint)


def _one_per_layer(params: Any) -> bool:
    """Whether ``params`` may hold an entry per layer; a NamedTuple of arrays is one layer's own."""
    arrays = hasattr(params, "_fields") and any(isinstance(a, jax.Array) for a in params)
    return isinstance(params, tuple | list) and not arrays


def _applied(f: Layer, θ: PyTree, h: PyTree, *rest: PyTree) -> PyTree:
    """f(θ, h), or f(h) for a layer that has no parameters."""
    return f(h, *rest) if θ is None else f(θ, h, *rest)


def _scanned(
    name: str,
    step: Callable[[PyTree, PyTree, PyTree], tuple[PyTree, PyTree]],
    params: PyTree,
    x: PyTree,
    extras: PyTree,
    reverse: bool,
    checkpoint: bool,
) -> tuple[PyTree, PyTree]:
    """The steps, one per layer, over whatever is stacked."""

    def checked(h: PyTree, layer: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        y, output = step(h, *layer)
        _same_form(name, h, y)
        return y, output

    # Inside of a scan nothing can be merged across the steps: the barriers would be in vain.
    body = jax.checkpoint(checked, prevent_cse=False) if checkpoint else checked
    start = jax.tree.map(jnp.asarray, x)
    return jax.lax.scan(body, start, (params, extras), reverse=reverse)


def _form(h: PyTree) -> Any:
    """The shapes and dtypes of a tree, in its own structure."""
    return jax.tree.map(lambda a: f"{jnp.result_type(a)}{jnp.shape(a)}", h)


def _same_form(name: str, h: PyTree, y: PyTree) -> None:
    """Raise unless a layer gives what it is given, in structure, shapes and dtypes."""
    for leaf in jax.tree.leaves(y):
        _checks.array(name, "what the layer gave", leaf)
    if (came := _form(y)) != (wanted := _form(h)):
        _checks.fail(
            name, f"the layer turned {wanted} into {came}; wanted the same shape and dtype"
        )


def _sum(x: PyTree, y: PyTree, argument: str) -> PyTree:
    """X + y of two trees of one structure, in which nothing broadcasts."""
    if jax.tree.structure(x) != jax.tree.structure(y):
        problem = f"{argument} and what the layer gave must have one structure"
        _checks.fail("residual", f"{problem}: {jax.tree.structure(x)}, {jax.tree.structure(y)}")
    for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True):
        _checks.same_shape("residual", **{argument: a, "what the layer gave": b})
    return jax.tree.map(jnp.add, x, y)


def _functions(name: str, argument: str, fs: Any, *, or_none: bool = False) -> None:
    """Raise unless ``fs`` is a tuple of functions, at least one."""
    if not isinstance(fs, tuple | list):
        problem = f"{argument} is a {type(fs).__name__}; wanted a tuple of functions"
        _checks.fail(name, problem, error=TypeError)
    if not fs:
        _checks.fail(name, f"{argument} is empty; wanted one function per layer")
    for i, f in enumerate(fs):
        if not (or_none and f is None):
            _checks.function(name, f"{argument}[{i}]", f)


def _check_stack(
    name: str, layer: Any, params: PyTree, x: PyTree, extras: PyTree, **options: Any
) -> None:
    """What both stacks check: a function, arrays that count the layers alike, and booleans."""
    _checks.function(name, "layer", layer)
    for option, given in options.items():
        _checks.boolean(name, option, given)
    for leaf in jax.tree.leaves(x):
        _checks.array(name, "x", leaf)
    counts = {}
    for argument, tree in (("params", params), ("extras", extras)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            place = f"{argument}{jax.tree_util.keystr(path)}"
            _checks.array(name, place, leaf)
            if not jnp.shape(leaf):
                _checks.fail(name, f"{place} has shape (); wanted a first axis, of the layers")
            counts[place] = jnp.shape(leaf)[0]
    if not counts:
        _checks.fail(name, "params and extras hold no array, whose first axis counts the layers")
    _checks.same_size(name, "layers", **counts)
