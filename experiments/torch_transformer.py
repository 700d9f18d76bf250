"""The transformer decoder in PyTorch, with the weights of one of fnmath's, to compare with.

It is GPT-2 as nanoGPT writes it: pre-norm blocks, attention of all heads from one matrix product,
tied or untied scores; with learned positions, or rotations of queries and keys as in GPT-NeoX.
PyTorch is imported where a model is made.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from fnmath.networks import TransformerDecoderParams


def torch_decoder(params: TransformerDecoderParams, *, heads: int, rotary: bool = False) -> Any:
    """A ``torch.nn.Module`` of ids, with copies of the weights."""
    import torch
    from torch import nn
    from torch.nn import functional

    def rotated(x: torch.Tensor) -> torch.Tensor:
        time, features = x.shape[-2:]
        rates = 10000.0 ** (-torch.arange(0, features, 2, dtype=torch.float64) / features)
        angles = torch.outer(torch.arange(time), rates).to(x.dtype)
        a, b = x.chunk(2, dim=-1)
        cos, sin = angles.cos(), angles.sin()
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
            self.c_attn, self.c_proj = (
                joined(block.self_attention),
                linear(block.self_attention.out),
            )
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
