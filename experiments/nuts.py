"""Does blackjax's NUTS, driven by log-densities of fnmath's, find what quadrature finds?

Rubin's eight schools: what coaching did for the marks of eight schools, with the standard errors
of these effects, the schools being alike to an unknown degree τ. The log-posterior is a sum of
``fnmath.probability``'s log-densities over a tree of parameters, as it stands; blackjax tunes and
runs NUTS on it. Given τ all is normal, so that ``fnmath.expectation.adaptive_integral`` over τ
gives every mean to six digits, and the evidence; ``fnmath.bayes.laplace_approximation`` of the
same log-posterior is what one gets without drawing. Needs blackjax: pip install blackjax.

Run      python -m experiments.nuts
Cost     20 seconds of one CPU core
Expect   the mean of μ 4.397 and of τ 3.623 by 20,000 draws (seed 0), 4.397 and 3.598 exactly
Finding  it does: 11 means within 2.4 standard errors, no divergence, 12.6 gradients a draw;
         Laplace's approximation at the joint mode is far from it, with 45.6 for τ
"""

from __future__ import annotations

import dataclasses
import importlib
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from rich.console import Console

from experiments import command
from experiments.figures import BLUE, GREY, ORANGE
from experiments.style import style
from fnmath.bayes import laplace_approximation, laplace_sample
from fnmath.expectation import adaptive_integral
from fnmath.probability import cauchy, normal

NAME = "nuts"
EFFECTS = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
ERRORS = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
SPREAD, SCALE = 5.0, 5.0  # of the priors: μ ~ N(0, 5²), τ ~ half a Cauchy density of scale 5
SCHOOLS = "ABCDEFGH"
LOW, HIGH = -9.0, 8.0  # of log τ: outside is less than 10⁻⁴ of the posterior's mass


@dataclasses.dataclass(frozen=True)
class Config:
    """How long to run, and where the results go."""

    chains: int = 4
    """Chains at once, from different places."""
    tuning: int = 1000
    """Steps that choose the step size and the scales, and are thrown away."""
    draws: int = 5000
    """Draws of each chain."""
    seed: int = 0
    """Of the chains."""
    output: Path = Path("runs")
    """Where the folder of this run is made."""

    def __post_init__(self) -> None:
        """Refuse what blackjax cannot run."""
        for what, least in (("chains", 2), ("tuning", 20), ("draws", 10)):
            if getattr(self, what) < least:
                came = getattr(self, what)
                raise command.OptionError(f"{what} is {came}; wanted at least {least}")


class Chains(NamedTuple):
    """Draws of what is asked, chain by chain, and how the sampler went."""

    draws: dict[str, Any]
    standard_error: dict[str, Any]
    effective_size: dict[str, Any]
    divergent: Any
    leapfrogs: Any


class Results(NamedTuple):
    """The chains, the means by quadrature, and Laplace's approximation."""

    chains: Chains
    exact: dict[str, Any]
    laplace: dict[str, Any]
    evidence: dict[str, float]


def log_posterior(theta: dict[str, jax.Array]) -> jax.Array:
    """The number log p(μ, log τ, z, y), the effects being μ + τ z: of a tree of parameters."""
    log_tau = theta["log_tau"]
    tau = jnp.exp(log_tau)
    prior = normal.logpdf(theta["mu"], 0.0, SPREAD) + normal.logpdf(theta["z"], 0.0, 1.0).sum()
    # Half of Cauchy's density, and dτ = τ d log τ.
    prior += cauchy.logpdf(tau, 0.0, SCALE) + math.log(2) + log_tau
    y, errors = (jnp.asarray(a, tau.dtype) for a in (EFFECTS, ERRORS))
    return prior + normal.logpdf(y, theta["mu"] + tau * theta["z"], errors).sum()


def start() -> dict[str, jax.Array]:
    return {"mu": jnp.zeros(()), "log_tau": jnp.zeros(()), "z": jnp.zeros(len(EFFECTS))}


def asked(theta: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Of one draw, what is compared."""
    tau = jnp.exp(theta["log_tau"])
    return {
        "mu": theta["mu"],
        "tau": tau,
        "log_tau": theta["log_tau"],
        "effects": theta["mu"] + tau * theta["z"],
    }


def by_quadrature() -> tuple[dict[str, np.ndarray], float]:
    """Means of what is asked, and the log evidence: given τ normal, and one integral over log τ."""
    with jax.enable_x64(True):
        y, s = jnp.asarray(EFFECTS), jnp.asarray(ERRORS)

        def joint(log_tau: jax.Array) -> jax.Array:
            """The density of log τ and y, and times it the means given τ."""
            tau = jnp.exp(log_tau)
            v = jnp.square(s) + jnp.square(tau)
            precision = 1 / SPREAD**2 + jnp.sum(1 / v)
            mu = jnp.sum(y / v) / precision
            # p(y | τ) = p(y | μ, τ) p(μ)/p(μ | y, τ), at the mean of the last.
            log_p = normal.logpdf(y, mu, jnp.sqrt(v)).sum() + normal.logpdf(mu, 0.0, SPREAD)
            log_p -= 0.5 * (jnp.log(precision) - math.log(2 * math.pi))
            log_p += cauchy.logpdf(tau, 0.0, SCALE) + math.log(2) + log_tau
            effects = mu + jnp.square(tau) / v * (y - mu)
            means = jnp.stack([jnp.ones(()), mu, tau, log_tau])
            return jnp.exp(log_p + 30) * jnp.concatenate([means, effects])

        found = jax.jit(lambda: adaptive_integral(joint, LOW, HIGH, tolerance=1e-9).value)()
    total, mu, tau, log_tau, *effects = np.asarray(found)
    of = {"mu": mu, "tau": tau, "log_tau": log_tau, "effects": np.array(effects)}
    return {k: v / total for k, v in of.items()}, float(np.log(total)) - 30


def blackjax_or_error() -> Any:
    try:
        return importlib.import_module("blackjax")
    except ImportError:
        cure = "it draws, fnmath does not: pip install blackjax"
        raise command.OptionError(f"blackjax is not installed; {cure}") from None


def by_nuts(config: Config) -> Chains:
    """Draws of the posterior, all chains in one compiled program."""
    blackjax = blackjax_or_error()

    def chain(key: jax.Array) -> tuple[dict[str, jax.Array], jax.Array, jax.Array]:
        first, tuning, drawing = jax.random.split(key, 3)
        begin = start()
        begin["mu"] = jax.random.normal(first, ())
        warm_up = blackjax.window_adaptation(
            blackjax.nuts, log_posterior, target_acceptance_rate=0.9
        )
        (state, tuned), _ = warm_up.run(tuning, begin, num_steps=config.tuning)
        step = blackjax.nuts(log_posterior, **tuned).step

        def draw(state: Any, key: jax.Array) -> tuple[Any, Any]:
            state, info = step(key, state)
            said = info.is_divergent, info.num_integration_steps
            return state, (asked(state.position), *said)

        return jax.lax.scan(draw, state, jax.random.split(drawing, config.draws))[1]

    keys = jax.random.split(jax.random.key(config.seed), config.chains)
    draws, divergent, leapfrogs = jax.jit(jax.vmap(chain))(keys)
    worth = {k: np.asarray(blackjax.ess(a)) for k, a in draws.items()}
    draws = jax.tree.map(np.asarray, draws)
    error = {k: a.std((0, 1)) / np.sqrt(worth[k]) for k, a in draws.items()}
    return Chains(draws, error, worth, np.asarray(divergent), np.asarray(leapfrogs))


def by_laplace(seed: int, *, samples: int = 20_000) -> tuple[dict[str, np.ndarray], float]:
    """Means of what is asked under a normal distribution at the mode, and its log evidence."""

    @jax.jit
    def draw(key: jax.Array) -> Any:
        found = laplace_approximation(log_posterior, start())
        draws = laplace_sample(key, found, samples=samples)
        return jax.tree.map(lambda a: a.mean(0), jax.vmap(asked)(draws)), found.log_evidence

    means, log_evidence = draw(jax.random.key(seed))
    return jax.tree.map(np.asarray, means), float(log_evidence)


def run(config: Config) -> Results:
    """The three: the same numbers for the same seed."""
    chains = by_nuts(config)
    exact, log_evidence = by_quadrature()
    laplace, approximate = by_laplace(config.seed)
    evidence = {"quadrature": log_evidence, "laplace": approximate}
    return Results(chains, exact, laplace, evidence)


def rows(results: Results) -> list[tuple[str, float, float, float, float, float]]:
    """Of each number asked: exact, by NUTS, its standard error, by Laplace, draws it is worth."""
    made = []
    names = {"mu": "μ", "tau": "τ", "log_tau": "log τ"}
    for key, name in names.items():
        made.append((name, *(float(a) for a in of(results, key))))
    for name, *numbers in zip(SCHOOLS, *of(results, "effects"), strict=True):
        made.append((f"effect {name}", *map(float, numbers)))
    return made


def of(results: Results, key: str) -> list[Any]:
    chains = results.chains
    mean = chains.draws[key].mean((0, 1))
    error, worth = chains.standard_error[key], chains.effective_size[key]
    return [results.exact[key], mean, error, results.laplace[key], worth]


def plot(results: Results, path: Path) -> None:
    """Draws of μ and log τ, the density of log τ, and the effects of the schools."""
    with matplotlib.rc_context(style()):
        layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
        figure = Figure(figsize=(12, 4.6), dpi=120, layout=layout)
        left, middle, right = figure.subplots(1, 3)
        draws = results.chains.draws
        some = slice(None, None, max(1, draws["mu"].size // 3000))
        x, y = draws["mu"].ravel()[some], draws["log_tau"].ravel()[some]
        left.plot(x, y, ".", ms=2, color=BLUE, alpha=0.4, mew=0)
        left.plot(
            results.exact["mu"], results.exact["log_tau"], "o", color=ORANGE, label="exact mean"
        )
        left.set(title="draws", xlabel="μ", ylabel="log τ")
        left.legend(frameon=False)
        draw_density(middle, draws["log_tau"].ravel())
        draw_effects(right, results)
        figure.suptitle(
            "Eight schools: fnmath's log-density, blackjax's NUTS, and quadrature",
            fontsize=13, fontweight="bold", x=0.012, ha="left",
        )  # fmt: skip
        figure.savefig(path)


def density(log_tau: np.ndarray) -> np.ndarray:
    """The posterior density of log τ, by NumPy's own means."""
    v = ERRORS**2 + np.exp(2 * log_tau)[:, None]
    precision = 1 / SPREAD**2 + np.sum(1 / v, 1)
    mu = np.sum(EFFECTS / v, 1) / precision
    fit = -0.5 * np.sum(np.log(v) + (EFFECTS - mu[:, None]) ** 2 / v, 1)
    fit -= 0.5 * (mu**2 / SPREAD**2 + np.log(precision))
    log_p = fit - np.log1p((np.exp(log_tau) / SCALE) ** 2) + log_tau
    p = np.exp(log_p - log_p.max())
    return p / (p.sum() * (log_tau[1] - log_tau[0]))


def draw_density(ax: Any, log_tau: np.ndarray) -> None:
    x = np.linspace(LOW, HIGH, 2000)
    ax.hist(log_tau, bins=60, density=True, color="#bcd7ea", label="NUTS")
    ax.plot(x, density(x), color=ORANGE, lw=1.5, label="exact")
    ax.set(title="how unlike the schools are", xlabel="log τ", xlim=(-5, 5), yticks=[])
    ax.legend(frameon=False)


def draw_effects(ax: Any, results: Results) -> None:
    """Observed effects, and means with the middle nine tenths of the draws."""
    draws = results.chains.draws["effects"].reshape(-1, len(EFFECTS))
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    at = np.arange(len(EFFECTS))
    ax.vlines(at, low, high, color="#bcd7ea", lw=6, label="NUTS, nine tenths")
    ax.plot(at, draws.mean(0), "o", color=BLUE, ms=5, label="NUTS, mean")
    ax.plot(at, results.exact["effects"], "_", color=ORANGE, ms=14, mew=2, label="exact mean")
    ax.plot(at, EFFECTS, "x", color=GREY, ms=5, label="observed")
    ax.set(title="effects", xticks=at, xticklabels=list(SCHOOLS))
    ax.legend(frameon=False, fontsize=7)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line → run → save → plot."""
    with command.plain_errors(NAME):
        config = command.parse(Config, arguments, doc=__doc__ or "", name=NAME)
        version = blackjax_or_error().__version__
        folder = command.make_folder(config.output, NAME)
        versions = command.versions() | {"blackjax": version}
        command.save_json(
            folder / "config.json", dataclasses.asdict(config) | {"versions": versions}
        )
        started = time.perf_counter()
        results = run(config)
        seconds = time.perf_counter() - started
        command.save_json(folder / "metrics.json", measured(results, seconds))
        plot(results, folder / "figure.png")
        console = command.console()
        print_findings(console, results)
        console.print(f"{seconds:.1f} s; saved in {folder}: config.json, metrics.json, figure.png")


def measured(results: Results, seconds: float) -> dict[str, Any]:
    """All numbers of a run but the draws, for metrics.json."""
    columns = ("exact", "nuts", "standard_error", "laplace", "effective_size")
    return {
        "means": {name: dict(zip(columns, row, strict=True)) for name, *row in rows(results)},
        "log_evidence": results.evidence,
        "divergent": int(results.chains.divergent.sum()),
        "leapfrogs": float(results.chains.leapfrogs.mean()),
        "seconds": seconds,
    }


def print_findings(console: Console, results: Results) -> None:
    table = command.table("mean of", "exact", "NUTS", "± error", "errors off", "Laplace", "ESS")
    for name, exact, mean, error, laplace, worth in rows(results):
        off = f"{(mean - exact) / error:+.1f}"
        numbers = (f"{exact:.3f}", f"{mean:.3f}", f"{error:.3f}", off, f"{laplace:.3f}")
        table.add_row(name, *numbers, f"{worth:,.0f}")
    console.print(table)
    chains, evidence = results.chains, results.evidence
    console.print(
        f"{chains.divergent.size:,} draws, {chains.divergent.sum()} divergent, "
        f"{chains.leapfrogs.mean():.1f} gradients each; log evidence "
        f"{evidence['quadrature']:.3f} by quadrature, {evidence['laplace']:.3f} by Laplace"
    )


if __name__ == "__main__":
    sys.exit(main())
