"""Losses of sequences whose labels are not aligned with their frames.

Notation: z are the logits of the classes at each frame τ = 1 … T of a sequence, p = softmax(z);
y = y₁ … y_N are its labels and ∅ is the blank. The states are ∅ y₁ ∅ y₂ … y_N ∅, 2N + 1 of them,
with e the class that each emits; α(τ, n) is the probability of all paths that are in the state n at
the frame τ, the emissions so far included.

How the sum over paths is kept right
------------------------------------
Probabilities of paths leave the range of any dtype, so their logarithms are summed. But a logarithm
of −60 is rounded to 2·10⁻⁶, which its exponential then has as its relative error. So each logarithm
is carried as a sum of two numbers, a head and a tail, and each emission as an exact difference
z − max z. The normalisers log Σₖ exp(zₖ − max z), which all paths share, are added at the very end.
Each step then costs about one rounding of α, and not of log α.

How the loss of a sure example is kept right
--------------------------------------------
Where nearly all paths give the labels, that loss is a difference of large sums. But a path takes
one way through the states, or leaves them: its next class decides which. So the probability ε of
all paths that do not give the labels is a sum of positive terms,

    ε = Σ_τ Σ_n α(τ−1, n) Σ_{k leaves n} p(τ, k) + Σ_{n not final} α(T, n)

and the loss is −log(1 − ε), taken so where ε < ½. There α can be summed as it is, and not by its
logarithm: all of α together is 1 less what has left, which is half at least.

The derivative of a sum of exponentials is the share of each in it. Autodiff of the recursion
multiplies these shares along the paths, nothing is subtracted, and that of the largest logit of a
frame is formed as minus the sum of the others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Shaped

from fnmath import _checks
from fnmath.losses._compensated import sum_of_three
from fnmath.numerics._pairs import two_sum

Log = tuple[Array, Array]


def _sum(x: Array, y: Array) -> Log:
    """The sum x + y and what rounding took; nothing where the sum is infinite."""
    head, tail = two_sum(x, y)
    return head, jnp.where(jnp.isfinite(head), tail, 0)


@jax.custom_jvp
def _difference(x: Array, y: Array) -> Log:
    """The difference x − y and what rounding took; 0 where they are equal."""
    head, tail = _sum(x, -y)
    return jnp.where(x == y, 0, head), tail


@_difference.defjvp
def _difference_jvp(primals: tuple, tangents: tuple) -> tuple:
    head, tail = _difference(*primals)
    return (head, tail), (tangents[0] - tangents[1], jnp.zeros_like(tail))


def _odds(head: Array, tail: Array) -> tuple[Array, Array, Array]:
    """Of logarithms along the first axis: the leader's, and the odds of the others against it."""
    best = jnp.argmax(head, 0)
    leads = jax.lax.broadcasted_iota(best.dtype, head.shape, 0) == best
    m = jnp.max(head, 0)
    behind, rounding = _sum(head, -jnp.where(m == -jnp.inf, 0, m))
    m_tail = jnp.sum(jnp.where(leads, tail, 0), 0)
    odds = jnp.exp(behind)
    odds = jnp.where(leads, 0, odds + odds * (rounding + (tail - m_tail)))
    return m, m_tail, odds


@jax.custom_jvp
def _shares(head: Array, tail: Array) -> Array:
    """The share of each exponential in their sum along the first axis; all 0 if the sum is."""
    m, _, odds = _odds(head, tail)
    best = jax.lax.broadcasted_iota(jnp.int32, head.shape, 0) == jnp.argmax(head, 0)
    return jnp.where(m == -jnp.inf, 0, jnp.where(best, 1, odds) / (1 + jnp.sum(odds, 0)))


@_shares.defjvp
def _shares_jvp(primals: tuple, tangents: tuple) -> tuple:
    p, tangent = _shares(*primals), tangents[0] + tangents[1]
    return p, p * (tangent - jnp.sum(p * tangent, 0))


@jax.custom_jvp
def _emitted(head: Array, tail: Array, emission: Array, rounding: Array) -> Log:
    """Logarithm of Σ exp(head + tail) along the first axis, plus emission + rounding."""
    m, m_tail, odds = _odds(head, tail)
    s, taken = _sum(m, emission)
    return _sum(s, (m_tail + jnp.log1p(jnp.sum(odds, 0))) + (rounding + taken))


@_emitted.defjvp
def _emitted_jvp(primals: tuple, tangents: tuple) -> tuple:
    head_dot, tail_dot, emission_dot, rounding_dot = tangents
    value = _emitted(*primals)
    paths = jnp.sum(_shares(*primals[:2]) * (head_dot + tail_dot), 0)
    return value, (paths + (emission_dot + rounding_dot), jnp.zeros_like(value[1]))


def _behind_leader(z: Array) -> tuple[Array, Array, Array]:
    """The differences of the logits to the largest of their frame, and Σ exp of these, less 1.

    The largest itself is 0, a constant: its derivative comes of the others.
    """
    leader = jnp.argmax(z, -1, keepdims=True)
    m = jnp.take_along_axis(z, leader, -1)
    leads = jnp.arange(z.shape[-1]) == leader
    d, e = _difference(z, jnp.where(m == -jnp.inf, 0, m))
    d = jnp.where(leads & (m > -jnp.inf), 0, d)
    odds = jnp.where(leads, 0, jnp.exp(d))
    return d, e, jnp.sum(odds + odds * e, -1)


def _before(x: Array, steps: int, nothing: float) -> Array:
    """The states so many steps before each, and nothing before the first."""
    padding = [(0, 0)] * (x.ndim - 1) + [(steps, 0)]
    return jnp.pad(x, padding, constant_values=nothing)[..., : x.shape[-1]]


def _after(x: Array, steps: int) -> Array:
    """The states so many steps after each, and 0 after the last."""
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, steps)])[..., steps:]


class _Frames(NamedTuple):
    """What each frame emits: d + e, the logits less that of the leader; Σ exp of these, less 1.

    At each of the states, too; and which frames are absent, and which of the states.
    """

    d: Array
    e: Array
    odds: Array
    d_at: Array
    e_at: Array
    absent: Array
    states: Array
    inside: Array


def _frames(z: Array, absent: Array, states: Array, count: Array) -> _Frames:
    d, e, odds = _behind_leader(jnp.where(absent[..., None], 0, z))
    at = jnp.broadcast_to(states[..., None, :], (*z.shape[:-1], states.shape[-1]))
    d_at, e_at = (jnp.take_along_axis(x, at, -1) for x in (d, e))
    inside = jnp.arange(states.shape[-1]) <= 2 * count[..., None]
    return _Frames(d, e, odds, d_at, e_at, absent, states, inside)


def _skips(states: Array) -> Array:
    """Which states may follow the one two before: labels, unless the two are the same."""
    return (jnp.arange(states.shape[-1]) % 2 == 1) & (states != _before(states, 2, -1))


def _over_time(*frames: Array) -> tuple[Array, ...]:
    return tuple(jnp.moveaxis(x, -2, 0) for x in frames)


def _leaving(f: _Frames, p: Array, emitted: Array) -> Array:
    """The probability, at each frame, of the classes that lead from a state to none of the states.

    At most three classes lead on. Of the three likeliest those that do not are added up; of all
    others, summed, those that do are subtracted. For each of these there is one of the former that
    is at least as likely, so that the difference does not cancel.
    """
    _, top = jax.lax.top_k(jax.lax.stop_gradient(p), min(3, p.shape[-1]))
    is_top = f.states[..., None, None, :] == top[..., None]
    skips = f.inside & _skips(f.states)

    def of_successors(x: Array) -> Array:
        one, two = (jnp.expand_dims(m, range(m.ndim - 1, x.ndim - 1)) for m in (f.inside, skips))
        return x + _after(jnp.where(one, x, 0), 1) + _after(jnp.where(two, x, 0), 2)

    unlikely = of_successors(jnp.where(jnp.any(is_top, -2), 0, emitted))
    others = jnp.all(jnp.arange(p.shape[-1]) != top[..., None], -2)
    others = jnp.sum(jnp.where(others, p, 0), -1)
    likely = jnp.take_along_axis(p, top, -1)
    lead_off = 1 - of_successors(is_top.astype(p.dtype))
    leaving = jnp.sum(likely[..., None] * lead_off, -2) + (others[..., None] - unlikely)
    return jnp.where(likely[..., :1] == 0, 1, leaving)  # all of them, where no class is possible


def _missed(f: _Frames, final: Array) -> Array:
    """The probability ε of the paths that do not give the labels; right where it is below ½."""
    share = 1 / (1 + f.odds)[..., None]
    emitted, p = ((jnp.exp(d) + jnp.exp(d) * e) * share for d, e in ((f.d_at, f.e_at), (f.d, f.e)))
    skips, tiny = _skips(f.states), float(jnp.finfo(p.dtype).tiny)

    def step(carry: tuple[Array, Array], frame: tuple[Array, ...]) -> tuple:
        (alpha, left), (emitted, leaving, held) = carry, frame
        after = alpha + _before(alpha, 1, 0) + jnp.where(skips, _before(alpha, 2, 0), 0)
        after, gone = jnp.where(f.inside, after * emitted, 0), left + jnp.sum(alpha * leaving, -1)
        # What is left is known to be 1 − gone: so no rounding of the products adds up.
        drift = (1 - gone) / jnp.maximum(jnp.sum(after, -1), tiny)
        after = after * jax.lax.stop_gradient(jnp.clip(drift, 0.5, 2))[..., None]
        return (jnp.where(held, alpha, after), jnp.where(held[..., 0], left, gone)), None

    alpha = jnp.zeros(f.states.shape, p.dtype).at[..., 0].set(1)
    start = alpha, jnp.zeros(f.states.shape[:-1], p.dtype)
    frames = _over_time(emitted, _leaving(f, p, emitted), f.absent[..., None])
    (alpha, left), _ = jax.lax.scan(step, start, frames)
    return left + jnp.sum(jnp.where(final, 0, alpha), -1)


def _forward(f: _Frames) -> tuple[Log, Log, Array]:
    """The last log α and that of every frame, less the normalisers, and these, summed over time."""
    normaliser = jnp.cumsum(jnp.where(f.absent, 0, jnp.log1p(f.odds)), -1)
    skips = _skips(f.states)

    def step(alpha: Log, frame: tuple[Array, ...]) -> tuple[Log, Log]:
        (head, tail), (emission, rounding, held) = alpha, frame
        two_before = jnp.where(skips, _before(head, 2, -jnp.inf), -jnp.inf)
        heads = jnp.stack([head, _before(head, 1, -jnp.inf), two_before])
        tails = jnp.stack([tail, _before(tail, 1, 0), _before(tail, 2, 0)])
        after = _emitted(heads, tails, emission, rounding)
        kept = tuple(jnp.where(held, a, b) for a, b in zip(alpha, after, strict=True))
        return (kept[0], kept[1]), (kept[0], kept[1])

    nothing = jnp.full(f.states.shape, -jnp.inf, f.d.dtype)
    start = nothing.at[..., 0].set(0), jnp.zeros_like(nothing)
    last, every = jax.lax.scan(step, start, _over_time(f.d_at, f.e_at, f.absent[..., None]))
    return last, every, normaliser


def _states(labels: Array, absent: Array, blank: int) -> Array:
    """The classes that the states emit; blanks in place of labels that are absent."""
    labels = jnp.where(absent, blank, labels)
    pairs = jnp.stack([jnp.full_like(labels, blank), labels], -1)
    pairs = pairs.reshape(*labels.shape[:-1], 2 * labels.shape[-1])
    return jnp.concatenate([pairs, jnp.full_like(pairs, blank, shape=(*pairs.shape[:-1], 1))], -1)


def _total(last: Log, normaliser: Array, count: Array) -> Array:
    """The loss as minus the logarithm of what the two final states hold."""
    ends = jnp.stack([2 * count, jnp.maximum(2 * count - 1, 0)])[..., None]
    head, tail = (jnp.take_along_axis(x[None], ends, -1)[..., 0] for x in last)
    head = head.at[1].set(jnp.where(count == 0, -jnp.inf, head[1]))
    none = jnp.zeros_like(head[0])
    head, tail = _emitted(head, tail, none, none)
    possible = head != -jnp.inf
    loss = sum_of_three(normaliser, -jnp.where(possible, head, 0), -tail)
    return jnp.where(possible, loss, jnp.inf)


def _surprise(f: _Frames, loss: Array, count: Array) -> Array:
    """The loss, by the paths that do not give the labels where these are the fewer."""
    behind_end = 2 * count[..., None] - jnp.arange(f.states.shape[-1])
    missed = _missed(f, (behind_end == 0) | (behind_end == 1))
    few = missed < 0.5
    return jnp.where(few, -jnp.log1p(-jnp.where(few, missed, 0)), loss)


def _absent(function: str, argument: str, paddings: Any, shape: tuple[int, ...]) -> Array:
    """Where the paddings are not 0, which must be of the shape."""
    _checks.array(function, argument, paddings)
    if jnp.issubdtype(jnp.result_type(paddings), jnp.complexfloating):
        problem = f"{argument} has dtype {jnp.result_type(paddings)}; wanted 0 and 1"
        _checks.fail(function, problem, error=TypeError)
    if jnp.shape(paddings) != shape:
        _checks.fail(function, f"{argument} has shape {jnp.shape(paddings)}; wanted {shape}")
    return jnp.asarray(paddings) != 0


def _forward_of(
    function: str, logits: Any, logit_paddings: Any, labels: Any, label_paddings: Any, blank: Any
) -> tuple[Array, Log, Array, Array]:
    """The losses, nan for wrong labels, log α of all frames, the normalisers, and label counts."""
    _checks.floating(function, logits=logits)
    _checks.rank(function, "logits", logits, "time classes")
    _checks.classes(function, logits)
    absent_frames = _absent(function, "logit_paddings", logit_paddings, jnp.shape(logits)[:-1])
    _checks.integer(function, labels=labels)
    _checks.rank(function, "labels", labels, "labels")
    if jnp.shape(labels)[:-1] != jnp.shape(logits)[:-2]:
        problem = f"labels {jnp.shape(labels)} and logits {jnp.shape(logits)}"
        _checks.fail(function, f"{problem} must have the same axes before the last one and two")
    absent = _absent(function, "label_paddings", label_paddings, jnp.shape(labels))
    _checks.size(function, minimum=0, blank_id=blank)
    classes = jnp.shape(logits)[-1]
    if blank >= classes:
        _checks.fail(function, f"blank_id is {blank}; wanted one of the {classes} classes")
    dtype = jnp.result_type(logits)
    z = jnp.asarray(logits, jnp.promote_types(dtype, jnp.float32))
    y = jnp.asarray(labels)
    known = _checks.labels_known(function, y, classes, where=~absent) & (y != blank)
    right = jnp.all(known | absent, -1) & jnp.all(absent[..., 1:] | ~absent[..., :-1], -1)
    count = jnp.sum(~absent, -1)
    frames = _frames(z, absent_frames, _states(y.astype(jnp.int32), absent, blank), count)
    last, every, normaliser = _forward(frames)
    total = normaliser[..., -1] if z.shape[-2] else jnp.zeros(count.shape, z.dtype)
    loss = _surprise(frames, _total(last, total, count), count)
    return (loss * jnp.where(right, 1, jnp.nan)).astype(dtype), every, normaliser, count


def ctc_loss(
    logits: Float[Array, "*batch time classes"],
    logit_paddings: Shaped[Array, "*batch time"],
    labels: Integer[Array, "*batch labels"],
    label_paddings: Shaped[Array, "*batch labels"],
    *,
    blank_id: int = 0,
) -> Float[Array, "*batch"]:
    """Connectionist temporal classification: surprise, in nats, at labels without their times.

        ℓ = −log Σ_π Π_τ p(τ, π_τ)

    over all paths π, one class for each frame, that give the labels when first repetitions and then
    blanks are dropped. The sum is taken by the recursion over the states ∅ y₁ ∅ y₂ … y_N ∅

        α(τ, n) = (α(τ−1, n) + α(τ−1, n−1) + α(τ−1, n−2)) p(τ, eₙ)

    with the last summand only for a label that differs from the one before it. log 0 is −∞ here;
    there is no log_epsilon to stand for it.

    Gradient:
        ∂ℓ/∂z(τ, k) = p(τ, k) − γ(τ, k)

    with γ(τ, k) the probability, given the labels, that the frame τ emits k. In float32, over 5
    frames, the loss is right to 4 units in the last place, and the gradient to 8 of its largest
    entry, however sure the labels are; over 300 frames to some 25 and 20.

    Labels that no path gives, there being too few frames, have the loss ∞, and the gradient 0: no
    logit can mend that, and an example that is left out so does not spoil the rest of its batch.

    Args:
        logits: The logits z, in nats up to a constant per frame.
        logit_paddings: 1 for frames that are not there, 0 for others. Whatever stands in their
            logits, nan included, does not matter.
        labels: The labels y. One that is no class, or the blank, makes the loss of its example nan.
        label_paddings: 1 for labels that are not there, 0 for others; a 0 after a 1 makes the loss
            of its example nan.
        blank_id: The class of the blank.

    Returns:
        One loss per example, in nats; divide by the number of labels for what PyTorch averages.

    Raises:
        TypeError: If the logits are not floating-point numbers, the labels or the blank no
            integers, or the paddings no numbers.
        ValueError: If the shapes do not fit, or the blank is no class.

    Example:
        >>> z = jnp.zeros((1, 3, 3))  # three frames of three classes, of which 0 is the blank
        >>> loss = ctc_loss(z, jnp.zeros((1, 3)), jnp.array([[1, 2]]), jnp.zeros((1, 2)))
        >>> print(jnp.exp(-loss) * 27)  # 112, 122, 012, 102 and 120 of the 27 paths
        [5.]

    Source:
        Graves, Fernández, Gomez and Schmidhuber, Connectionist temporal classification (2006),
        §4.1 (the recursion) and §4.2 (the gradient).
    """
    paddings = logit_paddings, label_paddings
    return _forward_of("ctc_loss", logits, paddings[0], labels, paddings[1], blank_id)[0]


def ctc_loss_with_forward_probs(
    logits: Float[Array, "*batch time classes"],
    logit_paddings: Shaped[Array, "*batch time"],
    labels: Integer[Array, "*batch labels"],
    label_paddings: Shaped[Array, "*batch labels"],
    *,
    blank_id: int = 0,
) -> tuple[
    Float[Array, "*batch"], Float[Array, "time *batch blanks"], Float[Array, "time *batch labels"]
]:
    """Loss of ``ctc_loss`` with the logarithms, in nats, of the forward probabilities α.

        log α_∅(τ, n), log α_y(τ, n)

    of the paths that at the frame τ are in the blank after n labels, or in the label n + 1. At the
    last frame, where a path may end in either, α_∅ holds the last label's α_y too, so that the loss
    is −log α_∅(T, N).

    Gradient:
        ∂ℓ/∂z(τ, k) = p(τ, k) − γ(τ, k), as for ``ctc_loss``

    Args:
        logits: The logits z, in nats up to a constant per frame.
        logit_paddings: 1 for frames that are not there, 0 for others; there α stays as it was.
        labels: The labels y. One that is no class, or the blank, makes the loss of its example nan.
        label_paddings: 1 for labels that are not there, 0 for others; a 0 after a 1 makes the loss
            of its example nan.
        blank_id: The class of the blank.

    Returns:
        The losses; log α_∅, with a last axis one longer than that of the labels; and log α_y. Time
        is the first axis of both. What cannot be is −∞, states of labels that are not there too.

    Raises:
        TypeError: If the logits are not floating-point numbers, the labels or the blank no
            integers, or the paddings no numbers.
        ValueError: If the shapes do not fit, or the blank is no class.

    Example:
        >>> z, y = jnp.zeros((1, 2, 2)), jnp.array([[1]])
        >>> loss, blank, label = ctc_loss_with_forward_probs(
        ...     z, jnp.zeros((1, 2)), y, jnp.zeros((1, 1))
        ... )
        >>> print(jnp.exp(-loss).round(4), jnp.exp(label[:, 0, 0]).round(4))  # paths 11, 01 and 10
        [0.75] [0.5 0.5]

    Source:
        Graves, Fernández, Gomez and Schmidhuber, Connectionist temporal classification (2006),
        §4.1; ``optax.losses.ctc_loss_with_forward_probs``, whose layout this is.
    """
    name = "ctc_loss_with_forward_probs"
    loss, (head, tail), normaliser, count = _forward_of(
        name, logits, logit_paddings, labels, label_paddings, blank_id
    )
    log_alpha = (head + tail) - jnp.moveaxis(normaliser, -1, 0)[..., None]
    states = jnp.arange(log_alpha.shape[-1])
    log_alpha = jnp.where(states <= 2 * count[..., None], log_alpha, -jnp.inf)
    blank, label = log_alpha[..., 0::2], log_alpha[..., 1::2]
    if blank.shape[0]:
        ends = jnp.logaddexp(blank[-1, ..., 1:], label[-1])
        blank = blank.at[-1, ..., 1:].set(
            jnp.where(label[-1] == -jnp.inf, blank[-1, ..., 1:], ends)
        )
    return loss, blank.astype(loss.dtype), label.astype(loss.dtype)
