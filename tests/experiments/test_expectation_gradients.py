"""experiments.expectation_gradients: errors as foretold, by formulas and by quadrature."""

import json

import numpy as np
import pytest
import scipy.stats

from experiments.command import OptionError
from experiments.expectation_gradients import (
    MEAN,
    METHODS,
    OFFSET,
    Config,
    crossing,
    main,
    run,
)

QUICK = Config(
    samples=(4, 64), dimensions=(1, 5), frequencies=6, drawn=32, repeats=1000
)  # fmt: skip


@pytest.fixture(scope="module")
def results():
    return run(QUICK)


def test_errors_of_the_bowl(results):
    """Through the draws 4/n; by the score E ((f − b) ε)² − (2m)², by Gauss and Hermite's rule."""
    x, w = np.polynomial.hermite_e.hermegauss(20)
    w = w / w.sum()
    f = OFFSET + (MEAN + x) ** 2
    expected = {"reparameterised": 4.0}
    for method, b in {"none": 0, "leave_one_out": w @ f, "optimal": w @ (f * x**2)}.items():
        expected[method] = w @ ((f - b) * x) ** 2 - (2 * MEAN) ** 2
    n = QUICK.samples[1]
    for method in METHODS:
        slack = 0.25 if method in ("leave_one_out", "optimal") else 0.15  # and 1/n more
        ours = n * results.by_samples[1].squared_error[method]
        np.testing.assert_allclose(ours, expected[method], rtol=slack, err_msg=method)


def test_the_score_pays_for_every_dimension(results):
    one, five = (s.squared_error for s in results.by_dimension)
    np.testing.assert_allclose(one["reparameterised"], five["reparameterised"], rtol=0.2)
    for method in list(METHODS)[1:]:
        assert five[method] > 1.3 * one[method], method


def test_means_are_true_but_for_a_step_through_the_draws(results):
    truth = scipy.stats.norm.pdf(MEAN)
    last = results.step[-1]
    assert last.mean["reparameterised"] == last.variance["reparameterised"] == 0
    for method in list(METHODS)[1:]:
        error = np.sqrt(last.variance[method] / QUICK.repeats)
        bias = 0.02 if method == "optimal" else 0
        assert abs(last.mean[method] - truth) < 4 * error + bias, method


def test_a_fast_wave_is_better_not_differentiated(results):
    """The slope of cos ωx grows as ω, and its size, which the score weighs, does not."""
    assert 1 < crossing(QUICK, results) < 1.6
    of = results.by_frequency.squared_error
    assert of["reparameterised"][0] < 0.5 * of["leave_one_out"][0]
    assert of["reparameterised"][-1] > 5 * of["leave_one_out"][-1]


def test_main_saves_and_says(tmp_path, capsys):
    options = ["--samples", "3", "8", "--dimensions", "1", "--frequencies", "3", "--drawn", "8"]
    main([*options, "--repeats", "20", "--output", str(tmp_path)])
    assert "score, no baseline" in capsys.readouterr().out
    (folder,) = (tmp_path / "expectation_gradients").iterdir()
    assert set(json.loads((folder / "metrics.json").read_text())) >= {"by_samples", "crossing"}
    assert (folder / "figure.png").stat().st_size > 10_000


def test_mistakes_are_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as raised:
        main(["--repeats", "1", "--output", str(tmp_path)])
    assert raised.value.code == 2
    assert "repeats is 1; wanted at least 2" in capsys.readouterr().err
    with pytest.raises(OptionError, match="2 draws; wanted at least 3"):
        Config(samples=(2,))
