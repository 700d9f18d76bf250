"""Activations: what a layer does to each number, or to a row of them, between its linear maps.

Notation: x is the argument, taken elementwise but where an axis is named; σ is the sigmoid; φ and Φ
are the density and the distribution function of the standard normal; e = exp(−|x|), which is at
most 1; ẋ is a tangent, x̄ a cotangent, ⟨p, ẋ⟩ = Σⱼ pⱼ ẋⱼ.

From simple to compound:

- pieces of lines: ``identity``, ``relu``, ``relu6``, ``leaky_relu``, ``prelu``, ``hard_tanh``,
  ``hard_sigmoid``, ``hard_silu``, ``sparse_sigmoid``, ``sparse_plus``
- what makes the small smaller: ``threshold``, ``hard_shrink``, ``soft_shrink``, ``tanh_shrink``
- the sigmoid and its relatives: ``sigmoid``, ``softplus``, ``log_sigmoid``, ``tanh``,
  ``soft_sign``, ``squareplus``
- exponential linear units: ``elu``, ``selu``, ``celu``
- waves: ``sinusoid``, ``gaussian``
- x times a gate: ``silu`` (``swish``), ``mish``, ``gelu``
- one feature of several: ``glu``, ``reglu``, ``geglu``, ``swiglu``, ``maxout``
- a row of scores to probabilities: ``softmax``, ``log_softmax``, ``softmin``, ``gumbel_softmax``,
  and with zeros ``sparsemax``, ``entmax15``

The reductions ``logsumexp`` and ``logmeanexp``, and ``log1mexp``, are in ``fnmath.numerics``.

The derivative as a function
----------------------------
``fnmath.calculus.derivative`` makes of an elementwise activation the function x ↦ f′(x), for arrays
of any shape, with the options of f. It is the closed form of the ``Gradient:`` lines, not a
quotient of differences, and so is the derivative of the derivative:

    >>> from fnmath.calculus import derivative
    >>> x = jnp.array([-1.0, 0.0, 1.0])
    >>> print(derivative(softplus)(x) == sigmoid(x))
    [ True  True  True]
    >>> print(f"{derivative(derivative(gelu))(0.0):.4f}")
    0.7979
    >>> print(derivative(elu)(jnp.array([0.0, 1.0]), alpha=2.0))
    [2. 1.]

Where a row has a Jacobian J, not one number, the functions of the last group give their products
ẏ = J ẋ and x̄ = Jᵀ ȳ, which ``jax.jvp`` and ``jax.vjp`` compute without J.

How the derivatives are written
-------------------------------
The tails of a smooth activation are exponentials, and so are those of its derivatives. Written
through the value they cancel: 1 − σ(20) is 2·10⁻⁹, and 0 in float32. So each function has its first
two derivatives as closed forms in e, in which nothing large is subtracted from anything large. The
exponential is the one that the value needs anyway. Where a product with e is representable but e is
not, it is taken in two factors: silu(−90) = −90 exp(−64) · exp(−26) is −7·10⁻³⁸, while
e = 8·10⁻⁴⁰ is flushed to 0. Beside a root of a derivative, where no formula in e has digits left,
the derivative is summed as its power series.

float16 and bfloat16 are computed in float32 and rounded once.
"""

from collections.abc import Callable

import jax

from fnmath.activations.exponential import celu, elu, selu
from fnmath.activations.gated import gelu, mish, silu
from fnmath.activations.pairs import geglu, glu, maxout, reglu, swiglu
from fnmath.activations.piecewise import (
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    identity,
    leaky_relu,
    prelu,
    relu,
    relu6,
    sparse_plus,
    sparse_sigmoid,
)
from fnmath.activations.shrinking import hard_shrink, soft_shrink, tanh_shrink, threshold
from fnmath.activations.sigmoidal import (
    log_sigmoid,
    sigmoid,
    soft_sign,
    softplus,
    squareplus,
    tanh,
)
from fnmath.activations.simplex import gumbel_softmax, log_softmax, softmax, softmin
from fnmath.activations.sparse import entmax15, sparsemax
from fnmath.activations.waves import gaussian, sinusoid

swish = silu
hard_swish = hard_silu

__all__ = [
    "ACTIVATIONS",
    "celu",
    "elu",
    "entmax15",
    "gaussian",
    "geglu",
    "gelu",
    "glu",
    "gumbel_softmax",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "identity",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "maxout",
    "mish",
    "prelu",
    "reglu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "sinusoid",
    "soft_shrink",
    "soft_sign",
    "softmax",
    "softmin",
    "softplus",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swiglu",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

# The elementwise ones by name, for command lines.
ACTIVATIONS: dict[str, Callable[..., jax.Array]] = {
    "identity": identity,
    "relu": relu,
    "relu6": relu6,
    "leaky_relu": leaky_relu,
    "hard_tanh": hard_tanh,
    "hard_sigmoid": hard_sigmoid,
    "hard_silu": hard_silu,
    "sparse_sigmoid": sparse_sigmoid,
    "sparse_plus": sparse_plus,
    "hard_shrink": hard_shrink,
    "soft_shrink": soft_shrink,
    "tanh_shrink": tanh_shrink,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "log_sigmoid": log_sigmoid,
    "tanh": tanh,
    "soft_sign": soft_sign,
    "squareplus": squareplus,
    "elu": elu,
    "selu": selu,
    "celu": celu,
    "sinusoid": sinusoid,
    "gaussian": gaussian,
    "silu": silu,
    "mish": mish,
    "gelu": gelu,
}
