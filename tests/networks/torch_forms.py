"""Networks against PyTorch's: outputs and all gradients, parts to write them of, second order.

A network is written twice, here in PyTorch's functions, over the same trees of parameters: tensors
stand in them where JAX's arrays do, so that the gradients come back in the same tree.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest


def random_params(init, *, seed=0):
    """Random numbers in the form of what ``init(key)`` draws, scales around 1: nothing compiles."""
    shapes, rng = jax.eval_shape(init, jax.random.key(0)), np.random.default_rng(seed)

    def drawn(path, leaf):
        centre = 1.0 if getattr(path[-1], "name", "") == "scale" else 0.0
        return jnp.asarray(centre + 0.4 * rng.standard_normal(leaf.shape), leaf.dtype)

    return jax.tree_util.tree_map_with_path(drawn, shapes)


def randomized(params, scale=0.3):
    """The tree with noise on every array, so that biases are not 0 and scales not 1."""
    leaves, form = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(99), len(leaves))
    drawn = [
        a + scale * jax.random.normal(k, a.shape, a.dtype)
        for a, k in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(form, drawn)


def assert_equals_torch(ours, theirs, *args, rtol=1e-9):
    """Output and the gradient of each array, for one cotangent, are those of PyTorch's network."""
    torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")

    def both(*args):
        y, backward = jax.vjp(ours, *args)
        return y, backward(jnp.sin(1 + jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))

    y, gradients = jax.jit(both)(*args)
    tensors = jax.tree.map(lambda a: torch.tensor(np.asarray(a), requires_grad=True), args)
    expected = theirs(*tensors)
    numbers = torch.arange(y.size, dtype=expected.dtype).reshape(y.shape)
    expected.backward(torch.sin(1 + numbers))
    assert_near(y, expected.detach().numpy(), rtol)
    pairs = [
        (np.asarray(g), leaf.grad.numpy())
        for g, leaf in zip(jax.tree.leaves(gradients), jax.tree.leaves(tensors), strict=True)
    ]
    largest = max(np.abs(theirs).max() for _, theirs in pairs)
    for ours_, theirs_ in pairs:
        assert_near(ours_, theirs_, rtol, rounding=1e-15 * largest)


def assert_near(actual, expected, rtol, *, rounding=0.0):
    """Equal to ``rtol`` of the largest entry, or to what the rounding of larger numbers leaves.

    A softmax does not see a shift of its scores: the gradient of the bias of the keys is 0, and
    what stands there is rounding.
    """
    assert np.abs(expected).max() > 0
    atol = rtol * np.abs(expected).max() + rounding
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


def assert_second_order(f, params, rtol=1e-6, *, forward=True):
    """The derivative of the gradient along a random direction: both modes, and by differences.

    Without ``forward`` by the other two alone.
    """
    leaves, form = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(97), len(leaves))
    v = [jax.random.normal(k, a.shape, a.dtype) for k, a in zip(keys, leaves, strict=True)]
    v = jax.tree.unflatten(form, v)
    gradient = jax.jit(jax.grad(f))
    along_v = jax.jit(lambda p: jax.jvp(jax.grad(f), (p,), (v,))[1])

    def along(p):
        both = zip(*map(jax.tree.leaves, (jax.grad(f)(p), v)), strict=True)
        return sum(jnp.vdot(a, b) for a, b in both)

    by_reverse = jax.jit(jax.grad(along))(params)
    by_forward = along_v(params) if forward else by_reverse
    h = 1e-5
    # Of fourth order: a normalised vector of few features bends within some thousandths.
    points = [
        gradient(jax.tree.map(lambda a, b, s=s: a + s * h * b, params, v)) for s in (1, -1, 2, -2)
    ]
    by_differences = jax.tree.map(lambda a, b, c, d: (8 * (a - b) - (c - d)) / (12 * h), *points)
    for one, two, three in zip(
        *map(jax.tree.leaves, (by_forward, by_reverse, by_differences)), strict=True
    ):
        assert_near(one, np.asarray(two), 1e-10)
        assert_near(one, np.asarray(three), rtol)


def linear(params, x):
    from torch.nn.functional import linear

    kernel, bias = params
    return linear(x, kernel.T, bias)


def conv2d(params, x, **options):
    """A convolution of channels-last images with a kernel (height, width, in, out)."""
    from torch.nn.functional import conv2d

    weight = params.kernel.permute(3, 2, 0, 1)
    return conv2d(x.movedim(-1, 1), weight, params.bias, **options).movedim(1, -1)


def norm(params, x, epsilon):
    from torch.nn.functional import layer_norm

    scale, bias = params
    return layer_norm(x, scale.shape, scale, bias, eps=epsilon)


def perceptron(params, x, approximate):
    from torch.nn.functional import gelu

    first, last = params
    return linear(last, gelu(linear(first, x), approximate=approximate))


def attention(params, x, c, heads, **options):
    from torch.nn.functional import scaled_dot_product_attention

    def in_heads(layer, x):
        return linear(layer, x).unflatten(-1, (heads, -1)).transpose(-3, -2)

    q, k, v = in_heads(params.query, x), in_heads(params.key, c), in_heads(params.value, c)
    o = scaled_dot_product_attention(q, k, v, **options)
    return linear(params.out, o.transpose(-3, -2).flatten(-2))


def block(params, x, heads, *, context=None, epsilon=1e-5, approximate="tanh", mask=None, **own):
    """The block; ``mask`` is of the entries of the context, or of x where there is none."""
    seen = {} if mask is None else {"attn_mask": mask[..., None, None, :]}
    h = norm(params.ln_1, x, epsilon)
    x = x + attention(
        params.self_attention, h, h, heads, **({} if context is not None else seen), **own
    )
    if context is not None:
        h = norm(params.ln_cross, x, epsilon)
        x = x + attention(params.cross_attention, h, context, heads, **seen)
    return x + perceptron(params.mlp, norm(params.ln_2, x, epsilon), approximate)


def each(layers):
    """The parameters of one block after another."""
    depth = len(jax.tree.leaves(layers)[0])
    return [jax.tree.map(lambda a, i=i: a[i], layers) for i in range(depth)]


def encoder(params, x, heads, *, epsilon=1e-5, **options):
    if params.pos_embedding is not None:
        x = x + params.pos_embedding.embedding[: x.shape[-2]]
    for layer in each(params.layers):
        x = block(layer, x, heads, epsilon=epsilon, **options)
    return norm(params.ln, x, epsilon)


def decoder(params, ids, heads, **options):
    x = params.token_embedding.embedding[ids]
    if params.pos_embedding is not None:
        x = x + params.pos_embedding.embedding[: ids.shape[-1]]
    for layer in each(params.layers):
        x = block(layer, x, heads, is_causal=True, **options)
    x = norm(params.ln, x, 1e-5)
    if params.head is None:
        return x @ params.token_embedding.embedding.T
    return linear(params.head, x)
