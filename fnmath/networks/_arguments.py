"""What the networks check about their arguments, in the name of the function called."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from fnmath import _checks


def images(function: str, x: Any, *, multiple: int = 1, cure: str = "") -> None:
    """Raise unless x holds images ``*batch height width channels`` of floating-point numbers.

    Height and width have to be above 0 and multiples of ``multiple``.
    """
    _checks.floating(function, x=x)
    _checks.rank(function, "x", x, "height width channels")
    height, width = jnp.shape(x)[-3:-1]
    if not height or not width or height % multiple or width % multiple:
        wanted = f"multiples of {multiple}" if multiple > 1 else "at least one pixel"
        problem = f"x has images of {height} × {width} pixels; wanted {wanted}"
        _checks.fail(function, problem, cure)


def sizes(function: str, argument: str, numbers: Any, *, minimum: int = 1) -> tuple[int, ...]:
    """The sizes, as a tuple; raise unless they are integers of at least 1, and so many of them."""
    if not isinstance(numbers, tuple | list):
        problem = f"{argument} is a {type(numbers).__name__}; wanted a tuple of integers"
        _checks.fail(function, problem, error=TypeError)
    if len(numbers) < minimum:
        _checks.fail(function, f"{argument} is {tuple(numbers)}; wanted at least {minimum} sizes")
    _checks.size(function, **{f"{argument}[{i}]": n for i, n in enumerate(numbers)})
    return tuple(numbers)


def layers(function: str, argument: str, params: Any, kind: type) -> None:
    """Raise unless ``params`` is a tuple with the parameters of layers of one kind."""
    if not isinstance(params, tuple | list) or hasattr(params, "_fields"):
        problem = f"{argument} is a {type(params).__name__}; wanted a tuple of {kind.__name__}"
        cure = f"({argument},)" if isinstance(params, kind) else ""
        _checks.fail(function, problem, cure, error=TypeError)
    for i, layer in enumerate(params):
        _checks.instance(function, f"{argument}[{i}]", layer, kind)


def flat(x: Array) -> Array:
    """Images ``*batch height width channels`` as rows of features, in that order."""
    height, width, channels = x.shape[-3:]
    return jnp.reshape(x, (*x.shape[:-3], height * width * channels))
