"""fnmath.losses, of likelihoods: against 60 digits and PyTorch, in the tails and near roots."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from fnmath.losses import gaussian_nll_loss, poisson_nll_loss
from fnmath.numerics._pairs import exp_pair, log_pair, product, quotient, total
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

y, ones = jnp.linspace(-1.0, 1.0, 4), jnp.ones(4)

MISTAKES = [
    Mistake(
        gaussian_nll_loss,
        (y, y[:, None], ones),
        {},
        ValueError,
        "gaussian_nll_loss: predictions (4,) and targets (4, 1) must have one shape; "
        "did you mean targets[:, 0]?",
    ),
    Mistake(
        gaussian_nll_loss,
        (y, y, -1.0),
        {},
        ValueError,
        "gaussian_nll_loss: variances is -1.0; wanted a number in [0, inf)",
    ),
    Mistake(
        gaussian_nll_loss,
        (y, y, ones),
        {"eps": 0.0},
        ValueError,
        "gaussian_nll_loss: eps is 0.0; wanted a number in (0, inf)",
    ),
    Mistake(
        gaussian_nll_loss,
        (y, y, ones),
        {"full": 1},
        TypeError,
        "gaussian_nll_loss: full is 1 (int); wanted True or False",
    ),
    Mistake(
        poisson_nll_loss,
        (y, jnp.arange(4)),
        {},
        TypeError,
        "poisson_nll_loss: targets has dtype int32; wanted a floating dtype; "
        "did you mean targets.astype(jnp.float32)?",
    ),
    Mistake(
        poisson_nll_loss,
        (y, ones),
        {"eps": -1e-8},
        ValueError,
        "poisson_nll_loss: eps is -1e-08; wanted a number in [0, inf)",
    ),
]


def exact(f, *args, digits=60):
    """The formula in 60 digits at each of the points, and its derivative by each argument."""

    def slope(p, i):
        others = [abs(a) for a in p if a]
        h = 1e-25 * (abs(p[i]) or min(*others, 1 / max(others)))
        return float(mpmath.diff(lambda a: f(*p[:i], a, *p[i + 1 :]), p[i], h=h))

    with mpmath.workdps(digits):
        points = [[mpmath.mpf(float(a)) for a in point] for point in zip(*args, strict=True)]
        value = [float(f(*point)) for point in points]
        slopes = [[slope(p, i) for p in points] for i in range(len(args))]
    return value, slopes


def gradients(loss, *args, by):
    """The gradients by the arguments named, in reverse mode; forward mode has to give the same.

    Two programs are compiled in two ways, of which one may round a sum differently.
    """
    backward, forward = (
        jax.jit(jax.vmap(mode(loss, by)))(*args) for mode in (jax.grad, jax.jacfwd)
    )
    np.testing.assert_allclose(backward, forward, rtol=2.4e-7)
    return backward


class TestPairs:
    X = np.float32([1e-30, 0.01, 0.3, 0.7, 0.99999, 1.0000001, 1.4, 1.5, 3, 100, 1e30])

    def test_logarithm_and_exponential_carry_what_rounding_takes(self):
        """To 1/30 of a unit in the last place, compiled, where XLA could undo it."""
        for pair, f, x in (
            (log_pair, mpmath.log, self.X),
            (exp_pair, mpmath.exp, np.log(self.X).astype(np.float32)),
        ):
            head, tail = jax.jit(pair)(x)
            with mpmath.workdps(40):
                truth = [f(mpmath.mpf(float(a))) for a in x]
                rest = [float(t - float(h)) for t, h in zip(truth, head, strict=True)]
            unit = np.spacing(np.abs(head))
            assert (np.abs(np.float64(tail) - rest) <= unit / 30)[1:-1].all()

    def test_products_quotients_and_sums(self):
        a, b = self.X[:, None], self.X[None, ::2]
        for pair, of in ((product, np.multiply), (quotient, np.divide)):
            head, tail = jax.jit(pair)(*np.broadcast_arrays(a, b))
            truth = of(np.float64(a), np.float64(b))
            inside = (np.abs(truth) > 1e-25) & (np.abs(truth) < 1e25)
            error = np.abs(np.float64(head) + np.float64(tail) - truth) / truth
            assert error[inside].max() < 2e-10
        cancelling = jax.jit(total)(*jnp.float32([1e8, 1.5, -1e8, 0.25]))
        assert cancelling == 1.75
        assert total(jnp.float32(jnp.inf), jnp.float32(1)) == jnp.inf

    def test_edges(self):
        at = jnp.array([0.0, jnp.inf, -1.0, jnp.nan])
        np.testing.assert_array_equal(log_pair(at)[0], [-np.inf, np.inf, np.nan, np.nan])
        np.testing.assert_array_equal(log_pair(at)[1], 0)
        np.testing.assert_array_equal(exp_pair(-at)[0][:2], [1, 0])


def exact_gaussian(y, t, s, full=False):
    v = max(s, mpmath.mpf("1e-6"))
    return (mpmath.log(v * (2 * mpmath.pi if full else 1)) + (y - t) ** 2 / v) / 2


class TestGaussianNLLLoss:
    # With values near a root, gradients near a root, and far out.
    Y = np.float32([0, 1, 2, 5, -1.07, 1.9, 0.3, 1e3, 1.0, 0.5, 0.01])
    T = np.float32([1, 1, -1, 5, 0.11, -1.46, 0.1, -1e4, 0.7, 0.1, 0])
    S = np.float32([1, 0.5, 1e-3, 1e-5, 0.0287, 11.3, 0.04001, 1e3, 0.3, 0.1602, 1])

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_reference(self):
        for full in (False, True):
            loss = functools.partial(gaussian_nll_loss, full=full)
            value, slopes = exact(
                functools.partial(exact_gaussian, full=full), self.Y, self.T, self.S
            )
            assert_within_ulp(jax.jit(loss)(self.Y, self.T, self.S), value, 1)
            by_mean, by_target, by_variance = gradients(loss, self.Y, self.T, self.S, by=(0, 1, 2))
            assert_within_ulp(by_mean, slopes[0], 2)
            assert_within_ulp(by_target, slopes[1], 2)
            assert_within_ulp(by_variance, slopes[2], 4)

    def test_agrees_with_torch(self, torch):
        arrays = [torch.tensor(np.float64(a)) for a in (self.Y, self.T, self.S)]
        theirs = torch.nn.functional.gaussian_nll_loss(*arrays, full=True, reduction="none")
        ours = gaussian_nll_loss(*map(jnp.asarray, (self.Y, self.T, self.S)), full=True)
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-6)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        a, b, s = (jnp.asarray(v, float) for v in (self.Y[:7], self.T[:7], self.S[:7] + 0.1))
        loss = jax.jit(lambda args: gaussian_nll_loss(*args))

        def gradient(args):
            y, t, s = args
            return (y - t) / s, (t - y) / s, 0.5 * (1 - (y - t) ** 2 / s) / s

        assert_gradient(loss, gradient, (a, b, s))

    def test_below_the_floor_the_gradient_stays_as_in_torch(self, torch):
        s = torch.tensor([0.0, 1e-8], requires_grad=True)
        y = torch.tensor([1.0, 2.0])
        torch.nn.functional.gaussian_nll_loss(y, torch.ones(2), s, reduction="sum").backward()
        ours = jax.grad(lambda s: gaussian_nll_loss(jnp.array([1.0, 2.0]), jnp.ones(2), s).sum())
        np.testing.assert_allclose(ours(jnp.array([0.0, 1e-8])), s.grad.numpy(), rtol=1e-6)

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_edges(self):
        loss = gaussian_nll_loss(jnp.array([1.0, jnp.inf, jnp.nan]), jnp.zeros(3), 1.0)
        np.testing.assert_array_equal(loss, [0.5, np.inf, np.nan])
        assert jnp.isnan(gaussian_nll_loss(y, y, -ones)).all()
        assert jnp.isnan(jax.grad(lambda s: gaussian_nll_loss(y, y, s).sum())(-ones)).all()
        assert gaussian_nll_loss(jnp.zeros(0), jnp.zeros(0), 1.0).shape == (0,)
        half = jnp.ones(2, jnp.bfloat16)
        assert gaussian_nll_loss(half, half, jnp.ones(2)).dtype == jnp.bfloat16
        far = jax.grad(gaussian_nll_loss, 2)(jnp.float32(1e22), jnp.float32(0), jnp.float32(1e5))
        assert_within_ulp(far, -0.5 * np.float64(np.float32(1e22)) ** 2 / 1e10, 4)

    def test_transforms(self):
        assert_transforms(gaussian_nll_loss, *map(jnp.asarray, (self.Y, self.T, self.S)))


def stirling(t, full):
    if not full or t <= 1:
        return 0
    return t * mpmath.log(t) - t + mpmath.log(2 * mpmath.pi * t) / 2


def exact_poisson(x, t, log_input, full):
    if log_input:
        return mpmath.exp(x) - t * x + stirling(t, full)
    return x - t * mpmath.log(x + mpmath.mpf("1e-8")) + stirling(t, full)


class TestPoissonNLLLoss:
    # Gradients near their root at exp(x) = t, and losses near theirs.
    X = np.float32([0, 1, -1, 5, -17, 40, 1e-7, 2.9542, 5.5215, 1.0996, 88, 0.0610211, 2])
    T = np.float32([1, 3, 0, 250, 3, 1, 1, 3, 250, 3, 250, 1, 0.5])

    @pytest.mark.last_digits
    @pytest.mark.parametrize("full", [False, True])
    @pytest.mark.parametrize("log_input", [False, True])
    def test_reference(self, log_input, full):
        x = self.X if log_input else np.exp(np.minimum(self.X, 12)).astype(np.float32)
        loss = functools.partial(poisson_nll_loss, log_input=log_input, full=full)
        truth = functools.partial(exact_poisson, log_input=log_input, full=full)
        value, slopes = exact(truth, x, self.T)
        assert_within_ulp(jax.jit(loss)(x, self.T), value, 1)
        by_prediction, by_count = gradients(loss, x, self.T, by=(0, 1))
        assert_within_ulp(by_prediction, slopes[0], 4)
        smooth = self.T != 1  # Stirling's term begins there, and jumps
        np.testing.assert_allclose(by_count[smooth], np.array(slopes[1])[smooth], 1e-6, 1e-6)

    @pytest.mark.parametrize("full", [False, True])
    @pytest.mark.parametrize("log_input", [False, True])
    def test_agrees_with_torch(self, log_input, full, torch):
        x = np.float64(self.X if log_input else np.exp(np.minimum(self.X, 12)))
        options = {"log_input": log_input, "full": full}
        pair = torch.tensor(x), torch.tensor(np.float64(self.T))
        theirs = torch.nn.functional.poisson_nll_loss(*pair, **options, reduction="none")
        ours = poisson_nll_loss(jnp.float32(x), jnp.asarray(self.T), **options)
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=2e-5)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        x, t = jnp.array([0.5, 1.0, 3.0, 5.0]), jnp.array([3.0, 0.5, 2.5, 250.0])
        forms = {
            (True, False): lambda x, t: (jnp.exp(x) - t, -x),
            (False, True): lambda x, t: (
                1 - t / (x + 1e-8),
                -jnp.log(x + 1e-8) + jnp.where(t > 1, jnp.log(jnp.maximum(t, 1)) + 0.5 / t, 0),
            ),
        }
        for (log_input, full), gradient in forms.items():
            options = {"log_input": log_input, "full": full}
            loss = jax.jit(lambda pair, o=options: poisson_nll_loss(*pair, **o))
            assert_gradient(loss, lambda pair, g=gradient: g(*pair), (x, t))

    def test_edges(self):
        inf = jnp.array([jnp.inf, -jnp.inf, -jnp.inf, jnp.nan])
        loss = poisson_nll_loss(inf, jnp.array([2.0, 0.0, 2.0, 1.0]))
        np.testing.assert_array_equal(loss, [np.inf, 0, np.inf, np.nan])
        means = jnp.array([jnp.inf, 0.0, 0.0, -1.0])
        counts = jnp.array([2.0, 0.0, 1.0, 0.0])
        loss = poisson_nll_loss(means, counts, log_input=False)
        np.testing.assert_allclose(loss, [np.inf, 0, -np.log(1e-8), np.nan], rtol=1e-6)
        for options in ({}, {"log_input": False}):
            assert jnp.isnan(poisson_nll_loss(ones, -ones, **options)).all()
        half = jnp.ones(2, jnp.float16)
        assert poisson_nll_loss(half, half).dtype == jnp.float16
        assert poisson_nll_loss(jnp.zeros(0), jnp.zeros(0)).shape == (0,)

    @pytest.mark.slow
    def test_transforms(self):
        assert_transforms(poisson_nll_loss, *map(jnp.asarray, (self.X[:8], self.T[:8])))
