"""How the pictures of all experiments look: bold titles to the left, no frame above and right."""

from __future__ import annotations

from typing import Any


def style(size: float = 9, titles: float = 10) -> dict[Any, Any]:
    """What matplotlib is to be told, with the sizes of text and titles in points."""
    return {
        "font.size": size,
        "axes.titlesize": titles,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
