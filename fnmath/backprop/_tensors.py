"""Arrays of a pass, summed up: shape, norm, extremes, histogram, a small image."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnmath.backprop.record import Tensor

BINS = 32
PIXELS = 32


def summary(x: Any, keep: float) -> Tensor:
    """An array as a Tensor, with all its entries if they are at most ``keep``.

    A complex array is summed up by its absolute values, keys by nothing but their shape.
    """
    x = jnp.asarray(x)
    if jnp.issubdtype(x.dtype, jax.dtypes.extended):
        whole = np.asarray(jax.random.key_data(x)) if x.size <= keep else None
        nan = float("nan")
        return Tensor(x.shape, str(x.dtype), nan, nan, nan, nan, 0, _no_counts(), None, whole)
    entries = np.asarray(x)
    whole = entries if entries.size <= keep else None
    numbers = np.asarray(np.abs(entries)) if np.iscomplexobj(entries) else entries
    if numbers.dtype not in (np.float32, np.float64):
        # A sum of integers, or of numbers of 8 or 16 bits, needs more room than they have.
        numbers = numbers.astype(np.float32 if numbers.dtype.itemsize < 4 else np.float64)
    finite = np.isfinite(numbers)
    nonfinite = numbers.size - int(np.count_nonzero(finite))
    known = numbers[finite] if nonfinite else numbers.reshape(-1)
    if known.size:
        low, high = float(known.min()), float(known.max())
        mean = float(known.mean(dtype=np.float64))
        norm = _norm(known, max(abs(low), abs(high)))
    else:
        low = high = mean = float("nan")
        norm = float("nan") if numbers.size else 0.0
    return Tensor(
        tuple(x.shape),
        str(x.dtype),
        norm,
        low,
        high,
        mean,
        nonfinite,
        _counts(known, low, high),
        _image(numbers),
        whole,
        int(np.count_nonzero(np.isnan(numbers))) if nonfinite else 0,
    )


def _norm(x: np.ndarray, largest: float) -> float:
    """√Σ|x|², where no square may overflow or vanish."""
    if largest == 0:
        return 0.0
    scaled = x.astype(np.float64) / largest
    return largest * float(np.sqrt(np.dot(scaled, scaled)))


def _no_counts() -> np.ndarray:
    return np.zeros(BINS, np.int64)


def _counts(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """How many entries lie in each of equally wide bins from the least to the greatest."""
    if not x.size:
        return _no_counts()
    width = high / BINS - low / BINS  # high − low may overflow
    if not width > 0:
        bins = np.zeros(x.size, np.int64)
    else:
        bins = np.minimum(x / width - low / width, BINS - 1).astype(np.int64)
    return np.bincount(np.maximum(bins, 0), minlength=BINS)


def _image(x: np.ndarray) -> np.ndarray | None:
    """Means over blocks of the array as a matrix: its last axis across, all others down."""
    if x.ndim == 0 or x.size == 0:
        return None
    matrix = x.reshape(-1, x.shape[-1])
    with np.errstate(invalid="ignore", over="ignore"):
        for axis in (0, 1):
            size = matrix.shape[axis]
            if size > PIXELS:
                starts = np.arange(PIXELS) * size // PIXELS
                widths = np.diff(starts, append=size)
                sums = np.add.reduceat(matrix, starts, axis=axis, dtype=np.float64)
                matrix = sums / (widths[:, None] if axis == 0 else widths)
        return matrix.astype(np.float32)
