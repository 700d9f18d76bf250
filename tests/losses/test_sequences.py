"""fnmath.losses, of sequences: against all paths one by one, PyTorch and optax."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fnmath.losses import ctc_loss, ctc_loss_with_forward_probs
from tests.helpers import Mistake, assert_derivatives, assert_within_ulp
from tests.losses.slopes import assert_slope

pytestmark = pytest.mark.slow  # most of it is spent in compiling

z, y = jnp.zeros((2, 4, 3)), jnp.ones((2, 2), int)
frames, there = jnp.zeros((2, 4)), jnp.zeros((2, 2))
LOSSES = [ctc_loss, ctc_loss_with_forward_probs]


def mistakes_of(loss):
    name = loss.__name__
    return [
        Mistake(
            loss,
            (y, frames, y, there),
            {},
            TypeError,
            f"{name}: logits has dtype int32; wanted a floating dtype; "
            "did you mean logits.astype(jnp.float32)?",
        ),
        Mistake(
            loss,
            (z, frames, there, there),
            {},
            TypeError,
            f"{name}: labels has dtype float32; wanted an integer dtype; "
            "did you mean labels.astype(jnp.int32)?",
        ),
        Mistake(
            loss,
            (z, frames + 0j, y, there),
            {},
            TypeError,
            f"{name}: logit_paddings has dtype complex64; wanted 0 and 1",
        ),
        Mistake(
            loss,
            (z, there, y, there),
            {},
            ValueError,
            f"{name}: logit_paddings has shape (2, 2); wanted (2, 4)",
        ),
        Mistake(
            loss,
            (z, frames, y, frames),
            {},
            ValueError,
            f"{name}: label_paddings has shape (2, 4); wanted (2, 2)",
        ),
        Mistake(
            loss,
            (z, frames, y[:1], there[:1]),
            {},
            ValueError,
            f"{name}: labels (1, 2) and logits (2, 4, 3) must have the same axes before the last "
            "one and two",
        ),
        Mistake(
            loss,
            (z, frames, y, there),
            {"blank_id": 3},
            ValueError,
            f"{name}: blank_id is 3; wanted one of the 3 classes",
        ),
    ]


MISTAKES = [mistake for loss in LOSSES for mistake in mistakes_of(loss)]


def collapsed(path, blank):
    """A path without repetitions and then without blanks."""
    return tuple(k for k, _ in itertools.groupby(path) if k != blank)


def exact(z, labels, blank=0):
    """Loss and gradient of one example in double precision, path by path."""
    z = np.float64(z)
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    total, occupied, steps = np.zeros(2), np.zeros((2, *p.shape)), np.arange(len(p))
    for path in itertools.product(range(p.shape[-1]), repeat=len(p)):
        right = int(collapsed(path, blank) == tuple(labels))
        probability = p[steps, list(path)].prod()
        total[right] += probability
        occupied[right, steps, list(path)] += probability
    if total[0] < 0.5:
        return -np.log1p(-total[0]), (occupied[0] - p * total[0]) / total[1]
    return -np.log(total[1]), p - occupied[1] / total[1]


def spelt(z, y):
    """The other arguments for examples in which no frame or label is absent."""
    return jnp.zeros(z.shape[:-1]), y, jnp.zeros(y.shape)


def whole(loss, **options):
    """The loss of examples in which no frame or label is absent."""

    def f(z, y):
        return loss(z, *spelt(z, y), **options)

    return jax.jit(f)


KEY = jax.random.key(0)
Z = jax.random.normal(KEY, (12, 5, 3)) * jnp.array([1.0, 3.0, 10.0]).repeat(4)[:, None, None]
Y = jnp.array([[1, 2], [1, 1], [2, 1], [2, 2]] * 3)


class TestCtcLoss:
    @pytest.mark.last_digits
    def test_reference(self):
        """All 243 paths of five frames; the gradient in ULP of its largest entry."""
        losses, gradients = map(np.array, zip(*map(exact, Z, Y), strict=True))
        f = whole(ctc_loss)
        assert_within_ulp(f(Z, Y), losses, 4)
        for derivative in [jax.grad, jax.jacfwd]:
            ours = jax.jit(jax.vmap(derivative(f)))(Z, Y)
            largest = 2.0 ** np.floor(np.log2(np.abs(gradients).max((1, 2), keepdims=True)))
            assert np.abs(ours - gradients).max() < 1
            assert (np.abs(ours - gradients) / largest).max() < 6 * 2**-23

    @pytest.mark.last_digits
    def test_sure_examples_keep_their_digits(self):
        """Of losses down to 10⁻¹², most with frames that waver between classes which all do."""
        rng, y = np.random.default_rng(1), np.array([[1, 2], [1, 1], [2, 1], [2, 2], [3, 1]] * 8)
        z, ahead = rng.normal(size=(40, 5, 4)), np.repeat([2, 4, 8, 16, 30], 8)
        for row, (first, second) in enumerate(y):
            path = [0, first, 0, second, 0]
            z[row, np.arange(5), path] += ahead[row]
            # Either class of these frames does; between two equal labels the blank must stand.
            for frame, other in [(0, first), (2, first), (2, second), (4, second)]:
                if rng.random() < 0.7 and not (frame == 2 and first == second):
                    z[row, frame, other] = z[row, frame, 0] + rng.normal() / 2
        z, y = jnp.asarray(z, jnp.float32), jnp.asarray(y)
        losses, gradients = map(np.array, zip(*map(exact, z, y), strict=True))
        assert losses.min() < 1e-11
        assert (losses < 0.1).sum() > 8
        f = whole(ctc_loss)
        assert_within_ulp(f(z, y), losses, 4)
        for derivative in [jax.grad, jax.jacfwd]:
            ours = jax.jit(jax.vmap(derivative(f)))(z, y)
            largest = 2.0 ** np.floor(np.log2(np.abs(gradients).max((1, 2), keepdims=True)))
            assert (np.abs(ours - gradients) / largest).max() < 8 * 2**-23

    @pytest.mark.last_digits
    def test_sure_of_no_labels_and_of_absent_frames(self):
        """Of one frame the loss at no label is that of the blank; an absent frame adds nothing."""
        z, f = jnp.array([[[17.0, 0.0, 0.0]]]), jax.jit(ctc_loss)
        one = f(z, jnp.zeros((1, 1)), jnp.zeros((1, 0), int), jnp.zeros((1, 0)))
        assert_within_ulp(one, [np.log1p(2 * np.exp(-17))], 2)
        z = jnp.concatenate([z, jnp.full((1, 1, 3), jnp.nan)], 1)
        y, absent = jnp.array([[1]]), jnp.array([[0, 1]])
        np.testing.assert_array_equal(f(z, absent, y, jnp.ones((1, 1))), one)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        z, y = jnp.asarray(np.float64(Z[:8])), Y[:8]
        f = whole(ctc_loss, blank_id=2)
        y = jnp.where(y == 2, 0, y)

        def gradient(z, y):
            return np.array([exact(*row, blank=2)[1] for row in zip(z, y, strict=True)])

        assert_slope(f, gradient, z, y, rtol=1e-11)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.slow
    def test_second_derivative(self):
        f = whole(ctc_loss)
        z = jnp.asarray(np.float64(Z[:2]))
        assert_derivatives(lambda z: f(z, Y[:2]).sum(), z)

    def test_agrees_with_torch_and_optax(self, torch):
        """Of many frames, some of them absent, and of unequal numbers of labels."""
        z = 4 * jax.random.normal(KEY, (3, 40, 6))
        y = jax.random.randint(KEY, (3, 9), 1, 6)
        t, n = np.array([40, 31, 25]), np.array([9, 4, 0])
        absent = jnp.arange(40) >= t[:, None], jnp.arange(9) >= n[:, None]
        f = jax.jit(ctc_loss)
        ours = f(z, absent[0], y, absent[1])
        z64, y64 = torch.tensor(np.float64(z)), torch.tensor(np.array(y)).long()
        log_p = torch.log_softmax(z64.requires_grad_(), -1).transpose(0, 1)
        theirs = torch.nn.functional.ctc_loss(
            log_p, y64, torch.tensor(t), torch.tensor(n), reduction="none"
        )
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-6)
        theirs.sum().backward()
        gradient = jax.jit(jax.grad(lambda z: f(z, absent[0], y, absent[1]).sum()))(z)
        np.testing.assert_allclose(gradient, z64.grad.numpy(), atol=1e-6)
        paddings = [jnp.asarray(a, jnp.float32) for a in absent]
        optax_loss = jax.jit(optax.losses.ctc_loss)(z, paddings[0], y, paddings[1])
        np.testing.assert_allclose(ours, optax_loss, rtol=1e-5)

    def test_law_probabilities_of_all_labels_sum_to_1(self):
        """Of the 3 + 6 + … sequences that three frames of three classes can spell."""
        f = whole(ctc_loss)
        for n, count in enumerate([1, 2, 4, 8]):
            y = jnp.array(list(itertools.product([1, 2], repeat=n)), int).reshape(count, n)
            if n == 0:
                total = 0.0
            total += jnp.exp(-f(jnp.tile(Z[:1, :3], (count, 1, 1)), y)).sum()
        np.testing.assert_allclose(total, 1, rtol=1e-6)

    def test_law_ignores_a_shift_of_a_frame(self):
        z = jnp.round(Z * 64) / 64
        shifted = z + 8.0 * jnp.arange(5)[:, None]
        f = whole(ctc_loss)
        np.testing.assert_array_equal(f(shifted, Y), f(z, Y))

    def test_impossible_labels(self):
        """Two labels alike need three frames: ∞, and no gradient, as with ``zero_infinity``."""
        z, y = Z[:2, :2], jnp.array([[1, 1], [1, 2]])
        f = whole(ctc_loss)
        assert jnp.isinf(f(z, y)).tolist() == [True, False]
        for derivative in [jax.grad, jax.jacfwd]:
            gradient = jax.vmap(derivative(f))(z, y)
            assert (gradient[0] == 0).all()
            np.testing.assert_allclose(gradient[1], exact(z[1], y[1])[1], rtol=1e-5)

    def test_certainties(self):
        """A logit of −∞ forbids a class, +∞ forces one."""
        inf = jnp.inf
        forced = jnp.array([[[0.0, inf, 0.0], [inf, 0.0, 0.0], [-inf, -inf, 1.0]]] * 2)
        y = jnp.array([[1, 2], [2, 1]])
        f = whole(ctc_loss)
        assert f(forced, y).tolist() == [0, inf]
        gradient = jax.grad(lambda z: f(z, y).sum())(forced)
        assert (gradient == 0).all()
        never = jnp.full((1, 3, 3), -inf)
        assert f(never, y[:1]).tolist() == [inf]

    def test_wrong_labels_give_nan_for_their_example_only(self):
        f = whole(ctc_loss)
        y = jnp.array([[1, 2], [0, 1], [1, 3], [-1, 2]])
        assert jnp.isnan(f(Z[:4], y)).tolist() == [False, True, True, True]
        absent = jnp.array([[0, 1], [0, 1], [1, 0], [0, 0]])
        y = jnp.array([[1, 9], [1, 0], [1, 2], [1, 2]])
        loss = jax.jit(ctc_loss)(Z[:4], jnp.zeros((4, 5)), y, absent)
        assert jnp.isnan(loss).tolist() == [False, False, True, False]
        np.testing.assert_array_equal(loss[0], f(Z[:1], jnp.array([[1]]))[0])

    def test_absent_frames_do_not_matter(self):
        absent = jnp.arange(5) >= jnp.array([[3], [5]])
        f = jax.jit(lambda z: ctc_loss(z, absent, Y[:2], jnp.zeros((2, 2))))
        losses = []
        for junk in [0.0, jnp.inf, jnp.nan]:
            z = jnp.where(absent[..., None], junk, Z[:2])
            losses.append(f(z))
            gradient = jax.grad(lambda z: f(z).sum())(z)
            assert (gradient[0, 3:] == 0).all()
            assert jnp.isfinite(gradient).all()
        np.testing.assert_array_equal(losses, [losses[0]] * 3)
        np.testing.assert_array_equal(losses[0][0], whole(ctc_loss)(Z[:1, :3], Y[:1])[0])

    def test_transforms_and_edges(self):
        f = whole(ctc_loss)
        once, twice = f(Z[:2], Y[:2]), jax.vmap(f)(Z[None, :2], Y[None, :2])[0]
        np.testing.assert_allclose(once, twice, rtol=1e-6)
        spelled = jax.jit(ctc_loss)(Z[:2], *spelt(Z[:2], Y[:2]))
        np.testing.assert_allclose(once, spelled, rtol=1e-6)
        assert f(jnp.zeros((0, 4, 3)), jnp.ones((0, 2), int)).shape == (0,)
        assert f(jnp.zeros((2, 0, 3)), jnp.ones((2, 0), int)).tolist() == [0, 0]
        assert f(jnp.zeros((1, 0, 3)), jnp.ones((1, 1), int)).tolist() == [jnp.inf]
        batched = f(Z.reshape(3, 4, 5, 3), Y.reshape(3, 4, 2))
        np.testing.assert_allclose(batched.ravel(), f(Z, Y), rtol=1e-6)
        np.testing.assert_array_equal(f(Z, Y.astype(jnp.uint8)), f(Z, Y))
        assert jnp.isnan(f(Z[:1].at[0, 2, 1].set(jnp.nan), Y[:1])).all()
        half = Z.astype(jnp.bfloat16)
        assert f(half, Y).dtype == jnp.bfloat16
        rounded = f(half.astype(jnp.float32), Y).astype(jnp.bfloat16)
        np.testing.assert_array_equal(f(half, Y), rounded)


class TestCtcLossWithForwardProbs:
    def test_agrees_with_optax(self):
        """Where optax has its −10⁵ for log 0, here is −∞."""
        ours = whole(ctc_loss_with_forward_probs)(Z, Y)
        theirs = whole(optax.losses.ctc_loss_with_forward_probs)(Z, Y)
        for a, b in zip(ours, theirs, strict=True):
            assert a.shape == b.shape
            np.testing.assert_array_equal(jnp.isinf(a), b < -9e4)
            a, b = (jnp.where(b < -9e4, 0, x) for x in (a, b))
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)

    def test_laws(self):
        """The last states hold the loss, and no frame holds more than all paths."""
        loss, blank, label = whole(ctc_loss_with_forward_probs)(Z, Y)
        np.testing.assert_array_equal(loss, whole(ctc_loss)(Z, Y))
        np.testing.assert_allclose(-blank[-1, :, 2], loss, rtol=1e-5)
        total = jnp.exp(blank[:-1]).sum(-1) + jnp.exp(label[:-1]).sum(-1)
        assert (total <= 1 + 1e-6).all()

    def test_gradient_is_that_of_the_loss(self):
        first = jax.grad(lambda z: whole(ctc_loss_with_forward_probs)(z, Y)[0].sum())
        ours = jax.jit(first)(Z)
        theirs = jax.jit(jax.grad(lambda z: whole(ctc_loss)(z, Y).sum()))(Z)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
        probabilities = jax.grad(
            lambda z: jnp.exp(whole(ctc_loss_with_forward_probs)(z, Y)[1]).sum()
        )
        assert jnp.isfinite(jax.jit(probabilities)(Z)).all()

    def test_transforms_and_edges(self):
        f = whole(ctc_loss_with_forward_probs)
        loss, blank, label = f(jnp.zeros((2, 0, 3)), jnp.ones((2, 1), int))
        assert (loss.shape, blank.shape, label.shape) == ((2,), (0, 2, 2), (0, 2, 1))
        loss, blank, label = f(Z.astype(jnp.float16), Y)
        assert loss.dtype == blank.dtype == label.dtype == jnp.float16
        absent = jnp.tile(jnp.array([0, 1]), (12, 1))
        f = jax.jit(ctc_loss_with_forward_probs)
        _, blank, label = f(Z, jnp.zeros((12, 5)), Y, absent)
        assert (blank[..., 2] == -jnp.inf).all()
        assert (label[..., 1] == -jnp.inf).all()
