"""The README keeps its word: its code runs, its commands and the places it names exist."""

import doctest
import importlib
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
BASH = re.findall(r"```bash\n(.*?)```", TEXT, re.S)


@pytest.mark.usefixtures("annotations_unproved")
@pytest.mark.last_digits
def test_code_runs():
    """All examples of the README, typed in one session from top to bottom."""
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    failed, run = doctest.testfile(
        str(ROOT / "README.md"), module_relative=False, optionflags=flags
    )
    assert run > 10
    assert failed == 0


def test_two_commands_are_complete_in_themselves():
    main, tests = (
        TEXT.partition(f"### {heading}\n")[2] for heading in ("Train a network", "Run the tests")
    )
    for section, ends in ((main, "-m experiments.one_hidden_layer"), (tests, "-m pytest")):
        command = re.search(r"```bash\n(.*?)\n```", section, re.S)[1]
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install")
        assert ends in command
        assert "\n" not in command


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(fnmath(?:\.\w+)+)`", TEXT))))
def test_names_exist(path):
    module, _, name = path.rpartition(".")
    try:
        importlib.import_module(path)
    except ImportError:
        assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", TEXT))))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("module", sorted(set(re.findall(r"-m (experiments[.\w]*)", TEXT))))
def test_experiments_exist(module):
    importlib.import_module(module)


def test_map_names_every_chapter():
    chapters = {p.stem for p in (ROOT / "fnmath").iterdir() if p.suffix == ".py" or p.is_dir()}
    for chapter in sorted(c for c in chapters if not c.startswith("_")):
        assert f"`fnmath.{chapter}`" in TEXT, chapter
