"""No function of rows gives nan: values and products with the Jacobian, and its derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath import activations, numerics
from tests.draws import drawn_arrays

NAMES = "softmax log_softmax softmin sparsemax entmax15 glu geglu swiglu reglu"
ROWS = {name: getattr(activations, name) for name in NAMES.split()} | {
    "maxout": lambda x: activations.maxout(x, 2),
    "logsumexp": numerics.logsumexp,
    "logmeanexp": numerics.logmeanexp,
}


@pytest.mark.slow
@pytest.mark.parametrize("f", ROWS.values(), ids=ROWS)
def test_arrays_drawn_at_random_give_no_nan(f):
    def product(x):
        y, back = jax.vjp(f, x)
        return back(jnp.linspace(0.1, 1.0, y.size).reshape(y.shape).astype(y.dtype))[0]

    @jax.jit
    @jax.vmap
    def every(x):
        direction = jnp.ones_like(x).at[0].set(-1.0)
        return f(x), product(x), *(jax.jvp(g, (x,), (direction,))[1] for g in (f, product))

    for result in every(drawn_arrays()):
        assert not np.isnan(result).any()
