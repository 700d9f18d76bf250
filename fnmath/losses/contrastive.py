"""Losses of contrast: embeddings of one thing together, those of others apart, over a whole batch.

Notation: n embeddings x of d features; u = x/‖x‖; sᵢⱼ = cos(xᵢ, xⱼ)/T are similarities at the
temperature T; C is a d × d matrix of correlations or covariances over the batch, x̄ the mean over
it.

Every example meets every other one in n² d operations, done as one product of matrices of unit
vectors. Such a similarity is right to about ε/T, so that a loss of the order of 1 is right to a few
units in the last place times 1/T, and its gradient to as much of its largest entry.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from fnmath import _checks
from fnmath.activations import softplus
from fnmath.losses._compensated import positive_part
from fnmath.losses.classification import softmax_cross_entropy_with_integer_labels
from fnmath.losses.embeddings import _distance, _of_angle, _scalar
from fnmath.numerics import logsumexp, safe_norm
from fnmath.numerics._wide import computed_wide
from fnmath.numerics.reductions import _direction


def _unit(x: Array, axis: int, floor: float = 0.0) -> Array:
    """The vectors x / max(‖x‖, floor), and 0 where x = 0."""
    direction = _direction(x, (axis % x.ndim,))
    if not floor:
        return direction
    return jnp.where(safe_norm(x, axis=axis, keepdims=True) > floor, direction, x / floor)


def _products(a: Array, b: Array) -> Array:
    """The products a bᵀ of matrices, in full precision on every device."""
    return jnp.matmul(a, jnp.swapaxes(b, -1, -2), precision=jax.lax.Precision.HIGHEST)


def _off_diagonal(c: Array) -> Array:
    """The sum of the squares of all entries but those on the diagonal."""
    diagonal = jnp.eye(c.shape[-1], dtype=bool)
    return jnp.sum(jnp.square(jnp.where(diagonal, 0, c)), (-2, -1))


def ntxent(
    embeddings: Float[Array, "*batch examples features"],
    labels: Integer[Array, "*batch examples"],
    temperature: float | Float[Array, ""] = 0.07,
) -> Float[Array, "*batch examples"]:
    """Normalised, temperature-scaled cross-entropy, in nats, of each example with its like.

        ℓᵢ = 1/|Pᵢ| Σ_{j∈Pᵢ} −log(exp sᵢⱼ / (exp sᵢⱼ + Σ_{k∈Nᵢ} exp sᵢₖ))
           = 1/|Pᵢ| Σ_{j∈Pᵢ} log(1 + exp(Lᵢ − sᵢⱼ)),    Lᵢ = log Σ_{k∈Nᵢ} exp sᵢₖ
        Pᵢ the others with the label of i, Nᵢ those with another label

    An example with no like has the loss 0, and so has one with no unlike. The mean over the batch
    is what optax gives where all examples have equally many likes; its own mean is over all pairs.

    Gradient:
        ∂ℓᵢ/∂sᵢⱼ = −σ(Lᵢ − sᵢⱼ)/|Pᵢ| = −wᵢⱼ,    ∂ℓᵢ/∂sᵢₖ = exp(sᵢₖ − Lᵢ) Σ_{j∈Pᵢ} wᵢⱼ
        ∂sᵢⱼ/∂xᵢ = (uⱼ − (uᵢ·uⱼ) uᵢ) / (T ‖xᵢ‖)

    Args:
        embeddings: The embeddings x of a batch, which is the second axis from the end.
        labels: Which embeddings are alike: those with equal labels.
        temperature: The temperature T > 0.

    Returns:
        One loss per example, in nats. Lengths below √ε, with ε the spacing of the dtype of the
        embeddings above 1, count as √ε.

    Raises:
        TypeError: If the embeddings are not floating-point numbers, the labels no integers or the
            temperature no number.
        ValueError: If the shapes do not fit, or the temperature is a number not above 0.

    Example:
        >>> x = jnp.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
        >>> print(ntxent(x, jnp.array([0, 0, 1, 1]), 1.0).round(4))  # log(1 + 2/e)
        [0.5514 0.5514 0.5514 0.5514]

    Source:
        Chen, Kornblith, Norouzi and Hinton, A simple framework for contrastive learning of visual
        representations (2020), §2.1, equation (1); ``optax.losses.ntxent``.
    """
    name = "ntxent"
    _checks.floating(name, embeddings=embeddings)
    _checks.rank(name, "embeddings", embeddings, "examples features")
    _checks.integer(name, labels=labels)
    if jnp.shape(labels) != jnp.shape(embeddings)[:-1]:
        problem = f"labels {jnp.shape(labels)} do not fit embeddings {jnp.shape(embeddings)}"
        _checks.fail(name, f"{problem}; wanted {jnp.shape(embeddings)[:-1]}")
    _scalar(name, "temperature", temperature, 0)
    x, y = jnp.asarray(embeddings), jnp.asarray(labels)
    floor = float(jnp.finfo(x.dtype).eps) ** 0.5
    alike = y[..., :, None] == y[..., None, :]
    likes = alike & ~jnp.eye(y.shape[-1], dtype=bool)
    count = jnp.maximum(jnp.sum(likes, -1), 1)

    def loss(x: Array) -> Array:
        u = _unit(x, -1, floor)
        s = _products(u, u) / jnp.asarray(temperature, x.dtype)
        others = logsumexp(s, -1, keepdims=True, where=~alike)
        return jnp.sum(jnp.where(likes, softplus(others - s), 0), -1) / count.astype(x.dtype)

    return computed_wide(loss, x)


def info_nce(
    queries: Float[Array, "*batch examples features"],
    candidates: Float[Array, "*batch candidates features"],
    *,
    temperature: float | Float[Array, ""] = 0.07,
) -> Float[Array, "*batch examples"]:
    """Cross-entropy, in nats, of finding each query's own candidate among all of them.

        ℓᵢ = −log(exp sᵢᵢ / Σⱼ exp sᵢⱼ),    sᵢⱼ = cos(qᵢ, kⱼ)/T

    With n candidates, log n − E[ℓ] is a lower bound on the mutual information of query and
    candidate, whatever gave the embeddings.

    Gradient:
        ∂ℓᵢ/∂sᵢⱼ = pᵢⱼ for j ≠ i,    ∂ℓᵢ/∂sᵢᵢ = −Σ_{j≠i} pᵢⱼ,    pᵢ = softmax(sᵢ)
        ∂sᵢⱼ/∂qᵢ = (vⱼ − (uᵢ·vⱼ) uᵢ) / (T ‖qᵢ‖),    u = q/‖q‖, v = k/‖k‖

    Args:
        queries: The embeddings q of one view of each example.
        candidates: The embeddings k of the other view, in the same order; further rows beyond
            those of the queries belong to no query.
        temperature: The temperature T > 0.

    Returns:
        One loss per query, in nats. A vector 0 has the similarity 0 with all, and the gradient 0.

    Raises:
        TypeError: If the embeddings are not floating-point numbers, or the temperature no number.
        ValueError: If the shapes do not fit, there are fewer candidates than queries, or the
            temperature is a number not above 0.

    Example:
        >>> q, k = jnp.array([[1.0, 0.0], [0.0, 2.0]]), jnp.array([[3.0, 0.0], [0.0, 1.0]])
        >>> print(f"{info_nce(q, k, temperature=1.0)[0]:.4f}")  # log(1 + 1/e)
        0.3133

    Source:
        van den Oord, Li and Vinyals, Representation learning with contrastive predictive coding
        (2018), §2.3, equation (4); Radford et al., Learning transferable visual models from natural
        language supervision (2021), §2.3 (with cosines, over a batch).
    """
    name = "info_nce"
    _checks.floating(name, queries=queries, candidates=candidates)
    _checks.rank(name, "queries", queries, "examples features")
    _checks.rank(name, "candidates", candidates, "candidates features")
    (*batch, n, d), (*others, m, e) = jnp.shape(queries), jnp.shape(candidates)
    if (batch, d) != (others, e) or m < n or not m:
        problem = f"candidates {jnp.shape(candidates)} do not fit queries {jnp.shape(queries)}"
        _checks.fail(name, f"{problem}; wanted {(*batch, n, d)}, or more rows")
    _scalar(name, "temperature", temperature, 0)

    def loss(q: Array, k: Array) -> Array:
        s = _products(_unit(q, -1), _unit(k, -1)) / jnp.asarray(temperature, q.dtype)
        labels = jnp.broadcast_to(jnp.arange(n), s.shape[:-1])
        return softmax_cross_entropy_with_integer_labels(s, labels)

    return computed_wide(loss, jnp.asarray(queries), jnp.asarray(candidates))


def _views(name: str, first: Any, second: Any, **weights: Any) -> tuple[Array, Array]:
    """Two checked views of a batch of at least two examples."""
    _checks.floating(name, first=first, second=second)
    _checks.same_shape(name, first=first, second=second)
    _checks.rank(name, "first", first, "examples features")
    if jnp.shape(first)[-2] < 2:
        _checks.fail(name, f"first has shape {jnp.shape(first)}; wanted at least 2 examples")
    for argument, weight in weights.items():
        _scalar(name, argument, weight, 0, "[")
    return jnp.asarray(first), jnp.asarray(second)


def _centred(x: Array) -> Array:
    """The examples less their mean; exactly 0 for a feature that is the same in all of them."""
    same = jnp.max(x, -2, keepdims=True) == jnp.min(x, -2, keepdims=True)
    return jnp.where(same, 0, x - jnp.mean(x, -2, keepdims=True))


def barlow_twins_loss(
    first: Float[Array, "*batch examples features"],
    second: Float[Array, "*batch examples features"],
    *,
    redundancy_weight: float | Float[Array, ""] = 5e-3,
) -> Float[Array, "*batch"]:
    """Distance of the correlations of two views from the identity, feature by feature.

        ℓ = Σᵢ (1 − Cᵢᵢ)² + λ Σᵢ Σ_{j≠i} Cᵢⱼ²
        Cᵢⱼ = aᵢ·bⱼ / (‖aᵢ‖ ‖bⱼ‖),    aᵢ and bⱼ features of the two views less their means

    each feature a vector over the batch. A feature that does not vary correlates with none, C = 0.
    On the diagonal 1 − C is formed as ``cosine_distance`` is.

    Gradient:
        ∂ℓ/∂Cᵢᵢ = −2 (1 − Cᵢᵢ),    ∂ℓ/∂Cᵢⱼ = 2 λ Cᵢⱼ
        ∂Cᵢⱼ/∂aᵢ = (vⱼ − Cᵢⱼ uᵢ) / ‖aᵢ‖,    u = a/‖a‖, v = b/‖b‖

    Args:
        first: The embeddings of one view of a batch, which is the second axis from the end.
        second: The embeddings of the other view, in the same order.
        redundancy_weight: The weight λ ≥ 0 of what different features share.

    Returns:
        One loss per batch: it is a statement about all examples together.

    Raises:
        TypeError: If the embeddings are not floating-point numbers, or λ is no number.
        ValueError: If the shapes differ, there are fewer than two examples, or λ is below 0.

    Example:
        >>> a = jnp.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
        >>> print(barlow_twins_loss(a, 3 * a), barlow_twins_loss(a, -a))
        0.0 8.0

    Source:
        Zbontar, Jing, Misra, LeCun and Deny, Barlow Twins: self-supervised learning via redundancy
        reduction (2021), §2.1, equations (1) and (2).
    """
    name = "barlow_twins_loss"
    first, second = _views(name, first, second, redundancy_weight=redundancy_weight)

    def loss(a: Array, b: Array) -> Array:
        a, b = _centred(a), _centred(b)
        apart = _of_angle(_distance, a, b, 0.0, (a.ndim - 2,))
        c = _products(jnp.swapaxes(_unit(a, -2), -1, -2), jnp.swapaxes(_unit(b, -2), -1, -2))
        weight = jnp.asarray(redundancy_weight, a.dtype)
        return jnp.sum(jnp.square(apart), -1) + weight * _off_diagonal(c)

    return computed_wide(loss, first, second)


def _spread(x: Array, deviation: Array, epsilon: Array) -> tuple[Array, Array]:
    """Sums over the features: of what their deviations lack, and of their squared covariances."""
    centred = jnp.swapaxes(_centred(x), -1, -2)
    freedom = x.shape[-2] - 1
    variance = jnp.sum(jnp.square(centred), -1) / freedom + epsilon
    varies = variance > 0
    root = jnp.where(varies, jnp.sqrt(jnp.where(varies, variance, 1)), 0)
    lacking = positive_part(deviation - root)
    return jnp.sum(lacking, -1), _off_diagonal(_products(centred, centred) / freedom)


def vicreg_loss(
    first: Float[Array, "*batch examples features"],
    second: Float[Array, "*batch examples features"],
    *,
    invariance_weight: float | Float[Array, ""] = 25.0,
    variance_weight: float | Float[Array, ""] = 25.0,
    covariance_weight: float | Float[Array, ""] = 1.0,
    deviation: float | Float[Array, ""] = 1.0,
    epsilon: float | Float[Array, ""] = 1e-4,
) -> Float[Array, "*batch"]:
    """Loss of two views that should agree, vary in each feature, and not repeat themselves.

        ℓ = λ/n Σᵢ ‖xᵢ − x′ᵢ‖² + μ (v(x) + v(x′)) + ν (c(x) + c(x′))
        v(x) = 1/d Σⱼ (γ − √(Cⱼⱼ + ε))₊,    c(x) = 1/d Σⱼ Σ_{k≠j} Cⱼₖ²
        C = 1/(n−1) Σᵢ (xᵢ − x̄)(xᵢ − x̄)ᵀ

    Gradient:
        ∂ℓ/∂xᵢⱼ = 2λ/n (xᵢⱼ − x′ᵢⱼ) − μ/(d (n−1)) (xᵢⱼ − x̄ⱼ)/√(Cⱼⱼ + ε) where √(Cⱼⱼ + ε) < γ
                  + 4ν/(d (n−1)) Σ_{k≠j} Cⱼₖ (xᵢₖ − x̄ₖ)

    Args:
        first: The embeddings x of one view of a batch, which is the second axis from the end.
        second: The embeddings x′ of the other view, in the same order.
        invariance_weight: The weight λ ≥ 0 of their disagreement.
        variance_weight: The weight μ ≥ 0 of what the deviations lack.
        covariance_weight: The weight ν ≥ 0 of what different features share.
        deviation: The standard deviation γ that each feature should have, in the units of x.
        epsilon: What is added to each variance, ε ≥ 0, so that its root is smooth; with 0 a feature
            that does not vary has no gradient from v.

    Returns:
        One loss per batch: it is a statement about all examples together.

    Raises:
        TypeError: If the embeddings are not floating-point numbers, or an option is no number.
        ValueError: If the shapes differ, there are fewer than two examples, or an option is below
            0.

    Example:
        >>> a = jnp.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
        >>> print(vicreg_loss(a, a), vicreg_loss(a, a + 1).round(4))
        0.0 50.0

    Source:
        Bardes, Ponce and LeCun, VICReg: variance-invariance-covariance regularization for
        self-supervised learning (2022), §4.1.
    """
    name = "vicreg_loss"
    options = {
        "invariance_weight": invariance_weight,
        "variance_weight": variance_weight,
        "covariance_weight": covariance_weight,
        "deviation": deviation,
        "epsilon": epsilon,
    }
    first, second = _views(name, first, second, **options)

    def loss(x: Array, y: Array) -> Array:
        scalars = (jnp.asarray(option, x.dtype) for option in options.values())
        by_agreement, by_variance, by_covariance, gamma, eps = scalars
        (lacking, shared), (lacking_y, shared_y) = (_spread(v, gamma, eps) for v in (x, y))
        spread = by_variance * (lacking + lacking_y) + by_covariance * (shared + shared_y)
        apart = jnp.sum(jnp.square(x - y), (-2, -1))
        return by_agreement * (apart / x.shape[-2]) + spread / x.shape[-1]

    return computed_wide(loss, first, second)
