"""Every function with a reference, in every mode of differentiation, within 4 ULP of the truth."""

import json

import numpy as np
import pytest

from tests.conformance import adapter, judging, truths

GROUPS = judging.load()


def name(cases):
    return cases[0]["function"]


def test_the_file_is_what_the_definitions_give():
    assert json.loads(truths.FILE.read_text()) == truths.references()


def check(found, cases):
    for mode, error in judging.errors(found, cases).items():
        row = int(np.argmax(error.reshape(len(cases), -1).max(-1)))
        place = f"{mode} at {cases[row]['arguments']}: {np.asarray(found[mode])[row]}"
        assert error.max() <= judging.WITHIN, f"{error.max():.3g} ULP in {place}"


@pytest.mark.parametrize("cases", GROUPS, ids=name)
def test_float32(cases):
    check(judging.answers(adapter.FUNCS[name(cases)], cases), cases)


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("cases", GROUPS, ids=name)
def test_float64_is_no_worse(cases):
    """Within 8 ULP, but below 10⁻⁴⁰, where the differences that the references are end."""
    found = judging.answers(adapter.FUNCS[name(cases)], cases, np.float64)
    for mode, quantity in judging.quantities(cases).items():
        wanted = judging.expected(cases, quantity)
        close = np.abs(np.asarray(found[mode]) - wanted) < 1e-40
        error = np.where(close, 0, judging.ulp_error(found[mode], wanted))
        assert error.max() <= 2 * judging.WITHIN, f"{error.max():.3g} ULP in {mode}"
