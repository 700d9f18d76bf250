"""fnmath.layers.convolution, padding: the margins of an image."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.layers import conv, pad
from fnmath.layers.convolution import ConvParams
from tests.helpers import Mistake, assert_gradient, assert_transforms
from tests.layers.convolution import drawn

x = jnp.arange(1.0, 13.0).reshape(3, 4, 1)
MISTAKES = [
    Mistake(
        pad, ([1.0], 1), {}, TypeError,
        "pad: x is a list; wanted an array; did you mean jnp.asarray(x)?",
    ),
    Mistake(
        pad, (x, None), {}, TypeError,
        "pad: amounts is None; wanted an integer or a pair",
    ),
    Mistake(
        pad, (x, [1, 2.5]), {}, TypeError,
        "pad: amounts[1] is 2.5; wanted an integer or a pair",
    ),
    Mistake(
        pad, (x, [1, "SAME"]), {}, TypeError,
        "pad: amounts[1] is a str; wanted an integer or a pair",
    ),
    Mistake(
        pad, (x, ()), {}, ValueError,
        "pad: amounts is (); wanted at least one axis",
    ),
    Mistake(
        pad, (x, [(1, -1)]), {}, ValueError,
        "pad: amounts[0][1] is -1; wanted an integer of at least 0",
    ),
    Mistake(
        pad, (x[:, 0], [1, 1]), {}, ValueError,
        "pad: x has shape (3, 1); wanted at least 3 axes, (*batch height width channels); "
        "did you mean x[None]?",
    ),
    Mistake(
        pad, (x, 1), {"mode": "reflect"}, ValueError,
        "pad: mode is 'reflect'; wanted one of 'CONSTANT', 'REFLECT', 'REPLICATE', 'CIRCULAR'",
    ),
    Mistake(
        pad, (x, 1), {"value": "0"}, TypeError,
        "pad: value is '0' (str); wanted a number",
    ),
    Mistake(
        pad, (x, 1), {"mode": "REFLECT", "value": 1.0}, ValueError,
        "pad: value is 1.0, which the mode 'REFLECT' does not use; wanted 0",
    ),
    Mistake(
        pad, (x.astype(int), 1), {"value": 1.0}, ValueError,
        "pad: value is 1.0 and x has dtype int32; wanted a value of 0; "
        "did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        pad, (x[:0], [0, 1]), {"value": jnp.ones(2)}, ValueError,
        "pad: value has shape (2,); wanted one number",
    ),
    Mistake(
        pad, (x[:, :0], 1), {"mode": "CIRCULAR"}, ValueError,
        "pad: x has shape (3, 0, 1); wanted entries that CIRCULAR can copy",
    ),
]  # fmt: skip

NUMPY_MODES = {"REFLECT": "reflect", "REPLICATE": "edge", "CIRCULAR": "wrap"}


def draw(rng, i):
    """An image and margins that PyTorch can answer: reflections inside, once around at most."""
    mode = ("CONSTANT", *NUMPY_MODES)[i % 4]
    axes = 1 + i // 4 % 3
    sizes = tuple(rng.integers(1, 6, axes).tolist())
    widest = {"REFLECT": [n - 1 for n in sizes], "CIRCULAR": sizes}.get(mode, [4] * axes)
    amounts = [tuple(rng.integers(0, n + 1, 2).tolist()) for n in widest]
    batch = ((2,), (), (2, 1))[rng.integers(3)]
    value = float(rng.standard_normal()) if mode == "CONSTANT" else 0.0
    return mode, amounts, value, rng.standard_normal((*batch, *sizes, 2))


@pytest.mark.slow
@pytest.mark.usefixtures("x64")
def test_equals_torch():
    """50 drawn settings of ``torch.nn.functional.pad``, values and gradients."""
    torch = pytest.importorskip("torch", reason="PyTorch is a peer, not a dependency")
    rng = np.random.default_rng(0)
    settings = [draw(rng, i) for i in range(50)]

    def theirs(mode, amounts, value):
        def padded(x):
            axes = len(amounts)
            images = drawn.channels_first(x, axes)
            if mode == "CONSTANT":
                widths = [n for pair in amounts[::-1] for n in pair]
                images = torch.nn.functional.pad(images, widths, value=value)
            else:
                images = drawn.torch_padded(images, amounts, [mode] * axes)
            return drawn.channels_last(images, x.shape[: -axes - 1])

        return padded

    answers = [drawn.torch_answer(theirs(*s[:3]), [s[3]], rng) for s in settings]
    cotangents, expected = zip(*answers, strict=True)
    functions = [
        functools.partial(pad, amounts=amounts, mode=mode, value=value)
        for mode, amounts, value, _ in settings
    ]
    arrays = [[s[3]] for s in settings]
    drawn.assert_all_equal(functions, arrays, list(cotangents), expected, settings)


class TestPad:
    @pytest.mark.parametrize("mode", NUMPY_MODES)
    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_margins_wider_than_the_image(self, mode, n):
        """Again and again, as ``numpy.pad`` does; PyTorch refuses."""
        expected = np.pad(x[:n], [(7, 5), (0, 0), (0, 0)], mode=NUMPY_MODES[mode])
        np.testing.assert_array_equal(pad(x[:n], [(7, 5), 0], mode=mode), expected)

    def test_law_formula(self):
        """The four lines of the docstring."""
        row, low, n = x[0, :, 0], 9, 4
        i = np.arange(low + n + 6)
        j = (i - low + n - 1) % (2 * (n - 1)) - (n - 1)
        index = {
            "REFLECT": abs(j),
            "CIRCULAR": (i - low) % n,
            "REPLICATE": (i - low).clip(0, n - 1),
        }
        for mode, at in index.items():
            np.testing.assert_array_equal(pad(x[0], [(low, 6)], mode=mode)[:, 0], row[at])

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("mode", NUMPY_MODES)
    def test_gradient(self, mode):
        """Each cotangent of a margin is added to the entry it copies."""
        row = jnp.array([[0.3], [0.1], [0.7]])
        weight = jnp.sin(jnp.arange(12.0))[:, None]
        copied = np.pad(np.arange(3), (5, 4), mode=NUMPY_MODES[mode])
        expected = jnp.zeros((3, 1)).at[copied].add(weight)
        assert_gradient(lambda x: weight * pad(x, [(5, 4)], mode=mode), lambda _: expected, row)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient_of_the_value(self):
        f = functools.partial(pad, x.astype(jnp.float64), [0, (2, 1)])
        assert_gradient(lambda value: f(value=value), lambda _: 9.0, jnp.float64(0.5))

    def test_transforms(self):
        modes = ("CONSTANT", *NUMPY_MODES)
        assert_transforms(lambda x: [pad(x, [1, (2, 0)], mode=mode) for mode in modes], x)

    def test_explicit_amounts_with_a_mode(self):
        """The convolution's named paddings are margins of a certain width, and then VALID."""
        params = ConvParams(jnp.arange(1.0, 7.0).reshape(2, 3, 1, 1))
        wrapped = pad(x, [(0, 1), (1, 1)], mode="REFLECT")
        expected = conv(params, x, padding="REFLECT")
        np.testing.assert_array_equal(conv(params, wrapped, padding="VALID"), expected)

    @pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "bfloat16", "complex64"])
    @pytest.mark.parametrize("mode", ["CONSTANT", *NUMPY_MODES])
    def test_any_dtype(self, dtype, mode):
        padded = pad(x.astype(dtype), [1, 2], mode=mode)
        assert padded.dtype == dtype
        assert padded.shape == (5, 8, 1)
        assert (padded[1:-1, 2:-2] == x.astype(dtype)).all()

    def test_half_precision_cotangents_are_summed_in_float32(self):
        """301 ones in bfloat16: one by one they would stop at 256."""
        f = functools.partial(pad, amounts=300, mode="REPLICATE")
        y, back = jax.vjp(f, jnp.ones((2, 1), jnp.bfloat16))
        (cotangent,) = back(jnp.ones_like(y))
        np.testing.assert_array_equal(cotangent[:, 0], jnp.asarray([301, 301], jnp.bfloat16))

    def test_edges(self):
        np.testing.assert_array_equal(pad(x, 0), x)
        assert pad(x[:, :0], 2, value=jnp.inf).shape == (3, 4, 1)
        assert pad(x[:0], 1, mode="REFLECT").shape == (0, 6, 1)
        assert (pad(x, 1, value=-jnp.inf)[:, 0] == -jnp.inf).all()
