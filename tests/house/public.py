"""The public functions of fnmath: what its modules define and name without an underscore."""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from types import ModuleType

import fnmath


@functools.cache
def modules() -> tuple[ModuleType, ...]:
    """All modules of fnmath, the private ones included."""
    found = pkgutil.walk_packages(fnmath.__path__, "fnmath.")
    return (fnmath, *(importlib.import_module(module.name) for module in found))


@functools.cache
def public_functions() -> tuple[Callable, ...]:
    """Each public function once, by the module that defines it."""
    found = {}
    for module in modules():
        if any(part.startswith("_") for part in module.__name__.split(".")):
            continue
        for name, thing in vars(module).items():
            defined_here = getattr(thing, "__module__", None) == module.__name__
            is_function = inspect.isfunction(inspect.unwrap(thing)) if callable(thing) else False
            if defined_here and is_function and not name.startswith("_"):
                found[f"{module.__name__}.{name}"] = thing
    return tuple(found.values())
