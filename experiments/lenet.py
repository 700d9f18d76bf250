"""How well does LeNet-5 read handwritten digits, and what does an epoch of it cost?

The published shape, two convolutions with pooling and three dense layers, with relu, maxima for the
pooling, cross-entropy and no distortions of the images. It looks at the test set once, at the end;
--no-test is for whoever still chooses options. With --peers it also times the same training step in
PyTorch and in Flax, from the same weights and on the same batches, once all agree.

Run      python -m experiments.lenet
Run      python -m experiments.lenet --data PATH --validation 0
Run      python -m experiments.lenet --data PATH --validation 0 --peers
Cost     15 seconds on two CPU cores; with MNIST 55 seconds, with the peers 20 more
Expect   digits: test accuracy 0.975 (seed 0); MNIST, 60,000 images: test error 0.76 % (seed 0)
Finding  MNIST, no distortions: test error 0.76 % ± 0.09 %, against 0.95 % as published
"""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from matplotlib.figure import SubFigure
from rich.console import Console

from experiments import command, lenet_peers
from experiments.data import CLASSES, DataError, Dataset, Examples, load
from experiments.figures import plot_digits
from fnmath.activations import ACTIVATIONS
from fnmath.layers import avg_pool, conv, max_pool
from fnmath.losses import softmax_cross_entropy_with_integer_labels
from fnmath.metrics import accuracy, confusion_matrix
from fnmath.networks import lenet, lenet_init
from fnmath.training import fit_with_progress, train_state_init

NAME = "lenet"
SIZES = (28, 32)  # of the images that the network takes
PUBLISHED = {
    "MNIST": (
        (0.0095, "LeNet-5, no distortions (LeCun and others, 1998)"),
        (0.0080, "LeNet-5, with distortions (the same)"),
    ),
}
POOLS = {"max": max_pool, "avg": avg_pool}


@dataclasses.dataclass(frozen=True)
class Config:
    """What to train on, how, and where the results go."""

    data: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """Folder with MNIST's four IDX files, plain or gzip. Left out: scikit-learn's digits."""
    activation: Annotated[str, tyro.conf.arg(metavar=f"{{{','.join(ACTIVATIONS)}}}")] = "relu"
    """The function φ after every layer but the last."""
    pool: Literal["max", "avg"] = "max"
    """What is made of each window of 2 × 2 pixels."""
    optimizer: Literal["momentum", "adam"] = "momentum"
    """The rule of the steps; momentum is of 0.9."""
    learning_rate: float = 0.05
    """Of the first step; it goes down to 0 along a cosine."""
    weight_decay: float = 5e-4
    """Pull of the kernels (not the biases) towards 0; for adam apart from the gradient."""
    epochs: int = 20
    """Times that each training image is seen."""
    batch_size: int = 64
    """Images per step."""
    validation: float = 1 / 6
    """Share of the training images held out to choose options by; 0 trains on all of them."""
    test: bool = True
    """Look at the test set. While you still choose, --no-test judges by the held-out images."""
    peers: bool = False
    """Time the training step against the same one in PyTorch and in Flax, those installed."""
    seed: int = 0
    """Of the initial weights and the order of the images. The split into sets never changes."""
    output: Path = Path("runs")
    """Where the folder of this run is made."""

    def __post_init__(self) -> None:
        """Refuse what no data could make sense of."""
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wanted at least 1")
        if self.activation not in ACTIVATIONS:
            names = ", ".join(ACTIVATIONS)
            raise ValueError(f"activation is {self.activation!r}; wanted one of {names}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate is {self.learning_rate}; wanted a number above 0")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay is {self.weight_decay}; wanted 0 or more")
        if not 0 <= self.validation < 1:
            raise ValueError(f"validation is {self.validation}; wanted a share in [0, 1)")
        if not self.test and not self.validation:
            raise ValueError("--no-test judges by held-out images; wanted a validation above 0")
        if self.peers and self.activation not in lenet_peers.ACTIVATIONS:
            names = " or ".join(lenet_peers.ACTIVATIONS)
            raise ValueError(f"--peers with activation {self.activation!r}; wanted {names}")
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed is {self.seed}; wanted an integer from 0 to 2³¹ − 1")


class Results(NamedTuple):
    """A trained network and what it did: per step, per epoch, and at the end on ``examples``.

    Those are the test set, looked at once; or the validation set, as long as there is to choose.
    """

    params: Any
    train: dict[str, jax.Array]
    validation: dict[str, jax.Array]
    final: dict[str, jax.Array]
    logits: jax.Array
    examples: Examples


def run(
    config: Config, *, dataset: Dataset | None = None, callback: Callable[..., Any] | None = None
) -> Results:
    """Train and test one network: the same numbers for the same configuration."""
    dataset = read(config) if dataset is None else dataset
    network = make_network(config)
    optimizer = make_optimizer(config, examples=len(dataset.train.labels))
    init_key, order_key = jax.random.split(jax.random.key(config.seed))
    state = train_state_init(order_key, lenet_init(init_key, classes=CLASSES), optimizer)
    held_out = as_images(dataset.validation) if len(dataset.validation.labels) else None
    state, history = fit_with_progress(
        state,
        as_images(dataset.train),
        objective=make_objective(network),
        optimizer=optimizer,
        epochs=config.epochs,
        batch_size=config.batch_size,
        validation=held_out,
        callback=callback,
    )
    examples_at_end = dataset.test if config.test else dataset.validation
    return judged(network, state.params, history.train, history.validation, examples_at_end)


def judged(
    network: Callable[..., jax.Array], params: Any, train: Any, validation: Any, examples: Examples
) -> Results:
    """The results of a run, its network judged by the examples."""
    x, labels = as_images(examples)
    logits = jax.jit(partial(jax.lax.map, partial(network, params), batch_size=500))(x)
    final = {
        "loss": softmax_cross_entropy_with_integer_labels(logits, labels).mean(),
        "accuracy": accuracy(logits, labels).mean(),
        "confusion": confusion_matrix(logits.argmax(axis=-1), labels, classes=CLASSES),
    }
    return Results(params, train, validation, final, logits, examples)


def make_network(config: Config) -> Callable[..., jax.Array]:
    """LeNet-5 with the activation and the pooling of the configuration."""
    activation, pool = ACTIVATIONS[config.activation], POOLS[config.pool]
    return lambda params, x: lenet(params, x, activation=activation, pool=pool)


def make_objective(network: Callable[..., jax.Array]) -> Callable[..., Any]:
    """The loss of each image, in nats, and whether it is read rightly."""

    def objective(params: Any, batch: Any, key: jax.Array | None) -> tuple[jax.Array, dict]:
        del key  # the network has no noise
        x, labels = batch
        logits = network(params, x)
        losses = softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses, {"accuracy": accuracy(logits, labels)}

    return objective


def read(config: Config) -> Dataset:
    """The data set, in images of a size that the network takes, if the batches fit it."""
    name, *sets = load(config.data, validation=config.validation)
    dataset = Dataset(name, *(Examples(framed(part.images), part.labels) for part in sets))
    images = len(dataset.train.labels)
    if config.batch_size > images:
        raise command.OptionError(
            f"--batch-size is {config.batch_size:,}; wanted at most {images:,}, the training images"
        )
    return dataset


def framed(images: np.ndarray) -> np.ndarray:
    """Images of 28 × 28: smaller ones enlarged by a whole factor, in the middle of zeros."""
    height, width = images.shape[1:]
    if height == width and height in SIZES:
        return images
    factor = min(SIZES[0] // height, SIZES[0] // width)
    if not factor:
        raise DataError(f"images of {height} × {width}; wanted 32 × 32, or 28 × 28 at most")
    large = images.repeat(factor, axis=1).repeat(factor, axis=2)
    rest = [SIZES[0] - n for n in large.shape[1:]]
    return np.pad(large, [(0, 0), *((n // 2, n - n // 2) for n in rest)])


def as_images(examples: Examples) -> tuple[jax.Array, jax.Array]:
    """Images with their one channel, and their labels."""
    return jnp.asarray(examples.images)[..., None], jnp.asarray(examples.labels)


def make_optimizer(config: Config, *, examples: int) -> optax.GradientTransformation:
    """The optax optimiser that the configuration describes."""
    steps = config.epochs * math.ceil(examples / config.batch_size)
    return make_rule(config, optax.cosine_decay_schedule(config.learning_rate, steps))


def make_rule(config: Config, rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    """The same at the given learning rate, a number or a schedule."""

    def kernels(params: Any) -> Any:
        return jax.tree.map(lambda p: jnp.ndim(p) > 1, params)

    if config.optimizer == "adam":
        return optax.adamw(rate, weight_decay=config.weight_decay, mask=kernels)
    decay = optax.add_decayed_weights(config.weight_decay, mask=kernels)
    return optax.chain(decay, optax.sgd(rate, momentum=0.9))


def plot(results: Results, path: Path, *, judged_on: str = "test") -> None:
    """One figure of the run: curves, confusions, the first layer's kernels, misread digits."""
    plot_digits(results, path, judged_on=judged_on, network="LeNet-5", draw_weights=draw_kernels)


def draw_kernels(panel: SubFigure, results: Results) -> None:
    """The first layer's kernels, and what each makes of one image before the activation."""
    kernel = np.asarray(results.params.conv1.kernel)[:, :, 0]
    count = kernel.shape[-1]
    image = jnp.asarray(results.examples.images[0])[..., None]
    maps = np.asarray(conv(results.params.conv1, image, padding=(32 - len(image)) // 2))
    axes: Any = panel.subplots(2, count + 1)
    for ax in axes.ravel():
        ax.set_axis_off()
    axes[1, 0].imshow(image[..., 0], cmap="gray_r", vmin=0, vmax=1)
    axes[1, 0].set_title("an image", fontsize=8, fontweight="normal", loc="center")
    for i in range(count):
        for ax, shown in ((axes[0, i + 1], kernel[..., i]), (axes[1, i + 1], maps[..., i])):
            ax.imshow(shown, cmap="RdBu", vmin=-np.abs(shown).max(), vmax=np.abs(shown).max())
    panel.suptitle(
        f"the {count} kernels of the first layer, and the image through each: "
        "blue above 0, red below",
        fontsize=10, fontweight="bold", x=0.02, ha="left",
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line → run → save → plot."""
    with command.plain_errors(NAME):
        config = command.parse(Config, arguments, doc=__doc__ or "", name=NAME)
        console = command.console()
        dataset = read(config)
        folder = command.make_folder(config.output, NAME)
        counts = {part: len(getattr(dataset, part).labels) for part in Dataset._fields[1:]}
        described = {**dataclasses.asdict(config), "dataset": {"name": dataset.name, **counts}}
        command.save_json(folder / "config.json", described | {"versions": command.versions()})
        print_setting(console, config, dataset)
        peers = compare_peers(config, dataset) if config.peers else None
        if peers is not None:
            lenet_peers.show(console, peers)
        started = time.perf_counter()
        with command.ProgressBar(console) as progress:
            results = run(config, dataset=dataset, callback=progress)
        seconds = time.perf_counter() - started
        judged_on = "test" if config.test else "validation"
        metrics = measured(results, seconds, config, judged_on)
        timed = {} if peers is None else {"peers": peers.to_dict()}
        command.save_json(folder / "metrics.json", metrics | timed)
        plot(results, folder / "figure.png", judged_on=judged_on)
        print_findings(console, dataset, results, metrics)
        console.print(f"saved in {folder}: config.json, metrics.json, figure.png")


def compare_peers(config: Config, dataset: Dataset, *, steps: int = 30) -> lenet_peers.Peers:
    """The training step, from the weights of the run, beside the same one of each peer."""
    init_key, _ = jax.random.split(jax.random.key(config.seed))
    task = lenet_peers.make_task(
        config,
        as_images(dataset.train),
        lenet_init(init_key, classes=CLASSES),
        network=make_network(config),
        optimizer=make_rule(config, config.learning_rate),
        steps=steps,
    )
    return lenet_peers.compare_peers(task)


def measured(results: Results, seconds: float, config: Config, judged_on: str) -> dict[str, Any]:
    """All numbers of a run, for metrics.json."""
    return {
        "judged_on": judged_on,
        **results.final,
        "error": 1 - results.final["accuracy"],
        "history": {
            "train": {name: values.mean(axis=1) for name, values in results.train.items()},
            "validation": results.validation,
        },
        "training_seconds": seconds,
        "seconds_per_epoch": seconds / config.epochs,
    }


def print_setting(console: Console, config: Config, dataset: Dataset) -> None:
    height, width = dataset.train.images.shape[1:]
    train, validation, test = (f"{len(part.labels):,}" for part in dataset[1:])
    parameters = sum(p.size for p in jax.tree.leaves(lenet_init(jax.random.key(0))))
    console.print(
        f"[bold]{dataset.name}[/bold]: images of {height} × {width}; {train} to learn from, "
        f"{validation} to choose by, {test} to test on once"
    )
    console.print(
        f"[bold]network[/bold]: LeNet-5, {config.activation}, {config.pool} pooling, "
        f"{parameters:,} parameters\n[bold]training[/bold]: {config.optimizer}, learning rate "
        f"{config.learning_rate:g} (cosine), weight decay {config.weight_decay:g}, "
        f"{config.epochs} epochs of batches of {config.batch_size}\n"
    )


def print_findings(console: Console, dataset: Dataset, results: Results, metrics: Any) -> None:
    images, error = len(results.examples.labels), float(metrics["error"])
    deviation = math.sqrt(error * (1 - error) / images)
    console.print(
        f"\n[bold]{metrics['judged_on']} accuracy {1 - error:.4f} ± {deviation:.4f}[/bold] "
        f"(one standard error), loss {float(metrics['loss']):.4f} nats; trained in "
        f"{metrics['training_seconds']:.1f} s, {metrics['seconds_per_epoch']:.2f} s an epoch, "
        "compiling and validating included"
    )
    table = command.table(f"{metrics['judged_on']} error", "misread", "")
    misread = f"{round(error * images)} of {images:,}"
    table.add_row(f"{error:.2%}", misread, "this run", style="bold")
    for published, what in PUBLISHED.get(dataset.name, ()):
        table.add_row(f"{published:.2%}", "published", what)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
