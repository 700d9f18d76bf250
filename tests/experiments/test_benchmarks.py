"""experiments.benchmarks: what they compare is one computation, and what they save can be read."""

import json

import jax
import numpy as np
import pytest

from experiments.benchmarks import convolution_costs, intermediates, networks
from fnmath.layers.convolution import _choice, _costs

NETWORKS = networks.networks()


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_learn_alike(torch, name):
    """Three steps: the gradients of all parameters decide the second loss and the third."""
    network = NETWORKS[name]()
    small = network._replace(x=network.x[:1])
    found = networks.contestants(small, 3)
    losses = {name: f() for name, f in found.items()}
    assert list(losses) == ["fnmath", "fnmath, in a loop", "XLA's", "XLA's, in a loop", "PyTorch"]
    ours = np.array(losses["fnmath"])
    assert np.all(np.diff(ours) < -10 * networks.TOLERANCE * ours[:-1])
    for name, those in losses.items():
        np.testing.assert_allclose(those, ours, rtol=networks.TOLERANCE, err_msg=name)


def test_convolutions_by_xla():
    """In here, and not after: its gradients have other dimension numbers than fnmath's."""
    network = NETWORKS["LeNet, 64 images of 28×28"]()

    def lowered():
        step = jax.jit(lambda p: networks.descent(network, 0.0, p))
        return step.lower(network.params).as_text()

    before = lowered()
    with networks.convolutions_by_xla():
        inside = lowered()
    assert inside.count("stablehlo.convolution") == 5  # the image has no gradient
    assert before != inside
    assert before == lowered()


@pytest.mark.slow
def test_networks_from_the_command_line(tmp_path, capsys):
    given = ["--only", "LeNet", "--rounds", "1", "--steps", "2", "--output", str(tmp_path)]
    networks.main(given)
    assert "| LeNet, 64 images of 28×28 |" in capsys.readouterr().out
    (path,) = tmp_path.rglob("results.json")
    saved = json.loads(path.read_text())
    assert saved["config"]["steps"] == 2
    assert "fnmath, in a loop" in saved["seconds"]["LeNet, 64 images of 28×28"]["samples"]
    assert (path.parent / "table.md").read_text().startswith("| ms a step |")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--rounds", "0"], "--rounds must be at least 1"),
        (["--steps", "0"], "--steps must be at least 1"),
        (["--only", "AlexNet"], "--only: no name of LeNet"),
    ],
)
def test_mistakes(given, message, capsys, tmp_path):
    with pytest.raises(SystemExit):
        networks.main([*given, "--output", str(tmp_path)])
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_intermediates_from_the_command_line(tmp_path, capsys):
    """It compares value and gradients, and the programs with marks and without, before it times."""
    intermediates.main(["--only", "in a scan", "--rounds", "1", "--output", str(tmp_path)])
    assert "| 4 blocks in a scan, 8 × 128 × 256 |" in capsys.readouterr().out
    (path,) = tmp_path.rglob("results.json")
    saved = json.loads(path.read_text())["seconds"]["4 blocks in a scan, 8 × 128 × 256"]
    names = [intermediates.PLAIN, intermediates.WHOLE, intermediates.NORMS]
    assert list(saved["samples"]) == names


def test_intermediates_tells_programs_apart():
    task = intermediates.tasks(0)["MLP 784-512-512-10, 256 examples"]
    small = task._replace(x=task.x[:2])
    assert intermediates.is_free(small)

    def twice(mark, params, x):
        return task.f(mark, params, x) * (2 if mark is intermediates.name else 1)

    assert not intermediates.is_free(small._replace(f=twice))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--rounds", "0"], "--rounds must be at least 1"),
        (["--only", "LSTM"], "--only: no name of"),
    ],
)
def test_mistakes_of_intermediates(given, message, capsys, tmp_path):
    with pytest.raises(SystemExit):
        intermediates.main([*given, "--output", str(tmp_path)])
    assert message in capsys.readouterr().err


def test_convolution_costs(tmp_path, capsys, monkeypatch):
    """Times that are what the costs expect are fitted; those that a run has saved, in the next."""

    def expected(shape, role, rounds):
        assert rounds == 1
        seconds = {}
        for name in convolution_costs.allowed(role, shape):
            work = _choice.work(name, role, *shape)
            costs = _costs.COSTS[role][name]
            seconds[name] = 1e-9 * sum(c * n for c, n in zip(costs, work, strict=False))
        return convolution_costs.Sample(role, shape, seconds)

    fitted = []

    def fit(samples):
        fitted.append(samples)
        return original(samples)

    original = convolution_costs.fit
    monkeypatch.setattr(convolution_costs, "measure", expected)
    monkeypatch.setattr(convolution_costs, "fit", fit)
    convolution_costs.main(["--number", "10", "--rounds", "1", "--output", str(tmp_path / "a")])
    printed = capsys.readouterr().out
    (path,) = (tmp_path / "a").rglob("results.json")
    saved = convolution_costs.read(path)
    costs = json.loads(path.read_text())["costs"]
    for role in convolution_costs.ROLES:
        assert f"fitted, {role}: chosen / fastest [1. " in printed
        those = [s for s in fitted[0] if s.role == role]
        # XLA's own are preferred to what is expected to be faster by less than that.
        assert convolution_costs.regret(those, costs).max() < 1.02 / _choice.CAUTION[role]
    networks = [s for s in saved if s.shape in convolution_costs.of_networks()]
    assert len(fitted[0]) == len(saved) - 6 + len(networks)  # two of ten, of three roles, left out
    assert all(s in fitted[0] for s in networks)
    given = ["--number", "10", "--rounds", "1", "--seed", "1", "--also", str(path)]
    convolution_costs.main([*given, "--output", str(tmp_path / "b")])
    assert len(fitted[1]) == len(fitted[0]) + len(saved) + len(networks)
    assert all(s in fitted[1] for s in saved)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--number", "9"], "--number must be at least 10"),
        (["--also", "there.json"], "--also: no samples in there.json"),
    ],
)
def test_mistakes_of_convolution_costs(given, message, capsys, tmp_path):
    with pytest.raises(SystemExit):
        convolution_costs.main([*given, "--output", str(tmp_path)])
    assert message in capsys.readouterr().err
