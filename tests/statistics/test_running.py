"""fnmath.statistics, running moments: batch by batch, merged, across devices, one by one."""

import functools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import PartitionSpec

from fnmath.statistics import (
    exponential_average_init,
    exponential_average_update,
    moments_init,
    moments_kurtosis,
    moments_merge,
    moments_psum,
    moments_skewness,
    moments_update,
    moments_variance,
    variance,
)
from tests.helpers import Mistake, assert_derivatives, assert_gradient, assert_transforms

random = np.random.default_rng(2)
empty = moments_init(jnp.zeros(()))
vectors = moments_init(jnp.zeros(3))
average = exponential_average_init(jnp.zeros(2))
NO_MOMENTS = "is a float; wanted a Moments; did you mean moments_init(jnp.zeros(()))?"
MISTAKES = [
    Mistake(
        f,
        (jnp.zeros(2, int),),
        {},
        TypeError,
        f"{name}: like has dtype int32; wanted a floating dtype; "
        "did you mean like.astype(jnp.float32)?",
    )
    for name, f in [
        ("moments_init", moments_init),
        ("exponential_average_init", exponential_average_init),
    ]
]
MISTAKES += [
    Mistake(f, (0.5, *rest), {}, TypeError, f"{f.__name__}: {argument} {NO_MOMENTS}")
    for f, argument, rest in [
        (moments_update, "moments", (jnp.zeros(3),)),
        (moments_merge, "first", (empty,)),
        (moments_psum, "moments", ("devices",)),
        (moments_variance, "moments", ()),
        (moments_skewness, "moments", ()),
        (moments_kurtosis, "moments", ()),
    ]
]
MISTAKES += [
    Mistake(
        moments_variance,
        (empty,),
        {"ddof": -1},
        ValueError,
        "moments_variance: ddof is -1; wanted a number in [0, inf)",
    ),
    Mistake(
        moments_variance,
        (empty._replace(rests=None),),
        {},
        TypeError,
        "moments_variance: moments.rests is a NoneType; wanted a tuple of 6 arrays",
    ),
    Mistake(
        moments_kurtosis,
        (empty,),
        {"fisher": 1},
        TypeError,
        "moments_kurtosis: fisher is 1 (int); wanted True or False",
    ),
    Mistake(
        moments_psum,
        (empty, 1),
        {},
        TypeError,
        "moments_psum: axis_name is 1 (int); wanted a string",
    ),
    Mistake(
        moments_merge,
        (empty, vectors),
        {},
        ValueError,
        "moments_merge: first () and second (3,) must have one shape",
    ),
    Mistake(
        moments_update,
        (vectors, jnp.zeros(3)),
        {},
        ValueError,
        "moments_update: x has shape (3,); wanted (n, 3); did you mean x[None]?",
    ),
    Mistake(
        moments_update,
        (empty, jnp.zeros((2, 3))),
        {},
        ValueError,
        "moments_update: x has shape (2, 3); wanted (n,)",
    ),
    Mistake(
        moments_update,
        (vectors, jnp.zeros((2, 3))),
        {"weights": jnp.zeros(2)},
        ValueError,
        "moments_update: weights (2,) must broadcast to x (2, 3); did you mean weights[:, None]?",
    ),
    Mistake(
        moments_update,
        (vectors, jnp.zeros((2, 3), int)),
        {},
        TypeError,
        "moments_update: x has dtype int32; wanted a floating dtype; "
        "did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        exponential_average_update,
        (0.5, jnp.zeros(2)),
        {"decay": 0.5},
        TypeError,
        "exponential_average_update: average is a float; wanted a Average; "
        "did you mean exponential_average_init(x)?",
    ),
    Mistake(
        exponential_average_update,
        (average, jnp.zeros(3)),
        {"decay": 0.5},
        ValueError,
        "exponential_average_update: average (2,) and x (3,) must have one shape",
    ),
    Mistake(
        exponential_average_update,
        (average, jnp.zeros(2)),
        {"decay": 1.0},
        ValueError,
        "exponential_average_update: decay is 1.0; wanted a number in [0, 1)",
    ),
    Mistake(
        exponential_average_update,
        (average, jnp.zeros(2)),
        {"decay": jnp.zeros(2)},
        ValueError,
        "exponential_average_update: decay has shape (2,); wanted exactly 0 axes, ()",
    ),
]


def over_batches(x, batch, weights=None):
    """The moments of x, batch by batch in a scan."""
    batches = x.reshape(-1, batch, *x.shape[1:])
    w = jnp.ones_like(batches) if weights is None else weights.reshape(batches.shape)

    def step(moments, xw):
        return moments_update(moments, xw[0], weights=xw[1]), None

    return jax.lax.scan(step, moments_init(x[0]), (batches, w))[0]


def assert_moments(moments, x, rtol):
    """The moments are those of x in double precision."""
    x = np.asarray(x, np.float64)
    np.testing.assert_allclose(moments.weight, len(x))
    np.testing.assert_allclose(moments.mean, x.mean(0), rtol)
    np.testing.assert_allclose(moments_variance(moments), x.var(0), rtol)
    np.testing.assert_allclose(moments_variance(moments, ddof=1), x.var(0, ddof=1), rtol)
    skew, kurtosis = scipy.stats.skew(x), scipy.stats.kurtosis(x)
    np.testing.assert_allclose(moments_skewness(moments), skew, 10 * rtol, 10 * rtol)
    np.testing.assert_allclose(moments_kurtosis(moments), kurtosis, 10 * rtol, 10 * rtol)
    plain = moments_kurtosis(moments, fisher=False)
    np.testing.assert_allclose(plain, kurtosis + 3, 10 * rtol)


class TestMoments:
    @pytest.mark.parametrize("batch", [1, 4, 120])
    @pytest.mark.parametrize("far", [0.0, 1e4])
    def test_reference(self, batch, far):
        x = jnp.float32(random.gamma(2.0, size=(120, 3)) + far)
        assert_moments(over_batches(x, batch), x, 1e-6)

    @pytest.mark.usefixtures("x64")
    def test_reference_in_double_precision(self):
        x = jnp.asarray(random.gamma(2.0, size=120))
        assert_moments(over_batches(x, 5), x, 1e-13)

    @pytest.mark.usefixtures("x64")
    def test_reference_with_weights(self):
        x, w = random.standard_normal(20), random.uniform(0, 2, 20)
        moments = over_batches(jnp.asarray(x), 5, jnp.asarray(w))
        np.testing.assert_allclose(moments.weight, w.sum())
        for ddof in (0, 1):
            theirs = variance(jnp.asarray(x), weights=jnp.asarray(w), ddof=ddof)
            np.testing.assert_allclose(moments_variance(moments, ddof=ddof), theirs, 1e-12)

    @pytest.mark.last_digits
    @pytest.mark.parametrize("batch", [10**3, 10**6])
    def test_ten_million_numbers_far_from_zero(self, batch):
        """At mean 10⁴ and variance 1, in float32, batch by batch."""
        x = np.float32(np.random.default_rng(5).standard_normal(10**7) + 1e4)
        moments = jax.jit(functools.partial(over_batches, batch=batch))(jnp.asarray(x))
        assert abs(float(moments_variance(moments)) / np.var(np.float64(x)) - 1) < 1e-6
        assert abs(float(moments.mean) - np.mean(np.float64(x))) < 6e-4  # half a last place

    @pytest.mark.slow
    @pytest.mark.last_digits
    def test_ten_million_numbers_one_by_one(self):
        x = np.float32(np.random.default_rng(5).standard_normal(10**7) + 1e4)
        moments = jax.jit(functools.partial(over_batches, batch=1))(jnp.asarray(x))
        assert abs(float(moments_variance(moments)) / np.var(np.float64(x)) - 1) < 1e-6
        assert float(moments.weight) == 1e7

    @pytest.mark.slow
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.integers(0, 12), st.integers(0, 12))
    def test_law_merging_is_adding(self, i, j):
        """In any order and any pieces, of which some are empty."""
        i, j = sorted((i, j))
        x = jnp.float32(np.random.default_rng(3).gamma(2.0, size=12) + 100)
        a, b, c = (moments_update(empty, part) for part in (x[:i], x[i:j], x[j:]))
        for together in [
            moments_merge(moments_merge(a, b), c),
            moments_merge(c, moments_merge(b, a)),
        ]:
            assert_moments(together, x, 1e-6)

    def test_across_shards(self):
        x = jnp.float32(random.gamma(2.0, size=(4, 30)) + 1e4)

        def of_all(shard):
            return moments_psum(moments_update(empty, shard), "devices")

        everywhere = jax.vmap(of_all, axis_name="devices")(x)
        for device in range(4):
            assert_moments(jax.tree.map(lambda a, i=device: a[i], everywhere), x.ravel(), 1e-6)
        mesh = jax.make_mesh((1,), ("devices",), axis_types=(jax.sharding.AxisType.Auto,))
        on_mesh = jax.shard_map(
            lambda x: of_all(x[0]),
            mesh=mesh,
            in_specs=PartitionSpec("devices"),
            out_specs=PartitionSpec(),
        )
        assert_moments(jax.jit(on_mesh)(x[:1]), x[0], 1e-6)

    def test_four_devices(self):
        """In a process of its own, for the number of devices is fixed when JAX starts."""
        command = [sys.executable, "-c", FOUR_DEVICES]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout.strip() == "equal", done.stderr

    def test_across_shards_of_which_one_is_empty(self):
        x = jnp.float32(random.gamma(2.0, size=(2, 30)) + 1e4)
        w = jnp.ones((2, 30)).at[1].set(0)

        def of_all(shard, w):
            return moments_psum(moments_update(empty, shard, weights=w), ("devices",))

        everywhere = jax.vmap(of_all, axis_name="devices")(x, w)
        assert_moments(jax.tree.map(lambda a: a[1], everywhere), x[0], 1e-6)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        x = jnp.asarray(random.standard_normal((6, 2)))
        state = moments_init(x[0])

        def second(x):
            return moments_update(moments_update(state, x[:2]), x[2:]).second

        assert_gradient(second, lambda x: 2 * (x - x.mean(0)), x)

        def everything(x):
            moments = moments_update(moments_update(state, x[:2]), x[2:])
            return moments_variance(moments), moments_skewness(moments), moments_kurtosis(moments)

        assert_derivatives(everything, x)

    def test_transforms(self):
        x = jnp.float32(random.standard_normal((5, 2)))
        assert_transforms(lambda m, x: moments_update(m, x), moments_init(x[0]), x)

    def test_edges(self):
        for f in (moments_variance, moments_skewness, moments_kurtosis):
            assert jnp.isnan(f(empty))
        assert moments_update(vectors, jnp.zeros((0, 3))) is vectors
        one = moments_update(empty, jnp.ones(1))
        assert moments_variance(one) == 0
        assert jnp.isnan(moments_variance(one, ddof=1))
        assert jnp.isnan(moments_update(empty, jnp.ones(2), weights=jnp.array([1.0, -1])).mean)
        merged = moments_merge(empty, empty)
        assert merged.mean == 0
        assert merged.weight == 0
        half = moments_init(jnp.zeros((), jnp.bfloat16))
        assert half.mean.dtype == jnp.float32
        assert moments_update(half, jnp.ones(3, jnp.bfloat16)).mean.dtype == jnp.float32


class TestAverage:
    @pytest.mark.parametrize("decay", [0.0, 0.9, 0.999])
    def test_agrees_with_optax(self, decay):
        xs = jnp.float32(random.standard_normal((10, 2)))
        theirs = optax.ema(decay)
        state, ours = theirs.init(xs[0]), exponential_average_init(xs[0])
        for x in xs:
            expected, state = theirs.update(x, state)
            ours = exponential_average_update(ours, x, decay=decay)
            np.testing.assert_allclose(ours.mean, expected, rtol=3e-5, atol=1e-6)

    @pytest.mark.usefixtures("x64")
    def test_reference_with_a_decay_that_changes(self):
        xs, decays = random.standard_normal(6), random.uniform(0.1, 0.9, 6)
        weights = np.array([(1 - decays[i]) * np.prod(decays[i + 1 :]) for i in range(6)])
        average = exponential_average_init(jnp.zeros(()))
        for x, decay in zip(xs, decays, strict=True):
            average = exponential_average_update(average, jnp.asarray(x), decay=jnp.asarray(decay))
        np.testing.assert_allclose(average.mean, np.average(xs, weights=weights), rtol=1e-12)

    def test_law_of_equal_values_it_is_that_value(self):
        average = exponential_average_init(jnp.zeros(()))
        for _ in range(20):
            average = exponential_average_update(average, jnp.asarray(0.1), decay=0.9999)
            assert average.mean == jnp.float32(0.1)

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        average = exponential_average_update(
            exponential_average_init(jnp.zeros(3)), jnp.ones(3), decay=0.9
        )

        def gradient(x, average):
            return jnp.full(3, 0.1 / 0.19)

        def f(x, average):
            return exponential_average_update(average, x, decay=0.9).mean

        assert_gradient(f, gradient, jnp.arange(3.0), average)

    def test_transforms_and_edges(self):
        def f(average, x):
            return exponential_average_update(average, x, decay=0.9)

        assert_transforms(f, average, jnp.array([1.0, 2.0]))
        for decay in (-0.1, 1.0, jnp.nan):
            outside = exponential_average_update(average, jnp.ones(2), decay=jnp.asarray(decay))
            assert jnp.isnan(outside.mean).all()
        half = exponential_average_init(jnp.zeros(2, jnp.bfloat16))
        assert f(half, jnp.ones(2, jnp.bfloat16)).mean.dtype == jnp.float32


FOUR_DEVICES = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, PartitionSpec as P
jax.config.update("jax_num_cpu_devices", 4)
from fnmath.statistics import moments_init, moments_psum, moments_update, moments_variance

x = np.float32(np.random.default_rng(0).normal(1e4, 1, (4, 25_000)))
x[3] += 5  # each device has a mean of its own
mesh = jax.make_mesh((4,), ("devices",), axis_types=(AxisType.Auto,))

def of_all(x):
    return moments_psum(moments_update(moments_init(jnp.zeros(())), x[0]), "devices")

spread = jax.jit(jax.shard_map(of_all, mesh=mesh, in_specs=P("devices"), out_specs=P()))
assert len(jax.devices()) == 4
np.testing.assert_allclose(moments_variance(spread(x)), x.var(dtype=np.float64), rtol=1e-6)
print("equal")
"""
