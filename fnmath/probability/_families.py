"""What the families have in common: from a few formulas all functions with their derivatives.

Notation: x is where a distribution is looked at, θ its parameters, q a probability; z = (x − μ)/σ
for a location μ and a scale σ; F is the cdf, f the density.

A quantile Q(q; θ) moves with a parameter, at the velocity v = ∂Q/∂θ; the probability below a fixed
x then changes by what flows past it, and every derivative by a parameter follows from v:

    ∂F/∂x = f              ∂F/∂θ = −f v(x)
    ∂log F/∂x = f/F        ∂log F/∂θ = −(f/F) v(x)
    ∂Q/∂q = 1/f(Q)         ∂Q/∂θ = v(Q)

A location has the velocity 1, a scale z.

Source: Figurnov, Mohamed and Mnih, Implicit reparameterization gradients (2018), §2.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Real

from fnmath import _checks
from fnmath.numerics._once import unforeseen
from fnmath.numerics._sharing import shared
from fnmath.numerics._wide import computed_wide
from fnmath.probability._numbers import (
    Formula,
    Function,
    Number,
    all_in_pairs,
    exp,
    head,
    in_pairs,
    log,
    times_exp,
    times_vanishing,
    where,
    with_slopes,
)

Numbers = float | Real[Array, "..."]


class Standard(NamedTuple):
    """A distribution of z, from which location and scale make a family."""

    logpdf: Formula  # g(z)
    slope: Formula  # g′(z)
    spread: Formula  # −(1 + z g′(z)), the score of a scale of 1
    cdf: Formula
    sf: Formula
    logcdf: Formula
    logsf: Formula
    reverse_hazard: Formula  # f/F
    hazard: Formula  # f/(1 − F)
    quantile: Formula
    upper: Formula  # the quantile of 1 − q
    factor: float = 1.0  # the density is exp(g(z)) / (factor · σ)


class Functions(NamedTuple):
    """The functions of a family, of arrays (x, *θ) or (q, *θ)."""

    pdf: Function
    logpdf: Function
    cdf: Function
    sf: Function
    logcdf: Function
    logsf: Function
    ppf: Function
    isf: Function
    by: tuple[Function, ...]  # ∂ log f by x and by each parameter


class Formulas(NamedTuple):
    """The formulas of a continuous family, of numbers (x, *θ) or (q, *θ)."""

    logpdf: Formula
    by: tuple[Formula, ...]  # ∂ log f by x and by each parameter
    velocity: tuple[Formula, ...]  # of each parameter, at x
    cdf: Formula
    sf: Formula
    logcdf: Formula
    logsf: Formula
    reverse_hazard: Formula
    hazard: Formula
    quantile: Formula
    upper: Formula


def symmetric(
    *,
    logpdf: Formula,
    slope: Formula,
    spread: Formula,
    cdf: Formula,
    logcdf: Formula,
    reverse_hazard: Formula,
    quantile: Formula,
    factor: float = 1.0,
) -> Standard:
    """A distribution that is its own mirror image, by its lower half."""
    return Standard(
        logpdf,
        slope,
        spread,
        cdf,
        lambda z: cdf(-z),
        logcdf,
        lambda z: logcdf(-z),
        reverse_hazard,
        lambda z: reverse_hazard(-z),
        quantile,
        lambda q: -quantile(q),
        factor,
    )


def location_scale(standard: Standard) -> Formulas:
    """The formulas of (x, μ, σ)."""
    standardised = shared(lambda x, loc, scale: (x - loc) / scale)

    def at(f: Formula) -> Formula:
        return lambda *of: f(standardised(*of))

    def per_scale(f: Formula, sign: float = 1.0) -> Formula:
        return lambda x, loc, scale: sign * f(standardised(x, loc, scale)) / scale

    def moved(f: Formula) -> Formula:
        return lambda q, loc, scale: loc + scale * f(q)

    s = Standard(*map(_shared, standard))
    return Formulas(
        logpdf=lambda x, *of: s.logpdf(standardised(x, *of)) - log(s.factor * of[-1]),
        by=(per_scale(s.slope), per_scale(s.slope, -1.0), per_scale(s.spread)),
        velocity=(lambda x, *of: 1.0, standardised),
        cdf=at(s.cdf), sf=at(s.sf), logcdf=at(s.logcdf), logsf=at(s.logsf),
        reverse_hazard=per_scale(s.reverse_hazard), hazard=per_scale(s.hazard),
        quantile=moved(s.quantile), upper=moved(s.upper),
    )  # fmt: skip


def on_support(
    formulas: Formulas,
    *,
    below: Callable[..., jax.Array],
    inside: Formula,
    above: Callable[..., jax.Array] = lambda x, *of: jnp.zeros_like(head(x), bool),
) -> Formulas:
    """The formulas within a support; below and above it, what the integral of nothing is.

    There the formulas are given a point of their own, ``inside(*θ)``.
    """

    @shared
    def placed(x: Number, *of: Number) -> tuple[jax.Array, jax.Array, Number]:
        is_below, is_above = below(x, *of), above(x, *of)
        return is_below, is_above, where(is_below | is_above, inside(*of), x)

    def guarded(formula: Formula, low: float, high: float) -> Formula:
        def of_x(x: Number, *of: Number) -> Number:
            is_below, is_above, there = placed(x, *of)
            return where(is_below, low, where(is_above, high, formula(there, *of)))

        return of_x

    f = formulas
    return f._replace(
        logpdf=guarded(f.logpdf, -jnp.inf, -jnp.inf),
        by=tuple(guarded(g, 0.0, 0.0) for g in f.by),
        velocity=tuple(guarded(v, 0.0, 0.0) for v in f.velocity),
        cdf=guarded(f.cdf, 0.0, 1.0), sf=guarded(f.sf, 1.0, 0.0),
        logcdf=guarded(f.logcdf, -jnp.inf, 0.0), logsf=guarded(f.logsf, 0.0, -jnp.inf),
        reverse_hazard=guarded(f.reverse_hazard, 0.0, 0.0), hazard=guarded(f.hazard, 0.0, 0.0),
    )  # fmt: skip


def _scaled(slope: Formula, logpdf: Formula) -> Formula:
    """The derivative of the density, of that of its logarithm."""
    return lambda *a: times_exp(slope(*a), logpdf(*a))


def _flow(velocity: Formula, logpdf: Formula, sign: float) -> Formula:
    """The density times the velocity, with a sign."""
    return lambda x, *of: times_exp(sign * velocity(x, *of), logpdf(x, *of))


def _share(velocity: Formula, hazard: Formula, sign: float) -> Formula:
    return lambda x, *of: times_vanishing(sign * velocity(x, *of), hazard(x, *of))


def _shared(formula: Any) -> Any:
    """A formula, or several, that functions have in common; a number stays one."""
    if isinstance(formula, tuple):
        return tuple(map(shared, formula))
    return shared(formula) if callable(formula) else formula


def functions(formulas: Formulas, known: Callable[..., jax.Array]) -> Functions:
    """The functions, with all their derivatives; nan unless ``known(*θ)``."""
    f = Formulas(*map(_shared, formulas))

    def within(q: jax.Array, *of: jax.Array) -> jax.Array:
        return known(*of) & (q >= 0) & (q <= 1)

    of_x = functools.partial(with_slopes, known=lambda x, *of: known(*of))
    of_q = functools.partial(with_slopes, known=within)

    def inverse(quantile: Formula, sign: float) -> Function:
        at = lambda g: lambda q, *of: g(quantile(q, *of), *of)  # noqa: E731
        by_q = lambda q, *of: sign * exp(-f.logpdf(quantile(q, *of), *of))  # noqa: E731
        return of_q(quantile, by_q, *map(at, f.velocity))

    def integral(formula: Formula, sign: float) -> Function:
        density = lambda *a: sign * exp(f.logpdf(*a))  # noqa: E731
        flows = (_flow(v, f.logpdf, -sign) for v in f.velocity)
        return of_x(formula, density, *flows, still=jnp.isinf)

    def logarithm(formula: Formula, hazard: Formula, sign: float) -> Function:
        shares = (_share(v, hazard, -sign) for v in f.velocity)
        still = functools.partial(jnp.equal, sign * jnp.inf)
        return of_x(formula, lambda *a: sign * hazard(*a), *shares, still=still)

    return Functions(
        pdf=of_x(
            lambda *a: exp(f.logpdf(*a)), *(_scaled(g, f.logpdf) for g in f.by), still=jnp.isinf
        ),
        logpdf=of_x(f.logpdf, *f.by),
        cdf=integral(f.cdf, 1.0), sf=integral(f.sf, -1.0),
        logcdf=logarithm(f.logcdf, f.reverse_hazard, 1.0),
        logsf=logarithm(f.logsf, f.hazard, -1.0),
        ppf=inverse(f.quantile, 1.0), isf=inverse(f.upper, -1.0),
        by=tuple(in_pairs(g, known=lambda x, *of: known(*of)) for g in f.by),
    )  # fmt: skip


class Mass(NamedTuple):
    """The formulas of a discrete family with one parameter, of numbers (k, p) or (q, p)."""

    logpmf: Formula
    by: Formula  # ∂ log P by p
    pmf: Formula
    pmf_by: Formula
    cdf: Formula
    cdf_by: Formula
    sf: Formula
    logcdf: Formula
    logcdf_by: Formula
    logsf: Formula
    logsf_by: Formula
    quantile: Formula
    upper: Formula


class MassFunctions(NamedTuple):
    """The functions of such a family, of arrays (k, p) or (q, p)."""

    pmf: Function
    logpmf: Function
    cdf: Function
    sf: Function
    logcdf: Function
    logsf: Function
    ppf: Function
    isf: Function
    by: tuple[Function, ...]  # None by k, ∂ log P by p


def mass_functions(formulas: Mass, known: Callable[..., jax.Array]) -> MassFunctions:
    """The functions, with their derivatives by p; nan unless ``known(p)``."""
    f = formulas

    def of_k(k: jax.Array, p: jax.Array) -> jax.Array:
        return known(p)

    def of_q(q: jax.Array, p: jax.Array) -> jax.Array:
        return known(p) & (q >= 0) & (q <= 1)

    def make(formula: Formula, by_p: Formula) -> Function:
        return with_slopes(formula, None, by_p, known=of_k)

    def step(formula: Formula) -> Function:
        return with_slopes(formula, None, lambda q, p: 0 * head(p), known=of_q)

    return MassFunctions(
        pmf=make(f.pmf, f.pmf_by), logpmf=make(f.logpmf, f.by),
        cdf=make(f.cdf, f.cdf_by), sf=make(f.sf, lambda k, p: -f.cdf_by(k, p)),
        logcdf=make(f.logcdf, f.logcdf_by), logsf=make(f.logsf, f.logsf_by),
        ppf=step(f.quantile), isf=step(f.upper),
        by=(in_pairs(lambda k, p: 0 * head(k), known=of_k), in_pairs(f.by, known=of_k)),
    )  # fmt: skip


def _floating(function: str, arguments: dict[str, Any]) -> tuple[jax.Array, ...]:
    """The arguments, checked, as numbers of their common floating-point dtype."""
    _checks.real(function, **arguments)
    _checks.broadcastable(function, **arguments)
    dtype = jnp.result_type(*arguments.values(), 1.0)
    return unforeseen(*(jnp.asarray(a, dtype) for a in arguments.values()))


def evaluated(function: str, f: Function, **arguments: Any) -> jax.Array:
    """The elementwise function at the arguments, computed in float32 at least.

    Integers become floating-point numbers; the dtype is that of the others.
    """
    return computed_wide(f, *jnp.broadcast_arrays(*_floating(function, arguments)))


def evaluated_by_axes(function: str, f: Function, **arguments: Any) -> jax.Array:
    """The same, but what depends on the parameters alone is not computed anew for every x.

    Worth it where that is most of the work, as a density's normalisation is.
    """
    return computed_wide(jnp.vectorize(f), *_floating(function, arguments))


def stacked(function: str, parts: tuple[Function, ...], **arguments: Any) -> jax.Array:
    """Several functions of the same arguments, side by side on a new last axis."""
    return jnp.stack([evaluated(function, f, **arguments) for f in parts], -1)


def information(
    function: str, entries: Callable[..., Any], known: Callable[..., jax.Array], **parameters: Any
) -> jax.Array:
    """The symmetric matrix whose rows, up to the diagonal, are the entries, formulas of θ."""
    below = all_in_pairs(lambda *of: tuple(itertools.chain(*entries(*of))), known=known)

    def matrix(*of: jax.Array) -> jax.Array:
        found = below(*of)
        rows = range(math.isqrt(2 * len(found)))
        at = [[found[max(i, j) * (max(i, j) + 1) // 2 + min(i, j)] for j in rows] for i in rows]
        return jnp.stack([jnp.stack(row, -1) for row in at], -2)

    return evaluated(function, matrix, **parameters)


def finite_scale(loc: jax.Array, scale: jax.Array) -> jax.Array:
    """Whether a location and a scale have a meaning."""
    return jnp.isfinite(loc) & (scale > 0) & (scale < jnp.inf)


def both(known: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Whether the parameters of p, followed by those of q, have a meaning."""

    def of_both(*of: jax.Array) -> jax.Array:
        n = len(of) // 2
        return known(*of[:n]) & known(*of[n:])

    return of_both
