"""fnmath.calculus.check: what it finds, what it lets pass, and how it says so."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.calculus import check_gradient
from tests.helpers import Mistake

pytestmark = pytest.mark.slow

key = jax.random.key(0)
x = jnp.array([0.5, -1.0, 2.0])


def wave(t):
    return jnp.sum(jnp.exp(jnp.sin(t)))


MISTAKES = [
    Mistake(
        check_gradient,
        (0, wave, x),
        {},
        TypeError,
        "check_gradient: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        check_gradient,
        (key, "f", x),
        {},
        TypeError,
        "check_gradient: f is a str; wanted a function",
    ),
    Mistake(
        check_gradient,
        (key, wave, x.astype(int)),
        {},
        TypeError,
        "check_gradient: the 1 arguments hold no floating-point number",
    ),
    Mistake(
        check_gradient,
        (key, jnp.sin, x),
        {},
        ValueError,
        "check_gradient: sin returned shape (3,); wanted a scalar; "
        "did you mean sin(...).mean(), or jacobian(sin)?",
    ),
    Mistake(
        check_gradient,
        (key, jnp.argmax, x),
        {},
        TypeError,
        "check_gradient: argmax returned dtype int32; wanted a floating dtype",
    ),
    Mistake(
        check_gradient,
        (key, wave, x),
        {"directions": 0},
        ValueError,
        "check_gradient: directions is 0; wanted an integer of at least 1",
    ),
    Mistake(
        check_gradient,
        (key, wave, x),
        {"tolerance": 0.0},
        ValueError,
        "check_gradient: tolerance is 0.0; wanted a number in (0, inf)",
    ),
    Mistake(
        check_gradient,
        (key, wave, x),
        {"tolerance": jnp.ones(2)},
        ValueError,
        "check_gradient: tolerance has shape (2,); wanted one number",
    ),
]


def with_gradient(f, wrong):
    """f with the gradient wrong(∇f), by a custom_vjp."""
    g = jax.custom_vjp(f)
    g.defvjp(lambda t: (f(t), t), lambda t, ct: (ct * wrong(jax.grad(f)(t)),))
    return g


class TestCheckGradient:
    @pytest.mark.usefixtures("x64")
    def test_passes_what_is_right(self):
        def loss(params, inputs, labels, *, rate=2.0):
            hidden = jnp.tanh(inputs @ params[0]["kernel"] + params[0]["bias"])
            return rate * jnp.mean(hidden**2 - hidden[0, labels].sum())

        params = [{"kernel": jax.random.normal(key, (3, 5)), "bias": jnp.zeros(5)}]
        report = check_gradient(key, loss, params, jnp.ones((2, 3)), jnp.array([1, 0]))
        assert report.ok
        assert report.function == "loss"
        assert report.dtype == "float64"
        assert report.held == ("labels",)
        assert {row.argument for row in report.rows} == {
            "params[0]['bias']",
            "params[0]['kernel']",
            "inputs",
        }
        assert all(row.error < 1e-9 and row.numeric_error < 1e-9 for row in report.rows)
        assert all(row.verdict == "ok" and not row.kink for row in report.rows)

    def test_finds_what_is_wrong(self):
        mistakes = {
            "factor": lambda g: 1.01 * g,
            "sign": lambda g: -g,
            "zero": jnp.zeros_like,
            "one coordinate": lambda g: g.at[7].set(0),
            "order": lambda g: g[::-1],
            "none": lambda g: g,
        }
        parts = {name: with_gradient(wave, wrong) for name, wrong in mistakes.items()}

        def f(t):
            return sum(parts[name](t[name]) for name in parts)

        report = check_gradient(key, f, dict.fromkeys(parts, jnp.linspace(-1.0, 2.0, 20)))
        for name in parts:
            verdicts = {row.verdict for row in report.rows if name in row.argument}
            assert "wrong" in verdicts if name != "none" else verdicts == {"ok"}
        assert not report.ok
        assert report.worst.verdict == "wrong"
        assert report.worst.forward is None
        assert "no forward mode" in str(report)

    @pytest.mark.usefixtures("x64")
    def test_finds_small_errors_in_float64(self):
        t = jnp.linspace(-1.0, 2.0, 20)
        assert not check_gradient(key, with_gradient(wave, lambda g: (1 + 1e-7) * g), t).ok
        assert not check_gradient(key, with_gradient(wave, lambda g: g.at[7].add(1e-6)), t).ok

    def test_tolerance(self):
        f = with_gradient(wave, lambda g: 1.01 * g)
        assert check_gradient(key, f, x, tolerance=0.02).ok

    def test_finds_a_wrong_custom_jvp_in_both_modes(self):
        f = jax.custom_jvp(lambda t: jnp.sum(t**2))
        f.defjvp(lambda primals, tangents: (f(*primals), jnp.vdot(primals[0], tangents[0])))
        report = check_gradient(key, f, x)
        assert [row.verdict for row in report.rows] == ["wrong"] * 3
        np.testing.assert_allclose([row.reverse for row in report.rows], x)
        np.testing.assert_allclose([row.forward for row in report.rows], x)
        np.testing.assert_allclose([row.numeric for row in report.rows], 2 * x, rtol=1e-5)

    def test_names_coordinates_of_small_arrays(self):
        report = check_gradient(
            key, with_gradient(wave, lambda g: g.at[0, 1].add(1.0)), x[None, :2], directions=2
        )
        assert [row.direction for row in report.rows] == ["e[0, 0]", "e[0, 1]"]
        assert [row.ok for row in report.rows] == [True, False]
        others = check_gradient(key, lambda s, t: wave(s * t), 1.0, x, directions=2)
        assert [row.direction for row in others.rows] == ["e", "random 0", "random 1"]

    def test_a_kink_passes_between_its_slopes(self):
        def f(t, u, w):
            return jax.nn.relu(t) + jnp.abs(u) + u**2 - u + wave(jax.nn.relu(w))

        report = check_gradient(key, f, 0.0, 0.0, x.at[1].set(0.0))
        assert report.ok
        assert [row.kink for row in report.rows] == [True, True, False, True, False]
        assert [row.verdict for row in report.rows] == ["kink", "kink", "ok", "kink", "ok"]
        relu = report.rows[0]
        assert (relu.reverse, relu.left, relu.right) == (0, 0, 1)
        assert "kink at u along e: slope -2 on the left and 0 on the right" in str(report)

    def test_what_kinks_do_to_derivatives(self):
        """Written as relu(t) − relu(−t), t has the derivative 0 at 0 in JAX."""

        def f(t, u):
            return jax.nn.relu(t) - jax.nn.relu(-t) + below(u)

        below = with_gradient(jax.nn.relu, lambda g: g - 0.5)
        lost, outside = check_gradient(key, f, 0.0, 0.0).rows
        assert (lost.reverse, lost.numeric, lost.kink, lost.verdict) == (0, 1, False, "wrong")
        assert (outside.reverse, outside.kink, outside.verdict) == (-0.5, True, "wrong")

    def test_smooth_curvature_is_no_kink(self):
        def f(t):
            return jnp.cosh(t[0]) + 1e3 * t[1] ** 2 + t[2] ** 4 + jnp.cos(30 * t[3])

        assert not any(row.kink for row in check_gradient(key, f, jnp.zeros(4)).rows)

    def test_finds_what_is_not_finite(self):
        def f(t, u):
            return jnp.where(t > 0, jnp.sqrt(t), t) + jnp.sqrt(u)

        hidden, infinite = check_gradient(key, f, -1.0, 0.0).rows
        assert (hidden.verdict, hidden.ok, hidden.numeric) == ("not finite", False, 1)
        assert (infinite.verdict, infinite.reverse) == ("not finite", np.inf)

    def test_does_not_confirm_what_it_cannot_see(self):
        lost = check_gradient(key, lambda t: 1e8 + t, 0.5)
        assert lost.worst.verdict == "unresolved"
        assert "too rough" in str(lost)
        jump = check_gradient(key, lambda t: jnp.floor(t) + t, 1.0)
        assert jump.worst.verdict == "unresolved"

    def test_kinks_closer_than_the_steps_are_not_called_wrong(self):
        shapes = [(100, 64), (64, 32), (32, 10)]
        keys = jax.random.split(key, 3)
        inputs, first, second = (jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True))

        def f(bias):
            hidden = jax.nn.relu(inputs @ first / 8 + bias)
            return jnp.mean(jax.nn.logsumexp(hidden @ second / 6, axis=-1))

        report = check_gradient(key, f, jnp.zeros(32), directions=16)
        assert {row.verdict for row in report.rows} == {"ok", "unresolved"}
        assert not report.ok

    def test_derivatives_that_are_zero(self):
        dead = check_gradient(key, lambda t, u: wave(t) + jax.nn.relu(u - 9.0), x, 1.0)
        constant = check_gradient(key, lambda t, u: 5.0 + 0 * t + u**2, 1.0, 0.0)
        assert dead.ok
        assert constant.ok

    def test_a_loop_has_forward_mode_only(self):
        def power(t):
            return jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * t), (0, t))[1]

        report = check_gradient(key, power, 1.5)
        assert report.ok
        assert report.worst.reverse is None
        assert "no reverse mode" in str(report)
        with pytest.raises(ValueError, match="Pure callbacks do not support JVP"):
            check_gradient(
                key,
                lambda t: jax.pure_callback(np.sin, t, t, vmap_method="expand_dims"),
                jnp.float32(1.0),
            )

    def test_errors_of_f_are_its_own(self):
        def broken(t):
            raise ValueError("no such thing")

        with pytest.raises(ValueError, match="no such thing"):
            check_gradient(key, broken, 1.0)

    def test_held_arguments_and_names(self):
        def f(first, *rest):
            return first["t"] * rest[0] + rest[1][1].sum()

        report = check_gradient(key, f, {"t": 2.0, "n": 3}, 4.0, [1, jnp.ones(2)], None)
        assert report.held == ("first['n']", "args[2][0]")
        assert [row.argument for row in report.rows][:2] == ["first['t']", "args[1]"]
        assert report.ok
        partial = functools.partial(wave)
        assert check_gradient(key, partial, x).function == "wave"

    def test_the_key_decides(self):
        t = jnp.linspace(-1.0, 2.0, 20)
        one, again, other = (
            check_gradient(jax.random.key(k), wave, t, directions=1) for k in (1, 1, 2)
        )
        assert one == again
        assert one.rows[0].reverse != other.rows[0].reverse

    def test_is_not_for_jit(self):
        with pytest.raises(TypeError, match="check_gradient: it looks at numbers"):
            jax.jit(lambda t: check_gradient(key, wave, t).rows[0].error)(x)

    def test_prints_a_table(self):
        report = check_gradient(key, with_gradient(wave, lambda g: g.at[0].multiply(2.0)), x)
        lines = str(report).splitlines()
        assert lines[0] == "check_gradient of wave in float32: 1 of 3 rows are not ok"
        assert lines[1].split() == [
            *["argument", "direction", "reverse", "forward", "numeric", "±", "error", "step"],
            "verdict",
        ]
        assert lines[2].split()[:4] == ["t", "e[0]", f"{report.rows[0].reverse:.6g}", "-"]
        assert lines[2].endswith("wrong")
        assert "relative errors up to 3.5e-04 pass; float64" in str(report)
        right = report._replace(rows=report.rows[1:])
        assert str(right).startswith("check_gradient of wave in float32: ok\n")
