"""experiments.distributions and its benchmark: the truth, the errors, what is saved and printed."""

import json

import numpy as np
import pytest

from experiments import distributions
from experiments.benchmarks import distributions as benchmark
from fnmath import probability


def test_every_family_of_numbers_is_there():
    of_numbers = {
        name for name in probability.__all__ if hasattr(getattr(probability, name), "cdf")
    } - {"mixtures", "transformed"}
    assert of_numbers == set(distributions.entries())


def test_parameters_are_those_of_scipy():
    """Means and variances of both agree, or medians, whatever the order of the parameters.

    Cauchy's has no moments, and SciPy's are not those of an angle.
    """
    for name, entry in distributions.entries().items():
        moments = {"mean": entry.law.mean, "variance": entry.law.var}
        if name in ("cauchy", "von_mises"):
            moments = {"ppf": entry.law.ppf}
        for what, theirs in moments.items():
            at = (0.45,) if what == "ppf" else ()
            ours = getattr(entry.family, what)(*at, *map(float, entry.parameters))
            np.testing.assert_allclose(ours, theirs(*at), 1e-5, 1e-5, err_msg=f"{what} of {name}")


def test_points_are_of_both_tails():
    x, q = distributions.asked(distributions.entries()["normal"], 400)
    assert x.dtype == q.dtype == np.float32
    assert x.min() < -15 < 15 < x.max()
    assert 0 < q.min() < 1e-25
    assert 0.998 < q.max() < 1


def test_a_missing_function_is_none_and_a_wrong_one_is_seen():
    entry = distributions.entries()["student_t"]
    errors = distributions.errors(entry, 20)
    assert "cdf" in errors["fnmath"]
    assert "cdf" not in errors["JAX"]
    assert distributions.share(errors["SciPy"]["cdf"]) == 1
    normal = distributions.errors(distributions.entries()["normal"], 20)
    assert distributions.share(normal["fnmath"]["logsf"]) == 1


def test_from_the_command_line(tmp_path, capsys):
    given = ["--only", "uniform", "poisson", "--points", "12", "--samples", "500"]
    distributions.main([*given, "--output", str(tmp_path)])
    assert "together" in capsys.readouterr().out
    (path,) = tmp_path.rglob("results.json")
    saved = json.loads(path.read_text())
    assert set(saved["families"]) == {"uniform", "poisson"}
    assert saved["families"]["uniform"]["fnmath"]["cdf"] == 1
    assert (path.parent / "distributions.png").stat().st_size > 10_000


@pytest.mark.parametrize("main", [distributions.main, benchmark.main])
@pytest.mark.parametrize("given", [["--points", "0"], ["--only", "none"]])
def test_options_that_do_not_fit(main, given, tmp_path, capsys):
    with pytest.raises(SystemExit) as raised:
        main([*given, "--output", str(tmp_path)])
    assert raised.value.code == 2
    assert "must be at least" in capsys.readouterr().err or given[0] == "--only"


def test_benchmark_from_the_command_line(tmp_path, capsys):
    given = ["--only", "laplace", "--rounds", "1", "--points", "20", "--output", str(tmp_path)]
    benchmark.main(given)
    printed = capsys.readouterr().out
    assert "| laplace.logpdf |" in printed
    assert "†" not in printed
    (path,) = tmp_path.rglob("results.json")
    assert json.loads(path.read_text())["seconds"]["laplace.cdf"]["value"]["agree"] == {
        "fnmath": True,
        "JAX": True,
    }
