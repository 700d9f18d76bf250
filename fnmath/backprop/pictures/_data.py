"""A trace as plain data for the page: everything it shows, in a few megabytes at most."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fnmath.backprop import _listing, _tables
from fnmath.backprop.pictures import _text
from fnmath.backprop.pictures._tree import Flow, Node, opened, tree

if TYPE_CHECKING:
    from fnmath.backprop.record import Site, Tensor, Trace, Variable

MOST = 18
"""How many nodes are seen at first."""
WHOLE = (4096, 1024, 256, 64, 16, 1)
PIXELS = (32, 16, 8, 4)
BUDGET = 1_600_000
"""Characters for whole arrays, and as many for images: of both the best that stays within it."""


def page_data(trace: Trace, *, budget: int = BUDGET) -> dict[str, Any]:
    """All that the page needs, of lists, dictionaries, numbers and text alone."""
    flow, root = Flow(trace), tree(trace)
    nodes = list(root.all())
    number = {id(node): i for i, node in enumerate(nodes)}
    parents = {id(child): number[id(node)] for node in nodes for child in node.children}
    opening = opened(flow, root, level=None, most=MOST)
    sources = _Numbered()
    rules = _Numbered()
    encode = _Encoder(trace, budget)
    return {
        "name": root.label,
        "value": ", ".join(_text.size(trace.variables[v].value) for v in trace.results),
        "nodes": [_node(flow, n, parents.get(id(n), -1), sources) for n in nodes],
        "open": [number[id(n)] for n in nodes if n in opening],
        "steps": [_step(s, sources, rules) for s in trace.steps],
        "variables": [encode.variable(v) for v in trace.variables],
        "arguments": list(trace.arguments),
        "results": list(trace.results),
        "sources": _sources(trace, sources),
        "rules": [[r.forward, list(r.backward)] for r in rules.items],
        "nonfinite": _nonfinite(trace),
        "cost": _cost(trace),
    }


def as_json(data: Any) -> str:
    """JSON that may stand in a page: no ``<``, so that no text in it can end the script."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


class _Numbered:
    """Things that are said once, and pointed to by their number."""

    def __init__(self) -> None:
        self.numbers: dict[Hashable, int] = {}

    def __call__(self, item: Hashable) -> int:
        return self.numbers.setdefault(item, len(self.numbers))

    @property
    def items(self) -> list[Any]:
        return list(self.numbers)


def _node(flow: Flow, node: Node, parent: int, sources: _Numbered) -> list[Any]:
    site = _site(node.site, sources)
    shown = flow.shown(node)
    head = [parent, node.kind, node.label, node.text, *site, list(node.own)]
    lines = list(_text.lines(flow, node))
    return [*head, node.first, node.stop, int(node.closed), lines, -1 if shown is None else shown]


def _site(site: Site | None, sources: _Numbered) -> list[int]:
    return [-1, 0] if site is None else [sources((site.file, site.function)), site.line]


def _step(step: Any, sources: _Numbered, rules: _Numbered) -> list[Any]:
    rule = -1 if step.rule is None else rules(step.rule)
    head = [-1 if step.parent is None else step.parent, step.operation, step.label]
    flow = [list(step.inputs), list(step.outputs)]
    costs = [real(step.flops), real(step.backward_flops)]
    return [*head, *_site(step.site, sources), rule, step.note, *flow, *costs, step.spoiled]


def real(x: float) -> float | str:
    """A number as JSON has it: whole if it is, and nan and ±inf as text."""
    if not math.isfinite(x):
        return "nan" if math.isnan(x) else "inf" if x > 0 else "-inf"
    return int(x) if x == int(x) and abs(x) < 2**53 else float(x)


class _Encoder:
    """Arrays as text: whole ones in full, of all others a summary that fits the budget."""

    def __init__(self, trace: Trace, budget: int):
        pairs = [x for v in trace.variables for x in (v.value, v.cotangent)]
        found = [x for x in pairs if x is not None]
        wholes = [x.whole.nbytes for x in found if x.whole is not None]
        sizes = [x.size for x in found if x.whole is not None]
        self.whole = _first(WHOLE, lambda most: _kept(sizes, wholes, most), 3 * budget // 4)
        passive = {id(v.value) for v in trace.variables if v.cotangent is None}
        images = [
            (x.image, 2 if id(x) in passive else 1)
            for x in found
            if x.image is not None and not self.in_full(x)
        ]
        self.pixels = _first(
            PIXELS, lambda most: sum(_area(i, most // k) for i, k in images), budget // 2
        )
        self.short = len(found) > 4000

    def in_full(self, x: Tensor) -> bool:
        """Whether every entry is told."""
        if x.whole is None or x.whole.dtype.kind not in "fiub":
            return False
        return x.whole.dtype.itemsize <= 8 and x.size <= self.whole

    def variable(self, v: Variable) -> list[Any]:
        producer = -1 if v.producer is None else v.producer
        pixels = self.pixels if v.cotangent is not None else self.pixels // 2
        bar = None if v.cotangent is None else self.tensor(v.cotangent, pixels)
        return [v.name, v.kind, producer, self.tensor(v.value, pixels), bar]

    def tensor(self, x: Tensor, pixels: int) -> dict[str, Any]:
        """Shape, dtype and statistics; and the entries, or an image and a histogram."""
        stats = [self.real(s) for s in (x.norm, x.minimum, x.maximum, x.mean)]
        made: dict[str, Any] = {"s": list(x.shape), "d": x.dtype, "n": stats}
        if x.nonfinite:
            made["x"] = [x.nonfinite, x.nans]
        if self.in_full(x):
            made["w"] = _whole(x.whole)
        elif not x.dtype.startswith("key"):
            made["h"] = _bytes(np.ceil(x.counts * (255 / max(1, x.counts.max()))))
            if x.image is not None:
                made["i"] = _image(x.image, pixels)
        return made

    def real(self, x: float) -> float | str:
        return real(float(f"{x:.6g}")) if self.short else real(x)


def _kept(sizes: Sequence[int], nbytes: Sequence[int], most: int) -> int:
    return sum(b for n, b in zip(sizes, nbytes, strict=True) if n <= most)


def _area(image: np.ndarray, most: int) -> int:
    return min(image.shape[0], most) * min(image.shape[1], most)


def _first(options: Sequence[int], cost: Any, budget: float) -> int:
    """The first of the options that the budget allows, or the last."""
    return next((option for option in options if cost(option) <= budget), options[-1])


def _whole(x: np.ndarray | None) -> list[str]:
    """The entries themselves, to the last bit: what kind of number, and all their bytes."""
    assert x is not None
    if x.dtype.kind not in "fiu" or x.dtype.itemsize < 4:
        x = x.astype(np.float32)
    if x.dtype.kind in "iu" and x.dtype.itemsize == 8:
        x = x.astype(np.float64)
    little = x.astype(x.dtype.newbyteorder("<"))
    return [f"{x.dtype.kind}{x.dtype.itemsize}", base64.b64encode(little.tobytes()).decode()]


def _bytes(x: np.ndarray) -> str:
    return base64.b64encode(x.astype(np.uint8).tobytes()).decode()


def _image(x: np.ndarray, most: int) -> list[Any]:
    """Rows, columns, the least and the greatest, and 254 steps between; 255 is not finite."""
    rows, columns = (np.arange(min(n, most)) * n // min(n, most) for n in x.shape)
    small = x[rows][:, columns].astype(np.float64)
    finite = np.isfinite(small)
    known = small[finite]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.rint((small - low) * (254 / (high - low if high > low else 1.0)))
    levels = np.where(finite, steps, 255)
    return [*small.shape, float(f"{low:.4g}"), float(f"{high:.4g}"), _bytes(levels)]


def _sources(trace: Trace, sources: _Numbered) -> list[dict[str, Any]]:
    """Each function's text, and what stands on each line: a variable, and how often it was run."""
    made = _listing.made(trace)
    for file, function, _ in made:
        sources((file, function))
    result = []
    for file, function in sources.items:
        first, text = trace.sources.get(f"{file}:{function}", (0, ""))
        here = {line: v for (f, name, line), v in made.items() if (f, name) == (file, function)}
        told = _listing.told(text, first)
        marks = {line: [step.outputs[0], runs, step.index] for line, (step, runs) in here.items()}
        result.append(
            {
                "file": file,
                "function": function,
                "first": first,
                "lines": _listing.dedented(text),
                "told": [told.start, told.stop],
                "marks": marks,
            }
        )
    return result


def _nonfinite(trace: Trace) -> dict[str, Any] | None:
    found = _tables.first_nonfinite(trace)
    if found is None:
        return None
    ends = [trace.variables[v] for v in (*trace.results, *trace.arguments)]
    tensors = [x for v in ends for x in (v.value, v.cotangent) if x is not None]
    reaches = any(x.nonfinite for x in tensors)
    step = -1 if found.step is None else found.step
    place = found.site and f"{found.site.file}:{found.site.line}"
    facts = {"text": str(found), "kind": found.kind, "name": found.name, "place": place or ""}
    return {**facts, "step": step, "reaches": reaches}


def _cost(trace: Trace) -> dict[str, Any]:
    cost = _tables.cost(trace)
    known: Iterable[tuple[str, float]] = (
        ("forward", cost.flops),
        ("backward", cost.backward_flops),
        ("reverse", cost.reverse_mode),
        ("tangents", cost.forward_mode),
    )
    return {"inputs": cost.inputs, **{name: real(x) for name, x in known}}
