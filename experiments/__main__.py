"""The experiments: what each asks, what it costs and what it found; or one of them, by name.

    python -m experiments                                list them
    python -m experiments NAME [options of its own]      run one

Nothing is written here about any experiment: the list is read from the docstrings of the modules,
whose first line is the question, followed by lines that begin with Run, Cost, Expect or Finding.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
LINE = re.compile(r"^(Run|Cost|Expect|Finding|Published) +(\S.*)$")


class Experiment(NamedTuple):
    """What the docstring of an experiment says about it; ``facts`` holds (word, text) pairs."""

    name: str
    question: str
    facts: tuple[tuple[str, str], ...]


def experiments() -> list[Experiment]:
    """Every module or package under this folder whose docstring says how to run it."""
    found = []
    for path in sorted(FOLDER.rglob("*.py")):
        parts = path.relative_to(FOLDER).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not parts or parts[-1] == "__main__":
            continue
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        facts = facts_of(docstring)
        if "Run" in dict(facts):
            question = docstring.partition("\n")[0]
            found.append(Experiment(".".join(parts), question, facts))
    return found


def facts_of(docstring: str) -> tuple[tuple[str, str], ...]:
    """The lines that begin with one of the words; an indented line continues the one before."""
    facts: list[tuple[str, str]] = []
    open_fact = False
    for line in docstring.splitlines():
        if match := LINE.match(line):
            facts.append((match[1], match[2]))
            open_fact = True
        elif open_fact and line.startswith("  "):
            facts[-1] = (facts[-1][0], f"{facts[-1][1]} {line.strip()}")
        else:
            open_fact = False
    return tuple(facts)


def listing(width: int) -> str:
    """All experiments, for a terminal of so many columns."""
    blocks = []
    for experiment in experiments():
        lines = [experiment.name, textwrap.indent(experiment.question, "  ")]
        for word, text in experiment.facts:
            wrapped = textwrap.wrap(text, width - 12, break_long_words=False)
            if word == "Run":
                wrapped = [text]
            lines += [f"  {'' if i else word:<10}{line}" for i, line in enumerate(wrapped)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def main(arguments: Sequence[str] | None = None) -> None:
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments or arguments[0] in {"-h", "--help"}:
        usage = "python -m experiments NAME [options]      python -m experiments NAME --help"
        print(f"{listing(100)}\n\nRun one    {usage}")
        return
    name, *options = arguments
    names = [experiment.name for experiment in experiments()]
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        cure = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names)}"
        print(f"python -m experiments: no experiment {name!r}; {cure}", file=sys.stderr)
        raise SystemExit(2)
    importlib.import_module(f"experiments.{name}").main(options)


if __name__ == "__main__":
    main()
