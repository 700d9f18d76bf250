"""fnmath.benchmark: the accounting, on clocks that do as they are told; no time is asserted."""

import collections
import gc
import itertools
import json
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.benchmark import (
    Comparison,
    JitTimes,
    Peak,
    compare,
    interleave,
    measured_peak,
    time_jit,
)
from fnmath.benchmark.results import _scaled
from fnmath.benchmark.turns import _williams_square
from tests.helpers import Mistake

x = jnp.linspace(0.0, 1.0, 6).reshape(2, 3)


def zeros():
    return {"loss": np.zeros(2), "step": np.zeros(())}


MISTAKES = [
    Mistake(time_jit, (3, x), {}, TypeError, "time_jit: fn is a int; wanted a function"),
    Mistake(
        time_jit,
        (jnp.sin, x),
        {"repeats": 0},
        ValueError,
        "time_jit: repeats is 0; wanted an integer of at least 1",
    ),
    Mistake(
        time_jit,
        (jnp.sin, x),
        {"warmup": -1},
        ValueError,
        "time_jit: warmup is -1; wanted an integer of at least 0",
    ),
    Mistake(
        measured_peak,
        (jnp.int32,),
        {},
        TypeError,
        "measured_peak: dtype is int32; wanted a floating dtype; did you mean jnp.float32?",
    ),
    Mistake(
        measured_peak,
        (jnp.float32,),
        {"size": 2.5},
        TypeError,
        "measured_peak: size is 2.5 (float); wanted an integer",
    ),
    Mistake(
        interleave, ({},), {}, ValueError, "interleave: functions is empty; wanted at least one"
    ),
    Mistake(
        interleave,
        ({"sum": x},),
        {},
        TypeError,
        "interleave: functions['sum'] is a ArrayImpl; wanted a function",
    ),
    Mistake(
        interleave,
        ({"a": zeros, "b": zeros},),
        {"baseline": "c"},
        ValueError,
        "interleave: baseline is 'c'; wanted one of 'a', 'b'",
    ),
    Mistake(
        interleave,
        ({"a": zeros},),
        {"rounds": 0},
        ValueError,
        "interleave: rounds is 0; wanted an integer of at least 1",
    ),
    Mistake(
        interleave,
        ({"a": zeros},),
        {"rest": -1.0},
        ValueError,
        "interleave: rest is -1.0; wanted a number in [0, inf)",
    ),
    Mistake(
        interleave,
        ({"a": zeros},),
        {"rest": jnp.zeros(())},
        TypeError,
        "interleave: rest is a ArrayImpl; wanted a Real; did you mean float(rest)?",
    ),
    Mistake(
        compare,
        ({"sum": jnp.sum}, [1.0]),
        {},
        TypeError,
        "compare: args is a list; wanted a tuple; did you mean (args,)?",
    ),
    Mistake(
        compare,
        ({"sum": jnp.sum}, (x,)),
        {"rtol": -1.0},
        ValueError,
        "compare: rtol is -1.0; wanted a number in [0, inf)",
    ),
    Mistake(
        compare,
        ({"a": zeros, "b": lambda: {"loss": np.array([0, -0.25]), "step": np.zeros(())}}, ()),
        {},
        ValueError,
        "compare: the answers of 'a' and 'b' differ by up to 0.25 at answer['loss']; "
        "wanted rtol 1e-05 and atol 1e-06",
    ),
    Mistake(
        compare,
        ({"a": zeros, "b": lambda: {"loss": np.zeros((2, 1)), "step": np.zeros(())}}, ()),
        {},
        ValueError,
        "compare: the answers of 'a' and 'b' have shapes (2,) and (2, 1) at answer['loss']",
    ),
    Mistake(
        compare,
        ({"a": lambda: 0.0, "b": lambda: (0.0,)}, ()),
        {},
        ValueError,
        "compare: the answers of 'a' and 'b' differ in structure, PyTreeDef(*) and PyTreeDef((*,))",
    ),
    Mistake(
        measured_peak,
        (jnp.float32,),
        {"size": 0},
        ValueError,
        "measured_peak: size is 0; wanted an integer of at least 1",
    ),
    Mistake(
        measured_peak,
        ("abc",),
        {},
        TypeError,
        "measured_peak: dtype is 'abc'; wanted a floating dtype; did you mean jnp.float32?",
    ),
    Mistake(
        measured_peak,
        (jnp.float32,),
        {"clock": 1},
        TypeError,
        "measured_peak: clock is a int; wanted a function",
    ),
    Mistake(
        time_jit,
        (jnp.sin, x),
        {"peak": 3},
        TypeError,
        "time_jit: peak is a int; wanted a Peak; did you mean measured_peak(jnp.float32)?",
    ),
    Mistake(
        interleave,
        ([jnp.sin],),
        {},
        TypeError,
        "interleave: functions is a list; wanted a Mapping",
    ),
]


class Clock:
    """Stands still unless something takes its time."""

    now = 0.0

    def __call__(self):
        return self.now

    def taking(self, seconds, answer=0.0):
        def f(*_):
            self.now += seconds
            return answer

        return f


class Pending:
    """An output on its way: whoever waits for it waits ``seconds``."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds

    def block_until_ready(self):
        self.clock.now += self.seconds
        return self


def never():
    raise AssertionError("the clock was read")


class TestTimeJit:
    def test_stages_in_turn(self):
        """Each is the time between two readings: trace, lower, compile, first call, the rest."""
        durations = [1.0, 2.0, 4.0, 8.0, 100.0, 0.5, 0.25, 0.75]
        readings = itertools.accumulate(itertools.chain(*((10.0, d) for d in durations)))
        times = time_jit(jnp.sin, x, repeats=3, warmup=1, clock=readings.__next__)
        assert (times.trace, times.lower, times.compile, times.first_call) == (1, 2, 4, 8)
        assert times.samples == (0.5, 0.25, 0.75)
        assert (times.minimum, times.quartiles) == (0.25, (0.375, 0.5, 0.625))
        assert next(readings, None) is None

    @pytest.mark.parametrize(("m", "k", "n"), [(4, 8, 3), (128, 784, 128)])
    def test_work_of_a_matrix_product(self, m, k, n):
        times = time_jit(jnp.matmul, jnp.ones((m, k)), jnp.ones((k, n)), repeats=1)
        assert times.flops == 2 * m * n * k
        assert times.bytes_accessed == 4 * (m * k + k * n + m * n)
        assert times.flops_per_second == times.flops / times.median
        assert times.bytes_per_second == times.bytes_accessed / times.median

    def test_temporary_memory(self):
        """Of (a b) c, the product a b is the one thing that is neither given nor returned."""
        a, b, c = jnp.ones((64, 32)), jnp.ones((32, 512)), jnp.ones((512, 2))
        times = time_jit(lambda a, b, c: (a @ b) @ c, a, b, c, repeats=1)
        assert times.temporary_bytes is not None
        assert times.temporary_bytes >= 4 * 64 * 512
        assert time_jit(jnp.sin, x, repeats=1).temporary_bytes == 0

    def test_body_of_a_loop_counts_once(self):
        def loop(x):
            return jax.lax.scan(lambda x, _: (x @ x, None), x, length=50)[0]

        flops = time_jit(loop, jnp.ones((32, 32)), repeats=1).flops
        assert 2 * 32**3 <= flops < 2 * 2 * 32**3

    def test_keeps_how_a_function_was_jitted(self):
        power = jax.jit(lambda x, n: x**n, static_argnums=1)
        assert time_jit(power, x, 3, repeats=1).flops == 2 * x.size
        assert time_jit(power, x, 1, repeats=1).flops == 0

    def test_forgets_earlier_compilations(self):
        """Otherwise the second measurement would find the stages done."""
        traces = []
        f = jax.jit(lambda x: traces.append(1) or x + 1)
        f(x)
        time_jit(f, x, repeats=1)
        time_jit(f, x, repeats=1)
        f(x)
        assert len(traces) == 3

    def test_donated_arguments_survive(self):
        step = jax.jit(lambda state, x: ({"w": state["w"] + x}, x.sum()), donate_argnums=0)
        state = {"w": jnp.ones(3), "key": jax.random.key(0), "name": None}
        time_jit(step, state, jnp.ones(3), repeats=3)
        np.testing.assert_array_equal(state["w"], 1)

    def test_waits_for_all_outputs(self):
        clock = Clock()

        class Compiled:
            def cost_analysis(self):
                return None

            def memory_analysis(self):
                return None

        class Jitted:
            """A jitted function on a slow device whose XLA tells nothing."""

            def trace(self, x):
                return self

            def lower(self):
                return self

            def compile(self):
                return Compiled()

            def __call__(self, x):
                return [Pending(clock, 0.5), {"y": Pending(clock, 1.0)}]

        times = time_jit(Jitted(), x, repeats=2, clock=clock)
        assert times.samples == (1.5, 1.5)
        assert (times.flops, times.bytes_accessed, times.temporary_bytes) == (None, None, None)
        assert times.flops_per_second is None
        assert str(times).count("unknown") == 3
        assert json.loads(times.to_json())["flops"] is None


class TestMeasuredPeak:
    def test_rates(self):
        """Readings 1 s apart: one product and one copy in a second each."""
        for dtype in (jnp.float32, jnp.bfloat16):
            ticks = itertools.count(0.0, 1.0)
            peak = measured_peak(dtype, size=8, copy_bytes=402, clock=ticks.__next__)
            assert peak == (
                jnp.dtype(dtype).name,
                2 * 8**3,
                2 * (404 if peak[0] != "bfloat16" else 402),
            )

    def test_fastest_counts(self):
        durations = [9.0, 9.0, 4.0, 8.0, 2.0, 16.0]  # product and copy in turn, the first unused
        readings = itertools.accumulate(itertools.chain(*((1.0, d) for d in durations)))
        peak = measured_peak(
            jnp.float32, size=8, copy_bytes=400, repeats=2, clock=readings.__next__
        )
        assert peak == ("float32", 2 * 8**3 / 2.0, 2 * 400 / 8.0)


class TestInterleave:
    def test_times_and_ratios(self):
        clock = Clock()
        functions = {"slow": clock.taking(3.0), "quick": clock.taking(1.0)}
        result = interleave(functions, rounds=4, baseline="quick", clock=clock)
        assert result.samples == {"slow": (3.0,) * 4, "quick": (1.0,) * 4}
        assert result.ratio("slow") == (3.0, 3.0, 3.0)
        assert result.ratio("quick") == (1.0, 1.0, 1.0)
        assert interleave(functions, rounds=1, clock=clock).baseline == "slow"

    def test_ratio_is_within_the_round(self):
        """A machine that slows down threefold changes no ratio, though the medians mix."""
        result = Comparison({"a": (1.0, 1.0, 3.0), "b": (2.0, 2.0, 6.0)}, "a")
        assert result.ratio("b") == (2.0, 2.0, 2.0)
        assert result.quartiles("b") == (2.0, 2.0, 4.0)

    @pytest.mark.parametrize("n", range(1, 8))
    def test_order_is_balanced(self, n):
        """Every function stands equally often in every place, and after every other."""
        square = _williams_square(n)
        assert all(sorted(row) == list(range(n)) for row in square)
        places = collections.Counter(itertools.chain(*(enumerate(row) for row in square)))
        pairs = collections.Counter(itertools.chain(*map(itertools.pairwise, square)))
        assert (len(places), len(set(places.values()))) == (n * n, 1)
        assert (len(pairs), len(set(pairs.values()))) == (n * (n - 1), min(1, n - 1))

    def test_calls_in_that_order(self):
        calls = []
        functions = {name: (lambda name=name: calls.append(name)) for name in "abc"}
        interleave(functions, rounds=6, warmup=0)
        assert calls == ["abc"[i] for row in _williams_square(3) for i in row]

    def test_warmup_is_untimed(self):
        clock, calls = Clock(), []

        def f():
            calls.append(1)
            clock.now += 10.0 if len(calls) <= 2 else 1.0

        assert interleave({"f": f}, rounds=3, warmup=2, clock=clock).samples["f"] == (1.0,) * 3

    def test_rests_before_each_call_untimed(self, monkeypatch):
        clock, rests = Clock(), []
        monkeypatch.setattr(time, "sleep", rests.append)
        functions = {"a": clock.taking(1.0), "b": clock.taking(2.0)}
        result = interleave(functions, rounds=2, rest=0.25, clock=clock)
        assert rests == [0.25] * 4
        assert result.samples == {"a": (1.0, 1.0), "b": (2.0, 2.0)}
        assert compare({"a": zeros}, (), rounds=3, rest=0.5).samples["a"]
        assert rests[4:] == [0.5] * 3

    def test_waits_for_all_outputs(self):
        clock = Clock()
        functions = {"late": lambda: (0.0, [Pending(clock, 2.0)])}
        assert interleave(functions, rounds=2, clock=clock).samples["late"] == (2.0, 2.0)

    def test_garbage_collection_rests_and_returns(self):
        seen = []

        def f():
            seen.append(gc.isenabled())
            if len(seen) > 2:
                raise RuntimeError("stop")

        with pytest.raises(RuntimeError, match="stop"):
            interleave({"f": f}, rounds=5, warmup=1)
        assert seen == [True, False, False]
        assert gc.isenabled()


class TestCompare:
    def test_reads_no_clock_before_all_agree(self):
        functions = {"a": lambda x: x, "b": lambda x: x, "c": lambda x: x + 1}
        with pytest.raises(ValueError, match=r"'a' and 'c' differ by up to 1 at answer;"):
            compare(functions, (x,), clock=never)

    def test_baseline_is_the_measure(self):
        functions = {"a": lambda: 2.0, "b": lambda: 1.0, "c": lambda: 1.0}
        with pytest.raises(ValueError, match="answers of 'b' and 'a' differ"):
            compare(functions, (), baseline="b", clock=never)

    def test_tolerance(self):
        functions = {"a": lambda: 100.0, "b": lambda: 101.0}
        assert compare(functions, (), rtol=0.011, rounds=2).baseline == "a"
        assert compare(functions, (), rtol=0.0, atol=1.0, rounds=2).baseline == "a"
        with pytest.raises(ValueError, match="differ by up to 1 "):
            compare(functions, (), rtol=0.009, clock=never)

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
    def test_special_values(self, wrong):
        compare({"a": lambda: wrong, "b": lambda: wrong}, (), rounds=1)
        with pytest.raises(ValueError, match="differ by up to inf"):
            compare({"a": lambda: 1.0, "b": lambda: wrong}, (), clock=never)

    def test_answers_of_other_kinds(self):
        """NumPy for JAX, keys, integers, half precision, complex and empty arrays."""
        ours = {
            "key": jax.random.key(0),
            "labels": jnp.arange(3),
            "half": jnp.ones(2, jnp.bfloat16),
            "wave": jnp.ones(2) * 1j,
            "none": jnp.zeros((0, 3)),
        }
        theirs = {
            "key": np.zeros(2),
            "labels": np.arange(3.0),
            "half": np.ones(2),
            "wave": np.ones(2) * 1j,
            "none": np.zeros((0, 3)),
        }
        compare({"a": lambda: ours, "b": lambda: theirs}, (), rounds=1)
        for name in ("key", "labels", "half", "wave"):
            changed = theirs | {name: theirs[name] + 1}
            with pytest.raises(ValueError, match=rf"at answer\['{name}'\]"):
                compare({"a": lambda: ours, "b": lambda c=changed: c}, (), clock=never)

    def test_donated_arguments_survive(self):
        """The copies are made for the one that donates, and outside of the time."""
        add = jax.jit(lambda x, y: x + y, donate_argnums=0)
        given = []

        def keeps(x, y):
            given.append(x)
            return x + y

        a, b = jnp.ones(3), jnp.full(3, 2.0)
        compare({"donates": add, "keeps": keeps}, (a, b), rounds=5)
        np.testing.assert_array_equal(a + b, 3)
        assert all(one is a for one in given[1:])

    def test_times(self):
        clock = Clock()
        functions = {"a": clock.taking(2.0), "b": clock.taking(5.0)}
        assert compare(functions, (x,), rounds=2, clock=clock).ratio("b") == (2.5, 2.5, 2.5)


class TestResults:
    comparison = Comparison(
        {"hand-written": (1e-4, 2e-4, 3e-4), "mine": (1.04e-4, 2.04e-4, 3.3e-4)}, "hand-written"
    )
    times = JitTimes(
        name="layer",
        trace=0.00123,
        lower=0.0456,
        compile=1.5,
        first_call=0.0009996,
        samples=(1e-5, 2e-5, 3e-5),
        flops=4e5,
        bytes_accessed=0.0,
        temporary_bytes=1024,
        peak=Peak("float32", 1e11, 1e10),
    )

    def test_comparison_as_a_table(self):
        assert str(self.comparison).splitlines() == [
            "                  Q₁  median      Q₃  minimum  ratio      [Q₁, Q₃]",
            "hand-written  150 µs  200 µs  250 µs   100 µs      1",
            "mine          154 µs  204 µs  267 µs   104 µs   1.04  [1.03, 1.07]",
        ]

    def test_comparison_in_markdown(self):
        assert self.comparison.to_markdown().splitlines() == [
            "| | median | ratio |",
            "|---|--:|--:|",
            "| hand-written | 200 µs | 1 |",
            "| mine | 204 µs | 1.04 [1.03, 1.07] |",
        ]

    def test_per_step(self):
        steps = self.comparison.per(100)
        assert steps.quartiles("hand-written") == pytest.approx((1.5e-6, 2e-6, 2.5e-6), rel=1e-12)
        assert steps.ratio("mine") == pytest.approx(self.comparison.ratio("mine"), rel=1e-12)

    def test_stages_as_a_table(self):
        assert str(self.times).splitlines() == [
            "layer",
            "trace       1.23 ms",
            "lower       45.6 ms",
            "compile      1.50 s",
            "first call  1.00 ms",
            "call        20.0 µs  [15.0 µs, 25.0 µs], minimum 10.0 µs, 3 ×",
            "operations:     400 kFLOP, 20.0 GFLOP/s, 20% of the peak",
            "memory access:  0 B, 0 B/s",
            "temporary:      1.02 kB",
        ]

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0.0, "0 s"),
            (3e-10, "0.300 ns"),
            (9.99e-7, "999 ns"),
            (1e-6, "1.00 µs"),
            (0.99949, "999 ms"),
            (0.99951, "1.00 s"),
            (75.0, "75.0 s"),
            (3600.0, "3.60 ks"),
        ],
    )
    def test_units(self, seconds, text):
        assert _scaled(seconds, "s") == text

    def test_json_round_trip(self):
        for result in (self.comparison, self.times, time_jit(jnp.sin, x, repeats=1)):
            assert json.loads(result.to_json()) == result.to_dict()
        assert json.loads(self.times.to_json())["peak"]["flops_per_second"] == 1e11
        assert json.loads(self.comparison.to_json())["ratio"]["hand-written"] == [1, 1, 1]

    def test_results_are_immutable(self):
        for result, field in ((self.comparison, "baseline"), (self.times, "flops")):
            with pytest.raises(AttributeError):
                setattr(result, field, None)

    def test_peak_as_text(self):
        assert str(self.times.peak) == (
            "float32: 100 GFLOP/s in a matrix product, 10.0 GB/s in a copy"
        )
