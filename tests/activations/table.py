"""The elementwise activations: each with an independent formula, its lines, its limits."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import mpmath
import numpy as np
from jax.scipy.stats import norm

from fnmath import activations as fn


class Row(NamedTuple):
    """One elementwise activation, with some choice of its options.

    ``formula`` is the textbook's, in mpmath's numbers; ``lines`` are the ``Gradient:`` lines for f′
    and f″ as they stand; ``ends`` are (f, f′, f″) at −∞ and at ∞; ``ulps`` bound the float32 errors
    of f, f′ and f″; ``kinks`` are where f′ or f″ jumps.
    """

    f: Callable
    formula: Callable
    lines: tuple[Callable, Callable]
    ends: tuple[tuple, tuple]
    ulps: tuple[float, float, float] = (3, 4, 5)
    kinks: tuple[float, ...] = ()


def mp_sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def mp_gelu(x):
    a = mpmath.sqrt(8 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3)
    return x * mp_sigmoid(a)


def clipped(x, low, high):
    return min(max(x, mpmath.mpf(low)), mpmath.mpf(high))


def zero(x):
    return jnp.zeros_like(x)


def step(edge, left=0.0, right=1.0):
    return lambda x: jnp.where(x > edge, right, left)


def inside(edge, height):
    return lambda x: jnp.where(jnp.abs(x) < edge, height, 0.0)


def outside(edge):
    return lambda x: jnp.where(jnp.abs(x) > edge, 1.0, 0.0)


def exponential_side(right, scale=1.0, weight=1.0):
    return lambda x: jnp.where(x > 0, right, weight * jnp.exp(jnp.minimum(x, 0) / scale))


def gelu_slope(x):
    a, da = gelu_argument(x)
    return fn.sigmoid(a) * (1 + x * da * fn.sigmoid(-a))


def gelu_argument(x):
    c = 2 * np.sqrt(2 / np.pi)
    return c * (x + 0.044715 * x**3), c * (1 + 0.134145 * x**2)


def gelu_curvature(x):
    a, da = gelu_argument(x)
    bend = 2 * np.sqrt(2 / np.pi) * 0.26829 * x
    s, opposite = fn.sigmoid(a), fn.sigmoid(-a)
    return s * opposite * (2 * da + x * bend + x * da**2 * (opposite - s))


def mish_parts(x):
    w = jnp.exp(x)
    D = 2 + 2 * w + w**2
    slope = 4 * w * (1 + w) / D**2
    return w * (2 + w) / D, slope, 4 * w * (2 + 2 * w - 3 * w**2 - 2 * w**3) / D**3


def mish_slope(x):
    g, slope, _ = mish_parts(x)
    return g + x * slope


def mish_curvature(x):
    _, slope, curvature = mish_parts(x)
    return 2 * slope + x * curvature


def sigmoid_slope(x):
    return fn.sigmoid(x) * fn.sigmoid(-x)


def tanh_slope(x):
    return 4 * fn.sigmoid(2 * x) * fn.sigmoid(-2 * x)


def root(x, b):
    return jnp.sqrt(x**2 + b)


inf = np.inf
FLAT, LINE = (0, 0, 0), (inf, 1, 0)  # the ends of what is 0, or the identity, far out
LAMBDA = 1.0507009873554804934193349852946
LEVEL = LAMBDA * 1.6732632423543772848170429916717
gelu_erf = functools.partial(fn.gelu, approximate=False)
leaky = functools.partial(fn.leaky_relu, negative_slope=0.25)
flat_leaky = functools.partial(fn.leaky_relu, negative_slope=0.0)
steep_elu = functools.partial(fn.elu, alpha=2.5)
narrow_celu = functools.partial(fn.celu, alpha=0.625)
wide_hard_shrink = functools.partial(fn.hard_shrink, lambd=1.5)
wide_soft_shrink = functools.partial(fn.soft_shrink, lambd=1.5)
narrow_squareplus = functools.partial(fn.squareplus, b=0.125)
slow_wave = functools.partial(fn.sinusoid, omega=0.75)
above_two = functools.partial(fn.threshold, threshold=2.0, value=-7.0)

TABLE = {
    "identity": Row(fn.identity, lambda x: x, (jnp.ones_like, zero), ((-inf, 1, 0), LINE)),
    "relu": Row(fn.relu, lambda x: max(x, 0), (step(0), zero), (FLAT, LINE), kinks=(0,)),
    "relu6": Row(
        fn.relu6,
        lambda x: clipped(x, 0, 6),
        (lambda x: jnp.where((x > 0) & (x < 6), 1.0, 0), zero),
        (FLAT, (6, 0, 0)),
        kinks=(0, 6),
    ),
    "leaky_relu": Row(
        leaky,
        lambda x: x if x > 0 else x / 4,
        (step(0, 0.25), zero),
        ((-inf, 0.25, 0), LINE),
        kinks=(0,),
    ),
    "leaky_relu of slope 0": Row(
        flat_leaky, lambda x: max(x, 0), (step(0), zero), (FLAT, LINE), kinks=(0,)
    ),
    "hard_tanh": Row(
        fn.hard_tanh,
        lambda x: clipped(x, -1, 1),
        (inside(1, 1.0), zero),
        ((-1, 0, 0), (1, 0, 0)),
        kinks=(-1, 1),
    ),
    "hard_sigmoid": Row(
        fn.hard_sigmoid,
        lambda x: clipped(x + 3, 0, 6) / 6,
        (inside(3, 1 / 6), zero),
        (FLAT, (1, 0, 0)),
        kinks=(-3, 3),
    ),
    "hard_silu": Row(
        fn.hard_silu,
        lambda x: x * clipped(x + 3, 0, 6) / 6,
        (
            lambda x: jnp.where(x <= -3, 0, jnp.where(x >= 3, 1, (2 * x + 3) / 6)),
            inside(3, 1 / 3),
        ),
        (FLAT, LINE),
        kinks=(-3, 3),
    ),
    "sparse_sigmoid": Row(
        fn.sparse_sigmoid,
        lambda x: clipped(x + 1, 0, 2) / 2,
        (inside(1, 0.5), zero),
        (FLAT, (1, 0, 0)),
        kinks=(-1, 1),
    ),
    "sparse_plus": Row(
        fn.sparse_plus,
        lambda x: x if x > 1 else max(x + 1, 0) ** 2 / 4,
        (fn.sparse_sigmoid, inside(1, 0.5)),
        (FLAT, LINE),
        kinks=(-1, 1),
    ),
    "threshold": Row(
        above_two,
        lambda x: x if x > 2 else mpmath.mpf(-7),
        (step(2), zero),
        ((-7, 0, 0), LINE),
        kinks=(2,),
    ),
    "hard_shrink": Row(
        wide_hard_shrink,
        lambda x: x if abs(x) > 1.5 else mpmath.mpf(0),
        (outside(1.5), zero),
        ((-inf, 1, 0), LINE),
        kinks=(-1.5, 1.5),
    ),
    "soft_shrink": Row(
        wide_soft_shrink,
        lambda x: mpmath.sign(x) * max(abs(x) - 1.5, 0),
        (outside(1.5), zero),
        ((-inf, 1, 0), LINE),
        kinks=(-1.5, 1.5),
    ),
    "tanh_shrink": Row(
        fn.tanh_shrink,
        lambda x: x - mpmath.tanh(x),
        (lambda x: jnp.tanh(x) ** 2, lambda x: 2 * jnp.tanh(x) / jnp.cosh(x) ** 2),
        ((-inf, 1, 0), LINE),
        (3, 4, 5),
    ),
    "sigmoid": Row(
        fn.sigmoid,
        mp_sigmoid,
        (sigmoid_slope, lambda x: -sigmoid_slope(x) * jnp.tanh(x / 2)),
        (FLAT, (1, 0, 0)),
        (3, 4, 6),
    ),
    "softplus": Row(
        fn.softplus,
        lambda x: mpmath.log1p(mpmath.exp(x)),
        (fn.sigmoid, sigmoid_slope),
        (FLAT, LINE),
    ),
    "log_sigmoid": Row(
        fn.log_sigmoid,
        lambda x: -mpmath.log1p(mpmath.exp(-x)),
        (lambda x: fn.sigmoid(-x), lambda x: -sigmoid_slope(x)),
        ((-inf, 1, 0), FLAT),
    ),
    "tanh": Row(
        fn.tanh,
        mpmath.tanh,
        (tanh_slope, lambda x: -2 * fn.tanh(x) * tanh_slope(x)),
        ((-1, 0, 0), (1, 0, 0)),
        (5, 4, 5),
    ),
    "soft_sign": Row(
        fn.soft_sign,
        lambda x: x / (1 + abs(x)),
        (
            lambda x: 1 / (1 + jnp.abs(x)) ** 2,
            lambda x: -2 * jnp.sign(x) / (1 + jnp.abs(x)) ** 3,
        ),
        ((-1, 0, 0), (1, 0, 0)),
        (3, 4, 6),
        kinks=(0,),
    ),
    "squareplus": Row(
        fn.squareplus,
        lambda x: (x + mpmath.sqrt(x**2 + 4)) / 2,
        (lambda x: fn.squareplus(x) / root(x, 4), lambda x: 2 / root(x, 4) ** 3),
        (FLAT, LINE),
        (3, 5, 5),
    ),
    "squareplus of b = 1/8": Row(
        narrow_squareplus,
        lambda x: (x + mpmath.sqrt(x**2 + 0.125)) / 2,
        (
            lambda x: narrow_squareplus(x) / root(x, 0.125),
            lambda x: 0.0625 / root(x, 0.125) ** 3,
        ),
        (FLAT, LINE),
        (3, 5, 5),
    ),
    "elu": Row(
        fn.elu,
        lambda x: x if x > 0 else mpmath.expm1(x),
        (exponential_side(1.0), exponential_side(0.0)),
        ((-1, 0, 0), LINE),
        kinks=(0,),
    ),
    "elu of α = 2.5": Row(
        steep_elu,
        lambda x: x if x > 0 else mpmath.expm1(x) * 5 / 2,
        (exponential_side(1.0, weight=2.5), exponential_side(0.0, weight=2.5)),
        ((-2.5, 0, 0), LINE),
        kinks=(0,),
    ),
    "celu of α = 5/8": Row(
        narrow_celu,
        lambda x: x if x > 0 else mpmath.expm1(x * 8 / 5) * 5 / 8,
        (exponential_side(1.0, 0.625), exponential_side(0.0, 0.625, 1.6)),
        ((-0.625, 0, 0), LINE),
        kinks=(0,),
    ),
    "selu": Row(
        fn.selu,
        lambda x: LAMBDA * x if x > 0 else LEVEL * mpmath.expm1(x),
        (exponential_side(LAMBDA, weight=LEVEL), exponential_side(0.0, weight=LEVEL)),
        ((-LEVEL, 0, 0), (inf, LAMBDA, 0)),
        kinks=(0,),
    ),
    "sinusoid": Row(
        slow_wave,
        lambda x: mpmath.sin(x * 3 / 4),
        (lambda x: 0.75 * jnp.cos(0.75 * x), lambda x: -(0.75**2) * jnp.sin(0.75 * x)),
        ((np.nan,) * 3, (np.nan,) * 3),
    ),
    "gaussian": Row(
        fn.gaussian,
        lambda x: mpmath.exp(-(x**2)),
        (
            lambda x: -2 * x * fn.gaussian(x),
            lambda x: (4 * x**2 - 2) * fn.gaussian(x),
        ),
        (FLAT, FLAT),
    ),
    "silu": Row(
        fn.silu,
        lambda x: x * mp_sigmoid(x),
        (
            lambda x: fn.sigmoid(x) * (1 + x * fn.sigmoid(-x)),
            lambda x: sigmoid_slope(x) * (2 - x * jnp.tanh(x / 2)),
        ),
        (FLAT, LINE),
        (3, 5, 6),
    ),
    "mish": Row(
        fn.mish,
        lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
        (mish_slope, mish_curvature),
        (FLAT, LINE),
        (4, 9, 16),
    ),
    "gelu": Row(fn.gelu, mp_gelu, (gelu_slope, gelu_curvature), (FLAT, LINE), (4, 5, 10)),
    "gelu of erf": Row(
        gelu_erf,
        lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
        (
            lambda x: norm.cdf(x) + x * norm.pdf(x),
            lambda x: (2 - x**2) * norm.pdf(x),
        ),
        (FLAT, LINE),
        (6, 4, 4),
    ),
}
