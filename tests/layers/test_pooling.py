"""fnmath.layers.pooling: windows over images, and the maximum, average or norm of what they see."""

import itertools
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.layers import (
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    global_avg_pool,
    global_max_pool,
    lp_pool,
    max_pool,
    max_pool_with_indices,
    max_unpool,
)
from tests.helpers import Mistake, assert_derivatives, assert_gradient, assert_transforms

x = jnp.arange(60.0).reshape(4, 5, 3)
places = jnp.zeros((2, 2, 3), jnp.int32)

WINDOWED = (max_pool, max_pool_with_indices, avg_pool, lp_pool)
GLOBAL = (global_avg_pool, global_max_pool)
ADAPTIVE = (adaptive_avg_pool, adaptive_max_pool)


def options_of(pool):
    """What a call needs beside the window."""
    return {"p": 2} if pool is lp_pool else {}


MISTAKES = [
    mistake
    for pool in WINDOWED
    for name, more in [(pool.__name__, options_of(pool))]
    for mistake in [
        Mistake(
            pool, (x,), {"window": 2, **more}, TypeError,
            f"{name}: window is 2 (int); wanted a tuple of integers, one for each spatial axis; "
            "did you mean (2, 2), for images?",
        ),
        Mistake(
            pool, (x,), {"window": (5, 2), **more}, ValueError,
            f"{name}: window (5, 2) spans 5 pixels of axis -3 of x (4, 5, 3), which has 4 with its "
            "padding; did you mean padding='SAME'?",
        ),
    ]
] + [
    Mistake(
        max_pool, (x,), {"window": [2, 2]}, TypeError,
        "max_pool: window is a list; wanted a tuple of integers, one for each spatial axis",
    ),
    Mistake(
        max_pool, (x,), {"window": ()}, ValueError,
        "max_pool: window is (); wanted one integer for each spatial axis",
    ),
    Mistake(
        max_pool, (x,), {"window": (2, 0)}, ValueError,
        "max_pool: window[1] is 0; wanted an integer of at least 1",
    ),
    Mistake(
        max_pool, (x,), {"window": (2, 2), "strides": (1, 1, 1)}, ValueError,
        "max_pool: strides is (1, 1, 1); wanted one integer, or 2, one for each spatial axis",
    ),
    Mistake(
        max_pool, (x,), {"window": (2, 2), "padding": "FULL"}, ValueError,
        "max_pool: padding is 'FULL'; wanted one of 'VALID', 'SAME', 'CAUSAL'",
    ),
    Mistake(
        max_pool, (x[0],), {"window": (2,), "padding": (1, 0)}, ValueError,
        "max_pool: padding is (1, 0); wanted a number or a pair for each of 1 spatial axes; "
        "did you mean ((1, 0),)?",
    ),
    Mistake(
        max_pool, (x,), {"window": (2, 2), "padding": (0, 2)}, ValueError,
        "max_pool: padding (2, 2) of axis -2 of x (4, 5, 3) makes a window of 2 that sees nothing "
        "but padding; wanted less padding",
    ),
    Mistake(
        max_pool, (x,), {"window": (2, 2), "padding": -1}, ValueError,
        "max_pool: padding is -1; wanted an integer of at least 0",
    ),
    Mistake(
        max_pool, (x,), {"window": (2, 2), "ceil": 1}, TypeError,
        "max_pool: ceil is 1 (int); wanted True or False",
    ),
    Mistake(
        max_pool, (x[0],), {"window": (2, 2)}, ValueError,
        "max_pool: x has shape (5, 3); wanted at least 3 axes, (*batch height width channels); "
        "did you mean x[None]?",
    ),
    Mistake(
        max_pool, (x.astype(int),), {"window": (2, 2)}, TypeError,
        "max_pool: x has dtype int32; wanted a floating dtype; did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        avg_pool, (x,), {"window": (2, 2), "count_padding": None}, TypeError,
        "avg_pool: count_padding is None (NoneType); wanted True or False",
    ),
    Mistake(
        lp_pool, (x,), {"window": (2, 2), "p": 0.5}, ValueError,
        "lp_pool: p is 0.5; wanted a number in [1, inf)",
    ),
    Mistake(
        lp_pool, (x,), {"window": (2, 2), "p": jnp.ones(())}, TypeError,
        "lp_pool: p is an array; wanted a Python number",
    ),
    Mistake(
        global_avg_pool, (x,), {"spatial": 3}, ValueError,
        "global_avg_pool: x has shape (4, 5, 3); wanted at least 4 axes, "
        "(*batch depth height width channels); did you mean x[None]?",
    ),
    Mistake(
        global_max_pool, (x[:0],), {}, ValueError,
        "global_max_pool: x has shape (0, 5, 3); wanted no spatial axis of size 0",
    ),
    Mistake(
        max_unpool, (x[:2, :2], places), {"sizes": 4}, TypeError,
        "max_unpool: sizes is 4 (int); wanted a tuple of integers, one for each spatial axis; "
        "did you mean (4, 4), for images?",
    ),
    Mistake(
        max_unpool, (x[:2, :2], places[:1]), {"sizes": (4, 4)}, ValueError,
        "max_unpool: x (2, 2, 3) and indices (1, 2, 3) must have one shape",
    ),
]  # fmt: skip
for pool in GLOBAL:
    MISTAKES.append(
        Mistake(
            pool, (x,), {"spatial": 1.5}, TypeError,
            f"{pool.__name__}: spatial is 1.5 (float); wanted an integer",
        )
    )  # fmt: skip
    MISTAKES.append(
        Mistake(
            pool, (x,), {"spatial": 0}, ValueError,
            f"{pool.__name__}: spatial is 0; wanted an integer of at least 1",
        )
    )  # fmt: skip
for pool in ADAPTIVE:
    MISTAKES.append(
        Mistake(
            pool, (x,), {"sizes": None}, TypeError,
            f"{pool.__name__}: sizes is a NoneType; wanted a tuple of integers, one for each "
            "spatial axis",
        )
    )  # fmt: skip
    MISTAKES.append(
        Mistake(
            pool, (x,), {"sizes": (0, 1)}, ValueError,
            f"{pool.__name__}: sizes[0] is 0; wanted an integer of at least 1",
        )
    )  # fmt: skip


def channels_first(a):
    return np.moveaxis(np.array(a), -1, 1)


def channels_last(a):
    return np.moveaxis(np.asarray(a), 1, -1)


def assert_equals_torch(torch, ours, theirs, x, rng):
    """Outputs, and gradients under drawn cotangents: to 1e-10, and one in four in float32 to 1e-5.

    One program computes both, of numbers that float32 has too: what is largest is the same.
    """
    precisions = (("f8", 1e-10), ("f4", 1e-5))[: 1 + (rng.random() < 0.25)]
    t = torch.tensor(channels_first(x), requires_grad=True)
    expected = theirs(t)
    expected = expected if isinstance(expected, tuple) else (expected,)
    ybar = rng.standard_normal(channels_last(expected[0].detach()).shape)
    (gradient,) = torch.autograd.grad(expected[0], t, torch.tensor(channels_first(ybar)))

    @jax.jit
    def both(x, ybar):
        def run(dtype):
            y, pullback, *more = jax.vjp(ours, x.astype(dtype), has_aux=len(expected) > 1)
            return y, *more, pullback(ybar.astype(dtype))[0]

        return tuple(run(dtype) for dtype, _ in precisions)

    found = both(jnp.asarray(x), jnp.asarray(ybar))
    for answers, (dtype, tolerance) in zip(found, precisions, strict=True):
        assert answers[0].dtype == answers[-1].dtype == dtype
        for answer, known in zip(answers, (*expected, gradient), strict=True):
            known = channels_last(known.detach().numpy())
            np.testing.assert_allclose(answer, known, rtol=tolerance, atol=tolerance)


def drawn_image(rng, rank, *, least=1, ties=False):
    sizes = rng.integers(least, {1: 12, 2: 9, 3: 6}[rank], rank)
    shape = (rng.integers(1, 3), *sizes, rng.integers(1, 4))
    x = rng.standard_normal(shape).astype(np.float32).astype(np.float64)
    return np.round(2 * x) if ties else x


def drawn_windows(rng, rank, most=4):
    """A window, strides, a padding of at most half the window, as one number or several."""
    window = tuple(int(k) for k in rng.integers(1, most, rank))
    strides = None if rng.random() < 0.3 else tuple(int(s) for s in rng.integers(1, 4, rank))
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in window)
    return window, strides, padding


def draws(count, seed):
    return (np.random.default_rng((seed, i)) for i in range(count))


@pytest.mark.usefixtures("x64")
@pytest.mark.slow
class TestEqualsTorch:
    """Drawn configurations, in float64 and in float32."""

    @pytest.mark.parametrize("rank", [1, 2, 3])
    def test_max_pool(self, torch, rank):
        """With places too, and with ties: numbers are rounded in two of three images."""
        for i, rng in enumerate(draws(22, rank)):
            window, strides, padding = drawn_windows(rng, rank)
            dilation = tuple(int(d) for d in rng.integers(1, 3, rank))
            least = max(d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True))
            more = {"padding": padding, "dilation": dilation}
            ceil = bool(rng.random() < 0.5)
            ours = partial(max_pool_with_indices, window=window, strides=strides, ceil=ceil, **more)
            theirs = partial(
                getattr(torch.nn.functional, f"max_pool{rank}d"),
                kernel_size=window,
                stride=strides,
                ceil_mode=ceil,
                return_indices=True,
                **more,
            )
            x = drawn_image(rng, rank, least=least, ties=i % 3 != 0)
            assert_equals_torch(torch, ours, theirs, x, rng)

    @pytest.mark.parametrize("rank", [1, 2, 3])
    def test_avg_pool(self, torch, rank):
        for rng in draws(22, 10 + rank):
            window, strides, padding = drawn_windows(rng, rank)
            ceil, count = bool(rng.random() < 0.5), bool(rng.random() < 0.5)
            more = {"window": window, "strides": strides, "padding": padding, "ceil": ceil}
            ours = partial(avg_pool, count_padding=count, **more)
            theirs = partial(
                getattr(torch.nn.functional, f"avg_pool{rank}d"),
                kernel_size=window,
                stride=strides,
                padding=padding,
                ceil_mode=ceil,
                count_include_pad=count,
            )
            x = drawn_image(rng, rank, least=max(window))
            assert_equals_torch(torch, ours, theirs, x, rng)

    @pytest.mark.parametrize("rank", [1, 2, 3])
    def test_lp_pool(self, torch, rank):
        """Of positive numbers where the power is not even: PyTorch takes no absolute value."""
        for i, rng in enumerate(draws(10, 20 + rank)):
            window, strides, _ = drawn_windows(rng, rank)
            p = [1, 1.5, 2, 3, 4][i % 5]
            ours = partial(lp_pool, window=window, strides=strides, p=p)
            theirs = partial(
                getattr(torch.nn.functional, f"lp_pool{rank}d"),
                norm_type=p,
                # In one dimension PyTorch counts the taps as a number, not as a tuple.
                kernel_size=window if rank > 1 else window[0],
                stride=strides,
            )
            x = drawn_image(rng, rank, least=max(window))
            x = x if p in (2, 4) else np.abs(x)
            assert_equals_torch(torch, ours, theirs, x, rng)

    @pytest.mark.parametrize("rank", [1, 2, 3])
    @pytest.mark.parametrize("pool", ADAPTIVE, ids=lambda f: f.__name__)
    def test_adaptive_pool(self, torch, pool, rank):
        """To more windows than pixels, too."""
        for rng in draws(6, 30 + rank):
            sizes = tuple(int(n) for n in rng.integers(1, 7, rank))
            ours = partial(pool, sizes=sizes)
            theirs = partial(
                getattr(torch.nn.functional, f"{pool.__name__}{rank}d"), output_size=sizes
            )
            x = drawn_image(rng, rank, ties=pool is adaptive_max_pool)
            assert_equals_torch(torch, ours, theirs, x, rng)

    @pytest.mark.parametrize("rank", [1, 2, 3])
    def test_max_unpool(self, torch, rank):
        """Of windows that do not overlap: where they do, PyTorch's backward pass is not its own."""
        for rng in draws(4, 40 + rank):
            window, _, padding = drawn_windows(rng, rank)
            image = drawn_image(rng, rank, least=max(window))
            windows = {"kernel_size": window, "padding": padding}
            pooled, places = getattr(torch.nn.functional, f"max_pool{rank}d")(
                torch.tensor(channels_first(image)), return_indices=True, **windows
            )
            sizes = image.shape[1:-1]
            indices = jnp.asarray(channels_last(places))
            ours = partial(max_unpool, indices=indices, sizes=sizes)
            theirs = partial(
                getattr(torch.nn.functional, f"max_unpool{rank}d"),
                indices=places,
                output_size=sizes,
                **windows,
            )
            x = channels_last(pooled)
            assert_equals_torch(torch, ours, theirs, x, rng)


def seen_by_each_window(x, window, strides, pads, dilation):
    """For each window the values and flat places of the pixels of the image that it sees."""
    sizes, axes = x.shape[:-1], []
    for n, k, s, (low, high), d in zip(sizes, window, strides, pads, dilation, strict=True):
        starts = range(-low, n + high - d * (k - 1), s)
        axes.append([[i for i in range(o, o + d * k, d) if 0 <= i < n] for o in starts])
    for taps in itertools.product(*axes):
        places = [int(np.ravel_multi_index(p, sizes)) for p in itertools.product(*taps)]
        yield x.reshape(-1, x.shape[-1])[places], np.array(places)


@pytest.mark.usefixtures("x64")
class TestWindows:
    """What PyTorch has not: paddings by name and in pairs, dilated averages; plain loops."""

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("padding", "pads"),
        [
            ("VALID", ((0, 0), (0, 0))),
            ("SAME", ((1, 2), (0, 1))),
            ("CAUSAL", ((4, 0), (1, 0))),
            (((0, 1), (1, 0)), ((0, 1), (1, 0))),
            ((1, (0, 1)), ((1, 1), (0, 1))),
        ],
        ids=str,
    )
    def test_paddings(self, padding, pads):
        x = np.random.default_rng(0).standard_normal((6, 7, 2))
        options = {"window": (3, 2), "strides": (2, 2), "padding": padding, "dilation": (2, 1)}
        seen = list(seen_by_each_window(x, (3, 2), (2, 2), pads, (2, 1)))
        maxima, places = max_pool_with_indices(jnp.asarray(x), **options)
        np.testing.assert_array_equal(maxima.reshape(-1, 2), [v.max(axis=0) for v, _ in seen])
        argmaxima = [p[v.argmax(axis=0)] for v, p in seen]
        np.testing.assert_array_equal(places.reshape(-1, 2), argmaxima)
        means = avg_pool(jnp.asarray(x), count_padding=False, **options)
        np.testing.assert_allclose(means.reshape(-1, 2), [v.mean(axis=0) for v, _ in seen])
        sums = avg_pool(jnp.asarray(x), **options)
        np.testing.assert_allclose(sums.reshape(-1, 2), [v.sum(axis=0) / 6 for v, _ in seen])
        norms = lp_pool(jnp.asarray(x), p=3, **options)
        cubes = [(np.abs(v) ** 3).sum(axis=0) ** (1 / 3) for v, _ in seen]
        np.testing.assert_allclose(norms.reshape(-1, 2), cubes)

    @pytest.mark.slow
    def test_same_gives_a_window_for_each_stride(self):
        for n, k, s in itertools.product(range(1, 7), range(1, 5), range(1, 4)):
            pooled = max_pool(jnp.ones((n, 1)), window=(k,), strides=s, padding="SAME")
            assert pooled.shape[0] == math.ceil(n / s)

    def test_causal_sees_no_future(self):
        x = jnp.array([1.0, 0.0, 2.0, 0.0, 0.0])[:, None]
        pooled = max_pool(x, window=(2,), strides=1, padding="CAUSAL")
        np.testing.assert_array_equal(pooled[:, 0], [1, 1, 2, 2, 0])

    def test_last_window_past_the_end(self):
        x = jnp.arange(5.0)[:, None]
        np.testing.assert_array_equal(avg_pool(x, window=(2,), ceil=True)[:, 0], [0.5, 2.5, 4])
        np.testing.assert_array_equal(max_pool(x, window=(2,), ceil=True)[:, 0], [1, 3, 4])
        np.testing.assert_array_equal(max_pool(x[:1], window=(2,), ceil=True)[:, 0], [0])


class TestMaxima:
    @pytest.mark.slow
    def test_padding_never_wins(self):
        """Neither over −∞, which stays and keeps its cotangent, nor over nan."""
        x = jnp.full((2, 1), -jnp.inf)
        y, pullback = jax.vjp(lambda x: max_pool(x, window=(3,), strides=1, padding=1), x)
        np.testing.assert_array_equal(y, x)
        np.testing.assert_array_equal(pullback(jnp.array([[1.0], [2.0]]))[0], [[3.0], [0.0]])
        _, places = max_pool_with_indices(x, window=(3,), strides=1, padding=1)
        np.testing.assert_array_equal(places, [[0], [0]])

    def test_nan_stays_in_its_windows(self):
        x = jnp.array([jnp.nan, 1.0, 2.0, 3.0, 0.0, jnp.nan])[:, None]
        y, places = max_pool_with_indices(x, window=(2,))
        np.testing.assert_array_equal(y[:, 0], [jnp.nan, 3, jnp.nan])
        np.testing.assert_array_equal(places[:, 0], [0, 3, 5])
        assert jnp.isnan(global_max_pool(x, spatial=1)[0])
        np.testing.assert_array_equal(adaptive_max_pool(x, sizes=(3,)), y)

    @pytest.mark.slow
    def test_cotangent_goes_to_the_first_of_equals(self):
        """In the order of reading, though the maxima are taken along one axis after the other."""
        x = jnp.array([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])[..., None]
        expected = jnp.zeros((3, 3)).at[0, 1].set(1)
        for pool in (
            lambda x: max_pool(x, window=(3, 3)),
            lambda x: adaptive_max_pool(x, sizes=(1, 1)),
            global_max_pool,
        ):
            y, pullback = jax.vjp(pool, x)
            np.testing.assert_array_equal(pullback(jnp.ones_like(y))[0][..., 0], expected)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        """Both modes and second order, away from ties."""
        x = jax.random.permutation(jax.random.key(0), 40.0 / 40 * jnp.arange(40.0) / 10)
        x = x.reshape(5, 4, 2)
        weight = jnp.sin(jnp.arange(12.0)).reshape(3, 2, 2)

        def pooled(x):
            return weight * max_pool(x, window=(2, 2), padding=((1, 0), 0)) ** 2

        def gradient(x):
            y, m = max_pool_with_indices(x, window=(2, 2), padding=((1, 0), 0))
            xbar = np.zeros((20, 2))
            for i in np.ndindex(y.shape):
                xbar[m[i], i[-1]] += 2 * weight[i] * y[i]
            return xbar.reshape(x.shape)

        assert_gradient(pooled, gradient, x)

    @pytest.mark.slow
    def test_unpooling_then_pooling(self):
        x = jax.random.uniform(jax.random.key(0), (2, 4, 6, 3))
        y, places = max_pool_with_indices(x, window=(2, 2))
        image = max_unpool(y, places, sizes=(4, 6))
        np.testing.assert_array_equal(max_pool(image, window=(2, 2)), y)
        np.testing.assert_array_equal(image[image != 0], x[image != 0])
        assert (image != 0).sum() == y.size

    def test_unpooling_counts_the_last_of_one_place(self):
        x, m = jnp.array([[5.0], [7.0], [1.0]]), jnp.array([[1], [1], [0]])
        y, pullback = jax.vjp(lambda x: max_unpool(x, m, sizes=(3,)), x)
        np.testing.assert_array_equal(y[:, 0], [1, 7, 0])
        np.testing.assert_array_equal(pullback(y)[0][:, 0], [0, 7, 1])

    @pytest.mark.parametrize("wrong", [-1, 4, 300])
    def test_unpooling_to_no_place(self, wrong):
        m = jnp.array([[0, 0], [1, wrong]])
        y = max_unpool(jnp.ones((2, 2)), m, sizes=(4,))
        np.testing.assert_array_equal(jnp.isnan(y), [[False, True]] * 4)


class TestAverages:
    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("p", [1, 1.5, 2, 3, 4.5])
    def test_gradient_of_norms(self, p):
        x = jax.random.normal(jax.random.key(0), (6, 2), jnp.float64)
        weight = jnp.arange(1.0, 7.0).reshape(3, 2)

        def gradient(x):
            y = jnp.repeat(lp_pool(x, window=(2,), p=p), 2, axis=0)
            return jnp.repeat(weight, 2, axis=0) * jnp.sign(x) * (jnp.abs(x) / y) ** (p - 1)

        assert_gradient(lambda x: weight * lp_pool(x, window=(2,), p=p), gradient, x)

    @pytest.mark.slow
    @pytest.mark.parametrize("p", [1, 1.2, 2, 3])
    def test_norm_at_zero(self, p):
        """All derivatives of a window of zeros are 0; of one zero of several they are finite."""

        def pool(x):
            return lp_pool(x[:, None], window=(2,), p=p).sum()

        np.testing.assert_array_equal(jax.grad(pool)(jnp.zeros(2)), [0, 0])
        np.testing.assert_array_equal(jax.hessian(pool)(jnp.zeros(2)), jnp.zeros((2, 2)))
        np.testing.assert_array_equal(jax.jacrev(jax.jacrev(pool))(jnp.zeros(2)), jnp.zeros((2, 2)))
        curvature = 0.25 if p == 2 else 0.0
        np.testing.assert_allclose(
            jax.hessian(pool)(jnp.array([4.0, 0.0])), [[0, 0], [0, curvature]], atol=1e-7
        )

    @pytest.mark.slow
    @pytest.mark.parametrize("scale", [1e-30, 1e30])
    def test_norm_neither_overflows_nor_vanishes(self, scale):
        x = scale * jnp.array([3.0, -4.0])[:, None]
        y, slope = jax.value_and_grad(lambda x: lp_pool(x, window=(2,), p=2)[0, 0])(x)
        np.testing.assert_allclose(y, 5 * scale, rtol=1e-6)
        np.testing.assert_allclose(slope[:, 0], [0.6, -0.8], rtol=1e-6)

    def test_norm_of_the_infinite(self):
        x = jnp.array([jnp.inf, 1.0, jnp.nan, 1.0])[:, None]
        np.testing.assert_array_equal(lp_pool(x, window=(2,), p=3)[:, 0], [jnp.inf, jnp.nan])

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient_of_averages(self):
        """Of a linear map: the adjoint, ⟨ȳ, f(x)⟩ = ⟨f*(ȳ), x⟩; the second derivative is 0."""
        keys = jax.random.split(jax.random.key(0), 2)
        x = jax.random.normal(keys[0], (5, 6, 2), jnp.float64)
        for pool in (
            lambda x: avg_pool(x, window=(3, 2), strides=(1, 2), padding=1),
            lambda x: adaptive_avg_pool(x, sizes=(3, 4)),
            global_avg_pool,
        ):
            y, pullback = jax.vjp(pool, x)
            ybar = jax.random.normal(keys[1], y.shape, jnp.float64)
            (xbar,) = pullback(ybar)
            np.testing.assert_allclose((ybar * y).sum(), (xbar * x).sum(), rtol=1e-12)
            assert_gradient(lambda x, f=pool, w=ybar: w * f(x), lambda _, g=xbar: g, x)

    def test_infinite_pixels_stay_in_their_windows(self):
        x = jnp.array([jnp.inf, 1.0, 2.0, 4.0])[:, None]
        for y in (avg_pool(x, window=(2,)), adaptive_avg_pool(x, sizes=(2,))):
            np.testing.assert_array_equal(y[:, 0], [jnp.inf, 3])

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "pool",
        [
            lambda x: avg_pool(x, window=(64, 64)),
            lambda x: adaptive_avg_pool(x, sizes=(1, 1)),
            global_avg_pool,
        ],
    )
    def test_half_precision_sums_in_single(self, pool):
        """4096 summands of 1: in bfloat16 the sum would stop at 256."""
        ones = jnp.ones((64, 64, 1), jnp.bfloat16)
        assert pool(ones).dtype == jnp.bfloat16
        assert float(pool(ones).squeeze()) == 1


EVERY = {
    "max_pool": lambda x: max_pool(x, window=(2, 2), padding=1),
    "max_pool_with_indices": lambda x: max_pool_with_indices(x, window=(2, 2)),
    "avg_pool": lambda x: avg_pool(x, window=(2, 2), padding="SAME", count_padding=False),
    "lp_pool": lambda x: lp_pool(x, window=(2, 2), p=2),
    "global_avg_pool": global_avg_pool,
    "global_max_pool": global_max_pool,
    "adaptive_avg_pool": lambda x: adaptive_avg_pool(x, sizes=(3, 2)),
    "adaptive_max_pool": lambda x: adaptive_max_pool(x, sizes=(3, 2)),
    "max_unpool": lambda x: max_unpool(x, jnp.zeros_like(x, jnp.int32), sizes=(3, 2)),
}


@pytest.mark.parametrize("name", EVERY)
class TestEvery:
    @pytest.mark.slow
    def test_transforms(self, name):
        assert_transforms(EVERY[name], jax.random.normal(jax.random.key(0), (4, 5, 2)))

    @pytest.mark.slow
    def test_batch_axes(self, name):
        """Any number of them, and none; an empty batch gives an empty answer."""
        x = jax.random.normal(jax.random.key(0), (2, 3, 4, 5, 2))
        first, last = (jax.tree.leaves(EVERY[name](a))[0] for a in (x, x[1, 2]))
        np.testing.assert_allclose(first[1, 2], last, rtol=1e-6)
        assert jax.tree.leaves(EVERY[name](x[:, :0]))[0].shape == (2, 0, *last.shape)

    @pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
    def test_dtype_stays(self, name, dtype):
        y = jax.tree.leaves(EVERY[name](jnp.ones((4, 5, 2), dtype)))[0]
        assert y.dtype == dtype


class TestCotangents:
    """The way back, which is written by hand."""

    @pytest.mark.parametrize(
        ("pool", "expected"),
        [
            (lambda x: max_pool(x, window=(31, 31), strides=1, padding=15), 961),
            (lambda x: max_pool_with_indices(x, window=(31, 31), strides=1, padding=15)[0], 961),
            (lambda x: 961 * avg_pool(x, window=(31, 31), strides=1, padding=15), 961),
            (lambda x: lp_pool(x, window=(31, 31), strides=1, padding=15, p=1), 961),
            (lambda x: adaptive_max_pool(x, sizes=(310, 310)), 100),
        ],
        ids=["max", "with_indices", "avg", "lp", "adaptive"],
    )
    @pytest.mark.slow
    def test_half_precision_sums_in_single(self, pool, expected):
        """All windows that see one pixel add up in float32: what comes out is rounded once."""
        x = jnp.zeros((31, 31, 1), jnp.bfloat16).at[15, 15].set(1)

        @jax.jit
        def gradient(x):
            y, pullback = jax.vjp(pool, x)
            return pullback(jnp.ones_like(y))[0]

        found = np.asarray(gradient(x))
        assert found.dtype == jnp.bfloat16
        assert found[15, 15, 0] == jnp.bfloat16(expected)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize(("stride", "channels"), [(1, 1), (3, 16), (4, 1)])
    @pytest.mark.slow
    def test_derivatives(self, channels, stride):
        """Both modes and second order, where windows overlap, tile the image or leave gaps."""
        shape = (6, 7, channels)
        x = jax.random.permutation(jax.random.key(0), math.prod(shape)).reshape(shape) / 100.0
        options = {"window": (3, 3), "strides": stride, "padding": ((1, 0), (0, 1))}

        def pools(x):
            return [
                max_pool(x, **options) ** 2,
                avg_pool(x, **options) ** 2,
                lp_pool(x, p=3.5, **options),
            ]

        assert_derivatives(pools, x)
