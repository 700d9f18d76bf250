"""fnmath.layers.dropout: which parts are dropped, how often, and what of the mean stays."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.activations import selu
from fnmath.layers import (
    alpha_dropout,
    channel_alpha_dropout,
    channel_dropout,
    drop_path,
    dropout,
)
from tests.helpers import Mistake, assert_transforms

KEY = jax.random.key(0)
SCALING = (dropout, channel_dropout, drop_path)
ALPHA = (alpha_dropout, channel_alpha_dropout)
EVERY = pytest.mark.parametrize("f", SCALING + ALPHA, ids=lambda f: f.__name__)
x = jnp.asarray(np.random.default_rng(0).standard_normal((6, 4, 5, 3)), jnp.float32)

MISTAKES = [
    mistake
    for f in SCALING + ALPHA
    for mistake in (
        Mistake(
            f, (7, x), {"rate": 0.5}, TypeError,
            f"{f.__name__}: key is a int; wanted a random key; did you mean jax.random.key(7)?",
        ),
        Mistake(
            f, (None, x.astype(int)), {"rate": 0.5}, TypeError,
            f"{f.__name__}: x has dtype int32; wanted a floating dtype; "
            "did you mean x.astype(jnp.float32)?",
        ),
        Mistake(
            f, (KEY, x), {"rate": 1}, ValueError,
            f"{f.__name__}: rate is 1; wanted a number in [0, 1)",
        ),
        Mistake(
            f, (KEY, x), {"rate": jnp.zeros(3)}, ValueError,
            f"{f.__name__}: rate has shape (3,); wanted one number",
        ),
        Mistake(
            f, (KEY, x), {"rate": "half"}, TypeError,
            f"{f.__name__}: rate is 'half' (str); wanted a number",
        ),
    )
] + [
    Mistake(
        channel_dropout, (KEY, jnp.ones((4, 3))), {"rate": 0.5}, ValueError,
        "channel_dropout: x has shape (4, 3); wanted at least 3 axes, "
        "2 of positions and one of channels",
    ),
    Mistake(
        channel_alpha_dropout, (KEY, x), {"rate": 0.5, "spatial": 1.0}, TypeError,
        "channel_alpha_dropout: spatial is 1.0 (float); wanted an integer",
    ),
    Mistake(
        drop_path, (KEY, jnp.ones(3)), {"rate": 0.5, "example_axes": 2}, ValueError,
        "drop_path: x has shape (3,); wanted at least 2 axes",
    ),
]  # fmt: skip


def a_and_b(p):
    """The numbers of alpha dropout, from its definition."""
    floor = float(selu(jnp.float32(-jnp.inf)))
    a = ((1 - p) * (1 + p * floor**2)) ** -0.5
    return a, -a * p * floor, floor


@EVERY
class TestEach:
    def test_no_key_and_no_rate_are_the_identity(self, f):
        np.testing.assert_array_equal(f(None, x, rate=0.5), x)
        np.testing.assert_array_equal(f(KEY, x, rate=0), x)
        np.testing.assert_allclose(jax.jit(f)(KEY, x, rate=jnp.array(0.0)), x, rtol=1e-6)

    def test_key_decides(self, f):
        first, again = f(KEY, x, rate=0.5), f(KEY, x, rate=0.5)
        np.testing.assert_array_equal(first, again)
        assert (first != f(jax.random.key(1), x, rate=0.5)).any()

    def test_gradient_is_the_mask_of_the_forward_pass(self, f):
        """Affine, with the slope 0 or that of what is kept: in both modes, and nothing beyond."""
        p = 0.3
        slope = a_and_b(p)[0] if f in ALPHA else 1 / (1 - p)
        noisy = functools.partial(f, KEY, rate=p)
        at_zero = noisy(jnp.zeros_like(x))
        kept = noisy(x) != noisy(x + 1)
        expected = jnp.where(kept, slope, 0)
        y, forward = jax.jvp(noisy, (x,), (jnp.ones_like(x),))
        np.testing.assert_allclose(forward, expected, rtol=1e-6)
        np.testing.assert_allclose(jax.vjp(noisy, x)[1](x)[0], expected * x, rtol=1e-6)
        np.testing.assert_allclose(y, expected * x + at_zero, rtol=1e-5, atol=1e-6)
        curvature = jax.jvp(jax.grad(lambda x: noisy(x).sum()), (x,), (x,))[1]
        np.testing.assert_array_equal(curvature, jnp.zeros_like(x))

    def test_transforms(self, f):
        assert_transforms(lambda key, x: f(key, x, rate=0.3), KEY, x)

    def test_an_array_of_rates_is_mapped_over(self, f):
        """As it is in a scan over layers, each with a rate of its own."""
        rates = jnp.array([0.25, 0.5])
        mapped = jax.vmap(lambda rate: f(KEY, x, rate=rate))(rates)
        for rate, y in zip((0.25, 0.5), mapped, strict=True):
            np.testing.assert_allclose(y, f(KEY, x, rate=rate), rtol=1e-6)

    @pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, np.nan])
    def test_a_rate_outside_is_nan(self, f, rate):
        assert jnp.isnan(f(KEY, x, rate=jnp.array(rate))).all()

    def test_what_is_dropped_does_not_matter(self, f):
        """Nan and ∞ where the mask is 0 show neither in the value nor in the gradient."""
        p = 0.5
        noisy = functools.partial(f, KEY, rate=p)
        kept = noisy(x) != noisy(x + 1)
        assert 0 < kept.mean() < 1
        strange = jnp.where(kept, x, jnp.nan)
        np.testing.assert_array_equal(noisy(strange), noisy(x))
        gradients = [jax.grad(lambda x: (noisy(x) ** 2).sum())(a) for a in (strange, x)]
        np.testing.assert_array_equal(*gradients)
        assert (jnp.isnan(noisy(jnp.where(kept, jnp.nan, x))) == kept).all()

    @pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
    def test_half_precision_rounds_once(self, f, dtype):
        half = x.astype(dtype)
        y = f(KEY, half, rate=0.1)
        assert y.dtype == dtype
        single = f(KEY, half.astype(jnp.float32), rate=0.1)
        np.testing.assert_array_equal(y, single.astype(dtype))

    def test_empty_batch(self, f):
        assert f(KEY, x[:0], rate=0.5).shape == (0, 4, 5, 3)

    def test_old_keys(self, f):
        assert f(jax.random.PRNGKey(0), x, rate=0.5).shape == x.shape

    def test_a_key_is_asked_for(self, f):
        assert inspect.signature(f).parameters["key"].default is inspect.Parameter.empty


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@EVERY
def test_how_often(f, p):
    """The share that is kept lies within 4 standard deviations of q, and so does the mean of y."""
    n = 20_000
    y = f(KEY, jnp.ones((n, 1, 1, 1)), rate=p).ravel()
    values = np.unique(np.asarray(y))
    assert len(values) == 2
    share = float((y == values.max()).mean())
    spread = (p * (1 - p) / n) ** 0.5
    assert abs(share - (1 - p)) < 4 * spread
    if f in SCALING:
        np.testing.assert_allclose(values, [0, 1 / (1 - p)], rtol=1e-6)
        assert abs(float(y.mean()) - 1) < 4 * spread / (1 - p)


def pattern(y):
    """What was kept of an array of ones."""
    return np.asarray(y > 0)


def test_a_rate_in_half_precision():
    """1 − 0.001 is 1 in bfloat16."""
    many = jnp.ones(200_000)
    dropped = dropout(KEY, many, rate=jnp.array(0.001, jnp.bfloat16)) == 0
    p = float(jnp.bfloat16(0.001))
    assert abs(dropped.mean() - p) < 5 * np.sqrt(p / many.size)


class TestParts:
    ones = jnp.ones((8, 5, 4, 16))

    def test_dropout_is_of_entries(self):
        kept = pattern(dropout(KEY, self.ones, rate=0.5))
        for axis in range(4):
            assert (kept != np.roll(kept, 1, axis)).any()

    @pytest.mark.parametrize("f", [channel_dropout, channel_alpha_dropout])
    @pytest.mark.parametrize("spatial", [0, 1, 2, 3])
    def test_channels_are_dropped_at_all_positions(self, f, spatial):
        """Whole channels of each example, and independently for examples and channels."""
        kept = pattern(f(KEY, self.ones, rate=0.5, spatial=spatial))
        positions, examples = range(3 - spatial, 3), range(3 - spatial)
        for axis in positions:
            assert (kept == np.roll(kept, 1, axis)).all()
        for axis in (*examples, 3):
            assert (kept != np.roll(kept, 1, axis)).any()

    @pytest.mark.parametrize("example_axes", [0, 1, 2])
    def test_paths_are_whole_examples(self, example_axes):
        keys = jax.random.split(KEY, 20)
        ones = self.ones[:, :, :2, :2]
        drop = functools.partial(drop_path, rate=0.5, example_axes=example_axes)
        kept = pattern(jax.vmap(lambda key: drop(key, ones))(keys))
        for axis in range(5):
            varies = (kept != np.roll(kept, 1, axis)).any()
            assert varies == (axis <= example_axes)


class TestAlpha:
    @pytest.mark.parametrize("p", [0.05, 0.5, 0.8])
    @pytest.mark.parametrize("f", ALPHA)
    def test_keeps_mean_and_variance(self, f, p):
        """Of 200000 normal numbers, within 5 standard deviations of 0 and of 1."""
        n = 200_000
        normal = jax.random.normal(jax.random.key(1), (n, 1, 1, 1))
        y = f(KEY, normal, rate=p)
        fourth = float(((y - y.mean()) ** 4).mean())
        assert abs(float(y.mean())) < 5 * n**-0.5
        assert abs(float(y.var()) - 1) < 5 * ((fourth - 1) / n) ** 0.5

    @pytest.mark.parametrize("p", [0.1, 0.5, 0.7])
    @pytest.mark.parametrize(
        ("f", "name"),
        [(alpha_dropout, "alpha_dropout"), (channel_alpha_dropout, "feature_alpha_dropout")],
    )
    def test_equals_torch(self, f, name, p):
        """The two values that 1/4 can become, by both: what is drawn, of course, differs."""
        torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
        quarter = torch.full((100, 100, 1, 1), 0.25, dtype=torch.float64)
        theirs = getattr(torch.nn.functional, name)(quarter, p, training=True)
        with jax.enable_x64(True):
            ours = f(KEY, jnp.full((100, 1, 1, 100), 0.25, jnp.float64), rate=p)
        assert len(np.unique(theirs)) == len(np.unique(ours)) == 2
        np.testing.assert_allclose(np.unique(ours), np.unique(theirs), rtol=1e-14)

    def test_formula(self):
        y, (a, b, floor) = alpha_dropout(KEY, x, rate=0.2), a_and_b(0.2)
        dropped = jnp.isclose(y, a * floor + b, rtol=1e-6)
        np.testing.assert_allclose(y, jnp.where(dropped, a * floor + b, a * x + b), rtol=1e-5)
