"""What every public function checks about its arguments, and how it says what is wrong.

Everything here but ``value`` looks only at ranks, shapes, dtypes and Python numbers: it runs while
JAX traces and leaves nothing behind in the compiled program. Each message names the function, the
argument, what came, what was wanted and, where there is a likely one, the cure:

    huber_loss: predictions (4,) and targets (4, 1) must have one shape; did you mean targets[:, 0]?

``value`` states a rule about the numbers themselves. It does nothing unless
``fnmath.numerics.checked`` is on.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import checkify

# A user context is part of jit's cache key: switching it recompiles, leaving it off costs nothing.
value_checks = jax.make_user_context(False)


def fail(
    function: str, problem: str, cure: str = "", *, error: type[Exception] = ValueError
) -> NoReturn:
    """Raise ``error`` with the house's one form of message."""
    raise error(f"{function}: {problem}" + (f"; did you mean {cure}?" if cure else ""))


def array(function: str, argument: str, x: Any) -> None:
    """Raise unless ``x`` is an array of numbers or a number: lists, text and None are not."""
    if isinstance(x, jax.Array | float | int | complex):
        return
    if isinstance(x, np.ndarray | np.generic):
        if jnp.issubdtype(x.dtype, np.number) or x.dtype == np.bool_:
            return
        fail(function, f"{argument} has dtype {x.dtype}; wanted numbers", error=TypeError)
    cure = f"jnp.asarray({argument})" if isinstance(x, list | tuple) else ""
    fail(function, f"{argument} is a {type(x).__name__}; wanted an array", cure, error=TypeError)


def _dtype(function: str, wanted: type, noun: str, cast: str, arrays: Mapping[str, Any]) -> None:
    for argument, x in arrays.items():
        array(function, argument, x)
        dtype = jnp.result_type(x)
        if not jnp.issubdtype(dtype, wanted):
            problem = f"{argument} has dtype {dtype}; wanted {noun}"
            fail(function, problem, f"{argument}.astype({cast})", error=TypeError)


def floating(function: str, **arrays: Any) -> None:
    """Raise ``TypeError`` unless every array holds real floating-point numbers."""
    _dtype(function, jnp.floating, "a floating dtype", "jnp.float32", arrays)


def integer(function: str, **arrays: Any) -> None:
    """Raise ``TypeError`` unless every array holds integers."""
    _dtype(function, jnp.integer, "an integer dtype", "jnp.int32", arrays)


def real(function: str, **arrays: Any) -> None:
    """Raise ``TypeError`` unless every array or number is a real one, of integers or not."""
    for argument, x in arrays.items():
        array(function, argument, x)
        kind = jnp.result_type(x)
        if not (jnp.issubdtype(kind, jnp.floating) or jnp.issubdtype(kind, jnp.integer)):
            fail(function, f"{argument} has dtype {kind}; wanted real numbers", error=TypeError)


def inexact(function: str, **arrays: Any) -> None:
    """Raise ``TypeError`` unless every array holds real or complex floating-point numbers."""
    _dtype(function, jnp.inexact, "a floating or complex dtype", "jnp.float32", arrays)


def rank(function: str, argument: str, x: Any, axes: str, *, exact: bool = False) -> None:
    """Raise unless ``x`` has the named axes (at least those, or ``exact`` ly those).

    ``axes`` is written as in the annotation: ``"height width channels"``.
    """
    array(function, argument, x)
    wanted, shape = len(axes.split()), jnp.shape(x)
    if len(shape) < wanted or (exact and len(shape) > wanted):
        count = f"{'exactly' if exact else 'at least'} {wanted} ax{'i' if wanted == 1 else 'e'}s"
        form = f"({axes})" if exact else f"(*batch {axes})"
        cure = f"{argument}[None]" if 0 < wanted == len(shape) + 1 else ""
        fail(function, f"{argument} has shape {shape}; wanted {count}, {form}", cure)


def same_shape(function: str, **arrays: Any) -> None:
    """Raise unless the arrays have one and the same shape: nothing broadcasts."""
    for argument, x in arrays.items():
        array(function, argument, x)
    (first, x), *rest = arrays.items()
    for second, y in rest:
        a, b = jnp.shape(x), jnp.shape(y)
        if a == b:
            continue
        cure = ""
        if b == (*a, 1):
            cure = f"{second}[{':, ' * len(a)}0]"
        elif a == (*b, 1):
            cure = f"{first}[{':, ' * len(b)}0]"
        elif sorted(a) == sorted(b) and len(a) == 2 and second.isidentifier():
            cure = f"{second}.T"
        fail(function, f"{first} {a} and {second} {b} must have one shape", cure)


def same_size(function: str, axis: str, /, **sizes: int) -> None:
    """Raise unless the named sizes agree, e.g. ``features=..., kernel_rows=...``."""
    if len(set(sizes.values())) > 1:
        came = " and ".join(f"{name} has {size}" for name, size in sizes.items())
        fail(function, f"the number of {axis} must agree: {came}")


def size(function: str, *, minimum: int = 1, **sizes: Any) -> None:
    """Raise unless every size is a Python integer of at least ``minimum``."""
    for argument, n in sizes.items():
        if isinstance(n, bool) or not isinstance(n, int | np.integer):
            problem = f"{argument} is {n!r} ({type(n).__name__}); wanted an integer"
            fail(function, problem, error=TypeError)
        if n < minimum:
            fail(function, f"{argument} is {n}; wanted an integer of at least {minimum}")


def count(function: str, argument: str, n: Any) -> None:
    """Raise unless ``n`` is a Python integer of at least 0, or an array that is one integer."""
    if isinstance(n, jax.Array | np.ndarray):
        integer(function, **{argument: n})
        rank(function, argument, n, "", exact=True)
    else:
        size(function, minimum=0, **{argument: n})


def number(
    function: str,
    argument: str,
    x: Any,
    *,
    above: float = -np.inf,
    below: float = np.inf,
    closed: str = "",
) -> None:
    """Raise unless a Python number lies in the interval from ``above`` to ``below``.

    The ends belong to the interval where ``closed`` says so (``"["``, ``"]"`` or ``"[]"``). A real
    array passes: its values, unknown while tracing, are the function's own to judge.
    """
    if isinstance(x, jax.Array) or (isinstance(x, np.ndarray) and x.ndim):
        return floating(function, **{argument: x})
    x = x.item() if isinstance(x, np.ndarray | np.generic) else x
    if isinstance(x, bool) or not isinstance(x, int | float):
        problem = f"{argument} is {x!r} ({type(x).__name__}); wanted a number"
        fail(function, problem, error=TypeError)
    left = x >= above if "[" in closed else x > above
    right = x <= below if "]" in closed else x < below
    if not (left and right):
        opening, closing = "[" if "[" in closed else "(", "]" if "]" in closed else ")"
        interval = f"{opening}{above:g}, {below:g}{closing}"
        fail(function, f"{argument} is {x!r}; wanted a number in {interval}")
    return None


def scalar(
    function: str, argument: str, x: Any, *, above: float = -np.inf, closed: str = ""
) -> None:
    """Raise unless ``x`` is one number: as ``number``, and no array with axes."""
    number(function, argument, x, above=above, closed=closed)
    if jnp.shape(x):
        fail(function, f"{argument} has shape {jnp.shape(x)}; wanted one number")


def dtype(function: str, argument: str, x: Any, kind: type, noun: str) -> None:
    """Raise ``TypeError`` unless ``x`` names a dtype of that kind, such as ``jnp.floating``."""
    known = isinstance(x, type | np.dtype) or (isinstance(x, str) and x in jnp.__dict__)
    if not known or not jnp.issubdtype(jnp.dtype(x), kind):
        came = jnp.dtype(x) if known else repr(x)
        fail(function, f"{argument} is {came}; wanted {noun}", "jnp.float32", error=TypeError)


def boolean(function: str, argument: str, x: Any) -> None:
    """Raise ``TypeError`` unless ``x`` is True or False."""
    if not isinstance(x, bool | np.bool_):
        problem = f"{argument} is {x!r} ({type(x).__name__}); wanted True or False"
        fail(function, problem, error=TypeError)


def broadcasts_to(function: str, argument: str, x: Any, name: str, y: Any) -> None:
    """Raise unless ``x`` broadcasts to the shape of ``y``, which it must not widen."""
    shape, wanted = jnp.shape(x), jnp.shape(y)
    aligned = zip(shape[::-1], wanted[::-1], strict=False)
    if len(shape) > len(wanted) or any(a not in (1, b) for a, b in aligned):
        fail(function, f"{argument} {shape} must broadcast to {name} {wanted}")


def broadcastable(function: str, **arrays: Any) -> None:
    """Raise unless the shapes of the arrays broadcast with each other."""
    try:
        np.broadcast_shapes(*(jnp.shape(x) for x in arrays.values()))
    except ValueError:
        came = " and ".join(f"{name} {jnp.shape(x)}" for name, x in arrays.items())
        fail(function, f"{came} must have shapes that broadcast")


def option(function: str, argument: str, x: Any, options: Collection[str]) -> None:
    """Raise unless ``x`` is one of the named options."""
    if not isinstance(x, str) or x not in options:
        wanted = ", ".join(repr(name) for name in options)
        error = ValueError if isinstance(x, str) else TypeError
        fail(function, f"{argument} is {x!r}; wanted one of {wanted}", error=error)


def axis(function: str, argument: str, i: Any, x: Any) -> None:
    """Raise unless ``i`` names an axis of ``x``, counted from either end."""
    array(function, "x", x)
    if isinstance(i, bool) or not isinstance(i, int | np.integer):
        fail(function, f"{argument} is {i!r}; wanted an integer", error=TypeError)
    n = jnp.ndim(x)
    if not -n <= i < n:
        fail(function, f"{argument} is {i}; wanted an axis of the shape {jnp.shape(x)}")


def axes(function: str, i: Any, x: Any) -> tuple[int, ...]:
    """The axes of ``x`` that ``axis=i`` names (one, several, or None for all), counted from 0."""
    array(function, "x", x)
    n = jnp.ndim(x)
    named = tuple(range(n)) if i is None else i if isinstance(i, tuple) else (i,)
    for j in named:
        axis(function, "axis", j, x)
    counted = tuple(j % n for j in named)
    if len(set(counted)) < len(counted):
        fail(function, f"axis is {i}; wanted each axis of the shape {jnp.shape(x)} once at most")
    return counted


def mask(function: str, argument: str, m: Any, **arrays: Any) -> None:
    """Raise unless ``m`` holds booleans, in a shape that broadcasts to that of the array."""
    array(function, argument, m)
    if jnp.result_type(m) != jnp.bool_:
        problem = f"{argument} has dtype {jnp.result_type(m)}; wanted bool"
        fail(function, problem, f"{argument} != 0", error=TypeError)
    ((name, x),) = arrays.items()
    if jnp.shape(m) and jnp.shape(m) == jnp.shape(x)[:-1] and jnp.shape(m)[-1] != jnp.shape(x)[-1]:
        problem = f"{argument} {jnp.shape(m)} must broadcast to {name} {jnp.shape(x)}"
        fail(function, problem, f"{argument}[..., None]")
    broadcasts_to(function, argument, m, name, x)


def function(caller: str, argument: str, f: Any) -> None:
    """Raise ``TypeError`` unless ``f`` can be called."""
    if not callable(f):
        problem = f"{argument} is a {type(f).__name__}; wanted a function"
        fail(caller, problem, error=TypeError)


def instance(function: str, argument: str, x: Any, kind: type, cure: str = "") -> None:
    """Raise ``TypeError`` unless ``x`` is of that type."""
    if not isinstance(x, kind):
        problem = f"{argument} is a {type(x).__name__}; wanted a {kind.__name__}"
        fail(function, problem, cure, error=TypeError)


def dense_params(function: str, params: Any, x: Any) -> None:
    """Raise unless ``params`` are the kernel and the bias of an affine map of the features of x.

    The bias may be None: the map is linear then.
    """
    if not (isinstance(params, tuple) and len(params) == 2):
        problem = f"params is a {type(params).__name__}; wanted DenseParams(kernel, bias)"
        fail(function, problem, error=TypeError)
    kernel, bias = params
    floating(function, x=x, kernel=kernel, **({} if bias is None else {"bias": bias}))
    rank(function, "x", x, "in")
    rank(function, "kernel", kernel, "in out", exact=True)
    same_size(function, "input features", x=x.shape[-1], kernel=kernel.shape[0])
    if bias is not None:
        rank(function, "bias", bias, "out", exact=True)
        same_size(function, "output features", kernel=kernel.shape[1], bias=bias.shape[0])


def key(caller: str, x: Any, argument: str = "key") -> None:
    """Raise unless ``x`` is one random key, of ``jax.random.key`` or the older ``PRNGKey``."""
    new = isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    raw = isinstance(x, jax.Array | np.ndarray) and x.dtype == np.uint32
    old = raw and x.shape[-1:] in {(2,), (4,)}
    if not (new or old):
        came = f"an array of {x.dtype}" if isinstance(x, jax.Array) else f"a {type(x).__name__}"
        cure = f"jax.random.key({x})" if isinstance(x, int) and not isinstance(x, bool) else ""
        fail(caller, f"{argument} is {came}; wanted a random key", cure, error=TypeError)
    if x.ndim != (0 if new else 1):
        problem = f"{argument} has shape {x.shape}; wanted a single key"
        fail(caller, problem, "jax.vmap over the keys")


def value(ok: jax.Array, message: str, **values: Any) -> None:
    """State a rule about values, checked by ``checkify`` inside ``fnmath.numerics.checked``.

    ``message`` may hold ``{name}`` for each of ``values``, which are arrays. Outside of the checked
    mode this is nothing at all, not even an operation in the traced program.
    """
    if value_checks.value:
        checkify.check(jnp.all(ok), message, **values)


def classes(function: str, logits: Any, along: int | tuple[int, ...] | None = -1) -> int:
    """The number of classes, on the axis or axes ``along``; raise unless there is one."""
    named, shape = axes(function, along, logits), jnp.shape(logits)
    count = math.prod(shape[i] for i in named)
    if not named or not count:
        fail(function, f"logits {shape} have no classes on axis {along}")
    return count


def class_labels(
    function: str,
    logits: Any,
    labels: Any,
    along: int | tuple[int, ...] | None = -1,
    cure: str = "",
    name: str = "logits",
) -> None:
    """Raise unless ``labels`` hold one integer for each row of the logits.

    ``cure`` is the function to use where the labels hold an entry for each class, and ``name`` that
    of the logits.
    """
    array(function, "labels", labels)
    shape, came = jnp.shape(logits), jnp.shape(labels)
    wanted = tuple(np.delete(shape, axes(function, along, logits)).tolist())
    if came == shape:
        fail(function, f"labels {came} have an entry for each class; wanted {wanted}", cure)
    integer(function, labels=labels)
    if came != wanted:
        column = f"labels[{':, ' * len(wanted)}0]" if came == (*wanted, 1) else ""
        fail(function, f"labels {came} do not fit {name} {shape}; wanted {wanted}", column)


def is_label(labels: Any, classes: int) -> jax.Array:
    """Which labels lie in [0, classes), in whatever integer dtype they come."""
    last = min(classes - 1, int(jnp.iinfo(jnp.result_type(labels)).max))
    return (jnp.asarray(labels) >= 0) & (jnp.asarray(labels) <= last)


def labels_known(
    function: str, labels: Any, classes: int, *, where: Any = True, noun: str = "label"
) -> jax.Array:
    """Which labels lie in [0, classes); in the checked mode one that does not becomes a message."""
    known = is_label(labels, classes)
    if value_checks.value and known.size:
        ok = jnp.ravel(known | ~jnp.asarray(where))
        wrong = jnp.ravel(jnp.asarray(labels))[jnp.argmin(ok)]
        value(ok, f"{function}: {noun} {{label}} outside [0, {classes})", label=wrong)
    return known
