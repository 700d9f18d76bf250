"""Single steps, several steps, and the evaluation of what they reached.

Notation: that of the chapter: θ, B, ℓ, L, g, u.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Int, PRNGKeyArray, PyTree, UInt32

from fnmath import _checks
from fnmath.training._arguments import (
    Metrics,
    Objective,
    check_optimizer,
    count_examples,
    evaluate_objective,
)


class TrainState(NamedTuple):
    """All that a run carries from step to step: save it, load it, and the run goes on.

    ``key`` holds the words of the random key (``jax.random.key_data``): so the state is a pytree of
    plain arrays, which any format stores, and which a compiled step takes and gives back without
    the detour that JAX makes for arrays of keys (9 µs a call, a seventh of a small step).
    """

    params: PyTree
    opt_state: PyTree
    step: Int[Array, ""]
    key: UInt32[Array, " words"]


def _check_state(name: str, state: Any, optimizer: optax.GradientTransformation) -> None:
    """Raise unless this is a state, and one that the optimiser could have made."""
    check_optimizer(name, optimizer)
    _checks.instance(name, "state", state, TrainState, "train_state_init(key, params, optimizer)")
    _check_params(name, "state.params", state.params)
    _checks.count(name, "state.step", state.step)
    _checks.array(name, "state.key", state.key)
    if (dtype := jnp.result_type(state.key)) != jnp.uint32:
        problem = f"state.key has dtype {dtype}; wanted uint32, the words of a key"
        _checks.fail(name, problem, "jax.random.key_data(key)", error=TypeError)
    _checks.rank(name, "state.key", state.key, "words", exact=True)
    wanted = jax.tree.structure(jax.eval_shape(optimizer.init, state.params))
    if jax.tree.structure(state.opt_state) != wanted:
        problem = "state.opt_state is not the optimizer's: it has another structure"
        _checks.fail(name, problem, "train_state_init with this optimizer")


def _check_params(name: str, argument: str, params: PyTree) -> None:
    for path, leaf in jax.tree.leaves_with_path(params):
        _checks.floating(name, **{f"{argument}{jax.tree_util.keystr(path)}": leaf})


def train_state_init(
    key: PRNGKeyArray, params: PyTree, optimizer: optax.GradientTransformation
) -> TrainState:
    """The state of a run before its first step.

        θ₀ = params,    step = 0

    Args:
        key: The key that shuffles the data and gives each step its noise.
        params: The parameters to begin with, any pytree of floating-point arrays.
        optimizer: The optax optimiser, which makes its own state of them.

    Returns:
        The state. It holds copies of the key and the parameters, so that a step to which it is
        donated takes nothing from the caller.

    Raises:
        TypeError: If the key is not a random key of JAX's default kind, a parameter is not an array
            of floating-point numbers, or the optimiser is not one.

    Example:
        >>> state = train_state_init(jax.random.key(0), jnp.zeros(3), optax.sgd(0.1))
        >>> print(state.step, state.params)
        0 [0. 0. 0.]

    Source:
        The optax documentation, "Getting started".
    """
    _checks.key("train_state_init", key)
    check_optimizer("train_state_init", optimizer)
    _check_params("train_state_init", "params", params)
    params = jax.tree.map(lambda a: jnp.array(a, copy=True), params)
    return TrainState(params, optimizer.init(params), jnp.zeros((), jnp.int32), _words(key))


def _words(key: jax.Array) -> jax.Array:
    """The words of a key of the default kind, the one that they are read as again."""
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return jnp.array(key, copy=True)
    kind, default = (str(jax.random.key_impl(k)) for k in (key, jax.random.key(0)))
    if kind != default:
        problem = f"key is of the kind {kind}; wanted {default}, JAX's default kind"
        _checks.fail(
            "train_state_init", problem, f"jax.random.key(0, impl={default!r})", error=TypeError
        )
    return jnp.array(jax.random.key_data(key), copy=True)


def epoch_order(
    key: PRNGKeyArray | UInt32[Array, " words"], epoch: int | Int[Array, ""], *, examples: int
) -> Int[Array, " examples"]:
    """The order in which an epoch visits the examples: a random permutation, one for each epoch.

        order ~ uniform on the permutations of {0, …, n − 1},    decided by (key, epoch)

    In each of a few rounds every place draws a random ticket, and they line up by (ticket, place),
    two numbers in the bits of one: XLA sorts an array of plain integers several times faster than
    one that carries another along. As in ``jax.random.permutation`` the tickets of all rounds have
    3 log₂ n bits together, so that two examples draw the same in every round, which would favour an
    order, with a probability below 1/n.

    Batch i of the epoch is ``order[i * batch_size : (i + 1) * batch_size]``; the last one is
    shorter when the batch size does not divide n.

    Args:
        key: The key of the run, as ``TrainState`` holds it.
        epoch: The number of the epoch, from 0.
        examples: The number n of examples.

    Returns:
        A permutation of the n indices.

    Raises:
        TypeError: If the key is not a random key, or the epoch or n not an integer.
        ValueError: If n is below 1, or the epoch a number below 0 or an array with axes.

    Example:
        >>> print(sorted(epoch_order(jax.random.key(0), 3, examples=4).tolist()))
        [0, 1, 2, 3]

    Source:
        Bottou, Stochastic Gradient Descent Tricks (2012), §4.1: shuffle, and visit each example
        once an epoch.
    """
    _checks.key("epoch_order", key)
    _checks.size("epoch_order", examples=examples)
    _checks.count("epoch_order", "epoch", epoch)
    key = jax.random.fold_in(jax.random.fold_in(key, 0), epoch)
    place_bits = max(1, (int(examples) - 1).bit_length())
    rounds = -(-3 * place_bits // (32 - place_bits))
    places = jnp.arange(examples, dtype=jnp.uint32)
    order = places
    for ticket in jax.random.bits(key, (rounds, examples), jnp.uint32):
        queue = lax.sort(((ticket >> place_bits) << place_bits) | places)
        order = order[queue & (2**place_bits - 1)]
    return order.astype(jnp.int32)


def train_step(
    state: TrainState,
    batch: PyTree,
    *,
    objective: Objective,
    optimizer: optax.GradientTransformation,
) -> tuple[TrainState, Metrics]:
    """One step of gradient descent on one batch: forward pass, backward pass, update.

        L = (1/|B|) Σ_{e∈B} ℓ(θ; e),    g = ∂L/∂θ,    θ ← θ + u(g)

    The backward pass begins with the cotangent 1/|B| of each loss. The gradient of a mean is the
    mean of the gradients, so a shorter batch weighs the same per step. An objective that returns
    losses in half precision rounds 1/|B| to it: let it return float32. For speed compile it with
    the state donated:
    ``jax.jit(partial(train_step, objective=…, optimizer=…), donate_argnums=0)``.

    Args:
        state: The state before the step.
        batch: A slice of the data: a pytree whose arrays share the leading axis of examples.
        objective: The objective (params, batch, key) -> (losses, metrics); see the chapter's head.
        optimizer: The optax optimiser that the state was made with.

    Returns:
        The state after the step, and the means over the batch of the loss (under ``"loss"``) and of
        the objective's metrics, all measured before the update and in float32 at least.

    Raises:
        TypeError: If the objective returns anything but (losses, metrics), the optimiser is not
            one, or the state none.
        ValueError: If the state is of another optimiser, the batch is empty, or the objective does
            not return one number per example.

    Example:
        >>> def objective(w, batch, key):
        ...     x, y = batch
        ...     return (x * w - y) ** 2, {}
        >>> state = train_state_init(jax.random.key(0), jnp.array(0.0), optax.sgd(0.5))
        >>> batch = (jnp.ones(4), jnp.full(4, 3.0))
        >>> state, metrics = train_step(state, batch, objective=objective, optimizer=optax.sgd(0.5))
        >>> print(state.params, metrics["loss"])
        3.0 9.0

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), algorithm 8.1.
    """
    _check_state("train_step", state, optimizer)
    examples = count_examples("train_step", "batch", batch)

    key = jax.random.wrap_key_data(state.key)
    key = jax.random.fold_in(jax.random.fold_in(key, 1), state.step)

    def per_example(params: PyTree) -> tuple[jax.Array, Metrics]:
        return evaluate_objective("train_step", objective, params, batch, key, examples)

    def loss_at(params: PyTree) -> jax.Array:
        return _sum(per_example(params)[0]) / examples

    losses, backward, metrics = jax.vjp(per_example, state.params, has_aux=True)
    (gradient,) = backward(jnp.full_like(losses, 1 / examples))
    measured = {"loss": losses, **metrics}
    means = {name: _sum(v) / examples for name, v in measured.items()}
    update = optax.with_extra_args_support(optimizer).update  # some ask for the loss itself
    extra = {"value": means["loss"], "grad": gradient, "value_fn": loss_at}
    updates, opt_state = update(gradient, state.opt_state, state.params, **extra)
    params = optax.apply_updates(state.params, updates)
    return TrainState(params, opt_state, state.step + 1, state.key), means


def _sum(values: jax.Array) -> jax.Array:
    """The sum over the examples, as a matrix product: in the same order wherever it stands.

    A plain sum XLA fuses with what is summed, and then adds in another order in a loop than outside
    of one. A product is a kernel of its own. The second column of ones is there because XLA turns a
    product with a single vector back into a sum.
    """
    wide = jnp.promote_types(values.dtype, jnp.float32)  # 70,000 halves are inf in float16
    ones = jnp.ones((values.size, 2), wide)
    return jnp.matmul(values[None].astype(wide), ones, precision="highest")[0, 0]


def train_steps(
    state: TrainState,
    data: PyTree,
    batches: Int[Array, "steps examples"],
    *,
    objective: Objective,
    optimizer: optax.GradientTransformation,
) -> tuple[TrainState, Metrics]:
    """Several steps of gradient descent in one compiled loop, one for each row of indices.

        θᵢ₊₁ = train_step(θᵢ, data[batchesᵢ])

    Args:
        state: The state before the first step.
        data: A pytree whose arrays share the leading axis of examples.
        batches: For each step, which examples its batch holds: a piece of ``epoch_order``. An
            index outside of the data gives a row of nan, of the extreme integer, or of True.
        objective: The objective (params, batch, key) -> (losses, metrics); see the chapter's head.
        optimizer: The optax optimiser that the state was made with.

    Returns:
        The state after the last step, and the loss and metrics of each step.

    Raises:
        TypeError: If ``batches`` does not hold integers; for the rest as ``train_step``.
        ValueError: If ``batches`` does not have two axes; for the rest as ``train_step``.

    Example:
        >>> def objective(w, batch, key):
        ...     x, y = batch
        ...     return (x * w - y) ** 2, {}
        >>> data, sgd = (jnp.ones(6), jnp.full(6, 3.0)), optax.sgd(0.25)
        >>> state = train_state_init(jax.random.key(0), jnp.array(0.0), sgd)
        >>> batches = epoch_order(state.key, 0, examples=6).reshape(3, 2)
        >>> state, metrics = train_steps(state, data, batches, objective=objective, optimizer=sgd)
        >>> print(state.params, metrics["loss"])
        2.625 [9.     2.25   0.5625]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), algorithm 8.1.
    """
    _check_state("train_steps", state, optimizer)
    _checks.integer("train_steps", batches=batches)
    _checks.rank("train_steps", "batches", batches, "steps examples", exact=True)
    count_examples("train_steps", "data", data)

    def body(state: TrainState, indices: jax.Array) -> tuple[TrainState, Metrics]:
        batch = jax.tree.map(partial(_rows, indices=indices), data)
        return train_step(state, batch, objective=objective, optimizer=optimizer)

    return lax.scan(body, state, batches)


def _rows(a: jax.typing.ArrayLike, indices: jax.Array) -> jax.Array:
    """The rows of an array; nan, or JAX's fill value, for an index outside of it."""
    return jnp.asarray(a).at[indices].get(mode="fill", wrap_negative_indices=False)


def evaluate(
    params: PyTree, data: PyTree, *, objective: Objective, batch_size: int | None = None
) -> Metrics:
    """Means of the loss and of the metrics over all of the data, without noise.

        (1/n) Σₑ ℓ(θ; e),    and the same for each metric

    The last batch may be shorter; every example weighs the same.

    Args:
        params: The parameters θ.
        data: A pytree whose arrays share the leading axis of the n examples.
        objective: The objective; its key is None here.
        batch_size: How many examples are held in memory at once; all of them when None.

    Returns:
        The mean loss under ``"loss"``, and the mean of each metric under its name.

    Raises:
        TypeError: If the objective returns anything but (losses, metrics).
        ValueError: If the data is empty, or the objective does not return one number per example.

    Example:
        >>> def objective(w, batch, key):
        ...     x, y = batch
        ...     return (x * w - y) ** 2, {"right": jnp.abs(x * w - y) < 1}
        >>> data = (jnp.ones(3), jnp.array([2.0, 3.0, 5.0]))
        >>> metrics = evaluate(jnp.array(2.0), data, objective=objective, batch_size=2)
        >>> print(f"{metrics['loss']:.4f} {metrics['right']:.4f}")
        3.3333 0.3333

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §5.1.2.
    """
    examples = count_examples("evaluate", "data", data)
    batch_size = examples if batch_size is None else batch_size
    _checks.size("evaluate", batch_size=batch_size)
    steps, rest = divmod(examples, batch_size)

    def sums(batch: PyTree, size: int) -> Metrics:
        losses, metrics = evaluate_objective("evaluate", objective, params, batch, None, size)
        return {name: _sum(v) for name, v in {"loss": losses, **metrics}.items()}

    parts = []
    if steps:
        batches = jax.tree.map(
            lambda a: a[: steps * batch_size].reshape(steps, batch_size, *a.shape[1:]), data
        )
        parts.append(lax.map(lambda batch: sums(batch, batch_size), batches))
    if rest:
        last = sums(jax.tree.map(lambda a: a[steps * batch_size :], data), rest)
        parts.append(jax.tree.map(lambda total: total[None], last))
    return jax.tree.map(lambda *part: _sum(jnp.concatenate(part)) / examples, *parts)
