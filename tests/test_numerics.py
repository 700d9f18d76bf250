"""fnmath.numerics: what the rest needs to stay finite."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
from jax.experimental import checkify

from fnmath import _checks
from fnmath.numerics import (
    checked,
    log1mexp,
    logmeanexp,
    logsumexp,
    safe_divide,
    safe_log,
    safe_norm,
    with_derivatives,
    xlog1py,
    xlogy,
)
from fnmath.numerics._once import once, sum_of_rows
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

x = jnp.linspace(1.0, 2.0, 4)


def integers(f, *others):
    message = (
        f"{f.__name__}: x has dtype int32; wanted a floating dtype; "
        "did you mean x.astype(jnp.float32)?"
    )
    return Mistake(f, (x.astype(int), *others), {}, TypeError, message)


MISTAKES = [
    Mistake(
        xlogy,
        (jnp.ones(3), jnp.ones(2)),
        {},
        ValueError,
        "xlogy: x (3,) and y (2,) must have shapes that broadcast",
    ),
    Mistake(
        xlog1py,
        (jnp.ones(3), jnp.ones(2)),
        {},
        ValueError,
        "xlog1py: x (3,) and y (2,) must have shapes that broadcast",
    ),
    Mistake(
        safe_divide,
        (jnp.ones(3), jnp.ones(2)),
        {},
        ValueError,
        "safe_divide: x (3,) and y (2,) must have shapes that broadcast",
    ),
    Mistake(
        with_derivatives,
        (3.0,),
        {},
        TypeError,
        "with_derivatives: partials[0] is a float; wanted a function",
    ),
    Mistake(
        with_derivatives(jnp.cos, None),
        (jnp.sin,),
        {},
        ValueError,
        "with_derivatives: sin has 1 arguments; wanted as many as there are partials, 2",
    ),
    Mistake(
        xlogy,
        (np.array(["a"]), jnp.ones(1)),
        {},
        TypeError,
        "xlogy: x has dtype <U1; wanted numbers",
    ),
    Mistake(
        log1mexp,
        ("a",),
        {},
        TypeError,
        "log1mexp: x is a str; wanted an array",
    ),
    Mistake(
        safe_divide,
        (jnp.ones(2), jnp.ones(2)),
        {"otherwise": jnp.ones(3)},
        ValueError,
        "safe_divide: otherwise (3,) must broadcast to x / y (2,)",
    ),
    Mistake(
        safe_divide,
        (jnp.ones(2), jnp.ones(2)),
        {"otherwise": 1j},
        TypeError,
        "safe_divide: otherwise has dtype complex64; wanted real numbers",
    ),
    Mistake(
        safe_log,
        (jnp.ones(2),),
        {"floor": jnp.ones(2)},
        ValueError,
        "safe_log: floor has shape (2,); wanted one number",
    ),
    *(
        Mistake(
            f,
            (jnp.ones(2),),
            {"axis": 1},
            ValueError,
            f"{f.__name__}: axis is 1; wanted an axis of the shape (2,)",
        )
        for f in (logmeanexp, safe_norm)
    ),
    *(integers(f, x) for f in (safe_divide, xlogy, xlog1py)),
    *(integers(f) for f in (safe_log, log1mexp, logsumexp, logmeanexp, safe_norm)),
    Mistake(
        xlogy,
        (x, [1.0]),
        {},
        TypeError,
        "xlogy: y is a list; wanted an array; did you mean jnp.asarray(y)?",
    ),
    Mistake(
        safe_log,
        (x,),
        {"floor": 0.0},
        ValueError,
        "safe_log: floor is 0.0; wanted a number in (0, inf)",
    ),
    Mistake(
        logsumexp,
        (x, 1),
        {},
        ValueError,
        "logsumexp: axis is 1; wanted an axis of the shape (4,)",
    ),
    Mistake(
        logsumexp,
        (x,),
        {"where": jnp.ones((2, 4), bool)},
        ValueError,
        "logsumexp: where (2, 4) must broadcast to x (4,)",
    ),
    Mistake(
        logmeanexp,
        (x,),
        {"where": x},
        TypeError,
        "logmeanexp: where has dtype float32; wanted bool; did you mean where != 0?",
    ),
    Mistake(
        safe_norm,
        (x,),
        {"axis": 0.5},
        TypeError,
        "safe_norm: axis is 0.5; wanted an integer",
    ),
]


def exactly(f, *arguments):
    """F of every entry in 60 digits, rounded once."""
    with mpmath.workdps(60):
        rows = np.broadcast_arrays(*map(np.float64, arguments))
        entries = zip(*(row.ravel() for row in rows), strict=True)
        return np.array([float(f(*map(mpmath.mpf, map(float, row)))) for row in entries])


class TestWithDerivatives:
    def test_rule_of_a_product(self):
        """A rule that is not the truth shows that it is the one in force, in both modes."""
        f = with_derivatives(lambda x, y: y, None)(lambda x, y: x * y)
        assert jax.grad(f, (0, 1))(2.0, 3.0) == (3.0, 0.0)
        assert jax.jacfwd(f, (0, 1))(2.0, 3.0) == (3.0, 0.0)
        assert jax.grad(jax.grad(f), 1)(2.0, 3.0) == 1.0

    def test_broadcast_arguments_get_sums(self):
        f = with_derivatives(lambda x, y: y, lambda x, y: x)(jnp.multiply)
        _, pull_back = jax.vjp(f, jnp.arange(3.0), jnp.array(2.0))
        by_x, by_y = pull_back(jnp.ones(3))
        np.testing.assert_array_equal(by_x, [2, 2, 2])
        np.testing.assert_array_equal(by_y, 3)

    def test_transforms(self):
        f = with_derivatives(jnp.cos)(jnp.sin)
        assert_transforms(lambda x: f(x), x)


class TestOnce:
    ODD = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e38, -1.5], np.float32)

    def test_what_is_written_is_what_was_there(self):
        """To the bit, signs of zeros too; and so do derivatives go through, in both modes."""
        found = jax.jit(once)(self.ODD, self.ODD[::-1], 2 * self.ODD)
        for y, wanted in zip(found, (self.ODD, self.ODD[::-1], 2 * self.ODD), strict=True):
            np.testing.assert_array_equal(y, wanted)
            np.testing.assert_array_equal(np.signbit(y), np.signbit(wanted))

        def f(x):
            a, b = once(jnp.sin(x), x * x)
            return a * b

        for derivative in (jax.grad, jax.jacfwd):
            slope = jax.vmap(derivative(f))(x)
            np.testing.assert_allclose(slope, jnp.cos(x) * x * x + 2 * x * jnp.sin(x), 1e-6)

    def test_it_is_formed_once(self):
        """Sines that five exponentials share are there once in the compiled program."""

        def f(x, of):
            a, b = of(jnp.sin(x), jnp.cos(x))
            return [jnp.exp(a * k) + jnp.exp(b - k) for k in range(5)]

        def sines(of):
            compiled = jax.jit(functools.partial(f, of=of)).lower(jnp.ones(99)).compile()
            return compiled.as_text().count(" sine(")

        assert sines(once) == 1
        assert sines(lambda *arrays: arrays) > 1

    @pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 2, 0), (3, 2, 5)])
    def test_sum_of_rows(self, shape):
        terms = jnp.arange(np.prod(shape), dtype=jnp.float32).reshape(shape) / 7
        np.testing.assert_allclose(jax.jit(sum_of_rows)(terms), terms.sum(0), rtol=1e-6)
        cotangent = jax.grad(lambda t: (sum_of_rows(t) ** 2).sum())(terms)
        wanted = jnp.broadcast_to(2 * terms.sum(0), shape)
        np.testing.assert_allclose(cotangent, wanted, rtol=1e-6)


class TestChecked:
    def test_rules_are_stated_only_inside(self):
        def positive(x):
            _checks.value(x > 0, "positive: {x} is not above 0", x=x)
            return x

        with checked():
            error, _ = checkify.checkify(jax.jit(positive))(jnp.array(-1.0))
        assert "positive: -1.0 is not above 0" in error.get()
        assert "check" not in str(jax.make_jaxpr(positive)(1.0))


class TestSafeDivide:
    @pytest.mark.slow
    def test_value_and_gradient(self):
        numerator, denominator = jnp.array([1.0, 0.0, -3.0, 2.0]), jnp.array([4.0, 0.0, 0.0, 1e-30])
        np.testing.assert_allclose(safe_divide(numerator, denominator), [0.25, 0, 0, 2e30])
        np.testing.assert_array_equal(safe_divide(numerator, denominator, otherwise=7.0)[1:3], 7)
        for mode in (jax.grad, jax.jacfwd):
            by_x, by_y = jax.vmap(mode(safe_divide, (0, 1)))(numerator[:3], denominator[:3])
            np.testing.assert_array_equal(by_x, [0.25, 0, 0])
            np.testing.assert_array_equal(by_y, [-1 / 16, 0, 0])

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        a, b = jnp.array([1.0, -2.0]), jnp.array([0.5, 3.0])
        assert_gradient(safe_divide, lambda a, b: 1 / b, a, b)
        assert_gradient(lambda b, a: safe_divide(a, b), lambda b, a: -a / b**2, b, a)

    @pytest.mark.slow
    def test_derivatives_that_stay_in_range(self):
        """X/y² = 10⁻⁵·10³⁵; JAX's own rule squares y, which underflows."""
        slope = jax.grad(safe_divide, 1)(jnp.array(1e-10), jnp.array(1e-20))
        np.testing.assert_allclose(slope, -1e30, rtol=1e-6)
        numerator, denominator = jnp.array(1e-10), jnp.array(0.0)
        assert jax.hessian(safe_divide, 1)(numerator, denominator) == 0

    def test_transforms(self):
        assert_transforms(safe_divide, x, x - 1)
        assert safe_divide(jnp.zeros((0,)), jnp.zeros((0,))).shape == (0,)
        half = jnp.ones(2, jnp.float16)
        assert safe_divide(half, half, otherwise=1.0).dtype == jnp.float16


class TestSafeLog:
    @pytest.mark.slow
    def test_value_and_derivatives(self):
        tiny = float(jnp.finfo(jnp.float32).tiny)
        points = jnp.array([-1.0, 0.0, tiny, 1e-30, 3.0, jnp.inf, jnp.nan])
        expected = [np.nan, np.log(tiny), np.log(tiny), np.log(1e-30), np.log(3), np.inf, np.nan]
        np.testing.assert_allclose(safe_log(points), expected, rtol=1e-6)
        slope = jax.vmap(jax.grad(safe_log))(points[:6])
        np.testing.assert_allclose(slope, [np.nan, 0, 0, 1e30, 1 / 3, 0], rtol=1e-6)
        second = jax.vmap(jax.jacfwd(jax.grad(safe_log)))(points[1:3])
        np.testing.assert_array_equal(second, 0)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        points = jnp.array([0.02, 0.05, 0.2, 30.0])
        line = lambda x: jnp.where(x > 0.1, 1 / jnp.maximum(x, 0.1), 0)  # noqa: E731
        assert_gradient(functools.partial(safe_log, floor=0.1), line, points)

    def test_transforms(self):
        assert_transforms(lambda x: safe_log(x), x - 1)
        for dtype in (jnp.float16, jnp.bfloat16):
            assert jnp.isfinite(safe_log(jnp.zeros(2, dtype))).all()
            assert safe_log(jnp.zeros((0, 2), dtype)).dtype == dtype


class TestXlogy:
    pairs = np.array(
        [[0, 0], [0, 1], [0, np.inf], [0, -1], [2, 0.3], [1e-30, 1e-30], [3, 0], [-1, 2]]
    ).T.astype(np.float32)

    @pytest.mark.parametrize(
        ("f", "theirs", "shift"),
        [(xlogy, scipy.special.xlogy, 0), (xlog1py, scipy.special.xlog1py, 1)],
    )
    def test_reference(self, f, theirs, shift):
        a, b = self.pairs[0], self.pairs[1] - np.float32(shift)
        assert_within_ulp(
            f(jnp.asarray(a), jnp.asarray(b)), theirs(np.float64(a), np.float64(b)), 4
        )
        assert jnp.isnan(f(jnp.array([0.0, jnp.nan]), jnp.array([jnp.nan, 1.0]))).all()

    @pytest.mark.slow
    @pytest.mark.parametrize(("f", "shift"), [(xlogy, 0), (xlog1py, 1)])
    def test_gradient_at_zero(self, f, shift):
        a, b = jnp.zeros(3), jnp.array([0.0, 1.0, jnp.inf]) - shift
        for mode in (jax.grad, jax.jacfwd):
            np.testing.assert_array_equal(jax.vmap(mode(f))(a, b), [-np.inf, 0, np.inf])
            np.testing.assert_array_equal(jax.vmap(mode(f, 1))(a, b), 0)
        # An entropy of a distribution that leaves something out.
        p = jnp.array([0.0, 0.25, 0.75])
        by_y = jax.grad(lambda q: f(p, q - shift).sum())(p)
        np.testing.assert_allclose(by_y, [0, 1, 1], rtol=1e-6)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        a, b = jnp.array([0.0, 1.5, -2.0]), jnp.array([0.4, 3.0, 0.7])
        assert_gradient(lambda b, a: xlogy(a, b), lambda b, a: a / b, b, a)
        assert_gradient(xlogy, lambda a, b: jnp.log(b), a, b)
        assert_gradient(lambda b, a: xlog1py(a, b), lambda b, a: a / (1 + b), b, a)
        assert_gradient(xlog1py, lambda a, b: jnp.log1p(b), a, b)

    def test_transforms(self):
        for f in (xlogy, xlog1py):
            assert_transforms(f, x - 1, x)
            half = jnp.ones((0, 2), jnp.bfloat16)
            assert f(half, half).dtype == jnp.bfloat16


class TestLog1mexp:
    points = np.array(
        [1e-37, 1e-30, 1e-10, 1e-3, 0.1, 0.5, 0.69, 0.6931472, 0.7, 1, 3, 20, 60, 87], np.float32
    )

    def test_reference(self):
        three = jax.vmap(
            lambda x: (log1mexp(x), jax.grad(log1mexp)(x), jax.jacfwd(jax.grad(log1mexp))(x))
        )
        value, slope, curvature = jax.jit(three)(jnp.asarray(self.points))
        assert_within_ulp(value, exactly(lambda x: mpmath.log(-mpmath.expm1(-x)), self.points), 3)
        assert_within_ulp(slope, exactly(lambda x: 1 / mpmath.expm1(x), self.points), 4)
        expected = exactly(lambda x: -1 / (4 * mpmath.sinh(x / 2) ** 2), self.points)
        assert_within_ulp(curvature, expected, 8)

    @pytest.mark.slow
    def test_limits(self):
        ends = jnp.array([0.0, jnp.inf, -1.0, jnp.nan])
        np.testing.assert_array_equal(log1mexp(ends), [-np.inf, 0, np.nan, np.nan])
        for mode in (jax.grad, jax.jacfwd):
            slope = jax.vmap(mode(log1mexp))(ends)
            np.testing.assert_array_equal(slope, [np.inf, 0, np.nan, np.nan])
            curvature = jax.vmap(mode(mode(log1mexp)))(ends)
            np.testing.assert_array_equal(curvature, [-np.inf, 0, np.nan, np.nan])

    def test_law_of_opposites(self):
        """The opposite of the opposite is the event itself."""
        points = jnp.linspace(0.05, 3.0, 50)
        np.testing.assert_allclose(-log1mexp(-log1mexp(points)), points, rtol=1e-5)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        assert_gradient(log1mexp, lambda x: 1 / jnp.expm1(x), jnp.array([0.1, 0.5, 0.8, 4.0]))

    def test_transforms(self):
        assert_transforms(lambda x: log1mexp(x), x)
        assert log1mexp(jnp.ones((0, 2), jnp.float16)).dtype == jnp.float16


ROWS = jnp.array(
    [
        [0.0, 0.0, 0.0],
        [1.0, 2.0, 3.0],
        [20.0, 0.0, -1.0],
        [0.0, -20.0, -104.0],
        [1e4, -1e4, 0.0],
        [-1.2724429, -19.953625, 39.90588],
        [0.3, -jnp.inf, 0.1],
        [1e30, 1e30, 1e30],
    ]
)


def exact_row(row, count=1):
    """The logarithm of Σ exp / count, and the weights, in 60 digits."""
    with mpmath.workdps(60):
        m = mpmath.mpf(float(max(row)))
        weights = [mpmath.exp(mpmath.mpf(float(v)) - m) if np.isfinite(v) else 0 for v in row]
        total = sum(weights)
        return float(m + mpmath.log(total / count)), [float(w / total) for w in weights]


class TestLogsumexp:
    @pytest.mark.slow
    @pytest.mark.parametrize(("f", "count"), [(logsumexp, 1), (logmeanexp, 3)])
    def test_reference(self, f, count):
        value, weights = map(np.array, zip(*(exact_row(r, count) for r in ROWS), strict=True))
        f = functools.partial(f, axis=-1)
        # 0.2 of logmeanexp's third digit cancels in the row with −∞.
        assert_within_ulp(jax.jit(f)(ROWS), value, 3)
        bell = weights[:, :, None] * (np.eye(3) - weights[:, None, :])
        for mode in (jax.jacrev, jax.jacfwd):
            assert_within_ulp(jax.jit(jax.vmap(mode(f)))(ROWS), weights, 3)
            second = jax.jit(jax.vmap(jax.jacfwd(mode(f))))(ROWS)
            np.testing.assert_allclose(second, bell, rtol=1e-6, atol=1e-13)

    @pytest.mark.slow
    def test_reference_of_the_same_name(self):
        entries = jnp.sin(jnp.arange(24.0)).reshape(2, 3, 4)
        where = entries[:, :1] < 0.5
        pairs = ((logsumexp, jax.nn.logsumexp), (logmeanexp, jax.nn.logmeanexp))
        for ours, theirs in pairs:
            for options in ({}, {"axis": 1}, {"axis": (0, -1), "keepdims": True}):
                expected = theirs(entries, where=where, **options)
                np.testing.assert_allclose(
                    ours(entries, where=where, **options), expected, rtol=1e-5
                )

    def test_the_others_are_not_rounded_away(self):
        assert_within_ulp(logsumexp(jnp.array([0.0, -20.0])), np.log1p(np.exp(-20.0)), 1)

    @pytest.mark.slow
    def test_masked_entries_do_not_matter(self):
        where = jnp.array([[True, True, False], [False, False, False]])
        entries = jnp.array([[1.0, 2.0, jnp.nan], [jnp.inf, jnp.nan, -jnp.inf]])
        for f, empty in ((logsumexp, -np.inf), (logmeanexp, np.nan)):
            masked = functools.partial(f, axis=-1, where=where)
            np.testing.assert_allclose(masked(entries), [f(entries[0, :2]), empty], rtol=1e-6)
            for mode in (jax.jacrev, jax.jacfwd):
                jacobian = jax.jit(mode(masked))(entries)
                np.testing.assert_array_equal(jacobian[:, ~where], 0)
                np.testing.assert_allclose(jacobian[0, 0].sum(), 1, rtol=1e-6)

    @pytest.mark.slow
    def test_infinities(self):
        inf, nan = np.inf, np.nan
        rows = jnp.array([[-inf, -inf], [inf, 0.0], [inf, inf], [nan, inf]])
        for f in (logsumexp, logmeanexp):
            along = jax.jit(functools.partial(f, axis=-1))
            np.testing.assert_array_equal(along(rows), [-inf, inf, inf, nan])
            np.testing.assert_array_equal(jax.grad(f)(rows[0]), 0)
            np.testing.assert_array_equal(jax.grad(f)(rows[1]), [1, 0])

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        row = jnp.array([0.3, -1.0, 2.0])
        softmax = lambda x: jnp.exp(x) / jnp.exp(x).sum()  # noqa: E731
        assert_gradient(logsumexp, softmax, row)
        assert_gradient(logmeanexp, softmax, row)

    @pytest.mark.slow
    def test_law_mean_lies_between(self):
        values = logmeanexp(ROWS, -1)
        assert (values <= ROWS.max(-1)).all()
        assert (values >= ROWS.min(-1)).all()
        np.testing.assert_array_equal(values[jnp.array([0, 7])], ROWS[jnp.array([0, 7]), 0])

    @pytest.mark.slow
    def test_transforms(self):
        assert_transforms(logsumexp, ROWS[:2])
        assert_transforms(logmeanexp, ROWS[:2])

    def test_edges(self):
        assert logsumexp(jnp.array(3.0)) == 3
        assert logsumexp(jnp.zeros((0,))) == -jnp.inf
        for f in (logsumexp, logmeanexp):
            assert jax.eval_shape(f, jnp.zeros(3, jnp.bfloat16)).dtype == jnp.bfloat16
            assert jax.eval_shape(lambda x, f=f: f(x, -1), jnp.zeros((0, 3))).shape == (0,)


class TestSafeNorm:
    vectors = jnp.array([[3.0, 4.0], [3e-30, 4e-30], [1.5e38, 2e38], [1.0, 1e-10], [-2.0, 0.0]])

    def test_reference(self):
        along = functools.partial(safe_norm, axis=-1)
        expected = np.linalg.norm(np.float64(self.vectors), axis=-1)
        assert_within_ulp(jax.jit(along)(self.vectors), expected, 3)
        unit = np.float64(self.vectors) / expected[:, None]
        for mode in (jax.jacrev, jax.jacfwd):
            assert_within_ulp(jax.jit(jax.vmap(mode(safe_norm)))(self.vectors), unit, 3)

    def test_curvature(self):
        """(I − uuᵀ)/‖x‖, whose entries along a lone large component cancel."""
        vectors = np.float64(self.vectors[:4])
        norm = np.linalg.norm(vectors, axis=-1)
        across = np.stack([vectors[:, 1], -vectors[:, 0]], -1) / norm[:, None]
        expected = across[:, :, None] * across[:, None, :] / norm[:, None, None]
        for mode in (jax.grad, jax.jacfwd):
            second = jax.jit(jax.vmap(jax.jacfwd(mode(safe_norm))))(self.vectors[:4])
            np.testing.assert_allclose(second, expected, rtol=2e-6, atol=1.2e-38)  # flushed to 0

    @pytest.mark.slow
    def test_at_zero(self):
        zero = jnp.zeros(3)
        assert safe_norm(zero) == 0
        for mode in (jax.grad, jax.jacfwd):
            np.testing.assert_array_equal(mode(safe_norm)(zero), 0)
            np.testing.assert_array_equal(jax.jacfwd(mode(safe_norm))(zero), 0)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        vector = jnp.array([0.3, -1.0, 2.0])
        assert_gradient(safe_norm, lambda x: x / jnp.sqrt((x**2).sum()), vector)

    def test_law_homogeneity(self):
        np.testing.assert_array_equal(
            safe_norm(self.vectors[:1] * 2.0**-60), safe_norm(self.vectors[:1]) * 2.0**-60
        )

    def test_transforms(self):
        assert_transforms(lambda x: safe_norm(x, axis=-1), self.vectors[:2])

    @pytest.mark.slow
    def test_edges(self):
        assert safe_norm(jnp.array([jnp.inf, 1.0])) == jnp.inf
        assert jnp.isnan(safe_norm(jnp.array([jnp.nan, 1.0])))
        assert safe_norm(jnp.zeros((0,))) == 0
        assert safe_norm(jnp.ones((2, 3)), axis=(0, 1), keepdims=True).shape == (1, 1)
        half = jnp.full(4, 6e4, jnp.float16)
        assert safe_norm(half / 4).dtype == jnp.float16
        np.testing.assert_allclose(safe_norm(half / 4), 3e4, rtol=1e-3)
