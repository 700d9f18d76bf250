"""How PyTorch and Flax lay out the arrays of each kind of layer.

Notation: that of the chapter. Each function here is a part of P: from the parameters of one layer
to its arrays, under the names that the other library gives them within the layer. An array that is
None is left out by ``present``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from fnmath.conversion._trees import Layouts, Named
from fnmath.layers import (
    BatchStats,
    BidirectionalParams,
    BilinearParams,
    ConvParams,
    ConvTransposeParams,
    DenseParams,
    EmbeddingParams,
    GRUParams,
    LSTMParams,
    MambaParams,
    MultiHeadAttentionParams,
    NormParams,
    PositionEmbeddingParams,
    RNNParams,
    SpectralStats,
    WeightNormParams,
)

RECURRENT = (RNNParams, GRUParams, LSTMParams)
GATES = {RNNParams: ("",), GRUParams: ("r", "z", "n"), LSTMParams: ("i", "f", "g", "o")}


def present(**arrays: Any) -> Named:
    return {name: a for name, a in arrays.items() if a is not None}


def _within(**parts: Named) -> Named:
    """The arrays of the parts of a layer, under the names of both."""
    return {f"{part}.{name}": a for part, arrays in parts.items() for name, a in arrays.items()}


def _torch_dense(p: DenseParams) -> Named:
    return present(weight=p.kernel.T, bias=p.bias)


def _torch_bilinear(p: BilinearParams) -> Named:
    return present(weight=jnp.moveaxis(p.kernel, -1, 0), bias=p.bias)


def _torch_conv(p: ConvParams) -> Named:
    """(*window, in, out) as (out, in, *window)."""
    return present(weight=jnp.moveaxis(p.kernel, (-1, -2), (0, 1)), bias=p.bias)


def _torch_conv_transpose(p: ConvTransposeParams) -> Named:
    """(*window, in, out) as (in, out, *window)."""
    return present(weight=jnp.moveaxis(p.kernel, (-2, -1), (0, 1)), bias=p.bias)


def _torch_weight_norm(layout: Callable[[Any], Named]) -> Callable[[Any], Named]:
    """The layout of a layer whose kernel may be one by its columns, in lengths and directions.

    Both are laid out as the kernel is: the lengths have an axis of size 1 for each that is summed.
    """

    def either(p: Any) -> Named:
        if not isinstance(p.kernel, WeightNormParams):
            return layout(p)
        v, g = p.kernel
        arrays = layout(p._replace(kernel=v))
        weights = (jnp.expand_dims(g, tuple(range(v.ndim - 1))), v)
        for i, a in enumerate(weights):
            name = f"parametrizations.weight.original{i}"
            arrays[name] = layout(p._replace(kernel=a))["weight"]
        del arrays["weight"]
        return arrays

    return either


def _torch_spectral_norm(s: SpectralStats) -> Named:
    """The rows with their window last, in one axis, as in the weight of a convolution."""
    return {
        "parametrizations.weight.0._u": s.u,
        "parametrizations.weight.0._v": jnp.moveaxis(s.v, -1, 0).ravel(),
    }


def _torch_mamba(p: MambaParams) -> Named:
    """The names of the block in its authors' implementation."""
    parts = _within(
        in_proj=_torch_dense(p.in_projection),
        conv1d=_torch_conv(ConvParams(p.conv_kernel, p.conv_bias)),
        x_proj=_torch_dense(p.selection),
        dt_proj=_torch_dense(p.step),
        out_proj=_torch_dense(p.out_projection),
    )
    return parts | {"A_log": p.A_log, "D": p.D}


def _torch_attention(p: MultiHeadAttentionParams) -> Named:
    """Query, key and value in one matrix where all three are of one shape, else in three."""
    parts = (p.query, p.key, p.value)
    kernels = [part.kernel.T for part in parts]
    arrays = {"out_proj.weight": p.out.kernel.T}
    if len({k.shape for k in kernels}) == 1:
        arrays["in_proj_weight"] = jnp.concatenate(kernels)
    else:
        arrays |= {f"{n}_proj_weight": k for n, k in zip("qkv", kernels, strict=True)}
    if biases := [part.bias for part in parts if part.bias is not None]:
        arrays["in_proj_bias"] = jnp.concatenate(biases)
    return arrays | ({} if p.out.bias is None else {"out_proj.bias": p.out.bias})


def _torch_recurrent(p: Any, suffix: str = "_l0") -> Named:
    if isinstance(p, BidirectionalParams):
        directions = zip(p, ("", "_reverse"), strict=True)
        return {k: a for q, end in directions for k, a in _torch_recurrent(q, suffix + end).items()}
    arrays = present(
        weight_ih=p.kernel.T,
        weight_hh=p.recurrent_kernel.T,
        bias_ih=p.bias,
        bias_hh=p.recurrent_bias,
    )
    return {name + suffix: a for name, a in arrays.items()}


def _torch_layers(layers: Sequence[Any]) -> Named:
    """Recurrent layers over each other, numbered."""
    return {k: a for n, p in enumerate(layers) for k, a in _torch_recurrent(p, f"_l{n}").items()}


TORCH: Layouts = {
    DenseParams: _torch_weight_norm(_torch_dense),
    BilinearParams: _torch_weight_norm(_torch_bilinear),
    EmbeddingParams: lambda p: {"weight": p.embedding},
    PositionEmbeddingParams: lambda p: {"weight": p.embedding},
    ConvParams: _torch_weight_norm(_torch_conv),
    ConvTransposeParams: _torch_weight_norm(_torch_conv_transpose),
    NormParams: lambda p: present(weight=p.scale, bias=p.bias),
    BatchStats: lambda s: {"running_mean": s.mean, "running_var": s.var},
    SpectralStats: _torch_spectral_norm,
    MambaParams: _torch_mamba,
    MultiHeadAttentionParams: _torch_attention,
    BidirectionalParams: _torch_recurrent,
    **dict.fromkeys(RECURRENT, _torch_recurrent),
}


def torch_layout(tree: Any) -> Callable[[Any], Named] | None:
    """The layout of one layer, or of a tuple of recurrent ones, which is one module of PyTorch."""
    recurrent = (*RECURRENT, BidirectionalParams)
    if type(tree) in (tuple, list) and tree and all(isinstance(p, recurrent) for p in tree):
        return _torch_layers
    return TORCH.get(type(tree))


def _flax_conv_transpose(p: ConvTransposeParams) -> Named:
    """The window the other way round: Flax's transposed convolution slides its kernel unflipped."""
    if isinstance(p.kernel, WeightNormParams):
        arrays = _flax_conv_transpose(p._replace(kernel=p.kernel.direction))
        return {"kernel.direction": arrays.pop("kernel"), "kernel.scale": p.kernel.scale, **arrays}
    return present(kernel=jnp.flip(p.kernel, range(p.kernel.ndim - 2)), bias=p.bias)


def _flax_gates(p: Any) -> Named:
    """Each gate's columns and bias under a name of its own.

    A GRU has all biases of the inputs, and one of the state, that of the candidate n. The others
    have one bias, wherever fnmath keeps it: of the state in an LSTM, of the inputs in a simple one.
    """
    if isinstance(p, GRUParams):
        biases = [("i", "rzn", p.bias), ("h", "n", p.recurrent_bias)]
    else:
        bias = p.bias if p.recurrent_bias is None else p.recurrent_bias
        biases = [("h" if isinstance(p, LSTMParams) else "i", "".join(GATES[type(p)]), bias)]
    arrays: Named = {}
    for side, kernel in (("i", p.kernel), ("h", p.recurrent_kernel)):
        arrays |= {f"{side}{gate}.kernel": a for gate, a in _by_gate(p, kernel).items()}
    for side, gates, bias in biases:
        if bias is not None:
            kept = {gate: a for gate, a in _by_gate(p, bias).items() if gate in gates}
            arrays |= {f"{side}{gate}.bias": a for gate, a in kept.items()}
    return arrays


def _by_gate(p: Any, columns: Any) -> Named:
    gates = GATES[type(p)]
    return dict(zip(gates, jnp.split(columns, len(gates), -1), strict=True))


def summed_biases(p: Any) -> Any:
    """The same layer with the sum of two biases in the one that Flax keeps, and 0 in the other."""
    if not isinstance(p, RECURRENT) or p.bias is None or p.recurrent_bias is None:
        return p
    total = p.bias + p.recurrent_bias
    if not isinstance(p, GRUParams):
        return p._replace(bias=0 * total, recurrent_bias=total)
    gates = jnp.arange(total.shape[-1]) < total.shape[-1] // 3 * 2
    bias, other = jnp.where(gates, total, p.bias), jnp.where(gates, 0, p.recurrent_bias)
    return p._replace(bias=bias, recurrent_bias=other)


def _flax_attention(p: MultiHeadAttentionParams, heads: int) -> Named:
    """Kernels with an axis for the heads, and one for the features of each."""
    features = p.query.kernel.shape[-1] // heads
    arrays: Named = {}
    for name in ("query", "key", "value"):
        kernel, bias = getattr(p, name)
        arrays[f"{name}.kernel"] = kernel.reshape(kernel.shape[0], -1, features)
        if bias is not None:
            arrays[f"{name}.bias"] = bias.reshape(-1, features)
    arrays["out.kernel"] = p.out.kernel.reshape(-1, features, p.out.kernel.shape[-1])
    return arrays | ({} if p.out.bias is None else {"out.bias": p.out.bias})


def flax_layouts(heads: int) -> Layouts:
    """The layouts of Flax; those of other layers are the fields of their parameters."""
    return {
        ConvTransposeParams: _flax_conv_transpose,
        BatchStats: lambda s: {"mean": s.mean, "var": s.var},
        MultiHeadAttentionParams: lambda p: _flax_attention(p, heads),
        **dict.fromkeys(RECURRENT, _flax_gates),
    }
