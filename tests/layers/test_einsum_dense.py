"""fnmath.layers.einsum_dense: a linear map between the axes that an equation names."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.initializers import he_normal, orthogonal, zeros
from fnmath.layers import DenseParams, EinsumDenseParams, dense, einsum_dense, einsum_dense_init
from tests.helpers import Mistake, assert_transforms
from tests.layers.agreement import assert_close, normal
from tests.linear_algebra.cotangents import assert_cotangents

KEY = jax.random.key(0)
HEADS = "...d,dhk->...hk"
PARAMS = EinsumDenseParams(jnp.ones((3, 2, 4)), jnp.zeros((2, 4)))
x = jnp.ones((5, 3))

# equation, shape of x, shape of the kernel, shape of the bias
CASES = {
    "dense": ("...d,dk->...k", (2, 5, 3), (3, 4), (4,)),
    "to heads": (HEADS, (2, 5, 3), (3, 2, 4), (2, 4)),
    "from heads": ("...hk,hkd->...d", (5, 2, 4), (2, 4, 3), (3,)),
    "the same in all heads": ("...hd,dk->...hk", (5, 2, 3), (3, 4), (4,)),
    "a kernel per head": ("...hd,hdk->...hk", (5, 2, 3), (2, 3, 4), (2, 4)),
    "transposed": ("...d,kd->...k", (5, 3), (4, 3), (4,)),
    "across time": ("...td,ts->...sd", (2, 5, 3), (5, 4), (4,)),
    "out of order": ("...dh,hkd->k...h", (5, 3, 2), (2, 4, 3), (4, 2)),
    "a scale": ("...d,d->...d", (5, 3), (3,), (3,)),
    "no batch": ("abc,cd->abd", (2, 3, 4), (4, 5), (5,)),
    "only summed": ("...ad,dk->...k", (5, 2, 3), (3, 4), (4,)),
    "with spaces": ("... d , d k -> ... k", (5, 3), (3, 4), (4,)),
    "to a number": ("...d,d->...", (5, 3), (3,), ()),
    "outer": ("...d,k->...dk", (5, 3), (4,), (4,)),
    "capitals": ("bD,Dk->bk", (5, 3), (3, 4), (4,)),
}
EVERY = pytest.mark.parametrize("case", CASES.values(), ids=CASES)

MISTAKES = [
    Mistake(
        einsum_dense, (None, x), {"equation": HEADS}, TypeError,
        "einsum_dense: params is a NoneType; wanted EinsumDenseParams(kernel, bias)",
    ),
    Mistake(
        einsum_dense, (PARAMS, x), {"equation": None}, TypeError,
        'einsum_dense: equation is a NoneType; wanted a string; did you mean "...d,dk->...k"?',
    ),
    Mistake(
        einsum_dense, (PARAMS, x), {"equation": "...d,dhk"}, ValueError,
        'einsum_dense: equation is "...d,dhk"; wanted "x,kernel->y"; '
        'did you mean "...d,dk->...k"?',
    ),
    Mistake(
        einsum_dense, (PARAMS, x), {"equation": "...d,ddk->...k"}, ValueError,
        'einsum_dense: "ddk" of the equation "...d,ddk->...k"; wanted letters, each once',
    ),
    Mistake(
        einsum_dense, (PARAMS, x), {"equation": "...d,dhk->hk"}, ValueError,
        'einsum_dense: equation is "...d,dhk->hk"; wanted "..." in x and in y, or in neither',
    ),
    Mistake(
        einsum_dense, (PARAMS, x), {"equation": "...d,dhk->...hkv"}, ValueError,
        'einsum_dense: equation is "...d,dhk->...hkv"; wanted v in x or in the kernel too',
    ),
    Mistake(
        einsum_dense, (PARAMS, x), {"equation": "...d,dk->...k"}, ValueError,
        'einsum_dense: kernel (3, 2, 4) must have exactly 2 axes, "dk"',
    ),
    Mistake(
        einsum_dense, (PARAMS, x), {"equation": "...abd,dhk->...hk"}, ValueError,
        'einsum_dense: x (5, 3) must have at least 3 axes, "...abd"',
    ),
    Mistake(
        einsum_dense, (PARAMS, jnp.ones((5, 4))), {"equation": HEADS}, ValueError,
        'einsum_dense: the number of "d" must agree: x has 4 and kernel has 3',
    ),
    Mistake(
        einsum_dense, (PARAMS._replace(bias=jnp.ones(4)), x), {"equation": HEADS}, ValueError,
        'einsum_dense: bias (4,) must be (2, 4), the sizes of "hk"',
    ),
    Mistake(
        einsum_dense_init, (0, HEADS, (3, 2, 4)), {}, TypeError,
        "einsum_dense_init: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        einsum_dense_init, (KEY, HEADS, (3, 2)), {}, ValueError,
        'einsum_dense_init: kernel_shape (3, 2) must have exactly 3 axes, "dhk"',
    ),
    Mistake(
        einsum_dense_init, (KEY, HEADS, (3, 2, 0)), {}, ValueError,
        "einsum_dense_init: kernel_shape[2] is 0; wanted an integer of at least 1",
    ),
    Mistake(
        einsum_dense_init, (KEY, HEADS, 3), {}, TypeError,
        "einsum_dense_init: kernel_shape is a int; wanted a tuple of integers",
    ),
    Mistake(
        einsum_dense_init, (KEY, HEADS, (3, 2, 4)), {"bias_shape": (4, 2)}, ValueError,
        'einsum_dense_init: bias_shape (4, 2) must be (2, 4), the sizes of "hk"',
    ),
    Mistake(
        einsum_dense_init, (KEY, HEADS, (3, 2, 4)), {"kernel_init": lambda *a: zeros(*a)[0]},
        ValueError, "einsum_dense_init: kernel_init gave the shape (8,); wanted (3, 8)",
    ),
    Mistake(
        einsum_dense_init, (KEY, HEADS, (3, 2, 4)), {"bias_init": None}, TypeError,
        "einsum_dense_init: bias_init is a NoneType; wanted a function",
    ),
]  # fmt: skip


def layer(equation, x_shape, kernel_shape, bias_shape):
    x, kernel, bias = normal(1, *x_shape), normal(2, *kernel_shape), normal(3, *bias_shape)
    return equation, x, kernel, bias


def plain(equation, x, kernel, bias):
    """By definition: a sum over everything that the output does not name, term by term."""
    inputs, _, out = equation.replace(" ", "").partition("->")
    first, second = inputs.split(",")
    batch = "ABCE"[: x.ndim - len(first.replace("...", ""))]
    first, out = first.replace("...", batch), out.replace("...", batch)
    size = dict(zip(second, kernel.shape, strict=True)) | dict(zip(first, x.shape, strict=True))
    biased = [i for i in out if i in second]
    y = np.zeros([size[i] for i in out])
    for at in itertools.product(*(range(n) for n in size.values())):
        place = dict(zip(size, at, strict=True))
        index = [tuple(place[i] for i in term) for term in (first, second, out)]
        y[index[2]] += x[index[0]] * kernel[index[1]]
    for at in np.ndindex(y.shape):
        place = dict(zip(out, at, strict=True))
        y[at] += bias[tuple(place[i] for i in biased)]
    return y


@EVERY
class TestEinsumDense:
    @pytest.mark.usefixtures("x64")
    def test_reference(self, case):
        equation, x, kernel, bias = layer(*case)
        params = EinsumDenseParams(jnp.asarray(kernel), jnp.asarray(bias))
        actual = einsum_dense(params, jnp.asarray(x), equation=equation)
        assert_close(actual, plain(equation, x, kernel, bias), 1e-14)
        without = einsum_dense(params._replace(bias=None), jnp.asarray(x), equation=equation)
        assert_close(without, plain(equation, x, kernel, 0 * bias), 1e-14)

    @pytest.mark.slow
    def test_equals_flax(self, case):
        """Its outputs and all gradients, in float64."""
        nnx = pytest.importorskip("flax.nnx", reason="Flax is a peer, not a dependency")
        equation, *arrays = layer(*case)
        with jax.enable_x64(True):
            x, kernel, bias = map(jnp.asarray, arrays)

            def theirs(kernel, bias, x):
                inits = {"kernel_init": lambda *_: kernel, "bias_init": lambda *_: bias}
                options = {"param_dtype": jnp.float64, "rngs": nnx.Rngs(0), **inits}
                return nnx.Einsum(equation, kernel.shape, bias.shape, **options)(x)

            def ours(kernel, bias, x):
                return einsum_dense(EinsumDenseParams(kernel, bias), x, equation=equation)

            def both(*args):
                cotangent = jnp.cos(jnp.arange(jax.eval_shape(ours, *args).size))
                found = []
                for f in (ours, theirs):
                    y, vjp = jax.vjp(f, *args)
                    found.append((y, *vjp(cotangent.reshape(y.shape))))
                return found

            mine, expected = jax.jit(both)(kernel, bias, x)
        for a, b in zip(mine, expected, strict=True):
            assert_close(a, np.asarray(b), 1e-13)

    def test_kernel_has_the_variance_of_its_fan(self, case):
        """Var W = 1/m, m being the number of terms that the kernel contributes to each sum."""
        equation, _, few, _ = case
        shape = tuple(32 if len(few) < 2 else 16 for _ in few)
        terms = equation.replace(" ", "").partition("->")
        kernel_letters, out = terms[0].split(",")[1], terms[2]
        summed = [n for i, n in zip(kernel_letters, shape, strict=True) if i not in out]
        kernel = jax.vmap(lambda key: einsum_dense_init(key, equation, shape).kernel)(
            jax.random.split(KEY, 64)
        )
        assert kernel.shape == (64, *shape)
        assert abs(float(kernel.var()) * math.prod(summed) - 1) < 0.1


class TestOne:
    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("name", ["to heads", "a kernel per head", "only summed"])
    def test_gradient(self, name):
        equation, *arrays = layer(*CASES[name])
        inputs, _, out = equation.partition("->")
        first, second = inputs.split(",")

        def f(kernel, bias, x):
            return einsum_dense(EinsumDenseParams(kernel, bias), x, equation=equation)

        def rule(y_bar, kernel, bias, x):
            seen = "".join(i for i in first if i in second + out)
            x_bar = jnp.einsum(f"{out},{second}->{seen}", y_bar, kernel)
            if name == "only summed":
                x_bar = jnp.broadcast_to(x_bar[:, None], x.shape)
            kernel_bar = jnp.einsum(f"{first},{out}->{second}", x, y_bar)
            return kernel_bar, y_bar.reshape(-1, *bias.shape).sum(axis=0), x_bar

        x, kernel, bias = map(jnp.asarray, arrays)
        assert_cotangents(f, rule, kernel, bias, x)

    def test_law_dense(self):
        params = DenseParams(
            *(jnp.asarray(normal(i, *s), jnp.float32) for i, s in ((1, (3, 4)), (2, (4,))))
        )
        x = jnp.asarray(normal(3, 5, 3), jnp.float32)
        actual = einsum_dense(EinsumDenseParams(*params), x, equation="...d,dk->...k")
        np.testing.assert_allclose(actual, dense(params, x), rtol=1e-6)

    def test_a_bias_may_be_the_same_along_an_axis(self):
        bias = jnp.arange(4.0)
        wide = PARAMS._replace(bias=jnp.stack([bias, bias]))
        narrow = PARAMS._replace(bias=bias[None])
        expected = einsum_dense(wide, x, equation=HEADS)
        np.testing.assert_array_equal(einsum_dense(narrow, x, equation=HEADS), expected)

    def test_transforms(self):
        params = einsum_dense_init(KEY, HEADS, (3, 2, 4), bias_shape=(2, 4))
        assert_transforms(lambda p, x: einsum_dense(p, x, equation=HEADS), params, x)

    def test_edges(self):
        y = einsum_dense(PARAMS, jnp.ones((0, 3)), equation=HEADS)
        assert y.shape == (0, 2, 4)
        half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), PARAMS)
        y = einsum_dense(half, x.astype(jnp.bfloat16), equation=HEADS)
        assert y.dtype == jnp.bfloat16
        rows = einsum_dense(PARAMS, x.at[1, 0].set(jnp.nan), equation=HEADS)
        assert (jnp.isnan(rows).any(axis=(1, 2)) == (jnp.arange(5) == 1)).all()

    def test_half_precision_sums_in_single(self):
        """A thousand ones along an axis that is only summed: bfloat16 itself stops at 256."""
        params = EinsumDenseParams(jnp.ones((1, 1), jnp.bfloat16))
        many = jnp.ones((1000, 1), jnp.bfloat16)
        assert einsum_dense(params, many, equation="ad,dk->k")[0] == 1000


class TestEinsumDenseInit:
    def test_initialisers_draw_the_matrix_of_the_map(self):
        """An orthogonal one: as a matrix from (h, k) to d, whatever the order of its axes."""
        kernel = einsum_dense_init(
            KEY, "...hk,kdh->...d", (4, 8, 2), kernel_init=orthogonal()
        ).kernel
        matrix = kernel.transpose(2, 0, 1).reshape(8, 8)
        np.testing.assert_allclose(matrix @ matrix.T, jnp.eye(8), atol=1e-5)
        he = einsum_dense_init(KEY, "...hk,hkd->...d", (8, 16, 256), kernel_init=he_normal()).kernel
        assert abs(float(he.var()) * 128 - 2) < 0.05

    def test_a_matrix_for_each_value_of_a_shared_axis(self):
        kernel = einsum_dense_init(
            KEY, "...hd,dhk->...hk", (8, 3, 8), kernel_init=orthogonal()
        ).kernel
        for h in range(3):
            np.testing.assert_allclose(kernel[:, h] @ kernel[:, h].T, jnp.eye(8), atol=1e-5)
        assert (kernel[:, 0] != kernel[:, 1]).all()

    def test_bias(self):
        params = einsum_dense_init(KEY, HEADS, [3, 2, 4], bias_shape=[1, 4], dtype=jnp.bfloat16)
        assert params.kernel.dtype == params.bias.dtype == jnp.bfloat16
        assert params.bias.shape == (1, 4)
        assert einsum_dense_init(KEY, HEADS, (3, 2, 4)).bias is None
