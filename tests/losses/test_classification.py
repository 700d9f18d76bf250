"""fnmath.losses, of classes: against 50 digits, in both modes, to second order, at the edges."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest
import scipy.special
from jax.experimental import checkify

from fnmath import numerics
from fnmath.losses import (
    safe_softmax_cross_entropy,
    smooth_labels,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

NAME = "softmax_cross_entropy_with_integer_labels"
z, t, y = jnp.zeros((4, 3)), jnp.full((4, 3), 1 / 3), jnp.arange(4) % 3
MISTAKES = [
    Mistake(
        softmax_cross_entropy,
        (z, y),
        {},
        ValueError,
        "softmax_cross_entropy: labels are integers; wanted a probability for each class; "
        "did you mean softmax_cross_entropy_with_integer_labels?",
    ),
    Mistake(
        softmax_cross_entropy,
        (z, t.astype(int)),
        {},
        TypeError,
        "softmax_cross_entropy: labels has dtype int32; wanted a floating dtype; "
        "did you mean labels.astype(jnp.float32)?",
    ),
    Mistake(
        softmax_cross_entropy,
        (y, t),
        {},
        TypeError,
        "softmax_cross_entropy: logits has dtype int32; wanted a floating dtype; "
        "did you mean logits.astype(jnp.float32)?",
    ),
    Mistake(
        softmax_cross_entropy,
        (z, t[0]),
        {},
        ValueError,
        "softmax_cross_entropy: logits (4, 3) and labels (3,) must have one shape",
    ),
    Mistake(
        softmax_cross_entropy,
        (z, t, 2),
        {},
        ValueError,
        "softmax_cross_entropy: axis is 2; wanted an axis of the shape (4, 3)",
    ),
    Mistake(
        softmax_cross_entropy,
        (z[:, :0], t[:, :0]),
        {},
        ValueError,
        "softmax_cross_entropy: logits (4, 0) have no classes on axis -1",
    ),
    Mistake(
        softmax_cross_entropy,
        (z, t),
        {"where": jnp.ones((4, 3))},
        TypeError,
        "softmax_cross_entropy: where has dtype float32; wanted bool; did you mean where != 0?",
    ),
    Mistake(
        softmax_cross_entropy_with_integer_labels,
        (y, y),
        {},
        TypeError,
        f"{NAME}: logits has dtype int32; wanted a floating dtype; "
        "did you mean logits.astype(jnp.float32)?",
    ),
    Mistake(
        softmax_cross_entropy_with_integer_labels,
        (z, t[:, 0]),
        {},
        TypeError,
        f"{NAME}: labels has dtype float32; wanted an integer dtype; "
        "did you mean labels.astype(jnp.int32)?",
    ),
    Mistake(
        softmax_cross_entropy_with_integer_labels,
        (z, y[:, None]),
        {},
        ValueError,
        f"{NAME}: labels (4, 1) do not fit logits (4, 3); wanted (4,); did you mean labels[:, 0]?",
    ),
    Mistake(
        softmax_cross_entropy_with_integer_labels,
        (z, y[:3]),
        {},
        ValueError,
        f"{NAME}: labels (3,) do not fit logits (4, 3); wanted (4,)",
    ),
    Mistake(
        softmax_cross_entropy_with_integer_labels,
        (z, t),
        {},
        ValueError,
        f"{NAME}: labels (4, 3) have an entry for each class; wanted (4,); "
        "did you mean softmax_cross_entropy?",
    ),
    Mistake(
        softmax_cross_entropy_with_integer_labels,
        (z[:, :0], y),
        {},
        ValueError,
        f"{NAME}: logits (4, 0) have no classes on axis -1",
    ),
    Mistake(
        softmax_cross_entropy_with_integer_labels,
        (z, y),
        {"where": jnp.ones(4, bool)},
        ValueError,
        f"{NAME}: where (4,) must broadcast to logits (4, 3); did you mean where[..., None]?",
    ),
    Mistake(
        safe_softmax_cross_entropy,
        (z, y),
        {},
        TypeError,
        "safe_softmax_cross_entropy: labels has dtype int32; wanted a floating dtype; "
        "did you mean labels.astype(jnp.float32)?",
    ),
    Mistake(
        safe_softmax_cross_entropy,
        (z, t[0]),
        {},
        ValueError,
        "safe_softmax_cross_entropy: logits (4, 3) and labels (3,) must have one shape",
    ),
    Mistake(
        softmax_cross_entropy_with_integer_labels,
        (z, y),
        {"label_smoothing": 1.5},
        ValueError,
        f"{NAME}: label_smoothing is 1.5; wanted a number in [0, 1]",
    ),
    Mistake(
        softmax_cross_entropy_with_integer_labels,
        (z, y),
        {"class_weights": y},
        TypeError,
        f"{NAME}: class_weights has dtype int32; wanted a floating dtype; "
        "did you mean class_weights.astype(jnp.float32)?",
    ),
    Mistake(
        softmax_cross_entropy_with_integer_labels,
        (z, y),
        {"class_weights": t[:, 0]},
        ValueError,
        f"{NAME}: class_weights (4,); wanted one for each of 3 classes, (3,)",
    ),
    Mistake(
        softmax_cross_entropy_with_integer_labels,
        (z, y),
        {"ignore_label": 1.0},
        TypeError,
        f"{NAME}: ignore_label is 1.0 (float); wanted an integer",
    ),
]

# Confident, undecided, far apart, nearly tied, and differences z − m that float32 rounds.
LOGITS = jnp.array(
    [
        [17.0, 0.0, 0.0, -3.0],
        [0.0, 40.0, 0.0, -104.0],
        [1.0, 2.0, 3.0, 4.0],
        [0.0, 0.0, 0.0, 0.0],
        [88.0, 88.0, -88.0, 87.0],
        [1e4, 0.0, -1e4, 9990.0],
        [-30.0, -30.0, -29.0, -60.0],
        [5.0, 4.999999, -5.0, 1e-7],
        [15.1395, -10.0323, 8.6179, 2.4525],
        [-1.3125, 18.319, -9.5609, 5.698],
        [-jnp.inf, 1.0, 2.0, 0.3],
    ]
)
# Compiled whole, they are quicker to test than operation by operation.
of_probabilities = jax.jit(softmax_cross_entropy)
of_labels = jax.jit(softmax_cross_entropy_with_integer_labels)
BOTH_MODES = pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd], ids=["rev", "fwd"])
TWICE = [(jax.jacrev, jax.jacrev), (jax.jacfwd, jax.jacrev), (jax.jacfwd, jax.jacfwd)]


def exact(logits, labels):
    """Loss and ∂ℓ/∂z of each row, of 50 digits rounded to float64."""

    def row(z, t):
        with mpmath.workdps(50):
            e = [mpmath.exp(mpmath.mpf(float(a))) for a in z]
            t = [mpmath.mpf(float(a)) for a in t]
            p, total = [a / mpmath.fsum(e) for a in e], mpmath.fsum(t)
            with np.errstate(under="ignore"):
                loss = -mpmath.fsum(b * mpmath.log(a) for a, b in zip(p, t, strict=True) if b)
                return float(loss), [float(a * total - b) for a, b in zip(p, t, strict=True)]

    losses, gradients = zip(*map(row, logits, labels), strict=True)
    return np.array(losses), np.array(gradients)


def each_label(logits):
    """Every row of the logits with every class that can occur in it as the label."""
    rows, labels = np.nonzero(np.isfinite(logits))
    return logits[rows], jnp.array(labels)


def summed(loss, *args, **options):
    return lambda z: loss(z, *args, **options).sum()


class TestSoftmaxCrossEntropyWithIntegerLabels:
    z, y = each_label(LOGITS)

    @pytest.mark.last_digits
    def test_reference(self):
        losses, _ = exact(self.z, np.eye(4)[self.y])
        assert_within_ulp(of_labels(self.z, self.y), losses, 2)

    @pytest.mark.slow
    @pytest.mark.last_digits
    @BOTH_MODES
    def test_reference_gradient(self, derivative):
        _, gradients = exact(self.z, np.eye(4)[self.y])
        loss = summed(of_labels, self.y)
        assert_within_ulp(derivative(loss)(self.z), gradients, 4)

    @pytest.mark.slow
    @pytest.mark.last_digits
    @pytest.mark.usefixtures("x64")
    def test_reference_in_double_precision(self):
        z64 = jnp.asarray(np.float64(self.z) / 3)
        losses, gradients = exact(z64, np.eye(4)[self.y])
        assert_within_ulp(of_labels(z64, self.y), losses, 4)
        loss = summed(of_labels, self.y)
        assert_within_ulp(jax.grad(loss)(z64), gradients, 4)

    @pytest.mark.last_digits
    def test_a_confident_example_still_has_a_loss(self):
        """optax and PyTorch give 0, and the gradient 0 at the label."""
        confident, label = jnp.array([17.0, 0.0, 0.0]), jnp.array(0)
        loss = of_labels(confident, label)
        assert_within_ulp(loss, 8.279875094788666e-08, 2)
        gradient = jax.grad(of_labels)(confident, label)
        assert_within_ulp(gradient, [-8.2798747e-08, 4.1399374e-08, 4.1399374e-08], 4)

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_second_derivative(self):
        """∂²ℓ/∂zⱼ∂zₖ = pⱼ (δⱼₖ − pₖ), each entry to its last places, in all orders of the modes."""
        confident = jnp.array([17.0, 0.0, -3.0])
        with mpmath.workdps(50):
            e = [mpmath.exp(float(a)) for a in confident]
            p = [a / mpmath.fsum(e) for a in e]
            hessian = [[float(a * ((a is b) - b)) for b in p] for a in p]
        f = functools.partial(softmax_cross_entropy_with_integer_labels, labels=jnp.array(0))
        g = functools.partial(softmax_cross_entropy, labels=jnp.array([0.9, 0.1, 0.0]))
        for outer, inner in TWICE:
            assert_within_ulp(jax.jit(outer(inner(f)))(confident), hessian, 4)
            assert_within_ulp(jax.jit(outer(inner(g)))(confident), hessian, 4)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def gradient(z, y):
            p, at_label = jax.nn.softmax(z), y[:, None] == jnp.arange(3)
            return jnp.where(at_label, -jnp.sum(jnp.where(at_label, 0, p), -1, keepdims=True), p)

        z, y = jnp.array([[1.0, 2.0, -0.5], [0.3, 0.3, 2.0]]), jnp.array([1, 0])
        assert_gradient(of_labels, gradient, z, y)

    def test_law_ignores_a_shift(self):
        z, y = self.z[4:16], self.y[4:16]
        shifted = of_labels(z + 64, y)
        np.testing.assert_array_equal(shifted, of_labels(z, y))

    @pytest.mark.slow
    def test_agrees_with_optax(self):
        key = jax.random.key(0)
        z, y = jax.random.normal(key, (5, 7, 6)), jax.random.randint(key, (5, 6), 0, 7)
        optax_loss = jax.jit(
            optax.losses.softmax_cross_entropy_with_integer_labels, static_argnums=2
        )
        theirs = optax_loss(z, y, 1)
        ours = softmax_cross_entropy_with_integer_labels(z, y, 1)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
        where = (z < 1).at[jnp.arange(5)[:, None], y, jnp.arange(6)].set(True)
        theirs = optax_loss(z, y, 1, where)
        ours = softmax_cross_entropy_with_integer_labels(z, y, 1, where=where)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)

    @pytest.mark.slow
    def test_transforms(self):
        assert_transforms(softmax_cross_entropy_with_integer_labels, self.z, self.y)

    @BOTH_MODES
    def test_a_label_that_is_no_class_gives_nan_for_its_row_only(self, derivative):
        z, y = jnp.zeros((4, 3)), jnp.array([-1, 2, 3, 0])
        loss = of_labels(z, y)
        assert jnp.isnan(loss).tolist() == [True, False, True, False]
        rows = jax.vmap(derivative(of_labels))(z, y)
        assert jnp.isnan(rows).all(-1).tolist() == [True, False, True, False]
        assert jnp.isfinite(rows[1::2]).all()
        whole = jax.grad(summed(of_labels, y))(z)
        np.testing.assert_array_equal(whole, rows)

    @pytest.mark.last_digits
    def test_small_label_dtypes(self):
        """300 classes do not fit uint8; a label 255 still means class 255, and −1 none."""
        for dtype in [jnp.uint8, jnp.int8, jnp.uint32]:
            label = jnp.array([127], dtype)
            loss = of_labels(jnp.zeros((1, 300)), label)
            assert_within_ulp(loss, np.log([300.0]), 2)
        negative = jnp.array([-1], jnp.int8)
        loss = of_labels(jnp.zeros((1, 300)), negative)
        assert jnp.isnan(loss).all()

    def test_checked_mode_names_the_label(self):
        with numerics.checked():
            loss = checkify.checkify(jax.jit(softmax_cross_entropy_with_integer_labels))
            wrong, _ = loss(jnp.zeros((3, 3)), jnp.array([0, 12, -1]))
            right, _ = loss(jnp.zeros((3, 3)), jnp.array([0, 1, 2]))
            empty, _ = loss(jnp.zeros((0, 3)), jnp.zeros(0, int))
        assert wrong.get().startswith(f"{NAME}: label 12 outside [0, 3)")
        assert right.get() is None
        assert empty.get() is None

    def test_unchecked_leaves_nothing_behind(self):
        program = str(jax.make_jaxpr(softmax_cross_entropy_with_integer_labels)(z, y))
        assert "check" not in program

    @BOTH_MODES
    def test_infinite_logits(self, derivative):
        inf = jnp.inf
        z = jnp.array([[-inf, 1, 2], [3, -inf, -inf], [inf, 0, 0], [inf, 0, 0], [-inf, -inf, 0]])
        y = jnp.array([0, 0, 0, 1, 2])
        loss = of_labels(z, y)
        assert loss.tolist() == [inf, 0, 0, inf, 0]
        gradient = derivative(summed(of_labels, y))(z)
        s = float(jax.nn.sigmoid(1.0))
        expected = [[-1, 1 - s, s], [0, 0, 0], [0, 0, 0], [1, -1, 0], [0, 0, 0]]
        np.testing.assert_allclose(gradient, expected, rtol=1e-6)

    @pytest.mark.slow
    def test_masked_classes_do_not_matter(self):
        """Whatever stands there; and a row with no class has loss and gradient 0."""
        where = jnp.array([[True, False, True], [False, False, False]])
        y = jnp.array([2, -1])
        losses, gradients = [], []
        for junk in [0.0, 1e4, -jnp.inf, jnp.inf, jnp.nan]:
            z = jnp.where(where, jnp.array([1.0, 0.0, 2.0]), junk)
            f = functools.partial(softmax_cross_entropy_with_integer_labels, where=where)
            losses.append(f(z, y))
            gradients.append(jax.grad(summed(f, y))(z))
        np.testing.assert_allclose(losses, np.tile([np.log1p(np.exp(-1)), 0], (5, 1)), rtol=1e-6)
        s = float(jax.nn.sigmoid(1.0))
        expected = [[1 - s, 0, s - 1], [0, 0, 0]]
        np.testing.assert_allclose(gradients, np.tile(expected, (5, 1, 1)), rtol=1e-6)

    def test_edges(self):
        f = softmax_cross_entropy_with_integer_labels
        assert f(jnp.zeros((0, 3)), jnp.zeros(0, int)).shape == (0,)
        assert f(jnp.zeros((2, 0, 3)), jnp.zeros((2, 0), int)).shape == (2, 0)
        assert f(jnp.zeros((3, 0)), jnp.zeros(0, int), 0).shape == (0,)
        assert f(jnp.array([2.0]), jnp.array(0)) == 0  # one class is certain
        assert jnp.isnan(f(jnp.array([jnp.nan, 1.0]), jnp.array(1)))
        assert jnp.isnan(jax.grad(f)(jnp.array([jnp.nan, 1.0]), jnp.array(1))).all()

    @pytest.mark.slow
    @pytest.mark.last_digits
    @pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
    def test_half_precision_is_rounded_once(self, dtype):
        """A thousand classes, summed in float32."""
        z, y = jax.random.normal(jax.random.key(1), (8, 1000), dtype), jnp.arange(8)
        losses = scipy.special.logsumexp(np.float64(z), 1) - np.float64(z)[y, y]
        ours = of_labels(z, y)
        assert ours.dtype == dtype
        assert_within_ulp(ours, losses, 0.51)
        assert jax.grad(summed(of_labels, y))(z).dtype == dtype


class TestSoftmaxCrossEntropy:
    z, y = each_label(LOGITS)
    soft = jnp.tile(jnp.array([[0.6, 0.3, 0.02, 0.08], [0.96, 0.01, 0.0, 0.03]]), (5, 1))

    @pytest.mark.last_digits
    def test_reference(self):
        losses, _ = exact(LOGITS[:10], self.soft)
        assert_within_ulp(of_probabilities(LOGITS[:10], self.soft), losses, 3)

    @pytest.mark.last_digits
    @BOTH_MODES
    def test_reference_gradient(self, derivative):
        """These labels stay away from pⱼ = tⱼ, where the gradient has its root."""
        _, gradients = exact(LOGITS[:10], self.soft)
        ours = derivative(summed(of_probabilities, self.soft))(LOGITS[:10])
        assert_within_ulp(ours, gradients, 4)

    @pytest.mark.slow
    @pytest.mark.last_digits
    @BOTH_MODES
    def test_one_hot_labels_are_integer_labels(self, derivative):
        one_hot = jnp.eye(4)[self.y]
        ours, integer = of_probabilities, of_labels
        assert_within_ulp(ours(self.z, one_hot), np.float64(integer(self.z, self.y)), 2)
        gradient = derivative(summed(integer, self.y))(self.z)
        assert_within_ulp(derivative(summed(ours, one_hot))(self.z), np.float64(gradient), 2)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def gradient(pair):
            z, t = pair
            p = jax.nn.softmax(z)
            others = jnp.sum(t, -1, keepdims=True) - t
            return p * others - t * (1 - p), -jax.nn.log_softmax(z)

        z = jnp.array([[1.0, 2.0, -0.5], [0.3, 0.3, 2.0]])
        t = jnp.array([[0.2, 0.7, 0.1], [1.0, 0.5, 2.0]])
        assert_gradient(lambda pair: of_probabilities(*pair), gradient, (z, t))

    @pytest.mark.usefixtures("x64")
    @pytest.mark.slow
    def test_second_derivative_across_its_arguments(self):
        """The entropy of softmax(z), where both arguments move: ∂H/∂zⱼ = −pⱼ (log pⱼ + H)."""

        def entropy(z):
            return softmax_cross_entropy(z, jax.nn.softmax(z))

        def gradient(z):
            log_p = jax.nn.log_softmax(z)
            return -jnp.exp(log_p) * (log_p + entropy(z))

        z = jnp.array([1.0, 2.0, -0.5])
        np.testing.assert_allclose(jax.jit(jax.grad(entropy))(z), gradient(z), rtol=1e-12)
        hessian = jax.jit(jax.jacfwd(gradient))(z)
        for outer, inner in TWICE:
            ours = jax.jit(outer(inner(entropy)))(z)
            np.testing.assert_allclose(ours, hessian, rtol=1e-12, atol=1e-15)

    def test_law_at_least_the_entropy_of_the_labels(self):
        """Gibbs' inequality, with equality where softmax(z) = t."""
        t = jnp.array([0.3, 0.2, 0.1, 0.4])
        entropy = -jnp.sum(t * jnp.log(t))
        np.testing.assert_allclose(of_probabilities(jnp.log(t), t), entropy, rtol=1e-6)
        others = of_probabilities(LOGITS[:10], jnp.tile(t, (10, 1)))
        assert (others >= entropy).all()

    def test_agrees_with_optax(self):
        z, t = jax.random.normal(jax.random.key(0), (2, 5, 7, 6))
        t = jax.nn.softmax(t, 1)
        optax_loss = jax.jit(optax.losses.softmax_cross_entropy, static_argnums=2)
        theirs = optax_loss(z, t, 1)
        np.testing.assert_allclose(softmax_cross_entropy(z, t, 1), theirs, rtol=1e-5)
        theirs = optax_loss(z, t, 1, z < 1)
        ours = softmax_cross_entropy(z, t, 1, where=z < 1)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)

    def test_transforms(self):
        assert_transforms(softmax_cross_entropy, LOGITS[:10], self.soft)

    @BOTH_MODES
    def test_a_class_that_cannot_occur(self, derivative):
        """Nothing of it reaches the value or a derivative, that by its own label included."""
        z, t = jnp.array([-jnp.inf, 1.0, 2.0]), jnp.array([0.0, 0.5, 0.5])
        np.testing.assert_allclose(of_probabilities(z, t), 0.81326169, rtol=1e-6)
        s = float(jax.nn.sigmoid(1.0))
        by_logit = derivative(of_probabilities)(z, t)
        np.testing.assert_allclose(by_logit, [0, 0.5 - s, s - 0.5], rtol=1e-6)
        by_label = derivative(lambda t: of_probabilities(z, t))(t)
        np.testing.assert_allclose(by_label, [0, 1.31326169, 0.31326169], rtol=1e-6)
        assert of_probabilities(z, jnp.array([0.1, 0.4, 0.5])) == jnp.inf
        at_label = derivative(of_probabilities)(z, jnp.array([1.0, 0.0, 0.0]))
        np.testing.assert_allclose(at_label, [-1, 1 - s, s], rtol=1e-6)

    @BOTH_MODES
    def test_where_no_class_can_occur(self, derivative):
        """All odds are 0: the loss is ∞ and no logit can mend it, of labels of either kind."""
        z, y = jnp.full((2, 3), -jnp.inf), jnp.array([0, 2])
        for loss, labels in ((of_labels, y), (of_probabilities, jnp.eye(3)[y])):
            assert loss(z, labels).tolist() == [jnp.inf, jnp.inf]
            assert derivative(summed(loss, labels))(z).tolist() == [[0, 0, 0]] * 2

    def test_masked_classes_do_not_matter(self):
        where = jnp.array([[True, False, True], [False, False, False]])
        s = float(jax.nn.sigmoid(1.0))
        for junk in [0.0, 1e4, -jnp.inf, jnp.inf, jnp.nan]:
            z = jnp.where(where, jnp.array([1.0, 0.0, 2.0]), junk)
            t = jnp.where(where, 0.5, junk)
            f = functools.partial(softmax_cross_entropy, where=where)
            np.testing.assert_allclose(f(z, t), [0.81326169, 0], rtol=1e-6)
            gradient = jax.grad(summed(f, t))(z)
            np.testing.assert_allclose(gradient, [[0.5 - s, 0, s - 0.5], [0] * 3], rtol=1e-6)

    def test_edges(self):
        f = of_probabilities
        assert f(jnp.zeros((0, 3)), jnp.zeros((0, 3))).shape == (0,)
        assert f(jnp.zeros(3), jnp.zeros(3)) == 0
        assert jnp.isnan(f(jnp.array([jnp.nan, 1.0]), jnp.array([0.0, 1.0])))
        assert jnp.isnan(f(jnp.zeros(2), jnp.array([jnp.nan, 1.0])))
        half = jnp.ones((2, 3), jnp.bfloat16)
        assert f(half, half).dtype == jnp.bfloat16
        assert f(half, half.astype(jnp.float32)).dtype == jnp.float32

    @pytest.mark.slow
    def test_safe_is_another_name(self):
        z, t = self.z.at[0, 0].set(-jnp.inf), jnp.eye(4)[self.y]
        z, t = z[:8], smooth_labels(t, 0.1).at[0, 0].set(0)[:8]
        np.testing.assert_array_equal(safe_softmax_cross_entropy(z, t), of_probabilities(z, t))
        theirs = optax.losses.safe_softmax_cross_entropy(z, t)
        np.testing.assert_allclose(safe_softmax_cross_entropy(z, t), theirs, rtol=1e-5)
        assert_transforms(safe_softmax_cross_entropy, z, t)


class TestOptionsOfIntegerLabels:
    """label_smoothing, class_weights, ignore_label: PyTorch's, one loss per example."""

    z, y = jax.random.normal(jax.random.key(3), (20, 5)) * 4, jnp.arange(20) % 5
    w = jnp.array([0.5, 2.0, 1.0, 0.0, 3.0])

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_agree_with_torch(self, torch):
        z, w = jnp.float64(self.z), jnp.float64(self.w)
        tensors = [torch.tensor(np.array(a)) for a in (z, self.y, w)]
        for smoothing in [0.0, 0.1, 1.0]:
            for weights in [None, w]:
                for ignore in [-100, 2]:
                    theirs = torch.nn.functional.cross_entropy(
                        tensors[0],
                        tensors[1].long(),
                        None if weights is None else tensors[2],
                        ignore_index=ignore,
                        label_smoothing=smoothing,
                        reduction="none",
                    )
                    ours = softmax_cross_entropy_with_integer_labels(
                        z,
                        self.y,
                        label_smoothing=smoothing,
                        class_weights=weights,
                        ignore_label=ignore,
                    )
                    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-12, atol=1e-14)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        w, y = jnp.array([0.5, 2.0, 1.5]), jnp.array([1, 0])

        def loss(pair):
            z, smoothing = pair
            return softmax_cross_entropy_with_integer_labels(
                z, y, label_smoothing=smoothing, class_weights=w
            )

        def gradient(pair):
            z, smoothing = pair
            p, at_label = jax.nn.softmax(z), jax.nn.one_hot(y, 3)
            t = (1 - smoothing[:, None]) * w[y][:, None] * at_label + smoothing[:, None] * w / 3
            others = t.sum(-1, keepdims=True) - t
            by_smoothing = jnp.sum(-jnp.log(p) * (w / 3 - w[y][:, None] * at_label), -1)
            return p * others - t * (1 - p), by_smoothing

        z = jnp.array([[1.0, 2.0, -0.5], [0.3, 0.3, 2.0]])
        assert_gradient(jax.jit(loss), gradient, (z, jnp.array([0.1, 0.7])))

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_law_smoothing_is_that_of_the_labels(self):
        smooth = smooth_labels(jnp.eye(5)[self.y], 0.1)
        f = softmax_cross_entropy_with_integer_labels
        ours = f(self.z, self.y, label_smoothing=0.1)
        assert_within_ulp(ours, np.float64(of_probabilities(self.z, smooth)), 4)
        where = (self.z < 3).at[jnp.arange(20), self.y].set(True)
        smooth = smooth_labels(jnp.eye(5)[self.y], 0.1, where=where)
        ours = f(self.z, self.y, where=where, label_smoothing=0.1)
        expected = softmax_cross_entropy(self.z, smooth, where=where)
        assert_within_ulp(ours, np.float64(expected), 4)

    @BOTH_MODES
    @pytest.mark.parametrize("smoothing", [0.0, 0.1])
    def test_ignored_examples_do_not_matter(self, smoothing, derivative):
        """Not even where their logits are nan: loss and gradient are 0."""
        z = jnp.array([[jnp.nan, jnp.inf], [1.0, 2.0], [0.0, -jnp.inf]])
        y = jnp.array([-100, 1, -100])
        f = jax.jit(
            functools.partial(
                softmax_cross_entropy_with_integer_labels,
                label_smoothing=smoothing,
                ignore_label=-100,
            )
        )
        assert f(z, y).tolist()[::2] == [0, 0]
        slopes = derivative(lambda z: f(z, y).sum())(z)
        assert (slopes[::2] == 0).all()
        assert jnp.isfinite(slopes[1]).all()
        assert jnp.isnan(of_labels(z, y)).tolist() == [True, False, True]  # without the option

    def test_a_label_ignored_that_its_dtype_cannot_hold(self):
        y = jnp.array([1, 255], jnp.uint8)
        f = softmax_cross_entropy_with_integer_labels
        assert jnp.isnan(f(self.z[:2], y, ignore_label=-100)).tolist() == [False, True]
        assert f(self.z[:2], y, ignore_label=255)[1] == 0

    def test_a_class_of_weight_0_does_not_count(self):
        """Even if it was held impossible; the weight of another class changes nothing of that."""
        z, y = jnp.array([[0.0, -jnp.inf], [0.0, -jnp.inf]]), jnp.array([1, 0])
        f = functools.partial(
            softmax_cross_entropy_with_integer_labels, class_weights=jnp.array([1.0, 0.0])
        )
        assert f(z, y).tolist() == [0, 0]
        assert jax.grad(summed(f, y))(z).tolist() == [[0, 0], [0, 0]]
        assert jnp.isnan(f(z, jnp.array([2, -1]))).all()

    def test_a_share_outside_0_to_1_is_nan(self):
        shares = jnp.array([0.5, -0.1, 1.1])
        f = softmax_cross_entropy_with_integer_labels
        ours = f(self.z[:3], self.y[:3], label_smoothing=shares)
        assert jnp.isnan(ours).tolist() == [False, True, True]

    def test_where_jax_clamps_and_wraps_a_label_this_gives_nan(self):
        """Of three classes, JAX's gather takes 7 for the last one, and −1 too."""
        z, y = jnp.array([[0.0, 1.0, 5.0]] * 4), jnp.array([7, -1, 2, 4])
        clamped = jax.nn.log_softmax(z).at[jnp.arange(4), y].get(mode="clip")
        assert clamped.tolist() == [clamped[2]] * 4
        assert jnp.isnan(of_labels(z, y)).tolist() == [True, True, False, True]
        for wrong in [jnp.uint32(2**32 - 1), jnp.uint8(255), jnp.int8(-1), jnp.int8(3)]:
            assert jnp.isnan(softmax_cross_entropy_with_integer_labels(z[0], wrong))

    @pytest.mark.slow
    def test_several_axes_count_the_classes_together(self):
        z = jax.random.normal(jax.random.key(0), (2, 3, 4))
        y, t = jnp.array([5, 0]), jax.nn.softmax(z, (1, 2))
        f = softmax_cross_entropy_with_integer_labels
        theirs = optax.losses.softmax_cross_entropy_with_integer_labels(z, y, (1, 2))
        np.testing.assert_allclose(f(z, y, (1, 2)), theirs, rtol=1e-5)
        swapped = f(z.swapaxes(1, 2), y, (2, 1))
        np.testing.assert_allclose(swapped, theirs, rtol=1e-5)
        for axis in [(1, 2), (0, 2), None]:
            theirs = optax.losses.softmax_cross_entropy(z, t, axis, z < 1)
            ours = softmax_cross_entropy(z, t, axis, z < 1)
            np.testing.assert_allclose(ours, theirs, rtol=1e-5)
