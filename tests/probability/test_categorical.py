"""fnmath.probability.categorical: against SciPy's entropies, at 0, and by its samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from fnmath.probability import categorical, multinomial
from tests.helpers import Mistake, assert_derivatives, assert_within_ulp

p = jnp.array([[0.1, 0.2, 0.7], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
q = jnp.array([[0.3, 0.3, 0.4], [0.2, 0.4, 0.4], [0.0, 0.5, 0.5]])

MISTAKES = [
    Mistake(
        categorical.mode,
        (jnp.arange(3),),
        {},
        TypeError,
        "mode: probs has dtype int32; wanted a floating dtype; did you mean "
        "probs.astype(jnp.float32)?",
    ),
    Mistake(
        categorical.entropy,
        (jnp.zeros((2, 0)),),
        {},
        ValueError,
        "entropy: logits (2, 0) have no classes on axis -1",
    ),
]


def test_masses():
    k = jnp.array([0, 2, 5, -1])
    wanted = np.float32([0.1, 0.7, 0, 0])
    np.testing.assert_array_equal(categorical.pmf(k, p[0]), wanted)
    logarithms = jax.jit(categorical.logpmf)(k, p[0])
    np.testing.assert_allclose(logarithms[:2], np.log(wanted[:2]), rtol=1e-6)
    np.testing.assert_array_equal(logarithms[2:], -np.inf)
    assert categorical.logpmf(k[:, None], p).shape == (4, 3)
    slope = jax.jit(jax.grad(categorical.logpmf, 1))(2, p[0])
    np.testing.assert_allclose(slope, [0, 0, 1 / 0.7], rtol=1e-6)


def test_entropy_and_divergence_equal_scipys():
    np.testing.assert_allclose(
        jax.jit(categorical.entropy)(p), scipy.stats.entropy(np.float64(p), axis=-1), rtol=1e-6
    )
    wanted = scipy.special.rel_entr(np.float64(p), np.float64(q)).sum(-1)
    np.testing.assert_allclose(jax.jit(categorical.kl)(p, q), wanted, rtol=1e-6)
    np.testing.assert_array_equal(jax.jit(categorical.kl)(p, p), 0)


@pytest.mark.usefixtures("x64")
def test_derivatives():
    assert_derivatives(categorical.entropy, jnp.array([0.1, 0.2, 0.7]), step=1e-9, tolerance=1e-4)


@pytest.mark.usefixtures("x64")
def test_gradients_are_the_closed_forms():
    a, b = jnp.array([0.1, 0.2, 0.7]), jnp.array([0.3, 0.3, 0.4])
    for mode in (jax.grad, jax.jacfwd):
        np.testing.assert_allclose(mode(categorical.entropy)(a), -np.log(a) - 1)
        by_p, by_q = jax.jit(mode(categorical.kl, (0, 1)))(a, b)
        np.testing.assert_allclose(by_p, np.log(a / b) + 1)
        np.testing.assert_allclose(by_q, -a / b)


def test_samples_pass_a_test_of_their_frequencies():
    k = jax.jit(lambda key: categorical.sample(key, p[0], shape=(20_000,)))(jax.random.key(0))
    counts = np.bincount(k, minlength=3)
    assert scipy.stats.chisquare(counts, 20_000 * np.array([0.1, 0.2, 0.7])).pvalue > 1e-3
    np.testing.assert_allclose(categorical.fit(k, 3)[0], p[0], atol=0.02)
    weighted = categorical.fit(jnp.array([0, 1, 1]), 3, weights=jnp.array([2.0, 1.0, 1.0]))
    np.testing.assert_array_equal(weighted[0], [0.5, 0.5, 0])


def test_score_has_mean_0_and_the_information_as_variance():
    k = jnp.arange(4)  # of which the last is no class
    score = categorical.score(k, p[0])
    np.testing.assert_array_equal(score[3], 0)
    np.testing.assert_allclose(p[0] @ score[:3], 0, atol=1e-6)
    second = jnp.einsum("k,ki,kj->ij", p[0], score[:3], score[:3])
    np.testing.assert_allclose(second, categorical.fisher_information(p[0]), rtol=1e-6)
    one = jnp.eye(3)[1]
    np.testing.assert_allclose(score[1], multinomial.score(one, 1, p[0]), rtol=1e-6)
    wanted = multinomial.fisher_information(1, p[0])
    np.testing.assert_allclose(categorical.fisher_information(p[0]), wanted, rtol=1e-6)
    impossible = categorical.score(0, p[1])
    np.testing.assert_array_equal(impossible, 0)
    assert categorical.fisher_information(p[1])[0, 0] == jnp.inf


def test_what_is_no_vector_of_probabilities():
    bad = jnp.array([[0.5, 0.6], [-0.5, 1.5], [jnp.nan, 1.0]])
    for y in (
        categorical.pmf(0, bad),
        categorical.logpmf(0, bad),
        categorical.entropy(bad),
        categorical.kl(bad, bad),
        categorical.score(0, bad),
        categorical.fisher_information(bad),
    ):
        assert jnp.isnan(y).all()
    np.testing.assert_array_equal(categorical.mode(bad), -1)
    np.testing.assert_array_equal(categorical.sample(jax.random.key(0), bad), -1)
    np.testing.assert_array_equal(categorical.mode(p), [2, 1, 0])


def test_dtypes_stay():
    half = jnp.asarray([0.5, 0.5], jnp.bfloat16)
    for y in (categorical.pmf(0, half), categorical.entropy(half), categorical.kl(half, half)):
        assert y.dtype == jnp.bfloat16


@pytest.mark.last_digits
def test_divergence_of_what_is_nearly_the_same():
    near = np.float32([0.25, 0.25000006, 0.5])
    a, b = np.float64([0.25, 0.25, 0.5]), np.float64(near)
    d = b - a
    wanted = (d * d / (2 * a)).sum() - d.sum()
    assert_within_ulp(jax.jit(categorical.kl)(np.float32(a), near), wanted, 4)
