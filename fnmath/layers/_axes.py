"""The names of axes, as messages have them."""

from __future__ import annotations


def spatial_axes(spatial: int) -> str:
    """The axes of one channels-last example with so many before its channels."""
    names = {0: "channels", 1: "time channels", 2: "height width channels"}
    names |= {3: "frames height width channels"}
    return names.get(spatial) or " ".join(f"n{i + 1}" for i in range(spatial)) + " channels"
