"""What the functions of this chapter are given, checked: data, objective, optimiser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from fnmath import _checks

Metrics = dict[str, jax.Array]
Objective = Callable[[Any, Any, jax.Array | None], tuple[jax.Array, Metrics]]


def count_examples(name: str, argument: str, data: PyTree) -> int:
    """The number of examples: the one length of the leading axes of all arrays."""
    sizes = {}
    for path, leaf in jax.tree.leaves_with_path(data):
        where = f"{argument}{jax.tree_util.keystr(path)}"
        _checks.rank(name, where, leaf, "examples")
        sizes[where] = jnp.shape(leaf)[0]
    if not sizes:
        _checks.fail(name, f"{argument} holds no array; wanted examples along a leading axis")
    _checks.same_size(name, "examples", **sizes)
    if not (examples := next(iter(sizes.values()))):
        _checks.fail(name, f"{argument} holds no example; wanted at least one")
    return examples


def evaluate_objective(
    name: str,
    objective: Objective,
    params: PyTree,
    batch: PyTree,
    key: jax.Array | None,
    examples: int,
) -> tuple[jax.Array, Metrics]:
    """The objective's losses and metrics, checked; the losses in float32 at least."""
    _checks.function(name, "objective", objective)
    result = objective(params, batch, key)
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)):
        came = "an array" if isinstance(result, jax.Array) else f"a {type(result).__name__}"
        problem = f"the objective returned {came}; wanted (losses, metrics)"
        _checks.fail(name, problem, "return losses, {}", error=TypeError)
    losses, metrics = result
    if "loss" in metrics:
        _checks.fail(name, "the objective's metrics hold 'loss'; wanted another name for it")
    for value in metrics:
        if not isinstance(value, str):
            problem = f"the objective's metrics have the name {value!r}; wanted a string"
            _checks.fail(name, problem, error=TypeError)
    _checks.floating(name, **{"the objective's losses": losses})
    for value, values in metrics.items():
        _checks.array(name, f"the objective's {value}", values)
        if jnp.issubdtype(jnp.result_type(values), jnp.complexfloating):
            _checks.fail(name, f"the objective's {value} are complex; wanted real numbers")
    for value, values in {"losses": losses, **metrics}.items():
        if jnp.shape(values) != (examples,):
            problem = (
                f"the objective's {value} have shape {jnp.shape(values)}; wanted ({examples},)"
            )
            cure = "one per example, without .mean()" if jnp.ndim(values) == 0 else ""
            _checks.fail(name, f"{problem}, one per example", cure)
    wide = jnp.promote_types(jnp.result_type(losses), jnp.float32)  # 1/n has 3 digits in bfloat16
    return jnp.asarray(losses, wide), metrics


def check_optimizer(name: str, optimizer: Any) -> None:
    """Raise unless this is an optax optimiser."""
    if isinstance(optimizer, optax.MultiSteps):
        problem = "optimizer is a MultiSteps, which wraps an optax optimiser"
        _checks.fail(name, problem, "its .gradient_transformation()", error=TypeError)
    if not isinstance(optimizer, optax.GradientTransformation):
        problem = f"optimizer is a {type(optimizer).__name__}; wanted an optax optimiser"
        cure = "optax.adam(1e-3)" if isinstance(optimizer, str) else ""
        _checks.fail(name, problem, cure, error=TypeError)
