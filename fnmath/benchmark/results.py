"""What the measurements of this chapter return: numbers that print as tables and save as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


def _digits(number: float) -> str:
    """Three digits, the zeros at the end too: they were measured."""
    return f"{number:#.3g}".rstrip(".")


def _scaled(amount: float, unit: str) -> str:
    """A number with three digits and a prefix: 0.00123, "s" is 1.23 ms."""
    for power, prefix in [(12, "T"), (9, "G"), (6, "M"), (3, "k"), (0, ""), (-3, "m"), (-6, "µ")]:
        if abs(amount) >= 0.9995 * 10.0**power:
            return f"{_digits(amount / 10.0**power)} {prefix}{unit}"
    return f"{_digits(amount * 1e9)} n{unit}" if amount else f"0 {unit}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns of text, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        for row in rows
    )
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _quartiles(samples: Sequence[float]) -> tuple[float, float, float]:
    first, median, third = np.quantile(np.asarray(samples), [0.25, 0.5, 0.75])
    return float(first), float(median), float(third)


class Peak(NamedTuple):
    """The most that this machine was seen to do: what other rates are fractions of."""

    dtype: str
    flops_per_second: float
    bytes_per_second: float

    def __str__(self) -> str:
        """Both rates, on one line."""
        flops, moved = _scaled(self.flops_per_second, "FLOP/s"), _scaled(self.bytes_per_second, "B")
        return f"{self.dtype}: {flops} in a matrix product, {moved}/s in a copy"


@dataclasses.dataclass(frozen=True)
class JitTimes:
    """What ``time_jit`` measured: seconds, FLOP and bytes; None is what XLA does not tell."""

    name: str
    trace: float
    lower: float
    compile: float
    first_call: float
    samples: tuple[float, ...]
    flops: float | None
    bytes_accessed: float | None
    temporary_bytes: int | None
    peak: Peak | None = None

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Q₁, Q₂ and Q₃ of the steady calls, in seconds."""
        return _quartiles(self.samples)

    @property
    def median(self) -> float:
        """The median of the steady calls, in seconds."""
        return self.quartiles[1]

    @property
    def minimum(self) -> float:
        """The shortest of the steady calls, in seconds."""
        return min(self.samples)

    @property
    def flops_per_second(self) -> float | None:
        """The rate reached in the median call."""
        return None if self.flops is None else self.flops / self.median

    @property
    def bytes_per_second(self) -> float | None:
        """The bytes that XLA counts, over the median call."""
        return None if self.bytes_accessed is None else self.bytes_accessed / self.median

    def to_dict(self) -> dict[str, Any]:
        """Everything, the derived numbers too, as plain Python for ``json.dump``."""
        return dataclasses.asdict(self) | {
            "samples": list(self.samples),
            "quartiles": list(self.quartiles),
            "minimum": self.minimum,
            "flops_per_second": self.flops_per_second,
            "bytes_per_second": self.bytes_per_second,
            "peak": None if self.peak is None else self.peak._asdict(),
        }

    def to_json(self) -> str:
        """``to_dict`` as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        """A table of the stages, with sensible units."""
        first, median, third = (_scaled(t, "s") for t in self.quartiles)
        spread = f"[{first}, {third}], minimum {_scaled(self.minimum, 's')}, {len(self.samples)} ×"
        stages = [
            (stage, _scaled(getattr(self, stage.replace(" ", "_")), "s"))
            for stage in ("trace", "lower", "compile", "first call")
        ]
        amounts = [
            ("operations", self.flops, "FLOP", self.flops_per_second, "FLOP/s", 1),
            ("memory access", self.bytes_accessed, "B", self.bytes_per_second, "B/s", 2),
            ("temporary", self.temporary_bytes, "B", None, "", 0),
        ]
        table = _aligned([(self.name, ""), *stages, ("call", median)]) + f"  {spread}"
        for what, amount, unit, rate, rate_unit, i in amounts:
            line = "unknown" if amount is None else _scaled(amount, unit)
            line += "" if rate is None else f", {_scaled(rate, rate_unit)}"
            line += f", {rate / self.peak[i]:.0%} of the peak" if self.peak and rate else ""
            table += f"\n{what + ':':<15} {line}"
        return table


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What ``interleave`` measured: for every name its seconds, one for each round."""

    samples: Mapping[str, tuple[float, ...]]
    baseline: str

    def quartiles(self, name: str) -> tuple[float, float, float]:
        """Q₁, Q₂ and Q₃ of the times of ``name``, in seconds."""
        return _quartiles(self.samples[name])

    def ratio(self, name: str) -> tuple[float, float, float]:
        """Q₁, Q₂ and Q₃ of the time of ``name`` over that of the baseline in the same round."""
        pairs = zip(self.samples[name], self.samples[self.baseline], strict=True)
        return _quartiles([t / t_baseline for t, t_baseline in pairs])

    def per(self, steps: int | Mapping[str, int]) -> Comparison:
        """The same times per step, where each call took so many: all alike, or each by its name."""
        of = steps if isinstance(steps, Mapping) else dict.fromkeys(self.samples, steps)
        times = {name: tuple(t / of[name] for t in ts) for name, ts in self.samples.items()}
        return Comparison(times, self.baseline)

    def to_dict(self) -> dict[str, Any]:
        """Everything, the derived numbers too, as plain Python for ``json.dump``."""
        return {
            "baseline": self.baseline,
            "samples": {name: list(times) for name, times in self.samples.items()},
            "quartiles": {name: list(self.quartiles(name)) for name in self.samples},
            "ratio": {name: list(self.ratio(name)) for name in self.samples},
        }

    def to_json(self) -> str:
        """``to_dict`` as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def to_markdown(self) -> str:
        """A table in Markdown: median and ratio to the baseline, with quartiles."""
        lines = ["| | median | ratio |", "|---|--:|--:|"]
        for name, _, median, _, _, *ratio in self._rows():
            lines.append(f"| {name} | {median} | {' '.join(ratio).strip()} |")
        return "\n".join(lines)

    def __str__(self) -> str:
        """An aligned table: quartiles, minimum, and the ratio to the baseline with quartiles."""
        header = ("", "Q₁", "median", "Q₃", "minimum", "ratio", "[Q₁, Q₃]")
        return _aligned([header, *self._rows()])

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for name, times in self.samples.items():
            first, median, third = (_scaled(t, "s") for t in self.quartiles(name))
            low, middle, high = self.ratio(name)
            shown = (_digits(middle), f"[{_digits(low)}, {_digits(high)}]")
            shown = ("1", "") if name == self.baseline else shown
            yield name, first, median, third, _scaled(min(times), "s"), *shown
