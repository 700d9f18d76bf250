"""The einsum layer: a linear map between any axes, in Einstein's notation.

Notation: an equation ``"x,W->y"`` names each axis of the input x, of the kernel W and of the output
y by a letter; ``...`` stands for the batch axes. A letter of the kernel is one of three:

    contracted    not in y          summed over: the map's inputs
    shared        in x and in y     one separate kernel for each value of it
    new           in y, not in x    the map's outputs

so that ``"...d,dhk->...hk"`` maps d features to h heads of k features each, and
``"...hk,hkd->...d"`` maps them back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from fnmath import _checks
from fnmath.initializers import lecun_normal, zeros
from fnmath.layers._arguments import Initializer, drawn, unpacked


class EinsumDenseParams(NamedTuple):
    """The parameters of an einsum layer: ``kernel``, of any shape, and ``bias`` or None."""

    kernel: Float[Array, "..."]
    bias: Float[Array, "..."] | None = None


class _Equation(NamedTuple):
    """The letters of ``"x,kernel->y"``, the batch axes written as ``"..."``."""

    x: str
    kernel: str
    y: str

    @property
    def contracted(self) -> str:
        return "".join(i for i in self.kernel if i not in self.y)

    @property
    def shared(self) -> str:
        return "".join(i for i in self.kernel if i in self.x and i in self.y)

    @property
    def new(self) -> str:
        return "".join(i for i in self.kernel if i in self.y and i not in self.x)

    @property
    def bias(self) -> str:
        """The kernel's letters that the output keeps, in the output's order."""
        return "".join(i for i in self.y if i in self.kernel and i != ".")


def einsum_dense_init(
    key: PRNGKeyArray,
    equation: str,
    kernel_shape: Sequence[int],
    *,
    bias_shape: Sequence[int] | None = None,
    kernel_init: Initializer | None = None,
    bias_init: Initializer = zeros,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> EinsumDenseParams:
    """Random parameters of an einsum layer.

        W ~ 𝒩(0, 1/m), truncated,    b = 0        m: the product of the contracted sizes

    The kernel is drawn as what it is, a matrix from its contracted axes to its new ones (for each
    value of a shared axis another), and then folded into its shape. So the fans are right whatever
    the order of the letters, of every initialiser: Flax and Keras look at the last two axes alone.

    Args:
        key: The random key, consumed by the kernel (and by a random bias initialiser).
        equation: The axes of input, kernel and output, such as ``"...d,dhk->...hk"``.
        kernel_shape: The size of each axis of the kernel.
        bias_shape: The shape of the bias: the sizes of the kernel's letters that the output keeps,
            in the output's order; 1 where the bias is the same along an axis. None for no bias.
        kernel_init: Draws each matrix, as ``kernel_init(key, (m, n), dtype)``, n being the product
            of the new sizes; LeCun's truncated normal when None.
        bias_init: Draws the bias, as ``bias_init(key, bias_shape, dtype)``.
        dtype: The dtype of both.

    Returns:
        The parameters.

    Raises:
        TypeError: If the key is not a random key, the equation not a string, a shape not a tuple of
            integers, an initialiser not a function or what it draws not an array, or the dtype not
            a floating one.
        ValueError: If the equation is not ``x,kernel->y`` with each letter once in each term, a
            shape does not fit it, a size is below 1, or an initialiser draws another shape than
            asked for.

    Example:
        >>> params = einsum_dense_init(jax.random.key(0), "...d,dhk->...hk", (64, 4, 16))
        >>> print(params.kernel.shape, f"{64 * params.kernel.var():.1f}", params.bias)
        (64, 4, 16) 1.0 None

    Source:
        LeCun, Bottou, Orr and Müller, Efficient BackProp (1998), §4.6; the layer is ``Einsum`` of
        Flax and ``EinsumDense`` of Keras.
    """
    name = "einsum_dense_init"
    _checks.key(name, key)
    letters = _parsed(name, equation)
    shape = _sizes(name, "kernel_shape", kernel_shape)
    _checks.dtype(name, "dtype", dtype, jnp.floating, "a floating dtype")
    _named(name, "kernel_shape", shape, letters.kernel)
    _checks.function(name, "bias_init", bias_init)
    kernel_key, bias_key = jax.random.split(key)
    kernel_init = lecun_normal() if kernel_init is None else kernel_init
    kernel = _folded(name, kernel_init, kernel_key, letters, shape, dtype)
    if bias_shape is None:
        return EinsumDenseParams(kernel)
    bias_shape = _sizes(name, "bias_shape", bias_shape)
    _bias_fits(name, "bias_shape", bias_shape, letters, shape)
    return EinsumDenseParams(
        kernel, drawn(name, "bias_init", bias_init, bias_key, bias_shape, dtype)
    )


def einsum_dense(
    params: EinsumDenseParams, x: Float[Array, "..."], *, equation: str
) -> Float[Array, "..."]:
    """Linear map between the axes that an equation names, plus the bias.

        y = Σ_contracted x W + b,    of "...d,dhk->...hk":  yₕₖ = Σ_d x_d W_dhk + bₕₖ

    It is one matrix product, with the axes grouped and ordered by the compiler. Letters of x that
    stand nowhere else are summed over too.

    Gradient:
        x̄ = einsum("y,W->x", ȳ, W),    W̄ = einsum("x,y->W", x, ȳ),    b̄ = Σ_batch ȳ

    and an axis of x that only is summed over gets the same cotangent at each place.

    Args:
        params: The kernel and the bias, which may be None. The bias has the kernel's letters that
            the output keeps, in the output's order.
        x: The input.
        equation: The axes of input, kernel and output, such as ``"...d,dhk->...hk"``.

    Returns:
        The output, with the axes that the equation names.

    Raises:
        TypeError: If params is not a pair, an array does not hold floating-point numbers, or the
            equation is not a string.
        ValueError: If the equation is not ``x,kernel->y`` with each letter once in each term, or
            the shapes of x, kernel and bias do not fit it.

    Example:
        >>> params = EinsumDenseParams(jnp.arange(8.0).reshape(2, 2, 2))
        >>> print(einsum_dense(params, jnp.array([1.0, 10.0]), equation="...d,dhk->...hk"))
        [[40. 51.]
         [62. 73.]]

    Source:
        Einstein, Die Grundlage der allgemeinen Relativitätstheorie (1916), §5; ``Einsum`` of Flax.
    """
    name = "einsum_dense"
    letters = _parsed(name, equation)
    kernel, bias = unpacked(name, params, EinsumDenseParams)
    _checks.floating(name, x=x, kernel=kernel)
    _named(name, "kernel", kernel.shape, letters.kernel)
    _named(name, "x", jnp.shape(x), letters.x)
    _same_letters(name, x, kernel, letters)
    y = jnp.einsum(f"{letters.x},{letters.kernel}->{letters.y}", x, kernel)
    if bias is None:
        return y
    _checks.floating(name, bias=bias)
    _bias_fits(name, "bias", jnp.shape(bias), letters, kernel.shape)
    sizes = iter(jnp.shape(bias))
    places = _places(letters.y, y.ndim)
    return y + bias.reshape([next(sizes) if i in letters.bias else 1 for i in places])


def _folded(
    name: str,
    init: Any,
    key: PRNGKeyArray,
    letters: _Equation,
    shape: tuple[int, ...],
    dtype: jax.typing.DTypeLike,
) -> Float[Array, "..."]:
    """The kernel, drawn as matrices (contracted, new) and folded into its shape."""
    size = dict(zip(letters.kernel, shape, strict=True))
    copies, inputs, outputs = (
        math.prod(size[i] for i in group)
        for group in (letters.shared, letters.contracted, letters.new)
    )

    def matrix(key: PRNGKeyArray) -> Array:
        return drawn(name, "kernel_init", init, key, (inputs, outputs), dtype)

    drawings = jax.vmap(matrix)(jax.random.split(key, copies)) if letters.shared else matrix(key)
    order = letters.shared + letters.contracted + letters.new
    unfolded = drawings.reshape([size[i] for i in order])
    return unfolded.transpose([order.index(i) for i in letters.kernel])


def _parsed(name: str, equation: Any) -> _Equation:
    """The three terms of an equation; raise unless it is one."""
    if not isinstance(equation, str):
        problem = f"equation is a {type(equation).__name__}; wanted a string"
        _checks.fail(name, problem, '"...d,dk->...k"', error=TypeError)
    inputs, arrow, y = equation.replace(" ", "").partition("->")
    terms = (*inputs.split(","), y)
    if not arrow or len(terms) != 3:
        _checks.fail(name, f'equation is "{equation}"; wanted "x,kernel->y"', '"...d,dk->...k"')
    letters = _Equation(*terms)
    for term in letters:
        rest = term.replace("...", "", 1)
        if not (rest == "" or (rest.isascii() and rest.isalpha())) or len(set(rest)) < len(rest):
            problem = f'"{term}" of the equation "{equation}"; wanted letters, each once'
            _checks.fail(name, problem)
    if "..." in letters.kernel or ("..." in letters.x) != ("..." in letters.y):
        _checks.fail(name, f'equation is "{equation}"; wanted "..." in x and in y, or in neither')
    if strange := set(letters.y) - set(letters.x) - set(letters.kernel):
        came = ", ".join(sorted(strange))
        _checks.fail(name, f'equation is "{equation}"; wanted {came} in x or in the kernel too')
    return letters


def _sizes(name: str, argument: str, shape: Any) -> tuple[int, ...]:
    """A shape given as a tuple or a list of sizes of at least 1."""
    if not isinstance(shape, tuple | list):
        problem = f"{argument} is a {type(shape).__name__}; wanted a tuple of integers"
        _checks.fail(name, problem, error=TypeError)
    _checks.size(name, **{f"{argument}[{i}]": n for i, n in enumerate(shape)})
    return tuple(int(n) for n in shape)


def _named(name: str, argument: str, shape: tuple[int, ...], term: str) -> None:
    """Raise unless the shape has the axes of the term, and others only where it says ``...``."""
    letters, count = term.replace("...", ""), len(shape)
    if count < len(letters) or (count > len(letters) and "..." not in term):
        exactly = "at least" if "..." in term else "exactly"
        problem = f'{argument} {shape} must have {exactly} {len(letters)} axes, "{term}"'
        _checks.fail(name, problem)


def _places(term: str, rank: int) -> list[str]:
    """The letter of each axis of an array, ``"."`` for those of the batch."""
    batch = rank - len(term.replace("...", ""))
    return list(term.replace("...", "." * batch))


def _same_letters(name: str, x: Any, kernel: Any, letters: _Equation) -> None:
    """Raise unless x and the kernel agree on the size of each letter that they share."""
    in_x = dict(zip(_places(letters.x, x.ndim), x.shape, strict=True))
    for letter, n in zip(letters.kernel, kernel.shape, strict=True):
        if letter in in_x:
            _checks.same_size(name, f'"{letter}"', x=in_x[letter], kernel=n)


def _bias_fits(
    name: str,
    argument: str,
    shape: tuple[int, ...],
    letters: _Equation,
    kernel_shape: tuple[int, ...],
) -> None:
    """Raise unless the shape of the bias is that of the kernel's letters in the output, or 1s."""
    size = dict(zip(letters.kernel, kernel_shape, strict=True))
    wanted = tuple(size[i] for i in letters.bias)
    fits = len(shape) == len(wanted)
    if not fits or any(n not in (1, m) for n, m in zip(shape, wanted, strict=True)):
        problem = f'{argument} {shape} must be {wanted}, the sizes of "{letters.bias}"'
        _checks.fail(name, problem)
