"""experiments.one_hidden_layer: pure in the seed, right in its gradients, plain in its errors."""

import contextlib
import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import command, data, five_steps, one_hidden_layer
from experiments.one_hidden_layer import Config, main, make_optimizer, run
from fnmath.layers import DenseParams
from tests.experiments.idx import write_folder

ROOT = Path(__file__).parents[2]
SHORT = Config(width=12, epochs=3, batch_size=64)


@pytest.fixture(scope="module")
def dataset():
    """A part of the digits that whole batches fill."""
    digits = data.load(None, validation=0.2)
    cut = [
        data.Examples(*(a[:n] for a in part))
        for part, n in zip(digits[1:], (512, 128, 128), strict=True)
    ]
    return data.Dataset("digits", *cut)


@pytest.fixture(scope="module")
def results(dataset):
    return run(SHORT, dataset=dataset)


@pytest.fixture(scope="module")
def other_results(dataset):
    return run(dataclasses.replace(SHORT, seed=1), dataset=dataset)


@pytest.fixture(scope="module")
def walk(dataset):
    return one_hidden_layer.first_image(SHORT, dataset)


@pytest.fixture(scope="module")
def printed_and_saved(tmp_path_factory):
    """What one short run from the command line printed, and its folder."""
    output, printed = tmp_path_factory.mktemp("runs"), io.StringIO()
    idx = write_folder(output / "idx", train=64, packed=True)
    options = "--width 6 --epochs 2 --batch-size 32 --activation tanh --validation 0 --seeds 2"
    with contextlib.redirect_stdout(printed):
        main([*options.split(), "--data", str(idx), "--output", str(output)])
    (folder,) = (output / "one_hidden_layer").iterdir()
    return printed.getvalue(), folder


class TestRun:
    def test_same_seed_same_numbers(self, results, dataset):
        again = run(SHORT, dataset=dataset)
        jax.tree.map(np.testing.assert_array_equal, results, again)

    def test_another_seed_other_numbers(self, results, other_results):
        assert (results.params[0].kernel != other_results.params[0].kernel).any()
        assert (results.train["loss"] != other_results.train["loss"]).all()

    def test_watching_changes_nothing(self, results, dataset):
        seen = []
        watched = run(SHORT, dataset=dataset, callback=seen.append)
        jax.tree.map(np.testing.assert_array_equal, results, watched)
        assert seen[-1].step == seen[-1].steps == 24

    def test_vmap_over_seeds_is_one_run_after_another(self, results, other_results, dataset):
        @jax.jit
        @jax.vmap
        def of_seed(seed):
            return run(dataclasses.replace(SHORT, seed=seed), dataset=dataset).train["loss"]

        alone = jnp.stack([results.train["loss"], other_results.train["loss"]])
        np.testing.assert_allclose(of_seed(jnp.arange(2)), alone, rtol=1e-4)

    def test_it_learns(self, results):
        assert results.validation["accuracy"][-1] > results.validation["accuracy"][0]
        assert results.train["loss"][-1].mean() < results.train["loss"][0].mean() - 0.1

    def test_it_is_judged_on_the_test_set(self, results, dataset):
        np.testing.assert_array_equal(results.examples.images, dataset.test.images)
        taken_for = np.asarray(results.logits).argmax(axis=1)
        right = (taken_for == dataset.test.labels).sum()
        assert results.final["accuracy"] == np.float32(right / 128)
        confusion = np.asarray(results.final["confusion"])
        assert confusion.sum() == 128
        assert confusion.trace() == right
        written = np.bincount(dataset.test.labels, minlength=10)
        np.testing.assert_array_equal(confusion.sum(axis=1), written)

    def test_no_test_does_not_look_at_it(self, results, dataset):
        blind = dataset._replace(test=data.Examples(np.full((1, 8, 8), np.nan), np.zeros(1, int)))
        chosen = run(dataclasses.replace(SHORT, test=False), dataset=blind)
        np.testing.assert_array_equal(chosen.examples.images, dataset.validation.images)
        jax.tree.map(np.testing.assert_array_equal, chosen.params, results.params)
        at_the_end = results.validation["accuracy"][-1]
        np.testing.assert_allclose(chosen.final["accuracy"], at_the_end, rtol=1e-6)


class TestOptimizer:
    params = (DenseParams(jnp.ones((2, 3)), jnp.ones(3)),)

    @pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw"])
    def test_it_descends(self, name):
        rule = make_optimizer(Config(optimizer=name, learning_rate=0.1), examples=32)
        down = jax.tree.map(jnp.ones_like, self.params)
        updates, _ = rule.update(down, rule.init(self.params), self.params)
        assert all((leaf < 0).all() for leaf in jax.tree.leaves(updates))

    @pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw"])
    def test_weight_decay_is_for_kernels(self, name):
        rule = make_optimizer(Config(optimizer=name, weight_decay=0.01), examples=32)
        flat = jax.tree.map(jnp.zeros_like, self.params)
        updates, _ = rule.update(flat, rule.init(self.params), self.params)
        assert (updates[0].kernel < 0).all()
        assert (updates[0].bias == 0).all()

    def test_the_cosine_ends_at_zero_with_the_last_step(self):
        config = Config(optimizer="sgd", epochs=2, batch_size=10, weight_decay=0.0)
        rule = make_optimizer(config, examples=15)  # a batch of 10 and one of 5: 4 steps
        state, sizes = rule.init(self.params), []
        for _ in range(5):
            updates, state = rule.update(self.params, state, self.params)
            sizes.append(-float(updates[0].bias[0]))
        expected = 0.1 * 0.5 * (1 + np.cos(np.pi * np.arange(5) / 4))
        np.testing.assert_allclose(sizes, expected, atol=1e-7)


class TestFiveSteps:
    def test_three_ways_agree(self, walk):
        assert [row.name for row in walk.agreement] == ["W₁", "b₁", "W₂", "b₂"]
        for row in walk.agreement:
            assert row.by_hand < 1e-14
            assert row.finite_differences < 1e-7
            assert row.entries == np.prod(row.shape)
        assert walk.loss_after < walk.forward.loss

    def test_a_wrong_backward_pass_is_seen(self, walk):
        with jax.enable_x64(True):
            x = jnp.asarray(walk.image, jnp.float64).reshape(1, -1)

            def loss(params):
                labels = jnp.asarray([walk.label])
                return five_steps.one_hidden_layer_forward(params, x, labels).loss

            wrong = jax.tree.map(lambda bar: 1.001 * bar, walk.backward.params)
            rows = five_steps.compare(loss, walk.params, wrong)
        assert all(abs(row.by_hand - 1e-3) < 1e-9 for row in rows)

    def test_a_large_array_is_sampled(self):
        entries = five_steps.drawn_entries(20_000)
        assert len(set(entries.tolist())) == len(entries) == five_steps.SOME_ENTRIES

    def test_a_small_image_in_characters(self):
        image = np.zeros((8, 8))
        image[0, 0] = 1
        drawn = five_steps.drawing(image, coloured=False).plain.splitlines()
        assert drawn == ["██" + 14 * " ", *7 * [16 * " "]]

    def test_a_large_image_in_characters(self):
        image = np.zeros((28, 28))
        image[4:9, 10] = 1
        image[4, 10:13] = 1
        assert five_steps.drawing(image, coloured=False).plain == "█▀▀\n█  \n▀  \n"
        coloured = five_steps.drawing(image, coloured=True)
        assert coloured.plain == "▀▀▀\n▀▀▀\n▀▀▀\n"
        assert str(coloured.spans[0].style) == "rgb(255,255,255) on rgb(255,255,255)"


@pytest.mark.slow
class TestSaved:
    def test_print(self, printed_and_saved):
        printed, folder = printed_and_saved
        said = "idx: images of 6 × 5; 64 to learn from, 0 to choose by, 12 to test on once"
        assert printed.startswith(said)
        for step in ("Forward pass", "Activation", "Loss", "Backpropagation", "Optimisation"):
            assert step in printed
        assert "over 2 seeds: mean" in printed
        assert f"saved in {folder}" in printed.replace("\n", "")
        assert "\x1b" not in printed
        assert len(printed.splitlines()) < 70
        assert max(len(line) for line in printed.splitlines()) <= command.WIDTH

    def test_json(self, printed_and_saved):
        folder = printed_and_saved[1]
        config = json.loads((folder / "config.json").read_text())
        assert config["width"] == 6
        assert config["dataset"] == {"name": "idx", "train": 64, "validation": 0, "test": 12}
        metrics = json.loads((folder / "metrics.json").read_text())
        assert len(metrics["history"]["train"]["loss"]) == 2
        assert metrics["history"]["validation"] == {}
        assert metrics["judged_on"] == "test"
        assert np.sum(metrics["confusion"]) == 12
        assert len(metrics["accuracies_by_seed"]) == 2
        agreement = metrics["gradient_agreement"]
        assert max(row["by_hand"] for row in agreement) < 1e-14
        assert max(row["finite_differences"] for row in agreement) < 1e-7

    def test_figure(self, printed_and_saved, results, tmp_path):
        one_hidden_layer.plot(results, tmp_path / "figure.png")
        for folder in (printed_and_saved[1], tmp_path):
            content = (folder / "figure.png").read_bytes()
            assert content.startswith(b"\x89PNG")
            assert len(content) > 20_000

    def test_numbers_that_json_has_not(self, tmp_path):
        command.save_json(tmp_path / "a.json", {"a": np.array([1.0, np.nan]), "b": tmp_path})
        assert json.loads((tmp_path / "a.json").read_text()) == {
            "a": [1.0, None],
            "b": str(tmp_path),
        }

    def test_no_two_runs_share_a_folder(self, tmp_path):
        folders = [command.make_folder(tmp_path, "x") for _ in range(3)]
        assert len(set(folders)) == 3
        assert all(folder.is_dir() for folder in folders)


WRONG = [
    ("--width 0", "width is 0; wanted at least 1"),
    ("--epochs -1", "epochs is -1; wanted at least 1"),
    ("--learning-rate -0.1", "learning_rate is -0.1; wanted a number above 0"),
    ("--learning-rate nan", "learning_rate is nan"),
    ("--weight-decay inf", "weight_decay is inf"),
    ("--validation 1", "validation is 1.0; wanted a share in [0, 1)"),
    ("--activation rellu", "activation is 'rellu'; wanted one of"),
    ("--seed -1", "seed is -1"),
    ("--no-test --validation 0", "--no-test judges by held-out images"),
    ("--optimizer foo", "foo"),
    ("--width many", "many"),
    ("--colour red", "--colour"),
    ("--batch-size 1151", "--batch-size is 1,151; wanted at most 1,150, the training images"),
    ("--data /nowhere/at/all", "/nowhere/at/all: no such folder"),
]


class TestErrors:
    @pytest.mark.parametrize(("options", "message"), WRONG, ids=[row[0] for row in WRONG])
    def test_exit_code_2_and_one_message(self, options, message, capsys):
        with pytest.raises(SystemExit) as raised:
            main(options.split())
        assert raised.value.code == 2
        printed = capsys.readouterr()
        assert message in " ".join(printed.err.replace("│", " ").split())
        assert printed.out == ""

    def test_output_that_is_a_file(self, tmp_path, capsys):
        (tmp_path / "file").touch()
        with pytest.raises(SystemExit) as raised:
            main(["--output", str(tmp_path / "file")])
        assert raised.value.code == 2
        assert "--output" in capsys.readouterr().err

    def test_a_run_that_diverges(self, dataset, capsys):
        config = dataclasses.replace(SHORT, learning_rate=1e30)
        with pytest.raises(SystemExit) as raised, command.plain_errors("x"):
            run(config, dataset=dataset, callback=print)
        assert raised.value.code == 1
        said = capsys.readouterr().err
        assert said.startswith("x: the loss of step ")
        assert said.endswith("; a smaller --learning-rate may cure it\n")

    @pytest.mark.parametrize(
        "module", ["experiments.one_hidden_layer", "experiments one_hidden_layer"]
    )
    def test_no_traceback(self, module, tmp_path):
        command = [sys.executable, "-m", *module.split(), "--data", str(tmp_path)]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert ended.returncode == 2
        assert ended.stdout == ""
        assert ended.stderr.strip().startswith(f"one_hidden_layer: {tmp_path}: nothing in it")
        assert len(ended.stderr.splitlines()) == 1

    def test_data_error_is_what_is_caught(self):
        with pytest.raises(SystemExit), command.plain_errors("x"):
            raise data.DataError("a")
        with pytest.raises(KeyError), command.plain_errors("x"):
            raise KeyError("a mistake of ours keeps its traceback")
