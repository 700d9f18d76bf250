"""Losses: how far a prediction lies from its target, one number per example.

Every loss takes the prediction first, returns one value per example and never averages: ``mean``
is for the caller to say. Nothing broadcasts between predictions and targets.

Numbers, of the residual r = y − t:

    squared_error                                r²
    l2_loss                                      ½ r²
    absolute_error                               |r|
    huber_loss, smooth_l1_loss, log_cosh         ½ r² near 0, a line beyond
    pinball_loss, expectile_loss                 |r| and r², one side weighing more
    total_variation                              the differences between neighbours

Likelihoods of numbers and counts, and what forecasts are worth:

    gaussian_nll_loss, student_t_nll_loss        of a number
    poisson_nll_loss, negative_binomial_nll_loss    of a count
    kl_normal, kl_standard_normal                between normals
    crps_normal, crps_ensemble                   of a forecast in the units of its target

Distances between samples:

    wasserstein_distance_1d, energy_distance, maximum_mean_discrepancy

Events, of log-odds z or a probability p:

    sigmoid_binary_cross_entropy, binary_cross_entropy    −t log p − (1 − t) log(1 − p), p = σ(z)
    sigmoid_focal_loss                           the same, less what is easily got right
    ordinal_cross_entropy                        "is it above class k?" for ordered classes

Classes, of logits z and p = softmax(z):

    softmax_cross_entropy, safe_softmax_cross_entropy    −Σₖ tₖ log pₖ
    softmax_cross_entropy_with_integer_labels    −log p_y, smoothed, weighted, some ignored
    linear_softmax_cross_entropy                 the same of z = h W + b, which is never held whole
    linear_softmax_cross_entropy_sum             its weighted sum, with the least work
    nll_loss                                     −log p_y of log-probabilities
    softmax_focal_loss, poly_loss_cross_entropy    the same, other powers of 1 − p_y weighing more
    brier_score                                  Σₖ (pₖ − tₖ)²
    smooth_labels                                (1 − α) t + α/K, a label made softer
    make_fenchel_young_loss                      Ω*(z) − ⟨z, t⟩ of any convex Ω*

Divergences, of targets t from predictions q:

    kl_divergence, kl_divergence_with_log_targets    Σₖ tₖ log(tₖ/qₖ)
    generalized_kl_divergence, convex_kl_divergence    the same less Σₖ (tₖ − qₖ)
    jensen_shannon_divergence                    of both from their mean

Margins, of a score y and a side t = ±1, or of the scores z of classes:

    hinge_loss, perceptron_loss, soft_margin_loss    (1 − y t)₊, (−y t)₊, log(1 + exp(−y t))
    sparsemax_loss                                   a hinge with a round corner
    margin_ranking_loss                              the order of two scores
    multiclass_hinge_loss, multiclass_perceptron_loss, multi_margin_loss, multiclass_sparsemax_loss
                                                     the label's score against the others
    multilabel_soft_margin_loss                      several labels at once
    ranking_softmax_loss                             the order of a list

Embeddings, of vectors:

    cosine_similarity, cosine_distance               the angle, and 1 less its cosine
    cosine_embedding_loss, hinge_embedding_loss      pairs that are alike or not
    triplet_margin_loss                              nearer to a like than to another
    ntxent, info_nce                                 each example's like among a batch
    barlow_twins_loss, vicreg_loss                   what two views of a batch share

Overlaps of regions, and sequences:

    dice_loss, binary_dice_loss, multiclass_generalized_dice_loss, tversky_loss
    ctc_loss, ctc_loss_with_forward_probs            labels without their times
"""

from fnmath.losses.binary import (
    binary_cross_entropy,
    ordinal_cross_entropy,
    sigmoid_binary_cross_entropy,
    sigmoid_focal_loss,
)
from fnmath.losses.class_margins import (
    multi_margin_loss,
    multiclass_hinge_loss,
    multiclass_perceptron_loss,
    multiclass_sparsemax_loss,
    multilabel_soft_margin_loss,
    ranking_softmax_loss,
)
from fnmath.losses.classification import (
    safe_softmax_cross_entropy,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
)
from fnmath.losses.contrastive import barlow_twins_loss, info_nce, ntxent, vicreg_loss
from fnmath.losses.dispersed import negative_binomial_nll_loss, student_t_nll_loss
from fnmath.losses.distances import (
    crps_ensemble,
    energy_distance,
    maximum_mean_discrepancy,
    wasserstein_distance_1d,
)
from fnmath.losses.divergences import (
    convex_kl_divergence,
    generalized_kl_divergence,
    jensen_shannon_divergence,
    kl_divergence,
    kl_divergence_with_log_targets,
)
from fnmath.losses.embeddings import (
    cosine_distance,
    cosine_embedding_loss,
    cosine_similarity,
    triplet_margin_loss,
)
from fnmath.losses.fenchel_young import make_fenchel_young_loss
from fnmath.losses.labels import (
    brier_score,
    nll_loss,
    poly_loss_cross_entropy,
    smooth_labels,
    softmax_focal_loss,
)
from fnmath.losses.likelihoods import gaussian_nll_loss, poisson_nll_loss
from fnmath.losses.linear_cross_entropy import (
    linear_softmax_cross_entropy,
    linear_softmax_cross_entropy_sum,
)
from fnmath.losses.margins import (
    hinge_embedding_loss,
    hinge_loss,
    margin_ranking_loss,
    perceptron_loss,
    soft_margin_loss,
    sparsemax_loss,
)
from fnmath.losses.normals import crps_normal, kl_normal, kl_standard_normal
from fnmath.losses.overlaps import (
    binary_dice_loss,
    dice_loss,
    multiclass_generalized_dice_loss,
    tversky_loss,
)
from fnmath.losses.reductions import mean
from fnmath.losses.regression import (
    absolute_error,
    expectile_loss,
    huber_loss,
    l1_loss,
    l2_loss,
    log_cosh,
    pinball_loss,
    smooth_l1_loss,
    squared_error,
    total_variation,
)
from fnmath.losses.sequences import ctc_loss, ctc_loss_with_forward_probs

__all__ = [
    "absolute_error",
    "barlow_twins_loss",
    "binary_cross_entropy",
    "binary_dice_loss",
    "brier_score",
    "convex_kl_divergence",
    "cosine_distance",
    "cosine_embedding_loss",
    "cosine_similarity",
    "crps_ensemble",
    "crps_normal",
    "ctc_loss",
    "ctc_loss_with_forward_probs",
    "dice_loss",
    "energy_distance",
    "expectile_loss",
    "gaussian_nll_loss",
    "generalized_kl_divergence",
    "hinge_embedding_loss",
    "hinge_loss",
    "huber_loss",
    "info_nce",
    "jensen_shannon_divergence",
    "kl_divergence",
    "kl_divergence_with_log_targets",
    "kl_normal",
    "kl_standard_normal",
    "l1_loss",
    "l2_loss",
    "linear_softmax_cross_entropy",
    "linear_softmax_cross_entropy_sum",
    "log_cosh",
    "make_fenchel_young_loss",
    "margin_ranking_loss",
    "maximum_mean_discrepancy",
    "mean",
    "multi_margin_loss",
    "multiclass_generalized_dice_loss",
    "multiclass_hinge_loss",
    "multiclass_perceptron_loss",
    "multiclass_sparsemax_loss",
    "multilabel_soft_margin_loss",
    "negative_binomial_nll_loss",
    "nll_loss",
    "ntxent",
    "ordinal_cross_entropy",
    "perceptron_loss",
    "pinball_loss",
    "poisson_nll_loss",
    "poly_loss_cross_entropy",
    "ranking_softmax_loss",
    "safe_softmax_cross_entropy",
    "sigmoid_binary_cross_entropy",
    "sigmoid_focal_loss",
    "smooth_l1_loss",
    "smooth_labels",
    "soft_margin_loss",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
    "softmax_focal_loss",
    "sparsemax_loss",
    "squared_error",
    "student_t_nll_loss",
    "total_variation",
    "triplet_margin_loss",
    "tversky_loss",
    "vicreg_loss",
    "wasserstein_distance_1d",
]
