"""What holds of every layer, in one table: derivatives of both modes and orders, vmap, precision.

Each public function of fnmath.layers stands here, in the call that its docstring's example makes,
with other numbers: near those of the example, so that none is 0 or equal to another one, and all of
them of bfloat16, so that the same numbers are given in each precision.
"""

import inspect
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath import layers
from tests.house.public import public_functions
from tests.house.test_wrong_values import recorded_calls

pytestmark = pytest.mark.slow

# To these the table does not apply; each must have its reason, and no other may stand here.
LEFT_OUT = {
    "alibi_bias": "of sizes alone",
    "causal_mask": "of sizes alone, to booleans",
    "padding_mask": "of lengths, to booleans",
    "sinusoidal_positions": "of sizes alone",
    "spectral_norm_init": "draws other vectors in another precision",
    "window_mask": "of sizes alone, to booleans",
}
# What these are given they hold constant in part, as their docstrings say, and differences do not.
HOLD_CONSTANT = {
    "spectral_norm": "the singular vectors",
    "spectral_norm_train": "the singular vectors",
}
# Errors of outputs, in units in the last place of the largest entry.
ULPS = {"float32": 4.0, "bfloat16": 2.0}
STEP = 1e-6


def own_calls():
    """For a function that the example does not show at ordinary numbers: a call that does.

    Of what returns a function, that one is called; sequences are cut in short chunks, since a chunk
    is compiled entry by entry.
    """
    square = layers.DenseParams(jnp.eye(2), jnp.zeros(2))
    x, sequence, one = jnp.array([[1.0, 2.0]]), jnp.ones((3, 1)), jnp.ones((1, 1))
    block = layers.mamba_init(jax.random.key(0), 2, states=2, width=2)
    coefficients = {"A": -one, "B": sequence, "C": sequence}
    return {
        "embedding": (layers.embedding, (layers.EmbeddingParams(x.T), jnp.array([1, 1])), {}),
        "mamba": (layers.mamba, (block, jnp.ones((3, 2))), {"chunk": 2}),
        "residual": (residual_of_a_layer, (square, x), {}),
        "selective_scan": (layers.selective_scan, (sequence,) * 2, {**coefficients, "chunk": 2}),
        "sequential": (sequence_of_layers, ((square, None, square), x), {}),
        "squeeze_excitation": (
            layers.squeeze_excitation, (layers.SqueezeExcitationParams(square, square), x[None]), {}
        ),
    }  # fmt: skip


def sequence_of_layers(params, x):
    return layers.sequential((layers.dense, jax.nn.tanh, layers.dense))(params, x)


def residual_of_a_layer(params, x):
    return layers.residual(layers.dense)(params, x)


def takes_arrays(function):
    annotations = [str(p.annotation) for p in inspect.signature(function).parameters.values()]
    return any("Float[" in a or a.endswith("Params") for a in annotations)


# The other functions ``…_init`` draw, or make constants, of sizes alone.
FUNCTIONS = {
    f.__name__: f
    for f in public_functions()
    if f.__module__.startswith("fnmath.layers.")
    and (takes_arrays(f) or not f.__name__.endswith("_init"))
}


class Call(NamedTuple):
    """A call as a function of its arrays: of those of its parameters, and of the others."""

    function: Any
    params: list[np.ndarray]
    inputs: list[np.ndarray]


def is_floating(a):
    return isinstance(a, jax.Array) and jnp.issubdtype(a.dtype, jnp.floating)


def call_of(name):
    function = FUNCTIONS[name]
    if name in (own := own_calls()):
        function, args, options = own[name]
    else:
        args, options = recorded_calls(sys.modules[function.__module__])[function]
    bound = inspect.signature(function).bind(*args, **options)
    paths, form = jax.tree.flatten_with_path(bound.arguments)
    arguments, leaves = [path[0].key for path, _ in paths], [a for _, a in paths]
    # Images and sequences are numbers, also where the example has integers for them.
    leaves = [
        a * 1.0 if k in ("x", "images") else a for k, a in zip(arguments, leaves, strict=True)
    ]
    floating = [(k == "params", i) for i, k in enumerate(arguments) if is_floating(leaves[i])]
    of_params = [i for is_param, i in floating if is_param]
    of_inputs = [i for is_param, i in floating if not is_param]

    def call(params, inputs):
        for i, a in zip((*of_params, *of_inputs), (*params, *inputs), strict=True):
            leaves[i] = a
        bound.arguments = jax.tree.unflatten(form, leaves)
        y = function(*bound.args, **bound.kwargs)
        return [a for a in jax.tree.leaves(y) if is_floating(a)]

    return Call(call, *([np.asarray(leaves[i]) for i in part] for part in (of_params, of_inputs)))


def near(arrays, seed):
    """Numbers of bfloat16 near the given ones, in double precision."""
    rng = np.random.default_rng(seed)
    draws = [rng.standard_normal((2, *a.shape)) for a in arrays]
    moved = [a * (1 + n[0] / 4) + n[1] / 8 for a, n in zip(arrays, draws, strict=True)]
    return [a.astype(jnp.bfloat16).astype(np.float64) for a in moved]


def normal(arrays, seed):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(a.shape) for a in arrays]


def cotangents(y):
    return [jnp.cos(1 + jnp.arange(a.size, dtype=a.dtype)).reshape(a.shape) for a in y]


def stacked(one, two):
    return jax.tree.map(lambda a, b: jnp.stack([a, b]), one, two)


def paired(one, two):
    """The products of all pairs of numbers, whose sum is ⟨one, two⟩."""
    pairs = zip(*map(jax.tree.leaves, (one, two)), strict=True)
    return jnp.concatenate([jnp.ravel(a * b) for a, b in pairs])


def computed(call, at, other, along):
    """All that is compared, of one function, as one program."""

    def gradient(*at):
        y, pull = jax.vjp(call, *at)
        return pull(cotangents(y))

    y, forward = jax.jvp(call, at, along)
    backward, curvature = jax.linearize(gradient, *at)
    ends = [jax.tree.map(lambda a, v, h=h: a + h * v, at, along) for h in (STEP, -STEP)]
    at_ends, of_ends = jax.vmap(lambda *at: (call(*at), gradient(*at)))(*stacked(*ends))
    found = {
        "y": y,
        "forward": forward,
        "by differences": [(a[0] - a[1]) / (2 * STEP) for a in at_ends],
        "second by differences": jax.tree.map(lambda a: (a[0] - a[1]) / (2 * STEP), of_ends),
        "pairs of outputs": paired(cotangents(y), forward),
        "pairs of inputs": paired(backward, along),
        "second": curvature(*along),
        "second in reverse": jax.linear_transpose(curvature, *at)(along),
        "rounded": {a: call(*jax.tree.map(lambda b, a=a: b.astype(a), at)) for a in ULPS},
    }
    for i, part in enumerate(("params", "inputs")):
        if at[i]:
            one_of_two = [*at]
            one_of_two[i] = other[i]
            both = [*at]
            both[i] = stacked(at[i], other[i])
            axes = [0 if j == i else None for j in range(2)]
            found[f"{part}, vmap"] = jax.vmap(call, axes)(*both)
            found[f"{part}, a loop"] = stacked(y, call(*one_of_two))
    return found


def largest(tree):
    return np.max([np.abs(a).max(initial=0) for a in jax.tree.leaves(tree)], initial=0)


def assert_close(actual, expected, rtol, what, *, atol=0.0):
    """Each number agrees to ``rtol`` of the largest expected one, or to ``atol``."""
    tolerance = max(rtol * largest(expected), atol)
    assert np.isfinite(tolerance), what
    for a, b in zip(*map(jax.tree.leaves, (actual, expected)), strict=True):
        error = largest(np.asarray(a, np.float64) - b)
        assert error <= tolerance, f"{what}: {error:.2g} > {tolerance:.2g}"


def assert_holds(name):
    """Everything that the table promises of one function."""
    call, *arrays = call_of(name)
    assert any(arrays), "it is given no floating-point array"
    with jax.enable_x64(True):
        at, other = (tuple(near(a, seed) for a in arrays) for seed in (1, 2))
        along = tuple(normal(a, 3) for a in arrays)
        found = jax.jit(lambda *numbers: computed(call, *numbers))(at, other, along)
        found = jax.tree.map(np.asarray, found)
    y = found["y"]
    assert y, "it returns no floating-point array"
    assert {a.dtype for a in y} == {np.dtype(np.float64)}
    pairs = found["pairs of outputs"], found["pairs of inputs"]
    rounding = 1e-13 * sum(np.abs(a).sum() for a in pairs)
    assert abs(pairs[0].sum() - pairs[1].sum()) <= rounding, "forward and reverse mode"
    assert_close(found["second in reverse"], found["second"], 1e-11, "second order")
    for part in ("params", "inputs"):
        if f"{part}, vmap" in found:
            assert_close(found[f"{part}, vmap"], found[f"{part}, a loop"], 1e-13, f"vmap, {part}")
    if name not in HOLD_CONSTANT:
        assert_close(found["by differences"], found["forward"], 1e-8, "differences")
        # Where the second derivative is 0, differences are of the rounded gradient.
        atol = 1e-8 * (1 + largest(found["forward"]))
        assert_close(
            found["second by differences"], found["second"], 1e-8, "second differences", atol=atol
        )
    for dtype, ulps in ULPS.items():
        rounded, unit = found["rounded"][dtype], float(jnp.finfo(dtype).eps)
        assert {str(a.dtype) for a in rounded} == {dtype}
        for a, b in zip(rounded, y, strict=True):
            assert_close(a, b, ulps * unit, dtype)


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - LEFT_OUT.keys()))
def test_derivatives_vmap_and_precision(name):
    assert_holds(name)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_nothing_is_left_out_without_need(name):
    with pytest.raises(AssertionError):
        assert_holds(name)


@pytest.mark.parametrize("name", HOLD_CONSTANT)
def test_nothing_is_held_constant_without_need(name, monkeypatch):
    monkeypatch.delitem(HOLD_CONSTANT, name)
    with pytest.raises(AssertionError, match="differences"):
        assert_holds(name)
