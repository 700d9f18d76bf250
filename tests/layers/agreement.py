"""Agreement with PyTorch: outputs and all gradients on the same arrays, in both precisions."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import currently_in_test_context, settings
from hypothesis import strategies as st

# What hypothesis draws is the same in each run, and compiling takes as long as it takes.
DRAWN = settings(max_examples=40, deadline=None, derandomize=True, database=None)
BATCHES = st.lists(st.integers(0, 3), max_size=3).map(tuple)
SIZES = st.integers(1, 6)


def arrays(seed: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Normal draws in float64, each of which is a float32 too: both precisions see the same."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s).astype(np.float32).astype(np.float64) for s in shapes]


def normal(seed: int, *shape: int) -> np.ndarray:
    """One such array."""
    return arrays(seed, shape)[0]


def draws(seed: int, *shapes: tuple[int, ...]) -> list[jax.Array]:
    """The same as JAX arrays, in the widest precision that is switched on."""
    return [jnp.asarray(a, float) for a in arrays(seed, *shapes)]


def assert_close(
    actual: Any, expected: Any, rtol: float, what: str = "", *, differences_of: float = 0.0
) -> None:
    """The two agree to ``rtol`` of the largest expected entry.

    Where the entries are differences of larger numbers, these are what ``rtol`` is of.
    """
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, what
    atol = rtol * np.abs(expected).max(initial=differences_of)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol, err_msg=what)


def in_single_too(*args: np.ndarray) -> bool:
    """Whether these numbers are tried in float32 too: one in four of those that are drawn.

    What is formed in float32 is formed by the same lines, and takes as long again to compile.
    """
    drawn = zlib.crc32(b"".join(a.tobytes() for a in args))
    return not currently_in_test_context() or drawn % 4 == 0


def assert_agrees(
    torch: Any,
    ours: Callable[..., jax.Array],
    theirs: Callable[..., Any],
    *args: np.ndarray,
    rtol: float = 1e-10,
    rtol32: float = 1e-5,
    differences_of: float = 0.0,
) -> None:
    """``ours`` and ``theirs`` give the same output, and the same cotangent for each argument.

    Both are compared with PyTorch in float64, of which ours in float64 may differ by ``rtol`` and
    ours in float32, where it is tried, by ``rtol32``. One program computes all: compiling is what
    takes the time.
    """
    tensors = [torch.tensor(a, requires_grad=True) for a in args]
    expected = theirs(*tensors)
    cotangent = np.cos(np.arange(expected.numel(), dtype=np.float32)).astype(np.float64)
    cotangent = cotangent.reshape(tuple(expected.shape))
    gradients = torch.autograd.grad(expected, tensors, torch.tensor(cotangent), allow_unused=True)
    expected = expected.detach().numpy()
    precisions = (("f8", rtol), ("f4", rtol32))[: 1 + in_single_too(*args)]

    @jax.jit
    def both(args, cotangent):
        def run(dtype):
            y, vjp = jax.vjp(ours, *(a.astype(dtype) for a in args))
            return y, vjp(cotangent.astype(dtype))

        return tuple(run(dtype) for dtype, _ in precisions)

    with jax.enable_x64(True):
        found = both(tuple(map(jnp.asarray, args)), jnp.asarray(cotangent))
    for (y, ours_), (dtype, tolerance) in zip(found, precisions, strict=True):
        assert y.dtype == dtype
        options = {"differences_of": differences_of}
        assert_close(y, expected, tolerance, f"output, {dtype}", **options)
        for i, (g, theirs_) in enumerate(zip(ours_, gradients, strict=True)):
            wanted = np.zeros(args[i].shape) if theirs_ is None else theirs_.numpy()
            assert_close(g, wanted, tolerance, f"gradient {i}, {dtype}", **options)
