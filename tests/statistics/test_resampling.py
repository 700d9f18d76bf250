"""fnmath.statistics, resampling: against SciPy on the same resamples, and by what they promise."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from scipy.stats import _resampling

from fnmath.statistics import (
    bootstrap_interval,
    difference_of_means,
    mean,
    permutation_test,
    standard_deviation,
    variance,
)
from tests.helpers import Mistake, assert_derivatives, assert_gradient, assert_transforms

random = np.random.default_rng(6)
key = jax.random.key(0)
x = jnp.float32(random.gamma(2.0, size=15))
y = jnp.float32(random.gamma(2.0, size=11))
MISTAKES = [
    Mistake(
        bootstrap_interval,
        (0, x, jnp.mean),
        {},
        TypeError,
        "bootstrap_interval: key is a int; wanted a random key; did you mean jax.random.key(0)?",
    ),
    Mistake(
        bootstrap_interval,
        (key, x[:1], jnp.mean),
        {},
        ValueError,
        "bootstrap_interval: x has shape (1,); wanted at least 2 observations",
    ),
    Mistake(
        bootstrap_interval,
        (key, x, "mean"),
        {},
        TypeError,
        "bootstrap_interval: statistic is a str; wanted a function",
    ),
    Mistake(
        bootstrap_interval,
        (key, x, jnp.argmax),
        {},
        TypeError,
        "bootstrap_interval: statistic returns int32; wanted a floating dtype",
    ),
    Mistake(
        bootstrap_interval,
        (key, x, lambda x: (x, x)),
        {},
        TypeError,
        "bootstrap_interval: statistic returns a tuple; wanted an array",
    ),
    Mistake(
        bootstrap_interval,
        (key, x, jnp.mean),
        {"level": 95},
        ValueError,
        "bootstrap_interval: level is 95; wanted a number in (0, 1)",
    ),
    Mistake(
        bootstrap_interval,
        (key, x, jnp.mean),
        {"resamples": 0},
        ValueError,
        "bootstrap_interval: resamples is 0; wanted an integer of at least 1",
    ),
    Mistake(
        bootstrap_interval,
        (key, x, jnp.mean),
        {"method": "basic"},
        ValueError,
        "bootstrap_interval: method is 'basic'; wanted one of 'bca', 'percentile'",
    ),
    Mistake(
        permutation_test,
        (key, x.astype(int), y),
        {},
        TypeError,
        "permutation_test: x has dtype int32; wanted a floating dtype; "
        "did you mean x.astype(jnp.float32)?",
    ),
    Mistake(
        permutation_test,
        (key, x, y[:, None]),
        {},
        ValueError,
        "permutation_test: x (15,) and y (11, 1) must have observations of one shape",
    ),
    Mistake(
        permutation_test,
        (key, x, y[:0]),
        {},
        ValueError,
        "permutation_test: y has shape (0,); wanted at least 1 observations",
    ),
    Mistake(
        permutation_test,
        (key, x, y),
        {"alternative": "more"},
        ValueError,
        "permutation_test: alternative is 'more'; wanted one of 'two-sided', 'less', 'greater'",
    ),
    Mistake(
        permutation_test,
        (key, x, y),
        {"batch": 1.5},
        TypeError,
        "permutation_test: batch is 1.5 (float); wanted an integer",
    ),
    Mistake(
        difference_of_means,
        (x, y[:, None]),
        {},
        ValueError,
        "difference_of_means: x (15,) and y (11, 1) must have observations of one shape",
    ),
    Mistake(
        difference_of_means,
        (x, y.astype(int)),
        {},
        TypeError,
        "difference_of_means: y has dtype int32; wanted a floating dtype; "
        "did you mean y.astype(jnp.float32)?",
    ),
]


def resamples(key, x, statistic, count):
    """The statistics of the resamples that ``bootstrap_interval`` draws."""
    n = len(x)
    keys = jax.random.split(key, count)
    indices = jax.vmap(lambda k: jax.random.randint(k, (n,), 0, n))(keys)
    return np.asarray(jax.vmap(statistic)(x[indices]))


class TestBootstrap:
    @pytest.mark.usefixtures("x64")
    @pytest.mark.parametrize("method", ["percentile", "bca"])
    @pytest.mark.parametrize("name", ["mean", "var", "std"])
    def test_agrees_with_scipy_on_the_same_resamples(self, method, name):
        x = jnp.asarray(np.random.default_rng(1).gamma(1.0, size=25))
        statistic = {"mean": mean, "var": variance, "std": standard_deviation}[name]
        for level in (0.9, 0.99):
            ours = bootstrap_interval(key, x, statistic, level=level, resamples=500, method=method)
            drawn = resamples(key, x, statistic, 500)
            known = _resampling.BootstrapResult(None, drawn, None)
            theirs = scipy.stats.bootstrap(
                (np.asarray(x),),
                getattr(np, name),
                confidence_level=level,
                n_resamples=0,
                method=method,
                bootstrap_result=known,
            ).confidence_interval
            np.testing.assert_allclose([ours.low, ours.high], theirs, rtol=1e-9)

    @pytest.mark.slow
    def test_law_intervals_cover_what_they_say(self):
        """Of 400 samples of 30 exponential numbers, about 90 in 100 for the mean 1."""
        samples = jax.random.exponential(key, (400, 30))
        keys = jax.random.split(jax.random.key(1), 400)

        @jax.jit
        def intervals(keys, samples):
            f = functools.partial(bootstrap_interval, statistic=jnp.mean, level=0.9, resamples=500)
            return jax.vmap(lambda key, x: f(key, x))(keys, samples)

        low, high = intervals(keys, samples)
        covered = float(((low < 1) & (high > 1)).mean())
        assert abs(covered - 0.9) < 0.05  # more than three standard errors

    def test_statistics_with_axes(self):
        pairs = jnp.float32(random.standard_normal((12, 2)))
        together = bootstrap_interval(key, pairs, lambda x: mean(x, axis=0), resamples=300)
        for j in range(2):
            alone = bootstrap_interval(key, pairs[:, j], mean, resamples=300)
            np.testing.assert_allclose([together.low[j], together.high[j]], alone, rtol=2e-5)

    @pytest.mark.slow
    @pytest.mark.usefixtures("x64")
    def test_derivatives(self):
        x = jnp.asarray(np.random.default_rng(2).gamma(2.0, size=8))
        for method in ("percentile", "bca"):
            f = functools.partial(
                bootstrap_interval, key, statistic=mean, resamples=50, method=method
            )
            assert_derivatives(lambda x, f=f: tuple(f(x)), x)

    def test_transforms_and_edges(self):
        f = functools.partial(bootstrap_interval, statistic=mean, resamples=99)
        assert_transforms(lambda key, x: tuple(f(key, x)), key, x, rtol=1e-5)
        constant = f(key, jnp.full(5, 0.1))
        assert constant.low == constant.high == jnp.float32(0.1)
        one_sided = bootstrap_interval(key, x, jnp.max, resamples=9)
        assert jnp.isfinite(one_sided.high) | jnp.isnan(one_sided.high)
        largest = bootstrap_interval(key, x, lambda x: jnp.sum(x) * 0 - len(x) % 2, resamples=9)
        assert largest.low == -1
        half = x.astype(jnp.bfloat16)
        assert f(key, half).low.dtype == jnp.bfloat16


class TestPermutations:
    @pytest.mark.parametrize("alternative", ["two-sided", "less", "greater"])
    def test_reference_all_divisions(self, alternative):
        """SciPy's, of all 252 divisions of ten numbers, within three standard errors."""
        a, b = x[:5], x[5:10] + 1
        ours = permutation_test(key, a, b, resamples=20_000, alternative=alternative, batch=2000)
        theirs = scipy.stats.permutation_test(
            (np.asarray(a), np.asarray(b)),
            lambda a, b: a.mean() - b.mean(),
            alternative=alternative,
            n_resamples=np.inf,
        )
        np.testing.assert_allclose(ours.statistic, theirs.statistic, rtol=1e-5)
        p = theirs.pvalue
        assert abs(ours.p_value - p) < 3 * 2 * np.sqrt(p * (1 - p) / 20_000) + 1e-4

    @pytest.mark.slow
    def test_law_p_values_are_exact_where_nothing_is_there(self):
        samples = jax.random.normal(key, (1000, 2, 6))
        keys = jax.random.split(jax.random.key(1), 1000)
        test = jax.jit(jax.vmap(lambda k, s: permutation_test(k, s[0], s[1], resamples=99).p_value))
        p = np.asarray(test(keys, samples))
        for level in (0.05, 0.2, 0.5):
            assert (p <= level).mean() < level + 3 * np.sqrt(level * (1 - level) / 1000)
        assert (p <= 0.2).mean() > 0.15

    @pytest.mark.usefixtures("x64")
    def test_gradient(self):
        a, b = jnp.asarray([1.0, 2.0]), jnp.asarray([3.0, 4.0, 8.0])

        def gradient(pair):
            return np.full(2, 1 / 2), np.full(3, -1 / 3)

        assert_gradient(lambda pair: difference_of_means(*pair), gradient, (a, b))
        for derivative in (jax.grad, jax.jacfwd):
            test = functools.partial(permutation_test, key, y=b, resamples=9)
            assert (derivative(lambda a, t=test: t(a).p_value)(a) == 0).all()
            by_a = derivative(lambda a, t=test: t(a).statistic)(a)
            np.testing.assert_allclose(by_a, 1 / 2)

    def test_transforms_and_edges(self):
        f = functools.partial(permutation_test, resamples=49)
        assert_transforms(lambda k, x, y: tuple(f(k, x, y)), key, x, y)
        assert_transforms(difference_of_means, x, y)
        same = f(key, jnp.ones(4), jnp.ones(3))
        assert same.statistic == 0
        assert same.p_value == 1
        assert f(key, x, y + 100, alternative="less").p_value == jnp.float32(1 / 50)
        assert jnp.isnan(f(key, x.at[0].set(jnp.nan), y).p_value)
        vectors = f(key, jnp.stack([x, -x], 1), jnp.stack([y, -y], 1))
        assert vectors.p_value.shape == (2,)
        assert vectors.p_value[0] == vectors.p_value[1]
