"""Padding: what stands beyond the edges of an image.

Notation: x is an image ``*batch *space channels``, n the size of one of its axes, x̃ the image with
its margins.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from fnmath import _checks
from fnmath.layers.convolution._geometry import MODES, image_axes, pair
from fnmath.layers.convolution._margins import extended


def pad(
    x: Shaped[Array, "..."],
    amounts: int | Sequence[int | Sequence[int]],
    *,
    mode: str = "CONSTANT",
    value: float | Float[Array, ""] = 0.0,
) -> Shaped[Array, "..."]:
    """Image with margins on the axes before its channels.

        x̃[i] = x[i − low] inside; beyond, on each axis by itself,

        CONSTANT     value
        REPLICATE    x[0] before, x[n − 1] behind
        REFLECT      x[|j|],  j ≡ i − low mod 2 (n − 1),  |j| ≤ n − 1
        CIRCULAR     x[(i − low) mod n]

    These are the modes of ``torch.nn.functional.pad``. Margins may be wider than the image: it is
    reflected, or repeated, again and again, as ``numpy.pad`` does, where PyTorch refuses; a single
    entry is its own reflection.

    Gradient:
        x̄ = the cotangents inside, plus those of the margins, each added to the entry it copies;
        value̅ = the sum over the margins

    Args:
        x: Images, channels-last, with any number of batch axes, of any dtype.
        amounts: For each axis to pad, the last of which is the one before the channels: the number
            of entries on both sides, or a pair (low, high). An integer alone means one axis.
        mode: What the margins hold.
        value: The number in the margins of the mode ``"CONSTANT"``; for x of integers or booleans
            it is 0.

    Returns:
        The padded images, in the dtype of x.

    Raises:
        TypeError: If x is not an array, an amount not an integer, the mode not a string, or the
            value not a number.
        ValueError: If x has too few axes, an amount is negative, an axis without entries is to be
            copied from, the mode is none of those above, or has no use for the value.

    Example:
        >>> x = jnp.arange(1.0, 4.0)[:, None]  # one channel
        >>> print(pad(x, [(2, 1)], mode="REFLECT")[:, 0])
        [3. 2. 1. 2. 3. 2.]
        >>> print(pad(x, [(2, 1)], mode="CIRCULAR")[:, 0])
        [2. 3. 1. 2. 3. 1.]

    Source:
        Harris et al., Array programming with NumPy (2020), ``numpy.pad``;
        ``torch.nn.functional.pad``.
    """
    name = "pad"
    _checks.array(name, "x", x)
    listed = amounts if isinstance(amounts, tuple | list) else [amounts]
    if not listed:
        _checks.fail(name, f"amounts is {amounts}; wanted at least one axis")
    margins = tuple(
        pair(name, f"amounts[{i}]" if listed is amounts else "amounts", a, "an integer or a pair")
        for i, a in enumerate(listed)
    )
    sizes = image_axes(name, x, len(margins))
    _checks.option(name, "mode", mode, MODES)
    _checks.scalar(name, "value", value, closed="[]")
    if mode != "CONSTANT" and any(not n and any(m) for n, m in zip(sizes, margins, strict=True)):
        _checks.fail(name, f"x has shape {jnp.shape(x)}; wanted entries that {mode} can copy")
    plain = isinstance(value, int | float) and value == 0
    if not plain and mode != "CONSTANT":
        _checks.fail(name, f"value is {value}, which the mode {mode!r} does not use; wanted 0")
    if not plain and not jnp.issubdtype(jnp.result_type(x), jnp.inexact):
        problem = f"value is {value} and x has dtype {jnp.result_type(x)}; wanted a value of 0"
        _checks.fail(name, problem, "x.astype(jnp.float32)")
    modes = (mode,) * len(margins)
    padded = extended(jnp.asarray(x), margins, modes)
    if plain:
        return padded
    # Chosen, not padded with: lax.pad has no derivative with respect to its value alone.
    inside = extended(jnp.ones((*sizes, 1), bool), margins, modes)
    return jnp.where(inside, padded, jnp.asarray(value, padded.dtype))
