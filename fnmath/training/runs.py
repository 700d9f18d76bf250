"""Whole runs: one pure function, and the same run in chunks with a word between them.

Notation: that of the chapter: θ, B, ℓ, L, g, u.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float, PyTree

from fnmath import _checks
from fnmath.training._arguments import Metrics, Objective, count_examples
from fnmath.training.steps import TrainState, _check_state, epoch_order, evaluate, train_steps


class History(NamedTuple):
    """What a run measured: per step while training, per epoch in validation.

    ``train["loss"]`` has the shape (epochs, steps per epoch), ``validation["loss"]`` (epochs,); the
    objective's own metrics stand beside the loss under their names.
    """

    train: dict[str, Float[Array, "epochs steps"]]
    validation: dict[str, Float[Array, " epochs"]]


class Progress(NamedTuple):
    """Where a run stands between two compiled chunks: what a progress bar shows."""

    step: int
    steps: int
    epoch: int
    epochs: int
    train: dict[str, float]
    validation: dict[str, float]


class NonFiniteLossError(FloatingPointError):
    """The loss of a step was inf or nan.

    Attributes:
        step: The number of the step.
        loss: The loss it had.
        state: The state before that step. Where it was the gradient of the step before that was
            not finite, and not yet its loss, these parameters are not finite either.
    """

    def __init__(self, step: int, loss: float, state: TrainState) -> None:
        self.step, self.loss, self.state = step, loss, state
        super().__init__(
            f"fit_with_progress: the loss of step {step} is {loss}; wanted a finite number; the "
            "state before it is this error's .state; did you mean a smaller learning rate?"
        )


class _Plan(NamedTuple):
    """How an epoch is cut: ``full`` batches of ``batch_size``, and a shorter one of ``rest``."""

    examples: int
    batch_size: int

    @property
    def steps(self) -> int:
        return -(-self.examples // self.batch_size)

    def pieces(
        self, order: jax.Array, *, done: int = 0, chunk: int | None = None
    ) -> Iterator[jax.Array]:
        """The batches that are left of an epoch, as index arrays (steps, examples in a batch)."""
        full = self.examples // self.batch_size
        for start in range(done, full, chunk or max(full, 1)):
            stop = min(start + (chunk or full), full)
            part = order[start * self.batch_size : stop * self.batch_size]
            yield part.reshape(stop - start, self.batch_size)
        if full < self.steps:
            yield order[None, full * self.batch_size :]


def _plan(
    name: str,
    state: TrainState,
    data: PyTree,
    validation: PyTree | None,
    epochs: int,
    batch_size: int,
    *,
    resume: bool = False,
) -> _Plan:
    """The checked plan of a run; one that may resume compiles its own chunks."""
    examples = count_examples(name, "data", data)
    _checks.size(name, epochs=epochs, batch_size=batch_size)
    if batch_size > examples:
        _checks.fail(name, f"batch_size is {batch_size}; wanted at most the {examples} examples")
    plan = _Plan(examples, batch_size)
    if validation is not None:
        count_examples(name, "validation", validation)
    traced = isinstance(state.step, Tracer)
    if resume and traced:
        problem = "state is traced; wanted numbers, as it compiles its own chunks"
        _checks.fail(name, problem, "fit", error=TypeError)
    if not resume and not traced:
        done = int(state.step) % plan.steps
        if done:
            problem = f"the state stands after step {done} of the {plan.steps} of an epoch"
            _checks.fail(name, f"{problem}; wanted the start of one", "fit_with_progress")
    return plan


def fit(
    state: TrainState,
    data: PyTree,
    *,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    epochs: int,
    batch_size: int,
    validation: PyTree | None = None,
) -> tuple[TrainState, History]:
    """A whole training run as one pure function.

        for each epoch:  for each batch B of a fresh permutation of the data:  θ ← θ + u(∂L_B/∂θ)

    Compile it once, with ``jax.jit(partial(fit, objective=…, …))``: the data stays on the device,
    and the loop runs there. Indices are shuffled, never the data: each step gathers its own batch
    (a shuffled copy of the data, made anew for each epoch, costs more than the steps it saves).
    Under ``vmap`` it is many runs, the same to rounding: over states made from many keys, or over a
    function that makes the optimiser of a learning rate and fits with it. The last batch of an
    epoch is shorter when the batch size does not divide the number of examples, and is a step like
    the others. A loss that is inf or nan stays in the history; ``fit_with_progress`` stops at it.

    Args:
        state: The state to begin with, at the start of an epoch.
        data: A pytree whose arrays share the leading axis of examples.
        objective: The objective (params, batch, key) -> (losses, metrics); see the chapter's head.
        optimizer: The optax optimiser that the state was made with.
        epochs: How many more epochs to train.
        batch_size: The number of examples in a batch.
        validation: Data to evaluate after each epoch, if any.

    Returns:
        The state after the last step, and the history of losses and metrics.

    Raises:
        TypeError: If the objective returns anything but (losses, metrics), or the optimiser is not
            one.
        ValueError: If the data is empty, its arrays differ in length, a number is below 1, a batch
            is larger than the data, or the state is known to stand in the middle of an epoch.

    Example:
        >>> from fnmath.training import train_state_init
        >>> def objective(w, batch, key):
        ...     x, y = batch
        ...     return (x * w - y) ** 2, {}
        >>> x = jnp.linspace(-1.0, 1.0, 32)
        >>> sgd = optax.sgd(0.2)
        >>> state = train_state_init(jax.random.key(0), jnp.array(0.0), sgd)
        >>> state, history = fit(
        ...     state, (x, 3 * x), objective=objective, optimizer=sgd, epochs=12, batch_size=5
        ... )
        >>> print(f"{state.params:.3f}", state.step, history.train["loss"].shape)
        3.000 84 (12, 7)

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), algorithm 8.1.
    """
    _check_state("fit", state, optimizer)
    plan = _plan("fit", state, data, validation, epochs, batch_size)

    def one_epoch(state: TrainState, epoch: jax.Array) -> tuple[TrainState, tuple]:
        order = epoch_order(state.key, epoch, examples=plan.examples)
        pieces = []
        for indices in plan.pieces(order):
            state, measured = train_steps(
                state, data, indices, objective=objective, optimizer=optimizer
            )
            pieces.append(measured)
        train = jax.tree.map(lambda *piece: jnp.concatenate(piece), *pieces)
        if validation is None:
            return state, (train, {})
        measured = evaluate(state.params, validation, objective=objective, batch_size=batch_size)
        return state, (train, measured)

    numbers = state.step // plan.steps + jnp.arange(epochs)
    state, (train, measured) = lax.scan(one_epoch, state, numbers)
    return state, History(train, measured)


def fit_with_progress(
    state: TrainState,
    data: PyTree,
    *,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    epochs: int,
    batch_size: int,
    validation: PyTree | None = None,
    callback: Callable[[Progress], None] | None = None,
    steps_per_chunk: int = 64,
) -> tuple[TrainState, History]:
    """The same run as ``fit``, in compiled chunks with a word between them.

        fit(state) = chunk ∘ … ∘ chunk (state)

    On the CPU the numbers are those of ``fit`` bit for bit. (One exception is known: chunks of a
    single step, which XLA unrolls, with an optimiser that takes a norm over several small arrays,
    as ``optax.clip_by_global_norm`` does; the last bit may then differ.) Under ``vmap``, and on
    accelerators, they are the same to rounding.

    This is a caller: it compiles, and looks at the losses that come back. It can resume a state in
    the middle of an epoch; the epoch that it stands in then counts as the first of ``epochs``, and
    the history holds nan for the steps that were made before. When a loss is not finite, the chunk
    is made again from its beginning up to the step before, which costs nothing until it happens.

    Args:
        state: The state to begin with. It is not donated and stays valid.
        data: A pytree whose arrays share the leading axis of examples.
        objective: The objective (params, batch, key) -> (losses, metrics); see the chapter's head.
        optimizer: The optax optimiser that the state was made with.
        epochs: How many epochs to train, the one that the state stands in included.
        batch_size: The number of examples in a batch.
        validation: Data to evaluate after each epoch, if any.
        callback: Called with a ``Progress`` after each chunk, and after each epoch's validation.
        steps_per_chunk: How many steps to make between two calls of ``callback``, at most.

    Returns:
        The state after the last step, and the history of losses and metrics.

    Raises:
        NonFiniteLossError: If a loss is inf or nan; it holds the step and the state before it.
        TypeError: As ``fit``, if the callback is not a function, or under ``jit``.
        ValueError: As ``fit``, but for the state in the middle of an epoch.

    Example:
        >>> from fnmath.training import train_state_init
        >>> def objective(w, batch, key):
        ...     x, y = batch
        ...     return (x * w - y) ** 2, {}
        >>> x = jnp.linspace(-1.0, 1.0, 32)
        >>> sgd = optax.sgd(0.2)
        >>> state = train_state_init(jax.random.key(0), jnp.array(0.0), sgd)
        >>> state, history = fit_with_progress(
        ...     state, (x, 3 * x), objective=objective, optimizer=sgd, epochs=2, batch_size=16,
        ...     callback=lambda progress: print(f"{progress.step} of {progress.steps}"),
        ... )
        2 of 4
        4 of 4

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), algorithm 8.1.
    """
    _check_state("fit_with_progress", state, optimizer)
    _checks.size("fit_with_progress", steps_per_chunk=steps_per_chunk)
    if callback is not None:
        _checks.function("fit_with_progress", "callback", callback)
    plan = _plan("fit_with_progress", state, data, validation, epochs, batch_size, resume=True)
    steps = jax.jit(partial(train_steps, objective=objective, optimizer=optimizer))
    order_of = jax.jit(partial(epoch_order, examples=plan.examples))
    measure = jax.jit(partial(evaluate, objective=objective, batch_size=batch_size))

    first, done = divmod(int(state.step), plan.steps)
    report = partial(_report, callback, plan, first + epochs)
    pieces, measurements = [], []
    for epoch in range(first, first + epochs):
        order = order_of(state.key, epoch)
        for indices in plan.pieces(
            order, done=done if epoch == first else 0, chunk=steps_per_chunk
        ):
            state, train = _finite_steps(steps, state, data, indices)
            pieces.append(train)
            report(state, epoch, train, measurements)
        if validation is not None:
            measurements.append(measure(state.params, validation))
            report(state, epoch, pieces[-1], measurements)
    made = jax.tree.map(lambda *piece: jnp.concatenate(piece), *pieces)
    made_before = {"pad_width": (done, 0), "constant_values": jnp.nan}
    train = jax.tree.map(lambda row: jnp.pad(row, **made_before).reshape(epochs, -1), made)
    return state, History(train, jax.tree.map(lambda *m: jnp.stack(m), *measurements or [{}]))


def _finite_steps(
    steps: Callable[..., tuple[TrainState, Metrics]],
    state: TrainState,
    data: PyTree,
    indices: jax.Array,
) -> tuple[TrainState, Metrics]:
    """The steps, or an error that holds the state before the first loss that is not finite."""
    after, train = steps(state, data, indices)
    finite = np.isfinite(np.asarray(train["loss"]))
    if not finite.all():
        good = int(np.argmin(finite))
        before = steps(state, data, indices[:good])[0] if good else state
        raise NonFiniteLossError(int(before.step), float(train["loss"][good]), before)
    return after, train


def _report(
    callback: Callable[[Progress], None] | None,
    plan: _Plan,
    epochs: int,
    state: TrainState,
    epoch: int,
    train: Metrics,
    measurements: list[Metrics],
) -> None:
    """Tell the callback, if there is one, of the last step and the last validation."""
    if callback is not None:
        latest = {name: float(values[-1]) for name, values in train.items()}
        validation = {
            name: float(v) for measured in measurements[-1:] for name, v in measured.items()
        }
        steps = epochs * plan.steps
        callback(Progress(int(state.step), steps, epoch, epochs, latest, validation))
