"""Losses of overlap: how much two regions share, for segmenting images.

Notation: over the pixels i of an example and for each class, p are predicted probabilities and t
targets; I = Σᵢ pᵢ tᵢ is what both have, F⁺ = Σᵢ pᵢ (1 − tᵢ) what is falsely found and
F⁻ = Σᵢ (1 − pᵢ) tᵢ what is missed; s smooths.

Every loss here is a share N/(N + M) of errors, N = α F⁺ + β F⁻, among errors and hits, M = I + s.
As 1 less the share of the hits it would lose the digits of a small error. The probability 1 − p is
the sum of those of the other classes, so that none of these sums cancels, and no derivative does:

    d(N/(N + M)) = (M dN − N dM) / (N + M)²
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from fnmath import _checks
from fnmath.activations import sigmoid
from fnmath.losses.classification import _softmax_and_others
from fnmath.losses.embeddings import _scalar
from fnmath.losses.margins import _real
from fnmath.numerics import with_derivatives
from fnmath.numerics._wide import computed_wide


def _with_others(n: Array, m: Array) -> Array:
    return jnp.where(n + m == 0, 1, n + m)


def _by_errors(n: Array, m: Array) -> Array:
    return (m / _with_others(n, m)) / _with_others(n, m)


def _by_hits(n: Array, m: Array) -> Array:
    return -(n / _with_others(n, m)) / _with_others(n, m)


@with_derivatives(_by_errors, _by_hits)
def _share(n: Array, m: Array) -> Array:
    """The share n / (n + m), and 0 where both are 0: nothing was there, and nothing was found."""
    return n / _with_others(n, m)


def _probabilities(x: Array, *, of_logits: bool) -> tuple[Array, Array]:
    """The probabilities p of the classes on the last axis, one or several, and 1 − p."""
    if not of_logits:
        return x, 1 - x
    return (sigmoid(x), sigmoid(-x)) if x.shape[-1] == 1 else _softmax_and_others(x)


def _overlap(
    function: str,
    predictions: Any,
    targets: Any,
    *,
    smooth: Any,
    alpha: Any,
    beta: Any,
    of_logits: bool,
    axis: Any,
) -> Array:
    """The checked loss of each class, on the last axis."""
    axes = _checks.axes(function, axis, predictions)
    if jnp.ndim(predictions) - 1 in axes:
        _checks.fail(function, f"axis is {axis}; wanted no axis of the classes, the last one")
    for argument, x in {"smooth": smooth, "alpha": alpha, "beta": beta}.items():
        _scalar(function, argument, x, 0, "[")

    def loss(x: Array, t: Array) -> Array:
        p, others = _probabilities(x, of_logits=of_logits)
        found, missed, both = (jnp.sum(a, axes) for a in (p * (1 - t), others * t, p * t))
        s, a, b = (jnp.asarray(option, x.dtype) for option in (smooth, alpha, beta))
        return _share(a * found + b * missed, both + s)

    predictions = jnp.asarray(predictions)
    return computed_wide(loss, predictions, jnp.asarray(targets, predictions.dtype))


def _check_regions(function: str, predictions: Any, targets: Any, axes: str) -> None:
    _checks.floating(function, predictions=predictions)
    _real(function, targets=targets)
    _checks.same_shape(function, predictions=predictions, targets=targets)
    _checks.rank(function, "predictions", predictions, axes)
    if not jnp.shape(predictions)[-1]:
        _checks.fail(function, f"predictions {jnp.shape(predictions)} have no {axes} on axis -1")


def _pixels(predictions: Array) -> tuple[int, ...]:
    """All axes but the first, of the examples, and the last, of the classes."""
    return tuple(range(1, jnp.ndim(predictions) - 1))


REDUCTIONS = {"mean": jnp.mean, "sum": jnp.sum, "none": None}


def dice_loss(
    predictions: Float[Array, "*shape"],
    targets: Real[Array, "*shape"],
    *,
    class_weights: Real[Array, " classes"] | None = None,
    smooth: float | Float[Array, ""] = 1.0,
    alpha: float | Float[Array, ""] = 0.5,
    beta: float | Float[Array, ""] = 0.5,
    apply_softmax: bool = True,
    reduction: str = "mean",
    ignore_background: bool = False,
    axis: int | tuple[int, ...] | None = None,
) -> Float[Array, "..."]:
    """Dice loss of regions: the share of errors among errors and hits, a mean over the classes.

        ℓ = (α F⁺ + β F⁻) / (I + α F⁺ + β F⁻ + s) = 1 − (I + s) / (I + α F⁺ + β F⁻ + s)

    With α = β = ½ and s = 0 it is 1 less Sørensen and Dice's coefficient, 2 I / (Σ p + Σ t).

    Gradient:
        ∂ℓ/∂pᵢ = ((α (1 − tᵢ) − β tᵢ) (I + s) − tᵢ (α F⁺ + β F⁻)) / (I + α F⁺ + β F⁻ + s)²

    Args:
        predictions: Logits of the classes, on the last axis; of one class alone, its log-odds. Or
            probabilities, see ``apply_softmax``.
        targets: 1 where the class is and 0 elsewhere, or probabilities t, of the same shape.
        class_weights: Weights of the classes, by which their losses are multiplied.
        smooth: What is added to the hits, s ≥ 0. With 0 a class that is neither there nor found has
            loss 0 and gradient 0.
        alpha: The weight α ≥ 0 of what is falsely found.
        beta: The weight β ≥ 0 of what is missed.
        apply_softmax: Whether the predictions are logits; False for probabilities p, which are
            taken as they are.
        reduction: What becomes of the classes: "mean", "sum", or "none" to keep their axis.
        ignore_background: Whether the first of several classes is left out.
        axis: The axes of the pixels; None for all but the first, of the examples, and the last.

    Returns:
        One loss per example, without unit; one per example and class for the reduction "none".

    Raises:
        TypeError: If the predictions are not floating-point numbers, the targets or the weights no
            real numbers, or an option is of the wrong type.
        ValueError: If the shapes do not fit, the axis does not exist or is that of the classes,
            there are no classes, the reduction is unknown, or s, α or β is a number below 0.

    Example:
        >>> z = jnp.array([[[9.0], [9.0], [-9.0], [-9.0]]])  # four pixels, the first two found
        >>> t = jnp.array([[[1.0], [0.0], [0.0], [0.0]]])
        >>> print(dice_loss(z, t, smooth=0.0).round(3))  # 1 − 2 · 1 / (2 + 1)
        [0.333]

    Source:
        Milletari, Navab and Ahmadi, V-Net: fully convolutional neural networks for volumetric
        medical image segmentation (2016), §3; ``optax.losses.dice_loss``.
    """
    name = "dice_loss"
    _check_regions(name, predictions, targets, "classes")
    _checks.boolean(name, "apply_softmax", apply_softmax)
    _checks.boolean(name, "ignore_background", ignore_background)
    _checks.option(name, "reduction", reduction, REDUCTIONS)
    loss = _overlap(
        name,
        predictions,
        targets,
        smooth=smooth,
        alpha=alpha,
        beta=beta,
        of_logits=apply_softmax,
        axis=_pixels(predictions) if axis is None else axis,
    )
    if class_weights is not None:
        _real(name, class_weights=class_weights)
        if jnp.shape(class_weights) != loss.shape[-1:]:
            came = f"class_weights {jnp.shape(class_weights)}"
            _checks.fail(name, f"{came} do not fit the classes; wanted {loss.shape[-1:]}")
        loss = loss * jnp.asarray(class_weights, loss.dtype)
    if ignore_background and loss.shape[-1] > 1:
        loss = loss[..., 1:]
    reduce = REDUCTIONS[reduction]
    return loss if reduce is None else reduce(loss, -1)


def tversky_loss(
    predictions: Float[Array, "*shape"],
    targets: Real[Array, "*shape"],
    *,
    alpha: float | Float[Array, ""] = 0.3,
    beta: float | Float[Array, ""] = 0.7,
    smooth: float | Float[Array, ""] = 1.0,
    apply_softmax: bool = True,
    ignore_background: bool = False,
) -> Float[Array, "..."]:
    """Tversky loss of regions: ``dice_loss`` where what is missed weighs more than what is found.

        ℓ = (α F⁺ + β F⁻) / (I + α F⁺ + β F⁻ + s), a mean over the classes

    With α + β = 1 it is an Fᵦ measure of precision and recall; α = β = 1 gives Jaccard's index.

    Gradient:
        ∂ℓ/∂pᵢ = ((α (1 − tᵢ) − β tᵢ) (I + s) − tᵢ (α F⁺ + β F⁻)) / (I + α F⁺ + β F⁻ + s)²

    Args:
        predictions: Logits of the classes, on the last axis; of one class alone, its log-odds. Or
            probabilities, see ``apply_softmax``.
        targets: 1 where the class is and 0 elsewhere, or probabilities t, of the same shape.
        alpha: The weight α ≥ 0 of what is falsely found.
        beta: The weight β ≥ 0 of what is missed.
        smooth: What is added to the hits, s ≥ 0.
        apply_softmax: Whether the predictions are logits; False for probabilities p.
        ignore_background: Whether the first of several classes is left out.

    Returns:
        One loss per example, without unit: the first axis is that of the examples.

    Raises:
        TypeError: If the predictions are not floating-point numbers, the targets no real numbers,
            or an option is of the wrong type.
        ValueError: If the shapes differ, there are no classes, or s, α or β is a number below 0.

    Example:
        >>> p = jnp.array([[[1.0], [1.0], [0.0], [0.0]]])  # four pixels, the first two found
        >>> t = jnp.array([[[1.0], [0.0], [0.0], [0.0]]])
        >>> print(f"{tversky_loss(p, t, smooth=0.0, apply_softmax=False)[0]:.4f}")  # 0.3 / 1.3
        0.2308

    Source:
        Salehi, Erdogmus and Gholipour, Tversky loss function for image segmentation using 3D fully
        convolutional deep networks (2017), §2.
    """
    name = "tversky_loss"
    _check_regions(name, predictions, targets, "classes")
    _checks.boolean(name, "apply_softmax", apply_softmax)
    _checks.boolean(name, "ignore_background", ignore_background)
    loss = _overlap(
        name,
        predictions,
        targets,
        smooth=smooth,
        alpha=alpha,
        beta=beta,
        of_logits=apply_softmax,
        axis=_pixels(predictions),
    )
    return jnp.mean(loss[..., 1:] if ignore_background and loss.shape[-1] > 1 else loss, -1)


def multiclass_generalized_dice_loss(
    predictions: Float[Array, "*shape"],
    targets: Real[Array, "*shape"],
    *,
    smooth: float | Float[Array, ""] = 1.0,
    apply_softmax: bool = True,
    ignore_background: bool = False,
) -> Float[Array, "..."]:
    """Dice loss of classes weighted by how rare they are in the batch.

        ℓ = 1/n Σ_c w_c ℓ_c,    w_c = n v_c / Σ_k v_k,    v_c = 1 / (T_c² + 10⁻⁷)        (n classes)

    with ℓ_c the ``dice_loss`` of the class c and T_c the sum of its targets over the whole batch.
    A class that does not occur in it takes nearly all of the weight.

    Gradient:
        ∂ℓ/∂pᵢ = w_c/n ∂ℓ_c/∂pᵢ

    Args:
        predictions: Logits of the classes, on the last axis. Or probabilities, see
            ``apply_softmax``.
        targets: 1 where the class is and 0 elsewhere, or probabilities t, of the same shape.
        smooth: What is added to the hits, s ≥ 0.
        apply_softmax: Whether the predictions are logits; False for probabilities p.
        ignore_background: Whether the first of several classes is left out of the mean.

    Returns:
        One loss per example, without unit: the first axis is that of the examples. ``.mean()`` is
        what optax gives.

    Raises:
        TypeError: If the predictions are not floating-point numbers, the targets no real numbers,
            or an option is of the wrong type.
        ValueError: If the shapes differ, there are no classes, or s is a number below 0.

    Example:
        >>> z = jnp.array([[[9.0, 0.0], [0.0, 9.0], [0.0, 9.0]]])  # three pixels, two classes
        >>> t = jnp.array([[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
        >>> print(multiclass_generalized_dice_loss(z, t).round(3))  # 0.4 · 1/5 + 1.6 · 1/5, halved
        [0.2]

    Source:
        Sudre, Li, Vercauteren, Ourselin and Cardoso, Generalised Dice overlap as a deep learning
        loss function for highly unbalanced segmentations (2017), §2;
        ``optax.losses.multiclass_generalized_dice_loss``.
    """
    name = "multiclass_generalized_dice_loss"
    _check_regions(name, predictions, targets, "classes")
    _checks.boolean(name, "apply_softmax", apply_softmax)
    _checks.boolean(name, "ignore_background", ignore_background)
    loss = _overlap(
        name,
        predictions,
        targets,
        smooth=smooth,
        alpha=0.5,
        beta=0.5,
        of_logits=apply_softmax,
        axis=_pixels(predictions),
    )
    wide = jnp.promote_types(loss.dtype, jnp.float32)
    frequency = jnp.sum(jnp.asarray(targets, wide), tuple(range(jnp.ndim(targets) - 1)))
    weights = 1 / (frequency * frequency + 1e-7)
    weighted = loss * (weights / jnp.sum(weights) * loss.shape[-1])
    counted = weighted[..., 1:] if ignore_background and loss.shape[-1] > 1 else weighted
    return jnp.mean(counted, -1).astype(loss.dtype)


def binary_dice_loss(
    predictions: Float[Array, "*shape"],
    targets: Real[Array, "*shape"],
    *,
    smooth: float | Float[Array, ""] = 1.0,
    apply_sigmoid: bool = True,
) -> Float[Array, "..."]:
    """Dice loss of one class: the share of errors among errors and hits.

        ℓ = ½ (F⁺ + F⁻) / (I + ½ (F⁺ + F⁻) + s)

    Gradient:
        ∂ℓ/∂pᵢ = ½ ((1 − 2 tᵢ) (I + s) − tᵢ (F⁺ + F⁻)) / (I + ½ (F⁺ + F⁻) + s)²

    Args:
        predictions: The log-odds of each pixel, in nats; or probabilities, see ``apply_sigmoid``.
            A last axis of size 1 is that of the class; any other is one of the pixels.
        targets: 1 where the class is and 0 elsewhere, or probabilities t, of the same shape.
        smooth: What is added to the hits, s ≥ 0. With 0 a class that is neither there nor found has
            loss 0 and gradient 0.
        apply_sigmoid: Whether the predictions are log-odds; False for probabilities p.

    Returns:
        One loss per example, without unit: the first axis is that of the examples.

    Raises:
        TypeError: If the predictions are not floating-point numbers, the targets no real numbers,
            or an option is of the wrong type.
        ValueError: If the shapes differ, there are no pixels, or s is a number below 0.

    Example:
        >>> p, t = jnp.array([[1.0, 1.0, 0.0, 0.0]]), jnp.array([[1.0, 0.0, 0.0, 0.0]])
        >>> print(binary_dice_loss(p, t, smooth=0.0, apply_sigmoid=False).round(4))
        [0.3333]

    Source:
        Milletari, Navab and Ahmadi, V-Net: fully convolutional neural networks for volumetric
        medical image segmentation (2016), §3; ``optax.losses.binary_dice_loss`` (which refuses
        probabilities).
    """
    name = "binary_dice_loss"
    _check_regions(name, predictions, targets, "pixels")
    _checks.boolean(name, "apply_sigmoid", apply_sigmoid)
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    if predictions.shape[-1] != 1:
        predictions, targets = predictions[..., None], targets[..., None]
    loss = _overlap(
        name,
        predictions,
        targets,
        smooth=smooth,
        alpha=0.5,
        beta=0.5,
        of_logits=apply_sigmoid,
        axis=_pixels(predictions),
    )
    return loss[..., 0]
