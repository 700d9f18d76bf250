"""How one call is timed: up to the last of its outputs, with arguments that are still there."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

Clock = Callable[[], float]


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def seconds(f: Callable[..., Any], args: tuple[Any, ...], clock: Clock) -> tuple[float, Any]:
    """The time of one call, up to the last of its outputs, and those outputs."""
    start = clock()
    outputs = jax.block_until_ready(f(*args))
    return clock() - start, outputs


def copied(args: tuple[Any, ...]) -> tuple[Any, ...]:
    copies = jax.tree.map(lambda x: jnp.copy(x) if isinstance(x, jax.Array) else x, args)
    return jax.block_until_ready(copies)


def preparation(used: tuple[Any, ...], args: tuple[Any, ...]) -> Callable[[], tuple[Any, ...]]:
    """What to call with: the same arguments, or copies if ``used``, after a call, are no more."""
    arrays = [leaf for leaf in jax.tree.leaves(used) if isinstance(leaf, jax.Array)]
    donated = any(leaf.is_deleted() for leaf in arrays)
    return (lambda: copied(args)) if donated else (lambda: args)
