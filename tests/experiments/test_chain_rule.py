"""experiments.chain_rule: right in its gradients, plain in its errors, for any function."""

import contextlib
import io
import json
import xml.etree.ElementTree as ET

import jax
import numpy as np
import pytest

from experiments import chain_rule
from experiments.chain_rule import Config, disagreement, main, run


@pytest.fixture(scope="module")
def printed_and_saved(tmp_path_factory):
    output, printed = tmp_path_factory.mktemp("runs"), io.StringIO()
    with contextlib.redirect_stdout(printed):
        main(["--output", str(output)])
    (folder,) = (output / "chain_rule").iterdir()
    return printed.getvalue(), folder


def test_prints_the_source_with_its_numbers(printed_and_saved):
    printed, _ = printed_and_saved
    assert "h = jnp.tanh(z)" in printed
    assert "float32[]  2.858  gradient 1" in printed


def test_writes_the_page_and_the_picture(printed_and_saved):
    _, folder = printed_and_saved
    assert "h = jnp.tanh(z)" in (folder / "page.html").read_text(encoding="utf-8")
    ET.parse(folder / "graph.svg")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["against_by_hand"] < 1e-6
    assert json.loads((folder / "config.json").read_text())["width"] == 16


def test_gradients_are_those_of_jax():
    config = Config(width=5, seed=3)
    record = run(config)
    function, arguments = chain_rule.one_digit(config)
    for a, b in zip(
        jax.tree.leaves(record.gradients[0]),
        jax.tree.leaves(jax.grad(function)(*arguments)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert disagreement(config, record) < 1e-6


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of the user's, of this text."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, text):
        (tmp_path / f"{name}.py").write_text("import jax.numpy as jnp\n" + text)
        return name

    return write


GOOD = """
def square(x):
    return (x * x).sum()

def example_args():
    return (jnp.arange(3.0),)
"""


def test_a_function_of_the_users(module, tmp_path, capsys):
    name = module("chain_rule_good", GOOD)
    main(["--function", f"{name}:square", "--output", str(tmp_path / "runs")])
    printed = capsys.readouterr().out
    assert "return (x * x).sum()" in printed
    (folder,) = (tmp_path / "runs" / "chain_rule").iterdir()
    assert {p.name for p in folder.iterdir()} == {
        *("page.html", "graph.svg", "config.json", "metrics.json")
    }


@pytest.mark.parametrize(
    ("function", "text", "message"),
    [
        ("nonsense", "", "wanted MODULE:FUNCTION"),
        (":f", "", "wanted MODULE:FUNCTION"),
        ("chain_rule_none:f", None, "no module chain_rule_none is found from"),
        (
            "chain_rule_bad1:f",
            "import nothing_of_that_name",
            "needs nothing_of_that_name, which is",
        ),
        ("chain_rule_bad2:squared", GOOD, "no function squared; did you mean square?"),
        ("chain_rule_bad6:f", "f = 3", "f of chain_rule_bad6 is a int; wanted a function"),
        (
            "chain_rule_bad7:f",
            "def f(x, y): return x\ndef example_args(): return (jnp.ones(3),)",
            "example_args() returned 1 arguments: missing a required argument: 'y'",
        ),
        ("chain_rule_bad3:f", "def f(x): return x", "lacks example_args; def example_args"),
        (
            "chain_rule_bad4:f",
            "def f(x): return x\ndef example_args(): return 1.0",
            "example_args() returned a float; wanted a tuple",
        ),
        (
            "chain_rule_bad5:f",
            "def f(x): return x\ndef example_args(): return (jnp.ones(3),)",
            "wanted a scalar, or its cotangent",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(module, tmp_path, capsys, function, text, message):
    if text is not None and ":" in function[1:]:
        module(function.partition(":")[0], text)
    with pytest.raises(SystemExit) as raised:
        main(["--function", function, "--output", str(tmp_path / "runs")])
    printed = capsys.readouterr().err
    assert raised.value.code == 2
    assert message in printed
    assert len(printed.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()
