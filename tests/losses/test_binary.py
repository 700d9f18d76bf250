"""fnmath.losses, of events: against 50 digits, in both modes, at certainty."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optax
import pytest
import scipy.special

from fnmath.losses import (
    binary_cross_entropy,
    ordinal_cross_entropy,
    sigmoid_binary_cross_entropy,
    sigmoid_focal_loss,
    softmax_cross_entropy,
)
from tests.helpers import (
    Mistake,
    assert_gradient,
    assert_transforms,
    assert_within_ulp,
)

t, y = jnp.full((4, 3), 1 / 3), jnp.arange(4) % 3
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
        binary_cross_entropy,
        (t, y),
        {},
        TypeError,
        "binary_cross_entropy: targets has dtype int32; wanted a floating dtype; "
        "did you mean targets.astype(jnp.float32)?",
    ),
    Mistake(
        binary_cross_entropy,
        (t, t[0]),
        {},
        ValueError,
        "binary_cross_entropy: predictions (4, 3) and targets (3,) must have one shape",
    ),
    Mistake(
        sigmoid_focal_loss,
        (t[:, 0], y),
        {},
        TypeError,
        "sigmoid_focal_loss: labels has dtype int32; wanted a floating dtype; "
        "did you mean labels.astype(jnp.float32)?",
    ),
    Mistake(
        sigmoid_focal_loss,
        (t, t[0]),
        {},
        ValueError,
        "sigmoid_focal_loss: logits (4, 3) and labels (3,) must have one shape",
    ),
    Mistake(
        sigmoid_focal_loss,
        (t, t),
        {"gamma": -1.0},
        ValueError,
        "sigmoid_focal_loss: gamma is -1.0; wanted a number in [0, inf)",
    ),
    Mistake(
        sigmoid_focal_loss,
        (t, t),
        {"alpha": 1.5},
        ValueError,
        "sigmoid_focal_loss: alpha is 1.5; wanted a number in [0, 1]",
    ),
    Mistake(
        sigmoid_focal_loss,
        (t, t),
        {"alpha": t[:, 0]},
        ValueError,
        "sigmoid_focal_loss: alpha (4,) must broadcast to logits (4, 3)",
    ),
    Mistake(
        ordinal_cross_entropy,
        (t, t[:, 0]),
        {},
        TypeError,
        "ordinal_cross_entropy: labels has dtype float32; wanted an integer dtype; "
        "did you mean labels.astype(jnp.int32)?",
    ),
    Mistake(
        ordinal_cross_entropy,
        (t[:, :0], y),
        {},
        ValueError,
        "ordinal_cross_entropy: logits (4, 0) have no classes on axis -1",
    ),
    Mistake(
        ordinal_cross_entropy,
        (t, y[:3]),
        {},
        ValueError,
        "ordinal_cross_entropy: labels (3,) do not fit logits (4, 3); wanted (4,)",
    ),
]
BOTH_MODES = pytest.mark.parametrize("derivative", [jax.grad, jax.jacfwd], ids=["rev", "fwd"])
binary = jax.jit(sigmoid_binary_cross_entropy)
of_probability = jax.jit(binary_cross_entropy)
of_softmax = jax.jit(softmax_cross_entropy)


def precisely(f, *arrays):
    """f of each entry in arithmetic of 60 digits, rounded to float64."""
    with mpmath.workdps(60):
        numbers = zip(*(np.ravel(np.float64(a)) for a in arrays), strict=True)
        return np.array([float(f(*map(mpmath.mpf, row))) for row in numbers])


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

    @pytest.mark.last_digits
    def test_reference(self):
        with mpmath.workdps(9000):  # log1p(exp(−10⁴)) is 10⁻⁴³⁴³
            expected = self.exact(0)
        assert_within_ulp(binary(self.z, self.t), expected, 2)

    @pytest.mark.last_digits
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

    @pytest.mark.last_digits
    def test_law_is_the_softmax_of_two_classes(self):
        two = jnp.stack([self.z, jnp.zeros_like(self.z)], -1)
        pair = of_softmax(two, jnp.stack([self.t, 1 - self.t], -1))
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


class TestBinaryCrossEntropy:
    grid = jnp.array([2e-38, 1e-30, 1e-7, 0.01, 0.3, 0.5, 0.5000001, 0.6, 0.99, 1 - 2**-24])
    p, t = (a.ravel() for a in jnp.meshgrid(grid, jnp.array([0.0, 0.4, 1.0])))

    @pytest.mark.last_digits
    def test_reference(self):
        def exact(p, t):
            return -(t * mpmath.log(p) if t else 0) - ((1 - t) * mpmath.log1p(-p) if t < 1 else 0)

        assert_within_ulp(of_probability(self.p, self.t), precisely(exact, self.p, self.t), 2)

    @pytest.mark.slow
    @pytest.mark.last_digits
    @BOTH_MODES
    def test_reference_derivatives(self, derivative):
        slope = precisely(lambda p, t: (p - t) / (p * (1 - p)), self.p, self.t)
        by_prediction = jax.vmap(derivative(binary_cross_entropy))
        assert_within_ulp(by_prediction(self.p, self.t), slope, 3)
        slope = precisely(lambda p, t: mpmath.log((1 - p) / p), self.p, self.t)
        by_target = jax.vmap(derivative(binary_cross_entropy, 1))
        assert_within_ulp(by_target(self.p, self.t), slope, 3)
        p, t = self.p[6:], self.t[6:]  # 2e-38 squared is below the range of float32
        curvature = precisely(lambda p, t: t / p**2 + (1 - t) / (1 - p) ** 2, p, t)
        twice = jax.vmap(derivative(jax.grad(binary_cross_entropy)))
        assert_within_ulp(twice(p, t), curvature, 4)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        p, t = jnp.array([0.2, 0.5, 0.9]), jnp.array([1.0, 0.3, 0.0])
        slopes = (p - t) / (p * (1 - p)), jnp.log((1 - p) / p)
        assert_gradient(lambda pair: of_probability(*pair), lambda pair: slopes, (p, t))

    def test_law_is_that_of_the_log_odds(self):
        z = jnp.linspace(-6, 6, 25)
        ours = binary_cross_entropy(jax.nn.sigmoid(z), jnp.full_like(z, 0.7))
        np.testing.assert_allclose(ours, binary(z, jnp.full_like(z, 0.7)), rtol=1e-5)

    @BOTH_MODES
    def test_certainties(self, derivative):
        """What was certain and false costs ∞; PyTorch gives 100, the floor under its logarithm."""
        p, t = jnp.array([0.0, 0.0, 1.0, 1.0, 0.0, 1.0]), jnp.array([0.0, 1.0, 0.0, 1.0, 0.4, 0.4])
        inf = jnp.inf
        assert of_probability(p, t).tolist() == [0, inf, inf, 0, inf, inf]
        slopes = jax.vmap(derivative(binary_cross_entropy))(p, t)
        assert slopes.tolist() == [1, -inf, inf, -1, -inf, inf]
        by_target = jax.vmap(derivative(binary_cross_entropy, 1))(p, t)
        assert by_target.tolist() == [inf, inf, -inf, -inf, inf, -inf]

    def test_agrees_with_torch(self, torch):
        usual = self.p > 1e-30
        p, t = (torch.tensor(np.array(a[usual])) for a in (self.p, self.t))
        theirs = torch.nn.functional.binary_cross_entropy(p, t, reduction="none")
        ours = of_probability(self.p[usual], self.t[usual])
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-6)

    def test_transforms(self):
        assert_transforms(binary_cross_entropy, self.p, self.t)

    @pytest.mark.last_digits
    def test_edges(self):
        f = of_probability
        assert f(jnp.zeros(0), jnp.zeros(0)).shape == (0,)
        outside = f(jnp.array([-0.1, 1.1, jnp.nan, 0.5]), jnp.array([0.0, 1.0, 0.0, jnp.nan]))
        assert jnp.isnan(outside).all()
        for dtype in [jnp.bfloat16, jnp.float16]:
            half = jnp.full(2, 0.25, dtype)
            assert f(half, half).dtype == dtype
            expected = precisely(lambda p, t: -mpmath.log(p), half, half)
            assert_within_ulp(f(half, jnp.ones_like(half)), expected, 0.51)


class TestSigmoidFocalLoss:
    z = jnp.array([0.0, 1e-7, 0.06, 1.0, 5.0, 17.0, 20.0, 40.0, 60.0, 88.0, 104.0, 1e4])
    z, t = (a.ravel() for a in jnp.meshgrid(jnp.concatenate([z, -z]), jnp.array([0.0, 1.0])))
    GAMMAS = (0.0, 0.5, 1.5, 2.0, 5.0)

    @staticmethod
    def exact(z, t, gamma):
        """The loss and its slope for a label 0 or 1, as functions of z towards the label."""
        z = z if t else -z
        yes, no = 1 / (1 + mpmath.exp(-z)), 1 / (1 + mpmath.exp(z))
        surprise = mpmath.log1p(mpmath.exp(-z)) if z > -1000 else -z
        slope = -(no**gamma) * (no + gamma * yes * surprise)
        return no**gamma * surprise, slope if t else -slope

    @pytest.mark.last_digits
    def test_reference(self):
        for gamma in self.GAMMAS:
            expected = precisely(lambda z, t, g=gamma: self.exact(z, t, g)[0], self.z, self.t)
            ours = jax.jit(functools.partial(sigmoid_focal_loss, gamma=gamma))(self.z, self.t)
            assert_within_ulp(ours, expected, max(4, gamma))  # a power multiplies the error of q

    @pytest.mark.last_digits
    @BOTH_MODES
    def test_reference_derivative(self, derivative):
        for gamma in self.GAMMAS:
            expected = precisely(lambda z, t, g=gamma: self.exact(z, t, g)[1], self.z, self.t)
            loss = functools.partial(sigmoid_focal_loss, gamma=gamma)
            slopes = jax.jit(jax.vmap(derivative(loss)))(self.z, self.t)
            assert_within_ulp(slopes, expected, max(4, gamma))

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        z, t = jnp.array([-3.0, -0.5, 0.5, 2.0]), jnp.array([1.0, 0.3, 0.9, 0.0])
        gamma, alpha = jnp.full(4, 1.5), 0.25

        def loss(point):
            z, t, gamma = point
            return sigmoid_focal_loss(z, t, alpha=alpha, gamma=gamma)

        def gradient(point):
            z, t, gamma = point
            yes, no, base = jax.nn.sigmoid(z), jax.nn.sigmoid(-z), binary(z, t)
            q, w = (1 - t) * yes + t * no, alpha * t + (1 - alpha) * (1 - t)
            by_z = w * q**gamma * (yes - t + gamma * (1 - 2 * t) * yes * no * base / q)
            by_t = -w * z - w * gamma * jnp.tanh(z / 2) * base / q + (2 * alpha - 1) * base
            return by_z, q**gamma * by_t, w * q**gamma * base * jnp.log(q)

        assert_gradient(jax.jit(loss), gradient, (z, t, gamma))

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_agrees_with_optax(self):
        z, t = jnp.meshgrid(jnp.linspace(-30, 30, 61), jnp.linspace(0, 1, 5))
        for options in [{}, {"gamma": 0.5}, {"gamma": 1.5, "alpha": 0.25}]:
            ours = sigmoid_focal_loss(z, t, **options)
            theirs = optax.losses.sigmoid_focal_loss(z, t, **options)
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)

    def test_law_without_an_exponent_is_the_cross_entropy(self):
        t = jnp.where(self.t == 0, 0.3, self.t)
        ours = sigmoid_focal_loss(self.z, t, gamma=0.0)
        np.testing.assert_array_equal(ours, binary(self.z, t))

    def test_one_weight_and_exponent_per_entry(self):
        gamma, alpha = jnp.array([0.5, 2.0, -1.0]), jnp.array([0.25, 1.0, 0.5])
        z, t = jnp.array([0.5, -1.0, 0.0]), jnp.array([1.0, 0.0, 1.0])
        together = sigmoid_focal_loss(z, t, gamma=gamma, alpha=alpha)
        one = [
            sigmoid_focal_loss(z[i], t[i], gamma=float(gamma[i]), alpha=float(alpha[i]))
            for i in range(2)
        ]
        np.testing.assert_allclose(together[:2], one, rtol=1e-6)
        assert jnp.isnan(together[2])  # γ < 0

    def test_transforms(self):
        assert_transforms(sigmoid_focal_loss, self.z, self.t)

    @BOTH_MODES
    def test_certainties(self, derivative):
        z, t = jnp.array([jnp.inf, -jnp.inf, jnp.inf, -jnp.inf]), jnp.array([1.0, 0.0, 0.0, 1.0])
        assert sigmoid_focal_loss(z, t).tolist() == [0, 0, jnp.inf, jnp.inf]
        assert jax.vmap(derivative(sigmoid_focal_loss))(z, t).tolist() == [0, 0, 1, -1]

    def test_edges(self):
        f = sigmoid_focal_loss
        assert f(jnp.zeros(0), jnp.zeros(0)).shape == (0,)
        assert jnp.isnan(f(jnp.array([jnp.nan, 0.0]), jnp.array([0.0, jnp.nan]))).all()
        for dtype in [jnp.bfloat16, jnp.float16]:
            half = jnp.ones(2, dtype)
            assert f(half, half, alpha=0.5).dtype == dtype


class TestOrdinalCrossEntropy:
    z = jnp.array([[3.0, 0.5, -17.0], [40.0, 20.0, 1e-3], [-1.0, 2.0, -88.0]])
    z, y = jnp.repeat(z, 4, 0), jnp.tile(jnp.arange(4), 3)

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_reference(self):
        above = np.arange(3) < np.array(self.y)[:, None]
        expected = -scipy.special.log_expit(np.where(above, 1, -1) * np.float64(self.z)).sum(-1)
        assert_within_ulp(ordinal_cross_entropy(self.z, self.y), expected, 2)

    @pytest.mark.slow
    @pytest.mark.last_digits
    @BOTH_MODES
    def test_reference_gradient(self, derivative):
        above = np.arange(3) < np.array(self.y)[:, None]
        towards = np.where(above, -1, 1)
        expected = towards * scipy.special.expit(towards * np.float64(self.z))
        slopes = derivative(lambda z: ordinal_cross_entropy(z, self.y).sum())(self.z)
        assert_within_ulp(slopes, expected, 3)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        def gradient(z, y):
            above = jnp.arange(3) < y[:, None]
            return jnp.where(above, -jax.nn.sigmoid(-z), jax.nn.sigmoid(z))

        z, y = jnp.array([[1.0, 0.2, -0.5], [0.3, 0.1, -2.0]]), jnp.array([1, 3])
        assert_gradient(jax.jit(ordinal_cross_entropy), gradient, z, y)

    def test_law_two_classes_have_one_threshold(self):
        z, y = self.z[:, :1], self.y % 2
        ours = ordinal_cross_entropy(z, y)
        np.testing.assert_array_equal(ours, binary(z[:, 0], y.astype(jnp.float32)))

    def test_law_farther_off_costs_more(self):
        """As long as the log-odds fall from threshold to threshold: the classes are in order."""
        losses = ordinal_cross_entropy(jnp.tile(jnp.array([9.0, 6.0, -6.0]), (4, 1)), jnp.arange(4))
        assert losses[2] < min(losses[1], losses[3])
        assert losses[0] > losses[1]

    def test_transforms(self):
        assert_transforms(ordinal_cross_entropy, self.z, self.y)

    @pytest.mark.slow
    def test_edges(self):
        f = ordinal_cross_entropy
        assert f(jnp.zeros((0, 3)), jnp.zeros(0, int)).shape == (0,)
        z, y = jnp.zeros((3, 2)), jnp.array([-1, 2, 3])
        assert jnp.isnan(f(z, y)).tolist() == [True, False, True]
        whole = jax.grad(lambda z: f(z, y).sum())(z)
        assert jnp.isnan(whole).all(-1).tolist() == [True, False, True]
        certain = jnp.array([[jnp.inf, -jnp.inf]])
        assert f(certain, jnp.array([1])) == 0
        assert f(certain, jnp.array([2])) == jnp.inf
        half = jnp.zeros((2, 3), jnp.bfloat16)
        assert f(half, jnp.zeros(2, int)).dtype == jnp.bfloat16


def test_a_focal_weight_of_zero_makes_even_an_infinite_loss_nothing():
    assert sigmoid_focal_loss(jnp.float32(-jnp.inf), jnp.float32(1), alpha=0.0) == 0
    assert sigmoid_focal_loss(jnp.float32(jnp.inf), jnp.float32(0), alpha=1.0) == 0


def test_gradients_are_nan_where_the_values_are():
    slope = jax.grad(lambda z: sigmoid_focal_loss(z, jnp.float32(1), gamma=jnp.float32(-1)))
    assert np.isnan(slope(jnp.float32(2)))
    assert np.isnan(jax.grad(binary_cross_entropy)(jnp.float32(2), jnp.float32(1)))
