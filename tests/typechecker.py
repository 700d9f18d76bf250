"""The run-time type checker of the tests: beartype, where an int will do for a float."""

from __future__ import annotations

from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
_jaxtyped = jaxtyping.jaxtyped


def _where_shapes_are_named(*args: Any, **options: Any) -> Any:
    """``jaxtyped``, but functions within functions that name no shape stay as they are.

    They are made anew in each call, and to look at their annotations takes longer than to run them.
    """
    given = _jaxtyped(*args, **options)

    def decorate(function: Any) -> Any:
        within = "<locals>" in getattr(function, "__qualname__", "")
        shapes = any('"' in str(a) for a in getattr(function, "__annotations__", {}).values())
        return function if within and not shapes else given(function)

    return given if args else decorate


jaxtyping.jaxtyped = _where_shapes_are_named
