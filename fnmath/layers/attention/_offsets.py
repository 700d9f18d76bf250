"""How far keys lie ahead of queries, and how far a query sees.

Notation: that of the masks.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Integer

from fnmath import _checks

Window = int | tuple[int, int]


def sides(function: str, argument: str, window: Any) -> tuple[int, int]:
    """How many keys are seen before and behind a query's own, each an integer of at least 0."""
    if isinstance(window, tuple):
        if len(window) != 2:
            _checks.fail(function, f"{argument} is {window}; wanted (before, behind)")
        _checks.size(function, minimum=0, **{f"{argument}[{i}]": n for i, n in enumerate(window)})
        return int(window[0]), int(window[1])
    if isinstance(window, list):
        problem = f"{argument} is a list; wanted an integer or a pair (before, behind)"
        _checks.fail(function, problem, f"tuple({argument})", error=TypeError)
    _checks.size(function, minimum=0, **{argument: window})
    return int(window), int(window)


def checked_offset(function: str, offset: Any) -> None:
    """Raise unless the offset is an integer, below 0 or not, or an array that is one."""
    if isinstance(offset, Array | np.ndarray):
        _checks.integer(function, offset=offset)
        _checks.rank(function, "offset", offset, "", exact=True)
    else:
        _checks.size(function, minimum=-(2**31), offset=offset)


def ahead(queries: int, keys: int, offset: Any) -> Integer[Array, "queries keys"]:
    """How far each key lies ahead of each query: s − (t + offset)."""
    return jnp.arange(keys) - (jnp.arange(queries)[:, None] + offset)
