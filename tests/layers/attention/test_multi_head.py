"""fnmath.layers.attention.multi_head: PyTorch's and Flax's numbers on the same weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.initializers import he_normal, normal
from fnmath.layers import (
    DenseParams,
    alibi_bias,
    blockwise_attention,
    multi_head_attention,
    multi_head_attention_init,
    padding_mask,
    rotary,
)
from tests.helpers import Mistake, assert_transforms
from tests.layers.attention.cases import assert_close

KEY = jax.random.key(0)
PARAMS = multi_head_attention_init(KEY, 6, heads=2)
x = jnp.sin(jnp.arange(60.0)).reshape(2, 5, 6)
init, attend = multi_head_attention_init, multi_head_attention

MISTAKES = [
    Mistake(
        init, (0, 6), {"heads": 2}, TypeError,
        "multi_head_attention_init: key is a int; wanted a random key; "
        "did you mean jax.random.key(0)?",
    ),
    Mistake(
        init, (KEY, 6), {"heads": 4}, ValueError,
        "multi_head_attention_init: the 4 heads do not divide the 6 features; "
        "did you mean head_features=…?",
    ),
    Mistake(
        init, (KEY, 6), {"heads": 6, "key_value_heads": 4}, ValueError,
        "multi_head_attention_init: heads is 6 and key_value_heads 4; wanted a divisor of it",
    ),
    Mistake(
        init, (KEY, 6), {"heads": 2, "use_bias": None}, TypeError,
        "multi_head_attention_init: use_bias is None (NoneType); wanted True or False",
    ),
    Mistake(
        init, (KEY, 6), {"heads": 2, "kernel_init": he_normal}, TypeError,
        "he_normal: in_axis is a random key; he_normal makes an initialiser, which takes it; "
        "did you mean he_normal(…)(key, shape)?",
    ),
    Mistake(
        attend, (None, x), {"heads": 2}, TypeError,
        "multi_head_attention: params is a NoneType; wanted MultiHeadAttentionParams("
        "query, key, value, out)",
    ),
    Mistake(
        attend, (PARAMS._replace(key=None), x), {"heads": 2}, TypeError,
        "multi_head_attention: params.key is a NoneType; wanted DenseParams(kernel, bias)",
    ),
    Mistake(
        attend, (PARAMS, x), {"heads": 4}, ValueError,
        "multi_head_attention: the 6 columns of params.query do not fall into 4 heads",
    ),
    Mistake(
        attend, (PARAMS._replace(key=DenseParams(jnp.ones((6, 4)))), x), {"heads": 2}, ValueError,
        "multi_head_attention: the 4 columns of params.key are not heads of 3 features whose "
        "number divides 2",
    ),
    Mistake(
        attend, (PARAMS._replace(value=DenseParams(jnp.ones((6, 4)))), x), {"heads": 2},
        ValueError,
        "multi_head_attention: the 4 columns of params.value do not fall into 2 heads that give "
        "params.out its 6 rows",
    ),
    Mistake(
        attend, (PARAMS, x[..., 1:]), {"heads": 2}, ValueError,
        "multi_head_attention: the number of features must agree: x has 5 and params.query has 6",
    ),
    Mistake(
        attend, (PARAMS, x), {"heads": 2, "context": x[:1]}, ValueError,
        "multi_head_attention: x (2, 5, 6) and context (1, 5, 6) must have the same batch axes",
    ),
    Mistake(
        attend, (PARAMS, x), {"heads": 2, "key_mask": jnp.ones((2, 4), bool)}, ValueError,
        "multi_head_attention: key_mask (2, 4) must broadcast to the keys (2, 5)",
    ),
    Mistake(
        attend, (PARAMS, x), {"heads": 2, "rotate": 3}, TypeError,
        "multi_head_attention: rotate is a int; wanted a function",
    ),
    Mistake(
        attend, (PARAMS, x), {"heads": 2, "rotate": lambda x, positions: x[..., :1]}, ValueError,
        "multi_head_attention: rotate gave the shape (2, 5, 2, 1); wanted (2, 5, 2, 3)",
    ),
    Mistake(
        attend, (PARAMS, x), {"heads": 2, "dropout_rate": 1.5}, ValueError,
        "multi_head_attention: dropout_rate is 1.5; wanted a number in [0, 1)",
    ),
]  # fmt: skip


def to_torch(torch, params, heads, context_features, own):
    """``torch.nn.MultiheadAttention`` of the same weights, which stand transposed there."""
    features = params.out.kernel.shape[1]
    other = {} if own else {"kdim": context_features, "vdim": context_features}
    module = torch.nn.MultiheadAttention(
        features, heads, batch_first=True, bias=params.query.bias is not None, **other
    ).double()
    tensor = lambda a: torch.tensor(np.asarray(a))  # noqa: E731
    kernels = [tensor(layer.kernel.T) for layer in params]
    with torch.no_grad():
        if module.in_proj_weight is not None:  # the context has as many features
            module.in_proj_weight.copy_(torch.cat(kernels[:3]))
        else:
            for place, kernel in zip(("q", "k", "v"), kernels[:3], strict=True):
                getattr(module, f"{place}_proj_weight").copy_(kernel)
        module.out_proj.weight.copy_(kernels[3])
        if params.query.bias is not None:
            module.in_proj_bias.copy_(torch.cat([tensor(layer.bias) for layer in params[:3]]))
            module.out_proj.bias.copy_(tensor(params.out.bias))
    return module


def gradients_of(module, biased):
    """What arrived at PyTorch's weights, as ``MultiHeadAttentionParams``."""
    if module.in_proj_weight is not None:
        kernels = module.in_proj_weight.grad.chunk(3)
    else:
        kernels = [getattr(module, f"{place}_proj_weight").grad for place in "qkv"]
    kernels = [k.T.numpy() for k in (*kernels, module.out_proj.weight.grad)]
    biases = [None] * 4
    if biased:
        biases = [b.numpy() for b in module.in_proj_bias.grad.chunk(3)]
        biases.append(module.out_proj.bias.grad.numpy())
    return type(PARAMS)(*(DenseParams(*pair) for pair in zip(kernels, biases, strict=True)))


def assert_equals_torch(torch, seed):
    """Outputs and all gradients of both for one drawn configuration; one in four in float32 too.

    In float32 to 30 units of the last place of the largest entry of each array.
    """
    precisions = ((jnp.float64, 1e-12), (jnp.float32, 30 * 2.0**-23))[: 1 + (seed % 4 == 0)]
    rng = np.random.default_rng(seed)
    heads, size, B, T, S = (int(n) for n in rng.integers(1, (5, 4, 4, 6, 6)))
    features, context_features = heads * size, int(rng.integers(1, 6))
    own, biased = rng.random() < 0.5, rng.random() < 0.7
    S, context_features = (T, features) if own else (S, context_features)
    params = multi_head_attention_init(
        jax.random.key(seed),
        features,
        heads=heads,
        context_features=context_features,
        use_bias=bool(biased),
        bias_init=normal(1.0),
        dtype=jnp.float64,
    )
    arrays = {"x": rng.normal(size=(B, T, features))}
    if not own:
        arrays["context"] = rng.normal(size=(B, S, context_features))
    masks, theirs = {}, {}
    padding = rng.random((B, S)) < 0.7
    if rng.random() < 0.5:
        masks["key_mask"], theirs["key_padding_mask"] = padding, torch.tensor(~padding)
    kind = rng.integers(4)
    causal = kind == 3
    if kind == 1:
        masks["mask"] = rng.random((T, S)) < 0.7
        theirs["attn_mask"] = torch.tensor(~masks["mask"])
    elif kind == 2:
        masks["mask"] = rng.random((B, heads, T, S)) < 0.7
        theirs["attn_mask"] = torch.tensor(~masks["mask"]).reshape(B * heads, T, S)
    elif causal:
        theirs["attn_mask"] = torch.tensor(np.arange(S) > np.arange(T)[:, None])
    cotangent = rng.normal(size=(B, T, features))

    @jax.jit
    def both(masks, *given):
        def run(dtype):
            params, arrays, cotangent = jax.tree.map(lambda a: jnp.asarray(a, dtype), given)
            f = lambda params, arrays: attend(  # noqa: E731
                params, **arrays, **masks, heads=heads, is_causal=bool(causal)
            )
            y, back = jax.vjp(f, params, arrays)
            return y, *back(cotangent)

        return tuple(run(dtype) for dtype, _ in precisions)

    ours = both(masks, params, arrays, cotangent)
    module = to_torch(torch, params, heads, context_features, own)
    tensors = {name: torch.tensor(a, requires_grad=True) for name, a in arrays.items()}
    c = tensors.get("context", tensors["x"])
    y, _ = module(tensors["x"], c, c, need_weights=False, **theirs)
    y.backward(torch.tensor(cotangent))
    grads = {name: a.grad.numpy() for name, a in tensors.items()}
    expected = (y.detach().numpy(), gradients_of(module, biased), grads)
    for answers, (_, tolerance) in zip(ours, precisions, strict=True):
        assert_close(answers, expected, tolerance)


class TestReference:
    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("seed", range(4))
    def test_equals_torch(self, torch, seed):
        assert_equals_torch(torch, seed)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.slow
    @pytest.mark.parametrize("ten", range(1, 5))
    def test_equals_torch_in_many_configurations(self, torch, ten):
        for seed in range(10 * ten, 10 * ten + 10):
            assert_equals_torch(torch, seed)

    @pytest.mark.slow
    @pytest.mark.parametrize("shared", [None, 2])
    @pytest.mark.parametrize("cross", [False, True])
    def test_equals_flax(self, shared, cross):
        nnx = pytest.importorskip("flax.nnx", reason="Flax is a peer, not a dependency")
        layer = nnx.MultiHeadAttention(
            num_heads=4,
            in_features=6,
            qkv_features=12,
            out_features=5,
            in_kv_features=7 if cross else 6,
            num_kv_heads=shared,
            decode=False,
            rngs=nnx.Rngs(1),
            bias_init=nnx.initializers.normal(1.0),
        )
        flat = [
            DenseParams(p.kernel[...].reshape(p.kernel.shape[0], -1), p.bias[...].reshape(-1))
            for p in (layer.query, layer.key, layer.value)
        ]
        out = DenseParams(layer.out.kernel[...].reshape(12, 5), layer.out.bias[...])
        context = jnp.cos(jnp.arange(56.0)).reshape(2, 4, 7) if cross else None
        mask = jnp.arange(4 if cross else 5) <= jnp.arange(5)[:, None]
        theirs = layer(x, context, mask=mask[None, None])
        ours = attend(type(PARAMS)(*flat, out), x, heads=4, context=context, mask=mask)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)


class TestMultiHeadAttention:
    @pytest.mark.slow
    def test_heads_are_apart(self):
        """Head i sees block i of the columns alone: a change of the other changes nothing."""
        other = PARAMS.query.kernel.at[:, 3:].add(1.0)
        first = DenseParams(PARAMS.out.kernel.at[3:].set(0), PARAMS.out.bias)
        params = PARAMS._replace(out=first)
        changed = params._replace(query=DenseParams(other, PARAMS.query.bias))
        np.testing.assert_array_equal(attend(params, x, heads=2), attend(changed, x, heads=2))

    @pytest.mark.slow
    def test_padding_bears_on_nothing(self):
        lengths = jnp.array([3, 5])
        y = attend(PARAMS, x, heads=2, key_mask=padding_mask(lengths, 5))
        short = attend(PARAMS, x[0, :3], heads=2)
        np.testing.assert_allclose(y[0, :3], short, atol=1e-6)
        np.testing.assert_allclose(y[1], attend(PARAMS, x[1], heads=2), atol=1e-6)

    def test_nan_of_padding_is_confined(self):
        """The keys and values of a padded token are nan, and only its own output is."""
        spoiled = x.at[0, 3:].set(jnp.nan)

        def f(x):
            y = attend(PARAMS, x, heads=2, key_mask=padding_mask(jnp.array([3, 5]), 5))
            return jnp.where(jnp.arange(5)[:, None] < 3, y, 0)

        np.testing.assert_allclose(f(spoiled), f(x), atol=1e-6)

    def test_no_context_is_itself(self):
        np.testing.assert_array_equal(
            attend(PARAMS, x, heads=2, context=x), attend(PARAMS, x, heads=2)
        )

    @pytest.mark.slow
    def test_rotations_see_distances(self):
        """Positions all moved by a million change nothing but the rounding."""
        rotate = functools.partial(rotary, interleaved=True)
        params = multi_head_attention_init(KEY, 6, heads=2, head_features=4)
        options = {"heads": 2, "rotate": rotate, "is_causal": True}
        y = attend(params, x, **options)
        moved = attend(params, x, positions=jnp.arange(5) + 10**6, **options)
        np.testing.assert_allclose(moved, y, atol=2e-6)
        assert abs(y - attend(params, x, heads=2, is_causal=True)).max() > 1e-3

    def test_blocks_give_the_same(self):
        blocks = functools.partial(blockwise_attention, query_block=2, key_block=3)
        options = {"heads": 2, "is_causal": True, "bias": alibi_bias(2, 5, 5)}
        y = attend(PARAMS, x, attention=blocks, **options)
        np.testing.assert_allclose(y, attend(PARAMS, x, **options), atol=1e-6)

    def test_dropout(self):
        y = attend(PARAMS, x, heads=2)
        np.testing.assert_array_equal(attend(PARAMS, x, heads=2, dropout_rate=0.5), y)
        noisy = attend(PARAMS, x, heads=2, dropout_rate=0.5, dropout_key=KEY)
        assert abs(noisy - y).max() > 1e-2

    def test_transforms(self):
        assert_transforms(lambda params, x: attend(params, x, heads=2), PARAMS, x)

    @pytest.mark.slow
    def test_leading_axes_are_batch(self):
        y = attend(PARAMS, x, heads=2)
        np.testing.assert_allclose(attend(PARAMS, x[1], heads=2), y[1], atol=1e-6)
        np.testing.assert_allclose(attend(PARAMS, x[None], heads=2)[0], y, atol=1e-6)

    @pytest.mark.slow
    def test_edges(self):
        assert attend(PARAMS, x[:0], heads=2).shape == (0, 5, 6)
        nothing = attend(PARAMS, x, heads=2, key_mask=jnp.zeros(5, bool))
        assert (nothing == PARAMS.out.bias).all()
        half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (PARAMS, x))
        assert attend(*half, heads=2).dtype == jnp.bfloat16


class TestInit:
    def test_shapes(self):
        params = multi_head_attention_init(
            KEY, 6, heads=4, key_value_heads=2, head_features=5, context_features=7, out_features=3
        )
        shapes = [layer.kernel.shape for layer in params]
        assert shapes == [(6, 20), (7, 10), (7, 10), (20, 3)]
        assert [layer.bias.shape for layer in params] == [(20,), (10,), (10,), (3,)]

    def test_options(self):
        params = multi_head_attention_init(
            KEY, 6, heads=2, use_bias=False, out_kernel_init=normal(1e-3), dtype=jnp.bfloat16
        )
        assert all(layer.bias is None for layer in params)
        assert params.key.kernel.dtype == jnp.bfloat16
        assert abs(params.out.kernel).max() < 1e-2 < abs(params.query.kernel).max()

    def test_kernels_are_drawn_apart(self):
        assert (PARAMS.query.kernel != PARAMS.key.kernel).all()
        assert (PARAMS.key.kernel != PARAMS.value.kernel).all()
