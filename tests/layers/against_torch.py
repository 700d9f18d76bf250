"""A layer and the gradients of all that it is given, against PyTorch's on the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

# What hypothesis draws is the same in each run, and compiling takes as long as it takes.
DRAWN = settings(max_examples=40, deadline=None, derandomize=True, database=None)
BATCHES = st.lists(st.integers(0, 3), max_size=3).map(tuple)
SIZES = st.integers(1, 6)


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def assert_close(ours: Any, theirs: np.ndarray, rtol: float) -> None:
    """Close to ``rtol`` of the largest entry: small ones may be differences of large ones."""
    assert ours.shape == theirs.shape
    atol = rtol * np.max(np.abs(theirs), initial=0)
    np.testing.assert_allclose(np.asarray(ours), theirs, rtol=0, atol=atol)


def assert_equals_torch(
    ours: Callable[..., Any], theirs: Callable[..., Any], arrays: Sequence[np.ndarray]
) -> None:
    """Outputs and all gradients agree: in float64 to 1e-10, in float32 to 1e-5.

    ``ours`` is a function of JAX arrays, ``theirs`` the same one of tensors. Both precisions are
    one program.
    """
    import torch

    expected = {}
    for rtol, name in ((1e-10, "float64"), (1e-5, "float32")):
        inputs = [torch.tensor(a, dtype=getattr(torch, name), requires_grad=True) for a in arrays]
        y = theirs(*inputs)
        ybar = torch.tensor(normal(7, *y.shape), dtype=y.dtype)
        gradients = torch.autograd.grad(y, inputs, ybar)
        expected[rtol] = [a.detach().numpy() for a in (y, *gradients)]

    @jax.jit
    def both(arrays: tuple) -> dict:
        found = {}
        for rtol, name in ((1e-10, "float64"), (1e-5, "float32")):
            y, vjp = jax.vjp(ours, *(a.astype(name) for a in arrays))
            found[rtol] = (y, *vjp(normal(7, *y.shape).astype(name)))
        return found

    with jax.enable_x64(True):
        found = both(tuple(map(jnp.asarray, arrays)))
    for rtol, values in expected.items():
        for mine, theirs_ in zip(found[rtol], values, strict=True):
            assert mine.dtype == theirs_.dtype
            assert_close(mine, theirs_, rtol)
