"""The calls, lines and operations of a pass as one tree: what pictures fold and unfold.

A node is a run of steps that follow each other: the steps of a call, of a line within it, of an
iteration, or a single one. What stands alone in its line, and a line that is all of its call, are
one node with it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fnmath.backprop.record import Site, Step, Trace


ITERATIONS = 16
"""More iterations of a loop than this are put together in groups."""
CHILDREN = 48
"""More of anything else than this, likewise."""
DEEPEST = 3
"""So many levels are opened, unless a level is asked for."""


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """Steps that follow each other, under one name."""

    kind: str
    """``call``, ``line``, ``step`` or ``group``."""
    label: str
    """Of a call the function's name, of a step the operation's, of a line its text."""
    text: str
    """The source line, where the node is all that the line does; else empty."""
    site: Site | None
    own: tuple[int, ...]
    """The steps that are this node, and not one of its children."""
    first: int
    """Its steps are those from this index …"""
    stop: int
    """… up to but without this one."""
    children: tuple[Node, ...]
    closed: bool = False
    """Whether its inside is of no account to the gradient, because the derivative is given."""

    def all(self) -> Iterator[Node]:
        """The node, and those under it, each before its children."""
        yield self
        for child in self.children:
            yield from child.all()


def tree(trace: Trace) -> Node:
    """The whole pass, as the call of the traced function."""
    outer = [s for s in trace.steps if s.parent is None]
    site = next((s.frames[0] for s in outer if s.frames), None)
    name = site.function.rpartition(".")[2] if site else "function"
    children = _body(trace, outer, 0)
    if len(children) == 1 and children[0].kind == "line":
        children = children[0].children
    return Node("call", name, "", None, (), 0, len(trace.steps), _few(children, "part"))


def _body(trace: Trace, steps: Sequence[Step], depth: int) -> tuple[Node, ...]:
    """What a call does: its lines, from the calls' place ``depth`` inward."""

    def line(step: Step) -> Hashable:
        return step.frames[depth][:3] if len(step.frames) > depth else None

    nodes: list[Node] = []
    for run in _runs(steps, line, lambda step: False):
        if line(run[0]) is None:
            nodes += [_step(trace, step) for step in run]
        else:
            nodes.append(_line(trace, run, depth))
    return tuple(nodes)


def _line(trace: Trace, steps: Sequence[Step], depth: int) -> Node:
    """What a line does: its operations, and the calls it makes."""
    site = steps[0].frames[depth]

    def call(step: Step) -> Hashable:
        inner = step.frames[depth + 1 :]
        return (inner[0].file, inner[0].function) if inner else step.index

    def ends(step: Step) -> bool:
        return step.returns >= len(step.frames) - depth - 1

    children = [
        _call(trace, run, depth + 1) if len(run[0].frames) > depth + 1 else _step(trace, run[0])
        for run in _runs(steps, call, ends)
    ]
    text = site.text or f"line {site.line}"
    if len(children) == 1:
        return dataclasses.replace(children[0], text=text, site=site)
    return _node(trace, "line", text, text, site, (), _few(children, "part"))


def _call(trace: Trace, steps: Sequence[Step], depth: int) -> Node:
    """One call of a function of the user's."""
    site = steps[0].frames[depth]
    children = _body(trace, steps, depth)
    if len(children) == 1:
        only = children[0]
        label = _short(site.function) if only.children else only.label
        kind = "call" if only.kind == "line" else only.kind
        return dataclasses.replace(only, kind=kind, label=label, text="")
    name = _short(site.function)
    return _node(trace, "call", name, "", site, (), _few(children, "part"))


def _step(trace: Trace, step: Step) -> Node:
    """One operation, with those that it consists of."""
    inner = [trace.steps[k] for k in step.children]
    children = _body(trace, inner, len(step.frames))
    loop = any(s.operation == "iteration" for s in inner)
    children = _loop(children) if loop else _few(children, "part")
    closed = "rule of its author" in step.note
    first = (step.index,)
    return _node(trace, "step", step.label, "", step.site, first, children, closed=closed)


def _node(
    trace: Trace,
    kind: str,
    label: str,
    text: str,
    site: Site | None,
    own: tuple[int, ...],
    children: tuple[Node, ...],
    *,
    closed: bool = False,
) -> Node:
    first = own[0] if own else children[0].first
    stop = children[-1].stop if children else own[-1] + 1
    return Node(kind, label, text, site, own, first, stop, children, closed)


def _loop(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """A loop: what takes its inputs apart, its iterations, and what puts its outputs together."""
    result: list[Node] = []
    for run in _runs(nodes, lambda node: node.label.startswith("iteration"), _never):
        if run[0].label.startswith("iteration"):
            result += _few(run, "iterations")
        elif len(run) > 3:
            result.append(_group(run, f"{run[0].label} of {len(run)} arrays"))
        else:
            result += run
    return tuple(result)


def _few(nodes: Sequence[Node], word: str) -> tuple[Node, ...]:
    """The nodes in groups, in groups of groups, until there are few enough."""
    most = ITERATIONS if word == "iterations" else CHILDREN
    if len(nodes) <= most:
        return tuple(nodes)
    size = 10 if word == "iterations" else math.isqrt(len(nodes) - 1) + 1
    parts = [nodes[i : i + size] for i in range(0, len(nodes), size)]
    return _few([_group(part, _span(part, word)) for part in parts], word)


def _never(_: object) -> bool:
    return False


def _span(nodes: Sequence[Node], word: str) -> str:
    """What several nodes are called together."""
    if word != "iterations":
        return f"{_title(nodes[0])} … {_title(nodes[-1])}"
    first, last = nodes[0].label.split()[1], nodes[-1].label.split()[-1]
    return f"iterations {first} to {last}"


def _group(nodes: Sequence[Node], label: str) -> Node:
    first, stop = nodes[0].first, nodes[-1].stop
    return Node("group", label, "", nodes[0].site, (), first, stop, tuple(nodes))


def _title(node: Node) -> str:
    return (node.text or node.label)[:16]


def _runs(
    items: Sequence, key: Callable[..., Hashable], ends: Callable[..., bool]
) -> Iterable[list]:
    """Items that follow each other and have one key, up to one that ends the run."""
    run: list = []
    for item in items:
        if run and (key(item) != key(run[-1]) or ends(run[-1])):
            yield run
            run = []
        run.append(item)
    if run:
        yield run


def _short(function: str) -> str:
    return function.rpartition(".")[2]


class Flow:
    """Which values go into each run of steps, and which come out of it."""

    def __init__(self, trace: Trace):
        self.trace = trace
        self.last = [-1] * len(trace.variables)
        for step in trace.steps:
            for v in step.inputs:
                self.last[v] = max(self.last[v], step.index)
        for v in trace.results:
            self.last[v] = len(trace.steps)
        self.known: dict[tuple[str, int, int], list[int]] = {}

    def into(self, node: Node) -> list[int]:
        """The variables that a node uses and does not make, literals left out."""
        key = "into", node.first, node.stop
        if key not in self.known:
            steps = self.trace.steps[node.first : node.stop]
            used = dict.fromkeys(v for step in steps for v in step.inputs)
            literal = [v for v in used if self.trace.variables[v].kind == "literal"]
            self.known[key] = [v for v in used if not self.made_in(v, node) and v not in literal]
        return self.known[key]

    def out_of(self, node: Node) -> list[int]:
        """The variables that a node makes and something after it uses."""
        key = "out of", node.first, node.stop
        if key not in self.known:
            made = dict.fromkeys(self._all_made(node))
            self.known[key] = [v for v in made if self.last[v] >= node.stop]
        return self.known[key]

    def made_in(self, v: int, node: Node) -> bool:
        """Whether a step of the node makes the variable."""
        producer = self.trace.variables[v].producer
        return producer is not None and node.first <= producer < node.stop

    def shown(self, node: Node) -> int | None:
        """The variable whose numbers stand for the node: the last that gets a cotangent."""
        made = self.out_of(node) or self._all_made(node)
        reached = [v for v in made if self.trace.variables[v].cotangent is not None]
        return (reached or made or [None])[-1]

    def _all_made(self, node: Node) -> list[int]:
        steps = self.trace.steps[node.first : node.stop]
        return [v for step in steps for v in step.outputs if self.made_in(v, node)]


class Opening(NamedTuple):
    """Which nodes of a tree are drawn as the frame around their children."""

    nodes: frozenset[int]
    """By the address of each."""

    def __contains__(self, node: object) -> bool:
        return id(node) in self.nodes


def opened(flow: Flow, root: Node, *, level: int | None, most: int) -> Opening:
    """The nodes to open: down to a level, or as far as no more than ``most`` are seen."""
    found, seen = {id(root)}, len(root.children)
    row = list(root.children)
    depth = 1
    while row and depth < (DEEPEST if level is None else level):
        under: list[Node] = []
        for node in row:
            count = len(node.children)
            if not count:
                continue
            if level is None and (node.closed or not _active(flow, node) or count + seen > most):
                continue
            found.add(id(node))
            seen += count - 1
            under += node.children
        row, depth = under, depth + 1
    return Opening(frozenset(found) if level != 0 else frozenset())


def _active(flow: Flow, node: Node) -> bool:
    v = flow.shown(node)
    return v is not None and flow.trace.variables[v].cotangent is not None
