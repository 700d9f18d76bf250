"""fnmath.statistics, quantiles: against NumPy, by every definition, weighted, in both modes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fnmath.statistics import median, quantile
from tests.helpers import Mistake, assert_derivatives, assert_transforms, assert_within_ulp

random = np.random.default_rng(1)
METHODS = ["linear", "inverted_cdf", "averaged_inverted_cdf"]
x = jnp.ones((4, 3))
MISTAKES = [
    mistake
    for name, f, q in [("quantile", quantile, (0.5,)), ("median", median, ())]
    for mistake in [
        Mistake(
            f,
            (x.astype(int), *q),
            {},
            TypeError,
            f"{name}: x has dtype int32; wanted a floating dtype; "
            "did you mean x.astype(jnp.float32)?",
        ),
        Mistake(
            f,
            (x, *q),
            {"axis": 2},
            ValueError,
            f"{name}: axis is 2; wanted an axis of the shape (4, 3)",
        ),
        Mistake(
            f,
            (jnp.zeros((2, 0)), *q),
            {"axis": 1},
            ValueError,
            f"{name}: x (2, 0) has no entries along axis 1",
        ),
    ]
] + [
    Mistake(
        quantile,
        (x, 1.5),
        {},
        ValueError,
        "quantile: q is 1.5; wanted a number in [0, 1]",
    ),
    Mistake(
        quantile,
        (x, jnp.array([0, 1])),
        {},
        TypeError,
        "quantile: q has dtype int32; wanted a floating dtype; did you mean q.astype(jnp.float32)?",
    ),
    Mistake(
        quantile,
        (x, 0.5),
        {"method": "nearest"},
        ValueError,
        "quantile: method is 'nearest'; wanted one of 'linear', 'inverted_cdf', "
        "'averaged_inverted_cdf'",
    ),
    Mistake(
        quantile,
        (x, 0.5),
        {"weights": x},
        ValueError,
        "quantile: method is 'linear' beside weights; wanted 'inverted_cdf' or "
        "'averaged_inverted_cdf'",
    ),
    Mistake(
        median,
        (x,),
        {"weights": jnp.ones(2)},
        ValueError,
        "median: weights (2,) must broadcast to x (4, 3)",
    ),
]


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_agrees_with_numpy(method, n):
    x = random.standard_normal((3, n))
    for q in (0.0, 0.1, 0.25, 0.5, 0.9, 1.0):
        ours = quantile(jnp.asarray(x), q, axis=1, method=method)
        np.testing.assert_allclose(ours, np.quantile(x, q, axis=1, method=method), 1e-14)
    q = jnp.linspace(0, 1, 31).reshape(1, 31)
    ours = jax.jit(functools.partial(quantile, axis=1, method=method))(jnp.asarray(x), q)
    assert ours.shape == (1, 31, 3)
    np.testing.assert_allclose(ours, np.quantile(x, q, axis=1, method=method), 1e-12)


@pytest.mark.usefixtures("x64")
def test_agrees_with_numpy_on_axes():
    x = random.standard_normal((3, 4, 5))
    for axis in [0, -1, (0, 2), (2, 1), None]:
        ours = quantile(jnp.asarray(x), jnp.array([0.2, 0.7]), axis=axis)
        np.testing.assert_allclose(ours, np.quantile(x, [0.2, 0.7], axis=axis), 1e-13)
        np.testing.assert_allclose(median(jnp.asarray(x), axis=axis), np.median(x, axis=axis))


@pytest.mark.usefixtures("x64")
def test_agrees_with_numpy_on_weights():
    x, w = random.standard_normal((3, 8)), random.integers(0, 4, 8).astype(float)
    q = jnp.linspace(0, 1, 23)
    options = {"axis": 1, "weights": w, "method": "inverted_cdf"}
    ours = quantile(jnp.asarray(x), q, **{**options, "weights": jnp.asarray(w)})
    np.testing.assert_array_equal(ours, np.quantile(x, q, **options))


@pytest.mark.last_digits
def test_a_million_numbers_keep_the_digits_of_the_fraction():
    x = np.arange(10**6, dtype=np.float32) % 1000  # neighbours differ wherever they are
    x = np.sort(x + np.arange(10**6, dtype=np.float32) * 1e-6)
    for q in (0.123456, 0.9):
        assert_within_ulp(quantile(jnp.asarray(x), q), np.quantile(np.float64(x), q), 1)
        as_array = np.float32(q)
        ours = jax.jit(quantile)(jnp.asarray(x), jnp.asarray(as_array))
        assert_within_ulp(ours, np.quantile(np.float64(x), np.float64(as_array)), 1)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    arrays(np.float32, 7, elements=st.floats(-100, 100, width=32)),
    arrays(np.int32, 7, elements=st.integers(0, 3)),
)
def test_law_a_whole_weight_is_a_number_so_many_times(x, w):
    if not w.sum():
        w = w + 1
    repeated = np.repeat(x, w)
    x, weights = jnp.asarray(x), jnp.float32(w)
    np.testing.assert_allclose(median(x, weights=weights), np.median(repeated), rtol=1e-6)
    for method in METHODS[1:]:
        ours = quantile(x, 0.3, weights=weights, method=method)
        np.testing.assert_allclose(ours, np.quantile(repeated, 0.3, method=method), rtol=1e-6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(arrays(np.float32, 6, elements=st.floats(width=32, allow_nan=False)))
def test_law_quantiles_lie_in_order_between_least_and_largest(x):
    q = jnp.linspace(0, 1, 13)
    values = np.asarray(quantile(jnp.asarray(x), q))
    assert not np.isnan(values).any()
    assert (values[1:] >= values[:-1]).all()
    assert values[0] == x.min()
    assert values[-1] == x.max()


@pytest.mark.usefixtures("x64")
def test_gradient():
    x = jnp.array([3.0, 1.0, 2.0, 7.0, 5.0])
    for derivative in (jax.grad, jax.jacfwd):
        slope = derivative(quantile, (0, 1))(x, jnp.asarray(0.4))  # 1.6 steps from the least
        np.testing.assert_allclose(slope[0], [0.6, 0, 0.4, 0, 0], atol=1e-15)
        np.testing.assert_allclose(slope[1], 4 * (3 - 2), rtol=1e-14)
        np.testing.assert_array_equal(derivative(median)(x[:4]), [0.5, 0, 0.5, 0])
        w = jnp.array([1.0, 1, 1, 1, 5])
        np.testing.assert_array_equal(derivative(median)(x, weights=w), [0, 0, 0, 0, 1])
        by_weights = derivative(lambda w: median(x, weights=w))(w)
        assert (by_weights == 0).all()
    assert_derivatives(quantile, x, jnp.asarray([0.15, 0.4]))


@pytest.mark.parametrize("method", METHODS)
def test_transforms(method):
    def f(x, q):
        return quantile(x, q, axis=-1, method=method)

    assert_transforms(f, jnp.float32(random.standard_normal((2, 5))), jnp.array([0.3, 0.9]))


def test_edges():
    inf, nan = jnp.inf, jnp.nan
    assert jnp.isnan(quantile(jnp.array([1.0, nan, 2.0]), 0.0))
    assert jnp.isnan(median(jnp.array([1.0, nan])))
    x = jnp.array([-inf, 1.0, inf])
    assert quantile(x, jnp.array([0.0, 0.25, 0.5, 0.75, 1.0])).tolist() == [-inf, -inf, 1, inf, inf]
    assert median(jnp.array([inf, inf])) == inf
    assert median(jnp.array([-3e38, 3e38])) == 0
    np.testing.assert_allclose(quantile(jnp.array([-3e38, 3e38]), 0.75), 1.5e38, rtol=2e-7)
    q = jnp.array([-0.1, 1.1, nan])
    assert jnp.isnan(quantile(jnp.arange(3.0), q)).all()
    for w in ([1.0, -1.0, 1.0], [0.0, 0.0, 0.0], [nan, 1.0, 1.0]):
        assert jnp.isnan(jax.jit(median)(jnp.arange(3.0), weights=jnp.array(w)))
    assert median(jnp.arange(3.0), weights=jnp.array([0.0, 0.0, 2.0])) == 2
    assert quantile(jnp.ones(1), 0.7) == 1
    assert quantile(jnp.zeros((0, 3)), 0.5, axis=1).shape == (0,)
    assert median(jnp.arange(4.0).astype(jnp.bfloat16)).dtype == jnp.bfloat16
    assert quantile(jnp.arange(4.0).astype(jnp.bfloat16), 0.3).dtype == jnp.bfloat16
