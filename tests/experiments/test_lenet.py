"""experiments.lenet: pure in the seed, the steps of Flax and PyTorch, plain in its errors."""

import contextlib
import dataclasses
import io
import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import command, data, lenet, lenet_peers
from experiments.lenet import Config, framed, main, make_optimizer, run
from fnmath.benchmark import Comparison
from fnmath.layers import DenseParams
from fnmath.networks import lenet_init
from tests.experiments.idx import write_folder

SHORT = Config(epochs=1, batch_size=16)


def part(dataset, *counts):
    """The first so many images of each set."""
    cut = [
        data.Examples(*(a[:n] for a in part)) for part, n in zip(dataset[1:], counts, strict=True)
    ]
    return data.Dataset("digits", *cut)


@pytest.fixture(scope="module")
def dataset():
    return part(lenet.read(Config()), 328, 64, 64)


@pytest.fixture(scope="module")
def results(dataset):
    return run(SHORT, dataset=dataset)


@pytest.fixture(scope="module")
def printed_and_saved(tmp_path_factory):
    """What one short run from the command line printed, and its folder."""
    output, printed = tmp_path_factory.mktemp("runs"), io.StringIO()
    idx = write_folder(output / "idx", train=40, packed=True)
    options = "--epochs 2 --batch-size 16 --activation tanh --pool avg --validation 0 --peers"
    with contextlib.redirect_stdout(printed):
        main([*options.split(), "--data", str(idx), "--output", str(output)])
    (folder,) = (output / "lenet").iterdir()
    return printed.getvalue(), folder


class TestFramed:
    def test_digits_are_enlarged_threefold(self):
        images = np.random.default_rng(0).random((2, 8, 8))
        large = framed(images)
        assert large.shape == (2, 28, 28)
        np.testing.assert_array_equal(large[:, 2:26:3, 2:26:3], images)
        np.testing.assert_array_equal(large[:, 4:26:3, 4:26:3], images)
        np.testing.assert_allclose(large.sum(), 9 * images.sum())

    @pytest.mark.parametrize("size", [28, 32])
    def test_images_of_the_right_size_stay(self, size):
        images = np.ones((1, size, size))
        assert framed(images) is images

    @pytest.mark.parametrize("shape", [(6, 5), (28, 20), (1, 28), (27, 27)])
    def test_every_smaller_size_is_framed(self, shape):
        large = framed(np.ones((1, *shape)))
        factor = min(28 // n for n in shape)
        assert large.shape == (1, 28, 28)
        assert large.sum() == factor**2 * shape[0] * shape[1]

    @pytest.mark.parametrize("shape", [(29, 28), (32, 20), (64, 64)])
    def test_larger_ones_are_refused(self, shape):
        with pytest.raises(data.DataError, match=r"wanted 32 × 32, or 28 × 28 at most"):
            framed(np.ones((1, *shape)))


class TestRun:
    def test_same_seed_same_numbers(self, results, dataset):
        again = run(SHORT, dataset=dataset)
        jax.tree.map(np.testing.assert_array_equal, results, again)

    def test_another_seed_other_numbers(self, results, dataset):
        other = run(dataclasses.replace(SHORT, seed=1), dataset=dataset)
        assert (results.params.conv1.kernel != other.params.conv1.kernel).any()
        assert (results.train["loss"] != other.train["loss"]).all()

    def test_watching_changes_nothing(self, results, dataset):
        seen = []
        watched = run(SHORT, dataset=dataset, callback=seen.append)
        jax.tree.map(np.testing.assert_array_equal, results, watched)
        steps = -(-328 // 16)  # the last batch has 8 images
        assert [progress.step for progress in seen] == [steps - 1, steps, steps]  # and validated
        assert {progress.steps for progress in seen} == {steps}
        assert seen[-1].validation["accuracy"] == float(results.validation["accuracy"][-1])

    def test_it_learns(self, results):
        loss = results.train["loss"][0]
        assert loss[-5:].mean() < loss[0] - 0.5
        assert results.final["accuracy"] > 0.3

    def test_it_is_judged_on_the_test_set(self, results, dataset):
        np.testing.assert_array_equal(results.examples.images, dataset.test.images)
        taken_for = np.asarray(results.logits).argmax(axis=1)
        right = (taken_for == dataset.test.labels).sum()
        assert results.final["accuracy"] == np.float32(right / 64)
        confusion = np.asarray(results.final["confusion"])
        assert confusion.trace() == right
        written = np.bincount(dataset.test.labels, minlength=10)
        np.testing.assert_array_equal(confusion.sum(axis=1), written)

    def test_no_test_does_not_look_at_it(self, results, dataset):
        blind = dataset._replace(test=data.Examples(np.full((1, 28, 28), np.nan), np.zeros(1, int)))
        chosen = run(dataclasses.replace(SHORT, test=False), dataset=blind)
        np.testing.assert_array_equal(chosen.examples.images, dataset.validation.images)
        jax.tree.map(np.testing.assert_array_equal, chosen.params, results.params)
        at_the_end = results.validation["accuracy"][-1]
        np.testing.assert_allclose(chosen.final["accuracy"], at_the_end, rtol=1e-6)


class TestOptimizer:
    params: Any = (DenseParams(jnp.ones((2, 3)), jnp.ones(3)),)

    @pytest.mark.parametrize("name", ["momentum", "adam"])
    def test_it_descends_and_weight_decay_is_for_kernels(self, name):
        rule = make_optimizer(Config(optimizer=name, weight_decay=0.01), examples=32)
        for slope, least, most in ((1.0, -np.inf, 0.0), (0.0, 0.0, 1e-30)):
            slopes = jax.tree.map(lambda p, slope=slope: jnp.full_like(p, slope), self.params)
            updates: Any = rule.update(slopes, rule.init(self.params), self.params)[0]
            assert (updates[0].kernel < 0).all()
            assert ((least <= updates[0].bias) & (updates[0].bias < most)).all()

    def test_the_cosine_ends_at_zero_with_the_last_step(self):
        config = Config(optimizer="adam", epochs=2, batch_size=10, weight_decay=0.0)
        rule = make_optimizer(config, examples=15)  # a batch of 10 and one of 5: 4 steps
        state, sizes = rule.init(self.params), []
        updates: Any
        for _ in range(5):
            updates, state = rule.update(self.params, state, self.params)
            sizes.append(-float(updates[0].bias[0]))
        expected = 0.05 * 0.5 * (1 + np.cos(np.pi * np.arange(5) / 4))
        np.testing.assert_allclose(sizes, expected, rtol=1e-5, atol=1e-7)


def task_of(config, dataset, steps):
    """A task of random biases too, in the dtype of the images."""
    images = jnp.asarray(dataset.train.images)[..., None]
    params = jax.tree.map(
        lambda p: p + 0.1 * jax.random.normal(jax.random.key(p.size), p.shape, p.dtype),
        lenet_init(jax.random.key(0), dtype=images.dtype),
    )
    return lenet_peers.make_task(
        config,
        (images, dataset.train.labels),
        params,
        network=lenet.make_network(config),
        optimizer=lenet.make_rule(config, config.learning_rate),
        steps=steps,
    )


SETTINGS = [
    Config(batch_size=4, learning_rate=1e-2),
    Config(batch_size=4, learning_rate=1e-3, activation="tanh", pool="avg", optimizer="adam"),
]


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
class TestPeers:
    """In float64, where only a step that differs makes a difference."""

    def agree(self, peer, task):
        ours, theirs = lenet_peers.fnmath_peer(task), peer(task)
        assert lenet_peers.largest_difference(theirs.params(), task.params) == 0
        np.testing.assert_allclose(theirs(), ours(), rtol=1e-9)
        assert lenet_peers.largest_difference(theirs.params(), ours.params()) < 1e-9
        assert lenet_peers.largest_difference(theirs.params(), task.params) > 1e-3

    def task(self, dataset, config):
        images, labels = (a[:32] for a in dataset.train)
        train = data.Examples(images.astype(np.float64), labels)
        return task_of(config, dataset._replace(train=train), 4)

    @pytest.mark.parametrize("config", SETTINGS, ids=lambda c: c.optimizer)
    def test_pytorch_makes_the_same_steps(self, dataset, config, torch):
        del torch
        self.agree(lenet_peers.torch_peer, self.task(dataset, config))

    @pytest.mark.parametrize("config", SETTINGS, ids=lambda c: c.optimizer)
    def test_flax_makes_the_same_steps(self, dataset, config):
        pytest.importorskip("flax", reason="Flax is a peer, not a dependency")
        self.agree(lenet_peers.flax_peer, self.task(dataset, config))

    def test_a_loop_makes_the_same_steps(self, dataset):
        self.agree(lenet_peers.fnmath_loop_peer, self.task(dataset, SETTINGS[0]))


@pytest.mark.slow
class TestComparison:
    def test_absent_peers_are_left_out_and_said_to_be(self, dataset, monkeypatch, capsys):
        monkeypatch.setitem(sys.modules, "torch", None)
        monkeypatch.setitem(sys.modules, "flax", None)
        made = lenet_peers.make_peers(task_of(Config(batch_size=4), dataset, 2))
        assert list(made) == [lenet_peers.FNMATH, lenet_peers.LOOP]
        times = Comparison(dict.fromkeys(made, (1.0, 2.0)), lenet_peers.FNMATH)
        zeros = dict.fromkeys(made, 0.0)
        lenet_peers.show(command.console(), lenet_peers.Peers(times, zeros, zeros, 2))
        printed = capsys.readouterr().out
        assert "absent: Flax (not installed)" in printed
        assert "absent: PyTorch (not installed)" in printed

    def test_a_peer_that_trains_otherwise_is_refused(self, dataset, monkeypatch):
        task = task_of(Config(batch_size=4, learning_rate=1e-2), dataset, 2)
        other = task._replace(optimizer=lenet.make_rule(task.config, 0.1))
        peers = {lenet_peers.FNMATH: task, "another": other}
        made = {name: lenet_peers.fnmath_peer(task) for name, task in peers.items()}
        monkeypatch.setattr(lenet_peers, "make_peers", lambda task: made)
        with pytest.raises(ValueError, match="another does not train alike: losses differ by"):
            lenet_peers.compare_peers(task, rounds=1)


@pytest.mark.slow
class TestSaved:
    def test_print(self, printed_and_saved):
        printed, folder = printed_and_saved
        said = "idx: images of 28 × 28; 40 to learn from, 0 to choose by, 12 to test on once"
        assert printed.startswith(said)
        assert "LeNet-5, tanh, avg pooling, 61,706 parameters" in printed
        assert "after 2 steps from the same weights: losses within" in printed
        assert "test accuracy" in printed
        assert f"saved in {folder}" in printed.replace("\n", "")
        assert "\x1b" not in printed
        assert max(len(line) for line in printed.splitlines()) <= command.WIDTH

    def test_json(self, printed_and_saved):
        folder = printed_and_saved[1]
        config = json.loads((folder / "config.json").read_text())
        assert config["pool"] == "avg"
        assert config["dataset"] == {"name": "idx", "train": 40, "validation": 0, "test": 12}
        metrics = json.loads((folder / "metrics.json").read_text())
        assert len(metrics["history"]["train"]["loss"]) == 2
        assert metrics["history"]["validation"] == {}
        assert metrics["judged_on"] == "test"
        assert np.sum(metrics["confusion"]) == 12
        peers = metrics["peers"]
        names = list(peers["seconds_per_epoch"]["samples"])
        assert names[:2] == [lenet_peers.FNMATH, lenet_peers.LOOP]
        assert peers["steps_compared"] == 2
        for differences in peers["largest_differences"].values():
            assert list(differences) == names
            assert max(differences.values()) < 1e-3

    def test_figure(self, printed_and_saved, results, tmp_path):
        lenet.plot(results, tmp_path / "figure.png")
        for folder in (printed_and_saved[1], tmp_path):
            content = (folder / "figure.png").read_bytes()
            assert content.startswith(b"\x89PNG")
            assert len(content) > 20_000


WRONG = [
    ("--epochs 0", "epochs is 0; wanted at least 1"),
    ("--batch-size -1", "batch_size is -1; wanted at least 1"),
    ("--learning-rate nan", "learning_rate is nan; wanted a number above 0"),
    ("--weight-decay -1", "weight_decay is -1.0; wanted 0 or more"),
    ("--validation 1", "validation is 1.0; wanted a share in [0, 1)"),
    ("--activation rellu", "activation is 'rellu'; wanted one of"),
    ("--activation gelu --peers", "--peers with activation 'gelu'; wanted relu or tanh"),
    ("--seed -1", "seed is -1"),
    ("--no-test --validation 0", "--no-test judges by held-out images"),
    ("--pool min", "min"),
    ("--batch-size 1199", "--batch-size is 1,199; wanted at most 1,198, the training images"),
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

    def test_a_run_that_diverges(self, dataset, capsys):
        config = dataclasses.replace(SHORT, learning_rate=1e30)
        with pytest.raises(SystemExit) as raised, command.plain_errors("x"):
            run(config, dataset=dataset)
        assert raised.value.code == 1
        said = capsys.readouterr().err
        assert said.startswith("x: the loss of step ")
        assert said.endswith("; a smaller --learning-rate may cure it\n")
