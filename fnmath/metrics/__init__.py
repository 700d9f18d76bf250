"""Metrics: how right a model is, in numbers that people read.

Notation: z are the logits of an example, y its label, one of the integers 0, 1, …, classes − 1; C
is a confusion matrix, Cᵢⱼ the number of examples of class i taken for class j.

The metrics of logits are like losses: predictions first, one value per example, never averaged. The
others are of a whole set of examples, on the last axis, because they are not means over its parts.

    accuracy, top_k_accuracy                                     of logits, per example
    confusion_matrix, and of it precision, recall, f1_score      of classes
    roc_auc, multiclass_roc_auc, average_precision, roc_curve    of rankings
    expected_calibration_error, perplexity                       of probabilities
    r2_score                                                     of numbers

All have static shapes, so that ``jax.jit`` compiles them, and those of sets of examples take a
mask, ``where``. A metric that is not defined, such as the recall of a class without examples, is
nan: no number is made up for it. Most have no derivative to follow: what counts or ranks has the
gradient 0. Only ``perplexity`` and ``r2_score`` are smooth.
"""

from fnmath.metrics.calibration import expected_calibration_error, perplexity
from fnmath.metrics.counts import confusion_matrix, f1_score, precision, recall
from fnmath.metrics.labels import accuracy, top_k_accuracy
from fnmath.metrics.ranking import (
    ROCCurve,
    average_precision,
    multiclass_roc_auc,
    roc_auc,
    roc_curve,
)
from fnmath.metrics.regression import r2_score

__all__ = [
    "ROCCurve",
    "accuracy",
    "average_precision",
    "confusion_matrix",
    "expected_calibration_error",
    "f1_score",
    "multiclass_roc_auc",
    "perplexity",
    "precision",
    "r2_score",
    "recall",
    "roc_auc",
    "roc_curve",
    "top_k_accuracy",
]
