"""Laplace's approximation: a normal distribution at the mode of any posterior.

Notation: θ are the parameters, a pytree of arrays with d numbers in all, f(θ) a log-posterior that
need not be normalised, θ* its mode, H = −∂²f/∂θ² at the mode, its precision there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PyTree

from fnmath import _checks
from fnmath.bayes.normals import _factor, _half_log_det
from fnmath.bayes.regression import _solved_transposed
from fnmath.linear_algebra._spectral import symmetric


class LaplaceApproximation(NamedTuple):
    """A normal distribution of a pytree, and the logarithm of the integral under the posterior.

    ``gradient`` is the largest slope that is left at what was taken for the mode.
    """

    mode: PyTree[Array]
    precision_factor: Float[Array, "d d"]
    log_evidence: Float[Array, ""]
    gradient: Float[Array, ""]


def _flat(function: str, argument: str, tree: Any) -> tuple[jax.Array, Callable[[jax.Array], Any]]:
    """The numbers of the tree as one vector, and the way back."""
    leaves = jax.tree.leaves(tree)
    if not leaves:
        _checks.fail(function, f"{argument} holds no arrays")
    for leaf in leaves:
        _checks.floating(function, **{argument: leaf})
    vector, back = ravel_pytree(jax.tree.map(jnp.asarray, tree))
    if not vector.size:
        _checks.fail(function, f"{argument} holds no numbers")
    return vector, back


def _ascended(f: Callable, start: jax.Array, steps: int) -> jax.Array:
    """Newton's ascent with a damping that shrinks at each step up and grows at each other.

    The Hessian's eigenvalues count by their size, so that a saddle is left and not sought.
    """

    def step(state: tuple, _: None) -> tuple[tuple, None]:
        x, value, damping = state
        slope, H = jax.grad(f)(x), -jax.hessian(f)(x)
        s, U = jnp.linalg.eigh(symmetric(H))
        most = jnp.max(jnp.abs(s))
        size = jnp.maximum(jnp.abs(s), jnp.finfo(x.dtype).eps * most) + damping * most
        new = x + U @ ((U.T @ slope) / jnp.where(size > 0, size, 1))
        better = f(new) >= value
        damping = jnp.where(better, 0.1 * damping, jnp.maximum(10 * damping, 1e-4))
        return (jnp.where(better, new, x), jnp.where(better, f(new), value), damping), None

    begin = start, f(start), jnp.asarray(0.0, start.dtype)
    (mode, _, _), _ = jax.lax.scan(step, begin, length=steps)
    return mode


def laplace_approximation(
    log_posterior: Callable[[Any], Array],
    start: PyTree[Array],
    *,
    steps: int = 30,
) -> LaplaceApproximation:
    """Laplace's approximation of a posterior: normal, at its mode, with the curvature there.

        p(θ) ≈ N(θ*, H⁻¹),    log ∫ exp f(θ) dθ ≈ f(θ*) + d/2 log 2π − ½ log |H|

    exact for a normal posterior. The mode is found by damped Newton steps, of which each costs a
    Hessian of d² numbers: for some hundred parameters, not for a million.

    Gradient:
        of the log evidence by what f closes over: ∂f(θ*)/∂η − ½ tr(H⁻¹ dH/dη), the mode moving by
        dθ*/dη = H⁻¹ ∂²f/∂θ∂η; the mode is differentiated as the solution of ∂f/∂θ = 0, not step by
        step

    Args:
        log_posterior: A function f of such a tree as ``start``, which gives one number.
        start: Where the ascent begins, a pytree of floating-point arrays; at a mode that is known,
            0 steps will do.
        steps: How many Newton steps at most to take, at least 0.

    Returns:
        The mode, the Cholesky factor L of H = L Lᵀ over the numbers of the tree in its order, the
        log evidence, in nats, and the largest slope left. L and the evidence are nan where the
        curvature is not that of a maximum.

    Raises:
        TypeError: If ``log_posterior`` is no function, ``start`` not floating-point, or ``steps``
            no integer.
        ValueError: If ``start`` holds no numbers, the log-posterior is no scalar, or ``steps`` is
            negative.

    Example:
        >>> def f(theta):  # log of Gamma(5, 1)'s density of exp θ, unnormalised: ∫ = Γ(5)
        ...     return 5 * theta["log_rate"] - jnp.exp(theta["log_rate"])
        >>> found = laplace_approximation(f, {"log_rate": jnp.array(0.0)})
        >>> print(f"{jnp.exp(found.mode['log_rate']):.3f} {jnp.exp(found.log_evidence):.2f}")
        5.000 23.60

    Source:
        Laplace (1774); MacKay, Information Theory, Inference, and Learning Algorithms (2003), §27;
        Tierney and Kadane, Accurate approximations for posterior moments and marginal densities
        (1986).
    """
    name = "laplace_approximation"
    _checks.function(name, "log_posterior", log_posterior)
    _checks.size(name, minimum=0, steps=steps)
    vector, back = _flat(name, "start", start)

    def f(x: jax.Array) -> jax.Array:
        return log_posterior(back(x))

    value = jax.eval_shape(f, vector)
    if getattr(value, "shape", None) != ():
        came = getattr(value, "shape", type(value).__name__)
        _checks.fail(name, f"log_posterior gives {came}; wanted one number")
    mode = jax.lax.stop_gradient(_ascended(f, jax.lax.stop_gradient(vector), steps))
    L = _factor(symmetric(-jax.hessian(f)(mode)))
    # One more Newton step, which is 0 at the mode, carries the derivative of where that lies.
    slope = jax.grad(f)(mode)
    held = jax.lax.stop_gradient(L)
    step = _solved_transposed(held, _below(held, slope[:, None]))[:, 0]
    moved = mode + (step - jax.lax.stop_gradient(step))
    L = _factor(symmetric(-jax.hessian(f)(moved)))
    log_evidence = f(moved) + 0.5 * vector.size * math.log(2 * math.pi) - _half_log_det(L)
    return LaplaceApproximation(back(moved), L, log_evidence, jnp.max(jnp.abs(slope)))


def _below(L: jax.Array, B: jax.Array) -> jax.Array:
    return jax.lax.linalg.triangular_solve(L, B, left_side=True, lower=True)


def laplace_sample(
    key: Key[Array, ""], approximation: LaplaceApproximation, *, samples: int
) -> PyTree[Array]:
    """Draws from Laplace's approximation, as trees.

        θ = θ* + L⁻ᵀ z,    z ~ N(0, I)

    Gradient:
        ∂θ/∂θ* = I

    Args:
        key: The random key.
        approximation: What ``laplace_approximation`` found.
        samples: How many to draw, at least 1.

    Returns:
        A tree like the mode, each array with one more axis in front, of the draws.

    Raises:
        TypeError: If the key is none, the approximation none, or ``samples`` no integer.
        ValueError: If ``samples`` is below 1.

    Example:
        >>> found = laplace_approximation(lambda x: -0.5 * x @ x, jnp.ones(3))
        >>> print(laplace_sample(jax.random.key(0), found, samples=5).shape)
        (5, 3)

    Source:
        MacKay, Information Theory, Inference, and Learning Algorithms (2003), §27.
    """
    name = "laplace_sample"
    _checks.key(name, key)
    cure = "laplace_approximation(f, start)"
    _checks.instance(name, "approximation", approximation, LaplaceApproximation, cure)
    _checks.size(name, samples=samples)
    vector, back = _flat(name, "mode", approximation.mode)
    L = approximation.precision_factor
    _checks.floating(name, precision_factor=L)
    if jnp.shape(L) != (vector.size,) * 2:
        wanted = (vector.size,) * 2
        _checks.fail(name, f"precision_factor has shape {jnp.shape(L)}; wanted {wanted}")
    z = jax.random.normal(key, (vector.size, samples), vector.dtype)
    return jax.vmap(back)(vector + _solved_transposed(L, z).T)
