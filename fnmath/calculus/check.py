"""A function's derivatives held against its values.

What ``jax.grad`` says of a function is derived from its code, or given by hand in a custom rule;
what the function does is seen in its values. The two part where a rule is wrong, where the function
has a kink, and where a nan is born on the way back.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree, UInt32

from fnmath import _checks
from fnmath.calculus import _steps, _trees
from fnmath.calculus.finite_differences import richardson_extrapolation


class GradientRow(NamedTuple):
    """One array moved along one direction v of length 1, all else held fixed."""

    argument: str
    """The array, as the Python expression that picks it out: ``params[0].kernel``."""
    direction: str
    """``e[2, 0]`` for the coordinate direction, ``random 1`` for a random one."""
    reverse: float | None
    """⟨∇f, v⟩ by reverse mode; None where f has no reverse mode."""
    forward: float | None
    """Dᵥf by forward mode; None where f has none (a ``custom_vjp``). An infinite derivative in an
    entry that does not move makes it nan, as 0 · ∞."""
    numeric: float
    """Dᵥf by Richardson extrapolation of central differences."""
    numeric_error: float
    """The extrapolation's own estimate of its absolute error."""
    step: float
    """The step that the extrapolation ended at."""
    left: float
    """The slope to the left, (f(x) − f(x − h v)) / h as h → 0."""
    right: float
    """The slope to the right, (f(x + h v) − f(x)) / h as h → 0."""
    kink: bool
    """Whether the two slopes stay apart, by the same jump, as h → 0."""
    error: float = math.nan
    """The larger distance of the two exact values from the numeric one, relative to the largest of
    the three."""
    verdict: str = ""
    """``ok``; ``kink``, where the exact value lies between the slopes of either side, as that of a
    subgradient does; ``wrong``; ``not finite``; or ``unresolved``, where the numeric value is too
    rough to confirm anything."""

    @property
    def ok(self) -> bool:
        """Whether the exact value is confirmed, or is one of those a kink allows."""
        return self.verdict in ("ok", "kink")


COLUMNS = [
    "argument", "direction", "reverse", "forward", "numeric", "±", "error", "step", "verdict"
]  # fmt: skip


class GradientReport(NamedTuple):
    """What ``check_gradient`` found; ``print`` it for a table."""

    function: str
    """The name of the function."""
    rows: tuple[GradientRow, ...]
    """One row for each array and direction."""
    held: tuple[str, ...]
    """The arguments, or parts of them, that are not floating and were held fixed."""
    dtype: str
    """The coarsest dtype among the arrays and the value: the precision of the check."""
    tolerance: float
    """The relative error below which a row is ok."""

    @property
    def ok(self) -> bool:
        """Whether every row is ok."""
        return all(row.ok for row in self.rows)

    @property
    def worst(self) -> GradientRow:
        """A row that is not ok rather than one that is, and then the one with the largest error."""
        return max(self.rows, key=lambda row: (not row.ok, math.isnan(row.error), row.error))

    def __str__(self) -> str:
        """A verdict, a table, and what to know about them."""
        bad = sum(not row.ok for row in self.rows)
        verdict = f"{bad} of {len(self.rows)} rows are not ok" if bad else "ok"
        cells = [COLUMNS, *(_cells(row) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in cells]
        head = f"check_gradient of {self.function} in {self.dtype}: {verdict}"
        return "\n".join([head, *(f"  {line.rstrip()}" for line in lines), *_notes(self)])


def _cells(row: GradientRow) -> list[str]:
    exact = ["-" if x is None else f"{x:.6g}" for x in (row.reverse, row.forward)]
    errors = [f"{x:.1e}" for x in (row.numeric_error, row.error, row.step)]
    return [row.argument, row.direction, *exact, f"{row.numeric:.6g}", *errors, row.verdict]


def _notes(report: GradientReport) -> list[str]:
    """What the table does not say by itself."""
    notes = [f"relative errors up to {report.tolerance:.1e} pass"]
    if report.dtype != "float64":
        notes[0] += "; float64 arrays (jax.enable_x64) see finer ones"
    for mode in ("reverse", "forward"):
        if all(getattr(row, mode) is None for row in report.rows):
            notes.append(f"no {mode} mode: a custom rule or a loop has only the other")
    if report.held:
        notes.append(f"held fixed: {', '.join(report.held)}")
    for row in report.rows:
        if row.verdict == "kink":
            slopes = f"slope {row.left:.6g} on the left and {row.right:.6g} on the right"
            notes.append(f"kink at {row.argument} along {row.direction}: {slopes}")
    if any(row.verdict == "unresolved" for row in report.rows):
        notes.append("unresolved: the values of f are too rough here to confirm a derivative")
    return notes


def check_gradient(
    key: PRNGKeyArray | UInt32[Array, "words"],
    f: Callable[..., Float[Array, ""]],
    *args: PyTree,
    directions: int = 4,
    tolerance: float | None = None,
) -> GradientReport:
    """A report on whether the derivatives of a scalar function agree with its values.

        ⟨∇f(x), v⟩  =  Dᵥf(x)  ≈  limₕ→₀ (f(x + h v) − f(x − h v)) / 2h
        reverse mode   forward mode   Richardson extrapolation

    for each floating-point array in the arguments, and several directions v in it. An array of at
    most ``directions`` numbers is moved along each of its coordinates; a larger one along random
    directions of length 1, in which an error in a single coordinate shows at about 1/√n of its
    size. A row passes when both modes are within
    tolerance · max(|exact|, |numeric|) + 4 · (estimated numeric error) of the numeric value.

    A wrong gradient does not raise; it makes ``report.ok`` false. A kink in the direction v, where
    the slopes to the left and right differ, passes if the exact value lies between the two: JAX's
    relu′(0) = 0 does. A row whose numeric error exceeds a tenth of the derivative, and is not
    negligible beside the largest derivative of the report, confirms nothing and does not pass: some
    rows of a ReLU network in float32, whose kinks lie closer than the steps, are such.

    It runs outside of ``jit``, in the dtypes that it is given: in float64 it sees relative errors
    of 10⁻⁸, in float32 of 10⁻³.

    Args:
        key: The random key of the directions.
        f: A scalar function; it is batched by ``vmap``.
        *args: Its arguments, pytrees. What is not floating (labels, keys, options) is held fixed.
        directions: How many directions are tried in each array.
        tolerance: The relative error that passes; by default √ε of the coarsest dtype, 1.5·10⁻⁸ in
            float64 and 3.5·10⁻⁴ in float32.

    Returns:
        The report: ``ok``, ``worst``, and one row for each array and direction.

    Raises:
        TypeError: If key is no random key, f is not a function, no argument holds a floating-point
            array, f's value is not one real array, or the call is inside of ``jit``.
        ValueError: If f's value is not a scalar, directions < 1 or tolerance ≤ 0.

    Example:
        >>> report = check_gradient(jax.random.key(0), lambda x: jnp.maximum(x, 0).sum(), 0.0)
        >>> print(report.ok, report.worst.verdict, report.worst.left, report.worst.right)
        True kink 0.0 1.0

    Source:
        Press et al., Numerical Recipes (2007), §5.7; Clarke, Optimization and Nonsmooth Analysis
        (1983), chapter 2 (generalized gradients, for kinks).
    """
    _checks.key("check_gradient", key)
    _checks.function("check_gradient", "f", f)
    _checks.size("check_gradient", directions=directions)
    if tolerance is not None:
        _checks.scalar("check_gradient", "tolerance", tolerance, above=0)
    leaves, held, alone = _moving_parts(f, args)
    y = jax.eval_shape(alone, list(leaves.values()))
    _trees.scalar_output("check_gradient", f, y)
    if any(isinstance(leaf, Tracer) for leaf in (key, *leaves.values())):
        problem = "it looks at numbers, which are not there under jit, vmap or grad"
        _checks.fail("check_gradient", problem, "a call outside of them", error=TypeError)
    dtype = max((jnp.dtype(a.dtype) for a in (y, *leaves.values())), key=lambda d: jnp.finfo(d).eps)
    tolerance = tolerance or math.sqrt(jnp.finfo(dtype).eps)
    measured = _measure(key, alone, leaves, directions)
    largest = max(map(_certain_size, measured)) or abs(float(alone(list(leaves.values()))))
    rows = tuple(_judged(row, tolerance, largest) for row in measured)
    return GradientReport(_trees.name_of(f), rows, held, dtype.name, tolerance)


def _moving_parts(
    f: Callable[..., Any], args: tuple
) -> tuple[dict[str, Array], tuple[str, ...], Callable[[list[Array]], Any]]:
    """The floating arrays in ``args`` by name, the names of the rest, and f of the former alone."""
    flat, tree = jax.tree.flatten(args)
    names = _argument_names(f, args)
    moving = [i for i, leaf in enumerate(flat) if _is_floating(leaf)]
    if not moving:
        problem = f"the {len(args)} arguments hold no floating-point number"
        _checks.fail("check_gradient", problem, error=TypeError)

    def alone(leaves: list[Array]) -> Any:
        at = dict(zip(moving, leaves, strict=True))
        return f(*jax.tree.unflatten(tree, [at.get(i, leaf) for i, leaf in enumerate(flat)]))

    held = tuple(name for i, name in enumerate(names) if i not in moving)
    return {names[i]: jnp.asarray(flat[i]) for i in moving}, held, alone


def _is_floating(leaf: Any) -> bool:
    if not isinstance(leaf, jax.Array | np.ndarray | np.generic | float) or not jnp.size(leaf):
        return False
    return bool(jnp.issubdtype(jnp.result_type(leaf), jnp.floating))


def _argument_names(f: Callable[..., Any], args: tuple) -> list[str]:
    """A name for each leaf in ``args``: f's own names of its parameters and the paths below."""
    parameters = _trees.positional_parameters(f)
    parameters += [f"args[{i}]" for i in range(len(parameters), len(args))]
    pairs = zip(parameters, args, strict=False)
    return [name for argument, x in pairs for name, _ in _trees.named_leaves(argument, x)]


def _measure(
    key: Array, f: Callable[[list[Array]], Any], leaves: dict[str, Array], number: int
) -> list[GradientRow]:
    """The rows, for each array and direction, without a verdict."""
    xs = list(leaves.values())
    slopes = _attempt(lambda: jax.grad(f)(xs))
    has_forward = _attempt(lambda: jax.jvp(f, (xs,), (xs,))) is not None
    if slopes is None and not has_forward:
        jax.grad(f)(xs)  # JAX says why there is neither
    keys = jax.random.split(key, len(xs))
    own = [_directions(k, x, number) for k, x in zip(keys, xs, strict=True)]
    total = sum(map(len, own))
    # Row by row, the direction in each array: zero but in the row's own.
    names, vs = [], [jnp.zeros((total, *x.shape), x.dtype) for x in xs]
    for i, (name, directions) in enumerate(zip(leaves, own, strict=True)):
        vs[i] = (
            vs[i]
            .at[len(names) : len(names) + len(directions)]
            .set(jnp.stack([*directions.values()]))
        )
        names += [(name, label) for label in directions]
    columns = jax.lax.map(functools.partial(_derivatives_along, f, xs, slopes, has_forward), vs)
    columns = jax.tree.map(np.asarray, columns)
    rows = [jax.tree.map(lambda c, i=i: c[i].item(), columns) for i in range(total)]
    return [GradientRow(*name, **row) for name, row in zip(names, rows, strict=True)]


def _derivatives_along(
    f: Callable[[list[Array]], Any],
    xs: list[Array],
    slopes: list[Array] | None,
    has_forward: bool,
    v: list[Array],
) -> dict[str, Any]:
    """What a row says of the direction v, by the names of its fields."""
    value, error, step = richardson_extrapolation(f, xs, v)
    left, right, kink, roughness = _one_sided(f, xs, v)
    return {
        "reverse": None if slopes is None else sum(map(_inner_product, slopes, v)),
        "forward": jax.jvp(f, (xs,), (v,))[1] if has_forward else None,
        "numeric": value,
        "numeric_error": jnp.maximum(error, jnp.where(kink, 0, roughness)),
        "step": step,
        "left": left,
        "right": right,
        "kink": kink,
    }


def _inner_product(slope: Array, v: Array) -> Array:
    """⟨slope, v⟩ over the entries that move: a nan elsewhere is another row's."""
    return jnp.sum(jnp.where(v == 0, 0, slope * v))


def _directions(key: Array, x: Array, number: int) -> dict[str, Array]:
    """The coordinate directions of a small array, random unit directions of a large one."""
    if x.size <= number:
        units = jnp.eye(x.size, dtype=x.dtype).reshape(-1, *x.shape)
        indices = [", ".join(map(str, i)) for i in np.ndindex(x.shape)]
        return {f"e[{i}]" if i else "e": e for i, e in zip(indices, units, strict=True)}
    v = jax.random.normal(key, (number, x.size), jnp.promote_types(x.dtype, jnp.float32))
    v = v / jnp.linalg.norm(v, axis=1, keepdims=True)
    return {f"random {d}": e.astype(x.dtype).reshape(x.shape) for d, e in enumerate(v)}


def _attempt(differentiate: Callable[[], Any]) -> Any:
    """What ``differentiate`` returns; None where f has no such mode of differentiation."""
    try:
        return differentiate()
    except (TypeError, ValueError, NotImplementedError) as error:
        text = str(error).lower()
        if any(mode in text for mode in ("forward-mode", "reverse-mode", "jvp", "transpose")):
            return None
        raise


def _one_sided(
    f: Callable[[list[Array]], Any], x: list[Array], v: list[Array]
) -> tuple[Float[Array, ""], Float[Array, ""], Bool[Array, ""], Float[Array, ""]]:
    """The slopes of f left and right of x, whether x is a kink between them, and f's roughness.

    The jump between the slopes is h f″ where f is smooth: it halves with h. At a kink it stays.
    Where kinks are too close to tell apart, it does neither, and no difference is more certain
    than the jump is small.
    """
    here = f(x)
    h = jnp.ldexp(_steps.balanced(f, x, v), jnp.arange(3, -1, -1))
    ahead, behind = (jax.vmap(lambda t: f(_trees.moved(x, v, t)))(t) for t in (h, -h))
    h = h.astype(here.dtype)
    right, left = (ahead - here) / h, (here - behind) / h
    jump = right - left
    rounding = 8 * jnp.finfo(here.dtype).eps * (jnp.abs(ahead) + jnp.abs(behind)) / h
    kept = jump[1:] / jump[:-1]
    kink = (jnp.abs(jump) > rounding).all() & ((kept > 0.8) & (kept < 1.5)).all()
    roughness = jnp.maximum(0, jnp.abs(jump[:-1] - 2 * jump[1:]) - rounding[1:]).max()
    return 2 * left[-1] - left[-2], 2 * right[-1] - right[-2], kink, roughness


def _certain_size(row: GradientRow) -> float:
    """The size of a row's derivative, as far as it is certain."""
    sizes = [abs(e) for e in (row.reverse, row.forward) if e is not None]
    return max(s for s in (0.0, *sizes, abs(row.numeric) - row.numeric_error) if math.isfinite(s))


def _judged(row: GradientRow, tolerance: float, largest: float) -> GradientRow:
    """The row with its error and its verdict."""
    exact = [e for e in (row.reverse, row.forward) if e is not None]
    scale = max(map(abs, (*exact, row.numeric)))
    gap = max(abs(e - row.numeric) for e in exact)
    row = row._replace(error=gap / scale if gap else 0.0)
    low, high = sorted((row.left, row.right))
    slack = math.sqrt(tolerance) * (high - low)
    if not all(map(math.isfinite, exact)):
        verdict = "not finite"
    elif row.kink:
        verdict = "kink" if all(low - slack <= e <= high + slack for e in exact) else "wrong"
    elif not (math.isfinite(row.numeric) and math.isfinite(row.numeric_error)):
        verdict = "unresolved"
    elif gap > tolerance * scale + 4 * row.numeric_error:
        verdict = "wrong"
    elif row.numeric_error > max(0.1 * scale, tolerance * largest):
        verdict = "unresolved"
    else:
        verdict = "ok"
    return row._replace(verdict=verdict)
