"""The score on the shared reference cases: 29 thousand numbers from 50-digit arithmetic."""

import importlib.util
from pathlib import Path

import pytest

from tests.conformance import adapter

CASES = Path(__file__).parents[3] / "shared" / "cases"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CASES.is_dir(), reason="the reference cases are not beside the project"),
]
WRONG = ("nan", "inf", "wrong_zero", "wrong_sign", "other", "missed_nan")
BARS = {  # family: the least share within 4 ULP of values, gradients and second derivatives
    "activations": {"value": 0.999, "grad": 0.999, "hess": 0.995},
    "losses": {"value": 0.99, "grad": 0.99},
}


@pytest.fixture(scope="module")
def scorer():
    spec = importlib.util.spec_from_file_location("scorer", CASES / "score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("family", BARS)
def test_score(scorer, family):
    results, absent = scorer.score(adapter, "dev", [family], False, CASES)
    assert not absent
    for quantity, row in scorer.totals(results)[family].items():
        bar = BARS[family][quantity.partition(".")[0]]
        assert row["within4"] >= bar, f"{quantity}: {row}"
        assert not any(row[kind] for kind in WRONG), f"{quantity}: {row}"
