"""The libraries that fnmath is compared with may be missing: no file needs them to be imported."""

import ast
import pathlib
import re
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
PEERS = {re.match(r"[\w-]+", requirement)[0] for requirement in EXTRAS["peers"]}
FILES = sorted(
    path for folder in ("tests", "experiments") for path in (ROOT / folder).rglob("*.py")
)


def run_at_import(node):
    """The statements and expressions of a file that run when it is imported."""
    yield node
    is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for field, value in ast.iter_fields(node):
        if is_function and field == "body":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from run_at_import(child)


def needed_at_import(text):
    """The modules that a file cannot be imported without, skipped or not."""
    for node in run_at_import(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("importorskip"):
            yield from (str(getattr(a, "value", "")) for a in node.args[:1])


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_peers_are_imported_where_they_are_used(path):
    """Inside a function: a test takes the fixture of that name, and is skipped without."""
    assert {"torch", "flax", "equinox"} <= PEERS
    needed = {name.partition(".")[0] for name in needed_at_import(path.read_text())}
    assert not PEERS & needed


@pytest.mark.parametrize(
    "text",
    [
        "import torch.nn.functional",
        "from flax import nnx",
        "if True:\n    import numpy, equinox",
        "class A:\n    import torch",
        "torch = pytest.importorskip('torch', reason='')",
        "@decorate(pytest.importorskip('torch'))\ndef f(): ...",
    ],
)
def test_an_import_at_the_top_is_found(text):
    assert PEERS & {name.partition(".")[0] for name in needed_at_import(text)}
    assert not PEERS & set(
        needed_at_import("def f(torch):\n    import torch\n    from flax import nnx")
    )
