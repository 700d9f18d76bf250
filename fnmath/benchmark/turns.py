"""Several functions: timed in turns, and only once their answers agree."""

from __future__ import annotations

import itertools
import numbers
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnmath import _checks
from fnmath.benchmark import _clock
from fnmath.benchmark.results import Comparison


def _williams_square(n: int) -> list[list[int]]:
    """Orders of 0 … n − 1 in which each stands equally often in each place and after each other."""
    zigzag = [(i + 1) // 2 if i % 2 else (n - i // 2) % n for i in range(n)]
    rows = [[(place + row) % n for place in zigzag] for row in range(n)]
    return rows + [row[::-1] for row in rows] if n % 2 else rows


def _check_functions(
    caller: str,
    functions: Mapping[str, Any],
    rounds: int,
    warmup: int,
    baseline: str | None,
    rest: float,
    clock: _clock.Clock,
) -> None:
    _checks.instance(caller, "functions", functions, Mapping)
    _checks.function(caller, "clock", clock)
    if not functions:
        _checks.fail(caller, "functions is empty; wanted at least one")
    for name, f in functions.items():
        _checks.function(caller, f"functions[{name!r}]", f)
    _checks.size(caller, rounds=rounds)
    _checks.size(caller, minimum=0, warmup=warmup)
    _checks.instance(caller, "rest", rest, numbers.Real, "float(rest)")
    _checks.number(caller, "rest", rest, above=0, closed="[")
    if baseline is not None:
        _checks.option(caller, "baseline", baseline, functions)


def _interleaved(
    calls: Mapping[str, Callable[..., Any]],
    prepared: Mapping[str, Callable[[], tuple[Any, ...]]],
    rounds: int,
    rest: float,
    clock: _clock.Clock,
) -> dict[str, tuple[float, ...]]:
    """The times of every call, round by round, each after a rest and its untimed preparation."""
    names, samples = list(calls), {name: [] for name in calls}
    orders = itertools.cycle(_williams_square(len(names)))
    with _clock.no_garbage_collection():
        for order in itertools.islice(orders, rounds):
            for name in (names[i] for i in order):
                time.sleep(rest)
                samples[name].append(_clock.seconds(calls[name], prepared[name](), clock)[0])
    return {name: tuple(times) for name, times in samples.items()}


def interleave(
    functions: Mapping[str, Callable[[], Any]],
    *,
    rounds: int = 30,
    warmup: int = 1,
    baseline: str | None = None,
    rest: float = 0.0,
    clock: _clock.Clock = time.perf_counter,
) -> Comparison:
    """Times of several functions, taken in turns, in one process.

        ratio of f in round r = t_f(r) / t_baseline(r)

    In every round each function is called once; the order changes from round to round, so that
    over n rounds (2n if n is odd) each stands equally often in every place and after every other.
    What slows the machine for a while slows all of them, and cancels in the ratio.

    Args:
        functions: By name, functions without arguments, called as they are: compile them before.
            What they return is waited for if JAX made it; one that hands its work to a device by
            other means has to wait by itself.
        rounds: How many times each is timed.
        warmup: How many times each is called before, untimed.
        baseline: The name that the others are compared with; the first one if None.
        rest: Seconds to wait before each call, untimed. A library's threads may go on looking for
            work when its call is over (OpenMP's do for some milliseconds, PyTorch's with them), and
            take a core from whatever comes next.
        clock: What tells the time, in seconds.

    Returns:
        The times and their ratios; ``print`` shows a table, ``to_json`` gives it all.

    Raises:
        TypeError: If ``functions`` is not a mapping, one of them or the clock not a function, a
            count not an integer or ``rest`` not a Python number.
        ValueError: If there is no function, the baseline is none of them, ``rounds`` is below 1
            or ``warmup`` or ``rest`` below 0.

    Example:
        >>> ticks = iter([0.0, 1.0, 1.0, 3.0])  # a clock that is read four times
        >>> result = interleave(
        ...     {"one": lambda: 1, "two": lambda: 2}, rounds=1, clock=lambda: next(ticks)
        ... )
        >>> print(result.samples, result.ratio("two"))
        {'one': (1.0,), 'two': (2.0,)} (2.0, 2.0, 2.0)

    Source:
        Williams, Experimental designs balanced for the estimation of residual effects of
        treatments (1949): the order of the turns.
    """
    _check_functions("interleave", functions, rounds, warmup, baseline, rest, clock)
    for f in functions.values():
        for _ in range(warmup):
            jax.block_until_ready(f())
    samples = _interleaved(functions, dict.fromkeys(functions, tuple), rounds, rest, clock)
    return Comparison(samples, next(iter(functions)) if baseline is None else baseline)


def compare(
    functions: Mapping[str, Callable[..., Any]],
    args: tuple[Any, ...],
    *,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    rounds: int = 30,
    warmup: int = 1,
    baseline: str | None = None,
    rest: float = 0.0,
    clock: _clock.Clock = time.perf_counter,
) -> Comparison:
    """Times of several functions that give one answer, which is checked first.

        |answer − baseline's| ≤ atol + rtol · |baseline's|        in every entry of every leaf

    A quick wrong answer is worth nothing: no clock is read before all of them agree. Then it is
    ``interleave``. A function that donates its arguments gets copies of them, made untimed.

    Args:
        functions: By name, functions of ``args``, called as they are: compile them before.
        args: The arguments, as a tuple. They survive, donated or not.
        rtol: The relative difference allowed.
        atol: The absolute difference allowed, in the units of the answer.
        rounds: How many times each is timed.
        warmup: How many times each is called before, untimed and after the check.
        baseline: The name that the others are compared with; the first one if None.
        rest: Seconds to wait before each call, untimed. A library's threads may go on looking for
            work when its call is over (OpenMP's do for some milliseconds, PyTorch's with them), and
            take a core from whatever comes next.
        clock: What tells the time, in seconds.

    Returns:
        The times and their ratios; ``print`` shows a table, ``to_json`` gives it all.

    Raises:
        TypeError: If ``functions`` is not a mapping, one of them or the clock not a function,
            ``args`` not a tuple, or an option not a number.
        ValueError: If the answers differ (in structure, in shape or in value; nan agrees with
            nan), there is no function, the baseline is none of them, or an option is out of range.

    Example:
        >>> x = jnp.linspace(0.0, 1.0, 8)
        >>> result = compare({"sum": jnp.sum, "dot": lambda x: x @ jnp.ones(8)}, (x,), rounds=4)
        >>> sorted(result.samples), len(result.samples["dot"])
        (['dot', 'sum'], 4)

    Source:
        The agreement is that of ``numpy.isclose``; the order of the turns that of ``interleave``.
    """
    _check_functions("compare", functions, rounds, warmup, baseline, rest, clock)
    _checks.number("compare", "rtol", rtol, above=0, closed="[")
    _checks.number("compare", "atol", atol, above=0, closed="[")
    if not isinstance(args, tuple):
        problem = f"args is a {type(args).__name__}; wanted a tuple"
        _checks.fail("compare", problem, "(args,)", error=TypeError)
    first = next(iter(functions)) if baseline is None else baseline
    answers, prepared = {}, {}
    for name, f in functions.items():
        copies = _clock.copied(args)
        answers[name] = jax.block_until_ready(f(*copies))
        prepared[name] = _clock.preparation(copies, args)
    for name in functions:
        _check_agreement(first, answers[first], name, answers[name], rtol, atol)
    for name, f in functions.items():
        for _ in range(warmup):
            jax.block_until_ready(f(*prepared[name]()))
    return Comparison(_interleaved(functions, prepared, rounds, rest, clock), first)


def _check_agreement(
    first: str, expected: Any, second: str, actual: Any, rtol: float, atol: float
) -> None:
    """Raise, naming both, the leaf and the largest difference, unless the answers agree."""
    ours, structure = jax.tree_util.tree_flatten_with_path(expected)
    theirs, other_structure = jax.tree_util.tree_flatten(actual)
    pair = f"the answers of {first!r} and {second!r}"
    if structure != other_structure:
        problem = f"{pair} differ in structure, {structure} and {other_structure}"
        _checks.fail("compare", problem)
    for (path, a), b in zip(ours, theirs, strict=True):
        place = f" at answer{jax.tree_util.keystr(path)}"
        a, b = _numbers(a), _numbers(b)
        if a.shape != b.shape:
            _checks.fail("compare", f"{pair} have shapes {a.shape} and {b.shape}{place}")
        if not np.isclose(b, a, rtol=rtol, atol=atol, equal_nan=True).all():
            with np.errstate(invalid="ignore"):
                difference = np.nan_to_num(np.abs(b - a), nan=np.inf, posinf=np.inf).max()
            problem = f"{pair} differ by up to {difference:.3g}{place}"
            _checks.fail("compare", f"{problem}; wanted rtol {rtol:g} and atol {atol:g}")


def _numbers(leaf: Any) -> np.ndarray:
    """Any array, random keys and those of other libraries included, in double precision."""
    if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    x = np.asarray(leaf)
    return x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)
