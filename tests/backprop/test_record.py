"""What a trace tells of itself: Jacobians, norms, the first nan, costs, the listing."""

import functools
import itertools
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnmath.backprop import trace
from fnmath.networks import mlp, mlp_init

key = jax.random.key(0)
x = jnp.linspace(0.1, 2.0, 5)
M = jax.random.normal(key, (5, 5))


def layer(w, h):
    return jnp.tanh(h @ w)


def network(ws, inputs):
    """The sum of what the last layer gives.

    This is not listed.
    """
    h = inputs
    for w in ws:
        h = layer(w, h)
    return jnp.sum(h)


def hidden_root(t):
    root = jnp.sqrt(t)
    return jnp.where(t > 0, root, 0).sum()


class TestJacobian:
    @pytest.mark.usefixtures("x64")
    def test_the_product_along_a_chain_is_the_gradient(self):
        t = jnp.linspace(0.1, 2.0, 5)

        def chain(t):
            return jnp.sum(jnp.tanh(jnp.cumsum(jnp.exp(t)) / 7.0))

        record = trace(chain, t)
        first = {s.operation: s.jacobian()[0] for s in record.steps if not s.children}
        names = ["reduce_sum", "tanh", "div", "cumsum", "exp"]
        assert list(first) == names[::-1]
        product = functools.reduce(operator.matmul, [first[name] for name in names])
        assert product.shape == (1, 5)
        np.testing.assert_allclose(product[0], record.gradients[0], rtol=1e-14)

    def test_takes_the_cotangent_back(self):
        record = trace(network, [M, M], x)
        for step in record.steps:
            if step.operation != "dot_general":
                continue
            (made,) = step.outputs
            bar = record.variables[made].cotangent.whole.reshape(-1)
            for k, matrix in zip(step.inputs, step.jacobian(), strict=True):
                v = record.variables[k]
                np.testing.assert_allclose(
                    matrix.T @ bar, v.cotangent.whole.reshape(-1), rtol=1e-5, atol=1e-6
                )

    def test_of_several_outputs_and_of_integers(self):
        record = trace(lambda t: jnp.linalg.eigh(t)[0][1] * 2, M + M.T)
        step = next(s for s in record.steps if s.operation == "eigh")
        (matrix,) = step.jacobian()
        assert matrix.shape == (30, 25)
        record = trace(lambda t, i: t[i], x, 2)
        matrices = (
            next(s for s in record.steps if s.operation == "gather").jacobian()
            if any(s.operation == "gather" for s in record.steps)
            else next(s for s in record.steps if s.operation == "dynamic_slice").jacobian()
        )
        np.testing.assert_array_equal(matrices[0], np.eye(5)[2:3])
        assert matrices[1] is None

    def test_says_why_there_is_none(self):
        record = trace(lambda t: (t * 2).sum(), jnp.ones(100), keep=10)
        with pytest.raises(
            ValueError, match=r"Step.jacobian: the inputs of mul are not kept whole"
        ):
            record.steps[0].jacobian()
        record = trace(lambda t: (t * 2).sum(), jnp.ones(4096), keep=5000)
        with pytest.raises(ValueError, match="the Jacobian of mul is 4096 × 4096"):
            record.steps[0].jacobian()
        record = trace(lambda t: lax.scan(lambda c, a: (c * a, None), 1.0, t)[0], x)
        iteration = next(s for s in record.steps if s.operation == "iteration")
        with pytest.raises(ValueError, match=r"step \d+ \(iteration 0\) is no single operation"):
            iteration.jacobian()

    def test_of_what_has_none_is_none(self):
        record = trace(lambda t, i: jnp.sum(t * i), x, jnp.arange(5))
        convert = next(s for s in record.steps if s.operation == "convert_element_type")
        assert convert.jacobian() == (None,)

    def test_of_what_is_empty_is_empty(self):
        record = trace(lambda t: jnp.sum(jnp.sin(t[:0])) + t[0], x)
        sin = next(s for s in record.steps if s.operation == "sin")
        assert sin.jacobian()[0].shape == (0, 0)

    def test_of_complex_numbers_is_refused(self):
        record = trace(lambda t: jnp.abs(jnp.sum(t * 1j)), x)
        step = next(s for s in record.steps if s.operation == "abs")
        with pytest.raises(ValueError, match=r"Step.jacobian: abs takes complex numbers"):
            step.jacobian()

    def test_without_children_none_are_wanted(self):
        record = trace(lambda t: lax.scan(lambda c, a: (c * a, None), 1.0, t)[0], x)
        unstack = next(s for s in record.steps if s.operation == "unstack")
        with pytest.raises(ValueError, match=r"\(unstack\) is no single operation with a Jac\w+$"):
            unstack.jacobian()


def pair_of(t):
    a = jnp.sin(t)
    c = a * 2.0
    return a, c


def either(t, c):
    return jnp.sin(t) if c else jnp.cos(t)


def by_turns(t, squeeze):
    y = t * 2.0
    if squeeze:
        y = y[0]
    return y


def shifted(t):
    y = t - 1.0
    y = y * 2.0
    y = y + 3.0
    return y  # noqa: RET504  (what is returned by its name is what is tested)


class TestNorms:
    def test_every_function_has_its_row(self):
        def loss(t):
            _, c = pair_of(t)
            d = either(c, True)
            e = by_turns(d, False)
            z = shifted(e)
            return z.sum()

        rows = [row.name for row in trace(loss, x).norms(by="function").rows]
        names = ["pair_of", "either", "by_turns", "shifted"]
        assert rows == [*(f"loss.{name}" for name in names), "loss"]

    def test_a_line_that_calls_shows_what_the_call_returns(self):
        def loss(t):
            z = shifted(t)
            return z.sum()

        (line,) = [s for s in str(trace(loss, x)).splitlines() if "z = shifted(t)" in s]
        assert "×" not in line

    def test_by_parameter(self):
        params = mlp_init(key, (5, 4, 1))
        record = trace(lambda params, i: mlp(params, x, activation=jnp.tanh)[i], params, 0)
        table = record.norms()
        assert [row.name for row in table.rows] == [
            *("params[0].kernel", "params[0].bias", "params[1].kernel", "params[1].bias")
        ]
        for row, p, g in zip(
            table.rows, jax.tree.leaves(params), jax.tree.leaves(record.gradients[0]), strict=True
        ):
            np.testing.assert_allclose(row.value, jnp.linalg.norm(p), rtol=1e-6)
            np.testing.assert_allclose(row.gradient, jnp.linalg.norm(g), rtol=1e-6)
            assert row.ratio is None if row.value == 0 else row.ratio == row.gradient / row.value
        lines = str(table).splitlines()
        assert lines[0].split() == ["parameter", "shape", "value", "gradient", "ratio"]
        assert lines[1].startswith("params[0].kernel  (5, 4)  ")

    def test_a_parameter_without_influence_has_gradient_zero(self):
        rows = trace(lambda a, b: a * 2, 1.0, x).norms().rows
        assert [row.gradient for row in rows] == [2.0, 0.0]

    def test_gradients_vanish_layer_by_layer(self):
        record = trace(network, [0.1 * jnp.eye(5)] * 6, x)
        rows = [r for r in record.norms(by="function").rows if r.name == "network.layer"]
        assert len(rows) == 6
        ratios = [b.gradient / a.gradient for a, b in itertools.pairwise(rows)]
        np.testing.assert_allclose(ratios, 10, rtol=0.1)

    def test_by_line(self):
        names = [r.name for r in trace(network, [M], x).norms(by="line").rows]
        line = layer.__code__.co_firstlineno + 1
        assert f"network.layer:{line} h" in names
        with pytest.raises(ValueError, match=r"Trace.norms: by is 'layer'"):
            trace(network, [M], x).norms(by="layer")

    def test_long_tables_lose_their_middle(self):
        table = trace(lambda ps: sum(ps), [1.0] * 100).norms()
        lines = str(table).splitlines()
        assert len(table.rows) == 100
        assert len(lines) == 62
        assert "… 40 more" in str(table)


class TestFirstNonfinite:
    def test_none_where_all_is_finite(self):
        assert trace(network, [M], x).first_nonfinite() is None

    def test_of_a_sum_of_cotangents(self):
        """Each is finite, and their sum is not: no step made it."""
        found = trace(lambda t: 3e38 * t + 3e38 * t, jnp.float32(0)).first_nonfinite()
        assert (found.direction, found.kind, found.name, found.step) == (
            "backward",
            "inf",
            "t",
            None,
        )
        assert (
            str(found)
            == "inf in the gradient of t, made where its cotangents, all finite, are added"
        )

    def test_of_a_constant_that_reaches_the_result(self):
        W = jnp.array([jnp.nan, 1.0, 1.0, 1.0, 1.0])
        found = trace(lambda t: jnp.sum(jnp.sin(t) * W), x).first_nonfinite()
        assert (found.direction, found.kind, found.name, found.step) == (
            "forward",
            "nan",
            "W",
            None,
        )
        mask = jnp.where(jnp.arange(5) < 4, 0.0, -jnp.inf)
        record = trace(lambda t: jax.nn.softmax(t + mask)[0], x)
        assert record.first_nonfinite() is None

    def test_beside_one_that_was_given(self):
        """An exponential of 2000 is to blame for itself, whatever a mask says elsewhere."""
        mask = jnp.array([-jnp.inf, 0.0, 0.0, 0.0, 0.0])
        found = trace(lambda t: jnp.sum(jnp.exp(t * 1e3 + mask)), x).first_nonfinite()
        assert (found.direction, found.kind, found.operation) == ("forward", "inf", "exp")

    def test_names_the_root_behind_a_where(self):
        record = trace(hidden_root, jnp.array([0.0, 1.0]))
        assert np.isfinite(record.value)
        found = record.first_nonfinite()
        assert (found.direction, found.kind, found.operation) == ("backward", "nan", "sqrt")
        assert found.site.text == "root = jnp.sqrt(t)"
        assert found.site.line == hidden_root.__code__.co_firstlineno + 1
        assert f"{__file__}:{found.site.line}: root = jnp.sqrt(t)" in str(found)

    def test_not_the_other_use_of_the_same_value(self):
        def f(t):
            a = hidden_root(t)
            return a + jnp.sin(t).sum()

        found = trace(f, jnp.array([0.0, 1.0])).first_nonfinite()
        assert found.operation == "sqrt"

    def test_forward_comes_first(self):
        def f(t):
            low = jnp.log(t)
            return jnp.sum(low - low)

        found = trace(f, jnp.array([0.0, 1.0])).first_nonfinite()
        assert (found.direction, found.kind, found.operation) == ("forward", "inf", "log")
        assert (found.name, found.function) == ("low", "f")

    def test_masks_of_infinity_are_no_fault(self):
        def f(t):
            masked = jnp.where(t > 1, t, -jnp.inf)
            return jnp.sum(jax.nn.softmax(masked) * t)

        assert trace(f, x).first_nonfinite() is None

    def test_within_loops_and_functions_with_a_rule(self):
        def f(t):
            def body(c, a):
                c = c / (a - 1)
                return c, None

            return lax.scan(body, 1.0, t)[0]

        found = trace(f, jnp.array([3.0, 1.0])).first_nonfinite()
        assert (found.kind, found.operation, found.site.text) == ("inf", "div", "c = c / (a - 1)")

        @jax.custom_jvp
        def g(t):
            return t**2

        g.defjvp(lambda p, t: (g(p[0]), t[0] / 0))
        found = trace(lambda t: g(t).sum(), x).first_nonfinite()
        assert (found.direction, found.operation) == ("backward", "g")

    def test_what_was_given(self):
        found = trace(lambda t: t.sum(), jnp.array([jnp.nan, 1.0])).first_nonfinite()
        assert (found.step, str(found)) == (None, "nan in t, which was given")
        found = trace(lambda t: t * 2, 1.0, cotangent=jnp.inf).first_nonfinite()
        assert (found.direction, found.kind, found.step) == ("backward", "inf", None)


class TestCost:
    def test_of_a_matrix_product(self):
        a, b = jnp.ones((3, 4)), jnp.ones((4, 5))
        cost = trace(lambda a, b: (a @ b).sum(), a, b).cost()
        product, total = cost.rows[0], cost.rows[-1]
        assert product.flops == 2 * 3 * 4 * 5
        assert product.backward_flops == 2 * product.flops
        assert product.bytes == 4 * (12 + 20 + 15)
        assert total.flops == 15
        assert (cost.inputs, cost.outputs) == (32, 1)
        assert cost.flops == 120 + 15
        assert cost.reverse_mode == cost.flops + cost.backward_flops
        assert cost.forward_mode == cost.flops + 32 * cost.backward_flops
        assert "32 gradients" in str(cost)

    @pytest.mark.parametrize("backward", [False, True])
    def test_is_close_to_what_the_compiler_counts(self, backward):
        params = mlp_init(key, (32, 64, 64, 8))
        inputs = jax.random.normal(key, (16, 32))

        def loss(params, inputs):
            return jnp.mean(mlp(params, inputs, activation=jnp.sin) ** 2)

        f = jax.value_and_grad(loss, (0, 1)) if backward else loss
        counted = jax.jit(f).lower(params, inputs).compile().cost_analysis()["flops"]
        cost = trace(loss, params, inputs).cost()
        mine = cost.reverse_mode if backward else cost.flops
        assert 0.9 < mine / counted < 1.1

    def test_a_loop_costs_as_much_as_its_iterations(self):
        looped = trace(lambda t: lax.scan(lambda c, a: (jnp.sin(c * a), None), 1.0, t)[0], x)
        plain = trace(lambda t: functools.reduce(lambda c, a: jnp.sin(c * a), t, 1.0), x)
        assert looped.cost().flops == 10
        sines = [s for s in plain.steps if s.operation in ("sin", "mul")]
        assert sum(s.flops for s in sines) == 10

    def test_checkpoints_pay_twice(self):
        plain = trace(lambda t: jnp.sum(jnp.sin(jnp.sin(t))), x).cost()
        saved = trace(lambda t: jnp.sum(jax.checkpoint(lambda t: jnp.sin(jnp.sin(t)))(t)), x).cost()
        assert saved.flops == plain.flops
        assert saved.backward_flops == plain.backward_flops + 10


class TestListing:
    def test_has_values_and_gradients_on_each_line(self):
        record = trace(network, [M, M], x)
        text = str(record)
        lines = text.splitlines()
        assert lines[0].startswith("5 operations, to float32[]  ")
        assert lines[1].startswith("from ws[0] float32[5, 5]  ‖")
        (h,) = [line for line in lines if "h = layer(w, h)" in line]
        tanh = [s for s in record.steps if s.operation == "tanh"][-1]
        v = record.variables[tanh.outputs[0]]
        wanted = f"h float32[5]  ‖{v.value.norm:.4g}‖  gradient ‖{v.cotangent.norm:.4g}‖  ×2"
        assert h.endswith(wanted)
        number = network.__code__.co_firstlineno + 7
        assert h.startswith(f"{number:>5}      ")
        assert f"layer  {__file__}:" in text
        assert "This is not listed" not in text
        assert "    h = inputs" in text

    def test_counts_what_is_not_finite(self):
        assert "‖1‖ (1 not finite)" in str(trace(lambda t: t.sum(), jnp.array([jnp.nan, 1.0])))

    def test_leaves_out_the_most_of_many_arguments(self):
        text = str(trace(lambda ps: sum(ps), [1.0] * 45))
        assert "from ps[39] " in text
        assert "ps[40]" not in text
        assert "and 5 more arguments" in text

    def test_is_short_as_a_representation(self):
        record = trace(network, [M], x)
        assert repr(record) == "Trace(3 steps, 5 variables)"
