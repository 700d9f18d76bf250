"""One training step, written by several hands: the contestants of ``train_step``.

The network is relu(x W + b) V + c under softmax cross-entropy, the optimiser Adam. Everyone starts
from copies of the same weights and gets the same batches. A peer is imported where it is made, so
that one that is not installed is only absent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fnmath.losses import softmax_cross_entropy_with_integer_labels
from fnmath.networks import mlp, mlp_init
from fnmath.training import TrainState, epoch_order, fit, train_state_init, train_step

LEARNING_RATE = 1e-3  # Adam's other numbers are 0.9, 0.999 and 1e-8 for everyone, their defaults
BASELINE = "hand-written JAX"


class Case(NamedTuple):
    """A network, a batch size, and what everyone starts from."""

    sizes: tuple[int, int, int]
    batch_size: int
    params: tuple[Any, ...]  # of DenseParams, each with a bias
    data: tuple[jax.Array, jax.Array]
    order: jax.Array
    batches: list[tuple[jax.Array, jax.Array]]
    key: jax.Array

    @property
    def name(self) -> str:
        """Sizes and batch size."""
        return f"{'-'.join(map(str, self.sizes))}, batch {self.batch_size}"

    @property
    def flops(self) -> int:
        """Two for every multiplication of forward (x W, h V) and backward (W̄; V̄, h̄) pass."""
        d, h, c = self.sizes
        return 2 * self.batch_size * (2 * d * h + 3 * h * c)


class Peer(NamedTuple):
    """One way to make a step: ``state, loss = step(state, batch)``; ``weights`` are W, b, V, c.

    A step may be a whole run instead, of so many epochs over the one "batch" that is the data.
    """

    state: Any
    step: Callable[[Any, Any], tuple[Any, Any]]
    weights: Callable[[Any], Sequence[Any]]
    batches: Sequence[Any]
    epochs: int = 1


def make_case(sizes: tuple[int, int, int], batch_size: int, steps: int, seed: int) -> Case:
    """Random inputs, labelled by a random linear map; an epoch of them cut into batches."""
    keys = jax.random.split(jax.random.key(seed), 4)
    examples = steps * batch_size
    x = jax.random.normal(keys[0], (examples, sizes[0]))
    labels = jnp.argmax(x @ jax.random.normal(keys[1], (sizes[0], sizes[-1])), axis=-1)
    order = epoch_order(keys[3], 0, examples=examples).reshape(steps, batch_size)
    batches = [(x[indices], labels[indices]) for indices in order]
    return Case(sizes, batch_size, mlp_init(keys[2], sizes), (x, labels), order, batches, keys[3])


def objective(params: Any, batch: Any, key: jax.Array | None) -> tuple[jax.Array, dict]:
    x, labels = batch
    return softmax_cross_entropy_with_integer_labels(mlp(params, x), labels), {}


def fnmath_state(case: Case, optimizer: optax.GradientTransformation) -> TrainState:
    params, key = jax.tree.map(jnp.copy, (case.params, case.key))  # they will be donated
    return train_state_init(key, params, optimizer)


def fnmath_step(optimizer: optax.GradientTransformation) -> Callable[..., Any]:
    def step(state: TrainState, batch: Any) -> tuple[TrainState, jax.Array]:
        state, metrics = train_step(state, batch, objective=objective, optimizer=optimizer)
        return state, metrics["loss"]

    return step


def fnmath_weights(state: TrainState) -> Sequence[Any]:
    return jax.tree.leaves(state.params)


def fnmath_peer(case: Case) -> Peer:
    optimizer = optax.adam(LEARNING_RATE)
    jitted = jax.jit(fnmath_step(optimizer), donate_argnums=0)
    return Peer(fnmath_state(case, optimizer), jitted, fnmath_weights, case.batches)


def fnmath_gathering_peer(case: Case) -> Peer:
    """Each step takes its batch out of the data by itself, as the steps of ``fit`` do."""
    optimizer = optax.adam(LEARNING_RATE)
    step = fnmath_step(optimizer)

    @partial(jax.jit, donate_argnums=0)
    def jitted(state: TrainState, data: Any, indices: jax.Array) -> tuple[TrainState, jax.Array]:
        return step(state, jax.tree.map(lambda a: a[indices], data))

    return Peer(
        fnmath_state(case, optimizer),
        lambda state, indices: jitted(state, case.data, indices),
        fnmath_weights,
        list(case.order),
    )


def fnmath_fit_peer(case: Case, *, epochs: int) -> Peer:
    """All the steps of a run in one call; so there is one "batch", the data."""
    optimizer = optax.adam(LEARNING_RATE)

    @partial(jax.jit, donate_argnums=0)
    def run(state: TrainState, data: Any) -> tuple[TrainState, jax.Array]:
        state, history = fit(
            state,
            data,
            objective=objective,
            optimizer=optimizer,
            epochs=epochs,
            batch_size=case.batch_size,
        )
        return state, history.train["loss"]

    return Peer(fnmath_state(case, optimizer), run, fnmath_weights, [case.data], epochs)


def hand_written_step(optimizer: optax.GradientTransformation) -> Callable[..., Any]:
    def loss(params: dict, x: jax.Array, labels: jax.Array) -> jax.Array:
        hidden = jax.nn.relu(x @ params["W"] + params["b"])
        logits = hidden @ params["V"] + params["c"]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    def step(state: tuple, batch: tuple) -> tuple[tuple, jax.Array]:
        params, opt_state = state
        value, gradient = jax.value_and_grad(loss)(params, *batch)
        updates, opt_state = optimizer.update(gradient, opt_state)
        return (optax.apply_updates(params, updates), opt_state), value

    return step


def hand_written_state(case: Case, optimizer: optax.GradientTransformation) -> tuple[dict, Any]:
    params = dict(zip("WbVc", map(jnp.copy, jax.tree.leaves(case.params)), strict=True))
    return params, optimizer.init(params)


def hand_written_peer(case: Case, *, donate: bool) -> Peer:
    optimizer = optax.adam(LEARNING_RATE)
    jitted = jax.jit(hand_written_step(optimizer), donate_argnums=0 if donate else ())
    state = hand_written_state(case, optimizer)
    return Peer(state, jitted, lambda state: [state[0][name] for name in "WbVc"], case.batches)


def hand_written_same_state_peer(case: Case) -> Peer:
    """By hand, but carrying what fnmath's state carries: named layers, a step number and a key.

    What it costs beyond the baseline is the price of that state; what fnmath costs beyond it is the
    price of fnmath's code.
    """
    optimizer = optax.adam(LEARNING_RATE)

    def loss(params: Any, x: jax.Array, labels: jax.Array) -> jax.Array:
        (W, b), (V, c) = params
        logits = jax.nn.relu(x @ W + b) @ V + c
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @partial(jax.jit, donate_argnums=0)
    def step(state: TrainState, batch: tuple) -> tuple[TrainState, jax.Array]:
        value, gradient = jax.value_and_grad(loss)(state.params, *batch)
        updates, opt_state = optimizer.update(gradient, state.opt_state)
        params = optax.apply_updates(state.params, updates)
        return TrainState(params, opt_state, state.step + 1, state.key), value

    return Peer(fnmath_state(case, optimizer), step, fnmath_weights, case.batches)


def nnx_peer(case: Case, *, split: bool) -> Peer:
    from flax import nnx

    class Network(nnx.Module):
        def __init__(self, sizes: tuple[int, int, int], rngs: nnx.Rngs):
            self.hidden = nnx.Linear(sizes[0], sizes[1], rngs=rngs)
            self.out = nnx.Linear(sizes[1], sizes[2], rngs=rngs)

        def __call__(self, x: jax.Array) -> jax.Array:
            return self.out(nnx.relu(self.hidden(x)))

    def weights(model: Network) -> list[jax.Array]:
        layers: tuple[Any, ...] = (model.hidden, model.out)
        return [w[...] for layer in layers for w in (layer.kernel, layer.bias)]

    def loss(model: Network, x: jax.Array, labels: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(model(x), labels).mean()

    def update(model: Network, optimizer: nnx.Optimizer, batch: tuple) -> jax.Array:
        value, gradient = nnx.value_and_grad(loss)(model, *batch)
        optimizer.update(model, gradient)
        return value

    model: Any = Network(case.sizes, nnx.Rngs(0))
    for layer, params in zip((model.hidden, model.out), case.params, strict=True):
        layer.kernel[...], layer.bias[...] = jnp.copy(params.kernel), jnp.copy(params.bias)
    optimizer = nnx.Optimizer(model, optax.adam(LEARNING_RATE), wrt=nnx.Param)
    if not split:
        jitted: Any = nnx.jit(update)
        step = lambda state, batch: (state, jitted(*state, batch))  # noqa: E731
        return Peer((model, optimizer), step, lambda state: weights(state[0]), case.batches)

    graph, leaves = nnx.split((model, optimizer))

    @partial(jax.jit, donate_argnums=0)
    def merged_step(leaves: Any, batch: tuple) -> tuple[Any, jax.Array]:
        model, optimizer = nnx.merge(graph, leaves)
        value = update(model, optimizer, batch)
        return nnx.state((model, optimizer)), value

    return Peer(leaves, merged_step, lambda s: weights(nnx.merge(graph, s)[0]), case.batches)


def equinox_peer(case: Case) -> Peer:
    import equinox as eqx

    class Network(eqx.Module):
        hidden: eqx.nn.Linear
        out: eqx.nn.Linear

        def __call__(self, x: jax.Array) -> jax.Array:
            return self.out(jax.nn.relu(self.hidden(x)))

    def linear(params: Any) -> eqx.nn.Linear:
        rows, columns = params.kernel.shape
        layer = eqx.nn.Linear(rows, columns, key=jax.random.key(0))
        of = lambda layer: (layer.weight, layer.bias)  # noqa: E731
        return eqx.tree_at(of, layer, (params.kernel.T, jnp.copy(params.bias)))

    def loss(model: Network, batch: tuple) -> jax.Array:
        logits = jax.vmap(model)(batch[0])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch[1]).mean()

    optimizer = optax.adam(LEARNING_RATE)

    @eqx.filter_jit
    def step(state: tuple, batch: tuple) -> tuple[tuple, jax.Array]:
        model, opt_state = state
        value, gradient = eqx.filter_value_and_grad(loss)(model, batch)
        updates, opt_state = optimizer.update(gradient, opt_state)
        return (eqx.apply_updates(model, updates), opt_state), value

    def weights(state: tuple) -> list[jax.Array]:
        layers = (state[0].hidden, state[0].out)
        return [w for layer in layers for w in (layer.weight.T, layer.bias)]

    model = Network(*map(linear, case.params))
    state = (model, optimizer.init(eqx.filter(model, eqx.is_inexact_array)))
    return Peer(state, step, weights, case.batches)


def torch_peer(case: Case, *, threads: int) -> Peer:
    import torch

    d, h, c = case.sizes
    layers = torch.nn.Linear(d, h), torch.nn.Linear(h, c)
    model = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1])
    with torch.no_grad():
        for layer, params in zip(layers, case.params, strict=True):
            layer.weight.copy_(torch.tensor(np.asarray(params.kernel)).T)
            layer.bias.copy_(torch.tensor(np.asarray(params.bias)))
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    cross_entropy = torch.nn.CrossEntropyLoss()

    def step(state: Any, batch: tuple) -> tuple[Any, Any]:
        torch.set_num_threads(threads)  # one for the whole process; there are two contestants
        optimizer.zero_grad()
        value = cross_entropy(model(batch[0]), batch[1])
        value.backward()
        optimizer.step()
        return state, value.detach()

    def weights(_: Any) -> list[np.ndarray]:
        return [w.detach().numpy().T for w in model.parameters()]

    tensors = [tuple(torch.tensor(np.asarray(a)) for a in batch) for batch in case.batches]
    return Peer(None, step, weights, [(x, labels.long()) for x, labels in tensors])


MAKERS: Mapping[str, Callable[[Case], Peer]] = {
    BASELINE: partial(hand_written_peer, donate=True),
    "hand-written JAX, not donated": partial(hand_written_peer, donate=False),
    "hand-written JAX, fnmath's state": hand_written_same_state_peer,
    "fnmath": fnmath_peer,
    "fnmath, batch gathered in the step": fnmath_gathering_peer,
    "fnmath, one epoch by fit": partial(fnmath_fit_peer, epochs=1),
    "fnmath, ten epochs by fit": partial(fnmath_fit_peer, epochs=10),
    "Flax NNX, nnx.jit": partial(nnx_peer, split=False),
    "Flax NNX, split and merge": partial(nnx_peer, split=True),
    "Equinox, filter_jit": equinox_peer,
    "PyTorch, eager, all threads": partial(torch_peer, threads=os.cpu_count() or 1),
    "PyTorch, eager, one thread": partial(torch_peer, threads=1),
}
