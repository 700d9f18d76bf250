"""What a compiled function costs, stage by stage, and how it compares with others.

Notation: t is a time in seconds, by the wall clock; Q₁, Q₂, Q₃ are the quartiles of many such
times, Q₂ the median. FLOP are floating-point operations, FLOP/s their rate.

How a time is taken
-------------------
JAX returns before the device has finished, so every timed call here ends with
``jax.block_until_ready`` on all that it returned. Times scatter to one side, upwards, whenever the
machine has something else to do: a median with its quartiles says more than a mean. Machines also
drift, over seconds, by more than the differences one looks for: what is to be compared is timed in
turns, round by round, and compared within each round. Python's garbage collector rests meanwhile.

This chapter is a caller: it is the one place, with the outer loop of training, that compiles.
"""

from fnmath.benchmark.results import Comparison, JitTimes, Peak
from fnmath.benchmark.stages import measured_peak, time_jit
from fnmath.benchmark.turns import compare, interleave

__all__ = [
    "Comparison",
    "JitTimes",
    "Peak",
    "compare",
    "interleave",
    "measured_peak",
    "time_jit",
]
