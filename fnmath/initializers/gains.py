"""Gains: by how much weights must be wider because of the activation before them.

Notation: f is the activation, z a standard normal variable with density φ; g is the gain, so that
weights of variance g²/n_in give back the second moment that f took.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from fnmath import _checks
from fnmath.initializers._arguments import python_number
from fnmath.initializers._quadrature import elementwise, panels

_LINEAR = ("linear", "conv1d", "conv2d", "conv3d")
_TRANSPOSED = tuple(f"conv_transpose{d}d" for d in (1, 2, 3))
_GAINS = {
    **dict.fromkeys((*_LINEAR, *_TRANSPOSED, "sigmoid"), 1.0),
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "leaky_relu": math.sqrt(2 / (1 + 0.01**2)),
    "selu": 3 / 4,
}


def _known(name: str, activation: object) -> None:
    """Raise unless the activation is a name of the table."""
    wanted = ", ".join(map(repr, _GAINS))
    if not isinstance(activation, str):
        came = "None" if activation is None else f"a {type(activation).__name__}"
        problem = f"activation is {came}; wanted a function or one of {wanted}"
        _checks.fail(name, problem, error=TypeError)
    if activation not in _GAINS:
        problem = f"activation is {activation!r}; wanted one of {wanted}"
        _checks.fail(name, problem, "the function itself")


def calculate_gain(activation: str | Callable[[Array], Array], param: float | None = None) -> float:
    """Gain of an activation: the standard deviation of weights that undoes its loss of signal.

        g = 1 / √(E f(z)²),    z ~ 𝒩(0, 1)

    ``variance_scaling(g**2, "fan_in", …)`` then gives sums of variance 1 to the next layer, if
    those of this one had it. A function has its own gain, computed so; a name has the one that
    custom gives it, which is PyTorch's table and is not always this number:

        name                     by name                  by function
        linear, conv1d, …        1                        1
        relu                     √2                       √2
        leaky_relu, slope a      √(2 / (1 + a²))          the same
        tanh                     5/3                      1.5925
        sigmoid                  1                        1.8462
        selu                     3/4                      1

    The expectation is a quadrature: Gauss's on panels of width ½, since Gauss–Hermite points leave
    few digits of functions with kinks (256 of them two of hard_tanh's gain).

    5/3 and ¾ are rules of thumb: with the first the variance of the sums settles at 1.18, the
    second trades selu's fixed point for steadier gradients. A sigmoid's 1 is the absence of a rule.

    Args:
        activation: An elementwise function f, or a name of the table.
        param: The negative slope a of ``"leaky_relu"``, 0.01 when None; None for all others.

    Returns:
        The gain, a Python number of double precision whatever JAX's default is: ∞ for a function
        that is 0 wherever the normal density is not.

    Raises:
        TypeError: If the activation is neither a function nor a name, or gives no floating-point
            numbers, or param is not a number.
        ValueError: If the name is not in the table, the function not elementwise or dependent on
            traced values, or param was given to an activation that has none.

    Example:
        >>> print(calculate_gain("relu"), f"{calculate_gain(jnp.tanh):.4f}")
        1.4142135623730951 1.5925

    Source:
        He, Zhang, Ren and Sun, Delving deep into rectifiers (2015), §2.2 (relu and leaky relu);
        ``torch.nn.init.calculate_gain`` (the names).
    """
    name = "calculate_gain"
    leaky = isinstance(activation, str) and activation == "leaky_relu"
    if param is not None and not leaky:
        _checks.fail(name, f"param is {param!r}; wanted None but for 'leaky_relu'")
    if not callable(activation):
        _known(name, activation)
        if param is None:
            return _GAINS[activation]
        python_number(name, "param", param)
        return math.sqrt(2 / (1 + float(param) ** 2))
    z, weights = panels()
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        y = elementwise(name, activation, jnp.asarray(z))
    try:
        values = np.asarray(y, np.float64)
    except jax.errors.TracerArrayConversionError:
        _checks.fail(name, "activation depends on traced values; wanted a function of x alone")
    with np.errstate(divide="ignore", over="ignore"):
        return float(1 / np.sqrt(np.sum(weights * np.square(values))))
