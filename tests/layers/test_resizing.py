"""fnmath.layers.resizing: interpolation to another size, and pixels as channels."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fnmath.layers import pixel_shuffle, pixel_unshuffle, resize, upsample
from tests.helpers import Mistake, assert_gradient, assert_transforms
from tests.layers.agreement import arrays, assert_agrees, draws

DRAWN = {"deadline": None, "derandomize": True, "database": None}
x = jnp.ones((2, 3, 4, 8))

MISTAKES = [
    Mistake(
        resize, (None, (2, 2)), {"method": "nearest"}, TypeError,
        "resize: images is a NoneType; wanted an array",
    ),
    Mistake(
        resize, (x.astype(int), (2, 2)), {"method": "bilinear"}, TypeError,
        "resize: images has dtype int32; wanted a floating dtype; "
        "did you mean images.astype(jnp.float32)?",
    ),
    Mistake(
        resize, (x, 2), {"method": "nearest"}, TypeError,
        "resize: shape is a int; wanted a tuple of integers",
    ),
    Mistake(
        resize, (x, (2, 0)), {"method": "nearest"}, ValueError,
        "resize: shape[1] is 0; wanted an integer of at least 1",
    ),
    Mistake(
        resize, (x, ()), {"method": "nearest"}, ValueError,
        "resize: shape is (); wanted one size for each spatial axis",
    ),
    Mistake(
        resize, (x[0, 0], (2, 2)), {"method": "bicubic"}, ValueError,
        "resize: images has shape (4, 8); wanted at least 3 axes, "
        "(*batch height width channels); did you mean images[None]?",
    ),
    Mistake(
        resize, (x[:, :0], (2, 2)), {"method": "nearest"}, ValueError,
        "resize: images has shape (2, 0, 4, 8); wanted at least one pixel",
    ),
    Mistake(
        resize, (x, (2, 2)), {"method": "linear"}, ValueError,
        "resize: method is 'linear'; wanted one of 'nearest', 'nearest-exact', 'bilinear', "
        "'bicubic'",
    ),
    Mistake(
        resize, (x, (2, 2)), {"method": None}, TypeError,
        "resize: method is None; wanted one of 'nearest', 'nearest-exact', 'bilinear', 'bicubic'",
    ),
    Mistake(
        resize, (x, (2, 2)), {"method": "nearest", "antialias": True}, ValueError,
        "resize: antialias is True; wanted False for the method 'nearest'",
    ),
    Mistake(
        resize, (x, (2, 2)), {"method": "bilinear", "antialias": True, "align_corners": True},
        ValueError, "resize: align_corners and antialias are both True; wanted one at most",
    ),
    Mistake(
        upsample, (x, 2.0), {"method": "nearest"}, TypeError,
        "upsample: factor is 2.0 (float); wanted an integer",
    ),
    Mistake(
        upsample, (x, (2, 2, 2)), {"method": "nearest"}, ValueError,
        "upsample: factor is (2, 2, 2); wanted 2 factors, one for each axis",
    ),
    Mistake(
        upsample, (x, 2), {"method": "nearest", "align_corners": True}, ValueError,
        "upsample: align_corners is True; wanted False for the method 'nearest'",
    ),
    Mistake(
        pixel_shuffle, (x, 2.0), {}, TypeError,
        "pixel_shuffle: factor is 2.0 (float); wanted an integer",
    ),
    Mistake(
        pixel_shuffle, (x, 3), {}, ValueError,
        "pixel_shuffle: the 8 channels are not divisible by factor² 9",
    ),
    Mistake(
        pixel_shuffle, (x[0, 0], 2), {}, ValueError,
        "pixel_shuffle: images has shape (4, 8); wanted at least 3 axes, "
        "(*batch height width channels); did you mean images[None]?",
    ),
    Mistake(
        pixel_unshuffle, ([1.0], 2), {}, TypeError,
        "pixel_unshuffle: images is a list; wanted an array; did you mean jnp.asarray(images)?",
    ),
    Mistake(
        pixel_unshuffle, (x, 2), {}, ValueError,
        "pixel_unshuffle: an image of 3 × 4 pixels is not divisible by factor 2",
    ),
]  # fmt: skip

INTERPOLATIONS = [
    ("nearest", {}),
    ("nearest-exact", {}),
    ("bilinear", {}),
    ("bilinear", {"align_corners": True}),
    ("bilinear", {"antialias": True}),
    ("bicubic", {}),
    ("bicubic", {"align_corners": True}),
    ("bicubic", {"antialias": True}),
]
EACH = pytest.mark.parametrize(
    ("method", "options"), INTERPOLATIONS, ids=lambda a: "-".join(a) if isinstance(a, dict) else a
)


@st.composite
def resizings(draw):
    """Batch, sizes before and after, channels, method and options, the draws."""
    method, options = draw(st.sampled_from(INTERPOLATIONS))
    images_only = method == "bicubic" or "antialias" in options  # what torch has
    spatial = 2 if images_only else draw(st.integers(1, 3))
    sizes = st.tuples(*[st.integers(1, 9 if spatial == 2 else 5)] * spatial)
    batch = draw(st.lists(st.integers(1, 2), max_size=2))
    drawn = draw(sizes), draw(sizes), draw(st.integers(1, 2)), method, options
    return tuple(batch), *drawn, draw(st.integers(0, 2**31))


def torch_interpolate(torch, images, spatial, **options):
    """PyTorch's, channels first and back."""
    first = torch.movedim(images.reshape(-1, *images.shape[-1 - spatial :]), -1, 1)
    y = torch.movedim(torch.nn.functional.interpolate(first, **options), 1, -1)
    return y.reshape(*images.shape[: -1 - spatial], *y.shape[1:])


def torch_options(method, options, spatial):
    mode = {1: "linear", 2: method, 3: "trilinear"}[spatial] if method == "bilinear" else method
    corners = {} if method.startswith("nearest") else {"align_corners": False}
    return {"mode": mode, **corners, **options}


@pytest.mark.slow
class TestAgainstTorch:
    @settings(max_examples=60, **DRAWN)
    @given(resizings())
    def test_resize(self, configuration):
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        batch, before, after, channels, method, options, seed = configuration
        (images,) = arrays(seed, (*batch, *before, channels))
        named = torch_options(method, options, len(before))
        assert_agrees(
            torch,
            lambda x: resize(x, after, method=method, **options),
            lambda x: torch_interpolate(torch, x, len(before), size=after, **named),
            images,
        )

    @settings(max_examples=20, **DRAWN)
    @given(
        st.lists(st.integers(1, 3), max_size=2), st.integers(1, 3), st.integers(1, 3),
        st.integers(1, 3), st.integers(1, 3), st.booleans(), st.integers(0, 2**31),
    )  # fmt: skip
    def test_pixel_shuffle(self, batch, height, width, channels, factor, back, seed):
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        small = (*batch, height, width, channels * factor**2)
        large = (*batch, height * factor, width * factor, channels)
        (images,) = arrays(seed, large if back else small)
        ours = pixel_unshuffle if back else pixel_shuffle
        peer = torch.nn.functional.pixel_unshuffle if back else torch.nn.functional.pixel_shuffle

        def theirs(x):
            return torch.movedim(peer(torch.movedim(x, -1, -3), factor), -3, -1)

        assert_agrees(torch, lambda x: ours(x, factor), theirs, images, rtol=0, rtol32=0)

    @pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
    def test_upsample(self, method):
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        (images,) = arrays(0, (2, 3, 4, 2))
        named = torch_options(method, {}, 2)
        assert_agrees(
            torch,
            lambda x: upsample(x, (2, 3), method=method),
            lambda x: torch_interpolate(torch, x, 2, scale_factor=(2.0, 3.0), **named),
            images,
        )


class TestResize:
    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("after", [(3, 11), (9, 2), (5, 7)])
    @pytest.mark.parametrize(
        ("method", "options", "theirs"),
        [
            ("nearest-exact", {}, {"method": "nearest"}),
            ("bilinear", {}, {"method": "bilinear", "antialias": False}),
            ("bilinear", {"antialias": True}, {"method": "bilinear"}),
            ("bicubic", {"antialias": True}, {"method": "bicubic"}),
        ],
    )
    def test_equals_jax_where_it_should(self, method, options, theirs, after):
        (images,) = draws(1, (2, 5, 7, 3))
        expected = jax.image.resize(images, (2, *after, 3), **theirs)
        found = resize(images, after, method=method, **options)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)  # its weights are float32

    @EACH
    def test_law_constants_stay(self, method, options):
        """The rows of the matrices sum to 1, and the same size is the identity."""
        y = resize(jnp.full((5, 4, 1), 3.0), (7, 2), method=method, **options)
        np.testing.assert_allclose(y, 3, rtol=1e-6)
        (images,) = draws(2, (5, 4, 2))
        same = resize(images, (5, 4), method=method, **options)
        np.testing.assert_array_equal(same, images)

    def test_law_planes_are_reproduced(self):
        """Away from the edges, where the image is continued by its edge."""
        n, m = 12, 30
        s = (np.arange(m) + 0.5) * n / m - 0.5
        y = resize(jnp.arange(float(n))[:, None], (m,), method="bilinear")[:, 0]
        inside = (s >= 1) & (s <= n - 2)
        np.testing.assert_allclose(y[inside], s[inside], rtol=1e-5)

    def test_law_cubic_antialias_reproduces_parabolas(self):
        """With a = −½ Keys's interpolation is exact to second degree, and with −¾ it is not."""
        n, m = 12, 30
        s = (np.arange(m) + 0.5) * n / m - 0.5
        parabola = jnp.arange(float(n))[:, None] ** 2
        inside = (s >= 1) & (s <= n - 2)
        y, z = (resize(parabola, (m,), method="bicubic", antialias=a)[:, 0] for a in (True, False))
        np.testing.assert_allclose(y[inside], s[inside] ** 2, rtol=1e-5)
        assert jnp.abs(z[inside] - s[inside] ** 2).max() > 0.05

    def test_antialias_takes_the_mean(self):
        """A chessboard made half as large is grey, not black or white."""
        board = (jnp.indices((16, 16)).sum(0) % 2).astype(jnp.float32)[..., None]
        grey = resize(board, (8, 8), method="bilinear", antialias=True)
        np.testing.assert_allclose(grey[1:-1, 1:-1], 0.5, atol=1e-6)

    @EACH
    @pytest.mark.usefixtures("x64")
    def test_gradient_is_the_adjoint(self, method, options):
        """⟨A x, y⟩ = ⟨x, Aᵀ y⟩, and Aᵀ is the transpose of the matrix that the columns show."""
        x, y = draws(3, (3, 4, 1), (5, 2, 1))

        def f(x):
            return resize(x, (5, 2), method=method, **options)

        A = jax.vmap(f)(jnp.eye(12).reshape(12, 3, 4, 1)).reshape(12, 10).T
        (x_bar,) = jax.vjp(f, x)[1](y)
        np.testing.assert_allclose(x_bar.ravel(), A.T @ y.ravel(), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(f(x).ravel(), A @ x.ravel(), rtol=1e-12, atol=1e-14)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        x, w = draws(4, (3, 1), (5, 1))
        A = jax.vmap(lambda e: resize(e[:, None], (5,), method="bicubic")[:, 0])(jnp.eye(3)).T
        assert_gradient(
            jax.jit(lambda x: w * jnp.square(resize(x, (5,), method="bicubic"))),
            lambda x: 2 * A.T @ (w * (A @ x)),
            x,
        )

    @EACH
    def test_transforms(self, method, options):
        (x,) = draws(5, (3, 4, 2))
        chex.clear_trace_counter()  # which counts by the place in the file
        assert_transforms(lambda x: resize(x, (5, 2), method=method, **options), x)

    def test_many_taps(self):
        """Made much smaller, a pixel averages over hundreds: in a loop, not in a long program."""
        (x,) = draws(6, (200, 1))
        found = resize(x, (3,), method="bicubic", antialias=True)
        expected = jax.image.resize(x, (3, 1), "bicubic")
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        jaxpr = str(jax.make_jaxpr(lambda x: resize(x, (3,), method="bicubic", antialias=True))(x))
        assert jaxpr.count("gather") < 10

    @pytest.mark.slow
    def test_nan_and_infinity_spoil_their_neighbours_alone(self):
        for value in (jnp.nan, jnp.inf):
            image = jnp.ones((6, 6, 1)).at[2, 2].set(value)
            for method, reach in (("nearest", 0), ("bilinear", 1), ("bicubic", 2)):
                y = resize(image, (12, 12), method=method)[..., 0]
                rows = np.flatnonzero(~np.isfinite(y).all(axis=1))
                assert rows.min() >= 4 - 2 * reach
                assert rows.max() <= 5 + 2 * reach
                (x_bar,) = jax.vjp(lambda x, m=method: resize(x, (12, 12), method=m), image)[1](
                    jnp.ones((12, 12, 1))
                )
                assert jnp.isfinite(x_bar).all()
            same = resize(image, (6, 6), method="bicubic")
            np.testing.assert_array_equal(same, image)

    def test_dtypes(self):
        labels = jnp.arange(4).reshape(2, 2, 1)
        assert resize(labels, (3, 3), method="nearest").dtype == labels.dtype
        half = jnp.linspace(0, 1, 24).reshape(4, 6, 1).astype(jnp.bfloat16)
        y = resize(half, (9, 5), method="bicubic")
        wide = resize(half.astype(jnp.float32), (9, 5), method="bicubic")
        np.testing.assert_array_equal(y, wide.astype(jnp.bfloat16))

    def test_edges(self):
        assert resize(x[:0], (5, 5), method="bilinear").shape == (0, 5, 5, 8)
        assert resize(x[..., :0], (5, 5), method="bicubic").shape == (2, 5, 5, 0)
        one = resize(x[:, :1, :1], (3, 2), method="bicubic", align_corners=True)
        np.testing.assert_array_equal(one, jnp.ones((2, 3, 2, 8)))

    def test_nearest_is_exact(self):
        """⌊i n/m⌋ in integers: in float32, 41 · (2/82) is 0.99999994, and its floor 0."""
        y = resize(jnp.arange(2)[:, None], (82,), method="nearest")[:, 0]
        np.testing.assert_array_equal(y, np.repeat([0, 1], 41))


class TestUpsample:
    def test_blocks(self):
        """Nearest pixels by a whole factor: the Kronecker product with ones."""
        (images,) = draws(7, (3, 4, 2))
        expected = np.kron(images, np.ones((2, 3, 1)))
        for method in ("nearest", "nearest-exact"):
            np.testing.assert_array_equal(upsample(images, (2, 3), method=method), expected)
        (bar,) = jax.vjp(lambda x: upsample(x, (2, 3), method="nearest"), images)[1](
            jnp.ones((6, 12, 2))
        )
        np.testing.assert_array_equal(bar, 6)

    def test_is_a_resize(self):
        (images,) = draws(8, (3, 4, 2, 2))
        for spatial, after in ((1, (4,)), (2, (8, 4)), (3, (6, 8, 4))):
            found = upsample(images, 2, method="bilinear", spatial=spatial, align_corners=True)
            expected = resize(images, after, method="bilinear", align_corners=True)
            np.testing.assert_array_equal(found, expected)

    def test_transforms(self):
        (images,) = draws(9, (3, 4, 2))
        assert_transforms(lambda x: upsample(x, 2, method="bilinear"), images)


class TestPixelShuffle:
    def test_inverse_and_adjoint(self):
        (small, large) = draws(10, (2, 3, 4, 18), (2, 9, 12, 2))
        np.testing.assert_array_equal(pixel_unshuffle(pixel_shuffle(small, 3), 3), small)
        np.testing.assert_array_equal(pixel_shuffle(pixel_unshuffle(large, 3), 3), large)
        (bar,) = jax.vjp(lambda x: pixel_shuffle(x, 3), small)[1](large)
        np.testing.assert_array_equal(bar, pixel_unshuffle(large, 3))
        (bar,) = jax.vjp(lambda x: pixel_unshuffle(x, 3), large)[1](small)
        np.testing.assert_array_equal(bar, pixel_shuffle(small, 3))

    def test_transforms(self):
        small, large = draws(11, (3, 4, 8), (4, 6, 2))
        assert_transforms(lambda x: pixel_shuffle(x, 2), small)
        assert_transforms(lambda x: pixel_unshuffle(x, 2), large)

    def test_edges(self):
        assert pixel_shuffle(jnp.ones((0, 2, 3, 4), int), 2).shape == (0, 4, 6, 1)
        assert pixel_unshuffle(jnp.ones((0, 2, 4, 3), bool), 2).shape == (0, 1, 2, 12)
        np.testing.assert_array_equal(pixel_shuffle(x, 1), x)
