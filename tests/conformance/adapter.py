"""fnmath as the reference cases call it: one function for each name, with the case's arguments."""

from functools import partial

import jax.numpy as jnp

from fnmath import activations, losses, numerics
from tests.conformance import distributions

NAME = "fnmath"
BACKEND = "jax"

SAME = (
    "relu relu6 leaky_relu elu celu selu softplus squareplus sigmoid log_sigmoid tanh soft_sign "
    "silu mish hard_tanh hard_sigmoid hard_silu sparse_plus sparse_sigmoid gaussian "
    "softmax log_softmax softmin sparsemax"
)
FUNCS = {name: getattr(activations, name) for name in SAME.split()} | {
    "gelu_tanh": activations.gelu,
    "gelu_erf": partial(activations.gelu, approximate=False),
    "tanhshrink": activations.tanh_shrink,
    "softshrink": activations.soft_shrink,
    "log1mexp": numerics.log1mexp,
    "logsumexp": numerics.logsumexp,
    "logmeanexp": numerics.logmeanexp,
}

SAME = (
    "squared_error l2_loss l1_loss huber_loss smooth_l1_loss log_cosh pinball_loss expectile_loss "
    "sigmoid_binary_cross_entropy binary_cross_entropy sigmoid_focal_loss "
    "hinge_loss perceptron_loss soft_margin_loss hinge_embedding_loss margin_ranking_loss "
    "sparsemax_loss multiclass_hinge_loss multiclass_perceptron_loss multiclass_sparsemax_loss "
    "multi_margin_loss multilabel_soft_margin_loss ranking_softmax_loss nll_loss "
    "softmax_cross_entropy softmax_cross_entropy_with_integer_labels safe_softmax_cross_entropy "
    "poly_loss_cross_entropy kl_divergence generalized_kl_divergence "
    "kl_divergence_with_log_targets "
    "cosine_similarity cosine_distance triplet_margin_loss cosine_embedding_loss "
    "poisson_nll_loss gaussian_nll_loss"
)


def masked(loss):
    return lambda predictions, targets, where: loss(predictions, targets, where=where.astype(bool))


def first_dice(loss):
    """The dice losses keep an axis of one class."""
    return lambda predictions, targets, **options: loss(predictions, targets, **options)[0]


def ctc(logits, labels):
    """One sequence, none of it padding."""
    paddings = jnp.zeros((1, logits.shape[0])), jnp.zeros((1, labels.shape[0]))
    return losses.ctc_loss(logits[None], paddings[0], labels[None], paddings[1])[0]


FUNCS |= {name: getattr(losses, name) for name in SAME.split()} | {
    f"{loss.__name__}_where": masked(loss)
    for loss in (
        losses.softmax_cross_entropy,
        losses.softmax_cross_entropy_with_integer_labels,
        losses.ranking_softmax_loss,
        losses.kl_divergence,
    )
}
FUNCS |= {
    "fenchel_young_logsumexp": losses.make_fenchel_young_loss(
        numerics.logsumexp, over_simplex=True
    ),
    "ntxent": lambda embeddings, labels, **options: losses.ntxent(
        embeddings, labels, **options
    ).mean(),
    "dice_loss": first_dice(losses.dice_loss),
    "binary_dice_loss": first_dice(losses.binary_dice_loss),
    "multiclass_generalized_dice_loss": lambda p, t: losses.multiclass_generalized_dice_loss(
        p, t
    ).mean(),
    "ctc_loss": ctc,
    "smooth_labels_first": lambda labels, alpha: losses.smooth_labels(labels, alpha)[0],
}
FUNCS |= distributions.functions()
