"""A pass as it is run, operation by operation: its variables, its steps, and the way back."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnmath import _checks
from fnmath.backprop import _costs, _sources, _tensors
from fnmath.backprop._operations import Linear, Local, Operation, bind, is_inexact
from fnmath.backprop._rules import local_rule
from fnmath.backprop.record import Step, Tensor, Trace, Variable

_CALLS = ("jit", "pjit", "closed_call", "core_call", "core_closed_call", "remat2", "checkpoint")
_AUTHORED = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")


class _Value(NamedTuple):
    """A number of the pass as it stands in the environment of a jaxpr."""

    array: Any
    variable: int
    active: bool
    """Whether it depends, differentiably, on an argument."""


class Context(NamedTuple):
    """Where a jaxpr is run: within which step, and which calls of the source."""

    parent: int | None
    calls: tuple[_sources.Call, ...]
    """As the equations remember them."""
    shown: tuple[_sources.Call, ...]
    passive: bool
    """Whether only values are wanted, because the derivative is its author's."""


class _Pullback(NamedTuple):
    """The way back through one operation."""

    step: int
    inputs: list[int]
    outputs: list[int]
    apply: Callable[[list[Any]], list[Any]]
    """From the outputs' cotangents, None where there is none, to those of the inputs."""


@dataclasses.dataclass
class _Variable:
    """A variable while its record is made."""

    name: str
    kind: str
    value: Tensor
    producer: int | None
    cotangent: Tensor | None = None
    overflows: bool = False


@dataclasses.dataclass
class _Step:
    """A step while its record is made."""

    parent: int | None
    operation: str
    label: str
    calls: tuple[_sources.Call, ...]
    inputs: list[int]
    returns: int = 0
    outputs: list[int] = dataclasses.field(default_factory=list)
    children: list[int] = dataclasses.field(default_factory=list)
    note: str = ""
    flops: float = 0.0
    bytes: float = 0.0
    backward_flops: float = 0.0
    backward_bytes: float = 0.0
    spoiled: int = 0
    fresh: int = 0
    params: dict[str, Any] = dataclasses.field(default_factory=dict)
    equation: Any = None


class Recorder:
    """The pass as it is run: its variables, its steps, and the way back through them."""

    def __init__(self, keep: float, root: types.CodeType):
        self.keep = keep
        self.root = root  # within which every call is the user's
        self.variables: list[_Variable] = []
        self.steps: list[_Step] = []
        self.tape: list[_Pullback] = []
        self.cotangents: dict[int, Any] = {}
        self.literals: dict[Any, _Value] = {}
        self.known: dict[Any, Linear] = {}
        self.analysed: dict[Any, Any] = {}
        self.alive: list[Any] = []  # what the identities in the dictionaries belong to

    def value(
        self, x: Any, name: str, kind: str, producer: int | None, *, active: bool = False
    ) -> _Value:
        """A new variable."""
        index = len(self.variables)
        tensor = _tensors.summary(x, self.keep)
        self.variables.append(_Variable(name or f"v{index}", kind, tensor, producer))
        return _Value(x, index, active)

    def literal(self, v: Any) -> _Value:
        """A number that stands in the jaxpr itself; each is one variable."""
        key = id(v.val) if np.ndim(v.val) else (type(v.val), str(v.aval), repr(v.val))
        if key not in self.literals:
            self.alive.append(v)
            kind = "constant" if np.ndim(v.val) else "literal"
            self.literals[key] = self.value(
                v.val, "" if np.ndim(v.val) else str(np.asarray(v.val)), kind, None
            )
        return self.literals[key]

    def run(
        self, jaxpr: Any, constants: Sequence[_Value], args: Sequence[_Value], context: Context
    ) -> list[_Value]:
        """The results of a jaxpr, each of its equations recorded."""
        places, dead = self.analysis(jaxpr, context)
        environment = dict(zip(jaxpr.constvars, constants, strict=True))
        environment |= dict(zip(jaxpr.invars, args, strict=True))

        def read(v: Any) -> _Value:
            return self.literal(v) if hasattr(v, "val") else environment[v]

        for equation, place, last in zip(jaxpr.eqns, places, dead, strict=True):
            outputs = self.equation(equation, [read(v) for v in equation.invars], place, context)
            groups = [len(outputs)]
            if equation.primitive.name == "scan":
                carried = equation.params["num_carry"]
                groups = [carried, len(outputs) - carried]
            self.name(outputs, _sources.given(place.names, groups))
            environment |= dict(zip(equation.outvars, outputs, strict=True))
            for v in last:
                environment.pop(v, None)
        return [read(v) for v in jaxpr.outvars]

    def analysis(self, jaxpr: Any, context: Context) -> tuple[list[_sources.Place], list[list]]:
        """The place of each equation, and the variables of which it is the last use."""
        key = id(jaxpr), context.calls, context.shown
        if key not in self.analysed:
            self.alive.append(jaxpr)
            seen = {v for v in jaxpr.outvars if not hasattr(v, "val")}
            dead = []
            for equation in reversed(jaxpr.eqns):
                new = {v for v in equation.invars if not hasattr(v, "val")} - seen
                new |= set(equation.outvars) - seen
                seen |= new
                dead.append(list(new))
            places = _sources.places(
                jaxpr, self.root, context.calls, context.shown, whole=context.parent is None
            )
            self.analysed[key] = places, dead[::-1]
        return self.analysed[key]

    def name(self, outputs: Sequence[_Value], names: list[str]) -> None:
        """Give what a step made the names of the source, unless it has one already."""
        for v, name in zip(outputs, names, strict=True):
            variable = self.variables[v.variable]
            if name and variable.name == f"v{v.variable}":
                variable.name = name

    def open(
        self,
        operation: str,
        label: str,
        inputs: Sequence[_Value],
        parent: int | None,
        calls: tuple[_sources.Call, ...],
        equation: Any = None,
    ) -> int:
        """A new step, still without its outputs."""
        index = len(self.steps)
        step = _Step(parent, operation, label, calls, [v.variable for v in inputs])
        if equation is not None:
            step.params, step.equation = equation.params, equation
        self.steps.append(step)
        if parent is not None:
            self.steps[parent].children.append(index)
        return index

    def close(self, step: int, outputs: Sequence[_Value], inputs: Sequence[_Value] = ()) -> None:
        self.steps[step].outputs = [v.variable for v in outputs]
        if any(self.variables[v.variable].value.nonfinite for v in outputs):
            self.steps[step].fresh = sum(_fresh(v.array, inputs) for v in outputs)

    def equation(
        self, equation: Any, inputs: list[_Value], place: _sources.Place, context: Context
    ) -> list[_Value]:
        """The results of one equation, recorded as a step, with its children if it has any."""
        operation = equation.primitive.name
        label = equation.params.get("label" if operation == "mark" else "name") or operation
        label = label if isinstance(label, str) else operation
        step = self.open(operation, label, inputs, context.parent, place.calls, equation)
        self.steps[step].returns = place.returns
        within = Context(step, place.raw, place.calls, context.passive)
        if operation in _CALLS:
            outputs = self.call(equation, inputs, within)
            if operation in ("remat2", "checkpoint"):
                self.steps[step].note = "computed again in the backward pass"
                self.steps[step].label = "checkpoint"
        elif operation in _AUTHORED:
            inner = equation.params["call_jaxpr"]
            consts = [self.value(c, "", "constant", None) for c in inner.consts]
            passive = [v._replace(active=False) for v in inputs]
            self.steps[step].label = _function_of(inner.jaxpr) or operation
            self.run(inner.jaxpr, consts, passive, within._replace(passive=True))
            self.steps[step].note = "derivative by a rule of its author"
            outputs = self.primitive(step, equation, inputs, context.passive)
        elif operation == "scan":
            outputs = self.scan(equation, inputs, within)
        elif operation == "while":
            outputs = self.loop(step, equation, inputs, within)
        elif operation == "cond":
            branches = equation.params["branches"]
            taken = min(max(int(inputs[0].array), 0), len(branches) - 1)
            self.steps[step].note = f"branch {taken} of {len(branches)} taken"
            outputs = self.closed(branches[taken], inputs[1:], within)
        else:
            outputs = self.primitive(step, equation, inputs, context.passive)
        self.close(step, outputs, () if self.steps[step].children else inputs)
        return outputs

    def closed(self, jaxpr: Any, inputs: Sequence[_Value], context: Context) -> list[_Value]:
        consts = [self.value(c, "", "constant", None) for c in jaxpr.consts]
        return self.run(jaxpr.jaxpr, consts, inputs, context)

    def call(self, equation: Any, inputs: list[_Value], context: Context) -> list[_Value]:
        jaxpr = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        if hasattr(jaxpr, "consts"):
            return self.closed(jaxpr, inputs, context)
        return self.run(jaxpr, [], inputs, context)

    def scan(self, equation: Any, inputs: list[_Value], context: Context) -> list[_Value]:
        """A loop of known length: its iterations, between the sequence and its stacked results."""
        p = equation.params
        first = p["num_consts"] + p["num_carry"]
        consts, carry = inputs[: p["num_consts"]], inputs[p["num_consts"] : first]
        slices = [self.unstacked(x, p["length"], context) for x in inputs[first:]]
        order = range(p["length"])
        made: dict[int, list[_Value]] = {}
        for i in reversed(order) if p["reverse"] else order:
            given = [*consts, *carry, *(s[i] for s in slices)]
            step = self.open("iteration", f"iteration {i}", given, context.parent, context.shown)
            outputs = self.closed(p["jaxpr"], given, context._replace(parent=step))
            self.close(step, outputs)
            carry, made[i] = outputs[: p["num_carry"]], outputs[p["num_carry"] :]
        stacked = [
            self.stacked([made[i][k] for i in order], v.aval, context)
            for k, v in enumerate(equation.outvars[p["num_carry"] :])
        ]
        return [*carry, *stacked]

    def unstacked(self, x: _Value, length: int, context: Context) -> list[_Value]:
        """The elements of a sequence."""
        step = self.open("unstack", "unstack", [x], context.parent, context.shown)
        name = self.variables[x.variable].name
        elements = [
            self.value(x.array[i], f"{name}[{i}]", "step", step, active=x.active)
            for i in range(length)
        ]
        self.close(step, elements)

        def apply(cotangents: list[Any]) -> list[Any]:
            zeros = jnp.zeros(x.array.shape[1:], x.array.dtype)
            return [jnp.stack([zeros if c is None else c for c in cotangents])]

        if x.active and elements:
            self.tape.append(_Pullback(step, [x.variable], [e.variable for e in elements], apply))
        return elements

    def stacked(self, elements: list[_Value], aval: Any, context: Context) -> _Value:
        """The sequence of these elements."""
        step = self.open("stack", "stack", elements, context.parent, context.shown)
        active = any(e.active for e in elements)
        if elements:
            whole = jnp.stack([jnp.asarray(e.array) for e in elements])
        else:
            whole = jnp.zeros(aval.shape, aval.dtype)
        output = self.value(whole, "", "step", step, active=active)
        self.close(step, [output])
        if active:
            inputs = [e.variable for e in elements]
            flows = [e.active for e in elements]

            def apply(cotangents: list[Any]) -> list[Any]:
                parts = list(cotangents[0])
                return [c if a else None for c, a in zip(parts, flows, strict=True)]

            self.tape.append(_Pullback(step, inputs, [output.variable], apply))
        return output

    def loop(
        self, step: int, equation: Any, inputs: list[_Value], context: Context
    ) -> list[_Value]:
        """A loop that ends by its values: it has no reverse mode, and so no cotangents within."""
        p = equation.params
        tests, bodies = p["cond_nconsts"], p["cond_nconsts"] + p["body_nconsts"]
        passive = [v._replace(active=False) for v in inputs]
        carry = passive[bodies:]
        context = context._replace(passive=True)
        count = 0
        while True:
            label = f"iteration {count}"
            given = [*passive[:bodies], *carry]
            inner = self.open("iteration", label, given, context.parent, context.shown)
            within = context._replace(parent=inner)
            (goes_on,) = self.closed(p["cond_jaxpr"], [*passive[:tests], *carry], within)
            if not bool(np.any(goes_on.array)):
                self.steps[inner].label = "last test"
                self.close(inner, [goes_on])
                break
            new = self.closed(p["body_jaxpr"], [*passive[tests:bodies], *carry], within)
            if np.ndim(goes_on.array):
                new = [self.chosen(goes_on, *pair, within) for pair in zip(carry, new, strict=True)]
            carry = new
            self.close(inner, carry)
            count += 1
        note = f"{count} iterations; no reverse mode, because their number depends on values"
        self.steps[step].note = note
        active = any(v.active for v in inputs)
        outputs = [
            self.value(
                v.array, "", "step", step, active=active and is_inexact(jnp.asarray(v.array))
            )
            for v in carry
        ]
        if active:
            place = self.place(step)

            def apply(cotangents: list[Any]) -> list[Any]:
                problem = (
                    f"{place}the gradient has to pass a while_loop, which has no reverse mode "
                    "because the number of its iterations is not known beforehand"
                )
                return _checks.fail(
                    "trace", problem, "lax.scan, or lax.fori_loop with bounds that are known"
                )

            indices = [v.variable for v in outputs if v.active]
            self.tape.append(_Pullback(step, [v.variable for v in inputs], indices, apply))
        return outputs

    def chosen(self, going_on: _Value, old: _Value, new: _Value, context: Context) -> _Value:
        """What a mapped loop carries on: where an example's own loop has ended, what it had."""
        inputs = [going_on, old, new]
        step = self.open("select_n", "select_n", inputs, context.parent, context.shown)
        array = jnp.asarray(new.array)
        mask = jnp.asarray(going_on.array)
        mask = mask.reshape(mask.shape + (1,) * (array.ndim - mask.ndim))
        output = self.value(jnp.where(mask, array, old.array), "", "step", step)
        self.close(step, [output])
        return output

    def place(self, step: int) -> str:
        calls = self.steps[step].calls
        if not calls:
            return ""
        site = _sources.site(calls[-1])
        return f"{site.file}:{site.line}: `{site.text}`: "

    def primitive(
        self, step: int, equation: Any, inputs: list[_Value], passive: bool
    ) -> list[_Value]:
        """The results of an operation that is not opened, and the way back through it."""
        arrays = [v.array for v in inputs]
        floating = [
            k
            for k, v in enumerate(equation.outvars)
            if hasattr(v.aval, "dtype") and is_inexact(v.aval)
        ]
        active = [] if passive else [i for i, v in enumerate(inputs) if v.active]
        draft = self.steps[step]
        if not draft.children:
            avals = [v.aval for v in equation.invars], [v.aval for v in equation.outvars]
            draft.flops = _costs.flops(draft.operation, equation.params, *avals)
            draft.bytes = sum(map(_costs.bytes_of, avals))
        if active and not floating:
            draft.note = draft.note or "not differentiable"
        if not active or not floating:
            made = bind(equation, arrays)
            return [self.value(x, "", "step", step) for x in made]
        operation = Operation(equation, tuple(arrays), tuple(active))
        if not any(self.linear(operation, tuple(floating)).reaches):
            stopped = "no gradient passes, as is asked for"
            flat = "its derivative is 0 wherever it exists"
            draft.note = draft.note or (stopped if draft.operation == "stop_gradient" else flat)
            made = bind(equation, arrays)
            return [self.value(x, "", "step", step) for x in made]
        given = [arrays[i] for i in active]
        outs, pull, others = jax.vjp(operation.outputs(tuple(floating)), *given, has_aux=True)
        made = list(others)
        for k, x in zip(floating, outs, strict=True):
            made.insert(k, x)
        outputs = [
            self.value(x, "", "step", step, active=k in floating) for k, x in enumerate(made)
        ]

        def apply(cotangents: list[Any]) -> list[Any]:
            which = tuple(k for k, c in zip(floating, cotangents, strict=True) if c is not None)
            seeds = tuple(c for c in cotangents if c is not None)
            linear = self.linear(operation, which)
            draft.backward_flops += linear.flops
            if len(which) == len(floating):
                back = pull(seeds)
            else:
                # A cotangent of zeros is not the same as none: 0 · ∞ is nan.
                _, subset, _ = jax.vjp(operation.outputs(which), *given, has_aux=True)
                back = subset(seeds)
            result: list[Any] = [None] * len(inputs)
            for i, c, reached in zip(active, back, linear.reaches, strict=True):
                result[i] = c if reached else None
            return result

        indices = [outputs[k].variable for k in floating]
        self.tape.append(_Pullback(step, draft.inputs, indices, apply))
        return outputs

    def linear(self, operation: Operation, which: tuple[int, ...]) -> Linear:
        """The way back from some of an operation's outputs, by the shapes; found once for each."""
        key = operation.key(which)
        if key is None or key not in self.known:
            found = operation.linear(which)
            if key is None:
                return found
            self.alive.append(operation.equation)
            self.known[key] = found
        return self.known[key]

    def backward(
        self, results: list[_Value], seeds: list[Any | None], inputs: list[_Value]
    ) -> list[Any | None]:
        """The gradients: the cotangents of the results, taken back through every step."""
        for v, seed in zip(results, seeds, strict=True):
            if seed is not None:
                self.add(v.variable, seed)
        while self.tape:
            entry = self.tape.pop()
            cotangents = [self.take(k) for k in entry.outputs]
            if all(c is None for c in cotangents):
                continue
            back = entry.apply(cotangents)
            step = self.steps[entry.step]
            step.backward_bytes += _costs.bytes_of(
                c for c in (*cotangents, *back) if c is not None
            ) + sum(map(self.bytes_of, {*entry.inputs}))
            if all(_all_finite(c) for c in cotangents if c is not None):
                step.spoiled = sum(not _all_finite(c) for c in back if c is not None)
            # JAX, too, adds the cotangent of the last input first.
            for k, c in reversed(list(zip(entry.inputs, back, strict=True))):
                if c is not None:
                    self.add(k, c)
        gradients = {v.variable: self.take(v.variable) for v in inputs}
        return [
            None if not v.active else jnp.zeros_like(v.array) if g is None else g
            for v, g in ((v, gradients[v.variable]) for v in inputs)
        ]

    def bytes_of(self, variable: int) -> float:
        tensor = self.variables[variable].value
        return float(tensor.size * _itemsize(tensor.dtype))

    def add(self, variable: int, cotangent: Any) -> None:
        known = self.cotangents.get(variable)
        if known is None:
            self.cotangents[variable] = cotangent
            return
        total = self.cotangents[variable] = jax.lax.add(known, cotangent)
        if not _all_finite(total) and _all_finite(known) and _all_finite(cotangent):
            self.variables[variable].overflows = True

    def take(self, variable: int) -> Any | None:
        """The cotangent of a variable, complete now; its summary stays in the record."""
        cotangent = self.cotangents.pop(variable, None)
        if cotangent is not None:
            self.variables[variable].cotangent = _tensors.summary(cotangent, self.keep)
        return cotangent

    def trace(
        self, value: Any, gradients: tuple[Any, ...], inputs: list[_Value], results: list[_Value]
    ) -> Trace:
        """The finished record."""
        for step in reversed(self.steps):
            if step.parent is not None:
                parent = self.steps[step.parent]
                parent.flops += step.flops
                parent.bytes += step.bytes
                parent.backward_flops += step.backward_flops
                parent.backward_bytes += step.backward_bytes
            if step.operation in ("remat2", "checkpoint"):
                step.backward_flops += step.flops
                step.backward_bytes += step.bytes
        codes = dict.fromkeys(code for step in self.steps for code, _ in step.calls)
        sources = {
            f"{c.co_filename}:{_sources.function_name(c)}": _sources.source(c) for c in codes
        }
        return Trace(
            value,
            gradients,
            tuple(
                Variable(i, v.name, v.kind, v.value, v.cotangent, v.producer, v.overflows)
                for i, v in enumerate(self.variables)
            ),
            tuple(self.step(i, step) for i, step in enumerate(self.steps)),
            tuple(v.variable for v in inputs),
            tuple(v.variable for v in results),
            types.MappingProxyType(sources),
        )

    def step(self, index: int, step: _Step) -> Step:
        frames = tuple(_sources.site(c) for c in step.calls)
        values = [self.variables[k] for k in step.inputs]
        given = [v.value for v in values]
        made = [self.variables[k].value for k in step.outputs]
        return Step(
            index,
            step.parent,
            step.operation,
            step.label,
            frames[-1] if frames else None,
            _sources.dotted(step.calls),
            tuple(step.inputs),
            tuple(step.outputs),
            tuple(step.children),
            local_rule(step.operation, step.params, given, made),
            step.note,
            step.flops,
            step.bytes,
            step.backward_flops,
            step.backward_bytes,
            types.MappingProxyType(step.params),
            frames,
            step.returns,
            step.spoiled,
            step.fresh,
            _local(step, values),
        )


def _function_of(jaxpr: Any) -> str:
    info = jaxpr.debug_info
    return info.func_name.split(".")[-1] if info is not None else ""


def _itemsize(dtype: str) -> int:
    return jnp.dtype(dtype).itemsize if not dtype.startswith("key") else 8


def _all_finite(x: Any) -> bool:
    return bool(np.isfinite(np.asarray(x)).all())


def _fresh(y: Any, inputs: Sequence[_Value]) -> int:
    """How many entries are nan or ±inf where those of all inputs in the same place are finite."""
    arrays = [np.asarray(v.array) for v in inputs if is_inexact(v.array)]
    if not arrays or any(a.shape not in ((), y.shape) for a in arrays) or not is_inexact(y):
        return 0
    finite = functools.reduce(np.logical_and, map(np.isfinite, arrays))
    return int(np.count_nonzero(~np.isfinite(np.asarray(y)) & finite))


def _local(step: _Step, inputs: list[_Variable]) -> Local | None:
    """The operation at its inputs, to be differentiated by itself."""
    if step.equation is None:
        return None
    large = [f"{v.name} has {v.value.size} entries" for v in inputs if v.value.whole is None]
    reached = tuple(v.cotangent is not None for v in inputs)
    values = tuple(v.value for v in inputs)
    return Local(step.label, step.equation, values, reached, ", ".join(large))
