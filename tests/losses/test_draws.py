"""No loss gives nan: values and gradients at a thousand arrays drawn at random."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath import losses
from tests.draws import drawn_arrays

# What overflows or is flushed to zero is up to the optimisations that a user has.
pytestmark = pytest.mark.last_digits

# What each argument is made of from the numbers that are drawn.
KINDS = {
    "real": lambda x: x,
    "sign": lambda x: np.where(x < 0, -1, 1).astype(np.float32),
    "share": lambda x: np.float32(1 / (1 + np.abs(np.float64(x)))),
    "count": lambda x: np.floor(np.minimum(np.abs(x), 1e6)),
    "positive": lambda x: np.maximum(np.abs(x), np.float32(1e-30)),
    "label": lambda x: np.abs(x.view(np.int32)[:, 0]) % x.shape[1],
    "labels": lambda x: (x > 0).astype(np.float32),
    "simplex": lambda x: simplex(np.float64(x)),
    "logs": lambda x: np.log(np.maximum(simplex(np.float64(x)), np.float32(1e-38))),
}


def simplex(x):
    p = np.exp(np.clip(x, -80, 80) - np.clip(x, -80, 80).max(-1, keepdims=True))
    return np.float32(p / p.sum(-1, keepdims=True))


LOSSES = {
    "real real": (
        "squared_error l2_loss l1_loss huber_loss smooth_l1_loss log_cosh pinball_loss "
        "expectile_loss cosine_similarity cosine_distance"
    ),
    "real sign": "hinge_loss perceptron_loss soft_margin_loss hinge_embedding_loss",
    "real share": "sigmoid_binary_cross_entropy sigmoid_focal_loss",
    "real labels": "multilabel_soft_margin_loss ranking_softmax_loss",
    "share share": "binary_cross_entropy",
    "real count": "poisson_nll_loss",
    "real label": (
        "softmax_cross_entropy_with_integer_labels multiclass_hinge_loss multi_margin_loss "
        "multiclass_perceptron_loss multiclass_sparsemax_loss"
    ),
    "real simplex": "softmax_cross_entropy safe_softmax_cross_entropy poly_loss_cross_entropy",
    "logs simplex": "kl_divergence",
    "logs logs": "kl_divergence_with_log_targets",
    "real real positive": "gaussian_nll_loss",
    "real real sign": "margin_ranking_loss",
    "real real real": "triplet_margin_loss",
}
ROWS = [(name, kinds) for kinds, names in LOSSES.items() for name in names.split()]


@pytest.mark.parametrize(("name", "kinds"), ROWS)
def test_arrays_drawn_at_random_give_no_nan(name, kinds):
    x = drawn_arrays()
    args = [KINDS[kind](np.roll(x, 7 * i, axis=0)) for i, kind in enumerate(kinds.split())]

    @jax.jit
    @jax.vmap
    def both(*args):
        y, back = jax.vjp(getattr(losses, name), *args)
        return y, back(jnp.ones_like(y))[0]

    for result in both(*args):
        bad = np.isnan(result).reshape(len(x), -1).any(-1)
        assert not bad.any(), [a[bad][0] for a in args]
