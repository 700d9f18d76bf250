"""fnmath.metrics.ranking: against scikit-learn, and where one kind of label is missing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from fnmath.metrics import average_precision, multiclass_roc_auc, roc_auc, roc_curve
from tests.helpers import Mistake, assert_transforms, assert_within_ulp

s, y = jnp.zeros((2, 4)), jnp.zeros((2, 4), int)
BINARY = [roc_auc, average_precision, roc_curve]


def mistakes_of_rankings(metric):
    name = metric.__name__
    rows = [
        (
            (y, y), {}, TypeError,
            "scores has dtype int32; wanted a floating dtype; "
            "did you mean scores.astype(jnp.float32)?",
        ),
        (
            (s, s), {}, TypeError,
            "labels has dtype float32; wanted bool or an integer dtype; "
            "did you mean labels.astype(jnp.int32)?",
        ),
        (
            (s, y), {"where": s}, TypeError,
            "where has dtype float32; wanted bool; did you mean where != 0?",
        ),
        (
            (s[0, 0], y), {}, ValueError,
            "scores has shape (); wanted at least 1 axis, (*batch examples); "
            "did you mean scores[None]?",
        ),
        (
            (s, y[..., None]), {}, ValueError,
            "scores (2, 4) and labels (2, 4, 1) must have one shape; did you mean labels[:, :, 0]?",
        ),
        (
            (s, y), {"where": y[0, :3] > 0}, ValueError,
            "where (3,) must broadcast to scores (2, 4)",
        ),
    ]  # fmt: skip
    return [
        Mistake(metric, args, opts, error, f"{name}: {text}") for args, opts, error, text in rows
    ]


MISTAKES = [
    *(row for metric in BINARY for row in mistakes_of_rankings(metric)),
    Mistake(
        multiclass_roc_auc, (y, y[0]), {}, TypeError,
        "multiclass_roc_auc: scores has dtype int32; wanted a floating dtype; "
        "did you mean scores.astype(jnp.float32)?",
    ),
    Mistake(
        multiclass_roc_auc, (s[0], y[0]), {}, ValueError,
        "multiclass_roc_auc: scores has shape (4,); wanted at least 2 axes, "
        "(*batch examples classes); did you mean scores[None]?",
    ),
    Mistake(
        multiclass_roc_auc, (s[:, :0], y[:, 0]), {}, ValueError,
        "multiclass_roc_auc: scores (2, 0) have no classes on axis -1",
    ),
    Mistake(
        multiclass_roc_auc, (s, y[0]), {}, ValueError,
        "multiclass_roc_auc: labels (4,) do not fit scores (2, 4); wanted (2,)",
    ),
    Mistake(
        multiclass_roc_auc, (s, y[:, 0]), {"average": "micro"}, ValueError,
        "multiclass_roc_auc: average is 'micro'; wanted one of 'macro', 'weighted'",
    ),
]  # fmt: skip


def rankings(n=200):
    """Random scores and tied ones, with labels of few and of many positives, one set a row."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4, n)).astype(np.float32)
    scores[1], scores[3] = np.round(scores[1]), np.round(2 * scores[3]) / 2
    labels = rng.random((4, n)) < [[0.5], [0.3], [0.05], [0.9]]
    scores[:3] += labels[:3]
    scores[1, :3] = [np.inf, -np.inf, 0.0]
    scores[1, 3] = -0.0
    return jnp.array(np.float32(scores)), jnp.array(labels)


# One compilation for each shape, where eager calls compile each operation.
area, precision, curve_of = (jax.jit(f) for f in BINARY)
areas = jax.jit(multiclass_roc_auc, static_argnames="average")
PAIRS = {
    area: sklearn.metrics.roc_auc_score,
    precision: sklearn.metrics.average_precision_score,
}


class TestRocAucAndAveragePrecision:
    @pytest.mark.slow
    @pytest.mark.last_digits
    @pytest.mark.usefixtures("x64")
    def test_reference(self):
        scores, labels = rankings()
        finite = np.clip(scores, -1e30, 1e30)  # scikit-learn refuses infinities
        for ours, theirs in PAIRS.items():
            expected = [theirs(*row) for row in zip(labels, finite, strict=True)]
            double = ours(scores.astype(jnp.float64), labels)
            np.testing.assert_allclose(double, expected, rtol=1e-14)
            assert_within_ulp(ours(scores, labels.astype(int)), expected, 2)

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_reference_of_many_examples(self):
        """Of 100,000 examples n₊ n₋ is beyond 2³¹; 16 ULP for the sum of 50,000 quotients."""
        rng = np.random.default_rng(1)
        labels = rng.random(100_000) < 0.5
        scores = np.round(rng.normal(size=100_000) + labels, 2).astype(np.float32)
        for ours, theirs in PAIRS.items():
            value = ours(jnp.array(scores), jnp.array(labels))
            assert_within_ulp(value, theirs(labels, scores), 16)

    def test_law_pairs(self):
        """The definition: each positive against each negative."""
        scores, labels = rankings(60)
        for row, kinds in zip(np.asarray(scores), np.asarray(labels), strict=True):
            above = row[kinds][:, None] - row[~kinds]
            expected = np.mean((above > 0) + 0.5 * (above == 0))
            value = area(jnp.array(row), jnp.array(kinds))
            np.testing.assert_allclose(value, expected, rtol=1e-6)

    def test_law_only_the_order_counts(self):
        scores, labels = rankings()
        rising = jnp.tanh(scores / 4)
        np.testing.assert_array_equal(area(rising, labels), area(scores, labels))
        np.testing.assert_allclose(area(-scores, labels), 1 - area(scores, labels), rtol=1e-6)

    def test_where(self):
        """Equal to leaving out, whatever stands there."""
        scores, labels = rankings()
        where = jnp.arange(200) % 3 > 0
        broken = jnp.where(where, scores, jnp.nan)
        wrong = jnp.where(where, labels.astype(int), 7)
        for metric in PAIRS:
            expected = metric(scores[:, where], labels[:, where])
            np.testing.assert_allclose(metric(broken, wrong, where=where), expected, rtol=1e-6)

    @pytest.mark.slow
    def test_transforms(self):
        scores, labels = rankings(40)
        for metric in (roc_auc, average_precision):
            assert_transforms(metric, scores, labels)

    def test_edges(self):
        """One kind only, none at all, nan, and labels that are neither: nan. Nothing told: ½."""
        scores = jnp.array([0.1, 0.5, 0.5])
        yes, no, both = jnp.ones(3, int), jnp.zeros(3, int), jnp.array([0, 1, 0])
        assert jnp.isnan(area(scores, yes))
        assert jnp.isnan(area(scores, no))
        assert precision(scores, yes) == 1
        assert jnp.isnan(precision(scores, no))
        assert area(0 * scores, both) == 0.5
        np.testing.assert_allclose(precision(0 * scores, both), 1 / 3)
        for metric in PAIRS:
            assert jnp.isnan(metric(scores.at[0].set(jnp.nan), both))
            assert jnp.isnan(metric(scores, jnp.array([0, 1, 2])))
            assert jnp.isnan(metric(scores[:0], both[:0]))
            assert metric(jnp.zeros((0, 3)), jnp.zeros((0, 3), int)).shape == (0,)
            assert jnp.isnan(metric(scores, both, where=jnp.array(False)))
            half = metric(scores.astype(jnp.bfloat16), both)
            assert half.dtype == jnp.bfloat16
            assert half == metric(scores, both)  # ¾ and ½


class TestMulticlassRocAuc:
    scores = jax.nn.softmax(jax.random.normal(jax.random.key(0), (90, 4)))
    labels = jax.random.randint(jax.random.key(1), (90,), 0, 4)

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_reference(self):
        theirs = sklearn.metrics.roc_auc_score
        for average in (None, "macro", "weighted"):
            expected = theirs(self.labels, self.scores, multi_class="ovr", average=average)
            ours = areas(self.scores, self.labels, average=average)
            assert_within_ulp(ours, expected, 4)

    def test_law_each_class_against_the_others(self):
        ours = areas(self.scores, self.labels)
        for k in range(4):
            np.testing.assert_allclose(ours[k], area(self.scores[:, k], self.labels == k))

    def test_where(self):
        where = jnp.arange(90) % 2 > 0
        labels = jnp.where(where, self.labels, -1)
        for average in (None, "weighted"):
            ours = areas(self.scores, labels, average=average, where=where)
            expected = areas(self.scores[where], labels[where], average=average)
            np.testing.assert_allclose(ours, expected, rtol=1e-6)

    @pytest.mark.slow
    def test_transforms(self):
        assert_transforms(multiclass_roc_auc, self.scores, self.labels)

    def test_edges(self):
        """A class without examples has no area and is left out; an unknown label spoils all."""
        labels = jnp.where(self.labels == 2, 1, self.labels)
        ours = areas(self.scores, labels)
        assert jnp.isnan(ours).tolist() == [False, False, True, False]
        mean = areas(self.scores, labels, average="macro")
        np.testing.assert_allclose(mean, jnp.nanmean(ours), rtol=1e-6)
        assert jnp.isnan(areas(self.scores, self.labels.at[0].set(4))).all()
        assert jnp.isnan(areas(self.scores[:0], self.labels[:0])).all()


class TestRocCurve:
    def test_reference(self):
        """scikit-learn's points, each once."""
        for scores, labels in zip(*rankings(), strict=True):
            ours = curve_of(scores, labels)
            theirs = sklearn.metrics.roc_curve(
                labels, np.clip(scores, -1e30, 1e30), drop_intermediate=False
            )
            t = np.asarray(ours.thresholds)
            distinct = np.append(t[1:] != t[:-1], True)
            distinct[0] = True  # a score of +∞ equals the threshold that lets nothing in
            for a, b in zip(ours[:2], theirs[:2], strict=True):
                np.testing.assert_allclose(a[distinct], b, rtol=1e-6)
            np.testing.assert_array_equal(
                np.clip(ours.thresholds[distinct][1:], -1e30, 1e30), theirs[2][1:]
            )

    def test_law_the_area_below(self):
        scores, labels = rankings()
        curve = curve_of(scores, labels)
        below = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate, axis=-1)
        np.testing.assert_allclose(below, area(scores, labels), rtol=1e-5)

    def test_where(self):
        scores, labels = rankings(30)
        where = jnp.arange(30) < 20
        ours = curve_of(jnp.where(where, scores, jnp.nan), labels, where=where)
        expected = curve_of(scores[:, :20], labels[:, :20])
        for a, b in zip(ours, expected, strict=True):
            np.testing.assert_allclose(a[:, :21], b, rtol=1e-6)
        assert (ours.true_positive_rate[:, 21:] == 1).all()
        assert (ours.thresholds[:, 21:] == -jnp.inf).all()

    @pytest.mark.slow
    def test_transforms(self):
        scores, labels = rankings(30)
        assert_transforms(roc_curve, scores, labels)

    def test_edges(self):
        scores, yes = jnp.array([0.1, 0.5]), jnp.ones(2, int)
        curve = curve_of(scores, yes)
        assert jnp.isnan(curve.false_positive_rate).all()
        np.testing.assert_array_equal(curve.true_positive_rate, [0, 0.5, 1])
        for broken in (curve_of(scores.at[0].set(jnp.nan), yes), curve_of(scores, yes + 1)):
            assert jnp.isnan(broken.true_positive_rate).all()
        assert curve_of(scores[:0], yes[:0]).thresholds.tolist() == [jnp.inf]
        half = curve_of(scores.astype(jnp.float16), yes)
        assert all(a.dtype == jnp.float16 for a in half)
