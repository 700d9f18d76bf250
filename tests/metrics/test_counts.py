"""fnmath.metrics.counts: against scikit-learn, and at classes without examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from jax.experimental import checkify

from fnmath import numerics
from fnmath.metrics import confusion_matrix, f1_score, precision, recall
from tests.helpers import Mistake, assert_transforms, assert_within_ulp

x, y, square = jnp.zeros((4, 3)), jnp.arange(4) % 3, jnp.eye(3, dtype=int)
SCORES = pytest.mark.parametrize("metric", [precision, recall, f1_score], ids=lambda f: f.__name__)


def mistakes_of_counts(metric):
    name = metric.__name__
    return [
        Mistake(
            metric,
            (x,),
            {},
            TypeError,
            f"{name}: confusion has dtype float32; wanted an integer dtype; "
            "did you mean confusion.astype(jnp.int32)?",
        ),
        Mistake(
            metric,
            (square[:2],),
            {},
            ValueError,
            f"{name}: confusion has shape (2, 3); wanted it square",
        ),
        Mistake(
            metric,
            (y,),
            {},
            ValueError,
            f"{name}: confusion has shape (4,); wanted at least 2 axes, (*batch classes classes); "
            "did you mean confusion[None]?",
        ),
        Mistake(
            metric,
            (square,),
            {"average": "binary"},
            ValueError,
            f"{name}: average is 'binary'; wanted one of 'micro', 'macro', 'weighted'",
        ),
        Mistake(
            metric,
            (square,),
            {"average": 1},
            TypeError,
            f"{name}: average is 1; wanted one of 'micro', 'macro', 'weighted'",
        ),
    ]


MISTAKES = [
    *(row for metric in [precision, recall, f1_score] for row in mistakes_of_counts(metric)),
    Mistake(
        confusion_matrix,
        (x, y),
        {"classes": 3},
        TypeError,
        "confusion_matrix: predictions has dtype float32; wanted an integer dtype; "
        "did you mean predictions.astype(jnp.int32)?",
    ),
    Mistake(
        confusion_matrix,
        (y, y[:, None]),
        {"classes": 3},
        ValueError,
        "confusion_matrix: predictions (4,) and labels (4, 1) must have one shape; "
        "did you mean labels[:, 0]?",
    ),
    Mistake(
        confusion_matrix,
        (y, y),
        {"classes": 0},
        ValueError,
        "confusion_matrix: classes is 0; wanted an integer of at least 1",
    ),
    Mistake(
        confusion_matrix,
        (y, y),
        {"classes": -3},
        ValueError,
        "confusion_matrix: classes is -3; wanted an integer of at least 1",
    ),
    Mistake(
        confusion_matrix,
        (y, y),
        {"classes": 3, "where": y},
        TypeError,
        "confusion_matrix: where has dtype int32; wanted bool; did you mean where != 0?",
    ),
    Mistake(
        confusion_matrix,
        (y, y),
        {"classes": 3, "where": y[:3] > 0},
        ValueError,
        "confusion_matrix: where (3,) must broadcast to labels (4,)",
    ),
]

LOGITS = jax.random.normal(jax.random.key(0), (60, 5))
LABELS = jax.random.randint(jax.random.key(1), (60,), 0, 5)
PREDICTED = jnp.argmax(LOGITS, -1)


class TestConfusionMatrix:
    @pytest.mark.slow
    def test_reference(self):
        ours = confusion_matrix(PREDICTED, LABELS, classes=5)
        np.testing.assert_array_equal(ours, sklearn.metrics.confusion_matrix(LABELS, PREDICTED))
        assert ours.dtype == jnp.int32

    def test_law_counts_every_example_once(self):
        ours = confusion_matrix(PREDICTED, LABELS, classes=7)
        np.testing.assert_array_equal(ours.sum(1), np.bincount(LABELS, minlength=7))
        np.testing.assert_array_equal(ours.sum(0), np.bincount(PREDICTED, minlength=7))

    def test_transforms(self):
        assert_transforms(lambda p, y: confusion_matrix(p, y, classes=5), PREDICTED, LABELS)

    def test_edges(self):
        empty = confusion_matrix(jnp.zeros(0, int), jnp.zeros(0, int), classes=2)
        assert empty.tolist() == [[0, 0], [0, 0]]
        grid = confusion_matrix(jnp.ones((2, 3), jnp.uint8), jnp.zeros((2, 3), int), classes=2)
        assert grid.tolist() == [[0, 6], [0, 0]]
        outside = confusion_matrix(jnp.array([-1, 0, 2, 1]), jnp.array([0, -2, 1, 5]), classes=2)
        assert outside.tolist() == [[0, 0], [0, 0]]

    def test_where(self):
        """Examples left out count nowhere, whatever their labels."""
        where = jnp.arange(60) % 3 > 0
        labels = jnp.where(where, LABELS, -7)
        ours = confusion_matrix(PREDICTED, labels, classes=5, where=where)
        expected = confusion_matrix(PREDICTED[where], LABELS[where], classes=5)
        np.testing.assert_array_equal(ours, expected)

    def test_checked_mode_is_silent_about_what_is_left_out(self):
        with numerics.checked():
            metric = checkify.checkify(
                jax.jit(lambda p, y: confusion_matrix(p, y, classes=3, where=y >= 0))
            )
            error, _ = metric(jnp.array([0, 1]), jnp.array([2, -1]))
        assert error.get() is None

    def test_checked_mode_names_the_label(self):
        with numerics.checked():
            metric = checkify.checkify(jax.jit(lambda p, y: confusion_matrix(p, y, classes=3)))
            error, _ = metric(jnp.array([0, 1]), jnp.array([2, -1]))
        assert error.get().startswith("confusion_matrix: label -1 outside [0, 3)")


def of_scikit_learn(metric):
    return getattr(sklearn.metrics, f"{metric.__name__.removesuffix('_score')}_score")


class TestPrecisionRecallAndF1Score:
    counts = confusion_matrix(PREDICTED, LABELS, classes=5)

    @pytest.mark.last_digits
    @SCORES
    def test_reference(self, metric):
        expected = of_scikit_learn(metric)(LABELS, PREDICTED, average=None)
        assert_within_ulp(metric(self.counts), expected, 2)

    @pytest.mark.slow
    @pytest.mark.last_digits
    @SCORES
    @pytest.mark.parametrize("average", ["micro", "macro", "weighted"])
    def test_reference_of_averages(self, metric, average):
        """With classes that never occur, are never predicted, or neither: left out of the mean."""
        labels, predicted = np.asarray(LABELS) + 1, np.asarray(PREDICTED) + 1
        labels[labels == 2], predicted[predicted == 3] = 4, 5
        ours = metric(
            confusion_matrix(jnp.array(predicted), jnp.array(labels), classes=7), average=average
        )
        theirs = of_scikit_learn(metric)(
            labels, predicted, average=average, labels=np.arange(7), zero_division=np.nan
        )
        assert_within_ulp(ours, theirs, 4)

    @pytest.mark.usefixtures("x64")
    def test_reference_in_double_precision(self):
        for metric in (precision, recall, f1_score):
            for average in (None, "micro", "macro", "weighted"):
                expected = of_scikit_learn(metric)(LABELS, PREDICTED, average=average)
                ours = metric(self.counts, average=average)
                np.testing.assert_allclose(ours, expected, rtol=1e-14)

    @SCORES
    def test_transforms(self, metric):
        assert_transforms(metric, self.counts)
        batch = jnp.stack([self.counts, 2 * self.counts])
        np.testing.assert_allclose(metric(batch), jnp.stack([metric(self.counts)] * 2))
        for average in ("micro", "macro", "weighted"):
            one = metric(self.counts, average=average)
            np.testing.assert_allclose(metric(batch, average=average), [one, one], rtol=1e-6)

    def test_laws(self):
        """F₁ is the harmonic mean; all micro averages are the accuracy; so is weighted recall."""
        p, r = precision(self.counts), recall(self.counts)
        np.testing.assert_allclose(f1_score(self.counts), 2 * p * r / (p + r), rtol=1e-6)
        right = np.mean(np.asarray(LABELS == PREDICTED))
        averages = [f(self.counts, average="micro") for f in (precision, recall, f1_score)]
        averages.append(recall(self.counts, average="weighted"))
        np.testing.assert_allclose(averages, right, rtol=1e-6)

    def test_edges(self):
        """Class 1 was missed altogether, class 2 neither occurred nor was predicted."""
        counts = jnp.array([[3, 0, 0], [1, 0, 0], [0, 0, 0]])
        np.testing.assert_array_equal(precision(counts), [0.75, jnp.nan, jnp.nan])
        np.testing.assert_array_equal(recall(counts), [1, 0, jnp.nan])
        np.testing.assert_array_equal(f1_score(counts), jnp.array([6 / 7, 0, jnp.nan]))
        for metric in (precision, recall, f1_score):
            for average in ("micro", "macro", "weighted"):
                assert jnp.isnan(metric(0 * counts, average=average))
        assert recall(counts, average="macro") == 0.5
        many = jnp.full((2, 2), 2**30)  # whose sums are beyond the integers of 32 bits
        np.testing.assert_array_equal(f1_score(many), [0.5, 0.5])
