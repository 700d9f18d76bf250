"""Initialisers of kernels, whose spread follows from the number of connections.

Notation: n_in and n_out are the fan-in and the fan-out of a kernel (*window, in, out).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.initializers._arguments import (
    Axes,
    DType,
    Initializer,
    Shape,
    axes,
    checked,
    counted_axes,
    default_dtype,
    positive,
)


def _fans(name: str, shape: tuple[int, ...], **named: tuple[int, ...]) -> tuple[int, int]:
    """The fan-in and the fan-out: what the axes of the inputs, outputs and the window count."""
    if len(shape) < 2 and named["in_axis"] == (-2,):
        problem = f"shape is {shape}; wanted at least 2 axes, (*window in out)"
        _checks.fail(name, problem, "zeros, for a bias" if len(shape) == 1 else "")
    if 0 in shape:
        problem = f"shape is {shape}; wanted no axis of size 0, whose fan has no inverse"
        _checks.fail(name, problem)
    counted = {argument: counted_axes(name, argument, i, shape) for argument, i in named.items()}
    every = [i for several in counted.values() for i in several]
    if len(set(every)) < len(every):
        came = ", ".join(f"{argument} {i}" for argument, i in named.items())
        _checks.fail(name, f"{came} of the shape {shape}; wanted each axis once at most")
    window = math.prod(n for i, n in enumerate(shape) if i not in every)
    inputs, outputs, _ = (math.prod(shape[i] for i in indices) for indices in counted.values())
    return window * inputs, window * outputs


# The standard deviation of a standard normal variable that is drawn again until it lies in ±2:
# its variance is 1 − 2·2 φ(2)/(Φ(2) − Φ(−2)).
_TRUNCATED_STDDEV = math.sqrt(
    1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))
)

_DRAWS: dict[str, Callable[..., jax.Array]] = {
    "truncated_normal": lambda key, shape, dtype: (
        jax.random.truncated_normal(key, -2, 2, shape, dtype) / _TRUNCATED_STDDEV
    ),
    "normal": jax.random.normal,
    "uniform": lambda key, shape, dtype: (
        math.sqrt(3) * jax.random.uniform(key, shape, dtype, minval=-1)
    ),
}
_FANS: dict[str, Callable[[int, int], float]] = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
    "fan_geo_avg": lambda fan_in, fan_out: math.sqrt(fan_in * fan_out),
}


def variance_scaling(
    scale: float | Float[Array, ""],
    mode: str,
    distribution: str,
    in_axis: Axes = -2,
    out_axis: Axes = -1,
    batch_axis: Axes = (),
    dtype: DType = None,
) -> Initializer:
    """Initialiser of kernels whose variance is set by the number of connections.

        E W = 0,    Var W = s / n        n: the fan-in, the fan-out, or their average

    All the named initialisers below are this one. The introduction of the chapter says which s and
    n keep the variance of the signal, or of its gradient, from layer to layer.

    Args:
        scale: The factor s > 0: 1 for linear layers, 2 before a relu, in general the square of
            ``calculate_gain``. An array that is not above 0 gives nan.
        mode: The n to divide by: ``"fan_in"``, ``"fan_out"``, ``"fan_avg"`` (½ n_in + ½ n_out) or
            ``"fan_geo_avg"`` (√(n_in n_out)).
        distribution: ``"truncated_normal"`` (drawn again beyond two standard deviations, then
            widened to the variance asked for, so that |W| < 2.28 √(s/n)), ``"normal"``, or
            ``"uniform"`` (on ±√(3 s/n)).
        in_axis: The axis of the inputs, or several.
        out_axis: The axis of the outputs, or several.
        batch_axis: Axes over which separate kernels are stacked, which count for no fan. All axes
            that are none of these three are those of the window.
        dtype: The dtype where none is asked for; JAX's default one when None.

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out). It raises
        ``ValueError`` for a shape that has no fan, having too few axes or one of size 0.

    Raises:
        TypeError: If the scale is not a number, an option not a string, an axis not an integer, or
            the dtype not a floating one.
        ValueError: If the scale is not above 0, or an option is none of those above.

    Example:
        >>> init = variance_scaling(2.0, "fan_in", "normal")
        >>> W = init(jax.random.key(0), (3, 3, 16, 256))  # fan-in 144
        >>> print(f"{144 * W.var():.1f}")
        2.0

    Source:
        He, Zhang, Ren and Sun, Delving deep into rectifiers (2015), §2.2;
        ``jax.nn.initializers.variance_scaling``.
    """
    name = "variance_scaling"
    s = positive(name, "scale", scale)
    _checks.option(name, "mode", mode, _FANS)
    _checks.option(name, "distribution", distribution, _DRAWS)
    return _variance_scaling(name, s, mode, distribution, in_axis, out_axis, batch_axis, dtype)


def _variance_scaling(
    name: str,
    scale: float | Array,
    mode: str,
    distribution: str,
    in_axis: Axes,
    out_axis: Axes,
    batch_axis: Axes,
    dtype: DType,
) -> Initializer:
    given = {"in_axis": in_axis, "out_axis": out_axis, "batch_axis": batch_axis}
    named = {argument: axes(name, argument, i) for argument, i in given.items()}
    default = default_dtype(name, dtype)

    def init(key: PRNGKeyArray, shape: Shape, dtype: DType = default) -> Float[Array, "..."]:
        shape, dtype = checked(name, key, shape, dtype)
        stddev = jnp.sqrt(scale / _FANS[mode](*_fans(name, shape, **named)))
        return _DRAWS[distribution](key, shape, dtype) * stddev.astype(dtype)

    return init


def lecun_normal(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: DType = None
) -> Initializer:
    """LeCun's initialiser with normal weights, for linear layers and tanh-like units.

        Var W = 1 / n_in,    truncated normal

    An output then has the variance of the inputs.

    Args:
        in_axis: The axis of the inputs, or several.
        out_axis: The axis of the outputs, or several.
        batch_axis: Axes over which separate kernels are stacked, which count for no fan.
        dtype: The dtype where none is asked for; JAX's default one when None.

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out), with the errors of
        ``variance_scaling``'s.

    Raises:
        TypeError: If an axis is not an integer, or the dtype not a floating one.

    Example:
        >>> W = lecun_normal()(jax.random.key(0), (784, 128))
        >>> print(f"{784 * W.var():.1f}")
        1.0

    Source:
        LeCun, Bottou, Orr and Müller, Efficient BackProp (1998), §4.6.
    """
    return _variance_scaling(
        "lecun_normal", 1.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype
    )


def lecun_uniform(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: DType = None
) -> Initializer:
    """LeCun's initialiser with evenly drawn weights.

        W ~ 𝒰[−√(3/n_in), √(3/n_in)),    Var W = 1 / n_in

    Args:
        in_axis: The axis of the inputs, or several.
        out_axis: The axis of the outputs, or several.
        batch_axis: Axes over which separate kernels are stacked, which count for no fan.
        dtype: The dtype where none is asked for; JAX's default one when None.

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out), with the errors of
        ``variance_scaling``'s.

    Raises:
        TypeError: If an axis is not an integer, or the dtype not a floating one.

    Example:
        >>> W = lecun_uniform()(jax.random.key(0), (784, 128))
        >>> print(f"{784 * W.var():.1f}")
        1.0

    Source:
        LeCun, Bottou, Orr and Müller, Efficient BackProp (1998), §4.6.
    """
    return _variance_scaling(
        "lecun_uniform", 1.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype
    )


def glorot_normal(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: DType = None
) -> Initializer:
    """Glorot's initialiser with normal weights, also called Xavier's.

        Var W = 2 / (n_in + n_out),    truncated normal

    The compromise between keeping the variance of the signal and that of its gradient, which ask
    for 1/n_in and 1/n_out.

    Args:
        in_axis: The axis of the inputs, or several.
        out_axis: The axis of the outputs, or several.
        batch_axis: Axes over which separate kernels are stacked, which count for no fan.
        dtype: The dtype where none is asked for; JAX's default one when None.

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out), with the errors of
        ``variance_scaling``'s.

    Raises:
        TypeError: If an axis is not an integer, or the dtype not a floating one.

    Example:
        >>> W = glorot_normal()(jax.random.key(0), (700, 300))
        >>> print(f"{500 * W.var():.1f}")
        1.0

    Source:
        Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks
        (2010), §4.2.1.
    """
    return _variance_scaling(
        "glorot_normal", 1.0, "fan_avg", "truncated_normal", in_axis, out_axis, batch_axis, dtype
    )


def glorot_uniform(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: DType = None
) -> Initializer:
    """Glorot's initialiser with evenly drawn weights, also called Xavier's.

        W ~ 𝒰[−√(6/(n_in + n_out)), √(6/(n_in + n_out))),    Var W = 2 / (n_in + n_out)

    Args:
        in_axis: The axis of the inputs, or several.
        out_axis: The axis of the outputs, or several.
        batch_axis: Axes over which separate kernels are stacked, which count for no fan.
        dtype: The dtype where none is asked for; JAX's default one when None.

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out), with the errors of
        ``variance_scaling``'s.

    Raises:
        TypeError: If an axis is not an integer, or the dtype not a floating one.

    Example:
        >>> W = glorot_uniform()(jax.random.key(0), (700, 300))
        >>> print(f"{500 * W.var():.1f}")
        1.0

    Source:
        Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks
        (2010), §4.2.1, equation (16).
    """
    return _variance_scaling(
        "glorot_uniform", 1.0, "fan_avg", "uniform", in_axis, out_axis, batch_axis, dtype
    )


def he_normal(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: DType = None
) -> Initializer:
    """He's initialiser with normal weights, also called Kaiming's, for layers that follow a relu.

        Var W = 2 / n_in,    truncated normal

    A relu keeps half of E x², and the 2 gives it back.

    Args:
        in_axis: The axis of the inputs, or several.
        out_axis: The axis of the outputs, or several.
        batch_axis: Axes over which separate kernels are stacked, which count for no fan.
        dtype: The dtype where none is asked for; JAX's default one when None.

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out), with the errors of
        ``variance_scaling``'s.

    Raises:
        TypeError: If an axis is not an integer, or the dtype not a floating one.

    Example:
        >>> W = he_normal()(jax.random.key(0), (784, 128))
        >>> print(f"{784 * W.var():.1f}")
        2.0

    Source:
        He, Zhang, Ren and Sun, Delving deep into rectifiers (2015), §2.2, equation (10).
    """
    return _variance_scaling(
        "he_normal", 2.0, "fan_in", "truncated_normal", in_axis, out_axis, batch_axis, dtype
    )


def he_uniform(
    in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: DType = None
) -> Initializer:
    """He's initialiser with evenly drawn weights, also called Kaiming's.

        W ~ 𝒰[−√(6/n_in), √(6/n_in)),    Var W = 2 / n_in

    Args:
        in_axis: The axis of the inputs, or several.
        out_axis: The axis of the outputs, or several.
        batch_axis: Axes over which separate kernels are stacked, which count for no fan.
        dtype: The dtype where none is asked for; JAX's default one when None.

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out), with the errors of
        ``variance_scaling``'s.

    Raises:
        TypeError: If an axis is not an integer, or the dtype not a floating one.

    Example:
        >>> W = he_uniform()(jax.random.key(0), (784, 128))
        >>> print(f"{784 * W.var():.1f}")
        2.0

    Source:
        He, Zhang, Ren and Sun, Delving deep into rectifiers (2015), §2.2, equation (10).
    """
    return _variance_scaling(
        "he_uniform", 2.0, "fan_in", "uniform", in_axis, out_axis, batch_axis, dtype
    )
