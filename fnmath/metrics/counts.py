"""Metrics of counts: the confusion matrix, and what it says of each class or of all.

Notation: C is a confusion matrix, Cᵢⱼ the number of examples of class i taken for class j. Of class
k, TPₖ = Cₖₖ is what was found, Σᵢ Cᵢₖ what was taken for it, Σⱼ Cₖⱼ what there was of it.

Averages over the classes
-------------------------
Each score is a quotient aₖ/bₖ of counts. ``"micro"`` adds up the counts first, Σₖ aₖ / Σₖ bₖ;
``"macro"`` is the mean of the quotients; ``"weighted"`` weights them by the number of examples of
their class. A class whose quotient is 0/0 has no score and is left out of the mean, as scikit-learn
leaves it out with ``zero_division=nan`` (its default counts such a class as 0).
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32, Integer

from fnmath import _checks
from fnmath.metrics._rows import defined_mean

_AVERAGES = ("micro", "macro", "weighted")


def confusion_matrix(
    predictions: Integer[Array, "*batch"],
    labels: Integer[Array, "*batch"],
    *,
    classes: int,
    where: Bool[Array, "..."] | None = None,
) -> Int32[Array, "classes classes"]:
    """How often each class is taken for each.

        Cᵢⱼ = #{n : yₙ = i, ŷₙ = j}

    An example whose label or prediction lies outside [0, classes) is counted nowhere: ΣC is then
    less than the number of examples. Under ``fnmath.numerics.checked`` it becomes a message.

    Args:
        predictions: The predicted classes ŷ, for instance ``jnp.argmax(logits, -1)``.
        labels: The true classes y, of the same shape.
        classes: The number of classes.
        where: False for the examples to leave out, in a shape that broadcasts to that of the
            labels.

    Returns:
        Counts over all examples, of every axis: true classes in the rows, predicted ones in the
        columns.

    Raises:
        TypeError: If an argument is not of integers, or ``where`` not of booleans.
        ValueError: If the shapes differ, ``where`` does not broadcast to them, or ``classes`` is
            less than 1.

    Example:
        >>> print(confusion_matrix(jnp.array([0, 1, 1]), jnp.array([0, 1, 0]), classes=2))
        [[1 1]
         [0 1]]

    Source:
        Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008),
        chapter 14.
    """
    name = "confusion_matrix"
    _checks.integer(name, predictions=predictions, labels=labels)
    _checks.same_shape(name, predictions=predictions, labels=labels)
    _checks.size(name, classes=classes)
    counted = jnp.ones(jnp.shape(labels), bool)
    if where is not None:
        _checks.mask(name, "where", where, labels=labels)
        counted = counted & where
    i, j = (jnp.asarray(a) for a in (labels, predictions))
    for a in (i, j):
        counted = counted & _checks.labels_known(name, a, classes, where=counted)
    i, j = (jnp.ravel(jnp.where(counted, a.astype(jnp.int32), classes)) for a in (i, j))
    return jnp.zeros((classes, classes), jnp.int32).at[i, j].add(1, mode="drop")


def _check_average(function: str, average: str | None) -> None:
    if average is not None:
        _checks.option(function, "average", average, _AVERAGES)


def _per_class(function: str, confusion: Array) -> tuple[Array, Array, Array]:
    """Right predictions, all predictions and all examples of each class."""
    _checks.integer(function, confusion=confusion)
    _checks.rank(function, "confusion", confusion, "classes classes")
    rows, columns = jnp.shape(confusion)[-2:]
    if rows != columns:
        _checks.fail(function, f"confusion has shape {jnp.shape(confusion)}; wanted it square")
    counts = jnp.asarray(confusion).astype(float)  # sums of integers overflow past 2³¹
    right = jnp.diagonal(counts, axis1=-2, axis2=-1)
    return right, jnp.sum(counts, -2), jnp.sum(counts, -1)


def _averaged(
    average: str | None,
    right: Float[Array, "*batch classes"],
    whole: Float[Array, "*batch classes"],
    occurred: Float[Array, "*batch classes"],
) -> Float[Array, "..."]:
    """The quotients right/whole, averaged as asked for."""
    if average == "micro":
        return jnp.sum(right, -1) / jnp.sum(whole, -1)
    scores = right / whole
    if average is None:
        return scores
    return defined_mean(scores, occurred if average == "weighted" else jnp.ones_like(occurred))


def precision(
    confusion: Integer[Array, "*batch classes classes"], *, average: str | None = None
) -> Float[Array, "*batch classes"] | Float[Array, "*batch"]:
    """Precision of each class: of what was taken for it, the part that was right.

        precision = Cⱼⱼ / Σᵢ Cᵢⱼ

    Args:
        confusion: Counts C, true classes in the rows, as of ``confusion_matrix``.
        average: None for the score of each class, or ``"micro"``, ``"macro"`` or ``"weighted"``,
            explained above, for one score.

    Returns:
        One value in [0, 1] per class, nan for a class that was never predicted; or their average,
        nan if none was.

    Raises:
        TypeError: If the counts are not integers, or the average is neither None nor a string.
        ValueError: If the matrix is not square, or the average is none of the three.

    Example:
        >>> print(precision(jnp.array([[1, 1], [0, 1]])))
        [1.  0.5]

    Source:
        Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), §8.3.
    """
    _check_average("precision", average)
    right, predicted, occurred = _per_class("precision", confusion)
    return _averaged(average, right, predicted, occurred)


def recall(
    confusion: Integer[Array, "*batch classes classes"], *, average: str | None = None
) -> Float[Array, "*batch classes"] | Float[Array, "*batch"]:
    """Recall of each class: of its examples, the part that was found.

        recall = Cᵢᵢ / Σⱼ Cᵢⱼ

    Args:
        confusion: Counts C, true classes in the rows, as of ``confusion_matrix``.
        average: None for the score of each class, or ``"micro"``, ``"macro"`` or ``"weighted"``,
            explained above, for one score.

    Returns:
        One value in [0, 1] per class, nan for a class without examples; or their average, nan if
        there are no examples. The macro average is the balanced accuracy.

    Raises:
        TypeError: If the counts are not integers, or the average is neither None nor a string.
        ValueError: If the matrix is not square, or the average is none of the three.

    Example:
        >>> print(recall(jnp.array([[1, 1], [0, 1]])))
        [0.5 1. ]

    Source:
        Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), §8.3.
    """
    _check_average("recall", average)
    right, _, occurred = _per_class("recall", confusion)
    return _averaged(average, right, occurred, occurred)


def f1_score(
    confusion: Integer[Array, "*batch classes classes"], *, average: str | None = None
) -> Float[Array, "*batch classes"] | Float[Array, "*batch"]:
    """F₁ score of each class: the harmonic mean of its precision and its recall.

        F₁ = 2 / (1/precision + 1/recall) = 2 Cᵢᵢ / (Σⱼ Cⱼᵢ + Σⱼ Cᵢⱼ)

    The last form is 0, and not 0/0, where a class was missed altogether.

    Args:
        confusion: Counts C, true classes in the rows, as of ``confusion_matrix``.
        average: None for the score of each class, or ``"micro"``, ``"macro"`` or ``"weighted"``,
            explained above, for one score.

    Returns:
        One value in [0, 1] per class, nan for a class that neither occurred nor was predicted; or
        their average, nan if there is none.

    Raises:
        TypeError: If the counts are not integers, or the average is neither None nor a string.
        ValueError: If the matrix is not square, or the average is none of the three.

    Example:
        >>> C = jnp.array([[2, 2], [0, 1]])
        >>> print(f1_score(C), f"{f1_score(C, average='micro'):.2f}")
        [0.6666667 0.5      ] 0.60

    Source:
        Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), §8.3.
    """
    _check_average("f1_score", average)
    right, predicted, occurred = _per_class("f1_score", confusion)
    return _averaged(average, right, 0.5 * predicted + 0.5 * occurred, occurred)
