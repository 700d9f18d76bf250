"""Initialisers: what the parameters of a layer are before the first step.

Notation: W is a kernel of shape (*window, in, out); w is the number of positions in its window (1
for a dense layer); n_in = w·in is its fan-in, how many inputs one output sums over; n_out = w·out
its fan-out, how many outputs one input reaches.

An initialiser is a function ``init(key, shape, dtype) -> array``; most are made by a factory:
``init = he_normal()``.

Why the variance matters
------------------------
An output of a layer is a sum of n_in products, y = Σ Wᵢ xᵢ. With independent weights of mean 0,

    Var y = n_in · Var W · E x²        (the signal, forward)
    Var x̄ = n_out · Var W · E ȳ²       (its cotangent, backward)

so that over many layers both grow or vanish geometrically unless n · Var W = 1. LeCun's choice is
Var W = 1/n_in. A relu sets half of its inputs to 0, and with them half of E x²: He's choice is
2/n_in. Glorot's, 2/(n_in + n_out), is the compromise between forward and backward.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks

Shape = tuple[int, ...] | list[int]
DType = Any
Initializer = Callable[..., jax.Array]


def _check(name: str, key: Any, shape: Any, dtype: Any) -> None:
    _checks.key(name, key)
    if not isinstance(shape, tuple | list):
        problem = f"shape is {shape!r}; wanted a tuple of integers"
        cure = f"({shape},)" if isinstance(shape, int) else ""
        _checks.fail(name, problem, cure, error=TypeError)
    _checks.size(name, minimum=0, **{f"shape[{i}]": n for i, n in enumerate(shape)})
    if not jnp.issubdtype(dtype, jnp.floating):
        problem = f"dtype is {jnp.dtype(dtype)}; wanted a floating dtype"
        _checks.fail(name, problem, "jnp.float32", error=TypeError)


def zeros(key: PRNGKeyArray, shape: Shape, dtype: DType = float) -> Float[Array, "..."]:
    """The initialiser of biases: nothing but 0.

        bᵢ = 0

    Args:
        key: A random key, which is not used: every initialiser takes one.
        shape: The shape of the array.
        dtype: Its floating dtype.

    Returns:
        An array of zeros.

    Raises:
        TypeError: If the key is not a random key, the shape not a tuple of integers, or the dtype
            not a floating one.
        ValueError: If a size is negative.

    Example:
        >>> print(zeros(jax.random.key(0), (3,)))
        [0. 0. 0.]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §8.4.
    """
    _check("zeros", key, shape, dtype)
    return jnp.zeros(tuple(shape), dtype)


def ones(key: PRNGKeyArray, shape: Shape, dtype: DType = float) -> Float[Array, "..."]:
    """The initialiser of scales: nothing but 1.

        sᵢ = 1

    Args:
        key: A random key, which is not used: every initialiser takes one.
        shape: The shape of the array.
        dtype: Its floating dtype.

    Returns:
        An array of ones.

    Raises:
        TypeError: If the key is not a random key, the shape not a tuple of integers, or the dtype
            not a floating one.
        ValueError: If a size is negative.

    Example:
        >>> print(ones(jax.random.key(0), (3,)))
        [1. 1. 1.]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §8.4.
    """
    _check("ones", key, shape, dtype)
    return jnp.ones(tuple(shape), dtype)


def constant(value: float) -> Initializer:
    """Initialiser that gives one number everywhere.

        bᵢ = c

    Args:
        value: The number c.

    Returns:
        An initialiser ``init(key, shape, dtype)``.

    Raises:
        TypeError: If the value is not a number.

    Example:
        >>> print(constant(0.1)(jax.random.key(0), (3,)))
        [0.1 0.1 0.1]

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §8.4 (biases that start a relu in
        its active half).
    """
    _checks.number("constant", "value", value)

    def init(key: PRNGKeyArray, shape: Shape, dtype: DType = float) -> Float[Array, "..."]:
        _check("constant", key, shape, dtype)
        return jnp.full(tuple(shape), value, dtype)

    return init


def normal(stddev: float) -> Initializer:
    """Initialiser that draws from a normal distribution about 0.

        Wᵢ ~ 𝒩(0, s²)

    Args:
        stddev: The standard deviation s > 0.

    Returns:
        An initialiser ``init(key, shape, dtype)``.

    Raises:
        TypeError: If the standard deviation is not a number.
        ValueError: If it is not above 0.

    Example:
        >>> W = normal(0.02)(jax.random.key(0), (1000, 64))
        >>> print(f"{W.std():.3f}")
        0.020

    Source:
        Goodfellow, Bengio and Courville, Deep Learning (2016), §8.4.
    """
    _checks.number("normal", "stddev", stddev, above=0)

    def init(key: PRNGKeyArray, shape: Shape, dtype: DType = float) -> Float[Array, "..."]:
        _check("normal", key, shape, dtype)
        return jnp.asarray(stddev, dtype) * jax.random.normal(key, tuple(shape), dtype)

    return init


def uniform(scale: float) -> Initializer:
    """Initialiser that draws evenly from 0 to a bound.

        Wᵢ ~ 𝒰[0, s)

    Args:
        scale: The bound s > 0, which is not drawn itself.

    Returns:
        An initialiser ``init(key, shape, dtype)``.

    Raises:
        TypeError: If the scale is not a number.
        ValueError: If it is not above 0.

    Example:
        >>> draw = uniform(0.1)(jax.random.key(0), (1000, 64))
        >>> print(draw.min() >= 0, f"{draw.mean():.3f}")
        True 0.050

    Source:
        ``jax.nn.initializers.uniform``, whose interval this is.
    """
    _checks.number("uniform", "scale", scale, above=0)

    def init(key: PRNGKeyArray, shape: Shape, dtype: DType = float) -> Float[Array, "..."]:
        _check("uniform", key, shape, dtype)
        return jnp.asarray(scale, dtype) * jax.random.uniform(key, tuple(shape), dtype)

    return init


def _fans(name: str, shape: Shape) -> tuple[int, int]:
    """The fan-in and fan-out of a kernel of shape (*window, in, out)."""
    if len(shape) < 2:
        problem = f"shape is {tuple(shape)}; wanted at least 2 axes, (*window in out)"
        _checks.fail(name, problem, "zeros, for a bias" if len(shape) == 1 else "")
    if 0 in shape:
        problem = f"shape is {tuple(shape)}; wanted no axis of size 0, whose fan has no inverse"
        _checks.fail(name, problem)
    *window, inputs, outputs = shape
    positions = math.prod(window)
    return positions * inputs, positions * outputs


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
}


def variance_scaling(scale: float, mode: str, distribution: str) -> Initializer:
    """Initialiser of kernels whose variance is set by the number of connections.

        E W = 0,    Var W = s / n        n: the fan-in, the fan-out, or their average

    All the named initialisers below are this one. The introduction of the chapter says which s and
    n keep the variance of the signal, or of its gradient, from layer to layer.

    Args:
        scale: The factor s > 0: 1 for linear layers, 2 before a relu.
        mode: The n to divide by: ``"fan_in"``, ``"fan_out"`` or ``"fan_avg"``.
        distribution: ``"truncated_normal"`` (drawn again beyond two standard deviations, then
            widened to the variance asked for, so that |W| < 2.28 √(s/n)), ``"normal"``, or
            ``"uniform"`` (on ±√(3 s/n)).

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out). It raises
        ``ValueError`` for a shape that has no fan, having fewer than two axes or one of size 0.

    Raises:
        TypeError: If the scale is not a number.
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
    _checks.number("variance_scaling", "scale", scale, above=0)
    _checks.option("variance_scaling", "mode", mode, _FANS)
    _checks.option("variance_scaling", "distribution", distribution, _DRAWS)
    return _variance_scaling("variance_scaling", scale, mode, distribution)


def _variance_scaling(name: str, scale: float, mode: str, distribution: str) -> Initializer:
    def init(key: PRNGKeyArray, shape: Shape, dtype: DType = float) -> Float[Array, "..."]:
        _check(name, key, shape, dtype)
        stddev = jnp.sqrt(scale / _FANS[mode](*_fans(name, shape)))
        return _DRAWS[distribution](key, tuple(shape), dtype) * stddev.astype(dtype)

    return init


def lecun_normal() -> Initializer:
    """LeCun's initialiser with normal weights, for linear layers and tanh-like units.

        Var W = 1 / n_in,    truncated normal

    An output then has the variance of the inputs.

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out), with the errors of
        ``variance_scaling``'s.

    Example:
        >>> W = lecun_normal()(jax.random.key(0), (784, 128))
        >>> print(f"{784 * W.var():.1f}")
        1.0

    Source:
        LeCun, Bottou, Orr and Müller, Efficient BackProp (1998), §4.6.
    """
    return _variance_scaling("lecun_normal", 1.0, "fan_in", "truncated_normal")


def lecun_uniform() -> Initializer:
    """LeCun's initialiser with evenly drawn weights.

        W ~ 𝒰[−√(3/n_in), √(3/n_in)),    Var W = 1 / n_in

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out), with the errors of
        ``variance_scaling``'s.

    Example:
        >>> W = lecun_uniform()(jax.random.key(0), (784, 128))
        >>> print(f"{784 * W.var():.1f}")
        1.0

    Source:
        LeCun, Bottou, Orr and Müller, Efficient BackProp (1998), §4.6.
    """
    return _variance_scaling("lecun_uniform", 1.0, "fan_in", "uniform")


def glorot_normal() -> Initializer:
    """Glorot's initialiser with normal weights, also called Xavier's.

        Var W = 2 / (n_in + n_out),    truncated normal

    The compromise between keeping the variance of the signal and that of its gradient, which ask
    for 1/n_in and 1/n_out.

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out), with the errors of
        ``variance_scaling``'s.

    Example:
        >>> W = glorot_normal()(jax.random.key(0), (700, 300))
        >>> print(f"{500 * W.var():.1f}")
        1.0

    Source:
        Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks
        (2010), §4.2.1.
    """
    return _variance_scaling("glorot_normal", 1.0, "fan_avg", "truncated_normal")


def glorot_uniform() -> Initializer:
    """Glorot's initialiser with evenly drawn weights, also called Xavier's.

        W ~ 𝒰[−√(6/(n_in + n_out)), √(6/(n_in + n_out))),    Var W = 2 / (n_in + n_out)

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out), with the errors of
        ``variance_scaling``'s.

    Example:
        >>> W = glorot_uniform()(jax.random.key(0), (700, 300))
        >>> print(f"{500 * W.var():.1f}")
        1.0

    Source:
        Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks
        (2010), §4.2.1, equation (16).
    """
    return _variance_scaling("glorot_uniform", 1.0, "fan_avg", "uniform")


def he_normal() -> Initializer:
    """He's initialiser with normal weights, also called Kaiming's, for layers that follow a relu.

        Var W = 2 / n_in,    truncated normal

    A relu keeps half of E x², and the 2 gives it back.

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out), with the errors of
        ``variance_scaling``'s.

    Example:
        >>> W = he_normal()(jax.random.key(0), (784, 128))
        >>> print(f"{784 * W.var():.1f}")
        2.0

    Source:
        He, Zhang, Ren and Sun, Delving deep into rectifiers (2015), §2.2, equation (10).
    """
    return _variance_scaling("he_normal", 2.0, "fan_in", "truncated_normal")


def he_uniform() -> Initializer:
    """He's initialiser with evenly drawn weights, also called Kaiming's.

        W ~ 𝒰[−√(6/n_in), √(6/n_in)),    Var W = 2 / n_in

    Returns:
        An initialiser ``init(key, shape, dtype)`` for shapes (*window, in, out), with the errors of
        ``variance_scaling``'s.

    Example:
        >>> W = he_uniform()(jax.random.key(0), (784, 128))
        >>> print(f"{784 * W.var():.1f}")
        2.0

    Source:
        He, Zhang, Ren and Sun, Delving deep into rectifiers (2015), §2.2, equation (10).
    """
    return _variance_scaling("he_uniform", 2.0, "fan_in", "uniform")
