"""``python -m experiments``: the list comes from the docstrings, and a name runs its module."""

import subprocess
import sys
from pathlib import Path

import pytest

import experiments
from experiments.__main__ import experiments as listed
from experiments.__main__ import facts_of, main

FOLDER = Path(experiments.__file__).parent


def test_lists_every_experiment_without_importing_one():
    command = [sys.executable, "-X", "importtime", "-m", "experiments"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=FOLDER.parent, check=True)
    assert listed()
    for experiment in listed():
        assert experiment.name in ended.stdout
        assert experiment.question in ended.stdout
    assert "jax" not in ended.stderr


def test_one_hidden_layer_is_among_them():
    assert "one_hidden_layer" in [experiment.name for experiment in listed()]


@pytest.mark.parametrize("experiment", listed(), ids=lambda e: e.name)
def test_says_question_command_cost_and_expectation(experiment):
    facts = dict(experiment.facts)
    assert experiment.question.endswith("?")
    assert facts["Run"].startswith(f"python -m experiments.{experiment.name}")
    assert facts["Cost"]
    assert facts["Expect"]


@pytest.mark.parametrize(
    "experiment", [e for e in listed() if "benchmarks" not in e.name], ids=lambda e: e.name
)
def test_the_readme_repeats_the_docstring(experiment):
    readme = " ".join((FOLDER / "README.md").read_text(encoding="utf-8").split())
    assert experiment.question in readme
    for word, text in experiment.facts:
        assert text in readme, f"experiments/README.md lacks the {word} line of {experiment.name}"


def test_facts():
    text = "Why?\n\nProse. Run\n\nRun  a b\nCost     two\n         lines\n\n  no fact\nExpect   x"
    assert facts_of(text) == (("Run", "a b"), ("Cost", "two lines"), ("Expect", "x"))


def test_an_unknown_name(capsys):
    with pytest.raises(SystemExit) as raised:
        main(["one_hiden_layer"])
    assert raised.value.code == 2
    assert "did you mean one_hidden_layer?" in capsys.readouterr().err


def test_runs_one_by_name(capsys):
    with pytest.raises(SystemExit) as raised:
        main(["one_hidden_layer", "--help"])
    assert raised.value.code == 0
    printed = capsys.readouterr().out
    assert "How well does a network with one hidden layer read handwritten digits?" in printed
    assert "--learning-rate" in printed
