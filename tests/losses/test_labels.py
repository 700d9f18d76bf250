"""fnmath.losses, of class labels: against 50 digits, optax and PyTorch, in both modes."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest

from fnmath.losses import (
    brier_score,
    nll_loss,
    poly_loss_cross_entropy,
    sigmoid_focal_loss,
    smooth_labels,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
    softmax_focal_loss,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

z, t, y = jnp.zeros((4, 3)), jnp.full((4, 3), 1 / 3), jnp.arange(4) % 3
MISTAKES = [
    Mistake(
        smooth_labels,
        (y, 0.1),
        {},
        TypeError,
        "smooth_labels: labels has dtype int32; wanted a floating dtype; "
        "did you mean labels.astype(jnp.float32)?",
    ),
    Mistake(
        smooth_labels,
        (t, 1.5),
        {},
        ValueError,
        "smooth_labels: alpha is 1.5; wanted a number in [0, 1]",
    ),
    Mistake(
        smooth_labels,
        (t, 0.1),
        {"axis": 2},
        ValueError,
        "smooth_labels: axis is 2; wanted an axis of the shape (4, 3)",
    ),
    Mistake(
        nll_loss,
        (t, t[:, 0]),
        {},
        TypeError,
        "nll_loss: labels has dtype float32; wanted an integer dtype; "
        "did you mean labels.astype(jnp.int32)?",
    ),
    Mistake(
        nll_loss,
        (t, y),
        {"class_weights": jnp.ones(4)},
        ValueError,
        "nll_loss: class_weights (4,); wanted one for each of 3 classes, (3,)",
    ),
    Mistake(
        softmax_focal_loss,
        (z, y),
        {"ignore_label": 1.0},
        TypeError,
        "softmax_focal_loss: ignore_label is 1.0 (float); wanted an integer",
    ),
    Mistake(
        softmax_focal_loss,
        (z, y),
        {"gamma": -0.5},
        ValueError,
        "softmax_focal_loss: gamma is -0.5; wanted a number in [0, inf)",
    ),
    Mistake(
        poly_loss_cross_entropy,
        (z, y),
        {},
        TypeError,
        "poly_loss_cross_entropy: labels has dtype int32; wanted a floating dtype; "
        "did you mean labels.astype(jnp.float32)?",
    ),
    Mistake(
        poly_loss_cross_entropy,
        (z, t[0]),
        {},
        ValueError,
        "poly_loss_cross_entropy: logits (4, 3) and labels (3,) must have one shape",
    ),
    Mistake(
        poly_loss_cross_entropy,
        (z, t),
        {"epsilon": t[:, 0]},
        ValueError,
        "poly_loss_cross_entropy: epsilon (4,) must broadcast to one number ()",
    ),
    Mistake(
        brier_score,
        (z, z[:, 0]),
        {},
        TypeError,
        "brier_score: labels has dtype float32; wanted an integer dtype; "
        "did you mean labels.astype(jnp.int32)?",
    ),
    Mistake(
        brier_score,
        (z, y[:3]),
        {},
        ValueError,
        "brier_score: labels (3,) do not fit logits (4, 3); wanted (4,)",
    ),
]

# Confident, undecided, far apart, nearly tied; each row with each class as its label.
ROWS = jnp.array(
    [
        [17.0, 0.0, 0.0, -3.0],
        [0.0, 30.0, 0.0, -60.0],
        [1.0, 2.0, 3.0, 4.0],
        [0.0, 0.0, 0.0, 0.0],
        [20.0, 20.0, -20.0, 19.0],
        [5.0, 4.999999, -5.0, 1e-7],
        [50.1, -3.3, 0.7, 8.9],
    ]
)
Z, Y = jnp.repeat(ROWS, 4, 0), jnp.tile(jnp.arange(4), len(ROWS))
BOTH_MODES = pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd], ids=["rev", "fwd"])
cross_entropy = jax.jit(softmax_cross_entropy_with_integer_labels)


def probabilities(row):
    e = [mpmath.exp(mpmath.mpf(float(a))) for a in row]
    return [a / mpmath.fsum(e) for a in e]


def precisely(f):
    """f(p, y) of each row, in arithmetic of 60 digits, rounded to float64."""
    with mpmath.workdps(60):
        of_rows = [f(probabilities(row), int(label)) for row, label in zip(Z, Y, strict=True)]
        return np.array([np.array(a, dtype=object).astype(float) for a in of_rows])


def check(loss, value, slope, ulps, *, near_root=-1):
    """Value and gradient, in both modes, of the loss of all rows.

    In the row ``near_root`` the terms of the gradient, of which ½ is the largest, cancel.
    """
    assert_within_ulp(jax.jit(loss)(Z, Y), precisely(value), ulps)
    expected = precisely(slope)
    usual = np.arange(len(Z)) // 4 != near_root
    for derivative in [jax.grad, jax.jacfwd]:
        ours = np.array(jax.jit(derivative(lambda z: loss(z, Y).sum()))(Z))
        assert_within_ulp(ours[usual], expected[usual], ulps)
        np.testing.assert_allclose(ours[~usual], expected[~usual], rtol=0, atol=ulps * 2.0**-24)


class TestSmoothLabels:
    def test_agrees_with_optax(self):
        key = jax.random.key(0)
        labels = jax.nn.one_hot(jax.random.randint(key, (5, 6), 0, 7), 7, axis=1)
        for axis in [1, (0, 2), None]:
            ours = smooth_labels(labels, 0.1, axis=axis)
            theirs = optax.losses.smooth_labels(labels, 0.1, axis=axis)
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)

    def test_classes_left_out_get_nothing(self):
        """Optax gives them a share, on top of those of the classes that count."""
        labels = jnp.array([[1.0, 0.0, jnp.nan], [0.0, 1.0, 0.0]])
        where = jnp.array([[True, True, False], [False, False, False]])
        smoothed, pull = jax.vjp(lambda t: smooth_labels(t, 0.2, where=where), labels)
        np.testing.assert_allclose(smoothed, [[0.9, 0.1, 0], [0, 0, 0]], rtol=1e-6)
        (slopes,) = pull(jnp.ones_like(labels))
        np.testing.assert_allclose(slopes, [[0.8, 0.8, 0], [0, 0, 0]], rtol=1e-6)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def gradient(pair):
            t, alpha = pair
            return jnp.broadcast_to(1 - alpha, t.shape), jnp.sum(1 / 3 - t)

        pair = jnp.array([[0.2, 0.7, 0.1], [1.0, 0.5, 2.0]]), jnp.array(0.3)
        assert_gradient(jax.jit(lambda pair: smooth_labels(*pair)), gradient, pair)

    @pytest.mark.last_digits
    def test_law_keeps_the_sum(self):
        smoothed = smooth_labels(jnp.eye(7), 0.3)
        assert_within_ulp(smoothed.sum(-1), np.ones(7), 2)
        np.testing.assert_array_equal(smooth_labels(jnp.eye(7), 0.0), jnp.eye(7))

    def test_transforms(self):
        assert_transforms(smooth_labels, jnp.eye(3), jnp.array(0.2))

    def test_edges(self):
        assert smooth_labels(jnp.zeros((0, 3)), 0.1).shape == (0, 3)
        assert jnp.isnan(smooth_labels(jnp.eye(2), jnp.array(1.5))).all()
        assert smooth_labels(jnp.eye(2, dtype=jnp.bfloat16), 0.1).dtype == jnp.bfloat16


class TestNLLLoss:
    def test_reference(self):
        log_p = jax.nn.log_softmax(ROWS)
        ours = nll_loss(log_p, jnp.arange(7) % 4)
        np.testing.assert_array_equal(ours, [-log_p[i, i % 4] for i in range(7)])

    @pytest.mark.parametrize("ignore", [None, 1, -100])
    def test_agrees_with_torch(self, ignore, torch):
        log_p, labels = jax.nn.log_softmax(Z), Y.at[::5].set(Y[0] if ignore is None else ignore)
        weights = jnp.array([0.5, 2.0, 0.0, 1.0])
        theirs_p, theirs_y, theirs_w = (torch.tensor(np.array(a)) for a in (log_p, labels, weights))
        index = {} if ignore is None else {"ignore_index": ignore}
        theirs = torch.nn.functional.nll_loss(
            theirs_p, theirs_y.long(), theirs_w, reduction="none", **index
        )
        ours = nll_loss(log_p, labels, class_weights=weights, ignore_label=ignore)
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-6)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        w = jnp.array([2.0, 0.5, 1.0])

        def gradient(log_p, y):
            return -w[y][:, None] * (y[:, None] == jnp.arange(3))

        log_p, y = jax.nn.log_softmax(jnp.array([[1.0, 2.0, -0.5], [0.3, 0.3, 2.0]])), y_of_two
        loss = jax.jit(functools.partial(nll_loss, class_weights=w))
        assert_gradient(loss, gradient, log_p, y)

    @BOTH_MODES
    def test_a_label_that_is_no_class_is_nan_and_never_clamped(self, derivative):
        labels = jnp.array([-1, 3, 2, 7])
        for label_dtype in [jnp.int32, jnp.int8]:
            loss = nll_loss(-jnp.ones((4, 3)), labels.astype(label_dtype))
            assert jnp.isnan(loss).tolist() == [True, True, False, True]
        slopes = jax.vmap(derivative(nll_loss))(-jnp.ones((4, 3)), labels)
        assert jnp.isnan(slopes).all(-1).tolist() == [True, True, False, True]

    @BOTH_MODES
    def test_ignored_examples_do_not_matter(self, derivative):
        log_p = jnp.array([[jnp.nan, -1.0], [-0.5, -0.9]])
        f = functools.partial(nll_loss, labels=jnp.array([7, 1]), ignore_label=7)
        np.testing.assert_allclose(f(log_p), [0, 0.9], rtol=1e-6)
        slopes = derivative(lambda a: f(a).sum())(log_p)
        assert slopes.tolist() == [[0, 0], [0, -1]]

    def test_transforms(self):
        assert_transforms(nll_loss, jax.nn.log_softmax(Z), Y)

    def test_edges(self):
        assert nll_loss(jnp.zeros((0, 3)), jnp.zeros(0, int)).shape == (0,)
        impossible = jnp.array([[-jnp.inf, 0.0]])
        assert nll_loss(impossible, jnp.array([0])) == jnp.inf
        assert nll_loss(impossible, jnp.array([0]), class_weights=jnp.array([0.0, 1.0])) == 0
        assert jnp.isnan(nll_loss(jnp.array([[jnp.nan, 0.0]]), jnp.array([0])))
        assert nll_loss(jnp.zeros((2, 3), jnp.float16), y_of_two).dtype == jnp.float16


y_of_two = jnp.array([1, 0])


class TestSoftmaxFocalLoss:
    @pytest.mark.slow
    @pytest.mark.last_digits
    @pytest.mark.parametrize("gamma", [0.5, 1.5, 2.0])
    def test_reference(self, gamma):
        def value(p, y):
            q = mpmath.fsum(a for k, a in enumerate(p) if k != y)
            return -(q**gamma) * mpmath.log1p(-q) if q < 0.5 else -(q**gamma) * mpmath.log(p[y])

        def slope(p, y):
            q = mpmath.fsum(a for k, a in enumerate(p) if k != y)
            factor = q**gamma * (1 - gamma * p[y] * mpmath.log(p[y]) / q)
            return [factor * (-q if k == y else a) for k, a in enumerate(p)]

        check(functools.partial(softmax_focal_loss, gamma=gamma), value, slope, 6)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        y = y_of_two

        def gradient(pair):
            z, gamma = pair
            p = jax.nn.softmax(z)
            at, p_y = y[:, None] == jnp.arange(3), p[jnp.arange(2), y][:, None]
            q, s, g = 1 - p_y, -jnp.log(p_y), gamma[:, None]
            by_logit = q**g * (1 + g * p_y * s / q) * jnp.where(at, -q, p)
            return by_logit, (q**g * s * jnp.log(q))[:, 0]

        pair = jnp.array([[1.0, 2.0, -0.5], [0.3, 0.3, 2.0]]), jnp.array([1.5, 2.5])
        loss = jax.jit(lambda pair: softmax_focal_loss(pair[0], y, gamma=pair[1]))
        assert_gradient(loss, gradient, pair)

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_law_of_two_classes_is_that_of_the_sigmoid(self):
        two = jnp.stack([ROWS[0], jnp.zeros(4)], -1)
        ours = softmax_focal_loss(two, jnp.zeros(4, int), gamma=1.5)
        binary = sigmoid_focal_loss(ROWS[0], jnp.ones(4), gamma=1.5)
        assert_within_ulp(ours, np.float64(binary), 4)

    def test_law_without_an_exponent_is_the_cross_entropy(self):
        ours = softmax_focal_loss(Z, Y, gamma=0.0)
        np.testing.assert_array_equal(ours, cross_entropy(Z, Y))

    def test_weights_ignored_labels_and_masks_are_those_of_the_cross_entropy(self):
        where, w = Z < 18, jnp.array([0.5, 2.0, 0.0, 1.0])
        options = {"class_weights": w, "ignore_label": 3, "where": where}
        ours = softmax_focal_loss(Z, Y, gamma=0.0, **options)
        theirs = softmax_cross_entropy_with_integer_labels(Z, Y, **options)
        np.testing.assert_array_equal(ours, theirs)
        assert (ours[3::4] == 0).all()

    @BOTH_MODES
    def test_certainties(self, derivative):
        inf = jnp.inf
        z, y = jnp.array([[inf, 0], [inf, 0], [0, -inf]]), jnp.array([0, 1, 0])
        assert softmax_focal_loss(z, y).tolist() == [0, inf, 0]
        slopes = derivative(lambda z: softmax_focal_loss(z, y).sum())(z)
        assert slopes.tolist() == [[0, 0], [1, -1], [0, 0]]

    @pytest.mark.slow
    def test_transforms(self):
        assert_transforms(softmax_focal_loss, Z, Y)

    @pytest.mark.slow
    def test_edges(self):
        f = softmax_focal_loss
        assert f(jnp.zeros((0, 3)), jnp.zeros(0, int)).shape == (0,)
        assert jnp.isnan(f(z, jnp.array([-1, 3, 0, 1]))).tolist() == [True, True, False, False]
        assert jnp.isnan(f(z, y, gamma=jnp.array([-1.0, 0, 1, 2]))).tolist() == [True] + [False] * 3
        assert jnp.isnan(f(z * jnp.nan, y)).all()
        assert f(jnp.zeros((2, 3), jnp.bfloat16), y_of_two).dtype == jnp.bfloat16


class TestPolyLossCrossEntropy:
    @pytest.mark.slow
    @pytest.mark.last_digits
    @pytest.mark.parametrize("epsilon", [2.0, -1.0, 0.0])
    def test_reference(self, epsilon):
        """Of −log p − (1 − p), which ε = −1 leaves, optax keeps nothing where p is near 1."""

        def value(p, y):
            q = mpmath.fsum(a for k, a in enumerate(p) if k != y)
            return -mpmath.log1p(-q) + epsilon * q if q < 0.5 else -mpmath.log(p[y]) + epsilon * q

        def slope(p, y):
            q = mpmath.fsum(a for k, a in enumerate(p) if k != y)
            c = q + (1 + epsilon) * p[y]
            return [-q * c if k == y else a * c for k, a in enumerate(p)]

        def loss(z, y):
            return poly_loss_cross_entropy(z, jax.nn.one_hot(y, 4), epsilon=epsilon)

        check(loss, value, slope, 5)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def gradient(triple):
            z, t, epsilon = triple
            p = jax.nn.softmax(z)
            weights = t * (1 + epsilon * p)
            others = weights.sum(-1, keepdims=True) - weights
            by_label = -jnp.log(p) + epsilon * (1 - p)
            return p * others - weights * (1 - p), by_label, jnp.sum(t * (1 - p))

        z = jnp.array([[1.0, 2.0, -0.5], [0.3, 0.3, 2.0]])
        t = jnp.array([[0.2, 0.7, 0.1], [1.0, 0.5, 2.0]])
        triple = z, t, jnp.array(-0.5)
        loss = jax.jit(lambda triple: poly_loss_cross_entropy(*triple[:2], epsilon=triple[2]))
        assert_gradient(loss, gradient, triple)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_agrees_with_optax(self):
        z, t = jax.random.normal(jax.random.key(0), (2, 5, 7, 6))
        t = jax.nn.softmax(t, 1)
        for options in [{"axis": 1}, {"axis": 1, "epsilon": -0.5}, {"axis": 1, "where": z < 1}]:
            ours = poly_loss_cross_entropy(z, t, **options)
            theirs = optax.losses.poly_loss_cross_entropy(z, t, **options)
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_law_without_the_term_is_the_cross_entropy(self):
        labels = smooth_labels(jax.nn.one_hot(Y, 4), 0.1)
        ours = poly_loss_cross_entropy(Z, labels, epsilon=0.0)
        assert_within_ulp(ours, np.float64(softmax_cross_entropy(Z, labels)), 4)

    def test_classes_left_out_do_not_matter(self):
        where = jnp.array([[True, False, True], [False, False, False]])
        masked = jax.jit(functools.partial(poly_loss_cross_entropy, where=where))
        for junk in [1e4, -jnp.inf, jnp.inf, jnp.nan]:
            z = jnp.where(where, jnp.array([1.0, 0.0, 2.0]), junk)
            t = jnp.where(where, 0.5, junk)
            loss, pull = jax.vjp(masked, z, t)
            np.testing.assert_allclose(loss, [1.81326169, 0], rtol=1e-6)
            for slopes in pull(jnp.ones(2)):
                assert jnp.isfinite(slopes).all()
                assert (slopes[~where] == 0).all()

    def test_transforms(self):
        assert_transforms(poly_loss_cross_entropy, Z, jax.nn.one_hot(Y, 4))

    @pytest.mark.slow
    def test_edges(self):
        f = poly_loss_cross_entropy
        assert f(jnp.zeros((0, 3)), jnp.zeros((0, 3))).shape == (0,)
        never = jnp.array([-jnp.inf, 0.0, 1.0])
        assert f(never, jnp.array([1.0, 0.0, 0.0])) == jnp.inf
        assert jnp.isfinite(jax.grad(f)(never, jnp.array([0.0, 0.5, 0.5]))).all()
        assert jnp.isnan(f(jnp.array([jnp.nan, 1.0]), jnp.array([0.0, 1.0])))
        half = jnp.ones((2, 3), jnp.float16)
        assert f(half, half).dtype == jnp.float16


class TestBrierScore:
    @pytest.mark.last_digits
    def test_reference(self):
        def value(p, y):
            q = mpmath.fsum(a for k, a in enumerate(p) if k != y)
            return q**2 + mpmath.fsum(a**2 for k, a in enumerate(p) if k != y)

        def slope(p, y):
            r = [
                -mpmath.fsum(b for j, b in enumerate(p) if j != y) if k == y else a
                for k, a in enumerate(p)
            ]
            mean = mpmath.fsum(a * b for a, b in zip(p, r, strict=True))
            return [2 * a * (b - mean) for a, b in zip(p, r, strict=True)]

        check(brier_score, value, slope, 6, near_root=5)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def gradient(z, y):
            p = jax.nn.softmax(z)
            at_label = y[:, None] == jnp.arange(3)
            q = 1 - jnp.sum(jnp.where(at_label, p, 0), -1, keepdims=True)
            squares = jnp.where(at_label, 0, p**2)
            total = squares.sum(-1, keepdims=True)
            elsewhere = p * (1 - p) + (1 - q) * q - (total - squares)
            return 2 * p * jnp.where(at_label, -(q**2 + total), elsewhere)

        z = jnp.array([[1.0, 2.0, -0.5], [0.3, 0.3, 2.0]])
        assert_gradient(jax.jit(brier_score), gradient, z, y_of_two)

    def test_law_is_proper(self):
        """The score that p expects of itself, Σ p (…) = 1 − Σ p², is the least."""
        p, others = jnp.array([0.5, 0.3, 0.2]), jax.nn.softmax(jnp.eye(3))
        expected = [
            p @ jax.vmap(brier_score, (None, 0))(jnp.log(r), jnp.arange(3)) for r in (p, *others)
        ]
        np.testing.assert_allclose(expected[0], 1 - p @ p, rtol=1e-6)
        assert expected[0] < min(expected[1:])

    def test_law_is_twice_the_squared_error_of_two_classes(self):
        score = brier_score(jnp.array([0.0, jnp.log(3.0)]), jnp.array(1))
        np.testing.assert_allclose(score, 2 * 0.25**2, rtol=1e-6)

    def test_transforms(self):
        assert_transforms(brier_score, Z, Y)

    @pytest.mark.slow
    @BOTH_MODES
    def test_a_label_that_is_no_class_is_nan(self, derivative):
        y = jnp.array([-1, 2, 3, 0])
        assert jnp.isnan(brier_score(z, y)).tolist() == [True, False, True, False]
        slopes = jax.vmap(derivative(brier_score))(z, y)
        assert jnp.isnan(slopes).all(-1).tolist() == [True, False, True, False]

    def test_edges(self):
        f = brier_score
        assert f(jnp.zeros((0, 3)), jnp.zeros(0, int)).shape == (0,)
        certain = jnp.array([[0.0, -jnp.inf], [jnp.inf, 0.0]])
        assert f(certain, jnp.array([0, 1])).tolist() == [0, 2]
        assert jnp.isnan(f(jnp.array([jnp.nan, 0.0]), jnp.array(0)))
        assert f(jnp.zeros((2, 3), jnp.bfloat16), y_of_two).dtype == jnp.bfloat16


@pytest.mark.usefixtures("x64")
class TestSecondDerivativesAtTies:
    """Two classes that lead together, as all do at initialisation."""

    z = jnp.array([1.0, 1.0, 0.0])

    @pytest.mark.slow
    def test_brier_score(self):
        def plain(z):
            return jnp.sum(jnp.square(jax.nn.softmax(z) - jnp.eye(3)[1]))

        ours = jax.jit(jax.hessian(lambda z: brier_score(z, jnp.array(1))))
        for z in (self.z.astype(float), jnp.zeros(3)):
            np.testing.assert_allclose(ours(z), jax.hessian(plain)(z), atol=1e-14)

    def test_poly_loss(self):
        t = jnp.array([0.2, 0.5, 0.3])
        theirs = jax.hessian(lambda z: optax.losses.poly_loss_cross_entropy(z, t))
        ours = jax.jit(jax.hessian(lambda z: poly_loss_cross_entropy(z, t)))
        for z in (self.z.astype(float), jnp.zeros(3)):
            np.testing.assert_allclose(ours(z), theirs(z), atol=1e-14)
