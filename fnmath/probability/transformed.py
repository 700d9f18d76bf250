"""Transformed distributions: of x = T(u) where u has a distribution that is known.

    f(x) = f₀(u)/|T′(u)|,    u = T⁻¹(x)

Notation: T is a monotonic transform of numbers, u a number of the base, f₀, F₀ and Q₀ the density,
cdf and quantile function of the base, θ its parameters.

The base is a family, which is anything with the functions of one, and a tuple of parameters: a
normal variable squashed to (−1, 1) has the density

    transformed.logpdf(x, tanh(), normal, (loc, scale))

Transforms are ``affine``, ``exp``, ``tanh`` and what ``composed`` makes of them; one's own is a
``Transform``. What ``of`` makes of a family is a family itself, for a mixture or another transform.

Between T(u) and u numbers are lost: tanh(10) is 1 in float32, and the density there that of an end.
Where u is at hand, as of a sample, ``logpdf_at`` takes it instead of x and loses nothing;
``sample_with_logpdf`` gives both. Outside of the range of T, and at its ends, the density is 0.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.numerics import with_derivatives
from fnmath.probability._composition import Family, member
from fnmath.probability._families import Numbers
from fnmath.probability._log_gammas import horner
from fnmath.probability._numbers import ORDINARY

Function = Callable[[jax.Array], jax.Array]


class Transform(NamedTuple):
    """A monotonic function of a number, its inverse, and the logarithms of their slopes.

    ``inverse`` is ±∞ at and beyond the ends of the range, ``contains`` False there.
    """

    forward: Function  # T(u)
    inverse: Function  # u of x
    log_slope: Function  # log |T′(u)|, of u
    log_slope_at: Function  # log |T′(u)|, of x = T(u)
    contains: Callable[[jax.Array], jax.Array]  # whether x is inside the range
    increases: bool | jax.Array = True


def _tanh_slope(u: jax.Array) -> jax.Array:
    """1 − tanh²(u) = 1/cosh²(u), of exponentials of −|u| alone."""
    e = jnp.exp(-2 * jnp.abs(u))
    return 4 * e / jnp.square(1 + e)


@with_derivatives(_tanh_slope)
def _tanh(u: jax.Array) -> jax.Array:
    return jnp.tanh(u)


@with_derivatives(lambda u: -2 * _tanh(u))
def _tanh_log_slope(u: jax.Array) -> jax.Array:
    """log(1 − tanh²(u)) = −2 log cosh(u): by sinh² where it is small, else −2|u| and a constant."""
    size = jnp.abs(u)
    near = size < 4
    some = jnp.where(near, u, 0)
    small = jnp.abs(some) < 1
    square = _square_of_sinh(jnp.where(small, some, 0))
    square = jnp.where(small, square, jnp.square(jnp.sinh(some)))
    return -jnp.where(near, jnp.log1p(square), _twice_log_cosh(jnp.where(near, 4, size)))


def _square_of_sinh(u: jax.Array) -> jax.Array:
    """sinh²(u) = ½ (cosh(2u) − 1) for |u| ≤ 1 by its series: XLA's sinh errs by units there."""
    terms = 14 if u.dtype == jnp.float64 else 8
    series = tuple(2.0 ** (2 * k - 1) / math.factorial(2 * k) for k in range(1, terms + 1))
    return u * u * horner(series, u * u)


def _twice_log_cosh(size: jax.Array) -> jax.Array:
    """2 log cosh, 2 (|u| − log 2) + 2 log(1 + exp(−2|u|))."""
    return 2 * (size - jnp.log(2.0).astype(size.dtype) + jnp.log1p(jnp.exp(-2 * size)))


@with_derivatives(lambda x: 1 / ((1 - x) * (1 + x)))
def _artanh(x: jax.Array) -> jax.Array:
    return 0.5 * (jnp.log1p(x) - jnp.log1p(-x))


def _inverse_tanh(x: jax.Array) -> jax.Array:
    inside = jnp.abs(x) < 1
    return jnp.where(inside, _artanh(jnp.where(inside, x, 0)), _end(x, jnp.sign(x)))


def _end(x: jax.Array, sign: jax.Array | float) -> jax.Array:
    """±∞ for what is outside of a range, nan for nan; constant."""
    return jnp.where(jnp.isnan(x), jnp.nan, jax.lax.stop_gradient(sign) * jnp.inf)


@with_derivatives(lambda x: -2 * x / ((1 - x) * (1 + x)))
def _log_one_minus_square(x: jax.Array) -> jax.Array:
    """log(1 − x²), by x² where it is small and by 1 − x and 1 + x elsewhere."""
    near = jnp.abs(x) < 0.5
    return jnp.where(near, jnp.log1p(-x * x), jnp.log1p(x) + jnp.log1p(-x))


def _inverse_exp(x: jax.Array) -> jax.Array:
    inside = (x > 0) & (x < jnp.inf)
    ends = _end(x, jnp.where(x > 0, 1.0, -1.0))
    return jnp.where(inside, jnp.log(jnp.where(inside, x, 1)), ends)


def affine(loc: Numbers, scale: Numbers) -> Transform:
    """The transform that moves by a location and stretches by a scale, which may be negative.

        T(u) = μ + σ u,    T⁻¹(x) = (x − μ)/σ,    log |T′(u)| = log |σ|

    Args:
        loc: The location μ.
        scale: The scale σ ≠ 0; nan is returned by all functions for 0.

    Returns:
        The transform.

    Raises:
        TypeError: If an argument is not an array of real numbers.
        ValueError: If the shapes do not broadcast.

    Example:
        >>> print(affine(1.0, 2.0).forward(jnp.array([0.0, 3.0])))
        [1. 7.]

    Source:
        Papamakarios et al., Normalizing flows for probabilistic modeling and inference (2021), §2.
    """
    _checks.real("affine", loc=loc, scale=scale)
    _checks.broadcastable("affine", loc=loc, scale=scale)
    scale = jnp.where(scale == 0, jnp.nan, jnp.asarray(scale, jnp.result_type(scale, 1.0)))

    def log_scale(u: jax.Array) -> jax.Array:
        return jnp.log(jnp.abs(scale)) + jnp.zeros_like(u)

    return Transform(
        forward=lambda u: loc + scale * u,
        inverse=lambda x: (x - loc) / scale,
        log_slope=log_scale,
        log_slope_at=log_scale,
        contains=lambda x: jnp.ones(jnp.broadcast_shapes(x.shape, scale.shape), bool),
        increases=jnp.asarray(scale) > 0,
    )


def exp() -> Transform:
    """The transform that makes positive numbers of all.

        T(u) = exp(u),    T⁻¹(x) = log x,    log T′(u) = u

    Returns:
        The transform.

    Example:
        >>> print(exp().inverse(jnp.array([-1.0, 1.0])))
        [-inf   0.]

    Source:
        Papamakarios et al., Normalizing flows for probabilistic modeling and inference (2021), §2.
    """
    return Transform(
        forward=jnp.exp,
        inverse=_inverse_exp,
        log_slope=lambda u: u,
        log_slope_at=_inverse_exp,
        contains=lambda x: (x > 0) & (x < jnp.inf),
    )


def tanh() -> Transform:
    """The transform that squashes numbers into (−1, 1).

        T(u) = tanh(u),    T⁻¹(x) = artanh(x),    log T′(u) = log(1 − tanh²(u)) = −2 log cosh(u)

    At u = 20 the slope is 2·10⁻¹⁷, and its logarithm right to the last place, though tanh(20) is 1
    in every precision; so is it beside 0, where it is −u².

    Returns:
        The transform.

    Example:
        >>> print(jnp.round(tanh().log_slope(jnp.array([0.5, 20.0])), 4))
        [ -0.2402 -38.6137]

    Source:
        Haarnoja et al., Soft actor-critic algorithms and applications (2018), appendix C, where
        1 − tanh² is computed as it stands.
    """
    return Transform(
        forward=_tanh,
        inverse=_inverse_tanh,
        log_slope=_tanh_log_slope,
        log_slope_at=_log_one_minus_square,
        contains=lambda x: jnp.abs(x) < 1,
    )


def composed(*transforms: Transform) -> Transform:
    """The transform that applies several, the first one first.

        T = Tₙ ∘ … ∘ T₁,    log |T′(u)| = Σᵢ log |Tᵢ′(uᵢ)|,    uᵢ = Tᵢ₋₁(… T₁(u))

    Args:
        transforms: Those to apply, in order.

    Returns:
        The transform; the identity of none.

    Raises:
        TypeError: If one is not a Transform.

    Example:
        >>> to_unit_interval = composed(affine(0.0, 0.5), tanh(), affine(0.5, 0.5))
        >>> print(to_unit_interval.forward(jnp.array([0.0, 2.0])))  # the logistic sigmoid
        [0.5       0.8807971]

    Source:
        Papamakarios et al., Normalizing flows for probabilistic modeling and inference (2021), §2.
    """
    for i, transform in enumerate(transforms):
        _checked("composed", f"transforms[{i}]", transform)
    return functools.reduce(_after, transforms, _IDENTITY)


_IDENTITY = Transform(
    forward=lambda u: u,
    inverse=lambda x: x,
    log_slope=jnp.zeros_like,
    log_slope_at=jnp.zeros_like,
    contains=lambda x: jnp.ones_like(x, bool),
)


def _after(first: Transform, second: Transform) -> Transform:
    """The second transform of the first."""

    def contains(x: jax.Array) -> jax.Array:
        inside = second.contains(x)
        between = second.inverse(x)
        return inside & first.contains(jnp.where(inside, between, jnp.nan))

    both = second.increases, first.increases
    known = all(isinstance(i, bool) for i in both)
    return Transform(
        forward=lambda u: second.forward(first.forward(u)),
        inverse=lambda x: first.inverse(second.inverse(x)),
        log_slope=lambda u: first.log_slope(u) + second.log_slope(first.forward(u)),
        log_slope_at=lambda x: second.log_slope_at(x) + first.log_slope_at(second.inverse(x)),
        contains=contains,
        increases=both[0] == both[1] if known else jnp.equal(*both),
    )


def _checked(function: str, argument: str, transform: Any) -> None:
    """Raise unless it is a Transform, of functions and of whether it increases."""
    _checks.instance(function, argument, transform, Transform)
    *functions, increases = transform._fields
    for name in functions:
        _checks.function(function, f"{argument}.{name}", getattr(transform, name))
    if not isinstance(transform.increases, bool):
        _checks.array(function, f"{argument}.{increases}", transform.increases)
        if (dtype := jnp.result_type(transform.increases)) != jnp.bool_:
            came = f"{argument}.{increases} has dtype {dtype}"
            _checks.fail(function, f"{came}; wanted bool", error=TypeError)


def _known(function: str, transform: Any, parameters: Any, **at: Any) -> tuple:
    """The number in single precision at least, and the dtype of the result."""
    _checks.real(function, **at)
    _checked(function, "transform", transform)
    _checks.instance(function, "parameters", parameters, tuple)
    (x,) = at.values()
    numbers = [p for p in jax.tree.leaves(parameters) if p is not None]
    _checks.real(function, **{f"parameters[{i}]": p for i, p in enumerate(numbers)})
    dtype = jnp.result_type(x, 1.0, *numbers)
    return jnp.asarray(x, jnp.promote_types(dtype, jnp.float32)), dtype


def _within(transform: Transform, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Whether x is inside the range, its u, and the logarithm of the slope; ordinary elsewhere."""
    inside = transform.contains(x)
    middle = transform.forward(jnp.asarray(ORDINARY, x.dtype))
    some = jnp.where(inside, x, jax.lax.stop_gradient(middle))
    return inside, transform.inverse(some), transform.log_slope_at(some)


def _density(function: str, name: str, x: Any, transform: Any, family: Any, parameters: Any) -> Any:
    """The density of that name, or its logarithm, at x."""
    x, dtype = _known(function, transform, parameters, x=x)
    f = member(function, family, name)
    inside, u, log_slope = _within(transform, x)
    at_u, is_log = f(u, *parameters), name.startswith("log")
    value = at_u - log_slope if is_log else at_u * jnp.exp(-log_slope)
    outside = jnp.where(jnp.isnan(x) | jnp.isnan(at_u), jnp.nan, -jnp.inf if is_log else 0)
    return jnp.where(inside, value, jax.lax.stop_gradient(outside)).astype(dtype)


MIRROR = {
    "cdf": "sf",
    "sf": "cdf",
    "logcdf": "logsf",
    "logsf": "logcdf",
    "ppf": "isf",
    "isf": "ppf",
}


def _by_direction(function: str, name: str, transform: Transform, family: Any) -> Callable:
    """The function of the base of that name, or of its mirror image where T decreases."""
    f, increases = member(function, family, name), transform.increases
    if increases is True:
        return f
    mirrored = member(function, family, MIRROR[name])
    return lambda *args: jnp.where(increases, f(*args), mirrored(*args))


LIMITS = {"cdf": (0.0, 1.0), "sf": (1.0, 0.0), "logcdf": (-jnp.inf, 0.0), "logsf": (0.0, -jnp.inf)}


def _tail(name: str, x: Any, transform: Any, family: Any, parameters: Any) -> Any:
    """The integral of that name up to x, or from there on."""
    x, dtype = _known(name, transform, parameters, x=x)
    f = _by_direction(name, name, transform, family)
    inside, u, _ = _within(transform, x)
    value = f(u, *parameters)
    is_below = (transform.inverse(x) < 0) == transform.increases
    ends = jnp.where(is_below, *LIMITS[name])
    outside = jnp.where(jnp.isnan(x) | jnp.isnan(value), jnp.nan, ends)
    return jnp.where(inside, value, outside).astype(dtype)


def _quantile(name: str, q: Any, transform: Any, family: Any, parameters: Any) -> Any:
    q, dtype = _known(name, transform, parameters, q=q)
    u = _by_direction(name, name, transform, family)(q, *parameters)
    return transform.forward(u).astype(dtype)


def pdf(
    x: Numbers, transform: Transform, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Density of a transformed distribution.

        f(x) = f₀(u)/|T′(u)|,    u = T⁻¹(x)

    Gradient:
        ∂f/∂θ = (∂f₀/∂θ)(u)/|T′(u)|

    Args:
        x: Where to look.
        transform: What the variable of the base was transformed by, such as ``tanh()``.
        family: The family of the base, which has the functions of one.
        parameters: The parameters of the base.

    Returns:
        Densities, in the common shape of the arguments; nan where a
        parameter has no meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function; of shapes
            that do not broadcast the function of the base says so itself.

    Example:
        >>> from fnmath.probability import normal
        >>> print(f"{pdf(2.0, exp(), normal, (0.0, 1.0)):.4f}")
        0.1569

    Source:
        Papamakarios et al., Normalizing flows for probabilistic modeling and inference (2021), §2.
    """
    return _density("pdf", "pdf", x, transform, family, parameters)


def logpdf(
    x: Numbers, transform: Transform, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Logarithm of the density of a transformed distribution.

        log f(x) = log f₀(u) − log |T′(u)|,    u = T⁻¹(x)

    Gradient:
        ∂/∂x = ((log f₀)′(u) − (log |T′|)′(u))/T′(u),    ∂/∂θ = (∂log f₀/∂θ)(u)

    Args:
        x: Where to look.
        transform: What the variable of the base was transformed by, such as ``tanh()``.
        family: The family of the base, which has the functions of one.
        parameters: The parameters of the base.

    Returns:
        Logarithms of densities, in nats, in the common shape of the arguments; nan where a
        parameter has no meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function; of shapes
            that do not broadcast the function of the base says so itself.

    Example:
        >>> from fnmath.probability import normal
        >>> print(f"{logpdf(0.5, tanh(), normal, (0.0, 1.0)):.4f}")
        -0.7821

    Source:
        Papamakarios et al., Normalizing flows for probabilistic modeling and inference (2021), §2.
    """
    return _density("logpdf", "logpdf", x, transform, family, parameters)


def _density_at(u: Any, transform: Any, family: Any, parameters: Any) -> Any:
    u, dtype = _known("logpdf_at", transform, parameters, u=u)
    at_u = member("logpdf_at", family, "logpdf")(u, *parameters)
    # Beyond all numbers both are infinite, and the density is that of an end.
    apart = jnp.isfinite(u) & (at_u > -jnp.inf)
    slope = transform.log_slope(jnp.where(apart, u, ORDINARY))
    return (at_u - jnp.where(apart, slope, 0)).astype(dtype)


def logpdf_at(
    u: Numbers, transform: Transform, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Logarithm of the density of a transformed distribution at T(u), by u.

        log f(T(u)) = log f₀(u) − log |T′(u)|

    Exact however near to an end of its range T(u) is, and where it is rounded to the end.

    Gradient:
        ∂/∂u = (log f₀)′(u) − (log |T′|)′(u),    ∂/∂θ = (∂log f₀/∂θ)(u)

    Args:
        u: The number of the base: the density is that at x = T(u).
        transform: What the variable of the base was transformed by, such as ``tanh()``.
        family: The family of the base, which has the functions of one.
        parameters: The parameters of the base.

    Returns:
        Logarithms of densities, in nats, in the common shape of the arguments; nan where a
        parameter has no meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function; of shapes
            that do not broadcast the function of the base says so itself.

    Example:
        >>> from fnmath.probability import normal
        >>> print(f"{logpdf_at(20.0, tanh(), normal, (0.0, 1.0)):.4f}")
        -162.3052

    Source:
        Papamakarios et al., Normalizing flows for probabilistic modeling and inference (2021), §2.
    """
    return _density_at(u, transform, family, parameters)


def cdf(
    x: Numbers, transform: Transform, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Cumulative distribution function of a transformed distribution.

        F(x) = F₀(u),    1 − F₀(u) where T decreases

    Gradient:
        ∂F/∂x = f(x),    ∂F/∂θ = (∂F₀/∂θ)(u)

    Args:
        x: Where to look.
        transform: What the variable of the base was transformed by, such as ``tanh()``.
        family: The family of the base, which has the functions of one.
        parameters: The parameters of the base.

    Returns:
        Probabilities, in the common shape of the arguments; nan where a
        parameter has no meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function; of shapes
            that do not broadcast the function of the base says so itself.

    Example:
        >>> from fnmath.probability import normal
        >>> print(f"{cdf(2.0, exp(), normal, (0.0, 1.0)):.4f}")
        0.7559

    Source:
        Papamakarios et al., Normalizing flows for probabilistic modeling and inference (2021), §2.
    """
    return _tail("cdf", x, transform, family, parameters)


def logcdf(
    x: Numbers, transform: Transform, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Logarithm of the cumulative distribution function of a transformed distribution.

        log F(x) = log F₀(u),    log(1 − F₀(u)) where T decreases

    Gradient:
        ∂log F/∂x = f(x)/F(x),    ∂log F/∂θ = (∂log F₀/∂θ)(u)

    Args:
        x: Where to look.
        transform: What the variable of the base was transformed by, such as ``tanh()``.
        family: The family of the base, which has the functions of one.
        parameters: The parameters of the base.

    Returns:
        Logarithms of probabilities, in the common shape of the arguments; nan where a
        parameter has no meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function; of shapes
            that do not broadcast the function of the base says so itself.

    Example:
        >>> from fnmath.probability import normal
        >>> print(f"{logcdf(2.0, exp(), normal, (0.0, 1.0)):.4f}")
        -0.2799

    Source:
        Papamakarios et al., Normalizing flows for probabilistic modeling and inference (2021), §2.
    """
    return _tail("logcdf", x, transform, family, parameters)


def sf(
    x: Numbers, transform: Transform, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Survival function of a transformed distribution: the probability beyond x.

        S(x) = 1 − F₀(u),    F₀(u) where T decreases

    Gradient:
        ∂S/∂x = −f(x),    ∂S/∂θ = −(∂F₀/∂θ)(u)

    Args:
        x: Where to look.
        transform: What the variable of the base was transformed by, such as ``tanh()``.
        family: The family of the base, which has the functions of one.
        parameters: The parameters of the base.

    Returns:
        Probabilities, in the common shape of the arguments; nan where a
        parameter has no meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function; of shapes
            that do not broadcast the function of the base says so itself.

    Example:
        >>> from fnmath.probability import normal
        >>> print(f"{sf(2.0, exp(), normal, (0.0, 1.0)):.4f}")
        0.2441

    Source:
        Papamakarios et al., Normalizing flows for probabilistic modeling and inference (2021), §2.
    """
    return _tail("sf", x, transform, family, parameters)


def logsf(
    x: Numbers, transform: Transform, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Logarithm of the survival function of a transformed distribution.

        log S(x) = log(1 − F₀(u)),    log F₀(u) where T decreases

    Gradient:
        ∂log S/∂x = −f(x)/S(x),    ∂log S/∂θ = (∂log S₀/∂θ)(u)

    Args:
        x: Where to look.
        transform: What the variable of the base was transformed by, such as ``tanh()``.
        family: The family of the base, which has the functions of one.
        parameters: The parameters of the base.

    Returns:
        Logarithms of probabilities, in the common shape of the arguments; nan where a
        parameter has no meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function; of shapes
            that do not broadcast the function of the base says so itself.

    Example:
        >>> from fnmath.probability import normal
        >>> print(f"{logsf(2.0, exp(), normal, (0.0, 1.0)):.4f}")
        -1.4101

    Source:
        Papamakarios et al., Normalizing flows for probabilistic modeling and inference (2021), §2.
    """
    return _tail("logsf", x, transform, family, parameters)


def ppf(
    q: Numbers, transform: Transform, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Quantile function of a transformed distribution, the inverse of ``cdf``.

        Q(q) = T(Q₀(q)),    T(Q₀(1 − q)) where T decreases

    Gradient:
        ∂Q/∂q = 1/f(Q),    ∂Q/∂θ = T′(u) ∂Q₀/∂θ

    Args:
        q: A probability, 0 ≤ q ≤ 1; nan is returned elsewhere.
        transform: What the variable of the base was transformed by, such as ``tanh()``.
        family: The family of the base, which has the functions of one.
        parameters: The parameters of the base.

    Returns:
        Quantiles, in the common shape of the arguments; nan where a
        parameter has no meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function; of shapes
            that do not broadcast the function of the base says so itself.

    Example:
        >>> from fnmath.probability import normal
        >>> print(f"{ppf(0.75, exp(), normal, (0.0, 1.0)):.4f}")
        1.9630

    Source:
        Papamakarios et al., Normalizing flows for probabilistic modeling and inference (2021), §2.
    """
    return _quantile("ppf", q, transform, family, parameters)


def isf(
    q: Numbers, transform: Transform, family: Any, parameters: tuple[Any, ...]
) -> Float[Array, "..."]:
    """Inverse survival function of a transformed distribution: the quantile of 1 − q.

        Q(1 − q) = T(Q₀(1 − q)),    T(Q₀(q)) where T decreases

    Gradient:
        ∂Q/∂q = −1/f(Q),    ∂Q/∂θ = T′(u) ∂Q₀/∂θ

    Args:
        q: A probability of the upper tail, 0 ≤ q ≤ 1; nan is returned elsewhere.
        transform: What the variable of the base was transformed by, such as ``tanh()``.
        family: The family of the base, which has the functions of one.
        parameters: The parameters of the base.

    Returns:
        Quantiles, in the common shape of the arguments; nan where a
        parameter has no meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function; of shapes
            that do not broadcast the function of the base says so itself.

    Example:
        >>> from fnmath.probability import normal
        >>> print(f"{isf(0.25, exp(), normal, (0.0, 1.0)):.4f}")
        1.9630

    Source:
        Papamakarios et al., Normalizing flows for probabilistic modeling and inference (2021), §2.
    """
    return _quantile("isf", q, transform, family, parameters)


def sample(
    key: PRNGKeyArray,
    transform: Transform,
    family: Any,
    parameters: tuple[Any, ...],
    *,
    shape: tuple[int, ...] | int | None = None,
) -> Float[Array, "..."]:
    """Samples of a transformed distribution.

        x = T(u),    u ~ f₀

    Gradient:
        ∂x/∂θ = T′(u) ∂u/∂θ, as the samples of the base have it

    Args:
        key: The random key.
        transform: What the variable of the base was transformed by, such as ``tanh()``.
        family: The family of the base, which has the functions of one.
        parameters: The parameters of the base.
        shape: The shape of the samples, to which the parameters must broadcast; theirs by default.

    Returns:
        Independent samples; nan where a parameter has no meaning.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function; of shapes
            that do not broadcast the function of the base says so itself.

    Example:
        >>> from fnmath.probability import normal
        >>> key = jax.random.key(0)
        >>> x = sample(key, exp(), normal, (0.0, 1.0), shape=(4000,))
        >>> print(f"{jnp.median(x):.1f}")
        1.0

    Source:
        Papamakarios et al., Normalizing flows for probabilistic modeling and inference (2021), §2.
    """
    _checks.key("sample", key)
    _known("sample", transform, parameters, loc=0.0)
    u = member("sample", family, "sample")(key, *parameters, shape=shape)
    return transform.forward(u)


def sample_with_logpdf(
    key: PRNGKeyArray,
    transform: Transform,
    family: Any,
    parameters: tuple[Any, ...],
    *,
    shape: tuple[int, ...] | int | None = None,
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Samples of a transformed distribution, each with the logarithm of its density.

        x = T(u),    log f(x) = log f₀(u) − log |T′(u)|,    u ~ f₀

    The density is that of the u which was drawn, right also where T(u) is rounded to an end.

    Gradient:
        ∂x/∂θ = T′(u) ∂u/∂θ, as the samples of the base have it

    Args:
        key: The random key.
        transform: What the variable of the base was transformed by, such as ``tanh()``.
        family: The family of the base, which has the functions of one.
        parameters: The parameters of the base.
        shape: The shape of the samples, to which the parameters must broadcast; theirs by default.

    Returns:
        Independent samples, and logarithms of densities, in nats.

    Raises:
        TypeError: If an argument is of another kind, or the family lacks this function; of shapes
            that do not broadcast the function of the base says so itself.

    Example:
        >>> from fnmath.probability import normal
        >>> key = jax.random.key(0)
        >>> x, log_f = sample_with_logpdf(key, tanh(), normal, (0.0, 9.0), shape=(999,))
        >>> print((x == 1).any(), jnp.isfinite(log_f).all())
        True True

    Source:
        Papamakarios et al., Normalizing flows for probabilistic modeling and inference (2021), §2.
    """
    _checks.key("sample_with_logpdf", key)
    _known("sample_with_logpdf", transform, parameters, loc=0.0)
    u = member("sample_with_logpdf", family, "sample")(key, *parameters, shape=shape)
    return transform.forward(u), logpdf_at(u, transform, family, parameters)


def of(family: Any, transform: Transform) -> Family:
    """The family of what a transform makes of a family: its functions, of x and parameters.

        of(family, T).logpdf(x, *θ) = logpdf(x, T, family, θ)

    Args:
        family: The family of the base.
        transform: What its variable is transformed by.

    Returns:
        The functions ``pdf``, ``logpdf``, ``cdf``, ``logcdf``, ``sf``, ``logsf``, ``ppf``,
        ``isf`` and ``sample``.

    Raises:
        TypeError: If the transform is not a Transform.

    Example:
        >>> from fnmath.probability import normal
        >>> squashed = of(normal, tanh())
        >>> print(f"{squashed.logpdf(0.5, 0.0, 1.0):.4f}")
        -0.7821

    Source:
        Papamakarios et al., Normalizing flows for probabilistic modeling and inference (2021), §2.
    """
    _checked("of", "transform", transform)

    def bound(f: Any) -> Any:
        return lambda x, *parameters, **options: f(x, transform, family, parameters, **options)

    return Family(*map(bound, (pdf, logpdf, cdf, logcdf, sf, logsf, ppf, isf, sample)))
