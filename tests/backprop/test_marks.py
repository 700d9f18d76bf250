"""fnmath.backprop.marks: what is held at a mark, and what would change if it were moved."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from fnmath.activations import gelu, softmax
from fnmath.backprop import Intermediates, Mark, intermediates, name, trace
from fnmath.layers import dense, dense_init
from fnmath.training import train_state_init, train_step
from tests.helpers import Mistake
from tests.training.problems import assert_same_bits

KEY = jax.random.key(0)
w = jnp.array([[0.3, -0.2], [0.5, 0.8]])
x = jnp.array([[0.1, -1.0], [0.7, 0.4], [2.0, -0.3]])


def called(f, *args, **options):
    return intermediates(f, **options)(*args)


def product(a, b):
    return jnp.sum(name("product", a * b))


def twice(a):
    return name("h", jnp.sin(name("h", a)))


def endless(a):
    return lax.while_loop(lambda b: b < 3, lambda b: name("inner", b * 2), a)


@jax.custom_jvp
def authored(a):
    return jnp.sin(name("inside", a))


authored.defjvp(lambda primals, tangents: (authored(*primals), jnp.cos(primals[0]) * tangents[0]))


def unlike(a):
    return lax.cond(a > 0, lambda a: name("h", a), lambda a: name("h", a * w).sum(), a)


def solved(a):
    def product(v):
        return name("product", a * v)

    return lax.custom_linear_solve(product, a, lambda _, b: b / a, symmetric=True)


MISTAKES = [
    Mistake(
        name, (0.5, "h"), {}, TypeError,
        "name: label is a float; wanted a str; did you mean name('h', …)?",
    ),
    Mistake(
        name, ("", w), {}, ValueError,
        "name: label is empty; wanted a text that says what is marked",
    ),
    Mistake(name, ("h", {}), {}, ValueError, "name: x (dict) holds no array"),
    Mistake(
        name, ("h", {"a": [w, "text"]}), {}, TypeError,
        "name: x['a'][1] is a str; wanted an array",
    ),
    Mistake(
        intermediates, (0.5,), {}, TypeError,
        "intermediates: f is a float; wanted a function",
    ),
    Mistake(
        intermediates, (product,), {"argnums": 0.0}, TypeError,
        "intermediates: argnums is 0.0; wanted an integer, or several",
    ),
    Mistake(
        intermediates, (product,), {"argnums": (0, True)}, TypeError,
        "intermediates: argnums is (0, True); wanted an integer, or several",
    ),
    Mistake(
        called, (product, w, w), {"argnums": (0, -2)}, ValueError,
        "intermediates: argnums is (0, -2), one argument twice",
    ),
    Mistake(
        called, (product, w, w), {"argnums": (0, 2)}, ValueError,
        "intermediates: argnums is 2, and product was given 2 arguments by position",
    ),
    Mistake(
        called, (product, 2, w), {}, TypeError,
        "intermediates: a is the integer 2; wanted a floating-point number; did you mean 2.0?",
    ),
    Mistake(
        called, (product, w.astype(int), w), {}, TypeError,
        "intermediates: a has dtype int32; wanted a floating dtype; did you mean "
        "a.astype(jnp.float32)?",
    ),
    Mistake(
        called, (jnp.sin, w), {}, ValueError,
        "intermediates: sin returned shape (2, 2); wanted a scalar; "
        "did you mean sin(...).mean(), or jacobian(sin)?",
    ),
    Mistake(
        called, (product, w, w), {"has_aux": True}, TypeError,
        "intermediates: product returned a ShapeDtypeStruct; with has_aux=True, wanted a pair "
        "(value, the rest)",
    ),
    Mistake(
        called, (twice, 0.5), {}, ValueError,
        "intermediates: two values are marked 'h'; did you mean "
        'with jax.named_scope("layer_1"), around one of them?',
    ),
    Mistake(
        called, (endless, 0.5), {}, ValueError,
        "intermediates: 'inner' is marked in a loop of unknown length, which has no reverse mode; "
        "did you mean jax.lax.scan, or a fori_loop between two Python integers?",
    ),
    Mistake(
        called, (authored, 0.5), {}, ValueError,
        "intermediates: 'inside' is marked in a function whose own rule (custom_jvp_call) says how "
        "it is derived or mapped, and that knows no marks; did you mean to mark what goes into it "
        "or comes out of it?",
    ),
    Mistake(
        called, (unlike, 0.5), {}, ValueError,
        "intermediates: two branches mark values of other shapes 'h'; wanted a label for each",
    ),
    Mistake(
        called, (solved, 0.5), {}, ValueError,
        "intermediates: 'product' is marked in a function whose own rule (custom_linear_solve) "
        "says how it is derived or mapped, and that knows no marks; did you mean to mark what goes "
        "into it or comes out of it?",
    ),
]  # fmt: skip


def perturbed(f, *args):
    """What ``f(mark, *args)`` holds at its marks, by perturbations that are added indeed."""
    values = {}

    def look(label, h):
        values[label] = h
        return h

    f(look, *args)

    def moved(zs):
        return f(lambda label, h: jax.tree.map(jnp.add, h, zs[label]), *args)

    cotangents = jax.grad(moved)(jax.tree.map(jnp.zeros_like, values))
    return {label: Mark(values[label], cotangents[label]) for label in values}


def assert_marks(found, expected, rtol=1e-12):
    assert set(found) == set(expected)
    chex.assert_trees_all_close(found, expected, rtol=rtol, atol=1e-14)


def network(mark, w, x):
    hidden = gelu(mark("first", x @ w))
    both = mark("both", {"sum": hidden.sum(0), "parts": [hidden, hidden @ w]})
    p = softmax(mark("logits", both["parts"][1] + both["sum"]))
    return -jnp.log(mark("p", p)[:, 0]).mean() + both["parts"][0][0, 0]


def loop(mark, w, x):
    """Three layers, one after the other; marks are lists of layers."""
    seen = []
    for i in range(3):
        x = mark(f"h{i}", jnp.tanh(x @ w + seen[-1] if seen else x @ w))
        seen += [mark(f"out{i}", x * i)]
    return sum((s**2).sum() * (i + 1.0) for i, s in enumerate(seen))


def stacked(marks):
    """The marks h0, h1, h2 as one, h."""
    labels = sorted({label[:-1] for label in marks})
    return {
        label: jax.tree.map(lambda *parts: jnp.stack(parts), *(marks[f"{label}{i}"] for i in "012"))
        for label in labels
    }


def scanned(w, x, *, reverse=False, wrap=lambda body: body):
    """``loop`` as a scan."""

    @wrap
    def body(carry, i):
        x, before = carry
        x = name("h", jnp.tanh(x @ w + before))
        out = name("out", x * i)
        return (x, out), out

    steps = jnp.arange(3.0)
    steps = steps[::-1] if reverse else steps
    _, outs = lax.scan(body, (x, jnp.zeros_like(x)), steps, reverse=reverse)
    weights = steps + 1
    return jnp.sum((outs**2).sum((1, 2)) * weights)


class TestIntermediates:
    @pytest.fixture(autouse=True)
    def in_float64(self, x64):
        self.w, self.x = w.astype(float), x.astype(float)

    def test_perturbations_say_the_same(self):
        f = functools.partial(network, name)
        found = intermediates(f)(self.w, self.x)
        assert_marks(found.marks, perturbed(network, self.w, self.x))
        assert isinstance(found, Intermediates)

    def test_value_and_gradients_are_those_of_jax(self):
        f = functools.partial(network, name)
        found = intermediates(f)(self.w, self.x)
        value, gradients = jax.value_and_grad(f)(self.w, self.x)
        np.testing.assert_allclose(found.value, value, 1e-15)
        np.testing.assert_allclose(found.gradients, gradients, 1e-14)
        several = intermediates(f, argnums=(1, 0))(self.w, self.x)
        assert isinstance(several.gradients, tuple)
        chex.assert_trees_all_close(several.gradients, jax.grad(f, (1, 0))(self.w, self.x))
        assert_marks(several.marks, found.marks)
        last = intermediates(f, argnums=-1)(self.w, self.x)
        chex.assert_trees_all_close(last.gradients, jax.grad(f, 1)(self.w, self.x))

    def test_without_marks(self):
        found = intermediates(lambda a: jnp.sin(a) * 2)(0.5)
        assert found == (2 * jnp.sin(0.5), 2 * jnp.cos(0.5), {})

    def test_what_else_a_function_takes_and_returns(self):
        def f(params, xs, power, *, scale):
            for _ in range(power):  # a number of Python's, as it was given
                xs = name("xs", xs * params["w"])
            return xs.sum() * scale, {"last": xs}

        found = intermediates(f, has_aux=True)({"w": 2.0}, self.x, 1, scale=3.0)
        loss, rest = found.value
        assert loss == 6 * self.x.sum()
        np.testing.assert_array_equal(rest["last"], 2 * self.x)
        np.testing.assert_array_equal(found.gradients["w"], 3 * self.x.sum())
        np.testing.assert_array_equal(found.marks["xs"].cotangent, np.full((3, 2), 3.0))
        empty = intermediates(lambda nothing, a: name("a", a) ** 2, argnums=(0, 1))((), 3.0)
        assert empty.gradients == ((), 6.0)

    @pytest.mark.parametrize("transform", [jax.jit, jax.checkpoint])
    def test_compiles_once_and_checkpoints(self, transform):
        f = functools.partial(network, name)
        chex.clear_trace_counter()
        traced = chex.assert_max_traces(intermediates(transform(f)), n=1)
        compiled = jax.jit(traced)
        expected = perturbed(network, self.w, self.x)
        for _ in range(2):
            assert_marks(compiled(self.w, self.x).marks, expected)

    def test_an_ensemble_by_vmap(self):
        ws = jnp.stack([self.w, -self.w, self.w.T])
        found = jax.vmap(intermediates(functools.partial(network, name)), (0, None))(ws, self.x)
        for i, each in enumerate(ws):
            marks = jax.tree.map(lambda a, i=i: a[i], found.marks)
            assert_marks(marks, perturbed(network, each, self.x))

    def test_derivatives_of_intermediates(self):
        def of_marks(marks):
            return sum(jnp.sum(jnp.sin(a)) for a in jax.tree.leaves(marks))

        def ours(w):
            return of_marks(intermediates(functools.partial(network, name))(w, self.x).marks)

        def expected(w):
            return of_marks(perturbed(network, w, self.x))

        np.testing.assert_allclose(jax.grad(ours)(self.w), jax.grad(expected)(self.w), 1e-11)
        np.testing.assert_allclose(
            jax.jacfwd(jax.grad(ours))(self.w), jax.hessian(expected)(self.w), 1e-9, 1e-12
        )

    def test_layers_told_apart_by_named_scopes(self):
        @jax.jit
        def layer(w, x):
            with jax.named_scope("inner"):
                return jnp.tanh(name("h", x @ w))

        def f(w, x):
            for i in range(3):
                with jax.named_scope(f"layer_{i}"):
                    x = layer(w, x)
            return x.sum()

        def plain(mark, w, x):
            for i in range(3):
                x = jnp.tanh(mark(f"layer_{i}/inner/h", x @ w))
            return x.sum()

        for g in (intermediates(f), jax.jit(intermediates(f))):
            assert_marks(g(self.w, self.x).marks, perturbed(plain, self.w, self.x))

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize(
        "wrap",
        [
            lambda body: body,
            jax.jit,
            jax.checkpoint,
            functools.partial(jax.checkpoint, policy=jax.checkpoint_policies.dots_saveable),
        ],
        ids=["plain", "jit", "checkpoint", "policy"],
    )
    def test_iterations_are_stacked(self, reverse, wrap):
        f = functools.partial(scanned, reverse=reverse, wrap=wrap)
        found = jax.jit(intermediates(f))(self.w, self.x)
        expected = stacked(perturbed(loop, self.w, self.x))
        if reverse:
            expected = jax.tree.map(lambda a: a[::-1], expected)
        assert_marks(found.marks, expected)
        np.testing.assert_allclose(found.value, loop(lambda _, h: h, self.w, self.x), 1e-14)

    def test_loops_within_loops_and_counted_ones(self):
        def f(a):
            def outer(a, t):
                return lax.fori_loop(0, 2, lambda i, b: name("inner", b * t + i), a), None

            a, _ = lax.scan(outer, a, jnp.array([1.0, 2.0, 3.0]))
            return a**2

        def plain(mark, a):
            for t in range(3):
                for i in range(2):
                    a = mark(f"{t}{i}", a * (t + 1) + i)
            return a**2

        (found,) = intermediates(f)(0.5).marks.values()
        expected = perturbed(plain, jnp.array(0.5))
        assert found.value.shape == (3, 2)
        for t, i in np.ndindex(3, 2):
            each = jax.tree.map(lambda a, t=t, i=i: a[t, i], found)
            chex.assert_trees_all_close(each, expected[f"{t}{i}"], rtol=1e-12)

    def test_what_does_not_change_in_a_loop_is_stacked_too(self):
        def f(a):
            return lax.scan(lambda b, _: (b * name("a", jnp.sin(a)), None), 1.0, length=3)[0]

        found = jax.jit(intermediates(f))(0.5).marks["a"]
        np.testing.assert_allclose(found.value, np.full(3, np.sin(0.5)), 1e-14)
        np.testing.assert_allclose(found.cotangent, np.full(3, np.sin(0.5) ** 2), 1e-14)

    def test_branches(self):
        def f(a):
            def big(a):
                return name("both", a * 2) * name("count", jnp.array([1, 2])).sum()

            def small(a):
                return jnp.sin(name("both", a * 3)) * name("small", a)

            return lax.cond(a > 1, big, small, name("a", a))

        found = jax.vmap(intermediates(f))(jnp.array([2.0, 0.5])).marks
        sin, cos = np.sin(1.5), np.cos(1.5)
        np.testing.assert_allclose(found["both"].value, [4.0, 1.5])
        np.testing.assert_allclose(found["both"].cotangent, [3.0, 0.5 * cos])
        np.testing.assert_allclose(found["small"].value, [np.nan, 0.5])
        np.testing.assert_allclose(found["small"].cotangent, [0.0, sin])
        np.testing.assert_allclose(found["a"].cotangent, [6.0, 1.5 * cos + sin])
        np.testing.assert_array_equal(found["count"].value, [[1, 2], [0, 0]])
        assert found["count"].cotangent is None

    def test_the_axes_of_vmap_come_first(self):
        """Wherever vmap puts them: the outer one's, then the inner one's."""
        cube = jax.random.normal(KEY, (2, 3, 4))

        def f(a, w):
            def row(r):
                return name("row", [jnp.sin(r), w.sum()])[0]

            inner = jax.vmap(row, in_axes=1, out_axes=1)
            return (jax.vmap(inner, in_axes=2, out_axes=0)(a) ** 2 * w.sum()).sum()

        value, total = intermediates(f)(cube, self.w).marks["row"].value
        bar, of_total = intermediates(f)(cube, self.w).marks["row"].cotangent
        np.testing.assert_array_equal(value, np.sin(cube).transpose(2, 1, 0))
        expected = 2 * np.sin(cube).transpose(2, 1, 0) * self.w.sum()
        np.testing.assert_allclose(bar, expected, 1e-12)
        assert (total, of_total) == (self.w.sum(), 0.0)  # not mapped, and not used

    def test_a_gradient_within(self):
        def f(mark, w, x):
            def inner(x):
                return jnp.sum(jnp.sin(mark("h", x @ w)) ** 2)

            return jnp.sum(jax.grad(inner)(x) ** 2)

        def plain(w, z):
            return f(lambda _, h: h + z, w, self.x)

        found = intermediates(functools.partial(f, name))(self.w, self.x)
        z = jnp.zeros((3, 2))
        np.testing.assert_allclose(found.marks["h"].cotangent, jax.grad(plain, 1)(self.w, z), 1e-12)
        np.testing.assert_allclose(found.gradients, jax.grad(plain)(self.w, z), 1e-12)

    def test_what_is_not_used_has_cotangent_0(self):
        def f(a):
            name("unused", a * 2)
            return a**2

        assert intermediates(f)(3.0).marks == {"unused": Mark(6.0, 0.0)}

    def test_values_that_are_no_real_numbers(self):
        def f(a, key):
            z = name("z", lax.complex(a, 2 * a))
            kept = name("kept", [key, jnp.arange(3)])
            return jnp.abs(z) ** 2 + 0 * jax.random.normal(kept[0])

        found = intermediates(f)(jnp.array(0.5), KEY).marks
        expected = jax.grad(lambda z: jnp.abs(z) ** 2)(0.5 + 1j)
        np.testing.assert_allclose(found["z"].cotangent, expected, 1e-12)
        assert found["kept"].cotangent == [None, None]
        assert found["kept"].value[0] == KEY

    def test_gradients_of_what_it_closes_over(self):
        def f(a):
            return intermediates(lambda b: jnp.sin(name("ab", a * b)))(2.0).marks["ab"].cotangent

        np.testing.assert_allclose(jax.grad(f)(0.5), -2 * np.sin(1.0), 1e-12)


class TestName:
    def test_is_the_identity(self):
        tree = {"a": x, "b": (w, 2)}
        same = name("h", tree)
        chex.assert_trees_all_equal(same, tree)
        assert jax.tree.structure(same) == jax.tree.structure(tree)
        assert name("h", x.astype(jnp.bfloat16)).dtype == jnp.bfloat16

    @pytest.mark.parametrize(
        "transform",
        [
            lambda f: f,
            jax.grad,
            lambda f: jax.grad(lambda w, x: jax.grad(f)(w, x).sum()),
            lambda f: jax.vmap(f, (None, 0)),
            lambda f: lambda w, x: jax.jvp(f, (w, x), (w, x)),
            lambda f: jax.grad(jax.checkpoint(f)),
        ],
        ids=["forward", "gradient", "second", "vmap", "forward mode", "checkpoint"],
    )
    def test_compiles_to_nothing(self, transform):
        def program(mark):
            f = functools.partial(network, mark)
            g = transform(lambda w, x: f(w, jnp.atleast_2d(x)))
            return jax.jit(g).lower(w, x).compile().as_text()

        def instructions(text):
            return [line.partition(", metadata=")[0] for line in text.splitlines() if " = " in line]

        assert instructions(program(name)) == instructions(program(lambda _, h: h))

    def test_is_transposed_as_the_identity(self):
        (back,) = jax.linear_transpose(lambda a: name("a", 2 * a), x)(w[:1] + 0 * x)
        np.testing.assert_array_equal(back, 2 * (w[:1] + 0 * x))

    def test_steps_of_a_trace_are_called_by_it(self):
        def f(w, x):
            hidden = name("the hidden layer", jnp.tanh(x @ w))
            return jnp.sum(hidden**2)

        found = trace(f, w, x)
        (step,) = [step for step in found.steps if step.operation == "mark"]
        assert step.label == "the hidden layer"
        assert step.site.text.startswith("hidden = name(")
        assert found.variables[step.outputs[0]].name == "hidden"
        assert step.flops == 0
        value, cotangent = intermediates(f)(w, x).marks["the hidden layer"]
        made = found.variables[step.outputs[0]]
        np.testing.assert_allclose(made.value.whole, value, 1e-6)
        np.testing.assert_allclose(made.cotangent.whole, cotangent, 1e-6)


class TestTraining:
    """A step that learns as any other does, and says what its layers held."""

    def setup_method(self):
        keys = jax.random.split(KEY, 3)
        self.params = (dense_init(keys[0], 2, 8), dense_init(keys[1], 8, 1))
        self.data = (jax.random.normal(keys[2], (16, 2)), jnp.ones((16, 1)))
        self.optimizer = optax.adam(0.01)

    @staticmethod
    def losses(mark, params, batch):
        hidden = gelu(mark("hidden", dense(params[0], batch[0])))
        return jnp.mean((dense(params[1], hidden) - batch[1]) ** 2, -1)

    def test_a_marked_objective_trains_as_without_marks(self):
        def run(mark):
            state = train_state_init(KEY, self.params, self.optimizer)
            step = functools.partial(
                train_step,
                objective=lambda params, batch, _: (self.losses(mark, params, batch), {}),
                optimizer=self.optimizer,
            )
            return jax.jit(step)(state, self.data)

        assert_same_bits(run(name), run(lambda _, h: h))

    def test_a_loop_of_steps_that_keeps_what_was_marked(self):
        def objective(params, batch):
            return self.losses(name, params, batch).mean()

        def step(carry, _):
            params, state = carry
            found = intermediates(objective)(params, self.data)
            updates, state = self.optimizer.update(found.gradients, state, params)
            size = jax.tree.map(lambda a: jnp.sqrt(jnp.sum(a**2)), found.marks["hidden"])
            return (optax.apply_updates(params, updates), state), (found.value, size)

        @jax.jit
        def plain(params, state):
            value, gradients = jax.value_and_grad(objective)(params, self.data)
            updates, state = self.optimizer.update(gradients, state, params)
            return value, optax.apply_updates(params, updates), state

        start = self.params, self.optimizer.init(self.params)
        (learned, _), (values, sizes) = jax.jit(lambda c: lax.scan(step, c, length=5))(start)
        params, state = start
        for i in range(5):
            expected, params, state = plain(params, state)
            np.testing.assert_allclose(values[i], expected, 1e-6)
        chex.assert_trees_all_close(learned, params, rtol=1e-5)
        assert sizes.value.shape == sizes.cotangent.shape == (5,)
        assert np.all(sizes.cotangent > 0)
