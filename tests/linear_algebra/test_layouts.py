"""fnmath.linear_algebra, layouts: every entry in its place, and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.linear_algebra import (
    batch_to_frames,
    channels_first,
    channels_last,
    flatten,
    frames_to_batch,
    unflatten,
)
from tests.helpers import Mistake, assert_transforms
from tests.linear_algebra.cotangents import assert_cotangents, normal

x = jnp.ones((2, 3, 4))
images = jnp.ones((6, 4, 5, 3))
MISTAKES = [
    Mistake(
        flatten,
        (x,),
        {"axes": 0},
        ValueError,
        "flatten: axes is 0; wanted an integer of at least 1",
    ),
    Mistake(
        flatten,
        (x,),
        {"axes": (1, 2)},
        TypeError,
        "flatten: axes is (1, 2) (tuple); wanted an integer",
    ),
    Mistake(
        flatten,
        (x,),
        {"axes": 4},
        ValueError,
        "flatten: x has shape (2, 3, 4); wanted at least 4 axes, (*batch n1 n2 n3 n4); "
        "did you mean x[None]?",
    ),
    Mistake(
        flatten,
        ([1.0],),
        {"axes": 1},
        TypeError,
        "flatten: x is a list; wanted an array; did you mean jnp.asarray(x)?",
    ),
    Mistake(
        unflatten,
        (x,),
        {"shape": (2, 3)},
        ValueError,
        "unflatten: shape (2, 3) has 6 entries and y (2, 3, 4) has 4 features; wanted as many",
    ),
    Mistake(
        unflatten,
        (x,),
        {"shape": (2, -1)},
        ValueError,
        "unflatten: shape[1] is -1; wanted an integer of at least 0",
    ),
    Mistake(
        unflatten,
        (x,),
        {"shape": (2, 2.0)},
        TypeError,
        "unflatten: shape[1] is 2.0 (float); wanted an integer",
    ),
    Mistake(
        unflatten,
        (x,),
        {"shape": 4},
        TypeError,
        "unflatten: shape is 4 (int); wanted a tuple of integers; did you mean (4,)?",
    ),
    Mistake(
        unflatten,
        (jnp.ones(()),),
        {"shape": (1,)},
        ValueError,
        "unflatten: y has shape (); wanted at least 1 axis, (*batch features); "
        "did you mean y[None]?",
    ),
    Mistake(
        unflatten,
        (None,),
        {"shape": (1,)},
        TypeError,
        "unflatten: y is a NoneType; wanted an array",
    ),
    Mistake(
        channels_last,
        (x[0],),
        {},
        ValueError,
        "channels_last: x has shape (3, 4); wanted at least 3 axes, "
        "(*batch channels height width); did you mean x[None]?",
    ),
    Mistake(
        channels_last,
        (x,),
        {"spatial": 0},
        ValueError,
        "channels_last: spatial is 0; wanted an integer of at least 1",
    ),
    Mistake(
        channels_last,
        (x,),
        {"spatial": "video"},
        TypeError,
        "channels_last: spatial is 'video' (str); wanted an integer",
    ),
    Mistake(
        channels_last,
        ([1.0],),
        {},
        TypeError,
        "channels_last: x is a list; wanted an array; did you mean jnp.asarray(x)?",
    ),
    Mistake(
        channels_first,
        (x,),
        {"spatial": 3},
        ValueError,
        "channels_first: x has shape (2, 3, 4); wanted at least 4 axes, "
        "(*batch frames height width channels); did you mean x[None]?",
    ),
    Mistake(
        channels_first,
        (x[0, 0],),
        {"spatial": 1},
        ValueError,
        "channels_first: x has shape (4,); wanted at least 2 axes, (*batch time channels); "
        "did you mean x[None]?",
    ),
    Mistake(
        channels_first,
        (x,),
        {"spatial": 2.0},
        TypeError,
        "channels_first: spatial is 2.0 (float); wanted an integer",
    ),
    Mistake(
        channels_first,
        (x,),
        {"spatial": -1},
        ValueError,
        "channels_first: spatial is -1; wanted an integer of at least 1",
    ),
    Mistake(
        channels_first,
        ([1.0],),
        {},
        TypeError,
        "channels_first: x is a list; wanted an array; did you mean jnp.asarray(x)?",
    ),
    Mistake(
        frames_to_batch,
        (images,),
        {},
        ValueError,
        "frames_to_batch: video has shape (6, 4, 5, 3); wanted at least 5 axes, "
        "(*batch videos frames height width channels); did you mean video[None]?",
    ),
    Mistake(
        frames_to_batch,
        ([images],),
        {},
        TypeError,
        "frames_to_batch: video is a list; wanted an array; did you mean jnp.asarray(video)?",
    ),
    Mistake(
        batch_to_frames,
        (images,),
        {"frames": 4},
        ValueError,
        "batch_to_frames: frames is 4 and images (6, 4, 5, 3) are 6; wanted a divisor of 6",
    ),
    Mistake(
        batch_to_frames,
        (images,),
        {"frames": 0},
        ValueError,
        "batch_to_frames: frames is 0; wanted an integer of at least 1",
    ),
    Mistake(
        batch_to_frames,
        (images,),
        {"frames": None},
        TypeError,
        "batch_to_frames: frames is None (NoneType); wanted an integer",
    ),
    Mistake(
        batch_to_frames,
        (x,),
        {"frames": 2},
        ValueError,
        "batch_to_frames: images has shape (2, 3, 4); wanted at least 4 axes, "
        "(*batch images height width channels); did you mean images[None]?",
    ),
    Mistake(
        batch_to_frames,
        ([x],),
        {"frames": 2},
        TypeError,
        "batch_to_frames: images is a list; wanted an array; did you mean jnp.asarray(images)?",
    ),
]


def flat(x):
    return flatten(x, axes=2)


def square(y):
    return unflatten(y, shape=(3, 4))


def pairs_of_frames(x):
    return batch_to_frames(x, frames=2)


def sequences_last(x):
    return channels_last(x, spatial=1)


def sequences_first(x):
    return channels_first(x, spatial=1)


def videos_last(x):
    return channels_last(x, spatial=3)


def videos_first(x):
    return channels_first(x, spatial=3)


# Each layout, its inverse, and the shape it starts from.
LAYOUTS = [
    (flat, square, (2, 3, 4)),
    (square, flat, (2, 12)),
    (channels_last, channels_first, (2, 3, 4, 5)),
    (channels_first, channels_last, (2, 4, 5, 3)),
    (sequences_last, sequences_first, (2, 3, 4)),
    (videos_last, videos_first, (3, 6, 4, 5)),
    (frames_to_batch, pairs_of_frames, (3, 2, 4, 5, 3)),
    (pairs_of_frames, frames_to_batch, (6, 4, 5, 3)),
]
each_layout = pytest.mark.parametrize(("f", "inverse", "shape"), LAYOUTS)


@each_layout
class TestEveryLayout:
    def test_law_nothing_is_lost(self, f, inverse, shape):
        numbered = jnp.arange(np.prod(shape)).reshape(shape)
        np.testing.assert_array_equal(inverse(f(numbered)), numbered)
        assert f(numbered).size == numbered.size

    @pytest.mark.usefixtures("x64")
    def test_gradient_is_the_inverse(self, f, inverse, shape):
        assert_cotangents(f, lambda ybar, x: (inverse(ybar),), normal(0, *shape))

    def test_transforms(self, f, inverse, shape):
        assert_transforms(f, normal(0, *shape))

    def test_edges(self, f, inverse, shape):
        """An empty batch, and dtypes that no product takes."""
        for dtype in ("uint8", "bool", "bfloat16", "complex64"):
            empty = jax.eval_shape(f, jax.ShapeDtypeStruct((0, *shape), dtype))
            assert empty.dtype == dtype
            assert empty.shape == (0, *jax.eval_shape(f, jnp.zeros(shape)).shape)


class TestFlatten:
    def test_reference(self):
        """The formula, index by index."""
        numbered = jnp.arange(120).reshape(2, 3, 4, 5)
        rows = flatten(numbered, axes=3)
        for b, i, j, k in np.ndindex(2, 3, 4, 5):
            assert rows[b, (i * 4 + j) * 5 + k] == numbered[b, i, j, k]

    def test_axes_count_from_the_end(self):
        shapes = [flatten(jnp.zeros((2, 3, 4)), axes=axes).shape for axes in (1, 2, 3)]
        assert shapes == [(2, 3, 4), (2, 12), (24,)]

    def test_empty_batch(self):
        """Where reshape(0, -1) raises."""
        assert flatten(jnp.zeros((0, 3, 4)), axes=2).shape == (0, 12)


class TestUnflatten:
    def test_reference(self):
        y = jnp.arange(24).reshape(2, 12)
        matrices = unflatten(y, shape=(3, 4))
        for b, i, j in np.ndindex(2, 3, 4):
            assert matrices[b, i, j] == y[b, i * 4 + j]

    def test_no_axis_and_an_empty_one(self):
        assert unflatten(jnp.ones((5, 1)), shape=()).shape == (5,)
        assert unflatten(jnp.ones((5, 0)), shape=(0, 3)).shape == (5, 0, 3)


class TestChannels:
    def test_reference(self):
        """NumPy's transpose with the axes written out."""
        x = normal(0, 2, 3, 4, 5)
        np.testing.assert_array_equal(channels_last(x), np.transpose(x, (0, 2, 3, 1)))
        np.testing.assert_array_equal(channels_first(x), np.transpose(x, (0, 3, 1, 2)))
        np.testing.assert_array_equal(videos_last(x), np.transpose(x, (1, 2, 3, 0)))
        np.testing.assert_array_equal(videos_first(x), np.transpose(x, (3, 0, 1, 2)))
        np.testing.assert_array_equal(sequences_last(x[0]), np.transpose(x[0], (0, 2, 1)))

    def test_what_it_is_for(self):
        """A 1 × 1 convolution is a matrix product over the last axis."""
        first, kernel = normal(0, 2, 3, 4, 5), normal(1, 3, 7)
        convolved = jax.lax.conv_general_dilated(first, kernel.T[:, :, None, None], (1, 1), "VALID")
        np.testing.assert_allclose(
            channels_last(first) @ kernel, channels_last(convolved), atol=1e-5
        )


class TestFrames:
    def test_reference(self):
        """The formula, index by index."""
        video = normal(0, 7, 3, 2, 4, 5, 1)
        frames = frames_to_batch(video)
        assert frames.shape == (7, 6, 4, 5, 1)
        for b, f in np.ndindex(3, 2):
            np.testing.assert_array_equal(frames[:, b * 2 + f], video[:, b, f])
            again = batch_to_frames(frames, frames=2)[:, b, f]
            np.testing.assert_array_equal(again, frames[:, b * 2 + f])
