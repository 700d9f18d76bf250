"""The graph of a pass in the language of Graphviz: every operation, a cluster for each function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fnmath.backprop.pictures import _text
from fnmath.backprop.pictures._tree import Flow, Node, tree

if TYPE_CHECKING:
    from fnmath.backprop.record import Trace

HEAD = """digraph {
  rankdir=TB; compound=true;
  graph [fontname="monospace", fontsize=11, color="#8a96a5", style="rounded"];
  node [fontname="monospace", fontsize=11, shape=box, style="rounded", color="#8a96a5"];
  edge [color="#6d7c8f", arrowsize=0.7];"""


def to_dot(trace: Trace) -> str:
    """The text that ``dot -Tsvg`` draws."""
    flow, root = Flow(trace), tree(trace)
    used = {v for step in trace.steps for v in step.inputs} | set(trace.arguments)
    given = [v for v in trace.variables if v.producer is None and v.index in used]
    parts = [HEAD]
    for v in given:
        if v.kind != "literal":
            label = _quoted("\n".join(filter(None, _text.arguments([v]))))
            parts.append(f"  v{v.index} [label={label}, shape=ellipse];")
    parts += _cluster(flow, root, "  ")
    parts += _edges(trace)
    return "\n".join([*parts, "}"]) + "\n"


def _cluster(flow: Flow, node: Node, indent: str) -> list[str]:
    """A node: one box, or a frame with what is in it; a step that has a frame has a box there."""
    inner = indent + "  "
    made = [f"{inner}{_box(flow, k)}" for k in node.own]
    if not node.children:
        return [line[2:] for line in made]
    for child in node.children:
        made += _cluster(flow, child, inner)
    name = f"{indent}subgraph cluster_{node.first}_{node.stop}_{len(indent)} {{"
    label = f"{inner}label={_quoted(_text.short(node.text or node.label))};"
    return [name, label, *made, f"{indent}}}"]


def _box(flow: Flow, index: int) -> str:
    step = flow.trace.steps[index]
    made = [flow.trace.variables[v] for v in step.outputs]
    if step.children and all(v.producer != index for v in made):
        return f's{index} [label={_quoted(step.label)}, style="rounded,dotted"];'
    lines = [step.label]
    for v in made[:1]:
        name = f" → {v.name}" if v.name != f"v{v.index}" else ""
        lines = [step.label + name, _text.value_line(v.value), _text.cotangent_line(v.cotangent)]
    return f"s{index} [label={_quoted(chr(10).join(filter(None, lines)))}];"


def _edges(trace: Trace) -> list[str]:
    """From what makes each value to what uses it, for steps that are not made of others."""
    made = []
    for step in trace.steps:
        opened = step.children and all(
            trace.variables[v].producer != step.index for v in step.outputs
        )
        if opened:
            continue
        for v in dict.fromkeys(step.inputs):
            variable = trace.variables[v]
            if variable.kind == "literal":
                continue
            source = f"v{v}" if variable.producer is None else f"s{variable.producer}"
            style = ' [style="dashed"]' if variable.cotangent is None else ""
            made.append(f"  {source} -> s{step.index}{style};")
    return made


def _quoted(text: str) -> str:
    """A string of Graphviz; of its escapes only that of a new line is meant."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
