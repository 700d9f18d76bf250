"""Wrong arguments that every initialiser refuses in the same words, in its factory's name."""

import jax
import jax.numpy as jnp

from tests.helpers import Mistake

KEY = jax.random.key(0)


def of_the_initialiser(name, init, shape=(4, 4)):
    """Rows for ``init(key, shape, dtype)``."""
    rows = [
        (
            (0, shape),
            TypeError,
            "key is a int; wanted a random key; did you mean jax.random.key(0)?",
        ),
        ((KEY, "34"), TypeError, "shape is '34'; wanted a tuple of integers"),
        ((KEY, 3), TypeError, "shape is 3; wanted a tuple of integers; did you mean (3,)?"),
        ((KEY, (2, 2.0)), TypeError, "shape[1] is 2.0 (float); wanted an integer"),
        ((KEY, (2, -1)), ValueError, "shape[1] is -1; wanted an integer of at least 0"),
        (
            (KEY, shape, jnp.int32),
            TypeError,
            "dtype is int32; wanted a floating dtype; did you mean jnp.float32?",
        ),
        (
            (KEY, shape, "abc"),
            TypeError,
            "dtype is 'abc'; wanted a floating dtype; did you mean jnp.float32?",
        ),
    ]
    return [Mistake(init, args, {}, error, f"{name}: {message}") for args, error, message in rows]


def of_the_factory(factory, *args, argument=None):
    """Rows for a factory: called as if it were the initialiser, and with a wrong dtype."""
    name = factory.__name__
    key_row = Mistake(
        factory,
        (KEY, (4, 4)),
        {},
        TypeError,
        f"{name}: {argument} is a random key; {name} makes an initialiser, which takes it; "
        f"did you mean {name}(…)(key, shape)?",
    )
    dtype_row = Mistake(
        factory,
        args,
        {"dtype": "abc"},
        TypeError,
        f"{name}: dtype is 'abc'; wanted a floating dtype; did you mean jnp.float32?",
    )
    return [dtype_row] if argument is None else [key_row, dtype_row]
