"""What does a family of distributions cost that is right, beside JAX's and TensorFlow's?

Run      python -m experiments.benchmarks.distributions
         pip install tfp-nightly dm-tree cloudpickle decorator gast
Cost     4 minutes of two CPU cores
Expect   JAX takes 0.39 × fnmath's time in the geometric mean, 0.1 to 2 ×, and TFP 0.45 ×

A hundred thousand float32 points are drawn from each family. Value is the compiled function, with
gradient its compiled vjp by x, by the last parameter where x is a count. Answers are compared
before times, to 1 % and 10⁻³: a dagger marks whose differ from fnmath's. All take turns in one
process. TensorFlow Probability's distributions are compared where they are installed and can be
imported.
"""

from __future__ import annotations

import dataclasses
import importlib
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
from fnmath.benchmark import Comparison, interleave

NAME = "benchmarks.distributions"
POINTS = 100_000
OURS, JAX, TFP = "fnmath", "JAX", "TFP"
FUNCTIONS = {
    "normal": ("logpdf", "cdf", "logcdf", "ppf"),
    "laplace": ("logpdf", "cdf"),
    "logistic": ("logpdf", "cdf", "ppf"),
    "cauchy": ("logpdf", "cdf", "ppf"),
    "gumbel": ("logpdf", "logcdf", "ppf"),
    "student_t": ("logpdf", "cdf", "ppf"),
    "von_mises": ("logpdf", "cdf"),
    "exponential": ("logpdf", "cdf"),
    "half_normal": ("logpdf", "cdf"),
    "weibull": ("logpdf", "cdf"),
    "log_normal": ("logpdf", "cdf"),
    "gamma": ("logpdf", "cdf", "logsf", "ppf"),
    "inverse_gamma": ("logpdf", "cdf"),
    "chi_squared": ("logpdf", "cdf"),
    "pareto": ("logpdf", "cdf"),
    "uniform": ("logpdf",),
    "truncated_normal": ("logpdf", "logcdf"),
    "beta": ("logpdf", "cdf", "ppf"),
    "binomial": ("logpmf", "cdf"),
    "beta_binomial": ("logpmf",),
    "geometric": ("logpmf",),
    "negative_binomial": ("logpmf", "cdf"),
    "poisson": ("logpmf", "cdf"),
}
METHODS = {
    "logpdf": "log_prob",
    "logpmf": "log_prob",
    "cdf": "cdf",
    "logcdf": "log_cdf",
    "logsf": "log_survival_function",
    "ppf": "quantile",
}
# Called with a shape and a scale, as people do: a location of 0 that is an array is computed with.
WITHOUT_LOCATION = ("gamma", "inverse_gamma")
# By the parameters of fnmath's: TFP's distribution, and where it is moved to.
MAKERS: dict[str, Callable[..., tuple[Any, Any]]] = {
    "normal": lambda d, loc, scale: (d.Normal(loc, scale), 0),
    "laplace": lambda d, loc, scale: (d.Laplace(loc, scale), 0),
    "logistic": lambda d, loc, scale: (d.Logistic(loc, scale), 0),
    "cauchy": lambda d, loc, scale: (d.Cauchy(loc, scale), 0),
    "gumbel": lambda d, loc, scale: (d.Gumbel(loc, scale), 0),
    "student_t": lambda d, df, loc, scale: (d.StudentT(df, loc, scale), 0),
    "von_mises": lambda d, kappa: (d.VonMises(jnp.zeros_like(kappa), kappa), 0),
    "exponential": lambda d, loc, scale: (d.Exponential(1 / scale), loc),
    "half_normal": lambda d, loc, scale: (d.HalfNormal(scale), loc),
    "weibull": lambda d, c, loc, scale: (d.Weibull(c, scale), loc),
    "log_normal": lambda d, mu, sigma: (d.LogNormal(mu, sigma), 0),
    "gamma": lambda d, a, scale: (d.Gamma(a, 1 / scale), 0),
    "inverse_gamma": lambda d, a, scale: (d.InverseGamma(a, scale), 0),
    "chi_squared": lambda d, df: (d.Chi2(df), 0),
    "pareto": lambda d, b, loc, scale: (d.Pareto(b, scale), loc),
    "uniform": lambda d, loc, scale: (d.Uniform(loc, loc + scale), 0),
    "truncated_normal": lambda d, a, b, loc, scale: (
        d.TruncatedNormal(loc, scale, loc + a * scale, loc + b * scale),
        0,
    ),
    "beta": lambda d, a, b: (d.Beta(a, b), 0),
    "binomial": lambda d, n, p: (d.Binomial(n, probs=p), 0),
    "beta_binomial": lambda d, n, a, b: (d.BetaBinomial(n, a, b), 0),
    "geometric": lambda d, p: (d.Geometric(probs=p), 1),  # TFP counts the failures
    "negative_binomial": lambda d, n, p: (d.NegativeBinomial(n, probs=1 - p), 0),
    "poisson": lambda d, rate: (d.Poisson(rate), 0),
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
    """One function of a family in each library that has it, at x and with its parameters."""

    functions: Mapping[str, Callable[..., Any]]
    x: jax.Array
    parameters: Mapping[str, tuple[jax.Array, ...]]
    by_x: bool
    """Whether x is differentiated: a count is not."""


def tfp_distributions() -> Any | None:
    """TFP's distributions on JAX; None where they are not, or this JAX is too new for them."""
    try:
        return importlib.import_module("tensorflow_probability.substrates.jax.distributions")
    except (ImportError, AttributeError):
        return None


def of_tfp(distributions: Any, family: str, function: str) -> Callable[..., Any]:
    """The function of a family, with fnmath's arguments."""

    def evaluated(x: jax.Array, *of: jax.Array) -> Any:
        distribution, start = MAKERS[family](distributions, *of)
        return getattr(distribution, METHODS[function])(x - start)

    return evaluated


def contests(config: Config) -> dict[str, Contest]:
    """The functions that others have too, of the families asked for."""
    peer = tfp_distributions()
    found = {
        f"{family}.{function}": contest(entry, family, function, config.points, peer)
        for family, entry in entries().items()
        if family in FUNCTIONS and family in (config.only or FUNCTIONS)
        for function in FUNCTIONS[family]
    }
    return {name: contest for name, contest in found.items() if len(contest.functions) > 1}


def contest(entry: Entry, family: str, function: str, points: int, peer: Any | None) -> Contest:
    """Draws of SciPy's law, or for a quantile function equally spaced probabilities."""
    if function == "ppf":
        x = (np.arange(points) + 0.5) / points
    else:
        x = entry.law.rvs(size=points, random_state=0)
    ours, parameters = getattr(entry.family, function), entry.parameters
    functions = {OURS: ours}
    if family in WITHOUT_LOCATION:
        functions = {OURS: lambda x, a, scale: ours(x, a, scale=scale)}
        parameters = (parameters[0], parameters[-1])
    of = {OURS: parameters, JAX: entry.theirs, TFP: parameters}
    if jaxs := getattr(getattr(jax_stats, entry.scipy, None), function, None):
        functions[JAX] = jaxs
    if peer is not None:
        functions[TFP] = of_tfp(peer, family, function)
    arrays = {k: tuple(jnp.float32(p) for p in of[k]) for k in functions}
    return Contest(functions, jnp.float32(x), arrays, not entry.is_discrete)


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
    """Of the calls of the libraries, and whose answers agree with fnmath's."""

    comparison: Comparison
    agree: dict[str, bool]


def alike(ours: Any, theirs: Any) -> bool:
    """Whether all entries are, to 1 % and 10⁻³."""
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    return all(np.allclose(a, b, rtol=1e-2, atol=1e-3, equal_nan=True) for a, b in pairs)


def timed(calls: Mapping[str, Callable[[], Any]], rounds: int) -> Times:
    """The times, taken in turns, of those who have an answer: of some peers' functions none is."""
    answers = {OURS: calls[OURS]()}
    for library in calls.keys() - {OURS}:
        try:
            answers[library] = calls[library]()
        except (NotImplementedError, TypeError) as error:
            print(f"{library} has no answer: {str(error).splitlines()[0]}", file=sys.stderr)
    agree = {library: alike(answers[OURS], answer) for library, answer in answers.items()}
    chosen = {library: call for library, call in calls.items() if library in answers}
    return Times(interleave(chosen, rounds=rounds, warmup=2), agree)


def run(contest: Contest, rounds: int) -> tuple[Times, Times]:
    """Times of the value, and of value and gradient."""
    return timed(value(contest), rounds), timed(value_and_gradient(contest), rounds)


def over_ours(found: Times, library: str) -> str:
    """The library's time over fnmath's with quartiles; † where answers differ, — without any."""
    if library not in found.agree:
        return "—"
    low, middle, high = found.comparison.ratio(library)
    dagger = "" if found.agree[library] else " †"
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]{dagger}"


def mean_ratio(results: Mapping[str, tuple[Times, Times]], library: str, which: int) -> str:
    """The geometric mean of a library's times over fnmath's, where answers agree."""
    both = [pair[which] for pair in results.values()]
    ratios = [t.comparison.ratio(library)[1] for t in both if t.agree.get(library)]
    return f"{np.exp(np.mean(np.log(ratios))):.2f} (of {len(ratios)})" if ratios else "—"


def markdown(results: Mapping[str, tuple[Times, Times]]) -> str:
    """Median times of fnmath, and those of others over them; their geometric means below."""
    titles = ["fnmath, ms", "JAX", "TFP"]
    lines = [f"| | {' | '.join(titles)} | with gradient: {' | '.join(titles)} |"]
    lines += ["|---|" + "--:|" * 6]
    for name, pair in results.items():
        cells = [name]
        for found in pair:
            cells += [f"{1e3 * found.comparison.quartiles(OURS)[1]:.2f}"]
            cells += [over_ours(found, library) for library in (JAX, TFP)]
        lines += ["| " + " | ".join(cells) + " |"]
    means = [("", *(mean_ratio(results, library, i) for library in (JAX, TFP))) for i in (0, 1)]
    return "\n".join([*lines, "| geometric mean | " + " | ".join(sum(means, ())) + " |"])


def main(arguments: Sequence[str] | None = None) -> None:
    with command.plain_errors(NAME):
        config = command.parse(Config, arguments, doc=__doc__ or "", name=NAME)
        if config.rounds < 1 or config.points < 1:
            raise command.OptionError("--rounds and --points must be at least 1")
        chosen = contests(config)
        if not chosen:
            raise command.OptionError(f"--only: there are {', '.join(FUNCTIONS)}")
        folder = command.make_folder(config.output, NAME.replace(".", "/"))
        results = {}
        for name, contest in chosen.items():
            print(f"{name} ({len(results) + 1} of {len(chosen)})", file=sys.stderr)
            results[name] = run(contest, config.rounds)
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
