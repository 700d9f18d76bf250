"""fnmath.losses, of overlaps: against their definitions in double precision, and optax."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnmath.losses import (
    binary_dice_loss,
    dice_loss,
    multiclass_generalized_dice_loss,
    tversky_loss,
)
from tests.helpers import Mistake, assert_transforms, assert_within_ulp
from tests.losses.slopes import assert_slope

z = jnp.zeros((2, 4, 3))
LOSSES = [dice_loss, tversky_loss, multiclass_generalized_dice_loss, binary_dice_loss]


def mistakes_of(loss):
    name = loss.__name__
    axes = "pixels" if loss is binary_dice_loss else "classes"
    flag = "apply_sigmoid" if loss is binary_dice_loss else "apply_softmax"
    return [
        Mistake(
            loss,
            (z.astype(int), z),
            {},
            TypeError,
            f"{name}: predictions has dtype int32; wanted a floating dtype; "
            "did you mean predictions.astype(jnp.float32)?",
        ),
        Mistake(
            loss,
            (z, z > 0),
            {},
            TypeError,
            f"{name}: targets has dtype bool; wanted real numbers",
        ),
        Mistake(
            loss,
            (z, z[..., 0]),
            {},
            ValueError,
            f"{name}: predictions (2, 4, 3) and targets (2, 4) must have one shape",
        ),
        Mistake(
            loss,
            (z[..., :0], z[..., :0]),
            {},
            ValueError,
            f"{name}: predictions (2, 4, 0) have no {axes} on axis -1",
        ),
        Mistake(
            loss,
            (z, z),
            {"smooth": -1.0},
            ValueError,
            f"{name}: smooth is -1.0; wanted a number in [0, inf)",
        ),
        Mistake(
            loss,
            (z, z),
            {flag: 1},
            TypeError,
            f"{name}: {flag} is 1 (int); wanted True or False",
        ),
    ]


MISTAKES = [
    *(mistake for loss in LOSSES for mistake in mistakes_of(loss)),
    Mistake(
        dice_loss,
        (z, z),
        {"axis": (1, 2)},
        ValueError,
        "dice_loss: axis is (1, 2); wanted no axis of the classes, the last one",
    ),
    Mistake(
        dice_loss,
        (z, z),
        {"class_weights": jnp.ones(2)},
        ValueError,
        "dice_loss: class_weights (2,) do not fit the classes; wanted (3,)",
    ),
    Mistake(
        dice_loss,
        (z, z),
        {"reduction": "max"},
        ValueError,
        "dice_loss: reduction is 'max'; wanted one of 'mean', 'sum', 'none'",
    ),
]

KEY = jax.random.key(0)
Z = jax.random.normal(KEY, (3, 6, 4)) * jnp.array([1.0, 10.0, 30.0])[:, None, None]
LABELS = jax.random.randint(jax.random.key(1), (3, 6), 0, 4)
T = jax.nn.one_hot(LABELS, 4)


def exact(z, t, alpha=0.5, beta=0.5, smooth=1.0, weights=1.0):
    """The loss of each example, a mean over the classes, and its gradient by z, in double."""
    z, t = np.float64(z), np.float64(t)
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    both, found = (p * t).sum(1), (p * (1 - t)).sum(1)
    missed = (t * (p.sum(-1, keepdims=True) - p)).sum(1)
    errors, hits = alpha * found + beta * missed, both + smooth
    slope = (alpha * (1 - t) - beta * t) * hits[:, None] - t * errors[:, None]
    slope = weights * slope / ((errors + hits) ** 2)[:, None] / z.shape[-1]
    gradient = p * (slope - (p * slope).sum(-1, keepdims=True))
    return (weights * errors / (errors + hits)).mean(-1), gradient


def assert_near(gradient, expected):
    """To 4 ULP of the largest entry, and twice that where every pixel is all but decided."""
    largest = np.abs(expected).max((-2, -1), keepdims=True)
    np.testing.assert_allclose(gradient / largest, expected / largest, atol=1e-6)


class TestDiceLoss:
    @pytest.mark.slow
    @pytest.mark.last_digits
    @pytest.mark.parametrize("options", [{}, {"alpha": 0.25, "beta": 0.75, "smooth": 1e-6}])
    def test_reference(self, options):
        value, gradient = exact(Z, T, **options)
        f = functools.partial(dice_loss, **options)
        assert_within_ulp(jax.jit(f)(Z, T), value, 4)
        for derivative in [jax.grad, jax.jacfwd]:
            ours = jax.jit(derivative(lambda z: f(z, T).sum()))(Z)
            assert_near(ours, gradient)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        z, t = np.float64(Z[:1]), np.float64(T[:1])
        f = jax.jit(functools.partial(dice_loss, alpha=0.2, beta=0.9))
        assert_slope(f, lambda z, t: exact(z, t, 0.2, 0.9)[1], z, t)

    def test_agrees_with_optax(self):
        w = jnp.array([1.0, 2.0, 0.5, 3.0])
        for options in [
            {"class_weights": w, "reduction": "none"},
            {"ignore_background": True, "reduction": "sum", "smooth": 0.3},
            {"axis": (0, 1), "alpha": 0.3, "beta": 0.7},
            {"apply_softmax": False},
        ]:
            predictions = Z if options.get("apply_softmax", True) else jax.nn.softmax(Z)
            theirs = optax.losses.dice_loss(predictions, T, **options)
            ours = jax.jit(functools.partial(dice_loss, **options))(predictions, T)
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_a_small_error_keeps_its_digits(self):
        """As 1 less the coefficient, optax gives 0."""
        z, t = jnp.full((1, 2, 2), 10.0).at[..., 1].set(-10.0), jnp.eye(2)[jnp.zeros((1, 2), int)]
        q = np.exp(-20.0) / (1 + np.exp(-20.0))
        per_class = np.array([q / (2 - 2 * q + q + 1), q / (q + 1)])
        ours = dice_loss(z, t, reduction="none")
        assert_within_ulp(ours[0], per_class, 4)

    def test_neither_there_nor_found(self):
        p, t = jnp.zeros((1, 3, 1)), jnp.zeros((1, 3, 1))
        f = functools.partial(dice_loss, smooth=0.0, apply_softmax=False)
        assert f(p, t).tolist() == [0]
        assert (jax.grad(lambda p: f(p, t)[0])(p) == 0).all()
        assert f(p, t + 1).tolist() == [1]
        assert f(p + 1, t).tolist() == [1]
        assert f(p + 1, t + 1).tolist() == [0]

    @pytest.mark.slow
    def test_transforms_and_edges(self):
        assert_transforms(dice_loss, Z, T)
        assert dice_loss(jnp.zeros((0, 5, 2)), jnp.zeros((0, 5, 2))).shape == (0,)
        np.testing.assert_array_equal(dice_loss(Z, T.astype(int)), dice_loss(Z, T))
        infinite = jnp.array([[[jnp.inf, 0.0], [0.0, -jnp.inf]]])
        first = jnp.eye(2)[jnp.zeros((1, 2), int)]
        assert dice_loss(infinite, first).tolist() == [0]
        assert jnp.isfinite(jax.grad(lambda z: dice_loss(z, first)[0])(infinite)).all()
        assert jnp.isnan(dice_loss(jnp.full((1, 2, 2), jnp.nan), first)).all()
        assert dice_loss(Z.astype(jnp.bfloat16), T).dtype == jnp.bfloat16


class TestTverskyLoss:
    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_is_a_dice_loss(self):
        """Of unlike weights, 0.3 and 0.7 unless said otherwise."""
        ours = tversky_loss(Z, T, ignore_background=True)
        np.testing.assert_array_equal(
            ours, dice_loss(Z, T, alpha=0.3, beta=0.7, ignore_background=True)
        )
        assert_within_ulp(jax.jit(tversky_loss)(Z, T), exact(Z, T, 0.3, 0.7)[0], 4)

    def test_law_of_jaccard(self):
        """With α = β = 1 it is 1 less the intersection over the union."""
        p, t = (T[..., :1] + T[..., 1:2]), T[..., :1]
        ours = tversky_loss(p, t, alpha=1.0, beta=1.0, smooth=0.0, apply_softmax=False)
        union = jnp.sum(jnp.maximum(p, t), (1, 2))
        np.testing.assert_allclose(ours, 1 - jnp.sum(p * t, (1, 2)) / union, rtol=1e-6)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        z, t = np.float64(Z[:1]), np.float64(T[:1])
        assert_slope(jax.jit(tversky_loss), lambda z, t: exact(z, t, 0.3, 0.7)[1], z, t)

    def test_transforms(self):
        assert_transforms(tversky_loss, Z, T)
        assert tversky_loss(Z.astype(jnp.float16), T).dtype == jnp.float16


class TestMulticlassGeneralizedDiceLoss:
    def weights(self, t):
        v = 1 / (np.float64(t).sum((0, 1)) ** 2 + 1e-7)
        return v / v.sum() * v.size

    @pytest.mark.last_digits
    def test_reference(self):
        value, gradient = exact(Z, T, weights=self.weights(T))
        f = jax.jit(multiclass_generalized_dice_loss)
        assert_within_ulp(f(Z, T), value, 5)
        ours = jax.jit(jax.grad(lambda z: f(z, T).sum()))(Z)
        assert_near(ours, gradient)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        z, t = np.float64(Z[:1]), np.float64(T[:1])
        f = jax.jit(multiclass_generalized_dice_loss)
        assert_slope(f, lambda z, t: exact(z, t, weights=self.weights(t))[1], z, t)

    def test_agrees_with_optax(self):
        for options in [{}, {"ignore_background": True, "smooth": 0.1}]:
            theirs = optax.losses.multiclass_generalized_dice_loss(Z, T, **options)
            ours = multiclass_generalized_dice_loss(Z, T, **options).mean()
            np.testing.assert_allclose(ours, theirs, rtol=1e-5)

    def test_edges(self):
        f = multiclass_generalized_dice_loss
        assert f(jnp.zeros((1, 2, 3)), jnp.zeros((1, 2, 3))).shape == (1,)
        assert f(Z.astype(jnp.bfloat16), T).dtype == jnp.bfloat16
        assert jnp.isnan(f(jnp.full((1, 2, 2), jnp.nan), jnp.ones((1, 2, 2)))).all()


class TestBinaryDiceLoss:
    z, t = Z[..., 0], T[..., 0]

    def exact(self, z, t):
        p, others = (1 / (1 + np.exp(s * np.float64(z))) for s in (-1, 1))
        t = np.float64(t)
        hits, errors = (p * t).sum(-1) + 1, ((1 - t) * p + t * others).sum(-1) / 2
        slope = (0.5 - t) * hits[..., None] - t * errors[..., None]
        gradient = p * others * slope / ((hits + errors) ** 2)[..., None]
        return errors / (hits + errors), gradient

    @pytest.mark.last_digits
    def test_reference(self):
        value, gradient = self.exact(self.z, self.t)
        f = jax.jit(binary_dice_loss)
        assert_within_ulp(f(self.z, self.t), value, 4)
        for derivative in [jax.grad, jax.jacfwd]:
            ours = jax.jit(derivative(lambda z: f(z, self.t).sum()))(self.z)
            largest = np.abs(gradient).max(-1, keepdims=True)
            np.testing.assert_allclose(ours / largest, gradient / largest, atol=5e-7)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        z, t = np.float64(self.z[:1]), np.float64(self.t[:1])
        assert_slope(jax.jit(binary_dice_loss), lambda z, t: self.exact(z, t)[1], z, t)

    def test_agrees_with_optax(self):
        for z, t in [(self.z, self.t), (Z[..., :1], T[..., :1]), (self.z[0], self.t[0])]:
            theirs = optax.losses.binary_dice_loss(z, t, smooth=0.5)
            np.testing.assert_allclose(binary_dice_loss(z, t, smooth=0.5), theirs, atol=1e-6)

    def test_probabilities(self):
        """optax refuses any that do not sum to 1 over the single class."""
        p = jax.nn.sigmoid(self.z)
        ours = binary_dice_loss(p, self.t, apply_sigmoid=False)
        np.testing.assert_allclose(ours, binary_dice_loss(self.z, self.t), atol=1e-6)

    def test_transforms(self):
        assert_transforms(binary_dice_loss, self.z, self.t)
        assert binary_dice_loss(self.z.astype(jnp.float16), self.t).dtype == jnp.float16
