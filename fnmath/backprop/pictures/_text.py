"""What pictures say of values and cotangents, in few letters."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fnmath.backprop.pictures._tree import Flow, Node

if TYPE_CHECKING:
    from fnmath.backprop.record import Tensor, Variable

LONGEST = 40
"""Letters of a title, at most."""


def short(text: str, most: int = LONGEST) -> str:
    """The text, cut where it is too long."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def number(x: float) -> str:
    """Three digits of a number, and all those before the point up to five."""
    if not math.isfinite(x):
        return "nan" if math.isnan(x) else "∞" if x > 0 else "−∞"
    digits = f"{x:.0f}" if 999.5 <= abs(x) < 99999.5 else f"{x:.3g}"
    if "e" in digits:
        mantissa, exponent = digits.split("e")
        digits = f"{mantissa}e{int(exponent)}"
    return digits.replace("-", "−")


def shape(x: Tensor) -> str:
    """``64 × 16``; nothing for a single number."""
    return " × ".join(map(str, x.shape))


def size(x: Tensor) -> str:
    """The number itself if it is one, else the norm, and how many entries are not finite."""
    if x.dtype.startswith("key"):
        return "key"
    if x.size == 1 and not x.dtype.startswith("complex"):
        if x.nonfinite:
            return "nan" if x.nans else "±∞"
        return ("true" if x.mean else "false") if x.dtype == "bool" else number(x.mean)
    bad = f" · {x.nonfinite} not finite" if x.nonfinite else ""
    return f"‖{number(x.norm)}‖{bad}"


def value_line(x: Tensor) -> str:
    """``↓ 64 × 16  ‖5.53‖``."""
    return "↓ " + "  ".join(part for part in ("" if x.size == 1 else shape(x), size(x)) if part)


def cotangent_line(x: Tensor | None) -> str:
    """``↑ ‖3.19‖``; nothing where none flows."""
    return "" if x is None else f"↑ {size(x)}"


def lines(flow: Flow, node: Node) -> tuple[str, str, str]:
    """What stands in the box of a node: a title, the value it makes, and its cotangent."""
    v = flow.shown(node)
    if v is None:
        return short(node.text or node.label), "", ""
    variable = flow.trace.variables[v]
    more = len(flow.out_of(node)) - 1
    value = value_line(variable.value) + (f"  + {more} more" if more > 0 else "")
    return title(node, variable), value, cotangent_line(variable.cotangent)


def title(node: Node, made: Variable) -> str:
    """The source line, where the node is all of it, or the operation and what it makes."""
    if node.text:
        return short(node.text)
    named = not node.children and made.name != f"v{made.index}"
    return short(f"{node.label} → {made.name}" if named else node.label)


def arguments(variables: Sequence[Variable]) -> tuple[str, str, str]:
    """What stands in the box of one argument, or of several at once."""
    if len(variables) == 1:
        (v,) = variables
        name = v.name if v.name != f"v{v.index}" else "constant"
        return short(name, 28), value_line(v.value), cotangent_line(v.cotangent)
    bars = [v.cotangent.norm for v in variables if v.cotangent is not None]
    value = f"↓ ‖{number(joint([v.value.norm for v in variables]))}‖"
    back = f"↑ ‖{number(joint(bars))}‖" if bars else ""
    prefix = common([v.name for v in variables])
    return short(f"{prefix} · {len(variables)} arrays".removeprefix(" · "), 28), value, back


def joint(norms: Sequence[float]) -> float:
    """The norm of several arrays as one."""
    return math.sqrt(math.fsum(x * x for x in norms if math.isfinite(x)))


def common(names: Sequence[str]) -> str:
    """What the names begin with, up to a whole part of them."""
    prefix = names[0]
    while not all(name.startswith(prefix) for name in names):
        prefix = prefix[:-1]
    end = max(prefix.rfind("."), prefix.rfind("["))
    return prefix[:end] if end > 0 else ""


def width(text: str) -> int:
    """How many columns a text takes in a font of one width."""
    return sum(not unicodedata.combining(letter) for letter in text)
