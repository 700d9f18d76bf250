"""The score on the shared reference cases: 29 thousand numbers from 50-digit arithmetic."""

import importlib.util
import json
from pathlib import Path

import jax
import numpy as np
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


PARTS = [("activations", 0, 1), ("losses", 0, 2), ("losses", 1, 2)]


@pytest.fixture(scope="module")
def scorer():
    spec = importlib.util.spec_from_file_location("scorer", CASES / "score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.run_group = in_one_program
    return module


def in_one_program(backend, f, cases):
    """The scorer's ``run_group``, but that all it asks is compiled together: shared, in half time.

    As there, the answers by their names, one row for each case, and no remarks.
    """
    options, by = cases[0].get("kw") or {}, tuple(cases[0].get("diff", [0]))
    several = cases[0]["nout"] > 1

    def g(*args):
        return f(*args, **options)

    reverse, forward = (jax.jacrev if several else jax.grad)(g, by), jax.jacfwd(g, by)
    jobs = {"value": g}
    if any(case.get("grad") is not None for case in cases):
        jobs |= {"grad.rev": reverse, "grad.fwd": forward}
    if any(case.get("hess") is not None for case in cases):
        jobs |= {
            "hess.rr": jax.jacrev(lambda *a: reverse(*a)[0]),
            "hess.fr": jax.jacfwd(lambda *a: reverse(*a)[0]),
            "hess.ff": jax.jacfwd(lambda *a: forward(*a)[0]),
        }
    every = jax.jit(jax.vmap(lambda *a: {name: jax.tree.leaves(h(*a)) for name, h in jobs.items()}))
    columns = [np.stack(column) for column in zip(*(case["args"] for case in cases), strict=True)]

    def rows(parts):
        flat = [np.asarray(part, np.float64).reshape(len(cases), -1) for part in parts]
        return np.concatenate(flat, axis=1).tolist()

    return {name: rows(parts) for name, parts in every(*columns).items()}, set()


@pytest.mark.parametrize(("family", "part", "parts"), PARTS)
def test_score(scorer, family, part, parts):
    """Of a whole family, or of each second of its functions, which asks the more."""
    cases = json.loads((CASES / "dev" / f"{family}.json").read_text())["cases"]
    names = sorted({case["fn"] for case in cases})[part::parts]
    results, absent = scorer.score(adapter, "dev", [family], False, CASES, names)
    assert not absent
    for quantity, row in scorer.totals(results)[family].items():
        bar = BARS[family][quantity.partition(".")[0]]
        assert row["within4"] >= bar, f"{quantity}: {row}"
        assert not any(row[kind] for kind in WRONG), f"{quantity}: {row}"
