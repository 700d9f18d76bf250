"""The files: a page with everything in it, and a picture."""

from __future__ import annotations

import functools
import os
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from fnmath import _checks
from fnmath.backprop.pictures._data import BUDGET, as_json, page_data
from fnmath.backprop.pictures._svg import svg

if TYPE_CHECKING:
    from fnmath.backprop.record import Trace

NOTEBOOK = BUDGET // 4
"""Of a page that is kept within a notebook."""


def to_html(trace: Trace, path: str | os.PathLike[str]) -> Path:
    """Write the page; its path."""
    file = _file("Trace.to_html", path)
    file.write_text(_page(trace, BUDGET), encoding="utf-8")
    return file


def to_svg(trace: Trace, path: str | os.PathLike[str], level: int | None) -> Path:
    """Write the picture; its path."""
    if level is not None:
        _checks.size("Trace.to_svg", minimum=0, level=level)
    file = _file("Trace.to_svg", path)
    file.write_text(svg(trace, level), encoding="utf-8")
    return file


def notebook(trace: Trace) -> str:
    """The page in a frame of its own, as a notebook shows it."""
    style = "width: 100%; height: 760px; border: 1px solid #8886; border-radius: 6px"
    page = _page(trace, NOTEBOOK).replace("&", "&amp;").replace("'", "&#x27;")
    return f"<iframe style='{style}' sandbox='allow-scripts' srcdoc='{page}'></iframe>"


@functools.cache
def _template() -> str:
    return (resources.files("fnmath.backprop.pictures") / "page.html").read_text(encoding="utf-8")


def _page(trace: Trace, budget: int) -> str:
    """The page as text, complete in itself."""
    data = page_data(trace, budget=budget)
    title = escape(f"{data['name']}: forward and backward")
    head, tail = _template().split("{{data}}")
    return head.replace("{{title}}", title) + as_json(data) + tail


def _file(name: str, path: str | os.PathLike[str]) -> Path:
    """Where to write; what is wrong with the path is said before anything is drawn."""
    if not isinstance(path, str | os.PathLike):
        problem = f"path is a {type(path).__name__}; wanted the path of a file"
        _checks.fail(name, problem, error=TypeError)
    file = Path(path)
    if file.is_dir():
        problem, cure = f"path {file} is a folder; wanted a file", str(file / "trace.html")
        _checks.fail(name, problem, cure, error=IsADirectoryError)
    if not file.parent.is_dir():
        problem = f"path {file}: there is no folder {file.parent}"
        _checks.fail(name, problem, error=FileNotFoundError)
    return file
