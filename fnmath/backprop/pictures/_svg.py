"""The graph of a pass as a picture for a paper or a README, legible on light and on dark."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from fnmath.backprop.pictures import _text
from fnmath.backprop.pictures._layout import BAR, LETTER, LINE, PADDING, Drawing, Item, draw
from fnmath.backprop.pictures._tree import Flow, opened, tree

if TYPE_CHECKING:
    from fnmath.backprop.record import Trace

MOST = 24
"""Boxes, unless a level is asked for."""
EDGE = 16.0
STYLE = """
text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  fill: #1c2430; white-space: pre }
.paper { fill: #ffffff } .box { fill: #ffffff; stroke: #b9c2ce }
.argument { fill: #f1f4f8; stroke: #d5dbe3 }
.frame { fill: #5b6b80; fill-opacity: .06; stroke: #b9c2ce } .label { font-weight: 600 }
.over { stroke: #f5f6f8; stroke-width: 5px; paint-order: stroke; stroke-linejoin: round }
.quiet { fill: #5a6675 } .value { fill: #1857b0 } .bar { fill: #ab3f00 }
.line { fill: none; stroke: #6d7c8f; stroke-width: 1.4 } .flat { stroke: #c3cbd5 }
.head { fill: #6d7c8f } .strip { fill: #d9570a }
@media (prefers-color-scheme: dark) {
text { fill: #e6e9ef } .paper { fill: #0d1117 } .box { fill: #161c25; stroke: #465262 }
.argument { fill: #10161f; stroke: #333d4a }
.frame { fill: #9fb0c6; stroke: #465262 } .quiet { fill: #9aa6b5 } .over { stroke: #161d27 }
.value { fill: #82b4ff } .bar { fill: #ffa366 } .line { stroke: #7d8b9d } .flat { stroke: #3d4856 }
.head { fill: #7d8b9d } .strip { fill: #ff8a3d }
}"""


def svg(trace: Trace, level: int | None) -> str:
    """The text of the picture."""
    flow, root = Flow(trace), tree(trace)
    drawing = draw(flow, root, opened(flow, root, level=level, most=MOST))
    key = _text.width(LEGEND) * LETTER
    width, height = max(drawing.width, key) + 2 * EDGE, drawing.height + 2 * EDGE + 26
    title = f"Forward and backward pass of {root.label}"
    left = EDGE + max(0.0, key - drawing.width) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}"'
        f' width="{width:.0f}" height="{height:.0f}" role="img" aria-labelledby="title">',
        f'<title id="title">{_escaped(title)}</title>',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{width:.0f}" height="{height:.0f}" rx="8"/>',
        f'<g transform="translate({left:.1f} {EDGE})">',
        *_frames(drawing),
        *_lines(flow, drawing),
        *_labels(flow, drawing),
        *_boxes(flow, drawing),
        "</g>",
        _legend(EDGE, height - EDGE),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


LEGEND = "↓ value: shape, ‖norm‖ or number    ↑ its gradient: ‖norm‖ or number"


def _legend(x: float, y: float) -> str:
    value, bar = LEGEND.split("    ")
    return (
        f'<text x="{x}" y="{y:.0f}"><tspan class="value">{value}</tspan>'
        f'<tspan class="bar" dx="24">{bar}</tspan></text>'
    )


def _escaped(text: str) -> str:
    """Text as XML can hold it: of the control characters there may be only three."""
    return escape("".join(c for c in text if c >= " " or c in "\t\n"))


def _frames(drawing: Drawing) -> list[str]:
    return [
        f'<rect class="frame" x="{x:.1f}" y="{y:.1f}" width="{part.width:.1f}"'
        f' height="{part.height:.1f}" rx="8"/>'
        for part, x, y in drawing.frames
    ]


def _labels(flow: Flow, drawing: Drawing) -> list[str]:
    return [
        f'<text class="label quiet over" x="{x + PADDING:.1f}" y="{y + BAR - 7:.1f}">'
        f"{_escaped(_text.lines(flow, part.node)[0])}</text>"
        for part, x, y in drawing.frames
    ]


def _lines(flow: Flow, drawing: Drawing) -> list[str]:
    made = []
    for link, (x0, y0, y1, y2, y3, x1) in drawing.lines:
        active = any(flow.trace.variables[v].cotangent is not None for v in link.variables)
        middle = (y1 + y2) / 2
        path = f"M{x0:.1f} {y0:.1f}V{y1:.1f}C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f}"
        path += f" {x1:.1f} {y2:.1f}V{y3:.1f}"
        made.append(f'<path class="line{"" if active else " flat"}" d="{path}"/>')
        if link.lower.kind == "node":
            head = f"M{x1 - 3.5:.1f} {y3 - 6:.1f}h7l-3.5 6z"
            made.append(f'<path class="head" d="{head}"/>')
    return made


def _boxes(flow: Flow, drawing: Drawing) -> list[str]:
    bars = [b for item, _, _ in drawing.items if (b := _norm(flow, item))]
    low, high = (min(bars), max(bars)) if bars else (1.0, 1.0)
    return [
        line for box in drawing.items for line in _box(*box, _share(_norm(flow, box[0]), low, high))
    ]


def _norm(flow: Flow, item: Item) -> float:
    """The norm of the cotangents that stand in a box, 0 where there is none."""
    v = flow.shown(item.node) if item.node else None
    shown = item.variables if v is None else (v,)
    found = [flow.trace.variables[k].cotangent for k in shown]
    return _text.joint([c.norm for c in found if c is not None])


def _share(norm: float, low: float, high: float) -> float:
    """How large a gradient is beside the largest, from 0.15 to 1, on a scale of logarithms."""
    span = max(math.log(high / low), math.log(100))
    return 1 - 0.85 * math.log(high / norm) / span if norm else 0.0


def _box(item: Item, x: float, y: float, share: float) -> list[str]:
    kind = "box" if item.kind == "node" else "argument"
    radius = 6 if item.kind == "node" else min(item.height / 2, 14)
    made = [
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{item.width:.1f}"'
        f' height="{item.height:.1f}" rx="{radius:.0f}"/>'
    ]
    if share and item.kind == "node":
        made.append(
            f'<rect class="strip" x="{x + 2:.1f}" y="{y + 6:.1f}" width="3"'
            f' height="{item.height - 12:.1f}" rx="1.5" fill-opacity="{share:.2f}"/>'
        )
    names = ("label" if item.kind == "node" else "", "value", "bar")
    row = y + PADDING / 2 - 4
    for name, line in zip(names, item.lines, strict=True):
        if line:
            row += LINE
            made.append(
                f'<text class="{name}" x="{x + PADDING:.1f}" y="{row:.1f}">{_escaped(line)}</text>'
            )
    return made
