"""One function: the times of its stages, the work in it, and the most its machine can do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fnmath import _checks
from fnmath.benchmark import _clock
from fnmath.benchmark.results import JitTimes, Peak


def _amount(analysis: Any, key: str) -> float | None:
    """An entry of XLA's cost analysis, which leaves out what is 0 and says −1 for unknown."""
    amount = analysis.get(key, 0.0) if analysis else -1.0
    return float(amount) if amount >= 0 else None


def measured_peak(
    dtype: DTypeLike,
    *,
    size: int = 2048,
    copy_bytes: int = 2**27,
    repeats: int = 10,
    clock: _clock.Clock = time.perf_counter,
) -> Peak:
    """The best rates this machine was seen to reach, in a matrix product and in a copy.

        FLOP/s = 2 n³ / min t(A B),    byte/s = 2 m / min t(−x),    A, B: (n, n), x of m bytes

    The fastest of several calls, since a peak is what is possible. The copy is a negation (XLA may
    do without a plain copy), which reads m bytes and writes m, in place, since memory that the
    system has yet to hand out is slower; it has to be too large for a cache.

    Args:
        dtype: The floating dtype of both; products are done in the backend's default precision.
        size: The n of the product; 8192 fills a large accelerator.
        copy_bytes: The m of the copy.
        repeats: How many calls of each, after a first one that compiles.
        clock: What tells the time, in seconds.

    Returns:
        The two rates; ``time_jit(…, peak=…)`` states its own as fractions of them.

    Raises:
        TypeError: If the dtype is not a floating one, a count is not an integer, or the clock is
            not a function.
        ValueError: If a count is below 1.

    Example:
        >>> peak = measured_peak(jnp.float32, size=64, copy_bytes=2**12)
        >>> peak.dtype, peak.flops_per_second > 0, peak.bytes_per_second > 0
        ('float32', True, True)

    Source:
        Williams, Waterman and Patterson, Roofline: an insightful visual performance model for
        multicore architectures (2009), which takes its two roofs from measurements like these.
    """
    _checks.dtype("measured_peak", "dtype", dtype, jnp.floating, "a floating dtype")
    _checks.function("measured_peak", "clock", clock)
    _checks.size("measured_peak", size=size, copy_bytes=copy_bytes, repeats=repeats)
    matrix = jnp.ones((size, size), dtype)
    vector = jnp.ones(-(-copy_bytes // matrix.itemsize), dtype)

    multiply, negate = jax.jit(jnp.matmul), jax.jit(jnp.negative, donate_argnums=0)
    products, copies = [], []
    for _ in range(1 + repeats):
        products.append(_clock.seconds(multiply, (matrix, matrix), clock)[0])
        seconds, vector = _clock.seconds(negate, (vector,), clock)
        copies.append(seconds)
    product, copy = min(products[1:]), min(copies[1:])
    return Peak(str(matrix.dtype), 2 * size**3 / product, 2 * vector.nbytes / copy)


def time_jit(
    fn: Callable[..., Any],
    *args: Any,
    repeats: int = 30,
    warmup: int = 3,
    peak: Peak | None = None,
    clock: _clock.Clock = time.perf_counter,
) -> JitTimes:
    """Times of the stages of a compiled function, and the work that XLA counts in it.

        trace → lower → compile → first call → call, call, call, …

    The stages are those of ``jax.stages``. The first call is of the compiled program: it pays for
    what XLA still puts off, and no longer for compiling. The calls after it go through the jitted
    function, as its users' do. A function that donates arguments gets copies, made untimed.

    What XLA counts, it counts in the program: the body of a ``scan`` or ``while_loop`` once,
    whatever the number of turns; what a callback does not at all; and bytes for the operands and
    results of every operation, also where a cache holds them. Where JAX keeps compiled programs on
    disk (``jax_compilation_cache_dir``), ``compile`` may only read one.

    Args:
        fn: The function. One that ``jax.jit`` made is used as it is, with its static and donated
            arguments, after it has forgotten what it had compiled (so that its stages can be
            timed); any other is compiled by ``jax.jit``.
        args: Its arguments. NumPy arrays are carried to the device in every call.
        repeats: How many steady calls are timed.
        warmup: How many calls, after the first, come before those and are left out.
        peak: A ``measured_peak``, to state the reached rates as fractions of.
        clock: What tells the time, in seconds.

    Returns:
        Seconds, FLOP and bytes; ``print`` shows a table, ``to_json`` gives it all.

    Raises:
        TypeError: If ``fn`` or the clock is not a function, ``peak`` no ``Peak``, or a count not an
            integer.
        ValueError: If ``repeats`` is below 1 or ``warmup`` below 0.

    Example:
        >>> times = time_jit(lambda a, b: a @ b, jnp.ones((4, 8)), jnp.ones((8, 3)))
        >>> print(times.flops)  # 2 · 4 · 8 · 3
        192.0

    Source:
        The documentation of JAX, "Ahead-of-time lowering and compilation" and "Benchmarking JAX
        code".
    """
    _checks.function("time_jit", "fn", fn)
    _checks.function("time_jit", "clock", clock)
    if peak is not None:
        _checks.instance("time_jit", "peak", peak, Peak, "measured_peak(jnp.float32)")
    _checks.size("time_jit", repeats=repeats)
    _checks.size("time_jit", minimum=0, warmup=warmup)
    jitted: Any = fn if isinstance(fn, jax.stages.Wrapped) else jax.jit(fn)
    getattr(jitted, "clear_cache", lambda: None)()
    copies = _clock.copied(args)
    with _clock.no_garbage_collection():
        trace, traced = _clock.seconds(jitted.trace, args, clock)
        lower, lowered = _clock.seconds(traced.lower, (), clock)
        compilation, compiled = _clock.seconds(lowered.compile, (), clock)
        first_call, _ = _clock.seconds(jitted, copies, clock)
        fresh = _clock.preparation(copies, args)
        times = [_clock.seconds(jitted, fresh(), clock)[0] for _ in range(warmup + repeats)]
    costs = compiled.cost_analysis()
    return JitTimes(
        name=getattr(fn, "__name__", type(fn).__name__),
        trace=trace,
        lower=lower,
        compile=compilation,
        first_call=first_call,
        samples=tuple(times[warmup:]),
        flops=_amount(costs, "flops"),
        bytes_accessed=_amount(costs, "bytes accessed"),
        temporary_bytes=getattr(compiled.memory_analysis(), "temp_size_in_bytes", None),
        peak=peak,
    )
