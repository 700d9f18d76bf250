"""How long do fnmath's pooling, norms, attention and recurrences take beside JAX and PyTorch?

Run      python -m experiments.benchmarks.other_layers
Cost     2 minutes on two CPU cores
Expect   maxima 8 to 20 × faster than JAX; norms as fast; attention's memory linear in length

Float32, channels last. JAX is what its users have: Flax's layers, and ``jax.nn`` for attention; for
gradients of each example and for ensembles, ``vmap`` of a network with XLA's convolutions. Forward
is the compiled function, both is the output and all gradients. Answers are compared before times;
all take turns in one process. PyTorch runs eagerly on all cores, images with channels last in
memory. The last two cases have one program for both passes.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import command
from experiments.benchmarks.layers import (
    OURS,
    TORCH,
    Passes,
    compare,
    markdown,
    plot,
    save,
    summary,
)
from fnmath import layers

NAME = "benchmarks.other_layers"
JAX = "JAX"
Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    rounds: int = 15
    """How often each contestant is timed; one slower than half a second, three times."""
    only: str = ""
    """Part of the names of the cases to time; all of them if empty."""
    output: Path = Path("runs")
    """Where the results go."""


def normal(seed: int, *shape: int) -> Array:
    return jax.random.normal(jax.random.key(seed), shape)


def jax_passes(f: Callable[..., Array], *args: Any) -> Passes:
    """The forward pass, and the output with the gradients of all arguments that are floats."""
    places = [i for i, a in enumerate(args) if jnp.issubdtype(a.dtype, jnp.floating)]
    cotangent = normal(97, *jax.eval_shape(f, *args).shape)

    def value_and_gradients(cotangent: Array, *args: Any) -> tuple[Array, ...]:
        def of_floats(*floats: Array) -> Array:
            every = list(args)
            for i, a in zip(places, floats, strict=True):
                every[i] = a
            return f(*every)

        y, back = jax.vjp(of_floats, *(args[i] for i in places))
        return y, *back(cotangent)

    forward = jax.jit(f).lower(*args).compile()
    both = jax.jit(value_and_gradients).lower(cotangent, *args).compile()
    return lambda: forward(*args), lambda: both(cotangent, *args)


def torch_passes(f: Callable[..., Any], *args: Any, weights: Sequence[Any] = ()) -> Passes:
    """The same in PyTorch; ``weights`` are parameters that have gradients too."""
    import torch

    tensors = [a if isinstance(a, torch.Tensor) else torch.tensor(np.asarray(a)) for a in args]
    tensors = [t.requires_grad_() if t.is_floating_point() else t.long() for t in tensors]
    floats = [*(t for t in tensors if t.is_floating_point()), *weights]
    with torch.no_grad():
        shape = f(*tensors).shape
    cotangent = torch.tensor(np.asarray(normal(97, *shape)))

    def forward() -> Any:
        with torch.no_grad():
            return f(*tensors)

    def both() -> tuple[Any, ...]:
        y = f(*tensors)
        return y.detach(), *torch.autograd.grad(y, floats, cotangent)

    return forward, both


def images_first(f: Callable[..., Any]) -> Callable[..., Any]:
    """PyTorch's layer of images, for images whose channels are last here and in memory."""
    return lambda x, *args: f(x.movedim(-1, 1), *args).movedim(1, -1)


def has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


# ------------------------------------------------------------------------------------------ layers


def pooling(kind: str, window: int, strides: int, *shape: int) -> dict[str, Passes]:
    from flax import linen

    x = normal(0, *shape)
    square, steps = (window, window), (strides, strides)
    low = (window - 1) // 2
    ours = {"max": layers.max_pool, "avg": layers.avg_pool}[kind]
    theirs = {"max": linen.max_pool, "avg": linen.avg_pool}[kind]
    found = {
        OURS: jax_passes(lambda x: ours(x, window=square, strides=steps, padding=low), x),
        JAX: jax_passes(lambda x: theirs(x, square, steps, [(low, low)] * 2), x),
    }
    if has_torch():
        from torch.nn import functional

        pool = {"max": functional.max_pool2d, "avg": functional.avg_pool2d}[kind]
        found[TORCH] = torch_passes(images_first(lambda x: pool(x, window, strides, low)), x)
    return found


def embedding(vocabulary: int, features: int, *shape: int) -> dict[str, Passes]:
    table = normal(0, vocabulary, features)
    ids = jax.random.randint(jax.random.key(1), shape, 0, vocabulary)
    found = {
        OURS: jax_passes(lambda t, i: layers.embedding(layers.EmbeddingParams(t), i), table, ids),
        JAX: jax_passes(lambda t, i: jnp.take(t, i, axis=0), table, ids),
    }
    if has_torch():
        from torch.nn import functional

        found[TORCH] = torch_passes(lambda t, i: functional.embedding(i, t), table, ids)
    return found


def norm(kind: str, *shape: int) -> dict[str, Passes]:
    from flax import linen

    x, scale, bias = normal(0, *shape), normal(1, shape[-1]), normal(2, shape[-1])
    stats = layers.BatchStats(jnp.zeros_like(bias), jnp.ones_like(scale))
    ours, module = {
        "layer": (layers.layer_norm, linen.LayerNorm(epsilon=1e-5)),
        "rms": (layers.rms_norm, linen.RMSNorm(epsilon=1e-5)),
        "group": (functools.partial(layers.group_norm, groups=8), linen.GroupNorm(8, epsilon=1e-5)),
        "batch": (
            lambda p, x, **options: layers.batch_norm_train(p, stats, x, **options)[0],
            linen.BatchNorm(use_running_average=False, epsilon=1e-5),
        ),
    }[kind]
    args = (x, scale) if kind == "rms" else (x, scale, bias)

    def by_flax(x: Array, scale: Array, *bias: Array) -> Array:
        params = {"scale": scale} | ({"bias": bias[0]} if bias else {})
        variables: dict[str, Any] = {"params": params}
        if kind != "batch":
            return module.apply(variables, x)
        variables["batch_stats"] = {"mean": stats.mean, "var": stats.var}
        return module.apply(variables, x, mutable="batch_stats")[0]

    def by_us(x: Array, scale: Array, *bias: Array) -> Array:
        return ours(layers.NormParams(scale, bias[0] if bias else None), x, epsilon=1e-5)

    found = {OURS: jax_passes(by_us, *args), JAX: jax_passes(by_flax, *args)}
    if has_torch():
        from torch.nn import functional

        last = shape[-1:]
        theirs = {
            "layer": lambda x, s, b: functional.layer_norm(x, last, s, b, 1e-5),
            "rms": lambda x, s: functional.rms_norm(x, last, s, 1e-5),
            "group": images_first(lambda x, s, b: functional.group_norm(x, 8, s, b, 1e-5)),
            "batch": images_first(
                lambda x, s, b: functional.batch_norm(x, None, None, s, b, True, 0.1, 1e-5)
            ),
        }[kind]
        found[TORCH] = torch_passes(theirs, *args)
    return found


def attention(length: int, *, causal: bool, heads: int = 4, width: int = 64) -> dict[str, Passes]:
    q, k, v = (normal(i, 1, length, heads, width) for i in range(3))
    ours, theirs = (
        functools.partial(f, is_causal=causal)
        for f in (layers.blockwise_attention, jax.nn.dot_product_attention)
    )
    found = {OURS: jax_passes(ours, q, k, v), JAX: jax_passes(theirs, q, k, v)}
    if has_torch():
        from torch.nn.functional import scaled_dot_product_attention

        def by_torch(*arrays: Any) -> Any:
            heads_first = (a.transpose(1, 2) for a in arrays)
            return scaled_dot_product_attention(*heads_first, is_causal=causal).transpose(1, 2)

        found[TORCH] = torch_passes(by_torch, q, k, v)
    return found


def recurrence(kind: str, batch: int, time: int, features: int, hidden: int) -> dict[str, Passes]:
    from flax import linen

    gates = {"lstm": "ifgo", "gru": "rzn"}[kind]
    ours, Params, cell = {
        "lstm": (layers.lstm, layers.LSTMParams, linen.OptimizedLSTMCell),
        "gru": (layers.gru, layers.GRUParams, linen.GRUCell),
    }[kind]
    width = len(gates) * hidden
    x = normal(0, batch, time, features)
    shapes = (features, width), (hidden, width), (width,), (width,)
    params = [normal(1 + i, *s) / hidden**0.5 for i, s in enumerate(shapes)]
    module = linen.RNN(cell(hidden))

    def by_flax(x: Array, *params: Array) -> Array:
        tree = {}
        split = (jnp.split(p, len(gates), axis=-1) for p in params)
        for gate, W, U, b, d in zip(gates, *split, strict=True):
            i, h = {"kernel": W}, {"kernel": U}
            if kind == "lstm":
                h["bias"] = b + d
            elif gate == "n":
                i["bias"], h["bias"] = b, d
            else:
                i["bias"] = b + d
            tree |= {f"i{gate}": i, f"h{gate}": h}
        return jnp.asarray(module.apply({"params": {"cell": tree}}, x))

    found = {
        OURS: jax_passes(lambda x, *p: ours(Params(*p), x)[0], x, *params),
        JAX: jax_passes(by_flax, x, *params),
    }
    if has_torch():
        import torch

        net = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](features, hidden, batch_first=True)
        weights = (net.weight_ih_l0, net.weight_hh_l0, net.bias_ih_l0, net.bias_hh_l0)
        with torch.no_grad():
            for weight, p in zip(weights, params, strict=True):
                weight.copy_(torch.tensor(np.asarray(p).T))
        forward, both = torch_passes(lambda x: net(x)[0], x, weights=weights)
        found[TORCH] = (
            forward,
            lambda: tuple(a.T if i in (2, 3) else a for i, a in enumerate(both())),
        )
    return found


# ------------------------------------------------------------------------------- vmap of a network


def mapped(kind: str, number: int, batch: int) -> dict[str, Passes]:
    """The gradients of each example, or of each of many networks, of two convolutions."""
    lead = (number,) if kind == "ensemble" else ()
    kernels = [normal(i, *lead, *s) / 10 for i, s in enumerate([(3, 3, 1, 16), (3, 3, 16, 32)])]
    x = normal(5, *(() if lead else (number,)), batch, 28, 28, 1)

    def network(method: str | None, k1: Array, k2: Array, x: Array) -> Array:
        h = layers.conv(layers.ConvParams(k1), x, strides=2, method=method)
        h = layers.conv(layers.ConvParams(k2), jnp.tanh(h), strides=2, method=method)
        return jnp.mean(jnp.square(jnp.tanh(h)), axis=(-3, -2, -1)).sum()

    def gradients(method: str | None) -> Callable[..., Array]:
        f = jax.grad(functools.partial(network, method), argnums=(0, 1))
        f = jax.vmap(f, (0, 0, None) if lead else (None, None, 0))
        return lambda *args: jnp.concatenate([jnp.ravel(a) for a in f(*args)])

    found = {}
    for name, method in ((OURS, None), (JAX, "lax")):
        compiled = jax.jit(gradients(method)).lower(*kernels, x).compile()
        call = functools.partial(compiled, *kernels, x)
        found[name] = call, lambda call=call: (call(),)
    return found


CASES: dict[str, Callable[[], dict[str, Passes]]] = {
    "max_pool 2×2, 56×56×64": lambda: pooling("max", 2, 2, 8, 56, 56, 64),
    "max_pool 3×3, stride 2, 56×56×64": lambda: pooling("max", 3, 2, 8, 56, 56, 64),
    "max_pool 3×3, stride 1, 28×28×64": lambda: pooling("max", 3, 1, 8, 28, 28, 64),
    "avg_pool 2×2, 56×56×64": lambda: pooling("avg", 2, 2, 8, 56, 56, 64),
    "embedding 10,000 × 256, 2,048 tokens": lambda: embedding(10_000, 256, 16, 128),
    "layer_norm 8×512×512": lambda: norm("layer", 8, 512, 512),
    "rms_norm 8×512×512": lambda: norm("rms", 8, 512, 512),
    "group_norm 8×28×28×128": lambda: norm("group", 8, 28, 28, 128),
    "batch_norm 16×28×28×64": lambda: norm("batch", 16, 28, 28, 64),
    "attention, 2,048 tokens": lambda: attention(2048, causal=False),
    "attention, 2,048 tokens, causal": lambda: attention(2048, causal=True),
    "attention, 4,096 tokens, causal": lambda: attention(4096, causal=True),
    "lstm 32×128, 128→256": lambda: recurrence("lstm", 32, 128, 128, 256),
    "gru 32×128, 128→256": lambda: recurrence("gru", 32, 128, 128, 256),
    "gradients of 64 examples": lambda: mapped("examples", 64, 1),
    "gradients of 8 networks": lambda: mapped("ensemble", 8, 16),
}


def memory(lengths: Sequence[int] = (2048, 4096, 8192)) -> str:
    """Temporary memory of attention, both passes, as XLA plans it."""
    lines = ["| tokens | fnmath, MiB | jax.nn, MiB |", "|--:|--:|--:|"]
    for length in lengths:
        array = jax.ShapeDtypeStruct((1, length, 4, 64), jnp.float32)
        sizes = []
        for f in (layers.blockwise_attention, jax.nn.dot_product_attention):
            both = jax.grad(lambda *a, f=f: jnp.sum(f(*a, is_causal=True)), argnums=(0, 1, 2))
            plan = jax.jit(both).lower(array, array, array).compile().memory_analysis()
            sizes.append(getattr(plan, "temp_size_in_bytes", math.nan) / 2**20)
        lines.append(f"| {length:,} | {sizes[0]:.0f} | {sizes[1]:,.0f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    with command.plain_errors(NAME):
        config = command.parse(Config, arguments, doc=__doc__ or "", name=NAME)
        if config.rounds < 1:
            raise command.OptionError("--rounds must be at least 1")
        chosen = {name: make for name, make in CASES.items() if config.only in name}
        if not chosen:
            raise command.OptionError(f"--only: no name of {', '.join(CASES)}")
        if importlib.util.find_spec("flax") is None:
            raise command.OptionError("Flax is not installed: pip install flax")
        folder = command.make_folder(config.output, NAME.replace(".", "/"))
        results = {}
        for name, make in chosen.items():
            results[name] = compare(make(), config.rounds, baseline=JAX)
            print(markdown({name: results[name]}).splitlines()[-1], flush=True)
        table = f"{markdown(results)}\n\n{summary(results)}\n\n{memory()}"
        save(folder, results, table, dataclasses.asdict(config))
        plot(results, folder / "other_layers.png")
        print(f"\n{table}\n\nSaved to {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
