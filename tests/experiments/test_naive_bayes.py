"""experiments.naive_bayes: counts, one reading pixel by pixel and at once, plain in its errors."""

import json

import numpy as np
import pytest

from experiments.data import Dataset, load
from experiments.naive_bayes import ALPHAS, Config, main, run
from tests.experiments.idx import write_folder


@pytest.fixture(scope="module")
def results():
    return run(Config())


def test_it_reads_most_digits(results):
    assert results.final["accuracy"] > 0.85
    assert np.asarray(results.final["confusion"]).sum() == len(results.examples.labels)


def test_pixel_by_pixel_ends_where_all_at_once_does(results):
    paths = np.asarray(results.paths)
    assert paths.shape == (len(results.shown), 65, 10)
    np.testing.assert_allclose(paths.sum(-1), 1, rtol=1e-5)
    at_once = np.exp(np.asarray(results.log_posterior)[results.shown])
    np.testing.assert_allclose(paths[:, -1], at_once, atol=1e-4)
    prior = np.exp(results.params.log_prior)
    np.testing.assert_allclose(paths[:, 0], np.tile(prior, (len(paths), 1)), rtol=1e-5)


def test_the_pseudo_count_is_the_best_of_the_held_out_images(results):
    best = np.asarray(results.held_out["accuracy"]).argmax()
    assert float(results.alpha) == pytest.approx(ALPHAS[best])


def test_the_test_set_chooses_nothing(results):
    name, train, validation, test = load(None, validation=1 / 6)
    other = test._replace(images=test.images[::-1])
    again = run(Config(), dataset=Dataset(name, train, validation, other))
    np.testing.assert_array_equal(again.params.log_odds, results.params.log_odds)


def test_main_saves_and_says(tmp_path, capsys):
    idx = write_folder(tmp_path / "idx", train=60, packed=True)
    main(["--data", str(idx), "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "test accuracy" in printed
    (folder,) = (tmp_path / "naive_bayes").iterdir()
    assert {p.name for p in folder.iterdir()} == {"config.json", "metrics.json", "figure.png"}
    metrics = json.loads((folder / "metrics.json").read_text())
    assert f"{metrics['accuracy']:.4f}" in printed


def test_mistakes_are_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as raised:
        main(["--data", str(tmp_path / "none"), "--output", str(tmp_path)])
    assert raised.value.code == 2
    assert "no such folder" in capsys.readouterr().err
    with pytest.raises(ValueError, match="threshold is 2"):
        Config(threshold=2)
