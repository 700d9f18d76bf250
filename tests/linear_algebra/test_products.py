"""fnmath.linear_algebra, products: values, laws, the rules of reverse mode, edges and mistakes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.linear_algebra import (
    dot_product,
    hadamard_product,
    matrix_product,
    matrix_vector_product,
    outer_product,
    trace,
    transpose,
)
from tests.helpers import Mistake, assert_transforms, assert_within_ulp
from tests.linear_algebra.cotangents import assert_cotangents, normal

x, y = jnp.arange(3.0), jnp.ones(3)
A, B = jnp.ones((2, 3)), jnp.ones((3, 4))
NOTHING_BROADCASTS = "wanted equal ones, since nothing broadcasts"
MISTAKES = [
    Mistake(
        dot_product,
        (x, y[:, None]),
        {},
        ValueError,
        "dot_product: x (3,) and y (3, 1) must have one shape; did you mean y[:, 0]?",
    ),
    Mistake(
        dot_product,
        (jnp.float32(1), jnp.float32(1)),
        {},
        ValueError,
        "dot_product: x has shape (); wanted at least 1 axis, (*batch n); did you mean x[None]?",
    ),
    Mistake(
        dot_product,
        (x, y.astype(int)),
        {},
        TypeError,
        "dot_product: y has dtype int32; wanted a floating or complex dtype; "
        "did you mean y.astype(jnp.float32)?",
    ),
    Mistake(
        dot_product,
        (x, y.astype(jnp.bfloat16)),
        {},
        TypeError,
        "dot_product: x has dtype float32 and y has dtype bfloat16; wanted one dtype; "
        "did you mean y.astype(x.dtype)?",
    ),
    Mistake(
        dot_product,
        ([1.0], y),
        {},
        TypeError,
        "dot_product: x is a list; wanted an array; did you mean jnp.asarray(x)?",
    ),
    Mistake(
        matrix_vector_product,
        (A, jnp.ones((5, 3))),
        {},
        ValueError,
        f"matrix_vector_product: A (2, 3) and x (5, 3) have batch axes () and (5,); "
        f"{NOTHING_BROADCASTS}; "
        "did you mean jax.vmap(matrix_vector_product, in_axes=(None, 0))?",
    ),
    Mistake(
        matrix_vector_product,
        (A, jnp.ones(2)),
        {},
        ValueError,
        "matrix_vector_product: A (2, 3) has 3 columns and x (2,) has 2 entries; "
        "wanted as many; did you mean transpose(A)?",
    ),
    Mistake(
        matrix_vector_product,
        (A, jnp.ones((3, 1))),
        {},
        ValueError,
        f"matrix_vector_product: A (2, 3) and x (3, 1) have batch axes () and (3,); "
        f"{NOTHING_BROADCASTS}; "
        "did you mean x[..., 0]?",
    ),
    Mistake(
        matrix_vector_product,
        (x, x),
        {},
        ValueError,
        "matrix_vector_product: A has shape (3,); wanted at least 2 axes, (*batch rows columns); "
        "did you mean A[None]?",
    ),
    Mistake(
        matrix_vector_product,
        (A, x + 1j),
        {},
        TypeError,
        "matrix_vector_product: A has dtype float32 and x has dtype complex64; wanted one dtype; "
        "did you mean x.astype(A.dtype)?",
    ),
    Mistake(
        matrix_product,
        (A, jnp.ones((4, 3))),
        {},
        ValueError,
        "matrix_product: A (2, 3) has 3 columns and B (4, 3) has 4 rows; wanted as many; "
        "did you mean transpose(B)?",
    ),
    Mistake(
        matrix_product,
        (A, jnp.ones((5, 6, 3, 4))),
        {},
        ValueError,
        f"matrix_product: A (2, 3) and B (5, 6, 3, 4) have batch axes () and (5, 6); "
        f"{NOTHING_BROADCASTS}; did you mean jnp.broadcast_to(A, (5, 6, 2, 3))?",
    ),
    Mistake(
        matrix_product,
        (A[None], jnp.ones((5, 3, 4))),
        {},
        ValueError,
        f"matrix_product: A (1, 2, 3) and B (5, 3, 4) have batch axes (1,) and (5,); "
        f"{NOTHING_BROADCASTS}",
    ),
    Mistake(
        matrix_product,
        (A, x),
        {},
        ValueError,
        "matrix_product: B has shape (3,); wanted at least 2 axes, (*batch inner columns); "
        "did you mean B[None]?",
    ),
    Mistake(
        matrix_product,
        (A.astype(int), B),
        {},
        TypeError,
        "matrix_product: A has dtype int32; wanted a floating or complex dtype; "
        "did you mean A.astype(jnp.float32)?",
    ),
    Mistake(
        outer_product,
        (jnp.ones((5, 3)), y),
        {},
        ValueError,
        f"outer_product: x (5, 3) and y (3,) have batch axes (5,) and (); {NOTHING_BROADCASTS}; "
        "did you mean jax.vmap(outer_product, in_axes=(0, None))?",
    ),
    Mistake(
        outer_product,
        (x[:, None], y),
        {},
        ValueError,
        f"outer_product: x (3, 1) and y (3,) have batch axes (3,) and (); {NOTHING_BROADCASTS}; "
        "did you mean x[..., 0]?",
    ),
    Mistake(
        outer_product,
        (x, jnp.float32(1)),
        {},
        ValueError,
        "outer_product: y has shape (); wanted at least 1 axis, (*batch columns); "
        "did you mean y[None]?",
    ),
    Mistake(
        outer_product,
        (x > 0, y),
        {},
        TypeError,
        "outer_product: x has dtype bool; wanted a floating or complex dtype; "
        "did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        hadamard_product,
        (A, jnp.ones((3, 2))),
        {},
        ValueError,
        "hadamard_product: A (2, 3) and B (3, 2) must have one shape; did you mean B.T?",
    ),
    Mistake(
        hadamard_product,
        (A, jnp.ones((1, 3))),
        {},
        ValueError,
        "hadamard_product: A (2, 3) and B (1, 3) must have one shape",
    ),
    Mistake(
        hadamard_product,
        (A, A > 0),
        {},
        TypeError,
        "hadamard_product: B has dtype bool; wanted a floating or complex dtype; "
        "did you mean B.astype(jnp.float32)?",
    ),
    Mistake(
        transpose,
        (x,),
        {},
        ValueError,
        "transpose: A has shape (3,); wanted at least 2 axes, (*batch rows columns); "
        "did you mean A[None]?",
    ),
    Mistake(
        transpose,
        ([[1.0]],),
        {},
        TypeError,
        "transpose: A is a list; wanted an array; did you mean jnp.asarray(A)?",
    ),
    Mistake(
        trace,
        (A,),
        {},
        ValueError,
        "trace: A has shape (2, 3); wanted a square matrix, (*batch n n)",
    ),
    Mistake(
        trace,
        (x,),
        {},
        ValueError,
        "trace: A has shape (3,); wanted at least 2 axes, (*batch n n); did you mean A[None]?",
    ),
    Mistake(
        trace,
        (jnp.ones((2, 2), int),),
        {},
        TypeError,
        "trace: A has dtype int32; wanted a floating or complex dtype; "
        "did you mean A.astype(jnp.float32)?",
    ),
]


def complex_normal(i, *shape):
    return normal(i, *shape, dtype=complex)


def positive(i, *shape):
    """Entries in [0.5, 2): sums of their products do not cancel, so ULPs of them mean much."""
    return jnp.asarray(np.random.default_rng(i).uniform(0.5, 2, shape), jnp.float32)


def summed(subscripts, *operands):
    """The same sum in float64, by NumPy's own loop."""
    return np.einsum(subscripts, *(np.asarray(a, np.float64) for a in operands), optimize=False)


class TestDotProduct:
    @pytest.mark.last_digits
    def test_reference(self):
        a, b = positive(0, 5, 64), positive(1, 5, 64)
        assert_within_ulp(dot_product(a, b), summed("bi,bi->b", a, b), 4)

    @pytest.mark.last_digits
    def test_reference_in_half_precision(self):
        """One rounding: bfloat16 alone counts ones only to 256, float16 to 2048."""
        for dtype in (jnp.bfloat16, jnp.float16):
            a, b = positive(0, 5, 64).astype(dtype), positive(1, 5, 64).astype(dtype)
            assert_within_ulp(dot_product(a, b), summed("bi,bi->b", a, b), 0.51)
            ones = jnp.ones(4096, dtype)
            assert dot_product(ones, ones) == 4096

    def test_law_conjugate_symmetric_and_positive(self):
        a, b = complex_normal(0, 5, 4), complex_normal(1, 5, 4)
        np.testing.assert_allclose(dot_product(a, b), dot_product(b, a).conj(), rtol=1e-5)
        square = dot_product(a, a)
        np.testing.assert_allclose(square, (np.abs(a) ** 2).sum(-1), rtol=1e-5)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def rule(sbar, a, b):
            return sbar[:, None] * b, sbar[:, None] * a

        assert_cotangents(dot_product, rule, normal(0, 5, 4), normal(1, 5, 4))

        def complex_rule(sbar, a, b):
            return jnp.conj(sbar[:, None] * b), sbar[:, None] * jnp.conj(a)

        assert_cotangents(
            dot_product, complex_rule, complex_normal(0, 5, 4), complex_normal(1, 5, 4)
        )

    def test_transforms(self):
        assert_transforms(dot_product, normal(0, 5, 4), normal(1, 5, 4))

    def test_edges(self):
        assert dot_product(jnp.zeros((2, 0)), jnp.zeros((2, 0))).tolist() == [0, 0]
        assert dot_product(jnp.zeros((0, 2)), jnp.zeros((0, 2))).shape == (0,)
        assert jnp.isnan(dot_product(jnp.array([jnp.nan, 1]), jnp.array([0.0, 1])))
        assert dot_product(jnp.array([jnp.inf, 1]), jnp.array([-2.0, 1])) == -jnp.inf


class TestMatrixVectorProduct:
    @pytest.mark.last_digits
    def test_reference(self):
        a, b = positive(0, 5, 6, 32), positive(1, 5, 32)
        assert_within_ulp(matrix_vector_product(a, b), summed("bij,bj->bi", a, b), 4)

    def test_law_each_entry_is_a_dot_product_with_a_row(self):
        a, b = normal(0, 4, 3), normal(1, 3)
        rows = jax.vmap(dot_product, in_axes=(0, None))(a, b)
        np.testing.assert_allclose(matrix_vector_product(a, b), rows, rtol=1e-6, atol=1e-6)

    def test_the_cure_that_the_error_names(self):
        shared = jax.vmap(matrix_vector_product, in_axes=(None, 0))
        np.testing.assert_array_equal(shared(A, jnp.ones((5, 3))), jnp.full((5, 2), 3.0))

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def rule(ybar, a, b):
            return outer_product(ybar, b), matrix_vector_product(transpose(a), ybar)

        assert_cotangents(matrix_vector_product, rule, normal(0, 2, 4, 3), normal(1, 2, 3))
        complex_args = complex_normal(0, 2, 4, 3), complex_normal(1, 2, 3)
        assert_cotangents(matrix_vector_product, rule, *complex_args)

    def test_transforms(self):
        assert_transforms(matrix_vector_product, normal(0, 2, 4, 3), normal(1, 2, 3))

    def test_edges(self):
        assert matrix_vector_product(jnp.zeros((2, 0)), jnp.zeros(0)).tolist() == [0, 0]
        assert matrix_vector_product(jnp.zeros((0, 2, 3)), jnp.zeros((0, 3))).shape == (0, 2)
        half = jnp.ones((300, 300), jnp.bfloat16)
        product = matrix_vector_product(half, half[0])
        assert product.dtype == jnp.bfloat16
        assert (product == 300).all()
        assert jnp.isnan(matrix_vector_product(jnp.ones((1, 2)), jnp.array([jnp.nan, 0]))).all()


class TestMatrixProduct:
    @pytest.mark.last_digits
    def test_reference(self):
        a, b = positive(0, 5, 6, 32), positive(1, 5, 32, 7)
        assert_within_ulp(matrix_product(a, b), summed("bij,bjk->bik", a, b), 4)

    def test_law_composition(self):
        """(A B) x = A (B x), (A B)ᵀ = Bᵀ Aᵀ."""
        a, b, v = normal(0, 4, 3), normal(1, 3, 5), normal(2, 5)
        one = matrix_vector_product(matrix_product(a, b), v)
        other = matrix_vector_product(a, matrix_vector_product(b, v))
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
        turned = matrix_product(transpose(b), transpose(a))
        np.testing.assert_allclose(transpose(matrix_product(a, b)), turned, rtol=1e-6, atol=1e-6)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        """The rule of backpropagation: Ā = C̄ Bᵀ and B̄ = Aᵀ C̄."""

        def rule(Cbar, a, b):
            return matrix_product(Cbar, transpose(b)), matrix_product(transpose(a), Cbar)

        assert_cotangents(matrix_product, rule, normal(0, 2, 4, 3), normal(1, 2, 3, 5))
        assert_cotangents(
            matrix_product, rule, complex_normal(0, 2, 4, 3), complex_normal(1, 2, 3, 5)
        )

    def test_transforms(self):
        assert_transforms(matrix_product, normal(0, 2, 4, 3), normal(1, 2, 3, 5))

    def test_edges(self):
        assert (matrix_product(jnp.zeros((2, 0)), jnp.zeros((0, 3))) == jnp.zeros((2, 3))).all()
        assert matrix_product(jnp.zeros((0, 2, 3)), jnp.zeros((0, 3, 1))).shape == (0, 2, 1)
        half = jnp.ones((300, 300), jnp.float16)
        assert matrix_product(half, half).dtype == jnp.float16
        product = matrix_product(jnp.eye(2).at[0, 0].set(jnp.nan), jnp.ones((2, 2)))
        assert jnp.isnan(product).tolist() == [[True, True], [False, False]]


class TestOuterProduct:
    @pytest.mark.last_digits
    def test_reference(self):
        a, b = normal(0, 2, 4), normal(1, 2, 3)
        assert_within_ulp(outer_product(a, b), summed("bi,bj->bij", a, b), 0.5)

    def test_law_rank_one(self):
        """(x yᵀ) z = x (yᵀ z), and tr x yᵀ = xᵀ y."""
        a, b, z = normal(0, 4), normal(1, 3), normal(2, 3)
        np.testing.assert_allclose(
            matrix_vector_product(outer_product(a, b), z), a * dot_product(b, z), rtol=1e-5
        )
        np.testing.assert_allclose(trace(outer_product(b, z)), dot_product(b, z), rtol=1e-5)

    def test_law_gradient_of_a_weight_matrix(self):
        """What the docstring says that it is for."""
        w, v, ybar = normal(0, 4, 3), normal(1, 3), normal(2, 4)
        _, pullback = jax.vjp(lambda w: matrix_vector_product(w, v), w)
        np.testing.assert_allclose(pullback(ybar)[0], outer_product(ybar, v), rtol=1e-6)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def rule(Cbar, a, b):
            return matrix_vector_product(Cbar, b), matrix_vector_product(transpose(Cbar), a)

        assert_cotangents(outer_product, rule, normal(0, 2, 4), normal(1, 2, 3))
        assert_cotangents(outer_product, rule, complex_normal(0, 2, 4), complex_normal(1, 2, 3))

    def test_transforms(self):
        assert_transforms(outer_product, normal(0, 2, 4), normal(1, 2, 3))

    def test_edges(self):
        assert outer_product(jnp.ones(0), jnp.ones(3)).shape == (0, 3)
        assert (
            outer_product(jnp.ones(2, jnp.bfloat16), jnp.ones(3, jnp.bfloat16)).dtype == "bfloat16"
        )
        product = outer_product(jnp.array([0.0, 1.0]), jnp.array([jnp.inf]))
        np.testing.assert_array_equal(product, [[jnp.nan], [jnp.inf]])


class TestHadamardProduct:
    @pytest.mark.last_digits
    def test_reference(self):
        a, b = normal(0, 2, 4), normal(1, 2, 4)
        assert_within_ulp(hadamard_product(a, b), np.float64(a) * np.float64(b), 0.5)

    def test_law_diagonal_matrices(self):
        """diag(x) y = x ∘ y."""
        a, b = normal(0, 4), normal(1, 4)
        np.testing.assert_array_equal(hadamard_product(a, b), matrix_vector_product(jnp.diag(a), b))

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def rule(Cbar, a, b):
            return hadamard_product(Cbar, b), hadamard_product(Cbar, a)

        assert_cotangents(hadamard_product, rule, normal(0, 2, 4), normal(1, 2, 4))
        assert_cotangents(hadamard_product, rule, complex_normal(0, 2, 4), complex_normal(1, 2, 4))

    def test_transforms(self):
        assert_transforms(hadamard_product, normal(0, 2, 4), normal(1, 2, 4))

    def test_edges(self):
        assert hadamard_product(jnp.ones(()), jnp.ones(())) == 1
        assert hadamard_product(jnp.ones((0, 2)), jnp.ones((0, 2))).shape == (0, 2)
        assert (
            hadamard_product(jnp.ones(2, jnp.float16), jnp.ones(2, jnp.float16)).dtype == "float16"
        )
        assert jnp.isnan(hadamard_product(jnp.array([jnp.inf]), jnp.zeros(1))).all()


class TestTranspose:
    def test_reference(self):
        a = normal(0, 5, 2, 3)
        for i, j in np.ndindex(2, 3):
            np.testing.assert_array_equal(transpose(a)[:, j, i], a[:, i, j])

    def test_law_adjoint(self):
        """⟨A x, y⟩ = ⟨x, Aᵀ y⟩."""
        a, v, w = normal(0, 4, 3), normal(1, 3), normal(2, 4)
        one = dot_product(matrix_vector_product(a, v), w)
        np.testing.assert_allclose(
            one, dot_product(v, matrix_vector_product(transpose(a), w)), rtol=1e-5
        )

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        assert_cotangents(transpose, lambda Cbar, a: (transpose(Cbar),), normal(0, 5, 2, 3))
        assert_cotangents(transpose, lambda Cbar, a: (transpose(Cbar),), complex_normal(0, 5, 2, 3))

    def test_transforms(self):
        assert_transforms(transpose, normal(0, 5, 2, 3))

    @pytest.mark.parametrize("dtype", ["uint8", "bool", "bfloat16", "complex64"])
    def test_any_dtype(self, dtype):
        turned = transpose(jnp.ones((0, 2, 3), dtype))
        assert turned.dtype == dtype
        assert turned.shape == (0, 3, 2)


class TestTrace:
    @pytest.mark.last_digits
    def test_reference(self):
        a = positive(0, 5, 8, 8)
        assert_within_ulp(trace(a), [np.trace(m) for m in np.float64(a)], 2)

    def test_law_cyclic(self):
        """Tr A B = tr B A."""
        a, b = positive(0, 5, 4, 3), positive(1, 5, 3, 4)
        one, other = trace(matrix_product(a, b)), trace(matrix_product(b, a))
        np.testing.assert_allclose(one, other, rtol=1e-6)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def rule(sbar, a):
            return (sbar[:, None, None] * jnp.eye(3),)

        assert_cotangents(trace, rule, normal(0, 5, 3, 3))
        assert_cotangents(trace, rule, complex_normal(0, 5, 3, 3))

    def test_transforms(self):
        assert_transforms(trace, normal(0, 5, 3, 3))

    def test_edges(self):
        assert trace(jnp.zeros((2, 0, 0))).tolist() == [0, 0]
        assert trace(jnp.zeros((0, 2, 2))).shape == (0,)
        assert trace(jnp.array([[1, jnp.nan], [jnp.inf, 2]])) == 3
        assert jnp.isnan(trace(jnp.array([[jnp.nan, 0], [0, 1]])))
        assert trace(jnp.eye(300, dtype=jnp.bfloat16)).dtype == jnp.bfloat16
        assert trace(jnp.eye(512, dtype=jnp.bfloat16)) == 512
