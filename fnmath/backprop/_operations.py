"""One operation as a function of its inputs: its values, its way back, its local Jacobian."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnmath import _checks
from fnmath.backprop import _costs
from fnmath.backprop.record import Tensor

LARGEST = 2**22
"""How many entries a local Jacobian may have."""


def is_inexact(x: Any) -> bool:
    return bool(jnp.issubdtype(x.dtype, jnp.inexact))


def bind(equation: Any, arrays: Sequence[Any]) -> list[Any]:
    """What an equation makes of these arrays, as a list."""
    params = equation.primitive.get_bind_params(equation.params)
    with equation.ctx.manager:
        made = equation.primitive.bind(*arrays, **params)
    return list(made) if equation.primitive.multiple_results else [made]


class Linear(NamedTuple):
    """What is known of an operation's way back from the shapes alone."""

    flops: float
    reaches: tuple[bool, ...]
    """For each input whether the cotangents reach it at all."""


class Operation(NamedTuple):
    """An equation with its inputs, as a function of the active ones among them."""

    equation: Any
    arrays: tuple[Any, ...]
    active: tuple[int, ...]

    def outputs(self, which: tuple[int, ...]) -> Callable[..., tuple[tuple, tuple]]:
        """The function to some of the outputs, and, apart, the others."""

        def apply(*given: Any) -> tuple[tuple, tuple]:
            arrays = list(self.arrays)
            for i, x in zip(self.active, given, strict=True):
                arrays[i] = x
            made = bind(self.equation, arrays)
            others = tuple(x for k, x in enumerate(made) if k not in which)
            return tuple(made[k] for k in which), others

        return apply

    def key(self, which: tuple[int, ...]) -> Any:
        """What the way back depends on; None if that cannot be compared."""
        params = tuple(sorted(self.equation.params.items(), key=lambda item: item[0]))
        avals = tuple(str(v.aval) for v in self.equation.invars)
        key = self.equation.primitive, params, avals, self.active, which
        try:
            hash(key)
        except TypeError:
            return None
        return key

    def linear(self, which: tuple[int, ...]) -> Linear:
        def back(given: Any, cotangents: Any) -> Any:
            return jax.vjp(self.outputs(which), *given, has_aux=True)[1](cotangents)

        given = tuple(self.arrays[i] for i in self.active)
        avals = [self.equation.outvars[k].aval for k in which]
        seeds = tuple(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in avals)
        jaxpr = jax.make_jaxpr(back)(given, seeds).jaxpr
        reached = _costs.dependences(jaxpr, set(jaxpr.invars[len(given) :]))
        forward = _costs.jaxpr_flops(_Single((self.equation,)))
        return Linear(
            max(0.0, _costs.jaxpr_flops(jaxpr) - forward),
            tuple(not hasattr(v, "val") and v in reached for v in jaxpr.outvars),
        )


class _Single(NamedTuple):
    """A jaxpr of one equation, as far as its cost is concerned."""

    eqns: tuple[Any, ...]


class Local(NamedTuple):
    """An operation at its inputs, to be differentiated by itself."""

    label: str
    equation: Any
    values: tuple[Tensor, ...]
    reached: tuple[bool, ...]
    """Whether cotangents come to it."""
    large: str

    def __call__(self) -> tuple[Any, ...]:
        """For each input the Jacobian matrix of all floating-point outputs; None if it has none."""
        if self.large:
            problem = f"the inputs of {self.label} are not kept whole ({self.large})"
            _checks.fail("Step.jacobian", problem, "trace(..., keep=math.inf)")
        outs = tuple(k for k, v in enumerate(self.equation.outvars) if is_inexact(v.aval))
        inexact = [i for i, v in enumerate(self.equation.invars) if is_inexact(v.aval)]
        active = tuple(i for i in inexact if self.reached[i]) or tuple(inexact)
        result: list[Any] = [None] * len(self.values)
        if not active or not outs:
            return tuple(result)
        if any(x.dtype.startswith(("complex", "key")) for x in self.values):
            problem = f"{self.label} takes complex numbers or a random key; wanted real numbers"
            _checks.fail("Step.jacobian", problem)
        rows = sum(_costs.size(self.equation.outvars[k].aval) for k in outs)
        columns = max(self.values[i].size for i in active)
        if rows * columns > LARGEST:
            problem = f"the Jacobian of {self.label} is {rows} × {columns}; wanted a smaller step"
            _checks.fail("Step.jacobian", problem)
        for i in active:
            result[i] = jnp.zeros((rows, self.values[i].size), self.values[i].dtype)
        if not rows * columns:
            return tuple(result)
        arrays = tuple(map(jnp.asarray, (x.whole for x in self.values)))
        operation = Operation(self.equation, arrays, active)

        def flat(given: list[Any]) -> jax.Array:
            made, _ = operation.outputs(outs)(*given)
            return jnp.concatenate([x.reshape(-1) for x in made])

        matrices = jax.jacrev(flat)([arrays[i] for i in active])
        for i, matrix in zip(active, matrices, strict=True):
            result[i] = matrix.reshape(rows, self.values[i].size)
        return tuple(result)
