"""fnmath.linear_algebra, geometry: norms, unit vectors, projections and angles."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from fnmath.linear_algebra import (
    angle_between,
    cosine_of_angle,
    frobenius_norm,
    matrix_product,
    matrix_vector_product,
    norm,
    outer_product,
    project_onto_columns,
    projection,
    trace,
    transpose,
    unit_vector,
)
from tests.helpers import Mistake, assert_transforms, assert_within_ulp
from tests.linear_algebra.cotangents import assert_cotangents, normal

EPS = float(jnp.finfo(jnp.float32).eps)


def one_norm(x):
    return norm(x, order=1)


def largest(x):
    return norm(x, order=jnp.inf)


NORMS = [one_norm, norm, largest]
x, y = jnp.arange(3.0), jnp.ones(3)
A = jnp.ones((3, 2))
PAIRS = [(projection, "onto"), (cosine_of_angle, "y"), (angle_between, "y")]
MISTAKES = [
    Mistake(norm, (x,), {"order": 3}, ValueError, "norm: order is 3; wanted 1, 2 or jnp.inf"),
    Mistake(norm, (x,), {"order": "2"}, ValueError, "norm: order is '2'; wanted 1, 2 or jnp.inf"),
    Mistake(
        norm,
        (jnp.float32(1),),
        {},
        ValueError,
        "norm: x has shape (); wanted at least 1 axis, (*batch n); did you mean x[None]?",
    ),
    Mistake(
        norm,
        (x.astype(int),),
        {},
        TypeError,
        "norm: x has dtype int32; wanted a floating dtype; did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        frobenius_norm,
        (x,),
        {},
        ValueError,
        "frobenius_norm: A has shape (3,); wanted at least 2 axes, (*batch rows columns); "
        "did you mean A[None]?",
    ),
    Mistake(
        frobenius_norm,
        ([[1.0]],),
        {},
        TypeError,
        "frobenius_norm: A is a list; wanted an array; did you mean jnp.asarray(A)?",
    ),
    Mistake(
        unit_vector,
        (jnp.float32(1),),
        {},
        ValueError,
        "unit_vector: x has shape (); wanted at least 1 axis, (*batch n); did you mean x[None]?",
    ),
    Mistake(
        unit_vector,
        (x > 0,),
        {},
        TypeError,
        "unit_vector: x has dtype bool; wanted a floating dtype; "
        "did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        project_onto_columns,
        (x, transpose(A)),
        {},
        ValueError,
        "project_onto_columns: the number of rows must agree: x has 3 and A has 2",
    ),
    Mistake(
        project_onto_columns,
        (jnp.ones(2), transpose(A)),
        {},
        ValueError,
        "project_onto_columns: A (2, 3) has more columns than rows; wanted independent columns; "
        "did you mean transpose(A)?",
    ),
    Mistake(
        project_onto_columns,
        (jnp.ones((5, 3)), A),
        {},
        ValueError,
        "project_onto_columns: x (5, 3) and A (3, 2) have batch axes (5,) and (); wanted equal "
        "ones, since nothing broadcasts; "
        "did you mean jax.vmap(project_onto_columns, in_axes=(0, None))?",
    ),
    Mistake(
        project_onto_columns,
        (x, y),
        {},
        ValueError,
        "project_onto_columns: A has shape (3,); wanted at least 2 axes, (*batch rows columns); "
        "did you mean A[None]?",
    ),
    Mistake(
        project_onto_columns,
        (jnp.float32(1), A),
        {},
        ValueError,
        "project_onto_columns: x has shape (); wanted at least 1 axis, (*batch rows); "
        "did you mean x[None]?",
    ),
    Mistake(
        project_onto_columns,
        (x, A.astype(jnp.bfloat16)),
        {},
        TypeError,
        "project_onto_columns: x has dtype float32 and A has dtype bfloat16; wanted one dtype; "
        "did you mean A.astype(x.dtype)?",
    ),
    Mistake(
        project_onto_columns,
        (x, A.astype(int)),
        {},
        TypeError,
        "project_onto_columns: A has dtype int32; wanted a floating dtype; "
        "did you mean A.astype(jnp.float32)?",
    ),
    *(
        Mistake(
            f,
            (x, y[:, None]),
            {},
            ValueError,
            f"{f.__name__}: x (3,) and {other} (3, 1) must have one shape; "
            f"did you mean {other}[:, 0]?",
        )
        for f, other in PAIRS
    ),
    *(
        Mistake(
            f,
            (jnp.float32(1), jnp.float32(1)),
            {},
            ValueError,
            f"{f.__name__}: x has shape (); wanted at least 1 axis, (*batch n); "
            "did you mean x[None]?",
        )
        for f, _ in PAIRS
    ),
    *(
        Mistake(
            f,
            (x, y.astype(int)),
            {},
            TypeError,
            f"{f.__name__}: {other} has dtype int32; wanted a floating dtype; "
            f"did you mean {other}.astype(jnp.float32)?",
        )
        for f, other in PAIRS
    ),
    *(
        Mistake(
            f,
            (x, y.astype(jnp.float16)),
            {},
            TypeError,
            f"{f.__name__}: x has dtype float32 and {other} has dtype float16; wanted one dtype; "
            f"did you mean {other}.astype(x.dtype)?",
        )
        for f, other in PAIRS
    ),
]

# One program for each shape, where a plain call compiles operation by operation.
unit, cosine, angle = jax.jit(unit_vector), jax.jit(cosine_of_angle), jax.jit(angle_between)
project_on_line, project = jax.jit(projection), jax.jit(project_onto_columns)

# Vectors of every length that float32 holds with room for its square root of n.
SCALES = np.float32([1e-36, 1e-20, 1e-3, 1.0, 1e10, 1e25, 3e37])[:, None]
VECTORS = jnp.asarray(SCALES * np.asarray(normal(0, 7, 16)), jnp.float32)


def column(s):
    return s[..., None]


def derivatives(f, *args):
    """In reverse and forward mode and of second order, by every argument, in one program."""
    arguments = tuple(range(len(args)))
    kinds = jax.jacrev, jax.jacfwd, jax.hessian
    return jax.tree.leaves(jax.jit(lambda *args: [d(f, arguments)(*args) for d in kinds])(*args))


def inner(a, b):
    return jnp.sum(a * b, -1, keepdims=True)


class TestNorm:
    @pytest.mark.slow
    @pytest.mark.last_digits
    @pytest.mark.parametrize("order", [1, 2, np.inf])
    def test_reference(self, order):
        """Largest at order 2; without the scaling five of the seven would be 0 or inf."""
        expected = np.linalg.norm(np.float64(VECTORS), ord=order, axis=-1)
        assert_within_ulp(norm(VECTORS, order=order), expected, 2)

    @pytest.mark.last_digits
    def test_up_to_the_largest_number(self):
        top = jnp.full(2, 2e38)
        assert_within_ulp(norm(top), np.hypot(*np.float64(top)), 2)
        assert_within_ulp(frobenius_norm(top[None]), np.hypot(*np.float64(top)), 2)

    @pytest.mark.slow
    def test_law_triangle_scaling_and_order(self):
        a, b = normal(1, 50, 4), normal(2, 50, 4)
        for f in NORMS:
            assert (f(a + b) <= (f(a) + f(b)) * (1 + 4 * EPS)).all()
            np.testing.assert_array_equal(f(-2 * a), 2 * f(a))
        assert (largest(a) <= norm(a) * (1 + EPS)).all()
        assert (norm(a) <= one_norm(a) * (1 + EPS)).all()

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        a = normal(1, 5, 4)

        def euclidean(sbar, a):
            return (column(sbar) * a / column(norm(a)),)

        def sizes(sbar, a):
            return (column(sbar) * jnp.sign(a),)

        def at_the_largest(sbar, a):
            leading = jnp.abs(a) == column(largest(a))
            return (column(sbar) * jnp.sign(a) * leading / leading.sum(-1, keepdims=True),)

        assert_cotangents(norm, euclidean, a)
        assert_cotangents(one_norm, sizes, a.at[0, 0].set(0))
        assert_cotangents(largest, at_the_largest, a)

    def test_gradient_where_entries_tie(self):
        gradient = jax.grad(largest)(jnp.array([2.0, -2.0, 1.0, 2.0]))
        np.testing.assert_allclose(gradient, [1 / 3, -1 / 3, 0, 1 / 3], rtol=1e-6)

    def test_convention_at_zero(self):
        for f in NORMS:
            assert not any(d.any() for d in derivatives(f, jnp.zeros(3)))

    def test_transforms(self):
        for f in NORMS:
            assert_transforms(f, normal(1, 5, 4))

    def test_edges(self):
        for f in map(jax.jit, NORMS):
            assert f(jnp.zeros((2, 0))).tolist() == [0, 0]
            assert f(jnp.zeros((0, 2))).shape == (0,)
            assert f(jnp.array([-jnp.inf, 1.0])) == jnp.inf
            assert jnp.isnan(f(jnp.array([jnp.nan, 1.0])))
            assert f(jnp.ones(2, jnp.bfloat16)).dtype == jnp.bfloat16
        assert norm(jnp.full(4, 300, jnp.float16)) == 600


class TestFrobeniusNorm:
    @pytest.mark.last_digits
    def test_reference(self):
        matrices = VECTORS.reshape(7, 2, 8)
        expected = np.linalg.norm(np.float64(matrices), axis=(-2, -1))
        assert_within_ulp(frobenius_norm(matrices), expected, 2)

    def test_law_trace(self):
        """‖A‖² = tr AᵀA."""
        a = normal(1, 5, 4, 3)
        square = trace(matrix_product(transpose(a), a))
        np.testing.assert_allclose(frobenius_norm(a) ** 2, square, rtol=1e-6)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def rule(sbar, a):
            return ((sbar / frobenius_norm(a))[:, None, None] * a,)

        assert_cotangents(frobenius_norm, rule, normal(1, 5, 2, 3))
        assert not jax.grad(frobenius_norm)(jnp.zeros((2, 3))).any()

    def test_transforms(self):
        assert_transforms(frobenius_norm, normal(1, 5, 2, 3))

    def test_edges(self):
        assert frobenius_norm(jnp.zeros((5, 0, 3))).tolist() == [0] * 5
        assert frobenius_norm(jnp.zeros((0, 2, 3))).shape == (0,)
        assert jnp.isnan(frobenius_norm(jnp.full((2, 2), jnp.nan)))
        assert frobenius_norm(jnp.ones((2, 2), jnp.float16)).dtype == jnp.float16


class TestUnitVector:
    @pytest.mark.last_digits
    def test_reference(self):
        """Also where the length itself overflows."""
        top = jnp.full((1, 16), 3e38)
        vectors = jnp.concatenate([VECTORS, top])
        wide = np.float64(vectors)
        expected = wide / np.linalg.norm(wide, axis=-1, keepdims=True)
        assert_within_ulp(unit(vectors), expected, 3)

    def test_law_length_one_whatever_the_scale(self):
        u = unit(VECTORS)
        np.testing.assert_allclose(np.linalg.norm(np.float64(u), axis=-1), 1, rtol=2 * EPS)
        np.testing.assert_array_equal(unit(4 * normal(1, 5, 3)), unit(normal(1, 5, 3)))

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def rule(ubar, a):
            u = a / column(norm(a))
            return ((ubar - u * inner(u, ubar)) / column(norm(a)),)

        assert_cotangents(unit_vector, rule, normal(1, 5, 4))

    @pytest.mark.last_digits
    def test_gradient_at_the_extremes(self):
        """Of x₁/‖x‖ at (a, a): (1, −1)/(2 √2 a)."""
        for a in (1e-30, 1e30):
            gradient = jax.grad(lambda v: unit(v)[0])(jnp.full(2, a))
            assert_within_ulp(gradient, np.array([1, -1]) / (2 * np.sqrt(2) * np.float32(a)), 4)

    def test_convention_at_zero(self):
        assert not unit(jnp.zeros(3)).any()
        assert not any(d.any() for d in derivatives(unit_vector, jnp.zeros(3)))

    def test_transforms(self):
        assert_transforms(unit_vector, normal(1, 5, 4))

    def test_edges(self):
        assert unit(jnp.zeros((2, 0))).shape == (2, 0)
        assert unit(jnp.zeros((0, 2))).shape == (0, 2)
        assert unit(jnp.array([-5.0])) == -1
        for special in (jnp.inf, jnp.nan):
            assert jnp.isnan(unit(jnp.array([special, special])[:, None])).all()
        assert unit(jnp.full(4, 3e4, jnp.float16)).tolist() == [0.5] * 4
        assert unit(jnp.ones(4, jnp.bfloat16)).dtype == jnp.bfloat16


class TestProjection:
    def test_reference(self):
        """Relative to the length of x: an entry of p may cancel."""
        a, v = normal(1, 7, 16), VECTORS
        a64, v64 = np.float64(a), np.float64(v)
        expected = np.sum(a64 * v64, -1, keepdims=True) / np.sum(v64**2, -1, keepdims=True) * v64
        error = np.abs(project_on_line(a, v) - expected).max(-1) / np.linalg.norm(a64, axis=-1)
        assert (error <= EPS).all()

    def test_law_the_rest_is_orthogonal_and_again_changes_nothing(self):
        a, v = normal(1, 50, 4), normal(2, 50, 4)
        p = project_on_line(a, v)
        assert (jnp.abs(inner(a - p, unit(v))) <= 4 * EPS * column(norm(a))).all()
        np.testing.assert_allclose(project_on_line(p, v), p, rtol=8 * EPS, atol=EPS)
        assert (norm(p) <= norm(a) * (1 + 2 * EPS)).all()

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def rule(pbar, a, v):
            u = v / column(norm(v))
            across = pbar - u * inner(u, pbar), a - u * inner(u, a)
            vbar = inner(u, a) * across[0] + inner(u, pbar) * across[1]
            return u * inner(u, pbar), vbar / column(norm(v))

        assert_cotangents(projection, rule, normal(1, 5, 4), normal(2, 5, 4))

    def test_convention_at_zero(self):
        assert not project_on_line(y, jnp.zeros(3)).any()
        assert not any(d.any() for d in derivatives(projection, y, jnp.zeros(3)))

    def test_transforms(self):
        assert_transforms(projection, normal(1, 5, 4), normal(2, 5, 4))

    def test_edges(self):
        assert project_on_line(jnp.zeros((0, 2)), jnp.zeros((0, 2))).shape == (0, 2)
        assert jnp.isnan(project_on_line(jnp.array([jnp.nan, 1.0]), jnp.ones(2))).all()
        half = jnp.ones(2, jnp.bfloat16)
        assert project_on_line(half, half).dtype == jnp.bfloat16


class TestProjectOntoColumns:
    def test_reference(self):
        """NumPy's least squares in float64, relative to the length of x."""
        a, M = normal(1, 5, 8), normal(2, 5, 8, 3)
        pairs = zip(np.float64(M), np.float64(a), strict=True)
        expected = [m @ np.linalg.lstsq(m, v)[0] for m, v in pairs]
        error = np.abs(project(a, M) - np.stack(expected)).max(-1) / norm(a)
        assert (error <= 4 * EPS).all()

    def test_reference_where_the_normal_equations_fail(self):
        """Columns 10⁻⁴ apart: AᵀA is singular in float32, A is not."""
        M = jnp.array([[1.0, 1.0], [1e-4, 0.0], [0.0, 1e-4]])
        p = project(jnp.array([1.0, 2.0, 3.0]), M)
        expected = np.float64(M) @ np.linalg.lstsq(np.float64(M), np.array([1.0, 2.0, 3.0]))[0]
        np.testing.assert_allclose(p, expected, atol=4 * EPS * np.sqrt(14))

    def test_law_one_column_is_the_projection_on_it(self):
        a, v = normal(1, 5, 4), normal(2, 5, 4)
        one = project(a, v[..., None])
        np.testing.assert_allclose(one, project_on_line(a, v), rtol=1e-5, atol=1e-6)

    def test_law_columns_stay_and_the_rest_is_orthogonal(self):
        a, M = normal(1, 5, 6), normal(2, 5, 6, 3)
        columns = jax.vmap(project_onto_columns, in_axes=(-1, None), out_axes=-1)(M, M)
        np.testing.assert_allclose(columns, M, atol=1e-5)
        rest = a - project(a, M)
        np.testing.assert_allclose(matrix_vector_product(transpose(M), rest), 0, atol=1e-5)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def rule(pbar, a, M):
            pseudoinverse = jnp.linalg.solve(transpose(M) @ M, transpose(M))
            P = M @ pseudoinverse
            w = matrix_vector_product(pseudoinverse, a)
            z = matrix_vector_product(pseudoinverse, pbar)
            back, p = matrix_vector_product(P, pbar), matrix_vector_product(P, a)
            return back, outer_product(pbar - back, w) + outer_product(a - p, z)

        assert_cotangents(project_onto_columns, rule, normal(1, 2, 5), normal(2, 2, 5, 3))

    def test_transforms(self):
        assert_transforms(project_onto_columns, normal(1, 2, 5), normal(2, 2, 5, 3), rtol=1e-5)

    def test_dependent_columns_give_nan(self):
        """Whatever their scales, and only for the matrix that has them."""
        good, equal = jnp.eye(3)[:, :2], jnp.ones((3, 2))
        uneven, zero = good * jnp.array([1e-20, 1e20]), good.at[:, 1].set(0)
        p = project(jnp.ones((4, 3)), jnp.stack([good, uneven, equal, zero]))
        np.testing.assert_array_equal(p[:2], [[1, 1, 0]] * 2)
        assert jnp.isnan(p[2:]).all()

    def test_edges(self):
        assert not project(jnp.ones(3), jnp.zeros((3, 0))).any()
        assert project(jnp.ones((0, 3)), jnp.zeros((0, 3, 2))).shape == (0, 3)
        assert jnp.isnan(project(x.at[0].set(jnp.nan), jnp.eye(3))).all()
        half = project(x.astype(jnp.bfloat16), jnp.eye(3, 2, dtype=jnp.bfloat16))
        assert half.dtype == jnp.bfloat16
        assert half.tolist() == [0, 1, 0]


def close_and_opposite(n):
    """Pairs of vectors at angles from 0 to π, most of them near the ends."""
    start, aside = np.asarray(normal(1, 8, n)), np.asarray(normal(2, 8, n))
    apart = np.array([0, 1e-6, 1e-4, 1e-2, 0.3, 1, 1.2, 3])[:, None]
    end = 3 * (start + apart * aside)
    pairs = np.concatenate([start, start]), np.concatenate([end, -end])
    return jnp.float32(pairs[0]), jnp.float32(pairs[1])


def exact_cosine(a, b):
    """Of float32 vectors, with fifty digits."""
    with mpmath.workdps(50):
        a, b = ([mpmath.mpf(float(entry)) for entry in v] for v in (a, b))
        lengths = mpmath.sqrt(mpmath.fdot(a, a)) * mpmath.sqrt(mpmath.fdot(b, b))
        return mpmath.fdot(a, b) / lengths


@pytest.mark.parametrize("n", [3, 300])
class TestAccuracyOfAngles:
    def test_cosine(self, n):
        """Within ε; the plain quotient is off by up to 2.5 ε, and beyond 1."""
        a, b = close_and_opposite(n)
        expected = np.array([float(exact_cosine(v, w)) for v, w in zip(a, b, strict=True)])
        c = np.float64(cosine(a, b))
        assert (np.abs(c - expected) <= EPS).all()
        assert (np.abs(c) <= 1).all()

    def test_angle(self, n):
        """Within 2 ε."""
        a, b = close_and_opposite(n)
        with mpmath.workdps(50):
            expected = [mpmath.acos(exact_cosine(v, w)) for v, w in zip(a, b, strict=True)]
        error = np.abs(np.float64(angle(a, b)) - np.array(expected, np.float64))
        assert (error <= 2 * EPS).all()


class TestCosineOfAngle:
    def test_law_parallel_and_opposite(self):
        a = normal(1, 100, 7)
        np.testing.assert_array_equal(cosine(a, 3 * a), 1)
        np.testing.assert_array_equal(cosine(a, -7 * a), -1)

    def test_law_symmetric_and_blind_to_length(self):
        a, b = normal(1, 50, 4), normal(2, 50, 4)
        c = cosine(a, b)
        # Compiled code may fuse the products of one side into sums: a last digit may differ.
        np.testing.assert_allclose(cosine(b, a), c, rtol=0, atol=EPS)
        np.testing.assert_array_equal(cosine(a * 2.0**60, b * 2.0**-60), c)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        """Among the ten: near 1, near −1 and between."""

        def rule(cbar, a, b):
            u, v = a / column(norm(a)), b / column(norm(b))
            c, cbar = inner(u, v), column(cbar)
            return cbar * (v - c * u) / column(norm(a)), cbar * (u - c * v) / column(norm(b))

        a, b = normal(1, 10, 4), normal(2, 10, 4)
        b = b.at[0].set(2 * a[0] + 0.01 * b[0]).at[1].set(-2 * a[1] + 0.01 * b[1])
        assert_cotangents(cosine_of_angle, rule, a, b)

    def test_gradient_at_parallel_vectors(self):
        """0 at the top, and the Hessian −(I − uuᵀ)/‖x‖² there."""
        a, b = jnp.array([3.0, 4.0]), jnp.array([6.0, 8.0])
        by_a = derivatives(lambda a: cosine(a, b), a)
        curved = -(np.eye(2) - np.outer(a, a) / 25) / 25
        for derivative, expected in zip(by_a, (0, 0, curved), strict=True):
            np.testing.assert_allclose(derivative, expected, atol=EPS)

    def test_transforms(self):
        assert_transforms(cosine_of_angle, normal(1, 5, 4), normal(2, 5, 4))

    def test_edges(self):
        zero = jnp.zeros(3)
        pairs = jnp.stack([zero, y, zero]), jnp.stack([y, zero, zero])
        assert not cosine(*pairs).any()
        assert not any(d.any() for d in derivatives(cosine_of_angle, *pairs)[:4])
        assert cosine(jnp.zeros((0, 3)), jnp.zeros((0, 3))).shape == (0,)
        assert jnp.isnan(cosine(y, y.at[0].set(jnp.nan)))
        half = jnp.full(4, 3e4, jnp.float16)
        assert cosine(half, half) == 1
        assert cosine(half, half).dtype == jnp.float16


class TestAngleBetween:
    def test_angle_that_the_arccosine_does_not_see(self):
        """Its cosine, 1 − 2·10⁻⁸, rounds to 1."""
        a, b = jnp.array([1.0, 0.0]), jnp.array([1.0, 2e-4])
        assert jnp.arccos(cosine(a, b)) == 0
        np.testing.assert_allclose(angle(a, b), 2e-4, rtol=1e-6)

    def test_law_angles_of_a_triangle(self):
        """They add up to π."""
        a, b, c = normal(1, 50, 4), normal(2, 50, 4), normal(3, 50, 4)
        total = angle(b - a, c - a) + angle(a - b, c - b)
        total += angle(a - c, b - c)
        np.testing.assert_allclose(total, np.pi, rtol=8 * EPS)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def rule(tbar, a, b):
            u, v = a / column(norm(a)), b / column(norm(b))
            c, tbar = inner(u, v), column(tbar)
            slope = -tbar / jnp.sqrt(1 - c**2)
            return slope * (v - c * u) / column(norm(a)), slope * (u - c * v) / column(norm(b))

        assert_cotangents(angle_between, rule, normal(1, 10, 4), normal(2, 10, 4))

    def test_convention_at_the_ends_and_at_zero(self):
        zero = jnp.zeros(3)
        pairs = jnp.stack([y, y, zero, y, zero]), jnp.stack([y, -y, y, zero, zero])
        assert not any(d.any() for d in derivatives(angle_between, *pairs)[:4])
        half_turn = np.float32(np.pi)
        expected = np.float32([0, 1, 0.5, 0.5, 0.5]) * half_turn
        np.testing.assert_array_equal(angle(*pairs), expected)

    def test_transforms(self):
        assert_transforms(angle_between, normal(1, 5, 4), normal(2, 5, 4))

    def test_edges(self):
        assert angle(jnp.zeros((0, 3)), jnp.zeros((0, 3))).shape == (0,)
        assert jnp.isnan(angle(y, y.at[0].set(jnp.nan)))
        half = jnp.full(4, 3e4, jnp.float16)
        assert angle(half, half).dtype == jnp.float16
