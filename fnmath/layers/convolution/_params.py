"""The parameters of convolutions: how they are drawn, and what they must be to fit an image."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.initializers import lecun_normal
from fnmath.layers._arguments import Initializer, bias_or_none, drawn, unpacked


class ConvParams(NamedTuple):
    """The parameters of a convolution: ``kernel`` (*window, in/groups, out), ``bias`` (out,).

    The bias may be None: the map is linear then.
    """

    kernel: Float[Array, "*window in out"]
    bias: Float[Array, " out"] | None = None


class ConvTransposeParams(NamedTuple):
    """Those of a transposed convolution: ``kernel`` (*window, in, out/groups), ``bias`` (out,).

    A type of its own, since other libraries lay its kernel out in another order.
    """

    kernel: Float[Array, "*window in out"]
    bias: Float[Array, " out"] | None = None


def drawn_params(
    function: str,
    key: PRNGKeyArray,
    shape: tuple[int, ...],
    outputs: int,
    *,
    use_bias: bool,
    kernel_init: Initializer | None,
    bias_init: Initializer,
    dtype: jax.typing.DTypeLike,
) -> ConvParams:
    """A kernel of that shape and a bias of as many entries as there are outputs."""
    _checks.dtype(function, "dtype", dtype, jnp.floating, "a floating dtype")
    kernel_key, bias_key = jax.random.split(key)
    kernel_init = lecun_normal() if kernel_init is None else kernel_init
    kernel = drawn(function, "kernel_init", kernel_init, kernel_key, shape, dtype)
    bias = bias_or_none(function, use_bias, bias_init, bias_key, (outputs,), dtype)
    return ConvParams(kernel, bias)


def divides(function: str, groups: Any, **channels: int) -> None:
    """Raise unless the groups are of one size each."""
    _checks.size(function, groups=groups)
    for argument, n in channels.items():
        if n % groups:
            _checks.fail(function, f"{argument} is {n}; wanted a multiple of groups, {groups}")


def kernel_and_bias(function: str, params: Any, x: Any, kind: type = ConvParams) -> tuple[Any, Any]:
    """The kernel and the bias, as arrays; raise unless the kernel has a window and two axes."""
    kernel, bias = unpacked(function, params, kind)
    _checks.floating(function, x=x, kernel=kernel)
    shape = jnp.shape(kernel)
    if len(shape) < 3:
        problem = f"kernel has shape {shape}; wanted at least 3 axes, (*window in out)"
        _checks.fail(function, problem, "dense" if len(shape) == 2 else "")
    if 0 in shape[:-2]:
        _checks.fail(
            function, f"kernel has shape {shape}; wanted a window of at least 1 everywhere"
        )
    return jnp.asarray(kernel), None if bias is None else bias


def fits_groups(function: str, x: Any, kernel: Any, groups: Any) -> None:
    """Raise unless the kernel (*window, in/groups, out) fits the channels of x and the groups."""
    _checks.size(function, groups=groups)
    channels, (inputs, outputs) = x.shape[-1], kernel.shape[-2:]
    if channels != inputs * groups:
        came = f"x has {channels} channels and the kernel takes {inputs}"
        cure = (
            f"groups={channels // inputs}" if inputs and channels and not channels % inputs else ""
        )
        if not cure and x.shape[1 - kernel.ndim] == inputs * groups:
            cure = f"jnp.moveaxis(x, {1 - kernel.ndim}, -1)"  # channels first, as in PyTorch
        times = f" in each of {groups} groups" if groups > 1 else ""
        _checks.fail(function, f"{came}{times}; wanted as many", cure)
    if outputs % groups:
        problem = f"the kernel gives {outputs} channels; wanted a multiple of groups, {groups}"
        _checks.fail(function, problem)


def biased(y: Any, bias: Any, *arrays: Any) -> Float[Array, "..."]:
    """Y with its bias, which is added before the sum is rounded to the dtype of the arrays."""
    given = arrays if bias is None else (*arrays, bias)
    return (y if bias is None else y + bias).astype(jnp.result_type(*given))
