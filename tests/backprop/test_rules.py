"""fnmath.backprop._rules: what each rule says is what JAX differentiates."""

import functools
import itertools
import unicodedata

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fnmath.backprop import _rules as rules
from fnmath.backprop import name, trace
from fnmath.backprop._rules import local_rule
from fnmath.layers import ConvParams, conv
from tests.backprop.formulas import Parser, evaluate

rng = np.random.default_rng(0)
x = rng.standard_normal((3, 4))
p = rng.uniform(0.1, 0.9, (3, 4))  # inside of every domain
q = rng.uniform(1.1, 3.0, (3, 4))
w = rng.standard_normal((4, 5))
i = jnp.asarray(1)

CASES = {
    "neg": [(lax.neg, x)],
    "copy": [(jnp.copy, x)],
    "reduce_precision": [(lambda x: lax.reduce_precision(x, 11, 52), x)],
    "sign": [(lax.sign, x)],
    "floor": [(lax.floor, x)],
    "ceil": [(lax.ceil, x)],
    "round": [(lax.round, x)],
    "abs": [(lax.abs, x)],
    "exp": [(lax.exp, x)],
    "exp2": [(lax.exp2, x)],
    "expm1": [(lax.expm1, x)],
    "log": [(lax.log, p)],
    "log1p": [(lax.log1p, p)],
    "tanh": [(lax.tanh, x)],
    "logistic": [(lax.logistic, x)],
    "sin": [(lax.sin, x)],
    "cos": [(lax.cos, x)],
    "tan": [(lax.tan, x)],
    "asin": [(lax.asin, p)],
    "acos": [(lax.acos, p)],
    "atan": [(lax.atan, x)],
    "sinh": [(lax.sinh, x)],
    "cosh": [(lax.cosh, x)],
    "asinh": [(lax.asinh, x)],
    "acosh": [(lax.acosh, q)],
    "atanh": [(lax.atanh, p)],
    "sqrt": [(lax.sqrt, p)],
    "rsqrt": [(lax.rsqrt, p)],
    "cbrt": [(lax.cbrt, p)],
    "square": [(lax.square, x)],
    "erf": [(lax.erf, x)],
    "erfc": [(lax.erfc, x)],
    "erf_inv": [(lax.erf_inv, p)],
    "lgamma": [(lax.lgamma, q)],
    "digamma": [(lax.digamma, q)],
    "add": [(lax.add, x, p)],
    "add_any": [(lambda a, b: jax.grad(lambda x: jnp.sum(x * a) + jnp.sum(x * b))(a), x, p)],
    "sub": [(lax.sub, x, p)],
    "mul": [(lax.mul, x, p)],
    "div": [(lax.div, x, p)],
    "pow": [(lax.pow, p, x)],
    "max": [(lax.max, x, p), (lax.max, x, x)],
    "min": [(lax.min, x, p), (lax.min, x, x)],
    "atan2": [(lax.atan2, x, p)],
    "rem": [(lax.rem, q, p), (lax.rem, x, p)],
    "integer_pow": [(lambda x, n=n: lax.integer_pow(x, n), q) for n in (-2, -1, 3, 12)],
    "select_n": [
        (lambda a, b: lax.select_n(a > b, a, b), x, p),
        (lambda a, b: lax.select_n((a > b) + jnp.asarray(a > 1, jnp.int32), a, b, a), x, p),
    ],
    "clamp": [(lax.clamp, -p, x, p)],
    "convert_element_type": [(lambda x: x.astype(jnp.float32), np.float64([1.0, 2.0]))],
    "reduce_sum": [(lambda x, a=a: jnp.sum(x, a), x) for a in (0, 1, (0, 1))],
    "reduce_max": [(lambda x, a=a: jnp.max(x, a), np.round(x)) for a in (0, 1, (0, 1))],
    "reduce_min": [(lambda x, a=a: jnp.min(x, a), np.round(x)) for a in (0, 1, (0, 1))],
    "reduce_prod": [(lambda x, a=a: jnp.prod(x, a), x) for a in (0, 1, (0, 1))],
    "cumsum": [(lambda x, r=r: lax.cumsum(x, 1, r), x) for r in (False, True)],
    "cumprod": [(lambda x, r=r: lax.cumprod(x, 0, r), p) for r in (False, True)],
    "cumlogsumexp": [(lambda x, r=r: lax.cumlogsumexp(x, 1, r), x) for r in (False, True)],
    "broadcast_in_dim": [
        (lambda x: jnp.broadcast_to(x, (2, 3, 4)), x),
        (lambda x: lax.broadcast_in_dim(x, (3, 5, 4), (0, 2)), x),
        (lambda x: lax.broadcast_in_dim(x, (3, 4), (0, 1)), x[:, :1]),
        (lambda x: jnp.broadcast_to(x, (2, 3)), x[0, 0]),
    ],
    "reshape": [(lambda x: jnp.reshape(x, (2, 6)), x)],
    "squeeze": [(lambda x: lax.squeeze(x, (0,)), x[None])],
    "expand_dims": [],  # an operation of other releases of JAX
    "copy_p": [],
    "transpose": [(jnp.transpose, x), (lambda x: jnp.transpose(x, (2, 0, 1)), x[None])],
    "rev": [(lambda x: lax.rev(x, (1,)), x)],
    "slice": [(lambda x: x[1:3, ::2], x), (lambda x: x[1:], x)],
    "pad": [(lambda x, v: lax.pad(x, v, [(1, 2, 0), (0, 1, 1)]), x, np.float64(2.0))],
    "concatenate": [(lambda a, b: jnp.concatenate([a, b, a], 1), x, p[:, :2])],
    "split": [(lambda x: lax.split(x, (1, 3), 1), x)],
    "dynamic_slice": [(lambda x, i: lax.dynamic_slice(x, (i, i), (2, 3)), x, i)],
    "dynamic_update_slice": [
        (lambda a, b, i: lax.dynamic_update_slice(a, b, (i, i)), x, p[:2, :2], i)
    ],
    "sort": [(lambda x: lax.sort(x, dimension=0), x), (lambda x: lax.sort(x, dimension=1), x)],
    "mark": [
        (lambda x: name("h", x), x),
        (lambda x, p: name("h", [x, p])[0], x, p),
    ],
    "dot_general": [
        (jnp.matmul, x, w),
        (lambda a, b: lax.dot_general(a, b, (((0,), (0,)), ((), ()))), x.T, w),
        (lambda a, b: lax.dot_general(a, b, (((1,), (1,)), ((), ()))), x, w.T),
        (lambda a, b: lax.dot_general(a, b, (((0,), (1,)), ((), ()))), x.T, w.T),
        (jnp.matmul, x, w[:, 0]),
        (jnp.vdot, x[0], w[:, 0]),
        (lambda a, b: jnp.einsum("bij,bjk->bik", a, b), x[None], w[None]),
        (lambda a, b: jnp.tensordot(a, b, ((0, 1), (0, 1))), np.stack([x, p], -1), x[..., None]),
    ],
    "gather": [
        (lambda x, i: x[i], x, np.array([[0, 2], [2, 2]])),
        (lambda x, i: x[i, i + 1], x, np.array([0, 2, 0])),
        (lambda x, i: jnp.take_along_axis(x, i, 1), x, np.array([[1, 1], [0, 3], [2, 0]])),
    ],
    "scatter-add": [
        (lambda x, i, u: x.at[i].add(u), x, np.array([0, 2, 2]), p),
        (lambda x, i, u: x.at[i, i + 1].add(u), x, np.array([0, 2, 0]), p[:, 0]),
    ],
    "cholesky": [
        (lambda a: lax.linalg.cholesky(a, symmetrize_input=False), x @ x.T + np.eye(3)),
        (lambda a: lax.linalg.cholesky(a, symmetrize_input=False), (x @ x.T + np.eye(3))[None]),
    ],
    "triangular_solve": [
        (
            lambda a, b, options=options: lax.linalg.triangular_solve(
                a, b, **dict(zip(("left_side", "lower", "transpose_a"), options, strict=True))
            ),
            (np.tril if options[1] else np.triu)(x[:, :3] + 3 * np.eye(3)),
            w[:3, :3],
        )
        for options in itertools.product((True, False), repeat=3)
    ],
    "conv_general_dilated": [
        (
            lambda x, k: lax.conv_general_dilated(x, k, (2, 1), [(1, 1), (0, 2)], None, (1, 2)),
            rng.standard_normal((2, 3, 5, 4)),
            rng.standard_normal((5, 3, 3, 2)),
        ),
        (
            lambda x, k: lax.conv_general_dilated(
                x, k, (1,), "VALID", dimension_numbers=("NHC", "HIO", "NHC")
            ),
            rng.standard_normal((2, 6, 3)),
            rng.standard_normal((3, 3, 2)),
        ),
    ],
    "correlate": [
        (
            lambda x, k: conv(ConvParams(k, None), x, strides=2),
            rng.standard_normal((2, 5, 5, 3)),
            rng.standard_normal((3, 3, 3, 2)),
        ),
    ],
}  # fmt: skip


def names(operation, rule, given, made):
    """What the rule calls the operands and the results."""
    numbered = [chr(ord("₁") + k) for k in range(9)]
    places = [f"i{n}" for n in numbered]
    operands = {
        "select_n": ["c", *(f"x{n}" for n in numbered)],
        "clamp": ["l", "x", "u"],
        "pad": ["x", "v"],
        "mark": ["x"] if len(given) == 1 else [f"x{n}" for n in numbered],
        "concatenate": [f"x{n}" for n in numbered],
        "dynamic_slice": ["x", *places],
        "dynamic_update_slice": ["a", "b", *places],
        "dot_general": ["A", "B"] if rule.forward[0] == "C" else ["a", "b"],
        "gather": ["x", "i"],
        "scatter-add": ["x", "i", "u"],
        "cholesky": ["A"],
        "triangular_solve": ["A", "B"],
        "conv_general_dilated": ["x", "k"],
        "correlate": ["x", "k"],
        "transpose": ["X"] if rule.forward[0] == "Y" else ["x"],
    }.get(operation, ["a", "b"] if operation in rules.PAIRS else ["x"])
    letter = "X" if operation == "triangular_solve" else rule.forward[0]
    results = [letter] if len(made) == 1 else [f"{letter}{n}" for n in numbered]
    return operands[: len(given)], results[: len(made)]


def reached(program, operation, args):
    """The first equation of an operation in a program, and what comes to it."""
    known = dict(zip(program.jaxpr.constvars, program.consts, strict=True))
    known |= dict(zip(program.jaxpr.invars, args, strict=True))
    for e in program.eqns:
        operands = [v.val if hasattr(v, "val") else known[v] for v in e.invars]
        if e.primitive.name == operation:
            arrays = zip(operands, e.invars, strict=True)
            return e, [jnp.asarray(x, v.aval.dtype) for x, v in arrays]
        made = e.primitive.bind(*operands, **e.primitive.get_bind_params(e.params))
        made = made if e.primitive.multiple_results else [made]
        known |= dict(zip(e.outvars, made, strict=True))
    raise AssertionError(f"no {operation} in {program}")


def with_places_first(operation, params, name, value):
    """The operands of convolutions as the rule reads them: a matrix at each place."""
    value, letter = np.asarray(value), name[0]
    if operation == "correlate" and letter in "xy":
        return np.moveaxis(value, 0, -2)
    if operation != "conv_general_dilated":
        return value
    specs = params["dimension_numbers"]
    spec = dict(zip("xky", specs, strict=True))[letter]
    turned = (1, 0) if letter == "k" else (0, 1)  # outputs stand before inputs
    return value.transpose(*spec[2:], *(spec[i] for i in turned))


def with_bar(name):
    return f"{name[0]}\u0304{name[1:]}"


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("operation", sorted({*rules.ENTRIES, *rules.PAIRS, *rules.WRITTEN}))
def test_says_what_jax_does(operation):
    for f, *args in CASES[operation]:
        with jax.disable_jit():
            program = jax.make_jaxpr(f)(*map(jnp.asarray, args))
        e, operands = reached(program, operation, map(jnp.asarray, args))
        floats = [k for k, o in enumerate(operands) if jnp.issubdtype(o.dtype, jnp.floating)]

        def bound(*values, e=e, operands=operands, floats=floats):
            every = list(operands)
            for k, value in zip(floats, values, strict=True):
                every[k] = value
            return e.primitive.bind(*every, **e.params)

        y, back = jax.vjp(bound, *(operands[k] for k in floats))
        several = e.primitive.multiple_results
        ys = list(y) if several else [y]
        bars = [jnp.asarray(rng.standard_normal(z.shape), z.dtype) for z in ys]
        pulled = dict(zip(floats, back(bars if several else bars[0]), strict=True))
        rule = local_rule(operation, e.params, [v.aval for v in e.invars], ys)
        assert rule is not None
        given, made = names(operation, rule, operands, ys)
        values = dict(zip(given, operands, strict=True)) | dict(zip(made, ys, strict=True))
        values |= {with_bar(n): ct for n, ct in zip(made, bars, strict=True)}
        values = {n: with_places_first(operation, e.params, n, v) for n, v in values.items()}
        said = dict(evaluate(text, **values) for text in rule.backward)
        assert said
        for k, n in enumerate(given):
            if k in floats:
                found = said[unicodedata.normalize("NFC", with_bar(n))]
                expected = with_places_first(operation, e.params, n, pulled[k])
                found = np.broadcast_to(found, expected.shape)  # what is spread has no sizes
                np.testing.assert_allclose(found, expected, 1e-12, 1e-13, err_msg=str(rule))


def test_at_least_sixty_have_a_case():
    assert sum(map(bool, CASES.values())) >= 60
    assert set(CASES) == {*rules.ENTRIES, *rules.PAIRS, *rules.WRITTEN}


def test_steps_of_a_trace_have_them():
    def f(w, x):
        h = jnp.tanh(x @ w)
        return jnp.sum(lax.top_k(h, 2)[0] ** 2)

    found = trace(f, jnp.ones((3, 4)), jnp.ones((2, 3)))
    said = {step.operation: step.rule.backward for step in found.steps if step.rule}
    assert said["dot_general"] == ("Ā = C̄ Bᵀ", "B̄ = Aᵀ C̄")
    assert said["tanh"] == ("x̄ = (1 − y²) ȳ",)
    (without,) = [step for step in found.steps if step.operation == "top_k"]
    assert without.rule is None
    assert len(without.jacobian()) == 1  # what has no formula has its Jacobian


def test_of_others_nothing_is_said():
    assert local_rule("custom_call", {}, [], []) is None
    assert local_rule("abs", {}, [jnp.zeros(2, complex)], [jnp.zeros(2)]) is None
    x, k = jnp.ones((1, 4, 8, 8)), jnp.ones((4, 1, 3, 3))
    grouped = functools.partial(
        lax.conv_general_dilated, window_strides=(1, 1), padding="SAME", feature_group_count=4
    )
    (e,) = jax.make_jaxpr(grouped)(x, k).eqns
    assert local_rule("conv_general_dilated", e.params, [x, k], [x]) is None
    (e,) = jax.make_jaxpr(lambda x: x[:, jnp.array([0, 2])])(x[0, 0]).eqns[-1:]
    assert local_rule("gather", e.params, [v.aval for v in e.invars], [x[0, 0, :, :2]]) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("z = 2 x² − 1", 17.0),
        ("z = −x ȳ / 2", -7.5),
        ("z = (1 − x²) ȳ", -40.0),
        ("z = [x > ȳ] + [x = 3] / 2", 0.5),
        ("z = power(x, 2) √(ȳ − 1)", 18.0),
        ("z = x⁻¹", 1 / 3),
    ],
)
def test_the_evaluator(text, value):
    assert evaluate(text, x=3.0, ȳ=5.0)[1] == value


@pytest.mark.parametrize("text", ["2 $ x", "x )"])
def test_the_evaluator_understands_all_or_nothing(text):
    with pytest.raises(AssertionError, match="not understood"):
        evaluate(f"z = {text}", x=3.0)
    assert Parser("x", {"x": np.array(1.0)}, matrices=False).sum() == 1
