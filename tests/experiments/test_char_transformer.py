"""experiments.char_transformer: pure in the seed, the steps of PyTorch, plain in its errors."""

import contextlib
import dataclasses
import io
import json
import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import char_transformer, data, text
from experiments.char_transformer import Config, main, run
from fnmath.training import TrainState
from tests.networks.torch_forms import random_params

SIZES: dict[str, Any] = {"depth": 2, "heads": 2, "features": 8, "context": 8, "batch_size": 4}
SHORT = Config(**SIZES, steps=30, warmup=5, learning_rate=0.03, evaluations=3, sample=20)


@pytest.fixture(scope="module")
def sonnets():
    return text.load(None)


@pytest.fixture(scope="module")
def told():
    """What the callback of the run below was told."""
    return []


@pytest.fixture(scope="module")
def results(sonnets, told):
    return run(SHORT, text=sonnets, callback=told.append)


@pytest.fixture(scope="module")
def printed_and_saved(tmp_path_factory):
    """What one short run from the command line printed, and its folder."""
    output, printed = tmp_path_factory.mktemp("runs"), io.StringIO()
    (output / "letters.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 20)
    options = ["--steps", "30", "--warmup", "5", "--evaluations", "3", "--sample", "20"]
    for name, value in SIZES.items():
        options += [f"--{name.replace('_', '-')}", str(value)]
    with contextlib.redirect_stdout(printed):
        main(["--data", str(output / "letters.txt"), "--output", str(output), *options])
    (folder,) = (output / "char_transformer").iterdir()
    return printed.getvalue(), folder


class TestText:
    def test_sonnets(self, sonnets):
        assert sonnets.decoded(sonnets.train).startswith("From fairest creatures")
        assert sonnets.decoded(sonnets.validation).endswith("no more dying then.\n")
        assert len(sonnets.train) == int(0.9 * (len(sonnets.train) + len(sonnets.validation)))
        assert sonnets.decoded(np.array([-1, len(sonnets.characters)])) == "��"

    def test_windows(self):
        ids = np.arange(10, dtype=np.uint8)
        np.testing.assert_array_equal(text.windows(ids, 4, step=3), [[0, 1, 2, 3], [3, 4, 5, 6],
                                                                     [6, 7, 8, 9]])  # fmt: skip
        assert text.windows(ids, 4).shape == (7, 4)

    def test_a_large_vocabulary(self, tmp_path):
        (tmp_path / "a.txt").write_text("".join(map(chr, range(300, 700))), encoding="utf-8")
        found = text.load(tmp_path / "a.txt")
        assert found.train.max() == 359
        assert found.decoded(found.train[:2]) == "ĬĭĮ"[:2]


class TestRun:
    def test_learns(self, results, sonnets):
        assert results.train["loss"].shape == (30,)
        np.testing.assert_allclose(results.train["loss"][0], math.log(60), rtol=0.01)
        assert results.final["loss"] < results.train["loss"][0] - 0.3
        assert results.validation["loss"].shape == (3,)

    def test_says_how_it_goes(self, results, told):
        assert [progress.step for progress in told] == [10, 20, 30]
        np.testing.assert_allclose(told[-1].validation["loss"], results.validation["loss"][-1])

    @pytest.mark.slow
    def test_in_one_loop_it_is_the_same_run(self, results, sonnets):
        seeded = jax.jit(lambda seed: run(dataclasses.replace(SHORT, seed=seed), text=sonnets))
        silent = seeded(0)
        np.testing.assert_allclose(silent.train["loss"], results.train["loss"], rtol=1e-3)
        np.testing.assert_allclose(silent.final["loss"], results.final["loss"], rtol=1e-3)
        assert abs(seeded(1).final["loss"] - silent.final["loss"]) > 1e-3

    def test_judged_at_the_end(self, results):
        """The mean over windows at random is that over all of the text, but for chance."""
        drawn, final = results.final["losses_of_drawn_windows"], results.final
        assert drawn.shape == (240,)
        error = drawn.std() / math.sqrt(240)
        assert abs(drawn.mean() - final["loss"]) < 4 * error
        np.testing.assert_allclose(final["loss_by_place"].mean(), final["loss"], rtol=1e-5)

    def test_validation_reads_each_character_once(self, sonnets):
        """The windows lie side by side, each from the last character of the one before on."""
        rows = text.windows(sonnets.validation, 9, step=8)
        np.testing.assert_array_equal(
            rows[:, 1:].ravel(), sonnets.validation[1 : rows.size - len(rows) + 1]
        )

    def test_only_matrices_decay(self, sonnets):
        params = char_transformer.initial(jax.random.key(0), SHORT, sonnets)
        mask = char_transformer.matrices(params)
        assert mask.token_embedding.embedding
        assert mask.layers.mlp[0].kernel
        assert not mask.layers.ln_1.scale

    def test_attention_weights(self, results, sonnets):
        """Each row sums to 1, over its own character and those before."""
        ids = jnp.asarray(sonnets.validation[:6], jnp.int32)
        given = partial(char_transformer.attention_weights, **char_transformer.options(SHORT))
        weights = jax.jit(given)(results.params, ids)
        assert weights.shape == (2, 2, 6, 6)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
        assert (jnp.triu(weights, 1) == 0).all()

    def test_sample(self, results, sonnets):
        write = jax.jit(partial(char_transformer.sampled, SHORT))
        ids = write(results.params, jnp.arange(4), jax.random.key(0))
        assert ids.shape == (20,)
        assert ((ids >= 0) & (ids < len(sonnets.characters))).all()


@pytest.mark.slow
class TestPeers:
    @pytest.mark.last_digits
    def test_pytorch_makes_the_same_steps(self, sonnets):
        pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        config = dataclasses.replace(SHORT, rounds=1, clock="cpu")
        comparison, differences = char_transformer.compare_peers(config, sonnets)
        assert len(comparison.samples) == 3
        assert max(differences.values()) < 1e-5

    def test_absent(self, sonnets, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "torch", None)
        config = dataclasses.replace(SHORT, rounds=1)
        comparison, _ = char_transformer.compare_peers(config, sonnets)
        assert not any("PyTorch" in name for name in comparison.samples)

    @pytest.mark.usefixtures("x64")
    def test_the_network_in_pytorch_is_the_same(self, sonnets):
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        from experiments.char_transformer_peers import torch_decoder
        from fnmath.networks import transformer_decoder, transformer_decoder_init

        for tied in (True, False):
            params = random_params(
                lambda key, tied=tied: transformer_decoder_init(
                    key,
                    11,
                    8,
                    length=6,
                    depth=2,
                    heads=2,
                    tied=tied,
                    use_bias=tied,
                    dtype=jnp.float64,
                )
            )
            ids = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
            theirs = torch_decoder(params, heads=2)(torch.tensor(ids)).detach().numpy()
            ours = transformer_decoder(params, jnp.asarray(ids), heads=2)
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


class TestCommand:
    def test_prints_what_it_found(self, printed_and_saved):
        printed, _ = printed_and_saved
        assert "letters: 28 characters; 792 to learn from, 88 to judge by" in printed
        assert "validation loss" in printed
        assert "knowing nothing" in printed

    def test_saves_what_it_found(self, printed_and_saved):
        _, folder = printed_and_saved
        config = json.loads((folder / "config.json").read_text())
        metrics = json.loads((folder / "metrics.json").read_text())
        assert config["steps"] == 30
        assert config["text"] == {"name": "letters", "characters": 28, "train": 792,
                                  "validation": 88}  # fmt: skip
        assert len(metrics["history"]["train"]["loss"]) == 30
        assert len(metrics["loss_by_place"]) == 8
        assert len(metrics["sample"]) == 20
        assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")


WRONG = [
    ("--depth 0", "depth is 0; wanted at least 1"),
    ("--context 1", "context is 1; wanted at least 2"),
    ("--heads 3", "heads is 3; wanted a divisor of 128 features"),
    ("--steps 205", "steps is 205; wanted a multiple of the 10 evaluations"),
    ("--warmup 250", "warmup is 250; wanted fewer than the steps"),
    ("--learning-rate nan", "learning_rate is nan"),
    ("--weight-decay -1", "weight_decay is -1.0; wanted 0 or more"),
    ("--temperature inf", "temperature is inf"),
    ("--seed -1", "seed is -1"),
    ("--context 1539", "--context is 1539; wanted fewer than 1,539, the characters to judge by"),
    ("--data /nowhere/at/all", "/nowhere/at/all: cannot be read (No such file or directory)"),
]


class TestErrors:
    @pytest.mark.parametrize(("options", "message"), WRONG, ids=[row[0] for row in WRONG])
    def test_exit_code_2_and_one_message(self, options, message, capsys):
        with pytest.raises(SystemExit) as raised:
            main(options.split())
        assert raised.value.code == 2
        assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())

    def test_texts_that_are_none(self, tmp_path):
        (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
        (tmp_path / "one").write_text("aaaa")
        with pytest.raises(data.DataError, match="not a text in UTF-8"):
            text.load(tmp_path / "bytes")
        with pytest.raises(data.DataError, match="4 characters, 1 of them different"):
            text.load(tmp_path / "one")

    def test_a_run_that_diverges(self, capsys):
        from experiments import command

        def chunk(state, indices):
            loss = jnp.where(indices == 3, jnp.nan, 1.0)
            return state._replace(step=state.step + 2), ({"loss": loss[:, 0]}, {})

        state, told = TrainState((), (), jnp.array(0), jnp.zeros(2, jnp.uint32)), []
        batches = jnp.arange(6).reshape(3, 2, 1)
        with pytest.raises(SystemExit) as raised, command.plain_errors("x"):
            char_transformer.in_chunks(chunk, state, batches, callback=told.append)
        assert raised.value.code == 1
        assert [progress.step for progress in told] == [2]
        assert capsys.readouterr().err.startswith("x: the loss of step 3 is nan")
