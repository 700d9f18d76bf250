"""Arrays drawn at random, at which no function may give nan."""

import functools
import os

import hypothesis
import hypothesis.extra.numpy
import numpy as np


@functools.cache
def drawn_arrays():
    """A thousand arrays of 16 float32 numbers; FNMATH_DRAWS=10000 draws ten thousand."""
    count, arrays = int(os.environ.get("FNMATH_DRAWS", "1000")), []
    numbers = hypothesis.strategies.floats(width=32, allow_nan=False, allow_infinity=False)

    @hypothesis.settings(max_examples=count, deadline=None, derandomize=True, database=None)
    @hypothesis.given(hypothesis.extra.numpy.arrays(np.float32, 16, elements=numbers))
    def keep(x):
        arrays.append(x)

    keep()
    assert len(arrays) >= count
    return np.stack(arrays)
