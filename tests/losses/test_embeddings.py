"""fnmath.losses, of embeddings: against 60 digits, in both modes, nearly parallel and at zero."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest

from fnmath.losses import (
    cosine_distance,
    cosine_embedding_loss,
    cosine_similarity,
    triplet_margin_loss,
)
from tests.helpers import Mistake, assert_transforms, assert_within_ulp
from tests.losses.slopes import assert_slope

v, n = jnp.ones((4, 3)), jnp.arange(4)
ANGLES = [cosine_similarity, cosine_distance]


def mistakes_of(loss):
    name = loss.__name__
    return [
        Mistake(
            loss,
            (v, v.astype(int)),
            {},
            TypeError,
            f"{name}: targets has dtype int32; wanted a floating dtype; "
            "did you mean targets.astype(jnp.float32)?",
        ),
        Mistake(
            loss,
            (v, v[0]),
            {},
            ValueError,
            f"{name}: predictions (4, 3) and targets (3,) must have one shape",
        ),
        Mistake(
            loss,
            (v, v),
            {"epsilon": -1.0},
            ValueError,
            f"{name}: epsilon is -1.0; wanted a number in [0, inf)",
        ),
        Mistake(
            loss,
            (v, v),
            {"axis": 2},
            ValueError,
            f"{name}: axis is 2; wanted an axis of the shape (4, 3)",
        ),
        Mistake(
            loss,
            (v, v),
            {"where": v},
            TypeError,
            f"{name}: where has dtype float32; wanted bool; did you mean where != 0?",
        ),
    ]


MISTAKES = [
    *(mistake for loss in ANGLES for mistake in mistakes_of(loss)),
    Mistake(
        cosine_embedding_loss,
        (v, v, n[:3]),
        {},
        ValueError,
        "cosine_embedding_loss: targets (3,) do not fit first (4, 3); wanted (4,)",
    ),
    Mistake(
        cosine_embedding_loss,
        (v, v, n > 0),
        {},
        TypeError,
        "cosine_embedding_loss: targets has dtype bool; wanted real numbers",
    ),
    Mistake(
        triplet_margin_loss,
        (v, v, n),
        {},
        TypeError,
        "triplet_margin_loss: negatives has dtype int32; wanted a floating dtype; "
        "did you mean negatives.astype(jnp.float32)?",
    ),
    Mistake(
        triplet_margin_loss,
        (v, v, v[:, :2]),
        {},
        ValueError,
        "triplet_margin_loss: anchors (4, 3) and negatives (4, 2) must have one shape",
    ),
    Mistake(
        triplet_margin_loss,
        (v, v, v),
        {"norm_degree": 0.5},
        ValueError,
        "triplet_margin_loss: norm_degree is 0.5; wanted a number in [1, inf)",
    ),
    Mistake(
        triplet_margin_loss,
        (v, v, v),
        {"eps": -1e-6},
        ValueError,
        "triplet_margin_loss: eps is -1e-06; wanted a number in [0, inf)",
    ),
]

# Pairs of any size: at any angle, nearly parallel, nearly opposite, and nearly at right angles.
KEYS = jax.random.split(jax.random.key(0), 4)
A = jax.random.normal(KEYS[0], (40, 5))
SMALL = 10.0 ** jnp.linspace(-7, 0, 10)[:, None]
B = jax.random.normal(KEYS[1], (40, 5))
B = B.at[10:20].set(3 * A[10:20] * (1 + SMALL * B[10:20]))
B = B.at[20:30].set(-A[20:30] + SMALL * B[20:30])
SHARE = jnp.sum(A * B, -1, keepdims=True) / jnp.sum(A * A, -1, keepdims=True)
B = B.at[30:].add((1e-3 * SMALL**0.3 - SHARE[30:]) * A[30:])
A = A * 10.0 ** jnp.linspace(-17, 17, 40)[:, None]
B = B * 10.0 ** jnp.linspace(17, -15, 40)[:, None]


@functools.cache
def exact():
    """Cosine, 1 − cosine and ∂cos/∂a of each pair, of 60 digits rounded to float64."""
    rows = []
    with mpmath.workdps(60):
        for a, b in zip(np.float64(A), np.float64(B), strict=True):
            a, b = mpmath.matrix(a.tolist()), mpmath.matrix(b.tolist())
            aa, bb, ab = (mpmath.fdot(x, y) for x, y in ((a, a), (b, b), (a, b)))
            lengths = mpmath.sqrt(aa * bb)
            turn = (b - ab / aa * a) / lengths
            rows.append((float(ab / lengths), float(1 - ab / lengths), [float(g) for g in turn]))
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def relative_to_largest(gradient, expected):
    """The error in ULP of the largest entry of each row."""
    largest = np.abs(expected).max(-1, keepdims=True)
    return np.abs(np.float64(gradient) - expected) / (2.0 ** np.floor(np.log2(largest)) * 2**-23)


class TestCosines:
    @pytest.mark.slow
    @pytest.mark.last_digits
    @pytest.mark.parametrize("loss", ANGLES)
    def test_reference(self, loss):
        """Right to the last digits, near a right angle and between near-parallels as well."""
        similarity, distance, turn = exact()
        of_similarity = loss is cosine_similarity
        assert_within_ulp(jax.jit(loss)(A, B), similarity if of_similarity else distance, 4)
        for derivative in [jax.grad, jax.jacfwd]:
            ours = jax.jit(jax.vmap(derivative(loss)))(A, B)
            assert relative_to_largest(ours, turn if of_similarity else -turn).max() < 4

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("epsilon", [0.0, 1.5])
    def test_gradient(self, epsilon):
        """Without a floor, and with one between the lengths of the two vectors."""
        a, b = jnp.array([[0.3, -0.2, 0.5]]), jnp.array([[1.0, 2.0, -0.4]])

        def turn(a, b):
            lengths = [jnp.sqrt(jnp.maximum(jnp.sum(x * x, -1), epsilon)) for x in (a, b)]
            a_over = jnp.where(jnp.sum(a * a, -1) > epsilon, jnp.sum(a * b) / jnp.sum(a * a), 0)
            return (b - a_over * a) / (lengths[0] * lengths[1])

        def gradient(pair):
            return turn(*pair), turn(*pair[::-1])

        similarity = functools.partial(cosine_similarity, epsilon=epsilon)
        distance = functools.partial(cosine_distance, epsilon=epsilon)
        assert_slope(jax.jit(lambda pair: similarity(*pair)), gradient, (a, b))
        np.testing.assert_allclose(distance(a, b), 1 - similarity(a, b), rtol=1e-15)
        by_both = jax.grad(lambda pair: distance(*pair)[0])((a, b))
        for ours, g in zip(by_both, gradient((a, b)), strict=True):
            np.testing.assert_allclose(ours, -g, rtol=1e-13)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient_by_the_floor(self):
        """∂cos/∂ε = −cos/(2ε) for each vector that is shorter than √ε."""
        a, b = jnp.array([0.3, -0.2, 0.5]), jnp.array([1.0, 2.0, -0.4])

        def f(epsilon):
            return cosine_similarity(a, b, epsilon=epsilon)

        for derivative in [jax.grad, jax.jacfwd]:
            slope = derivative(f)(jnp.array(1.5))
            np.testing.assert_allclose(slope, -f(1.5) / 3, rtol=1e-13)

    def test_laws(self):
        """A cosine is at most 1, and knows neither lengths nor the order of its two vectors."""
        cos = cosine_similarity(A, B)
        assert (jnp.abs(cos) <= 1 + 1e-6).all()
        np.testing.assert_array_equal(cos, cosine_similarity(4 * A, B / 2))
        np.testing.assert_allclose(cos, cosine_similarity(B, A), rtol=1e-6)
        np.testing.assert_allclose(cosine_distance(A, B), 1 - np.float64(cos), atol=1e-6)
        assert cosine_distance(A, A).tolist() == [0] * 40

    @pytest.mark.slow
    def test_agrees_with_optax(self):
        a, b = jax.random.normal(KEYS[2], (2, 4, 3, 5))
        where = a < 1
        for options in [{}, {"axis": 1}, {"axis": (0, 2), "where": where}, {"epsilon": 2.0}]:
            for loss in ANGLES:
                ours, theirs = loss, getattr(optax.losses, loss.__name__)
                ours, theirs = (jax.jit(functools.partial(f, **options)) for f in (ours, theirs))
                np.testing.assert_allclose(ours(a, b), theirs(a, b), atol=1e-6)

    @pytest.mark.slow
    @pytest.mark.parametrize("loss", ANGLES)
    def test_no_direction(self, loss):
        """optax gives nan. With ε the gradient is that of a·b / (√ε ‖b‖)."""
        zero, b = jnp.zeros(3), jnp.array([1.0, 2.0, 2.0])
        sign = 1 if loss is cosine_similarity else -1
        for pair in [(zero, b), (b, zero), (zero, zero)]:
            for epsilon in [0.0, 1e-6]:
                assert loss(*pair, epsilon=epsilon) == float(loss is cosine_distance)
            for derivative in [jax.grad, jax.jacfwd]:
                assert (jnp.stack(derivative(loss, (0, 1))(*pair)) == 0).all()
        gradient = jax.grad(loss)(zero, b, epsilon=1e-6)
        np.testing.assert_allclose(gradient, sign * 1000 * b / 3, rtol=1e-6)

    @pytest.mark.slow
    @pytest.mark.parametrize("loss", ANGLES)
    def test_transforms_and_edges(self, loss):
        assert_transforms(loss, A, B)
        assert loss(jnp.zeros((0, 3)), jnp.zeros((0, 3))).shape == (0,)
        assert loss(jnp.zeros((2, 0)), jnp.zeros((2, 0))).tolist() == [loss is cosine_distance] * 2
        assert jnp.isnan(loss(jnp.array([jnp.nan, 1.0]), jnp.ones(2)))
        masked = functools.partial(loss, where=jnp.array([False, True]))
        assert masked(jnp.array([jnp.nan, 1.0]), jnp.ones(2)) == float(loss is cosine_similarity)
        assert jax.grad(masked)(jnp.array([jnp.nan, 1.0]), jnp.ones(2)).tolist() == [0, 0]
        half = jnp.ones(200, jnp.float16) * 200  # whose sum of squares float16 does not hold
        assert loss(half, half).dtype == jnp.float16
        assert loss(half, half) == float(loss is cosine_similarity)

    def test_second_derivative(self):
        """In all orders of the modes, as finite as the first; of a vector 0 too."""
        a, b = jnp.array([3.0, 4.0]), jnp.array([3.0, 4.001])
        u, length = a / 5, 5.0

        def hessian(b):  # −(u vᵀ + v uᵀ + cos (I − 3 u uᵀ)) / ‖a‖²
            v = b / jnp.linalg.norm(b)
            cos = u @ v
            outer = jnp.outer(u, v) + jnp.outer(v, u)
            return -(outer + cos * (jnp.eye(2) - 3 * jnp.outer(u, u))) / length**2

        for outer, inner in [(jax.jacrev, jax.jacrev), (jax.jacfwd, jax.jacrev), (jax.jacfwd,) * 2]:
            ours = jax.jit(outer(inner(cosine_similarity)))
            np.testing.assert_allclose(ours(a, b), hessian(b), atol=1e-7)
            assert jnp.isfinite(ours(jnp.zeros(2), b)).all()


class TestCosineEmbeddingLoss:
    @pytest.mark.slow
    def test_agrees_with_torch(self, torch):
        a, b = jax.random.normal(KEYS[3], (2, 12, 4))
        t = jnp.tile(jnp.array([1, -1]), 6)
        for margin in [0.0, 0.3]:
            theirs = torch.nn.functional.cosine_embedding_loss(
                *(torch.tensor(np.array(x)) for x in (a, b, t)), margin=margin, reduction="none"
            ).numpy()
            ours = cosine_embedding_loss(a, b, t, margin=margin)
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
        assert_transforms(cosine_embedding_loss, a, b, t)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        a, b = jax.random.normal(KEYS[3], (2, 6, 4))
        t = jnp.array([1, -1] * 3)

        def gradient(a, b, t):
            apart, turn = jax.jit(jax.vmap(jax.value_and_grad(cosine_similarity)))(a, b)
            apart = apart > 0
            return jnp.where((t == 1)[:, None], -turn, jnp.where(apart[:, None], turn, 0))

        assert_slope(jax.jit(cosine_embedding_loss), gradient, a, b, t)

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_edges(self):
        one, zero = jnp.ones((1, 2)), jnp.zeros((1, 2))
        assert jnp.isnan(cosine_embedding_loss(one, one, jnp.array([0]))).all()
        assert jnp.isnan(
            jax.grad(lambda a: cosine_embedding_loss(a, one, jnp.array([2]))[0])(one)
        ).all()
        assert cosine_embedding_loss(zero, one, jnp.array([1])).tolist() == [1]
        assert cosine_embedding_loss(zero, one, jnp.array([-1])).tolist() == [0]
        assert cosine_embedding_loss(jnp.ones((0, 2)), jnp.ones((0, 2)), jnp.ones(0)).shape == (0,)
        near = jnp.array([[1.0, 1e-4]])
        assert_within_ulp(
            cosine_embedding_loss(near, jnp.array([[1.0, 0.0]]), jnp.ones(1)), 5e-9, 3
        )


class TestTripletMarginLoss:
    a, p, n = jax.random.normal(KEYS[2], (3, 30, 4))

    def test_reference(self):
        """To 4 ULP of the larger distance: the loss is a difference of the two."""
        a, p, n = (np.float64(x) for x in (self.a, self.p, self.n))
        near, far = (np.sqrt(((a - x) ** 2).sum(-1) + np.float32(1e-6)) for x in (p, n))
        ours = jax.jit(triplet_margin_loss)(self.a, self.p, self.n)
        np.testing.assert_allclose(ours, np.clip(near - far + 1, 0, None), atol=2e-6)
        theirs = optax.losses.triplet_margin_loss(self.a, self.p, self.n)
        np.testing.assert_allclose(ours, theirs, atol=2e-6)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("degree", [1, 2, 3.5])
    def test_gradient(self, degree):
        """optax takes powers of signed differences, which are right for even degrees alone."""
        points = tuple(jnp.asarray(np.float64(x[:6])) for x in (self.a, self.p, self.n))
        eps = 0.0 if degree == 1 else 1e-6

        def gradient(points):
            a, p, n = points
            slopes = []
            for r in (a - p, a - n):
                d = (jnp.sum(jnp.abs(r) ** degree, -1, keepdims=True) + eps) ** (1 / degree)
                slopes.append((d, jnp.sign(r) * (jnp.abs(r) / d) ** (degree - 1)))
            (near, toward), (far, away) = slopes
            active = near - far + 0.5 > 0
            return tuple(jnp.where(active, g, 0) for g in (toward - away, -toward, away))

        def loss(points):
            return triplet_margin_loss(*points, norm_degree=degree, margin=0.5, eps=eps)

        assert_slope(jax.jit(loss), gradient, points)

    def test_one_point_as_far_away_as_numbers_go(self):
        """Then all is measured in a unit in which ε, and the square of the scale, are nothing."""
        near, far = jnp.array([0.0, 0.5]), jnp.array([3e38, 0.0])
        loss = jax.jit(jax.value_and_grad(triplet_margin_loss, (0, 1, 2)))
        for args in [(near * 0, near, far), (near, near, far), (near * 0, near, -far)]:
            value, slopes = loss(*args)
            assert value == 0
            assert not np.any(slopes)

    @pytest.mark.slow
    def test_points_that_coincide(self):
        zero, one = jnp.zeros(3), jnp.ones(3)
        for eps in [0.0, 1e-6]:
            f = functools.partial(triplet_margin_loss, margin=2.0, eps=eps)
            np.testing.assert_allclose(f(zero, zero, one), 2 - 3**0.5 + eps**0.5, rtol=1e-5)
            for derivative in [jax.grad, jax.jacfwd]:
                by_a, by_p, by_n = derivative(f, (0, 1, 2))(zero, zero, one)
                np.testing.assert_allclose(by_a, jnp.full(3, 3**-0.5), rtol=1e-6)
                np.testing.assert_array_equal(by_p, zero)
                np.testing.assert_allclose(by_n, jnp.full(3, -(3**-0.5)), rtol=1e-6)

    @pytest.mark.slow
    def test_transforms_and_edges(self):
        f = triplet_margin_loss
        assert_transforms(f, self.a, self.p, self.n)
        np.testing.assert_allclose(
            f(self.a.T, self.p.T, self.n.T, 0), f(self.a, self.p, self.n), atol=1e-6
        )
        none = jnp.zeros((0, 3))
        assert f(none, none, none).shape == (0,)
        assert f(jnp.zeros(2), jnp.full(2, 1e30), jnp.zeros(2)) == np.float32(2**0.5 * 1e30)
        assert f(jnp.zeros(2), jnp.full(2, 3e-30), jnp.zeros(2), margin=0.0, eps=0.0) > 4e-30
        assert jnp.isnan(f(jnp.array([jnp.nan]), jnp.ones(1), jnp.ones(1)))
        half = jnp.ones(3, jnp.float16)
        assert f(half, half, half) == jnp.float16(1)
        assert f(half, half, half).dtype == jnp.float16
