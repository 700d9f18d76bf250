"""Means over the components of a mixture, of their functions and of their logarithms.

Notation: k counts the components, on the first axis of every array; wₖ is a weight, aₖ = log wₖ up
to a constant, θₖ the parameters of a component, Lₖ the logarithm of its density or of one of its
tails; Tₖ = aₖ + Lₖ, and the leader is the component whose T is largest.

    log Σₖ exp(Tₖ) = T + log1p(Σₖ exp(Tₖ − T))        over all but the leader

A component that adds nothing, of weight 0 or with no density at x, is not differentiated: its slope
may be infinite. Where all are of that kind the leader alone speaks.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from fnmath import _checks
from fnmath.numerics._sharing import apart
from fnmath.numerics._shifted import shifted_logsumexp
from fnmath.probability._composition import gated, member

Arrays = tuple[jax.Array, ...]
MOST = 200  # steps to a quantile, more than halving floating-point numbers takes


class Components(NamedTuple):
    """Groups of components of one family each, with their number and that of their parameters."""

    families: tuple[Any, ...]
    sizes: tuple[int, ...]


class Arguments(NamedTuple):
    """What a mixture is evaluated at, with its components, all of one shape but for their axis."""

    of: Components
    x: jax.Array  # *shape
    log_weights: jax.Array  # components *shape
    parameters: tuple[Arrays, ...]  # for each group, components *shape


def _weights_known(function: str, log_weights: Any) -> None:
    _checks.real(function, log_weights=log_weights)
    if jnp.ndim(log_weights) == 0 or jnp.shape(log_weights)[0] == 0:
        came = f"log_weights has shape {jnp.shape(log_weights)}"
        _checks.fail(function, f"{came}; wanted at least one component, on the first axis")


def _are_several(family: Any) -> bool:
    """Whether it is a tuple of families, not one that is made as a tuple of functions."""
    return isinstance(family, tuple) and not hasattr(family, "_fields")


def _grouped(function: str, log_weights: Any, family: Any, parameters: Any) -> tuple:
    """The components, their parameters in groups, and how many components each group has."""
    _weights_known(function, log_weights)
    _checks.instance(function, "parameters", parameters, tuple)
    count = jnp.shape(log_weights)[0]
    if not _are_several(family):
        return Components((family,), (count,)), (parameters,)
    if not len(family) == len(parameters) == count:
        came = f"{len(family)} families and {len(parameters)} parameters"
        _checks.fail(function, f"{came} for {count} log_weights; wanted as many of each")
    for i, group in enumerate(parameters):
        _checks.instance(function, f"parameters[{i}]", group, tuple)
    return Components(family, (1,) * count), parameters


def _on_first_axis(function: str, name: str, p: Any, size: int, is_one: bool) -> Any:
    """A parameter with its components on the first axis, which one for all lacks."""
    _checks.real(function, **{name: p})
    if is_one or jnp.ndim(p) == 0:
        return jnp.broadcast_to(jnp.asarray(p), (size, *jnp.shape(p)))
    if jnp.shape(p)[0] != size:
        came = f"{name} has shape {jnp.shape(p)}"
        _checks.fail(function, f"{came}; wanted {size} components, as log_weights has, on axis 0")
    return jnp.asarray(p)


def arguments(
    function: str, log_weights: Any, family: Any, parameters: Any, **at: Any
) -> tuple[Arguments, Any]:
    """All arrays in one shape and in single precision at least, and the dtype of the result."""
    _checks.real(function, **at)
    of, groups = _grouped(function, log_weights, family, parameters)
    several = _are_several(family)
    aligned = [
        tuple(
            _on_first_axis(function, f"parameters[{f'{g}][' * several}{i}]", p, size, several)
            for i, p in enumerate(group)
        )
        for g, (group, size) in enumerate(zip(groups, of.sizes, strict=True))
    ]
    (x,) = at.values() or (0.0,)
    weights = jnp.asarray(log_weights)
    rests = {"log_weights": weights[0]} | {
        f"parameters[{g}][{i}]": p[0]
        for g, group in enumerate(aligned)
        for i, p in enumerate(group)
    }
    _checks.broadcastable(function, **at, **rests)
    dtype = jnp.result_type(x, log_weights, *(p for group in groups for p in group), 1.0)
    shape = jnp.broadcast_shapes(*(jnp.shape(r) for r in (x, *rests.values())))
    wide = functools.partial(jnp.asarray, dtype=jnp.promote_types(dtype, jnp.float32))

    def spread(p: jax.Array) -> jax.Array:
        ones = (1,) * (1 + len(shape) - p.ndim)
        return jnp.broadcast_to(
            wide(p).reshape(p.shape[0], *ones, *p.shape[1:]), (p.shape[0], *shape)
        )

    theta = tuple(tuple(map(spread, group)) for group in aligned)
    return Arguments(of, jnp.broadcast_to(wide(x), shape), spread(weights), theta), dtype


def _each(function: str, name: str, of: Components, counts: jax.Array, x: Any, parameters: Any):
    """The function of that name of each component that counts, 0 for the others."""
    found, start = [], 0
    for family, size, theta in zip(of.families, of.sizes, parameters, strict=True):
        f, here = member(function, family, name), counts[start : start + size]
        args = theta if x is None else (jnp.broadcast_to(x, here.shape), *theta)
        found.append(gated(f, len(args))(here, *args))
        start += size
    return jnp.concatenate(found)


def normalised(log_weights: jax.Array) -> jax.Array:
    """The logarithms of weights that add up to 1."""
    return log_weights - shifted_logsumexp(log_weights, (0,))


def _stopped(*tree: Any) -> Any:
    return jax.tree.map(jax.lax.stop_gradient, tree)


def mean_of(function: str, name: str, a: Arguments, *, of_x: bool = True) -> jax.Array:
    """Σ wₖ Fₖ, of the components of some weight; nan where any is."""
    w, x = jnp.exp(normalised(a.log_weights)), a.x if of_x else None
    here, theta = _stopped(x, a.parameters)
    values = _each(function, name, a.of, jnp.ones_like(w, bool), here, theta)
    counts = (w > 0) | jnp.isnan(values)
    return jnp.sum(w * _each(function, name, a.of, counts, x, a.parameters), 0)


def between(function: str, a: Arguments) -> jax.Array:
    """Σ wₖ (μₖ − μ)², the variance of the means."""
    w = jnp.exp(normalised(a.log_weights))
    means = _each(function, "mean", a.of, w > 0, None, a.parameters)
    centred = jnp.where(w > 0, means - jnp.sum(w * means, 0), 0)
    return jnp.sum(w * centred * centred, 0)


def _log_terms(function: str, name: str, a: Arguments) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Tₖ where it counts, whether the component is the leader, and whether it counts beside it."""
    weights = normalised(a.log_weights)
    x, theta, log_w = _stopped(a.x, a.parameters, weights)
    values = _each(function, name, a.of, jnp.ones_like(log_w, bool), x, theta)
    weightless = jnp.where(jnp.isnan(values), jnp.nan, -jnp.inf)
    terms = jnp.where(log_w == -jnp.inf, weightless, log_w + values)
    k = jax.lax.broadcasted_iota(jnp.int32, terms.shape, 0)
    leads = k == jnp.argmax(terms, 0)
    top = jnp.sum(jnp.where(leads, terms, 0), 0)
    counts = ~leads & (terms > -jnp.inf) & jnp.isfinite(top)
    logs = _each(function, name, a.of, leads | counts, a.x, a.parameters)
    return jnp.where(leads | counts, weights + logs, -jnp.inf), leads, counts


def odds_of_terms(terms: jax.Array, leads: jax.Array, counts: jax.Array) -> tuple[jax.Array, ...]:
    """The leader's term, the differences of the others to it, and the logarithm of the rest."""
    top = jnp.sum(jnp.where(leads, terms, 0), 0)
    behind = jnp.where(counts, terms - top, -jnp.inf)
    return top, behind, jnp.log1p(jnp.sum(jnp.exp(behind), 0))


def log_mean_of(function: str, name: str, a: Arguments) -> jax.Array:
    """Log Σ wₖ exp(Lₖ)."""
    top, _, rest = odds_of_terms(*_log_terms(function, name, a))
    return top + rest


def log_shares(function: str, name: str, a: Arguments) -> jax.Array:
    """Log of wₖ exp(Lₖ)/Σ wⱼ exp(Lⱼ)."""
    terms, leads, counts = _log_terms(function, name, a)
    _, behind, rest = odds_of_terms(terms, leads, counts)
    return jnp.where(leads, 0, behind) - rest


OTHER = {"cdf": "sf", "sf": "cdf"}


def tail_of(function: str, name: str, a: Arguments) -> jax.Array:
    """A tail; above ½ by the other one, so that what it changes by is no difference beside 1."""
    other = mean_of(function, OTHER[name], a)
    near = other < 0.5
    return jnp.where(near, 1 - jnp.where(near, other, 0), mean_of(function, name, a))


def log_tail_of(function: str, name: str, a: Arguments) -> jax.Array:
    """The logarithm of a tail; where it is above ½, by the other one, which may be far below ε."""
    other = mean_of(function, OTHER[name], a)
    near = other < 0.5
    direct = log_mean_of(function, f"log{name}", a)
    return jnp.where(near, jnp.log1p(-jnp.where(near, other, 0)), direct)


def is_discrete(a: Arguments) -> bool:
    """Whether the components are laws of counts."""
    return all(hasattr(f, "pmf") for f in a.of.families)


def _bracket(function: str, target: jax.Array, is_lower: jax.Array, a: Arguments) -> Arrays:
    """The least and the largest quantile of the components that weigh something, and their mean.

    All are nan where a component has none, whatever it weighs.
    """
    w = jnp.exp(normalised(a.log_weights))
    every = jnp.ones_like(w, bool)
    lower, upper = (
        _each(function, name, a.of, every, target, a.parameters) for name in ("ppf", "isf")
    )
    quantiles = jnp.where(is_lower, lower, upper)
    known = jnp.where(jnp.isnan(quantiles).any(0), jnp.nan, 1).astype(w.dtype)
    low = jnp.min(jnp.where(w > 0, quantiles, jnp.inf), 0)
    high = jnp.max(jnp.where(w > 0, quantiles, -jnp.inf), 0)
    middle = jnp.sum(jnp.where(w > 0, w * quantiles, 0), 0)
    return low * known, high * known, jnp.clip(middle, low, high) * known


def _counted(function: str, target: jax.Array, is_lower: jax.Array, a: Arguments) -> jax.Array:
    """The least count whose lower tail is not below q, between those of the components."""
    low, high, _ = _bracket(function, target, is_lower, a)
    low = low - 1

    @apart
    def halved(state: tuple) -> tuple:
        low, high, steps = state
        k = jnp.floor(low + 0.5 * (high - low))
        tails = (mean_of(function, name, a._replace(x=k)) for name in ("cdf", "sf"))
        lower, upper = tails
        found = jnp.where(is_lower, lower >= target, upper <= target)
        return jnp.where(found, low, k), jnp.where(found, k, high), steps + 1

    def unfinished(state: tuple) -> jax.Array:
        return jnp.any(state[0] + 1 < state[1]) & (state[2] < MOST)

    return jax.lax.while_loop(unfinished, halved, (low, high, jnp.zeros((), jnp.int32)))[1]


def _log_tail_at(function: str, is_lower: jax.Array, a: Arguments) -> jax.Array:
    lower, upper = (log_tail_of(function, name, a) for name in ("cdf", "sf"))
    return jnp.where(is_lower, lower, upper)


def _solved(function: str, target: jax.Array, is_lower: jax.Array, a: Arguments) -> jax.Array:
    """The x whose tail is the target ≤ ½: Newton's steps on its logarithm, in a bracket."""
    low, high, start = _bracket(function, target, is_lower, a)
    log_target, eps = jnp.log(target), jnp.finfo(a.x.dtype).eps

    @apart
    def nearer(state: tuple) -> tuple:
        x, low, high, done, steps = state
        here = a._replace(x=x)
        log_tail = _log_tail_at(function, is_lower, here)
        gap = jnp.where(is_lower, log_tail - log_target, log_target - log_tail)
        slope = jnp.exp(log_mean_of(function, "logpdf", here) - log_tail)
        low, high = jnp.where(gap < 0, x, low), jnp.where(gap > 0, x, high)
        newton = x - gap / slope
        # A step that leaves the bracket, or that is none, halves it; and so does each fourth.
        inside = (newton >= low) & (newton <= high) & (steps % 4 < 3)
        new = jnp.where(inside, newton, low + 0.5 * (high - low))
        new = jnp.where(done | (gap == 0), x, new)
        near = jnp.abs(new - x) <= eps * jnp.abs(x)
        return new, low, high, done | (inside & near) | (low >= high), steps + 1

    def unfinished(state: tuple) -> jax.Array:
        return jnp.any(~state[3]) & (state[4] < MOST)

    state = (start, low, high, ~(low < high), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(unfinished, nearer, state)[0]


def _flow(function: str, is_lower: jax.Array, a: Arguments, moved: Any) -> jax.Array:
    """How x moves that has a fixed tail, as weights and parameters move: −Ḟ/f, by logarithms."""

    def log_tail(log_weights: jax.Array, parameters: Any) -> jax.Array:
        there = a._replace(log_weights=log_weights, parameters=parameters)
        return _log_tail_at(function, is_lower, there)

    at, change = jax.jvp(log_tail, (a.log_weights, a.parameters), moved)
    size = jnp.exp(at - log_mean_of(function, "logpdf", a))
    inside = (at > -jnp.inf) & jnp.isfinite(a.x)
    return jnp.where(inside, jnp.where(is_lower, -change, change) * jnp.where(inside, size, 0), 0)


def _inside(q: jax.Array, is_lower: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The smaller tail and whether it is the lower one, and ½ instead of 0 or of no probability."""
    small = q <= 0.5
    target = jnp.where(small, q, 1 - q)
    inside = (target > 0) & (target <= 0.5)
    return inside, jnp.where(inside, target, 0.5), small == is_lower


def quantile(function: str, upper: bool, a: Arguments) -> jax.Array:
    """The x of which the lower or the upper tail is q, which stands in the place of x."""

    @jax.custom_jvp
    def value(q: jax.Array, log_weights: jax.Array, parameters: Any) -> jax.Array:
        b = Arguments(a.of, q, log_weights, parameters)
        inside, target, is_lower = _inside(q, jnp.asarray(not upper))
        solve = _counted if is_discrete(a) else _solved
        solution = solve(function, target, is_lower, b)
        low, high, _ = _bracket(function, jnp.clip(q, 0, 1), jnp.asarray(not upper), b)
        ends = jnp.where(q == (1 if upper else 0), low, high)
        weighted = ~jnp.isnan(normalised(log_weights)).any(0)
        known = (q >= 0) & (q <= 1) & weighted & ~jnp.isnan(solution)
        return jnp.where(known, jnp.where(inside, solution, ends), jnp.nan)

    def rule(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
        q, log_weights, parameters = primals
        x = value(*primals)
        if is_discrete(a):
            return x, jnp.zeros_like(x)
        b = Arguments(a.of, x, log_weights, parameters)
        _, _, is_lower = _inside(q, jnp.asarray(not upper))
        moved = jax.tree.map(_filled, (log_weights, parameters), tangents[1:])
        change = _flow(function, is_lower, b, moved)
        if not isinstance(tangents[0], SymbolicZero):
            per_density = jnp.exp(-log_mean_of(function, "logpdf", b))
            change = change + (-per_density if upper else per_density) * tangents[0]
        return x, change + 0 * jnp.where(jnp.isnan(x), x, 0)

    value.defjvp(rule, symbolic_zeros=True)
    return value(a.x, a.log_weights, a.parameters)


def _filled(primal: jax.Array, tangent: Any) -> jax.Array:
    return jnp.zeros_like(primal) if isinstance(tangent, SymbolicZero) else tangent


def drawn(function: str, key: jax.Array, a: Arguments) -> jax.Array:
    """Samples, which move with weights and parameters as a fixed tail would (implicitly)."""
    first, *keys = jax.random.split(key, 1 + len(a.of.families))
    log_weights, parameters = _stopped(a.log_weights, a.parameters)
    chosen, start = jax.random.categorical(first, log_weights, 0), 0
    known = jnp.all(log_weights < jnp.inf, 0) & jnp.any(log_weights > -jnp.inf, 0)
    x = jnp.full_like(a.x, jnp.nan)
    for k, family, size, theta in zip(keys, *a.of, parameters, strict=True):
        own = jnp.clip(chosen - start, 0, size - 1)[None]
        here = (jnp.take_along_axis(p, own, 0)[0] for p in theta)
        draws = member(function, family, "sample")(k, *here, shape=a.x.shape)
        x = jnp.where((chosen >= start) & (chosen < start + size), draws.astype(x.dtype), x)
        start += size
    x = jnp.where(known, x, jnp.nan)
    return x if is_discrete(a) else _carried(function, a._replace(x=x))


def _carried(function: str, a: Arguments) -> jax.Array:
    """The samples x, with the derivatives of quantiles of a fixed probability."""

    @jax.custom_jvp
    def value(x: jax.Array, log_weights: jax.Array, parameters: Any) -> jax.Array:
        return x

    @value.defjvp
    def rule(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
        b = Arguments(a.of, *primals)
        is_lower = mean_of(function, "cdf", b) <= 0.5
        return value(*primals), _flow(function, is_lower, b, tangents[1:])

    return value(a.x, a.log_weights, a.parameters)
