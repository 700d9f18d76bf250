"""fnmath.losses, of a linear map: equal to the plain form, in both modes, without its memory."""

import functools
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from jax.experimental import checkify

from fnmath import numerics
from fnmath.losses import (
    linear_softmax_cross_entropy,
    linear_softmax_cross_entropy_sum,
    softmax_cross_entropy_with_integer_labels,
)
from tests.helpers import Mistake, assert_gradient, assert_transforms, assert_within_ulp

pytestmark = pytest.mark.slow  # most of it is spent in compiling

h, W, y, b = jnp.ones((4, 3)), jnp.ones((3, 5)), jnp.arange(4), jnp.zeros(5)
FUNCTIONS = (linear_softmax_cross_entropy, linear_softmax_cross_entropy_sum)


def of_both(args, options, error, problem):
    """The same mistake in either function."""
    return [Mistake(f, args, options, error, f"{f.__name__}: {problem}") for f in FUNCTIONS]


MISTAKES = [
    *of_both(
        (y, W, y),
        {},
        TypeError,
        "hidden has dtype int32; wanted a floating dtype; did you mean hidden.astype(jnp.float32)?",
    ),
    *of_both(
        (h, W, y.astype(float)),
        {},
        TypeError,
        "labels has dtype float32; wanted an integer dtype; did you mean labels.astype(jnp.int32)?",
    ),
    *of_both(
        (h, W.T, y),
        {},
        ValueError,
        "the number of features must agree: hidden has 3 and kernel has 5",
    ),
    *of_both(
        (h, W[0], y),
        {},
        ValueError,
        "kernel has shape (5,); wanted exactly 2 axes, (features classes); "
        "did you mean kernel[None]?",
    ),
    *of_both((h, W[:, :0], y), {}, ValueError, "kernel (3, 0) has no classes"),
    *of_both(
        (h, W, y[:, None]),
        {},
        ValueError,
        "labels (4, 1) do not fit hidden (4, 3); wanted (4,); did you mean labels[:, 0]?",
    ),
    *of_both(
        (h, W, y),
        {"bias": b[:4]},
        ValueError,
        "the number of classes must agree: kernel has 5 and bias has 4",
    ),
    *of_both(
        (h, W, y),
        {"label_smoothing": 1.5},
        ValueError,
        "label_smoothing is 1.5; wanted a number in [0, 1]",
    ),
    *of_both(
        (h, W, y),
        {"z_loss": jnp.ones(())},
        TypeError,
        "z_loss is an array; wanted a Python number",
    ),
    *of_both(
        (h, W, y),
        {"ignore_label": 0.5},
        TypeError,
        "ignore_label is 0.5 (float); wanted an integer",
    ),
    *of_both((h, W, y), {"chunk": 0}, ValueError, "chunk is 0; wanted an integer of at least 1"),
    Mistake(
        linear_softmax_cross_entropy_sum,
        (h, W, y),
        {"weights": jnp.ones((4, 1))},
        ValueError,
        "linear_softmax_cross_entropy_sum: weights (4, 1) do not fit hidden (4, 3); wanted (4,); "
        "did you mean weights[:, 0]?",
    ),
    Mistake(
        linear_softmax_cross_entropy_sum,
        (h, W, y),
        {"weights": y},
        TypeError,
        "linear_softmax_cross_entropy_sum: weights has dtype int32; wanted a floating dtype; "
        "did you mean weights.astype(jnp.float32)?",
    ),
]

OPTIONS = {"label_smoothing": 0.1, "z_loss": 0.03}


def make(tokens, features, classes, dtype, seed=0):
    """Hidden states, kernel, bias, weights and labels, drawn at random."""
    keys = jax.random.split(jax.random.key(seed), 5)
    hidden = jax.random.normal(keys[0], (tokens, features), dtype)
    kernel = jax.random.normal(keys[1], (features, classes), dtype)
    bias = jax.random.normal(keys[2], (classes,), dtype)
    weights = jax.random.normal(keys[3], (tokens,), dtype)
    return hidden, kernel, bias, weights, jax.random.randint(keys[4], (tokens,), 0, classes)


def plain(hidden, kernel, labels, *, bias, label_smoothing=0.0, z_loss=0.0):
    """The definition, with all the logits."""
    z = hidden @ kernel + bias
    L = jax.nn.logsumexp(z, -1)
    at_label = jnp.take_along_axis(z, labels[..., None], -1)[..., 0]
    loss = (1 - label_smoothing) * (L - at_label) + label_smoothing * (L - z.mean(-1))
    return loss + z_loss * L**2


def weighted(f, labels, chunk=None, **options):
    """The weighted sum of the losses by f, of hidden states, kernel, bias and weights."""
    options |= {} if chunk is None else {"chunk": chunk}

    def objective(hidden, kernel, bias, weights):
        if f is linear_softmax_cross_entropy_sum:
            return f(hidden, kernel, labels, weights=weights, bias=bias, **options)
        return jnp.sum(weights * f(hidden, kernel, labels, bias=bias, **options))

    return objective


class TestBoth:
    """What the two have in common."""

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize(("options", "chunk"), [({}, 4), (OPTIONS, 1), (OPTIONS, 11)])
    def test_reference(self, options, chunk):
        """Values and all gradients, in chunks that divide the 11 tokens and that do not."""
        *arrays, labels = make(11, 3, 7, jnp.float64)
        places = (0, 1, 2, 3)
        expected = jax.jit(jax.value_and_grad(weighted(plain, labels, **options), places))(*arrays)
        for f in FUNCTIONS:
            ours = jax.jit(jax.value_and_grad(weighted(f, labels, chunk, **options), places))
            close = functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-13)
            jax.tree.map(close, ours(*arrays), expected)

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("f", FUNCTIONS)
    def test_gradient(self, f):
        """The Gradient: lines, in both modes and to second order."""
        *arrays, weights, labels = make(3, 2, 4, jnp.float64)
        ε, ζ = OPTIONS.values()

        def gradient(map_):
            hidden, kernel, bias = map_
            z = hidden @ kernel + bias
            L = jax.nn.logsumexp(z, -1, keepdims=True)
            p, at_label = jnp.exp(z - L), labels[:, None] == jnp.arange(4)
            r = weights[:, None] * (p * (1 + 2 * ζ * L) - (1 - ε) * at_label - ε / 4)
            return r @ kernel.T, hidden.T @ r, r.sum(0)

        objective = jax.jit(weighted(f, labels, 2, **OPTIONS))
        assert_gradient(lambda map_: objective(*map_, weights), gradient, tuple(arrays))

    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("f", FUNCTIONS)
    @pytest.mark.slow
    def test_second_order(self, f):
        """The Hessian by hidden states and kernel, in all orders of the modes."""
        *arrays, labels = make(3, 2, 4, jnp.float64)
        ours, expected = weighted(f, labels, 2, **OPTIONS), weighted(plain, labels, **OPTIONS)
        hessian = jax.jit(jax.hessian(expected, (0, 1)))(*arrays)
        close = functools.partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-12)
        for outer in (jax.jacfwd, jax.jacrev):
            for inner in (jax.jacfwd, jax.jacrev):
                twice = jax.jit(outer(inner(ours, (0, 1)), (0, 1)))(*arrays)
                jax.tree.map(close, twice, hessian)

    def test_float32(self):
        """512 features, 2048 classes: beside float64, in units of float32's last place.

        An entry of the logits or of a gradient is a sum, whose error goes by the size of its terms:
        the bound is in ε of the largest entry of each array, or what the plain form errs where that
        is more: how a product of matrices adds up 2048 terms is the processor's affair.
        """
        *arrays, labels = make(96, 512, 2048, jnp.float32)
        arrays[1] = arrays[1] / 16
        with jax.enable_x64(True):
            wide = [jnp.asarray(np.float64(a)) for a in arrays]
            gradient = jax.jit(jax.grad(weighted(plain, labels), (0, 1, 2)))
            expected = [np.asarray(g) for g in gradient(*wide)]
            losses = np.asarray(plain(*wide[:2], labels, bias=wide[2]))
        ours = linear_softmax_cross_entropy(*arrays[:2], labels, bias=arrays[2], chunk=40)
        eps = float(jnp.finfo(jnp.float32).eps)
        assert np.abs(ours - losses).max() <= 4 * eps * np.abs(losses).max()
        plainly = jax.jit(jax.grad(weighted(plain, labels), (0, 1, 2)))(*arrays)
        for f in FUNCTIONS:
            gradients = jax.jit(jax.grad(weighted(f, labels, 40), (0, 1, 2)))(*arrays)
            for g, p, e in zip(gradients, plainly, expected, strict=True):
                bound = max(12 * eps * np.abs(e).max(), 1.25 * np.abs(p - e).max())
                assert np.abs(g - e).max() <= bound

    @pytest.mark.last_digits
    @pytest.mark.parametrize("f", FUNCTIONS)
    def test_a_confident_token_has_a_loss_and_a_gradient(self, f):
        """The logits 17, 0, 0: in float32 their softmax is 1, and 1 − p is 0."""

        def loss(bias):
            return f(jnp.ones((1, 1)), jnp.array([[17.0, 0, 0]]), jnp.array([0]), bias=bias).sum()

        e = np.exp(-17.0)
        value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.zeros(3))
        assert_within_ulp(value, np.log1p(2 * e), 4)
        expected = np.array([-2 * e, e, e]) / (1 + 2 * e)
        assert_within_ulp(gradient, expected, 4)
        assert_within_ulp(jax.jit(jax.jacfwd(loss))(jnp.zeros(3)), expected, 4)

    @pytest.mark.last_digits
    @pytest.mark.parametrize("f", FUNCTIONS)
    def test_z_loss_does_not_hide_a_confident_gradient(self, f):
        """With ζ, r_y = 2 ζ L p_y − Σ_{k≠y} pₖ: never by 1 + 2 ζ L, in which 2 ζ L drowns."""

        def loss(bias):
            hidden, kernel = jnp.ones((1, 1)), jnp.zeros((1, 3))
            return f(hidden, kernel, jnp.array([0]), bias=bias, z_loss=1e-9).sum()

        bias = jnp.array([8.0, -14, -14])
        e = np.exp(-22.0)
        p, L = np.array([1, e, e]) / (1 + 2 * e), 8 + np.log1p(2 * e)
        expected = np.array([-2 * e, e, e]) / (1 + 2 * e) + 2e-9 * L * p
        assert_within_ulp(jax.jit(jax.grad(loss))(bias), expected, 8)

    @pytest.mark.parametrize("f", FUNCTIONS)
    def test_transforms(self, f):
        hidden, kernel, _, _, labels = make(6, 3, 5, jnp.float32)

        def gradient(hidden, kernel, labels):
            return jax.grad(lambda h, W: f(h, W, labels, chunk=4).sum(), (0, 1))(hidden, kernel)

        chex.clear_trace_counter()  # it takes functions of one name for one function
        assert_transforms(f, hidden, kernel, labels)
        assert_transforms(gradient, hidden, kernel, labels)

    @pytest.mark.parametrize("f", FUNCTIONS)
    @pytest.mark.parametrize("label", [-1, 2])
    def test_ignored_tokens_leave_no_trace(self, f, label):
        """Not even of a nan; the label may also be that of a class."""
        hidden, kernel, bias, _, labels = make(7, 3, 5, jnp.float32)
        ignored = jnp.array([True, False, False, True, False, False, True])
        labels = jnp.where(ignored, label, jnp.where(labels == label, 0, labels))
        hidden = jnp.where(ignored[:, None], jnp.nan, hidden)
        options = {"ignore_label": label, "chunk": 3, **OPTIONS}
        ours = jax.jit(jax.value_and_grad(weighted(f, labels, **options), (0, 1, 2)))
        total, (by_hidden, *others) = ours(hidden, kernel, bias, jnp.ones(7))
        kept = [i for i in range(7) if not ignored[i]]
        expected = jax.value_and_grad(
            weighted(plain, labels[jnp.array(kept)], **OPTIONS), (0, 1, 2)
        )
        rest = hidden[jnp.array(kept)]
        total_kept, (by_kept, *others_kept) = expected(rest, kernel, bias, jnp.ones(4))
        assert (by_hidden[ignored] == 0).all()
        for a, e in [
            (total, total_kept),
            (by_hidden[~ignored], by_kept),
            *zip(others, others_kept, strict=True),
        ]:
            np.testing.assert_allclose(a, e, rtol=2e-5, atol=1e-6)

    def test_all_ignored(self):
        losses = linear_softmax_cross_entropy(h * jnp.nan, W, y * 0 - 1, ignore_label=-1)
        assert (losses == 0).all()
        total = weighted(linear_softmax_cross_entropy_sum, y * 0 - 1, ignore_label=-1)
        value, gradient = jax.jit(jax.value_and_grad(total, (0, 1, 2, 3)))(
            h * jnp.nan, W, b, y * jnp.nan
        )
        assert value == 0
        assert all((g == 0).all() for g in gradient)

    @pytest.mark.parametrize("f", FUNCTIONS)
    def test_a_label_that_is_no_class_is_nan(self, f):
        """The value, the gradient of its hidden state alone, and all of the kernel's."""
        labels = jnp.array([0, 5, 2, -1])
        gradient = jax.jit(jax.grad(weighted(f, labels, chunk=2), (0, 1)))
        by_hidden, by_kernel = gradient(h, W, b, jnp.ones(4))
        assert jnp.isnan(by_hidden).all(-1).tolist() == [False, True, False, True]
        assert jnp.isfinite(by_hidden[::2]).all()
        assert jnp.isnan(by_kernel).all()
        losses = f(h, W, labels)
        assert jnp.isnan(losses).tolist() == ([False, True, False, True] if losses.ndim else True)

    @pytest.mark.last_digits
    def test_small_label_dtypes(self):
        """300 classes do not fit uint8: 255 is class 255, and a label of −100 ignores none."""
        kernel = jnp.zeros((2, 300))
        for dtype in [jnp.uint8, jnp.int8, jnp.uint32]:
            labels = jnp.array([127, 3], dtype)
            loss = linear_softmax_cross_entropy(jnp.ones((2, 2)), kernel, labels, ignore_label=-200)
            assert_within_ulp(loss, np.log([300.0, 300.0]), 2)

    @pytest.mark.parametrize("f", FUNCTIONS)
    def test_a_class_that_cannot_occur(self, f):
        """A bias of −∞: as if it were not there, its column gets no gradient."""
        bias = jnp.array([0.0, 0, -jnp.inf])
        loss = weighted(f, jnp.array([0, 1]))
        value, (by_kernel, by_bias) = jax.value_and_grad(loss, (1, 2))(
            jnp.ones((2, 1)), jnp.zeros((1, 3)), bias, jnp.ones(2)
        )
        np.testing.assert_allclose(value, 2 * np.log(2), rtol=1e-6)
        np.testing.assert_allclose(by_bias, [0, 0, 0], atol=1e-7)
        assert jnp.isfinite(by_kernel).all()
        at_it = f(jnp.ones((1, 1)), jnp.zeros((1, 3)), jnp.array([2]), bias=bias)
        assert (at_it == jnp.inf).all()

    @pytest.mark.last_digits
    @pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
    def test_half_precision_is_rounded_once(self, dtype):
        """A thousand classes, in float32; the gradients keep the dtype."""
        hidden, kernel, _, _, labels = make(8, 16, 1000, dtype)
        z = np.float64(hidden) @ np.float64(kernel)
        losses = scipy.special.logsumexp(z, 1) - z[np.arange(8), labels]
        ours = linear_softmax_cross_entropy(hidden, kernel, labels)
        assert ours.dtype == dtype
        assert_within_ulp(ours, losses, 0.51)
        gradients = jax.grad(linear_softmax_cross_entropy_sum, (0, 1))(hidden, kernel, labels)
        assert [g.dtype for g in gradients] == [dtype, dtype]

    def test_edges(self):
        empty = jnp.zeros((0, 3)), W, jnp.zeros(0, int)
        assert linear_softmax_cross_entropy(*empty).shape == (0,)
        assert linear_softmax_cross_entropy_sum(*empty) == 0
        assert (jax.grad(linear_softmax_cross_entropy_sum, 1)(*empty) == 0).all()
        assert linear_softmax_cross_entropy(h[0], W, y[0]).shape == ()
        batch = jnp.ones((2, 5, 3)), W, jnp.zeros((2, 5), int)
        assert linear_softmax_cross_entropy(*batch).shape == (2, 5)
        assert linear_softmax_cross_entropy_sum(*batch).shape == ()
        assert linear_softmax_cross_entropy(h, W[:, :1], y * 0).tolist() == [0] * 4  # certain
        assert jnp.isnan(linear_softmax_cross_entropy(h * jnp.nan, W, y)).all()

    def test_checked_mode_names_the_label(self):
        with numerics.checked():
            loss = checkify.checkify(jax.jit(linear_softmax_cross_entropy))
            wrong, _ = loss(h, W, y + 4)
            right, _ = loss(h, W, y)
        assert wrong.get().startswith("linear_softmax_cross_entropy: label 5 outside [0, 5)")
        assert right.get() is None


class TestLinearSoftmaxCrossEntropy:
    def test_is_the_loss_of_the_logits(self):
        hidden, kernel, bias, _, labels = make(9, 4, 6, jnp.float32)
        ours = linear_softmax_cross_entropy(hidden, kernel, labels, bias=bias, chunk=4)
        theirs = softmax_cross_entropy_with_integer_labels(hidden @ kernel + bias, labels)
        np.testing.assert_allclose(ours, theirs, rtol=2e-6)

    def test_agrees_with_torch(self, torch):
        """Label smoothing and ignored labels as ``torch.nn.functional.cross_entropy`` has them."""
        hidden, kernel, bias, _, labels = make(9, 4, 6, jnp.float32)
        labels = labels.at[::4].set(-100)
        z = torch.tensor(np.asarray(hidden @ kernel + bias))
        theirs = torch.nn.functional.cross_entropy(
            z, torch.tensor(np.asarray(labels)).long(), reduction="none", label_smoothing=0.2
        )
        ours = linear_softmax_cross_entropy(
            hidden, kernel, labels, bias=bias, label_smoothing=0.2, ignore_label=-100
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


class TestLinearSoftmaxCrossEntropySum:
    def test_is_the_sum_of_the_losses(self):
        hidden, kernel, bias, weights, labels = make(9, 4, 6, jnp.float32)
        each = linear_softmax_cross_entropy(hidden, kernel, labels, bias=bias)
        f = functools.partial(linear_softmax_cross_entropy_sum, hidden, kernel, labels, bias=bias)
        np.testing.assert_allclose(f(), each.sum(), rtol=1e-6)
        np.testing.assert_allclose(f(weights=weights), (weights * each).sum(), rtol=1e-5)
        by_weights = jax.grad(lambda w: f(weights=w))(weights)
        np.testing.assert_allclose(by_weights, each, rtol=1e-6)


TOKENS, FEATURES, CLASSES = 512, 32, 4096


def compiled(f, argnums):
    """Its program for 512 tokens × 32 features × 4096 classes, forward and backward."""
    arrays = (
        jax.ShapeDtypeStruct((TOKENS, FEATURES), jnp.float32),
        jax.ShapeDtypeStruct((FEATURES, CLASSES), jnp.float32),
    )
    labels = jax.ShapeDtypeStruct((TOKENS,), jnp.int32)
    return jax.jit(jax.value_and_grad(f, argnums)).lower(*arrays, labels).compile()


class TestWhatItCosts:
    """In memory and in products; the time is for the benchmark to say."""

    @pytest.mark.parametrize("f", FUNCTIONS)
    @pytest.mark.parametrize("options", [{}, {"ignore_label": -1, **OPTIONS}], ids=["bare", "all"])
    def test_never_holds_all_the_logits(self, f, options):
        """With chunks of 1/16 of the tokens: at most 1/8 of what the plain form holds."""

        def theirs(hidden, kernel, labels):
            return softmax_cross_entropy_with_integer_labels(hidden @ kernel, labels).mean()

        ours = compiled(lambda *a: f(*a, chunk=TOKENS // 16, **options).mean(), (0, 1))
        plain_bytes = compiled(theirs, (0, 1)).memory_analysis().temp_size_in_bytes
        assert plain_bytes >= 2 * TOKENS * CLASSES * 4
        assert ours.memory_analysis().temp_size_in_bytes <= plain_bytes / 8
        assert f"[{TOKENS},{CLASSES}]" not in ours.as_text()

    @pytest.mark.parametrize(
        ("f", "argnums", "products"),
        [
            (linear_softmax_cross_entropy, (0, 1), 4),
            (linear_softmax_cross_entropy_sum, (0, 1), 3),
            (linear_softmax_cross_entropy_sum, 0, 2),
            (linear_softmax_cross_entropy_sum, 1, 2),
        ],
    )
    def test_products(self, f, argnums, products):
        """The sum forms the logits once, and no gradient that is not asked for."""
        text = compiled(lambda *a: f(*a, chunk=64).mean(), argnums).as_text()
        found = re.findall(r" = f32\[\S+ dot\(", text)
        assert len(found) == products
