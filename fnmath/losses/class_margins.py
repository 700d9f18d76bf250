"""Losses of the margins between classes, of several labels at once, and of the order of a list.

Notation: z are the scores of the classes of one example, c is its label, the class that occurred;
k runs over the other classes; t are the labels of all classes; (x)₊ = max(x, 0).

The scores enter by their differences z_k − z_c, formed with what rounding took where something is
added to them. Where several classes lead together, the derivative is shared among them equally; at
the kink of (x)₊ it is 0.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer, Real

from fnmath import _checks
from fnmath.activations import sparsemax
from fnmath.losses._compensated import positive_part, sum_of_three
from fnmath.losses.binary import sigmoid_binary_cross_entropy
from fnmath.losses.classification import softmax_cross_entropy
from fnmath.losses.margins import _real
from fnmath.numerics._wide import computed_wide


def _checked(function: str, scores: Array, labels: Array) -> tuple[Array, Array]:
    """The scores, nan where the label of the example is no class, and which class is its label."""
    _checks.floating(function, scores=scores)
    _checks.rank(function, "scores", scores, "classes")
    classes = jnp.shape(scores)[-1]
    if not classes:
        _checks.fail(function, f"scores {jnp.shape(scores)} have no classes on axis -1")
    _checks.class_labels(function, scores, labels, cure="jnp.argmax(labels, -1)", name="scores")
    known = _checks.labels_known(function, labels, classes)
    scores, labels = jnp.asarray(scores), jnp.asarray(labels)
    defined = jnp.where(known, 1, jnp.nan)[..., None].astype(scores.dtype)
    return scores * defined, labels[..., None] == jnp.arange(classes)


def _ahead(z: Array, at_label: Array, margin: Array) -> Array:
    """(margin + z_k − z_c)₊ for each other class k, and 0 at the label."""
    z_c = jnp.sum(jnp.where(at_label, z, 0), -1, keepdims=True)
    tied = jnp.isinf(z) & (z == z_c)
    z_k, z_c = jnp.where(tied, 0, z), jnp.where(tied, 0, z_c)
    return jnp.where(at_label, 0, positive_part(sum_of_three(z_k, -z_c, margin)))


def multiclass_hinge_loss(
    scores: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Hinge loss of the label's score, which should lead all others by 1.

        ℓ(z, c) = max_{k≠c} (1 + z_k − z_c)₊

    Gradient:
        ∂ℓ/∂z = e_k − e_c with k the best of the others where the loss is above 0, else 0

    Args:
        scores: Scores z of the classes.
        labels: The class c of each example; one outside [0, classes) gives nan.

    Returns:
        One loss per example, in the units of the scores.

    Raises:
        TypeError: If the scores are not floating-point numbers, or the labels no integers.
        ValueError: If the shapes do not fit, or there are no classes.

    Example:
        >>> z = jnp.array([[3.0, 1.0, 0.0], [1.0, 0.5, 3.0]])
        >>> print(multiclass_hinge_loss(z, jnp.array([0, 0])))
        [0. 3.]

    Source:
        Crammer and Singer, On the algorithmic implementation of multiclass kernel-based vector
        machines (2001), §3.
    """
    z, at_label = _checked("multiclass_hinge_loss", scores, labels)
    one = jnp.ones((), z.dtype)
    return computed_wide(lambda z, m: jnp.max(_ahead(z, at_label, m), -1), z, one)


def multiclass_perceptron_loss(
    scores: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Perceptron loss of the label's score, which should be the largest, by no margin.

        ℓ(z, c) = max_k z_k − z_c = max_{k≠c} (z_k − z_c)₊

    Gradient:
        ∂ℓ/∂z = e_k − e_c with k the best of the others where the loss is above 0, else 0

    Args:
        scores: Scores z of the classes.
        labels: The class c of each example; one outside [0, classes) gives nan.

    Returns:
        One loss per example, in the units of the scores.

    Raises:
        TypeError: If the scores are not floating-point numbers, or the labels no integers.
        ValueError: If the shapes do not fit, or there are no classes.

    Example:
        >>> z = jnp.array([[3.0, 2.5, 0.0], [1.0, 0.5, 3.0]])
        >>> print(multiclass_perceptron_loss(z, jnp.array([0, 0])))
        [0. 2.]

    Source:
        Collins, Discriminative training methods for hidden Markov models (2002), §2.
    """
    z, at_label = _checked("multiclass_perceptron_loss", scores, labels)
    zero = jnp.zeros((), z.dtype)
    return computed_wide(lambda z, m: jnp.max(_ahead(z, at_label, m), -1), z, zero)


def multi_margin_loss(
    scores: Float[Array, "*batch classes"],
    labels: Integer[Array, "*batch"],
    *,
    p: int = 1,
    margin: float | Float[Array, ""] = 1.0,
) -> Float[Array, "*batch"]:
    """Mean over the classes of how much each comes too near the label's score, or of the square.

        ℓ(z, c) = 1/n Σ_{k≠c} (margin + z_k − z_c)₊ᵖ        (n classes)

    Gradient:
        ∂ℓ/∂z_k = p/n (margin + z_k − z_c)₊ᵖ⁻¹ where that is above 0, else 0
        ∂ℓ/∂z_c = −Σ_{k≠c} ∂ℓ/∂z_k

    Args:
        scores: Scores z of the classes.
        labels: The class c of each example; one outside [0, classes) gives nan.
        p: The power, 1 or 2.
        margin: By how much the label should lead, in the units of the scores.

    Returns:
        One loss per example, in the units of the scores to the power p.

    Raises:
        TypeError: If the scores are not floating-point numbers, the labels or p no integers, or the
            margin no number.
        ValueError: If the shapes do not fit, there are no classes, or p is neither 1 nor 2.

    Example:
        >>> z = jnp.array([1.0, 2.0, 3.0])
        >>> print(multi_margin_loss(z, jnp.array(0)).round(4))  # (2 + 3) / 3
        1.6667

    Source:
        The documentation of ``torch.nn.MultiMarginLoss``; Weston and Watkins, Support vector
        machines for multi-class pattern recognition (1999).
    """
    name = "multi_margin_loss"
    z, at_label = _checked(name, scores, labels)
    _checks.size(name, p=p)
    if p > 2:
        _checks.fail(name, f"p is {p}; wanted 1 or 2")
    _checks.number(name, "margin", margin)
    _checks.rank(name, "margin", margin, "", exact=True)

    def loss(z: Array, margin: Array) -> Array:
        ahead, n = _ahead(z, at_label, margin), z.shape[-1]
        return jnp.sum(ahead, -1) / n if p == 1 else jnp.sum(jnp.square(ahead), -1) / n

    return computed_wide(loss, z, jnp.asarray(margin, z.dtype))


@jax.custom_jvp
def _sparse(z: Array, at_label: Array) -> Array:
    q = jnp.where(at_label, 0, sparsemax(z))
    total = jnp.sum(q, -1)
    m = jnp.max(z, -1)
    z_c = jnp.sum(jnp.where(at_label, z, 0), -1)
    behind = positive_part(jnp.where(m == z_c, 0, m - z_c) - jnp.max(sparsemax(z), -1))
    return 0.5 * (total * total + jnp.sum(q * q, -1)) + behind


def _sparse_residual(z: Array, at_label: Array) -> Array:
    """The probabilities p, less 1 at the label."""
    q = jnp.where(at_label, 0, sparsemax(z))
    return jnp.where(at_label, -jnp.sum(q, -1, keepdims=True), q)


@_sparse.defjvp
def _sparse_jvp(primals: tuple, tangents: tuple) -> tuple:
    return _sparse(*primals), jnp.sum(_sparse_residual(*primals) * tangents[0], -1)


def multiclass_sparsemax_loss(
    scores: Float[Array, "*batch classes"], labels: Integer[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Loss whose probabilities are those of ``sparsemax``: 0 where the label leads by 1 or more.

        ℓ(z, c) = ½ Σⱼ pⱼ (zⱼ + τ) + ½ − z_c = ½ Q² + ½ Σ_{k≠c} p_k² + (τ − z_c)₊
        p = sparsemax(z),    Q = Σ_{k≠c} p_k,    τ = max z − max p, the threshold of the support

    No term of the last form is below 0, so that none takes digits from another.

    Gradient:
        ∂ℓ/∂z_k = p_k,    ∂ℓ/∂z_c = −Q

    Args:
        scores: Scores z of the classes; −∞ marks a class that cannot occur.
        labels: The class c of each example; one outside [0, classes) gives nan.

    Returns:
        One loss per example.

    Raises:
        TypeError: If the scores are not floating-point numbers, or the labels no integers.
        ValueError: If the shapes do not fit, or there are no classes.

    Example:
        >>> z = jnp.array([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
        >>> print(multiclass_sparsemax_loss(z, jnp.array([0, 0])).round(4))
        [0.     0.3333]

    Source:
        Martins and Astudillo, From softmax to sparsemax (2016), §3.2.
    """
    z, at_label = _checked("multiclass_sparsemax_loss", scores, labels)
    return computed_wide(lambda z: _sparse(z, at_label), z)


def multilabel_soft_margin_loss(
    logits: Float[Array, "*batch classes"], labels: Real[Array, "*batch classes"]
) -> Float[Array, "*batch"]:
    """Mean over the classes of the cross-entropies, in nats, of each class on its own.

        ℓ(z, t) = −1/n Σₖ (tₖ log σ(zₖ) + (1 − tₖ) log σ(−zₖ))        (n classes)

    Gradient:
        ∂ℓ/∂zₖ = (σ(zₖ) − tₖ) / n

    Args:
        logits: The log-odds z of each class, in nats.
        labels: 1 for each class that occurred and 0 for the others, or their probabilities t.

    Returns:
        One loss per example, in nats.

    Raises:
        TypeError: If the logits are not floating-point numbers, or the labels no real numbers.
        ValueError: If the shapes differ, or there are no classes.

    Example:
        >>> print(multilabel_soft_margin_loss(jnp.zeros(3), jnp.array([1, 0, 1])).round(4))  # log 2
        0.6931

    Source:
        The documentation of ``torch.nn.MultiLabelSoftMarginLoss``; Goodfellow, Bengio and
        Courville, Deep Learning (2016), §6.2.2.2 (sigmoid units for Bernoulli outputs).
    """
    name = "multilabel_soft_margin_loss"
    _checks.floating(name, logits=logits)
    _real(name, labels=labels)
    _checks.same_shape(name, logits=logits, labels=labels)
    _checks.classes(name, logits)
    z = jnp.asarray(logits)
    return computed_wide(
        lambda z, t: jnp.mean(sigmoid_binary_cross_entropy(z, t), -1),
        z,
        jnp.asarray(labels, z.dtype),
    )


def ranking_softmax_loss(
    logits: Float[Array, "*batch items"],
    labels: Real[Array, "*batch items"],
    *,
    where: Bool[Array, "..."] | None = None,
    weights: Real[Array, "..."] | None = None,
) -> Float[Array, "*batch"]:
    """Cross-entropy, in nats, of the softmax over a list under the relevance of its items.

        ℓ(z, t) = −Σᵢ wᵢ tᵢ log pᵢ,    p = softmax(z)

    What ``softmax_cross_entropy`` is for the labels w t, which need not sum to 1.

    Gradient:
        ∂ℓ/∂zⱼ = pⱼ Σ_{i≠j} wᵢ tᵢ − wⱼ tⱼ Σ_{i≠j} pᵢ

    Args:
        logits: Scores z of the items of a list, in nats up to a constant per list; −∞ marks an item
            that cannot be chosen.
        labels: The relevance t of each item, 0 or more, of the same shape.
        where: The items that count, in a shape that broadcasts to that of the logits; whatever
            stands in the others, nan included, does not matter. A list with none has loss 0.
        weights: Weights w of the items, in a shape that broadcasts to that of the logits; 1 if
            None.

    Returns:
        One loss per list, in nats times the units of the relevance.

    Raises:
        TypeError: If the logits are not floating-point numbers, the labels or the weights no real
            numbers, or ``where`` not bool.
        ValueError: If the shapes do not fit, or there are no items.

    Example:
        >>> z, t = jnp.array([2.0, 1.0, 3.0]), jnp.array([1.0, 0.0, 0.0])
        >>> print(f"{ranking_softmax_loss(z, t):.4f}")
        1.4076

    Source:
        Cao, Qin, Liu, Tsai and Li, Learning to rank: from pairwise approach to listwise approach
        (2007), §4; ``optax.losses.ranking_softmax_loss``, which averages over the lists.
    """
    name = "ranking_softmax_loss"
    _checks.floating(name, logits=logits)
    _real(name, labels=labels)
    _checks.same_shape(name, logits=logits, labels=labels)
    _checks.classes(name, logits)
    if where is not None:
        _checks.mask(name, "where", where, logits=logits)
    t = jnp.asarray(labels, jnp.result_type(logits))
    if weights is not None:
        _real(name, weights=weights)
        _checks.broadcasts_to(name, "weights", weights, "logits", logits)
        t = t * jnp.asarray(weights, t.dtype)
    return softmax_cross_entropy(jnp.asarray(logits), t, where=where)
