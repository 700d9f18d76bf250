"""fnmath.losses, of margins between classes: values, laws, gradients and edges of each loss."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnmath.losses import (
    multi_margin_loss,
    multiclass_hinge_loss,
    multiclass_perceptron_loss,
    multiclass_sparsemax_loss,
    multilabel_soft_margin_loss,
    ranking_softmax_loss,
    softmax_cross_entropy,
)
from tests.helpers import Mistake, assert_transforms, assert_within_ulp
from tests.losses.slopes import assert_slope

z, y, t = jnp.zeros((4, 3)), jnp.arange(4) % 3, jnp.full((4, 3), 0.5)
OF_LABELS = [
    multiclass_hinge_loss,
    multiclass_perceptron_loss,
    multiclass_sparsemax_loss,
    multi_margin_loss,
]
OF_LISTS = [multilabel_soft_margin_loss, ranking_softmax_loss]


def mistakes_of_labels(loss):
    name = loss.__name__
    return [
        Mistake(
            loss,
            (y, y),
            {},
            TypeError,
            f"{name}: scores has dtype int32; wanted a floating dtype; "
            "did you mean scores.astype(jnp.float32)?",
        ),
        Mistake(
            loss,
            (z, t[:, 0]),
            {},
            TypeError,
            f"{name}: labels has dtype float32; wanted an integer dtype; "
            "did you mean labels.astype(jnp.int32)?",
        ),
        Mistake(
            loss,
            (z, t),
            {},
            ValueError,
            f"{name}: labels (4, 3) have an entry for each class; wanted (4,); "
            "did you mean jnp.argmax(labels, -1)?",
        ),
        Mistake(
            loss,
            (z, y[:3]),
            {},
            ValueError,
            f"{name}: labels (3,) do not fit scores (4, 3); wanted (4,)",
        ),
        Mistake(
            loss,
            (z[:, :0], y),
            {},
            ValueError,
            f"{name}: scores (4, 0) have no classes on axis -1",
        ),
    ]


def mistakes_of_lists(loss):
    name = loss.__name__
    return [
        Mistake(
            loss,
            (y, t),
            {},
            TypeError,
            f"{name}: logits has dtype int32; wanted a floating dtype; "
            "did you mean logits.astype(jnp.float32)?",
        ),
        Mistake(
            loss,
            (z, t > 0),
            {},
            TypeError,
            f"{name}: labels has dtype bool; wanted real numbers",
        ),
        Mistake(
            loss,
            (z, y),
            {},
            ValueError,
            f"{name}: logits (4, 3) and labels (4,) must have one shape",
        ),
    ]


MISTAKES = [
    *(mistake for loss in OF_LABELS for mistake in mistakes_of_labels(loss)),
    *(mistake for loss in OF_LISTS for mistake in mistakes_of_lists(loss)),
    Mistake(
        multi_margin_loss,
        (z, y),
        {"p": 3},
        ValueError,
        "multi_margin_loss: p is 3; wanted 1 or 2",
    ),
    Mistake(
        multi_margin_loss,
        (z, y),
        {"p": 1.5},
        TypeError,
        "multi_margin_loss: p is 1.5 (float); wanted an integer",
    ),
    Mistake(
        ranking_softmax_loss,
        (z, t),
        {"where": t},
        TypeError,
        "ranking_softmax_loss: where has dtype float32; wanted bool; did you mean where != 0?",
    ),
    Mistake(
        ranking_softmax_loss,
        (z, t),
        {"weights": jnp.ones(4)},
        ValueError,
        "ranking_softmax_loss: weights (4,) must broadcast to logits (4, 3)",
    ),
]

KEY = jax.random.key(0)
Z = jnp.concatenate(
    [
        jax.random.normal(KEY, (24, 5)) * jnp.array([0.2, 3.0, 30.0]).repeat(8)[:, None],
        jnp.array([[1.2999, 0.3, 0.0, 0.0, 0.0], [5.0, 4.00001, 0.0, 0.0, 0.0]]),
    ]
)
Y = jnp.concatenate([jnp.arange(24) % 5, jnp.zeros(2, int)])


def squared_margin_loss(z, y):
    return multi_margin_loss(z, y, p=2)


CASES = {**{f.__name__: f for f in OF_LABELS}, "squared": squared_margin_loss}


def exact(name, z, y):
    """Value and ∂ℓ/∂z in double precision, from the definitions with a one-hot label."""
    z, e = np.float64(z), np.eye(z.shape[-1])[y]
    z_y = (z * e).sum(-1, keepdims=True)
    if name == "multiclass_sparsemax_loss":
        down = -np.sort(-z, -1)
        k = (1 + np.arange(1, 6) * down > down.cumsum(-1)).sum(-1, keepdims=True)
        tau = (np.take_along_axis(down.cumsum(-1), k - 1, -1) - 1) / k
        p = np.clip(z - tau, 0, None)
        return (p * (z + tau)).sum(-1) / 2 + 0.5 - z_y[:, 0], p - e
    margin = 0.0 if name == "multiclass_perceptron_loss" else 1.0
    h = np.where(e == 1, 0, np.clip(margin + z - z_y, 0, None))
    if name in ("multiclass_hinge_loss", "multiclass_perceptron_loss"):
        slope = (h == h.max(-1, keepdims=True)) * (h > 0.0)
        return h.max(-1), slope - e * slope.sum(-1, keepdims=True)
    value, slope = (h**2, 2 * h) if name == "squared" else (h, h > 0)
    return value.sum(-1) / 5, (slope - e * slope.sum(-1, keepdims=True)) / 5


@pytest.mark.parametrize("name", CASES)
class TestEveryLossOfALabel:
    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_reference(self, name):
        """The loss of sparsemax to 4 ULP of 1 where it is smaller: it is a small difference."""
        value, gradient = exact(name, Z, Y)
        loss = jax.jit(CASES[name])
        sparse = name == "multiclass_sparsemax_loss"
        if sparse:
            np.testing.assert_allclose(loss(Z, Y), value, rtol=3e-7, atol=3e-7)
        else:
            assert_within_ulp(loss(Z, Y), value, 2)
        for derivative in [jax.grad, jax.jacfwd]:
            ours = jax.jit(jax.vmap(derivative(loss)))(Z, Y)
            if sparse:
                np.testing.assert_allclose(ours, gradient, atol=4e-7)
            else:
                assert_within_ulp(ours, gradient, 3)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self, name):
        loss = jax.jit(CASES[name])
        z, y = jnp.asarray(np.float64(Z[8:16])), Y[8:16]
        np.testing.assert_allclose(loss(z, y), exact(name, z, y)[0], rtol=1e-14, atol=1e-14)
        assert_slope(loss, lambda z, y: exact(name, z, y)[1], z, y)

    def test_transforms(self, name):
        assert_transforms(CASES[name], Z, Y)

    def test_law_ignores_a_shift(self, name):
        loss = CASES[name]
        z = jnp.round(Z * 64) / 64  # a shift that rounds nothing
        np.testing.assert_allclose(loss(z + 8, Y), loss(z, Y), rtol=1e-6, atol=1e-6)

    def test_agrees_with_its_namesake(self, name, torch):
        if name in ("squared", "multi_margin_loss"):
            theirs = torch.nn.functional.multi_margin_loss(
                torch.tensor(np.array(Z)),
                torch.tensor(np.array(Y)).long(),
                p=2 if name == "squared" else 1,
                reduction="none",
            ).numpy()
        else:
            theirs = getattr(optax.losses, name)(Z, Y)
        np.testing.assert_allclose(CASES[name](Z, Y), theirs, rtol=1e-5, atol=1e-5)

    @pytest.mark.slow
    def test_a_label_that_is_no_class_gives_nan_for_its_row_only(self, name):
        loss, labels = CASES[name], jnp.array([-1, 2, 5, 0])
        assert jnp.isnan(loss(Z[:4], labels)).tolist() == [True, False, True, False]
        gradient = jax.grad(lambda z: loss(z, labels).sum())(Z[:4])
        assert jnp.isnan(gradient).any(-1).tolist() == [True, False, True, False]

    @pytest.mark.slow
    def test_edges(self, name):
        loss = CASES[name]
        assert loss(jnp.zeros((0, 3)), jnp.zeros(0, int)).shape == (0,)
        assert loss(jnp.zeros((2, 0, 3)), jnp.zeros((2, 0), int)).shape == (2, 0)
        assert loss(jnp.ones((1, 1)), jnp.zeros(1, int)) == 0  # a single class has no rival
        assert jnp.isnan(loss(jnp.array([jnp.nan, 1.0]), jnp.array(1)))
        assert jnp.isnan(loss(jnp.array([jnp.nan, 1.0]), jnp.array(0)))
        half = jnp.ones((2, 3), jnp.bfloat16)
        assert loss(half, jnp.zeros(2, jnp.uint8)).dtype == jnp.bfloat16


@pytest.mark.slow
@pytest.mark.last_digits
def test_all_classes_alike():
    """At the kink the perceptron is flat; the others ask for more, and share it equally."""
    z, y, tied = jnp.zeros(3), jnp.array(0), jnp.array([-1.0, 0.5, 0.5])
    assert multiclass_perceptron_loss(z, y) == 0
    assert jax.grad(multiclass_perceptron_loss)(z, y).tolist() == [0, 0, 0]
    assert multiclass_hinge_loss(z, y) == 1
    np.testing.assert_array_equal(jax.grad(multiclass_hinge_loss)(z, y), tied)
    assert_within_ulp(multiclass_sparsemax_loss(z, y), 1 / 3, 2)


@pytest.mark.slow
@pytest.mark.parametrize("loss", OF_LABELS[:3])
def test_infinite_scores(loss):
    """A class that cannot occur is no rival; a label that cannot occur has the loss ∞."""
    inf, margin = jnp.inf, float(loss is multiclass_hinge_loss)
    z = jnp.array([[1.0, 1.0 - margin, -inf], [-inf, 0.0, 0.0], [inf, 0.0, 1.0]])
    assert loss(z, jnp.zeros(3, int))[1:].tolist() == [inf, 0]
    if loss is not multiclass_sparsemax_loss:
        assert loss(z, jnp.zeros(3, int))[0] == 0
        assert loss(jnp.array([inf, inf]), jnp.array(0)) == margin
    gradient = jax.vmap(jax.grad(loss))(z[::2], jnp.zeros(2, int))
    assert jnp.isfinite(gradient).all()


@pytest.mark.slow
@pytest.mark.last_digits
def test_multi_margin_loss_with_another_margin():
    loss = multi_margin_loss(jnp.array([1.0, 2.0, 3.0]), jnp.array(2), margin=2.0)
    assert_within_ulp(loss, 1 / 3, 1)


class TestMultilabelSoftMarginLoss:
    t = (Z > 0.3).astype(jnp.float32)

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_reference(self, torch):
        z, t = np.float64(Z), np.float64(self.t)
        value = np.logaddexp(0, np.where(t > 0, -z, z)).mean(-1)
        assert_within_ulp(jax.jit(multilabel_soft_margin_loss)(Z, self.t), value, 3)
        theirs = torch.nn.functional.multilabel_soft_margin_loss(
            torch.tensor(z), torch.tensor(t), reduction="none"
        )
        np.testing.assert_allclose(value, theirs, rtol=1e-12)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        z, t = jnp.asarray(np.float64(Z[:3])), jnp.full((3, 5), 0.3)
        loss = jax.jit(multilabel_soft_margin_loss)
        assert_slope(loss, lambda z, t: (jax.nn.sigmoid(z) - t) / 5, z, t)

    def test_transforms_and_edges(self):
        f = multilabel_soft_margin_loss
        assert_transforms(f, Z, self.t)
        np.testing.assert_array_equal(f(Z, self.t.astype(int)), f(Z, self.t))
        assert f(jnp.zeros((0, 3)), jnp.zeros((0, 3))).shape == (0,)
        assert f(jnp.array([jnp.inf, -jnp.inf]), jnp.array([1.0, 0.0])) == 0
        assert jnp.isnan(f(jnp.array([jnp.nan, 0.0]), jnp.ones(2)))
        assert f(jnp.ones(3, jnp.float16), jnp.ones(3)).dtype == jnp.float16


class TestRankingSoftmaxLoss:
    t = jnp.abs(jax.random.normal(jax.random.key(1), Z.shape))

    def test_is_a_cross_entropy(self):
        ours = ranking_softmax_loss(Z, self.t)
        np.testing.assert_array_equal(ours, softmax_cross_entropy(Z, self.t))

    def test_agrees_with_optax(self):
        where, w = Z < 2, jnp.arange(5.0)
        for options in [{}, {"where": where}, {"where": where, "weights": w}]:
            theirs = optax.losses.ranking_softmax_loss(Z, self.t, reduce_fn=None, **options)
            ours = ranking_softmax_loss(Z, self.t, **options)
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        z, t, w = (jnp.asarray(np.float64(a)) for a in (Z[:3], self.t[:3], np.arange(1, 6) / 3))

        def gradient(z, t):
            p = jax.nn.softmax(z)
            return p * jnp.sum(w * t, -1, keepdims=True) - w * t

        loss = jax.jit(functools.partial(ranking_softmax_loss, weights=w))
        assert_slope(loss, gradient, z, t)

    def test_items_that_are_not_there_do_not_matter(self):
        """optax gives nan where such an item has an infinite score and the list no other."""
        where = jnp.array([[True, False, True], [False, False, False]])
        for junk in [0.0, -jnp.inf, jnp.inf, jnp.nan]:
            z = jnp.where(where, jnp.array([1.0, 0.0, 2.0]), junk)
            f = functools.partial(ranking_softmax_loss, where=where)
            t = jnp.where(where, 0.5, junk)
            np.testing.assert_allclose(f(z, t), [0.81326169, 0], rtol=1e-6)
            gradient = jax.grad(lambda z, f=f, t=t: f(z, t).sum())(z)
            np.testing.assert_allclose(gradient[:, 1], 0)
            assert jnp.isfinite(gradient).all()

    def test_transforms_and_edges(self):
        f = ranking_softmax_loss
        assert_transforms(f, Z, self.t)
        assert f(jnp.zeros((0, 3)), jnp.zeros((0, 3), int)).shape == (0,)
        assert f(jnp.array([-jnp.inf, 0.0]), jnp.array([0, 1])) == 0
        assert jnp.isnan(f(jnp.array([jnp.nan, 0.0]), jnp.ones(2)))
        assert f(jnp.ones(3, jnp.float16), jnp.ones(3)).dtype == jnp.float16
