"""What every experiment does around its run: options, errors, a folder, progress.

An experiment's ``main`` reads the command line, runs, saves and plots. Its results go to
``<output>/<experiment>/<time>/``; what the user got wrong becomes one line on stderr and exit
code 2, a run that failed on its own account exit code 1.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import math
import os
import platform
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
import rich.box
import rich.console
import rich.progress
import rich.table
import tyro

from experiments.data import DataError
from fnmath.training import NonFiniteLossError, Progress

Config = TypeVar("Config")
WIDTH = 100  # columns: what a half-screen terminal shows, and what a log file gets


class OptionError(Exception):
    """An option does not fit the data, or the machine."""


def parse(config: type[Config], arguments: Sequence[str] | None, *, doc: str, name: str) -> Config:
    """The options given on the command line; ``--help`` shows the experiment's docstring."""
    program = f"python -m experiments.{name}"
    paragraphs = re.sub(r"\n(?=[A-Z][a-z]+   *\S)", "\n\n", doc)  # Run, Cost, Expect, Finding
    return tyro.cli(config, args=arguments, prog=program, description=paragraphs)


@contextlib.contextmanager
def plain_errors(name: str) -> Iterator[None]:
    """One line on stderr and an exit code, in place of a traceback, for what can be expected."""
    try:
        yield
    except (DataError, OptionError) as error:
        _exit(name, error, 2)
    except NonFiniteLossError as error:
        problem = f"the loss of step {error.step} is {error.loss}"
        _exit(name, f"{problem}; a smaller --learning-rate may cure it", 1)
    except MemoryError:
        _exit(name, "out of memory; a smaller --width or --batch-size may fit", 1)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        _exit(name, "out of memory; a smaller --width or --batch-size may fit", 1)
    except BrokenPipeError:  # whoever read what is printed has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        _exit(name, "interrupted", 130)


def _exit(name: str, error: object, code: int) -> None:
    print(f"{name}: {error}", file=sys.stderr)
    raise SystemExit(code)


def console() -> rich.console.Console:
    """The terminal, or plain text of a fixed width where there is none."""
    found = rich.console.Console(highlight=False)
    width = min(found.width, WIDTH) if found.is_terminal else WIDTH
    return rich.console.Console(highlight=False, width=width)


def table(*columns: str) -> rich.table.Table:
    """A table without frame: the first column to the left, numbers to the right, then text."""
    made = rich.table.Table(
        box=rich.box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, header_style="dim"
    )
    for i, column in enumerate(columns):
        prose = i > 0 and not column
        justify = "left" if prose or i == 0 else "right"
        made.add_column(column, justify=justify, no_wrap=not prose)
    return made


def make_folder(output: Path, name: str) -> Path:
    """A new folder for one run, named by the time; no two runs share one."""
    now = datetime.datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    try:
        for attempt in range(1, 1000):
            folder = output / name / (now if attempt == 1 else f"{now}-{attempt}")
            with contextlib.suppress(FileExistsError):
                folder.parent.mkdir(parents=True, exist_ok=True)
                folder.mkdir()
                return folder
            if folder.parent.exists() and not folder.parent.is_dir():
                break
    except OSError as error:
        raise OptionError(f"--output {output}: {error.strerror}") from None
    raise OptionError(f"--output {output}: no folder can be made there")


def save_json(path: Path, content: Mapping[str, Any]) -> None:
    """Numbers for other programs: arrays as lists, paths as text, nan and ±inf as null."""
    path.write_text(json.dumps(_plain(content), indent=2, allow_nan=False) + "\n")


def _plain(x: Any) -> Any:
    if isinstance(x, Mapping):
        return {str(name): _plain(value) for name, value in x.items()}
    if hasattr(x, "tolist"):
        return _plain(x.tolist())
    if isinstance(x, list | tuple):
        return [_plain(value) for value in x]
    if isinstance(x, float) and not math.isfinite(x):
        return None
    return x if isinstance(x, str | int | float | None) else str(x)


def versions() -> dict[str, str]:
    """The programs whose numbers these are."""
    packages = ("jax", "jaxlib", "optax", "numpy")
    installed = {package: importlib.metadata.version(package) for package in packages}
    return {"python": platform.python_version(), **installed}


class ProgressBar:
    """Loss, accuracy and time left: a bar on a terminal, some ten lines in a log file."""

    def __init__(self, console: rich.console.Console):
        self.console = console
        self.started, self.tenths = time.perf_counter(), 0
        columns = (
            rich.progress.TextColumn("training"),
            rich.progress.BarColumn(bar_width=16),
            rich.progress.TextColumn("{task.fields[status]}"),
            rich.progress.TimeRemainingColumn(compact=True),
        )
        self.bar = rich.progress.Progress(*columns, console=console)
        self.task = self.bar.add_task("", total=None, status="compiling")

    def __enter__(self) -> ProgressBar:
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.stop()

    def status(self, progress: Progress) -> str:
        """What is said of a chunk of steps."""
        loss, accuracy = progress.train["loss"], progress.train["accuracy"]
        epoch = f"epoch {progress.epoch + 1:>2}/{progress.epochs}"
        status = f"{epoch}  loss {loss:.4f}  accuracy {accuracy:.3f}"
        if progress.validation:
            status += f"  validation {progress.validation['accuracy']:.4f}"
        return status

    def __call__(self, progress: Progress) -> None:
        """Take note of one chunk of steps, as ``fit_with_progress`` reports it."""
        done, total, status = progress.step, progress.steps, self.status(progress)
        self.bar.update(self.task, completed=done, total=total, status=status)
        tenths = 10 * done // total
        if not self.console.is_terminal and tenths > self.tenths:
            self.tenths = tenths
            left = (time.perf_counter() - self.started) * (total - done) / done
            self.console.print(f"training  {status}  {left:.0f} s left")
