"""Imports only go down: from lower floors, and from the chapters before it on its own."""

import ast
import pathlib
import subprocess
import sys

import pytest

import fnmath

HOUSE = [
    "_checks numerics",
    "linear_algebra calculus probability statistics information expectation bayes",
    "activations initializers",
    "layers losses metrics",
    "networks backprop conversion",
    "training benchmark",
]
CHAPTERS = [chapter for floor in HOUSE for chapter in floor.split()]
ROOT = pathlib.Path(fnmath.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def chapter_of(dotted: str) -> str:
    return dotted.split(".")[1]


def imported_modules(path: pathlib.Path) -> list[str]:
    """The dotted names that a file imports; ``from fnmath import losses`` is ``fnmath.losses``."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            bare = node.module == "fnmath"
            names += [f"fnmath.{a.name}" for a in node.names] if bare else [node.module or ""]
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    here = path.relative_to(ROOT).with_suffix("").parts[0]
    assert here in CHAPTERS, f"{here} stands on no floor"
    for name in imported_modules(path):
        if name.startswith("fnmath."):
            there = chapter_of(name)
            below = CHAPTERS.index(there) < CHAPTERS.index(here)
            assert below or there == here, f"{here} may not import {there}"
        if name.split(".")[0] == "optax":
            assert here == "training", f"{here} imports optax; only training does"
        assert name.split(".")[0] not in {"matplotlib", "sklearn", "tests", "experiments", "torch"}


STANDING = [c for c in CHAPTERS if (ROOT / c).is_dir() or (ROOT / f"{c}.py").is_file()]


@pytest.mark.parametrize("chapter", STANDING)
def test_importing_a_chapter_is_light(chapter):
    """Only ``training`` brings optax; nothing brings a plotting or data library."""
    heavy = {"matplotlib", "sklearn", "torch", "flax", "tyro", "rich"}
    heavy |= set() if chapter == "training" else {"optax"}
    code = f"import sys, fnmath.{chapter}; print(sorted({heavy!r} & set(sys.modules)))"
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert printed.stdout.strip() == "[]"
