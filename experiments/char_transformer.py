"""How well does a small transformer learn to write, a character at a time, in two thousand steps?

It is nanoGPT's setting for a CPU: 4 blocks of 4 heads and 128 features, windows of 64 characters,
batches of 12, AdamW, no dropout, no biases; only that rotations of queries and keys tell the order,
unless --positions learned. The validation text is the last tenth. At the end all of it is read, in
windows that lie side by side; and 240 windows at random, as nanoGPT estimates its loss. Either way
every place of a window counts, so that the average character has half a window before it.

Run      python -m experiments.char_transformer
Run      python -m experiments.char_transformer --data FILE --seeds 2
Cost     a minute on two CPU cores that others used too; with Tiny Shakespeare 5 minutes a seed
Expect   sonnets: validation loss 2.07 nats (seed 0); Tiny Shakespeare: 1.80 nats (seeds 0 and 1:
         1.798, 1.792)
Finding  Tiny Shakespeare, 2,000 steps: 1.80 nats with rotations, 1.91 with learned positions, which
         are nanoGPT's own, against 1.88 as published
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
from jax import lax
from rich.console import Console

from experiments import char_transformer_peers, command
from experiments.text import Text, load, windows
from experiments.text_figures import attention_weights, plot_text
from fnmath.benchmark import Comparison
from fnmath.layers import rotary
from fnmath.losses import softmax_cross_entropy_with_integer_labels
from fnmath.metrics import accuracy
from fnmath.networks import (
    TransformerDecoderParams,
    transformer_decoder,
    transformer_decoder_generate,
    transformer_decoder_init,
)
from fnmath.training import (
    NonFiniteLossError,
    Progress,
    TrainState,
    evaluate,
    train_state_init,
    train_steps,
)

NAME = "char_transformer"
PUBLISHED = {
    "tinyshakespeare": (
        (1.88, "this setting, as nanoGPT's README gives it (2,000 steps, 20 batches to evaluate)"),
        (1.47, "6 blocks, 384 features, windows of 256, dropout, 5,000 steps (the same)"),
    )
}


LEAST = {
    **dict.fromkeys(("depth", "heads", "features", "batch_size", "evaluations"), 1),
    **dict.fromkeys(("sample", "rounds", "seeds"), 1),
    "context": 2,
    "warmup": 0,
}


@dataclasses.dataclass(frozen=True)
class Config:
    """What to learn from, which network, how, and where the results go."""

    data: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A text in UTF-8, such as Tiny Shakespeare. Left out: twenty-five sonnets."""
    depth: int = 4
    """Blocks."""
    heads: int = 4
    """Heads of each block."""
    features: int = 128
    """Features of each character within the network."""
    context: int = 64
    """Characters of a window: how far back the network sees."""
    positions: Literal["rotary", "learned"] = "rotary"
    """What tells the order: rotations of queries and keys, or a vector for each place (nanoGPT)."""
    steps: int | None = None
    """Steps of training; 2000 with --data, 250 without."""
    batch_size: int = 12
    """Windows per step, drawn at random."""
    learning_rate: float = 1e-3
    """Of the step after the warm-up; it falls to a tenth along a cosine."""
    warmup: int = 100
    """Steps over which the learning rate rises from 0."""
    weight_decay: float = 0.1
    """Of AdamW, for matrices only."""
    evaluations: int = 10
    """How often the validation loss is measured on the way, on 200 windows."""
    sample: int = 600
    """Characters that the network writes at the end."""
    temperature: float = 0.8
    """Of that sample."""
    peers: bool = False
    """Time a step beside the same network in PyTorch."""
    rounds: int = 20
    """How often each is timed then."""
    clock: Literal["wall", "cpu"] = "wall"
    """What times them; that of the processor, where other programs run too."""
    seed: int = 0
    """Of the initial weights and the windows."""
    seeds: int = 1
    """Networks to train: with 3, another two from the next seeds."""
    output: Path = Path("runs")
    """Where the folder of this run is made."""

    def __post_init__(self) -> None:
        """Refuse what no text could make sense of."""
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; wanted at least {least}")
        if self.features % self.heads:
            raise ValueError(f"heads is {self.heads}; wanted a divisor of {self.features} features")
        if self.number_of_steps % self.evaluations:
            problem = f"steps is {self.number_of_steps}"
            raise ValueError(f"{problem}; wanted a multiple of the {self.evaluations} evaluations")
        if not self.warmup < self.number_of_steps:
            raise ValueError(f"warmup is {self.warmup}; wanted fewer than the steps")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate is {self.learning_rate}; wanted a number above 0")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay is {self.weight_decay}; wanted 0 or more")
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature is {self.temperature}; wanted 0 or more")
        if isinstance(self.seed, int) and not 0 <= self.seed <= 2**31 - self.seeds:
            raise ValueError(f"seed is {self.seed}; wanted an integer from 0 to 2³¹ − seeds")

    @property
    def number_of_steps(self) -> int:
        """The steps asked for, or those of the setting."""
        if self.steps is not None:
            return self.steps
        return 250 if self.data is None else 2000


class Results(NamedTuple):
    """A trained network and what it did: each step, at each evaluation, and at the end."""

    params: Any
    train: dict[str, jax.Array]
    validation: dict[str, jax.Array]
    final: dict[str, jax.Array]


def run(
    config: Config, *, text: Text | None = None, callback: Callable[..., Any] | None = None
) -> Results:
    """Train and judge one network: a pure function of the configuration, the seed included.

    With a callback, which is told of each evaluation, the steps between two are a program of their
    own; without one the run is a single loop.
    """
    text = read(config) if text is None else text
    train = jnp.asarray(windows(text.train, config.context + 1))
    validation = jnp.asarray(windows(text.validation, config.context + 1))
    whole = validation[:: config.context]
    part = whole[:: -(-len(whole) // 200)]
    init_key, key = jax.random.split(jax.random.key(config.seed))
    judge, optimizer = objective(config), make_optimizer(config)
    state = train_state_init(key, initial(init_key, config, text), optimizer)

    def chunk(state: TrainState, batches: jax.Array) -> tuple[TrainState, Any]:
        state, made = train_steps(state, train, batches, objective=judge, optimizer=optimizer)
        return state, (made, evaluate(state.params, part, objective=judge))

    through = lax.scan if callback is None else partial(in_chunks, callback=callback)
    state, (made, judged) = through(chunk, state, drawn_batches(key, config, len(train)))
    drawn = validation[jax.random.randint(jax.random.fold_in(key, 0), (240,), 0, len(validation))]
    final = jax.jit(partial(at_the_end, config))(state.params, whole, drawn)
    return Results(state.params, jax.tree.map(jnp.ravel, made), judged, final)


def read(config: Config) -> Text:
    """The text, if the windows fit it."""
    text = load(config.data)
    if len(text.validation) <= config.context:
        problem = f"--context is {config.context}; wanted fewer than {len(text.validation):,}"
        raise command.OptionError(f"{problem}, the characters to judge by")
    return text


def initial(key: jax.Array, config: Config, text: Text) -> TransformerDecoderParams:
    """The network before training."""
    return transformer_decoder_init(
        key,
        len(text.characters),
        config.features,
        length=config.context if config.positions == "learned" else None,
        depth=config.depth,
        heads=config.heads,
        use_bias=False,
    )


def options(config: Config) -> dict[str, Any]:
    """What the network has to be told besides its parameters."""
    return {"heads": config.heads, "rotate": rotary if config.positions == "rotary" else None}


def read_windows(config: Config, params: Any, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    """For each character of windows but the first: the loss, in nats, and if it was foretold."""
    ids = rows.astype(jnp.int32)
    z, targets = transformer_decoder(params, ids[..., :-1], **options(config)), ids[..., 1:]
    return softmax_cross_entropy_with_integer_labels(z, targets), accuracy(z, targets)


def objective(config: Config) -> Callable[..., Any]:
    """The loss of a window, in nats per character, and the share of characters foretold."""

    def of_batch(params: Any, batch: jax.Array, key: jax.Array | None) -> tuple[jax.Array, dict]:
        del key  # the network has no noise
        losses, right = read_windows(config, params, batch)
        return losses.mean(axis=1), {"accuracy": right.mean(axis=1)}

    return of_batch


def make_optimizer(config: Config, rate: Any = None) -> optax.GradientTransformation:
    """AdamW as nanoGPT has it, after a gradient of length 1 at most; its rate rises and falls."""
    if rate is None:
        highest, steps = config.learning_rate, config.number_of_steps
        rate = optax.warmup_cosine_decay_schedule(0, highest, config.warmup, steps, highest / 10)
    adam = optax.adamw(rate, b2=0.99, weight_decay=config.weight_decay, mask=matrices)
    return optax.chain(optax.clip_by_global_norm(1.0), adam)


def matrices(params: Any) -> Any:
    """Which parameters are kernels or embeddings, by their names: those of blocks are stacked."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path[-1].name in {"kernel", "embedding"}, params
    )


def drawn_batches(key: jax.Array, config: Config, count: int) -> jax.Array:
    """Which windows each step learns from: (evaluations, steps between two, batch size)."""
    shape = (config.evaluations, -1, config.batch_size)
    size = (config.number_of_steps, config.batch_size)
    return jax.random.randint(key, size, 0, count).reshape(shape)


def in_chunks(
    chunk: Callable[..., Any],
    state: TrainState,
    batches: jax.Array,
    *,
    callback: Callable[..., Any],
) -> tuple[TrainState, Any]:
    """What ``lax.scan`` does, a program for each turn of the loop, with a word after it."""
    step, outputs, total = jax.jit(chunk), [], batches.shape[0] * batches.shape[1]
    for indices in batches:
        before, (state, output) = state, step(state, indices)
        outputs.append(output)
        made = {name: float(values[-1]) for name, values in output[0].items()}
        judged = {name: float(value) for name, value in output[1].items()}
        if not math.isfinite(made["loss"]):
            raise NonFiniteLossError(int(state.step) - 1, made["loss"], before)
        callback(Progress(int(state.step), total, 0, 1, made, judged))
    return state, jax.tree.map(lambda *parts: jnp.stack(parts), *outputs)


def at_the_end(
    config: Config, params: Any, whole: jax.Array, drawn: jax.Array
) -> dict[str, jax.Array]:
    """Loss and accuracy over all of the validation text, and over each of the drawn windows."""
    rows = jnp.concatenate([whole, drawn])
    losses, right = lax.map(partial(read_windows, config, params), rows, batch_size=50)
    n = len(whole)
    return {
        "loss": losses[:n].mean(),
        "accuracy": right[:n].mean(),
        "loss_by_place": losses[:n].mean(axis=0),
        "losses_of_drawn_windows": losses[n:].mean(axis=1),
    }


def sampled(config: Config, params: Any, start: jax.Array, key: jax.Array) -> jax.Array:
    """Characters that the network writes after ``start``, of half a window.

    It has learned to see no further than a window, so it writes half a window at a time, and goes
    on from the half that it wrote.
    """
    half = len(start)
    given = {"length": half, "temperature": config.temperature, **options(config)}

    def write(prompt: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        ids = transformer_decoder_generate(key, params, prompt, **given)
        return ids, ids

    keys = jax.random.split(key, -(-config.sample // half))
    return jnp.ravel(lax.scan(write, start, keys)[1])[: config.sample]


def losses_of_seeds(config: Config, text: Text, first: jax.Array) -> np.ndarray:
    """Final losses of networks from one seed after another, that of the first given."""

    @jax.jit
    def of_seed(seed: jax.Array) -> jax.Array:
        return run(dataclasses.replace(config, seed=seed), text=text).final["loss"]

    return np.array([first, *(of_seed(config.seed + i) for i in range(1, config.seeds))])


def compare_peers(config: Config, text: Text) -> tuple[Comparison, dict[str, float]]:
    """Seconds per step of this network here and in PyTorch, at a constant learning rate."""
    key, rate = jax.random.key(config.seed), config.learning_rate
    rows = windows(text.train, config.context + 1)
    drawn = jax.random.randint(key, (10, config.batch_size), 0, len(rows))
    return char_transformer_peers.compare_peers(
        initial(key, config, text),
        rows[np.asarray(drawn)],
        objective=objective(config),
        optimizer=make_optimizer(config, rate),
        in_torch={
            "heads": config.heads,
            "rotary": config.positions == "rotary",
            "learning_rate": rate,
            "weight_decay": config.weight_decay,
        },
        rounds=config.rounds,
        clock=time.perf_counter if config.clock == "wall" else time.process_time,
    )


class TextProgress(command.ProgressBar):
    """Loss and share foretold, of the last step and of the validation text."""

    def status(self, progress: Progress) -> str:
        """What is said at each evaluation."""
        losses = f"loss {progress.train['loss']:.3f}  validation {progress.validation['loss']:.3f}"
        return f"step {progress.step:>4}/{progress.steps}  {losses}"


def plot(results: Results, path: Path, **shown: Any) -> None:
    """One figure of the run: curve, loss by place, attention, sample."""
    plot_text(results, path, **shown)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line → run → save → plot."""
    with command.plain_errors(NAME):
        config = command.parse(Config, arguments, doc=__doc__ or "", name=NAME)
        console = command.console()
        text = read(config)
        folder = command.make_folder(config.output, NAME)
        settings = {**dataclasses.asdict(config), "steps": config.number_of_steps}
        counts = {part: len(getattr(text, part)) for part in ("characters", "train", "validation")}
        described = {**settings, "text": {"name": text.name, **counts}}
        command.save_json(folder / "config.json", described | {"versions": command.versions()})
        print_setting(console, config, text)
        started = time.perf_counter()
        with TextProgress(console) as progress:
            results = run(config, text=text, callback=progress)
        seconds = time.perf_counter() - started
        seen = look(config, text, results)
        spread = losses_of_seeds(config, text, results.final["loss"])
        times = compare_peers(config, text) if config.peers else None
        metrics = measured(results, seconds, seen["sample"], spread, times)
        command.save_json(folder / "metrics.json", metrics)
        published = PUBLISHED.get(text.name, ())
        plot(results, folder / "figure.png", name=text.name, published=published[:1], **seen)
        print_findings(console, text, metrics, published, times)
        console.print(f"saved in {folder}: config.json, metrics.json, figure.png")


def look(config: Config, text: Text, results: Results) -> dict[str, Any]:
    """What the network writes after the start, and where its heads look while it reads a line."""
    start = jnp.asarray(text.validation[: config.context // 2], jnp.int32)
    line = jnp.asarray(text.validation[: min(config.context, 20)], jnp.int32)
    key = jax.random.fold_in(jax.random.key(config.seed), 1)
    ids = jax.jit(partial(sampled, config))(results.params, start, key)
    weights = jax.jit(partial(attention_weights, **options(config)))(results.params, line)
    texts = {"start": start, "sample": ids, "line": line}
    return {name: text.decoded(np.asarray(ids)) for name, ids in texts.items()} | {
        "weights": weights
    }


def measured(
    results: Results, seconds: float, written: str, spread: np.ndarray, times: Any
) -> dict[str, Any]:
    """All numbers of a run, for metrics.json."""
    found = {
        **results.final,
        "history": {"train": results.train, "validation": results.validation},
        "training_seconds": seconds,
        "losses_by_seed": spread,
        "sample": written,
    }
    if times is not None:
        found["seconds_per_step"] = times[0].to_dict()
        found["largest_difference_of_losses"] = times[1]
    return found


def print_setting(console: Console, config: Config, text: Text) -> None:
    shapes = jax.eval_shape(partial(initial, config=config, text=text), jax.random.key(0))
    parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
    console.print(
        f"[bold]{text.name}[/bold]: {len(text.characters)} characters; {len(text.train):,} to "
        f"learn from, {len(text.validation):,} to judge by\n"
        f"[bold]network[/bold]: {config.depth} blocks, {config.heads} heads, {config.features} "
        f"features, windows of {config.context}, {config.positions} positions; "
        f"{parameters:,} parameters\n"
        f"[bold]training[/bold]: {config.number_of_steps:,} steps of {config.batch_size} windows, "
        f"AdamW, learning rate {config.learning_rate:g} (cosine)\n"
    )


def print_findings(
    console: Console, text: Text, metrics: dict[str, Any], published: Any, times: Any
) -> None:
    console.print(f"\n{metrics['sample']}\n", markup=False)
    loss, drawn = float(metrics["loss"]), np.asarray(metrics["losses_of_drawn_windows"])
    error = float(drawn.std(ddof=1)) / math.sqrt(len(drawn))
    console.print(
        f"[bold]validation loss {loss:.4f} nats[/bold] a character over the whole of it, "
        f"{float(metrics['accuracy']):.1%} foretold; trained in {metrics['training_seconds']:.1f} s"
    )
    if len(spread := metrics["losses_by_seed"]) > 1:
        listed = ", ".join(f"{loss:.4f}" for loss in spread)
        console.print(f"over {len(spread)} seeds: {listed}; mean {spread.mean():.4f}")
    table = command.table("validation loss", "nats", "")
    table.add_row("this run", f"{loss:.3f}", "all of the text", style="bold")
    windows = f"{len(drawn)} windows at random, as nanoGPT estimates it; ± {error:.3f}"
    table.add_row("this run", f"{drawn.mean():.3f}", windows)
    for value, what in published:
        table.add_row("published", f"{value:.2f}", what)
    uniform = math.log(len(text.characters))
    table.add_row("knowing nothing", f"{uniform:.2f}", "all characters alike")
    console.print(table)
    if times is not None:
        console.print(str(times[0]), markup=False)
        if not any("PyTorch" in name for name in times[0].samples):
            console.print("absent: PyTorch (not installed)")


if __name__ == "__main__":
    sys.exit(main())
