"""Fisher's information: how sharply data tell the parameters of their distribution.

Notation: log p(x; θ) is a log density, s = ∂ log p/∂θ its score, E the mean over x.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fnmath import _checks
from fnmath.linear_algebra._spectral import symmetric
from fnmath.statistics._samples import shares, wide

METHODS = ("score", "hessian")


def fisher_information(
    log_density: Callable[[Array, Array], Array],
    parameters: Float[Array, "p"],
    x: Float[Array, "n ..."],
    *,
    weights: Float[Array, "n"] | None = None,
    method: str = "score",
) -> Float[Array, "p p"]:
    """Fisher's information matrix of any density, as a mean over given points.

        F = E[s sᵀ]                     ("score")
        F = −E[∂² log p/∂θ²]            ("hessian")

    The two agree where the mean is that of the density itself: over all outcomes with their
    probabilities, over the nodes of a quadrature with weights times densities, or over samples. Of
    data from elsewhere the first is the empirical information, the second the observed one.

    Gradient:
        ∂F/∂θ by autodiff of the scores, the points and their weights held as they are

    Args:
        log_density: A function of the parameters and of one point, which gives one number.
        parameters: The parameters θ, a vector; of a tree, ``jax.flatten_util.ravel_pytree`` makes
            one.
        x: The points, on the first axis.
        weights: The weights w ≥ 0 of the points, of which only ratios matter.
        method: ``"score"`` or ``"hessian"``.

    Returns:
        The information of one observation; nan where a weight is negative or all are 0.

    Raises:
        TypeError: If ``log_density`` is no function, or an array is not floating-point.
        ValueError: If the parameters are no vector, there are no points, the weights are not one
            per point, the density is no scalar, or the method is unknown.

    Example:
        >>> def bernoulli(theta, x):
        ...     return x * jnp.log(theta[0]) + (1 - x) * jnp.log1p(-theta[0])
        >>> x, theta = jnp.array([0.0, 1.0]), jnp.array([0.2])
        >>> print(fisher_information(bernoulli, theta, x, weights=jnp.array([0.8, 0.2])).round(4))
        [[6.25]]

    Source:
        Lehmann and Casella, Theory of Point Estimation (1998), §2.5.
    """
    name = "fisher_information"
    _checks.function(name, "log_density", log_density)
    _checks.floating(name, parameters=parameters, x=x)
    _checks.rank(name, "parameters", parameters, "p", exact=True)
    _checks.option(name, "method", method, METHODS)
    if not jnp.ndim(x) or not jnp.shape(x)[0]:
        _checks.fail(name, f"x has shape {jnp.shape(x)}; wanted at least one point")
    n = jnp.shape(x)[0]
    p = jnp.full(n, 1 / n)
    if weights is not None:
        _checks.floating(name, weights=weights)
        if jnp.shape(weights) != (n,):
            _checks.fail(name, f"weights has shape {jnp.shape(weights)}; wanted {(n,)}")
        p = shares(wide(weights), (0,))
    theta, x = wide(parameters), jnp.asarray(x)
    value = jax.eval_shape(log_density, theta, x[0])
    if getattr(value, "shape", None) != ():
        came = getattr(value, "shape", type(value).__name__)
        _checks.fail(name, f"log_density gives {came} for one point; wanted one number")
    p = p.astype(theta.dtype)
    if method == "score":
        scores = jax.vmap(jax.grad(log_density), (None, 0))(theta, x)
        F = jnp.matmul(scores.T, scores * p[:, None], precision="highest")
    else:
        curvatures = jax.vmap(jax.hessian(log_density), (None, 0))(theta, x)
        F = -jnp.tensordot(p, curvatures, 1, precision="highest")
    return symmetric(F).astype(jnp.result_type(parameters))
