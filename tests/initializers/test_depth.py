"""fnmath.initializers.depth: what theory expects of deep stacks, and what is measured in them."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnmath.activations import relu
from fnmath.initializers import (
    calculate_gain,
    glorot_normal,
    he_normal,
    lecun_normal,
    lsuv,
    measure_variances,
    predict_variances,
    variance_scaling,
)
from tests.helpers import Mistake
from tests.initializers.arguments import KEY

x, W = jnp.ones((4, 3)), jnp.ones((3, 3))


def linear(params, z):
    return z @ params


def after(activation):
    return lambda kernel, z: activation(z) @ kernel


def mistakes_of_stacks(function):
    name = function.__name__
    rows = [
        (
            (0, [linear], [W], x), TypeError,
            "key is a int; wanted a random key; did you mean jax.random.key(0)?",
        ),
        (
            (KEY, linear, [W], x), TypeError,
            "layers is a function; wanted a tuple, one entry a layer; did you mean (layers,)?",
        ),
        ((KEY, ["dense"], [W], x), TypeError, "layers[0] is a str; wanted a function"),
        (
            (KEY, [linear], [W, W], x), ValueError,
            "there are 1 layers and 2 entries of params; wanted as many, and one at least",
        ),
        (
            (KEY, [linear], [{"kernel": W.astype(int)}], x), TypeError,
            "params[0]['kernel'] has dtype int32; wanted a floating dtype; "
            "did you mean params[0]['kernel'].astype(jnp.float32)?",
        ),
        (
            (KEY, [linear], [W], x[:0]), ValueError,
            "x has shape (0, 3); wanted at least one number",
        ),
        (
            (KEY, [lambda p, z: (z, z)], [W], x), TypeError,
            "the output of layers[0] is a tuple; wanted an array; "
            "did you mean jnp.asarray(the output of layers[0])?",
        ),
    ]  # fmt: skip
    return [Mistake(function, args, {}, error, f"{name}: {text}") for args, error, text in rows]


MISTAKES = [
    *mistakes_of_stacks(measure_variances),
    *mistakes_of_stacks(lsuv),
    Mistake(
        lsuv, (KEY, [linear], [W], x), {"iterations": 0}, ValueError,
        "lsuv: iterations is 0; wanted an integer of at least 1",
    ),
    Mistake(
        predict_variances, ("relu", 3), {}, TypeError,
        "predict_variances: activation is a str; wanted a function",
    ),
    Mistake(
        predict_variances, (relu, 0), {}, ValueError,
        "predict_variances: depth is 0; wanted an integer of at least 1",
    ),
    Mistake(
        predict_variances, (relu, 3), {"weight_variance": -1.0}, ValueError,
        "predict_variances: weight_variance is -1.0; wanted a number in [0, inf)",
    ),
    Mistake(
        predict_variances, (relu, 3), {"bias_variance": jnp.ones(2)}, ValueError,
        "predict_variances: bias_variance has shape (2,); wanted one number",
    ),
    Mistake(
        predict_variances, (relu, 3), {"input_variance": "1"}, TypeError,
        "predict_variances: input_variance is '1' (str); wanted a number",
    ),
    Mistake(
        predict_variances, (jnp.sum, 3), {}, ValueError,
        "predict_variances: activation(x) has shape () for x of shape (768,); "
        "wanted an elementwise function",
    ),
]  # fmt: skip


class TestPredicted:
    def test_relu_in_closed_form(self):
        """E f² = ½ q and E f′² = ½: He's 2 keeps both, 1 halves both in each of fifty layers."""
        he = predict_variances(relu, 50, weight_variance=2.0, input_variance=3.0)
        np.testing.assert_allclose(he.signal, 3 * np.ones(51), rtol=1e-5)
        np.testing.assert_allclose(he.gradient, np.ones(51), rtol=1e-5)
        glorot = predict_variances(relu, 50)
        np.testing.assert_allclose(glorot.signal, 0.5 ** np.arange(51), rtol=1e-5)
        np.testing.assert_allclose(glorot.gradient, 0.5 ** np.arange(50, -1, -1), rtol=1e-5)

    @pytest.mark.usefixtures("x64")
    def test_reference_gauss_hermite(self):
        """The recursion of tanh, whose expectations a rule of 200 points gives to 10 digits."""
        z, weights = np.polynomial.hermite_e.hermegauss(200)
        weights = weights / weights.sum()
        q, chi, expected = 0.7, [], [0.7]
        for _ in range(6):
            chi.append(2.25 * np.sum(weights * (1 - np.tanh(np.sqrt(q) * z) ** 2) ** 2))
            q = 2.25 * np.sum(weights * np.tanh(np.sqrt(q) * z) ** 2) + 0.1
            expected.append(q)
        ours = predict_variances(
            jnp.tanh, 6, weight_variance=2.25, bias_variance=0.1, input_variance=0.7
        )
        np.testing.assert_allclose(ours.signal, expected, rtol=1e-10)
        gradient = np.cumprod([1, *chi[::-1]])[::-1]
        np.testing.assert_allclose(ours.gradient, gradient, rtol=1e-10)

    def test_law_the_gain_is_a_fixed_point(self):
        for f in (jnp.tanh, jax.nn.sigmoid, jax.nn.gelu):
            kept = predict_variances(f, 10, weight_variance=calculate_gain(f) ** 2)
            np.testing.assert_allclose(kept.signal, np.ones(11), rtol=1e-5)

    def test_law_torch_s_tanh_settles_at_another(self):
        settled = predict_variances(jnp.tanh, 50, weight_variance=(5 / 3) ** 2)
        np.testing.assert_allclose(settled.signal[-10:], 1.178, rtol=1e-3)

    def test_transforms(self):
        """Several variances by vmap, and the derivative of the last by the first: 2⁻³ for 1."""

        def last(variance):
            return predict_variances(relu, 3, input_variance=variance).signal[-1]

        many = jax.jit(jax.vmap(jax.value_and_grad(last)))(jnp.array([1.0, 4.0]))
        np.testing.assert_allclose(many, [[0.125, 0.5], [0.125, 0.125]], rtol=1e-5)

    def test_edges(self):
        silent = predict_variances(jnp.zeros_like, 2, bias_variance=0.5)
        np.testing.assert_array_equal(silent.signal, [1, 0.5, 0.5])
        np.testing.assert_array_equal(silent.gradient, [0, 0, 1])
        assert jnp.isnan(predict_variances(jnp.log, 1).signal[1])


def measured(init, activation, width, depth, seed):
    keys = jax.random.split(jax.random.key(seed), depth + 2)
    kernels = list(jax.vmap(lambda k: init(k, (width, width)))(keys[:depth]))
    z = jax.random.normal(keys[-2], (16, width))
    return measure_variances(keys[-1], [after(activation)] * depth, kernels, z)


def relu_scatter(layers, width):
    """Mean and deviation of log Πₗ(1 + εₗ), where the relative variance of each factor is 5/n."""
    return -2.5 * layers / width, math.sqrt(5 * layers / width)


class TestMeasured:
    @pytest.mark.slow
    @pytest.mark.parametrize(("init", "variance"), [(he_normal(), 2.0), (glorot_normal(), 1.0)])
    def test_fifty_layers_of_relu(self, init, variance):
        """Kept under He, 2⁻⁵⁰ under Glorot, forward and backward, within four deviations.

        Of a width of 512 the logarithm scatters by √(5 · 50/512) = 0.70 about its mean; 2⁻⁵⁰ is
        fifty deviations away from 1.
        """
        depth, width = 50, 512
        predicted = predict_variances(relu, depth, weight_variance=variance)
        ours = measured(init, relu, width, depth, seed=1)
        for layers in (10, 25, 50):
            mean, deviation = relu_scatter(layers, width)
            forward = jnp.log(ours.signal[layers] / predicted.signal[layers])
            backward = jnp.log(ours.gradient[-1 - layers] / predicted.gradient[-1 - layers])
            assert abs(forward - mean) < 4 * deviation
            assert abs(backward - mean) < 4 * deviation
        assert abs(jnp.log2(ours.signal[50]) - 50 * math.log2(variance / 2)) < 5

    @pytest.mark.slow
    @pytest.mark.parametrize("variance", [1.0, calculate_gain(jnp.tanh) ** 2, 4.0])
    def test_twenty_layers_of_tanh(self, variance):
        """Signal within 10 %, gradient within a factor of 1.5: it vanishes, or explodes beyond 2.

        A layer of width 512 scatters by √(2/512) = 6 % in the signal, which the next draws back to
        the fixed point; the gradient adds up twenty layers of it and more, √20 · 8 % = 36 %.
        """
        init = variance_scaling(variance, "fan_in", "normal")
        ours = measured(init, jnp.tanh, 512, 20, seed=2)
        predicted = predict_variances(jnp.tanh, 20, weight_variance=variance)
        np.testing.assert_allclose(ours.signal, predicted.signal, rtol=0.2)
        assert jnp.abs(jnp.log(ours.gradient / predicted.gradient)).max() < 4 * 0.36

    def test_definition(self):
        """Against the sums written out, for layers of unlike widths."""
        kernels = [jnp.ones((3, 2)), 2 * jnp.ones((2, 5))]
        z = jax.random.normal(KEY, (4, 3))
        ours = measure_variances(KEY, [linear, linear], kernels, z)
        z1, z2 = z @ kernels[0], z @ kernels[0] @ kernels[1]
        np.testing.assert_allclose(ours.signal, [jnp.mean(a**2) for a in (z, z1, z2)], rtol=1e-6)
        top = jax.random.normal(KEY, (4, 5))
        back = [top @ kernels[1].T @ kernels[0].T, top @ kernels[1].T, top]
        expected = jnp.array([jnp.mean(a**2) for a in back]) / jnp.mean(top**2)
        np.testing.assert_allclose(ours.gradient, expected, rtol=1e-5)

    def test_transforms(self):
        z = jax.random.normal(KEY, (4, 3))
        measure = lambda w: measure_variances(KEY, (linear, after(relu)), (w, w), z)  # noqa: E731
        plain, compiled = measure(W), jax.jit(measure)(W)
        np.testing.assert_allclose(compiled.signal, plain.signal, rtol=1e-6)
        np.testing.assert_allclose(compiled.gradient, plain.gradient, rtol=1e-6)

    def test_half_precision_is_measured_in_single(self):
        z = jnp.full((4, 3), 3e4, jnp.float16)
        ours = measure_variances(KEY, [lambda p, z: z], [W], z)
        np.testing.assert_allclose(ours.signal, [9e8, 9e8], rtol=1e-3)


class TestLsuv:
    @pytest.mark.slow
    def test_law_unit_variance_everywhere(self):
        """Whatever the activation and the input; kernels stay orthogonal up to their scale."""
        layers = [linear, after(jnp.tanh), after(relu)]
        shapes = [(20, 30), (30, 10), (10, 10)]
        params = [jnp.zeros(shape) for shape in shapes]
        z = 5 + 100 * jax.random.normal(KEY, (64, 20))
        kernels = jax.jit(lambda z: lsuv(KEY, layers, params, z))(z)
        for layer, kernel, shape in zip(layers, kernels, shapes, strict=True):
            assert kernel.shape == shape
            z = layer(kernel, z)
            np.testing.assert_allclose(z.var(), 1, rtol=1e-4)
            gram = kernel @ kernel.T if shape[0] < shape[1] else kernel.T @ kernel
            np.testing.assert_allclose(gram / gram[0, 0], np.eye(len(gram)), atol=1e-5)

    @pytest.mark.slow
    def test_biases_stay_and_iterations_approach(self):
        """What is not linear in the kernel does not reach 1 at once; biases are no kernels."""
        bias = jnp.full(3, 0.5)
        params = [{"kernel": W, "bias": bias}]
        layer = lambda p, z: 3 * jnp.tanh(z @ p["kernel"] + p["bias"])  # noqa: E731
        z = jax.random.normal(KEY, (64, 3))
        once, often = (lsuv(KEY, [layer], params, z, iterations=n)[0] for n in (1, 30))
        np.testing.assert_array_equal(once["bias"], bias)
        wrong, right = (abs(layer(p, z).var() - 1) for p in (once, often))
        assert right < 1e-3 < wrong

    def test_convolution(self):
        def layer(kernel, z):
            return jax.lax.conv(relu(z), kernel.transpose(3, 2, 0, 1), (1, 1), "SAME")

        z = jax.random.normal(KEY, (2, 3, 6, 6))
        (kernel,) = lsuv(KEY, [layer], [jnp.zeros((3, 3, 3, 8))], z)
        np.testing.assert_allclose(layer(kernel, z).var(), 1, rtol=1e-5)

    def test_transforms(self):
        z = jax.random.normal(KEY, (8, 3))
        draw = lambda z: lsuv(KEY, (linear,), (W,), z)[0]  # noqa: E731
        np.testing.assert_allclose(jax.jit(draw)(z), draw(z), rtol=1e-4, atol=1e-6)
        many = jax.vmap(draw)(jnp.stack([z, 2 * z]))
        np.testing.assert_allclose(many[0], 2 * many[1], rtol=1e-4, atol=1e-6)

    def test_edges(self):
        """Outputs that do not vary leave the orthogonal kernel; dtypes are kept."""
        (kernel,) = lsuv(KEY, [linear], [W], jnp.zeros((4, 3)))
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(3), atol=1e-6)
        half = lsuv(KEY, [linear], [W.astype(jnp.bfloat16)], x.astype(jnp.bfloat16))
        assert half[0].dtype == jnp.bfloat16
        assert jnp.isnan(lsuv(KEY, [linear], [W], x.at[0, 0].set(jnp.nan))[0]).all()


class TestWhatGlorotIsFor:
    @pytest.mark.slow
    def test_lecun_keeps_linear_layers(self):
        ours = measured(lecun_normal(), lambda z: z, 512, 10, seed=3)
        np.testing.assert_allclose(ours.signal, np.ones(11), rtol=4 * math.sqrt(2 * 10 / 512))
