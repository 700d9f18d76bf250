"""What people ask of a backward pass, as tables: norms, the first nan, the cost.

norms        how large values and gradients are, by parameter, function or line
nonfinite    which operation made the first nan or inf, forward or back
cost         operations and bytes, forward and back, and what forward mode would have cost
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fnmath import _checks

if TYPE_CHECKING:
    from fnmath.backprop.record import Site, Step, Tensor, Trace, Variable

LONGEST = 60
"""How many rows a printed table has at most."""


class NormRow(NamedTuple):
    """The size of one value and of its gradient."""

    name: str
    """Of the parameter, the function or the line."""
    variable: int
    shape: tuple[int, ...]
    value: float
    """‖v‖, the Euclidean norm."""
    gradient: float | None
    """‖v̄‖; None where no gradient flows."""

    @property
    def ratio(self) -> float | None:
        """‖v̄‖ / ‖v‖; None where no gradient flows or the value is 0."""
        return None if self.gradient is None or not self.value else self.gradient / self.value


class Norms(NamedTuple):
    """The sizes of values and gradients, in forward order."""

    by: str
    rows: tuple[NormRow, ...]

    def __str__(self) -> str:
        head = [self.by, "shape", "value", "gradient", "ratio"]
        rows = [
            [r.name, _shape(r.shape), _number(r.value), _number(r.gradient), _number(r.ratio)]
            for r in self.rows
        ]
        return _table(head, rows, left=2)


class Nonfinite(NamedTuple):
    """The first nan or inf of a pass."""

    direction: str
    """``forward`` or ``backward``."""
    kind: str
    """``nan`` or ``inf``."""
    step: int | None
    """The step that made it of finite numbers; None where it was given."""
    operation: str
    variable: int
    """The value it stands in, or whose cotangent it stands in."""
    name: str
    """Of that variable."""
    site: Site | None
    function: str

    def __str__(self) -> str:
        what = f"{self.name}" if self.direction == "forward" else f"the gradient of {self.name}"
        if self.operation == "sum of cotangents":
            return f"{self.kind} in {what}, made where its cotangents, all finite, are added"
        if self.step is None:
            return f"{self.kind} in {what}, which was given"
        place = f", {self.site.file}:{self.site.line}: {self.site.text}" if self.site else ""
        passed = f"in the {self.direction} pass"
        return f"{self.kind} in {what}, made {passed} by {self.operation} in {self.function}{place}"


class CostRow(NamedTuple):
    """What one step costs."""

    step: int
    operation: str
    function: str
    line: int | None
    flops: float
    bytes: float
    backward_flops: float
    backward_bytes: float


class Cost(NamedTuple):
    """What a pass costs forward and back, from the shapes."""

    rows: tuple[CostRow, ...]
    inputs: int
    """How many numbers the gradients hold."""
    outputs: int
    """How many numbers the result holds."""
    flops: float
    bytes: float
    backward_flops: float
    backward_bytes: float

    @property
    def reverse_mode(self) -> float:
        """Operations for all gradients by one pass back: forward + backward."""
        return self.flops + self.backward_flops

    @property
    def forward_mode(self) -> float:
        """Operations for the same numbers by one tangent for each input: forward + n · tangent.

        The tangent pass is the transpose of the backward pass, and costs as much (Griewank and
        Walther, Evaluating Derivatives (2008), §4.6); what checkpoints compute again is left in.
        """
        return self.flops + self.inputs * self.backward_flops / max(1, self.outputs)

    def __str__(self) -> str:
        head = ["step", "operation", "function", "line", "FLOP", "bytes", "FLOP back", "bytes back"]
        dearest = sorted(self.rows, key=lambda r: -(r.flops + r.backward_flops))[:LONGEST]
        rows = [
            [
                str(r.step),
                r.operation,
                r.function,
                str(r.line or ""),
                *map(_count, (r.flops, r.bytes, r.backward_flops, r.backward_bytes)),
            ]
            for r in sorted(dearest)
        ]
        total = (self.flops, self.bytes, self.backward_flops, self.backward_bytes)
        rows.append(["", "all", "", "", *map(_count, total)])
        ratio = self.forward_mode / self.reverse_mode if self.reverse_mode else 1.0
        left_out = len(self.rows) - len(dearest)
        notes = [f"{left_out} cheaper steps left out"] if left_out else []
        notes += [
            f"reverse mode: {_count(self.reverse_mode)} FLOP for {self.inputs} gradients in one "
            "pass back",
            f"forward mode: {_count(self.forward_mode)} FLOP, a tangent for each of them: "
            f"{ratio:.3g} times as many",
        ]
        return "\n".join([_table(head, rows, left=3, longest=LONGEST + 1), *notes])


def norms(trace: Trace, by: str) -> Norms:
    """What ``Trace.norms`` returns."""
    _checks.option("Trace.norms", "by", by, ("parameter", "function", "line"))
    rows = {"parameter": _by_parameter, "function": _by_function, "line": _by_line}[by](trace)
    return Norms(by, tuple(rows))


def _row(name: str, v: Variable) -> NormRow:
    gradient = None if v.cotangent is None else v.cotangent.norm
    return NormRow(name, v.index, v.value.shape, v.value.norm, gradient)


def _by_parameter(trace: Trace) -> Iterator[NormRow]:
    for index in trace.arguments:
        v = trace.variables[index]
        if v.cotangent is not None or v.value.dtype.startswith(("float", "bfloat", "complex")):
            row = _row(v.name, v)
            yield row if row.gradient is not None else row._replace(gradient=0.0)


def _by_function(trace: Trace) -> Iterator[NormRow]:
    """A row for each call that ended, with what it returned."""
    for step in trace.steps:
        parts = step.function.split(".")
        for level in range(step.returns):
            made = step
            depth = len(step.frames) - level
            while made.parent is not None and _is_authored(trace.steps[made.parent]):
                # Within a function with a derivative of its author, cotangents are the function's.
                made = trace.steps[made.parent]
            if made is not step and (depth != len(made.frames) + 1 or not made.outputs):
                continue
            name = ".".join(parts[:depth])
            outputs = [trace.variables[k] for k in made.outputs]
            for v in outputs:
                yield _row(name if len(outputs) == 1 else f"{name}: {v.name}", v)


def _by_line(trace: Trace) -> Iterator[NormRow]:
    """A row for each line that made something, with the last that it made."""
    last: dict[tuple[str, int], Step] = {}
    for step in trace.steps:
        if step.site is not None and (not step.children or _is_authored(step)):
            last[step.site.file, step.site.line] = step
    for step in last.values():
        for k in step.outputs:
            name = trace.variables[k].name
            yield _row(
                f"{step.function}:{step.site.line if step.site else 0} {name}", trace.variables[k]
            )


def _is_authored(step: Step) -> bool:
    return step.operation.startswith(("custom_jvp", "custom_vjp"))


def in_order_of_completion(trace: Trace) -> Iterator[Step]:
    """The steps, each after those it consists of."""
    pending = [trace.steps[s.index] for s in trace.steps if s.parent is None][::-1]
    entered: set[int] = set()
    while pending:
        step = pending[-1]
        if step.children and step.index not in entered:
            entered.add(step.index)
            pending.extend(trace.steps[k] for k in reversed(step.children))
        else:
            yield pending.pop()


def first_nonfinite(trace: Trace) -> Nonfinite | None:
    """What ``Trace.first_nonfinite`` returns."""
    given = [v for v in trace.variables if v.producer is None]
    for step in in_order_of_completion(trace):
        before = [trace.variables[k].value for k in step.inputs]
        for k in step.outputs:
            kind = _new(trace.variables[k].value, before)
            kind = kind or (step.fresh and _kind(trace.variables[k].value))
            if kind:
                return _nonfinite("forward", kind, step, trace.variables[k])
    spoilt = any(trace.variables[k].value.nonfinite for k in trace.results)
    for v in given:  # a mask of −inf, say, is no fault where the results are finite
        if v.value.nonfinite and (v.kind == "argument" or spoilt):
            return _nonfinite("forward", _kind(v.value), None, v)
    sums = {min(_uses(trace, v)): v for v in trace.variables if v.overflows}
    for step in reversed(trace.steps):
        if step.index in sums:
            v = sums[step.index]
            kind = "nan" if v.cotangent and v.cotangent.nans else "inf"
            return _nonfinite("backward", kind, None, v)._replace(operation="sum of cotangents")
        if step.spoiled:
            inputs = [trace.variables[k] for k in step.inputs]
            v = next(v for v in inputs if v.cotangent is not None and v.cotangent.nonfinite)
            kind = "inf" if v.cotangent is None else _kind(v.cotangent)
            return _nonfinite("backward", kind, step, v)
    for k in trace.results:
        v = trace.variables[k]
        if v.cotangent is not None and v.cotangent.nonfinite:
            return _nonfinite("backward", _kind(v.cotangent), None, v)
    return None


def _uses(trace: Trace, v: Variable) -> list[int]:
    """The steps that take a variable."""
    return [step.index for step in trace.steps if v.index in step.inputs]


def _kind(x: Tensor) -> str:
    return "nan" if x.nans else "inf"


def _new(made: Tensor, before: Sequence[Tensor]) -> str:
    """Which kind of nonfinite number is in what was made, and in nothing that it was made of."""
    if made.nans and not any(b.nans for b in before):
        return "nan"
    return "inf" if made.nonfinite and not any(b.nonfinite for b in before) else ""


def _nonfinite(direction: str, kind: str, step: Step | None, v: Variable) -> Nonfinite:
    if step is None:
        return Nonfinite(direction, kind, None, "", v.index, v.name, None, "")
    return Nonfinite(
        direction, kind, step.index, step.label, v.index, v.name, step.site, step.function
    )


def cost(trace: Trace) -> Cost:
    """What ``Trace.cost`` returns."""
    rows = [
        CostRow(
            s.index,
            s.label,
            s.function,
            s.site.line if s.site else None,
            s.flops,
            s.bytes,
            s.backward_flops,
            s.backward_bytes,
        )
        for s in trace.steps
        if not s.children or _is_authored(s)
        if not _within_authored(trace, s)
    ]
    outer = [s for s in trace.steps if s.parent is None]
    inputs = [trace.variables[k].value for k in trace.arguments]
    return Cost(
        tuple(rows),
        sum(x.size for x in inputs if x.dtype.startswith(("float", "bfloat", "complex"))),
        sum(trace.variables[k].value.size for k in trace.results),
        sum(s.flops for s in outer),
        sum(s.bytes for s in outer),
        sum(s.backward_flops for s in outer),
        sum(s.backward_bytes for s in outer),
    )


def _within_authored(trace: Trace, step: Step) -> bool:
    while step.parent is not None:
        step = trace.steps[step.parent]
        if _is_authored(step):
            return True
    return False


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _number(x: float | None) -> str:
    return "-" if x is None else f"{x:.3g}"


def _count(x: float) -> str:
    """A count with its unit: 12, 3.4k, 56M, 7.8G."""
    for unit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if x >= unit:
            return f"{x / unit:.3g}{name}"
    return f"{x:.3g}"


def _table(head: list[str], rows: list[list[str]], *, left: int, longest: int = LONGEST) -> str:
    """Columns, the first ``left`` of them flush left; the middle is left out of a long table."""
    if len(rows) > longest:
        half = longest // 2
        gap = [f"… {len(rows) - 2 * half} more", *[""] * (len(head) - 1)]
        rows = [*rows[:half], gap, *rows[-half:]]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(w) if i < left else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *rows]
    ]
    return "\n".join(lines)
