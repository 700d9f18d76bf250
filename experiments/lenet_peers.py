"""A training step of LeNet-5 by fnmath, Flax and PyTorch, from one set of weights.

Everyone starts from the same numbers, carried over by ``fnmath.conversion``, takes the same batches
out of data of its own, and follows the same rule at a constant rate. Losses and parameters are
compared before anything is timed. Flax and PyTorch are imported where their step is made, so that
one that is not installed is only absent.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console

from fnmath.benchmark import Comparison, interleave
from fnmath.conversion import from_flax, from_torch, to_flax, to_torch
from fnmath.losses import softmax_cross_entropy_with_integer_labels
from fnmath.networks import LenetParams
from fnmath.training import epoch_order, train_state_init, train_step, train_steps

ACTIVATIONS = ("relu", "tanh")  # those that all three call by one name
FNMATH = "fnmath, a step at a time"
LOOP = "fnmath, a loop over the steps"
TOLERANCE = 1e-2  # float32 after some thirty steps; one wrong sign or layout is off by far more


class Task(NamedTuple):
    """What everyone starts from: weights, data, and which images each step takes."""

    config: Any
    network: Callable[..., jax.Array]
    optimizer: optax.GradientTransformation
    params: LenetParams
    images: np.ndarray
    labels: np.ndarray
    order: np.ndarray

    @property
    def margin(self) -> int:
        """The zeros on each side that make the images 32 × 32."""
        return (32 - self.images.shape[1]) // 2


class Peer:
    """A contestant: each call trains on through the batches of the task, and gives the losses."""

    def __init__(
        self,
        step: Callable[[Any, Any], tuple[Any, Any]],
        state: Any,
        batches: Any,
        weights: Callable[[Any], LenetParams],
    ):
        self.step, self.state, self.batches, self.weights = step, state, batches, weights

    def __call__(self) -> list[float]:
        """Make a step on each batch, and wait for its loss as a training that watches it would."""
        losses = []
        for indices in self.batches:
            self.state, loss = self.step(self.state, indices)
            losses += np.ravel(loss).tolist()
        return losses

    def params(self) -> LenetParams:
        """The weights as they are now, in fnmath's form."""
        return self.weights(self.state)


class Peers(NamedTuple):
    """Seconds per epoch of each, and how far each was from fnmath's answers before the timing."""

    seconds: Comparison
    losses: dict[str, float]
    params: dict[str, float]
    steps: int

    def to_dict(self) -> dict[str, Any]:
        """All of it, for metrics.json."""
        differences = {"losses": self.losses, "params": self.params}
        return {
            "seconds_per_epoch": self.seconds.to_dict(),
            "largest_differences": differences,
            "steps_compared": self.steps,
        }


def make_task(
    config: Any,
    data: tuple[Any, Any],
    params: LenetParams,
    *,
    network: Callable[..., jax.Array],
    optimizer: optax.GradientTransformation,
    steps: int,
) -> Task:
    """The first ``steps`` batches of an epoch, or as many as fill up."""
    images, labels = map(np.asarray, data)
    order = np.asarray(epoch_order(jax.random.key(config.seed), 0, examples=len(labels)))
    count = min(steps, len(labels) // config.batch_size)
    batches = order[: count * config.batch_size].reshape(count, config.batch_size)
    return Task(config, network, optimizer, params, images, labels, batches)


def compare_peers(task: Task, *, rounds: int = 15) -> Peers:
    """The answers of everyone, compared; then the time of an epoch, in turns.

    An epoch is timed by the steps of the task, and counted up to all images.
    """
    peers = make_peers(task)
    losses = {name: np.array(peer()) for name, peer in peers.items()}
    params = {name: peer.params() for name, peer in peers.items()}
    off = {name: float(np.abs(of - losses[FNMATH]).max()) for name, of in losses.items()}
    apart = {name: largest_difference(of, params[FNMATH]) for name, of in params.items()}
    for name in peers:
        if not max(off[name], apart[name]) < TOLERANCE:
            problem = f"losses differ by {off[name]:.2g}, parameters by {apart[name]:.2g}"
            raise ValueError(f"{name} does not train alike: {problem}")
    times = interleave(peers, rounds=rounds, baseline=FNMATH)
    share = len(task.labels) / task.order.size
    scaled = {name: tuple(t * share for t in ts) for name, ts in times.samples.items()}
    return Peers(Comparison(scaled, FNMATH), off, apart, len(task.order))


def largest_difference(params: LenetParams, others: LenetParams) -> float:
    """The largest difference of two numbers that stand in the same place."""
    pairs = zip(jax.tree.leaves(params), jax.tree.leaves(others), strict=True)
    return max(float(jnp.abs(a - b).max()) for a, b in pairs)


def make_peers(task: Task) -> dict[str, Peer]:
    """A step by fnmath, the same steps as one loop, and a step by every peer installed."""
    peers = {FNMATH: fnmath_peer(task), LOOP: fnmath_loop_peer(task)}
    for name, make in (("Flax", flax_peer), ("PyTorch, eager", torch_peer)):
        with contextlib.suppress(ImportError):
            peers[name] = make(task)
    return peers


def fnmath_parts(task: Task) -> tuple[Any, dict[str, Any]]:
    """The state that training starts from, and what a step has to be told."""

    def objective(params: Any, batch: Any, key: jax.Array | None) -> tuple[jax.Array, dict]:
        del key  # the network has no noise
        x, labels = batch
        return softmax_cross_entropy_with_integer_labels(task.network(params, x), labels), {}

    state = train_state_init(jax.random.key(task.config.seed), task.params, task.optimizer)
    return state, {"objective": objective, "optimizer": task.optimizer}


def fnmath_peer(task: Task) -> Peer:
    """``train_step``, compiled."""
    state, given = fnmath_parts(task)
    data, compiled = on_device(task), jax.jit(partial(train_step, **given))

    def step(state: Any, indices: np.ndarray) -> tuple[Any, Any]:
        state, metrics = compiled(state, jax.tree.map(lambda a: a[indices], data))
        return state, metrics["loss"]

    return Peer(step, state, task.order, lambda state: state.params)


def fnmath_loop_peer(task: Task) -> Peer:
    """``train_steps``: all steps as one program, as the experiment trains."""
    state, given = fnmath_parts(task)
    data, compiled = on_device(task), jax.jit(partial(train_steps, **given))

    def step(state: Any, order: np.ndarray) -> tuple[Any, Any]:
        state, metrics = compiled(state, data, order)
        return state, metrics["loss"]

    return Peer(step, state, [jnp.asarray(task.order)], lambda state: state.params)


def flax_peer(task: Task) -> Peer:
    """Flax's layers and optax's loss under the same optimiser of optax, compiled."""
    from flax import linen as nn

    act = getattr(nn, task.config.activation)
    pool = partial(getattr(nn, f"{task.config.pool}_pool"), window_shape=(2, 2), strides=(2, 2))
    classes = task.params.fc3.kernel.shape[1]

    class Lenet(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            h = pool(act(nn.Conv(6, (5, 5), padding=task.margin, name="conv1")(x)))
            h = pool(act(nn.Conv(16, (5, 5), padding="VALID", name="conv2")(h)))
            h = act(nn.Dense(120, name="fc1")(h.reshape(len(h), -1)))
            h = act(nn.Dense(84, name="fc2")(h))
            return nn.Dense(classes, name="fc3")(h)

    model, data = Lenet(), on_device(task)

    def mean_loss(params: Any, x: jax.Array, labels: jax.Array) -> jax.Array:
        logits: Any = model.apply({"params": params}, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @jax.jit
    def compiled(state: Any, x: jax.Array, labels: jax.Array) -> tuple[Any, jax.Array]:
        params, moments = state
        loss, slopes = jax.value_and_grad(mean_loss)(params, x, labels)
        updates, moments = task.optimizer.update(slopes, moments, params)
        return (optax.apply_updates(params, updates), moments), loss

    def step(state: Any, indices: np.ndarray) -> tuple[Any, Any]:
        return compiled(state, *(a[indices] for a in data))

    start = to_flax(task.params)
    state = (start, task.optimizer.init(start))
    return Peer(step, state, task.order, lambda state: from_flax(state[0], task.params))


def torch_peer(task: Task) -> Peer:
    """PyTorch's modules and its own optimiser, eagerly, on all cores."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(os.cpu_count() or 1)
    model = torch_lenet(task)
    optimizer = torch_optimizer(task.config, model)
    images = torch.tensor(task.images).movedim(-1, 1).contiguous()
    labels = torch.tensor(task.labels.astype(np.int64))

    def step(state: None, indices: torch.Tensor) -> tuple[None, Any]:
        optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(model(images[indices]), labels[indices])
        loss.backward()
        optimizer.step()
        return state, loss.item()

    def weights(_: None) -> LenetParams:
        arrays = {name: jnp.asarray(a.numpy(force=True)) for name, a in model.state_dict().items()}
        return reordered(from_torch(arrays, task.params), channels_first=False)

    return Peer(step, None, list(torch.tensor(task.order.astype(np.int64))), weights)


def torch_lenet(task: Task) -> Any:
    """The network as a ``torch.nn.Module`` of images with their channels first."""
    import torch
    from torch import nn
    from torch.nn import functional

    act = getattr(torch, task.config.activation)
    pool = getattr(functional, f"{task.config.pool}_pool2d")
    classes = task.params.fc3.kernel.shape[1]

    class Lenet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(1, 6, 5, padding=task.margin)
            self.conv2 = nn.Conv2d(6, 16, 5)
            self.fc1, self.fc2 = nn.Linear(400, 120), nn.Linear(120, 84)
            self.fc3 = nn.Linear(84, classes)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = pool(act(self.conv1(x)), 2)
            h = pool(act(self.conv2(h)), 2)
            h = act(self.fc1(h.flatten(1)))
            return self.fc3(act(self.fc2(h)))

    arrays = to_torch(reordered(task.params, channels_first=True))
    model = Lenet().to(torch.tensor(np.asarray(task.params.fc3.kernel)).dtype)
    model.load_state_dict({name: torch.tensor(np.asarray(a)) for name, a in arrays.items()})
    return model


def torch_optimizer(config: Any, model: Any) -> Any:
    """The rule of the configuration, with the decay on kernels only."""
    import torch

    kernels = [p for p in model.parameters() if p.ndim > 1]
    biases = [p for p in model.parameters() if p.ndim == 1]
    groups = [
        {"params": kernels, "weight_decay": config.weight_decay},
        {"params": biases, "weight_decay": 0.0},
    ]
    if config.optimizer == "adam":
        return torch.optim.AdamW(groups, lr=config.learning_rate)
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=0.9)


def reordered(params: LenetParams, *, channels_first: bool) -> LenetParams:
    """The same network, where what enters ``fc1`` is flattened with the channels first, or last."""
    kernel, bias = params.fc1
    if channels_first:
        rows = kernel.reshape(5, 5, 16, -1).transpose(2, 0, 1, 3)
    else:
        rows = kernel.reshape(16, 5, 5, -1).transpose(1, 2, 0, 3)
    return params._replace(fc1=type(params.fc1)(rows.reshape(kernel.shape), bias))


def on_device(task: Task) -> tuple[jax.Array, jax.Array]:
    """Images and labels as JAX's arrays."""
    return jnp.asarray(task.images), jnp.asarray(task.labels)


def show(console: Console, peers: Peers) -> None:
    """Seconds per epoch, and what was compared before."""
    console.print("[bold]seconds per epoch[/bold], in turns; ratios to the first")
    console.print(str(peers.seconds), markup=False)
    off, apart = max(peers.losses.values()), max(peers.params.values())
    console.print(
        f"after {peers.steps} steps from the same weights: losses within {off:.1g} nats, "
        f"parameters within {apart:.1g} of fnmath's"
    )
    for peer in ("Flax", "PyTorch"):
        if not any(name.startswith(peer) for name in peers.seconds.samples):
            console.print(f"absent: {peer} (not installed)")
    console.print()
