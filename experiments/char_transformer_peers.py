"""A step of ``char_transformer`` beside the same one in PyTorch: agreement first, then the times.

The network is GPT-2 as nanoGPT writes it: pre-norm blocks, queries, keys and values of all heads
from one matrix product, tied or untied scores; with learned positions, or rotations of queries and
keys as in GPT-NeoX. PyTorch is imported where a model is made.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fnmath.benchmark import Comparison, interleave
from fnmath.networks import TransformerDecoderParams
from fnmath.training import train_state_init, train_step, train_steps


class Peer:
    """A contestant: a step on each batch, one after another, and on from there at the next call."""

    def __init__(self, step: Callable[[Any, Any], tuple[Any, Any]], state: Any, batches: Any):
        self.step, self.state, self.batches = step, state, batches

    def __call__(self) -> list[float]:
        """Make the steps; the losses before each."""
        losses = []
        for batch in self.batches:
            self.state, loss = self.step(self.state, batch)
            losses.append(loss)
        return [float(value) for loss in losses for value in np.ravel(loss)]


def compare_peers(
    params: TransformerDecoderParams,
    batches: np.ndarray,
    *,
    objective: Callable[..., Any],
    optimizer: optax.GradientTransformation,
    in_torch: dict[str, Any],
    rounds: int,
    clock: Callable[[], float],
) -> tuple[Comparison, dict[str, float]]:
    """Seconds per step of each, and by how much its first losses differ from fnmath's.

    ``batches`` are the windows of each step; ``in_torch`` is what ``torch_peer`` has to be told.
    """
    peers = fnmath_peers(params, batches, objective, optimizer)
    with contextlib.suppress(ImportError):
        peers["PyTorch, eager"] = torch_peer(params, batches, **in_torch)
    losses = {name: np.array(peer()) for name, peer in peers.items()}
    first = next(iter(losses.values()))
    differences = {name: float(np.max(np.abs(loss - first))) for name, loss in losses.items()}
    for name, difference in differences.items():
        if not difference < 1e-3:
            raise ValueError(f"{name} does not train alike: its losses differ by {difference:.2g}")
    comparison = interleave(peers, rounds=rounds, clock=clock)
    return comparison.per(dict.fromkeys(peers, len(batches))), differences


def fnmath_peers(
    params: TransformerDecoderParams,
    batches: np.ndarray,
    objective: Callable[..., Any],
    optimizer: optax.GradientTransformation,
) -> dict[str, Peer]:
    """A call for each step, and a loop of all of them in one program."""
    steps, examples, _ = batches.shape
    rows = jnp.asarray(batches.reshape(steps * examples, -1))
    indices = jnp.arange(steps * examples).reshape(steps, examples)
    given = {"objective": objective, "optimizer": optimizer}

    @partial(jax.jit, donate_argnums=0)
    def single(state: Any, batch: jax.Array) -> tuple[Any, jax.Array]:
        state, made = train_step(state, batch, **given)
        return state, made["loss"]

    @partial(jax.jit, donate_argnums=0)
    def together(state: Any, indices: jax.Array) -> tuple[Any, jax.Array]:
        state, made = train_steps(state, rows, indices, **given)
        return state, made["loss"]

    start = partial(train_state_init, jax.random.key(0), params, optimizer)
    return {
        "fnmath, a step at a time": Peer(single, start(), list(map(jnp.asarray, batches))),
        f"fnmath, {steps} steps by train_steps": Peer(together, start(), [indices]),
    }


def torch_peer(
    params: TransformerDecoderParams,
    batches: np.ndarray,
    *,
    heads: int,
    rotary: bool,
    learning_rate: float,
    weight_decay: float,
) -> Peer:
    """The same network with PyTorch's own cross-entropy, clipping and AdamW."""
    import torch
    from torch.nn import functional

    allowed = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    torch.set_num_threads(len(allowed(0)))  # as many as XLA takes
    model = torch_decoder(params, heads=heads, rotary=rotary)
    optimizer = adamw(model, beta2=0.99, learning_rate=learning_rate, weight_decay=weight_decay)

    def step(state: None, ids: torch.Tensor) -> tuple[None, Any]:
        optimizer.zero_grad(set_to_none=True)
        z = model(ids[:, :-1])
        loss = functional.cross_entropy(z.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return state, loss.detach().numpy()

    return Peer(step, None, list(torch.tensor(batches.astype(np.int64))))


def torch_decoder(params: TransformerDecoderParams, *, heads: int, rotary: bool = False) -> Any:
    """A ``torch.nn.Module`` of ids, with copies of the weights."""
    import torch
    from torch import nn
    from torch.nn import functional

    @lru_cache
    def turns(time: int, features: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        rates = 10000.0 ** (-torch.arange(0, features, 2, dtype=torch.float64) / features)
        angles = torch.outer(torch.arange(time), rates).to(dtype)
        return angles.cos(), angles.sin()

    def rotated(x: torch.Tensor) -> torch.Tensor:
        (cos, sin), (a, b) = turns(*x.shape[-2:], x.dtype), x.chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)

    def linear(layer: Any) -> nn.Linear:
        kernel, bias = layer
        made = nn.Linear(*kernel.shape, bias=bias is not None, dtype=tensor(kernel).dtype)
        made.weight = nn.Parameter(tensor(kernel).T.contiguous())
        if bias is not None:
            made.bias = nn.Parameter(tensor(bias))
        return made

    def normalisation(layer: Any) -> nn.LayerNorm:
        scale, bias = layer
        made = nn.LayerNorm(len(scale), bias=bias is not None, dtype=tensor(scale).dtype)
        made.weight = nn.Parameter(tensor(scale))
        if bias is not None:
            made.bias = nn.Parameter(tensor(bias))
        return made

    def tensor(array: Any) -> torch.Tensor:
        return torch.tensor(np.asarray(array))

    def joined(attention: Any) -> nn.Linear:
        layers = attention[:3]
        kernel = np.concatenate([layer.kernel for layer in layers], axis=1)
        biases = [layer.bias for layer in layers]
        return linear((kernel, None if biases[0] is None else np.concatenate(biases)))

    class Block(nn.Module):
        def __init__(self, block: Any):
            super().__init__()
            self.ln_1, self.ln_2 = normalisation(block.ln_1), normalisation(block.ln_2)
            self.c_attn = joined(block.self_attention)
            self.c_proj = linear(block.self_attention.out)
            self.c_fc, self.mlp_proj = map(linear, block.mlp)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            batch, time, features = x.shape
            split = self.c_attn(self.ln_1(x)).split(features, dim=2)
            q, k, v = (a.view(batch, time, heads, features // heads).transpose(1, 2) for a in split)
            if rotary:
                q, k = rotated(q), rotated(k)
            o = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.c_proj(o.transpose(1, 2).reshape(batch, time, features))
            hidden = functional.gelu(self.c_fc(self.ln_2(x)), approximate="tanh")
            return x + self.mlp_proj(hidden)

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wte = nn.Parameter(tensor(params.token_embedding.embedding))
            positions = params.pos_embedding
            self.wpe = None if positions is None else nn.Parameter(tensor(positions.embedding))
            depth = len(params.layers.ln_1.scale)  # type: ignore[arg-type]
            each = [jax.tree.map(lambda a, i=i: a[i], params.layers) for i in range(depth)]
            self.blocks = nn.ModuleList(map(Block, each))
            self.ln_f = normalisation(params.ln)
            self.head = None if params.head is None else linear(params.head)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            x = functional.embedding(ids, self.wte)
            if self.wpe is not None:
                x = x + self.wpe[: ids.shape[-1]]
            for block in self.blocks:
                x = block(x)
            x = self.ln_f(x)
            return x @ self.wte.T if self.head is None else self.head(x)

    return Decoder()


def adamw(model: Any, *, learning_rate: float, weight_decay: float, beta2: float) -> Any:
    """PyTorch's AdamW with the decay on matrices only, as nanoGPT groups them."""
    import torch

    matrices = [p for p in model.parameters() if p.ndim >= 2]
    rest = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, beta2))
