"""fnmath.layers.composition: layers in a row, beside the identity, and alike in one loop."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.activations import relu
from fnmath.layers import (
    DenseParams,
    dense,
    dense_init,
    drop_path,
    dropout,
    residual,
    sequential,
    sequential_init,
    stack,
    stack_init,
    stack_with_outputs,
)
from fnmath.networks import mlp, mlp_init
from tests.helpers import Mistake, assert_derivatives, assert_transforms
from tests.layers.agreement import normal

KEY = jax.random.key(0)
x = jnp.asarray(normal(0, 4, 3), jnp.float32)
LAYER = DenseParams(jnp.ones((3, 3)), jnp.zeros(3))
LAYERS = DenseParams(jnp.ones((5, 3, 3)), jnp.zeros((5, 3)))
both_ways = pytest.mark.parametrize("f", [stack, stack_with_outputs], ids=lambda f: f.__name__)


def noting(params, x):
    """A dense layer that also gives what it was given."""
    return dense(params, x), x


def block_init(key):
    return dense_init(
        key, 3, 3, dtype=jnp.result_type(float), bias_init=lambda *a: jax.random.normal(*a)
    )


MISTAKES = [
    Mistake(
        sequential, ([],), {}, ValueError,
        "sequential: layers is empty; wanted one function per layer",
    ),
    Mistake(
        sequential, (dense,), {}, TypeError,
        "sequential: layers is a function; wanted a tuple of functions",
    ),
    Mistake(
        sequential, ((dense, None),), {}, TypeError,
        "sequential: layers[1] is a NoneType; wanted a function",
    ),
    Mistake(
        sequential((dense, relu)), ((LAYER,), x), {}, ValueError,
        "sequential: params has 1 entries and layers has 2; wanted one entry per layer, or None",
    ),
    Mistake(
        sequential((dense, relu)), (LAYER, x), {}, TypeError,
        "sequential: params is a DenseParams; wanted a tuple, an entry per layer",
    ),
    Mistake(
        sequential_init, (0, (dense_init,)), {}, TypeError,
        "sequential_init: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        sequential_init, (KEY, ()), {}, ValueError,
        "sequential_init: inits is empty; wanted one function per layer",
    ),
    Mistake(
        residual, ("dense",), {}, TypeError,
        "residual: layer is a str; wanted a function",
    ),
    Mistake(
        residual(dense), (DenseParams(jnp.ones((3, 1))), x), {}, ValueError,
        "residual: x (4, 3) and what the layer gave (4, 1) must have one shape",
    ),
    Mistake(
        residual(dense, shortcut=dense), (LAYER._replace(bias=None), x), {}, TypeError,
        "residual: params is a DenseParams; wanted (layer's, shortcut's)",
    ),
    Mistake(
        residual(noting), (LAYER, x), {}, ValueError,
        "residual: x and what the layer gave must have one structure: "
        "PyTreeDef(*), PyTreeDef((*, *))",
    ),
    Mistake(
        stack_init, (KEY, None, 3), {}, TypeError,
        "stack_init: init is a NoneType; wanted a function",
    ),
    Mistake(
        stack_init, (KEY, block_init, 0), {}, ValueError,
        "stack_init: n is 0; wanted an integer of at least 1",
    ),
    Mistake(
        stack_init, (KEY, block_init, 2.0), {}, TypeError,
        "stack_init: n is 2.0 (float); wanted an integer",
    ),
    *(
        mistake
        for f, layer in ((stack, dense), (stack_with_outputs, noting))
        for mistake in (
            Mistake(
                f, (None, LAYERS, x), {}, TypeError,
                f"{f.__name__}: layer is a NoneType; wanted a function",
            ),
            Mistake(
                f, (layer, LAYERS, x), {"extras": jnp.ones(5)}, TypeError,
                f"{f.__name__}: layer cannot be called with (params, h, extras): "
                "too many positional arguments",
            ),
            Mistake(
                f, (layer, LAYERS, x), {"checkpoint": 1}, TypeError,
                f"{f.__name__}: checkpoint is 1 (int); wanted True or False",
            ),
            Mistake(
                f, (lambda *args: args[0], None, x), {}, ValueError,
                f"{f.__name__}: params and extras hold no array, whose first axis counts the "
                "layers",
            ),
            Mistake(
                f, (layer, LAYERS._replace(bias=jnp.zeros((4, 3))), x), {}, ValueError,
                f"{f.__name__}: the number of layers must agree: "
                "params.kernel has 5 and params.bias has 4",
            ),
            Mistake(
                f, (lambda *args: args[1], LAYERS, x), {"extras": jnp.float32(1)}, ValueError,
                f"{f.__name__}: extras has shape (); wanted a first axis, of the layers",
            ),
            Mistake(
                f, (layer, DenseParams(jnp.ones((5, 3, 2))), x), {}, ValueError,
                f"{f.__name__}: the layer turned float32(4, 3) into float32(4, 2); "
                "wanted the same shape and dtype",
            ),
            Mistake(
                f, (layer, LAYERS, "x"), {}, TypeError,
                f"{f.__name__}: x is a str; wanted an array",
            ),
        )
    ),
    Mistake(
        stack_with_outputs, (dense, LAYERS, x), {}, TypeError,
        "stack_with_outputs: the layer gave a DynamicJaxprTracer; wanted a pair (h, output)",
    ),
]  # fmt: skip


class TestSequential:
    layers = (dense, relu, dense, jnp.sin)

    def params(self):
        inits = (
            lambda key: dense_init(key, 3, 4),
            None,
            lambda key: dense_init(key, 4, 2),
            None,
        )
        return sequential_init(KEY, inits)

    def test_reference(self):
        first, _, second, _ = params = self.params()
        expected = jnp.sin(dense(second, relu(dense(first, x))))
        np.testing.assert_array_equal(sequential(self.layers)(params, x), expected)

    def test_equals_mlp(self):
        hidden, last = params = mlp_init(KEY, (3, 4, 2))
        actual = sequential((dense, relu, dense))((hidden, None, last), x)
        np.testing.assert_array_equal(actual, mlp(params, x))

    def test_law_associative(self):
        params = self.params()
        inner = sequential((sequential(self.layers[:2]), *self.layers[2:]))
        actual = inner((params[:2], *params[2:]), x)
        np.testing.assert_array_equal(actual, sequential(self.layers)(params, x))

    @pytest.mark.usefixtures("x64")
    @pytest.mark.slow
    def test_gradient(self):
        params = jax.tree.map(lambda a: a.astype(float), self.params())
        point = jnp.asarray(normal(0, 4, 3))
        layer = sequential((dense, jnp.tanh, dense, jnp.sin))
        first, _, second, _ = params
        links, h = [], point
        for f, θ in ((dense, first), (jnp.tanh, None), (dense, second), (jnp.sin, None)):
            h, link = jax.vjp(f, h) if θ is None else jax.vjp(f, θ, h)
            links.append(link)
        bars, h_bar = [], (y_bar := jnp.asarray(normal(1, 4, 2)))
        for link in reversed(links):
            *θ_bar, h_bar = link(h_bar)
            bars = [θ_bar[0] if θ_bar else None, *bars]
        actual = jax.vjp(layer, params, point)[1](y_bar)
        chex.assert_trees_all_close(actual, (tuple(bars), h_bar), rtol=1e-12)
        assert_derivatives(layer, params, point)

    def test_transforms(self):
        assert_transforms(sequential(self.layers), self.params(), x)

    def test_init_draws_each_with_a_key_of_its_own(self):
        first, none, second = sequential_init(KEY, [lambda key: dense_init(key, 3, 3), None] * 2)[
            :3
        ]
        assert none is None
        assert (first.kernel != second.kernel).all()


class TestResidual:
    def test_reference(self):
        expected = x + dense(LAYER, x)
        np.testing.assert_array_equal(residual(dense)(LAYER, x), expected)
        np.testing.assert_array_equal(residual(relu)(None, x), x + relu(x))

    def test_shortcut(self):
        wide, narrow = dense_init(KEY, 3, 5), dense_init(jax.random.key(1), 3, 5)
        actual = residual(dense, shortcut=dense)((wide, narrow), x)
        np.testing.assert_array_equal(actual, dense(narrow, x) + dense(wide, x))

    def test_trees(self):
        def swapped(h):
            return {"a": h["b"], "b": h["a"]}

        y = residual(swapped)(None, {"a": jnp.ones(2), "b": jnp.zeros(2)})
        chex.assert_trees_all_equal(y, {"a": jnp.ones(2), "b": jnp.ones(2)})

    @pytest.mark.usefixtures("x64")
    @pytest.mark.slow
    def test_gradient(self):
        kernel, point, y_bar = (jnp.asarray(normal(i, 3, 3)) for i in range(3))
        layer = residual(sequential((dense, jnp.tanh)))
        params = (DenseParams(kernel), None)
        z_bar = y_bar * (1 - jnp.tanh(point @ kernel) ** 2)
        (bars, _), x_bar = jax.vjp(layer, params, point)[1](y_bar)
        np.testing.assert_allclose(x_bar, y_bar + z_bar @ kernel.T, rtol=1e-12)
        np.testing.assert_allclose(bars.kernel, point.T @ z_bar, rtol=1e-12)
        assert_derivatives(layer, params, point)

    def test_transforms(self):
        assert_transforms(residual(dense), LAYER, x)


def block(params, h):
    return h + jnp.tanh(dense(params, h))


def noted_block(params, h):
    y = block(params, h)
    return y, {"norm": jnp.sum(y * y), "input": h}


def loop(layer, params, h, extras=None, reverse=False, outputs=False):
    """The reference: the same layers as Python's own loop."""
    count, noted = len(jax.tree.leaves((params, extras))[0]), {}
    for layer_index in range(count)[:: -1 if reverse else 1]:
        take = functools.partial(jax.tree.map, lambda a: a[layer_index])  # noqa: B023
        rest = () if extras is None else (take(extras),)
        h = layer(take(params), h, *rest)
        if outputs:
            h, noted[layer_index] = h
    if not outputs:
        return h
    return h, jax.tree.map(lambda *a: jnp.stack(a), *(noted[i] for i in range(count)))


class TestStack:
    @pytest.mark.usefixtures("x64")
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("f", "reverse", "checkpoint"),
        [
            (stack, False, False),
            (stack, False, True),
            (stack, True, False),
            (stack_with_outputs, False, False),
            (stack_with_outputs, True, True),
        ],
    )
    def test_equals_the_loop_with_all_derivatives(self, f, reverse, checkpoint):
        """Value, reverse mode, forward mode, and forward over reverse."""
        layer = block if f is stack else noted_block
        params = stack_init(KEY, block_init, 4)
        point = jnp.asarray(normal(0, 2, 3))
        tangents = jax.tree.map(jnp.cos, (params, point))

        def derivatives(g):
            def reverse_mode(params, h):
                y, vjp = jax.vjp(g, params, h)
                return y, vjp(jax.tree.map(jnp.sin, y))

            return jax.jit(lambda *args: jax.jvp(reverse_mode, args, tangents))(params, point)

        actual = derivatives(lambda p, h: f(layer, p, h, reverse=reverse, checkpoint=checkpoint))
        outputs = f is stack_with_outputs
        expected = derivatives(lambda p, h: loop(layer, p, h, reverse=reverse, outputs=outputs))
        chex.assert_trees_all_close(actual, expected, rtol=1e-11, atol=1e-12)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.slow
    def test_second_order(self):
        params, point = stack_init(KEY, block_init, 3), jnp.asarray(normal(0, 2, 3))
        f = functools.partial(stack, block, checkpoint=True)
        assert_derivatives(f, params, point)

    @both_ways
    def test_program_does_not_grow_with_depth(self, f):
        """The same equations for 2 layers and for 200, forward and backward."""
        layer = block if f is stack else noted_block

        def equations(n):
            def total(params, h):
                return sum(jnp.sum(a) for a in jax.tree.leaves(f(layer, params, h)))

            shapes = jax.eval_shape(lambda key: stack_init(key, block_init, n), KEY)
            program = jax.make_jaxpr(jax.value_and_grad(total))(shapes, x)
            return str(program).count("\n")

        assert equations(2) == equations(200)

    def test_layer_is_traced_once(self):
        f = functools.partial(stack, chex.assert_max_traces(block, n=1))
        jax.jit(f)(LAYERS, x)

    def test_checkpoint_keeps_the_inputs_of_the_layers_alone(self):
        """What the backward pass is handed: beyond the parameters, n inputs h and no more."""

        def deep(params, h):
            return jnp.sin(jnp.cos(jnp.exp(-jnp.tanh(dense(params, h)))))

        def kept(checkpoint):
            f = functools.partial(stack, deep, checkpoint=checkpoint)
            vjp = jax.vjp(f, LAYERS, x)[1]
            return sum(a.size for a in jax.tree.leaves(vjp))

        size = sum(a.size for a in jax.tree.leaves(LAYERS))
        assert kept(True) <= size + 5 * x.size
        assert kept(False) > 2 * 5 * x.size

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("checkpoint", [False, True])
    def test_keys_and_rates_as_extras(self, checkpoint):
        """Stochastic depth whose rate grows from layer to layer, each with keys of its own."""

        def layer(params, h, noise):
            branch = dropout(noise["entries"], jnp.tanh(dense(params, h)), rate=0.2)
            return h + drop_path(noise["path"], branch, rate=noise["rate"])

        entries, path = jax.random.split(KEY, (2, 5))
        noise = {"entries": entries, "path": path, "rate": jnp.linspace(0, 0.5, 5)}
        params, point = stack_init(KEY, block_init, 5), jnp.asarray(normal(0, 4, 3))

        def total(f):
            return jax.value_and_grad(lambda p: jnp.sin(f(p)).sum())(params)

        actual = total(lambda p: stack(layer, p, point, extras=noise, checkpoint=checkpoint))
        expected = total(lambda p: loop(layer, p, point, extras=noise))
        chex.assert_trees_all_close(actual, expected, rtol=1e-12, atol=1e-14)

    def test_layers_without_parameters(self):
        rates = jnp.array([2.0, 3.0])
        y = stack(lambda h, e: h * e, None, x, extras=rates)
        np.testing.assert_allclose(y, 6 * x, rtol=1e-6)

    @pytest.mark.slow
    def test_a_cache_goes_in_and_comes_out(self):
        """Extras are the old caches, outputs the new ones, in the order of the layers."""

        def layer(params, h, cache):
            return dense(params, h), cache.at[0].set(h.sum())

        caches = jnp.full((5, 2), 7.0)
        params = stack_init(KEY, block_init, 5)
        for reverse in (False, True):
            options = {"extras": caches, "reverse": reverse}
            actual = stack_with_outputs(layer, params, x, **options)
            expected = loop(layer, params, x, outputs=True, **options)
            chex.assert_trees_all_close(actual, expected, rtol=1e-5, atol=1e-6)
            assert (actual[1][:, 1] == 7).all()

    def test_trees_and_python_numbers(self):
        """What is carried may be a tree, and begin as a number that is no array yet."""

        def layer(params, h):
            return {"a": h["a"] * params, "count": h["count"] + 1}

        y = stack(layer, jnp.arange(1.0, 5.0), {"a": x, "count": 0})
        np.testing.assert_allclose(y["a"], 24 * x, rtol=1e-6)
        assert y["count"] == 4

    @pytest.mark.slow
    def test_nested(self):
        """A residual block of a sequence, stacked: what a transformer is made of."""
        layers = (dense, relu, dense)
        inits = (lambda key: dense_init(key, 3, 8), None, lambda key: dense_init(key, 8, 3))
        layer = residual(sequential(layers))
        params = stack_init(KEY, lambda key: sequential_init(key, inits), 6)
        actual, expected = stack(layer, params, x), loop(layer, params, x)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)

    def test_transforms(self):
        params = stack_init(KEY, block_init, 4)
        assert_transforms(lambda params, x: stack(block, params, x), params, x)
        assert_transforms(lambda params, x: stack_with_outputs(noted_block, params, x), params, x)

    def test_half_precision_stays_half(self):
        half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), LAYERS)
        assert stack(dense, half, x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


class TestStackInit:
    def test_equals_one_layer_after_the_other(self):
        params = stack_init(KEY, lambda key: dense_init(key, 3, 2), 4)
        for i, key in enumerate(jax.random.split(KEY, 4)):
            layer = jax.tree.map(lambda a, i=i: a[i], params)
            chex.assert_trees_all_close(layer, dense_init(key, 3, 2), rtol=1e-6)

    def test_no_bias_stays_none(self):
        init = functools.partial(dense_init, in_features=3, out_features=3, use_bias=False)
        assert stack_init(KEY, init, 4).bias is None
