"""experiments.nuts: the log-posterior, the means by quadrature, and draws where blackjax is."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from experiments import nuts
from experiments.command import OptionError
from experiments.nuts import EFFECTS, ERRORS, HIGH, LOW, Config, main

QUICK = {"chains": 2, "tuning": 200, "draws": 500}


def test_the_log_posterior_is_scipys():
    random = np.random.default_rng(0)
    mu, log_tau, z = random.normal(), random.normal(), random.standard_normal(8)
    tau = np.exp(log_tau)
    expected = scipy.stats.norm(0, 5).logpdf(mu) + scipy.stats.norm.logpdf(z).sum()
    expected += scipy.stats.halfcauchy(scale=5).logpdf(tau) + log_tau
    expected += scipy.stats.norm(mu + tau * z, ERRORS).logpdf(EFFECTS).sum()
    theta = {"mu": mu, "log_tau": log_tau, "z": z}
    ours = jax.jit(nuts.log_posterior)(jax.tree.map(jnp.float32, theta))
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_quadrature_is_a_sum_over_a_grid():
    """By NumPy: the effects and μ of each τ jointly normal with what was observed."""
    means, log_evidence = nuts.by_quadrature()
    x = np.linspace(LOW, HIGH, 4001)
    p = nuts.density(x) * (x[1] - x[0])
    np.testing.assert_allclose(means["tau"], p @ np.exp(x), rtol=1e-6)
    np.testing.assert_allclose(means["log_tau"], p @ x, rtol=1e-6)
    few = x[::40]
    joint, mu, effects = [], [], []
    for tau in np.exp(few):
        C = 25 + np.diag(ERRORS**2 + tau**2)
        joint.append(scipy.stats.multivariate_normal(np.zeros(8), C).pdf(EFFECTS))
        mu.append(25 * np.linalg.solve(C, EFFECTS).sum())
        effects.append((25 + tau**2 * np.eye(8)) @ np.linalg.solve(C, EFFECTS))
    weight = joint * scipy.stats.halfcauchy(scale=5).pdf(np.exp(few)) * np.exp(few)
    step = few[1] - few[0]
    np.testing.assert_allclose(log_evidence, np.log(weight.sum() * step), rtol=1e-5)
    share = weight / weight.sum()
    np.testing.assert_allclose(means["mu"], share @ mu, rtol=1e-4)
    np.testing.assert_allclose(means["effects"], share @ np.array(effects), rtol=1e-4)


def test_draws_agree_with_quadrature():
    pytest.importorskip("blackjax", reason="blackjax draws; it is no dependency")
    results = nuts.run(Config(**QUICK))
    for name, exact, mean, error, _, worth in nuts.rows(results):
        assert abs(mean - exact) < 4.5 * error, name
        assert worth > 100
    assert results.chains.divergent.mean() < 0.02


def test_main_saves_and_says(tmp_path, capsys):
    pytest.importorskip("blackjax", reason="blackjax draws; it is no dependency")
    main(["--output", str(tmp_path), *(f"--{k}={v}" for k, v in QUICK.items())])
    assert "1,000 draws" in capsys.readouterr().out
    (folder,) = (tmp_path / "nuts").iterdir()
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics["means"]) >= {"μ", "τ", "effect A"}
    assert (folder / "figure.png").stat().st_size > 10_000


def test_without_blackjax_one_line_says_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "blackjax", None)
    with pytest.raises(SystemExit) as raised:
        main(["--output", str(tmp_path)])
    assert raised.value.code == 2
    assert "pip install blackjax" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    with pytest.raises(OptionError, match="draws is 1; wanted at least 10"):
        Config(draws=1)
