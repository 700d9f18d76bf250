"""fnmath.metrics.calibration: against the sums over the bins written out, and at their borders."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.calibration

from fnmath.losses import softmax_cross_entropy_with_integer_labels
from fnmath.metrics import expected_calibration_error, perplexity
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

pytestmark = pytest.mark.slow  # most of it is spent in compiling

p, y = jnp.full((2, 4), 0.5), jnp.zeros((2, 4), int)
ECE = "expected_calibration_error"
MISTAKES = [
    Mistake(
        expected_calibration_error, (y, y), {}, TypeError,
        f"{ECE}: confidences has dtype int32; wanted a floating dtype; "
        "did you mean confidences.astype(jnp.float32)?",
    ),
    Mistake(
        expected_calibration_error, (p, p + 0j), {}, TypeError,
        f"{ECE}: outcomes has dtype complex64; wanted real numbers",
    ),
    Mistake(
        expected_calibration_error, (p, y.T), {}, ValueError,
        f"{ECE}: confidences (2, 4) and outcomes (4, 2) must have one shape; "
        "did you mean outcomes.T?",
    ),
    Mistake(
        expected_calibration_error, (p, y), {"bins": 0}, ValueError,
        f"{ECE}: bins is 0; wanted an integer of at least 1",
    ),
    Mistake(
        expected_calibration_error, (p, y), {"adaptive": 1}, TypeError,
        f"{ECE}: adaptive is 1 (int); wanted True or False",
    ),
    Mistake(
        expected_calibration_error, (p, y), {"where": y}, TypeError,
        f"{ECE}: where has dtype int32; wanted bool; did you mean where != 0?",
    ),
    Mistake(
        perplexity, (y,), {}, TypeError,
        "perplexity: losses has dtype int32; wanted a floating dtype; "
        "did you mean losses.astype(jnp.float32)?",
    ),
    Mistake(
        perplexity, (p[0, 0],), {}, ValueError,
        "perplexity: losses has shape (); wanted at least 1 axis, (*batch tokens); "
        "did you mean losses[None]?",
    ),
    Mistake(
        perplexity, (p,), {"where": y[0, :3] > 0}, ValueError,
        "perplexity: where (3,) must broadcast to losses (2, 4)",
    ),
]  # fmt: skip


def events(n=500):
    """Confidences, borders of eighths among them, and what came."""
    rng = np.random.default_rng(0)
    confidences = rng.random((2, n)).astype(np.float32)
    confidences[:, : n // 2] = np.round(confidences[:, : n // 2] * 16) / 16
    return jnp.array(confidences), jnp.array(rng.random((2, n)) < confidences**2)


def over_bins(confidences, outcomes, bin_of):
    """Σ_b n_b/n |ȳ_b − p̄_b|, in double precision."""
    confidences, outcomes = np.float64(confidences), np.float64(outcomes)
    error = 0
    for b in np.unique(bin_of):
        chosen = bin_of == b
        error += chosen.mean() * abs(outcomes[chosen].mean() - confidences[chosen].mean())
    return error


# One compilation for each shape, where eager calls compile each operation.
calibration_error = jax.jit(expected_calibration_error, static_argnames=("bins", "adaptive"))


class TestExpectedCalibrationError:
    @pytest.mark.last_digits
    @pytest.mark.parametrize("bins", [1, 8, 15])
    def test_reference(self, bins):
        """Bins are open on the left and closed on the right: 8 and 16 are exact in binary."""
        confidences, outcomes = events()
        for row, came in zip(confidences, outcomes, strict=True):
            bin_of = np.digitize(row * np.float32(bins), np.arange(1, bins), right=True)
            ours = calibration_error(row, came, bins=bins)
            assert_within_ulp(ours, over_bins(row, came, bin_of), 16)

    def test_reference_scikit_learn(self):
        """Its calibration curve holds the means of the bins; random points meet no border."""
        confidences, outcomes = events()
        row, came = confidences[0, 250:], outcomes[0, 250:]
        frequency, mean = sklearn.calibration.calibration_curve(came, row, n_bins=10)
        sizes, _ = np.histogram(row, 10, (0, 1))
        expected = np.sum(sizes[sizes > 0] / 250 * abs(frequency - mean))
        ours = calibration_error(row, came, bins=10)
        np.testing.assert_allclose(ours, expected, rtol=1e-5)

    @pytest.mark.last_digits
    def test_reference_of_adaptive_bins(self):
        """An example's bin is that of the first of its equals in the sorted row."""
        confidences, outcomes = events()
        for row, came in zip(confidences, outcomes, strict=True):
            bin_of = np.searchsorted(np.sort(row), row, side="left") * 12 // row.size
            ours = calibration_error(row, came, bins=12, adaptive=True)
            assert_within_ulp(ours, over_bins(row, came, bin_of), 16)

    def test_laws(self):
        """0 for confidences that are frequencies; one bin compares the means; order is nothing."""
        frequencies = jnp.array([0.25, 0.25, 0.25, 0.25, 1.0])
        came = jnp.array([True, False, False, False, True])
        assert calibration_error(frequencies, came) == 0
        confidences, outcomes = events()
        one = calibration_error(confidences, outcomes, bins=1)
        np.testing.assert_allclose(one, abs(outcomes.mean(1) - confidences.mean(1)), rtol=1e-4)
        for adaptive in (False, True):
            ours, reversed_ = (
                calibration_error(confidences[:, ::d], outcomes[:, ::d], adaptive=adaptive)
                for d in (1, -1)
            )
            np.testing.assert_allclose(ours, reversed_, rtol=1e-5)

    @pytest.mark.parametrize("adaptive", [False, True])
    def test_where(self, adaptive):
        confidences, outcomes = events()
        where = jnp.arange(500) % 3 > 0
        broken = jnp.where(where, confidences, jnp.nan)
        ours = calibration_error(broken, outcomes, adaptive=adaptive, where=where)
        kept = confidences[:, where], outcomes[:, where]
        expected = calibration_error(*kept, adaptive=adaptive)
        np.testing.assert_allclose(ours, expected, rtol=1e-5)

    @pytest.mark.slow
    def test_transforms(self):
        confidences, outcomes = events(40)
        assert_transforms(expected_calibration_error, confidences, outcomes)
        assert_transforms(
            lambda p, y: expected_calibration_error(p, y, bins=5, adaptive=True),
            confidences,
            outcomes,
        )

    def test_edges(self):
        came = jnp.array([0.0, 1.0])
        assert calibration_error(jnp.array([0.0, 1.0]), came) == 0
        for wrong in (-0.1, 1.1, jnp.nan):
            assert jnp.isnan(calibration_error(jnp.array([wrong, 0.5]), came))
            assert jnp.isnan(calibration_error(came, jnp.array([wrong, 0.5])))
        for adaptive in (False, True):
            empty = calibration_error(came[:0], came[:0], adaptive=adaptive)
            assert jnp.isnan(empty)
        half = calibration_error(jnp.full(2, 0.75, jnp.bfloat16), jnp.ones(2, bool))
        assert half.dtype == jnp.bfloat16
        assert half == 0.25


class TestPerplexity:
    @pytest.mark.usefixtures("x64")
    def test_reference(self):
        """The inverse of the geometric mean of the probabilities."""
        logits = jax.random.normal(jax.random.key(0), (3, 20, 7))
        tokens = jax.random.randint(jax.random.key(1), (3, 20), 0, 7)
        losses = jax.jit(softmax_cross_entropy_with_integer_labels)(logits, tokens)
        given = np.take_along_axis(np.asarray(jax.nn.softmax(logits)), tokens[..., None], -1)
        expected = 1 / np.prod(given[..., 0], axis=-1) ** (1 / 20)
        np.testing.assert_allclose(perplexity(losses), expected, rtol=1e-12)

    def test_laws(self):
        """k equally likely tokens have the perplexity k; padding does not count."""
        losses = jnp.full((2, 5), math.log(50))
        np.testing.assert_allclose(perplexity(losses), 50, rtol=1e-5)
        where = jnp.arange(5) < 3
        padded = jnp.where(where, losses, jnp.nan)
        np.testing.assert_allclose(perplexity(padded, where=where), 50, rtol=1e-5)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        losses = jnp.abs(jax.random.normal(jax.random.key(0), (2, 5)))
        where = jnp.array([True, True, False, True, False])
        slope = lambda x: perplexity(x, where=where)[:, None] / 3 * where  # noqa: E731
        assert_gradient(jax.jit(lambda x: perplexity(x, where=where)), slope, losses)
        broken = jnp.where(where, losses, jnp.nan)
        found = jax.grad(lambda x: perplexity(x, where=where).sum())(broken)
        np.testing.assert_allclose(found, slope(losses), rtol=1e-12)

    def test_transforms(self):
        assert_transforms(perplexity, jnp.ones((2, 5)))

    @pytest.mark.last_digits
    def test_edges(self):
        assert jnp.isnan(perplexity(jnp.zeros(0)))
        assert jnp.isnan(perplexity(jnp.zeros(2), where=jnp.zeros(2, bool)))
        assert perplexity(jnp.array([0.0, jnp.inf])) == jnp.inf
        assert perplexity(jnp.zeros(3, jnp.float16)).dtype == jnp.float16
        long = jnp.full(70_000, 1.0, jnp.float16)  # whose sum is beyond float16
        assert_within_ulp(perplexity(long), math.e, 1)
