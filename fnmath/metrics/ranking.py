"""Metrics of rankings: how well a score tells the positives from the negatives, at any threshold.

Notation: s are the scores of n examples, y their labels, 1 for a positive and 0 for a negative; n₊
and n₋ are their numbers. With a threshold t, all examples with s ≥ t are taken for positives; TP of
them are, FP are not.

Nothing here depends on the scale of the scores, only on their order. Equal scores are one step,
whatever order they came in.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from fnmath import _checks
from fnmath.metrics._rows import binary, changes, counted, defined_mean, quotient, steps

Labels = Integer[Array, "*batch examples"] | Bool[Array, "*batch examples"]


def _check(function: str, scores: Any, labels: Any) -> None:
    _checks.floating(function, scores=scores)
    _checks.rank(function, "scores", scores, "examples")
    binary(function, labels)
    _checks.same_shape(function, scores=scores, labels=labels)


class _Ranking(NamedTuple):
    """The examples from the largest score on, with how many of each kind the thresholds let in."""

    scores: Float[Array, "*batch examples"]
    positive: Bool[Array, "*batch examples"]
    negative: Bool[Array, "*batch examples"]
    changed: Bool[Array, "*batch examples"]

    def rates(self, kind: Bool[Array, "..."]) -> tuple[Array, Array, Array]:
        """How many of a kind lie above each score, how many not below it, how many there are."""
        above, not_below = steps(kind, self.changed)
        return above, not_below, jnp.sum(kind, -1, keepdims=True, dtype=jnp.int32)


def _ranked(scores: Array, labels: Array, where: Array) -> _Ranking:
    """Those left out come last, and are of neither kind."""
    minus = jnp.where(where, -scores, jnp.inf)
    kinds = (where & (labels == kind) for kind in (1, 0))
    minus, positive, negative = jax.lax.sort((minus, *kinds), num_keys=1)
    return _Ranking(-minus, positive, negative, changes(minus))


def _broken(scores: Array, labels: Array, where: Array) -> Bool[Array, "*batch"]:
    """Whether a score is nan, which has no rank, or a label is neither 0 nor 1."""
    return jnp.any(where & (jnp.isnan(scores) | ((labels != 0) & (labels != 1))), -1)


def _area(scores: Array, labels: Array, where: Array) -> Float[Array, "*batch"]:
    ranking = _ranked(scores, labels, where)
    above, not_below, negatives = ranking.rates(ranking.negative)
    outscored = quotient((negatives - above) + (negatives - not_below), 2 * negatives)
    positives = jnp.sum(ranking.positive, -1)
    mean = jnp.sum(jnp.where(ranking.positive, outscored, 0), -1) / positives
    return jnp.where(_broken(scores, labels, where), jnp.nan, mean).astype(scores.dtype)


def roc_auc(
    scores: Float[Array, "*batch examples"],
    labels: Labels,
    *,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "*batch"]:
    """Area under the ROC curve: how probably a positive scores higher than a negative.

        AUC = P(s₊ > s₋) + ½ P(s₊ = s₋) = 1/n₊ Σ_{i: yᵢ=1} (#{j : yⱼ=0, sⱼ < sᵢ} + ½ #{=}) / n₋

    over all pairs of a positive and a negative, which are counted by sorting. It is the statistic
    of Mann and Whitney, U/(n₊ n₋), with the ranks of equals averaged. The counts are integers, and
    only their quotients are rounded: n₊ n₋ would overflow from about 10⁵ examples on.

    Args:
        scores: The scores s, larger for what is more likely positive, on any scale.
        labels: The labels y, of the same shape: 1 or True for positives, 0 or False for negatives.
        where: False for the examples to leave out, in a shape that broadcasts to that of the
            scores; whatever stands there, nan included, does not matter.

    Returns:
        One area in [0, 1] per set of examples: ½ for scores that tell nothing. It is nan where
        there are no positives or no negatives, a score is nan, or a label is neither 0 nor 1.

    Raises:
        TypeError: If the scores are not floating-point, the labels neither integers nor booleans,
            or ``where`` not booleans.
        ValueError: If the shapes do not fit.

    Example:
        >>> print(roc_auc(jnp.array([0.1, 0.4, 0.4, 0.8]), jnp.array([0, 0, 1, 1])))
        0.875

    Source:
        Hanley and McNeil, The meaning and use of the area under a receiver operating characteristic
        (ROC) curve (1982); Fawcett, An introduction to ROC analysis (2006), §7.
    """
    _check("roc_auc", scores, labels)
    where = counted("roc_auc", "scores", scores, where)
    return _area(jnp.asarray(scores), jnp.asarray(labels), where)


def multiclass_roc_auc(
    scores: Float[Array, "*batch examples classes"],
    labels: Integer[Array, "*batch examples"],
    *,
    average: str | None = None,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "*batch classes"] | Float[Array, "*batch"]:
    """Areas under the ROC curves of each class against all others.

        AUCₖ = roc_auc(s_{·k}, [y = k])

    Args:
        scores: The scores of the classes, such as probabilities: those of one class are compared
            between examples, which logits, defined up to a constant per example, are not made for.
        labels: The class y of each example.
        average: None for the area of each class; ``"macro"`` for their mean, ``"weighted"`` for the
            mean weighted by the number of examples of each class. A class without an area is left
            out of both.
        where: False for the examples to leave out, in a shape that broadcasts to that of the
            labels; whatever stands there, nan included, does not matter.

    Returns:
        One area in [0, 1] per class, or their average. The area of a class is nan where it has no
        examples, or all of them, or a score is nan; all are nan where a label is no class.

    Raises:
        TypeError: If the scores are not floating-point, the labels not integers, ``where`` not
            booleans, or the average neither None nor a string.
        ValueError: If the shapes do not fit, there are no classes, or the average is neither of the
            two.

    Example:
        >>> p = jnp.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.4, 0.2, 0.4], [0.2, 0.7, 0.1]])
        >>> print(multiclass_roc_auc(p, jnp.array([0, 1, 2, 2])))
        [1.        0.6666667 0.75     ]

    Source:
        Fawcett, An introduction to ROC analysis (2006), §9.2 (class reference formulation).
    """
    name = "multiclass_roc_auc"
    _checks.floating(name, scores=scores)
    _checks.rank(name, "scores", scores, "examples classes")
    if average is not None:
        _checks.option(name, "average", average, ("macro", "weighted"))
    *rows, classes = jnp.shape(scores)
    if not classes:
        _checks.fail(name, f"scores {jnp.shape(scores)} have no classes on axis -1")
    _checks.integer(name, labels=labels)
    if jnp.shape(labels) != tuple(rows):
        problem = f"labels {jnp.shape(labels)} do not fit scores {jnp.shape(scores)}"
        _checks.fail(name, f"{problem}; wanted {tuple(rows)}")
    counts, labels = counted(name, "labels", labels, where), jnp.asarray(labels)
    known = _checks.labels_known(name, labels, classes, where=counts)
    own = labels[..., None, :] == jnp.arange(classes)[:, None]
    columns = jnp.moveaxis(jnp.asarray(scores), -1, -2)
    area = _area(columns, own, jnp.broadcast_to(counts[..., None, :], columns.shape))
    area = jnp.where(jnp.all(known | ~counts, -1)[..., None], area, jnp.nan)
    if average is None:
        return area
    examples = jnp.sum(own & counts[..., None, :], -1)
    weights = examples if average == "weighted" else jnp.ones_like(examples)
    return defined_mean(area, weights.astype(area.dtype))


def average_precision(
    scores: Float[Array, "*batch examples"],
    labels: Labels,
    *,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "*batch"]:
    """Average precision of a ranking: the precision at each positive, averaged.

        AP = Σₜ (recall(t) − recall(t⁺)) precision(t) = 1/n₊ Σ_{i: yᵢ=1} TP(sᵢ) / (TP(sᵢ) + FP(sᵢ))

    over the thresholds t from the highest down, t⁺ being the one before t. It is the area under the
    curve of precision against recall, taken in steps: interpolating that curve by straight lines
    would be too kind. Where positives are few it tells more than ``roc_auc``; scores that tell
    nothing have an average precision of about n₊/n.

    Args:
        scores: The scores s, larger for what is more likely positive, on any scale.
        labels: The labels y, of the same shape: 1 or True for positives, 0 or False for negatives.
        where: False for the examples to leave out, in a shape that broadcasts to that of the
            scores; whatever stands there, nan included, does not matter.

    Returns:
        One value in [0, 1] per set of examples, 1 if there are positives only. It is nan where
        there are none (scikit-learn says 0), a score is nan, or a label is neither 0 nor 1.

    Raises:
        TypeError: If the scores are not floating-point, the labels neither integers nor booleans,
            or ``where`` not booleans.
        ValueError: If the shapes do not fit.

    Example:
        >>> ap = average_precision(jnp.array([0.1, 0.4, 0.35, 0.8]), jnp.array([0, 0, 1, 1]))
        >>> print(f"{ap:.4f}")  # ½ (1 + 2/3)
        0.8333

    Source:
        Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), §8.4.
    """
    _check("average_precision", scores, labels)
    where = counted("average_precision", "scores", scores, where)
    scores, labels = jnp.asarray(scores), jnp.asarray(labels)
    ranking = _ranked(scores, labels, where)
    _, true, positives = ranking.rates(ranking.positive)
    _, false, _ = ranking.rates(ranking.negative)
    at_each = quotient(true, true + false)
    mean = jnp.sum(jnp.where(ranking.positive, at_each, 0), -1) / jnp.squeeze(positives, -1)
    return jnp.where(_broken(scores, labels, where), jnp.nan, mean).astype(scores.dtype)


class ROCCurve(NamedTuple):
    """The points of an ROC curve and the thresholds that lead to them, falling from ∞."""

    false_positive_rate: Float[Array, "*batch examples+1"]
    true_positive_rate: Float[Array, "*batch examples+1"]
    thresholds: Float[Array, "*batch examples+1"]


def roc_curve(
    scores: Float[Array, "*batch examples"],
    labels: Labels,
    *,
    where: Bool[Array, "..."] | None = None,
) -> ROCCurve:
    """Points of the ROC curve: the share of negatives let in against that of positives.

        (FP(t)/n₋, TP(t)/n₊)    for t = ∞ and for each score, from the largest on

    There are as many points as examples, plus (0, 0), whatever the scores: equal scores repeat one
    point. Straight lines between the points bound the area that ``roc_auc`` gives.

    Args:
        scores: The scores s, larger for what is more likely positive, on any scale.
        labels: The labels y, of the same shape: 1 or True for positives, 0 or False for negatives.
        where: False for the examples to leave out, in a shape that broadcasts to that of the
            scores; whatever stands there, nan included, does not matter. They add points (1, 1)
            with the threshold −∞ at the end.

    Returns:
        The two rates in [0, 1], neither of which falls, and the thresholds. A rate is nan where
        there are none of its kind; all are nan where a score is nan or a label neither 0 nor 1.

    Raises:
        TypeError: If the scores are not floating-point, the labels neither integers nor booleans,
            or ``where`` not booleans.
        ValueError: If the shapes do not fit.

    Example:
        >>> curve = roc_curve(jnp.array([0.1, 0.4, 0.4, 0.8]), jnp.array([0, 0, 1, 1]))
        >>> print(curve.false_positive_rate, curve.true_positive_rate)
        [0.  0.  0.5 0.5 1. ] [0.  0.5 1.  1.  1. ]

    Source:
        Fawcett, An introduction to ROC analysis (2006), §5, algorithm 1.
    """
    _check("roc_curve", scores, labels)
    where = counted("roc_curve", "scores", scores, where)
    scores, labels = jnp.asarray(scores), jnp.asarray(labels)
    ranking = _ranked(scores, labels, where)
    start = jnp.zeros((*scores.shape[:-1], 1), scores.dtype)
    broken = _broken(scores, labels, where)[..., None]

    def from_zero(kind: Bool[Array, "..."]) -> Float[Array, "..."]:
        _, not_below, total = ranking.rates(kind)
        undefined = jnp.where(total == 0, jnp.nan, 0) + jnp.where(broken, jnp.nan, 0)
        rate = jnp.concatenate([start, quotient(not_below, total).astype(scores.dtype)], -1)
        return rate + undefined.astype(scores.dtype)

    thresholds = jnp.concatenate([start + jnp.inf, ranking.scores], -1)
    return ROCCurve(from_zero(ranking.negative), from_zero(ranking.positive), thresholds)
