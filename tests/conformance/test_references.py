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
    """The references have 20 digits, so that float64 is judged by the same numbers: in its ULP."""
    found = judging.answers(adapter.FUNCS[name(cases)], cases, np.float64)
    for mode, quantity in judging.quantities(cases).items():
        wanted = judging.expected(cases, quantity)
        np.testing.assert_allclose(found[mode], wanted, rtol=2e-15, atol=1e-300, err_msg=mode)
