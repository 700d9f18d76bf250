"""Losses of Fenchel and Young: the gap between a convex function of the scores and a linear one.

Notation: θ are scores, t the target, a point of the set that the prediction ranges over; Ω* is a
convex function, the maximum of ⟨θ, p⟩ − Ω(p) over that set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.numerics._series import two_sum
from fnmath.numerics._wide import computed_wide

Loss = Callable[..., Array]


def _product(t: jax.Array, scores: jax.Array) -> jax.Array:
    """⟨t, θ⟩, to which a score of ±∞ adds nothing where t = 0."""
    nothing = (t == 0) & jnp.isinf(scores)
    return jnp.sum(t * jnp.where(nothing, 0, scores), -1, keepdims=True)


def _shifted(scores: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
    """θ − ⟨θ, t⟩ and what rounding took of it. The second shift takes what the first one left."""
    once, e = two_sum(scores, -_product(t, scores))
    twice, more = two_sum(once, -_product(t, once))
    return twice, e + more


@jax.custom_jvp
def _moved(scores: jax.Array, t: jax.Array) -> jax.Array:
    """The scores θ themselves, which move as θ − ⟨θ, t⟩ does.

    For Σ t = 1 that is a projection. In reverse mode it takes Σ p times t from p, and repeating it
    mends what the first difference rounds: of p = 1 − 10⁻⁹ it leaves 0, and −10⁻⁹ then.
    """
    return scores


@_moved.defjvp
def _moved_jvp(primals: tuple, tangents: tuple) -> tuple:
    (scores, t), (scores_dot, t_dot) = primals, tangents
    possible = jnp.where((t == 0) & jnp.isinf(scores), 0, scores)
    by_target = jnp.sum(possible * t_dot, -1, keepdims=True)
    for _ in range(2):
        scores_dot = scores_dot - jnp.sum(t * scores_dot, -1, keepdims=True)
    return _moved(scores, t), scores_dot - by_target


@jax.custom_jvp
def _moving_as(x: jax.Array, y: jax.Array) -> jax.Array:
    """The value of x, with every derivative of y."""
    return x


@_moving_as.defjvp
def _moving_as_jvp(primals: tuple, tangents: tuple) -> tuple:
    return _moving_as(*primals), tangents[1]


def _gap_over_simplex(
    of_rows: Callable[[jax.Array], jax.Array], scores: jax.Array, t: jax.Array
) -> jax.Array:
    """Ω*(θ − ⟨θ, t⟩), with the gradient of Ω* taken at θ, where nothing is rounded."""
    shifted, e = _shifted(scores, t)
    value, correction = jax.jvp(of_rows, (shifted,), (e,))
    return _moving_as(jax.lax.stop_gradient(value + correction), of_rows(_moved(scores, t)))


def make_fenchel_young_loss(max_fun: Callable[..., Array], *, over_simplex: bool = False) -> Loss:
    """Loss that a convex function of scores gives: by how much it exceeds the score of the target.

        L(θ, t) = Ω*(θ) − ⟨θ, t⟩        (+ Ω(t), which no gradient by θ sees)

    It is least where ∇Ω*(θ) = t. With Ω* = ``logsumexp`` it is the cross-entropy of the softmax.

    Where Ω* is a maximum over probabilities, a shift of all scores shifts it by as much, and with
    Σ t = 1 the loss is Ω*(θ − ⟨θ, t⟩): nothing of the size of the scores is left to cancel. Whether
    it is, this function cannot see; ``over_simplex`` says so.

    Gradient:
        ∂L/∂θ = ∇Ω*(θ) − t,    ∂L/∂t = −θ

    Args:
        max_fun: The function Ω* of a vector of scores, such as ``fnmath.numerics.logsumexp``.
        over_simplex: Whether Ω*(θ + c) = Ω*(θ) + c, and targets sum to 1.

    Returns:
        The loss, a function of scores and targets ``*batch n``, and of what else Ω* takes.

    Raises:
        TypeError: If ``max_fun`` is not a function, or ``over_simplex`` not True or False. The loss
            raises it where scores or targets are not floating-point arrays.
        ValueError: The loss raises it where the shapes of scores and targets differ, or have no
            axis.

    Example:
        >>> from fnmath.numerics import logsumexp
        >>> loss = make_fenchel_young_loss(logsumexp, over_simplex=True)
        >>> print(f"{loss(jnp.array([20.0, 0.0]), jnp.array([1.0, 0.0])):.3e}")  # log(1 + e⁻²⁰)
        2.061e-09

    Source:
        Blondel, Martins and Niculae, Learning with Fenchel-Young losses (2020), §3.
    """
    name = "make_fenchel_young_loss"
    _checks.function(name, "max_fun", max_fun)
    _checks.boolean(name, "over_simplex", over_simplex)

    def fenchel_young_loss(
        scores: Float[Array, "*batch n"], targets: Float[Array, "*batch n"], *args: Any, **kw: Any
    ) -> Float[Array, "*batch"]:
        _checks.floating(name, scores=scores, targets=targets)
        _checks.same_shape(name, scores=scores, targets=targets)
        _checks.rank(name, "scores", scores, "n")
        of_rows = jnp.vectorize(lambda row: max_fun(row, *args, **kw), signature="(n)->()")

        def gap(scores: jax.Array, t: jax.Array) -> jax.Array:
            if over_simplex:
                return _gap_over_simplex(of_rows, scores, t)
            return of_rows(scores) - _product(t, scores)[..., 0]

        return computed_wide(gap, scores, targets)

    return fenchel_young_loss
