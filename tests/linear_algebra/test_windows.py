"""fnmath.linear_algebra, windows: patches, their adjoint, and what a convolution makes of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.linear_algebra import channels_first, flatten, patches, patches_adjoint
from tests.helpers import Mistake, assert_transforms, assert_within_ulp
from tests.linear_algebra.cotangents import assert_cotangents, normal

images = jnp.ones((2, 5, 6, 3))
p = jnp.ones((2, 2, 3, 2, 2, 3))
NOT_AN_INTEGER = "wanted an integer"
MISTAKES = [
    Mistake(
        patches,
        (images,),
        {"window": 6},
        ValueError,
        "patches: window (6, 6) is larger than the image, (5, 6) pixels; "
        "did you mean jnp.pad of the image first?",
    ),
    Mistake(
        patches,
        (images[0, 0],),
        {"window": 2},
        ValueError,
        "patches: images has shape (6, 3); wanted at least 3 axes, (*batch height width channels); "
        "did you mean images[None]?",
    ),
    Mistake(
        patches,
        (images,),
        {"window": (2, 2, 3)},
        ValueError,
        "patches: window is (2, 2, 3); wanted (height, width)",
    ),
    Mistake(
        patches,
        (images,),
        {"window": (2, 0)},
        ValueError,
        "patches: window[1] is 0; wanted an integer of at least 1",
    ),
    Mistake(
        patches,
        (images,),
        {"window": 2, "stride": 0},
        ValueError,
        "patches: stride is 0; wanted an integer of at least 1",
    ),
    Mistake(
        patches,
        (images,),
        {"window": 2.0},
        TypeError,
        f"patches: window is 2.0 (float); {NOT_AN_INTEGER}",
    ),
    Mistake(
        patches,
        ([1.0],),
        {"window": 2},
        TypeError,
        "patches: images is a list; wanted an array; did you mean jnp.asarray(images)?",
    ),
    Mistake(
        patches_adjoint,
        (p,),
        {"height": 5, "width": 6, "stride": 1},
        ValueError,
        "patches_adjoint: p has a grid of (2, 3) patches; wanted (4, 5), what (2, 2) windows "
        "at stride (1, 1) cut from (5, 6) pixels",
    ),
    Mistake(
        patches_adjoint,
        (p,),
        {"height": 1, "width": 6},
        ValueError,
        "patches_adjoint: window (2, 2) is larger than the image, (1, 6) pixels; "
        "did you mean jnp.pad of the image first?",
    ),
    Mistake(
        patches_adjoint,
        (p,),
        {"height": 5, "width": 0},
        ValueError,
        "patches_adjoint: width is 0; wanted an integer of at least 1",
    ),
    Mistake(
        patches_adjoint,
        (p,),
        {"height": 5, "width": "6"},
        TypeError,
        f"patches_adjoint: width is '6' (str); {NOT_AN_INTEGER}",
    ),
    Mistake(
        patches_adjoint,
        (images,),
        {"height": 5, "width": 6},
        ValueError,
        "patches_adjoint: p has shape (2, 5, 6, 3); wanted at least 5 axes, "
        "(*batch rows columns window_height window_width channels); did you mean p[None]?",
    ),
    Mistake(
        patches_adjoint,
        (p.astype(jnp.uint8),),
        {"height": 5, "width": 6},
        TypeError,
        "patches_adjoint: p has dtype uint8; wanted a floating or complex dtype; "
        "did you mean p.astype(jnp.float32)?",
    ),
]


compiled_patches = jax.jit(patches, static_argnames=("window", "stride"))
compiled_adjoint = jax.jit(patches_adjoint, static_argnames=("height", "width", "stride"))


def cut(x):
    """Windows that overlap across, leave gaps down, and leave out the last row."""
    return patches(x, window=(2, 3), stride=(3, 2))


def lay_back(p):
    return patches_adjoint(p, height=6, width=7, stride=(3, 2))


SHAPE, CUT = (2, 6, 7, 3), (2, 2, 3, 2, 3, 3)
# Window and stride, on images of 6 × 7 pixels: overlapping, tiling, with gaps, whole.
WINDOWS = [((2, 3), (1, 1)), ((3, 3), (2, 1)), ((2, 3), None), ((1, 2), (3, 4)), ((6, 7), (1, 1))]


class TestPatches:
    def test_reference(self):
        """The formula, index by index."""
        x = normal(0, *SHAPE)
        for r, c, i, j in np.ndindex(CUT[1:5]):
            np.testing.assert_array_equal(cut(x)[:, r, c, i, j], x[:, 3 * r + i, 2 * c + j])

    @pytest.mark.parametrize(("window", "stride"), WINDOWS)
    def test_reference_lax(self, window, stride):
        x = normal(0, *SHAPE)
        ours = compiled_patches(x, window=window, stride=stride)
        theirs = jax.lax.conv_general_dilated_patches(
            x, window, stride or window, "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        channels_lead = jnp.moveaxis(ours, -1, -3)
        np.testing.assert_array_equal(flatten(channels_lead, axes=3), theirs)

    @pytest.mark.parametrize(("window", "stride"), WINDOWS)
    def test_reference_torch(self, window, stride, torch):
        x = normal(0, *SHAPE)
        torch_images = torch.tensor(np.asarray(channels_first(x)))
        theirs = torch.nn.functional.unfold(torch_images, window, stride=stride or window)
        ours = jnp.moveaxis(compiled_patches(x, window=window, stride=stride), -1, 1)
        matrices = flatten(jnp.moveaxis(ours, (-2, -1), (2, 3)), axes=2)
        np.testing.assert_array_equal(matrices.reshape(theirs.shape), theirs.numpy())

    def test_law_convolution(self):
        """A convolution is a matrix product with patches."""
        x, kernel = normal(0, *SHAPE), normal(1, 2, 3, 3, 4)
        convolved = jax.lax.conv_general_dilated(
            x, kernel, (3, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        product = flatten(cut(x), axes=3) @ kernel.reshape(-1, 4)
        np.testing.assert_allclose(product, convolved, atol=1e-5)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        assert_cotangents(cut, lambda pbar, x: (lay_back(pbar),), normal(0, *SHAPE))

    def test_transforms(self):
        assert_transforms(cut, normal(0, *SHAPE))

    def test_stride_is_the_window_by_default(self):
        x = normal(0, 4, 6, 1)
        tiles = patches(x, window=2)
        assert tiles.shape == (2, 3, 2, 2, 1)
        rebuilt = jnp.swapaxes(tiles, 1, 2).reshape(4, 6, 1)
        np.testing.assert_array_equal(rebuilt, x)

    @pytest.mark.parametrize("dtype", ["uint8", "bool", "bfloat16", "complex64"])
    def test_edges(self, dtype):
        empty = jax.eval_shape(cut, jax.ShapeDtypeStruct((0, *SHAPE), dtype))
        assert empty.dtype == dtype
        assert empty.shape == (0, *CUT)

    def test_nan_stays_in_the_patches_that_see_it(self):
        seen = jnp.isnan(patches(jnp.zeros((4, 4, 1)).at[1, 2].set(jnp.nan), window=2))
        assert seen.any((2, 3, 4)).tolist() == [[False, True], [False, False]]


class TestPatchesAdjoint:
    @pytest.mark.slow
    @pytest.mark.last_digits
    @pytest.mark.parametrize(("window", "stride"), WINDOWS)
    def test_reference_torch(self, window, stride, torch):
        rows = compiled_patches(normal(0, *SHAPE), window=window, stride=stride)
        p = jnp.asarray(np.random.default_rng(1).uniform(0.5, 2, rows.shape), jnp.float32)
        channels_lead = jnp.moveaxis(p, (-1, -3, -2), (1, 2, 3))
        columns = np.float64(channels_lead).reshape(2, -1, p.shape[1] * p.shape[2])
        theirs = torch.nn.functional.fold(
            torch.tensor(columns), (6, 7), window, stride=stride or window
        )
        ours = compiled_adjoint(p, height=6, width=7, stride=stride)
        assert_within_ulp(channels_first(ours), theirs.numpy(), 4)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize(("window", "stride"), WINDOWS)
    def test_law_adjoint(self, window, stride):
        """⟨patches(x), p⟩ = ⟨x, patches_adjoint(p)⟩."""
        x = normal(0, *SHAPE)
        cut_x = compiled_patches(x, window=window, stride=stride)
        p = normal(1, *cut_x.shape)
        back = compiled_adjoint(p, height=6, width=7, stride=stride)
        np.testing.assert_allclose(jnp.sum(cut_x * p), jnp.sum(x * back), rtol=1e-12)

    def test_law_average_of_overlapping_patches(self):
        """What the docstring says: divided by the adjoint of ones, it rebuilds the image."""
        x = normal(0, *SHAPE)
        options = {"height": 6, "width": 7, "stride": (2, 1)}
        p = patches(x, window=(2, 3), stride=(2, 1))
        seen_by = patches_adjoint(jnp.ones_like(p), **options)
        np.testing.assert_allclose(patches_adjoint(p, **options) / seen_by, x, rtol=1e-6)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        assert_cotangents(lay_back, lambda xbar, p: (cut(xbar),), normal(0, *CUT))

    def test_transforms(self):
        assert_transforms(lay_back, normal(0, *CUT))

    def test_edges(self):
        assert lay_back(jnp.zeros((0, *CUT))).shape == (0, *SHAPE)
        unseen = lay_back(jnp.full(CUT, jnp.nan))[:, 2]
        assert (unseen == 0).all()
        assert lay_back(jnp.ones(CUT, complex)).dtype == jnp.complex64

    def test_sums_of_half_precision_are_carried_in_float32(self):
        """361 ones in bfloat16: one by one they would stop at 256."""
        ones = jnp.ones((19, 19, 19, 19, 1), jnp.bfloat16)
        image = patches_adjoint(ones, height=37, width=37, stride=1)
        assert image.dtype == jnp.bfloat16
        assert image[18, 18, 0] == jnp.bfloat16(361)
