"""What does a family of distributions cost that is right, beside jax.scipy.stats's?

Run      python -m experiments.benchmarks.distributions
Cost     not yet measured
Expect   not yet measured

A hundred thousand float32 points from the quantiles of the family, so that the tails are among them
as they are among samples. Value is the compiled function, with gradient its compiled vjp by x, by
the last parameter where x is a count. Answers are compared before times, to 1 % and 10⁻³: a
dagger marks where they differ. All take turns in one process.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.stats as jax_stats
import numpy as np

from experiments import command
from experiments.benchmarks.train_step import machine
from experiments.distributions import Entry, entries
from fnmath.benchmark import Comparison, compare, interleave

NAME = "benchmarks.distributions"
POINTS = 100_000
OURS, JAX = "fnmath", "JAX"
FUNCTIONS = {
    "normal": ("logpdf", "cdf", "logcdf", "ppf"),
    "laplace": ("logpdf", "cdf"),
    "logistic": ("logpdf", "cdf", "ppf"),
    "cauchy": ("logpdf", "cdf", "ppf"),
    "gumbel": ("logpdf", "logcdf", "ppf"),
    "student_t": ("logpdf",),
    "von_mises": ("logpdf",),
    "exponential": ("logpdf", "cdf"),
    "gamma": ("logpdf", "cdf", "logsf"),
    "chi_squared": ("logpdf", "cdf"),
    "pareto": ("logpdf", "cdf"),
    "uniform": ("logpdf",),
    "truncated_normal": ("logpdf", "logcdf"),
    "beta": ("logpdf", "cdf"),
    "binomial": ("logpmf",),
    "beta_binomial": ("logpmf",),
    "geometric": ("logpmf",),
    "negative_binomial": ("logpmf",),
    "poisson": ("logpmf", "cdf"),
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    rounds: int = 10
    """How often each contestant is timed."""
    points: int = POINTS
    """At how many points each function is evaluated."""
    only: tuple[str, ...] = ()
    """Names of the families to time; all of them if none is given."""
    output: Path = Path("runs")
    """Where the results go."""


class Contest(NamedTuple):
    """One function of a family in both libraries, at x and with the parameters of each."""

    functions: Mapping[str, Callable[..., Any]]
    x: jax.Array
    parameters: Mapping[str, tuple[jax.Array, ...]]
    by_x: bool
    """Whether x is differentiated: a count is not."""


def contests(config: Config) -> dict[str, Contest]:
    """All functions that both have, of the families asked for."""
    found = {}
    for name, entry in entries().items():
        if name not in FUNCTIONS or (config.only and name not in config.only):
            continue
        for function in FUNCTIONS[name]:
            found[f"{name}.{function}"] = contest(entry, function, config.points)
    return found


def contest(entry: Entry, function: str, points: int) -> Contest:
    """Quantiles of equally many probabilities, or for a quantile function these themselves."""
    q = (np.arange(points) + 0.5) / points
    x = q if function == "ppf" else entry.law.ppf(q)
    functions = {
        JAX: getattr(getattr(jax_stats, entry.scipy), function),
        OURS: getattr(entry.family, function),
    }
    of = {JAX: entry.theirs, OURS: entry.parameters}
    parameters = {k: tuple(jnp.float32(p) for p in v) for k, v in of.items()}
    return Contest(functions, jnp.float32(x), parameters, not entry.is_discrete)


def value(contest: Contest) -> dict[str, Callable[[], Any]]:
    """The compiled function of each library."""

    def call(library: str) -> Callable[[], Any]:
        f, of = jax.jit(contest.functions[library]), contest.parameters[library]
        return lambda: f(contest.x, *of)

    return {library: call(library) for library in contest.functions}


def value_and_gradient(contest: Contest) -> dict[str, Callable[[], Any]]:
    """Value and gradient by x of each library; by the last parameter where x is a count."""

    def call(library: str) -> Callable[[], Any]:
        g, of = contest.functions[library], contest.parameters[library]

        @jax.jit
        def both(x: jax.Array, *of: jax.Array) -> tuple[jax.Array, jax.Array]:
            if contest.by_x:
                y, backward = jax.vjp(lambda x: g(x, *of), x)
            else:
                spread = jnp.broadcast_to(of[-1], x.shape)
                y, backward = jax.vjp(lambda p: g(x, *of[:-1], p), spread)
            return y, backward(jnp.ones_like(y))[0]

        return lambda: both(contest.x, *of)

    return {library: call(library) for library in contest.functions}


class Times(NamedTuple):
    """Of the calls of both libraries, and whether their answers agree."""

    comparison: Comparison
    agree: bool


def timed(calls: Mapping[str, Callable[[], Any]], rounds: int) -> Times:
    """The times, taken in turns, also where one of the answers is wrong: that is said beside."""
    try:
        return Times(compare(calls, (), rounds=rounds, rtol=1e-2, atol=1e-3, warmup=2), True)
    except ValueError:
        return Times(interleave(calls, rounds=rounds, warmup=2), False)


def run(contest: Contest, rounds: int) -> tuple[Times, Times]:
    """Times of the value, and of value and gradient."""
    return timed(value(contest), rounds), timed(value_and_gradient(contest), rounds)


def markdown(results: Mapping[str, tuple[Times, Times]]) -> str:
    """Median times of JAX, ratios of fnmath's to them with quartiles; † where answers differ."""
    lines = ["| | JAX, ms | fnmath / JAX | JAX with gradient, ms | fnmath / JAX with gradient |"]
    lines += ["|---|--:|--:|--:|--:|"]
    for name, pair in results.items():
        cells = [name]
        for comparison, agree in pair:
            low, middle, high = comparison.ratio(OURS)
            cells += [f"{1e3 * comparison.quartiles(JAX)[1]:.2f}"]
            cells += [f"{middle:.2f} [{low:.2f}, {high:.2f}]{'' if agree else ' †'}"]
        lines += ["| " + " | ".join(cells) + " |"]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    with command.plain_errors(NAME):
        config = command.parse(Config, arguments, doc=__doc__ or "", name=NAME)
        if config.rounds < 1 or config.points < 1:
            raise command.OptionError("--rounds and --points must be at least 1")
        chosen = contests(config)
        if not chosen:
            raise command.OptionError(f"--only: there are {', '.join(FUNCTIONS)}")
        folder = command.make_folder(config.output, NAME.replace(".", "/"))
        results = {name: run(contest, config.rounds) for name, contest in chosen.items()}
        table = markdown(results)
        (folder / "table.md").write_text(table + "\n")
        times = {
            name: {
                passes: found.comparison.to_dict() | {"agree": found.agree}
                for passes, found in zip(("value", "value and gradient"), pair, strict=True)
            }
            for name, pair in results.items()
        }
        described = dataclasses.asdict(config)
        everything = {"config": described, "machine": machine(), "seconds": times}
        command.save_json(folder / "results.json", everything)
        print(f"{table}\n\nSaved to {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
