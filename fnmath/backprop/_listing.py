"""The listing of the user's own source, with what each line made and the gradient it got."""

from __future__ import annotations

import ast
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fnmath.backprop.record import Site, Step, Tensor, Trace, Variable

COLUMN = 66
"""Where the numbers stand at most, for lines longer than that."""
ARGUMENTS = 40
"""How many arguments are listed."""
MOST = 3
"""How many results of one line are shown."""


def listing(trace: Trace) -> str:
    """The source of each function that took part, with its values and gradients line by line."""
    at = made(trace)
    parts = [_summary(trace)]
    places = {f"{file}:{function}": (file, function) for file, function, _ in at}
    for key, (first, text) in trace.sources.items():
        if key not in places:
            continue
        file, function = places[key]
        here = {line: v for (f, name, line), v in at.items() if (f, name) == places[key]}
        lines = dedented(text)
        if not lines:  # no source to be had: the line numbers alone
            lines = ["…"] * (max(here) - first + 1)
        parts.append(f"\n{function}  {file}:{first}")
        width = min(max(map(len, lines)), COLUMN)
        docstring = told(text, first)
        for number, line in enumerate(lines, first):
            if number in docstring:
                continue
            notes = _notes(trace, *here[number]) if number in here else [""]
            parts.append(f"{number:>5}  {line:<{width}}  {notes[0]}".rstrip())
            parts += [f"{'':>5}  {'':<{width}}  {note}" for note in notes[1:]]
    return "\n".join(parts)


def dedented(text: str) -> list[str]:
    """The lines of a function without the margin they share."""
    return textwrap.dedent(text).splitlines()


def told(text: str, first: int) -> range:
    """The lines of a docstring after its first: the listing is of what is computed."""
    try:
        body = ast.parse(textwrap.dedent(text)).body[0]
    except (SyntaxError, IndexError):
        return range(0)
    if not isinstance(body, ast.FunctionDef) or ast.get_docstring(body) is None:
        return range(0)
    docstring = body.body[0]
    return range(first + docstring.lineno, first + (docstring.end_lineno or 0))


def _summary(trace: Trace) -> str:
    """What was traced, and its arguments with their gradients."""
    outer = sum(not s.children for s in trace.steps)
    results = [trace.variables[k] for k in trace.results]
    lines = [f"{outer} operations, to {', '.join(_described(v) for v in results)}"]
    lines += ["from " + _described(trace.variables[k]) for k in trace.arguments[:ARGUMENTS]]
    more = len(trace.arguments) - ARGUMENTS
    lines += [f"and {more} more arguments"] if more > 0 else []
    return "\n".join(lines)


def made(trace: Trace) -> dict[tuple[str, str, int], tuple[Step, int]]:
    """For each line the step that finished it last, and how many times it was run.

    Of a step and those it consists of, the line shows the outermost; of a call that it makes, what
    that returns.
    """
    depth: list[int] = []
    lines: dict[tuple[str, str, int], list[Step]] = {}
    for step in trace.steps:
        depth.append(0 if step.parent is None else depth[step.parent] + 1)
        if step.outputs and step.operation != "iteration":
            for frame in _finished(step):
                known = lines.setdefault((frame.file, frame.function, frame.line), [step])
                if depth[step.index] < depth[known[-1].index]:
                    known.clear()
                if not known or depth[step.index] == depth[known[-1].index]:
                    known.append(step)
    finished = {}
    for key, steps in lines.items():
        name = trace.variables[steps[-1].outputs[0]].name
        same = {s.index for s in steps if trace.variables[s.outputs[0]].name == name}
        finished[key] = steps[-1], len(same)
    return finished


def _finished(step: Step) -> list[Site]:
    """The lines that a step finishes: its own, and those of the calls whose result is its own."""
    inner = len(step.frames) - 1
    return list(dict.fromkeys(f for k, f in enumerate(step.frames) if step.returns >= inner - k))


def _notes(trace: Trace, step: Step, runs: int) -> list[str]:
    variables = [trace.variables[k] for k in step.outputs]
    notes = [_described(v) for v in variables[:MOST]]
    if runs > 1:
        notes[0] += f"  ×{runs}"
    if len(variables) > MOST:
        notes.append(f"and {len(variables) - MOST} more")
    return notes


def _described(v: Variable) -> str:
    """``h float32[8, 16]  ‖3.21‖  gradient ‖0.0456‖``."""
    gradient = "" if v.cotangent is None else f"  gradient {_size(v.cotangent)}"
    name = "" if v.name == f"v{v.index}" else f"{v.name} "
    return f"{name}{v.value.dtype}{list(v.value.shape)}  {_size(v.value)}{gradient}".rstrip()


def _size(x: Tensor) -> str:
    """The number itself if it is one, else the norm; of a key, which is no number, nothing."""
    if x.dtype.startswith("key"):
        return ""
    if x.whole is not None and x.size == 1:
        return f"{x.whole.reshape(())[()]:.4g}" if x.whole.dtype != bool else str(x.whole.item())
    return f"‖{x.norm:.4g}‖" + (f" ({x.nonfinite} not finite)" if x.nonfinite else "")
