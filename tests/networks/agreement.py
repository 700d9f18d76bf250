"""The same network in PyTorch, on the same weights: outputs and all gradients; and second order.

A network is written twice, here with torch.nn.functional, on the same tree of parameters: torch's
tensors stand in it where JAX's arrays do, so that the gradients come in one form.
"""

import jax
import jax.numpy as jnp
import numpy as np


def randomized(params, scale=0.3):
    """The tree with noise on every array, so that biases are not 0 and scales not 1."""
    leaves, form = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(99), len(leaves))
    drawn = [
        a + scale * jax.random.normal(k, a.shape, a.dtype)
        for a, k in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(form, drawn)


def assert_equals_torch(torch, ours, theirs, params, x, rtol=1e-9):
    """Output, gradient of every parameter and of the input, for a random cotangent, in float64."""
    y, pullback = jax.vjp(jax.jit(ours), params, x)
    bar = jax.random.normal(jax.random.key(98), y.shape, y.dtype)
    gradients = pullback(bar)

    def tensor(a):
        return torch.tensor(np.asarray(a), requires_grad=True)

    tensors = jax.tree.map(tensor, (params, x))
    result = theirs(*tensors)
    result.backward(torch.tensor(np.asarray(bar)))
    close(y, result.detach().numpy(), rtol)
    expected = [t.grad.numpy() for t in jax.tree.leaves(tensors)]
    for ours_bar, torch_bar in zip(jax.tree.leaves(gradients), expected, strict=True):
        close(ours_bar, torch_bar, rtol)


def close(actual, expected, rtol):
    """Equal to a relative error of the largest entry."""
    largest = float(np.abs(expected).max(initial=0))
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol * max(largest, 1e-3))


def conv2d(torch, params, x, **options):
    """A convolution of channels-last images with a kernel (height, width, in, out)."""
    weight = params.kernel.permute(3, 2, 0, 1)
    y = torch.nn.functional.conv2d(x.movedim(-1, 1), weight, params.bias, **options)
    return y.movedim(1, -1)


def linear(torch, params, x):
    """A dense layer whose kernel is (in, out)."""
    return torch.nn.functional.linear(x, params.kernel.T, params.bias)


def assert_second_order(f, params, rtol=1e-6):
    """The derivative of the gradient along a random direction: both modes, and by differences."""
    leaves, form = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(97), len(leaves))
    v = [jax.random.normal(k, a.shape, a.dtype) for k, a in zip(keys, leaves, strict=True)]
    v = jax.tree.unflatten(form, v)
    gradient = jax.jit(jax.grad(f))
    by_forward = jax.jit(lambda p: jax.jvp(jax.grad(f), (p,), (v,))[1])(params)

    def along(p):
        both = zip(*map(jax.tree.leaves, (jax.grad(f)(p), v)), strict=True)
        return sum(jnp.vdot(a, b) for a, b in both)

    by_reverse = jax.jit(jax.grad(along))(params)
    h = 1e-5
    # Of fourth order: a normalised vector of few features bends within some thousandths.
    points = [
        gradient(jax.tree.map(lambda a, b, s=s: a + s * h * b, params, v)) for s in (1, -1, 2, -2)
    ]
    by_differences = jax.tree.map(lambda a, b, c, d: (8 * (a - b) - (c - d)) / (12 * h), *points)
    for one, two, three in zip(
        *map(jax.tree.leaves, (by_forward, by_reverse, by_differences)), strict=True
    ):
        close(one, np.asarray(two), 1e-10)
        close(one, np.asarray(three), rtol)
