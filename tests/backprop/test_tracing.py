"""fnmath.backprop.tracing: the record beside what JAX computes, and what it says of the source."""

import functools
import math
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnmath.backprop import trace
from fnmath.losses import softmax_cross_entropy_with_integer_labels
from fnmath.networks import mlp, mlp_init
from tests.helpers import Mistake

key = jax.random.key(0)
x = jnp.linspace(0.1, 2.0, 5)
M = jax.random.normal(key, (5, 5))
P = M @ M.T + jnp.eye(5)


def total(y):
    return jnp.sum(y)


MISTAKES = [
    Mistake(trace, (3.0, x), {}, TypeError, "trace: f is a float; wanted a function"),
    Mistake(
        trace,
        (jnp.sin, x),
        {},
        ValueError,
        "trace: sin returned shape (5,); wanted a scalar, or its cotangent; "
        "did you mean sin(...).mean(), or trace(..., cotangent=...)?",
    ),
    Mistake(
        trace,
        (lambda a: (a.sum(), a.sum()), x),
        {},
        ValueError,
        "trace: f returned 2 arrays; wanted a scalar, or its cotangent; "
        "did you mean f(...).mean(), or trace(..., cotangent=...)?",
    ),
    Mistake(
        trace,
        (jnp.argmax, x),
        {},
        TypeError,
        "trace: argmax returned dtype int32; wanted a floating dtype",
    ),
    Mistake(
        trace,
        (total, x.astype(int)),
        {},
        TypeError,
        "trace: no argument holds floating-point numbers (y int32); wanted one to differentiate; "
        "did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        trace,
        (total, "x"),
        {},
        TypeError,
        "trace: y is a str; wanted an array; did you mean a keyword argument, which is passed on "
        "as it is, or functools.partial?",
    ),
    Mistake(
        trace,
        (lambda params: params["w"], {"w": x, "act": total}),
        {},
        TypeError,
        "trace: params['act'] is a function; wanted an array; did you mean a keyword argument, "
        "which is passed on as it is, or functools.partial?",
    ),
    Mistake(
        trace,
        (jnp.sin, x),
        {"cotangent": jnp.ones(3)},
        ValueError,
        "trace: cotangent has shape (3,); wanted (5,), that of the result",
    ),
    Mistake(
        trace,
        (jnp.sin, x),
        {"cotangent": (jnp.ones(5), jnp.ones(5))},
        ValueError,
        "trace: cotangent has the tree PyTreeDef((*, *)); wanted PyTreeDef(*), that of the result",
    ),
    Mistake(
        trace,
        (total, x),
        {"keep": -1},
        ValueError,
        "trace: keep is -1; wanted a number in [0, inf]",
    ),
]


def gradients(f, args, **options):
    """The value and all gradients of f by JAX, the numbers among the arguments made arrays."""
    leaves, tree = jax.tree.flatten(args)
    leaves = [jnp.asarray(a) for a in leaves]
    active = [i for i, a in enumerate(leaves) if jnp.issubdtype(a.dtype, jnp.inexact)]

    def of_active(*given):
        filled = list(leaves)
        for i, a in zip(active, given, strict=True):
            filled[i] = a
        return f(*jax.tree.unflatten(tree, filled), **options)

    return jax.value_and_grad(of_active, tuple(range(len(active))))(*(leaves[i] for i in active))


def assert_same(record, f, args, *, bits=True, **options):
    """Equal to the last bit where JAX runs the same operations one by one; else to rounding."""
    with jax.disable_jit(bits):
        value, grads = gradients(f, args, **options)
    mine = jax.tree.leaves(record.gradients)
    assert len(mine) == len(grads)
    for a, b in zip([record.value, *mine], [value, *grads], strict=True):
        assert a.dtype == b.dtype
        if bits:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def operations(record, *, top=False):
    return [s.operation for s in record.steps if not top or s.parent is None]


def step_of(record, operation):
    return next(s for s in record.steps if s.operation == operation)


def variables(record, indices):
    return [record.variables[i] for i in indices]


@jax.custom_jvp
def by_jvp(t):
    return jnp.sin(t)


@by_jvp.defjvp
def by_jvp_rule(primals, tangents):
    return by_jvp(primals[0]), 7.0 * tangents[0]


@jax.custom_vjp
def by_vjp(t):
    return jnp.sin(t)


by_vjp.defvjp(lambda t: (jnp.sin(t), t), lambda t, c: (3.0 * c * t,))

FUNCTIONS = {
    "used again": (lambda t: jnp.sum(t * t * t + t / t - t @ t), (x,)),
    "python numbers": (lambda a, b: a * b, (2.0, 3.0)),
    "an argument not used": (lambda a, b: a * 2, (2.0, x)),
    "integers and keys": (
        lambda a, i, k: a[i] * jax.random.normal(k, ()) + jax.random.bernoulli(k, 0.5, (5,)) @ a,
        (x, 2, key),
    ),
    "reductions": (
        lambda t: jnp.max(t) * jnp.cumsum(t).sum() + jax.nn.logsumexp(t) + jnp.prod(t),
        (x,),
    ),
    "sort, gather, scatter": (
        lambda t: jnp.sort(t)[1] + t[jnp.array([0, 0, 3])].sum() + (t.at[1].add(t[2]) ** 2).sum(),
        (x,),
    ),
    "complex": (lambda t: jnp.abs(jnp.fft.fft(t * (1 + 2j))).sum(), (x,)),
    "bfloat16": (lambda t: jnp.tanh(t).sum(), (x.astype(jnp.bfloat16),)),
    "einsum": (lambda a: jnp.einsum("ij,jk,kl->il", a, a, a).sum(), (M,)),
    "convolution": (
        lambda a, k: jnp.tanh(lax.conv(a, k, (1, 1), "SAME")).sum(),
        (jax.random.normal(key, (1, 2, 6, 6)), jax.random.normal(key, (3, 2, 3, 3))),
    ),
    "solve": (lambda a, b: jnp.linalg.solve(a, b).sum(), (M, x)),
    "cholesky": (lambda a: jnp.linalg.cholesky(a).sum(), (P,)),
    "svd": (lambda a: jnp.linalg.svd(a)[0].sum() + jnp.linalg.svd(a)[1][0], (M,)),
    "singular values": (lambda a: jnp.linalg.svd(a, compute_uv=False).sum(), (M,)),
    "eigh": (lambda a: (jnp.linalg.eigh(a)[1] ** 3).sum(), (P,)),
    "equal eigenvalues": (lambda a: jnp.linalg.eigh(a)[0].sum(), (jnp.eye(3),)),
    "log-determinant": (lambda a: jnp.linalg.slogdet(a)[1], (P,)),
    "special functions": (
        lambda t: jnp.sum(
            jax.scipy.special.gammaln(t)
            + jax.scipy.special.digamma(t)
            + jax.scipy.special.erfinv(t / 3)
            + jax.scipy.special.i0e(t)
            + jax.scipy.special.log_ndtr(t)
            + jax.scipy.special.entr(t)
            + jax.scipy.special.gammainc(2.0, t)
            + jax.scipy.special.betainc(2.0, 3.0, t / 3)
        ),
        (x,),
    ),
    "a loop backwards": (
        lambda t: lax.scan(lambda c, a: (c * a + 1, c), 1.0, t, reverse=True)[1].sum(),
        (x,),
    ),
    "a loop with a constant": (
        lambda t, w: lax.scan(lambda c, a: (jnp.tanh(w * c + a), c), w, t)[1].sum() + w,
        (x, 2.0),
    ),
    "fori_loop": (lambda t: lax.fori_loop(0, 5, lambda i, c: c * jnp.sin(t) + i, t), (2.0,)),
    "a branch": (lambda t: lax.cond(t > 0, jnp.sin, jnp.cos, t), (2.0,)),
    "a branch that does nothing": (lambda t: lax.cond(t < 0, jnp.sin, lambda t: t, t), (2.0,)),
    "a switch": (lambda t: lax.switch(7, [jnp.sin, jnp.cos, lambda t: t**3], t), (2.0,)),
    "while apart": (lambda t: t * lax.while_loop(lambda c: c < 3, lambda c: c + 1, 0), (2.0,)),
    "checkpoint": (
        lambda t: lax.scan(jax.checkpoint(lambda c, a: (jnp.sin(c * a), c)), t[0], t)[0],
        (x,),
    ),
    "custom_jvp": (lambda t: by_jvp(by_jvp(t)).sum(), (x,)),
    "custom_vjp": (lambda t: by_vjp(by_vjp(t)).sum(), (x,)),
    "custom rules in a loop": (
        lambda t: lax.scan(lambda c, a: (jax.nn.relu(c) * by_vjp(a), c), t[0], t)[0],
        (x,),
    ),
    "custom_root": (
        lambda a: lax.custom_root(
            lambda t: t**2 - a,
            1.0,
            lambda f, t: lax.fori_loop(0, 9, lambda i, t: t - f(t) / (2 * t), t),
            lambda g, y: y / g(1.0),
        ),
        (2.0,),
    ),
    "a gradient's gradient": (
        lambda t: jnp.sum(jax.grad(lambda y: jnp.sum(jnp.tanh(y) ** 2))(t) ** 2),
        (x,),
    ),
    "a Hessian": (lambda t: jnp.sum(jax.hessian(lambda y: jnp.sum(jnp.tanh(y)))(t) ** 2), (x,)),
    "forward within": (lambda t: jax.jvp(jnp.sin, (t,), (t,))[1].sum(), (x,)),
    "stop_gradient": (lambda t: (lax.stop_gradient(jnp.sqrt(t)) * t).sum(), (jnp.arange(3.0),)),
    "nan in the gradient": (lambda t: jnp.where(t > 0, jnp.sqrt(t), 0).sum(), (jnp.arange(3.0),)),
}


class TestNumbers:
    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_are_those_of_jax_to_the_last_bit(self, name):
        f, args = FUNCTIONS[name]
        assert_same(trace(f, *args), f, args)

    def test_may_round_otherwise_where_a_compiler_fuses(self):
        def f(params, inputs):
            return jnp.mean(mlp(params, inputs, activation=jnp.tanh) ** 2)

        args = mlp_init(key, (3, 8, 8, 2)), jax.random.normal(key, (4, 3))
        record = trace(f, *args)
        assert_same(record, f, args)
        assert_same(record, jax.jit(f), args, bits=False)
        # Batching before or after transposing a product: the sums are taken in another order.
        g = jax.vmap(lambda row: jnp.tanh(row) @ row)
        assert_same(trace(lambda a: g(a).sum(), M), lambda a: g(a).sum(), (M,), bits=False)

    def test_may_add_in_another_order(self):
        """JAX adds the two terms of tanh's derivative one by one to what the product gave."""
        f, t = lambda t: jnp.sum(t * jnp.tanh(t)), jax.random.normal(key, (1000,))
        with jax.disable_jit():
            wanted = jax.grad(f)(t)
        found = trace(f, t).gradients[0]
        assert np.any(found != wanted)
        np.testing.assert_array_max_ulp(found, wanted, 4)

    @pytest.mark.usefixtures("x64")
    def test_in_float64(self):
        args = (jnp.linspace(0.1, 2.0, 5),)
        f = FUNCTIONS["special functions"][0]
        record = trace(f, *args)
        assert record.value.dtype == jnp.float64
        assert_same(record, f, args)

    def test_batched_loops_that_end_by_themselves(self):
        f = jax.vmap(
            lambda n: lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * 2), (0, 1.0))[
                1
            ]
        )
        record = trace(lambda t: (t * f(jnp.array([1, 3, 2]))).sum(), jnp.ones(3))
        np.testing.assert_array_equal(record.gradients[0], [2.0, 8.0, 4.0])

    def test_a_result_that_does_not_depend_on_the_arguments(self):
        record = trace(lambda t: 3.0, x)
        assert isinstance(record.value, jax.Array)
        assert record.value == 3.0
        np.testing.assert_array_equal(record.gradients[0], jnp.zeros(5))
        record = trace(lambda t: t, 2.0)
        assert (record.value, record.gradients, record.steps) == (2.0, (1.0,), ())

    def test_a_loop_of_no_steps(self):
        record = trace(lambda t: lax.scan(lambda c, a: (c * a, c), t[0], t[:0])[0], x)
        np.testing.assert_array_equal(record.gradients[0], [1, 0, 0, 0, 0])

    def test_any_cotangent_of_any_tree(self):
        def f(t):
            return {"a": jnp.sin(t), "n": jnp.argmax(t), "b": t @ t}

        given = {"a": x, "n": None, "b": 2.0}
        record = trace(f, x, cotangent=given)
        _, back = jax.vjp(lambda t: (jnp.sin(t), t @ t), x)
        np.testing.assert_array_equal(record.gradients[0], back((x, jnp.float32(2.0)))[0])
        assert record.value["n"] == 4

    def test_what_has_no_gradient_is_carried(self):
        record = trace(lambda a, i, k, m: a[i] * m.sum(), x, 1, key, jnp.ones(2, bool))
        assert record.gradients[1:] == (None, None, None)
        record = trace(lambda a, b: a * 2, 2.0, {"w": x})
        np.testing.assert_array_equal(record.gradients[1]["w"], jnp.zeros(5))
        assert record.variables[record.arguments[1]].cotangent is None

    def test_cotangents_are_none_where_the_tree_has_none(self):
        record = trace(lambda t: (t * 2, None), x, cotangent=(jnp.ones(5), None))
        np.testing.assert_array_equal(record.gradients[0], jnp.full(5, 2.0))
        with pytest.raises(ValueError, match="trace: cotangent has the tree"):
            trace(lambda t: {"a": t[0], "b": t[1]}, x, cotangent=(None, 1.0))

    def test_what_cannot_be_named_is_carried(self):
        def f(t, options=None):
            return t[0] * options["a"] if options else later

        assert trace(f, x, options={1: 2, "a": 3}).value == 3 * x[0]
        if len(x) == 0:
            later = 1.0

    def test_keyword_arguments_are_passed_on(self):
        record = trace(lambda t, *, act, k: k * act(t).sum(), x, act=jnp.tanh, k=2.0)
        np.testing.assert_array_equal(record.value, 2.0 * jnp.tanh(x).sum())

    def test_every_cotangent_is_that_of_a_vjp_from_there(self):
        def rest(h):
            return jnp.sum(jnp.sin(h) ** 2)

        record = trace(lambda t: rest(jnp.exp(t)), x)
        (h,) = variables(record, step_of(record, "exp").outputs)
        np.testing.assert_allclose(h.cotangent.whole, jax.grad(rest)(jnp.exp(x)), rtol=1e-6)
        np.testing.assert_array_equal(h.value.whole, jnp.exp(x))

    def test_effects_happen(self, capsys):
        def f(t):
            jax.debug.print("sum {s}", s=t.sum())
            return t.sum()

        trace(f, jnp.ones(3))
        jax.effects_barrier()
        assert capsys.readouterr().out == "sum 3.0\n"


class TestStructure:
    def test_children_follow_their_parent(self):
        def f(t):
            z = jax.jit(lambda s: by_jvp(jnp.tanh(s)))(t)
            return lax.scan(lambda c, a: (c + jax.nn.relu(a), None), 0.0, z)[0]

        record = trace(f, x)
        for step in record.steps:
            assert all(k > step.index for k in step.children)
            assert all(record.steps[k].parent == step.index for k in step.children)
            for v in variables(record, step.outputs):
                assert v.producer is None or v.producer >= step.index
        assert operations(record, top=True) == ["jit", "scan"]
        inner = [record.steps[k].operation for k in record.steps[0].children]
        assert inner == ["tanh", "custom_jvp_call"]

    def test_a_loop_has_its_iterations(self):
        record = trace(lambda t: lax.scan(lambda c, a: (c * a, c), 1.0, t)[0], x)
        (scan,) = [s for s in record.steps if s.operation == "scan"]
        labels = [record.steps[k].label for k in scan.children]
        assert labels == ["unstack", *(f"iteration {i}" for i in range(5)), "stack"]
        names = [v.name for v in variables(record, record.steps[scan.children[0]].outputs)]
        assert names == [f"t[{i}]" for i in range(5)]
        # The cotangent of the product so far is the product of what follows.
        carried = [record.steps[k].inputs[0] for k in scan.children[1:6]]
        for i, v in enumerate(variables(record, carried)):
            if v.kind == "step":
                np.testing.assert_allclose(v.cotangent.whole, jnp.prod(x[i:]), rtol=1e-6)

    def test_reversed_loops_run_backwards(self):
        record = trace(lambda t: lax.scan(lambda c, a: (c * a, c), 1.0, t, reverse=True)[0], x[:2])
        labels = [s.label for s in record.steps if s.operation == "iteration"]
        assert labels == ["iteration 1", "iteration 0"]

    def test_what_has_a_rule_of_its_author_says_so(self):
        record = trace(lambda t: by_jvp(t).sum(), x)
        step = step_of(record, "custom_jvp_call")
        assert (step.label, step.note) == ("by_jvp", "derivative by a rule of its author")
        (inner,) = variables(record, record.steps[step.children[0]].outputs)
        assert inner.cotangent is None
        np.testing.assert_array_equal(inner.value.whole, jnp.sin(x))
        np.testing.assert_array_equal(record.gradients[0], jnp.full(5, 7.0))

    def test_branches_loops_and_checkpoints_say_what_they_did(self):
        def f(t):
            n = lax.while_loop(lambda c: c < 3, lambda c: c + 1, 0)
            t = lax.switch(n - 2, [jnp.sin, jnp.cos], t)
            return jax.checkpoint(jnp.exp)(t)

        record = trace(f, 2.0)
        assert step_of(record, "cond").note == "branch 1 of 2 taken"
        assert step_of(record, "while").note.startswith("3 iterations; no reverse mode")
        assert next(s for s in record.steps if s.label == "checkpoint").note == (
            "computed again in the backward pass"
        )
        assert [s.label for s in record.steps if s.operation == "iteration"] == [
            *("iteration 0", "iteration 1", "iteration 2", "last test")
        ]

    def test_what_passes_no_gradient_says_so(self):
        def f(t):
            above = t > 1
            return jnp.sum(jnp.floor(t) + lax.stop_gradient(t) + jnp.where(above, t, 0))

        record = trace(f, x)
        assert step_of(record, "gt").note == "not differentiable"
        assert step_of(record, "floor").note == "its derivative is 0 wherever it exists"
        assert step_of(record, "stop_gradient").note == "no gradient passes, as is asked for"
        assert step_of(record, "reduce_sum").note == ""

    def test_large_arrays_are_summed_up(self):
        record = trace(lambda t: (t * 2).sum(), jnp.arange(100.0), keep=50)
        (v,) = variables(record, record.arguments)
        assert v.value.whole is None
        assert v.cotangent.whole is None
        assert (v.value.minimum, v.value.maximum, v.value.mean) == (0, 99, 49.5)
        np.testing.assert_allclose(v.value.norm, np.linalg.norm(np.arange(100.0)))
        assert v.value.counts.sum() == 100
        kept = trace(lambda t: (t * 2).sum(), jnp.arange(100.0), keep=math.inf)
        np.testing.assert_array_equal(kept.variables[0].value.whole, jnp.arange(100.0))


def layer(w, h):
    return jnp.tanh(h @ w)


def network(ws, inputs):
    h = inputs
    for w in ws:
        h = layer(w, h)
    scores = h * 2.0 + 1.0
    low, high = jnp.min(scores), jnp.max(scores)
    return high - low


class TestSource:
    def test_steps_know_their_line_and_function(self):
        record = trace(network, [M, M], x)
        tanh = step_of(record, "tanh")
        assert tanh.function == "network.layer"
        assert tanh.site.text == "return jnp.tanh(h @ w)"
        assert tanh.site.file == __file__
        assert tanh.site.function == "layer"
        assert [f.text for f in tanh.frames] == ["h = layer(w, h)", tanh.site.text]
        first, text = record.sources[f"{__file__}:layer"]
        assert text.splitlines()[tanh.site.line - first].strip() == tanh.site.text

    def test_what_wraps_a_function_leaves_no_frame(self):
        def doubled(f):
            @functools.wraps(f)
            def wrapper(t):
                return 2 * f(t)

            return wrapper

        @doubled
        def bent(t):
            return jnp.tanh(t)

        def loss(t):
            h = bent(t)
            return h.sum()

        record = trace(loss, x)
        assert {s.operation: s.function for s in record.steps if not s.children} == {
            "tanh": "loss.bent",
            "mul": "loss",
            "reduce_sum": "loss",
        }
        (mul,) = [s for s in record.steps if s.operation == "mul"]
        assert mul.site.text == "h = bent(t)"
        assert record.variables[mul.outputs[0]].name == "h"
        assert {s.function for s in trace(doubled(jnp.sum), x).steps} == {"wrapper"}

    def test_variables_have_the_names_of_the_source(self):
        record = trace(network, [M, M], x)
        names = [v.name for v in record.variables if v.kind != "literal"]
        assert names[:3] == ["ws[0]", "ws[1]", "inputs"]
        assert [v.name for v in variables(record, step_of(record, "add").outputs)] == ["scores"]
        assert names.count("h") == 2
        assert "low" not in names  # an unpacked pair is no single expression
        params = mlp_init(key, (2, 3, 1))
        record = trace(lambda params: mlp(params, jnp.ones(2), activation=jnp.tanh).sum(), params)
        assert [v.name for v in variables(record, record.arguments)] == [
            *("params[0].kernel", "params[0].bias", "params[1].kernel", "params[1].bias")
        ]

    def test_what_a_loop_returns_is_named_as_it_is_unpacked(self):
        def f(t):
            state, sums = lax.scan(lambda c, a: ((c[0] + a, c[1] * a), c[0]), (0.0, 1.0), t)
            (total, product), _ = lax.scan(lambda c, a: ((c[0] + a, c[1] * a), None), state, t)
            low, high = jnp.linalg.eigh(jnp.outer(t, t))
            high += low
            return total * product + sums.sum() + high.sum()

        record = trace(f, x)
        first, second = (s for s in record.steps if s.operation == "scan")
        names = [v.name for v in variables(record, first.outputs)]
        assert names == ["state[0]", "state[1]", "sums"]
        assert [v.name for v in variables(record, second.outputs)] == ["total", "product"]
        names = [v.name for v in record.variables]
        assert (names.count("low"), names.count("high")) == (1, 2)

    def test_constants_have_the_names_that_f_has_for_them(self):
        data = jnp.arange(5.0)
        record = trace(lambda t, *, more: (t * data * more).sum(), x, more=data + 1)
        assert {v.name for v in record.variables if v.kind == "constant"} == {"data", "more"}

    def test_a_compiled_function_is_shown_where_it_is_called_now(self):
        inner = jax.jit(layer)

        def elsewhere(t):
            return inner(M, t).sum()

        jax.make_jaxpr(elsewhere)(x)  # JAX keeps the trace, with the places of this call

        def here(t):
            return inner(M, inner(M, t)).sum()

        functions = [s.function for s in trace(here, x).steps if s.operation == "tanh"]
        assert functions == ["here.layer", "here.layer"]

    def test_a_compiled_function_that_was_used_elsewhere(self):
        compiled = jax.jit(lambda t: layer(M, t).sum())

        def elsewhere(t):
            return compiled(t) * 2

        first = trace(elsewhere, x).steps
        again = trace(compiled, x).steps
        name = f"<lambda:{compiled.__wrapped__.__code__.co_firstlineno}>"
        assert [s.function for s in first if s.operation == "tanh"] == [f"elsewhere.{name}.layer"]
        assert [s.function for s in again if s.operation == "tanh"] == [f"{name}.layer"]
        assert jax.tree.all(
            jax.tree.map(
                jnp.array_equal,
                trace(compiled, x).gradients[0] * 2,
                trace(elsewhere, x).gradients[0],
            )
        )

    def test_a_function_without_source(self):
        namespace = {"jnp": jnp}
        exec("def f(t):\n    h = jnp.sin(t)\n    return h.sum()", namespace)
        record = trace(namespace["f"], x)
        step = step_of(record, "sin")
        assert (step.site.line, step.site.text, step.function) == (2, "", "f")
        assert "<string>" in str(record)


class TestErrors:
    def test_names_the_line_that_decides_by_values(self):
        def f(t):
            if t.sum() > 0:
                return t.sum()
            return -t.sum()

        with pytest.raises(TypeError, match=r"`if t.sum\(\) > 0:` decides by the values") as raised:
            trace(f, x)
        assert f"{__file__}:" in str(raised.value)
        assert "did you mean jnp.where or lax.cond for if" in str(raised.value)

    def test_names_the_line_that_leaves_jax(self):
        def f(t):
            return jnp.sum(np.sin(t))

        with pytest.raises(TypeError, match=r"np.sin\(t\)\)` makes a NumPy array"):
            trace(f, x)
        with pytest.raises(TypeError, match=r"float\(t\[0\]\), x\)` takes a Python number"):
            trace(lambda t: t.sum() * float(t[0]), x)
        with pytest.raises(TypeError, match=r"did you mean jnp.where\(mask, x, 0\)"):
            trace(lambda t: t[t > 1].sum(), x)
        with pytest.raises(TypeError, match=r"takes a Python number by the values of an array"):
            trace(lambda t, n: sum(t[0] for _ in range(n)), x, 3)

    def test_a_number_that_decides_is_passed_by_its_name(self):
        def powers(t, n):
            for _ in range(n):
                t = t * t
            return t.sum()

        with pytest.raises(TypeError, match=r"by its name, trace\(f, x, n=3\)\?"):
            trace(powers, x, 3)
        assert trace(powers, x, n=3).gradients[0].shape == x.shape

    def test_references_are_refused(self):
        def f(t):
            r = jax.new_ref(t)
            r[...] = jnp.sin(t)
            return jnp.sum(r[...])

        with pytest.raises(TypeError, match="trace: f changes a reference"):
            trace(f, x)

    def test_the_record_does_not_change(self):
        record = trace(lambda t: jnp.sum(t), x)
        with pytest.raises(TypeError):
            record.steps[0].params["axes"] = ()
        with pytest.raises(TypeError):
            record.sources["a"] = (1, "")

    def test_a_gradient_through_while_is_refused(self):
        def f(t):
            return lax.while_loop(lambda c: c < 9, lambda c: c * 2, t)

        with pytest.raises(ValueError, match=r"`return lax.while_loop.*which has no reverse mode"):
            trace(f, 1.0)

    def test_numbers_are_needed(self):
        with pytest.raises(TypeError, match="trace: y is a tracer, and a record needs numbers"):
            jax.jit(lambda t: trace(total, t).value)(x)
        with pytest.raises(TypeError, match="trace: a constant of f is a tracer"):
            jax.grad(lambda t: trace(lambda s: (s * t).sum(), x).value)(x)

    def test_errors_of_f_are_its_own(self):
        def broken(t):
            raise RuntimeError("no such thing")

        with pytest.raises(RuntimeError, match="no such thing"):
            trace(broken, x)


class TestModels:
    def test_flax(self):
        nnx = pytest.importorskip("flax.nnx")

        class Model(nnx.Module):
            def __init__(self, rngs):
                self.first = nnx.Linear(5, 4, rngs=rngs)
                self.second = nnx.Linear(4, 1, rngs=rngs)

            def __call__(self, inputs):
                hidden = nnx.relu(self.first(inputs))
                return self.second(hidden)

        graph, state = nnx.split(Model(nnx.Rngs(0)))

        def loss(state, inputs):
            return jnp.mean(nnx.merge(graph, state)(inputs) ** 2)

        record = trace(loss, state, M)
        assert_same(record, loss, (state, M))
        assert any(v.name == "hidden" for v in record.variables)
        assert any("Model" in s.function for s in record.steps)

    def test_equinox(self):
        eqx = pytest.importorskip("equinox")
        model = eqx.nn.MLP(5, 1, 8, 2, key=key)
        params, static = eqx.partition(model, eqx.is_array)

        def loss(params, inputs):
            model = eqx.combine(params, static)
            return jnp.mean(jax.vmap(model)(inputs) ** 2)

        record = trace(loss, params, M)
        assert_same(record, loss, (params, M), bits=False)
        assert record.variables[record.arguments[0]].name == "params.layers[0].weight"

    def test_optax(self):
        optax = pytest.importorskip("optax")
        labels = jnp.array([0, 1, 2, 3, 4])

        def loss(z):
            return optax.softmax_cross_entropy_with_integer_labels(z, labels).mean()

        assert_same(trace(loss, M), loss, (M,))

    def test_networks(self):
        labels = jnp.array([0, 1, 2, 1, 0])

        def loss(params, inputs):
            scores = mlp(params, inputs, activation=jax.nn.gelu)
            return softmax_cross_entropy_with_integer_labels(scores, labels).mean()

        args = mlp_init(key, (5, 7, 3)), M
        assert_same(trace(loss, *args), loss, args)

    @pytest.mark.slow
    def test_a_transformer_and_a_convolutional_network(self):
        from fnmath.networks import lenet, lenet_init, transformer_decoder, transformer_decoder_init

        params = transformer_decoder_init(key, 11, 8, length=6, depth=2, heads=2)
        ids = jnp.array([[1, 2, 3, 4], [5, 6, 7, 8]])

        def loss(params, ids):
            scores = transformer_decoder(params, ids[:, :-1], heads=2)
            return softmax_cross_entropy_with_integer_labels(scores, ids[:, 1:]).mean()

        assert_same(trace(loss, params, ids), loss, (params, ids))
        images = jax.random.normal(key, (2, 28, 28, 1))

        def score(params, images):
            return lenet(params, images)[:, 0].sum()

        args = lenet_init(key), images
        assert_same(trace(score, *args), score, args, bits=False)

    @pytest.mark.slow
    def test_a_transformer_of_ten_million_parameters(self):
        from fnmath.networks import transformer_decoder, transformer_decoder_init

        params = transformer_decoder_init(key, 1000, 256, length=64, depth=12, heads=4)
        ids = jax.random.randint(key, (2, 65), 0, 1000)

        def loss(params, ids):
            scores = transformer_decoder(params, ids[:, :-1], heads=4)
            return softmax_cross_entropy_with_integer_labels(scores, ids[:, 1:]).mean()

        record = trace(loss, params, ids)
        assert sum(p.size for p in jax.tree.leaves(params)) > 9.5e6
        value, grads = jax.jit(jax.value_and_grad(loss))(params, ids)
        np.testing.assert_allclose(record.value, value, rtol=1e-6)
        for a, b in zip(jax.tree.leaves(record.gradients[0]), jax.tree.leaves(grads), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6 * (1 + jnp.abs(b).max()))
        tensors = [t for v in record.variables for t in (v.value, v.cotangent) if t is not None]
        kept = [t.whole.nbytes for t in tensors if t.whole is not None]
        assert max(t.size for t in tensors) > 1e6
        assert sum(kept) < 20e6
        assert max(t.size for t in tensors if t.whole is not None) <= 4096

    @pytest.mark.slow
    def test_an_lstm_over_a_hundred_steps(self):
        from fnmath.layers import lstm, lstm_init

        params = lstm_init(key, 3, 4)
        inputs = jax.random.normal(key, (2, 100, 3))

        def loss(params, inputs):
            return jnp.mean(lstm(params, inputs)[0] ** 2)

        record = trace(loss, params, inputs)
        assert_same(record, loss, (params, inputs))
        assert sum(s.operation == "iteration" for s in record.steps) == 100


def test_the_module_is_not_the_function():
    from fnmath.backprop import tracing

    assert isinstance(tracing, types.ModuleType)
    assert tracing.trace is trace
