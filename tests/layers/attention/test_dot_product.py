"""fnmath.layers.attention.dot_product: the numbers of PyTorch and JAX, and exact beyond them."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.layers import dot_product_attention, padding_mask
from tests.helpers import Mistake, assert_gradient, assert_transforms
from tests.layers.attention.cases import assert_close, draw, pulled, pulled_by_torch

KEY = jax.random.key(0)
x = jnp.ones((2, 5, 4, 3))
shared = jnp.ones((2, 6, 2, 3))


def call(*args, **options):
    return dot_product_attention, args, options


MISTAKES = [
    Mistake(
        dot_product_attention, (x.astype(int), shared, shared), {}, TypeError,
        "dot_product_attention: query has dtype int32; wanted a floating dtype; "
        "did you mean query.astype(jnp.float32)?",
    ),
    Mistake(
        dot_product_attention, (x[0, 0], shared, shared), {}, ValueError,
        "dot_product_attention: query has shape (4, 3); wanted at least 3 axes, "
        "(*batch queries heads features); did you mean query[None]?",
    ),
    Mistake(
        dot_product_attention, (x, shared, shared[:, 1:]), {}, ValueError,
        "dot_product_attention: key (2, 6, 2, 3) and value (2, 5, 2, 3) must agree in all axes but "
        "the last",
    ),
    Mistake(
        dot_product_attention, (x, shared[:1], shared[:1]), {}, ValueError,
        "dot_product_attention: query (2, 5, 4, 3) and key (1, 6, 2, 3) must have the same batch "
        "axes",
    ),
    Mistake(
        dot_product_attention, (x, shared[..., 1:], shared), {}, ValueError,
        "dot_product_attention: the number of features must agree: query has 3 and key has 2",
    ),
    Mistake(
        dot_product_attention, (x[:, :, :3], shared, shared), {}, ValueError,
        "dot_product_attention: the 3 heads of the query do not fall into groups, one for each of "
        "the 2 heads of the key",
    ),
    Mistake(
        dot_product_attention, (x, shared, shared, None, jnp.ones((5, 6))), {}, TypeError,
        "dot_product_attention: mask has dtype float32; wanted bool; did you mean mask != 0?",
    ),
    Mistake(
        dot_product_attention, (x, shared, shared, None, jnp.ones((2, 5, 6), bool)), {}, ValueError,
        "dot_product_attention: mask (2, 5, 6) has no axis for the heads of the scores "
        "(2, 4, 5, 6); did you mean mask[..., None, :, :]?",
    ),
    Mistake(
        dot_product_attention, (x, shared, shared, jnp.ones((5, 5))), {}, ValueError,
        "dot_product_attention: bias (5, 5) must broadcast to scores (2, 4, 5, 6)",
    ),
    Mistake(
        dot_product_attention, (x, shared, shared), {"key_value_seq_lengths": jnp.array([6.0, 2])},
        TypeError,
        "dot_product_attention: key_value_seq_lengths has dtype float32; wanted an integer dtype; "
        "did you mean key_value_seq_lengths.astype(jnp.int32)?",
    ),
    Mistake(
        dot_product_attention, (x, shared, shared), {"query_seq_lengths": jnp.array([6])},
        ValueError,
        "dot_product_attention: query_seq_lengths has shape (1,); wanted one for each sequence, "
        "(2,)",
    ),
    Mistake(
        dot_product_attention, (x, shared, shared), {"local_window_size": (1, -1)}, ValueError,
        "dot_product_attention: local_window_size[1] is -1; wanted an integer of at least 0",
    ),
    Mistake(
        dot_product_attention, (x, shared, shared), {"is_causal": 1}, TypeError,
        "dot_product_attention: is_causal is 1 (int); wanted True or False",
    ),
    Mistake(
        dot_product_attention, (x, shared, shared), {"dropout_rate": 1.0}, ValueError,
        "dot_product_attention: dropout_rate is 1.0; wanted a number in [0, 1)",
    ),
    Mistake(
        dot_product_attention, (x, shared, shared), {"dropout_rate": 0.5, "dropout_key": 3},
        TypeError,
        "dot_product_attention: dropout_key is a int; wanted a random key; "
        "did you mean jax.random.key(3)?",
    ),
]  # fmt: skip


def random_operands(T=5, S=6, heads=4, groups=2, dtype=jnp.float32, batch=(2,)):
    keys = jax.random.split(jax.random.key(3), 3)
    shapes = ((*batch, T, heads, 3), (*batch, S, groups, 3), (*batch, S, groups, 4))
    return [jax.random.normal(k, shape, dtype) for k, shape in zip(keys, shapes, strict=True)]


@pytest.mark.usefixtures("x64")
class TestReference:
    @pytest.mark.parametrize("seed", range(8))
    def test_equals_torch(self, torch, seed):
        """Outputs and all gradients, fully masked rows and empty sequences among them."""
        case = draw(seed)
        assert_close(pulled(dot_product_attention, case), pulled_by_torch(torch, case), 1e-12)

    @pytest.mark.slow
    @pytest.mark.parametrize("ten", range(1, 10))
    def test_equals_torch_in_many_configurations(self, torch, ten):
        for seed in range(10 * ten, 10 * ten + 10):
            case = draw(seed)
            ours, theirs = pulled(dot_product_attention, case), pulled_by_torch(torch, case)
            assert_close(ours, theirs, 1e-12)

    @pytest.mark.slow
    def test_equals_torch_in_single_precision(self, torch):
        """To 20 units of the last place of the largest entry of each array."""
        for seed in range(200, 210):
            case = draw(seed)
            ours = pulled(dot_product_attention, case, jnp.float32)
            assert_close(ours, pulled_by_torch(torch, case), 20 * 2.0**-23)


OPTIONS = {
    "plain": {},
    "causal": {"is_causal": True},
    "window": {"local_window_size": (2, 1)},
    "one number for both sides": {"local_window_size": 1, "is_causal": True},
    "scale": {"scale": 0.3},
    "lengths": {
        "query_seq_lengths": jnp.array([4, 2]),
        "key_value_seq_lengths": jnp.array([5, 1]),
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_equals_jax_nn(options):
    """With the same arguments in the same places, where every query that exists sees a key."""
    q, k, v = random_operands()
    v = v[..., :3]
    bias = jnp.cos(jnp.arange(4 * 5 * 6.0)).reshape(1, 4, 5, 6)
    mask = jnp.arange(6) != 3
    mask = jnp.broadcast_to(mask, (1, 1, 5, 6))
    ours = dot_product_attention(q, k, v, bias, mask, **options)
    theirs = jax.nn.dot_product_attention(q, k, v, bias, mask, **options)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=3e-6)


class TestExact:
    """Where jax.nn and PyTorch give something else."""

    @pytest.mark.slow
    def test_a_query_that_sees_nothing_has_output_0(self):
        """jax.nn averages the values that are masked."""
        q, k, v = random_operands(groups=4)
        mask = jnp.ones((5, 6), bool).at[2].set(False)
        y = dot_product_attention(q, k, v, mask=mask)
        assert (y[:, 2] == 0).all()
        assert (y[:, [0, 1, 3, 4]] != 0).all()
        v = v[..., :3]
        theirs = jax.nn.dot_product_attention(q, k, v, mask=mask[None, None])
        np.testing.assert_allclose(theirs[:, 2], v.mean(1), atol=1e-6)

    @pytest.mark.slow
    def test_a_query_that_sees_nothing_has_no_gradient(self):
        q, k, v = random_operands(groups=4)
        mask = jnp.zeros((5, 6), bool)
        f = lambda *args: jnp.sum(jnp.cos(dot_product_attention(*args, mask=mask)))  # noqa: E731
        for g in jax.grad(f, (0, 1, 2))(q, k, v):
            assert (g == 0).all()

    @pytest.mark.slow
    @pytest.mark.parametrize("bad", [jnp.nan, jnp.inf, -jnp.inf])
    @pytest.mark.parametrize("by", ["mask", "lengths", "bias"])
    def test_what_is_masked_bears_on_nothing(self, bad, by):
        """Values and gradients are those of the sequence without the keys that are masked."""
        q, k, v = random_operands()
        spoiled = [a.at[:, 4:].set(bad) for a in (k, v)]
        options = {
            "mask": {"mask": jnp.arange(6) < 4},
            "lengths": {"key_value_seq_lengths": jnp.array([4, 4])},
            "bias": {"bias": jnp.where(jnp.arange(6) < 4, 0, -jnp.inf)},
        }[by]

        def f(q, k, v, **options):
            return jnp.sum(jnp.cos(dot_product_attention(q, k, v, **options)))

        value, grads = jax.value_and_grad(f, (0, 1, 2))(q, *spoiled, **options)
        expected, wanted = jax.value_and_grad(f, (0, 1, 2))(q, k[:, :4], v[:, :4])
        np.testing.assert_allclose(value, expected, rtol=1e-6)
        np.testing.assert_allclose(grads[0], wanted[0], rtol=0, atol=1e-6)
        for ours, short in zip(grads[1:], wanted[1:], strict=True):
            np.testing.assert_allclose(ours[:, :4], short, rtol=0, atol=1e-6)
            assert (ours[:, 4:] == 0).all()

    @pytest.mark.slow
    def test_a_spoiled_key_reaches_those_that_see_it(self):
        """And its value alike; earlier queries of a causal sequence are as if it were not there.

        So is their gradient in forward mode; in reverse mode, which adds 0 times nan for the later
        queries, where these are hidden.
        """
        q, k, v = random_operands(S=5)
        for place in (k, v):
            spoiled = place.at[0, 3, 1, 0].set(jnp.nan)
            args = (spoiled, v) if place is k else (k, spoiled)
            y = dot_product_attention(q, *args, is_causal=True)
            reached = jnp.isnan(y).all(-1)
            np.testing.assert_array_equal(reached[0, :, 0], [False] * 5)
            np.testing.assert_array_equal(reached[0, :, 2], [False] * 3 + [True] * 2)
            assert not jnp.isnan(y[1]).any()

            def early(*args, **options):
                return jnp.sum(dot_product_attention(*args, is_causal=True, **options)[:, :3])

            ones = tuple(jnp.ones_like(a) for a in (q, k, v))
            slopes = [jax.jvp(early, (q, *a), ones)[1] for a in (args, (k, v))]
            np.testing.assert_allclose(*slopes, rtol=1e-5)
            hidden = {"query_seq_lengths": jnp.array([3, 3])}
            ours = jax.grad(early, (0, 1, 2))(q, *args, **hidden)
            theirs = jax.grad(early, (0, 1, 2))(q, k, v)
            assert_close(ours, theirs, 1e-6)

    @pytest.mark.slow
    def test_a_spoiled_query_reaches_itself_alone(self):
        q, k, v = random_operands()
        f = lambda q: jnp.sum(dot_product_attention(q, k, v, query_seq_lengths=lengths))  # noqa: E731
        lengths = jnp.array([3, 5])
        spoiled = q.at[0, 3:].set(jnp.nan)
        np.testing.assert_allclose(f(spoiled), f(q), rtol=1e-6)
        np.testing.assert_allclose(jax.grad(f)(spoiled), jax.grad(f)(q), atol=1e-7)

    @pytest.mark.slow
    def test_large_scores(self):
        """The largest takes all, and what is 10⁴ nats behind nothing; ∞ as in the limit."""
        q = jnp.full((1, 1, 1), 1e4)
        k, v = jnp.array([[[1.0]], [[3.0]], [[3.0]]]), jnp.array([[[1.0]], [[5.0]], [[7.0]]])
        assert dot_product_attention(q, k, v)[0, 0, 0] == 6
        assert dot_product_attention(q, -k, v)[0, 0, 0] == 1
        bias = jnp.array([jnp.inf, 0.0, -jnp.inf])
        assert dot_product_attention(q, k, v, bias)[0, 0, 0] == 1
        grads = jax.grad(lambda *a: dot_product_attention(*a).sum(), (0, 1, 2))(q, k, v)
        assert all(jnp.isfinite(g).all() for g in grads)

    def test_a_bias_of_minus_infinity_has_gradient_0(self):
        q, k, v = random_operands()
        bias = jnp.zeros((5, 6)).at[1].set(-jnp.inf).at[2, 3].set(-jnp.inf)
        g = jax.grad(lambda b: jnp.sum(jnp.sin(dot_product_attention(q, k, v, b))))(bias)
        assert jnp.isfinite(g).all()
        assert (g[1] == 0).all()
        assert g[2, 3] == 0

    def test_nan_in_a_bias_is_masked_too(self):
        q, k, v = random_operands()
        bias = jnp.zeros(6).at[2].set(jnp.nan)
        mask = jnp.arange(6) != 2
        f = lambda b: jnp.sum(jnp.sin(dot_product_attention(q, k, v, b, mask)))  # noqa: E731
        np.testing.assert_array_equal(f(bias), f(jnp.zeros(6)))
        np.testing.assert_array_equal(jax.grad(f)(bias), jax.grad(f)(jnp.zeros(6)))
        assert jnp.isnan(dot_product_attention(q, k, v, bias)).all()


class TestLaws:
    def test_scores_may_be_shifted(self):
        q, k, v = random_operands()
        bias = jnp.arange(5.0)[:, None]
        y = dot_product_attention(q, k, v)
        np.testing.assert_allclose(dot_product_attention(q, k, v, bias), y, atol=2e-6)

    def test_keys_have_no_order(self):
        q, k, v = random_operands()
        y = dot_product_attention(q, k[:, ::-1], v[:, ::-1])
        np.testing.assert_allclose(y, dot_product_attention(q, k, v), atol=1e-6)

    def test_outputs_are_averages(self):
        q, k, v = random_operands()
        y = dot_product_attention(q, k, jnp.ones_like(v), is_causal=True)
        np.testing.assert_allclose(y, 1, rtol=1e-6)

    def test_shared_keys_are_repeated_keys(self):
        q, k, v = random_operands()
        y = dot_product_attention(q, jnp.repeat(k, 2, -2), jnp.repeat(v, 2, -2))
        np.testing.assert_allclose(y, dot_product_attention(q, k, v), atol=1e-6)


@pytest.mark.usefixtures("x64")
@pytest.mark.slow
class TestGradient:
    """The lines of the docstring, in one head."""

    def parts(self):
        q, k, v = random_operands(T=3, S=4, heads=1, groups=1, dtype=jnp.float64, batch=())
        bias = jnp.cos(jnp.arange(12.0)).reshape(3, 4)
        mask = jnp.arange(4) <= jnp.arange(3)[:, None]
        o_bar = jnp.sin(jnp.arange(12.0)).reshape(3, 1, 4)
        scale = 3**-0.5
        z = jnp.where(mask, scale * q[:, 0] @ k[:, 0].T + bias, -jnp.inf)
        p = jnp.exp(z) / jnp.exp(z).sum(-1, keepdims=True)
        o = p @ v[:, 0]
        s_bar = p * (o_bar[:, 0] @ v[:, 0].T - (o * o_bar[:, 0]).sum(-1, keepdims=True))
        expected = {
            "query": scale * (s_bar @ k[:, 0])[:, None],
            "key": scale * (s_bar.T @ q[:, 0])[:, None],
            "value": (p.T @ o_bar[:, 0])[:, None],
            "bias": s_bar,
        }
        return {"query": q, "key": k, "value": v, "bias": bias}, mask, o_bar, expected

    @pytest.mark.parametrize("name", ["query", "key", "value", "bias"])
    def test_line(self, name):
        arrays, mask, o_bar, expected = self.parts()

        def f(x):
            return o_bar * dot_product_attention(**{**arrays, name: x}, mask=mask)

        assert_gradient(jax.jit(f), lambda _: expected[name], arrays[name], rtol=1e-11)


class TestDropout:
    def test_no_key_no_noise(self):
        q, k, v = random_operands()
        y = dot_product_attention(q, k, v)
        chex.assert_trees_all_equal(dot_product_attention(q, k, v, dropout_rate=0.5), y)
        chex.assert_trees_all_equal(dot_product_attention(q, k, v, dropout_key=KEY), y)

    @pytest.mark.slow
    def test_weights_are_dropped_and_the_others_enlarged(self):
        """With the identity for values the outputs are the weights themselves."""
        q, k = jnp.zeros((64, 2, 1)), jnp.zeros((32, 2, 1))
        v = jnp.broadcast_to(jnp.eye(32)[:, None], (32, 2, 32))
        p = dot_product_attention(q, k, v, dropout_key=KEY, dropout_rate=0.25)
        kept = p != 0
        np.testing.assert_allclose(p[kept], 1 / 32 / 0.75, rtol=1e-6)
        # 4096 draws: a standard deviation of 0.0068
        assert abs(float(kept.mean()) - 0.75) < 0.03
        assert (kept[:, 0] != kept[:, 1]).any()


class TestTransformsAndEdges:
    @pytest.mark.slow
    def test_transforms(self):
        mask = padding_mask(jnp.array([3, 6]), 6)[:, None, None]
        assert_transforms(dot_product_attention, *random_operands(), jnp.ones((4, 1, 6)), mask)

    @pytest.mark.slow
    def test_leading_axes_are_batch(self):
        q, k, v = random_operands()
        y = dot_product_attention(q, k, v)
        np.testing.assert_allclose(dot_product_attention(q[0], k[0], v[0]), y[0], atol=1e-6)
        more = dot_product_attention(*(a[None] for a in (q, k, v)))
        np.testing.assert_allclose(more[0], y, atol=1e-6)

    def test_half_precision_is_rounded_once(self):
        q, k, v = (a.astype(jnp.bfloat16) for a in random_operands())
        y = dot_product_attention(q, k, v)
        assert y.dtype == jnp.bfloat16
        wide = dot_product_attention(*(a.astype(jnp.float32) for a in (q, k, v)))
        chex.assert_trees_all_equal(y, wide.astype(jnp.bfloat16))

    @pytest.mark.slow
    def test_nothing_to_see(self):
        q, k, v = random_operands()
        assert (dot_product_attention(q, k[:, :0], v[:, :0]) == 0).all()
        assert dot_product_attention(q[:, :0], k, v).shape == (2, 0, 4, 4)
        assert dot_product_attention(q[:0], k[:0], v[:0], is_causal=True).shape == (0, 5, 4, 4)

    def test_lengths_beyond_the_ends(self):
        q, k, v = random_operands()
        y = dot_product_attention(q, k, v, key_value_seq_lengths=jnp.array([99, -1]))
        np.testing.assert_array_equal(y[0], dot_product_attention(q, k, v)[0])
        assert (y[1] == 0).all()
