"""Metrics of classes, one value per example: whether the label is among the first.

Notation: z are the logits of an example, y its label, one of the integers 0, 1, …, classes − 1.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

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
