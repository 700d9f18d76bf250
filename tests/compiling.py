"""How JAX compiles while the tests run, where most of their time would go.

What is done here reaches into JAX, and should change no result but for last digits: where JAX has
moved what is meant, the tests take longer, and that is all. XLA's older emitters, which compile
in two thirds of the time, have made NaN of one program that is right op by op and by the newer ones
(forward over reverse through a stack of ConvNeXt's blocks): a test that meets the like is marked
``last_digits`` and compiled as a user has it.
"""

from __future__ import annotations

import collections
import functools
import hashlib
import importlib
from typing import Any

import jax


def _of_jax(module: str) -> Any:
    """One of JAX's own modules, or None where it has none of that name."""
    try:
        return importlib.import_module(f"jax._src.{module}")
    except ImportError:
        return None


compiler, mlir = _of_jax("compiler"), _of_jax("interpreters.mlir")
# By program, options and devices, the one last used last; each takes some 150 kB.
COMPILED: collections.OrderedDict[tuple[Any, ...], Any] = collections.OrderedDict()
MOST_COMPILED = 4096
# XLA's options for programs that need not be fast.
_PLAIN = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}


def prepare() -> None:
    """Let ``start`` choose more than LLVM's optimisations, and lowering keep its context.

    A third of the time that one operation takes is that of a new context, with all its dialects;
    and some per cent of what large programs take are for the lines that each operation came from.
    """
    jax.config.update("jax_traceback_in_locations_limit", 0)  # where each operation came from
    if hasattr(compiler, "get_compile_options"):
        compiler.get_compile_options = _with_plain(compiler.get_compile_options)
    if hasattr(compiler, "backend_compile_and_load"):
        compiler.backend_compile_and_load = _kept(compiler.backend_compile_and_load)
    if hasattr(mlir, "make_ir_context"):
        mlir.make_ir_context = functools.cache(mlir.make_ir_context)


def _with_plain(compile_options: Any) -> Any:
    @functools.wraps(compile_options)
    def chosen(*args: Any, **options: Any) -> Any:
        if jax.config.read("jax_disable_most_optimizations"):
            given = options.get("env_options_overrides") or {}
            options["env_options_overrides"] = _PLAIN | given
        return compile_options(*args, **options)

    return chosen


def _kept(compile_and_load: Any) -> Any:
    """What is compiled is kept: a seventh of the time went to programs that had been there before.

    Another function, or a trace under other settings, often ends as the same program.
    """

    @functools.wraps(compile_and_load)
    def kept(backend: Any, module: Any, devices: Any, options: Any, callbacks: Any) -> Any:
        if callbacks:
            return compile_and_load(backend, module, devices, options, callbacks)
        program = hashlib.sha256(str(module).encode()).digest()
        key = program, options.SerializeAsString(), tuple(map(str, devices))
        if key not in COMPILED:
            COMPILED[key] = compile_and_load(backend, module, devices, options, callbacks)
        COMPILED.move_to_end(key)
        while len(COMPILED) > MOST_COMPILED:
            COMPILED.popitem(last=False)
        return COMPILED[key]

    return kept


def start(plain: bool) -> None:
    """Begin with empty caches, and compile from now on as a user does or ``plain`` and quickly."""
    jax.clear_caches()
    COMPILED.clear()
    clear = getattr(getattr(mlir, "make_ir_context", None), "cache_clear", None)
    if clear:
        clear()
    jax.config.update("jax_disable_most_optimizations", plain)
