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
    sigmoid_binary_cross_entropy,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

NAME = "softmax_cross_entropy_with_integer_labels"
z, t, y = jnp.zeros((4, 3)), jnp.full((4, 3), 1 / 3), jnp.arange(4) % 3
MISTAKES = [
    Mistake(
        sigmoid_binary_cross_entropy,
        (y, t[:, 0]),
        {},
        TypeError,
        "sigmoid_binary_cross_entropy: logits has dtype int32; wanted a floating dtype; "
        "did you mean logits.astype(jnp.float32)?",
    ),
    Mistake(
        sigmoid_binary_cross_entropy,
        (t[:, :1], t[:, 0]),
        {},
        ValueError,
        "sigmoid_binary_cross_entropy: logits (4, 1) and labels (4,) must have one shape; "
        "did you mean logits[:, 0]?",
    ),
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
binary = jax.jit(sigmoid_binary_cross_entropy)
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

    def test_reference(self):
        losses, _ = exact(self.z, np.eye(4)[self.y])
        assert_within_ulp(of_labels(self.z, self.y), losses, 2)

    @BOTH_MODES
    def test_reference_gradient(self, derivative):
        _, gradients = exact(self.z, np.eye(4)[self.y])
        loss = summed(of_labels, self.y)
        assert_within_ulp(derivative(loss)(self.z), gradients, 4)

    @pytest.mark.usefixtures("x64")
    def test_reference_in_double_precision(self):
        z64 = jnp.asarray(np.float64(self.z) / 3)
        losses, gradients = exact(z64, np.eye(4)[self.y])
        assert_within_ulp(of_labels(z64, self.y), losses, 4)
        loss = summed(of_labels, self.y)
        assert_within_ulp(jax.grad(loss)(z64), gradients, 4)

    def test_a_confident_example_still_has_a_loss(self):
        """optax and PyTorch give 0, and the gradient 0 at the label."""
        confident, label = jnp.array([17.0, 0.0, 0.0]), jnp.array(0)
        loss = of_labels(confident, label)
        assert_within_ulp(loss, 8.279875094788666e-08, 2)
        gradient = jax.grad(of_labels)(confident, label)
        assert_within_ulp(gradient, [-8.2798747e-08, 4.1399374e-08, 4.1399374e-08], 4)

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

    def test_reference(self):
        losses, _ = exact(LOGITS[:10], self.soft)
        assert_within_ulp(of_probabilities(LOGITS[:10], self.soft), losses, 3)

    @BOTH_MODES
    def test_reference_gradient(self, derivative):
        """These labels stay away from pⱼ = tⱼ, where the gradient has its root."""
        _, gradients = exact(LOGITS[:10], self.soft)
        ours = derivative(summed(of_probabilities, self.soft))(LOGITS[:10])
        assert_within_ulp(ours, gradients, 4)

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


class TestSigmoidBinaryCrossEntropy:
    z = jnp.array([0.0, 1e-7, 0.06, 1.0, 3.0, 17.0, 20.0, 40.0, 80.0, 1e4])
    z, t = (a.ravel() for a in jnp.meshgrid(jnp.concatenate([z, -z]), jnp.array([0, 0.03, 1.0])))

    def exact(self, order):
        """The loss, ∂ℓ/∂z or ∂²ℓ/∂z², of 50 digits."""

        def entry(z, t):
            with mpmath.workdps(50):
                z, t = mpmath.mpf(float(z)), mpmath.mpf(float(t))
                yes, no = 1 / (1 + mpmath.exp(-z)), 1 / (1 + mpmath.exp(z))
                if order == 0:
                    return float(t * mpmath.log1p(mpmath.exp(-z)) + (1 - t) * -mpmath.log(no))
                return float((1 - t) * yes - t * no if order == 1 else yes * no)

        return np.array([entry(z, t) for z, t in zip(self.z, self.t, strict=True)])

    def test_reference(self):
        with mpmath.workdps(9000):  # log1p(exp(−10⁴)) is 10⁻⁴³⁴³
            expected = self.exact(0)
        assert_within_ulp(binary(self.z, self.t), expected, 2)

    @BOTH_MODES
    def test_reference_derivatives(self, derivative):
        first = jax.vmap(derivative(binary))
        assert_within_ulp(first(self.z, self.t), self.exact(1), 3)
        second = jax.vmap(derivative(jax.grad(binary)))
        assert_within_ulp(second(self.z, self.t), self.exact(2), 4)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        z, t = jnp.array([-30.0, -1.0, 0.5, 30.0]), jnp.array([1.0, 0.3, 0.9, 0.0])
        gradient = jax.nn.sigmoid(z) - t, -z
        assert_gradient(lambda pair: binary(*pair), lambda pair: gradient, (z, t))

    def test_law_is_the_softmax_of_two_classes(self):
        two = jnp.stack([self.z, jnp.zeros_like(self.z)], -1)
        pair = of_probabilities(two, jnp.stack([self.t, 1 - self.t], -1))
        ours = binary(self.z, self.t)
        assert_within_ulp(ours, np.float64(pair), 3)

    def test_law_yes_and_no_are_alike(self):
        hard = self.t != 0.03
        ours = binary(self.z, self.t)[hard]
        np.testing.assert_array_equal(ours, binary(-self.z, 1 - self.t)[hard])

    def test_agrees_with_optax(self):
        z, t = self.z.clip(-15, 15), self.t
        theirs = optax.losses.sigmoid_binary_cross_entropy(z, t)
        np.testing.assert_allclose(binary(z, t), theirs, rtol=1e-6)

    def test_transforms(self):
        assert_transforms(sigmoid_binary_cross_entropy, self.z, self.t)

    @BOTH_MODES
    def test_certainties(self, derivative):
        """optax gives nan where the certainty is right."""
        z, t = jnp.array([jnp.inf, -jnp.inf, jnp.inf, -jnp.inf]), jnp.array([1.0, 0.0, 0.0, 1.0])
        assert binary(z, t).tolist() == [0, 0, jnp.inf, jnp.inf]
        gradient = jax.vmap(derivative(binary))(z, t)
        assert gradient.tolist() == [0, 0, 1, -1]

    def test_edges(self):
        f = binary
        assert f(jnp.zeros(0), jnp.zeros(0)).shape == (0,)
        assert f(jnp.zeros((2, 3)), jnp.zeros((2, 3))).shape == (2, 3)
        assert jnp.isnan(f(jnp.array(jnp.nan), jnp.array(0.0)))
        assert jnp.isnan(f(jnp.array(0.0), jnp.array(jnp.nan)))
        for dtype in [jnp.bfloat16, jnp.float16]:
            half = jnp.ones(2, dtype)
            assert f(half, half).dtype == dtype
