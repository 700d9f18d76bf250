"""Pooling: what the windows over an image see, each summed up in one number per channel.

Notation: x is an image, y what is pooled from it; w windows of size k along an axis of size n, at
strides s, with l and h pixels of padding at the ends and dilation d. Window o sees the pixels

    o s + j d − l,    j = 0, …, k − 1,    and there are  w = ⌊(n + l + h − (k − 1) d − 1)/s⌋ + 1

of them. The last axis holds the channels, which are pooled apart; before it stand the spatial axes,
as many as the window has sizes, and before those the batch.

    max_pool, avg_pool, lp_pool                  the windows of a given size
    adaptive_max_pool, adaptive_avg_pool         windows that cut the image into a given grid
    global_max_pool, global_avg_pool             one window, the whole image
    max_pool_with_indices, max_unpool            maxima with their places, and back there

One rule for all of them: ``window`` is a tuple, and its length says how many axes are spatial.
``strides``, ``padding`` and ``dilation`` are tuples of that length, or one number for all axes.

Padding is no part of the image. It never is a maximum, a norm does not see it, and an average
counts it, as zeros, only if told to. A window that would see nothing but padding is an error.

Windows are products of intervals, so maxima and sums are taken along one axis after the other.
"""

from fnmath.layers.pooling.adaptive import (
    adaptive_avg_pool,
    adaptive_max_pool,
    global_avg_pool,
    global_max_pool,
)
from fnmath.layers.pooling.averages import avg_pool, lp_pool
from fnmath.layers.pooling.maxima import max_pool, max_pool_with_indices, max_unpool

__all__ = [
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "avg_pool",
    "global_avg_pool",
    "global_max_pool",
    "lp_pool",
    "max_pool",
    "max_pool_with_indices",
    "max_unpool",
]
