"""Settings drawn at random, PyTorch's answers to them, and how ours are compiled many at a time."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

TORCH_MODES = {"REFLECT": "reflect", "REPLICATE": "replicate", "CIRCULAR": "circular"}
KINDS = (
    *("VALID", "SAME", "CAUSAL", "REFLECT", "REPLICATE", "CIRCULAR"),
    *("an integer", "integers", "pairs", "one for each axis"),
)

# XLA need not make these programs fast: a convolution of a few numbers compiles in 30 ms then.
QUICKLY = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}


class Setting(NamedTuple):
    """One convolution: shapes and options. ``rules`` has the padding of each axis."""

    batch: tuple
    sizes: tuple
    window: tuple
    inputs: int
    outputs: int
    groups: int
    bias: bool
    strides: tuple
    dilation: tuple
    padding: object
    rules: tuple

    @property
    def options(self):
        return {"strides": self.strides, "padding": self.padding, "dilation": self.dilation}

    @property
    def spans(self):
        return tuple(d * (w - 1) + 1 for w, d in zip(self.window, self.dilation, strict=True))

    @property
    def amounts(self):
        return tuple(
            amount(*each)
            for each in zip(self.rules, self.sizes, self.spans, self.strides, strict=True)
        )

    @property
    def modes(self):
        return tuple(rule if rule in TORCH_MODES else None for rule in self.rules)


def amount(rule, n, k, s):
    """What each rule adds before and behind n entries, for windows that span k."""
    if isinstance(rule, tuple):
        return rule
    if rule == "SAME":
        total = max((math.ceil(n / s) - 1) * s + k - n, 0)
        return math.floor(total / 2), math.ceil(total / 2)
    mirrored = math.floor((k - 1) / 2), math.ceil((k - 1) / 2)
    return {"VALID": (0, 0), "CAUSAL": (k - 1, 0)}.get(rule, mirrored)


def draw_padding(rng, axes, kind):
    """The padding as it is given, and the rule of each axis."""
    if kind == "an integer":
        p = int(rng.integers(0, 3))
        return p, ((p, p),) * axes
    if kind == "integers":
        given = tuple(rng.integers(0, 3, axes).tolist())
        return given, tuple((p, p) for p in given)
    if kind == "pairs":
        given = tuple(map(tuple, rng.integers(0, 3, (axes, 2)).tolist()))
        return given, given
    if kind == "one for each axis":
        rules = tuple(KINDS[i] for i in rng.integers(0, 6, axes))
        return rules, rules
    return kind, (kind,) * axes


def draw(rng, axes, kind):
    """A setting that PyTorch can answer: reflections inside the image, and one window at least."""
    while True:
        most = {1: (9, 5), 2: (7, 3), 3: (5, 3)}[axes]
        sizes, window = (tuple(rng.integers(1, n + 1, axes).tolist()) for n in most)
        strides, dilation = (tuple(rng.integers(1, n + 1, axes).tolist()) for n in (3, 2))
        groups, each, out = rng.integers(1, (4, 3, 3)).tolist()
        padding, rules = draw_padding(rng, axes, kind)
        batch = ((2,), (), (2, 1), (3,))[rng.integers(4)]
        setting = Setting(
            *(batch, sizes, window, groups * each, groups * out, groups, bool(rng.integers(2))),
            *(strides, dilation, padding, rules),
        )
        widest = {"REFLECT": -1, "CIRCULAR": 0}
        fits = all(
            k <= n + low + high and max(low, high) <= n + widest.get(mode, 99)
            for n, k, (low, high), mode in zip(
                sizes, setting.spans, setting.amounts, setting.modes, strict=True
            )
        )
        if fits:
            return setting


def settings(count, seed):
    """As many settings, of every number of axes and every kind of padding in turn."""
    rng = np.random.default_rng(seed)
    return [draw(rng, 1 + i % 3, KINDS[i // 3 % len(KINDS)]) for i in range(count)]


def normals(rng, *shapes):
    return [rng.standard_normal(shape) for shape in shapes]


def torch_padded(x, amounts, modes):
    """Channels-first images with each axis padded by ``torch.nn.functional.pad``."""
    from torch.nn import functional

    axes = len(amounts)
    for axis, (pair, mode) in enumerate(zip(amounts, modes, strict=True)):
        if any(pair):
            widths = [0] * 2 * axes
            widths[2 * (axes - 1 - axis) : 2 * (axes - axis)] = pair
            x = functional.pad(x, widths, **({"mode": TORCH_MODES[mode]} if mode else {}))
    return x


def channels_first(x, axes):
    images = x.reshape(math.prod(x.shape[: -axes - 1]), *x.shape[-axes - 1 :])
    return images.movedim(-1, 1).contiguous()


def channels_last(y, batch):
    y = y.movedim(1, -1)
    return y.reshape(*batch, *y.shape[1:])


def torch_conv(setting, x, kernel, bias=None):
    """``torch.nn.functional.conv1d`` … ``conv3d`` of padded images, in our layouts."""
    from torch.nn import functional

    axes = len(setting.window)
    images = torch_padded(channels_first(x, axes), setting.amounts, setting.modes)
    weight = kernel.movedim((-1, -2), (0, 1)).contiguous()
    f = (functional.conv1d, functional.conv2d, functional.conv3d)[axes - 1]
    y = f(images, weight, bias, setting.strides, 0, setting.dilation, setting.groups)
    return channels_last(y, setting.batch)


def torch_answer(f, arrays, rng):
    """The value of f, a cotangent, and what that gives for each of the arrays."""
    import torch

    leaves = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = f(*leaves)
    cotangent = rng.standard_normal(tuple(y.shape))
    back = torch.autograd.grad(y, leaves, torch.tensor(cotangent))
    return cotangent, [y.detach().numpy(), *(g.numpy() for g in back)]


def our_answers(functions, arrays, cotangents):
    """For each function its value and the cotangents of its arguments: one program for all.

    One program of many small ones compiles faster than they do one by one.
    """

    def each(f, args, cotangent):
        y, back = jax.vjp(f, *args)
        return [y, *back(cotangent)]

    @jax.jit
    def all_of_them(arrays, cotangents):
        return [each(*one) for one in zip(functions, arrays, cotangents, strict=True)]

    return all_of_them.lower(arrays, cotangents).compile(QUICKLY)(arrays, cotangents)


def assert_close(ours, theirs, tolerance):
    """Value and cotangents, relative to the entry or, where sums cancel, to the largest."""
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        largest = np.abs(b).max(initial=0)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * largest)


def assert_all_equal(functions, arrays, cotangents, expected, names):
    """All in float64 to 1e-10, and every fourth in float32 to 1e-5."""
    for dtype, tolerance, step in ((jnp.float64, 1e-10, 1), (jnp.float32, 1e-5, 4)):
        parts = (a[::step] for a in (functions, arrays, cotangents, expected, names))
        functions, arrays, cotangents, expected, names = parts
        cast = jax.tree.map(lambda a, dtype=dtype: jnp.asarray(a, dtype), (arrays, cotangents))
        for ours, theirs, name in zip(our_answers(functions, *cast), expected, names, strict=True):
            assert {a.dtype for a in ours} == {jnp.dtype(dtype)}
            try:
                assert_close(ours, theirs, tolerance)
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from error
