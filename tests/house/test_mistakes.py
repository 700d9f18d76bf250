"""Every wrong call raises: the function, the argument, what came, what was wanted, the cure."""

import importlib
import inspect
import pkgutil
import re

import jax
import pytest

import tests
from tests.house.public import public_functions

MISTAKES = [
    mistake
    for module in pkgutil.walk_packages(tests.__path__, "tests.")
    if module.name.rpartition(".")[2].startswith("test_")
    and not module.name.startswith("tests.house")
    for mistake in getattr(importlib.import_module(module.name), "MISTAKES", ())
]
pytestmark = pytest.mark.usefixtures("annotations_unproved", "errors_as_they_are")


def name(mistake):
    return f"{mistake.function.__name__}: {mistake.message.partition(': ')[2][:40]}"


@pytest.mark.parametrize("mistake", MISTAKES, ids=name)
def test_raises_its_message(mistake):
    with pytest.raises(mistake.error) as raised:
        mistake.function(*mistake.args, **mistake.options)
    assert str(raised.value) == mistake.message
    assert type(raised.value) is mistake.error


@pytest.mark.parametrize("mistake", MISTAKES, ids=name)
def test_raises_under_jit(mistake):
    """The arrays are tracers here; whatever else was given is given as it is."""
    traced = [i for i, a in enumerate(mistake.args) if isinstance(a, jax.Array)]

    def call(*arrays):
        args = list(mistake.args)
        for i, a in zip(traced, arrays, strict=True):
            args[i] = a
        mistake.function(*args, **mistake.options)
        return 0.0

    with pytest.raises(mistake.error) as raised:
        jax.jit(call)(*(mistake.args[i] for i in traced))
    assert str(raised.value) == mistake.message


RAISING = [f for f in public_functions() if "Raises:" in (inspect.getdoc(f) or "")]


@pytest.mark.parametrize("function", RAISING, ids=lambda f: f.__name__)
def test_every_documented_error_has_a_row(function):
    """One for its TypeError and one for its ValueError, where it documents both."""
    section = inspect.getdoc(function).partition("Raises:")[2].partition("Example:")[0]
    documented = set(re.findall(r"^ +(TypeError|ValueError):", section, re.MULTILINE))
    mine = [m for m in MISTAKES if m.message.startswith(f"{function.__name__}: ")]
    assert documented <= {m.error.__name__ for m in mine}
