"""Both modes of differentiation against a closed form, compiled once each."""

import chex
import jax
import jax.numpy as jnp


def assert_slope(f, gradient, x, *rest, rtol=1e-12):
    """The closed form is ∂(Σ f)/∂x in reverse and in forward mode. Call it in float64."""

    def objective(x):
        return jnp.sum(f(x, *rest))

    expected = gradient(x, *rest)
    x = jax.tree.map(jnp.asarray, x)
    for derivative in [jax.grad, jax.jacfwd]:
        ours = jax.jit(derivative(objective))(x)
        chex.assert_trees_all_close(ours, expected, rtol=rtol, atol=1e-14)
