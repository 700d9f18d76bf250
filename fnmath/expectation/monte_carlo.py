"""Expectations by draws, each with its standard error, and five ways to make that small.

Notation: E f is the mean of f over a distribution, xᵢ are n draws from it, fᵢ = f(xᵢ), f̄ their
mean; u is a point of the unit cube of d dimensions, into which other distributions are folded by
their quantile functions (``jax.scipy.special.ndtri`` for normal ones).

    monte_carlo_expectation         draws, as many as one can afford: error σ/√n
    antithetic_expectation          u and its opposite 1 − u: exact for what is odd about the middle
    stratified_expectation          two draws in each cell of a grid: errs by what varies in one
    quasi_monte_carlo_expectation   points that fill the cube evenly: error nearly 1/n
    importance_expectation          draws from elsewhere, weighted
    control_variate_expectation     less what is known of a similar function

Differentiate through them: the gradient of the estimate is an estimate of the gradient, where f is
smooth (``fnmath.expectation.reparameterised_gradient`` says more).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from fnmath import _checks
from fnmath.expectation._estimates import Estimate, drawn, estimate, values
from fnmath.expectation.points import POINTS


class ImportanceEstimate(NamedTuple):
    """An expectation with its standard error, and how many equal draws the weights are worth."""

    value: Float[Array, "*shape"]
    standard_error: Float[Array, "*shape"]
    effective_sample_size: Float[Array, ""]


def monte_carlo_expectation(
    key: Key[Array, ""],
    f: Callable[[Any], Array],
    sampler: Callable[[Array], PyTree],
    *,
    samples: int,
) -> Estimate:
    """Monte Carlo estimate of an expectation.

        E f ≈ f̄ = 1/n Σᵢ f(xᵢ),    standard error² = Σᵢ (fᵢ − f̄)²/(n (n − 1))

    Gradient:
        ∂f̄/∂θ = 1/n Σᵢ ∂f(xᵢ)/∂θ

    Args:
        key: The random key.
        f: A function of one draw, which gives a floating-point array of any shape.
        sampler: A function of a key, which gives one draw, of any kind.
        samples: The number n of draws, at least 2.

    Returns:
        The estimate and its standard error, of the shape of f.

    Raises:
        TypeError: If the key is none, an argument no function, or f gives no floating-point array.
        ValueError: If there are fewer than 2 samples.

    Example:
        >>> ours = monte_carlo_expectation(
        ...     jax.random.key(0), jnp.square, jax.random.normal, samples=10_000
        ... )
        >>> print(bool(jnp.abs(ours.value - 1) < 3 * ours.standard_error))
        True

    Source:
        Owen, Monte Carlo theory, methods and examples (2013), §2.
    """
    name = "monte_carlo_expectation"
    _checks.function(name, "f", f)
    return estimate(values(name, "f", f, drawn(name, key, sampler, samples)))


def _uniform(function: str, key: Any, f: Any, dimension: Any) -> None:
    _checks.key(function, key)
    _checks.function(function, "f", f)
    _checks.size(function, dimension=dimension)


def antithetic_expectation(
    key: Key[Array, ""],
    f: Callable[[Array], Array],
    *,
    dimension: int,
    samples: int,
) -> Estimate:
    """Estimate of a mean over the unit cube from pairs of opposite points.

        E f ≈ 2/n Σᵢ ½ (f(uᵢ) + f(1 − uᵢ))

    The error is that of the even part of f about the middle: what is odd cancels in each pair.

    Gradient:
        the mean of those of f

    Args:
        key: The random key.
        f: A function of one point, of shape ``(dimension,)``, which gives a floating-point array.
        dimension: The number of dimensions.
        samples: The number n of points, an even one, at least 4.

    Returns:
        The estimate and its standard error, of the shape of f.

    Raises:
        TypeError: If the key is none, f no function, or f gives no floating-point array.
        ValueError: If there are fewer than 4 samples, or an odd number, or no dimension.

    Example:
        >>> ours = antithetic_expectation(
        ...     jax.random.key(0), lambda u: 2 * u[0], dimension=1, samples=8
        ... )
        >>> print(f"{ours.value:.4f} {ours.standard_error:.4f}")
        1.0000 0.0000

    Source:
        Hammersley and Morton, A new Monte Carlo technique: antithetic variates (1956); Owen, Monte
        Carlo theory, methods and examples (2013), §8.2.
    """
    name = "antithetic_expectation"
    _uniform(name, key, f, dimension)
    _checks.size(name, minimum=4, samples=samples)
    if samples % 2:
        _checks.fail(name, f"samples is {samples}; wanted an even number", f"{samples + 1}")
    u = jax.random.uniform(key, (samples // 2, dimension))
    return estimate(0.5 * (values(name, "f", f, u) + values(name, "f", f, 1 - u)))


def stratified_expectation(
    key: Key[Array, ""],
    f: Callable[[Array], Array],
    *,
    dimension: int,
    strata: int,
) -> Estimate:
    """Estimate of a mean over the unit cube from two points in each cell of a grid.

        E f ≈ 1/N Σ_c ½ (f(u_c) + f(u_c′)),    standard error² = 1/N² Σ_c ¼ (f(u_c) − f(u_c′))²

    over the N = strataᵈ cells. For a smooth f the error falls as N^(−1/2 − 1/d).

    Gradient:
        the mean of those of f

    Args:
        key: The random key.
        f: A function of one point, of shape ``(dimension,)``, which gives a floating-point array.
        dimension: The number d of dimensions.
        strata: How many parts each axis is cut into.

    Returns:
        The estimate and its standard error, of the shape of f.

    Raises:
        TypeError: If the key is none, f no function, or f gives no floating-point array.
        ValueError: If there are no strata or no dimension.

    Example:
        >>> ours = stratified_expectation(
        ...     jax.random.key(0), lambda u: u[0] ** 2, dimension=1, strata=1000
        ... )
        >>> print(f"{ours.value:.4f}")
        0.3333

    Source:
        Owen, Monte Carlo theory, methods and examples (2013), §8.4 and §10.1.
    """
    name = "stratified_expectation"
    _uniform(name, key, f, dimension)
    _checks.size(name, strata=strata)
    cells = strata**dimension
    corner = jnp.stack(jnp.unravel_index(jnp.arange(cells), (strata,) * dimension), -1)
    u = (corner + jax.random.uniform(key, (2, cells, dimension))) / strata
    first, second = (values(name, "f", f, points) for points in u)
    square = jnp.sum(jnp.square(0.5 * (first - second)), 0) / cells**2
    error = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), square)
    return Estimate(jnp.mean(0.5 * (first + second), 0), error)


def quasi_monte_carlo_expectation(
    key: Key[Array, ""],
    f: Callable[[Array], Array],
    *,
    dimension: int,
    samples: int,
    repeats: int = 8,
    points: str = "sobol",
) -> Estimate:
    """Estimate of a mean over the unit cube from points that fill it evenly.

        E f ≈ 1/r Σₛ 1/n Σᵢ f(uᵢ + shiftₛ mod 1)

    The points are moved by r random shifts, which leave them as even as they are: each makes an
    estimate without bias, and their spread the standard error. For an f of bounded variation the
    error falls nearly as 1/n.

    Gradient:
        the mean of those of f

    Args:
        key: The random key, of the shifts.
        f: A function of one point, of shape ``(dimension,)``, which gives a floating-point array.
        dimension: The number of dimensions.
        samples: The number n of points; for Sobol's a power of 2 is best.
        repeats: The number r of shifts, at least 2.
        points: ``"sobol"``, for up to 10 dimensions, or ``"halton"``.

    Returns:
        The estimate and its standard error, of the shape of f.

    Raises:
        TypeError: If the key is none, f no function, or f gives no floating-point array.
        ValueError: If there are no samples, fewer than 2 repeats, or the points are unknown or have
            fewer dimensions.

    Example:
        >>> ours = quasi_monte_carlo_expectation(
        ...     jax.random.key(0), lambda u: jnp.prod(3 * u**2), dimension=2, samples=4096
        ... )
        >>> print(f"{ours.value:.3f}")
        1.000

    Source:
        Cranley and Patterson, Randomization of number theoretic methods for multiple integration
        (1976); Owen, Monte Carlo theory, methods and examples (2013), §17.3.
    """
    name = "quasi_monte_carlo_expectation"
    _uniform(name, key, f, dimension)
    _checks.size(name, samples=samples)
    _checks.size(name, minimum=2, repeats=repeats)
    _checks.option(name, "points", points, POINTS)
    u = POINTS[points](name, samples, dimension)
    shifts = jax.random.uniform(key, (repeats, dimension), u.dtype)
    finfo = jnp.finfo(u.dtype)

    def mean(shift: jax.Array) -> jax.Array:
        moved = u + shift
        moved = jnp.clip(moved - jnp.floor(moved), float(finfo.eps) / 2, 1 - float(finfo.eps))
        return values(name, "f", f, moved).mean(0)

    return estimate(jax.lax.map(mean, shifts))


def importance_expectation(
    key: Key[Array, ""],
    f: Callable[[Any], Array],
    sampler: Callable[[Array], PyTree],
    log_weight: Callable[[Any], Array],
    *,
    samples: int,
    normalised: bool = False,
) -> ImportanceEstimate:
    """Estimate of an expectation by draws from another distribution, weighted.

        E_p f ≈ 1/n Σᵢ wᵢ f(xᵢ),    w = p(x)/q(x),    xᵢ ~ q
        E_p f ≈ Σᵢ wᵢ f(xᵢ)/Σᵢ wᵢ        (normalised)
        n_eff = (Σᵢ wᵢ)²/Σᵢ wᵢ²

    The second needs p and q only up to constants, and is biased by about 1/n. Few effective draws
    say that q has missed p, and that the standard error is not to be trusted.

    Gradient:
        the weighted mean of those of f, and by the weights: ∂/∂ log wᵢ = wᵢ fᵢ/n

    Args:
        key: The random key.
        f: A function of one draw, which gives a floating-point array of any shape.
        sampler: A function of a key, which gives one draw x from q.
        log_weight: A function of one draw, log p(x) − log q(x).
        samples: The number n of draws, at least 2.
        normalised: Whether to divide by the weights' sum.

    Returns:
        The estimate, its standard error, and the effective sample size.

    Raises:
        TypeError: If the key is none, an argument no function, f gives no floating-point array, or
            ``normalised`` is not a boolean.
        ValueError: If there are fewer than 2 samples, or ``log_weight`` gives no single number.

    Example:
        >>> ours = importance_expectation(  # P(z > 4) = 3.17·10⁻⁵, by draws about 4
        ...     jax.random.key(0), lambda z: (z > 4).astype(jnp.float32),
        ...     lambda key: 4 + jax.random.normal(key), lambda z: 8 - 4 * z, samples=20_000,
        ... )
        >>> print(bool(jnp.abs(ours.value / 3.167e-5 - 1) < 0.05))
        True

    Source:
        Kahn and Marshall, Methods of reducing sample size in Monte Carlo computations (1953); Owen,
        Monte Carlo theory, methods and examples (2013), §9.1 to §9.3.
    """
    name = "importance_expectation"
    _checks.function(name, "f", f)
    _checks.function(name, "log_weight", log_weight)
    _checks.boolean(name, "normalised", normalised)
    x = drawn(name, key, sampler, samples)
    y, logs = values(name, "f", f, x), values(name, "log_weight", log_weight, x)
    if logs.ndim != 1:
        _checks.fail(name, f"log_weight gives shape {logs.shape[1:]}; wanted one number")
    top = jax.lax.stop_gradient(jnp.max(logs))
    top = jnp.where(jnp.isfinite(top), top, 0)
    w = jnp.exp(logs - top)
    effective = jnp.square(w.sum()) / jnp.square(w).sum()
    w = w.reshape(-1, *(1,) * (y.ndim - 1))
    if not normalised:
        value, error = estimate(jnp.where(w == 0, 0, w * y))
        return ImportanceEstimate(value * jnp.exp(top), error * jnp.exp(top), effective)
    share = w / w.sum()
    value = jnp.sum(jnp.where(w == 0, 0, share * y), 0)
    square = jnp.sum(jnp.square(jnp.where(w == 0, 0, share * (y - value))), 0)
    error = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), square)
    return ImportanceEstimate(value, error, effective)


def control_variate_expectation(
    key: Key[Array, ""],
    f: Callable[[Any], Array],
    sampler: Callable[[Array], PyTree],
    control: Callable[[Any], Array],
    *,
    control_mean: float | Float[Array, "..."],
    samples: int,
) -> Estimate:
    """Estimate of an expectation by draws, less what is known of similar functions.

        E f ≈ f̄ − βᵀ (ḡ − E g),    β = Cov(g)⁻¹ Cov(g, f)

    β, fitted to the same draws, makes the error that of what g does not explain: σ √(1 − R²)/√n. It
    biases the estimate by about 1/n.

    Gradient:
        ∂/∂θ of all of it, β included

    Args:
        key: The random key.
        f: A function of one draw, which gives a floating-point array of any shape.
        sampler: A function of a key, which gives one draw.
        control: A function g of one draw, which gives a number or a vector of k.
        control_mean: Its expectation E g, of the shape of g.
        samples: The number n of draws, more than k + 1.

    Returns:
        The estimate and its standard error; nan where controls depend on each other.

    Raises:
        TypeError: If the key is none, an argument no function, or f or g gives no floating-point
            array.
        ValueError: If there are too few samples, g gives more than a vector, or its mean has
            another shape.

    Example:
        >>> ours = control_variate_expectation(
        ...     jax.random.key(0), jnp.exp, jax.random.uniform, lambda u: u,
        ...     control_mean=0.5, samples=1000,
        ... )
        >>> print(bool(jnp.abs(ours.value - (jnp.e - 1)) < 0.01))
        True

    Source:
        Owen, Monte Carlo theory, methods and examples (2013), §8.9.
    """
    name = "control_variate_expectation"
    _checks.function(name, "f", f)
    _checks.function(name, "control", control)
    _checks.number(name, "control_mean", control_mean)
    x = drawn(name, key, sampler, samples)
    y, g = values(name, "f", f, x), values(name, "control", control, x)
    if g.ndim > 2 or jnp.shape(control_mean) != g.shape[1:]:
        came = f"control gives shape {g.shape[1:]} and control_mean has {jnp.shape(control_mean)}"
        _checks.fail(name, f"{came}; wanted a number or a vector, and one shape")
    k = math.prod(g.shape[1:])
    _checks.size(name, minimum=k + 2, samples=samples)
    gap = g.reshape(-1, k) - jnp.asarray(control_mean, g.dtype).reshape(k)
    flat = y.reshape(samples, -1)
    d, e = gap - gap.mean(0), flat - flat.mean(0)
    gram, cross = (jnp.matmul(d.T, a, precision="highest") for a in (d, e))
    factor = jax.scipy.linalg.cho_factor(gram, lower=True)
    beta = jax.scipy.linalg.cho_solve(factor, cross)
    left = flat - jnp.matmul(gap, beta, precision="highest")
    return Estimate(*(a.reshape(y.shape[1:]) for a in estimate(left, cost=k + 1)))
