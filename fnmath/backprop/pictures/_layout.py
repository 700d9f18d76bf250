"""Where the boxes of a graph stand: in layers, values flowing down, each opened node a frame.

Sugiyama, Tagawa and Toda's method (1981), frame by frame from the innermost outward: layers by the
longest path, places within a layer by the mean of the neighbours, and distances by least squares
under the condition that nothing overlaps (isotonic regression). A value that is used further down
passes each layer at a place of its own, so that no line crosses a box; into a frame and out of it
it goes by a port. ``page.html`` has the same method in JavaScript, function for function.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from fnmath.backprop.pictures import _text
from fnmath.backprop.pictures._tree import Flow, Node, Opening

LETTER = 7.4
"""Width of a letter of the boxes' font, of 12 pixels."""
LINE = 17.0
MARK = " ▸"
"""Stands behind the title of what can be unfolded."""
PADDING = 10.0
BAR = 24.0
"""Height of a frame's title."""
MARGIN = 14.0
"""Between a frame and what is in it."""
ACROSS = 22.0
"""Between two boxes of a layer."""
DOWN = 30.0
"""Between two layers."""
SWEEPS = 8


@dataclasses.dataclass(eq=False)
class Item:
    """What takes a place in a layer: a box, a frame, an argument, a port, a line passing by."""

    kind: str
    """``node``, ``frame``, ``argument``, ``in``, ``out`` or ``pass``."""
    width: float
    height: float
    rank: float
    """Its place in the order of the source."""
    lines: tuple[str, ...] = ()
    node: Node | None = None
    frame: Frame | None = None
    variables: tuple[int, ...] = ()
    layer: int = 0
    x: float = 0.0
    """Of its middle."""
    y: float = 0.0
    """Of its upper edge."""
    links: list[Link] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(eq=False)
class Link:
    """A line from an item to one of the next layer; ports lie off the middle of a frame."""

    upper: Item
    upper_shift: float
    lower: Item
    lower_shift: float
    variables: tuple[int, ...]


@dataclasses.dataclass(eq=False)
class Frame:
    """An opened node, and where in it everything stands."""

    node: Node
    width: float
    height: float
    items: list[Item]
    links: list[Link]
    layers: list[tuple[float, float]]
    """Upper and lower edge of each."""
    entries: dict[int, Item]
    """The port by which each variable comes in."""
    exits: dict[int, Item]


def frame(flow: Flow, node: Node, opening: Opening, own: frozenset[int], *, outer: bool) -> Frame:
    """The layout of an opened node; ``own`` are the arguments that only it uses."""
    kids = [_kid(flow, i, kid, node, opening, own) for i, kid in enumerate(node.children)]
    leaving = [] if outer else flow.out_of(node)
    bundles = _bundles(flow, kids, leaving, own)
    items, ports = _layered(kids, bundles)
    links = _linked(items, bundles)
    rows = _ordered(items, links)
    _place(rows)
    title = max(map(len, _text.lines(flow, node)[:1]), default=0) * LETTER + 4 * PADDING
    width = _centred(items, 0.0 if outer else title)
    top = 0.0 if outer else BAR
    layers, bottom = _stacked(rows, top)
    return Frame(node, width, bottom, items, links, layers, *ports)


def _kid(
    flow: Flow, rank: int, kid: Node, node: Node, opening: Opening, own: frozenset[int]
) -> Item:
    """A child as an item: a box, or, opened, a frame."""
    if kid in opening:
        users = {v: _users(flow, v, node) for v in flow.into(kid) if v in own}
        inner = frozenset(v for v, count in users.items() if count == 1)
        made = frame(flow, kid, opening, inner, outer=False)
        return Item("frame", made.width, made.height, rank, (), kid, made)
    lines = _text.lines(flow, kid)
    width, height = _box((lines[0] + MARK, *lines[1:]) if kid.children else lines)
    return Item("node", width, height, rank, lines, kid)


def _box(lines: Sequence[str]) -> tuple[float, float]:
    """Width and height of a box with these lines in it."""
    widest = max(map(_text.width, lines))
    return widest * LETTER + 2 * PADDING, sum(map(bool, lines)) * LINE + PADDING


def _users(flow: Flow, v: int, node: Node) -> int:
    """How many of a node's children use a variable."""
    return sum(v in flow.into(kid) for kid in node.children)


@dataclasses.dataclass(eq=False)
class Bundle:
    """Variables that go the same way: from one item to the same others."""

    source: Item | None
    source_port: Item | None
    targets: list[tuple[Item, Item | None]]
    """Items, and the ports of those that are frames."""
    leaves: bool
    """Whether they leave the frame."""
    variables: list[int]


def _bundles(flow: Flow, kids: list[Item], leaving: list[int], own: frozenset[int]) -> list[Bundle]:
    """What flows between the children, in from outside, and out."""
    makers = {v: kid for kid in kids for v in flow.out_of(_of(kid))}
    users: dict[int, list[Item]] = {}
    for kid in kids:
        for v in flow.into(_of(kid)):
            if kid.frame is None or v in kid.frame.entries:
                users.setdefault(v, []).append(kid)
    found: dict[Any, Bundle] = {}
    for v in dict.fromkeys([*users, *leaving]):
        source = makers.get(v)
        port = source.frame.exits.get(v) if source is not None and source.frame else None
        to = users.get(v, [])
        targets = [(kid, kid.frame.entries[v] if kid.frame else None) for kid in to]
        is_own = source is None and v in own
        key = (
            id(source),
            id(port),
            tuple((id(a), id(b)) for a, b in targets),
            v in leaving,
            is_own,
        )
        bundle = Bundle(source, port, targets, v in leaving, [])
        found.setdefault(key, bundle).variables.append(v)
    return _with_arguments(flow, list(found.values()), own)


def _of(item: Item) -> Node:
    assert item.node is not None
    return item.node


def _with_arguments(flow: Flow, bundles: list[Bundle], own: frozenset[int]) -> list[Bundle]:
    """The bundles of own arguments start at an item: one for each, or for all if they are many."""
    made: list[Bundle] = []
    for b in bundles:
        if b.source is not None or b.variables[0] not in own:
            made.append(b)
            continue
        together = [b.variables] if len(b.variables) > 3 else [[v] for v in b.variables]
        for group in together:
            lines = _text.arguments([flow.trace.variables[v] for v in group])
            rank = min((kid.rank for kid, _ in b.targets), default=0) - 0.5
            item = Item("argument", *_box(lines), rank, lines, variables=tuple(group))
            made.append(Bundle(item, None, b.targets, b.leaves, group))
    return made


def _layered(
    kids: list[Item], bundles: list[Bundle]
) -> tuple[list[Item], tuple[dict[int, Item], dict[int, Item]]]:
    """All items with their layers, and the ports: in above everything, out below."""
    entries: dict[int, Item] = {}
    exits: dict[int, Item] = {}
    ports = []
    for b in bundles:
        if b.source is None and b.targets:
            rank = min(kid.rank for kid, _ in b.targets)
            b.source = Item("in", 10.0, 0.0, rank, variables=tuple(b.variables))
            entries |= dict.fromkeys(b.variables, b.source)
            ports.append(b.source)
    _layer_kids(kids, bundles)
    arguments = [b.source for b in bundles if b.source and b.source.kind == "argument"]
    for b in bundles:
        if b.source in arguments:
            b.source.layer = min((kid.layer for kid, _ in b.targets), default=1) - 1
    last = max([item.layer for item in (*kids, *arguments)], default=0) + 1
    for b in bundles:
        if b.leaves:
            rank = b.source.rank if b.source else 0
            port = Item("out", 10.0, 0.0, rank, variables=tuple(b.variables), layer=last)
            exits |= dict.fromkeys(b.variables, port)
            ports.append(port)
            b.targets = [*b.targets, (port, None)]
    return [*kids, *arguments, *ports], (entries, exits)


def _layer_kids(kids: list[Item], bundles: list[Bundle]) -> None:
    """The longest path from above; what has no source stands right above its first user."""
    real = [b for b in bundles if b.source is not None and b.source.kind != "argument"]
    for kid in kids:
        above = [b.source.layer for b in real if b.source and any(k is kid for k, _ in b.targets)]
        kid.layer = max(above, default=0) + 1
    for kid in reversed(kids):
        fed = any(k is kid for b in real for k, _ in b.targets)
        below = [k.layer for b in real if b.source is kid for k, _ in b.targets]
        if below and not fed:
            kid.layer = min(below) - 1


def _linked(items: list[Item], bundles: list[Bundle]) -> list[Link]:
    """A line for each bundle, through every layer between its source and its last target."""
    links = []
    for b in bundles:
        if b.source is None:
            continue
        above, shift = b.source, _shift(b.source, b.source_port)
        last = max((item.layer for item, _ in b.targets), default=0)
        variables = tuple(b.variables)
        for layer in range(b.source.layer + 1, last + 1):
            for item, port in b.targets:
                if item.layer == layer:
                    links.append(Link(above, shift, item, _shift(item, port), variables))
            if layer < last:
                through = Item("pass", 6.0, 0.0, b.source.rank, variables=variables, layer=layer)
                items.append(through)
                links.append(Link(above, shift, through, 0.0, variables))
                above, shift = through, 0.0
    for link in links:
        link.upper.links.append(link)
        link.lower.links.append(link)
    return links


def _shift(item: Item, port: Item | None) -> float:
    """How far a port lies from the middle of its frame."""
    return 0.0 if port is None else port.x - item.width / 2


def _ordered(items: list[Item], links: list[Link]) -> list[list[Item]]:
    """The layers, each in the order of the mean place of what its items are linked to."""
    rows: list[list[Item]] = [[] for _ in range(max((i.layer for i in items), default=-1) + 1)]
    for item in sorted(items, key=lambda item: item.rank):
        rows[item.layer].append(item)
    for row in rows:
        _number(row)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            mean = {id(item): _mean(item, down, item.x) for item in row}
            row.sort(key=lambda item: mean[id(item)])
            _number(row)
    return rows


def _number(row: list[Item]) -> None:
    for i, item in enumerate(row):
        item.x = float(i)


def _mean(item: Item, down: bool, otherwise: float) -> float:
    """The mean place of an item's neighbours above, or below."""
    if down:
        near = [k.upper.x + 1e-4 * k.upper_shift for k in item.links if k.lower is item]
    else:
        near = [k.lower.x + 1e-4 * k.lower_shift for k in item.links if k.upper is item]
    return sum(near) / len(near) if near else otherwise


def _place(rows: list[list[Item]]) -> None:
    """Distances across: each item as near to its neighbours as the others let it."""
    for row in rows:
        _spread(row, [0.0] * len(row), [1.0] * len(row))
    for sweep in range(2 * SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            _spread(row, [_wanted(i, down) for i in row], [_weight(i) for i in row])
    for row in rows:
        _spread(row, [_wanted(i, None) for i in row], [_weight(i) for i in row])


def _wanted(item: Item, down: bool | None) -> float:
    """Where an item's lines would be straight: those above, those below, or all."""
    total = weights = 0.0
    for k in item.links:
        above = k.lower is item
        if down is None or down == above:
            other = k.upper if above else k.lower
            shift = k.upper_shift - k.lower_shift if above else k.lower_shift - k.upper_shift
            weight = 0.002 if other.kind == "argument" else 1.0
            total += weight * (other.x + shift)
            weights += weight
    return total / weights if weights else item.x


def _weight(item: Item) -> float:
    return {"pass": 4.0, "argument": 0.002}.get(item.kind, 2.0)


def _spread(row: list[Item], wanted: list[float], weights: list[float]) -> None:
    """The places nearest to those wanted, in least squares, at which nothing overlaps.

    Isotonic regression by pooling adjacent violators (Barlow and others, 1972), of the places less
    what the widths before them take up.
    """
    offsets = [0.0] * len(row)
    for i in range(1, len(row)):
        gap = (row[i - 1].width + row[i].width) / 2 + ACROSS
        offsets[i] = offsets[i - 1] + gap
    pools: list[list[float]] = []  # sum of weights, weighted sum, how many
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        pools.append([weight, weight * (want - offset), 1.0])
        while len(pools) > 1 and pools[-2][1] / pools[-2][0] > pools[-1][1] / pools[-1][0]:
            upper = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], upper, strict=True)]
    i = 0
    for weight, total, count in pools:
        for _ in range(int(count)):
            row[i].x = total / weight + offsets[i]
            i += 1


def _centred(items: list[Item], least: float) -> float:
    """The width of the frame, after its items are moved into it."""
    left = min((i.x - i.width / 2 for i in items), default=0.0)
    right = max((i.x + i.width / 2 for i in items), default=0.0)
    width = max(right - left + 2 * MARGIN, least)
    shift = (width - right - left) / 2
    for item in items:
        item.x += shift
    return width


def _stacked(rows: list[list[Item]], top: float) -> tuple[list[tuple[float, float]], float]:
    """The edges of the layers, one under the other, and the lower edge of the frame."""
    layers = []
    y = top + MARGIN / 2
    for i, row in enumerate(rows):
        height = max((item.height for item in row), default=0.0)
        for item in row:
            item.y = y + (height - item.height) / 2
        layers.append((y, y + height))
        ports = all(item.kind == "out" for item in rows[i + 1]) if i + 1 < len(rows) else True
        y += height + (0.0 if ports else DOWN if height else MARGIN)
    return layers, y + MARGIN / 2


@dataclasses.dataclass
class Drawing:
    """Everything with its place in the whole picture."""

    width: float
    height: float
    frames: list[tuple[Frame, float, float]]
    """With the upper left corner, the outermost first."""
    items: list[tuple[Item, float, float]]
    """Boxes and arguments, likewise."""
    lines: list[tuple[Link, tuple[float, ...]]]
    """x, four heights, x: straight down, a bend, straight down."""


def draw(flow: Flow, root: Node, opening: Opening) -> Drawing:
    """The whole graph of a pass, as far as its nodes are opened."""
    own = frozenset(v.index for v in flow.trace.variables if v.producer is None)
    if root not in opening:
        single = dataclasses.replace(root, children=(root,))
        outer = frame(flow, single, opening, own, outer=True)
    else:
        outer = frame(flow, root, opening, own, outer=True)
    drawing = Drawing(outer.width, outer.height, [], [], [])
    _collect(outer, 0.0, 0.0, drawing)
    return drawing


def _collect(part: Frame, x: float, y: float, drawing: Drawing) -> None:
    for link in part.links:
        drawing.lines.append((link, _line(part, link, x, y)))
    for item in part.items:
        left, upper = x + item.x - item.width / 2, y + item.y
        if item.frame is not None:
            drawing.frames.append((item.frame, left, upper))
            _collect(item.frame, left, upper, drawing)
        elif item.kind in ("node", "argument"):
            drawing.items.append((item, left, upper))


def _line(part: Frame, link: Link, x: float, y: float) -> tuple[float, ...]:
    """Of a link: where it begins, where it leaves its layer and enters the next, where it ends."""
    upper, lower = link.upper, link.lower
    starts = 0.0 if upper.kind == "in" else part.layers[upper.layer][0]
    if upper.kind not in ("in", "pass"):
        starts = upper.y + upper.height
    ends = part.height if lower.kind == "out" else part.layers[lower.layer][0]
    if lower.kind not in ("out", "pass"):
        ends = lower.y
    leaves, enters = part.layers[upper.layer][1], part.layers[lower.layer][0]
    return (
        x + upper.x + link.upper_shift,
        y + starts,
        y + leaves,
        y + enters,
        y + ends,
        x + lower.x + link.lower_shift,
    )
