"""experiments.bayesian_regression: the splits as they are, and no less than least squares."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.bayesian_regression import SETS, SPLITS, Config, main, read, run

QUICK = {"frequencies": 4, "steps": 5}


def write_set(folder: Path) -> Path:
    """A set of 30 examples that are linear but for a little noise, with twenty splits."""
    random = np.random.default_rng(0)
    x = random.normal(3, 2, (30, 3))
    y = 100 + x @ [1.0, -2.0, 0.5] + 0.1 * random.standard_normal(30)
    folder.mkdir(parents=True)
    np.savetxt(folder / "data.txt", np.column_stack([x, y]))
    np.savetxt(folder / "index_features.txt", [0, 1, 2])
    np.savetxt(folder / "index_target.txt", [3])
    for i in range(SPLITS):
        order = random.permutation(30)
        np.savetxt(folder / f"index_train_{i}.txt", order[:25])
        np.savetxt(folder / f"index_test_{i}.txt", order[25:])
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for name in SETS:
        write_set(root / "uci" / name)
    return root


def test_reads_the_splits(data):
    split = read(data, SETS[0])
    assert split.x.shape == (20, 25, 3)
    assert split.test_y.shape == (20, 5)
    assert (read(data / "uci", SETS[0]).x == split.x).all()


def test_linear_is_least_squares_where_the_data_say_enough(data):
    split = read(data, SETS[0])
    scores = run(Config(data, steps=200), split, "linear")
    expected = []
    for x, y, test_x, test_y in zip(*split, strict=True):
        w = np.linalg.lstsq(np.column_stack([x, np.ones(25)]), y)[0]
        left = np.column_stack([test_x, np.ones(5)]) @ w - test_y
        expected.append(np.sqrt(np.mean(left**2)))
    np.testing.assert_allclose(scores.rmse, expected, atol=0.01)
    # The likelihood of noise of 0.1 in the units of the target: about −log 0.1 − ½ log 2π − ½.
    assert 0.5 < scores.log_likelihood.mean() < 1.2


def test_the_evidence_grows_with_steps(data):
    split = read(data, SETS[0])
    few, more = (run(Config(data, frequencies=4, steps=n), split, "fourier") for n in (1, 30))
    assert (more.log_evidence > few.log_evidence).all()


def test_main_saves_and_says(data, tmp_path, capsys):
    options = [f"--{name}={value}" for name, value in QUICK.items()]
    main(["--data", str(data), "--output", str(tmp_path), *options])
    printed = capsys.readouterr().out
    assert "published: PBP" in printed
    (folder,) = (tmp_path / "bayesian_regression").iterdir()
    metrics = json.loads((folder / "metrics.json").read_text())
    rmse = np.mean(metrics["sets"]["yacht"]["linear"]["rmse"])
    assert f"{rmse:.2f} ±" in printed
    assert (folder / "figure.png").stat().st_size > 10_000


def test_mistakes_are_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as raised:
        main(["--data", str(tmp_path), "--output", str(tmp_path)])
    assert raised.value.code == 2
    assert "wanted data.txt" in capsys.readouterr().err
    with pytest.raises(ValueError, match="steps is 0"):
        Config(tmp_path, steps=0)
