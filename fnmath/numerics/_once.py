"""What is computed once, and not too early: XLA forms entries anew wherever they are used.

On CPUs above all, a number that is used by five others is formed five times, with all that it is
made of, as often as these go into different loops: the tail of a normal distribution so took six
times as long. What a reduction gives is written to memory instead, and one of several arrays writes
all of them in one loop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax


def _added(a: Sequence[jax.Array], b: Sequence[jax.Array]) -> list[jax.Array]:
    """The sums a + b, written so that XLA forms them itself.

    A sum of one array, all that is left of a pair whose tail nothing uses, it would hand to a
    library, which took 2.4 ms for 10⁵ sums of two.
    """
    return [x - (-y) for x, y in zip(a, b, strict=True)]


@jax.custom_jvp
def _written(arrays: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    def row(x: jax.Array) -> jax.Array:
        return lax.pad(x[None], zero, [(0, 1, 0), *[(0, 0, 0)] * x.ndim])

    zero = lax.full((), -0.0, arrays[0].dtype)
    rows = [row(x) for x in arrays]
    return tuple(lax.reduce(rows, [zero] * len(rows), _added, (0,)))


_written.defjvp(lambda primals, tangents: (_written(*primals), *tangents))


def once(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """The arrays, of one shape and dtype, as sums of themselves and −0; at least two of them.

    Accelerators fuse differently, and are left alone.
    """
    return _written(arrays) if jax.default_backend() == "cpu" else arrays


def sum_of_rows(terms: jax.Array) -> jax.Array:
    """The sum over the first axis, as a product of matrices.

    A sum over numbers that it forms itself XLA takes one by one, on CPUs in five times the time.
    """
    rows = terms.reshape(terms.shape[0], math.prod(terms.shape[1:]))
    total = jnp.ones(terms.shape[0], terms.dtype).dot(rows, precision="highest")
    return total.reshape(terms.shape[1:])


def unforeseen(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """The same arrays, of which XLA does not know that some are constants.

    It would take (x + c) − c for x, as if sums of floating-point numbers were not rounded, so that
    what rounding took from x + c came out as 0. Where arguments are no constants this costs nothing
    but that they are written to memory. One by one, since together all of them would count as moved
    where one is differentiated, and an infinite slope times a movement of 0 is nan.
    """
    return tuple(lax.optimization_barrier(jnp.array(x)) for x in arrays)
