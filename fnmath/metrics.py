"""Metrics: how right a classifier is, in numbers that people read.

Notation: z are the logits of an example, y its label, one of the integers 0, 1, …, classes − 1; C
is a confusion matrix, Cᵢⱼ the number of examples of class i taken for class j.

The metrics of logits are like losses: predictions first, one value per example, never averaged. The
others start from counts, because precision and recall of a whole are not means over its parts.
None has a derivative to follow: their gradient is 0.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Integer

from fnmath import _checks


def _hit(
    function: str,
    logits: Float[Array, "*batch classes"],
    labels: Integer[Array, "*batch"],
    k: int,
) -> Float[Array, "*batch"]:
    """1 where fewer than k classes come before the label, nan where the label is no class."""
    classes, labels = jnp.shape(logits)[-1], jnp.asarray(labels)
    known = _checks.labels_known(function, labels, classes)
    at_label = jnp.take_along_axis(logits, labels[..., None], -1, mode="clip")
    earlier = jnp.arange(classes) < labels[..., None]
    before = (logits > at_label) | ((logits == at_label) & earlier)
    hit = (jnp.sum(before, -1) < k) & ~jnp.any(jnp.isnan(logits), -1)
    return jnp.where(known, hit, jnp.nan).astype(jnp.result_type(logits))


def accuracy(
    logits: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Whether the largest logit is that of the label, as 1 or 0.

        a(z, y) = [argmaxₖ zₖ = y]

    Of several largest the first counts, as in ``jnp.argmax``. A row that holds nan is never right:
    it ranks nothing. A label outside [0, classes) gives nan for its row.

    Args:
        logits: Scores z of the classes, on any scale.
        labels: The class y of each example.

    Returns:
        One value per example, 1 or 0; ``.mean()`` is the accuracy of a data set.

    Raises:
        TypeError: If the logits are not floating-point, or the labels not integers.
        ValueError: If the shapes do not fit, or there are no classes.

    Example:
        >>> z = jnp.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0], [0.5, 0.5, 0.0]])
        >>> print(accuracy(z, jnp.array([1, 0, 1])))
        [1. 1. 0.]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §5.1.2.
    """
    _checks.floating("accuracy", logits=logits)
    _checks.classes("accuracy", logits)
    _checks.class_labels("accuracy", logits, labels, cure="jnp.argmax(labels, -1)")
    return _hit("accuracy", logits, labels, 1)


def top_k_accuracy(
    logits: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"], *, k: int
) -> Float[Array, "*batch"]:
    """Whether the label is among the k largest logits, as 1 or 0.

        aₖ(z, y) = [#{j : zⱼ > z_y} + #{j < y : zⱼ = z_y} < k]

    The second count lets the first of equals win, as in ``jax.lax.top_k``; nothing is sorted. A row
    that holds nan is never right, and a label outside [0, classes) gives nan for its row.

    Args:
        logits: Scores z of the classes, on any scale.
        labels: The class y of each example.
        k: How many classes may be named, from 1 (``accuracy``) to all (always right).

    Returns:
        One value per example, 1 or 0; ``.mean()`` is the top-k accuracy of a data set.

    Raises:
        TypeError: If the logits are not floating-point, or the labels or k not integers.
        ValueError: If the shapes do not fit, there are no classes, or k is not in [1, classes].

    Example:
        >>> z = jnp.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0]])
        >>> print(top_k_accuracy(z, jnp.array([2, 2]), k=2))
        [1. 0.]

    Source:
        Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge (2015), §4.1.
    """
    _checks.floating("top_k_accuracy", logits=logits)
    classes = _checks.classes("top_k_accuracy", logits)
    _checks.class_labels("top_k_accuracy", logits, labels, cure="jnp.argmax(labels, -1)")
    _checks.size("top_k_accuracy", k=k)
    if k > classes:
        _checks.fail("top_k_accuracy", f"k is {k}; wanted at most the {classes} classes")
    return _hit("top_k_accuracy", logits, labels, k)


def confusion_matrix(
    predictions: Integer[Array, "*batch"], labels: Integer[Array, "*batch"], *, classes: int
) -> Int32[Array, "classes classes"]:
    """How often each class is taken for each.

        Cᵢⱼ = #{n : yₙ = i, ŷₙ = j}

    An example whose label or prediction lies outside [0, classes) is counted nowhere: ΣC is then
    less than the number of examples. Under ``fnmath.numerics.checked`` it becomes a message.

    Args:
        predictions: The predicted classes ŷ, for instance ``jnp.argmax(logits, -1)``.
        labels: The true classes y, of the same shape.
        classes: The number of classes.

    Returns:
        Counts over all examples, of every axis: true classes in the rows, predicted ones in the
        columns.

    Raises:
        TypeError: If an argument is not of integers.
        ValueError: If the shapes differ, or ``classes`` is less than 1.

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
    i, j = (jnp.ravel(jnp.asarray(a)) for a in (labels, predictions))
    known = _checks.labels_known(name, i, classes) & _checks.labels_known(name, j, classes)
    counts = jnp.zeros((classes, classes), jnp.int32)
    i, j = (jnp.where(known, a.astype(jnp.int32), classes) for a in (i, j))
    return counts.at[i, j].add(1, mode="drop")


def _per_class(function: str, confusion: Array) -> tuple[Array, Array, Array]:
    """Right predictions, all predictions and all examples of each class."""
    _checks.integer(function, confusion=confusion)
    _checks.rank(function, "confusion", confusion, "classes classes")
    rows, columns = jnp.shape(confusion)[-2:]
    if rows != columns:
        _checks.fail(function, f"confusion has shape {jnp.shape(confusion)}; wanted it square")
    counts = jnp.asarray(confusion).astype(jnp.float32)  # sums of integers overflow past 2³¹
    right = jnp.diagonal(counts, axis1=-2, axis2=-1)
    return right, jnp.sum(counts, -2), jnp.sum(counts, -1)


def precision(
    confusion: Integer[Array, "*batch classes classes"],
) -> Float[Array, "*batch classes"]:
    """Precision of each class: of what was taken for it, the part that was right.

        precision = Cⱼⱼ / Σᵢ Cᵢⱼ

    Args:
        confusion: Counts C, true classes in the rows, as of ``confusion_matrix``.

    Returns:
        One value in [0, 1] per class; nan for a class that was never predicted. ``.mean()`` is the
        macro average.

    Raises:
        TypeError: If the counts are not integers.
        ValueError: If the matrix is not square.

    Example:
        >>> print(precision(jnp.array([[1, 1], [0, 1]])))
        [1.  0.5]

    Source:
        Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), §8.3.
    """
    right, predicted, _ = _per_class("precision", confusion)
    return right / predicted


def recall(
    confusion: Integer[Array, "*batch classes classes"],
) -> Float[Array, "*batch classes"]:
    """Recall of each class: of its examples, the part that was found.

        recall = Cᵢᵢ / Σⱼ Cᵢⱼ

    Args:
        confusion: Counts C, true classes in the rows, as of ``confusion_matrix``.

    Returns:
        One value in [0, 1] per class; nan for a class without examples. ``.mean()`` is the balanced
        accuracy.

    Raises:
        TypeError: If the counts are not integers.
        ValueError: If the matrix is not square.

    Example:
        >>> print(recall(jnp.array([[1, 1], [0, 1]])))
        [0.5 1. ]

    Source:
        Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), §8.3.
    """
    right, _, occurred = _per_class("recall", confusion)
    return right / occurred


def f1_score(
    confusion: Integer[Array, "*batch classes classes"],
) -> Float[Array, "*batch classes"]:
    """F₁ score of each class: the harmonic mean of its precision and its recall.

        F₁ = 2 / (1/precision + 1/recall) = 2 Cᵢᵢ / (Σⱼ Cⱼᵢ + Σⱼ Cᵢⱼ)

    The last form is 0, and not 0/0, where a class was missed altogether.

    Args:
        confusion: Counts C, true classes in the rows, as of ``confusion_matrix``.

    Returns:
        One value in [0, 1] per class; nan for a class that neither occurred nor was predicted.
        ``.mean()`` is the macro average.

    Raises:
        TypeError: If the counts are not integers.
        ValueError: If the matrix is not square.

    Example:
        >>> print(f1_score(jnp.array([[2, 2], [0, 1]])))
        [0.6666667 0.5      ]

    Source:
        Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), §8.3.
    """
    right, predicted, occurred = _per_class("f1_score", confusion)
    return right / (0.5 * predicted + 0.5 * occurred)  # integers would overflow past 2³⁰
