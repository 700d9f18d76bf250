"""Where in the user's source an operation stands, and what its result is called there.

An equation of a jaxpr carries the calls that were open when it was made. Of these, JAX's own are
left out; each that remains is an instruction of a function, and Python knows which expression of
the source that instruction came from. If the expression is the whole right side of ``h = …``, the
equation that finishes it made what the source calls ``h``.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import linecache
import os
import sysconfig
from collections.abc import Sequence
from types import CodeType
from typing import Any, NamedTuple

import jax
import jaxlib
import jaxtyping
import numpy as np

from fnmath.backprop import marks
from fnmath.backprop.record import Site

Call = tuple[CodeType, int]
"""An open call: the code of a function, and the instruction in it."""

Span = tuple[int, int, int, int]
"""Of an expression: first line, last line, first column, last column."""

_FOREIGN = tuple(
    os.path.dirname(path) + os.sep
    for path in (jax.__file__, jaxlib.__file__, np.__file__, jaxtyping.__file__, os.__file__)
)
_INSTALLED = tuple({sysconfig.get_path(name) + os.sep for name in ("purelib", "platlib")})


Names = tuple[Any, ...]
"""Of an assignment's left side: names, or tuples of them again."""


class Expression(NamedTuple):
    """What becomes of an expression of the source: it is given names, or returned."""

    names: Names
    returned: bool


class Place(NamedTuple):
    """Where an equation was made, from the outermost call to the innermost."""

    calls: tuple[Call, ...]
    raw: tuple[Call, ...]
    """The calls as the equation remembers them."""
    names: Names
    returns: int
    """How many of the innermost calls it finishes: its result is theirs."""


def is_foreign(filename: str) -> bool:
    """Whether a file is JAX's, NumPy's or Python's own, or only marks: no user wrote it."""
    if filename == marks.__file__:
        return True
    if filename.startswith(_INSTALLED):
        return filename.startswith(_FOREIGN[:-1])
    return filename.startswith(_FOREIGN) or filename.startswith("<frozen")


def calls(equation: Any, root: CodeType) -> tuple[Call, ...]:
    """The calls that were open when an equation was made, within that of ``root``."""
    traceback = equation.source_info.traceback
    if traceback is None:
        return ()
    kept: list[Call] = []
    for code, instruction in zip(*traceback.raw_frames(), strict=True):
        if code is root:
            break
        if not is_foreign(code.co_filename) and code.co_name not in ("<listcomp>", "<genexpr>"):
            kept.append((code, instruction))
    own = [(code, instruction) for code, instruction in kept if not _is_wrapper(code)]
    return tuple(reversed(own or kept))


def _is_wrapper(code: CodeType) -> bool:
    """Whether a function stands for another, by ``functools.wraps``: that is what it is called."""
    return code.co_firstlineno in _read(code.co_filename).wrappers


def places(
    jaxpr: Any,
    root: CodeType,
    outer: tuple[Call, ...],
    outer_shown: tuple[Call, ...],
    *,
    whole: bool,
) -> list[Place]:
    """The place of each equation of a jaxpr that was made within the calls ``outer``.

    The ``whole`` jaxpr is that of the traced function itself, not of one that it calls.

    A compiled function is traced once and used again, so that its equations remember the calls of
    its first use. What is shown are the calls of this use (``outer_shown``) and, within them, those
    from the function itself inward.
    """
    found = [calls(equation, root) for equation in jaxpr.eqns]
    inner = found if whole else [_within(c, outer, jaxpr) for c in found]
    following = [*inner, None][1:]
    result = []
    for equation, raw, place, after, later in zip(
        jaxpr.eqns, found, inner, following, [*jaxpr.eqns, None][1:], strict=True
    ):
        again = later is not None and later.primitive is equation.primitive
        names, returns = _finished(place, after, again)
        result.append(Place(outer_shown + place, raw, names, returns))
    return result


def _within(found: tuple[Call, ...], outer: tuple[Call, ...], jaxpr: Any) -> tuple[Call, ...]:
    """The calls from the function inward that the jaxpr was made of."""
    nested = found[: len(outer)] == outer
    inner = found[len(outer) :] if nested else found
    info = jaxpr.debug_info
    if info is not None:
        name, file = info.func_name.split(".")[-1], info.func_filename
        same = [code.co_name == name and code.co_filename == file for code, _ in inner]
        if any(same):
            return inner[same.index(True) :]
    return inner if nested and outer else ()


def _finished(
    place: tuple[Call, ...], after: tuple[Call, ...] | None, again: bool
) -> tuple[Names, int]:
    """The names that an equation's results get, and how many calls return it."""
    names: Names = ()
    returns = 0
    over = False  # whether the call within this expression has just returned
    for k in reversed(range(len(place))):
        same = after is not None and after[: k + 1] == place[: k + 1]
        last = over or not same or (again and after == place)
        expression = _read(place[k][0].co_filename).expressions.get(span(place[k]))
        if not last or expression is None:
            break
        names = names or expression.names
        within = after is not None and len(after) > k and after[:k] == place[:k]
        left = after is None or not within or after[k][0] is not place[k][0]
        over = expression.returned and (not expression.names or left)
        if not over:
            break
        returns += 1
    return names, returns


_SPANS: dict[CodeType, list[Span]] = {}


def span(call: Call) -> Span:
    """The expression that a call is at."""
    code, instruction = call
    if code not in _SPANS:
        _SPANS[code] = [(a or 0, b or 0, c or 0, d or 0) for a, b, c, d in code.co_positions()]
    return _SPANS[code][instruction // 2]


class _File(NamedTuple):
    """What a file of source says."""

    lines: tuple[str, ...]
    expressions: dict[Span, Expression]
    wrappers: frozenset[int]
    """The first lines of functions that are decorated by ``functools.wraps``."""


_FILES: dict[str, _File] = {}


def _read(filename: str) -> _File:
    lines = tuple(linecache.getlines(filename))
    if filename not in _FILES or _FILES[filename].lines != lines:
        found: dict[Span, Expression] = {}
        wrappers: frozenset[int] = frozenset()
        with contextlib.suppress(SyntaxError):
            tree = ast.parse("".join(lines))
            _collect(tree, found)
            wrappers = frozenset(map(_first_line, filter(_wraps, ast.walk(tree))))
        _FILES[filename] = _File(lines, found, wrappers)
    return _FILES[filename]


def _wraps(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(d, ast.Call) and ast.unparse(d.func).split(".")[-1] == "wraps"
        for d in node.decorator_list
    )


def _first_line(node: Any) -> int:
    return min(d.lineno for d in node.decorator_list)


def _collect(tree: ast.AST, found: dict[Span, Expression]) -> None:
    """The named and returned expressions of each function in a tree.

    Of what is returned by its name every assignment counts: which of them was the last to be run,
    the operations that follow it tell.
    """
    given: dict[tuple[ast.AST, str], list[Span]] = {}
    returned: set[tuple[ast.AST, str]] = set()

    def visit(node: ast.AST, function: ast.AST) -> None:
        if isinstance(node, ast.Lambda):
            found[_span(node.body)] = Expression((), True)
            function = node
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node
        elif isinstance(node, ast.Return) and node.value is not None:
            for part in _parts(node.value):
                found[_span(part)] = Expression((), True)
                if isinstance(part, ast.Name):
                    returned.add((function, part.id))
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            names = _names(target)
            if names:
                found[_span(node.value)] = Expression(names, False)
                given.setdefault((function, ", ".join(flat(names))), []).append(_span(node.value))
        elif isinstance(node, ast.AugAssign):
            names = _names(node.target)
            if names:
                found[_span(node)] = Expression(names, False)
                given.setdefault((function, names[0]), []).append(_span(node))
        for child in ast.iter_child_nodes(node):
            visit(child, function)

    visit(tree, tree)
    for span_ in (s for place in returned & given.keys() for s in given[place]):
        found[span_] = Expression(found[span_].names, True)


def _parts(value: ast.expr) -> list[ast.expr]:
    """What is returned by an expression: either branch of a choice, all elements of a tuple."""
    if isinstance(value, ast.IfExp):
        return [part for branch in (value.body, value.orelse) for part in _parts(branch)]
    if isinstance(value, ast.Tuple | ast.List):
        return [part for element in value.elts for part in _parts(element)]
    if isinstance(value, ast.Dict):
        return [part for element in value.values for part in _parts(element)]
    return [value]


def _span(node: Any) -> Span:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


def _names(target: ast.expr) -> Names:
    """The names of an assignment's left side; none where it is no list of names, nested or not."""
    if isinstance(target, ast.Name):
        return (target.id,)
    if isinstance(target, ast.Attribute | ast.Subscript):
        return (ast.unparse(target),)
    if isinstance(target, ast.Tuple | ast.List):
        parts = [_names(element) for element in target.elts]
        if all(parts):
            return tuple(part[0] if len(part) == 1 else part for part in parts)
    return ()


def flat(names: Names) -> list[str]:
    """The names of a nested list of them."""
    return [n for part in names for n in ([part] if isinstance(part, str) else flat(part))]


def given(names: Names, groups: Sequence[int]) -> list[str]:
    """The name of each of an equation's results, which come in groups; empty for none.

    A loop's are two groups, what it carries and what it collects: ``h, outputs = scan(…)``. Where
    one name stands for several results, as the name of a tree does, they are numbered.
    """
    number = sum(groups)
    if len(groups) == len(names) == 2:
        parts = [(n,) if isinstance(n, str) else n for n in names]
        return [n for part, k in zip(parts, groups, strict=True) for n in given(part, [k])]
    if len(names) == 1 and isinstance(names[0], str) and number > 1:
        return [f"{names[0]}[{i}]" for i in range(number)]
    all_flat = all(isinstance(n, str) for n in names) or len(groups) == 1
    return flat(names) if all_flat and len(flat(names)) == number else [""] * number


def function_name(code: CodeType) -> str:
    """The name of a function as its module knows it; of a lambda, with its line."""
    name = code.co_qualname.replace("<locals>.", "")
    return name.replace("<lambda>", f"<lambda:{code.co_firstlineno}>")


_SITES: dict[Call, Site] = {}


def site(call: Call) -> Site:
    """The line that a call is at."""
    if call not in _SITES:
        code = call[0]
        line = span(call)[0] or code.co_firstlineno
        text = linecache.getline(code.co_filename, line).strip()
        _SITES[call] = Site(code.co_filename, line, function_name(code), text)
    return _SITES[call]


def dotted(open_calls: Sequence[Call]) -> str:
    """The functions of open calls, from the outermost inward: ``loss.mlp.dense``."""
    return ".".join(_short_name(code) for code, _ in open_calls)


def _short_name(code: CodeType) -> str:
    """The last part of a function's name; of an object that is called, its class."""
    *before, name = function_name(code).split(".")
    return before[-1] if name == "__call__" and before else name


def source(code: CodeType) -> tuple[int, str]:
    """The first line's number and the text of a function; no text where none can be read."""
    try:
        lines, first = inspect.getsourcelines(code)
    except (OSError, TypeError):
        return code.co_firstlineno, ""
    return first, "".join(lines)
