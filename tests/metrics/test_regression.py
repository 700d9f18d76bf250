"""fnmath.metrics.regression: against scikit-learn, and where all targets are alike."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from fnmath.metrics import r2_score
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

y, n = jnp.ones((2, 4)), jnp.ones((2, 4), int)
MISTAKES = [
    Mistake(
        r2_score, (y, n), {}, TypeError,
        "r2_score: targets has dtype int32; wanted a floating dtype; "
        "did you mean targets.astype(jnp.float32)?",
    ),
    Mistake(
        r2_score, (y, y), {"where": n}, TypeError,
        "r2_score: where has dtype int32; wanted bool; did you mean where != 0?",
    ),
    Mistake(
        r2_score, (y[0, 0], y[0, 0]), {}, ValueError,
        "r2_score: predictions has shape (); wanted at least 1 axis, (*batch examples); "
        "did you mean predictions[None]?",
    ),
    Mistake(
        r2_score, (y, y[..., None]), {}, ValueError,
        "r2_score: predictions (2, 4) and targets (2, 4, 1) must have one shape; "
        "did you mean targets[:, :, 0]?",
    ),
    Mistake(
        r2_score, (y, y), {"where": n[0, :3] > 0}, ValueError,
        "r2_score: where (3,) must broadcast to targets (2, 4)",
    ),
]  # fmt: skip


def measurements(size=50):
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(3, size)) + np.array([[0], [5], [-300]])
    predictions = targets + rng.normal(size=(3, size)) * [[0.1], [1], [3]]
    return jnp.array(predictions), jnp.array(targets)


def of_scikit_learn(predictions, targets):
    return [
        sklearn.metrics.r2_score(t, p, force_finite=False)
        for p, t in zip(np.float64(predictions), np.float64(targets), strict=True)
    ]


score = jax.jit(r2_score)  # one compilation for each shape, not one for each operation


class TestR2Score:
    @pytest.mark.usefixtures("x64")
    def test_reference(self):
        """In single precision within 8 ULP of 1, or of the score: 1 − A/S."""
        predictions, targets = measurements()
        expected = of_scikit_learn(predictions, targets)
        np.testing.assert_allclose(score(predictions, targets), expected, rtol=1e-12)
        single = jnp.float32(predictions), jnp.float32(targets)
        error = abs(np.float64(score(*single)) - of_scikit_learn(*single))
        assert (error <= 8 * 2**-23 * np.maximum(1, np.abs(expected))).all()

    def test_laws(self):
        """1 for the targets, 0 for their mean; neither a shift nor a scale matters."""
        predictions, targets = measurements()
        np.testing.assert_array_equal(score(targets, targets), jnp.ones(3))
        mean = jnp.broadcast_to(targets.mean(1, keepdims=True), targets.shape)
        np.testing.assert_allclose(score(mean, targets), jnp.zeros(3), atol=1e-6)
        for scale in (2.0**-70, 2.0**70):  # whose squares leave the range of float32
            scaled = score(scale * predictions, scale * targets)
            np.testing.assert_allclose(scaled, score(predictions, targets), rtol=1e-6)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.slow
    def test_gradient(self):
        """Both lines of the docstring."""
        predictions, targets = measurements(6)
        predictions, targets = predictions[0], targets[0]

        def parts(y, t):
            return jnp.sum((t - y) ** 2), jnp.sum((t - t.mean()) ** 2)

        def by_prediction(y):
            return 2 * (targets - y) / parts(y, targets)[1]

        def by_target(t):
            unexplained, total = parts(predictions, t)
            slope = (t - t.mean()) * unexplained / total**2 - (t - predictions) / total
            return 2 * slope

        assert_gradient(lambda y: score(y, targets), by_prediction, predictions, rtol=1e-10)
        assert_gradient(lambda t: score(predictions, t), by_target, targets, rtol=1e-10)

    def test_where(self):
        """Neither value nor gradient depends on what is left out, the first included."""
        predictions, targets = measurements()
        where = jnp.arange(50) % 3 > 0
        expected = score(predictions[:, where], targets[:, where])
        broken = jnp.where(where, targets, jnp.nan)
        np.testing.assert_allclose(score(predictions, broken, where=where), expected, rtol=1e-5)

        def total(t, y=predictions):
            return score(y, t, where=where).sum()

        slope = jax.grad(total)(broken)
        np.testing.assert_allclose(slope, jax.grad(total)(targets), rtol=1e-5)
        assert (slope[:, ~where] == 0).all()

    def test_transforms(self):
        assert_transforms(r2_score, *measurements())

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_edges(self):
        """Targets all alike: −∞, or nan for a perfect prediction; no remainder of rounding."""
        alike = jnp.full(10, 0.1)
        assert score(alike + 1, alike) == -jnp.inf
        assert jnp.isnan(score(alike, alike))
        for n in (0, 1):
            assert jnp.isnan(score(jnp.zeros(n), jnp.ones(n)))
        assert jnp.isnan(score(alike, alike, where=jnp.array(False)))
        assert jnp.isnan(score(jnp.array([1.0, jnp.nan]), jnp.array([1.0, 2.0])))
        triples = jnp.array([[1.0, 2.0, 4.0], [1.0, 2.0, 3.0]], jnp.bfloat16)
        half = score(*triples)
        assert half.dtype == jnp.bfloat16
        assert half == 0.5
        assert_within_ulp(score(jnp.array([0.0, 3.0]), jnp.array([0.0, 2.0])), 0.5, 1)


def test_errors_far_larger_than_the_variation_do_not_overflow():
    score = r2_score(jnp.array([9.5e18, 0.0]), jnp.array([1.0, 0.0]))
    np.testing.assert_allclose(score, -1.805e38, rtol=1e-6)
