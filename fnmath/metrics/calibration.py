"""Metrics of probabilities: whether they mean what they say.

Notation: pᵢ is the probability that a model gave to an event, its confidence; yᵢ is 1 if the event
occurred and 0 if not; ℓᵢ = −log of the probability given to what occurred, in nats.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from fnmath import _checks
from fnmath.metrics._rows import changes, counted, steps, wide


def expected_calibration_error(
    confidences: Float[Array, "*batch examples"],
    outcomes: Float[Array, "*batch examples"]
    | Integer[Array, "*batch examples"]
    | Bool[Array, "*batch examples"],
    *,
    bins: int = 15,
    adaptive: bool = False,
    where: Bool[Array, "..."] | None = None,
) -> Float[Array, "*batch"]:
    """Expected calibration error: by how much frequencies differ from the confidences.

        ECE = Σ_b n_b/n |ȳ_b − p̄_b| = 1/n Σ_b |Σ_{i∈b} (yᵢ − pᵢ)|

    over bins b of n_b examples with alike confidences. The last form does not divide by n_b: empty
    bins add nothing. Bin b of B holds the confidences in ((b − 1)/B, b/B], and 0 belongs to the
    first. Adaptive bins hold about n/B examples each instead: an example goes to the bin
    ⌊B · #{j : pⱼ < pᵢ}/n⌋, so that equal confidences share one.

    It is 0 for a model whose confidences are frequencies, however little they tell, and biased
    upwards where bins have few examples.

    Args:
        confidences: Probabilities p in [0, 1]: of the predicted class, ``softmax(z).max(-1)``, or
            of a yes-or-no event.
        outcomes: What came, y, of the same shape: whether the prediction was right,
            ``accuracy(z, labels)``, or whether the event occurred. Frequencies in [0, 1] will do.
        bins: The number B of bins.
        adaptive: Whether bins are equally full, rather than equally wide.
        where: False for the examples to leave out, in a shape that broadcasts to that of the
            confidences; whatever stands there, nan included, does not matter.

    Returns:
        One error in [0, 1] per set of examples; nan where there are none, or where a confidence or
        an outcome is nan or outside [0, 1].

    Raises:
        TypeError: If the confidences are not floating-point, the outcomes not numbers, bins not an
            integer, adaptive not True or False, or ``where`` not booleans.
        ValueError: If the shapes do not fit, or there are less than 1 bins.

    Example:
        >>> p, y = jnp.array([0.75, 0.75, 1.0, 1.0]), jnp.array([1, 0, 1, 1])
        >>> print(expected_calibration_error(p, y, bins=4))  # ½ |½ − ¾| + ½ |1 − 1|
        0.125

    Source:
        Naeini, Cooper and Hauskrecht, Obtaining well calibrated probabilities using Bayesian
        binning (2015); Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks
        (2017), §2; Nixon et al., Measuring calibration in deep learning (2019) (adaptive bins).
    """
    name = "expected_calibration_error"
    _checks.floating(name, confidences=confidences)
    _checks.rank(name, "confidences", confidences, "examples")
    _checks.array(name, "outcomes", outcomes)
    if jnp.issubdtype(jnp.result_type(outcomes), jnp.complexfloating):
        problem = f"outcomes has dtype {jnp.result_type(outcomes)}; wanted real numbers"
        _checks.fail(name, problem, error=TypeError)
    _checks.same_shape(name, confidences=confidences, outcomes=outcomes)
    _checks.size(name, bins=bins)
    _checks.boolean(name, "adaptive", adaptive)
    counts = counted(name, "confidences", confidences, where)
    p = wide(confidences)
    y = jnp.asarray(outcomes).astype(p.dtype)
    valid = (p >= 0) & (p <= 1) & (y >= 0) & (y <= 1)
    p, residual = (jnp.where(counts & valid, a, 0) for a in (p, y - p))
    b = _equally_full(p, counts, bins) if adaptive else jnp.ceil(p * bins).astype(jnp.int32) - 1
    of_bin = jnp.clip(b, 0, bins - 1)[..., None] == jnp.arange(bins)
    sums = jnp.sum(jnp.where(of_bin, residual[..., None], 0), -2)
    error = jnp.sum(jnp.abs(sums), -1) / jnp.sum(counts, -1)
    broken = jnp.any(counts & ~valid, -1)
    return jnp.where(broken, jnp.nan, error).astype(jnp.result_type(confidences))


def _equally_full(
    p: Float[Array, "*batch examples"], counts: Bool[Array, "*batch examples"], bins: int
) -> Integer[Array, "*batch examples"]:
    """⌊B · #{j : pⱼ < pᵢ}/n⌋ for each example, counting those that count."""
    order = jnp.argsort(p, -1)
    below, _ = steps(
        jnp.take_along_axis(counts, order, -1), changes(jnp.take_along_axis(p, order, -1))
    )
    below = jnp.take_along_axis(below, jnp.argsort(order, -1), -1)
    n = jnp.maximum(jnp.sum(counts, -1, keepdims=True, dtype=jnp.int32), 1)
    return below // n * bins + below % n * bins // n


def perplexity(
    losses: Float[Array, "*batch tokens"], *, where: Bool[Array, "..."] | None = None
) -> Float[Array, "*batch"]:
    """Perplexity: the number of equally likely tokens that would surprise as much.

        PPL = exp(1/n Σᵢ ℓᵢ)

    the inverse of the geometric mean of the probabilities given to what came. Perplexities do not
    average: of a whole corpus it is that of all its tokens, in one row.

    Gradient:
        ∂PPL/∂ℓᵢ = PPL / n

    Args:
        losses: The cross-entropy ℓ of each token, in nats, as of
            ``softmax_cross_entropy_with_integer_labels``.
        where: False for the tokens to leave out, such as padding, in a shape that broadcasts to
            that of the losses; whatever stands there, nan included, does not matter.

    Returns:
        One perplexity, at least 1, per row of tokens; nan where there are none.

    Raises:
        TypeError: If the losses are not floating-point, or ``where`` not booleans.
        ValueError: If the losses have no axis, or ``where`` does not broadcast to them.

    Example:
        >>> print(f"{perplexity(jnp.log(jnp.array([2.0, 8.0]))):.1f}")  # √(2 · 8)
        4.0

    Source:
        Jurafsky and Martin, Speech and Language Processing, chapter on n-gram language models
        (evaluating language models: perplexity).
    """
    _checks.floating("perplexity", losses=losses)
    _checks.rank("perplexity", "losses", losses, "tokens")
    counts = counted("perplexity", "losses", losses, where)
    nats = jnp.sum(jnp.where(counts, wide(losses), 0), -1) / jnp.sum(counts, -1)
    return jnp.exp(nats).astype(jnp.result_type(losses))
